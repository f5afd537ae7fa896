"""What could not be used, tried again: quarantine lifted, failed files of cards that are in read once more and put right."""

import os
import stat
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from ctwatch.config import Config
from ctwatch.domain import FileStat
from ctwatch.errors import ConfigError, InboxMissing
from ctwatch.names import storable
from ctwatch.once import at_work, progress_bars
from ctwatch.pipeline import Pipeline, Progress
from ctwatch.store.database import Database
from ctwatch.store.quarantine import FailedCard, failed_cards, lift, still_failed


@dataclass(frozen=True, slots=True)
class Retried:
    """What trying the failed files of one card again came to."""

    card: str
    card_path: str
    """Where it lies, storable."""
    failed_before: int
    failed: int
    """Still."""
    problem: str | None = None
    """Why the card could not be read again."""

    def as_dict(self) -> dict[str, object]:
        """The outcome for machines."""
        return asdict(self)

    def in_words(self) -> str:
        """One line."""
        if self.problem is not None:
            return f"card {self.card}: {self.failed} failed files stay so: {self.problem}"
        good = self.failed_before - self.failed
        return f"card {self.card}: {self.failed_before} failed files read again, {good} good now, {self.failed} still failed"


def retry(config: Config, names: Sequence[str], console: Console) -> list[Retried]:
    """Lift the quarantine and read failed files again, of the named cards or of all; then publish and export.

    A card is named by its folder's name or path, as it was dropped or where it was moved to. Raises ConfigError for names
    that no card has, InboxMissing or StoreError; run twice, the tables are the same.
    """
    with (
        at_work(config) as (database, pipeline),
        progress_bars(console) as bar,
        bar("reading failed files again") as listener,
    ):
        return retry_within(database, pipeline, names, listener)


def retry_within(
    database: Database, pipeline: Pipeline, names: Sequence[str], progress: Progress = lambda done, total: None
) -> list[Retried]:
    """Lift the quarantine and read failed files again, of the named cards or of all, without publishing."""
    with database.reading() as connection:
        known = failed_cards(connection)
    unknown = [name for name in names if not any(_is_called(card, name) for card in known)]
    if unknown:
        raise ConfigError(
            [f"{storable(name)}: no card of this name or path is in; `ctwatch status`" for name in unknown]
        )
    chosen = [card for card in known if not names or any(_is_called(card, name) for name in names)]
    with database.writing() as connection:
        lift(connection, [card.card_id for card in chosen] if names else None)
    told, touched = [], set[str]()
    for card in chosen:
        if card.files:
            outcome, deployments = _retry_card(database, pipeline, card, progress)
            told.append(outcome)
            touched.update(deployments)
    # What is a photograph now has not been seen by any model; without names, also what waited in quarantine for its turn.
    pipeline.catch_up(sorted(touched) if names else None, progress)
    return told


def _retry_card(
    database: Database, pipeline: Pipeline, card: FailedCard, progress: Progress
) -> tuple[Retried, list[str]]:
    """Read the failed files of one card again; returns what came of it and the deployments that it touched."""
    before = len(card.files)
    # Moved away, it lies in the archive; while that is under way, part of it may still be where it was.
    places = [place for place in (card.archive, card.root) if place and os.path.isdir(place)]
    if not places:
        gone = storable(card.archive or card.root)
        return Retried(card.card_name, gone, before, before, f"{gone} is not there any more; drop the card again"), []
    found = {place: [file for path in card.files if (file := _as_it_is(place, path))] for place in places}
    root = max(places, key=lambda place: len(found[place]))
    there = found[root]
    try:
        results = pipeline.read_again(card, there, root, progress)
    except InboxMissing as error:
        return Retried(card.card_name, storable(root), before, before, str(error)), []
    touched = pipeline.put_right(card, results)
    with database.reading() as connection:
        failed = len(still_failed(connection, card.card_id))
    return Retried(card.card_name, storable(root), before, failed), touched


def _as_it_is(root: str, path: str) -> FileStat | None:
    """Return a file of a card as it is now; None if it is gone."""
    try:
        facts = os.stat(os.path.join(root, path), follow_symlinks=False)
    except OSError:
        return None
    if not stat.S_ISREG(facts.st_mode):
        return None
    return FileStat(path, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino)


def _is_called(card: FailedCard, name: str) -> bool:
    """Whether a card goes by a name or a path."""
    places = {os.path.realpath(place) for place in (card.root, card.archive) if place}
    return storable(name) == card.card_name or (
        (os.sep in name or Path(name).is_dir()) and os.path.realpath(name) in places
    )
