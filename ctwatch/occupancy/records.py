"""Independent records: which detections of a species at a location count as another visit (camtrapR's recordTable)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctwatch.occupancy.codes import Names, coded
from ctwatch.occupancy.rounding import rounded_as_r

_SECOND_US = 1_000_000
_MINUTE_US = 60 * _SECOND_US
_FEW = 64
"""With fewer chains than this, following them one by one is faster than all at once."""


class Compared(StrEnum):
    """What a record must be away from to be independent (camtrapR deltaTimeComparedTo, which has no default)."""

    LAST_INDEPENDENT = "lastIndependentRecord"
    """The last record that was kept: a long visit becomes one record each interval."""
    LAST = "lastRecord"
    """The last record of any kind: a visit is one record, however long."""


@dataclass(frozen=True, slots=True)
class Records:
    """Independent records, M rows in the order of location, species, (camera if cameras are independent,) and time."""

    row: NDArray[np.int64]
    """Place of each in what was given."""
    location_id: NDArray[np.object_]
    camera_id: NDArray[np.object_] | None
    scientific_name: NDArray[np.object_]
    times: NDArray[np.datetime64]
    """datetime64[us]"""
    n_images: NDArray[np.int64]
    """Detections from this record to before the next, itself included, duplicates left out."""
    delta_s: NDArray[np.float64]
    """Whole seconds since the record that it was compared with; 0 for the first."""
    summaries: Mapping[str, NDArray[Any]]
    """By `column_function`, over the detections of `n_images`; NaN or "" where none had a value."""
    dropped: Mapping[str, int]
    """Detections that are part of no record, by reason: no time, no species, excluded, duplicate."""
    camtrapr_compatible: bool = False


@dataclass(frozen=True, slots=True)
class Deltas:
    """Times since the record compared with, shape (M,) each; rounded to 1 place but for the seconds."""

    secs: NDArray[np.float64]
    mins: NDArray[np.float64]
    hours: NDArray[np.float64]
    days: NDArray[np.float64]


def record_table(
    location_id: Names,
    scientific_name: Names,
    times: NDArray[np.datetime64],
    *,
    camera_id: Names | None = None,
    independence_min: float = 60,
    compared: Compared = Compared.LAST_INDEPENDENT,
    cameras_independent: bool = False,
    exclude: Sequence[str] = (),
    remove_duplicates: bool = True,
    summarise: Mapping[str, tuple[NDArray[Any], str]] = {},
    camtrapr_compatible: bool = False,
) -> Records:
    """Return the independent records of N detections, given in any order, `independence_min` minutes apart or more.

    Records are compared within location and species, and camera if `cameras_independent`. Detections of one second are
    one (`remove_duplicates`, always where `independence_min` > 0); 0 minutes keep all. `exclude` leaves out species,
    whatever their capitals. `summarise` is a column of N values by name and what to make of those of a record: sum, max,
    min, mean, median or unique (camtrapR eventSummaryColumn, eventSummaryFunction). Time grows with N log N of sorting.

    With `camtrapr_compatible` (R/variousOtherHelperFunctions.R): independent cameras that take turns cut each other's
    detections off in `n_images` and summaries, and of detections of one second that are kept the later ones count the
    earlier ones, too. Raises ValueError for a negative interval or an unknown function, or independent cameras without
    `camera_id`.
    """
    if independence_min < 0:
        raise ValueError("independence_min must be at least 0")
    if cameras_independent and camera_id is None:
        raise ValueError("independent cameras need camera_id")
    for _, function in summarise.values():
        if function not in _FUNCTIONS:
            raise ValueError(f"{function!r} is none of {', '.join(_FUNCTIONS)}")
    moments = np.asarray(times, dtype="datetime64[us]")
    places, place = coded(location_id)
    names, name = coded(scientific_name)
    cameras, camera = coded(camera_id) if camera_id is not None else ((), np.zeros(len(moments), dtype=np.int32))
    no_time = np.isnat(moments)
    hidden = {excluded.lower() for excluded in exclude}
    unnamed = ~no_time & (name < 0)
    excluded = ~no_time & np.array([*(item.lower() in hidden for item in names), False], dtype=bool)[name]
    rows = np.flatnonzero(~no_time & ~unnamed & ~excluded)
    group = place[rows].astype(np.int64) * len(names) + name[rows]
    by_camera = group * (len(cameras) + 1) + camera[rows] + 1 if cameras_independent else group
    us = moments[rows].view(np.int64)
    order = np.lexsort((us, by_camera))
    rows, group, by_camera, us = rows[order], group[order], by_camera[order], us[order]
    duplicates = 0
    if remove_duplicates or independence_min > 0:
        second = us // _SECOND_US
        again = np.zeros(len(rows), dtype=bool)
        again[1:] = (second[1:] == second[:-1]) & (by_camera[1:] == by_camera[:-1])
        duplicates = int(again.sum())
        rows, group, by_camera, us = rows[~again], group[~again], by_camera[~again], us[~again]
    starts = np.ones(len(rows), dtype=bool)
    starts[1:] = by_camera[1:] != by_camera[:-1]
    kept = _kept(us, starts, round(independence_min * _MINUTE_US), compared)
    delta = _deltas(us, starts, kept, compared, independence_min)
    if camtrapr_compatible:
        # Its table is in the order of time, whatever camera: the next record kept by any of them ends this one.
        by_time = np.lexsort((us, group))
        rows, by_camera, us, kept, delta = rows[by_time], by_camera[by_time], us[by_time], kept[by_time], delta[by_time]
        members, of_record = _members_as_camtrapr(us, by_camera, kept)
    else:
        members, of_record = np.arange(len(rows)), np.cumsum(kept) - 1
    count = int(kept.sum())
    chosen = rows[kept]
    return Records(
        chosen,
        _named(places, place[chosen]),
        None if camera_id is None else _named(cameras, camera[chosen]),
        _named(names, name[chosen]),
        moments[chosen],
        np.bincount(of_record, minlength=count),
        delta[kept],
        {
            f"{column}_{function}": _summary(np.asarray(values)[rows][members], of_record, count, function)
            for column, (values, function) in summarise.items()
        },
        {
            reason: number
            for reason, number in (
                ("no time", int(no_time.sum())),
                ("no species", int(unnamed.sum())),
                ("excluded", int(excluded.sum())),
                ("duplicate", duplicates),
            )
            if number
        },
        camtrapr_compatible,
    )


def deltas(records: Records) -> Deltas:
    """Return times since the record compared with in all units, each of the seconds.

    camtrapR makes each of the rounded one before; with records made `camtrapr_compatible` so do we, and round as R 4.
    """
    secs = records.delta_s
    if records.camtrapr_compatible:
        mins = rounded_as_r(secs / 60, 1)
        hours = rounded_as_r(mins / 60, 1)
        return Deltas(secs, mins, hours, rounded_as_r(hours / 24, 1))
    return Deltas(secs, np.round(secs / 60, 1), np.round(secs / 3600, 1), np.round(secs / 86400, 1))


def independent(us: NDArray[np.int64], starts: NDArray[np.bool_], interval_us: int) -> NDArray[np.bool_]:
    """Mark what lies at least an interval behind the last marked, in groups in order of time; firsts are marked.

    Gaps of an interval or more are cut to it, and the groups laid end to end: then the next record to keep is the first
    that lies an interval behind, wherever it is, and each silence begins a chain of its own. All chains advance together;
    the last few, which may be long, one record at a time. Linear in records, whatever their times.
    """
    gaps = np.diff(us, prepend=0)
    gaps[starts] = interval_us
    np.minimum(gaps, interval_us, out=gaps)
    kept = gaps >= interval_us
    position = np.cumsum(gaps)
    at = np.flatnonzero(kept)
    ends = np.append(at, len(us))[1:]
    while len(at) > _FEW:
        at = np.searchsorted(position, position[at] + interval_us)
        going = at < ends
        at, ends = at[going], ends[going]
        kept[at] = True
    for first, end in zip(at.tolist(), ends.tolist(), strict=True):
        following = (np.searchsorted(position[first:end], position[first:end] + interval_us) + first).tolist()
        here = following[0]
        while here < end:
            kept[here] = True
            here = following[here - first]
    return kept


def _named(names: Sequence[str], codes: NDArray[np.int32]) -> NDArray[np.object_]:
    """Return the names of codes, None of -1."""
    return np.array([*names, None], dtype=object)[codes]


def _kept(us: NDArray[np.int64], starts: NDArray[np.bool_], interval_us: int, compared: Compared) -> NDArray[np.bool_]:
    if not interval_us:
        return np.ones(len(us), dtype=bool)
    if compared is Compared.LAST_INDEPENDENT:
        return independent(us, starts, interval_us)
    return starts | (np.diff(us, prepend=0) >= interval_us)


def _deltas(
    us: NDArray[np.int64],
    starts: NDArray[np.bool_],
    kept: NDArray[np.bool_],
    compared: Compared,
    independence_min: float,
) -> NDArray[np.float64]:
    """Return seconds since the record compared with, for those kept; 0 for the first of a group."""
    delta = np.zeros(len(us))
    if compared is Compared.LAST_INDEPENDENT and independence_min:
        at = np.flatnonzero(kept)
        since = np.diff(us[at], prepend=0)
        since[starts[at]] = 0
        delta[at] = since
    elif len(us):
        # Of several of one moment all are compared with the last before it.
        new = starts.copy()
        new[1:] |= us[1:] != us[:-1]
        at = np.flatnonzero(new)
        since = np.diff(us[at], prepend=0)
        since[starts[at]] = 0
        delta = since[np.cumsum(new) - 1].astype(np.float64)
    return np.round(delta / _SECOND_US)


def _members_as_camtrapr(
    us: NDArray[np.int64], by_camera: NDArray[np.int64], kept: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return places of detections and the record that each counts for; some count for several, some for none."""
    of_record = np.cumsum(kept) - 1
    at = np.flatnonzero(kept)
    same = by_camera == by_camera[at[of_record]] if len(at) else np.zeros(0, dtype=bool)
    members, records = np.flatnonzero(same), of_record[same]
    # Kept detections of one moment count those before them of that moment.
    back = 1
    while back < len(us):
        twins = np.flatnonzero((us[back:] == us[:-back]) & (by_camera[back:] == by_camera[:-back])) + back
        twins = twins[kept[twins]]
        if not len(twins):
            break
        members, records = np.append(members, twins - back), np.append(records, of_record[twins])
        back += 1
    order = np.lexsort((members, records))
    return members[order], records[order]


