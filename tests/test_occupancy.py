"""Effort and detection histories: their rules, one by one and against plain loops."""

import math
from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks import histories as benchmark
from ctwatch.occupancy import (
    CameraPeriod,
    DetectionHistory,
    Effort,
    FirstDay,
    Operation,
    Rules,
    camera_operation,
    detection_histories,
    detections,
    effort,
    multi_season,
    occasion_names,
    scaled,
)

quick = settings(deadline=None)
START = datetime(2024, 5, 1)
DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)
NAN = float("nan")
Seen = list[tuple[str, str, datetime]]


def hours(number: float) -> datetime:
    return START + timedelta(hours=number)


def us(*moments: datetime) -> NDArray[np.datetime64]:
    return np.array(moments, dtype="datetime64[us]")


periods = st.lists(
    st.builds(
        lambda place, begin, length: CameraPeriod(place, hours(begin / 4), hours((begin + length) / 4)),
        st.sampled_from(["S1", "S2", "S3"]),
        st.integers(0, 4 * 24 * 12),
        st.integers(0, 4 * 24 * 9),
    ),
    max_size=6,
)
sightings = st.lists(
    st.tuples(
        st.sampled_from(["S1", "S2", "S3", "elsewhere"]),
        st.sampled_from(["fox", "owl"]),
        st.one_of(st.integers(-40, 24 * 24), st.integers(-2, 24).map(lambda day: 24 * day)).map(hours),
    ),
    max_size=12,
)
rules_drawn = st.builds(
    Rules,
    occasion_days=st.integers(1, 9),
    first_day=st.one_of(st.sampled_from(FirstDay), st.integers(-3, 25).map(lambda day: START.date() + day * DAY)),
    buffer_days=st.sampled_from([0, 0, 1, 4]),
    minimum_active_days=st.sampled_from([None, None, 0.5, 2.0]),
    maximum_days=st.sampled_from([None, None, 1, 5, 12]),
    include_effort=st.booleans(),
    count=st.booleans(),
)


def histories(seen: Seen, surveyed: Effort, rules: Rules) -> dict[str, DetectionHistory]:
    """Histories of fox and owl by name."""
    found = detections([row[0] for row in seen], [row[1] for row in seen], us(*[row[2] for row in seen]))
    return {item.scientific_name: item for item in detection_histories(found, surveyed, rules, ["fox", "owl"])}


def history(places: list[str], times: NDArray[np.datetime64], surveyed: Effort, rules: Rules) -> DetectionHistory:
    return detection_histories(detections(places, ["fox"] * len(places), times), surveyed, rules, ["fox"])[0]


def plain_effort(worked: Operation, rules: Rules) -> dict[str, tuple[int, list[float]]]:
    """For each location the day on which its occasions begin and their camera-days, in plain loops."""
    used: dict[str, dict[int, float]] = {}
    for place, row in zip(worked.location_ids, worked.days.tolist(), strict=True):
        days = {number: value for number, value in enumerate(row) if not math.isnan(value)}
        begin = min(days) + rules.buffer_days
        if isinstance(rules.first_day, date):
            begin = max(begin, (rules.first_day - worked.first_day).days)
        end = max(days) + 1 if rules.maximum_days is None else begin + rules.maximum_days
        used[place] = {number: value for number, value in days.items() if begin <= number < end}
        if begin <= max(days):
            used[place].setdefault(begin, NAN)
    begins = [min(days) for days in used.values() if days]
    dated = isinstance(rules.first_day, date)
    origin = (rules.first_day - worked.first_day).days if dated else min(begins, default=0)
    own = {
        place: min(days, default=origin) if rules.first_day is FirstDay.LOCATION else origin
        for place, days in used.items()
    }
    length = max((max(days) + 1 - own[place] for place, days in used.items() if days), default=0)
    found = {}
    for place, days in used.items():
        cells = []
        for first in range(0, length, rules.occasion_days):
            values = [days.get(own[place] + first + n, NAN) for n in range(rules.occasion_days)]
            total = round(sum(value for value in values if not math.isnan(value)), 4)
            idle = [math.isnan(value) or value == 0 for value in values]
            if rules.minimum_active_days is not None:
                lacking = total < rules.minimum_active_days
            else:
                lacking = not rules.include_effort and any(idle)
            cells.append(NAN if all(idle) or lacking else total)
        found[place] = (own[place], cells)
    return found


