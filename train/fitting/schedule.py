"""Learning rate and weight decay at every step: the paper's regimes, a cosine, or constant."""

import math
from collections.abc import Sequence

from .recipe import Recipe, Regime, Schedule


def regime(epoch: int, regimes: Sequence[Regime]) -> Regime:
    """Return the (first epoch, learning rate, weight decay) that is in force in an epoch, counted from 1.

    The last row holds for all later epochs: Table S.1 of Norouzzadeh et al. 2017 has 55 epochs, Table S.2 ends at 53.
    """
    return [row for row in regimes if row[0] <= epoch][-1]


def scaled(regimes: Sequence[Regime], written_for: int, epochs: int) -> tuple[Regime, ...]:
    """Return regimes whose breakpoints are moved in proportion to the number of epochs; rows that shrink away are left out.

    A regime that ended after 18 of 55 epochs ends after round(epochs * 18 / 55).
    """
    if written_for == epochs:
        return tuple(regimes)
    rows: dict[int, Regime] = {}
    for first, rate, decay in regimes:
        start = round(epochs * (first - 1) / written_for) + 1
        rows[start] = (start, rate, decay)
    return tuple(rows[start] for start in sorted(rows))


def rates(recipe: Recipe, step: int, steps_per_epoch: int) -> tuple[float, float, bool]:
    """Return learning rate, weight decay and whether the momentum is to be forgotten before this step.

    Args:
        recipe: Its schedule and epochs.
        step: From 0.
        steps_per_epoch: 1 or more.
    """
    plan: Schedule = recipe.schedule
    if plan.kind == "constant":
        return plan.learning_rate, plan.weight_decay, False
    if plan.kind == "cosine":
        done = (step + 1) / (recipe.epochs * steps_per_epoch)
        if done < plan.warmup:
            part = done / plan.warmup
        else:
            part = 0.5 * (1 + math.cos(math.pi * (done - plan.warmup) / (1 - plan.warmup)))
        return plan.learning_rate * max(part, 1e-4), plan.weight_decay, False
    rows = scaled(plan.regimes, plan.regimes_for, recipe.epochs)
    epoch = step // steps_per_epoch + 1
    first, rate, decay = regime(epoch, rows)
    return rate, decay, plan.reset_momentum and epoch == first and step % steps_per_epoch == 0
