"""Copies to fall back on, and a disk that refuses: every write either happens or leaves the old state whole."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner, Result
from conftest import Store, dump

from ctwatch.cli import main
from ctwatch.config import Config
from ctwatch.errors import ConfigError, StoreBusy, StoreDamaged, StoreError, StoreFull, StoreTooNew
from ctwatch.keeping import back_up_now, restore
from ctwatch.results import export, put_out
from ctwatch.store import database as module
from ctwatch.store.backups import back_up, backups, due
from ctwatch.store.copies import state_of
from ctwatch.store.database import LIVE_NAME, PUBLISHED_NAME, Database
from ctwatch.store.lock import only_one
from ctwatch.store.preparation import prepare
from ctwatch.store.publish import open_published, publish
from ctwatch.store.recovery import restore_if_damaged

Make = Callable[..., Path]
Configure = Callable[..., Config]
NOW = datetime(2026, 11, 21, 12)
ROOMS = (
    0,
    4_096,
    40_000,
    150_000,
    270_000,
    400_000,
    530_000,
    700_000,
    800_000,
    1_000_000,
    1_300_000,
    1_800_000,
    2_400_000,
)
"""Bytes left on the disk: the writes of DuckDB's 256 KiB blocks, of its log and of whole files fail one after the other."""