@quick
@given(periods, rules_drawn)
def test_effort_is_the_sum_of_the_days_of_an_occasion(active: list[CameraPeriod], rules: Rules) -> None:
    """With every rule there is, as plain loops have it; occasions follow each other without a gap."""
    worked = camera_operation(active)
    surveyed = effort(worked, rules)
    assert surveyed.location_ids == worked.location_ids
    for row, (_, expected) in enumerate(plain_effort(worked, rules).values()):
        assert surveyed.camera_days[row].tolist() == pytest.approx(expected, abs=1e-3, nan_ok=True)
    for one, following in zip(surveyed.occasions, surveyed.occasions[1:], strict=False):
        assert one.end == following.start
        assert one.length == rules.occasion_days * DAY


@quick
@given(periods, sightings, rules_drawn)
def test_histories_are_the_records_of_each_cell(active: list[CameraPeriod], seen: Seen, rules: Rules) -> None:
    """Each detection is in its cell or dropped with a reason; NaN exactly where effort is NaN."""
    worked = camera_operation(active)
    surveyed = effort(worked, rules)
    plain = plain_effort(worked, rules)
    found = histories(seen, surveyed, rules)
    for name, item in found.items():
        assert np.array_equal(np.isnan(item.y), np.isnan(surveyed.camera_days))
        expected = np.where(np.isnan(surveyed.camera_days), NAN, 0.0)
        lost = 0
        for place, species, when in seen:
            if species != name:
                continue
            row = worked.location_ids.index(place) if place in worked.location_ids else None
            begin, end = surveyed.surveyed[row].tolist() if row is not None else (START, START)
            if row is None or not begin <= when < end:
                lost += 1
                continue
            day = (when.date() - worked.first_day).days
            cell = row, (day - plain[place][0]) // rules.occasion_days
            if np.isnan(expected[cell]):
                lost += 1
            else:
                expected[cell] += 1
        assert np.array_equal(item.y, expected if rules.count else np.minimum(expected, 1), equal_nan=True)
        assert item.dropped == lost == sum(item.dropped_because.values())


@quick
@given(periods, sightings, rules_drawn, st.randoms(use_true_random=False))
def test_the_order_of_detections_does_not_matter(
    active: list[CameraPeriod], seen: Seen, rules: Rules, random: object
) -> None:
    """They are counted, not read one after the other; neither does it matter which species are asked for together."""
    surveyed = effort(camera_operation(active), rules)
    mixed = list(seen)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    for compatible in (False, True):
        asked = replace(rules, camtrapr_compatible=compatible)
        one, other = histories(seen, surveyed, asked), histories(mixed, surveyed, asked)
        alone = histories([row for row in seen if row[1] == "fox"], surveyed, asked)
        for name in one:
            assert np.array_equal(one[name].y, other[name].y, equal_nan=True)
            assert one[name].dropped_because == other[name].dropped_because
        assert np.array_equal(one["fox"].y, alone["fox"].y, equal_nan=True)


@quick
@given(periods, sightings, sightings, rules_drawn)
def test_another_detection_never_lowers_a_history(
    active: list[CameraPeriod], seen: Seen, more: Seen, rules: Rules
) -> None:
    """And what is 1 is what was counted at least once."""
    surveyed = effort(camera_operation(active), rules)
    few, many = histories(seen, surveyed, rules), histories([*seen, *more], surveyed, rules)
    counted = histories(seen, surveyed, replace(rules, count=True))
    binary = histories(seen, surveyed, replace(rules, count=False))
    for name in few:
        assert (np.nan_to_num(many[name].y) >= np.nan_to_num(few[name].y)).all()
        assert np.array_equal(binary[name].y > 0, counted[name].y > 0)
        assert set(np.unique(np.nan_to_num(binary[name].y))) <= {0.0, 1.0}


@quick
@given(periods, st.integers(1, 9), st.sampled_from(FirstDay))
def test_no_camera_day_is_lost_in_occasions(active: list[CameraPeriod], length: int, first: FirstDay) -> None:
    """The occasions of a place add up to its days."""
    worked = camera_operation(active)
    surveyed = effort(worked, Rules(length, first))
    assert np.nansum(surveyed.camera_days, axis=1) == pytest.approx(np.nansum(worked.days, axis=1), abs=1e-3)


# --- the rules one by one ------------------------------------------------------------------------------------------

WEEKS = Rules()


def survey(days: int = 14, rules: Rules = WEEKS) -> Effort:
    items = [CameraPeriod("A", START, START + days * DAY), CameraPeriod("B", START, START + DAY)]
    return effort(camera_operation(items), rules)


