"""Malformed photographs without end: the n-th file of a seed is always the same, made of real and drawn ones.

Blind damage (flips, cuts, splices) finds what nobody thought of; attacks build what somebody would send: headers that loop,
count to four thousand million or nest a thousand deep, pictures that claim to be huge, kilobytes that inflate to gigabytes.
"""

import random
import struct
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import piexif
from conftest import moment_of, photograph
from PIL import Image
from shared_data import SHARED
from test_maker_notes import NOTES

LARGEST_SOURCE = 300_000
"""Bytes; larger photographs are taken seldom, so that ten thousand files fit a small disk."""
Attack = Callable[[random.Random, bytes], bytes]


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@cache
def sources() -> dict[str, list[bytes]]:
    """Whole files by kind: drawn ones of every format and, where they are, real ones."""
    drawn = Image.fromarray(np.random.default_rng(5).integers(0, 255, (90, 120, 3), dtype=np.uint8))
    deep = Image.fromarray(np.random.default_rng(6).integers(0, 65535, (40, 60), dtype=np.uint16))
    noted = piexif.dump(
        {"0th": {0x010F: b"RECONYX"}, "Exif": {0x927C: NOTES["HyperFire"], 0x9003: b"2026:05:01 10:00:00"}}
    )
    found = {
        "jpg": [
            photograph(1, moment_of(1), orientation=6), photograph(2, moment_of(2), serial="SN"),
            saved(drawn, "JPEG", exif=noted), saved(drawn, "JPEG", progressive=True), saved(drawn.convert("L"), "JPEG"),
            saved(drawn.convert("CMYK"), "JPEG"), saved(drawn, "JPEG", subsampling=0, optimize=True),
        ],
        "png": [
            saved(drawn, "PNG"), saved(deep, "PNG"), saved(drawn.convert("P"), "PNG"), saved(drawn.convert("RGBA"), "PNG"),
        ],
        "tif": [
            saved(drawn, "TIFF"), saved(deep, "TIFF"), saved(drawn, "TIFF", compression="tiff_lzw"),
            saved(drawn, "TIFF", compression="tiff_deflate"), saved(drawn, "TIFF", compression="jpeg"),
            saved(drawn.convert("1"), "TIFF", compression="group4"), saved(drawn, "TIFF", compression="packbits"),
        ],
        "bmp": [saved(drawn, "BMP"), saved(drawn.convert("P"), "BMP"), saved(drawn.convert("1"), "BMP")],
        "large": [photograph(9, moment_of(9), size=(1500, 2000))],
    }  # fmt: skip
    kinds = {".jpg": "jpg", ".jpeg": "jpg", ".png": "png", ".tif": "tif", ".tiff": "tif", ".bmp": "bmp"}
    for folder in (SHARED / "odd_images", SHARED / "cards"):
        for path in sorted(folder.rglob("*")):
            kind = kinds.get(path.suffix.lower())
            if kind and path.is_file():
                data = path.read_bytes()
                found[kind if len(data) <= LARGEST_SOURCE else "large"].append(data)
    return found


def malformed(seed: int, number: int) -> tuple[str, bytes]:
    """Return name and bytes of one file."""
    rng = random.Random(f"{seed} {number}")
    kind = rng.choices(("jpg", "png", "tif", "bmp", "large"), (50, 16, 20, 8, 2))[0]
    data = rng.choice(sources()[kind])
    told = "blind"
    if kind in ATTACKS and rng.random() < 0.5:
        attack = rng.choice(ATTACKS[kind])
        told, data = attack.__name__, attack(rng, data)
    if told == "blind" or rng.random() < 0.2:
        data = damaged(rng, data)
    suffix = rng.choice(("JPG", "JPG", "jpeg", "png", "tif", "bmp"))
    return f"{number:06d}-{kind}-{told}.{suffix}", data


