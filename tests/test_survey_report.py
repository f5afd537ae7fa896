"""The tables of a survey: dates, days, cameras, species and events by location."""

from datetime import date, datetime, timedelta

import numpy as np

from ctwatch.occupancy import CameraPeriod, SurveyReport, camera_operation, survey_report

START = datetime(2024, 5, 1)
DAY = timedelta(days=1)
PERIODS = [
    CameraPeriod("A", START + DAY / 2, START + 4 * DAY, "c1", outages=((START + DAY, START + 2 * DAY),)),
    CameraPeriod("A", START + 4 * DAY, START + 6 * DAY, "c1"),
    CameraPeriod("B", START, START + 2 * DAY),
]
SEEN = [("A", "fox", 1), ("A", "fox", 3), ("A", "owl", 2), ("elsewhere", "fox", 1), ("A", "fox", None)]


def report(*, compatible: bool) -> SurveyReport:
    times = np.array(
        [np.datetime64("NaT") if n is None else START + n * DAY for _, _, n in SEEN], dtype="datetime64[us]"
    )
    worked = camera_operation(PERIODS)
    places, names = [row[0] for row in SEEN], [row[1] for row in SEEN]
    return survey_report(PERIODS, worked, places, names, times, camtrapr_compatible=compatible)


def test_dates_and_days_of_each_location() -> None:
    """Setup, retrieval, first and last record, cameras, days set up, worked and not, and the time worked."""
    dates = report(compatible=False).dates
    assert dates.location_id == ("A", "B")
    assert dates.setup == (date(2024, 5, 1), date(2024, 5, 1))
    assert dates.retrieval == (date(2024, 5, 7), date(2024, 5, 3))
    assert dates.first_record == (date(2024, 5, 2), None)
    assert dates.last_record == (date(2024, 5, 4), None)
    assert dates.n_cameras.tolist() == [1, 1]
    assert dates.calendar_days.tolist() == [6, 2]
    assert dates.calendar_days_active.tolist() == [5, 2]
    assert dates.calendar_days_inactive.tolist() == [1, 0]
    assert dates.trap_nights.tolist() == [4.5, 2]


def test_events_by_species_and_location() -> None:
    """With zeros or without; records of no location and of no time are said."""
    found = report(compatible=False)
    assert found.dropped == {"no time": 1, "unknown location": 1}
    assert found.events_by_species() == [("fox", 2, 1), ("owl", 1, 1)]
    assert found.events_by_location() == [("A", "fox", 2), ("A", "owl", 1)]
    assert found.events_by_location(with_zeros=True)[2:] == [("B", "fox", 0), ("B", "owl", 0)]
    assert found.species_by_location() == [("A", 2)]
    assert found.events.sum() + sum(found.dropped.values()) == len(SEEN)


def test_camtrapr_has_no_events_of_locations_without_records_and_counts_rows_as_cameras() -> None:
    """A station that saw nothing has dates and effort, and no row of zeros."""
    found = report(compatible=True)
    assert found.dates.location_id == ("A", "B")
    assert found.dates.last_record == (date(2024, 5, 4), None)
    assert found.dates.n_cameras.tolist() == [2, 1]
    assert found.location_ids == ("A",)
    assert found.events.tolist() == [[2, 1]]


def test_no_survey_is_empty_tables() -> None:
    """Without periods and records there are no rows."""
    found = survey_report([], camera_operation([]), [], [], np.empty(0, dtype="datetime64[us]"))
    assert found.location_ids == ()
    assert found.events_by_species() == []
    assert found.dates.trap_nights.tolist() == []
