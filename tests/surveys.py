"""Small surveys built from rows, for tests of exports, checks and reports."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from ctwatch.domain import Deployment, DeploymentSource, Location
from ctwatch.survey import (
    BoxColumns,
    EffortColumns,
    FailedFile,
    MediaColumns,
    ObservationColumns,
    Survey,
    SurveyDeployment,
)

_KINDS: dict[str, Any] = {
    "timestamp": "datetime64[us]", "recorded": "datetime64[us]", "event_start": "datetime64[us]",
    "event_end": "datetime64[us]", "classification_timestamp": "datetime64[us]", "day": "datetime64[D]",
    "trusted": bool, "private": bool, "needs_review": bool, "assumed": bool,
    "probability": float, "camera_days": float, "temperature_c": float, "x": float, "y": float, "width": float,
    "height": float,
}  # fmt: skip
_MEDIA = {
    "event_id": None, "timestamp": None, "trusted": True, "timestamp_issue": None, "capture_method": "activityDetection",
    "card_name": "CARD", "source_path": None, "file_mediatype": "image/jpeg", "width": 2048, "height": 1536,
    "failure": None, "private": False, "camera_make": None, "camera_model": None, "camera_serial": None,
    "sequence_number": None, "sequence_total": None, "temperature_c": np.nan,
}  # fmt: skip
_OBSERVATION = {
    "event_id": None, "media_id": None, "event_start": None, "level": "event", "observation_type": "animal",
    "scientific_name": None, "count": None, "classification_method": "machine", "classified_by": "models",
    "classification_timestamp": None, "probability": np.nan, "needs_review": False, "review_reason": None,
    "machine_labels": (), "machine_probabilities": (), "top_labels": (), "top_probabilities": (),
}  # fmt: skip

Row = Mapping[str, Any]


def place(deployment_id: str, location_id: str, **more: Any) -> SurveyDeployment:
    """A deployment; `latitude`, `longitude`, `first_media`, `last_media`, `media_count` and any field of Deployment."""
    location = Location(
        location_id, more.pop("location_name", None), more.pop("latitude", None), more.pop("longitude", None)
    )
    seen = [
        more.pop(name, default) for name, default in (("first_media", None), ("last_media", None), ("media_count", 0))
    ]
    cards = more.pop("cards", ())
    source = more.pop("source", DeploymentSource.TABLE)
    return SurveyDeployment(Deployment(deployment_id, location_id, source, **more), location, *seen, cards)


def survey(
    deployments: Sequence[SurveyDeployment] = (),
    media: Iterable[Row] = (),
    observations: Iterable[Row] = (),
    effort: Iterable[Row] = (),
    boxes: Iterable[Row] = (),
    failed: Sequence[FailedFile] = (),
) -> Survey:
    """A survey of rows; what a row leaves out has a plain default."""
    pictures = [
        {
            **_MEDIA,
            "media_id": f"{number:032x}",
            "file_path": f"IMG_{number:04}.JPG",
            "recorded": row.get("timestamp"),
            **row,
        }
        for number, row in enumerate(media, 1)
    ]
    seen = [
        {**_OBSERVATION, "observation_id": f"o{number}", "event_end": row.get("event_start"), **row}
        for number, row in enumerate(observations, 1)
    ]
    days = [{"assumed": False, "camera_days": 1.0, **row} for row in effort]
    drawn = [{"classified_by": "MegaDetector", "label": "animal", **row} for row in boxes]
    return Survey(
        tuple(deployments),
        MediaColumns(**_columns(MediaColumns, pictures, plain=("width", "height"))),
        ObservationColumns(**_columns(ObservationColumns, seen)),
        EffortColumns(**_columns(EffortColumns, days)),
        BoxColumns(**_columns(BoxColumns, drawn)),
        tuple(failed),
        datetime(2026, 6, 1, 12),
        "0",
    )


def _columns(kind: Any, rows: Sequence[Row], plain: Sequence[str] = ()) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name in kind.__dataclass_fields__:
        values = [row[name] for row in rows]
        if name in _KINDS and name not in plain:
            values = np.array(
                ["NaT" if v is None else v for v in values] if "64" in str(_KINDS[name]) else values, dtype=_KINDS[name]
            )  # type: ignore[assignment]
        columns[name] = values
    return columns
