"""The cache on disk: shards of raw pixels with a record each, written so that a crash leaves no half, read by memory map.

Shard number N is two files. `NNNNN.pixels` is uint8 (n, 3, height, width) and nothing else. `NNNNN.json` is its record: the
media ids in order, the checksum of the pixels and what was read for them; it is written last, and pixels without a record
do not count.
"""

import json
import os
import re
import resource
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from functools import lru_cache
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from ctwatch.domain import Canvas
from ctwatch.errors import ConfigError
from ctwatch.identity import content_id

VERSION = 1
AGAIN = "run `ctwatch train data` again with the same --out"
_RECORD = re.compile(r"(\d{5,})\.json")

Pixels = NDArray[np.uint8]
Numbers = NDArray[np.int64]
Whole = NDArray[np.integer[Any]]
Progress = Callable[[int, int], None]
Stat = tuple[int, int, int, int]
"""Size, modification and change time in ns, inode: what tells that a file is still the one that was read."""
Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Record:
    """What a shard holds, and which files were read for it."""

    canvas: Canvas
    media_ids: tuple[str, ...]
    """Of the frames, in order."""
    taken: tuple[str, ...]
    """When each was taken by its header, ISO 8601; empty where it does not say."""
    checksum: str
    """Content id of the pixels."""
    files: tuple[tuple[str, Stat, str], ...]
    """Path, facts and media id of every file that was read, duplicates and unusable ones too."""
    unusable: Mapping[str, tuple[str, str]]
    """Failure and detail by media id."""

    def __len__(self) -> int:
        return len(self.media_ids)


def pixels_name(shard: int) -> str:
    """Return the file name of a shard's pixels."""
    return f"{shard:05}.pixels"


def record_name(shard: int) -> str:
    """Return the file name of a shard's record."""
    return f"{shard:05}.json"


def numbers(folder: Path) -> list[int]:
    """Return the numbers of the shards that have a record."""
    return sorted(int(match[1]) for name in os.listdir(folder) if (match := _RECORD.fullmatch(name)))


def write_shard(folder: Path, number: int, pixels: Pixels, record: Record) -> None:
    """Write a shard, the pixels first; raises OSError."""
    if len(record):
        with replacing(folder / pixels_name(number)) as file:
            file.write(pixels.reshape(-1).data)
    body = json.dumps(
        [list(astuple(record.canvas)), record.media_ids, record.taken, record.checksum, record.files, record.unusable]
    )
    sealed = json.dumps({"version": VERSION, "checksum": content_id(body.encode()), "record": body})
    with replacing(folder / record_name(number)) as file:
        file.write(sealed.encode())


def read_record(path: Path) -> Record | None:
    """Return a shard's record; None if it is damaged.

    Raises:
        ConfigError: A newer version wrote it, or it cannot be read.
    """
    try:
        sealed = json.loads(path.read_bytes())
        version, checksum, body = sealed["version"], sealed["checksum"], sealed["record"]
        if version == VERSION and checksum != content_id(body.encode()):
            return None
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read ({error.strerror}); correct its mode"]) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if version != VERSION:
        raise ConfigError([f"{path}: is of version {version!r}, this ctwatch knows {VERSION}; choose another --out"])
    canvas, media_ids, taken, pixels, files, unusable = json.loads(body)
    return Record(
        Canvas(*canvas),
        tuple(media_ids),
        tuple(taken),
        pixels,
        tuple((path, (facts[0], facts[1], facts[2], facts[3]), media_id) for path, facts, media_id in files),
        {media_id: (failure, detail) for media_id, (failure, detail) in unusable.items()},
    )


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file so that after a crash either the old or the new one is there, whole; raises OSError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def checksum_of(path: Path) -> str:
    """Return the content id of a file that is not empty; raises OSError, and ValueError if it is."""
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data, memoryview(data) as view:
        return content_id(view)


def ahead(pool: ThreadPoolExecutor, work: Callable[[Given], Made], items: Sequence[Given], most: int) -> Iterator[Made]:
    """Yield what threads make of items, in order, at most `most` items ahead of who asks."""
    waiting: deque[Future[Made]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) >= most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def damage(
    folder: Path,
    canvas: Canvas,
    shards: Mapping[int, tuple[int, str]],
    *,
    workers: int,
    contents: bool = True,
    progress: Progress | None = None,
) -> dict[int, str]:
    """Return what is the matter with each shard whose pixels are not those that were written.

    Args:
        folder: Of the cache.
        canvas: Of its frames.
        shards: Number of frames and checksum of each shard.
        workers: Threads that read.
        contents: Compare checksums, which reads everything; otherwise sizes only.
        progress: Told (done, all) of the shards.
    """
    frame = 3 * canvas.height * canvas.width

    def fault(number: int) -> str:
        count, checksum = shards[number]
        try:
            path = folder / pixels_name(number)
            size = os.stat(path).st_size
            if size != count * frame:
                return f"{size:,} bytes instead of {count * frame:,}"
            return "its bytes have changed" if contents and checksum_of(path) != checksum else ""
        except (OSError, ValueError) as error:
            return getattr(error, "strerror", None) or str(error)

    faults = {}
    filled = [number for number, (count, _) in shards.items() if count]
    with ThreadPoolExecutor(workers, thread_name_prefix="ctwatch-verify") as pool:
        found = ahead(pool, fault, filled, 4 * workers)
        for done, (number, what) in enumerate(zip(filled, found, strict=True), 1):
            if what:
                faults[number] = what
            if progress and contents:
                progress(done, len(filled))
    return faults


class CachedFrames:
    """Reads frames out of memory-mapped shards; threads may share it."""

    def __init__(self, folder: Path, canvas: Canvas, counts: Mapping[int, int]) -> None:
        self._folder, self._canvas, self._counts = folder, canvas, dict(counts)
        # A mapping holds a descriptor; a process may have some 1,000 of them, and a set may have more shards.
        most = max(16, min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4))
        self._shard = lru_cache(most)(self._mapped)

    def _mapped(self, number: int) -> Pixels:
        shape = (self._counts[number], 3, self._canvas.height, self._canvas.width)
        return np.memmap(self._folder / pixels_name(number), np.uint8, "r", shape=shape)

    def windows(self, shards: Whole, slots: Whole, tops: Numbers, lefts: Numbers, tall: int, wide: int) -> Pixels:
        """Return a part of each of n frames, (n, 3, tall, wide); only these parts are copied.

        Args:
            shards: (n,) number of the shard.
            slots: (n,) place in it.
            tops: (n,) first row of the window.
            lefts: (n,) first column.
            tall: Rows of pixels.
            wide: Columns of pixels.

        Raises:
            ValueError: A window reaches out of the canvas.
        """
        height, width = self._canvas.height, self._canvas.width
        inside = (tops >= 0) & (lefts >= 0) & (tops <= height - tall) & (lefts <= width - wide)
        if not inside.all():
            raise ValueError(f"a window of {tall} x {wide} reaches out of the canvas of {height} x {width}")
        result = np.empty((len(shards), 3, tall, wide), np.uint8)
        columns = [np.asarray(column).tolist() for column in (shards, slots, tops, lefts)]
        for row in np.argsort(shards, kind="stable").tolist():
            shard, slot, top, left = (column[row] for column in columns)
            result[row] = self._shard(shard)[slot, :, top : top + tall, left : left + wide]
        return result
