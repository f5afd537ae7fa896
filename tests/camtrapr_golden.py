"""Replay recorded camtrapR calls through our own functions and compare cell for cell.

`python -m tests.camtrapr_golden DIR` reads `DIR/manifest.json`: a list of calls, each with `id`, `fun`, `args`, `files`
(what camtrapR returned, as written by R's write.csv) and `error`. It prints how many calls agree, names those that differ
with the first cell that does, and those that our functions cannot express with the reason. Exit code 1 if any differs.

Numbers agree to 1e-4, seconds exactly, the other delta columns to 0.1. Rows are matched by name, for we sort ours by
location; columns by position and name. A call that camtrapR refused is expressed whatever we return or raise.
"""

import csv
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from ctwatch import exif, occupancy
from ctwatch.domain import Outage, TimestampSource

Table = list[dict[str, str]]
NAN = float("nan")
DAY = timedelta(days=1)
TOLERANCE = 1.0001e-4
ROUNDED = 0.1001
"""delta.time.mins, .hours and .days: R 3 and R 4 round halves in other ways."""


class DiffersError(Exception):
    """A cell that is not the same."""


class InexpressibleError(Exception):
    """An argument or a column that our functions do not have."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one call."""

    call_id: str
    outcome: str
    """agrees, refused (by camtrapR, expressed by us), differs or inexpressible."""
    detail: str = ""


# --- what R wrote ------------------------------------------------------------------------------------------------------


@cache
def cells(path: Path) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Header and rows of a CSV file."""
    with path.open(encoding="utf-8-sig", newline="") as handle:
        header, *rows = csv.reader(handle)
    return tuple(header), tuple(tuple(row) for row in rows)


def table(path: Path) -> Table:
    """Rows of a CSV file by column; R's column of row numbers is left out."""
    header, rows = cells(path)
    return [{name: cell for name, cell in zip(header, row, strict=True) if name} for row in rows]


def matrix(path: Path) -> tuple[tuple[str, ...], tuple[str, ...], NDArray[np.float64]]:
    """Row names, column names and values of a matrix written by R."""
    header, rows = cells(path)
    values = np.array([[number(cell) for cell in row[1:]] for row in rows], dtype=np.float64)
    return tuple(row[0] for row in rows), header[1:], values.reshape(len(rows), len(header) - 1)


def number(cell: str) -> float:
    """A number of R's, NaN for NA."""
    return NAN if cell in ("NA", "", "NaN") else float(cell)


def operation(path: Path) -> occupancy.Operation:
    """A camera operation matrix as cameraOperation wrote it."""
    rows, header, values = matrix(path)
    days, hours = [], set()
    for name in header:
        day, _, hour = name.partition("+")
        days.append(date.fromisoformat(day.removeprefix("X").replace(".", "-")))
        hours.add(int(hour.removesuffix("h") or 0))
    wide = np.full((len(rows), (max(days) - min(days)).days + 1), NAN)
    wide[:, [(day - min(days)).days for day in days]] = values
    places, sessions, cameras = [], [], []
    for name in rows:
        place, _, camera = name.partition("__CAM_")
        place, _, session = place.partition("__SESS_")
        places.append(place)
        sessions.append(session or None)
        cameras.append(camera or None)
    return occupancy.Operation(tuple(places), min(days), wide, tuple(cameras), tuple(sessions), hours.pop())


# --- dates and times ---------------------------------------------------------------------------------------------------

_PARTS = {
    "Y": r"(?P<Y>\d{4})", "y": r"(?P<y>\d{2})", "m": r"(?P<m>\d{1,2})", "d": r"(?P<d>\d{1,2})", "e": r"\s*(?P<d>\d{1,2})",
    "H": r"(?P<H>\d{1,2})", "M": r"(?P<M>\d{1,2})", "S": r"(?P<S>\d{1,2})(?:\.\d+)?", "b": r"(?P<b>[A-Za-z]+)",
    "B": r"(?P<b>[A-Za-z]+)", "I": r"(?P<H>\d{1,2})", "p": r"(?P<p>[AaPp][Mm])",
}  # fmt: skip
_WHOLE = {"F": "%Y-%m-%d", "T": "%H:%M:%S", "R": "%H:%M", "D": "%m/%d/%y", "OS": "%S"}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


