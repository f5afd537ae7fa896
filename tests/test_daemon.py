"""The daemon on a real disk with real file-system events: cards come, change, vanish, and it does the right thing."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctwatch import config as configuration
from ctwatch.daemon import Daemon
from ctwatch.demo.station import CARDS, maker_note, photograph
from ctwatch.errors import StoreBusy
from ctwatch.service import read_status
from ctwatch.store.database import LIVE_NAME, PUBLISHED_NAME, Database
from ctwatch.store.lock import only_one
from ctwatch.store.publish import open_published

DEADLINE_S = 60.0
WITH_TABLE = "[deployments]\ntable = 'deployments.csv'\n"


def until(truth: Callable[[], bool], what: str) -> None:
    """Wait for something to become true; fail when the deadline has passed."""
    deadline = time.monotonic() + DEADLINE_S
    while not truth():
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        time.sleep(0.02)


def jpeg(seed: int, moment: datetime) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    return photograph(pixels, moment, maker_note(CARDS[0], "M", 1, 1, seed, 20))


def write_card(folder: Path, first: int, files: int = 3) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + files):
        moment = datetime(2026, 5, 1, 10) + timedelta(minutes=10 * number)
        (folder / f"RCNX{number:04d}.JPG").write_bytes(jpeg(number, moment))


class Station:
    """A folder with a configuration, an inbox, and a daemon in a thread of this process."""

    def __init__(self, root: Path, more: str = "", *, pause_s: float = 15.0, **watch: Any) -> None:
        self.root, self.inbox = root, root / "inbox"
        self.inbox.mkdir()
        options = {"settle_s": 0.4, "sweep_s": 3600.0, **watch}
        lines = "\n".join(f"{key} = {value!r}" for key, value in options.items())
        (root / "config.toml").write_text(f"[models]\nempty = ''\n[watch]\n{lines}\n{more}", "utf-8")
        self.config = configuration.load(root / "config.toml")
        self.daemon = Daemon(self.config, renew=lambda: configuration.load(root / "config.toml"), pause_s=pause_s)
        self.thread = threading.Thread(target=self.daemon.run)
        self._copy: tuple[int, int] | None = None
        self._names: set[str] = set()

    def start(self) -> None:
        self.thread.start()
        until(lambda: self.status().get("state") == "waiting", "the daemon's first look")

    def stop(self) -> None:
        self.daemon.stop()
        self.thread.join(DEADLINE_S)
        assert not self.thread.is_alive()

    def status(self) -> dict[str, Any]:
        return read_status(self.config.store_folder) or {}

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        # A copy: within one process DuckDB hands out a file that is open already, so that the daemon's thread would be
        # given the version that this one holds. Readers are other processes.
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(self.config.store_folder / PUBLISHED_NAME, folder)
            with open_published(Path(folder)) as connection:
                return connection.execute(sql).fetchall()

    def rows_now(self, sql: str) -> list[tuple[Any, ...]]:
        """What the live database holds."""
        with Database(self.config.store_folder).reading() as connection:
            return connection.execute(sql).fetchall()

    def has(self, names: set[str]) -> bool:
        """Whether exactly these cards are published; a published copy is read once, for it never changes."""
        try:
            facts = (self.config.store_folder / PUBLISHED_NAME).stat()
            if (facts.st_ino, facts.st_mtime_ns) != self._copy:
                self._names = {row[0] for row in self.rows("SELECT card_name FROM cards")}
                self._copy = facts.st_ino, facts.st_mtime_ns
        except OSError:  # the disk that is full here is also the one for a moment's copy
            return False
        return self._names == names

    def until_cards(self, names: set[str]) -> None:
        until(lambda: self.published() and self.has(names), f"cards {sorted(names)} published")

    def published(self) -> bool:
        return (self.config.store_folder / PUBLISHED_NAME).exists()


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    made = Station(tmp_path)
    made.start()
    yield made
    made.stop()


def test_a_dropped_card_is_noticed_by_inotify_and_comes_out_as_csv(station: Station) -> None:
    """With a sweep an hour away only the file system's events can have woken the daemon."""
    write_card(station.inbox / "L01_CAM1" / "DCIM" / "100RECNX", 1)
    station.until_cards({"L01_CAM1"})
    assert station.rows("SELECT location_id, count(*) FROM media GROUP BY 1") == [("L01", 3)]
    effort = station.config.store_folder / "results" / "effort.csv"
    until(lambda: effort.read_text() == "locationID,o1\nL01,1\n", "the CSV that follows the published database")


