"""Which deployment and location a file belongs to: the deployments table, else the folder's name, never a guess in silence."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ctwatch.domain import Deployment, DeploymentSource, Location
from ctwatch.errors import ConfigError
from ctwatch.names import storable
from ctwatch.timeline import parse as parse_time

_DATE = r"(?:\d{8}|\d{4}[-_.]\d{2}[-_.]\d{2}|\d{1,2}-[A-Za-z]{3}-\d{4})"
DEFAULT_PATTERN = (
    r"(?P<location>[^_/]+)"
    rf"(?:[_/](?P<camera>(?!{_DATE}(?!\d))[^_/]+))?"
    rf"(?:[_/](?P<date>{_DATE}(?:(?:_to_|[-_]{{1,2}}){_DATE})?))?"
)
"""LOCATION[_CAMERA][_DATE[-DATE]] in one folder name or over two folder levels."""
_GENERIC = re.compile(r"(?i:dcim|misc|private|images?|photos?)|[1-9]\d\d[A-Z_][A-Z0-9_]{3,4}")
"""Folders that cameras make by themselves: DCIM, 100RECNX, 101RCNX, 100MEDIA, 100_BTCF, 100EK113 ..."""
_DATE_ONLY = re.compile(r"\d{4}-\d{1,2}-\d{1,2}", re.ASCII)
_DATE_TIME = re.compile(
    r"\d{4}-\d{1,2}-\d{1,2}[ T]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:\s?(?:Z|[+-]\d{2}:?\d{2}))?", re.ASCII
)
_YEARS = range(1990, 2101)
_LONGEST = timedelta(days=3653)
"""A deployment beyond ten years is a slip of the pen, and would make every table as long."""
_NAMELESS = "unnamed"


_POOLED = "folders below are not told apart ({}); drop them one by one, or name them in a deployments table"

UNASSIGNED = " unassigned"
"""Ends the name of the deployment that holds photographs which no row of the table, or several, can claim."""


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


@dataclass(frozen=True, slots=True)
class Mapping:
    """How files map to deployments: the table first, then the pattern for folder names."""

    table: DeploymentTable
    pattern: re.Pattern[str]


def is_generic(folder: str) -> bool:
    """Whether cameras make folders of this name, so that it can neither name nor split a deployment."""
    return _GENERIC.fullmatch(folder) is not None


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a folder pattern; raises ConfigError unless it is a regular expression with a group `location`."""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigError([f"deployments.folder_pattern is not a regular expression: {error}"]) from error
    if "location" not in compiled.groupindex:
        raise ConfigError(
            ["deployments.folder_pattern has no group (?P<location>...): add it around the location's name"]
        )
    return compiled


def assign(
    mapping: Mapping, *, inbox_name: str, folders: Sequence[str], serial: str | None, taken: datetime | None
) -> tuple[Deployment, Location]:
    """Map one file to its deployment and location.

    `folders` are the card's name and the folders below it, outermost first; `inbox_name` alone names the place where
    they are all a camera's own. `taken` chooses between deployments of one location. What was not certain is in the
    deployment's `flag`.
    """
    named = _telling(folders)
    flag = None
    if mapping.table.rows:
        rows, source = _candidates(mapping, named, serial)
        if rows:
            return _chosen(mapping, rows, source, taken)
        flag = "not in the deployments table"
    for levels in (named[:2], named[:1]):
        match = mapping.pattern.fullmatch("/".join(levels)) if levels else None
        groups = match.groupdict() if match else {}
        location_id = (groups.get("location") or "").strip()
        if location_id:
            parts = [location_id, groups.get("camera"), groups.get("date")]
            deployment_id = "_".join(part for part in parts if part)
            camera = groups.get("camera")
            if flag is None and taken is not None and not _folder_date_fits(groups.get("date"), taken):
                flag = f"the folder says {groups['date']}, photographs say {taken:%Y-%m-%d}; check the camera's clock"
            if flag is None and len(named) > len(levels):
                flag = _POOLED.format("/".join(named))
            return _from_name(deployment_id, location_id, DeploymentSource.PATTERN, flag, camera)
    if named:
        reason = flag or "folder name does not match the pattern; taken whole as the location"
        reason += f"; {_POOLED.format('/'.join(named))}" if len(named) > 1 else ""
        return _from_name(named[0], named[0], DeploymentSource.FOLDER, reason)
    place = next(iter(_telling([inbox_name])), storable(inbox_name).strip() or _NAMELESS)
    reason = "no folder names a location; named after the inbox"
    return _from_name(place, place, DeploymentSource.INBOX, f"{flag}; {reason}" if flag else reason)


