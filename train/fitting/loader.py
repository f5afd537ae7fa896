"""Brings batches from the cache to the device while it computes: crops are cut on reading, the rest is done on the device."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctwatch.domain import Preprocessing
from ctwatch.nets.preprocessing import normalise

from .processes import Processes
from .recipe import Augmentation
from .sampling import CHANGES, Numbers, generator

AHEAD = 4
"""Batches that are read before they are asked for."""
SHEET = 96
"""Pixels by which the sheet of noise is larger than a frame."""
GREY = (0.299, 0.587, 0.114)


class Windows(Protocol):
    """What gives parts of cached frames: a training set."""

    def windows(self, rows: Numbers, tops: Numbers, lefts: Numbers, tall: int, wide: int) -> NDArray[np.uint8]:
        """Return (n, 3, tall, wide)."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """This process's part of a batch, cut but not yet changed."""

    rows: Numbers
    """Of the whole batch, of all processes."""
    frames: Tensor
    """uint8 (n, 3, h, w)."""
    targets: Tensor
    """(n,)."""
    flips: Tensor
    grey: Tensor
    light: Tensor
    spread: Tensor
    level: Tensor
    """Of noise; one value a frame, like the others."""
    corner: tuple[int, int]
    """Where the noise is cut out of its sheet."""


@dataclass(frozen=True, slots=True, eq=False)
class Cutter:
    """Reads batches: everything that it needs to know but the rows."""

    source: Windows
    rows: Numbers
    """Of the training photographs in the source, (N,)."""
    targets: Numbers
    """Of the training photographs, (N,)."""
    preprocessing: Preprocessing
    how: Augmentation
    seed: int
    processes: Processes

    def read(self, positions: Numbers, *moment: int) -> Batch:
        """Return the batch of some training photographs, by position; `moment` numbers its random changes.

        Offsets of the crop are uniform and inclusive (0..32 for 224 of 256), half of the frames are mirrored
        (Norouzzadeh et al. 2017, S.2).
        """
        canvas, (tall, wide) = self.preprocessing.canvas, self.preprocessing.crop
        random, how, count = generator(self.seed, CHANGES, *moment), self.how, len(positions)
        tops = random.integers(0, canvas.height - tall + 1, count)
        lefts = random.integers(0, canvas.width - wide + 1, count)
        flips = random.random(count) < (0.5 if how.flip else 0.0)
        grey = random.random(count) < how.grey
        light = random.uniform(1 - how.brightness, 1 + how.brightness, count)
        spread = random.uniform(1 - how.contrast, 1 + how.contrast, count)
        level = random.random(count) ** 2 * how.noise
        corner = random.integers(0, SHEET, 2)
        # Drawn for the whole batch and then cut: the same frames whatever the number of processes.
        own = self.processes.part(count)
        pixels = self.source.windows(self.rows[positions[own]], tops[own], lefts[own], tall, wide)
        pinned = self.processes.device.type == "cuda"

        def tensor(values: NDArray[np.generic]) -> Tensor:
            result = torch.from_numpy(np.ascontiguousarray(values))
            return result.pin_memory() if pinned else result

        return Batch(
            positions,
            tensor(pixels),
            tensor(self.targets[positions[own]]),
            tensor(flips[own]),
            tensor(grey[own]),
            tensor(light[own].astype(np.float32)),
            tensor(spread[own].astype(np.float32)),
            tensor(level[own].astype(np.float32)),
            (int(corner[0]), int(corner[1])),
        )


def ahead(cutter: Cutter, batches: Iterator[tuple[int, Numbers]]) -> Iterator[tuple[int, Batch]]:
    """Yield (step, batch) in order, reading some batches ahead in a thread."""
    with ThreadPoolExecutor(2, thread_name_prefix="ctwatch-loader") as pool:
        waiting: deque[tuple[int, Future[Batch]]] = deque()
        try:
            for step, rows in batches:
                waiting.append((step, pool.submit(cutter.read, rows, step, 0)))
                if len(waiting) > AHEAD:
                    done, batch = waiting.popleft()
                    yield done, batch.result()
            while waiting:
                done, batch = waiting.popleft()
                yield done, batch.result()
        finally:
            for _, batch in waiting:
                batch.cancel()


class Changer:
    """Changes frames at random on the device and normalises them."""

    def __init__(self, preprocessing: Preprocessing, how: Augmentation, device: torch.device) -> None:
        self._preprocessing, self._how, self._device = preprocessing, how, device
        tall, wide = preprocessing.crop
        sheet = torch.randn((3, tall + SHEET, wide + SHEET), generator=torch.Generator().manual_seed(0))
        self._sheet = sheet.to(device) if how.noise else None
        self._grey = torch.tensor(GREY, device=device).view(1, 3, 1, 1)

    def __call__(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return normalised frames, float32 (n, 3, h, w), and targets (n,), on the device."""

        def here(values: Tensor) -> Tensor:
            return values.to(self._device, non_blocking=True)

        frames, how = here(batch.frames), self._how
        if how.flip:
            frames = torch.where(here(batch.flips).view(-1, 1, 1, 1), frames.flip(-1), frames)
        mean, std = self._preprocessing.mean, self._preprocessing.std
        if not (how.grey or how.brightness or how.contrast or how.noise):
            return normalise(frames, mean, std), here(batch.targets)
        light = frames.to(torch.float32).div_(255)
        if how.grey:
            dull = (light * self._grey).sum(1, keepdim=True)
            light = torch.where(here(batch.grey).view(-1, 1, 1, 1), dull, light)
        centre = light.mean((1, 2, 3), keepdim=True)
        light = ((light - centre) * here(batch.spread).view(-1, 1, 1, 1) + centre) * here(batch.light).view(-1, 1, 1, 1)
        if self._sheet is not None:
            (tall, wide), (top, left) = self._preprocessing.crop, batch.corner
            light = light + here(batch.level).view(-1, 1, 1, 1) * self._sheet[:, top : top + tall, left : left + wide]
        return normalise(light.clamp_(0, 1).mul_(255), mean, std), here(batch.targets)
