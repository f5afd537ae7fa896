"""Generated worlds: what they hold is exactly what was asked for, and erasing animals changes nothing else."""

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from ctwatch_train.commands.scenes import scenes
from ctwatch_train.generate import (
    PARTS,
    SEEN_SHARES,
    Trigger,
    World,
    draw,
    plan,
    plan_world,
    quotas,
    species_of,
    without_animals,
    write_scenes,
    write_world,
)  # fmt: skip
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ctwatch.demo.scenes import RESERVED_LOCATIONS, SPECIES
from ctwatch.domain import BLANK
from ctwatch.errors import ConfigError

FIRST = RESERVED_LOCATIONS + 700
TINY = World(
    seed=5, seen=3, validation=1, unseen=2, events=24, unseen_events=10, apart=2, rarest=6, size=(48, 64), first=FIRST
)

worlds = st.builds(
    World,
    seed=st.integers(0, 10**6),
    seen=st.integers(1, 9),
    validation=st.integers(0, 9),
    unseen=st.integers(0, 9),
    events=st.integers(1, 60),
    unseen_events=st.integers(0, 40),
    blanks=st.floats(0, 0.95),
    rarest=st.floats(1, 200),
    bias=st.floats(0, 8),
    unknown=st.integers(0, 7),
    apart=st.integers(0, 5),
    first=st.integers(0, 9000),
)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@given(
    st.integers(0, 10_000), st.lists(st.floats(0, 1e3), min_size=1, max_size=12).filter(lambda each: sum(each) > 1e-3)
)
def test_quotas_add_up_and_are_within_one_of_the_exact_share(total: int, shares: list[float]) -> None:
    numbers = quotas(total, shares)
    assert sum(numbers) == total
    for number, share in zip(numbers, shares, strict=True):
        assert abs(number - total * share / sum(shares)) < 1 + 1e-6


def test_quotas_by_hand() -> None:
    assert quotas(10, [0.64, 0.14, 0.22]) == [7, 1, 2]
    assert quotas(3, [1, 1, 1]) == [1, 1, 1]
    assert quotas(2, [1, 1, 1]) == [1, 1, 0]


@settings(max_examples=40, deadline=None)
@given(worlds)
def test_a_world_holds_what_was_asked_for(world: World) -> None:
    triggers = plan_world(world)
    assert triggers == plan_world(world)
    known, unknown = species_of(world)
    assert sorted((*known, *unknown)) == sorted(SPECIES)
    assert len(unknown) == world.unknown
    assert "human" not in unknown
    assert len({(each.location, each.event) for each in triggers}) == len(triggers)
    natural = [each for each in triggers if each.part in ("natural", "aside")]
    kinds = (
        (world.seen_places, world.events),
        (world.validation_places, world.unseen_events),
        (world.unseen_places, world.unseen_events),
    )
    for places, events in kinds:
        here = [each for each in natural if each.location in places]
        assert len(here) == events * len(places)
        assert sum(each.species is None for each in here) == round(world.blanks * len(here))
    for each in triggers:
        assert each.frames in (1, 2, 3)
        assert 0 <= each.stays <= 2
        assert (each.split == "test") == (each.location in world.unseen_places)
        assert (each.split == "validation") == (each.location in world.validation_places)
        assert (each.species in unknown) == (each.part == "unknown")
        assert each.part == "natural" or each.split in ("test", "test_seen")
    apart = Counter((each.part, each.split, each.species) for each in triggers if each.part in ("balanced", "unknown"))
    twice = 2 if world.unseen else 1
    assert len(apart) == (twice * len(SPECIES) if world.apart else 0)
    assert set(apart.values()) <= {world.apart}


def test_the_prior_has_a_long_tail_in_the_stated_ratio_in_every_split() -> None:
    world = World(seed=3, rarest=40)
    known, _ = species_of(world)
    triggers = plan_world(world)
    counts = Counter(each.species for each in triggers if each.part == "natural" and each.split == "train")
    numbers = [counts[name] for name in known]
    assert numbers == sorted(numbers, reverse=True)
    assert numbers[0] / numbers[-1] == pytest.approx(40, rel=0.1)
    assert numbers[1] / numbers[2] == pytest.approx(40 ** (1 / 6), rel=0.05)
    for name in known:
        cells = Counter((each.part, each.split) for each in triggers if each.species == name)
        everything = sum(cells[part, split] for part, split, _ in SEEN_SHARES)
        for part, split, share in SEEN_SHARES:
            assert abs(cells[part, split] - share * everything) <= 1


