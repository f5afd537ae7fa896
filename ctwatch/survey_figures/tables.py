"""The tables that a survey is told with: frozen columns, each of one length, and how machines read them."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctwatch.activity import Accumulation

Counts = NDArray[np.int64]


class DayState(IntEnum):
    """What the cameras of a location did on a day."""

    NONE = 0
    """None was set up."""
    OUTAGE = 1
    """Set up, not working."""
    PARTIAL = 2
    """Part of the day: setup, retrieval or an outage."""
    WORKING = 3
    ASSUMED = 4
    """Taken to work, between first and last photograph, for want of dates."""


@dataclass(frozen=True, slots=True)
class Totals:
    """The survey in numbers."""

    first_day: date | None
    """First and last day with effort, else with a detection."""
    last_day: date | None
    deployments: int
    locations: int
    locations_surveyed: int
    """With more than zero camera-days."""
    camera_days: float
    days_not_working: int
    """Location-days on which cameras were set up and none worked."""
    photographs: int
    time_lapse: int
    """Of the photographs; they belong to no event."""
    private: int
    """Photographs with a person, or of an event with one."""
    events: int
    blank: int
    """Events without anything on them; the next five likewise."""
    animal: int
    human: int
    vehicle: int
    unknown: int
    unclassified: int
    to_review: int
    confirmed: int
    """Events that people decided."""
    species: int


@dataclass(frozen=True, slots=True)
class SpeciesTable:
    """Per species, most independent detections first."""

    scientific_name: tuple[str, ...]
    events: tuple[int, ...]
    independent: tuple[int, ...]
    """Independent detections on days with effort."""
    dropped: tuple[int, ...]
    """Independent detections with a time, on days without effort: in no rate."""
    locations: tuple[int, ...]
    """Surveyed locations with an independent detection."""
    naive_occupancy: tuple[float | None, ...]
    """These by all surveyed locations; detection is not accounted for."""
    occupancy_low: tuple[float | None, ...]
    """Lower end of its 95 % Wilson interval."""
    occupancy_high: tuple[float | None, ...]
    rai: tuple[float | None, ...]
    """Relative abundance index: independent detections per 100 camera-days."""
    first_day: tuple[date | None, ...]
    last_day: tuple[date | None, ...]
    confirmed: tuple[float, ...]
    """Share of its events that people decided, 0..1."""
    to_review: tuple[int, ...]
    """Of its events."""


@dataclass(frozen=True, slots=True)
class LocationTable:
    """Per location, in the order of their ids."""

    location_id: tuple[str, ...]
    location_name: tuple[str | None, ...]
    latitude: tuple[float | None, ...]
    longitude: tuple[float | None, ...]
    deployments: tuple[int, ...]
    first_day: tuple[date | None, ...]
    last_day: tuple[date | None, ...]
    camera_days: tuple[float, ...]
    days_not_working: tuple[int, ...]
    days_assumed: tuple[int, ...]
    photographs: tuple[int, ...]
    events: tuple[int, ...]
    blank: tuple[int, ...]
    species: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Calendar:
    """What the cameras of L locations did on D days."""

    location_ids: tuple[str, ...]
    first_day: date | None
    states: NDArray[np.uint8]
    """L x D of `DayState`."""


@dataclass(frozen=True, slots=True)
class DetectionTable:
    """Independent detections, L locations x S species."""

    location_ids: tuple[str, ...]
    scientific_names: tuple[str, ...]
    detections: Counts
    surveyed: NDArray[np.bool_]
    """Whether a location has camera-days, (L,)."""


@dataclass(frozen=True, slots=True)
class ActivityTable:
    """Per species, when of the day it was detected; in the order of the species table."""

    scientific_name: tuple[str, ...]
    n: tuple[int, ...]
    hours: tuple[tuple[float, ...], ...]
    """Hours from midnight of its independent detections, ascending."""
    density: tuple[tuple[float, ...] | None, ...]
    """Per hour, at 128 times evenly from midnight; None with fewer than `FEWEST_FOR_ACTIVITY` detections."""


@dataclass(frozen=True, slots=True)
class OverlapTable:
    """Coefficients of overlap, S x S, 1 on the diagonal, of the most detected species."""

    scientific_names: tuple[str, ...]
    n: tuple[int, ...]
    overlap: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class QualityTable:
    """What is wrong with the data and how often; what was looked for and not found has count 0."""

    topic: tuple[str, ...]
    what: tuple[str, ...]
    count: tuple[int, ...]
    of: tuple[int | None, ...]
    note: tuple[str, ...]
    """What it means for the figures, or what to do."""


@dataclass(frozen=True, slots=True)
class FlagTable:
    """Deployments that somebody should look at."""

    deployment_id: tuple[str, ...]
    flag: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReasonTable:
    """What waits for people, by reason; an event may have several."""

    reason: tuple[str, ...]
    events: tuple[int, ...]
    time_lapse: tuple[int, ...]
    """Time-lapse photographs, which belong to no event."""


@dataclass(frozen=True, slots=True)
class BacklogTable:
    """What waits for people, by deployment, most first."""

    deployment_id: tuple[str, ...]
    location_id: tuple[str, ...]
    to_review: tuple[int, ...]
    events: tuple[int, ...]
    """All of the deployment."""
    time_lapse: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SurveyFigures:
    """All that report and page tell."""

    totals: Totals
    species: SpeciesTable
    locations: LocationTable
    calendar: Calendar
    detections: DetectionTable
    activity: ActivityTable
    overlaps: OverlapTable
    accumulation: Accumulation
    """Over location-days with effort."""
    quality: QualityTable
    flagged: FlagTable
    reasons: ReasonTable
    backlog: BacklogTable
    models: tuple[str, ...]
    """What classified by machine."""
    independence_min: float
    published_at: datetime | None
    ctwatch_version: str


def rows(table: Any) -> Iterator[tuple[Any, ...]]:
    """Return the rows of a table of columns, in the order of its fields."""
    return zip(*(getattr(table, item.name) for item in fields(table)), strict=True)


def as_dict(value: Any) -> Any:
    """Return tables as dictionaries, lists, texts and numbers that JSON can hold; NaN becomes None."""
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: as_dict(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, np.ndarray):
        return as_dict(value.tolist())
    if isinstance(value, tuple | list):
        return [as_dict(item) for item in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def wilson(found: int, of: int) -> tuple[float, float] | None:
    """Return the 95 % Wilson interval of a share (Wilson 1927, JASA 22:209); None of nothing."""
    if not of:
        return None
    z, share = 1.959964, found / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * np.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return (0.0 if not found else float(middle - half)), (1.0 if found == of else float(middle + half))
