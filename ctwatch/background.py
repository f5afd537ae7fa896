"""What a deployment knows of its own scenery: which frames show nothing but background, without any training.

The background of a frame is the median of miniatures near it in time and under the same light, its own spell left out, so
that an animal that rests is not its own background. What differs is measured in units of what always differs there (leaves
in the wind, the burnt-in clock), and so is what changes within a burst. Where the scenery does not repeat (few frames,
another season, a camera that was moved) nothing is said: there this evidence is worthless, on dense series it is strong.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 36, 48
"""Of a miniature, in pixels: grey, the whole frame squashed."""
INFRARED_BELOW = 6
"""A frame whose median difference between its channels is below this, of 255, was taken under infrared flash."""
NEIGHBOURS = 15
"""Frames that a background is the median of."""
LEAST_NEIGHBOURS = 8
"""With fewer there is no background."""
SPELL_S = 900.0
"""Only one event of so many seconds is a neighbour to others, so that a visitor who stays does not become the scenery."""
MOST_NOISE = 0.4
"""Nothing is said where the noise of the scenery is a larger share of its own contrast than this."""
MOST_CHANGE = 1.2
"""Nothing is said of a frame that differs everywhere by more than this many times the noise: the light or the view changed."""

_DARK, _SCALE = 60.0, 120.0
_LEVELS = np.rint(_SCALE * np.log(np.arange(256) + _DARK)).astype(np.int16)
"""Brightness on a logarithmic scale: a change of light or exposure is a constant, which the high pass removes."""
_SURROUNDINGS = 7
"""Side of the square whose mean is subtracted; light and shadow of clouds are larger, animals and their outlines are not."""
_QUANTILE = 0.75
"""Of the neighbours' differences, which is the noise of a pixel."""
_FLOOR = 2.0
"""Added to the noise everywhere, in steps of the logarithmic scale (1.7 % of the brightness)."""
_STRONGEST = 8
"""Places of 1728 that the strength of a change is averaged over."""
_BLOCK = 128

_MIDDLE, _SLOPE, _NOISE_SLOPE, _USUAL_NOISE = 1.25, 3.5, 0.6, 0.18
"""The logistic curve from strength to probability, set on the cautious side of what was fitted.

A logistic regression on 6,482 frames of twelve drawn places gave 1.54 and 4.6 (halves of the places: 1.50 and 4.8, 1.56 and
4.4); with a real series of daily photographs that animals were pasted into, in noisier scenery, 1.47, 4.5 and a noise slope
of 0.47. As it is set, 94 % of the drawn frames that it gives 0.7 to 0.85 are blank, and 4 % of those below 0.1.
"""
_LEAST, _MOST = 0.05, 0.9
"""It is never surer than this: a scene may hide an animal that a network sees."""

