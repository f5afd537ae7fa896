"""Cameras that were silent: after the last photograph, before the first, and on days without a heartbeat."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from ctwatch.deployments.fields import window
from ctwatch.deployments.findings import Finding, Kind, Rows, Severity, Times, cell, in_words, moment, stamp
from ctwatch.domain import Deployment
from ctwatch.survey import MediaColumns

_DAY = timedelta(days=1)
_SILENT = timedelta(days=7)
_TIMES_LONGER = 5
_FEW_VISITS = 10
_LEAST_VISITS = 3
_LEAST_HEARTBEATS = 5
_REGULAR = 0.8
_MOST_PROPOSED = 10


@dataclass(frozen=True, slots=True)
class _Life:
    """What a deployment's photographs say of when its camera worked."""

    first: datetime
    last: datetime
    longest_gap: timedelta
    visits: int
    """Photographs more than an hour after the one before."""
    heartbeat: int | None
    """Days between time-lapse photographs, where these are regular."""
    only_at_setup: bool
    """All photographs are of the day after setup."""


def silence_findings(deployment: Deployment, rows: Rows, media: MediaColumns) -> list[Finding]:
    """Find spells in which a camera probably did not work, each with the outage that it would be.

    With a heartbeat (time-lapse photographs on at least five days, four fifths of them evenly apart) each day without
    any photograph is told, and silence counts from two missing beats on; a heartbeat that is heard to the end shows that
    the camera worked, however quiet the place. Without one, silence before retrieval or after setup is told if it is
    longer than seven days and than five times the longest silence between photographs; fewer than three visits tell
    nothing, unless all are of the setup.
    """
    first, last = window(deployment.deployment_start, deployment.deployment_end, end_is_date=deployment.end_is_date)
    rows = rows[media.trusted[rows] & ~np.isnat(media.timestamp[rows])]
    times = media.timestamp[rows].astype("datetime64[us]")
    inside = np.ones(len(rows), dtype=bool)
    if first is not None:
        inside &= times >= np.datetime64(first, "us")
    if last is not None:
        inside &= times <= np.datetime64(last, "us")
    rows, times = rows[inside], np.sort(times[inside])
    if not len(rows):
        return []
    lapse = np.array([media.capture_method[row] == "timeLapse" for row in rows.tolist()], dtype=bool)
    gaps = np.diff(times)
    life = _Life(
        moment(times[0]),
        moment(times[-1]),
        timedelta(microseconds=int(gaps.max().astype(np.int64))) if len(gaps) else timedelta(0),
        1 + int(np.count_nonzero(gaps > np.timedelta64(1, "h"))),
        _heartbeat(media.timestamp[rows[lapse]]),
        first is not None and moment(times[-1]) <= first + 2 * _DAY,
    )
    findings = []
    if life.heartbeat is not None:
        findings += _silent_days(deployment, times, life.heartbeat)
    if (
        last is not None
        and (life.only_at_setup or life.visits >= _LEAST_VISITS)
        and _is_silence(last - life.last, life)
    ):
        findings += _spell(deployment, life, life.last, last, at_end=True)
    if first is not None and life.visits >= _LEAST_VISITS and _is_silence(life.first - first, life):
        findings += _spell(deployment, life, first, life.first, at_end=False)
    return findings


def _heartbeat(lapse: Times) -> int | None:
    """Return how many days lie between time-lapse photographs, or None if they are few or uneven."""
    days = np.unique(lapse.astype("datetime64[D]"))
    if len(days) < _LEAST_HEARTBEATS:
        return None
    apart = np.diff(days).astype(np.int64)
    values, counts = np.unique(apart, return_counts=True)
    usual = int(values[np.argmax(counts)])
    return usual if counts.max() >= _REGULAR * len(apart) else None


def _is_silence(length: timedelta, life: _Life) -> bool:
    if life.heartbeat is not None:
        return length > (2 * life.heartbeat + 1) * _DAY
    return length > _SILENT and length > _TIMES_LONGER * life.longest_gap


