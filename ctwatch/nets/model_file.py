"""Reads and writes model files: one safetensors file with weights and everything needed to use them, no pickle."""

import json
import math
import os
import struct
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse
from safetensors.torch import save as serialise
from torch import nn

from ctwatch.domain import BLANK, Canvas, ModelInfo, Preprocessing, Task
from ctwatch.errors import ModelError
from ctwatch.identity import content_id
from ctwatch.nets.architectures import build, names

FORMAT_VERSION = 1
MAX_LABELS = 10_000
MAX_HEADER_BYTES = 16 * 1024 * 1024
SIDES = (16, 2048)
TEMPERATURES = (0.05, 20.0)


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
    _info(path, json.loads(text), "")
    weights = {}
    for name, tensor in module.state_dict().items():
        tensor = tensor.detach().cpu().contiguous()
        if tensor.is_floating_point():
            tensor = tensor.to(torch.float16 if half and tensor.dim() > 1 else torch.float32)
        weights[name] = tensor
    data = serialise(weights, metadata={"ctwatch": text})
    _rebuild(path, _info(path, json.loads(text), ""), data)
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
    return _info(path, json.loads(text), content_id(data))


def read_info(path: Path) -> ModelInfo:
    """Return what a model file says about itself; its weights are hashed but not built.

    Raises:
        ModelError: The file cannot be read or its description is not one that ctwatch can use.
    """
    return _described(path)[0]


def load(path: Path) -> tuple[ModelInfo, nn.Module]:
    """Return a model file's info and its network in evaluation mode, with float32 weights on the processor.

    Raises:
        ModelError: Anything about the file does not fit; the message names the file, what is wrong and what to do.
    """
    info, data = _described(path)
    return info, _rebuild(path, info, data)


def _refuse(path: Path, wrong: str, remedy: str = "export it again with `ctwatch train fit`, or remove it") -> NoReturn:
    raise ModelError(f"{path}: {wrong}; {remedy}")


def _described(path: Path) -> tuple[ModelInfo, bytes]:
    try:
        data = path.read_bytes()
    except OSError as error:
        _refuse(path, f"cannot be read ({error.strerror or error})", "check the path and the permissions")
    header = _header(path, data)
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("ctwatch"), str):
        _refuse(path, "is a safetensors file, but not one of ctwatch: its metadata has no `ctwatch` entry")
    try:
        fields = json.loads(metadata["ctwatch"])
    except (ValueError, RecursionError):
        _refuse(path, "its `ctwatch` metadata is not JSON")
    return _info(path, fields, content_id(data)), data


def _header(path: Path, data: bytes) -> dict[str, Any]:
    """Return the JSON header of a safetensors file: 8 bytes of length, little endian, then the header."""
    remedy = "copy it again from where it came"
    if len(data) < 8:
        _refuse(path, f"is not a safetensors file ({len(data)} bytes)", remedy)
    (length,) = struct.unpack("<Q", data[:8])
    if length > MAX_HEADER_BYTES:
        _refuse(path, "is not a safetensors file", remedy)
    if 8 + length > len(data):
        _refuse(path, "is truncated or not a safetensors file", remedy)
    try:
        header = json.loads(data[8 : 8 + length])
    except (ValueError, RecursionError):
        _refuse(path, "is not a safetensors file: its header is not JSON", remedy)
    if not isinstance(header, dict):
        _refuse(path, "is not a safetensors file: its header is not an object", remedy)
    return header


