"""Which dropped cards have stopped changing: a pure object that is handed snapshots, answers and the time."""

import re
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field, replace

from ctwatch.domain import CardSnapshot, Ignored
from ctwatch.identity import derived_id

TEMPORARY_SUFFIXES = (".part", ".tmp", ".crdownload", ".opdownload", ".filepart", ".partial")
TEMPORARY_PREFIXES = ("~$", ".~", ".syncthing.", "~syncthing~", ".goutputstream-", ".pending-", ".rsync-partial")
READY_NAME = "ready"
EMPTY_CARD = "(the folder is empty)"
"""What a card without a single file is said to wait for."""
MOST_NAMES = 5
"""So many names say what a card waits for."""
# rsync: .IMG_0001.JPG.Xa3d9f; a name with an ending of its own, so that .app.config of some program is none.
_RSYNC = re.compile(r"\.(?P<name>.+\.[^.]+)\.[A-Za-z0-9]{6}")
_NEXTCLOUD = re.compile(r"\.(?P<name>.+)\.~[0-9a-f]+")
_PREFIXED = re.compile(r"(?:\.syncthing\.|~syncthing~|\.pending-\d+-)(?P<name>.+)")


def is_temporary(name: str) -> bool:
    """Whether a copying program gives files or folders such a name while it still writes them."""
    lowered = name.lower()
    if lowered.endswith(TEMPORARY_SUFFIXES) or lowered.startswith(TEMPORARY_PREFIXES):
        return True
    return any(pattern.fullmatch(name) for pattern in (_RSYNC, _NEXTCLOUD))


def final_name(name: str) -> str | None:
    """Return the name that a temporary file gets when it is whole; None where its name does not tell."""
    for pattern in (_NEXTCLOUD, _RSYNC):
        if match := pattern.fullmatch(name):
            return match["name"]
    for suffix in TEMPORARY_SUFFIXES:
        if name.lower().endswith(suffix):
            name = name[: -len(suffix)]
            match = _PREFIXED.fullmatch(name)
            return match["name"] if match else name
    match = _PREFIXED.fullmatch(name)
    return match["name"] if match else None


def fingerprint(snapshot: CardSnapshot) -> str:
    """Return an id of a card's listing: paths, sizes and times, not what a remount changes (inode, ctime)."""
    return derived_id(snapshot.root, *(f"{file.path}\x00{file.size}\x00{file.mtime_ns}" for file in snapshot.files))


def still_to_come(snapshot: CardSnapshot) -> tuple[str, ...]:
    """Names of temporary files whose own file is not there yet: without it no card is whole, however long it rests."""
    return tuple(path for path, arrived in _temporary(snapshot) if not arrived)


def incomplete(snapshot: CardSnapshot) -> tuple[str, ...]:
    """Names that a listing alone shows to be unfinished, most telling first; they may as well be broken for good.

    Photographs and videos without a byte (many programs create all files first and fill them later) and folders that
    could not be looked into; camera folders with nothing in them; temporary files whose own file lies beside them (a
    copy was broken off and made again, or one is replaced); a card without a file.
    """
    empty = [file.path for file in snapshot.files if not file.size and file.ignored in (None, Ignored.VIDEO)]
    left = [path for path, arrived in _temporary(snapshot) if arrived]
    nothing = [] if snapshot.files else [EMPTY_CARD]
    return (*empty, *snapshot.hollow, *left, *nothing)


def _temporary(snapshot: CardSnapshot) -> list[tuple[str, bool]]:
    """Pair each temporary file's path with whether the file that it becomes is there."""
    if not snapshot.temporary:
        return []
    there = {file.path for file in snapshot.files}
    pairs = []
    for file in snapshot.temporary:
        parts = file.path.split("/")
        first = next((number for number, part in enumerate(parts) if is_temporary(part)), len(parts) - 1)
        # Below a temporary folder a file has its own name already.
        name = final_name(parts[first]) if first == len(parts) - 1 else parts[-1]
        pairs.append((file.path, name is not None and "/".join((*parts[:first], name)) in there))
    return pairs


def _nothing(snapshot: CardSnapshot) -> Sequence[str]:
    return ()


@dataclass(slots=True)
class _Watched:
    snapshot: CardSnapshot
    """As it was last seen; without its files once nothing is asked about them any more."""
    seen: int
    """A hash of that with its files: one for a card is kept, not one for a file."""
    state: str
    quiet_since: float
    seen_at: float
    looks: int = 1
    present: bool = True
    handed_out: str | None = None
    known: bool = False
    """Its state is one of those that need not be looked into."""
    missing: tuple[str, ...] = ()
    waits_for: tuple[str, ...] = ()
    asked_at: float = 0.0

    @property
    def is_waiting(self) -> bool:
        return self.handed_out != self.state


