"""The deployments table: Camtrap DP's, camtrapR's, Wildlife Insights' or a list of folders -> checked deployments."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ctwatch.deployments import dates, dialects, fields
from ctwatch.deployments.cells import CONTROLS, Sheet, sheet
from ctwatch.deployments.fields import Row
from ctwatch.deployments.folders import telling
from ctwatch.domain import Deployment, DeploymentSource, Location
from ctwatch.errors import ConfigError

_LONGEST = timedelta(days=3653)
"""A deployment beyond ten years is a slip of the pen, and would make every table as long."""
_NOON = timedelta(hours=12)
_MOST_PROBLEMS = 50
_SAME_PLACE_M = 100.0
"""Metres within which two readings of a GPS receiver are one place."""
_METRES_PER_DEGREE = 111_195.0
_NUMBER = re.compile(r"[+-]?\d{1,9}(?:\.\d*)?(?:[eE]-?\d{1,3})?", re.ASCII)
_TWO_NUMBERS = re.compile(r"[+-]?\s*\d+:\d+", re.ASCII)
_NAMES = {"deploymentID", "locationID", "locationName", "folder"}
"""Where NA is a name, not R's word for nothing."""
_FIELDS = {
    "deploymentID", "locationID", "locationName", "latitude", "longitude", "deploymentStart", "deploymentEnd", "cameraID",
    "cameraModel", "folder", "session", "clockOffset", "clockOffsetEnd", "sign",
}  # fmt: skip
"""Columns with a place of their own; Camtrap DP's others are carried along."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of a deployments table: a deployment and the folder that it names, if it does."""

    deployment: Deployment
    folder: str | None


@dataclass(frozen=True, slots=True)
class DeploymentTable:
    """A checked deployments table."""

    rows: tuple[TableRow, ...] = ()
    locations: tuple[Location, ...] = ()
    covariates: tuple[str, ...] = ()
    """Columns that neither Camtrap DP nor ctwatch has a meaning for, with something in them, in the table's order."""
    notes: tuple[str, ...] = ()
    """What was understood and assumed, in sentences."""


def parse_table(text: str, name: str) -> DeploymentTable:
    """Read a deployments table: CSV with the columns of Camtrap DP 1.0.2, camtrapR, Wildlife Insights, or a folder list.

    Columns in any order, capitals and underscores as you like. Beside Camtrap DP's 24: `folder`, `session`,
    `outage1From`, `outage1To` ... (camtrapR: `Problem1_from` ...), and for a wrong clock one of `clockOffset`,
    `clockOffset` with `clockOffsetEnd`, or `referencePhoto` with `referenceTime` (and `referencePhoto2` ...). What else
    there is becomes a covariate. Rows without an id are named station[_camera][_session][_setup date].

    Raises ConfigError with every problem, each with file name, line, column and remedy.
    """
    cells, problems, notes = sheet(text, name)
    columns, dialect, wrong, noted = dialects.columns(cells.header, f"{name} line {cells.header_line}")
    problems += wrong
    if not any(column.name in _NAMES for column in columns):
        raise ConfigError(problems)
    notes = [f"{name}: read as {dialect.words}", *notes, *noted]
    rows = _rows(cells, columns, name, notes)
    order, told = _order(rows, name)
    notes += told
    for row in rows:
        _dates(row, order, problems)
    places = _Places()
    lines: list[tuple[int, TableRow]] = []
    for row, deployment_id in _identified(rows, dialect, problems):
        location = _location(row, deployment_id, problems)
        places.take(location, row, problems)
        points, references = fields.clock(row, order, problems)
        deployment = Deployment(
            deployment_id,
            location.location_id,
            DeploymentSource.TABLE,
            row.cells.get("cameraID"),
            row.cells.get("cameraModel"),
            row.start,
            row.end,
            row.start_is_date,
            row.end_is_date,
            session=row.cells.get("session"),
            outages=fields.outages(row, order, problems),
            clock=points,
            clock_references=references,
            columns=tuple(row.columns),
        )
        lines.append((row.line, TableRow(deployment, _folder(row, problems))))
    _overlaps(lines, name, problems, unnamed=not dialect.has_ids)
    if problems:
        problems.sort(key=lambda problem: _line_of(problem, name))
        more = [f"{name}: {len(problems) - _MOST_PROBLEMS} more problems"] if len(problems) > _MOST_PROBLEMS else []
        raise ConfigError(problems[:_MOST_PROBLEMS] + more)
    notes += _not_of_camtrap_dp([row for _, row in lines], name)
    notes += [f"{name}: {sentence}" for sentence in (*_offsets_of_two(rows), *places.notes())]
    if not lines:
        notes.append(f"{name}: no deployment, for there is no line below the header")
    found = dict.fromkeys(key for _, row in lines for key, _ in row.deployment.columns)
    covariates = tuple(key for key in found if key not in dialects.CAMTRAP_DP)
    return DeploymentTable(tuple(row for _, row in lines), tuple(places.known.values()), covariates, tuple(notes))


