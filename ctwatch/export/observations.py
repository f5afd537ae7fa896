"""observations.csv: event-level observations with the columns of Camtrap DP 1.0.2 in its order, ours to the right."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ctwatch.export.camtrap_dp.schema import OBSERVATIONS as CAMTRAP_DP_COLUMNS
from ctwatch.export.files import Cell, write_csv

OUR_COLUMNS = ("locationID", "needsReview", "reviewReason", "topLabels", "topProbabilities")


def write(folder: Path, columns: Sequence[str], observations: Iterable[Sequence[Any]], utc_offset: str) -> Path:
    """Write `observations.csv` into a folder and return its path.

    `columns` names the cells of each row; `count`, `classification_method` and `classification_timestamp` (UTC) may be
    missing. Times are the camera's wall clock to the second, with `utc_offset` behind them where it is known. `count`
    is empty where nobody counted: a classifier does not.
    """
    path = folder / "observations.csv"
    header = (*CAMTRAP_DP_COLUMNS, *OUR_COLUMNS)
    write_csv(path, header, _rows(header, columns, observations, utc_offset))
    return path


def _rows(
    header: Sequence[str], columns: Sequence[str], observations: Iterable[Sequence[Any]], utc_offset: str
) -> Iterator[list[Cell]]:
    for row in observations:
        values = dict(zip(columns, row, strict=True))
        told: dict[str, Cell] = {
            "observationID": values["observation_id"],
            "deploymentID": values["deployment_id"],
            "eventID": values["event_id"],
            "eventStart": iso(values["event_start"], utc_offset),
            "eventEnd": iso(values["event_end"], utc_offset),
            "observationLevel": "event",
            "observationType": values["observation_type"],
            "scientificName": values["scientific_name"],
            "count": _count(values.get("count")),
            "classificationMethod": values.get("classification_method", "machine" if values["classified_by"] else None),
            "classifiedBy": values["classified_by"],
            "classificationTimestamp": iso(values.get("classification_timestamp"), "Z"),
            "classificationProbability": _rounded(values["classification_probability"]),
            "locationID": values["location_id"],
            "needsReview": values["needs_review"],
            "reviewReason": values["review_reason"],
            "topLabels": "|".join(values["top_labels"] or ()),
            "topProbabilities": "|".join(f"{p:.4f}" for p in values["top_probabilities"] or ()),
        }
        yield [told.get(name) for name in header]


def iso(moment: datetime | None, utc_offset: str) -> str | None:
    """Write a camera-clock time as Camtrap DP does, no fractions of seconds."""
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%S}{utc_offset}"


def _rounded(p: float | None) -> float | None:
    return None if p is None else round(p, 4)


def _count(number: int | None) -> int | None:
    return number if number is not None and number >= 1 else None
