"""What the daemon tells the outside: the service manager over a socket, everybody else in status.json."""

import json
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ctwatch.export.files import write_bytes

STATUS_NAME = "status.json"


def notify(message: str, address: str | None = None) -> None:
    """Tell the service manager (sd_notify protocol): READY=1, STATUS=..., WATCHDOG=1, STOPPING=1; nothing without one."""
    address = address if address is not None else os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as link:
        try:
            link.connect("\0" + address[1:] if address.startswith("@") else address)
            link.sendall(message.encode("utf-8"))
        except OSError:
            return  # a manager that does not listen must not stop the work


class StatusBoard:
    """status.json: what the daemon is doing, replaced whole, at most once a second unless something happened."""

    def __init__(self, folder: Path, monotonic: Callable[[], float], **facts: Any) -> None:
        self._path = folder / STATUS_NAME
        self._monotonic = monotonic
        self._facts: dict[str, Any] = facts
        self._written = float("-inf")

    def update(self, *, now: bool = True, **facts: Any) -> None:
        """Change facts; `now=False` may leave the writing to a later update."""
        changed = any(self._facts.get(key, ...) != value for key, value in facts.items())
        self._facts |= facts
        if changed and (now or self._monotonic() - self._written >= 1.0):
            self._written = self._monotonic()
            with suppress(OSError):  # a full disk must not stop the work; the next update tries again
                write_bytes(self._path, json.dumps(self._facts, indent=1).encode("utf-8"))


def read_status(folder: Path) -> dict[str, Any] | None:
    """Return what the daemon wrote last, with `running` as it is now; None if none ever ran here."""
    try:
        facts: dict[str, Any] = json.loads((folder / STATUS_NAME).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return facts | {"running": _alive(int(facts.get("pid", 0))) and facts.get("state") != "stopped"}


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid > 0
