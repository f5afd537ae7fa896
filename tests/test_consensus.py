"""From many answers to one: the plurality rule with its published vectors, and what is passed on to photographs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from ctwatch_train.labels.annotation import Annotation
from ctwatch_train.sets.consensus import (
    COUNT_BINS,
    Answer,
    Fault,
    consensus,
    count_bin,
    decide,
    middle,
    pielou,
    propagate,
)
from hypothesis import given
from hypothesis import strategies as st

SPECIES = ("buffalo", "impala", "topi", "wildebeest", "zebra")


def said(
    photograph: str, *species: str, by: str | None = None, event: str | None = "e", of_event: bool = True, **more: Any
) -> Annotation:
    return Annotation(Path(photograph), tuple(sorted(species)), "L1", event, annotator=by, of_event=of_event, **more)


def of_photograph(photograph: str, *species: str, **more: Any) -> Annotation:
    return said(photograph, *species, of_event=False, **more)


def votes(*classifications: str) -> list[dict[str, int | None]]:
    """Each classification as names with blanks between; "" saw nothing."""
    return [dict.fromkeys(each.split()) for each in classifications]


# --- the rule


@pytest.mark.parametrize(
    ("numbers", "lower", "upper"),
    [
        ([1, 1, 2, 2], 1, 2),
        ([1], 1, 1),
        ([2, 1], 1, 2),
        ([3, 1, 2], 2, 2),
        ([1, 1, 1, 2, 2, 2], 1, 2),
        ([1, 5, 2, 2], 2, 2),
    ],
)
def test_the_median_of_an_even_number_is_the_lower_or_the_upper_one(numbers: list[int], lower: int, upper: int) -> None:
    """The released answers rest on the lower one, whatever the original's comment says."""
    assert (middle(numbers), middle(numbers, "upper")) == (lower, upper)


def test_as_many_species_as_the_median_says_and_those_with_the_most_votes() -> None:
    four = votes("zebra", "zebra", "topi zebra", "impala zebra")
    assert decide(four) == Answer(("zebra",), 1, (1.0,), pielou([4, 1, 1]), False, 4, 0, (None,))
    assert decide(four, "upper").species == ("zebra", "impala")
    assert decide(four, "upper").tie


def test_the_example_of_the_original_s_manual() -> None:
    """A zebra and a wildebeest: nine see both, one the zebra only; evenness misleads, support does not."""
    answer = decide(votes(*["wildebeest zebra"] * 9, "zebra"))
    assert answer.species == ("zebra", "wildebeest")
    assert answer.support == (1.0, 0.9)
    assert answer.evenness == pytest.approx(0.998, abs=5e-4)
    assert not answer.tie


def test_equal_votes_are_decided_by_name_and_told() -> None:
    """The original draws lots, and may then name one species twice."""
    three = votes("topi zebra", "impala zebra", "impala topi")
    assert decide(three).species == ("impala", "topi")
    assert decide(three).tie
    assert decide(votes("zebra", "topi")) == Answer(("topi",), 1, (0.5,), 1.0, True, 2, 0, (None,))
    assert not decide(votes("topi zebra")).tie


def test_blanks_are_counted_and_have_no_say() -> None:
    answer = decide(votes("", "", "", "zebra", "zebra", "topi"))
    assert (answer.species, answer.n_species) == (("zebra",), 1)
    assert answer.support == pytest.approx((2 / 3,))
    assert (answer.classifications, answer.blanks) == (6, 3)


def test_when_everybody_saw_nothing_it_is_blank() -> None:
    assert decide(votes("", "")) == Answer((), 0, (1.0,), 0.0, False, 2, 2, ())


def test_pielou_by_hand() -> None:
    assert pielou([]) == pielou([7]) == pielou([7, 0]) == 0.0
    assert pielou([3, 3]) == pytest.approx(1.0)
    assert pielou([3, 1]) == pytest.approx(0.8112781244591328)
    assert pielou([2, 1, 1]) == pytest.approx(0.9463946303571862)


