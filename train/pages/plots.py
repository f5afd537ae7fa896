"""Draws what is measured: curves, diagrams and matrices as SVG for the page or PNG for a file, the same bytes each time.

Drawn by matplotlib's own canvases, which is imported when something is drawn and never opens a window. In SVG the ink is
`currentColor`, so that a page's colours, light or dark, are those of its pictures; colours are told apart by all common
kinds of colour blindness, and every line has a form of its own besides.
"""

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..fitting.journal import read

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Form = Literal["svg", "png"]
ORANGE, BLUE, GREEN, PURPLE = "#d9661f", "#2b8cc4", "#139b74", "#b565a7"
"""After Okabe and Ito (2008), at least 3.4 to 1 against both white and a dark page."""
SHOWN_LABELS = 60
"""A confusion matrix of more labels cannot be read; the rows with most items are drawn."""
_INK, _WHITE = "#1b1f23", "#ffffff"
_SETTINGS: Any = {
    "svg.fonttype": "none", "svg.hashsalt": "ctwatch", "text.parse_math": False, "axes.unicode_minus": False,
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 9.5,
    "axes.titlesize": 10, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.labelsize": 9.5,
    "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.8, "axes.grid": True,
    "grid.color": _INK, "grid.alpha": 0.14, "grid.linewidth": 0.7, "lines.linewidth": 1.7, "lines.markersize": 4,
    "text.color": _INK, "axes.labelcolor": _INK, "axes.edgecolor": _INK, "axes.titlecolor": _INK,
    "xtick.color": _INK, "ytick.color": _INK, "xtick.labelsize": 8.5, "ytick.labelsize": 8.5,
    "legend.frameon": False, "legend.fontsize": 8.5, "legend.labelcolor": _INK,
    "figure.facecolor": _WHITE, "axes.facecolor": "none", "savefig.facecolor": "auto",
}  # fmt: skip
_TAG, _DIGITS = re.compile(r"<[^>]*>"), re.compile(r"(\.\d\d)\d+")
_NAMED = re.compile(
    r' id="(?:figure|axes|patch|line2d|xtick|ytick|text|matplotlib\.axis|legend|FillBetweenPolyCollection)_?\d*"'
)
UNREADABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff]")
"""Signs that are not seen, or that turn the others round, and halves of pairs that nothing can store."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a diagram: what was measured on one part of the photographs."""

    name: str
    values: Any
    """What the function that draws it says."""
    colour: str = ORANGE
    dashed: bool = False


def clean(text: str, most: int = 200) -> str:
    """Return a text of strangers to be shown: what cannot be seen becomes a mark, and what is too long is cut."""
    seen = UNREADABLE.sub("\ufffd", text)
    return seen if len(seen) <= most else seen[: most - 1] + "…"


def training_curve(log: Path, form: Form = "png") -> bytes:
    """Draw loss, and accuracy and macro recall, over the epochs of a training's `log.csv`."""
    rows = read(log)
    epochs = [row["epoch"] for row in rows]
    with _drawing((8.2, 3.3), 2) as (figure, (left, right)):
        lines = (
            (left, "train_loss", "training", BLUE, "--"),
            (left, "validation_loss", "validation", ORANGE, "-"),
            (right, "train_accuracy", "training, accuracy", BLUE, "--"),
            (right, "validation_accuracy", "validation, accuracy", ORANGE, "-"),
            (right, "validation_macro_recall", "validation, macro recall", GREEN, ":"),
        )
        for axes, column, name, colour, style in lines:
            values = np.array([row[column] for row in rows], np.float64)
            values[~np.isfinite(values)] = np.nan
            axes.plot(epochs, values, style, color=colour, label=name, marker="o" if len(rows) < 25 else None)
        left.set(title="Loss", xlabel="epoch", ylim=(0, None))
        right.set(title="Right answers", xlabel="epoch", ylim=(0, 1.02))
        for axes in (left, right):
            axes.locator_params(axis="x", integer=True)
            axes.legend()
        _percent(right, "y")
        return _bytes(figure, form)


