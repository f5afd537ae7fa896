"""Cards, their files, media, models and predictions: the rows that are kept, not derived."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from ctwatch.background import Miniature
from ctwatch.domain import CardSnapshot, Deployment, FileStat, FileStatus, Ignored, Location, Media, ModelInfo
from ctwatch.names import raw_bytes, storable
from ctwatch.store.rows import insert, select_for

DEPLOYMENTS_IN_USE = (
    "(SELECT DISTINCT deployment_id FROM raw.card_file"
    " WHERE deployment_id IS NOT NULL AND status IN ('media', 'failed'))"
)
"""Deployments that some file counts for; duplicates count for none."""
_DEPLOYMENT = (
    "deployment_id", "location_id", "camera_id", "camera_model", "deployment_start", "deployment_end",
    "start_is_date", "end_is_date", "source", "flag", "session",
)  # fmt: skip
_OF_A_DEPLOYMENT = ("deployment", "outage", "clock_point", "deployment_column")
_LATEST_NS = 2**63 - 1
"""The year 2262; file systems reach further."""


@dataclass(frozen=True, slots=True)
class CardFile:
    """One file of a card and what became of it."""

    file: FileStat
    status: FileStatus
    reason: str | None = None
    detail: str | None = None
    media_id: str | None = None
    deployment_id: str | None = None


@dataclass(frozen=True, slots=True)
class CardCounts:
    """What a card came to; `files_seen` = `media` + `duplicates` + `ignored` + `failed`."""

    files_seen: int
    media: int
    duplicates: int
    ignored: int
    failed: int
    videos: int
    time_lapse: int
    without_time: int
    bytes: int

    def __add__(self, other: "CardCounts") -> "CardCounts":
        """The counts of two parts of a card together."""
        names = CardCounts.__dataclass_fields__
        return CardCounts(*(getattr(self, name) + getattr(other, name) for name in names))


def card_is_in(connection: duckdb.DuckDBPyConnection, card_id: str) -> bool:
    """Whether a card in exactly this state is completely in."""
    rows = connection.execute("SELECT card_id FROM raw.card WHERE card_id = ?", [card_id]).fetchall()
    return bool(rows)


def card_counts(connection: duckdb.DuckDBPyConnection, card_id: str) -> CardCounts:
    """Return the counts of a card that is in."""
    names = ", ".join(CardCounts.__dataclass_fields__)
    row = connection.execute(f"SELECT {names} FROM raw.card WHERE card_id = ?", [card_id]).fetchall()[0]
    return CardCounts(*row)


def cards_in(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Return the ids of all cards that are completely in."""
    return {row[0] for row in connection.execute("SELECT card_id FROM raw.card").fetchall()}


def predicted_prefixes(connection: duckdb.DuckDBPyConnection, model_ids: Sequence[str]) -> NDArray[np.uint64]:
    """Return the first 64 bits, sorted, of the ids of all media that every given model has seen.

    Eight bytes a media instead of a hundred. The very few that would collide are only put off: what lacks a prediction
    is found and made up for after the commit.
    """
    if not model_ids:
        sql, parameters = "SELECT media_id FROM raw.media WHERE failure IS NULL", []
    else:
        sql = (
            "SELECT media_id FROM raw.prediction WHERE list_contains(?, model_id) GROUP BY media_id HAVING count(*) = ?"
        )
        parameters = [list(model_ids), len(model_ids)]
    query = f"SELECT CAST('0x' || left(media_id, 16) AS UBIGINT) AS prefix FROM ({sql}) ORDER BY prefix"
    return np.asarray(connection.execute(query, parameters).fetchnumpy()["prefix"], dtype=np.uint64)


def seen_elsewhere(connection: duckdb.DuckDBPyConnection, media_ids: Sequence[str], but: Sequence[str]) -> set[str]:
    """Return those of the media that another card brought first; cards in `but` do not count."""
    rows = select_for(
        connection,
        "SELECT DISTINCT f.media_id FROM raw.card_file f JOIN keys USING (media_id)"
        " WHERE f.status IN ('media', 'failed') AND NOT list_contains(?, f.card_id)",
        {"media_id": list(media_ids)},
        [list(but)],
    )
    return {row[0] for row in rows}


