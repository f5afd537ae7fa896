"""Inboxes -> settled cards: file-system events only wake the loop, scans of the inboxes decide."""

import ctypes
import errno
import logging
import os
import select
import threading
import time
import warnings
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO

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
from watchdog.observers.api import BaseObserver

from ctwatch.card import OWN_PREFIXES, look_again, unfinished
from ctwatch.domain import CardSnapshot
from ctwatch.errors import InboxMissing
from ctwatch.names import storable
from ctwatch.settle import SettleTracker
from ctwatch.sweep import Sweep

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
_LONGEST_STOP_S = 3.0
_PEEK_S = 5.0
"""How often an idle loop asks what no event tells: whether something else lies at an inbox now."""
_IN_DELETE_SELF = 0x400


class Alarm(FileSystemEventHandler):
    """Something that anyone may ring and the loop sleeps on."""

    def __init__(self) -> None:
        # A queue that may be put into from a signal handler, whatever the thread that it interrupts is doing.
        self._rung = SimpleQueue[None]()
        self._touched: set[str] | None = set()
        self._turn = threading.Lock()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Ring for a file-system event and remember where it was, but not for what the daemon itself puts into cards."""
        paths = [os.fsdecode(path) for path in (event.src_path, event.dest_path) if path]
        if not all(os.path.basename(path).startswith(OWN_PREFIXES) for path in paths):
            with self._turn:
                if self._touched is not None:
                    self._touched.update(map(os.path.dirname, paths))
            self.ring()

    def miss(self) -> None:
        """Take notice that something may have happened of which no event told."""
        with self._turn:
            self._touched = None

    def news(self) -> set[str] | None:
        """Return the folders in which something happened since the last call; None: nobody knows."""
        with self._turn:
            touched, self._touched = self._touched, set()
        return touched

    def ring(self) -> None:
        """Wake the loop."""
        if self._rung.empty():
            self._rung.put(None)

    def sleep(self, seconds: float) -> bool:
        """Sleep until rung or the time is over, and forget the ring; returns whether it rang."""
        try:
            self._rung.get(timeout=max(0.0, seconds))
        except Empty:
            return False
        with suppress(Empty):
            while True:
                self._rung.get_nowait()
        return True


class _Complaints(logging.Handler):
    """The library says in its log, and nowhere else, that it has lost events."""

    def __init__(self, alarm: Alarm) -> None:
        super().__init__(logging.WARNING)
        self._alarm = alarm

    def emit(self, record: logging.LogRecord) -> None:
        self._alarm.miss()
        self._alarm.ring()


class InboxObserver:
    """Listens to inboxes through inotify where that is to be had; made anew whenever it may have gone deaf.

    That is when an inbox is re-made, unmounted or mounted over, when a thread of it died, and when inotify's watches,
    which had run out, are to be had again: folders that appeared meanwhile are heard of by nobody.
    """

    def __init__(self, inboxes: Sequence[Path], alarm: Alarm, *, mode: str) -> None:
        """Take `mode` auto, inotify or polling; `polling` listens to nothing, the loop then looks more often."""
        self._inboxes, self._alarm, self._mode = inboxes, alarm, mode
        self._observer: BaseObserver | None = None
        self._threads: list[threading.Thread] = []
        self._heard: dict[Path, tuple[tuple[int, int], bool]] = {}
        self._there: dict[Path, tuple[int, int]] = {}
        self._mounts: IO[bytes] | None = None
        self._short = False
        self._complaints = _Complaints(alarm)
        self.deaf: dict[Path, str] = {}
        """Inboxes that give no events, or not all, with the reason: they must be looked at again and again."""

    def refresh(self) -> None:
        """Listen to every inbox that is there, as it is now; says in the log where it cannot."""
        there = self._there = self._identities()
        short = bool(self._heard) and _watches_have_run_out(next(iter(self._heard)))
        reason = self._gone_deaf(there, short)
        if reason is not None:
            logger.info("listening to the inboxes anew: %s", reason)
            self.stop()
        self._short = short
        with suppress(OSError):  # no /proc, nothing to be known
            self._mounts = self._mounts or open("/proc/self/mountinfo", "rb", buffering=0)
        for inbox, identity in there.items():
            if inbox not in self._heard:
                self._take_up(inbox, identity)
            if short and inbox in self._heard:
                self._tell_deaf(inbox, "inotify has no watches left; raise fs.inotify.max_user_watches")

    def moved(self) -> bool:
        """Whether something may have been mounted, unmounted, made or taken away at the inboxes since the last look.

        Of that no event tells, or only of the going; it costs next to nothing to ask. A disk that was taken off and put on
        again may be told from before by nothing but the kernel's word that mounts have changed: proc(5), mountinfo.
        """
        news = select.poll()
        if self._mounts is not None:
            news.register(self._mounts, select.POLLPRI)
        return bool(news.poll(0)) or self._identities() != self._there

    def stop(self) -> None:
        """Stop listening; for good within seconds, also where the library hangs."""
        if self._observer is not None:
            # A thread of the library that died may have taken a lock with it that the others wait for.
            stopping = threading.Thread(target=_stop, args=(self._observer,), daemon=True)
            stopping.start()
            stopping.join(_LONGEST_STOP_S)
        logging.getLogger("watchdog").removeHandler(self._complaints)
        if self._mounts is not None:
            self._mounts.close()
        self._observer, self._threads, self._heard, self._mounts = None, [], {}, None

    def _identities(self) -> dict[Path, tuple[int, int]]:
        return {inbox: identity for inbox in self._inboxes if (identity := _identity(inbox)) is not None}

    def _gone_deaf(self, there: dict[Path, tuple[int, int]], short: bool) -> str | None:
        """Return why what is listened to now has to be taken up anew; None if all is well."""
        if self._observer is None:
            return None
        if not all(thread.is_alive() for thread in self._threads):
            return "it broke off"
        if self._short and not short:
            return "inotify has watches again"
        watched = _watched_by_kernel()
        for inbox, (identity, in_kernel) in self._heard.items():
            if inbox not in there:
                return f"{storable(str(inbox))} is gone"
            if there[inbox] != identity:
                return f"another folder or file system lies at {storable(str(inbox))}"
            if in_kernel and identity not in watched:
                return f"{storable(str(inbox))} was unmounted and mounted again"
        return None

    def _take_up(self, inbox: Path, identity: tuple[int, int]) -> None:
        reason = "watch.observer is polling" if self._mode == "polling" else None
        if self._mode == "auto" and not tells_changes(inbox):
            reason = f"{file_system_type(inbox)} tells nothing of others' changes"
        if reason is None:
            reason = self._listen(inbox, identity)
        if reason is not None:
            self._tell_deaf(inbox, reason)
        else:
            self.deaf.pop(inbox, None)

    def _listen(self, inbox: Path, identity: tuple[int, int]) -> str | None:
        """Start listening to an inbox; returns why not."""
        others = set(threading.enumerate())
        try:
            if self._observer is None:
                logging.getLogger("watchdog").addHandler(self._complaints)
                self._observer = Observer()
                self._observer.start()
            self._observer.schedule(self._alarm, str(inbox), recursive=True, event_filter=_TELLING_EVENTS)
        except OSError as error:
            return f"inotify: {error.strerror or error}; raise fs.inotify.max_user_watches and max_user_instances"
        for thread in threading.enumerate():
            if thread not in others and type(thread).__module__.startswith("watchdog."):
                self._threads.append(thread)
        self._alarm.miss()  # what happened before
        # Where a file system numbers its files otherwise for the kernel's own use, nothing can be told from them.
        self._heard[inbox] = (identity, identity in _watched_by_kernel())
        return None

    def _tell_deaf(self, inbox: Path, reason: str) -> None:
        if self.deaf.get(inbox) != reason:
            logger.warning("%s: looked at again and again, not only listened to (%s)", storable(str(inbox)), reason)
            self.deaf[inbox] = reason


def _stop(observer: BaseObserver) -> None:
    observer.stop()
    observer.join()


def _identity(folder: Path) -> tuple[int, int] | None:
    """Return what tells a folder from another at its place, in the kernel's own form; None if it is not there."""
    try:
        facts = os.stat(folder)
    except OSError:
        return None
    return os.major(facts.st_dev) << 20 | os.minor(facts.st_dev), facts.st_ino