def confusion(labels: Sequence[str], matrix: Sequence[Sequence[float]], form: Form = "svg") -> bytes:
    """Draw a confusion matrix, every row as shares of its items.

    Args:
        labels: K names, rows and columns.
        matrix: (K, K) counts, rows are the truth. Rows without items are left out, columns are not; of more than
            `SHOWN_LABELS` labels the ones with most items are drawn.
        form: Of the picture.
    """
    counts = np.asarray(matrix, np.float64).reshape(len(labels), len(labels))
    sums = counts.sum(axis=1)
    columns = np.sort(np.argsort(-sums, kind="stable")[:SHOWN_LABELS])
    rows = columns[sums[columns] > 0]
    shares = counts[np.ix_(rows, columns)] / sums[rows][:, None]
    cell = 0.46 if len(columns) <= 14 else 0.3 if len(columns) <= 30 else 0.2
    names = [clean(label, 24) for label in labels]
    margin = 0.35 + 0.075 * max((len(name) for name in names), default=1)
    size = (len(columns) * cell + margin + 0.6, max(1, len(rows)) * cell + margin + 0.5)
    with _drawing(size, 1) as (figure, (axes,)):
        from matplotlib.colors import LinearSegmentedColormap, PowerNorm
        from matplotlib.patches import Rectangle

        # From nothing at all, so that the page shows through, and steeply at first, so that rare mistakes are seen.
        colours = LinearSegmentedColormap.from_list("share", [(0.17, 0.55, 0.77, 0.0), (0.17, 0.55, 0.77, 1.0)])
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        if len(rows):
            axes.imshow(shares, cmap=colours, norm=PowerNorm(0.6, 0, 1), aspect="equal", interpolation="none")
        axes.set_xticks(range(len(columns)), [names[at] for at in columns], rotation=90)
        axes.set_yticks(range(len(rows)), [f"{names[at]}  {int(sums[at]):,}" for at in rows])
        axes.tick_params(length=0, labelsize=8.5 if cell > 0.25 else 7)
        axes.set(xlabel="answer", ylabel="truth, and how many")
        axes.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(len(rows) + 1) - 0.5, minor=True)
        axes.grid(visible=True, which="minor", alpha=0.12, linewidth=0.5)
        axes.tick_params(which="minor", length=0)
        if len(columns) <= 30:
            for row, column in zip(*np.nonzero(np.round(shares * 100)), strict=True):
                share = f"{shares[row, column] * 100:.0f}"
                axes.text(column, row, share, ha="center", va="center", size=8 if cell > 0.4 else 6.5)
        for row, label in enumerate(rows):
            corner = (float(np.searchsorted(columns, label)) - 0.5, row - 0.5)
            axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=_INK, linewidth=0.9, alpha=0.6, clip_on=False))
        return _bytes(figure, form)


def reliability(before: Mapping[str, Any], after: Mapping[str, Any], form: Form = "svg") -> bytes:
    """Draw how often answers of a given confidence are right, before and after temperature scaling.

    Args:
        before: `bins` of `low`, `high`, `n`, `confidence`, `accuracy` (None where n is 0), and `ece` or None.
        after: The same.
        form: Of the picture.
    """
    with _drawing((7.4, 3.6), 2) as (figure, both):
        for axes, name, cell, colour in zip(
            both, ("Before calibration", "After"), (before, after), (PURPLE, GREEN), strict=True
        ):
            bins = [each for each in cell["bins"] if each["n"] and each["accuracy"] is not None]
            total = sum(each["n"] for each in bins) or 1
            axes.plot([0, 1], [0, 1], ":", color=_INK, linewidth=1, alpha=0.7)
            for each in bins:
                axes.bar(
                    each["low"], each["n"] / total, each["high"] - each["low"], align="edge", color=_INK, alpha=0.12
                )
            axes.plot(
                [each["confidence"] for each in bins],
                [each["accuracy"] for each in bins],
                "-o",
                color=colour,
                clip_on=False,
            )
            error = "" if cell["ece"] is None else f", ECE {cell['ece']:.3f}"
            axes.set(title=name + error, xlabel="confidence", ylabel="right", xlim=(0, 1), ylim=(0, 1), aspect="equal")
            _percent(axes, "x")
            _percent(axes, "y")
        both[1].set_ylabel("")
        return _bytes(figure, form)


def risk_coverage(series: Sequence[Series], form: Form = "svg") -> bytes:
    """Draw the share of wrong answers among the surest against how many those are.

    Args:
        series: `values` has the lists `coverage` and `risk`, and `aurc`.
        form: Of the picture.
    """
    with _drawing((5.4, 3.5), 1) as (figure, (axes,)):
        for each in series:
            name = f"{each.name}: area {each.values['aurc']:.3f}"
            axes.plot(each.values["coverage"], each.values["risk"], label=clean(name), **_line(each))
        axes.set(xlabel="answered, the surest first", ylabel="wrong among them", xlim=(0, 1), ylim=(0, None))
        _percent(axes, "x")
        _percent(axes, "y")
        axes.legend(loc="best")
        return _bytes(figure, form)