def _silent_days(deployment: Deployment, times: Times, heartbeat: int) -> list[Finding]:
    """Find days between photographs without a heartbeat and without anything else."""
    days = np.unique(times.astype("datetime64[D]"))
    apart = np.diff(days).astype(np.int64)
    spells = []
    for place in np.flatnonzero(apart > heartbeat).tolist():
        begin, end = days[place] + np.timedelta64(1, "D"), days[place + 1] - np.timedelta64(1, "D")
        if not _known(deployment, moment(begin), moment(end) + _DAY):
            spells.append((str(begin), str(end)))
    if not spells:
        return []
    number = sum(int((np.datetime64(end) - np.datetime64(begin)).astype(int)) + 1 for begin, end in spells)
    when = ", ".join(begin if begin == end else f"{begin} to {end}" for begin, end in spells[:5])
    more = f" and {len(spells) - 5} more spells" if len(spells) > 5 else ""
    free = 1 + len(deployment.outages)
    proposal = [
        (f"outage{free + at}{side}", day)
        for at, spell in enumerate(spells[:_MOST_PROPOSED])
        for side, day in zip(("From", "To"), spell, strict=True)
    ]
    return [
        Finding(
            Kind.SILENT_DAYS,
            Severity.WARNING,
            deployment.deployment_id,
            f"{number} {'day' if number == 1 else 'days'} without any photograph, although time-lapse photographs come every"
            f" {'day' if heartbeat == 1 else f'{heartbeat} days'}: {when}{more}",
            "paste the outages into its row if the camera was off, full or without power then",
            tuple(proposal),
        )
    ]


def _spell(deployment: Deployment, life: _Life, begin: datetime, end: datetime, *, at_end: bool) -> list[Finding]:
    if _known(deployment, begin, end):
        return []
    if life.heartbeat is not None:
        against = "time-lapse photographs came until then" if at_end else "time-lapse photographs came from then on"
    elif life.only_at_setup:
        against = "all are of the time of its setup"
    else:
        against = f"the longest silence {'before' if at_end else 'after'} was {in_words(life.longest_gap)}"
    sure = life.heartbeat is not None or life.visits >= _FEW_VISITS
    number = 1 + len(deployment.outages)
    length = in_words(end - begin)
    if at_end:
        sentence = f"its last photograph ({stamp(begin)}) is {length} before its end, and {against}: it probably failed"
        sooner = _a_year_sooner(end)
        if sooner is not None and sooner > begin:
            sentence += ", or the year of its end is wrong"
    else:
        sentence = (
            f"its first photograph ({stamp(end)}) is {length} after its start, and {against}: it probably did not work"
        )
    is_date = deployment.end_is_date if at_end else deployment.start_is_date
    cells = _whole_days(begin, end, at_end=at_end) if is_date else (cell(_up(begin)), cell(end))
    return [
        Finding(
            Kind.SILENT_END if at_end else Kind.SILENT_START,
            Severity.WARNING if sure else Severity.NOTE,
            deployment.deployment_id,
            sentence,
            "paste the outage into its row if the battery was empty, the card full or the camera gone; leave it if not",
            ((f"outage{number}From", cells[0]), (f"outage{number}To", cells[1])),
        )
    ]


def _a_year_sooner(at: datetime) -> datetime | None:
    try:
        return at.replace(year=at.year - 1)
    except ValueError:
        return None


def _known(deployment: Deployment, begin: datetime, end: datetime) -> bool:
    """Whether the table's outages cover most of a spell already."""
    covered = timedelta(0)
    for outage in deployment.outages:
        last = outage.end + _DAY if outage.is_date else outage.end
        covered += max(timedelta(0), min(last, end) - max(outage.start, begin))
    return covered > 0.5 * (end - begin)


def _whole_days(begin: datetime, end: datetime, *, at_end: bool) -> tuple[str, str]:
    """Return the first and last whole day of a spell: from the day after the last photograph, to the one before the first."""
    if at_end:
        return f"{begin + _DAY:%Y-%m-%d}", f"{end - timedelta(microseconds=1):%Y-%m-%d}"
    return f"{begin:%Y-%m-%d}", f"{end - _DAY:%Y-%m-%d}"


def _up(at: datetime) -> datetime:
    """Return the full second at or after a moment."""
    return at if not at.microsecond else at.replace(microsecond=0) + timedelta(seconds=1)
