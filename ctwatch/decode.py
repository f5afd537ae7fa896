"""The decoder: the bytes of a photograph to pixels, the same for the daemon and the trainer.

JPEGs are decoded at the smallest of libjpeg's scales that is still at least twice the size asked for, then resized with
antialiasing: measured 2 to 4 times faster than decoding whole, at a mean difference of about half a grey level.
"""

import ctypes
import warnings
from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from ctwatch.background import HEIGHT, WIDTH, Miniature, miniature
from ctwatch.domain import Canvas, Failure
from ctwatch.jpeg import has_end, scan_count

try:
    import cykooz_resizer as vectorised
except ImportError:  # there are no wheels of it for every processor
    vectorised = None

FORMATS = ("JPEG", "PNG", "TIFF", "BMP")
"""What a camera or a technician's tool writes (multi-picture MPO opens as JPEG).

Every other decoder of Pillow's stays out of reach of strangers.
"""
MAX_PIXELS = 150_000_000
"""A photograph of more is refused from its header, before any memory is taken."""
MAX_SCANS = 200
"""A progressive JPEG has about ten; each costs a pass over the whole picture, so thousands would hold up its card for hours."""
OVERSAMPLING = 2
"""Against decoding whole, mean levels of 255 and largest change of a probability of the bundled models, 447 to 603 photographs:

| at least | difference | filter | species | most probable species the same |
|---|---|---|---|---|
| 2 times | 0.30 | 0.023 | 0.023 | 99.6 % |
| 1.4 times | 0.74 | 0.087 | 0.074 | 98.0 % |
| once | 1.17 | 0.087 | 0.200 | 97.0 % |

So 2 it is, although 1.4 would save a fifth of the time at 3 megapixels.
"""
LARGEST_VECTORISED = 8_000_000
"""Pixels; vector code is given a copy of the picture, which of a larger one a decoder's memory may not hold.

From twice as many on, the copy takes longer than Pillow's own resize. A photograph at its scale has less than two million.
"""
_SCALES = (8, 4, 2, 1)
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT, _LARGEST_KEPT = 64 * 1024 * 1024, 32 * 1024 * 1024
"""Free memory that a process keeps for the next photograph, and the largest block that is kept."""

# Pillow's own limit warns first and raises later; ours, checked on the header, says the same once.
Image.MAX_IMAGE_PIXELS = None
# Pixels leave Pillow in pieces of so many bytes, which are then joined: a scaled photograph is one piece.
ImageFile.MAXBLOCK = 4 * 1024 * 1024
# Pillow warns of broken EXIF blocks; they are told of where they matter, on the media's row.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


class UnusableImage(Exception):
    """The bytes are no photograph that can be shown to a network."""

    def __init__(self, failure: Failure, detail: str) -> None:
        super().__init__(f"{failure}: {detail}")
        self.failure = failure
        self.detail = detail


def decode(data: bytes, canvas: Canvas) -> NDArray[np.uint8]:
    """Decode a photograph onto a canvas: upright, strips cut off, squashed, RGB.

    Returns an array (3, height, width), uint8. Raises `UnusableImage` for anything that is not a whole photograph.
    """
    (pixels,), _ = decode_onto(data, (canvas,))
    return pixels


def decode_onto(
    data: bytes, canvases: Sequence[Canvas], *, with_miniature: bool = False
) -> tuple[list[NDArray[np.uint8]], Miniature | None]:
    """Decode a photograph onto several canvases, each as `decode` would: once for every scale that they need.

    The miniature is of the whole frame, strips and all, from the first canvas's scale. Raises `UnusableImage`.
    """
    made: dict[Canvas, NDArray[np.uint8]] = {}
    small: Miniature | None = None
    for first in canvases:
        if first in made:
            continue
        with _opened(data) as image:
            scales = {canvas: _scale(image, canvas.width, canvas.height) for canvas in canvases}
            upright = Resizable(_upright_rgb(image, scales[first]))
            if with_miniature and small is None:
                small = miniature(upright.resized(WIDTH, HEIGHT, reducing_gap=2.0))
            made |= {canvas: _squashed(upright, canvas) for canvas, scale in scales.items() if scale == scales[first]}
    return [made[canvas] for canvas in canvases], small


def decode_for_people(data: bytes, max_width: int, max_height: int) -> NDArray[np.uint8]:
    """Decode a photograph to look at: upright, its aspect kept, no larger than asked.

    Returns an array (height, width, 3), uint8. Raises `UnusableImage`.
    """
    with _opened(data) as image:
        upright = _upright_rgb(image, _scale(image, max_width, max_height))
        scale = min(max_width / upright.width, max_height / upright.height, 1.0)
        size = (max(1, round(upright.width * scale)), max(1, round(upright.height * scale)))
        return Resizable(upright).resized(*size)


def reuse_memory() -> None:
    """Have this process keep freed memory for its next photograph; for processes that decode many.

    The system clears every page that it hands out: fetching those of each picture anew took a third of decoding at 3
    megapixels. Does nothing where the C library is another than glibc.
    """
    with suppress(AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT)


