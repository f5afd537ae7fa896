"""detectionHistory."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np

from ctwatch import occupancy

from .calls import Call, InexpressibleError, flag, listed, whole
from .comparing import same_cell, same_matrix, same_name
from .operations import DAY, OUTPUT, operated
from .times import Zone, guessed
from .written import NAN, cells, operation

SECOND = timedelta(seconds=1)


def detection_history(call: Call) -> None:
    """Everything that detectionHistory takes, for one species or several."""
    arguments = call.arguments
    call.check(
        {
            "recordTable", "species", "camOp", "output", "stationCol", "speciesCol", "recordDateTimeCol",
            "recordDateTimeFormat", "occasionLength", "minActiveDaysPerOccasion", "maxNumberDays", "day1", "buffer",
            "includeEffort", "scaleEffort", "occasionStartTime", "datesAsOccasionNames", "timeZone",
            "unmarkedMultFrameInput", *OUTPUT,
        }
    )  # fmt: skip
    worked = camop(call)
    least = arguments.get("minActiveDaysPerOccasion")
    scale = flag(arguments, "includeEffort", True) and flag(arguments, "scaleEffort")
    rules = occupancy.Rules(
        occasion_days=whole(arguments, "occasionLength") or 1,
        first_day=first_day(str(arguments.get("day1") or "survey")),
        buffer_days=whole(arguments, "buffer") or 0,
        minimum_active_days=None if least is None else float(least),
        maximum_days=most_days(call),
        include_effort=flag(arguments, "includeEffort", True),
        count=(listed(arguments.get("output")) or ["binary"])[0].startswith("c"),
        camtrapr_compatible=True,
    )
    surveyed = occupancy.effort(worked, rules)
    wanted = listed(arguments.get("species"))
    found, counted = records_of(call, worked, surveyed, rules, wanted)
    histories = {item.scientific_name: item for item in occupancy.detection_histories(found, counted, rules, wanted)}
    names = occasion_names(call, worked, surveyed, rules)
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


def most_days(call: Call) -> int | None:
    """maxNumberDays, which R cuts to an integer and does not round."""
    value = call.arguments.get("maxNumberDays")
    return None if value is None else int(float(value))


def occasion_names(
    call: Call, worked: occupancy.Operation, surveyed: occupancy.Effort, rules: occupancy.Rules
) -> list[str]:
    """Names of occasions; the last date of all is that of the last moment in UTC, whatever the time zone."""
    as_dates = flag(call.arguments, "datesAsOccasionNames")
    names = list(occupancy.occasion_names(surveyed, as_dates))
    if not as_dates or surveyed.relative:
        return names
    last = []
    hours = timedelta(hours=worked.start_hour)
    active = [np.flatnonzero(~np.isnan(row)) for row in worked.days]
    earliest = min(int(columns[0]) for columns in active)
    for columns in active:
        begin, end = midnight(worked, int(columns[0])), midnight(worked, int(columns[-1])) + DAY - SECOND
        if rules.maximum_days is not None:
            if isinstance(rules.first_day, date):
                begin = midnight(worked, earliest)
            end = min(end, begin + (rules.buffer_days + rules.maximum_days) * DAY + hours - SECOND)
        last.append(end)
    zone = Zone(call.arguments.get("timeZone"), last[0])
    return [*names[:-1], f"{names[-1].rpartition('_')[0]}_{max(zone.day_in_utc(end) for end in last)}"]


def midnight(worked: occupancy.Operation, column: int) -> datetime:
    """The first moment of the date of a column."""
    return datetime.combine(worked.first_day + column * DAY, datetime.min.time())


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
    return told.get(day1.lower()) or date.fromisoformat(day1[:10].replace("/", "-"))


def records_of(
    call: Call,
    worked: occupancy.Operation,
    surveyed: occupancy.Effort,
    rules: occupancy.Rules,
    wanted: Sequence[str],
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
    places = [row[arguments.get("stationCol") or "Station"] for row in rows]
    species: list[str | None] = [row[name] for row in rows]
    sessions = None
    if any(worked.sessions):
        sessions = [
            session_of(worked, place, zone.day_in_utc(item)) for place, item in zip(places, moments, strict=True)
        ]
    return occupancy.detections(places, species, zone.steady(moments), session=sessions), surveyed


def session_of(worked: occupancy.Operation, place: str, day: date) -> str | None:
    """The last session of a location that is set up on a day: there camtrapR counts a record."""
    column = (day - worked.first_day).days
    if not 0 <= column < worked.days.shape[1]:
        return None
    there = zip(worked.location_ids, worked.sessions, worked.days[:, column].tolist(), strict=True)
    found = [session for location_id, session, value in there if location_id == place and value == value]
    return found[-1] if found else None


def file_name(call: Call, worked: occupancy.Operation, species: str, what: str, more: str) -> str:
    """The name that detectionHistory gives a file, with DATE for the day."""
    arguments = call.arguments
    most = most_days(call)
    day1 = str(arguments.get("day1") or "survey").lower()
    first = {"survey": "_first_day_from_survey", "station": "_first_day_by_station"}.get(day1, f"_first_day_{day1}")
    limit = "" if most is None else f"max{most}days_"
    return (
        f"{species}__{what}__{more}{whole(arguments, 'occasionLength')}_days_per_occasion_{limit}"
        f"_occasionStart{worked.start_hour}h_{first}__DATE.csv"
    )
