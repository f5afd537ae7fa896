"""From a survey to histories: seasons told apart by what deployments say of the day."""

from datetime import date, datetime, timedelta

import numpy as np
from surveys import place, survey

from ctwatch.occupancy import Rules, multi_season
from ctwatch.survey_histories import histories_of, operation_of

NAN = float("nan")
DAY = timedelta(days=1)
FIRST, SECOND = date(2025, 5, 1), date(2026, 5, 8)


def season(location_id: str, first: date, days: int) -> list[dict[str, object]]:
    return [
        {"location_id": location_id, "day": first + n * DAY, "camera_days": 1.0, "assumed": False} for n in range(days)
    ]


def deployment(name: str, location_id: str, session: str | None, first: date, days: int) -> object:
    start = datetime.combine(first, datetime.min.time())
    return place(name, location_id, session=session, deployment_start=start, deployment_end=start + days * DAY)


TWO_SEASONS = survey(
    [
        deployment("a1", "A", "2025", FIRST, 5),
        deployment("a2", "A", "2026", SECOND, 3),
        deployment("b2", "B", "2026", SECOND + DAY, 4),
    ],
    observations=[
        {"observation_id": f"o{n}", "deployment_id": name, "scientific_name": "fox", "event_start": moment}
        for n, (name, moment) in enumerate(
            [("a1", datetime(2025, 5, 4, 9)), ("a2", datetime(2026, 5, 8, 9)), ("b2", datetime(2026, 5, 12, 9))]
        )
    ],
    effort=[*season("A", FIRST, 5), *season("A", SECOND, 3), *season("B", SECOND + DAY, 4)],
)


def test_every_season_begins_with_the_first_occasion() -> None:
    """And is as wide as the longest, so that seasons stand side by side."""
    found = histories_of(TWO_SEASONS, Rules(occasion_days=2))
    assert found.surveyed.names == ("A__SESS_2025", "A__SESS_2026", "B__SESS_2026")
    (fox,) = found.histories
    laid = multi_season(found.surveyed, found.surveyed.camera_days, fox.y)
    assert np.array_equal(laid.values[0], [[2, 2, 1, 2, 1, NAN], [NAN, NAN, NAN, 1, 2, 1]], equal_nan=True)
    assert np.array_equal(laid.values[1], [[0, 1, 0, 1, 0, NAN], [NAN, NAN, NAN, 0, 0, 1]], equal_nan=True)
    assert fox.dropped == 0


def test_a_day_that_two_sessions_share_is_of_the_one_that_begins() -> None:
    """Without sessions there is one row."""
    days = season("A", FIRST, 6)
    named = survey([deployment("a1", "A", "1", FIRST, 3), deployment("a2", "A", "2", FIRST + 3 * DAY, 3)], effort=days)
    worked = operation_of(named.effort, named.deployments)
    assert worked.sessions == ("1", "2")
    assert np.nansum(worked.days, axis=1).tolist() == [3, 3]
    assert operation_of(named.effort).sessions == (None,)


def test_no_effort_is_no_rows() -> None:
    """As before the first card."""
    found = histories_of(survey(), Rules())
    assert found.surveyed.names == found.histories == ()
    assert found.worked.days.shape == (0, 0)
