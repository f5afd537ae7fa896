"""Fills the cache of decoded photographs: each file read once and each photograph decoded once, resumable after kill -9.

Frames are known by the content id of their photograph, so that labels, splits and paths never matter: another set of the
same canvas takes over every frame that is there.
"""

import fcntl
import os
import stat
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ctwatch import exif, timeline
from ctwatch.decode import UnusableImage, decode, reuse_memory
from ctwatch.domain import Canvas, Failure, TimestampSource
from ctwatch.errors import ConfigError, CtwatchError
from ctwatch.identity import content_id

from .shards import (
    Pixels,
    Progress,
    Record,
    Stat,
    ahead,
    damage,
    numbers,
    pixels_name,
    read_record,
    record_name,
    write_shard,
)

FRAMES_PER_SHARD = 256
LARGEST_SHARD = 64 * 2**20
"""Bytes; shards of large frames hold fewer."""
LARGEST_FILE = 512 * 2**20
"""Bytes; larger files are no photographs."""
MISSING, NOT_A_FILE = "missing", "not_a_file"
_LASTING = frozenset({Failure.EMPTY_FILE, Failure.NOT_AN_IMAGE, Failure.TRUNCATED, Failure.UNREADABLE})
"""Failures that the same bytes have the next time, too."""
_TIMES = (TimestampSource.DATE_TIME_ORIGINAL, TimestampSource.DATE_TIME_DIGITIZED, TimestampSource.DATE_TIME)
_OPEN_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


@dataclass(frozen=True, slots=True)
class File:
    """What one file turned out to be: a photograph in the cache, or why not."""

    media_id: str | None
    failure: str = ""
    """`missing`, `not_a_file` or one of `Failure`."""
    detail: str = ""
    taken: str = ""
    """When, by the photograph's header, ISO 8601; empty where it does not say."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a frame lies."""

    shard: int
    slot: int


@dataclass(frozen=True, slots=True)
class _Looked:
    """One file after a look at it: read, known from before (no data), or of no use (no media id)."""

    media_id: str | None = None
    facts: Stat = (0, 0, 0, 0)
    data: bytes | None = None
    failure: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class _Decoded:
    """The frame of one photograph, or why there is none."""

    pixels: Pixels | None
    taken: str = ""
    failure: str = ""
    detail: str = ""


@dataclass(slots=True)
class _Unwritten:
    """What belongs to the shard that is being filled."""

    media_ids: list[str] = field(default_factory=list)
    files: list[tuple[str, Stat, str]] = field(default_factory=list)
    unusable: dict[str, tuple[str, str]] = field(default_factory=dict)


