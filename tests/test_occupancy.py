"""Effort and detection histories: their rules, and camtrapR's own results cell for cell."""

import csv
import json
from collections import Counter
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from shared_data import SHARED, needs_shared

from ctwatch.occupancy import (
    ActivePeriod,
    Effort,
    FirstDay,
    Operation,
    detection_history,
    effort,
    operation,
    period,
)

quick = settings(deadline=None)
START = datetime(2024, 5, 1)
DAY = timedelta(days=1)
NAN = float("nan")
GOLDEN = SHARED / "golden" / "camtrapr"


def hours(number: float) -> datetime:
    return START + timedelta(hours=number)


def us(*moments: datetime) -> NDArray[np.datetime64]:
    return np.array(moments, dtype="datetime64[us]")


periods = st.lists(
    st.builds(
        lambda place, begin, length: ActivePeriod(place, hours(begin / 4), hours((begin + length) / 4)),
        st.sampled_from(["S1", "S2", "S3"]),
        st.integers(0, 4 * 24 * 12),
        st.integers(0, 4 * 24 * 9),
    ),
    max_size=6,
)
detections = st.lists(
    st.tuples(st.sampled_from(["S1", "S2", "S3", "elsewhere"]), st.integers(-40, 24 * 24).map(hours)), max_size=12
)


@quick
@given(periods)
def test_operation_is_the_hours_worked_each_day(active: list[ActivePeriod]) -> None:
    """Each cell is what all cameras of a place worked on that day in 24ths, NaN where none was set up."""
    worked = operation(active)
    useful = [item for item in active if item.end > item.start]
    assert worked.location_ids == tuple(sorted({item.location_id for item in useful}))
    for row, place in enumerate(worked.location_ids):
        for column in range(worked.days.shape[1]):
            day = datetime.combine(worked.first_day, datetime.min.time()) + column * DAY
            shares = [
                (min(item.end, day + DAY) - max(item.start, day)) / DAY
                for item in useful
                if item.location_id == place and item.start < day + DAY and item.end > day
            ]
            expected = sum(round(share, 4) for share in shares) if shares else NAN
            assert worked.days[row, column] == pytest.approx(expected, abs=1e-9, nan_ok=True)


@quick
@given(periods, detections, st.integers(1, 9), st.sampled_from(FirstDay))
def test_history_is_nan_exactly_where_nothing_worked(
    active: list[ActivePeriod], seen: list[tuple[str, datetime]], length: int, first: FirstDay
) -> None:
    """NaN where effort is NaN and nowhere else; every detection is in its cell or counted as dropped."""
    surveyed = effort(operation(active), length, first)
    history = detection_history("fox", [place for place, _ in seen], us(*[when for _, when in seen]), surveyed, length)
    assert np.array_equal(np.isnan(history.y), np.isnan(surveyed.camera_days))
    assert (surveyed.camera_days[~np.isnan(surveyed.camera_days)] > 0).all()
    expected = np.where(np.isnan(surveyed.camera_days), NAN, 0.0)
    dropped = 0
    for place, when in seen:
        mine = [item for item in active if item.location_id == place and item.end > item.start]
        days = [day for item in mine for day in (item.start.date(), (item.end - timedelta(microseconds=1)).date())]
        if not mine or not min(days) <= when.date() <= max(days):
            dropped += 1
            continue
        begin = min(days) if first is FirstDay.LOCATION else operation(active).first_day
        cell = surveyed.location_ids.index(place), (when.date() - begin).days // length
        if np.isnan(expected[cell]):
            dropped += 1
        else:
            expected[cell] = 1.0
    assert np.array_equal(history.y, expected, equal_nan=True)
    assert history.dropped == dropped


