"""The published copy of the database: whole, verified, read-only, put in place by one rename, held open by anyone."""

import logging
import os
from pathlib import Path

import duckdb

from ctwatch.errors import StoreError
from ctwatch.store.database import (
    LIVE_NAME,
    PUBLISHED_NAME,
    Database,
    demand_migrated,
    one_at_a_time,
    open_file,
    replace_durably,
)

logger = logging.getLogger(__name__)


def publish(database: Database) -> Path:
    """Copy the live database to `reports.duckdb` beside it and return its path.

    A reader keeps the copy that it opened; the next one to open gets the new one. Raises StoreError if the copy does not
    hold what the original does; the earlier copy then stays.
    """
    # A second publisher waits, and then copies what the first one may not have had.
    with one_at_a_time(database.path.parent):
        return _publish(database)


def _publish(database: Database) -> Path:
    target = database.path.with_name(PUBLISHED_NAME)
    aside = database.path.with_name(f".{PUBLISHED_NAME}.new")
    for stale in (aside, Path(f"{aside}.wal")):
        stale.unlink(missing_ok=True)
    with database.copying_to(aside) as copy:
        name = copy.execute("SELECT current_database()").fetchall()[0][0]
        copy.execute(f'COPY FROM DATABASE live TO "{name}"')
        expected = _counts(copy, "live")
        copy.execute("CHECKPOINT")
    written = open_file(aside, read_only=True)
    try:
        found = _counts(written, written.execute("SELECT current_database()").fetchall()[0][0])
    finally:
        written.close()
    if found != expected:
        raise StoreError(f"{aside}: the copy holds {found}, {LIVE_NAME} holds {expected}; the earlier copy was kept")
    os.chmod(aside, 0o444)
    # A reader who opened the last copy for writing may have left a log that would spoil this one.
    Path(f"{target}.wal").unlink(missing_ok=True)
    replace_durably(aside, target)
    return target


def open_published(folder: Path, *, may_write: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Open the published copy for reading; raises StoreError where there is none, or an earlier ctwatch's.

    What is asked of it can reach no other file, but for the one that it `may_write`.
    """
    path = folder / PUBLISHED_NAME
    if not path.exists():
        raise StoreError(
            f"{path} is not there yet: no card has been processed; run `ctwatch run` or `ctwatch process CARD`"
        )
    connection = open_file(path, read_only=True)
    try:
        demand_migrated(path, connection)
    except BaseException:
        connection.close()
        raise
    if may_write is not None:
        connection.execute("SET allowed_paths = ?", [[str(may_write)]])
    connection.execute("SET enable_external_access = false")
    return connection


def _counts(connection: duckdb.DuckDBPyConnection, database: str) -> dict[str, int]:
    tables = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'raw' AND database_name = ? ORDER BY 1", [database]
    ).fetchall()
    return {
        name: connection.execute(f'SELECT count(*) FROM "{database}".raw."{name}"').fetchall()[0][0]
        for (name,) in tables
    }
