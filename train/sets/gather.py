"""What several label sources say, brought together: one row per photograph with its event and its one label; pure."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from ctwatch import events
from ctwatch.domain import BLANK
from ctwatch.errors import ConfigError
from ctwatch.identity import derived_id

from ..labels.annotation import Labels
from .consensus import Median, Propagated, consensus, propagate
from .split import LEFT_OUT, SPLITS

CONTRADICTION, NO_LOCATION = "contradiction", "no_location"
LONGEST_NAME = 1000
"""Characters of a label, location or event."""
MAX_LISTED = 20

Species = tuple[str, ...]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A photograph that is not in the set, and why."""

    path: str
    reason: str
    """`contradiction`, `no_location`, `missing`, `not_a_file` or a `Failure`."""
    detail: str


@dataclass(frozen=True, slots=True)
class Photograph:
    """What one source says about one photograph, its annotators agreed."""

    path: str
    species: Species
    source: str
    location: str
    """Empty where it is not known. The same name is the same place, in all sources."""
    event: str | None
    """As the source names it."""
    taken: datetime | None
    given: int
    """Index into `SPLITS`, `LEFT_OUT` where the source says none."""
    of_event: bool
    support: float | None
    evenness: float | None
    tie: bool


@dataclass(frozen=True, slots=True)
class Gathered:
    """Everything that the sources say."""

    photographs: tuple[Photograph, ...]
    """By source in the order given, then by path."""
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]


def gather(sources: Sequence[Labels], *, median: Median, need_location: bool) -> Gathered:
    """Return one row per source and photograph: annotators agreed, answers about events passed on to their photographs.

    Args:
        sources: In the order in which they matter: the first that names a photograph has it.
        median: How many species there are when annotators disagree; see `consensus.decide`.
        need_location: Leave out photographs without a location.

    Raises:
        ConfigError: Two sources have one name, a name is too long, or no photograph has the location that is needed.
    """
    names = [each.source for each in sources]
    problems = [
        f"two sources of labels are called {name!r}; write NAME=PATH"
        for name in sorted(set(names))
        if names.count(name) > 1
    ]
    photographs: list[Photograph] = []
    left_out: list[LeftOut] = []
    notes: list[str] = []
    for labels in sources:
        notes += [f"{labels.source}: {note}" for note in labels.notes]
        agreed = propagate(labels.annotations, median)
        left_out += _contradicted(labels, agreed)
        notes += _doubted(labels, agreed)
        ties = _ties(labels, median)
        own = [
            Photograph(
                str(each.path),
                tuple(sorted(map(plain_name, each.species))),
                labels.source,
                plain_name(each.location or ""),
                None if each.event is None else plain_name(each.event),
                each.captured_at.replace(tzinfo=None) if each.captured_at else None,
                LEFT_OUT if each.split is None else SPLITS.index(each.split),
                each.of_event,
                each.support,
                each.evenness,
                (each.location, each.event) in ties if each.of_event else each.path in ties,
            )
            for each in agreed.annotations
        ]
        placed = [each for each in own if each.location or not need_location]
        if own and not placed:
            problems.append(
                f"{labels.source}: no photograph has a location; divide --by event or --by image, or add the locations"
            )
        elif len(placed) < len(own):
            left_out += [
                LeftOut(
                    each.path, NO_LOCATION, "it may be of any place, of one that is tested on, too; --by event keeps it"
                )
                for each in own
                if not each.location
            ]
        photographs += sorted(placed, key=lambda each: each.path)
    problems += _bad_names(photographs)
    if problems:
        raise ConfigError(problems)
    return Gathered(tuple(photographs), tuple(left_out), tuple(notes))


def _bad_names(photographs: Sequence[Photograph]) -> list[str]:
    names = {name for each in photographs for name in (*each.species, each.location, each.event or "")}
    longest = max(map(len, names), default=0)
    problems = []
    if longest > LONGEST_NAME:
        problems.append(
            f"a label, location or event has a name of {longest:,} characters; {LONGEST_NAME:,} are allowed"
        )
    if any("" in each.species for each in photographs):
        problems.append("a label is empty; name what is to be seen")
    return problems


def _contradicted(labels: Labels, agreed: Propagated) -> list[LeftOut]:
    """Return the photographs about which nothing is left but contradictions."""
    kept = {each.path for each in agreed.annotations}
    why: dict[object, str] = {}
    for each in agreed.contradictions:
        why[each.path] = str(each)
        if each.event is not None:
            why.setdefault((each.location, each.event), str(each))
    gone = {each.path: (each.location, each.event) for each in labels.annotations if each.path not in kept}
    unknown = "what is said about it excludes each other"
    return [
        LeftOut(str(path), CONTRADICTION, why.get(path, why.get(place, unknown)))
        for path, place in sorted(gone.items(), key=lambda item: str(item[0]))
    ]


def _doubted(labels: Labels, agreed: Propagated) -> list[str]:
    """Return a note of contradictions that others' answers outlived."""
    paths = {each.path for each in agreed.annotations}
    number = sum(each.path in paths for each in agreed.contradictions)
    what = "annotator calls" if number == 1 else "annotators call"
    return [f"{labels.source}: {number} {what} one thing {BLANK} and a species; not counted"] if number else []


def _ties(labels: Labels, median: Median) -> set[object]:
    """Return the photographs, and the (location, event) pairs, whose answer was a tie between species."""
    if all(each.annotator is None for each in labels.annotations):
        return set()
    tied = (each for each in consensus(labels.annotations, median) if each.answer is not None and each.answer.tie)
    return {each.photograph or (each.location, each.event) for each in tied}


