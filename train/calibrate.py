"""Makes a network's probabilities mean what they say, and chooses the empty filter's threshold."""

import math
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ctwatch.nets.model_file import TEMPERATURES

from .data import Numbers

LEAST_ITEMS = 100

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


def temperature(logits: Floats, targets: Numbers) -> float:
    """Return the T that minimises the negative log likelihood of softmax(logits / T) (Guo et al. 2017).

    Args:
        logits: (N, K), from the validation split.
        targets: (N,).

    Returns:
        T by L-BFGS from 1.5, kept in 0.05..20; 1.0 when there are fewer than 100 items to fit it on.
    """
    if len(targets) < LEAST_ITEMS:
        return 1.0
    values = torch.from_numpy(np.asarray(logits, np.float64))
    truth = torch.from_numpy(targets)
    log_t = torch.tensor(math.log(1.5), dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([log_t], lr=0.5, max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        search.zero_grad()
        loss = functional.cross_entropy(values / log_t.exp(), truth)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    search.step(closure)  # type: ignore[no-untyped-call]
    found = math.exp(float(log_t.detach()))
    return min(max(found, TEMPERATURES[0]), TEMPERATURES[1]) if math.isfinite(found) else 1.0


def blank_threshold(blank: Floats, is_animal: np.ndarray[Any, np.dtype[np.bool_]], recall: float) -> float:
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
