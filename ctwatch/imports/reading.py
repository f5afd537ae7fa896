"""What the importers share: bounded reading of JSON and CSV, names from strangers made plain, and what went wrong, gathered."""

import csv
import json
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from ctwatch.domain import BLANK
from ctwatch.errors import ConfigError

MAX_BYTES = 2_000_000_000
MAX_LABEL = 200
"""Letters of a label, of a name of a person, model or deployment."""
MAX_LABELS = 100
"""Labels of one cell."""
MAX_PATH = 4096
MAX_PROBLEMS = 1000
"""So many bad rows are told one by one."""
SEPARATOR = "|"
"""Between several species in one cell."""
HUMAN, VEHICLE, ANIMAL, UNKNOWN = "human", "vehicle", "animal", "unknown"
_BLANKS = {
    "blank", "empty", "none", "nothing", "nothing here", "nothing there", "no animal", "no animals", "background",
}  # fmt: skip
_HUMANS = {"human", "humans", "person", "persons", "people", "homo sapiens", "homo", "human-camera trapper"}
_VEHICLES = {"vehicle", "vehicles"}
_ANIMALS = {"animal", "animals", "animalia", "unknown animal", "unidentified animal"}
_UNKNOWNS = {
    "unknown", "unknown unknown", "unidentified", "unidentifiable", "unsure", "uncertain", "undecided", "impossible",
    "no cv result", "cannot tell",
}  # fmt: skip
_UNSAID = {
    "", "na", "n/a", "nan", "null", "unclassified", "unlabeled", "unlabelled", "not identified", "ignore", "problem", "corrupt",
}  # fmt: skip
"""Nobody looked, or there was nothing to be seen in."""
_PLACEHOLDERS = {*_UNSAID, "spp.", "spp", "sp.", "sp", "unknown", "no cv result", "none"}
"""Written where a rank is not known."""
_MEANING = {
    **dict.fromkeys(_BLANKS, BLANK),
    **dict.fromkeys(_HUMANS, HUMAN),
    **dict.fromkeys(_VEHICLES, VEHICLE),
    **dict.fromkeys(_ANIMALS, ANIMAL),
    **dict.fromkeys(_UNKNOWNS, UNKNOWN),
}
_NUMBERS = (float, int)
_VIDEOS = (".mp4", ".avi", ".mov", ".m4v", ".mkv", ".mpg", ".mpeg", ".wmv", ".asf", ".3gp", ".mts", ".m2ts")
_CONTROLS = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\uffff\ud800-\udfff]+"
)
"""Controls, line breaks, marks that turn the direction of writing, and halves of characters."""
_GUARDED = re.compile(r"'[=+\-@\t\r\n]")
"""A cell that was written so that no spreadsheet runs it."""
_PLAIN_PATH = re.compile(r"[\w./-]*[\w.-]", re.ASCII)
"""Most paths: nothing in them to be changed."""
_OUR_ID = re.compile(r"[0-9a-f]{32}")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAY_FIRST = re.compile(r"(\d{1,2})-([A-Za-z]{3})[a-z]*-(\d{4})(?:[ T]+(\d{1,2}:\d{2}(?::\d{2})?))?")
_EXIF_DATE = re.compile(r"(\d{4}):(\d{2}):(\d{2})")


class Unusable(ValueError):
    """Why a row says nothing usable, as a clause."""


