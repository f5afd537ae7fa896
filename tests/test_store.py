"""The database file: locked, damaged, newer, foreign, half-made, held open by readers; and its schema, held by a golden file."""

import gc
import os
import shutil
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner, Result
from conftest import Store

from ctwatch.cli import main
from ctwatch.config import Config
from ctwatch.errors import StoreBusy, StoreDamaged, StoreError, StoreTooNew
from ctwatch.results import put_out
from ctwatch.store.database import LIVE_NAME, LOCK_NAME, MIGRATIONS, PUBLISHED_NAME, Database, open_file
from ctwatch.store.preparation import prepare
from ctwatch.store.publish import open_published, publish
from ctwatch.store.rows import insert

NOW = datetime(2026, 11, 21, 12)
GOLDEN = Path(__file__).parent / "golden" / "schema.txt"
Make = Callable[..., Path]
Configure = Callable[..., Config]


def ctwatch(config: Config, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--config", str(config.base / "config.toml"), *arguments])


@contextmanager
def held_open(path: Path, *, read_only: bool = False) -> Iterator[int]:
    """Another process that has the file open; yields its id."""
    script = (
        f"import duckdb, sys; c = duckdb.connect({str(path)!r}, read_only={read_only}); c.execute('SELECT 1');"
        " print('open', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "open\n"
    try:
        yield holder.pid
    finally:
        holder.kill()
        holder.communicate()


def test_a_writing_connection_is_sparing_with_memory_and_a_reading_one_uses_the_machine(tmp_path: Path) -> None:
    """A card's commit is what the daemon's peak of memory hangs on."""
    database = Database(tmp_path)
    prepare(database)
    ask = "SELECT current_setting('threads'), current_setting('allocator_flush_threshold')"
    with database.writing() as connection:
        assert connection.execute(ask).fetchall() == [(1, "1MB")]
    with database.reading() as connection, duckdb.connect() as plain:
        assert connection.execute(ask).fetchall() == plain.execute(ask).fetchall()


def test_the_schema_is_as_it_was_agreed(tmp_path: Path) -> None:
    """Tables, views, columns and types; a change is a migration, and is seen in a diff."""
    database = Database(tmp_path)
    prepare(database)
    with database.reading() as connection:
        rows = connection.execute(
            "SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns()"
            " WHERE NOT internal ORDER BY schema_name, table_name, column_index"
        ).fetchall()
        keys = connection.execute(
            "SELECT table_name, constraint_text FROM duckdb_constraints() WHERE constraint_type = 'PRIMARY KEY' ORDER BY 1"
        ).fetchall()
    lines = [f"{schema}.{table}.{column} {kind}" for schema, table, column, kind in rows]
    text = "\n".join([*lines, *(f"{table}: {key}" for table, key in keys)]) + "\n"
    if os.environ.get("CTWATCH_WRITE_GOLDEN"):
        GOLDEN.write_text(text, "utf-8")
    assert GOLDEN.read_text("utf-8") == text


def test_preparing_again_changes_no_byte(tmp_path: Path) -> None:
    """Migrations are applied once."""
    database = Database(tmp_path)
    prepare(database)
    before = database.path.read_bytes()
    prepare(database)
    assert database.path.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [LOCK_NAME, LIVE_NAME]


def test_views_are_replaced_when_an_older_ctwatch_left_its_own(tmp_path: Path) -> None:
    """Also on the way back: what counts is whose views came last."""
    database = Database(tmp_path)
    prepare(database)
    with database.writing() as connection:
        connection.execute("CREATE OR REPLACE VIEW models AS SELECT 1 AS another")
        connection.execute("INSERT INTO raw.migration VALUES ('views of another', ?, '9')", [datetime(2100, 1, 1)])
    prepare(database)
    with database.reading() as connection:
        assert connection.execute("SELECT count(model_id) FROM models").fetchall() == [(0,)]


def test_two_that_start_at_once_share_one_database(tmp_path: Path) -> None:
    """Neither takes the place of what the other has made, nor of what it has written meanwhile."""
    script = (
        "from pathlib import Path; import sys, os\n"
        "from ctwatch.store.database import Database; from ctwatch.store.preparation import prepare\n"
        "database = Database(Path(sys.argv[1])); sys.stdin.read(1); prepare(database)\n"
        "with database.writing() as c: c.execute('INSERT INTO raw.location (location_id) VALUES (?)', [str(os.getpid())])"
    )
    racers = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE) for _ in range(4)]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write(b"go")
        racer.stdin.flush()
    for racer in racers:
        racer.communicate(timeout=60)
        assert racer.returncode == 0
    with Database(tmp_path).reading() as connection:
        assert connection.execute("SELECT count(*) FROM raw.location").fetchall() == [(4,)]
        assert connection.execute("SELECT count(*) = count(DISTINCT name) FROM raw.migration").fetchall() == [(True,)]


