"""Effort as an ecologist would count it: which days a camera is taken to have worked, and which not."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from zlib import crc32

import pytest
from conftest import Store, photograph

from ctwatch.config import Config
from ctwatch.results import put_out

TABLE = "[deployments]\ntable = 'deployments.csv'\n"


def card(inbox: Path, name: str, *moments: datetime) -> Path:
    """A card with a photograph at each moment."""
    folder = inbox / name
    folder.mkdir(parents=True)
    for number, moment in enumerate(moments):
        (folder / f"IMG_{number:04d}.JPG").write_bytes(photograph(crc32(name.encode()) % 10_000 + number, moment))
    return folder


def days(store: Store) -> dict[str, float]:
    return dict(store.rows("SELECT location_id, sum(camera_days) FROM effort GROUP BY 1"))


def test_every_day_from_the_first_photograph_to_the_last_is_assumed_and_marked(store: Store, tmp_path: Path) -> None:
    """For want of dates; the report says so."""
    store.process(card(tmp_path / "inbox", "RIDGE", datetime(2026, 5, 1, 8), datetime(2026, 5, 20, 9)))
    assert days(store) == {"RIDGE": 20.0}
    assert store.rows("SELECT DISTINCT assumed FROM effort") == [(True,)]


def test_a_reset_clock_does_not_make_years_of_effort(store: Store, tmp_path: Path) -> None:
    """Silences of more than 60 days on a card are not assumed to have been worked."""
    moments = (datetime(2012, 1, 1), datetime(2026, 5, 1), datetime(2026, 5, 20))
    store.process(card(tmp_path / "inbox", "RIDGE", *moments))
    assert days(store) == {"RIDGE": 21.0}


def test_the_same_folder_name_next_season_leaves_the_months_between_unsurveyed(store: Store, tmp_path: Path) -> None:
    """Each card speaks for its own span."""
    inbox = tmp_path / "inbox"
    folder = card(inbox, "RIDGE", datetime(2026, 5, 1), datetime(2026, 5, 11))
    store.process(folder)
    folder.rename(tmp_path / "away")
    store.process(card(inbox, "RIDGE", datetime(2026, 6, 20), datetime(2026, 6, 29)))
    assert days(store) == {"RIDGE": 21.0}


def test_the_day_of_a_card_swap_counts_once_for_one_camera_and_twice_for_two(store: Store, tmp_path: Path) -> None:
    """Camera-days are days of cameras, not of cards."""
    inbox, swap = tmp_path / "inbox", datetime(2026, 5, 11, 9)
    store.process(card(inbox, "RIDGE_CAM1_20260511", swap - timedelta(days=1), swap))
    store.process(card(inbox, "RIDGE_CAM1_20260522", swap + timedelta(minutes=5), swap + timedelta(days=1)))
    on_day = "SELECT camera_days FROM effort WHERE day = DATE '2026-05-11'"
    assert store.rows(on_day) == [(1.0,)]
    store.process(card(inbox, "RIDGE_CAM2_20260511", swap))
    assert store.rows(on_day) == [(2.0,)]


def test_a_camera_that_still_hangs_works_once_on_the_day_of_the_swap(
    config: Callable[..., Config], tmp_path: Path
) -> None:
    """The deployment before is over at noon, this one is assumed to work all day: together a day, not a day and a half."""
    settings = config(text=TABLE)
    (settings.base / "deployments.csv").write_text(
        "deploymentID,locationID,cameraID,deploymentStart,deploymentEnd,folder\n"
        "A1,RIDGE,CAM1,2026-05-09,2026-05-11,A1\nA2,RIDGE,CAM1,2026-05-11,,A2\n",
        "utf-8",
    )
    store, swap = Store(settings), datetime(2026, 5, 11, 14)
    store.process(card(tmp_path / "inbox", "A2", swap, swap + timedelta(days=1)))
    assert store.rows("SELECT day::VARCHAR, camera_days FROM effort ORDER BY 1") == [
        ("2026-05-09", 0.5), ("2026-05-10", 1.0), ("2026-05-11", 1.0), ("2026-05-12", 1.0),
    ]  # fmt: skip


def test_a_camera_that_worked_and_saw_nothing_is_surveyed(config: Callable[..., Config], tmp_path: Path) -> None:
    """Its row is zeros with effort, not absent: camtrapR takes the operation from the table, too."""
    (tmp_path / "deployments.csv").write_text(
        "deploymentID,locationID,deploymentStart,deploymentEnd\n"
        "A1,A,2026-05-01,2026-05-20\nB1,B,2026-05-01,2026-05-20\n",
        "utf-8",
    )
    store = Store(config(text=TABLE))
    store.process(card(tmp_path / "inbox", "A", datetime(2026, 5, 3)))
    assert days(store) == {"A": 19.0, "B": 19.0}
    (tmp_path / "deployments.csv").write_text(
        "deploymentID,locationID,deploymentStart,deploymentEnd\nA1,A,2026-05-01,2026-05-20\n", "utf-8"
    )
    store.pipeline.rederive()
    assert days(store) == {"A": 19.0}


def test_a_moved_camera_s_stray_photograph_is_a_presence_nowhere(config: Callable[..., Config], tmp_path: Path) -> None:
    """Known by its serial number at two places, outside the dates of both: neither is credited."""
    (tmp_path / "deployments.csv").write_text(
        "deploymentID,locationID,deploymentStart,deploymentEnd,cameraID\n"
        "A1,A,2026-01-01,2026-01-31,S1\nB1,B,2026-03-01,2026-03-31,S1\n",
        "utf-8",
    )
    store = Store(config(text=TABLE))
    folder = tmp_path / "inbox" / "DCIM"
    folder.mkdir(parents=True)
    (folder / "IMG_0001.JPG").write_bytes(photograph(1, datetime(2026, 4, 5), serial="S1"))
    store.process(folder)
    assert store.rows("SELECT location_id FROM media") == [("unassigned",)]
    flags = store.rows("SELECT flag FROM deployments WHERE media_count > 0")
    assert "no deployment covers" in str(flags[0][0])
    assert set(days(store)) == {"A", "B"}


def test_photographs_outside_the_dates_of_their_deployment_are_flagged_and_the_flag_stays(
    config: Callable[..., Config], tmp_path: Path
) -> None:
    """A later card without fault does not hide what an earlier one showed."""
    (tmp_path / "deployments.csv").write_text(
        "deploymentID,locationID,deploymentStart,deploymentEnd\nA1,A,2026-05-01,2026-05-20\n", "utf-8"
    )
    store = Store(config(text=TABLE))
    store.process(card(tmp_path / "inbox", "A_CAM1_20260501", datetime(2025, 5, 2)))
    store.process(card(tmp_path / "inbox", "A_CAM1_20260502", datetime(2026, 5, 3)))
    assert "lie outside its dates" in str(store.rows("SELECT flag FROM deployments")[0][0])


def test_a_table_edited_while_a_card_is_read_holds_for_that_card(config: Callable[..., Config], tmp_path: Path) -> None:
    """The commit takes what the table says then, not what it said when reading began."""
    path = tmp_path / "deployments.csv"
    path.write_text("deploymentID,locationID,folder\nD1,Old,CARD\n", "utf-8")

    def edit(point: str) -> None:
        if point == "predicted":
            path.write_text("deploymentID,locationID,folder\nD1,New,CARD\n", "utf-8")

    store = Store(config(text=TABLE), at=edit)
    store.process(card(tmp_path / "inbox", "CARD", datetime(2026, 5, 3)))
    assert store.rows("SELECT location_id FROM media") == [("New",)]


def test_a_camera_that_was_out_of_order_stood_there_and_did_not_work(
    config: Callable[..., Config], tmp_path: Path
) -> None:
    """Days out as a whole have 0 camera-days, not none; with deployment dates and without."""
    (tmp_path / "deployments.csv").write_text(
        "deploymentID,locationID,deploymentStart,deploymentEnd,Problem1_from,Problem1_to,folder\n"
        "A1,A,2026-05-01,2026-05-20,2026-05-03,2026-05-05,\n"
        "B1,B,,,2026-05-03,2026-05-05,B\n",
        "utf-8",
    )
    store = Store(config(text=TABLE))
    store.process(card(tmp_path / "inbox", "B", datetime(2026, 5, 1, 8), datetime(2026, 5, 10, 9)))
    assert days(store) == {"A": 16.0, "B": 7.0}
    out = "SELECT location_id, count(*), any_value(assumed) FROM effort WHERE camera_days = 0 GROUP BY 1 ORDER BY 1"
    assert store.rows(out) == [("A", 3, False), ("B", 3, True)]


def test_the_hours_of_an_outage_are_no_effort(config: Callable[..., Config], tmp_path: Path) -> None:
    """Half a day out leaves half a day."""
    (tmp_path / "deployments.csv").write_text(
        "deploymentID,locationID,deploymentStart,deploymentEnd,Problem1_from,Problem1_to\n"
        "A1,A,2026-05-01,2026-05-20,2026-05-03 06:00:00,2026-05-03 18:00:00\n"
        "B1,B,2026-05-01,2026-05-20,,\n",
        "utf-8",
    )
    store = Store(config(text=TABLE))
    store.process(card(tmp_path / "inbox", "B", datetime(2026, 5, 3)))
    assert days(store) == {"A": 18.5, "B": 19.0}


def test_what_no_cell_of_the_histories_takes_is_said(
    config: Callable[..., Config], tiny_models: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With the reason: photographs after the deployment's end are no detections of any occasion."""
    (tmp_path / "deployments.csv").write_text(
        "deploymentID,locationID,deploymentStart,deploymentEnd\nA1,A,2026-05-01,2026-05-20\n", "utf-8"
    )
    settings = config(models=tiny_models, text=f"species_threshold = 0.0\n{TABLE}", blank_threshold=1.0)
    store = Store(settings)
    store.process(card(tmp_path / "inbox", "A", datetime(2026, 5, 3), datetime(2026, 6, 3)))
    assert store.rows("SELECT count(scientific_name) FROM observations WHERE observation_level = 'event'") == [(2,)]
    put_out(settings, store.database)
    assert "1 detections are in no cell of the histories: 1 after last day" in caplog.text
