"""Whole copies of the live database: made aside, verified, put in place by one rename; for readers, and to fall back on."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from ctwatch import __version__
from ctwatch.errors import StoreError
from ctwatch.store import refusals
from ctwatch.store.database import LIVE_NAME, Database, building, migrations_in, open_file, replace_durably

_APPEND_ONLY = ("media", "prediction", "human_label", "machine_label", "import")
_TABLES = "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'raw' AND database_name = ? ORDER BY 1"
_MEMORY = "512MB"
"""Of DuckDB while it copies; a million photographs take 30 s of a core and 0.6 GB in all, 28 s and 1.1 GB with twice as much."""
_ROWS_AT_ONCE = 8 * 122_880
"""Whole groups of DuckDB's rows. What one statement adds to a primary key cannot leave memory before it has ended."""
_MARGIN_BYTES = 4_000_000
_NOT_PRIVATE = "(media_id IS NULL OR media_id NOT IN (SELECT media_id FROM live.raw.private_media))"
_NAMES_NO_PRIVATE = """
    file_name IS NULL OR NOT EXISTS (
        SELECT 1 FROM live.raw.card_file f
        WHERE f.media_id IN (SELECT media_id FROM live.raw.private_media) AND ends_with('/' || f.file_path, '/' || file_name)
    )
"""


@dataclass(frozen=True, slots=True)
class State:
    """What a copy of the database holds, and since when."""

    saved_at: datetime
    """UTC."""
    ctwatch_version: str
    with_people: bool
    """Nothing was left out of it."""
    cards: int
    media: int
    rows: int
    """Rows of tables that only grow: the copy with more of them is the later one, whatever the clock said."""


def write_copy(database: Database, target: Path, now: datetime, *, with_people: bool = True) -> Path:
    """Copy the live database to `target` with a note of when, `now` in UTC; returns `target`.

    That of an earlier ctwatch, which has no table for the note, goes without.

    Without people their photographs never reach the file: rows are chosen, not deleted afterwards. Raises StoreError if
    the copy does not hold what it should, StoreFull where there is no room; what was at `target` then stays.
    """
    aside = target.with_name(f".{target.name}.new")
    with building(aside):
        with database.copying_to(aside) as copy:
            expected = _copy(copy, with_people=with_people)
            if _has_note(copy):
                copy.execute("INSERT INTO raw.publication VALUES (?, ?, ?)", [now, __version__, with_people])
            copy.execute("CHECKPOINT")
        written = open_file(aside, read_only=True)
        try:
            found = {name: _count(written, f'raw."{name}"') for name in expected}
        except duckdb.Error as error:
            raise refusals.explained(aside, error, instead=target.name) from error
        finally:
            written.close()
        if found != expected:
            raise StoreError(
                f"{aside}: the copy holds {found}, {expected} of {LIVE_NAME} belong there; nothing was replaced"
            )
        os.chmod(aside, 0o444)
        # A reader who opened the last copy for writing may have left a log that would spoil this one.
        Path(f"{target}.wal").unlink(missing_ok=True)
        replace_durably(aside, target)
    return target


@contextmanager
def taking(copy: Path, target: Path) -> Iterator[None]:
    """Build a live database from a copy aside; at the end of the block, which clears the place, it is put there.

    Raises StoreFull where there is no room, before the block runs. `copy` stays. No process may have either open through
    DuckDB by then: reading a file by other means drops DuckDB's lock.
    """
    aside = target.with_name(f".{target.name}.new")
    with building(aside):
        demand_room(copy.stat().st_size, target.parent)
        shutil.copyfile(copy, aside)
        os.chmod(aside, 0o644)
        connection = open_file(aside, read_only=False)
        try:
            if _has_note(connection):
                connection.execute("DELETE FROM raw.publication")
            connection.execute("CHECKPOINT")
        except duckdb.Error as error:
            raise refusals.explained(aside, error, instead=copy.name) from error
        finally:
            connection.close()
        yield
        replace_durably(aside, target)


