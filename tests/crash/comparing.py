"""What a life leaves, as values that can be compared: every table, live and published, every CSV, every file."""

import csv
import hashlib
import io
import os
import re
from pathlib import Path
from typing import Any

import duckdb

from .station import Station

Left = dict[str, list[str]]
"""Rows, lines or names by where they are from."""

_PASSING = re.compile(r"_at$|^classification_timestamp$")
"""Columns that say when something was done."""
_NOT_COMPARED = {"migration", "publication"}
_LOGS = re.compile(r"\.(wal|new|tmp)$|^\.(?!store\.lock$)")
_WITH_CARDS = ("inbox/", "second/", "archive/", "another disk/")
_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
_DIGEST = re.compile(r"[0-9a-f]{12,}")
_DATE = re.compile(r"\d{8}(?:[-T_]?\d{4,6}Z?)?|\d{4}-\d\d-\d\d(?:[T_-]\d\d[:-]?\d\d(?:[:-]?\d\d)?Z?)?")
_SAME_NUMBER = 3e-5
"""How many frames went through a network together shows in the last bits of what it says."""
PEOPLE_SEE = {
    "media": "* EXCLUDE (card_name, file_path, file_name, source_path)",
    "events": "*",
    "observations": "* EXCLUDE (classification_timestamp)",
    "effort": "*",
    "detections": "*",
    "deployments": "* EXCLUDE (source, flag)",
}
"""What must not hang on the way by which a card came: the views that people query, without names and paths of cards."""


def left_by(station: Station) -> Left:
    """Return everything that a life has left."""
    left: Left = {}
    live, published = (_tables(station, station.store / name) for name in ("ctwatch.duckdb", "reports.duckdb"))
    for name, rows in live.items():
        left[f"table {name}"] = rows
        left[f"published {name} beside the live one"] = [] if published.get(name) == rows else ["differs"]
    for path in sorted((station.store / "results").glob("*")):
        left[f"file {path.name}"] = _csv(path)
    places = {"": station.base, "another disk": station.far}
    everything = {
        os.path.join(name, path.relative_to(root)): path
        for name, root in places.items()
        for path in root.rglob("*")
        if not path.is_relative_to(station.base / "models")
    }
    left["stray files"] = sorted(name for name, path in everything.items() if _LOGS.search(path.name))
    left["photographs"] = sorted(
        f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
        for name, path in everything.items()
        if name.startswith(_WITH_CARDS) and path.is_file() and not path.name.startswith("ctwatch-")
    )
    # Twice on one day or once: how often backups were made is no difference.
    store = {_DATE.sub("*", _DIGEST.sub("*", str(path.relative_to(station.base)))) for path in station.store.rglob("*")}
    # The lock of the daemon lies there once a second command has asked for it.
    left["names in the store"] = sorted(
        name for name in store if ".damaged-" not in name and not name.endswith("/ctwatch.lock")
    )
    return left


def seen_by_people(station: Station) -> Left:
    """Return what people see of photographs, events, observations and effort."""
    with duckdb.connect(str(station.store / "reports.duckdb"), read_only=True) as connection:
        return {
            f"view {name}": _rows(connection.execute(f"SELECT {columns} FROM {name}").fetchall())
            for name, columns in PEOPLE_SEE.items()
        }


def damaged(station: Station) -> int:
    """Return how many damaged databases were set aside."""
    return sum(not path.name.endswith(".wal") for path in station.store.glob("ctwatch.duckdb.damaged-*"))


def differences(expected: Left, found: Left) -> list[str]:
    """Return in words what differs; numbers may differ in their last digits."""
    said = []
    for name in sorted(expected.keys() | found.keys()):
        if name not in found or name not in expected:
            said.append(f"{name}: {'missing' if name not in found else 'should not be there'}")
            continue
        missing, surplus = _unlike(expected[name], found[name])
        said += [f"{name}: missing {row}" for row in missing[:5]] + [f"{name}: surplus {row}" for row in surplus[:5]]
        more = max(0, len(missing) - 5) + max(0, len(surplus) - 5)
        said += [f"{name}: and {more} more"] if more else []
    return said


def _unlike(expected: list[str], found: list[str]) -> tuple[list[str], list[str]]:
    if expected == found:
        return [], []
    missing, surplus = list(expected), []
    for row in found:
        same = next((other for other in missing if other == row), None)
        same = same if same is not None else next((other for other in missing if _alike(other, row)), None)
        if same is None:
            surplus.append(row)
        else:
            missing.remove(same)
    return missing, surplus


def _alike(one: str, other: str) -> bool:
    if _NUMBER.sub("#", one) != _NUMBER.sub("#", other):
        return False
    pairs = zip(_NUMBER.findall(one), _NUMBER.findall(other), strict=True)
    return all(abs(float(a) - float(b)) <= _SAME_NUMBER for a, b in pairs)


def _tables(station: Station, path: Path) -> dict[str, list[str]]:
    """Return every row of every table of a database, without the columns that say when it was written."""
    with duckdb.connect(str(path), read_only=True) as connection:
        columns = connection.execute(
            "SELECT table_name, list(column_name ORDER BY column_index) FROM duckdb_columns()"
            " WHERE schema_name = 'raw' AND NOT internal GROUP BY 1"
        ).fetchall()
        return {
            table: _rows(connection.execute(f"SELECT {_kept(names)} FROM raw.{table}").fetchall())
            for table, names in columns
            if table not in _NOT_COMPARED
        }


def _kept(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names if not _PASSING.search(name))


def _rows(rows: list[tuple[Any, ...]]) -> list[str]:
    return sorted(repr(row) for row in rows)


def _csv(path: Path) -> list[str]:
    """Return the lines of a table, without the column that says when a label was taken in."""
    text = path.read_text("utf-8")
    if "classificationTimestamp" not in text:
        return text.splitlines()
    header, *rows = csv.reader(io.StringIO(text))
    kept = [number for number, name in enumerate(header) if name != "classificationTimestamp"]
    return [repr([row[number] for number in kept]) for row in (header, *rows)]
