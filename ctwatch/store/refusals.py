"""What DuckDB and the operating system refuse, as errors of ours: who has the file, what is wrong with it, what to do."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from ctwatch.errors import StoreBusy, StoreDamaged, StoreError, StoreFull

LOCKED = re.compile(r"could not set lock|conflicting lock|unique file handle conflict", re.IGNORECASE)
_NO_ROOM = re.compile(r"no space left|quota exceeded|file too large|read-only file system", re.IGNORECASE)
_NO_RIGHT = re.compile(r"permission denied|operation not permitted", re.IGNORECASE)
_DAMAGE = (duckdb.IOException, duckdb.SerializationException, duckdb.FatalException, duckdb.InternalException)
_REFUSED = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})


def explained(path: Path, error: duckdb.Error, *, instead: str) -> StoreError:
    """Turn DuckDB's error about a file into ours; `instead` is the copy that people should open.

    A full disk and a damaged file both end DuckDB's instance with a fatal error: the text that it quotes tells which.
    """
    text = str(error)
    if LOCKED.search(text):
        holder = re.search(r"PID (\d+)", text)
        who = f"process {holder[1]}{_command(holder[1])}" if holder else "another process"
        return StoreBusy(f"{path} is held open by {who}; close it there and open {instead} beside it instead")
    first = (text.splitlines() or [type(error).__name__])[0]
    if _NO_ROOM.search(text):
        return full(path, first[:160])
    if _NO_RIGHT.search(text):
        return StoreError(f"{path}: may not be opened ({first[:160]}); correct its owner or mode, or store.folder")
    if (isinstance(error, _DAMAGE) or "corrupt" in text.lower()) and path.exists():
        return StoreDamaged(
            f"{path} cannot be read as a database ({first[:160]}); `ctwatch run` and `ctwatch restore` put the last good"
            f" copy in its place, {instead} or one of backups/. Nothing was overwritten"
        )
    return StoreError(f"{path}: {first[:300]}")


def full(path: Path, why: str) -> StoreFull:
    """Return the error for a disk that takes nothing more."""
    return StoreFull(
        f"{path}: no room to write ({why}); make room on its disk, or mount it for writing. Nothing was lost: what was"
        " committed is in, the rest is done again"
    )


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses while a block runs into StoreFull or StoreError about `path`."""
    try:
        yield
    except OSError as error:
        if error.errno in _REFUSED:
            raise full(path, error.strerror or str(error)) from error
        raise StoreError(
            f"{path}: cannot be written ({error.strerror or error}); correct the owner or mode of its folder, or store.folder"
        ) from error


def _command(pid: str) -> str:
    try:
        name = Path(f"/proc/{pid}/comm").read_text("utf-8").strip()
    except OSError:
        return ""
    return f" ({name})"
