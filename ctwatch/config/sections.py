"""The options of config.toml, their defaults and their documentation, as frozen sections."""

import os
import re
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

# What the options turn into needs numpy, which commands that only read would wait for: imported where it is made.
if TYPE_CHECKING:
    from ctwatch.events import EventRule
    from ctwatch.occupancy import Rules

BUNDLED = "bundled"


def _option(
    default: Any,
    doc: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] | None = None,
) -> Any:
    """Declare an option: its default, its sentence in config.toml and what values it takes."""
    metadata = {"doc": doc, "minimum": minimum, "maximum": maximum, "choices": choices}
    if isinstance(default, list | tuple):
        return field(default_factory=lambda: tuple(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Where cards are dropped and when one counts as whole."""

    inboxes: tuple[str, ...] = _option(("inbox",), "Folders that cards are copied into; each folder in them is a card.")
    settle_s: float = _option(
        75.0,
        "A card is whole when nothing in it changed for this long; copies pause for up to a minute between files.",
        minimum=0,
        maximum=86400,
    )
    sweep_s: float = _option(300.0, "Look through the inboxes at least this often.", minimum=1, maximum=86400)
    observer: str = _option(
        "auto",
        "What wakes the daemon early: inotify, polling (network shares), or auto: inotify where it is to be had.",
        choices=("auto", "inotify", "polling"),
    )
    polling_s: float = _option(10.0, "How often a polling observer looks.", minimum=0.1, maximum=3600)
    retry_s: float = _option(
        600.0, "Try a card that could not be read again after this long.", minimum=1, maximum=86400
    )
    unfinished_s: float = _option(
        300.0,
        "A card on which a file is still open for writing, or a photograph has no end yet, must be quiet for this long; then"
        " its broken files count as broken.",
        minimum=0,
        maximum=86400,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """How files are read."""

    workers: int = _option(0, "Processes that read and decode; 0: one per core.", minimum=0, maximum=256)
    use_file_times: bool = _option(
        False, "Take a file's modification time where nothing better tells the time; every use is recorded."
    )
    longest_s: float = _option(
        60.0, "A photograph that takes longer to decode is put into quarantine.", minimum=1, maximum=3600
    )
    memory_gb: float = _option(
        2.0,
        "Memory that a process which decodes may take, GB; what needs more is put into quarantine.",
        minimum=0.5,
        maximum=1024,
    )
    earliest_year: int = _option(
        2001, "Times before this year are a clock that was never set.", minimum=1980, maximum=2100
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployments:
    """Which folder belongs to which deployment and location."""

    table: str = _option(
        "",
        "CSV with Camtrap DP's columns (deploymentID, locationID, deploymentStart ...; folder as an extra); empty: none.",
    )
    folder_pattern: str = _option(
        "",
        "Without a table: a regular expression for folder names, over one or two levels, with groups location, camera,"
        " date; empty: LOCATION[_CAMERA][_DATE].",
    )
    utc_offset: str = _option(
        "", "The cameras' fixed offset from UTC, written into exported times: +02:00; empty: not known."
    )

    def pattern(self) -> re.Pattern[str]:
        """The folder pattern, compiled."""
        from ctwatch.deployments import DEFAULT_PATTERN, compile_pattern

        return compile_pattern(self.folder_pattern or DEFAULT_PATTERN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """What a capture event is."""

    event_gap_s: float = _option(
        60.0, "A new event starts when the previous frame is more than this ago.", minimum=0, maximum=86400
    )
    mode: str = _option(
        "gap",
        "gap, or trigger: the camera's own sequence numbers where it wrote them.",
        choices=("gap", "trigger"),
    )
    event_cap_s: float = _option(0.0, "Split events that last longer than this; 0: never.", minimum=0, maximum=864000)

    def rule(self) -> "EventRule":
        """The rule as the core takes it."""
        from ctwatch.events import EventMode, EventRule

        return EventRule(self.event_gap_s, EventMode(self.mode), self.event_cap_s or None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """Which models look at the frames, and on what."""

    empty: str = _option(
        BUNDLED, "Folder of the empty-filter ensemble; bundled: the one that comes along; empty: none."
    )
    species: str = _option(
        "",
        "Folder of your species ensemble; empty: animals stay unnamed; bundled: the demo's, which knows drawn animals only.",
    )
    device: str = _option("auto", "auto (cuda, mps, cpu), or one by name: cpu, cuda, cuda:1, mps.")
    batch_size: int = _option(
        0,
        "Frames a network sees at once, halved by itself when memory runs out; 0: 16 on the processor, 128 elsewhere.",
        minimum=0,
        maximum=4096,
    )
    threads: int = _option(0, "Threads of the networks on the processor; 0: one per core.", minimum=0, maximum=1024)
    engine: str = _option(
        "auto",
        "What runs the networks: auto (on the processor OpenVINO where it is faster and agrees with PyTorch), eager"
        " (PyTorch, operation by operation), openvino.",
        choices=("auto", "eager", "openvino"),
    )
    precision: str = _option(
        "auto",
        "auto (bfloat16 where the machine has units for it and the probabilities stay within 0.03 of float32's), or"
        " float32.",
        choices=("auto", "float32"),
    )
    cache: str = _option(
        "",
        "Folder that keeps networks converted for this machine and which engine was the fastest; empty: the service's or"
        " the user's own folder for such things.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """What is sure, and what a person must see. Probabilities, 0 to 1."""

    averaging: str = _option(
        "logit",
        "Over the members of an ensemble: logit (mean of log probabilities; as right as prob in the bundled models'"
        " evaluation and better calibrated), prob (mean of probabilities), top5 (Norouzzadeh et al. 2018).",
        choices=("top5", "prob", "logit"),
    )
    event_pooling: str = _option(
        "logit",
        "Over the frames of an event: logit (the best in that evaluation), prob or top5.",
        choices=("top5", "prob", "logit"),
    )
    background: bool = _option(
        False,
        "Compare frames with their deployment's own background and count that as one more member of the empty filter,"
        " where the background repeats enough to tell; for dense series. Keeps a miniature of each photograph that is read"
        " while it is on (1.8 GB a million).",
    )
    blank_threshold: float = _option(
        0.0,
        "A frame is blank from this probability; 0: the models' own, set for their stated recall.",
        minimum=0,
        maximum=1,
    )
    sure_blank: float = _option(
        0.9, "A blank event goes to review if a frame's probability of blank is below this.", minimum=0, maximum=1
    )
    species_threshold: float = _option(
        0.65,
        "An event is named from this probability, unless the models bring one for the label.",
        minimum=0,
        maximum=1,
    )
    some_frame_threshold: float = _option(
        0.9, "A second species keeps its own observation if one frame reaches this.", minimum=0, maximum=1
    )
    imported_blank_threshold: float = _option(
        0.8,
        "With imported predictions a frame is blank from this probability: 0.8 is a MegaDetector confidence of 0.2.",
        minimum=0,
        maximum=1,
    )
    agreement: float = _option(
        0.5, "An event goes to review if fewer of the models than this share name its species.", minimum=0, maximum=1
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Where results live."""

    folder: str = _option(
        "data", "Folder of ctwatch.duckdb (the daemon's own), reports.duckdb (open this one) and results/."
    )
    busy_timeout_s: float = _option(
        60.0,
        "Wait this long for somebody who holds ctwatch.duckdb open; the daemon then tries again.",
        minimum=0,
        maximum=86400,
    )
    min_free_gb: float = _option(
        1.0,
        "Room to leave on the store's disk, GB: below it no card is begun until there is room again.",
        minimum=0,
        maximum=1000000,
    )
    backups: int = _option(
        7,
        "Daily copies of the database to keep in backups/; 0: none daily. Before a change of its schema one is always made.",
        minimum=0,
        maximum=3650,
    )
    publish_people: bool = _option(
        True, "Photographs of people are in reports.duckdb too, marked private; false: they are left out of it."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cards:
    """What becomes of a card's folder once it is in and published. Nothing is ever deleted without a verified copy."""

    receipt: str = _option(
        "card",
        "Where the receipt that says whether the SD card may be erased is put: card (ctwatch-receipt.txt in its folder; one"
        " is always kept in receipts/ of the store), store (there only), none.",
        choices=("card", "store", "none"),
    )
    after: str = _option(
        "leave", "leave it where it is, or archive: move it into the archive folder.", choices=("leave", "archive")
    )
    archive: str = _option("", "The archive folder; needed for after = archive, and outside of every inbox.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupancy:
    """Detection histories."""

    occasion_days: int = _option(7, "Days in a sampling occasion.", minimum=1, maximum=366)
    first_day: str = _option(
        "survey",
        "Where the first occasion begins: survey (the first active day of all, or of each session), location (each its"
        " own), or a date for"
        " all: 2026-05-01; what was before it is left out.",
    )
    buffer_days: int = _option(
        0,
        "Days left out after the first of each location, for animals that shun the new camera.",
        minimum=0,
        maximum=366,
    )
    minimum_active_days: float = _option(
        0.0, "An occasion with fewer camera-days is NA; 0: any effort counts.", minimum=0, maximum=366
    )
    maximum_days: int = _option(0, "Days used of each location; 0: all.", minimum=0, maximum=36600)
    include_effort: bool = _option(
        True, "False: an occasion with a day off, or short of days, is NA, for models without effort as a covariate."
    )
    count: bool = _option(False, "Histories hold numbers of independent detections instead of 1.")
    independence_min: int = _option(
        30,
        "Records of one species at one location count again after this many minutes; 0: every record.",
        minimum=0,
        maximum=525600,
    )
    independence_from: str = _option(
        "lastIndependentRecord",
        "Minutes since the last record that counted, or lastRecord: since the last of any kind (camtrapR"
        " deltaTimeComparedTo).",
        choices=("lastIndependentRecord", "lastRecord"),
    )
    camtrapr_compatible: bool = _option(
        False, "Follow camtrapR's quirks too, such as midnight belonging to the day before (docs/camtrapr.md)."
    )

    def rules(self) -> "Rules":
        """The rules as the core takes them."""
        from ctwatch.occupancy import FirstDay, Rules

        first = FirstDay(self.first_day) if self.first_day in set(FirstDay) else date.fromisoformat(self.first_day)
        return Rules(
            occasion_days=self.occasion_days,
            first_day=first,
            buffer_days=self.buffer_days,
            minimum_active_days=self.minimum_active_days or None,
            maximum_days=self.maximum_days or None,
            include_effort=self.include_effort,
            count=self.count,
            camtrapr_compatible=self.camtrapr_compatible,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What exchange formats ask about the survey as a whole."""

    title: str = _option("", "Title of the survey; empty: named after the folder of the configuration.")
    description: str = _option("", "What it is about, in a sentence or two.")
    contributors: tuple[str, ...] = _option(
        (), 'Who made it: "Name <mail@example.org> (contact)"; roles are those of Camtrap DP.'
    )
    sampling_design: str = _option(
        "opportunistic",
        "How locations were chosen (Camtrap DP samplingDesign).",
        choices=(
            "simpleRandom", "systematicRandom", "clusteredRandom", "experimental", "targeted", "opportunistic",
        ),
    )  # fmt: skip
    data_licence: str = _option("", "Licence of the tables: CC0-1.0, CC-BY-4.0 ...; empty: none stated.")
    media_licence: str = _option("", "Licence of the photographs; empty: none stated.")
    country: str = _option("", "Country code of the survey, ISO 3166-1 alpha-3 (Wildlife Insights); empty: not stated.")
    taxa: str = _option(
        "",
        "CSV with columns label, scientificName, and as you like taxonID, taxonRank, kingdom, class, order, family,"
        " vernacularName: full names for your models' labels; empty: labels are taken as they are.",
    )
    coordinate_decimals: int = _option(
        6,
        "Decimals of coordinates in Camtrap DP, GeoJSON and Wildlife Insights files; fewer than 6 hide places, and the"
        " uncertainty is stated.",
        minimum=0,
        maximum=6,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Every option; `base` is the folder that relative paths start from."""

    watch: Watch = Watch()
    read: Read = Read()
    deployments: Deployments = Deployments()
    events: Events = Events()
    models: Models = Models()
    decisions: Decisions = Decisions()
    store: Store = Store()
    cards: Cards = Cards()
    occupancy: Occupancy = Occupancy()
    project: Project = Project()
    base: Path = Path()

    def path(self, value: str) -> Path:
        """Return a path of the configuration, relative ones taken from the configuration file's folder."""
        return (self.base / os.path.expanduser(value)).absolute()

    @property
    def cache_folder(self) -> Path | None:
        """Where things are kept that can be made anew; None for a user without a home."""
        if self.models.cache:
            return self.path(self.models.cache)
        if service := os.environ.get("CACHE_DIRECTORY", "").split(os.pathsep)[0]:
            return Path(service)
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        return Path(home) / "ctwatch" if os.path.isabs(home) else None

    @property
    def inboxes(self) -> tuple[Path, ...]:
        """The inbox folders."""
        return tuple(self.path(inbox) for inbox in self.watch.inboxes)

    @property
    def store_folder(self) -> Path:
        """The folder of the database and the results."""
        return self.path(self.store.folder)
