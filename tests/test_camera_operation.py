"""Camera operation: which part of each day was worked, by one camera or several, with outages, from any hour."""

from datetime import date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctwatch.domain import Outage
from ctwatch.occupancy import CameraPeriod, Operation, camera_operation, period, row_names

quick = settings(deadline=None)
START = datetime(2024, 5, 1)
DAY = timedelta(days=1)
NAN = float("nan")
QUARTER = timedelta(minutes=15)


def hours(number: float) -> datetime:
    return START + timedelta(hours=number)


def spell(first: float, last: float) -> tuple[datetime, datetime]:
    return hours(first), hours(last)


@st.composite
def drawn_period(draw: st.DrawFn) -> CameraPeriod:
    """A camera for up to four days in quarters of an hour, with up to two outages that may overlap or stick out."""
    begin = draw(st.integers(0, 96 * 4))
    end = begin + draw(st.integers(0, 96 * 4))
    offs = draw(st.lists(st.tuples(st.integers(begin - 5, end), st.integers(1, 96)), max_size=2))
    return period(
        draw(st.sampled_from(["S1", "S2"])),
        hours(begin / 4),
        hours(end / 4),
        camera_id=draw(st.sampled_from([None, "c1", "c2"])),
        session=draw(st.sampled_from([None, "2024"])),
        outages=[Outage(hours(off / 4), hours((off + length) / 4)) for off, length in offs],
    )


periods = st.lists(drawn_period(), max_size=5)


def plainly(
    items: list[CameraPeriod], start_hour: int, *, by_camera: bool, all_on: bool, independent: bool
) -> dict[tuple[str, str, str], dict[date, float]]:
    """The same by counting quarters of an hour one by one."""
    groups: dict[tuple[str, str, str], list[CameraPeriod]] = {}
    for item in items:
        if item.end > item.start:
            key = (item.location_id, item.session or "", (item.camera_id or "") if by_camera else "")
            groups.setdefault(key, []).append(item)
    found = {}
    for key, group in groups.items():
        days: dict[date, float] = {}
        cameras = {item.camera_id or f"number {number}" for number, item in enumerate(group)}
        moment = min(item.start for item in group)
        while moment < max(item.end for item in group):
            standing = [(n, item) for n, item in enumerate(group) if item.start <= moment < item.end]
            working = [
                item.camera_id or f"number {n}"
                for n, item in standing
                if not any(off <= moment < on for off, on in item.outages)
            ]
            if standing:
                day = (moment - timedelta(hours=start_hour)).date()
                if all_on:
                    worth = (len(cameras) if independent else 1) * (set(working) == cameras)
                else:
                    worth = len(set(working)) if independent else bool(working)
                days[day] = days.get(day, 0.0) + worth / 96
            moment += QUARTER
        found[key] = days
    return found


@quick
@given(periods, st.sampled_from([0, 6, 12, 23]), st.booleans(), st.booleans(), st.booleans())
def test_a_day_is_what_its_cameras_worked_of_it(
    items: list[CameraPeriod], start_hour: int, by_camera: bool, all_on: bool, independent: bool
) -> None:
    """For one camera or several, any or all of them, each on its own or as one: NaN not set up, 0 set up, not working."""
    worked = camera_operation(
        items, start_hour=start_hour, by_camera=by_camera, all_cameras_on=all_on, cameras_independent=independent
    )
    expected = plainly(items, start_hour, by_camera=by_camera, all_on=all_on, independent=independent)
    names = zip(worked.location_ids, worked.sessions, worked.camera_ids, strict=True)
    keys = [tuple(name or "" for name in row) for row in names]
    assert keys == sorted(expected)
    if expected:
        assert worked.first_day == min(min(days) for days in expected.values())
    for row, key in enumerate(keys):
        wanted = [expected[key].get(worked.first_day + n * DAY, NAN) for n in range(worked.days.shape[1])]
        # Each camera's share of a day is rounded to 4 places.
        assert worked.days[row].tolist() == pytest.approx(wanted, abs=3e-4, nan_ok=True)


@quick
@given(periods, st.randoms(use_true_random=False), st.booleans())
def test_the_order_of_periods_does_not_matter(items: list[CameraPeriod], random: object, compatible: bool) -> None:
    """Rows are sorted."""
    mixed = list(items)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    one, other = (camera_operation(found, camtrapr_compatible=compatible) for found in (items, mixed))
    assert row_names(one) == row_names(other)
    assert one.days == pytest.approx(other.days, nan_ok=True)


