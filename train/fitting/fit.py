"""Trains the networks of a recipe on a set, calibrates them and writes their model files."""

import hashlib
import json
import math
import platform
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from torch import nn

import ctwatch
from ctwatch.domain import BLANK, ModelInfo, Task
from ctwatch.errors import ConfigError, ModelError
from ctwatch.nets.model_file import save
from ctwatch.nets.model_info import read_info

from ..figures.calibrate import blank_threshold, priors, softmax, temperature
from ..figures.measure import figures
from ..progress import say, shown, unseen
from ..sets.dataset import TrainingSet
from ..sets.targets import targets
from .engine import Training, look
from .features import cached_features, train_head
from .losses import Criterion
from .networks import deployable, start, training_network
from .preparation import Prepared, prepare
from .processes import Processes, joined
from .recipe import Member, Recipe, parse_recipe
from .sampling import Floats, chances, is_drawn

Draw = Callable[[Path], bytes]
RECIPE_ALONE = ("members", "notes", "name", "set")
"""What is said about a training and who else is trained does not change a network."""


def adapted(
    recipe: Recipe,
    *,
    architectures: Sequence[str] = (),
    seeds: Sequence[int] = (),
    members: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    weights: str | None = None,
    transfer: str | None = None,
) -> Recipe:
    """Return a recipe with what the command line says otherwise.

    Args:
        recipe: Everything that is not said otherwise stays as it is.
        architectures: Each with every seed.
        seeds: Each with every architecture.
        members: How many networks in all: the architectures in turn, each time round with the next seed.
        epochs: Of training; regimes are scaled to it.
        batch_size: Photographs in a batch.
        weights: Local file to start from.
        transfer: Which weights learn.

    Raises:
        ConfigError: The result is no recipe.
    """
    changed = recipe.as_table()
    if architectures or seeds or members is not None:
        named = list(architectures) or list(dict.fromkeys(each.architecture for each in recipe.members))
        numbers = list(seeds) or sorted({each.seed for each in recipe.members})
        pairs = [(name, seed) for seed in numbers for name in named]
        if members is not None:
            pairs = [(named[n % len(named)], numbers[0] + n // len(named)) for n in range(members)]
        changed["members"] = [{"architecture": name, "seed": seed} for name, seed in pairs]
    for key, value in (("epochs", epochs), ("batch_size", batch_size)):
        changed[key] = changed[key] if value is None else value
    for key, text in (("weights", weights), ("transfer", transfer)):
        changed["start"][key] = changed["start"][key] if text is None else text
    # Through JSON, so that tuples are the lists that a TOML file has.
    return parse_recipe(json.loads(json.dumps(changed)), "command line")


def fit(
    recipe: Recipe,
    source: TrainingSet,
    out: Path,
    *,
    device: torch.device,
    checkpoint_s: float = 300.0,
    draw: Draw | None = None,
) -> tuple[ModelInfo, ...]:
    """Train every member of a recipe into a folder and return what was written.

    A model that the same recipe has already made from the same set is kept, and a training that was interrupted goes on
    at its last checkpoint, to the same result.

    Args:
        recipe: What to train.
        source: The `TrainingSet` to learn from.
        out: Folder of the ensemble; made if it is not there. `training/NAME/` in it holds log, curve and checkpoints.
        device: Where to compute; under `torchrun` each process takes its own.
        checkpoint_s: Seconds between checkpoints within an epoch.
        draw: Makes the PNG of a log's curve, which is then written beside the log.

    Raises:
        ConfigError: Recipe and set do not fit each other.
        TrainingError: A loss is no longer finite.
        DamagedCheckpoint: A checkpoint cannot be trusted.
    """
    with joined(device) as processes:
        speak = say if processes.leads else _silent
        prepared = prepare(recipe, source)
        for note in prepared.notes:
            speak(note)
        speak(
            f"{len(prepared.train)} photographs to train on, {len(prepared.validation)} to validate, "
            f"{len(prepared.labels)} labels"
        )
        out.mkdir(parents=True, exist_ok=True)
        return tuple(
            fit_member(recipe, member, prepared, out, processes, checkpoint_s=checkpoint_s, draw=draw)
            for member in recipe.members
        )


def fit_member(
    recipe: Recipe,
    member: Member,
    prepared: Prepared,
    out: Path,
    processes: Processes,
    *,
    checkpoint_s: float = 300.0,
    draw: Draw | None = None,
) -> ModelInfo:
    """Train, calibrate and measure one network, write its model file and return its info."""
    name = f"{recipe.task}-{member.architecture}-{member.seed}"
    path, folder = out / f"{name}.safetensors", out / "training" / name
    table = {key: value for key, value in _plain(recipe.as_table()).items() if key not in RECIPE_ALONE}
    table["member"] = {"architecture": member.architecture, "seed": member.seed}
    speak = say if processes.leads else _silent

    module = training_network(member.architecture, len(prepared.labels), seed=member.seed, crop=recipe.crop)
    begun = start(module, member.architecture, recipe.start.weights, prepared.labels)
    if recipe.normalise == "auto" and begun.normalisation is not None:
        mean, std = begun.normalisation
        prepared = replace(prepared, preprocessing=replace(prepared.preprocessing, mean=mean, std=std))
    # Which file it was, not where it lay: the same weights give the same network anywhere.
    table["start"]["weights"] = begun.file
    table["weights"] = _plain(begun.as_table())
    fingerprint = _fingerprint(table, prepared)
    there = _known(path, fingerprint)
    if there is not None:
        speak(f"{path.name} is already there, from the same recipe and set")
        return there
    if recipe.start.transfer != "all":
        _train_head(recipe, member, prepared, module, folder, processes)
    if recipe.start.transfer != "head":
        training = Training(
            recipe, prepared, module, seed=member.seed, name=name, folder=folder, fingerprint=fingerprint,
            processes=processes, checkpoint_s=checkpoint_s,
        )  # fmt: skip
        training.run(speak, shown if processes.leads else unseen)
        module = training.module
        table["steps"], table["kept_epoch"] = training.steps, training.progress.best_epoch
        if recipe.keep == "last":
            table["kept_epoch"] = recipe.epochs
    plain = deployable(module, member.architecture, len(prepared.labels)).to(processes.device).eval()
    info = _described(recipe, prepared, plain, name, table, member, fingerprint, processes.device)
    if processes.leads:
        info = save(path, plain.cpu(), info)
        if draw is not None and (folder / "log.csv").exists():
            (folder / "curve.png").write_bytes(draw(folder / "log.csv"))
    processes.wait()
    return info


def _train_head(
    recipe: Recipe, member: Member, prepared: Prepared, module: nn.Module, folder: Path, processes: Processes
) -> None:
    """Train the head on features that are computed once; the network's other weights stay as they are."""
    if (folder / "checkpoint.safetensors").exists():
        return
    if processes.count > 1:
        raise ConfigError(["the head alone trains in one process, in minutes; start without torchrun, or transfer all"])
    with shown(f"features of {member.architecture}") as progress:
        values = cached_features(
            module, prepared.source.pixels, prepared.train, prepared.preprocessing, folder / "features",
            set_fingerprint=prepared.source.about.fingerprint, device=processes.device, progress=progress,
        )  # fmt: skip
    size = min(recipe.batch_size, len(prepared.train))
    with shown(f"training the head of {member.architecture}") as progress:
        train_head(
            module,
            values,
            prepared.train_targets,
            epochs=recipe.start.head_epochs,
            learning_rate=recipe.start.head_learning_rate,
            seed=member.seed,
            batches=prepared.batches(recipe.sampling, size, math.ceil(len(prepared.train) / size), member.seed),
            batch_size=size,
            loss=Criterion(recipe.loss, prepared.counts(), size, processes),
            device=processes.device,
            progress=progress,
        )


def _described(
    recipe: Recipe,
    prepared: Prepared,
    module: nn.Module,
    name: str,
    table: dict[str, Any],
    member: Member,
    fingerprint: str,
    device: torch.device,
) -> ModelInfo:
    logits = look(module, prepared, prepared.validation, device)
    divisor = temperature(logits, prepared.validation_targets)
    probabilities = softmax(logits, divisor)
    thresholds = {}
    if recipe.task is Task.EMPTY:
        column = prepared.labels.index(BLANK)
        is_animal = prepared.validation_targets != column
        thresholds[BLANK] = blank_threshold(probabilities[:, column], is_animal, recipe.target_recall)
    quality: dict[str, Any] = {
        "validation": figures(probabilities, prepared.validation_targets, prepared.labels),
        **_tested(recipe, prepared, module, divisor, device),
    }
    count = len(prepared.labels)
    return ModelInfo(
        model_id="",
        name=name,
        task=recipe.task,
        architecture=member.architecture,
        labels=prepared.labels,
        preprocessing=prepared.preprocessing,
        temperature=divisor,
        thresholds=thresholds,
        quality=_plain(quality),
        recipe={
            **table,
            "name": recipe.name,
            "fingerprint": fingerprint,
            "versions": versions(),
            "priors": {
                "natural": _named(priors(prepared.validation_targets, count), prepared.labels),
                "training": _named(taught(recipe, prepared), prepared.labels),
            },
        },
        data_fingerprint=prepared.source.about.fingerprint,
        trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
        notes=recipe.notes,
    )


def _tested(
    recipe: Recipe, prepared: Prepared, module: nn.Module, divisor: float, device: torch.device
) -> dict[str, Any]:
    """Figures per photograph on unseen and seen places; `ctwatch train evaluate` has all the others."""
    numbers = targets(prepared.source.labels, prepared.source.label_names, recipe.task, prepared.labels)
    result = {}
    for split in ("test", "test_seen"):
        rows = prepared.source.rows(split)
        rows = rows[numbers[rows] >= 0]
        if len(rows):
            logits = look(module, prepared, rows, device)
            result[split] = figures(softmax(logits, divisor), numbers[rows], prepared.labels)
    return result


def taught(recipe: Recipe, prepared: Prepared) -> Floats:
    """Return the prior (K,) that a network was taught: how often each label was drawn, as the loss weighs it.

    Weights of 1/n and balanced softmax take the labels' frequencies out of what they are shown.
    """
    count = len(prepared.labels)
    known = prepared.train_targets >= 0
    if is_drawn(recipe.sampling):
        sources = prepared.source.sources[prepared.train]
        each = chances(prepared.train_targets, sources, prepared.source.source_names, recipe.sampling)
        shown_share = np.bincount(prepared.train_targets[known], each[known], count).astype(np.float64)
    else:
        shown_share = priors(prepared.train_targets[known], count)
    if recipe.loss.kind in ("weighted", "balanced_softmax"):
        shown_share = shown_share / np.maximum(priors(prepared.train_targets[known], count), 1e-12)
    return np.asarray(shown_share / shown_share.sum(), np.float64)


def versions() -> dict[str, str]:
    """Return what code and libraries a model is made with."""
    return {
        "ctwatch": ctwatch.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "numpy": np.__version__,
    }


def _known(path: Path, fingerprint: str) -> ModelInfo | None:
    if not path.exists():
        return None
    try:
        info = read_info(path)
    except ModelError:
        return None
    return info if info.recipe.get("fingerprint") == fingerprint else None


def _fingerprint(table: dict[str, Any], prepared: Prepared) -> str:
    values = [table, list(prepared.labels), prepared.source.about.fingerprint, versions()]
    return hashlib.blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=16).hexdigest()


def _plain(values: Any) -> Any:
    return json.loads(json.dumps(values))


def _named(values: Floats, labels: Sequence[str]) -> dict[str, float]:
    return {label: round(float(value), 6) for label, value in zip(labels, values, strict=True)}


def _silent(_text: str) -> None:
    """For the processes that do not lead."""


def describe(infos: Sequence[ModelInfo]) -> list[tuple[str, ...]]:
    """Return one row per model: name, architecture, and photographs, accuracy and macro recall on validation and test."""
    rows: list[tuple[str, ...]] = []
    for info in infos:
        cells = []
        for split in ("validation", "test"):
            cell = info.quality.get(split) or {"n": 0, "accuracy": None, "macro_recall": None}
            cells += [str(cell["n"]), _share(cell["accuracy"]), _share(cell["macro_recall"])]
        rows.append((info.name, info.architecture, *cells))
    return rows


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
