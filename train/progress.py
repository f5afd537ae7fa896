"""Shows how far long work is: a bar on a terminal, a plain line now and then in a log; always on stderr."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

EVERY_S = 15.0
"""Seconds between two lines of a log."""


def say(text: str) -> None:
    """Print one line to stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


@contextmanager
def shown(what: str) -> Iterator[Callable[..., None]]:
    """Give a function to be called with (done, total) and perhaps a note that shows the progress of `what`."""
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, TextColumn("{task.fields[note]}"), console=console, transient=True) as bar:
            task = bar.add_task(what, total=None, note="")
            yield lambda done, total, note="": bar.update(task, completed=done, total=total, note=note)
        return
    begun = last = time.monotonic()

    def line(done: int, total: int, note: str = "") -> None:
        nonlocal last
        now = time.monotonic()
        if done == total or now - last >= EVERY_S:
            last = now
            left = (now - begun) / max(done, 1) * (total - done)
            say(
                f"{what}: {done} of {total}{f', {left:.0f} s left' if done < total else ''}{f'; {note}' if note else ''}"
            )

    yield line


@contextmanager
def unseen(_what: str) -> Iterator[Callable[..., None]]:
    """Give a function that shows nothing: for processes that are not the first."""
    yield lambda *_: None
