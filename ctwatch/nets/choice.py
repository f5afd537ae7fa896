"""Which engine runs a network on this machine: the candidates are tried once, their answers held against eager float32."""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctwatch.domain import Canvas, ModelInfo
from ctwatch.errors import ModelError
from ctwatch.nets.engine import BFLOAT16, EAGER, FLOAT32, OPENVINO, Engine, Pixels, Probabilities
from ctwatch.nets.shelf import AUTO, Rules, Shelf, Trial

if TYPE_CHECKING:
    from torch import nn

logger = logging.getLogger(__name__)

_FRAMES = 24
_ROUNDS = 2
_SIZES = (1, 4, 16)
"""Frames of one call that are tried; the fewest that are as fast as any, because memory grows with them."""
_FEW = 4
"""Frames of one call where memory is at stake: large networks take gigabytes for more in eager PyTorch."""
_AS_FAST = 1.05
_PLAIN = Trial(EAGER, FLOAT32, 0, 0.0)
"""What always works, and needs no trial."""


def known(info: ModelInfo, *, device: str, rules: Rules) -> Trial | None:
    """Return the engine that is to run a model: what the cache says, or the only one allowed; None: it has to be found."""
    if rules.engine == EAGER and (device == "cpu" or rules.precision == FLOAT32):
        return _PLAIN
    shelf = Shelf.of(info, device, rules)
    return shelf.choice() if shelf else None


def engine_for(info: ModelInfo, path: Path, choice: Trial | None, *, device: str, threads: int, rules: Rules) -> Engine:
    """Return the engine that was chosen for a model, ready to look; eager PyTorch where none was, or it is of no use.

    Args:
        info: Of the model file.
        path: The model file; its network is built only where it is needed, because PyTorch takes seconds to load.
        choice: What `known` says.
        device: cpu, cuda, cuda:1, mps.
        threads: How many will look at the same time.
        rules: What is allowed, and where findings are kept.

    Raises:
        ModelError: The network cannot be built of the file.
    """
    if choice is None:
        logger.warning("%s: no engine could be found for it; it runs on PyTorch, which is slower", info.name)
    try:
        engine = _made(choice or _PLAIN, info, path, device, threads, Shelf.of(info, device, rules))
    except (RuntimeError, ImportError, KeyError, ValueError) as error:
        logger.warning("%s: %s is of no use: %s; it runs on PyTorch", info.name, choice, error)
        engine = _made(_PLAIN, info, path, device, threads)
    if rules.engine == OPENVINO and engine.kind != OPENVINO:
        logger.warning("%s runs on %s: OpenVINO cannot, or answers otherwise", info.name, engine.name)
    return engine


def find(info: ModelInfo, path: Path, *, device: str, threads: int, rules: Rules) -> Engine:
    """Try the engines for a model and return the fastest whose answers are those of eager float32; keeps what was found.

    Arguments and errors are those of `engine_for`.
    """
    shelf = Shelf.of(info, device, rules)
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
        trials.append(
            Trial(engine.kind, engine.precision, most, milliseconds, float(difference.max()), float(difference.mean()))
        )
        engines.append(engine)
    if not trials:  # not even eager; where it looks in earnest, batches are halved until they fit
        return _made(_PLAIN, info, path, device, threads)
    # The first, eager float32, is there for what nothing better is allowed or agrees.
    allowed = [trial for trial in trials if trial.agrees and rules.engine in (AUTO, trial.engine)]
    best = min(allowed, key=lambda trial: trial.milliseconds, default=trials[0])
    engine = engines[trials.index(best)]
    engine.most_at_once = best.most_at_once
    logger.info("%s runs on %s (%s)", info.name, engine.name, "; ".join(map(str, trials)))
    if shelf and lasting:
        shelf.keep(best, trials)
    return engine


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
    info: ModelInfo, module: "nn.Module", device: str, threads: int, rules: Rules, shelf: "Shelf | None"
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
    shelf: "Shelf | None" = None,
) -> Engine:
    if choice.engine == OPENVINO and shelf is not None:
        from ctwatch.nets import compiled

        return compiled.CompiledEngine(
            info, shelf.graph, choice.precision, threads=threads, most_at_once=choice.most_at_once
        )
    import torch

    from ctwatch.nets.eager import EagerEngine

    if device == "cpu":
        torch.set_num_threads(1)  # an ensemble's threads do the sharing out
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
    sizes = (_FEW,) if engine.kind == EAGER else _SIZES
    taken = {size: 1000 * min(_seconds(engine, frames[:size]) for _ in range(_ROUNDS)) / size for size in sizes}
    enough = next(size for size in sizes if taken[size] <= _AS_FAST * min(taken.values()))
    return (engine.most_at_once if engine.kind == EAGER else enough), taken[enough]


def _seconds(engine: Engine, frames: Pixels) -> float:
    started = time.perf_counter()
    engine(frames)
    return time.perf_counter() - started
