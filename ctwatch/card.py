"""The file system side of a card: what lies in an inbox, and the bytes of one file, read once and safely."""

import errno
import fcntl
import heapq
import os
import re
import signal
import stat
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ctwatch.domain import CardSnapshot, Failure, FileStat, Ignored
from ctwatch.errors import InboxMissing
from ctwatch.jpeg import has_end, mediatype
from ctwatch.settle import MOST_NAMES, READY_NAME, is_temporary

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".tif", ".tiff", ".bmp"})
VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".m4v", ".mpg", ".mpeg", ".wmv", ".mts", ".3gp", ".mkv"})
_MEDIA_SUFFIXES = IMAGE_SUFFIXES | VIDEO_SUFFIXES
SYSTEM_NAMES = frozenset(
    name.lower()
    for name in (
        "System Volume Information",
        "$RECYCLE.BIN",
        "Thumbs.db",
        "desktop.ini",
        "lost+found",
        "__MACOSX",
        "@eaDir",
    )
)
OWN_PREFIXES = ("ctwatch-", ".ctwatch-")
"""Files that ctwatch writes into cards start so, while they are written too; they are never read and no news."""
OWN_DATABASE = "ctwatch.duckdb"
LARGEST_FILE = 512 * 1024 * 1024
_CAMERA_FOLDER = re.compile(r"\d{3}[A-Za-z0-9_]{5}")
"""What the rule for camera file systems (DCF) calls the folders that photographs are put into."""
_LAST_TO_CHANGE, _FIRST_TO_CHANGE = 16, 8
_WHOLE_LOOK, _TAIL, _ZERO_TAIL, _LARGEST_LOOK = 1 << 20, 1 << 17, 1 << 16, 64 << 20
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class UnusableFile(Exception):
    """A file of a card that gave no bytes to look at."""

    def __init__(self, failure: Failure, detail: str) -> None:
        super().__init__(f"{failure}: {detail}")
        self.failure = failure
        self.detail = detail


Folders = tuple[tuple[str, tuple[int, int, int, int]], ...]
"""Paths of folders below a card's root, each with device, inode and the times (ns) of its last modification and change."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a card."""

    root: str
    card: CardSnapshot | None
    """What lies in it; None where it was not looked into, because it is as it was."""
    folders: Folders = ()
    """Each of its folders as it was just before it was listed; none where something could not be looked at."""


def scan_inbox(inbox: Path, as_it_was: Callable[[str], bool] = lambda root: False) -> Iterator[Look]:
    """Look at every card in an inbox: its folders, and the images that lie loose in it.

    What `as_it_was` says so of, by its root, is not looked into. Raises InboxMissing if the inbox is not there; that never
    means that its cards were deleted.
    """
    here = _state_of(inbox)
    try:
        with os.scandir(inbox) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        raise InboxMissing(
            f"inbox {inbox} is not there ({error.strerror}); mount or create it, or correct watch.inboxes"
        ) from error
    for entry in entries:
        if not _is_system(entry.name) and entry.is_dir(follow_symlinks=False):
            if as_it_was(entry.path):
                yield Look(entry.path, None)
            elif not _is_own(entry.path):
                found = _listed(Path(entry.path))
                yield Look(entry.path, found.snapshot(inbox, loose=False), found.state())
    if any(os.path.splitext(entry.name)[1].lower() in _MEDIA_SUFFIXES for entry in entries):
        if as_it_was(str(inbox)):
            yield Look(str(inbox), None)
            return
        found = _loose(inbox, entries)
        found.folders.append(("", here))
        if any(file.ignored in (None, Ignored.VIDEO) for file in found.files):
            yield Look(str(inbox), found.snapshot(inbox, loose=True), found.state())


def snapshot(root: Path, inbox: Path) -> CardSnapshot:
    """Take a snapshot of one card folder; links in it are seen but never followed.

    What is hidden or an operating system's own is left out, and so is what ctwatch itself put there.
    """
    return _listed(root).snapshot(inbox, loose=False)


def are_as_before(root: str, folders: Folders) -> bool:
    """Whether every folder of a card is the one that it was, and nothing was put into it, taken out or renamed in it.

    What is in the files it does not tell: whoever writes to a file in place leaves its folder as it is.
    """
    return bool(folders) and all(_state_of(os.path.join(root, path)) == state for path, state in folders)


def look_again(before: CardSnapshot) -> CardSnapshot:
    """Take another snapshot of a card that was seen before; one without files if it is gone."""
    inbox = Path(before.inbox)
    if not before.loose:
        return snapshot(Path(before.root), inbox)
    try:
        with os.scandir(inbox) as listing:
            entries = list(listing)
    except OSError:
        entries = []
    return _loose(inbox, entries).snapshot(inbox, loose=True)


