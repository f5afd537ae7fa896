"""Documents that cannot go stale: configuration, help, database columns and README commands."""

import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from ctwatch import config
from ctwatch.cli import main
from ctwatch.store.documentation import as_markdown

ROOT = Path(__file__).resolve().parents[1]
HELP = ROOT / "tests" / "golden" / "help"


def test_config_toml_is_the_defaults_and_complete() -> None:
    """The file at the root is what `ctwatch config` prints, and parses to the defaults."""
    text = (ROOT / "config.toml").read_text("utf-8")
    assert text == config.as_toml()
    assert config.parse(text, "config.toml", Path()) == config.Config()


def test_the_database_page_is_the_schema_s() -> None:
    """docs/database.md says what the views hold; every column has its meaning."""
    page = as_markdown()
    assert (ROOT / "docs" / "database.md").read_text("utf-8") == page
    assert "|  |" not in page


def names() -> list[str]:
    """Every command, those of groups behind their group."""
    inner = [
        f"{name} {each}"
        for name, group in main.commands.items()
        if isinstance(group, click.Group)
        for each in group.commands
    ]
    return ["", *main.commands, *inner]


@pytest.mark.parametrize("name", names())
def test_help_is_as_it_was_agreed(name: str) -> None:
    """A change of a command's help is seen in a diff."""
    if name == "train":
        return  # the trainer's own help is tested with the trainer
    shown = CliRunner().invoke(main, [*name.split(), "--help"], terminal_width=100)
    assert shown.exit_code == 0
    golden = HELP / f"{name.replace(' ', '-') or 'ctwatch'}.txt"
    assert golden.exists(), f"write it: ctwatch {name} --help > {golden}"
    assert golden.read_text("utf-8") == shown.output


def test_every_command_and_option_has_help() -> None:
    """No command without a sentence, no option without one."""
    inner = [
        each for group in main.commands.values() if isinstance(group, click.Group) for each in group.commands.items()
    ]
    for name, command in [*main.commands.items(), *inner]:
        assert command.help, name
        for parameter in command.params:
            assert not isinstance(parameter, click.Option) or parameter.help, f"{name} {parameter.name}"


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "systemd/README.md",
        "docs/database.md",
        "docs/deployments.md",
        "docs/exchange.md",
        "docs/service.md",
    ],
)
def test_commands_in_the_documents_exist(page: str) -> None:
    """Each `ctwatch ...` line in a code block names a command and options that there are."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text("utf-8"), flags=re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if re.search(r"(^|/| )ctwatch ", line)]
    found = 0
    for line in lines:
        words = shlex.split(line, comments=True)
        named = [number for number, word in enumerate(words) if word.rsplit("/", 1)[-1] == "ctwatch"]
        if not named or not words[named[-1]].endswith(("ctwatch", "bin/ctwatch")) or "mkdir" in words:
            continue
        at = named[-1]
        rest = words[at + 1 :]
        while rest and rest[0] in ("-c", "--config"):
            rest = rest[2:]
        if not rest or rest[0] in (">", "-f"):
            continue
        command = main.commands.get(rest[0])
        assert command is not None, line
        if isinstance(command, click.Group):
            command, rest = command.commands.get(rest[1]), rest[1:]
            assert command is not None, line
        options = {option for parameter in command.params for option in parameter.opts}
        if rest[0] != "train":
            assert {word for word in rest[1:] if word.startswith("--")} <= options, line
        found += 1
    assert found or page == "docs/database.md"


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "systemd/README.md",
        "train/README.md",
        "docs/architecture.md",
        "docs/deployments.md",
        "docs/exchange.md",
        "docs/service.md",
        "docs/camtrapr.md",
        "CHANGELOG.md",
    ],
)
def test_links_between_the_documents_lead_somewhere(page: str) -> None:
    """Every relative link names a file that is there."""
    text = (ROOT / page).read_text("utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert target.startswith("http") or ((ROOT / page).parent / target).exists(), target


def test_make_targets_of_the_readme_exist() -> None:
    """The two commands that set everything up, and the others."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in set(re.findall(r"\bmake ([a-z]+)", (ROOT / "README.md").read_text("utf-8"))):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_the_exit_codes_in_the_help_are_those_of_the_errors() -> None:
    """What scripts rely on."""
    from ctwatch import errors

    codes = {
        cls.exit_code
        for cls in vars(errors).values()
        if isinstance(cls, type) and issubclass(cls, errors.CtwatchError) and cls is not errors.CtwatchError
    } | {errors.EXIT_DONE, errors.EXIT_MEDIA_FAILED}
    told = {int(code) for code in re.findall(r"(?<![\w.])(\d{1,3})(?= [a-z])", main.help or "")}
    assert codes - {1} == told
