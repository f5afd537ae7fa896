"""Makes a set folder out of label sources: files checked and decoded, events, splits, and what was left out and why."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctwatch.domain import BLANK, Canvas
from ctwatch.errors import ConfigError, CtwatchError

from ..labels.annotation import Labels
from . import cache, coverage
from .consensus import Median
from .dataset import CACHE, MANIFEST, SetInfo, fingerprint, write_description, write_manifest
from .gather import (
    CONTRADICTION,
    MAX_LISTED,
    Contents,
    Gathered,
    LeftOut,
    Photograph,
    Species,
    by_content,
    gather,
    name_events,
    passed_on,
    ranks,
    tally,
)
from .shards import Progress
from .split import SEVERAL, SPLITS, Rows, Shares, balanced, divide

MAX_LEFT_OUT = 1000
"""Photographs that `set.json` names one by one."""
LONGEST_CELL = 100_000
"""Characters; CSV readers refuse much longer ones."""

Say = Callable[[str], None]
Shown = Callable[[str], AbstractContextManager[Progress]]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SetOptions:
    """How a set is made."""

    canvas: Canvas = Canvas(256, 256)
    unit: str = "location"
    """What stays together: location, event or image."""
    shares: Shares = Shares()
    seed: int = 1
    median: Median = "lower"
    propagate: bool = False
    """Every photograph gets what is seen on any of its event."""
    gap_s: float = 60.0
    """A longer pause between two photographs begins a new event, where the source names none."""
    workers: int = 0
    """Threads that read and decode; 0: one a core."""


@dataclass(frozen=True, slots=True)
class Report:
    """What came of making a set."""

    folder: Path
    about: SetInfo
    photographs: int
    decoded: int
    """Photographs that had to be decoded; the others' frames were there."""
    duplicates: int
    """Files whose bytes are in the set by another path."""
    left_out: tuple[LeftOut, ...]
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the photographs left out one by one, JSON-able."""
        about = self.about
        return {
            "set": str(self.folder),
            "fingerprint": about.fingerprint,
            "unit": about.unit,
            "leaky": about.leaky,
            "photographs": self.photographs,
            "decoded": self.decoded,
            "duplicates": self.duplicates,
            "left_out": dict(about.left_out),
            "coverage": dict(about.coverage),
            "warnings": list(self.warnings),
            "notes": list(about.notes),
        }


@dataclass(frozen=True, slots=True, eq=False)
class _Usable:
    """The photographs whose files are in the cache, N columns of them; duplicates too."""

    photographs: list[Photograph]
    media_ids: list[str]
    events: list[str]
    species: list[Species]
    contents: Contents


def build_set(sources: Sequence[Labels], out: Path, options: SetOptions, *, say: Say, shown: Shown) -> Report:
    """Make a set folder, or bring one up to date; frames that are there already are used again.

    Interrupted at any moment, the same command goes on where it was. Until it is through, a set that was there before
    stays as it was.

    Args:
        sources: Of labels; the first that names a photograph has it.
        out: The set's folder.
        options: How to make it.
        say: Told what somebody should see at once.
        shown: Shows how far each step is.

    Raises:
        ConfigError: What the sources say cannot be used or divided, not one file is usable, or `out` holds another canvas.
        CtwatchError: The folder cannot be written.
    """
    gathered = gather(sources, median=options.median, need_location=options.unit == "location")
    if not gathered.photographs:
        raise ConfigError(["no photograph has a label that can be used", *_first(gathered.left_out)])
    _divide_provisionally(gathered, options)
    workers = options.workers or len(os.sched_getaffinity(0))
    base = os.getcwd()
    absolute = [os.path.join(base, each.path) for each in gathered.photographs]
    with ExitStack() as stack:
        with shown("verifying the cache") as progress:
            store = stack.enter_context(
                cache.opened(out / CACHE, options.canvas, say=say, workers=workers, progress=progress)
            )
        paths = list(dict.fromkeys(absolute))
        _warn_of_space(out, options.canvas, len(paths) - len(store.places), say)
        with shown("reading photographs") as progress:
            files = dict(zip(paths, store.add(paths, workers=workers, progress=progress), strict=True))
        found = [files[path] for path in absolute]
        left_out = [
            *gathered.left_out,
            *(
                LeftOut(each.path, file.failure, file.detail)
                for each, file in zip(gathered.photographs, found, strict=True)
                if file.media_id is None
            ),
        ]
        notes = list(gathered.notes)
        usable = _usable(gathered.photographs, found, options, left_out, notes)
        say(f"{len(usable.contents.kept):,} photographs to divide, {len(left_out):,} left out")
        try:
            return _write(out, sources, usable, options, store, tuple(left_out), notes, base)
        except OSError as error:
            raise CtwatchError(
                f"{out}: cannot be written ({error.strerror}); put that right and run it again"
            ) from error


def _first(left_out: Sequence[LeftOut]) -> list[str]:
    rest = len(left_out) - MAX_LISTED
    listed = [f"{each.path}: {each.reason} ({each.detail})" for each in left_out[:MAX_LISTED]]
    return [*listed, *([f"... and {rest:,} more"] if rest > 0 else [])]


def _divide_provisionally(gathered: Gathered, options: SetOptions) -> None:
    """Raise ConfigError for what cannot be divided before hours are spent on decoding."""
    photographs = gathered.photographs
    names = [each.path if each.event is None else f"{each.source}/{each.location}/{each.event}" for each in photographs]
    contents = np.arange(len(photographs))
    divide(_rows(photographs, names, contents, [each.species for each in photographs]), options.unit, options.shares, 0)


def _warn_of_space(out: Path, canvas: Canvas, frames: int, say: Say) -> None:
    needed = max(0, frames) * 3 * canvas.height * canvas.width
    free = shutil.disk_usage(out).free
    if needed > free:
        say(f"{out}: {frames:,} frames need up to {needed / 2**30:,.1f} GiB, and {free / 2**30:,.1f} GiB are free")


def _rows(
    photographs: Sequence[Photograph], events: Sequence[str], contents: Numbers, species: Sequence[Species]
) -> Rows:
    location_names, locations = ranks(each.location for each in photographs)
    event_names, event_ranks = ranks(events)
    return Rows(
        _labelled(species)[1],
        ranks(each.source for each in photographs)[1],
        locations,
        event_ranks,
        contents,
        np.array([each.given for each in photographs], np.int8),
        location_names,
        event_names,
    )


def _labelled(species: Sequence[Species]) -> tuple[tuple[str, ...], Numbers]:
    """Return the labels, sorted, and each photograph's; `SEVERAL` where it shows several species."""
    names = sorted({_label(each) for each in species} - {""})
    number = {name: rank for rank, name in enumerate(names)} | {"": SEVERAL}
    return tuple(names), np.fromiter((number[_label(each)] for each in species), np.int64, len(species))


