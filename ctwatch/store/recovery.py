"""A damaged live database is set aside under a dated name, never deleted, and the last good state takes its place."""

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from ctwatch.errors import StoreDamaged, StoreError, StoreFull
from ctwatch.store.backups import backups
from ctwatch.store.copies import State, free_name, state_of, taking
from ctwatch.store.database import LIVE_NAME, PUBLISHED_NAME, Database, building, discard, one_at_a_time
from ctwatch.store.inspection import inspect, inspect_file

logger = logging.getLogger(__name__)

_NOT_OURS = (duckdb.CatalogException, duckdb.BinderException)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A copy that may take the place of the live database: what it holds, or why it cannot."""

    path: Path
    state: State | None
    problem: str | None


def restore_if_damaged(database: Database, now: datetime) -> Path | None:
    """Put the last good copy in place of a live database that is damaged, inconsistent or gone.

    Returns where the damaged one lies now, or the new one where there was none; None where all is well or nothing was
    ever there. All of the file is read for it. The copy is the published one, if people are in it, the newest good
    backup, or the file itself without a log that a power cut has spoiled: whichever holds most. What was committed after it
    is done again from the cards in the inbox. Raises StoreDamaged where no good copy is to be had, StoreError for a database
    that is not ctwatch's, StoreFull without room; nothing is touched then.
    """
    if not database.path.parent.is_dir() or _damage(database) is None:
        return None
    folder = database.path.parent
    with one_at_a_time(folder):
        damage = _damage(database)
        if damage is None:
            return None  # another process has restored it meanwhile
        there = database.path.exists()
        with _without_its_log(database.path) as bare:
            ranked = ranking(candidates(folder, *bare))
            for item in ranked:
                if item.problem is not None:
                    logger.warning("%s is no help: %s", item.path, item.problem)
            good = next((item for item in ranked if item.problem is None), None)
            if there and damage.__cause__ is None and not _holds_as_much(good, database.path):
                # It can be read. To fall back behind it would lose more than a rule that is broken does.
                logger.error("%s. No copy holds as much, so it stays; see to it: ctwatch restore --list", damage)
                return None
            if good is None or good.state is None:
                reasons = "\n".join(f"{item.path} is no help: {item.problem}" for item in ranked)
                raise StoreDamaged(
                    f"{damage}\n{reasons or f'{folder / PUBLISHED_NAME} is no help: it is not there, and no backup is'}"
                )
            kept = _exchange(database.path, good.path, folder / f"{LIVE_NAME}.damaged-{now:%Y%m%d-%H%M%S}")
    logger.error(
        "%s. %s, and %s has taken its place, with %d cards and %d photographs as of %s UTC: cards that came in later are"
        " read again from the inbox; labels imported since then must be imported again",
        str(damage).split("; ", maxsplit=1)[0],
        f"It lies at {kept} now" if there else "Nothing lies there",
        LIVE_NAME + " without its log" if good.path in bare else good.path.name,
        good.state.cards,
        good.state.media,
        good.state.saved_at,
    )
    return kept if there else database.path


def candidates(folder: Path, *more: Path) -> list[Candidate]:
    """Return the copies that lie in a store, and what each holds: the published one if people are in it, and backups."""
    published = folder / PUBLISHED_NAME
    found = []
    for path in (*more, *([published] if published.exists() else []), *(item.path for item in backups(folder))):
        try:
            state = state_of(path)
        except StoreFull:
            raise
        except StoreError as error:
            found.append(Candidate(path, None, str(error)))
            continue
        problem = None if state.with_people else "photographs of people were left out of it"
        found.append(Candidate(path, state, problem))
    return found


def ranking(found: list[Candidate]) -> list[Candidate]:
    """Return the candidates that must be spoken of: those that cannot be used, up to and with the first good one.

    The one that holds most comes first; each is read as a whole before it counts as good.
    """
    usable = [item for item in found if item.problem is None and item.state is not None]
    ranked = [item for item in found if item.problem is not None]
    for item in sorted(usable, key=lambda item: _later(item.state), reverse=True):
        problem = problem_of(item.path)
        ranked.append(Candidate(item.path, item.state, problem))
        if problem is None:
            break
    return ranked


def problem_of(path: Path) -> str | None:
    """Read a copy as a whole; returns why it cannot be used, None if it can."""
    try:
        return "; ".join(inspect_file(path)) or None
    except StoreFull:
        raise
    except StoreError as error:
        return str(error)


def replace_live(database: Database, copy: Path, now: datetime) -> Path | None:
    """Put a good copy in the place of the live database; returns where the present one lies now, None if there was none.

    The caller sees to it that no daemon is at work. Raises StoreFull where there is no room; nothing is touched then.
    """
    with one_at_a_time(database.path.parent):
        there = database.path.exists()
        kept = _exchange(database.path, copy, database.path.with_name(f"{LIVE_NAME}.replaced-{now:%Y%m%d-%H%M%S}"))
    return kept if there else None


def _holds_as_much(item: Candidate | None, path: Path) -> bool:
    if item is None or item.state is None:
        return False
    present = state_of(path)
    return item.state.rows >= present.rows and item.state.cards >= present.cards


def _damage(database: Database) -> StoreDamaged | None:
    """Return what is wrong with the live file; None if it can be worked with, or if neither it nor a copy is there."""
    if not database.path.exists():
        copies = candidates(database.path.parent)
        if any(item.problem is None for item in copies):
            return StoreDamaged(f"{database.path} is not there, but copies of it are")
        return None
    try:
        problems = inspect(database)
    except StoreDamaged as error:
        if isinstance(error.__cause__, _NOT_OURS):
            raise
        return error
    return StoreDamaged(f"{database.path} is inconsistent: {', '.join(problems)}") if problems else None


@contextmanager
def _without_its_log(live: Path) -> Iterator[tuple[Path, ...]]:
    """A copy of the file alone while a block runs, where a log lies beside it: what a power cut spoils is the log."""
    alone = live.with_name(f".{live.name}.alone.duckdb")
    if not live.exists() or not Path(f"{live}.wal").exists():
        yield ()
        return
    with building(alone):
        shutil.copy2(live, alone)
        yield (alone,)
        discard(alone)


def _later(state: State | None) -> tuple[int, int, datetime]:
    return (0, 0, datetime.min) if state is None else (state.rows, state.cards, state.saved_at)


def _exchange(live: Path, copy: Path, kept: Path) -> Path:
    """Set the live file and its log aside, if they are there, once the copy lies ready, and put that in their place."""
    kept, log = free_name(kept), Path(f"{live}.wal")
    with taking(copy, live):
        if log.exists():
            os.replace(log, f"{kept}.wal")
        if live.exists():
            os.replace(live, kept)
    return kept
