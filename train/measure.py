"""Figures of merit with their numbers, for frames and for events: accuracy, recall per label, calibration."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ctwatch.domain import BLANK, Task
from ctwatch.ensemble import Averaging, pool

from .calibrate import Floats
from .data import Example, Numbers, target

ECE_BINS = 15


def wilson(right: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Return Wilson's interval of a share, 95 % unless told; (0, 1) when there is nothing to count."""
    if n == 0:
        return 0.0, 1.0
    share = right / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def calibration_error(probabilities: Floats, targets: Numbers, bins: int = ECE_BINS) -> float:
    """Return the expected calibration error: bins of equal width, each (low, high] (Guo et al. 2017)."""
    sure, right = probabilities.max(1), probabilities.argmax(1) == targets
    where = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)
    error = 0.0
    for each in range(bins):
        inside = where == each
        if inside.any():
            error += inside.mean() * abs(float(right[inside].mean()) - float(sure[inside].mean()))
    return float(error)


def figures(probabilities: Floats, targets: Numbers, labels: Sequence[str]) -> dict[str, Any]:
    """Return the figures of (N, K) probabilities against (N,) targets, as plain values rounded to four places.

    Macro recall and macro F1 are over the labels that occur. An answer without anything to answer is None, never 1.
    """
    n = len(targets)
    if n == 0:
        return {"n": 0, "accuracy": None}
    rows = probabilities / np.maximum(probabilities.sum(1, keepdims=True), 1e-12)
    answers = rows.argmax(1)
    right = int((answers == targets).sum())
    recall: dict[str, Any] = {}
    recalls, scores = [], []
    for index, label in enumerate(labels):
        of_label = targets == index
        number = int(of_label.sum())
        if number == 0:
            continue
        hit = int((answers[of_label] == index).sum())
        said = int((answers == index).sum())
        recall[label] = {"n": number, "recall": round(hit / number, 4)}
        recalls.append(hit / number)
        scores.append(2 * hit / (number + said))
    low, high = wilson(right, n)
    likelihood = np.maximum(rows[np.arange(n), targets], 1e-12)
    return {
        "n": n,
        "accuracy": round(right / n, 4),
        "accuracy_95": [round(low, 4), round(high, 4)],
        "macro_recall": round(float(np.mean(recalls)), 4),
        "macro_f1": round(float(np.mean(scores)), 4),
        "nll": round(float(-np.log(likelihood).mean()), 4),
        "ece": round(calibration_error(rows, targets), 4),
        "recall": recall,
    }


def events(examples: Sequence[Example], task: Task, labels: Sequence[str]) -> tuple[Numbers, Numbers, Numbers]:
    """Return how frames form events: an order of rows (N,), where events start in it (E,), and each one's target (E,).

    An event with an animal in any frame is an animal event, with all of its frames, the blank ones too. Its target is
    -2 when the task cannot say: for species, events without an animal, of several species or of one without a label.
    """
    order = np.array(sorted(range(len(examples)), key=lambda row: (examples[row].event, row)), np.int64)
    names = [examples[row].event for row in order]
    starts = [at for at in range(len(names)) if at == 0 or names[at] != names[at - 1]]
    targets = []
    for start, end in zip(starts, [*starts[1:], len(names)], strict=True):
        found = {examples[row].label for row in order[start:end]} - {BLANK}
        if task is Task.EMPTY:
            value = target(next(iter(found), BLANK), task, labels)
        else:
            value = target(next(iter(found)), task, labels) if len(found) == 1 else None
        targets.append(-2 if value is None else value)
    return order, np.array(starts, np.int64), np.array(targets, np.int64)


def event_figures(
    probabilities: Floats, examples: Sequence[Example], task: Task, labels: Sequence[str], how: Averaging
) -> dict[str, Any]:
    """Return the figures of events whose frames' probabilities (N, K) are pooled by a rule."""
    order, starts, targets = events(examples, task, labels)
    pooled = pool(np.asarray(probabilities, np.float64)[order], starts, how)
    known = targets >= 0
    return figures(pooled[known], targets[known], labels)
