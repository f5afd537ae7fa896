"""What is done between cards: receipts for what was published, cards into the archive, a copy of the database once a day."""

import logging
from collections.abc import Callable
from datetime import datetime

from ctwatch.archive import Archive
from ctwatch.config import Config
from ctwatch.errors import Interrupted, StoreError
from ctwatch.receipts import give_receipts
from ctwatch.store.backups import back_up, due
from ctwatch.store.database import Database

logger = logging.getLogger(__name__)


ARCHIVE_RETRY_S = 600.0
"""A card that could not be moved into the archive is tried again after this long."""


class Upkeep:
    """Keeps a store and its inboxes in order; nothing that goes wrong here stops the work on cards."""

    def __init__(
        self,
        config: Config,
        database: Database,
        *,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        retry_s: float,
        step: Callable[[], None] = lambda: None,
    ) -> None:
        """Take a clock (UTC, without zone), a monotonic one (seconds), and when to try again what could not be done.

        `step` is called all along long work; it may raise Interrupted.
        """
        self._config, self._database = config, database
        self._now, self._monotonic = now, monotonic
        self._archive = Archive(config, database, step) if config.cards.after == "archive" else None
        self._retry_s = retry_s
        self._after_publication = True
        self._not_before = float("-inf")
        self._again_at: float | None = None
        self._told: dict[str, str] = {}

    def settle(self) -> None:
        """Finish what an earlier run was cut off in; to be called before the inboxes are looked at."""
        archive = self._archive
        if archive is not None:
            self._attempt("the archive", archive.settle)

    def published(self) -> None:
        """Take notice that a copy was published: it may hold cards that have no receipt yet."""
        self._after_publication = True

    def work(self, stop: Callable[[], bool]) -> bool:
        """Do what is due; returns whether the database changed, so that it must be published."""
        if self._monotonic() < self._not_before:
            return False
        moved = 0
        if self._again_at is not None and self._monotonic() >= self._again_at:
            self._after_publication = True
        if self._after_publication:
            self._after_publication = not self._attempt("receipts", lambda: give_receipts(self._config, self._now()))
            self._again_at = None
            if self._archive is not None and not self._after_publication:
                archive = self._archive

                def move() -> None:
                    nonlocal moved
                    moved = archive.move_published(self._now(), stop)

                self._after_publication = not self._attempt("the archive", move)
                self._again_at = self._monotonic() + ARCHIVE_RETRY_S if archive.waits else None
        self._attempt("the daily backup", self._back_up_daily)
        return moved > 0

    def wait_s(self) -> float | None:
        """Seconds until something that could not be done may be tried again; None if nothing is left."""
        if self._after_publication:
            return max(0.0, self._not_before - self._monotonic())
        return None if self._again_at is None else max(0.0, self._again_at - self._monotonic())

    def _back_up_daily(self) -> None:
        if not self._config.store.backups or not due(self._config.store_folder, self._now()):
            return
        path = back_up(self._database, self._config.store_folder, self._now(), keep=self._config.store.backups)
        logger.info("the database was backed up: %s", path)

    def _attempt(self, what: str, work: Callable[[], object]) -> bool:
        try:
            work()
        except (StoreError, OSError) as error:
            if self._told.get(what) != str(error):
                logger.warning("%s: %s; tried again and again", what, error)
                self._told[what] = str(error)
            self._not_before = self._monotonic() + self._retry_s
            return False
        except Interrupted:
            raise
        except Exception:
            logger.exception("%s could not be seen to", what)
            self._not_before = self._monotonic() + self._retry_s
            return False
        self._told.pop(what, None)
        return True
