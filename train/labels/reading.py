"""What the label readers share: tables opened by their header, problems collected, names of nothing and of nobody knows."""

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ctwatch.errors import ConfigError

MAX_LISTED = 20
SEPARATOR = "|"
"""Between several species on one photograph."""
BLANKS = frozenset(
    {"blank", "empty", "none", "nothing", "nothing here", "nothinghere", "nothing there", "no animal", "no animals"}
)
"""Names for "no animal is to be seen", in lower case."""
UNDECIDED = frozenset(
    {
        "unknown", "unidentified", "unidentifiable", "unlabeled", "unlabelled", "unclassified", "unsure", "uncertain",
        "undecided", "impossible", "no cv result", "ignore", "problem", "corrupt",
    }
)  # fmt: skip
"""Names for "somebody looked and could not say", or nobody looked, in lower case; such photographs are left out."""
HUMAN, VEHICLE = "human", "vehicle"
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp")
_ENCODING = "utf-8-sig"


class Problems:
    """What is wrong with a source of labels, gathered to be told at once."""

    def __init__(self) -> None:
        self._listed: list[str] = []
        self._number = 0

    def add(self, sentence: str) -> None:
        """Note one problem; beyond the twentieth they are only counted."""
        self._number += 1
        if len(self._listed) < MAX_LISTED:
            self._listed.append(sentence)

    def tell(self) -> None:
        """Raise ConfigError with what was noted, if anything was."""
        rest = self._number - len(self._listed)
        if self._listed:
            raise ConfigError([*self._listed, *([f"... and {rest} more"] if rest else [])])


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file that is being read."""

    path: Path
    header: tuple[str, ...]
    """As written, without blanks around the names."""
    rows: Iterator[tuple[int, list[str]]]
    """(line number, cells); empty lines are passed over."""

    def columns(self) -> dict[str, int]:
        """Return the place of every column by its `plain` name, the first of two that are alike."""
        places: dict[str, int] = {}
        for place, name in enumerate(self.header):
            places.setdefault(plain(name), place)
        return places


@contextmanager
def open_table(path: Path) -> Iterator[Table]:
    """Open a CSV file by its header; commas, semicolons or tabs may separate the cells.

    Raises:
        ConfigError: It cannot be read, also while its rows are being read.
    """
    try:
        with path.open(newline="", encoding=_ENCODING) as file:
            first = file.readline()
            delimiter = max(",;\t", key=first.count)
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter)
            header = next(reader, [])
            rows = ((reader.line_num, cells) for cells in reader if cells)
            yield Table(path, tuple(name.strip() for name in header), rows)
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: is not UTF-8 text ({error.reason}); save it as CSV in UTF-8"]) from error
    except csv.Error as error:
        raise ConfigError([f"{path}: cannot be read as CSV ({error}); save it as CSV again"]) from error
    except OSError as error:
        raise ConfigError(
            [f"{path}: cannot be read ({error.strerror or error}); check the path and its mode"]
        ) from error


def header_of(path: Path) -> tuple[str, ...]:
    """Return the names of the columns of a CSV file; raises ConfigError if it cannot be read."""
    with open_table(path) as table:
        return table.header


def plain(name: str) -> str:
    """Return a column's name without case, spaces and punctuation: `Capture_Event ID` is `captureeventid`."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def place_of(columns: dict[str, int], names: Iterable[str]) -> int | None:
    """Return the place of the first of several names for a column that the table has."""
    return next((columns[name] for name in names if name in columns), None)


def cell(cells: Sequence[str], place: int | None) -> str:
    """Return a cell without blanks around it; empty where the row is short or the table has no such column."""
    return cells[place].strip() if place is not None and place < len(cells) else ""


def moment(text: str) -> datetime | None:
    """Return a date and time in ISO 8601 or as EXIF writes it, with its zone if it has one; None if it is neither."""
    if len(text) < 12:  # a date alone is no time of day
        return None
    try:
        return datetime.fromisoformat(text.replace(":", "-", 2) if text[4] == ":" else text)
    except ValueError:
        return None


def wall_clock(text: str) -> datetime | None:
    """Return what the camera's clock showed: `moment` without its zone."""
    value = moment(text)
    return value if value is None or value.tzinfo is None else value.replace(tzinfo=None)


def individuals(text: str) -> int | None:
    """Return a number of individuals, of the bins `11-50` and `51+` the lower end; None if it is not one from 1."""
    digits = text.split("-")[0].rstrip("+")
    if digits.isascii() and digits.isdigit():
        return int(digits) or None
    try:
        value = float(text)  # some exports write 2.0
    except ValueError:
        return None
    return int(value) if value >= 1 and value.is_integer() else None


def share(text: str) -> float | None:
    """Return a share between 0 and 1; None if it is not one."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None


def one_species(name: str) -> tuple[str, ...]:
    """Return what one name says is to be seen: nothing for the names of a blank photograph."""
    return () if name.lower() in BLANKS else (name,)


def named_species(scientific_name: str) -> tuple[str, ...]:
    """Return a scientific name as a label; people are `human`, whatever they are called."""
    return (HUMAN,) if scientific_name.lower() == "homo sapiens" else (scientific_name,)


def is_undecided(name: str) -> bool:
    """Whether a name stands for "nobody knows what it is"."""
    return name.lower() in UNDECIDED


def inside(name: str) -> str | None:
    """Return a relative path that stays within its folder, with forward slashes; None if it would lead out of it."""
    path = name.replace("\\", "/")
    if not path or path.startswith("/") or "\0" in path or "://" in path or path[1:3] == ":/":
        return None
    return None if ".." in path and ".." in path.split("/") else path


def is_image(name: str) -> bool:
    """Whether a file's name ends like a photograph's."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def amount(number: int, noun: str) -> str:
    """Return "1 photograph", "1,200 photographs"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def some(names: Iterable[str], at_most: int = 6) -> str:
    """Return names in order, the rest only counted."""
    ordered = sorted(names)
    rest = len(ordered) - at_most
    return ", ".join(ordered[:at_most]) + (f" and {rest} more" if rest > 0 else "")
