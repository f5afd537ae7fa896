"""The log: one line a record whatever it says, JSON for the journal, nothing lost of warnings and faults."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ctwatch.logs import printable

HOSTILE = "IMG\n2026-01-01 00:00:00 ERROR forged\r\x1b[2J\x1b]0;title\x07 \x9b31m \u2028 \u202egnp.exe \x7f\udcff.JPG"
PROGRAM = """
import logging, sys, threading, warnings
from ctwatch import logs
logs.set_up(sys.argv[1])
log = logging.getLogger("ctwatch.test")
name = {name!r}
log.info("card %s: 3 files", name, extra={{"facts": {{"card": name, "files": 3}}}})
log.warning("plain words: Réserve")
try:
    raise ValueError(name)
except ValueError:
    log.exception("could not")
warnings.warn("from a library", stacklevel=1)
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
raise RuntimeError(name)
"""


def lines(form: str, tmp_path: Path, *, journal: bool = False) -> list[str]:
    """What a process logs, as the lines of its stderr; with `journal` that file is what the service manager named."""
    path = tmp_path / "stderr"
    with open(path, "wb") as stderr:
        facts = os.fstat(stderr.fileno())
        # Another stream's name is no journal: a daemon whose stderr was redirected to a file writes for people.
        stream = f"{facts.st_dev}:{facts.st_ino}" if journal else "1:1"
        program = [sys.executable, "-c", PROGRAM.format(name=HOSTILE), form]
        subprocess.run(program, stderr=stderr, env={**os.environ, "JOURNAL_STREAM": stream}, check=False)
    return path.read_text("utf-8").removesuffix("\n").split("\n")


def test_in_text_every_record_is_one_line_that_no_name_can_forge(tmp_path: Path) -> None:
    """Whatever stands at the start of a line was written by the log; no control character reaches the terminal."""
    found = lines("auto", tmp_path)
    records = [line for line in found if not line.startswith("    ")]
    starts = [re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (\w+) ", line) for line in records]
    assert [start and start[1] for start in starts] == ["INFO", "WARNING", "ERROR", "WARNING", "CRITICAL", "CRITICAL"]
    assert all(line.isprintable() for line in found)
    assert r"card IMG\n2026-01-01 00:00:00 ERROR forged\r\x1b[2J" in records[0]
    assert r"\u202egnp.exe \x7f\udcff.JPG: 3 files" in records[0]
    assert "Réserve" in records[1]
    assert "from a library" in records[3]
    assert "ZeroDivisionError" in "".join(found)


def test_in_json_every_line_is_an_object_with_the_facts_as_they_are(tmp_path: Path) -> None:
    """Programs get the name itself, escaped by JSON alone; the bytes are ASCII without any control."""
    found = lines("json", tmp_path)
    assert all(line.isascii() and line.isprintable() for line in found)
    records = [json.loads(line) for line in found]
    assert [item["level"] for item in records] == ["info", "warning", "error", "warning", "critical", "critical"]
    assert records[0]["facts"] == {"card": HOSTILE, "files": 3}
    assert records[0]["logger"] == "ctwatch.test"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", records[0]["time"])
    assert records[0]["message"].isprintable()
    assert records[1]["message"] == "plain words: Réserve"
    assert records[2]["exception"][0] == "Traceback (most recent call last):"
    assert records[3]["logger"] == "py.warnings"
    assert "facts" not in records[1] and "exception" not in records[1]


def test_the_journal_gets_json_with_priorities(tmp_path: Path) -> None:
    """auto knows it by its device and inode, so that a redirected stderr is not taken for it."""
    found = lines("auto", tmp_path, journal=True)
    assert [line[:3] for line in found] == ["<6>", "<4>", "<3>", "<4>", "<2>", "<2>"]
    assert json.loads(found[0][3:])["facts"]["files"] == 3


def test_text_in_the_journal_has_a_priority_on_every_line(tmp_path: Path) -> None:
    """A traceback's lines are records of their own there; none falls back to another level."""
    assert all(re.match(r"<[2346]>", line) for line in lines("text", tmp_path, journal=True))


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_error_that_ends_a_command_has_the_form_of_the_log(tmp_path: Path, form: str) -> None:
    """What the daemon dies of is read by the same program as what it said before; the exit code stays."""
    (tmp_path / "config.toml").write_text("[watch]\nsettle = 1\n[stor]\n", "utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "ctwatch", "--log", form, "status"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    found = run.stderr.splitlines()
    if form == "json":
        assert [json.loads(line)["level"] for line in found] == ["error"]
        assert "settle_s" in found[0] and "stor" in found[0]
    else:
        assert len(found) == 2 and all(line.startswith("ctwatch: ") for line in found)


def test_what_can_be_printed_stays_as_it_is() -> None:
    """Umlauts, Chinese, an emoji; only what moves or hides is escaped."""
    assert printable("Réserve 保护区 🐆 L01") == "Réserve 保护区 🐆 L01"
    assert printable("a\tb\x00") == r"a\tb\x00"