Differences = NDArray[np.int8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Miniature:
    """A photograph as small as its background needs it."""

    pixels: NDArray[np.uint8]
    """Grey, (`HEIGHT`, `WIDTH`)."""
    colour: int
    """Median over the frame of the difference between a pixel's largest and smallest channel, 0 to 255."""


def miniature(pixels: NDArray[np.uint8]) -> Miniature:
    """Make a miniature of a photograph that has its size already: RGB (`HEIGHT`, `WIDTH`, 3); grey as in ITU-R BT.601."""
    grey = (pixels.astype(np.uint32) @ np.array([299, 587, 114], np.uint32) + 500) // 1000
    colour = pixels.max(axis=2) - pixels.min(axis=2)
    return Miniature(grey.astype(np.uint8), int(np.median(colour)))


def blank_evidence(
    pixels: NDArray[np.uint8], colour: NDArray[np.uint8], times: NDArray[np.float64], events: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the probability that each frame of a deployment is blank, (N,); NaN where nothing reliable can be said.

    Independent of the order of the rows as long as no two frames of an event have the same time; those stay in row order.

    Args:
        pixels: Grey miniatures of one deployment, (N, `HEIGHT`, `WIDTH`).
        colour: Median over each frame of the difference between its largest and its smallest channel, (N,).
        times: Seconds from any origin, (N,); NaN where the time cannot be trusted: such a frame takes no part.
        events: The number of each frame's event, (N,); a time-lapse frame is an event of its own.

    Raises:
        ValueError: The shapes do not fit.
    """
    return probability(*strengths(pixels, colour, times, events))


def probability(strength: NDArray[np.float64], noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability of blank for strengths of change over scenery of some noise, between 0.05 and 0.9.

    NaN stays NaN. In noisier scenery an animal stands out less, so less of a change is enough.
    """
    middle = _MIDDLE - _NOISE_SLOPE * np.log(np.maximum(noise, 0.05) / _USUAL_NOISE)
    return np.clip(1.0 / (1.0 + np.exp(_SLOPE * (strength - middle))), _LEAST, _MOST)


def strengths(
    pixels: NDArray[np.uint8], colour: NDArray[np.uint8], times: NDArray[np.float64], events: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how strongly each frame differs from its background and its burst, and how noisy the scenery is, (N,) each.

    The strength is the logarithm of the strongest differences in units of the usual ones, the noise is a share of the
    scenery's contrast. NaN where there is no reliable background. Arguments as in `blank_evidence`.
    """
    count = len(pixels)
    if pixels.shape != (count, HEIGHT, WIDTH) or not colour.shape == times.shape == events.shape == (count,):
        raise ValueError(f"{pixels.shape} pixels, {colour.shape} colours, {times.shape} times, {events.shape} events")
    strength, noise = np.full(count, np.nan), np.full(count, np.nan)
    for infrared in (False, True):
        rows = np.flatnonzero(((colour < INFRARED_BELOW) == infrared) & np.isfinite(times))
        rows = rows[_capture_order(times[rows], events[rows])]
        if len(rows):
            strength[rows], noise[rows] = _under_one_light(pixels[rows], times[rows], events[rows])
    return strength, noise


def _capture_order(times: NDArray[np.float64], events: NDArray[np.int64]) -> NDArray[np.int64]:
    """Order by the beginning of the event, then time: events are whole, whatever lies between their frames."""
    _, event = np.unique(events, return_inverse=True)
    begin = np.full(event.max(initial=-1) + 1, np.inf)
    np.minimum.at(begin, event, times)
    return np.lexsort((times, events, begin[event]))


def _under_one_light(
    pixels: NDArray[np.uint8], times: NDArray[np.float64], events: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`strengths` of frames under one kind of light in capture order."""
    count = len(pixels)
    starts = np.flatnonzero(np.append(True, events[1:] != events[:-1]))
    event = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, count)))
    spell_of_event = _runs(np.floor(times[starts] / SPELL_S))
    spell = spell_of_event[event]
    _, first = np.unique(spell_of_event, return_index=True)
    examples = starts[first]
    nothing = np.full(count, np.nan)
    if len(examples) <= LEAST_NEIGHBOURS:
        return nothing, nothing.copy()
    scenes = _high_pass(pixels)
    backgrounds = _of_neighbours(scenes[examples], 0.5)
    noise = _of_neighbours(_apart(scenes[examples], backgrounds), _QUANTILE)
    strength, change = np.empty(count), np.empty(count)
    for begin in range(0, count, _BLOCK):
        block = slice(begin, begin + _BLOCK)
        usual = _spread(noise[spell[block]])
        differences = _apart(scenes[block], backgrounds[spell[block]]).astype(np.float32)
        strength[block], change[block] = _strongest(differences, usual)
    share = _share_of_noise(backgrounds, noise)[spell]
    strength = np.fmax(strength, _within_bursts(scenes, event, spell))
    doubtful = (share > MOST_NOISE) | (change > MOST_CHANGE)
    strength[doubtful], share[doubtful] = np.nan, np.nan
    return strength, share


