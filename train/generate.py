"""Writes generated camera-trap scenes as JPEGs with labels tables: sets to train and test on without any download."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ctwatch.demo.scenes import RESERVED_LOCATIONS, SPECIES, Frame, burst
from ctwatch.domain import BLANK
from ctwatch.errors import ConfigError

SIZES = ((384, 512), (432, 576), (360, 640), (480, 640))
"""(height, width) of the photographs; each location has one camera."""

TAIL = (0.26, 0.09, 0.08, 0.12, 0.1, 0.05, 0.08, 0.17, 0.05)
"""How common each of `SPECIES` is overall; every location has preferences of its own on top."""

PARTS = ("natural", "aside", "balanced", "unknown")
"""The folders of a world, each with its own labels.csv. `aside` holds further events of the training places, at natural
frequencies, so that a threshold can be chosen there without touching `test_seen`."""

SEEN_SHARES = (("natural", "train", 0.64), ("natural", "test_seen", 0.2), ("aside", "test_seen", 0.16))
"""Part and split of the events at training places, the same shares for every species and for blanks."""

LEAST_SIDE = (48, 64)
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Trigger:
    """One event to be drawn; `species` is None for a blank one."""

    location: int
    event: int
    species: str | None
    night: bool
    frames: int
    seed: int
    part: str = ""
    """Of a world: one of `PARTS`."""
    split: str = ""
    """Of a world: train, test_seen (other events of the same places), validation or test (places of their own)."""
    stays: int = 0
    """Frames after which the animal has left, if it was seen by then; 0: it leaves only if it walks out of the frame."""


@dataclass(frozen=True, slots=True)
class World:
    """A survey in which everything that an experiment asks about is known, because it was put there."""

    seed: int = 1
    """Same seed, same world. It also says which species are common, rare and unknown."""
    seen: int = 20
    """Places to train on; other events of them are in `test_seen`."""
    validation: int = 10
    """Places of `validation` only."""
    unseen: int = 20
    """Places of `test` only."""
    events: int = 240
    """Triggers per seen place with the natural prior, on average."""
    unseen_events: int = 80
    """The same per place of validation and test."""
    blanks: float = 0.5
    """Share of these triggers without an animal."""
    rarest: float = 40.0
    """How many times commoner the commonest species is than the rarest; those between are in equal ratios."""
    bias: float = 1.5
    """How strongly places are preferred: an exponential variable for each species and place, to this power; 0: not."""
    leaving: float = 0.15
    """Chance at every frame but the first that the animal has left by then."""
    unknown: int = 2
    """Species that are in no training photograph."""
    apart: int = 60
    """Triggers of each species in the balanced and the unknown part, at the seen and as many at the unseen places."""
    size: tuple[int, int] = (96, 128)
    """(height, width) of the photographs in pixels."""
    first: int = 0
    """Number of the first place: those to train on, then validation's, then the unseen ones."""
    erased: bool = False
    """The same scenes with the animals left out and their labels kept: what the background alone gives away."""

    @property
    def seen_places(self) -> range:
        """The numbers of the places to train on."""
        return range(self.first, self.first + self.seen)

    @property
    def validation_places(self) -> range:
        """The numbers of the places of `validation`."""
        return range(self.seen_places.stop, self.seen_places.stop + self.validation)

    @property
    def unseen_places(self) -> range:
        """The numbers of the places of `test`."""
        return range(self.validation_places.stop, self.validation_places.stop + self.unseen)

    @property
    def places(self) -> range:
        """All of them."""
        return range(self.first, self.unseen_places.stop)


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