def test_a_database_that_is_held_open_is_waited_for_then_named(config: Configure, make_card: Make) -> None:
    """Exit code 5 and the holder's process id; nothing is lost, and the card goes in afterwards."""
    settings = config(text="[store]\nbusy_timeout_s = 0.5\n")
    prepare(Database(settings.store_folder))
    card = make_card()
    with held_open(settings.store_folder / LIVE_NAME) as pid:
        result = ctwatch(settings, "process", str(card))
        assert result.exit_code == 5
        assert f"process {pid}" in result.stderr
        assert PUBLISHED_NAME in result.stderr
        with (
            pytest.raises(StoreBusy, match=f"process {pid}"),
            Database(settings.store_folder, busy_timeout_s=0).reading(),
        ):
            pass
    assert ctwatch(settings, "process", str(card)).exit_code == 0


def test_waiting_ends_as_soon_as_the_holder_lets_go(tmp_path: Path) -> None:
    """No card is refused for a look that somebody took."""
    database = Database(tmp_path, busy_timeout_s=60)
    prepare(database)
    with held_open(database.path, read_only=True) as pid:
        timer = threading.Timer(0.5, os.kill, (pid, signal.SIGKILL))
        timer.start()
        with database.writing() as connection:
            connection.execute("INSERT INTO raw.location (location_id) VALUES ('L01')")
        timer.join()


def corrupted(path: Path, how: str) -> bytes:
    data = path.read_bytes()
    if how == "block":  # inside the tables' data, found by its checksum only when it is read
        at = data.index(b"marker-of-a-block")
        return data[:at] + b"X" * 64 + data[at + 64 :]
    damage = {"header": bytes(4096) + data[4096:], "cut": data[:9000], "empty": b"", "text": b"text" * 5000}
    return damage[how]


@pytest.mark.parametrize("how", ["header", "cut", "empty", "text"])
def test_a_damaged_database_is_told_of_and_never_overwritten(config: Configure, make_card: Make, how: str) -> None:
    """Exit code 5, the remedy in words, and the file's bytes as they were."""
    settings = config()
    card = make_card()
    path = settings.store_folder / LIVE_NAME
    prepare(Database(settings.store_folder))
    damaged = corrupted(path, how)
    path.write_bytes(damaged)
    result = ctwatch(settings, "process", str(card))
    assert result.exit_code == 5
    assert "cannot be read as a database" in result.stderr
    assert PUBLISHED_NAME in result.stderr
    assert path.read_bytes() == damaged
    with pytest.raises(StoreDamaged):
        prepare(Database(settings.store_folder))


def test_a_damaged_block_is_damage_and_no_lock(tmp_path: Path) -> None:
    """It is not waited for, and the copy for readers stays the last good one."""
    database = Database(tmp_path, busy_timeout_s=0)
    prepare(database)
    with database.writing() as connection:
        connection.execute("SET force_compression = 'uncompressed'")
        connection.execute(
            "INSERT INTO raw.location (location_id) SELECT 'marker-of-a-block' || i FROM range(30000) t(i)"
        )
    publish(database, NOW, with_people=True)
    good = (tmp_path / PUBLISHED_NAME).read_bytes()
    damaged = corrupted(database.path, "block")
    database.path.write_bytes(damaged)
    with pytest.raises(StoreDamaged, match=LIVE_NAME), database.reading() as connection:
        connection.execute("SELECT max(location_id), min(location_id) FROM raw.location").fetchall()
    with pytest.raises(StoreDamaged, match=LIVE_NAME):
        publish(database, NOW, with_people=True)
    assert database.path.read_bytes() == damaged
    assert (tmp_path / PUBLISHED_NAME).read_bytes() == good


