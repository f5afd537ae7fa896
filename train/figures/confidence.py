"""What is gained by answering only when sure: threshold tables, curves, the two-stage pipeline and its operating point."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..sets.targets import Numbers
from .measure import Flags, Floats, checked, in_top, rounded, wilson

GRID = (0.0, *(round(0.5 + 0.05 * step, 2) for step in range(10)), 0.96, 0.97, 0.98, 0.99)
"""Of the paper's threshold figures (Norouzzadeh et al. 2018, Fig. 5 and 6), as far as they can be read."""
PAPER_POINT = (0.50, 0.97)
"""The paper's thresholds of the two stages."""
HUMAN = 0.966
"""Accuracy of volunteers against experts (Norouzzadeh et al. 2018)."""
SEARCHED = np.concatenate([np.arange(100) / 100, np.arange(991, 1000) / 1000, [0.9995, 0.9999]])
"""Thresholds that a search for an operating point tries."""
AIMS = (0.95, HUMAN, 0.99)
LOST = (0.001, 0.005, 0.01, 0.02, 0.05)
BLANK_TRUTH, OTHER_TRUTH = -1, -2


def threshold_table(
    probabilities: Floats, targets: Numbers, grid: Sequence[float] = GRID, weights: Floats | None = None
) -> list[dict[str, Any]]:
    """Return coverage and accuracy when only answers are kept whose highest probability reaches a threshold.

    The threshold is inclusive. Coverage never rises with it; accuracy may fall, and `falls` says where it does.

    Args:
        probabilities: (N, K).
        targets: (N,).
        grid: Thresholds, ascending.
        weights: (N,) as in `measure.figures`; `n_kept` stays a plain count.

    Returns:
        Rows of `threshold`, `n_kept`, `coverage`, `top1` with Wilson's interval `top1_95`, `top5` and `falls`; figures
        are None where nothing is kept.
    """
    values = checked(probabilities, targets)
    steps = np.asarray(grid, np.float64)
    if (np.diff(steps) <= 0).any():
        raise ValueError("thresholds must ascend")
    weigh = np.ones(len(values)) if weights is None else np.asarray(weights, np.float64)
    reached = np.searchsorted(steps, values.max(axis=1, initial=0.0), side="right") - 1
    right, top = values.argmax(axis=1) == targets, in_top(values, targets)
    kept = _from_top(reached, np.ones(len(values)), len(steps))
    weight, squares, hits, tops = (
        _from_top(reached, part, len(steps)) for part in (weigh, weigh**2, weigh * right, weigh * top)
    )
    rows: list[dict[str, Any]] = []
    before = 0.0
    for at, step in enumerate(steps.tolist()):
        some = kept[at] > 0
        share = hits[at] / weight[at] if some else None
        number = weight[at] ** 2 / squares[at] if some else 0.0
        rows.append(
            {
                "threshold": step,
                "n_kept": int(kept[at]),
                "coverage": rounded(weight[at] / weigh.sum()) if len(values) else None,
                "top1": rounded(share),
                "top1_95": [rounded(end) for end in wilson(share * number, number)] if share is not None else None,
                "top5": rounded(tops[at] / weight[at]) if some else None,
                "falls": bool(share is not None and share < before - 1e-12),
            }
        )
        before = before if share is None else share
    return rows