def thresholds(series: Sequence[Series], form: Form = "svg") -> bytes:
    """Draw accuracy and coverage against the confidence that is asked for (Norouzzadeh et al. 2018, Fig. 5 and 6).

    Args:
        series: `values` are rows with `threshold`, `coverage`, `top1` (None where nothing is kept) and `top1_95`.
        form: Of the picture.
    """
    with _drawing((8.6, 3.6), 2) as (figure, (left, right)):
        for each in series:
            rows = [row for row in each.values if row["coverage"] is not None]
            steps = np.arange(len(rows))
            line = _line(each)
            kept = [(step, row) for step, row in zip(steps, rows, strict=True) if row["top1"] is not None]
            at = [step for step, _ in kept]
            left.plot(at, [row["top1"] for _, row in kept], marker=".", **line)
            if not each.dashed:  # four of them would hide each other; the tables have all
                low, high = (
                    zip(*((row["top1_95"] or [row["top1"]] * 2) for _, row in kept), strict=True) if kept else ([], [])
                )
                left.fill_between(at, low, high, color=each.colour, alpha=0.14, linewidth=0)
            right.plot(steps, [row["coverage"] for row in rows], marker=".", label=clean(each.name), **line)
        grid = [f"{row['threshold']:g}" for row in max((each.values for each in series), key=len, default=[])]
        for axes, title in ((left, "Right among the answers that are kept"), (right, "Answers that are kept")):
            axes.set(title=title, xlabel="confidence asked for")
            # Even steps, as in the paper: the thresholds of interest lie close together at the end.
            axes.set_xticks(range(len(grid)), grid, rotation=90)
            _percent(axes, "y")
        right.set_ylim(0, 1.02)
        left.set_ylim(top=1.005)
        right.legend(loc="best")
        return _bytes(figure, form)


def empties(series: Sequence[Series], form: Form = "svg") -> bytes:
    """Draw the share of blanks that an empty filter removes against the share of animals that it loses.

    Args:
        series: `values` are points with `animals_lost` and `blanks_removed`.
        form: Of the picture.
    """
    with _drawing((5.4, 3.5), 1) as (figure, (axes,)):
        for each in series:
            lost = [point["animals_lost"] for point in each.values]
            removed = [point["blanks_removed"] for point in each.values]
            axes.plot(lost, removed, label=clean(each.name), drawstyle="steps-post", **_line(each))
        axes.set(xlabel="animals lost", ylabel="blanks removed", ylim=(0, 1.02))
        # Linear up to one in a thousand, so that nothing lost at all has its place too.
        axes.set_xscale("symlog", linthresh=0.001, linscale=0.5)
        marks = (0, 0.001, 0.01, 0.05, 0.2, 1)
        axes.set_xticks(marks, [f"{100 * mark:g} %" for mark in marks])
        axes.set_xticks([], minor=True)
        axes.set_xlim(0, 1)
        _percent(axes, "y")
        axes.legend(loc="best")
        return _bytes(figure, form)


def _line(series: Series) -> dict[str, Any]:
    return {"color": series.colour, "linestyle": "--" if series.dashed else "-"}


def _percent(axes: "Axes", which: Literal["x", "y"]) -> None:
    from matplotlib.ticker import FuncFormatter

    getattr(axes, f"{which}axis").set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))


@contextmanager
def _drawing(size: tuple[float, float], columns: int) -> Iterator[tuple["Figure", Sequence["Axes"]]]:
    """Give a figure with some axes side by side, drawn under our settings and no others."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        # Names in any script; what the font has no sign for is a box in PNG, and in SVG the reader's font draws it.
        warnings.filterwarnings("ignore", message=r".*missing from.*font")
        warnings.filterwarnings("ignore", message=r".*[Nn]o artists with labels")
        figure = Figure(figsize=size, layout="constrained")
        yield figure, figure.subplots(1, columns, squeeze=False)[0]


def _bytes(figure: "Figure", form: Form) -> bytes:
    data = io.BytesIO()
    if form == "png":
        figure.savefig(data, format="png", dpi=150, metadata={"Software": None})
        return data.getvalue()
    figure.set_facecolor("none")
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(data, format="svg", metadata=nothing)
    text = data.getvalue().decode("utf-8")
    # Only the drawing itself: a page has a document type of its own, and this one names a foreign address.
    return _TAG.sub(_lean, text[text.index("<svg") :]).encode()


def _lean(tag: re.Match[str]) -> str:
    """Return a tag of SVG with the page's ink, no more digits than can be seen, and no names that nothing refers to."""
    return _NAMED.sub("", _DIGITS.sub(r"\1", tag[0].replace(_INK, "currentColor")))
