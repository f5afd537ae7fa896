"""Sampling occasions: days of camera operation summed into effort per occasion (camtrapR's detectionHistory)."""

import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ctwatch.domain import Occasion
from ctwatch.occupancy.operation import Operation, row_names

_DAY = timedelta(days=1)
_SECOND = np.timedelta64(1_000_000, "us")


class FirstDay(StrEnum):
    """Where the first occasion begins (camtrapR day1)."""

    SURVEY = "survey"
    """The first day that any location was active; where there are sessions, that of each session."""
    LOCATION = "location"
    """Each location's own first day; histories are left-aligned."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How days become occasions and detections become histories; names in brackets are camtrapR's."""

    occasion_days: int = 7
    """Days in an occasion (occasionLength), at least 1."""
    first_day: FirstDay | date = FirstDay.SURVEY
    """(day1); a date: the same for all locations, what was before it is left out."""
    buffer_days: int = 0
    """Days left out after the first of each location (buffer)."""
    minimum_active_days: float | None = None
    """Camera-days below which an occasion was not surveyed (minActiveDaysPerOccasion)."""
    maximum_days: int | None = None
    """Days used of each location (maxNumberDays), from its first that is not left out."""
    include_effort: bool = True
    """False: an occasion with a day without work, or short of days, was not surveyed, unless there is a
    `minimum_active_days` (includeEffort)."""
    count: bool = False
    """Histories hold numbers of records instead of 1 (output = "count")."""
    camtrapr_compatible: bool = False
    """Exactly camtrapR's result where it differs from what is right; see `effort` and `detection_histories`."""


@dataclass(frozen=True, slots=True)
class Effort:
    """Camera-days per row and occasion; a row is a location, or a location in a session."""

    location_ids: tuple[str, ...]
    sessions: tuple[str | None, ...]
    occasions: tuple[Occasion, ...]
    """Where they are `relative`, their dates are those of the row that begins first."""
    camera_days: NDArray[np.float64]
    """Shape (S, K); NaN where nothing was surveyed."""
    origins: NDArray[np.datetime64]
    """First moment of the first occasion of each row, shape (S,)."""
    surveyed: NDArray[np.datetime64]
    """Each row takes detections from the first to before the second moment, shape (S, 2)."""
    opened: NDArray[np.datetime64]
    """The same without the buffer: the moment from which each row could have taken detections, shape (S,)."""
    camera_ids: tuple[str | None, ...]
    first_day: date
    """Of the first occasion."""
    day_count: int
    """Days in all occasions together."""
    last_day: date
    """The last day that any row was surveyed."""
    start_hour: int = 0
    relative: bool = False
    """Occasions of rows begin on different days, each row's own or its session's first."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the rows: the location, with its session if there is one (camtrapR)."""
        return row_names(self)


def effort(worked: Operation, rules: Rules) -> Effort:
    """Sum camera-days into occasions of whole days; NaN where every day is NaN or nothing worked.

    Occasions follow each other from `rules.first_day`; the last may be shorter. `FirstDay.SURVEY` is the first day of
    each session where there are sessions, so that o1 of every season is its first days (unmarked: unmarkedMultFrame).
    With `camtrapr_compatible` (R/detectionHistory.R and its helpers), it is that of the first session for all; occasions
    of one day keep an effort of 0 and know no minimum; a day too many is left of `maximum_days` if it is the last of the
    survey or if days begin at another hour than midnight; with a date for the first day, `maximum_days` counts from the
    first day of the survey. Raises ValueError for rules that make no sense.
    """
    _check(rules)
    rows, length = worked.days.shape
    active = ~np.isnan(worked.days)
    there: NDArray[np.bool_] = np.any(active, axis=1)
    first = np.where(there, np.argmax(active, axis=1) if length else 0, 0)
    end = _ends(active)
    dated = None if isinstance(rules.first_day, FirstDay) else (rules.first_day - worked.first_day).days
    opened = first if dated is None else np.maximum(first, dated)
    begin = first + rules.buffer_days if dated is None else np.maximum(first + rules.buffer_days, dated)
    if dated is not None and rules.camtrapr_compatible:
        opened = begin = np.full(rows, dated)
    survey = _least(first, there) if dated is not None else None
    columns, last = _used(rules, worked.start_hour, active, begin, end, survey)
    used = (begin < columns) & there
    # camtrapR begins with a location that the buffer leaves nothing of, too.
    earliest = _least(begin, there if rules.camtrapr_compatible else used)
    if rules.first_day is FirstDay.LOCATION:
        origin = begin
    elif dated is None and not rules.camtrapr_compatible:
        origin = _first_of_session(worked, begin, used)
    else:
        origin = np.full(rows, earliest if dated is None else dated)
    days, shift, count = _laid(worked.days, rules, begin, columns, end, origin, used)
    aligned = _aligned(days, shift, count)
    camera_days = _sums(aligned, rules)
    midnight = datetime.combine(worked.first_day, datetime.min.time()) + timedelta(hours=worked.start_hour)
    start = midnight + (earliest if dated is None else dated) * _DAY
    occasions = tuple(
        Occasion(
            f"o{place + 1}",
            start + place * rules.occasion_days * _DAY,
            start + min((place + 1) * rules.occasion_days, count) * _DAY,
        )
        for place in range(camera_days.shape[1])
    )
    origins, from_, opens = (_moments(midnight, found) for found in (origin, begin, opened))
    until = np.where(used, last + _moments(midnight, np.zeros(rows, dtype=np.int64)), from_)
    latest = np.max(columns, initial=1, where=there if rules.camtrapr_compatible else used)
    last_day = worked.first_day + (int(latest) - 1) * _DAY
    return Effort(
        worked.location_ids,
        worked.sessions,
        occasions,
        camera_days,
        origins,
        np.column_stack([from_, until]).astype("datetime64[us]"),
        opens,
        worked.camera_ids,
        start.date(),
        count,
        last_day,
        worked.start_hour,
        rules.first_day is FirstDay.LOCATION or len(np.unique(origin[used])) > 1,
    )


