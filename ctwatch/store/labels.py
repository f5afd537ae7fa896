"""What people and other programs say of photographs: appended, never changed; and read again for deciding."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import duckdb

from ctwatch.domain import BLANK
from ctwatch.names import storable
from ctwatch.opinions import Said
from ctwatch.store.rows import insert, registered
from ctwatch.survey import Answer, Box, ImportedLabel, Scope

SEPARATOR = "|"


@dataclass(frozen=True, slots=True)
class Import:
    """One file of labels that was taken in."""

    import_id: str
    file_name: str
    dialect: str
    by_human: bool
    labels: int
    matched: int
    imported_at: datetime


def add_import(
    connection: duckdb.DuckDBPyConnection, what: Import, labels: Sequence[tuple[str, ImportedLabel]]
) -> list[str]:
    """Append the labels of one file, each with the photograph that it speaks of; returns the photographs that are new.

    What the same file said of a photograph before is not said again, nor what was the last word of the same person before,
    so that a table which is reviewed bit by bit can come in as often as one likes. A label without a time of its own, or
    with one that was still to come, counts as said when its file was first imported.
    """
    connection.execute(
        "INSERT INTO raw.import VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET matched = excluded.matched",
        [getattr(what, name) for name in Import.__dataclass_fields__],
    )
    known = {
        row[0]
        for table in ("human_label", "machine_label")
        for row in connection.execute(
            f"SELECT DISTINCT media_id FROM raw.{table} WHERE import_id = ?", [what.import_id]
        ).fetchall()
    }
    # What finds its photograph later was said when the file first came, and stays behind what was said since.
    [(first,)] = connection.execute(
        "SELECT imported_at FROM raw.import WHERE import_id = ?", [what.import_id]
    ).fetchall()
    what = replace(what, imported_at=first)
    new = _unsaid(connection, [(media_id, label) for media_id, label in labels if media_id not in known])
    _append_people(connection, what, [pair for pair in new if pair[1].by_human])
    _append_machines(connection, what, [pair for pair in new if not pair[1].by_human])
    return sorted({media_id for media_id, _ in new})


def _unsaid(
    connection: duckdb.DuckDBPyConnection, labels: Sequence[tuple[str, ImportedLabel]]
) -> list[tuple[str, ImportedLabel]]:
    """Return the labels without those of people that only repeat their last word."""
    sql = """
        SELECT media_id, labelled_by, coalesce(scope, 'media'), label, coalesce(counts, [count]) FROM raw.human_label
        SEMI JOIN wanted USING (media_id)
        QUALIFY row_number() OVER (
            PARTITION BY media_id, labelled_by, coalesce(scope, 'media') ORDER BY labelled_at DESC, rowid DESC
        ) = 1
    """
    people = {media_id for media_id, label in labels if label.by_human}
    if not people:
        return list(labels)
    with registered(connection, {"media_id": sorted(people)}, "wanted"):
        rows = connection.execute(sql).fetchall()
    last = {(media_id, by, scope): (label, counts) for media_id, by, scope, label, counts in rows}
    return [
        (media_id, label)
        for media_id, label in labels
        if not label.by_human
        or last.get((media_id, _author(label), str(label.scope)))
        != (_written(label), [answer.count for answer in label.answers])
    ]


def _written(label: ImportedLabel) -> str:
    return SEPARATOR.join(storable(answer.label) for answer in label.answers)


def _append_people(
    connection: duckdb.DuckDBPyConnection, what: Import, people: Sequence[tuple[str, ImportedLabel]]
) -> None:
    if not people:
        return
    insert(
        connection,
        "raw.human_label",
        {
            "media_id": [media_id for media_id, _ in people],
            "label": [_written(label) for _, label in people],
            "count": [label.answers[0].count if len(label.answers) == 1 else None for _, label in people],
            "counts": [[answer.count for answer in label.answers] for _, label in people],
            "labelled_by": _authors(people),
            "labelled_at": _times(what, people),
            "scope": [str(label.scope) for _, label in people],
            "import_id": [what.import_id] * len(people),
        },
    )


def _append_machines(
    connection: duckdb.DuckDBPyConnection, what: Import, machines: Sequence[tuple[str, ImportedLabel]]
) -> None:
    if not machines:
        return
    insert(
        connection,
        "raw.machine_label",
        {
            "media_id": [media_id for media_id, _ in machines],
            "labels": [[storable(answer.label) for answer in label.answers] for _, label in machines],
            "probabilities": [[answer.probability for answer in label.answers] for _, label in machines],
            "classified_by": _authors(machines),
            "classified_at": _times(what, machines),
            "scope": [str(label.scope) for _, label in machines],
            "import_id": [what.import_id] * len(machines),
        },
    )
    boxes = [(media_id, label, box) for media_id, label in machines for box in label.boxes]
    if not boxes:
        return
    insert(
        connection,
        "raw.machine_box",
        {
            "media_id": [media_id for media_id, _, _ in boxes],
            "label": [storable(box.label) for _, _, box in boxes],
            **{name: [float(getattr(box, name)) for _, _, box in boxes] for name in _BOX},
            "classified_by": _authors([(media_id, label) for media_id, label, _ in boxes]),
            "import_id": [what.import_id] * len(boxes),
        },
    )


def _authors(labels: Sequence[tuple[str, ImportedLabel]]) -> list[str | None]:
    return [_author(label) for _, label in labels]


def _author(label: ImportedLabel) -> str | None:
    return storable(label.classified_by) if label.classified_by else None


def _times(what: Import, labels: Sequence[tuple[str, ImportedLabel]]) -> list[datetime]:
    return [min(label.classified_at or what.imported_at, what.imported_at) for _, label in labels]


_BOX = tuple(name for name in Box.__dataclass_fields__ if name != "label")


def said_by_people(connection: duckdb.DuckDBPyConnection, first: int, last: int) -> list[Said]:
    """Return all that people said of the photographs at some places of `derived.in_order`, oldest first.

    Rows are counted from `first`, up to before `last`.
    """
    sql = """
        SELECT place - $1, h.label, coalesce(h.counts, [h.count]), h.labelled_by, h.labelled_at, coalesce(h.scope, 'media')
        FROM raw.human_label h JOIN place USING (media_id) WHERE place >= $1 AND place < $2
        ORDER BY h.labelled_at NULLS FIRST, coalesce(h.scope, 'media') DESC, h.rowid
    """
    said = []
    for row, text, counts, by, at, scope in connection.execute(sql, [first, last]).fetchall():
        labels = [label.strip() for label in (text or "").split(SEPARATOR)]
        padded = [*counts, *[None] * len(labels)]
        answers = tuple([_answer(label, count) for label, count in zip(labels, padded, strict=False) if label])
        if answers:
            said.append(Said(row, answers, by, at, Scope(scope)))
    return said


def said_by_imports(connection: duckdb.DuckDBPyConnection, first: int, last: int) -> list[Said]:
    """Return what imported models said of the photographs at some places of `derived.in_order`, oldest first.

    Rows are counted from `first`, up to before `last`.
    """
    sql = """
        SELECT place - $1, l.labels, l.probabilities, l.classified_by, l.classified_at, coalesce(l.scope, 'media')
        FROM raw.machine_label l JOIN place USING (media_id) LEFT JOIN raw.import i USING (import_id)
        WHERE place >= $1 AND place < $2 ORDER BY i.imported_at, l.rowid
    """
    return [
        Said(
            row,
            tuple([Answer(label, None, p) for label, p in zip(labels, probabilities, strict=True)]),
            by,
            at,
            Scope(scope),
        )
        for row, labels, probabilities, by, at, scope in connection.execute(sql, [first, last]).fetchall()
    ]


def _answer(label: str, count: int | None) -> Answer:
    """Return one answer of a person, who may have written it into the table by hand: blank in any case, and uncounted."""
    return Answer(BLANK) if label.lower() == BLANK else Answer(label, count)
