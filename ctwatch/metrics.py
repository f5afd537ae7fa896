"""The state as figures in Prometheus' text exposition format, version 0.0.4."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ctwatch import __version__
from ctwatch.config import Config
from ctwatch.disk import free_bytes
from ctwatch.state import state
from ctwatch.store.database import LIVE_NAME, PUBLISHED_NAME

Samples = Sequence[tuple[Mapping[str, str], float]]


@dataclass(frozen=True, slots=True)
class Metric:
    """One family of figures: its name, what it means, and its values with their labels."""

    name: str
    kind: str
    """counter or gauge."""
    meaning: str
    samples: Samples


def metrics_of(config: Config, now: datetime) -> list[Metric]:
    """Return all figures at `now` (aware); what cannot be told is left out, as Prometheus expects."""
    facts = state(config, now)
    daemon: dict[str, Any] = facts["daemon"] or {}
    running = bool(daemon.get("running"))
    inside: dict[str, Any] = facts["in"] or {}
    failed: dict[str, int] = {}
    for card in facts["failed_cards"]:
        for reason, number in card["reasons"].items():
            failed[reason] = failed.get(reason, 0) + number
    folder = config.store_folder
    found = [
        _one("ctwatch_info", "gauge", "The ctwatch that wrote these figures.", 1, version=__version__),
        _one("ctwatch_up", "gauge", "1 if the daemon runs.", running),
        _one("ctwatch_healthy", "gauge", "1 if nobody has to see to it (ctwatch status --check).", not facts["problems"]),
        _one("ctwatch_paused", "gauge", "1 if no card is begun for now, as when the disk is full.", bool(daemon.get("paused"))),
        _one("ctwatch_heartbeat_age_seconds", "gauge", "Since the daemon last wrote its status.", facts["heartbeat_age_s"]),
        _one("ctwatch_settling_cards", "gauge", "Cards in the inboxes that are not whole yet.", _length(daemon, "settling")),
        _one("ctwatch_refused_cards", "gauge", "Cards that wait for somebody.", _length(daemon, "refused")),
        _one("ctwatch_missing_inboxes", "gauge", "Inboxes that are not there.", _length(daemon, "missing_inboxes")),
        _one("ctwatch_cards_total", "counter", "Cards that are in.", inside.get("cards")),
        _one("ctwatch_media_total", "counter", "Photographs that are in, each once.", inside.get("media")),
        _one("ctwatch_events", "gauge", "Capture events.", inside.get("events")),
        _one("ctwatch_review_events", "gauge", "Events that a person must see.", inside.get("to_review")),
        Metric(
            "ctwatch_failed_files",
            "gauge",
            "Files that could not be used, by reason.",
            [({"reason": reason}, number) for reason, number in sorted(failed.items())],
        ),
        _one("ctwatch_quarantine", "gauge", "Files that no decoder survived.", facts["quarantine"]),
        _one("ctwatch_published_timestamp_seconds", "gauge", "When reports.duckdb was published.", _unix(facts["published_at"])),
        _one("ctwatch_backups", "gauge", "Backups of the database in the store.", facts["backups"]["count"]),
        _one(
            "ctwatch_backup_timestamp_seconds", "gauge", "When the newest backup was made.", _unix(facts["backups"]["newest_at"])
        ),
        _one("ctwatch_free_bytes", "gauge", "Room on the disk of the store.", free_bytes(folder)),
        Metric(
            "ctwatch_store_bytes",
            "gauge",
            "Size of the database files.",
            [
                ({"file": name}, size)
                for name in (LIVE_NAME, PUBLISHED_NAME)
                if (size := _size(folder / name)) is not None
            ],
        ),
    ]  # fmt: skip
    if running:
        found += process_metrics(int(daemon["pid"]))
    return [metric for metric in found if metric.samples]


def process_metrics(pid: int, proc: Path = Path("/proc")) -> list[Metric]:
    """Return what the kernel tells of a process; nothing where it is gone or belongs to somebody else."""
    place = proc / str(pid)
    values: dict[str, float | None] = dict.fromkeys(("memory", "threads", "cpu", "fds"))
    try:
        # Behind the name, which may hold anything: fields 14 and 15 are times in ticks, 20 threads, 24 pages (proc(5)).
        fields = (place / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        values["cpu"] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        values["threads"] = int(fields[17])
        values["memory"] = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
        values["fds"] = len(os.listdir(place / "fd"))
    except (OSError, IndexError, ValueError):
        pass
    return [
        _one("ctwatch_process_resident_memory_bytes", "gauge", "Memory of the daemon's process.", values["memory"]),
        _one("ctwatch_process_threads", "gauge", "Its threads.", values["threads"]),
        _one("ctwatch_process_open_fds", "gauge", "Its open files.", values["fds"]),
        _one("ctwatch_process_cpu_seconds_total", "counter", "Processor time it has taken.", values["cpu"]),
    ]


def exposition(metrics: Iterable[Metric]) -> str:
    """Return the text that Prometheus reads: for each family HELP, TYPE and its samples."""
    lines = []
    for metric in metrics:
        meaning = metric.meaning.replace("\\", r"\\").replace("\n", r"\n")
        lines += [f"# HELP {metric.name} {meaning}", f"# TYPE {metric.name} {metric.kind}"]
        for labels, value in metric.samples:
            inside = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
            lines.append(f"{metric.name}{'{' + inside + '}' if inside else ''} {_number(value)}")
    return "\n".join(lines) + "\n"


def _one(metric: str, kind: str, meaning: str, value: float | None, **labels: str) -> Metric:
    return Metric(metric, kind, meaning, [] if value is None else [(labels, value)])


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _length(daemon: dict[str, Any], key: str) -> int | None:
    return len(daemon[key]) if key in daemon else None


def _unix(moment: str | None) -> float | None:
    return None if moment is None else datetime.fromisoformat(moment).timestamp()


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