def superseded_by(
    connection: duckdb.DuckDBPyConnection,
    card_path: str,
    contents: Iterable[tuple[str, str]],
    paths: Iterable[str],
) -> list[str]:
    """Return earlier states of the same folder that the present one contains: the card grew, or a copy was mended.

    Every usable photograph must still be there under its name, and something under the name of every broken one; and
    with `paths`, the names of all files of the card, under the name of every other file too. A folder that was emptied and
    used for another card contains nothing of the earlier one and so is a card of its own.
    """
    rows = connection.execute(
        """
        SELECT c.card_id, f.file_path, f.media_id, f.status = 'failed' AND NOT EXISTS (
            SELECT 1 FROM raw.card_file other WHERE other.media_id = f.media_id AND other.card_id <> f.card_id)
        FROM raw.card c LEFT JOIN raw.card_file f USING (card_id) WHERE c.card_path = ?
        """,
        [storable(card_path)],
    ).fetchall()
    if not rows:
        return []
    now = {(storable(path), media_id) for path, media_id in contents}
    names = {path for path, _ in now} | {storable(path) for path in paths}
    earlier: dict[str, bool] = {}
    for card_id, path, media_id, broken in rows:
        if path is None:
            contained = True
        elif media_id is None:
            contained = path in names
        else:
            contained = (path, media_id) in now or (bool(broken) and path in names)
        earlier[card_id] = earlier.get(card_id, True) and contained
    return [card_id for card_id, contained in earlier.items() if contained]


def deployments_of(connection: duckdb.DuckDBPyConnection, card_ids: Sequence[str]) -> set[str]:
    """Return the deployments that files of these cards count for."""
    rows = connection.execute(
        "SELECT DISTINCT deployment_id FROM raw.card_file WHERE list_contains(?, card_id)"
        " AND status IN ('media', 'failed') AND deployment_id IS NOT NULL",
        [list(card_ids)],
    ).fetchall()
    return {row[0] for row in rows}


def deployments_with(connection: duckdb.DuckDBPyConnection, media_ids: Sequence[str]) -> list[str]:
    """Return the deployments that these photographs count for, sorted."""
    rows = select_for(
        connection,
        "SELECT DISTINCT f.deployment_id FROM raw.card_file f JOIN keys USING (media_id)"
        " WHERE f.status IN ('media', 'failed') AND f.deployment_id IS NOT NULL ORDER BY 1",
        {"media_id": list(media_ids)},
    )
    return [row[0] for row in rows]


def add_models(connection: duckdb.DuckDBPyConnection, models: Sequence[ModelInfo]) -> None:
    """Record models; those that are known are left as they are."""
    for model in models:
        connection.execute(
            "INSERT INTO raw.model VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            [model.model_id, model.name, str(model.task), model.architecture, list(model.labels), model.notes],
        )


def add_predictions(
    connection: duckdb.DuckDBPyConnection, rows: Sequence[tuple[str, str, NDArray[np.float32]]]
) -> None:
    """Append (media_id, model_id, probabilities); what is known stays."""
    insert(
        connection,
        "raw.prediction",
        {
            "media_id": [row[0] for row in rows],
            "model_id": [row[1] for row in rows],
            "probabilities": [row[2] for row in rows],
        },
        known="skip",
    )


def add_miniatures(connection: duckdb.DuckDBPyConnection, miniatures: Mapping[str, Miniature]) -> None:
    """Append the miniatures of photographs, by media id; what is known stays."""
    insert(
        connection,
        "raw.miniature",
        {
            "media_id": list(miniatures),
            "colour": np.array([small.colour for small in miniatures.values()], dtype=np.uint8),
            "pixels": [small.pixels.tobytes() for small in miniatures.values()],
        },
        known="skip",
    )