class Resizable:
    """A decoded RGB picture that smaller ones are made of, with a bilinear filter as wide as the reduction.

    In vector code where that is installed, five times as fast as Pillow; the two differ by two of 255 levels at most, on
    photographs by one, because they round differently.
    """

    def __init__(self, image: Image.Image) -> None:
        self.size = image.size
        self._image = image
        self._source = None
        if vectorised is not None and image.width * image.height <= LARGEST_VECTORISED:
            # Handed over as bytes: the library could also look into Pillow's memory, whose layout is nobody's promise.
            self._source = vectorised.ImageData(*self.size, vectorised.PixelType.U8x3, image.tobytes())

    def resized(
        self,
        width: int,
        height: int,
        box: tuple[float, float, float, float] | None = None,
        *,
        reducing_gap: float | None = None,
    ) -> NDArray[np.uint8]:
        """Return a box (left, top, right, bottom) of the picture, or all of it, squashed: an array (height, width, 3).

        `reducing_gap` is Pillow's shortcut, for strong reductions where there is no vector code.
        """
        if self._source is None:
            small = self._image.resize((width, height), Image.Resampling.BILINEAR, box, reducing_gap)
            return np.asarray(small, dtype=np.uint8)
        left, top, right, bottom = box or (0.0, 0.0, *self.size)
        options = vectorised.ResizeOptions(
            vectorised.ResizeAlg.convolution(vectorised.FilterType.bilinear),
            crop_box=vectorised.CropBox(left, top, right - left, bottom - top),
        )
        made = vectorised.ImageData(width, height, vectorised.PixelType.U8x3)
        vectorised.Resizer().resize(self._source, made, options)
        return np.frombuffer(made.get_buffer(), dtype=np.uint8).reshape(height, width, 3)


class _opened:  # noqa: N801 - reads as a verb where it is used
    """An opened image whose every failure leaves as `UnusableImage`."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __enter__(self) -> Image.Image:
        if not self.data:
            raise UnusableImage(Failure.EMPTY_FILE, "the file has no bytes")
        try:
            self.image = Image.open(BytesIO(self.data), formats=FORMATS)
        except UnidentifiedImageError as error:
            raise UnusableImage(Failure.NOT_AN_IMAGE, f"not one of {', '.join(FORMATS)}") from error
        except Exception as error:
            raise UnusableImage(Failure.UNREADABLE, _reason(error)) from error
        # All bytes are here: in pieces of 64 kB, libjpeg would begin the row of blocks that each cut falls into anew.
        self.image.decodermaxblock = len(self.data)
        width, height = self.image.size
        if width * height > MAX_PIXELS:
            raise UnusableImage(Failure.TOO_LARGE, f"{width} x {height} pixels; at most {MAX_PIXELS:,} are decoded")
        if self.image.format in ("JPEG", "MPO") and not has_end(self.data):
            raise UnusableImage(Failure.TRUNCATED, "no end-of-image marker after the picture data")
        if self.image.format in ("JPEG", "MPO") and scan_count(self.data) > MAX_SCANS:
            raise UnusableImage(Failure.UNREADABLE, f"more than {MAX_SCANS} scans; it would take too long to decode")
        return self.image

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.image.close()
        if error is None or isinstance(error, UnusableImage) or not isinstance(error, Exception):
            return
        text = str(error).lower()
        if isinstance(error, MemoryError) or "out of memory" in text:
            raise UnusableImage(Failure.TOO_MUCH_MEMORY, "not enough memory to decode it") from error
        cut = "truncated" in text or "broken data stream" in text or "incomplete" in text
        raise UnusableImage(Failure.TRUNCATED if cut else Failure.UNREADABLE, _reason(error)) from error


def _squashed(upright: Resizable, canvas: Canvas) -> NDArray[np.uint8]:
    width, height = upright.size
    box = (0.0, height * canvas.banner_top, float(width), height * (1.0 - canvas.banner_bottom))
    return np.ascontiguousarray(upright.resized(canvas.width, canvas.height, box).transpose(2, 0, 1))


def _scale(image: Image.Image, width: int, height: int) -> int:
    """Return which of libjpeg's scales (1 / n) is the smallest with at least `OVERSAMPLING` times the size asked for."""
    source_width, source_height = image.size
    factor = min(source_width / max(1, width), source_height / max(1, height)) / OVERSAMPLING
    if factor < 2 or image.format not in ("JPEG", "MPO"):
        return 1
    whole = min(source_width // int(source_width / factor), source_height // int(source_height / factor))
    return max(scale for scale in _SCALES if scale <= whole)


def _upright_rgb(image: Image.Image, scale: int) -> Image.Image:
    """Load at a scale, turn upright, convert to RGB; what is RGB and upright already is not copied."""
    if scale > 1:
        image.draft(image.mode, (image.width // scale, image.height // scale))
    image.load()
    # A broken EXIF block says nothing about which way is up; the pixels are as good as before.
    with suppress(Exception):
        ImageOps.exif_transpose(image, in_place=True)
    if image.mode in ("I;16", "I;16B", "I;16L", "I"):
        levels = np.asarray(image).astype(np.int64) >> 8
        return Image.fromarray(levels.clip(0, 255).astype(np.uint8)).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
