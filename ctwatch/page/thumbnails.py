"""Thumbnails for the page: originals read with care, drawn small, without a word of their EXIF."""

import base64
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from ctwatch.decode import UnusableImage, decode_for_people
from ctwatch.survey_figures.frames import Frame

WIDTH = HEIGHT = 320
QUALITY = 75
LARGEST_FILE = 100 * 1024 * 1024
"""Bytes; no photograph is larger, and a page must not read a disk image into memory."""


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A frame, and its small picture as a data URI; None with the reason where there is none."""

    frame: Frame
    source: str | None
    width: int = 0
    height: int = 0
    why: str = ""


def read_original(source_path: str) -> bytes | None:
    """Return the bytes of a photograph where it lay when its card was processed; None where it no longer is.

    Only regular files of a bounded size are read: what lies there now may be another thing than what lay there then.
    """
    try:
        # Not blocking: a pipe would wait for somebody to write into it.
        handle = os.open(source_path, os.O_RDONLY | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None
    try:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > LARGEST_FILE:
            return None
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(LARGEST_FILE)
    except OSError:
        return None
    finally:
        os.close(handle)


def thumbnails(best: Mapping[str, tuple[Frame, ...]], picture: Callable[[str], bytes | None]) -> dict[str, Thumbnail]:
    """Return the best thumbnail of every species by name; the next frame where an original is gone or broken.

    `picture` returns the bytes of an original by its path, None where it is gone.
    """
    drawn = {}
    for name, frames in best.items():
        tried = [_thumbnail(frame, picture) for frame in frames[:1]]
        for frame in frames[1:]:
            if tried[-1].source is not None:
                break
            tried.append(_thumbnail(frame, picture))
        if tried:
            drawn[name] = tried[-1] if tried[-1].source is not None else tried[0]
    return drawn


def _thumbnail(frame: Frame, picture: Callable[[str], bytes | None]) -> Thumbnail:
    data = picture(frame.source_path) if frame.source_path is not None else None
    if data is None:
        return Thumbnail(frame, None, why="the original is no longer at its place")
    try:
        image = Image.fromarray(decode_for_people(data, WIDTH, HEIGHT))
    except UnusableImage as error:
        return Thumbnail(frame, None, why=f"the original cannot be shown: {error.failure.replace('_', ' ')}")
    small = BytesIO()
    image.save(small, "JPEG", quality=QUALITY, optimize=True)
    source = f"data:image/jpeg;base64,{base64.b64encode(small.getvalue()).decode()}"
    return Thumbnail(frame, source, image.width, image.height)
