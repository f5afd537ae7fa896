"""Daily effort of all locations: from deployment dates, or assumed from photographs and marked so."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from ctwatch import occupancy
from ctwatch.deployments import UNASSIGNED
from ctwatch.domain import Outage
from ctwatch.store import derived

if TYPE_CHECKING:
    import duckdb

LONGEST_SILENCE_DAYS = 60
"""A camera that is silent for longer is not assumed to have worked in between: a reset clock, a card left for a season."""
_DAY = timedelta(days=1)
_MIDNIGHT = datetime.min.time()


def derive_effort(connection: "duckdb.DuckDBPyConnection") -> None:
    """Recompute and replace the daily effort of all locations.

    Deployments with both dates count as these say, photographs or not, without their outages. Others are assumed to have
    worked on every day from the first photograph of a card to its last that is not out as a whole; a camera's time counts
    once, however many cards or deployments share it. Days on which a camera stood there and did not work have 0 camera-days.
    """
    known: list[occupancy.CameraPeriod] = []
    assumed: dict[tuple[str, str], set[date]] = {}
    stood: dict[tuple[str, str], set[date]] = {}
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
                    camera_id=span.camera_id,
                    outages=span.outages,
                )
            )
            continue
        camera = (span.location_id, span.camera_id or "")
        spells = list(cards.get(span.deployment_id, ()))
        if spells and span.start is not None:
            spells.append((span.start, min(first for first, _ in spells)))
        if spells and span.end is not None:
            spells.append((max(last for _, last in spells), span.end))
        out = {day for outage in span.outages for day in _whole_days(outage)}
        for first, last in spells:
            days = set(_days(first.date(), last.date()))
            stood.setdefault(camera, set()).update(days)
            assumed.setdefault(camera, set()).update(days - out)
    periods = [
        occupancy.CameraPeriod(
            location_id,
            *_span(first, last),
            camera_id or None,
            outages=tuple(_span(*run) for run in _runs(days - worked)),
        )
        for (location_id, camera_id), days in stood.items()
        for worked in [assumed[location_id, camera_id]]
        for first, last in _runs(days)
    ]
    marked = {(location_id, day) for (location_id, _), days in stood.items() for day in days}
    worked = occupancy.camera_operation([*known, *periods])
    row, column = np.nonzero(~np.isnan(worked.days))
    days_worked = [worked.first_day + number * _DAY for number in column.tolist()]
    locations = [worked.location_ids[number] for number in row.tolist()]
    derived.replace_effort(
        connection,
        {
            "location_id": locations,
            "day": days_worked,
            "camera_days": worked.days[row, column],
            "assumed": [item in marked for item in zip(locations, days_worked, strict=True)],
        },
    )


def _days(first: date, last: date) -> Iterable[date]:
    return (first + number * _DAY for number in range((last - first).days + 1))


def _whole_days(outage: Outage) -> Iterable[date]:
    """Yield the days that an outage covers from midnight to midnight."""
    if outage.is_date:
        return _days(outage.start.date(), outage.end.date())
    first = outage.start.date() if outage.start.time() == _MIDNIGHT else outage.start.date() + _DAY
    return _days(first, outage.end.date() - _DAY)


def _span(first: date, last: date) -> tuple[datetime, datetime]:
    return datetime.combine(first, _MIDNIGHT), datetime.combine(last + _DAY, _MIDNIGHT)


def _runs(days: set[date]) -> Iterable[tuple[date, date]]:
    """Yield (first, last) of each run of consecutive days."""
    ordered = sorted(days)
    start = 0
    for position in range(1, len(ordered) + 1):
        if position == len(ordered) or ordered[position] - ordered[position - 1] > _DAY:
            yield ordered[start], ordered[position - 1]
            start = position