def scaled(camera_days: NDArray[np.float64]) -> tuple[NDArray[np.float64], float, float]:
    """Return effort as (x - mean) / standard deviation with both of these, over all cells that are not NaN (n - 1).

    Raises ValueError where all cells are the same, for their deviation is 0.
    """
    known = camera_days[~np.isnan(camera_days)]
    if len(np.unique(known)) < 2:
        raise ValueError("effort is the same in all occasions and cannot be scaled")
    center, scale = float(np.mean(known)), float(np.std(known, ddof=1))
    return (camera_days - center) / scale, center, scale


def occasion_names(surveyed: Effort, as_dates: bool) -> tuple[str, ...]:
    """Return o1, o2, ..., or `as_dates` 2009-04-02_2009-04-08, or day1_day7 with `FirstDay.LOCATION` (camtrapR).

    Where days begin at noon, these are 2009-04-02+12h_2009-04-09+12h.
    """
    if not as_dates:
        return tuple(item.name for item in surveyed.occasions)
    hour = f"+{surveyed.start_hour}h" if surveyed.start_hour else ""
    names = []
    for place, item in enumerate(surveyed.occasions):
        first = (item.start - surveyed.occasions[0].start).days
        following = (item.end - surveyed.occasions[0].start).days
        latest = place == len(surveyed.occasions) - 1
        if surveyed.relative:
            end = surveyed.day_count if latest else following + (1 if hour else 0)
            names.append(f"day{first + 1}{hour}_day{end}{hour}")
        elif latest:
            names.append(f"{surveyed.first_day + first * _DAY}{hour}_{surveyed.last_day}")
        else:
            end_day = surveyed.first_day + (following - (0 if hour else 1)) * _DAY
            names.append(f"{surveyed.first_day + first * _DAY}{hour}_{end_day}{hour}")
    return tuple(names)


def _check(rules: Rules) -> None:
    if rules.occasion_days < 1:
        raise ValueError("occasion_days must be at least 1")
    if rules.buffer_days < 0:
        raise ValueError("buffer_days must be at least 0")
    if rules.maximum_days is not None and rules.maximum_days < 1:
        raise ValueError("maximum_days must be at least 1")


