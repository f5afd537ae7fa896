"""Room on a disk, and what an operating system says when there is none."""

import errno
import os
from pathlib import Path

GB = 1_000_000_000
_REFUSALS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})


def refuses(error: OSError) -> bool:
    """Whether an error says that a disk takes nothing more for now: full, over quota or read-only."""
    return error.errno in _REFUSALS


def free_bytes(path: Path) -> int:
    """Return the bytes that this user may still write where `path` lies or will lie."""
    existing = next(folder for folder in (path, *path.parents) if os.path.exists(folder))
    facts = os.statvfs(existing)
    return facts.f_bavail * facts.f_frsize


def shortage(path: Path, least_gb: float) -> str | None:
    """Return in words that less than `least_gb` (GB) is free where `path` lies; None if there is enough."""
    free = free_bytes(path)
    if free >= least_gb * GB:
        return None
    return f"{path}: {free / GB:.2f} GB free, {least_gb:g} GB are to be left (store.min_free_gb); make room on its disk"
