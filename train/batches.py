"""Draws training frames and changes them at random: balanced labels, shifted crops, flips, light and noise."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ctwatch.domain import Preprocessing
from ctwatch.nets.preprocessing import normalise

from .data import Numbers, Pixels
from .recipe import Augmentation, Recipe


def weights(targets: Numbers, sources: Sequence[str], recipe: Recipe) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the probability (N,) with which each training frame is drawn, summing to 1.

    Tables get their `share`; inside a table labels are drawn equally often if `balanced`; frames with target -1 (blank
    frames in the species task) get `blank_share` of all draws and are otherwise left out of the balance.
    """
    named = np.array(sources)
    shares = {source.name: source.share for source in recipe.data}
    result = np.zeros(len(targets), np.float64)
    known = targets >= 0
    for source in sorted(set(sources)):
        rows = np.flatnonzero(known & (named == source))
        if len(rows) == 0:
            continue
        each = np.ones(len(rows))
        if recipe.balanced:
            numbers = np.bincount(targets[rows])
            each = 1.0 / numbers[targets[rows]]
        result[rows] = shares.get(source, 1.0) * each / each.sum()
    if result.sum() <= 0:
        raise ValueError("no training frame can be drawn")
    result /= result.sum()
    blank = np.flatnonzero(targets == -1)
    if len(blank) and recipe.blank_share > 0:
        result *= 1 - recipe.blank_share
        result[blank] = recipe.blank_share / len(blank)
    return result


def draw_batches(
    probabilities: np.ndarray[tuple[int], np.dtype[np.float64]], count: int, batch_size: int, rng: np.random.Generator
) -> Iterator[Numbers]:
    """Yield batches of row numbers, `count` rows in all, drawn with the given probabilities.

    Systematic sampling: every row comes up its expected number of times, rounded up or down, in random order.
    """
    marks = (np.arange(count) + rng.random()) / count
    order = rng.permutation(len(probabilities))
    rows = order[np.searchsorted(np.cumsum(probabilities[order]), marks).clip(max=len(probabilities) - 1)]
    rng.shuffle(rows)
    for start in range(0, count, batch_size):
        batch = rows[start : start + batch_size]
        # Batch normalisation needs more than one frame.
        if len(batch) > 1:
            yield batch


@lru_cache(maxsize=2)
def _sheet(rows: int, columns: int) -> Tensor:
    return torch.randn((3, rows, columns), generator=torch.Generator().manual_seed(0))


def _grain(rows: int, columns: int, rng: np.random.Generator) -> Tensor:
    """Noise cut from one sheet at a random place: drawing it anew took longer than the network."""
    top, left = (int(value) for value in rng.integers(0, 96, 2))
    return _sheet(rows + 96, columns + 96)[:, top : top + rows, left : left + columns]


def augment(pixels: Pixels, preprocessing: Preprocessing, how: Augmentation, rng: np.random.Generator) -> Tensor:
    """Return normalised training frames, float32 (N, 3, h, w), from canvases, uint8 (N, 3, H, W)."""
    count, _, height, width = pixels.shape
    tall, wide = preprocessing.crop
    tops = rng.integers(0, height - tall + 1, count)
    lefts = rng.integers(0, width - wide + 1, count)
    flips = rng.random(count) < (0.5 if how.flip else 0.0)
    out = np.empty((count, 3, tall, wide), np.uint8)
    for row in range(count):
        window = pixels[row, :, tops[row] : tops[row] + tall, lefts[row] : lefts[row] + wide]
        out[row] = window[:, :, ::-1] if flips[row] else window
    frames = torch.from_numpy(out).to(torch.float32).div_(255)
    grey = torch.from_numpy(rng.random(count) < how.grey)
    if grey.any():
        frames[grey] = (frames[grey] * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    light = torch.from_numpy(rng.uniform(1 - how.brightness, 1 + how.brightness, (count, 1, 1, 1)).astype(np.float32))
    spread = torch.from_numpy(rng.uniform(1 - how.contrast, 1 + how.contrast, (count, 1, 1, 1)).astype(np.float32))
    centre = frames.mean((1, 2, 3), keepdim=True)
    frames = ((frames - centre) * spread + centre).mul_(light)
    if how.noise:
        level = torch.from_numpy((rng.random((count, 1, 1, 1)) ** 2 * how.noise).astype(np.float32))
        frames += level * _grain(tall, wide, rng)
    return normalise(frames.clamp_(0, 1).mul_(255), preprocessing.mean, preprocessing.std)


def channel_statistics(pixels: Pixels) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Return mean and standard deviation per channel of values scaled to 0..1, in double precision.

    Over all pixels of all frames at once, not a mean of each frame's own deviation (methods of Norouzzadeh et al. 2018
    leave this open; two constant frames of 0 and 1 give 0.5 and 0.5).
    """
    total, squares = np.zeros(3), np.zeros(3)
    for start in range(0, len(pixels), 256):
        part = pixels[start : start + 256].astype(np.float64) / 255
        total += part.sum((0, 2, 3))
        squares += (part * part).sum((0, 2, 3))
    number = pixels.shape[0] * pixels.shape[2] * pixels.shape[3]
    mean = total / number
    std = np.sqrt(np.maximum(squares / number - mean**2, 1e-6))
    return (float(mean[0]), float(mean[1]), float(mean[2])), (float(std[0]), float(std[1]), float(std[2]))
