"""Dates of a deployments table: ISO, or day and month in the order that the table itself proves, never a guess."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from ctwatch.timeline import parse as parse_time

YEARS = range(1990, 2101)
REMEDY = "write 2026-05-31 or 2026-05-31T14:00:00"
_CLOCK = r"(?P<clock>[ T]\s*\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:\s?(?:Z|[+-]\d{2}:?\d{2}))?)?"
_YEAR_FIRST = re.compile(r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})" + _CLOCK, re.ASCII)
_YEAR_LAST = re.compile(
    r"(?P<first>\d{1,2})(?P<mark>[-/.])(?P<second>\d{1,2})(?P=mark)(?P<year>\d{4})" + _CLOCK, re.ASCII
)
_NAMED_MONTH = re.compile(r"(?P<day>\d{1,2})[- /.](?P<word>[A-Za-z]{3,9})[- /.](?P<year>\d{4})" + _CLOCK, re.ASCII)
_ZONE = re.compile(r":\d{2}(?:\.\d+)?\s?(?:Z|[+-]\d{2}:?\d{2})$", re.ASCII)
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Order:
    """In which order the table writes day and month where the year comes last."""

    day_first: bool | None = None
    """None: nothing in the table tells."""
    both: bool = False
    """Some cells can only be day first, others only month first."""


def order_of(cells: Iterable[str]) -> Order:
    """Find the order of day and month in all dates of a table: a number above 12 is a day."""
    day_first = month_first = False
    for cell in cells:
        if match := _YEAR_LAST.fullmatch(cell.strip()):
            day_first |= int(match["first"]) > 12 >= int(match["second"])
            month_first |= int(match["second"]) > 12 >= int(match["first"])
    if day_first and month_first:
        return Order(both=True)
    return Order(day_first if day_first or month_first else None)


def read(text: str, order: Order) -> tuple[datetime | None, bool, str | None]:
    """Read one cell: (moment, whether it is a date without a time, what is wrong with it).

    A date is the midnight that it begins with. A zone is dropped, for cameras know none.
    """
    if match := _YEAR_FIRST.fullmatch(text):
        numbers = match["year"], match["month"], match["day"]
    elif match := _NAMED_MONTH.fullmatch(text):
        months = [number for number, name in enumerate(_MONTHS, 1) if name.startswith(match["word"].lower())]
        if len(months) != 1:
            return None, False, f"is not a time; {REMEDY}"
        numbers = match["year"], str(months[0]), match["day"]
    elif match := _YEAR_LAST.fullmatch(text):
        if order.both:
            return None, False, f"is day first or month first, and other lines say both; {REMEDY}"
        if order.day_first is None:
            return None, False, f"can be day first or month first, and no day above 12 tells which; {REMEDY}"
        day, month = (match["first"], match["second"]) if order.day_first else (match["second"], match["first"])
        numbers = match["year"], month, day
    else:
        return None, False, f"is not a time; {REMEDY}"
    clock = match["clock"]
    value = parse_time("-".join(numbers) + (f" {clock.strip(' T')}" if clock else " 00:00:00"))
    if value is None:
        return None, clock is None, f"is not a time; {REMEDY}"
    if value.year not in YEARS:
        return None, clock is None, "has no possible year; correct it, or leave an open end empty"
    return value, clock is None, None


def has_zone(text: str) -> bool:
    """Whether a time says which zone it is of."""
    return _ZONE.search(text.strip()) is not None


def next_day(moment: datetime) -> datetime:
    """Return the midnight after a moment."""
    return datetime.combine(moment.date(), datetime.min.time()) + _DAY