def add_media(connection: duckdb.DuckDBPyConnection, media: Sequence[Media]) -> None:
    """Append photographs; known ones stay as they are."""
    columns: dict[str, list[Any]] = {
        "media_id": [item.media_id for item in media],
        "file_size": [item.file_size for item in media],
        "file_mediatype": [item.file_mediatype for item in media],
        "width": [item.width for item in media],
        "height": [item.height for item in media],
        "timestamp": [item.timestamp.value for item in media],
        "timestamp_source": [_text(item.timestamp.source) for item in media],
        "timestamp_trusted": [item.timestamp.trusted for item in media],
        "timestamp_issue": [_text(item.timestamp.issue) for item in media],
        "capture_method": [str(item.capture_method) for item in media],
        "trigger": [item.camera.trigger for item in media],
        "sequence_number": [item.camera.sequence_number for item in media],
        "sequence_total": [item.camera.sequence_total for item in media],
        "event_number": [item.camera.event_number for item in media],
        "camera_make": [_text(item.camera.make) for item in media],
        "camera_model": [_text(item.camera.model) for item in media],
        "camera_serial": [_text(item.camera.serial) for item in media],
        "user_label": [_text(item.camera.user_label) for item in media],
        "temperature_c": [item.camera.temperature_c for item in media],
        "failure": [_text(item.failure) for item in media],
        "failure_detail": [_text(item.failure_detail) for item in media],
    }
    insert(connection, "raw.media", columns, known="skip")


def put_deployments(connection: duckdb.DuckDBPyConnection, pairs: Sequence[tuple[Deployment, Location]]) -> None:
    """Add or replace deployments and their locations; a flag that an earlier card earned stays."""
    ids = [deployment.deployment_id for deployment, _ in pairs]
    flags = dict(
        connection.execute(
            "SELECT deployment_id, flag FROM raw.deployment WHERE list_contains(?, deployment_id)", [ids]
        ).fetchall()
    )
    deployments = [replace(item, flag=item.flag or flags.get(item.deployment_id)) for item, _ in pairs]
    locations = list({location.location_id: location for _, location in pairs}.values())
    places = [item.location_id for item in locations]
    for table in _OF_A_DEPLOYMENT:
        connection.execute(f"DELETE FROM raw.{table} WHERE list_contains(?, deployment_id)", [ids])
    connection.execute("DELETE FROM raw.location WHERE list_contains(?, location_id)", [places])
    for table, values, names in (
        ("deployment", deployments, _DEPLOYMENT),
        ("location", locations, tuple(Location.__dataclass_fields__)),
    ):
        insert(connection, f"raw.{table}", {name: [_text(getattr(item, name)) for item in values] for name in names})
    _put_field_sheet(connection, deployments)


def _put_field_sheet(connection: duckdb.DuckDBPyConnection, deployments: Sequence[Deployment]) -> None:
    """Put what the table says of deployments beside places and dates."""
    outages = [(item.deployment_id, outage) for item in deployments for outage in item.outages]
    points: list[tuple[str, str | None, datetime | None, datetime]] = [
        (item.deployment_id, None, point.recorded, point.actual) for item in deployments for point in item.clock
    ]
    points += [
        (item.deployment_id, storable(reference.file_name), None, reference.actual)
        for item in deployments
        for reference in item.clock_references
    ]
    further = [(item.deployment_id, name, value) for item in deployments for name, value in item.columns]
    rows_of: dict[str, tuple[tuple[str, ...], Sequence[tuple[Any, ...]]]] = {
        "outage": (
            ("deployment_id", "outage_start", "outage_end", "is_date", "note"),
            [(key, item.start, item.end, item.is_date, _text(item.note)) for key, item in outages],
        ),
        "clock_point": (("deployment_id", "file_name", "recorded", "actual"), points),
        "deployment_column": (("deployment_id", "name", "value"), further),
    }
    for table, (names, rows) in rows_of.items():
        insert(connection, f"raw.{table}", {name: [row[at] for row in rows] for at, name in enumerate(names)})


