"""Inboxes -> settled cards: file-system events only wake the loop, scans of the inboxes decide."""

import logging
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from ctwatch.card import scan_inbox
from ctwatch.domain import CardSnapshot
from ctwatch.errors import InboxMissing
from ctwatch.settle import SettleTracker

logger = logging.getLogger(__name__)

# A folder that appears while its parent is being listed is watched twice, which harms nobody.
warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"watchdog\.")

_TELLING_EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileDeletedEvent,
    FileClosedEvent,
    DirCreatedEvent,
    DirMovedEvent,
    DirDeletedEvent,
]
"""Reading is no news: without this the daemon's own scans would wake it for ever."""
_WITHOUT_EVENTS = ("nfs", "cifs", "smb", "fuse", "9p", "vboxsf", "vmhgfs", "afs", "ceph", "davfs")
_SHORTEST_PAUSE_S = 0.5


class Alarm(FileSystemEventHandler):
    """Something that anyone may ring and the loop sleeps on."""

    def __init__(self) -> None:
        self._rung = threading.Event()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Ring for a file-system event."""
        self.ring()

    def ring(self) -> None:
        """Wake the loop."""
        self._rung.set()

    def sleep(self, seconds: float) -> None:
        """Sleep until rung or the time is over, and forget the ring."""
        self._rung.wait(max(0.0, seconds))
        self._rung.clear()


class InboxObserver:
    """Listens to inboxes through inotify where that is to be had; made anew when an inbox is mounted over or re-made."""

    def __init__(self, inboxes: Sequence[Path], alarm: Alarm, *, mode: str) -> None:
        """Take `mode` auto, inotify or polling; `polling` listens to nothing, the loop then looks more often."""
        self._inboxes, self._alarm, self._mode = inboxes, alarm, mode
        self._observer: BaseObserver | None = None
        self._watches: dict[Path, tuple[ObservedWatch, tuple[int, int]]] = {}
        self.deaf: dict[Path, str] = {}
        """Inboxes that give no events, with the reason."""

    def refresh(self) -> None:
        """Listen to every inbox that is there, as it is now; says in the log where it cannot."""
        if self._observer is not None and not all(emitter.is_alive() for emitter in self._observer.emitters):
            logger.warning("listening to the inboxes broke off; starting it again")
            self.stop()
            self._observer, self._watches = None, {}
        for inbox in self._inboxes:
            try:
                facts = os.stat(inbox)
            except OSError:
                self._forget(inbox)
                continue
            identity = (facts.st_dev, facts.st_ino)
            if inbox in self._watches and self._watches[inbox][1] == identity:
                continue
            self._forget(inbox)
            reason = "watch.observer is polling" if self._mode == "polling" else None
            if self._mode == "auto":
                kind = file_system_type(inbox)
                reason = f"{kind} tells nothing of others' changes" if kind.startswith(_WITHOUT_EVENTS) else None
            if reason is None:
                reason = self._listen(inbox, identity)
            if reason is not None and self.deaf.get(inbox) != reason:
                logger.warning("%s: looked at again and again instead of listened to (%s)", inbox, reason)
                self.deaf[inbox] = reason

    def stop(self) -> None:
        """Stop listening."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()

    def _listen(self, inbox: Path, identity: tuple[int, int]) -> str | None:
        """Start listening to an inbox; returns why not."""
        try:
            if self._observer is None:
                self._observer = Observer()
                self._observer.start()
            watch = self._observer.schedule(self._alarm, str(inbox), recursive=True, event_filter=_TELLING_EVENTS)
        except OSError as error:
            return f"inotify: {error.strerror or error}; raise fs.inotify.max_user_watches"
        self._watches[inbox] = (watch, identity)
        self.deaf.pop(inbox, None)
        return None

    def _forget(self, inbox: Path) -> None:
        known = self._watches.pop(inbox, None)
        if known is not None and self._observer is not None:
            self._observer.unschedule(known[0])


def file_system_type(path: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """Return the type of the file system that a path lies on (ext4, nfs4, cifs ...); empty if it cannot be told."""
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    best = ("", "")
    real = os.path.realpath(path)
    for line in lines:
        fields = line.split()
        if len(fields) < 3:
            continue
        point = fields[1].replace("\\040", " ")
        below = real == point or real.startswith(point.rstrip("/") + "/")
        if below and len(point) >= len(best[0]):
            best = (point, fields[2])
    return best[1]


def settled(
    inboxes: Sequence[Path],
    tracker: SettleTracker,
    alarm: Alarm,
    *,
    sweep_s: float,
    refresh: Callable[[], None] = lambda: None,
    stop: Callable[[], bool],
    until_next: Callable[[], float | None] = lambda: None,
    monotonic: Callable[[], float] = time.monotonic,
) -> Iterator[CardSnapshot | None]:
    """Yield each card when it has settled, and None after each look, until `stop`.

    Start, periodic sweep and wake-up all go through the same tracker. An inbox that is not there is waited for.
    `until_next` says in how many seconds the consumer wants a turn, `refresh` is called before each look.
    """
    gone: set[Path] = set()
    while not stop():
        refresh()
        started = monotonic()
        snapshots: list[CardSnapshot] = []
        for inbox in inboxes:
            try:
                snapshots += scan_inbox(inbox)
                if inbox in gone:
                    logger.info("inbox %s is back", inbox)
                    gone.discard(inbox)
            except InboxMissing as missing:
                if inbox not in gone:
                    logger.warning("%s; waiting for it", missing)
                    gone.add(inbox)
        # A copy under way rings all the time: never spend more than a fifth of the time on looking.
        rest_until = monotonic() + max(_SHORTEST_PAUSE_S, 4 * (monotonic() - started))
        for snapshot in tracker.update(snapshots, monotonic()):
            if stop():
                return
            yield snapshot
        yield None
        waits = (sweep_s, tracker.next_due(monotonic()), until_next())
        alarm.sleep(min(wait for wait in waits if wait is not None))
        while not stop() and monotonic() < rest_until:
            alarm.sleep(rest_until - monotonic())
