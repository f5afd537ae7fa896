"""Folder names: what people named, what cameras make by themselves, and the pattern that names are read with."""

import re
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from ctwatch.deployments.dates import YEARS
from ctwatch.errors import ConfigError
from ctwatch.names import storable

_DATE = r"(?:\d{8}|\d{4}[-_.]\d{2}[-_.]\d{2}|\d{1,2}-[A-Za-z]{3}-\d{4})"
DEFAULT_PATTERN = (
    r"(?P<location>[^_/]+)"
    rf"(?:[_/](?P<camera>(?!{_DATE}(?!\d))[^_/]+))?"
    rf"(?:[_/](?P<date>{_DATE}(?:(?:_to_|[-_]{{1,2}}){_DATE})?))?"
)
"""LOCATION[_CAMERA][_DATE[-DATE]] in one folder name or over two folder levels."""
_GENERIC = re.compile(r"(?i:dcim|misc|private|images?|photos?)|[1-9]\d\d[A-Z_][A-Z0-9_]{3,4}")
"""Folders that cameras make by themselves: DCIM, 100RECNX, 101RCNX, 100MEDIA, 100_BTCF, 100EK113 ..."""


def is_generic(folder: str) -> bool:
    """Whether cameras make folders of this name, so that it can neither name nor split a deployment."""
    return _GENERIC.fullmatch(folder) is not None


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a folder pattern; raises ConfigError unless it is a regular expression with a group `location`."""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigError([f"deployments.folder_pattern is not a regular expression: {error}"]) from error
    if "location" not in compiled.groupindex:
        raise ConfigError(
            ["deployments.folder_pattern has no group (?P<location>...): add it around the location's name"]
        )
    return compiled


def telling(folders: Sequence[str]) -> list[str]:
    """Return the folders that people named, fit for the database: not a camera's own, nor anything below a DCIM."""
    names: list[str] = []
    for folder in folders:
        if folder.strip().lower() == "dcim":
            break
        name = composed(storable(folder)).strip()
        if name and not is_generic(name):
            names.append(name)
    return names


def composed(text: str) -> str:
    """Return text with accents as one character each, for macOS writes folder names with two."""
    return unicodedata.normalize("NFC", text)


def folder_date_fits(text: str | None, taken: datetime) -> bool:
    """Whether a photograph can belong to a folder with such a date: not before it, nor after the end of a span."""
    dates = [date for part in re.findall(_DATE, text or "") if (date := _folder_date(part)) is not None]
    if not dates:
        return True
    before = taken < min(dates) - timedelta(days=1)
    return not before and not (len(dates) > 1 and taken >= max(dates) + timedelta(days=2))


def _folder_date(text: str) -> datetime | None:
    for layout in ("%Y%m%d", "%Y-%m-%d", "%Y_%m_%d", "%Y.%m.%d", "%d-%b-%Y"):
        with suppress(ValueError):
            date = datetime.strptime(text, layout)
            return date if date.year in YEARS else None
    return None
