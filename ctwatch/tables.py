"""The user's own tables, read from disk: which folder belongs to which deployment, and the full names of labels."""

import csv
import io
from collections.abc import Mapping as Names
from pathlib import Path

from ctwatch import taxonomy
from ctwatch.config import Config
from ctwatch.deployments import DeploymentTable, Mapping, parse_table
from ctwatch.errors import ConfigError
from ctwatch.survey import Taxon


def load_mapping(config: Config) -> Mapping:
    """Read the deployments table, if one is configured; raises ConfigError with every problem in it."""
    table = DeploymentTable()
    if config.deployments.table:
        path = config.path(config.deployments.table)
        table = parse_table(_text(path, "deployments.table"), str(path))
    return Mapping(table, config.deployments.pattern())


def load_taxa(config: Config) -> Names[str, Taxon]:
    """Read the full names of labels, if a table of them is configured; raises ConfigError with every problem in it."""
    if not config.project.taxa:
        return {}
    path = config.path(config.project.taxa)
    rows = csv.reader(io.StringIO(_text(path, "project.taxa"), newline=""))
    try:
        return taxonomy.parse(list(rows), str(path))
    except csv.Error as error:
        raise ConfigError([f"{path} line {rows.line_num}: not CSV ({error}); check the quotes"]) from error


def _text(path: Path, option: str) -> str:
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read ({error.strerror}); correct {option}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: not UTF-8 text; save it as CSV UTF-8"]) from error