@quick
@given(periods, st.integers(1, 9), st.sampled_from(FirstDay))
def test_no_camera_day_is_lost_in_occasions(active: list[ActivePeriod], length: int, first: FirstDay) -> None:
    """The occasions of a place add up to its days; occasions follow each other without a gap."""
    worked = operation(active)
    surveyed = effort(worked, length, first)
    assert np.nansum(surveyed.camera_days, axis=1) == pytest.approx(np.nansum(worked.days, axis=1), abs=1e-3)
    for one, following in zip(surveyed.occasions, surveyed.occasions[1:], strict=False):
        assert one.end == following.start
        assert one.length == length * DAY


def survey(days: int = 14) -> Effort:
    return effort(operation([ActivePeriod("A", START, START + days * DAY), ActivePeriod("B", START, START + DAY)]), 7)


def test_occasions_are_half_open() -> None:
    """A record at exactly midnight belongs to the day that begins; a microsecond earlier to the day that ends."""
    midnight = START + 7 * DAY
    for when, expected in ((midnight, [0, 1]), (midnight - timedelta(microseconds=1), [1, 0])):
        assert detection_history("fox", ["A"], us(when), survey(), 7).y[0].tolist() == expected


def test_a_place_without_detections_is_a_row_of_zeros() -> None:
    """Never seen is not the same as never surveyed."""
    y = detection_history("fox", [], us(), survey(), 7).y
    assert y[0].tolist() == [0, 0]
    assert y[1, 0] == 0
    assert np.isnan(y[1, 1])


def test_detections_that_no_cell_takes_are_counted() -> None:
    """Elsewhere, before, after, where that camera was down already, and without a time: five dropped of six."""
    places = ["elsewhere", "A", "A", "B", "A", "A"]
    times = us(START, START - DAY, START + 14 * DAY, START + 2 * DAY, START)
    times = np.append(times, np.datetime64("NaT", "us"))
    history = detection_history("fox", places, times, survey(), 7)
    assert history.dropped == 5
    assert np.nansum(history.y) == 1


@pytest.mark.parametrize("first", FirstDay)
def test_a_place_takes_records_of_its_own_days_alone(first: FirstDay) -> None:
    """In a week of three days' work, the midnight after the third day is outside, and so is the one before the first."""
    mine, other = ActivePeriod("A", START + DAY, START + 4 * DAY), ActivePeriod("B", START, START + 9 * DAY)
    surveyed = effort(operation([mine, other]), 7, first)
    second = timedelta(seconds=1)
    for when, dropped in ((mine.start - second, 1), (mine.start, 0), (mine.end - second, 0), (mine.end, 1)):
        assert detection_history("fox", ["A"], us(when), surveyed, 7).dropped == dropped


def test_an_occasion_of_days_without_work_was_not_surveyed() -> None:
    """A camera that stood there broken for a week has NaN and not 0 in it."""
    worked = Operation(("A",), START.date(), np.array([[1.0, 1.0, 0.0, 0.0, NAN, 0.5]]))
    assert effort(worked, 2).camera_days[0].tolist() == pytest.approx([2.0, NAN, 0.5], nan_ok=True)


def test_last_occasion_may_be_short() -> None:
    """Ten days are an occasion of seven and one of three."""
    surveyed = survey(10)
    assert [occasion.length.days for occasion in surveyed.occasions] == [7, 3]
    assert surveyed.camera_days[0].tolist() == [7, 3]


def test_no_periods_is_an_empty_table() -> None:
    """A survey without effort has no rows, and detections are counted as dropped."""
    for first in FirstDay:
        surveyed = effort(operation([]), 7, first)
        history = detection_history("fox", ["A"], us(START), surveyed, 7)
        assert history.y.shape == (0, 0)
        assert history.dropped == 1


def test_occasions_of_no_days_are_refused() -> None:
    """There is no occasion of less than a day."""
    with pytest.raises(ValueError, match="occasion_days"):
        effort(operation([]), 0)


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
    assert np.nansum(operation([active]).days) == pytest.approx(worked)


def test_a_swapped_card_leaves_no_hole() -> None:
    """A retrieval and a set-up on one date are half a day each."""
    dates = [(START, START + 5 * DAY), (START + 5 * DAY, START + 9 * DAY)]
    days = operation([period("A", *span, start_is_date=True, end_is_date=True) for span in dates]).days
    assert days.tolist() == [[0.5, *[1.0] * 8, 0.5]]


