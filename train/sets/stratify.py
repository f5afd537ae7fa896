"""Deals whole units (locations, events, photographs) out to parts so that every label is spread as evenly as can be; pure."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

ROOM = 1.5
"""A part takes units for the sake of a label that it lacks until it holds this many times its share of the photographs."""
MOST_TRIES, LINES_TRIED = 25, 40_000
"""How often units are dealt to find the best: until so many lines of (unit, label) were looked at."""
LARGE = 2.0
"""An empty part takes a unit of up to this many times the median size, whatever its share."""

Numbers = NDArray[np.int64]


def deal(
    units: Numbers,
    labels: Numbers,
    sources: Numbers,
    shares: Sequence[float],
    random: np.random.Generator,
    *,
    fill: bool = True,
) -> NDArray[np.int8]:
    """Return the part of every unit, so that parts have their shares of every label (per source) where units allow it.

    After iterative stratification (Sechidis et al. 2011), for units of many photographs: the unit with the rarest label
    comes first. The first unit of every label goes to the first part, the next to the other parts in turn if they have
    room; every further one to the part that lacks most of what it holds. A source of labels is spread like a label. Units
    that hold the same number of the same label alone are dealt together, so that a million photographs take a second.
    Units are told apart by number alone: with numbers that are
    ranks of names the result does not depend on the order of the photographs.

    Args:
        units: (N,) unit of every photograph, 0..U-1; not all need occur.
        labels: (N,) 0 or more; below 0 for photographs without one of their own, which are spread but reach no part first.
        sources: (N,) 0 or more.
        shares: P parts of the photographs, the first one first in need, summing to 1.
        random: Breaks ties.
        fill: No part stays empty if there are as many units as parts, even if the first one loses a label for it.

    Returns:
        (U,) part 0..P-1; of units that do not occur it means nothing.
    """
    if not len(units):
        return np.zeros(0, np.int8)
    table = _Table(units, labels, sources)
    # Few units can be dealt badly by bad luck: the best of some dealings is taken.
    tries = max(1, min(MOST_TRIES, LINES_TRIED // len(table.unit_of)))
    dealings = (_Dealing(table, shares, random.permutation(len(table.present)), fill) for _ in range(tries))
    return min(
        ((dealing.cost(), number, dealing.parts) for number, dealing in enumerate(dealings)), key=lambda x: x[:2]
    )[2]


class _Table:
    """What the units hold: a line for every stratum (a label of a source) in a unit, sorted by unit."""

    def __init__(self, units: Numbers, labels: Numbers, sources: Numbers) -> None:
        self.present = np.zeros(int(units.max()) + 1, bool)
        wide = int(labels.max(initial=-1)) + 2
        kinds, stratum = np.unique(sources * wide + np.maximum(labels, -1) + 1, return_inverse=True)
        self.label = (kinds % wide - 1).tolist()
        self.source = (kinds // wide).tolist()
        keys, self.numbers = np.unique(units * len(kinds) + stratum, return_counts=True)
        self.unit_of, self.stratum_of = keys // len(kinds), keys % len(kinds)
        self.units, self.begins = np.unique(self.unit_of, return_index=True)
        self.sizes = np.add.reduceat(self.numbers, self.begins)
        self.totals = np.bincount(stratum, minlength=len(kinds)).astype(float).tolist()
        # Pairs of label and unit; photographs without a label of their own (-1) have none.
        labels_of = np.array(self.label)[self.stratum_of]
        high = len(self.present)
        pairs = np.unique((labels_of * high + self.unit_of)[labels_of >= 0])
        self.pair_label, self.pair_unit = pairs // high, pairs % high
        spread = np.bincount(self.pair_label, minlength=wide)
        spread[-1] = len(self.units) + 1  # which index -1 reads
        self.spread = spread.tolist()
        """In how many units each label occurs."""
        self.rarity = np.minimum.reduceat(spread[labels_of], self.begins)
        """Of each unit's rarest label."""
        self.alike = self._alike()

    def _alike(self) -> Numbers:
        """Return a number for every unit, the same for those that hold as many of one stratum alone; -1: like no other."""
        alone = np.diff(np.append(self.begins, len(self.unit_of))) == 1
        keys = self.stratum_of[self.begins] * (int(self.numbers.max()) + 1) + self.numbers[self.begins]
        _, group, size = np.unique(np.where(alone, keys, -1), return_inverse=True, return_counts=True)
        return np.where(alone & (size[group] > 1), group, -1)


