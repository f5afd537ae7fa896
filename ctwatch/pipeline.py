"""One card: read -> predict -> derive -> commit, in this order and no other; run twice, the tables are the same."""

import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from ctwatch import deployments
from ctwatch.accounts import Placed, each_once, statuses
from ctwatch.classify import Classifier, Frame
from ctwatch.config import Config
from ctwatch.derive import Models, blank_threshold, derive
from ctwatch.domain import (
    CaptureMethod,
    CardSnapshot,
    Deployment,
    Failure,
    FileStat,
    FileStatus,
    Location,
    Media,
    ModelInfo,
)
from ctwatch.effort import derive_effort
from ctwatch.ensemble import Averaging
from ctwatch.errors import CardChanged, InboxMissing, Interrupted
from ctwatch.names import storable
from ctwatch.panel import Panel
from ctwatch.reading import ReadFile, ReadingRules, read_file, read_files, worker_count
from ctwatch.settle import fingerprint
from ctwatch.store import cards, derived
from ctwatch.store.cards import CardCounts
from ctwatch.store.database import Database
from ctwatch.store.missing import Missing, missing, whereabouts
from ctwatch.tables import load_mapping

if TYPE_CHECKING:
    import duckdb

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with files done and files in all."""
PREDICTIONS_PER_COMMIT = 4096


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
        self._panel = panel
        self._models = Models(panel.empty_models, panel.species_models)
        self._now = now
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
            found = self._look_again(lacking, unobtainable, progress)
            looked_at += found
            if found:
                self.derive({item.deployment_id for item in lacking})
        self.out_of_reach = len(unobtainable)
        if unobtainable:
            logger.warning(
                "%d photographs wait for models to see them, but their files are gone; drop their cards again",
                len(unobtainable),
            )
        return looked_at

    def derive(self, deployment_ids: set[str]) -> None:
        """Recompute the derived tables of some deployments; no inference."""
        for deployment_id in sorted(deployment_ids):
            with self._database.writing() as connection:
                self.derive_within(connection, [deployment_id])

    def derive_within(self, connection: "duckdb.DuckDBPyConnection", deployment_ids: Iterable[str]) -> None:
        """Recompute the derived tables of some deployments as part of a transaction."""
        for deployment_id in deployment_ids:
            derive(connection, deployment_id, self._config, self._models, self._local_now())

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
                for item in cards.mapped_files(connection)
            }
            cards.remap_files(connection, {key: pair[0].deployment_id for key, pair in placed.items()})
            cards.forget_deployments(connection)
            cards.put_deployments(connection, each_once(list(placed.values())))
            cards.put_table(connection, deployments.of_table(mapping.table))
            derived.drop_orphans(connection)
            self.derive_within(connection, derived.deployment_ids(connection))
            derive_effort(connection)

    def _read(self, snapshot: CardSnapshot, mapping: deployments.Mapping, progress: Progress) -> list[Placed]:
        """Read and classify a card's files; pixels are let go as soon as the networks have seen them."""
        with self._database.reading() as connection:
            seen = cards.predicted_prefixes(connection, _ids(self._models.empty))

        def is_known(media_id: str) -> bool:
            prefix = np.uint64(int(media_id[:16], 16))
            position = int(np.searchsorted(seen, prefix))
            return position < len(seen) and bool(seen[position] == prefix)

        wanted = [file for file in snapshot.files if file.ignored is None]
        classifier = self._classifier()
        results: list[Placed] = []
        progress(0, len(wanted))
        for read in read_files(
            snapshot.root,
            wanted,
            canvases=self._panel.canvases,
            rules=self._rules(),
            is_known=is_known,
            workers=worker_count(self._config.read.workers),
            miniatures=self._config.decisions.background,
        ):
            if self._stop():
                self._save(classifier)
                raise Interrupted(
                    f"{snapshot.name}: stopped after {len(results)} of {len(wanted)} files; goes on next time"
                )
            if read.failure is Failure.CHANGED_WHILE_READING:
                _still_there(snapshot)
                raise CardChanged(f"{snapshot.root}/{read.file.path}: {read.detail}")
            deployment, location = None, None
            if read.media is not None:
                deployment, location = _place(mapping, snapshot, read.media)
                if read.pixels is not None and (self._panel.empty or self._panel.species):
                    classifier.push(_frame(read.media, deployment.deployment_id, read))
                    self._save(classifier, at_least=PREDICTIONS_PER_COMMIT)
            results.append(Placed(ReadFile(read.file, read.media, read.failure, read.detail), deployment, location))
            progress(len(results), len(wanted))
        if any(item.read.failure is Failure.NO_ACCESS for item in results):
            _still_there(snapshot)
        classifier.finish()
        self._save(classifier)
        return results

    def _commit(
        self,
        card_id: str,
        snapshot: CardSnapshot,
        results: Sequence[Placed],
        mapping: deployments.Mapping,
    ) -> tuple[CardCounts, list[str]]:
        """Write a card in one transaction, its row last; returns its counts and the deployments that it touched."""
        current = load_mapping(self._config)
        if current != mapping:
            # The table was edited while the card was read: what it says now holds.
            results = [
                item if item.read.media is None else Placed(item.read, *_place(current, snapshot, item.read.media))
                for item in results
            ]
        photographs = [item.read.media for item in results if item.read.media is not None]
        with self._database.writing() as connection:
            contents = [(item.file_path, item.media_id) for item in photographs]
            replacing = cards.superseded_by(connection, snapshot.root, contents, [file.path for file in snapshot.files])
            left = cards.deployments_of(connection, replacing)
            elsewhere = cards.seen_elsewhere(connection, [item.media_id for item in photographs], replacing)
            files, new = statuses(snapshot, results, elsewhere)
            counts = cards.count(files, new)
            cards.add_media(connection, new)
            kept = {item.deployment_id for item in files if item.status is not FileStatus.DUPLICATE}
            pairs = [(item.deployment, item.location) for item in results if item.deployment and item.location]
            pairs = [pair for pair in each_once(pairs) if pair[0].deployment_id in kept]
            cards.put_deployments(connection, pairs)
            cards.put_card(
                connection,
                card_id,
                snapshot,
                files,
                counts,
                replacing=replacing,
                processed_at=self.utc_now(),
            )
            cards.put_table(connection, deployments.of_table(current.table))
            touched = sorted({pair[0].deployment_id for pair in pairs} | left)
            self.derive_within(connection, touched)
            derived.drop_orphans(connection)
            derive_effort(connection)
        return counts, touched

    def _look_again(self, lacking: Sequence[Missing], unobtainable: set[str], progress: Progress) -> int:
        """Read photographs again wherever they are found and classify them; adds the others to `unobtainable`."""
        classifier = self._classifier()
        found = 0
        with self._database.reading() as connection:
            places = whereabouts(connection, [item.media_id for item in lacking])
        candidates: dict[str, list[tuple[str, FileStat]]] = {}
        for place in places:
            stat = FileStat(place.file_path, place.file_size, place.modified_ns)
            candidates.setdefault(place.media_id, []).append((place.card_path, stat))
        for number, item in enumerate(lacking):
            if self._stop():
                self._save(classifier)
                raise Interrupted("stopped while looking again at earlier cards; goes on next time")
            read = self._find(item.media_id, candidates.get(item.media_id, []))
            if read is None or read.media is None:
                unobtainable.add(item.media_id)
            else:
                found += 1
                push = classifier.push if item.by_empty or self._panel.empty is None else classifier.push_for_species
                push(_frame(read.media, item.deployment_id, read))
                self._save(classifier, at_least=PREDICTIONS_PER_COMMIT)
            progress(number + 1, len(lacking))
        classifier.finish()
        self._save(classifier)
        return found

    def _find(self, media_id: str, candidates: Sequence[tuple[str, FileStat]]) -> ReadFile | None:
        for root, file in candidates:
            read = read_file(
                root,
                file,
                canvases=self._panel.canvases,
                rules=self._rules(),
                is_known=lambda other: other != media_id,
                miniatures=self._config.decisions.background,
            )
            if read.pixels is not None:
                return read
        return None

    def _classifier(self) -> Classifier:
        return Classifier(
            self._panel,
            batch_size=self._config.models.batch_size,
            gap_s=self._config.events.event_gap_s,
            averaging=Averaging(self._config.decisions.averaging),
            blank_threshold=blank_threshold(self._config, self._models.empty),
        )

    def _save(self, classifier: Classifier, at_least: int = 1) -> None:
        """Append predictions to the database once there are enough to be worth a commit."""
        if classifier.waiting() < at_least:
            return
        with self._database.writing() as connection:
            cards.add_models(connection, [*self._models.empty, *self._models.species])
            cards.add_predictions(connection, classifier.take())
            cards.add_miniatures(connection, classifier.take_miniatures())
        self._at("saved")

    def _rules(self) -> ReadingRules:
        return ReadingRules(self._config.read.earliest_year, self._config.read.use_file_times, self._local_now())

    def utc_now(self) -> datetime:
        """The time, UTC without zone, as the database keeps it."""
        return self._now().astimezone(UTC).replace(tzinfo=None)

    def _local_now(self) -> datetime:
        return self._now().astimezone().replace(tzinfo=None)


