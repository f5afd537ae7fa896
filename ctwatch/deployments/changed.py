"""Whether the deployments table is still the one that photographs were mapped with."""

from dataclasses import replace

from ctwatch.deployments.assign import UNASSIGNED, of_table
from ctwatch.deployments.findings import Finding, Kind, Severity, some
from ctwatch.deployments.folders import telling
from ctwatch.deployments.table import DeploymentTable
from ctwatch.domain import Deployment, DeploymentSource, Location
from ctwatch.survey import Survey


def changed(survey: Survey, table: DeploymentTable) -> Finding | None:
    """Return what to tell if the table is not the one that photographs were mapped with; None if it is.

    What it says now is then in no result yet. `survey` is as published, `table` the user's deployments table as it is now.
    """
    mapped = {
        item.deployment.deployment_id: _as_said(item.deployment, item.location)
        for item in survey.deployments
        if item.deployment.source is DeploymentSource.TABLE and not item.deployment.deployment_id.endswith(UNASSIGNED)
    }
    said = {item.deployment_id: _as_said(item, location) for item, location in of_table(table)}
    others = {item.deployment.deployment_id for item in survey.deployments} - mapped.keys()
    names = {name for name in {**said, **mapped} if name not in others and said.get(name) != mapped.get(name)}
    names |= _newly_claimed(survey, table)
    if not names:
        return None
    return Finding(
        Kind.TABLE_CHANGED,
        Severity.ERROR,
        None,
        f"the deployments table was changed since the photographs were mapped with it ({some(sorted(names))});"
        " all else that is said here is about how they were mapped before",
        "run `ctwatch rederive`, then check again",
    )


def _as_said(deployment: Deployment, location: Location) -> tuple[Deployment, Location]:
    """Return a deployment as its row has it: without what photographs said, and with the points of references left out."""
    clock = () if deployment.clock_references else deployment.clock
    return replace(deployment, source=DeploymentSource.TABLE, flag=None, clock=clock), location


def _newly_claimed(survey: Survey, table: DeploymentTable) -> set[str]:
    """Return deployments whose row names a folder with photographs that count for something not of the table."""
    rows = {row.folder.lower(): row.deployment.deployment_id for row in table.rows if row.folder}
    mapped = {
        item.deployment.deployment_id for item in survey.deployments if item.deployment.source is DeploymentSource.TABLE
    }
    media = survey.media
    folders = {
        (card, path.rpartition("/")[0])
        for card, path, name in zip(media.card_name, media.file_path, media.deployment_id, strict=True)
        if name not in mapped
    }
    paths = {"/".join(telling([card, *parent.split("/")])).lower() for card, parent in folders}
    return {name for folder, name in rows.items() if any(f"{path}/".startswith(f"{folder}/") for path in paths)}