def unfinished(card: CardSnapshot, *, leases: bool) -> tuple[str, ...]:
    """Return the names of files that are not whole by the last look before a card is handed out, the first few.

    With `leases`, each file that somebody has open for writing, as Linux tells; see `_is_being_written`. And each JPEG
    or PNG without an end, or of zeros, among the files that changed last and first: what is copied one after the other
    ends with the former, and what was given its full size beforehand and is then filled begins with the latter. A
    READY file speaks for what is in the files, so that of such a card only the open ones are named.
    """
    files = [file for file in card.files if file.size and file.ignored not in (Ignored.LINK, Ignored.SPECIAL)]
    names = []
    for file in files if leases else ():
        if _look(card.root, file, leases=True, content=False):
            names.append(file.path)
            if len(names) >= MOST_NAMES:
                return tuple(names)
    pictures = [file for file in files if file.ignored is None and not card.ready]
    last = heapq.nlargest(_LAST_TO_CHANGE, pictures, key=_changed)
    first = heapq.nsmallest(_FIRST_TO_CHANGE, pictures, key=_changed)
    for file in dict.fromkeys(last + first):
        if file.path not in names and _look(card.root, file, leases=False, content=True):
            names.append(file.path)
            if len(names) >= MOST_NAMES:
                break
    return tuple(names)


def _changed(file: FileStat) -> tuple[int, int]:
    return file.ctime_ns, file.mtime_ns


def _look(root: str, file: FileStat, *, leases: bool, content: bool) -> bool:
    """Whether a file is not whole; one that cannot be looked at counts as whole, reading it will say why."""
    try:
        descriptor = _open_below(root, file.path)
    except OSError as error:
        # Somebody has it to himself, as file servers do for a client that writes.
        return error.errno == errno.EWOULDBLOCK
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            return False
        if (facts.st_size, facts.st_mtime_ns) != (file.size, file.mtime_ns):
            return True
        return (leases and _is_being_written(descriptor)) or (content and _has_no_end(descriptor, file.size))
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _is_being_written(descriptor: int) -> bool:
    """Whether anybody has a file open for writing, by asking for a read lease on it, which is given back at once.

    Where none is to be had (somebody else's file without CAP_LEASE, file systems without leases) nothing is known. A
    program that opens the file for writing in these microseconds is held up until the lease is gone; Linux then sends
    the holder a signal, by default one that ends the process, so one is chosen that nobody hears.
    """
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def _has_no_end(descriptor: int, size: int) -> bool:
    """Whether a photograph breaks off or its end is still zeros; formats without a marker at their end are whole.

    Reads a small file whole and of a large one the tail; whole again only where the tail has no end, because some
    cameras write much behind it.
    """
    head = os.pread(descriptor, 16, 0)
    if not head.strip(b"\0"):
        return True  # room was made for it, and nothing written yet
    kind = mediatype(head)
    if kind not in ("image/jpeg", "image/png"):
        return False
    tail = os.pread(descriptor, _TAIL, max(0, size - _TAIL))
    if len(tail) > _ZERO_TAIL and not tail[-_ZERO_TAIL:].strip(b"\0"):
        return True
    if kind == "image/png":
        return b"IEND" not in tail
    if size > _WHOLE_LOOK and b"\xff\xd9" in tail:
        return False
    return size > _LARGEST_LOOK or not has_end(os.pread(descriptor, size, 0))


def read_bytes(root: str, file: FileStat) -> bytes:
    """Read one file of a card whole, as it was when the card settled.

    Each folder on the way is opened without following links, so nothing outside the card can be reached. Raises
    UnusableFile if it is empty, no regular file, not to be opened, larger than `LARGEST_FILE`, or has changed.
    """
    try:
        descriptor = _open_below(root, file.path)
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            os.close(descriptor)  # `open` would refuse a folder's and leave it open
            raise UnusableFile(Failure.NO_ACCESS, "not a regular file that can be read")
        with open(descriptor, "rb", buffering=0) as handle:
            if (file.size, file.mtime_ns) == (0, 0) and before.st_size:
                raise UnusableFile(Failure.NO_ACCESS, "could not be looked at when the card was listed")
            _demand_same(before, file)
            if before.st_size == 0:
                raise UnusableFile(Failure.EMPTY_FILE, "the file has no bytes")
            if before.st_size > LARGEST_FILE:
                raise UnusableFile(Failure.TOO_LARGE, f"{before.st_size:,} bytes; at most {LARGEST_FILE:,} are read")
            data = handle.readall()
            after = os.fstat(descriptor)
    except FileNotFoundError as error:
        raise UnusableFile(Failure.CHANGED_WHILE_READING, "the file is gone; the card is looked at again") from error
    except OSError as error:
        raise UnusableFile(Failure.NO_ACCESS, error.strerror or str(error)) from error
    _demand_same(after, file, len(data))
    return data


def _demand_same(facts: os.stat_result, file: FileStat, length: int | None = None) -> None:
    """Raise UnusableFile unless the file is still as it was when the card was listed."""
    if (facts.st_size, facts.st_mtime_ns) != (file.size, file.mtime_ns) or length not in (None, file.size):
        raise UnusableFile(Failure.CHANGED_WHILE_READING, "the file was written to since the card settled")


