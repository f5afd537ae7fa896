"""Wildlife Insights' images.csv, as downloaded or as made for an upload: what people, or the site's own model, said."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ctwatch.domain import BLANK
from ctwatch.imports.reading import (
    ANIMAL,
    HUMAN,
    MAX_PATH,
    UNKNOWN,
    Notes,
    Row,
    Unusable,
    clean,
    file_path,
    individuals,
    is_true,
    is_video,
    labels_in,
    open_table,
    our_id,
    scientific,
    share,
    wall_clock,
)
from ctwatch.matching import united
from ctwatch.survey import Answer, ImportedFile, ImportedLabel

DIALECT = "wildlife_insights"
_FILES = {"filename", "location", "imageid"}
_SPECIES = {"genus", "species", "commonname", "isblank", "identifiedby", "witaxonid"}
_RANKS = ("class", "order", "family", "genus", "species")
_MACHINE = re.compile(r"computer vision\b.*|cv|.*(?:speciesnet|megadetector).*", re.IGNORECASE)
"""Authors that are no people; ctwatch itself writes `Computer vision: <model>`."""


def fits(columns: Mapping[str, int]) -> bool:
    """Whether a table with these columns, in `plain` form, is images.csv."""
    return "deploymentid" in columns and bool(_FILES & columns.keys()) and bool(_SPECIES & columns.keys())


def is_sequences(columns: Mapping[str, int]) -> bool:
    """Whether it is sequences.csv, which names no photographs."""
    return {"deploymentid", "sequenceid"} <= columns.keys() and not _FILES & columns.keys()


@dataclass(slots=True)
class _Said:
    """What one author said of one photograph, over several rows."""

    line: int
    name: str
    deployment: str
    author: str
    machine: bool
    taken: datetime | None
    media_id: str | None
    answers: list[Answer] = field(default_factory=list)
    rows: set[tuple[str, ...]] = field(default_factory=set)


def read(path: Path, by: str | None = None) -> ImportedFile:
    """Return a label for each photograph and author; several rows are several species, or adults and young of one.

    The label is `Genus species`, else the lowest rank that is given, else the common name; `blank` where is_blank or the
    species says so, `human` for Homo sapiens, `unknown` where no rank is known, `animal` where nothing but "spp." is
    written. Rows whose identified_by is the site's model ("Computer vision") are a machine's, with cv_confidence; all
    others are people's, also those that name nobody. Counts are number_of_objects, added over rows.

    Photographs are named by filename, else by the end of location (a web address), else by image_id; deployment_id is
    the deployment. A row that is there twice counts once.

    Raises:
        ConfigError: The table cannot be read.
    """
    notes = Notes()
    said: dict[tuple[object, ...], _Said] = {}
    with open_table(path) as table:
        for line, row in table.cells(notes):
            try:
                name = file_path(row["filename"] or row["location"] or row["imageid"])
                if is_video(name):
                    notes.skip("films")
                    continue
                author = clean(row["identifiedby"])
                machine = _MACHINE.fullmatch(author) is not None
                answers = _answers(row, machine)
                if machine and answers == (Answer(UNKNOWN, answers[0].count, answers[0].probability),):
                    notes.skip("rows in which a model found nothing to say")
                    continue
            except Unusable as error:
                notes.problem(f"line {line}: {error}")
                continue
            taken, deployment = wall_clock(row["timestamp"]), clean(row["deploymentid"])
            # Numbering starts over within a deployment: a name alone is no photograph.
            key = (deployment, name, row["imageid"], taken, author)
            known = said.get(key)
            if known is None:
                media_id = our_id(row["imageid"])
                known = said[key] = _Said(line, name, deployment, author, machine, taken, media_id)
            cells = row.same_as()
            if cells in known.rows:
                notes.skip("rows that are there twice")
                continue
            known.rows.add(cells)
            known.answers += answers
    labels = []
    for each in said.values():
        if len({answer.label for answer in each.answers}) > 1 and Answer(BLANK) in each.answers:
            notes.problem(
                f"line {each.line}: {each.name} is blank in one row and not in another; what was seen is taken"
            )
        labels.append(
            ImportedLabel(
                each.name,
                united(each.answers, add_counts=True),
                not each.machine,
                each.author or by,
                each.line,
                taken=each.taken,
                media_id=each.media_id,
                deployment=each.deployment or None,
            )
        )
    return ImportedFile(DIALECT, tuple(labels), notes.problems, notes.skipped)


def _answers(row: Row, machine: bool) -> tuple[Answer, ...]:
    probability = share(row["cvconfidence"]) if machine else None
    names = _names(row)
    count = None if names == (BLANK,) else individuals(row["numberofobjects"] or row["groupsize"])
    return tuple(Answer(name, count, probability) for name in names)


def _names(row: Row) -> tuple[str, ...]:
    """Return what a row names; raises Unusable where it names nothing."""
    common = labels_in(row["commonname"])
    given = [clean(row[rank], MAX_PATH) for rank in _RANKS]
    if is_true(row["isblank"]) or (BLANK,) in (common, labels_in(row["species"])):
        return (BLANK,)
    if common == (HUMAN,) or row["commonname"].lower().startswith("human"):
        return (HUMAN,)
    named = labels_in(scientific(given)) or common
    if named:
        return named
    if any(text.lower() in {"unknown", "no cv result"} for text in given):
        return (UNKNOWN,)
    if any(labels_in(text) for text in given):
        return (ANIMAL,)
    raise Unusable("names nothing, not even blank")
