"""Timelapse's ImageData.csv, of any template, and the one that ctwatch writes for a review in it: what people said."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ctwatch.domain import BLANK
from ctwatch.errors import ConfigError
from ctwatch.imports.reading import (
    HUMAN,
    SEPARATOR,
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
    open_table,
    our_id,
    plain,
    wall_clock,
)
from ctwatch.matching import united
from ctwatch.survey import Answer, ImportedFile, ImportedLabel

DIALECT = "timelapse"
_OURS = {"species", "reviewed", "mediaid", "machinespecies"}
_SPECIES = (
    "species", "scientificname", "speciesname", "commonname", "animal", "animals", "taxon", "taxa", "identification",
    "speciesid", "label",
)  # fmt: skip
"""Names of columns that hold what is to be seen, in `plain` form; each may be there several times, numbered."""
_COUNTS = ("count", "number", "numberofanimals", "numberofindividuals", "individuals", "quantity", "howmany", "total")
_FLAGS: Mapping[str, str] = {
    **dict.fromkeys(
        ("empty", "blank", "isempty", "isblank", "noanimal", "noanimals", "nothing", "noanimalpresent"), BLANK
    ),
    **dict.fromkeys(("human", "humans", "person", "people"), HUMAN),
    **dict.fromkeys(("vehicle", "vehicles"), VEHICLE),
}
"""Flags and counters that stand for a label."""
_DARK = ("dark", "toodark")
_PEOPLE = ("reviewedby", "identifiedby", "analyst", "observer", "reviewer", "technician", "initials")
_PLACES = (
    "deploymentid",
    "deployment",
    "stationid",
    "station",
    "siteid",
    "site",
    "locationid",
    "location",
    "rootfolder",
)
_NUMBERED = re.compile(r"(.*?[a-z])(\d{0,2})")


@dataclass(frozen=True, slots=True)
class _Columns:
    """Which columns say what, in `plain` form."""

    species: tuple[tuple[str, str], ...]
    """(species, its count or empty)."""
    flags: tuple[tuple[str, str], ...]
    """(flag or counter, label)."""
    dark: tuple[str, ...]


def fits(columns: Mapping[str, int]) -> bool:
    """Whether a table with these columns, in `plain` form, is Timelapse's."""
    return {"file", "relativepath"} <= columns.keys()


def read(path: Path, by: str | None = None, species_column: str | None = None) -> ImportedFile:
    """Return a label for each row of a table that names something.

    Our own table is told by its columns Reviewed, MediaID and MachineSpecies: only rows with Reviewed count, the others
    hold what the machine said. Of other templates the species are in a column Species, else in the one column with a
    usual name (ScientificName, Animal, Taxon ...), or in several numbered ones; `|` separates several in one cell, with
    their counts in the same order. Flags such as Empty, and counters such as People, are labels of their own. Rows
    without an answer, and those that are only flagged Dark, are left out and counted.

    A photograph may have several rows (Timelapse: Duplicate this record), one for each species; what one person says of
    it is united where labels are matched. The path is RelativePath and File; RootFolder, or a column of stations, sites or
    deployments, is the deployment.

    Args:
        path: The table.
        by: The person, for rows that name none.
        species_column: The column to take for the species, in any case.

    Raises:
        ConfigError: The table cannot be read, or its species column cannot be told.
    """
    notes = Notes()
    labels = []
    with open_table(path) as table:
        ours = table.columns.keys() >= _OURS and species_column is None
        columns = _columns_of(table, species_column)
        for line, row in table.cells(notes):
            try:
                name = f"{row['relativepath']}/{row['file']}" if row["file"] else ""
                photograph = file_path(name.lstrip("/\\"))
                if is_video(photograph):
                    notes.skip("films")
                    continue
                if ours and not is_true(row["reviewed"]):
                    notes.skip("rows that nobody reviewed")
                    continue
                answers = _answers(row, columns)
                if not answers and ours:
                    raise Unusable("is reviewed but names nothing; write a species, or blank")
            except Unusable as error:
                notes.problem(f"line {line}: {error}")
                continue
            if not answers:
                dark = any(is_true(row[column]) for column in columns.dark)
                notes.skip("rows flagged as dark" if dark else "rows without an answer")
                continue
            labels.append(
                ImportedLabel(
                    photograph,
                    answers,
                    True,
                    clean(row.first(*_PEOPLE)) or by,
                    line,
                    taken=wall_clock(row["datetime"]) or wall_clock(f"{row['date']} {row['time']}"),
                    media_id=our_id(row["mediaid"]),
                    deployment=clean(row.first(*_PLACES)) or None,
                )
            )
    return ImportedFile(DIALECT, tuple(labels), notes.problems, notes.skipped)


def _answers(row: Row, columns: _Columns) -> tuple[Answer, ...]:
    found: list[Answer] = []
    for species, count in columns.species:
        names = [labels_in(part) for part in row[species].split(SEPARATOR)]
        counts = row[count].split(SEPARATOR) if count else []
        if len(counts) != len(names):
            if len(counts) > 1 and any(map(str.strip, counts)):
                raise Unusable(f"has {len(counts)} counts for {len(names)} species; give one for each")
            # One number for several species belongs to none of them.
            counts = [""] * len(names)
        for several, text in zip(names, counts, strict=True):
            found += [Answer(name, None if name == BLANK else individuals(text.strip())) for name in several]
    for flag, label in columns.flags:
        if is_true(row[flag]):
            number = None if label == BLANK or not row[flag].isdigit() else individuals(row[flag])
            found.append(Answer(label, number))
    if any(answer.label == BLANK for answer in found) and any(answer.label != BLANK for answer in found):
        raise Unusable("says that nothing is there, and what is there; correct one")
    return united(found)


def _columns_of(table: Table, species_column: str | None) -> _Columns:
    """Find out which columns say what; raises ConfigError if the species cannot be told."""
    names = list(table.columns)
    flags = tuple((name, _FLAGS[name]) for name in names if name in _FLAGS)
    dark = tuple(name for name in names if name in _DARK)
    if species_column is not None:
        wanted = plain(species_column)
        if wanted not in table.columns:
            raise ConfigError([f"{table.path}: has no column {species_column!r}; its columns are {_listed(table)}"])
        species = [wanted]
    else:
        families = {name: _numbered(names, name) for name in _SPECIES}
        there = {name: several for name, several in families.items() if several}
        if "species" in there:
            species = there["species"]
        elif len(there) > 1 or not (there or flags):
            raise ConfigError(
                [
                    f"{table.path}: it cannot be told which column names the species; name it (species column) out of "
                    f"{_listed(table)}"
                ]
            )
        else:
            species = next(iter(there.values()), [])
    pairs = []
    for name in species:
        match = _NUMBERED.fullmatch(name)
        number = match[2] if match else ""
        counts = [f"{each}{number}" for each in _COUNTS] + [f"{name}{each}" for each in _COUNTS]
        pairs.append((name, next((each for each in counts if each in table.columns), "")))
    return _Columns(tuple(pairs), tuple(flag for flag in flags if flag[0] not in species), dark)


def _numbered(names: Sequence[str], wanted: str) -> list[str]:
    """Return the columns of this name, or of this name and a number, in the order of the table."""
    found = []
    for name in names:
        match = _NUMBERED.fullmatch(name)
        if match and match[1] == wanted:
            found.append(name)
    return found


def _listed(table: Table) -> str:
    names = [clean(name)[:60] for name in table.header[:40] if name]
    return ", ".join(names) + (" ..." if len(table.header) > 40 else "")