def risk_coverage(
    probabilities: Floats,
    targets: Numbers,
    weights: Floats | None = None,
    *,
    points: int = 200,
    aims: Sequence[float] = AIMS,
) -> dict[str, Any] | None:
    """Return error among the surest answers against their share, and the area under that curve (Geifman et al. 2019).

    Answers of equal confidence come all at once: within them errors are spread evenly, so that no order of the items
    matters. `coverage_at` is read off these same items and is the better the fewer they are: an operating point must be
    chosen on others.

    Args:
        probabilities: (N, K).
        targets: (N,).
        weights: (N,) as in `measure.figures`.
        points: No more are returned.
        aims: Accuracies for `coverage_at`.

    Returns:
        `coverage`, `risk`, `aurc` and `coverage_at`; None without items.
    """
    values = checked(probabilities, targets)
    if not len(values):
        return None
    weigh = np.ones(len(values)) if weights is None else np.asarray(weights, np.float64)
    sure = values.max(axis=1)
    order = np.lexsort((weigh, -sure))
    sure, weigh, wrong = sure[order], weigh[order], (values.argmax(axis=1) != targets)[order]
    ends = np.append(np.flatnonzero(np.diff(sure)), len(sure) - 1)
    mass, errors = np.cumsum(weigh), np.cumsum(weigh * wrong)
    expected = np.interp(mass, np.append(0, mass[ends]), np.append(0, errors[ends]))
    area = float((weigh * expected / mass).sum() / mass[-1])
    coverage, risk = mass[ends] / mass[-1], errors[ends] / mass[ends]
    at = []
    for aim in aims:
        good = np.flatnonzero(1 - risk >= aim - 1e-12)
        found = int(good[-1]) if len(good) else None
        cell = {"coverage": 0.0 if found is None else rounded(coverage[found])}
        at.append({"accuracy": aim, **cell, "threshold": None if found is None else rounded(sure[ends][found], 5)})
    shown = _thin(len(ends), points)
    return {
        "coverage": [rounded(x) for x in coverage[shown].tolist()],
        "risk": [rounded(x, 5) for x in risk[shown].tolist()],
        "aurc": rounded(area, 5),
        "coverage_at": at,
    }


def empty_curve(blank: Floats, is_blank: Flags, *, points: int = 200) -> list[dict[str, Any]]:
    """Return which share of the blanks is removed at which share of animals lost, over all thresholds.

    What reaches the threshold is removed (inclusive). Of thresholds that lose the same animals the lowest is kept. The
    first point removes nothing; its threshold is None unless some threshold removes blanks without losing an animal.

    Args:
        blank: (N,) probability of blank.
        is_blank: (N,) truth.
        points: No more are returned; they lie closer where few animals are lost.
    """
    thresholds, lost, removed = _curve(blank, is_blank)
    if not len(thresholds):
        return []
    last = np.append(np.flatnonzero(np.diff(lost)), len(lost) - 1)
    shown = last[_thin(len(last), points, power=2)]
    return [
        {
            "threshold": rounded(float(thresholds[at]), 5),
            "animals_lost": rounded(float(lost[at]), 5),
            "blanks_removed": rounded(float(removed[at])),
        }
        for at in shown
    ]


def empties_removed(blank: Floats, is_blank: Flags, at_most: Sequence[float] = LOST) -> list[dict[str, Any]]:
    """Return the most blanks that can be removed while losing at most some shares of the animals, read off these items.

    Args:
        blank: (N,) probability of blank.
        is_blank: (N,) truth.
        at_most: Shares of animals lost, 0..1.
    """
    thresholds, lost, removed = _curve(blank, is_blank)
    rows = []
    for limit in at_most if len(thresholds) else ():
        at = int(np.searchsorted(lost, limit + 1e-12, side="right")) - 1
        rows.append(
            {
                "at_most": limit,
                "threshold": rounded(float(thresholds[at]), 5),
                "animals_lost": rounded(float(lost[at]), 5),
                "blanks_removed": rounded(float(removed[at])),
            }
        )
    return rows


@dataclass(frozen=True, slots=True, eq=False)
class Stages:
    """N items on their way through the empty filter and then the species models."""

    first: NDArray[np.float64]
    """(N,) the empty filter's confidence in what it says, max(p(blank), p(animal))."""
    blank: Flags
    """(N,) it says blank."""
    second: NDArray[np.float64]
    """(N,) the species models' confidence."""
    right: Flags
    """(N,) the label that automation would give is the truth."""
    truth: Numbers
    """(N,) number of the species; -1 blank; -2 an animal that the species models do not know."""


def stages(blank: Floats | None, species: Floats, truth: Numbers) -> Stages:
    """Return items ready for `two_stage` and `match_human`.

    A probability of blank of exactly 0.5 counts as animal. An animal called blank is wrong, a blank given any species is
    wrong, and so is a species that the models do not know.

    Args:
        blank: (N,) probability of blank; None for species models alone.
        species: (N, K).
        truth: (N,) as in `Stages`.

    Raises:
        ValueError: Something is not a number or does not fit.
    """
    named = checked(species)
    empty = np.zeros(len(named)) if blank is None else np.asarray(blank, np.float64)
    if not len(empty) == len(named) == len(truth):
        raise ValueError(f"{len(empty)} probabilities of blank and {len(named)} of species for {len(truth)} items")
    checked(empty[:, None])
    if len(truth) and not OTHER_TRUTH <= truth.min() <= truth.max() < named.shape[1]:
        raise ValueError(f"truths from {truth.min()} to {truth.max()} with {named.shape[1]} labels")
    said = empty > 0.5
    right = np.where(said, truth == BLANK_TRUTH, named.argmax(axis=1) == truth)
    return Stages(np.maximum(empty, 1 - empty), said, named.max(axis=1), right, np.asarray(truth, np.int64))