def test_loose_images_and_a_bare_dcim_folder_are_cards_too(station: Station) -> None:
    """They have no folder that names a place, so they are named after the inbox and flagged."""
    write_card(station.inbox, 1)
    write_card(station.inbox / "DCIM" / "100MEDIA", 10)
    station.until_cards({"inbox", "DCIM"})
    assert {row[0] for row in station.rows("SELECT location_id FROM media")} == {"inbox"}
    assert all(row[0] for row in station.rows("SELECT flag FROM deployments"))


def test_a_card_with_a_temporary_name_waits_until_it_is_renamed(station: Station) -> None:
    """A copy under way is never half-seen, however long it pauses."""
    write_card(station.inbox / "L01", 1)
    part = station.inbox / "L01" / "RCNX0009.JPG.part"
    part.write_bytes(jpeg(9, datetime(2026, 5, 1, 12)))
    write_card(station.inbox / "L02", 20)
    station.until_cards({"L02"})
    part.rename(part.with_suffix(""))
    station.until_cards({"L01", "L02"})
    assert station.rows("SELECT files_seen FROM cards WHERE card_name = 'L01'") == [(4,)]


def test_deleting_a_card_after_it_was_processed_changes_nothing(station: Station) -> None:
    """The database speaks of what was seen, not of what still lies there."""
    write_card(station.inbox / "L01", 1)
    station.until_cards({"L01"})
    before = station.rows("FROM media ORDER BY media_id")
    shutil.rmtree(station.inbox / "L01")
    write_card(station.inbox / "L02", 10)
    station.until_cards({"L01", "L02"})
    assert station.rows("FROM media WHERE card_name = 'L01' ORDER BY media_id") == before


def test_a_card_that_grows_is_processed_again_and_stays_one_card(station: Station) -> None:
    """Late files join; nothing is counted twice."""
    write_card(station.inbox / "L01", 1)
    station.until_cards({"L01"})
    write_card(station.inbox / "L01", 4, files=2)
    until(lambda: station.rows("SELECT media FROM cards") == [(5,)], "the grown card")
    assert station.rows("SELECT count(*) FROM media") == [(5,)]


def test_an_inbox_that_disappears_is_waited_for(station: Station) -> None:
    """Unmounted is not deleted; what is dropped after it is back is found, though its inode is another."""
    write_card(station.inbox / "L01", 1)
    station.until_cards({"L01"})
    station.inbox.rename(station.root / "away")
    station.daemon._alarm.ring()  # the sweep, an hour away, brought forward
    until(lambda: station.status().get("missing_inboxes") != [], "the missing inbox being told")
    station.inbox.mkdir()
    write_card(station.inbox / "L02", 10)
    station.daemon._alarm.ring()
    station.until_cards({"L01", "L02"})


def test_ready_skips_the_wait(tmp_path: Path) -> None:
    """A file named READY, in any case, says that the copy is whole."""
    made = Station(tmp_path, settle_s=3600.0)
    made.start()
    try:
        write_card(made.inbox / "L01", 1)
        (made.inbox / "L01" / "Ready").touch()
        made.until_cards({"L01"})
        assert made.rows("SELECT files_seen FROM cards") == [(3,)]
    finally:
        made.stop()


def test_polling_finds_cards_without_any_event(tmp_path: Path) -> None:
    """Network shares give no events; the same looks, more often, find everything."""
    made = Station(tmp_path, observer="polling", polling_s=0.3)
    made.start()
    try:
        write_card(made.inbox / "L01", 1)
        made.until_cards({"L01"})
    finally:
        made.stop()


