"""The derived rows of a deployment: what they are made from, and their replacement in one go."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import replace as replaced
from datetime import datetime
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from ctwatch.background import HEIGHT, WIDTH
from ctwatch.domain import ClockPoint, ClockReference, Outage
from ctwatch.store.cards import DEPLOYMENTS_IN_USE
from ctwatch.store.rows import Columns, insert, registered


@dataclass(frozen=True, slots=True)
class DeploymentSpan:
    """When a deployment worked, as far as its table says."""

    deployment_id: str
    location_id: str
    camera_id: str | None
    start: datetime | None
    end: datetime | None
    start_is_date: bool
    end_is_date: bool
    session: str | None
    outages: tuple[Outage, ...] = ()


@dataclass(frozen=True, slots=True)
class Clock:
    """What is known of a deployment's clock."""

    points: tuple[ClockPoint, ...]
    references: tuple[ClockReference, ...]


def clock_of(connection: duckdb.DuckDBPyConnection, deployment_id: str) -> Clock:
    """Return how wrong a deployment's clock was, as its table says."""
    rows = connection.execute(
        "SELECT file_name, recorded, actual FROM raw.clock_point WHERE deployment_id = ? ORDER BY actual, recorded",
        [deployment_id],
    ).fetchall()
    return Clock(
        tuple(ClockPoint(recorded, actual) for _, recorded, actual in rows if recorded is not None),
        tuple(ClockReference(name, actual) for name, recorded, actual in rows if recorded is None),
    )


def flag_of(connection: duckdb.DuckDBPyConnection, deployment_id: str) -> str | None:
    """Return why somebody should look at a deployment; None if nothing is wrong or there is no such deployment."""
    rows = connection.execute("SELECT flag FROM raw.deployment WHERE deployment_id = ?", [deployment_id]).fetchall()
    return rows[0][0] if rows else None


def put_flag(connection: duckdb.DuckDBPyConnection, deployment_id: str, flag: str | None) -> None:
    """Say in a deployment's flag why somebody should look at it."""
    connection.execute("UPDATE raw.deployment SET flag = ? WHERE deployment_id = ?", [flag, deployment_id])


def media_columns(connection: duckdb.DuckDBPyConnection, deployment_id: str) -> dict[str, NDArray[Any]]:
    """Return columns of a deployment's media, each once, in the order of their ids."""
    sql = """
        SELECT m.media_id, f.file_path, m.timestamp, m.timestamp_trusted AS trusted, m.timestamp_issue AS issue,
               m.capture_method = 'timeLapse' AS time_lapse, coalesce(m.sequence_number, 0) AS sequence_number,
               coalesce(m.event_number, -1) AS event_number, m.failure IS NULL AS readable
        FROM raw.card_file f JOIN raw.media m USING (media_id)
        WHERE f.deployment_id = ? AND f.status IN ('media', 'failed') ORDER BY m.media_id
    """
    columns = connection.execute(sql, [deployment_id]).fetchnumpy()
    times = columns["timestamp"]
    columns["timestamp"] = np.ma.filled(times.astype("datetime64[us]"), np.datetime64("NaT"))
    return {name: np.ma.getdata(values) if name != "timestamp" else values for name, values in columns.items()}


@contextmanager
def in_order(
    connection: duckdb.DuckDBPyConnection, media_ids: NDArray[np.object_], model_ids: Sequence[str]
) -> Iterator[None]:
    """Give photographs places, 0 to N - 1, while a block runs, and gather what the models said of them.

    All predictions there are have to be looked through for those of a deployment; that is done once.
    """
    with registered(connection, {"media_id": media_ids, "place": np.arange(len(media_ids))}, "given"):
        connection.execute("CREATE TEMP TABLE place AS FROM given")
    connection.execute(
        "CREATE TEMP TABLE answer AS SELECT place, model_id, probabilities FROM raw.prediction JOIN place USING (media_id)"
        " WHERE list_contains(?, model_id)",
        [list(model_ids)],
    )
    yield
    connection.execute("DROP TABLE temp.answer")
    connection.execute("DROP TABLE temp.place")


def predictions(
    connection: duckdb.DuckDBPyConnection, first: int, last: int, model_ids: Sequence[str], labels: int
) -> NDArray[np.float32]:
    """Return what models said of the photographs at places from `first` to before `last`, (N, M, K); NaN: nothing.

    To be called within `in_order`.
    """
    found = connection.execute(
        "SELECT place - $1 AS row, list_position($3, model_id) - 1 AS member, probabilities FROM answer"
        " WHERE place >= $1 AND place < $2 AND list_contains($3, model_id)",
        [first, last, list(model_ids)],
    ).fetchnumpy()
    result = np.full((last - first, len(model_ids), labels), np.nan, dtype=np.float32)
    if len(found["row"]):
        said = np.concatenate(list(found["probabilities"])).reshape(-1, labels)
        result[np.ma.getdata(found["row"]), np.ma.getdata(found["member"])] = said
    return result