class Notes:
    """What was wrong with a file and what was left out on purpose, gathered while it is read."""

    def __init__(self) -> None:
        self._problems: list[str] = []
        self._number = 0
        self._skipped: dict[str, int] = {}

    def problem(self, sentence: str) -> None:
        """Note a row that says nothing usable; beyond the first thousand they are only counted."""
        self._number += 1
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(sentence)

    def skip(self, why: str, number: int = 1) -> None:
        """Count rows that are left out on purpose."""
        self._skipped[why] = self._skipped.get(why, 0) + number

    @property
    def problems(self) -> tuple[str, ...]:
        """The sentences, in order."""
        rest = self._number - len(self._problems)
        return (*self._problems, *([f"... and {rest:,} more"] if rest else ()))

    @property
    def skipped(self) -> tuple[tuple[str, int], ...]:
        """(Why, how many), in the order in which they first came."""
        return tuple(self._skipped.items())


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file that is being read."""

    path: Path
    header: tuple[str, ...]
    """As written, without blanks around the names."""
    columns: Mapping[str, int]
    """Place of every column by its `plain` name, the first of two that are alike."""
    rows: Iterator[tuple[int, list[str]]]
    """(line number, cells); empty lines are passed over."""

    def cells(self, notes: Notes) -> Iterator[tuple[int, "Row"]]:
        """Return (line, row); a row with more cells than the header has names is noted and left out."""
        width = len(self.header)
        for line, cells in self.rows:
            if len(cells) > width and any(cells[width:]):
                notes.problem(
                    f"line {line}: has {len(cells)} cells where the header has {width}; quote the commas in it"
                )
            else:
                yield line, Row(self.columns, cells)


class Row:
    """A row by the plain names of its columns; empty where it is short or the table has no such column."""

    __slots__ = ("_cells", "_columns")

    def __init__(self, columns: Mapping[str, int], cells: list[str]) -> None:
        self._columns = columns
        self._cells = cells

    def __getitem__(self, column: str) -> str:
        place = self._columns.get(column)
        if place is None or place >= len(self._cells):
            return ""
        text = self._cells[place].strip()
        return text[1:] if text.startswith("'") and _GUARDED.match(text) else text

    def first(self, *columns: str) -> str:
        """Return the first of several cells that is not empty."""
        return next(filter(None, (self[column] for column in columns)), "")

    def same_as(self) -> tuple[str, ...]:
        """Return what is equal for equal rows."""
        return tuple(self._cells)


def checked(path: Path) -> Path:
    """Return a path that can be read: a regular file of bounded size; raises ConfigError."""
    try:
        if not path.is_file():
            raise ConfigError([f"{path}: is not there or no file; correct the path of the labels"])
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        raise ConfigError([f"{path}: cannot be read ({error}); check the path and its mode"]) from error
    if size > MAX_BYTES:
        raise ConfigError([f"{path}: has {size:,} bytes, at most {MAX_BYTES:,} are read; split it"])
    return path


def load_json(path: Path) -> Any:
    """Return what a JSON file holds; raises ConfigError where it is none, too large or nested too deep."""
    try:
        with checked(path).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        return json.loads(data)
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read ({error.strerror or error}); check its mode"]) from error
    except RecursionError as error:
        raise ConfigError([f"{path}: is nested deeper than any file of labels; write it again"]) from error
    except MemoryError as error:
        raise ConfigError([f"{path}: does not fit into memory; split it"]) from error
    except ValueError as error:
        raise ConfigError([f"{path}: cannot be read as JSON ({error}); write it again"]) from error


@contextmanager
def open_table(path: Path) -> Iterator[Table]:
    """Open a CSV file by its header; what separates its cells is what gives the header most names, else a comma.

    Raises:
        ConfigError: It cannot be read, also while its rows are being read.
    """
    try:
        with checked(path).open(newline="", encoding="utf-8-sig") as file:
            first = file.readline(1_000_000)
            delimiter = max(",;\t", key=lambda mark: len(next(csv.reader([first], delimiter=mark), [])))
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            header = tuple(name.strip() for name in next(reader, []))
            columns = {plain(name): place for place, name in reversed(list(enumerate(header)))}
            yield Table(path, header, columns, ((reader.line_num, cells) for cells in reader if any(cells)))
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: is not UTF-8 text ({error.reason}); save it as CSV in UTF-8"]) from error
    except csv.Error as error:
        raise ConfigError([f"{path}: cannot be read as CSV ({error}); save it as CSV again"]) from error
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read ({error.strerror or error}); check its mode"]) from error


def plain(name: str) -> str:
    """Return a column's name without case, spaces and punctuation: `Relative_Path` is `relativepath`."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def clean(text: str, most: int = MAX_LABEL) -> str:
    """Return text on one line, without controls and doubled blanks, accents written one way, cut after `most` letters."""
    if not text.isprintable():
        text = _CONTROLS.sub(" ", text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return " ".join(text.split())[:most]


def file_path(text: Any) -> str:
    """Return a path with forward slashes, of a web address what comes behind the host; raises Unusable."""
    if not isinstance(text, str):
        raise Unusable("names no file")
    if len(text) <= MAX_PATH and _PLAIN_PATH.fullmatch(text):
        return text
    path = clean(text, MAX_PATH + 1).replace("\\", "/")
    if "://" in path:
        path = re.split("[?#]", path.split("://", 1)[1], maxsplit=1)[0].partition("/")[2]
    if not path or path.endswith("/"):
        raise Unusable("names no file")
    if len(path) > MAX_PATH:
        raise Unusable(f"has a path of more than {MAX_PATH} letters")
    return path


def is_video(path: str) -> bool:
    """Whether a file's name ends like a film's."""
    return path.lower().endswith(_VIDEOS)


def our_id(text: str) -> str | None:
    """Return an id that may be ctwatch's own, None for others'."""
    return text if _OUR_ID.fullmatch(text) else None


@lru_cache(maxsize=8192)
def labels_in(text: str) -> tuple[str, ...]:
    """Return the labels of one cell; empty where nobody said anything.

    `|` separates several; the names of nothing, people, vehicles, animals without a name and of nobody knows become
    `blank`, `human`, `vehicle`, `animal` and `unknown`, in any case.

    Raises:
        Unusable: One of them is too long to be a name, or there are more than a hundred.
    """
    parts = text.split(SEPARATOR)
    if len(parts) > MAX_LABELS or len(text) > MAX_LABELS * (MAX_LABEL + 1):
        raise Unusable(f"names more than {MAX_LABELS} things, or one in more than {MAX_LABEL} letters")
    found = []
    for part in parts:
        name = clean(part, MAX_LABEL + 1)
        if len(name) > MAX_LABEL:
            raise Unusable(f"names something in more than {MAX_LABEL} letters")
        low = name.lower()
        if low not in _UNSAID:
            found.append(_MEANING.get(low, name))
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=8192)
def by_taxonomy(text: str) -> tuple[str, ...]:
    """Return the label of SpeciesNet's `id;class;order;family;genus;species;common name`: the lowest rank that is given.

    Other text is a label as it is. Raises Unusable.
    """
    parts = [part.strip() for part in text.split(";")]
    if len(parts) != 7:
        return labels_in(text)
    meant = _MEANING.get(parts[6].lower())
    return (meant,) if meant is not None else labels_in(scientific(parts[1:6]) or parts[6])


