"""The published database as a `Survey`: everything that exports and reports draw on, read in whole columns."""

import gc
from collections.abc import Sequence
from itertools import chain
from typing import Any

import duckdb
import numpy as np

from ctwatch.domain import ClockPoint, ClockReference, Deployment, DeploymentSource, Location
from ctwatch.store import derived, queries
from ctwatch.survey import (
    BoxColumns,
    EffortColumns,
    FailedFile,
    MediaColumns,
    ObservationColumns,
    Survey,
    SurveyDeployment,
)

_MEDIA = """
    SELECT m.media_id, m.deployment_id, m.event_id, m.timestamp, m.recorded_timestamp AS recorded,
           coalesce(m.timestamp_trusted, false) AS trusted, m.timestamp_issue, m.capture_method, m.card_name, m.file_path,
           m.source_path, m.file_mediatype, m.width, m.height, m.failure, m.private,
           m.camera_make, m.camera_model, m.camera_serial, m.sequence_number, m.sequence_total, m.temperature_c
    FROM media m {where} ORDER BY m.deployment_id, m.timestamp NULLS LAST, m.card_name, m.file_path, m.media_id
"""
_OBSERVATIONS = """
    SELECT observation_id, deployment_id, event_id, media_id, event_start, event_end, observation_level AS level,
           observation_type, scientific_name, count, classification_method, classified_by, classification_timestamp,
           classification_probability AS probability, needs_review, review_reason, machine_labels, machine_probabilities,
           top_labels, top_probabilities
    FROM observations {where}
    ORDER BY deployment_id, level, event_start NULLS LAST, event_id, media_id, scientific_name NULLS LAST, observation_id
"""
_EFFORT = "SELECT location_id, day, camera_days, assumed FROM effort ORDER BY 1, 2"
_BOXES = """
    SELECT media_id, label, probability, x, y, width, height, classified_by FROM raw.machine_box
    WHERE media_id IN (SELECT media_id FROM media)
    QUALIFY import_id = last_value(import_id) OVER (
        PARTITION BY media_id ORDER BY rowid ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
    )
    ORDER BY media_id, probability DESC, rowid
"""
_TIMES = {
    "timestamp": "us", "recorded": "us", "event_start": "us", "event_end": "us", "classification_timestamp": "us", "day": "D",
}  # fmt: skip
_FLAGS = ("trusted", "private", "needs_review", "assumed")
_NUMBERS = ("probability", "camera_days", "temperature_c", "x", "y")
_ROWS_AT_ONCE = 20_000
_UNIQUE = ("media_id", "observation_id", "file_path", "source_path")
"""Columns in which hardly any value comes twice."""
_LISTS = ("machine_labels", "machine_probabilities", "top_labels", "top_probabilities")


def load(connection: duckdb.DuckDBPyConnection, version: str, *, frames: bool = True) -> Survey:
    """Read a whole survey; about 2 KB of memory a photograph. Without `frames` only what was decided of events."""
    was_on = gc.isenabled()
    gc.disable()  # it would look through millions of new values again and again, and find nothing
    try:
        return _load(connection, version, frames=frames)
    finally:
        if was_on:
            gc.enable()


def _load(connection: duckdb.DuckDBPyConnection, version: str, *, frames: bool) -> Survey:
    of_events = "" if frames else "WHERE observation_level = 'event'"
    nothing = "" if frames else "WHERE false"
    boxes = _columns(connection, _BOXES, (*_NUMBERS, "width", "height"))
    failed = connection.execute(
        "SELECT card_name, file_path, reason, detail FROM failures ORDER BY card_name, file_path"
    ).fetchall()
    return Survey(
        deployments=deployments(connection),
        media=MediaColumns(**_columns(connection, _MEDIA.format(where=nothing), _NUMBERS)),
        observations=ObservationColumns(**_columns(connection, _OBSERVATIONS.format(where=of_events), _NUMBERS)),
        effort=effort(connection),
        boxes=BoxColumns(**boxes),
        failed=tuple(FailedFile(*row) for row in failed),
        published_at=queries.publication(connection).published_at,
        ctwatch_version=version,
    )


def effort(connection: duckdb.DuckDBPyConnection) -> EffortColumns:
    """Return the daily effort of all locations."""
    return EffortColumns(**_columns(connection, _EFFORT, _NUMBERS))


