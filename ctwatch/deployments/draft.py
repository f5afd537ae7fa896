"""A deployments table from what was seen: to be completed by hand, with proposals as comments, none applied."""

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np

from ctwatch.deployments import dialects, offsets
from ctwatch.deployments.assign import UNASSIGNED
from ctwatch.deployments.cells import CONTROLS
from ctwatch.deployments.dates import YEARS
from ctwatch.deployments.findings import Finding, Kind, Rows, cell, some
from ctwatch.deployments.folders import composed, telling
from ctwatch.deployments.table import DeploymentTable
from ctwatch.domain import Deployment, DeploymentSource, Outage
from ctwatch.names import spreadsheet_safe
from ctwatch.survey import MediaColumns, Survey, SurveyDeployment

_FIRST = (
    "deploymentID", "locationID", "locationName", "latitude", "longitude", "cameraID", "cameraModel", "deploymentStart",
    "deploymentEnd", "folder",
)  # fmt: skip
_OPTIONAL = ("session", "clockOffset", "clockOffsetEnd")
_OF_DATES = r"deployment(Start|End)|clockOffset(End)?|outage.*"
_LONGEST = timedelta(days=3650)
_DAY = timedelta(days=1)


def draft(survey: Survey, findings: Sequence[Finding], table: DeploymentTable | None = None) -> str:
    """Return the text of a deployments.csv: one row for each deployment, what `parse_table` reads without a problem.

    What `table`, the table so far, says is kept. Else dates run from the first to the last photograph with a time that
    counts (none where the clock was wrong) and cameras are what the photographs say; coordinates are to be filled in.
    What `findings` propose stands in deploymentComments, for a person to take over or not. Photographs that no row could
    claim have none here.
    """
    items = [item for item in survey.deployments if not item.deployment.deployment_id.endswith(UNASSIGNED)]
    of_deployment: dict[str, list[int]] = {}
    for row, deployment_id in enumerate(survey.media.deployment_id):
        of_deployment.setdefault(deployment_id, []).append(row)
    doubtful = {finding.deployment_id for finding in findings if finding.kind is Kind.CLOCK}
    comments: dict[str, list[str]] = {}
    for finding in findings:
        if finding.deployment_id is not None and finding.proposal:
            cells = " ".join(f"{name}={value}" for name, value in finding.proposal)
            comments.setdefault(finding.deployment_id, []).append(f"PROPOSED: {cells} ({finding.sentence})")
    folders = _folders({name: np.array(rows, dtype=np.int64) for name, rows in of_deployment.items()}, survey.media)
    folders |= {row.deployment.deployment_id: row.folder for row in table.rows if row.folder} if table else {}
    ids = _different([item.deployment.deployment_id for item in items], _plain)
    places = _different([item.deployment.location_id for item in items], _one_underscore)
    lines = []
    for item in items:
        key = item.deployment.deployment_id
        rows = np.array(of_deployment.get(key, ()), dtype=np.int64)
        line = {
            "deploymentID": ids[key],
            "locationID": places[item.deployment.location_id],
            "folder": folders.get(key, ""),
            **_camera(item.deployment, rows, survey.media),
            **_sheet(item, doubtful=key in doubtful),
        }
        line["deploymentComments"] = _joined(
            line.get("deploymentComments", ""), _several(rows, survey.media), *comments.get(key, ())
        )
        lines.append(line)
    _clear_overlaps(lines)
    return _text(lines)


def _camera(deployment: Deployment, rows: Rows, media: MediaColumns) -> dict[str, str]:
    """Return the camera as the table has it, else as all its photographs do."""
    seen = [] if deployment.source is DeploymentSource.TABLE else [media.camera_serial[row] for row in rows.tolist()]
    return {
        "cameraID": _one_underscore(_only(deployment.camera_id, seen)),
        "cameraModel": _only(deployment.camera_model, _models(media, rows)),
    }