@cache
def pattern(layout: str) -> re.Pattern[str]:
    """R's strptime format (with %), or lubridate's orders (without), as a regular expression."""
    if "%" in layout:
        for short, long in _WHOLE.items():
            layout = layout.replace("%" + short, long)
        text = re.sub(r"\s+", r"\\s*", re.escape(layout).replace(r"\ ", " "))
        return re.compile(r"\s*" + re.sub("%(.)", lambda found: _PARTS[found[1]], text))
    parts = [_PARTS["H" if part == "I" else part] for part in re.sub(r"[^YymdHMSbBIp]", "", layout.replace("T", ""))]
    parts = [r"(?P<y>\d{4}|\d{2})" if part in (_PARTS["Y"], _PARTS["y"]) else part for part in parts]
    return re.compile(r"\s*" + r"[^0-9A-Za-z]*[T]?[^0-9A-Za-z]*".join(parts) + r"\s*Z?$")


def moment(text: str, layouts: str | Sequence[str]) -> datetime:
    """Read a date or a date-time in one of R's layouts; raises ValueError."""
    for layout in [layouts] if isinstance(layouts, str) else layouts:
        found = pattern(layout).match(text)
        if found is None:
            continue
        got = found.groupdict()
        year = int(got.get("Y") or got.get("y") or 0)
        if year < 100:
            year += 2000 if year < 69 else 1900
        month = _MONTHS.index(got["b"][:3].lower()) + 1 if got.get("b") else int(got["m"])
        hour = int(got.get("H") or 0)
        if got.get("p"):
            hour = hour % 12 + (12 if got["p"].lower() == "pm" else 0)
        return datetime(year, month, int(got["d"]), hour, int(got.get("M") or 0), int(got.get("S") or 0))
    raise ValueError(f"{text!r} is not {layouts!r}")


def guessed(texts: Iterable[str], layouts: str | Sequence[str] | None) -> list[datetime]:
    """Read dates in the layout given, or else in the first of the usual ones that reads them all."""
    texts = list(texts)
    tried = [layouts] if layouts else []
    for layout in [*tried, "ymd", "dmy", "mdy", "ymd HMS", "ymd HM", "dmy HMS", "dmy HM"]:
        try:
            return [moment(text, layout) for text in texts]
        except ValueError:
            continue
    raise ValueError(f"{texts[:1]} can be read in no usual layout")


@dataclass(frozen=True, slots=True)
class Zone:
    """A time zone as R counts in it: seconds pass however clocks are set."""

    name: str | None
    base: datetime
    """Times are told on the clock that is right at this local time."""

    def offset(self, local: datetime) -> timedelta:
        """How far local clocks are ahead of `base`'s at a local time."""
        if not self.name or self.name in ("UTC", "GMT"):
            return timedelta()
        place = ZoneInfo(self.name)
        ahead, base = local.replace(tzinfo=place).utcoffset(), self.base.replace(tzinfo=place).utcoffset()
        return (ahead or timedelta()) - (base or timedelta())

    def exists(self, local: datetime) -> bool:
        """Whether clocks ever show a local time; an hour is left out in spring."""
        if not self.name:
            return True
        place = ZoneInfo(self.name)
        return local.replace(tzinfo=place).astimezone(UTC).astimezone(place).replace(tzinfo=None) == local

    def steady(self, moments: Iterable[datetime]) -> NDArray[np.datetime64]:
        """Local times on `base`'s clock; NaT for those that do not exist."""
        told = [item - self.offset(item) if self.exists(item) else None for item in moments]
        return np.array(["NaT" if item is None else item for item in told], dtype="datetime64[us]")


# --- arguments ---------------------------------------------------------------------------------------------------------


def flag(arguments: Mapping[str, Any], name: str, default: bool = False) -> bool:
    """A logical of R's, however it was written down."""
    value = arguments.get(name, default)
    return value if isinstance(value, bool) else str(value).strip().upper() in ("TRUE", "T", "1")


def whole(arguments: Mapping[str, Any], name: str) -> int | None:
    """A number of R's as integer, None where it was not given."""
    value = arguments.get(name)
    return None if value in (None, "", "NULL", "NA") else round(float(value))


def listed(value: Any) -> list[str]:
    """One or several texts."""
    if value in (None, ""):
        return []
    return [str(item) for item in value] if isinstance(value, list | tuple) else [str(value)]


