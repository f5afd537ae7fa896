"""People in pictures: who is private is said in one place, and nothing that is derived or published shows them unless asked."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner, Result
from conftest import Store, moment_of, photograph
from PIL import Image

from ctwatch.cli import main
from ctwatch.cli.files import EXPORTS
from ctwatch.config import Config
from ctwatch.errors import EXIT_MEDIA_FAILED
from ctwatch.store.database import PUBLISHED_NAME
from ctwatch.store.missing import whereabouts
from ctwatch.store.publish import publish

Make = Callable[..., Path]
Configure = Callable[..., Config]
NOW = datetime(2026, 11, 21, 12)
TABLE = """deploymentID,locationID,latitude,longitude,deploymentStart,deploymentEnd,folder
A,RIVER,-2.3,34.8,2026-05-01T09:00:00,2026-05-15T12:00:00,L01_CAM1
B,RIDGE,-2.35,34.85,2026-05-01T09:00:00,2026-05-15T12:00:00,L02_CAM1
"""
SETTINGS = (
    "[deployments]\ntable = 'deployments.csv'\nutc_offset = '+03:00'\n[project]\ncontributors = ['Ann <a@b.org>']\n"
)
HIDDEN = "SECRET"


def ctwatch(config: Config, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--config", str(config.base / "config.toml"), *arguments])


def done(config: Config, *arguments: str) -> Result:
    result = ctwatch(config, *arguments)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture
def survey(config: Configure, make_card: Make, tmp_path: Path) -> Iterator[Store]:
    """Two cards; on one frame of the first event a person sees somebody, and every file of that event has a telling name.

    A further file of it is broken, a copy of one lies on the second card, and one tells the time of the camera's clock.
    """
    (tmp_path / "deployments.csv").write_text(TABLE, "utf-8")
    settings = config(text=SETTINGS)
    card = make_card("L01_CAM1", 9)
    for number in range(3):
        (card / f"IMG_{number:04d}.JPG").rename(card / f"{HIDDEN}_{number}.JPG")
    (card / f"{HIDDEN}_BROKEN.JPG").write_bytes(photograph(77, moment_of(1))[:-300])
    other = make_card("L02_CAM1", 3, first=60)
    shutil.copyfile(card / f"{HIDDEN}_1.JPG", other / f"{HIDDEN}_COPY.JPG")
    assert ctwatch(settings, "process", str(card), str(other)).exit_code == EXIT_MEDIA_FAILED
    (tmp_path / "people.csv").write_text(
        f"File,RelativePath,Species,Reviewed,ReviewedBy\n{HIDDEN}_1.JPG,L01_CAM1,human,true,Ann\n"
        "IMG_0003.JPG,L01_CAM1,Panthera pardus,true,Ann\n"
        f"{HIDDEN}_2.JPG,L01_CAM1,Crocuta crocuta,true,Ann\n",
        "utf-8",
    )
    done(settings, "import", str(tmp_path / "people.csv"), "--as", "human")
    store = Store(settings)
    with store.database.writing() as connection:
        connection.execute("INSERT INTO raw.clock_point VALUES ('A', ?, NULL, '2026-05-01 10:00')", [f"{HIDDEN}_0.JPG"])
        connection.execute(
            "INSERT INTO raw.machine_box SELECT media_id, 'human', 0.9, 0, 0, 1, 1, 'detector', NULL FROM raw.media"
        )
        connection.execute("INSERT INTO raw.miniature SELECT media_id, 0, media_id::BLOB FROM raw.media")
        connection.execute(
            "INSERT INTO raw.quarantine SELECT media_id, 'L01_CAM1', file_path, 'x', 'y', NULL FROM raw.card_file"
            " WHERE file_path LIKE 'SECRET_0%'"
        )
    publish(store.database, NOW, with_people=True)
    yield store


def private_ids(store: Store) -> list[str]:
    return [row[0] for row in store.rows("SELECT media_id FROM media WHERE private ORDER BY 1")]


def told_in(folder: Path, store: Store) -> set[str]:
    """What of the private photographs stands in the bytes of files: their names and ids."""
    names = [HIDDEN, *private_ids(store)]
    found = set()
    for path in folder.rglob("*") if folder.is_dir() else [folder]:
        if path.is_file():
            data = path.read_bytes()
            found |= {name for name in names if name.encode() in data}
    return found


def test_all_frames_of_an_event_with_somebody_are_private(survey: Store) -> None:
    """The broken one too; no other."""
    names = {name for (name,) in survey.rows("SELECT file_name FROM media WHERE private")}
    assert names == {f"{HIDDEN}_{each}.JPG" for each in ("0", "1", "2", "BROKEN")}
    assert survey.rows("SELECT private FROM duplicates") == [(True,)]
    assert survey.rows("SELECT private FROM failures") == [(True,)]


def test_one_person_who_saw_somebody_is_enough_until_they_change_their_mind(survey: Store) -> None:
    """Whatever others say; what a model decides counts as well, and frames without an event are private alone."""
    sql = (
        "INSERT INTO raw.human_label (media_id, label, labelled_by, labelled_at)"
        " SELECT media_id, '{}', '{}', '{}' FROM media WHERE {}"
    )
    with survey.database.writing() as connection:
        connection.execute("DELETE FROM raw.human_label")
        connection.execute("DELETE FROM raw.observation WHERE observation_type = 'human'")
    assert private_ids(survey) == []
    where = "file_name = 'IMG_0006.JPG'"
    with survey.database.writing() as connection:
        connection.execute(sql.format("Panthera pardus | Person", "Ann", "2026-06-01", where))
        connection.execute(sql.format("blank", "Bob", "2026-06-02", where))
    assert survey.rows("SELECT file_name FROM media WHERE private ORDER BY 1") == [
        ("IMG_0006.JPG",), ("IMG_0007.JPG",), ("IMG_0008.JPG",)
    ]  # fmt: skip
    with survey.database.writing() as connection:
        connection.execute(sql.format("blank", "Ann", "2026-06-03", where))
    assert private_ids(survey) == []
    with survey.database.writing() as connection:
        connection.execute(
            "INSERT INTO raw.observation (observation_id, media_id, observation_level, observation_type)"
            " SELECT 'x', media_id, 'media', 'human' FROM media WHERE file_name = 'IMG_0003.JPG'"
        )
    assert len(private_ids(survey)) == 3


def test_no_export_names_a_private_photograph_unless_asked(survey: Store, tmp_path: Path) -> None:
    """Neither path nor id is anywhere in the bytes; asked for, they are where photographs are named at all."""
    naming = {"camtrapr", "camtrap-dp", "megadetector", "coco", "timelapse", "wildlife-insights"}
    for name in EXPORTS:
        hidden, shown = tmp_path / "without" / name, tmp_path / "with" / name
        assert HIDDEN not in done(survey.config, "export", name, "--out", str(hidden)).output
        assert told_in(hidden, survey) == set(), name
        done(survey.config, "export", name, "--out", str(shown), "--with-people")
        assert bool(told_in(shown, survey)) == (name in naming), name
    sheets = [
        Image.open(tmp_path / each / "contact-sheet" / "contact-sheet.png").tobytes() for each in ("without", "with")
    ]
    assert sheets[0] != sheets[1]


def test_the_page_and_the_reports_show_nobody_unless_asked(survey: Store, tmp_path: Path) -> None:
    """The only frame of one species is private: it has a picture only where it is asked for."""
    page = tmp_path / "page.html"
    told = [json.loads(done(survey.config, "report", "--html", str(page), "--json").stdout)["pictures"]]
    assert told_in(page, survey) == set()
    told.append(
        json.loads(done(survey.config, "report", "--html", str(page), "--with-people", "--json").stdout)["pictures"]
    )
    assert told == [1, 2]
    assert ctwatch(survey.config, "report", "--with-people").exit_code == 2
    everything = done(survey.config, "report").output + done(survey.config, "report", "--json").output
    assert HIDDEN not in everything
    assert not any(media_id in everything for media_id in private_ids(survey))


def test_a_copy_published_without_people_holds_nothing_of_them(survey: Store, tmp_path: Path) -> None:
    """No row of any table and no byte of the file; events, effort and counts of cards are as they were."""
    ids = private_ids(survey)
    path = publish(survey.database, NOW, with_people=False)
    text = []
    with duckdb.connect(str(path), read_only=True) as connection:
        for (table,) in connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'raw'"
        ).fetchall():
            text.append(repr(connection.execute(f'SELECT * FROM raw."{table}"').fetchall()))
        everything = "".join(text)
        assert HIDDEN not in everything
        assert not any(media_id in everything for media_id in ids)
        views = ("events", "observations WHERE observation_level = 'event'", "effort", "cards", "locations", "models")
        for view in views:
            order = f"SELECT * FROM {view} ORDER BY ALL"
            assert connection.execute(order).fetchall() == survey.rows(order), view
        assert connection.execute("SELECT count(*) FROM media WHERE private").fetchall() == [(0,)]
        assert connection.execute("SELECT with_people, media FROM publication").fetchall() == [(False, 9)]
    assert told_in(path, survey) == set()
    everything = done(survey.config, "report").output
    assert HIDDEN not in everything
    sheet = done(survey.config, "export", "--out", str(tmp_path / "out"), "--with-people")
    assert "publish_people is false" in sheet.stderr
    packages = done(survey.config, "export", "coco", "camtrapr", "--out", str(tmp_path / "out"), "--with-people")
    assert "publish_people is false" in packages.stderr
    assert told_in(tmp_path / "out", survey) == set()
    page = done(survey.config, "report", "--html", str(tmp_path / "page.html"), "--with-people")
    assert "publish_people is false" in page.stderr


def test_the_configuration_decides_what_is_published(survey: Store) -> None:
    """With the next publication."""
    settings = survey.config.base / "config.toml"
    settings.write_text(settings.read_text("utf-8") + "[store]\npublish_people = false\n", "utf-8")
    done(survey.config, "rederive", "--no-inference")
    with duckdb.connect(str(survey.config.store_folder / PUBLISHED_NAME), read_only=True) as connection:
        assert connection.execute("SELECT with_people FROM publication").fetchall() == [(False,)]
        assert connection.execute("SELECT count(*) FROM media WHERE file_path LIKE 'SECRET%'").fetchall() == [(0,)]


def test_originals_are_found_in_the_archive(survey: Store, tmp_path: Path) -> None:
    """Where the card was moved to; where it lay before is tried after it."""
    card, place = tmp_path / "inbox" / "L01_CAM1", tmp_path / "archive" / "L01_CAM1"
    place.parent.mkdir()
    os.replace(card, place)
    [(media_id,)] = survey.rows("SELECT media_id FROM media WHERE file_name = 'IMG_0003.JPG'")
    with survey.database.writing() as connection:
        connection.execute("UPDATE raw.card SET archive_path = ? WHERE card_name = 'L01_CAM1'", [str(place)])
        places = [item.card_path for item in whereabouts(connection, [media_id])]
    assert places == [str(place), str(card)]
    assert survey.rows(f"SELECT source_path FROM media WHERE media_id = '{media_id}'") == [(f"{place}/IMG_0003.JPG",)]
    publish(survey.database, NOW, with_people=True)
    pictures = json.loads(done(survey.config, "report", "--html", str(tmp_path / "page.html"), "--json").stdout)
    assert pictures["pictures"] == 1
