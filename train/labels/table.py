"""The trainer's own labels table: a CSV with path and label, and whatever else is known of each photograph."""

import difflib
from pathlib import Path

from ctwatch.errors import ConfigError

from .annotation import Annotation, Labels
from .reading import (
    SEPARATOR,
    Problems,
    Table,
    amount,
    cell,
    individuals,
    is_undecided,
    one_species,
    open_table,
    some,
    wall_clock,
)

COLUMNS = ("path", "label", "location", "event", "count", "annotator", "split", "captured_at")
REQUIRED = ("path", "label")
SPLITS = ("train", "validation", "test", "test_seen")
NEEDS = f"a labels table: a CSV with the columns path and label, and if wanted {', '.join(COLUMNS[2:])}"
_SEEN = frozenset({"train", "test_seen"})
"""Splits that one location may be in at once: test_seen holds other events of locations that are trained on."""

Where = tuple[str | None, str | None, str | None]
"""Location, event and split of a row."""


def is_whole(columns: frozenset[str]) -> bool:
    """Whether a table with these columns, in `plain` form, has all that a labels table needs."""
    return columns.issuperset(REQUIRED)


def fits(columns: frozenset[str]) -> bool:
    """Whether a table with these columns, in `plain` form, is one, if perhaps a faulty one."""
    return bool(columns & set(REQUIRED))


def read(path: Path, source: str, images: Path | None) -> Labels:
    """Return what a labels table says; paths in it are relative to `images`, else to the table.

    Several species on one photograph stand in one cell, separated by `|`, or in several rows. A location's rows must all
    name the same split, or none; train and test_seen may share locations, but no event.

    Raises:
        ConfigError: The table cannot be read or has problems; they are told all at once, with their lines.
    """
    with open_table(path) as table:
        return _Reader(table, path.parent if images is None else images).read(source)


