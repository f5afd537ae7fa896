"""Trains the networks of a recipe on location-disjoint splits, calibrates, measures and writes them."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ctwatch.domain import BLANK, ModelInfo, Preprocessing, Task
from ctwatch.ensemble import Averaging
from ctwatch.errors import ConfigError, CtwatchError, ModelError
from ctwatch.nets.architectures import build
from ctwatch.nets.model_file import read_info, save
from ctwatch.nets.preprocessing import prepare

from .batches import augment, channel_statistics, draw_batches, weights
from .calibrate import Floats, blank_threshold, temperature
from .data import SPLITS, Labelled, Numbers, decode_all, read_sources, target
from .measure import event_figures, figures
from .progress import say, shown
from .recipe import Member, Recipe
from .split import assign

EVALUATION_BATCH = 64
MOST_NAMED = 8
"""A card names the locations of a split when there are no more than this."""


class TrainingError(CtwatchError):
    """A training that cannot go on, with what to change."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Decoded photographs with the target and the split of each."""

    data: Labelled
    targets: Numbers
    """(N,); -1 for blank frames in the species task."""
    splits: np.ndarray[Any, np.dtype[np.str_]]

    def rows(self, split: str, *, known: bool = True) -> Numbers:
        """Return the rows of a split; only those with a label of their own unless `known` is False."""
        inside = self.splits == split
        return np.flatnonzero(inside & (self.targets >= 0) if known else inside)


def prepare_data(recipe: Recipe) -> Prepared:
    """Read, split and decode everything that a recipe names.

    Files that cannot be used are listed, and the work goes on without them.

    Raises:
        ConfigError: Tables have problems, a label has no training photograph, or a split is empty.
    """
    examples = read_sources(recipe, say)
    kept = [each for each in examples if target(each.label, recipe.task, recipe.labels) is not None]
    if len(kept) < len(examples):
        say(f"{len(examples) - len(kept)} photographs have a label that the recipe does not name; they are left out")
    if not kept:
        raise ConfigError([f"no photograph has one of the labels {', '.join(recipe.labels)}"])
    canvas = recipe.decoded
    with shown("decoding") as progress:
        data = decode_all(kept, canvas, progress)
    for line in data.unusable:
        say(f"not usable: {line}")
    if data.unusable:
        say(f"{len(data.unusable)} photographs could not be used")
    numbers = [target(each.label, recipe.task, recipe.labels) for each in data.examples]
    splits = assign(
        data.examples, validation=recipe.validation_fraction, test=recipe.test_fraction, seed=recipe.split_seed
    )
    prepared = Prepared(data, np.array(numbers, np.int64), np.array(splits))
    found = set(prepared.targets[prepared.rows("train")].tolist())
    problems = [
        f"label {label!r} has no photograph to train on"
        for index, label in enumerate(recipe.labels)
        if index not in found
    ]
    problems += [
        f"the {split} split is empty; more locations are needed" for split in SPLITS if not len(prepared.rows(split))
    ]
    if problems:
        raise ConfigError(problems)
    return prepared


def counts(prepared: Prepared) -> dict[str, dict[str, Any]]:
    """Return, per table and split, the number of photographs and of locations."""
    table: dict[str, dict[str, Any]] = {}
    for example, split in zip(prepared.data.examples, prepared.splits.tolist(), strict=True):
        cell = table.setdefault(example.source, {}).setdefault(split, {"photographs": 0, "blank": 0, "at": set()})
        cell["photographs"] += 1
        cell["blank"] += example.label == BLANK
        cell["at"].add(example.location)
    for splits in table.values():
        for cell in splits.values():
            places = sorted(cell.pop("at"))
            cell["locations"] = len(places)
            cell["named"] = [place.partition("/")[2] for place in places] if len(places) <= MOST_NAMED else []
    return table


def train_network(recipe: Recipe, member: Member, prepared: Prepared, preprocessing: Preprocessing) -> nn.Module:
    """Return a trained network in evaluation mode; the same seed on the same machine gives the same network.

    Raises:
        TrainingError: The loss is no longer finite.
    """
    torch.manual_seed(member.seed)
    rng = np.random.default_rng([member.seed, 31])
    module = build(member.architecture, len(recipe.labels)).to(memory_format=torch.channels_last).train()
    rows = prepared.rows("train", known=recipe.blank_share == 0)
    chances = weights(prepared.targets[rows], [prepared.data.examples[row].source for row in rows], recipe)
    count = recipe.draws_per_epoch or len(rows)
    steps = recipe.epochs * math.ceil(count / recipe.batch_size)
    optimiser = _optimiser(module, recipe)
    warm = min(0.1, 200 / steps)

    def rate(step: int) -> float:
        done = step / steps
        return done / warm if done < warm else max(0.0, 0.5 * (1 + math.cos(math.pi * (done - warm) / (1 - warm))))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: max(rate(step + 1), 1e-4))
    step = 0
    with shown(f"training {member.architecture} ({member.seed})") as progress:
        for epoch in range(recipe.epochs):
            losses = []
            for batch in draw_batches(chances, count, recipe.batch_size, rng):
                index = rows[batch]
                frames = augment(prepared.data.pixels[index], preprocessing, recipe.augmentation, rng)
                with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
                    logits = module(frames.contiguous(memory_format=torch.channels_last)).float()
                loss = _loss(logits, torch.from_numpy(prepared.targets[index]), recipe.label_smoothing)
                if not torch.isfinite(loss):
                    raise TrainingError(
                        f"{recipe.name}: the loss of {member.architecture} is not finite in epoch {epoch + 1}; "
                        f"lower learning_rate ({recipe.learning_rate:g})"
                    )
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(module.parameters(), 5.0)
                optimiser.step()
                schedule.step()
                losses.append(float(loss.detach()))
                step += 1
                progress(step, steps)
            say(f"{member.architecture} ({member.seed}): epoch {epoch + 1}, loss {np.mean(losses):.4f}")
    return module.eval()


