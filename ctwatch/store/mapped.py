"""What decides the deployment of every photograph that is in, and its deployment set anew."""

from dataclasses import dataclass
from datetime import datetime

import duckdb

from ctwatch.store.rows import registered


@dataclass(frozen=True, slots=True)
class MappedFile:
    """A photograph with all that decides its deployment."""

    key: tuple[str, str]
    """(card_id, file_path)"""
    inbox_name: str
    folders: list[str]
    serial: str | None
    taken: datetime | None
    """As the camera wrote it."""
    trusted: bool


def files(connection: duckdb.DuckDBPyConnection) -> list[MappedFile]:
    """Return every photograph of every card, for mapping them to deployments again."""
    sql = """
        SELECT f.card_id, f.file_path, parse_filename(c.inbox, false, 'forward_slash'), c.card_name,
               c.card_path = c.inbox, m.camera_serial,
               m.timestamp, m.timestamp_trusted
        FROM raw.card_file f JOIN raw.card c USING (card_id) JOIN raw.media m USING (media_id)
        ORDER BY c.processed_at, f.file_path
    """
    found = []
    for card_id, path, inbox, card_name, loose, serial, taken, trusted in connection.execute(sql).fetchall():
        inside = path.split("/")[:-1]
        folders = inside if loose else [card_name, *inside]
        found.append(MappedFile((card_id, path), inbox, folders, serial, taken, trusted))
    return found


def remap(connection: duckdb.DuckDBPyConnection, deployment_of: dict[tuple[str, str], str]) -> None:
    """Set the deployment of files given by (card_id, file_path)."""
    columns = {
        "card_id": [card_id for card_id, _ in deployment_of],
        "file_path": [path for _, path in deployment_of],
        "deployment_id": list(deployment_of.values()),
    }
    if deployment_of:
        with registered(connection, columns, "remapped"):
            connection.execute(
                "UPDATE raw.card_file SET deployment_id = r.deployment_id FROM remapped r"
                " WHERE raw.card_file.card_id = r.card_id AND raw.card_file.file_path = r.file_path"
            )
