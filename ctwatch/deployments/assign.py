"""Which deployment and location a file belongs to: the deployments table, else the folder's name, never a guess in silence."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ctwatch.clocks import correct_one
from ctwatch.deployments.dates import next_day
from ctwatch.deployments.folders import folder_date_fits, telling
from ctwatch.deployments.table import DeploymentTable, TableRow
from ctwatch.domain import Deployment, DeploymentSource, Location
from ctwatch.names import storable

_NAMELESS = "unnamed"
_POOLED = "folders below are not told apart ({}); drop them one by one, or name them in a deployments table"

UNASSIGNED = " unassigned"
"""Ends the name of the deployment that holds photographs which no row of the table, or several, can claim."""


@dataclass(frozen=True, slots=True)
class Mapping:
    """How files map to deployments: the table first, then the pattern for folder names."""

    table: DeploymentTable
    pattern: re.Pattern[str]


def assign(
    mapping: Mapping,
    *,
    inbox_name: str,
    folders: Sequence[str],
    serial: str | None,
    taken: datetime | None,
    trusted: bool = True,
) -> tuple[Deployment, Location]:
    """Map one file to its deployment and location.

    `folders` are the card's name and the folders below it, outermost first; `inbox_name` alone names the place where
    they are all a camera's own. `taken`, as the camera wrote it, chooses between deployments of one location, put
    right with the clock of each of them; a time that is not `trusted` counts only for those whose clock is known to
    have been wrong. What was not certain is in the deployment's `flag`.
    """
    named = telling(folders)
    flag = None
    if mapping.table.rows:
        rows, source = _candidates(mapping, named, serial)
        if rows:
            return _chosen(mapping, rows, source, taken, trusted=trusted)
        flag = "not in the deployments table"
    if not trusted:
        taken = None
    for levels in (named[:2], named[:1]):
        match = mapping.pattern.fullmatch("/".join(levels)) if levels else None
        groups = match.groupdict() if match else {}
        location_id = (groups.get("location") or "").strip()
        if location_id:
            parts = [location_id, groups.get("camera"), groups.get("date")]
            deployment_id = "_".join(part for part in parts if part)
            camera = groups.get("camera")
            if flag is None and taken is not None and not folder_date_fits(groups.get("date"), taken):
                flag = f"the folder says {groups['date']}, photographs say {taken:%Y-%m-%d}; check the camera's clock"
            if flag is None and len(named) > len(levels):
                flag = _POOLED.format("/".join(named))
            return _from_name(deployment_id, location_id, DeploymentSource.PATTERN, flag, camera)
    if named:
        reason = flag or "folder name does not match the pattern; taken whole as the location"
        reason += f"; {_POOLED.format('/'.join(named))}" if len(named) > 1 else ""
        return _from_name(named[0], named[0], DeploymentSource.FOLDER, reason)
    place = next(iter(telling([inbox_name])), storable(inbox_name).strip() or _NAMELESS)
    reason = "no folder names a location; named after the inbox"
    return _from_name(place, place, DeploymentSource.INBOX, f"{flag}; {reason}" if flag else reason)


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
    mapping: Mapping,
    rows: Sequence[TableRow],
    source: DeploymentSource,
    taken: datetime | None,
    *,
    trusted: bool,
) -> tuple[Deployment, Location]:
    """Choose by time between several rows; one row alone is it, whatever the clock says."""
    deployments = [row.deployment for row in rows]
    times = {item.deployment_id: _actual(item, taken, trusted=trusted) for item in deployments}
    covering = [item for item in deployments if (at := times[item.deployment_id]) is not None and covers(item, at)]
    if len(covering) > 1:
        # The day of a card swap belongs to both; dates without a time turn at noon, as effort does.
        by_noon = [item for item in covering if (at := times[item.deployment_id]) and _covers_by_noon(item, at)]
        covering = by_noon or covering
    if len(deployments) == 1 or len(covering) == 1:
        chosen = covering[0] if len(covering) == 1 else deployments[0]
        at = times[chosen.deployment_id]
        if source is not DeploymentSource.TABLE:
            chosen = replace(chosen, source=source)
        if at is not None and not covering and not chosen.clock_references:
            chosen = replace(
                chosen, flag=f"photographs of {at:%Y-%m-%d} lie outside its dates; correct these, or the clock"
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
        return (start is None or moment >= start) and moment < next_day(end)
    return (start is None or moment >= start) and (end is None or moment <= end)


def _actual(deployment: Deployment, taken: datetime | None, *, trusted: bool) -> datetime | None:
    """Return when a photograph was really taken if it is this deployment's; None if its time says nothing."""
    if taken is None or not (trusted or deployment.clock):
        return None
    return correct_one(taken, deployment.clock)


def _covers_by_noon(deployment: Deployment, moment: datetime) -> bool:
    start, end = deployment.deployment_start, deployment.deployment_end
    if start is not None and deployment.start_is_date:
        start += timedelta(hours=12)
    if end is not None and deployment.end_is_date:
        end += timedelta(hours=12)
    return (start is None or moment >= start) and (end is None or moment < end)


def _from_name(
    deployment_id: str, location_id: str, source: DeploymentSource, flag: str | None, camera: str | None = None
) -> tuple[Deployment, Location]:
    return Deployment(deployment_id, location_id, source, camera_id=camera, flag=flag), Location(location_id)
