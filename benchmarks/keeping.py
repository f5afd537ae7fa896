"""Keeps what benchmarks found, with the machine they ran on, and makes docs/performance.md of it."""

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.wording import AFTER, BEFORE, SECTIONS
from ctwatch.nets.shelf import processor

DOCS = Path(__file__).resolve().parents[1] / "docs"
LIBRARIES = ("torch", "openvino", "pillow", "cykooz_resizer", "duckdb", "numpy")

Figures = Mapping[str, float | int | str]


def keep(name: str, figures: Figures, folder: Path = DOCS / "performance") -> None:
    """Write one benchmark's figures and the machine they were made on to `folder/NAME.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {"machine": machine(), "figures": figures}
    (folder / f"{name}.json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")


def machine() -> dict[str, str]:
    """Say what this machine is: processor, cores, libraries, and the day."""
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in LIBRARIES},
        "day": f"{datetime.now(UTC):%Y-%m-%d}",
    }


def page(folder: Path = DOCS / "performance") -> str:
    """Return docs/performance.md: what was measured, benchmark after benchmark, with the words that belong to it."""
    kept: dict[str, dict[str, Any]] = {
        name: json.loads((folder / f"{name}.json").read_text("utf-8")) for name in SECTIONS
    }
    parts = [BEFORE]
    for name, (title, words) in SECTIONS.items():
        made_on, figures = kept[name]["machine"], kept[name]["figures"]
        parts.append(f"## {title}\n\n{words}\n")
        parts.append("| figure | value |\n|---|---|\n" + "".join(map(_row, figures.items())))
        where = ", ".join(f"{key} {value}" for key, value in made_on.items() if key not in ("processor", "day"))
        parts.append(f"`python -m benchmarks {name}` on {made_on['processor']}, {where}, {made_on['day']}.\n")
    return "\n".join([*parts, AFTER])


def _row(figure: tuple[str, float | int | str]) -> str:
    name, value = figure
    if isinstance(value, float):
        value = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    elif isinstance(value, int):
        value = f"{value:,}"
    return f"| {name} | {value} |\n"


def _processor() -> str:
    """Name the processor, and its units that matter here."""
    name, flags = processor()
    units = [unit for unit in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if unit in flags]
    return f"{name} ({', '.join(units) or 'no wide units'})"
