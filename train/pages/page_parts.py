"""Pieces of an HTML page: elements that escape what they are given, tables, pictures, and the style of the page.

Labels, paths and names come from strangers. Text becomes markup nowhere but in `element`, and there it is escaped; only
what is `Markup` already is taken as it is.
"""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from .findings import NOTHING, interval, share
from .plots import clean


class Markup(str):
    """HTML that is safe to put into a page."""

    __slots__ = ()


Content = str | Iterable[str]


def element(name: str, /, *content: Content, **attributes: str | int | None) -> Markup:
    """Return an element; texts in it and its attributes are escaped, attributes that are None are left out.

    Args:
        name: Of the element.
        content: Texts, markup, or lists of these.
        attributes: `css` stands for class; underscores stand for hyphens.
    """
    inside = "".join(_safe(piece) for part in content for piece in ([part] if isinstance(part, str) else part))
    given = {("class" if key == "css" else key.replace("_", "-")): value for key, value in attributes.items()}
    written = "".join(
        f' {key}="{escape(clean(str(value), 2**30))}"' for key, value in given.items() if value is not None
    )
    return Markup(f"<{name}{written}>" if name in ("img", "meta", "br") else f"<{name}{written}>{inside}</{name}>")


def _safe(piece: str) -> str:
    return piece if isinstance(piece, Markup) else escape(clean(piece, 2000))


def join(*parts: str) -> Markup:
    """Return parts one after the other, texts among them escaped."""
    return Markup("".join(_safe(part) for part in parts))


def svg(picture: bytes, says: str, *, wide: bool = False) -> Markup:
    """Return an SVG drawing of `plots` in place, with what it shows in words; a wide one may be scrolled sideways."""
    drawing = Markup(picture.decode("utf-8").replace("<svg ", '<svg role="img" ', 1))
    return element("figure", element("div", drawing, css="wide" if wide else "drawing"), element("figcaption", says))


def jpeg(picture: bytes, says: str) -> Markup:
    """Return a JPEG inside the page, with what it shows in words."""
    source = f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"
    return element("figure", element("img", src=source, alt=says), element("figcaption", says))


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table."""

    text: str
    span: int = 1
    css: str = ""
    bar: float | None = None
    """A share to be drawn behind the text."""


Row = Sequence[Cell | str]


def table(heads: Sequence[Row], rows: Iterable[Row], *, left: int = 1, says: str = "") -> Markup:
    """Return a table that may be scrolled sideways; the first `left` columns are text, the others numbers.

    A row of one cell that spans several columns is a heading between the rows.
    """
    head = element(
        "thead", [element("tr", [_cell(cell, "th", at, left) for at, cell in enumerate(row)]) for row in heads]
    )
    body = element("tbody", [_row(row, left) for row in rows])
    drawn = element("div", element("table", head, body), css="wide")
    return join(element("p", says, css="sub"), drawn) if says else drawn


def _row(row: Row, left: int) -> Markup:
    alone = len(row) == 1 and isinstance(row[0], Cell) and row[0].span > 1
    whole = next((cell.css for cell in row if isinstance(cell, Cell) and cell.css in ("faint", "best")), None)
    cells = [_cell(cell, "th" if at == 0 else "td", at, left) for at, cell in enumerate(row)]
    return element("tr", cells, css="between" if alone else whole)


def _cell(cell: Cell | str, name: str, at: int, left: int) -> Markup:
    known = cell if isinstance(cell, Cell) else Cell(cell)
    css = " ".join(
        filter(None, ("" if at < left and known.span == 1 else "number" if known.span == 1 else "group", known.css))
    )
    style = None if known.bar is None else f"--part:{100 * known.bar:.1f}%"
    return element(
        name, known.text, css=css or None, style=style, colspan=known.span if known.span > 1 else None
    )  # fmt: skip


def details(title: str, *content: Content) -> Markup:
    """Return a part that is folded until somebody opens it, and unfolded on paper."""
    return element("details", element("summary", title), *content)


def paragraphs(*texts: str) -> Markup:
    """Return texts as paragraphs."""
    return join(*(element("p", text) for text in texts if text))


def bullets(items: Iterable[Content]) -> Markup:
    """Return a list."""
    return element("ul", [element("li", item) for item in items])


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with a fixed count of digits; a dash for none."""
    return NOTHING if value is None else f"{value:.{digits}f}"


