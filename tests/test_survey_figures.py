"""The tables behind report and page: every number by hand on a survey small enough to count."""

import json
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from surveys import place, survey

from ctwatch.domain import ClockPoint
from ctwatch.survey import FailedFile, Survey
from ctwatch.survey_figures import FEWEST_FOR_ACTIVITY, figures
from ctwatch.survey_figures.frames import best_frames
from ctwatch.survey_figures.tables import DayState, as_dict, rows, wilson

START = datetime(2026, 5, 1, 10)
DAY = date(2026, 5, 1)


def seen(event: str, name: str | None, when: datetime | None, deployment: str = "D1", **more: Any) -> dict[str, Any]:
    return {"deployment_id": deployment, "event_id": event, "event_start": when, "scientific_name": name, **more}


def small() -> Survey:
    """Two locations, one with an outage; a fox twice within half an hour, a fox after the end, a blank, a person."""
    deployments = [
        place("D1", "A", latitude=1.5, longitude=30.25, media_count=3, deployment_start=START,
              deployment_end=START + timedelta(days=3)),
        place("D2", "B", media_count=1, flag="two serial numbers", clock=(ClockPoint(START, START),)),
        place("D3", "B", media_count=0),
    ]  # fmt: skip
    media = [
        {"deployment_id": "D1", "event_id": "e1", "timestamp": START, "recorded": START - timedelta(hours=25)},
        {"deployment_id": "D1", "event_id": "e2", "timestamp": START + timedelta(days=9)},
        {"deployment_id": "D1", "timestamp": START, "capture_method": "timeLapse"},
        {"deployment_id": "D2", "event_id": "e5", "timestamp": None, "trusted": False,
         "timestamp_issue": "DateTimeOriginal: 1970-01-01 00:00:00 is before 2001", "private": True},
    ]  # fmt: skip
    observations = [
        seen("e1", "fox", START),
        seen("e2", "fox", START + timedelta(minutes=20), needs_review=True, review_reason="low_confidence;members_disagree"),
        seen("e3", "fox", START + timedelta(days=9)),
        seen("e4", None, START + timedelta(days=1), observation_type="blank"),
        seen("e5", None, None, "D2", observation_type="human", classification_method="human"),
        seen("e6", "hare", START + timedelta(days=1), "D2", classification_method="human"),
        {"deployment_id": "D1", "media_id": f"{3:032x}", "level": "media", "scientific_name": "fox", "needs_review": True,
         "review_reason": "low_confidence"},
    ]  # fmt: skip
    effort = [
        {"location_id": "A", "day": DAY, "camera_days": 0.5},
        {"location_id": "A", "day": DAY + timedelta(days=1), "camera_days": 1.0},
        {"location_id": "A", "day": DAY + timedelta(days=2), "camera_days": 0.0},
        {"location_id": "B", "day": DAY + timedelta(days=1), "camera_days": 1.0, "assumed": True},
    ]
    failed = [FailedFile("CARD", "x.jpg", "empty_file", None)]
    return survey(deployments, media, observations, effort, failed=failed)


def test_totals_count_events_not_rows() -> None:
    """Time-lapse belongs to no event; an outage is a day without work."""
    totals = figures(small()).totals
    assert (totals.first_day, totals.last_day) == (DAY, DAY + timedelta(days=2))
    assert (totals.deployments, totals.locations, totals.locations_surveyed) == (3, 2, 2)
    assert (totals.camera_days, totals.days_not_working) == (2.5, 1)
    assert (totals.photographs, totals.time_lapse, totals.private) == (4, 1, 1)
    assert (totals.events, totals.blank, totals.animal, totals.human) == (6, 1, 4, 1)
    assert (totals.to_review, totals.confirmed, totals.species) == (1, 2, 2)


def test_rates_are_of_independent_detections_on_days_with_effort() -> None:
    """The second fox is too soon, the third after the end: one of 2.5 camera-days, at one of two locations."""
    fox, hare = rows(figures(small()).species)
    assert fox[:5] == ("fox", 3, 1, 1, 1)
    assert fox[5] == 0.5 and fox[6:8] == pytest.approx(wilson(1, 2)) and fox[8] == pytest.approx(40)
    assert fox[9:] == (DAY, DAY + timedelta(days=9), 0.0, 1)
    assert hare[0] == "hare" and hare[11] == 1.0
    assert [row[2] for row in rows(figures(small(), independence_min=20).species)] == [2, 1]


def test_locations_calendar_and_matrix_agree() -> None:
    """Each location has a row in all three, in the order of their ids."""
    found = figures(small())
    here = found.locations
    assert here.location_id == found.calendar.location_ids == found.detections.location_ids == ("A", "B")
    assert (here.camera_days, here.days_not_working, here.days_assumed) == ((1.5, 1.0), (1, 0), (0, 1))
    assert (here.deployments, here.photographs, here.events, here.blank, here.species) == (
        (1, 2),
        (3, 1),
        (4, 2),
        (1, 0),
        (1, 1),
    )
    assert (here.latitude, here.longitude) == ((1.5, None), (30.25, None))
    assert found.calendar.states.tolist() == [
        [DayState.PARTIAL, DayState.WORKING, DayState.OUTAGE],
        [DayState.NONE, DayState.ASSUMED, DayState.NONE],
    ]
    assert found.detections.detections.tolist() == [[1, 0], [0, 1]]
    assert found.accumulation.units[-1] == 3 and found.accumulation.observed == 2


