"""Labels of people and of other programs into the database: read, matched to photographs, appended, derived anew."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ctwatch.identity import content_id, derived_id
from ctwatch.imports import recognise
from ctwatch.imports.packages import package_folder
from ctwatch.matching import Matched, combined, match
from ctwatch.pipeline import Pipeline
from ctwatch.store import cards, surveys
from ctwatch.store import labels as store
from ctwatch.store.database import Database
from ctwatch.survey import ImportedFile

logger = logging.getLogger(__name__)

OURS = "ctwatch ensemble"
"""How our own models name themselves in `classified_by`."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one file of labels."""

    path: Path
    dialect: str
    labels: int
    people: int
    """Of these, labels of people; the others are predictions of models."""
    matched: int
    unmatched: int
    ambiguous: int
    already_in: bool
    deployments: tuple[str, ...]
    sentences: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "file": str(self.path),
            "dialect": self.dialect,
            "labels": self.labels,
            "people": self.people,
            "matched": self.matched,
            "unmatched": self.unmatched,
            "ambiguous": self.ambiguous,
            "already_in": self.already_in,
            "deployments": list(self.deployments),
            "sentences": list(self.sentences),
        }

    def in_words(self) -> str:
        """One line, and a line for all that was left out."""
        machines = self.labels - self.people
        whose = [f"{self.people} labels of people"] if self.people or not machines else []
        whose += [f"{machines} predictions of models"] if machines else []
        line = f"{self.path.name}: {self.dialect}, {' and '.join(whose)}, {self.matched} of photographs that are here"
        if self.already_in:
            line += "; in already, nothing to do"
        return "\n".join([line, *(f"  {sentence}" for sentence in self.sentences)])


def take_in(
    database: Database,
    pipeline: Pipeline,
    path: Path,
    *,
    as_human: bool | None = None,
    by: str | None = None,
    species_column: str | None = None,
    dry_run: bool = False,
) -> Taken:
    """Take in one file or package of labels; the same a second time adds only what has found its photograph meanwhile.

    Nothing that was said before is changed. `as_human` overrides what the file says of who speaks, `by` names them.
    Raises ConfigError for a file that is none of the dialects.
    """
    said = _of_others(recognise.read(path, as_human=as_human, by=by, species_column=species_column))
    with database.reading() as connection:
        media = surveys.media(connection)
        places = {item.deployment.deployment_id: item.location.location_id for item in surveys.deployments(connection)}
    found = match(said.labels, media, places=places)
    people = sum(label.by_human for label in said.labels)
    # Not the options but what they came to: said by the same people, it is the same file.
    authors = sorted({(label.by_human, label.classified_by or "") for label in said.labels})
    taken = store.Import(
        derived_id("import", _digest(path), repr(authors), species_column or ""),
        path.name,
        said.dialect,
        people > 0,
        len(said.labels),
        len(found.pairs),
        pipeline.utc_now(),
    )
    spoken = [(media.media_id[row], label) for row, label in combined(said.labels, found)]
    new: list[str] = []
    touched: list[str] = []
    if not dry_run and spoken:
        # One transaction: what was said is never in without what follows from it.
        with database.writing() as connection:
            new = store.add_import(connection, taken, spoken)
            if new:
                touched = cards.deployments_with(connection, new)
                pipeline.derive_within(connection, touched)
    return Taken(
        path,
        said.dialect,
        len(said.labels),
        people,
        len(found.pairs),
        found.unmatched,
        found.ambiguous,
        bool(spoken) and not new and not dry_run,
        tuple(touched),
        _sentences(said, found),
    )


def _of_others(said: ImportedFile) -> ImportedFile:
    """Leave out what our own ensembles said: it is here, and must not come back as another program's word."""
    kept = tuple(label for label in said.labels if label.by_human or OURS not in (label.classified_by or ""))
    own = len(said.labels) - len(kept)
    skipped = (*said.skipped, ("answers of ctwatch's own models", own)) if own else said.skipped
    return replace(said, labels=kept, skipped=skipped)


def _sentences(said: ImportedFile, found: Matched) -> tuple[str, ...]:
    sentences = [f"{count} left out: {why}" for why, count in said.skipped]
    sentences += _some("could not be read", said.problems)
    sentences += list(found.sentences)
    return tuple(sentences)


def _some(what: str, lines: Sequence[str], most: int = 5) -> list[str]:
    if not lines:
        return []
    more = [f"... and {len(lines) - most} more"] if len(lines) > most else []
    return [f"{len(lines)} rows {what}:", *lines[:most], *more]


def _digest(path: Path) -> str:
    """Return an id of the bytes of a file, or of all tables of a package."""
    folder = package_folder(path)
    files = [folder] if folder.is_file() else sorted([*folder.glob("*.csv"), *folder.glob("*.json")])
    return derived_id(*(content_id(file.read_bytes()) for file in files))