def with_interval(value: float | None, ends: list[float] | None) -> str:
    """Return a share with its 95 % interval in brackets."""
    return share(value) if ends is None else f"{share(value)} ({interval(ends)})"


STYLE = """
:root{color-scheme:light dark;--paper:#fdfdfb;--ink:#1b1f23;--faint:#6a7178;--rule:#dcdfe1;--soft:#f2f4f3;
--part-colour:rgba(43,140,196,.22);--warn:#a33a12;--warn-soft:#fbeee6;--link:#1f6f9f}
@media(prefers-color-scheme:dark){:root{--paper:#16191d;--ink:#e6e8ea;--faint:#9aa1a8;--rule:#343a40;--soft:#1f2429;
--part-colour:rgba(43,140,196,.4);--warn:#ff9d6e;--warn-soft:#33211a;--link:#7cc0e6}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:80rem;padding:1.5rem 1.25rem 4rem;background:var(--paper);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif;overflow-wrap:anywhere}
h1{font-size:1.75rem;line-height:1.2;margin:.5rem 0 .25rem}
h2{font-size:1.35rem;margin:2.75rem 0 .75rem;padding-top:.75rem;border-top:2px solid var(--rule)}
h3{font-size:1.08rem;margin:1.9rem 0 .5rem}
p,ul,.wide,figure{margin:.65rem 0}
ul{padding-left:1.25rem}li{margin:.25rem 0}
a{color:var(--link)}
p,li,dd,figcaption{max-width:62rem}
.sub,figcaption{color:var(--faint);font-size:.88rem}
.shout{border:3px solid var(--warn);background:var(--warn-soft);padding:.9rem 1.1rem;font-size:1.15rem;font-weight:700;
color:var(--warn)}
.answer{border-left:4px solid #2b8cc4;background:var(--soft);padding:.75rem 1.1rem;margin:1rem 0}
.answer dt{font-weight:700;margin-top:.5rem}.answer dd{margin:0 0 .4rem}
.grave{color:var(--warn);font-weight:600}
.wide{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;font-size:.84rem;line-height:1.35;font-variant-numeric:tabular-nums;overflow-wrap:normal}
th,td{padding:.22rem .5rem;border-bottom:1px solid var(--rule);text-align:left;vertical-align:top;white-space:nowrap}
tbody th{font-weight:400;white-space:normal;min-width:10rem;max-width:22rem;overflow-wrap:anywhere}
tr.between th{max-width:none}
thead th{font-weight:600;vertical-align:bottom;border-bottom:2px solid var(--rule)}
.number{text-align:right}.group{text-align:center;border-left:1px solid var(--rule)}
.paper{white-space:normal;max-width:16rem}
.first{border-left:1px solid var(--rule)}
tr.between th{font-weight:600;background:var(--soft);text-align:left;border-left:0}
tr.faint>*{color:var(--faint)}small{color:var(--faint);font-size:.74rem;font-weight:400}
td[style]{background:linear-gradient(to right,var(--part-colour) var(--part),transparent var(--part))}
.best th,.best td{font-weight:600}
figure{max-width:100%}
.drawing svg{max-width:100%;height:auto}.wide svg{max-width:none}
svg text{font-family:inherit!important}
img{max-width:100%;height:auto;border:1px solid var(--rule)}
details{margin:.8rem 0}summary{cursor:pointer;color:var(--link);font-weight:600}
.side{display:flex;flex-wrap:wrap;gap:0 2rem;align-items:flex-start}.side>*{flex:0 1 auto;max-width:100%}
nav{font-size:.9rem;margin:.75rem 0;display:flex;flex-wrap:wrap;gap:.25rem 1rem}
code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.86em}
@media print{body{max-width:none;padding:0;font-size:10pt;background:#fff}nav{display:none}table{font-size:7pt}
th,td{padding:.1rem .3rem;white-space:normal}.wide{overflow:visible}.wide svg{max-width:100%;height:auto}h2{break-before:page}
figure,tr{break-inside:avoid}h2,h3{break-after:avoid}details::details-content{content-visibility:visible}}
"""