def _sheet(item: SurveyDeployment, *, doubtful: bool) -> dict[str, str]:
    """Return what the field sheet says, dates from the photographs where it says none."""
    deployment, location = item.deployment, item.location
    cells = {"locationName": location.location_name or "", "session": _one_underscore(deployment.session or "")}
    if location.latitude is not None and location.longitude is not None:
        cells |= {"latitude": repr(location.latitude), "longitude": repr(location.longitude)}
    start, end, note = deployment.deployment_start, deployment.deployment_end, ""
    if start is not None:
        cells["deploymentStart"] = _written(start, is_date=deployment.start_is_date)
    if end is not None:
        cells["deploymentEnd"] = _written(end, is_date=deployment.end_is_date)
    first, last = item.first_media, item.last_media
    if start is None and end is None and first is not None and last is not None:
        possible = first.year in YEARS and last.year in YEARS[:-1] and timedelta(0) <= last - first < _LONGEST
        if possible and not doubtful:
            cells["deploymentStart"] = cell(first)
            cells["deploymentEnd"] = cell(last + timedelta(seconds=1))
            note = "dates are those of the first and last photograph"
        else:
            note = f"photographs from {cell(first)} to {cell(last)}: see to the clock"
    cells |= _outages(deployment.outages) | _clock(deployment)
    cells |= {name: text for name, text in deployment.columns if name not in cells}
    cells["deploymentComments"] = _joined(cells.get("deploymentComments", ""), note)
    return cells


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _outages(outages: Sequence[Outage]) -> dict[str, str]:
    cells = {}
    for number, outage in enumerate(outages, 1):
        cells[f"outage{number}From"] = _written(outage.start, is_date=outage.is_date)
        cells[f"outage{number}To"] = _written(outage.end, is_date=outage.is_date)
        if outage.note:
            cells[f"outage{number}Note"] = outage.note
    return cells


def _clock(deployment: Deployment) -> dict[str, str]:
    """Write down the clock that a table gave: an offset, two for a drift, or reference photographs."""
    cells = {}
    for name, point in zip(("clockOffset", "clockOffsetEnd"), deployment.clock, strict=False):
        cells[name] = offsets.written(point.actual - point.recorded)
    for number, reference in enumerate(deployment.clock_references, 1):
        which = "" if number == 1 else str(number)
        cells[f"referencePhoto{which}"] = reference.file_name
        cells[f"referenceTime{which}"] = _written(reference.actual, is_date=False)
    return cells


def _written(at: datetime, *, is_date: bool) -> str:
    return f"{at:%Y-%m-%d}" if is_date else at.isoformat()


def _only(known: str | None, seen: Sequence[str | None]) -> str:
    """Return what the table says, else what all photographs say that say anything."""
    values = {value for value in seen if value}
    return known or (values.pop() if len(values) == 1 else "")


def _models(media: MediaColumns, rows: Rows) -> list[str]:
    """Return make and model as Camtrap DP has them in one cell (Reconyx-HF2X)."""
    pairs = {(media.camera_make[row], media.camera_model[row]) for row in rows.tolist()}
    return ["-".join(part.strip() for part in pair if part and part.strip()) for pair in pairs]


def _paths(rows: Rows, media: MediaColumns) -> set[tuple[str, ...]]:
    """Return the folders that photographs lie in, level by level, cameras' own folders aside."""
    parents = {(media.card_name[row], media.file_path[row].rpartition("/")[0]) for row in rows.tolist()}
    return {tuple(telling([card, *parent.split("/")])) for card, parent in parents}


def _folders(rows: Mapping[str, Rows], media: MediaColumns) -> dict[str, str]:
    """Return the folder that all photographs of a deployment lie in or below, where it is theirs alone.

    A folder above those of other deployments is theirs too if each of these has one further down, for the longest counts.
    """
    paths = {name: _paths(each, media) for name, each in rows.items()}
    found = {name: _common(each) for name, each in paths.items() if _common(each)}
    while True:
        doubtful = [
            name
            for name, folder in found.items()
            if paths[name] != {folder}
            and any(
                path[: len(folder)] == folder and len(found.get(other, ())) <= len(folder)
                for other, each in paths.items()
                for path in each
                if other != name
            )
        ]
        if not doubtful:
            break
        for name in doubtful:
            del found[name]
    texts = {name: "/".join(folder) for name, folder in found.items()}
    return {name: text for name, text in texts.items() if "\\" not in text and text == _plain(text)}


