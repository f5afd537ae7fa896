"""The words of ctwatch as frozen values: cards, media, deployments, models and decisions.

Names follow Camtrap DP 1.0.2 in snake_case. Times are the camera's own wall clock, without zone, unless a name says
otherwise. Nothing here reads a clock, a disk or a network.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any


class Failure(StrEnum):
    """Why a file could not be used as a photograph."""

    EMPTY_FILE = "empty_file"
    NOT_AN_IMAGE = "not_an_image"
    TRUNCATED = "truncated"
    UNREADABLE = "unreadable"
    TOO_LARGE = "too_large"
    NO_ACCESS = "no_access"
    CHANGED_WHILE_READING = "changed_while_reading"
    DECODER_CRASHED = "decoder_crashed"
    TOOK_TOO_LONG = "took_too_long"
    TOO_MUCH_MEMORY = "too_much_memory"
    QUARANTINED = "quarantined"
    """One of the three before, at an earlier time; not tried again."""


class Ignored(StrEnum):
    """Why a file of a card was counted but not looked into."""

    VIDEO = "video"
    NOT_MEDIA = "not_media"
    LINK = "link"
    SPECIAL = "special_file"


class FileStatus(StrEnum):
    """What became of one file of a card; every file has exactly one."""

    MEDIA = "media"
    DUPLICATE = "duplicate"
    IGNORED = "ignored"
    FAILED = "failed"


class CaptureMethod(StrEnum):
    """Camtrap DP captureMethod."""

    ACTIVITY_DETECTION = "activityDetection"
    TIME_LAPSE = "timeLapse"


class TimestampSource(StrEnum):
    """Where a timestamp came from, most trusted first; the ladder that `timeline` climbs down."""

    DATE_TIME_ORIGINAL = "DateTimeOriginal"
    DATE_TIME_DIGITIZED = "DateTimeDigitized"
    DATE_TIME = "DateTime"
    XMP = "XMP"
    FILE_NAME = "file_name"
    FILE_TIME = "file_time"


class ObservationType(StrEnum):
    """Camtrap DP observationType."""

    ANIMAL = "animal"
    HUMAN = "human"
    VEHICLE = "vehicle"
    BLANK = "blank"
    UNKNOWN = "unknown"
    UNCLASSIFIED = "unclassified"


class DeploymentSource(StrEnum):
    """How a file was mapped to its deployment."""

    TABLE = "deployments_table"
    SERIAL = "camera_serial"
    PATTERN = "folder_pattern"
    FOLDER = "folder_name"
    INBOX = "inbox_name"


class Task(StrEnum):
    """What a model decides."""

    EMPTY = "empty"
    SPECIES = "species"


BLANK = "blank"
"""The label of an empty-filter model for a frame without an animal."""


@dataclass(frozen=True, slots=True, order=True)
class FileStat:
    """One file of a card as a directory scan sees it; equality over two scans means that it did not change."""

    path: str
    """POSIX path below the card's root; undecodable bytes are kept as surrogates."""
    size: int
    mtime_ns: int
    ctime_ns: int = 0
    inode: int = 0
    ignored: Ignored | None = None


@dataclass(frozen=True, slots=True)
class CardSnapshot:
    """Everything that one scan saw of one dropped folder."""

    root: str
    """Absolute path of the card folder."""
    name: str
    """Folder name as the technician gave it."""
    inbox: str
    """Absolute path of the inbox that the card lies in."""
    files: tuple[FileStat, ...]
    """Sorted by path."""
    ready: bool = False
    """A file named READY (any case) is in it."""
    temporary: tuple[FileStat, ...] = ()
    """Files under the temporary names of copying programs, sorted by path; they are never read."""
    hollow: tuple[str, ...] = ()
    """Camera folders (100MEDIA) in which nothing lies yet, sorted."""
    loose: bool = False
    """Not a folder but the images that lie loose in the inbox."""

    @property
    def copying(self) -> bool:
        """Whether a temporary name of a copying program is in it."""
        return bool(self.temporary)


