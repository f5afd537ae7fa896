"""One daemon for a store: a lock that is held for as long as one is at work."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ctwatch.errors import StoreBusy, StoreError

LOCK_NAME = "ctwatch.lock"


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the store's lock while a block runs; raises StoreBusy if another daemon has it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Open for reading only: a file that is open for writing would keep a disk from being made read-only.
        handle = os.open(folder / LOCK_NAME, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot be written to ({error.strerror}); correct store.folder or its owner"
        ) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreBusy(
                f"another ctwatch daemon works in {folder}; stop it first, or set another store.folder"
            ) from error
        yield
    finally:
        os.close(handle)