def species_of(world: World) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return a world's known species, commonest first, and its unknown ones; people are never unknown.

    Raises:
        ConfigError: Fewer than two species are left to be known.
    """
    if not 0 <= world.unknown <= len(SPECIES) - 2:
        raise ConfigError([f"{world.unknown} unknown species: there are {len(SPECIES)}, and two must be known"])
    rng = np.random.default_rng([world.seed, 17])
    order = [SPECIES[index] for index in rng.permutation(len(SPECIES))]
    unknown = [name for name in order if name != "human"][: world.unknown]
    return tuple(name for name in order if name not in unknown), tuple(unknown)


def quotas(total: int, shares: Sequence[float]) -> list[int]:
    """Return whole numbers in the ratio of the shares that add up to the total (largest remainders).

    Args:
        total: 0 or more.
        shares: Not negative, not all 0.
    """
    exact = np.asarray(shares, np.float64) / np.sum(shares) * total
    whole = np.floor(exact + 1e-9).astype(int)
    order = np.argsort(-(exact - whole), kind="stable")
    whole[order[: total - int(whole.sum())]] += 1
    return [int(number) for number in whole]


def plan_world(world: World) -> list[Trigger]:
    """Return all triggers of a world, ordered by place.

    How often each species occurs at each kind of places is exact; which places it likes is drawn, for each place anew.
    Blanks, the balanced part and the unknown species are spread over places without preference, so in the balanced part a
    background says nothing about the species. At the seen places every group of events (a species, or blanks) is divided
    in the same shares.

    Raises:
        ConfigError: A number is out of its range; all problems are listed.
    """
    _check(world)
    known, unknown = species_of(world)
    rng = np.random.default_rng([world.seed, 23])
    shares = [world.rarest ** (-rank / max(len(known) - 1, 1)) for rank in range(len(known))]
    drawn: list[tuple[int, str, str, str | None]] = []

    def place(
        places: range, cells: Sequence[tuple[str, str]], species: str | None, liking: NDArray[np.float64]
    ) -> None:
        where = rng.choice(np.array(places), len(cells), p=liking / liking.sum())
        drawn.extend((int(at), *cell, species) for at, cell in zip(where, cells, strict=True))

    kinds = (
        (world.seen_places, world.events, ""),
        (world.validation_places, world.unseen_events, "validation"),
        (world.unseen_places, world.unseen_events, "test"),
    )
    for places, events, split in kinds:
        if not len(places):
            continue
        evenly = np.ones(len(places))
        blank = round(world.blanks * events * len(places))
        numbers = quotas(events * len(places) - blank, shares)
        for name, number in ((None, blank), *zip(known, numbers, strict=True)):
            liking = evenly if name is None else np.maximum(rng.gamma(1.0, 1.0, len(places)) ** world.bias, 1e-9)
            place(places, [("natural", split)] * number if split else _seen_cells(number), name, liking)
        if split == "validation":
            continue
        for part, names in (("balanced", known), ("unknown", unknown)):
            for name in names:
                place(places, [(part, split or "test_seen")] * world.apart, name, evenly)
    dark = {location: rng.uniform(0.25, 0.6) for location in world.places}
    counted: dict[int, int] = {}
    triggers = []
    for index in rng.permutation(len(drawn)):
        location, part, split, species = drawn[index]
        event = counted[location] = counted.get(location, 0) + 1
        night, frames = bool(rng.random() < dark[location]), int(rng.integers(1, 4))
        left = np.flatnonzero(rng.random(2) < world.leaving)
        stays = int(left[0]) + 1 if len(left) and species else 0
        seed = int(rng.integers(2**31))
        triggers.append(Trigger(location, event, species, night, frames, seed, part, split, stays))
    return sorted(triggers, key=lambda each: (each.location, each.event))


def _seen_cells(number: int) -> list[tuple[str, str]]:
    """Return part and split of a group's events at the seen places; their order does not matter, places are drawn."""
    each = quotas(number, [share for _, _, share in SEEN_SHARES])
    return [(part, split) for (part, split, _), times in zip(SEEN_SHARES, each, strict=True) for _ in range(times)]


def _check(world: World) -> None:
    problems = []
    if world.seen < 1 or world.events < 1 or min(world.validation, world.unseen, world.unseen_events, world.apart) < 0:
        problems.append("a world needs a seen place and an event; no number of places or events may be negative")
    if not 0 <= world.blanks < 1 or not 0 <= world.leaving < 1:
        problems.append(f"blanks {world.blanks:g}, leaving {world.leaving:g}: must be 0 or more and less than 1")
    if world.rarest < 1 or world.bias < 0:
        problems.append("the commonest species is at least as common as the rarest, and bias is not negative")
    if problems:
        raise ConfigError(problems)


def draw(trigger: Trigger, size: tuple[int, int] | None = None, *, erased: bool = False) -> list[Frame]:
    """Return the frames of a trigger, at the size of its location's camera unless one is given.

    Args:
        trigger: What to draw.
        size: (height, width) in pixels.
        erased: Leave the animal out; `visible` of a frame still says where it would be.
    """

    def frames(without: bool) -> list[Frame]:
        return burst(
            location=trigger.location,
            species=trigger.species,
            night=trigger.night,
            frames=trigger.frames,
            seed=trigger.seed,
            size=size or SIZES[trigger.location % len(SIZES)],
            erased=without,
        )

    drawn = frames(erased)
    before = drawn[: trigger.stays]
    if trigger.stays >= trigger.frames or not any(frame.visible for frame in before):
        return drawn
    return before + [Frame(frame.pixels, False) for frame in frames(True)[trigger.stays :]]


