"""The daemon: for each settled card, process it; publish; say how it is; pause when the disk is full; stop when asked."""

import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from types import FrameType
from typing import TypeVar

from ctwatch import __version__, check, receipts
from ctwatch.config import Config
from ctwatch.disk import shortage
from ctwatch.domain import CardSnapshot
from ctwatch.errors import (
    CardChanged,
    ConfigError,
    CtwatchError,
    InboxMissing,
    Interrupted,
    StoreBusy,
    StoreError,
    StoreFull,
)
from ctwatch.export.files import clear_unfinished
from ctwatch.names import storable
from ctwatch.pipeline import Pipeline
from ctwatch.results import Publisher, utc_now
from ctwatch.service import StatusBoard, longest_silence_s, notify
from ctwatch.settle import SettleTracker, fingerprint
from ctwatch.store.cards import card_is_in, cards_in
from ctwatch.store.database import PUBLISHED_NAME, Database
from ctwatch.store.lock import only_one
from ctwatch.store.preparation import prepare
from ctwatch.store.recovery import restore_if_damaged
from ctwatch.upkeep import Upkeep
from ctwatch.watch import Alarm, InboxObserver, settled

logger = logging.getLogger(__name__)

PAUSE_S = 15.0
"""A disk that took nothing more, or a database that somebody holds, is tried again after this long."""
Answer = TypeVar("Answer")


