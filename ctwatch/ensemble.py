"""Averaging over models, pooling over the frames of an event, and the decision about each.

Everything works on arrays whose last axis is the label. Averaging is that of Norouzzadeh et al. 2018 (SI, "Prediction
averaging") with plain and logarithmic means as choices.
"""

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

TOP = 5
"""Labels of each member that the paper's average keeps, and labels that a decision reports."""
_SMALLEST = 1e-12
"""Probabilities below are taken as this before a logarithm, so that one sure member cannot veto all others."""


class Averaging(StrEnum):
    """How several probability vectors become one."""

    TOP5 = "top5"
    """The paper's: each member's five best labels, summed and divided by the number of all members; not normalised."""
    PROBABILITY = "prob"
    """Arithmetic mean of probabilities."""
    LOGIT = "logit"
    """Mean of log probabilities, normalised: as good a ranking, better calibrated (methods, section 3)."""


def average(probabilities: NDArray[np.floating], how: Averaging) -> NDArray[np.float64]:
    """Average over the members, axis -2: (..., M, K) -> (..., K).

    Does not depend on the order of the members beyond rounding. With one member, `prob` and `logit` return it as it
    is and `top5` its five best labels; with at most five labels `top5` equals `prob`.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    if how is Averaging.LOGIT:
        return _normalised(np.log(np.maximum(values, _SMALLEST)).mean(axis=-2))
    if how is Averaging.TOP5:
        values = _only_top(values)
    return np.asarray(values.mean(axis=-2), dtype=np.float64)


def average_present(probabilities: NDArray[np.floating], how: Averaging) -> NDArray[np.float64]:
    """Average over the members that saw a frame: (N, M, K) with NaN rows for those that did not -> (N, K).

    NaN where none did. A model that joins an ensemble so takes nothing from photographs that it cannot see any more.
    """
    present = ~np.isnan(probabilities).any(axis=2)
    averaged = np.full((len(probabilities), probabilities.shape[2]), np.nan)
    for members in np.unique(present, axis=0):
        if members.any():
            rows = (present == members).all(axis=1)
            averaged[rows] = average(probabilities[rows][:, members], how)
    return averaged


def with_opinion(probabilities: NDArray[np.floating], label: int, opinion: NDArray[np.float64]) -> NDArray[np.floating]:
    """Add a member that has a probability for one label only: (N, M, K) and (N,) -> (N, M + 1, K).

    What it leaves goes to the other labels in equal parts. It is absent (NaN) where it has no opinion, and where no other
    member saw the frame: alone it decides nothing.
    """
    count, _, labels = probabilities.shape
    seen = ~np.isnan(probabilities).any(axis=2).all(axis=1)
    own = np.where(seen, opinion, np.nan)
    member = np.repeat(((1.0 - own) / max(1, labels - 1))[:, None], labels, axis=1)
    member[:, label] = own
    return np.concatenate([probabilities, member.reshape(count, 1, labels)], axis=1)


def pool(probabilities: NDArray[np.float64], starts: NDArray[np.int64], how: Averaging) -> NDArray[np.float64]:
    """Average runs of consecutive rows: (N, K) and the E positions at which runs begin -> (E, K).

    The same three rules as `average`, with the images of an event as members (Norouzzadeh et al. 2017, S.3).
    """
    if not len(starts):
        return np.empty((0, probabilities.shape[-1]))
    sizes = np.diff(np.append(starts, len(probabilities)))[:, None]
    if how is Averaging.LOGIT:
        return _normalised(np.add.reduceat(np.log(np.maximum(probabilities, _SMALLEST)), starts, axis=0) / sizes)
    values = _only_top(probabilities) if how is Averaging.TOP5 else probabilities
    return np.asarray(np.add.reduceat(values, starts, axis=0) / sizes, dtype=np.float64)


def ranking(averaged: NDArray[np.float64], highest: NDArray[np.float64] | None = None) -> NDArray[np.int64]:
    """Return the labels' numbers, best first: (..., K) -> (..., min(5, K)).

    Ties go to the label with the higher single probability (`highest`, same shape as `averaged`), then to the earlier
    label; the paper leaves ties open.
    """
    single = averaged if highest is None else highest
    labels = np.broadcast_to(np.arange(averaged.shape[-1]), averaged.shape)
    return np.lexsort((labels, -single, -averaged), axis=-1)[..., :TOP]


def describe(averaged: NDArray[np.float64], labels: Sequence[str]) -> list[tuple[str, float]]:
    """Return the best labels of one vector with their probabilities, best first."""
    return describe_all(averaged[None], labels)[0]


def describe_all(averaged: NDArray[np.float64], labels: Sequence[str]) -> list[list[tuple[str, float]]]:
    """Return the best labels of each of N vectors, (N, K), with their probabilities, best first."""
    best = ranking(averaged)
    values = np.take_along_axis(averaged, best, axis=-1)
    return [
        [(labels[index], p) for index, p in zip(row, of_row, strict=True)]
        for row, of_row in zip(best.tolist(), values.tolist(), strict=True)
    ]


def _only_top(values: NDArray[np.float64]) -> NDArray[np.float64]:
    if values.shape[-1] <= TOP:
        return values
    order = np.argsort(-values, axis=-1, kind="stable")[..., :TOP]
    kept = np.zeros_like(values)
    np.put_along_axis(kept, order, np.take_along_axis(values, order, axis=-1), axis=-1)
    return kept


def _normalised(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = np.exp(logs - logs.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), dtype=np.float64)
