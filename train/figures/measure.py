"""Figures of merit of probabilities against the truth, each with the numbers that it rests on."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctwatch.ensemble import TOP

from ..sets.coverage import majority_baseline
from ..sets.targets import Numbers

Floats = NDArray[np.floating[Any]]
Flags = NDArray[np.bool_]

ECE_BINS = 15
_SMALLEST = 1e-12
"""Probabilities below are taken as this before a logarithm."""


def wilson(right: float, n: float, z: float = 1.96) -> tuple[float, float]:
    """Return Wilson's interval of a share (Wilson 1927), 95 % unless told; (0, 1) when there is nothing to count.

    Items are taken as independent of each other. `right` and `n` need not be whole: weighted shares use Kish's
    effective number.
    """
    if n <= 0:
        return 0.0, 1.0
    share = right / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(max(0.0, share * (1 - share) / n + z * z / (4 * n * n))) / (1 + z * z / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def rounded(value: float | None, places: int = 4) -> float | None:
    """Return a number as JSON should show it; None for None and for what is not finite."""
    return None if value is None or not math.isfinite(value) else round(float(value), places)


def checked(probabilities: Floats, targets: Numbers | None = None) -> NDArray[np.float64]:
    """Return (N, K) probabilities as float64, unchanged.

    Raises:
        ValueError: They are not finite, negative, above 1, not of two axes, or do not fit the targets (N,) in 0..K-1.
    """
    values = np.asarray(probabilities, np.float64)
    if values.ndim != 2 or values.shape[1] == 0:
        raise ValueError(f"probabilities of shape {values.shape}, not (N, K)")
    if not np.isfinite(values).all():
        raise ValueError("probabilities that are not numbers")
    if len(values) and (values.min() < 0 or values.max() > 1 + 1e-6):
        raise ValueError("probabilities outside 0..1")
    if targets is not None:
        if len(targets) != len(values):
            raise ValueError(f"{len(values)} probabilities for {len(targets)} targets")
        if len(targets) and not 0 <= targets.min() <= targets.max() < values.shape[1]:
            raise ValueError(f"targets from {targets.min()} to {targets.max()} with {values.shape[1]} labels")
    return values


def in_top(probabilities: Floats, targets: Numbers, k: int = TOP) -> Flags:
    """Return whether each target is among the k highest of its row, (N,); ties go to the earlier label.

    With fewer than k labels all of them count (Norouzzadeh et al. 2018 report k = 5).
    """
    own = probabilities[np.arange(len(targets)), targets][:, None]
    earlier = np.arange(probabilities.shape[1]) < np.asarray(targets)[:, None]
    before = (probabilities > own) | ((probabilities == own) & earlier)
    return np.asarray(before.sum(axis=1) < k)


def confusion(answers: Numbers, targets: Numbers, labels: int, weights: Floats | None = None) -> NDArray[np.float64]:
    """Return how often (truth, answer) occurs, (K, K) with the truth down; weighted if there are weights (N,)."""
    cells = np.bincount(np.asarray(targets) * labels + answers, weights, labels * labels)
    return np.asarray(cells.reshape(labels, labels), np.float64)


def equal_weights(targets: Numbers) -> NDArray[np.float64]:
    """Return weights (N,) under which every label that occurs weighs the same; they sum to N."""
    if not len(targets):
        return np.empty(0)
    _, label, counts = np.unique(targets, return_inverse=True, return_counts=True)
    return np.asarray(len(targets) / (len(counts) * counts[label]), np.float64)


def reliability(
    probabilities: Floats, targets: Numbers, bins: int = ECE_BINS, weights: Floats | None = None
) -> dict[str, Any]:
    """Return accuracy against confidence in bins of equal width, each (low, high], and the expected calibration error.

    Guo et al. 2017. Confidence 0 is in the first bin. `ece` and the figures of an empty bin are None.
    """
    sure, right = probabilities.max(axis=1, initial=0.0), probabilities.argmax(axis=1) == targets
    weigh = np.ones(len(targets)) if weights is None else np.asarray(weights, np.float64)
    where = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)
    number = np.bincount(where, minlength=bins)
    weight, hit, trust = (np.bincount(where, part, bins) for part in (weigh, weigh * right, weigh * sure))
    rows = [
        {
            "low": rounded(index / bins),
            "high": rounded((index + 1) / bins),
            "n": int(number[index]),
            "confidence": rounded(trust[index] / weight[index]) if weight[index] > 0 else None,
            "accuracy": rounded(hit[index] / weight[index]) if weight[index] > 0 else None,
        }
        for index in range(bins)
    ]
    error = float(np.abs(hit - trust).sum() / weight.sum()) if weight.sum() > 0 else None
    return {"bins": rows, "ece": rounded(error, 5)}


def calibration_error(probabilities: Floats, targets: Numbers, bins: int = ECE_BINS) -> float:
    """Return the expected calibration error of `reliability`, unrounded; 0 when there is nothing to measure."""
    if not len(targets):
        return 0.0
    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    where = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)
    return float(np.abs(np.bincount(where, right - sure, bins)).sum() / len(targets))


def figures(
    probabilities: Floats, targets: Numbers, labels: Sequence[str], weights: Floats | None = None
) -> dict[str, Any]:
    """Return the figures of (N, K) probabilities against (N,) targets, as plain values rounded to four places.

    Macro recall and macro F1 are over the labels that occur in the truth (WILDS, Koh et al. 2021). Rows that do not
    sum to 1, as those of the paper's average, are scaled for `nll` and `ece`. Of equal probabilities the earlier label
    is the answer. Without anything to measure figures are None, never 1.

    Args:
        probabilities: (N, K).
        targets: (N,) in 0..K-1.
        labels: K names.
        weights: (N,) of each item; `equal_weights` gives figures as if labels were equally frequent, and accuracy is
            then macro recall. Counts named `n` and `said` stay unweighted.

    Raises:
        ValueError: Something is not finite or does not fit.
    """
    values = checked(probabilities, targets)
    if values.shape[1] != len(labels):
        raise ValueError(f"{values.shape[1]} probabilities for {len(labels)} labels")
    n = len(targets)
    if n == 0:
        return {
            "n": 0,
            **dict.fromkeys(("accuracy", "accuracy_95", "macro_recall", "macro_f1", "top5", "nll", "ece")),
            "recall": {},
        }
    weigh = np.ones(n) if weights is None else np.asarray(weights, np.float64)
    rows = values / np.maximum(values.sum(axis=1, keepdims=True), _SMALLEST)
    answers = rows.argmax(axis=1)
    total = weigh.sum()
    cells = confusion(answers, targets, len(labels), weigh)
    hit, true, said = np.diag(cells), cells.sum(axis=1), cells.sum(axis=0)
    present = np.flatnonzero(np.bincount(targets, minlength=len(labels)))
    recalls, scores = hit[present] / true[present], 2 * hit[present] / (true[present] + said[present])
    accuracy = hit.sum() / total
    effective = total**2 / (weigh**2).sum()
    low, high = wilson(accuracy * effective, effective)
    likelihood = np.maximum(rows[np.arange(n), targets], _SMALLEST)
    counts, counts_said = np.bincount(targets, minlength=len(labels)), np.bincount(answers, minlength=len(labels))
    return {
        "n": n,
        "accuracy": rounded(accuracy),
        "accuracy_95": [rounded(low), rounded(high)],
        "macro_recall": rounded(recalls.mean()),
        "macro_f1": rounded(scores.mean()),
        "top5": rounded((weigh * in_top(values, targets)).sum() / total),
        "nll": rounded(-(weigh * np.log(likelihood)).sum() / total, 5),
        "ece": reliability(rows, targets, weights=weigh)["ece"],
        "recall": {
            labels[index]: {
                "n": int(counts[index]),
                "recall": rounded(recalls[place]),
                "said": int(counts_said[index]),
                "precision": rounded(hit[index] / said[index]) if said[index] > 0 else None,
                "f1": rounded(scores[place]),
            }
            for place, index in enumerate(present.tolist())
        },
    }


def majority_share(counts: Sequence[int], k: int = 1) -> tuple[float | None, float | None]:
    """Return what naming the k commonest labels always would reach, and the share of labels that it never names.

    The first is top-k accuracy on the same counts (K,): three labels of Snapshot Serengeti hold 63 % of it and 45 of 48
    are ignored. None, None without anything.
    """
    if sum(counts) == 0:
        return None, None
    baseline = majority_baseline(counts, k)
    return baseline.accuracy, baseline.ignored


def precision_at(blank_share: float, animal_recall: float, empty_recall: float) -> dict[str, float | None]:
    """Return what the recalls of an empty filter mean where a share 0..1 of the photographs is blank (Bayes).

    Accuracy on a balanced set, as the paper's, says little about a survey that is three quarters blank.

    Returns:
        `precision_blank`, `precision_animal` (None if it never says so) and `accuracy`.
    """
    blank_right, animal_right = blank_share * empty_recall, (1 - blank_share) * animal_recall
    blank_said = blank_right + (1 - blank_share) * (1 - animal_recall)
    animal_said = animal_right + blank_share * (1 - empty_recall)
    return {
        "precision_blank": blank_right / blank_said if blank_said > 0 else None,
        "precision_animal": animal_right / animal_said if animal_said > 0 else None,
        "accuracy": blank_right + animal_right,
    }


def empty_figures(said_blank: Flags, is_blank: Flags, priors: Mapping[str, float]) -> dict[str, Any]:
    """Return the recalls of a filter that removes some of N photographs or events, and their precision at priors.

    Args:
        said_blank: (N,) what is removed.
        is_blank: (N,) truth.
        priors: Shares of blanks to work out precision for, by name; `natural`, the share found here, comes first.
    """
    said, blank = np.asarray(said_blank, bool), np.asarray(is_blank, bool)
    if said.shape != blank.shape:
        raise ValueError(f"{len(said)} answers for {len(blank)} truths")
    n, blanks = len(blank), int(blank.sum())
    animals = n - blanks
    kept = float((~said & ~blank).sum() / animals) if animals else None
    removed = float((said & blank).sum() / blanks) if blanks else None
    shares = {"natural": blanks / n, **priors} if n else dict(priors)
    at = []
    for name, share in shares.items():
        known = kept is not None and removed is not None
        cell = precision_at(share, kept or 0.0, removed or 0.0) if known else {}
        keys = ("precision_blank", "precision_animal", "accuracy")
        at.append({"name": name, "blank_share": rounded(share), **{key: rounded(cell.get(key)) for key in keys}})
    return {
        "n": n,
        "animals": animals,
        "blanks": blanks,
        "animal_recall": rounded(kept),
        "empty_recall": rounded(removed),
        "blank_share": rounded(blanks / n) if n else None,
        "at_priors": at,
    }
