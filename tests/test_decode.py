"""The decoder: upright RGB from whatever cameras and tools write, `UnusableImage` for everything else."""

import random
import resource
import subprocess
import sys
import time
import zlib
from contextlib import suppress
from io import BytesIO

import numpy as np
import pytest
from conftest import photograph
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile
from test_exif import png

import ctwatch.decode
from ctwatch.decode import MAX_SCANS, Resizable, UnusableImage, decode, decode_for_people, decode_onto
from ctwatch.domain import Canvas, Failure
from ctwatch.jpeg import scan_count

CANVAS = Canvas(32, 32)


def halves() -> Image.Image:
    """Red above, blue below."""
    pixels = np.zeros((60, 40, 3), np.uint8)
    pixels[:30, :, 0] = 255
    pixels[30:, :, 2] = 255
    return Image.fromarray(pixels)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def failure_of(data: bytes) -> Failure:
    with pytest.raises(UnusableImage) as caught:
        decode(data, CANVAS)
    return caught.value.failure


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_out_upright(orientation: int) -> None:
    """The eight ways in which EXIF says that the sensor was turned or mirrored."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    upright = halves()
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    for kind in ("JPEG", "PNG", "TIFF"):
        pixels = decode(saved(stored, kind, exif=exif), CANVAS).astype(int)
        assert pixels[0, :12].min() > 200, kind
        assert pixels[2, -12:].min() > 200, kind
        assert pixels[0, -12:].max() < 60, kind


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("L", "JPEG"), ("CMYK", "JPEG"), ("RGB", "BMP"), ("1", "TIFF"), ("P", "PNG"), ("RGBA", "PNG"), ("LA", "PNG"),
        ("CMYK", "TIFF"), ("L", "BMP"), ("RGBA", "TIFF"),
    ],
)  # fmt: skip
def test_every_kind_of_colour_becomes_rgb(mode: str, kind: str) -> None:
    """Grey, palette, transparency, four inks: same picture, same shape."""
    pixels = decode(saved(halves().convert(mode), kind), CANVAS)
    assert (pixels.shape, pixels.dtype) == ((3, 32, 32), np.uint8)
    if mode not in ("L", "LA", "1"):
        assert pixels[0, 5, 16] > 150 > pixels[2, 5, 16]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_keep_their_upper_eight_and_their_way_up(kind: str) -> None:
    """Light above, dark below, also if EXIF says it is to be turned."""
    levels = np.full((60, 40), 0x1000, np.uint16)
    levels[:30] = 0xF000
    image = Image.fromarray(levels)
    pixels = decode(saved(image, kind), CANVAS)
    assert (pixels[:, 4, 16] == 0xF0).all()
    assert (pixels[:, 28, 16] == 0x10).all()
    exif = Image.Exif()
    exif[0x0112] = 3
    turned = decode(saved(image.transpose(Image.Transpose.ROTATE_180), kind, exif=exif), CANVAS)
    assert (turned[:, 4, 16] == 0xF0).all()


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9, 0.99])
def test_a_cut_photograph_is_never_taken_for_whole(share: float) -> None:
    """Wherever the cut is, also where libjpeg would fill up with grey."""
    whole = photograph(1, "2026:05:01 10:00:00", size=(240, 320))
    assert failure_of(whole[: int(len(whole) * share)]) in (Failure.TRUNCATED, Failure.UNREADABLE, Failure.NOT_AN_IMAGE)
    assert failure_of(whole[:-1]) is Failure.TRUNCATED


@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_a_preallocated_copy_that_broke_off_is_truncated(share: float) -> None:
    """Full size, zeros from somewhere on; also where a thumbnail before has an end of its own."""
    whole = photograph(1, size=(240, 320))
    cut = int(len(whole) * share)
    assert failure_of(whole[:cut] + bytes(len(whole) - cut)) is Failure.TRUNCATED


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_other_formats_cut_short_fail_too(kind: str) -> None:
    """As truncated or unreadable, never as an error of the decoder's own."""
    image = Image.fromarray(np.random.default_rng(1).integers(0, 255, (60, 80, 3), dtype=np.uint8))
    whole = saved(image, kind)
    for share in (0.05, 0.5, 0.9):
        assert failure_of(whole[: int(len(whole) * share)]) in (
            Failure.TRUNCATED, Failure.UNREADABLE, Failure.NOT_AN_IMAGE,
        )  # fmt: skip


