"""A database made ready for this ctwatch: created, or brought up to date behind a copy of how it was."""

from datetime import UTC, datetime

from ctwatch.store.backups import back_up_before
from ctwatch.store.database import Database


def prepare(database: Database) -> None:
    """Create or migrate the database; raises StoreTooNew, StoreDamaged or StoreFull and then changes nothing.

    A copy of an existing one is put into `backups/` before its tables change.
    """
    database.create()
    changes = database.changes()
    if changes:
        back_up_before(database, database.path.parent, datetime.now(UTC).replace(tzinfo=None), changes[-1])
    database.migrate()
