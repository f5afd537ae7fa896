"""Histories of all species from millions of detections, against ways that one would write first and one pass of counting.

The bound is `np.bincount` of cells that are known already: whatever the method, each detection has to be read and counted
once. The plain ways are a loop over detections with dictionaries, and a mask and `np.unique` for each species.
"""

import os
import statistics
import time
from collections.abc import Callable
from datetime import date
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ctwatch import occupancy

LOCATIONS, DAYS, SPECIES = 300, 730, 60
_LOOPED = 200_000
"""Detections that the plain loop gets; it is linear, and slow."""
_FIRST = date(2024, 1, 1)


def measure(observations: int, rounds: int) -> dict[str, float | int | str]:
    """Return seconds of each way, medians over interleaved rounds, for a quarter, half and all of the observations."""
    rules = occupancy.Rules()
    worked = occupancy.Operation(
        tuple(f"L{number:03d}" for number in range(LOCATIONS)), _FIRST, np.ones((LOCATIONS, DAYS), dtype=np.float64)
    )
    surveyed = occupancy.effort(worked, rules)
    sizes = [observations // 4, observations // 2, observations]
    drawn = {size: _drawn(size, worked) for size in sizes}
    whole, part = drawn[observations], drawn[sizes[0]]
    keys = _cells(whole, surveyed, rules)
    cells = SPECIES * surveyed.camera_days.size
    few = min(_LOOPED, observations)
    seconds: dict[str, list[float]] = {}
    stages: dict[str, Callable[[], object]] = {
        f"histories_{size}_s": partial(occupancy.detection_histories, drawn[size], surveyed, rules) for size in sizes
    }
    stages["bincount_s"] = lambda: np.bincount(keys, minlength=cells)
    stages["mask_per_species_s"] = lambda: _mask_per_species(whole, surveyed, rules)
    stages["loop_s"] = lambda: _loop(whole, few, surveyed, rules)
    for _ in range(rounds):
        for name, stage in stages.items():
            seconds.setdefault(name, []).append(_timed(stage))
    _agree(part, surveyed, rules)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    ours = medians[f"histories_{observations}_s"]
    return {
        "observations": observations,
        "cells": cells,
        "cores": len(os.sched_getaffinity(0)),
        **medians,
        "loop_observations": few,
        "observations_per_s": observations / ours,
        "slowest_s": max(seconds[f"histories_{observations}_s"]),
        "twice_as_many_take_times": ours / medians[f"histories_{sizes[1]}_s"],
        "faster_than_mask_per_species": medians["mask_per_species_s"] / ours,
        "faster_than_loop": medians["loop_s"] / few * observations / ours,
        "ratio": medians["bincount_s"] / ours,
    }


def _drawn(size: int, worked: occupancy.Operation) -> occupancy.Detections:
    """Draw detections in no order, some of them before and after the survey; species as uneven as in the field."""
    rng = np.random.default_rng(size)
    seconds = rng.integers(-86_400, (DAYS + 1) * 86_400, size)
    return occupancy.Detections(
        worked.location_ids,
        rng.integers(0, LOCATIONS, size, dtype=np.int32),
        tuple(f"Species {number:02d}" for number in range(SPECIES)),
        np.minimum(rng.zipf(1.5, size) - 1, SPECIES - 1).astype(np.int32),
        np.datetime64(_FIRST, "us") + seconds * np.timedelta64(1_000_000, "us"),
    )


def _cells(found: occupancy.Detections, surveyed: occupancy.Effort, rules: occupancy.Rules) -> NDArray[np.int64]:
    """Return the cell of each detection that has one."""
    inside = (found.times >= surveyed.surveyed[0, 0]) & (found.times < surveyed.surveyed[0, 1])
    since = (found.times[inside] - surveyed.origins[0]) // np.timedelta64(rules.occasion_days, "D")
    row = found.species_code[inside].astype(np.int64) * len(surveyed.location_ids) + found.location[inside]
    cells: NDArray[np.int64] = row * surveyed.camera_days.shape[1] + since
    return cells


def _mask_per_species(
    found: occupancy.Detections, surveyed: occupancy.Effort, rules: occupancy.Rules
) -> list[NDArray[np.float64]]:
    """The histories by one mask over all detections for each species."""
    histories = []
    count = surveyed.camera_days.shape[1]
    for species in range(len(found.species)):
        mine = found.species_code == species
        times, location = found.times[mine], found.location[mine]
        inside = (times >= surveyed.surveyed[location, 0]) & (times < surveyed.surveyed[location, 1])
        since = (times[inside] - surveyed.origins[location[inside]]) // np.timedelta64(rules.occasion_days, "D")
        y = np.where(np.isnan(surveyed.camera_days), np.nan, 0.0)
        y.ravel()[np.unique(location[inside].astype(np.int64) * count + since)] = 1.0
        histories.append(y)
    return histories


def _loop(
    found: occupancy.Detections, number: int, surveyed: occupancy.Effort, rules: occupancy.Rules
) -> dict[str, NDArray[np.float64]]:
    """The histories of the first detections, one after the other."""
    histories = {name: np.where(np.isnan(surveyed.camera_days), np.nan, 0.0) for name in found.species}
    bounds, origins = surveyed.surveyed.tolist(), surveyed.origins.tolist()
    columns = (found.location[:number].tolist(), found.species_code[:number].tolist(), found.times[:number].tolist())
    for location, species, moment in zip(*columns, strict=True):
        first, last = bounds[location]
        if first <= moment < last:
            histories[found.species[species]][location, (moment - origins[location]).days // rules.occasion_days] = 1.0
    return histories


def _agree(found: occupancy.Detections, surveyed: occupancy.Effort, rules: occupancy.Rules) -> None:
    """See that the ways compared give the same."""
    ours = occupancy.detection_histories(found, surveyed, rules)
    looped = _loop(found, len(found.times), surveyed, rules) if len(found.times) <= _LOOPED else None
    for history, other in zip(ours, _mask_per_species(found, surveyed, rules), strict=True):
        assert np.array_equal(history.y, other, equal_nan=True)
        assert looped is None or np.array_equal(history.y, looped[history.scientific_name], equal_nan=True)


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