def test_occasions_are_half_open() -> None:
    """A record at exactly midnight belongs to the day that begins; a microsecond earlier to the day that ends."""
    midnight = START + 7 * DAY
    for when, expected in ((midnight, [0, 1]), (midnight - MICROSECOND, [1, 0])):
        assert history(["A"], us(when), survey(), WEEKS).y[0].tolist() == expected


def test_a_place_without_detections_is_a_row_of_zeros() -> None:
    """Never seen is not the same as never surveyed."""
    y = history([], us(), survey(), WEEKS).y
    assert y[0].tolist() == [0, 0]
    assert y[1, 0] == 0
    assert np.isnan(y[1, 1])


def test_a_species_without_detections_is_zeros() -> None:
    """camtrapR refuses it; models want it."""
    found = detection_histories(detections(["A"], ["fox"], us(START)), survey(), WEEKS, ["lynx", "fox"])
    assert [item.scientific_name for item in found] == ["lynx", "fox"]
    assert [np.nansum(item.y) for item in found] == [0, 1]
    assert detection_histories(detections([], [], us()), survey(), WEEKS) == []


def test_detections_that_no_cell_takes_are_counted_with_the_reason() -> None:
    """Elsewhere, before, after, in the buffer, in a cell without effort and without a time."""
    rules = Rules(occasion_days=2, buffer_days=1)
    off = ((START + 2 * DAY, START + 5 * DAY),)
    surveyed = effort(camera_operation([CameraPeriod("A", START, START + 8 * DAY, outages=off)]), rules)
    assert surveyed.camera_days[0].tolist() == pytest.approx([1, NAN, 2, 1], nan_ok=True)
    times = us(START, START - DAY, START + 8 * DAY, hours(6), hours(24 * 3 + 1), START)
    times = np.append(times, np.datetime64("NaT", "us"))
    places = ["elsewhere", "A", "A", "A", "A", "A", "A"]
    assert history(places, times, surveyed, rules).dropped_because == {
        "unknown location": 1,
        "before first day": 1,
        "after last day": 1,
        "buffer": 2,
        "cell without effort": 1,
        "no time": 1,
    }


@pytest.mark.parametrize("first", FirstDay)
def test_a_place_takes_records_of_its_own_days_alone(first: FirstDay) -> None:
    """In a week of three days' work, the midnight after the third day is outside, and so is the one before the first."""
    mine, other = CameraPeriod("A", START + DAY, START + 4 * DAY), CameraPeriod("B", START, START + 9 * DAY)
    rules = Rules(first_day=first)
    surveyed = effort(camera_operation([mine, other]), rules)
    second = timedelta(seconds=1)
    for when, dropped in ((mine.start - second, 1), (mine.start, 0), (mine.end - second, 0), (mine.end, 1)):
        assert history(["A"], us(when), surveyed, rules).dropped == dropped


def test_an_occasion_of_days_without_work_was_not_surveyed() -> None:
    """A camera that stood there broken for a week has NaN and not 0 in it."""
    worked = Operation(("A",), START.date(), np.array([[1.0, 1.0, 0.0, 0.0, NAN, 0.5]]))
    assert effort(worked, Rules(occasion_days=2)).camera_days[0].tolist() == pytest.approx([2.0, NAN, 0.5], nan_ok=True)


def test_last_occasion_may_be_short() -> None:
    """Ten days are an occasion of seven and one of three."""
    surveyed = survey(10)
    assert [occasion.length.days for occasion in surveyed.occasions] == [7, 3]
    assert surveyed.camera_days[0].tolist() == [7, 3]


def test_without_effort_only_whole_occasions_stay() -> None:
    """Nobody could correct for the others; a least number of days says which are good enough."""
    assert survey(10, Rules(include_effort=False)).camera_days[0].tolist() == pytest.approx([7, NAN], nan_ok=True)
    assert survey(10, Rules(include_effort=False, minimum_active_days=3)).camera_days[0].tolist() == [7, 3]
    assert survey(10, Rules(minimum_active_days=3.5)).camera_days[0].tolist() == pytest.approx([7, NAN], nan_ok=True)


