"""Division into splits: nothing leaks, labels are spread, the same seed gives the same, whatever the order of the rows."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ctwatch_train.sets.split import (
    LEFT_OUT,
    SPLITS,
    TEST,
    TEST_SEEN,
    TRAIN,
    UNITS,
    VALIDATION,
    Rows,
    Shares,
    balanced,
    divide,
    joined,
)
from ctwatch_train.sets.stratify import deal
from hypothesis import given, settings
from hypothesis import strategies as st

from ctwatch.errors import ConfigError

HALF = Shares(0.2, 0.2, 0.2)


def column(values: list[Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Ranks of sorted values."""
    ordered = sorted(set(values))
    return np.array([ordered.index(value) for value in values], np.int64)


def rows_of(
    labels: list[int],
    locations: list[int],
    events: list[int],
    contents: list[int] | None = None,
    fixed: list[int] | None = None,
    sources: list[int] | None = None,
) -> Rows:
    """Rows as a set has them; events are told apart by location."""
    count = len(labels)
    named = [(place, event) for place, event in zip(locations, events, strict=True)]
    return Rows(
        np.array(labels, np.int64),
        column(sources or [0] * count),
        column(locations),
        column(named),
        column(contents if contents is not None else list(range(count))),
        np.array(fixed if fixed is not None else [LEFT_OUT] * count, np.int8),
        [f"place {name}" for name in sorted(set(locations))],
        [f"event {name}" for name in sorted(set(named))],
    )


def taken(rows: Rows, order: list[int]) -> Rows:
    """The same rows in another order."""
    columns = ("labels", "sources", "locations", "events", "contents", "given")
    return replace(rows, **{name: getattr(rows, name)[order] for name in columns})


@st.composite
def surveys(draw: st.DrawFn) -> Rows:
    """Draw photographs of some locations, with several species, copies and up to two sources."""
    count = draw(st.integers(6, 90))
    numbers = lambda high: st.lists(st.integers(0, high), min_size=count, max_size=count)  # noqa: E731
    contents = draw(st.one_of(st.just(list(range(count))), numbers(count * 3)))
    label_of = draw(st.lists(st.integers(-1, 4), min_size=count * 3 + 1, max_size=count * 3 + 1))
    return rows_of(
        [label_of[content] for content in contents],
        draw(numbers(draw(st.integers(0, 12)))),
        draw(numbers(3)),
        contents,
        sources=draw(st.one_of(st.just([0] * count), numbers(1))),
    )


def splits_in(groups: np.ndarray[Any, Any], splits: np.ndarray[Any, Any]) -> list[set[int]]:
    """Which splits each group is in."""
    found: dict[int, set[int]] = {}
    for group, split in zip(groups.tolist(), splits.tolist(), strict=True):
        found.setdefault(group, set()).add(split)
    return list(found.values())


@settings(max_examples=60, deadline=None)
@given(surveys(), st.sampled_from(UNITS), st.integers(0, 5), st.randoms(use_true_random=False))
def test_nothing_leaks_and_the_order_of_rows_does_not_matter(rows: Rows, unit: str, seed: int, random: Any) -> None:
    try:
        splits = divide(rows, unit, HALF, seed).splits
    except ConfigError as error:
        assert "cannot be divided into 3 parts" in error.problems[0]
        assert len(np.unique(joined(joined(rows.locations, rows.contents), joined(rows.events, rows.contents)))) < 3
        return
    assert set(splits.tolist()) <= set(range(4))
    assert {TRAIN, VALIDATION, TEST} <= set(splits.tolist())
    assert all(len(found) == 1 for found in splits_in(rows.contents, splits))
    if unit != "image":
        assert all(len(found) == 1 for found in splits_in(rows.events, splits))
    if unit == "location":
        assert all(found == {TRAIN, TEST_SEEN} or len(found) == 1 for found in splits_in(rows.locations, splits))
        assert {TEST_SEEN} not in splits_in(rows.locations, splits)
    else:
        assert TEST_SEEN not in splits
    order = list(range(len(rows)))
    random.shuffle(order)
    assert divide(taken(rows, order), unit, HALF, seed).splits.tolist() == splits[order].tolist()


@settings(max_examples=60, deadline=None)
@given(surveys(), st.sampled_from(UNITS), st.integers(0, 5))
def test_every_label_is_learned_unless_a_part_has_it_in_its_only_unit(rows: Rows, unit: str, seed: int) -> None:
    """Train comes first, but no part stays empty for it."""
    try:
        splits = divide(rows, unit, HALF, seed).splits
    except ConfigError:
        return
    units = {
        "location": joined(joined(rows.locations, rows.contents), joined(rows.events, rows.contents)),
        "event": joined(rows.events, rows.contents),
        "image": rows.contents,
    }[unit]
    known = rows.labels >= 0
    for label in set(rows.labels[known].tolist()) - set(rows.labels[splits == TRAIN].tolist()):
        elsewhere = {split: set(units[splits == split].tolist()) for split in (VALIDATION, TEST)}
        holders = set(units[rows.labels == label].tolist())
        assert any(len(held) == 1 and held <= holders for held in elsewhere.values())


