"""One row's outages and clock: columns that come numbered or exclude each other -> values, or what is wrong with them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from ctwatch.deployments import dates, offsets
from ctwatch.domain import ClockPoint, ClockReference, Outage

_DAY = timedelta(days=1)
_NOON = timedelta(hours=12)


@dataclass(slots=True)
class Row:
    """One line of the table, its filled cells by meaning."""

    line: int
    place: str
    """File and line, for sentences."""
    cells: dict[str, str] = field(default_factory=dict)
    """Camtrap DP's or our own name -> text."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The same names -> the table's own headers, for sentences."""
    series: dict[tuple[str, int, str], tuple[str, str]] = field(default_factory=dict)
    """(outage, 1, from) -> (header, text)."""
    columns: list[tuple[str, str]] = field(default_factory=list)
    """What is carried along, (name, text)."""
    start: datetime | None = None
    end: datetime | None = None
    start_is_date: bool = False
    end_is_date: bool = False

    def header(self, name: str) -> str:
        """Return how the table itself calls a column."""
        return self.headers.get(name, name)

    def time(self, header: str, text: str, order: dates.Order, problems: list[str]) -> tuple[datetime | None, bool]:
        """Read a cell as a time: (moment, whether it is a date); what is wrong with it is a problem."""
        value, is_date, problem = dates.read(text, order)
        if problem:
            problems.append(f"{self.place}: {header} {text!r} {problem}")
        return value, is_date


def window(
    start: datetime | None, end: datetime | None, *, end_is_date: bool
) -> tuple[datetime | None, datetime | None]:
    """Return the moments that a deployment lies between; a date without a time stands for its whole day."""
    return start, dates.next_day(end) if end is not None and end_is_date else end


def outages(row: Row, order: dates.Order, problems: list[str]) -> tuple[Outage, ...]:
    """Read a row's outages (camtrapR: Problem), in the order of time.

    Each has both ends, in order, within the deployment's dates, and none overlaps another (camtrapR refuses these too).
    """
    found: list[tuple[Outage, str]] = []
    for series, number in sorted({key[:2] for key in row.series if key[0] in ("outage", "problem")}):
        cell = {part: row.series.get((series, number, part), ("", "")) for part in ("from", "to", "note")}
        name = next(header for header, text in (cell["from"], cell["to"], cell["note"]) if text)
        if not cell["from"][1] or not cell["to"][1]:
            problems.append(
                f"{row.place}: {name} stands alone; an outage has a beginning and an end, write both or none"
            )
            continue
        start, start_is_date = row.time(*cell["from"], order, problems)
        end, end_is_date = row.time(*cell["to"], order, problems)
        if start is None or end is None:
            continue
        is_date = start_is_date and end_is_date
        if end_is_date and not is_date:
            end += _DAY
        if end < start or (end == start and not is_date):
            problems.append(f"{row.place}: {cell['to'][0]} is before {cell['from'][0]}; swap or correct them")
            continue
        outage = Outage(start, end, is_date, cell["note"][1] or None)
        if _outside(outage, row):
            problems.append(
                f"{row.place}: {cell['from'][0]} to {cell['to'][0]} is not within the deployment's dates; correct them"
            )
            continue
        found.append((outage, cell["from"][0]))
    found.sort(key=lambda item: item[0].start)
    for (before, first), (after, second) in pairwise(found):
        if after.start < before.end + (_DAY if before.is_date else timedelta(0)):
            problems.append(f"{row.place}: the outages of {first} and {second} overlap; make one of them")
    return tuple(outage for outage, _ in found)


def _outside(outage: Outage, row: Row) -> bool:
    """Whether an outage leaves the deployment; one of whole days may leave it within its first and last day."""
    first, last = window(row.start, row.end, end_is_date=row.end_is_date)
    if outage.is_date:
        first = first and datetime.combine(first.date(), datetime.min.time())
        early = first is not None and outage.start < first
        return early or (row.end is not None and outage.end.date() > row.end.date())
    return (first is not None and outage.start < first) or (last is not None and outage.end > last)


def clock(
    row: Row, order: dates.Order, problems: list[str]
) -> tuple[tuple[ClockPoint, ...], tuple[ClockReference, ...]]:
    """Read how wrong a row's clock was: a fixed offset, a drift from setup to retrieval, or reference photographs."""
    offset, at_end = row.cells.get("clockOffset"), row.cells.get("clockOffsetEnd")
    references = _references(row, order, problems)
    if references is not None and (offset or at_end):
        problems.append(f"{row.place}: an offset and reference photographs exclude each other; leave one of them")
        return (), ()
    if references is not None:
        return (), references
    if at_end and not offset:
        name = row.header("clockOffset")
        problems.append(f"{row.place}: {row.header('clockOffsetEnd')} without {name}; write 0 there if it began right")
        return (), ()
    if not offset:
        if row.cells.get("sign"):
            problems.append(
                f"{row.place}: {row.header('sign')} without {row.header('clockOffset')}; write both or none"
            )
        return (), ()
    sign = row.cells.get("sign", "")
    first = _offset(row, "clockOffset", sign, problems)
    if not at_end:
        return (offsets.fixed(first, row.start) if first is not None else ()), ()
    last = _offset(row, "clockOffsetEnd", sign, problems)
    if row.start is None or row.end is None:
        problems.append(
            f"{row.place}: {row.header('clockOffsetEnd')} needs both dates, for the clock drifted between them; write them"
        )
        return (), ()
    if first is None or last is None:
        return (), ()
    begin = row.start + (_NOON if row.start_is_date else timedelta(0))
    finish = row.end + (_NOON if row.end_is_date else timedelta(0))
    if begin >= finish or begin - first >= finish - last:
        problems.append(
            f"{row.place}: with {row.header('clockOffset')} and {row.header('clockOffsetEnd')} the clock would run"
            " backwards; correct them"
        )
        return (), ()
    return (ClockPoint(begin - first, begin), ClockPoint(finish - last, finish)), ()


def _offset(row: Row, name: str, sign: str, problems: list[str]) -> timedelta | None:
    text = row.cells[name]
    value, problem = offsets.read(text, sign, row.start)
    if problem:
        problems.append(f"{row.place}: {row.header(name)} {text!r} {problem}")
    return value


def _references(row: Row, order: dates.Order, problems: list[str]) -> tuple[ClockReference, ...] | None:
    """Return the photographs whose true time the row tells; None if it names none."""
    numbers = sorted({key[1] for key in row.series if key[0].startswith("reference")})
    if not numbers:
        return None
    found = []
    for number in numbers:
        photo = row.series.get(("referencephoto", number, ""))
        told = row.series.get(("referencetime", number, ""))
        if photo is None or told is None:
            there, lacking = (photo, "referenceTime") if photo else (told, "referencePhoto")
            suffix = "" if number == 1 else str(number)
            problems.append(f"{row.place}: {there[0] if there else ''} without {lacking}{suffix}; write both or none")
            continue
        value, is_date = row.time(*told, order, problems)
        if value is not None and is_date:
            problems.append(f"{row.place}: {told[0]} {told[1]!r} lacks the time of day; write 2026-05-31T14:00:00")
        elif value is not None:
            found.append(ClockReference(photo[1], value))
    return tuple(found)
