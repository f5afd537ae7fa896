"""config.toml -> a frozen Config, with every problem in it; and the commented text of all defaults.

Reading a configuration touches no disk but the file itself: whether folders and models are there is `ctwatch check`'s to say.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from ctwatch.config.sections import Config
from ctwatch.errors import ConfigError


def _sections() -> tuple[tuple[str, Any], ...]:
    """Return (name, default) of each section."""
    return tuple((item.name, item.default) for item in fields(Config) if item.name != "base")


def load(path: Path) -> Config:
    """Read a configuration file; raises ConfigError with every problem in it."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(
            [f"{path}: cannot be read ({error.strerror}); `ctwatch config > config.toml` writes one"]
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: not UTF-8 text; save it as UTF-8"]) from error
    return parse(text, str(path), path.absolute().parent)


def parse(text: str, name: str, base: Path) -> Config:
    """Parse the text of a configuration; `name` stands in messages, `base` is where relative paths start."""
    try:
        tree = tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{name}: {error}"]) from error
    problems: list[str] = []
    sections = dict(_sections())
    values: dict[str, Any] = {}
    for key, content in tree.items():
        if key not in sections:
            problems.append(f"{name} line {_line(text, key)}: no section [{key}]{_nearest(key, list(sections))}")
        elif not isinstance(content, dict):
            problems.append(f"{name} line {_line(text, key)}: {key} is a section; write [{key}] and its options below")
        else:
            values[key] = _section(sections[key], key, content, text, name, problems)
    config = None if problems else Config(**values, base=base)
    if config is not None:
        problems += [f"{name}: {problem}" for problem in _contradictions(config)]
    if config is None or problems:
        raise ConfigError(problems)
    return config


def _contradictions(config: Config) -> Iterator[str]:
    """Say what does not fit together among options that are right by themselves."""
    if config.cards.after != "archive":
        return
    if not config.cards.archive:
        yield 'cards.after = "archive" needs a folder: write cards.archive = "/path/of/the/archive"'
        return
    archive = Path(os.path.realpath(config.path(config.cards.archive)))
    for inbox in (Path(os.path.realpath(inbox)) for inbox in config.inboxes):
        if archive == inbox or inbox in archive.parents or archive in inbox.parents:
            yield f"cards.archive: {archive} and the inbox {inbox} lie in one another; name a folder outside of it"


def as_toml() -> str:
    """Return the complete, commented configuration with every default: the text of config.toml."""
    lines = [
        "# ctwatch configuration. Every option is here with its default; what is left out keeps it.",
        "# Relative paths start from this file's folder. `ctwatch check` lists every problem at once.",
    ]
    for name, section in _sections():
        lines += ["", f"# {(type(section).__doc__ or '').strip()}", f"[{name}]"]
        for option in fields(section):
            lines += [f"# {option.metadata['doc']}", f"{option.name} = {_toml(_default(option))}"]
    return "\n".join(lines) + "\n"


def _default(option: Field[Any]) -> Any:
    return option.default_factory() if option.default_factory is not MISSING else option.default


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"'{value}'" if "\\" in value else f'"{value}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return str(value)


def _section(default: Any, section: str, content: Mapping[str, Any], text: str, name: str, problems: list[str]) -> Any:
    options = {option.name: option for option in fields(default)}
    values = {}
    for key, value in content.items():
        where = f"{name} line {_line(text, key, section)}: {section}.{key}"
        if key not in options:
            problems.append(f"{where}: no such option{_nearest(key, list(options))}")
            continue
        problem = _problem(value, options[key], f"{section}.{key}")
        if problem:
            problems.append(f"{where} {problem}")
        else:
            kind = type(_default(options[key]))
            values[key] = tuple(value) if kind is tuple else kind(value)
    return type(default)(**values)


def _problem(value: Any, option: Field[Any], key: str) -> str | None:
    """Say what is wrong with a value, or None."""
    default, rules = _default(option), option.metadata
    if isinstance(default, tuple):
        fits = (
            isinstance(value, list)
            and (bool(value) or not default)
            and all(isinstance(item, str) and item for item in value)
        )
        return None if fits else f"= {value!r}: write a list of texts, such as {_toml(default or ('one', 'two'))}"
    if isinstance(default, bool):
        return None if isinstance(value, bool) else f"= {value!r}: write true or false"
    if isinstance(default, int | float):
        kinds = (int,) if isinstance(default, int) else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            return f"= {value!r}: write a {'whole ' if isinstance(default, int) else ''}number"
        low, high = cast(float, rules["minimum"]), cast(float, rules["maximum"])
        return None if low <= value <= high else f"= {value}: must be from {low} to {high}"
    if not isinstance(value, str):
        return f"= {value!r}: write a text in quotes"
    if rules["choices"] and value not in rules["choices"]:
        return f"= {value!r}: must be one of {', '.join(rules['choices'])}"
    if key == "deployments.folder_pattern" and value:
        from ctwatch.deployments import compile_pattern

        try:
            compile_pattern(value)
        except ConfigError as error:
            return f": {error}"
    if key == "occupancy.first_day" and value not in ("survey", "location"):
        try:
            date.fromisoformat(value)
        except ValueError:
            return f"= {value!r}: write survey, location, or a date such as 2026-05-01"
    if key == "deployments.utc_offset" and value and not re.fullmatch(r"[+-](0\d|1[0-4]):[0-5]\d", value, re.ASCII):
        return f"= {value!r}: write an offset such as +02:00"
    return None


def _nearest(key: str, known: list[str]) -> str:
    near = get_close_matches(key, known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"


def _line(text: str, key: str, section: str | None = None) -> int:
    """Return the line that a key stands on, for messages; 1 where it cannot be told."""
    inside = section is None
    plain = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=")
    dotted = re.compile(rf"\s*{re.escape(section or '')}\s*\.\s*{re.escape(key)}\s*=")
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[+\s*([^\]]+?)\s*\]", line)
        if header:
            inside = section is None or header[1] == section
            if section is None and header[1] == key:
                return number
        elif (inside and plain.match(line)) or (section is not None and dotted.match(line)):
            return number
    return 1
