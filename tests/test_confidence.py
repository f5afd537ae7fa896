"""Answering only when sure: tables, curves, the two stages and the thresholds chosen for them."""

from typing import Any

import numpy as np
import pytest
from ctwatch_train.figures import confidence
from ctwatch_train.figures.confidence import BLANK_TRUTH, OTHER_TRUTH
from ctwatch_train.figures.measure import wilson
from hypothesis import given, settings
from hypothesis import strategies as st

quarters = st.integers(0, 20).map(lambda n: n / 20)


def binary(sure: Any, right: Any) -> tuple[Any, Any]:
    """Probabilities of three labels with the given confidence, the first label always answered."""
    top = np.asarray(sure, np.float64)
    rest = (1 - top) / 2
    return np.stack([top, rest, rest], axis=1), np.where(right, 0, 1)


@st.composite
def answered(draw: st.DrawFn) -> tuple[Any, Any]:
    rows = draw(st.lists(st.tuples(st.integers(8, 20), st.booleans()), min_size=1, max_size=50))
    return binary([n / 20 for n, _ in rows], np.array([ok for _, ok in rows]))


# --- thresholds


def test_the_papers_grid() -> None:
    assert confidence.GRID == (
        0, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.96, 0.97, 0.98, 0.99,
    )  # fmt: skip


def test_a_threshold_table_by_hand() -> None:
    probabilities, targets = binary([0.95, 0.9, 0.7, 0.6], np.array([False, True, True, False]))
    rows = {row["threshold"]: row for row in confidence.threshold_table(probabilities, targets)}
    assert rows[0]["n_kept"] == 4
    assert rows[0]["coverage"] == 1.0
    assert rows[0]["top1"] == 0.5
    assert rows[0]["top5"] == 1.0
    assert rows[0.65]["top1"] == pytest.approx(2 / 3, abs=1e-4)
    assert rows[0.9]["n_kept"] == 2
    assert rows[0.9]["coverage"] == 0.5
    # Inclusive: 0.95 is kept at 0.95, and it is wrong.
    assert rows[0.95]["n_kept"] == 1
    assert rows[0.95]["top1"] == 0.0
    assert rows[0.95]["top1_95"] == pytest.approx([round(end, 4) for end in wilson(0, 1)])
    assert rows[0.99] == {
        "threshold": 0.99, "n_kept": 0, "coverage": 0.0, "top1": None, "top1_95": None, "top5": None, "falls": False,
    }  # fmt: skip
    assert [threshold for threshold, row in rows.items() if row["falls"]] == [0.75, 0.95]


def test_a_threshold_table_of_nothing() -> None:
    rows = confidence.threshold_table(np.empty((0, 3)), np.empty(0, np.int64))
    assert len(rows) == len(confidence.GRID)
    assert all(row["n_kept"] == 0 and row["top1"] is None and row["coverage"] is None for row in rows)


def test_the_best_of_an_average_that_is_not_normalised_may_stay_below_every_threshold() -> None:
    rows = confidence.threshold_table(np.array([[0.2, 0.1]]), np.array([0]), grid=(0.3, 0.5))
    assert [row["n_kept"] for row in rows] == [0, 0]


@settings(max_examples=80, deadline=None)
@given(answered(), st.randoms(use_true_random=False))
def test_coverage_never_rises_and_rows_are_what_is_kept(case: tuple[Any, Any], random: Any) -> None:
    probabilities, targets = case
    rows = confidence.threshold_table(probabilities, targets)
    coverage = [row["coverage"] for row in rows]
    assert coverage == sorted(coverage, reverse=True)
    for row in rows:
        kept = probabilities.max(axis=1) >= row["threshold"]
        assert row["n_kept"] == kept.sum()
        right = (probabilities.argmax(axis=1) == targets)[kept]
        assert row["top1"] == (pytest.approx(right.mean(), abs=1e-4) if kept.any() else None)
    order = list(range(len(targets)))
    random.shuffle(order)
    assert confidence.threshold_table(probabilities[order], targets[order]) == rows