def two_stage(items: Stages, t1: float | None, t2: float) -> dict[str, Any]:
    """Return what two thresholds, both inclusive, label automatically and how well (Norouzzadeh et al. 2018).

    Below `t1` in the first stage a person looks; what is called blank ends there; below `t2` in the second a person
    looks; the rest gets its species.

    Returns:
        `coverage` = automatic / all, `accuracy` = right / automatic with Wilson's interval (None if nothing is
        automatic), the numbers of either kind and of each kind of mistake.
    """
    sure = items.first >= (0.0 if t1 is None else t1)
    empty = sure & items.blank
    named = sure & ~items.blank & (items.second >= t2)
    auto, right = int((empty | named).sum()), int(((empty | named) & items.right).sum())
    n = len(items.truth)
    return {
        "t1": t1,
        "t2": t2,
        "n": n,
        "auto": auto,
        "coverage": rounded(auto / n) if n else None,
        "accuracy": rounded(right / auto) if auto else None,
        "accuracy_95": [rounded(end) for end in wilson(right, auto)] if auto else None,
        "auto_empty": int(empty.sum()),
        "auto_species": int(named.sum()),
        "missed_animals": int((empty & (items.truth != BLANK_TRUTH)).sum()),
        "empties_named": int((named & (items.truth == BLANK_TRUTH)).sum()),
        "wrong_species": int((named & ~items.right & (items.truth != BLANK_TRUTH)).sum()),
    }


def two_stage_grid(items: Stages, t1: Floats, t2: Floats) -> tuple[Numbers, Numbers]:
    """Return how many items are automatic and how many of them right for all pairs of thresholds, each (len t1, len t2).

    Counts once per item and sums from the top, instead of looking at every pair.

    Args:
        items: N items.
        t1: Ascending thresholds of the first stage.
        t2: Ascending thresholds of the second.
    """
    rows = np.searchsorted(t1, items.first, side="right") - 1
    # What is called blank passes the second stage at any threshold.
    columns = np.where(items.blank, len(t2) - 1, np.searchsorted(t2, items.second, side="right") - 1)
    inside = (rows >= 0) & (columns >= 0)
    cells = rows[inside] * len(t2) + columns[inside]
    counts = []
    for weights in (None, items.right[inside].astype(np.float64)):
        count = np.bincount(cells, weights, len(t1) * len(t2)).reshape(len(t1), len(t2))
        counts.append(np.rint(count[::-1, ::-1].cumsum(axis=0).cumsum(axis=1)[::-1, ::-1]).astype(np.int64))
    return counts[0], counts[1]


def match_human(items: Stages, target: float = HUMAN, *, one_stage: bool = False) -> tuple[float | None, float] | None:
    """Return the thresholds (t1, t2) that label the most items automatically while accuracy is surely at the target.

    "Surely": the lower end of Wilson's 95 % interval reaches it. Of equal coverage the more accurate thresholds are
    taken, then the higher ones. To be searched on validation and reported on test.

    Args:
        items: Of the validation split.
        target: Accuracy, 0..1; 0.966 is that of the paper's volunteers.
        one_stage: There is no empty filter; t1 is None.

    Returns:
        None if no thresholds of the grid reach the target.
    """
    t1 = np.zeros(1) if one_stage else SEARCHED[SEARCHED >= 0.5]
    auto, right = two_stage_grid(items, t1, SEARCHED)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = right / auto
        lower = _wilson_lower(share, auto)
    good = np.flatnonzero((auto > 0) & (lower >= target))
    if not len(good):
        return None
    best = good[np.lexsort((good, share.flat[good], auto.flat[good]))[-1]]
    row, column = divmod(int(best), len(SEARCHED))
    return (None if one_stage else float(t1[row])), float(SEARCHED[column])


