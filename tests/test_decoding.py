"""Processes that decode: what they say is what the file is, their deaths are values, and none outlives its daemon."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from conftest import moment_of, photograph
from test_exif import png
from workers import descendants, seconds_of, slow_photograph, stat_fields, strike_the_busy, wait_for

from ctwatch.card import snapshot
from ctwatch.decode import decode, decode_onto
from ctwatch.decoding import Decoders, ReadFile, ReadingRules, Unanswered, Verdicts, Wanted
from ctwatch.domain import Canvas, Failure, FileStat, Quarantined
from ctwatch.identity import content_id
from ctwatch.reading import read_files

CANVASES = (Canvas(24, 40), Canvas(32, 32, 0.1, 0.05))
WANTED = Wanted(ReadingRules(2001, False, datetime(2026, 11, 1)), CANVASES, miniatures=True)
ROOM = 2_000_000_000


def unknown(media_id: str) -> bool:
    return False


@pytest.fixture
def decoders() -> Iterator[Decoders]:
    made = Decoders(longest_s=60, memory_bytes=ROOM)
    yield made
    made.close()


def write(card: Path, **files: bytes) -> None:
    card.mkdir(exist_ok=True)
    for name, data in files.items():
        (card / f"{name}.JPG").write_bytes(data)


def read(
    decoders: Decoders, card: Path, verdicts: Verdicts | None = None, *, workers: int = 2, wanted: Wanted = WANTED
) -> dict[str, ReadFile]:
    files = snapshot(card, card.parent).files
    found = read_files(decoders, str(card), files, wanted, verdicts or Verdicts("card", unknown), workers=workers)
    return {Path(item.file.path).stem: item for item in found}


def test_what_comes_back_is_what_decoding_here_gives(tmp_path: Path, decoders: Decoders) -> None:
    """Header facts, pixels of every canvas and the miniature, to the bit, through the line between the processes."""
    data = photograph(1, moment_of(1), size=(480, 640), serial="S\u00e91")
    write(tmp_path / "card", a=data)
    told = read(decoders, tmp_path / "card")["a"]
    assert told.media is not None
    assert told.media.media_id == content_id(data)
    assert (told.media.timestamp.value, told.media.camera.serial) == (moment_of(1), "S\u00e91")
    assert (told.media.width, told.media.height, told.failure) == (640, 480, None)
    (first,), small = decode_onto(data, CANVASES[:1], with_miniature=True)
    assert small is not None
    assert told.pixels is not None
    assert told.miniature is not None
    assert np.array_equal(told.pixels[CANVASES[0]], first)
    assert np.array_equal(told.pixels[CANVASES[1]], decode(data, CANVASES[1]))
    assert np.array_equal(told.miniature.pixels, small.pixels)
    assert told.miniature.colour == small.colour


def test_files_come_in_order_and_what_is_known_is_not_decoded(tmp_path: Path, decoders: Decoders) -> None:
    """However long each takes; a known content gives its header alone."""
    card = tmp_path / "card"
    write(card, **{f"n{number:02d}": photograph(number, moment_of(number)) for number in range(30)})
    known = content_id((card / "n07.JPG").read_bytes())
    files = snapshot(card, tmp_path).files
    verdicts = Verdicts("card", lambda media_id: media_id == known)
    told = list(read_files(decoders, str(card), files, WANTED, verdicts, workers=2))
    assert [item.file for item in told] == list(files)
    assert [item.file.path for item in told if item.pixels is None] == ["n07.JPG"]
    assert all(item.media is not None for item in told)
    assert len(decoders.pids()) <= 2


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
def test_a_decoder_that_crashes_costs_its_file_alone(
    tmp_path: Path, decoders: Decoders, number: signal.Signals
) -> None:
    """Struck while it decodes: the file fails with the signal's name and keeps its header; all others are read."""
    card = tmp_path / "card"
    write(card, a=photograph(1), m=slow_photograph(), z=photograph(2))
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read, decoders, card)
        strike_the_busy(number)
        told = reading.result(timeout=120)
    assert (told["m"].failure, told["a"].failure, told["z"].failure) == (Failure.DECODER_CRASHED, None, None)
    assert number.name in (told["m"].detail or "")
    assert told["m"].media is not None
    assert (told["m"].media.width, told["m"].media.failure) == (3000, Failure.DECODER_CRASHED)


def test_a_content_dies_once_at_most(tmp_path: Path, decoders: Decoders) -> None:
    """Ten copies of it on one card are one death, and their row is what the first one's is, or says where that was."""
    card = tmp_path / "card"
    deadly = slow_photograph()
    write(card, **{f"copy{number}": deadly for number in range(10)}, z=photograph(2))
    verdicts = Verdicts("card", unknown)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read, decoders, card, verdicts)
        strike_the_busy(signal.SIGSEGV)
        told = reading.result(timeout=120)
    copies = [told[f"copy{number}"] for number in range(10)]
    died = [item for item in copies if item.failure is Failure.DECODER_CRASHED]
    assert len(died) == 1
    assert {item.failure for item in copies if item not in died} == {Failure.QUARANTINED}
    assert all("decoder_crashed on card card, copy" in (item.detail or "") for item in copies if item not in died)
    (recorded,) = verdicts.take_unrecorded()
    assert (recorded.media_id, recorded.reason) == (content_id(deadly), "decoder_crashed")
    assert verdicts.take_unrecorded() == []
    assert told["z"].failure is None


