"""Clocks that were wrong: stretches of photographs outside their deployment, resets, and what offset would mend them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from ctwatch.deployments import offsets
from ctwatch.deployments.fields import window
from ctwatch.deployments.findings import (
    Finding,
    Kind,
    Rows,
    Severity,
    Times,
    cell,
    counted,
    in_words,
    moment,
    stamp,
)
from ctwatch.deployments.stretches import Stretch, sequence, stretches
from ctwatch.domain import Deployment
from ctwatch.survey import MediaColumns

_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_HALF_DAY = timedelta(hours=12)
_NEAR_SETUP = timedelta(days=3)
_YEARS_AWAY = np.timedelta64(180, "D")
_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Between which moments photographs have to lie; None: not known."""

    first: datetime | None
    last: datetime | None

    def holds(self, first: datetime, last: datetime, grace: timedelta) -> bool:
        """Whether a stretch lies within; without both bounds nothing is sure to."""
        if self.first is None or self.last is None:
            return False
        return self.first - grace <= first and last <= self.last + grace


def clock_findings(deployment: Deployment, rows: Rows, media: MediaColumns) -> tuple[list[Finding], Rows]:
    """Check the times of one deployment's photographs; returns findings and the rows whose time was found wrong.

    Per card, in the camera's own order: a stretch is wrong if it lies outside the deployment's dates by more than a day,
    if it begins on a New Year's morning (where clocks begin that lost their battery) after time ran back or years away
    from the others, or if the clock jumped ahead by a month and came back.
    """
    findings: list[Finding] = []
    wrong: list[Rows] = []
    cards: dict[str, list[int]] = {}
    for row in rows.tolist():
        cards.setdefault(media.card_name[row], []).append(row)
    first, last = window(deployment.deployment_start, deployment.deployment_end, end_is_date=deployment.end_is_date)
    bounds = _Bounds(first, last)
    total = int(np.count_nonzero(~np.isnat(media.timestamp[rows])))
    for members in cards.values():
        timed = np.array([row for row in members if not np.isnat(media.timestamp[row])], dtype=np.int64)
        ordered = sequence(timed, media.file_path, media.media_id, media.recorded)
        found = stretches(ordered.rows, media.timestamp)
        bad = [_is_wrong(found, at, bounds, media) for at in range(len(found))]
        if ordered.by_name:
            _still_behind(found, bad)
        found, bad = _together(found, bad, bounds)
        for at, stretch in enumerate(found):
            if bad[at]:
                near = _between(found, bad, at, bounds) if ordered.by_name else bounds
                findings.append(_wrong(deployment, stretch, near, bounds, media, whole=len(stretch.rows) == total))
                wrong.append(stretch.rows)
            elif stretch.after_step_back and not bad[at - 1] and not _series(found[at - 1], stretch, media):
                findings.append(_set_back(deployment, found[at - 1], stretch, media))
    return findings, np.concatenate(wrong) if wrong else np.empty(0, dtype=np.int64)


