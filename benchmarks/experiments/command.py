"""`python -m benchmarks experiments`: do what is not done yet, and write the page."""

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.experiments import controls, questions
from benchmarks.experiments.cells import Run
from benchmarks.experiments.page import page
from benchmarks.experiments.pictures import pictures
from benchmarks.experiments.settings import EMPTY, METHODS, PLAIN, QUICK, STANDARD, Settings
from benchmarks.experiments.work import Say, everything, runs

RESULTS_VERSION = 1


def experiments(quick: bool, out: Path, work: Path, processes: int, say: Say) -> Path:
    """Run the experiment and return the page that it wrote.

    Args:
        quick: One tiny world and few epochs: shows that everything works, and nothing else.
        out: Folder of the page; `experiments/` in it gets pictures and results.
        work: Folder for what is made on the way; an interrupted experiment goes on there.
        processes: Networks that are trained side by side.
        say: Told about each finished piece.
    """
    settings = QUICK if quick else STANDARD
    folder = work / settings.name
    effort = everything(settings, folder, processes, say)
    say("working the figures out")
    results = {
        "version": RESULTS_VERSION,
        "settings": settings.as_table(),
        "machine": machine(),
        "effort": effort,
        **analysed(settings, runs(settings, folder)),
    }
    return write(json.loads(json.dumps(results)), out)


def analysed(settings: Settings, worlds: Sequence[dict[str, Run]]) -> dict[str, Any]:
    """Return the answers to all questions as plain values."""
    rounds = settings.rounds
    return {
        "worlds": [about(seed, runs_[PLAIN]) for seed, runs_ in zip(settings.seeds, worlds, strict=True)],
        "events": questions.events_against_images(worlds, (PLAIN, EMPTY), rounds),
        "ensemble": questions.ensemble_against_members(worlds, rounds),
        "coverage": questions.coverage_against_accuracy(worlds),
        "imbalance": questions.imbalance(worlds, tuple(METHODS), settings.per_method, rounds),
        "thresholds": questions.thresholds_at_places(worlds, rounds),
        "calibration": questions.calibration(worlds),
        "shuffled": controls.shuffled(worlds, rounds),
        "erased": controls.erased(worlds, rounds),
        "unknown": controls.unknown_species(worlds, rounds),
    }


def about(seed: int, run: Run) -> dict[str, Any]:
    """Return what a world holds."""
    frames = run.frames
    cells = {
        "seen": ("natural", "test_seen"),
        "aside": ("aside", "test_seen"),
        "validation": ("natural", "validation"),
        "unseen": ("natural", "test"),
    }
    rows = {name: frames.where(*cell) for name, cell in cells.items()}
    return {
        "seed": seed,
        "known": [[frames.labels[index], int(frames.training[index])] for index in frames.by_frequency()],
        "unknown": list(frames.unknown),
        "photographs": {name: int(chosen.sum()) for name, chosen in rows.items()},
        "events": {name: len(np.unique(frames.event[chosen])) for name, chosen in rows.items()},
    }


def write(results: dict[str, Any], out: Path) -> Path:
    """Write page, pictures and results, and return the page's path."""
    folder = out / "experiments"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", "utf-8")
    for name, content in pictures(results).items():
        (folder / name).write_bytes(content)
    path = out / "experiments.md"
    path.write_text(page(results), "utf-8")
    return path


def machine() -> dict[str, Any]:
    """Return on what the experiment runs."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def _processor() -> str:
    """Return the processor's name, as Linux knows it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text("utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
