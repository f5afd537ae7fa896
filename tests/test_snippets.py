"""The examples of docs/database.md, run as they are printed: shell, Python and R."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Store

from ctwatch.config import Config
from ctwatch.results import put_out

PAGE = Path(__file__).parents[1] / "docs" / "database.md"
SNIPPETS = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
PROGRAMS = {"sh": ["sh", "-eu", "-c"], "python": [sys.executable, "-c"], "r": ["Rscript", "-e"]}


def environment() -> dict[str, str]:
    """The environment's own programs first, as in an activated one."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.parametrize(("language", "code"), SNIPPETS, ids=[language for language, _ in SNIPPETS])
def test_what_the_page_tells_to_type_works(
    language: str, code: str, config: Callable[..., Config], make_card: Callable[..., Path], tiny_models: Path
) -> None:
    """Exit code 0 and something to see, or to go on with."""
    program = PROGRAMS[language]
    path = environment()["PATH"]
    if shutil.which(program[0], path=path) is None:
        pytest.skip(f"{program[0]} is not installed (Debian: r-base-core)")
    settings = config(tiny_models, "species_threshold = 0.0\n")
    store = Store(settings)
    store.process(make_card(files=6))
    put_out(settings, store.database)
    assert store.rows("SELECT count(*) > 0 FROM detections") == [(True,)]
    run = subprocess.run(
        [*program, code], cwd=settings.base, env=environment(), capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    if language == "r":
        assert "events" in run.stdout
    if language == "sh":
        assert (settings.base / "events.parquet").stat().st_size > 0
        assert "photographs" in run.stdout


def test_the_page_has_an_example_for_each_language() -> None:
    """Nothing was lost from it."""
    assert [language for language, _ in SNIPPETS] == ["sh", "python", "r"]