@dataclass(slots=True)
class SettleTracker:
    """Decides when a card is whole.

    A card has settled when two looks or more saw the same files with the same sizes and times for `settle_s` seconds,
    no temporary name is left whose file is still to come, and nothing on it is unfinished; what is still unfinished
    after `unfinished_s` seconds of quiet counts as broken, and the card is handed out. A file named READY (any case)
    skips the wait, not the question whether a file is being written to at this moment. Each state of a card is handed
    out once; a card that grows later is handed out again.
    """

    settle_s: float
    unfinished_s: float = 300.0
    recognised: int = 0
    """Cards that settled at the last look in a state that was known: not handed out, only counted."""
    _watched: dict[str, _Watched] = field(default_factory=dict)

    def see(self, snapshot: CardSnapshot, now: float, known: Container[str] = ()) -> None:
        """Take notice of what lies on a card, `now` in monotonic seconds.

        States (see `fingerprint`) in `known` are not handed out: they were before.
        """
        seen = hash(snapshot)
        watched = self._watched.get(snapshot.root)
        if watched is None:
            watched = self._watched[snapshot.root] = _Watched(snapshot, seen, fingerprint(snapshot), now, now)
        elif watched.seen == seen:
            watched.looks += 1
        else:
            watched.seen, watched.state = seen, fingerprint(snapshot)
            watched.quiet_since, watched.looks, watched.waits_for = now, 1, ()
        watched.seen_at, watched.present, watched.known = now, True, watched.state in known
        watched.missing = () if snapshot.ready else still_to_come(snapshot)
        watched.snapshot = _without_files(snapshot) if self.rests(snapshot.root) else snapshot

    def see_unchanged(self, root: str, now: float) -> None:
        """Take notice that a card is there as it was at the last look, for one that rests."""
        watched = self._watched[root]
        watched.looks, watched.seen_at, watched.present = watched.looks + 1, now, True

    def rests(self, root: str) -> bool:
        """Whether nothing is to be done about a card as it was last seen: it was handed out so, or is known."""
        watched = self._watched.get(root)
        return watched is not None and (watched.known or not watched.is_waiting)

    def hand_out(self, unfinished: Callable[[CardSnapshot], Sequence[str]] = _nothing) -> list[CardSnapshot]:
        """Return the cards that have settled just now; to be called once after each look at all that is there.

        `unfinished` names the files of a card that are not whole by what is in them; it is asked last, only of cards that
        would be handed out, and of each at most once in `settle_s`. A card that was not seen since the last call is
        forgotten, which deletes nothing: it is simply watched afresh when it comes back.
        """
        self._watched = {root: watched for root, watched in sorted(self._watched.items()) if watched.present}
        self.recognised = 0
        settled = []
        for watched in self._watched.values():
            watched.present = False
            if watched.is_waiting and self._has_settled(watched, unfinished):
                watched.handed_out = watched.state
                if watched.known:
                    self.recognised += 1
                else:
                    settled.append(watched.snapshot)
                    watched.snapshot = _without_files(watched.snapshot)
        return settled

    def update(
        self,
        snapshots: Iterable[CardSnapshot],
        now: float,
        unfinished: Callable[[CardSnapshot], Sequence[str]] = _nothing,
        known: Container[str] = (),
    ) -> list[CardSnapshot]:
        """See every card that is there at one moment, and return those that have settled."""
        for snapshot in snapshots:
            self.see(snapshot, now, known)
        return self.hand_out(unfinished)

    def retry(self, root: str) -> None:
        """Hand the card out again at the next look, for one whose processing failed."""
        if root in self._watched:
            self._watched[root].handed_out = None

    def sees(self, root: str) -> bool:
        """Whether the card was there at the last look."""
        return root in self._watched

    def waiting(self) -> list[CardSnapshot]:
        """Cards seen but not yet handed out in their present state, and not known in it."""
        return [
            watched.snapshot for _, watched in sorted(self._watched.items()) if not self.rests(watched.snapshot.root)
        ]

    def waits_for(self, root: str) -> tuple[str, ...]:
        """Names whose end a quiet card waits for, `MOST_NAMES` at most; none for one that has not come to rest yet.

        For a card that was handed out: what was taken as broken, because it had been waited for long enough.
        """
        return self._watched[root].waits_for if root in self._watched else ()

    def next_due(self, now: float) -> float | None:
        """Seconds until the earliest card could settle if it stays quiet; None if no passing of time settles any."""
        waits = [self._due(watched) for watched in self._watched.values() if watched.is_waiting]
        return min((max(0.0, due - now) for due in waits if due is not None), default=None)

    def _due(self, watched: _Watched) -> float | None:
        quiet = watched.quiet_since + self.settle_s
        if not watched.waits_for:
            return quiet
        if watched.missing:
            return None
        return min(watched.asked_at + self.settle_s, watched.quiet_since + max(self.settle_s, self.unfinished_s))

    def _has_settled(self, watched: _Watched, unfinished: Callable[[CardSnapshot], Sequence[str]]) -> bool:
        snapshot = watched.snapshot
        quiet = watched.seen_at - watched.quiet_since
        if not snapshot.ready:
            if quiet < self.settle_s or watched.looks < 2:
                return False
            if watched.missing:
                watched.waits_for = watched.missing[:MOST_NAMES]
                return False
        if quiet >= max(self.settle_s, self.unfinished_s) or watched.known:
            return True
        if watched.waits_for and watched.seen_at - watched.asked_at < self.settle_s:
            return False
        names = (() if snapshot.ready else incomplete(snapshot)) or unfinished(snapshot)
        watched.waits_for, watched.asked_at = tuple(names[:MOST_NAMES]), watched.seen_at
        return not names


def _without_files(snapshot: CardSnapshot) -> CardSnapshot:
    return replace(snapshot, files=(), temporary=(), hollow=())