def test_a_date_for_the_first_day_leaves_out_what_was_before() -> None:
    """Occasions begin with it, even where no camera was there yet."""
    rules = Rules(first_day=(START + 5 * DAY).date())
    surveyed = survey(14, rules)
    assert surveyed.occasions[0].start == START + 5 * DAY
    assert surveyed.camera_days.tolist() == [[7, 2], pytest.approx([NAN, NAN], nan_ok=True)]
    assert history(["A"], us(START + 4 * DAY), surveyed, rules).dropped_because == {"before first day": 1}
    early = survey(14, Rules(first_day=(START - 5 * DAY).date()))
    assert early.camera_days[0].tolist() == [2, 7, 5]
    late = survey(14, Rules(first_day=(START + 99 * DAY).date()))
    assert late.camera_days.shape == (2, 0)


def test_a_maximum_that_ends_while_nothing_is_set_up_leaves_no_empty_occasions() -> None:
    """Nobody ever surveyed them."""
    items = [CameraPeriod("A", START, START + 2 * DAY), CameraPeriod("A", START + 20 * DAY, START + 22 * DAY)]
    surveyed = effort(camera_operation(items), Rules(occasion_days=1, maximum_days=10))
    assert surveyed.camera_days.tolist() == [[1, 1]]
    assert surveyed.last_day == date(2024, 5, 2)


def test_no_periods_is_an_empty_table() -> None:
    """A survey without effort has no rows, and detections are counted as dropped."""
    for first in (*FirstDay, START.date()):
        for compatible in (False, True):
            rules = Rules(first_day=first, camtrapr_compatible=compatible)
            surveyed = effort(camera_operation([]), rules)
            found = history(["A"], us(START), surveyed, rules)
            assert found.y.shape == (0, 0)
            assert found.dropped_because == {"unknown location": 1}


@pytest.mark.parametrize(
    ("rules", "name"),
    [
        (Rules(occasion_days=0), "occasion_days"),
        (Rules(buffer_days=-1), "buffer_days"),
        (Rules(maximum_days=0), "maximum_days"),
    ],
)
def test_rules_without_sense_are_refused(rules: Rules, name: str) -> None:
    """There is no occasion of less than a day."""
    with pytest.raises(ValueError, match=name):
        effort(camera_operation([]), rules)


def test_occasions_are_named_by_number_day_or_date() -> None:
    """As camtrapR names them."""
    surveyed = survey(10)
    assert occasion_names(surveyed, as_dates=False) == ("o1", "o2")
    assert occasion_names(surveyed, as_dates=True) == ("2024-05-01_2024-05-07", "2024-05-08_2024-05-10")
    relative = survey(10, Rules(first_day=FirstDay.LOCATION))
    assert occasion_names(relative, as_dates=True) == ("day1_day7", "day8_day10")
    noon = effort(camera_operation([CameraPeriod("A", hours(12), hours(252))], start_hour=12), WEEKS)
    assert occasion_names(noon, as_dates=True) == ("2024-05-01+12h_2024-05-08+12h", "2024-05-08+12h_2024-05-10")


def test_days_that_begin_at_noon_hold_a_night_together() -> None:
    """A fox before and after midnight is in one occasion of a day."""
    rules = Rules(occasion_days=1, count=True)
    surveyed = effort(camera_operation([CameraPeriod("A", hours(12), hours(60))], start_hour=12), rules)
    assert history(["A"] * 3, us(hours(23), hours(25), hours(36)), surveyed, rules).y.tolist() == [[2, 1]]


def test_scaled_effort_has_mean_0_and_deviation_1() -> None:
    """Over all cells with effort; NaN stays."""
    values = np.array([[1.0, 2.0, NAN], [3.0, 6.0, 3.0]])
    found, center, scale = scaled(values)
    assert center == 3.0
    assert scale == pytest.approx(math.sqrt(14 / 4))
    assert np.nanmean(found) == pytest.approx(0)
    assert np.nanstd(found, ddof=1) == pytest.approx(1)
    assert np.isnan(found[0, 2])
    with pytest.raises(ValueError, match="same"):
        scaled(np.full((2, 2), 7.0))


# --- sessions and cameras ------------------------------------------------------------------------------------------


def two_seasons() -> Effort:
    year = 365 * DAY
    items = [
        CameraPeriod("A", START, START + 4 * DAY, session="1"),
        CameraPeriod("B", START, START + 4 * DAY, session="1"),
        CameraPeriod("A", START + year, START + year + 4 * DAY, session="2"),
        CameraPeriod("C", START + year, START + year + 3 * DAY, session="2"),
    ]
    return effort(camera_operation(items), Rules(occasion_days=2, first_day=FirstDay.LOCATION))


RELATIVE = Rules(occasion_days=2, first_day=FirstDay.LOCATION)


