"""Figures for Prometheus: the format to the letter, and the numbers of the store and the daemon."""

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import Store

from ctwatch.cli import main
from ctwatch.config import Config
from ctwatch.metrics import Metric, exposition, process_metrics
from ctwatch.results import put_out
from ctwatch.service import StatusBoard

SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


def parsed(text: str) -> dict[str, float]:
    """Read the text format 0.0.4 strictly: HELP, TYPE, then the samples of that family only, and one newline at the end."""
    assert text.endswith("\n") and not text.endswith("\n\n")
    found: dict[str, float] = {}
    family = ""
    lines = iter(text.removesuffix("\n").split("\n"))
    for line in lines:
        if line.startswith("# HELP "):
            family = line.split(" ")[2]
            assert len(line.split(" ")) > 4 and not any(key.split("{")[0] == family for key in found)
            kind = next(lines).split(" ")
            assert kind[:3] == ["#", "TYPE", family] and kind[3] in ("counter", "gauge")
            assert (kind[3] == "counter") == family.endswith("_total"), family
            continue
        told = SAMPLE.fullmatch(line)
        assert told is not None and told[1] == family, line
        labels = {
            name: re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], text)
            for name, text in LABEL.findall(told[2] or "")
        }
        key = family + "".join(f"{{{name}={value}}}" for name, value in sorted(labels.items()))
        assert key not in found
        found[key] = float(told[3])
    return found


def test_label_values_are_escaped_and_read_back_as_they_were() -> None:
    """Backslash, quote and line break, as the format wants it."""
    text = exposition([Metric("ctwatch_x", "gauge", "Of a\nline \\ break.", [({"name": 'a"b\\c\nd'}, 0.5)])])
    assert text == (
        "# HELP ctwatch_x Of a\\nline \\\\ break.\n# TYPE ctwatch_x gauge\n" + 'ctwatch_x{name="a\\"b\\\\c\\nd"} 0.5\n'
    )
    assert parsed(text) == {'ctwatch_x{name=a"b\\c\nd}': 0.5}


def test_the_figures_are_those_of_the_store_and_the_daemon(
    config: Callable[..., Config], make_card: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With one broken file on a card of four, a card that settles, and this process as the daemon."""
    made = config()
    monkeypatch.chdir(made.base)
    card = make_card()
    (card / "BROKEN.JPG").write_bytes(b"no image")
    store = Store(made)
    store.process(card)
    put_out(made, store.database)
    StatusBoard(made.store_folder, lambda: 0.0, pid=os.getpid()).update(
        state="waiting", settling=[{"name": "L02", "files": 1, "bytes": 1}], refused=[], missing_inboxes=[]
    )
    shown = CliRunner().invoke(main, ["metrics"])
    assert shown.exit_code == 0
    found = parsed(shown.output)
    expected = {
        "ctwatch_up": 1, "ctwatch_healthy": 1, "ctwatch_paused": 0, "ctwatch_cards_total": 1, "ctwatch_media_total": 3,
        "ctwatch_failed_files{reason=not_an_image}": 1, "ctwatch_settling_cards": 1, "ctwatch_refused_cards": 0,
        "ctwatch_quarantine": 0, "ctwatch_events": 1,
    }  # fmt: skip
    assert {key: found[key] for key in expected} == expected
    assert 0 <= found["ctwatch_heartbeat_age_seconds"] < 60
    assert abs(found["ctwatch_published_timestamp_seconds"] - datetime.now(UTC).timestamp()) < 120
    size = (made.store_folder / "reports.duckdb").stat().st_size
    assert found["ctwatch_store_bytes{file=reports.duckdb}"] == size
    assert found["ctwatch_free_bytes"] > 0
    assert found["ctwatch_process_resident_memory_bytes"] > 10_000_000
    assert found["ctwatch_process_threads"] >= 1 and found["ctwatch_process_open_fds"] >= 3
    out = tmp_path / "ctwatch.prom"
    assert CliRunner().invoke(main, ["metrics", "--out", str(out)]).output == ""
    assert parsed(out.read_text("utf-8")).keys() == found.keys()
    assert out.stat().st_mode & 0o044 == 0o044, "node_exporter is another user"


def test_without_a_daemon_and_a_store_there_is_still_an_answer(
    config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be told is absent, and up is 0."""
    made = config()
    monkeypatch.chdir(made.base)
    found = parsed(CliRunner().invoke(main, ["metrics"]).output)
    assert found["ctwatch_up"] == 0 and found["ctwatch_healthy"] == 0
    assert not [key for key in found if "process" in key or "cards_total" in key or "heartbeat" in key]


def test_a_process_that_is_gone_or_has_a_strange_name_is_no_obstacle(tmp_path: Path) -> None:
    """The name in /proc/PID/stat may hold blanks and brackets."""
    assert all(not metric.samples for metric in process_metrics(4_194_999))
    place = tmp_path / "7"
    (place / "fd").mkdir(parents=True)
    fields = ["S", *["0"] * 10, "150", "50", *["0"] * 4, "9", "0", "0", "0", "3", "0"]
    (place / "stat").write_text(f"7 (a) b (c) {' '.join(fields)}\n", "utf-8")
    values = {metric.name: metric.samples[0][1] for metric in process_metrics(7, tmp_path)}
    assert values["ctwatch_process_threads"] == 9
    assert values["ctwatch_process_cpu_seconds_total"] == 200 / os.sysconf("SC_CLK_TCK")
    assert values["ctwatch_process_resident_memory_bytes"] == 3 * os.sysconf("SC_PAGE_SIZE")