def write_scenes(
    out: Path,
    *,
    locations: int,
    events: int,
    seed: int,
    blanks: float = 0.42,
    first: int = 0,
    size: tuple[int, int] | None = None,
    erased: bool = False,
    progress: Progress | None = None,
) -> int:
    """Write JPEGs and `labels.csv` (path, label, location, event) and return how many photographs there are.

    A frame that the animal has left is labelled blank, though its event is not.

    Raises:
        ConfigError: The folder already has a labels.csv, locations would run into those reserved for the demo, or the
            size is too small.
    """
    _refuse(out, [out / "labels.csv"], first, locations, size)
    triggers = plan(locations, events, seed, blanks=blanks, first=first)
    return _write(out, triggers, size, erased, progress)


def write_world(world: World, out: Path, progress: Progress | None = None) -> dict[str, Path]:
    """Write the photographs of a world and return its labels tables by part; see `PARTS`.

    Each part is a folder with a `labels.csv` whose columns are path, label, location, event and split, as `ctwatch train
    data` reads them. A frame that the animal has left is labelled blank, though its event is not. A world that is there
    already, whole and the same, is left as it is.

    Args:
        world: What to draw.
        out: Folder for the parts.
        progress: Called with (events drawn, events in all).

    Raises:
        ConfigError: A number is out of its range, or another world lies in the folder.
    """
    triggers = plan_world(world)
    parts = [part for part in PARTS if any(trigger.part == part for trigger in triggers)]
    tables = {part: out / part / "labels.csv" for part in parts}
    stamp = out / "world.txt"
    if stamp.exists() and stamp.read_text("utf-8") == f"{world!r}\n":
        return tables
    _refuse(out, [*tables.values(), stamp], world.first, len(world.places), world.size)
    done = 0
    for part in parts:
        inside = [trigger for trigger in triggers if trigger.part == part]

        def shown(number: int, _: int, before: int = done) -> None:
            if progress:
                progress(before + number, len(triggers))

        _write(out / part, inside, world.size, world.erased, shown)
        done += len(inside)
    stamp.write_text(f"{world!r}\n", "utf-8")
    return tables


def without_animals(world: World) -> World:
    """Return the same world with the animals erased."""
    return replace(world, erased=True)


def _refuse(out: Path, tables: Sequence[Path], first: int, locations: int, size: tuple[int, int] | None) -> None:
    problems = [f"{path} is already there; name another folder with --out" for path in tables if path.exists()]
    if first + locations > RESERVED_LOCATIONS and first < RESERVED_LOCATIONS:
        problems.append(f"locations from {RESERVED_LOCATIONS} on are reserved for the demo and the tests")
    if size and (size[0] < LEAST_SIDE[0] or size[1] < LEAST_SIDE[1]):
        problems.append(f"photographs of {size[0]} x {size[1]}: must be at least {LEAST_SIDE[0]} x {LEAST_SIDE[1]}")
    if problems:
        raise ConfigError(problems[:20])


def _write(
    out: Path, triggers: Sequence[Trigger], size: tuple[int, int] | None, erased: bool, progress: Progress | None
) -> int:
    """Write the photographs of triggers and their table, which has a column `split` if they are in one."""
    rows = []
    for number, trigger in enumerate(triggers):
        folder = out / f"location_{trigger.location:04d}"
        folder.mkdir(parents=True, exist_ok=True)
        quality = 72 + trigger.seed % 22
        for index, frame in enumerate(draw(trigger, size, erased=erased)):
            path = folder / f"event_{trigger.event:04d}_{index + 1}.jpg"
            Image.fromarray(frame.pixels).save(path, quality=quality)
            label = trigger.species if frame.visible and trigger.species else BLANK
            rows.append(
                (
                    path.relative_to(out).as_posix(),
                    label,
                    f"generated-{trigger.location}",
                    f"{trigger.location}-{trigger.event}",
                    *([trigger.split] if trigger.split else []),
                )
            )
        if progress:
            progress(number + 1, len(triggers))
    # Last, so that a set that was interrupted is not taken for a whole one.
    with (out / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        in_splits = any(trigger.split for trigger in triggers)
        writer.writerow(("path", "label", "location", "event", *(["split"] if in_splits else [])))
        writer.writerows(rows)
    return len(rows)
