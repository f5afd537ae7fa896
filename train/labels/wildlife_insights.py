"""A Wildlife Insights download: images.csv, with deployments.csv beside it for the names of places."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ctwatch.errors import ConfigError

from .annotation import Annotation, Labels
from .reading import (
    HUMAN,
    Problems,
    amount,
    cell,
    individuals,
    inside,
    is_undecided,
    named_species,
    one_species,
    open_table,
    plain,
    wall_clock,
)

RANKS = ("genus", "family", "order", "class")
NEEDS = "Wildlife Insights: images.csv with deployment_id, filename (or location), genus and species"
_PLACEHOLDERS = frozenset({"spp.", "spp", "sp.", "sp", "unknown", "na", "n/a"})
"""Written where a species or genus is not known."""
_MACHINE = "computer vision"
_YES = frozenset({"1", "true", "yes", "t"})


def fits(columns: frozenset[str]) -> bool:
    """Whether a table with these columns, in `plain` form, is a download's images.csv."""
    return {"deploymentid", "genus", "species"} <= columns and bool(columns & {"filename", "location", "imageid"})


def read(path: Path, source: str, images: Path | None) -> Labels:
    """Return what people said in a Wildlife Insights download; several rows of one photograph are several species.

    A photograph is looked for as <folder>/<deployment_id>/<filename> if there is a folder of the deployment's name, else
    as <folder>/<filename>; the folder is `images`, else that of the table. The label is `genus species`, else the lowest
    rank that is given, else the common name. The location is the deployment's placename. Rows of the site's own
    classifier ("Computer vision") are left out. A column sequence_id, where there is one, gives the event.

    Raises:
        ConfigError: A table cannot be read, or names no photographs; all problems are told at once.
    """
    return _Reader(path, path.parent if images is None else images).read(source)


class _Reader:
    """Reads one images.csv."""

    def __init__(self, path: Path, base: Path) -> None:
        self._path = path
        self._base = base
        self._folders: dict[str, Path] = {}
        self._places = _placenames(path)
        self._no_place: set[str] = set()

    def read(self, source: str) -> Labels:
        problems = Problems()
        annotations: list[Annotation] = []
        undecided: set[Path] = set()
        with open_table(self._path) as table:
            columns = table.columns()
            machine, given = 0, Counter[str]()
            for line, cells in table.rows:
                row = _Row(columns, cells)
                deployment = row["deploymentid"]
                name = inside(row["filename"] or row["location"].rsplit("/", 1)[-1])
                if name is None or inside(deployment) is None:
                    problems.add(f"{self._path} line {line}: names no file or no deployment; complete it")
                    continue
                photograph = self._folder(deployment) / name
                if row["identifiedby"].lower() == _MACHINE:
                    machine += 1
                    continue
                label, rank = _label(row)
                if label is None:
                    undecided.add(photograph)
                    continue
                if rank:
                    given[rank] += 1
                annotations.append(
                    Annotation(
                        photograph,
                        label,
                        self._location(deployment),
                        row["sequenceid"] or None,
                        wall_clock(row["timestamp"]),
                        individuals(row["numberofobjects"] or row["groupsize"]) if label else None,
                    )
                )
        problems.tell()
        kept = [each for each in annotations if each.path not in undecided] if undecided else annotations
        return Labels(source, "wildlife_insights", kept, tuple(self._told(machine, len(undecided), given)))

    def _told(self, machine: int, undecided: int, given: Counter[str]) -> Iterator[str]:
        if machine:
            yield f"{amount(machine, 'answer')} of computer vision left out"
        if undecided:
            yield f"{amount(undecided, 'photograph')} left out that nobody could decide"
        for rank, number in given.items():
            yield f"{amount(number, 'answer')} with no more than a {rank} as the label"
        if not self._places:
            yield "no deployments.csv beside the table: the deployment is taken as the location"
        elif self._no_place:
            strange = amount(len(self._no_place), "deployment")
            yield f"{strange} not in deployments.csv: taken as the location itself"

    def _folder(self, deployment: str) -> Path:
        folder = self._folders.get(deployment)
        if folder is None:
            own = self._base / deployment
            folder = self._folders[deployment] = own if own.is_dir() else self._base
        return folder

    def _location(self, deployment: str) -> str:
        place = self._places.get(deployment)
        if place is None:
            self._no_place.add(deployment)
        return place or deployment


class _Row:
    """A row by the plain names of its columns."""

    __slots__ = ("_cells", "_columns")

    def __init__(self, columns: dict[str, int], cells: list[str]) -> None:
        self._columns = columns
        self._cells = cells

    def __getitem__(self, column: str) -> str:
        return cell(self._cells, self._columns.get(column))


def _label(row: _Row) -> tuple[tuple[str, ...] | None, str]:
    """Return what a row names, None if nobody knows, and the rank if it is not a species."""
    genus, species, common = row["genus"], row["species"], row["commonname"]
    if row["isblank"].lower() in _YES or one_species(species) == () or one_species(common) == ():
        return (), ""
    if HUMAN in (common.lower(), species.lower()):
        return (HUMAN,), ""
    if genus and species and not {genus.lower(), species.lower()} & _PLACEHOLDERS:
        return named_species(f"{genus} {species}"), ""
    if genus.lower() == "unknown" or is_undecided(common):
        return None, ""
    for rank in RANKS:
        if row[rank] and row[rank].lower() not in _PLACEHOLDERS:
            return (row[rank],), rank
    return ((common,), "common name") if common else (None, "")


def _placenames(path: Path) -> dict[str, str]:
    """Return the places of the deployments, by the deployments table beside `path`; empty if there is none."""
    for name in sorted(os.listdir(path.parent)):
        if "deployments" in name.lower() and name.lower().endswith(".csv"):
            with open_table(path.parent / name) as table:
                columns = table.columns()
                if {"deploymentid", "placename"} <= columns.keys():
                    rows = (_Row(columns, cells) for _, cells in table.rows)
                    return {row["deploymentid"]: row["placename"] for row in rows if row["placename"]}
    return {}


def table_in(folder: Path) -> Path | None:
    """Return the images.csv of a folder that a download was unpacked into, None if there is not exactly one."""
    found = []
    for name in sorted(os.listdir(folder)):
        if name.lower().startswith("images") and name.lower().endswith(".csv"):
            with open_table(folder / name) as table:
                if fits(frozenset(map(plain, table.header))):
                    found.append(folder / name)
    if len(found) > 1:
        raise ConfigError([f"{folder}: has several tables of images ({', '.join(map(str, found))}); name one"])
    return found[0] if found else None