def test_whole_weights_are_repetitions_in_the_table() -> None:
    probabilities, targets = binary([0.95, 0.9, 0.7, 0.6], np.array([False, True, True, False]))
    times = np.array([1, 3, 2, 1])
    weighted = confidence.threshold_table(probabilities, targets, weights=times.astype(float))
    repeated = confidence.threshold_table(probabilities.repeat(times, 0), targets.repeat(times))
    assert [(row["coverage"], row["top1"]) for row in weighted] == [(row["coverage"], row["top1"]) for row in repeated]


def test_thresholds_must_ascend_and_numbers_be_numbers() -> None:
    with pytest.raises(ValueError, match="ascend"):
        confidence.threshold_table(*binary([0.9], np.array([True])), grid=(0.5, 0.5))
    with pytest.raises(ValueError, match="not numbers"):
        confidence.threshold_table(np.array([[np.nan, 0.5]]), np.array([0]))


# --- risk and coverage


def test_risk_and_coverage_by_hand() -> None:
    result = confidence.risk_coverage(*binary([0.9, 0.8, 0.7, 0.6], np.array([True, False, True, True])))
    assert result is not None
    assert result["coverage"] == [0.25, 0.5, 0.75, 1.0]
    assert result["risk"] == pytest.approx([0, 0.5, 1 / 3, 0.25], abs=1e-5)
    assert result["aurc"] == pytest.approx((0 + 0.5 + 1 / 3 + 0.25) / 4, abs=1e-5)
    assert result["coverage_at"] == [
        {"accuracy": aim, "coverage": 0.25, "threshold": 0.9} for aim in (0.95, 0.966, 0.99)
    ]


def test_risk_is_nothing_when_all_is_right_and_all_when_all_is_wrong() -> None:
    right = confidence.risk_coverage(*binary([0.9, 0.8], np.array([True, True])))
    wrong = confidence.risk_coverage(*binary([0.9, 0.8], np.array([False, False])))
    assert right is not None
    assert wrong is not None
    assert (right["aurc"], wrong["aurc"]) == (0.0, 1.0)
    assert right["coverage_at"][0]["coverage"] == 1.0
    assert wrong["coverage_at"][0] == {"accuracy": 0.95, "coverage": 0.0, "threshold": None}
    assert confidence.risk_coverage(np.empty((0, 2)), np.empty(0, np.int64)) is None


@settings(max_examples=80, deadline=None)
@given(answered(), st.randoms(use_true_random=False))
def test_equal_confidence_leaves_no_room_for_an_order(case: tuple[Any, Any], random: Any) -> None:
    probabilities, targets = case
    order = list(range(len(targets)))
    random.shuffle(order)
    one, other = (confidence.risk_coverage(probabilities[o], targets[o]) for o in (slice(None), order))
    assert one is not None
    assert one == other
    assert one["coverage"][-1] == 1.0
    assert one["risk"][-1] == pytest.approx((probabilities.argmax(axis=1) != targets).mean(), abs=1e-5)
    assert len(one["coverage"]) == len(np.unique(probabilities.max(axis=1)))


def test_with_one_confidence_the_area_is_the_error() -> None:
    result = confidence.risk_coverage(*binary([0.8] * 4, np.array([True, False, True, True])))
    assert result is not None
    assert result["aurc"] == 0.25
    assert result["coverage"] == [1.0]


def test_long_curves_are_thinned_but_keep_their_ends() -> None:
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, 3000)
    result = confidence.risk_coverage(*binary(sure, rng.random(3000) < sure))
    assert result is not None
    assert len(result["coverage"]) <= 200
    assert result["coverage"][-1] == 1.0
    assert result["coverage"] == sorted(result["coverage"])


# --- the empty filter


