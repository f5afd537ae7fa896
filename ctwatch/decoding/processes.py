"""The daemon's side of decoding apart: processes started, spoken to, waited for, ended and replaced."""

import atexit
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections import deque
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import ctwatch
from ctwatch.decoding.messages import Head, media_told, picture_told, receive, request, send
from ctwatch.decoding.photograph import DEATHS, Picture, ReadFile, Wanted
from ctwatch.decoding.verdicts import Step, Verdict, Verdicts
from ctwatch.domain import Failure, FileStat, Media
from ctwatch.errors import CtwatchError

logger = logging.getLogger(__name__)

_LONGEST_READING_S = 600.0
"""After this a disk or a share that gives no bytes is given up for now; no file is at fault."""
_LOOK_S = 0.25
_ANSWER_S = 60.0
"""A nursery that says nothing for so long is given up; what it is asked takes some seconds at most."""
_GRACE_S = 2.0
"""What a process may still take once nobody waits for its answer."""
_ATTEMPTS = 2
_DEAF_TO = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Unanswered(CtwatchError):
    """A disk or a share gave no bytes; it is asked again later."""


class _Abandoned(Exception):
    """Nobody waits for the answer any more."""


class _Lost(Exception):
    """A process went away for no reason that a content could be blamed for."""


class Decoders:
    """Processes that read and decode files, started when they are first needed and kept for the next card.

    As many run as threads ask at the same time. Each may take `memory_bytes` beyond its code and `longest_s` seconds a
    photograph; what exceeds them, or crashes, costs the process and no more.
    """

    def __init__(self, *, longest_s: float, memory_bytes: int, reading_s: float = _LONGEST_READING_S) -> None:
        self._longest_s, self._memory_bytes, self._reading_s = longest_s, memory_bytes, reading_s
        self._idle: list[_Process] = []
        self._closing = weakref.finalize(self, _drop_all, self._idle)

    def read(
        self, root: str, file: FileStat, wanted: Wanted, verdicts: Verdicts, abandoned: threading.Event | None = None
    ) -> ReadFile:
        """Read one file in a process of its own; called by any number of threads.

        Once `abandoned` is set the answer is not waited for. Raises Unanswered if the file's disk gives no bytes, and
        CtwatchError if no process can be started.
        """
        abandoned = abandoned or threading.Event()
        losses = 0
        while losses < _ATTEMPTS:
            try:
                process, fresh = self._idle.pop(), False
            except IndexError:
                process, fresh = _Process(self._memory_bytes), True
            try:
                result, usable = self._ask(process, root, file, wanted, verdicts, abandoned)
            except _Lost:
                losses += fresh  # one that waited may have been struck long before
                continue
            except BaseException:
                process.end()
                raise
            if usable:
                self._idle.append(process)
            return result
        detail = "the process that read it went away twice"
        return ReadFile(file, None, Failure.DECODER_CRASHED, detail)

    def pids(self) -> list[int]:
        """Return the ids of the processes that wait for work."""
        return [process.pid for process in self._idle]

    def close(self) -> None:
        """End all processes; later reads start new ones."""
        _end_all(self._idle)

    def _ask(
        self,
        process: "_Process",
        root: str,
        file: FileStat,
        wanted: Wanted,
        verdicts: Verdicts,
        abandoned: threading.Event,
    ) -> tuple[ReadFile, bool]:
        """Have one process read one file; also return whether the process can be used again."""
        try:
            process.say(request(root, file, wanted))
            told, _ = process.hear(_Patience(self._reading_s, abandoned))
        except EOFError as error:
            process.end()
            raise _Lost from error
        except TimeoutError as error:
            process.end()
            raise Unanswered(
                f"{root}/{file.path}: its disk or share gave no bytes for {self._reading_s:g} s; it is read again later"
            ) from error
        if "failure" in told:
            return ReadFile(file, None, Failure(told["failure"]), told["detail"]), True
        media_id = str(told["media_id"])
        with verdicts.on(media_id, file.path) as verdict:
            media, picture, usable = self._look_into(process, wanted, verdict, abandoned)
            failure, detail = picture.failure, picture.detail
            if failure is not None and failure in DEATHS and verdict.failure is None:
                detail = verdicts.died(media_id, file.path, failure, detail or "", in_header=media is None)
                logger.warning("%s/%s: %s: %s; put into quarantine", root, file.path, failure, detail)
        if media is not None:
            media = replace(media, failure=failure, failure_detail=detail or media.failure_detail)
        return ReadFile(
            file,
            media,
            failure,
            detail,
            dict(zip(wanted.canvases, picture.pixels, strict=False)) if picture.pixels else None,
            picture.miniature,
        ), usable

    def _look_into(
        self, process: "_Process", wanted: Wanted, verdict: Verdict, abandoned: threading.Event
    ) -> tuple[Media | None, Picture, bool]:
        """Have the header and the picture told as far as the verdict goes; also whether the process survived."""
        media, picture = None, Picture(failure=verdict.failure, detail=verdict.detail)
        patience = _Patience(self._longest_s, abandoned)
        try:
            process.say({"step": verdict.step})
            if verdict.step is Step.NOTHING:
                return media, picture, True
            told, _ = process.hear(patience)
            if "media" in told:
                media = media_told(told["media"])
                if verdict.step is Step.HEADER:
                    return media, picture, True
                told, body = process.hear(patience)
                picture = picture_told(told, body, wanted.canvases)
            else:
                picture = picture_told(told, bytearray(), ())
        except TimeoutError:
            process.end()
            late = f"not decoded within {self._longest_s:g} s"
            return media, Picture(failure=Failure.TOOK_TOO_LONG, detail=late), False
        except EOFError as error:
            status = process.end()
            if status is None:
                raise _Lost from error
            return media, Picture(failure=Failure.DECODER_CRASHED, detail=_cause(status)), False
        if picture.failure is Failure.TOO_MUCH_MEMORY:
            process.end()  # what is left of its memory is in pieces
            picture = replace(picture, detail=f"more than {self._memory_bytes / 1e9:g} GB: {picture.detail}")
            return media, picture, False
        return media, picture, True


