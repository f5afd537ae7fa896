"""Reads and writes model files: one safetensors file with weights and everything needed to use them, no pickle."""

import json
import math
import os
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse
from safetensors.torch import save as serialise
from torch import nn

from ctwatch.domain import ModelInfo
from ctwatch.identity import content_id
from ctwatch.nets.architectures import build, names
from ctwatch.nets.model_info import FORMAT_VERSION, described, info_of, refuse


def save(path: Path, module: nn.Module, info: ModelInfo, *, half: bool = True) -> ModelInfo:
    """Write a model file atomically and return its info with the id of what was written.

    Args:
        path: Where to; an existing file is replaced in one rename after the new one is safely on disk.
        module: The network that `info.architecture` builds.
        info: Its `model_id` is ignored: the id is that of the file's bytes.
        half: Store matrices and kernels as float16; biases and batch-norm statistics stay float32.

    Raises:
        ModelError: The info or the weights are such that `load` would refuse the file.
    """
    fields = asdict(info)
    del fields["model_id"]
    fields["format_version"] = FORMAT_VERSION
    text = json.dumps(fields, sort_keys=True, allow_nan=False)
    info_of(path, json.loads(text), "")
    weights = {}
    for name, tensor in module.state_dict().items():
        tensor = tensor.detach().cpu().contiguous()
        if tensor.is_floating_point():
            tensor = tensor.to(torch.float16 if half and tensor.dim() > 1 else torch.float32)
        weights[name] = tensor
    data = serialise(weights, metadata={"ctwatch": text})
    _rebuild(path, info_of(path, json.loads(text), ""), data)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    return info_of(path, json.loads(text), content_id(data))


def load(path: Path) -> tuple[ModelInfo, nn.Module]:
    """Return a model file's info and its network in evaluation mode, with float32 weights on the processor.

    Raises:
        ModelError: Anything about the file does not fit; the message names the file, what is wrong and what to do.
    """
    info, data = described(path)
    return info, _rebuild(path, info, data)


def _rebuild(path: Path, info: ModelInfo, data: bytes) -> nn.Module:
    try:
        weights = parse(data)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError) as error:
        refuse(path, f"is damaged or truncated ({error})", "copy it again from where it came")
    if info.architecture not in names():
        refuse(path, f"`architecture` is {info.architecture!r}, which this ctwatch cannot build")
    module = build(info.architecture, len(info.labels))
    wanted = module.state_dict()
    missing, extra = sorted(wanted.keys() - weights.keys()), sorted(weights.keys() - wanted.keys())
    if missing or extra:
        example = f"{missing[0]!r} is missing" if missing else f"{extra[0]!r} is not part of it"
        counts = f"{len(missing)} missing, {len(extra)} too many: {example}"
        refuse(path, f"its weights do not fit {info.architecture} ({counts})")
    for name, tensor in weights.items():
        if tensor.shape != wanted[name].shape:
            refuse(
                path,
                f"weight {name!r} has shape {tuple(tensor.shape)}, {info.architecture} with {len(info.labels)} labels "
                f"needs {tuple(wanted[name].shape)}",
            )
        if tensor.is_floating_point() != wanted[name].is_floating_point():
            refuse(path, f"weight {name!r} is of type {tensor.dtype}")
        if tensor.is_floating_point() and not math.isfinite(float(tensor.to(torch.float32).sum(dtype=torch.float64))):
            wrong = f"weight {name!r} holds values that are not finite"
            refuse(path, wrong, "train it again with a lower learning rate")
    for name, tensor in weights.items():
        wanted[name] = tensor.to(wanted[name].dtype)
    # Into the module's own state, because some of torchvision's nets look for the version noted in it.
    module.load_state_dict(wanted)
    _try_out(path, info, module.eval())
    return module


def _try_out(path: Path, info: ModelInfo, module: nn.Module) -> None:
    """Look at one grey frame: some architectures take only one input size, and say so only when they run."""
    try:
        with torch.inference_mode():
            logits = module(torch.zeros(1, 3, *info.preprocessing.crop))
    except (RuntimeError, AssertionError, ValueError) as error:
        wrong = f"{info.architecture} cannot take a crop of {info.preprocessing.crop} ({error})"
        refuse(path, wrong, "train it with another")
    if not isinstance(logits, torch.Tensor) or logits.shape != (1, len(info.labels)):
        refuse(path, f"{info.architecture} does not give one value per label")