def test_counts_go_into_their_bins_and_the_median_bin_is_taken() -> None:
    assert [count_bin(number) for number in (1, 9, 10, 11, 50, 51, 900)] == [
        "1",
        "9",
        "10",
        "11-50",
        "11-50",
        "51+",
        "51+",
    ]
    assert len(COUNT_BINS) == 12
    four = [{"zebra": 10}, {"zebra": 12}, {"zebra": 60}, {"zebra": 2}, {"zebra": None}, {}]
    assert decide(four).count == ("10",)
    assert decide(four, "upper").count == ("11-50",)
    assert decide(votes("zebra")).count == (None,)


classifications = st.lists(
    st.dictionaries(st.sampled_from(SPECIES), st.none() | st.integers(1, 80), max_size=3), min_size=1, max_size=12
)


@given(classifications, st.randoms(use_true_random=False))
def test_the_order_of_the_answers_does_not_matter(heard: list[dict[str, int | None]], random: Any) -> None:
    shuffled = [dict(random.sample(list(each.items()), len(each))) for each in heard]
    random.shuffle(shuffled)
    for median in ("lower", "upper"):
        assert decide(heard, median) == decide(shuffled, median)


@given(classifications)
def test_an_answer_is_within_its_bounds(heard: list[dict[str, int | None]]) -> None:
    lower, upper = decide(heard), decide(heard, "upper")
    assert lower.n_species <= upper.n_species
    for answer in (lower, upper):
        assert len(answer.species) == len(set(answer.species)) == answer.n_species
        assert len(answer.count) == answer.n_species
        assert len(answer.support) == max(1, answer.n_species)
        assert all(0 < share <= 1 for share in answer.support)
        assert list(answer.support) == sorted(answer.support, reverse=True)
        assert answer.evenness is not None
        assert 0 <= answer.evenness <= 1
        assert (answer.n_species == 0) == (answer.blanks == answer.classifications)


@given(classifications, st.integers(1, 5))
def test_more_blanks_and_the_same_votes_again_change_nothing(heard: list[dict[str, int | None]], more: int) -> None:
    once = decide(heard)
    blanks = decide([*heard, *({} for _ in range(more))])
    twice = decide([*heard, *heard])
    assert (blanks.species, blanks.support, blanks.evenness, blanks.count) == (
        once.species, once.support, once.evenness, once.count,
    )  # fmt: skip
    assert (twice.species, twice.count, twice.tie) == (once.species, once.count, once.tie)
    assert twice.evenness == pytest.approx(once.evenness)


@given(st.sampled_from(SPECIES), st.integers(1, 20))
def test_when_all_agree_nothing_is_uncertain(species: str, people: int) -> None:
    assert decide(votes(*[species] * people)) == Answer((species,), 1, (1.0,), 0.0, False, people, 0, (None,))


# --- groups


def test_an_annotator_has_one_classification_however_many_photographs_carry_it() -> None:
    """Raw tables hand an event's answers out to its photographs."""
    rows = [
        said("1.jpg", "zebra", by="anna", count=2),
        said("2.jpg", "zebra", by="anna", count=2),
        said("3.jpg", "topi", by="anna"),
        said("1.jpg", "zebra", by="ben", count=4),
        said("2.jpg", by="cleo"),
    ]
    (event,) = consensus(rows)
    assert (event.location, event.event, event.photograph) == ("L1", "e", None)
    answer = decide([{"zebra": 2, "topi": None}, {"zebra": 4}, {}])
    assert event.answer == answer
    assert (answer.species, answer.support, answer.classifications, answer.blanks) == (("zebra",), (1.0,), 3, 1)


def test_events_of_the_same_name_at_two_locations_are_two() -> None:
    here, there = said("1.jpg", "zebra", by="anna"), said("2.jpg", "topi", by="anna")
    answers = consensus([here, replace(there, location="L2")])
    assert [(each.location, each.answer and each.answer.species) for each in answers] == [
        ("L1", ("zebra",)),
        ("L2", ("topi",)),
    ]


