"""Timelapse: a template for its data fields, and a CSV of our answers to import and review."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ctwatch.domain import BLANK
from ctwatch.export import frames
from ctwatch.export.files import Cell, write_bytes, write_csv
from ctwatch.export.frames import ANIMAL, HUMAN, UNCLASSIFIED, UNKNOWN, VEHICLE, Levels, by_human, label, probability
from ctwatch.export.written import Written, counted
from ctwatch.names import spreadsheet_safe
from ctwatch.survey import ObservationColumns, Publication, Survey

CSV_NAME = "timelapse.csv"
WITHOUT_TIME_NAME = "timelapse_without_time.csv"
TEMPLATE_NAME = "TimelapseTemplate.tdb"
SEPARATOR = "|"
"""Between several labels of one photograph, and between their counts."""
_OTHERS = (BLANK, HUMAN, VEHICLE, ANIMAL, UNKNOWN)
"""Choices beside the species, whatever the survey holds."""
_CONTROL_SCHEMA = (
    "Id INTEGER PRIMARY KEY AUTOINCREMENT, ControlOrder INTEGER, SpreadsheetOrder INTEGER, {level}Type TEXT, DefaultValue TEXT,"
    " Label TEXT, DataLabel TEXT, Tooltip TEXT, Visible TEXT, List TEXT, ExportToCSV TEXT DEFAULT 'true'"
)
_VERSION = "2.3.3.0"
"""Timelapse writes its own here when it opens a template that says less."""
_OLDEST = "2.3.0.0"
"""From this version on templates open without an upgrade."""


@dataclass(frozen=True, slots=True)
class _Control:
    """A data field of the template."""

    name: str
    type: str
    tooltip: str
    width: int = 100
    default: str = ""
    visible: bool = True
    copyable: bool = False
    exported: bool = True


_STANDARD = (
    _Control("File", "File", "The file name"),
    _Control(
        "RelativePath",
        "RelativePath",
        "Path from the root folder containing the template and image data files to the file",
    ),
    _Control("DateTime", "DateTime", "Date and time taken (Time_ in 24 hour format)", 160, "2000-01-01 12:00:00"),
    _Control(
        "DeleteFlag",
        "DeleteFlag",
        "Mark a file as one to be deleted. You can then confirm deletion through the Edit Menu",
        20,
        "false",
        exported=False,
    ),
)
_OURS = (
    _Control("Species", "FixedChoice", "What is on the photograph; correct it, then tick Reviewed", 200, copyable=True),
    _Control("Count", "Note", "Individuals; for several species in their order, separated by |", 60, copyable=True),
    _Control("Reviewed", "Flag", "A person looked at it: what Species says is theirs", 20, "false"),
    _Control("ReviewedBy", "Note", "Who looked at it", 100, copyable=True),
    _Control("NeedsReview", "Flag", "The models ask for a person", 20, "false"),
    _Control("ReviewReason", "Note", "Why they ask", 150),
    _Control("Probability", "DecimalPositive", "Of what the models decided, 0 to 1; the lowest of several", 60),
    _Control("MachineSpecies", "Note", "What the models decided", 200),
    _Control("ObservationType", "Note", "animal, human, vehicle, blank, unknown or unclassified", 100, visible=False),
    _Control("EventID", "Note", "The event (episode) that the photograph is part of", 200),
    _Control("EventSpecies", "Note", "What was decided of the whole event", 200),
    _Control("EventReviewed", "Flag", "A person decided about the event", 20, "false"),
    _Control("Location", "Note", "The place", 100),
    _Control("Deployment", "Note", "The deployment", 150, visible=False),
    _Control("MediaID", "Note", "The photograph's id; leave it as it is", 200, visible=False),
)
HEADER = ("File", "RelativePath", "DateTime", *(control.name for control in _OURS))
"""Columns of the CSV; Timelapse imports no other than the DataLabels of its template."""


def write(folder: Path, survey: Survey, publication: Publication) -> Written:
    """Write `TimelapseTemplate.tdb` and `timelapse.csv`, by Timelapse's own rules (saulgreenberg/Timelapse 2.4, as read).

    Put the template into the folder that the cards lie in, open it in Timelapse, add the photographs, import the CSV.
    Rows are matched by RelativePath and File. Species are choices of the template; where several are on one photograph
    the choice is all of them, joined by `|`. The exported CSV, with Reviewed ticked, can be taken in again.
    """
    said: list[str] = []
    rows = frames.shown(survey, publication, said).tolist()
    paths = frames.frame_paths(survey.media, said)
    frames.strange_to_windows([paths[row] for row in rows], said)
    table = list(_rows(survey, rows, paths))
    timed = [row for row in table if row[2] is not None]
    untimed = [(*row[:2], *row[3:]) for row in table if row[2] is None]
    written = [folder / TEMPLATE_NAME, folder / CSV_NAME]
    write_bytes(written[0], _template(_choices(survey, table)))
    write_csv(written[1], HEADER, timed)
    without_time = folder / WITHOUT_TIME_NAME
    if untimed:
        write_csv(without_time, (*HEADER[:2], *HEADER[3:]), untimed)
        written.append(without_time)
        said.append(
            f"{counted(len(untimed), 'photograph')} without a time in {WITHOUT_TIME_NAME}: Timelapse imports no row with"
            " an empty DateTime, but takes a file without that column; import it too"
        )
    else:
        without_time.unlink(missing_ok=True)
    quoted = [paths[row] for row in rows if any(spreadsheet_safe(part) != part for part in _split(paths[row]))]
    if quoted:
        said.append(
            f"{counted(len(quoted), 'file')} with a name that a spreadsheet would run as a formula, such as {quoted[0]!r}:"
            " a quote stands before it in the CSV, and Timelapse does not find it"
        )
    several = sum(SEPARATOR in str(row[3]) for row in table)
    if several:
        said.append(
            f"{counted(several, 'photograph')} with several species, as a choice of their own joined by '{SEPARATOR}'"
        )
    said.append(
        f"{TEMPLATE_NAME} was written after Timelapse's source and not opened in Timelapse here; if it refuses it, make a"
        f" template with the columns of {CSV_NAME}"
    )
    return Written(tuple(written), tuple(said))


def choice(labels: Sequence[str]) -> str:
    """Return the cell, and choice of the template, for what is on one photograph.

    Marks that separate are taken out of labels, and what a spreadsheet would run has its quote in both places, or
    Timelapse would find no such choice and refuse the file.
    """
    plain = [" ".join(name.replace(SEPARATOR, "/").split()) for name in labels]
    return spreadsheet_safe(SEPARATOR.join(plain))


def _rows(survey: Survey, rows: Sequence[int], paths: Sequence[str]) -> Iterator[tuple[Cell, ...]]:
    media, observations = survey.media, survey.observations
    found = frames.levels(observations)
    times = frames.clock_texts(media.timestamp)
    places = {item.deployment.deployment_id: item.location.location_id for item in survey.deployments}
    for row in rows:
        name, relative = _split(paths[row])
        event_id, deployment_id = media.event_id[row], media.deployment_id[row]
        own, event, reviewed = _said(observations, found, media.media_id[row], event_id)
        asked = [number for number in (*own, *event) if observations.needs_review[number]]
        by_machine = [number for number in own if observations.classification_method[number] == "machine"]
        known = [p for number in by_machine if (p := probability(observations, number)) is not None]
        reasons = {part for number in asked for part in (observations.review_reason[number] or "").split(";") if part}
        yield (
            name,
            relative,
            times[row],
            choice(
                [label(observations, number) for number in own if observations.observation_type[number] != UNCLASSIFIED]
            ),
            _counts(observations, own),
            reviewed,
            SEPARATOR.join(sorted({observations.classified_by[number] or "" for number in own})) if reviewed else None,
            bool(asked),
            "; ".join(sorted(reasons)),
            round(min(known), 4) if known else None,
            choice([machine for number in own[:1] for machine in observations.machine_labels[number]]),
            SEPARATOR.join(sorted({observations.observation_type[number] for number in own})) or UNCLASSIFIED,
            event_id,
            choice(
                [
                    label(observations, number)
                    for number in event
                    if observations.observation_type[number] != UNCLASSIFIED
                ]
            ),
            by_human(observations, event),
            places.get(deployment_id, deployment_id),
            deployment_id,
            media.media_id[row],
        )


def _said(
    observations: ObservationColumns, found: Levels, media_id: str, event_id: str | None
) -> tuple[list[int], list[int], bool]:
    """Return the rows of the photograph and of its event, and whether a person spoke of the photograph itself.

    Only that may come back to us as a person's word about it.
    """
    event = found.of_event.get(event_id, []) if event_id is not None else []
    own = found.of_media.get(media_id, [])
    return own or event, event, by_human(observations, own)


def _counts(observations: ObservationColumns, own: Sequence[int]) -> str | None:
    counts = [observations.count[number] for number in own]
    if all(count is None for count in counts):
        return None
    return SEPARATOR.join("" if count is None else str(count) for count in counts)


def _split(path: str) -> tuple[str, str]:
    """Return the file name and the folder, which Timelapse writes with backslashes."""
    folder, _, name = path.rpartition("/")
    return name, folder.replace("/", "\\")


def _choices(survey: Survey, table: Sequence[tuple[Cell, ...]]) -> list[str]:
    """Return all choices: species first, those of the models too, then what is no species, then what goes together."""
    observations = survey.observations
    names = {name for name in observations.scientific_name if name}
    names |= {name for labels in (*observations.top_labels, *observations.machine_labels) for name in labels}
    single = {
        choice([name]) for name in names if name.lower() not in (*_OTHERS, UNCLASSIFIED, "person", "homo sapiens")
    }
    joined = {str(row[3]) for row in table if row[3]} - single - set(_OTHERS)
    return [*sorted(single), *_OTHERS, *sorted(joined)]


def _template(choices: Sequence[str]) -> bytes:
    """Return a template: an SQLite database with Timelapse's tables, the same bytes for the same choices."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("PRAGMA page_size = 4096")
        schema = _CONTROL_SCHEMA.format(level="")
        connection.execute(f"CREATE TABLE TemplateTable ({schema}, TXTBOXWIDTH TEXT, Copyable TEXT)")
        connection.execute(f"CREATE TABLE FolderDataTemplateTable ({_CONTROL_SCHEMA.format(level='Level INTEGER, ')})")
        connection.execute(
            "CREATE TABLE FolderDataInfo (Id INTEGER PRIMARY KEY AUTOINCREMENT, Level INTEGER, Guid TEXT, Alias TEXT)"
        )
        # The misspelling is Timelapse's.
        connection.execute(
            "CREATE TABLE TemplateInfo (VersionCompatabily TEXT DEFAULT '', BackwardsCompatibility TEXT DEFAULT '',"
            " Standard TEXT DEFAULT '')"
        )
        connection.execute("INSERT INTO TemplateInfo VALUES (?, ?, '')", (_VERSION, _OLDEST))
        connection.executemany(
            "INSERT INTO TemplateTable VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [_control(order, control, choices) for order, control in enumerate((*_STANDARD, *_OURS), 1)],
        )
        connection.commit()
        connection.execute("VACUUM")
        return connection.serialize()
    finally:
        connection.close()


def _control(order: int, control: _Control, choices: Sequence[str]) -> tuple[int | str, ...]:
    listed = {"IncludeEmptyChoice": True, "ChoiceListNonEmpty": list(choices)}
    return (
        order,
        order,
        order,
        control.type,
        control.default,
        "Delete?" if control.name == "DeleteFlag" else control.name,
        control.name,
        control.tooltip,
        _truth(control.visible),
        json.dumps(listed, ensure_ascii=False) if control.type == "FixedChoice" else "",
        _truth(control.exported),
        str(control.width),
        _truth(control.copyable),
    )


def _truth(value: bool) -> str:
    return "true" if value else "false"
