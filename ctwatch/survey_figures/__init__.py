"""A survey in figures: effort, species, places, activity, accumulation, quality and backlog, for report and page."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ctwatch import activity
from ctwatch.survey import Survey
from ctwatch.survey_figures.quality import backlog, flagged, quality, reasons
from ctwatch.survey_figures.tables import (
    ActivityTable,
    Calendar,
    DayState,
    DetectionTable,
    LocationTable,
    OverlapTable,
    SpeciesTable,
    SurveyFigures,
    Totals,
    wilson,
)

__all__ = ["FEWEST_FOR_ACTIVITY", "figures"]

FEWEST_FOR_ACTIVITY = 10
"""Detections below which a density would tell of chance more than of the animal."""
_MOST_OVERLAPS = 8
_TYPES = ("blank", "animal", "human", "vehicle", "unknown", "unclassified")
Kind = TypeVar("Kind")


@dataclass(frozen=True, slots=True)
class _Effort:
    """Camera-days as a matrix, L x D."""

    location_ids: tuple[str, ...]
    first_day: np.datetime64
    worked: NDArray[np.float64]
    """NaN where nothing was set up."""
    assumed: NDArray[np.bool_]

    def inside(self, rows: NDArray[np.int64], days: NDArray[np.datetime64]) -> NDArray[np.bool_]:
        """Say whether something worked at these locations on these days."""
        columns = (days - self.first_day).astype(np.int64)
        there = (columns >= 0) & (columns < self.worked.shape[1]) & ~np.isnat(days)
        found = np.zeros(len(rows), dtype=bool)
        found[there] = np.nan_to_num(self.worked[rows[there], columns[there]]) > 0
        return found


@dataclass(frozen=True, slots=True)
class _Seen:
    """Event rows that name a species, N of them."""

    species: NDArray[np.int64]
    location: NDArray[np.int64]
    start: NDArray[np.datetime64]
    independent: NDArray[np.bool_]
    inside: NDArray[np.bool_]
    """On a day with effort."""
    by_people: NDArray[np.bool_]
    to_review: NDArray[np.bool_]

    @property
    def counted(self) -> NDArray[np.bool_]:
        """What rates are made of."""
        return self.independent & self.inside


def figures(survey: Survey, *, independence_min: float = 30.0, duplicate_files: int | None = None) -> SurveyFigures:
    """Return all figures of a survey.

    Detections are event rows that name a species; they are independent if `independence_min` minutes apart (camtrapR).
    Rates are of days with effort. `duplicate_files` is told by the database; None leaves it out.
    """
    place_of = {item.deployment.deployment_id: item.location.location_id for item in survey.deployments}
    where = [place_of.get(key, key) for key in survey.observations.deployment_id]
    location_ids = tuple(sorted({*place_of.values(), *survey.effort.location_id, *where}))
    row_of = {location_id: row for row, location_id in enumerate(location_ids)}
    effort = _effort(survey, location_ids, row_of)
    names, seen = _seen(survey, effort, where, row_of, independence_min)
    surveyed = np.nan_to_num(effort.worked).sum(axis=1) > 0
    matrix = np.zeros((len(location_ids), len(names)), dtype=np.int64)
    np.add.at(matrix, (seen.location[seen.counted], seen.species[seen.counted]), 1)
    order = sorted(range(len(names)), key=lambda at: (-int(matrix[:, at].sum()), names[at]))
    states = _states(effort)
    detections = DetectionTable(location_ids, tuple(names[at] for at in order), matrix[:, order], surveyed)
    days = effort.first_day.astype(object) if effort.worked.shape[1] else None
    active = _activity(seen, names, order)
    dropped = int((seen.independent & ~seen.inside).sum())
    return SurveyFigures(
        totals=_totals(survey, effort, surveyed, states, seen, names),
        species=_species(seen, names, order, matrix, effort, int(surveyed.sum())),
        locations=_locations(survey, effort, states, seen, where, row_of, place_of),
        calendar=Calendar(location_ids, days, states),
        detections=detections,
        activity=active,
        overlaps=_overlaps(active),
        accumulation=_accumulation(seen, effort),
        quality=quality(survey, states, location_ids, dropped, len(seen.species), duplicate_files),
        flagged=flagged(survey),
        reasons=reasons(survey),
        backlog=backlog(survey, place_of),
        models=_models(survey),
        independence_min=independence_min,
        published_at=survey.published_at,
        ctwatch_version=survey.ctwatch_version,
    )


def _effort(survey: Survey, location_ids: tuple[str, ...], row_of: dict[str, int]) -> _Effort:
    days = survey.effort.day.astype("datetime64[D]")
    if not len(days):
        empty = (len(location_ids), 0)
        return _Effort(location_ids, np.datetime64("1970-01-01"), np.empty(empty), np.empty(empty, dtype=bool))
    first = days.min()
    columns = (days - first).astype(np.int64)
    rows = np.array([row_of[location_id] for location_id in survey.effort.location_id], dtype=np.int64)
    worked = np.full((len(location_ids), int(columns.max()) + 1), np.nan)
    assumed = np.zeros(worked.shape, dtype=bool)
    worked[rows, columns] = survey.effort.camera_days
    assumed[rows, columns] = survey.effort.assumed
    return _Effort(location_ids, first, worked, assumed)


def _states(effort: _Effort) -> NDArray[np.uint8]:
    worked = np.nan_to_num(effort.worked, nan=-1.0)
    rungs = [worked < 0, worked == 0, effort.assumed, worked < 1]
    states = [DayState.NONE, DayState.OUTAGE, DayState.ASSUMED, DayState.PARTIAL]
    return np.select(rungs, states, DayState.WORKING).astype(np.uint8)


def _seen(
    survey: Survey, effort: _Effort, where: Sequence[str], row_of: dict[str, int], independence_min: float
) -> tuple[list[str], _Seen]:
    rows = survey.observations
    kept = [
        at
        for at, (level, name, kind) in enumerate(
            zip(rows.level, rows.scientific_name, rows.observation_type, strict=True)
        )
        if level == "event" and name and kind == "animal"
    ]
    labels = [str(rows.scientific_name[at]) for at in kept]
    names = sorted(set(labels))
    code = {name: number for number, name in enumerate(names)}
    places = [where[at] for at in kept]
    start = rows.event_start[kept].astype("datetime64[us]")
    location = np.array([row_of[place] for place in places], dtype=np.int64)
    return names, _Seen(
        species=np.array([code[label] for label in labels], dtype=np.int64),
        location=location,
        start=start,
        independent=activity.independent(labels, places, start, independence_min),
        inside=effort.inside(location, start.astype("datetime64[D]")),
        by_people=np.array([rows.classification_method[at] == "human" for at in kept], dtype=bool),
        to_review=rows.needs_review[kept].astype(bool),
    )


def _totals(
    survey: Survey,
    effort: _Effort,
    surveyed: NDArray[np.bool_],
    states: NDArray[np.uint8],
    seen: _Seen,
    names: Sequence[str],
) -> Totals:
    rows = survey.observations
    of_type: dict[str, set[str]] = {kind: set() for kind in _TYPES}
    every, review, people = set(), set(), set()
    for at in _event_rows(survey):
        event = rows.event_id[at] or f"observation {rows.observation_id[at]}"
        every.add(event)
        of_type.setdefault(rows.observation_type[at], set()).add(event)
        if rows.needs_review[at]:
            review.add(event)
        if rows.classification_method[at] == "human":
            people.add(event)
    set_up = np.flatnonzero((states != DayState.NONE).any(axis=0)) if states.size else np.empty(0, np.int64)
    if len(set_up):
        span = (effort.first_day + set_up[0]).astype(object), (effort.first_day + set_up[-1]).astype(object)
    else:
        span = _span(seen.start)
    return Totals(
        first_day=span[0],
        last_day=span[1],
        deployments=len(survey.deployments),
        locations=len(effort.location_ids),
        locations_surveyed=int(surveyed.sum()),
        camera_days=round(float(np.nansum(effort.worked)), 4),
        days_not_working=int((states == DayState.OUTAGE).sum()),
        photographs=len(survey.media.media_id),
        time_lapse=sum(method == "timeLapse" for method in survey.media.capture_method),
        private=int(survey.media.private.sum()),
        events=len(every),
        **{kind: len(of_type[kind]) for kind in _TYPES},
        to_review=len(review),
        confirmed=len(people),
        species=len(names),
    )


def _species(
    seen: _Seen,
    names: Sequence[str],
    order: Sequence[int],
    matrix: NDArray[np.int64],
    effort: _Effort,
    surveyed: int,
) -> SpeciesTable:
    camera_days = float(np.nansum(effort.worked))
    table: list[tuple[Any, ...]] = []
    for at in order:
        own = seen.species == at
        found, independent = int((matrix[:, at] > 0).sum()), int(matrix[:, at].sum())
        interval = wilson(found, surveyed) or (None, None)
        table.append((
            names[at], int(own.sum()), independent, int((own & seen.independent & ~seen.inside).sum()), found,
            found / surveyed if surveyed else None, *interval,
            100 * independent / camera_days if camera_days else None, *_span(seen.start[own]),
            float(seen.by_people[own].mean()), int(seen.to_review[own].sum()),
        ))  # fmt: skip
    return _columns(SpeciesTable, table)


def _locations(
    survey: Survey,
    effort: _Effort,
    states: NDArray[np.uint8],
    seen: _Seen,
    where: Sequence[str],
    row_of: dict[str, int],
    place_of: dict[str, str],
) -> LocationTable:
    known = {item.location.location_id: item.location for item in reversed(survey.deployments)}
    deployments = Counter(place_of.values())
    photographs = Counter(place_of.get(key, key) for key in survey.media.deployment_id)
    events: dict[str, set[str]] = {}
    blank: dict[str, set[str]] = {}
    for at in _event_rows(survey):
        event = survey.observations.event_id[at] or survey.observations.observation_id[at]
        events.setdefault(where[at], set()).add(event)
        if survey.observations.observation_type[at] == "blank":
            blank.setdefault(where[at], set()).add(event)
    table: list[tuple[Any, ...]] = []
    for location_id, row in row_of.items():
        location = known.get(location_id)
        set_up = np.flatnonzero(states[row] != DayState.NONE)
        ends = [(effort.first_day + set_up[end]).astype(object) for end in (0, -1)] if len(set_up) else [None, None]
        table.append((
            location_id, location and location.location_name, location and location.latitude,
            location and location.longitude, deployments[location_id], *ends,
            round(float(np.nansum(effort.worked[row])), 4), int((states[row] == DayState.OUTAGE).sum()),
            int((states[row] == DayState.ASSUMED).sum()), photographs[location_id],
            len(events.get(location_id, ())), len(blank.get(location_id, ())),
            len(np.unique(seen.species[seen.location == row])),
        ))  # fmt: skip
    return _columns(LocationTable, table)


def _activity(seen: _Seen, names: Sequence[str], order: Sequence[int]) -> ActivityTable:
    table: list[tuple[Any, ...]] = []
    for at in order:
        times = np.sort(activity.time_of_day(seen.start[seen.counted & (seen.species == at)]))
        curve = activity.density(times) if len(times) >= FEWEST_FOR_ACTIVITY else None
        hours = tuple(round(float(hour), 4) for hour in times / activity.CIRCLE * 24)
        per_hour = None if curve is None else tuple(float(value) for value in curve * activity.CIRCLE / 24)
        table.append((names[at], len(hours), hours, per_hour))
    return _columns(ActivityTable, table)


def _overlaps(active: ActivityTable) -> OverlapTable:
    most = [at for at, n in enumerate(active.n) if n >= FEWEST_FOR_ACTIVITY][:_MOST_OVERLAPS]
    times = [np.array(active.hours[at]) / 24 * activity.CIRCLE for at in most]
    values = np.eye(len(most))
    for first in range(len(most)):
        for second in range(first):
            shared = activity.overlap(times[first], times[second])
            values[first, second] = values[second, first] = shared.estimate if shared else np.nan
    return OverlapTable(tuple(active.scientific_name[at] for at in most), tuple(active.n[at] for at in most), values)


def _accumulation(seen: _Seen, effort: _Effort) -> activity.Accumulation:
    counted = seen.counted
    days = (seen.start[counted].astype("datetime64[D]") - effort.first_day).astype(np.int64)
    units = seen.location[counted] * effort.worked.shape[1] + days
    return activity.accumulation(seen.species[counted], units, int((np.nan_to_num(effort.worked) > 0).sum()))


def _models(survey: Survey) -> tuple[str, ...]:
    rows = survey.observations
    pairs: Iterable[tuple[str | None, str | None]] = zip(rows.classification_method, rows.classified_by, strict=True)
    return tuple(sorted({by for method, by in pairs if method == "machine" and by}))


def _event_rows(survey: Survey) -> list[int]:
    return [at for at, level in enumerate(survey.observations.level) if level == "event"]


def _span(moments: NDArray[np.datetime64]) -> tuple[date | None, date | None]:
    known = moments[~np.isnat(moments)].astype("datetime64[D]")
    return (known.min().astype(object), known.max().astype(object)) if len(known) else (None, None)


def _columns(kind: Callable[..., Kind], table: Sequence[tuple[Any, ...]]) -> Kind:
    """Turn rows into a table of columns."""
    width = len(kind.__dataclass_fields__)  # type: ignore[attr-defined]
    return kind(*(tuple(row[at] for row in table) for at in range(width)))