def test_a_newer_database_is_left_alone(config: Configure, make_card: Make) -> None:
    """It names the version that wrote it."""
    settings = config()
    database = Database(settings.store_folder)
    prepare(database)
    with database.writing() as connection:
        connection.execute("INSERT INTO raw.migration VALUES ('0099_future', now()::TIMESTAMP, '42.0')")
    before = database.path.read_bytes()
    with pytest.raises(StoreTooNew, match=r"42\.0"):
        prepare(database)
    assert ctwatch(settings, "process", str(make_card())).exit_code == 5
    assert database.path.read_bytes() == before


@pytest.mark.parametrize("sql", ["CREATE TABLE mine (i INT)", "CREATE SCHEMA raw; CREATE TABLE raw.migration (i INT)"])
def test_somebody_elses_database_is_left_alone(tmp_path: Path, sql: str) -> None:
    """A DuckDB file that is not ours is refused, not filled."""
    connection = duckdb.connect(str(tmp_path / LIVE_NAME))
    connection.execute(sql)
    connection.close()
    before = (tmp_path / LIVE_NAME).read_bytes()
    with pytest.raises(StoreDamaged, match="not ctwatch's"):
        prepare(Database(tmp_path))
    assert (tmp_path / LIVE_NAME).read_bytes() == before