def state_of(path: Path) -> State:
    """Return what a copy holds; raises StoreDamaged, StoreTooNew or another StoreError if it is none that can be used.

    One that an earlier ctwatch made has no note of when: the file's time stands for it.
    """
    changed = datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(tzinfo=None, microsecond=0)
    connection = open_file(path, read_only=True)
    try:
        migrations_in(path, connection)
        notes = (
            connection.execute("SELECT published_at, ctwatch_version, with_people FROM raw.publication").fetchall()
            if _has_note(connection)
            else []
        )
        name = connection.execute("SELECT current_database()").fetchall()[0][0]
        known = {row[0] for row in connection.execute(_TABLES, [name]).fetchall()}
        counts = {name: _count(connection, f'raw."{name}"') for name in (*_APPEND_ONLY, "card") if name in known}
        versions = connection.execute("SELECT ctwatch_version FROM raw.migration ORDER BY applied_at, rowid").fetchall()
    except duckdb.Error as error:
        raise refusals.explained(path, error, instead=path.name) from error
    finally:
        connection.close()
    saved_at, version, with_people = notes[0] if notes else (changed, versions[-1][0], True)
    rows = sum(counts.get(name, 0) for name in _APPEND_ONLY)
    return State(saved_at, version, with_people, counts.get("card", 0), counts.get("media", 0), rows)


def demand_room(size: int, folder: Path) -> None:
    """Raise StoreFull if a copy of `size` bytes has no room in a folder."""
    with refusals.told(folder):
        free = shutil.disk_usage(folder).free
    if free < size + _MARGIN_BYTES:
        raise refusals.full(folder, f"{free / 1e6:.0f} MB free, a copy of the database takes {size / 1e6:.0f} MB")


def free_name(path: Path) -> Path:
    """Return `path`, or with a number behind if something lies there."""
    number, free = 1, path
    while free.exists():
        number += 1
        end = ".duckdb" if path.suffix == ".duckdb" else ""
        free = path.with_name(f"{path.name.removesuffix(end)}-{number}{end}")
    return free


def _copy(copy: duckdb.DuckDBPyConnection, *, with_people: bool) -> dict[str, int]:
    """Copy everything, or what may be shown; returns how many rows of each table there should be."""
    name = copy.execute("SELECT current_database()").fetchall()[0][0]
    tables = [row[0] for row in copy.execute(_TABLES, ["live"]).fetchall() if row[0] != "publication"]
    copy.execute(f"SET memory_limit = '{_MEMORY}'")
    # In parts, and put on disk after each table: what is in no file yet has to be in memory.
    copy.execute(f'COPY FROM DATABASE live TO "{name}" (SCHEMA)')
    about_media = {
        row[0]
        for row in copy.execute(
            "SELECT table_name FROM duckdb_columns() WHERE schema_name = 'raw' AND database_name = 'live'"
            " AND column_name = 'media_id'"
        ).fetchall()
    }
    expected = {}
    for table in tables:
        allowed = "true"
        if not with_people:
            allowed = _NAMES_NO_PRIVATE if table == "clock_point" else _NOT_PRIVATE if table in about_media else "true"
        source = f'live.raw."{table}" WHERE ({allowed})'
        last = copy.execute(f'SELECT coalesce(max(rowid), -1) FROM live.raw."{table}"').fetchall()[0][0]
        for first in range(0, last + 1, _ROWS_AT_ONCE):
            part = f"{source} AND rowid BETWEEN {first} AND {first + _ROWS_AT_ONCE - 1}"
            copy.execute(f'INSERT INTO raw."{table}" SELECT * FROM {part}')
        copy.execute("CHECKPOINT")
        expected[table] = _count(copy, source)
    return expected


def _count(connection: duckdb.DuckDBPyConnection, source: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {source}").fetchall()[0][0])


def _has_note(connection: duckdb.DuckDBPyConnection) -> bool:
    sql = (
        "SELECT 1 FROM duckdb_tables() WHERE schema_name = 'raw' AND table_name = 'publication'"
        " AND database_name = current_database()"
    )
    return bool(connection.execute(sql).fetchall())
