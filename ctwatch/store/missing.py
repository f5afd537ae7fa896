"""Media that lack predictions they should have, and where their bytes may still be found."""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from ctwatch.store.rows import select_for


@dataclass(frozen=True, slots=True)
class Missing:
    """One photograph that a model should look at."""

    media_id: str
    deployment_id: str


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a photograph's bytes were seen."""

    media_id: str
    card_path: str
    file_path: str
    file_size: int
    modified_ns: int


def missing(
    connection: duckdb.DuckDBPyConnection, empty_ids: Sequence[str], species_ids: Sequence[str]
) -> list[Missing]:
    """Return readable photographs without an opinion of every empty-filter model, or, where what they are part of is not
    blank, of every species model; in the order of deployment and time.
    """
    sql = """
        WITH seen AS (
            SELECT media_id, count(*) FILTER (list_contains($1, model_id)) AS by_empty,
                   count(*) FILTER (list_contains($2, model_id)) AS by_species
            FROM raw.prediction GROUP BY media_id
        ),
        lively AS (
            SELECT DISTINCT e.media_id FROM raw.event_media e JOIN raw.observation o USING (event_id)
            WHERE o.observation_level = 'event' AND o.observation_type <> 'blank'
            UNION
            SELECT media_id FROM raw.observation
            WHERE observation_level = 'media' AND event_id IS NULL AND observation_type <> 'blank'
        )
        SELECT m.media_id, f.deployment_id
        FROM raw.media m
        JOIN raw.card_file f ON f.media_id = m.media_id AND f.status = 'media'
        LEFT JOIN seen s ON s.media_id = m.media_id
        WHERE m.failure IS NULL AND (
            coalesce(s.by_empty, 0) < $3
            OR (coalesce(s.by_species, 0) < $4 AND m.media_id IN (SELECT media_id FROM lively))
        )
        ORDER BY f.deployment_id, m.timestamp, m.media_id
    """
    rows = connection.execute(sql, [list(empty_ids), list(species_ids), len(empty_ids), len(species_ids)]).fetchall()
    return [Missing(*row) for row in rows]


def whereabouts(connection: duckdb.DuckDBPyConnection, media_ids: Sequence[str]) -> list[Whereabouts]:
    """Return every place that the photographs were seen at, duplicates too, the latest card first."""
    sql = """
        SELECT f.media_id, c.card_path, f.file_path, f.raw_path, f.file_size, f.modified_ns
        FROM raw.card_file f JOIN keys USING (media_id) JOIN raw.card c USING (card_id)
        ORDER BY c.processed_at DESC, f.file_path
    """
    return [
        Whereabouts(media_id, card_path, path if raw is None else raw.decode("utf-8", "surrogateescape"), size, modified)
        for media_id, card_path, path, raw, size, modified in select_for(connection, sql, {"media_id": list(media_ids)})
    ]