@settings(max_examples=50, deadline=None)
@given(surveys(), st.sampled_from(UNITS), st.integers(0, 3), st.data())
def test_what_a_source_gives_is_kept_and_what_it_tears_apart_is_refused(
    rows: Rows, unit: str, seed: int, data: st.DataObject
) -> None:
    number = int(rows.locations.max()) + 1
    of_location = data.draw(st.lists(st.integers(-1, 2), min_size=number, max_size=number))
    fixed = np.array([of_location[place] for place in rows.locations.tolist()], np.int8)
    given_rows = replace(rows, given=fixed)
    shared = joined(joined(rows.locations, rows.contents), joined(rows.events, rows.contents))
    torn = any(len(found - {LEFT_OUT}) > 1 for found in splits_in(shared, fixed))
    try:
        splits = divide(given_rows, unit, HALF, seed).splits
    except ConfigError as error:
        assert torn or "cannot be divided" in error.problems[0]
        return
    assert splits[fixed >= 0].tolist() == fixed[fixed >= 0].tolist()


def test_a_torn_location_is_named_with_its_splits_and_a_remedy() -> None:
    rows = rows_of([0, 0, 0], [1, 1, 2], [1, 2, 3], fixed=[TRAIN, TEST, TRAIN])
    with pytest.raises(ConfigError) as caught:
        divide(rows, "location", HALF, 1)
    assert "'place 1' has the split train and test" in caught.value.problems[0]
    assert "--by event" in caught.value.problems[0]
    assert divide(rows, "event", HALF, 1).splits.tolist() == [TRAIN, TEST, TRAIN]


def test_photographs_that_two_locations_share_bring_contradictory_splits_to_light() -> None:
    rows = rows_of([0, 0], [1, 2], [1, 2], contents=[7, 7], fixed=[TRAIN, TEST])
    for unit in UNITS:
        with pytest.raises(ConfigError, match="the split train and test"):
            divide(rows, unit, HALF, 1)


def test_train_and_test_seen_may_share_a_location_but_no_event() -> None:
    rows = rows_of([0, 0, 0, 0], [1, 1, 2, 3], [1, 2, 3, 4], fixed=[TRAIN, TEST_SEEN, TEST, VALIDATION])
    assert divide(rows, "location", HALF, 1).splits.tolist() == [TRAIN, TEST_SEEN, TEST, VALIDATION]
    torn = rows_of([0, 0], [1, 1], [1, 1], fixed=[TRAIN, TEST_SEEN])
    with pytest.raises(ConfigError, match="event 'event"):
        divide(torn, "location", HALF, 1)


@pytest.mark.parametrize("unit", ["location", "event"])
def test_too_few_units_are_refused_with_numbers_and_a_way_out(unit: str) -> None:
    rows = rows_of([0, 1] * 6, [1] * 12, [1, 1, 2, 2] * 3)
    with pytest.raises(ConfigError) as caught:
        divide(rows, unit, HALF, 1)
    number = "1 location " if unit == "location" else "2 events "
    assert number in caught.value.problems[0]
    assert "3 parts (train, test, validation)" in caught.value.problems[0]
    assert "--by event" in caught.value.problems[0] or unit == "event"
    assert set(divide(rows, "location", Shares(0, 0, 0), 1).splits.tolist()) == {TRAIN}
    assert set(divide(rows, "location", Shares(0, 1, 0), 1).splits.tolist()) == {TEST}


def test_locations_joined_by_copies_are_told_when_nothing_can_be_divided() -> None:
    rows = rows_of([0] * 6, [1, 2, 3, 1, 2, 3], [1, 2, 3, 4, 5, 6], contents=[9, 9, 9, 1, 2, 3])
    with pytest.raises(ConfigError) as caught:
        divide(rows, "location", HALF, 1)
    assert "1 location cannot" in caught.value.problems[0]
    assert "3 locations share photographs of the same bytes" in caught.value.problems[1]


@pytest.mark.parametrize("shares", [Shares(0.6, 0.6), Shares(-0.1, 0.2), Shares(0.1, 0.2, 1.0)])
def test_shares_that_leave_nothing_are_refused(shares: Shares) -> None:
    with pytest.raises(ConfigError, match="no more than 1"):
        divide(rows_of([0] * 9, list(range(9)), [0] * 9), "location", shares, 1)


def survey_of(locations: int, seed: int = 0) -> Rows:
    """A survey with common and rare labels; events of three frames."""
    random = np.random.default_rng(seed)
    events = locations * 40
    label = random.choice(6, events, p=(0.5, 0.25, 0.15, 0.06, 0.03, 0.01))
    return rows_of(
        np.repeat(label, 3).tolist(), np.repeat(np.arange(locations), 120).tolist(), np.repeat(np.arange(events), 3).tolist()
    )  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
