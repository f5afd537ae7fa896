"""Station table, record table, camera operation and survey report, as camtrapR reads and writes them."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ctwatch.deployments.camtrapr import camera_names, station_table
from ctwatch.export.files import NOT_AVAILABLE, Cell, write_bytes, write_csv
from ctwatch.export.occupancy_readme import points
from ctwatch.export.occupancy_tables import texts
from ctwatch.export.written import Written, counted, listed
from ctwatch.names import spreadsheet_safe
from ctwatch.occupancy import (
    CameraPeriod,
    Compared,
    Operation,
    Records,
    SurveyReport,
    deltas,
    period,
    record_table,
    row_names,
    survey_report,
)
from ctwatch.survey import Survey
from ctwatch.survey_histories import operation_of

_MOST_PROBLEMS = 9
"""camtrapR looks for Problem1_from to Problem9_from (R/cameraOperation.R)."""


def write(
    folder: Path,
    survey: Survey,
    *,
    independence_min: float = 60,
    compared: Compared = Compared.LAST_INDEPENDENT,
    exclude: Sequence[str] = (),
    with_private: bool = False,
) -> Written:
    """Write `stations.csv`, `record_table.csv`, `camera_operation.csv`, five tables of a survey report and `README.txt`.

    Records are photographs with a species, a row for each species on them, in the cameras' corrected time; those of one
    station and species are `independence_min` minutes apart or more (camtrapR recordTable with minDeltaTime and
    deltaTimeComparedTo). Species of `exclude` are left out, whatever their capitals. Photographs of events with people count
    as any others do, but where they lie is not told unless `with_private`. Raises ValueError for a negative interval.
    """
    header, rows, sentences = station_table(survey.deployments)
    told = list(sentences)
    if f"Problem{_MOST_PROBLEMS + 1}_from" in header:
        told.append(
            f"camtrapR takes no more than {_MOST_PROBLEMS} problems of a station and does not see those after; use"
            " camera_operation.csv, which has them all"
        )
    worked = operation_of(survey.effort, survey.deployments)
    if assumed := int(survey.effort.assumed.sum()):
        places = [survey.effort.location_id[row] for row in np.flatnonzero(survey.effort.assumed).tolist()]
        told.append(
            f"{counted(assumed, 'day')} in camera_operation.csv at {listed(places)}: assumed to have been worked, from the"
            " first photograph to the last, for want of dates in the deployments table"
        )
    if doubled := {place for place in worked.location_ids if "__" in place} - {row[0] for row in rows}:
        told.append(
            f"camtrapR separates names by two underscores, which {listed(doubled)} has; write one in their place"
        )
    found = _Found(survey, told)
    records = record_table(
        found.location_id,
        found.scientific_name,
        found.times,
        camera_id=found.camera_id if found.cameras else None,
        independence_min=independence_min,
        compared=compared,
        exclude=exclude,
        summarise={"count": (found.count, "max")},
    )
    told += _left_out(records, worked)
    report = survey_report(
        _periods(survey), worked, records.location_id.tolist(), records.scientific_name.tolist(), records.times
    )
    folder.mkdir(parents=True, exist_ok=True)
    hidden = 0 if with_private else int(survey.media.private[[found.media[row] for row in records.row.tolist()]].sum())
    if hidden:
        told.append(f"{counted(hidden, 'record')} of events with people: Directory and FileName are left empty")
    paths = [folder / "stations.csv", folder / "record_table.csv", folder / "camera_operation.csv"]
    write_csv(paths[0], header, rows, missing=NOT_AVAILABLE)
    _write_records(paths[1], survey, found, records, with_private=with_private)
    write_bytes(paths[2], _as_r_writes(worked).encode("utf-8"))
    for name, columns, table in _report(report):
        paths.append(folder / name)
        write_csv(paths[-1], columns, table, missing=NOT_AVAILABLE)
    paths.append(folder / "README.txt")
    write_bytes(paths[-1], _readme(header, worked, records, independence_min, compared, told).encode("utf-8"))
    return Written(tuple(paths), tuple(told))


def _periods(survey: Survey) -> list[CameraPeriod]:
    """Return the camera periods of the deployments that have both dates."""
    return [
        period(
            deployment.location_id,
            deployment.deployment_start,
            deployment.deployment_end,
            start_is_date=deployment.start_is_date,
            end_is_date=deployment.end_is_date,
            camera_id=deployment.camera_id,
            session=deployment.session,
            outages=deployment.outages,
        )
        for deployment in (item.deployment for item in survey.deployments)
        if deployment.deployment_start is not None and deployment.deployment_end is not None
    ]


class _Found:
    """Photographs with a species, as columns; a photograph with two has two rows."""

    def __init__(self, survey: Survey, told: list[str]) -> None:
        seen = survey.observations
        of_media = np.array(seen.level, dtype=object) == "media"
        named = np.array([name is not None for name in seen.scientific_name], dtype=bool)
        animals = np.array(seen.observation_type, dtype=object) == "animal"
        if nameless := int((of_media & animals & ~named).sum()):
            told.append(f"{counted(nameless, 'photograph')} of animals without a name: in no record")
        self.rows = np.flatnonzero(of_media & named)
        place = {item.deployment.deployment_id: item.location.location_id for item in survey.deployments}
        media = {media_id: row for row, media_id in enumerate(survey.media.media_id)}
        cameras = camera_names(survey.deployments)
        rows = self.rows.tolist()
        deployments = [seen.deployment_id[row] for row in rows]
        self.cameras = bool(cameras)
        self.location_id = [place[name] for name in deployments]
        self.camera_id = [cameras.get(name) for name in deployments]
        self.scientific_name = [seen.scientific_name[row] for row in rows]
        self.times = seen.event_start[self.rows]
        self.count = np.array([np.nan if (n := seen.count[row]) is None else n for row in rows], dtype=np.float64)
        self.media = [media[seen.media_id[row] or ""] for row in rows]


def _left_out(records: Records, worked: Operation) -> list[str]:
    told = []
    for reason, sentence in (
        ("no time", "without a time to trust: in no record"),
        ("excluded", "of species that are left out on purpose"),
        ("duplicate", "of the same station, species and second as another: one record"),
    ):
        if number := records.dropped.get(reason, 0):
            told.append(f"{counted(number, 'photograph')} {sentence}")
    known = set(worked.location_ids)
    lost = [place for place in records.location_id.tolist() if place not in known]
    if lost:
        told.append(
            f"{counted(len(lost), 'record')} at stations without a row in camera_operation.csv ({listed(lost)}): camtrapR"
            " refuses them in detectionHistory; complete the deployments table"
        )
    return told


def _write_records(path: Path, survey: Survey, found: _Found, records: Records, *, with_private: bool) -> None:
    header = ["Station", "Species", "DateTimeOriginal", "Date", "Time"]
    header += [f"delta.time.{unit}" for unit in ("secs", "mins", "hours", "days")]
    header += ["Directory", "FileName", "n_images", "count", "count_max"]
    moments = np.datetime_as_string(records.times, unit="s").tolist()
    since = deltas(records)
    files = [
        _directory_and_name(survey, found.media[row])
        if with_private or not survey.media.private[found.media[row]]
        else (None, None)
        for row in records.row.tolist()
    ]
    columns: list[Sequence[Cell]] = [
        records.location_id.tolist(),
        records.scientific_name.tolist(),
        [moment.replace("T", " ") for moment in moments],
        [moment[:10] for moment in moments],
        [moment[11:] for moment in moments],
        *(column.tolist() for column in (since.secs, since.mins, since.hours, since.days)),
        [directory for directory, _ in files],
        [name for _, name in files],
        records.n_images.tolist(),
        found.count[records.row].tolist(),
        records.summaries["count_max"].tolist(),
    ]
    if records.camera_id is not None:
        header.insert(1, "Camera")
        columns.insert(1, records.camera_id.tolist())
    write_csv(path, header, zip(*columns, strict=True), missing=NOT_AVAILABLE)


def _directory_and_name(survey: Survey, row: int) -> tuple[str, str]:
    """Return where a photograph lay when its card was processed, or on the card, and its file name."""
    path = survey.media.source_path[row] or f"{survey.media.card_name[row]}/{survey.media.file_path[row]}"
    directory, _, name = path.rpartition("/")
    return directory or "/", name


def _as_r_writes(worked: Operation) -> str:
    """Return the matrix as R's write.csv does: all names in quotes, the first of the header empty, NA bare."""
    days = np.datetime64(worked.first_day, "D") + np.arange(worked.days.shape[1])
    head = ",".join(['""', *(f'"{day}"' for day in np.datetime_as_string(days).tolist())])
    lines = (
        ",".join([_in_quotes(name), *row])
        for name, row in zip(row_names(worked), texts(worked.days).tolist(), strict=True)
    )
    return "".join(f"{line}\n" for line in (head, *lines))