# --- camtrapR's own results ---------------------------------------------------------------------------------------


def table(name: str) -> list[dict[str, str]]:
    with (GOLDEN / name).open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


@cache
def matrix(name: str) -> tuple[tuple[str, ...], tuple[str, ...], NDArray[np.float64]]:
    """Row names, column names and values of a matrix written by R."""
    with (GOLDEN / name).open(encoding="utf-8", newline="") as handle:
        header, *rows = csv.reader(handle)
    values = [[NAN if cell == "NA" else float(cell) for cell in row[1:]] for row in rows]
    return tuple(row[0] for row in rows), tuple(header[1:]), np.array(values)


def calls(function: str) -> list[dict[str, Any]]:
    if not GOLDEN.is_dir():
        return []
    return [call for call in json.loads((GOLDEN / "manifest.json").read_text("utf-8")) if call["fun"] == function]


def moment(text: str, layout: str) -> datetime:
    return datetime.strptime(text, {"dmy": "%d/%m/%Y", "ymd": "%Y-%m-%d", "ymd HMS": "%Y-%m-%d %H:%M:%S"}[layout])


def active_periods(row: dict[str, str], layout: str, *, problems: bool) -> list[ActivePeriod]:
    """A row of a camera-trap table; problems part it, whole days and both ends where they are dates."""
    is_date = "H" not in layout
    whole = period(
        row["Station"],
        moment(row["Setup_date"], layout),
        moment(row["Retrieval_date"], layout),
        start_is_date=is_date,
        end_is_date=is_date,
    )
    parts = [whole]
    for number in (1, 2):
        if problems and row.get(f"Problem{number}_from"):
            down = moment(row[f"Problem{number}_from"], layout)
            up = moment(row[f"Problem{number}_to"], layout) + (DAY if is_date else timedelta())
            parts = [
                piece
                for part in parts
                for piece in (
                    ActivePeriod(part.location_id, part.start, min(part.end, down)),
                    ActivePeriod(part.location_id, max(part.start, up), part.end),
                )
                if piece.end > piece.start
            ]
    return parts


@needs_shared
def test_operation_agrees_with_cameraoperation() -> None:
    """Every call with whole days from midnight: the same days in every cell; their 0 in an outage is our NaN."""
    agreed = Counter[str]()
    for call in calls("cameraOperation"):
        arguments = call["args"]
        by_station = not arguments.get("byCamera", False) and arguments.get("camerasIndependent", True)
        if (
            arguments.get("occasionStartTime")
            or "sessionCol" in arguments
            or not by_station
            or arguments.get("allCamsOn")
        ):
            agreed["inexpressible"] += 1
            continue
        rows = table(arguments["CTtable"])
        layout = arguments["dateFormat"]
        worked = operation(
            [part for row in rows for part in active_periods(row, layout, problems=arguments["hasProblems"])]
        )
        stations, days, expected = matrix(call["files"])
        assert worked.location_ids == stations
        assert worked.first_day == date.fromisoformat(days[0])
        ours = np.full(expected.shape, NAN)
        ours[:, : worked.days.shape[1]] = worked.days
        assert np.isnan(ours[np.isnan(expected)]).all(), call["id"]
        assert np.nan_to_num(ours) == pytest.approx(np.nan_to_num(expected), abs=1.01e-4), call["id"]
        if not arguments["hasProblems"]:
            assert np.array_equal(np.isnan(ours), np.isnan(expected)), call["id"]
        agreed["agree"] += 1
    assert agreed["agree"] == 9


def expressible(arguments: dict[str, Any]) -> bool:
    """Whether our functions have the arguments of a detectionHistory call."""
    return (
        arguments["includeEffort"]
        and not arguments["scaleEffort"]
        and arguments["day1"] in {"survey", "station"}
        and not arguments.get("occasionStartTime")
        and "start12" not in arguments["camOp"]
        and "camtrapsMS" not in arguments["camOp"]
        and not {"buffer", "minActiveDaysPerOccasion", "maxNumberDays"} & arguments.keys()
    )


