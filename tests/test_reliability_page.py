"""What docs/reliability.md names is there: tests, commands, targets, files, options."""

import argparse
import re
import shlex
from pathlib import Path

import pytest

from ctwatch.cli import main
from ctwatch.config import as_toml

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reliability.md"
TEXT = PAGE.read_text("utf-8")


def test_every_file_and_folder_that_the_page_names_is_there() -> None:
    """Tests, and what it links to."""
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", TEXT))
    assert len(named) > 10
    for path in named:
        assert (ROOT / path).is_file(), path
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (PAGE.parent / target).exists(), target


def test_every_promise_is_held_by_a_test() -> None:
    """Each of the eight names one at least."""
    promises = re.findall(r"^\*\*(\d)\. .*?(?=^\*\*\d\. |^## )", TEXT, flags=re.MULTILINE | re.DOTALL)
    bodies = re.split(r"^\*\*\d\. ", TEXT.split("## Try it yourself")[0], flags=re.MULTILINE)[1:]
    assert promises == [str(number) for number in range(1, 9)]
    assert all("tests/test_" in body for body in bodies)


def test_every_make_target_is_in_the_makefile() -> None:
    """With the variables that it is given."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target, variable in re.findall(r"^make (\w+)(?: (\w+)=\d+)?", TEXT, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
        assert not variable or f"$({variable})" in makefile, variable


def test_every_command_and_option_is_there() -> None:
    """Of ctwatch, and options of its configuration."""
    for line in re.findall(r"`ctwatch ([a-z][^`]*)`", TEXT):
        name, *rest = shlex.split(line)
        command = main.commands[name]
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= options, line
    for option in ("min_free_gb", "publish_people"):
        assert option in TEXT
        assert f"{option} = " in as_toml()


@pytest.mark.parametrize(
    ("module", "start"), [("tests.crash", "python -m tests.crash"), ("benchmarks", "python -m benchmarks")]
)
def test_the_programs_of_the_page_take_what_it_gives_them(
    module: str, start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line is parsed by the program's own parser."""
    import importlib

    class Parsed(Exception):
        pass

    original = argparse.ArgumentParser.parse_args
    program = importlib.import_module(f"{module}.__main__")
    for line in re.findall(rf"`{start}([^`]*)`", TEXT):
        monkeypatch.setattr("sys.argv", [module, *shlex.split(line)])

        def parse(parser: argparse.ArgumentParser, *arguments: object) -> None:
            original(parser)
            raise Parsed

        monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
        with pytest.raises(Parsed):
            program.main()