def test_species_prefer_places_as_much_as_the_bias_says_and_not_in_the_balanced_part() -> None:
    """Unevenness of a species over places: variance over mean of its counts, which is 1 if places are alike."""

    def uneven(bias: float, part: str) -> float:
        triggers = plan_world(World(seed=2, seen=12, bias=bias, apart=120))
        known, _ = species_of(World(seed=2))
        ratios = []
        for name in known[:3]:
            count = Counter(
                each.location for each in triggers if (each.species, each.part) == (name, part) and each.location < 12
            )
            values = np.array([count[place] for place in range(12)])
            ratios.append(values.var() / values.mean())
        return float(np.mean(ratios))

    assert uneven(0, "natural") < 3
    assert uneven(1.5, "natural") > 20
    assert uneven(1.5, "balanced") < 3


def test_seeds_differ_in_what_is_common_and_what_is_unknown() -> None:
    assert len({species_of(World(seed=seed))[1] for seed in range(8)}) > 3
    assert len({species_of(World(seed=seed))[0][0] for seed in range(12)}) > 3


@pytest.mark.parametrize("night", [False, True])
def test_an_erased_scene_differs_only_where_the_animal_is(night: bool) -> None:
    changed = []
    for seed in range(12):
        trigger = Trigger(FIRST + seed % 3, 1, "demo zebra", night, 2, seed)
        for there, gone in zip(draw(trigger, (96, 128)), draw(trigger, (96, 128), erased=True), strict=True):
            assert there.visible == gone.visible
            differs = (there.pixels != gone.pixels).any(2)
            if not there.visible:
                assert not differs.any()
                continue
            assert differs.any()
            rows, columns = np.flatnonzero(differs.any(1)), np.flatnonzero(differs.any(0))
            # Inside of the box of the animal and its shadow; outside of it not a single pixel is touched.
            changed.append((np.ptp(rows) + 1) * (np.ptp(columns) + 1) / differs.size)
    assert 0.01 < np.mean(changed) < 0.5


def test_an_erased_blank_scene_is_the_scene() -> None:
    trigger = Trigger(FIRST, 1, None, False, 2, 8)
    for there, gone in zip(draw(trigger, (48, 64)), draw(trigger, (48, 64), erased=True), strict=True):
        assert np.array_equal(there.pixels, gone.pixels)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("world")
    assert list(write_world(TINY, out)) == list(PARTS)
    return out


def test_the_tables_of_a_world_say_what_was_planned(written: Path) -> None:
    triggers = {f"{each.location}-{each.event}": each for each in plan_world(TINY)}
    known, unknown = species_of(TINY)
    found: Counter[str] = Counter()
    for part in PARTS:
        rows = table(written / part / "labels.csv")
        assert list(rows[0]) == ["path", "label", "location", "event", "split"]
        for row in rows:
            trigger = triggers[row["event"]]
            assert (part, row["split"]) == (trigger.part, trigger.split)
            assert row["location"] == f"generated-{trigger.location}"
            assert row["label"] in (trigger.species, BLANK)
            found[row["event"]] += 1
            with Image.open(written / part / row["path"]) as picture:
                assert picture.size == (64, 48)
    assert found == {name: each.frames for name, each in triggers.items()}
    by_event: dict[str, set[str]] = {}
    for row in table(written / "unknown" / "labels.csv"):
        by_event.setdefault(row["event"], set()).add(row["label"])
    assert {name for names in by_event.values() for name in names} - {BLANK} == set(unknown)
    assert set(unknown).isdisjoint(row["label"] for row in table(written / "natural" / "labels.csv"))
    # The animal is in at least one frame of its event.
    assert all(names != {BLANK} for names in by_event.values())
    assert set(known) >= {row["label"] for row in table(written / "balanced" / "labels.csv")} - {BLANK}


