"""Detection histories and effort as occupancy models read them: locations by occasions, NA where nothing worked."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctwatch.export.files import NOT_AVAILABLE, Cell, write_csv
from ctwatch.identity import derived_id
from ctwatch.names import file_name_part
from ctwatch.occupancy import DetectionHistory, Effort

HISTORY_PREFIX = "detection_history__"


def write(folder: Path, surveyed: Effort, histories: Sequence[DetectionHistory]) -> list[Path]:
    """Write `effort.csv`, `occasions.csv` and a history per species; histories of species that are gone are removed.

    `read.csv("effort.csv", row.names = 1)` gives the matrix in R. Returns the paths.
    """
    names = [occasion.name for occasion in surveyed.occasions]
    effort, occasions = folder / "effort.csv", folder / "occasions.csv"
    _write_matrix(effort, names, surveyed.names, surveyed.camera_days)
    write_csv(
        occasions,
        ("occasion", "start", "end", "days"),
        [
            (item.name, f"{item.start:%Y-%m-%d}", f"{item.end:%Y-%m-%d}", item.length.days)
            for item in surveyed.occasions
        ],
    )
    paths = [effort, occasions]
    taken: set[str] = set()
    for history in histories:
        part = file_name_part(history.scientific_name)
        if part.lower() in taken:  # one file on disks that do not tell capitals
            part = f"{part}-{derived_id('name', history.scientific_name)[:6]}"
        taken.add(part.lower())
        path = folder / f"{HISTORY_PREFIX}{part}.csv"
        _write_matrix(path, names, surveyed.names, history.y)
        paths.append(path)
    for stale in sorted(set(folder.glob(f"{HISTORY_PREFIX}*.csv")) - set(paths)):
        stale.unlink()
    return paths


def _write_matrix(path: Path, names: Sequence[str], row_names: Sequence[str], values: NDArray[np.float64]) -> None:
    rows: list[list[Cell]] = [[name, *map(float, row)] for name, row in zip(row_names, values, strict=True)]
    write_csv(path, ("locationID", *names), rows, missing=NOT_AVAILABLE)
