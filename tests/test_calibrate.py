"""Temperature, priors and the filter's threshold."""

from typing import Any

import numpy as np
import pytest
from ctwatch_train.figures import calibrate
from hypothesis import given, settings
from hypothesis import strategies as st

positive = st.floats(0.01, 1.0)


def softmax(logits: Any) -> Any:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_temperature_by_hand() -> None:
    """Of logits (a, 0) right in three of four cases the best T has sigmoid(a / T) = 3/4."""
    logits = np.tile([[4.0, 0.0]], (400, 1))
    targets = np.array([0, 0, 0, 1] * 100)
    assert calibrate.temperature(logits, targets) == pytest.approx(4 / np.log(3), rel=1e-4)
    assert calibrate.temperature(logits[:99], targets[:99]) == 1.0
    assert calibrate.temperature(np.tile([[1e-3, 0.0]], (200, 1)), np.zeros(200, np.int64)) == pytest.approx(0.05)
    assert calibrate.temperature(np.tile([[50.0, 0.0]], (200, 1)), np.array([0, 1] * 100)) == pytest.approx(20.0)


def test_temperature_refuses_what_is_no_number() -> None:
    with pytest.raises(ValueError, match="not numbers"):
        calibrate.temperature(np.full((200, 2), np.nan), np.zeros(200, np.int64))


def test_logits_that_are_too_large_get_the_temperature_that_made_them_so() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (6000, 4))
    drawn = (softmax(logits).cumsum(axis=1) < rng.random((6000, 1))).sum(axis=1)
    assert calibrate.temperature(3 * logits, drawn) == pytest.approx(3, rel=0.06)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-8, 8), min_size=2, max_size=6), st.floats(0.3, 5))
def test_calibration_can_be_taken_back(logits: list[float], divisor: float) -> None:
    values = np.array([logits])
    assert calibrate.uncalibrated(softmax(values / divisor), divisor) == pytest.approx(softmax(values), abs=1e-9)


def test_a_probability_of_nothing_stays_nothing() -> None:
    assert calibrate.uncalibrated(np.array([[1.0, 0.0]]), 0.05).tolist() == [[1.0, 0.0]]
    assert calibrate.uncalibrated(np.array([[0.0, 0.0]]), 2.0).tolist() == [[0.0, 0.0]]


def test_priors_are_smoothed_by_one_item() -> None:
    assert calibrate.priors(np.array([0, 0, 2, -1]), 3) == pytest.approx([3 / 6, 1 / 6, 2 / 6])
    assert calibrate.priors(np.array([], np.int64), 4) == pytest.approx([0.25] * 4)
    assert calibrate.priors(np.array([0, 0, 1]), 2, smoothing=0) == pytest.approx([2 / 3, 1 / 3])
    with pytest.raises(ValueError, match="smoothed"):
        calibrate.priors(np.array([0]), 2, smoothing=0)


def test_another_prior_by_hand() -> None:
    """From even odds, 0.6 against 0.4, to labels nine to one: 0.54 against 0.04."""
    moved = calibrate.reprior(np.array([[0.6, 0.4]]), np.array([0.5, 0.5]), np.array([0.9, 0.1]))
    assert moved == pytest.approx(np.array([[0.54 / 0.58, 0.04 / 0.58]]))
    # Half way in the logarithm: odds of 1.5 times the root of nine.
    half = calibrate.reprior(np.array([[0.6, 0.4]]), np.array([0.5, 0.5]), np.array([0.9, 0.1]), tau=0.5)
    assert half[0, 0] / half[0, 1] == pytest.approx(1.5 * 3)


def test_an_even_target_is_logit_adjustment() -> None:
    """argmax of z - log prior (Menon et al. 2021)."""
    rng = np.random.default_rng(1)
    logits, prior = rng.normal(0, 2, (200, 5)), np.array([0.6, 0.25, 0.1, 0.04, 0.01])
    moved = calibrate.reprior(softmax(logits), prior)
    assert moved == pytest.approx(softmax(logits - np.log(prior)))


@settings(max_examples=80, deadline=None)
@given(st.data(), st.integers(2, 6))
def test_priors_can_be_exchanged_and_taken_back(data: st.DataObject, labels: int) -> None:
    vector = st.lists(positive, min_size=labels, max_size=labels).map(np.array)
    p, source, target = (data.draw(vector) for _ in range(3))
    p = p / p.sum()
    there = calibrate.reprior(p, source, target)
    assert there.sum() == pytest.approx(1)
    assert calibrate.reprior(there, target, source) == pytest.approx(p)
    assert calibrate.reprior(p, source, source) == pytest.approx(p)
    assert calibrate.reprior(p, source, target, tau=0) == pytest.approx(p)
    assert calibrate.reprior(np.stack([p, p]), source, target)[1] == pytest.approx(there)


@pytest.mark.parametrize(
    ("p", "source", "target", "said"),
    [
        ([0.5, 0.5], [1.0, 0.0], None, "positive"),
        ([0.5, 0.5], [0.5, 0.5], [1.0, 0.0], "positive"),
        ([0.5, 0.5], [0.5, np.nan], None, "positive"),
        ([0.5, np.nan], [0.5, 0.5], None, "not numbers"),
        ([0.5, 0.5], [0.2, 0.3, 0.5], None, "3 and 3 labels for 2"),
    ],
)
def test_priors_that_cannot_be_are_refused(p: Any, source: Any, target: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        calibrate.reprior(np.array(p), np.array(source), None if target is None else np.array(target))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 0.99), min_size=1, max_size=60), st.floats(0.5, 1.0))
def test_blank_threshold_keeps_its_recall(values: list[float], recall: float) -> None:
    blank = np.array(values)
    threshold = calibrate.blank_threshold(blank, np.ones(len(blank), bool), recall)
    assert (blank < threshold).mean() >= recall - 1e-9
    assert 0 <= threshold <= 1


def test_blank_threshold_by_hand() -> None:
    blank = np.array([0.9, 0.5, 0.3, 0.1, 0.99])
    animal = np.array([True, True, True, True, False])
    assert calibrate.blank_threshold(blank, animal, 1.0) == pytest.approx(0.9001)
    assert calibrate.blank_threshold(blank, animal, 0.75) == pytest.approx(0.5001)
    assert calibrate.blank_threshold(blank, np.zeros(5, bool), 0.9) == 1.0
    assert calibrate.blank_threshold(blank, animal, 0.0) == 0.0