def _rows(cells: Sheet, columns: Sequence[dialects.Column], name: str, notes: list[str]) -> list[Row]:
    """Return the lines with their cells by meaning; what another column of Camtrap DP can say is said there too."""
    headers = {column.name: column.header for column in columns if column.name}
    own = {column.name for column in columns}
    rows = []
    nameless = 0
    for line, texts in cells.rows:
        row = Row(line, f"{name} line {line}", headers=headers)
        for column, text in zip(columns, texts, strict=True):
            if not text or (text == "NA" and column.name not in _NAMES):
                continue
            if column.series:
                row.series[column.series, column.number, column.part] = (column.header, text)
            elif column.name in _FIELDS:
                row.cells[str(column.name)] = text
            elif not column.header:
                nameless += 1
            else:
                row.columns.append((column.name or column.header, text))
                said = None if column.name else dialects.from_wildlife_insights(dialects.plain(column.header), text)
                if said and said[0] not in own:
                    row.columns.append(said)
        rows.append(row)
    if nameless:
        notes.append(f"{name}: {nameless} cells in a column without a name are left out")
    return rows


def _order(rows: Sequence[Row], name: str) -> tuple[dates.Order, list[str]]:
    """Find the order of day and month in the table's dates; say so where it mattered, and where a zone is dropped."""
    texts = [row.cells[key] for row in rows for key in ("deploymentStart", "deploymentEnd") if key in row.cells]
    texts += [
        text
        for row in rows
        for (series, _, part), (_, text) in row.series.items()
        if part in ("from", "to") or series == "referencetime"
    ]
    order = dates.order_of(texts)
    told = []
    if order.day_first is not None:
        first, second = ("day", "month") if order.day_first else ("month", "day")
        told.append(f"{name}: dates are read {first} first, then {second}, for some days are above 12")
    zoned = [text for text in texts if dates.has_zone(text)]
    if zoned:
        told.append(
            f"{name}: {len(zoned)} times have a zone, such as {zoned[0]!r}; it is dropped, they are taken as what the"
            " camera's clock showed"
        )
    return order, told


def _dates(row: Row, order: dates.Order, problems: list[str]) -> None:
    """Read when a row begins and ends."""
    begins, ends = row.header("deploymentStart"), row.header("deploymentEnd")
    if text := row.cells.get("deploymentStart"):
        row.start, row.start_is_date = row.time(begins, text, order, problems)
    if text := row.cells.get("deploymentEnd"):
        row.end, row.end_is_date = row.time(ends, text, order, problems)
    start, end = fields.window(row.start, row.end, end_is_date=row.end_is_date)
    if start and end and start >= end:
        problems.append(f"{row.place}: {ends} is not after {begins}; swap or correct them")
    elif start and end and end - start > _LONGEST:
        problems.append(f"{row.place}: {ends} is more than ten years after {begins}; correct the years")