def outside(deployment: Deployment, rows: Rows, media: MediaColumns) -> list[Finding]:
    """Find photographs outside a deployment's dates, those aside whose clock is known to be wrong.

    Up to an hour around a time is the technician at work, and no finding; up to a day a note.
    """
    first, last = window(deployment.deployment_start, deployment.deployment_end, end_is_date=deployment.end_is_date)
    rows = rows[media.trusted[rows] & ~np.isnat(media.timestamp[rows])]
    times = media.timestamp[rows].astype("datetime64[us]")
    before = times < np.datetime64(first, "us") if first is not None else np.zeros(len(rows), dtype=bool)
    after = times > np.datetime64(last, "us") if last is not None else np.zeros(len(rows), dtype=bool)
    if not (before | after).any():
        return []
    early = first - moment(times.min()) if first is not None and before.any() else timedelta(0)
    late = moment(times.max()) - last if last is not None and after.any() else timedelta(0)
    how_far = max(early, late)
    if how_far <= _HOUR:
        return []
    sides = []
    proposal = []
    if before.any() and first is not None:
        sides.append(f"{int(before.sum())} before its start, by up to {in_words(early)}")
        proposal.append(("deploymentStart", cell(moment(times.min()))))
    if after.any() and last is not None:
        sides.append(f"{int(after.sum())} after its end, by up to {in_words(late)}")
        proposal.append(("deploymentEnd", cell(moment(times.max()) + timedelta(seconds=1))))
    count = int((before | after).sum())
    sentence = f"{count} of {counted(len(rows))} lie outside its dates: {', '.join(sides)} ({_span(times)})"
    return [
        Finding(
            Kind.OUTSIDE,
            Severity.NOTE if how_far <= _DAY else Severity.WARNING,
            deployment.deployment_id,
            sentence,
            "correct the dates, or leave them if these photographs are of the way there and back",
            tuple(proposal),
            count,
            _examples(media, rows[before | after]),
        )
    ]


def half_day(deployment: Deployment, rows: Rows, media: MediaColumns) -> Finding | None:
    """Find a clock that was set to the wrong half of the day, where dates have times of day.

    All photographs fit if shifted by exactly 12 hours, as they are they do not, and shifted the first or the last is
    within two hours of setup or retrieval.
    """
    start, end = deployment.deployment_start, deployment.deployment_end
    rows = rows[media.trusted[rows] & ~np.isnat(media.timestamp[rows])]
    if not len(rows) or start is None or end is None or (deployment.start_is_date and deployment.end_is_date):
        return None
    first, last = moment(media.timestamp[rows].min()), moment(media.timestamp[rows].max())
    bounds = _Bounds(*window(start, end, end_is_date=deployment.end_is_date))
    if bounds.holds(first, last, _HOUR):
        return None
    for shift in (_HALF_DAY, -_HALF_DAY):
        near = abs(first + shift - start) <= 2 * _HOUR if shift > timedelta(0) else abs(last + shift - end) <= 2 * _HOUR
        if near and bounds.holds(first + shift, last + shift, _HOUR):
            return Finding(
                Kind.CLOCK,
                Severity.ERROR,
                deployment.deployment_id,
                f"all {counted(len(rows))} ({stamp(first)} to {stamp(last)}) fit its dates if shifted by exactly 12"
                " hours: morning and evening were exchanged when the clock was set",
                "look at whether nights are dark; if not, paste the offset into its row",
                (("clockOffset", offsets.written(shift + _known_offset(rows, media))),),
                len(rows),
                _examples(media, rows),
            )
    return None


def _still_behind(found: Sequence[Stretch], bad: list[bool]) -> None:
    """Mark what goes on from a wrong stretch after a silence and is still earlier than what came before both."""
    latest: np.datetime64 | None = None
    for at, stretch in enumerate(found):
        behind = latest is not None and stretch.last < latest
        bad[at] |= at > 0 and bad[at - 1] and not stretch.after_step_back and bool(behind)
        if not bad[at]:
            latest = stretch.last if latest is None else max(latest, stretch.last)


def _together(found: Sequence[Stretch], bad: Sequence[bool], bounds: _Bounds) -> tuple[list[Stretch], list[bool]]:
    """Join wrong stretches that follow each other with nothing but silence between, if they fit the dates as one."""
    joined: list[Stretch] = []
    marks: list[bool] = []
    for stretch, wrong in zip(found, bad, strict=True):
        if wrong and marks and marks[-1] and not stretch.after_step_back:
            length = moment(stretch.last) - moment(joined[-1].first)
            if bounds.first is None or bounds.last is None or length <= bounds.last - bounds.first:
                joined[-1] = Stretch(
                    np.concatenate([joined[-1].rows, stretch.rows]),
                    joined[-1].first,
                    stretch.last,
                    joined[-1].after_step_back,
                )
                continue
        joined.append(stretch)
        marks.append(wrong)
    return joined, marks