class _Patience:
    """Waits for bytes, so long and no longer.

    What counts is the time spent waiting here: a daemon that was stopped for an hour blames no photograph for it.
    """

    def __init__(self, seconds: float, abandoned: threading.Event) -> None:
        self._left, self._abandoned = seconds, abandoned
        self._grace = _GRACE_S

    def __call__(self, end: socket.socket) -> None:
        """Return when there is something to read; raises TimeoutError or _Abandoned."""
        waiting = select.poll()
        waiting.register(end, select.POLLIN)
        while not waiting.poll(1000 * min(_LOOK_S, max(0.0, self._left))):
            self._left -= _LOOK_S
            if self._left <= 0:
                raise TimeoutError
            if self._abandoned.is_set():
                self._grace -= _LOOK_S
                if self._grace <= 0:
                    raise _Abandoned


class _Process:
    """One decoding process and the line to it."""

    def __init__(self, memory_bytes: int) -> None:
        _end_dropped()
        self._end, theirs = socket.socketpair()
        with theirs:
            for attempt in range(_ATTEMPTS):
                self._nursery = _the_nursery()
                try:
                    self.pid = self._nursery.start(theirs, memory_bytes)
                    break
                except OSError as error:
                    self._nursery.close()
                    if attempt + 1 == _ATTEMPTS:
                        raise CtwatchError(f"the process that decodes photographs does not start: {error}") from error
        self._ended = False

    def say(self, head: Head) -> None:
        """Send a message; raises EOFError if the process is gone."""
        try:
            send(self._end, head)
        except OSError as error:
            raise EOFError("the process is gone") from error

    def hear(self, patience: _Patience) -> tuple[Head, bytearray]:
        """Receive a message; raises EOFError, TimeoutError or _Abandoned."""
        return receive(self._end, patience)

    def drop(self) -> None:
        """Let the process end by itself; takes no lock and waits for nobody, so that a finalizer may call it anywhere."""
        self._end.close()
        _dropped.append(self)

    def end(self) -> int | None:
        """End the process; returns its exit state, None where that is not to be had."""
        if self._ended or self._nursery.owner != os.getpid():
            return None
        self._ended = True
        self._end.close()
        try:
            return self._nursery.end(self.pid)
        except OSError:
            return None