@dataclass(frozen=True, slots=True)
class CameraFacts:
    """What the camera wrote about itself and its trigger."""

    make: str | None = None
    model: str | None = None
    serial: str | None = None
    user_label: str | None = None
    trigger: str | None = None
    """The maker's code: M motion, T time-lapse, E external sensor, P point and shoot, C CodeLoc."""
    sequence_number: int | None = None
    """Frame n of `sequence_total`, from 1."""
    sequence_total: int | None = None
    event_number: int | None = None
    temperature_c: float | None = None


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A camera-clock time, where it came from and whether it can be used for grouping."""

    value: datetime | None
    source: TimestampSource | None
    trusted: bool
    issue: str | None = None
    """Why a better source was passed over or the value is not trusted."""


NO_TIMESTAMP = Timestamp(None, None, trusted=False, issue="no_timestamp")


@dataclass(frozen=True, slots=True)
class Media:
    """One photograph, identified by the hash of its bytes, without its pixels."""

    media_id: str
    file_path: str
    file_size: int
    file_mediatype: str
    timestamp: Timestamp
    capture_method: CaptureMethod = CaptureMethod.ACTIVITY_DETECTION
    camera: CameraFacts = CameraFacts()
    width: int | None = None
    height: int | None = None
    failure: Failure | None = None
    failure_detail: str | None = None

    @property
    def file_name(self) -> str:
        """The last part of the path."""
        return self.file_path.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A content that made a decoder crash, hang or take too much memory, and the file that brought it."""

    media_id: str
    card_name: str
    """Storable, like `file_path`."""
    file_path: str
    reason: str
    """`Failure.DECODER_CRASHED`, `TOOK_TOO_LONG` or `TOO_MUCH_MEMORY`."""
    detail: str | None


@dataclass(frozen=True, slots=True)
class Location:
    """A place that is sampled (camtrapR: station; unmarked: site); degrees WGS84."""

    location_id: str
    location_name: str | None = None
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True, slots=True, order=True)
class Outage:
    """A time within a deployment in which the camera did not work (camtrapR: Problem).

    Date-times are half open; with `is_date` both are midnights of days and both days belong to it (camtrapR).
    """

    start: datetime
    end: datetime
    is_date: bool = False
    note: str | None = None


@dataclass(frozen=True, slots=True, order=True)
class ClockPoint:
    """A moment that is known on both clocks: when the camera wrote `recorded`, it was really `actual`."""

    recorded: datetime
    actual: datetime


@dataclass(frozen=True, slots=True)
class ClockReference:
    """A photograph whose true time is known; becomes a `ClockPoint` once its recorded time is looked up."""

    file_name: str
    """Its name, or the end of its path on the card."""
    actual: datetime


@dataclass(frozen=True, slots=True)
class Deployment:
    """One camera at one location from setup to retrieval, in local time as the field sheet has it."""

    deployment_id: str
    location_id: str
    source: DeploymentSource
    camera_id: str | None = None
    camera_model: str | None = None
    deployment_start: datetime | None = None
    deployment_end: datetime | None = None
    start_is_date: bool = False
    """The table gave a date without a time: half a day counts (camtrapR)."""
    end_is_date: bool = False
    flag: str | None = None
    """Why somebody should look at this mapping; None if it needs no look."""
    session: str | None = None
    """Season or session (camtrapR), for multi-season models."""
    outages: tuple[Outage, ...] = ()
    clock: tuple[ClockPoint, ...] = ()
    """How wrong the clock was; none: right. One point shifts, several bend linearly between them."""
    clock_references: tuple[ClockReference, ...] = ()
    columns: tuple[tuple[str, str], ...] = ()
    """Further columns of the table, (name, text), not empty ones: Camtrap DP's under its names, the others are covariates."""


@dataclass(frozen=True, slots=True, order=True)
class Canvas:
    """What the decoder hands to a network: the whole frame, squashed to a size, strips removed.

    The frame's aspect is not kept (Norouzzadeh et al. 2018, SI: photographs are squashed to 256 x 256).
    """

    height: int
    width: int
    banner_top: float = 0.0
    """Fraction of the frame's height cut off at the top before resizing, 0 to 0.4."""
    banner_bottom: float = 0.0


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """All that happens to a frame before a network sees it; stored in the model file, used by trainer and daemon."""

    canvas: Canvas
    crop: tuple[int, int]
    """Centre crop (height, width) of the canvas."""
    mean: tuple[float, float, float]
    """Per channel, of values scaled to 0..1."""
    std: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a model file says about itself."""

    model_id: str
    """Content id of the file."""
    name: str
    task: Task
    architecture: str
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    temperature: float
    """Logits are divided by it before the softmax (temperature scaling)."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Per label, 0..1; for the empty filter `blank` is the probability from which a frame counts as blank."""
    quality: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    data_fingerprint: str = ""
    trained_at: str = ""
    notes: str = ""
    """What the model is for, in one or two sentences."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """A sampling period of whole days, half open: start <= t < end."""

    name: str
    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """Duration of the occasion."""
        return self.end - self.start
