"""Real commands in processes of their own, forked from one that has loaded what the trainer needs: loading takes seconds."""

import multiprocessing
import os
import pkgutil
import sys
import tempfile
from pathlib import Path

import ctwatch_train

_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(
    [
        "torchvision",
        "ctwatch.cli",
        *(each.name for each in pkgutil.walk_packages(ctwatch_train.__path__, "ctwatch_train.")),
    ]
)


class Forked:
    """A `ctwatch` command at work in a folder."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._said = Path(tempfile.mkdtemp(prefix="said-", dir=folder.parent))
        for number in (1, 2):
            (self._said / str(number)).touch()
        self._process = _FORKING.Process(target=_work, args=(folder, self._said, arguments))
        self._process.start()

    @property
    def returncode(self) -> int | None:
        """Its exit code, negative for a signal; None while it lives."""
        return self._process.exitcode

    @property
    def stdout(self) -> str:
        """What it has printed so far."""
        return (self._said / "1").read_text("utf-8")

    @property
    def stderr(self) -> str:
        """What it has said so far."""
        return (self._said / "2").read_text("utf-8")

    def kill(self) -> None:
        """Send it SIGKILL."""
        self._process.kill()

    def wait(self, seconds: float = 170.0) -> int:
        """Wait for its end; returns its exit code, and fails if it does not end."""
        self._process.join(seconds)
        if self.returncode is None:
            self.kill()
            raise TimeoutError(f"still at work after {seconds:.0f} s: {self.stderr}")
        return self.returncode


def _work(folder: Path, said: Path, arguments: tuple[str, ...]) -> None:
    import ctwatch.cli

    for number in (1, 2):
        os.dup2(os.open(said / str(number), os.O_WRONLY | os.O_APPEND), number)
    os.chdir(folder)
    sys.argv = ["ctwatch", *arguments]
    ctwatch.cli.main()
