"""What the daemon and its decoding processes say to each other: a JSON head and, behind it, bytes of pixels.

Nothing is unpickled: what comes from a process that has worked on strangers' bytes is taken for no more than numbers and text.
"""

import json
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctwatch.background import HEIGHT, WIDTH, Miniature
from ctwatch.decoding.photograph import VERIFYING_CANVAS, Picture, ReadingRules, Wanted
from ctwatch.domain import (
    CameraFacts,
    Canvas,
    CaptureMethod,
    Failure,
    FileStat,
    Media,
    Timestamp,
    TimestampSource,
)

_SIZES = struct.Struct("<II")
"""Bytes of the head and of what follows it."""
_LARGEST = 1 << 30

_FIELDS = {kind: tuple(field.name for field in fields(kind)) for kind in (Media, Timestamp, CameraFacts)}

Head = Mapping[str, Any]


def send(end: socket.socket, head: Head, *parts: NDArray[np.uint8]) -> None:
    """Send one message; raises OSError if the other side is gone."""
    text = json.dumps(head).encode("ascii")
    end.sendall(_SIZES.pack(len(text), sum(part.nbytes for part in parts)) + text)
    for part in parts:
        end.sendall(np.ascontiguousarray(part).reshape(-1).data)


def receive(
    end: socket.socket, await_bytes: Callable[[socket.socket], None] = lambda end: None
) -> tuple[Head, bytearray]:
    """Receive one message; raises EOFError if the other side is gone, and what `await_bytes` raises while waiting."""

    def exactly(count: int) -> bytearray:
        data = bytearray(count)
        view, got = memoryview(data), 0
        while got < count:
            await_bytes(end)
            try:
                more = end.recv_into(view[got:])
            except ConnectionError:
                more = 0
            if more == 0:
                raise EOFError("the other side is gone")
            got += more
        return data

    head, body = _SIZES.unpack(exactly(_SIZES.size))
    if head + body > _LARGEST:
        raise EOFError("the other side talks nonsense")
    text = exactly(head)
    return json.loads(text), exactly(body)


def request(root: str, file: FileStat, wanted: Wanted) -> Head:
    """Say which file is to be read and what of it is wanted."""
    rules = wanted.rules
    return {
        "root": root,
        "file": [file.path, file.size, file.mtime_ns],
        "canvases": [[item.height, item.width, item.banner_top, item.banner_bottom] for item in wanted.canvases],
        "miniatures": wanted.miniatures,
        "rules": [rules.earliest_year, rules.use_file_times, rules.now.isoformat()],
    }


def requested(head: Head) -> tuple[str, FileStat, Wanted]:
    """Return what a request asks for: the card's root, the file, and what is wanted of it."""
    year, use_file_times, now = head["rules"]
    rules = ReadingRules(year, use_file_times, datetime.fromisoformat(now))
    canvases = tuple(Canvas(*item) for item in head["canvases"])
    return head["root"], FileStat(*head["file"]), Wanted(rules, canvases, head["miniatures"])


def media_head(media: Media) -> Head:
    """Say what a header tells."""
    stamp, value = _named(media.timestamp), media.timestamp.value
    stamp["value"] = None if value is None else value.isoformat()
    return {**_named(media), "timestamp": stamp, "camera": _named(media.camera)}


def _named(value: Media | Timestamp | CameraFacts) -> dict[str, Any]:
    """Return the fields of a value by name; `dataclasses.asdict` copies them deeply, at the price of the whole EXIF block."""
    return {name: getattr(value, name) for name in _FIELDS[type(value)]}


def media_told(head: Head) -> Media:
    """Return what a header tells."""
    stamp = dict(head["timestamp"])
    value, source = stamp.pop("value"), stamp.pop("source")
    timestamp = Timestamp(
        None if value is None else datetime.fromisoformat(value),
        None if source is None else TimestampSource(source),
        **stamp,
    )
    failure = head["failure"]
    known = {
        "timestamp": timestamp,
        "camera": CameraFacts(**head["camera"]),
        "capture_method": CaptureMethod(head["capture_method"]),
        "failure": None if failure is None else Failure(failure),
    }
    return Media(**{**head, **known})


def picture_parts(picture: Picture) -> tuple[Head, Sequence[NDArray[np.uint8]]]:
    """Say what became of a picture, and give its pixels."""
    if picture.failure is not None:
        return {"failure": picture.failure, "detail": picture.detail}, ()
    small = picture.miniature
    return {"colour": small and small.colour}, [*picture.pixels, *([small.pixels] if small else [])]


def picture_told(head: Head, body: bytearray, canvases: Sequence[Canvas]) -> Picture:
    """Return what became of a picture; raises ValueError where the bytes are not of these canvases."""
    if "failure" in head:
        return Picture(failure=Failure(head["failure"]), detail=head["detail"])
    data = np.frombuffer(body, dtype=np.uint8)
    pixels, at = [], 0
    for canvas in canvases or (VERIFYING_CANVAS,):
        shape = (3, canvas.height, canvas.width)
        pixels.append(data[at : at + 3 * canvas.height * canvas.width].reshape(shape))
        at += pixels[-1].size
    if head["colour"] is None:
        return Picture(pixels)
    return Picture(pixels, Miniature(data[at:].reshape(HEIGHT, WIDTH), int(head["colour"])))
