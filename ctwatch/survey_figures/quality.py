"""What is wrong with the data, and what waits for people: counted from the same columns as the results."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from ctwatch.survey import Survey
from ctwatch.survey_figures.tables import BacklogTable, DayState, FlagTable, QualityTable, ReasonTable

_DAY = timedelta(days=1)
_TIME_PROBLEMS = (
    ("in the future", "of a clock in the future"),
    ("before ", "of a clock before the earliest year allowed"),
    ("not a time", "with a date that is no date"),
)


def quality(
    survey: Survey,
    states: NDArray[np.uint8],
    location_ids: Sequence[str],
    dropped: int,
    detections: int,
    duplicate_files: int | None,
) -> QualityTable:
    """Return what was looked for in the data and how often it was found.

    `dropped` of `detections` have a time on a day without effort; `states` are those of the effort calendar.
    """
    found: list[tuple[str, str, int, int | None, str]] = []
    photographs, deployments = len(survey.media.media_id), len(survey.deployments)

    def add(topic: str, what: str, count: int, of: int | None, note: str) -> None:
        found.append((topic, what, count, of, note))

    failures = Counter(item.reason for item in survey.failed)
    for reason, count in sorted(failures.items(), key=lambda pair: (-pair[1], pair[0])) or [("", 0)]:
        add(
            "files",
            f"files that failed: {_words(reason)}" if reason else "files that failed",
            count,
            None,
            "no picture, or part of one; never counted as blank",
        )
    if duplicate_files is not None:
        add("files", "files whose bytes were in already", duplicate_files, None, "counted once")
    untimed = Counter(
        _time_problem(issue)
        for issue, trusted in zip(survey.media.timestamp_issue, survey.media.trusted, strict=True)
        if not trusted
    )
    for problem, count in sorted(untimed.items(), key=lambda pair: (-pair[1], pair[0])) or [
        ("without a time to trust", 0)
    ]:
        add("time", f"photographs {problem}", count, photographs, "an event each; in no effort, rate or clock")
    corrected, shifted, largest = _clocks(survey)
    add("time", "deployments with a corrected clock", corrected, deployments, largest)
    add(
        "time",
        "photographs whose time was corrected",
        shifted,
        photographs,
        "the time the camera wrote is kept beside it",
    )
    add(
        "time", "photographs before setup or after retrieval", _outside_dates(survey), photographs,
        "check dates and clock of their deployments",
    )  # fmt: skip
    flags = sum(item.deployment.flag is not None for item in survey.deployments)
    add("deployments", "deployments to look at", flags, deployments, "listed below")
    empty = sum(item.media_count == 0 for item in survey.deployments)
    add("deployments", "deployments without a photograph", empty, deployments, "card lost, or not dropped yet")
    unplaced = len({item.location.location_id for item in survey.deployments if item.location.latitude is None})
    add("deployments", "locations without coordinates", unplaced, len(location_ids), "not on the map")
    assumed = int((states == DayState.ASSUMED).any(axis=1).sum()) if states.size else 0
    add(
        "effort", "locations whose effort is assumed", assumed, len(location_ids),
        "first to last photograph; a camera that died early looks like an absent animal",
    )  # fmt: skip
    set_up = int((states != DayState.NONE).sum())
    add(
        "effort", "location-days set up, not working", int((states == DayState.OUTAGE).sum()), set_up,
        "not surveyed; in no rate",
    )  # fmt: skip
    add("effort", "detections on days without effort", dropped, detections, "in no rate, occupancy or activity")
    return QualityTable(*(tuple(row[at] for row in found) for at in range(5)))  # type: ignore[arg-type]


def flagged(survey: Survey) -> FlagTable:
    """Return the deployments that somebody should look at, and why."""
    pairs = [
        (item.deployment.deployment_id, item.deployment.flag) for item in survey.deployments if item.deployment.flag
    ]
    return FlagTable(tuple(key for key, _ in pairs), tuple(str(flag) for _, flag in pairs))


def reasons(survey: Survey) -> ReasonTable:
    """Return why events, and time-lapse photographs, wait for people; most first."""
    rows = survey.observations
    events: dict[str, set[str]] = {}
    frames: Counter[str] = Counter()
    for at in np.flatnonzero(rows.needs_review).tolist():
        event = rows.event_id[at]
        for reason in (rows.review_reason[at] or "not_said").split(";"):
            words = _words(reason)
            if rows.level[at] == "event":
                events.setdefault(words, set()).add(event or rows.observation_id[at])
            elif event is None:
                frames[words] += 1
    every = sorted({*events, *frames}, key=lambda name: (-len(events.get(name, ())), -frames[name], name))
    return ReasonTable(
        tuple(every), tuple(len(events.get(name, ())) for name in every), tuple(frames[n] for n in every)
    )


def backlog(survey: Survey, place_of: Mapping[str, str]) -> BacklogTable:
    """Return how much of each deployment waits for people, most first; deployments with nothing to do are left out."""
    rows = survey.observations
    every: dict[str, set[str]] = {}
    waiting: dict[str, set[str]] = {}
    frames: Counter[str] = Counter()
    for at, (key, level, event) in enumerate(zip(rows.deployment_id, rows.level, rows.event_id, strict=True)):
        if level == "event":
            every.setdefault(key, set()).add(event or rows.observation_id[at])
            if rows.needs_review[at]:
                waiting.setdefault(key, set()).add(event or rows.observation_id[at])
        elif event is None and rows.needs_review[at]:
            frames[key] += 1
    keys = sorted({*waiting, *frames}, key=lambda key: (-len(waiting.get(key, ())), -frames[key], key))
    return BacklogTable(
        tuple(keys),
        tuple(place_of.get(key, key) for key in keys),
        tuple(len(waiting.get(key, ())) for key in keys),
        tuple(len(every.get(key, ())) for key in keys),
        tuple(frames[key] for key in keys),
    )


def _clocks(survey: Survey) -> tuple[int, int, str]:
    """Count corrected deployments and photographs, and say how far they were off."""
    corrected = sum(bool(item.deployment.clock or item.deployment.clock_references) for item in survey.deployments)
    both = ~(np.isnat(survey.media.timestamp) | np.isnat(survey.media.recorded))
    shift = np.abs(
        (survey.media.timestamp[both] - survey.media.recorded[both]).astype("timedelta64[s]").astype(np.int64)
    )
    if not (shift > 0).any():
        return corrected, 0, "from the deployments table"
    minutes = int(shift.max()) // 60
    days, rest = divmod(minutes, 24 * 60)
    text = " ".join(f"{value} {unit}" for value, unit in ((days, "d"), (rest // 60, "h"), (rest % 60, "min")) if value)
    return corrected, int((shift > 0).sum()), f"off by up to {text or 'a minute'}"


def _outside_dates(survey: Survey) -> int:
    """Count photographs with a time to trust that no camera of theirs can have taken."""
    row_of = {item.deployment.deployment_id: row for row, item in enumerate(survey.deployments)}
    bounds = np.full((len(row_of) + 1, 2), np.datetime64("NaT"), dtype="datetime64[us]")
    for row, item in enumerate(survey.deployments):
        start, end = item.deployment.deployment_start, item.deployment.deployment_end
        if start is not None:
            bounds[row, 0] = start
        if end is not None:
            bounds[row, 1] = end + _DAY if item.deployment.end_is_date else end
    own = bounds[[row_of.get(key, -1) for key in survey.media.deployment_id]]
    # Comparisons with NaT are false: no bound, nothing outside.
    outside = (survey.media.timestamp < own[:, 0]) | (survey.media.timestamp > own[:, 1])
    return int((outside & survey.media.trusted).sum())


def _time_problem(issue: str | None) -> str:
    return next((words for mark, words in _TIME_PROBLEMS if issue and mark in issue), "without a date")


def _words(code: str) -> str:
    return code.strip().replace("_", " ")
