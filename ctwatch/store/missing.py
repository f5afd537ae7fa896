"""Media that lack predictions they should have, and where their bytes may still be found."""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from ctwatch.names import on_disk
from ctwatch.store.rows import select_for


@dataclass(frozen=True, slots=True)
class Missing:
    """One photograph that a model should look at."""

    media_id: str
    deployment_id: str
    by_empty: bool
    """The empty filter has not seen it; else only the species models have not."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a photograph's bytes were seen."""

    media_id: str
    card_path: str
    file_path: str
    file_size: int
    modified_ns: int


def missing(
    connection: duckdb.DuckDBPyConnection,
    empty_ids: Sequence[str],
    species_ids: Sequence[str],
    only: Sequence[str] | None = None,
) -> list[Missing]:
    """Return readable photographs that models should have seen and have not, in the order of deployment and time.

    Every photograph is for the empty filter; the whole of an event of which any frame is not blank is for the species
    models, and so is a time-lapse frame that is not blank. Without an empty filter every photograph is for the species
    models. `only` restricts it to some deployments, and the work to these.
    """
    sql = """
        WITH here AS (
            SELECT media_id, deployment_id FROM raw.card_file
            WHERE status = 'media' AND ($5 IS NULL OR list_contains($5, deployment_id))
        ),
        seen AS (
            SELECT media_id, count(*) FILTER (list_contains($1, model_id)) AS by_empty,
                   count(*) FILTER (list_contains($2, model_id)) AS by_species
            FROM raw.prediction SEMI JOIN here USING (media_id) GROUP BY media_id
        ),
        frame AS (
            SELECT media_id, event_id, observation_type NOT IN ('blank', 'unclassified') AS lively
            FROM raw.observation
            WHERE observation_level = 'media' AND ($5 IS NULL OR list_contains($5, deployment_id))
        ),
        wanted AS (
            SELECT f.media_id FROM frame f
            WHERE f.lively OR f.event_id IN (SELECT event_id FROM frame WHERE lively AND event_id IS NOT NULL)
        )
        SELECT m.media_id, f.deployment_id, coalesce(s.by_empty, 0) < $3
        FROM raw.media m
        JOIN here f ON f.media_id = m.media_id
        LEFT JOIN seen s ON s.media_id = m.media_id
        WHERE m.failure IS NULL AND (
            coalesce(s.by_empty, 0) < $3
            OR (coalesce(s.by_species, 0) < $4 AND ($3 = 0 OR m.media_id IN (SELECT media_id FROM wanted)))
        )
        ORDER BY f.deployment_id, m.timestamp, m.media_id
    """
    restricted = None if only is None else list(only)
    parameters = [list(empty_ids), list(species_ids), len(empty_ids), len(species_ids), restricted]
    rows = connection.execute(sql, parameters).fetchall()
    return [Missing(*row) for row in rows]


def whereabouts(connection: duckdb.DuckDBPyConnection, media_ids: Sequence[str]) -> list[Whereabouts]:
    """Return every place that the photographs were seen at, duplicates too, the latest card first.

    A card that was moved into the archive is there, and where it lay before for as long as that move was not finished.
    """
    sql = """
        SELECT f.media_id, c.card_path, c.raw_path, c.archive_path, c.archive_raw_path, f.file_path, f.raw_path, f.file_size,
               f.modified_ns
        FROM raw.card_file f JOIN keys USING (media_id) JOIN raw.card c USING (card_id)
        ORDER BY c.processed_at DESC, f.file_path
    """
    return [
        Whereabouts(media_id, on_disk(place, raw_place), on_disk(path, raw), size, modified)
        for media_id, card, raw_card, archive, raw_archive, path, raw, size, modified in select_for(
            connection, sql, {"media_id": list(media_ids)}
        )
        for place, raw_place in ((archive, raw_archive), (card, raw_card))
        if place is not None
    ]
