"""Pieces of the page: elements and drawings that escape what they are given, tables with headers, texts of numbers.

Names come from strangers. Text becomes markup nowhere but in `element`, and there it is escaped; only what is `Markup`
already is taken as it is. No piece carries a style attribute, so that the page's policy can forbid them.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from html import escape

from ctwatch.names import storable

NOTHING = "–"
_VOID = ("img", "meta", "br")


class Markup(str):
    """HTML or SVG that is safe to put into a page."""

    __slots__ = ()


Content = str | Iterable[str]


def element(name: str, /, *content: Content, **attributes: str | float | None) -> Markup:
    """Return an element; texts in it and its attributes are escaped, attributes that are None are left out.

    `css` stands for class; underscores in names of attributes stand for hyphens.
    """
    inside = "".join(_safe(piece) for part in content for piece in ([part] if isinstance(part, str) else part))
    written = ""
    for key, value in attributes.items():
        if value is not None:
            told = value if isinstance(value, str) else plain(value)
            written += f' {"class" if key == "css" else key.replace("_", "-")}="{escape(clean(told, 2**30))}"'
    return Markup(f"<{name}{written}>" if name in _VOID else f"<{name}{written}>{inside}</{name}>")


def join(*parts: str) -> Markup:
    """Return parts one after the other, texts among them escaped."""
    return Markup("".join(map(_safe, parts)))


def clean(text: str, most: int = 400) -> str:
    """Return text without control and direction marks, at most so long: what is left reads as it stands."""
    kept = "".join(
        mark if unicodedata.category(mark) not in ("Cc", "Cf", "Cs") else "\ufffd" for mark in storable(text)
    )
    return kept if len(kept) <= most else kept[: most - 1] + "…"


def plain(value: float) -> str:
    """Return a number for a drawing: at most two decimals, no trailing zeros."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def number(value: float | None, digits: int = 0) -> str:
    """Return a number for people, thousands parted by thin spaces; a dash for none."""
    return NOTHING if value is None else f"{value:,.{digits}f}".replace(",", "\u202f")


def camera_days(value: float) -> str:
    """Return camera-days for people, to a tenth, of many whole ones."""
    return number(value, 0 if value >= 100 or value == round(value) else 1)


def share(part: float | None) -> str:
    """Return a share as a percentage; the small and the nearly whole are not rounded away."""
    if part is None:
        return NOTHING
    if 0 < part < 0.01:
        return "<1\u202f%"
    return ">99\u202f%" if 0.99 < part < 1 else f"{100 * part:.0f}\u202f%"


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun: 1 photograph, 2 photographs."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def day(value: date | None) -> str:
    """Return a date as people of every country read it."""
    return NOTHING if value is None else value.isoformat()


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    name: str
    text: bool = False
    """Left-aligned and may be broken; numbers are right-aligned and are not."""


def table(columns: Sequence[Column], body: Iterable[Sequence[str]], caption: str) -> Markup:
    """Return a table that may be scrolled sideways, what it tells above it; the first cell of each row is its header."""
    head = element(
        "tr", [element("th", column.name, scope="col", css=None if column.text else "number") for column in columns]
    )
    lines = []
    for row in body:
        cells = [
            element("td" if at else "th", cell, scope=None if at else "row", css=None if columns[at].text else "number")
            for at, cell in enumerate(row)
        ]
        lines.append(element("tr", cells))
    whole = element("table", element("thead", head), element("tbody", lines), aria_label=caption)
    # A caption inside would be as wide as the table, and on a phone be cut off with it.
    return join(element("p", caption, css="note"), scroll(whole, caption))


def scroll(content: Markup, says: str) -> Markup:
    """Return content that may be scrolled sideways where it is too wide, by keys too."""
    return element("div", content, css="scroll", tabindex=0, role="region", aria_label=says)


def svg(title: str, says: str, *content: Content, css: str, **attributes: str | float | None) -> Markup:
    """Return a drawing that can be read aloud: a title and a sentence of what it shows."""
    return element(
        "svg", element("title", title), element("desc", says), *content, role="img", css=css,
        aria_label=f"{title}. {says}", xmlns="http://www.w3.org/2000/svg", **attributes,
    )  # fmt: skip


def bar(part: float | None, css: str = "bar") -> Markup:
    """Return a small bar of a share, 0..1, to stand in a cell."""
    if part is None:
        return Markup("")
    width = plain(100 * min(1.0, max(0.0, part)))
    return element(
        "svg", element("rect", width="100%", height="100%", css="rest"),
        element("rect", width=f"{width}%", height="100%"), css=css, aria_hidden="true",
    )  # fmt: skip


def text_width(text: str, size: float) -> float:
    """Return about how wide a text is drawn, in pixels; rather too wide, for no label may touch another."""
    return sum(1.0 if unicodedata.east_asian_width(mark) in "WF" else 0.64 for mark in text) * size


def shortened(text: str, most: int) -> str:
    """Return a label of at most so many characters, fit to be drawn."""
    tidy = " ".join(clean(text).split())
    return tidy if len(tidy) <= most else tidy[: most - 1].rstrip() + "…"


def _safe(piece: str) -> str:
    return piece if isinstance(piece, Markup) else escape(clean(piece, 4000))
