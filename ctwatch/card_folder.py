"""What ctwatch changes in a card's folder: a receipt put into it, a verified copy made of it, the folder emptied after that.

Folders come from strangers: no link is followed, neither one that lies there nor one put in place meanwhile.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import BinaryIO

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

_BLOCK = 4 << 20

Listing = Mapping[str, tuple[int, int]]
"""(bytes, modification time in ns) of files by their path below the folder."""


class NotTheSame(OSError):
    """A copy does not hold what the original does, or the original changed meanwhile."""


def put_text(folder: str, name: str, text: str) -> None:
    """Put a text file into a folder by one rename, in place of an earlier one; raises OSError."""
    aside = f"{name}.new"
    with _opened(folder) as at:
        with suppress(FileNotFoundError):
            os.unlink(aside, dir_fd=at)
        with os.fdopen(os.open(aside, _NEW, 0o644, dir_fd=at), "wb") as handle:
            handle.write(text.encode("utf-8"))
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(aside, name, src_dir_fd=at, dst_dir_fd=at)


def take_back(folder: str, name: str) -> None:
    """Remove a file that `put_text` put there, if it is there; raises OSError."""
    with suppress(FileNotFoundError), _opened(folder) as at:
        os.unlink(name, dir_fd=at)


def not_to_be_copied(folder: str) -> list[str]:
    """Return the paths of links, pipes and the like in a folder, which are never copied; raises OSError."""
    return [path for path, _, _, facts in _walk(folder) if not stat.S_ISREG(facts.st_mode)]


def copy(folder: str, target: str, step: Callable[[], None] = lambda: None) -> Listing:
    """Copy the regular files of a folder into a new one, times and all, and read every copy back from the disk.

    `step` is called every few megabytes. Returns what was copied. Raises NotTheSame if a copy differs, and OSError if the
    disk is full.
    """
    copied: dict[str, tuple[int, int]] = {}
    os.makedirs(target)
    for path, at, name, facts in _walk(folder):
        if not stat.S_ISREG(facts.st_mode):
            continue
        place = os.path.join(target, path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with os.fdopen(os.open(name, _READ, dir_fd=at), "rb") as source:
            before = os.fstat(source.fileno())
            with os.fdopen(os.open(place, _NEW, 0o644), "wb") as handle:
                while block := source.read(_BLOCK):
                    handle.write(block)
                    step()
                handle.flush()
                os.fsync(handle.fileno())
            os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))
            source.seek(0)
            with open(place, "rb") as written:
                # Without this the copy would be read from memory, whatever the disk holds.
                os.posix_fadvise(written.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                if _digest(source, step) != _digest(written, step):
                    raise NotTheSame(f"{place}: the copy is not what {folder}/{path} holds")
            after = os.fstat(source.fileno())
            if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
                raise NotTheSame(f"{folder}/{path} was written to while it was copied")
            copied[path] = (after.st_size, after.st_mtime_ns)
    for where, _, _ in os.walk(target):
        _sync(where)
    return copied


def empty(folder: str, copied_to: str, verified: Listing, step: Callable[[], None] = lambda: None) -> list[str]:
    """Remove from a folder each file of which an equal one lies in `copied_to`, and the folder once it is empty.

    Files that are as in `verified` are taken to be equal, all others are compared byte for byte; `step` is called all along.
    Returns what was left.
    """
    left = []
    for path, at, name, facts in _walk(folder):
        as_copied = verified.get(path) == (facts.st_size, facts.st_mtime_ns)
        if stat.S_ISREG(facts.st_mode) and (as_copied or _equal(at, name, os.path.join(copied_to, path), step)):
            os.unlink(name, dir_fd=at)
            step()
        else:
            left.append(path)
    for where, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):  # what is not empty stays
            os.rmdir(where)
    return left


def same_disk(one: str, other: str) -> bool:
    """Whether a folder can be renamed into another one: both lie on one file system and in one mount.

    Bind mounts, such as those of a service's ReadWritePaths, refuse renames between them.
    """
    return _mount(one, os.O_NOFOLLOW) == _mount(other, 0)


def demand_removable(folder: str) -> None:
    """Raise PermissionError unless this user may take everything out of a folder and move the folder itself."""
    for where, _, _ in os.walk(folder):
        if not os.access(where, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "may not be emptied by this user", where)


def rename(folder: str, target: str) -> None:
    """Move a folder on its file system so that it survives a power cut; raises OSError if the target is there."""
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, "is there already", target)
    os.rename(folder, target)
    for parent in {os.path.dirname(folder), os.path.dirname(target)}:
        _sync(parent)


def _walk(folder: str) -> Iterator[tuple[str, int, str, os.stat_result]]:
    """Yield (path, descriptor of its folder, name, facts) of everything below that is no folder."""

    def refuse(error: OSError) -> None:
        raise error

    with _opened(folder) as root:
        for where, folders, names, at in os.fwalk(".", follow_symlinks=False, onerror=refuse, dir_fd=root):
            for name in sorted((*folders, *names)):
                facts = os.stat(name, dir_fd=at, follow_symlinks=False)
                if not stat.S_ISDIR(facts.st_mode):
                    yield os.path.normpath(os.path.join(where, name)), at, name, facts


def _mount(folder: str, flags: int) -> tuple[int, str]:
    descriptor = os.open(folder, os.O_PATH | os.O_CLOEXEC | flags)
    try:
        with open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii") as lines:
            number = next((line.split()[1] for line in lines if line.startswith("mnt_id:")), "")
        return os.fstat(descriptor).st_dev, number
    finally:
        os.close(descriptor)


def _equal(at: int, name: str, other: str, step: Callable[[], None]) -> bool:
    try:
        with os.fdopen(os.open(name, _READ, dir_fd=at), "rb") as one, open(other, "rb") as two:
            return os.fstat(one.fileno()).st_size == os.fstat(two.fileno()).st_size and _digest(one, step) == _digest(
                two, step
            )
    except OSError:
        return False


def _digest(handle: BinaryIO, step: Callable[[], None]) -> bytes:
    digest = hashlib.blake2b()
    while block := handle.read(_BLOCK):
        digest.update(block)
        step()
    return digest.digest()


@contextmanager
def _opened(folder: str) -> Iterator[int]:
    descriptor = os.open(folder, _FOLDER)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # some network shares cannot
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
