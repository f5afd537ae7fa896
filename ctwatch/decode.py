"""The decoder: the bytes of a photograph to pixels, the same for the daemon and the trainer.

JPEGs are decoded at the smallest of libjpeg's scales that is still at least twice the size asked for, then resized with
antialiasing: measured 2 to 4 times faster than decoding whole, at a mean difference of about half a grey level.
"""

import warnings
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ctwatch.background import HEIGHT, WIDTH, Miniature, miniature
from ctwatch.domain import Canvas, Failure
from ctwatch.jpeg import has_end, scan_count

FORMATS = ("JPEG", "PNG", "TIFF", "BMP")
"""What a camera or a technician's tool writes (multi-picture MPO opens as JPEG).

Every other decoder of Pillow's stays out of reach of strangers.
"""
MAX_PIXELS = 150_000_000
"""A photograph of more is refused from its header, before any memory is taken."""
MAX_SCANS = 200
"""A progressive JPEG has about ten; each costs a pass over the whole picture, so thousands would hold up its card for hours."""
OVERSAMPLING = 2

# Pillow's own limit warns first and raises later; ours, checked on the header, says the same once.
Image.MAX_IMAGE_PIXELS = None
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
    with _opened(data) as image:
        return _squashed(_upright_rgb(image, canvas.width, canvas.height), canvas)


def decode_with_miniature(data: bytes, canvas: Canvas) -> tuple[NDArray[np.uint8], Miniature]:
    """Decode a photograph once, onto a canvas as `decode` does and to the miniature of the whole frame, strips and all.

    Raises `UnusableImage`.
    """
    with _opened(data) as image:
        upright = _upright_rgb(image, canvas.width, canvas.height)
        small = upright.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR, reducing_gap=2.0)
        return _squashed(upright, canvas), miniature(np.asarray(small, dtype=np.uint8))


def decode_for_people(data: bytes, max_width: int, max_height: int) -> NDArray[np.uint8]:
    """Decode a photograph to look at: upright, its aspect kept, no larger than asked.

    Returns an array (height, width, 3), uint8. Raises `UnusableImage`.
    """
    with _opened(data) as image:
        upright = _upright_rgb(image, max_width, max_height)
        scale = min(max_width / upright.width, max_height / upright.height, 1.0)
        size = (max(1, round(upright.width * scale)), max(1, round(upright.height * scale)))
        return np.asarray(upright.resize(size, Image.Resampling.BILINEAR), dtype=np.uint8)


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


def _squashed(upright: Image.Image, canvas: Canvas) -> NDArray[np.uint8]:
    width, height = upright.size
    box = (0.0, height * canvas.banner_top, float(width), height * (1.0 - canvas.banner_bottom))
    squashed = upright.resize((canvas.width, canvas.height), Image.Resampling.BILINEAR, box=box)
    return np.ascontiguousarray(np.asarray(squashed, dtype=np.uint8).transpose(2, 0, 1))


def _upright_rgb(image: Image.Image, width: int, height: int) -> Image.Image:
    """Load at a scale of at least `OVERSAMPLING` times the size asked for, turn upright, convert to RGB."""
    source_width, source_height = image.size
    factor = min(source_width / max(1, width), source_height / max(1, height)) / OVERSAMPLING
    if factor >= 2 and image.format in ("JPEG", "MPO"):
        image.draft(image.mode, (int(source_width / factor), int(source_height / factor)))
    image.load()
    upright = _transposed(image)
    if upright.mode in ("I;16", "I;16B", "I;16L", "I"):
        levels = np.asarray(upright).astype(np.int64) >> 8
        upright = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
    return upright.convert("RGB")


def _transposed(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        # A broken EXIF block says nothing about which way is up; the pixels are as good as before.
        return image


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
