"""A survey -> camera operation, independent records and detection histories of all its species."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from ctwatch.occupancy import (
    Compared,
    DetectionHistory,
    Detections,
    Effort,
    Operation,
    Records,
    Rules,
    detection_histories,
    detections,
    effort,
    record_table,
)
from ctwatch.survey import EffortColumns, Survey, SurveyDeployment

_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True, slots=True)
class SurveyHistories:
    """Effort and the histories of all species of a survey."""

    worked: Operation
    surveyed: Effort
    histories: tuple[DetectionHistory, ...]
    sentences: tuple[str, ...]
    """What was assumed on the way."""


def histories_of(
    survey: Survey,
    rules: Rules,
    *,
    independence_min: float = 30,
    compared: Compared = Compared.LAST_INDEPENDENT,
) -> SurveyHistories:
    """Compute the histories of every species that an event named, from independent records at least so far apart.

    A location has one row, or one for each session where deployments name sessions. Independence changes counts only:
    what was seen in an occasion was seen.
    """
    worked = operation_of(survey.effort, survey.deployments)
    surveyed = effort(worked, rules)
    records = records_of(survey, independence_min=independence_min, compared=compared)
    found = _detections(records)
    sentences = _sentences(survey, records, independence_min, compared)
    return SurveyHistories(worked, surveyed, tuple(detection_histories(found, surveyed, rules)), sentences)


def operation_of(days: EffortColumns, deployments: Sequence[SurveyDeployment] = ()) -> Operation:
    """Lay daily effort out as rows and days; rows are told apart by session where `deployments` name one for the day."""
    if not len(days.day):
        return Operation((), date(1970, 1, 1), np.empty((0, 0)))
    sessions = _sessions(deployments)
    keys: dict[tuple[str, str], int] = {}
    rows = np.empty(len(days.day), dtype=np.int64)
    for number, (location_id, day) in enumerate(zip(days.location_id, days.day, strict=True)):
        session = _session_of(sessions.get(location_id, ()), day) if sessions else ""
        rows[number] = keys.setdefault((location_id, session), len(keys))
    order = sorted(keys)
    place = np.empty(len(keys), dtype=np.int64)
    for at, key in enumerate(order):
        place[keys[key]] = at
    first = days.day.min()
    columns = ((days.day - first) // _DAY).astype(np.int64)
    matrix = np.full((len(keys), int(columns.max()) + 1), np.nan)
    matrix[place[rows], columns] = days.camera_days
    named = tuple(session or None for _, session in order)
    return Operation(
        tuple(location_id for location_id, _ in order),
        first.astype(date),
        matrix,
        sessions=named if any(named) else (),
    )


def records_of(
    survey: Survey, *, independence_min: float = 30, compared: Compared = Compared.LAST_INDEPENDENT
) -> Records:
    """Return the independent records of all species: of every event that names one, its beginning."""
    seen = survey.observations
    named = np.array([name is not None for name in seen.scientific_name], dtype=bool)
    at_events = np.array([level == "event" for level in seen.level], dtype=bool)
    rows = (
        np.flatnonzero(named & at_events & ~np.isnat(seen.event_start)) if len(named) else np.empty(0, dtype=np.int64)
    )
    listed: list[int] = rows.tolist()
    place = {item.deployment.deployment_id: item.deployment.location_id for item in survey.deployments}
    return record_table(
        [place.get(seen.deployment_id[row], seen.deployment_id[row]) for row in listed],
        [str(seen.scientific_name[row]) for row in listed],
        seen.event_start[rows],
        independence_min=independence_min,
        compared=compared,
    )


def _detections(records: Records) -> Detections:
    return detections(list(records.location_id), list(records.scientific_name), records.times)


def _sentences(survey: Survey, records: Records, independence_min: float, compared: Compared) -> tuple[str, ...]:
    since = "the last record that counted" if compared is Compared.LAST_INDEPENDENT else "the last record of any kind"
    told = [
        f"records of one species at one location count again {independence_min:g} minutes after {since}"
        if independence_min
        else "every event counts as a record"
    ]
    assumed = sorted(
        {place for place, guess in zip(survey.effort.location_id, survey.effort.assumed, strict=True) if guess}
    )
    if assumed:
        some = ", ".join(assumed[:5]) + (f" and {len(assumed) - 5} more" if len(assumed) > 5 else "")
        told.append(
            f"effort at {some} is assumed, every day from a card's first photograph to its last: complete the dates in"
            " the deployments table"
        )
    seen = survey.observations
    waiting = {
        event
        for event, level, open_ in zip(seen.event_id, seen.level, seen.needs_review, strict=True)
        if open_ and level == "event"
    }
    if waiting:
        told.append(f"{len(waiting)} events wait for review; what a person says of them may change histories")
    return tuple(told)


_Span = tuple[np.datetime64, np.datetime64, str]


def _sessions(deployments: Sequence[SurveyDeployment]) -> dict[str, list[_Span]]:
    """Return the days of each location's sessions; empty where no deployment names one."""
    spans: dict[str, list[_Span]] = {}
    for item in deployments:
        deployment = item.deployment
        start, end = deployment.deployment_start or item.first_media, deployment.deployment_end or item.last_media
        if deployment.session and start is not None and end is not None:
            span = (np.datetime64(start.date()), np.datetime64(end.date()), deployment.session)
            spans.setdefault(deployment.location_id, []).append(span)
    return spans


def _session_of(spans: Sequence[_Span], day: np.datetime64) -> str:
    """Return the session that a day belongs to; of a day that two share, the later, which begins."""
    found = [(start, session) for start, end, session in spans if start <= day <= end]
    return max(found)[1] if found else ""