def media(connection: duckdb.DuckDBPyConnection) -> MediaColumns:
    """Return all photographs."""
    return MediaColumns(**_columns(connection, _MEDIA.format(where=""), _NUMBERS))


def deployments(connection: duckdb.DuckDBPyConnection) -> tuple[SurveyDeployment, ...]:
    """Return all deployments with their places, their field sheet and what came from them."""
    outages = derived.outages(connection)
    points: dict[str, list[ClockPoint]] = {}
    references: dict[str, list[ClockReference]] = {}
    for key, name, recorded, actual in connection.execute(
        "SELECT deployment_id, file_name, recorded, actual FROM raw.clock_point ORDER BY ALL"
    ).fetchall():
        if recorded is None:
            references.setdefault(key, []).append(ClockReference(name, actual))
        else:
            points.setdefault(key, []).append(ClockPoint(recorded, actual))
    columns: dict[str, list[tuple[str, str]]] = {}
    for key, name, value in connection.execute(
        "SELECT deployment_id, name, value FROM raw.deployment_column ORDER BY rowid"
    ).fetchall():
        columns.setdefault(key, []).append((name, value))
    cards: dict[str, list[str]] = {}
    for key, name in connection.execute(
        "SELECT DISTINCT f.deployment_id, c.card_name FROM raw.card_file f JOIN raw.card c USING (card_id)"
        " WHERE f.status IN ('media', 'failed') AND f.deployment_id IS NOT NULL ORDER BY ALL"
    ).fetchall():
        cards.setdefault(key, []).append(name)
    rows = connection.execute(
        """
        SELECT d.deployment_id, d.location_id, d.source, d.camera_id, d.camera_model, d.deployment_start, d.deployment_end,
               r.start_is_date, r.end_is_date, d.flag, d.session, l.location_name, l.latitude, l.longitude,
               d.first_media, d.last_media, d.media_count
        FROM deployments d JOIN raw.deployment r USING (deployment_id)
        LEFT JOIN locations l ON l.location_id = d.location_id ORDER BY d.deployment_id
        """
    ).fetchall()
    return tuple(
        SurveyDeployment(
            Deployment(
                row[0], row[1], DeploymentSource(row[2]), row[3], row[4], row[5], row[6], bool(row[7]), bool(row[8]),
                row[9], row[10], outages.get(row[0], ()), tuple(points.get(row[0], ())),
                tuple(references.get(row[0], ())), tuple(columns.get(row[0], ())),
            ),
            Location(row[1], row[11], row[12], row[13]),
            row[14], row[15], row[16], tuple(cards.get(row[0], ())),
        )
        for row in rows
    )  # fmt: skip


def _columns(connection: duckdb.DuckDBPyConnection, sql: str, numbers: Sequence[str]) -> dict[str, Any]:
    """Run a query and return its columns in the types that `Survey` promises.

    Rows are taken in pieces, and equal texts are one object, for names repeat a million times.
    """
    cursor = connection.execute(sql)
    names = [column[0] for column in cursor.description]
    pieces: dict[str, list[Any]] = {name: [] for name in names}
    known: dict[Any, Any] = {}
    while rows := cursor.fetchmany(_ROWS_AT_ONCE):
        for name, values in zip(names, zip(*rows, strict=True), strict=True):
            pieces[name].append(_piece(name, values, numbers, known))
    return {name: _joined(name, pieces[name], numbers) for name in names}


def _piece(name: str, values: Sequence[Any], numbers: Sequence[str], known: dict[Any, Any]) -> Any:
    if name in _TIMES:
        return np.array(values, dtype=f"datetime64[{_TIMES[name]}]")
    if name in _FLAGS:
        return np.array([bool(value) for value in values], dtype=bool)
    if name in numbers:
        return np.array(values, dtype=np.float64)  # None becomes NaN
    if name in _LISTS:
        values = [tuple(value or ()) for value in values]
    if name in _UNIQUE:
        return values
    return [known.setdefault(value, value) for value in values]


def _joined(name: str, pieces: list[Any], numbers: Sequence[str]) -> Any:
    if not pieces:
        return [] if name not in (*_TIMES, *_FLAGS, *numbers) else _piece(name, (), numbers, {})
    if isinstance(pieces[0], np.ndarray):
        return np.concatenate(pieces)
    return list(chain.from_iterable(pieces))