class Call:
    """A recorded call with the folder its paths are relative to."""

    def __init__(self, entry: Mapping[str, Any], folder: Path) -> None:
        self.call_id = str(entry.get("id", "?"))
        self.function = str(entry.get("fun", "?"))
        self.arguments: dict[str, Any] = {key: value for key, value in dict(entry.get("args") or {}).items()}
        self.refused = bool(entry.get("error"))
        self.folder = folder
        self._files = entry.get("files")

    def check(self, known: Iterable[str]) -> None:
        """Refuse arguments that nobody looks at."""
        unknown = set(self.arguments) - set(known)
        if unknown:
            raise InexpressibleError(f"argument {', '.join(sorted(unknown))}")

    def rows(self, name: str) -> Table:
        """A table given as a file, or as rows or columns in the manifest itself."""
        value = self.arguments.get(name)
        if isinstance(value, str):
            return table(self.folder / value)
        if isinstance(value, dict):
            texts = {column: [text(item) for item in listed_any(items)] for column, items in value.items()}
            return [dict(zip(texts, row, strict=True)) for row in zip(*texts.values(), strict=True)]
        if isinstance(value, list):
            return [{column: text(item) for column, item in row.items()} for row in value]
        raise InexpressibleError(f"{name} is neither a file nor a table")

    def files(self) -> dict[str, Path]:
        """What camtrapR returned, by name where the manifest names it, else by file name."""
        given = self._files
        if isinstance(given, str):
            given = [given]
        if isinstance(given, Mapping):
            pairs = [(str(key), name) for key, names in given.items() if names for name in listed(names)]
        else:
            pairs = [("", str(name)) for name in given or []]
        found: dict[str, Path] = {}
        for key, name in pairs:
            paths = sorted(self.folder.glob(name)) if "*" in name else [self.folder / name]
            if not paths:
                raise InexpressibleError(f"there is no {name}")
            for path in paths:
                found[key if key and len(paths) == 1 else path.stem] = path
        return found


def listed_any(items: Any) -> list[Any]:
    """A column of a table, also of one row."""
    return list(items) if isinstance(items, list | tuple) else [items]


def text(value: Any) -> str:
    """A cell as R's write.csv has it."""
    return "NA" if value is None else str(value)


# --- comparing ---------------------------------------------------------------------------------------------------------


def same_matrix(
    what: str, path: Path, rows: Sequence[str], columns: Sequence[str], values: NDArray[np.float64]
) -> None:
    """Raise DiffersError at the first cell that differs; rows are matched by name."""
    expected_rows, expected_columns, expected = matrix(path)
    if sorted(rows) != sorted(expected_rows):
        raise DiffersError(f"{what}: rows {list(rows)}, camtrapR has {list(expected_rows)}")
    if list(columns) != list(expected_columns):
        pairs = [(one, other) for one, other in zip_longest(columns, expected_columns) if one != other]
        raise DiffersError(f"{what}: column {pairs[0][0]!r}, camtrapR has {pairs[0][1]!r}")
    place = {name: row for row, name in enumerate(rows)}
    ours = values[[place[name] for name in expected_rows]] if expected_rows else values
    wrong = np.isnan(ours) != np.isnan(expected)
    wrong |= np.abs(np.nan_to_num(ours) - np.nan_to_num(expected)) > TOLERANCE
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        cell = f"{expected_rows[row]}, {expected_columns[column]}"
        raise DiffersError(f"{what} [{cell}]: {ours[row, column]:g}, camtrapR has {expected[row, column]:g}")


def same_name(path: Path, ours: str) -> None:
    """Compare the name of a file that camtrapR chose itself with what we take its rule to be, but for the date."""
    told = re.sub(r"\d{4}-\d{2}-\d{2}(?=\.csv$)", "DATE", path.name)
    if told.endswith("_DATE.csv") and told != ours:
        raise DiffersError(f"file name {ours!r}, camtrapR has {told!r}")


def same_cell(what: str, ours: Any, expected: str, tolerance: float = TOLERANCE) -> None:
    """Compare one value with a cell: as numbers where both are, else as text."""
    if isinstance(ours, float | int | np.number):
        wanted = number(expected)
        same = np.isnan(wanted) if np.isnan(ours) else abs(float(ours) - wanted) <= tolerance
    else:
        same = str(ours) == expected or (ours in ("", None) and expected in ("", "NA"))
    if not same:
        raise DiffersError(f"{what}: {ours}, camtrapR has {expected}")


# --- cameraOperation ---------------------------------------------------------------------------------------------------

_OUTPUT = {"writecsv", "outDir"}


def camera_operation(call: Call) -> None:
    """CTtable, *Col, hasProblems, byCamera, allCamsOn, camerasIndependent, dateFormat, occasionStartTime, writecsv."""
    call.check(
        {
            "CTtable", "stationCol", "cameraCol", "sessionCol", "setupCol", "retrievalCol", "hasProblems", "byCamera",
            "allCamsOn", "camerasIndependent", "dateFormat", "occasionStartTime", *_OUTPUT,
        }
    )  # fmt: skip
    worked = operated(call)
    for path in call.files().values():
        by = "by_camera" if flag(call.arguments, "byCamera") and call.arguments.get("cameraCol") else "by_station"
        session = "_by_session" if call.arguments.get("sessionCol") else ""
        problems = "with_problems_" if flag(call.arguments, "hasProblems") else ""
        same_name(path, f"CameraOperationMatrix_{by}{session}_{problems}DATE.csv")
        hour = f"+{worked.start_hour}h" if worked.start_hour else ""
        names = [f"{worked.first_day + column * DAY}{hour}" for column in range(worked.days.shape[1])]
        same_matrix("operation", path, occupancy.row_names(worked), names, worked.days)


