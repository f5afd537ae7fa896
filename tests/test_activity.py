"""Times of day on their circle, overlap, independent detections and accumulation: against R, by hand and by counting out."""

from datetime import datetime
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctwatch.activity import (
    CIRCLE,
    GRID,
    accumulation,
    concentration,
    density,
    independent,
    overlap,
    time_of_day,
)

FIRST = np.array([0.1, 0.3, 0.35, 1.2, 5.9, 6.1, 3.2, 3.3])
SECOND = np.array([2.9, 3.1, 3.4, 3.0, 4.1, 0.2])
times = st.lists(st.floats(0, CIRCLE, exclude_max=True), min_size=2, max_size=40).map(np.array)


def test_bandwidth_density_and_overlap_are_those_of_r() -> None:
    """Computed with besselI and uniroot of R 4.2 from the formulas of Taylor (2008) and Ridout & Linkie (2009)."""
    assert concentration(FIRST) == pytest.approx(11.6233382510, abs=1e-9)
    assert concentration(SECOND) == pytest.approx(11.8507262856, abs=1e-9)
    curve = density(FIRST)
    assert curve is not None
    assert curve[[0, 32, 64]] == pytest.approx([0.5526091105037, 0.0764346452318, 0.3101528169426], abs=1e-9)
    shared = overlap(FIRST, SECOND)
    assert shared is not None
    assert shared.dhat1 == pytest.approx(0.417106421597, abs=1e-9)
    assert shared.dhat4 == pytest.approx(0.429093986174, abs=1e-9)
    assert shared.estimate == shared.dhat1


@given(times)
@settings(deadline=None, max_examples=60)
def test_a_density_is_one_around_the_circle_wherever_midnight_is(sample: np.ndarray) -> None:
    """It integrates to 1 on its grid, is nowhere negative, and turns with the times."""
    curve = density(sample)
    assert curve is not None
    assert curve.sum() * CIRCLE / GRID == pytest.approx(1)
    assert (curve >= 0).all()
    turned = density(np.mod(sample + CIRCLE / 4, CIRCLE))
    assert turned is not None
    assert np.roll(curve, GRID // 4) == pytest.approx(turned, abs=1e-6)


@given(times, times)
@settings(deadline=None, max_examples=60)
def test_overlap_is_symmetric_and_whole_with_itself(first: np.ndarray, second: np.ndarray) -> None:
    """Between 0 and 1 whatever the samples."""
    one, other, same = overlap(first, second), overlap(second, first), overlap(first, first)
    assert one and other and same
    assert (one.dhat1, one.dhat4) == pytest.approx((other.dhat1, other.dhat4))
    assert all(-1e-9 <= value <= 1 + 1e-9 for value in (one.dhat1, one.dhat4))
    assert (same.dhat1, same.dhat4) == pytest.approx((1, 1))


def test_too_few_times_have_no_density_and_even_ones_a_flat_one() -> None:
    """Also a thousand equal times are drawn, no narrower than the grid can show."""
    assert density(np.array([1.0])) is None
    assert overlap(np.array([1.0]), FIRST) is None
    even = density(np.arange(4) * CIRCLE / 4)
    assert even is not None and even == pytest.approx(np.full(GRID, 1 / CIRCLE))
    equal = density(np.full(1000, 1.01))
    assert equal is not None and equal.argmax() == round(1.01 / CIRCLE * GRID)
    assert equal.sum() * CIRCLE / GRID == pytest.approx(1)


def test_large_samples_take_the_fourth_estimator() -> None:
    """From 75 times in the smaller one."""
    many = np.random.default_rng(1).vonmises(0, 2, 80) % CIRCLE
    assert (shared := overlap(many, many + 0.5)) and shared.estimate == shared.dhat4


def test_time_of_day_is_radians_from_midnight() -> None:
    """A moment that is none is left out."""
    moments = np.array(["2026-05-01T06:00", "NaT", "1969-12-31T18:00"], dtype="datetime64[us]")
    assert time_of_day(moments) == pytest.approx([CIRCLE / 4, 3 * CIRCLE / 4])


def test_independence_counts_from_the_last_independent_detection() -> None:
    """Thirty minutes suffice; species and places do not disturb each other; without a time there is none."""
    rows = [
        ("fox", "A", datetime(2026, 5, 1, 10, 0), True),
        ("fox", "A", datetime(2026, 5, 1, 10, 20), False),
        ("fox", "A", datetime(2026, 5, 1, 10, 40), True),
        ("fox", "A", datetime(2026, 5, 1, 11, 10), True),
        ("fox", "B", datetime(2026, 5, 1, 10, 1), True),
        ("hare", "A", datetime(2026, 5, 1, 10, 1), True),
        ("fox", "A", None, False),
    ]
    starts = np.array(["NaT" if row[2] is None else row[2] for row in rows], dtype="datetime64[us]")
    kept = independent([row[0] for row in rows], [row[1] for row in rows], starts, 30)
    assert kept.tolist() == [row[3] for row in rows]
    turned = independent([row[0] for row in rows[::-1]], [row[1] for row in rows[::-1]], starts[::-1], 30)
    assert turned[::-1].tolist() == kept.tolist()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=15))
@settings(deadline=None)
def test_accumulation_is_the_mean_over_all_samples_of_units(found: list[tuple[int, int]]) -> None:
    """Counted out over every subset of six units."""
    species = np.array([pair[0] for pair in found], dtype=np.int64)
    units = np.array([pair[1] for pair in found], dtype=np.int64)
    curve = accumulation(species, units, 6)
    for count, expected in zip(curve.units, curve.species, strict=True):
        seen = [len({s for s, u in found if u in subset}) for subset in combinations(range(6), int(count))]
        assert expected == pytest.approx(np.mean(seen))
    assert curve.observed == len(set(species.tolist()))
    assert (np.diff(curve.species) >= -1e-12).all() and (curve.sd >= 0).all()


def test_chao2_by_hand() -> None:
    """Two uniques and one duplicate in ten units: 3 + 9/10 * 4/2; without a duplicate the bias-corrected form."""
    curve = accumulation(np.array([0, 1, 2, 2]), np.array([0, 1, 2, 3]), 10)
    assert (curve.uniques, curve.duplicates) == (2, 1)
    assert curve.chao2 == pytest.approx(4.8)
    assert curve.chao2_low and curve.chao2_high and 3 <= curve.chao2_low < 4.8 < curve.chao2_high
    # Colwell, Mao & Chang (2004): at all units the variance is S (1 - S / estimate).
    assert curve.sd[-1] == pytest.approx(np.sqrt(3 * (1 - 3 / 4.8)))
    assert accumulation(np.array([0, 1]), np.array([0, 1]), 10).chao2 == pytest.approx(2.9)
    assert accumulation(np.array([0, 0, 0]), np.array([0, 1, 2]), 10).chao2 == 1


def test_nothing_accumulates_to_nothing() -> None:
    """No units, or units without a detection."""
    nothing = np.empty(0, dtype=np.int64)
    assert accumulation(nothing, nothing, 0).chao2 is None
    assert accumulation(nothing, nothing, 5).species.tolist() == [0] * 5
