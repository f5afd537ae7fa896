"""What the file says about its time -> one timestamp, where it came from and whether it can be trusted."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from ctwatch.domain import NO_TIMESTAMP, Timestamp, TimestampSource

_NUMBERS = re.compile(
    r"^\s*(\d{4})[:\-/.](\d{1,2})[:\-/.](\d{1,2})[ T]+(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d+))?)?", re.ASCII
)
_XMP_FIELDS = ("exif:DateTimeOriginal", "photoshop:DateCreated", "xmp:CreateDate", "xap:CreateDate")
_IN_NAME = re.compile(
    r"(?<!\d)((?:19|20)\d{2})[-_.]?(0[1-9]|1[0-2])[-_.]?([0-2]\d|3[01])"
    r"[-_ T.]{0,2}([01]\d|2[0-3])[-_.:h]?([0-5]\d)[-_.:m]?([0-5]\d)(?!\d)",
    re.ASCII,
)
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
"""Random digits that can look like a date."""
_FUTURE_TOLERANCE = timedelta(days=1)


def timestamp(
    tags: Mapping[TimestampSource, str],
    sub_seconds: Mapping[TimestampSource, str],
    *,
    xmp: str,
    file_name: str,
    file_time: datetime | None,
    earliest_year: int,
    now: datetime,
) -> Timestamp:
    """Climb down the ladder DateTimeOriginal, DateTimeDigitized, DateTime, XMP, file name, file time.

    The first rung with a possible time from `earliest_year` to a day after `now` is taken; what was passed over and
    why is the issue. If no rung can be trusted, the first that was at least a date is returned, not trusted. `file_time` is None
    unless the user permitted it: a copied file's time says when it was copied.
    """
    passed_over: list[str] = []
    doubtful: Timestamp | None = None
    for source, text, fraction in _rungs(tags, sub_seconds, xmp, file_name, file_time):
        value = parse(text, fraction)
        if value is None:
            passed_over.append(f"{source}: not a time: {text.strip()[:40]!r}")
            continue
        problem = None
        if value.year < earliest_year:
            problem = f"before {earliest_year}"
        elif value > now + _FUTURE_TOLERANCE:
            problem = "in the future"
        if problem is None:
            return Timestamp(value, source, trusted=True, issue="; ".join(passed_over) or None)
        passed_over.append(f"{source}: {value:%Y-%m-%d %H:%M:%S} is {problem}")
        doubtful = doubtful or Timestamp(value, source, trusted=False)
    if doubtful is not None:
        return Timestamp(doubtful.value, doubtful.source, trusted=False, issue="; ".join(passed_over))
    return Timestamp(None, None, trusted=False, issue="; ".join(passed_over)) if passed_over else NO_TIMESTAMP


def parse(text: str, sub_second: str = "") -> datetime | None:
    """Parse an EXIF or ISO 8601 date-time without its zone; None if it is impossible or blank.

    A zone, where one is written, is dropped: cameras write one that they were never told (HyperFire 2 writes 0).
    """
    match = _NUMBERS.match(text)
    if not match:
        return None
    year, month, day, hour, minute = (int(part) for part in match.groups()[:5])
    second = int(match[6] or 0)
    beside = sub_second.strip(" \x00")
    digits = match[7] or (beside if beside.isascii() and beside.isdigit() else "")
    microsecond = int(digits[:6].ljust(6, "0")) if digits else 0
    try:
        return datetime(year, month, day, hour, minute, second, microsecond)
    except ValueError:
        return None


def from_file_name(name: str) -> datetime | None:
    """Read a date and time of day written in a file name (camtrapR's `2009-04-10__05-07-00`, `20210531082538`)."""
    match = _IN_NAME.search(_UUID.sub("", name))
    if not match:
        return None
    try:
        return datetime(*(int(part) for part in match.groups()))  # type: ignore[arg-type]
    except ValueError:
        return None


def from_xmp(packet: str) -> str | None:
    """Return the text of the first capture time in an XMP packet; searched, not parsed, so no XML can be hostile."""
    for name in _XMP_FIELDS:
        match = re.search(re.escape(name) + r"(?:\s*=\s*[\"']|>)\s*([0-9T:.+\-Z ]{10,40})", packet)
        if match:
            return match[1]
    return None


def _rungs(
    tags: Mapping[TimestampSource, str],
    sub_seconds: Mapping[TimestampSource, str],
    xmp: str,
    file_name: str,
    file_time: datetime | None,
) -> Iterator[tuple[TimestampSource, str, str]]:
    for source in (
        TimestampSource.DATE_TIME_ORIGINAL,
        TimestampSource.DATE_TIME_DIGITIZED,
        TimestampSource.DATE_TIME,
    ):
        text = tags.get(source, "")
        if text.strip(" :\x00"):
            yield source, text, sub_seconds.get(source, "")
    in_xmp = from_xmp(xmp) if xmp else None
    if in_xmp:
        yield TimestampSource.XMP, in_xmp, ""
    in_name = from_file_name(file_name)
    if in_name:
        yield TimestampSource.FILE_NAME, in_name.isoformat(sep=" "), ""
    if file_time is not None:
        yield TimestampSource.FILE_TIME, file_time.isoformat(sep=" "), ""
