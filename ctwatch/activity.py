"""Activity through the day and species over time: von Mises kernels, overlap, independent detections, accumulation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

GRID = 128
"""Points of the 24 h circle on which densities are given, from midnight (as in R's overlap)."""
FEWEST = 2
"""Times that a density needs."""
CIRCLE = 2 * np.pi
_STEP = CIRCLE / GRID
_GRID_ANGLES: Floats = np.asarray(np.arange(GRID) * (CIRCLE / GRID), dtype=np.float64)
_LARGEST_KAPPA = 345.0
_NARROWEST = _STEP**-2
"""Concentration of a kernel whose deviation is a step of the grid, 11 minutes; a narrower one would fall between the points."""
_SMALLEST_KAPPA = 1e-4
_ANGLES = np.arange(1024) * (CIRCLE / 1024)
_COSINES = np.cos(_ANGLES)
DHAT4_FROM = 75
"""Size of the smaller sample from which Dhat4 is the better estimator (Ridout & Linkie 2009)."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """The coefficient of overlap of two activity patterns, 0 (never at the same time) to 1 (the same pattern)."""

    dhat1: float
    """Area beneath both densities, bandwidth adjusted by 0.8: for small samples."""
    dhat4: float
    """Mean of ratios of the densities at the times seen: for samples of 75 and more."""
    smaller: int
    """Times in the smaller sample."""

    @property
    def estimate(self) -> float:
        """The estimator for samples of this size."""
        return self.dhat4 if self.smaller >= DHAT4_FROM else self.dhat1


@dataclass(frozen=True, slots=True)
class Accumulation:
    """How many species a part of the sampling would have found, and how many there may be."""

    units: NDArray[np.int64]
    """Sampling units, ascending, shape (N,); the last is all."""
    species: Floats
    """Expected number of species in that many units, drawn without replacement."""
    sd: Floats
    """Of the expectation, for another sample of the same community."""
    observed: int
    uniques: int
    """Species found in exactly one unit."""
    duplicates: int
    """Species found in exactly two units."""
    chao2: float | None
    """Lower bound of the number of species there are; None where there are no units."""
    chao2_low: float | None
    """Lower end of its 95 % interval."""
    chao2_high: float | None


def time_of_day(moments: NDArray[np.datetime64]) -> Floats:
    """Return times of day in radians, 0 to 2 pi from midnight; moments that are NaT are left out."""
    known = moments[~np.isnat(moments)].astype("datetime64[us]").astype(np.int64)
    return np.mod(known, 86_400_000_000) / 86_400_000_000 * CIRCLE


def concentration(times: Floats) -> float:
    """Return the concentration of the von Mises kernel for times in radians; 0 for times spread evenly.

    Taylor's plug-in (2008, Computational Statistics & Data Analysis 52) with the largest of the concentrations that
    the first three trigonometric moments give, so that two or three peaks are not smoothed to one (Ridout & Linkie 2009,
    JABES 14:322; R's overlap, kmax = 3). Times that are nearly one give 345 for it, R's limit.
    """
    n = len(times)
    kappa = max((_kappa(abs(moment), order) for order, moment in enumerate(_moments(times, 3), 1)), default=0.0)
    if not kappa:
        return 0.0
    ratio = _bessel(2, 2 * kappa) / _bessel(0, kappa) ** 2  # both scaled by exp(-2 kappa): it cancels
    return float((3 * n * kappa**2 * ratio / (4 * np.sqrt(np.pi))) ** 0.4)


def density(times: Floats, *, adjust: float = 1.0) -> Floats | None:
    """Return the von Mises kernel density of times in radians on the `GRID` points from midnight, per radian.

    Its sum times 2 pi / GRID is 1. The concentration of the kernel is divided by `adjust` (R's overlap), more is
    smoother. None for fewer than `FEWEST` times.
    """
    return _on_grid(times, concentration(times) / adjust) if len(times) >= FEWEST else None


def overlap(first: Floats, second: Floats) -> Overlap | None:
    """Return the overlap of two samples of times in radians (Ridout & Linkie 2009); None where one has too few."""
    if min(len(first), len(second)) < FEWEST:
        return None
    kappas = concentration(first), concentration(second)
    dhat1 = np.minimum(_on_grid(first, kappas[0] / 0.8), _on_grid(second, kappas[1] / 0.8)).sum() * _STEP
    at_first = _kernels(second, kappas[1], first) / _kernels(first, kappas[0], first)
    at_second = _kernels(first, kappas[0], second) / _kernels(second, kappas[1], second)
    dhat4 = (np.minimum(1.0, at_first).mean() + np.minimum(1.0, at_second).mean()) / 2
    return Overlap(float(dhat1), float(dhat4), min(len(first), len(second)))


def independent(
    species: Sequence[str], places: Sequence[str], starts: NDArray[np.datetime64], minutes: float
) -> NDArray[np.bool_]:
    """Say of each event whether it is an independent detection, shape (N,).

    It is, if it begins at least `minutes` after the last independent one of the same species at the same place
    (camtrapR: deltaTimeComparedTo = "lastIndependentRecord"). An event without a time is none.
    """
    kept = np.zeros(len(starts), dtype=bool)
    moments = starts.astype("datetime64[us]")
    gap = np.timedelta64(round(minutes * 60_000_000), "us")
    groups: dict[tuple[str, str], list[int]] = {}
    for at in np.argsort(moments, kind="stable"):
        if not np.isnat(moments[at]):
            groups.setdefault((species[at], places[at]), []).append(int(at))
    for rows in groups.values():
        last = None
        for at in rows:
            if last is None or moments[at] - last >= gap:
                kept[at] = True
                last = moments[at]
    return kept


def accumulation(
    species: NDArray[np.int64], units: NDArray[np.int64], total_units: int, *, points: int = 100
) -> Accumulation:
    """Return the species accumulation curve of detections, each a species number and a sampling unit's number.

    The curve is the exact expectation over all orders of units (Mao Tau; Colwell, Mao & Chang 2004, Ecology 85:2717;
    vegan's specaccum "exact"), at most `points` points of it; the deviation is that paper's, not conditioned on the
    sample. Chao2 is the classic form with its (T-1)/T, bias-corrected where no species is in exactly two units; the
    interval is log-normal (Chao 1987, Biometrics 43:783).
    """
    found = np.unique(np.column_stack([species, units]), axis=0)[:, 0] if len(species) else np.empty(0, dtype=np.int64)
    within = np.unique(found, return_counts=True)[1]
    if not total_units:
        return Accumulation(np.empty(0, np.int64), np.empty(0), np.empty(0), 0, 0, 0, None, None, None)
    drawn = np.unique(np.linspace(1, total_units, min(points, total_units)).round().astype(np.int64))
    observed, once, twice = len(within), int((within == 1).sum()), int((within == 2).sum())
    chao2, low, high = _chao2(observed, once, twice, total_units)
    absent = _absent(within, drawn, total_units)
    expected = (1 - absent).sum(axis=1)
    variance = ((1 - absent) ** 2).sum(axis=1) - (expected**2 / chao2 if chao2 else 0.0)
    return Accumulation(drawn, expected, np.sqrt(np.maximum(0.0, variance)), observed, once, twice, chao2, low, high)


def _absent(within: NDArray[np.int64], drawn: NDArray[np.int64], total: int) -> Floats:
    """Probability, N x S, that a species in so many of `total` units is in none of those drawn."""
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, total + 1)))])
    left = total - within[None, :] - drawn[:, None]
    # C(T - n, t) / C(T, t)
    power = logs[total - within][None, :] - logs[np.maximum(left, 0)] - logs[total] + logs[total - drawn][:, None]
    return np.where(left >= 0, np.exp(np.minimum(power, 0.0)), 0.0)


def _chao2(observed: int, once: int, twice: int, total: int) -> tuple[float, float, float]:
    part = (total - 1) / total
    if twice:
        ratio = once / twice
        unseen = part * once**2 / (2 * twice)
        variance = twice * (part / 2 * ratio**2 + part**2 * ratio**3 + part**2 / 4 * ratio**4)
    else:
        unseen = part * once * (once - 1) / 2
        estimate = observed + unseen
        variance = unseen + part**2 * once * (2 * once - 1) ** 2 / 4
        variance -= part**2 * once**4 / 4 / estimate if estimate else 0.0
    if unseen <= 0:
        return float(observed), float(observed), float(observed)
    factor = float(np.exp(1.959964 * np.sqrt(np.log(1 + max(0.0, variance) / unseen**2))))
    return observed + unseen, observed + unseen / factor, observed + unseen * factor


def _on_grid(times: Floats, kappa: float) -> Floats:
    values = np.maximum(0.0, _kernels(times, kappa, _GRID_ANGLES))
    return np.asarray(values / (values.sum() * _STEP), dtype=np.float64)


def _kernels(times: Floats, kappa: float, at: Floats) -> Floats:
    """Mean of the von Mises kernels around `times`, at the angles `at`.

    As a Fourier series, whose coefficients are those of the kernel times the moments of the times: exact, and linear in
    the number of times.
    """
    kernel = np.fft.rfft(np.exp(min(kappa, _NARROWEST) * (_COSINES - 1))).real
    kernel = kernel[: int(np.argmax(kernel < 1e-15 * kernel[0]))] / kernel[0]
    values, turned, turn = np.ones(len(at)), np.ones(len(at), dtype=complex), np.exp(1j * at)
    for share, moment in zip(kernel[1:], _moments(times, len(kernel) - 1), strict=True):
        turned *= turn
        values += 2 * share * (moment.conjugate() * turned).real
    return np.asarray(values / CIRCLE, dtype=np.float64)


def _moments(times: Floats, orders: int) -> list[complex]:
    """The trigonometric moments of orders 1, 2, ... of times in radians."""
    turned, turn = np.ones(len(times), dtype=complex), np.exp(1j * times)
    moments = []
    for _ in range(orders if len(times) else 0):
        turned *= turn
        moments.append(complex(turned.mean()))
    return moments


def _bessel(order: int, x: float) -> float:
    """The modified Bessel function of the first kind times exp(-x), as the mean of its integrand over the circle."""
    return float((np.exp(x * (_COSINES - 1)) * np.cos(order * _ANGLES)).mean())


def _kappa(moment: float, order: int) -> float:
    """The concentration of the von Mises distribution whose trigonometric moment of this order is given."""

    wave = np.cos(order * _ANGLES)

    def of(kappa: float) -> float:
        weights = np.exp(kappa * (_COSINES - 1))
        return float(weights @ wave / weights.sum())

    if moment <= of(_SMALLEST_KAPPA):
        return 0.0
    if moment >= of(_LARGEST_KAPPA):
        return _LARGEST_KAPPA
    low, high = _SMALLEST_KAPPA, _LARGEST_KAPPA
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if of(middle) < moment else (low, middle)
    return (low + high) / 2
