"""The published copy of the database: whole, verified, read-only, put in place by one rename, held open by anyone."""

from datetime import datetime
from pathlib import Path

import duckdb

from ctwatch.errors import StoreError
from ctwatch.store.copies import write_copy
from ctwatch.store.database import PUBLISHED_NAME, Database, demand_migrated, one_at_a_time, open_file


def publish(database: Database, now: datetime, *, with_people: bool) -> Path:
    """Copy the live database to `reports.duckdb` beside it, with or without photographs of people; returns its path.

    `now` is UTC and is told in the view `publication`. A reader keeps the copy that it opened; the next one to open gets
    the new one. Raises StoreError if the copy does not hold what it should, StoreFull where there is no room; the
    earlier copy then stays.
    """
    # A second publisher waits, and then copies what the first one may not have had.
    with one_at_a_time(database.path.parent):
        return write_copy(database, database.path.with_name(PUBLISHED_NAME), now, with_people=with_people)


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
