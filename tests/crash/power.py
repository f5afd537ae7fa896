"""What a power cut takes: bytes that nobody synced, and renames whose folder nobody synced, as ext4 and xfs may lose them.

A process under the tripwire keeps a journal of what it wrote, synced and renamed; `cut` replays it and takes away what was not
safe. DuckDB's own writes are not in it: `tests/test_recovery.py` and `tests/test_inspection.py` damage these.
"""

import json
import os
import random
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_JOURNAL = "journal.txt"


class Journal:
    """The side of the process: notes what it does, and keeps what a rename is about to replace."""

    def __init__(self, folder: str) -> None:
        os.makedirs(folder, exist_ok=True)
        self._folder = folder
        self._handle = os.open(f"{folder}/{_JOURNAL}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._link, self._exists = os.link, os.path.isfile

    def written(self, path: str) -> None:
        """A file was opened for writing."""
        self._note("written", path)

    def synced(self, path: str) -> None:
        """A file or folder is safe."""
        self._note("synced", path)

    def moves(self, source: str, target: str) -> None:
        """Something is about to be renamed; what lay at the target is kept."""
        kept = None
        if self._exists(target):
            kept = f"{self._folder}/{os.urandom(8).hex()}"
            self._link(target, kept)
        self._note("moved", source, target, kept)

    def _note(self, *what: str | None) -> None:
        os.write(self._handle, f"{json.dumps(what)}\n".encode())


@dataclass(slots=True)
class _Move:
    source: str
    target: str
    kept: str | None


def cut(folder: Path, chance: random.Random) -> list[str]:
    """Take away what was not safe, or some of it; returns in words what was lost. The journal begins anew."""
    lost = []
    unsafe, moves = _unsafe(folder / _JOURNAL)
    # A file system loses the renames of its last seconds, never an earlier one and keeps a later.
    for move in reversed(moves[chance.randint(0, len(moves)) :]):
        if not os.path.exists(move.target) or os.path.lexists(move.source):
            continue
        os.rename(move.target, move.source)
        if move.kept is not None:
            os.rename(move.kept, move.target)
        if move.target in unsafe:
            unsafe.add(move.source)
        lost.append(f"the renaming of {os.path.basename(move.source)} to {os.path.basename(move.target)}")
    for path in sorted(unsafe):
        if chance.random() < 0.7:
            with suppress(FileNotFoundError, IsADirectoryError):
                os.truncate(path, 0)
                lost.append(f"the bytes of {os.path.basename(path)}")
    shutil.rmtree(folder)
    return lost


def _unsafe(journal: Path) -> tuple[set[str], list[_Move]]:
    """Return the files whose bytes, and the renames that, nobody synced."""
    unsafe: set[str] = set()
    moves: list[_Move] = []
    for line in journal.read_text("utf-8").splitlines():
        what, *values = json.loads(line)
        path: Any = values[0]
        if what == "written":
            unsafe.add(path)
        elif what == "synced":
            unsafe.discard(path)
            moves = [move for move in moves if path not in (os.path.dirname(move.target), os.path.dirname(move.source))]
        else:
            move = _Move(*values)
            moves.append(move)
            if move.source in unsafe:
                unsafe.discard(move.source)
                unsafe.add(move.target)
    return unsafe, moves
