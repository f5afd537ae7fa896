"""Detection histories: rows by occasions, 1 or a count where a species was seen, for all species in one pass."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctwatch.occupancy.codes import Names, coded, places
from ctwatch.occupancy.occasions import Effort, Rules
from ctwatch.occupancy.operation import row_names

UNKNOWN_LOCATION, BEFORE, AFTER, BUFFER, NO_EFFORT, NO_TIME = DROPPED = (
    "unknown location",
    "before first day",
    "after last day",
    "buffer",
    "cell without effort",
    "no time",
)
"""Why a detection is in no cell."""
_DAY_US = 86_400_000_000
_CHUNK = 1 << 17
"""Rows worked on at once: what they need fits into the processor's cache."""


@dataclass(frozen=True, slots=True)
class Detections:
    """Detections as columns, N rows in any order."""

    location_ids: tuple[str, ...]
    location: NDArray[np.int32]
    """Place in `location_ids`, shape (N,)."""
    species: tuple[str, ...]
    species_code: NDArray[np.int32]
    """Place in `species`, shape (N,)."""
    times: NDArray[np.datetime64]
    """datetime64[us], NaT where there is none, shape (N,)."""
    sessions: tuple[str, ...] = ()
    session_code: NDArray[np.int32] | None = None
    """Place in `sessions`, shape (N,); None: the session in which each location was surveyed at the time."""


@dataclass(frozen=True, slots=True)
class DetectionHistory:
    """Detections of one species, S x K: 1 or a count where seen, 0 not seen, NaN not surveyed."""

    scientific_name: str
    y: NDArray[np.float64]
    dropped: int
    """Detections that no cell could take."""
    dropped_because: Mapping[str, int]
    """Number by reason, those of `DROPPED` that occur."""


@dataclass(frozen=True, slots=True)
class SideBySide:
    """One row for each location, T seasons of K occasions side by side (unmarked: unmarkedMultFrame)."""

    location_ids: tuple[str, ...]
    sessions: tuple[str, ...]
    values: tuple[NDArray[np.float64], ...]
    """Each of shape (L, T * K); NaN in the seasons that a location has no row for."""


def detections(
    location_id: Names, scientific_name: Names, times: NDArray[np.datetime64], *, session: Names | None = None
) -> Detections:
    """Make columns of numbers of columns of names; all have N values. Rows without a species are left out."""
    moments = np.asarray(times, dtype="datetime64[us]")
    location_ids, location = coded(location_id)
    species, species_code = coded(scientific_name)
    sessions, session_code = ((), None) if session is None else coded(session)
    named = species_code >= 0
    if not named.all():
        location, species_code, moments = location[named], species_code[named], moments[named]
        session_code = None if session_code is None else session_code[named]
    return Detections(location_ids, location, species, species_code, moments, sessions, session_code)


def detection_histories(
    found: Detections, surveyed: Effort, rules: Rules, species: Sequence[str] | None = None
) -> list[DetectionHistory]:
    """Put all detections into the cells of an effort table; a history for each of `species`, by default all found.

    A row without detections is 0 wherever it was surveyed, and so is a species that was never seen, which camtrapR
    refuses. Occasions are half open: a record at exactly midnight belongs to the day that begins. What no cell takes is
    counted with the reason. A location of `found` may be named like a row, too (`Station__CAM_c1`).

    With `camtrapr_compatible` (R/detectionHistory.R): a record at the very boundary of two occasions belongs to the
    earlier one; where one of a species lies at the beginning of the first and any at midnight, all records of that
    species are taken to be one second after the hour at which days begin, on their dates; records after midnight of the
    last date are dropped. One pass over the records, linear in their number.
    """
    wanted = tuple(found.species if species is None else species)
    which = places(found.species, wanted)
    row_count, cells = surveyed.camera_days.shape
    where = _Rows(found, surveyed)
    keys = np.empty(len(found.times), dtype=np.int64)
    size = row_count * cells
    pits = len(wanted) * size
    times = found.times.view(np.int64)
    width = rules.occasion_days * _DAY_US
    rewritten = _rewritten(found, where, surveyed) if rules.camtrapr_compatible else None
    # Half open in microseconds to the left is half open to the right a microsecond earlier.
    late = 1 if rules.camtrapr_compatible else 0
    for start in range(0, len(keys), _CHUNK):
        part = slice(start, start + _CHUNK)
        row, inside = where.rows(part)
        moments = times[part]
        code = which[found.species_code[part]]
        placed = moments if rewritten is None else rewritten.moments(moments, found.species_code[part])
        since = placed - where.origin[row]
        since -= late
        np.floor_divide(since, width, out=since)
        if late:
            np.maximum(since, 0, out=since)
        inside &= since < cells
        key = code * size
        key += row * cells
        key += since
        if not inside.all():
            off = ~inside
            key[off] = (
                pits + code[off] * len(DROPPED) + where.reasons(moments[off], found.location[part][off], row[off])
            )
        key[code < 0] = pits + len(wanted) * len(DROPPED)
        keys[part] = key
    tally = np.bincount(keys, minlength=pits + len(wanted) * len(DROPPED) + 1)
    counts = tally[:pits].reshape(len(wanted), row_count, cells)
    lost = tally[pits:-1].reshape(len(wanted), len(DROPPED)).copy()
    nothing = np.isnan(surveyed.camera_days) | (surveyed.camera_days == 0)
    lost[:, DROPPED.index(NO_EFFORT)] += counts[:, nothing].sum(axis=1)
    histories = []
    for number, name in enumerate(wanted):
        y = counts[number].astype(np.float64) if rules.count else (counts[number] > 0).astype(np.float64)
        y[nothing] = np.nan
        because = {reason: int(times_) for reason, times_ in zip(DROPPED, lost[number], strict=True) if times_}
        histories.append(DetectionHistory(name, y, int(lost[number].sum()), because))
    return histories


