"""config.toml -> a frozen Config; the options, their defaults and their documentation are declared here alone.

Reading a configuration touches no disk but the file itself: whether folders and models are there is `ctwatch check`'s to say.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from ctwatch.deployments import DEFAULT_PATTERN, compile_pattern
from ctwatch.ensemble import Averaging
from ctwatch.errors import ConfigError
from ctwatch.events import EventMode, EventRule
from ctwatch.occupancy import FirstDay

BUNDLED = "bundled"


def _option(
    default: Any,
    doc: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] | None = None,
) -> Any:
    """Declare an option: its default, its sentence in config.toml and what values it takes."""
    metadata = {"doc": doc, "minimum": minimum, "maximum": maximum, "choices": choices}
    if isinstance(default, list | tuple):
        return field(default_factory=lambda: tuple(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def _values(enum: Any) -> tuple[str, ...]:
    return tuple(str(member) for member in enum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Where cards are dropped and when one counts as whole."""

    inboxes: tuple[str, ...] = _option(("inbox",), "Folders that cards are copied into; each folder in them is a card.")
    settle_s: float = _option(
        20.0, "A card is whole when nothing in it changed for this long.", minimum=0, maximum=86400
    )
    sweep_s: float = _option(300.0, "Look through the inboxes at least this often.", minimum=1, maximum=86400)
    observer: str = _option(
        "auto",
        "What wakes the daemon early: inotify, polling (network shares), or auto: inotify where it is to be had.",
        choices=("auto", "inotify", "polling"),
    )
    polling_s: float = _option(10.0, "How often a polling observer looks.", minimum=0.1, maximum=3600)
    retry_s: float = _option(
        600.0, "Try a card that could not be read again after this long.", minimum=1, maximum=86400
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """How files are read."""

    workers: int = _option(0, "Threads that read and decode; 0: one per core.", minimum=0, maximum=256)
    use_file_times: bool = _option(
        False, "Take a file's modification time where nothing better tells the time; every use is recorded."
    )
    earliest_year: int = _option(
        2001, "Times before this year are a clock that was never set.", minimum=1980, maximum=2100
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployments:
    """Which folder belongs to which deployment and location."""

    table: str = _option(
        "",
        "CSV with Camtrap DP's columns (deploymentID, locationID, deploymentStart ...; folder as an extra); empty: none.",
    )
    folder_pattern: str = _option(
        "",
        "Without a table: a regular expression for folder names, over one or two levels, with groups location, camera,"
        " date; empty: LOCATION[_CAMERA][_DATE].",
    )
    utc_offset: str = _option(
        "", "The cameras' fixed offset from UTC, written into exported times: +02:00; empty: not known."
    )

    def pattern(self) -> re.Pattern[str]:
        """The folder pattern, compiled."""
        return compile_pattern(self.folder_pattern or DEFAULT_PATTERN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """What a capture event is."""

    event_gap_s: float = _option(
        60.0, "A new event starts when the previous frame is more than this ago.", minimum=0, maximum=86400
    )
    mode: str = _option(
        "gap",
        "gap, or trigger: the camera's own sequence numbers where it wrote them.",
        choices=_values(EventMode),
    )
    event_cap_s: float = _option(0.0, "Split events that last longer than this; 0: never.", minimum=0, maximum=864000)

    def rule(self) -> EventRule:
        """The rule as the core takes it."""
        return EventRule(self.event_gap_s, EventMode(self.mode), self.event_cap_s or None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """Which models look at the frames, and on what."""

    empty: str = _option(
        BUNDLED, "Folder of the empty-filter ensemble; bundled: the one that comes along; empty: none."
    )
    species: str = _option(
        "",
        "Folder of your species ensemble; empty: animals stay unnamed; bundled: the demo's, which knows drawn animals only.",
    )
    device: str = _option("auto", "auto (cuda, mps, cpu), or one by name: cpu, cuda, cuda:1, mps.")
    batch_size: int = _option(
        16, "Frames a network sees at once; halved by itself when memory runs out.", minimum=1, maximum=4096
    )
    threads: int = _option(0, "Threads of the networks on the processor; 0: one per core.", minimum=0, maximum=1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """What is sure, and what a person must see. Probabilities, 0 to 1."""

    averaging: str = _option(
        "logit",
        "Over the members of an ensemble: logit (mean of log probabilities; as right as prob in the bundled models'"
        " evaluation and better calibrated), prob (mean of probabilities), top5 (Norouzzadeh et al. 2018).",
        choices=_values(Averaging),
    )
    event_pooling: str = _option(
        "logit",
        "Over the frames of an event: logit (the best in that evaluation), prob or top5.",
        choices=_values(Averaging),
    )
    background: bool = _option(
        False,
        "Compare frames with their deployment's own background and count that as one more member of the empty filter,"
        " where the background repeats enough to tell; for dense series. Keeps a miniature of each photograph that is read"
        " while it is on (1.8 GB a million).",
    )
    blank_threshold: float = _option(
        0.0,
        "A frame is blank from this probability; 0: the models' own, set for their stated recall.",
        minimum=0,
        maximum=1,
    )
    sure_blank: float = _option(
        0.9, "A blank event goes to review if a frame's probability of blank is below this.", minimum=0, maximum=1
    )
    species_threshold: float = _option(
        0.65,
        "An event is named from this probability, unless the models bring one for the label.",
        minimum=0,
        maximum=1,
    )
    some_frame_threshold: float = _option(
        0.9, "A second species keeps its own observation if one frame reaches this.", minimum=0, maximum=1
    )
    agreement: float = _option(
        0.5, "An event goes to review if fewer of the models than this share name its species.", minimum=0, maximum=1
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Where results live."""

    folder: str = _option(
        "data", "Folder of ctwatch.duckdb (the daemon's own), reports.duckdb (open this one) and results/."
    )
    busy_timeout_s: float = _option(
        60.0,
        "Wait this long for somebody who holds ctwatch.duckdb open; the daemon then tries again.",
        minimum=0,
        maximum=86400,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupancy:
    """Detection histories."""

    occasion_days: int = _option(7, "Days in a sampling occasion.", minimum=1, maximum=366)
    first_day: str = _option(
        "survey",
        "Where the first occasion begins: survey (the first active day of all), or location (each its own).",
        choices=_values(FirstDay),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Every option; `base` is the folder that relative paths start from."""

    watch: Watch = Watch()
    read: Read = Read()
    deployments: Deployments = Deployments()
    events: Events = Events()
    models: Models = Models()
    decisions: Decisions = Decisions()
    store: Store = Store()
    occupancy: Occupancy = Occupancy()
    base: Path = Path()

    def path(self, value: str) -> Path:
        """Return a path of the configuration, relative ones taken from the configuration file's folder."""
        return (self.base / os.path.expanduser(value)).absolute()

    @property
    def inboxes(self) -> tuple[Path, ...]:
        """The inbox folders."""
        return tuple(self.path(inbox) for inbox in self.watch.inboxes)

    @property
    def store_folder(self) -> Path:
        """The folder of the database and the results."""
        return self.path(self.store.folder)


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
    if problems:
        raise ConfigError(problems)
    return Config(**values, base=base)


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
        fits = isinstance(value, list) and bool(value) and all(isinstance(item, str) and item for item in value)
        return None if fits else f"= {value!r}: write a list of folders, such as {_toml(default)}"
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
        try:
            compile_pattern(value)
        except ConfigError as error:
            return f": {error}"
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
