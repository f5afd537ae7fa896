"""What is told of the daemon: to the service manager, in status.json, by `ctwatch status`, and to monitoring."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import Store
from jsonschema import Draft202012Validator

from ctwatch.cli import main
from ctwatch.config import Config
from ctwatch.results import put_out
from ctwatch.service import HEARTBEAT_S, STATUS_NAME, StatusBoard, longest_silence_s, notify, read_status
from ctwatch.state import problems, state, state_in_words

ROOT = Path(__file__).resolve().parents[1]
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Clock:
    """A monotonic clock and the time, both moved by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds - 1000)


def board(folder: Path, clock: Clock, **facts: Any) -> StatusBoard:
    started = NOW.isoformat(timespec="seconds")
    always = {"version": "0", "pid": os.getpid(), "started_at": started, "inboxes": ["/inbox"]}
    return StatusBoard(folder, clock.monotonic, clock.now, **always, **facts)


def waiting(**facts: Any) -> dict[str, Any]:
    """What the daemon tells between cards."""
    idle = {"state": "waiting", "paused": None, "card": None, "settling": [], "refused": [], "cards_done": 0}
    return {**idle, "unpublished": False, "missing_inboxes": [], **facts}


def written(folder: Path) -> str:
    return str((read_status(folder) or {})["updated_at"])


def test_an_idle_daemon_gives_a_sign_of_life_once_a_heartbeat_and_no_more(tmp_path: Path) -> None:
    """A look every second must not wear the disk; a minute's silence is told from a hang."""
    clock = Clock()
    told = board(tmp_path, clock)
    told.update(**waiting())
    moments = set()
    for _ in range(180):
        clock.seconds += 1
        told.update(**waiting())
        moments.add((tmp_path / STATUS_NAME).stat().st_mtime_ns)
    assert len(moments) == 1 + int(180 // HEARTBEAT_S)
    assert written(tmp_path) == "2026-11-21T12:03:00+00:00"


def test_progress_is_written_at_most_once_a_second_and_not_lost(tmp_path: Path) -> None:
    """What was left to a later update comes with it, also if that brings nothing new."""
    clock = Clock()
    told = board(tmp_path, clock)
    told.update(state="working", card={"name": "L01", "done": 0, "total": 9})
    clock.seconds += 0.2
    told.update(now=False, card={"name": "L01", "done": 1, "total": 9})
    assert (read_status(tmp_path) or {})["card"]["done"] == 0
    clock.seconds += 1
    told.update(now=False)
    assert (read_status(tmp_path) or {})["card"]["done"] == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="a small file system can only be mounted by root")
def test_a_disk_without_room_still_takes_the_status(tmp_path: Path) -> None:
    """That the disk is full is the one thing that people must see then."""
    program = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from datetime import UTC, datetime
from pathlib import Path
from ctwatch.service import StatusBoard, read_status
folder = Path({str(tmp_path)!r})
board = StatusBoard(folder, lambda: 0.0, lambda: datetime(2026, 1, 1, tzinfo=UTC), pid=os.getpid())
board.update(state="waiting", settling=[str(number) for number in range(1000)])
board.update(settling=[])
with open(folder / "filler", "wb", buffering=0) as filler:
    try:
        while True:
            filler.write(bytes(4096))
    except OSError:
        pass
board.update(state="paused", paused="the disk is full")
facts = read_status(folder)
assert facts["state"] == "paused" and facts["paused"] == "the disk is full", facts
assert sorted(os.listdir(folder)) == ["filler", "status.json"], os.listdir(folder)
"""
    mounted = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=64k tmpfs "$1" && exec "$2" -c "$3"', "sh"]
    run = subprocess.run(
        [*mounted, str(tmp_path), sys.executable, program], capture_output=True, text=True, check=False
    )
    if "unshare" in run.stderr or "mount:" in run.stderr:
        pytest.skip(f"no file system can be mounted here: {run.stderr.strip()}")
    assert run.returncode == 0, run.stderr


def test_the_service_manager_hears_datagrams_also_at_an_abstract_address(tmp_path: Path) -> None:
    """The protocol of sd_notify(3)."""
    for address, bound in (
        (str(tmp_path / "s"), str(tmp_path / "s")),
        (f"@ctwatch-{os.getpid()}", f"\0ctwatch-{os.getpid()}"),
    ):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(bound)
            manager.settimeout(30)
            notify("READY=1\nSTATUS=waits", address)
            assert manager.recv(4096) == b"READY=1\nSTATUS=waits"
        notify("WATCHDOG=1", address)  # nobody listens any more: no error


def test_the_watchdog_is_fed_at_twice_its_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never more seldom than the heartbeat; another process's watchdog does not count."""
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    assert longest_silence_s() == HEARTBEAT_S
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    assert longest_silence_s() == 15
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert longest_silence_s() == HEARTBEAT_S
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    monkeypatch.setenv("WATCHDOG_USEC", "600000000")
    assert longest_silence_s() == HEARTBEAT_S


def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "docs" / "status.schema.json").read_text("utf-8"))
    return found


