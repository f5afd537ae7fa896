"""What contradicts the deployments: photographs against dates, clocks, cards and cameras; sentences, nothing is changed."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import numpy as np

from ctwatch.deployments.assign import UNASSIGNED
from ctwatch.deployments.clock_checks import clock_findings, half_day, outside
from ctwatch.deployments.fields import window
from ctwatch.deployments.findings import Finding, Kind, Rows, Severity, counted, moment, some, stamp
from ctwatch.deployments.folders import telling
from ctwatch.deployments.silence import silence_findings
from ctwatch.deployments.table import DeploymentTable
from ctwatch.domain import Deployment, DeploymentSource
from ctwatch.survey import Survey, SurveyDeployment

_DAY = timedelta(days=1)
_NUMBERED_AT_ITS_PLACE = re.compile(r"(?i)(?:cam(?:era)?|c|k)?[ _.-]?(?:\d{1,2}|[a-z])")
"""cam1, C2, A: names that cameras have within a station, and share with those of other stations."""
_POOLED = re.compile(r"folders below are not told apart \(.*\); [^()]*(?:; |$)", re.DOTALL)
_ITS_DATES = re.compile(r"photographs of [0-9-]{10} lie outside its dates; correct these, or the clock(?:; |$)")
"""What `assign` says of the first photograph that does not fit; here all are looked at."""
_WORKING = {"camerafunctioning", "functioning", "ok", "yes", "true", "1", ""}
_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}


def check(survey: Survey, table: DeploymentTable | None) -> list[Finding]:
    """Hold the photographs of a survey against its deployments, worst first, then by deployment.

    `table` is the user's deployments table, None if there is none. Findings concern times (clocks, photographs outside
    dates or without a time), probable failures (silence), and what belongs to what (mapping, cards, cameras). None of
    them changes anything; what a correction would be stands in `proposal`, ready to paste.
    """
    places: dict[str, list[int]] = {}
    for row, deployment_id in enumerate(survey.media.deployment_id):
        places.setdefault(deployment_id, []).append(row)
    findings: list[Finding] = []
    for item in survey.deployments:
        rows = np.array(places.get(item.deployment.deployment_id, ()), dtype=np.int64)
        findings += _of_one(item, rows, survey, table)
    findings += _shared_cards(survey)
    findings += _camera_twice(survey.deployments)
    findings += _serial_twice(survey, places)
    return sorted(findings, key=lambda item: (_ORDER[item.severity], item.deployment_id or "", item.kind))


def _of_one(item: SurveyDeployment, rows: Rows, survey: Survey, table: DeploymentTable | None) -> Iterator[Finding]:
    deployment, media = item.deployment, survey.media
    yield from _mapping(deployment, table is not None and bool(table.rows), rows, survey)
    if not len(rows):
        yield Finding(
            Kind.NO_PHOTOGRAPHS,
            Severity.WARNING,
            deployment.deployment_id,
            "no photograph counts for it",
            "drop its card; if the card was lost or the camera stolen, take the row out, or its effort counts as nothing seen",
        )
        return
    if deployment.deployment_id.endswith(UNASSIGNED):
        return
    shifted = half_day(deployment, rows, media)
    wrong: Rows = np.empty(0, dtype=np.int64)
    if shifted is not None:
        yield shifted
    else:
        found, wrong = clock_findings(deployment, rows, media)
        yield from found
        right = np.setdiff1d(rows, wrong, assume_unique=True)
        yield from outside(deployment, right, media)
        if not len(wrong):
            yield from silence_findings(deployment, right, media)
    yield from _no_time(deployment, np.setdiff1d(rows, wrong, assume_unique=True), survey)
    yield from _said_to_fail(deployment)


def _mapping(deployment: Deployment, has_table: bool, rows: Rows, survey: Survey) -> Iterator[Finding]:
    flag, media = deployment.flag or "", len(rows)
    missing = has_table and deployment.source not in (DeploymentSource.TABLE, DeploymentSource.SERIAL)
    if missing:
        yield Finding(
            Kind.NOT_IN_TABLE,
            Severity.WARNING,
            deployment.deployment_id,
            f"{counted(media)} of a deployment that is not in the table",
            "add a row for it, or write the folder into the row that it is (column folder)",
            media=media,
        )
        flag = "; ".join(part for part in flag.split("; ") if part != "not in the deployments table")
    if _POOLED.search(flag):
        flag = _POOLED.sub("", flag)
        folders = _folders(rows, survey)
        if len(folders) > 1:
            yield Finding(
                Kind.FLAGGED,
                Severity.WARNING,
                deployment.deployment_id,
                f"its {counted(media)} lie in {len(folders)} folders, which are not told apart: {some(folders)}",
                "if they are of several cameras, drop them one by one, or give each a row with its folder in the"
                " deployments table",
                media=media,
            )
    flag = _ITS_DATES.sub("", flag).removesuffix("; ")
    if flag:
        sentence, remedy = flag, "a row with its folder in the deployments table settles where photographs belong"
        if deployment.deployment_id.endswith(UNASSIGNED):
            sentence = flag.removesuffix("; split them")
            remedy = "correct the dates in the table so that one deployment covers each, or name their folders in it"
        elif not missing and "; " in flag and deployment.source is not DeploymentSource.FOLDER:
            sentence, _, remedy = flag.rpartition("; ")
        yield Finding(Kind.FLAGGED, Severity.WARNING, deployment.deployment_id, sentence, remedy, media=media)


def _folders(rows: Rows, survey: Survey) -> list[str]:
    """Return the folders that a deployment's photographs lie in, cameras' own aside, in the order of names."""
    media = survey.media
    parents = {(media.card_name[row], media.file_path[row].rpartition("/")[0]) for row in rows.tolist()}
    return sorted({"/".join(telling([card, *parent.split("/")])) for card, parent in parents})


def _no_time(deployment: Deployment, rows: Rows, survey: Survey) -> Iterator[Finding]:
    media = survey.media
    without = rows[np.isnat(media.timestamp[rows]) | ~media.trusted[rows]]
    if not len(without):
        return
    reasons = Counter(media.timestamp_issue[row] or "no_timestamp" for row in without.tolist())
    why = some([f"{reason}: {number}" for reason, number in reasons.most_common()], 3)
    yield Finding(
        Kind.NO_TIME,
        Severity.WARNING,
        deployment.deployment_id,
        f"{len(without)} of {counted(len(rows))} have no time that counts ({why}); they are in no history",
        "if the clock was wrong, write clockOffset or a referencePhoto; if the files lost their time, copy the card anew",
        (),
        len(without),
        tuple(f"{media.card_name[row]}/{media.file_path[row]}" for row in without[:3].tolist()),
    )


def _said_to_fail(deployment: Deployment) -> Iterator[Finding]:
    for name, text in deployment.columns:
        plain = re.sub(r"[^a-z0-9]", "", text.lower())
        if name.lower().replace("_", "") == "camerafunctioning" and plain not in _WORKING and not deployment.outages:
            yield Finding(
                Kind.SAID_TO_FAIL,
                Severity.WARNING,
                deployment.deployment_id,
                f"{name} says {text!r}, but there is no outage: all its days count as effort",
                "write outage1From and outage1To",
            )


def _shared_cards(survey: Survey) -> Iterator[Finding]:
    """Find folders of a card whose photographs count for several deployments."""
    media = survey.media
    owners: dict[tuple[str, str], Counter[str]] = {}
    named: dict[tuple[str, str], str] = {}
    for row, (card, path) in enumerate(zip(media.card_name, media.file_path, strict=True)):
        key = (card, path.rpartition("/")[0])
        if key not in named:
            named[key] = "/".join(telling([card, *key[1].split("/")]))
        owners.setdefault((card, named[key]), Counter())[media.deployment_id[row]] += 1
    location_of = {item.deployment.deployment_id: item.deployment.location_id for item in survey.deployments}
    for (card, folder), counts in owners.items():
        if len(counts) < 2:
            continue
        places = {location_of.get(deployment_id, deployment_id) for deployment_id in counts}
        divided = some([f"{number} {deployment_id}" for deployment_id, number in counts.most_common()])
        odd = len(places) > 1 or any(deployment_id.endswith(UNASSIGNED) for deployment_id in counts)
        yield Finding(
            Kind.SHARED_CARD,
            Severity.WARNING if odd else Severity.NOTE,
            counts.most_common(1)[0][0],
            f"the photographs of {folder or card} are divided by time between several deployments ({divided})",
            "right if the card stayed in over a visit; if not, correct dates or clock",
            media=sum(counts.values()),
        )


def _camera_twice(deployments: Sequence[SurveyDeployment]) -> Iterator[Finding]:
    """Find cameras that the table has at two places at once."""
    cameras: dict[str, list[Deployment]] = {}
    for item in deployments:
        camera = item.deployment.camera_id
        if camera and not _NUMBERED_AT_ITS_PLACE.fullmatch(camera):
            cameras.setdefault(camera, []).append(item.deployment)
    for camera, items in cameras.items():
        spells = [(begin, end, item) for item in items for begin, end in [_whole(item)] if begin and end]
        yield from _twice(f"camera {camera!r}", spells, "correct cameraID or the dates", _DAY)


def _whole(deployment: Deployment) -> tuple[datetime | None, datetime | None]:
    return window(deployment.deployment_start, deployment.deployment_end, end_is_date=deployment.end_is_date)


def _serial_twice(survey: Survey, places: dict[str, list[int]]) -> Iterator[Finding]:
    """Find cameras that by the serial number in their photographs were at two places at once."""
    media = survey.media
    cameras: dict[str, list[tuple[datetime, datetime, Deployment]]] = {}
    for item in survey.deployments:
        spans: dict[str, list[int]] = {}
        for row in places.get(item.deployment.deployment_id, ()):
            serial = media.camera_serial[row]
            if serial and media.trusted[row] and not np.isnat(media.timestamp[row]):
                spans.setdefault(serial, []).append(row)
        for serial, rows in spans.items():
            times = media.timestamp[rows]
            spell = (moment(times.min()), moment(times.max()), item.deployment)
            cameras.setdefault(serial, []).append(spell)
    for serial, spells in cameras.items():
        yield from _twice(
            f"by their photographs, the camera of serial number {serial}",
            spells,
            "see whether a card is in the wrong folder, or a clock was wrong",
            timedelta(0),
        )


def _twice(
    camera: str, spells: Sequence[tuple[datetime, datetime, Deployment]], remedy: str, grace: timedelta
) -> Iterator[Finding]:
    ordered = sorted(spells, key=lambda spell: (spell[0], spell[1], spell[2].deployment_id))
    latest = None
    for spell in ordered:
        if latest is not None and spell[0] + grace < latest[1] and spell[2].location_id != latest[2].location_id:
            end = min(latest[1], spell[1])
            yield Finding(
                Kind.CAMERA_TWICE,
                Severity.WARNING,
                spell[2].deployment_id,
                f"{camera} is at {latest[2].location_id!r} ({latest[2].deployment_id}) and {spell[2].location_id!r}"
                f" ({spell[2].deployment_id}) at once, from {stamp(spell[0])} to {stamp(end)}",
                remedy,
            )
        if latest is None or spell[1] > latest[1]:
            latest = spell
