"""Configuration: the file at the root is the documentation, and every mistake is told at once, with its line."""

import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from ctwatch.config import Config, as_toml, load, parse
from ctwatch.ensemble import Averaging
from ctwatch.errors import ConfigError
from ctwatch.events import EventMode
from ctwatch.occupancy import Compared, FirstDay

ROOT = Path(__file__).resolve().parents[1]
SECTIONS = [field for field in fields(Config) if field.name != "base"]
OPTIONS = [(section.name, option) for section in SECTIONS for option in fields(section.default)]  # type: ignore[arg-type]


def problems(text: str) -> tuple[str, ...]:
    """What is wrong with a configuration."""
    with pytest.raises(ConfigError) as caught:
        parse(text, "config.toml", Path("/survey"))
    return caught.value.problems


def test_the_file_at_the_root_is_the_defaults() -> None:
    """It parses to Config() and is, letter for letter, what `ctwatch config` prints."""
    path = ROOT / "config.toml"
    assert load(path) == replace(Config(), base=ROOT)
    assert path.read_text("utf-8") == as_toml()


def test_the_choices_of_an_option_are_the_values_of_what_it_turns_into() -> None:
    """They are written out in the declarations, which must not load what computes with them."""
    for section, name, words in (
        ("events", "mode", EventMode),
        ("decisions", "averaging", Averaging),
        ("decisions", "event_pooling", Averaging),
        ("occupancy", "independence_from", Compared),
    ):
        (option,) = (option for at, option in OPTIONS if (at, option.name) == (section, name))
        assert option.metadata["choices"] == tuple(words)
    for first_day in FirstDay:
        read = parse(f"[occupancy]\nfirst_day = '{first_day}'\n", "x", Path())
        assert read.occupancy.rules().first_day is first_day


def test_an_empty_file_is_the_defaults() -> None:
    """What is left out keeps its default."""
    assert parse("", "x", Path()) == Config()


@pytest.mark.parametrize(("section", "option"), OPTIONS, ids=[f"{name}.{option.name}" for name, option in OPTIONS])
def test_every_option_is_documented_and_bounded(section: str, option: object) -> None:
    """A sentence, in the file right above the option; numbers have bounds that hold the default."""
    metadata = option.metadata  # type: ignore[attr-defined]
    name = option.name  # type: ignore[attr-defined]
    default = getattr(getattr(Config(), section), name)
    assert metadata["doc"].endswith(".")
    assert re.search(rf"^# {re.escape(metadata['doc'])}\n{name} = ", as_toml(), re.MULTILINE)
    if isinstance(default, int | float) and not isinstance(default, bool):
        assert metadata["minimum"] <= default <= metadata["maximum"]
        assert f"{section}.{name}" in problems(f"[{section}]\n{name} = {metadata['maximum'] * 2 + 1}\n")[0]
        assert f"{section}.{name}" in problems(f"[{section}]\n{name} = nan\n")[0]
    if metadata["choices"]:
        assert default in metadata["choices"]


def test_all_problems_at_once_with_their_lines() -> None:
    """A file full of mistakes is corrected in one go."""
    text = "\n".join(
        [
            "[watch]",
            "settle_s = -1",
            "setle_s = 3",
            'observer = "telepathy"',
            "[read]",
            "workers = 1.5",
            'use_file_times = "yes"',
            "[wach]",
            "[deployments]",
            'folder_pattern = "(?P<place>.*)"',
            'utc_offset = "+2"',
            "[occupancy]",
            "occasion_days = true",
        ]
    )
    told = problems(text)
    expected = [
        "line 2: watch.settle_s = -1: must be from 0 to 86400",
        "line 3: watch.setle_s: no such option; did you mean settle_s?",
        "line 4: watch.observer = 'telepathy': must be one of auto, inotify, polling",
        "line 6: read.workers = 1.5: write a whole number",
        "line 7: read.use_file_times = 'yes': write true or false",
        "line 8: no section [wach]; did you mean watch?",
        "line 10: deployments.folder_pattern",
        "line 11: deployments.utc_offset = '+2': write an offset such as +02:00",
        "line 13: occupancy.occasion_days = True: write a whole number",
    ]
    assert len(told) == len(expected)
    for problem, beginning in zip(told, expected, strict=True):
        assert problem.startswith(f"config.toml {beginning}")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("settle_s = 3\n[watch]\n", "line 1: no section [settle_s]"),
        ("watch = 3\n", "line 1: watch is a section"),
        ("\nwatch.settle_s = -3\n", "line 2: watch.settle_s = -3"),
        ("[watch]\ninboxes = []\n", "line 2: watch.inboxes"),
        ("[watch]\ninboxes = ['a', 3]\n", "line 2: watch.inboxes"),
        ("[watch]\ninboxes = 'a'\n", "line 2: watch.inboxes"),
        ("[models]\ndevice = 3\n", "line 2: models.device = 3: write a text in quotes"),
        ("[deployments]\nfolder_pattern = '('\n", "line 2: deployments.folder_pattern"),
        ("[deployments]\nutc_offset = '+25:00'\n", "line 2: deployments.utc_offset"),
        ("[deployments]\nutc_offset = '+02:75'\n", "line 2: deployments.utc_offset"),
        ("base = 'x'\n", "line 1: no section [base]"),
        ("[watch]\nsettle_s = \n", "line 2"),
        ("[watch]\nxyzzy = 1\n", "there are inboxes, settle_s"),
    ],
)
def test_each_mistake_is_named(text: str, told: str) -> None:
    """Wrong sections, types, ranges, patterns and broken TOML, each with the line."""
    assert told in problems(text)[0]


def test_whole_numbers_do_for_seconds() -> None:
    """3 is as good as 3.0 where a number is wanted."""
    settle_s = parse("[watch]\nsettle_s = 3\n", "x", Path()).watch.settle_s
    assert settle_s == 3.0
    assert isinstance(settle_s, float)


def test_relative_paths_start_from_the_file(tmp_path: Path) -> None:
    """Inboxes and the store lie beside the configuration, wherever the program was started."""
    path = tmp_path / "config.toml"
    path.write_text("[watch]\ninboxes = ['in', '/mnt/cards']\n", "utf-8")
    config = load(path)
    assert config.inboxes == (tmp_path / "in", Path("/mnt/cards"))
    assert config.store_folder == tmp_path / "data"
    assert config.path("~no such user/x").is_absolute()


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    """Windows editors put one in front."""
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xef\xbb\xbf" + as_toml().encode())
    assert load(path) == replace(Config(), base=tmp_path)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """Missing and not UTF-8: the file's name and what to do."""
    with pytest.raises(ConfigError, match=r"missing\.toml: cannot be read"):
        load(tmp_path / "missing.toml")
    path = tmp_path / "latin.toml"
    path.write_bytes("# Ñandú".encode("latin-1"))
    with pytest.raises(ConfigError, match="UTF-8"):
        load(path)