class _Reader:
    """Reads one table, row by row."""

    def __init__(self, table: Table, base: Path) -> None:
        self._table = table
        self._base = base
        self._places = _columns(table)
        self._problems = Problems()
        self._annotations: list[Annotation] = []
        self._undecided: set[tuple[Path, str | None]] = set()
        self._undecided_names: set[str] = set()
        self._species: dict[str, tuple[str, ...] | None] = {}
        self._photographs: dict[str, tuple[Path, Where, int]] = {}

    def read(self, source: str) -> Labels:
        line = 0
        for line, cells in self._table.rows:
            self._row(line, cells)
        if not line:
            self._problems.add(f"{self._table.path}: has no rows; write one for every photograph")
        self._check_splits()
        self._problems.tell()
        kept = self._annotations
        notes = []
        if self._undecided:
            kept = [each for each in kept if (each.path, each.annotator) not in self._undecided]
            notes.append(
                f"{amount(len(self._undecided), 'answer')} left out that nobody could decide"
                f" ({some(self._undecided_names)})"
            )
        return Labels(source, "table", kept, tuple(notes))

    def _row(self, line: int, cells: list[str]) -> None:
        places = self._places
        if len(cells) > len(self._table.header):
            wide = f"has {len(cells)} cells for {len(self._table.header)} columns; quote cells that hold commas"
            self._problem(line, wide)
            return
        name, label = cell(cells, places["path"]), cell(cells, places["label"])
        if not name and not label and not any(each.strip() for each in cells):
            return
        if not name or "\0" in name:
            self._problem(line, "path is empty; name the photograph" if not name else "path holds a NUL; correct it")
            return
        if not label:
            self._problem(line, "label is empty; write blank for a photograph without an animal")
            return
        split = cell(cells, places.get("split")) or None
        if split is not None and split not in SPLITS:
            self._problem(line, f"split is {split!r}; write {', '.join(SPLITS)} or nothing")
            return
        where = (cell(cells, places.get("location")) or None, cell(cells, places.get("event")) or None, split)
        photograph = self._photograph(line, name, where)
        annotator = cell(cells, places.get("annotator")) or None
        species = self._species_of(line, label)
        if species is None:
            self._undecided.add((photograph, annotator))
            self._undecided_names.add(label)
            return
        number, taken = cell(cells, places.get("count")), cell(cells, places.get("captured_at"))
        count = individuals(number) if number else None
        captured_at = wall_clock(taken) if taken else None
        if number and count is None and species:
            self._problem(line, f"count is {number!r}; write a whole number from 1, 11-50 or 51+, or nothing")
        if taken and captured_at is None:
            self._problem(line, f"captured_at is {taken!r}; write it like 2026-05-01 14:03:20")
        self._annotations.append(
            Annotation(photograph, species, where[0], where[1], captured_at, count, annotator, split)
        )

    def _photograph(self, line: int, name: str, where: Where) -> Path:
        known = self._photographs.get(name)
        if known is None:
            path = self._base / name
            self._photographs[name] = (path, where, line)
            return path
        path, before, first = known
        for word, now, then in zip(("location", "event", "split"), where, before, strict=True):
            if now != then:
                said = f"{name} has {word} {now or 'nothing'} here and {then or 'nothing'} on line {first}"
                self._problem(line, f"{said}; write the same in both")
        return path

    def _species_of(self, line: int, label: str) -> tuple[str, ...] | None:
        """Return the species of a label, None if nobody could decide."""
        if label in self._species:
            return self._species[label]
        names = {name.strip() for name in label.split(SEPARATOR)}
        found = {species for name in names for species in one_species(name)}
        if "" in names or (found and len(found) < len(names)):
            fault = "an empty name" if "" in names else "blank and a species"
            self._problem(line, f"label {label!r} holds {fault}; leave what is to be seen")
        species = None if any(map(is_undecided, names)) else tuple(sorted(found))
        self._species[label] = species
        return species

    def _check_splits(self) -> None:
        events: dict[tuple[str | None, str], set[str | None]] = {}
        locations: dict[str, set[str | None]] = {}
        if "split" not in self._places:
            return
        for _, (location, event, split), _ in self._photographs.values():
            if event is not None:
                events.setdefault((location, event), set()).add(split)
            if location is not None:
                locations.setdefault(location, set()).add(split)
        for location, splits in sorted(locations.items()):
            if len(splits) > 1 and not splits <= _SEEN:
                self._two_splits(f"location {location!r}", splits, "give all its rows the same split, or none")
        for (location, event), splits in sorted(events.items(), key=str):
            if len(splits) > 1 and (location is None or locations[location] <= _SEEN):
                self._two_splits(f"event {event!r}", splits, "an event must not be torn apart")

    def _two_splits(self, what: str, splits: set[str | None], remedy: str) -> None:
        said = ", ".join(sorted(split or "none" for split in splits))
        self._problems.add(f"{self._table.path}: {what} is in two splits ({said}); {remedy}")

    def _problem(self, line: int, sentence: str) -> None:
        self._problems.add(f"{self._table.path} line {line}: {sentence}")


def _columns(table: Table) -> dict[str, int]:
    """Return the places of the columns; raises ConfigError with every column that is missing, twice there or unknown."""
    header = [name.lower() for name in table.header]
    unknown = [name for name in header if name not in COLUMNS]
    problems = []
    told: set[str] = set()
    for column in REQUIRED:
        if column not in header:
            meant = difflib.get_close_matches(column, unknown, 1, 0.5)
            remedy = f"rename `{meant[0]}` to it, or add it" if meant else "add it"
            told.update(meant)
            problems.append(f"{table.path}: has no column {column}; {remedy}. It needs {', '.join(REQUIRED)}")
    for name in dict.fromkeys(name for name in header if name not in told):
        if name in COLUMNS:
            if header.count(name) > 1:
                problems.append(f"{table.path}: column {name} is there twice; leave one")
            continue
        near = [each for each in difflib.get_close_matches(name, COLUMNS, 1) if each not in (*header, *REQUIRED)]
        remedy = f"rename it to {near[0]}, or drop it" if near else f"drop it (known are {', '.join(COLUMNS)})"
        problems.append(f"{table.path}: column {name!r} is not known; {remedy}")
    if problems:
        raise ConfigError(problems)
    return {name: place for place, name in enumerate(header)}