def operated(call: Call) -> occupancy.Operation:
    """The operation matrix that a call of cameraOperation asks for."""
    arguments = call.arguments
    by_camera = bool(arguments.get("cameraCol")) and flag(arguments, "byCamera")
    return occupancy.camera_operation(
        periods(call),
        start_hour=whole(arguments, "occasionStartTime") or 0,
        by_camera=by_camera,
        all_cameras_on=bool(arguments.get("cameraCol")) and flag(arguments, "allCamsOn"),
        cameras_independent=flag(arguments, "camerasIndependent", True),
        camtrapr_compatible=True,
    )


def periods(call: Call, layout_name: str = "dateFormat") -> list[occupancy.CameraPeriod]:
    """The rows of a CTtable as camera periods."""
    arguments = call.arguments
    rows = call.rows("CTtable")
    layout = arguments.get(layout_name)
    setup, retrieval = arguments.get("setupCol") or "Setup_date", arguments.get("retrievalCol") or "Retrieval_date"
    ends = guessed([row[name] for row in rows for name in (setup, retrieval)], layout)
    is_date = "H" not in "".join(listed(layout)) if layout else all(item.time() == datetime.min.time() for item in ends)
    problems = sorted({name for name in (rows[0] if rows else {}) if re.search(r"Problem\d\Sfrom", name)})
    found = []
    for place, row in enumerate(rows):
        outages = []
        for name in problems if flag(arguments, "hasProblems") else ():
            until = name.replace("from", "to")
            if row[name] not in ("", "NA") and row[until] not in ("", "NA"):
                down, up = guessed([row[name], row[until]], layout)
                outages.append(Outage(down, up, is_date))
        camera, session = arguments.get("cameraCol"), arguments.get("sessionCol")
        found.append(
            occupancy.period(
                row[arguments.get("stationCol") or "Station"],
                ends[2 * place],
                ends[2 * place + 1],
                start_is_date=is_date,
                end_is_date=is_date,
                camera_id=row[camera] if camera else None,
                session=row[session] if session else None,
                outages=outages,
            )
        )
    return found


# --- detectionHistory --------------------------------------------------------------------------------------------------


def detection_history(call: Call) -> None:
    """Everything that detectionHistory takes, for one species or several."""
    arguments = call.arguments
    call.check(
        {
            "recordTable", "species", "camOp", "output", "stationCol", "speciesCol", "recordDateTimeCol",
            "recordDateTimeFormat", "occasionLength", "minActiveDaysPerOccasion", "maxNumberDays", "day1", "buffer",
            "includeEffort", "scaleEffort", "occasionStartTime", "datesAsOccasionNames", "timeZone",
            "unmarkedMultFrameInput", *_OUTPUT,
        }
    )  # fmt: skip
    worked = camop(call)
    least = arguments.get("minActiveDaysPerOccasion")
    scale = flag(arguments, "includeEffort", True) and flag(arguments, "scaleEffort")
    rules = occupancy.Rules(
        occasion_days=whole(arguments, "occasionLength") or 1,
        first_day=first_day(str(arguments.get("day1") or "survey")),
        buffer_days=whole(arguments, "buffer") or 0,
        minimum_active_days=None if least in (None, "") else float(least),
        maximum_days=whole(arguments, "maxNumberDays"),
        include_effort=flag(arguments, "includeEffort", True),
        count=(listed(arguments.get("output")) or ["binary"])[0].startswith("c"),
        camtrapr_compatible=True,
    )
    surveyed = occupancy.effort(worked, rules)
    wanted = listed(arguments.get("species"))
    found, counted = records_of(call, surveyed, rules, wanted)
    histories = {item.scientific_name: item for item in occupancy.detection_histories(found, counted, rules, wanted)}
    names = list(occupancy.occasion_names(surveyed, flag(arguments, "datesAsOccasionNames")))
    seasons = flag(arguments, "unmarkedMultFrameInput") and any(surveyed.sessions)
    center = spread = NAN
    effort = surveyed.camera_days
    if scale:
        effort, center, spread = occupancy.scaled(effort)
    for key, path in call.files().items():
        if "scaling" in key or "scaling" in path.name:
            same_name(path, file_name(call, worked, wanted[0], "effort_scaling_parameters", ""))
            _, (row,) = cells(path)
            same_cell("effort.scaled.center", center, row[-2])
            same_cell("effort.scaled.scale", spread, row[-1])
            continue
        is_effort = key == "effort" or re.search(r"__effort(__|\.csv)", path.name) is not None
        species = next((name for name in wanted if key in (name, f"detection_history.{name}")), None)
        species = species or next((name for name in wanted if name in path.stem), wanted[0])
        values = effort if is_effort else histories[species].y
        scaling = ("scaled_" if scale else "not_scaled_") if flag(arguments, "includeEffort", True) else ""
        with_effort = "with_effort__" if flag(arguments, "includeEffort", True) else "no_effort__"
        same_name(
            path,
            file_name(call, worked, species, "effort", scaling)
            if is_effort
            else file_name(call, worked, species, "detection_history", with_effort),
        )
        rows, header = surveyed.names, names
        if seasons:
            laid = occupancy.multi_season(surveyed, values)
            rows, header, values = laid.location_ids, names * len(laid.sessions), laid.values[0]
        same_matrix("effort" if is_effort else "history", path, rows, header, values)


