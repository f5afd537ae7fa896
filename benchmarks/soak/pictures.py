"""The soak on one picture: memory, handles and threads, sizes, and cards over time, with what went wrong when."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.soak.sampling import Sample

_INK, _SECOND, _QUIET = "#1f3b4d", "#c46a1b", "#9a9a9a"


def draw(samples: Sequence[Sample], told: Sequence[tuple[float, str]], path: Path) -> None:
    """Draw samples and faults into a PNG."""
    figure = Figure(figsize=(10, 10), layout="constrained")
    top, middle, below, last = figure.subplots(4, 1, sharex=True)
    minutes = [sample.at / 60 for sample in samples]
    _lines(top, minutes, {"daemon and workers (PSS)": [sample.pss / 1e6 for sample in samples],
                          "daemon (RSS)": [sample.rss / 1e6 for sample in samples]}, "memory, MB")  # fmt: skip
    _lines(middle, minutes, {"open files": [sample.handles for sample in samples],
                             "threads, workers' too": [sample.threads for sample in samples]}, "number")  # fmt: skip
    _lines(below, minutes, {"ctwatch.duckdb": [sample.live / 1e6 for sample in samples],
                            "reports.duckdb": [sample.published / 1e6 for sample in samples]}, "size, MB")  # fmt: skip
    _lines(last, minutes, {"cards published": [sample.cards for sample in samples]}, "cards")
    last.set_xlabel("minutes")
    for axes in (top, middle, below, last):
        for at, _ in told:
            axes.axvline(at / 60, color=_QUIET, linewidth=0.7, linestyle=":")
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
    top.set_ylim(top=top.get_ylim()[1] * 1.6)
    for at, what in _together(told, samples[-1].at / 50):
        top.annotate(
            what, (at / 60, 0.99), xycoords=("data", "axes fraction"), rotation=90, fontsize=7, color="#555555",
            ha="right", va="top",
        )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _together(told: Sequence[tuple[float, str]], least: float) -> list[tuple[float, str]]:
    """Put what happened within `least` seconds of each other on one label."""
    labels: list[tuple[float, str]] = []
    for at, what in told:
        if labels and at - labels[-1][0] < least:
            labels[-1] = (labels[-1][0], f"{labels[-1][1]}, {what}")
        else:
            labels.append((at, what))
    return labels


def _lines(axes: Axes, minutes: Sequence[float], series: dict[str, list[float]], unit: str) -> None:
    for (name, values), colour in zip(series.items(), (_INK, _SECOND), strict=False):
        axes.plot(minutes, values, color=colour, linewidth=1.1, label=name)
    axes.set_ylabel(unit)
    axes.legend(loc="lower right", fontsize=8, frameon=False)
