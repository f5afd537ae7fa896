"""Listening to inboxes: whatever inotify loses, the sweep finds; a watcher that has gone deaf is made anew, or replaced."""

import ast
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import moment_of, photograph
from lookout import Lookout, until, whole

from ctwatch import card, settle, watch
from ctwatch.service import read_status
from ctwatch.store.database import PUBLISHED_NAME
from ctwatch.store.publish import open_published
from ctwatch.watch import Alarm, InboxObserver

TESTS = Path(__file__).parent
EVENTS_KEPT = Path("/proc/sys/fs/inotify/max_queued_events")


def drop(folder: Path, first: int = 0, files: int = 2) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + files):
        (folder / f"IMG_{number:04d}.JPG").write_bytes(photograph(number, moment_of(number)))


def in_a_namespace(*flags: str, scenario: str, folder: Path) -> None:
    """Run a scenario of `apart` in a process of its own, root over its own mounts or limits and nothing else."""
    if subprocess.run(["unshare", *flags, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine gives no namespaces")
    program = f"import sys, pathlib, apart; apart.{scenario}(pathlib.Path(sys.argv[1]))"
    run = subprocess.run(
        ["unshare", *flags, sys.executable, "-c", program, str(folder)],
        cwd=TESTS,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr


def watches_of(pid: int) -> int:
    """How many folders a process listens to."""
    notes = (path.read_text("ascii") for path in Path(f"/proc/{pid}/fdinfo").iterdir())
    with suppress(FileNotFoundError):  # closed meanwhile
        return sum(line.startswith("inotify ") for text in notes for line in text.splitlines())
    return 0


def test_events_lost_while_the_daemon_is_stopped_cost_no_file(tmp_path: Path) -> None:
    """More than the kernel keeps for a process that does not read them; the real daemon goes on and counts every file."""
    kept = int(EVENTS_KEPT.read_text())
    if kept > 65_536:
        pytest.skip("this machine keeps too many events to be flooded here")
    for name in ("L01", "L02"):
        (tmp_path / "inbox" / name).mkdir(parents=True)  # listened to from the start
    (tmp_path / "config.toml").write_text(
        "[models]\nempty = ''\n[watch]\nsettle_s = 0.4\n[store]\nmin_free_gb = 0\n", "utf-8"
    )
    daemon = subprocess.Popen([sys.executable, "-m", "ctwatch", "run"], cwd=tmp_path, stderr=subprocess.PIPE)
    try:
        until(lambda: (read_status(tmp_path / "data") or {}).get("state") == "waiting", "the daemon's start")
        until(lambda: watches_of(daemon.pid) >= 3, "the daemon listening to the inbox and both cards")
        daemon.send_signal(signal.SIGSTOP)
        notes = kept // 2 + 500
        dropped = {}
        for name, count in (("L01", notes // 2), ("L02", notes - notes // 2)):
            drop(tmp_path / "inbox" / name / "DCIM" / "100MEDIA")
            for number in range(count):  # three events each: created, written to, closed
                (tmp_path / "inbox" / name / f"{number}.txt").write_text("x")
            dropped[name] = count + 2
        daemon.send_signal(signal.SIGCONT)

        def found() -> dict[str, int]:
            try:
                with open_published(tmp_path / "data") as connection:
                    sql = "SELECT card_name, files_seen FROM cards WHERE files_seen > 0"
                    return dict(connection.execute(sql).fetchall())
            except Exception:
                return {}  # not published yet, or this very moment

        assert (tmp_path / "data" / PUBLISHED_NAME).exists()
        until(lambda: found() == dropped, "both cards, whole")
    finally:
        daemon.send_signal(signal.SIGCONT)
        daemon.send_signal(signal.SIGTERM)
        _, log = daemon.communicate(timeout=60)
    assert daemon.returncode == 0, log
    assert b"queue overflowed" in log
    assert log.count(b"card L01: ") == log.count(b"card L02: ") == 1


def test_a_card_that_appears_when_inotify_has_no_watches_left_is_found(tmp_path: Path) -> None:
    """The library says nothing of folders that it cannot watch; the inbox is then looked at again and again."""
    in_a_namespace("-Ur", scenario="watches_run_out", folder=tmp_path)


def test_an_inbox_that_is_unmounted_and_mounted_again_is_listened_to_again(tmp_path: Path) -> None:
    """The same disk, another disk over it, the bare mount point: nothing is taken for deleted, nothing handed out twice."""
    in_a_namespace(*(["-m"] if os.geteuid() == 0 else ["-Urm"]), scenario="unmounted_and_mounted", folder=tmp_path)


def test_a_watcher_that_hears_is_left_alone(tmp_path: Path) -> None:
    """Nothing is made anew while the kernel says that the inbox is watched; once it is not, the library is not believed."""
    observer = InboxObserver([tmp_path], Alarm(), mode="inotify")
    try:
        observer.refresh()
        threads = list(observer._threads)
        observer.refresh()
        assert observer._threads == threads
        [(identity, in_kernel)] = observer._heard.values()
        assert in_kernel
        assert identity in watch._watched_by_kernel()
    finally:
        observer.stop()
    assert identity not in watch._watched_by_kernel()


def test_an_inbox_deleted_and_made_again_is_listened_to_again(tmp_path: Path) -> None:
    """Though the new folder may have the old one's number; first a look, then events as before."""
    inbox, other = tmp_path / "inbox", tmp_path / "other"
    inbox.mkdir()
    other.mkdir()
    with Lookout(inbox, other) as lookout:
        drop(inbox / "L01")
        lookout.until_handed("L01")
        shutil.rmtree(inbox)
        inbox.mkdir()
        lookout.alarm.ring()
        lookout.let_two_looks_pass()
        drop(inbox / "L02")
        lookout.until_handed("L02")
        drop(other / "L03")
        lookout.until_handed("L03")
        lookout.let_two_looks_pass()
        assert [len(lookout.of(name)) for name in ("L01", "L02", "L03")] == [1, 1, 1]


def test_an_inbox_that_is_made_later_is_found_without_an_event_or_a_sweep(tmp_path: Path) -> None:
    """Such as one on a disk that is plugged in; while it is away nothing is looked at for nothing."""
    inbox = tmp_path / "disk" / "inbox"
    with Lookout(inbox) as lookout:
        drop(inbox / "L01")
        lookout.until_handed("L01")
        shutil.rmtree(tmp_path / "disk")
        until(lambda: not lookout.tracker.sees(str(inbox / "L01")), "a look at what is gone")
        lookout.let_two_looks_pass()
        looks = lookout.looks
        time.sleep(2 * watch._PEEK_S + 1)
        assert lookout.looks == looks
        drop(inbox / "L02")
        lookout.until_handed("L02")


def test_what_no_event_tells_is_asked_for_without_leaving_anything_open(tmp_path: Path) -> None:
    """Only a change is one, and the list of mounts is closed in the end."""
    open_before = len(os.listdir("/proc/self/fd"))
    observer = InboxObserver([tmp_path / "inbox"], Alarm(), mode="polling")
    observer.refresh()
    try:
        assert not observer.moved() and not observer.moved()
        (tmp_path / "inbox").mkdir()
        assert observer.moved()
        observer.refresh()
        assert not observer.moved()
    finally:
        observer.stop()
    assert len(os.listdir("/proc/self/fd")) == open_before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_listening_thread_that_died_is_replaced(tmp_path: Path) -> None:
    """Each of the library's three kinds of threads, killed by an exception."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    with Lookout(inbox) as lookout:
        kinds = {type(thread).__name__ for thread in lookout.observer._threads}
        assert len(kinds) == 3
        for number, kind in enumerate(sorted(kinds)):
            victim = next(thread for thread in lookout.observer._threads if type(thread).__name__ == kind)
            assert victim.ident is not None
            raised = ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(victim.ident), ctypes.py_object(SystemExit)
            )
            assert raised == 1
            (inbox / "something").write_text("that wakes it")
            (inbox / "something").unlink()
            until(lambda victim=victim: not victim.is_alive(), f"the death of {kind}")  # type: ignore[misc]
            lookout.alarm.ring()
            until(lambda: all(thread.is_alive() for thread in lookout.observer._threads), "all threads alive")
            drop(inbox / f"L{number}")
            lookout.until_handed(f"L{number}")


def test_what_the_daemon_writes_into_a_card_does_not_wake_it(tmp_path: Path) -> None:
    """A receipt is put there aside and renamed; anything else rings."""
    inbox = tmp_path / "inbox"
    drop(inbox / "L01")
    alarm = Alarm()
    observer = InboxObserver([inbox], alarm, mode="inotify")
    observer.refresh()
    try:
        for aside in ("ctwatch-receipt.txt.new", ".ctwatch-receipt.txt.17.tmp"):
            (inbox / "L01" / aside).write_text("safe to erase")
            (inbox / "L01" / aside).rename(inbox / "L01" / "ctwatch-receipt.txt")
        (inbox / "L01" / "ctwatch-receipt.txt").unlink()
        assert not alarm.sleep(1.5)
        (inbox / "L01" / "note.txt").write_text("x")
        assert alarm.sleep(60.0)
    finally:
        observer.stop()


def test_receipts_being_written_are_no_copy_under_way(tmp_path: Path) -> None:
    """Neither the temporary name of one nor the receipt itself is a part of the card."""
    drop(tmp_path / "L01")
    before = card.snapshot(tmp_path / "L01", tmp_path)
    (tmp_path / "L01" / ".ctwatch-receipt.txt.17.tmp").write_text("safe to")
    (tmp_path / "L01" / "ctwatch-receipt.txt").write_text("safe to erase")
    assert card.snapshot(tmp_path / "L01", tmp_path) == before


def test_times_of_an_hour_ago_or_ahead_change_nothing(tmp_path: Path) -> None:
    """A clock stepped back while a card is copied: the later files are the older ones; it is handed out once, whole."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    now = time.time()
    with Lookout(inbox) as lookout:
        drop(inbox / "L01", 0, 3)
        for path in (inbox / "L01").iterdir():
            os.utime(path, (now + 3600, now + 3600))
        aside = inbox / "L01" / "IMG_0003.JPG.part"
        aside.write_bytes(photograph(3, moment_of(3)))
        os.utime(aside, (now - 3600, now - 3600))
        lookout.let_two_looks_pass()
        assert lookout.handed == []
        aside.rename(aside.with_suffix(""))
        os.utime(inbox, (now - 7200, now - 7200))
        lookout.until_handed("L01")
        lookout.let_two_looks_pass()
        assert lookout.of("L01") == [whole(inbox / "L01")]


@pytest.mark.parametrize("module", [watch, settle, card], ids=lambda module: module.__name__)
def test_the_wall_clock_decides_nothing(module: object) -> None:
    """No other clock than the monotonic one is so much as mentioned where settling is decided."""
    tree = ast.parse(Path(module.__file__).read_text("utf-8"))  # type: ignore[attr-defined]
    used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert {name for name in used if name.startswith("time.")} <= {"time.monotonic"}
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert "datetime" not in imported


def test_an_inbox_on_a_share_is_looked_at_and_never_asked_for_writers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS says of every file that somebody may have it open, and tells nothing of what other machines do."""
    inbox = tmp_path / "inbox"
    drop(inbox / "L01")
    monkeypatch.setattr(watch, "file_system_type", lambda path: "nfs4")
    with open(inbox / "L01" / "IMG_0000.JPG", "ab"), Lookout(inbox) as lookout:
        assert "nfs4 tells nothing" in lookout.observer.deaf[inbox]
        lookout.until_handed("L01")


def test_the_type_of_a_file_system_is_read_from_the_mounts(tmp_path: Path) -> None:
    """The longest mount point that a path lies below decides."""
    mounts = tmp_path / "mounts"
    mounts.write_text("/dev/sda / ext4 rw 0 0\nserver:/x /media/my\\040cards nfs4 rw 0 0\n", "utf-8")
    assert watch.file_system_type(Path("/media/my cards/inbox"), mounts) == "nfs4"
    assert watch.file_system_type(Path("/media/my cards 2"), mounts) == "ext4"
    assert watch.file_system_type(Path("/media"), tmp_path / "nothing") == ""
