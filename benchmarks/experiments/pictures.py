"""The experiment's pictures: the same results give the same bytes."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

STYLE: Any = {
    "svg.hashsalt": "ctwatch",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}
SEEN, UNSEEN, GREY = "#1b6ca8", "#d1495b", "#888888"
PLACES = {"test_seen": ("seen places", SEEN), "test": ("unseen places", UNSEEN)}


def _svg(figure: Figure, columns: int = 2) -> bytes:
    """Return a picture with the legend of its first panel below."""
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=columns, frameon=False)
    buffer = BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _panels(count: int, width: float = 4.2, height: float = 3.4) -> tuple[Figure, Sequence[Axes]]:
    figure = Figure(figsize=(width * count, height), layout="constrained")
    axes = figure.subplots(1, count, squeeze=False)[0]
    return figure, list(axes)


def _error(estimate: Mapping[str, Any]) -> list[list[float]]:
    value, ends = estimate["value"], estimate["ci"] or [estimate["value"]] * 2
    # An interval of percentiles need not hold the value itself when there is next to nothing to draw from.
    return [[max(0.0, value - ends[0])], [max(0.0, ends[1] - value)]]


def pictures(results: Mapping[str, Any]) -> dict[str, bytes]:
    """Return all pictures by file name, as SVG."""
    with mpl.rc_context(STYLE):
        return {
            "events.svg": _events(results["events"]),
            "coverage.svg": _coverage(results["coverage"]),
            "imbalance.svg": _imbalance(results["imbalance"]),
            "calibration.svg": _calibration(results["calibration"]),
            "controls.svg": _controls(results),
            "unknown.svg": _unknown(results["unknown"]),
        }


def _events(found: Mapping[str, Any]) -> bytes:
    """One line per network, from its photographs to its events."""
    figure, axes = _panels(2)
    pairs = (
        ("images", "events_seen", "photographs that show the animal"),
        ("images_of_events", "events", "all photographs of the event"),
    )
    for axis, (before, after, title) in zip(axes, pairs, strict=True):
        for split, (name, colour) in PLACES.items():
            lines = [each for each in found["networks"] if each["split"] == split and each["kind"] == "cross entropy"]
            for number, each in enumerate(lines):
                axis.plot(
                    [0, 1], [100 * each[before], 100 * each[after]], "o-", color=colour, alpha=0.6, markersize=3,
                    label=name if number == 0 else None,
                )  # fmt: skip
        axis.set_xticks([0, 1], ["by photograph", "by event"])
        axis.set_xlim(-0.25, 1.25)
        axis.set_ylabel("accuracy, %")
        axis.set_title(title, fontsize=9)
    return _svg(figure)


def _coverage(found: Mapping[str, Any]) -> bytes:
    figure, axes = _panels(2)
    for axis, level in zip(axes, ("image", "event"), strict=True):
        for row in found["rows"]:
            if row["level"] == level:
                name, colour = PLACES[row["split"]]
                curve = row["curve"]
                axis.plot(
                    [100 * x for x in curve["coverage"]],
                    [100 * (1 - x) for x in curve["risk"]],
                    color=colour,
                    label=name,
                )
                points = [
                    (s["coverage"], s["top1"])
                    for s in row["steps"]
                    if s["n_kept"] and s["threshold"] in (0.5, 0.9, 0.99)
                ]
                axis.plot([100 * x for x, _ in points], [100 * y for _, y in points], "o", color=colour, markersize=4)
        axis.set_xlabel("answered, % (dots: thresholds 0.99, 0.90, 0.50)")
        axis.set_ylabel("right among them, %")
        axis.set_title("by photograph" if level == "image" else "by event", fontsize=9)
    return _svg(figure)


def _imbalance(found: Mapping[str, Any]) -> bytes:
    figure, axes = _panels(2)
    for axis, (split, (name, _)) in zip(axes, PLACES.items(), strict=True):
        rows = [row for row in found["rows"] if row["split"] == split]
        for number, row in enumerate(rows):
            x, y = {k: v for k, v in row["tail"].items()}, row["micro"]
            axis.errorbar(
                100 * x["value"], 100 * y["value"],
                xerr=[[100 * v for v in side] for side in _error(x)],
                yerr=[[100 * v for v in side] for side in _error(y)],
                fmt="osD^vP*X"[number % 8], color=f"C{number}", markersize=6, elinewidth=0.8, label=row["method"],
            )  # fmt: skip
        axis.set_xlabel("recall of the three rarest species, %")
        axis.set_ylabel("accuracy at natural frequencies, %")
        axis.set_title(name, fontsize=9)
    return _svg(figure, columns=4)


def _calibration(found: Mapping[str, Any]) -> bytes:
    titles = {"none": "no temperature", "seen": "fitted at the training places", "validation": "fitted on validation"}
    figure, axes = _panels(len(titles), width=3.6)
    rows = [row for row in found["rows"] if row["who"] == "ensemble" and row["level"] == "image"]
    for axis, (way, title) in zip(axes, titles.items(), strict=True):
        axis.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
        for row in rows:
            name, colour = PLACES[row["split"]]
            bins = [each for each in row["ways"][way]["bins"] if each["n"] >= 10]
            sure, right = ([each[key] for each in bins] for key in ("confidence", "accuracy"))
            axis.plot(sure, right, "o-", color=colour, markersize=3, label=name)
        axis.set_xlabel("confidence")
        axis.set_ylabel("accuracy")
        axis.set_title(title, fontsize=9)
    return _svg(figure)


def _controls(results: Mapping[str, Any]) -> bytes:
    """Accuracy at natural frequencies: with animals, without them, with shuffled labels, and the commonest label."""
    figure, axes = _panels(1, width=6.4)
    axis = axes[0]

    def of(rows: Sequence[Mapping[str, Any]], split: str) -> Mapping[str, Any]:
        chosen: Mapping[str, Any] = next(
            row for row in rows if row["split"] == split and row.get("figure", "accuracy") == "accuracy"
        )
        return chosen

    erased, shuffled = results["erased"], results["shuffled"]["rows"]
    with_animals = [row for row in erased["with animals"] if row["task"] == "species"]
    bars = ["one network", "animals erased", "labels shuffled", "commonest species"]
    for shift, (split, (name, colour)) in zip((-0.2, 0.2), PLACES.items(), strict=True):
        values = [
            of(with_animals, split), of(erased["species"], split)["found"], of(shuffled, split)["found"],
            of(shuffled, split)["majority"],
        ]  # fmt: skip
        for number, each in enumerate(values):
            axis.bar(
                number + shift, 100 * each["value"], 0.38, color=colour, alpha=0.85, label=name if number == 0 else None
            )
            axis.errorbar(
                number + shift, 100 * each["value"], [[100 * v for v in side] for side in _error(each)], color="black"
            )
    axis.set_xticks(range(len(bars)), bars)
    axis.set_ylabel("accuracy, %")
    return _svg(figure)


def _unknown(found: Mapping[str, Any]) -> bytes:
    figure, axes = _panels(2)
    scores = list(dict.fromkeys(row["score"] for row in found["rows"]))
    for axis, level in zip(axes, ("image", "event"), strict=True):
        axis.axvline(0.5, color=GREY, linewidth=0.8)
        for shift, (split, (name, colour)) in zip((0.12, -0.12), PLACES.items(), strict=True):
            for number, score in enumerate(scores):
                row = next(r for r in found["rows"] if (r["score"], r["level"], r["split"]) == (score, level, split))
                axis.errorbar(
                    row["value"], -number + shift, xerr=_error(row), fmt="o", color=colour, markersize=4,
                    label=name if number == 0 else None,
                )  # fmt: skip
        axis.set_yticks([-number for number in range(len(scores))], scores)
        axis.set_xlabel("AUROC, unknown against known species")
        axis.set_title("by photograph" if level == "image" else "by event", fontsize=9)
    return _svg(figure)
