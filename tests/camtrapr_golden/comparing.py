"""Cells of ours beside those of camtrapR."""

import re
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .calls import DiffersError
from .written import matrix, number

TOLERANCE = 1.0001e-4
ROUNDED = 0.1001
"""delta.time.mins, .hours and .days: R 3 and R 4 round halves in other ways."""


def same_matrix(
    what: str, path: Path, rows: Sequence[str], columns: Sequence[str], values: NDArray[np.float64]
) -> None:
    """Raise DiffersError at the first cell that differs; rows are matched by name."""
    expected_rows, expected_columns, expected = matrix(path)
    if sorted(rows) != sorted(expected_rows):
        raise DiffersError(f"{what}: rows {list(rows)}, camtrapR has {list(expected_rows)}")
    if list(columns) != list(expected_columns):
        pairs = [(one, other) for one, other in zip_longest(columns, expected_columns) if one != other]
        raise DiffersError(f"{what}: column {pairs[0][0]!r}, camtrapR has {pairs[0][1]!r}")
    place = {name: row for row, name in enumerate(rows)}
    ours = values[[place[name] for name in expected_rows]] if expected_rows else values
    wrong = np.isnan(ours) != np.isnan(expected)
    wrong |= np.abs(np.nan_to_num(ours) - np.nan_to_num(expected)) > TOLERANCE
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        cell = f"{expected_rows[row]}, {expected_columns[column]}"
        raise DiffersError(f"{what} [{cell}]: {ours[row, column]:g}, camtrapR has {expected[row, column]:g}")


def same_name(path: Path, ours: str) -> None:
    """Compare the name of a file that camtrapR chose itself with what we take its rule to be, but for the date."""
    told = re.sub(r"\d{4}-\d{2}-\d{2}(?=\.csv$)", "DATE", path.name)
    if told.endswith("_DATE.csv") and told != ours:
        raise DiffersError(f"file name {ours!r}, camtrapR has {told!r}")


def same_cell(what: str, ours: Any, expected: str, tolerance: float = TOLERANCE) -> None:
    """Compare one value with a cell: as numbers where both are, else as text."""
    if isinstance(ours, float | int | np.number):
        wanted = number(expected)
        same = np.isnan(wanted) if np.isnan(ours) else abs(float(ours) - wanted) <= tolerance
    else:
        same = str(ours) == expected or (ours in ("", None) and expected in ("", "NA"))
    if not same:
        raise DiffersError(f"{what}: {ours}, camtrapR has {expected}")
