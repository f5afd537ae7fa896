"""The log of a training: one row an epoch, written as CSV and drawn as a curve."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..sets.shards import replacing

COLUMNS = (
    "epoch",
    "step",
    "learning_rate",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "validation_macro_recall",
    "images_per_second",
    "seconds",
)
TIMING = ("images_per_second", "seconds")
"""Columns that differ from run to run; all others are the same for the same seed on the same machine."""

Row = Mapping[str, float]


def write(path: Path, rows: Sequence[Row]) -> None:
    """Write the log, replacing an older one in one rename."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([f"{row[column]:.6g}" for column in COLUMNS])
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(text.getvalue().encode("utf-8"))


def read(path: Path) -> list[dict[str, float]]:
    """Return the rows of a log."""
    with path.open(newline="", encoding="utf-8") as file:
        return [{column: float(row[column]) for column in COLUMNS} for row in csv.DictReader(file)]
