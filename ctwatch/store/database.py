"""The database file: opened for one piece of work at a time, migrated, checkpointed, never left with a log behind."""

import fcntl
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from ctwatch import __version__
from ctwatch.errors import StoreBusy, StoreDamaged, StoreError, StoreTooNew
from ctwatch.identity import derived_id
from ctwatch.store import refusals

logger = logging.getLogger(__name__)
Opened = TypeVar("Opened")

LIVE_NAME = "ctwatch.duckdb"
PUBLISHED_NAME = "reports.duckdb"
LOCK_NAME = ".store.lock"
MIGRATIONS = ("0001_initial", "0002_human_label", "0003_miniature", "0004_field_sheet", "0005_answers", "0006_keeping")
_VIEWS = "views "
READABLE_FROM = "v1.0.0"
"""The oldest DuckDB that must read the published copy: people's R and Python are years apart from the daemon's."""
_CONFIGURATION = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    # DuckDB 1 guesses a column's type from a thousand rows, and what does not fit the guess is lost.
    "pandas_analyze_sample": 2**31 - 1,
    # Each group of 122,880 new rows goes to the file when it is full, and not with four others.
    "write_buffer_row_group_count": 1,
}


_WRITING = {
    # A card's rows are a queue of small statements: on more threads they take as long, and each holds memory of its own.
    "threads": 1,
    # What a statement let go is given back to the system at once, and not when the next ones have taken as much again.
    "allocator_flush_threshold": "1MB",
    "allocator_bulk_deallocation_flush_threshold": "1MB",
}


def open_file(path: Path, *, read_only: bool, for_everyone: bool = False) -> duckdb.DuckDBPyConnection:
    """Open a database file once; raises StoreBusy, StoreDamaged or StoreError, with a remedy.

    A new file is `for_everyone` if DuckDB of any version from `READABLE_FROM` must be able to read it.
    """
    configuration: dict[str, Any] = dict(_CONFIGURATION) if read_only else {**_CONFIGURATION, **_WRITING}
    if for_everyone:
        configuration["storage_compatibility_version"] = READABLE_FROM
    try:
        return duckdb.connect(str(path), read_only=read_only, config=configuration)
    except duckdb.Error as error:
        raise _explained(path, error) from error


