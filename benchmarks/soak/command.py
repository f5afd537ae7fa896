"""The soak from the first card to the picture."""

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.soak.cards import TABLE, Expected, write_card
from benchmarks.soak.faults import SCHEDULE, Station
from benchmarks.soak.figures import ENOUGH_TO_GROW, FLAT, MORE, RULE, accounts, flatness, growth_per_card
from benchmarks.soak.sampling import Sample, Sampler, status

DISK_MB = 500
"""Size of the small file system that the store lies on, so that it can be filled."""
_AHEAD = 4
"""Cards that lie in the inbox before the daemon has published them."""
_HELD_S = (0.0, 0.0, 30.0)
"""How long each reader holds a connection."""
_CONFIGURATION = """
[watch]
settle_s = 0.5
sweep_s = 10.0
retry_s = 3.0
unfinished_s = 3.0
[models]
empty = "bundled"
device = "cpu"
[deployments]
table = "deployments.csv"
[store]
folder = "store/data"
min_free_gb = 0
busy_timeout_s = 3
"""
_PATIENCE_S = 300.0


def soak(cards: int, out: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Run the soak; writes `soak.png` and `soak.json` into a folder and returns the figures, `problems` empty if all held."""
    root = Path(tempfile.mkdtemp(prefix="ctwatch-soak-"))
    with _small_disk(root / "store") as small:
        station = Station(root, small)
        samples, expected, read = _live(station, cards, say)
        figures = _figures(station, samples, expected, read)
    figures["kept"] = str(root) if figures["problems"] else None
    if not figures["problems"]:
        shutil.rmtree(root)
    _write(out, figures, samples, station)
    return figures


def _live(
    station: Station, cards: int, say: Callable[[str], None]
) -> tuple[list[Sample], list[Expected], list[dict[str, Any]]]:
    root = station.root
    for folder in ("inbox", "aside", "readers"):
        (root / folder).mkdir()
    (root / "config.toml").write_text(_CONFIGURATION, "utf-8")
    (root / "deployments.csv").write_text(TABLE, "utf-8")
    started = time.monotonic()
    sampler = Sampler(station.store, started)
    samples: list[Sample] = []
    expected: list[Expected] = []
    station.start()
    readers = [_reader(station, number, held) for number, held in enumerate(_HELD_S)]
    try:
        _drop(station, cards, sampler, samples, expected, say)
        for _ in range(5):
            time.sleep(1)
            _sample(station, sampler, samples)
        read = [_end(reader, root / "readers" / f"{number}.json") for number, reader in enumerate(readers)]
        station.end()
    finally:
        for process in (*readers, station.daemon):
            if process is not None and process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    return samples, expected, read


def _drop(
    station: Station,
    cards: int,
    sampler: Sampler,
    samples: list[Sample],
    expected: list[Expected],
    say: Callable[[str], None],
) -> None:
    """Drop cards one after the other, let go wrong what is scheduled, and look once a second, until all are published."""
    schedule = list(SCHEDULE)
    last_progress, last_cards = time.monotonic(), 0
    while sampler.cards() < cards:
        if len(expected) < cards and len(expected) - sampler.cards() < _AHEAD:
            expected.append(write_card(len(expected), station.inbox, station.root))
            if schedule and len(expected) >= schedule[0][0] * cards:
                _, what, do = schedule.pop(0)
                if what != "disk full" or station.small_disk:
                    station.told.append((sampler.now(), what))
                    say(f"{len(expected)} cards dropped: {what}")
                    do(station)
        station.undo_due()
        _sample(station, sampler, samples)
        if sampler.cards() > last_cards:
            last_progress, last_cards = time.monotonic(), sampler.cards()
            say(f"{last_cards} of {cards} cards published, {sampler.now():.0f} s")
        if time.monotonic() - last_progress > _PATIENCE_S:
            say(f"nothing came of it for {_PATIENCE_S:.0f} s: {status(station.store)}")
            break
    station.undo_due(all_of_them=True)


def _sample(station: Station, sampler: Sampler, samples: list[Sample]) -> None:
    """Take one sample a second, and start a daemon that has died of itself again."""
    assert station.daemon is not None
    if samples and sampler.now() - samples[-1].at < 1:
        time.sleep(0.05)
        return
    code = station.daemon.poll()
    if code is not None:
        station.deaths.append(code)
        station.start()
    sample = sampler.take(station.daemon.pid)
    if sample is not None:
        samples.append(sample)


def _figures(
    station: Station, samples: list[Sample], expected: list[Expected], read: list[dict[str, Any]]
) -> dict[str, Any]:
    assert station.daemon is not None
    code = station.daemon.returncode
    flat = flatness(samples)
    problems = accounts(station.store / "reports.duckdb", expected)
    problems += [f"the daemon ended with {code}"] if code else []
    problems += [f"the daemon died with {death} and was started again" for death in station.deaths]
    problems += [f"a reader: {problem}" for reader in read for problem in reader["problems"]]
    problems += [
        f"{name} grew by {facts['growth']:.1%} after warming up"
        for name, facts in flat.items()
        if facts["growth"] > FLAT
    ]
    growth = growth_per_card(samples)
    if len(expected) >= ENOUGH_TO_GROW and growth["published_second_half"] > MORE * growth["published_first_half"]:
        problems.append(f"the published database grows faster and faster: {growth}")
    left = sorted(path.name for path in station.store.iterdir() if path.suffix in (".wal", ".new", ".tmp"))
    problems += [f"left behind: {name}" for name in left]
    seconds = samples[-1].at
    return {
        "cards": len(expected),
        "files": sum(card.files_seen for card in expected),
        "photographs": sum(card.media for card in expected),
        "seconds": seconds,
        "cards_per_minute": 60 * len(expected) / seconds,
        "publications": samples[-1].publications,
        "faults": [{"at_s": round(at, 1), "what": what} for at, what in station.told],
        "removed_while_read": sorted(station.removed),
        "questions_of_readers": sum(reader["asked"] for reader in read),
        "longest_question_s": max(reader["longest_s"] for reader in read),
        "flat_after_warm_up": flat,
        "rule": RULE,
        "bytes_per_card": growth,
        "highest_pss_mb": max(sample.pss for sample in samples) / 1e6,
        "median_processes": statistics.median(sample.processes for sample in samples),
        "samples_with_a_log": sum(bool(sample.logs) for sample in samples),
        "samples": len(samples),
        "problems": problems,
    }


def _write(out: Path, figures: dict[str, Any], samples: list[Sample], station: Station) -> None:
    from benchmarks.soak.pictures import draw

    out.mkdir(parents=True, exist_ok=True)
    draw(samples, station.told, out / "soak.png")
    every = max(1, len(samples) // 200)
    series = [
        {name: value for name, value in asdict(sample).items() if name != "daemon"} for sample in samples[::every]
    ]
    for sample in series:
        sample["at"] = round(sample["at"], 1)
    told = {name: value for name, value in figures.items() if name != "kept"}
    (out / "soak.json").write_text(json.dumps({**told, "series": series}, indent=1) + "\n", "utf-8")


def _reader(station: Station, number: int, held_s: float) -> subprocess.Popen[bytes]:
    out = station.root / "readers" / f"{number}.json"
    reports = station.store / "reports.duckdb"
    arguments = [sys.executable, "-m", "benchmarks.soak.readers", str(reports), str(out), str(held_s)]
    return subprocess.Popen(arguments, cwd=Path(__file__).resolve().parents[2], start_new_session=True)


def _end(reader: subprocess.Popen[bytes], out: Path) -> dict[str, Any]:
    reader.terminate()
    reader.wait(60)
    said: dict[str, Any] = json.loads(out.read_text("utf-8"))
    return said


@contextmanager
def _small_disk(place: Path) -> Iterator[bool]:
    """Mount a small file system in memory while a block runs; False where that is not allowed."""
    place.mkdir()
    mounted = (
        os.geteuid() == 0
        and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(place)], check=False, capture_output=True
        ).returncode
        == 0
    )
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(place)], check=False)
