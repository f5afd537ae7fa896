"""The effort calendar: a row per location, a mark per day: worked, in part, not at all, assumed."""

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ctwatch.page.html import Markup, counted, element, number, plain, scroll, shortened, svg, text_width
from ctwatch.survey_figures.tables import Calendar, DayState

STATES = (
    (DayState.WORKING, "working", "working the whole day"),
    (DayState.PARTIAL, "partial", "part of the day: setup, retrieval, outage"),
    (DayState.OUTAGE, "outage", "set up, not working"),
    (DayState.ASSUMED, "assumed", "assumed: between first and last photograph"),
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_HEAD = 30
_WIDTHS = ((45, "narrow"), (130, "medium"), (420, "wide"), (900, "wider"))


def draw(calendar: Calendar, camera_days: tuple[float, ...]) -> Markup:
    """Draw a calendar that has days; its rows are as high as the number of locations leaves room for."""
    count, days = calendar.states.shape
    row = 18 if count <= 24 else 14 if count <= 45 else 10
    font = min(12.0, row - 1.0)
    names = [shortened(name, 17) for name in calendar.location_ids]
    wide = round(min(132.0, 12 + max(text_width(name, font) for name in names)))
    height = _HEAD + count * row + 4
    labels = [
        element("text", name, x=wide - 6, y=_HEAD + (at + 0.5) * row + font * 0.36, font_size=font, css="label")
        for at, name in enumerate(names)
    ]
    lines = [
        _row(calendar.states[at], _HEAD + at * row, row, f"{name}: {number(worked, 1)} camera-days")
        for at, (name, worked) in enumerate(zip(names, camera_days, strict=True))
    ]
    first = calendar.first_day or date.min
    says = f"{counted(count, 'location')}, {counted(days, 'day')} from {first.isoformat()}."
    size = next((css for most, css in _WIDTHS if days <= most), "widest")
    names_drawn = element("svg", labels, css="names", width=wide, height=height, aria_hidden="true")
    marks = svg(
        "Effort calendar", says, list(_months(first, days, height)), lines,
        css=f"days {size}", width="100%", height=height,
    )  # fmt: skip
    return element("div", names_drawn, scroll(marks, "Effort calendar"), css="calendar")


def legend() -> Markup:
    """Return what the marks mean."""
    items = []
    for state, css, says in STATES:
        top, tall = _mark(state, 12)
        key = element("svg", element("rect", y=top, width=22, height=tall, css=css), css="key", aria_hidden="true")
        items.append(element("li", key, says))
    return element("ul", items, css="legend")


def _mark(state: int, row: int) -> tuple[float, float]:
    """Top within the row and height of a mark: states differ by shape, not by colour alone."""
    whole = row - 2.0
    tall = {DayState.PARTIAL: whole * 0.55, DayState.OUTAGE: max(3.0, whole * 0.28)}.get(DayState(state), whole)
    return 1 + (whole - tall) / 2, tall


def _row(states: NDArray[np.uint8], y: float, row: int, says: str) -> Markup:
    """Draw the days of a location, neighbours alike as one mark; positions in percent, so that it fits any width."""
    days = len(states)
    edges = [0, *(np.flatnonzero(np.diff(states)) + 1).tolist(), days]
    marks = [element("rect", y=y + 1, width="100%", height=row - 2, css="none")]
    for first, end in pairwise(edges):
        state = int(states[first])
        if state != DayState.NONE:
            top, tall = _mark(state, row)
            css = next(css for known, css, _ in STATES if known == state)
            marks.append(
                element(
                    "rect", x=_percent(first, days), y=y + top, width=_percent(end - first, days), height=tall, css=css
                )
            )
    return element("g", element("title", says), marks)


def _months(first: date, days: int, height: float) -> Iterator[Markup]:
    """Lines and names of months, of weeks in a short survey; years above them."""
    year = None
    for at, moment in _ticks(first, days):
        x = _percent(at, days)
        yield element("line", x1=x, x2=x, y1=_HEAD - 4, y2=height, css="month")
        month = _MONTHS[moment.month - 1]
        name = f"{moment.day} {month}" if days <= 70 else "" if days > 2600 else month
        # A name that begins near the right edge would be cut off there.
        if at <= days * 0.95:
            yield element("text", name, x=x, y=_HEAD - 8, css="month")
            if moment.year != year:
                yield element("text", str(moment.year), x=x, y=10, css="year")
        year = moment.year


def _ticks(first: date, days: int) -> Iterator[tuple[int, date]]:
    if days <= 70:
        step = 1 if days <= 10 else 7
        for at in range(0, days, step):
            yield at, first + timedelta(days=at)
        return
    every = 1 if days <= 800 else 3 if days <= 2600 else 12
    for at in range(days):
        moment = first + timedelta(days=at)
        if moment.day == 1 and (moment.month - 1) % every == 0:
            yield at, moment


def _percent(part: float, whole: float) -> str:
    return f"{plain(round(100 * part / whole, 2))}%"
