"""What a photograph's header tells, read from its bytes: times, camera, maker note, size."""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
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
_SUB_IFDS = frozenset({0x8769, 0x8825, 0xA005})
"""Tags that point to further directories: Exif, GPS, interoperability."""
_VALUE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 9: 4, 10: 8}
_LONGEST_TEXT = 200
_LARGEST_SIDE = 2**31 - 1
_FORMATS = ("PNG", "TIFF", "BMP")


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
        size = _attempt(lambda: _size_with_pillow(data))[0] or None
    exif, ifd0 = tags.get(_EXIF, {}), tags.get(_IFD0, {})
    make, model = _text(ifd0.get(_MAKE)), _text(ifd0.get(_MODEL))
    note = exif.get(_MAKER_NOTE)
    told = maker_notes.read(bytes(note), make) if isinstance(note, bytes | bytearray) else None
    told = told or CameraFacts()
    camera = replace(told, make=make, model=model, serial=told.serial or _text(exif.get(_BODY_SERIAL)))
    times = {
        source: text for source, (ifd, tag, _) in _TIME_TAGS.items() if (text := _text(tags.get(ifd, {}).get(tag)))
    }
    fractions = {source: text for source, (_, _, tag) in _TIME_TAGS.items() if (text := _text(exif.get(tag)))}
    width, height = size if size else (None, None)
    if size and max(size) > _LARGEST_SIDE:
        width = height = None
        problem = problem or f"claims {size[0]} x {size[1]} pixels"
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
    tags, problem = _attempt(lambda: _with_piexif(block))
    if problem is None:
        return tags, None
    tags, worse = _attempt(lambda: _with_pillow(block))
    return tags, f"piexif: {problem}" + (f"; Pillow: {worse}" if worse else "; read by Pillow")


def _with_piexif(block: bytes) -> Mapping[str, Mapping[int, Any]]:
    _demand_room(block[len(_EXIF_START) :])
    tags: Mapping[str, Mapping[int, Any]] = piexif.load(block)
    return tags


def _demand_room(tiff: bytes) -> None:
    """Raise ValueError if a directory claims more values than the block has bytes.

    piexif believes the count: one flipped byte costs it four gigabytes and ten seconds.
    """
    order = "<" if tiff[:2] == b"II" else ">"
    pending, visited, claimed = [struct.unpack_from(order + "L", tiff, 4)[0]], set[int](), 0
    while pending:
        at = pending.pop()
        if at in visited:
            continue
        visited.add(at)
        (entries,) = struct.unpack_from(order + "H", tiff, at)
        for entry in range(at + 2, at + 2 + 12 * entries, 12):
            tag, kind, count, value = struct.unpack_from(order + "HHLL", tiff, entry)
            claimed += count * _VALUE_SIZES.get(kind, 1)
            if claimed > 2 * len(tiff):
                raise ValueError(f"tag {tag:#06x} claims {count:,} values, more than the block can hold")
            if tag in _SUB_IFDS:
                pending.append(value)
        if len(visited) == 1:
            following = tiff[at + 2 + 12 * entries :][:4]
            if len(following) == 4 and any(following):
                pending.append(struct.unpack(order + "L", following)[0])


def _with_pillow(data: bytes) -> Mapping[str, Mapping[int, Any]]:
    """Read tags from an EXIF block or an image that is no JPEG, without decoding a pixel."""
    exif = Image.Exif()
    if data.startswith(_EXIF_START):
        exif.load(data)
    else:
        with Image.open(BytesIO(data), formats=_FORMATS) as image:
            if image.format == "TIFF":
                exif = image.getexif()
            elif image.info.get("exif"):
                # What stands before the pixels: `getexif` would decode the picture in search of more.
                exif.load(image.info["exif"])
    return {_IFD0: dict(exif), _EXIF: dict(exif.get_ifd(0x8769))}


def _size_with_pillow(data: bytes) -> tuple[int, int]:
    with Image.open(BytesIO(data), formats=_FORMATS) as image:
        return image.size


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