def as_camtrapr_reads(places: list[str], times: NDArray[np.datetime64], surveyed: Effort) -> NDArray[np.datetime64]:
    """Move records at exactly midnight to the day before, as camtrapR does by its occasions (start, end].

    One at midnight of its first day makes it shift all records of the species behind midnight instead.
    """
    at_midnight = times == times.astype("datetime64[D]")
    origins = np.array([surveyed.origins[surveyed.location_ids.index(place)] for place in places])
    if not len(times) or (at_midnight & (times == origins)).any():
        return times
    return np.where(at_midnight, times - np.timedelta64(1, "s"), times)


@needs_shared
def test_histories_agree_with_detectionhistory() -> None:
    """Every call that we can express agrees in every cell, but for records at exactly midnight, which we put a day later.

    Effort: their 0 (days of one day without work) is our NaN; both are no survey in y.
    """
    count = Counter[str]()
    for call in calls("detectionHistory"):
        arguments = call["args"]
        if not expressible(arguments):
            count["inexpressible"] += 1
            continue
        stations, days, worked = matrix(arguments["camOp"])
        length = arguments["occasionLength"]
        first = FirstDay.SURVEY if arguments["day1"] == "survey" else FirstDay.LOCATION
        surveyed = effort(Operation(stations, date.fromisoformat(days[0]), worked), length, first)
        records = [row for row in table(arguments["recordTable"]) if row["Species"] == arguments["species"]]
        places = [row["Station"] for row in records]
        times = us(*[moment(row["DateTimeOriginal"], "ymd HMS") for row in records])
        rows, columns, expected_y = matrix(call["files"]["detection_history"])
        _, _, expected_effort = matrix(call["files"]["effort"])
        assert rows == surveyed.location_ids
        assert len(columns) == len(surveyed.occasions)
        expected_effort = np.where(expected_effort == 0, NAN, expected_effort)
        assert surveyed.camera_days == pytest.approx(expected_effort, abs=1.01e-4, nan_ok=True), call["id"]
        expected_y = np.minimum(expected_y, 1)  # a count is a detection
        history = detection_history(arguments["species"], places, times, surveyed, length)
        if np.array_equal(history.y, expected_y, equal_nan=True):
            count["agree"] += 1
            continue
        history = detection_history(
            arguments["species"], places, as_camtrapr_reads(places, times, surveyed), surveyed, length
        )
        assert np.array_equal(history.y, expected_y, equal_nan=True), call["id"]
        count["agree but for midnight"] += 1
    assert count["agree"] == 202
    assert count["agree but for midnight"] == 16


@needs_shared
def test_the_packaged_example_from_its_table() -> None:
    """Leopard cats of three stations, from set-up dates and a problem to weeks of each station's own."""
    rows = table("inputs/camtraps.csv")
    parts = [part for row in rows for part in active_periods(row, "dmy", problems=True)]
    surveyed = effort(operation(parts), 7, FirstDay.LOCATION)
    records = [row for row in table("inputs/recordTableSample.csv") if row["Species"] == "PBE"]
    times = us(*[moment(row["DateTimeOriginal"], "ymd HMS") for row in records])
    history = detection_history("PBE", [row["Station"] for row in records], times, surveyed, 7)
    assert np.array_equal(
        history.y,
        [[0, 0, 1, 1, 0, 1, 0], [1, 1, 0, 1, 0, 1, 0], [1, 1, 1, 0, 1, 0, NAN]],
        equal_nan=True,
    )
    assert surveyed.camera_days[0].tolist() == [6.5, 7, 7, 7, 7, 7, 0.5]
    assert surveyed.camera_days[1, -1] == 1.5
    assert surveyed.camera_days[2].tolist()[:6] == [6.5, 7, 7, 7, 7, 3]
    assert np.isnan(surveyed.camera_days[2, 6])
