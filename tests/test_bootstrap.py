"""Intervals by resampling whole events."""

from typing import Any

import numpy as np
import pytest
from ctwatch_train.figures import bootstrap as module
from ctwatch_train.figures.bootstrap import FIGURES, Answered, bootstrap, difference, intervals, paired, replicates
from ctwatch_train.figures.measure import equal_weights, figures
from hypothesis import given, settings
from hypothesis import strategies as st

ROUNDS = 60


def case(seed: int = 0, n: int = 300, events: int = 80, labels: int = 4, accuracy: float = 0.7) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    clusters = rng.integers(0, events, n)
    truth = rng.choice(labels, n, p=np.array([8, 4, 2, 1][:labels]) / sum([8, 4, 2, 1][:labels]))
    answers = np.where(rng.random(n) < accuracy, truth, rng.integers(0, labels, n))
    return answers, truth, clusters


def one_hot(answers: Any, labels: int) -> Any:
    return np.eye(labels)[answers]


def test_every_round_is_the_figures_of_the_photographs_drawn() -> None:
    answers, truth, clusters = case(n=60, events=12)
    clusters = np.unique(clusters, return_inverse=True)[1]
    count = clusters.max() + 1
    (drawn,) = replicates([Answered(answers, truth, clusters)], count, rounds=ROUNDS, seed=5)
    events = np.random.default_rng([5, 2000]).integers(0, count, (ROUNDS, count))
    for number in range(ROUNDS):
        rows = np.concatenate([np.flatnonzero(clusters == event) for event in events[number]])
        naive = figures(one_hot(answers[rows], 4), truth[rows], "abcd")
        for name in FIGURES:
            assert drawn[name][number] == pytest.approx(naive[name], abs=1e-4)


def test_answers_that_are_never_true_count_as_wrong_and_as_nothing_else() -> None:
    """Truth is 1 or 2; 0 and 3 are said too, and must not be taken for either."""
    rng = np.random.default_rng(2)
    truth, answers = rng.integers(1, 3, 40), rng.integers(0, 4, 40)
    (drawn,) = replicates([Answered(answers, truth, np.arange(40))], 40, rounds=5, seed=5)
    events = np.random.default_rng([5, 2000]).integers(0, 40, (5, 40))
    for number in range(5):
        naive = figures(one_hot(answers[events[number]], 4), truth[events[number]], "abcd")
        for name in FIGURES:
            assert drawn[name][number] == pytest.approx(naive[name], abs=1e-4)


def test_weights_are_those_of_the_figures() -> None:
    answers, truth, clusters = case(n=60, events=12)
    weights = equal_weights(truth)
    clusters = np.unique(clusters, return_inverse=True)[1]
    count = clusters.max() + 1
    (drawn,) = replicates([Answered(answers, truth, clusters, weights)], count, rounds=5, seed=5)
    events = np.random.default_rng([5, 2000]).integers(0, count, (5, count))
    for number in range(5):
        rows = np.concatenate([np.flatnonzero(clusters == event) for event in events[number]])
        naive = figures(one_hot(answers[rows], 4), truth[rows], "abcd", weights[rows])
        for name in FIGURES:
            assert drawn[name][number] == pytest.approx(naive[name], abs=1e-4)


def test_the_same_seed_gives_the_same_intervals() -> None:
    assert bootstrap(*case(), rounds=300, seed=1) == bootstrap(*case(), rounds=300, seed=1)
    assert bootstrap(*case(), rounds=300, seed=1) != bootstrap(*case(), rounds=300, seed=2)


def test_intervals_of_independent_items_are_those_of_the_textbook() -> None:
    rng = np.random.default_rng(3)
    answers = (rng.random(2000) < 0.2).astype(np.int64)
    found = bootstrap(answers, np.zeros(2000, np.int64), np.arange(2000))["accuracy"]
    assert found is not None
    share = 1 - answers.mean()
    half = 1.96 * np.sqrt(share * (1 - share) / 2000)
    assert found == pytest.approx([share - half, share + half], abs=0.003)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 4))
def test_a_second_copy_of_every_photograph_says_nothing_new(seed: int, copies: int) -> None:
    answers, truth, clusters = case(seed, n=80, events=20)
    once = bootstrap(answers, truth, clusters, rounds=ROUNDS)
    assert bootstrap(answers.repeat(copies), truth.repeat(copies), clusters.repeat(copies), rounds=ROUNDS) == once


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000))
def test_only_the_grouping_of_clusters_matters_not_their_numbers(seed: int) -> None:
    answers, truth, clusters = case(seed, n=80, events=20)
    once = bootstrap(answers, truth, clusters, rounds=ROUNDS)
    assert bootstrap(answers, truth, clusters * 7 + 3, rounds=ROUNDS) == once
    assert all(interval is not None and interval[0] <= interval[1] for interval in once.values())


