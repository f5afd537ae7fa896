"""Deployments as camtrapR's station table (CTtable), in a form that its cameraOperation takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ctwatch.domain import Deployment
from ctwatch.occupancy import period
from ctwatch.survey import SurveyDeployment

_DAY = timedelta(days=1)
_LEADING = ("Station", "Camera", "session", "latitude", "longitude", "Setup_date", "Retrieval_date")


@dataclass(frozen=True, slots=True)
class _Line:
    """One row of the table: a camera at a station from setup to retrieval, problems within."""

    station: str
    camera: str
    session: str
    setup: datetime
    retrieval: datetime
    problems: tuple[tuple[datetime, datetime], ...] = ()
    members: tuple[str, ...] = field(default=())
    """Ids of the deployments in it."""


def station_table(
    deployments: Sequence[SurveyDeployment],
) -> tuple[tuple[str, ...], list[list[str | float | None]], tuple[str, ...]]:
    """Return (header, rows, sentences) of camtrapR's CTtable, for `dateFormat = "ymd HMS"`.

    Columns are Station, Camera (only where cameras stood side by side), session (only if there is one), latitude,
    longitude, Setup_date, Retrieval_date and as many pairs ProblemN_from, ProblemN_to as are used: camtrapR refuses an
    empty pair, a second row of a station without another camera or session, setup equal to retrieval, and problems that
    overlap or leave the deployment (R/cameraOperation.R). So card swaps of one camera are one row with the gap as a
    problem, and dates without a time are written as the noon that camtrapR takes them for. The sentences say what was
    left out, for want of dates, and what camtrapR will not take.
    """
    lines = _lines(deployments)
    named = bool(_lanes(lines))
    sessions = any(line.session for line in lines)
    rows_of = {item.deployment.deployment_id: item.location for item in deployments}
    pairs = max((len(line.problems) for line in lines), default=0)
    wanted = {"Camera": named, "session": sessions}
    header = [name for name in _LEADING if wanted.get(name, True)]
    header += [f"Problem{number}_{end}" for number in range(1, pairs + 1) for end in ("from", "to")]
    rows: list[list[str | float | None]] = []
    for line in lines:
        location = rows_of[line.members[0]]
        cells: dict[str, str | float | None] = {
            "Station": line.station,
            "Camera": line.camera,
            "session": line.session or None,
            "latitude": location.latitude,
            "longitude": location.longitude,
            "Setup_date": _text(line.setup),
            "Retrieval_date": _text(line.retrieval),
        }
        problems = [_text(moment) for pair in line.problems for moment in pair]
        empty = [None] * (2 * pairs - len(problems))
        rows.append([*(cells[name] for name in header if name in cells), *problems, *empty])
    return tuple(header), rows, _sentences(deployments, lines, sessions=sessions)


def camera_names(deployments: Sequence[SurveyDeployment]) -> Mapping[str, str]:
    """Return the Camera of each deployment in the station table; empty where the table has no such column.

    A record table needs the same names, else camtrapR finds no operation for its rows.
    """
    return _lanes(_lines(deployments))


def _lanes(lines: Sequence[_Line]) -> dict[str, str]:
    places = [(line.station, line.session) for line in lines]
    if len(places) == len(set(places)):
        return {}
    return {member: line.camera for line in lines for member in line.members}


def _lines(deployments: Sequence[SurveyDeployment]) -> list[_Line]:
    """Return the rows of the table in the order of station, session, camera and time."""
    parts = sorted(
        (part for item in deployments if (part := _part(item.deployment)) is not None),
        key=lambda line: (line.station, line.session, line.setup, line.members),
    )
    places: dict[tuple[str, str], list[_Line]] = {}
    for part in parts:
        places.setdefault((part.station, part.session), []).append(part)
    # Cameras that took turns are one row each station; only where some stood side by side do all rows name theirs.
    merged = {place: _in_turn(items) for place, items in places.items()}
    if all(line is not None for line in merged.values()):
        return [line for line in merged.values() if line is not None]
    return [line for items in places.values() for line in _by_camera(items)]


def _in_turn(items: Sequence[_Line]) -> _Line | None:
    """Return one row for parts that follow each other, or None where two overlap by more than a day of change."""
    line = items[0]
    for item in items[1:]:
        if item.setup < line.retrieval - _DAY or item.retrieval <= line.retrieval:
            return None
        line = _joined(line, item)
    return line


def _by_camera(items: Sequence[_Line]) -> list[_Line]:
    """Return a row for each camera of a station; cameras without a name, or with the same, get a number."""
    cameras: dict[str, list[_Line]] = {}
    for item in items:
        lanes = cameras.setdefault(item.camera, [])
        for place, line in enumerate(lanes):
            joined = _in_turn([line, item])
            if joined is not None:
                lanes[place] = joined
                break
        else:
            lanes.append(item)
    lines: list[_Line] = []
    taken = set(cameras)
    for camera, lanes in cameras.items():
        for number, line in enumerate(lanes, 1):
            name = camera if camera and number == 1 else ""
            tried = number
            while not name:
                fresh = (camera or "camera") + (f"-{tried}" if tried > 1 else "")
                name = "" if fresh in taken else fresh
                tried += 1
            taken.add(name)
            lines.append(replace(line, camera=name))
    return lines


def _joined(line: _Line, item: _Line) -> _Line:
    setup = max(item.setup, line.retrieval)
    gap = ((line.retrieval, setup),) if setup > line.retrieval else ()
    later = tuple((max(begin, setup), end) for begin, end in item.problems if end > setup)
    return replace(
        line,
        retrieval=item.retrieval,
        problems=_merged((*line.problems, *gap, *later)),
        members=(*line.members, *item.members),
    )


def _part(deployment: Deployment) -> _Line | None:
    """Return a deployment with both dates as a row, its outages cut to it; None without both."""
    start, end = deployment.deployment_start, deployment.deployment_end
    if start is None or end is None:
        return None
    active = period(
        deployment.location_id,
        start,
        end,
        start_is_date=deployment.start_is_date,
        end_is_date=deployment.end_is_date,
    )
    # camtrapR reads whole seconds.
    setup, retrieval = active.start.replace(microsecond=0), active.end.replace(microsecond=0)
    if setup >= retrieval:
        return None
    problems = []
    for outage in deployment.outages:
        begin = max(outage.start, setup)
        last = min(outage.end + _DAY if outage.is_date else outage.end, retrieval)
        if begin < last:
            problems.append((begin.replace(microsecond=0), last.replace(microsecond=0)))
    return _Line(
        deployment.location_id,
        deployment.camera_id or "",
        deployment.session or "",
        setup,
        retrieval,
        _merged(problems),
        (deployment.deployment_id,),
    )


def _merged(spells: Sequence[tuple[datetime, datetime]]) -> tuple[tuple[datetime, datetime], ...]:
    """Return spells in order, those that touch or overlap as one."""
    merged: list[tuple[datetime, datetime]] = []
    for begin, end in sorted(spells):
        if begin == end:
            continue
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return tuple(merged)


def _sentences(deployments: Sequence[SurveyDeployment], lines: Sequence[_Line], *, sessions: bool) -> tuple[str, ...]:
    there = {member for line in lines for member in line.members}
    left = [item.deployment.deployment_id for item in deployments if item.deployment.deployment_id not in there]
    told = []
    if left:
        told.append(
            f"{len(left)} of {len(deployments)} deployments are not in the station table, for they lack deploymentStart"
            f" or deploymentEnd ({_some(left)}); camtrapR refuses records of stations that it does not find there:"
            " complete the dates in the deployments table"
        )
    doubled = sorted({name for line in lines for name in (line.station, line.camera) if "__" in name})
    if doubled:
        told.append(
            f"camtrapR separates names by two underscores, which {_some(doubled)} has; write one in the deployments table"
        )
    if sessions:
        lacking = sorted({line.station for line in lines if not line.session})
        worded = sorted({line.session for line in lines if line.session and not line.session.isdecimal()})
        if lacking:
            told.append(f"stations without a session beside those with one ({_some(lacking)}): write one for each")
        if worded:
            told.append(f"camtrapR takes only numbers as sessions, not {_some(worded)}: write a year, for instance")
    return tuple(told)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