def _common(paths: set[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the levels that all paths begin with."""
    first, last = min(paths, default=()), max(paths, default=())
    same = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), None)
    return first[: min(len(first), len(last)) if same is None else same]


def _several(rows: Rows, media: MediaColumns) -> str:
    """Say in which folders photographs lie, if in several."""
    folders = sorted("/".join(path) for path in _paths(rows, media))
    if len(folders) < 2:
        return ""
    return f"photographs of {len(folders)} folders: {some(folders)}: a row for each if these are several cameras"


def _different(names: Sequence[str], change: Callable[[str], str]) -> Mapping[str, str]:
    """Return each name changed; different ones stay different."""
    given: dict[str, str] = {}
    taken = {name for name in names if change(name) == name}
    for name in names:
        if name in given:
            continue
        new = plain = change(name) or "unnamed"
        number = 2
        while new != name and new in taken:
            new = f"{plain}-{number}"
            number += 1
        taken.add(new)
        given[name] = new
    return given


def _plain(text: str) -> str:
    """Return text as it comes back from a cell: in one line, accents composed."""
    return composed(CONTROLS.sub(" ", text)).strip()


def _one_underscore(text: str) -> str:
    return re.sub("_{2,}", "_", _plain(text))


def _clear_overlaps(lines: Sequence[dict[str, str]]) -> None:
    """Take the dates out of rows of one camera and place that overlap, which no table may have, and say so."""
    spells: dict[tuple[str, str], list[dict[str, str]]] = {}
    for line in lines:
        if line["cameraID"] and "deploymentStart" in line and "deploymentEnd" in line:
            spells.setdefault((line["locationID"], line["cameraID"]), []).append(line)
    for members in spells.values():
        latest = ""
        for line in sorted(members, key=lambda line: line["deploymentStart"]):
            # ISO text sorts as the times do; a day's noon is when cameras are changed on days without a time.
            if _at(line["deploymentStart"]) < latest:
                gone = [name for name in line if re.fullmatch(_OF_DATES, name)]
                note = "overlaps another row of this camera: " + " ".join(f"{name}={line.pop(name)}" for name in gone)
                line["deploymentComments"] = _joined(line["deploymentComments"], note)
            else:
                latest = max(latest, _at(line["deploymentEnd"]))


def _at(text: str) -> str:
    return text if "T" in text else f"{text}T12:00:00"


def _text(lines: Sequence[Mapping[str, str]]) -> str:
    used = {name for line in lines for name, text in line.items() if text}
    header = [*_FIRST, *(name for name in _OPTIONAL if name in used)]
    numbered = [name for name in used if re.fullmatch(r"(?:outage\d+|reference(?:Photo|Time))\D*\d*", name)]
    header += sorted(numbered, key=_by_number)
    header += [name for name in dialects.CAMTRAP_DP if name in used - {*header, "deploymentComments"}]
    header.append("deploymentComments")
    covariates = list(
        dict.fromkeys(name for line in lines for name in line if name in used - {*header, "deploymentComments"})
    )
    header += covariates
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([_cell(name) for name in _headers(header, covariates)])
    writer.writerows([_cell(line.get(name, "")) for name in header] for line in lines)
    return out.getvalue()


def _headers(header: Sequence[str], covariates: Sequence[str]) -> list[str]:
    """Return the columns' names, those of covariates changed where they would be taken for another column."""
    named: list[str] = []
    taken = {dialects.plain(name) for name in header if name not in covariates}
    for name in header:
        new = _plain(name)
        if name in covariates:
            columns, _, problems, _ = dialects.columns(["deploymentID", new], "")
            if problems or columns[1].name or columns[1].series:
                new = f"covariate {new}"
            number = 2
            while dialects.plain(new) in taken or not dialects.plain(new):
                new = f"covariate {_plain(name)} {number}"
                number += 1
            taken.add(dialects.plain(new))
        named.append(new)
    return named


def _by_number(name: str) -> tuple[str, int, int]:
    digits = re.sub(r"\D", "", name)
    part = next(at for at, word in enumerate(("From", "To", "Note", "Photo", "Time")) if word in name)
    return name[:6], int(digits or 1), part


def _cell(text: str) -> str:
    """Return a cell in one line that no spreadsheet runs; numbers stay numbers."""
    plain = CONTROLS.sub(" ", text).strip()
    return plain if re.fullmatch(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", plain) else spreadsheet_safe(plain)
