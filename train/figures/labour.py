"""What automatic labels save in people's work: the paper's linear estimate, with every constant a parameter."""

from dataclasses import asdict, dataclass
from typing import Any

from .measure import rounded

ESTIMATE = "estimate, linear extrapolation"


@dataclass(frozen=True, slots=True)
class Effort:
    """What is known of the work that volunteers did (Norouzzadeh et al. 2018), and what checking costs here."""

    reference_years: float = 14.6
    """Full-time years that the reference images took all volunteers together; a photograph was seen by many."""
    reference_images: float = 5.5e6
    weeks_per_year: float = 52.0
    hours_per_week: float = 40.0
    reviewed_share: float = 0.0
    """Of the automatic labels, the share that somebody looks at all the same, 0..1."""
    review_seconds: float = 2.0
    """For one of them."""

    def __post_init__(self) -> None:
        if min(self.reference_years, self.reference_images, self.weeks_per_year, self.hours_per_week) <= 0:
            raise ValueError("the reference effort must be positive")
        if not 0 <= self.reviewed_share <= 1 or self.review_seconds < 0:
            raise ValueError("a share of reviewed labels is 0..1, and seconds are not negative")


def labour(images: int, coverage: float, effort: Effort | None = None) -> dict[str, Any]:
    """Return the work that labelling a share of some images automatically saves.

    years = reference_years x images / reference_images x coverage, hours = years x weeks x hours a week: 3.2 million
    images at 96.9 % give 8.231 years and 17,121 hours (the paper: "over 8.2 years", "over 17,000 hours").

    Args:
        images: How many there are.
        coverage: Share of them that is labelled automatically, 0..1.
        effort: Constants; the paper's if None.

    Returns:
        `years` and `hours` saved, `review_hours` that checking automatic labels costs, `net_hours`, the
        `seconds_per_image` that the constants imply, the `constants` and a `note` that this is an estimate.

    Raises:
        ValueError: A number is out of its range.
    """
    known = effort or Effort()
    if images < 0 or not 0 <= coverage <= 1:
        raise ValueError(f"{images} images and a coverage of {coverage}: images are not negative, coverage is 0..1")
    year = known.weeks_per_year * known.hours_per_week
    years = known.reference_years * images / known.reference_images * coverage
    review = images * coverage * known.reviewed_share * known.review_seconds / 3600
    return {
        "note": ESTIMATE,
        "images": images,
        "coverage": rounded(coverage),
        "years": rounded(years, 3),
        "hours": rounded(years * year, 1),
        "review_hours": rounded(review, 1),
        "net_hours": rounded(years * year - review, 1),
        "seconds_per_image": rounded(known.reference_years * year * 3600 / known.reference_images, 2),
        "constants": asdict(known),
    }