def _in_quotes(name: str) -> str:
    return '"' + spreadsheet_safe(name).replace('"', '""') + '"'


def _report(report: SurveyReport) -> Sequence[tuple[str, Sequence[str], Sequence[Sequence[Cell]]]]:
    """Return name, header and rows of each table (camtrapR surveyReport)."""
    dates = report.dates
    by_station: list[Sequence[Cell]] = [
        [place, *(None if day is None else day.isoformat() for day in days), *numbers]
        for place, days, numbers in zip(
            dates.location_id,
            zip(dates.setup, dates.retrieval, dates.first_record, dates.last_record, strict=True),
            zip(
                dates.n_cameras.tolist(),
                dates.calendar_days.tolist(),
                dates.calendar_days_active.tolist(),
                dates.calendar_days_inactive.tolist(),
                np.round(dates.trap_nights, 4).tolist(),
                strict=True,
            ),
            strict=True,
        )
    ]
    calendar = [f"n_calendar_days_{kind}" for kind in ("total", "active", "inactive")]
    first = [
        "Station",
        "setup",
        "retrieval",
        "image_first",
        "image_last",
        "n_cameras",
        *calendar,
        "n_trap_nights_active",
    ]
    events = ["Station", "Species", "n_events"]
    return (
        ("survey_dates.csv", first, by_station),
        ("species_by_station.csv", ["Station", "n_species"], report.species_by_location()),
        ("events_by_species.csv", ["species", "n_events", "n_stations"], report.events_by_species()),
        ("events_by_station.csv", events, report.events_by_location()),
        ("events_by_station2.csv", events, report.events_by_location(with_zeros=True)),
    )