def test_cards_that_lay_there_before_the_start_are_found_and_those_that_are_in_are_left(tmp_path: Path) -> None:
    """Start-up looks through the inboxes as any sweep does."""
    made = Station(tmp_path)
    write_card(made.inbox / "L01", 1)
    made.start()
    made.until_cards({"L01"})
    made.stop()
    processed = made.rows("SELECT processed_at FROM cards")
    again = Daemon(made.config)
    made.daemon, made.thread = again, threading.Thread(target=again.run)
    write_card(made.inbox / "L02", 10)
    made.start()
    made.until_cards({"L01", "L02"})
    made.stop()
    assert made.rows("SELECT processed_at FROM cards WHERE card_name = 'L01'") == processed


def test_a_broken_deployments_table_keeps_the_card_waiting_and_says_why(tmp_path: Path) -> None:
    """The card is refused with the table's line, and goes in after the table is mended."""
    made = Station(tmp_path, WITH_TABLE, retry_s=1.0)
    table = tmp_path / "deployments.csv"
    table.write_text("deploymentID,locationID\nD1,L01\n", "utf-8")
    made.start()
    try:
        table.write_text("deploymentID,locationID,deploymentStart\nD1,L01,yesterday\n", "utf-8")
        write_card(made.inbox / "L01", 1)
        until(lambda: bool(made.status().get("refused")), "the refusal")
        assert "line 2: deploymentStart 'yesterday'" in made.status()["refused"][0]["reason"]
        table.write_text("deploymentID,locationID\nD1,L01\n", "utf-8")
        made.until_cards({"L01"})
        assert made.rows("SELECT deployment_id FROM deployments") == [("D1",)]
    finally:
        made.stop()


def test_sigterm_ends_the_real_daemon_with_exit_code_0(tmp_path: Path) -> None:
    """As the service manager does it; READY and STOPPING are told to it."""
    import socket

    (tmp_path / "inbox").mkdir()
    (tmp_path / "config.toml").write_text("[models]\nempty = ''\n[watch]\nsettle_s = 0.4\n", "utf-8")
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(DEADLINE_S)
        daemon = subprocess.Popen(
            [sys.executable, "-m", "ctwatch", "run"],
            cwd=tmp_path,
            env={**os.environ, "NOTIFY_SOCKET": address},
            stderr=subprocess.PIPE,
        )
        heard = manager.recv(4096)
        assert heard == b"READY=1"
        daemon.send_signal(signal.SIGTERM)
        _, log = daemon.communicate(timeout=DEADLINE_S)
        assert daemon.returncode == 0, log
        while heard != b"STOPPING=1":
            heard = manager.recv(4096)
    assert b"stopped" in log


def test_two_daemons_never_share_a_store(tmp_path: Path) -> None:
    """The second is refused with what to do."""
    with only_one(tmp_path), pytest.raises(StoreBusy, match="another ctwatch daemon"), only_one(tmp_path):
        pass


def test_results_that_cannot_be_written_do_not_stop_the_daemon(station: Station) -> None:
    """The card is in; what people read comes later, and the log says why."""
    results = station.config.store_folder / "results"
    shutil.rmtree(results)
    results.write_text("in the way")
    write_card(station.inbox / "L01", 1)
    station.until_cards({"L01"})
    until(lambda: station.status().get("unpublished") is True, "the publication being put off")
    assert station.thread.is_alive()
    results.unlink()


def test_a_refused_card_that_was_taken_away_is_forgotten(tmp_path: Path) -> None:
    """Status speaks of what lies there."""
    made = Station(tmp_path, WITH_TABLE)
    table = tmp_path / "deployments.csv"
    table.write_text("deploymentID\nD1\n", "utf-8")
    made.start()
    try:
        table.write_text("deploymentID,latitude\nD1,north\n", "utf-8")
        write_card(made.inbox / "L01", 1)
        until(lambda: bool(made.status().get("refused")), "the refusal")
        shutil.rmtree(made.inbox / "L01")
        until(lambda: made.status().get("refused") == [], "the refusal being forgotten")
    finally:
        made.stop()