def test_quality_counts_what_is_wrong_and_names_what_is_not() -> None:
    """What was looked for and not found has count 0."""
    found = {what: (count, of) for _, what, count, of, _ in rows(figures(small(), duplicate_files=7).quality)}
    assert found == {
        "files that failed: empty file": (1, None),
        "files whose bytes were in already": (7, None),
        "photographs of a clock before the earliest year allowed": (1, 4),
        "deployments with a corrected clock": (1, 3),
        "photographs whose time was corrected": (1, 4),
        "photographs before setup or after retrieval": (1, 4),
        "deployments to look at": (1, 3),
        "deployments without a photograph": (1, 3),
        "locations without coordinates": (1, 2),
        "locations whose effort is assumed": (1, 2),
        "location-days set up, not working": (1, 4),
        "detections on days without effort": (1, 4),
    }
    notes = dict(zip(figures(small()).quality.what, figures(small()).quality.note, strict=True))
    assert notes["deployments with a corrected clock"] == "off by up to 1 d 1 h"


def test_the_backlog_is_told_by_reason_and_by_deployment() -> None:
    """A time-lapse frame is no event."""
    found = figures(small())
    assert list(rows(found.reasons)) == [("low confidence", 1, 1), ("members disagree", 1, 0)]
    assert list(rows(found.backlog)) == [("D1", "A", 1, 4, 1)]
    assert list(rows(found.flagged)) == [("D2", "two serial numbers")]


def test_activity_needs_ten_detections_and_overlap_two_species() -> None:
    """Below that the times are told and no curve."""
    observations, effort = [], []
    for number in range(FEWEST_FOR_ACTIVITY):
        when = START + timedelta(days=number, minutes=7 * number)
        observations += [seen(f"f{number}", "fox", when), seen(f"h{number}", "hare", when + timedelta(hours=11))]
        effort.append({"location_id": "A", "day": when.date()})
    observations.append(seen("o", "owl", START))
    found = figures(survey([place("D1", "A")], [], observations, effort))
    assert found.activity.n == (10, 10, 1)
    assert found.activity.density[2] is None and found.activity.hours[2] == (10.0,)
    fox = found.activity.density[0]
    assert fox is not None and sum(fox) * 24 / len(fox) == pytest.approx(1)
    assert found.overlaps.scientific_names == ("fox", "hare")
    assert found.overlaps.overlap[0, 1] == found.overlaps.overlap[1, 0] < 0.2


def test_an_empty_survey_has_empty_tables() -> None:
    """No division by nothing anywhere."""
    found = figures(survey())
    assert found.totals.events == 0 and found.totals.first_day is None
    assert not found.species.scientific_name and not found.calendar.states.size
    assert found.accumulation.chao2 is None


def test_the_tables_are_json() -> None:
    """Also where there is nothing to divide by."""
    for each in (small(), survey()):
        told = json.loads(json.dumps(as_dict(figures(each)), allow_nan=False))
        assert set(told) >= {"totals", "species", "locations", "calendar", "activity", "accumulation", "quality"}
    assert as_dict(np.array([1.0, np.nan])) == [1.0, None]


@given(st.integers(0, 50), st.integers(0, 50))
def test_the_wilson_interval_holds_the_share(found: int, more: int) -> None:
    """And stays within 0 and 1."""
    if found + more == 0:
        assert wilson(0, 0) is None
        return
    low, high = wilson(found, found + more) or (2.0, -1.0)
    assert 0 <= low <= found / (found + more) <= high <= 1


def test_wilson_by_the_book() -> None:
    """5 of 10: 0.2366 to 0.7634 (R: prop.test without correction)."""
    assert wilson(5, 10) == pytest.approx((0.2365931, 0.7634069), abs=1e-6)


def frame(number: int, event: str | None = None, **more: Any) -> dict[str, Any]:
    return {"deployment_id": "D1", "event_id": event, "timestamp": START, "source_path": f"/card/{number}.jpg",
            "media_id": str(number), **more}  # fmt: skip


def test_the_best_frame_is_confirmed_before_sure_before_doubtful_and_never_private() -> None:
    """The most probable of what people confirmed first; private, broken and contradicted frames never."""
    media = [
        frame(1, "sure"), frame(2, "sure"), frame(3, "doubt"), frame(4, "human"), frame(5, "human"), 
        frame(6, "private", private=True),
        frame(7, "broken", failure="truncated"), frame(8, "other"), frame(9),
    ]  # fmt: skip
    level = {"level": "media", "deployment_id": "D1", "scientific_name": "fox"}
    observations = [
        seen("sure", "fox", START, probability=0.9), seen("doubt", "fox", START, probability=0.99, needs_review=True),
        seen("human", "fox", START, classification_method="human"), seen("private", "fox", START, probability=1.0),
        seen("broken", "fox", START, probability=1.0), seen("other", "hare", START, classification_method="human"),
        {**level, "event_id": "sure", "media_id": "1", "probability": 0.8},
        {**level, "event_id": "sure", "media_id": "2", "probability": 0.95},
        {**level, "event_id": "other", "media_id": "8", "probability": 1.0},
        {**level, "media_id": "9", "probability": 0.7},
    ]  # fmt: skip
    best = best_frames(survey([place("D1", "A")], media, observations))
    assert [item.media_id for item in best["fox"]] == ["4", "5", "2"]
    assert best["fox"][0].confirmed and best["fox"][0].probability is None
    assert [item.media_id for item in best["hare"]] == ["8"]
    without = best_frames(survey([place("D1", "A")], media[2:3], observations[1:2]))
    assert without["fox"][0].to_review
    assert best_frames(survey([place("D1", "A")], media[5:6], observations[3:4])) == {"fox": ()}
