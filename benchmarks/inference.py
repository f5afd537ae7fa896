"""What runs a network on this processor: eager PyTorch as a user would write it against each engine of ctwatch.

All cores are given to each way. Networks are fitted to drawn scenes, so that probabilities are spread, and the answers of
every engine are held against those of eager float32.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.networks import CANVAS, PREPROCESSING, fitted
from ctwatch.domain import Task
from ctwatch.nets import compiled
from ctwatch.nets.choice import trial_frames
from ctwatch.nets.eager import EagerEngine
from ctwatch.nets.engine import Engine, Pixels, Probabilities
from ctwatch.nets.inference import Ensemble
from ctwatch.nets.model_file import load
from ctwatch.nets.preprocessing import prepare
from ctwatch.nets.shelf import Rules

ARCHITECTURES = ("resnet18", "resnet50", "mobilenet_v3_small")
_BATCH = 16


def measure(frames: int, rounds: int) -> dict[str, float | int | str]:
    """Return frames per second of each way and architecture, and how many times eager the chosen engine is.

    `ratio` is that of ResNet-50.
    """
    cores = len(os.sched_getaffinity(0))
    told: dict[str, float | int | str] = {"frames": frames, "cores": cores, "batch": _BATCH}
    pixels = np.resize(trial_frames(CANVAS), (frames, 3, CANVAS.height, CANVAS.width))
    for name in ARCHITECTURES:
        with tempfile.TemporaryDirectory() as folder:
            fitted(Path(folder), name)
            told |= {f"{name}_{key}": value for key, value in _one(Path(folder), cores, pixels, rounds).items()}
    return {**told, "ratio": told["resnet50_ratio"]}


def _one(folder: Path, cores: int, pixels: Pixels, rounds: int) -> dict[str, float | str]:
    (path,) = (folder / str(Task.SPECIES)).glob("*.safetensors")
    started = time.perf_counter()
    rules = Rules(cache=folder / "cache")
    chosen = Ensemble.load(path.parent, Task.SPECIES, batch_size=_BATCH, threads=cores, rules=rules)
    first = time.perf_counter() - started
    started = time.perf_counter()
    Ensemble.load(path.parent, Task.SPECIES, batch_size=_BATCH, threads=cores, rules=rules)
    later = time.perf_counter() - started
    info, module = load(path)
    graph = compiled.convert(info, module)
    ways: dict[str, Callable[[], Probabilities]] = {"instead": lambda: _instead(module, pixels)}
    engines: list[Engine] = [EagerEngine(info, module, torch.device("cpu"))]
    engines += [compiled.CompiledEngine(info, graph, precision, threads=cores) for precision in compiled.precisions()]
    for engine in engines:
        ensemble = Ensemble([engine], batch_size=_BATCH, threads=cores)
        ways[engine.name.replace(" ", "_")] = lambda ensemble=ensemble: ensemble.predict({CANVAS: pixels})[:, 0]  # type: ignore[misc]
    ways["chosen"] = lambda: chosen.predict({CANVAS: pixels})[:, 0]
    rates: dict[str, list[float]] = {way: [] for way in ways}
    answers: dict[str, Probabilities] = {}
    for number in range(rounds + 1):
        for way, work in ways.items():
            torch.set_num_threads(cores if way == "instead" else 1)
            started = time.perf_counter()
            answers[way] = work()
            if number:  # the first round warms up
                rates[way].append(len(pixels) / (time.perf_counter() - started))
    speed = {way: statistics.median(values) for way, values in rates.items()}
    difference = {way: float(np.abs(answer - answers["instead"]).max()) for way, answer in answers.items()}
    return {
        "chosen": chosen.engines[0],
        **{f"{way}_frames_per_s": value for way, value in speed.items()},
        **{f"{way}_largest_difference": value for way, value in difference.items() if way != "instead"},
        "first_load_s": first,
        "later_load_s": later,
        "ratio": speed["chosen"] / speed["instead"],
    }


def _instead(module: torch.nn.Module, pixels: Pixels) -> Probabilities:
    """What one would write: batches through the module as it is, softmax."""
    answers = []
    with torch.inference_mode():
        for start in range(0, len(pixels), _BATCH):
            batch = prepare(torch.from_numpy(pixels[start : start + _BATCH]), PREPROCESSING)
            answers.append(torch.softmax(module(batch), 1).numpy())
    out: Probabilities = np.concatenate(answers)
    return out
