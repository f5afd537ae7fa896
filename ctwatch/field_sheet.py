"""The deployments table against what was photographed: findings, a draft, the table of another program's package."""

from pathlib import Path

from ctwatch.config import Config
from ctwatch.deployments import DeploymentTable
from ctwatch.deployments.changed import changed
from ctwatch.deployments.checks import check
from ctwatch.deployments.draft import draft
from ctwatch.deployments.findings import Finding
from ctwatch.exchange import load_survey
from ctwatch.imports.packages import deployments_text
from ctwatch.tables import load_mapping


def findings(config: Config) -> tuple[list[Finding], tuple[str, ...]]:
    """Say everything that does not fit between the deployments table and the photographs, as it was last mapped with.

    Also returns what was assumed in reading the table.
    """
    table, survey = _table(config), load_survey(config)
    if table is None:
        return check(survey, None), ()
    stale = changed(survey, table)
    return [*([stale] if stale else []), *check(survey, table)], table.notes


def draft_text(config: Config) -> str:
    """Return a deployments table made from what was seen, to be completed by hand."""
    survey, table = load_survey(config), _table(config)
    return draft(survey, check(survey, table), table)


def _table(config: Config) -> DeploymentTable | None:
    return load_mapping(config).table if config.deployments.table else None


def table_of_package(package: Path) -> str:
    """Return the deployments of a Camtrap DP package as a deployments table."""
    return deployments_text(package)
