"""A set of labelled photographs on disk: its manifest, its description and its decoded frames, read by row."""

import csv
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctwatch.domain import Canvas
from ctwatch.errors import ConfigError

from .shards import AGAIN, CachedFrames, Progress, checksum_of, damage, replacing
from .split import SEVERAL, SPLITS

VERSION = 1
MANIFEST, DESCRIPTION, CACHE = "labels.csv", "set.json", "cache"
COLUMNS = (
    "media_id", "path", "label", "species", "location", "event", "split", "balanced", "source", "label_source", "support",
    "evenness", "tie", "shard", "slot",
)  # fmt: skip
"""Of the manifest: one row a photograph. `label` is empty where `species` holds several, separated by `|`."""
_AT_ONCE = 65_536
"""Rows of the manifest that are read at a time."""

Pixels = NDArray[np.uint8]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SetInfo:
    """What a set says about itself."""

    name: str
    """Of its folder."""
    canvas: Canvas
    unit: str
    """What no two splits share: location, event or image."""
    leaky: bool
    """Frames of one event are in several splits; figures are too good."""
    seed: int
    fingerprint: str
    """Of photographs, labels and splits, the same wherever the files lie."""
    sources: tuple[str, ...]
    base: str
    """The folder that relative paths start from."""
    options: Mapping[str, Any]
    coverage: Mapping[str, Any]
    """As `coverage.coverage` returns it."""
    left_out: Mapping[str, int]
    """How many photographs are not in the set, by reason."""
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """N labelled photographs; row i of everything is the same photograph. Rows are in the order of the manifest."""

    folder: Path
    about: SetInfo
    media_ids: tuple[str, ...]
    paths: tuple[str, ...]
    """As given: absolute, or relative to `about.base`."""
    label_names: tuple[str, ...]
    """Sorted; `blank` among them if there is one."""
    labels: NDArray[np.int32]
    """(N,) index into `label_names`, -1 for several species on one photograph or event."""
    location_names: tuple[str, ...]
    locations: NDArray[np.int32]
    """An empty name where the location is not known."""
    event_names: tuple[str, ...]
    """Unique across locations and sources."""
    events: NDArray[np.int32]
    source_names: tuple[str, ...]
    sources: NDArray[np.int32]
    splits: NDArray[np.int8]
    """(N,) index into `SPLITS`."""
    balanced: NDArray[np.bool_]
    """Belongs to the part with as many blank as other photographs, in each split of each source."""
    support: NDArray[np.float32]
    """Share of the votes behind the label, 0..1; NaN where it is not known."""
    evenness: NDArray[np.float32]
    """Pielou's evenness of the votes, 0..1; NaN where it is not known."""
    shards: NDArray[np.int32]
    slots: NDArray[np.int32]
    """Where the frame lies in the cache."""
    frames: CachedFrames

    def __len__(self) -> int:
        return len(self.media_ids)

    def rows(self, split: str) -> Numbers:
        """Return the rows of a split, ascending; raises ValueError for a name that is none."""
        return np.flatnonzero(self.splits == SPLITS.index(split))

    def pixels(self, rows: Numbers) -> Pixels:
        """Return whole frames, (n, 3, height, width), RGB, copied out of the memory-mapped cache."""
        corner = np.zeros(len(rows), np.int64)
        return self.windows(rows, corner, corner, self.about.canvas.height, self.about.canvas.width)

    def windows(self, rows: Numbers, tops: Numbers, lefts: Numbers, tall: int, wide: int) -> Pixels:
        """Return a part of each of n frames, (n, 3, tall, wide); only the parts are copied.

        Raises:
            ValueError: A window reaches out of the canvas.
        """
        return self.frames.windows(self.shards[rows], self.slots[rows], tops, lefts, tall, wide)

    def path(self, row: int) -> Path:
        """Return where a photograph lies, absolute."""
        return Path(self.about.base, self.paths[row])


