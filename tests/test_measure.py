"""Figures of merit by hand, and what must hold of them whatever the numbers."""

import math
from typing import Any

import numpy as np
import pytest
from ctwatch_train.figures import measure
from hypothesis import given, settings
from hypothesis import strategies as st

LABELS = ("a", "b", "c")
HAND = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]])
TRUTH = np.array([0, 1, 1, 1])


@st.composite
def answered(draw: st.DrawFn, least: int = 1) -> tuple[Any, Any]:
    """Some probabilities, with many ties, and targets."""
    labels = draw(st.integers(2, 7))
    n = draw(st.integers(least, 40))
    cells = draw(st.lists(st.integers(0, 8), min_size=n * labels, max_size=n * labels))
    raw = np.array(cells, np.float64).reshape(n, labels) + 1e-3
    targets = draw(st.lists(st.integers(0, labels - 1), min_size=n, max_size=n))
    return raw / raw.sum(axis=1, keepdims=True), np.array(targets, np.int64)


def names(probabilities: Any) -> tuple[str, ...]:
    return tuple(f"l{index}" for index in range(probabilities.shape[1]))


def test_wilson_by_hand() -> None:
    assert measure.wilson(0, 0) == (0.0, 1.0)
    assert measure.wilson(9, 10) == pytest.approx((0.5958, 0.9821), abs=1e-4)
    assert measure.wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)


@given(st.integers(1, 2000), st.floats(0, 1))
def test_wilson_holds_the_share_and_mirrors(n: int, share: float) -> None:
    right = round(share * n)
    low, high = measure.wilson(right, n)
    assert 0 <= low <= right / n + 1e-12
    assert right / n - 1e-12 <= high <= 1
    assert measure.wilson(n - right, n) == pytest.approx((1 - high, 1 - low))
    assert measure.wilson(10 * right, 10 * n)[1] - measure.wilson(10 * right, 10 * n)[0] < high - low


def test_figures_by_hand() -> None:
    result = measure.figures(HAND, TRUTH, LABELS)
    assert result["n"] == 4
    assert result["accuracy"] == 0.75
    assert result["accuracy_95"] == pytest.approx([0.3006, 0.9544], abs=1e-4)
    assert result["macro_recall"] == pytest.approx((1 + 2 / 3) / 2, abs=1e-4)
    assert result["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2, abs=1e-4)
    assert result["top5"] == 1.0
    assert result["nll"] == pytest.approx(-np.log([0.9, 0.7, 0.3, 0.8]).mean(), abs=1e-5)
    # Bins (12/15, 13/15] etc. hold one each: .9 right, .7 right, .6 wrong, .8 right.
    assert result["ece"] == pytest.approx((0.1 + 0.3 + 0.6 + 0.2) / 4, abs=1e-5)
    assert result["recall"] == {
        "a": {"n": 1, "recall": 1.0, "said": 2, "precision": 0.5, "f1": 0.6667},
        "b": {"n": 3, "recall": 0.6667, "said": 2, "precision": 1.0, "f1": 0.8},
    }


def test_a_label_that_is_never_said_has_no_precision() -> None:
    result = measure.figures(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]), ("a", "b"))
    assert result["recall"]["b"] == {"n": 1, "recall": 0.0, "said": 0, "precision": None, "f1": 0.0}
    assert result["macro_f1"] == pytest.approx((2 / 3 + 0) / 2, abs=1e-4)


def test_macro_figures_are_over_labels_that_occur() -> None:
    """c is answered once but never true: no recall of its own, no share in the mean (WILDS)."""
    said_c = np.array([[0.9, 0.1, 0.0], [0.1, 0.1, 0.8]])
    result = measure.figures(said_c, np.array([0, 0]), LABELS)
    assert result["macro_recall"] == 0.5
    assert result["macro_f1"] == pytest.approx(2 / 3, abs=1e-4)
    assert list(result["recall"]) == ["a"]


def test_nothing_to_measure_is_none_and_never_one() -> None:
    result = measure.figures(np.empty((0, 3)), np.empty(0, np.int64), LABELS)
    assert result["n"] == 0
    assert result["recall"] == {}
    assert {key for key, value in result.items() if value is None} == {
        "accuracy", "accuracy_95", "macro_recall", "macro_f1", "top5", "nll", "ece",
    }  # fmt: skip
    assert measure.reliability(np.empty((0, 3)), np.empty(0, np.int64))["ece"] is None
    assert measure.majority_share([]) == (None, None)


