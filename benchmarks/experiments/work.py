"""Does the experiment's work in processes of its own, a network each: worlds, sets, training, answers; what is done is kept."""

import contextlib
import csv
import hashlib
import json
import multiprocessing
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ctwatch_train.generate import without_animals, write_world

from benchmarks.experiments.cells import Frames, Run
from benchmarks.experiments.settings import EMPTY, PLAIN, Job, Settings, jobs, recipe_of
from benchmarks.experiments.world import SHUFFLE_SEED, build, frames_of, held_out, logits, same_rows, shuffled
from ctwatch.errors import CtwatchError

VERSION = 1
"""Raised when answers of an older experiment must not be taken over."""

Say = Callable[[str], None]


def everything(settings: Settings, work: Path, processes: int, say: Say) -> dict[str, Any]:
    """Do what is not done yet and return how much processor time all of it took.

    Args:
        settings: What to do.
        work: Folder for worlds, models and answers; an interrupted experiment goes on where it was.
        processes: Networks that are trained side by side, a thread each.
        say: Told one line per finished piece.

    Raises:
        CtwatchError: A piece failed; its log has the rest.
    """
    worlds = [(seed, erased) for seed in settings.seeds for erased in (False, True)]
    _all(draw_world, [(settings, work, *each) for each in worlds], processes, say)
    todo = jobs(settings)
    _all(train_network, [(settings, work, job) for job in todo], processes, say)
    training = [float(_read(work, job)["processor"]) for job in todo]
    drawing = [json.loads((_world(work, *each) / "done.json").read_text("utf-8"))["processor"] for each in worlds]
    return {
        "networks": len(todo),
        "of": "processor time",
        "training_minutes": round(sum(training) / 60, 1),
        "drawing_minutes": round(sum(drawing) / 60, 1),
        "processes": processes,
    }


def runs(settings: Settings, work: Path) -> list[dict[str, Run]]:
    """Return what all networks answered: for each world the runs by kind.

    The first plain network appears once more under its name and ", on erased": what it said of scenes without animals.
    """
    result = []
    for world in settings.seeds:
        frames = frames_of(_world(work, world, False) / "set")
        by_kind: dict[str, list[Job]] = {}
        for job in jobs(settings):
            if job.world == world:
                by_kind.setdefault(job.run, []).append(job)
        found: dict[str, Run] = {}
        for kind, several in by_kind.items():
            parts = [_read(work, job) for job in several]
            found[kind] = _run(frames, several[0].task, parts, "logits")
            if "logits_erased" in parts[0]:
                found[f"{kind}, on erased"] = _run(frames, several[0].task, parts[:1], "logits_erased")
        result.append(found)
    return result


def _run(frames: Frames, task: str, parts: Sequence[Mapping[str, Any]], column: str) -> Run:
    numbers = (np.array([float(part[name]) for part in parts]) for name in ("temperature", "shown", "seconds"))
    return Run(frames, task, np.stack([part[column] for part in parts]), *numbers)


def _all(function: Callable[..., str], arguments: Iterable[tuple[Any, ...]], processes: int, say: Say) -> None:
    """Call a function in processes of their own, and stop at the first failure once the others are through."""
    context = multiprocessing.get_context("spawn")
    failures = []
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_alone) as pool:
        waiting = [pool.submit(function, *each) for each in arguments]
        for number, future in enumerate(as_completed(waiting), 1):
            try:
                line = future.result()
            except CtwatchError as error:
                failures.append(error)
                line = f"failed: {error}"
            say(f"{number} of {len(waiting)}: {line}")
    if failures:
        raise failures[0]


def _alone() -> None:
    torch.set_num_threads(1)
    # What a network does with one thread is the same on every run; two networks side by side use two cores fully.
    torch.set_num_interop_threads(1)


def _world(work: Path, seed: int, erased: bool) -> Path:
    return work / f"world-{seed}" / ("erased" if erased else "plain")


