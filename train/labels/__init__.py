"""Label readers: one per format, chosen by content; each returns what its source says, undecided and unchecked."""

import os
import re
from collections.abc import Callable
from pathlib import Path

from ctwatch.errors import ConfigError

from . import camtrap_dp, coco, database, folders, serengeti, table, wildlife_insights
from .annotation import Labels
from .reading import header_of, plain, some

Reader = Callable[[Path, str, Path | None], Labels]

NEEDS = tuple(each.NEEDS for each in (table, folders, coco, serengeti, wildlife_insights, camtrap_dp, database))
"""What each reader needs, as phrases."""
_TABLES: tuple[tuple[Callable[[frozenset[str]], bool], Reader], ...] = (
    (table.is_whole, table.read),
    (wildlife_insights.fits, wildlife_insights.read),
    (serengeti.fits, serengeti.read),
    (table.fits, table.read),
)
"""Readers of CSV files, with what tells their columns, in the order in which they are asked."""
_NAMED = re.compile(r"(?P<name>[\w.-]+)=(?P<path>.+)", re.DOTALL)
_PACKED = (".zip", ".gz", ".bz2", ".xz", ".7z", ".tar")
_SHEETS = (".xlsx", ".xls", ".ods", ".parquet", ".sqlite", ".db", ".rds")


def read(spec: str, *, images: Path | None = None) -> Labels:
    """Return the labels of a source, read by the reader that fits its content.

    Whether the photographs exist is not looked at. Paths are relative to the source, or to `images`; they stay relative
    to the working directory where `spec` is.

    Args:
        spec: `PATH` or `NAME=PATH` of a file or folder; without a name it gets the file's or folder's.
        images: The folder that the photographs lie in, where that is not the source's own.

    Raises:
        ConfigError: No reader fits, or the one that fits finds problems, or nothing to train on; all are told at once.
        StoreError: A database cannot be opened.
    """
    name, path = parse(spec)
    if not path.exists():
        raise ConfigError([f"{path}: is not there; correct the path of the labels"])
    labels = _reader(path)(path, name, images)
    if not labels.annotations:
        raise ConfigError([f"{path}: holds no answer of a person to train on", *labels.notes])
    return labels


def parse(spec: str) -> tuple[str, Path]:
    """Return name and path of `PATH` or `NAME=PATH`; a path that exists as it is written is a path."""
    match = _NAMED.fullmatch(spec)
    if match and not os.path.lexists(spec):
        return match["name"], Path(match["path"])
    path = Path(spec)
    whole = path if path.name else path.absolute()  # `.` has no name of its own
    name = whole.parent.name if whole.name == camtrap_dp.PACKAGE else whole.name if path.is_dir() else whole.stem
    return name or spec, path


def _reader(path: Path) -> Reader:
    """Return the reader for a file or folder; raises ConfigError, saying what is there and what is needed."""
    if path.is_dir():
        return _folder_reader(path)
    suffix = path.suffix.lower()
    if path.name == camtrap_dp.PACKAGE:
        return camtrap_dp.read
    if database.fits(path):
        return database.read
    if suffix in _PACKED:
        raise ConfigError([f"{path}: is packed; unpack it and name what was in it"])
    if suffix in _SHEETS:
        raise ConfigError([f"{path}: is no format that the trainer reads; save it as CSV in UTF-8"])
    if suffix == ".json":
        return coco.read
    columns = frozenset(map(plain, header_of(path)))
    for fits, reader in _TABLES:
        if fits(columns):
            return reader
    header = header_of(path)
    held = f"its columns are {', '.join(header[:20])}" if any(header) else "it has no columns"
    hint = "; name the folder of the package instead" if columns & {"observationid", "mediaid"} else ""
    raise ConfigError([f"{path}: is not known as labels: {held}{hint}", *_what_is_read()])


def _folder_reader(path: Path) -> Reader:
    if (path / camtrap_dp.PACKAGE).exists():
        return camtrap_dp.read
    images_csv = wildlife_insights.table_in(path)
    if images_csv is not None:
        return lambda _, source, images: wildlife_insights.read(images_csv, source, images)
    if folders.fits(path):
        return folders.read
    names = sorted(os.listdir(path))
    tables = [name for name in names if name.lower().endswith((".csv", ".json", ".duckdb"))]
    held = f"it holds {some(names)}" if names else "it is empty"
    hint = f"; name the file itself: {some(tables)}" if tables else ""
    raise ConfigError([f"{path}: is not known as labels: {held}{hint}", *_what_is_read()])


def _what_is_read() -> list[str]:
    return [f"the trainer reads {needs}" for needs in NEEDS]
