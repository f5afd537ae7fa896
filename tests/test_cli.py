"""The commands as a user types them: what they print where, and how they end."""

import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from ctwatch.cli import main
from ctwatch.demo.station import CARDS, maker_note, photograph


def write_card(folder: Path, files: int = 4, first: int = 1) -> Path:
    """Bursts of two frames, ten minutes apart, and a time-lapse frame at the end."""
    folder.mkdir(parents=True)
    for number in range(first, first + files):
        pixels = np.random.default_rng(number).integers(0, 255, (24, 32, 3), dtype=np.uint8)
        moment = datetime(2026, 5, 1, 10) + timedelta(minutes=10 * (number // 2), seconds=number % 2)
        trigger = "T" if number == first + files - 1 else "M"
        note = maker_note(CARDS[0], trigger, 1 + number % 2, 2, number // 2, 20)
        (folder / f"RCNX{number:04d}.JPG").write_bytes(photograph(pixels, moment, note))
    return folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a configuration without models, and a card."""
    (tmp_path / "inbox").mkdir()
    (tmp_path / "config.toml").write_text("[models]\nempty = ''\n", "utf-8")
    write_card(tmp_path / "L01_CAM1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ctwatch(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def answer(*arguments: str) -> Any:
    result = ctwatch(*arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_card_is_processed_reported_queried_and_exported(place: Path) -> None:
    """The way through, without a daemon and without models."""
    result = ctwatch("process", "L01_CAM1")
    assert result.exit_code == 0, result.output
    assert "4 files = 4 photographs, 1 of them time-lapse" in result.stdout
    assert answer("report", "cards", "--json")[0]["media"] == 4
    decided = answer("report", "decisions", "--json")
    assert decided == [{"location": "L01", "decided": "unclassified", "events": 2, "to_review": 2}]
    assert answer("query", "select count(*) as n from media", "--json") == [{"n": 4}]
    assert ctwatch("query", "select 'a,b' as x, 1.5 as y", "--csv").stdout == 'x,y\n"a,b",1.5\n'
    result = ctwatch("export", "--out", "out")
    assert {Path(line).name for line in result.stdout.split()} == {
        "observations.csv", "effort.csv", "occasions.csv", "contact-sheet.png",
    }  # fmt: skip
    assert answer("status", "--json")["in"]["media"] == 4
    assert "4 photographs" in ctwatch("status").stdout
    whole = answer("report", "--json")
    assert whole["history"]["effort"] == {"L01": [1.0]}


def test_the_same_card_again_changes_nothing(place: Path) -> None:
    """Run twice, the tables are the same, and it says so."""
    ctwatch("process", "L01_CAM1")
    before = answer("query", "from observations order by observation_id", "--json")
    again = answer("process", "L01_CAM1", "--json")
    assert again[0]["already_in"] is True
    assert answer("query", "from observations order by observation_id", "--json") == before


def test_a_broken_file_ends_in_exit_code_3_and_the_rest_is_in(place: Path) -> None:
    """Done, but some media could not be used."""
    whole = (place / "L01_CAM1" / "RCNX0001.JPG").read_bytes()
    (place / "L01_CAM1" / "RCNX0001.JPG").write_bytes(whole[: len(whole) - 40])
    result = ctwatch("process", "L01_CAM1")
    assert result.exit_code == 3
    assert "1 FAILED" in result.stdout
    failures = answer("report", "failures", "--json")
    assert [(row["file"], row["reason"]) for row in failures] == [("RCNX0001.JPG", "truncated")]


def test_stdout_is_data_and_stderr_the_rest(place: Path) -> None:
    """So that answers can be piped."""
    result = ctwatch("query", "select 1")
    assert (result.exit_code, result.stdout) == (5, "")
    assert "no card has been processed" in result.stderr
    ctwatch("process", "L01_CAM1")
    result = ctwatch("query", "select * from nothing")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "The views are: cards, clock_corrections" in result.stderr


def test_a_parquet_file_is_replaced_whole_or_left_as_it_was(place: Path) -> None:
    """A second answer takes the place of the first; a question that fails leaves it, and nothing beside it."""
    ctwatch("process", "L01_CAM1")
    for sql, rows in (("from media", 4), ("select 1 as a", 1)):
        assert ctwatch("query", sql, "--parquet", "answer.parquet").stdout == f"answer.parquet: {rows} rows\n"
    before = (place / "answer.parquet").read_bytes()
    assert ctwatch("query", "from nothing", "--parquet", "answer.parquet").exit_code == 2
    assert (place / "answer.parquet").read_bytes() == before
    result = ctwatch("query", "select 1", "--parquet", "nowhere/answer.parquet")
    assert (result.exit_code, "nowhere is no folder" in result.stderr) == (2, True)
    assert {item.name for item in place.iterdir()} == {"L01_CAM1", "answer.parquet", "config.toml", "data", "inbox"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["query", "select 1", "--csv", "--json"], "exclude each other"),
        (["query", "select 1", "--csv", "--parquet", "x.parquet"], "exclude each other"),
        (["query", " "], "the question is empty"),
        (["report", "effort", "--html", "x.html"], "leave effort out"),
        (["export", "geojson", "--wiqid", "--out", "out"], "go with: ctwatch export occupancy"),
        (["deployments", "draft", "--out", "nowhere/x.csv"], "cannot be written"),
    ],
)
def test_what_contradicts_itself_is_refused_and_nothing_is_dropped_in_silence(
    place: Path, arguments: list[str], words: str
) -> None:
    """Usage, exit code 2."""
    ctwatch("process", "L01_CAM1")
    result = ctwatch(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr
    assert not (place / "x.html").exists()


def test_machines_are_told_what_was_written(place: Path) -> None:
    """Files and what was assumed, as JSON."""
    ctwatch("process", "L01_CAM1")
    told = answer("export", "geojson", "--out", "out", "--json")
    assert told["files"] == ["out/geojson/survey.geojson"]
    assert any("without coordinates" in sentence for sentence in told["sentences"])
    assert answer("report", "--html", "survey.html", "--json")["file"] == "survey.html"
    assert (place / "survey.html").exists()


def ends(*arguments: str, place: Path, output: int) -> tuple[int, bytes]:
    """How a command ends whose output goes there."""
    child = subprocess.run(
        [sys.executable, "-m", "ctwatch", *arguments], cwd=place, stdout=output, stderr=subprocess.PIPE
    )
    return child.returncode, child.stderr


@pytest.mark.parametrize("arguments", [["query", "from media", "--csv"], ["report", "cards"], ["status"]])
def test_a_reader_that_goes_away_is_no_error_and_a_full_disk_is_one(place: Path, arguments: list[str]) -> None:
    """As with `| head`; and never a traceback."""
    ctwatch("process", "L01_CAM1")
    reading, writing = os.pipe()
    os.close(reading)
    assert ends(*arguments, place=place, output=writing) == (0, b"")
    os.close(writing)
    if not Path("/dev/full").exists():
        pytest.skip("only Linux has /dev/full")
    with Path("/dev/full").open("wb") as full:
        assert ends(*arguments, place=place, output=full.fileno()) == (
            5, b"ctwatch: the output: No space left on device\n",
        )  # fmt: skip


def test_a_table_is_checked_against_how_photographs_are_mapped(place: Path) -> None:
    """Written or changed, it wants a rederive, and check says so; afterwards it fits, notes go to stderr."""
    ctwatch("process", "L01_CAM1")
    text = (
        "deploymentID,locationID,locationName,latitude,longitude,deploymentStart,deploymentEnd,outage1From,outage1To,"
        "referencePhoto,referenceTime,elevation,folder\n"
        "D1,Ridge,Ford,1.5,-2.25,2026-04-20,2026-05-04,2026-04-22,2026-04-23,RCNX0001.JPG,2026-05-01T10:00:10,12,L01_CAM1\n"
        "D2,Lake,,,,2026-04-20T10:00:00.5,2026-05-04,,,,,,L02\n"
    )
    (place / "deployments.csv").write_text(text, "utf-8")
    (place / "config.toml").write_text("[models]\nempty = ''\n[deployments]\ntable = 'deployments.csv'\n", "utf-8")
    found = answer("deployments", "check", "--json")
    assert (found[0]["kind"], found[0]["remedy"]) == ("table_changed", "run `ctwatch rederive`, then check again")
    assert ctwatch("rederive").exit_code == 0
    result = ctwatch("deployments", "check", "--json")
    assert "table_changed" not in [item["kind"] for item in json.loads(result.stdout)]
    assert "read as a Camtrap DP table" in result.stderr
    (place / "deployments.csv").write_text(text.replace("2026-05-04", "2026-05-05"), "utf-8")
    assert answer("deployments", "check", "--json")[0]["kind"] == "table_changed"


def test_a_question_cannot_change_or_reach_out(place: Path) -> None:
    """The published copy is read-only, and no other file can be read or written through it."""
    ctwatch("process", "L01_CAM1")
    for sql in (
        "delete from raw.media",
        "create table t (a int)",
        "copy (select 1) to 'stolen.csv'",
        "select * from read_csv('/etc/passwd')",
        "attach 'other.duckdb'",
        "install httpfs",
    ):
        assert ctwatch("query", sql).exit_code == 2, sql
    assert not (place / "stolen.csv").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "[watch]\nsettle = 3\n[evnts]\n",
            ["line 2: watch.settle: no such option; did you mean settle_s", "line 3: no section [evnts]"],
        ),
        ("[events]\nevent_gap_s = -1\nmode = 'x'\n", ["line 2", "line 3", "must be one of gap, trigger"]),
        ("not toml", ["config.toml"]),
        ("[deployments]\nfolder_pattern = '('\n", ["not a regular expression"]),
    ],
)  # fmt: skip
def test_every_problem_of_a_configuration_is_told_at_once(place: Path, text: str, words: list[str]) -> None:
    """Each with file, line, key and remedy; exit code 2, nothing written."""
    (place / "config.toml").write_text(text, "utf-8")
    result = ctwatch("process", "L01_CAM1")
    assert result.exit_code == 2
    assert all(word in result.stderr for word in words), result.stderr
    assert not (place / "data").exists()


def test_check_names_every_problem_and_ends_with_the_gravest(place: Path) -> None:
    """Configuration before models before the store before the inbox."""
    (place / "empty-models").mkdir()
    (place / "empty-models" / "bad.safetensors").write_bytes(b"no model")
    (place / "deployments.csv").write_text("deploymentID,latitude\nD1,north\nD1,\n", "utf-8")
    (place / "config.toml").write_text(
        "[watch]\ninboxes = ['gone']\n[models]\nempty = 'empty-models'\n[deployments]\ntable = 'deployments.csv'\n",
        "utf-8",
    )
    result = ctwatch("check")
    assert result.exit_code == 2
    for words in ("line 2: latitude 'north'", "line 3: deploymentID 'D1'", "bad.safetensors", "gone is not there"):
        assert words in result.stdout
    assert all(line.startswith(("ok ", "PROBLEM ")) for line in result.stdout.splitlines())
    found = json.loads(ctwatch("check", "--json").stdout)
    assert sum(item["problem"] is not None for item in found) == 3
    run = ctwatch("run")
    assert run.exit_code == 2
    assert "bad.safetensors" in run.stderr
    assert "gone is not there" in run.stderr


def test_a_missing_inbox_is_exit_code_6(place: Path) -> None:
    """Unmounted, perhaps; never taken for empty."""
    (place / "inbox").rmdir()
    assert ctwatch("check").exit_code == 6
    assert ctwatch("run").exit_code == 6


def test_a_folder_for_models_may_still_be_bare(place: Path) -> None:
    """Without models everything is unclassified; what is dropped in later is used by the next run."""
    (place / "models").mkdir()
    (place / "config.toml").write_text("[models]\nempty = 'models'\n", "utf-8")
    assert ctwatch("check").exit_code == 0
    assert ctwatch("process", "L01_CAM1").exit_code == 0
    (place / "config.toml").write_text("[models]\nempty = 'no-such-folder'\n", "utf-8")
    assert ctwatch("process", "L01_CAM1").exit_code == 4


def test_rederive_takes_over_a_new_deployments_table(place: Path) -> None:
    """Mapping, effort and observations follow the table without another look at the files."""
    ctwatch("process", "L01_CAM1")
    shutil.rmtree(place / "L01_CAM1")
    (place / "deployments.csv").write_text(
        "deploymentID,locationID,deploymentStart,deploymentEnd,folder\nD1,Ridge,2026-04-20,2026-05-04,L01_CAM1\n",
        "utf-8",
    )
    (place / "config.toml").write_text("[models]\nempty = ''\n[deployments]\ntable = 'deployments.csv'\n", "utf-8")
    assert ctwatch("rederive").exit_code == 0
    effort = answer("report", "effort", "--json")
    assert [(row["location"], row["camera_days"]) for row in effort] == [("Ridge", 14.0)]
    assert "deployments table" in effort[0]["source"]
    assert {row["deployment_id"] for row in answer("query", "from media", "--json")} == {"D1"}
    assert answer("query", "select count(*) as n from deployments", "--json") == [{"n": 1}]


def test_an_interrupted_command_ends_with_130(place: Path) -> None:
    """Ctrl-C is no error, and what was done is kept."""
    write_card(place / "L02", files=400, first=100)
    child = subprocess.Popen(
        [sys.executable, "-m", "ctwatch", "process", "L02"], cwd=place, stderr=subprocess.PIPE, env=os.environ.copy()
    )
    store = place / "data" / "ctwatch.duckdb"
    while not store.exists():
        assert child.poll() is None
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert child.returncode in (130, 0), errors
    assert child.returncode == 0 or b"interrupted" in errors
