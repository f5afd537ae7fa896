"""Camera operation: the camera-days that were worked at each location on each day (camtrapR's cameraOperation)."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ctwatch.domain import Outage
from ctwatch.occupancy.rounding import rounded_as_r

_DAY = timedelta(days=1)
_NOON = timedelta(hours=12)
_MICROSECOND = timedelta(microseconds=1)
_SECOND_US = 1_000_000
_DAY_US = 86_400 * _SECOND_US
_PLACES = 4
"""Fractions of a day are rounded to this (camtrapR)."""

Span = tuple[int, int]
"""Half open, microseconds from the first moment of the first day."""


@dataclass(frozen=True, slots=True)
class CameraPeriod:
    """One camera set up at one location, start <= t < end, camera-clock time."""

    location_id: str
    start: datetime
    end: datetime
    camera_id: str | None = None
    session: str | None = None
    outages: tuple[tuple[datetime, datetime], ...] = ()
    """Half open times within the period in which it did not work."""
    dates_only: bool = False
    """Both ends were given as dates; camtrapR then counts cameras of one location in another way."""


@dataclass(frozen=True, slots=True)
class Operation:
    """Camera-days worked per row and day: a row is a location, in a session and with a camera where these are told apart."""

    location_ids: tuple[str, ...]
    first_day: date
    days: NDArray[np.float64]
    """Shape (R, D): NaN where nothing was set up, 0 where nothing that was worked, else camera-days."""
    camera_ids: tuple[str | None, ...] = ()
    """One for each row, or empty: no row is of a camera."""
    sessions: tuple[str | None, ...] = ()
    """One for each row, or empty: there are no sessions."""
    start_hour: int = 0
    """Day d lasts from this hour of d to the same of d + 1, 0..23 (camtrapR occasionStartTime)."""

    def __post_init__(self) -> None:
        """Fill in what was left out, so that every row has a session and a camera or None."""
        for name in ("camera_ids", "sessions"):
            if not getattr(self, name):
                object.__setattr__(self, name, (None,) * len(self.location_ids))


class Rows(Protocol):
    """What has a row for each location, session and camera."""

    @property
    def location_ids(self) -> tuple[str, ...]:
        """Location of each row."""

    @property
    def sessions(self) -> tuple[str | None, ...]:
        """Session of each row, or None."""

    @property
    def camera_ids(self) -> tuple[str | None, ...]:
        """Camera of each row, or None."""


def row_names(worked: Rows) -> tuple[str, ...]:
    """Return camtrapR's names of rows: `Station`, `Station__SESS_2009`, `Station__SESS_2009__CAM_c1`."""
    return tuple(
        place + ("" if session is None else f"__SESS_{session}") + ("" if camera is None else f"__CAM_{camera}")
        for place, session, camera in zip(worked.location_ids, worked.sessions, worked.camera_ids, strict=True)
    )


def period(
    location_id: str,
    start: datetime,
    end: datetime,
    *,
    start_is_date: bool = False,
    end_is_date: bool = False,
    camera_id: str | None = None,
    session: str | None = None,
    outages: Sequence[Outage] = (),
) -> CameraPeriod:
    """Make the period of a deployment; a date without a time counts from or to noon, half a day (camtrapR).

    A deployment set up and taken down on one date without times counts as that whole day. Of outages that are dates both
    days are out as a whole (camtrapR: Problem); all are cut to the period.
    """
    if start_is_date and end_is_date and start.date() == end.date():
        start, end = _midnight(start.date()), _midnight(start.date()) + _DAY
    else:
        if start_is_date:
            noon = _midnight(start.date()) + _NOON
            # Taken down before that noon: all that is known is that it was not set up on an earlier day.
            start = noon if end_is_date or noon < end else _midnight(start.date())
        if end_is_date:
            noon = _midnight(end.date()) + _NOON
            end = noon if start < noon else _midnight(end.date()) + _DAY
    off = [
        (max(start, item.start), min(end, _midnight(item.end.date()) + _DAY if item.is_date else item.end))
        for item in outages
    ]
    dates_only = start_is_date and end_is_date
    kept = tuple(sorted(spell for spell in off if spell[0] < spell[1]))
    return CameraPeriod(location_id, start, end, camera_id, session, kept, dates_only)