def parse_table(text: str, name: str) -> DeploymentTable:
    """Read a deployments table: CSV with Camtrap DP's column names, in any order, `folder` as an extra.

    Raises ConfigError with every problem, each with file name, line, column and remedy.
    """
    problems: list[str] = []
    reader = _lines(text, name, problems)
    line, first = next(reader, (1, []))
    header = [_column(cell) for cell in first]
    if "deploymentid" not in header:
        problem = f"{name} line {line}: no column deploymentID; the first line must name the columns (Camtrap DP)"
        if len(header) == 1 and re.search(r"[;\t]", header[0]):
            problem += " and separate them by commas"
        raise ConfigError([*problems, problem])
    problems += [
        f"{name} line {line}: column {first[place].strip()} is there twice; leave one"
        for place, column in enumerate(header)
        if column and column in header[:place]
    ]
    rows: list[TableRow] = []
    locations: dict[str, Location] = {}
    lines: dict[str, int] = {}
    for line, cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > len(header):
            problems.append(
                f"{name} line {line}: {len(cells)} cells for {len(header)} columns; quote cells with commas"
            )
            continue
        row = dict(zip(header, (_composed(cell.strip()) for cell in cells), strict=False))
        place = f"{name} line {line}"
        deployment_id = row.get("deploymentid", "")
        if not deployment_id:
            problems.append(f"{place}: deploymentID is empty; give each deployment a name of its own")
            continue
        if deployment_id in lines:
            problems.append(f"{place}: deploymentID {deployment_id!r} is on line {lines[deployment_id]} already")
            continue
        lines[deployment_id] = line
        start, start_is_date = _time(row, "deploymentStart", place, problems)
        end, end_is_date = _time(row, "deploymentEnd", place, problems)
        if start and end and start >= (_next_day(end) if end_is_date else end):
            problems.append(f"{place}: deploymentEnd is not after deploymentStart; swap or correct them")
        elif start and end and end - start > _LONGEST:
            problems.append(f"{place}: deploymentEnd is more than ten years after deploymentStart; correct the years")
        location_id = row.get("locationid") or row.get("locationname") or deployment_id
        location = Location(
            location_id,
            row.get("locationname") or None,
            _degrees(row, "latitude", 90, place, problems),
            _degrees(row, "longitude", 180, place, problems),
        )
        if bool(row.get("latitude")) != bool(row.get("longitude")):
            problems.append(f"{place}: latitude and longitude go together; write both or none")
        _same_place(locations, location, place, problems)
        deployment = Deployment(
            deployment_id,
            location_id,
            DeploymentSource.TABLE,
            row.get("cameraid") or None,
            row.get("cameramodel") or None,
            start,
            end,
            start_is_date,
            end_is_date,
        )
        folder = row.get("folder", "").replace("\\", "/").strip("/")
        named = "/".join(_telling(folder.split("/")))
        if folder and not named:
            problems.append(f"{place}: folder {folder!r} is one that cameras make themselves; name the card's folder")
        rows.append(TableRow(deployment, named or None))
    if problems:
        raise ConfigError(problems)
    return DeploymentTable(tuple(rows), tuple(locations.values()))


