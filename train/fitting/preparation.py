"""Decides what a recipe learns from in a set: labels, rows of each split, targets and preprocessing."""

from dataclasses import dataclass, field

import numpy as np

from ctwatch.domain import BLANK, Preprocessing, Task
from ctwatch.errors import ConfigError

from ..sets.dataset import TrainingSet, channel_statistics
from ..sets.targets import targets
from .recipe import Recipe, Sampling
from .sampling import Numbers, Stream, stream

ANIMAL = "animal"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LEAST_VALIDATION = 1


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """What one training needs of a set."""

    source: TrainingSet
    labels: tuple[str, ...]
    train: Numbers
    """Rows of the set that are learned from."""
    train_targets: Numbers
    """Of these; -1 for blank frames that a species network should be undecided about."""
    validation: Numbers
    validation_targets: Numbers
    preprocessing: Preprocessing
    notes: tuple[str, ...] = field(default=())
    """What was left out, as sentences."""

    def counts(self) -> Numbers:
        """Return the number of training photographs of each label, (K,)."""
        known = self.train_targets[self.train_targets >= 0]
        return np.bincount(known, minlength=len(self.labels)).astype(np.int64)

    def batches(self, sampling: Sampling, batch_size: int, steps_per_epoch: int, seed: int) -> Stream:
        """Return batches of positions among the training photographs."""
        return stream(
            self.train_targets,
            self.source.sources[self.train],
            self.source.source_names,
            sampling,
            batch_size=batch_size,
            steps_per_epoch=steps_per_epoch,
            seed=seed,
        )


def prepare(recipe: Recipe, source: TrainingSet) -> Prepared:
    """Return labels, rows and preprocessing of a recipe on a set.

    Mean and deviation are of the training photographs only.

    Raises:
        ConfigError: Fewer than two labels are left, a label of the recipe has no training photograph, a split is empty,
            or the crop does not fit; all problems are listed.
    """
    canvas = source.about.canvas
    problems, notes = [], []
    if recipe.crop[0] > canvas.height or recipe.crop[1] > canvas.width:
        problems.append(
            f"crop {list(recipe.crop)} is larger than the set's frames of {canvas.height} x {canvas.width}; "
            "lower it, or make the set again with a larger --canvas"
        )
    labels = recipe.labels
    in_train = source.rows("train")
    if not labels and recipe.task is Task.EMPTY:
        labels = (ANIMAL, BLANK)
    if not labels:
        labels, dropped = _frequent(source, in_train, recipe.least_images)
        if dropped:
            named = ", ".join(f"{name} ({number})" for name, number in dropped[:20])
            more = f" and {len(dropped) - 20} more" if len(dropped) > 20 else ""
            notes.append(
                f"labels with fewer than {recipe.least_images} training photographs are left out: {named}{more}"
            )
    if len(labels) < 2:
        problems.append(
            f"{source.folder}: {len(labels)} label(s) with at least {recipe.least_images} training photographs; "
            "a network needs two: lower least_images or label more"
        )
        raise ConfigError(problems)
    numbers = targets(source.labels, source.label_names, recipe.task, labels)
    usable = numbers >= 0
    if recipe.sampling.blank_share and BLANK in source.label_names:
        usable |= source.labels == source.label_names.index(BLANK)
    if recipe.balanced_set and recipe.task is Task.EMPTY:
        usable &= source.balanced
    train = in_train[usable[in_train]]
    in_validation = source.rows("validation")
    validation = in_validation[numbers[in_validation] >= 0]
    found = np.bincount(numbers[train][numbers[train] >= 0], minlength=len(labels))
    problems += [
        f"label {label!r} has no photograph to train on in {source.folder}"
        for label, number in zip(labels, found, strict=True)
        if number == 0
    ]
    if len(validation) < LEAST_VALIDATION:
        problems.append(
            f"{source.folder}: no validation photograph has one of the labels; make the set again with more locations, "
            "--by event, or a larger --validation"
        )
    if problems:
        raise ConfigError(problems)
    mean, std = (IMAGENET_MEAN, IMAGENET_STD) if recipe.normalise == "imagenet" else channel_statistics(source, train)
    return Prepared(
        source,
        labels,
        train,
        numbers[train],
        validation,
        numbers[validation],
        Preprocessing(canvas, recipe.crop, mean, std),
        tuple(notes),
    )


def _frequent(source: TrainingSet, rows: Numbers, least: int) -> tuple[tuple[str, ...], list[tuple[str, int]]]:
    """Return the labels of animals with enough training photographs, sorted, and the others with their numbers."""
    known = source.labels[rows]
    counts = np.bincount(known[known >= 0], minlength=len(source.label_names))
    named = [(name, int(n)) for name, n in zip(source.label_names, counts, strict=True) if name != BLANK]
    return (
        tuple(name for name, number in named if number >= max(least, 1)),
        [(name, number) for name, number in named if number < max(least, 1)],
    )