def camop(call: Call) -> occupancy.Operation:
    """The operation matrix of a call: a file, or the arguments of cameraOperation."""
    value = call.arguments.get("camOp")
    if isinstance(value, str):
        return operation(call.folder / value)
    if isinstance(value, dict):
        return operated(Call({"args": value.get("args", value)}, call.folder))
    raise InexpressibleError("camOp is neither a file nor a call")


def first_day(day1: str) -> occupancy.FirstDay | date:
    """camtrapR's day1."""
    told = {"survey": occupancy.FirstDay.SURVEY, "station": occupancy.FirstDay.LOCATION}
    return told.get(day1.lower()) or date.fromisoformat(day1[:10])


def records_of(
    call: Call, surveyed: occupancy.Effort, rules: occupancy.Rules, wanted: Sequence[str]
) -> tuple[occupancy.Detections, occupancy.Effort]:
    """The records of the species asked for, and the effort table with its moments on the same clock."""
    arguments = call.arguments
    name = arguments.get("speciesCol") or "Species"
    rows = [row for row in call.rows("recordTable") if row[name] in wanted]
    told = [row[arguments.get("recordDateTimeCol") or "DateTimeOriginal"] for row in rows]
    moments = guessed(told, arguments.get("recordDateTimeFormat") or "ymd HMS")
    # A whole survey lies on one clock, unless clocks were set in it: R counts seconds from midnight before the buffer.
    before = timedelta(days=rules.buffer_days, hours=surveyed.start_hour)
    origins = [item - before for item in surveyed.origins.tolist()]
    base = min(origins, default=datetime(2000, 1, 1))
    zone = Zone(arguments.get("timeZone"), base)
    if any(
        zone.offset(item) or not zone.exists(item) for item in [*moments, *origins, *surveyed.surveyed[:, 0].tolist()]
    ):
        begun = surveyed.surveyed[:, 0].tolist()
        surveyed = replace(
            surveyed,
            origins=zone.steady(origins) + np.timedelta64(before, "us"),
            surveyed=np.column_stack(
                [
                    zone.steady([item - before for item in begun]) + np.timedelta64(before, "us"),
                    zone.steady([item - timedelta(microseconds=1) for item in surveyed.surveyed[:, 1].tolist()])
                    + np.timedelta64(1, "us"),
                ]
            ),
            opened=zone.steady(surveyed.opened.tolist()),
        )
    station = arguments.get("stationCol") or "Station"
    found = occupancy.detections([row[station] for row in rows], [row[name] for row in rows], zone.steady(moments))
    return found, surveyed


def file_name(call: Call, worked: occupancy.Operation, species: str, what: str, more: str) -> str:
    """The name that detectionHistory gives a file, with DATE for the day."""
    arguments = call.arguments
    most = whole(arguments, "maxNumberDays")
    day1 = str(arguments.get("day1") or "survey").lower()
    first = {"survey": "_first_day_from_survey", "station": "_first_day_by_station"}.get(day1, f"_first_day_{day1}")
    limit = "" if most is None else f"max{most}days_"
    return (
        f"{species}__{what}__{more}{whole(arguments, 'occasionLength')}_days_per_occasion_{limit}"
        f"_occasionStart{worked.start_hour}h_{first}__DATE.csv"
    )


# --- recordTable and filterRecordTable ---------------------------------------------------------------------------------


def filter_record_table(call: Call) -> None:
    """filterRecordTable: independence of the rows of a table."""
    arguments = call.arguments
    call.check(
        {
            "recordTable", "minDeltaTime", "deltaTimeComparedTo", "speciesCol", "stationCol", "cameraCol",
            "camerasIndependent", "recordDateTimeCol", "recordDateTimeFormat", "removeDuplicateRecords", "exclude",
            "timeZone", "eventSummaryColumn", "eventSummaryFunction", "quiet", *_OUTPUT,
        }
    )  # fmt: skip
    rows = call.rows("recordTable")
    column = arguments.get("recordDateTimeCol") or "DateTimeOriginal"
    moments = guessed([row[column] for row in rows], arguments.get("recordDateTimeFormat") or "ymd HMS")
    compare_records(call, rows, moments, column, "filter")