def test_a_record_belongs_to_the_session_of_its_time() -> None:
    """Between them it is dropped; a session told with it is believed."""
    surveyed = two_seasons()
    assert surveyed.names == ("A__SESS_1", "A__SESS_2", "B__SESS_1", "C__SESS_2")
    times = us(START, START + 366 * DAY, START + 100 * DAY, START - DAY, START + 368 * DAY)
    found = history(["A"] * 5, times, surveyed, RELATIVE)
    assert found.y[:2].tolist() == [[1, 0], [1, 1]]
    assert found.dropped_because == {"before first day": 1, "after last day": 1}
    told = detections(["A", "A"], ["fox"] * 2, us(START, START + 365 * DAY), session=["1", "1"])
    found = detection_histories(told, surveyed, RELATIVE)[0]
    assert found.y[0].tolist() == [1, 0]
    assert found.dropped_because == {"after last day": 1}


sessioned = st.lists(
    st.builds(
        lambda place, session, begin, length: CameraPeriod(
            place, hours(begin + 24 * 100 * session), hours(begin + 24 * 100 * session + length), session=f"{session}"
        ),
        st.sampled_from(["S1", "S2", "S3"]),
        st.integers(1, 3),
        st.integers(0, 24 * 12),
        st.integers(1, 24 * 9),
    ),
    min_size=1,
    max_size=8,
)


@quick
@given(sessioned, rules_drawn.filter(lambda rules: isinstance(rules.first_day, FirstDay)))
def test_each_session_is_as_if_it_were_the_only_one(active: list[CameraPeriod], rules: Rules) -> None:
    """Its occasions begin with its own first day, and nothing of the time between sessions is in any."""
    surveyed = effort(camera_operation(active), rules)
    widths = []
    for session in {item.session for item in active}:
        alone = effort(camera_operation([item for item in active if item.session == session]), rules)
        rows = [row for row, name in enumerate(surveyed.sessions) if name == session]
        width = alone.camera_days.shape[1]
        widths.append(width)
        assert np.array_equal(surveyed.camera_days[rows][:, :width], alone.camera_days, equal_nan=True)
        assert np.isnan(surveyed.camera_days[rows][:, width:]).all()
        for column in ("origins", "surveyed", "opened"):
            used = alone.surveyed[:, 0] < alone.surveyed[:, 1]
            assert np.array_equal(getattr(surveyed, column)[rows][used], getattr(alone, column)[used])
    assert surveyed.camera_days.shape[1] == max(widths)


def test_o1_of_every_season_is_its_first_days() -> None:
    """B is set up a day later than A: its first cell is that of the season, and seasons are as wide as the longest."""
    items = [
        CameraPeriod("A", START, START + 4 * DAY, session="1"),
        CameraPeriod("B", START + DAY, START + 4 * DAY, session="1"),
        CameraPeriod("B", START + 300 * DAY, START + 306 * DAY, session="2"),
    ]
    rules = Rules(occasion_days=2)
    surveyed = effort(camera_operation(items), rules)
    assert surveyed.relative
    found = history(["B", "B", "A"], us(hours(30), hours(24 * 305), hours(24 * 100)), surveyed, rules)
    assert found.dropped_because == {"after last day": 1}
    laid = multi_season(surveyed, surveyed.camera_days, found.y)
    assert laid.values[0].tolist() == [
        pytest.approx([2, 2, NAN, NAN, NAN, NAN], nan_ok=True),
        pytest.approx([1, 2, NAN, 2, 2, 2], nan_ok=True),
    ]
    assert laid.values[1][1].tolist() == pytest.approx([1, 0, NAN, 0, 0, 1], nan_ok=True)


def test_camtrapr_runs_occasions_through_the_time_between_seasons() -> None:
    """They follow each other from the first day of the first; we begin again with each."""
    items = [CameraPeriod("A", START + n * 10 * DAY, START + (n * 10 + 2) * DAY, session=f"{n}") for n in (0, 1)]
    for compatible, expected in ((False, [[2], [2]]), (True, [[2, *[NAN] * 5], [*[NAN] * 5, 2]])):
        surveyed = effort(camera_operation(items), Rules(occasion_days=2, camtrapr_compatible=compatible))
        assert surveyed.camera_days.tolist() == [pytest.approx(row, nan_ok=True) for row in expected]


def test_a_record_of_no_session_is_in_no_row_of_one() -> None:
    """Also where no record names the session of the row."""
    surveyed = two_seasons()
    told = detections(["A", "A"], ["fox"] * 2, us(START, START + 365 * DAY), session=[None, "2"])
    found = detection_histories(told, surveyed, RELATIVE)[0]
    assert found.y[:2].tolist() == [[0, 0], [1, 0]]
    assert found.dropped == 1