def open_set(
    folder: Path, *, verify: bool = True, workers: int | None = None, progress: Progress | None = None
) -> TrainingSet:
    """Open a set that `ctwatch train data` made.

    Args:
        folder: Of the set.
        verify: Compare the checksum of every frame's shard, which reads the whole cache (one core does some 5 GB/s if
            the disk does); otherwise only sizes are compared. The manifest is always verified.
        workers: Threads that verify; one a core when not given.
        progress: Told (done, all) of the shards verified.

    Raises:
        ConfigError: It is no set, it was interrupted while it was made, or it is damaged.
    """
    described = _read_description(folder)
    about = described.about
    manifest = folder / MANIFEST
    try:
        checksum = checksum_of(manifest)
    except (OSError, ValueError) as error:
        raise ConfigError([f"{manifest}: cannot be read ({error}); {AGAIN}"]) from error
    if checksum != described.manifest:
        raise ConfigError([f"{manifest}: is not what was written (edited, or interrupted while it was made); {AGAIN}"])
    faults = damage(
        folder / CACHE,
        about.canvas,
        described.shards,
        workers=workers or len(os.sched_getaffinity(0)),
        contents=verify,
        progress=progress,
    )
    if faults:
        first = next(iter(faults))
        more = f" and {len(faults) - 1} more shards" if len(faults) > 1 else ""
        raise ConfigError(
            [f"{folder / CACHE}: shard {first:05} is damaged ({faults[first]}){more}; {AGAIN}: it decodes these anew"]
        )
    counts = {number: count for number, (count, _) in described.shards.items()}
    return _read_manifest(folder, about, CachedFrames(folder / CACHE, about.canvas, counts))


