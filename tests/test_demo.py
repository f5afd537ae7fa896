"""The main job, whole: the demo station through the real daemon and the bundled models."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from ctwatch import config as configuration
from ctwatch import exif
from ctwatch.cli import main
from ctwatch.demo.show import AGAIN
from ctwatch.demo.station import CARDS, write_card
from ctwatch.store.publish import open_published


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run of `ctwatch demo`."""
    folder = tmp_path_factory.mktemp("demo") / "station"
    result = CliRunner().invoke(main, ["demo", str(folder)])
    assert result.exit_code == 0, result.output
    assert "Detection histories" in result.output
    assert str(folder / "contact-sheet.png") in result.output
    return folder


def rows(folder: Path, sql: str) -> list[tuple[object, ...]]:
    connection = open_published(configuration.load(folder / "config.toml").store_folder)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def test_every_file_of_every_card_is_accounted_for(demo: Path) -> None:
    """One truncated file, one card dropped twice, nothing counted twice."""
    cards = dict(
        (row[0], row[1:]) for row in rows(demo, "SELECT card_name, files_seen, media, duplicates, failed FROM cards")
    )
    first, second, third = CARDS
    assert cards[second.folder] == (second.files, second.files, 0, 0)
    assert cards[third.folder] == (third.files, third.files, 0, 0)
    both = sorted([cards[first.folder], cards[AGAIN]])
    assert both == [(first.files, 0, first.files, 0), (first.files, first.files - 1, 0, 1)]
    assert rows(demo, "SELECT count(*) FROM media") == [(sum(card.files for card in CARDS),)]


def test_events_are_the_visits_of_the_script(demo: Path) -> None:
    """Bursts are events, visits less than a minute apart are one, noon frames are none."""
    visits = sum(not visit.time_lapse for card in CARDS for visit in card.visits)
    joined = 1  # the second antelope came 38 seconds after the first
    assert rows(demo, "SELECT count(*) FROM events") == [(visits - joined,)]
    noons = sum(visit.time_lapse for card in CARDS for visit in card.visits)
    found = rows(demo, "SELECT count(*), count(event_id) FROM media WHERE capture_method = 'timeLapse'")
    assert found == [(noons, 0)]


def test_the_bundled_models_name_most_of_the_drawn_animals(demo: Path) -> None:
    """Of the script's animal visits at least four in five are named right, and at most one is called blank."""
    told = rows(
        demo,
        "SELECT strftime(event_start, '%Y-%m-%d %H:%M:%S'), observation_type, scientific_name FROM observations"
        " WHERE observation_level = 'event'",
    )
    by_start: dict[object, set[object]] = {}
    for start, kind, name in told:
        by_start.setdefault(start, set()).add({"Homo sapiens": "human"}.get(str(name), name) or kind)
    right, wrong, lost = 0, [], []
    for card in CARDS:
        for visit in card.visits:
            day = f"{card.first_day.replace(day=card.first_day.day + visit.day):%Y-%m-%d} {visit.clock}"
            if visit.species is None or day not in by_start:
                continue
            right += visit.species in by_start[day]
            wrong += [] if visit.species in by_start[day] else [(visit, by_start[day])]
            lost += [visit] if by_start[day] == {"blank"} else []
    assert right >= 4 * (right + len(wrong)) / 5, wrong
    assert len(lost) <= 1, lost


def test_effort_comes_from_the_deployments_table(demo: Path) -> None:
    """Part days at setup and retrieval, NA after the camera was taken down."""
    text = (demo / "data" / "results" / "effort.csv").read_text("utf-8")
    assert text == "locationID,o1,o2,o3,o4\nRIDGE,5.4167,7,5.6667,NA\nWATERHOLE,6.5833,7,7,0.3958\n"


def test_the_contact_sheet_is_a_picture_of_all_events(demo: Path) -> None:
    """A row each."""
    with Image.open(demo / "contact-sheet.png") as sheet:
        events = int(str(rows(demo, "SELECT count(*) FROM events")[0][0]))
        assert sheet.height > events * 150


def test_the_daemon_left_its_store_in_order(demo: Path) -> None:
    """No log behind, the status says stopped."""
    data = demo / "data"
    assert not list(data.glob("*.wal"))
    assert json.loads((data / "status.json").read_text("utf-8"))["state"] == "stopped"
    assert (data / "reports.duckdb").stat().st_mode & 0o777 == 0o444


def test_a_folder_with_something_else_is_never_cleared(tmp_path: Path) -> None:
    """The demo makes its own folder anew, and no other."""
    (tmp_path / "thesis.doc").write_text("years of work")
    result = CliRunner().invoke(main, ["demo", str(tmp_path)])
    assert result.exit_code == 1
    assert (tmp_path / "thesis.doc").read_text() == "years of work"


def test_the_cards_look_like_a_hyperfire_s(tmp_path: Path) -> None:
    """Names that begin anew, DCIM/100RECNX and 101RECNX, maker notes with sequence, event and serial."""
    write_card(CARDS[1], tmp_path)
    names = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.JPG"))
    assert names[0] == "DCIM/100RECNX/RCNX0001.JPG"
    assert names[-1].startswith("DCIM/101RECNX/")
    burst = [exif.read((tmp_path / name).read_bytes()) for name in names[1:4]]
    facts = [(header.camera.sequence_number, header.camera.sequence_total) for header in burst if header]
    assert facts[:1] == [(1, 3)] or (None, None) in facts
    header = burst[0]
    assert header is not None
    assert (header.camera.make, header.camera.serial, header.camera.user_label) == (
        "RECONYX",
        "P900DEMO000001",
        "WATERHOLE",
    )