def test_an_empty_curve_by_hand() -> None:
    blank = np.array([0.9, 0.8, 0.7, 0.7, 0.1])
    truth = np.array([True, True, False, True, False])
    assert confidence.empty_curve(blank, truth) == [
        {"threshold": 0.8, "animals_lost": 0.0, "blanks_removed": 0.6667},
        {"threshold": 0.7, "animals_lost": 0.5, "blanks_removed": 1.0},
        {"threshold": 0.1, "animals_lost": 1.0, "blanks_removed": 1.0},
    ]
    assert confidence.empties_removed(blank, truth, (0.1, 0.5)) == [
        {"at_most": 0.1, "threshold": 0.8, "animals_lost": 0.0, "blanks_removed": 0.6667},
        {"at_most": 0.5, "threshold": 0.7, "animals_lost": 0.5, "blanks_removed": 1.0},
    ]


def test_where_the_surest_blank_is_an_animal_nothing_is_removed() -> None:
    found = confidence.empties_removed(np.array([0.9, 0.8]), np.array([False, True]), (0.5,))
    assert found == [{"at_most": 0.5, "threshold": None, "animals_lost": 0.0, "blanks_removed": 0.0}]


@pytest.mark.parametrize("truth", [[True, True], [False, False]])
def test_without_both_kinds_there_is_no_curve(truth: list[bool]) -> None:
    assert confidence.empty_curve(np.array([0.5, 0.6]), np.array(truth)) == []
    assert confidence.empties_removed(np.array([0.5, 0.6]), np.array(truth)) == []


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(quarters, st.booleans()), min_size=2, max_size=60), st.floats(0, 1))
def test_the_filters_curve_is_what_its_thresholds_do(rows: list[tuple[float, bool]], limit: float) -> None:
    blank, truth = (np.array(column) for column in zip(*rows, strict=True))
    if truth.all() or not truth.any():
        return
    curve = confidence.empty_curve(blank, truth)
    lost = [point["animals_lost"] for point in curve]
    removed = [point["blanks_removed"] for point in curve]
    assert lost == sorted(set(lost))
    assert removed == sorted(removed)
    for point in curve:
        gone = blank >= (np.inf if point["threshold"] is None else point["threshold"])
        assert point["animals_lost"] == pytest.approx(gone[~truth].mean(), abs=1e-5)
        assert point["blanks_removed"] == pytest.approx(gone[truth].mean(), abs=1e-4)
    (best,) = confidence.empties_removed(blank, truth, (limit,))
    possible = [
        (blank >= t)[truth].mean() for t in {*blank.tolist(), 2.0} if (blank >= t)[~truth].mean() <= limit + 1e-12
    ]
    assert best["blanks_removed"] == pytest.approx(max(possible), abs=1e-4)


# --- two stages


def items() -> confidence.Stages:
    blank = np.array([0.99, 0.95, 0.40, 0.10, 0.05, 0.20, 0.01, 0.50])
    species = np.array(
        [[0.5, 0.5], [0.5, 0.5], [0.9, 0.1], [0.98, 0.02], [0.03, 0.97], [0.99, 0.01], [0.99, 0.01], [0.98, 0.02]]
    )
    truth = np.array([BLANK_TRUTH, 0, 0, 0, 1, BLANK_TRUTH, OTHER_TRUTH, 0])
    return confidence.stages(blank, species, truth)


def test_two_stages_by_hand() -> None:
    """Blank right, animal missed, a species too unsure, two right, a blank named, an unknown named, and one at 0.5."""
    assert confidence.two_stage(items(), 0.5, 0.97) == {
        "t1": 0.5, "t2": 0.97, "n": 8, "auto": 7, "coverage": 0.875, "accuracy": round(4 / 7, 4),
        "accuracy_95": [round(end, 4) for end in wilson(4, 7)], "auto_empty": 2, "auto_species": 5, "missed_animals": 1,
        "empties_named": 1, "wrong_species": 1,
    }  # fmt: skip
    stricter = confidence.two_stage(items(), 0.97, 0.97)
    assert (stricter["auto_empty"], stricter["auto_species"], stricter["missed_animals"]) == (1, 1, 0)
    nothing = confidence.two_stage(items(), 1.0, 1.0)
    assert (nothing["coverage"], nothing["accuracy"], nothing["accuracy_95"]) == (0.0, None, None)
    none = confidence.stages(np.empty(0), np.empty((0, 2)), np.empty(0, np.int64))
    assert confidence.two_stage(none, 0.5, 0.5)["coverage"] is None


