"""Which engine runs a network on this machine: the candidates are tried once, their answers held against eager float32."""

import json
import logging
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctwatch.domain import Canvas, ModelInfo
from ctwatch.errors import ModelError
from ctwatch.identity import content_id
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
_FEW = 4
"""Frames of one call where memory is at stake: large networks take gigabytes for more in eager PyTorch."""
_AS_FAST = 1.05
_MAKERS = ("openvino", "torch", "torchvision")
_LAYOUT = 2
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


_PLAIN = Trial(EAGER, FLOAT32, 0, 0.0)
"""What always works, and needs no trial."""


def engine_for(info: ModelInfo, path: Path, *, device: str, threads: int, rules: Rules) -> Engine:
    """Return the engine that the cache knows to be the best for a model, else eager PyTorch.

    Args:
        info: Of the model file.
        path: The model file; its network is built only where it is needed, because PyTorch takes seconds to load.
        device: cpu, cuda, cuda:1, mps.
        threads: How many will look at the same time.
        rules: What is allowed, and where findings are kept.

    Raises:
        ModelError: The network cannot be built of the file.
    """
    shelf = _Shelf.of(info, device, rules)
    found = shelf.choice() if shelf and not _is_settled(device, rules) else None
    if found is None and not _is_settled(device, rules):
        logger.warning("%s: no engine could be found for it; it runs on PyTorch, which is slower", info.name)
    try:
        engine = _made(found or _PLAIN, info, path, device, threads, shelf)
    except (RuntimeError, ImportError, KeyError, ValueError) as error:
        logger.warning("%s: %s is of no use: %s; it runs on PyTorch", info.name, found, error)
        engine = _made(_PLAIN, info, path, device, threads, None)
    if rules.engine == OPENVINO and not engine.name.startswith(OPENVINO):
        logger.warning("%s runs on %s: OpenVINO cannot, or answers otherwise", info.name, engine.name)
    return engine


def find(info: ModelInfo, path: Path, *, device: str, threads: int, rules: Rules) -> Engine:
    """Try the engines for a model and return the fastest whose answers are those of eager float32; keeps what was found.

    Arguments and errors are those of `engine_for`.
    """
    shelf = _Shelf.of(info, device, rules)
    module = _network(path, info)
    frames = trial_frames(info.preprocessing.canvas)
    engines: list[Engine] = []
    trials: list[Trial] = []
    truth: Probabilities | None = None
    lasting = True
    for make in _candidates(info, module, device, threads, rules, shelf):
        try:
            engine = make()
            answers = _answers(engine, frames)
            most, milliseconds = _fastest(engine, frames)
        except Exception as error:  # what cannot be traced, translated or run here is no candidate
            first = str(error).strip().splitlines()[0] if str(error).strip() else ""
            logger.info("%s: an engine is left out (%s: %s)", info.name, type(error).__name__, first)
            # A library that is broken and memory that is short may be better the next time.
            lasting = lasting and not isinstance(error, ImportError | OSError | MemoryError)
            if truth is None:
                break
            continue
        truth = answers if truth is None else truth
        difference = np.abs(answers - truth)
        kind, precision = engine.name.split()
        trials.append(Trial(kind, precision, most, milliseconds, float(difference.max()), float(difference.mean())))
        engines.append(engine)
    if not trials:  # not even eager; where it looks in earnest, batches are halved until they fit
        return _made(_PLAIN, info, path, device, threads, None)
    # The first, eager float32, is there for what nothing better is allowed or agrees.
    allowed = [trial for trial in trials if trial.agrees and rules.engine in (AUTO, trial.engine)]
    best = min(allowed, key=lambda trial: trial.milliseconds, default=trials[0])
    engine = engines[trials.index(best)]
    engine.most_at_once = best.most_at_once
    logger.info("%s runs on %s (%s)", info.name, engine.name, "; ".join(map(str, trials)))
    if shelf and lasting:
        shelf.keep(best, trials)
    return engine


def is_found(info: ModelInfo, device: str, rules: Rules) -> bool:
    """Return whether the cache knows the engine of a model, or nothing has to be found out."""
    shelf = _Shelf.of(info, device, rules)
    return _is_settled(device, rules) or (shelf is not None and shelf.choice() is not None)