class _Nursery:
    """The line to the process that decoding processes are forked from."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.closed = False
        self._lock = threading.Lock()
        self._end, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._end.settimeout(_ANSWER_S)
        place = str(Path(ctwatch.__file__).resolve().parents[1])
        paths = os.pathsep.join(filter(None, (place, os.environ.get("PYTHONPATH"))))
        # One thread is all that a decoder needs, and a process with several is not to be forked.
        single = {name: "1" for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        # The new process is deaf from its first instant: a signal to the whole group is for the daemon to act on.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _DEAF_TO)
        try:
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603 - our own module, by our own interpreter
                    [sys.executable, "-P", "-m", "ctwatch.decoding.nursery", str(theirs.fileno())],
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    cwd="/",
                    env={**os.environ, **single, "PYTHONPATH": paths},
                )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def start(self, end: socket.socket, memory_bytes: int) -> int:
        """Fork a process that serves on a socket; returns its id. Raises OSError if the nursery is gone."""
        answer = self._ask({"start": memory_bytes}, end)
        if "error" in answer:
            raise CtwatchError(f"{answer['error']}; raise the limit of processes or of memory")
        return int(answer["pid"])

    def end(self, pid: int) -> int | None:
        """End a process; returns its exit state. Raises OSError if the nursery is gone, and with it the process."""
        status: int | None = self._ask({"end": pid})["status"]
        return status

    def close(self) -> None:
        """End the nursery and with it all its processes."""
        if self.owner != os.getpid():
            return  # a fork of the process that it belongs to
        self.closed = True
        self._end.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _ask(self, asked: dict[str, int], *ends: socket.socket) -> dict[str, Any]:
        with self._lock:
            try:
                socket.send_fds(self._end, [json.dumps(asked).encode()], [end.fileno() for end in ends])
                answer = self._end.recv(4096)
            except BaseException:
                self.closed = True  # an answer may still come, and must not be taken for the next one's
                self._end.close()
                raise
        if not answer:
            raise ConnectionError("the nursery is gone")
        told: dict[str, Any] = json.loads(answer)
        return told


_nursery: _Nursery | None = None
_nursery_lock = threading.Lock()


def _the_nursery() -> _Nursery:
    """Return this process's nursery, started the first time and again where it was killed."""
    global _nursery
    with _nursery_lock:
        if _nursery is None or _nursery.closed or _nursery.owner != os.getpid():
            _nursery = _Nursery()
            atexit.register(_nursery.close)
        return _nursery


_dropped: deque[_Process] = deque()
"""Processes whose Decoders were garbage: a finalizer runs in whatever thread allocates, also one that holds our locks."""


def _drop_all(processes: list[_Process]) -> None:
    while processes:
        processes.pop().drop()


def _end_dropped() -> None:
    with suppress(IndexError):
        while True:
            _dropped.popleft().end()


def _end_all(processes: list[_Process]) -> None:
    while processes:
        processes.pop().end()


def _cause(status: int) -> str:
    """Say how a process ended."""
    if not os.WIFSIGNALED(status):
        return f"the decoding process ended with exit code {os.waitstatus_to_exitcode(status)}"
    name = signal.Signals(os.WTERMSIG(status)).name
    if name == "SIGKILL":
        return "the decoding process was killed by SIGKILL, for want of memory or by somebody"
    if name == "SIGABRT":
        return "the decoding process was killed by SIGABRT, by a fault of its own or for want of memory"
    return f"the decoding process was killed by {name}"
