"""The ensembles that a configuration names, loaded and ready to look."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctwatch.config import BUNDLED, Config
from ctwatch.domain import Canvas, ModelInfo, Task
from ctwatch.nets import device as devices
from ctwatch.nets.inference import Ensemble
from ctwatch.nets.shelf import Rules
from ctwatch.reading import worker_count

_MOST_BYTES = 256_000_000
"""Of pixels that wait for the networks at a time."""

Pixels = Mapping[Canvas, NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class Panel:
    """An empty filter and a species ensemble, either of which may be missing."""

    empty: Ensemble | None = None
    species: Ensemble | None = None

    @property
    def canvases(self) -> tuple[Canvas, ...]:
        """Every canvas that some member needs, each once."""
        needed = {canvas for ensemble in (self.empty, self.species) if ensemble for canvas in ensemble.canvases}
        return tuple(sorted(needed))

    @property
    def frames_at_once(self) -> int:
        """How many frames are to be collected before the networks are asked: enough for all threads, bounded in memory."""
        most = max((each.frames_at_once for each in (self.empty, self.species) if each), default=1)
        frame = sum(3 * canvas.height * canvas.width for canvas in self.canvases)
        return max(1, min(most, _MOST_BYTES // max(1, frame)))

    @property
    def models(self) -> tuple[ModelInfo, ...]:
        """What every model file says of itself, the empty filter's first."""
        return (*self.empty_models, *self.species_models)

    @property
    def empty_models(self) -> tuple[ModelInfo, ...]:
        """The members of the empty filter."""
        return self.empty.members if self.empty else ()

    @property
    def species_models(self) -> tuple[ModelInfo, ...]:
        """The members of the species ensemble."""
        return self.species.members if self.species else ()


def folder(config: Config, task: Task) -> Path | None:
    """Return the folder of a task's model files; None where the configuration names none."""
    named = config.models.empty if task is Task.EMPTY else config.models.species
    if not named:
        return None
    return Path(str(files("ctwatch") / "models" / str(task))) if named == BUNDLED else config.path(named)


def load(
    config: Config, task: Task, waiting: Callable[[], None] = lambda: None, *, when_needed: bool = False
) -> Ensemble | None:
    """Load the ensemble of one task; None where there are no models yet.

    `waiting` is called about every second where it takes minutes, the first time; `when_needed` puts off what takes time
    until a photograph is looked at. Raises ModelError naming every bad file.
    """
    place = folder(config, task)
    if place is None or is_bare(place):
        return None
    device = devices.resolve(config.models.device)
    return Ensemble.load(
        place,
        task,
        device=device,
        batch_size=config.models.batch_size or (16 if device == "cpu" else 128),
        threads=worker_count(config.models.threads) if device == "cpu" else 1,
        rules=Rules(config.models.engine, config.models.precision, config.cache_folder),
        waiting=waiting,
        when_needed=when_needed,
    )


def is_bare(place: Path) -> bool:
    """Whether a folder is there but holds no model file yet: allowed, what needs models is done when there are."""
    return place.is_dir() and not any(place.glob("*.safetensors"))


def stack(frames: Sequence[Pixels], canvases: Sequence[Canvas]) -> dict[Canvas, NDArray[np.uint8]]:
    """Stack frames into one batch per canvas, (N, 3, H, W)."""
    return {canvas: np.stack([frame[canvas] for frame in frames]) for canvas in canvases}
