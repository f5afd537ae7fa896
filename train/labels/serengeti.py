"""Snapshot Serengeti and Snapshot Safari: consensus, expert and raw classification tables, beside a table of images."""

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ctwatch.errors import ConfigError

from .annotation import Annotation, Labels
from .reading import (
    Problems,
    Table,
    amount,
    cell,
    header_of,
    individuals,
    inside,
    is_undecided,
    one_species,
    open_table,
    place_of,
    plain,
    share,
    some,
    wall_clock,
)

EVENT = ("captureeventid", "captureid")
SPECIES = ("species", "questionspecies")
_COUNT = ("count", "questioncountmedian", "speciescountmedian", "speciescount")
_CLASSIFICATION = ("classificationid", "classid")
_ANNOTATOR = ("userid", "userhash", "username", "user", "annotator")
_BLANKS = ("numblanks", "numberofblanks")
_EVENNESS = ("evenness", "pielousevennessindex", "pielouevenness")
_SUPPORT = ("pusersidentifiedthisspecies", "speciesfractionsupport", "fractionsupport")
_SITE = ("siteid", "site")
_WHEN = ("datetime",)
_DAY, _TIME = ("capturedatelocal",), ("capturetimelocal",)
_PATH = ("urlinfo", "imagepathrel", "path", "filename")
NEEDS = (
    "Snapshot Serengeti: a CSV with CaptureEventID and Species (consensus_data, gold_standard_data or the raw"
    " classifications), and beside it the table of images with CaptureEventID and URL_Info (all_images.csv)"
)


def fits(columns: frozenset[str]) -> bool:
    """Whether a table with these columns, in `plain` form, tells of capture events."""
    return bool(columns & set(EVENT)) and bool(columns & {*SPECIES, *_PATH})


def read(path: Path, source: str, images: Path | None) -> Labels:
    """Return what a Snapshot Serengeti table says, passed on to every photograph of each capture event.

    Three kinds are told apart by their columns, whatever their case. With ClassificationID or a user: raw
    classifications; each is an annotator of its own, as in the published plurality algorithm, and empty or `blank`
    species mean "nothing here". With NumBlanks, NumberOfBlanks: the published consensus, which leaves blank events out,
    so every event of the table of images that it does not name is blank (Swanson et al. 2015; so reads LILA's own
    conversion). Else: expert answers or a Snapshot Safari report; events that are not named are left out.

    Of raw classifications every one is given on one photograph of its event and every photograph gets at least one:
    they are answers about events, for `consensus` to settle.

    Args:
        path: The CSV.
        source: Its name.
        images: The folder of the photographs, or the table of images itself; else that table is looked for beside
            `path`, and its paths are relative to it.

    Raises:
        ConfigError: The table of images is not found, or a table cannot be read.
    """
    if not frozenset(map(plain, header_of(path))) & set(SPECIES):
        raise ConfigError([f"{path}: is the table of images; name the table with the species, which lies beside it"])
    inventory = images if images is not None and images.is_file() else _beside(path)
    base = inventory.parent if images is None or images == inventory else images
    events = _photographs(inventory, base)
    with open_table(path) as table:
        columns = table.columns()
        if place_of(columns, (*_CLASSIFICATION, *_ANNOTATOR)) is not None:
            return _raw(table, events, source)
        return _settled(table, events, source)


@dataclass(slots=True)
class _Event:
    """The photographs of a capture event, and what is known of it."""

    paths: list[Path]
    site: str | None
    named: bool = False
    undecided: bool = False
    given: int = 0
    """Answers that were handed out to its photographs."""


def _beside(path: Path) -> Path:
    """Return the one table of images in the folder of `path`."""
    found = []
    for name in sorted(os.listdir(path.parent)):
        other = path.parent / name
        if name.lower().endswith(".csv") and other != path:
            columns = frozenset(map(plain, header_of(other)))
            if columns & set(EVENT) and columns & set(_PATH) and not columns & set(SPECIES):
                found.append(other)
    if len(found) == 1:
        return found[0]
    if not found:
        raise ConfigError(
            [f"{path}: no table of images with CaptureEventID and URL_Info beside it; put all_images.csv there"]
        )
    raise ConfigError([f"{path}: several tables of images beside it ({some(map(str, found))}); name one as `images`"])


def _photographs(inventory: Path, base: Path) -> dict[str, _Event]:
    """Return the events of the table of images; a site is the second folder of SEASON/SITE/SITE_ROLL/FILE."""
    events: dict[str, _Event] = {}
    problems = Problems()
    with open_table(inventory) as table:
        columns = table.columns()
        at_event, at_path = place_of(columns, EVENT), place_of(columns, _PATH)
        if at_event is None or at_path is None:
            raise ConfigError([f"{inventory}: is no table of images: it needs CaptureEventID and URL_Info"])
        folder = str(base)
        for line, cells in table.rows:
            name = inside(cell(cells, at_path))
            if name is None:
                problems.add(
                    f"{inventory} line {line}: {cell(cells, at_path)!r} is no path within a folder; correct it"
                )
                continue
            key = cell(cells, at_event)
            event = events.get(key)
            if event is None:
                parts = name.split("/")
                event = events[key] = _Event([], parts[1] if len(parts) >= 4 else None)
            event.paths.append(Path(folder, name))
    problems.tell()
    return events


