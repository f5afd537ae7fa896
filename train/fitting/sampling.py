"""Which photographs make up each batch; what a step draws depends on the seed and the step alone, so that it can resume."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .recipe import Sampling

Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]

PASSES, DRAWS, COINS, CHANGES, NOISE = range(5)
"""What a random number is for; part of its seed."""


def generator(seed: int, purpose: int, *numbers: int) -> np.random.Generator:
    """Return the random numbers of one purpose at one step (or epoch, or pass)."""
    return np.random.default_rng([seed, purpose, *numbers])


class Stream(Protocol):
    """An endless row of batches."""

    def batch(self, step: int) -> Numbers:
        """Return the rows (batch,) of a step, counted from 0."""


class Shuffled:
    """Every photograph once a pass, in an order of its own for each pass; passes run on across epochs.

    Neither is an epoch cut short nor does it begin anew: 7,000 batches of 128 are 896,000 draws whatever the set's size
    (Norouzzadeh et al. 2017, Table S.1).
    """

    def __init__(self, count: int, batch_size: int, seed: int) -> None:
        self._count, self._batch_size, self._seed = count, batch_size, seed
        self._orders: dict[int, Numbers] = {}

    def batch(self, step: int) -> Numbers:
        """Return the rows of a step."""
        positions = np.arange(step * self._batch_size, (step + 1) * self._batch_size)
        passes = positions // self._count
        rows = np.empty(len(positions), np.int64)
        for number in np.unique(passes).tolist():
            inside = passes == number
            rows[inside] = self._order(number)[positions[inside] % self._count]
        return rows

    def _order(self, number: int) -> Numbers:
        if number not in self._orders:
            self._orders = {known: order for known, order in self._orders.items() if known == number - 1}
            self._orders[number] = generator(self._seed, PASSES, number).permutation(self._count)
        return self._orders[number]


class Drawn:
    """Photographs drawn with given probabilities, epoch by epoch.

    Systematic sampling: in an epoch every row comes up its expected number of times, rounded up or down, in random order.
    """

    def __init__(self, chances: Floats, batch_size: int, steps_per_epoch: int, seed: int) -> None:
        self._chances, self._batch_size, self._seed = chances, batch_size, seed
        self._steps_per_epoch = steps_per_epoch
        self._epoch = -1
        self._rows = np.empty(0, np.int64)

    def batch(self, step: int) -> Numbers:
        """Return the rows of a step."""
        epoch, inside = divmod(step, self._steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._rows = epoch, self._draw(epoch)
        return self._rows[inside * self._batch_size : (inside + 1) * self._batch_size]

    def _draw(self, epoch: int) -> Numbers:
        random = generator(self._seed, DRAWS, epoch)
        count = self._steps_per_epoch * self._batch_size
        marks = (np.arange(count) + random.random()) / count
        order = random.permutation(len(self._chances))
        ends = np.cumsum(self._chances[order])
        rows = order[np.searchsorted(ends, marks * ends[-1]).clip(max=len(order) - 1)]
        random.shuffle(rows)
        return np.asarray(rows, np.int64)


def chances(targets: Numbers, sources: NDArray[np.integer], source_names: Sequence[str], sampling: Sampling) -> Floats:
    """Return the probability (N,) with which each training photograph is drawn, summing to 1.

    Sources of labels get their share; inside a source labels are drawn equally often if the sampling is balanced;
    photographs with target -1 (blank frames in the species task) get `blank_share` of all draws.

    Raises:
        ValueError: Nothing can be drawn.
    """
    result = np.zeros(len(targets), np.float64)
    known = targets >= 0
    for number in np.unique(sources[known]).tolist():
        rows = np.flatnonzero(known & (sources == number))
        each = np.ones(len(rows))
        if sampling.kind == "balanced":
            each = 1.0 / np.bincount(targets[rows])[targets[rows]]
        # Without stated shares a source weighs as much as it has photographs.
        share = sampling.shares.get(source_names[number], 1.0) if sampling.shares else len(rows)
        result[rows] = share * each / each.sum()
    if result.sum() <= 0:
        raise ValueError("no training photograph can be drawn")
    result /= result.sum()
    blank = np.flatnonzero(~known)
    if len(blank) and sampling.blank_share > 0:
        result *= 1 - sampling.blank_share
        result[blank] = sampling.blank_share / len(blank)
    return result


def is_drawn(sampling: Sampling) -> bool:
    """Return whether photographs are drawn by chance instead of each once a pass."""
    return sampling.kind == "balanced" or bool(sampling.shares) or sampling.blank_share > 0


def stream(
    targets: Numbers,
    sources: NDArray[np.integer],
    source_names: Sequence[str],
    sampling: Sampling,
    *,
    batch_size: int,
    steps_per_epoch: int,
    seed: int,
) -> Stream:
    """Return the batches of a recipe's sampling over N training photographs."""
    if is_drawn(sampling):
        return Drawn(chances(targets, sources, source_names, sampling), batch_size, steps_per_epoch, seed)
    return Shuffled(len(targets), batch_size, seed)


RIGHT, NEAR, FAR = 0, 1, 2
"""The label was the first answer, among the best five, or not even there."""


class Emphasis:
    """Two queues of photographs that the network got wrong, from which it learns again (Norouzzadeh et al. 2017, S.4).

    A queue grows by the error rate and shrinks by its chance, so it has a bound: the oldest go first. A photograph waits
    only once in a queue.
    """

    def __init__(self, sampling: Sampling, batch_size: int, seed: int) -> None:
        self._batch_size, self._seed = batch_size, seed
        self._chances = {NEAR: sampling.top1_chance, FAR: sampling.top5_chance}
        self._most = sampling.queue_batches * batch_size
        self._waiting: dict[int, dict[int, None]] = {NEAR: {}, FAR: {}}

    def add(self, rows: Numbers, outcomes: NDArray[np.integer]) -> None:
        """Put the mistakes of a batch at the back of their queues."""
        for queue, waiting in self._waiting.items():
            for row in rows[outcomes == queue].tolist():
                waiting.pop(row, None)
                waiting[row] = None
            for row in list(waiting)[: max(0, len(waiting) - self._most)]:
                del waiting[row]

    def again(self, step: int) -> list[Numbers]:
        """Return the batches to learn from again after a step: none, one or two; only whole batches leave a queue."""
        coins = generator(self._seed, COINS, step).random(2)
        batches = []
        for coin, (queue, waiting) in zip(coins, self._waiting.items(), strict=True):
            if coin < self._chances[queue] and len(waiting) >= self._batch_size:
                rows = list(waiting)[: self._batch_size]
                for row in rows:
                    del waiting[row]
                batches.append(np.array(rows, np.int64))
        return batches

    def state(self) -> dict[str, list[int]]:
        """Return what a checkpoint keeps."""
        return {str(queue): list(waiting) for queue, waiting in self._waiting.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what a checkpoint kept."""
        self._waiting = {queue: dict.fromkeys(int(row) for row in state[str(queue)]) for queue in (NEAR, FAR)}
