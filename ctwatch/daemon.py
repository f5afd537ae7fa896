"""The daemon: for each settled card, process it; publish; say how it is; stop when asked."""

import fcntl
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from ctwatch import __version__, check, panel
from ctwatch.config import Config
from ctwatch.domain import CardSnapshot
from ctwatch.errors import CardChanged, ConfigError, InboxMissing, Interrupted, StoreBusy, StoreError
from ctwatch.names import storable
from ctwatch.pipeline import Pipeline
from ctwatch.results import Publisher
from ctwatch.service import StatusBoard, notify
from ctwatch.settle import SettleTracker, fingerprint
from ctwatch.store.cards import cards_in
from ctwatch.store.database import PUBLISHED_NAME, Database
from ctwatch.store.recovery import restore_if_damaged
from ctwatch.watch import Alarm, InboxObserver, settled

logger = logging.getLogger(__name__)

LOCK_NAME = "ctwatch.lock"


class Daemon:
    """Watches the inboxes of a configuration until it is told to stop."""

    def __init__(self, config: Config, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._monotonic = monotonic
        self._stopping = threading.Event()
        self._alarm = Alarm()
        self._refused: dict[str, str] = {}
        self._retry_at: dict[str, float] = {}
        self._done = 0

    def stop(self, *_: object) -> None:
        """Ask the daemon to stop after the batch in hand; safe from a signal handler or another thread."""
        self._stopping.set()
        self._alarm.ring()

    def run(self) -> None:
        """Work until stopped; raises the errors that a person must deal with (configuration, models, store)."""
        config = self._config
        with only_one(config.store_folder):
            database = Database(config.store_folder, busy_timeout_s=config.store.busy_timeout_s)
            database.prepare()
            loaded = panel.load(config)
            self._board = StatusBoard(
                config.store_folder,
                self._monotonic,
                version=__version__,
                pid=os.getpid(),
                started_at=datetime.now(UTC).isoformat(timespec="seconds"),
                inboxes=[storable(str(inbox)) for inbox in config.inboxes],
            )
            self._pipeline = Pipeline(config, database, loaded, stop=self._stopping.is_set)
            self._publisher = Publisher(config, database, self._monotonic)
            self._tracker = SettleTracker(config.watch.settle_s)
            with database.reading() as connection:
                self._known = cards_in(connection)
            observer = InboxObserver(config.inboxes, self._alarm, mode=config.watch.observer)
            logger.info("ctwatch %s watches %s", __version__, ", ".join(map(str, config.inboxes)))
            for ensemble in (loaded.empty, loaded.species):
                if ensemble is not None and ensemble.members[0].notes:
                    logger.warning("%s models: %s", ensemble.members[0].task, ensemble.members[0].notes)
            try:
                notify("READY=1")
                self._catch_up(published=(config.store_folder / PUBLISHED_NAME).exists())
                self._watch(observer)
            except Interrupted as interrupted:
                logger.info("%s", interrupted)
            finally:
                notify("STOPPING=1")
                observer.stop()
                self._board.update(state="stopped", card=None)
        logger.info("stopped")

    def _catch_up(self, *, published: bool) -> None:
        """Finish what an earlier run left: photographs that no model saw, a commit that was not published."""
        looked_at = self._pipeline.catch_up(progress=lambda done, total: self._progress("earlier cards", done, total))
        if looked_at:
            logger.info("looked at %d photographs of earlier cards", looked_at)
        self._publisher.pending = bool(looked_at) or bool(self._known) or not published
        self._publish(at_once=self._publisher.pending)

    def _watch(self, observer: InboxObserver) -> None:
        config = self._config
        looks = config.watch.sweep_s

        def refresh() -> None:
            observer.refresh()
            now = self._monotonic()
            for root in [root for root, due in self._retry_at.items() if due <= now]:
                del self._retry_at[root]
                self._tracker.retry(root)

        for snapshot in settled(
            config.inboxes,
            self._tracker,
            self._alarm,
            sweep_s=min(looks, config.watch.polling_s) if config.watch.observer == "polling" else looks,
            refresh=refresh,
            stop=self._stopping.is_set,
            until_next=lambda: self._until_next(observer),
            monotonic=self._monotonic,
        ):
            if snapshot is not None and fingerprint(snapshot) not in self._known:
                self._process(snapshot)
            self._publish()
            notify("WATCHDOG=1")
            self._tell_waiting()

    def _process(self, snapshot: CardSnapshot) -> None:
        name = storable(snapshot.name)
        try:
            outcome = self._pipeline.process(snapshot, lambda done, total: self._progress(name, done, total))
        except Interrupted:
            raise
        except (CardChanged, InboxMissing, ConfigError, StoreBusy) as error:
            self._refuse(snapshot, str(error))
        except StoreError:
            raise
        except Exception as error:
            # One card that trips over a fault of ours must not keep the others waiting.
            logger.exception("card %s could not be processed", name)
            self._refuse(snapshot, f"{type(error).__name__}: {error}")
        else:
            self._known.add(outcome.card_id)
            self._refused.pop(snapshot.root, None)
            self._done += not outcome.already_in
            self._publisher.pending = True
            logger.info("%s", outcome.in_words())

    def _refuse(self, snapshot: CardSnapshot, reason: str) -> None:
        logger.warning("card %s waits: %s", storable(snapshot.name), reason)
        self._refused[snapshot.root] = reason
        self._retry_at[snapshot.root] = self._monotonic() + self._config.watch.retry_s

    def _publish(self, *, at_once: bool = False) -> None:
        try:
            self._publisher.publish(at_once=at_once)
        except StoreError as error:
            # The card is in; what people read is brought up to date when there is room or peace again.
            logger.warning("%s; published later", error)

    def _progress(self, name: str, done: int, total: int) -> None:
        notify("WATCHDOG=1")
        if done in (0, total) or done % 16 == 0:
            notify(f"STATUS={name}: {done} of {total} files")
        self._board.update(now=done == 0, state="working", card={"name": name, "done": done, "total": total})

    def _tell_waiting(self) -> None:
        self._refused = {root: why for root, why in self._refused.items() if self._tracker.sees(root)}
        waiting = [
            {"name": storable(card.name), "files": len(card.files), "bytes": sum(file.size for file in card.files)}
            for card in self._tracker.waiting()
            if fingerprint(card) not in self._known
        ]
        notify(f"STATUS=waiting; {len(waiting)} cards settling, {self._done} done")
        self._board.update(
            state="waiting",
            card=None,
            settling=waiting,
            refused=[{"card": storable(root), "reason": reason} for root, reason in sorted(self._refused.items())],
            cards_done=self._done,
            unpublished=self._publisher.pending,
            missing_inboxes=[storable(str(inbox)) for inbox in self._config.inboxes if not inbox.is_dir()],
        )

    def _until_next(self, observer: InboxObserver) -> float | None:
        now = self._monotonic()
        waits = [self._publisher.wait_s(), *(max(0.0, due - now) for due in self._retry_at.values())]
        if observer.deaf:
            waits.append(self._config.watch.polling_s)
        return min((wait for wait in waits if wait is not None), default=None)


def serve(config: Config) -> None:
    """Check everything, then run the daemon with signals: TERM and INT stop it after the batch in hand, exit code 0."""
    database = Database(config.store_folder, busy_timeout_s=config.store.busy_timeout_s)
    restore_if_damaged(database, datetime.now())
    check.demand(config)
    daemon = Daemon(config)

    def on_signal(number: int, frame: FrameType | None) -> None:
        daemon.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    daemon.run()


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the store's lock while a block runs; raises StoreBusy if another daemon has it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = open(folder / LOCK_NAME, "a+b")
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot be written to ({error.strerror}); correct store.folder or its owner"
        ) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreBusy(
                f"another ctwatch daemon works in {folder}; stop it first, or set another store.folder"
            ) from error
        yield
