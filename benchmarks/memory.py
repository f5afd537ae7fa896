"""How much memory `ctwatch process` takes for a card of a thousand photographs and for a large one.

Photographs are small, so that many go through quickly: what grows with their number is the same whatever their size. Peaks
are the largest resident set of the main process from its start to its end, publication and tables included, and once that
of the process that tries engines.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import networks
from benchmarks.photographs import write_card

SMALL = 1000
_SIZE = (240, 320)
_LARGE_NETWORK_IMAGES = 96
_PROGRAM = """
import re, resource, sys
from pathlib import Path
from ctwatch.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(peak, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def measure(images: int, rounds: int) -> dict[str, float | int | str]:
    """Return peaks in GB for `SMALL` photographs and for `images`, medians over interleaved rounds, and their ratio."""
    peaks: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        sizes = {"small": SMALL, "half": images // 2, "large": images}
        for name, number in sizes.items():
            write_card(root / f"{name}_CARD", number, size=_SIZE)
        write_card(root / "networks_CARD", _LARGE_NETWORK_IMAGES)
        networks.fitted(root / "cheap", "thin_resnet10")
        networks.fitted(root / "resnet50", "resnet50", members=2)
        # The engines are tried at the first start, in a process of their own: once a machine and model.
        _peaks(root / "networks_CARD", root / "first_cheap", root / "cheap")
        _, trial = _peaks(root / "networks_CARD", root / "first_resnet50", root / "resnet50")
        for number in range(rounds):
            for name in sizes:
                main, _ = _peaks(root / f"{name}_CARD", root / f"{name}{number}", root / "cheap")
                peaks.setdefault(f"{name}_gb", []).append(main)
            main, _ = _peaks(root / "networks_CARD", root / f"networks{number}", root / "resnet50")
            peaks.setdefault("resnet50_gb", []).append(main)
    medians = {name: statistics.median(values) for name, values in peaks.items()}
    return {
        "small_images": SMALL,
        "images": images,
        "cores": len(os.sched_getaffinity(0)),
        **medians,
        "resnet50_trial_gb": trial,
        "bytes_per_image": (medians["large_gb"] - medians["half_gb"]) * 1e9 / (images - images // 2),
        "ratio": medians["large_gb"] / medians["small_gb"],
    }


def _peaks(card: Path, store: Path, models: Path) -> tuple[float, float]:
    """Process a card into a new store; returns the peaks of the main process and of the largest child that has ended, GB.

    Engines are kept beside the models, so that those of a new folder are tried whatever this machine has found before.
    """
    store.mkdir()
    config = store / "config.toml"
    places = f'[store]\nfolder = "{store}"\n[models]\nempty = "{models}/empty"\nspecies = "{models}/species"\ncache = "{models}"\n'
    config.write_text(places, "utf-8")
    command = [sys.executable, "-c", _PROGRAM, "--config", str(config), "process", str(card)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    main, child = map(int, run.stdout.split()[-2:])
    return main * 1024 / 1e9, child * 1024 / 1e9