def miniatures(
    connection: duckdb.DuckDBPyConnection,
) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the places of the photographs that have a miniature, ascending, their pixels (n, `HEIGHT`, `WIDTH`) and colours (n,).

    To be called within `in_order`.
    """
    found = connection.execute(
        "SELECT place, colour, pixels FROM raw.miniature JOIN place USING (media_id) ORDER BY place"
    ).fetchnumpy()
    pixels = np.frombuffer(b"".join(found["pixels"]), dtype=np.uint8).reshape(-1, HEIGHT, WIDTH)
    return np.ma.getdata(found["place"]).astype(np.int64), pixels, np.ma.getdata(found["colour"]).astype(np.uint8)


def replace(
    connection: duckdb.DuckDBPyConnection,
    deployment_id: str,
    *,
    event: Columns,
    event_media: Columns,
    media_time: Columns,
) -> None:
    """Replace the events and times of a deployment, and remove its observations."""
    given = {"event": event, "event_media": event_media, "media_time": media_time, "observation": None}
    for table, columns in given.items():
        connection.execute(f"DELETE FROM raw.{table} WHERE deployment_id = ?", [deployment_id])
        if columns is not None:
            insert(connection, f"raw.{table}", columns)


def add_observations(connection: duckdb.DuckDBPyConnection, observations: Columns) -> None:
    """Append observations of a deployment whose earlier ones `replace` has removed."""
    insert(connection, "raw.observation", observations)


def drop_orphans(connection: duckdb.DuckDBPyConnection) -> None:
    """Remove deployments, locations and derived rows that no file counts for any more; duplicates count for none.

    Deployments of the table stay: a camera that worked and saw nothing was surveyed all the same.
    """
    for table in ("event", "event_media", "observation", "media_time"):
        connection.execute(f"DELETE FROM raw.{table} WHERE deployment_id NOT IN {DEPLOYMENTS_IN_USE}")
    connection.execute(
        f"DELETE FROM raw.deployment WHERE deployment_id NOT IN {DEPLOYMENTS_IN_USE} AND source <> 'deployments_table'"
    )
    for table in ("outage", "clock_point", "deployment_column"):
        connection.execute(
            f"DELETE FROM raw.{table} WHERE deployment_id NOT IN (SELECT deployment_id FROM raw.deployment)"
        )
    connection.execute("DELETE FROM raw.location WHERE location_id NOT IN (SELECT location_id FROM raw.deployment)")


def deployment_ids(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Return all deployments, sorted."""
    return [row[0] for row in connection.execute("SELECT deployment_id FROM raw.deployment ORDER BY 1").fetchall()]


def spans(connection: duckdb.DuckDBPyConnection) -> list[DeploymentSpan]:
    """Return the dates of each deployment, as far as its table gives them."""
    sql = """
        SELECT deployment_id, location_id, camera_id, deployment_start, deployment_end, start_is_date, end_is_date, session
        FROM raw.deployment ORDER BY deployment_id
    """
    off = outages(connection)
    rows = connection.execute(sql).fetchall()
    return [replaced(DeploymentSpan(*row), outages=off.get(row[0], ())) for row in rows]


def outages(connection: duckdb.DuckDBPyConnection) -> dict[str, tuple[Outage, ...]]:
    """Return the outages of each deployment that has some, in the order of time."""
    found: dict[str, tuple[Outage, ...]] = {}
    for deployment_id, *rest in connection.execute(
        "SELECT deployment_id, outage_start, outage_end, is_date, note FROM raw.outage ORDER BY 1, 2, 3"
    ).fetchall():
        found[deployment_id] = (*found.get(deployment_id, ()), Outage(*rest))
    return found


def card_spans(
    connection: duckdb.DuckDBPyConnection, longest_silence_days: int
) -> dict[str, list[tuple[datetime, datetime]]]:
    """Return for each deployment the first and last trustworthy time of each card, split at longer silences."""
    sql = """
        WITH timed AS (
            SELECT f.deployment_id, f.card_id, t.timestamp,
                   t.timestamp - lag(t.timestamp) OVER card > to_days($1) AS after_silence
            FROM raw.card_file f JOIN raw.media_time t USING (media_id)
            WHERE f.status IN ('media', 'failed') AND t.timestamp_trusted
            WINDOW card AS (PARTITION BY f.deployment_id, f.card_id ORDER BY t.timestamp)
        ),
        spells AS (
            SELECT *, count(*) FILTER (after_silence) OVER (
                PARTITION BY deployment_id, card_id ORDER BY timestamp
            ) AS spell FROM timed
        )
        SELECT deployment_id, min(timestamp), max(timestamp) FROM spells
        GROUP BY deployment_id, card_id, spell ORDER BY ALL
    """
    found: dict[str, list[tuple[datetime, datetime]]] = {}
    for deployment_id, first, last in connection.execute(sql, [longest_silence_days]).fetchall():
        found.setdefault(deployment_id, []).append((first, last))
    return found


def replace_effort(connection: duckdb.DuckDBPyConnection, effort: Columns) -> None:
    """Replace the daily effort of all locations."""
    connection.execute("DELETE FROM raw.effort")
    insert(connection, "raw.effort", effort)