@quick
@given(periods)
def test_a_shared_location_works_no_longer_than_its_cameras_together(items: list[CameraPeriod]) -> None:
    """All on <= any one on <= the sum; and any one on is at most a day."""
    total = camera_operation(items).days
    together = camera_operation(items, cameras_independent=False).days
    every = camera_operation(items, all_cameras_on=True, cameras_independent=False).days
    assert (np.isnan(total) == np.isnan(together)).all()
    assert (np.isnan(total) == np.isnan(every)).all()
    assert (np.nan_to_num(together) <= np.nan_to_num(total) + 5e-4).all()
    assert (np.nan_to_num(every) <= np.nan_to_num(together) + 1e-4).all()
    assert (np.nan_to_num(together) <= 1).all()


def test_no_periods_are_an_empty_matrix() -> None:
    """As are periods that end before they begin."""
    for items in ([], [CameraPeriod("A", START, START)]):
        assert camera_operation(items).days.shape == (0, 0)
        assert camera_operation(items, camtrapr_compatible=True, cameras_independent=False).days.shape == (0, 0)


def test_days_may_begin_at_no_hour_but_those_of_a_clock() -> None:
    """0 to 23."""
    with pytest.raises(ValueError, match="start_hour"):
        camera_operation([], start_hour=24)


def test_rows_are_named_as_camtrapr_names_them() -> None:
    """Station, session and camera, as far as they are told apart."""
    items = [
        CameraPeriod("A", START, START + DAY, "c1", "2024"),
        CameraPeriod("A", START, START + DAY, "c2", "2024"),
        CameraPeriod("B", START, START + DAY, "c1"),
    ]
    assert row_names(camera_operation(items)) == ("A__SESS_2024", "B")
    assert row_names(camera_operation(items, by_camera=True)) == (
        "A__SESS_2024__CAM_c1",
        "A__SESS_2024__CAM_c2",
        "B__CAM_c1",
    )
    assert row_names(Operation(("A",), START.date(), np.ones((1, 1)))) == ("A",)


# --- dates ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "start_is_date", "end", "end_is_date", "worked"),
    [
        (START, True, START + 3 * DAY, True, 3.0),
        (START, True, START, True, 1.0),
        (hours(6), False, hours(30), False, 1.0),
        (START, True, hours(36), False, 1.0),
        (START, True, hours(6), False, 0.25),
        (hours(18), False, START, True, 0.25),
        (hours(6), False, START, True, 0.25),
    ],
    ids=["dates", "one date", "times", "date and time", "down before noon", "up after noon", "up before noon"],
)
def test_dates_count_from_noon_to_noon(
    start: datetime, start_is_date: bool, end: datetime, end_is_date: bool, worked: float
) -> None:
    """A date without a time stands for noon; no deployment is lost because its day was short."""
    active = period("A", start, end, start_is_date=start_is_date, end_is_date=end_is_date)
    assert active.end > active.start
    assert np.nansum(camera_operation([active]).days) == pytest.approx(worked)


def test_a_swapped_card_leaves_no_hole() -> None:
    """A retrieval and a set-up on one date are half a day each."""
    dates = [(START, START + 5 * DAY), (START + 5 * DAY, START + 9 * DAY)]
    items = [period("A", *span, start_is_date=True, end_is_date=True) for span in dates]
    assert camera_operation(items).days.tolist() == [[0.5, *[1.0] * 8, 0.5]]


def test_outages_by_date_take_both_their_days() -> None:
    """From the 3rd to the 4th: two days of 0, the others as ever."""
    active = period(
        "A",
        START,
        START + 5 * DAY,
        start_is_date=True,
        end_is_date=True,
        outages=[Outage(START + 2 * DAY, START + 3 * DAY, is_date=True, note="battery")],
    )
    assert camera_operation([active]).days.tolist() == [[0.5, 1, 0, 0, 1, 0.5]]


def test_an_outage_by_time_takes_its_hours() -> None:
    """Six hours are a quarter of a day; what lies outside the deployment is nothing."""
    active = period(
        "A",
        START,
        START + 2 * DAY,
        outages=[Outage(hours(6), hours(12)), Outage(START - DAY, START), Outage(hours(9), hours(10))],
    )
    assert camera_operation([active]).days.tolist() == [[0.75, 1]]


def test_one_camera_never_works_twice_at_a_time() -> None:
    """Deployments of it that overlap count once; without a name they may be two cameras."""
    for camera, expected in (("c1", [1, 1]), (None, [1.5, 1.25])):
        items = [CameraPeriod("A", START, hours(30), camera), CameraPeriod("A", hours(12), hours(48), camera)]
        assert camera_operation(items).days.tolist() == [expected]