def record_table(call: Call) -> None:
    """recordTable: photographs below a folder, species from folders or tags."""
    call.check(
        {
            "inDir", "IDfrom", "cameraID", "camerasIndependent", "exclude", "minDeltaTime", "deltaTimeComparedTo",
            "timeZone", "stationCol", "metadataHierarchyDelimitor", "metadataSpeciesTag", "additionalMetadataTags",
            "removeDuplicateRecords", "returnFileNamesMissingTags", "eventSummaryColumn", "eventSummaryFunction", *_OUTPUT,
        }
    )  # fmt: skip
    rows = photographs(call)
    moments = [moment(row["DateTimeOriginal"], "%Y:%m:%d %H:%M:%S") for row in rows]
    compare_records(call, rows, moments, "DateTimeOriginal", "read")


def photographs(call: Call) -> Table:
    """A row for each photograph and species below the folder that `inDir` names."""
    arguments = call.arguments
    root = image_folder(call)
    delimiter = arguments.get("metadataHierarchyDelimitor") or "|"
    tag = arguments.get("metadataSpeciesTag")
    by_tag = str(arguments.get("IDfrom")) == "metadata"
    rows = []
    for path in sorted(root.rglob("*")):
        header = exif.read(path.read_bytes()) if path.suffix.lower() in (".jpg", ".jpeg") else None
        if header is None or path.name.startswith((".", "_")) or not path.relative_to(root).parts[1:]:
            continue
        parts = path.relative_to(root).parts[:-1]
        row = {
            arguments.get("stationCol") or "Station": parts[0],
            "Directory": "/".join(parts),
            "FileName": path.name,
            "DateTimeOriginal": header.times.get(TimestampSource.DATE_TIME_ORIGINAL, ""),
            "EXIF.Make": header.camera.make or "",
            "EXIF.Model": header.camera.model or "",
        }
        if not row["DateTimeOriginal"]:
            continue
        row |= {"Make": row["EXIF.Make"], "Model": row["EXIF.Model"]}
        subjects = re.search(r"<lr:hierarchicalSubject>(.*?)</lr:hierarchicalSubject>", header.xmp, re.DOTALL)
        tags = [
            item.split(delimiter) for item in re.findall(r"<rdf:li>(.*?)</rdf:li>", subjects[1] if subjects else "")
        ]
        row["HierarchicalSubject"] = ", ".join(delimiter.join(item) for item in tags)
        groups: dict[str, list[str]] = {}
        for group, *values in tags:
            if values:
                groups.setdefault(group.replace(" ", ""), []).append(values[0])
        row |= {f"metadata_{group}": "_&_".join(values) for group, values in groups.items()}
        if arguments.get("cameraID") == "filename":
            row["Camera"] = path.name.split("__")[1]
        elif arguments.get("cameraID") == "directory":
            row["Camera"] = parts[-1] if by_tag else parts[-2]
        species = groups.get(str(tag), []) if by_tag else [parts[-1]]
        rows += [{**row, "Species": name} for name in species]
    return rows


def image_folder(call: Call) -> Path:
    """The folder of photographs: below the manifest's, or among the cards beside it, by its name."""
    given = Path(str(call.arguments.get("inDir")))
    if (call.folder / given).is_dir():
        return call.folder / given
    beside = [folder / "cards" / "camtrapR_samples" for folder in call.folder.resolve().parents]
    shared = Path(__file__).resolve().parents[2] / "shared" / "data" / "cards" / "camtrapR_samples"
    for root in [*beside, shared]:
        for path in sorted(root.rglob(given.name)) if root.is_dir() else ():
            if path.is_dir():
                return path
    raise InexpressibleError(f"the photographs of {given} are not here")


