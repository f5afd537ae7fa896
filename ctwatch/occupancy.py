"""Effort and detection histories: locations by occasions, on columns of numpy.

The rules are camtrapR's with its defaults (cameraOperation with dates at noon; detectionHistory with day1 = "survey" or
"station", includeEffort), except where its behaviour is a quirk: occasions are half open, so a record at exactly
midnight belongs to the day that begins.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ctwatch.domain import Occasion

_DAY = timedelta(days=1)
NOON = timedelta(hours=12)


class FirstDay(StrEnum):
    """Where the first occasion begins (camtrapR day1)."""

    SURVEY = "survey"
    """The first day that any location was active."""
    LOCATION = "location"
    """Each location's own first day; histories are left-aligned."""


@dataclass(frozen=True, slots=True)
class ActivePeriod:
    """One camera working at one location, start <= t < end, camera-clock time."""

    location_id: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Operation:
    """Camera-days worked per location and day.

    `days` holds S x D values: NaN where nothing was set up, else the fraction of the day worked, summed over cameras.
    """

    location_ids: tuple[str, ...]
    first_day: date
    days: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Effort:
    """Camera-days per location and occasion, S x K; NaN where nothing was active."""

    location_ids: tuple[str, ...]
    occasions: tuple[Occasion, ...]
    """With `FirstDay.LOCATION` these are relative to each location and their dates are those of the survey's start."""
    camera_days: NDArray[np.float64]
    origins: NDArray[np.datetime64]
    """Each location's first moment, shape (S,)."""
    surveyed: NDArray[np.datetime64]
    """Each location's first active midnight and the midnight after its last active day, shape (S, 2)."""


@dataclass(frozen=True, slots=True)
class DetectionHistory:
    """Detections of one species, S x K: 1 seen, 0 not seen, NaN not surveyed."""

    scientific_name: str
    y: NDArray[np.float64]
    dropped: int
    """Detections that no cell could take: outside the survey or in a cell without effort."""


def period(
    location_id: str, start: datetime, end: datetime, *, start_is_date: bool = False, end_is_date: bool = False
) -> ActivePeriod:
    """Make the active period of a deployment; a date without a time counts from or to noon, half a day (camtrapR).

    A deployment set up and taken down on one date without times counts as that whole day.
    """
    if start_is_date and end_is_date and start.date() == end.date():
        midnight = _midnight(start.date())
        return ActivePeriod(location_id, midnight, midnight + _DAY)
    if start_is_date:
        noon = _midnight(start.date()) + NOON
        # Taken down before that noon: all that is known is that it was not set up on an earlier day.
        start = noon if end_is_date or noon < end else _midnight(start.date())
    if end_is_date:
        noon = _midnight(end.date()) + NOON
        end = noon if start < noon else _midnight(end.date()) + _DAY
    return ActivePeriod(location_id, start, end)


def operation(periods: Sequence[ActivePeriod]) -> Operation:
    """Build the camera operation matrix of all periods; each day is the fraction of its 24 h worked, to 4 places."""
    useful = [item for item in periods if item.end > item.start]
    location_ids = tuple(sorted({item.location_id for item in useful}))
    if not useful:
        return Operation((), date(1970, 1, 1), np.empty((0, 0)))
    first_day = min(item.start for item in useful).date()
    last_moment = max(item.end for item in useful)
    length = math.ceil((last_moment - _midnight(first_day)) / _DAY)
    days = np.full((len(location_ids), length), np.nan)
    rows = {location_id: row for row, location_id in enumerate(location_ids)}
    for item in useful:
        begin = (item.start - _midnight(first_day)) / _DAY
        end = (item.end - _midnight(first_day)) / _DAY
        columns = np.arange(math.floor(begin), math.ceil(end))
        share = np.round(np.minimum(columns + 1, end) - np.maximum(columns, begin), 4)
        row = days[rows[item.location_id]]
        row[columns] = np.where(np.isnan(row[columns]), 0.0, row[columns]) + share
    return Operation(location_ids, first_day, days)


def effort(worked: Operation, occasion_days: int, first_day: FirstDay = FirstDay.SURVEY) -> Effort:
    """Sum camera-days into occasions of whole days; NaN where every day is NaN or nothing worked.

    The last occasion may be shorter. Raises ValueError for fewer than one day an occasion.
    """
    if occasion_days < 1:
        raise ValueError("occasion_days must be at least 1")
    days = worked.days
    sites, length = days.shape
    offsets = np.zeros(sites, dtype=np.int64)
    active = ~np.isnan(days)
    within = np.column_stack(
        [np.argmax(active, axis=1), length - np.argmax(active[:, ::-1], axis=1)] if length else [offsets, offsets]
    )
    if first_day is FirstDay.LOCATION and sites:
        offsets = np.argmax(~np.isnan(days), axis=1).astype(np.int64)
        aligned = np.full_like(days, np.nan)
        for row, offset in enumerate(offsets):
            aligned[row, : length - offset] = days[row, offset:]
        kept = ~np.all(np.isnan(aligned), axis=0)
        length = int(np.flatnonzero(kept)[-1]) + 1 if kept.any() else 0
        days = aligned[:, :length]
    count = math.ceil(length / occasion_days)
    padded = np.full((sites, count * occasion_days), np.nan)
    padded[:, :length] = days
    blocks = padded.reshape(sites, count, occasion_days)
    total = np.nansum(blocks, axis=2)
    camera_days = np.where(np.isnan(blocks).all(axis=2) | (total <= 0), np.nan, np.round(total, 4))
    start = _midnight(worked.first_day)
    end = start + length * _DAY
    occasions = tuple(
        Occasion(
            f"o{number + 1}",
            start + number * occasion_days * _DAY,
            min(start + (number + 1) * occasion_days * _DAY, end),
        )
        for number in range(count)
    )
    origins = np.datetime64(start, "us") + offsets * np.timedelta64(1, "D")
    surveyed = np.datetime64(start, "us") + within * np.timedelta64(1, "D")
    return Effort(worked.location_ids, occasions, camera_days, origins.astype("datetime64[us]"), surveyed)


def detection_history(
    scientific_name: str,
    location_ids: Sequence[str],
    times: NDArray[np.datetime64],
    surveyed: Effort,
    occasion_days: int,
) -> DetectionHistory:
    """Put the detections of one species (location and time of each) into the cells of an effort table.

    A location without detections is a row of zeros where it was surveyed. Detections at unknown locations, before the
    location's first active day or after its last, or in a cell without effort are counted in `dropped`, never lost in
    silence.
    """
    rows = {location_id: row for row, location_id in enumerate(surveyed.location_ids)}
    y = np.where(np.isnan(surveyed.camera_days), np.nan, 0.0)
    site = np.array([rows.get(location_id, -1) for location_id in location_ids], dtype=np.int64)
    known = site >= 0
    cell = np.full(len(site), -1, dtype=np.int64)
    if known.any():
        moments, first, end = times[known].astype("datetime64[us]"), *surveyed.surveyed[site[known]].T
        since = (moments - surveyed.origins[site[known]]).astype(np.int64)
        there = (first <= moments) & (moments < end)
        cell[known] = np.where(there, np.floor_divide(since, occasion_days * 86_400_000_000), -1)
    inside = known & (cell >= 0) & (cell < y.shape[1])
    inside[inside] = ~np.isnan(y[site[inside], cell[inside]])
    y[site[inside], cell[inside]] = 1.0
    return DetectionHistory(scientific_name, y, int(len(site) - inside.sum()))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time())