def _identified(rows: Sequence[Row], dialect: dialects.Dialect, problems: list[str]) -> list[tuple[Row, str]]:
    """Return the rows that have an id of their own, or whose place, camera, session and date make one."""
    if dialect.has_ids:
        ids = [row.cells.get("deploymentID", "") for row in rows]
    elif dialect.is_folder_list:
        ids = ["_".join(telling(_parts(row.cells.get("folder", "")))) for row in rows]
    else:
        ids = [
            "_".join(part for part in (_place(row), row.cells.get("cameraID"), row.cells.get("session")) if part)
            if _place(row)
            else ""
            for row in rows
        ]
        counts = Counter(ids)
        for at, row in enumerate(rows):
            if counts[ids[at]] > 1 and ids[at] and row.start is not None:
                ids[at] += f"_{row.start:%Y-%m-%d}"
    column = "deploymentID" if dialect.has_ids else "folder" if dialect.is_folder_list else "locationID"
    lines: dict[str, int] = {}
    kept = []
    for row, deployment_id in zip(rows, ids, strict=True):
        header = row.header(column) if column in row.headers else row.header("locationName")
        if not deployment_id:
            what = "deployment a name of its own" if dialect.has_ids else "row one"
            problems.append(f"{row.place}: {header} is empty; give each {what}")
        elif deployment_id in lines:
            if dialect.has_ids:
                problem = f"{header} {deployment_id!r} is on line {lines[deployment_id]} already"
            else:
                problem = (
                    f"{deployment_id!r} is on line {lines[deployment_id]} already; tell the rows apart by"
                    " Camera, session or Setup_date, or give each a deploymentID"
                )
            problems.append(f"{row.place}: {problem}")
        else:
            lines[deployment_id] = row.line
            kept.append((row, deployment_id))
    return kept


def _place(row: Row) -> str:
    return row.cells.get("locationID") or row.cells.get("locationName") or ""


def _parts(folder: str) -> list[str]:
    return folder.replace("\\", "/").strip("/").split("/")


def _location(row: Row, deployment_id: str, problems: list[str]) -> Location:
    """Return a row's place, its coordinates checked; without a name of its own it is called after the deployment."""
    location_id = _place(row) or deployment_id
    problems += [
        f"{row.place}: {name!r} has two underscores in a row, which camtrapR separates by; write one"
        for name in (location_id, row.cells.get("cameraID", ""), row.cells.get("session", ""))
        if "__" in name
    ]
    problems += [
        f"{row.place}: {row.header(name)} {row.cells[name]!r} has a character that nobody sees; type it anew"
        for name in ("deploymentID", "locationID", "locationName", "cameraID", "session", "folder")
        if CONTROLS.search(row.cells.get(name, ""))
    ]
    if ("latitude" in row.cells) != ("longitude" in row.cells):
        problems.append(f"{row.place}: latitude and longitude go together; write both or none")
    return Location(
        location_id,
        row.cells.get("locationName"),
        _degrees(row, "latitude", 90, problems),
        _degrees(row, "longitude", 180, problems),
    )


def _degrees(row: Row, name: str, limit: int, problems: list[str]) -> float | None:
    text = row.cells.get(name)
    if text is None:
        return None
    value = float(text) if _NUMBER.fullmatch(text) else float("nan")
    if not -limit <= value <= limit:
        problems.append(f"{row.place}: {row.header(name)} {text!r} is not within -{limit} to {limit} decimal degrees")
        return None
    return value


@dataclass(slots=True)
class _Places:
    """The locations of a table, each as the first line that says something of it has it."""

    known: dict[str, Location] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    """The line that a location's coordinates are from."""
    nearby: list[float] = field(default_factory=list)
    """Distances in metres of other readings of the same place."""

    def take(self, location: Location, row: Row, problems: list[str]) -> None:
        """Take a row's location; what an earlier line left open is filled in, what it says otherwise is a problem."""
        name = location.location_id
        known = self.known.setdefault(name, location)
        if location.latitude is not None and location.longitude is not None:
            if known.latitude is None or known.longitude is None or name not in self.lines:
                known = replace(known, latitude=location.latitude, longitude=location.longitude)
                self.lines[name] = row.line
            elif away := _metres((known.latitude, known.longitude), (location.latitude, location.longitude)):
                if away <= _SAME_PLACE_M:
                    self.nearby.append(away)
                else:
                    far = f"{away / 1000:.1f} km" if away >= 1000 else f"{away:.0f} m"
                    header = row.header("locationID" if "locationID" in row.cells else "locationName")
                    problems.append(
                        f"{row.place}: {header} {name!r} has other latitude and longitude than on line"
                        f" {self.lines[name]}, {far} away; correct one, or give the place another {header}"
                    )
        if known.location_name is None:
            known = replace(known, location_name=location.location_name)
        self.known[name] = known

    def notes(self) -> list[str]:
        """Say what was assumed of places, and what looks like a slip."""
        told = []
        if self.nearby:
            told.append(
                f"{len(self.nearby)} rows have their place up to {max(self.nearby):.0f} m from where an earlier line of the"
                " same place has it; what comes first is taken"
            )
        spelt: dict[str, list[str]] = {}
        for name in self.known:
            spelt.setdefault(name.casefold(), []).append(name)
        told += [
            f"{' and '.join(map(repr, names))} differ in capitals only, and are different places"
            for names in spelt.values()
            if len(names) > 1
        ]
        nowhere = [name for name, place in self.known.items() if place.latitude == 0 and place.longitude == 0]
        if nowhere:
            told.append(f"latitude and longitude of {nowhere[0]!r} are 0, in the sea; leave empty what is not known")
        return told