def test_alike_photographs_in_an_event_widen_the_interval() -> None:
    rng = np.random.default_rng(4)
    answers = (rng.random(100) < 0.3).astype(np.int64).repeat(10)
    truth = np.zeros(1000, np.int64)
    by_event = bootstrap(answers, truth, np.arange(100).repeat(10))["accuracy"]
    by_photograph = bootstrap(answers, truth, np.arange(1000))["accuracy"]
    assert by_event is not None
    assert by_photograph is not None
    assert by_event[1] - by_event[0] > 2.5 * (by_photograph[1] - by_photograph[0])


@pytest.mark.parametrize("n", [0, 3])
def test_with_fewer_than_two_clusters_there_is_no_interval(n: int) -> None:
    zeros = np.zeros(n, np.int64)
    assert bootstrap(zeros, zeros, zeros) == dict.fromkeys(FIGURES)
    assert paired(zeros, zeros, zeros, zeros) == dict.fromkeys(FIGURES)


def test_without_targets_there_is_no_interval_though_there_are_clusters() -> None:
    none = np.empty(0, np.int64)
    (drawn,) = replicates([Answered(none, none, none)], 5, rounds=10)
    assert intervals(drawn) == dict.fromkeys(FIGURES)


def test_one_label_and_two_clusters() -> None:
    found = bootstrap(np.array([0, 1]), np.array([0, 0]), np.array([0, 1]))
    assert found["accuracy"] == [0.0, 1.0]
    assert found["macro_recall"] == [0.0, 1.0]


def test_two_equal_models_do_not_differ() -> None:
    answers, truth, clusters = case()
    assert paired(answers, answers, truth, clusters, rounds=ROUNDS) == {name: [0.0, 0.0] for name in FIGURES}


def test_a_pair_is_told_apart_where_its_own_intervals_overlap() -> None:
    """B is A with a few more mistakes: every draw shows it, though each interval is wide."""
    answers, truth, clusters = case(n=600, events=200)
    worse = answers.copy()
    right = np.flatnonzero(answers == truth)[::20]
    worse[right] = (truth[right] + 1) % 4
    gain = paired(answers, worse, truth, clusters)["accuracy"]
    own, others = bootstrap(answers, truth, clusters)["accuracy"], bootstrap(worse, truth, clusters)["accuracy"]
    assert gain is not None
    assert own is not None
    assert others is not None
    assert gain[0] > 0
    assert own[0] < others[1]
    assert paired(worse, answers, truth, clusters)["accuracy"] == pytest.approx([-gain[1], -gain[0]], abs=1e-4)


def test_frames_and_events_are_compared_on_the_same_draws() -> None:
    """Two cases of different items over the same clusters; equal shares in each cluster cancel exactly."""
    clusters = np.arange(40)
    right = (clusters % 3 > 0).astype(np.int64)
    truth = np.ones(40, np.int64)
    events = Answered(right, truth, clusters)
    frames = Answered(right.repeat(3), truth.repeat(3), clusters.repeat(3))
    a, b = replicates([events, frames], 40, rounds=ROUNDS)
    assert difference(a, b, "accuracy") == [0.0, 0.0]


def test_pieces_of_the_rounds_hold_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AT_ONCE", 100)
    answers, truth, clusters = case(n=60, events=12)
    numbered = np.unique(clusters, return_inverse=True)[1]
    (drawn,) = replicates([Answered(answers, truth, numbered)], int(numbered.max()) + 1, rounds=ROUNDS)
    assert all(len(values) == ROUNDS and not np.isnan(values).any() for values in drawn.values())


def test_cases_that_do_not_fit_into_memory_together_see_the_same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    answers, truth, clusters = case(n=60, events=12)
    numbered = np.unique(clusters, return_inverse=True)[1]
    cases = [Answered(np.roll(answers, by), truth, numbered) for by in range(4)]
    together = replicates(cases, int(numbered.max()) + 1, rounds=ROUNDS)
    monkeypatch.setattr(module, "_HELD", 1)
    apart = replicates(cases, int(numbered.max()) + 1, rounds=ROUNDS)
    assert [intervals(each) for each in apart] == [intervals(each) for each in together]
    assert len(apart) == 4


@pytest.mark.parametrize(
    ("answers", "clusters", "said"), [([0, 0], [0, 5], "clusters from 0 to 5"), ([0], [0, 1], "1 answers")]
)
def test_what_does_not_fit_is_refused(answers: list[int], clusters: list[int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replicates([Answered(np.array(answers), np.zeros(2, np.int64), np.array(clusters))], 2)