def species_thresholds(
    probabilities: Floats,
    targets: Numbers,
    *,
    precision: float | None = None,
    recall: float | None = None,
    least: int = 20,
) -> dict[str, Any]:
    """Return a threshold for every label from which its answers are good enough, to be chosen on validation.

    Give one of the two. `precision`: the lowest threshold such that this share of the label's answers that reach it is
    right. `recall`: the highest threshold at which that share of the label's
    items is still answered rightly. Labels with fewer than `least` items (in the truth, or for precision among the
    answers) get the threshold that all labels together reach.

    Returns:
        `thresholds` (K,) and `pooled` 0..1, `counts` (K,) items of each label, `own` (K,) whether it is the label's
        own, `reached` (K,) whether the aim is reached there; where precision is never reached the threshold is 1.
    """
    if (precision is None) == (recall is None):
        raise ValueError("give a precision or a recall, one of them")
    values = checked(probabilities, targets)
    labels = values.shape[1]
    answers, sure = values.argmax(axis=1), values.max(axis=1, initial=0.0)
    right = answers == targets
    counts = np.bincount(targets, minlength=labels)

    def find(among: Flags, of: int) -> tuple[float, bool]:
        if precision is not None:
            return _at_precision(sure[among], right[among], precision)
        return _at_recall(sure[among & right], of, recall or 0.0)

    pooled, pooled_reached = find(np.ones(len(values), bool), len(values))
    thresholds, reached = np.full(labels, pooled), np.full(labels, pooled_reached)
    said = np.bincount(answers, minlength=labels)
    own = (counts >= least) & ((said >= least) if precision is not None else True)
    for label in np.flatnonzero(own):
        thresholds[label], reached[label] = find(answers == label, int(counts[label]))
    return {"thresholds": thresholds, "pooled": pooled, "counts": counts, "own": own, "reached": reached}


def _at_precision(sure: Floats, right: Flags, aim: float) -> tuple[float, bool]:
    order = np.argsort(-sure, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(sure[order])), len(order) - 1) if len(order) else np.empty(0, np.int64)
    share = np.cumsum(right[order])[ends] / (ends + 1) if len(ends) else np.empty(0)
    good = np.flatnonzero(share >= aim - 1e-12)
    return (float(sure[order][ends[good[-1]]]), True) if len(good) else (1.0, False)


def _at_recall(sure_and_right: Floats, of: int, aim: float) -> tuple[float, bool]:
    needed = int(np.ceil(aim * of - 1e-9))
    ordered = np.sort(np.asarray(sure_and_right, np.float64))[::-1]
    if needed == 0:
        return 1.0, of > 0
    return (float(ordered[needed - 1]), True) if len(ordered) >= needed else (0.0, False)


def _curve(blank: Floats, is_blank: Flags) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return thresholds, descending, with the shares of animals lost and of blanks removed; first one removes nothing.

    Empty without animals or without blanks: one of the shares would be of nothing.
    """
    values, empty = np.asarray(blank, np.float64), np.asarray(is_blank, bool)
    if len(values) != len(empty):
        raise ValueError(f"{len(values)} probabilities for {len(empty)} truths")
    checked(values[:, None])
    if not empty.any() or empty.all():
        return np.empty(0), np.empty(0), np.empty(0)
    order = np.argsort(-values, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(values[order])), len(order) - 1)
    lost, removed = np.cumsum(~empty[order])[ends] / (~empty).sum(), np.cumsum(empty[order])[ends] / empty.sum()
    return np.append(np.inf, values[order][ends]), np.append(0.0, lost), np.append(0.0, removed)


def _from_top(reached: Numbers, weights: Floats, steps: int) -> NDArray[np.float64]:
    """Return the sum of weights of the items that reach each step."""
    inside = reached >= 0
    return np.asarray(np.bincount(reached[inside], weights[inside], steps)[::-1].cumsum()[::-1], np.float64)


def _thin(number: int, points: int, power: int = 1) -> Numbers:
    """Return at most some of the positions 0..number-1, both ends among them."""
    if number <= points:
        return np.arange(number)
    return np.unique(np.rint(np.linspace(0, 1, points) ** power * (number - 1)).astype(np.int64))


def _wilson_lower(share: Floats, n: Numbers, z: float = 1.96) -> NDArray[np.float64]:
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4.0 * n * n))
    return np.asarray((share + z * z / (2 * n) - half) / (1 + z * z / n), np.float64)