def camera_operation(
    periods: Sequence[CameraPeriod],
    *,
    start_hour: int = 0,
    by_camera: bool = False,
    all_cameras_on: bool = False,
    cameras_independent: bool = True,
    camtrapr_compatible: bool = False,
) -> Operation:
    """Build the camera operation matrix, a row for each location (and session, and camera if `by_camera`), sorted.

    Each cell is the part of the day worked, to 4 places, of a location's cameras together:

    * by default what each worked is summed: two cameras for a day are 2; periods of one name that overlap count once;
    * `cameras_independent = False`: the time in which at least one worked, at most 1;
    * `all_cameras_on`: the time in which all worked, times their number if they are independent.

    With `camtrapr_compatible` (R/cameraOperation.R): days begin with the date of the first setup, so that what was worked
    before `start_hour` on it is lost; seconds are counted as it does; dependent cameras are the sum, at most 1, if all
    ends are dates, else the mean; of all cameras, dates only, a day counts if every one worked all of it, else 0, and
    NaN where one is not set up and the others worked all day; with dates only and `start_hour = 12`, the day of
    retrieval is 0 and not NaN. Periods that end before they begin are left out. Raises ValueError for an hour not 0..23.
    """
    if not 0 <= start_hour <= 23:
        raise ValueError("start_hour must be 0 to 23")
    useful = [item for item in periods if item.end > item.start]
    if not useful:
        return Operation((), date(1970, 1, 1), np.empty((0, 0)), start_hour=start_hour)
    groups: dict[tuple[str, str, str], list[CameraPeriod]] = {}
    for item in useful:
        key = (item.location_id, item.session or "", (item.camera_id or "") if by_camera else "")
        groups.setdefault(key, []).append(item)
    keys = sorted(groups)
    begins = timedelta(hours=start_hour)
    if camtrapr_compatible:
        first_day = min(item.start for item in useful).date()
        length = (max(item.end for item in useful).date() - first_day).days + 1
    else:
        first_day = (min(item.start for item in useful) - begins).date()
        length = math.ceil((max(item.end for item in useful) - begins - _midnight(first_day)) / _DAY)
    origin = _midnight(first_day) + begins
    days = np.full((len(keys), length), np.nan)
    dates_only = all(item.dates_only for item in useful)
    for row, key in enumerate(keys):
        if camtrapr_compatible:
            rows = np.array([_day_as_camtrapr(item, origin, length) for item in groups[key]])
            days[row] = _together_as_camtrapr(rows, all_cameras_on and not by_camera, cameras_independent, dates_only)
        elif all_cameras_on or not cameras_independent:
            days[row] = _together(groups[key], origin, length, all_cameras_on, cameras_independent)
        else:
            _sum(days[row], groups[key], origin)
    return Operation(
        tuple(place for place, _, _ in keys),
        first_day,
        days,
        tuple(camera or None for _, _, camera in keys),
        tuple(session or None for _, session, _ in keys),
        start_hour,
    )


def _sum(row: NDArray[np.float64], periods: Iterable[CameraPeriod], origin: datetime) -> None:
    for items in _of_cameras(periods):
        _stood(row, items, origin)
        working = _merged([span for item in items for span in _working(item, origin)])
        if working:
            columns, shares = _shares(working, (working[0][0], working[-1][1]))
            row[columns] += np.round(shares, _PLACES)


def _together(
    periods: Sequence[CameraPeriod], origin: datetime, length: int, all_on: bool, independent: bool
) -> NDArray[np.float64]:
    """Return the time in which one or all of the cameras worked, shape (length,)."""
    row = np.full(length, np.nan)
    _stood(row, periods, origin)
    cameras = [_merged([span for item in items for span in _working(item, origin)]) for items in _of_cameras(periods)]
    if all_on:
        working = cameras[0]
        for other in cameras[1:]:
            working = _overlap(working, other)
        times = len(cameras) if independent else 1
    else:
        working, times = _merged([span for spans in cameras for span in spans]), 1
    if working:
        columns, shares = _shares(working, (working[0][0], working[-1][1]))
        row[columns] += shares
    return np.round(row, _PLACES) * times


def _of_cameras(periods: Iterable[CameraPeriod]) -> list[list[CameraPeriod]]:
    """Return the periods of each camera; those without a name are cameras of their own."""
    of_camera: dict[str | int, list[CameraPeriod]] = {}
    for number, item in enumerate(periods):
        of_camera.setdefault(item.camera_id or number, []).append(item)
    return list(of_camera.values())


