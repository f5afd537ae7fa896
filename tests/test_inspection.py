"""Whether a database is whole: nothing wrong is found in what real cards give, and everything that is made wrong."""

import os
from datetime import datetime
from pathlib import Path

import duckdb
import pytest
from conftest import Store, moment_of, photograph

from ctwatch import config as configuration
from ctwatch.errors import StoreDamaged, StoreTooNew
from ctwatch.store.copies import write_copy
from ctwatch.store.database import LIVE_NAME, Database
from ctwatch.store.inspection import inspect, inspect_file

NOW = datetime(2026, 11, 21, 12)
WRONG = {
    "DELETE FROM raw.card_file WHERE rowid = 0": "counts other than their files",
    "UPDATE raw.card SET media = media + 1": "do not add up",
    "INSERT INTO raw.card SELECT * FROM raw.card": "in twice",
    "DELETE FROM raw.card": "files and are not in",
    "DELETE FROM raw.media WHERE rowid = 0": "lack their photograph",
    "UPDATE raw.card_file SET status = 'media' WHERE status = 'duplicate'": "count twice",
    "DELETE FROM raw.deployment": "belong to no deployment",
    "DELETE FROM raw.media_time WHERE rowid = 0": "no corrected time",
    "INSERT INTO raw.media_time SELECT 'x', deployment_id, timestamp, true, NULL FROM raw.media_time LIMIT 1": "of no photograph",
    "DELETE FROM raw.model": "no known model",
    "DELETE FROM raw.event_media WHERE rowid = 0": "other photographs than they count",
    "DELETE FROM raw.location": "have no location",
    "UPDATE raw.observation SET deployment_id = 'elsewhere' WHERE rowid = 0": "rows of observation",
    "UPDATE raw.event SET deployment_id = 'elsewhere' WHERE rowid = 0": "rows of event are",
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_models: Path) -> Path:
    """A database with photographs, duplicates, broken files and predictions."""
    base = tmp_path_factory.mktemp("whole")
    (base / "config.toml").write_text(
        f"[models]\nempty = '{tiny_models}/empty'\nspecies = '{tiny_models}/species'\n"
        "device = 'cpu'\nengine = 'eager'\nthreads = 1\n",
        "utf-8",
    )
    store = Store(configuration.load(base / "config.toml"))
    for card, first in (("L01_CAM1", 0), ("L02_CAM1", 4)):
        (base / "inbox" / card).mkdir(parents=True)
        for number in range(first, first + 6):
            (base / "inbox" / card / f"{number}.jpg").write_bytes(photograph(number, moment_of(number)))
        (base / "inbox" / card / "broken.jpg").write_bytes(photograph(first, moment_of(first))[:-200])
        (base / "inbox" / card / "empty.jpg").write_bytes(b"")
        (base / "inbox" / card / "film.mp4").write_bytes(b"film")
        store.process(base / "inbox" / card)
    return store.database.path


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    path = tmp_path / LIVE_NAME
    path.write_bytes(whole.read_bytes())
    return path


def test_a_whole_database_has_no_problem_and_is_not_changed(copy: Path) -> None:
    before = copy.read_bytes()
    database = Database(copy.parent)
    assert inspect(database) == []
    assert copy.read_bytes() == before
    backup = write_copy(database, copy.with_name("copy.duckdb"), NOW)
    assert inspect_file(backup) == []


@pytest.mark.parametrize("sql", WRONG)
def test_what_does_not_fit_is_found_and_named(sql: str, copy: Path) -> None:
    """Each rule by something that breaks it."""
    with duckdb.connect(str(copy)) as connection:
        connection.execute(sql)
    problems = inspect_file(copy)
    assert any(WRONG[sql] in problem for problem in problems), problems


def test_a_torn_block_of_any_table_is_found(copy: Path) -> None:
    """Every block that holds rows or says where they are is read: a few other bytes in any are damage that names the file."""
    with duckdb.connect(str(copy)) as connection:
        connection.execute("SET force_compression = 'uncompressed'")
        connection.execute(
            "INSERT INTO raw.miniature SELECT md5(i::VARCHAR), 0,"
            " unhex(md5(random()::VARCHAR) || md5(random()::VARCHAR) || md5(random()::VARCHAR)) FROM range(30000) t(i)"
        )
        connection.execute("CHECKPOINT")
        used = {
            row[0]
            for (table,) in connection.execute(
                "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'raw'"
            ).fetchall()
            for row in connection.execute(
                f"SELECT DISTINCT block_id FROM pragma_storage_info('raw.{table}') WHERE block_id >= 0"
            ).fetchall()
        }
    whole = copy.read_bytes()
    assert len(used) > 10
    for block in sorted(used):
        at = 12288 + block * 262144
        copy.write_bytes(whole[: at + 100] + os.urandom(64) + whole[at + 164 :])
        with pytest.raises(StoreDamaged, match=LIVE_NAME):
            inspect_file(copy)


def test_a_newer_or_foreign_database_is_none_of_ours_to_judge(copy: Path, tmp_path: Path) -> None:
    with duckdb.connect(str(copy)) as connection:
        connection.execute("INSERT INTO raw.migration VALUES ('9999_later', TIMESTAMP '2100-01-01', '99.0')")
    with pytest.raises(StoreTooNew):
        inspect_file(copy)
    duckdb.connect(str(tmp_path / "other.duckdb")).close()
    with pytest.raises(StoreDamaged, match="not ctwatch's"):
        inspect_file(tmp_path / "other.duckdb")
