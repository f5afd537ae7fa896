"""What people said about photographs in ctwatch's own database: the table raw.human_label."""

from datetime import datetime
from pathlib import Path
from typing import Any

from ctwatch.errors import ConfigError
from ctwatch.store.database import open_file

from .annotation import Annotation, Labels
from .reading import SEPARATOR, amount, is_undecided, one_species, some

NEEDS = "ctwatch's own database (ctwatch.duckdb or its published copy reports.duckdb) with labels of people in it"
_MAGIC = b"DUCK"
_TABLES = """
    SELECT table_name FROM duckdb_tables() WHERE schema_name = 'raw' AND table_name IN ('migration', 'human_label')
"""
_COLUMNS = "SELECT column_name FROM duckdb_columns() WHERE schema_name = 'raw' AND table_name = 'human_label'"
_LABELS = """
    WITH latest AS (
        SELECT media_id, label, "count", labelled_by FROM raw.human_label WHERE {of_a_photograph}
        QUALIFY row_number() OVER (PARTITION BY media_id, labelled_by ORDER BY labelled_at DESC, rowid DESC) = 1
    ), place AS (
        SELECT f.media_id, c.card_name, c.card_path, c.raw_path AS card_raw, f.file_path, f.raw_path AS file_raw,
               f.deployment_id
        FROM raw.card_file f JOIN raw.card c USING (card_id)
        WHERE f.media_id IN (SELECT media_id FROM latest) AND c.card_path IS NOT NULL
        QUALIFY row_number() OVER (
            PARTITION BY f.media_id ORDER BY f.status = 'duplicate', c.processed_at, f.file_path
        ) = 1
    )
    SELECT p.card_name, p.card_path, p.card_raw, p.file_path, p.file_raw, d.location_id, e.event_id,
           CASE WHEN m.timestamp_trusted THEN m.timestamp END, l.label, l."count", l.labelled_by
    FROM latest l
    LEFT JOIN place p USING (media_id)
    LEFT JOIN raw.media m USING (media_id)
    LEFT JOIN raw.deployment d ON d.deployment_id = p.deployment_id
    LEFT JOIN (SELECT media_id, min(event_id) AS event_id FROM raw.event_media GROUP BY media_id) e USING (media_id)
    ORDER BY p.card_path, p.file_path, l.media_id, l.labelled_by
"""
_OF_A_PHOTOGRAPH = "coalesce(scope, 'media') = 'media' OR label = 'blank'"
"""An event's label does not say which of its photographs show the animal; that of a blank event speaks of each."""


def fits(path: Path) -> bool:
    """Whether a file is a DuckDB database, by its first bytes."""
    try:
        with path.open("rb") as file:
            return file.read(12)[8:] == _MAGIC
    except OSError:
        return False


def read(path: Path, source: str, images: Path | None) -> Labels:
    """Return the last label that each person gave to each photograph; several people are annotators.

    A photograph's path is the first one that the database knows it by; with `images` it is
    <images>/<card name>/<path on the card>. Several species in one label are separated by `|`.

    Raises:
        ConfigError: The database has no labels of people.
        StoreError: It cannot be opened, or somebody holds it open.
    """
    connection = open_file(path, read_only=True)
    try:
        connection.execute("SET enable_external_access = false")
        tables = {name for (name,) in connection.execute(_TABLES).fetchall()}
        if "migration" not in tables:
            raise ConfigError([f"{path}: is a DuckDB database, but not ctwatch's; the trainer reads {NEEDS}"])
        if "human_label" not in tables:
            raise ConfigError(
                [f"{path}: is of a ctwatch that kept no labels of people; let this one open it (`ctwatch status`)"]
            )
        columns = {name for (name,) in connection.execute(_COLUMNS).fetchall()}
        of_a_photograph = _OF_A_PHOTOGRAPH if "scope" in columns else "true"
        rows = connection.execute(_LABELS.format(of_a_photograph=of_a_photograph)).fetchall()
    finally:
        connection.close()
    if not rows:
        raise ConfigError([f"{path}: nobody has labelled a photograph in it yet; label some first"])
    return _labels(rows, source, images)


def _labels(rows: list[tuple[Any, ...]], source: str, images: Path | None) -> Labels:
    annotations = []
    nowhere = 0
    undecided: dict[str, int] = {}
    for card_name, card_path, card_raw, file_path, file_raw, location, event, taken, label, count, person in rows:
        if file_path is None:
            nowhere += 1
            continue
        names = [name.strip() for name in (label or "").split(SEPARATOR) if name.strip()]
        if not names or any(map(is_undecided, names)):
            undecided[label or "no label"] = undecided.get(label or "no label", 0) + 1
            continue
        card = _on_disk(card_path, card_raw) if images is None else images / card_name
        annotations += [
            Annotation(
                card / _on_disk(file_path, file_raw), species, location, event, _clock(taken), count or None, person
            )
            for species in dict.fromkeys(map(one_species, names))
        ]
    notes = []
    if nowhere:
        notes.append(f"{amount(nowhere, 'label')} left out of photographs that no card holds")
    if undecided:
        notes.append(
            f"{amount(sum(undecided.values()), 'label')} left out that nobody could decide ({some(undecided)})"
        )
    return Labels(source, "database", annotations, tuple(notes))


def _on_disk(text: str, raw: bytes | None) -> Path:
    """Return a path as the file system knows it, where its bytes are not UTF-8."""
    return Path(text if raw is None else raw.decode("utf-8", "surrogateescape"))


def _clock(taken: datetime | None) -> datetime | None:
    return None if taken is None else taken.replace(tzinfo=None)