def multi_season(surveyed: Effort, *values: NDArray[np.float64]) -> SideBySide:
    """Lay the rows of each location's sessions side by side, for every matrix (S, K) given: effort, histories.

    Locations and sessions are sorted; rows without a session are left out (unmarked: formatMult; camtrapR:
    unmarkedMultFrameInput).
    """
    sessions = tuple(sorted({session for session in surveyed.sessions if session is not None}))
    rows = [row for row, session in enumerate(surveyed.sessions) if session is not None]
    location_ids = tuple(sorted({surveyed.location_ids[row] for row in rows}))
    location = places([surveyed.location_ids[row] for row in rows], location_ids)
    session = places([str(surveyed.sessions[row]) for row in rows], sessions)
    laid = []
    for matrix in values:
        wide = np.full((len(location_ids), len(sessions), matrix.shape[1]), np.nan)
        wide[location, session] = matrix[rows]
        laid.append(wide.reshape(len(location_ids), -1))
    return SideBySide(location_ids, sessions, tuple(laid))


class _Rows:
    """Finds the row of the effort table for each detection."""

    def __init__(self, found: Detections, surveyed: Effort) -> None:
        self._found = found
        # One row more at the end, for locations that are not known: nothing is inside it.
        lowest = np.iinfo(np.int64).min
        self._begin, self._end = (
            np.append(column.view(np.int64), lowest) for column in np.ascontiguousarray(surveyed.surveyed.T)
        )
        self.origin = np.append(surveyed.origins.view(np.int64), 0)
        self._opened = np.append(surveyed.opened.view(np.int64), lowest)
        self._none = len(surveyed.location_ids)
        of_location: dict[str, list[int]] = {}
        for row, (location_id, name) in enumerate(zip(surveyed.location_ids, row_names(surveyed), strict=True)):
            for key in dict.fromkeys((location_id, name) if surveyed.camera_ids[row] is None else (name,)):
                of_location.setdefault(key, []).append(row)
        candidates = [sorted(of_location.get(key, []), key=lambda row: self._opened[row]) for key in found.location_ids]
        most = max((len(rows) for rows in candidates), default=0)
        self._candidates = np.full((max(most, 1), len(candidates) + 1), self._none, dtype=np.int64)
        for place, rows in enumerate(candidates):
            self._candidates[: len(rows), place] = rows
        # A row without a session takes records without one (-1), one of a session that no record names takes none.
        numbers: dict[str | None, int] = {None: -1} | {name: number for number, name in enumerate(found.sessions)}
        self._session = np.array([*(numbers.get(name, -2) for name in surveyed.sessions), -2], dtype=np.int64)

    def rows(self, part: slice) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the row of each detection and whether it lies within what that row takes."""
        location, moments = self._found.location[part], self._found.times.view(np.int64)[part]
        row = self._candidates[0][location]
        begin = self._begin[row]
        inside = (moments >= begin) & (moments < self._end[row])
        inside &= row != self._none
        sessions = None if self._found.session_code is None else self._found.session_code[part]
        if sessions is not None:
            mine = self._session[row] == sessions
            row, inside = np.where(mine, row, self._none), inside & mine
        for more in self._candidates[1:]:
            other = more[location]
            takes = other != self._none
            if sessions is not None:
                takes &= self._session[other] == sessions
                fits = takes
            else:
                fits = takes & (moments >= self._begin[other]) & (moments < self._end[other])
                takes &= ~inside & (moments >= self._opened[other])
            row = np.where(takes | fits, other, row)
            inside = np.where(fits, (moments >= self._begin[other]) & (moments < self._end[other]), inside)
        return row, inside

    def reasons(
        self, moments: NDArray[np.int64], location: NDArray[np.int32], row: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return the place in `DROPPED` of why each of these is in no cell."""
        unknown = row == self._none
        return np.select(
            [
                np.isnat(moments.view("datetime64[us]")),
                unknown,
                moments < self._opened[row],
                moments < self._begin[row],
            ],
            [DROPPED.index(reason) for reason in (NO_TIME, UNKNOWN_LOCATION, BEFORE, BUFFER)],
            DROPPED.index(AFTER),
        )


@dataclass(frozen=True, slots=True)
class _Rewritten:
    """The times of species of which camtrapR believes that they have dates only."""

    species: NDArray[np.bool_]
    start_hour: int

    def moments(self, moments: NDArray[np.int64], species_code: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return times with the hour at which days begin and second 1, the minute as it is."""
        those = self.species[species_code]
        if not those.any():
            return moments
        minute = np.remainder(moments, 3_600_000_000) // 60_000_000
        hour = self.start_hour * 3_600_000_000
        return np.where(
            those, moments - np.remainder(moments, _DAY_US) + hour + minute * 60_000_000 + 1_000_000, moments
        )


def _rewritten(found: Detections, where: _Rows, surveyed: Effort) -> _Rewritten:
    """Find the species with a record at the beginning of the first occasion and one at midnight."""
    row, inside = where.rows(slice(None))
    moments = found.times.view(np.int64)
    flags = np.zeros((2, max(len(found.species), 1)), dtype=bool)
    for number, those in enumerate((moments == where.origin[row], np.remainder(moments, _DAY_US) == 0)):
        flags[number, found.species_code[inside & those]] = True
    return _Rewritten(flags[0] & flags[1], surveyed.start_hour)
