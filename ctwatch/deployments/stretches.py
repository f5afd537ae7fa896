"""Photographs of a card in the order that the camera took them, cut where its clock jumped."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctwatch.deployments.findings import Rows, Times
from ctwatch.events import file_order

BACK = np.timedelta64(30, "m")
"""Bursts and sub-seconds written out of turn stay below it; a clock that is set does not."""
AHEAD = np.timedelta64(30, "D")
_DATED = re.compile(r"(?:^|(?<=/))(\d{2})(\d{2})(\d{4})(?=\.[^./]*$)")
_NUMBERED = re.compile(r"(?:^|/)[A-Za-z]{0,6}[-_ ]?\d{3,8}[A-Za-z]?\.[^./]*$")
"""IMG_0001.JPG, EK000001.JPG, RCNX0001.JPG, I_00001a.JPG: what cameras call their files."""
_MOST_STEPS_BACK = 10
_MOST_SHARE_BACK = 0.02
_MOST_OF_FEW = 0.2
_NAMES_IT_TAKES = 0.9


@dataclass(frozen=True, slots=True)
class CameraOrder:
    """Photographs with a time, of one card and deployment."""

    rows: Rows
    """In the order that the camera took them, shape (N,)."""
    by_name: bool
    """Their names told that order; otherwise it is that of time."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Photographs in a row between two jumps of the clock."""

    rows: Rows
    first: np.datetime64
    last: np.datetime64
    after_step_back: bool
    """The photograph before it, in the camera's order, has a later time."""


def sequence(rows: Rows, paths: Sequence[str], media_ids: Sequence[str], recorded: Times) -> CameraOrder:
    """Put photographs in the order of the camera's folders and file numbers, or of time where names do not tell it.

    Names do not tell it where they are none that cameras give, or if time would run back at more than ten places and 2 %
    of them, or at every fifth: renamed, or two cameras in one folder. MMDDnnnn (Bushnell) goes by the number.
    """
    rows = rows[~np.isnat(recorded[rows])]
    by_time = CameraOrder(rows[np.argsort(recorded[rows], kind="stable")], by_name=False)
    if sum(bool(_NUMBERED.search(paths[row])) for row in rows.tolist()) < _NAMES_IT_TAKES * len(rows):
        return by_time
    names = _without_dates([paths[row] for row in rows], recorded[rows])
    ordered = rows[np.argsort(file_order(names, [media_ids[row] for row in rows]))]
    back = int(np.count_nonzero(np.diff(recorded[ordered]) < -BACK))
    if back > max(_MOST_STEPS_BACK, _MOST_SHARE_BACK * len(rows)) or back > _MOST_OF_FEW * len(rows):
        return by_time
    return CameraOrder(ordered, by_name=True)


def stretches(ordered: Rows, recorded: Times) -> list[Stretch]:
    """Cut photographs in the camera's order where time runs back or jumps ahead by more than 30 days."""
    if not len(ordered):
        return []
    steps = np.diff(recorded[ordered])
    back = steps < -BACK
    cuts: NDArray[np.int64] = np.flatnonzero(back | (steps > AHEAD)) + 1
    starts = [0, *cuts.tolist()]
    ends = [*cuts.tolist(), len(ordered)]
    found = []
    for start, end in zip(starts, ends, strict=True):
        times = recorded[ordered[start:end]]
        found.append(Stretch(ordered[start:end], times.min(), times.max(), bool(start and back[start - 1])))
    return found


def _without_dates(paths: Sequence[str], recorded: Times) -> list[str]:
    """Return paths whose names begin with the day of the photograph without it, for it says nothing of the order."""
    days = recorded.astype("datetime64[D]")
    months = (days.astype("datetime64[M]").astype(np.int64) % 12 + 1).tolist()
    numbers = ((days - days.astype("datetime64[M]")).astype(np.int64) + 1).tolist()
    stripped: list[str] = []
    agreeing = 0
    for path, month, day in zip(paths, months, numbers, strict=True):
        match = _DATED.search(path)
        agreeing += bool(match and int(match[1]) == month and int(match[2]) == day)
        stripped.append(path[: match.start(1)] + path[match.start(3) :] if match else path)
    return stripped if agreeing >= _NAMES_IT_TAKES * len(paths) else list(paths)
