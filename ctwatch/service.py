"""What the daemon tells the outside: the service manager over a socket, everybody else in status.json."""

import json
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ctwatch.export.files import write_bytes

STATUS_NAME = "status.json"
HEARTBEAT_S = 60.0
"""status.json is written at least this often, also while nothing happens."""
STALE_S = 600.0
"""A daemon that has not written for this long hangs: the largest commit takes a minute (WatchdogSec of the unit too)."""

_BLOCK = 4096
"""status.json takes a whole block of the disk, so that it can be written over where there is no room for another file."""


def notify(message: str, address: str | None = None) -> None:
    """Tell the service manager (sd_notify protocol): READY=1, STATUS=..., WATCHDOG=1, STOPPING=1; nothing without one."""
    address = address if address is not None else os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as link:
        # A manager that does not listen, or is stuck itself, must not stop the work for long.
        link.settimeout(5.0)
        with suppress(OSError):
            link.connect("\0" + address[1:] if address.startswith("@") else address)
            link.sendall(message.encode("utf-8"))


def longest_silence_s() -> float:
    """Return how long an idle daemon may go without a sign of life: the heartbeat, or half of the manager's WatchdogSec."""
    wanted = os.environ.get("WATCHDOG_USEC", "")
    meant = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return min(HEARTBEAT_S, int(wanted) / 2e6) if wanted.isdecimal() and int(wanted) and meant else HEARTBEAT_S


class StatusBoard:
    """status.json: what the daemon is doing and that it is alive, replaced whole.

    Written when a fact changed, at most once a second unless something happened, and else once a heartbeat.
    """

    def __init__(
        self,
        folder: Path,
        monotonic: Callable[[], float],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        **facts: Any,
    ) -> None:
        """Take the store's folder, a monotonic clock, the time (aware) and the facts that stay."""
        self._path = folder / STATUS_NAME
        self._monotonic = monotonic
        self._now = now
        self._facts: dict[str, Any] = facts
        self._written = float("-inf")
        self._behind = True

    def update(self, *, now: bool = True, **facts: Any) -> None:
        """Change facts; `now=False` may leave the writing to a later update. Without facts: a sign of life."""
        self._behind |= any(self._facts.get(key, ...) != value for key, value in facts.items())
        self._facts |= facts
        since = self._monotonic() - self._written
        if (self._behind and (now or since >= 1.0)) or since >= HEARTBEAT_S:
            self._written = self._monotonic()
            self._write()

    def _write(self) -> None:
        moment = self._now().astimezone(UTC).isoformat(timespec="seconds")
        content = json.dumps(self._facts | {"updated_at": moment}, indent=1).encode("utf-8").ljust(_BLOCK)
        try:
            write_bytes(self._path, content)
        except OSError:
            # A full disk must not stop the work, and is what people must see: the blocks that are there take it.
            with suppress(OSError), open(self._path, "r+b") as handle:
                there = os.fstat(handle.fileno()).st_size
                if len(content) <= there:
                    handle.write(content.ljust(there))
        self._behind = False


def read_status(folder: Path) -> dict[str, Any] | None:
    """Return what the daemon wrote last, with `running` as it is now; None if none ever ran here."""
    try:
        facts: dict[str, Any] = json.loads((folder / STATUS_NAME).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return facts | {"running": _alive(int(facts.get("pid", 0))) and facts.get("state") != "stopped"}


def heartbeat_age_s(facts: dict[str, Any], now: datetime) -> float | None:
    """Return the seconds since the daemon last wrote, at `now` (aware); None where that is not told."""
    try:
        return max(0.0, (now - datetime.fromisoformat(facts["updated_at"])).total_seconds())
    except (KeyError, TypeError, ValueError):
        return None


def _alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
