"""What preparing a photograph of 12 megapixels for the networks costs: ctwatch against SpeciesNet and MegaDetector.

Each runs in a process of its own and counts its own processor time; the peers' own functions are called as their programs
call them, without weights. SpeciesNet decodes once for its detector and again for its classifier where the detector has
found something: here on the quarter of the photographs with an animal, with one box. A peer is measured where it is installed:

    python -m venv data/peers/speciesnet && data/peers/speciesnet/bin/pip install speciesnet
    python -m venv data/peers/megadetector && data/peers/megadetector/bin/pip install megadetector
"""

import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path

from benchmarks.networks import CANVAS
from benchmarks.photographs import MEGAPIXELS_12, has_animal, write_card
from ctwatch import card
from ctwatch.decoding import Decoders, ReadingRules, Verdicts, Wanted
from ctwatch.domain import FileStat

PLACE = Path("data/peers")
_LOOP = """
import json, sys, time
said = sys.stdout
sys.stdout = sys.stderr
print("ready", file=said, flush=True)
for line in sys.stdin:
    path, animal = json.loads(line)
    started = time.process_time()
    prepare(path, animal)
    print(1000 * (time.process_time() - started), file=said, flush=True)
"""
_PREPARING: Mapping[str, str] = {
    "speciesnet": """
from types import SimpleNamespace
from speciesnet.classifier import SpeciesNetClassifier
from speciesnet.detector import SpeciesNetDetector
from speciesnet.utils import BBox, load_rgb_image
detector, classifier = object.__new__(SpeciesNetDetector), object.__new__(SpeciesNetClassifier)
classifier.model_info = SimpleNamespace(type_="always_crop")
def prepare(path, animal):
    detector.preprocess(load_rgb_image(path))
    if animal:
        classifier.preprocess(load_rgb_image(path), [BBox(0.4, 0.5, 0.2, 0.2)])
""",
    "megadetector": """
import sys
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile
from megadetector.detection.pytorch_detector import PTDetector
from megadetector.visualization.visualization_utils import load_image
with TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
    weights = Path(folder) / "md_v5a.0.0.pt"
    ZipFile(weights, "w").close()
    detector = PTDetector(str(weights), {"preprocess_only": True})
def prepare(path, animal):
    detector.preprocess_image(load_image(path))
""",
}


def measure(images: int, rounds: int) -> dict[str, float | int | str]:
    """Return processor milliseconds a photograph of each, medians over interleaved rounds, and ctwatch's gain.

    Raises SystemExit, which says how to install them, where no peer is.
    """
    peers = [name for name in _PREPARING if _interpreter(name).exists()]
    if not peers:
        raise SystemExit(f"no peer is installed; to install them:\n{(__doc__ or '').partition(':' + chr(10) * 2)[2]}")
    spent: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        root = Path(folder) / "L01_BENCH"
        write_card(root, images, size=MEGAPIXELS_12)
        files = card.snapshot(root, root.parent).files
        decoders = Decoders(longest_s=600, memory_bytes=4_000_000_000)
        stack.callback(decoders.close)
        ways: dict[str, Callable[[FileStat, int], float]] = {"ctwatch": lambda file, _: _ctwatch(decoders, root, file)}
        for name in peers:
            process = subprocess.Popen(
                [_interpreter(name), "-c", _PREPARING[name] + _LOOP],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.callback(process.kill)
            _heard(process, name)
            ways[name] = partial(_peer, process, name, root)
        for way in ways.values():
            way(files[0], 0)
        for _ in range(rounds):
            for name, way in ways.items():
                milliseconds = [way(file, number) for number, file in enumerate(files)]
                spent.setdefault(name, []).append(statistics.mean(milliseconds))
    ratios = {
        name: [theirs / ours for theirs, ours in zip(spent[name], spent["ctwatch"], strict=True)] for name in peers
    }
    medians = {name: statistics.median(values) for name, values in ratios.items()}
    return {
        "images": len(files),
        "megapixels": MEGAPIXELS_12[0] * MEGAPIXELS_12[1] / 1e6,
        **{f"{name}_ms": statistics.median(values) for name, values in spent.items()},
        **{f"{name}_not_installed": "see benchmarks/peers.py" for name in _PREPARING if name not in peers},
        **{f"ratio_{name}": value for name, value in medians.items()},
        "lowest_ratio": min(min(values) for values in ratios.values()),
        "highest_ratio": max(max(values) for values in ratios.values()),
        "ratio": min(medians.values()),
    }


def _interpreter(name: str) -> Path:
    return PLACE / name / "bin" / "python"


def _heard(process: "subprocess.Popen[str]", name: str) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"{name} in {PLACE / name} does not start; what it says stands above")
    return line


def _peer(process: "subprocess.Popen[str]", name: str, root: Path, file: FileStat, number: int) -> float:
    assert process.stdin is not None
    process.stdin.write(json.dumps([str(root / file.path), has_animal(number)]) + "\n")
    process.stdin.flush()
    return float(_heard(process, name))


def _ctwatch(decoders: Decoders, root: Path, file: FileStat) -> float:
    """Processor milliseconds here and in the decoding process: reading, hash, header, pixels, and the talk between both."""
    wanted = Wanted(ReadingRules(2000, True, datetime(2026, 6, 1)), (CANVAS,))
    verdicts = Verdicts(root.name, lambda media_id: False)
    (before,) = [_seconds_of(pid) for pid in decoders.pids()] or [0.0]
    started = time.process_time()
    read = decoders.read(str(root), file, wanted, verdicts)
    assert read.pixels is not None, read.detail
    (after,) = [_seconds_of(pid) for pid in decoders.pids()]
    return 1000 * (time.process_time() - started + after - before)


def _seconds_of(pid: int) -> float:
    """Processor time of another process, by the clock that Linux keeps for each: bits 3 and up are its inverted id."""
    return time.clock_gettime(~pid << 3 | 2)
