"""The ensembles that a configuration names, loaded and ready to look."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctwatch.config import BUNDLED, Config
from ctwatch.domain import Canvas, ModelInfo, Task
from ctwatch.errors import ModelError
from ctwatch.nets import device as devices
from ctwatch.nets.inference import Ensemble
from ctwatch.reading import worker_count

logger = logging.getLogger(__name__)

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


def load(config: Config) -> Panel:
    """Load the ensembles; raises ModelError with every file that does not fit, of both tasks."""
    device = devices.choose(config.models.device)
    threads = worker_count(config.models.threads)
    loaded: dict[Task, Ensemble | None] = {}
    problems = []
    for task in Task:
        place = folder(config, task)
        try:
            loaded[task] = None
            if place is not None and not is_bare(place):
                loaded[task] = Ensemble.load(
                    place, task, device=device, batch_size=config.models.batch_size, side_by_side=threads
                )
            elif place is not None:
                logger.warning("%s: no %s models yet; frames stay unclassified until there are", place, task)
        except ModelError as error:
            problems.append(str(error))
    if problems:
        raise ModelError("\n".join(problems))
    members = [len(ensemble.members) for ensemble in loaded.values() if ensemble]
    devices.set_threads(max(1, threads // min(members, default=1)))
    return Panel(loaded[Task.EMPTY], loaded[Task.SPECIES])


def is_bare(place: Path) -> bool:
    """Whether a folder is there but holds no model file yet: allowed, what needs models is done when there are."""
    return place.is_dir() and not any(place.glob("*.safetensors"))


def inspect(place: Path, task: Task) -> tuple[ModelInfo, ...]:
    """Load an ensemble to see that it fits; returns its members. Raises ModelError."""
    return Ensemble.load(place, task, device=devices.choose("cpu")).members


def stack(frames: Sequence[Pixels], canvases: Sequence[Canvas]) -> dict[Canvas, NDArray[np.uint8]]:
    """Stack frames into one batch per canvas, (N, 3, H, W)."""
    return {canvas: np.stack([frame[canvas] for frame in frames]) for canvas in canvases}
