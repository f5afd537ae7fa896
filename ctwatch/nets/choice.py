"""Which engine runs a network on this machine: the candidates are tried once, their answers held against eager float32."""

import hashlib
import json
import logging
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctwatch.domain import Canvas, ModelInfo
from ctwatch.nets.engine import BFLOAT16, FLOAT32, Engine, Pixels, Probabilities

if TYPE_CHECKING:
    from torch import nn

logger = logging.getLogger(__name__)

AUTO = "auto"
EAGER = "eager"
OPENVINO = "openvino"

MOST_DIFFERENCE = 0.03
"""No probability of a trial frame may differ by more from eager float32; measured for bfloat16: 0.01 with trained nets."""
MEAN_DIFFERENCE = 0.003
_FRAMES = 24
_ROUNDS = 2
_SIZES = (1, 4, 16)
"""Frames of one call that are tried; the fewest that are as fast as any, because memory grows with them."""
_EAGER_SIZE = 4
_AS_FAST = 1.05
_LAYOUT = 1
"""Of the files in the cache; goes up when they or the way of choosing change."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a configuration allows.

    Attributes:
        engine: auto, eager or openvino.
        precision: auto, or float32 for answers that are the same on every machine but for rounding.
        cache: Where converted networks and findings are kept; None: nowhere, each start tries anew.
    """

    engine: str = AUTO
    precision: str = AUTO
    cache: Path | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """How a candidate did: its milliseconds a frame on one core, and how far it is from eager float32."""

    engine: str
    precision: str
    most_at_once: int
    milliseconds: float
    largest_difference: float = 0.0
    mean_difference: float = 0.0

    @property
    def agrees(self) -> bool:
        """Whether its probabilities are near enough to count as the same answer."""
        return self.largest_difference <= MOST_DIFFERENCE and self.mean_difference <= MEAN_DIFFERENCE

    def __str__(self) -> str:
        return (
            f"{self.engine} {self.precision}: {self.milliseconds:.1f} ms a frame,"
            f" largest difference {self.largest_difference:.4f}"
        )


def engine_for(info: ModelInfo, path: Path, *, device: str, threads: int, rules: Rules) -> Engine:
    """Return the fastest engine whose answers are those of eager float32; found out once a machine and model.

    Args:
        info: Of the model file.
        path: The model file; its network is built only where it is needed, because PyTorch takes seconds to load.
        device: cpu, cuda, cuda:1, mps.
        threads: How many will look at the same time.
        rules: What is allowed, and where findings are kept.

    Raises:
        ModelError: The network cannot be built of the file.
    """
    if rules.engine == EAGER and (device == "cpu" or rules.precision == FLOAT32):
        return _made(Trial(EAGER, FLOAT32, 0, 0.0), info, path, device, threads)
    shelf = _Shelf.of(info, device, rules)
    found = shelf.choice() if shelf else None
    if found is not None and shelf is not None:
        try:
            return _made(found, info, path, device, threads, shelf)
        except RuntimeError as error:
            logger.warning("%s: what is kept for %s is of no use: %s; made anew", shelf.folder, info.name, error)
    return _tried(info, _network(path), device, threads, rules, shelf)


def _tried(
    info: ModelInfo, module: "nn.Module", device: str, threads: int, rules: Rules, shelf: "_Shelf | None"
) -> Engine:
    frames = trial_frames(info.preprocessing.canvas)
    engines: list[Engine] = []
    trials: list[Trial] = []
    truth: Probabilities | None = None
    for engine in _candidates(info, module, device, threads, rules, shelf):
        answers = _answers(engine, frames)
        truth = answers if truth is None else truth
        difference = np.abs(answers - truth)
        most, milliseconds = _fastest(engine, frames)
        kind, precision = engine.name.split()
        trials.append(Trial(kind, precision, most, milliseconds, float(difference.max()), float(difference.mean())))
        engines.append(engine)
    # The first, eager float32, is there for what nothing better is allowed or agrees.
    allowed = [trial for trial in trials if trial.agrees and rules.engine in (AUTO, trial.engine)]
    best = min(allowed, key=lambda trial: trial.milliseconds, default=trials[0])
    engine = engines[trials.index(best)]
    engine.most_at_once = best.most_at_once
    logger.info("%s runs on %s (%s)", info.name, engine.name, "; ".join(map(str, trials)))
    if shelf:
        shelf.keep(best, trials)
    return engine


def is_found(info: ModelInfo, device: str, rules: Rules) -> bool:
    """Return whether the cache knows the engine of a model, or nothing has to be found out."""
    shelf = _Shelf.of(info, device, rules)
    return rules.engine == EAGER or shelf is None or shelf.choice() is not None


def trial_frames(canvas: Canvas) -> Pixels:
    """Return made-up frames, uint8 (N, 3, H, W): noise at all scales as in nature, every second one grey as at night."""
    rng = np.random.default_rng(0)
    frames = np.empty((_FRAMES, 3, canvas.height, canvas.width), np.uint8)
    for number in range(_FRAMES):
        channels = 1 if number % 2 else 3
        total = np.zeros((channels, canvas.height, canvas.width))
        side = 2
        while side <= max(canvas.height, canvas.width):
            coarse = rng.normal(0, 1 / side, (channels, side, side))
            rows = np.arange(canvas.height) * side // canvas.height
            columns = np.arange(canvas.width) * side // canvas.width
            total += coarse[:, rows][:, :, columns]
            side *= 2
        brightness, contrast = rng.uniform(60, 180), rng.uniform(30, 90)
        frames[number] = (brightness + contrast * total / total.std()).clip(0, 255)
    return frames