def test_a_receipt_lies_in_the_card_once_it_is_published(station: Station) -> None:
    """And the daemon's own file in the card does not make it a card that changed."""
    write_card(station.inbox / "L01_CAM1", 1)
    receipt = station.inbox / "L01_CAM1" / "ctwatch-receipt.txt"
    until(receipt.exists, "the receipt")
    assert "SAFE TO ERASE THE SD CARD, if it holds 3 files" in receipt.read_text()
    assert station.has({"L01_CAM1"})
    write_card(station.inbox / "L02_CAM1", 50)
    station.until_cards({"L01_CAM1", "L02_CAM1"})
    assert station.status()["cards_done"] == 2


def test_a_card_moves_into_the_archive_once_it_is_published(tmp_path: Path) -> None:
    """The inbox is empty then, the photographs are found where they lie, and a card of the same name is another card."""
    station = Station(tmp_path, f"[cards]\nafter = 'archive'\narchive = '{tmp_path / 'archive'}'\n")
    station.start()
    try:
        for first in (1, 50):
            write_card(station.inbox / "L01_CAM1", first)
            until(lambda: not list(station.inbox.iterdir()), "the move")
        until(lambda: len(station.rows("SELECT * FROM cards")) == 2, "both cards published")
        places = lambda: {row[0] for row in station.rows("SELECT source_path FROM media")}  # noqa: E731
        until(lambda: all(Path(place).exists() for place in places()), "the new places published")
        assert len(places()) == 6
    finally:
        station.stop()


def test_a_changed_configuration_is_taken_over_and_a_wrong_one_is_not(tmp_path: Path) -> None:
    """As after `systemctl reload`: another inbox is watched without a restart."""
    station = Station(tmp_path)
    station.start()
    try:
        text = (tmp_path / "config.toml").read_text()
        (tmp_path / "second").mkdir()
        (tmp_path / "config.toml").write_text("[watch]\nsettel_s = 1\n")
        station.daemon.reload()
        write_card(station.inbox / "L01_CAM1", 1)
        station.until_cards({"L01_CAM1"})
        networks = station.daemon._panel
        (tmp_path / "config.toml").write_text(text.replace("[watch]", "[watch]\ninboxes = ['inbox', 'second']"))
        station.daemon.reload()
        until(lambda: len(station.status()["inboxes"]) == 2, "the new configuration")
        assert station.daemon._panel is networks, "the models are as before: none is loaded anew"
        write_card(tmp_path / "second" / "L02_CAM1", 50)
        station.until_cards({"L01_CAM1", "L02_CAM1"})
        assert station.status()["cards_done"] == 2, "the first card is not done again"
        text = (tmp_path / "config.toml").read_text()
        (tmp_path / "config.toml").write_text(text.replace("[models]", "[models]\nbatch_size = 3"))
        station.daemon.reload()
        until(lambda: station.daemon._panel is not networks, "other models")
    finally:
        station.stop()


def test_a_store_that_somebody_holds_open_is_waited_for_from_the_start_on(tmp_path: Path) -> None:
    """The daemon says who, and goes on as soon as the file is let go."""
    first = Station(tmp_path)
    first.start()
    first.stop()
    program = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(first.config.store_folder / LIVE_NAME)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"open\n"
    shutil.rmtree(tmp_path / "inbox")
    station = Station(tmp_path, "[store]\nbusy_timeout_s = 0.1\n", pause_s=0.2)
    write_card(station.inbox / "L01_CAM1", 1)
    station.thread.start()
    try:
        until(lambda: str(holder.pid) in (station.daemon.paused or ""), "the holder to be named")
        holder.communicate(b"")
        station.until_cards({"L01_CAM1"})
    finally:
        station.stop()
