"""Camtrap DP packages: datapackage.json with deployments, media and observations, of version 1 and the drafts before it."""

import json
from bisect import bisect_left, bisect_right
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ctwatch.errors import ConfigError

from .annotation import Annotation, Labels
from .reading import (
    HUMAN,
    VEHICLE,
    Problems,
    Table,
    amount,
    cell,
    individuals,
    inside,
    is_image,
    moment,
    named_species,
    open_table,
)

PACKAGE = "datapackage.json"
RESOURCES = ("deployments", "media", "observations")
NEEDS = f"a Camtrap DP package: a folder with {PACKAGE} and its tables {', '.join(RESOURCES)}"

EventKey = tuple[str, str]
"""Deployment and eventID (sequenceID before version 1)."""
Said = tuple[tuple[str, ...], int | None]
"""Species and number of individuals of one observation."""


@dataclass(slots=True)
class _Answers:
    """What people said about one photograph or one event."""

    said: list[Said] = field(default_factory=list)
    undecided: bool = False


@dataclass(slots=True)
class _Media:
    """One photograph of the package."""

    path: Path
    deployment: str
    taken: datetime | None
    event: str | None
    answers: _Answers | None = None


@dataclass(slots=True)
class _Event:
    """One event that an observation speaks of."""

    start: datetime | None
    end: datetime | None
    answers: _Answers = field(default_factory=_Answers)


def read(path: Path, source: str, images: Path | None) -> Labels:
    """Return what people said in a Camtrap DP package, of its photographs and of its events.

    Observations with a mediaID are about that photograph; the others are about the media of their event: those with its
    sequenceID (drafts), those that share its eventID, and those of its deployment from eventStart to eventEnd. A
    photograph with an answer of its own does not get its event's. Observations with classificationMethod `machine` and
    of type unclassified (nobody looked) do not count. What a person calls unknown, or an animal without a name, leaves
    its photograph or event out. Nothing is fetched: media at web addresses are looked for as <images>/<fileName>.

    Args:
        path: The package's folder, or its datapackage.json.
        source: A name for it.
        images: The folder that filePath is relative to; else the package's own.

    Raises:
        ConfigError: A table is missing or leads out of the package; all problems are told at once.
    """
    folder = path if path.is_dir() else path.parent
    return _Reader(folder, images).read(source)


class _Reader:
    """Reads one package."""

    def __init__(self, folder: Path, images: Path | None) -> None:
        self._folder = folder
        self._images = images
        self._problems = Problems()
        self._notes: Counter[tuple[str, str]] = Counter()
        self._media: dict[str, _Media] = {}
        self._passed_over: set[str] = set()
        self._events: dict[EventKey, _Event] = {}

    def read(self, source: str) -> Labels:
        tables = _resources(self._folder)
        with open_table(tables["deployments"]) as table:
            locations = _locations(table)
        with open_table(tables["media"]) as table:
            self._read_media(table)
        with open_table(tables["observations"]) as table:
            self._read_observations(table)
        self._problems.tell()
        self._join_by_time()
        annotations = [annotation for media in self._media.values() for annotation in self._of(media, locations)]
        notes = tuple(f"{amount(number, noun)} {what}" for (noun, what), number in self._notes.items())
        return Labels(source, "camtrap_dp", annotations, notes)

    def _read_media(self, table: Table) -> None:
        columns = _columns(table, "mediaID", "deploymentID", "filePath")
        for line, cells in table.rows:
            key, deployment = cell(cells, columns["mediaID"]), cell(cells, columns["deploymentID"])
            file_path, name = cell(cells, columns["filePath"]), cell(cells, columns.get("fileName"))
            kind = cell(cells, columns.get("fileMediatype"))
            self._passed_over.add(key)
            if not (kind.startswith("image/") if kind else is_image(name or file_path)):
                self._notes["file", "passed over that are no images"] += 1
                continue
            if "://" in file_path:
                if self._images is None or not name:
                    self._notes[_REMOTE] += 1
                    continue
                file_path = name
            elif name and not is_image(file_path):
                file_path = f"{file_path}/{name}" if file_path else name  # drafts: filePath names the folder alone
            within = inside(file_path)
            if within is None or not key:
                fault = f"filePath {file_path!r} leads out of the package" if key else "mediaID is empty"
                self._problems.add(f"{table.path} line {line}: {fault}; correct it")
                continue
            if key in self._media:
                self._problems.add(f"{table.path} line {line}: mediaID {key!r} is there twice; leave one")
            path = (self._images or self._folder) / within
            event = cell(cells, columns.get("sequenceID")) or cell(cells, columns.get("eventID")) or None
            self._media[key] = _Media(path, deployment, moment(cell(cells, columns.get("timestamp"))), event)
        self._passed_over -= self._media.keys()

    def _read_observations(self, table: Table) -> None:
        columns = _columns(table, "deploymentID", "observationType")
        for line, cells in table.rows:
            if cell(cells, columns.get("classificationMethod")).lower() == "machine":
                self._notes["observation", "of a machine left out"] += 1
                continue
            if cell(cells, columns["observationType"]).lower() == "unclassified":
                named = ", though they name a species" if cell(cells, columns.get("scientificName")) else ""
                self._notes["observation", f"left out as unclassified{named}"] += 1
                continue
            key = cell(cells, columns.get("mediaID"))
            event = cell(cells, columns.get("eventID")) or cell(cells, columns.get("sequenceID"))
            if key:
                media = self._media.get(key)
                if media is None:
                    if key not in self._passed_over:
                        self._problems.add(f"{table.path} line {line}: mediaID {key!r} is no medium; correct it")
                    continue
                media.event = media.event or event or None
                media.answers = media.answers or _Answers()
                answers = media.answers
            else:
                answers = self._event(cells, columns, event).answers
            self._note(answers, cells, columns)

    def _event(self, cells: list[str], columns: dict[str, int], name: str) -> _Event:
        deployment = cell(cells, columns["deploymentID"])
        start = moment(cell(cells, columns.get("eventStart")) or cell(cells, columns.get("timestamp")))
        end = moment(cell(cells, columns.get("eventEnd"))) or start
        event = self._events.setdefault((deployment, name or f"from {start}"), _Event(start, end))
        if start is not None and event.start is not None and end is not None and event.end is not None:
            event.start, event.end = min(event.start, start, key=_instant), max(event.end, end, key=_instant)
        return event

    def _note(self, answers: _Answers, cells: list[str], columns: dict[str, int]) -> None:
        kind = cell(cells, columns["observationType"]).lower()
        name = cell(cells, columns.get("scientificName"))
        if kind == "blank":
            species: tuple[str, ...] = ()
        elif kind in (HUMAN, VEHICLE):
            species = (kind,)
        elif kind == "animal" and name:
            species = named_species(name)
        else:
            answers.undecided = True
            what = "an animal without a name" if kind == "animal" else kind or "of no type"
            self._notes["observation", f"left out as {what}"] += 1
            return
        count = individuals(cell(cells, columns.get("count"))) if species else None
        answers.said.append((species, count))

    def _join_by_time(self) -> None:
        """Give every photograph without an event the one of its deployment in whose time it was taken."""
        waiting: dict[str, list[_Media]] = {}
        for media in self._media.values():
            if media.event is None and media.taken is not None:
                waiting.setdefault(media.deployment, []).append(media)
        instants = {}
        for deployment, several in waiting.items():
            several.sort(key=lambda each: _instant(each.taken))
            instants[deployment] = [_instant(each.taken) for each in several]
        for (deployment, name), event in self._events.items():
            if event.start is None or deployment not in waiting:
                continue
            first = bisect_left(instants[deployment], _instant(event.start))
            last = bisect_right(instants[deployment], _instant(event.end))
            for media in waiting[deployment][first:last]:
                media.event = media.event or name

    def _of(self, media: _Media, locations: dict[str, str]) -> list[Annotation]:
        """Return the answers about one photograph: its own, else its event's."""
        event = self._events.get((media.deployment, media.event)) if media.event is not None else None
        own = media.answers is not None
        answers = media.answers or (event.answers if event is not None else None)
        if answers is None:
            self._notes["photograph", "left out without any answer of a person"] += 1
            return []
        if answers.undecided or not answers.said:
            self._notes["photograph", "left out that nobody could decide"] += 1
            return []
        location = locations.get(media.deployment, media.deployment) or None
        taken = None if media.taken is None else media.taken.replace(tzinfo=None)
        return [
            Annotation(media.path, species, location, media.event, taken, count, of_event=not own)
            for species, count in dict.fromkeys(answers.said)
        ]


