"""What is known of contents before they are decoded, shared by all threads that read a card."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from ctwatch.domain import Failure, Quarantined
from ctwatch.names import storable

_IN_HEADER = "; while its header was read"


class Step(StrEnum):
    """How far a content is looked into."""

    NOTHING = "nothing"
    HEADER = "header"
    PICTURE = "picture"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far a content is looked into, and as what it fails if its picture must not be decoded."""

    step: Step
    failure: Failure | None = None
    detail: str | None = None


class Verdicts:
    """What is known of contents while one card is read.

    A content that dies is known to every thread at once, and copies of one content are decoded one after the other, so
    that each content dies once at most.
    """

    def __init__(
        self, card_name: str, is_known: Callable[[str], bool], quarantined: Iterable[Quarantined] = ()
    ) -> None:
        """Take a question whether a content's pixels are needed no more, and what is in quarantine."""
        self._card_name = storable(card_name)
        self._is_known = is_known
        self._quarantined = {item.media_id: item for item in quarantined}
        self._under_way: set[str] = set()
        self._changed = threading.Condition()
        self._unrecorded: list[Quarantined] = []

    @contextmanager
    def on(self, media_id: str, file_path: str) -> Iterator[Verdict]:
        """Say how far a content is looked into; while the block runs, no other thread looks into it."""
        with self._changed:
            self._changed.wait_for(lambda: media_id not in self._under_way)
            self._under_way.add(media_id)
        try:
            yield self._verdict(media_id, file_path)
        finally:
            with self._changed:
                self._under_way.discard(media_id)
                self._changed.notify_all()

    def died(self, media_id: str, file_path: str, failure: Failure, detail: str, *, in_header: bool) -> str:
        """Remember a content that no decoder survived; returns the whole detail. To be called within `on`."""
        whole = detail + (_IN_HEADER if in_header else "")
        with self._changed:
            item = Quarantined(media_id, self._card_name, storable(file_path), str(failure), whole)
            self._quarantined[media_id] = item
            self._unrecorded.append(item)
        return whole

    def take_unrecorded(self) -> list[Quarantined]:
        """Return, once, what died since this was last asked."""
        with self._changed:
            taken, self._unrecorded = self._unrecorded, []
        return taken

    def _verdict(self, media_id: str, file_path: str) -> Verdict:
        dead = self._quarantined.get(media_id)
        if dead is None:
            return Verdict(Step.HEADER if self._is_known(media_id) else Step.PICTURE)
        # Where reading the header was enough to kill, that is not done again either.
        step = Step.NOTHING if (dead.detail or "").endswith(_IN_HEADER) else Step.HEADER
        if (dead.card_name, dead.file_path) == (self._card_name, storable(file_path)):
            # The same file of the same card, read again after a break: its row is to be what it would have been.
            return Verdict(step, Failure(dead.reason), dead.detail)
        first = (
            f"{dead.reason} on card {dead.card_name}, {dead.file_path}: {dead.detail}; `ctwatch retry` tries it again"
        )
        return Verdict(step, Failure.QUARANTINED, first)