def _candidates(
    info: ModelInfo, module: "nn.Module", device: str, threads: int, rules: Rules, shelf: "_Shelf | None"
) -> Iterator[Engine]:
    """Eager float32 first: it is what the others are held against."""
    import torch

    from ctwatch.nets.eager import EagerEngine

    place = torch.device(device)
    if device == "cpu":
        torch.set_num_threads(1)  # the others are tried on one core, too
    yield EagerEngine(info, module, place)
    if device.startswith("cuda") and rules.precision == AUTO and torch.cuda.is_bf16_supported():
        yield EagerEngine(info, module, place, BFLOAT16)
    if device != "cpu":
        return
    try:
        from ctwatch.nets import compiled

        graph: Any = compiled.convert(info, module)
        if shelf and shelf.put(lambda path: compiled.save(graph, path)):
            graph = shelf.graph  # read back, so that this start answers to the bit as later ones
        for precision in compiled.precisions() if rules.precision == AUTO else (FLOAT32,):
            yield compiled.CompiledEngine(info, graph, precision, threads=threads)
    except ImportError as error:
        logger.info("OpenVINO is not to be had (%s); networks run on PyTorch", error)
    except Exception as error:  # a network that cannot be traced or translated runs as it is
        first = str(error).strip().splitlines()[0] if str(error).strip() else ""
        logger.info("%s cannot be compiled (%s: %s); it runs on PyTorch", info.name, type(error).__name__, first)


def _made(
    choice: Trial,
    info: ModelInfo,
    path: Path,
    device: str,
    threads: int,
    shelf: "_Shelf | None" = None,
) -> Engine:
    if choice.engine == OPENVINO and shelf is not None:
        from ctwatch.nets import compiled

        return compiled.CompiledEngine(
            info, shelf.graph, choice.precision, threads=threads, most_at_once=choice.most_at_once
        )
    import torch

    from ctwatch.nets.eager import EagerEngine

    return EagerEngine(info, _network(path), torch.device(device), choice.precision)


def _network(path: Path) -> "nn.Module":
    from ctwatch.nets.model_file import load

    return load(path)[1]


def _answers(engine: Engine, frames: Pixels) -> Probabilities:
    size = 4  # large networks take gigabytes for more
    return np.concatenate([engine(frames[start : start + size]) for start in range(0, len(frames), size)])


def _fastest(engine: Engine, frames: Pixels) -> tuple[int, float]:
    """Return how many frames at once are enough, and the milliseconds a frame that come of it."""
    sizes = (_EAGER_SIZE,) if engine.name.startswith(EAGER) else _SIZES
    taken = {size: 1000 * min(_seconds(engine, frames[:size]) for _ in range(_ROUNDS)) / size for size in sizes}
    enough = next(size for size in sizes if taken[size] <= _AS_FAST * min(taken.values()))
    return (engine.most_at_once if engine.name.startswith(EAGER) else enough), taken[enough]


def _seconds(engine: Engine, frames: Pixels) -> float:
    started = time.perf_counter()
    engine(frames)
    return time.perf_counter() - started


@dataclass(frozen=True, slots=True)
class _Shelf:
    """The place of one model in the cache: its graph, and what was found on each kind of machine."""

    folder: Path
    machine: str

    @classmethod
    def of(cls, info: ModelInfo, device: str, rules: Rules) -> "_Shelf | None":
        if rules.cache is None:
            return None
        facts = [_LAYOUT, device, rules.engine, rules.precision, _processor(), *map(_version, ("openvino", "torch"))]
        machine = hashlib.blake2b(json.dumps(facts).encode(), digest_size=8).hexdigest()
        return cls(rules.cache / "engines" / f"{info.model_id}-{_version('openvino')}", machine)

    @property
    def graph(self) -> Path:
        return self.folder / "network.xml"

    def choice(self) -> Trial | None:
        try:
            return Trial(**json.loads((self.folder / f"{self.machine}.json").read_text("utf-8"))["choice"])
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def keep(self, choice: Trial, trials: list[Trial]) -> None:
        found = {"choice": asdict(choice), "trials": [asdict(trial) for trial in trials]}
        self._written(f"{self.machine}.json", lambda path: path.write_text(json.dumps(found, indent=1), "utf-8"))

    def put(self, write: Callable[[Path], object]) -> bool:
        """Put the graph there, its weights first, so that a graph is never without; returns whether that was possible."""
        return self._written("network.xml", write, also=".bin")

    def _written(self, name: str, write: Callable[[Path], object], also: str = "") -> bool:
        path = self.folder / name
        beside = path.with_name(f".{os.getpid()}.{name}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write(beside)
            if also:
                os.replace(beside.with_suffix(also), path.with_suffix(also))
            os.replace(beside, path)
        except (OSError, RuntimeError) as error:
            logger.warning("%s cannot be kept (%s); networks are tried again at the next start", path, error)
            return False
        return True


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"


def _processor() -> str:
    """Name the processor and what it can do: what is found on one machine holds for its like."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return platform.processor() or platform.machine()
    told = dict(line.split(":", 1) for line in reversed(lines) if ":" in line)
    return " ".join(told.get(key, "").strip() for key in told if key.strip() in ("model name", "flags", "Features"))