def _within_bursts(scenes: Differences, event: NDArray[np.int64], spell: NDArray[np.int64]) -> NDArray[np.float64]:
    """How strongly each frame differs from those beside it in its event, in units of what usually changes; NaN if alone.

    Of two neighbours the more similar one counts at each pixel, or an animal would leave its mark where it no longer is.
    """
    count = len(scenes)
    strength = np.full(count, np.nan)
    rows = np.arange(count)
    beside = np.stack([rows - 1, rows + 1, rows - 2, rows + 2])
    there = (beside >= 0) & (beside < count) & (event[np.clip(beside, 0, count - 1)] == event)
    # The nearest two that are there come first: before and behind, or both on one side.
    beside = np.take_along_axis(beside, np.argsort(~there, axis=0, kind="stable"), axis=0)
    several = np.flatnonzero(there.any(axis=0))
    one, other = beside[0], np.where(there.sum(axis=0) > 1, beside[1], beside[0])
    changes = np.empty((len(several), HEIGHT, WIDTH), np.int8)
    for begin in range(0, len(several), _BLOCK):
        here = several[begin : begin + _BLOCK]
        changes[begin : begin + _BLOCK] = np.minimum(
            _apart(scenes[here], scenes[one[here]]), _apart(scenes[here], scenes[other[here]])
        )
    spells, first, spell_of = np.unique(spell[several], return_index=True, return_inverse=True)
    if len(spells) <= LEAST_NEIGHBOURS:
        return strength
    usual = _of_neighbours(changes[first], _QUANTILE)
    for begin in range(0, len(several), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        strength[several[block]], _ = _strongest(changes[block].astype(np.float32), _spread(usual[spell_of[block]]))
    return strength


def _high_pass(pixels: NDArray[np.uint8]) -> Differences:
    """Brightness on the logarithmic scale less the mean of its surroundings, (N, H, W)."""
    out = np.empty(pixels.shape, np.int8)
    for begin in range(0, len(pixels), _BLOCK):
        levels = _LEVELS[pixels[begin : begin + _BLOCK]].astype(np.float32)
        out[begin : begin + _BLOCK] = np.clip(np.rint(levels - _mean(levels, _SURROUNDINGS)), -63, 63)
    return out


def _apart(some: Differences, others: Differences) -> Differences:
    """Return |some - others|, at most 126."""
    return np.asarray(np.abs(some - others), dtype=np.int8)


def _spread(noise: Differences) -> Floats:
    """Noise of a pixel and those around it, with the floor."""
    return _mean(noise.astype(np.float32), 3) + np.float32(_FLOOR)


def _share_of_noise(backgrounds: Differences, noise: Differences) -> NDArray[np.float64]:
    """Return how noisy each background is, as a share of its contrast; the noisiest tenth (leaves, a clock) left out."""
    pixels = backgrounds[0].size
    quiet = np.sort(noise.reshape(len(noise), pixels), axis=1)[:, : int(0.9 * pixels)]
    contrast = backgrounds.reshape(len(backgrounds), pixels).std(axis=1, dtype=np.float64)
    return np.asarray(quiet.mean(axis=1) / np.maximum(contrast, 1e-6), dtype=np.float64)


def _strongest(differences: Floats, usual: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the logarithm of the strongest differences in units of the usual ones, and the difference of half a frame.

    A frame that differs a little everywhere (rain, a change of light) must differ more in one place to count.
    """
    relative = differences / usual
    whole = np.median(relative[:, ::2, ::2], axis=(1, 2))
    smooth = _mean(relative, 3).reshape(len(relative), -1)
    highest = np.partition(smooth, smooth.shape[1] - _STRONGEST, axis=1)[:, -_STRONGEST:].mean(axis=1)
    return np.log(highest / (whole + 0.5) + 1e-3).astype(np.float64), whole.astype(np.float64)


def _mean(values: Floats, size: int) -> Floats:
    """Mean over a square of `size` pixels, an odd number; beyond the edge the edge goes on."""
    margin = size // 2
    padded = np.pad(values, ((0, 0), (margin, margin), (margin, margin)), mode="edge")
    height, width = values.shape[1:]
    rows = sum((padded[:, step : step + height] for step in range(1, size)), padded[:, :height].copy())
    total = sum((rows[:, :, step : step + width] for step in range(1, size)), rows[:, :, :width].copy())
    return np.asarray(total / np.float32(size * size), dtype=np.float32)


def _of_neighbours(frames: Differences, quantile: float) -> Differences:
    """For each of M frames in order of time a quantile, pixel by pixel, over the nearest others, (M, H, W)."""
    count = len(frames)
    width = min(NEIGHBOURS + 1, count)
    place = round(quantile * (width - 2))
    steps = _sorting_steps(width - 1)
    out = np.empty_like(frames)
    for begin in range(0, count, _BLOCK):
        rows = np.arange(begin, min(begin + _BLOCK, count))
        first = np.clip(rows - width // 2, 0, count - width)
        stack = [frames[first + step + (first + step >= rows)] for step in range(width - 1)]
        for low, high in steps:
            stack[low], stack[high] = np.minimum(stack[low], stack[high]), np.maximum(stack[low], stack[high])
        out[rows] = stack[place]
    return out


def _sorting_steps(count: int) -> list[tuple[int, int]]:
    """Pairs to compare and exchange that sort `count` values (Batcher's odd-even merge sort): whole arrays at once."""
    steps = []
    size = 1
    while size < count:
        stride = size
        while stride:
            starts = range(stride % size, count - stride, 2 * stride)
            lows = [low for start in starts for low in range(start, min(start + stride, count - stride))]
            steps += [(low, low + stride) for low in lows if low // (2 * size) == (low + stride) // (2 * size)]
            stride //= 2
        size *= 2
    return steps


def _runs(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Number the runs of equal values from 0."""
    return np.cumsum(np.append(0, values[1:] != values[:-1]))
