"""`ctwatch process` end to end against what a user would write first: same files, same models, same answers.

That is a DataLoader with a worker per core, Pillow, torchvision's transforms, eager fp32 networks on all cores and a loop of
inserts, in a process of its own, so that neither side sees the other's settings. It shows all frames to both models. As
ctwatch asks the species model only for events that are not blank, `..._thrifty` compares with a plain program that leaves
out the frames that its own filter calls blank.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import duckdb
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks.networks import fitted
from benchmarks.photographs import MEGAPIXELS_3, MEGAPIXELS_12, write_card
from ctwatch import card, check
from ctwatch.config.sections import Config, Decisions, Models, Store
from ctwatch.domain import BLANK, Preprocessing, Task
from ctwatch.nets.model_file import load
from ctwatch.panel import Panel
from ctwatch.pipeline import Pipeline
from ctwatch.store.database import Database
from ctwatch.store.preparation import prepare

BATCH = 16
THRESHOLD = 0.5
"""Probability of blank from which both sides call a frame blank."""
TOLERANCE = 0.05
"""Probabilities that differ by no more are the same answer: scaled decoding, and bf16 where the processor has it."""
_FEWER = 6
"""Photographs of 12 megapixels are so many times fewer."""
_WARMING = 6

Answers = Mapping[str, NDArray[np.float32]]
"""Probabilities by path below the card; a photograph that a model was not shown is missing."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one side took and said."""

    seconds: float
    blank: Answers
    species: Answers