def _optimiser(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Decay kernels and matrices only: biases and batch-norm scales have nothing to shrink for."""
    groups = [
        {"params": [p for p in module.parameters() if p.dim() > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in module.parameters() if p.dim() <= 1], "weight_decay": 0.0},
    ]
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=0.9)
    return torch.optim.AdamW(groups, lr=recipe.learning_rate)


def _loss(logits: torch.Tensor, targets: torch.Tensor, smoothing: float) -> torch.Tensor:
    """Cross-entropy; a target of -1 asks for the same probability everywhere (outlier exposure, Hendrycks 2019)."""
    known = targets >= 0
    total = logits.new_zeros(())
    if known.any():
        loss = functional.cross_entropy(logits[known], targets[known], reduction="sum", label_smoothing=smoothing)
        total = total + loss
    if not known.all():
        total = total - functional.log_softmax(logits[~known], 1).mean(1).sum()
    return total / len(targets)


def look(module: nn.Module, pixels: np.ndarray[Any, np.dtype[np.uint8]], preprocessing: Preprocessing) -> Floats:
    """Return the logits (N, K) of canvases (N, 3, H, W), through the daemon's preprocessing."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(pixels), EVALUATION_BATCH):
            batch = prepare(torch.from_numpy(pixels[start : start + EVALUATION_BATCH]), preprocessing)
            parts.append(module(batch.contiguous(memory_format=torch.channels_last)).float().numpy())
    return np.concatenate(parts)


def softmax(logits: Floats, divisor: float) -> Floats:
    """Return softmax(logits / divisor) over the last axis, in double precision."""
    scaled = np.asarray(logits, np.float64) / divisor
    powers = np.exp(scaled - scaled.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True), np.float64)


def fit_member(recipe: Recipe, member: Member, prepared: Prepared, out: Path) -> ModelInfo:
    """Train, calibrate and measure one network, write its model file and return its info.

    A file that the same recipe has already made from the same photographs is kept, so that an interrupted training goes
    on with the next network.
    """
    path = out / f"{recipe.task}-{member.architecture}-{member.seed}.safetensors"
    table = {
        **json.loads(json.dumps(recipe.as_table())),
        "member": {"architecture": member.architecture, "seed": member.seed},
    }
    # Which other members there are and what is said about them does not change this one.
    for key in ("members", "notes"):
        table.pop(key)
    print_of_data = prepared.data.fingerprint()
    if path.exists():
        try:
            there = read_info(path)
        except ModelError:
            there = None
        if there is not None and there.recipe == table and there.data_fingerprint == print_of_data:
            say(f"{path.name} is already there, from the same recipe and photographs")
            return there
    train, validation, test = (prepared.rows(split) for split in SPLITS)
    mean, std = channel_statistics(prepared.data.pixels[train])
    preprocessing = Preprocessing(recipe.decoded, recipe.crop, mean, std)
    module = train_network(recipe, member, prepared, preprocessing)
    logits = look(module, prepared.data.pixels[validation], preprocessing)
    divisor = temperature(logits, prepared.targets[validation])
    thresholds = {}
    if recipe.task is Task.EMPTY:
        column = recipe.labels.index(BLANK)
        is_animal = prepared.targets[validation] != column
        thresholds[BLANK] = blank_threshold(softmax(logits, divisor)[:, column], is_animal, recipe.target_recall)
    test_logits = look(module, prepared.data.pixels[test], preprocessing)
    info = ModelInfo(
        model_id="",
        name=path.stem,
        task=recipe.task,
        architecture=member.architecture,
        labels=recipe.labels,
        preprocessing=preprocessing,
        temperature=divisor,
        thresholds=thresholds,
        quality={
            "validation": figures(softmax(logits, divisor), prepared.targets[validation], recipe.labels),
            "test": _measured(recipe, prepared, test, softmax(test_logits, divisor)),
        },
        recipe=table,
        data_fingerprint=print_of_data,
        trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
        notes=recipe.notes,
    )
    return save(path, module, info)


def _measured(recipe: Recipe, prepared: Prepared, rows: Numbers, probabilities: Floats) -> dict[str, Any]:
    """Figures on the test locations, for each table of its own: generated and real frames are never mixed."""
    sources = np.array([prepared.data.examples[row].source for row in rows])
    result = {}
    for source in sorted(set(sources.tolist())):
        inside = sources == source
        examples = [prepared.data.examples[row] for row in rows[inside]]
        result[source] = {
            "image": figures(probabilities[inside], prepared.targets[rows[inside]], recipe.labels),
            "event": event_figures(probabilities[inside], examples, recipe.task, recipe.labels, Averaging.LOGIT),
        }
    return result


def fit(
    recipe: Recipe, out: Path, report: Callable[[Recipe, Prepared, Path], None] | None = None
) -> Sequence[ModelInfo]:
    """Train every member of a recipe into a folder and return what was written.

    Args:
        recipe: What to train.
        out: Folder of the ensemble; made if it is not there.
        report: Called at the end, to measure the ensemble and to write its card.
    """
    prepared = prepare_data(recipe)
    out.mkdir(parents=True, exist_ok=True)
    infos = []
    for member in recipe.members:
        info = fit_member(recipe, member, prepared, out)
        for source, result in info.quality["test"].items():
            image = result["image"]
            say(f"{info.name}: {source} test accuracy {image['accuracy']} of {image['n']} frames")
        infos.append(info)
    if report:
        report(recipe, prepared, out)
    return infos