def draw_world(settings: Settings, work: Path, seed: int, erased: bool) -> str:
    """Draw a world, with or without its animals, make a set of it, and return a line about it."""
    folder = _world(work, seed, erased)
    world = settings.world_of(seed)
    world = without_animals(world) if erased else world
    what = f"world {seed}{' without animals' if erased else ''}"
    done, key = folder / "done.json", _key(settings, repr(world))
    if done.exists() and json.loads(done.read_text("utf-8"))["key"] == key:
        return f"{what}: is there"
    begun, used = time.perf_counter(), time.process_time()
    with _logged(work / "logs" / f"{folder.parent.name}-{folder.name}.txt"):
        tables = write_world(world, folder / "photographs")
        build(tables, folder / "set", settings.canvas)
    wall, used = time.perf_counter() - begun, time.process_time() - used
    _replace(done, json.dumps({"key": key, "processor": round(used, 1)}).encode())
    return f"{what}: {wall:.0f} s"


def train_network(settings: Settings, work: Path, job: Job) -> str:
    """Train a network, keep what it answers to everything held out, and return a line about it."""
    recipe = recipe_of(settings, job)
    table = json.dumps(recipe.as_table(), sort_keys=True, default=str)
    key = _key(settings, f"{settings.world_of(job.world)!r} {job!r} {table}")
    what = f"world {job.world}, {job.run}, network {job.seed}"
    path = _answers(work, job)
    if path.exists() and str(_read(work, job)["key"]) == key:
        return f"{what}: is there"
    begun, used = time.perf_counter(), time.process_time()
    with _logged(work / "logs" / f"{path.stem}-world-{job.world}.txt"):
        from ctwatch_train.fitting.fit import fit
        from ctwatch_train.sets.dataset import open_set

        plain, without = (open_set(_world(work, job.world, erased) / "set", verify=False) for erased in (False, True))
        if not same_rows(plain, without):
            raise CtwatchError(
                f"{without.folder}: its rows are not those of {plain.folder}; remove {work} and begin anew"
            )
        source = without if job.erased else plain
        out = work / "models" / f"world-{job.world}" / job.folder
        learned = shuffled(source, SHUFFLE_SEED + job.seed) if job.shuffled else source
        (info,) = fit(recipe, learned, out, device=torch.device("cpu"))
        model = out / f"{info.name}.safetensors"
        shown, seconds = _effort(out / "training" / info.name / "log.csv")
        columns: dict[str, Any] = {"logits": logits(model, source, held_out(source))}
        if job.run in (PLAIN, EMPTY) and job.seed == 1:
            columns["logits_erased"] = logits(model, without, held_out(without))
    wall, used = time.perf_counter() - begun, time.process_time() - used
    columns |= {"temperature": info.temperature, "shown": shown, "seconds": seconds, "processor": used, "key": key}
    beside = path.with_suffix(".tmp.npz")
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(beside, **columns)
    os.replace(beside, path)
    return f"{what}: {wall:.0f} s"


def _answers(work: Path, job: Job) -> Path:
    return work / "answers" / f"world-{job.world}" / f"{job.folder}-{job.seed}.npz"


def _read(work: Path, job: Job) -> Mapping[str, Any]:
    with np.load(_answers(work, job), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _effort(log: Path) -> tuple[float, float]:
    """Return photographs that were learned from, those again included, and seconds, from a training's log."""
    with log.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    seconds = [float(row["seconds"]) for row in rows]
    rates = [float(row["images_per_second"]) for row in rows]
    return float(sum(rate * each for rate, each in zip(rates, seconds, strict=True))), float(sum(seconds))


def _key(settings: Settings, text: str) -> str:
    values = [VERSION, settings.canvas, settings.crop, torch.__version__, np.__version__, text]
    return hashlib.blake2b(json.dumps(values).encode(), digest_size=16).hexdigest()


def _replace(path: Path, content: bytes) -> None:
    beside = path.with_name(f".{path.name}.tmp")
    beside.write_bytes(content)
    os.replace(beside, path)


@contextlib.contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Send what the trainer says to a file: lines of two trainings at once are of no use on a screen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file, contextlib.redirect_stderr(file), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
