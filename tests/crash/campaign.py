"""Many lives with kills: which points are to be hit, who lives them, and what came of it."""

import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conftest import write_tiny_models

from .comparing import Left, damaged, differences, left_by, seen_by_people
from .life import Kill, Life, NeverEnded, Work
from .nursery import Nursery
from .scenarios import SCENARIOS, Scenario
from .station import Station

POWER_CUTS = 0.25
"""Share of the kills with which the power fails too."""
AT_RANDOM = 0.3
"""Share of the further kills of a life that come at a random moment instead of at a point."""


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """What a scenario comes to when nobody kills it."""

    left: Left
    seen: Left
    works: tuple[Work, ...]


@dataclass(frozen=True, slots=True)
class Sentence:
    """One life that is to be lived: the scenario, its command, and its kills for each piece of work."""

    scenario: Scenario
    command: str
    plan: tuple[tuple[Kill, ...], ...]

    def __str__(self) -> str:
        kills = "; ".join(
            f"work {number}: {', '.join(map(str, kills))}" for number, kills in enumerate(self.plan) if kills
        )
        return f"{self.scenario.name} ({self.command}), killed at {kills}"


@dataclass(frozen=True, slots=True)
class Difference:
    """A life that came to something else than it would have undisturbed."""

    sentence: Sentence
    killed: tuple[str, ...]
    """Names of the points."""
    found: tuple[str, ...]


@dataclass(slots=True)
class Findings:
    """What a campaign has come to."""

    seed: int
    lives: int = 0
    restarts: int = 0
    recoveries: int = 0
    """Damaged live databases that a kill left and a start replaced, beyond those that a scenario damaged itself."""
    power_cuts: int = 0
    """Kills with which the power failed."""
    lost: int = 0
    """Renames and files' bytes that these took."""
    by_point: Counter[str] = field(default_factory=Counter)
    by_scenario: Counter[str] = field(default_factory=Counter)
    points: set[str] = field(default_factory=set)
    """All points that undisturbed lives reach."""
    differences: list[Difference] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def kills(self) -> int:
        """Kills that met a process at work."""
        return self.by_point.total()