def test_several_people_on_one_photograph_agree_on_that_photograph_only() -> None:
    """What somebody said of one photograph is never taken for its whole event."""
    rows = [of_photograph("1.jpg", "zebra", by=who) for who in ("anna", "ben")]
    rows += [of_photograph("1.jpg", "topi", by="cleo"), of_photograph("2.jpg", by="anna")]
    assert [(each.photograph, each.answer and each.answer.species) for each in consensus(rows)] == [
        (Path("1.jpg"), ("zebra",)),
        (Path("2.jpg"), ()),
    ]
    first, second = propagate(rows).annotations
    assert (first.species, first.support, first.of_event, first.annotator) == (
        ("zebra",),
        pytest.approx(2 / 3),
        False,
        None,
    )
    assert (second.species, second.support) == ((), 1.0)


def test_answers_without_annotators_about_photographs_are_no_matter_for_consensus() -> None:
    assert consensus([of_photograph("1.jpg", "zebra"), of_photograph("2.jpg")]) == []


# --- photographs


def test_an_event_s_answer_goes_to_all_its_photographs() -> None:
    """Also to the one that the zebra had left (Norouzzadeh et al. 2018)."""
    rows = [
        said("1.jpg", "zebra", by="anna", captured_at=datetime(2020, 1, 1, 10)),
        said("2.jpg", "zebra", by="ben"),
        said("3.jpg", by="cleo", split="test"),
    ]
    got = propagate(rows)
    assert [each.species for each in got.annotations] == [("zebra",)] * 3
    assert [str(each.path) for each in got.annotations] == ["1.jpg", "2.jpg", "3.jpg"]
    assert all(each.of_event and each.support == 1.0 and each.evenness == 0.0 for each in got.annotations)
    assert [each.captured_at for each in got.annotations] == [datetime(2020, 1, 1, 10), None, None]
    assert [each.split for each in got.annotations] == [None, None, "test"]
    assert got.contradictions == ()


def test_a_photograph_s_own_answer_is_never_replaced_by_its_event_s() -> None:
    rows = [said("1.jpg", "zebra"), said("2.jpg", "zebra"), of_photograph("2.jpg")]
    got = propagate(rows).annotations
    assert [(each.species, each.of_event) for each in got] == [(("zebra",), True), ((), False)]


def test_an_answer_about_one_photograph_passes_through_as_it_is() -> None:
    rows = [of_photograph("1.jpg", "zebra", count=3, split="train", event=None), of_photograph("2.jpg")]
    assert propagate(rows).annotations == tuple(rows)


def test_two_labels_on_one_photograph_are_two_species() -> None:
    (got,) = propagate([of_photograph("1.jpg", "zebra", count=2), of_photograph("1.jpg", "topi", count=1)]).annotations
    assert got.species == ("topi", "zebra")
    assert got.count is None
    (same,) = propagate([of_photograph("1.jpg", "zebra", count=2), of_photograph("1.jpg", "zebra")]).annotations
    assert (same.species, same.count) == (("zebra",), 2)


def test_blank_and_a_species_is_a_contradiction_and_no_answer() -> None:
    got = propagate([of_photograph("1.jpg", "zebra"), of_photograph("1.jpg"), of_photograph("2.jpg", "topi")])
    assert [each.path.name for each in got.annotations] == ["2.jpg"]
    (wrong,) = got.contradictions
    assert (wrong.fault, wrong.path, wrong.species) == (Fault.BLANK_AND_SPECIES, Path("1.jpg"), ("zebra",))
    assert str(wrong) == "event e is called blank and zebra; correct one of them"


