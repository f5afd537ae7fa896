"""Tries the engines for some model files in a process of its own, whose memory is given back when it ends.

PyTorch and what it takes to convert a network need gigabytes for a large one; a daemon that has found its engines needs
neither.
"""

import gc
import json
import logging
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ctwatch.domain import ModelInfo
from ctwatch.errors import ModelError
from ctwatch.nets.choice import Rules, engine_for, is_found
from ctwatch.nets.model_info import read_info

logger = logging.getLogger(__name__)


def find_engines(models: Sequence[tuple[Path, ModelInfo]], *, device: str, threads: int, rules: Rules) -> None:
    """Find, in another process, the engines of those models for which the cache has none yet.

    Where that fails, nothing is found; loading then finds them in this process and says what is wrong.
    """
    unknown = [str(path) for path, info in models if not is_found(info, device, rules)]
    if rules.cache is None or not unknown:
        return
    logger.info("trying the engines for %d models; once for this machine", len(unknown))
    asked = {
        "paths": unknown,
        "device": device,
        "threads": threads,
        "rules": asdict(rules) | {"cache": str(rules.cache)},
    }
    place = str(Path(__file__).resolve().parents[2])
    program = f"import sys; sys.path.insert(0, {place!r}); from ctwatch.nets.trial import main; main()"
    run = subprocess.run(  # noqa: S603 - our own module, by our own interpreter
        [sys.executable, "-P", "-c", program], input=json.dumps(asked), stderr=subprocess.PIPE, text=True, check=False
    )
    for line in run.stderr.splitlines():
        logger.info("%s", line)
    if run.returncode:
        logger.warning("the process that tries engines ended with %d; they are tried in this one", run.returncode)


def main() -> None:
    """Try the engines for the models named on standard input, one after the other, into the cache."""
    asked = json.load(sys.stdin)
    rules = Rules(**asked["rules"] | {"cache": Path(asked["rules"]["cache"])})
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("ctwatch").setLevel(logging.INFO)
    for name in asked["paths"]:
        path = Path(name)
        try:
            engine_for(read_info(path), path, device=asked["device"], threads=asked["threads"], rules=rules)
        except ModelError:
            continue  # said where it is loaded
        gc.collect()