def compare_records(call: Call, rows: Table, moments: list[datetime], time_column: str, how: str) -> None:
    """Filter rows for independence and compare every column of the result."""
    arguments = call.arguments
    station = arguments.get("stationCol") or "Station"
    species = arguments.get("speciesCol") or "Species"
    camera = arguments.get("cameraCol") or ("Camera" if arguments.get("cameraID") else None)
    independent = camera is not None and flag(arguments, "camerasIndependent")
    zone = Zone(arguments.get("timeZone"), min(moments, default=datetime(2000, 1, 1)))
    summaries = list(
        zip(listed(arguments.get("eventSummaryColumn")), listed(arguments.get("eventSummaryFunction")), strict=True)
    )
    summarise = {}
    for number_, (column, function) in enumerate(summaries):
        held = column if column in (rows[0] if rows else {}) else column.replace(":", ".")
        if rows and held in rows[0]:
            summarise[f"{number_} {column}"] = (column_values([row[held] for row in rows]), function)
    compared = arguments.get("deltaTimeComparedTo") or "lastRecord"
    result = occupancy.record_table(
        [row[station] for row in rows],
        [row[species] for row in rows],
        zone.steady(moments),
        camera_id=[row[camera] for row in rows] if camera else None,
        independence_min=int(float(arguments.get("minDeltaTime") or 0)),
        compared=occupancy.Compared(compared),
        cameras_independent=independent,
        exclude=listed(arguments.get("exclude")),
        remove_duplicates=flag(arguments, "removeDuplicateRecords", True),
        summarise=summarise,
        camtrapr_compatible=True,
    )
    since = occupancy.deltas(result)
    ours: list[dict[str, Any]] = []
    for place, at in enumerate(result.row.tolist()):
        row: dict[str, Any] = {name: rows[at][name] for name in rows[at] if not name.startswith("delta.time")}
        row[time_column] = f"{moments[at]:%Y-%m-%d %H:%M:%S}"
        row |= {"Date": f"{moments[at]:%Y-%m-%d}", "Time": f"{moments[at]:%H:%M:%S}"}
        row |= {f"delta.time.{name}": float(getattr(since, name)[place]) for name in ("secs", "mins", "hours", "days")}
        row["n_images"] = int(result.n_images[place])
        for name, values in result.summaries.items():
            row[re.sub(r"[^A-Za-z0-9._]", ".", name.split(" ", 1)[1])] = values[place]
        ours.append(row)
    key_columns = [station, species, *([camera] if camera and independent else []), time_column]
    for path in call.files().values():
        minutes = int(float(arguments.get("minDeltaTime") or 0))
        same_name(path, f"record_table_{minutes}min_deltaT_DATE.csv")
        same_records(path, ours, key_columns, rows, how)


def column_values(texts: Sequence[str]) -> NDArray[Any]:
    """A column as numbers if all are, else as text."""
    try:
        return np.array([number(item) for item in texts], dtype=np.float64)
    except ValueError:
        return np.array(["" if item == "NA" else item for item in texts], dtype=object)


