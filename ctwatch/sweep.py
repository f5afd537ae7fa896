"""Looks through inboxes again and again: a card that rests is listed anew only where one of its folders changed."""

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from ctwatch.card import Folders, Look, are_as_before, scan_inbox

GRANULARITY_S = 2.0
"""The coarsest times that a file system keeps (FAT): of two changes within it, the second may leave no trace in a folder."""
FULL_LOOK_S = 3600.0
FULL_LOOK_UNHEARD_S = 300.0
"""Everything is listed at least this often; the latter where no events tell of files that are written to in place."""
_SHARE, _SHARE_UNHEARD = 1 / 200, 1 / 20
"""But for no more than this share of the time."""


@dataclass(frozen=True, slots=True)
class _Listed:
    """A card as it was when it was last listed: its folders, not its files."""

    folders: Folders
    since: float
    """When its folders were first seen so, monotonic seconds."""
    is_sure: bool
    """It was listed long enough after that: whatever changes its folders later changes their times."""


class Sweep:
    """Remembers of each card in what state its folders were when it was last listed.

    A folder's times tell what was put into it, taken out and renamed, but only once it was seen with the same ones at two
    looks `GRANULARITY_S` apart, by the monotonic clock: what happened after the second must then show. They never tell of a
    file that is written to in place.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """Take a monotonic clock (seconds)."""
        self._monotonic = monotonic
        self._listed: dict[Path, dict[str, _Listed]] = {}
        self._full: dict[Path, tuple[float, float]] = {}
        """When everything in an inbox was last listed, and how long that took."""

    def look(
        self, inbox: Path, rests: Callable[[str], bool], touched: Collection[str] | None, *, unheard: bool = False
    ) -> Iterator[Look]:
        """Look at every card in an inbox; one for whose root `rests` is true only where something has changed.

        `touched` are folders in which something happened since the last look; None: nobody knows. `unheard` inboxes are
        those of which no events tell. Raises InboxMissing; what was remembered is forgotten then.
        """
        before = self._listed.pop(inbox, {})
        now: dict[str, _Listed] = {}
        started = self._monotonic()
        full = touched is None or self._full_look_is_due(inbox, started, unheard)
        news = {_root_of(folder, str(inbox)) for folder in touched or ()}

        def as_it_was(root: str) -> bool:
            known = before.get(root)
            if full or known is None or not known.is_sure or root in news or not rests(root):
                return False
            return are_as_before(root, known.folders)

        for look in scan_inbox(inbox, as_it_was):
            known = before.get(look.root)
            if look.card is None and known is not None:
                now[look.root] = known
            elif known is not None and look.folders == known.folders:
                now[look.root] = _Listed(known.folders, known.since, started - known.since >= GRANULARITY_S)
            else:
                now[look.root] = _Listed(look.folders, self._monotonic(), is_sure=False)
            yield look
        self._listed[inbox] = now
        if full:
            self._full[inbox] = (self._monotonic(), self._monotonic() - started)

    def _full_look_is_due(self, inbox: Path, now: float, unheard: bool) -> bool:
        if inbox not in self._full:
            return True
        ended, took = self._full[inbox]
        rest = max(FULL_LOOK_UNHEARD_S, took / _SHARE_UNHEARD) if unheard else max(FULL_LOOK_S, took / _SHARE)
        return now - ended >= rest


def _root_of(folder: str, inbox: str) -> str:
    """Return the root of the card that a folder belongs to; the inbox itself for what lies loose in it."""
    first = os.path.relpath(folder, inbox).split(os.sep)[0]
    return inbox if first == os.curdir else os.path.join(inbox, first)