def _settled(table: Table, events: dict[str, _Event], source: str) -> Labels:
    """Read a table that has one row per event and species."""
    columns = table.columns()
    at_event, at_species, at_site = (place_of(columns, names) for names in (EVENT, SPECIES, _SITE))
    at_count, at_evenness, at_support = (place_of(columns, names) for names in (_COUNT, _EVENNESS, _SUPPORT))
    clock = tuple(place_of(columns, names) for names in (_WHEN, _DAY, _TIME))
    absent_are_blank = place_of(columns, _BLANKS) is not None
    annotations: list[Annotation] = []
    tally = _Tally()
    species: dict[str, tuple[str, ...]] = {}
    for _, cells in table.rows:
        key, name = cell(cells, at_event), cell(cells, at_species)
        event = tally.event(events, key)
        if event is None:
            continue
        if not name or is_undecided(name):
            tally.undecided(event, name)
            continue
        said = species.setdefault(name, one_species(name))
        absent_are_blank &= said != ()
        site = cell(cells, at_site) or event.site
        event.site = site
        about = (_taken(cells, clock), individuals(cell(cells, at_count)))
        sure = (share(cell(cells, at_support)), share(cell(cells, at_evenness)))
        annotations += [
            Annotation(path, said, site, key, *about, of_event=True, support=sure[0], evenness=sure[1])
            for path in event.paths
        ]
    notes = tally.notes()
    absent = [(key, event) for key, event in events.items() if not event.named]
    if absent and absent_are_blank:
        annotations += [
            Annotation(path, (), event.site, key, of_event=True) for key, event in absent for path in event.paths
        ]
        notes.append(f"{amount(len(absent), 'event')} taken as blank: the consensus does not name them")
    elif absent:
        notes.append(f"{amount(len(absent), 'event')} left out that the table does not name")
    return Labels(source, "serengeti", _decided(annotations, events, tally), tuple(notes))


def _raw(table: Table, events: dict[str, _Event], source: str) -> Labels:
    """Read a table that has one row per classification and species."""
    columns = table.columns()
    at_event, at_species, at_count = (place_of(columns, names) for names in (EVENT, SPECIES, _COUNT))
    at_annotator = place_of(columns, (*_CLASSIFICATION, *_ANNOTATOR))
    annotations: list[Annotation] = []
    last: dict[str, Annotation] = {}
    tally = _Tally()
    species: dict[str, tuple[str, ...]] = {"": ()}
    for _, cells in table.rows:
        key, name = cell(cells, at_event), cell(cells, at_species)
        event = tally.event(events, key)
        if event is None:
            continue
        if name and is_undecided(name):
            tally.undecided_rows += 1
            continue
        said = species[name] if name in species else species.setdefault(name, one_species(name))
        path = event.paths[event.given % len(event.paths)]
        event.given += 1
        count, annotator = individuals(cell(cells, at_count)), cell(cells, at_annotator) or None
        answer = Annotation(path, said, event.site, key, None, count, annotator, of_event=True)
        annotations.append(answer)
        last[key] = answer
    for key, answer in last.items():
        annotations += [
            Annotation(path, answer.species, answer.location, key, None, answer.count, answer.annotator, of_event=True)
            for path in events[key].paths[events[key].given :]
        ]
    notes = tally.notes()
    if absent := sum(not event.named for event in events.values()):
        notes.append(f"{amount(absent, 'event')} left out that nobody classified")
    return Labels(source, "serengeti", annotations, tuple(notes))


class _Tally:
    """What was passed over."""

    def __init__(self) -> None:
        self._without_images: set[str] = set()
        self.undecided_events = 0
        self.undecided_rows = 0

    def event(self, events: dict[str, _Event], key: str) -> _Event | None:
        """Return the event of a row, None if the table of images has no photographs of it."""
        event = events.get(key)
        if event is None:
            self._without_images.add(key)
        else:
            event.named = True
        return event

    def undecided(self, event: _Event, name: str) -> None:
        self.undecided_events += not event.undecided
        event.undecided = True

    def notes(self) -> list[str]:
        notes = []
        if self._without_images:
            number = amount(len(self._without_images), "event")
            notes.append(f"{number} left out that the table of images does not name")
        if self.undecided_events:
            notes.append(f"{amount(self.undecided_events, 'event')} left out that nobody could decide")
        if self.undecided_rows:
            notes.append(f"{amount(self.undecided_rows, 'answer')} left out of people who could not decide")
        return notes


def _taken(cells: list[str], clock: tuple[int | None, ...]) -> datetime | None:
    """Return an event's time, in one column or in two."""
    when, day, time = (cell(cells, place) for place in clock)
    return wall_clock(when or f"{day} {time}")


def _decided(annotations: list[Annotation], events: dict[str, _Event], tally: _Tally) -> list[Annotation]:
    """Leave out the events of which one row says that nobody knows."""
    if not tally.undecided_events:
        return annotations
    return [each for each in annotations if not events[each.event or ""].undecided]
