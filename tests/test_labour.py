"""The paper's estimate of work saved, to the hour."""

import pytest
from ctwatch_train.figures.labour import ESTIMATE, Effort, labour
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(("coverage", "years", "hours"), [(0.969, 8.231, 17_121), (0.993, 8.435, 17_545)])
def test_the_papers_numbers(coverage: float, years: float, hours: float) -> None:
    result = labour(3_200_000, coverage)
    assert result["years"] == years
    assert round(result["hours"]) == hours
    assert result["net_hours"] == result["hours"]
    assert result["seconds_per_image"] == 19.88
    assert result["note"] == ESTIMATE == "estimate, linear extrapolation"


def test_checking_automatic_labels_costs_time() -> None:
    result = labour(3_600, 0.5, Effort(reviewed_share=0.1, review_seconds=20))
    assert result["review_hours"] == 1.0
    assert result["net_hours"] == pytest.approx(result["hours"] - 1.0)
    assert result["constants"]["reviewed_share"] == 0.1
    assert labour(1000, 1.0, Effort(reviewed_share=1.0, review_seconds=60))["net_hours"] < 0


def test_constants_are_parameters() -> None:
    own = Effort(reference_years=1, reference_images=1000, weeks_per_year=50, hours_per_week=30)
    result = labour(500, 0.5, own)
    assert (result["years"], result["hours"], result["seconds_per_image"]) == (0.25, 375.0, 5400.0)


@given(st.integers(0, 10**8), st.floats(0, 1))
def test_work_saved_is_linear(images: int, coverage: float) -> None:
    whole = labour(images, 1.0)
    part = labour(images, coverage)
    assert part["hours"] == pytest.approx(whole["hours"] * coverage, abs=0.2)
    assert labour(0, coverage)["years"] == 0


@pytest.mark.parametrize(("images", "coverage"), [(-1, 0.5), (1, 1.1), (1, -0.1)])
def test_impossible_work_is_refused(images: int, coverage: float) -> None:
    with pytest.raises(ValueError, match="coverage"):
        labour(images, coverage)


@pytest.mark.parametrize("wrong", [{"reference_images": 0}, {"hours_per_week": -1}])
def test_a_reference_of_nothing_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="positive"):
        Effort(**wrong)


@pytest.mark.parametrize("wrong", [{"reviewed_share": 1.5}, {"review_seconds": -1}])
def test_an_impossible_review_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="reviewed"):
        Effort(**wrong)