class FrameCache:
    """The cache of one canvas, open for writing; get it by `opened`."""

    def __init__(self, folder: Path, canvas: Canvas) -> None:
        self.folder, self.canvas = folder, canvas
        self.places: dict[str, Place] = {}
        """By media id."""
        self.shards: dict[int, tuple[int, str]] = {}
        """Number of frames and checksum of every shard that is written."""
        self.decoded = 0
        """How many photographs were decoded through this object."""
        self.read = 0
        """How many files' bytes were read through this object."""
        self._taken: dict[str, str] = {}
        self._unusable: dict[str, tuple[str, str]] = {}
        self._files: dict[str, tuple[Stat, str]] = {}
        self._next = 0
        self._room = max(1, min(FRAMES_PER_SHARD, LARGEST_SHARD // (3 * canvas.height * canvas.width)))
        # One is filled while the other is written.
        self._pixels, self._spare = np.empty((2, self._room, 3, canvas.height, canvas.width), np.uint8)
        self._unwritten = _Unwritten()
        self._writing: tuple[int, Future[Record]] | None = None

    def take_over(self, number: int, record: Record) -> None:
        """Make what a finished shard holds known."""
        self._next = max(self._next, number + 1)
        self.shards[number] = len(record), record.checksum
        for slot, (media_id, taken) in enumerate(zip(record.media_ids, record.taken, strict=True)):
            self.places[media_id] = Place(number, slot)
            self._taken[media_id] = taken
        self._unusable.update(record.unusable)
        self._files.update((path, (facts, media_id)) for path, facts, media_id in record.files)

    def add(self, paths: Sequence[str], *, workers: int, progress: Progress | None = None) -> list[File]:
        """Bring photographs into the cache, and return what became of each file, in order.

        Every file is read once: its bytes give the content id and, unless that is in the cache already, the pixels. Files
        that were read before and are unchanged (size, times, inode) are not even opened. Frames come in the order of the
        paths, whatever the number of workers; a bounded number of photographs is in memory at any time.

        Args:
            paths: Absolute; each once.
            workers: Threads that read and decode.
            progress: Told (done, all).

        Raises:
            CtwatchError: The cache cannot be written; finished shards are kept.
        """
        found: list[_Looked] = []
        decoding: deque[tuple[str, Future[_Decoded]]] = deque()
        under_way: set[str] = set()

        def finish() -> None:
            media_id, future = decoding.popleft()
            self._take(media_id, future.result(), writer)
            under_way.discard(media_id)

        reuse_memory()
        pool = ThreadPoolExecutor(workers, thread_name_prefix="ctwatch-cache")
        writer = ThreadPoolExecutor(1, thread_name_prefix="ctwatch-cache-writer")
        try:
            for path, looked in zip(paths, ahead(pool, self._look, paths, 4 * workers), strict=True):
                media_id, data = looked.media_id, looked.data
                if media_id is not None and data is not None:
                    self.read += 1
                    self._unwritten.files.append((path, looked.facts, media_id))
                    if not (media_id in self.places or media_id in self._unusable or media_id in under_way):
                        under_way.add(media_id)
                        decoding.append((media_id, pool.submit(_decoded, data, self.canvas)))
                        if len(decoding) > 4 * workers:
                            finish()
                found.append(_Looked(media_id, failure=looked.failure, detail=looked.detail))
                if progress:
                    progress(len(found), len(paths))
            while decoding:
                finish()
            self._commit(writer)
            self._settle()
        finally:
            pool.shutdown(cancel_futures=True)
            writer.shutdown()
        return [self._result(each) for each in found]

    def _result(self, looked: _Looked) -> File:
        if looked.media_id is None:
            return File(None, looked.failure, looked.detail)
        if looked.media_id in self.places:
            return File(looked.media_id, taken=self._taken[looked.media_id])
        return File(None, *self._unusable[looked.media_id])

    def _look(self, path: str) -> _Looked:
        try:
            facts = os.stat(path)
            before, media_id = self._files.get(path, (None, ""))
            if before == _facts(facts) and (media_id in self.places or media_id in self._unusable):
                return _Looked(media_id)
            return _read(path, facts)
        except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a name that no file can have
            return _Looked(failure=MISSING, detail="there is no such file")
        except OSError as error:
            return _Looked(failure=Failure.NO_ACCESS, detail=error.strerror or str(error))

    def _take(self, media_id: str, decoded: _Decoded, writer: ThreadPoolExecutor) -> None:
        """Put one decoded photograph into the shard, or note why there is none."""
        self.decoded += 1
        if decoded.pixels is None:
            self._unusable[media_id] = decoded.failure, decoded.detail
            if decoded.failure in _LASTING:
                self._unwritten.unusable[media_id] = decoded.failure, decoded.detail
            return
        slot = len(self._unwritten.media_ids)
        self._pixels[slot] = decoded.pixels
        self._unwritten.media_ids.append(media_id)
        self._taken[media_id] = decoded.taken
        self.places[media_id] = Place(self._next, slot)
        if slot + 1 == self._room:
            self._commit(writer)

    def _commit(self, writer: ThreadPoolExecutor) -> None:
        """Have the shard that is being filled written, if anything belongs to it, once the one before it is."""
        self._settle()
        done, self._unwritten = self._unwritten, _Unwritten()
        if done.files or done.media_ids or done.unusable:
            taken = tuple(self._taken[media_id] for media_id in done.media_ids)
            pixels = self._pixels[: len(done.media_ids)]
            self._writing = self._next, writer.submit(self._write, self._next, pixels, done, taken)
            self._pixels, self._spare = self._spare, self._pixels
            self._next += 1

    def _write(self, number: int, pixels: Pixels, done: _Unwritten, taken: tuple[str, ...]) -> Record:
        checksum = content_id(pixels.reshape(-1).data)
        record = Record(self.canvas, tuple(done.media_ids), taken, checksum, tuple(done.files), done.unusable)
        write_shard(self.folder, number, pixels, record)
        return record

    def _settle(self) -> None:
        """Wait until the shard under way is written; raises CtwatchError if it cannot be."""
        if self._writing is None:
            return
        (number, future), self._writing = self._writing, None
        try:
            record = future.result()
        except OSError as error:
            raise CtwatchError(
                f"{self.folder}: cannot be written ({error.strerror}); finished shards are kept: run the same command "
                "again when that is put right"
            ) from error
        self._files.update((path, (facts, media_id)) for path, facts, media_id in record.files)
        self.shards[number] = len(record), record.checksum


@contextmanager
def opened(
    folder: Path, canvas: Canvas, *, say: Callable[[str], None], workers: int, progress: Progress | None = None
) -> Iterator[FrameCache]:
    """Open a cache for writing, alone; damaged shards are thrown away, so that their photographs are decoded anew.

    Every shard's checksum is verified, which reads the whole cache.

    Args:
        folder: Made if it is not there.
        canvas: Of the frames.
        say: Told of damaged shards.
        workers: Threads that verify.
        progress: Told (done, all) of the shards verified.

    Raises:
        ConfigError: The cache holds frames of another canvas, or a newer version wrote it.
        CtwatchError: Another process writes it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise CtwatchError(f"{folder}: cannot be written ({error.strerror}); correct its mode or --out") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CtwatchError(f"{folder}: another process is writing this set; wait for its end") from error
        for leftover in folder.glob(".*.tmp"):
            leftover.unlink()
        yield _verified(folder, canvas, say, workers, progress)
    finally:
        os.close(lock)


def _verified(
    folder: Path, canvas: Canvas, say: Callable[[str], None], workers: int, progress: Progress | None
) -> FrameCache:
    """Return the cache with every shard that is whole; the others' files are removed."""
    cache = FrameCache(folder, canvas)
    records = {number: read_record(folder / record_name(number)) for number in numbers(folder)}
    for record in records.values():
        if record is not None and record.canvas != canvas:
            raise ConfigError(
                [
                    f"{folder}: holds frames of {_in_words(record.canvas)}, not {_in_words(canvas)}; choose another --out, "
                    "or remove the folder to decode everything anew"
                ]
            )
    whole = {number: (len(record), record.checksum) for number, record in records.items() if record is not None}
    faults = damage(folder, canvas, whole, workers=workers, progress=progress)
    for number, record in records.items():
        if record is not None and number not in faults:
            cache.take_over(number, record)
            continue
        what = faults.get(number, "its record has changed")
        say(f"{folder / pixels_name(number)}: is damaged ({what}); its photographs are decoded anew")
        (folder / record_name(number)).unlink()
        (folder / pixels_name(number)).unlink(missing_ok=True)
    return cache


def _in_words(canvas: Canvas) -> str:
    strips = "".join(
        f", {part:g} of the height cut off at the {end}"
        for part, end in ((canvas.banner_top, "top"), (canvas.banner_bottom, "bottom"))
        if part
    )
    return f"{canvas.height} x {canvas.width}{strips}"


def _facts(facts: os.stat_result) -> Stat:
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino


def _read(path: str, facts: os.stat_result) -> _Looked:
    """Return the bytes of a file and their id, or why they are of no use; raises OSError and ValueError."""
    if not stat.S_ISREG(facts.st_mode):
        return _Looked(failure=NOT_A_FILE, detail="a folder or a device")
    if facts.st_size > LARGEST_FILE:
        detail = f"{facts.st_size:,} bytes; at most {LARGEST_FILE:,} are read"
        return _Looked(failure=Failure.TOO_LARGE, detail=detail)
    with open(os.open(path, _OPEN_FILE), "rb", buffering=0) as file:
        data = file.readall()
        after = os.fstat(file.fileno())
    if _facts(after) != _facts(facts) or len(data) != facts.st_size:
        return _Looked(failure=Failure.CHANGED_WHILE_READING, detail="the file was written to while it was read")
    return _Looked(content_id(data), _facts(facts), data)


def _decoded(data: bytes, canvas: Canvas) -> _Decoded:
    try:
        pixels = decode(data, canvas)
    except UnusableImage as error:
        return _Decoded(None, failure=error.failure, detail=error.detail)
    header = exif.read(data)
    if header is None:
        return _Decoded(pixels)
    times = (timeline.parse(header.times.get(tag, ""), header.sub_seconds.get(tag, "")) for tag in _TIMES)
    taken = next((time for time in times if time is not None), None)
    return _Decoded(pixels, taken.isoformat() if taken else "")