def _label(species: Species) -> str:
    """Return the label of one photograph; empty where it shows several species."""
    return BLANK if not species else species[0] if len(species) == 1 else ""


def _usable(
    photographs: Sequence[Photograph],
    files: Sequence[cache.File],
    options: SetOptions,
    left_out: list[LeftOut],
    notes: list[str],
) -> _Usable:
    """Return the photographs that are left: with events, labels passed on, and none that copies contradict each other about."""
    pairs = [(each, file) for each, file in zip(photographs, files, strict=True) if file.media_id is not None]
    if not pairs:
        raise ConfigError(["not one photograph can be used", *_first(left_out)])
    kept = [each for each, _ in pairs]
    media_ids = [file.media_id or "" for _, file in pairs]
    taken = [datetime.fromisoformat(file.taken) if file.taken else None for _, file in pairs]
    events, alone = name_events(kept, media_ids, taken, options.gap_s)
    if alone:
        notes.append(
            f"{alone:,} photographs have neither an event nor a time: each is an event of its own, and frames of one burst "
            "may be in different events"
        )
    species: list[Species] = [each.species for each in kept]
    if options.propagate:
        before, species = species, passed_on(species, events)
        changed = sum(one != other for one, other in zip(before, species, strict=True))
        notes.append(f"labels were passed on from events to photographs, which changed {changed:,} of them")
    contents = by_content(media_ids, species, [each.path for each in kept])
    if contents.doubled:
        notes.append(
            f"{contents.doubled:,} photographs have copies with other species: they count as of several species"
        )
    if contents.duplicates:
        notes.append(f"{len(contents.duplicates):,} files have the bytes of another one and do not count")
    wrong = contents.contradictory
    left_out += [
        LeftOut(each.path, CONTRADICTION, wrong[media_id])
        for each, media_id in zip(kept, media_ids, strict=True)
        if media_id in wrong
    ]
    if not contents.kept:
        raise ConfigError(["not one photograph can be used", *_first(left_out)])
    return _Usable(kept, media_ids, events, species, contents)