def damaged(rng: random.Random, data: bytes) -> bytes:
    """Flip, cut, fill with zeros, repeat, take out, put in of another file."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2))):
        size = len(changed)
        if not size:
            break
        at, length = rng.randrange(size), rng.choice((1, 4, 64, 4096))
        way = rng.choices(("flip", "cut", "zeros", "repeat", "remove", "splice", "numbers"), (8, 2, 1, 1, 1, 2, 3))[0]
        if way == "flip":
            reach = rng.choice((64, 1024, size))
            for _ in range(rng.choice((1, 2, 8, 64))):
                changed[rng.randrange(min(reach, size))] = rng.choice((0, 0xFF, rng.randrange(256)))
        elif way == "cut":
            del changed[at:]
        elif way == "zeros":
            changed[at:] = bytes(size - at)
        elif way == "repeat":
            changed[at:at] = changed[at : at + length] * rng.choice((1, 3, 50))
        elif way == "remove":
            del changed[at : at + length]
        elif way == "splice":
            other = rng.choice(sources()[rng.choice(("jpg", "png", "tif", "bmp"))])
            changed[at : at + length] = other[rng.randrange(len(other)) :][: rng.choice((16, 512, 100_000))]
        else:
            number = rng.choice((0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, size, size - 1))
            place = rng.randrange(min(size, 2048))
            changed[place : place + 4] = struct.pack(rng.choice("<>") + "L", number)
    return bytes(changed)


def mad_directory(rng: random.Random, order: str, size: int) -> bytes:
    """A TIFF directory whose tags, kinds, counts and offsets are what should not be."""
    entries = []
    for _ in range(rng.choice((1, 3, 12, 200))):
        tag = rng.choice((
            0x0100, 0x0101, 0x0102, 0x0103, 0x0106, 0x010F, 0x0110, 0x0111, 0x0112, 0x0115, 0x0116, 0x0117, 0x011A, 0x0132,
            0x013D, 0x0142, 0x0144, 0x014A, 0x0201, 0x0202, 0x8769, 0x8825, 0xA005, 0x9003, 0x9004, 0x9291, 0x927C, 0x9286,
            0xA431, 0x02BC, 0x83BB, 0x8773, rng.randrange(65536),
        ))  # fmt: skip
        kind = rng.choice((1, 2, 3, 4, 5, 6, 7, 9, 10, 12, 13, 0, 16, 255, rng.randrange(65536)))
        count = rng.choice((0, 1, 2, 4, 1000, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF))
        value = rng.choice((0, 1, 8, 10, size - 1, size, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFF0, rng.randrange(max(1, size))))
        entries.append(struct.pack(order + "HHLL", tag, kind, count, value))
    following = rng.choice((0, 8, 8, rng.randrange(max(1, size)), 0xFFFFFFFF))
    said = rng.choice((len(entries), len(entries), 0xFFFF))
    return struct.pack(order + "H", said) + b"".join(entries) + struct.pack(order + "L", following)


def mad_tiff(rng: random.Random) -> bytes:
    """A TIFF structure: mad directories, chains of them that loop, or a nest of directories a thousand deep."""
    order, mark = rng.choice((("<", b"II*\x00"), (">", b"MM\x00*")))
    way = rng.choice(("directories", "chain", "nest"))
    if way == "directories":
        body = b"".join(mad_directory(rng, order, 4000) for _ in range(rng.choice((1, 2, 5))))
        return mark + struct.pack(order + "L", rng.choice((8, 8, 8, 0, 4, 0xFFFFFFFF))) + body + rng.randbytes(200)
    body, tag = b"", rng.choice((0x8769, 0x8825, 0xA005, 0x014A))
    for number in range(rng.choice((5, 500, 3000))):
        here = 8 + 18 * number
        inner = here + 18 if way == "nest" else 0
        following = here + 18 if way == "chain" else 0
        if rng.random() < 0.001:
            inner, following = 8, 8  # back to the first
        body += struct.pack(order + "HHHLLL", 1, tag if way == "nest" else 0x010E, 4, 1, inner, following)
    return mark + struct.pack(order + "L", 8) + body


def segment(marker: int, payload: bytes) -> bytes:
    payload = payload[:65533]
    return bytes((0xFF, marker)) + struct.pack(">H", len(payload) + 2) + payload


def exif_gone_mad(rng: random.Random, data: bytes) -> bytes:
    """Directories that loop, nest or count without measure; before or instead of the camera's own."""
    block = segment(0xE1, b"Exif\x00\x00" + mad_tiff(rng))
    return data[:2] + block * rng.choice((1, 1, 3)) + data[2:]


def exif_offsets(rng: random.Random, data: bytes) -> bytes:
    """Words of a real EXIF block replaced by offsets and counts that lead anywhere, maker note and GPS included."""
    start = data.find(b"Exif\x00\x00")
    if start < 0:
        return exif_gone_mad(rng, data)
    changed = bytearray(data)
    order = "<" if changed[start + 6 : start + 8] == b"II" else ">"
    for _ in range(rng.choice((1, 3, 10))):
        at = start + 14 + 12 * rng.randrange(40) + rng.choice((0, 4, 8))
        changed[at : at + 4] = struct.pack(order + "L", rng.choice((0, 8, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF)))
    return bytes(changed)


