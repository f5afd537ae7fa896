"""What the bytes of one file turn out to be: header facts, pixels, or the reason why not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from ctwatch import exif, maker_notes, timeline
from ctwatch.background import Miniature
from ctwatch.decode import UnusableImage, decode_onto
from ctwatch.domain import Canvas, CaptureMethod, Failure, FileStat, Media

VERIFYING_CANVAS = Canvas(32, 32)
"""Without a model a photograph is still decoded, as small as can be, so that a broken one is found."""
DEATHS = frozenset({Failure.DECODER_CRASHED, Failure.TOOK_TOO_LONG, Failure.TOO_MUCH_MEMORY})
"""What a content is put into quarantine for."""


@dataclass(frozen=True, slots=True)
class ReadingRules:
    """What reading a header needs to know besides the bytes."""

    earliest_year: int
    use_file_times: bool
    now: datetime
    """Camera-clock-like local time, against which a time is in the future."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be made of each file."""

    rules: ReadingRules
    canvases: tuple[Canvas, ...] = ()
    """None: the picture is decoded all the same, to see that it can be."""
    miniatures: bool = False


@dataclass(frozen=True, slots=True)
class ReadFile:
    """What one file turned out to be: a photograph with or without pixels, or no photograph."""

    file: FileStat
    media: Media | None
    failure: Failure | None = None
    detail: str | None = None
    pixels: Mapping[Canvas, NDArray[np.uint8]] | None = None
    miniature: Miniature | None = None
    """There wherever `pixels` are, if it was asked for."""


@dataclass(frozen=True, slots=True)
class Picture:
    """The pixels of a photograph, or why it has none."""

    pixels: Sequence[NDArray[np.uint8]] = ()
    """One array (3, height, width) for each canvas, in their order."""
    miniature: Miniature | None = None
    failure: Failure | None = None
    detail: str | None = None


def media_of(data: bytes, media_id: str, file: FileStat, rules: ReadingRules) -> Media:
    """Return what the header of an image's bytes tells; never raises for bad input."""
    header = exif.read(data)
    if header is None:
        raise ValueError("the bytes are no image; to be found out before their header is asked for")
    stamp = timeline.timestamp(
        header.times,
        header.sub_seconds,
        xmp=header.xmp,
        file_name=file.path.rsplit("/", 1)[-1],
        file_time=_written(file) if rules.use_file_times else None,
        earliest_year=rules.earliest_year,
        now=rules.now,
    )
    time_lapse = header.camera.trigger == maker_notes.TIME_LAPSE_TRIGGER
    return Media(
        media_id=media_id,
        file_path=file.path,
        file_size=file.size,
        file_mediatype=header.mediatype,
        timestamp=stamp,
        capture_method=CaptureMethod.TIME_LAPSE if time_lapse else CaptureMethod.ACTIVITY_DETECTION,
        camera=header.camera,
        width=header.width,
        height=header.height,
        failure_detail=header.problem,
    )


def picture_of(data: bytes, mediatype: str, wanted: Wanted) -> Picture:
    """Decode a photograph onto every canvas."""
    try:
        return Picture(*decode_onto(data, wanted.canvases or (VERIFYING_CANVAS,), with_miniature=wanted.miniatures))
    except UnusableImage as error:
        if error.failure is Failure.NOT_AN_IMAGE:
            return Picture(failure=Failure.UNREADABLE, detail=f"{mediatype} of a kind that cannot be decoded")
        return Picture(failure=error.failure, detail=error.detail)


def _written(file: FileStat) -> datetime | None:
    """Return when a file was written, UTC; None where no calendar reaches."""
    try:
        return datetime.fromtimestamp(file.mtime_ns / 1e9, UTC).replace(tzinfo=None)
    except (OverflowError, ValueError, OSError):
        return None
