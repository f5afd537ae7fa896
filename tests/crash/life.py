"""One life of a station: commands that run to their end however often they are killed on the way."""

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from .nursery import DEADLINE_S, Child, Nursery
from .power import cut
from .station import Station

_LOOK_S = 0.03
MIDDLE = ("after COMMIT ctwatch.duckdb", 1)
"""The point at which a card is in the middle of its processing: the first of its predictions are saved."""


@dataclass(frozen=True, slots=True)
class Kill:
    """When to kill: at a point of a run, counted from 1, or so many seconds after its start."""

    point: int | None = None
    moment_s: float | None = None
    power: int | None = None
    """A seed: the power fails at the same time, and takes what was not synced."""

    def __str__(self) -> str:
        when = f"point {self.point}" if self.point is not None else f"{self.moment_s:.3f} s"
        return when if self.power is None else f"{when} with the power (seed {self.power})"


@dataclass(slots=True)
class Work:
    """What one command of an undisturbed life came to: the points that it reached and how long it took."""

    points: list[str]
    seconds: float


class NeverEnded(Exception):
    """A command did not come to its end, or ended wrongly."""


@dataclass(slots=True)
class Life:
    """Carries out one scenario with one command, `run` or `process`, and the kills of a plan."""

    nursery: Nursery
    station: Station
    command: str
    plan: Sequence[Sequence[Kill]] = ()
    """Kills for each piece of work, in order."""
    works: list[Work] = field(default_factory=list)
    killed: Counter[str] = field(default_factory=Counter)
    """Kills by the name of the point."""
    restarts: int = 0
    power_cuts: int = 0
    lost: list[str] = field(default_factory=list)
    """What power cuts took."""
    _seen: tuple[int, int] | None = None
    _cards: dict[str, int] = field(default_factory=dict)

    def work(
        self,
        cards: dict[str, int],
        meanwhile: Callable[[], None] | None = None,
        also: Callable[[], bool] = lambda: True,
    ) -> None:
        """Let the daemon or `process` work until these cards, files seen by inbox and name, are published, and `also`.

        `meanwhile` happens while the first of them is processed: at its middle, or behind the first kill before that.
        """
        arguments = ["run"] if self.command == "run" else ["process", *self._folders()]
        self._until_done(arguments, lambda: self._published() == cards and also(), meanwhile)

    def once(self, *arguments: str) -> None:
        """Let any other command work to its end."""
        self._until_done(list(arguments), lambda: True, None)

    def _until_done(self, arguments: list[str], done: Callable[[], bool], meanwhile: Callable[[], None] | None) -> None:
        kills = list(self.plan[len(self.works)]) if len(self.works) < len(self.plan) else []
        started = time.monotonic()
        while True:
            kill = kills.pop(0) if kills else Kill()
            stop_after = MIDDLE if meanwhile is not None else None
            child = self.nursery.start(self.station.base, *arguments, kill_at=kill.point, stop_after=stop_after)
            meanwhile = self._attend(child, kill, done if arguments[0] == "run" else None, meanwhile)
            ended = child.returncode
            if ended == -signal.SIGKILL:
                points = child.points()
                self.killed["a random moment" if kill.point is None else points[-1]] += 1
                self.restarts += 1
                if kill.power is not None:
                    self.power_cuts += 1
                    self.lost += cut(self.station.power, random.Random(kill.power))
            elif ended not in (0, 3) and meanwhile is None and arguments[0] != "process":
                raise NeverEnded(f"{' '.join(arguments)} ended with {ended}:\n{child.log()}")
            if meanwhile is not None and ended is not None:
                meanwhile()
                meanwhile = None
            if arguments[0] == "process":
                arguments = ["process", *self._folders()]  # as they are called now
            if ended != -signal.SIGKILL and done():
                break
            if time.monotonic() - started > DEADLINE_S:
                raise NeverEnded(f"{' '.join(arguments)}: published is {self._published()}\n{child.log()}")
        self.works.append(Work(child.points(), time.monotonic() - started))

    def _attend(
        self, child: Child, kill: Kill, done: Callable[[], bool] | None, meanwhile: Callable[[], None] | None
    ) -> Callable[[], None] | None:
        """Wait for the end of a run: killed, of its own, or asked to stop once it is `done`.

        Returns what is still to happen meanwhile.
        """
        started, told = time.monotonic(), False
        kill_s = DEADLINE_S if kill.moment_s is None else kill.moment_s
        while child.poll(max(0.0, min(_LOOK_S, started + kill_s - time.monotonic()))) is None:
            if meanwhile is not None and child.has_stopped():
                meanwhile()
                meanwhile = None
                child.signal(signal.SIGCONT)
            elif time.monotonic() - started >= kill_s:
                child.kill()
                if kill.moment_s is None:
                    raise NeverEnded(f"still at work after {kill_s:.0f} s: {self._published()}\n{child.log()}")
            elif done is not None and not told and self._idle(child) and done():
                os.kill(child.pid, signal.SIGTERM)
                told = True
        return meanwhile

    def _idle(self, child: Child) -> bool:
        """Whether the daemon says that it has nothing more to do."""
        try:
            status: dict[str, Any] = json.loads((self.station.store / "status.json").read_text("utf-8"))
        except (OSError, ValueError):
            return False
        busy = status.get("settling") or status.get("refused") or status.get("unpublished")
        return status.get("pid") == child.pid and status.get("state") == "waiting" and not busy

    def _folders(self) -> list[str]:
        return [
            str(path)
            for inbox in (self.station.inbox, self.station.second)
            for path in sorted(inbox.iterdir())
            if not path.name.startswith(".")
        ]

    def _published(self) -> dict[str, int]:
        path = self.station.store / "reports.duckdb"
        try:
            facts = path.stat()
        except FileNotFoundError:
            return {}
        if (facts.st_ino, facts.st_mtime_ns) != self._seen:
            self._seen, self._cards = (facts.st_ino, facts.st_mtime_ns), self._cards_of(path)
        return self._cards

    def _cards_of(self, path: Path) -> dict[str, int]:
        with duckdb.connect(str(path), read_only=True) as connection:
            rows = connection.execute("SELECT card_path, card_name, files_seen FROM cards").fetchall()
        return {f"{os.path.basename(os.path.dirname(path))}/{name}": files for path, name, files in rows}

    def count(self, table: str) -> int:
        """Return how many rows a table of the published copy has."""
        with duckdb.connect(str(self.station.store / "reports.duckdb"), read_only=True) as connection:
            return int(connection.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])
