"""Measures a trained ensemble on its test locations and writes the figures and the model card beside it."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ctwatch.domain import ModelInfo, Task
from ctwatch.nets.inference import Ensemble
from ctwatch.nets.model_file import load

from .data import SPLITS
from .evaluate import ensemble_figures
from .fit import Prepared, counts
from .recipe import Recipe

SCENES_COMMAND = "ctwatch train scenes --out scenes"


def write(recipe: Recipe, prepared: Prepared, out: Path) -> None:
    """Measure the ensemble of a folder on the test locations, and write `figures.json` and `README.md` beside it."""
    values = measured(recipe, prepared, out)
    (out / "figures.json").write_text(json.dumps(values, indent=1, sort_keys=True) + "\n", "utf-8")
    (out / "README.md").write_text(card(recipe, values), "utf-8")


def measured(recipe: Recipe, prepared: Prepared, folder: Path) -> dict[str, Any]:
    """Return the figures of the model files in a folder on the test locations, for each table of photographs."""
    ensemble = Ensemble.load(folder, recipe.task, device=torch.device("cpu"))
    rows = prepared.rows("test", known=False)
    sets = {}
    for source in sorted({prepared.data.examples[row].source for row in rows}):
        inside = np.array([row for row in rows if prepared.data.examples[row].source == source])
        pixels = {canvas: prepared.data.pixels[inside] for canvas in ensemble.canvases}
        examples = [prepared.data.examples[row] for row in inside]
        sets[source] = ensemble_figures(ensemble.predict(pixels), examples, ensemble.members)
    return {
        "task": str(recipe.task),
        "data_fingerprint": prepared.data.fingerprint(),
        "photographs": counts(prepared),
        "not_usable": len(prepared.data.unusable),
        "sets": sets,
        "files": {
            info.name: {
                "architecture": info.architecture,
                "bytes": (folder / f"{info.name}.safetensors").stat().st_size,
                "temperature": round(info.temperature, 3),
                "thresholds": dict(info.thresholds),
                "model_id": info.model_id,
                "ms_per_frame": round(speed(folder / f"{info.name}.safetensors"), 1),
            }
            for info in ensemble.members
        },
    }


def speed(path: Path) -> float:
    """Return milliseconds per frame of one model file on one thread, the best of three batches of 16."""
    info, module = load(path)
    one = Ensemble([(info, module)], device=torch.device("cpu"))
    canvas = one.canvases[0]
    pixels = {canvas: np.full((16, 3, canvas.height, canvas.width), 127, np.uint8)}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times = []
        for _ in range(4):
            start = time.perf_counter()
            one.predict(pixels)
            times.append(time.perf_counter() - start)
    finally:
        torch.set_num_threads(threads)
    return min(times[1:]) / 16 * 1000


def card(recipe: Recipe, values: dict[str, Any]) -> str:
    """Return the Markdown of a model card; every figure in it comes from `measured`."""
    title = "Empty filter" if recipe.task is Task.EMPTY else "Species ensemble"
    parts = [f"# {title}: {recipe.name}", recipe.notes, *_purpose(recipe), *_data(recipe, values)]
    for source, result in values["sets"].items():
        parts += _set(source, result)
    parts += [*_files(values), *_again(recipe)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _purpose(recipe: Recipe) -> list[str]:
    limits = [
        "It is there so that ctwatch runs from the first minute, and as a start for training of your own. Do not use "
        "it for a survey: figures on drawn scenes say nothing about photographs from your cameras.",
    ]
    if recipe.task is Task.SPECIES:
        limits.append(
            "**It knows only drawn animals and drawn people.** Names of real animals need real labels: "
            "`ctwatch train fit` with your own labels table makes a species model, and it replaces this one."
        )
    else:
        limits.append(
            "On real photographs it is weak: it has seen few of them, and nearly all of its blank frames are drawn. "
            "The figures on real frames below are on very few frames of very few places; read their intervals."
        )
    return ["## What it is for", *limits, f"Labels: {', '.join(f'`{label}`' for label in recipe.labels)}."]


def _data(recipe: Recipe, values: dict[str, Any]) -> list[str]:
    table = ["| table | split | photographs | of these blank | locations | which |", "|---|---|---:|---:|---:|---|"]
    for source, splits in values["photographs"].items():
        for split in SPLITS:
            if split in splits:
                cell = splits[split]
                named = ", ".join(cell["named"])
                numbers = f"{cell['photographs']} | {cell['blank']} | {cell['locations']}"
                table.append(f"| {source} | {split} | {numbers} | {named} |")
    about = [f"* **{source.name}**: {source.about}" for source in recipe.data if source.name in values["photographs"]]
    return [
        "## What it learned from, and was measured on",
        "\n".join(about),
        "No location is in two splits, and photographs of a split marked test were never trained on. "
        "Temperature and threshold come from validation, figures from test.",
        "\n".join(table),
        f"Files that could not be used: {values['not_usable']}. Fingerprint of media and labels: "
        f"`{values['data_fingerprint']}`.",
    ]


def _set(source: str, result: dict[str, Any]) -> list[str]:
    lines = [
        "| who | level | averaging | pooling | n | accuracy | 95 % interval | macro recall | NLL | ECE |",
        "|---|---|---|---|---:|---:|---|---:|---:|---:|",
    ]

    def add(who: str, level: str, how: str, rule: str, cell: dict[str, Any]) -> None:
        if cell["n"]:
            low, high = cell["accuracy_95"]
            lines.append(
                f"| {who} | {level} | {how} | {rule} | {cell['n']} | {cell['accuracy']:.3f} "
                f"| {low:.3f} to {high:.3f} | {cell['macro_recall']:.3f} | {cell['nll']:.3f} | {cell['ece']:.3f} |"
            )

    for name, cell in result["members"].items():
        add(name, "frame", "", "", cell["image"])
    for how, cell in result["ensemble"].items():
        add("ensemble", "frame", how, "", cell["image"])
    for how, cell in result["ensemble"].items():
        add("ensemble", "event", how, how, cell["event"][how])
    best = result["ensemble"]["logit"]
    recall = ["| label | n | recall, frames | n | recall, events |", "|---|---:|---:|---:|---:|"]
    for label, cell in best["image"].get("recall", {}).items():
        event = best["event"]["logit"].get("recall", {}).get(label, {"n": 0, "recall": float("nan")})
        recall.append(f"| {label} | {cell['n']} | {cell['recall']:.3f} | {event['n']} | {event['recall']:.3f} |")
    parts = [
        f"## Measured on test locations: {source}",
        "Intervals are Wilson's and take frames as independent, which frames of one place are not: read them as lower "
        "limits of the doubt.",
        "\n".join(lines),
        _plainly(best["image"]),
        "Recall of the ensemble per label (mean of log probabilities):",
        "\n".join(recall),
    ]
    if "filter" in best:
        cell = best["filter"]
        image, event = cell["image"], cell["event_pooled"]
        if image["animals"] and image["blanks"]:
            parts.append(
                f"At the mean of the members' thresholds, blank from {cell['threshold']:.3f}: "
                f"{image['animal_recall']:.3f} of {image['animals']} animal frames kept, "
                f"{image['blanks_removed']:.3f} of {image['blanks']} blank frames removed; for "
                f"pooled events {event['animal_recall']:.3f} of {event['animals']} kept and "
                f"{event['blanks_removed']:.3f} of {event['blanks']} removed."
            )
    return parts


def _plainly(image: dict[str, Any]) -> str:
    """Say what always answering the commonest label would reach: an accuracy alone can look better than it is."""
    if not image["n"]:
        return ""
    most = max(cell["n"] for cell in image["recall"].values())
    text = f"Always answering the commonest label would be right in {most / image['n']:.3f} of these frames."
    missed = [label for label, cell in image["recall"].items() if cell["recall"] < 0.5]
    if image["accuracy"] <= most / image["n"]:
        text += " **The ensemble is no better than that here.**"
    for label in missed:
        cell = image["recall"][label]
        right = round(cell["recall"] * cell["n"])
        text += f" **Of {cell['n']} frames of `{label}` it recognised {right}.**"
    return text


def _files(values: dict[str, Any]) -> list[str]:
    lines = [
        "| file | architecture | bytes | ms per frame, one thread | temperature | threshold |",
        "|---|---|---:|---:|---:|---|",
    ]
    for name, cell in values["files"].items():
        threshold = ", ".join(f"{label} {value:.3f}" for label, value in cell["thresholds"].items())
        lines.append(
            f"| `{name}.safetensors` | {cell['architecture']} | {cell['bytes']:,} | {cell['ms_per_frame']:.1f} | "
            f"{cell['temperature']:.2f} | {threshold} |"
        )
    return ["## Files", "\n".join(lines)]


def _again(recipe: Recipe) -> list[str]:
    others = [source for source in recipe.data if source.optional]
    text = [
        "## How to make it again",
        f"```\n{SCENES_COMMAND}\nctwatch train fit {recipe.name} --out models/{recipe.task}\n```",
    ]
    if others:
        paths = ", ".join(f"`{source.path}`" for source in others)
        text.append(
            f"The photographs of {paths} are not part of ctwatch; without that table training goes on with the drawn "
            "scenes alone and the fingerprint differs."
        )
    text.append("This card was written by the trainer from `figures.json`; edit neither by hand.")
    return text


def describe(infos: Sequence[ModelInfo]) -> list[tuple[str, ...]]:
    """Return one row per model file and test set: name, architecture, set, frames, accuracy, events, their accuracy."""
    rows: list[tuple[str, ...]] = []
    for info in infos:
        for source, result in info.quality.get("test", {}).items():
            cells = [part for level in ("image", "event") for part in (str(result[level]["n"]), _share(result[level]))]
            rows.append((info.name, info.architecture, source, *cells))
    return rows


def _share(cell: dict[str, Any]) -> str:
    return "" if cell["accuracy"] is None else f"{cell['accuracy']:.4f}"