def _metres(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Return how far two places are from each other, (latitude, longitude) in degrees; exact enough for near ones."""
    north = other[0] - one[0]
    east = (other[1] - one[1] + 180) % 360 - 180 if other[1] != one[1] else 0.0
    return math.hypot(north, east * math.cos(math.radians((one[0] + other[0]) / 2))) * _METRES_PER_DEGREE


def _offsets_of_two(rows: Sequence[Row]) -> list[str]:
    """Say how offsets like 5:00 are read, which could be minutes and seconds as well."""
    texts = [row.cells[name] for row in rows for name in ("clockOffset", "clockOffsetEnd") if name in row.cells]
    short = [text for text in texts if _TWO_NUMBERS.fullmatch(text)]
    return [f"{len(short)} clock offsets such as {short[0]!r} are read as hours and minutes"] if short else []


def _folder(row: Row, problems: list[str]) -> str | None:
    text = row.cells.get("folder")
    if text is None:
        return None
    named = "/".join(telling(_parts(text)))
    if not named:
        problems.append(f"{row.place}: folder {text!r} is one that cameras make themselves; name the card's folder")
    return named or None


def _overlaps(lines: Sequence[tuple[int, TableRow]], name: str, problems: list[str], *, unnamed: bool) -> None:
    """Find deployments of one camera at one place that overlap; cameras without a name are one if `unnamed`."""
    cameras: dict[tuple[str, str], list[tuple[datetime, datetime, int]]] = {}
    for line, row in lines:
        deployment = row.deployment
        start, end = deployment.deployment_start, deployment.deployment_end
        if start is None or end is None or not (deployment.camera_id or unnamed):
            continue
        # On the day of a change the camera belongs to both, as effort has it: dates without a time turn at noon.
        begin = start + (_NOON if deployment.start_is_date else timedelta(0))
        finish = end + (_NOON if deployment.end_is_date else timedelta(0))
        cameras.setdefault((deployment.location_id, deployment.camera_id or ""), []).append((begin, finish, line))
    for (location_id, camera_id), spells in cameras.items():
        spells.sort()
        latest = spells[0]
        for spell in spells[1:]:
            if spell[0] < latest[1]:
                camera = f"camera {camera_id!r} at {location_id!r}" if camera_id else f"the camera at {location_id!r}"
                first, second = sorted((latest[2], spell[2]))
                problems.append(
                    f"{name} line {second}: {camera} is deployed on line {first} at the same time; correct the dates, or"
                    " name the cameras"
                )
            latest = max(latest, spell, key=lambda item: item[1])


def _not_of_camtrap_dp(rows: Sequence[TableRow], name: str) -> list[str]:
    """Say which cells have a column of Camtrap DP but no value that it takes."""
    odd: dict[str, list[str]] = {}
    for row in rows:
        for key, text in row.deployment.columns:
            if key in dialects.CAMTRAP_DP and dialects.camtrap_dp_value(key, text) is None:
                odd.setdefault(key, []).append(text)
    return [
        f"{name}: {len(texts)} cells of {key}, such as {texts[0]!r}, are nothing that Camtrap DP takes there; they are kept,"
        " but left out of Camtrap DP files"
        for key, texts in odd.items()
    ]


def _line_of(problem: str, name: str) -> int:
    match = re.match(r" line (\d+):", problem.removeprefix(name))
    return int(match[1]) if match else 0
