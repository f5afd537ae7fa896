"""kill -9 at any moment: however a card comes and whatever kills the process, what comes out is the same."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import write_tiny_models
from crash.campaign import Campaign
from crash.comparing import Left, differences
from crash.life import MIDDLE, Kill, Life
from crash.nursery import Nursery
from crash.scenarios import CARD, NAME, SCENARIOS
from crash.station import Station

KILLS = 50
ALL = {f"inbox/{NAME}": len(CARD)}


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()


@pytest.mark.timeout(600)
def test_however_a_card_comes_and_whatever_is_killed_the_tables_are_those_of_an_undisturbed_run(
    tmp_path: Path, nursery: Nursery
) -> None:
    """Every scenario; kills at each kind of commit point in turn, further ones anywhere; every table, CSV and file."""
    campaign = Campaign(tmp_path, nursery, kills=KILLS, seed=3, jobs=3, kills_a_life=8, each_command=False)
    findings = campaign.run()
    told = [f"{each.sentence}: {', '.join(each.killed)}\n" + "\n".join(each.found) for each in findings.differences]
    assert not told, "\n\n".join(told)
    assert findings.kills >= KILLS
    assert len(findings.by_point) > KILLS // 3
    assert len(findings.by_scenario) > len(SCENARIOS) // 2


@pytest.fixture
def station(tmp_path: Path) -> Station:
    write_tiny_models(tmp_path / "models", members=1)
    made = Station(tmp_path / "station", tmp_path / "models")
    made.make()
    made.drop(NAME, CARD)
    return made


def test_the_harness_hits_the_point_that_it_is_told(station: Station, nursery: Nursery) -> None:
    """Killed at the rename that publishes: not before it, not behind it; the next run publishes."""
    whole = Life(nursery, station, "process")
    whole.work(ALL)
    points = whole.works[0].points
    assert {"before COMMIT ctwatch.duckdb", "after CHECKPOINT ctwatch.duckdb", "after fsync data"} <= set(points)
    at = points.index("before replace reports.duckdb") + 1
    station.make()
    station.drop(NAME, CARD)
    killed = Life(nursery, station, "process", [[Kill(point=at)]])
    killed.work(ALL)
    assert list(killed.killed) == ["before replace reports.duckdb"]
    assert killed.restarts == 1


def test_what_happens_meanwhile_happens_in_the_middle_of_a_card(station: Station, nursery: Nursery) -> None:
    """The process stands still: some predictions are saved, the card is not in."""
    child = nursery.start(station.base, "process", str(station.inbox / NAME), stop_after=MIDDLE)
    while not child.has_stopped():
        assert child.poll(0.02) is None, child.log()
    reached = child.points()
    child.kill()
    assert reached[-1] == MIDDLE[0]
    assert "before replace reports.duckdb" not in reached


def test_a_row_that_is_lost_doubled_or_changed_is_a_difference() -> None:
    """But not the last digits of a probability."""
    left: Left = {"table media": ["('a', 0.25)", "('b', 0.5)"], "stray files": []}
    assert differences(left, {**left, "table media": ["('a', 0.25000001)", "('b', 0.5)"]}) == []
    for rows in (["('a', 0.25)"], ["('a', 0.25)", "('b', 0.5)", "('b', 0.5)"], ["('a', 0.26)", "('b', 0.5)"]):
        assert differences(left, {**left, "table media": rows})
    assert differences(left, {**left, "stray files": ["data/ctwatch.duckdb.wal"]})
    assert differences(left, {"table media": left["table media"]})