def plain_name(text: str) -> str:
    """Return a name that a file in UTF-8 can hold; bytes of file names that are not UTF-8 stay what they are."""
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def name_events(
    photographs: Sequence[Photograph], media_ids: Sequence[str], taken: Sequence[datetime | None], gap_s: float
) -> tuple[list[str], int]:
    """Return a name for the event of every photograph, unique across sources and locations, and how many had to stand alone.

    Where the source names no event, photographs of one source, location and folder are grouped by time: a pause of more
    than `gap_s` begins a new event. The time is the source's; where a source has none at all, that of the photograph's
    header. A photograph without a time is an event of its own.

    Args:
        photographs: N of them.
        media_ids: Content id of each.
        taken: When each was taken by its header.
        gap_s: Seconds.
    """
    timed = {each.source for each in photographs if each.taken is not None}
    keys: list[tuple[str, str, str]] = []
    loose: dict[tuple[str, str, str], list[int]] = {}
    for row, each in enumerate(photographs):
        keys.append((each.source, each.location, each.event or ""))
        if each.event is None:
            loose.setdefault((each.source, each.location, os.path.dirname(each.path)), []).append(row)
    alone = 0
    for (source, location, _), rows in loose.items():
        times = [photographs[row].taken if source in timed else taken[row] for row in rows]
        alone += times.count(None)
        for row, name in zip(rows, _by_time(photographs, media_ids, rows, times, gap_s), strict=True):
            keys[row] = (source, location, name)
    return _unique_names(keys), alone


def _by_time(
    photographs: Sequence[Photograph],
    media_ids: Sequence[str],
    rows: Sequence[int],
    times: Sequence[datetime | None],
    gap_s: float,
) -> list[str]:
    """Return the event's name for each of the photographs of one folder."""
    own = [media_ids[row] for row in rows]
    if len(rows) == 1:
        return [derived_id("event", own[0])]
    count = len(rows)
    moments = np.array(times, "datetime64[us]")
    frames = events.Frames(
        np.array(own, dtype=object), moments, ~np.isnat(moments), np.zeros(count, bool), np.zeros(count, np.int64),
        np.full(count, -1), events.file_order([photographs[row].path for row in rows], own),
    )  # fmt: skip
    grouping = events.group(frames, events.EventRule(gap_s))
    names = events.event_ids(frames, grouping)
    result = [""] * count
    for row, number in zip(grouping.order.tolist(), grouping.event_of_position().tolist(), strict=True):
        result[row] = names[number]
    return result


def _unique_names(keys: Sequence[tuple[str, str, str]]) -> list[str]:
    """Return "source/location/event" of every key, with a mark where slashes in names would make two the same."""
    names = {key: "/".join(key) for key in set(keys)}
    users: dict[str, int] = {}
    for name in names.values():
        users[name] = users.get(name, 0) + 1
    for key, name in names.items():
        if users[name] > 1:
            names[key] = f"{name} {derived_id(*key)[:8]}"
    return [names[key] for key in keys]


def passed_on(species: Sequence[Species], event_names: Sequence[str]) -> list[Species]:
    """Return for every photograph what is to be seen on any of its event (Norouzzadeh et al. 2018, SI: labels of events).

    An event of {zebra, zebra, nothing} gives three photographs of zebra; it is blank if all of it is.
    """
    seen: dict[str, set[str]] = {}
    for names, event in zip(species, event_names, strict=True):
        seen.setdefault(event, set()).update(names)
    whole = {event: tuple(sorted(names)) for event, names in seen.items()}
    return [whole[event] for event in event_names]


@dataclass(frozen=True, slots=True)
class Contents:
    """Photographs of the same bytes taken together."""

    kept: tuple[int, ...]
    """The row that stands for each content: the first."""
    species: dict[str, Species]
    """By media id: everything that is said of it."""
    contradictory: dict[str, str]
    """By media id, in words: called blank here and something else there. They are not kept."""
    duplicates: tuple[tuple[int, int], ...]
    """(row, row that is kept for it)."""
    doubled: int
    """How many contents have several species because their copies differ (S.1 of Norouzzadeh et al. 2018)."""


def by_content(media_ids: Sequence[str], species: Sequence[Species], paths: Sequence[str]) -> Contents:
    """Return which of N photographs are counted: each content once, and none that copies contradict each other about.

    Copies with different species are one photograph with all of these species; blank and a species exclude each other.
    """
    copies: dict[str, list[int]] = {}
    for row, media_id in enumerate(media_ids):
        copies.setdefault(media_id, []).append(row)
    joined: dict[str, Species] = {}
    contradictory: dict[str, str] = {}
    doubled = 0
    for media_id, rows in copies.items():
        answers = {species[row] for row in rows}
        joined[media_id] = tuple(sorted({name for names in answers for name in names}))
        if () in answers and len(answers) > 1:
            others = ", ".join(joined[media_id])
            where = " and ".join(paths[row] for row in rows[:2])
            contradictory[media_id] = f"the same bytes ({where}) are called {BLANK} and {others}"
        doubled += () not in answers and len(answers) > 1
    kept = [rows for media_id, rows in copies.items() if media_id not in contradictory]
    return Contents(
        tuple(rows[0] for rows in kept),
        joined,
        contradictory,
        tuple((row, rows[0]) for rows in kept for row in rows[1:]),
        doubled,
    )


def ranks(names: Iterable[str]) -> tuple[tuple[str, ...], Numbers]:
    """Return the names that occur, sorted, and each one's rank among them."""
    column = list(names)
    ordered = tuple(sorted(set(column)))
    rank = {name: number for number, name in enumerate(ordered)}
    return ordered, np.fromiter((rank[name] for name in column), np.int64, len(column))


def tally(reasons: Iterable[str]) -> dict[str, int]:
    """Return how often each reason occurs, the most frequent first."""
    counts: dict[str, int] = {}
    for reason in reasons:
        counts[reason] = counts.get(reason, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
