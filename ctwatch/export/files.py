"""Files that others rely on: bytes that do not vary, put in place whole or not at all."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ctwatch.names import spreadsheet_safe

Cell = str | float | int | bool | None
NOT_AVAILABLE = "NA"
_NEEDS_QUOTES = re.compile('["\r\n]')


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Cell]], *, missing: str = "") -> None:
    """Write a CSV file: UTF-8, `\\n`, comma, quotes only where needed, text cells that no spreadsheet runs.

    Numbers are written shortest without a trailing .0, booleans as true and false, None and NaN as `missing`. The file
    is replaced by one rename; one that already has these bytes is left alone.
    """
    data = bytearray()
    for line in _lines(header, rows, missing):
        data += line.encode("utf-8") + b"\n"
    write_bytes(path, data)


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Cell]], *, missing: str = "") -> str:
    """Return the text that `write_csv` writes."""
    return "\n".join(_lines(header, rows, missing)) + "\n"


def _lines(header: Sequence[str], rows: Iterable[Sequence[Cell]], missing: str) -> Iterator[str]:
    yield _line([spreadsheet_safe(name) for name in header])
    for row in rows:
        yield _line([_cell(value, missing) for value in row])


def _line(cells: Sequence[str]) -> str:
    line = ",".join(cells)
    # Hardly any line needs quotes, and one look at it costs less than one at each of its cells.
    return (
        line if line.count(",") == len(cells) - 1 and not _NEEDS_QUOTES.search(line) else ",".join(map(_quoted, cells))
    )


def _quoted(cell: str) -> str:
    # Python's writer leaves a lone carriage return bare, and readers then see two rows.
    return '"' + cell.replace('"', '""') + '"' if "," in cell or _NEEDS_QUOTES.search(cell) else cell


def write_bytes(path: Path, data: bytes | bytearray) -> None:
    """Replace a file by one rename, fsynced; leaves one that already has these bytes alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
        return
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(aside, "wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def clear_unfinished(folder: Path) -> None:
    """Remove what processes that were killed within `write_bytes` left below a folder."""
    for stale in folder.rglob(".*.tmp"):
        pid = stale.name.split(".")[-2]
        if pid.isdigit() and not Path("/proc", pid).exists():
            stale.unlink(missing_ok=True)


def _cell(value: Cell, missing: str) -> str:
    if value is None:
        return missing
    if isinstance(value, str):
        return spreadsheet_safe(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if value != value:
            return missing
        return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value)