@pytest.mark.parametrize(
    ("probabilities", "targets", "said"),
    [
        ([[math.nan, 0.5]], [0], "not numbers"),
        ([[math.inf, 0.5]], [0], "not numbers"),
        ([[-0.1, 1.1]], [0], "outside"),
        ([[1.5, 0.0]], [0], "outside"),
        ([[0.5, 0.5]], [2], "targets from"),
        ([[0.5, 0.5]], [-1], "targets from"),
        ([[0.5, 0.5]], [0, 1], "1 probabilities for 2 targets"),
        ([[0.2, 0.3, 0.5]], [0], "3 probabilities for 2 labels"),
        ([0.5, 0.5], [0, 0], "shape"),
    ],
)
def test_what_does_not_fit_is_refused(probabilities: Any, targets: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        measure.figures(np.array(probabilities), np.array(targets), ("a", "b"))


def test_ties_go_to_the_earlier_label() -> None:
    even = np.full((7, 7), 1 / 7)
    assert measure.in_top(even, np.arange(7)).tolist() == [True] * 5 + [False] * 2
    assert measure.in_top(even, np.arange(7), k=1).tolist() == [True] + [False] * 6
    assert measure.figures(even, np.arange(7), names(even))["recall"]["l0"]["recall"] == 1.0


def test_with_two_labels_everything_is_in_the_top_five() -> None:
    assert measure.figures(np.array([[1.0, 0.0]]), np.array([1]), ("a", "b"))["top5"] == 1.0


@settings(max_examples=80, deadline=None)
@given(answered(), st.integers(1, 7))
def test_top_k_is_that_of_a_stable_sort(case: tuple[Any, Any], k: int) -> None:
    probabilities, targets = case
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    assert measure.in_top(probabilities, targets, k).tolist() == (order == targets[:, None]).any(axis=1).tolist()


@settings(max_examples=80, deadline=None)
@given(answered(), st.randoms(use_true_random=False))
def test_figures_do_not_depend_on_the_order_of_items(case: tuple[Any, Any], random: Any) -> None:
    probabilities, targets = case
    order = list(range(len(targets)))
    random.shuffle(order)
    a = measure.figures(probabilities, targets, names(probabilities))
    b = measure.figures(probabilities[order], targets[order], names(probabilities))
    assert {key: value for key, value in a.items() if key not in ("nll", "ece")} == {
        key: value for key, value in b.items() if key not in ("nll", "ece")
    }
    assert (a["nll"], a["ece"]) == pytest.approx((b["nll"], b["ece"]), abs=2e-5)


@settings(max_examples=80, deadline=None)
@given(answered())
def test_equal_weights_make_accuracy_macro_recall_and_change_no_recall(case: tuple[Any, Any]) -> None:
    probabilities, targets = case
    weights = measure.equal_weights(targets)
    plain = measure.figures(probabilities, targets, names(probabilities))
    equal = measure.figures(probabilities, targets, names(probabilities), weights)
    assert weights.sum() == pytest.approx(len(targets))
    assert equal["accuracy"] == pytest.approx(plain["macro_recall"], abs=1e-4)
    assert equal["macro_recall"] == pytest.approx(plain["macro_recall"], abs=1e-4)
    assert equal["n"] == plain["n"]
    for label, cell in plain["recall"].items():
        assert equal["recall"][label]["recall"] == pytest.approx(cell["recall"], abs=1e-4)
        assert equal["recall"][label]["n"] == cell["n"]


@settings(max_examples=50, deadline=None)
@given(answered())
def test_whole_weights_are_repetitions(case: tuple[Any, Any]) -> None:
    probabilities, targets = case
    times = 1 + np.arange(len(targets)) % 3
    weighted = measure.figures(probabilities, targets, names(probabilities), times.astype(float))
    repeated = measure.figures(probabilities.repeat(times, 0), targets.repeat(times), names(probabilities))
    for key in ("accuracy", "macro_recall", "macro_f1", "top5", "nll", "ece"):
        assert weighted[key] == pytest.approx(repeated[key], abs=2e-4)


def test_rows_that_do_not_sum_to_one_are_scaled() -> None:
    half = measure.figures(HAND / 2, TRUTH, LABELS)
    assert half == measure.figures(HAND, TRUTH, LABELS)


def test_calibration_error_by_hand() -> None:
    probabilities = np.array([[0.8, 0.2]] * 10 + [[0.4, 0.6]] * 10)
    targets = np.array([0] * 6 + [1] * 4 + [1] * 6 + [0] * 4)
    assert measure.calibration_error(probabilities, targets) == pytest.approx(0.5 * 0.2 + 0.5 * 0.0)
    assert measure.reliability(probabilities, targets)["ece"] == pytest.approx(0.1)


def test_bins_hold_their_upper_edge() -> None:
    probabilities = np.array([[0.8, 0.2], [0.6, 0.4], [0.61, 0.39]])
    rows = measure.reliability(probabilities, np.array([0, 0, 1]), bins=5)["bins"]
    assert [row["n"] for row in rows] == [0, 0, 1, 2, 0]
    assert rows[2] == {"low": 0.4, "high": 0.6, "n": 1, "confidence": 0.6, "accuracy": 1.0}
    assert rows[3] == {"low": 0.6, "high": 0.8, "n": 2, "confidence": 0.705, "accuracy": 0.5}
    assert rows[0]["accuracy"] is None


@settings(max_examples=60, deadline=None)
@given(answered())
def test_reliability_counts_everything_once(case: tuple[Any, Any]) -> None:
    probabilities, targets = case
    result = measure.reliability(probabilities, targets)
    assert sum(row["n"] for row in result["bins"]) == len(targets)
    assert result["ece"] == pytest.approx(measure.calibration_error(probabilities, targets), abs=1e-5)
    assert 0 <= result["ece"] <= 1


def test_confusion_has_the_truth_down() -> None:
    table = measure.confusion(np.array([1, 1, 0]), np.array([0, 0, 2]), 3)
    assert table.tolist() == [[0, 2, 0], [0, 0, 0], [1, 0, 0]]
    assert measure.confusion(np.array([1, 1]), np.array([0, 0]), 2, np.array([0.5, 2.0])).tolist() == [[0, 2.5], [0, 0]]


def test_three_labels_of_serengeti_are_63_per_cent_and_ignore_45_of_48() -> None:
    counts = [30, 20, 13, *([37 / 45] * 45)]
    share, ignored = measure.majority_share([round(count * 45) for count in counts], k=3)
    assert share == pytest.approx(0.63)
    assert ignored == 0.9375


def test_precision_by_bayes_by_hand() -> None:
    assert measure.precision_at(0.75, 0.9, 0.8) == pytest.approx(
        {"precision_blank": 0.6 / 0.625, "precision_animal": 0.225 / 0.375, "accuracy": 0.825}
    )
    assert measure.precision_at(0.0, 1.0, 1.0)["precision_blank"] is None
    assert measure.precision_at(0.5, 0.968, 0.968)["accuracy"] == pytest.approx(0.968)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_precision_at_the_natural_prior_is_the_counted_one(pairs: list[tuple[bool, bool]]) -> None:
    said, blank = (np.array(column) for column in zip(*pairs, strict=True))
    result = measure.empty_figures(said, blank, {"equal": 0.5})
    natural = result["at_priors"][0]
    assert [cell["name"] for cell in result["at_priors"]] == ["natural", "equal"]
    assert (result["animals"], result["blanks"]) == ((~blank).sum(), blank.sum())
    if blank.all() or not blank.any():
        assert natural["accuracy"] is None
        return
    assert natural["accuracy"] == pytest.approx((said == blank).mean(), abs=1e-4)
    for name, chosen in (("precision_blank", said), ("precision_animal", ~said)):
        truth = blank if name == "precision_blank" else ~blank
        assert natural[name] == (pytest.approx(truth[chosen].mean(), abs=1e-4) if chosen.any() else None)


def test_empty_figures_by_hand() -> None:
    said, blank = np.array([1, 1, 0, 0, 0], bool), np.array([1, 0, 1, 0, 0], bool)
    result = measure.empty_figures(said, blank, {})
    assert (result["n"], result["animal_recall"], result["empty_recall"]) == (5, 0.6667, 0.5)
    assert measure.empty_figures(np.empty(0, bool), np.empty(0, bool), {"equal": 0.5})["blank_share"] is None
    with pytest.raises(ValueError, match="5 answers for 4"):
        measure.empty_figures(said, blank[:4], {})
