"""Tries the engines for some model files in a process of its own, whose memory is given back when it ends.

PyTorch and what it takes to convert a network need gigabytes for a large one; a daemon that has found its engines needs
neither.
"""

import atexit
import ctypes
import gc
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

from ctwatch.nets.choice import find
from ctwatch.nets.engine import EAGER
from ctwatch.nets.model_info import read_info
from ctwatch.nets.shelf import Rules

logger = logging.getLogger(__name__)

_LOOK_S = 1.0
_PR_SET_PDEATHSIG = 1


def find_engines(
    models: Sequence[Path],
    *,
    device: str,
    threads: int,
    rules: Rules,
    waiting: Callable[[], None] = lambda: None,
) -> None:
    """Find, in another process, the engines of model files for which the cache has none yet, and put them there.

    `waiting` is called about every second; what it raises ends the process and is raised here. A process that fails or is
    killed finds nothing, and PyTorch runs the models that are left.
    """
    logger.info("trying the engines for %d models, once for this machine; it may take a minute", len(models))
    asked = {
        "paths": [str(path) for path in models],
        "device": device,
        "threads": threads,
        "rules": asdict(rules) | {"cache": str(rules.cache)},
    }
    place = str(Path(__file__).resolve().parents[2])
    program = f"import sys; sys.path.insert(0, {place!r}); from ctwatch.nets.trial import main; main()"
    with tempfile.TemporaryFile("w+") as question, tempfile.TemporaryFile("w+") as said:
        json.dump(asked, question)
        question.seek(0)
        # In a session of its own: a Ctrl-C at the terminal is for this process to act on.
        process = subprocess.Popen(  # noqa: S603 - our own module, by our own interpreter
            [sys.executable, "-P", "-c", program], stdin=question, stderr=said, start_new_session=True
        )
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOK_S)
                    break
                waiting()
        finally:
            process.kill()
            process.wait()
        said.seek(0)
        for line in said:
            logger.info("%s", line.rstrip())
    if process.returncode:
        logger.warning("the process that tries engines ended with %d", process.returncode)


def with_cache(rules: Rules) -> Rules:
    """Return rules whose cache can be written to: a folder for this process alone where the user's cannot."""
    if rules.engine == EAGER:
        return rules
    if rules.cache is not None:
        try:
            rules.cache.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=rules.cache):
                return rules
        except OSError as error:
            logger.warning(
                "%s cannot be written to (%s); engines are tried again at the next start", rules.cache, error
            )
    return replace(rules, cache=_passing_cache())


@cache
def _passing_cache() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="ctwatch-engines-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def main() -> None:
    """Try the engines for the models named on standard input, one after the other, into the cache."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # whoever waits for it may be killed
    with suppress(OSError):
        os.nice(5)
    asked = json.load(sys.stdin)
    rules = Rules(**asked["rules"] | {"cache": Path(asked["rules"]["cache"])})
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("ctwatch").setLevel(logging.INFO)
    for name in asked["paths"]:
        try:
            find(read_info(Path(name)), Path(name), device=asked["device"], threads=asked["threads"], rules=rules)
        except Exception as error:  # the others are tried all the same
            logger.info("%s: %s", name, error)
        gc.collect()