class _Reader:
    """Takes typed values out of untrusted JSON, and says by name what does not fit."""

    def __init__(self, path: Path, fields: Mapping[str, Any], inside: str = "") -> None:
        self._path, self._fields, self._inside = path, fields, inside

    def refuse(self, key: str, wrong: str) -> NoReturn:
        _refuse(self._path, f"`{self._inside}{key}` {wrong}")

    def text(self, key: str, *, empty: bool = True) -> str:
        value = self._fields.get(key)
        if not isinstance(value, str) or not (empty or value.strip()):
            self.refuse(key, "must be a text" if empty else "must be a text that is not empty")
        return value

    def number(self, key: str, low: float, high: float) -> float:
        return self.check_number(key, self._fields.get(key), low, high)

    def check_number(self, key: str, value: object, low: float, high: float) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            self.refuse(key, f"must be a number from {low:g} to {high:g}, not {value!r}")
        return float(value)

    def whole(self, key: str, value: object, low: int, high: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.refuse(key, f"must be a whole number from {low} to {high}, not {value!r}")
        return value

    def items(self, key: str, length: int | None = None) -> list[Any]:
        value = self._fields.get(key)
        if not isinstance(value, list) or (length is not None and len(value) != length):
            self.refuse(key, "must be a list" if length is None else f"must be a list of {length} values")
        return value

    def table(self, key: str) -> dict[str, Any]:
        value = self._fields.get(key)
        if not isinstance(value, dict):
            self.refuse(key, "must be an object")
        return value

    def inside(self, key: str) -> "_Reader":
        return _Reader(self._path, self.table(key), f"{self._inside}{key}.")


def _info(path: Path, fields: object, model_id: str) -> ModelInfo:
    if not isinstance(fields, dict):
        _refuse(path, "its `ctwatch` metadata is not an object")
    version = fields.get("format_version")
    if version != FORMAT_VERSION or isinstance(version, bool):
        wrong = f"has format version {version!r}, this ctwatch reads {FORMAT_VERSION}"
        _refuse(path, wrong, "use the ctwatch that wrote it")
    read = _Reader(path, fields)
    task = read.text("task")
    if task not in tuple(Task):
        read.refuse("task", f"is {task!r}, it must be one of {', '.join(Task)}")
    architecture = read.text("architecture")
    if architecture not in names():
        read.refuse("architecture", f"is {architecture!r}, which this ctwatch cannot build")
    labels = _labels(read, Task(task))
    thresholds = read.table("thresholds")
    for label, value in thresholds.items():
        if label not in labels:
            read.refuse("thresholds", f"names {label!r}, which is not a label")
        read.check_number(f"thresholds.{label}", value, 0.0, 1.0)
    return ModelInfo(
        model_id=model_id,
        name=read.text("name", empty=False),
        task=Task(task),
        architecture=architecture,
        labels=labels,
        preprocessing=_preprocessing(read.inside("preprocessing")),
        temperature=read.number("temperature", *TEMPERATURES),
        thresholds={label: float(value) for label, value in thresholds.items()},
        quality=read.table("quality"),
        recipe=read.table("recipe"),
        data_fingerprint=read.text("data_fingerprint"),
        trained_at=read.text("trained_at"),
        notes=read.text("notes"),
    )


def _labels(read: _Reader, task: Task) -> tuple[str, ...]:
    labels = read.items("labels")
    if not 2 <= len(labels) <= MAX_LABELS:
        read.refuse("labels", f"has {len(labels)} entries, it must have 2 to {MAX_LABELS}")
    if not all(isinstance(label, str) and label.strip() for label in labels):
        read.refuse("labels", "must hold texts that are not empty")
    if len(set(labels)) != len(labels):
        read.refuse("labels", "has a label twice")
    if task is Task.EMPTY and BLANK not in labels:
        read.refuse("labels", f"of an empty filter must contain {BLANK!r}")
    return tuple(labels)


def _preprocessing(read: _Reader) -> Preprocessing:
    inner = read.inside("canvas")
    table = read.table("canvas")
    height, width = (inner.whole(side, table.get(side), *SIDES) for side in ("height", "width"))
    canvas = Canvas(height, width, inner.number("banner_top", 0.0, 0.4), inner.number("banner_bottom", 0.0, 0.4))
    tall, wide = (read.whole("crop", side, *SIDES) for side in read.items("crop", 2))
    if tall > height or wide > width:
        read.refuse("crop", f"{tall} x {wide} is larger than the canvas {height} x {width}")
    mean = [read.check_number("mean", value, -10.0, 10.0) for value in read.items("mean", 3)]
    std = [read.check_number("std", value, 1e-6, 1e6) for value in read.items("std", 3)]
    return Preprocessing(canvas, (tall, wide), (mean[0], mean[1], mean[2]), (std[0], std[1], std[2]))


def _rebuild(path: Path, info: ModelInfo, data: bytes) -> nn.Module:
    try:
        weights = parse(data)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError) as error:
        _refuse(path, f"is damaged or truncated ({error})", "copy it again from where it came")
    module = build(info.architecture, len(info.labels))
    wanted = module.state_dict()
    missing, extra = sorted(wanted.keys() - weights.keys()), sorted(weights.keys() - wanted.keys())
    if missing or extra:
        example = f"{missing[0]!r} is missing" if missing else f"{extra[0]!r} is not part of it"
        counts = f"{len(missing)} missing, {len(extra)} too many: {example}"
        _refuse(path, f"its weights do not fit {info.architecture} ({counts})")
    for name, tensor in weights.items():
        if tensor.shape != wanted[name].shape:
            _refuse(
                path,
                f"weight {name!r} has shape {tuple(tensor.shape)}, {info.architecture} with {len(info.labels)} labels "
                f"needs {tuple(wanted[name].shape)}",
            )
        if tensor.is_floating_point() != wanted[name].is_floating_point():
            _refuse(path, f"weight {name!r} is of type {tensor.dtype}")
        if tensor.is_floating_point() and not math.isfinite(float(tensor.to(torch.float32).sum(dtype=torch.float64))):
            wrong = f"weight {name!r} holds values that are not finite"
            _refuse(path, wrong, "train it again with a lower learning rate")
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
        _refuse(path, wrong, "train it with another")
    if not isinstance(logits, torch.Tensor) or logits.shape != (1, len(info.labels)):
        _refuse(path, f"{info.architecture} does not give one value per label")
