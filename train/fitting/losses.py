"""What a batch costs: cross-entropy, weighted by rarity, balanced softmax, and the paper's clamp of logit gradients."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from .processes import Processes
from .recipe import Loss

CLAMP_BATCH = 128
"""The batch for which the paper states its clamp; the gradient of a mean loss shrinks with the batch."""


def class_weights(counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return one weight per label, the inverse of its frequency, summing to 1 (Norouzzadeh et al. 2017, S.4, Eq. 1 and 2).

    Args:
        counts: (K,) training photographs of each label.

    Raises:
        ValueError: A label has none; its weight would be infinite.
    """
    numbers = np.asarray(counts, np.float64)
    if (numbers < 1).any():
        raise ValueError("a label without a photograph has no weight")
    frequencies = numbers.sum() / numbers
    return np.asarray(frequencies / frequencies.sum(), np.float64)


class Criterion:
    """The loss of a recipe, as a function of logits and targets."""

    def __init__(self, loss: Loss, counts: NDArray[np.integer], batch_size: int, processes: Processes) -> None:
        self._loss = loss
        self._processes = processes
        device = processes.device
        self._weights = None
        self._shift = None
        if loss.kind == "weighted":
            self._weights = torch.from_numpy(class_weights(counts)).to(device, torch.float32)
        if loss.kind == "balanced_softmax":
            self._shift = torch.from_numpy(np.log(np.maximum(counts, 1))).to(device, torch.float32)
        scale = CLAMP_BATCH / batch_size if loss.clamp_scaled else 1.0
        # Gradients of the processes are averaged afterwards, so each one's own are larger by their number.
        self.clamp = loss.clamp * scale * processes.count

    def __call__(self, logits: Tensor, targets: Tensor, auxiliary: Sequence[Tensor] = ()) -> Tensor:
        """Return the mean loss of a batch, to be averaged over processes.

        Args:
            logits: (N, K).
            targets: (N,); -1 asks for the same probability everywhere (outlier exposure, Hendrycks et al. 2019).
            auxiliary: Logits of auxiliary heads, each (N, K).
        """
        total = self._one(logits, targets)
        for each in auxiliary:
            total = total + self._loss.auxiliary * self._one(each, targets)
        return total

    def _one(self, logits: Tensor, targets: Tensor) -> Tensor:
        logits = logits.float()
        if self.clamp and logits.requires_grad:
            limit = self.clamp
            # Reading of the paper's "gradients of the output layer": those of the logits, after the mean over the batch.
            logits.register_hook(lambda gradient: gradient.clamp(-limit, limit))  # type: ignore[no-untyped-call]
        shifted = logits if self._shift is None else logits + self._shift
        known = targets >= 0
        costs = functional.cross_entropy(
            shifted, targets.clamp(min=0), reduction="none", label_smoothing=self._loss.label_smoothing
        )
        undecided = -functional.log_softmax(logits, 1).mean(1)
        costs = torch.where(known, costs, undecided)
        if self._weights is None:
            return costs.mean()
        weights = torch.where(known, self._weights[targets.clamp(min=0)], self._weights.mean())
        # The batch's summed weights, over all processes: the same loss as one process with the whole batch.
        whole = self._processes.sum(weights.sum().detach()) / self._processes.count
        return (costs * weights).sum() / whole
