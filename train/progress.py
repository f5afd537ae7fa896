"""Shows how far long work is: a bar on a terminal, a plain line now and then in a log; always on stderr."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress

EVERY_S = 15.0
"""Seconds between two lines of a log."""


def say(text: str) -> None:
    """Print one line to stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


@contextmanager
def shown(what: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function to be called with (done, total) that shows the progress of `what`."""
    console = Console(stderr=True)
    if console.is_terminal:
        with Progress(console=console, transient=True) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
        return
    last = [time.monotonic()]

    def line(done: int, total: int) -> None:
        now = time.monotonic()
        if done == total or now - last[0] >= EVERY_S:
            last[0] = now
            say(f"{what}: {done} of {total}")

    yield line