def _place(mapping: deployments.Mapping, snapshot: CardSnapshot, media: Media) -> tuple[Deployment, Location]:
    return deployments.assign(
        mapping,
        inbox_name=os.path.basename(snapshot.inbox),
        folders=_folders(snapshot, media.file_path),
        serial=media.camera.serial,
        taken=media.timestamp.value,
        trusted=media.timestamp.trusted,
    )


def _folders(snapshot: CardSnapshot, path: str) -> list[str]:
    """Return the folders that may name a file's deployment: the card and those below it."""
    inside = path.split("/")[:-1]
    return inside if snapshot.loose else [snapshot.name, *inside]


def _frame(media: Media, deployment_id: str, read: ReadFile) -> Frame:
    alone = media.capture_method is CaptureMethod.TIME_LAPSE or not media.timestamp.trusted
    taken = None if alone else media.timestamp.value
    return Frame(media.media_id, deployment_id, taken, read.pixels or {}, read.miniature)


def _ids(models: Sequence[ModelInfo]) -> list[str]:
    return [model.model_id for model in models]


def _still_there(snapshot: CardSnapshot) -> None:
    """Raise InboxMissing if the card's folder went away under the reading (unmounted, pulled)."""
    if not os.path.isdir(snapshot.root):
        raise InboxMissing(f"{snapshot.root} went away while it was read; it is read again when it is back")
