"""How large the experiment is, and the recipes of everything that is trained for it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from ctwatch_train.fitting.recipe import Recipe, parse_recipe
from ctwatch_train.generate import World

ARCHITECTURE = "thin_resnet10"
BATCH = 64
FIRST_PLACE, PLACES_APART = 4000, 100
"""Worlds do not share places, not even with the scenes that the bundled models were trained on."""

METHODS: Mapping[str, Mapping[str, Any]] = {
    "oversampling": {"sampling": {"kind": "balanced"}},
    "weighted loss": {"loss": {"kind": "weighted"}},
    "clamped weighted loss": {"loss": {"kind": "weighted", "clamp": 0.01, "clamp_scaled": True}},
    "balanced softmax": {"loss": {"kind": "balanced_softmax"}},
    "emphasis sampling": {"sampling": {"kind": "emphasis"}},
}
"""What is done against imbalance, as changes of the plain recipe; a clamp of 0.01 at 128 is 1.28 / batch size."""
PLAIN, ADJUSTED = "cross entropy", "logit adjustment"
SHUFFLED, ERASED, EMPTY, EMPTY_ERASED = (
    "shuffled labels",
    "animals erased",
    "empty filter",
    "empty filter without animals",
)


@dataclass(frozen=True, slots=True)
class Settings:
    """One size of the experiment."""

    name: str
    seeds: tuple[int, ...]
    """One world each, with networks of its own."""
    world: World
    members: int
    """Networks of the plain species ensemble."""
    per_method: int
    """Networks of each method against imbalance; the plain ones that they are compared with have the same seeds."""
    filters: int
    """Networks of the empty filter."""
    epochs: int
    empty_epochs: int
    canvas: tuple[int, int]
    crop: tuple[int, int]
    rounds: int
    """Of every bootstrap."""
    least_images: int = 1

    def world_of(self, seed: int) -> World:
        """Return the world of a seed."""
        return replace(self.world, seed=seed, first=FIRST_PLACE + PLACES_APART * seed)

    def as_table(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


STANDARD = Settings(
    name="standard",
    seeds=(1, 2, 3),
    world=World(seen=20, validation=10, unseen=20, events=240, unseen_events=80, blanks=0.5, apart=60, size=(96, 128)),
    members=5,
    per_method=2,
    filters=2,
    epochs=10,
    empty_epochs=6,
    canvas=(72, 96),
    crop=(64, 88),
    rounds=2000,
)
QUICK = Settings(
    name="quick",
    seeds=(1,),
    world=World(
        seen=6, validation=3, unseen=5, events=60, unseen_events=30, blanks=0.4, rarest=8, apart=8, size=(72, 96)
    ),
    members=2,
    per_method=1,
    filters=1,
    epochs=3,
    empty_epochs=2,
    canvas=(48, 64),
    crop=(42, 58),
    rounds=200,
)


@dataclass(frozen=True, slots=True)
class Job:
    """One network of one world."""

    world: int
    run: str
    """What kind of network: one of the names above."""
    seed: int
    """Of the network."""
    task: str = "species"
    erased: bool = False
    """Learns from scenes without their animals."""
    shuffled: bool = False
    """Learns from labels that were dealt out at random."""

    @property
    def folder(self) -> str:
        """The name of the folder of all networks of this kind."""
        return self.run.replace(" ", "-")


def jobs(settings: Settings) -> list[Job]:
    """Return all networks of an experiment, those that everything else is compared with first."""
    found = []
    for world in settings.seeds:
        found += [Job(world, PLAIN, seed) for seed in range(1, settings.members + 1)]
        found += [Job(world, EMPTY, seed, "empty") for seed in range(1, settings.filters + 1)]
        found += [Job(world, method, seed) for method in METHODS for seed in range(1, settings.per_method + 1)]
        found.append(Job(world, SHUFFLED, 1, shuffled=True))
        found.append(Job(world, ERASED, 1, erased=True))
        found.append(Job(world, EMPTY_ERASED, 1, "empty", erased=True))
    return found


def recipe_of(settings: Settings, job: Job) -> Recipe:
    """Return the recipe of one network: all of them differ from the plain one only in what they are named for.

    The last weights are kept, not the best on validation: with a handful of photographs of the rarest species there,
    the choice would be luck, and luck that favours some methods.
    """
    table: dict[str, Any] = {
        "name": f"{settings.name}, world {job.world}, {job.run}",
        "task": job.task,
        "least_images": settings.least_images,
        "crop": list(settings.crop),
        "epochs": settings.empty_epochs if job.task == "empty" else settings.epochs,
        "batch_size": BATCH,
        "keep": "last",
        "schedule": {"kind": "cosine", "learning_rate": 0.003, "weight_decay": 0.02},
        "augmentation": {"flip": True},
        "member": [{"architecture": ARCHITECTURE, "seed": job.seed}],
        **METHODS.get(job.run, {}),
    }
    return parse_recipe(table, f"recipe of {job.run}")
