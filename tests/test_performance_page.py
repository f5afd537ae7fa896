"""docs/performance.md shows what the benchmarks found, and nothing else."""

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS
from benchmarks.keeping import DOCS, keep, page
from benchmarks.wording import SECTIONS


def test_the_page_is_made_of_the_kept_figures() -> None:
    assert (DOCS / "performance.md").read_text("utf-8") == page()


@pytest.mark.parametrize("name", SECTIONS)
def test_each_section_has_its_benchmark_its_figures_and_the_machine_they_were_made_on(name: str) -> None:
    assert name in BENCHMARKS
    kept = json.loads((DOCS / "performance" / f"{name}.json").read_text("utf-8"))
    assert kept["figures"]["ratio"] > 0
    assert {"processor", "cores", "torch", "openvino", "day"} <= kept["machine"].keys()


def test_figures_that_are_kept_come_back_on_the_page(tmp_path: Path) -> None:
    for number, name in enumerate(SECTIONS):
        keep(name, {"images": 12_345, "ratio": number + 0.25, "engines": "a, b"}, tmp_path)
    text = page(tmp_path)
    assert "| images | 12,345 |" in text
    assert "| engines | a, b |" in text
    assert all(f"| ratio | {number + 0.25:.3g} |" in text for number in range(len(SECTIONS)))