def test_no_room_is_told_as_no_room_and_loses_nothing(tmp_path: Path) -> None:
    """A full disk is not a damaged file; what was in is still in, and it goes on when there is room."""
    database = Database(tmp_path)
    prepare(database)
    size = database.path.stat().st_size
    script = (
        "import resource, sys; from pathlib import Path; from ctwatch.store.database import Database\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size + 300000}, {size + 300000}))\n"
        "from ctwatch.errors import StoreError\n"
        "try:\n"
        "    with Database(Path(sys.argv[1])).writing() as c:\n"
        '        c.execute("INSERT INTO raw.location (location_id) SELECT md5(i::VARCHAR) FROM range(300000) t(i)")\n'
        "except StoreError as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("StoreFull"), done.stdout + done.stderr
    assert "make room" in done.stdout
    with database.writing() as connection:
        assert connection.execute("SELECT count(*) FROM raw.location").fetchall() == [(0,)]
        connection.execute("INSERT INTO raw.location (location_id) VALUES ('L01')")


def test_a_failed_transaction_leaves_nothing_and_is_told_as_it_was(tmp_path: Path) -> None:
    """What broke is the message, not the rollback of what broke."""
    database = Database(tmp_path)
    prepare(database)
    with pytest.raises(ZeroDivisionError), database.writing() as connection:
        connection.execute("INSERT INTO raw.location (location_id) VALUES ('L01')")
        raise ZeroDivisionError
    with pytest.raises(StoreError, match="no_such_table"), database.writing() as connection:
        connection.execute("INSERT INTO raw.location (location_id) VALUES ('L01')")
        connection.execute("SELECT * FROM no_such_table")
    with database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM raw.location").fetchall() == [(0,)]
    assert not Path(f"{database.path}.wal").exists()


def test_rare_values_in_long_columns_keep_their_type(tmp_path: Path) -> None:
    """One odd name, time or number among many thousand empty cells arrives as it was, to the microsecond."""
    connection = open_file(tmp_path / "t.duckdb", read_only=False)
    connection.execute(
        "CREATE TABLE t (number INT, raw BLOB, moment TIMESTAMP, share DOUBLE, big BIGINT, text VARCHAR)"
    )
    values = (b"\xff\x00\\x41", datetime(2020, 1, 2, 3, 4, 5, 678901), 0.1, 2**62, "line\nquote'\"")
    rows, place = 9973, 7919
    columns = [[value if row == place else None for row in range(rows)] for value in values]
    names = ("raw", "moment", "share", "big", "text")
    insert(connection, "t", {"number": list(range(rows)), **dict(zip(names, columns, strict=True))})
    assert connection.execute("SELECT * EXCLUDE (number) FROM t WHERE number = ?", [place]).fetchall() == [values]
    assert connection.execute("SELECT count(raw), count(moment), count(big), count(*) FROM t").fetchall() == [
        (1, 1, 1, rows)
    ]
    connection.close()


class Word(str):
    """A text that can be asked whether it is still there."""


def test_a_transaction_does_not_hold_the_rows_that_were_put_in(tmp_path: Path) -> None:
    """They are the database's then: a card of any size does not keep all of its rows in Python too until it commits."""
    database = Database(tmp_path)
    prepare(database)
    with database.writing() as connection:
        given = [Word(f"L{number}") for number in range(3)]
        last = weakref.ref(given[-1])
        insert(connection, "raw.location", {"location_id": given})
        del given
        gc.collect()
        assert last() is None
        assert connection.execute("SELECT count(*) FROM raw.location").fetchall() == [(3,)]


def add_location(database: Database, name: str) -> None:
    with database.writing() as connection:
        connection.execute("INSERT INTO raw.location (location_id) VALUES (?)", [name])


def test_a_reader_is_never_disturbed_and_the_next_one_sees_the_new_copy(tmp_path: Path) -> None:
    """A connection that stays open over several publishes answers all along, from the copy that it opened."""
    database = Database(tmp_path)
    prepare(database)
    add_location(database, "L0")
    path = publish(database, NOW, with_people=True)
    assert path.stat().st_mode & 0o777 == 0o444
    reader = open_published(tmp_path)
    for number in range(1, 4):
        add_location(database, f"L{number}")
        publish(database, NOW, with_people=True)
        assert reader.execute("SELECT location_id FROM locations").fetchall() == [("L0",)]
        with held_open(path, read_only=True):
            publish(database, NOW, with_people=True)
    reader.close()
    again = open_published(tmp_path)
    assert again.execute("SELECT count(*) FROM locations").fetchall() == [(4,)]
    again.close()
    assert sorted(item.name for item in tmp_path.glob("*reports*")) == [PUBLISHED_NAME]


def test_a_log_that_a_reader_left_does_not_spoil_the_next_copy(tmp_path: Path) -> None:
    """Somebody opened the published file for writing and died: its log is no part of the new one."""
    database = Database(tmp_path)
    prepare(database)
    path = publish(database, NOW, with_people=True)
    path.chmod(0o644)
    script = (
        f"import duckdb, os; c = duckdb.connect({str(path)!r}); c.execute('CREATE TABLE mine (i INT)');"
        " c.execute('INSERT INTO mine VALUES (1)'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script], check=False)
    assert Path(f"{path}.wal").exists()
    add_location(database, "L1")
    publish(database, NOW, with_people=True)
    reader = open_published(tmp_path)
    assert reader.execute("SELECT count(*) FROM locations").fetchall() == [(1,)]
    reader.close()


def test_a_publish_that_was_cut_off_does_not_stand_in_the_way(tmp_path: Path) -> None:
    """What it left aside is thrown away."""
    database = Database(tmp_path)
    prepare(database)
    (tmp_path / f".{PUBLISHED_NAME}.new").write_bytes(b"half a file")
    (tmp_path / f".{PUBLISHED_NAME}.new.wal").write_bytes(b"half a log")
    publish(database, NOW, with_people=True)
    open_published(tmp_path).close()


def test_two_publishers_at_once_leave_a_whole_copy_of_the_latest(tmp_path: Path) -> None:
    """The daemon and a command may both be at it."""
    database = Database(tmp_path)
    prepare(database)
    script = (
        "import sys; from datetime import datetime; from pathlib import Path; from ctwatch.store.database import Database\n"
        "from ctwatch.store.publish import publish\ndatabase = Database(Path(sys.argv[1]))\n"
        "for i in range(4):\n"
        "    with database.writing() as c: c.execute('INSERT INTO raw.location (location_id) VALUES (?)', [str(i)])\n"
        "    publish(database, datetime(2026, 11, 21), with_people=True)"
    )
    racers = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stderr=subprocess.PIPE) for _ in range(3)]
    for racer in racers:
        _, errors = racer.communicate(timeout=60)
        assert racer.returncode == 0, errors
    reader = open_published(tmp_path)
    assert reader.execute("SELECT count(*) FROM locations").fetchall() == [(12,)]
    reader.close()


