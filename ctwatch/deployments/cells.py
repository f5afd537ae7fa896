"""The cells of a deployments table: separator, quotes, decimal commas and what spreadsheets add."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ctwatch.deployments.dialects import known_columns
from ctwatch.deployments.folders import composed
from ctwatch.names import spreadsheet_safe

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_MOST_COLUMNS = 1000
CONTROLS = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]+")
"""Characters that nobody sees, line ends among them: in a name they are a slip."""
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)
_DECIMAL_POINT = re.compile(r"[+-]?\d+(?:\.\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table as cells: the header and its line, and (line, cells) of every row that is not empty."""

    header: tuple[str, ...]
    header_line: int
    rows: tuple[tuple[int, tuple[str, ...]], ...]


def sheet(text: str, name: str) -> tuple[Sheet, list[str], list[str]]:
    """Split a table into cells: (sheet, problems, notes).

    Commas, semicolons or tabs, whichever makes the header one that is understood; decimal commas in columns of numbers
    become points where the separator is another; a quote that keeps a cell from being a formula goes.
    """
    problems: list[str] = []
    notes: list[str] = []
    content = text.lstrip("\ufeff")
    told = re.match(r"sep=([,;\t])\r?\n", content)
    separator = told[1] if told else _separator(content)
    if separator != ",":
        notes.append(f"{name}: read with {_SEPARATORS[separator]} between the cells")
    lines = list(_lines(content[told.end() :] if told else content, separator, 1 if told else 0, name, problems))
    filled = [(line, cells) for line, cells in lines if any(cell.strip() for cell in cells)]
    if not filled:
        return Sheet((), 1, ()), problems, notes
    header_line, header = filled[0]
    if len(header) > _MOST_COLUMNS:
        problems.append(f"{name} line {header_line}: {len(header)} columns; leave the most {_MOST_COLUMNS} that matter")
        return Sheet((), header_line, ()), problems, notes
    rows = []
    for line, cells in filled[1:]:
        while len(cells) > len(header) and not cells[-1].strip():
            cells.pop()  # spreadsheets end some lines with more separators than others
        if len(cells) > len(header):
            problems.append(
                f"{name} line {line}: {len(cells)} cells for {len(header)} columns; quote cells that have"
                f" {_SEPARATORS[separator]} in them"
            )
            continue
        rows.append((line, [_clean(cell) for cell in cells] + [""] * (len(header) - len(cells))))
    if separator != ",":
        turned = _decimal_points([cells for _, cells in rows])
        if turned:
            notes.append(f"{name}: decimal commas are read as points in " + ", ".join(header[at] for at in turned))
    return Sheet(tuple(header), header_line, tuple((line, tuple(cells)) for line, cells in rows)), problems, notes


def _separator(content: str) -> str:
    """Return what separates the header's cells; a comma where nothing tells."""
    first = next((line for line in content[:65536].splitlines() if line.strip()), "")
    ranked = []
    for separator in _SEPARATORS:
        cells = next(csv.reader([first], delimiter=separator), [])
        ranked.append((known_columns(cells) if len(cells) > 1 else 0, separator == ",", separator))
    return max(ranked)[2]


def _lines(
    content: str, separator: str, before: int, name: str, problems: list[str]
) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, cells) of a CSV; what no CSV reader can go on after is a problem."""
    reader = csv.reader(io.StringIO(content, newline=None), delimiter=separator, strict=True)
    try:
        for cells in reader:
            yield reader.line_num + before, cells
    except csv.Error as error:
        problems.append(
            f"{name} line {reader.line_num + before}: not CSV ({error}); check the quotes from here backwards"
        )


def _clean(cell: str) -> str:
    text = composed(cell.strip())
    return text[1:] if text[:1] == "'" and spreadsheet_safe(text[1:]) == text else text


def _decimal_points(rows: Sequence[list[str]]) -> list[int]:
    """Turn decimal commas into points, in place, in columns that hold nothing but numbers; returns these columns."""
    turned = []
    for at in range(len(rows[0]) if rows else 0):
        filled = [row[at] for row in rows if row[at] not in ("", "NA")]
        with_comma = [bool(_DECIMAL_COMMA.fullmatch(cell)) for cell in filled]
        if any(with_comma) and all(
            comma or _DECIMAL_POINT.fullmatch(cell) for comma, cell in zip(with_comma, filled, strict=True)
        ):
            turned.append(at)
            for row in rows:
                row[at] = row[at].replace(",", ".")
    return turned