def test_labels_are_spread_as_the_shares_say(unit: str) -> None:
    rows = survey_of(40)
    splits = divide(rows, unit, Shares(0.15, 0.2, 0.1), 3).splits
    for label in range(6):
        parts = np.bincount(splits[rows.labels == label], minlength=4) / (rows.labels == label).sum()
        assert parts[VALIDATION] == pytest.approx(0.15, abs=0.1)
        assert parts[TEST] == pytest.approx(0.2, abs=0.1)
        assert parts[TEST_SEEN] == pytest.approx(0.065 if unit == "location" else 0, abs=0.06)
    assert divide(rows, unit, Shares(), 3).splits.tolist() == divide(rows, unit, Shares(), 3).splits.tolist()
    assert divide(rows, unit, Shares(), 3).splits.tolist() != divide(rows, unit, Shares(), 4).splits.tolist()


def test_a_label_reaches_train_first_then_test_then_validation() -> None:
    """Three events of a rare label among many of a common one."""
    for rare, parts in ((1, {TRAIN}), (2, {TRAIN, TEST}), (3, {TRAIN, TEST, VALIDATION})):
        labels = [1] * rare + [0] * 60
        splits = divide(rows_of(labels, list(range(60 + rare)), [0] * len(labels)), "event", HALF, 1).splits
        assert set(splits[:rare].tolist()) == parts


def test_every_source_of_labels_reaches_every_part() -> None:
    """Five locations of one source among a hundred of another."""
    sources = [0] * 300 + [1] * 30
    places = [each // 3 for each in range(300)] + [100 + each // 6 for each in range(30)]
    rows = rows_of([0, 1, 2] * 110, places, list(range(330)), sources=sources)
    splits = divide(rows, "location", Shares(), 1).splits
    assert {TRAIN, VALIDATION, TEST} <= set(splits[300:].tolist())


def test_the_unit_image_is_called_leaky() -> None:
    assert any("leaky" in warning for warning in divide(survey_of(4), "image", HALF, 1).warnings)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 15)), max_size=40))
def test_joined_groups_are_those_that_links_connect(pairs: list[tuple[int, int]]) -> None:
    groups, links = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
    found = joined(groups, links)
    expected = {group: {group} for group, _ in pairs}
    for group, link in pairs:
        for other, again in pairs:
            if link == again and expected[group] is not expected[other]:
                expected[group] |= expected[other]
                for member in expected[group]:
                    expected[member] = expected[group]
    assert found.tolist() == [min(expected[group]) for group, _ in pairs]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(-1, 3), st.integers(0, 6)), max_size=60),
    st.integers(0, 5),
    st.randoms(use_true_random=False),
)
def test_the_balanced_part_has_as_many_blanks_as_animals(
    photographs: list[tuple[bool, int, int]], seed: int, random: Any
) -> None:
    count = len(photographs)
    blank = np.array([each[0] for each in photographs], bool)
    parts, events = (np.array([each[side] for each in photographs], np.int64) for side in (1, 2))
    chosen = balanced(blank, parts, events, np.arange(count), seed)
    for part in range(4):
        inside = parts == part
        least = min(int((blank & inside).sum()), int((~blank & inside).sum()))
        assert int((chosen & blank & inside).sum()) == int((chosen & ~blank & inside).sum()) == least
        cut = 0
        for event in set(events[inside].tolist()):
            for kind in (blank, ~blank):
                own = inside & (events == event) & kind
                cut += bool(chosen[own].any() and not chosen[own].all())
        assert cut <= 1
    assert not chosen[parts < 0].any()
    order = list(range(count))
    random.shuffle(order)
    high = int(events.max()) + 1 if count else 0
    assert (
        high == 0
        or balanced(blank[order], parts[order], events[order], np.arange(count)[order], seed).tolist()
        == chosen[order].tolist()
    )


def test_no_part_stays_empty_while_there_are_units() -> None:
    """Every unit has a label of its own, so that train wants them all."""
    units = np.repeat(np.arange(3), 10)
    parts = deal(units, units, np.zeros(30, np.int64), (0.6, 0.2, 0.2), np.random.default_rng(1))
    assert sorted(parts.tolist()) == [0, 1, 2]


def test_a_million_photographs_are_divided_in_seconds() -> None:
    """A fifth of it here: hundreds of thousands of events must not be handled one by one."""
    random = np.random.default_rng(1)
    events = np.sort(random.integers(0, 60_000, 200_000))
    label = np.minimum(random.zipf(1.5, 60_000), 40) - 1
    names = [""] * 60_000
    rows = Rows(
        label[events], np.zeros(200_000, np.int64), events // 300, events, np.arange(200_000),
        np.full(200_000, LEFT_OUT, np.int8), names, names,
    )  # fmt: skip
    splits = divide(rows, "location", Shares(), 1).splits
    assert np.bincount(splits, minlength=4) / 200_000 == pytest.approx([0.585, 0.15, 0.2, 0.065], abs=0.02)
    assert [SPLITS[number] for number in (TRAIN, VALIDATION, TEST, TEST_SEEN)] == list(SPLITS)