def _write(
    out: Path,
    sources: Sequence[Labels],
    usable: _Usable,
    options: SetOptions,
    store: cache.FrameCache,
    left_out: tuple[LeftOut, ...],
    notes: list[str],
    base: str,
) -> Report:
    """Divide, and write the manifest and then the description."""
    contents = usable.contents
    there = [row for row, media_id in enumerate(usable.media_ids) if media_id not in contents.contradictory]
    all_rows = _rows(
        [usable.photographs[row] for row in there],
        [usable.events[row] for row in there],
        ranks(usable.media_ids[row] for row in there)[1],
        [contents.species[usable.media_ids[row]] for row in there],
    )
    division = divide(all_rows, options.unit, options.shares, options.seed)
    split_of = dict(zip(there, division.splits.tolist(), strict=True))
    kept = sorted(
        contents.kept,
        key=lambda row: (usable.photographs[row].location, usable.events[row], usable.photographs[row].path),
    )
    columns = _columns(usable, kept, np.array([split_of[row] for row in kept], np.int8), options)
    figures = coverage.coverage(columns)
    warnings = (*division.warnings, *coverage.warnings(figures))
    marks = _identified(usable, kept, columns)
    about = SetInfo(
        out.resolve().name,
        options.canvas,
        options.unit,
        options.unit == "image",
        options.seed,
        fingerprint(marks),
        tuple(columns.source_names),
        base,
        {key: value for key, value in asdict(options).items() if key not in ("canvas", "workers")},
        figures,
        tally(each.reason for each in left_out),
        (*notes, *warnings),
    )
    checksum = write_manifest(out / MANIFEST, _lines(usable, kept, columns, store, options))
    used = {store.places[usable.media_ids[row]].shard for row in kept}
    more = {
        "labels": [{"name": each.source, "kind": each.kind, "answers": len(each.annotations)} for each in sources],
        "left_out_first": [[each.path, each.reason, each.detail] for each in left_out[:MAX_LEFT_OUT]],
        "duplicates": len(contents.duplicates),
    }
    write_description(out, about, checksum, {number: store.shards[number] for number in used}, more)
    return Report(out, about, len(kept), store.decoded, len(contents.duplicates), left_out, warnings)


def _columns(usable: _Usable, kept: Sequence[int], splits: NDArray[np.int8], options: SetOptions) -> coverage.Columns:
    label_names, labels = _labelled([usable.contents.species[usable.media_ids[row]] for row in kept])
    source_names, sources = ranks(usable.photographs[row].source for row in kept)
    _, locations = ranks(usable.photographs[row].location for row in kept)
    _, events = ranks(usable.events[row] for row in kept)
    _, contents = ranks(usable.media_ids[row] for row in kept)
    blank = labels == (label_names.index(BLANK) if BLANK in label_names else len(label_names))
    chosen = balanced(blank, sources * len(SPLITS) + splits, events, contents, options.seed)
    return coverage.Columns(labels, splits, sources, locations, events, chosen, label_names, source_names)


def _identified(usable: _Usable, kept: Sequence[int], columns: coverage.Columns) -> Iterator[tuple[str, str, str]]:
    """Yield what the fingerprint covers."""
    for row, split in zip(kept, columns.splits.tolist(), strict=True):
        media_id = usable.media_ids[row]
        yield media_id, "|".join(usable.contents.species[media_id]), SPLITS[split]


def _lines(
    usable: _Usable, kept: Sequence[int], columns: coverage.Columns, store: cache.FrameCache, options: SetOptions
) -> Iterator[tuple[str, ...]]:
    """Yield the rows of the manifest."""
    for row, split, chosen in zip(kept, columns.splits.tolist(), columns.balanced.tolist(), strict=True):
        each, media_id = usable.photographs[row], usable.media_ids[row]
        species, place = usable.contents.species[media_id], store.places[media_id]
        yield (
            media_id,
            each.path,
            _label(species),
            "|".join(species)[:LONGEST_CELL],
            each.location,
            usable.events[row],
            SPLITS[split],
            "1" if chosen else "0",
            each.source,
            "event" if options.propagate or each.of_event else "image",
            "" if each.support is None else f"{each.support:.4g}",
            "" if each.evenness is None else f"{each.evenness:.4g}",
            "1" if each.tie else "0",
            str(place.shard),
            str(place.slot),
        )