class Campaign:
    """Lives scenarios with kills until enough have been killed, several side by side."""

    def __init__(
        self,
        folder: Path,
        nursery: Nursery,
        *,
        kills: int,
        seed: int,
        jobs: int,
        scenarios: Sequence[Scenario] = SCENARIOS,
        kills_a_life: int = 3,
        each_command: bool = True,
        progress: Callable[[Findings], None] = lambda findings: None,
    ) -> None:
        """Take the folder to work in and who starts commands.

        Without `each_command` a scenario is lived with one of its commands only, in turn.
        """
        self._folder, self._nursery, self._kills, self._jobs, self._progress = folder, nursery, kills, jobs, progress
        self._kills_a_life = kills_a_life
        self._ways = [
            (scenario, command)
            for number, scenario in enumerate(scenarios)
            for command in (scenario.commands if each_command else [scenario.commands[number % len(scenario.commands)]])
        ]
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._undisturbed: dict[tuple[str, str], Undisturbed] = {}
        self.findings = Findings(seed)

    def run(self) -> Findings:
        """Live every scenario undisturbed, then with kills; returns what was found."""
        started = time.monotonic()
        write_tiny_models(self._folder / "models", members=1)
        self._side_by_side(iter(self._ways), self._live_undisturbed)
        self._compare_ways()
        if self._undisturbed:
            self._side_by_side(self._sentences(), self._live_killed)
        self.findings.seconds = time.monotonic() - started
        return self.findings

    def _side_by_side(self, tasks: Iterator[Any], do: Callable[[Station, Any], None]) -> None:
        """Give tasks to workers, each with a place of its own; what fails in one is raised."""
        failed: list[BaseException] = []

        def attend(number: int) -> None:
            station = Station(self._folder / f"station{number}", self._folder / "models")
            try:
                while not failed:
                    with self._lock:
                        task = next(tasks, None)
                    if task is None:
                        break
                    do(station, task)
            except BaseException as error:
                failed.append(error)
            finally:
                shutil.rmtree(station.far, ignore_errors=True)

        threads = [threading.Thread(target=attend, args=(number,)) for number in range(self._jobs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]

    def _live_undisturbed(self, station: Station, task: tuple[Scenario, str]) -> None:
        scenario, command = task
        life = Life(self._nursery, station, command)
        try:
            scenario.live(station, life)
        except NeverEnded as error:
            with self._lock:
                self.findings.differences.append(Difference(Sentence(scenario, command, ()), (), (str(error),)))
            return
        found = Undisturbed(_of_no_place(left_by(station), station), seen_by_people(station), tuple(life.works))
        with self._lock:
            self._undisturbed[scenario.name, command] = found
            self.findings.points |= {point for work in life.works for point in work.points}
            self._progress(self.findings)

    def _compare_ways(self) -> None:
        """Whatever way a card came, people must see the same."""
        plain = {name: found for (name, command), found in self._undisturbed.items() if command == "run"}
        for scenario, command in self._ways:
            found = self._undisturbed.get((scenario.name, command))
            expected = plain.get(scenario.plain or scenario.name)
            said = differences(expected.seen, found.seen) if expected and found else []
            if said:
                self.findings.differences.append(Difference(Sentence(scenario, command, ()), (), tuple(said)))

    def _sentences(self) -> Iterator[Sentence]:
        """Plan lives until enough were killed: each begins with another point, those of new names first."""
        while self.findings.kills < self._kills:
            yield from self._round()

    def _round(self) -> Iterator[Sentence]:
        places = [
            (scenario, command, number, at + 1, name)
            for scenario, command in self._ways
            if (scenario.name, command) in self._undisturbed
            for number, work in enumerate(self._undisturbed[scenario.name, command].works)
            for at, name in enumerate(work.points)
        ]
        self._random.shuffle(places)
        # Of each name one first, and of these one of each scenario first; then all the others.
        names: Counter[str] = Counter()
        scenarios: Counter[tuple[int, str]] = Counter()
        ranks = []
        for scenario, _, _, _, name in places:
            among = names[name], scenario.name
            ranks.append((names[name], scenarios[among]))
            names[name] += 1
            scenarios[among] += 1
        order = sorted(range(len(places)), key=lambda index: ranks[index])
        for index in order:
            scenario, command, number, at, _ = places[index]
            if self.findings.kills >= self._kills:
                return
            works = self._undisturbed[scenario.name, command].works
            plan: list[list[Kill]] = [[] for _ in works]
            plan[number].append(Kill(point=at, power=self._power()))
            for _ in range(self._kills_a_life - 1):
                which = self._random.randrange(len(works))
                work = works[which]
                if self._random.random() < AT_RANDOM:
                    plan[which].append(Kill(moment_s=self._random.random() * work.seconds, power=self._power()))
                else:
                    plan[which].append(Kill(point=1 + self._random.randrange(len(work.points)), power=self._power()))
            yield Sentence(scenario, command, tuple(map(tuple, plan)))

    def _power(self) -> int | None:
        return self._random.randrange(1_000_000) if self._random.random() < POWER_CUTS else None

    def _live_killed(self, station: Station, sentence: Sentence) -> None:
        expected = self._undisturbed[sentence.scenario.name, sentence.command]
        life = Life(self._nursery, station, sentence.command, sentence.plan)
        try:
            sentence.scenario.live(station, life)
            said = differences(expected.left, _of_no_place(left_by(station), station))
            said += differences(expected.seen, seen_by_people(station))
        except NeverEnded as error:
            said = [str(error)]
        of_its_own = sentence.scenario.name == "the live database damaged"
        with self._lock:
            findings = self.findings
            findings.lives += 1
            findings.restarts += life.restarts
            findings.recoveries += damaged(station) - of_its_own
            findings.power_cuts += life.power_cuts
            findings.lost += len(life.lost)
            findings.by_point.update(life.killed)
            findings.by_scenario[sentence.scenario.name] += life.killed.total()
            if said:
                kept = self._folder / f"difference{len(findings.differences)}"
                shutil.copytree(station.base, kept, symlinks=True)
                (kept / "difference.txt").write_text(
                    "\n".join([str(sentence), *life.killed, *life.lost, *said]), "utf-8"
                )
                said.append(f"what it left is kept in {kept}")
                findings.differences.append(Difference(sentence, tuple(life.killed), tuple(said)))
            self._progress(findings)


def _of_no_place(left: Left, station: Station) -> Left:
    """Take out of what is left where the station lay, and the cards' ids, which hang on it."""
    ids = _card_ids(left)
    said: Left = {}
    for name, rows in left.items():
        for card_id, card in ids.items():
            rows = [row.replace(card_id, card) for row in rows]
        said[name] = (
            sorted(row.replace(str(station.base), "").replace(str(station.far), "") for row in rows)
            if name.startswith("table ")
            else rows
        )
    return said


def _card_ids(left: Left) -> dict[str, str]:
    """Return cards' ids with a name that is the same at every place: path and number of files."""
    found = {}
    for row in left["table card"]:
        values = row.strip("()").split(", ")
        found[values[0].strip("'")] = f"card {values[3]} of {values[5]}"
    return found
