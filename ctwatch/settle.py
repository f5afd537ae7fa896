"""Which dropped cards have stopped changing: a pure object that is handed snapshots and the time."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from ctwatch.domain import CardSnapshot
from ctwatch.identity import derived_id

TEMPORARY_SUFFIXES = (".part", ".tmp", ".crdownload", ".filepart", ".partial")
TEMPORARY_PREFIXES = ("~$", ".~")
READY_NAME = "ready"


def is_temporary(name: str) -> bool:
    """Whether a copying program gives files such a name while it still writes them."""
    lowered = name.lower()
    return lowered.endswith(TEMPORARY_SUFFIXES) or lowered.startswith(TEMPORARY_PREFIXES)


def fingerprint(snapshot: CardSnapshot) -> str:
    """Return an id of a card's listing: paths, sizes and times, not what a remount changes (inode, ctime)."""
    return derived_id(snapshot.root, *(f"{file.path}\x00{file.size}\x00{file.mtime_ns}" for file in snapshot.files))


@dataclass(slots=True)
class _Watched:
    snapshot: CardSnapshot
    quiet_since: float
    looks: int = 1
    handed_out: str | None = None


@dataclass(slots=True)
class SettleTracker:
    """Decides when a card is whole.

    A card has settled when two looks or more saw the same files with the same sizes and times for `settle_s` seconds
    and no temporary name is left, or when a file named READY (any case) is in it. Each state of a card is handed out
    once; a card that grows later is handed out again.
    """

    settle_s: float
    _watched: dict[str, _Watched] = field(default_factory=dict)

    def update(self, snapshots: Iterable[CardSnapshot], now: float) -> list[CardSnapshot]:
        """Take one look at every card that is there and return those that have settled just now.

        `now` is monotonic seconds. A card that is missing from the look is forgotten, which deletes nothing: it is
        simply watched afresh when it comes back.
        """
        seen = {snapshot.root: snapshot for snapshot in snapshots}
        for root in self._watched.keys() - seen.keys():
            del self._watched[root]
        settled = []
        for root, snapshot in sorted(seen.items()):
            watched = self._watched.get(root)
            if watched is None:
                watched = self._watched[root] = _Watched(snapshot, now)
            elif watched.snapshot == snapshot:
                watched.looks += 1
            else:
                watched.snapshot, watched.quiet_since, watched.looks = snapshot, now, 1
            if self._has_settled(watched, now):
                state = fingerprint(snapshot)
                if watched.handed_out != state:
                    watched.handed_out = state
                    settled.append(snapshot)
        return settled

    def retry(self, root: str) -> None:
        """Hand the card out again at the next look, for one whose processing failed."""
        if root in self._watched:
            self._watched[root].handed_out = None

    def sees(self, root: str) -> bool:
        """Whether the card was there at the last look."""
        return root in self._watched

    def waiting(self) -> list[CardSnapshot]:
        """Cards seen but not yet handed out in their present state."""
        return [
            watched.snapshot
            for _, watched in sorted(self._watched.items())
            if watched.handed_out != fingerprint(watched.snapshot)
        ]

    def next_due(self, now: float) -> float | None:
        """Seconds until the earliest card could settle if it stays quiet; None if nothing waits."""
        waits = [
            max(0.0, watched.quiet_since + self.settle_s - now)
            for watched in self._watched.values()
            if watched.handed_out != fingerprint(watched.snapshot)
        ]
        return min(waits, default=None)

    def _has_settled(self, watched: _Watched, now: float) -> bool:
        if watched.snapshot.ready:
            return True
        quiet = now - watched.quiet_since >= self.settle_s and watched.looks >= 2
        return quiet and not watched.snapshot.copying