def test_what_is_in_quarantine_is_not_decoded(tmp_path: Path, decoders: Decoders) -> None:
    """Not on another card, where it is told so; on its own card, read again, it is what it was; the header is read."""
    card = tmp_path / "card"
    data = photograph(1, moment_of(1))
    write(card, a=data)
    for name, failure in (("other", Failure.QUARANTINED), ("card", Failure.TOOK_TOO_LONG)):
        dead = Quarantined(content_id(data), name, "a.JPG", "took_too_long", "not decoded within 60 s")
        told = read(decoders, card, Verdicts("card", unknown, [dead]))["a"]
        assert (told.failure, told.pixels) == (failure, None)
        assert "not decoded within 60 s" in (told.detail or "")
        assert told.media is not None
        assert told.media.timestamp.value == moment_of(1)


def test_a_decoder_that_hangs_is_ended_in_time(tmp_path: Path) -> None:
    """Stopped for good while it decodes: after `longest_s` the file has failed, the process is gone, the rest is read."""
    card = tmp_path / "card"
    write(card, a=slow_photograph(), z=photograph(1))
    decoders = Decoders(longest_s=3, memory_bytes=ROOM)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read, decoders, card, workers=1)
        pid = strike_the_busy(signal.SIGSTOP)
        told = reading.result(timeout=120)
    assert (told["a"].failure, told["z"].failure) == (Failure.TOOK_TOO_LONG, None)
    assert stat_fields(pid) == []
    decoders.close()


def test_a_photograph_beyond_the_memory_limit_fails_and_bloats_nothing(tmp_path: Path) -> None:
    """140 megapixels of three colours where half a gigabyte is allowed; the next photograph is read as ever."""
    card = tmp_path / "card"
    write(card, a=png(11800, 11800, zlib.compress(bytes(3 * 11800 * 1180), 1)), z=photograph(1))
    decoders = Decoders(longest_s=60, memory_bytes=500_000_000)
    told = read(decoders, card, workers=1)
    assert (told["a"].failure, told["z"].failure) == (Failure.TOO_MUCH_MEMORY, None)
    assert "more than 0.5 GB" in (told["a"].detail or "")
    decoders.close()


def test_a_process_struck_while_idle_costs_nothing(tmp_path: Path, decoders: Decoders) -> None:
    """Nor does the process that they are forked from: another takes its place, and no file is to blame."""
    card = tmp_path / "card"
    write(card, a=photograph(1), b=photograph(2))
    read(decoders, card)
    for victims in (descendants(os.getpid()), descendants(os.getpid(), "ctwatch-nursery")):
        assert victims
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        assert {item.failure for item in read(decoders, card).values()} == {None}


def test_a_disk_that_gives_nothing_is_no_fault_of_the_file(tmp_path: Path) -> None:
    """The process stands still before it has said what the content is: the card waits, nothing is recorded."""
    card = tmp_path / "card"
    write(card, a=photograph(1))
    decoders = Decoders(longest_s=60, memory_bytes=ROOM, reading_s=0.5)
    read(decoders, card)
    (pid,) = decoders.pids()
    os.kill(pid, signal.SIGSTOP)
    verdicts = Verdicts("card", unknown)
    with pytest.raises(Unanswered, match="no bytes"):
        read(decoders, card, verdicts)
    assert verdicts.take_unrecorded() == []
    assert read(decoders, card)["a"].failure is None
    decoders.close()


def test_closing_the_reading_does_not_wait_for_a_decoder_that_hangs(tmp_path: Path, decoders: Decoders) -> None:
    """A daemon that is told to stop stops in seconds; a reader that is asked while it waits may end it."""
    card = tmp_path / "card"
    write(card, a=photograph(1), b=slow_photograph(side=6000))

    class Stop(Exception):
        pass

    def waiting() -> None:
        raise Stop

    files = snapshot(card, tmp_path).files
    verdicts = Verdicts("card", unknown)
    reading = read_files(decoders, str(card), files, WANTED, verdicts, workers=1, waiting=waiting)
    started = time.monotonic()
    with pytest.raises(Stop):
        list(reading)
    assert time.monotonic() - started < 20
    assert verdicts.take_unrecorded() == []