def _is_wrong(found: Sequence[Stretch], at: int, bounds: _Bounds, media: MediaColumns) -> bool:
    """Whether the time of a stretch cannot be right, seen beside the others of its card."""
    stretch = found[at]
    first, last = moment(stretch.first), moment(stretch.last)
    if not media.trusted[stretch.rows].any():
        return True
    if stretch.after_step_back and _at_new_year(first):
        return True
    if bounds.first is not None and last < bounds.first - _DAY:
        return True
    if bounds.last is not None and first > bounds.last + _DAY:
        return True
    if bounds.first is not None and bounds.last is not None:
        # Partly outside: wrong dates are likelier than a wrong clock, unless one slip explains it all.
        slips = [] if bounds.holds(first, last, _DAY) else _slips(first, last, bounds)
        return any(abs(first + shift - bounds.first) <= _NEAR_SETUP for _, shift in slips)
    if at == 0 and bounds == _Bounds(None, None) and _at_new_year(first) and first.hour == 0:
        return True
    others = [item for place, item in enumerate(found) if place != at]
    if others and _at_new_year(first) and all(item.first > stretch.last + _YEARS_AWAY for item in others):
        return True
    # Ahead by a month or more and back again, while those before and after go on from each other.
    if 0 < at < len(found) - 1 and found[at + 1].after_step_back and not stretch.after_step_back:
        before, after = found[at - 1], found[at + 1]
        return bool(before.last <= after.first) and len(stretch.rows) <= len(before.rows) + len(after.rows)
    return False


def _between(found: Sequence[Stretch], bad: Sequence[bool], at: int, bounds: _Bounds) -> _Bounds:
    """Return between which moments a wrong stretch was really taken: the good ones around it, else the dates."""
    before = next((moment(found[place].last) for place in range(at - 1, -1, -1) if not bad[place]), bounds.first)
    after = next((moment(found[place].first) for place in range(at + 1, len(found)) if not bad[place]), bounds.last)
    return _Bounds(before, after)


def _at_new_year(first: datetime) -> bool:
    """Whether a stretch begins within a day of 1 January, 00:00, where a clock begins that lost its power."""
    return (first.month, first.day) == (1, 1)


def _slips(first: datetime, last: datetime, bounds: _Bounds) -> list[tuple[str, timedelta]]:
    """Return (what went wrong, shift) for each slip in setting a clock that explains all of a stretch."""
    if bounds.first is None or bounds.last is None:
        return []
    found: list[tuple[str, timedelta]] = []
    years = range(bounds.first.year - 1, bounds.last.year + 2)
    for year in years:
        shift = _replaced(first, year=year)
        if shift and bounds.holds(first + shift, last + shift, _DAY):
            found.append((f"the year was set wrong by {abs(year - first.year)}", shift))
    if first.day <= 12 and first.day != first.month:
        shift = _replaced(first, month=first.day, day=first.month)
        near = shift and abs(first + shift - bounds.first) <= _NEAR_SETUP
        if shift and near and bounds.holds(first + shift, last + shift, _DAY):
            found.append(("day and month were exchanged", shift))
    return found


def _replaced(first: datetime, **parts: int) -> timedelta | None:
    try:
        return first.replace(**parts) - first or None  # type: ignore[arg-type]
    except ValueError:
        return None