def test_the_last_good_copy_takes_the_place_of_a_damaged_file(config: Configure, make_card: Make) -> None:
    """As the message says: move the damaged one away, copy the published one in its place, go on."""
    settings = config()
    card = make_card("L01", 3)
    ctwatch(settings, "process", str(card))
    live, published = settings.store_folder / LIVE_NAME, settings.store_folder / PUBLISHED_NAME
    live.rename(live.with_suffix(".damaged"))
    shutil.copyfile(published, live)
    store = Store(settings)
    assert store.process(card).already_in
    assert store.process(make_card("L02", 3, first=10)).counts.media == 3
    assert store.rows("SELECT count(*) FROM media") == [(6,)]


def test_a_database_of_an_earlier_ctwatch_keeps_its_times_and_decisions(tmp_path: Path) -> None:
    """What came before clocks could be corrected and people could answer reads as it did, and one file more changes nothing."""
    from ctwatch.store import database as module
    from ctwatch.store import surveys

    earlier = [step for step in module._steps() if step[0] in module.MIGRATIONS[:3]]
    connection = duckdb.connect(str(tmp_path / LIVE_NAME))
    module._apply(connection, earlier)
    connection.execute(
        "INSERT INTO raw.media (media_id, timestamp, timestamp_trusted) VALUES ('m', '2026-05-01 10:00', true)"
    )
    connection.execute("INSERT INTO raw.card (card_id, card_name, card_path) VALUES ('c', 'CARD', '/in/CARD')")
    connection.execute(
        "INSERT INTO raw.deployment (deployment_id, location_id, source) VALUES ('d', 'L', 'folder_name')"
    )
    connection.execute(
        "INSERT INTO raw.card_file (card_id, file_path, status, media_id, deployment_id) VALUES ('c', 'a.jpg', 'media', 'm', 'd')"
    )
    connection.execute(
        "INSERT INTO raw.observation (observation_id, deployment_id, observation_level, observation_type, classified_by)"
        " VALUES ('o', 'd', 'event', 'animal', 'models')"
    )
    connection.close()
    database = Database(tmp_path)
    prepare(database)
    with database.reading() as connection:
        survey = surveys.load(connection, "0")
    assert survey.media.timestamp.tolist() == survey.media.recorded.tolist() == [datetime(2026, 5, 1, 10)]
    assert survey.media.trusted.tolist() == [True]
    assert survey.observations.classification_method == ["machine"]
    assert survey.deployments[0].media_count == 1


@pytest.mark.parametrize("command", [["report"], ["report", "quality"], ["export", "--out", "out", "coco"]])
def test_the_copy_that_an_earlier_ctwatch_published_is_told_of(
    config: Configure, make_card: Make, tmp_path: Path, command: list[str]
) -> None:
    """Until this one publishes, what it asks for is not there; a sentence says how to get it, not DuckDB."""
    settings = config()
    store = Store(settings)
    store.process(make_card())
    published = publish(store.database, NOW, with_people=True)
    published.chmod(0o644)
    connection = duckdb.connect(str(published))
    connection.execute("DELETE FROM raw.migration WHERE name = ?", [MIGRATIONS[-1]])
    connection.close()
    told = ctwatch(settings, *[str(tmp_path / word) if word == "out" else word for word in command])
    # The status is there to tell of trouble, and so does not end in it.
    assert told.exit_code == (0 if command == ["status"] else StoreError.exit_code)
    assert "earlier ctwatch" in told.output
    assert "rederive" in told.output
    publish(store.database, NOW, with_people=True)
    assert ctwatch(settings, "report").exit_code == 0


