"""What goes wrong during the soak, each at its share of the cards, and undone again by itself."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks.soak.cards import TABLE
from benchmarks.soak.sampling import status

_HOLDER = """
import sys, time, duckdb
until = time.monotonic() + 60
while time.monotonic() < until:
    try:
        held = duckdb.connect(sys.argv[1])
        break
    except duckdb.Error:
        time.sleep(0.001)
time.sleep(float(sys.argv[2]))
"""
_HELD_S, _FULL_S, _BROKEN_S = 6.0, 20.0, 8.0


@dataclass(slots=True)
class Station:
    """Where the soak works, and the daemon that it started last."""

    root: Path
    small_disk: bool
    """Whether the store lies on a file system of its own that can be filled."""
    daemon: subprocess.Popen[bytes] | None = None
    told: list[tuple[float, str]] = field(default_factory=list)
    """When what was done, in seconds since the start."""
    undo: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    """What is to be undone, and when on the monotonic clock."""
    deaths: list[int] = field(default_factory=list)
    """Exit codes of daemons that ended without being asked to."""
    removed: set[str] = field(default_factory=set)
    """Cards that were removed while they were read, to be dropped again."""

    @property
    def inbox(self) -> Path:
        """Where cards are dropped."""
        return self.root / "inbox"

    @property
    def store(self) -> Path:
        """The daemon's folder."""
        return self.root / "store" / "data"

    def start(self) -> None:
        """Start the daemon, in a process group of its own."""
        with (self.root / "log.txt").open("ab") as log:
            self.daemon = subprocess.Popen(
                [sys.executable, "-m", "ctwatch", "--config", str(self.root / "config.toml"), "run"],
                cwd=self.root, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def kill(self) -> None:
        """Kill the daemon and its workers as a power cut would, and start it again."""
        assert self.daemon is not None
        os.killpg(self.daemon.pid, signal.SIGKILL)
        self.daemon.wait()
        self.start()

    def end(self) -> None:
        """Ask the daemon to stop, and wait for it."""
        assert self.daemon is not None
        self.daemon.terminate()
        self.daemon.wait(120)

    def read_again(self) -> None:
        """Let the daemon read its configuration again."""
        assert self.daemon is not None
        os.kill(self.daemon.pid, signal.SIGHUP)

    def hold_live(self) -> None:
        """Let somebody open the daemon's own database for some seconds."""
        subprocess.Popen([sys.executable, "-c", _HOLDER, str(self.store / "ctwatch.duckdb"), str(_HELD_S)])

    def break_table(self) -> None:
        """Leave the deployments table broken for some seconds."""
        table = self.root / "deployments.csv"
        table.write_text("deploymentID,latitude\nD00,north\n", "utf-8")
        self.undo.append((time.monotonic() + _BROKEN_S, lambda: _rewrite(table)))

    def fill_disk(self) -> None:
        """Fill the store's disk to the last byte for some seconds."""
        ballast = self.store.parent / "ballast"
        with ballast.open("wb", buffering=0) as handle:
            try:
                while True:
                    handle.write(bytes(1 << 16))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
        self.undo.append((time.monotonic() + _FULL_S, ballast.unlink))

    def remove_card(self) -> None:
        """Remove the next card as soon as the daemon says that it reads it; it is dropped again later."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            card = (status(self.store).get("card") or {}).get("name")
            if card and (self.inbox / card).is_dir():
                (self.inbox / card).rename(self.root / "aside" / f"{card}.gone")
                self.removed.add(card)
                self.undo.append((time.monotonic() + 5, partial(self._put_back, card)))
                return
            time.sleep(0.002)

    def _put_back(self, card: str) -> None:
        shutil.move(self.root / "aside" / f"{card}.gone", self.inbox / card)

    def undo_due(self, *, all_of_them: bool = False) -> None:
        """Undo what has lasted long enough."""
        due = [item for item in self.undo if all_of_them or item[0] <= time.monotonic()]
        for item in due:
            self.undo.remove(item)
            item[1]()


def _rewrite(table: Path) -> None:
    table.write_text(TABLE, "utf-8")


SCHEDULE: tuple[tuple[float, str, Callable[[Station], None]], ...] = (
    (0.06, "kill -9", Station.kill),
    (0.12, "kill -9", Station.kill),
    (0.18, "kill -9", Station.kill),
    (0.30, "live file held open", Station.hold_live),
    (0.38, "card removed", Station.remove_card),
    (0.46, "disk full", Station.fill_disk),
    (0.56, "table broken", Station.break_table),
    (0.64, "SIGHUP", Station.read_again),
    (0.70, "live file held open", Station.hold_live),
    (0.76, "card removed", Station.remove_card),
    (0.82, "disk full", Station.fill_disk),
)
"""From which share of the cards, what, and how. The kills come first, so that one process lives through all the others."""
