"""Measures models on a training set's photographs and says everything about it in one JSON-able dict.

Predictions come from `ctwatch.nets.inference.Ensemble`, so what is measured is what runs. Seen and unseen locations,
natural and equal frequencies are always measured side by side, each source of photographs by itself. Figures are of
these photographs only: the paper's stand in a column of their own that says so.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ctwatch.domain import BLANK, ModelInfo, Task
from ctwatch.errors import ConfigError
from ctwatch.nets.eager import EagerEngine
from ctwatch.nets.inference import DEFAULT_BATCH, Ensemble, model_paths
from ctwatch.nets.model_file import load
from ctwatch.nets.model_info import read_info

from ..sets.dataset import TrainingSet
from ..sets.split import SEVERAL, SPLITS
from ..sets.targets import Numbers, targets
from .bootstrap import ROUNDS
from .confidence import HUMAN
from .labour import Effort
from .operating import labour_of, match_of, pipeline_of, thresholds_of
from .published import PAPER
from .sections import DEFAULT, majority_baseline, mistakes_of, sections_of
from .view import Subject, View, prior_of

VERSION = 1
TESTS = ("test", "test_seen")
_AT_ONCE = 512
"""Photographs that are read from the set at a time."""


def evaluate(
    ensembles: Sequence[Path | Sequence[Path]],
    training_set: TrainingSet,
    *,
    device: torch.device,
    splits: Sequence[str] = TESTS,
    seed: int = 0,
    rounds: int = ROUNDS,
    batch_size: int = DEFAULT_BATCH,
    target: float = HUMAN,
    effort: Effort | None = None,
    images: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Return the evaluation of one ensemble, or of an empty filter and a species ensemble together.

    Args:
        ensembles: One or two of different tasks, each a folder of model files or the files themselves.
        training_set: An opened set; its photographs must lie on the canvas that the models need.
        device: Where the models run.
        splits: What to measure on. Validation photographs are looked at besides, to choose operating points on.
        seed: Of the bootstrap and of the sample of mistakes.
        rounds: Of the bootstrap.
        batch_size: Photographs that go through a network at once.
        target: Accuracy of automatic answers that thresholds are searched for; of volunteers by default (S.5).
        effort: Constants of the estimate of work saved; the paper's if None.
        images: Photographs to extrapolate that estimate to; each source's own number if None.
        progress: Called with the photographs looked at and all of them.

    Returns:
        For two ensembles the species ensemble's, with `pipeline`, and with the empty filter's own as `empty_filter`.

    Raises:
        ConfigError: The models do not fit the set or each other, or there is nothing to measure on; all at once.
        ModelError: A model file is damaged.
    """
    loaded = [_ensemble(each, device, batch_size) for each in ensembles]
    problems = _misfits(loaded, training_set, splits)
    if problems:
        raise ConfigError(problems)
    wanted = {SPLITS.index(split) for split in (*splits, "validation")}
    rows = np.flatnonzero(np.isin(training_set.splits, sorted(wanted)))
    view = view_of(training_set, rows)
    about = about_set(training_set)
    looked = predict(loaded, training_set, rows, progress)
    subjects = {
        each.members[0].task: _subject(each.members, probabilities)
        for each, probabilities in zip(loaded, looked, strict=True)
    }
    options: dict[str, Any] = {"splits": splits, "about": about, "rounds": rounds, "seed": seed}
    results = {task: _measured(subject, view, **options) for task, subject in subjects.items()}
    species, empty = (subjects.get(task) for task in (Task.SPECIES, Task.EMPTY))
    result = results[Task.SPECIES if species else Task.EMPTY]
    if species:
        order = tuple(splits)
        pipeline = pipeline_of(species, empty, view, order) if empty else None
        match = match_of(species, empty, view, order, target=target, seed=seed)
        numbers = {
            source: images if images is not None else sum(cell["photographs"] for cell in cells.values())
            for source, cells in about["sources"].items()
        }
        work = labour_of(match, pipeline, numbers, effort)
        result.update(pipeline=pipeline, match_human=match, labour=work, empty_filter=results.get(Task.EMPTY))
    return result


