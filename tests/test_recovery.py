"""A database that was damaged by a kill or a power cut: set aside, never deleted, and the last good state takes its place."""

import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import duckdb
import pytest
from conftest import Store

from ctwatch.config import Config
from ctwatch.errors import StoreDamaged
from ctwatch.once import process_cards
from ctwatch.results import put_out
from ctwatch.store.database import LIVE_NAME, PUBLISHED_NAME, Database
from ctwatch.store.recovery import restore_if_damaged

Make = Callable[..., Path]
Configure = Callable[..., Config]
NOW = datetime(2026, 11, 21, 12)
METADATA = 12288
"""Where DuckDB's first block lies, behind three headers of 4096 bytes."""


def torn(path: Path, at: int = METADATA) -> bytes:
    """Leave a block half written, as a process killed within a write does; return the bytes as they are then."""
    data = bytearray(path.read_bytes())
    data[at + 4096 : at + 8192] = bytes(4096)
    path.write_bytes(data)
    return bytes(data)


def test_a_torn_block_is_set_aside_and_cards_since_the_publication_come_in_again(
    config: Configure, make_card: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """The tables are those of an undisturbed run, the damaged file is kept, and it is said loudly."""
    from rich.console import Console

    settings = config()
    store = Store(settings)
    first, second = make_card("L01", 6), make_card("L02", 6, first=30)
    store.process(first)
    put_out(settings, store.database)
    store.process(second)
    expected = store.dump()
    damaged = torn(store.database.path)
    with caplog.at_level(logging.ERROR):
        process_cards(settings, [first, second], Console(quiet=True))
    assert store.dump() == expected
    [kept] = settings.store_folder.glob(f"{LIVE_NAME}.damaged-*")
    assert kept.read_bytes() == damaged
    assert str(kept) in caplog.text


def test_a_healthy_database_is_left_alone(store: Store, make_card: Make) -> None:
    """Not a byte changes."""
    store.process(make_card())
    before = store.database.path.read_bytes()
    assert restore_if_damaged(store.database, NOW) is None
    assert store.database.path.read_bytes() == before
    assert restore_if_damaged(Database(store.database.path.parent / "elsewhere"), NOW) is None


def test_without_a_good_copy_nothing_is_touched(config: Configure, make_card: Make) -> None:
    """Neither with no published copy nor with one that is damaged too."""
    settings = config()
    store = Store(settings)
    store.process(make_card())
    damaged = torn(store.database.path)
    with pytest.raises(StoreDamaged, match=PUBLISHED_NAME):
        restore_if_damaged(store.database, NOW)
    (settings.store_folder / PUBLISHED_NAME).write_bytes(b"no database")
    with pytest.raises(StoreDamaged, match="no help"):
        restore_if_damaged(store.database, NOW)
    assert store.database.path.read_bytes() == damaged
    assert not list(settings.store_folder.glob("*.damaged-*"))


def test_somebody_elses_database_is_never_replaced(config: Configure, make_card: Make) -> None:
    """A file that can be read and is not ours is a mistake in the configuration, not damage."""
    settings = config()
    store = Store(settings)
    store.process(make_card())
    put_out(settings, store.database)
    store.database.path.unlink()
    duckdb.connect(str(store.database.path)).close()
    with pytest.raises(StoreDamaged, match="not ctwatch's"):
        restore_if_damaged(store.database, NOW)
    assert not list(settings.store_folder.glob("*.damaged-*"))


def test_two_damages_in_one_second_are_both_kept(config: Configure, make_card: Make) -> None:
    """No name is used twice."""
    settings = config()
    store = Store(settings)
    store.process(make_card())
    put_out(settings, store.database)
    names = set()
    for _ in range(2):
        torn(store.database.path)
        names.add(restore_if_damaged(store.database, NOW))
    assert len(names) == 2
    assert len(list(settings.store_folder.glob("*.damaged-*"))) == 2
