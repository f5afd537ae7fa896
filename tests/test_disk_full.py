"""A disk that takes nothing more: the daemon pauses, says so, and goes on by itself; nothing is lost or half-written."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import Store, dump
from test_daemon import Station, until, write_card

from ctwatch import config as configuration
from ctwatch.store.database import Database

Started = Callable[..., Station]


@pytest.fixture
def started(tmp_path: Path, small_disk: Path) -> Iterator[Started]:
    """Start daemons whose store lies on the small disk, their inboxes not."""
    stations: list[Station] = []

    def start(more: str = "", *, least_gb: float = 0.0) -> Station:
        text = f"[store]\nfolder = '{small_disk / 'data'}'\nmin_free_gb = {least_gb}\n{more}"
        station = Station(tmp_path, text, pause_s=0.2)
        stations.append(station)
        station.start()
        return station

    yield start
    for station in stations:
        station.stop()


def fill(disk: Path, leave: int) -> Path:
    """Fill a disk until `leave` bytes are free; returns the ballast."""
    ballast = disk / "ballast"
    ballast.unlink(missing_ok=True)
    facts = os.statvfs(disk)
    with suppress(OSError):  # the daemon may write too, and then there is less room
        ballast.write_bytes(b"\0" * max(0, facts.f_bavail * facts.f_frsize - leave))
    return ballast


def undisturbed(station: Station, tmp_path: Path) -> dict[str, list[str]]:
    """What the inbox's cards give with all the room in the world."""
    path = tmp_path / "undisturbed.toml"
    path.write_text("[models]\nempty = ''\n[store]\nfolder = 'undisturbed'\n", "utf-8")
    store = Store(configuration.load(path))
    for card in sorted(station.inbox.iterdir()):
        store.process(card)
    return store.dump()


def test_below_the_floor_no_card_is_begun_until_there_is_room(started: Started, small_disk: Path) -> None:
    station = started(least_gb=0.004)
    ballast = fill(small_disk, leave=2_000_000)
    write_card(station.inbox / "L01_CAM1", 1)
    until(lambda: station.status().get("state") == "paused", "the pause")
    assert "store.min_free_gb" in station.status()["paused"]
    until(
        lambda: [card["name"] for card in station.status()["settling"]] == ["L01_CAM1"], "the card to be seen waiting"
    )
    assert not station.rows_now("SELECT * FROM raw.card")
    ballast.unlink()
    station.until_cards({"L01_CAM1"})
    until(lambda: station.status().get("state") == "waiting", "the end of the pause")
    assert station.status()["paused"] is None


def test_a_disk_that_fills_up_at_any_write_loses_nothing(started: Started, small_disk: Path, tmp_path: Path) -> None:
    """With ever more room left, so that each step of the way is the one that fails: commit, copy, tables, receipts."""
    station = started()
    write_card(station.inbox / "L00_CAM1", 1)
    station.until_cards({"L00_CAM1"})
    names = {"L00_CAM1"}
    troubled = 0
    for number, leave in enumerate((0, 65_536, 300_000, 700_000, 1_200_000, 2_500_000), 1):
        ballast = fill(small_disk, leave)
        name = f"L{number:02d}_CAM1"
        write_card(station.inbox / name, 100 * number)
        names.add(name)
        until(
            lambda: station.daemon.paused or station.status()["unpublished"] or station.has(names),
            "trouble, or the card",
        )
        troubled += not station.has(names)
        assert station.thread.is_alive()
        ballast.unlink()
        station.until_cards(names)
    assert troubled >= 2
    until(lambda: not station.status()["unpublished"], "peace")
    assert dump(Database(station.config.store_folder)) == undisturbed(station, tmp_path)
    left = [path.name for path in station.config.store_folder.rglob("*") if path.suffix in (".wal", ".new", ".tmp")]
    assert left == []
    until(lambda: all((card / "ctwatch-receipt.txt").exists() for card in station.inbox.iterdir()), "the receipts")


def test_a_disk_that_became_read_only_is_waited_for(started: Started, small_disk: Path) -> None:
    """As a file system does after an error of its disk."""
    station = started()
    write_card(station.inbox / "L01_CAM1", 1)
    station.until_cards({"L01_CAM1"})
    until(lambda: not station.status()["unpublished"], "peace")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    try:
        write_card(station.inbox / "L02_CAM1", 50)
        until(lambda: station.daemon.paused is not None, "the pause")
        assert station.thread.is_alive()
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    station.until_cards({"L01_CAM1", "L02_CAM1"})


def test_a_store_without_room_is_waited_for_at_the_start(started: Started, small_disk: Path, tmp_path: Path) -> None:
    ballast = fill(small_disk, leave=4_096)
    station = Station(tmp_path, f"[store]\nfolder = '{small_disk}'\nmin_free_gb = 0\n", pause_s=0.2)
    station.thread.start()
    try:
        until(lambda: station.daemon.paused is not None, "the pause")
        ballast.unlink()
        write_card(station.inbox / "L01_CAM1", 1)
        station.until_cards({"L01_CAM1"})
    finally:
        station.stop()