def _readme(
    header: Sequence[str],
    worked: Operation,
    records: Records,
    independence_min: float,
    compared: Compared,
    told: Sequence[str],
) -> str:
    columns = ['stationCol = "Station"']
    if "session" in header:
        columns.append('sessionCol = "session"')
    if "Camera" in header:
        columns += ['cameraCol = "Camera"', "byCamera = FALSE", "allCamsOn = FALSE", "camerasIndependent = TRUE"]
    problems = "TRUE" if "Problem1_from" in header else "FALSE"
    ((species, _),) = Counter(records.scientific_name.tolist()).most_common(1) or (("species", 0),)
    quoted = " ".join(spreadsheet_safe(species).replace("\\", "\\\\").replace('"', '\\"').split())
    said = "\n".join(points(told or ("Nothing was left out or assumed.",)))
    return f"""\
Tables for camtrapR, written by ctwatch
=======================================

  stations.csv          stations with setup, retrieval and problems (CTtable)
  record_table.csv      independent records, {independence_min:g} minutes apart, compared with {compared} (recordTable)
  camera_operation.csv  camera-days of each station and day (cameraOperation)
  survey_dates.csv, species_by_station.csv, events_by_*.csv   (surveyReport)

All times are the cameras' own clocks, corrected but without a time zone: leave timeZone = "UTC". A zone with summer time
moves records to other days.

R
-

    library(camtrapR)
    stations <- read.csv("stations.csv")
    records <- read.csv("record_table.csv")
    operation <- as.matrix(read.csv("camera_operation.csv", row.names = 1, check.names = FALSE))
    # or: operation <- cameraOperation(stations, {", ".join(columns)},
    #       setupCol = "Setup_date", retrievalCol = "Retrieval_date", hasProblems = {problems}, dateFormat = "ymd HMS")
    detectionHistory(records, species = "{quoted}", camOp = operation, output = "binary", occasionLength = 7,
                     day1 = "survey", includeEffort = TRUE, scaleEffort = FALSE, timeZone = "UTC",
                     stationCol = "Station", speciesCol = "Species", recordDateTimeCol = "DateTimeOriginal")

What was left out or assumed
----------------------------

{said}
"""
