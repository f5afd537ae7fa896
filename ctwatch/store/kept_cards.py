"""Cards that are in, as receipts and the archive need them."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import duckdb

from ctwatch.names import on_disk, raw_bytes, storable
from ctwatch.store.cards import CardCounts
from ctwatch.store.rows import select_for


@dataclass(frozen=True, slots=True)
class KeptCard:
    """A card that is in: where it was read, where it lies now, and what became of its files."""

    card_id: str
    card_name: str
    root: str
    """Where it was read, as the file system knows it."""
    loose: bool
    """Images that lie loose in the inbox, which is `root` then."""
    archive: str | None
    """Where it was moved to, or is being moved to."""
    processed_at: datetime
    """UTC."""
    counts: CardCounts

    @property
    def inbox(self) -> str:
        """The folder that it was dropped into."""
        return self.root if self.loose else os.path.dirname(self.root)


@dataclass(frozen=True, slots=True)
class FailedFile:
    """One file of a card that could not be used."""

    card_id: str
    file_path: str
    reason: str
    detail: str | None


def kept_cards(connection: duckdb.DuckDBPyConnection) -> list[KeptCard]:
    """Return every card that is in, in the order of their coming."""
    counts = tuple(CardCounts.__dataclass_fields__)
    rows = connection.execute(
        "SELECT card_id, card_name, card_path, raw_path, card_path = inbox, archive_path, archive_raw_path, processed_at,"
        f" {', '.join(counts)} FROM raw.card ORDER BY processed_at, card_id"
    ).fetchall()
    return [
        KeptCard(
            card_id, name, on_disk(path, raw), loose, None if kept is None else on_disk(kept, kept_raw), processed_at,
            CardCounts(*numbers),
        )
        for card_id, name, path, raw, loose, kept, kept_raw, processed_at, *numbers in rows
    ]  # fmt: skip


def failed_files(connection: duckdb.DuckDBPyConnection, card_ids: Collection[str]) -> list[FailedFile]:
    """Return the files of some cards that could not be used, in the order of their paths.

    A duplicate of a content that could not be used is one of them.
    """
    rows = select_for(
        connection,
        "SELECT f.card_id, f.file_path, coalesce(m.failure, f.reason), coalesce(f.detail, m.failure_detail)"
        " FROM raw.card_file f JOIN keys USING (card_id) LEFT JOIN raw.media m USING (media_id)"
        " WHERE f.status = 'failed' OR (f.status = 'duplicate' AND m.failure IS NOT NULL) ORDER BY f.card_id, f.file_path",
        {"card_id": sorted(card_ids)},
    )
    return [FailedFile(*row) for row in rows]


def set_archive(connection: duckdb.DuckDBPyConnection, card_id: str, place: str | None, now: datetime) -> None:
    """Record where a card was moved to, `now` UTC; None: it lies where it was read after all."""
    values = [None, None, None] if place is None else [storable(place), raw_bytes(place), now]
    connection.execute(
        "UPDATE raw.card SET archive_path = ?, archive_raw_path = ?, archived_at = ? WHERE card_id = ?",
        [*values, card_id],
    )