def _telling(folders: Sequence[str]) -> list[str]:
    """Return the folders that people named, fit for the database: not a camera's own, nor anything below a DCIM."""
    names: list[str] = []
    for folder in folders:
        if folder.strip().lower() == "dcim":
            break
        name = _composed(storable(folder)).strip()
        if name and not is_generic(name):
            names.append(name)
    return names


def _composed(text: str) -> str:
    """Return text with accents as one character each, for macOS writes folder names with two."""
    return unicodedata.normalize("NFC", text)


def _lines(text: str, name: str, problems: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, cells) of a CSV; what no CSV reader can go on after is a problem."""
    reader = csv.reader(io.StringIO(text.lstrip("\ufeff"), newline=None), strict=True)
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        problems.append(f"{name} line {reader.line_num}: not CSV ({error}); check the quotes from here backwards")


def _same_place(locations: dict[str, Location], location: Location, place: str, problems: list[str]) -> None:
    """Take a location; what an earlier line left open is filled in, what it says otherwise is a problem."""
    known = locations.setdefault(location.location_id, location)
    if location.latitude is not None and location.longitude is not None:
        if known.latitude is None or known.longitude is None:
            known = replace(known, latitude=location.latitude, longitude=location.longitude)
        elif (known.latitude, known.longitude) != (location.latitude, location.longitude):
            problems.append(
                f"{place}: locationID {location.location_id!r} has other latitude and longitude than on an earlier"
                " line; correct one, or give the place another locationID"
            )
    if known.location_name is None:
        known = replace(known, location_name=location.location_name)
    locations[location.location_id] = known


def _candidates(mapping: Mapping, named: Sequence[str], serial: str | None) -> tuple[list[TableRow], DeploymentSource]:
    """Return the table's rows that the folders, else the camera's serial number, speak of."""
    rows = mapping.table.rows
    for depth in range(len(named), 0, -1):
        path = "/".join(named[:depth])
        by_folder = [row for row in rows if row.folder and row.folder.lower() == path.lower()]
        if by_folder:
            return by_folder, DeploymentSource.TABLE
    joined = {"_".join(named[:2]), "/".join(named[:2]), *named}
    by_id = [row for row in rows if row.deployment.deployment_id in joined]
    if by_id:
        return by_id, DeploymentSource.TABLE
    places = set(named)
    camera = None
    for levels in (named[:2], named[:1]):
        match = mapping.pattern.fullmatch("/".join(levels)) if levels else None
        if match and match["location"]:
            places.add(match["location"].strip())
            camera = match.groupdict().get("camera")
            break
    names = {location.location_id for location in mapping.table.locations if location.location_name in places}
    by_place = [row for row in rows if row.deployment.location_id in places | names]
    same_camera = [row for row in by_place if camera and row.deployment.camera_id == camera]
    if by_place:
        return same_camera or by_place, DeploymentSource.TABLE
    by_serial = [row for row in rows if serial and row.deployment.camera_id == serial]
    return by_serial, DeploymentSource.SERIAL


def _chosen(
    mapping: Mapping, rows: Sequence[TableRow], source: DeploymentSource, taken: datetime | None
) -> tuple[Deployment, Location]:
    """Choose by time between several rows; one row alone is it, whatever the clock says."""
    deployments = [row.deployment for row in rows]
    covering = [item for item in deployments if taken is not None and covers(item, taken)]
    if len(covering) > 1 and taken is not None:
        # The day of a card swap belongs to both; dates without a time turn at noon, as effort does.
        covering = [item for item in covering if _covers_by_noon(item, taken)] or covering
    if len(deployments) == 1 or len(covering) == 1:
        chosen = covering[0] if len(covering) == 1 else deployments[0]
        if source is not DeploymentSource.TABLE:
            chosen = replace(chosen, source=source)
        if taken is not None and not covering:
            chosen = replace(
                chosen, flag=f"photographs of {taken:%Y-%m-%d} lie outside its dates; correct these, or the clock"
            )
    else:
        places = {item.location_id for item in deployments}
        # A camera that moved was at one of them, nobody knows which: a place of its own, not a presence somewhere.
        location_id = places.pop() if len(places) == 1 else "unassigned"
        why = "several deployments cover" if covering else "no deployment covers"
        chosen = Deployment(
            f"{location_id}{UNASSIGNED}", location_id, source, flag=f"{why} the time of some photographs; split them"
        )
    known = (item for item in mapping.table.locations if item.location_id == chosen.location_id)
    return chosen, next(known, Location(chosen.location_id))


def of_table(table: DeploymentTable) -> list[tuple[Deployment, Location]]:
    """Return every deployment of a table with its location."""
    places = {location.location_id: location for location in table.locations}
    return [(row.deployment, places[row.deployment.location_id]) for row in table.rows]


def covers(deployment: Deployment, moment: datetime) -> bool:
    """Whether a moment lies within a deployment; a date without a time stands for its whole day."""
    start, end = deployment.deployment_start, deployment.deployment_end
    if end is not None and deployment.end_is_date:
        return (start is None or moment >= start) and moment < _next_day(end)
    return (start is None or moment >= start) and (end is None or moment <= end)


def _covers_by_noon(deployment: Deployment, moment: datetime) -> bool:
    start, end = deployment.deployment_start, deployment.deployment_end
    if start is not None and deployment.start_is_date:
        start += timedelta(hours=12)
    if end is not None and deployment.end_is_date:
        end += timedelta(hours=12)
    return (start is None or moment >= start) and (end is None or moment < end)


def _next_day(moment: datetime) -> datetime:
    return datetime.combine(moment.date(), datetime.min.time()) + timedelta(days=1)


def _folder_date_fits(text: str | None, taken: datetime) -> bool:
    """Whether a photograph can belong to a folder with such a date: not before it, nor after the end of a span."""
    dates = [date for part in re.findall(_DATE, text or "") if (date := _folder_date(part)) is not None]
    if not dates:
        return True
    before = taken < min(dates) - timedelta(days=1)
    return not before and not (len(dates) > 1 and taken >= max(dates) + timedelta(days=2))


def _folder_date(text: str) -> datetime | None:
    for layout in ("%Y%m%d", "%Y-%m-%d", "%Y_%m_%d", "%Y.%m.%d", "%d-%b-%Y"):
        with suppress(ValueError):
            date = datetime.strptime(text, layout)
            return date if date.year in _YEARS else None
    return None


def _from_name(
    deployment_id: str, location_id: str, source: DeploymentSource, flag: str | None, camera: str | None = None
) -> tuple[Deployment, Location]:
    return Deployment(deployment_id, location_id, source, camera_id=camera, flag=flag), Location(location_id)


def _column(cell: str) -> str:
    return cell.strip().lower().replace("_", "").replace(" ", "")


def _time(row: dict[str, str], name: str, place: str, problems: list[str]) -> tuple[datetime | None, bool]:
    text = row.get(name.lower(), "")
    if not text:
        return None, False
    is_date = _DATE_ONLY.fullmatch(text) is not None
    value = parse_time(f"{text} 00:00:00" if is_date else text) if is_date or _DATE_TIME.fullmatch(text) else None
    if value is None:
        problems.append(f"{place}: {name} {text!r} is not a time; write 2026-05-31 or 2026-05-31T14:00:00")
    elif value.year not in _YEARS:
        problems.append(f"{place}: {name} {text!r} has no possible year; correct it, or leave an open end empty")
        value = None
    return value, is_date


def _degrees(row: dict[str, str], name: str, limit: int, place: str, problems: list[str]) -> float | None:
    text = row.get(name, "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not -limit <= value <= limit:
        problems.append(f"{place}: {name} {text!r} is not within -{limit} to {limit} decimal degrees")
        return None
    return value
