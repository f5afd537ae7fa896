"""An ensemble of model files that looks at frames in batches and gives calibrated probabilities."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from pathlib import Path

import numpy as np

from ctwatch.domain import Canvas, ModelInfo, Task
from ctwatch.errors import ModelError
from ctwatch.nets.choice import engine_for, known
from ctwatch.nets.engine import EAGER, FLOAT32, Engine, Pixels, Probabilities
from ctwatch.nets.model_info import read_info
from ctwatch.nets.shelf import Rules
from ctwatch.nets.trial import find_engines, with_cache

logger = logging.getLogger(__name__)

DEFAULT_BATCH = 64


@dataclass(frozen=True, slots=True)
class Deferred:
    """Engines that are found and loaded when they are first asked: many a command looks at no photograph at all."""

    members: tuple[ModelInfo, ...]
    load: Callable[[], Sequence[Engine]]


class Ensemble:
    """Networks for one task with the same labels, side by side.

    Attributes:
        members: What each model file says of itself, in the order of the result.
        labels: Common to all members.
        canvases: The distinct canvases that the members need, sorted.
        batch_size: Frames that go through a network at once; made smaller when memory is short.
    """

    def __init__(
        self, engines: Sequence[Engine] | Deferred, *, batch_size: int = DEFAULT_BATCH, threads: int = 1
    ) -> None:
        """Take a member's engine each, and how many of them may look at the same time, a thread each."""
        if not isinstance(engines, Deferred):
            ready = tuple(engines)
            engines = Deferred(tuple(engine.info for engine in ready), lambda: ready)
        if not engines.members:
            raise ModelError("an ensemble needs at least one model")
        self.members = engines.members
        self.labels = self.members[0].labels
        self.canvases = tuple(sorted({info.preprocessing.canvas for info in self.members}))
        self.batch_size = batch_size
        self._deferred = engines
        self._threads = threads
        self._backing_off = threading.Lock()
        # A core to each call is two to three times faster than all cores on one: small networks have little to share
        # out, and threads that wait for each other spin when the machine is busy.
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="ctwatch-net") if threads > 1 else None

    @classmethod
    def load(
        cls,
        folder: Path,
        task: Task,
        *,
        device: str = "cpu",
        batch_size: int = DEFAULT_BATCH,
        threads: int = 1,
        rules: Rules = Rules(EAGER, FLOAT32),  # noqa: B008 - a value that nobody can change
        waiting: Callable[[], None] = lambda: None,
        when_needed: bool = False,
    ) -> "Ensemble":
        """Load every model file of a folder, sorted by file name.

        Args:
            folder: Holds `*.safetensors`; other files are not looked at.
            task: What all of them must be for.
            device: Where they run: cpu, cuda, cuda:1, mps.
            batch_size: Frames that go through a network at once; made smaller when memory is short.
            threads: Calls of networks that run at the same time; more than one only on the processor.
            rules: Which engines may run them; without, PyTorch does.
            waiting: Called about every second while engines are tried; what it raises ends the loading.
            when_needed: Read what the files say of themselves now, and the networks when they are first asked.

        Raises:
            ModelError: The folder has none, or any file is damaged or does not fit the first usable one; all are named.
        """
        usable: list[tuple[Path, ModelInfo]] = []
        refused: list[str] = []
        for path in model_paths(folder):
            try:
                info = read_info(path)
                reason = _misfit(info, task, [member for _, member in usable])
                if reason is None:
                    usable.append((path, info))
                else:
                    refused.append(f"{path}: {reason}")
            except ModelError as error:
                refused.append(str(error))
        if when_needed and not refused:
            members = tuple(info for _, info in usable)
            deferred = Deferred(members, lambda: _engines(usable, [], device, threads, rules, waiting))
            return cls(deferred, batch_size=batch_size, threads=threads)
        return cls(_engines(usable, refused, device, threads, rules, waiting), batch_size=batch_size, threads=threads)

    @property
    def frames_at_once(self) -> int:
        """How many frames a call of `predict` needs to keep every thread busy with whole batches."""
        return self.batch_size * ceil(self._threads / len(self.members))

    @property
    def engines(self) -> tuple[str, ...]:
        """What runs each member, such as "openvino bfloat16"."""
        return tuple(engine.name for engine in self._engines)

    @cached_property
    def _engines(self) -> tuple[Engine, ...]:
        return tuple(self._deferred.load())

    def predict(self, pixels: Mapping[Canvas, Pixels]) -> Probabilities:
        """Return softmax(logits / temperature) of every frame by every member, float32 (N, members, labels).

        A row does not depend on the batch that its frame was in beyond rounding. When memory runs out, the batch is
        halved, and later calls keep the smaller size.

        Args:
            pixels: For each of `canvases`, uint8 (N, 3, H, W) with the same frames in the same order.

        Raises:
            ModelError: Memory does not even suffice for one frame.
            ValueError: A canvas is missing, or the shapes do not fit.
        """
        counts = set()
        for canvas in self.canvases:
            if canvas not in pixels:
                raise ValueError(f"no pixels for {canvas}")
            if pixels[canvas].ndim != 4 or pixels[canvas].shape[1:] != (3, canvas.height, canvas.width):
                raise ValueError(f"pixels of shape {pixels[canvas].shape} for {canvas}")
            counts.add(len(pixels[canvas]))
        if len(counts) != 1:
            raise ValueError(f"different numbers of frames: {sorted(counts)}")
        (frames,) = counts
        result = np.empty((frames, len(self.members), len(self.labels)), np.float32)

        def look(share: tuple[int, int, int]) -> None:
            index, start, end = share
            engine = self._engines[index]
            source = pixels[engine.info.preprocessing.canvas]
            while start < end:
                stop = min(end, start + self.batch_size)
                try:
                    result[start:stop, index] = engine(source[start:stop])
                except (RuntimeError, MemoryError) as error:
                    self._back_off(error, stop - start, engine.info)
                else:
                    start = stop

        for _ in (self._pool.map if self._pool else map)(look, self._shares(frames)):
            pass
        return result

    def _shares(self, frames: int) -> list[tuple[int, int, int]]:
        """Divide the work into calls (member, first, end), small enough that no thread is left without."""
        even = ceil(frames / ceil(self._threads / len(self.members))) or 1
        return [
            (index, start, min(frames, start + size))
            for index, engine in enumerate(self._engines)
            for size in [min(even, engine.most_at_once, self.batch_size)]
            for start in range(0, frames, size)
        ]

    def _back_off(self, error: RuntimeError | MemoryError, tried: int, info: ModelInfo) -> None:
        if not _out_of_memory(error):
            raise error
        if tried <= 1:
            raise ModelError(
                f"{info.name}: not enough memory for one frame; close other programs or use the cpu"
            ) from error
        with self._backing_off:
            self.batch_size = max(1, min(self.batch_size, tried // 2))
        logger.warning("out of memory with %d frames at once; going on with %d", tried, self.batch_size)


def _engines(
    usable: Sequence[tuple[Path, ModelInfo]],
    refused: Sequence[str],
    device: str,
    threads: int,
    rules: Rules,
    waiting: Callable[[], None],
) -> list[Engine]:
    """Find and load the engines of model files; raises ModelError with every file that is of no use, `refused` first."""
    rules = with_cache(rules)
    choices = {path: known(info, device=device, rules=rules) for path, info in usable}
    unknown = [path for path, choice in choices.items() if choice is None]
    if unknown:
        find_engines(unknown, device=device, threads=threads, rules=rules, waiting=waiting)
    engines: list[Engine] = []
    problems = list(refused)
    for path, info in usable:
        try:
            choice = choices[path] or known(info, device=device, rules=rules)
            engines.append(engine_for(info, path, choice, device=device, threads=threads, rules=rules))
        except ModelError as error:
            problems.append(str(error))
    if problems:
        raise ModelError("\n".join(problems))
    logger.info("%s models run on %s", usable[0][1].task, ", ".join(engine.name for engine in engines))
    return engines


def model_paths(folder: Path) -> tuple[Path, ...]:
    """Return the model files of a folder sorted by name.

    Raises:
        ModelError: The folder is not there or has none.
    """
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such folder of models; check the configuration")
    paths = tuple(sorted(path for path in folder.glob("*.safetensors") if not path.name.startswith(".")))
    if not paths:
        raise ModelError(
            f"{folder}: has no model file (*.safetensors); put one there or train one with `ctwatch train fit`"
        )
    return paths


def _out_of_memory(error: RuntimeError | MemoryError) -> bool:
    text = str(error).lower()
    return (
        isinstance(error, MemoryError) or "out of memory" in text or "t allocate memory" in text or "bad_alloc" in text
    )


def _misfit(info: ModelInfo, task: Task, members: Sequence[ModelInfo]) -> str | None:
    if info.task is not task:
        return f"is for the task {info.task}, this folder is for {task}; move it"
    if members and info.labels != members[0].labels:
        return (
            f"its {len(info.labels)} labels are not, in order, the {len(members[0].labels)} of {members[0].name}; "
            "members of an ensemble must be trained on the same labels"
        )
    if info.model_id in {member.model_id for member in members}:
        return "is another copy of a model that is in this folder already; remove one"
    return None
