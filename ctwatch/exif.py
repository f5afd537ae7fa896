"""What a photograph's header tells, read from its bytes: times, camera, maker note, size."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import piexif
from PIL import Image

from ctwatch import jpeg, maker_notes
from ctwatch.domain import CameraFacts, TimestampSource

_EXIF_START = b"Exif\x00\x00"
_XMP_START = b"http://ns.adobe.com/xap/1.0/\x00"
_IFD0, _EXIF = "0th", "Exif"
_TIME_TAGS = {
    TimestampSource.DATE_TIME_ORIGINAL: (_EXIF, 0x9003, 0x9291),
    TimestampSource.DATE_TIME_DIGITIZED: (_EXIF, 0x9004, 0x9292),
    TimestampSource.DATE_TIME: (_IFD0, 0x0132, 0x9290),
}
_MAKE, _MODEL, _BODY_SERIAL, _MAKER_NOTE = 0x010F, 0x0110, 0xA431, 0x927C
_LONGEST_TEXT = 200


@dataclass(frozen=True, slots=True)
class Header:
    """The facts of one header; absent ones are None or empty."""

    mediatype: str
    width: int | None = None
    height: int | None = None
    times: Mapping[TimestampSource, str] = field(default_factory=dict)
    sub_seconds: Mapping[TimestampSource, str] = field(default_factory=dict)
    xmp: str = ""
    camera: CameraFacts = CameraFacts()
    problem: str | None = None
    """Why part of the header could not be read."""


def read(data: bytes) -> Header | None:
    """Read the header of a photograph's bytes; None if they are no image. Never raises for bad input.

    EXIF is read by piexif from the APP1 block alone; where piexif gives up, by Pillow.
    """
    kind = jpeg.mediatype(data)
    if kind is None:
        return None
    tags: Mapping[str, Mapping[int, Any]] = {}
    problem: str | None = None
    xmp = ""
    size: tuple[int, int] | None = None
    if kind == "image/jpeg":
        size = jpeg.frame_size(data)
        block, xmp = _app1(data)
        if block:
            tags, problem = _first_that_reads(block)
    else:
        tags, problem = _attempt(lambda: _with_pillow(data))
        size = _attempt(lambda: Image.open(BytesIO(data)).size)[0] or None
    exif, ifd0 = tags.get(_EXIF, {}), tags.get(_IFD0, {})
    make, model = _text(ifd0.get(_MAKE)), _text(ifd0.get(_MODEL))
    note = exif.get(_MAKER_NOTE)
    told = maker_notes.read(bytes(note), make) if isinstance(note, bytes | bytearray) else None
    told = told or CameraFacts()
    camera = CameraFacts(
        make=make,
        model=model,
        serial=told.serial or _text(exif.get(_BODY_SERIAL)),
        user_label=told.user_label,
        trigger=told.trigger,
        sequence_number=told.sequence_number,
        sequence_total=told.sequence_total,
        event_number=told.event_number,
        temperature_c=told.temperature_c,
    )
    times = {
        source: text for source, (ifd, tag, _) in _TIME_TAGS.items() if (text := _text(tags.get(ifd, {}).get(tag)))
    }
    fractions = {source: text for source, (_, _, tag) in _TIME_TAGS.items() if (text := _text(exif.get(tag)))}
    width, height = size if size else (None, None)
    return Header(kind, width, height, times, fractions, xmp, camera, problem)


def _app1(data: bytes) -> tuple[bytes, str]:
    """Return the EXIF block (with its `Exif` start) and the XMP packet of a JPEG."""
    block, packet = b"", b""
    for marker, start, end in jpeg.segments(data):
        if marker == jpeg.APP1:
            payload = data[start:end]
            if not block and payload.startswith(_EXIF_START):
                block = payload
            elif not packet and payload.startswith(_XMP_START):
                packet = payload[len(_XMP_START) :]
    return block, packet.decode("utf-8", "replace")


def _first_that_reads(block: bytes) -> tuple[Mapping[str, Mapping[int, Any]], str | None]:
    tags, problem = _attempt(lambda: piexif.load(block))
    if problem is None:
        return tags, None
    tags, worse = _attempt(lambda: _with_pillow(block))
    return tags, f"piexif: {problem}" + (f"; Pillow: {worse}" if worse else "; read by Pillow")


def _with_pillow(data: bytes) -> Mapping[str, Mapping[int, Any]]:
    exif = Image.Exif()
    if data.startswith(_EXIF_START):
        exif.load(data)
    else:
        with Image.open(BytesIO(data)) as image:
            exif = image.getexif()
    return {_IFD0: dict(exif), _EXIF: dict(exif.get_ifd(0x8769))}


def _attempt(reader: Callable[[], Any]) -> tuple[Any, str | None]:
    """Run a reader on hostile bytes; its result and None, or nothing and why.

    piexif alone is known to raise struct.error, ValueError, KeyError, IndexError, UnicodeDecodeError, MemoryError and
    its own errors on bad input, so every exception counts as bad input here and nowhere else.
    """
    try:
        return reader(), None
    except Exception as error:
        return {}, f"{type(error).__name__}: {error}"[:_LONGEST_TEXT]


def _text(value: object) -> str | None:
    if isinstance(value, bytes | bytearray):
        value = bytes(value).decode("utf-8", "replace")
    if not isinstance(value, str):
        return None
    text = value.split("\x00")[0].strip()[:_LONGEST_TEXT]
    return text or None
