"""Labels of people and of other programs into the database: read, matched to photographs, appended, derived anew."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctwatch.identity import content_id, derived_id
from ctwatch.imports import recognise
from ctwatch.imports.packages import package_folder
from ctwatch.matching import Matched, combined, match
from ctwatch.pipeline import Pipeline
from ctwatch.store import labels as store
from ctwatch.store import surveys
from ctwatch.store.database import Database
from ctwatch.survey import ImportedFile

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one file of labels."""

    path: Path
    dialect: str
    by_human: bool
    labels: int
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
            "by_human": self.by_human,
            "labels": self.labels,
            "matched": self.matched,
            "unmatched": self.unmatched,
            "ambiguous": self.ambiguous,
            "already_in": self.already_in,
            "deployments": list(self.deployments),
            "sentences": list(self.sentences),
        }

    def in_words(self) -> str:
        """One line, and a line for all that was left out."""
        whose = "people's labels" if self.by_human else "machine predictions"
        line = f"{self.path.name}: {self.dialect}, {self.labels} {whose}, {self.matched} of photographs that are here"
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
    said = recognise.read(path, as_human=as_human, by=by, species_column=species_column)
    with database.reading() as connection:
        media = surveys.media(connection)
        places = {item.deployment.deployment_id: item.location.location_id for item in surveys.deployments(connection)}
    found = match(said.labels, media, places=places)
    by_human = any(label.by_human for label in said.labels)
    taken = store.Import(
        derived_id("import", _digest(path), str(as_human), by or "", species_column or ""),
        path.name,
        said.dialect,
        by_human,
        len(said.labels),
        len(found.pairs),
        pipeline.utc_now(),
    )
    spoken = [(media.media_id[row], label) for row, label in combined(said.labels, found)]
    new: list[str] = []
    if not dry_run and spoken:
        with database.writing() as connection:
            new = store.add_import(connection, taken, spoken)
        deployment_of = {media.media_id[row]: media.deployment_id[row] for _, row in found.pairs}
        # All that it speaks of: a run that was cut off behind its commit may have left some underived.
        pipeline.derive(set(deployment_of.values()))
    return Taken(
        path,
        said.dialect,
        by_human,
        len(said.labels),
        len(found.pairs),
        found.unmatched,
        found.ambiguous,
        bool(spoken) and not new and not dry_run,
        tuple(sorted({deployment_of[media_id] for media_id in new})) if new else (),
        _sentences(said, found),
    )


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
