"""What a daemon takes and what it has done, looked at from outside once a second."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb


@dataclass(frozen=True, slots=True)
class Sample:
    """One look; memory and sizes in bytes, `at` in seconds since the start of the soak."""

    at: float
    daemon: int
    """Its process."""
    pss: int
    """Memory of the daemon and its workers, what they share counted once."""
    rss: int
    """Resident memory of the daemon alone."""
    handles: int
    """Open file descriptors of the daemon."""
    threads: int
    """Threads of the daemon and its workers."""
    processes: int
    live: int
    published: int
    logs: int
    """Write-ahead logs in the store's folder."""
    cards: int
    """Cards in the published database."""
    publications: int
    """Times that the published database was seen to be replaced."""


class Sampler:
    """Takes samples of one daemon after the other in one store."""

    def __init__(self, store: Path, started: float) -> None:
        self._store, self._started = store, started
        self._published: tuple[int, int] | None = None
        self._publications = 0
        self._cards = 0

    def now(self) -> float:
        """Seconds since the start of the soak."""
        return time.monotonic() - self._started

    def take(self, daemon: int) -> Sample | None:
        """Look once; None while the daemon's process is not there."""
        group = processes_of(daemon)
        try:
            rss, handles = _kilobytes(daemon, "status", "VmRSS"), len(os.listdir(f"/proc/{daemon}/fd"))
            pss = sum(_kilobytes(pid, "smaps_rollup", "Pss") for pid in group)
            threads = sum(len(os.listdir(f"/proc/{pid}/task")) for pid in group)
        except OSError:
            return None
        return Sample(
            at=self.now(), daemon=daemon, pss=pss * 1024, rss=rss * 1024, handles=handles,
            threads=threads, processes=len(group), live=_size(self._store / "ctwatch.duckdb"),
            published=_size(self._store / "reports.duckdb"), logs=sum(1 for _ in self._store.glob("*.wal")),
            cards=self.cards(), publications=self._publications,
        )  # fmt: skip

    def cards(self) -> int:
        """Return how many cards are published, asked only where a new copy lies."""
        path = self._store / "reports.duckdb"
        try:
            facts = path.stat()
        except FileNotFoundError:
            return self._cards
        if (facts.st_ino, facts.st_mtime_ns) != self._published:
            self._published = (facts.st_ino, facts.st_mtime_ns)
            self._publications += 1
            with duckdb.connect(str(path), read_only=True) as connection:
                self._cards = int(connection.execute("SELECT count(*) FROM cards").fetchall()[0][0])
        return self._cards


def status(store: Path) -> dict[str, Any]:
    """Return what the daemon says of itself; empty while it says nothing."""
    try:
        said: dict[str, Any] = json.loads((store / "status.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return said


def processes_of(daemon: int) -> list[int]:
    """Return the processes of a group by its head: the daemon and its workers."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            text = Path(f"/proc/{name}/stat").read_text("utf-8", "replace")
        except OSError:
            continue
        fields = text.rpartition(")")[2].split()
        if int(fields[2]) == daemon and fields[0] != "Z":
            found.append(int(name))
    return found


def _kilobytes(pid: int, file: str, name: str) -> int:
    for line in Path(f"/proc/{pid}/{file}").read_text("utf-8").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return 0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
