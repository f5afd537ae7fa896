"""The archive: cards that are in and published are moved there, by one rename or by a verified copy, and never lost between."""

import logging
import os
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from ctwatch import card_folder
from ctwatch.config import Config
from ctwatch.disk import shortage
from ctwatch.errors import Interrupted, StoreError
from ctwatch.names import storable
from ctwatch.receipts import beside, lies_at
from ctwatch.store.database import Database
from ctwatch.store.kept_cards import KeptCard, kept_cards, set_archive
from ctwatch.store.publish import open_published

logger = logging.getLogger(__name__)

_LEAVING = ".ctwatch-archived-"
"""A hidden folder in an inbox, which no sweep looks into: a card whose copy in the archive is verified."""
_COMING = ".ctwatch-copying-"


class Archive:
    """Moves cards out of the inboxes of one configuration.

    The order makes every interruption harmless: the copy is complete and verified, or can be had by one rename, before the
    database says where the card lies; only then does the folder in the inbox go. `settle` does what is left.
    """

    def __init__(self, config: Config, database: Database, step: Callable[[], None] = lambda: None) -> None:
        """Take the configuration, the database, and what to call all along: it may raise Interrupted."""
        self._config = config
        self._database = database
        self._folder = str(config.path(config.cards.archive))
        self._inboxes = {str(inbox) for inbox in config.inboxes}
        self._step = step
        self._refused: dict[str, str] = {}

    def move_published(self, now: datetime, stop: Callable[[], bool] = lambda: False) -> int:
        """Move every card that the published copy holds and whose folder is as it was read; returns how many.

        `now` is UTC. A card that cannot be moved stays, the log says why, and it is tried again the next time; so it is where
        the database could not be written to. Raises StoreError if the published copy cannot be read.
        """
        with open_published(self._config.store_folder) as connection:
            waiting = [card for card in kept_cards(connection) if self._can_be_moved(card)]
        moved = 0
        for card in waiting:
            if stop():
                break
            try:
                moved += self._move(card, now)
                self._refused.pop(card.card_id, None)
            except (OSError, StoreError) as error:
                if self._refused.get(card.card_id) != str(error):
                    logger.warning(
                        "card %s stays in the inbox, it could not be moved into the archive: %s",
                        storable(card.card_name),
                        error,
                    )
                self._refused[card.card_id] = str(error)
        return moved

    @property
    def waits(self) -> bool:
        """Whether cards could not be moved that may be tried again."""
        return bool(self._refused)

    def settle(self) -> None:
        """Finish moves that were cut off; to be called before the inboxes are looked at. Raises StoreError."""
        with self._database.reading() as connection:
            known = kept_cards(connection)
        for card in known:
            if card.archive is None:
                continue
            try:
                self._finish(card, card.archive)
            except OSError as error:
                logger.warning("card %s: its move into the archive waits: %s", storable(card.card_name), error)
                self._undo(card, card.archive)
        mine = {self._coming(card) for card in known if card.archive is not None}
        for name in os.listdir(self._folder) if os.path.isdir(self._folder) else ():
            stale = os.path.join(self._folder, name)
            if name.startswith(_COMING) and stale not in mine:
                shutil.rmtree(stale, ignore_errors=True)

    def _can_be_moved(self, card: KeptCard) -> bool:
        if card.archive is not None:
            return False
        if card.loose or card.inbox not in self._inboxes:
            return False
        return lies_at(card, card.root)

    def _move(self, card: KeptCard, now: datetime) -> bool:
        os.makedirs(self._folder, exist_ok=True)
        place = self._free_place(card)
        others = card_folder.not_to_be_copied(card.root)
        if others:
            raise OSError(f"links or special files lie in it, such as {storable(others[0])}; take them out")
        card_folder.demand_removable(card.root)
        verified: card_folder.Listing = {}
        if not card_folder.same_disk(card.root, self._folder):
            short = shortage(Path(self._folder), self._config.store.min_free_gb)
            if short is not None:
                raise OSError(short)
            aside = self._coming(card)
            shutil.rmtree(aside, ignore_errors=True)
            try:
                verified = card_folder.copy(card.root, aside, self._step)
            except (OSError, Interrupted):
                shutil.rmtree(aside, ignore_errors=True)
                raise
            if not lies_at(card, card.root):
                shutil.rmtree(aside, ignore_errors=True)
                return False
        with self._database.writing() as connection:
            set_archive(connection, card.card_id, place, now)
        try:
            self._finish(card, place, verified)
        except OSError:
            self._undo(card, place)
            raise
        card_folder.take_back(card.inbox, beside(card.root))
        return True

    def _undo(self, card: KeptCard, place: str) -> None:
        """Take back what the database says of a card that has not left its folder."""
        if os.path.isdir(place) or os.path.isdir(self._coming(card)) or not lies_at(card, card.root):
            return
        with self._database.writing() as connection:
            set_archive(connection, card.card_id, None, card.processed_at)

    def _finish(self, card: KeptCard, place: str, verified: card_folder.Listing | None = None) -> None:
        """Bring a card to where the database says that it lies, and its folder in the inbox away."""
        aside, leaving = self._coming(card), self._leaving(card)
        if not os.path.isdir(place):
            if os.path.isdir(aside):
                card_folder.rename(aside, place)
            elif lies_at(card, card.root):
                card_folder.rename(card.root, place)
                self._put_back_if_changed(card, place)
                return
            else:
                return  # another disk is mounted, or somebody has moved it on
        if lies_at(card, card.root) and not os.path.lexists(leaving):
            card_folder.rename(card.root, leaving)
        if os.path.isdir(leaving):
            left = card_folder.empty(leaving, place, verified or {}, self._step)
            if left:
                # Not what the archive holds, so a card of its own: seen again, and read.
                there = leaving if os.path.lexists(card.root) else card.root
                if there != leaving:
                    card_folder.rename(leaving, there)
                logger.warning(
                    "%s: %d files are not in the archive and stay, such as %s",
                    storable(there),
                    len(left),
                    storable(left[0]),
                )

    def _put_back_if_changed(self, card: KeptCard, place: str) -> None:
        """Undo a rename behind which somebody was still writing, so that the card is read again."""
        if lies_at(card, place):
            return
        card_folder.rename(place, card.root)
        with self._database.writing() as connection:
            set_archive(connection, card.card_id, None, card.processed_at)

    def _free_place(self, card: KeptCard) -> str:
        name, number = os.path.basename(card.root), 1
        place = os.path.join(self._folder, name)
        while os.path.lexists(place):
            number += 1
            place = os.path.join(self._folder, f"{name}-{number}")
        return place

    def _coming(self, card: KeptCard) -> str:
        return os.path.join(self._folder, f"{_COMING}{card.card_id}")

    def _leaving(self, card: KeptCard) -> str:
        return os.path.join(os.path.dirname(card.root), f"{_LEAVING}{card.card_id}")