class Database:
    """The daemon's own database file, `ctwatch.duckdb` in a folder.

    It is open only while a `with` block runs, because DuckDB keeps every other process out meanwhile, readers too.
    """

    def __init__(
        self,
        folder: Path,
        *,
        busy_timeout_s: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = folder / LIVE_NAME
        self._busy_timeout_s = busy_timeout_s
        self._sleep = sleep
        self._monotonic = monotonic

    def create(self) -> None:
        """Make the database if there is none; raises StoreError or StoreFull."""
        with refusals.told(self.path.parent):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.path.exists():
            self._create()

    def changes(self) -> list[str]:
        """Return the names of changes of the tables that this ctwatch brings; raises StoreTooNew or StoreDamaged."""
        with self._connected(read_only=True) as connection:
            return [name for name, _ in _pending(self.path, connection) if not name.startswith(_VIEWS)]

    def migrate(self) -> None:
        """Bring tables and views up to date, and take up a log that was left behind; changes no byte if there is nothing."""
        with self._connected(read_only=True) as connection:
            pending = bool(_pending(self.path, connection))
        # A log is left where the disk was full between a commit and its checkpoint.
        if pending or Path(f"{self.path}.wal").exists():
            with self._connected(read_only=False) as connection:
                # Asked again: another process may have done it while this one waited for the file.
                _apply(connection, _pending(self.path, connection))
                connection.execute("CHECKPOINT")

    def look(self) -> None:
        """Open the database and see whether this ctwatch can work with it; raises StoreError, changes nothing."""
        with self._connected(read_only=True) as connection:
            migrations_in(self.path, connection)

    @contextmanager
    def writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """One transaction: committed and checkpointed at the end of the block, rolled back if it raises.

        Where the disk is full only for the checkpoint it raises StoreFull although the rows are in, durably, in the log
        that the next opening takes up; so whatever is done in a block must bear to be done again.
        """
        with self._connected(read_only=False) as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            except BaseException:
                # What went wrong must be told, not that a transaction which failed cannot be rolled back.
                with suppress(duckdb.Error):
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
            connection.execute("CHECKPOINT")

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A look without changing anything."""
        with self._connected(read_only=True) as connection:
            yield connection

    @contextmanager
    def _connected(self, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        connection = self._patiently(lambda: open_file(self.path, read_only=read_only))
        try:
            yield connection
        except duckdb.Error as error:
            raise _explained(self.path, error) from error
        finally:
            connection.close()

    @contextmanager
    def copying_to(self, path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection to a new file at `path`, with this database attached read-only as `live`."""
        connection = open_file(path, read_only=False, for_everyone=True)
        try:
            self._patiently(lambda: _attach(connection, self.path))
            yield connection
        except duckdb.Error as error:
            raise _explained(self.path if "corrupt" in str(error).lower() else path, error) from error
        finally:
            connection.close()

    def _patiently(self, attempt: Callable[[], Opened]) -> Opened:
        """Try again with back-off while somebody else holds the file, up to the busy timeout."""
        started, pause, told = self._monotonic(), 0.05, False
        while True:
            try:
                return attempt()
            except StoreBusy as busy:
                if self._monotonic() - started >= self._busy_timeout_s:
                    raise
                if not told:
                    logger.warning("%s; waiting", busy)
                    told = True
                self._sleep(pause)
                pause = min(pause * 2, 2.0)

    def _create(self) -> None:
        """Build a new database aside and put it in place by one rename: making the file itself is not atomic."""
        aside = self.path.with_name(f".{LIVE_NAME}.new")
        with one_at_a_time(self.path.parent):
            if self.path.exists():
                return  # another process made it meanwhile, and may have written into it
            with building(aside):
                connection = open_file(aside, read_only=False)
                try:
                    _apply(connection, _steps())
                    connection.execute("CHECKPOINT")
                except duckdb.Error as error:
                    raise _explained(aside, error) from error
                finally:
                    connection.close()
                replace_durably(aside, self.path)


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Keep other processes waiting that are about to put a file in place in the same store."""
    with refusals.told(folder):
        handle = open(folder / LOCK_NAME, "a+b")
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def building(aside: Path) -> Iterator[None]:
    """Make room for a file that is built aside, and leave nothing of it if that fails: the room is needed.

    What the operating system refuses meanwhile is raised as StoreFull or StoreError.
    """
    with refusals.told(aside):
        discard(aside)
        try:
            yield
        except BaseException:
            with suppress(OSError):
                discard(aside)
            raise


def discard(path: Path) -> None:
    """Remove a database file that nobody has put in place, its log, and what DuckDB could not hold in memory."""
    for stale in (path, Path(f"{path}.wal")):
        stale.unlink(missing_ok=True)
    shutil.rmtree(f"{path}.tmp", ignore_errors=True)


def replace_durably(source: Path, target: Path) -> None:
    """Put a finished file in place by one rename that survives a power cut."""
    _sync(source)
    os.replace(source, target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _attach(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    quoted = str(path).replace("'", "''")
    try:
        connection.execute(f"ATTACH '{quoted}' AS live (READ_ONLY)")
    except duckdb.Error as error:
        raise _explained(path, error) from error


def _steps() -> list[tuple[str, str]]:
    """Return (name, SQL) of every migration, and of the views as they are now."""
    folder = files("ctwatch.store")
    steps = [(name, (folder / "migrations" / f"{name}.sql").read_text("utf-8")) for name in MIGRATIONS]
    views = (folder / "views.sql").read_text("utf-8")
    return [*steps, (f"{_VIEWS}{derived_id('views', views)}", views)]


def _apply(connection: duckdb.DuckDBPyConnection, steps: list[tuple[str, str]]) -> None:
    """Apply migrations in one transaction, each with the record of it."""
    connection.execute("BEGIN")
    for name, sql in steps:
        connection.execute(sql)
        connection.execute(
            "INSERT INTO raw.migration VALUES (?, ?, ?)", [name, datetime.now(UTC).replace(tzinfo=None), __version__]
        )
    connection.execute("COMMIT")


def _pending(path: Path, connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """Return what this ctwatch must still apply: new migrations, and the views unless the last ones are its own."""
    applied = migrations_in(path, connection)
    views = [name for name in applied if name.startswith(_VIEWS)][-1:]
    known = {name for name in applied if not name.startswith(_VIEWS)} | set(views)
    return [step for step in _steps() if step[0] not in known]


def demand_migrated(path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    """Raise StoreError if a published copy is of an earlier ctwatch and lacks what this one asks for.

    That of a later one is read: what it holds more is not asked for.
    """
    try:
        rows = connection.execute(
            "SELECT name, ctwatch_version FROM raw.migration ORDER BY applied_at, rowid"
        ).fetchall()
    except duckdb.Error as error:
        raise _explained(path, error) from error
    if not set(MIGRATIONS) <= {name for name, _ in rows}:
        raise StoreError(
            f"{path} was published by an earlier ctwatch{f' ({rows[-1][1]})' if rows else ''} and lacks what this one"
            f" ({__version__}) asks for; start `ctwatch run` of this one, or `ctwatch rederive`, to publish it anew"
        )


def migrations_in(path: Path, connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the names of what was applied, in that order."""
    try:
        rows = connection.execute(
            "SELECT name, ctwatch_version FROM raw.migration ORDER BY applied_at, rowid"
        ).fetchall()
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        raise StoreDamaged(
            f"{path} is a DuckDB database, but not ctwatch's; move it away or set store.folder to another folder"
        ) from error
    newer = [(name, version) for name, version in rows if name not in MIGRATIONS and not name.startswith(_VIEWS)]
    if newer:
        raise StoreTooNew(
            f"{path} was written by ctwatch {newer[-1][1]} (migration {newer[-1][0]}), this is {__version__};"
            " install that version or a later one. Nothing was changed"
        )
    return [name for name, _ in rows]


def _explained(path: Path, error: duckdb.Error) -> StoreError:
    return refusals.explained(path, error, instead=PUBLISHED_NAME)
