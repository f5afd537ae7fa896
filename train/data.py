"""Reads label tables and decodes their photographs, with the daemon's own decoder, into memory."""

import csv
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ctwatch.decode import UnusableImage, decode
from ctwatch.domain import BLANK, Canvas, Task
from ctwatch.errors import ConfigError
from ctwatch.identity import content_id

from .recipe import Recipe

COLUMNS = ("path", "label", "location", "event")
SPLITS = ("train", "validation", "test")
MAX_LISTED = 20

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Numbers = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled photograph."""

    path: Path
    label: str
    location: str
    event: str
    source: str
    split: str | None = None
    """The part that the table itself puts it in; otherwise the trainer decides by location."""


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Photographs in memory with their labels; row i of everything is the same photograph."""

    examples: tuple[Example, ...]
    pixels: Pixels
    """(N, 3, H, W)."""
    media_ids: tuple[str, ...]
    unusable: tuple[str, ...]
    """"path: reason" of every file that is left out."""

    def __len__(self) -> int:
        return len(self.examples)

    def fingerprint(self) -> str:
        """Return a hash over media and labels, the same in any order of the files."""
        lines = sorted(f"{media} {each.label}" for media, each in zip(self.media_ids, self.examples, strict=True))
        return hashlib.blake2b("\n".join(lines).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def read_labels(path: Path, source: str) -> list[Example]:
    """Return the rows of a labels table: a CSV with the columns path, label, location, event and, if wanted, split.

    Paths are relative to the CSV. Label `blank` means that no animal is to be seen. A location's rows must all name the
    same split, or none.

    Raises:
        ConfigError: The file cannot be read, a column is missing or a row is incomplete; all problems are listed.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                raise ConfigError([f"{path}: has no column {', '.join(missing)}; it needs {', '.join(COLUMNS)}"])
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError([f"{path}: cannot be read as a labels table ({error})"]) from error
    problems: list[str] = []
    examples: list[Example] = []
    for number, row in enumerate(rows, 2):
        values = {key: (row.get(key) or "").strip() for key in (*COLUMNS, "split")}
        empty = [column for column in COLUMNS if not values[column]]
        if empty:
            problems.append(f"{path}: line {number}: {', '.join(empty)} is empty")
        elif values["split"] not in ("", *SPLITS):
            problems.append(f"{path}: line {number}: split is {values['split']!r}, not one of {', '.join(SPLITS)}")
        else:
            examples.append(
                Example(
                    path.parent / values["path"],
                    values["label"],
                    f"{source}/{values['location']}",
                    f"{source}/{values['location']}/{values['event']}",
                    source,
                    values["split"] or None,
                )
            )
    named: dict[str, set[str | None]] = {}
    for example in examples:
        named.setdefault(example.location, set()).add(example.split)
    problems += [
        f"{path}: location {location!r} is in two splits"
        for location, splits in sorted(named.items())
        if len(splits) > 1
    ]
    if not rows:
        problems.append(f"{path}: has no rows")
    if problems:
        rest = len(problems) - MAX_LISTED
        raise ConfigError(problems[:MAX_LISTED] + ([f"... and {rest} more"] if rest > 0 else []))
    return examples


def read_sources(recipe: Recipe, say: Callable[[str], None]) -> list[Example]:
    """Return the rows of all tables of a recipe, without those that are optional and not there.

    Raises:
        ConfigError: A table is missing or has problems.
    """
    examples: list[Example] = []
    problems: list[str] = []
    for source in recipe.data:
        path = Path(source.path)
        if source.optional and not path.exists():
            say(f"{path} is not there: training goes on without {source.name}")
            continue
        try:
            examples += read_labels(path, source.name)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return examples


def target(label: str, task: Task, labels: Sequence[str]) -> int | None:
    """Return the number of the label that a network should answer, None if the task does not know it.

    For the empty filter everything that is not blank is its other label. A species network gets -1 for blank frames: it
    should be undecided.
    """
    if task is Task.EMPTY:
        return next(index for index, known in enumerate(labels) if (known == BLANK) == (label == BLANK))
    if label == BLANK:
        return -1
    return labels.index(label) if label in labels else None


def decode_all(
    examples: Sequence[Example], canvas: Canvas, progress: Callable[[int, int], None] | None = None
) -> Labelled:
    """Decode photographs onto a canvas; files that cannot be used are left out and named.

    Raises:
        ConfigError: Not one photograph is usable.
    """
    pixels = np.empty((len(examples), 3, canvas.height, canvas.width), np.uint8)
    kept: list[Example] = []
    media_ids: list[str] = []
    unusable: list[str] = []
    for number, example in enumerate(examples, 1):
        try:
            data = example.path.read_bytes()
            pixels[len(kept)] = decode(data, canvas)
        except OSError as error:
            unusable.append(f"{example.path}: {error.strerror or error}")
        except UnusableImage as error:
            unusable.append(f"{example.path}: {error}")
        else:
            kept.append(example)
            media_ids.append(content_id(data))
        if progress:
            progress(number, len(examples))
    if not kept:
        raise ConfigError(["not one photograph could be used", *unusable[:MAX_LISTED]])
    return Labelled(tuple(kept), pixels[: len(kept)], tuple(media_ids), tuple(unusable))