def _is_settled(device: str, rules: Rules) -> bool:
    return rules.engine == EAGER and (device == "cpu" or rules.precision == FLOAT32)


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
) -> Iterator[Callable[[], Engine]]:
    """Eager float32 first: it is what the others are held against."""
    import torch

    from ctwatch.nets.eager import EagerEngine

    place = torch.device(device)
    if device == "cpu":
        torch.set_num_threads(1)  # the others are tried on one core, too
    yield lambda: EagerEngine(info, module, place)
    if device.startswith("cuda") and rules.precision == AUTO and torch.cuda.is_bf16_supported():
        yield lambda: EagerEngine(info, module, place, BFLOAT16)
    if device != "cpu":
        return
    graph: Any = None

    def compiled_for(precision: str) -> Engine:
        nonlocal graph
        from ctwatch.nets import compiled

        if graph is None:
            graph = compiled.convert(info, module)
            if shelf and shelf.put(lambda path: compiled.save(graph, path)):
                graph = shelf.graph  # read back, so that this start answers to the bit as later ones
        return compiled.CompiledEngine(info, graph, precision, threads=threads)

    yield lambda: compiled_for(FLOAT32)
    try:
        from ctwatch.nets.compiled import precisions
    except ImportError:
        return
    if rules.precision == AUTO and BFLOAT16 in precisions():
        yield lambda: compiled_for(BFLOAT16)


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

    return EagerEngine(info, _network(path, info), torch.device(device), choice.precision)


def _network(path: Path, info: ModelInfo) -> "nn.Module":
    from ctwatch.nets.model_file import load

    loaded, module = load(path)
    if loaded.model_id != info.model_id:
        raise ModelError(f"{path}: was replaced while it was read; start again")
    return module


def _answers(engine: Engine, frames: Pixels) -> Probabilities:
    starts = range(0, len(frames), _FEW)
    return np.concatenate([engine(frames[start : start + _FEW]) for start in starts])


def _fastest(engine: Engine, frames: Pixels) -> tuple[int, float]:
    """Return how many frames at once are enough, and the milliseconds a frame that come of it."""
    sizes = (_FEW,) if engine.name.startswith(EAGER) else _SIZES
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
        made_by = content_id(json.dumps([_LAYOUT, _sources(), *map(_version, _MAKERS)]).encode())[:16]
        facts = [device, rules.engine, rules.precision, processor()]
        machine = content_id(json.dumps(facts).encode())[:16]
        return cls(rules.cache / "engines" / f"{info.model_id}-{made_by}", machine)

    @property
    def graph(self) -> Path:
        return self.folder / "network.xml"

    def choice(self) -> Trial | None:
        """What was found; None where nothing was, or where the graph is not the one that was tried."""
        try:
            told = json.loads((self.folder / f"{self.machine}.json").read_text("utf-8"))
            found = Trial(**told["choice"])
            whole = found.engine == EAGER or told["graph"] == self._digest()
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return found if whole and found.most_at_once > 0 else None

    def keep(self, choice: Trial, trials: list[Trial]) -> None:
        graph = self._digest() if choice.engine == OPENVINO else ""
        found = {"choice": asdict(choice), "graph": graph, "trials": [asdict(trial) for trial in trials]}
        self._written(f"{self.machine}.json", lambda path: path.write_text(json.dumps(found, indent=1), "utf-8"))

    def _digest(self) -> str:
        """Of the graph and its weights: what computes is to be what was tried, to the bit."""
        return " ".join(content_id(self.graph.with_suffix(ending).read_bytes()) for ending in (".xml", ".bin"))

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
        finally:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
                beside.with_suffix(also or beside.suffix).unlink(missing_ok=True)
        return True


@cache
def _sources() -> str:
    """Of the code that makes a graph: another preprocessing makes another one."""
    names = ("architectures", "compiled", "eager", "model_file", "preprocessing")
    return content_id(b"".join(Path(__file__).with_name(f"{name}.py").read_bytes() for name in names))


@cache
def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"


@cache
def processor() -> tuple[str, tuple[str, ...]]:
    """Return the processor's name and the names of what it can do, sorted; what is found on one machine holds for its like."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return platform.processor() or platform.machine(), ()
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
    name = told.get("model name") or platform.machine()
    return name, tuple(sorted((told.get("flags") or told.get("Features") or "").split()))