def jpeg_frame(rng: random.Random, data: bytes) -> bytes:
    """Another size, precision (12 bits), number or sampling of components, another kind of coding."""
    changed = bytearray(data)
    at = next((at for mark in (0xC0, 0xC2) if (at := data.find(bytes((0xFF, mark, 0)))) >= 0), -1)
    if at < 0:
        return damaged(rng, data)
    for _ in range(rng.choice((1, 1, 2))):
        field = rng.choice(("size", "precision", "components", "sampling", "coding", "length"))
        if field == "size":
            sizes = (0, 1, 0x7FFF, 0xFFFF, 12000, 30000)
            changed[at + 5 : at + 9] = struct.pack(">HH", rng.choice(sizes), rng.choice(sizes))
        elif field == "precision":
            changed[at + 4] = rng.choice((12, 16, 2, 0, 255))
        elif field == "components":
            changed[at + 9] = rng.choice((0, 1, 2, 4, 255))
        elif field == "sampling":
            changed[at + 11] = rng.choice((0, 0x14, 0x44, 0xFF))
        elif field == "coding":
            changed[at + 1] = rng.choice((0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC9, 0xCA, 0xCB, 0xCF))
        else:
            changed[at + 2 : at + 4] = struct.pack(">H", rng.choice((0, 1, 2, 8, 0xFFFF)))
    return bytes(changed)


def jpeg_scans(rng: random.Random, data: bytes) -> bytes:
    """The last scan over and over, or a progressive picture cut between its scans."""
    last = data.rfind(b"\xff\xda")
    if last < 0:
        return damaged(rng, data)
    if rng.random() < 0.3:
        return data[:last] + b"\xff\xd9"
    return data[:last] + data[last:-2] * rng.choice((3, 150, 2000) if len(data) < 20_000 else (3, 20)) + data[-2:]


def jpeg_segments(rng: random.Random, data: bytes) -> bytes:
    """Multi-picture indexes, colour profiles, XMP without end, comments, Adobe marks; thousands of them."""
    mpf = b"MPF\x00II*\x00\x08\x00\x00\x00" + mad_directory(rng, "<", 300)
    xmp = b"http://ns.adobe.com/xap/1.0/\x00"
    bomb = b'<!DOCTYPE x [<!ENTITY a "' + b"lol" * 50 + b'">' + b'<!ENTITY b "&a;&a;&a;">' * 200 + b"]><x>&b;</x>"
    made = (
        lambda: segment(0xE2, mpf),
        lambda: segment(
            0xE2, b"ICC_PROFILE\x00" + bytes((rng.randrange(256), rng.randrange(256))) + rng.randbytes(300)
        ),
        lambda: segment(0xE1, xmp + bomb * 9),
        lambda: segment(0xE1, xmp + b"exif:DateTimeOriginal=" * 2900),
        lambda: segment(0xE1, xmp + b"exif:DateTimeOriginal" + b" " * 64_000 + b"="),
        lambda: segment(0xE1, b"http://ns.adobe.com/xmp/extension/\x00" + rng.randbytes(60_000)),
        lambda: segment(0xED, b"Photoshop 3.0\x008BIM" + rng.randbytes(400)),
        lambda: segment(0xEE, b"Adobe\x00" + rng.randbytes(7)),
        lambda: segment(0xFE, b"a comment" * rng.choice((1, 7000))),
        lambda: segment(0xDD, rng.randbytes(2)),
        lambda: segment(0xE0, b"JFXX\x00\x10" + rng.randbytes(100)),
    )
    return (
        data[:2] + b"".join(rng.choice(made)() * rng.choice((1, 1, 20)) for _ in range(rng.choice((1, 4)))) + data[2:]
    )


def chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


@cache
def inflates(size: int) -> bytes:
    """A few kilobytes that become `size` bytes."""
    return zlib.compress(bytes(size), 9)


def png_bombs(rng: random.Random, data: bytes) -> bytes:
    """Text, profiles and EXIF that inflate; animation and palettes that contradict; before the picture or behind it."""
    made = (
        lambda: chunk(b"zTXt", b"key\x00\x00" + inflates(50_000_000)),
        lambda: chunk(b"iTXt", b"key\x00\x01\x00\x00\x00" + inflates(50_000_000)),
        lambda: chunk(b"iCCP", b"profile\x00\x00" + inflates(100_000_000)),
        lambda: chunk(b"tEXt", b"k\x00" + b"v" * 100_000),
        lambda: chunk(b"eXIf", mad_tiff(rng)),
        lambda: chunk(b"acTL", struct.pack(">II", rng.choice((0, 1, 0xFFFFFFFF)), 0)),
        lambda: chunk(b"fcTL", rng.randbytes(26)),
        lambda: chunk(b"PLTE", rng.randbytes(rng.choice((3, 768, 5000)))),
        lambda: chunk(b"tRNS", rng.randbytes(rng.choice((0, 1, 300)))),
        lambda: struct.pack(">I", rng.choice((0, 0x7FFFFFFF, 0xFFFFFFFF))) + b"IDAT" + rng.randbytes(30),
    )
    at = rng.choice((33, max(33, len(data) - 12)))
    return data[:at] + b"".join(rng.choice(made)() for _ in range(rng.choice((1, 3)))) + data[at:]


