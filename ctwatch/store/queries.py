"""Questions to the published database that reports and exports ask; each returns plain rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from ctwatch.errors import CtwatchError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ROWS_AT_ONCE = 2048


class QueryError(CtwatchError):
    """A user's SQL that cannot be answered."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with the names of their columns."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Detections:
    """Every event that named a species: location, time and name, as columns."""

    location_id: list[str]
    event_start: "NDArray[np.datetime64]"
    scientific_name: list[str]


@dataclass(frozen=True, slots=True)
class Published:
    """What the view `publication` tells of a copy."""

    published_at: datetime | None
    """UTC; None in the live database."""
    with_people: bool
    """False: photographs of people were left out."""
    cards: int
    media: int


@dataclass(frozen=True, slots=True)
class EventPicture:
    """One event with the files of its frames and what was decided, for people to look at."""

    event_id: str
    location_id: str
    event_start: datetime | None
    frames: list[str | None]
    decided: str
    probability: float | None
    review: str | None
    private: bool
    """Somebody is on it, or on one of its frames."""


def ask(connection: duckdb.DuckDBPyConnection, sql: str) -> Table:
    """Answer a user's SQL; raises QueryError with DuckDB's words."""
    try:
        cursor = connection.execute(sql)
        if cursor is None or cursor.description is None:  # nothing but a comment
            return Table((), [])
        return Table(tuple(column[0] for column in cursor.description), cursor.fetchall())
    except duckdb.Error as error:
        raise QueryError(f"{error}\nThe views are: {', '.join(view_names(connection))}") from error


def ask_into_parquet(connection: duckdb.DuckDBPyConnection, sql: str, path: Path) -> int:
    """Write the answer to a user's SQL into a Parquet file; returns its rows. Raises QueryError with DuckDB's words."""
    quoted = str(path).replace("'", "''")
    try:
        connection.execute(f"COPY (\n{sql.strip().rstrip(';')}\n) TO '{quoted}' (FORMAT parquet, COMPRESSION zstd)")
        return int(connection.fetchall()[0][0])
    except duckdb.Error as error:
        raise QueryError(f"{error}\nThe views are: {', '.join(view_names(connection))}") from error


def columns_of_views(connection: duckdb.DuckDBPyConnection, view: str | None = None) -> list[tuple[str, str, Table]]:
    """Return (name, meaning, columns) of every view, or of one; raises QueryError for one that is not there."""
    names = view_names(connection)
    if view is not None and view not in names:
        raise QueryError(f"there is no view {view!r}; there are {', '.join(names)}")
    meanings = dict(
        connection.execute(
            "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal AND schema_name = 'main'"
        ).fetchall()
    )
    sql = """
        SELECT column_name AS "column", data_type AS type, coalesce(comment, '') AS meaning FROM duckdb_columns()
        WHERE NOT internal AND schema_name = 'main' AND table_name = ? ORDER BY column_index
    """
    return [(name, meanings.get(name) or "", table(connection, sql, [name])) for name in names if view in (None, name)]


def view_names(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the names of the views that people query."""
    sql = "SELECT view_name FROM duckdb_views() WHERE NOT internal AND schema_name = 'main' ORDER BY 1"
    return [row[0] for row in connection.execute(sql).fetchall()]


def table(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any] = ()) -> Table:
    """Answer one of our own questions."""
    cursor = connection.execute(sql, list(parameters))
    return Table(tuple(column[0] for column in cursor.description), cursor.fetchall())


def detections(connection: duckdb.DuckDBPyConnection) -> Detections:
    """Return the detections of all species, in the order of name, location and time."""
    import numpy as np

    found = connection.execute(
        "SELECT location_id, event_start, scientific_name FROM observations WHERE observation_level = 'event'"
        " AND scientific_name IS NOT NULL AND event_start IS NOT NULL ORDER BY scientific_name, location_id, event_start"
    ).fetchnumpy()
    return Detections(
        list(found["location_id"]),
        np.ma.getdata(found["event_start"]).astype("datetime64[us]"),
        list(found["scientific_name"]),
    )


def event_observations(
    connection: duckdb.DuckDBPyConnection,
) -> tuple[tuple[str, ...], Iterator[tuple[Any, ...]]]:
    """Return the columns, and as they are asked for the rows, of event-level observations with all that the export needs.

    They come in the order of deployment and time; until the last one nothing else may be asked of the connection.
    """
    cursor = connection.execute(
        """
        SELECT observation_id, deployment_id, event_id, event_start, event_end, observation_type, scientific_name,
               classified_by, classification_probability, location_id, needs_review, review_reason, top_labels,
               top_probabilities, count, classification_method, classification_timestamp
        FROM observations WHERE observation_level = 'event'
        ORDER BY deployment_id, event_start NULLS LAST, event_id, observation_id
        """
    )
    rows = iter(lambda: cursor.fetchmany(_ROWS_AT_ONCE), [])
    return tuple(column[0] for column in cursor.description), chain.from_iterable(rows)


def event_pictures(
    connection: duckdb.DuckDBPyConnection, limit: int, *, with_people: bool = False
) -> list[EventPicture]:
    """Return events in the order of location and time with the places of their frames, at most `limit`.

    The frames of events with people have no place unless asked for `with_people`.
    """
    sql = """
        WITH first AS (
            SELECT e.event_id, d.location_id, e.event_start, e.media_count
            FROM raw.event e LEFT JOIN raw.deployment d USING (deployment_id)
            ORDER BY d.location_id, e.event_start NULLS LAST, e.event_id LIMIT $1
        ), frames AS (
            SELECT x.event_id, list(CASE WHEN $2 OR NOT m.private THEN m.source_path END ORDER BY x.position) AS paths
            FROM raw.event_media x JOIN media m USING (media_id) WHERE x.event_id IN (SELECT event_id FROM first)
            GROUP BY x.event_id
        ), decided AS (
            SELECT event_id,
                   string_agg(coalesce(scientific_name, observation_type), ' + ' ORDER BY classification_probability DESC)
                       FILTER (observation_level = 'event') AS names,
                   max(classification_probability) FILTER (observation_level = 'event') AS probability,
                   max(review_reason) FILTER (observation_level = 'event') AS review
            FROM raw.observation WHERE event_id IN (SELECT event_id FROM first) GROUP BY event_id
        ), people AS (SELECT coalesce(bool_or(NOT with_people), false) AS left_out FROM raw.publication)
        SELECT first.* EXCLUDE (media_count),
               coalesce(paths, list_resize([]::VARCHAR[], CASE WHEN left_out THEN media_count ELSE 0 END)),
               coalesce(names, 'unclassified'), probability, review,
               (left_out AND paths IS NULL) OR event_id IN (FROM raw.private_event)
        FROM first LEFT JOIN frames USING (event_id) LEFT JOIN decided USING (event_id), people
        ORDER BY location_id, event_start NULLS LAST, event_id
    """
    return [EventPicture(*row) for row in connection.execute(sql, [limit, with_people]).fetchall()]


def publication(connection: duckdb.DuckDBPyConnection) -> Published:
    """Return when a published copy was made and what was left out of it."""
    rows = connection.execute("SELECT published_at, with_people, cards, media FROM publication").fetchall()
    return Published(*rows[0]) if rows else Published(None, True, 0, 0)