_REMOTE = ("photograph", "left out at web addresses; fetch them into a folder and name it as `images`")


def _instant(taken: datetime | None) -> float:
    """Return a time as seconds for comparing; without a zone it counts as UTC."""
    if taken is None:
        return float("-inf")
    return (taken if taken.tzinfo else taken.replace(tzinfo=UTC)).timestamp()


def _resources(folder: Path) -> dict[str, Path]:
    """Return where the three tables of a package are; raises ConfigError if one is not in it."""
    description = folder / PACKAGE
    try:
        data = json.loads(description.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError([f"{description}: cannot be read as JSON ({error}); write the package again"]) from error
    listed = data.get("resources") if isinstance(data, dict) else None
    named: dict[Any, Any] = {
        each.get("name"): each.get("path")
        for each in (listed if isinstance(listed, list) else [])
        if isinstance(each, dict) and isinstance(each.get("name"), str)
    }
    problems = Problems()
    tables = {}
    for name in RESOURCES:
        path = named.get(name)
        if isinstance(path, list) and len(path) == 1:
            path = path[0]
        within = inside(path) if isinstance(path, str) else None
        if name not in named:
            problems.add(f"{description}: has no resource {name}; the trainer reads {NEEDS}")
        elif within is None or not (folder / within).resolve().is_relative_to(folder.resolve()):
            problems.add(f"{description}: resource {name} is at {path!r}, not at one path in the package; put it there")
        elif not within.lower().endswith((".csv", ".tsv", ".txt")):
            problems.add(f"{description}: resource {name} is {within}, no CSV; unpack it and correct the path")
        else:
            tables[name] = folder / within
    problems.tell()
    return tables


def _columns(table: Table, *needed: str) -> dict[str, int]:
    """Return the places of the columns by name; raises ConfigError if a needed one is missing."""
    columns = {name: place for place, name in reversed(list(enumerate(table.header)))}
    missing = [name for name in needed if name not in columns]
    if missing:
        raise ConfigError([f"{table.path}: has no column {', '.join(missing)}; Camtrap DP needs it"])
    return columns


def _locations(table: Table) -> dict[str, str]:
    """Return the location of every deployment: locationID, else locationName, else the deployment itself."""
    columns = _columns(table, "deploymentID")
    locations = {}
    for _, cells in table.rows:
        deployment = cell(cells, columns["deploymentID"])
        names = (cell(cells, columns.get(name)) for name in ("locationID", "locationName"))
        locations[deployment] = next(filter(None, names), deployment)
    return locations
