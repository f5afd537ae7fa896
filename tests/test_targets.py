"""What a network should answer, for photographs and for events."""

from typing import Any

import numpy as np
import pytest
from ctwatch_train.sets.targets import event_targets, grouped, targets
from hypothesis import given, settings
from hypothesis import strategies as st

from ctwatch.domain import BLANK, Task

NAMES = (BLANK, "cat", "dog", "wolf")
BLANK_AT, CAT, DOG, WOLF, SEVERAL = 0, 1, 2, 3, -1
EVERYTHING = np.array([BLANK_AT, CAT, DOG, WOLF, SEVERAL])


def test_species_have_a_target_if_they_are_one_and_known() -> None:
    assert targets(EVERYTHING, NAMES, Task.SPECIES, ("dog", "cat")).tolist() == [-1, 1, 0, -1, -1]


def test_everything_but_blank_is_an_animal() -> None:
    assert targets(EVERYTHING, NAMES, Task.EMPTY, ("animal", BLANK)).tolist() == [1, 0, 0, 0, 0]
    assert targets(EVERYTHING, NAMES, Task.EMPTY, (BLANK, "animal")).tolist() == [0, 1, 1, 1, 1]
    assert targets(np.array([0]), ("cat",), Task.EMPTY, ("animal", BLANK)).tolist() == [0]


def test_a_species_model_never_answers_blank() -> None:
    assert targets(EVERYTHING, NAMES, Task.SPECIES, (BLANK, "cat")).tolist() == [-1, 1, -1, -1, -1]


def test_no_photographs_have_no_targets() -> None:
    none = np.empty(0, np.int32)
    assert targets(none, NAMES, Task.SPECIES, ("cat",)).shape == (0,)
    assert event_targets(grouped(none), none, NAMES, Task.SPECIES, ("cat",)).shape == (0,)


@pytest.mark.parametrize("wrong", [[4], [-2]])
def test_labels_out_of_range_are_refused(wrong: list[int]) -> None:
    with pytest.raises(ValueError, match="4 names"):
        targets(np.array(wrong), NAMES, Task.SPECIES, ("cat",))


@pytest.mark.parametrize("labels", [("animal", "plant"), (BLANK,), (BLANK, "cat", "dog")])
def test_an_empty_filter_has_blank_and_one_other(labels: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="two labels"):
        targets(np.array([0]), NAMES, Task.EMPTY, labels)


def test_an_event_with_an_animal_on_any_photograph_is_an_animal_event() -> None:
    #                   1    2         1         3    4    4    5        6     6
    labels = np.array([CAT, BLANK_AT, BLANK_AT, DOG, CAT, DOG, SEVERAL, WOLF, WOLF])
    groups = grouped(np.array([1, 2, 1, 3, 4, 4, 5, 6, 6]))
    assert groups.order.tolist() == [0, 2, 1, 3, 4, 5, 6, 7, 8]
    assert groups.starts.tolist() == [0, 2, 3, 4, 6, 7]
    assert groups.event.tolist() == [0, 1, 0, 2, 3, 3, 4, 5, 5]
    assert event_targets(groups, labels, NAMES, Task.EMPTY, ("animal", BLANK)).tolist() == [0, 1, 0, 0, 0, 0]
    assert event_targets(groups, labels, NAMES, Task.EMPTY, (BLANK, "animal")).tolist() == [1, 0, 1, 1, 1, 1]
    assert event_targets(groups, labels, NAMES, Task.SPECIES, ("cat", "dog")).tolist() == [0, -1, 1, -1, -1, -1]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-1, 3)), min_size=1, max_size=30))
def test_events_follow_their_photographs(rows: list[tuple[int, int]]) -> None:
    events, labels = (np.array(column) for column in zip(*rows, strict=True))
    groups = grouped(events)
    model: tuple[str, ...] = ("dog", "cat")
    found = event_targets(groups, labels, NAMES, Task.SPECIES, model)
    empty = event_targets(groups, labels, NAMES, Task.EMPTY, ("animal", BLANK))
    assert len(groups) == len(set(events.tolist()))
    for number, event in enumerate(sorted(set(events.tolist()))):
        seen: set[Any] = set(labels[events == event].tolist()) - {BLANK_AT}
        name = NAMES[next(iter(seen))] if len(seen) == 1 and SEVERAL not in seen else None
        assert found[number] == (model.index(name) if name in model else -1)
        assert empty[number] == (0 if seen else 1)
        assert (groups.event == number).tolist() == (events == event).tolist()
