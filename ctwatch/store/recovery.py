"""A damaged live database is set aside under a dated name and the published copy, the last good state, takes its place."""

import logging
import os
import shutil
from datetime import datetime
from pathlib import Path

import duckdb

from ctwatch.errors import StoreDamaged, StoreError
from ctwatch.store.database import LIVE_NAME, PUBLISHED_NAME, Database, one_at_a_time, open_file, replace_durably

logger = logging.getLogger(__name__)

_NOT_OURS = (duckdb.CatalogException, duckdb.BinderException)


def restore_if_damaged(database: Database, now: datetime) -> Path | None:
    """Put the published copy in place of a live database that cannot be read; returns where the damaged one lies now.

    DuckDB writes its metadata in place, so that a process killed within one write can leave a file that nobody can open
    (seen once in some hundred kills that were timed to a checkpoint). What was committed after the last publication is
    done again from the cards in the inbox. A healthy database, or none, is left alone: None. Raises StoreDamaged where
    no good copy is to be had, and StoreError for a database that is not ctwatch's; nothing is touched then.
    """
    if not database.path.exists() or _damage(database) is None:
        return None
    folder = database.path.parent
    with one_at_a_time(folder):
        damage = _damage(database)
        if damage is None:
            return None  # another process has restored it meanwhile
        copy = folder / PUBLISHED_NAME
        try:
            connection = open_file(copy, read_only=True)
            connection.execute("SELECT count(*) FROM raw.migration").fetchall()
            connection.close()
        except (StoreError, duckdb.Error) as error:
            raise StoreDamaged(f"{damage}\n{copy} is no help: {error}") from error
        aside = folder / f".{LIVE_NAME}.new"
        shutil.copyfile(copy, aside)
        os.chmod(aside, 0o644)
        kept = _free_name(folder / f"{LIVE_NAME}.damaged-{now:%Y%m%d-%H%M%S}")
        log = Path(f"{database.path}.wal")
        if log.exists():
            os.replace(log, f"{kept}.wal")
        os.replace(database.path, kept)
        replace_durably(aside, database.path)
    logger.error(
        "%s. It lies at %s now, and %s has taken its place: cards that came in after its publication are read again from"
        " the inbox; labels imported since then must be imported again",
        str(damage).split("; move it away", maxsplit=1)[0],
        kept,
        PUBLISHED_NAME,
    )
    return kept


def _damage(database: Database) -> StoreDamaged | None:
    """Return what is wrong with the live file; None if it can be worked with."""
    try:
        database.look()
    except StoreDamaged as error:
        if isinstance(error.__cause__, _NOT_OURS):
            raise
        return error
    return None


def _free_name(path: Path) -> Path:
    number = 1
    free = path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free
