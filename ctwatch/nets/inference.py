"""An ensemble of model files that looks at frames in batches and gives calibrated probabilities."""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.fx.experimental.optimization import fuse

from ctwatch.domain import Canvas, ModelInfo, Task
from ctwatch.errors import ModelError
from ctwatch.nets.model_file import load, read_info
from ctwatch.nets.preprocessing import prepare

log = logging.getLogger(__name__)

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Probabilities = np.ndarray[Any, np.dtype[np.float32]]

DEFAULT_BATCH = 64


class Ensemble:
    """Networks for one task with the same labels, side by side.

    Attributes:
        members: What each model file says of itself, in the order of the result.
        labels: Common to all members.
        canvases: The distinct canvases that the members need, sorted.
    """

    def __init__(
        self,
        members: Sequence[tuple[ModelInfo, nn.Module]],
        *,
        device: torch.device,
        batch_size: int = DEFAULT_BATCH,
        side_by_side: int = 1,
    ) -> None:
        if not members:
            raise ModelError("an ensemble needs at least one model")
        self.members = tuple(info for info, _ in members)
        self.labels = self.members[0].labels
        self.canvases = tuple(sorted({info.preprocessing.canvas for info in self.members}))
        self.device = device
        self.batch_size = batch_size
        self._nets = [_ready(info, module, device) for info, module in members]
        # Members on cores of their own are two to three times faster than all cores on each member: small networks
        # have little to share out, and threads that wait for each other spin when the machine is busy.
        workers = min(side_by_side, len(members)) if device.type == "cpu" else 1
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="ctwatch-net") if workers > 1 else None

    @classmethod
    def load(
        cls,
        folder: Path,
        task: Task,
        *,
        device: torch.device,
        batch_size: int = DEFAULT_BATCH,
        side_by_side: int = 1,
    ) -> "Ensemble":
        """Load every model file of a folder, sorted by file name.

        Args:
            folder: Holds `*.safetensors`; other files are not looked at.
            task: What all of them must be for.
            device: Where they run.
            batch_size: Frames that go through a network at once; made smaller when memory is short.
            side_by_side: Members that run at the same time on the processor, a thread each.

        Raises:
            ModelError: The folder has none, or any file is damaged or does not fit the first usable one; all are named.
        """
        paths = model_paths(folder)
        members: list[tuple[ModelInfo, nn.Module]] = []
        refused: list[str] = []
        for path in paths:
            try:
                info = read_info(path)
                reason = _misfit(info, task, members[0][0] if members else None)
                if info.model_id in {member.model_id for member, _ in members}:
                    reason = "is another copy of a model that is in this folder already; remove one"
                if reason is None:
                    members.append(load(path))
                else:
                    refused.append(f"{path}: {reason}")
            except ModelError as error:
                refused.append(str(error))
        if refused:
            raise ModelError("\n".join(refused))
        return cls(members, device=device, batch_size=batch_size, side_by_side=side_by_side)

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

        def look(index: int) -> None:
            info = self.members[index]
            source, start = pixels[info.preprocessing.canvas], 0
            while start < frames:
                stop = min(frames, start + self.batch_size)
                try:
                    result[start:stop, index] = self._look(info, self._nets[index], source[start:stop])
                except RuntimeError as error:
                    self._back_off(error, stop - start, info)
                else:
                    start = stop

        for _ in self._pool.map(look, range(len(self.members))) if self._pool else map(look, range(len(self.members))):
            pass
        return result

    def _look(self, info: ModelInfo, net: nn.Module, frames: Pixels) -> Probabilities:
        with torch.inference_mode():
            batch = torch.from_numpy(np.ascontiguousarray(frames)).to(self.device)
            batch = prepare(batch, info.preprocessing).contiguous(memory_format=torch.channels_last)
            logits = net(batch).to(torch.float32)
            out: Probabilities = torch.softmax(logits / info.temperature, 1).cpu().numpy()
        return out

    def _back_off(self, error: RuntimeError, tried: int, info: ModelInfo) -> None:
        if not out_of_memory(error):
            raise error
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if tried <= 1:
            raise ModelError(
                f"{info.name}: not enough memory on {self.device} for one frame; close other programs or use the cpu"
            ) from error
        self.batch_size = max(1, tried // 2)
        log.warning("out of memory on %s with %d frames at once; going on with %d", self.device, tried, self.batch_size)


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


def out_of_memory(error: RuntimeError) -> bool:
    """Return whether an error means that memory ran out, on an accelerator or on the processor."""
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in text or "can't allocate memory" in text


def _misfit(info: ModelInfo, task: Task, first: ModelInfo | None) -> str | None:
    if info.task is not task:
        return f"is for the task {info.task}, this folder is for {task}; move it"
    if first is not None and info.labels != first.labels:
        return (
            f"its {len(info.labels)} labels are not, in order, the {len(first.labels)} of {first.name}; "
            "members of an ensemble must be trained on the same labels"
        )
    return None


def _ready(info: ModelInfo, module: nn.Module, device: torch.device) -> nn.Module:
    """Fold batch-norm into the convolutions where that changes nothing but rounding, and move it to the device."""
    module = _folded(module.eval(), torch.zeros(2, 3, *info.preprocessing.crop))
    module.to(device)
    return module.to(memory_format=torch.channels_last)


def _folded(module: nn.Module, example: torch.Tensor) -> nn.Module:
    try:
        folded: nn.Module = fuse(module).eval()
        with torch.inference_mode():
            example[1].normal_(generator=torch.Generator().manual_seed(0))
            before, after = module(example), folded(example)
        if before.shape == after.shape and torch.allclose(before, after, rtol=1e-3, atol=1e-3):
            return folded
    except Exception as error:  # folding is an extra: what cannot be traced runs as it is
        log.debug("%s cannot be traced: %s", type(module).__name__, error)
    return module