def test_an_annotator_who_says_both_is_not_heard() -> None:
    rows = [said("1.jpg", "zebra", by="anna"), said("1.jpg", by="anna"), said("2.jpg", "topi", by="ben")]
    (event,) = consensus(rows)
    assert event.answer is not None
    assert (event.answer.species, event.answer.classifications) == (("topi",), 1)
    assert [each.annotator for each in event.contradictions] == ["anna"]
    assert propagate(rows).contradictions == event.contradictions
    (alone,) = consensus(rows[:2])
    assert alone.answer is None
    assert propagate(rows[:2]).annotations == ()


def test_a_photograph_of_two_events_is_left_out_and_told() -> None:
    got = propagate([said("1.jpg", "zebra"), said("1.jpg", "zebra", event="f"), said("2.jpg", "zebra")])
    assert [each.path.name for each in got.annotations] == ["2.jpg"]
    assert [each.fault for each in got.contradictions] == [Fault.TWO_EVENTS]
    assert "two events" in str(got.contradictions[0])


def test_a_source_s_own_certainty_is_kept() -> None:
    rows = [
        said(name, species, support=share, evenness=0.4, count=11)
        for name in ("1.jpg", "2.jpg")
        for species, share in (("zebra", 0.9), ("topi", 0.6))
    ]
    (event,) = consensus(rows)
    assert event.answer == Answer(("topi", "zebra"), 2, (0.6, 0.9), 0.4, False, 0, 0, ("11-50", "11-50"))
    assert [(each.support, each.evenness) for each in propagate(rows).annotations] == [(0.6, 0.4)] * 2
    (one,) = propagate([said("1.jpg", "zebra", count=30)]).annotations
    assert (one.support, one.evenness, one.count) == (None, None, 11)


answers = st.lists(
    st.builds(
        lambda number, species, by, of_event, count: said(
            f"{number}.jpg", *species, by=by, event=f"e{number // 3}", of_event=of_event, count=count
        ),
        st.integers(0, 8),
        st.frozensets(st.sampled_from(SPECIES), max_size=2),
        st.sampled_from([None, "anna", "ben", "cleo"]),
        st.booleans(),
        st.none() | st.integers(1, 60),
    ),
    max_size=25,
)


@given(answers, st.randoms(use_true_random=False))
def test_every_photograph_gets_one_answer_or_a_contradiction_in_any_order(rows: list[Annotation], random: Any) -> None:
    got = propagate(rows)
    paths = [each.path for each in got.annotations]
    assert len(paths) == len(set(paths))
    silent = {each.path for each in rows} - set(paths)
    assert not silent or got.contradictions
    shuffled = list(rows)
    random.shuffle(shuffled)
    again = propagate(shuffled)
    assert set(again.annotations) == set(got.annotations)
    assert {(each.fault, each.species, each.annotator) for each in again.contradictions} == {
        (each.fault, each.species, each.annotator) for each in got.contradictions
    }


@given(answers)
def test_passing_on_again_changes_nothing(rows: list[Annotation]) -> None:
    once = propagate(rows).annotations
    assert propagate(once).annotations == once


def test_the_rule_is_the_original_s_on_random_votes() -> None:
    """Against a second writing of the published steps, straight from their description."""
    import random

    draw = random.Random(7)

    def published(heard: Sequence[Mapping[str, Any]]) -> tuple[int, set[str]]:
        numbers = sorted(len(each) for each in heard if each)
        number = numbers[(len(numbers) + 1) // 2 - 1]
        tally = {name: sum(name in each for each in heard) for each in heard for name in each}
        boundary = sorted(tally.values(), reverse=True)[number - 1]
        return number, {name for name, count in tally.items() if count > boundary}

    for _ in range(500):
        heard = votes(
            *(" ".join(draw.sample(SPECIES, draw.choice([0, 1, 1, 1, 2]))) for _ in range(draw.randint(1, 9)))
        )
        if any(heard):
            number, certain = published(heard)
            answer = decide(heard)
            assert answer.n_species == number
            assert certain <= set(answer.species)
            assert answer.tie or len(certain) <= number
