"""Makes a network's probabilities mean what they say: temperature, priors, and the empty filter's threshold."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from ctwatch.nets.model_info import TEMPERATURES

from ..sets.targets import Numbers
from .measure import Flags, Floats

LEAST_ITEMS = 100


def temperature(logits: Floats, targets: Numbers) -> float:
    """Return the T that minimises the negative log likelihood of softmax(logits / T) (Guo et al. 2017).

    Args:
        logits: (N, K), from the validation split.
        targets: (N,).

    Returns:
        T by L-BFGS from 1.5, kept in 0.05..20; 1.0 when there are fewer than 100 items to fit it on.

    Raises:
        ValueError: A logit is not finite.
    """
    if not np.isfinite(logits).all():
        raise ValueError("logits that are not numbers")
    if len(targets) < LEAST_ITEMS:
        return 1.0
    values = torch.from_numpy(np.asarray(logits, np.float64))
    truth = torch.from_numpy(np.asarray(targets, np.int64))
    log_t = torch.tensor(math.log(1.5), dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([log_t], lr=0.5, max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        search.zero_grad()
        loss = functional.cross_entropy(values / log_t.exp(), truth)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    search.step(closure)  # type: ignore[no-untyped-call]
    found = float(log_t.detach())
    low, high = (math.log(limit) for limit in TEMPERATURES)
    return math.exp(min(max(found, low), high)) if math.isfinite(found) else 1.0


def softmax(logits: NDArray[np.floating[Any]], divisor: float) -> NDArray[np.float64]:
    """Return softmax(logits / divisor) over the last axis, in double precision."""
    scaled = np.asarray(logits, np.float64) / divisor
    powers = np.exp(scaled - scaled.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True), np.float64)


def uncalibrated(probabilities: Floats, divisor: float) -> NDArray[np.float64]:
    """Return softmax(logits) from softmax(logits / divisor): powers of the probabilities, normalised, (..., K).

    Exact but for probabilities that were too small for their type and are 0; those stay 0.
    """
    values = np.asarray(probabilities, np.float64)
    highest = values.max(axis=-1, keepdims=True)
    raised = (values / np.where(highest > 0, highest, 1.0)) ** divisor
    return np.asarray(raised / np.maximum(raised.sum(axis=-1, keepdims=True), 1e-300), np.float64)


def priors(targets: Numbers, labels: int, smoothing: float = 1.0) -> NDArray[np.float64]:
    """Return how frequent each of K labels is, (K,), summing to 1.

    Laplace's rule: `smoothing` items more of each label than were counted, so that none has a prior of 0. Targets
    below 0 do not count.
    """
    known = np.asarray(targets, np.int64)
    return prior_of_counts(np.bincount(known[known >= 0], minlength=labels), smoothing)


def prior_of_counts(counts: NDArray[np.integer], smoothing: float = 1.0) -> NDArray[np.float64]:
    """Return `priors` of counts (K,) that are known already."""
    values = np.asarray(counts, np.float64) + smoothing
    if (values <= 0).any():
        raise ValueError("a label without items has no prior unless it is smoothed")
    return np.asarray(values / values.sum(), np.float64)


def reprior(
    probabilities: Floats,
    source_prior: Floats,
    target_prior: Floats | None = None,
    tau: float = 1.0,
) -> NDArray[np.float64]:
    """Return probabilities (..., K) as they would be had labels been as frequent as `target_prior` says.

    p'(k) is proportional to p(k) (target(k) / source(k))^tau: post-hoc logit adjustment (Menon et al. 2021; their rule
    is an even target), and for tau = 1 exactly Bayes' rule for another prior (Saerens et al. 2002). One model so gives
    decisions for natural and for equal frequencies, without retraining.

    Args:
        probabilities: (..., K), rows that sum to 1.
        source_prior: (K,) frequencies that the model learned with; positive.
        target_prior: (K,) frequencies to decide for; equal ones if None.
        tau: How far to go, 0 leaves everything as it is.

    Raises:
        ValueError: A prior is not positive and finite, or the sizes differ.
    """
    values = np.asarray(probabilities, np.float64)
    source = np.asarray(source_prior, np.float64)
    target = np.full(len(source), 1.0) if target_prior is None else np.asarray(target_prior, np.float64)
    if source.shape != values.shape[-1:] or target.shape != source.shape:
        raise ValueError(f"priors of {len(source)} and {len(target)} labels for {values.shape[-1]} probabilities")
    for prior in (source, target):
        if not np.isfinite(prior).all() or (prior <= 0).any():
            raise ValueError("a prior must be positive for every label; see `priors`")
    if not np.isfinite(values).all():
        raise ValueError("probabilities that are not numbers")
    logs = tau * (np.log(target / target.sum()) - np.log(source / source.sum()))
    moved = values * np.exp(logs - logs.max())
    return np.asarray(moved / np.maximum(moved.sum(axis=-1, keepdims=True), 1e-300), np.float64)


def blank_threshold(blank: Floats, is_animal: Flags, recall: float) -> float:
    """Return the smallest probability of blank from which a frame may count as blank.

    At least `recall` of the animal frames stay below it. 1.0 when there are none to choose it on.

    Args:
        blank: (N,) probability of blank.
        is_animal: (N,) truth.
        recall: 0..1.
    """
    animals = np.sort(np.asarray(blank, np.float64)[is_animal])[::-1]
    if len(animals) == 0:
        return 1.0
    lost = math.floor((1 - recall) * len(animals) + 1e-9)
    if lost >= len(animals):
        return 0.0
    return min(1.0, math.ceil(float(animals[lost]) * 1e4 + 1e-6) / 1e4)
