"""Trains only the head of a network, on features that are computed once and kept: minutes on a laptop, not hours."""

import json
import math
import os
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ctwatch.domain import Preprocessing
from ctwatch.errors import ConfigError
from ctwatch.identity import content_id, derived_id
from ctwatch.nets.preprocessing import prepare

from ..sets.shards import replacing
from .networks import AUXILIARY, head
from .sampling import CHANGES, Drawn, Numbers, Shuffled, Stream, generator

VERSION = 1
VARIANTS = 2
"""The centre of a frame, and its mirror image."""
BLOCK = 1024
"""Photographs with a checksum of their own: what a crash or a fault of the disk costs at most."""
LARGEST_HALF = 65504.0

Pixels = Callable[[Numbers], NDArray[np.uint8]]
Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What comes to a network's head for each photograph."""

    path: Path
    """Of the values; what they are of stands beside it in a file `.json`."""
    values: NDArray[np.floating[Any]]
    """(N, 2, F), a read-only memory map: the centre crop and its mirror image."""
    computed: int
    """Photographs that went through the network this time; the others were on disk."""


def cached_features(
    module: nn.Module,
    pixels: Pixels,
    rows: Numbers,
    preprocessing: Preprocessing,
    path: Path,
    *,
    set_fingerprint: str,
    device: torch.device | None = None,
    batch_size: int = 64,
    half: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Features:
    """Return the features of photographs, from disk as far as they are there and whole.

    Two files are kept: `PATH.bin`, raw values in order (N, 2, F), little-endian; and `PATH.json`, which says of which
    weights (all but the head's), preprocessing, set and rows they are, with a checksum for every block of photographs. If
    any of these differ the features are computed again; a damaged or missing block is computed alone, so that an
    interrupted run goes on where it was.

    Args:
        module: Its head must be linear; looked at in evaluation mode, and moved to the device.
        pixels: Gives canvases uint8 (n, 3, H, W) of rows, as `TrainingSet.pixels`.
        rows: (N,), one or more, as `pixels` understands them.
        preprocessing: From canvas to frame.
        path: Without ending; folders are made.
        set_fingerprint: Of the set that `pixels` reads.
        device: Where to compute; the processor by default.
        batch_size: Photographs that go through the network at once.
        half: Store float16, half the disk; values beyond 65504 are cut to it.
        progress: Called with (photographs done, all).

    Raises:
        ConfigError: The head is a convolution.
    """
    layer = _linear(module)
    if not len(rows):
        raise ValueError("no photographs")
    device = device or torch.device("cpu")
    kind = np.dtype("<f2" if half else "<f4")
    shape = (len(rows), VARIANTS, layer.in_features)
    key = {
        "version": VERSION,
        "weights": _identity(module),
        "preprocessing": json.loads(json.dumps(asdict(preprocessing))),
        "set": set_fingerprint,
        "rows": content_id(np.ascontiguousarray(rows, "<i8").tobytes()),
        "shape": list(shape),
        "type": kind.str,
        "block": BLOCK,
    }
    data, beside = path.with_name(path.name + ".bin"), path.with_name(path.name + ".json")
    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = math.ceil(len(rows) / BLOCK)
    checksums: list[str | None] = _known(beside, key, blocks)
    # Opened without emptying it: processes that do the same work at the same time write the same bytes.
    with os.fdopen(os.open(data, os.O_RDWR | os.O_CREAT, 0o644), "r+b") as file:
        file.truncate(math.prod(shape) * kind.itemsize)
        size, computed = BLOCK * math.prod(shape[1:]) * kind.itemsize, 0
        for number in range(blocks):
            inside = rows[number * BLOCK : (number + 1) * BLOCK]
            file.seek(number * size)
            if checksums[number] is None or content_id(file.read(size)) != checksums[number]:
                content = _look(module, layer, pixels, inside, preprocessing, device, batch_size)
                written = content.clip(-LARGEST_HALF, LARGEST_HALF) if half else content
                raw = np.ascontiguousarray(written, kind).tobytes()
                file.seek(number * size)
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
                checksums[number] = content_id(raw)
                _replace(beside, {"key": key, "checksums": checksums})
                computed += len(inside)
            if progress is not None:
                progress(min((number + 1) * BLOCK, len(rows)), len(rows))
    return Features(data, np.memmap(data, kind, "r", shape=shape), computed)


def train_head(
    module: nn.Module,
    features: Features,
    targets: Numbers,
    *,
    epochs: int,
    learning_rate: float,
    seed: int,
    balanced: bool = False,
    batches: Stream | None = None,
    batch_size: int = 256,
    optimiser: str = "adamw",
    weight_decay: float = 1e-4,
    momentum: float = 0.9,
    loss: Loss | None = None,
    device: torch.device | None = None,
    progress: Callable[..., None] | None = None,
) -> tuple[float, ...]:
    """Train a network's head on features, put the weights into it, and return the mean loss of every epoch.

    The head starts from the weights that it has. Each draw is of the centre or of the mirror image, as likely; the
    network's own dropout before the head is left out; the learning rate falls along a cosine. The same seed gives the
    same head.

    Args:
        module: The network of the features; nothing but its head is changed.
        features: Of N photographs, from `cached_features`.
        targets: (N,), of 0..K-1; -1 asks for the same probability everywhere.
        epochs: Passes, 1 or more; of as many draws as there are photographs.
        learning_rate: At the beginning.
        seed: Of order and mirroring.
        balanced: Draw every label equally often.
        batches: Another way to draw: positions 0..N-1 of a step; `balanced` and `batch_size` are then its own matter.
        batch_size: Features in a step, or N if that is less.
        optimiser: "adamw" or "sgd".
        weight_decay: On the matrix; never on the bias.
        momentum: Of sgd.
        loss: Of logits and targets, the mean of a batch; cross-entropy by default.
        device: Where to compute; the processor by default.
        progress: Called with (epochs done, all, a note).

    Raises:
        ConfigError: The head is a convolution, or the loss is no longer finite.
        ValueError: Targets do not fit.
    """
    layer, count = _linear(module), len(targets)
    if count != len(features.values) or targets.min() < -1 or targets.max() >= layer.out_features:
        raise ValueError(
            f"{count} targets up to {targets.max()} for {features.values.shape}, {layer.out_features} labels"
        )
    device = device or torch.device("cpu")
    batch_size = min(batch_size, count)
    steps = math.ceil(count / batch_size)
    drawn = batches or _stream(targets, balanced, batch_size, steps, seed)
    learner = deepcopy(layer).to(device, torch.float32).requires_grad_(True)
    groups = [{"params": [p], "weight_decay": weight_decay if p.dim() > 1 else 0.0} for p in learner.parameters()]
    follower: torch.optim.Optimizer = (
        torch.optim.SGD(groups, lr=learning_rate, momentum=momentum)
        if optimiser == "sgd"
        else torch.optim.AdamW(groups, lr=learning_rate)
    )
    means = []
    for epoch in range(epochs):
        total = 0.0
        for step in range(epoch * steps, (epoch + 1) * steps):
            for group in follower.param_groups:
                group["lr"] = learning_rate * 0.5 * (1 + math.cos(math.pi * step / (epochs * steps)))
            rows = drawn.batch(step)
            variants = generator(seed, CHANGES, step).integers(0, VARIANTS, len(rows))
            inputs = torch.from_numpy(features.values[rows, variants].astype(np.float32)).to(device)
            value = (loss or _undecided_too)(learner(inputs), torch.from_numpy(targets[rows]).to(device))
            follower.zero_grad(set_to_none=True)
            value.backward()  # type: ignore[no-untyped-call]
            follower.step()
            total += float(value.detach())
        means.append(total / steps)
        if not math.isfinite(total):
            raise ConfigError(
                [
                    f"the loss of the head is not finite in pass {epoch + 1} (learning rate {learning_rate:g}); "
                    "lower start.head_learning_rate"
                ]
            )
        if progress is not None:
            progress(epoch + 1, epochs, f"loss {means[-1]:.3f}")
    with torch.no_grad():
        for old, new in zip(layer.parameters(), learner.parameters(), strict=True):
            old.copy_(new)
    return tuple(means)


def head_logits(module: nn.Module, features: Features, variant: int = 0, batch_size: int = 4096) -> NDArray[np.float32]:
    """Return what a network's head makes of features, (N, K): what the whole network gives in evaluation mode.

    Args:
        module: The network of the features.
        features: Of N photographs.
        variant: 0 the centre crop, 1 its mirror image.
        batch_size: Features at once.
    """
    layer = _linear(module)
    parts = []
    with torch.inference_mode():
        for start in range(0, len(features.values), batch_size):
            values = features.values[start : start + batch_size, variant].astype(np.float32)
            parts.append(layer(torch.from_numpy(values).to(layer.weight)).float().cpu().numpy())
    return np.concatenate(parts)


def _linear(module: nn.Module) -> nn.Linear:
    name, layer = head(module)
    if not isinstance(layer, nn.Linear):
        raise ConfigError(
            [
                f"the head of {type(module).__name__} ({name}) is a convolution over the whole frame, which cannot be "
                'trained on stored features; set start.transfer = "all", or take another architecture'
            ]
        )
    return layer


def _identity(module: nn.Module) -> str:
    """Return an id of all weights that features depend on."""
    last, _ = head(module)
    parts = []
    for name, tensor in module.state_dict().items():
        at_end = name.rpartition(".")[0] == last or name.split(".", 1)[0] in AUXILIARY
        if not at_end and not name.endswith("num_batches_tracked"):
            values = tensor.detach().cpu().contiguous().numpy()
            parts += [name, str(values.dtype), str(values.shape), content_id(values.tobytes())]
    return derived_id(type(module).__name__, *parts)


def _known(beside: Path, key: dict[str, Any], blocks: int) -> list[str | None]:
    """Return the checksums of blocks that were written for the same key, None for those that were not."""
    nothing: list[str | None] = [None] * blocks
    try:
        there = json.loads(beside.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return nothing
    if not isinstance(there, dict) or there.get("key") != key:
        return nothing
    found = there.get("checksums")
    return found if isinstance(found, list) and len(found) == blocks else nothing


def _replace(path: Path, content: dict[str, Any]) -> None:
    with replacing(path) as file:
        file.write(json.dumps(content, sort_keys=True).encode("utf-8"))


def _look(
    module: nn.Module,
    layer: nn.Linear,
    pixels: Pixels,
    rows: Numbers,
    preprocessing: Preprocessing,
    device: torch.device,
    batch_size: int,
) -> NDArray[np.float32]:
    """Return what comes to the head, (n, 2, F), by a look at each frame and at its mirror image."""
    seen: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _layer, inputs: seen.append(inputs[0].detach().float().cpu()))
    learning = module.training
    module.eval().to(device)
    try:
        with torch.inference_mode():
            for start in range(0, len(rows), batch_size):
                canvases = torch.from_numpy(pixels(rows[start : start + batch_size])).to(device)
                frames = prepare(canvases, preprocessing)
                for each in (frames, frames.flip(-1)):
                    module(each.contiguous(memory_format=torch.channels_last))
    finally:
        hook.remove()
        module.train(learning)
    return torch.stack((torch.cat(seen[::2]), torch.cat(seen[1::2])), 1).numpy()


def _stream(targets: Numbers, balanced: bool, batch_size: int, steps: int, seed: int) -> Stream:
    if not balanced:
        return Shuffled(len(targets), batch_size, seed)
    numbers = np.unique(targets, return_inverse=True)[1]
    return Drawn(1.0 / np.bincount(numbers)[numbers], batch_size, steps, seed)


def _undecided_too(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy; where the target is -1, against the same probability everywhere (Hendrycks et al. 2019)."""
    known = targets >= 0
    costs = functional.cross_entropy(logits, targets.clamp(min=0), reduction="none")
    return torch.where(known, costs, -functional.log_softmax(logits, 1).mean(1)).mean()