class Daemon:
    """Watches the inboxes of a configuration until it is told to stop."""

    def __init__(
        self,
        config: Config,
        *,
        renew: Callable[[], Config] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        pause_s: float = PAUSE_S,
    ) -> None:
        """Take the configuration, how to read it again, a monotonic clock, and how long a pause lasts at least."""
        self._config = config
        self._renew = renew or (lambda: config)
        self._monotonic = monotonic
        self._pause_s = pause_s
        # Plain flags: an Event holds a lock, and a signal handler may interrupt the thread that has it.
        self._stopping = False
        self._renewing = False
        self._alarm = Alarm()
        self._refused: dict[str, str] = {}
        self._retry_at: dict[str, float] = {}
        self._waiting: dict[str, CardSnapshot] = {}
        """Cards that have settled and wait for room."""
        self.paused: str | None = None
        """Why no card is begun just now."""
        self._paused_until = float("-inf")
        self._told = ""
        self._next_sign = float("-inf")
        self._done = 0

    def stop(self) -> None:
        """Ask the daemon to stop after the batch in hand; safe from a signal handler or another thread."""
        self._stopping = True
        self._alarm.ring()

    def reload(self) -> None:
        """Ask the daemon to read its configuration again after the card in hand; safe from a signal handler."""
        self._renewing = True
        self._alarm.ring()

    def run(self) -> None:
        """Work until stopped; raises the errors that a person must deal with (configuration, models, store)."""
        config = self._config
        with only_one(config.store_folder):
            self._board = StatusBoard(
                config.store_folder,
                self._monotonic,
                version=__version__,
                pid=os.getpid(),
                started_at=datetime.now(UTC).isoformat(timespec="seconds"),
                inboxes=[storable(str(inbox)) for inbox in config.inboxes],
            )
            self._board.update(state="starting", card=None)
            self._database = Database(config.store_folder, busy_timeout_s=config.store.busy_timeout_s)
            try:
                self._patiently(lambda: restore_if_damaged(self._database, utc_now()))
                self._panel = self._patiently(lambda: check.demand(config, waiting=self._step_of_start))
                self._patiently(lambda: prepare(self._database))
                clear_unfinished(config.store_folder)
                logger.info("ctwatch %s watches %s", __version__, ", ".join(map(str, config.inboxes)))
                while True:
                    self._work()
                    if self._stopping:
                        break
                    self._read_configuration()
            except Interrupted as interrupted:
                logger.info("%s", interrupted)
            finally:
                notify("STOPPING=1")
                self._board.update(state="stopped", card=None)
        logger.info("stopped")

    def _work(self) -> None:
        """Work with one configuration, until stopped or asked to read it again."""
        config, database = self._config, self._database
        for ensemble in (self._panel.empty, self._panel.species):
            if ensemble is not None and ensemble.members[0].notes:
                logger.warning("%s models: %s", ensemble.members[0].task, ensemble.members[0].notes)
        self._pipeline = Pipeline(config, database, self._panel, stop=self._must_stop)
        self._publisher = Publisher(config, database, self._monotonic)
        self._upkeep = Upkeep(
            config, database, now=utc_now, monotonic=self._monotonic, retry_s=self._pause_s, step=self._step
        )
        self._tracker = SettleTracker(config.watch.settle_s, config.watch.unfinished_s)
        self._known = self._patiently(self._cards_in)
        self._publisher.pending = bool(self._known) or not (config.store_folder / PUBLISHED_NAME).exists()
        self._catch_up_due = True
        observer = InboxObserver(config.inboxes, self._alarm, mode=config.watch.observer)
        try:
            notify("READY=1")
            self._upkeep.settle()
            self._turn(at_once=True)
            self._watch(observer)
        finally:
            observer.stop()
            self._pipeline.close()

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
            stop=lambda: self._stopping or self._renewing,
            until_next=lambda: self._until_next(observer),
            monotonic=self._monotonic,
            known=self._known,
            deaf=observer.deaf,
            moved=observer.moved,
            beat=self._beat,
            beat_s=longest_silence_s(),
        ):
            if snapshot is not None:
                self._take(snapshot)
            elif self._tracker.recognised:
                self._upkeep.settle()  # copies of these cards may lie in the archive already
            self._turn()

    def _must_stop(self) -> bool:
        return self._stopping

    def _step(self) -> None:
        """A sign of life in the midst of long work, where a stop may be asked for."""
        if self._monotonic() >= self._next_sign:
            self._next_sign = self._monotonic() + 1.0
            self._beat()
        if self._stopping:
            raise Interrupted("stopped in the midst of keeping things in order; goes on next time")

    def _step_of_start(self) -> None:
        notify("EXTEND_TIMEOUT_USEC=60000000")  # engines are tried at the first start; it takes what it takes
        self._step()

    def _beat(self) -> None:
        notify("WATCHDOG=1")
        self._board.update()

    def _turn(self, *, at_once: bool = False) -> None:
        """Do what is due between cards."""
        if self._catch_up_due and self._room():
            self._catch_up()
        self._publish(at_once=at_once)
        if self._room() and self._upkeep.work(self._must_stop):
            self._publisher.pending = True
        notify("WATCHDOG=1")
        self._tell_waiting()

    def _catch_up(self) -> None:
        """Finish what an earlier run left: photographs that no model saw."""
        try:
            looked_at = self._pipeline.catch_up(
                progress=lambda done, total: self._progress("earlier cards", done, total)
            )
        except StoreFull as error:
            self._pause(str(error))
        except (StoreBusy, ConfigError) as error:
            logger.warning("earlier cards wait: %s", error)
        except (Interrupted, StoreError):
            raise
        except Exception:
            # A fault of ours here must not keep new cards waiting, start after start.
            logger.exception("earlier cards could not be looked at; tried again at the next start")
            self._catch_up_due = False
        else:
            self._catch_up_due = False
            if looked_at:
                logger.info("looked at %d photographs of earlier cards", looked_at)
                self._publisher.pending = True

    def _take(self, snapshot: CardSnapshot) -> None:
        """Process a card if there is room for it; else it is handed out again."""
        if not self._is_in(fingerprint(snapshot)):
            receipts.withdraw(snapshot.root)
        if not self._room():
            self._put_off(snapshot)
            return
        name = storable(snapshot.name)
        try:
            outcome = self._pipeline.process(snapshot, lambda done, total: self._progress(name, done, total))
        except Interrupted:
            raise
        except StoreFull as error:
            self._pause(str(error))
            self._put_off(snapshot)
        except (CardChanged, InboxMissing, ConfigError, StoreBusy) as error:
            self._refuse(snapshot, str(error))
        except StoreError:
            raise
        except Exception as error:
            # One card that trips over a fault of ours must not keep the others waiting.
            logger.exception("card %s could not be processed", name)
            self._refuse(snapshot, f"{type(error).__name__}: {error}")
        else:
            self._told = ""
            self._known.add(outcome.card_id)
            self._refused.pop(snapshot.root, None)
            self._waiting.pop(snapshot.root, None)
            self._done += not outcome.already_in
            self._publisher.pending = True
            logger.info("%s", outcome.in_words(), extra={"facts": outcome.as_dict()})

    def _put_off(self, snapshot: CardSnapshot) -> None:
        """Have a card handed out again once the pause is over."""
        self._waiting[snapshot.root] = snapshot
        self._retry_at[snapshot.root] = self._paused_until

    def _refuse(self, snapshot: CardSnapshot, reason: str) -> None:
        logger.warning("card %s waits: %s", storable(snapshot.name), reason)
        self._refused[snapshot.root] = reason
        self._retry_at[snapshot.root] = self._monotonic() + self._config.watch.retry_s

    def _publish(self, *, at_once: bool) -> None:
        try:
            if self._publisher.publish(at_once=at_once and self._publisher.pending):
                self._upkeep.published()
        except StoreError as error:
            # The cards are in; what people read is brought up to date when there is room or peace again.
            logger.warning("%s; published later", error)
        except Exception:
            logger.exception("what is in could not be published; tried again later")

    def _room(self) -> bool:
        """Whether cards may be begun: the disk has room, and the last pause is over."""
        if self._monotonic() < self._paused_until:
            return False
        try:
            short = shortage(self._config.store_folder, self._config.store.min_free_gb)
        except OSError as error:
            short = f"{self._config.store_folder}: {error}"
        if short is not None:
            self._pause(short)
            return False
        self.paused = None
        return True

    def _pause(self, reason: str) -> None:
        if reason != self._told:
            logger.error("paused: %s. No card is begun until then; nothing is lost", reason)
            self._told = reason
        self.paused = reason
        self._paused_until = self._monotonic() + self._pause_s

    def _patiently(self, attempt: Callable[[], Answer]) -> Answer:
        """Try again for as long as somebody holds the database or its disk is full; raises Interrupted when stopped."""
        told = ""
        while not self._stopping:
            try:
                answer = attempt()
            except (StoreBusy, StoreFull) as error:
                if str(error) != told:
                    told = str(error)
                    logger.warning("waiting: %s", told)
                self.paused = told
                self._board.update(state="paused", paused=told)
                # Starting is allowed to take as long as the reason lasts.
                notify(
                    f"WATCHDOG=1\nEXTEND_TIMEOUT_USEC={int(4e6 * (self._pause_s + 60))}\nSTATUS=paused: {_first_line(told)}"
                )
                self._alarm.sleep(self._pause_s)
            else:
                self.paused = None
                return answer
        raise Interrupted("stopped before there was a database to work with")

    def _cards_in(self) -> set[str]:
        with self._database.reading() as connection:
            return cards_in(connection)

    def _is_in(self, card_id: str) -> bool:
        """Whether a card is in: `ctwatch process` may have been quicker."""
        with suppress(StoreError), self._database.reading() as connection:
            return card_is_in(connection, card_id)
        return False

    def _read_configuration(self) -> None:
        """Take over the configuration as it is now; a wrong one is told of and changes nothing."""
        self._renewing = False
        notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}\nSTATUS=reads its configuration")
        try:
            config = self._renew()
            asked = check.demand(config, waiting=self._step, when_needed=True)
            # Networks of the same files are not loaded beside those that run already.
            same = config.models == self._config.models and asked.models == self._panel.models
            loaded = self._panel if same else check.demand(config, waiting=self._step)
            if config.store_folder != self._config.store_folder:
                raise ConfigError([f"store.folder: {config.store_folder} needs a restart of the daemon"])
        except CtwatchError as error:
            logger.error("the configuration was not taken over, the one before holds: %s", error)
            return
        self._config, self._panel = config, loaded
        self._refused, self._retry_at, self._waiting = {}, {}, {}
        self._board.update(inboxes=[storable(str(inbox)) for inbox in config.inboxes])
        logger.info("the configuration was read again; watching %s", ", ".join(map(str, config.inboxes)))

    def _progress(self, name: str, done: int, total: int) -> None:
        notify("WATCHDOG=1")
        if done in (0, total) or done % 16 == 0:
            notify(f"STATUS={_first_line(name)}: {done} of {total} files")
        self._board.update(now=done == 0, state="working", card={"name": name, "done": done, "total": total})

    def _tell_waiting(self) -> None:
        self._refused = {root: why for root, why in self._refused.items() if self._tracker.sees(root)}
        self._waiting = {root: card for root, card in self._waiting.items() if self._tracker.sees(root)}
        waiting = [
            {
                "name": storable(card.name),
                "files": len(card.files),
                "bytes": sum(file.size for file in card.files),
                "waits_for": [storable(name) for name in self._tracker.waits_for(card.root)],
            }
            for card in (self._waiting | {card.root: card for card in self._tracker.waiting()}).values()
        ]
        doing = "waiting" if self.paused is None else f"PAUSED: {_first_line(self.paused)}"
        notify(f"STATUS={doing}; {len(waiting)} cards settling, {self._done} done")
        self._board.update(
            state="waiting" if self.paused is None else "paused",
            paused=self.paused,
            card=None,
            settling=waiting,
            refused=[{"card": storable(root), "reason": reason} for root, reason in sorted(self._refused.items())],
            cards_done=self._done,
            unpublished=self._publisher.pending,
            missing_inboxes=[storable(str(inbox)) for inbox in self._config.inboxes if not os.path.isdir(inbox)],
        )

    def _until_next(self, observer: InboxObserver) -> float | None:
        now = self._monotonic()
        waits = [
            self._publisher.wait_s(),
            self._upkeep.wait_s() if self.paused is None else None,
            *(max(0.0, due - now) for due in self._retry_at.values()),
        ]
        if observer.deaf:
            waits.append(self._config.watch.polling_s)
        if self.paused is not None:
            waits.append(max(0.0, self._paused_until - now))
        if self._catch_up_due:
            waits.append(self._pause_s)
        return min((wait for wait in waits if wait is not None), default=None)


def serve(config: Config, renew: Callable[[], Config] | None = None) -> None:
    """Run the daemon with signals: TERM and INT stop it after the batch in hand, exit code 0; HUP reads `renew`."""
    daemon = Daemon(config, renew=renew)

    def on_signal(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            daemon.reload()
        else:
            daemon.stop()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, on_signal)
    daemon.run()


def _first_line(text: str) -> str:
    return storable(text).split("\n", 1)[0][:200]
