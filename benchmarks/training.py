"""`ctwatch train fit` against the same network on tensors that are already there, and against what one would write instead.

How long the device waits for photographs is 1 - fit / synthetic. "Instead" is a torchvision folder loader that decodes every
JPEG anew in each pass, with the same crop, flip and normalisation.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from ctwatch_train.fitting.engine import Training
from ctwatch_train.fitting.networks import outputs, parameter_groups, training_network
from ctwatch_train.fitting.preparation import Prepared, prepare
from ctwatch_train.fitting.processes import Processes
from ctwatch_train.fitting.recipe import Recipe, parse_recipe
from ctwatch_train.generate import write_scenes
from ctwatch_train.labels import read
from ctwatch_train.progress import unseen
from ctwatch_train.sets.building import SetOptions, build_set
from ctwatch_train.sets.dataset import TrainingSet, open_set
from ctwatch_train.sets.split import Shares
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from ctwatch.domain import Canvas
from ctwatch.nets.device import choose

BATCH = 64
ARCHITECTURE = "mobilenet_v3_small"
"""The fastest of the common ones: the harder to keep busy."""


def measure(images: int, rounds: int) -> dict[str, float | int | str]:
    """Return images per second of each way, medians over interleaved rounds, and the ratio of fit to synthetic tensors."""
    device = choose("auto")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = _set(folder, images)
        recipe = _recipe(images)
        prepared = prepare(recipe, source)
        ways: dict[str, Callable[[], float]] = {
            "synthetic": lambda: _synthetic(recipe, prepared, device),
            "fit": lambda: _fit(recipe, prepared, folder, device),
            "instead": lambda: _instead(recipe, prepared, folder / "folders", device),
        }
        rates: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, work in ways.items():
                rates[way].append(work())
    medians = {way: statistics.median(values) for way, values in rates.items()}
    return {
        "images": len(prepared.train),
        "architecture": ARCHITECTURE,
        "batch": BATCH,
        "crop": "224 x 224",
        "device": str(device),
        "cores": len(os.sched_getaffinity(0)),
        **{f"{way}_images_per_s": value for way, value in medians.items()},
        "fit_slowest": min(rates["fit"]),
        "fit_fastest": max(rates["fit"]),
        "device_waits": 1 - medians["fit"] / medians["synthetic"],
        "times_instead": medians["fit"] / medians["instead"],
        "ratio": medians["fit"] / medians["synthetic"],
    }


def _set(folder: Path, images: int) -> TrainingSet:
    """Draw photographs, make a set of them, and sort them into folders for the other way."""
    scenes = folder / "scenes"
    write_scenes(scenes, locations=max(8, images // 20), events=14, seed=5, size=(1152, 1536))
    options = SetOptions(Canvas(256, 256), shares=Shares(0.1, 0.1, 0.0))
    build_set([read(f"drawn={scenes / 'labels.csv'}")], folder / "set", options, say=lambda _: None, shown=unseen)
    source = open_set(folder / "set")
    for row in source.rows("train").tolist():
        path = source.path(row)
        label = "blank" if source.label_names[source.labels[row]] == "blank" else "animal"
        link = folder / "folders" / label / f"{row}.jpg"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path.resolve())
    return source


def _recipe(images: int) -> Recipe:
    values = {
        "name": "benchmark",
        "task": "empty",
        "epochs": 1,
        "batches_per_epoch": max(4, images // BATCH),
        "batch_size": BATCH,
        "member": [{"architecture": ARCHITECTURE, "seed": 1}],
    }
    return parse_recipe(values, "benchmark")


def _fit(recipe: Recipe, prepared: Prepared, folder: Path, device: torch.device) -> float:
    """The product's own loop, without its validation."""
    module = training_network(ARCHITECTURE, 2, seed=1)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        training = Training(
            recipe,
            prepared,
            module,
            seed=1,
            name="benchmark",
            folder=Path(work),
            fingerprint="",
            processes=Processes(device),
        )
        training.run(lambda _: None, unseen)
    return float(training.progress.rows[-1]["images_per_second"])


def _synthetic(recipe: Recipe, prepared: Prepared, device: torch.device) -> float:
    """The same network, loss and optimiser on one batch that lies on the device."""
    tall, wide = recipe.crop
    frames = torch.randn(BATCH, 3, tall, wide, device=device).contiguous(memory_format=torch.channels_last)
    targets = torch.arange(BATCH, device=device) % 2
    return _loop((frames, targets) for _ in range(recipe.batches_per_epoch))


def _instead(recipe: Recipe, prepared: Prepared, folder: Path, device: torch.device) -> float:
    mean, std = prepared.preprocessing.mean, prepared.preprocessing.std
    changes = v2.Compose(
        [
            v2.PILToTensor(),
            v2.Resize((256, 256), antialias=True),
            v2.RandomCrop(recipe.crop),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(list(mean), list(std)),
        ]
    )
    loader = DataLoader(
        ImageFolder(folder, changes),
        BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=len(os.sched_getaffinity(0)),
        persistent_workers=True,
    )

    def batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        left = recipe.batches_per_epoch
        while left:
            for frames, targets in loader:
                yield frames.to(device).contiguous(memory_format=torch.channels_last), targets.to(device)
                left -= 1
                if not left:
                    return

    return _loop(batches())


def _loop(batches: Iterator[tuple[torch.Tensor, torch.Tensor]]) -> float:
    """A plain training loop: images per second from before the first batch to after the last."""
    module: torch.nn.Module | None = None
    seen, started = 0, time.perf_counter()
    for frames, targets in batches:
        if module is None:
            module = training_network(ARCHITECTURE, 2, seed=1).to(frames.device, memory_format=torch.channels_last)
            optimiser = torch.optim.AdamW(parameter_groups(module), lr=1e-3)
            started = started if seen else time.perf_counter()
        logits, _ = outputs(module, frames)
        loss = functional.cross_entropy(logits, targets)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(module.parameters(), 5.0)
        optimiser.step()
        seen += len(targets)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return seen / (time.perf_counter() - started)