class _Dealing:
    """One dealing: what every part holds and lacks, and the part of every unit."""

    def __init__(self, table: _Table, shares: Sequence[float], luck: Numbers, fill: bool) -> None:
        self._table, self._luck = table, luck
        total = int(table.sizes.sum())
        self._quotas = [share * total for share in shares]
        self._lacking = [[share * number for number in table.totals] for share in shares]
        self._held = [0.0] * len(shares)
        self._labels_in: list[set[int]] = [set() for _ in shares]
        self._sources_in: list[set[int]] = [set() for _ in shares]
        self._large = LARGE * float(np.median(table.sizes))
        self.parts = np.zeros(len(table.present), np.int8)
        self._one_by_one(np.flatnonzero(table.alike < 0))
        self._in_bulk(np.flatnonzero(table.alike >= 0))
        if fill:
            self._fill_empty()

    def cost(self) -> float:
        """Return how bad it is: labels that miss a part that they could reach, and how far parts are off their shares."""
        table, count = self._table, len(self._quotas)
        reached = np.unique(table.pair_label * count + self.parts[table.pair_unit])
        spread = np.array(table.spread[:-1])
        missing = int(np.minimum(spread, count).sum()) - len(reached)
        unlearned = int((spread > 0).sum()) - int((reached % count == 0).sum())
        held = np.bincount(self.parts[table.units], weights=table.sizes, minlength=count).tolist()
        off = sum((abs(number - quota) / quota for number, quota in zip(held, self._quotas, strict=True)), 0.0)
        return len(self._quotas) * unlearned + missing + off

    def _one_by_one(self, chosen: Numbers) -> None:
        """Place units that have no other like them, those with the rarest labels first."""
        table = self._table
        order = chosen[np.lexsort((self._luck[table.units[chosen]], table.rarity[chosen]))]
        ends = np.append(table.begins[1:], len(table.unit_of)).tolist()
        begins, units, sizes = table.begins.tolist(), table.units.tolist(), table.sizes.tolist()
        strata, numbers = table.stratum_of.tolist(), table.numbers.tolist()
        for each in order.tolist():
            inside = slice(begins[each], ends[each])
            part = self._place(strata[inside], numbers[inside], sizes[each])
            self.parts[units[each]] = part
            for stratum, number in zip(strata[inside], numbers[inside], strict=True):
                self._put(part, stratum, number)

    def _place(self, strata: list[int], numbers: list[int], size: int) -> int:
        """Return the part of one unit."""
        table = self._table
        labels = {table.label[stratum] for stratum in strata} - {-1}
        wanting = self._wanting(labels, {table.source[stratum] for stratum in strata}, size)
        if wanting is not None:
            return wanting

        def need(part: int) -> float:
            lacking = self._lacking[part]
            return sum((lacking[s] * n / table.totals[s] ** 2 for s, n in zip(strata, numbers, strict=True)), 0.0)

        return max(range(len(self._quotas)), key=need)

    def _wanting(self, labels: set[int], sources: set[int], size: int) -> int | None:
        """Return the first part that lacks a label altogether, the rarest first, or else a source, and has room."""
        if not labels <= self._labels_in[0]:
            return 0
        rarest_first = sorted(labels, key=lambda label: (self._table.spread[label], label))
        for told, held in ((rarest_first, self._labels_in), (sorted(sources), self._sources_in)):
            for name in told:
                for part, inside in enumerate(held):
                    if name not in inside and self._has_room(part, size):
                        return part
        return None

    def _has_room(self, part: int, size: int) -> bool:
        held, quota = self._held[part], self._quotas[part]
        return held + size <= ROOM * quota or (held == 0 and size <= self._large)

    def _put(self, part: int, stratum: int, number: int) -> None:
        self._lacking[part][stratum] -= number
        self._held[part] += number
        self._sources_in[part].add(self._table.source[stratum])
        if self._table.label[stratum] >= 0:
            self._labels_in[part].add(self._table.label[stratum])

    def _in_bulk(self, members: Numbers) -> None:
        """Deal the units that have others like them, group by group: rare labels and large units first."""
        table = self._table
        members = members[np.lexsort((self._luck[table.units[members]], table.alike[members]))]
        begins = np.flatnonzero(np.diff(table.alike[members], prepend=-1))
        groups = np.split(members, begins[1:]) if len(members) else []
        firsts = members[begins]
        for number in np.lexsort((table.alike[firsts], -table.sizes[firsts], table.rarity[firsts])).tolist():
            group = groups[number]
            stratum, size = int(table.stratum_of[table.begins[group[0]]]), int(table.sizes[group[0]])
            taken = self._apportion(len(group), stratum, size)
            self.parts[table.units[group]] = np.repeat(np.arange(len(taken)), taken)

    def _apportion(self, count: int, stratum: int, size: int) -> list[int]:
        """Return how many of `count` units alike each part gets."""
        taken = [0] * len(self._quotas)
        labels, sources = {self._table.label[stratum]} - {-1}, {self._table.source[stratum]}
        while sum(taken) < count and (part := self._wanting(labels, sources, size)) is not None:
            taken[part] += 1
            self._put(part, stratum, size)
        left = count - sum(taken)
        needs = np.maximum([lacking[stratum] / size for lacking in self._lacking], 0)
        ideal = left * (needs / needs.sum() if needs.sum() > 0 else np.array(self._quotas) / sum(self._quotas))
        whole = np.floor(ideal).astype(int)
        whole[np.argsort(whole - ideal, kind="stable")[: left - int(whole.sum())]] += 1
        for part, number in enumerate(whole.tolist()):
            if number:
                taken[part] += number
                self._put(part, stratum, number * size)
        return taken

    def _fill_empty(self) -> None:
        """Give a part without a unit one from the part with most units: the one that takes the fewest labels away."""
        table = self._table
        for part, quota in enumerate(self._quotas):
            present = self.parts[table.units]
            counts = np.bincount(present, minlength=len(self._quotas))
            if counts[part] or counts.max() < 2:
                continue
            donor = int(counts.argmax())
            inside = self.parts[table.pair_unit] == donor
            labels, units = table.pair_label[inside], table.pair_unit[inside]
            only = np.bincount(labels)[labels] == 1 if len(labels) else np.zeros(0, bool)
            lost = np.bincount(units[only], minlength=len(self.parts))
            candidates = np.flatnonzero(present == donor)
            distance = np.abs(table.sizes[candidates] - quota)
            numbers = table.units[candidates]
            best = np.lexsort((self._luck[numbers], distance, lost[numbers]))[0]
            self.parts[numbers[best]] = part