def _open_below(root: str, path: str) -> int:
    """Open a file below a root for reading, following no link on the way and waiting for nobody; raises OSError."""
    *folders, name = path.split("/")
    at = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            inner = os.open(folder, _OPEN_FOLDER, dir_fd=at)
            os.close(at)
            at = inner
        return os.open(name, _OPEN_FILE, dir_fd=at)
    finally:
        os.close(at)


@dataclass(slots=True)
class _Listing:
    """What is found in a card, as it is found."""

    root: Path
    files: list[FileStat] = field(default_factory=list)
    temporary: list[FileStat] = field(default_factory=list)
    hollow: list[str] = field(default_factory=list)
    folders: list[tuple[str, tuple[int, int, int, int] | None]] = field(default_factory=list)
    ready: bool = False

    def take_tree(self) -> None:
        """Look into the root and every folder below it."""
        pending: list[tuple[str, bool]] = [("", False)]
        while pending:
            folder, temporary = pending.pop()
            place = os.path.join(self.root, folder)
            before = _state_of(place)
            try:
                with os.scandir(place) as listing:
                    entries = [entry for entry in listing if not entry.name.startswith(OWN_PREFIXES)]
            except OSError as error:
                if folder and error.errno == errno.ENOENT:
                    continue  # gone between listing and looking: the next look decides
                # Kept as a file that cannot be read, so that it is reported and not passed over.
                self.files.append(FileStat(folder or ".", 0, 0))
                continue
            self.folders.append((folder, before))
            if not entries and _CAMERA_FOLDER.fullmatch(folder.rpartition("/")[2]):
                self.hollow.append(folder)
            pending += self.take(folder, entries, temporary=temporary)

    def take(
        self, folder: str, entries: Collection[os.DirEntry[str]], *, temporary: bool = False
    ) -> list[tuple[str, bool]]:
        """Take what lies in one folder; returns its folders, and whether what is in them is temporary."""
        folders = []
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            passing = temporary or is_temporary(entry.name)
            if not passing and _is_system(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append((path, passing))
            elif not passing and entry.name.lower() == READY_NAME:
                self.ready = True
            elif (file := _stat(entry, path)) is not None:
                (self.temporary if passing else self.files).append(file)
        return folders

    def state(self) -> Folders:
        """Return the folders as they were; none if anything could not be looked at, and may be another time."""
        if any(file.inode == 0 for file in self.files):
            return ()
        known = tuple((folder, state) for folder, state in self.folders if state is not None)
        return known if len(known) == len(self.folders) else ()

    def snapshot(self, inbox: Path, *, loose: bool) -> CardSnapshot:
        """Return what was found, in its order."""
        return CardSnapshot(
            root=str(self.root),
            name=self.root.name,
            inbox=str(inbox),
            files=tuple(sorted(self.files)),
            ready=self.ready,
            temporary=tuple(sorted(self.temporary)),
            hollow=tuple(sorted(self.hollow)),
            loose=loose,
        )


def _listed(root: Path) -> _Listing:
    """List a card folder."""
    listing = _Listing(root)
    if is_temporary(root.name):
        listing.temporary.append(FileStat(root.name, 0, 0))  # the whole folder is a copy under way
    listing.take_tree()
    return listing


def _loose(inbox: Path, entries: Collection[os.DirEntry[str]]) -> _Listing:
    """List the files that lie loose in an inbox."""
    listing = _Listing(inbox)
    listing.take("", [entry for entry in entries if not entry.name.startswith(OWN_PREFIXES)])
    return listing


def _state_of(folder: str | Path) -> tuple[int, int, int, int] | None:
    """Return what changes with the listing of a folder, and with the folder itself; None if it is not there."""
    try:
        facts = os.stat(folder)
    except OSError:
        return None
    return facts.st_dev, facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns


def _stat(entry: os.DirEntry[str], path: str) -> FileStat | None:
    try:
        # Not the entry's own `stat`, which it would keep: of a large folder that is more than all that is kept here.
        facts = os.lstat(entry)
    except FileNotFoundError:
        return None  # gone between listing and looking: the next look decides
    except OSError:
        return FileStat(path, 0, 0)  # kept, so that it is reported and not passed over
    suffix = os.path.splitext(entry.name)[1].lower()
    ignored = None
    if stat.S_ISLNK(facts.st_mode):
        ignored = Ignored.LINK
    elif not stat.S_ISREG(facts.st_mode):
        ignored = Ignored.SPECIAL
    elif suffix in VIDEO_SUFFIXES:
        ignored = Ignored.VIDEO
    elif suffix not in IMAGE_SUFFIXES:
        ignored = Ignored.NOT_MEDIA
    return FileStat(path, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino, ignored)


def _is_system(name: str) -> bool:
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


def _is_own(path: str) -> bool:
    """Whether a folder is ctwatch's own store, put inside an inbox."""
    return os.path.exists(os.path.join(path, OWN_DATABASE))