def test_animals_leave_in_as_many_frames_as_the_world_says() -> None:
    """Without walking out of the frame, 15 % of second and 28 % of third frames; every event keeps one with its animal."""

    def gone(leaving: float) -> float:
        triggers = plan_world(replace(TINY, seen=2, events=90, leaving=leaving))
        drawn = [draw(each, (48, 64)) for each in triggers if each.species and each.frames > 1][:120]
        assert all(any(frame.visible for frame in frames) for frames in drawn)
        return float(np.mean([not frame.visible for frames in drawn for frame in frames]))

    assert gone(0) < 0.05
    assert 0.08 < gone(0.15) < 0.2


def test_a_frame_that_the_animal_has_left_is_the_scene_without_it() -> None:
    stayed = Trigger(FIRST, 1, "demo elephant", False, 3, 4)
    left = replace(stayed, stays=1)
    frames, gone = draw(left, (48, 64)), draw(stayed, (48, 64), erased=True)
    assert [frame.visible for frame in frames] == [True, False, False]
    assert np.array_equal(frames[0].pixels, draw(stayed, (48, 64))[0].pixels)
    for frame, bare in zip(frames[1:], gone[1:], strict=True):
        assert np.array_equal(frame.pixels, bare.pixels)
    assert [frame.visible for frame in draw(left, (48, 64), erased=True)] == [True, False, False]


def test_a_world_that_is_there_is_kept_and_another_one_refused(written: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in written.rglob("*.jpg")}
    write_world(TINY, written)
    assert before == {path: path.stat().st_mtime_ns for path in written.rglob("*.jpg")}
    with pytest.raises(ConfigError, match="already there"):
        write_world(replace(TINY, seed=6), written)


def test_an_erased_world_has_the_same_tables(written: Path, tmp_path: Path) -> None:
    tables = write_world(without_animals(TINY), tmp_path)
    for part, path in tables.items():
        assert path.read_bytes() == (written / part / "labels.csv").read_bytes()
    rows = table(written / "balanced" / "labels.csv")
    same = [
        (written / "balanced" / row["path"]).read_bytes() == (tmp_path / "balanced" / row["path"]).read_bytes()
        for row in rows
    ]
    assert same == [row["label"] == BLANK for row in rows]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"seen": 0}, "a seen place"),
        ({"blanks": 1.0}, "blanks 1,"),
        ({"rarest": 0.5}, "commonest"),
        ({"unknown": 8}, "two must be known"),
        ({"first": RESERVED_LOCATIONS - 2}, "reserved"),
        ({"size": (40, 64)}, "at least 48 x 64"),
    ],
)
def test_numbers_out_of_range_are_named(wrong: dict[str, object], said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        write_world(replace(TINY, **wrong), tmp_path)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_plain_scenes_are_as_they_were(tmp_path: Path) -> None:
    """What the bundled models were trained on can be drawn again: the plan does not depend on what worlds need."""
    assert plan(1, 2, 1, blanks=0.42, first=0) == [
        Trigger(0, 0, "demo boar", False, 1, 651105938),
        Trigger(0, 1, "demo antelope", True, 3, 436916802),
    ]
    count = write_scenes(tmp_path, locations=1, events=2, seed=1, first=FIRST, size=(48, 64))
    assert list(table(tmp_path / "labels.csv")[0]) == ["path", "label", "location", "event"]
    assert count == len(list(tmp_path.rglob("*.jpg")))


def test_the_command_draws_a_world(tmp_path: Path) -> None:
    places = "--world --locations 2 --events 6 --validation 1 --unseen 1 --unseen-events 4"
    options = f"{places} --apart 1 --size 48 64 --blanks 0.4 --seed 5"
    done = CliRunner().invoke(scenes, ["--out", str(tmp_path), "--first", str(FIRST), *options.split()])
    assert done.exit_code == 0, done.output
    expected = World(
        seed=5,
        seen=2,
        validation=1,
        unseen=1,
        events=6,
        unseen_events=4,
        apart=1,
        size=(48, 64),
        blanks=0.4,
        first=FIRST,
    )
    assert (tmp_path / "world.txt").read_text() == f"{expected!r}\n"
    assert [line for line in done.stdout.splitlines() if line.endswith("labels.csv")] == [
        str(tmp_path / part / "labels.csv") for part in PARTS
    ]


def test_options_of_worlds_without_a_world_are_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(scenes, ["--out", str(tmp_path), "--unseen", "3", "--bias", "1"])
    assert isinstance(done.exception, ConfigError)
    assert done.exception.problems == ("--unseen needs --world", "--bias needs --world")