def test_seasons_stand_side_by_side() -> None:
    """One row for each location, NaN in the season in which it was not surveyed."""
    surveyed = two_seasons()
    y = history(["A", "C"], us(START, START + 367 * DAY), surveyed, RELATIVE).y
    laid = multi_season(surveyed, y, surveyed.camera_days)
    assert laid.location_ids == ("A", "B", "C")
    assert laid.sessions == ("1", "2")
    assert laid.values[0].tolist() == [
        [1, 0, 0, 0],
        pytest.approx([0, 0, NAN, NAN], nan_ok=True),
        pytest.approx([NAN, NAN, 0, 1], nan_ok=True),
    ]
    assert laid.values[1][2].tolist() == pytest.approx([NAN, NAN, 2, 1], nan_ok=True)


def test_rows_of_cameras_take_records_by_the_name_of_the_row() -> None:
    """The location alone does not tell which camera."""
    worked = camera_operation(
        [CameraPeriod("A", START, START + DAY, camera) for camera in ("c1", "c2")], by_camera=True
    )
    surveyed = effort(worked, WEEKS)
    found = history(["A__CAM_c2", "A"], us(START, START), surveyed, WEEKS)
    assert found.y.tolist() == [[0], [1]]
    assert found.dropped_because == {"unknown location": 1}


# --- camtrapR's own ways -------------------------------------------------------------------------------------------


def test_camtrapr_puts_a_record_at_midnight_into_the_day_before() -> None:
    """Its occasions are closed on the right."""
    rules = Rules(camtrapr_compatible=True)
    surveyed = survey(14, rules)
    assert history(["A"], us(START + 7 * DAY), surveyed, rules).y[0].tolist() == [1, 0]


def test_camtrapr_shifts_all_records_of_a_species_for_one_at_the_first_midnight() -> None:
    """It takes them to have no times, and so one at midnight is of the day that begins after all; of the others it is not."""
    rules = Rules(camtrapr_compatible=True)
    surveyed = survey(14, rules)
    seen = [("A", "fox", START), ("A", "fox", START + 7 * DAY), ("A", "owl", START + 7 * DAY)]
    found = histories(seen, surveyed, rules)
    assert found["fox"].y[0].tolist() == [1, 1]
    assert found["owl"].y[0].tolist() == [1, 0]


def test_camtrapr_keeps_an_effort_of_0_for_occasions_of_one_day() -> None:
    """And NaN in the history."""
    rules = Rules(occasion_days=1, minimum_active_days=0.75, camtrapr_compatible=True)
    surveyed = effort(Operation(("A",), START.date(), np.array([[0.5, 0.0, 1.0]])), rules)
    assert surveyed.camera_days.tolist() == [[0.5, 0, 1]]
    found = history(["A"], us(hours(25)), surveyed, rules)
    assert found.y[0].tolist() == pytest.approx([0, NAN, 0], nan_ok=True)
    assert found.dropped_because == {"cell without effort": 1}


def test_camtrapr_counts_what_was_before_a_station_s_setup_if_the_first_day_is_a_date() -> None:
    """In an occasion that it was there for in part."""
    items = [CameraPeriod("A", START, START + 14 * DAY), CameraPeriod("B", START + 4 * DAY, START + 14 * DAY)]
    for compatible, dropped in ((True, 0), (False, 1)):
        rules = Rules(first_day=(START + DAY).date(), camtrapr_compatible=compatible)
        surveyed = effort(camera_operation(items), rules)
        assert history(["B"], us(hours(36)), surveyed, rules).dropped == dropped


def test_camtrapr_leaves_a_day_too_many_of_a_maximum() -> None:
    """The last column of all is not cut off where it alone should be."""
    items = [CameraPeriod("A", START, START + 5 * DAY)]
    for compatible, days in ((True, 5), (False, 4)):
        rules = Rules(occasion_days=1, first_day=FirstDay.LOCATION, maximum_days=4, camtrapr_compatible=compatible)
        assert np.nansum(effort(camera_operation(items), rules).camera_days) == days


def test_the_benchmark_compares_ways_that_agree() -> None:
    """One pass, a mask for each species and a plain loop give the same histories; it says how they compare."""
    figures = benchmark.measure(2000, 1)
    assert figures["observations"] == 2000
    assert float(figures["ratio"]) > 0
