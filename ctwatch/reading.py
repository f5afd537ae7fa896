"""The files of a card, read in parallel and handed on in order."""

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet

from ctwatch.decoding import Decoders, ReadFile, Verdicts, Wanted
from ctwatch.domain import FileStat

_LOOK_S = 1.0


def worker_count(configured: int) -> int:
    """Return how many work side by side: as configured, or for 0 one per core that this process may use."""
    return configured or len(os.sched_getaffinity(0))


def read_files(
    decoders: Decoders,
    root: str,
    files: Sequence[FileStat],
    wanted: Wanted,
    verdicts: Verdicts,
    *,
    workers: int,
    ahead: int = 0,
    waiting: Callable[[], None] = lambda: None,
) -> Generator[ReadFile]:
    """Read files in parallel and yield them in order, at most `ahead`, or four a worker, before the consumer asks.

    Each of `workers` threads speaks with one decoding process. While the next file is not ready `waiting` is called about
    every second, and what it raises ends the reading; closing the iterator gives the reads under way two seconds.
    Raises Unanswered if a file's disk gives no bytes.
    """
    most = max(ahead, 4 * workers)
    abandoned = threading.Event()
    with ThreadPoolExecutor(workers, thread_name_prefix="ctwatch-read") as pool:
        under_way: deque[Future[ReadFile]] = deque()
        try:
            for file in files:
                under_way.append(pool.submit(decoders.read, root, file, wanted, verdicts, abandoned))
                if len(under_way) >= most:
                    yield _result(under_way.popleft(), waiting)
            while under_way:
                yield _result(under_way.popleft(), waiting)
        finally:
            abandoned.set()
            for unread in under_way:
                unread.cancel()


def _result(future: Future[ReadFile], waiting: Callable[[], None]) -> ReadFile:
    while True:
        try:
            return future.result(timeout=_LOOK_S)
        except NotYet:
            if future.done():
                return future.result()
            waiting()