def _used(
    rules: Rules,
    start_hour: int,
    active: NDArray[np.bool_],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    survey: int | None,
) -> tuple[NDArray[np.int64], NDArray[np.timedelta64]]:
    """Return the column after the last used of each row, and the moment after its last record, from the first column on.

    `survey` is the first column of any row, where the first day is a date.
    """
    day = np.timedelta64(86_400_000_000, "us")
    hours = np.timedelta64(start_hour * 3_600_000_000, "us")
    if not rules.camtrapr_compatible:
        if rules.maximum_days is not None:
            limit = begin + rules.maximum_days
            # In a gap it ends with the last day before the gap.
            before = _ends(active & (np.arange(active.shape[1]) < limit[:, None]))
            end = np.maximum(before, np.minimum(begin + 1, end))
        return end, end * day
    # camtrapR ends with the last second of the last date, at whatever hour its days begin.
    last = end * day - hours - _SECOND
    if rules.maximum_days is not None:
        counted = begin if survey is None else np.full_like(begin, survey)
        last = np.minimum(last, (counted + rules.maximum_days) * day - _SECOND)
    return ((last + hours) // day).astype(np.int64) + 1, last + np.timedelta64(1, "us")


def _laid(
    days: NDArray[np.float64],
    rules: Rules,
    begin: NDArray[np.int64],
    columns: NDArray[np.int64],
    end: NDArray[np.int64],
    origin: NDArray[np.int64],
    used: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.int64], int]:
    """Return days with those left out as NaN, the column at which each row's first occasion begins, and days in all."""
    length = days.shape[1]
    number = np.arange(length)
    if not rules.camtrapr_compatible:
        kept = used[:, None] & (number >= begin[:, None]) & (number < columns[:, None])
        return np.where(kept, days, np.nan), origin, int(np.max(columns - origin, initial=0, where=used))
    # The last column of all is left when only that one is to be left out.
    until = np.where(columns == length - 1, length, columns)
    days = np.where(used[:, None] & (number >= begin[:, None]) & (number < until[:, None]), days, np.nan)
    if rules.first_day is not FirstDay.LOCATION:
        return days, origin, int(np.max(columns - origin, initial=0, where=end > 0))
    # Days without a camera at the beginning are skipped; the clock of the records is not.
    active = ~np.isnan(days)
    there = active.any(axis=1)
    shift = np.where(there, active.argmax(axis=1) if length else 0, origin)
    ends = np.where(there, _ends(active), shift)
    return days, shift, int(np.max(ends - shift, initial=0))


def _aligned(days: NDArray[np.float64], shift: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Return the days of each row from its `shift` on, shape (R, count), NaN where there are none."""
    length = days.shape[1]
    columns = shift[:, None] + np.arange(count)
    inside = (columns >= 0) & (columns < length)
    if not length:
        return np.full((len(days), count), np.nan)
    return np.where(inside, np.take_along_axis(days, np.clip(columns, 0, length - 1), axis=1), np.nan)


def _sums(days: NDArray[np.float64], rules: Rules) -> NDArray[np.float64]:
    """Sum days into occasions."""
    rows, length = days.shape
    if rules.camtrapr_compatible and rules.occasion_days == 1:
        return days
    count = math.ceil(length / rules.occasion_days)
    padded = np.full((rows, count * rules.occasion_days), np.nan)
    padded[:, :length] = days
    blocks = padded.reshape(rows, count, rules.occasion_days)
    # As R sums: in extended precision, so that a minimum of camera-days is met by what is written as that number.
    total = np.nansum(blocks.astype(np.longdouble), axis=2).astype(np.float64)
    if not rules.camtrapr_compatible:
        total = np.round(total, 4)
    lacking = np.isnan(blocks).all(axis=2) | (np.nan_to_num(blocks) == 0).all(axis=2)
    if rules.minimum_active_days is not None:
        lacking |= total < rules.minimum_active_days
    elif not rules.include_effort:
        lacking |= (np.nan_to_num(blocks) == 0).any(axis=2)
    return np.where(lacking, np.nan, total)


def _first_of_session(worked: Operation, begin: NDArray[np.int64], used: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the first column that any used row of the same session has, for each row."""
    first: dict[str | None, int] = {}
    for session, column, there in zip(worked.sessions, begin.tolist(), used.tolist(), strict=True):
        if there:
            first[session] = min(column, first.get(session, column))
    return np.array([first.get(session, 0) for session in worked.sessions], dtype=np.int64)


def _ends(active: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the column after the last active one of each row, 0 where there is none."""
    rows, length = active.shape
    if not length:
        return np.zeros(rows, dtype=np.int64)
    return np.where(active.any(axis=1), length - np.argmax(active[:, ::-1], axis=1), 0)


def _least(values: NDArray[np.int64], there: NDArray[np.bool_]) -> int:
    return int(values[there].min()) if there.any() else 0


def _moments(midnight: datetime, columns: NDArray[np.int64]) -> NDArray[np.datetime64]:
    return (np.datetime64(midnight, "us") + columns * np.timedelta64(1, "D")).astype("datetime64[us]")
