"""Writes generated camera-trap scenes as JPEGs with a labels table: a set to train and test on without any download."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ctwatch.demo.scenes import RESERVED_LOCATIONS, SPECIES, Frame, burst
from ctwatch.domain import BLANK
from ctwatch.errors import ConfigError

SIZES = ((384, 512), (432, 576), (360, 640), (480, 640))
"""(height, width) of the photographs; each location has one camera."""

TAIL = (0.26, 0.09, 0.08, 0.12, 0.1, 0.05, 0.08, 0.17, 0.05)
"""How common each of `SPECIES` is overall; every location has preferences of its own on top."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """One event to be drawn; `species` is None for a blank one."""

    location: int
    event: int
    species: str | None
    night: bool
    frames: int
    seed: int


def plan(locations: int, events: int, seed: int, *, blanks: float, first: int) -> list[Trigger]:
    """Return the triggers of a survey: a long-tailed mix of species that differs between locations, and blanks.

    Args:
        locations: Number of locations, numbered from `first`.
        events: Triggers per location.
        seed: Same seed, same survey.
        blanks: Fraction of triggers without an animal.
        first: Number of the first location.
    """
    triggers = []
    for location in range(first, first + locations):
        rng = np.random.default_rng([seed, location])
        liking = np.array(TAIL) * rng.gamma(1.0, 1.0, len(TAIL)) ** 0.7
        dark = rng.uniform(0.25, 0.6)
        for event in range(events):
            blank = rng.random() < blanks
            species = None if blank else SPECIES[int(rng.choice(len(SPECIES), p=liking / liking.sum()))]
            triggers.append(
                Trigger(
                    location,
                    event,
                    species,
                    bool(rng.random() < dark),
                    int(rng.choice((1, 2, 3))),
                    int(rng.integers(2**31)),
                )
            )
    return triggers


def draw(trigger: Trigger, size: tuple[int, int] | None = None) -> list[Frame]:
    """Return the frames of a trigger, at the size of its location's camera unless one is given."""
    return burst(
        location=trigger.location,
        species=trigger.species,
        night=trigger.night,
        frames=trigger.frames,
        seed=trigger.seed,
        size=size or SIZES[trigger.location % len(SIZES)],
    )


def write_scenes(
    out: Path,
    *,
    locations: int,
    events: int,
    seed: int,
    blanks: float = 0.42,
    first: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write JPEGs and `labels.csv` (path, label, location, event) and return how many photographs there are.

    A frame that the animal has left is labelled blank, though its event is not.

    Raises:
        ConfigError: The folder already has a labels.csv, or locations would run into those reserved for the demo.
    """
    if first + locations > RESERVED_LOCATIONS and first < RESERVED_LOCATIONS:
        raise ConfigError([f"locations from {RESERVED_LOCATIONS} on are reserved for the demo and the tests"])
    if (out / "labels.csv").exists():
        raise ConfigError([f"{out / 'labels.csv'} is already there; name another folder with --out"])
    triggers = plan(locations, events, seed, blanks=blanks, first=first)
    rows = []
    for number, trigger in enumerate(triggers):
        folder = out / f"location_{trigger.location:04d}"
        folder.mkdir(parents=True, exist_ok=True)
        quality = 72 + trigger.seed % 22
        for index, frame in enumerate(draw(trigger)):
            path = folder / f"event_{trigger.event:04d}_{index + 1}.jpg"
            Image.fromarray(frame.pixels).save(path, quality=quality)
            label = trigger.species if frame.visible and trigger.species else BLANK
            rows.append(
                (
                    path.relative_to(out).as_posix(),
                    label,
                    f"generated-{trigger.location}",
                    f"{trigger.location}-{trigger.event}",
                )
            )
        if progress:
            progress(number + 1, len(triggers))
    # Last, so that a set that was interrupted is not taken for a whole one.
    with (out / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("path", "label", "location", "event"))
        writer.writerows(rows)
    return len(rows)