def figures_of(
    probabilities: NDArray[np.floating[Any]],
    members: Sequence[ModelInfo],
    view: View,
    *,
    splits: Sequence[str] = TESTS,
    about: dict[str, Any] | None = None,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the evaluation of calibrated probabilities that are there already; nothing is read or run.

    Args:
        probabilities: (N, M, K), of the photographs of the view.
        members: What the M models say of themselves; all of one task and with the same labels.
        view: The N photographs. Operating points are chosen on those of its validation split, if it has any.
        splits: What to measure on.
        about: As from `about_set`, for the entry `set`.
        rounds: Of the bootstrap.
        seed: Of the bootstrap and of the sample of mistakes.
    """
    return _measured(_subject(members, probabilities), view, splits=splits, about=about, rounds=rounds, seed=seed)


def view_of(training_set: TrainingSet, rows: Numbers) -> View:
    """Return the given rows of a training set as a view, without their pixels."""
    training = np.zeros((len(training_set.source_names), len(training_set.label_names)), np.int64)
    inside = (training_set.splits == SPLITS.index("train")) & (training_set.labels >= 0)
    np.add.at(training, (training_set.sources[inside], training_set.labels[inside]), 1)
    return View(
        media_ids=tuple(training_set.media_ids[row] for row in rows.tolist()),
        paths=tuple(training_set.paths[row] for row in rows.tolist()),
        label_names=training_set.label_names,
        labels=training_set.labels[rows],
        location_names=training_set.location_names,
        locations=training_set.locations[rows],
        event_names=training_set.event_names,
        events=training_set.events[rows],
        source_names=training_set.source_names,
        sources=training_set.sources[rows],
        splits=training_set.splits[rows],
        balanced=training_set.balanced[rows],
        training=training,
    )


def about_set(training_set: TrainingSet) -> dict[str, Any]:
    """Return what a set is and how many photographs, events and locations its splits have, by source too."""
    info, codes = training_set.about, training_set.splits
    blank = (
        training_set.label_names.index(BLANK) if BLANK in training_set.label_names else len(training_set.label_names)
    )

    def count(inside: NDArray[np.bool_]) -> dict[str, int]:
        labels = training_set.labels[inside]
        return {
            "photographs": int(inside.sum()),
            "events": len(np.unique(training_set.events[inside])),
            "locations": len(np.unique(training_set.locations[inside])),
            "blank": int((labels == blank).sum()),
            "several": int((labels == SEVERAL).sum()),
        }

    def parts(inside: NDArray[np.bool_]) -> dict[str, dict[str, int]]:
        found = {split: count(inside & (codes == code)) for code, split in enumerate(SPLITS)}
        return {split: cell for split, cell in found.items() if cell["photographs"]}

    trained = np.unique(training_set.locations[codes == SPLITS.index("train")])
    tested = np.unique(training_set.locations[codes == SPLITS.index("test")])
    shared = [training_set.location_names[at] for at in np.intersect1d(tested, trained).tolist()]
    return {
        "name": info.name,
        "fingerprint": info.fingerprint,
        "unit": info.unit,
        "leaky": info.leaky,
        "canvas": [info.canvas.height, info.canvas.width],
        "counts": parts(np.ones(len(codes), bool)),
        "sources": {name: parts(training_set.sources == at) for at, name in enumerate(training_set.source_names)},
        "test_locations_in_training": sum(bool(name) for name in shared),
    }


def predict(
    ensembles: Sequence[Ensemble],
    training_set: TrainingSet,
    rows: Numbers,
    progress: Callable[[int, int], None] | None = None,
) -> list[NDArray[np.float32]]:
    """Return each ensemble's calibrated probabilities (n, M, K) of some rows of a set; pixels are read once, in pieces."""
    canvas = training_set.about.canvas
    found: list[NDArray[np.float32]] = [
        np.empty((len(rows), len(each.members), len(each.labels)), np.float32) for each in ensembles
    ]
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        pixels = {canvas: training_set.pixels(part)}
        for each, result in zip(ensembles, found, strict=True):
            result[start : start + len(part)] = each.predict(pixels)
        if progress:
            progress(start + len(part), len(rows))
    return found


def _measured(
    subject: Subject, view: View, *, splits: Sequence[str], about: dict[str, Any] | None, rounds: int, seed: int
) -> dict[str, Any]:
    pairs = [(source, split) for source in view.source_names for split in splits]
    sections = [
        section
        for source, split in pairs
        for section in sections_of(subject, view, source, split, rounds=rounds, seed=seed)
    ]
    measured = [(source, split) for source, split in pairs if len(view.rows(source, split))]
    first: dict[str, str] = {}
    for source, split in measured:
        first.setdefault(source, split)
    baselines = [majority_baseline(subject, view, source, split) for source, split in measured]
    return {
        "version": VERSION,
        "task": str(subject.task),
        "labels": list(subject.labels),
        "default": str(DEFAULT),
        "set": about,
        "models": [_model(info) for info in subject.members],
        "sections": sections,
        "pipeline": None,
        "match_human": None,
        "species_thresholds": thresholds_of(subject, view, tuple(splits)) if subject.task is Task.SPECIES else None,
        "labour": [],
        "mistakes": [
            mistake
            for source, split in first.items()
            for mistake in mistakes_of(subject, view, source, split, seed=seed)
        ],
        "controls": {"majority_baseline": [each for each in baselines if each]},
        "paper": PAPER,
        "notes": _notes(subject, view, about, sections, tuple(splits)),
        "empty_filter": None,
    }


def _model(info: ModelInfo) -> dict[str, Any]:
    member = info.recipe.get("member")
    return {
        "name": info.name,
        "architecture": info.architecture,
        "seed": member.get("seed") if isinstance(member, dict) else None,
        "model_id": info.model_id,
        "temperature": round(info.temperature, 4),
        "blank_threshold": info.thresholds.get(BLANK),
    }


def _notes(
    subject: Subject,
    view: View,
    about: dict[str, Any] | None,
    sections: Sequence[dict[str, Any]],
    splits: Sequence[str],
) -> list[str]:
    """Return as sentences what is missing and why, and what was assumed."""
    notes = []
    unit = about["unit"] if about else "location"
    there = {section["split"] for section in sections}
    if "test" in splits and "test" not in there:
        notes.append(
            f"The set, split by {unit}, has no photograph in `test`: nothing here says how the models do where they "
            "have not been trained."
        )
    if "test_seen" in splits and "test_seen" not in there:
        notes.append(
            f"The set, split by {unit}, has no photograph in `test_seen`: what new locations cost cannot be read off."
        )
    strange = [info.name for info in subject.members if about and info.data_fingerprint != about["fingerprint"]]
    if strange:
        notes.append(
            f"{', '.join(strange)}: trained on another set than this one, so seen and unseen are what this set says, and "
            "its photographs may have been trained on."
        )
    if about and about["leaky"]:
        notes.append("Photographs of one event are in training and in test: figures are too good to be true.")
    shared = about["test_locations_in_training"] if about else 0
    if about and shared and "test" in there:
        notes.append(
            f"{shared} of the {about['counts']['test']['locations']} locations of `test` are in training too: `test` does "
            "not say how the models do at new locations."
        )
    if not (view.splits == SPLITS.index("validation")).any():
        notes.append("No validation photographs were looked at: no operating point is chosen.")
    if prior_of(subject, "training") is None:
        notes.append(
            "The models do not say how frequent the labels were in their training: decisions are not adjusted to "
            "other frequencies."
        )
    if any(section["balancing"] == "weights" for section in sections):
        notes.append(
            "Balanced sections weigh photographs so that every label counts the same; accuracy is then macro recall."
        )
    unknown: Counter[str] = Counter()
    for section in sections:
        if section["prior"] == "natural":
            unknown.update(section["left_out"]["unknown_label"])
    if unknown:
        named = ", ".join(f"{label} ({number})" for label, number in unknown.most_common(20))
        notes.append(f"Photographs of labels that the models do not know are left out: {named}.")
    return notes


def _subject(members: Sequence[ModelInfo], probabilities: NDArray[np.floating[Any]]) -> Subject:
    """Return models with names that differ, and what they said, after a look at its numbers."""
    if probabilities.ndim != 3 or probabilities.shape[1:] != (len(members), len(members[0].labels)):
        raise ValueError(f"probabilities of shape {probabilities.shape} for {len(members)} models")
    if not np.isfinite(probabilities).all():
        raise ValueError("probabilities that are not numbers")
    often = Counter(info.name for info in members)
    named = [
        info if often[info.name] == 1 else replace(info, name=f"{info.name} ({info.model_id[:8] or at})")
        for at, info in enumerate(members, 1)
    ]
    return Subject(tuple(named), probabilities)


def _ensemble(place: Path | Sequence[Path], device: torch.device, batch_size: int) -> Ensemble:
    """Load a folder of model files or the files themselves.

    Raises:
        ConfigError: Files are not for one task with the same labels.
        ModelError: A file is damaged, or a folder has none or files that do not fit each other.
    """
    if isinstance(place, Path) and not place.is_file():
        task = read_info(model_paths(place)[0]).task
        return Ensemble.load(place, task, device=str(device), batch_size=batch_size)
    members = [load(path) for path in ([place] if isinstance(place, Path) else place)]
    if not members:
        raise ConfigError(["no model file is named"])
    first = members[0][0]
    problems = [
        f"{info.name} is for {info.task} with {len(info.labels)} labels, {first.name} for {first.task} with "
        f"{len(first.labels)}, or in another order: they are not one ensemble; evaluate them one by one"
        for info, _ in members
        if (info.task, info.labels) != (first.task, first.labels)
    ]
    if problems:
        raise ConfigError(problems[:20])
    return Ensemble([EagerEngine(info, module, device) for info, module in members], batch_size=batch_size)


def _misfits(ensembles: Sequence[Ensemble], training_set: TrainingSet, splits: Sequence[str]) -> list[str]:
    """Return as sentences why these models cannot be measured on this set."""
    problems = []
    tasks = [each.members[0].task for each in ensembles]
    if not tasks or len(set(tasks)) < len(tasks):
        problems.append(
            f"{len(tasks)} ensembles for {', '.join(tasks) or 'nothing'}: name one, or one empty filter and one for species"
        )
    strange = [split for split in splits if split not in SPLITS]
    if strange:
        problems.append(f"{', '.join(strange)}: not a split; there are {', '.join(SPLITS)}")
        return problems
    canvas = training_set.about.canvas
    for ensemble in ensembles:
        for info in ensemble.members:
            own = info.preprocessing.canvas
            if own != canvas:
                problems.append(
                    f"{info.name} needs photographs of {own.width} x {own.height} with {own.banner_top:g} and "
                    f"{own.banner_bottom:g} of the height cut off at top and bottom, the set {training_set.about.name} "
                    f"has them as {canvas.width} x {canvas.height} with {canvas.banner_top:g} and "
                    f"{canvas.banner_bottom:g} cut off; build a set with the models' canvas"
                )
    inside = np.isin(training_set.splits, [SPLITS.index(split) for split in splits])
    if not inside.any():
        problems.append(f"the set {training_set.about.name} has no photograph in {' or '.join(splits)}")
        return problems
    for ensemble in ensembles:
        info = ensemble.members[0]
        if info.task is Task.SPECIES:
            truth = targets(training_set.labels[inside], training_set.label_names, info.task, info.labels)
            if not (truth >= 0).any():
                problems.append(
                    f"no photograph in {' or '.join(splits)} has one of the {len(info.labels)} labels of {info.name}; the "
                    f"set's are {', '.join(training_set.label_names[:20])}"
                )
    return problems[:20]
