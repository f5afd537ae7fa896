"""Labelled photographs and what models said of them, as columns, for everything that measures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctwatch.domain import BLANK, ModelInfo, Task

from ..sets.split import SPLITS
from ..sets.targets import Numbers, targets
from .measure import Flags


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Photographs that were looked at; row i of everything is the same one."""

    media_ids: tuple[str, ...]
    paths: tuple[str, ...]
    label_names: tuple[str, ...]
    labels: NDArray[np.integer[Any]]
    """(N,) index into `label_names`, -1 for several species."""
    location_names: tuple[str, ...]
    locations: NDArray[np.integer[Any]]
    event_names: tuple[str, ...]
    events: NDArray[np.integer[Any]]
    source_names: tuple[str, ...]
    sources: NDArray[np.integer[Any]]
    splits: NDArray[np.integer[Any]]
    """(N,) index into `split.SPLITS`."""
    balanced: Flags
    training: Numbers
    """(sources, label names) training photographs of the whole set."""

    def rows(self, source: str, split: str) -> Numbers:
        """Return the rows of one source in one split."""
        at = self.source_names.index(source)
        return np.flatnonzero((self.sources == at) & (self.splits == SPLITS.index(split)))


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """Models with their calibrated probabilities of the photographs of a view."""

    members: tuple[ModelInfo, ...]
    probabilities: NDArray[np.floating[Any]]
    """(N, M, K)."""

    @property
    def task(self) -> Task:
        """What the models decide."""
        return self.members[0].task

    @property
    def labels(self) -> tuple[str, ...]:
        """What they answer."""
        return self.members[0].labels

    def filter_threshold(self) -> float:
        """Return from which probability of blank an ensemble of filters calls a frame blank, as `ctwatch.derive` does.

        That is the mean of the thresholds that its models bring; 0.5 if none does.
        """
        own = [info.thresholds[BLANK] for info in self.members if BLANK in info.thresholds]
        return float(np.mean(own)) if own else 0.5


def prior_of(subject: Subject, which: str) -> NDArray[np.float64] | None:
    """Return how frequent the models say that the labels were, (K,), summing to 1; None if any does not say.

    Of several models it is the geometric mean, as for their probabilities under `logit`.

    Args:
        subject: Models whose recipe has `priors`, a positive share for each label.
        which: `training`, as the models saw them through draws and loss, or `natural`.
    """
    logs = []
    for info in subject.members:
        stated = info.recipe.get("priors")
        shares = stated.get(which) if isinstance(stated, Mapping) else None
        if not isinstance(shares, Mapping) or not all(float(shares.get(label, 0)) > 0 for label in subject.labels):
            return None
        prior = np.array([float(shares[label]) for label in subject.labels])
        logs.append(np.log(prior / prior.sum()))
    mean = np.exp(np.mean(logs, axis=0))
    return np.asarray(mean / mean.sum(), np.float64)


def training_counts(subject: Subject, view: View, source: str | None = None) -> Numbers:
    """Return the training photographs of each label of the models, (K,), of one source or of all."""
    counts = view.training.sum(axis=0) if source is None else view.training[view.source_names.index(source)]
    answers = targets(np.arange(len(view.label_names)), view.label_names, subject.task, subject.labels)
    known = answers >= 0
    return np.bincount(answers[known], counts[known], len(subject.labels)).astype(np.int64)