@st.composite
def staged(draw: st.DrawFn, least: int = 1) -> confidence.Stages:
    rows = draw(st.lists(st.tuples(quarters, quarters, st.integers(-2, 1)), min_size=least, max_size=60))
    blank, first, truth = (np.array(column) for column in zip(*rows, strict=True))
    return confidence.stages(blank, np.stack([first, 1 - first], axis=1), truth)


@settings(max_examples=60, deadline=None)
@given(staged())
def test_the_grid_is_two_stage_at_every_pair_of_thresholds(case: confidence.Stages) -> None:
    t1, t2 = np.array([0.5, 0.7, 0.95, 1.0]), np.array([0.0, 0.5, 0.8, 0.95, 1.0])
    auto, right = confidence.two_stage_grid(case, t1, t2)
    for i, a in enumerate(t1.tolist()):
        for j, b in enumerate(t2.tolist()):
            one = confidence.two_stage(case, a, b)
            assert auto[i, j] == one["auto"]
            wrong = one["missed_animals"] + one["empties_named"] + one["wrong_species"]
            assert right[i, j] == one["auto"] - wrong
    assert (np.diff(auto, axis=0) <= 0).all()
    assert (np.diff(auto, axis=1) <= 0).all()


@settings(max_examples=40, deadline=None)
@given(staged(least=20), st.sampled_from([0.3, 0.5, 0.7, 0.9]))
def test_matching_people_is_the_best_of_all_pairs(case: confidence.Stages, target: float) -> None:
    found = confidence.match_human(case, target)
    best = 0
    for t1 in np.arange(10, 21) / 20:
        for t2 in np.arange(0, 20) / 20:
            one = confidence.two_stage(case, float(t1), float(t2))
            if one["accuracy_95"] is not None and one["accuracy_95"][0] >= target + 1e-4:
                best = max(best, one["auto"])
    if found is None:
        assert best == 0
        return
    assert found[0] is not None
    chosen = confidence.two_stage(case, *found)
    assert chosen["accuracy_95"][0] >= target - 1e-4
    assert chosen["auto"] >= best


def test_nobody_is_matched_on_few_items_or_on_none() -> None:
    ten = confidence.stages(np.zeros(10), np.tile([1.0, 0.0], (10, 1)), np.zeros(10, np.int64))
    assert confidence.match_human(ten) is None
    assert confidence.match_human(confidence.stages(None, np.empty((0, 2)), np.empty(0, np.int64))) is None


def test_of_equal_coverage_the_highest_thresholds_are_taken() -> None:
    many = confidence.stages(np.zeros(200), np.tile([0.9, 0.1], (200, 1)), np.zeros(200, np.int64))
    assert confidence.match_human(many) == (0.9999, 0.9)


def test_one_stage_needs_no_filter() -> None:
    sure = np.concatenate([np.full(200, 0.95), np.full(100, 0.6)])
    truth = np.concatenate([np.zeros(200, np.int64), np.ones(100, np.int64)])
    alone = confidence.stages(None, np.stack([sure, 1 - sure], axis=1), truth)
    found = confidence.match_human(alone, one_stage=True)
    assert found == (None, 0.95)
    assert confidence.two_stage(alone, *found)["coverage"] == pytest.approx(2 / 3, abs=1e-4)


