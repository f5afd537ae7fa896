"""A survey as columns: what the database hands to exports and reports, and what importers hand to the database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ctwatch.domain import Deployment, Location

Texts = Sequence[str]
OptionalTexts = Sequence[str | None]


@dataclass(frozen=True, slots=True)
class SurveyDeployment:
    """A deployment, its place and what came from it."""

    deployment: Deployment
    location: Location
    first_media: datetime | None
    """First photograph with a time to trust, corrected."""
    last_media: datetime | None
    media_count: int
    cards: tuple[str, ...] = ()
    """Names of the cards whose photographs count for it."""


@dataclass(frozen=True, slots=True)
class MediaColumns:
    """Photographs, each once, N rows in the order of deployment, time (NaT last), card and file path."""

    media_id: Texts
    deployment_id: Texts
    event_id: OptionalTexts
    """None for time-lapse."""
    timestamp: NDArray[np.datetime64]
    """Corrected local time, datetime64[us]; NaT where there is none."""
    recorded: NDArray[np.datetime64]
    """As the camera wrote it."""
    trusted: NDArray[np.bool_]
    """Whether `timestamp` counts for grouping, effort and histories."""
    timestamp_issue: OptionalTexts
    capture_method: Texts
    """activityDetection or timeLapse."""
    card_name: Texts
    file_path: Texts
    """Below the card, forward slashes, text fit for any file."""
    source_path: OptionalTexts
    """Absolute; where the file lay when its card was processed."""
    file_mediatype: Texts
    width: Sequence[int | None]
    height: Sequence[int | None]
    failure: OptionalTexts
    """Why its picture could not be used; None if it could."""
    private: NDArray[np.bool_]
    """Somebody is on it, or on a photograph of its event: not for publication."""
    camera_make: OptionalTexts
    camera_model: OptionalTexts
    camera_serial: OptionalTexts
    sequence_number: Sequence[int | None]
    sequence_total: Sequence[int | None]
    temperature_c: NDArray[np.float64]
    """NaN where the camera did not say."""


@dataclass(frozen=True, slots=True)
class ObservationColumns:
    """What was decided, per event and per photograph, N rows in the order of deployment, level, start, event and name.

    Rows of level `event` do not overlap. Rows of level `media` are the same seen frame by frame; time-lapse frames have
    only these.
    """

    observation_id: Texts
    deployment_id: Texts
    event_id: OptionalTexts
    media_id: OptionalTexts
    """None for level event."""
    event_start: NDArray[np.datetime64]
    """Corrected local time, datetime64[us]; NaT without a time to trust."""
    event_end: NDArray[np.datetime64]
    level: Texts
    """event or media."""
    observation_type: Texts
    """animal, human, vehicle, blank, unknown or unclassified."""
    scientific_name: OptionalTexts
    """The label that was decided on; None for what is no animal, or an animal without a name."""
    count: Sequence[int | None]
    """Individuals, where a person counted."""
    classification_method: OptionalTexts
    """human or machine; None where nobody looked."""
    classified_by: OptionalTexts
    classification_timestamp: NDArray[np.datetime64]
    """UTC; NaT where it is not known."""
    probability: NDArray[np.float64]
    """Of what was decided, 0..1; NaN for people's."""
    needs_review: NDArray[np.bool_]
    review_reason: OptionalTexts
    machine_labels: Sequence[Sequence[str]]
    """What the machines decided of the same event or photograph, whoever decided in the end: names, or types without one."""
    machine_probabilities: Sequence[Sequence[float | None]]
    top_labels: Sequence[Sequence[str]]
    """The best labels of the ensemble, best first, at most five."""
    top_probabilities: Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True)
class EffortColumns:
    """Camera-days per location and day, rows in the order of location and day."""

    location_id: Texts
    day: NDArray[np.datetime64]
    """datetime64[D]"""
    camera_days: NDArray[np.float64]
    """Sum over cameras of the part of the day worked; 0: set up, not working."""
    assumed: NDArray[np.bool_]
    """From the first to the last photograph, for want of dates."""


