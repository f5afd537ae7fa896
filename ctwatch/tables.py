"""The user's own tables, read from disk: which folder belongs to which deployment."""

from ctwatch.config import Config
from ctwatch.deployments import DeploymentTable, Mapping, parse_table
from ctwatch.errors import ConfigError


def load_mapping(config: Config) -> Mapping:
    """Read the deployments table, if one is configured; raises ConfigError with every problem in it."""
    table = DeploymentTable()
    if config.deployments.table:
        path = config.path(config.deployments.table)
        try:
            text = path.read_text("utf-8-sig")
        except OSError as error:
            raise ConfigError([f"{path}: cannot be read ({error.strerror}); correct deployments.table"]) from error
        except UnicodeDecodeError as error:
            raise ConfigError([f"{path}: not UTF-8 text; save it as CSV UTF-8"]) from error
        table = parse_table(text, str(path))
    return Mapping(table, config.deployments.pattern())
