"""Clock offsets as people write them: what to add to a camera's time to have the actual one."""

import re
from datetime import datetime, timedelta

from ctwatch.domain import ClockPoint

_LONGEST = timedelta(days=366 * 100)
_HMS = r"(?P<hours>\d{1,6}):(?P<minutes>\d{2})(?::(?P<seconds>\d{2})(?P<fraction>\.\d{1,6})?)?"
_D = r"(?P<days>\d{1,6})\s*d(?:ays?)?"
_CLOCK = re.compile(rf"(?P<sign>[+-]?)\s*(?:{_D}[\s,]*)?{_HMS}", re.ASCII | re.IGNORECASE)
_DAYS = re.compile(rf"(?P<sign>[+-]?)\s*{_D}", re.ASCII | re.IGNORECASE)
_SECONDS = re.compile(r"(?P<sign>[+-]?)\s*(?P<seconds>\d{1,10})(?P<fraction>\.\d{1,6})?\s*(?:s|sec|seconds)?", re.ASCII)
_CAMTRAPR = re.compile(
    r"(?P<sign>[+-]?)(?P<years>\d{1,4}):(?P<months>\d{1,3}):(?P<days>\d{1,5})"
    r" (?P<hours>\d{1,5}):(?P<minutes>\d{1,4}):(?P<seconds>\d{1,6})",
    re.ASCII,
)
REMEDY = "write +01:00:00, -1d 02:00:00 or seconds, to be added to the camera's time"
ANCHOR = datetime(2000, 1, 1)
"""Where a fixed offset is noted down for a deployment without a start; a shift is the same everywhere."""


def read(text: str, sign: str, start: datetime | None) -> tuple[timedelta | None, str | None]:
    """Read an offset: (offset, what is wrong with it).

    Takes `+01:00:00`, `-1d 02:00:00`, `-3d`, seconds as `3600` or `-7.5`, and camtrapR's and ExifTool's
    `Y:m:d H:M:S`, whose sign camtrapR keeps in a column of its own (timeShiftTable). Years and months of that are as
    long as they are before the deployment's `start`.
    """
    if sign not in ("", "+", "-"):
        return None, f"has the sign {sign!r}; write + or -"
    years = months = 0
    if match := _CAMTRAPR.fullmatch(text):
        years, months = int(match["years"]), int(match["months"])
    elif not (match := _CLOCK.fullmatch(text) or _DAYS.fullmatch(text) or _SECONDS.fullmatch(text)):
        return None, f"is not an offset; {REMEDY}"
    parts = match.groupdict()
    if sign and parts["sign"]:
        return None, "has a sign of its own beside the column sign; leave one"
    if parts.get("hours") and match.re is not _CAMTRAPR and int(parts["minutes"]) > 59:
        return None, f"is not an offset; {REMEDY}"
    try:
        amount = timedelta(
            days=int(parts.get("days") or 0),
            hours=int(parts.get("hours") or 0),
            minutes=int(parts.get("minutes") or 0),
            seconds=int(parts.get("seconds") or 0),
            microseconds=int((parts.get("fraction") or ".0")[1:].ljust(6, "0")),
        )
    except OverflowError:
        return None, f"is not an offset; {REMEDY}"
    negative = "-" in (sign, parts["sign"])
    if years or months:
        if start is None:
            return None, "counts years or months, which need deploymentStart; write days"
        shifted = _months_away(start, (-1 if negative else 1) * -(12 * years + months))
        if shifted is None:
            return None, "leads to no possible time; write days"
        amount += abs(start - shifted)
    if amount > _LONGEST:
        return None, "is more than a hundred years; correct it"
    return -amount if negative else amount, None


def written(offset: timedelta) -> str:
    """Write an offset so that `read` and spreadsheets take it: `01:00:00`, `-1d 02:00:00`."""
    sign = "-" if offset < timedelta(0) else ""
    amount = abs(offset)
    hours, rest = divmod(amount.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    days = f"{amount.days}d " if amount.days else ""
    fraction = f".{amount.microseconds:06d}" if amount.microseconds else ""
    return f"{sign}{days}{hours:02d}:{minutes:02d}:{seconds:02d}{fraction}"


def fixed(offset: timedelta, start: datetime | None) -> tuple[ClockPoint, ...]:
    """Return the clock of a deployment that was wrong by one amount throughout."""
    actual = start or ANCHOR
    return (ClockPoint(actual - offset, actual),)


def _months_away(moment: datetime, months: int) -> datetime | None:
    """Return the moment a number of months away, on the last day of a month that is too short."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    for day in range(moment.day, 27, -1) if moment.day > 28 else (moment.day,):
        try:
            return moment.replace(year=year, month=month + 1, day=day)
        except ValueError:
            continue
    return None