def put_table(connection: duckdb.DuckDBPyConnection, pairs: Sequence[tuple[Deployment, Location]]) -> None:
    """Add the deployments of the user's table that no file counts for; those that left the table go."""
    connection.execute(
        f"DELETE FROM raw.deployment WHERE source = 'deployments_table' AND deployment_id NOT IN {DEPLOYMENTS_IN_USE}"
    )
    for table in _OF_A_DEPLOYMENT[1:]:
        connection.execute(
            f"DELETE FROM raw.{table} WHERE deployment_id NOT IN (SELECT deployment_id FROM raw.deployment)"
        )
    there = {row[0] for row in connection.execute("SELECT deployment_id FROM raw.deployment").fetchall()}
    put_deployments(connection, [pair for pair in pairs if pair[0].deployment_id not in there])


def forget_deployments(connection: duckdb.DuckDBPyConnection) -> None:
    """Remove all deployments and locations, to be put anew with every file."""
    for table in (*_OF_A_DEPLOYMENT, "location"):
        connection.execute(f"DELETE FROM raw.{table}")


def remove_cards(connection: duckdb.DuckDBPyConnection, card_ids: Sequence[str]) -> None:
    """Remove cards and their files, in whose place the same folder's present state is put."""
    for table in ("card_file", "card"):
        connection.execute(f"DELETE FROM raw.{table} WHERE list_contains(?, card_id)", [list(card_ids)])


def add_files(connection: duckdb.DuckDBPyConnection, card_id: str, files: Sequence[CardFile]) -> None:
    """Append files of a card."""
    insert(
        connection,
        "raw.card_file",
        {
            "card_id": [card_id] * len(files),
            "file_path": [storable(item.file.path) for item in files],
            "raw_path": [raw_bytes(item.file.path) for item in files],
            "file_size": [item.file.size for item in files],
            "modified_ns": [max(-_LATEST_NS, min(item.file.mtime_ns, _LATEST_NS)) for item in files],
            "status": [str(item.status) for item in files],
            "reason": [_text(item.reason) for item in files],
            "detail": [_text(item.detail) for item in files],
            "media_id": [item.media_id for item in files],
            "deployment_id": [_text(item.deployment_id) for item in files],
        },
    )


def put_card(
    connection: duckdb.DuckDBPyConnection,
    card_id: str,
    snapshot: CardSnapshot,
    counts: CardCounts,
    *,
    processed_at: datetime,
) -> None:
    """Put in a card whose files are in."""
    names = {name: [getattr(counts, name)] for name in CardCounts.__dataclass_fields__}
    whole: dict[str, list[Any]] = {
        "card_id": [card_id],
        "card_path": [storable(snapshot.root)],
        "raw_path": [raw_bytes(snapshot.root)],
        "card_name": [storable(snapshot.name)],
        "inbox": [storable(snapshot.inbox)],
        "processed_at": [processed_at],
    }
    insert(connection, "raw.card", {**whole, **names})


def count(files: Sequence[CardFile], media: Sequence[Media]) -> CardCounts:
    """Add up a card's files; `media` are the photographs that are new with this card."""
    status = [item.status for item in files]
    return CardCounts(
        files_seen=len(files),
        media=status.count(FileStatus.MEDIA),
        duplicates=status.count(FileStatus.DUPLICATE),
        ignored=status.count(FileStatus.IGNORED),
        failed=status.count(FileStatus.FAILED),
        videos=sum(item.reason == Ignored.VIDEO for item in files),
        time_lapse=sum(item.capture_method == "timeLapse" for item in media),
        without_time=sum(not item.timestamp.trusted for item in media),
        bytes=sum(item.file.size for item in files),
    )


def _text(value: Any) -> Any:
    """Make text storable (an enum its value, undecodable bytes escapes); leave the rest."""
    return storable(str(value)) if isinstance(value, str) else value