def scientific(ranks: Sequence[str]) -> str:
    """Return `Genus species` of class, order, family, genus and species, else the lowest rank that is given, else ""."""
    *above, genus, species = (("" if rank.lower() in _PLACEHOLDERS else rank) for rank in ranks)
    if genus and species:
        again = species.lower().startswith(f"{genus.lower()} ")  # some write the genus twice
        name = species if again else f"{genus} {species}"
    else:
        name = next(filter(None, (genus, *reversed(above))), "")
    return name[:1].upper() + name[1:]


def probability(value: Any) -> float:
    """Return a number from 0 to 1; raises Unusable for anything else, also NaN, booleans and text."""
    if type(value) not in _NUMBERS or not 0 <= value <= 1:
        raise Unusable(f"has {clean(repr(value)[:40])} for a probability, where 0 to 1 is needed")
    return float(value)


def share(text: str) -> float | None:
    """Return a cell that may hold a probability, None if it is empty; raises Unusable."""
    if not text or text.lower() in _UNSAID:
        return None
    try:
        return probability(float(text))
    except ValueError as error:
        raise Unusable(f"has {clean(text)[:40]!r} for a probability, where 0 to 1 is needed") from error


def individuals(text: str) -> int | None:
    """Return a number of individuals from 1; None where none is told; raises Unusable for what is no such number."""
    if not text or text.lower() in _UNSAID:
        return None
    try:
        value = float(text)
    except ValueError as error:
        raise Unusable(f"has {clean(text)[:40]!r} for a count, where a whole number is needed") from error
    if not math.isfinite(value) or not value.is_integer() or not 0 <= value < 2**31:
        raise Unusable(f"has {clean(text)[:40]!r} for a count, where a whole number is needed")
    return int(value) or None


def is_true(text: str) -> bool:
    """Whether a cell says yes: true, yes, 1 or any number above 0."""
    low = text.lower()
    if low in {"true", "yes", "t", "y"}:
        return True
    try:
        return float(low) > 0
    except ValueError:
        return False


def moment(text: str) -> datetime | None:
    """Return a date with a time of day, with its zone if it has one; None if it is none.

    ISO 8601, EXIF's 2024:05:01 08:00:00 and Timelapse's 01-May-2024 08:00:00.
    """
    if len(text) < 12 or len(text) > 40:  # a date alone is no time of day
        return None
    if text[4] == ":":
        text = _EXIF_DATE.sub(r"\1-\2-\3", text, count=1)
    elif (match := _DAY_FIRST.fullmatch(text)) is not None and match[2].lower() in _MONTHS and match[4]:
        time = match[4] if match[4][1] != ":" else f"0{match[4]}"
        text = f"{match[3]}-{_MONTHS.index(match[2].lower()) + 1:02}-{int(match[1]):02}T{time}"
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def wall_clock(text: str) -> datetime | None:
    """Return what the clock showed: `moment` without its zone, which is dropped, never added."""
    value = moment(text)
    return value if value is None or value.tzinfo is None else value.replace(tzinfo=None)


def utc(text: str) -> datetime | None:
    """Return `moment` in UTC without a zone; one that has no zone is taken for UTC."""
    value = moment(text)
    try:
        return value if value is None or value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        return None