def test_processes_hold_nothing_of_the_daemon_and_hear_no_signal(tmp_path: Path, decoders: Decoders) -> None:
    """Neither its files nor its locks; TERM, INT and HUP to the whole group are for the daemon to act on."""
    write(tmp_path / "card", a=photograph(1))
    with (tmp_path / "lock").open("w") as handle:
        os.set_inheritable(handle.fileno(), True)
        decoders.close()
        read(decoders, tmp_path / "card")
        pids = [*descendants(os.getpid()), *descendants(os.getpid(), "ctwatch-nursery")]
        assert len(pids) >= 2
        for pid in pids:
            opened = {os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")}
            assert str(tmp_path / "lock") not in opened
            assert len(opened) <= 5, opened
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                os.kill(pid, number)
    assert read(decoders, tmp_path / "card")["a"].failure is None
    assert set(pids) <= {*descendants(os.getpid()), *descendants(os.getpid(), "ctwatch-nursery")}


def test_idle_processes_take_no_time(tmp_path: Path, decoders: Decoders) -> None:
    """They wait for work asleep, and so does whoever owns them."""
    write(tmp_path / "card", a=photograph(1))
    read(decoders, tmp_path / "card")
    pids = [*descendants(os.getpid()), *descendants(os.getpid(), "ctwatch-nursery")]
    before = [seconds_of(pid) for pid in pids]
    time.sleep(1.5)
    assert [seconds_of(pid) for pid in pids] == before


def test_processes_are_kept_for_the_next_card_and_end_with_their_owner(tmp_path: Path) -> None:
    """Starting them costs once; given up without a word, they end all the same."""
    write(tmp_path / "card", a=photograph(1))
    mine = Decoders(longest_s=60, memory_bytes=ROOM)
    read(mine, tmp_path / "card", workers=1)
    before = mine.pids()
    read(mine, tmp_path / "card", workers=1)
    assert mine.pids() == before
    del mine
    gc.collect()
    wait_for(lambda: not set(before) & set(descendants(os.getpid())))


PROGRAM = """
import sys
from datetime import datetime
from ctwatch.card import snapshot
from ctwatch.decoding import Decoders, ReadingRules, Verdicts, Wanted
from ctwatch.reading import read_files
from pathlib import Path
card = Path(sys.argv[1])
wanted = Wanted(ReadingRules(2001, False, datetime(2026, 1, 1)))
decoders = Decoders(longest_s=600, memory_bytes=2_000_000_000)
print("reading", flush=True)
list(read_files(decoders, str(card), snapshot(card, card.parent).files, wanted, Verdicts("c", lambda m: False), workers=2))
print("read", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("busy", [True, False])
def test_no_process_outlives_a_daemon_that_is_killed(tmp_path: Path, busy: bool) -> None:
    """Not in the middle of a picture, not idle."""
    write(tmp_path / "card", a=slow_photograph(side=6000) if busy else photograph(1), b=photograph(2))
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "card")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        daemon.stdout.readline()
        if busy:
            strike_the_busy(signal.SIGSTOP, daemon.pid)  # one that would never find out by itself
        else:
            assert daemon.stdout.readline() == "read\n"
        left = [*descendants(daemon.pid), *descendants(daemon.pid, "ctwatch-nursery")]
        assert len(left) >= 2
        daemon.kill()
        daemon.wait()
        wait_for(lambda: not any(fields and fields[0] != "Z" for fields in map(stat_fields, left)), 20)


def test_a_file_that_cannot_be_read_is_told_so_by_its_process(tmp_path: Path, decoders: Decoders) -> None:
    """Empty, no image, gone since: values, and the process goes on."""
    card = tmp_path / "card"
    write(card, empty=b"", text=b"Dear diary", good=photograph(1))
    told = read(decoders, card, workers=1)
    assert (told["empty"].failure, told["text"].failure) == (Failure.EMPTY_FILE, Failure.NOT_AN_IMAGE)
    gone = decoders.read(str(card), FileStat("gone.JPG", 5, 5), WANTED, Verdicts("card", unknown))
    assert gone.failure is Failure.CHANGED_WHILE_READING
    assert len(decoders.pids()) == 1


def test_many_threads_share_the_processes_without_mixing_answers(tmp_path: Path, decoders: Decoders) -> None:
    """Eight at once, each gets its own file's pixels."""
    card = tmp_path / "card"
    write(card, **{f"n{number:03d}": photograph(number, moment_of(number)) for number in range(80)})
    for path, item in read(decoders, card, workers=8).items():
        assert item.media is not None
        assert item.media.media_id == content_id((card / f"{path}.JPG").read_bytes())
    assert 1 <= len(decoders.pids()) <= 8


def test_an_abandoned_read_blames_no_content(tmp_path: Path, decoders: Decoders) -> None:
    """Nobody waits for it any more: its process is ended, and nothing is put into quarantine."""
    write(tmp_path / "card", a=slow_photograph(side=6000))
    (file,) = snapshot(tmp_path / "card", tmp_path).files
    abandoned, verdicts = threading.Event(), Verdicts("card", unknown)
    abandoned.set()
    with pytest.raises(Exception, match=r"^$") as caught:
        decoders.read(str(tmp_path / "card"), file, WANTED, verdicts, abandoned)
    assert type(caught.value).__name__ == "_Abandoned"
    assert verdicts.take_unrecorded() == []
    assert decoders.pids() == []
