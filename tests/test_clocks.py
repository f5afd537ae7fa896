"""Clock corrections: exact shifts, drift between known moments, references to photographs, and what then counts."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ctwatch import clocks
from ctwatch.domain import ClockPoint, ClockReference

moments = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1))
offsets = st.timedeltas(timedelta(days=-20000), timedelta(days=20000))
SETUP = datetime(2024, 3, 1, 12)


def column(*times: datetime | None) -> NDArray[np.datetime64]:
    return np.array(["NaT" if time is None else time for time in times], dtype="datetime64[us]")


@st.composite
def drifts(draw: st.DrawFn) -> list[ClockPoint]:
    """Two to four points, each day or more apart, whose clock goes wrong by less than an hour a day."""
    recorded, offset = draw(moments), draw(offsets)
    points = [ClockPoint(recorded, recorded + offset)]
    for _ in range(draw(st.integers(1, 3))):
        days = draw(st.integers(1, 200))
        recorded += timedelta(days=days)
        offset += timedelta(seconds=days * draw(st.integers(-3600, 3600)))
        points.append(ClockPoint(recorded, recorded + offset))
    return points


@given(st.lists(moments, max_size=8))
def test_without_points_nothing_changes(times: list[datetime]) -> None:
    """A clock that nobody found wrong is right."""
    assert (clocks.correct(column(*times), ()) == column(*times)).all()


@given(st.lists(moments, min_size=1, max_size=8), moments, offsets)
def test_one_point_shifts_to_the_microsecond_and_back(
    times: list[datetime], anchor: datetime, offset: timedelta
) -> None:
    """A fixed offset is exact wherever it was noted down, and undone exactly."""
    points = [ClockPoint(anchor, anchor + offset)]
    corrected = clocks.correct(column(*times), points)
    assert corrected.tolist() == [time + offset for time in times]
    assert (clocks.recorded_of(corrected, points) == column(*times)).all()


@given(drifts())
def test_known_moments_are_met_exactly(points: list[ClockPoint]) -> None:
    """At each point the corrected time is the one that is known, and back."""
    recorded = column(*(point.recorded for point in points))
    actual = column(*(point.actual for point in points))
    assert (clocks.correct(recorded, points) == actual).all()
    assert (clocks.recorded_of(actual, points) == recorded).all()


@given(drifts(), st.lists(moments, min_size=2, max_size=20))
def test_drift_keeps_the_order_and_can_be_undone(points: list[ClockPoint], times: list[datetime]) -> None:
    """Times two microseconds apart stay apart and in order; the inverse is at most a microsecond beside."""
    recorded = np.unique(column(*times))
    corrected = clocks.correct(recorded, points)
    apart = np.diff(recorded) >= np.timedelta64(2, "us")
    assert (np.diff(corrected)[apart] > np.timedelta64(0, "us")).all()
    beside = np.abs((clocks.recorded_of(corrected, points) - recorded).astype(np.int64))
    assert beside.max() <= 1


@given(drifts(), st.timedeltas(timedelta(0), timedelta(days=900)))
def test_outside_the_points_the_offset_is_that_of_the_nearest(points: list[ClockPoint], away: timedelta) -> None:
    """A drift is not spun on to times about which nobody knows."""
    first, last = points[0], points[-1]
    corrected = clocks.correct(column(first.recorded - away, last.recorded + away), points)
    assert corrected.tolist() == [first.actual - away, last.actual + away]


def test_half_way_between_two_points_half_the_drift_is_mended() -> None:
    """Ten days, ten minutes slow at the end: after five days five minutes are added."""
    end = SETUP + timedelta(days=10)
    points = [ClockPoint(SETUP, SETUP), ClockPoint(end, end + timedelta(minutes=10))]
    middle = SETUP + timedelta(days=5)
    assert clocks.correct(column(middle), points).tolist() == [middle + timedelta(minutes=5)]
    assert clocks.correct_one(middle, points) == middle + timedelta(minutes=5)


@given(moments, moments, offsets)
def test_one_time_is_corrected_like_a_column(time: datetime, anchor: datetime, offset: timedelta) -> None:
    """The scalar is the vector of one."""
    points = [ClockPoint(anchor, anchor + offset)]
    assert clocks.correct_one(time, points) == clocks.correct(column(time), points).tolist()[0]
    assert clocks.correct_one(time, ()) == time


def test_no_time_stays_no_time_and_no_calendar_is_left() -> None:
    """NaT passes through every kind of correction; a scalar beyond the calendar is none."""
    two = [ClockPoint(SETUP, SETUP), ClockPoint(SETUP + timedelta(days=1), SETUP + timedelta(days=2))]
    for points in ((), two[:1], two):
        assert np.isnat(clocks.correct(column(None, SETUP), points)).tolist() == [True, False]
    assert clocks.correct_one(datetime(9999, 12, 31), [ClockPoint(SETUP, SETUP + timedelta(days=400))]) is None


PATHS = ["DCIM/100EK113/EK000001.JPG", "DCIM/101EK113/EK000001.JPG", "DCIM/101EK113/EK000002.JPG", "b/slate.jpg"]
RECORDED = column(SETUP, SETUP + timedelta(days=30), None, SETUP + timedelta(days=60))


def resolved(*references: tuple[str, datetime]) -> tuple[Sequence[ClockPoint], Sequence[str]]:
    return clocks.points_of((), [ClockReference(*item) for item in references], PATHS, RECORDED)


def test_reference_photographs_become_points() -> None:
    """By name or the end of the path, capitals and slashes aside; in the order of time."""
    true = SETUP + timedelta(hours=1)
    points, told = resolved(
        ("slate.JPG", true + timedelta(days=60)),
        ("100ek113\\EK000001.jpg", true),
        ("slate.JPG", true + timedelta(days=60)),
    )
    assert told == ()
    assert points == (
        ClockPoint(SETUP, true),
        ClockPoint(SETUP + timedelta(days=60), true + timedelta(days=60)),
    )


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("EK000001.JPG", "is the name of 2 photographs with different times; write more of its path"),
        ("EK000002.JPG", "has no time"),
        ("ate.jpg", "is not among this deployment's photographs"),
        ("", "is not among"),
    ],
)
def test_references_that_say_nothing_are_told_not_guessed(name: str, why: str) -> None:
    """Several, none, or one without a time: a sentence, and no correction by it."""
    points, (sentence,) = resolved((name, SETUP))
    assert points == ()
    assert why in sentence


def test_points_that_contradict_each_other_correct_nothing() -> None:
    """A clock does not run backwards; then all times stay as recorded, and it is said."""
    points, (sentence,) = resolved(("slate.jpg", SETUP), ("100EK113/EK000001.JPG", SETUP + timedelta(days=1)))
    assert points == ()
    assert "left as recorded" in sentence


def test_what_counts_is_judged_anew() -> None:
    """From the earliest year to a day after now; a corrected time can become one that counts, or none."""
    now = datetime(2024, 6, 1, 12)
    times = column(datetime(2000, 12, 31, 23, 59, 59), datetime(2001, 1, 1), now + timedelta(days=1), None)
    late = column(now + timedelta(days=1, microseconds=1))
    trusted, issues = clocks.judge(np.concatenate([times, late]), now, 2001)
    assert trusted.tolist() == [False, True, True, False, False]
    assert issues == [
        "2000-12-31 23:59:59 is before 2001", None, None, "no_timestamp", "2024-06-02 12:00:00 is in the future"
    ]  # fmt: skip
    mended = clocks.correct(times[:1], [ClockPoint(datetime(2000, 1, 1), datetime(2023, 1, 1))])
    assert clocks.judge(mended, now, 2001)[0].all()


def test_input_is_left_alone() -> None:
    """Corrections are new columns."""
    times = column(SETUP)
    for points in ((), [ClockPoint(SETUP, SETUP + timedelta(hours=1))]):
        clocks.correct(times, points)
        assert times.tolist() == [SETUP]


def test_what_was_said_of_references_can_be_taken_back() -> None:
    """Whatever the photograph is called, and nothing else that the flag says."""
    at = datetime(2026, 5, 1)
    same = np.array(["2026-05-01T00:00:00", "2026-05-02T00:00:00", "NaT"], dtype="datetime64[us]")
    paths = ['A/it\'s; "1".JPG', 'B/it\'s; "1".JPG', "C/IMG.JPG"]
    references = [ClockReference(name, at) for name in ('it\'s; "1".JPG', "IMG.JPG", "gone.JPG", "it's gone")]
    turned = [ClockPoint(at, at), ClockPoint(at + timedelta(1), at - timedelta(1))]
    _, sentences = clocks.points_of(turned, references, paths, same)
    assert len(sentences) == 5
    assert clocks.without_sentences("; ".join(["outside its dates; correct these", *sentences])) == (
        "outside its dates; correct these"
    )
    for sentence in sentences:
        assert clocks.without_sentences(sentence) == ""
        assert clocks.without_sentences(f"{sentence}; several") == "several"
    assert clocks.without_sentences(None) == ""
