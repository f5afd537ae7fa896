"""Real commands in processes of their own, made by a process that has loaded what they need, for loading takes seconds."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from .power import Journal
from .tripwire import Tripwire

DEADLINE_S = 120.0
_LOOK_S = 0.003


class Nursery:
    """Starts commands; not to be shared between threads."""

    def __init__(self) -> None:
        root = str(Path(__file__).resolve().parents[2])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.nursery"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip

    def ask(self, order: object) -> Any:
        """Send an order and return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the nursery has died"
        return json.loads(answer)

    def start(
        self, base: Path, *arguments: str, kill_at: int | None = None, stop_after: tuple[str, int] | None = None
    ) -> "Child":
        """Start a command on the configuration of a folder."""
        order = {
            "base": str(base),
            "arguments": ["--config", str(base / "config.toml"), *arguments],
            "kill_at": kill_at,
            "stop_after": stop_after,
        }
        return Child(self, self.ask(order), base)

    def close(self) -> None:
        """End it."""
        self._process.communicate()


class Child:
    """One command at work, the head of its process group."""

    def __init__(self, nursery: Nursery, pid: int, base: Path) -> None:
        self._nursery, self.pid, self._base = nursery, pid, base
        self.returncode: int | None = None
        self.stopped = False

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it lives. Sets `stopped` when it has stopped itself."""
        if self.returncode is None:
            said = self._nursery.ask(self.pid)
            if said == "stopped":
                self.stopped = True
            else:
                self.returncode = said
        return self.returncode

    def log(self) -> str:
        """What all commands of this folder have said so far."""
        return (self._base / "log.txt").read_text("utf-8", "replace")

    def points(self) -> list[str]:
        """The points that it has reached."""
        return (self._base / "points.txt").read_text("utf-8", "replace").splitlines()

    def signal(self, number: int) -> None:
        """Send its whole group a signal."""
        if number == signal.SIGCONT:
            self.stopped = False
        os.killpg(self.pid, number)

    def wait(self) -> int:
        """Wait for its end and return its exit code."""
        until = time.monotonic() + DEADLINE_S
        while self.poll() is None:
            assert time.monotonic() < until, self.log()
            time.sleep(_LOOK_S)
        assert self.returncode is not None
        return self.returncode

    def kill(self) -> None:
        """Kill it and its children, as the kernel does when memory is short."""
        if self.poll() is None:
            self.signal(signal.SIGKILL)
            self.wait()


def _tend() -> None:
    """Make one process of each order that is read, or say what became of one that was made."""
    import torch

    import ctwatch.cli
    import ctwatch.daemon
    import ctwatch.once
    import ctwatch.pipeline
    import ctwatch.report
    import ctwatch.results

    torch.set_num_threads(1)
    # There must be something to be killed in the middle of, and publishing small surveys needs no rest.
    ctwatch.pipeline.PREDICTIONS_PER_COMMIT = 8
    ctwatch.results.SHARE_OF_TIME = 0.9
    for line in sys.stdin:
        order = json.loads(line)
        if isinstance(order, int):
            _answer(_became(order))
            continue
        child = os.fork()
        if child == 0:
            os.setsid()
            base = order["base"]
            os.dup2(os.open(f"{base}/log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), 1)
            os.dup2(1, 2)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.chdir(base)
            sys.argv = ["ctwatch", *order["arguments"]]
            stop_after = order["stop_after"]
            stop_after = stop_after and tuple(stop_after)
            Tripwire(f"{base}/points.txt", Journal(f"{base}-power"), order["kill_at"], stop_after).lay()
            ctwatch.cli.main()
        _answer(child)


def _answer(said: int | str | None) -> None:
    sys.stdout.write(f"{json.dumps(said)}\n")
    sys.stdout.flush()


def _became(pid: int) -> int | str | None:
    found, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
    if not found:
        return None
    return "stopped" if os.WIFSTOPPED(status) else os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    _tend()