def test_the_status_is_as_its_schema_says(config: Callable[..., Config], make_card: Callable[..., Path]) -> None:
    """Before anything ran, with a card that has broken files, and in every state of the daemon."""
    validator = Draft202012Validator(schema())
    Draft202012Validator.check_schema(schema())
    made = config()
    validator.validate(state(made, NOW))
    folder = made.store_folder
    card = make_card()
    (card / "BROKEN.JPG").write_bytes(b"no image")
    store = Store(made)
    store.process(card)
    put_out(made, store.database)
    told = board(folder, Clock())
    settling = [{"name": "L02", "files": 3, "bytes": 100, "waits_for": ["a.JPG"]}]
    refused = [{"card": "/inbox/L03", "reason": "line 2"}]
    for facts in (
        {"state": "starting", "card": None},
        {"state": "working", "card": {"name": "L01", "done": 1, "total": 3}},
        waiting(settling=settling, refused=refused, missing_inboxes=["/inbox"]),
        waiting(state="paused", paused="the disk is full"),
        {"state": "stopped", "card": None},
    ):
        told.update(**facts)
        found = state(made, NOW)
        validator.validate(found)
    assert found["failed_cards"] == [
        {"card": "L01_CAM1", "path": str(card), "files": 4, "failed": 1, "reasons": {"not_an_image": 1}}
    ]
    assert found["in"]["cards"] == 1 and found["published_at"] is not None
    assert not validator.is_valid(found | {"more": 1})


def test_every_key_of_the_schema_is_described() -> None:
    """The schema is the documentation."""

    def look(name: str, part: Any) -> None:
        if isinstance(part, dict):
            for key, value in part.get("properties", {}).items():
                assert value.get("description"), f"{name}.{key}"
            for key, value in part.items():
                look(f"{name}.{key}", value)
        elif isinstance(part, list):
            for number, value in enumerate(part):
                look(f"{name}[{number}]", value)

    look("", schema())


HEALTHY: dict[str, Any] = {
    "daemon": waiting(running=True, pid=1),
    "heartbeat_age_s": 5.0,
    "store": "/store",
    "store_problem": None,
}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, None),
        ({"daemon": None}, "never ran"),
        ({"daemon": waiting(running=False)}, "not running"),
        ({"heartbeat_age_s": 601.0}, "no sign of life for 0:10:01"),
        ({"heartbeat_age_s": None}, "no sign of life"),
        ({"daemon": waiting(running=True, state="paused", paused="full")}, "paused: full"),
        ({"daemon": waiting(running=True, refused=[{"card": "L01", "reason": "line 2"}])}, "L01: line 2"),
        ({"daemon": waiting(running=True, missing_inboxes=["/inbox"])}, "/inbox"),
        ({"store_problem": "damaged"}, "damaged"),
    ],
)
def test_what_somebody_should_see_to_is_a_problem(change: dict[str, Any], told: str | None) -> None:
    """Each alone; a healthy daemon has none."""
    found = problems(HEALTHY | change)
    assert found == [] if told is None else len(found) == 1 and told in found[0]


def test_check_ends_with_1_and_the_reasons(config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch) -> None:
    """As monitoring runs it; a daemon that is alive is healthy, one that was killed is not."""
    made = config()
    monkeypatch.chdir(made.base)
    run = CliRunner()
    found = run.invoke(main, ["status", "--check"])
    assert (found.exit_code, "never ran here" in found.output) == (1, True)
    StatusBoard(made.store_folder, lambda: 0.0, pid=os.getpid()).update(**waiting())
    found = run.invoke(main, ["status", "--check"])
    assert (found.exit_code, found.output) == (0, "healthy\n")
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    StatusBoard(made.store_folder, lambda: 0.0, pid=dead.pid).update(**waiting())
    found = run.invoke(main, ["status", "--check"])
    assert (found.exit_code, "not running" in found.output) == (1, True)


def test_a_published_database_that_cannot_be_read_is_told_and_hides_nothing(config: Callable[..., Config]) -> None:
    """The daemon's own words are still there."""
    made = config()
    made.store_folder.mkdir()
    (made.store_folder / "reports.duckdb").write_bytes(b"spoilt" * 1000)
    StatusBoard(made.store_folder, lambda: 0.0, lambda: NOW, pid=os.getpid()).update(**waiting())
    found = state(made, NOW)
    assert "reports.duckdb" in found["store_problem"]
    assert found["problems"] == [found["store_problem"]]
    assert "waiting for cards" in state_in_words(found, NOW)


def test_cards_with_failed_files_stay_visible_with_what_to_do(
    config: Callable[..., Config], make_card: Callable[..., Path]
) -> None:
    """By card and reason; when it was published; until they can be read."""
    made = config()
    card = make_card()
    (card / "IMG_0000.JPG").write_bytes(b"no image")
    store = Store(made)
    store.process(card)
    put_out(made, store.database)
    now = datetime.now(UTC) + timedelta(hours=5)
    words = state_in_words(state(made, now), now)
    assert "failed: L01_CAM1, 1 of 3 files: 1 not_an_image" in words
    assert "ctwatch report failures" in words and "ctwatch retry" in words
    assert "5 hours ago" in words and "GB on the disk of" in words
