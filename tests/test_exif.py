"""Headers: whole, broken and hostile; reading one never raises, never decodes a pixel and never takes long."""

import random
import struct
import time
import zlib
from io import BytesIO

import piexif
import pytest
from conftest import photograph
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ctwatch import exif
from ctwatch.domain import TimestampSource

TIME = "2026:05:01 10:00:00"


def png(width: int, height: int, data: bytes) -> bytes:
    """A PNG of RGB that claims a size."""
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", data), (b"IEND", b""))
    body = (
        struct.pack(">I", len(text)) + kind + text + struct.pack(">I", zlib.crc32(kind + text)) for kind, text in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def test_a_whole_header_is_read() -> None:
    """Times, camera, serial and size."""
    header = exif.read(photograph(1, TIME, serial="SN7", size=(40, 60)))
    assert header is not None
    assert header.times == {TimestampSource.DATE_TIME_ORIGINAL: TIME}
    assert (header.camera.make, header.camera.serial, header.width, header.height) == ("ctwatch", "SN7", 60, 40)
    assert header.problem is None


@pytest.mark.parametrize("data", [b"", b"\xff", b"\xff\xd8", b"text", b"GIF89a", b"\x00" * 100])
def test_what_is_no_image_has_no_header(data: bytes) -> None:
    """Decided by the first bytes."""
    assert exif.read(data) is None


def test_a_count_that_no_block_can_hold_costs_neither_memory_nor_time() -> None:
    """One flipped byte made the reader take gigabytes; the tags around it are still read."""
    whole = photograph(1, TIME)
    data = bytearray(whole)
    entry = data.index(struct.pack(">HH", 0x010F, 2))
    data[entry + 2 : entry + 8] = struct.pack(">HL", 1, 0xFFFFFF00)
    started = time.monotonic()
    header = exif.read(bytes(data))
    assert time.monotonic() - started < 1
    assert header is not None
    assert "claims" in (header.problem or "")
    assert header.times == {TimestampSource.DATE_TIME_ORIGINAL: TIME}


def test_directories_that_point_at_themselves_end() -> None:
    """Each is walked once."""
    loop = b"Exif\x00\x00II*\x00\x08\x00\x00\x00" + struct.pack("<HHHLLL", 1, 0x8769, 4, 1, 8, 8)
    app1 = b"\xff\xe1" + struct.pack(">H", len(loop) + 2) + loop
    whole = photograph(1)
    header = exif.read(whole[:2] + app1 + whole[2:])
    assert header is not None
    assert header.times == {}


def test_the_header_of_a_png_is_read_without_decoding_it() -> None:
    """A picture that would take 1.2 GB costs nothing."""
    data = png(20000, 20000, zlib.compress(bytes(20_000_000)))
    started = time.monotonic()
    header = exif.read(data)
    assert header is not None
    assert (header.width, header.height) == (20000, 20000)
    assert time.monotonic() - started < 1


def test_exif_in_png_and_tiff_is_read_too() -> None:
    """Where it stands before the pixels."""
    block = piexif.dump({"Exif": {piexif.ExifIFD.DateTimeOriginal: TIME.encode()}})
    for kind, options in (("PNG", {"exif": block}), ("TIFF", {"exif": block[6:]})):
        buffer = BytesIO()
        Image.new("RGB", (8, 6)).save(buffer, kind, **options)
        header = exif.read(buffer.getvalue())
        assert header is not None
        assert (header.mediatype, header.width, header.height) == (f"image/{kind.lower()}", 8, 6)
        assert header.times == {TimestampSource.DATE_TIME_ORIGINAL: TIME}


def test_sizes_beyond_what_can_be_are_no_size() -> None:
    """They would not fit the database, and one hostile file must not stop its card."""
    header = exif.read(png(2**32 - 1, 1, b""))
    assert header is not None
    assert (header.width, header.height) == (None, None)
    assert "4294967295" in (header.problem or "")


SIGNATURES = (
    b"\xff\xd8\xff\xe1\x01\x00Exif\x00\x00", b"II*\x00", b"MM\x00*", b"BM", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff",
)  # fmt: skip


@settings(max_examples=150, deadline=2000)
@given(st.binary(max_size=300), st.sampled_from(SIGNATURES))
def test_any_bytes_behind_a_signature_give_a_header(data: bytes, start: bytes) -> None:
    """Never an error, whatever follows."""
    assert exif.read(start + data) is not None


def test_damaged_headers_never_raise_and_never_take_long() -> None:
    """Thousands of flipped bytes and cuts in a real header."""
    rng = random.Random(7)
    whole = photograph(3, TIME, orientation=6, serial="SN")
    head = whole.index(b"\xff\xdb")
    slowest = 0.0
    for _ in range(2000):
        data = bytearray(whole)
        for _ in range(rng.choice((1, 2, 5))):
            data[rng.randrange(2, head)] = rng.choice((0, 255, rng.randrange(256)))
        if rng.random() < 0.2:
            del data[rng.randrange(len(data)) :]
        started = time.monotonic()
        exif.read(bytes(data))
        slowest = max(slowest, time.monotonic() - started)
    assert slowest < 1
