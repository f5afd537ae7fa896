"""Points of a process at which something becomes durable or visible, counted, and a signal to itself at one of them.

It is laid in a process before its command runs and knows nothing of the command: Python tells it of every file that is
opened for writing, made, renamed or removed, and DuckDB's connections of every BEGIN, COMMIT, CHECKPOINT and copy.
"""

import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from .power import Journal

_WRITES = os.O_WRONLY | os.O_RDWR
_CHANGES = {
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "os.chmod",
    "os.utime",
}
_WRAPPED = ("rename", "replace", "remove", "unlink", "mkdir", "rmdir", "link", "symlink", "fsync", "fdatasync")
_STATEMENTS = ("BEGIN", "COMMIT", "CHECKPOINT", "FORCE CHECKPOINT", "COPY FROM", "ATTACH", "DETACH", "EXPORT")
_METHODS = ("begin", "commit", "rollback", "checkpoint", "close")
_VARYING = re.compile(r"[0-9a-f]{8,}|\d+")
_NOT_OURS = ("/dev/", "/proc/", "/sys/")


class Tripwire:
    """Counts points in one process, writes their names to a file, and kills or stops the process group at one."""

    def __init__(self, trace: str, journal: Journal, kill_at: int | None, stop_after: tuple[str, int] | None) -> None:
        """Kill at the `kill_at`-th point; stop when a point of the name in `stop_after` is reached so many times."""
        self._journal = journal
        self._trace = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        self._pid = os.getpid()
        self._kill_at, self._stop_after = kill_at, stop_after
        self._count = 0
        self._lock = threading.RLock()
        self._within = threading.local()
        self._databases: dict[int, str] = {}

    def lay(self) -> None:
        """Begin to count."""
        import duckdb

        for name in _WRAPPED:
            setattr(os, name, self._with_end(getattr(os, name), name))
        duckdb.connect = self._connecting(duckdb.connect)  # type: ignore[assignment]
        connection: Any = duckdb.DuckDBPyConnection
        connection.execute = self._executing(connection.execute)
        for name in _METHODS:
            if hasattr(connection, name):
                setattr(connection, name, self._method(getattr(connection, name), name))
        sys.addaudithook(self._heard)

    def reach(self, name: str) -> None:
        """Count a point, and carry out what is ordered for it."""
        if os.getpid() != self._pid:
            return  # a process that the command started: it goes with the group
        with self._lock:
            self._count += 1
            os.write(self._trace, f"{name}\n".encode("utf-8", "backslashreplace"))
            if self._count == self._kill_at:
                os.killpg(os.getpgrp(), signal.SIGKILL)
            if self._stop_after is not None and self._stop_after[0] == name:
                wanted, left = self._stop_after
                self._stop_after = (wanted, left - 1) if left > 1 else None
                if left == 1:
                    os.killpg(os.getpgrp(), signal.SIGSTOP)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITES and not str(path).startswith(_NOT_OURS):
                self._journal.written(_whole(path))
                self.reach(f"open {_called(path)}")
        elif event in _CHANGES and not getattr(self._within, "wrapped", False):
            self.reach(f"{event.removeprefix('os.')} {_called(_target(arguments))}")

    def _with_end(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            what = f"{name} {_called(_target(arguments))}"
            self.reach(f"before {what}")
            self._within.wrapped = True
            try:
                if name in ("rename", "replace") and not options:
                    self._journal.moves(_whole(arguments[0]), _whole(arguments[1]))
                result = function(*arguments, **options)
                if name in ("fsync", "fdatasync"):
                    self._journal.synced(_whole(arguments[0]))
            finally:
                self._within.wrapped = False
            self.reach(f"after {what}")
            return result

        return wrapped

    def _connecting(self, connect: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(database: Any = ":memory:", *arguments: Any, **options: Any) -> Any:
            connection = connect(database, *arguments, **options)
            writes = not (options.get("read_only") or str(database) == ":memory:")
            self._databases.pop(id(connection), None)
            if writes:
                self._databases[id(connection)] = _called(database)
            return connection

        return wrapped

    def _executing(self, execute: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(connection: Any, query: Any, *arguments: Any, **options: Any) -> Any:
            first = " ".join(str(query)[:40].upper().split())
            statement = next((each for each in _STATEMENTS if first.startswith(each)), None)
            if statement is None:
                return execute(connection, query, *arguments, **options)
            return self._around(connection, statement, lambda: execute(connection, query, *arguments, **options))

        return wrapped

    def _method(self, method: Callable[..., Any], name: str) -> Callable[..., Any]:
        def wrapped(connection: Any, *arguments: Any, **options: Any) -> Any:
            return self._around(connection, name, lambda: method(connection, *arguments, **options))

        return wrapped

    def _around(self, connection: Any, what: str, act: Callable[[], Any]) -> Any:
        name = self._databases.get(id(connection))
        if name is None:
            return act()
        self.reach(f"before {what} {name}")
        result = act()
        self.reach(f"after {what} {name}")
        return result


def _target(arguments: tuple[Any, ...]) -> Any:
    """Where something is put, for renames and links; else what is touched."""
    return arguments[1] if len(arguments) > 1 and isinstance(arguments[1], str | bytes | os.PathLike) else arguments[0]


def _called(path: Any) -> str:
    """A name that is the same in every run: the last part of the path without numbers and digests."""
    return _VARYING.sub("*", os.path.basename(_whole(path)))


def _whole(path: Any) -> str:
    """Where a path or descriptor leads."""
    if hasattr(path, "fileno"):
        path = path.fileno()
    return os.readlink(f"/proc/self/fd/{path}") if isinstance(path, int) else os.path.abspath(os.fsdecode(path))
