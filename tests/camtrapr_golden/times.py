"""Dates and times as R reads them and as it counts in them."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

_PARTS = {
    "Y": r"(?P<Y>\d{4})", "y": r"(?P<y>\d{2})", "m": r"(?P<m>\d{1,2})", "d": r"(?P<d>\d{1,2})", "e": r"\s*(?P<d>\d{1,2})",
    "H": r"(?P<H>\d{1,2})", "M": r"(?P<M>\d{1,2})", "S": r"(?P<S>\d{1,2})(?:\.\d+)?", "b": r"(?P<b>[A-Za-z]+)",
    "B": r"(?P<b>[A-Za-z]+)", "I": r"(?P<H>\d{1,2})", "p": r"(?P<p>[AaPp][Mm])",
}  # fmt: skip
_WHOLE = {"F": "%Y-%m-%d", "T": "%H:%M:%S", "R": "%H:%M", "D": "%m/%d/%y", "OS": "%S"}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


@cache
def pattern(layout: str) -> re.Pattern[str]:
    """R's strptime format (with %), or lubridate's orders (without), as a regular expression."""
    if "%" in layout:
        for short, long in _WHOLE.items():
            layout = layout.replace("%" + short, long)
        text = re.sub(r"\s+", r"\\s*", re.escape(layout).replace(r"\ ", " "))
        return re.compile(r"\s*" + re.sub("%(.)", lambda found: _PARTS[found[1]], text))
    parts = [_PARTS["H" if part == "I" else part] for part in re.sub(r"[^YymdHMSbBIp]", "", layout.replace("T", ""))]
    parts = [r"(?P<y>\d{4}|\d{2})" if part in (_PARTS["Y"], _PARTS["y"]) else part for part in parts]
    return re.compile(r"\s*" + r"[^0-9A-Za-z]*[T]?[^0-9A-Za-z]*".join(parts) + r"\s*Z?$")


def moment(text: str, layouts: str | Sequence[str]) -> datetime:
    """Read a date or a date-time in one of R's layouts; raises ValueError."""
    for layout in [layouts] if isinstance(layouts, str) else layouts:
        found = pattern(layout).match(text)
        if found is None:
            continue
        got = found.groupdict()
        year = int(got.get("Y") or got.get("y") or 0)
        if year < 100:
            year += 2000 if year < 69 else 1900
        month = _MONTHS.index(got["b"][:3].lower()) + 1 if got.get("b") else int(got["m"])
        hour = int(got.get("H") or 0)
        if got.get("p"):
            hour = hour % 12 + (12 if got["p"].lower() == "pm" else 0)
        return datetime(year, month, int(got["d"]), hour, int(got.get("M") or 0), int(got.get("S") or 0))
    raise ValueError(f"{text!r} is not {layouts!r}")


def guessed(texts: Iterable[str], layouts: str | Sequence[str] | None) -> list[datetime]:
    """Read dates in the layout given, or else in the first of the usual ones that reads them all.

    Where lubridate reads date-times, camtrapR lets it do without the seconds, the minutes or the whole time.
    """
    texts = list(texts)
    tried: list[str | Sequence[str]] = [layouts] if layouts else []
    if isinstance(layouts, str) and "%" not in layouts and "H" in layouts:
        orders = re.sub("[^A-Za-z]", "", layouts)
        tried.append([orders, *(orders[:-cut] for cut in range(1, min(4, len(orders) - 2))), "ymd"])
    for layout in [*tried, "ymd", "dmy", "mdy", "ymd HMS", "ymd HM", "dmy HMS", "dmy HM"]:
        try:
            return [moment(text, layout) for text in texts]
        except ValueError:
            continue
    raise ValueError(f"{texts[:1]} can be read in no usual layout")


@dataclass(frozen=True, slots=True)
class Zone:
    """A time zone as R counts in it: seconds pass however clocks are set."""

    name: str | None
    base: datetime
    """Times are told on the clock that is right at this local time."""

    def offset(self, local: datetime) -> timedelta:
        """How far local clocks are ahead of `base`'s at a local time."""
        if not self.name or self.name in ("UTC", "GMT"):
            return timedelta()
        place = ZoneInfo(self.name)
        ahead, base = local.replace(tzinfo=place).utcoffset(), self.base.replace(tzinfo=place).utcoffset()
        return (ahead or timedelta()) - (base or timedelta())

    def exists(self, local: datetime) -> bool:
        """Whether clocks ever show a local time; an hour is left out in spring."""
        if not self.name:
            return True
        place = ZoneInfo(self.name)
        return local.replace(tzinfo=place).astimezone(UTC).astimezone(place).replace(tzinfo=None) == local

    def day_in_utc(self, local: datetime) -> date:
        """The day that R 4.2 takes from a time where camtrapR names no zone."""
        return local.replace(tzinfo=ZoneInfo(self.name or "UTC")).astimezone(UTC).date()

    def steady(self, moments: Iterable[datetime | None]) -> NDArray[np.datetime64]:
        """Local times on `base`'s clock; NaT for those that do not exist."""
        told = [item - self.offset(item) if item is not None and self.exists(item) else None for item in moments]
        return np.array(["NaT" if item is None else item for item in told], dtype="datetime64[us]")
