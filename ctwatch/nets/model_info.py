"""What a model file says about itself, read out of its header without PyTorch."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from ctwatch.domain import BLANK, Canvas, ModelInfo, Preprocessing, Task
from ctwatch.errors import ModelError
from ctwatch.identity import content_id

FORMAT_VERSION = 1
MAX_LABELS = 10_000
MAX_HEADER_BYTES = 16 * 1024 * 1024
SIDES = (16, 2048)
TEMPERATURES = (0.05, 20.0)


def read_info(path: Path) -> ModelInfo:
    """Return what a model file says about itself; its weights are hashed but not built.

    Raises:
        ModelError: The file cannot be read or its description is not one that ctwatch can use.
    """
    return described(path)[0]


def refuse(path: Path, wrong: str, remedy: str = "export it again with `ctwatch train fit`, or remove it") -> NoReturn:
    """Raise the ModelError of a model file: what is wrong with it and what to do."""
    raise ModelError(f"{path}: {wrong}; {remedy}")


def described(path: Path) -> tuple[ModelInfo, bytes]:
    """Return what a model file says about itself, and all its bytes. Raises ModelError as `read_info` does."""
    try:
        data = path.read_bytes()
    except OSError as error:
        refuse(path, f"cannot be read ({error.strerror or error})", "check the path and the permissions")
    header = _header(path, data)
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("ctwatch"), str):
        refuse(path, "is a safetensors file, but not one of ctwatch: its metadata has no `ctwatch` entry")
    try:
        fields = json.loads(metadata["ctwatch"])
    except (ValueError, RecursionError):
        refuse(path, "its `ctwatch` metadata is not JSON")
    return info_of(path, fields, content_id(data)), data


def _header(path: Path, data: bytes) -> dict[str, Any]:
    """Return the JSON header of a safetensors file: 8 bytes of length, little endian, then the header."""
    remedy = "copy it again from where it came"
    if len(data) < 8:
        refuse(path, f"is not a safetensors file ({len(data)} bytes)", remedy)
    (length,) = struct.unpack("<Q", data[:8])
    if length > MAX_HEADER_BYTES:
        refuse(path, "is not a safetensors file", remedy)
    if 8 + length > len(data):
        refuse(path, "is truncated or not a safetensors file", remedy)
    try:
        header = json.loads(data[8 : 8 + length])
    except (ValueError, RecursionError):
        refuse(path, "is not a safetensors file: its header is not JSON", remedy)
    if not isinstance(header, dict):
        refuse(path, "is not a safetensors file: its header is not an object", remedy)
    return header


class _Reader:
    """Takes typed values out of untrusted JSON, and says by name what does not fit."""

    def __init__(self, path: Path, fields: Mapping[str, Any], inside: str = "") -> None:
        self._path, self._fields, self._inside = path, fields, inside

    def refuse(self, key: str, wrong: str) -> NoReturn:
        refuse(self._path, f"`{self._inside}{key}` {wrong}")

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


def info_of(path: Path, fields: object, model_id: str) -> ModelInfo:
    """Return the description that a JSON object gives; raises ModelError naming the first field that does not fit."""
    if not isinstance(fields, dict):
        refuse(path, "its `ctwatch` metadata is not an object")
    version = fields.get("format_version")
    if version != FORMAT_VERSION or isinstance(version, bool):
        wrong = f"has format version {version!r}, this ctwatch reads {FORMAT_VERSION}"
        refuse(path, wrong, "use the ctwatch that wrote it")
    read = _Reader(path, fields)
    task = read.text("task")
    if task not in tuple(Task):
        read.refuse("task", f"is {task!r}, it must be one of {', '.join(Task)}")
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
        architecture=read.text("architecture", empty=False),
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