def png_claims(rng: random.Random, data: bytes) -> bytes:
    """Another size, depth, colour or interlacing than the picture has; data that inflates beyond it."""
    sizes = (0, 1, 50, 5000, 11_000, 12_000, 60_000, 2**31 - 1, 2**32 - 1)
    header = struct.pack(
        ">IIBBBBB", rng.choice(sizes), rng.choice(sizes), rng.choice((1, 2, 4, 8, 16, 3, 255)), rng.choice((0, 2, 3, 4, 6, 7)),
        0, 0, rng.choice((0, 1, 2)),
    )  # fmt: skip
    body = chunk(b"IDAT", inflates(rng.choice((1000, 3_000_000, 100_000_000))))
    rest = data[33:] if rng.random() < 0.3 else body + chunk(b"IEND", b"")
    return data[:8] + chunk(b"IHDR", header) + rest


def tiff_gone_mad(rng: random.Random, data: bytes) -> bytes:
    """Directories that are nothing but lies, or behind the lie a real picture."""
    return mad_tiff(rng) + (data if rng.random() < 0.3 else b"")


def tiff_fields(rng: random.Random, data: bytes) -> bytes:
    """Fields of a real directory changed: sizes, strips, tiles, bits, compression, offsets."""
    order = "<" if data[:2] == b"II" else ">"
    changed = bytearray(data)
    (at,) = struct.unpack_from(order + "L", changed, 4)
    if at + 2 > len(changed):
        return damaged(rng, data)
    (entries,) = struct.unpack_from(order + "H", changed, at)
    for _ in range(rng.choice((1, 1, 3))):
        entry = at + 2 + 12 * rng.randrange(max(1, entries))
        where, form = rng.choice(((0, "H"), (2, "H"), (4, "L"), (8, "L"), (8, "L")))
        numbers = (0, 1, 2, 4, 5, 7, 8, 12, 16, 32, 64, 255, 6000, 12_000, 0xFFFF)
        value = rng.choice(numbers if form == "H" else (*numbers, 0x7FFFFFFF, 0xFFFFFFFF, len(data)))
        if entry + 12 <= len(changed):
            struct.pack_into(order + form, changed, entry + where, value)
    return bytes(changed)


def bmp_claims(rng: random.Random, data: bytes) -> bytes:
    """Another header length, size (also negative), depth, compression or palette than the picture has."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 2))):
        at, form = rng.choice(((10, "<L"), (14, "<L"), (18, "<l"), (22, "<l"), (28, "<H"), (30, "<L"), (46, "<L")))
        most = 0x7FFF if form == "<H" else 0x7FFFFFFF
        value = rng.choice((0, 1, 2, 4, 8, 12, 16, 24, 32, 40, 64, 108, 124, 255, 5000, 12_000, most))
        struct.pack_into(form, changed, at, -value if form == "<l" and rng.random() < 0.4 else value)
    return bytes(changed)


def bmp_runs(rng: random.Random, data: bytes) -> bytes:
    """Run lengths that fill, jump and end where they should not, in a picture of any size."""
    width, height = rng.choice(((100, 100), (10_000, 10_000), (1, 60_000)))
    kind, depth = rng.choice(((1, 8), (2, 4)))
    runs = bytes(rng.choice((0, 0, 1, 2, 255, rng.randrange(256))) for _ in range(rng.choice((10, 1000, 20_000))))
    info = struct.pack("<LllHHLLllLL", 40, width, height, 1, depth, kind, len(runs), 0, 0, 0, 0)
    palette = bytes(4 << depth)
    offset = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<LHHL", offset + len(runs), 0, 0, offset) + info + palette + runs


ATTACKS: dict[str, Sequence[Attack]] = {
    "jpg": (exif_gone_mad, exif_offsets, jpeg_frame, jpeg_scans, jpeg_segments),
    "png": (png_bombs, png_claims),
    "tif": (tiff_gone_mad, tiff_fields),
    "bmp": (bmp_claims, bmp_runs),
}


def write_card(card: Path, files: int, seed: int) -> None:
    """Write a card of malformed files, a thousand to a folder as cameras do."""
    for number in range(files):
        folder = card / "DCIM" / f"{100 + number // 1000}FUZZY"
        if number % 1000 == 0:
            folder.mkdir(parents=True)
        name, data = malformed(seed, number)
        (folder / name).write_bytes(data)
