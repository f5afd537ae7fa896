"""Intervals that respect that photographs of one event, or of one location, are alike: the cluster bootstrap."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..sets.targets import Numbers
from .measure import Floats

ROUNDS = 2000
FIGURES = ("accuracy", "macro_recall", "macro_f1")
_AT_ONCE = 4_000_000
"""Weights drawn at a time; bounds memory."""
_HELD = 100_000_000
"""Sums of clusters that are held at a time."""

Single = NDArray[np.float32]
Interval = list[float]
Replicates = Mapping[str, NDArray[np.float64]]
"""Each of `FIGURES` in every round, (rounds,); NaN where a round drew nothing to measure it on."""


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """What was answered to N items and what was true; cases that are compared share their numbering of clusters."""

    answers: Numbers
    """(N,) in 0..K-1."""
    targets: Numbers
    """(N,) in 0..K-1."""
    clusters: Numbers
    """(N,) the event, or location, of each."""
    weights: Floats | None = None
    """(N,) as in `measure.figures`."""


def replicates(cases: Sequence[Answered], clusters: int, *, rounds: int = ROUNDS, seed: int = 0) -> list[Replicates]:
    """Draw whole clusters with replacement, as many as there are, and measure every case on each draw.

    All cases are measured on the same draws, so differences between them are paired. Macro figures are over the labels
    that occur in the draw. The same seed gives the same result (Efron and Tibshirani 1993, chapter 8).

    Args:
        cases: Items with answers, all of them numbered by the same clusters.
        clusters: How many clusters there are.
        rounds: Draws.
        seed: Of the draws.

    Raises:
        ValueError: A cluster is out of range or lengths differ.
    """
    return [each for group in _groups(cases, clusters) for each in _replicates(group, clusters, rounds, seed)]


def intervals(drawn: Replicates) -> dict[str, Interval | None]:
    """Return the 95 % percentile interval of every figure, rounded; None where there is none."""
    return {name: _interval(values) for name, values in drawn.items()}


def bootstrap(
    answers: Numbers,
    targets: Numbers,
    clusters: Numbers,
    *,
    weights: Floats | None = None,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> dict[str, Interval | None]:
    """Return 95 % intervals of accuracy, macro recall and macro F1 under resampling of clusters.

    None where there are fewer than two clusters: nothing can then be said about another draw of them.

    Args:
        answers: (N,) in 0..K-1.
        targets: (N,) in 0..K-1.
        clusters: (N,) any numbers; equal ones belong together.
        weights: (N,) as in `measure.figures`.
        rounds: Draws.
        seed: Of the draws.
    """
    names, numbered = np.unique(clusters, return_inverse=True)
    case = Answered(answers, targets, numbered.astype(np.int64), weights)
    return intervals(replicates([case], len(names), rounds=rounds, seed=seed)[0])


def difference(a: Replicates, b: Replicates, figure: str) -> Interval | None:
    """Return the 95 % interval of a - b from replicates of one call of `replicates`; None where there is none."""
    return _interval(a[figure] - b[figure])


def paired(
    answers_a: Numbers,
    answers_b: Numbers,
    targets: Numbers,
    clusters: Numbers,
    *,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> dict[str, Interval | None]:
    """Return 95 % intervals of how much better A is than B on the same items; A is clearly better if all is above 0."""
    names, numbered = np.unique(clusters, return_inverse=True)
    cases = [Answered(each, targets, numbered.astype(np.int64)) for each in (answers_a, answers_b)]
    a, b = replicates(cases, len(names), rounds=rounds, seed=seed)
    return {figure: difference(a, b, figure) for figure in FIGURES}


def _groups(cases: Sequence[Answered], clusters: int) -> Iterator[list[Answered]]:
    """Yield runs of cases whose sums fit into memory together; every run sees the same draws."""
    group: list[Answered] = []
    held = 0
    for case in cases:
        size = 3 * clusters * len(np.unique(case.targets))
        if group and held + size > _HELD:
            yield group
            group, held = [], 0
        group.append(case)
        held += size
    if group:
        yield group


def _replicates(cases: Sequence[Answered], clusters: int, rounds: int, seed: int) -> list[Replicates]:
    sums = [_sums(case, clusters) for case in cases]
    parts: list[list[NDArray[np.float64]]] = [[] for _ in cases]
    for drawn in _draws(clusters, rounds, seed):
        for part, (each, labels) in zip(parts, sums, strict=True):
            part.append(_figures(drawn @ each, labels))
    return [
        dict(zip(FIGURES, np.concatenate(part, axis=1) if part else np.empty((len(FIGURES), 0)), strict=True))
        for part in parts
    ]


def _draws(clusters: int, rounds: int, seed: int) -> Iterator[Single]:
    """Yield (some rounds, clusters) times that each cluster was drawn; nothing with fewer than two clusters."""
    if clusters < 2:
        return
    rng = np.random.default_rng([seed, 2000])
    # Rounds are cut into pieces of a size that depends on the number of clusters alone: so do the draws.
    size = max(1, _AT_ONCE // clusters)
    for start in range(0, rounds, size):
        count = min(size, rounds - start)
        drawn = rng.integers(0, clusters, (count, clusters))
        drawn += np.arange(count)[:, None] * clusters
        yield np.bincount(drawn.ravel(), minlength=count * clusters).reshape(count, clusters).astype(np.float32)


def _sums(case: Answered, clusters: int) -> tuple[Single, int]:
    """Return for each cluster how much of each label there is, was right and was said, (C, 3 K'), and K'.

    K' labels occur in the truth; the others count in no figure.
    """
    n = len(case.targets)
    if not n == len(case.answers) == len(case.clusters):
        raise ValueError(f"{len(case.answers)} answers and {len(case.clusters)} clusters for {n} targets")
    if n == 0:
        return np.zeros((clusters, 0), np.float32), 0
    if not 0 <= case.clusters.min() <= case.clusters.max() < clusters:
        raise ValueError(f"clusters from {case.clusters.min()} to {case.clusters.max()}, not 0 to {clusters - 1}")
    present = np.unique(case.targets)
    labels = len(present)
    weights = np.ones(n) if case.weights is None else np.asarray(case.weights, np.float64)
    true = case.clusters * labels + np.searchsorted(present, case.targets)
    place = np.minimum(np.searchsorted(present, case.answers), labels - 1)
    known = present[place] == case.answers
    said = case.clusters * labels + place
    right = weights * (case.answers == case.targets)
    parts = [np.bincount(true, part, clusters * labels) for part in (weights, right)]
    parts.append(np.bincount(said, weights * known, clusters * labels))
    return np.concatenate([part.reshape(clusters, labels) for part in parts], axis=1).astype(np.float32), labels


def _figures(totals: Single, labels: int) -> NDArray[np.float64]:
    """Return `FIGURES` of each round, (3, rounds), from its totals (rounds, 3 K')."""
    true, right, said = (totals[:, part * labels : (part + 1) * labels].astype(np.float64) for part in range(3))
    there = true > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        number = there.sum(axis=1)
        accuracy = right.sum(axis=1) / true.sum(axis=1)
        recall = np.where(there, right / true, 0).sum(axis=1) / number
        score = np.where(there, 2 * right / (true + said), 0).sum(axis=1) / number
    return np.stack([accuracy, recall, score])


def _interval(values: NDArray[np.float64]) -> Interval | None:
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    low, high = np.quantile(known, (0.025, 0.975))
    return [round(float(low), 4), round(float(high), 4)]