def channel_statistics(
    source: TrainingSet, rows: Numbers, progress: Progress | None = None
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Return mean and standard deviation of each channel over all pixels of some frames, of values scaled to 0..1.

    Sums of whole numbers are exact, so that nothing is lost by cancellation. Two frames, one of 0 and one of 1, have
    mean 0.5 and deviation 0.5: it is not the mean of the frames' own deviations.

    Raises:
        ValueError: There are no rows.
    """
    if not len(rows):
        raise ValueError("mean and deviation of no photograph")
    sums, squares = [0, 0, 0], [0, 0, 0]
    for start in range(0, len(rows), 64):
        for frame in source.pixels(rows[start : start + 64]):
            values = frame.reshape(3, -1)
            # 255 squared fits into 16 bits.
            square = np.multiply(values, values, dtype=np.uint16)
            for channel in range(3):
                sums[channel] += int(values[channel].sum(dtype=np.uint64))
                squares[channel] += int(square[channel].sum(dtype=np.uint64))
        if progress:
            progress(min(start + 64, len(rows)), len(rows))
    count = len(rows) * source.about.canvas.height * source.about.canvas.width
    mean = [total / count / 255 for total in sums]
    spread = [
        ((count * square - total * total) / count**2) ** 0.5 / 255 for total, square in zip(sums, squares, strict=True)
    ]
    return (mean[0], mean[1], mean[2]), (spread[0], spread[1], spread[2])


def fingerprint(rows: Iterable[tuple[str, str, str]]) -> str:
    """Return a hash over (media id, label, split) of every photograph, the same in any order."""
    digest = hashlib.blake2b(digest_size=16)
    for row in sorted(rows):
        digest.update("\0".join((*row, "")).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def write_manifest(path: Path, rows: Iterable[Sequence[str]]) -> str:
    """Write the manifest in one rename and return its checksum; names come back as they are, whatever is in them.

    Bytes of file names that are not UTF-8 are written as they are.
    """
    with replacing(path) as file:
        text = TextIOWrapper(file, "utf-8", "surrogateescape", newline="")
        plain = csv.writer(text, lineterminator="\n")
        # Python 3.11 does not quote a lone carriage return, and would read it as the end of a row.
        quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
        plain.writerow(COLUMNS)
        for row in rows:
            (quoted if any("\r" in cell for cell in row) else plain).writerow(row)
        text.flush()
        text.detach()
    return checksum_of(path)


@dataclass(frozen=True, slots=True)
class _Described:
    about: SetInfo
    manifest: str
    shards: dict[int, tuple[int, str]]


def write_description(
    folder: Path, about: SetInfo, manifest: str, shards: Mapping[int, tuple[int, str]], more: Mapping[str, Any]
) -> None:
    """Write `set.json` in one rename; last of all, for without it there is no set.

    Args:
        folder: Of the set.
        about: What the set says about itself; its name is the folder's.
        manifest: Checksum of the manifest.
        shards: Number of frames and checksum of every shard of the cache that the manifest names.
        more: Whatever people may want to know.
    """
    canvas = about.canvas
    body = {
        "version": VERSION,
        "canvas": {
            "height": canvas.height,
            "width": canvas.width,
            "banner_top": canvas.banner_top,
            "banner_bottom": canvas.banner_bottom,
        },
        "unit": about.unit,
        "leaky": about.leaky,
        "seed": about.seed,
        "fingerprint": about.fingerprint,
        "sources": list(about.sources),
        "base": about.base,
        "options": dict(about.options),
        "coverage": dict(about.coverage),
        "left_out": dict(about.left_out),
        "notes": list(about.notes),
        **more,
        "manifest": manifest,
        "shards": [[number, count, checksum] for number, (count, checksum) in sorted(shards.items())],
    }
    with replacing(folder / DESCRIPTION) as file:
        file.write((json.dumps(body, indent=1) + "\n").encode())


def _read_description(folder: Path) -> _Described:
    path = folder / DESCRIPTION
    try:
        body = json.loads(path.read_bytes())
        if body["version"] != VERSION:
            raise ConfigError([f"{path}: is of version {body['version']!r}, this ctwatch knows {VERSION}; {AGAIN}"])
        about = SetInfo(
            folder.resolve().name,
            Canvas(**body["canvas"]),
            body["unit"],
            body["leaky"],
            body["seed"],
            body["fingerprint"],
            tuple(body["sources"]),
            body["base"],
            body["options"],
            body["coverage"],
            body["left_out"],
            tuple(body["notes"]),
        )
        shards = {number: (count, checksum) for number, count, checksum in body["shards"]}
        return _Described(about, body["manifest"], shards)
    except FileNotFoundError as error:
        made = (folder / CACHE).exists()
        why = "its making was interrupted" if made else "`ctwatch train data` makes sets"
        raise ConfigError([f"{folder}: is not a whole set, there is no {DESCRIPTION} ({why}); {AGAIN}"]) from error
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read ({error.strerror}); correct its mode"]) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError([f"{path}: is damaged ({type(error).__name__}: {error}); {AGAIN}"]) from error


class _Names:
    """A column of names as numbers, filled piece by piece."""

    def __init__(self) -> None:
        self._number: dict[str, int] = {}
        self._pieces: list[NDArray[np.int32]] = []

    def add(self, cells: Sequence[str]) -> None:
        number = self._number
        codes = [number.setdefault(cell, len(number)) for cell in cells]
        self._pieces.append(np.array(codes, np.int32))

    def ranked(self, none: str | None = None) -> tuple[tuple[str, ...], NDArray[np.int32]]:
        """Return the names, sorted, and every cell's index among them; -1 for the cell that stands for none."""
        names = tuple(sorted(name for name in self._number if name != none))
        rank = np.full(len(self._number) + 1, SEVERAL, np.int32)
        rank[[self._number[name] for name in names]] = np.arange(len(names), dtype=np.int32)
        pieces = self._pieces or [np.empty(0, np.int32)]
        return names, rank[np.concatenate(pieces)]


def _numbers(cells: Iterable[str]) -> Iterator[float]:
    return (float(cell) if cell else float("nan") for cell in cells)


def _read_manifest(folder: Path, about: SetInfo, frames: CachedFrames) -> TrainingSet:
    labels, locations, events, sources = _Names(), _Names(), _Names(), _Names()
    media_ids: list[str] = []
    paths: list[str] = []
    split = {name: number for number, name in enumerate(SPLITS)}
    columns: dict[str, list[NDArray[Any]]] = {
        name: [] for name in ("split", "balanced", "support", "evenness", "shard", "slot")
    }
    with (folder / MANIFEST).open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        reader = csv.reader(file)
        if tuple(next(reader)) != COLUMNS:
            raise ConfigError([f"{folder / MANIFEST}: has other columns than this ctwatch writes; {AGAIN}"])
        while rows := list(islice(reader, _AT_ONCE)):
            cells = dict(zip(COLUMNS, zip(*rows, strict=True), strict=True))
            media_ids += cells["media_id"]
            paths += cells["path"]
            for names, column in ((labels, "label"), (locations, "location"), (events, "event"), (sources, "source")):
                names.add(cells[column])
            columns["split"].append(np.array([split[cell] for cell in cells["split"]], np.int8))
            columns["balanced"].append(np.array([cell == "1" for cell in cells["balanced"]], bool))
            for name in ("support", "evenness"):
                columns[name].append(np.fromiter(_numbers(cells[name]), np.float32, len(rows)))
            for name in ("shard", "slot"):
                columns[name].append(np.fromiter(map(int, cells[name]), np.int32, len(rows)))
    whole: dict[str, NDArray[Any]] = {name: np.concatenate(pieces) for name, pieces in columns.items()}
    return TrainingSet(
        folder, about, tuple(media_ids), tuple(paths), *labels.ranked(none=""), *locations.ranked(), *events.ranked(),
        *sources.ranked(), whole["split"], whole["balanced"], whole["support"], whole["evenness"], whole["shard"],
        whole["slot"], frames,
    )  # fmt: skip