# --- camtrapR's own ways -------------------------------------------------------------------------------------------


def by_dates(place: str, first: int, last: int, camera: str, *outages: tuple[int, int]) -> CameraPeriod:
    return period(
        place,
        START + first * DAY,
        START + last * DAY,
        start_is_date=True,
        end_is_date=True,
        camera_id=camera,
        outages=[Outage(START + off * DAY, START + on * DAY, is_date=True) for off, on in outages],
    )


PAIR = [by_dates("A", 0, 3, "c1"), by_dates("A", 1, 5, "c2", (2, 2))]
WAYS = [(False, True), (False, False), (True, True), (True, False)]


@pytest.mark.parametrize(
    ("way", "expected"),
    list(
        zip(
            WAYS,
            [
                [0.5, 1.5, 1, 1.5, 1, 0.5],
                [0.5, 1, 1, 1, 1, 0.5],
                [0, 0, 0, 0, NAN, 0],
                [0, 0, 0, 0, NAN, 0],
            ],
            strict=True,
        )
    ),
)
def test_cameras_with_dates_as_camtrapr_counts_them(way: tuple[bool, bool], expected: list[float]) -> None:
    """All cameras: only days that every one worked in full; unknown where one is not set up and the others did."""
    all_on, independent = way
    worked = camera_operation(PAIR, all_cameras_on=all_on, cameras_independent=independent, camtrapr_compatible=True)
    assert worked.days[0].tolist() == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("way", "expected"),
    list(zip(WAYS, [[0.5, 2, 1.5, NAN], [0.5, 1, 0.75, NAN], [NAN, 2, 1, NAN], [NAN, 1, 0.5, NAN]], strict=True)),
)
def test_cameras_with_times_as_camtrapr_counts_them(way: tuple[bool, bool], expected: list[float]) -> None:
    """Cameras that depend on each other are averaged, all cameras are the least of them; the day taken down at 0:00 is NaN."""
    items = [CameraPeriod("A", hours(12), hours(60), "c1"), CameraPeriod("A", hours(24), hours(72), "c2")]
    all_on, independent = way
    worked = camera_operation(items, all_cameras_on=all_on, cameras_independent=independent, camtrapr_compatible=True)
    assert worked.days[0].tolist() == pytest.approx(expected, nan_ok=True)


def test_by_camera_camtrapr_does_not_ask_whether_all_were_on() -> None:
    """A row of one camera keeps its parts of days."""
    worked = camera_operation(PAIR, by_camera=True, all_cameras_on=True, camtrapr_compatible=True)
    assert worked.days.tolist() == [
        pytest.approx([0.5, 1, 1, 0.5, NAN, NAN], nan_ok=True),
        pytest.approx([NAN, 0.5, 0, 1, 1, 0.5], nan_ok=True),
    ]


def test_halves_of_the_last_place_are_rounded_as_r_rounds_them() -> None:
    """A day without 27 minutes, 0.98125, is 0.9813 in R 4.2; rounding to even gives 0.9812."""
    active = CameraPeriod("A", START, hours(60), outages=((hours(24), hours(24.45)),))
    assert camera_operation([active], camtrapr_compatible=True).days.tolist() == [[1, 0.9813, 0.5]]


def test_where_days_begin_at_noon_camtrapr_has_a_day_more() -> None:
    """With dates it is 0 and with times NaN; we have no such day."""
    dated, timed = by_dates("A", 0, 2, "c1"), CameraPeriod("A", hours(12), hours(60))
    assert camera_operation([dated], start_hour=12).days.tolist() == [[1, 1]]
    compatible = camera_operation([dated], start_hour=12, camtrapr_compatible=True)
    assert compatible.days.tolist() == [[1, 1, 0]]
    compatible = camera_operation([timed], start_hour=12, camtrapr_compatible=True)
    assert compatible.days[0].tolist() == pytest.approx([1, 1, NAN], nan_ok=True)


def test_what_was_worked_before_the_first_day_began_is_lost_to_camtrapr() -> None:
    """Set up at six, days from noon: we begin a day earlier."""
    active = CameraPeriod("A", hours(6), hours(36))
    assert camera_operation([active], start_hour=12).days.tolist() == [[0.25, 1]]
    worked = camera_operation([active], start_hour=12, camtrapr_compatible=True)
    assert worked.first_day == START.date()
    assert worked.days[0].tolist() == pytest.approx([1, NAN], nan_ok=True)