def test_a_question_is_written_into_one_file_and_no_other(config: Configure, make_card: Make, tmp_path: Path) -> None:
    """A comment at its end is a comment, quotes in the file's name are quotes, and a question cannot name another file."""
    settings = config()
    store = Store(settings)
    store.process(make_card())
    publish(store.database, NOW, with_people=True)
    wanted, other = tmp_path / "it's.parquet", tmp_path / "other.csv"
    assert ctwatch(settings, "query", "FROM media; -- all of them", "--parquet", str(wanted)).exit_code == 2
    assert ctwatch(settings, "query", "FROM media -- all of them", "--parquet", str(wanted)).exit_code == 0
    assert duckdb.execute("SELECT count(*) FROM read_parquet(?)", [str(wanted)]).fetchall() == [(3,)]
    for sql in ("SELECT 1) TO '{}' (FORMAT csv); --", "SELECT 1) TO '{}' (FORMAT csv); COPY (SELECT 2"):
        assert ctwatch(settings, "query", sql.format(other), "--parquet", str(wanted)).exit_code == 2
    assert not other.exists()


READER = """
import importlib.util, sys, time
from pathlib import Path
import duckdb
path, end, stays = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "stays"
pandas = sys.argv[4] == "pandas" and importlib.util.find_spec("pandas") is not None

def ask(connection, sql):
    return connection.execute(sql).df().values.tolist()[0] if pandas else list(connection.execute(sql).fetchall()[0])

answers, states = 0, set()
while answers == 0 or not end.exists():
    connection = duckdb.connect(str(path), read_only=True, config={"threads": 1})
    first = ask(connection, "SELECT published_at, cards, media, events FROM publication")
    for _ in range(1_000_000 if stays else 5):
        assert ask(connection, "SELECT published_at, cards, media, events FROM publication") == first
        counted = [ask(connection, f"SELECT count(*) FROM {view}")[0] for view in ("cards", "media", "events")]
        assert counted == first[1:], (counted, first)
        assert ask(connection, "SELECT sum(media)::BIGINT FROM cards")[0] == first[2], first
        assert ask(connection, "SELECT sum(media_count)::BIGINT FROM events")[0] == first[2], first
        answers += 1
        if end.exists():
            break
        time.sleep(0.2)  # people think between their questions
    states.add(first[1])
    connection.close()
print(answers, len(states))
"""


def test_readers_all_day_are_never_in_the_way_and_see_one_state(
    config: Configure, make_card: Make, tmp_path: Path
) -> None:
    """Eight of them, some with one connection all along, while cards are committed and published."""
    settings = config()
    store = Store(settings)
    store.process(make_card())
    put_out(settings, store.database)
    end = tmp_path / "end"
    readers = [
        subprocess.Popen(
            [
                sys.executable, "-c", READER, str(settings.store_folder / PUBLISHED_NAME), str(end),
                "stays" if number % 2 else "comes back", "pandas" if number == 0 else "plain",
            ],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number in range(8)
    ]  # fmt: skip
    try:
        for number in range(1, 5):
            assert store.process(make_card(f"L{number:02d}_CAM2", 3, first=30 * number)).counts.media == 3
            put_out(settings, store.database)
        assert all(reader.poll() is None for reader in readers)
    finally:
        end.touch()
        told = [reader.communicate(timeout=60) for reader in readers]
    assert [(reader.returncode, errors) for reader, (_, errors) in zip(readers, told, strict=True)] == [(0, "")] * 8
    answers = [[int(word) for word in out.split()] for out, _ in told]
    assert all(count > 0 for count, _ in answers)
    assert max(states for _, states in answers) > 1
    with open_published(settings.store_folder) as connection:
        assert connection.execute("SELECT cards, media, with_people FROM publication").fetchall() == [(5, 15, True)]
