"""The configuration: sections of options, and their reading from config.toml."""

from ctwatch.config.reading import as_toml, load, parse
from ctwatch.config.sections import BUNDLED, Config

__all__ = ["BUNDLED", "Config", "as_toml", "load", "parse"]
