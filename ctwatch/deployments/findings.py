"""What a check of deployments finds: a sentence, how bad it is, and a correction ready to paste, never one applied."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class Severity(StrEnum):
    """How much of the results hangs on it."""

    ERROR = "error"
    """Times or places in the results are wrong as it stands."""
    WARNING = "warning"
    """Effort or mapping is probably wrong; somebody has to look."""
    NOTE = "note"
    """Worth knowing."""


class Kind(StrEnum):
    """What was found."""

    CLOCK = "clock"
    """A stretch of photographs at a time that cannot be."""
    CLOCK_SET_BACK = "clock_set_back"
    OUTSIDE = "outside_dates"
    NO_TIME = "no_time"
    SILENT_END = "silent_end"
    SILENT_START = "silent_start"
    SILENT_DAYS = "silent_days"
    """Days without the time-lapse photographs of the others."""
    SAID_TO_FAIL = "said_to_fail"
    NO_PHOTOGRAPHS = "no_photographs"
    NOT_IN_TABLE = "not_in_table"
    FLAGGED = "flagged"
    SHARED_CARD = "shared_card"
    CAMERA_TWICE = "camera_twice"
    TABLE_CHANGED = "table_changed"
    """Since the photographs were mapped with it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that contradicts the deployments, or that they leave open."""

    kind: Kind
    severity: Severity
    deployment_id: str | None
    """None: of the survey as a whole."""
    sentence: str
    remedy: str
    proposal: tuple[tuple[str, str], ...] = ()
    """(column, cell) of the deployments table, ready to paste; empty where nothing can be proposed."""
    media: int = 0
    """Photographs concerned."""
    examples: tuple[str, ...] = ()
    """Some of them, card and path."""


def together(findings: Sequence[Finding]) -> list[Finding]:
    """Return findings for people: those that say the same of many deployments are one, at the place of the first."""
    alike: dict[tuple[object, ...], list[Finding]] = {}
    for item in findings:
        key: tuple[object, ...] = (item.kind, item.severity, item.sentence, item.remedy)
        if item.proposal or item.examples or item.deployment_id is None:
            key = (id(item),)
        alike.setdefault(key, []).append(item)
    return [
        replace(
            items[0],
            deployment_id=some([str(item.deployment_id) for item in items])
            if len(items) > 1
            else items[0].deployment_id,
            media=sum(item.media for item in items),
        )
        for items in alike.values()
    ]


def in_words(amount: timedelta) -> str:
    """Return a length of time for people: `43 days`, `5.5 hours`, `12 minutes`, `30 seconds`."""
    seconds = abs(amount.total_seconds())
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            number = f"{seconds / length:.1f}".removesuffix(".0")
            return f"{number} {unit}{'' if number == '1' else 's'}"
    return f"{seconds:.0f} seconds"


def some(names: Sequence[str], most: int = 5) -> str:
    """Return the first names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def stamp(moment: datetime) -> str:
    """Return a time for people, to the second."""
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def cell(moment: datetime) -> str:
    """Return a time for a table, to the second."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}"


def moment(value: np.datetime64) -> datetime:
    """Return one time of a column that is not NaT."""
    result: datetime = value.astype("datetime64[us]").item()
    return result


def counted(number: int, what: str = "photograph") -> str:
    """Return `1 photograph`, `12 photographs`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


Times = NDArray[np.datetime64]
Rows = NDArray[np.int64]
