"""Deployments: the table that people keep, which files belong to which row, what contradicts it, and a first draft of it."""

from ctwatch.deployments.assign import UNASSIGNED, Mapping, assign, covers, of_table
from ctwatch.deployments.covariates import site_covariates
from ctwatch.deployments.dialects import CAMTRAP_DP, camtrap_dp_value
from ctwatch.deployments.folders import DEFAULT_PATTERN, compile_pattern, is_generic
from ctwatch.deployments.table import DeploymentTable, TableRow, parse_table

__all__ = [
    "CAMTRAP_DP",
    "DEFAULT_PATTERN",
    "UNASSIGNED",
    "DeploymentTable",
    "Mapping",
    "TableRow",
    "assign",
    "camtrap_dp_value",
    "compile_pattern",
    "covers",
    "is_generic",
    "of_table",
    "parse_table",
    "site_covariates",
]
