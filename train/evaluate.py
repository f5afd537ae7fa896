"""Measures an ensemble on labelled photographs: every member, every averaging rule, frames and events."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ctwatch.domain import BLANK, ModelInfo, Task
from ctwatch.ensemble import Averaging, average, pool
from ctwatch.errors import ConfigError
from ctwatch.nets.inference import Ensemble, model_paths
from ctwatch.nets.model_file import read_info

from .calibrate import Floats
from .data import Example, Numbers, decode_all, read_labels, target
from .measure import event_figures, events, figures
from .progress import say, shown


def evaluate(folder: Path, tables: Sequence[Path], device: torch.device) -> dict[str, Any]:
    """Return the figures of an ensemble folder on the photographs of labels tables.

    Raises:
        ConfigError: A table has problems, or has no photograph with a label that the models know.
        ModelError: The folder has no ensemble.
    """
    first = read_info(model_paths(folder)[0])
    ensemble = Ensemble.load(folder, first.task, device=device)
    examples = [each for table in tables for each in read_labels(table, table.parent.name or table.stem)]
    kept = [each for each in examples if target(each.label, first.task, ensemble.labels) is not None]
    if not kept:
        raise ConfigError([f"no photograph has one of the labels {', '.join(ensemble.labels)}"])
    pixels = {}
    for canvas in ensemble.canvases:
        with shown("decoding") as progress:
            data = decode_all(kept, canvas, progress)
        pixels[canvas] = data.pixels
    for line in data.unusable:
        say(f"not usable: {line}")
    probabilities = ensemble.predict(pixels)
    result = ensemble_figures(probabilities, data.examples, ensemble.members)
    result["photographs"] = {
        "used": len(data),
        "not_usable": len(data.unusable),
        "other_labels": len(examples) - len(kept),
    }
    return result


def ensemble_figures(
    probabilities: np.ndarray[Any, np.dtype[np.float32]], examples: Sequence[Example], members: Sequence[ModelInfo]
) -> dict[str, Any]:
    """Return figures of calibrated probabilities (N, M, K).

    Frames count at image level when their own label is one of the model's. Events are pooled from all of their frames,
    as the daemon does, and for species once more from the frames with an animal only.
    """
    task, labels = members[0].task, members[0].labels
    numbers = [target(each.label, task, labels) for each in examples]
    targets = np.array([-2 if number is None else number for number in numbers], np.int64)
    known = targets >= 0
    shown_frames = [each for each, inside in zip(examples, known, strict=True) if inside]
    result: dict[str, Any] = {"task": str(task), "labels": list(labels), "members": {}, "ensemble": {}}
    for index, info in enumerate(members):
        own = probabilities[:, index]
        result["members"][info.name] = {
            "image": figures(own[known], targets[known], labels),
            "event": event_figures(own, examples, task, labels, Averaging.LOGIT),
        }
    for how in Averaging:
        mean = average(probabilities, how)
        cell: dict[str, Any] = {
            "image": figures(mean[known], targets[known], labels),
            "event": {str(rule): event_figures(mean, examples, task, labels, rule) for rule in Averaging},
        }
        if task is Task.SPECIES:
            cell["event_animal_frames"] = {
                str(rule): event_figures(mean[known], shown_frames, task, labels, rule) for rule in Averaging
            }
        else:
            cell["filter"] = _filtered(mean, targets, examples, members, how)
        result["ensemble"][str(how)] = cell
    return result


def _filtered(
    mean: Floats, targets: Numbers, examples: Sequence[Example], members: Sequence[ModelInfo], how: Averaging
) -> dict[str, Any]:
    """Return what the mean of the members' own thresholds keeps and removes, for frames and for pooled events."""
    labels = members[0].labels
    column = labels.index(BLANK)
    threshold = float(np.mean([info.thresholds.get(BLANK, 0.5) for info in members]))
    order, starts, event_targets = events(examples, Task.EMPTY, labels)
    pooled = pool(np.asarray(mean, np.float64)[order], starts, how)
    least = np.minimum.reduceat(mean[order, column], starts)
    return {
        "threshold": round(threshold, 4),
        "image": _kept(mean[:, column], targets == column, threshold),
        "event_pooled": _kept(pooled[:, column], event_targets == column, threshold),
        "event_every_frame": _kept(least, event_targets == column, threshold),
    }


def _kept(blank: Floats, is_blank: np.ndarray[Any, np.dtype[np.bool_]], threshold: float) -> dict[str, Any]:
    removed = blank >= threshold
    animals, blanks = int((~is_blank).sum()), int(is_blank.sum())
    return {
        "animals": animals,
        "animal_recall": round(float((~removed & ~is_blank).sum()) / animals, 4) if animals else None,
        "blanks": blanks,
        "blanks_removed": round(float((removed & is_blank).sum()) / blanks, 4) if blanks else None,
    }


def rows(result: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the figures as a table's rows: who, level, averaging, pooling, n, accuracy, macro recall, NLL, ECE."""
    table = []
    for name, cell in result["members"].items():
        table.append(_row(name, "image", "", "", cell["image"]))
        table.append(_row(name, "event", "", "logit", cell["event"]))
    for how, cell in result["ensemble"].items():
        table.append(_row("ensemble", "image", how, "", cell["image"]))
        for level in ("event", "event_animal_frames"):
            for rule, values in cell.get(level, {}).items():
                table.append(_row("ensemble", level.replace("_", " "), how, rule, values))
    return table


def _row(who: str, level: str, how: str, rule: str, values: dict[str, Any]) -> tuple[str, ...]:
    keys = ("accuracy", "macro_recall", "nll", "ece")
    return (
        who,
        level,
        how,
        rule,
        str(values["n"]),
        *("" if values.get(k) is None else f"{values[k]:.4f}" for k in keys),
    )