def _wrong(
    deployment: Deployment, stretch: Stretch, near: _Bounds, bounds: _Bounds, media: MediaColumns, *, whole: bool
) -> Finding:
    """Describe a stretch whose time cannot be right, and propose an offset if one follows from what is around it."""
    first, last = moment(stretch.first), moment(stretch.last)
    known = _known_offset(stretch.rows, media)
    reset = _at_new_year(first)
    what = f"{counted(len(stretch.rows))} ({stamp(first)} to {stamp(last)})"
    if reset:
        parts = [f"{what} have a time that begins at a New Year, as clocks do that lost their power"]
    elif stretch.after_step_back:
        parts = [f"{what} come, by their file numbers, after photographs of later times"]
    elif bounds.first is None and bounds.last is None:
        parts = [f"{what} are far ahead of those before and after them by their file numbers"]
    elif whole:
        parts = [f"{what} lie outside its dates: the clock or the dates are wrong, or they belong elsewhere"]
    else:
        parts = [f"{what} lie outside its dates: the clock was wrong, or they are of another time on the same card"]
    slips = [] if reset else _slips(first, last, near) or _slips(first, last, bounds)
    proposal: tuple[tuple[str, str], ...] = ()
    shift: timedelta | None = None
    if slips:
        shift = slips[0][1] if len(slips) == 1 else None
        parts.append(
            "they fit if "
            + ", or ".join(f"{why} (clockOffset {offsets.written(amount + known)})" for why, amount in slips)
        )
    elif near.first is not None and near.last is not None and near.last - last >= near.first - first:
        least, most = near.first - first, near.last - last
        shift = least
        parts.append(
            f"they fit with a clockOffset from {offsets.written(least + known)} to {offsets.written(most + known)}"
        )
    if shift is not None:
        proposal = (("clockOffset", offsets.written(shift + known)),)
    exact = "a photograph whose true time somebody knows (referencePhoto, referenceTime) makes it exact"
    if whole:
        remedy = f"write clockOffset into its row; {exact}" if not slips else "write clockOffset into its row"
    else:
        remedy = (
            "give these photographs a row of their own for the same folder, with their true dates and clockOffset, and let"
            " the dates of the other row stop or start there"
        )
        if shift is not None:
            proposal = (
                ("deploymentStart", (first + shift).isoformat()),
                ("deploymentEnd", (last + shift).isoformat()),
                *proposal,
            )
        remedy += "" if slips else f"; {exact}"
    return Finding(
        Kind.CLOCK,
        Severity.ERROR,
        deployment.deployment_id,
        "; ".join(parts),
        remedy,
        proposal,
        len(stretch.rows),
        _examples(media, stretch.rows),
    )


def _series(before: Stretch, after: Stretch, media: MediaColumns) -> bool:
    """Whether time-lapse and other photographs have files of their own, each series in its order."""
    lapse = [{media.capture_method[row] == "timeLapse" for row in item.rows.tolist()} for item in (before, after)]
    return lapse in ([{True}, {False}], [{False}, {True}])


def _set_back(deployment: Deployment, before: Stretch, after: Stretch, media: MediaColumns) -> Finding:
    """Describe a clock that was set while the camera was out, with both times possible."""
    amount = moment(before.last) - moment(after.first)
    far = amount > _DAY
    return Finding(
        Kind.CLOCK_SET_BACK,
        Severity.WARNING if far else Severity.NOTE,
        deployment.deployment_id,
        f"time runs back by at least {in_words(amount)} along the file numbers, from {stamp(moment(before.last))} to"
        f" {stamp(moment(after.first))}: somebody set the clock, or two cards or cameras are in one folder",
        "see which of the two is right; write a row of its own with clockOffset for the other",
        (),
        len(after.rows),
        _examples(media, np.concatenate([before.rows[-1:], after.rows[:2]])),
    )


def _known_offset(rows: Rows, media: MediaColumns) -> timedelta:
    """Return by how much these times are corrected already; what is proposed takes its place."""
    first = rows[np.argmin(media.timestamp[rows])]
    if np.isnat(media.recorded[first]):
        return timedelta(0)
    return moment(media.timestamp[first]) - moment(media.recorded[first])


def _span(times: Times) -> str:
    return f"{stamp(moment(times.min()))} to {stamp(moment(times.max()))}"


def _examples(media: MediaColumns, rows: Rows) -> tuple[str, ...]:
    return tuple(f"{media.card_name[row]}/{media.file_path[row]}" for row in rows[:_EXAMPLES].tolist())
