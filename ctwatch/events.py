"""Media of one deployment -> capture events, on columns of numpy so that millions of frames take seconds.

A capture event is one visit as the camera saw it. It is not an independent detection: that is a rule about records of
one species, minutes apart, for counting (camtrapR's deltaTimeComparedTo).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ctwatch.identity import derived_id

_DIGITS = re.compile(r"[0-9]+")


class EventMode(StrEnum):
    """What makes a new event."""

    GAP = "gap"
    """More than `event_gap_s` since the previous frame (MegaDetector, Timelapse and Wildlife Insights alike)."""
    TRIGGER = "trigger"
    """The camera's own sequence n of m and event number where it wrote them, else the gap."""


@dataclass(frozen=True, slots=True)
class EventRule:
    """How frames are grouped; times in seconds."""

    gap_s: float = 60.0
    """Exactly this long after the previous frame still joins."""
    mode: EventMode = EventMode.GAP
    cap_s: float | None = None
    """A frame later than this after the event's first frame starts a new event; None: visits may last for ever."""


@dataclass(frozen=True, slots=True)
class Frames:
    """Columns of one deployment's media, one row each, all of the same length N."""

    media_id: NDArray[np.object_]
    timestamp: NDArray[np.datetime64]
    """datetime64[us]; NaT without a time."""
    trusted: NDArray[np.bool_]
    time_lapse: NDArray[np.bool_]
    sequence_number: NDArray[np.int64]
    """Frame n of the camera's own sequence; 0 where it wrote none."""
    event_number: NDArray[np.int64]
    """The camera's own count of triggers; -1 where it wrote none."""
    file_order: NDArray[np.int64]
    """Rank of the file among the deployment's files, from `file_order`; breaks ties in time."""

    def __len__(self) -> int:
        return len(self.media_id)


@dataclass(frozen=True, slots=True)
class Grouping:
    """Which frames form which events.

    `order` holds row numbers of the frames that take part, in capture order; `starts` the positions in `order` at which
    an event begins (E of them). Time-lapse frames take no part.
    """

    order: NDArray[np.int64]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts)

    def sizes(self) -> NDArray[np.int64]:
        """Frames of each event, shape (E,)."""
        return np.diff(np.append(self.starts, len(self.order)))

    def event_of_position(self) -> NDArray[np.int64]:
        """The event's number for each position in `order`."""
        return np.repeat(np.arange(len(self.starts), dtype=np.int64), self.sizes())

    def parts(self, count: int, size: int) -> list[tuple[int, int]]:
        """Cut `count` positions, those behind `order` standing alone, into runs (first, behind the last) of whole events.

        Each run has `size` positions and the rest of the event that it ends in.
        """
        begins = np.concatenate([self.starts, np.arange(len(self.order), count + 1)])
        cuts = np.unique(begins[np.searchsorted(begins, np.arange(0, count + size, size).clip(max=count))])
        return list(pairwise(cuts.tolist()))

    def between(self, first: int, last: int) -> "Grouping":
        """The events that begin at positions from `first` to before `last`, of frames numbered anew in this order."""
        starts = self.starts[slice(*np.searchsorted(self.starts, [first, last]))]
        return Grouping(np.arange(max(0, min(last, len(self.order)) - first)), starts - first)


def file_order(paths: Sequence[str], media_ids: Sequence[str]) -> NDArray[np.int64]:
    """Rank files as a person counts them: 100RECNX before 101RECNX, IMG_9 before IMG_10; same names by content id."""

    keys = [(_DIGITS.sub(_as_number, path.lower()), media_id) for path, media_id in zip(paths, media_ids, strict=True)]
    ranks = np.empty(len(paths), dtype=np.int64)
    ranks[sorted(range(len(paths)), key=keys.__getitem__)] = np.arange(len(paths))
    return ranks


def _as_number(digits: re.Match[str]) -> str:
    """Return digits so that they are ordered by value: how many count, then these.

    They stand between zero characters, which no path has: text that ends where a number begins comes before longer text.
    """
    significant = digits[0].lstrip("0")
    return f"\0{chr(len(significant))}{significant}\0"


def group(frames: Frames, rule: EventRule) -> Grouping:
    """Group motion-triggered frames into capture events.

    Order is (time with sub-second, camera event number, camera sequence number, file), so that two bursts that meet
    within one second do not mix. Frames without a trustworthy time come last, in file order, each an event of its own.
    Independent of the order of the rows; without a cap, a wider gap only ever joins events.
    """
    timed = ~frames.time_lapse & frames.trusted & ~np.isnat(frames.timestamp)
    rows = np.flatnonzero(timed)
    numbers = (frames.file_order[rows], frames.sequence_number[rows], frames.event_number[rows])
    rows = rows[np.lexsort((*numbers, frames.timestamp[rows]))]
    begins = np.ones(len(rows), dtype=bool)
    if len(rows) > 1:
        begins[1:] = _breaks(frames, rows, rule)
        if rule.cap_s is not None:
            _cap(frames.timestamp[rows], begins, rule.cap_s)
    untimed = np.flatnonzero(~frames.time_lapse & ~timed)
    untimed = untimed[np.argsort(frames.file_order[untimed], kind="stable")]
    order = np.concatenate([rows, untimed])
    begins = np.concatenate([begins, np.ones(len(untimed), dtype=bool)])
    return Grouping(order.astype(np.int64), np.flatnonzero(begins).astype(np.int64))


def event_ids(frames: Frames, grouping: Grouping) -> list[str]:
    """Return a stable id per event, named after its first frame's content.

    The same frames have the same id after re-processing, on other machines, and when a later card adds frames behind.
    """
    first = frames.media_id[grouping.order[grouping.starts]]
    return [derived_id("event", media_id) for media_id in first]


def _breaks(frames: Frames, rows: NDArray[np.int64], rule: EventRule) -> NDArray[np.bool_]:
    """Whether a new event starts between each two consecutive rows."""
    gaps = np.diff(frames.timestamp[rows]).astype("timedelta64[us]").astype(np.int64)
    far: NDArray[np.bool_] = gaps > round(rule.gap_s * 1_000_000)
    if rule.mode is EventMode.GAP:
        return far
    sequence, trigger = frames.sequence_number[rows], frames.event_number[rows]
    in_sequence = (sequence[:-1] > 0) & (sequence[1:] > 0)
    numbered = (trigger[:-1] >= 0) & (trigger[1:] >= 0)
    restarts = sequence[1:] <= sequence[:-1]
    # With both event numbers the camera has said which trigger it was; without, a gap still tells missing frames.
    other = np.where(numbered, (trigger[1:] != trigger[:-1]) | restarts, restarts | far)
    return np.where(in_sequence, other, far)


def _cap(times: NDArray[np.datetime64], begins: NDArray[np.bool_], cap_s: float) -> None:
    """Add a beginning wherever a frame is later than the cap after its event's first frame."""
    cap = np.timedelta64(round(cap_s * 1_000_000), "us")
    starts = np.flatnonzero(begins)
    ends = np.append(starts[1:], len(times))
    for start, end in zip(starts, ends, strict=True):
        position = start
        while times[end - 1] - times[position] > cap:
            position += int(np.searchsorted(times[position:end], times[position] + cap, side="right"))
            begins[position] = True
