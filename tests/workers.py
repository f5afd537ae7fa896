"""Decoding processes found and struck from outside, and photographs that keep them busy long enough for that."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path

from PIL import Image


def slow_photograph(shade: int = 128, side: int = 3000, scans: int = 190) -> bytes:
    """A progressive JPEG of few bytes that takes seconds to decode; another shade is another content."""
    buffer = BytesIO()
    Image.new("L", (side, side), shade).save(buffer, "JPEG", progressive=True)
    whole = buffer.getvalue()
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + whole[last:-2] * scans + whole[-2:]


def stat_fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name: state, parent, ...; none if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return []


def descendants(pid: int, name: str = "ctwatch-decode") -> list[int]:
    """Living processes below a process that go by a name."""
    parents: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        fields = stat_fields(int(entry)) if entry.isdigit() else []
        if fields and fields[0] != "Z":
            parents[int(entry)] = int(fields[1])
    found = []
    for child in parents:
        above = child
        while above in parents and above != pid:
            above = parents[above]
        with suppress(OSError):  # it may end meanwhile
            if above == pid and child != pid and Path(f"/proc/{child}/comm").read_text("utf-8").strip() == name:
                found.append(child)
    return found


def seconds_of(pid: int) -> float:
    """Processor time that a process has taken."""
    fields = stat_fields(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def wait_for(what: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def strike_the_busy(number: signal.Signals, pid: int | None = None, *, busy_s: float = 0.3) -> int:
    """Send a signal to the first decoding process that has been at one file for so long; returns its id."""
    found: list[int] = []
    before = {worker: seconds_of(worker) for worker in descendants(pid or os.getpid())}

    def busy() -> bool:
        for worker in descendants(pid or os.getpid()):
            if seconds_of(worker) - before.get(worker, 0.0) >= busy_s:
                os.kill(worker, number)
                found.append(worker)
                return True
        return False

    wait_for(busy)
    return found[0]
