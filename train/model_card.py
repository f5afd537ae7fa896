"""Writes an ensemble's model card and its figures, all from measurements: nothing in it is typed by hand."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ctwatch.domain import Task
from ctwatch.nets.inference import Ensemble

from .data import SPLITS
from .evaluate import ensemble_figures
from .fit import Prepared, counts
from .measure import wilson
from .recipe import Recipe

HEAD = ("accuracy", "macro_recall", "nll", "ece")


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
                "bytes": (folder / f"{info.name}.safetensors").stat().st_size,
                "temperature": round(info.temperature, 3),
                "thresholds": dict(info.thresholds),
                "model_id": info.model_id,
            }
            for info in ensemble.members
        },
        "ms_per_frame": {info.name: round(_speed(folder, info.name, recipe.task), 2) for info in ensemble.members},
    }


def _speed(folder: Path, name: str, task: Task) -> float:
    """Return milliseconds per frame of one member on one thread, the best of three batches of 16."""
    ensemble = Ensemble.load(folder, task, device=torch.device("cpu"))
    number = [info.name for info in ensemble.members].index(name)
    one = Ensemble.only(ensemble, number)
    canvas = one.canvases[0]
    pixels = {canvas: np.full((16, 3, canvas.height, canvas.width), 127, np.uint8)}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        one.predict(pixels)
        times = []
        for _ in range(3):
            start = time.perf_counter()
            one.predict(pixels)
            times.append(time.perf_counter() - start)
    finally:
        torch.set_num_threads(threads)
    return min(times) / 16 * 1000
