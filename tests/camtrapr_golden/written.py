"""Tables and matrices as R's write.csv writes them."""

import csv
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctwatch import occupancy

Table = list[dict[str, str]]
NAN = float("nan")


@cache
def cells(path: Path) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Header and rows of a CSV file."""
    with path.open(encoding="utf-8-sig", newline="") as handle:
        header, *rows = csv.reader(handle)
    return tuple(header), tuple(tuple(row) for row in rows)


def table(path: Path) -> Table:
    """Rows of a CSV file by column; R's column of row numbers is left out."""
    header, rows = cells(path)
    return [{name: cell for name, cell in zip(header, row, strict=True) if name} for row in rows]


def matrix(path: Path) -> tuple[tuple[str, ...], tuple[str, ...], NDArray[np.float64]]:
    """Row names, column names and values of a matrix written by R."""
    header, rows = cells(path)
    values = np.array([[number(cell) for cell in row[1:]] for row in rows], dtype=np.float64)
    return tuple(row[0] for row in rows), header[1:], values.reshape(len(rows), len(header) - 1)


def number(cell: str) -> float:
    """A number of R's, NaN for NA."""
    return NAN if cell in ("NA", "", "NaN") else float(cell)


def operation(path: Path) -> occupancy.Operation:
    """A camera operation matrix as cameraOperation wrote it."""
    rows, header, values = matrix(path)
    days, hours = [], set()
    for name in header:
        day, _, hour = name.partition("+")
        days.append(date.fromisoformat(day.removeprefix("X").replace(".", "-")))
        hours.add(int(hour.removesuffix("h") or 0))
    wide = np.full((len(rows), (max(days) - min(days)).days + 1), NAN)
    wide[:, [(day - min(days)).days for day in days]] = values
    places, sessions, cameras = [], [], []
    for name in rows:
        place, _, camera = name.partition("__CAM_")
        place, _, session = place.partition("__SESS_")
        places.append(place)
        sessions.append(session or None)
        cameras.append(camera or None)
    return occupancy.Operation(tuple(places), min(days), wide, tuple(cameras), tuple(sessions), hours.pop())
