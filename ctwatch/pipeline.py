"""One card: read -> predict -> derive -> commit, in this order and no other; run twice, the tables are the same."""

import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from ctwatch import deployments
from ctwatch.accounts import Packed, Placed, each_once, ignored, place, placed_of, statuses
from ctwatch.config import Config
from ctwatch.decoding import DEATHS, ReadFile
from ctwatch.derive import Models, derive
from ctwatch.domain import CardSnapshot, Deployment, Failure, FileStat, FileStatus, Location, ModelInfo
from ctwatch.effort import derive_effort
from ctwatch.errors import CardChanged, InboxMissing, Interrupted
from ctwatch.looking import Looking, frame_of
from ctwatch.names import storable
from ctwatch.panel import Panel
from ctwatch.settle import fingerprint
from ctwatch.store import cards, derived, mapped
from ctwatch.store.cards import CardCounts
from ctwatch.store.database import Database
from ctwatch.store.missing import Missing, missing
from ctwatch.store.quarantine import (
    FailedCard,
    counted_elsewhere,
    put_media,
    put_right,
    quarantined,
    still_failed,
)
from ctwatch.tables import load_mapping

if TYPE_CHECKING:
    import duckdb

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with files done and files in all."""
PREDICTIONS_PER_COMMIT = 4096
_DEAD = DEATHS | {Failure.QUARANTINED}


@dataclass(frozen=True, slots=True)
class CardOutcome:
    """What processing a card came to."""

    card_id: str
    name: str
    counts: CardCounts
    already_in: bool
    seconds: float
    made_up_for: int = 0
    """Photographs that were read a second time because the stream had not foreseen their event."""

    @property
    def failed(self) -> int:
        """Files that could not be used."""
        return self.counts.failed

    def as_dict(self) -> dict[str, object]:
        """The outcome for machines."""
        return {"card": storable(self.name), "card_id": self.card_id, "already_in": self.already_in} | asdict(
            self.counts
        )

    def in_words(self) -> str:
        """One line, every file accounted for."""
        counts = self.counts
        parts = [f"{counts.media} photographs"]
        parts += [f"{counts.time_lapse} of them time-lapse"] if counts.time_lapse else []
        parts += [f"{counts.without_time} without a time to trust"] if counts.without_time else []
        parts += [f"{counts.duplicates} in already"] if counts.duplicates else []
        parts += [f"{counts.failed} FAILED"] if counts.failed else []
        parts += [f"{counts.ignored} ignored ({counts.videos} videos)"] if counts.ignored else []
        line = f"card {storable(self.name)}: {counts.files_seen} files = {', '.join(parts)}"
        if self.already_in:
            return f"{line}; in already, nothing to do"
        if not counts.files_seen:
            return f"{line}; THE FOLDER IS EMPTY: was the copy made?"
        speed = counts.files_seen / self.seconds if self.seconds > 0 else 0.0
        return f"{line}; {self.seconds:.1f} s, {speed:.0f} files/s"


class Pipeline:
    """Processes cards into one database with one panel of models."""

    def __init__(
        self,
        config: Config,
        database: Database,
        panel: Panel,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        stop: Callable[[], bool] = lambda: False,
        at: Callable[[str], None] = lambda point: None,
    ) -> None:
        """Take the clock (aware, UTC), a question whether to stop, and a listener for the points between steps."""
        self._config = config
        self._database = database
        self._has_models = bool(panel.empty or panel.species)
        self._models = Models(panel.empty_models, panel.species_models)
        self._looking = Looking(config, database, panel, self._models, now, self.derive_within, at)
        self._stop = stop
        self._at = at
        self.out_of_reach = 0
        """Photographs that the last catching up could not find."""

    def process(self, snapshot: CardSnapshot, progress: Progress = lambda done, total: None) -> CardOutcome:
        """Bring one settled card into the database, completely or not at all.

        Predictions are kept as they are made, so an interrupted card goes on where it was. Raises Interrupted,
        CardChanged, InboxMissing, ConfigError (deployments table) or StoreError.
        """
        started = time.monotonic()
        card_id = fingerprint(snapshot)
        with self._database.reading() as connection:
            if cards.card_is_in(connection, card_id):
                counts = cards.card_counts(connection, card_id)
                touched = sorted(cards.deployments_of(connection, [card_id]))
            else:
                counts = None
        if counts is not None:
            # A run that was cut off behind the commit may have left photographs for a second look.
            made_up_for = self.catch_up(only=touched)
            return CardOutcome(card_id, snapshot.name, counts, True, time.monotonic() - started, made_up_for)
        mapping = load_mapping(self._config)
        results = self._read(snapshot, mapping, progress)
        self._at("predicted")
        counts, touched = self._commit(card_id, snapshot, results, mapping)
        self._at("committed")
        made_up_for = self.catch_up(only=touched)
        return CardOutcome(card_id, snapshot.name, counts, False, time.monotonic() - started, made_up_for)

    def catch_up(self, only: Sequence[str] | None = None, progress: Progress = lambda done, total: None) -> int:
        """Look at photographs that lack predictions, where their bytes are still to be found; returns how many.

        They do after models were installed or changed, and where an event's animal only came to light with a later
        frame. `only` restricts it to some deployments.
        """
        self.out_of_reach = 0
        unobtainable: set[str] = set()
        tried: set[Missing] = set()
        looked_at = 0
        # The empty filter's answers can make further events worth the species models' look: until nothing is missing.
        while self._models.empty or self._models.species:
            with self._database.reading() as connection:
                lacking = [
                    item
                    for item in missing(connection, _ids(self._models.empty), _ids(self._models.species), only)
                    if item.media_id not in unobtainable and item not in tried
                ]
            if not lacking:
                break
            tried.update(lacking)
            looked_at += self._look_again(lacking, unobtainable, progress)
        self.out_of_reach = len(unobtainable)
        if unobtainable:
            logger.warning(
                "%d photographs wait for models to see them, but their files are gone or in quarantine; drop their cards again,"
                " or try `ctwatch retry`",
                len(unobtainable),
            )
        return looked_at

    def derive_within(self, connection: "duckdb.DuckDBPyConnection", deployment_ids: Iterable[str]) -> None:
        """Recompute the derived tables of some deployments as part of a transaction."""
        for deployment_id in deployment_ids:
            derive(connection, deployment_id, self._config, self._models, self._looking.local_now())

    def rederive(self) -> None:
        """Map every file to its deployment and recompute all derived tables, in one transaction; no inference."""
        mapping = load_mapping(self._config)
        with self._database.writing() as connection:
            placed = {
                item.key: deployments.assign(
                    mapping,
                    inbox_name=item.inbox_name,
                    folders=item.folders,
                    serial=item.serial,
                    taken=item.taken,
                    trusted=item.trusted,
                )
                for item in mapped.files(connection)
            }
            mapped.remap(connection, {key: pair[0].deployment_id for key, pair in placed.items()})
            cards.forget_deployments(connection)
            cards.put_deployments(connection, each_once(list(placed.values())))
            cards.put_table(connection, deployments.of_table(mapping.table))
            derived.drop_orphans(connection)
            self.derive_within(connection, derived.deployment_ids(connection))
            derive_effort(connection)

    def _read(self, snapshot: CardSnapshot, mapping: deployments.Mapping, progress: Progress) -> Packed:
        """Read and classify a card's files; pixels are let go as soon as the networks have seen them."""
        with self._database.reading() as connection:
            seen = cards.predicted_prefixes(connection, _ids(self._models.empty))

        def is_known(media_id: str) -> bool:
            prefix = np.uint64(int(media_id[:16], 16))
            position = int(np.searchsorted(seen, prefix))
            return position < len(seen) and bool(seen[position] == prefix)

        wanted = [file for file in snapshot.files if file.ignored is None]
        verdicts = self._looking.verdicts(snapshot.name, is_known)
        classifier = self._looking.classifier()
        results = Packed()
        out_of_reach = False

        def step() -> None:
            if self._stop():
                done = f"stopped after {len(results)} of {len(wanted)} files"
                raise Interrupted(f"{snapshot.name}: {done}; goes on next time")
            progress(len(results), len(wanted))

        try:
            for read in self._looking.files(snapshot.root, wanted, verdicts, step):
                step()
                if read.failure is Failure.CHANGED_WHILE_READING:
                    _still_there(snapshot)
                    raise CardChanged(f"{snapshot.root}/{read.file.path}: {read.detail}")
                placed = placed_of(mapping, snapshot, read)
                results.append(placed)
                out_of_reach = out_of_reach or read.failure is Failure.NO_ACCESS
                deployment = placed.deployment
                if read.media is not None and deployment is not None and read.pixels is not None and self._has_models:
                    classifier.push(frame_of(read.media, deployment.deployment_id, read))
                    self._looking.save(classifier, PREDICTIONS_PER_COMMIT)
        except Interrupted:
            self._looking.save(classifier)
            raise
        progress(len(results), len(wanted))
        if out_of_reach:
            _still_there(snapshot)
        classifier.finish()
        self._looking.save(classifier)
        return results

    def _commit(
        self,
        card_id: str,
        snapshot: CardSnapshot,
        results: Packed,
        mapping: deployments.Mapping,
    ) -> tuple[CardCounts, list[str]]:
        """Write a card in one transaction, its row last; returns its counts and the deployments that it touched."""
        current = load_mapping(self._config)
        here: set[str] = set()
        kept: set[str | None] = set()
        pairs: list[tuple[Deployment, Location]] = []
        with self._database.writing() as connection:
            if cards.card_is_in(connection, card_id):  # another process read the same card, and was quicker
                return cards.card_counts(connection, card_id), sorted(cards.deployments_of(connection, [card_id]))
            contents = (
                (item.read.media.file_path, item.read.media.media_id)
                for block in results.blocks()
                for item in block
                if item.read.media is not None
            )
            replacing = cards.superseded_by(connection, snapshot.root, contents, [file.path for file in snapshot.files])
            left = cards.deployments_of(connection, replacing)
            cards.remove_cards(connection, replacing)
            not_looked_into = ignored(snapshot)
            counts = cards.count(not_looked_into, [])
            cards.add_files(connection, card_id, not_looked_into)
            for block in results.blocks():
                if current != mapping:
                    # The table was edited while the card was read: what it says now holds.
                    block = [_placed_anew(current, snapshot, item) for item in block]
                _demand_quarantined(connection, snapshot, block)
                ids = [item.read.media.media_id for item in block if item.read.media is not None]
                files, new = statuses(block, cards.seen_elsewhere(connection, ids, [card_id]), here)
                counts += cards.count(files, new)
                put_media(connection, new)
                cards.add_files(connection, card_id, files)
                kept |= {item.deployment_id for item in files if item.status is not FileStatus.DUPLICATE}
                told = [(item.deployment, item.location) for item in block if item.deployment and item.location]
                pairs = each_once([*pairs, *told])
            pairs = [pair for pair in pairs if pair[0].deployment_id in kept]
            cards.put_deployments(connection, pairs)
            cards.put_card(connection, card_id, snapshot, counts, processed_at=self.utc_now())
            cards.put_table(connection, deployments.of_table(current.table))
            touched = sorted({pair[0].deployment_id for pair in pairs} | left)
            self.derive_within(connection, touched)
            derived.drop_orphans(connection)
            derive_effort(connection)
        return counts, touched

    def _look_again(self, lacking: Sequence[Missing], unobtainable: set[str], progress: Progress) -> int:
        """Read photographs again wherever they are found and classify them; adds the others to `unobtainable`."""
        classifier = self._looking.classifier()

        def step(done: int) -> None:
            if self._stop():
                raise Interrupted("stopped while looking again at earlier cards; goes on next time")
            progress(done, len(lacking))

        try:
            found = self._looking.again(lacking, classifier, unobtainable, step, PREDICTIONS_PER_COMMIT)
        except Interrupted:
            self._looking.save(classifier)
            raise
        progress(len(lacking), len(lacking))
        classifier.finish()
        self._looking.save(classifier)
        return found

    def read_again(self, card: FailedCard, files: Sequence[FileStat], root: str, progress: Progress) -> list[ReadFile]:
        """Read some files of a card that is in once more, at `root`; their pictures are decoded whatever is known."""
        verdicts = self._looking.verdicts(card.card_name, lambda media_id: False)
        results: list[ReadFile] = []

        def step() -> None:
            if self._stop():
                raise Interrupted(f"{card.card_name}: stopped while its failed files were read again")
            progress(len(results), len(files))

        for read in self._looking.files(root, files, verdicts, step):
            step()
            results.append(replace(read, pixels=None, miniature=None))
        progress(len(results), len(files))
        return results

    def put_right(self, card: FailedCard, results: Sequence[ReadFile]) -> list[str]:
        """Put what a second reading of failed files found in place of the first, in one transaction, and derive anew.

        Returns the deployments that it touched. Rows that are not failed any more, because the card was read anew
        meanwhile, stay as they are; files that changed under the reading wait for the card to be read anew.
        """
        mapping = load_mapping(self._config)
        snapshot = CardSnapshot(card.root, card.card_name, card.inbox, (), loose=card.loose)
        settled = [item for item in results if item.failure is not Failure.CHANGED_WHILE_READING]
        with self._database.writing() as connection:
            failed = still_failed(connection, card.card_id)
            placed = [placed_of(mapping, snapshot, item) for item in settled if storable(item.file.path) in failed]
            if not placed:
                return []
            left = cards.deployments_of(connection, [card.card_id])
            ids = [item.read.media.media_id for item in placed if item.read.media is not None]
            paths = [storable(item.read.file.path) for item in placed]
            files, new = statuses(placed, counted_elsewhere(connection, ids, card.card_id, paths), set())
            put_right(connection, card.card_id, files, new)
            kept = {item.deployment_id for item in files if item.status is not FileStatus.DUPLICATE}
            pairs = each_once(
                [(item.deployment, item.location) for item in placed if item.deployment and item.location]
            )
            pairs = [pair for pair in pairs if pair[0].deployment_id in kept]
            cards.put_deployments(connection, pairs)
            touched = sorted({pair[0].deployment_id for pair in pairs} | left)
            self.derive_within(connection, touched)
            derived.drop_orphans(connection)
            derive_effort(connection)
        self._at("put right")
        return touched

    def utc_now(self) -> datetime:
        """The time, UTC without zone, as the database keeps it."""
        return self._looking.utc_now()

    def close(self) -> None:
        """End the processes that decode; they start again when they are needed."""
        self._looking.close()


def _demand_quarantined(
    connection: "duckdb.DuckDBPyConnection", snapshot: CardSnapshot, results: Sequence[Placed]
) -> None:
    """Raise CardChanged if a content that was passed over for its quarantine is in quarantine no longer."""
    passed_over = {item.read.media.media_id for item in results if item.read.media and item.read.failure in _DEAD}
    if passed_over and not passed_over <= {item.media_id for item in quarantined(connection)}:
        raise CardChanged(f"{snapshot.root}: the quarantine was lifted while it was read; it is read again")


def _placed_anew(mapping: deployments.Mapping, snapshot: CardSnapshot, item: Placed) -> Placed:
    media = item.read.media
    return item if media is None else Placed(item.read, *place(mapping, snapshot, media))


def _ids(models: Sequence[ModelInfo]) -> list[str]:
    return [model.model_id for model in models]


def _still_there(snapshot: CardSnapshot) -> None:
    """Raise InboxMissing if the card's folder went away under the reading (unmounted, pulled)."""
    if not os.path.isdir(snapshot.root):
        raise InboxMissing(f"{snapshot.root} went away while it was read; it is read again when it is back")
