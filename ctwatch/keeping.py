"""Copies of the database that people ask for: a backup now, what can be restored, and the restoring."""

from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ctwatch.config import Config
from ctwatch.errors import ConfigError, StoreDamaged, StoreError
from ctwatch.results import put_out
from ctwatch.store import refusals
from ctwatch.store.backups import FOLDER, back_up
from ctwatch.store.copies import State, demand_room, state_of, write_copy
from ctwatch.store.database import Database
from ctwatch.store.lock import only_one
from ctwatch.store.preparation import prepare
from ctwatch.store.recovery import Candidate, candidates, problem_of, ranking, replace_live

_PATIENCE_S = 600.0
"""A daemon holds the database while a card is committed, a minute for the largest."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What took the place of the database."""

    backup: Path
    state: State
    set_aside: Path | None
    """Where the file lies that was there before."""


def back_up_now(config: Config, now: datetime, out: Path | None = None) -> Path:
    """Make a verified copy of the database, in the store's backups or at `out`; returns its path.

    `now` is UTC. Waits while a daemon writes. Raises StoreFull where there is no room, StoreTooNew for the database of a
    newer ctwatch, ConfigError if something lies at `out`.
    """
    database = Database(config.store_folder, busy_timeout_s=max(_PATIENCE_S, config.store.busy_timeout_s))
    if not database.path.exists():
        raise StoreError(f"{database.path} is not there yet: no card has been processed, there is nothing to back up")
    database.look()
    if out is None:
        return back_up(database, config.store_folder, now, config.store.backups)
    target = out / f"ctwatch-{now:%Y%m%d-%H%M%S}.duckdb" if out.is_dir() else out
    if target.exists():
        raise ConfigError([f"{target} is there already; name another file, or move it away"])
    with refusals.told(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    demand_room(database.path.stat().st_size, target.parent)
    return write_copy(database, target, now)


def restorable(config: Config) -> list[Candidate]:
    """Return the copies in the store and what each holds, the published one first, then backups, newest first."""
    return candidates(config.store_folder) if config.store_folder.is_dir() else []


def restore(config: Config, now: datetime, backup: str | None = None) -> Restored:
    """Put a backup in the place of the database, migrate it and publish it; the present file is set aside.

    `backup` is a path, or a name in the store's backups; None: the newest good one, or the published copy. It is read as a
    whole first. Raises StoreBusy while a daemon or anybody else has the store, StoreTooNew for a backup of a newer ctwatch,
    StoreDamaged for one that cannot be used, StoreFull where there is no room; nothing is touched then.
    """
    with only_one(config.store_folder):
        database = Database(config.store_folder, busy_timeout_s=config.store.busy_timeout_s)
        path, state = _newest_good(config.store_folder) if backup is None else _named(config.store_folder, backup)
        with ExitStack() as held:
            if database.path.exists():
                # Nobody is in the middle of a commit to the file that goes; one that cannot be read can be held by nobody.
                with suppress(StoreDamaged):
                    held.enter_context(database.reading())
            kept = replace_live(database, path, now)
        prepare(database)
        put_out(config, database, now)
    return Restored(path, state, kept)


def _newest_good(folder: Path) -> tuple[Path, State]:
    ranked = ranking(candidates(folder))
    for item in ranked:
        if item.problem is None and item.state is not None:
            return item.path, item.state
    reasons = "\n".join(f"{item.path} cannot be used: {item.problem}" for item in ranked)
    raise StoreDamaged(f"{folder} holds no copy of the database that can be restored\n{reasons}".strip())


def _named(folder: Path, backup: str) -> tuple[Path, State]:
    path = next((place for place in (Path(backup), folder / FOLDER / backup) if place.is_file()), None)
    if path is None:
        raise ConfigError([f"{backup} is no file, here or in {folder / FOLDER}; see `ctwatch restore --list`"])
    if path.resolve() == (folder / Database(folder).path.name).resolve():
        raise ConfigError([f"{backup} is the database itself; name a backup, see `ctwatch restore --list`"])
    state = state_of(path)
    if not state.with_people:
        raise StoreError(f"{path} was published without people: it is not whole, and so no backup; name another")
    problem = problem_of(path)
    if problem is not None:
        raise StoreDamaged(f"{path} cannot be restored: {problem}")
    return path, state
