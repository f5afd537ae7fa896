"""Contents that no decoder survived, and the files of cards that are in, put right in place after a second reading."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb

from ctwatch.domain import Media, Quarantined
from ctwatch.names import on_disk, raw_bytes, storable
from ctwatch.store.cards import CardFile, add_media
from ctwatch.store.rows import insert, registered, select_for


@dataclass(frozen=True, slots=True)
class FailedCard:
    """A card that is in, with the files of it that could not be used."""

    card_id: str
    card_name: str
    root: str
    """Where it was read, as the file system knows it."""
    inbox: str
    archive: str | None
    """Where it was moved to."""
    files: tuple[str, ...]
    """Their paths on the card, as the file system knows them."""

    @property
    def loose(self) -> bool:
        """Whether it is the images that lie loose in an inbox."""
        return storable(self.root) == self.inbox


def quarantined(connection: duckdb.DuckDBPyConnection) -> list[Quarantined]:
    """Return all contents in quarantine, in the order in which they came there."""
    rows = connection.execute(
        "SELECT media_id, card_name, file_path, reason, detail FROM raw.quarantine ORDER BY quarantined_at, media_id"
    ).fetchall()
    return [Quarantined(*row) for row in rows]


def put_into_quarantine(connection: duckdb.DuckDBPyConnection, items: Sequence[Quarantined], now: datetime) -> None:
    """Put contents into quarantine, `now` UTC; of one that is in it already the first reason stays."""
    names = ("media_id", "card_name", "file_path", "reason", "detail")
    columns = {name: [getattr(item, name) for item in items] for name in names}
    insert(connection, "raw.quarantine", {**columns, "quarantined_at": [now] * len(items)}, known="skip")


def lift(connection: duckdb.DuckDBPyConnection, card_ids: Sequence[str] | None) -> int:
    """Take contents out of quarantine, those of some cards or with None all; returns how many."""
    if card_ids is None:
        return len(connection.execute("DELETE FROM raw.quarantine RETURNING media_id").fetchall())
    sql = """
        DELETE FROM raw.quarantine q WHERE
            media_id IN (SELECT media_id FROM raw.card_file WHERE list_contains($1, card_id))
            OR EXISTS (SELECT 1 FROM raw.card_file f JOIN raw.card c USING (card_id)
                       WHERE list_contains($1, f.card_id) AND c.card_name = q.card_name AND f.file_path = q.file_path)
        RETURNING media_id
    """
    return len(connection.execute(sql, [list(card_ids)]).fetchall())


def failed_cards(connection: duckdb.DuckDBPyConnection) -> list[FailedCard]:
    """Return every card that is in with the files of it that could not be used, in the order of their coming."""
    rows = connection.execute(
        "SELECT c.card_id, c.card_name, c.card_path, c.raw_path, c.inbox, c.archive_path, c.archive_raw_path,"
        " f.file_path, f.raw_path"
        " FROM raw.card c LEFT JOIN raw.card_file f ON f.card_id = c.card_id AND f.status = 'failed'"
        " ORDER BY c.processed_at, c.card_id, f.file_path"
    ).fetchall()
    found: dict[str, FailedCard] = {}
    files: dict[str, list[str]] = {}
    for card_id, name, path, raw, inbox, archive, archive_raw, file_path, raw_file in rows:
        moved = None if archive is None else on_disk(archive, archive_raw)
        found.setdefault(card_id, FailedCard(card_id, name, on_disk(path, raw), inbox, moved, ()))
        if file_path is not None:
            files.setdefault(card_id, []).append(on_disk(file_path, raw_file))
    return [
        FailedCard(card.card_id, card.card_name, card.root, card.inbox, card.archive, tuple(files.get(card_id, ())))
        for card_id, card in found.items()
    ]


def still_failed(connection: duckdb.DuckDBPyConnection, card_id: str) -> set[str]:
    """Return the paths, storable, of the files of a card that could not be used; none if the card was read anew."""
    rows = connection.execute(
        "SELECT file_path FROM raw.card_file WHERE card_id = ? AND status = 'failed'", [card_id]
    ).fetchall()
    return {row[0] for row in rows}


def counted_elsewhere(
    connection: duckdb.DuckDBPyConnection, media_ids: Sequence[str], card_id: str, but: Sequence[str]
) -> set[str]:
    """Return those of the media that some file counts for, leaving out the files `but` (storable) of one card."""
    rows = select_for(
        connection,
        "SELECT DISTINCT f.media_id FROM raw.card_file f JOIN keys USING (media_id)"
        " WHERE f.status IN ('media', 'failed') AND NOT (f.card_id = ? AND list_contains(?, f.file_path))",
        {"media_id": list(media_ids)},
        [card_id, list(but)],
    )
    return {row[0] for row in rows}


def put_media(connection: duckdb.DuckDBPyConnection, media: Sequence[Media]) -> None:
    """Append photographs; of known ones only whether their picture could be used is what is said now."""
    add_media(connection, media)
    told: dict[str, Sequence[str | None]] = {
        "media_id": [item.media_id for item in media],
        "failure": [None if item.failure is None else str(item.failure) for item in media],
        "failure_detail": [item.failure_detail and storable(item.failure_detail) for item in media],
    }
    if media:
        with registered(connection, told, "told"):
            connection.execute(
                "UPDATE raw.media SET failure = t.failure, failure_detail = t.failure_detail FROM told t"
                " WHERE raw.media.media_id = t.media_id AND raw.media.failure IS DISTINCT FROM t.failure"
            )


def put_right(
    connection: duckdb.DuckDBPyConnection, card_id: str, files: Sequence[CardFile], media: Sequence[Media]
) -> None:
    """Replace the rows of some files of a card that is in, and of photographs that count for them, and add it up anew."""
    put_media(connection, media)
    for item in files:
        connection.execute(
            "UPDATE raw.card_file SET file_size = ?, modified_ns = ?, status = ?, reason = ?, detail = ?, media_id = ?,"
            " deployment_id = ?, raw_path = ? WHERE card_id = ? AND file_path = ?",
            [
                item.file.size, item.file.mtime_ns, str(item.status), item.reason,
                item.detail and storable(item.detail), item.media_id, item.deployment_id and storable(item.deployment_id),
                raw_bytes(item.file.path), card_id, storable(item.file.path),
            ],
        )  # fmt: skip
    connection.execute(
        """
        UPDATE raw.card SET media = n.media, duplicates = n.duplicates, failed = n.failed, time_lapse = n.time_lapse,
                            without_time = n.without_time, bytes = n.bytes
        FROM (
            SELECT count(*) FILTER (f.status = 'media') AS media, count(*) FILTER (f.status = 'duplicate') AS duplicates,
                   count(*) FILTER (f.status = 'failed') AS failed,
                   count(*) FILTER (f.status IN ('media', 'failed') AND m.capture_method = 'timeLapse') AS time_lapse,
                   count(*) FILTER (f.status IN ('media', 'failed') AND NOT m.timestamp_trusted) AS without_time,
                   sum(f.file_size) AS bytes
            FROM raw.card_file f LEFT JOIN raw.media m USING (media_id) WHERE f.card_id = $1
        ) n WHERE raw.card.card_id = $1
        """,
        [card_id],
    )