def _stood(row: NDArray[np.float64], periods: Iterable[CameraPeriod], origin: datetime) -> None:
    """Make the days on which something was set up 0, unless they are more."""
    for item in periods:
        columns, _ = _shares([], _span(item.start, item.end, origin))
        row[columns] = np.nan_to_num(row[columns])


def _working(item: CameraPeriod, origin: datetime) -> list[Span]:
    """Return a period without its outages."""
    begin, end = _span(item.start, item.end, origin)
    parts = []
    for off, on in _merged([_span(first, last, origin) for first, last in item.outages]):
        if off > begin:
            parts.append((begin, min(off, end)))
        begin = max(begin, on)
    return [*parts, (begin, end)] if begin < end else parts


def _shares(working: Sequence[Span], within: Span) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the columns of the days that `within` touches and the part of each that lies in the `working` spans."""
    columns = np.arange(within[0] // _DAY_US, -(-within[1] // _DAY_US))
    worked = np.zeros(len(columns), dtype=np.int64)
    for begin, end in working:
        first, last = begin // _DAY_US - columns[0], -(-end // _DAY_US) - columns[0]
        days = columns[first:last] * _DAY_US
        worked[first:last] += np.minimum(days + _DAY_US, end) - np.maximum(days, begin)
    return columns, worked / _DAY_US


def _day_as_camtrapr(item: CameraPeriod, origin: datetime, length: int) -> NDArray[np.float64]:
    """Return the days of one row of camtrapR's CTtable: spans of whole seconds with both ends, a second short each."""
    starts = np.arange(length) * _DAY_US
    ends = starts + _DAY_US - _SECOND_US
    begin, end = _span(item.start, item.end, origin)
    end -= 0 if item.dates_only else _SECOND_US
    there = (starts <= end) & (begin <= ends)
    set_up = np.minimum(ends, end) - np.maximum(starts, begin)
    out = np.zeros(length, dtype=np.int64)
    for first, last in item.outages:
        off, on = _span(first, last, origin)
        out += np.maximum(np.minimum(ends, on - _SECOND_US) - np.maximum(starts, off), 0)
    # One quotient from the other, for halves of the last place fall to either side by it.
    share = rounded_as_r(set_up / _DAY_US - out / _DAY_US, _PLACES) + 0.0
    return np.where(there, share, np.nan)


def _together_as_camtrapr(
    rows: NDArray[np.float64], all_on: bool, independent: bool, dates_only: bool
) -> NDArray[np.float64]:
    """Return the days of a location from those of its C cameras, shape (C, D)."""
    missing = np.isnan(rows)
    if len(rows) == 1 and not all_on:
        return np.array(rows[0])
    total = np.where(missing.all(axis=0), np.nan, np.nansum(rows, axis=0))
    if all_on:
        # A comparison with NA is NA in R, unless another one is FALSE already.
        partly = (~missing & (rows != 1)).any(axis=0)
        unknown = missing.any(axis=0)
        least = np.where(unknown, np.nan, rows.min(axis=0))
        times = len(rows) if independent else 1
        if not dates_only:
            return least * times
        return np.where(partly, 0.0, np.where(unknown, np.nan, float(times)))
    if independent:
        return total
    together: NDArray[np.float64] = total / np.maximum((~missing).sum(axis=0), 1)
    return np.minimum(total, 1.0) if dates_only else together


def _merged(spans: Iterable[Span]) -> list[Span]:
    """Return spans in order, those that touch as one."""
    merged: list[Span] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def _overlap(one: Sequence[Span], other: Sequence[Span]) -> list[Span]:
    """Return what two lists of spans in order have in common."""
    found: list[Span] = []
    at, beside = 0, 0
    while at < len(one) and beside < len(other):
        begin, end = max(one[at][0], other[beside][0]), min(one[at][1], other[beside][1])
        if begin < end:
            found.append((begin, end))
        if one[at][1] < other[beside][1]:
            at += 1
        else:
            beside += 1
    return found


def _span(start: datetime, end: datetime, origin: datetime) -> Span:
    return (start - origin) // _MICROSECOND, (end - origin) // _MICROSECOND


def _midnight(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time())