@pytest.mark.parametrize(
    ("blank", "species", "truth", "said"),
    [
        ([0.5], [[0.5, 0.5]], [2], "truths from 2"),
        ([0.5], [[0.5, 0.5]], [-3], "truths from -3"),
        ([np.nan], [[0.5, 0.5]], [0], "not numbers"),
        ([0.5], [[np.nan, 0.5]], [0], "not numbers"),
        ([0.5, 0.5], [[0.5, 0.5]], [0], "2 probabilities of blank and 1"),
    ],
)
def test_stages_that_do_not_fit_are_refused(blank: Any, species: Any, truth: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        confidence.stages(np.array(blank), np.array(species), np.array(truth))


# --- a threshold for each label


def said_as(label: int, sure: float) -> list[float]:
    row = [(1 - sure) / 2] * 3
    row[label] = sure
    return row


def test_thresholds_of_labels_by_hand() -> None:
    # Label 0: right at .9 and .8, wrong at .7, right at .6. Label 1: wrong at .95, right at .5. Label 2: one item.
    rows = [(0, 0.9, 0), (0, 0.8, 0), (0, 0.7, 1), (0, 0.6, 0), (1, 0.95, 2), (1, 0.5, 1)]
    probabilities = np.array([said_as(label, sure) for label, sure, _ in rows])
    truth = np.array([target for *_, target in rows])
    by_precision = confidence.species_thresholds(probabilities, truth, precision=0.75, least=2)
    assert by_precision["counts"].tolist() == [3, 2, 1]
    assert by_precision["own"].tolist() == [True, True, False]
    assert by_precision["thresholds"][0] == 0.6
    # Never three of four right: the threshold is out of reach and says so.
    assert by_precision["thresholds"][1] == 1.0
    assert by_precision["reached"].tolist()[:2] == [True, False]
    # All together: right are .9 .8 .6 .5, wrong .95 .7; no prefix of the surest reaches three of four.
    assert by_precision["pooled"] == 1.0
    by_recall = confidence.species_thresholds(probabilities, truth, recall=0.5, least=2)
    assert by_recall["thresholds"].tolist() == [0.8, 0.5, 0.6]
    assert by_recall["own"].tolist() == [True, True, False]
    missed = confidence.species_thresholds(probabilities, truth, recall=0.9, least=2)
    assert missed["thresholds"][1] == 0.0
    assert not missed["reached"][1]


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(8, 20), st.integers(0, 2)), min_size=1, max_size=60),
    st.floats(0.1, 1),
    st.integers(1, 5),
)
def test_thresholds_of_labels_keep_what_they_promise(rows: list[tuple[int, int, int]], aim: float, least: int) -> None:
    probabilities = np.array([said_as(label, sure / 20) for label, sure, _ in rows])
    truth = np.array([target for *_, target in rows])
    answers, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    precise = confidence.species_thresholds(probabilities, truth, precision=aim, least=least)
    wide = confidence.species_thresholds(probabilities, truth, recall=aim, least=least)
    for label in range(3):
        number = (truth == label).sum()
        assert wide["own"][label] == (number >= least)
        assert precise["own"][label] == (number >= least and (answers == label).sum() >= least)
        if not precise["own"][label]:
            assert precise["thresholds"][label] == precise["pooled"]
        elif precise["reached"][label]:
            kept = (answers == label) & (sure >= precise["thresholds"][label])
            assert (truth[kept] == label).mean() >= aim - 1e-9
        if wide["own"][label] and wide["reached"][label]:
            found = (answers == label) & (truth == label) & (sure >= wide["thresholds"][label])
            assert found.sum() >= aim * number - 1e-6


def test_thresholds_of_labels_without_items_or_aims() -> None:
    nothing = confidence.species_thresholds(np.empty((0, 2)), np.empty(0, np.int64), precision=0.9)
    assert nothing["thresholds"].tolist() == [1.0, 1.0]
    assert not nothing["reached"].any()
    for wrong in ({}, {"precision": 0.9, "recall": 0.9}):
        with pytest.raises(ValueError, match="one of them"):
            confidence.species_thresholds(np.empty((0, 2)), np.empty(0, np.int64), **wrong)
