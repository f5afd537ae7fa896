"""Small work: commands against the bare start of what they need, one photograph to done, an idle daemon, a sweep over cards.

Processor seconds of user and system together, children included, except where a name says otherwise: what a start takes
of the clock says more of the machine's other work.
"""

import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.photographs import write_card
from ctwatch.service import read_status
from ctwatch.settle import SettleTracker, fingerprint
from ctwatch.sweep import GRANULARITY_S, Sweep

COMMANDS = {
    "help": ("--help",),
    "status": ("status",),
    "query": ("query", "select * from detections"),
    "report_cards": ("report", "cards"),
    "report": ("report",),
}
FLOORS = {
    "python": "pass",
    "libraries": "import click, duckdb",
    "libraries_and_numpy": "import click, duckdb, numpy",
}
"""What a command cannot do without."""
CARDS, FOLDERS, FILES = 200, 10, 10
IDLE_S = 60.0


def measure(runs: int, rounds: int) -> dict[str, float | int | str]:
    """Return medians over `runs` starts of each command and `rounds` sweeps; `ratio` is a full sweep to an idle one."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_card(root / "L01_BENCH", 3)
        (root / "inbox").mkdir()
        (root / "config.toml").write_text("[store]\nmin_free_gb = 0\n", "utf-8")
        _spent(root, "-m", "ctwatch", "process", "L01_BENCH")  # what is chosen once for a machine is chosen here
        starts: dict[str, tuple[str, ...]] = {f"{name}_cpu_s": ("-c", program) for name, program in FLOORS.items()}
        starts |= {f"{name}_cpu_s": ("-m", "ctwatch", *words) for name, words in COMMANDS.items()}
        spent: dict[str, list[float]] = {name: [] for name in starts}
        for _ in range(runs):
            for name, words in starts.items():
                spent[name].append(_spent(root, *words)[0])
        figures: dict[str, float | int | str] = {name: statistics.median(values) for name, values in spent.items()}
        figures |= {f"{name}_slowest_cpu_s": max(spent[f"{name}_cpu_s"]) for name in COMMANDS}
        figures |= _one_photograph(root, rounds) | _idle(root) | _sweeps(root / "cards", rounds)
    return figures


def _spent(root: Path, *words: str) -> tuple[float, float]:
    """Run Python in a folder; returns processor and wall-clock seconds."""
    # Modules are compiled once: where they may not be kept, every start would compile them.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [sys.executable, *words],
        cwd=root,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    took = time.perf_counter() - started
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, took


def _one_photograph(root: Path, rounds: int) -> dict[str, float]:
    """`ctwatch process` of a card of one photograph, start and end of the process included, with warm caches."""
    processor, clock = [], []
    for number in range(rounds):
        card = root / f"L{number + 2:02d}_BENCH"
        card.mkdir()
        shutil.copy(sorted((root / "L01_BENCH").rglob("*.JPG"))[number % 3], card / "IMG_0001.JPG")
        with (card / "IMG_0001.JPG").open("ab") as file:
            file.write(bytes([number]))  # other bytes behind the end: a photograph that is not in yet
        spent, took = _spent(root, "-m", "ctwatch", "process", card.name)
        processor.append(spent)
        clock.append(took)
    return {
        "process_one_photograph_cpu_s": statistics.median(processor),
        "process_one_photograph_s": statistics.median(clock),
    }


def _idle(root: Path) -> dict[str, float | int]:
    """The real daemon with nothing to do, all its threads and children, over `IDLE_S` after it has come to rest."""
    daemon = subprocess.Popen(
        [sys.executable, "-m", "ctwatch", "run"], cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        started = time.monotonic()
        while not _waits(root / "data", daemon.pid):
            if daemon.poll() is not None or time.monotonic() - started > 300:
                raise RuntimeError("the daemon did not come to rest")
            time.sleep(0.1)
        ready = time.monotonic() - started
        time.sleep(3.0)
        before, woken = _of_processes(daemon.pid)
        time.sleep(IDLE_S)
        after, again = _of_processes(daemon.pid)
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(60)
    return {
        "daemon_ready_s": ready,
        "idle_share_of_a_core": (after - before) / IDLE_S,
        "idle_wakeups_per_minute": round((again - woken) * 60 / IDLE_S),
    }


def _waits(store: Path, pid: int) -> bool:
    status = read_status(store) or {}
    return (status.get("pid"), status.get("state")) == (pid, "waiting")


def _of_processes(pid: int) -> tuple[float, int]:
    """Return processor seconds of a process and its descendants, and how often their threads went to sleep, as proc(5) says."""
    seconds, sleeps = 0.0, 0
    for place in _family(pid):
        times = (place / "stat").read_text().rpartition(")")[2].split()[11:13]
        seconds += sum(map(int, times)) / os.sysconf("SC_CLK_TCK")
        for thread in (place / "task").iterdir():
            lines = (thread / "status").read_text().splitlines()
            sleeps += sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))
    return seconds, sleeps


def _family(pid: int) -> Iterator[Path]:
    place = Path(f"/proc/{pid}")
    yield place
    for thread in (place / "task").iterdir():
        for child in (thread / "children").read_text().split():
            yield from _family(int(child))


def _sweeps(inbox: Path, rounds: int) -> dict[str, float | int]:
    """Looks at an inbox in which all cards are in: listed whole, and told from their folders alone."""
    for card in range(CARDS):
        for folder in range(FOLDERS):
            place = inbox / f"L{card:04d}" / "DCIM" / f"{100 + folder}MEDIA"
            place.mkdir(parents=True)
            for number in range(FILES):
                (place / f"IMG_{number:04d}.JPG").touch()
    sweep, tracker, known = Sweep(time.monotonic), SettleTracker(0.0), set[str]()

    def look(*, full: bool) -> float:
        started = time.process_time()
        for seen in sweep.look(inbox, tracker.rests, None if full else ()):
            if seen.card is None:
                tracker.see_unchanged(seen.root, time.monotonic())
            else:
                known.add(fingerprint(seen.card))
                tracker.see(seen.card, time.monotonic(), known)
        tracker.hand_out()
        return time.process_time() - started

    look(full=True)
    time.sleep(GRANULARITY_S)
    look(full=True)
    pairs = [(look(full=True), look(full=False)) for _ in range(rounds)]
    full, idle = (statistics.median(times) for times in zip(*pairs, strict=True))
    return {
        "sweep_cards": CARDS,
        "sweep_folders": CARDS * (FOLDERS + 2),
        "sweep_files": CARDS * FOLDERS * FILES,
        "full_sweep_cpu_s": full,
        "idle_sweep_cpu_s": idle,
        "idle_sweep_us_per_folder": idle / (CARDS * (FOLDERS + 2)) * 1e6,
        "full_sweep_us_per_file": full / (CARDS * FOLDERS * FILES) * 1e6,
        "ratio": statistics.median(one / other for one, other in pairs),
    }
