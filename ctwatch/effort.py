"""Daily effort of all locations: from deployment dates, or assumed from photographs and marked so."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from ctwatch import occupancy
from ctwatch.deployments import UNASSIGNED
from ctwatch.store import derived

if TYPE_CHECKING:
    import duckdb

LONGEST_SILENCE_DAYS = 60
"""A camera that is silent for longer is not assumed to have worked in between: a reset clock, a card left for a season."""
_DAY = timedelta(days=1)
_MIDNIGHT = datetime.min.time()


def derive_effort(connection: "duckdb.DuckDBPyConnection") -> None:
    """Recompute and replace the daily effort of all locations.

    Deployments with both dates count as these say, photographs or not. Others are assumed to have worked on every day
    from the first photograph of a card to its last; a camera's day counts once, however many cards share it.
    """
    known: list[occupancy.ActivePeriod] = []
    assumed: dict[tuple[str, str], set[date]] = {}
    cards = derived.card_spans(connection, LONGEST_SILENCE_DAYS)
    for span in derived.spans(connection):
        if span.deployment_id.endswith(UNASSIGNED):
            continue  # the location's own deployments say when it was sampled; these days would count twice
        if span.start is not None and span.end is not None:
            known.append(
                occupancy.period(
                    span.location_id,
                    span.start,
                    span.end,
                    start_is_date=bool(span.start_is_date),
                    end_is_date=bool(span.end_is_date),
                )
            )
            continue
        camera = assumed.setdefault((span.location_id, span.camera_id or ""), set())
        spells = list(cards.get(span.deployment_id, ()))
        if spells and span.start is not None:
            spells.append((span.start, min(first for first, _ in spells)))
        if spells and span.end is not None:
            spells.append((max(last for _, last in spells), span.end))
        for first, last in spells:
            camera.update(_days(first.date(), last.date()))
    periods = [
        occupancy.ActivePeriod(
            location_id, datetime.combine(first, _MIDNIGHT), datetime.combine(last + _DAY, _MIDNIGHT)
        )
        for (location_id, _), days in assumed.items()
        for first, last in _runs(days)
    ]
    marked = {(location_id, day) for (location_id, _), days in assumed.items() for day in days}
    worked = occupancy.operation([*known, *periods])
    locations, days_worked, camera_days, marks = [], [], [], []
    for row, location_id in enumerate(worked.location_ids):
        for column in np.flatnonzero(~np.isnan(worked.days[row])):
            day = worked.first_day + int(column) * _DAY
            locations.append(location_id)
            days_worked.append(day)
            camera_days.append(float(worked.days[row, column]))
            marks.append((location_id, day) in marked)
    derived.replace_effort(
        connection, {"location_id": locations, "day": days_worked, "camera_days": camera_days, "assumed": marks}
    )


def _days(first: date, last: date) -> Iterable[date]:
    return (first + number * _DAY for number in range((last - first).days + 1))


def _runs(days: set[date]) -> Iterable[tuple[date, date]]:
    """Yield (first, last) of each run of consecutive days."""
    ordered = sorted(days)
    start = 0
    for position in range(1, len(ordered) + 1):
        if position == len(ordered) or ordered[position] - ordered[position - 1] > _DAY:
            yield ordered[start], ordered[position - 1]
            start = position