def same_records(path: Path, ours: list[dict[str, Any]], key: Sequence[str], given: Table, how: str) -> None:
    """Compare record tables row by row in the order of place, species, camera, time and file."""
    expected = table(path)
    if len(ours) != len(expected):
        raise DiffersError(f"{len(ours)} records, camtrapR has {len(expected)}")

    def order(row: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(str(row.get(name, "")) for name in (*key, "n_images", "FileName"))

    for mine, theirs in zip(sorted(ours, key=order), sorted(expected, key=order), strict=True):
        where = " ".join(theirs.get(name, "?") for name in key)
        for name, wanted in theirs.items():
            if name not in mine:
                if wanted in ("", "NA"):
                    continue
                raise InexpressibleError(f"column {name}")
            value = mine[name]
            if name == "Directory":
                value = wanted if wanted == value or wanted.endswith("/" + value) else value
            elif name == "FileName" and value != wanted:
                # Of photographs of one second camtrapR keeps the one that the disk listed first.
                twins = [row for row in given if all(row[column] == mine_of(row, mine, column) for column in key[:-1])]
                value = wanted if any(row["FileName"] == wanted for row in twins) and how == "read" else value
            tolerance = 0.0 if name == "delta.time.secs" else ROUNDED if name.startswith("delta.time") else TOLERANCE
            same_cell(f"{name} of {where}", value, wanted, tolerance)


def mine_of(row: Mapping[str, str], mine: Mapping[str, Any], column: str) -> str:
    """The value that a twin must share."""
    return str(mine.get(column, row[column]))


# --- surveyReport ------------------------------------------------------------------------------------------------------


def survey_report(call: Call) -> None:
    """surveyReport: its five tables."""
    arguments = call.arguments
    call.check(
        {
            "recordTable", "CTtable", "camOp", "speciesCol", "stationCol", "cameraCol", "setupCol", "retrievalCol",
            "CTDateFormat", "CTHasProblems", "recordDateTimeCol", "recordDateTimeFormat", "Xcol", "Ycol", "sinkpath",
            "makezip",
        }
    )  # fmt: skip
    station, species = arguments.get("stationCol") or "Station", arguments.get("speciesCol") or "Species"
    rows = call.rows("recordTable")
    moments = guessed(
        [row[arguments.get("recordDateTimeCol") or "DateTimeOriginal"] for row in rows],
        arguments.get("recordDateTimeFormat") or "ymd HMS",
    )
    report = occupancy.survey_report(
        periods(call, "CTDateFormat"),
        camop(call),
        [row[station] for row in rows],
        [row[species] for row in rows],
        np.array(moments, dtype="datetime64[us]"),
        camtrapr_compatible=True,
    )
    dates = report.dates
    days = zip(
        dates.location_id, dates.setup, dates.retrieval, dates.first_record, dates.last_record, dates.n_cameras,
        dates.calendar_days, dates.calendar_days_active, dates.calendar_days_inactive, dates.trap_nights, strict=True,
    )  # fmt: skip
    tables: dict[str, tuple[Sequence[str], list[tuple[Any, ...]]]] = {
        "survey_dates": (
            (
                station, "setup", "retrieval", "image_first", "image_last", "n_cameras", "n_calendar_days_total",
                "n_calendar_days_active", "n_calendar_days_inactive", "n_trap_nights_active",
            ),
            list(days),
        ),
        "species_by_station": ((station, "n_species"), list(report.species_by_location())),
        "events_by_species": (("species", "n_events", "n_stations"), list(report.events_by_species())),
        "events_by_station": ((station, species, "n_events"), list(report.events_by_location())),
        "events_by_station2": ((station, species, "n_events"), list(report.events_by_location(with_zeros=True))),
    }  # fmt: skip
    for key, path in call.files().items():
        what = next((name for name in sorted(tables, key=len, reverse=True) if key.endswith(name)), None)
        if what is None:
            raise InexpressibleError(f"table {key}")
        header, ours = tables[what]
        expected = table(path)
        if len(ours) != len(expected):
            raise DiffersError(f"{what}: {len(ours)} rows, camtrapR has {len(expected)}")
        keys = 2 if what.startswith("events_by_station") else 1
        theirs = {tuple(row[name] for name in header[:keys]): row for row in expected}
        for line in ours:
            row = theirs.get(tuple(str(cell) for cell in line[:keys]))
            if row is None:
                raise DiffersError(f"{what}: camtrapR has no row {line[:keys]}")
            for name, value in zip(header[keys:], line[keys:], strict=True):
                if name in row:
                    same_cell(f"{what} [{line[0]}, {name}]", value, row[name])
            unknown = set(row) - set(header)
            if unknown:
                raise InexpressibleError(f"{what}: column {sorted(unknown)[0]}")


# --- all ---------------------------------------------------------------------------------------------------------------

FUNCTIONS: Mapping[str, Callable[[Call], None]] = {
    "cameraOperation": camera_operation,
    "detectionHistory": detection_history,
    "recordTable": record_table,
    "filterRecordTable": filter_record_table,
    "surveyReport": survey_report,
}


def verdict(entry: Mapping[str, Any], folder: Path) -> Verdict:
    """Replay one call."""
    call = Call(entry, folder)
    function = FUNCTIONS.get(call.function)
    if function is None:
        return Verdict(call.call_id, "inexpressible", f"function {call.function}")
    try:
        if not call.refused and not call.files():
            raise InexpressibleError("the manifest names no file to compare with")
        function(call)
        return Verdict(call.call_id, "refused" if call.refused else "agrees")
    except DiffersError as error:
        return Verdict(call.call_id, "refused" if call.refused else "differs", str(error))
    except InexpressibleError as error:
        return Verdict(call.call_id, "inexpressible", str(error))
    except (ValueError, LookupError, OSError, TypeError) as error:
        told = f"{type(error).__name__}: {error}"
        return Verdict(call.call_id, "refused" if call.refused else "inexpressible", told)


def replay(folder: Path) -> list[Verdict]:
    """Replay all calls of a manifest."""
    entries = json.loads((folder / "manifest.json").read_text("utf-8"))
    return [verdict(entry, folder) for entry in entries]


def main(arguments: Sequence[str]) -> int:
    """Print what became of the calls below a folder; 1 if any differs, 2 without a manifest."""
    if len(arguments) != 1 or not (Path(arguments[0]) / "manifest.json").is_file():
        sys.stderr.write("python -m tests.camtrapr_golden DIR, where DIR/manifest.json lists the calls\n")
        return 2
    verdicts = replay(Path(arguments[0]))
    for item in verdicts:
        if item.outcome in ("differs", "inexpressible"):
            sys.stdout.write(f"{item.outcome:14}{item.call_id}: {item.detail}\n")
    count = Counter(item.outcome for item in verdicts)
    sys.stdout.write(
        f"{len(verdicts)} calls: {count['agrees']} agree in every cell, {count['refused']} refused by camtrapR are expressed,"
        f" {count['differs']} differ, {count['inexpressible']} cannot be expressed\n"
    )
    return int(count["differs"] > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