def _summary(values: NDArray[Any], of_record: NDArray[np.int64], count: int, function: str) -> NDArray[Any]:
    """Reduce values to one for each record; `of_record` is ascending and names each at least once."""
    number = values.dtype.kind in "iufb"
    values = values.astype(np.float64) if number else values.astype(object)
    known = ~np.isnan(values) if number else np.array([value not in (None, "") for value in values], dtype=bool)
    values, of_record = values[known], of_record[known]
    if function == "unique":
        texts: list[str] = [""] * count
        for first, end in zip(*_runs(of_record), strict=True):
            texts[of_record[first]] = ", ".join(dict.fromkeys(_text(value) for value in values[first:end]))
        return np.array(texts, dtype=object)
    if not number:
        raise ValueError(f"{function} needs numbers")
    result = np.full(count, np.nan) if function != "sum" else np.zeros(count)
    if len(values):
        first, end = _runs(of_record)
        result[of_record[first]] = _FUNCTIONS[function](values, first, end)
    return result


def _runs(codes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    first = np.flatnonzero(np.diff(codes, prepend=-1))
    return first, np.append(first, len(codes))[1:]


def _text(value: Any) -> str:
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _median(values: NDArray[np.float64], first: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.float64]:
    ordered = values[np.lexsort((values, np.repeat(np.arange(len(first)), end - first)))]
    length = end - first
    return (ordered[first + (length - 1) // 2] + ordered[first + length // 2]) / 2


_FUNCTIONS: Mapping[str, Callable[[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]], NDArray[np.float64]]] = {
    "sum": lambda values, first, _: np.add.reduceat(values, first),
    "max": lambda values, first, _: np.maximum.reduceat(values, first),
    "min": lambda values, first, _: np.minimum.reduceat(values, first),
    "mean": lambda values, first, end: np.add.reduceat(values, first) / (end - first),
    "median": _median,
    "unique": lambda values, first, _: values[first],
}