def measure(images: int, rounds: int) -> dict[str, float | int | str]:
    """Return how many times faster ctwatch is, medians over interleaved rounds, and how far the answers differ."""
    figures: dict[str, float | int | str] = {
        "images": images,
        "images_12mp": max(1, images // _FEWER),
        "cores": len(os.sched_getaffinity(0)),
        "batch": BATCH,
        "tolerance": TOLERANCE,
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_card(folder / "L01_3MP", images, size=MEGAPIXELS_3)
        write_card(folder / "L01_12MP", images // _FEWER, size=MEGAPIXELS_12)
        for architecture in ("resnet18", "resnet50"):
            fitted(folder / architecture, architecture)
        for ending, architecture, root in (
            ("", "resnet18", folder / "L01_3MP"),
            ("_resnet50", "resnet50", folder / "L01_3MP"),
            ("_12mp", "resnet18", folder / "L01_12MP"),
        ):
            found = _compared(folder / architecture, root, rounds)
            figures |= {f"{key}{ending}": value for key, value in found.items()}
    return figures


def _compared(models: Path, root: Path, rounds: int) -> dict[str, float]:
    config = Config(
        models=Models(empty=str(models / "empty"), species=str(models / "species")),
        decisions=Decisions(blank_threshold=THRESHOLD),
        base=models,
    )
    loaded = check.demand(config, inboxes=False)
    runs: dict[str, list[Run]] = {"ctwatch": [], "plain": [], "plain_thrifty": []}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as other, tempfile.TemporaryDirectory() as stores:
        for number in range(rounds):
            store = Path(stores) / str(number)
            runs["ctwatch"].append(_ctwatch(config, loaded, root, store))
            for name in ("plain", "plain_thrifty"):
                asked = other.submit(plain, models, root, store / f"{name}.duckdb", thrifty=name == "plain_thrifty")
                runs[name].append(asked.result())
    rates = {name: [len(run.blank) / run.seconds for run in found] for name, found in runs.items()}
    ratios = [ours / theirs for ours, theirs in zip(rates["ctwatch"], rates["plain"], strict=True)]
    thrifty = [ours / theirs for ours, theirs in zip(rates["ctwatch"], rates["plain_thrifty"], strict=True)]
    return {
        **{f"{name}_images_per_s": statistics.median(values) for name, values in rates.items()},
        **_differences(runs["ctwatch"][0], runs["plain"][0]),
        "lowest_ratio": min(ratios),
        "highest_ratio": max(ratios),
        "ratio_thrifty": statistics.median(thrifty),
        "ratio": statistics.median(ratios),
    }


def _differences(ours: Run, theirs: Run) -> dict[str, float]:
    """How far probabilities differ, and the share of frames for which both decide the same."""
    assert ours.blank.keys() == theirs.blank.keys()
    assert ours.species.keys() <= theirs.species.keys()
    apart = [np.abs(ours.blank[path] - theirs.blank[path]).max() for path in ours.blank]
    apart += [np.abs(ours.species[path] - theirs.species[path]).max() for path in ours.species]
    return {
        "difference_largest": float(np.max(apart)),
        "difference_mean": float(np.mean(apart)),
        "within_tolerance": float(np.mean(np.array(apart) <= TOLERANCE)),
        "filter_decisions_equal": float(
            np.mean([(ours.blank[path] >= THRESHOLD) == (theirs.blank[path] >= THRESHOLD) for path in ours.blank])
        ),
        "species_equal": float(
            np.mean([ours.species[path].argmax() == theirs.species[path].argmax() for path in ours.species])
        ),
        "species_shown": len(ours.species),
    }


def _ctwatch(config: Config, loaded: Panel, root: Path, folder: Path) -> Run:
    database = Database(folder)
    prepare(database)
    stored = Config(models=config.models, decisions=config.decisions, store=Store(folder=str(folder)), base=config.base)
    started = time.perf_counter()
    outcome = Pipeline(stored, database, loaded).process(card.snapshot(root, root.parent))
    seconds = time.perf_counter() - started
    assert outcome.failed == 0
    said: dict[str, dict[str, NDArray[np.float32]]] = {}
    with database.reading() as connection:
        rows = connection.execute(
            "SELECT model_id, file_path, probabilities FROM raw.prediction JOIN raw.card_file USING (media_id)"
        ).fetchall()
    for model_id, path, probabilities in rows:
        said.setdefault(model_id, {})[path] = np.array(probabilities, dtype=np.float32)
    (filtering,), (naming,) = loaded.empty_models, loaded.species_models
    number = filtering.labels.index(BLANK)
    blank = {path: values[number] for path, values in said[filtering.model_id].items()}
    return Run(seconds, blank, said.get(naming.model_id, {}))


def plain(models: Path, root: Path, store: Path, *, thrifty: bool) -> Run:
    """What a user would write; with `thrifty` the species model sees only what the filter does not call blank."""
    (filtering, seeing), (naming, telling) = (
        load(next((models / task).glob("*.safetensors"))) for task in (Task.EMPTY, Task.SPECIES)
    )
    seeing.eval()
    telling.eval()
    blank: dict[str, NDArray[np.float32]] = {}
    species: dict[str, NDArray[np.float32]] = {}
    paths = sorted(root.rglob("*.JPG"))
    photographs = Photographs(paths, filtering.preprocessing)
    with torch.inference_mode():
        for number in range(_WARMING):
            seeing(photographs[number][0][None])
        started = time.perf_counter()
        for batch, numbers in DataLoader(photographs, BATCH, num_workers=len(os.sched_getaffinity(0))):
            names = [paths[number].relative_to(root).as_posix() for number in numbers.tolist()]
            empty = torch.softmax(seeing(batch) / filtering.temperature, 1)[:, filtering.labels.index(BLANK)]
            blank |= zip(names, empty.numpy(), strict=True)
            shown = empty < THRESHOLD if thrifty else torch.ones_like(empty, dtype=torch.bool)
            if shown.any():
                probabilities = torch.softmax(telling(batch[shown]) / naming.temperature, 1)
                kept = [name for name, show in zip(names, shown.tolist(), strict=True) if show]
                species |= zip(kept, probabilities.numpy(), strict=True)
    connection = duckdb.connect(str(store))
    connection.execute("CREATE TABLE answer (path VARCHAR PRIMARY KEY, blank FLOAT, species FLOAT[])")
    for path, value in blank.items():
        named = species[path].tolist() if path in species else None
        connection.execute("INSERT INTO answer VALUES (?, ?, ?)", [path, float(value), named])
    connection.close()
    return Run(time.perf_counter() - started, blank, species)


class Photographs(Dataset[tuple[Tensor, int]]):
    """Photographs as a user's loader would give them."""

    def __init__(self, paths: list[Path], preprocessing: Preprocessing) -> None:
        self.paths = paths
        self.canvas = preprocessing.canvas
        self.change = transforms.Compose(
            [
                transforms.Resize((self.canvas.height, self.canvas.width)),
                transforms.CenterCrop(preprocessing.crop),
                transforms.ToTensor(),
                transforms.Normalize(preprocessing.mean, preprocessing.std),
            ]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        image = Image.open(self.paths[number]).convert("RGB")
        top, bottom = round(image.height * self.canvas.banner_top), round(image.height * self.canvas.banner_bottom)
        change: Tensor = self.change(image.crop((0, top, image.width, image.height - bottom)))
        return change, number
