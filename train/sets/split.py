"""Divides labelled photographs into train, validation, test and other events of seen locations so that nothing leaks; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctwatch.errors import ConfigError

from .stratify import deal

SPLITS = ("train", "validation", "test", "test_seen")
"""`test`: units (by default locations) that are in no other split; `test_seen`: other events of training locations."""
TRAIN, VALIDATION, TEST, TEST_SEEN = range(4)
LEFT_OUT = -1
UNITS = ("location", "event", "image")
SEVERAL = -1
"""The label of a photograph with several species."""
MAX_LISTED = 20

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Shares:
    """Parts of the photographs, 0..1; what validation and test leave is for training."""

    validation: float = 0.15
    test: float = 0.2
    seen: float = 0.1
    """Of the training locations' photographs, held out by whole events; only if whole locations are divided."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What N labelled photographs are divided by; each number indexes into names that are sorted and unique.

    Sorted names make the result independent of the order of the rows.
    """

    labels: Numbers
    """(N,); `SEVERAL` where there is more than one."""
    sources: Numbers
    locations: Numbers
    events: Numbers
    contents: Numbers
    """Photographs of the same bytes have the same number."""
    given: NDArray[np.int8]
    """(N,) split that the source itself says, `LEFT_OUT` where it says none."""
    location_names: Sequence[str]
    event_names: Sequence[str]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, eq=False)
class Division:
    """The split of every row, and what somebody should know about it."""

    splits: NDArray[np.int8]
    """(N,) index into `SPLITS`; the same for photographs of the same bytes."""
    warnings: tuple[str, ...]


def divide(rows: Rows, unit: str, shares: Shares, seed: int) -> Division:
    """Return a split of photographs in which whole units stay together and labels are spread as evenly as units allow.

    Units that share a photograph's bytes count as one. Units for which the source gives a split keep it. The others are
    dealt out, those with the rarest labels first (after Sechidis et al. 2011, for groups): train gets the first unit of
    every label, test and validation the next while they have room, the rest goes where most of it is lacking. With
    locations as units a part of the training locations' events becomes `test_seen`, dealt in the same manner. Every
    source of labels is spread like a label. The result depends on the seed and not on the order of the rows.

    Args:
        rows: The photographs.
        unit: One of `UNITS`; with `image` frames of one event are in several splits, and figures are too good.
        shares: How large the parts are to be.
        seed: Breaks ties.

    Raises:
        ConfigError: A unit is given two splits, there are fewer units than parts, or the shares leave nothing.
    """
    _demand(len(rows) > 0, "no labelled photograph is left to divide")
    _demand(
        min(shares.validation, shares.test, shares.seen) >= 0
        and shares.validation + shares.test <= 1 + 1e-9
        and shares.seen < 1,
        f"validation {shares.validation:g} and test {shares.test:g} must be 0 or more and no more than 1 together; "
        f"seen {shares.seen:g} must be below 1",
    )
    warnings = []
    events = joined(rows.events, rows.contents)
    units = {"event": events, "image": rows.contents}.get(unit)
    if units is None:
        units = joined(joined(rows.locations, rows.contents), events)
    inner = {"location": rows.locations, "event": rows.events, "image": rows.contents}[unit]
    number, together = _groups_of_several(inner, units)
    if number:
        warnings.append(
            f"{together} {unit}s share photographs of the same bytes with another and are kept together, in {number} "
            f"{'group' if number == 1 else 'groups'}"
        )
    _check_given(rows, unit, units, events)
    # What is given to one photograph of a unit holds for all of it.
    _, unit_of = np.unique(units, return_inverse=True)
    splits = _spread_given(rows, unit, unit_of, events)
    one_each = _first_of_each(rows)
    free = splits == LEFT_OUT
    if free.any():
        wanted = _wanted(shares)
        _demand_enough(unit, unit_of[free], splits[~free], list(wanted), warnings)
        parts = _deal(unit_of, rows, free & one_each, list(wanted.values()), np.random.default_rng([seed, 0]))
        splits[free] = np.array(list(wanted), np.int8)[parts[unit_of[free]]]
    else:
        absent = [name for number, name in enumerate(SPLITS[:3]) if not (splits == number).any()]
        if absent:
            warnings.append(f"the sources give every photograph a split, and none {' or '.join(absent)}")
    inside = free & (splits == TRAIN)
    if unit == "location" and shares.seen > 0 and inside.any():
        _hold_out(rows, events, inside, inside & one_each, splits, shares.seen, np.random.default_rng([seed, 1]))
        if not (splits == TEST_SEEN).any():
            warnings.append("train needs every event that it has, so that there is no test_seen")
    if unit == "image":
        warnings.append(
            "divided --by image: frames of one event are in several splits; figures will be too good, "
            "and the set is marked leaky"
        )
    return Division(splits, tuple(warnings))


def joined(groups: NDArray[np.integer[Any]], links: NDArray[np.integer[Any]]) -> Numbers:
    """Return group numbers (N,) in which groups that share a link have one number, the least of theirs.

    Args:
        groups: (N,), 0 or more.
        links: (N,) any numbers; rows of the same link belong together.
    """
    link, group = _pairs(links, groups)
    same = link[1:] == link[:-1]
    one, other = group[:-1][same], group[1:][same]
    if not len(one):
        return groups.astype(np.int64)
    parent = np.arange(int(groups.max()) + 1)
    while True:
        ends, starts = parent[one], parent[other]
        apart = ends != starts
        if not apart.any():
            return np.asarray(parent[groups], np.int64)
        high, low = np.maximum(ends, starts)[apart], np.minimum(ends, starts)[apart]
        np.minimum.at(parent, high, low)
        while (parent[parent] != parent).any():
            parent = parent[parent]


def balanced(
    blank: NDArray[np.bool_], parts: NDArray[np.integer[Any]], events: NDArray[np.integer[Any]],
    contents: NDArray[np.integer[Any]], seed: int,
) -> NDArray[np.bool_]:  # fmt: skip
    """Return which photographs form a set with as many blank as other photographs, in each part.

    Norouzzadeh et al. 2018 took all animal photographs and as many blank ones at random. Here n = min(blank, others) in
    each part; the commoner kind is drawn without replacement, by whole events, the last of which is cut to be exact.

    Args:
        blank: (N,) whether no animal is to be seen.
        parts: (N,) number of the part, below 0 for none: the splits of each source.
        events: (N,) ranks of sorted names, as are contents; so that the order of the rows does not matter.
        contents: (N,) no two the same.
        seed: Of the draw.
    """
    chosen = np.zeros(len(blank), bool)
    if not len(blank):
        return chosen
    luck = np.random.default_rng([seed, 2]).permutation(int(events.max()) + 1)
    order = np.lexsort((contents, luck[events]))
    for part in np.unique(parts[parts >= 0]).tolist():
        inside = order[parts[order] == part]
        empty, other = inside[blank[inside]], inside[~blank[inside]]
        least = min(len(empty), len(other))
        chosen[empty[:least]] = chosen[other[:least]] = True
    return chosen


def _deal(
    units: Numbers,
    rows: Rows,
    chosen: NDArray[np.bool_],
    shares: Sequence[float],
    random: np.random.Generator,
    *,
    fill: bool = True,
) -> NDArray[np.int8]:
    """Return the part of every unit, dealt by the chosen rows."""
    parts = np.zeros(int(units.max()) + 1, np.int8)
    dealt = deal(units[chosen], rows.labels[chosen], rows.sources[chosen], shares, random, fill=fill)
    parts[: len(dealt)] = dealt
    return parts


def _demand(condition: bool, sentence: str) -> None:
    if not condition:
        raise ConfigError([sentence])


def _pairs(one: NDArray[np.integer[Any]], other: NDArray[np.integer[Any]]) -> tuple[Numbers, Numbers]:
    """Return every pair that occurs, once, sorted; numbers are 0 or more."""
    wide = int(other.max(initial=0)) + 1
    keys = np.unique(one.astype(np.int64) * wide + other)
    return keys // wide, keys % wide


def _groups_of_several(inner: Numbers, outer: Numbers) -> tuple[int, int]:
    """Return how many outer groups hold more than one inner group, and how many inner ones these are."""
    sizes = np.unique(_pairs(outer, inner)[0], return_counts=True)[1]
    return int((sizes > 1).sum()), int(sizes[sizes > 1].sum())


def _first_of_each(rows: Rows) -> NDArray[np.bool_]:
    """Return (N,) one row of each content, whatever the order of the rows."""
    order = np.lexsort((rows.events, rows.sources, rows.contents))
    first = np.zeros(len(rows), bool)
    first[order] = np.diff(rows.contents[order], prepend=-1) != 0
    return first


def _hold_out(
    rows: Rows,
    events: Numbers,
    inside: NDArray[np.bool_],
    counted: NDArray[np.bool_],
    splits: NDArray[np.int8],
    share: float,
    random: np.random.Generator,
) -> None:
    """Move a share of the events inside from train to `test_seen`, in place."""
    _, event_of = np.unique(events, return_inverse=True)
    parts = _deal(event_of, rows, counted, (1 - share, share), random, fill=False)
    splits[inside & (parts[event_of] == 1)] = TEST_SEEN
    # A location of which nothing is trained on would not be seen: one event of it goes back.
    unseen = np.flatnonzero(inside & ~np.isin(rows.locations, rows.locations[splits == TRAIN]))
    unseen = unseen[np.lexsort((event_of[unseen], rows.locations[unseen]))]
    back = event_of[unseen[np.diff(rows.locations[unseen], prepend=-1) != 0]]
    splits[inside & np.isin(event_of, back)] = TRAIN


def _wanted(shares: Shares) -> dict[int, float]:
    """Return the splits with a share, in the order in which they get the first units of a label."""
    sizes = {TRAIN: 1 - shares.validation - shares.test, TEST: shares.test, VALIDATION: shares.validation}
    return {split: size for split, size in sizes.items() if size > 1e-9}


def _demand_enough(unit: str, free: Numbers, given: NDArray[np.int8], wanted: list[int], why: list[str]) -> None:
    """Raise ConfigError if some wanted split must stay empty."""
    number = len(np.unique(free))
    missing = [split for split in wanted if not (given == split).any()]
    if number >= len(missing):
        return
    names = ", ".join(SPLITS[split] for split in missing)
    remedy = {
        "location": "label more locations, divide --by event, or set --validation or --test to 0",
        "event": "label more events, or set --validation or --test to 0",
        "image": "label more photographs, or set --validation or --test to 0",
    }[unit]
    raise ConfigError(
        [
            f"{number} {unit}{'' if number == 1 else 's'} cannot be divided into {len(missing)} parts ({names}): {remedy}",
            *why,
        ]
    )


def _check_given(rows: Rows, unit: str, units: Numbers, events: Numbers) -> None:
    """Raise ConfigError if the sources give the photographs of one unit, or of one event, different splits."""
    fixed = rows.given != LEFT_OUT
    problems = []
    within = {
        "location": (units, rows.locations, rows.location_names),
        "event": (events, rows.events, rows.event_names),
    }
    if unit == "image":
        groups, given = rows.contents[fixed], rows.given[fixed]
        for one in _torn(groups, given).tolist():
            row = int(np.flatnonzero(rows.contents == one)[0])
            said = " and ".join(SPLITS[each] for each in sorted({int(each) for each in given[groups == one]}))
            event = rows.event_names[int(rows.events[row])]
            problems.append(f"a photograph of event {event!r} has the split {said} by its sources; give it one")
        within = {}
    for level, (groups, inner, names) in within.items():
        if level == "location" and unit == "event":
            continue
        given = rows.given.astype(np.int64)
        if level == "location":
            given = np.where(given == TEST_SEEN, TRAIN, given)
        for one in _torn(groups[fixed], given[fixed]).tolist():
            inside = fixed & (groups == one)
            said = " and ".join(SPLITS[each] for each in sorted({int(each) for each in rows.given[inside]}))
            who = ", ".join(sorted(repr(names[each]) for each in {int(each) for each in inner[inside]})[:3])
            shared = " (which share photographs of the same bytes)" if len(np.unique(inner[inside])) > 1 else ""
            remedy = (
                "give them one, leave the splits out, or divide --by event" if level == "location" else "give it one"
            )
            problems.append(f"{level} {who}{shared} has the split {said} by its sources; {remedy}")
    if problems:
        rest = len(problems) - MAX_LISTED
        raise ConfigError(problems[:MAX_LISTED] + ([f"... and {rest} more"] if rest > 0 else []))


def _torn(groups: Numbers, given: NDArray[np.integer[Any]]) -> Numbers:
    """Return the groups with more than one given split."""
    numbers, counts = np.unique(_pairs(groups, given)[0], return_counts=True)
    return np.asarray(numbers[counts > 1], np.int64)


def _spread_given(rows: Rows, unit: str, unit_of: Numbers, events: Numbers) -> NDArray[np.int8]:
    """Return (N,) the given split of every photograph whose unit has one, else `LEFT_OUT`."""
    fixed = np.flatnonzero(rows.given != LEFT_OUT)
    of_unit = np.full(int(unit_of.max()) + 1, LEFT_OUT, np.int8)
    given = rows.given[fixed]
    of_unit[unit_of[fixed]] = np.where((given == TEST_SEEN) & (unit == "location"), TRAIN, given)
    splits = of_unit[unit_of]
    if unit == "location":
        of_event = np.full(int(events.max()) + 1, LEFT_OUT, np.int8)
        of_event[events[fixed]] = given
        own = of_event[events]
        splits = np.where(own != LEFT_OUT, own, splits)
    return np.asarray(splits, np.int8)
