"""`ctwatch process` end to end against what decoding alone and the networks alone would allow on the same files.

Where decoding and networks share the processor's cores the bound is the rate at which the cores could do both:
1 / (1 / decoding + 1 / networks), each measured alone with all cores busy. With networks on a GPU it is the slower of the
two. Where the rest goes is told stage by stage, in milliseconds of one core for each photograph.
"""

import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.photographs import MEGAPIXELS_3, has_animal, write_card
from ctwatch import card, check, panel
from ctwatch.config.sections import Config, Models, Store
from ctwatch.decode import reuse_memory
from ctwatch.decoding.photograph import ReadingRules, Wanted, media_of, picture_of
from ctwatch.domain import Canvas, FileStat
from ctwatch.identity import content_id
from ctwatch.nets import device as devices
from ctwatch.panel import Panel
from ctwatch.pipeline import Pipeline
from ctwatch.store.database import Database
from ctwatch.store.preparation import prepare

_CORES = len(os.sched_getaffinity(0))
_RULES = ReadingRules(2000, use_file_times=False, now=datetime(2026, 6, 1))


def measure(images: int, rounds: int) -> dict[str, float | int | str]:
    """Return images per second of each way, medians over interleaved rounds, and their ratio to the bound."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "L01_BENCH"
        write_card(root, images)
        config = Config(models=Models(empty="bundled", species="bundled"), base=Path(folder))
        loaded = check.demand(config, inboxes=False)
        paths = sorted(root.rglob("*.JPG"))
        wanted = Wanted(_RULES, loaded.canvases)
        pixels = [_decoded(path, wanted) for path in paths]
        rates: dict[str, list[float]] = {"decode": [], "networks": [], "process": []}
        own: list[float] = []
        with ProcessPoolExecutor(_CORES, get_context("spawn"), reuse_memory) as pool:
            shares = [(paths[start :: 4 * _CORES], wanted) for start in range(4 * _CORES)]
            stages: dict[str, Callable[[int], object]] = {
                "decode": lambda _: list(pool.map(_decode_share, shares)),
                "networks": lambda _: _forward_all(pixels, loaded),
                "process": lambda number: _process(root, Path(folder) / f"store{number}", loaded),
            }
            list(pool.map(_decode_share, shares))  # the processes start
            _process(root, Path(folder) / "warm", loaded)
            for number in range(rounds):
                for name, stage in stages.items():
                    before = _core_seconds()
                    started = time.perf_counter()
                    stage(number)
                    rates[name].append(len(paths) / (time.perf_counter() - started))
                    if name == "process":
                        own.append((_core_seconds() - before) / len(paths))
        parts = _parts(paths[: min(60, len(paths))], wanted)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    device = devices.resolve(config.models.device)
    both = 1 / (1 / medians["decode"] + 1 / medians["networks"])
    bound = both if device == "cpu" else min(medians["decode"], medians["networks"])
    return {
        "images": len(paths),
        "megapixels": round(MEGAPIXELS_3[0] * MEGAPIXELS_3[1] / 1e6, 2),
        "cores": _CORES,
        "device": device,
        "engines": ", ".join(
            sorted({name for each in (loaded.empty, loaded.species) if each for name in each.engines})
        ),
        "decode_images_per_s": medians["decode"],
        "networks_images_per_s": medians["networks"],
        "process_images_per_s": medians["process"],
        "process_slowest": min(rates["process"]),
        "process_fastest": max(rates["process"]),
        "bound_images_per_s": bound,
        **{f"one_core_{name}_ms": value for name, value in parts.items()},
        "all_cores_decode_ms": 1000 * _CORES / medians["decode"],
        "all_cores_networks_ms": 1000 * _CORES / medians["networks"],
        "all_cores_process_ms": 1000 * _CORES / medians["process"],
        "daemon_core_ms": 1000 * statistics.median(own),
        "ratio": medians["process"] / bound,
    }


def _core_seconds() -> float:
    """Return the core-seconds that this process has taken, without those of its decoders."""
    taken = resource.getrusage(resource.RUSAGE_SELF)
    return taken.ru_utime + taken.ru_stime


def _decoded(path: Path, wanted: Wanted) -> dict[Canvas, np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    picture = picture_of(path.read_bytes(), "image/jpeg", wanted)
    return dict(zip(wanted.canvases, picture.pixels, strict=True))


def _decode_share(share: tuple[Sequence[Path], Wanted]) -> None:
    paths, wanted = share
    for path in paths:
        _decoded(path, wanted)


def _forward_all(pixels: Sequence[panel.Pixels], loaded: Panel) -> None:
    """The empty filter on all frames, the species models on the quarter that they see in `process`."""
    species = [frame for number, frame in enumerate(pixels) if has_animal(number)]
    size = loaded.frames_at_once
    for ensemble, frames in ((loaded.empty, pixels), (loaded.species, species)):
        for start in range(0, len(frames), size):
            if ensemble is not None:
                answer = ensemble.predict(panel.stack(frames[start : start + size], ensemble.canvases))
                if not np.isfinite(answer).all():
                    raise ValueError("a network answered nonsense")


def _process(root: Path, store: Path, loaded: Panel) -> None:
    config = Config(
        models=Models(empty="bundled", species="bundled"), store=Store(folder=str(store)), base=store.parent
    )
    database = Database(store)
    prepare(database)
    pipeline = Pipeline(config, database, loaded)
    outcome = pipeline.process(card.snapshot(root, root.parent))
    pipeline.close()
    if outcome.failed:
        raise ValueError(outcome.in_words())


def _parts(paths: Sequence[Path], wanted: Wanted) -> dict[str, float]:
    """Return the milliseconds that each step of one photograph takes on one core."""
    steps = ("read", "hash", "header", "decode")
    reuse_memory()  # as decoding processes do
    taken = dict.fromkeys(steps, 0.0)
    for path in paths:
        moments = [time.process_time()]
        data = path.read_bytes()
        moments.append(time.process_time())
        media_id = content_id(data)
        moments.append(time.process_time())
        media_of(data, media_id, FileStat(path.name, len(data), 0), wanted.rules)
        moments.append(time.process_time())
        picture_of(data, "image/jpeg", wanted)
        moments.append(time.process_time())
        for step, start, end in zip(steps, moments, moments[1:], strict=False):
            taken[step] += 1000 * (end - start) / len(paths)
    return taken