@dataclass(frozen=True, slots=True)
class BoxColumns:
    """Boxes that an imported detector drew, N rows in the order of media and probability, fractions of the frame."""

    media_id: Texts
    label: Texts
    """animal, human, vehicle or a species."""
    probability: NDArray[np.float64]
    x: NDArray[np.float64]
    """Left edge, from the left."""
    y: NDArray[np.float64]
    """Upper edge, from the top."""
    width: NDArray[np.float64]
    height: NDArray[np.float64]
    classified_by: OptionalTexts


@dataclass(frozen=True, slots=True)
class FailedFile:
    """A file that could not be used."""

    card_name: str
    file_path: str
    reason: str
    detail: str | None


@dataclass(frozen=True, slots=True)
class Survey:
    """Everything that exports and reports draw on; camera-local times without zone."""

    deployments: tuple[SurveyDeployment, ...]
    """In the order of their ids, with those of the table that no photograph counts for."""
    media: MediaColumns
    observations: ObservationColumns
    effort: EffortColumns
    boxes: BoxColumns
    failed: tuple[FailedFile, ...]
    published_at: datetime | None
    """When this state was published, UTC."""
    ctwatch_version: str


@dataclass(frozen=True, slots=True)
class Taxon:
    """A label in full: what exchange formats want to know of a species; empty where it is not known."""

    scientific_name: str
    taxon_id: str = ""
    taxon_rank: str = ""
    kingdom: str = ""
    class_name: str = ""
    order: str = ""
    family: str = ""
    vernacular_name: str = ""


@dataclass(frozen=True, slots=True)
class Publication:
    """What exchange formats ask beside the rows."""

    title: str
    created_at: datetime
    """UTC, without zone."""
    description: str = ""
    contributors: tuple[str, ...] = ()
    """"Name <mail@example.org> (contact)"; mail and role may be missing."""
    sampling_design: str = "opportunistic"
    data_licence: str = ""
    media_licence: str = ""
    country: str = ""
    taxa: Mapping[str, Taxon] = field(default_factory=dict)
    """By label; labels that are not in it are taken as scientific names as they are."""
    coordinate_decimals: int = 6
    utc_offset: str = ""
    """+02:00; empty: not known."""
    event_gap_s: float = 60.0
    with_private: bool = False
    """Also what shows people; otherwise their photographs are left out, or marked not public where a format can."""


class Scope(StrEnum):
    """What a label speaks of."""

    MEDIA = "media"
    EVENT = "event"


@dataclass(frozen=True, slots=True)
class Box:
    """A box around something, fractions of the frame from the upper left."""

    label: str
    probability: float
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Answer:
    """One thing that a person or a machine said to be on a photograph or in an event.

    `label` is a species, or `blank`, `human`, `vehicle`, `animal` (one without a name), `unknown` (looked at, not
    decided).
    """

    label: str
    count: int | None = None
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class ImportedLabel:
    """What a file of another program says about one photograph, not yet matched to the photographs of the survey."""

    file_path: str
    """As the file names it, forward slashes; the end of it must match a photograph's card and path."""
    answers: tuple[Answer, ...]
    """All that is on it; never empty, blank is an answer."""
    by_human: bool
    classified_by: str | None
    """Person, or model with version."""
    line: int
    """Of the file, or place in its list from 1, for messages."""
    scope: Scope = Scope.MEDIA
    group: str | None = None
    """With `Scope.EVENT`: labels of one group speak of the same event."""
    classified_at: datetime | None = None
    taken: datetime | None = None
    """Camera-local time, where the file tells it: chooses between files of one name."""
    media_id: str | None = None
    """ctwatch's own id, where the file carries it back to us."""
    deployment: str | None = None
    """A deployment id or place that the file names."""
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class ImportedFile:
    """All labels of one file or package."""

    dialect: str
    labels: tuple[ImportedLabel, ...]
    problems: tuple[str, ...] = ()
    """Rows that say nothing usable, each a sentence with its line; the others are taken."""
    skipped: tuple[tuple[str, int], ...] = ()
    """Rows left out on purpose: (why, how many), such as files that were not processed."""
