"""Commands that only read start in a blink: what they import is counted, on a store with a published database."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ctwatch.config import Config
from ctwatch.results import put_out
from ctwatch.store.database import Database
from ctwatch.store.preparation import prepare

TORCH = {"torch", "torchvision", "openvino"}
TABLES = {"pandas", "polars", "pyarrow", "scipy", "matplotlib", "PIL", "sklearn"}
PROGRAM = """
import sys
from ctwatch.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


@pytest.fixture
def published(config: Callable[..., Config]) -> Path:
    """The folder of a survey without a card, published."""
    made = config()
    database = Database(made.store_folder)
    prepare(database)
    put_out(made, database)
    return made.base


def loaded(folder: Path, *arguments: str) -> set[str]:
    """The top-level packages that a command has imported at its end."""
    words = [sys.executable, "-c", PROGRAM, *arguments]
    run = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return set(run.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["report", "--help"], ["run", "--help"]], ids=" ".join
)
def test_help_loads_what_parses_commands_and_nothing_else(published: Path, arguments: list[str]) -> None:
    assert not loaded(published, *arguments) & {*TORCH, *TABLES, "numpy", "duckdb", "rich", "tomllib", "watchdog"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["status", "--json"],
        ["query", "select 1"],
        ["query", "select 1", "--csv"],
        ["report", "cards"],
        ["report", "--json", "species"],
        ["schema"],
        ["config"],
    ],
    ids=" ".join,
)
def test_questions_to_the_database_load_no_numbers(published: Path, arguments: list[str]) -> None:
    """numpy alone costs as much as the database's own library."""
    assert not loaded(published, *arguments) & {*TORCH, *TABLES, "numpy", "watchdog"}


@pytest.mark.parametrize(
    "arguments", [["report"], ["report", "survey"], ["metrics"], ["report", "quality"]], ids=" ".join
)
def test_reports_load_no_networks_and_no_tables_library(published: Path, arguments: list[str]) -> None:
    assert not loaded(published, *arguments) & {*TORCH, *TABLES, "watchdog"}


@pytest.mark.parametrize("arguments", [["rederive"], ["retry"]], ids=" ".join)
def test_what_looks_at_no_photograph_loads_no_network(published: Path, arguments: list[str]) -> None:
    """Nor does it try engines, which takes a minute on a machine that has none yet."""
    assert not loaded(published, *arguments) & TORCH
