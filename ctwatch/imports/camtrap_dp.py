"""Camtrap DP packages, 1.0 and the drafts before it: what people and machines said of photographs and of events."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ctwatch.domain import BLANK
from ctwatch.errors import ConfigError
from ctwatch.imports.packages import package_folder, table_paths
from ctwatch.imports.reading import (
    ANIMAL,
    HUMAN,
    MAX_LABEL,
    UNKNOWN,
    VEHICLE,
    Notes,
    Row,
    Table,
    Unusable,
    clean,
    file_path,
    individuals,
    is_true,
    is_video,
    labels_in,
    moment,
    open_table,
    our_id,
    share,
    utc,
    wall_clock,
)
from ctwatch.matching import united
from ctwatch.survey import Answer, Box, ImportedFile, ImportedLabel, Scope

DIALECT = "camtrap_dp"
_KINDS = {"blank": BLANK, "human": HUMAN, "vehicle": VEHICLE, "unknown": UNKNOWN, "animal": ANIMAL}
_EventKey = tuple[str, str]
"""Deployment and event."""
_MOST_PER_ROW = 50
_OVERLAPPING = (
    "observations: its events overlap so much that they cannot be told apart; correct eventStart and eventEnd"
)
"""Answers about events are passed on to their photographs: at most fifty for each row of the package."""


@dataclass(slots=True)
class _Media:
    """One photograph of the package."""

    path: str
    deployment: str
    taken: datetime | None
    instant: float | None
    media_id: str | None
    events: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Said:
    """What one author said of one photograph or event, over several rows."""

    line: int
    by_human: bool
    author: str | None
    at: datetime | None
    answers: list[Answer] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)


@dataclass(slots=True)
class _Event:
    """One event that an observation speaks of."""

    start: float | None = None
    end: float | None = None
    said: dict[tuple[object, ...], _Said] = field(default_factory=dict)


def read(path: Path, by: str | None = None) -> ImportedFile:
    """Return a label for each photograph and author, and for each photograph of an event that somebody spoke of.

    Observations of one photograph (those with a mediaID) are of scope media. The others speak of their event: each
    photograph of it has a label of scope event with the same answers and the same group. An event's photographs are
    those whose own observations name its eventID (in drafts those with its sequenceID), and those of its deployment from
    eventStart to eventEnd that no observation puts into another event.

    classificationMethod says whose the row is; an empty one counts as a person's. Rows of one author about one photograph
    or event are united, their counts added: adults and young have rows of their own. Not taken, but counted: unclassified
    rows, those of setting the camera up (cameraSetupType), films, rows of media that are no photographs here.

    `taken` is the wall clock that the package tells: its offset from UTC is dropped, not applied. A package whose times
    are in UTC (Z) while the camera's clock was not will not match by time, only by path, name or id. Events are joined by
    instants, with their offsets. `classified_at` is in UTC. Web addresses are not fetched: fileName is matched instead.

    Args:
        path: The package's folder, or its datapackage.json.
        by: The person or model, for rows that name none.

    Raises:
        ConfigError: A table is missing, cannot be read, lacks a column or leads out of the package.
    """
    tables = table_paths(package_folder(path), ("media", "observations"))
    return _Reader(by).read(tables["media"], tables["observations"])


class _Reader:
    """Reads one package."""

    def __init__(self, by: str | None) -> None:
        self._by = by
        self._notes = Notes()
        self._media: dict[str, _Media] = {}
        self._passed_over: set[str] = set()
        self._of_media: dict[tuple[object, ...], _Said] = {}
        self._events: dict[_EventKey, _Event] = {}
        self._rows = 0

    def read(self, media: Path, observations: Path) -> ImportedFile:
        with open_table(media) as table:
            self._read_media(table)
        with open_table(observations) as table:
            self._read_observations(table)
        labels = [*self._media_labels(), *self._event_labels()]
        labels.sort(key=lambda label: (label.line, label.file_path))
        return ImportedFile(DIALECT, tuple(labels), self._notes.problems, self._notes.skipped)

    def _read_media(self, table: Table) -> None:
        _need(table, "mediaID", "deploymentID", "filePath")
        for line, row in table.cells(self._notes):
            key = row["mediaid"]
            try:
                path = _path(row)
                if not key:
                    raise Unusable("has no mediaID")
                if key in self._media:
                    raise Unusable(f"has mediaID {clean(key)!r} a second time; the first is taken")
            except Unusable as error:
                self._notes.problem(f"media line {line}: {error}")
                continue
            kind = row["filemediatype"]
            if is_video(path) or (kind and not kind.startswith("image/")):
                self._passed_over.add(key)
                continue
            text = row["timestamp"]
            media = _Media(path, clean(row["deploymentid"]), wall_clock(text), _instant(text), our_id(key))
            if row["sequenceid"]:
                media.events.add(row["sequenceid"])
            self._media[key] = media

    def _read_observations(self, table: Table) -> None:
        _need(table, "deploymentID", "observationType")
        seen: set[str] = set()
        for line, row in table.cells(self._notes):
            self._rows += 1
            try:
                name = row["observationid"]
                if name and name in seen:
                    raise Unusable(f"has observationID {clean(name)!r} a second time; the first is taken")
                seen.add(name)
                if row["mediaid"]:
                    self._of_one_photograph(line, row)
                else:
                    self._of_one_event(line, row)
            except Unusable as error:
                self._notes.problem(f"observations line {line}: {error}")

    def _of_one_photograph(self, line: int, row: Row) -> None:
        key = row["mediaid"]
        media = self._media.get(key)
        if media is None:
            if key not in self._passed_over:
                raise Unusable(f"has mediaID {clean(key)!r}, which media does not list")
            self._notes.skip("observations of films and other files that are no photographs")
            return
        # Which event a photograph belongs to does not depend on what was seen.
        if row["eventid"]:
            media.events.add(row["eventid"])
        said = self._said(line, row, self._of_media, key)
        if said is not None and (box := _box(row)) is not None:
            said.boxes.append(box)

    def _of_one_event(self, line: int, row: Row) -> None:
        deployment = clean(row["deploymentid"])
        began = row["eventstart"] or row["timestamp"]
        start = _instant(began)
        end = _instant(row["eventend"])
        name = row["eventid"] or row["sequenceid"] or (f"from {began}" if began else "")
        if not name:
            raise Unusable("names no photograph, event or time")
        key = deployment, name
        event = self._events.get(key) or _Event()
        if self._said(line, row, event.said, name) is None:
            return
        self._events[key] = event
        if start is not None:
            last = start if end is None else max(start, end)
            event.start = start if event.start is None else min(event.start, start)
            event.end = last if event.end is None else max(event.end, last)

    def _said(self, line: int, row: Row, found: dict[tuple[object, ...], _Said], key: str) -> _Said | None:
        """Add what a row says to what its author said before; None where it is left out, which is counted."""
        setup = row["camerasetuptype"] or (row["camerasetup"] if is_true(row["camerasetup"]) else "")
        kind = row["observationtype"].lower()
        if setup:
            self._notes.skip("observations of setting up or calibrating the camera")
            return None
        if kind == "unclassified":
            named = ", though they name a species" if row["scientificname"] else ""
            self._notes.skip(f"observations that are unclassified{named}")
            return None
        if kind not in _KINDS:
            raise Unusable(f"has the observationType {clean(kind)[:40]!r}, which Camtrap DP does not know")
        method = row["classificationmethod"].lower()
        if method not in {"", "human", "machine"}:
            raise Unusable(f"has the classificationMethod {clean(method)[:40]!r}, which Camtrap DP does not know")
        machine = method == "machine"
        names = (labels_in(row["scientificname"]) or (ANIMAL,)) if kind == "animal" else (_KINDS[kind],)
        count = None if kind == "blank" else individuals(row["count"])
        sure = share(row.first("classificationprobability", "classificationconfidence")) if machine else None
        author = clean(row["classifiedby"]) or self._by
        at = utc(row["classificationtimestamp"])
        whose = (key, machine, author)
        said = found.get(whose)
        if said is None:
            said = found[whose] = _Said(line, not machine, author, at)
        said.at = max(filter(None, (said.at, at)), default=None)
        said.answers += [Answer(name, count, sure) for name in names]
        return said

    def _media_labels(self) -> Iterator[ImportedLabel]:
        for (key, *_), said in self._of_media.items():
            media = self._media[str(key)]
            yield _label(media, said, self._answers(said, media.path))

    def _event_labels(self) -> Iterator[ImportedLabel]:
        members = self._members()
        left = _MOST_PER_ROW * (self._rows + len(self._media))
        for (deployment, name), event in self._events.items():
            photographs = members.get((deployment, name), [])
            if not photographs:
                self._notes.skip("events without a photograph in the package")
            group = clean(f"{deployment}/{name}", 2 * MAX_LABEL)
            left -= len(photographs) * len(event.said)
            if left < 0:
                raise ConfigError([_OVERLAPPING])
            for said in event.said.values():
                answers = self._answers(said, f"event {clean(name)}")
                yield from (_label(media, said, answers, Scope.EVENT, group) for media in photographs)

    def _answers(self, said: _Said, what: str) -> tuple[Answer, ...]:
        if Answer(BLANK) in said.answers and any(answer.label != BLANK for answer in said.answers):
            self._notes.problem(
                f"observations line {said.line}: {what} is blank in one row and not in another; what was seen is taken"
            )
        return united(said.answers, add_counts=True)

    def _members(self) -> dict[_EventKey, list[_Media]]:
        """Return the photographs of each event, in the order of the media."""
        members: dict[_EventKey, list[_Media]] = {}
        waiting: dict[str, list[tuple[float, int, _Media]]] = {}
        for number, media in enumerate(self._media.values()):
            for name in media.events:
                members.setdefault((media.deployment, name), []).append(media)
            if not media.events and media.instant is not None:
                waiting.setdefault(media.deployment, []).append((media.instant, number, media))
        instants: dict[str, list[float]] = {}
        for deployment, several in waiting.items():
            several.sort(key=lambda each: each[:2])
            instants[deployment] = [each[0] for each in several]
        left = _MOST_PER_ROW * (self._rows + len(self._media))
        for (deployment, name), event in self._events.items():
            if event.start is None or event.end is None or deployment not in waiting:
                continue
            first = bisect_left(instants[deployment], event.start)
            last = bisect_right(instants[deployment], event.end)
            within = [media for _, _, media in waiting[deployment][first:last]]
            left -= len(within)
            if left < 0:
                raise ConfigError([_OVERLAPPING])
            members.setdefault((deployment, name), []).extend(within)
        return members


def _label(
    media: _Media, said: _Said, answers: tuple[Answer, ...], scope: Scope = Scope.MEDIA, group: str | None = None
) -> ImportedLabel:
    return ImportedLabel(
        media.path,
        answers,
        said.by_human,
        said.author,
        said.line,
        scope,
        group,
        said.at,
        media.taken,
        media.media_id,
        media.deployment or None,
        tuple(said.boxes),
    )


def _path(row: Row) -> str:
    """Return the path to match: filePath; for web addresses and drafts, whose filePath has no file, with fileName."""
    path, name = row["filepath"], row["filename"]
    if "://" in path:
        return file_path(name or path)
    if name and "." not in path.replace("\\", "/").rpartition("/")[2]:
        return file_path(f"{path}/{name}".lstrip("/"))  # a folder alone, as some programs write it
    return file_path(path or name)


def _box(row: Row) -> Box | None:
    """Return the box of an observation; None without one, or one that is not within the frame."""
    try:
        left, upper, width, height = (float(row[f"bbox{name}"]) for name in ("x", "y", "width", "height"))
    except ValueError:
        return None
    if not (0 <= left <= 1 and 0 <= upper <= 1 and 0 < width <= 1 and 0 < height <= 1):
        return None
    kind = row["observationtype"].lower()
    label = next(iter(labels_in(row["scientificname"])), ANIMAL) if kind == "animal" else _KINDS[kind]
    sure = share(row.first("classificationprobability", "classificationconfidence"))
    return Box(label, 1.0 if sure is None else sure, left, upper, width, height)


def _instant(text: str) -> float | None:
    """Return a time as seconds for comparing; without a zone it counts as UTC."""
    value = moment(text)
    try:
        return None if value is None else (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    except (OverflowError, ValueError):
        return None


def _need(table: Table, *names: str) -> None:
    missing = [name for name in names if name.lower() not in table.columns]
    if missing:
        raise ConfigError([f"{table.path}: has no column {', '.join(missing)}; Camtrap DP needs it"])
