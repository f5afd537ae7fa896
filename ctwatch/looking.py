"""Files of cards through the decoders and the networks, and what was seen kept as it comes."""

import logging
import os
from collections import deque
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ctwatch.classify import Classifier, Frame
from ctwatch.config import Config
from ctwatch.decoding import Decoders, ReadFile, ReadingRules, Unanswered, Verdicts, Wanted
from ctwatch.derive import Models, blank_threshold
from ctwatch.domain import CaptureMethod, FileStat, Media, Quarantined
from ctwatch.ensemble import Averaging
from ctwatch.errors import InboxMissing
from ctwatch.panel import Panel
from ctwatch.reading import read_files, worker_count
from ctwatch.store import cards
from ctwatch.store.database import Database
from ctwatch.store.missing import Missing, whereabouts
from ctwatch.store.quarantine import put_into_quarantine, quarantined

if TYPE_CHECKING:
    import duckdb

logger = logging.getLogger(__name__)


class Looking:
    """Reads files with a panel of models in mind and keeps their predictions in a database."""

    def __init__(
        self,
        config: Config,
        database: Database,
        panel: Panel,
        models: Models,
        now: Callable[[], datetime],
        derive: Callable[["duckdb.DuckDBPyConnection", Sequence[str]], None],
        at: Callable[[str], None],
    ) -> None:
        """Take the clock (aware), what derives deployments anew, and a listener for what was committed.

        The listener hears "saved" or "quarantined".
        """
        self._config, self._database, self._panel, self._models = config, database, panel, models
        self._now, self._derive, self._at = now, derive, at
        self._unrecorded: list[Quarantined] = []
        """What died and could not be written down yet, because the disk is full."""
        self._decoders = Decoders(
            longest_s=config.read.longest_s, memory_bytes=int(config.read.memory_gb * 1_000_000_000)
        )

    def utc_now(self) -> datetime:
        """The time, UTC without zone, as the database keeps it."""
        return self._now().astimezone(UTC).replace(tzinfo=None)

    def local_now(self) -> datetime:
        """The time, local and without zone, as cameras keep it."""
        return self._now().astimezone().replace(tzinfo=None)

    def verdicts(self, card_name: str, is_known: Callable[[str], bool]) -> Verdicts:
        """Return what is known of contents before a card is read; `is_known`: pixels are needed no more."""
        with self._database.reading() as connection:
            return Verdicts(card_name, is_known, [*quarantined(connection), *self._unrecorded])

    def files(
        self, root: str, files: Sequence[FileStat], verdicts: Verdicts, waiting: Callable[[], None]
    ) -> Iterator[ReadFile]:
        """Read files in order; what dies is in quarantine before its file is handed out.

        `waiting` is called about every second while nothing comes; what it raises ends the reading. Raises InboxMissing
        if a file's disk gives no bytes.
        """

        def keep_and_wait() -> None:
            self._keep(verdicts)
            waiting()

        workers = worker_count(self._config.read.workers)
        # So far ahead that the decoders work on while the networks look at a batch: every core is busy all the time.
        ahead = self._panel.frames_at_once
        reading = read_files(
            self._decoders, root, files, self._wanted(), verdicts, workers=workers, ahead=ahead, waiting=keep_and_wait
        )
        try:
            for read in reading:
                self._keep(verdicts)
                yield read
        except Unanswered as error:
            raise InboxMissing(str(error)) from error
        finally:
            reading.close()
            self._keep(verdicts)

    def again(
        self,
        lacking: Sequence[Missing],
        classifier: Classifier,
        unobtainable: set[str],
        waiting: Callable[[int], None],
        at_least: int,
    ) -> int:
        """Read photographs again wherever they are found and classify them; adds the others to `unobtainable`.

        `waiting` is given the number of those done, at each and about every second between; predictions are saved when
        there are `at_least` so many. Returns how many photographs were found.
        """
        wanted = {item.media_id for item in lacking}
        with self._database.reading() as connection:
            places = whereabouts(connection, list(wanted))
        candidates: dict[str, deque[tuple[str, FileStat]]] = {}
        for place in places:
            stat = FileStat(place.file_path, place.file_size, place.modified_ns)
            candidates.setdefault(place.media_id, deque()).append((place.card_path, stat))
        verdicts = {
            root: self.verdicts(os.path.basename(root), lambda media_id: media_id not in wanted)
            for root in {place.card_path for place in places}
        }
        looked_at = given_up = 0

        def still() -> None:
            waiting(looked_at + given_up)

        left = list(lacking)
        while left:
            of_card, nowhere = _next_places(left, candidates, verdicts)
            unobtainable.update(item.media_id for item in nowhere)
            given_up += len(nowhere)
            left = []
            for root, sought in of_card.items():
                items, files = [item for item, _ in sought], [file for _, file in sought]
                answered = 0
                try:
                    for item, read in zip(items, self.files(root, files, verdicts[root], still), strict=True):
                        still()
                        answered += 1
                        if read.media is None or read.media.media_id != item.media_id:
                            left.append(item)  # another copy of it may be as it was
                        elif read.pixels is None:
                            unobtainable.add(item.media_id)  # a copy of it would be no better
                            given_up += 1
                        else:
                            looked_at += 1
                            self._push(classifier, item, frame_of(read.media, item.deployment_id, read))
                            self.save(classifier, at_least)
                except InboxMissing as error:
                    logger.warning("%s", error)
                    del verdicts[root]  # ten minutes were enough
                    left += items[answered:]
        return looked_at

    def _push(self, classifier: Classifier, item: Missing, frame: Frame) -> None:
        """Show a photograph to the models that have not seen it."""
        by_all = item.by_empty or self._panel.empty is None
        push = classifier.push if by_all else classifier.push_for_species
        push(frame)

    def _keep(self, verdicts: Verdicts) -> None:
        """Put what died into quarantine at once, so that no crash of the daemon can have it decoded again."""
        self._unrecorded += verdicts.take_unrecorded()
        if self._unrecorded:
            with self._database.writing() as connection:
                put_into_quarantine(connection, self._unrecorded, self.utc_now())
            self._unrecorded.clear()
            self._at("quarantined")

    def _wanted(self) -> Wanted:
        read = self._config.read
        rules = ReadingRules(read.earliest_year, read.use_file_times, self.local_now())
        return Wanted(rules, self._panel.canvases, self._config.decisions.background)

    def classifier(self) -> Classifier:
        """Return a classifier for one stream of frames."""
        return Classifier(
            self._panel,
            batch_size=self._panel.frames_at_once,
            gap_s=self._config.events.event_gap_s,
            averaging=Averaging(self._config.decisions.averaging),
            blank_threshold=blank_threshold(self._config, self._models.empty),
        )

    def save(self, classifier: Classifier, at_least: int = 1) -> None:
        """Append predictions to the database once there are enough to be worth a commit.

        What follows from them is derived in the same transaction, for photographs that are in already: once they have
        predictions nothing tells that their events were derived without.
        """
        if classifier.waiting() < at_least:
            return
        with self._database.writing() as connection:
            cards.add_models(connection, self._panel.models)
            predictions = classifier.take()
            cards.add_predictions(connection, predictions)
            cards.add_miniatures(connection, classifier.take_miniatures())
            self._derive(connection, cards.deployments_with(connection, sorted({row[0] for row in predictions})))
        self._at("saved")

    def close(self) -> None:
        """End the processes that decode; they start again when they are needed."""
        self._decoders.close()


def _next_places(
    lacking: Sequence[Missing], candidates: Mapping[str, deque[tuple[str, FileStat]]], reachable: Container[str]
) -> tuple[dict[str, list[tuple[Missing, FileStat]]], list[Missing]]:
    """Take each photograph's next place on a card that can be reached; also return the photographs that have none.

    The places of one card come together: they are decoded side by side.
    """
    of_card: dict[str, list[tuple[Missing, FileStat]]] = {}
    nowhere: list[Missing] = []
    for item in lacking:
        places = candidates.get(item.media_id, deque())
        while places and places[0][0] not in reachable:
            places.popleft()
        if places:
            root, file = places.popleft()
            of_card.setdefault(root, []).append((item, file))
        else:
            nowhere.append(item)
    return of_card, nowhere


def frame_of(media: Media, deployment_id: str, read: ReadFile) -> Frame:
    """Return a photograph as the networks take it; one that stands alone in time carries none."""
    alone = media.capture_method is CaptureMethod.TIME_LAPSE or not media.timestamp.trusted
    taken = None if alone else media.timestamp.value
    return Frame(media.media_id, deployment_id, taken, read.pixels or {}, read.miniature)