def _watched_by_kernel() -> set[tuple[int, int]]:
    """Return the folders that this process's inotify instances watch, as the kernel says: proc(5), fdinfo.

    An unmounted file system's watches are gone without a word to the library that had asked for them.
    """
    watched = set()
    try:
        for descriptor in os.listdir("/proc/self/fd"):
            try:
                if os.readlink(f"/proc/self/fd/{descriptor}") != "anon_inode:inotify":
                    continue
                lines = Path(f"/proc/self/fdinfo/{descriptor}").read_text("ascii").splitlines()
            except OSError:
                continue  # closed meanwhile
            for line in lines:
                if line.startswith("inotify "):
                    facts = dict(part.split(":", 1) for part in line.split()[1:] if ":" in part)
                    watched.add((int(facts["sdev"], 16), int(facts["ino"], 16)))
    except OSError:
        pass
    return watched


def _watches_have_run_out(folder: Path) -> bool:
    """Whether inotify refuses one watch more: new folders then appear unheard, and the library says nothing of it."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_CLOEXEC)
    if descriptor < 0:
        return False
    try:
        added = libc.inotify_add_watch(descriptor, os.fsencode(folder), _IN_DELETE_SELF)
        return bool(added < 0) and ctypes.get_errno() == errno.ENOSPC
    finally:
        os.close(descriptor)


def tells_changes(folder: Path) -> bool:
    """Whether a file system knows of all that is done to it: not so where other machines or programs write too."""
    return not file_system_type(folder).startswith(_WITHOUT_EVENTS)


def last_look(snapshot: CardSnapshot) -> tuple[str, ...]:
    """Return the names of files that are not whole yet, by what is in them and who writes to them.

    Network file systems answer the question after writers wrongly (NFS says yes where the server has merely promised
    nothing), so that it is not asked there.
    """
    return unfinished(snapshot, leases=tells_changes(Path(snapshot.inbox)))


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
    unfinished: Callable[[CardSnapshot], Sequence[str]] = last_look,
    known: Container[str] = (),
    deaf: Container[Path] = (),
    moved: Callable[[], bool] = lambda: False,
    beat: Callable[[], None] = lambda: None,
    beat_s: float = 60.0,
) -> Iterator[CardSnapshot | None]:
    """Yield each card when it has settled, and None after each look, until `stop`.

    Start, periodic sweep and wake-up all go through the same tracker. An inbox that is not there is waited for.
    `until_next` says in how many seconds the consumer wants a turn, `refresh` is called before each look, `unfinished`
    names what is not whole on a card that has come to rest. States in `known` are not handed out, and inboxes in `deaf` give
    no events. `moved` is asked every few seconds whether other folders lie at the inboxes than at the last look, and `beat` is
    called at least every `beat_s` seconds while nothing happens.
    """
    sweep = Sweep(monotonic)
    gone: set[Path] = set()
    told: dict[str, tuple[str, ...]] = {}
    while not stop():
        refresh()
        started = monotonic()
        touched = alarm.news()
        for inbox in inboxes:
            try:
                for look in sweep.look(inbox, tracker.rests, touched, unheard=inbox in deaf):
                    if look.card is None:
                        tracker.see_unchanged(look.root, monotonic())
                    else:
                        tracker.see(look.card, monotonic(), known)
                if inbox in gone:
                    logger.info("inbox %s is back", inbox)
                    gone.discard(inbox)
            except InboxMissing as missing:
                if inbox not in gone:
                    logger.warning("%s; waiting for it", missing)
                    gone.add(inbox)
        # A copy under way rings all the time: never spend more than a fifth of the time on looking.
        rest_until = monotonic() + max(_SHORTEST_PAUSE_S, 4 * (monotonic() - started))
        cards = tracker.hand_out(unfinished)
        told = _tell(tracker, cards, told)
        for number, card in enumerate(cards):
            if stop():
                return
            if number and look_again(card) != card:
                tracker.retry(card.root)  # it changed while those before it were processed
                continue
            yield card
        yield None
        waits = (sweep_s, tracker.next_due(monotonic()), until_next())
        until = monotonic() + min(wait for wait in waits if wait is not None)
        beat_at = monotonic() + beat_s
        while not alarm.sleep(min(_PEEK_S, beat_at - monotonic(), until - monotonic())):
            if moved():
                alarm.miss()  # what lies there now may look like what lay there before: all of it is listed
                break
            if monotonic() >= until or stop():
                break
            if monotonic() >= beat_at:  # a sign of life, which costs no look
                beat()
                beat_at = monotonic() + beat_s
        while not stop() and monotonic() < rest_until:
            alarm.sleep(rest_until - monotonic())


def _tell(
    tracker: SettleTracker, settled: Sequence[CardSnapshot], told: dict[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Say in the log which quiet cards have begun to wait, and which were waited for long enough."""
    waiting = {}
    for card in tracker.waiting():
        names = tracker.waits_for(card.root)
        if names:
            waiting[card.root] = names
            if told.get(card.root) != names:
                logger.info("card %s waits for the end of %s", storable(card.name), _in_words(names))
    for card in settled:
        if names := tracker.waits_for(card.root):
            message = "card %s: quiet for so long that it is taken as it is, without the end of %s"
            logger.warning(message, storable(card.name), _in_words(names))
    return waiting


def _in_words(names: Sequence[str]) -> str:
    return ", ".join(storable(name).replace("\n", "\\n") for name in names)
