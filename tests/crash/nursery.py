"""Real commands in processes of their own, made by a process that has loaded what they need, for loading takes seconds."""

import gc
import json
import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from .power import Journal
from .tripwire import Tripwire

DEADLINE_S = 120.0


class Nursery:
    """Starts commands, of several threads too."""

    def __init__(self) -> None:
        root = str(Path(__file__).resolve().parents[2])
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.nursery"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip

    def ask(self, order: object) -> Any:
        """Send an order and return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
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
        self._ended = select.poll()
        self._handle = os.pidfd_open(pid)
        self._ended.register(self._handle, select.POLLIN)

    def poll(self, wait_s: float = 0.0) -> int | None:
        """Its exit code, negative for a signal; None while it lives, after waiting for its end for so long."""
        if self.returncode is None and self._ended.poll(1000 * wait_s):
            self.returncode = self._nursery.ask(self.pid)
            os.close(self._handle)
        return self.returncode

    def has_stopped(self) -> bool:
        """Whether it stands still."""
        try:
            text = Path(f"/proc/{self.pid}/stat").read_text("utf-8", "replace")
        except OSError:
            return False
        return text.rpartition(")")[2].split()[0] == "T"

    def log(self) -> str:
        """What all commands of this folder have said so far."""
        return (self._base / "log.txt").read_text("utf-8", "replace")

    def points(self) -> list[str]:
        """The points that it has reached."""
        return (self._base / "points.txt").read_text("utf-8", "replace").splitlines()

    def signal(self, number: int) -> None:
        """Send its whole group a signal."""
        os.killpg(self.pid, number)

    def wait(self) -> int:
        """Wait for its end and return its exit code."""
        code = self.poll(DEADLINE_S)
        assert code is not None, self.log()
        return code

    def kill(self) -> None:
        """Kill it and its children, as the kernel does when memory is short."""
        if self.poll() is None:
            self.signal(signal.SIGKILL)
            self.wait()


def _tend() -> None:
    """Make one process of each order that is read, or say what became of one that was made."""
    import numpy.ma  # noqa: F401
    import safetensors.torch  # noqa: F401
    import torch

    # With what they load only once they need it: each child would load it for itself, which takes longer than its work.
    import ctwatch.cli
    import ctwatch.daemon
    import ctwatch.export.camtrap_dp.package
    import ctwatch.nets.architectures
    import ctwatch.nets.eager
    import ctwatch.once
    import ctwatch.pipeline
    import ctwatch.report
    import ctwatch.results

    torch.set_num_threads(1)
    # There must be something to be killed in the middle of, and publishing small surveys needs no rest.
    ctwatch.pipeline.PREDICTIONS_PER_COMMIT = 8
    ctwatch.results.SHARE_OF_TIME = 0.9
    gc.freeze()  # else each child's first collection copies all that was loaded
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
            try:
                ctwatch.cli.main()
            except SystemExit as end:
                # What the interpreter does at its end, with torch loaded, takes as long as everything before it.
                sys.stdout.flush()
                os._exit(end.code if isinstance(end.code, int) else bool(end.code))
        _answer(child)
    os._exit(0)


def _answer(said: int) -> None:
    sys.stdout.write(f"{json.dumps(said)}\n")
    sys.stdout.flush()


def _became(pid: int) -> int:
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    _tend()
