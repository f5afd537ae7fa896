"""The file system side of a card: what lies in an inbox, and the bytes of one file, read once and safely."""

import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from ctwatch.domain import CardSnapshot, Failure, FileStat, Ignored
from ctwatch.errors import InboxMissing
from ctwatch.settle import READY_NAME, is_temporary

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".tif", ".tiff", ".bmp"})
VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".m4v", ".mpg", ".mpeg", ".wmv", ".mts", ".3gp", ".mkv"})
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
OWN_PREFIX = "ctwatch-"
"""Files that ctwatch writes beside a card start so and are never read."""
OWN_DATABASE = "ctwatch.duckdb"
LARGEST_FILE = 512 * 1024 * 1024
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class UnusableFile(Exception):
    """A file of a card that gave no bytes to look at."""

    def __init__(self, failure: Failure, detail: str) -> None:
        super().__init__(f"{failure}: {detail}")
        self.failure = failure
        self.detail = detail


def scan_inbox(inbox: Path) -> list[CardSnapshot]:
    """Take a snapshot of every card in an inbox: its folders, and the images that lie loose in it.

    Raises InboxMissing if the inbox is not there; that never means that its cards were deleted.
    """
    try:
        with os.scandir(inbox) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        raise InboxMissing(
            f"inbox {inbox} is not there ({error.strerror}); mount or create it, or correct watch.inboxes"
        ) from error
    cards = [
        snapshot(Path(entry.path), inbox)
        for entry in entries
        if not _is_system(entry.name) and entry.is_dir(follow_symlinks=False) and not _is_own(entry.path)
    ]
    loose = _snapshot(inbox, inbox, _files(inbox, entries, recurse=False), loose=True)
    if any(file.ignored in (None, Ignored.VIDEO) for file in loose.files):
        cards.append(loose)
    return cards


def snapshot(root: Path, inbox: Path) -> CardSnapshot:
    """Take a snapshot of one card folder; links in it are seen but never followed."""
    return _snapshot(root, inbox, walk(root), loose=False)


def walk(root: Path) -> Iterator[tuple[str, FileStat | None]]:
    """Yield (name, file) of everything below a folder that is not hidden or an operating system's own.

    The file is None for names that are signs to ctwatch and no files of the card: READY and temporary names.
    """
    yield from _files(root, None, recurse=True)


def read_bytes(root: str, file: FileStat) -> bytes:
    """Read one file of a card whole, as it was when the card settled.

    Each folder on the way is opened without following links, so nothing outside the card can be reached. Raises
    UnusableFile if it is empty, no regular file, not to be opened, larger than `LARGEST_FILE`, or has changed.
    """
    *folders, name = file.path.split("/")
    try:
        at = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for folder in folders:
                inner = os.open(folder, _OPEN_FOLDER, dir_fd=at)
                os.close(at)
                at = inner
            descriptor = os.open(name, _OPEN_FILE, dir_fd=at)
        finally:
            os.close(at)
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


def _snapshot(root: Path, inbox: Path, entries: Iterator[tuple[str, FileStat | None]], *, loose: bool) -> CardSnapshot:
    files: list[FileStat] = []
    ready = copying = False
    for name, file in entries:
        if file is not None:
            files.append(file)
        elif is_temporary(name):
            copying = True
        else:
            ready = True
    return CardSnapshot(
        root=str(root),
        name=root.name,
        inbox=str(inbox),
        files=tuple(sorted(files)),
        ready=ready,
        copying=copying,
        loose=loose,
    )


def _files(
    root: Path, entries: Collection[os.DirEntry[str]] | None, *, recurse: bool
) -> Iterator[tuple[str, FileStat | None]]:
    pending: list[tuple[str, Collection[os.DirEntry[str]] | None]] = [("", entries)]
    while pending:
        folder, listed = pending.pop()
        if listed is None:
            try:
                with os.scandir(os.path.join(root, folder)) as listing:
                    listed = list(listing)
            except OSError:
                # Kept as a file that cannot be read, so that it is reported and not passed over.
                yield folder, FileStat(folder or ".", 0, 0)
                continue
        for entry in listed:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if is_temporary(entry.name) or entry.name.lower() == READY_NAME:
                yield entry.name, None
            elif _is_system(entry.name) or entry.name.startswith(OWN_PREFIX):
                continue
            elif entry.is_dir(follow_symlinks=False):
                if recurse:
                    pending.append((path, None))
            else:
                file = _stat(entry, path)
                if file is not None:
                    yield entry.name, file


def _stat(entry: os.DirEntry[str], path: str) -> FileStat | None:
    try:
        facts = entry.stat(follow_symlinks=False)
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
