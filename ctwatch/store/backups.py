"""Backups: whole copies of the live database in a folder of their own, daily and before each change of its tables."""

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ctwatch.errors import StoreError, StoreFull
from ctwatch.store import refusals
from ctwatch.store.copies import demand_room, free_name, write_copy
from ctwatch.store.database import Database, discard, one_at_a_time

FOLDER = "backups"
KEPT_BEFORE_CHANGES = 3
_NAME = re.compile(r"ctwatch-(\d{8}-\d{6})(?:-before-(.+?))?(?:-\d+)?\.duckdb")
_TIME = "%Y%m%d-%H%M%S"


@dataclass(frozen=True, slots=True)
class Backup:
    """A file in the folder of backups, as its name tells."""

    path: Path
    made_at: datetime
    """UTC."""
    before: str | None
    """The change of the tables that it was made before; None for a daily one."""


def back_up(database: Database, folder: Path, now: datetime, keep: int) -> Path:
    """Put a verified copy of the live database into `backups/` of a store; returns its path.

    `now` is UTC. The oldest beyond `keep`, at least one, are removed once the new one is in place. Raises StoreFull
    where there is no room, before anything is written if that can be told.
    """
    made = _make(database, folder, now, "")
    daily = [item for item in backups(folder) if item.before is None]
    _remove(daily[max(1, keep) :], but=made)
    return made


def back_up_before(database: Database, folder: Path, now: datetime, change: str) -> Path:
    """The same before a change of the tables, of which the last few are kept apart; raises StoreFull with the remedy."""
    try:
        made = _make(database, folder, now, f"-before-{change}")
    except StoreFull as error:
        raise StoreFull(
            f"{error}. The tables of {database.path.name} are to change for this version of ctwatch, and that waits until"
            " a copy of it has room"
        ) from error
    _remove([item for item in backups(folder) if item.before is not None][KEPT_BEFORE_CHANGES:], but=made)
    return made


def due(folder: Path, now: datetime) -> bool:
    """Whether no backup of today (UTC) is there."""
    return all(item.made_at.date() != now.date() for item in backups(folder) if item.before is None)


def backups(folder: Path) -> list[Backup]:
    """Return the backups of a store, newest first."""
    found = []
    for path in (folder / FOLDER).glob("ctwatch-*.duckdb") if (folder / FOLDER).is_dir() else ():
        told = _NAME.fullmatch(path.name)
        if told is not None:
            try:
                found.append(Backup(path, datetime.strptime(told[1], _TIME), told[2]))
            except ValueError:
                continue  # somebody's own file of a similar name
    return sorted(found, key=lambda item: (item.made_at, item.path.name), reverse=True)


def _make(database: Database, folder: Path, now: datetime, suffix: str) -> Path:
    place = folder / FOLDER
    with refusals.told(place):
        place.mkdir(exist_ok=True)
        if not database.path.exists():
            raise StoreError(f"{database.path} is not there: nothing to back up")
        log = Path(f"{database.path}.wal")
        size = database.path.stat().st_size + (log.stat().st_size if log.exists() else 0)
    with one_at_a_time(folder):
        with refusals.told(place):
            for stale in place.glob(".ctwatch-*.new"):  # a backup that was cut off
                discard(stale)
        demand_room(size, place)
        target = free_name(place / f"ctwatch-{now:{_TIME}}{suffix}.duckdb")
        return write_copy(database, target, now)


def _remove(surplus: list[Backup], *, but: Path) -> None:
    for item in surplus:
        if item.path != but:
            with refusals.told(item.path):
                item.path.unlink(missing_ok=True)
