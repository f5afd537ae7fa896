"""Clock corrections: what a camera's clock wrote -> when it really was, by moments known on both clocks; and back.

A correction is a value of the deployment, so it can be undone: files are never edited (camtrapdp's shift_time and
camtrapR's timeShiftImages shift likewise by one amount per deployment; Timelapse also bends linearly between two).
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ctwatch.domain import NO_TIMESTAMP, ClockPoint, ClockReference

_FUTURE_TOLERANCE = timedelta(days=1)
"""As for times that no clock correction touched: a camera on summer time, or east of the computer, is not ahead."""
_MICROSECOND = timedelta(microseconds=1)
_TOLD = re.compile(
    r"(?:; )?(?:reference photograph (?:'.*?'|\".*?\") (?:is not among this deployment's photographs; correct its name"
    r"|has no time; name another one|is the name of \d+ photographs with different times; write more of its path)"
    r"|the clock cannot have said .*?; correct the references, times are left as recorded)"
)


def correct(recorded: NDArray[np.datetime64], points: Sequence[ClockPoint]) -> NDArray[np.datetime64]:
    """Return the actual time of each recorded time, datetime64[us], shape (N,); NaT stays NaT.

    Without points nothing changes, one point shifts by a constant (exact to the microsecond), several bend: the offset
    is linear between neighbours and that of the nearest point outside them. Order is kept as long as the points are in
    one order on both clocks; with a drift, times a microsecond apart may become equal.
    """
    return _shifted(recorded, [(point.recorded, point.actual - point.recorded) for point in points])


def recorded_of(actual: NDArray[np.datetime64], points: Sequence[ClockPoint]) -> NDArray[np.datetime64]:
    """Return what the camera wrote at each actual time, shape (N,): the inverse of `correct`, to the microsecond.

    With a drift it may be one microsecond beside.
    """
    return _shifted(actual, [(point.actual, point.recorded - point.actual) for point in points])


def correct_one(recorded: datetime, points: Sequence[ClockPoint]) -> datetime | None:
    """Return the actual time of one recorded time; None where no calendar holds it."""
    if not points:
        return recorded
    if len(points) == 1:
        try:
            return recorded + (points[0].actual - points[0].recorded)
        except OverflowError:
            return None
    value: datetime | int | None = correct(np.array([recorded], dtype="datetime64[us]"), points)[0].item()
    return value if isinstance(value, datetime) else None


def points_of(
    points: Sequence[ClockPoint],
    references: Sequence[ClockReference],
    file_paths: Sequence[str],
    recorded: NDArray[np.datetime64],
) -> tuple[tuple[ClockPoint, ...], tuple[str, ...]]:
    """Return a deployment's clock points, references looked up among its N photographs, and what could not be.

    A reference names a photograph by the end of its path, capitals aside. Sentences say: none or several photographs
    of that name, one without a time, and points that are not in one order on both clocks; such points are not used.
    """
    found = list(points)
    told: list[str] = []
    if references:
        names: dict[str, list[int]] = {}
        for row, path in enumerate(file_paths):
            names.setdefault(path.rsplit("/", 1)[-1].lower(), []).append(row)
        for reference in references:
            at, problem = _photograph(reference.file_name, names, file_paths, recorded)
            if at is None:
                told.append(f"reference photograph {reference.file_name!r} {problem}")
            else:
                found.append(ClockPoint(recorded[at].astype("datetime64[us]").item(), reference.actual))
    found = sorted(set(found))
    for before, after in pairwise(found):
        if after.recorded <= before.recorded or after.actual <= before.actual:
            told.append(
                f"the clock cannot have said {before.recorded} at {before.actual} and {after.recorded} at"
                f" {after.actual}; correct the references, times are left as recorded"
            )
            return (), tuple(told)
    return tuple(found), tuple(told)


def without_sentences(flag: str | None) -> str:
    """Return a deployment's flag without what `points_of` said in it."""
    return _TOLD.sub("", flag or "").removeprefix("; ")


def judge(
    times: NDArray[np.datetime64], now: datetime, earliest_year: int
) -> tuple[NDArray[np.bool_], list[str | None]]:
    """Return which corrected times count, shape (N,), and for the others why not.

    The rule is that of recorded times: from 1 January of `earliest_year` to a day after `now` (local time).
    """
    values = times.astype("datetime64[us]")
    missing = np.isnat(values)
    early = values < np.datetime64(f"{earliest_year:04d}-01-01", "us")
    late = values > np.datetime64(now + _FUTURE_TOLERANCE, "us")
    trusted: NDArray[np.bool_] = ~(missing | early | late)
    issues: list[str | None] = [None] * len(values)
    for row in np.flatnonzero(~trusted).tolist():
        if missing[row]:
            issues[row] = NO_TIMESTAMP.issue
        else:
            why = f"before {earliest_year}" if early[row] else "in the future"
            issues[row] = f"{str(values[row].astype('datetime64[s]')).replace('T', ' ')} is {why}"
    return trusted, issues


def _shifted(times: NDArray[np.datetime64], offsets: Sequence[tuple[datetime, timedelta]]) -> NDArray[np.datetime64]:
    """Add to each time the offset that is known at some of them."""
    values: NDArray[np.datetime64] = times.astype("datetime64[us]")
    if not offsets:
        return values
    if len(offsets) == 1:
        values += np.timedelta64(offsets[0][1] // _MICROSECOND, "us")
        return values
    known = sorted(offsets)
    first = np.datetime64(known[0][0], "us")
    at = np.array([np.datetime64(moment, "us") - first for moment, _ in known]).astype(np.int64)
    amount = np.array([offset // _MICROSECOND for _, offset in known], dtype=np.int64)
    there = ~np.isnat(values)
    since = (values[there] - first).astype(np.int64)
    # Interpolating what an offset changes, not the times themselves, keeps microseconds within a float's 53 bits.
    change = np.interp(since.astype(np.float64), at.astype(np.float64), (amount - amount[0]).astype(np.float64))
    shifted = values.copy()
    shifted[there] += (np.rint(change).astype(np.int64) + amount[0]).astype("timedelta64[us]")
    return shifted


def _photograph(
    name: str, names: dict[str, list[int]], file_paths: Sequence[str], recorded: NDArray[np.datetime64]
) -> tuple[int | None, str]:
    """Return the row of the photograph whose path ends in a name, or None and why there is none."""
    wanted = name.replace("\\", "/").strip("/").lower()
    rows = [
        row for row in names.get(wanted.rsplit("/", 1)[-1], ()) if f"/{file_paths[row].lower()}".endswith(f"/{wanted}")
    ]
    if not rows:
        return None, "is not among this deployment's photographs; correct its name"
    timed = [row for row in rows if not np.isnat(recorded[row])]
    if not timed:
        return None, "has no time; name another one"
    if len({recorded[row] for row in timed}) > 1:
        several = "; write more of its path"
        return None, f"is the name of {len(rows)} photographs with different times{several}"
    return timed[0], ""