def test_a_decompression_bomb_is_refused_from_its_header() -> None:
    """60,000 x 60,000 pixels in a file of kilobytes, decoded by a process that may have 1.5 GB of memory at most."""
    data = png(60000, 60000, zlib.compress(bytes(5_000_000)))
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (3 << 29, 3 << 29))\n"
        "from ctwatch import exif; from ctwatch.decode import decode; from ctwatch.domain import Canvas\n"
        "data = sys.stdin.buffer.read(); exif.read(data)\n"
        "try: decode(data, Canvas(32, 32))\n"
        "except Exception as error: print(error.failure, error.detail)"
    )
    done = subprocess.run([sys.executable, "-c", script], input=data, capture_output=True, timeout=60, check=True)
    assert done.stdout.startswith(b"too_large 60000 x 60000 pixels"), done.stderr


def test_a_photograph_of_endless_scans_is_refused() -> None:
    """Every scan is a pass over the whole picture: some kilobytes would keep a decoder busy for hours."""
    whole = saved(Image.new("RGB", (64, 64), "grey"), "JPEG", progressive=True)
    assert decode(whole, CANVAS).shape == (3, 32, 32)
    last = whole.rindex(b"\xff\xda")
    assert failure_of(whole[:last] + whole[last:-2] * 5000 + whole[-2:]) is Failure.UNREADABLE


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_photograph_is_decoded_once_for_every_scale_that_its_canvases_need(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And each canvas is what `decode` gives to the bit, whichever others are asked for with it, in whatever order."""
    pixels = np.random.default_rng(3).integers(0, 255, (600, 800, 3), dtype=np.uint8)
    data = saved(Image.fromarray(pixels), kind)
    half, eighth = (Canvas(100, 120), Canvas(90, 90, 0.1, 0.05), Canvas(120, 100)), (Canvas(32, 32), Canvas(24, 30))
    alone = {canvas: decode(data, canvas) for canvas in (*half, *eighth)}
    loads: list[tuple[int, int]] = []
    load = ImageFile.ImageFile.load

    def counted(image: ImageFile.ImageFile) -> object:
        if image.tile:
            loads.append(image.size)
        return load(image)

    monkeypatch.setattr(ImageFile.ImageFile, "load", counted)
    for asked, sizes in (
        (half, [(400, 300)]),
        (eighth, [(100, 75)]),
        ((half[0], eighth[0], half[2], eighth[1], half[0]), [(400, 300), (100, 75)]),
    ):
        loads.clear()
        together, _ = decode_onto(data, asked, with_miniature=True)
        assert all(np.array_equal(told, alone[canvas]) for told, canvas in zip(together, asked, strict=True))
        assert loads == (sizes if kind == "JPEG" else [(800, 600)])


@pytest.mark.parametrize(("options", "scans"), [({}, 1), ({"progressive": True}, 10), ({"subsampling": 1}, 1)])
def test_the_data_of_a_sequential_photograph_is_not_searched_for_scans(options: dict[str, object], scans: int) -> None:
    """Its first scan says that it is the only one; of a progressive one all are counted."""

    class Counting(bytes):
        searched = 0

        def count(self, *arguments: object) -> int:
            Counting.searched += 1
            return super().count(*arguments)  # type: ignore[arg-type]

    data = Counting(saved(halves().resize((200, 300)), "JPEG", **options))
    assert scan_count(data) == scans
    assert Counting.searched == (scans > 1)


@pytest.mark.parametrize("hidden", ["behind bytes that are no marker", "behind a stray byte"])
def test_scans_are_counted_however_the_headers_are_dressed_up(hidden: str) -> None:
    """What decoders skip must not lead the count past what they then find."""
    data = saved(halves().resize((64, 64)), "JPEG", progressive=True)
    last = data.rfind(b"\xff\xda")
    many = data[:-2] + data[last:-2] * 400 + data[-2:]
    assert scan_count(many) > MAX_SCANS
    if hidden == "behind a stray byte":
        dressed = many[:2] + b"\xff\xfe\x00\x04\xff\xd9" + b"\x00" + many[2:]
    else:
        whole = b"\xff\xc0\x00\x11\x08\x00\x10\x00\x10\x03\x01\x11\x00\x02\x11\x00\x03\x11\x00"
        whole += b"\xff\xda\x00\x0c\x03\x01\x00\x02\x00\x03\x00\x00\x3f\x00"
        comment = b"\xff\xfe" + (len(whole) + 2).to_bytes(2, "big") + whole
        dressed = many[:2] + b"\xff\x00\x00\x06" + comment + many[2:]
    assert scan_count(dressed) > MAX_SCANS
    assert failure_of(dressed) is Failure.UNREADABLE


@pytest.mark.parametrize("data", [b"", b"text, renamed", b"GIF89a" + bytes(50), b"%PDF-1.4", b"\xff\xd8\xff\xd9"])
def test_what_is_no_photograph_is_told_so(data: bytes) -> None:
    """Empty, text, and formats that no camera writes."""
    assert failure_of(data) in (Failure.EMPTY_FILE, Failure.NOT_AN_IMAGE, Failure.TRUNCATED)


def test_thin_and_tiny_photographs_fill_the_canvas() -> None:
    """A pixel is enough."""
    for size in ((1, 1), (1, 5000), (5000, 1)):
        assert decode(saved(Image.new("RGB", size, "white"), "PNG"), CANVAS).min() == 255
    assert decode_for_people(saved(Image.new("RGB", (5000, 2)), "PNG"), 64, 64).shape == (1, 64, 3)


def test_the_strips_of_a_camera_are_cut_off() -> None:
    """Above and below, before the frame is squashed."""
    pixels = decode(saved(halves(), "PNG"), Canvas(32, 32, banner_top=0.0, banner_bottom=0.4))
    assert (pixels[0, :20] == 255).all()


@settings(max_examples=200, deadline=3000)
@given(st.data())
def test_vector_code_and_pillow_resize_alike(data: st.DataObject) -> None:
    """Any picture, even noise and single pixels, up or down, strips cut off: within two levels of 255."""
    pytest.importorskip("cykooz_resizer")
    side = st.one_of(st.integers(1, 4), st.integers(1, 300))
    (width, height), (wide, tall) = data.draw(st.tuples(side, side)), data.draw(st.tuples(side, side))
    above, below = (data.draw(st.floats(0, 0.49)) for _ in range(2))
    levels = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image = Image.fromarray(levels if data.draw(st.booleans()) else (levels >> 7) * 255)
    box = (0.0, height * above, float(width), height * (1 - below))
    small, by_pillow = (way.resized(wide, tall, box).astype(int) for way in two_ways(image))
    assert small.shape == (tall, wide, 3)
    assert abs(small - by_pillow).max() <= 2


def two_ways(image: Image.Image) -> tuple[Resizable, Resizable]:
    """By vector code, and by Pillow as where that is not installed."""
    vectorised = Resizable(image)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ctwatch.decode, "vectorised", None)
        return vectorised, Resizable(image)


def test_vector_code_is_used_for_what_a_decoder_can_hold_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A larger picture is resized where it lies; the trainer and the daemon see the same of a photograph either way."""
    vectorised = pytest.importorskip("cykooz_resizer")
    handed: list[tuple[int, int]] = []
    hand_over = vectorised.ImageData

    def counted(width: int, height: int, kind: object, pixels: bytes | None = None) -> object:
        if pixels is not None:
            handed.append((width, height))
        return hand_over(width, height, kind, pixels)

    monkeypatch.setattr(vectorised, "ImageData", counted)
    monkeypatch.setattr(ctwatch.decode, "LARGEST_VECTORISED", 640 * 480)
    fits, too_large = photograph(1, size=(480, 640)), photograph(1, size=(960, 640))
    decode_onto(fits, (Canvas(300, 400), Canvas(310, 410)), with_miniature=True)
    assert handed == [(640, 480)]
    large = decode(too_large, Canvas(600, 500)).astype(int)
    assert handed == [(640, 480)]
    monkeypatch.undo()
    assert abs(large - decode(too_large, Canvas(600, 500))).max() <= 1


@settings(max_examples=150, deadline=3000)
@given(
    st.binary(max_size=400),
    st.sampled_from([b"\xff\xd8\xff", b"II*\x00", b"MM\x00*", b"BM", b"\x89PNG\r\n\x1a\n", b""]),
)
def test_nothing_but_unusable_image_leaves_the_decoder(data: bytes, start: bytes) -> None:
    """Whatever the bytes."""
    try:
        decode(start + data, CANVAS)
    except UnusableImage as error:
        assert error.detail


def test_damaged_photographs_decode_or_fail_in_bounded_time_and_memory() -> None:
    """Flipped bytes and cuts anywhere in real files of four formats."""
    rng = random.Random(11)
    image = Image.fromarray(np.random.default_rng(2).integers(0, 255, (48, 64, 3), dtype=np.uint8))
    wholes = [photograph(5, orientation=6), saved(image, "PNG"), saved(image, "TIFF"), saved(image, "BMP")]
    before, slowest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0.0
    for turn in range(2000):
        data = bytearray(wholes[turn % 4])
        for _ in range(rng.choice((1, 2, 8))):
            data[rng.randrange(min(len(data), rng.choice((200, len(data)))))] = rng.randrange(256)
        if rng.random() < 0.1:
            del data[rng.randrange(len(data)) :]
        started = time.monotonic()
        with suppress(UnusableImage):
            decode(bytes(data), CANVAS)
        slowest = max(slowest, time.monotonic() - started)
    assert slowest < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20
