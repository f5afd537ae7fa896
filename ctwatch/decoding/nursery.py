"""The process that decoding processes are forked from, and what these do: read a file, hash it, decode it, say so.

It is started once, holds all that decoding needs and nothing else (no database, no lock, no network), and so a decoding
process costs milliseconds and few pages of its own. Run by `processes` as `python -P -m ctwatch.decoding.nursery`.
"""

import ctypes
import gc
import json
import os
import resource
import signal
import socket
import sys
import time

from ctwatch import jpeg
from ctwatch.card import UnusableFile, read_bytes
from ctwatch.decode import reuse_memory
from ctwatch.decoding.messages import media_head, picture_parts, receive, requested, send
from ctwatch.decoding.photograph import Picture, media_of, picture_of
from ctwatch.decoding.verdicts import Step
from ctwatch.domain import Failure
from ctwatch.identity import content_id

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
_LONGEST_REQUEST = 4096
_REAPING_S = 5.0


def main() -> None:
    """Start and end decoding processes as asked on the socket whose number is the argument, until it closes."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the parent decides when it is over, and says so by closing
    asked = socket.socket(fileno=int(sys.argv[1]))
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_NAME, b"ctwatch-nursery")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a decoder that crashes leaves no gigabytes behind
    reuse_memory()
    gc.freeze()
    ended: dict[int, int] = {}
    while True:
        text, descriptors, _, _ = socket.recv_fds(asked, _LONGEST_REQUEST, 1)
        if not text:
            return
        request = json.loads(text)
        _reap(ended)
        if "start" in request:
            try:
                answer: dict[str, int | str | None] = {"pid": _fork(asked, libc, descriptors[0], int(request["start"]))}
            except OSError as error:
                answer = {"error": f"no process for decoding could be started: {error.strerror}"}
        else:
            answer = {"status": _end(int(request["end"]), ended)}
        for descriptor in descriptors:
            os.close(descriptor)
        asked.send(json.dumps(answer).encode())


def _fork(asked: socket.socket, libc: ctypes.CDLL, descriptor: int, memory: int) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            return 0
        asked.close()
        libc.prctl(_PR_SET_NAME, b"ctwatch-decode")
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 2)  # what libraries print of strangers' bytes is for nobody
        os.close(nothing)
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        serve(socket.socket(fileno=descriptor))
        os._exit(0)
    finally:
        os._exit(1)


def _reap(ended: dict[int, int]) -> None:
    """Collect the exit states of processes that have ended."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        ended[pid] = status


def _end(pid: int, ended: dict[int, int]) -> int | None:
    """End a process and return its exit state; None if it sits in a disk that does not answer."""
    started = time.monotonic()
    if pid not in ended:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return None
    while pid not in ended and time.monotonic() - started < _REAPING_S:
        _reap(ended)
        time.sleep(0.001)
    return ended.pop(pid, None)


def serve(end: socket.socket) -> None:
    """Read and decode one file after the other as asked, until the other side closes."""
    while True:
        try:
            head, _ = receive(end)
            _one(end, head)
        except (EOFError, ConnectionError):
            return


def _one(end: socket.socket, head: object) -> None:
    """Read one file, ask whether its content is known, and tell the header and the picture as far as they are wanted."""
    root, file, wanted = requested(head)  # type: ignore[arg-type]
    try:
        data = read_bytes(root, file)
        mediatype = jpeg.mediatype(data)
        if mediatype is None:
            raise UnusableFile(Failure.NOT_AN_IMAGE, "the bytes are no image, whatever the name says")
        media_id = content_id(data)
    except UnusableFile as error:
        send(end, {"failure": error.failure, "detail": error.detail})
        return
    except MemoryError:
        send(end, {"failure": Failure.TOO_MUCH_MEMORY, "detail": f"{file.size:,} bytes"})
        return
    send(end, {"media_id": media_id})
    answer, _ = receive(end)
    if answer["step"] == Step.NOTHING:
        return
    try:
        send(end, {"media": media_head(media_of(data, media_id, file, wanted.rules))})
        if answer["step"] == Step.HEADER:
            return
        picture = picture_of(data, mediatype, wanted)
    except MemoryError:
        picture = Picture(failure=Failure.TOO_MUCH_MEMORY, detail="not enough memory to decode it")
    except Exception as error:
        # A fault of the decoder's or ours that no bytes should bring about: as good as a crash, and tried again by retry.
        picture = Picture(failure=Failure.DECODER_CRASHED, detail=f"{type(error).__name__}: {error}"[:200])
    told, parts = picture_parts(picture)
    send(end, told, *parts)


if __name__ == "__main__":
    main()
