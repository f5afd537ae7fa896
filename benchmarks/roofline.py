"""`ctwatch process` end to end against what decoding alone and the networks alone would allow on the same files.

Decoding and networks share the processor's cores here, so the bound is the rate at which the cores could do both:
1 / (1 / decoding + 1 / networks), each measured alone with all cores.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from benchmarks.photographs import MEGAPIXELS_3, has_animal, write_card
from ctwatch import card, panel
from ctwatch.config.sections import Config, Models, Store
from ctwatch.decode import decode
from ctwatch.panel import Panel
from ctwatch.pipeline import Pipeline
from ctwatch.store.database import Database
from ctwatch.store.preparation import prepare


def measure(images: int, rounds: int) -> dict[str, float | int | str]:
    """Return images per second of each way, medians over interleaved rounds, and their ratio to the bound."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "L01_BENCH"
        write_card(root, images)
        config = Config(models=Models(empty="bundled", species="bundled"), base=Path(folder))
        loaded = panel.load(config)
        paths = sorted(root.rglob("*.JPG"))
        pixels = _decoded(paths, loaded)
        rates: dict[str, list[float]] = {"decode": [], "networks": [], "process": []}
        stages: dict[str, Callable[[int], float]] = {
            "decode": lambda _: _timed(lambda: _decode_all(paths, loaded)),
            "networks": lambda _: _timed(lambda: _forward_all(pixels, loaded, config.models.batch_size)),
            "process": lambda number: _timed(lambda: _process(root, Path(folder) / f"store{number}", loaded)),
        }
        for number in range(rounds):
            for name, stage in stages.items():
                rates[name].append(len(paths) / stage(number))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    bound = 1 / (1 / medians["decode"] + 1 / medians["networks"])
    return {
        "images": len(paths),
        "megapixels": round(MEGAPIXELS_3[0] * MEGAPIXELS_3[1] / 1e6, 2),
        "cores": len(os.sched_getaffinity(0)),
        "torch_threads": torch.get_num_threads(),
        "decode_images_per_s": medians["decode"],
        "networks_images_per_s": medians["networks"],
        "process_images_per_s": medians["process"],
        "process_slowest": min(rates["process"]),
        "process_fastest": max(rates["process"]),
        "bound_images_per_s": bound,
        "ratio": medians["process"] / bound,
    }


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _decode_all(paths: list[Path], loaded: Panel) -> None:
    def one(path: Path) -> None:
        data = path.read_bytes()
        for canvas in loaded.canvases:
            decode(data, canvas)

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(one, paths))


def _decoded(paths: list[Path], loaded: Panel) -> list[panel.Pixels]:
    return [{canvas: decode(path.read_bytes(), canvas) for canvas in loaded.canvases} for path in paths]


def _forward_all(pixels: list[panel.Pixels], loaded: Panel, batch_size: int) -> None:
    """The empty filter on all frames, the species models on the quarter that they see in `process`."""
    species = [frame for number, frame in enumerate(pixels) if has_animal(number)]
    for ensemble, frames in ((loaded.empty, pixels), (loaded.species, species)):
        for start in range(0, len(frames), batch_size):
            if ensemble is not None:
                answer = ensemble.predict(panel.stack(frames[start : start + batch_size], ensemble.canvases))
                assert np.isfinite(answer).all()


def _process(root: Path, store: Path, loaded: Panel) -> None:
    config = Config(
        models=Models(empty="bundled", species="bundled"), store=Store(folder=str(store)), base=store.parent
    )
    database = Database(store)
    prepare(database)
    outcome = Pipeline(config, database, loaded).process(card.snapshot(root, root.parent))
    assert outcome.failed == 0
