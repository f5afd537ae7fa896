"""A database that was damaged by a kill or a power cut: set aside, never deleted, and the last good state takes its place."""

import logging
import os
import shutil
import subprocess
import sys
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
from ctwatch.store.backups import back_up
from ctwatch.store.database import LIVE_NAME, PUBLISHED_NAME, Database
from ctwatch.store.preparation import prepare
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


def with_log(database: Database, tail: str) -> None:
    """Leave a commit in the log, as a power cut does between it and its checkpoint, and spoil the log's end."""
    script = (
        f"import duckdb, os; c = duckdb.connect({str(database.path)!r}); c.execute(\"SET wal_autocheckpoint = '1TB'\");"
        " c.execute('SET disabled_optimizers = \\'\\''); c.execute('BEGIN');"
        ' c.execute("INSERT INTO raw.location (location_id) SELECT md5(i::VARCHAR) FROM range(3000) t(i)");'
        " c.execute('COMMIT'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script], check=False)
    log = Path(f"{database.path}.wal")
    data = log.read_bytes()
    half = len(data) // 2
    log.write_bytes({"zeros": data[:half] + bytes(half), "garbage": data[:half] + b"\xa5" * half, "whole": data}[tail])


def scratched(path: Path) -> None:
    """Leave other bytes in a block that holds photographs."""
    with duckdb.connect(str(path), read_only=True) as connection:
        [(block,)] = connection.execute(
            "SELECT min(block_id) FROM pragma_storage_info('raw.media') WHERE column_name = 'media_id' AND block_id >= 0"
        ).fetchall()
    data = bytearray(path.read_bytes())
    at = METADATA + 262144 * block + 8
    data[at : at + 400] = os.urandom(400)
    path.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a torn block": torn,
    "other bytes in a block of rows": lambda path: scratched(path),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-300_000]),
    "cut within the headers": lambda path: path.write_bytes(path.read_bytes()[:9000]),
    "empty": lambda path: path.write_bytes(b""),
    "gone": lambda path: path.unlink(),
    "a log with zeros at its end": lambda path: with_log(Database(path.parent), "zeros"),
    "a log with garbage in it": lambda path: with_log(Database(path.parent), "garbage"),
}


@pytest.mark.parametrize(
    ("how", "copies"),
    [*((how, "published") for how in DAMAGES), ("a torn block", "backup"), ("gone", "backup"), ("empty", "backup")],
)
def test_after_a_power_cut_the_cards_in_the_inbox_give_the_same_tables(
    how: str, copies: str, config: Configure, make_card: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it left of the file, and of its log; two cards are younger than the copy that takes its place."""
    from rich.console import Console

    settings = config()
    store = Store(settings)
    cards = [make_card(f"L{number:02d}", 3, first=30 * number) for number in range(3)]
    store.process(cards[0])
    if copies == "published":
        put_out(settings, store.database, NOW)
    else:
        back_up(store.database, settings.store_folder, NOW, 2)
    for card in cards[1:]:
        store.process(card)
    expected = store.dump()
    DAMAGES[how](store.database.path)
    with caplog.at_level(logging.ERROR):
        process_cards(settings, cards, Console(quiet=True))
    assert store.dump() == expected
    store.check_sums()
    assert LIVE_NAME in caplog.text
    kept = [path for path in settings.store_folder.glob(f"{LIVE_NAME}.damaged-*") if path.suffix != ".wal"]
    assert len(kept) == (how != "gone")
    assert not Path(f"{store.database.path}.wal").exists()
    assert not list(settings.store_folder.glob(".*.new")) + list(settings.store_folder.glob(".*.alone*"))


def test_a_spoiled_log_costs_nothing_that_was_checkpointed(config: Configure, make_card: Make) -> None:
    """The file without its log holds more than the copies do, and is taken before them."""
    settings = config()
    store = Store(settings)
    store.process(make_card())
    put_out(settings, store.database, NOW)
    store.process(make_card("L02", 3, first=30))
    expected = store.dump()
    with_log(store.database, "garbage")
    assert restore_if_damaged(store.database, NOW) is not None
    assert store.dump() == expected


def test_a_whole_log_is_no_damage(config: Configure, make_card: Make) -> None:
    """What a kill leaves is taken up."""
    settings = config()
    store = Store(settings)
    store.process(make_card())
    with_log(store.database, "whole")
    assert restore_if_damaged(store.database, NOW) is None
    prepare(store.database)
    assert store.rows("SELECT count(*) > 3000 FROM raw.location") == [(True,)]


def test_the_copy_that_holds_most_is_taken_and_a_damaged_one_passed_over(
    config: Configure, make_card: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """The published copy is younger than the backup, but damaged; then it is not."""
    settings = config()
    store = Store(settings)
    store.process(make_card())
    back_up(store.database, settings.store_folder, NOW, 2)
    first = store.dump()
    store.process(make_card("L02", 3, first=30))
    put_out(settings, store.database, NOW)
    second = store.dump()
    published = settings.store_folder / PUBLISHED_NAME
    good = shutil.copyfile(published, settings.store_folder / "good")
    published.chmod(0o644)
    torn(published)
    store.database.path.write_bytes(b"")
    restore_if_damaged(store.database, NOW)
    assert store.dump() == first
    assert f"{published} is no help" in caplog.text
    published.unlink()
    shutil.copyfile(good, published)
    store.database.path.write_bytes(b"")
    restore_if_damaged(store.database, NOW)
    assert store.dump() == second


def test_tables_that_contradict_each_other_are_damage(
    config: Configure, make_card: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """What was lost inside the file with its checksums whole, as a hole in a log loses it."""
    settings = config()
    store = Store(settings)
    store.process(make_card())
    put_out(settings, store.database, NOW)
    expected = store.dump()
    with store.database.writing() as connection:
        connection.execute("DELETE FROM raw.card_file WHERE file_path = (SELECT min(file_path) FROM raw.card_file)")
    assert restore_if_damaged(store.database, NOW) is not None
    assert "counts other than their files" in caplog.text
    assert store.dump() == expected
