"""The files of a card, read once each in parallel and handed on in order: identity, header facts and pixels."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from ctwatch import exif, maker_notes, timeline
from ctwatch.background import Miniature
from ctwatch.card import UnusableFile, read_bytes
from ctwatch.decode import UnusableImage, decode, decode_with_miniature
from ctwatch.domain import Canvas, CaptureMethod, Failure, FileStat, Media
from ctwatch.identity import content_id

VERIFYING_CANVAS = Canvas(32, 32)
"""Without a model a photograph is still decoded, as small as can be, so that a broken one is found."""


@dataclass(frozen=True, slots=True)
class ReadingRules:
    """What reading a header needs to know besides the bytes."""

    earliest_year: int
    use_file_times: bool
    now: datetime
    """Camera-clock-like local time, against which a time is in the future."""


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


def worker_count(configured: int) -> int:
    """Return how many threads work: as configured, or for 0 one per core that this process may use."""
    return configured or len(os.sched_getaffinity(0))


def read_files(
    root: str,
    files: Sequence[FileStat],
    *,
    canvases: Sequence[Canvas],
    rules: ReadingRules,
    is_known: Callable[[str], bool],
    workers: int,
    miniatures: bool = False,
) -> Iterator[ReadFile]:
    """Read files in parallel and yield them in order, a bounded number ahead of the consumer.

    `is_known` says of a content id that its pixels are not needed. Closing the iterator waits for the reads under way.
    """

    def read(file: FileStat) -> ReadFile:
        return read_file(root, file, canvases=canvases, rules=rules, is_known=is_known, miniatures=miniatures)

    remaining = iter(files)
    with ThreadPoolExecutor(workers, thread_name_prefix="ctwatch-read") as pool:
        ahead: deque[Future[ReadFile]] = deque()
        try:
            for file in remaining:
                ahead.append(pool.submit(read, file))
                if len(ahead) >= 4 * workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for waiting in ahead:
                waiting.cancel()


def read_file(
    root: str,
    file: FileStat,
    *,
    canvases: Sequence[Canvas],
    rules: ReadingRules,
    is_known: Callable[[str], bool],
    miniatures: bool = False,
) -> ReadFile:
    """Read one file: its bytes once, and from them hash, header, pixels and, where wanted, a miniature."""
    try:
        data = read_bytes(root, file)
    except UnusableFile as error:
        return ReadFile(file, None, error.failure, error.detail)
    header = exif.read(data)
    if header is None:
        return ReadFile(file, None, Failure.NOT_AN_IMAGE, "the bytes are no image, whatever the name says")
    media_id = content_id(data)
    failure, detail, pixels, miniature = None, None, None, None
    if not is_known(media_id):
        try:
            pixels, miniature = _decoded(data, canvases or (VERIFYING_CANVAS,), miniatures)
        except UnusableImage as error:
            failure, detail = error.failure, error.detail
            if failure is Failure.NOT_AN_IMAGE:
                failure, detail = Failure.UNREADABLE, f"{header.mediatype} of a kind that cannot be decoded"
    media = _media(media_id, file, header, rules, failure, detail)
    return ReadFile(file, media, failure, detail, pixels, miniature)


def _decoded(
    data: bytes, canvases: Sequence[Canvas], miniatures: bool
) -> tuple[dict[Canvas, NDArray[np.uint8]], Miniature | None]:
    """Decode a photograph onto every canvas; a miniature comes of the first one's decoding."""
    if not miniatures:
        return {canvas: decode(data, canvas) for canvas in canvases}, None
    first, *others = canvases
    pixels, miniature = decode_with_miniature(data, first)
    return {first: pixels, **{canvas: decode(data, canvas) for canvas in others}}, miniature


def _written(file: FileStat) -> datetime | None:
    """Return when a file was written, UTC; None where no calendar reaches."""
    try:
        return datetime.fromtimestamp(file.mtime_ns / 1e9, UTC).replace(tzinfo=None)
    except (OverflowError, ValueError, OSError):
        return None


def _media(
    media_id: str,
    file: FileStat,
    header: exif.Header,
    rules: ReadingRules,
    failure: Failure | None,
    detail: str | None,
) -> Media:
    written = _written(file) if rules.use_file_times else None
    stamp = timeline.timestamp(
        header.times,
        header.sub_seconds,
        xmp=header.xmp,
        file_name=file.path.rsplit("/", 1)[-1],
        file_time=written,
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
        failure=failure,
        failure_detail=detail or header.problem,
    )