def ctwatch(config: Config, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--config", str(config.base / "config.toml"), *arguments])


def fill(disk: Path, leave: int) -> Path:
    """Fill a disk until `leave` bytes are free; returns the ballast."""
    ballast = disk / "ballast"
    ballast.unlink(missing_ok=True)
    facts = os.statvfs(disk)
    ballast.write_bytes(b"\0" * max(0, facts.f_bavail * facts.f_frsize - leave))
    return ballast


def add(database: Database, number: int) -> None:
    with database.writing() as connection:
        connection.execute(
            "INSERT INTO raw.location (location_id, location_name)"
            " SELECT $1 || '-' || i, md5(i::VARCHAR || $1) FROM range(4000) t(i)",
            [str(number)],
        )


def places(database: Database) -> int:
    with database.reading() as connection:
        return int(connection.execute("SELECT count(*) FROM raw.location").fetchall()[0][0])


def left_over(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.name.endswith((".new", ".wal", ".tmp", ".alone.duckdb"))]


# -- a disk that takes nothing more -------------------------------------------------------------------------------------------


def test_a_commit_on_a_full_disk_is_in_whole_or_not_at_all(small_disk: Path) -> None:
    """Wherever it fails; a commit that is only in the log is in, and nothing but room is needed to go on."""
    database = Database(small_disk / "store")
    prepare(database)
    expected, refused, in_the_log = 0, 0, 0
    for number, room in enumerate(ROOMS):
        ballast = fill(small_disk, room)
        before = expected
        try:
            add(database, number)
            expected += 4000
        except StoreFull:
            refused += 1
            found = places(database)  # still on the full disk
            assert found in (before, before + 4000)
            in_the_log += found > before
            expected = found
        ballast.unlink()
        assert places(database) == expected
    assert refused >= 4
    assert in_the_log >= 1, "the checkpoint behind a commit was never the write that failed"
    prepare(database)
    assert places(database) == expected
    assert not Path(f"{database.path}.wal").exists()
    add(database, 99)
    assert left_over(small_disk) == []


def test_a_log_left_by_a_full_disk_is_taken_up_at_the_next_start(small_disk: Path) -> None:
    """No log remains that a power cut could spoil."""
    database = Database(small_disk)
    prepare(database)
    for number, room in enumerate(range(200_000, 1_500_000, 60_000)):
        ballast = fill(small_disk, room)
        with suppress(StoreFull):
            add(database, number)
        ballast.unlink()
        if Path(f"{database.path}.wal").exists():
            break
    assert Path(f"{database.path}.wal").exists()
    before = places(database)
    prepare(database)
    assert not Path(f"{database.path}.wal").exists()
    assert places(database) == before


@pytest.mark.parametrize("what", ["create", "publish", "back up", "back up elsewhere", "restore", "restore damaged"])
def test_a_copy_on_a_full_disk_leaves_the_old_state_whole(what: str, small_disk: Path, config: Configure) -> None:
    """Creating, publishing, backing up and restoring: refused as StoreFull, nothing left lying about, done with room."""
    settings = config(text=f"[store]\nfolder = '{small_disk / 'store'}'\nbackups = 2\n")
    database = Database(settings.store_folder)
    if what != "create":
        prepare(database)
        add(database, 0)
        put_out(settings, database, NOW)
        back_up(database, settings.store_folder, NOW, 2)
        add(database, 1)
    made = restored = 0

    def do(number: int) -> None:
        nonlocal made, restored
        if what == "create":
            prepare(database)
        elif what == "publish":
            publish(database, NOW + timedelta(hours=number), with_people=number % 2 == 0)
        elif what == "back up":
            back_up(database, settings.store_folder, NOW + timedelta(days=1 + number), 2)
        elif what == "back up elsewhere":
            made += 1
            back_up_now(settings, NOW, small_disk / f"elsewhere-{number}.duckdb").unlink()
        elif what == "restore":
            [kept] = [restore(settings, NOW, backups(settings.store_folder)[0].path.name).set_aside]
            assert kept is not None
            kept.unlink()
        else:
            database.path.write_bytes(database.path.read_bytes()[:9000])
            kept = restore_if_damaged(database, NOW)
            assert kept is not None
            kept.unlink()

    def published() -> list[tuple[object, ...]]:
        connection = open_published(settings.store_folder)
        with connection:
            return connection.execute("SELECT count(*) FROM locations").fetchall()

    refused = 0
    for number, room in enumerate((0, 150_000, 400_000, 800_000, 1_300_000)):
        if what == "create":
            shutil.rmtree(settings.store_folder, ignore_errors=True)
        ballast = fill(small_disk, room)
        before = None if what in ("create", "restore damaged") else places(database)
        try:
            do(number)
        except StoreFull as error:
            refused += 1
            assert "room" in str(error)
            if before is not None:
                assert places(database) == before
                assert published() == [(4000,)] or what in ("publish", "restore")
                assert len(backups(settings.store_folder)) >= 1
                for item in backups(settings.store_folder):
                    state_of(item.path)
            ballast.unlink()
            assert left_over(small_disk) == []
            do(100 + number)
        else:
            ballast.unlink()
        assert places(database) in ((0,) if what == "create" else (4000, 8000))
    assert refused >= 2
    assert left_over(small_disk) == []


def earlier(folder: Path, rows: int = 2000) -> Database:
    """A database of an earlier ctwatch, before the last change of its tables."""
    steps = [step for step in module._steps() if step[0] in module.MIGRATIONS[:-1]]
    folder.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(str(folder / LIVE_NAME))
    module._apply(connection, steps)
    connection.execute(
        "INSERT INTO raw.location (location_id, location_name) SELECT i, md5(i::VARCHAR) FROM range(?) t(i)", [rows]
    )
    connection.close()
    return Database(folder)


def test_no_table_changes_before_a_backup_has_room(small_disk: Path) -> None:
    """The remedy is told; with room the backup holds what was there before, and opens with the earlier ctwatch's tables."""
    database = earlier(small_disk / "store")
    before = database.path.read_bytes()
    refused = 0
    for room in ROOMS[:-1]:
        ballast = fill(small_disk, room)
        try:
            prepare(database)
        except StoreFull as error:
            refused += 1
            assert "copy" in str(error)
            assert left_over(small_disk) == []
            with duckdb.connect(str(database.path), read_only=True) as connection:
                assert connection.execute("SELECT count(*) FROM raw.location").fetchall() == [(2000,)]
                assert connection.execute("SELECT count(*) FROM raw.migration").fetchall() in ([(5,)], [(7,)])
        ballast.unlink()
    assert refused >= 3
    prepare(database)
    assert places(database) == 2000
    kept = backups(database.path.parent)
    assert kept
    assert all(item.before == module.MIGRATIONS[-1] for item in kept)
    assert len(kept) <= 3
    with duckdb.connect(str(kept[0].path), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM raw.location").fetchall() == [(2000,)]
        names = connection.execute("SELECT name FROM raw.migration").fetchall()
    assert module.MIGRATIONS[-1] not in {name for (name,) in names}
    assert before != database.path.read_bytes()


def test_a_read_only_file_system_is_a_disk_that_refuses_and_a_wrong_owner_is_not(small_disk: Path) -> None:
    """The one passes by itself, the other needs a person."""
    database = Database(small_disk / "store")
    prepare(database)
    add(database, 0)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    try:
        for attempt in (
            lambda: add(database, 1),
            lambda: publish(database, NOW, with_people=True),
            lambda: back_up(database, small_disk / "store", NOW, 1),
            lambda: prepare(Database(small_disk / "other")),
        ):
            with pytest.raises(StoreFull):
                attempt()
        assert places(database) == 4000
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    add(database, 1)
    assert places(database) == 8000


def test_tables_for_people_on_a_full_disk_are_told_as_such(
    small_disk: Path, config: Configure, make_card: Make
) -> None:
    settings = config(text=f"[store]\nfolder = '{small_disk / 'store'}'\n")
    store = Store(settings)
    store.process(make_card())
    put_out(settings, store.database, NOW)
    ballast = fill(small_disk, 0)
    with pytest.raises(StoreFull):
        export(settings, small_disk / "elsewhere")
    ballast.unlink()
    assert export(settings, small_disk / "elsewhere")


# -- backups ------------------------------------------------------------------------------------------------------------------


def test_the_newest_backups_are_kept_and_those_before_a_change_apart(tmp_path: Path) -> None:
    database = earlier(tmp_path)
    prepare(database)
    [before] = backups(tmp_path)
    assert due(tmp_path, NOW)
    for day in range(5):
        back_up(database, tmp_path, NOW + timedelta(days=day), 3)
        assert not due(tmp_path, NOW + timedelta(days=day, hours=11))
        assert due(tmp_path, NOW + timedelta(days=day + 1))
    daily = [item for item in backups(tmp_path) if item.before is None]
    assert [item.made_at.day for item in daily] == [25, 24, 23]
    assert before in backups(tmp_path)
    assert all(item.path.stat().st_mode & 0o777 == 0o444 for item in daily)
    again = back_up(database, tmp_path, NOW + timedelta(days=4), 3)
    assert len({item.path for item in backups(tmp_path)}) == 4
    assert state_of(again).saved_at == NOW + timedelta(days=4)


def test_a_backup_is_the_database_whole(config: Configure, make_card: Make) -> None:
    settings = config()
    store = Store(settings)
    store.process(make_card())
    made = back_up(store.database, settings.store_folder, NOW, 2)
    state = state_of(made)
    assert (state.saved_at, state.cards, state.media, state.with_people) == (NOW, 1, 3, True)
    store.process(make_card("L02", 3, first=40))
    expected = store.dump()
    done = restore(settings, NOW, made.name)
    assert len(store.dump("card")["card"]) == 1
    assert done.set_aside is not None
    assert store.rows("SELECT count(*) FROM raw.publication") == [(0,)]
    assert store.process(settings.base / "inbox" / "L02").counts.media == 3
    assert store.dump() == expected


def test_backup_and_restore_are_commands(config: Configure, make_card: Make, tmp_path: Path) -> None:
    """With what they did as JSON; a backup never lies over another file."""
    settings = config()
    nothing = ctwatch(settings, "backup")
    assert nothing.exit_code == StoreError.exit_code
    assert "nothing to back up" in nothing.stderr
    assert ctwatch(settings, "restore").exit_code == StoreError.exit_code
    ctwatch(settings, "process", str(make_card()))
    made = json.loads(ctwatch(settings, "backup", "--json").stdout)
    assert Path(made["file"]).stat().st_size == made["bytes"]
    outside = tmp_path / "disk" / "copy.duckdb"
    assert ctwatch(settings, "backup", "--out", str(outside)).exit_code == 0
    assert ctwatch(settings, "backup", "--out", str(outside)).exit_code == ConfigError.exit_code
    ctwatch(settings, "process", str(make_card("L02", 3, first=30)))
    listed = json.loads(ctwatch(settings, "restore", "--list", "--json").stdout)
    assert [(item["cards"], item["problem"]) for item in listed] == [(2, None), (1, None)]
    assert PUBLISHED_NAME in ctwatch(settings, "restore", "--list").stdout
    told = json.loads(ctwatch(settings, "restore", str(outside), "--json").stdout)
    assert Path(told["set_aside"]).exists()
    assert "1 cards" in ctwatch(settings, "restore").stdout  # what was published just now
    rows = json.loads(ctwatch(settings, "query", "SELECT cards, media FROM publication", "--json").stdout)
    assert rows == [{"cards": 1, "media": 3}]
    assert ctwatch(settings, "restore", "no-such-file").exit_code == ConfigError.exit_code
    assert ctwatch(settings, "restore", "x", "--list").exit_code == 2


def test_nothing_is_restored_under_a_daemon_or_somebody_elses_hands(config: Configure, make_card: Make) -> None:
    settings = config(text="[store]\nbusy_timeout_s = 0.2\n")
    store = Store(settings)
    store.process(make_card())
    made = back_up(store.database, settings.store_folder, NOW, 2)
    before = store.database.path.read_bytes()
    with only_one(settings.store_folder), pytest.raises(StoreBusy, match="daemon"):
        restore(settings, NOW)
    script = f"import duckdb, sys; c = duckdb.connect({str(store.database.path)!r}); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(StoreBusy, match=f"process {holder.pid}"):
            restore(settings, NOW, str(made))
        holder.kill()
    assert store.database.path.read_bytes() == before


def test_a_backup_waits_for_whoever_writes(config: Configure, make_card: Make) -> None:
    """The daemon has the file only while it commits."""
    settings = config(text="[store]\nbusy_timeout_s = 0.1\n")
    store = Store(settings)
    store.process(make_card())
    script = f"import duckdb, time; c = duckdb.connect({str(store.database.path)!r}); print('open', flush=True); time.sleep(1.5)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert back_up_now(settings, NOW).exists()


def newer(path: Path) -> None:
    path.chmod(0o644)
    connection = duckdb.connect(str(path))
    connection.execute("INSERT INTO raw.migration VALUES ('9999_later', TIMESTAMP '2100-01-01', '99.0')")
    connection.close()


def test_what_a_newer_ctwatch_wrote_is_neither_backed_up_nor_restored(config: Configure, make_card: Make) -> None:
    """Not by name, and not as the newest; an older one is migrated."""
    settings = config()
    store = Store(settings)
    store.process(make_card())
    made = back_up(store.database, settings.store_folder, NOW, 2)
    newer(made)
    before = store.database.path.read_bytes()
    with pytest.raises(StoreTooNew, match=r"99\.0"):
        restore(settings, NOW, str(made))
    with pytest.raises(StoreDamaged, match=r"99\.0"):
        restore(settings, NOW)
    assert store.database.path.read_bytes() == before
    newer(store.database.path)
    assert ctwatch(settings, "backup").exit_code == StoreTooNew.exit_code
    assert "99.0" in ctwatch(settings, "backup").stderr
    old = earlier(settings.base / "old", rows=7)
    store.database.path.unlink()
    restore(settings, NOW, str(old.path))
    assert store.rows("SELECT count(*) FROM raw.location") == [(7,)]
    assert store.rows("SELECT count(*) FROM raw.quarantine") == [(0,)]


def test_a_damaged_backup_is_passed_over_for_an_older_good_one(config: Configure, make_card: Make) -> None:
    settings = config()
    store = Store(settings)
    store.process(make_card())
    good = back_up(store.database, settings.store_folder, NOW, 3)
    store.process(make_card("L02", 3, first=30))
    bad = back_up(store.database, settings.store_folder, NOW + timedelta(days=1), 3)
    bad.chmod(0o644)
    data = bytearray(bad.read_bytes())
    data[12288 + 4096 : 12288 + 8192] = bytes(4096)
    bad.write_bytes(data)
    with pytest.raises(StoreDamaged):
        restore(settings, NOW, str(bad))
    assert restore(settings, NOW).backup == good


def test_a_published_copy_without_people_is_no_backup(config: Configure, make_card: Make) -> None:
    settings = config()
    store = Store(settings)
    store.process(make_card())
    published = publish(store.database, NOW, with_people=False)
    with pytest.raises(StoreError, match="without people"):
        restore(settings, NOW, str(published))
    with pytest.raises(StoreDamaged, match="left out"):
        restore(settings, NOW)
    store.database.path.write_bytes(b"")
    with pytest.raises(StoreDamaged, match="left out"):
        restore_if_damaged(store.database, NOW)


def test_the_later_copy_is_the_one_that_holds_more_whatever_the_clock_said(config: Configure, make_card: Make) -> None:
    """A clock that stood in 2099 for a day must not bring back that day's state for ever."""
    settings = config()
    store = Store(settings)
    store.process(make_card())
    back_up(store.database, settings.store_folder, datetime(2099, 1, 1), 3)
    store.process(make_card("L02", 3, first=30))
    expected = store.dump()
    later = back_up(store.database, settings.store_folder, NOW, 3)
    assert restore(settings, NOW).backup == later
    assert dump(store.database) == expected
