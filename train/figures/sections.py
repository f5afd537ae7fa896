"""Figures of models on the photographs of one source and split: every model, every averaging rule, frames and events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctwatch.domain import BLANK, Task
from ctwatch.ensemble import Averaging, average, describe, pool

from ..sets.split import SEVERAL
from ..sets.targets import Grouped, Numbers, event_targets, grouped, targets
from . import measure
from .bootstrap import Answered, Replicates, difference, intervals, replicates
from .calibrate import prior_of_counts, reprior, uncalibrated
from .confidence import empties_removed, empty_curve, risk_coverage, threshold_table
from .measure import rounded
from .view import Subject, View, prior_of, training_counts

DEFAULT = Averaging.LOGIT
PAPER_BLANKS = 0.75
"""Share of blank events in Snapshot Serengeti (Norouzzadeh et al. 2018)."""
MISTAKES = 50
_ADJUSTED, _ANIMAL_FRAMES = "*adjusted", "*animal frames"
"""Cells beside those of models and ensembles."""

Probabilities = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Level:
    """Frames or events with a target."""

    targets: Numbers
    events: Numbers
    """Numbered over the section."""
    places: Numbers
    """Locations, numbered over the section."""
    weights: NDArray[np.float64] | None = None


def sections_of(
    subject: Subject, view: View, source: str, split: str, *, rounds: int, seed: int
) -> list[dict[str, Any]]:
    """Return the sections of one source and split, for natural frequencies and for equal ones; [] without photographs.

    Equal frequencies: of the empty filter the photographs that the set marks as balanced; otherwise, and for species,
    weights under which every label counts the same, so that accuracy is macro recall.
    """
    rows = view.rows(source, split)
    if not len(rows):
        return []
    marked = rows[view.balanced[rows]] if subject.task is Task.EMPTY else rows[:0]
    balanced = ("balanced", "rows", marked) if len(marked) else ("balanced", "weights", rows)
    found = []
    for prior, balancing, part in (("natural", "", rows), balanced):
        body = _section(
            subject, view, part, equal=balancing == "weights", natural=prior == "natural", draws=(rounds, seed)
        )
        found.append({"source": source, "split": split, "prior": prior, "balancing": balancing or None, **body})
    return found


def majority_baseline(subject: Subject, view: View, source: str, split: str) -> dict[str, Any] | None:
    """Return how often the label that is commonest in training would be right; None without photographs or training."""
    rows = view.rows(source, split)
    truth = targets(view.labels[rows], view.label_names, subject.task, subject.labels)
    truth = truth[truth >= 0]
    counts = training_counts(subject, view, source)
    counts = counts if counts.sum() else training_counts(subject, view)
    if not len(truth) or not counts.sum():
        return None
    label = int(counts.argmax())
    return {
        "source": source,
        "split": split,
        "label": subject.labels[label],
        "label_train_share": rounded(float(counts[label] / counts.sum())),
        "accuracy": rounded(float((truth == label).mean())),
        "n": len(truth),
    }


def mistakes_of(subject: Subject, view: View, source: str, split: str, *, seed: int) -> list[dict[str, Any]]:
    """Return the surest wrong answers of the default ensemble, and a random sample of the others, image by image."""
    rows = view.rows(source, split)
    truth = targets(view.labels[rows], view.label_names, subject.task, subject.labels)
    rows, truth = rows[truth >= 0], truth[truth >= 0]
    said = average(subject.probabilities[rows], DEFAULT)
    wrong = np.flatnonzero(said.argmax(axis=1) != truth)
    wrong = wrong[np.argsort(-said[wrong].max(axis=1), kind="stable")]
    rest = wrong[MISTAKES:]
    drawn = np.sort(np.random.default_rng([seed, 7]).choice(rest, min(MISTAKES, len(rest)), replace=False))
    return [
        {
            "kind": kind,
            "source": source,
            "split": split,
            "path": view.paths[rows[at]],
            "media_id": view.media_ids[rows[at]],
            "truth": subject.labels[truth[at]],
            "answers": [[label, rounded(p)] for label, p in describe(said[at], subject.labels)],
            "location": view.location_names[view.locations[rows[at]]],
            "event": view.event_names[view.events[rows[at]]],
        }
        for kind, chosen in (("worst", wrong[:MISTAKES]), ("random", drawn))
        for at in chosen.tolist()
    ]


def _section(
    subject: Subject, view: View, rows: Numbers, *, equal: bool, natural: bool, draws: tuple[int, int]
) -> dict[str, Any]:
    task, labels = subject.task, subject.labels
    own = view.labels[rows]
    truth = targets(own, view.label_names, task, labels)
    groups = grouped(view.events[rows])
    event_truth = event_targets(groups, own, view.label_names, task, labels)
    known, known_events = np.flatnonzero(truth >= 0), np.flatnonzero(event_truth >= 0)
    _, places = np.unique(view.locations[rows], return_inverse=True)
    levels = {
        "image": _level(truth[known], groups.event[known], places[known], equal=equal),
        "event": _level(
            event_truth[known_events], known_events, places[groups.order[groups.starts]][known_events], equal=equal
        ),
    }
    members = subject.probabilities[rows]
    cells: dict[tuple[str, str], tuple[_Level, Probabilities]] = {}

    def add(name: str, frames: Probabilities, how: Averaging) -> None:
        cells[name, "image"] = levels["image"], frames[known]
        cells[name, "event"] = levels["event"], _pooled(frames, groups, how)[known_events]

    for index, info in enumerate(subject.members):
        add(info.name, np.asarray(members[:, index], np.float64), DEFAULT)
    for how in Averaging:
        add(f"ensemble:{how}", average(members, how), how)
    who = dict.fromkeys(name for name, _ in cells)
    mean = average(members, DEFAULT)
    priors = _priors(subject, view, natural=natural)
    if priors:
        add(_ADJUSTED, reprior(mean, *priors), DEFAULT)
    if task is Task.SPECIES:
        cells[_ANIMAL_FRAMES, "event"] = _animal_frames(mean, known, groups, event_truth, levels["event"], equal=equal)
    measured, drawn = _measured(cells, len(groups), labels, draws)
    adjusted = priors and {
        "from": _shares(labels, priors[0]),
        "to": _shares(labels, priors[1]),
        **{level: measured[_ADJUSTED, level] for level in levels},
    }
    ensemble = {
        **_rich(cells, labels, places, draws),
        "reliability": {
            "before": _reliability(average(_without_temperature(subject, members), DEFAULT)[known], levels["image"]),
            "after": _reliability(mean[known], levels["image"]),
        },
        "event_animal_frames": measured.get((_ANIMAL_FRAMES, "event")),
        "adjusted": adjusted or None,
    }
    if task is Task.EMPTY:
        ensemble.update(_filter(subject, mean, truth, groups, event_truth))
    return {
        "used": {
            "photographs": len(rows),
            "events": len(groups),
            "locations": int(places.max()) + 1,
            "image_targets": len(known),
            "event_targets": len(known_events),
        },
        "left_out": _left_out(view, own, truth),
        "who": {name: {level: measured[name, level] for level in levels} for name in who},
        "compared": _compared(subject, measured, drawn),
        "ensemble": ensemble,
    }


def _level(truth: Numbers, events: Numbers, places: Numbers, *, equal: bool) -> _Level:
    return _Level(truth, events, places, measure.equal_weights(truth) if equal else None)


def _pooled(frames: Probabilities, groups: Grouped, how: Averaging) -> Probabilities:
    return pool(frames[groups.order], groups.starts, how)


def _animal_frames(
    mean: Probabilities, known: Numbers, groups: Grouped, event_truth: Numbers, level: _Level, *, equal: bool
) -> tuple[_Level, Probabilities]:
    """Pool events from the frames that have a species of their own, as if a perfect filter had gone before."""
    chosen = known[event_truth[groups.event[known]] >= 0]
    inner = grouped(groups.event[chosen])
    numbers = groups.event[chosen][inner.order[inner.starts]]
    places = level.places[np.searchsorted(level.events, numbers)]
    return _level(event_truth[numbers], numbers, places, equal=equal), _pooled(mean[chosen], inner, DEFAULT)


def _measured(
    cells: Mapping[tuple[str, str], tuple[_Level, Probabilities]],
    clusters: int,
    labels: Sequence[str],
    draws: tuple[int, int],
) -> tuple[dict[tuple[str, str], dict[str, Any]], dict[tuple[str, str], Replicates]]:
    """Return the figures of every cell with intervals by events, and the draws that these come from."""
    cases = [
        Answered(said.argmax(axis=1), level.targets, level.events, level.weights) for level, said in cells.values()
    ]
    drawn = dict(zip(cells, replicates(cases, clusters, rounds=draws[0], seed=draws[1]), strict=True))
    return {
        key: {**measure.figures(said, level.targets, labels, level.weights), "ci": intervals(drawn[key])}
        for key, (level, said) in cells.items()
    }, drawn


def _rich(
    cells: Mapping[tuple[str, str], tuple[_Level, Probabilities]],
    labels: Sequence[str],
    places: Numbers,
    draws: tuple[int, int],
) -> dict[str, Any]:
    """Return everything that is worked out for the default ensemble alone."""
    both = {level: cells[f"ensemble:{DEFAULT}", level] for level in ("image", "event")}
    cases = [Answered(said.argmax(axis=1), level.targets, level.places, level.weights) for level, said in both.values()]
    by_place = replicates(cases, int(places.max()) + 1, rounds=draws[0], seed=draws[1])
    tables = {
        name: measure.confusion(said.argmax(axis=1), level.targets, len(labels)) for name, (level, said) in both.items()
    }
    return {
        "confusion": _confusion(tables["image"], labels),
        "confusion_event": _confusion(tables["event"], labels),
        "thresholds": {
            name: threshold_table(said, level.targets, weights=level.weights) for name, (level, said) in both.items()
        },
        "risk_coverage": {
            name: risk_coverage(said, level.targets, level.weights) for name, (level, said) in both.items()
        },
        "location_ci": {name: intervals(each) for name, each in zip(both, by_place, strict=True)},
    }


def _confusion(table: Probabilities, labels: Sequence[str]) -> dict[str, Any]:
    sums = table.sum(axis=1)
    return {
        "labels": list(labels),
        "matrix": table.astype(np.int64).tolist(),
        "shares": [
            [rounded(x) for x in (row / total).tolist()] if total else [None] * len(labels)
            for row, total in zip(table, sums, strict=True)
        ],
    }


def _reliability(said: Probabilities, level: _Level) -> dict[str, Any]:
    return measure.reliability(said, level.targets, weights=level.weights)


def _without_temperature(subject: Subject, members: NDArray[np.floating[Any]]) -> Probabilities:
    """Return what the members would say had they not been calibrated, (n, M, K)."""
    parts = [uncalibrated(members[:, index], info.temperature) for index, info in enumerate(subject.members)]
    return np.stack(parts, axis=1)


def _priors(subject: Subject, view: View, *, natural: bool) -> tuple[Probabilities, Probabilities] | None:
    learned, found = prior_of(subject, "training"), prior_of(subject, "natural")
    if learned is None:
        return None
    if not natural:
        return learned, np.full(len(learned), 1 / len(learned))
    return learned, prior_of_counts(training_counts(subject, view)) if found is None else found


def _shares(labels: Sequence[str], prior: Probabilities) -> dict[str, float | None]:
    return {label: rounded(share) for label, share in zip(labels, prior.tolist(), strict=True)}


def _filter(
    subject: Subject, mean: Probabilities, truth: Numbers, groups: Grouped, event_truth: Numbers
) -> dict[str, Any]:
    """Return what an empty filter keeps and removes: frames, and events by the daemon's rule and by pooling."""
    column = subject.labels.index(BLANK)
    threshold = subject.filter_threshold()
    pooled = _pooled(mean, groups, DEFAULT)[:, column]
    # The daemon takes an event for blank only if every frame of it is.
    least = np.minimum.reduceat(mean[groups.order, column], groups.starts)
    blank, blank_events = truth == column, event_truth == column
    priors = {"equal": 0.5, f"paper ({PAPER_BLANKS})": PAPER_BLANKS}
    return {
        "filter": {
            "threshold": rounded(threshold),
            "image": measure.empty_figures(mean[:, column] >= threshold, blank, priors),
            "event": measure.empty_figures(least >= threshold, blank_events, priors),
            "event_pooled": measure.empty_figures(pooled >= threshold, blank_events, priors),
        },
        "empty_curve": {"image": empty_curve(mean[:, column], blank), "event": empty_curve(least, blank_events)},
        "empties_removed": {
            "image": empties_removed(mean[:, column], blank),
            "event": empties_removed(least, blank_events),
        },
    }


def _left_out(view: View, labels: NDArray[np.integer[Any]], truth: Numbers) -> dict[str, Any]:
    """Count the photographs without a target by the reason."""
    without = labels[truth < 0]
    counts = np.bincount(without[without >= 0], minlength=len(view.label_names))
    unknown = {view.label_names[at]: int(counts[at]) for at in np.flatnonzero(counts).tolist()}
    return {"blank": unknown.pop(BLANK, 0), "several": int((without == SEVERAL).sum()), "unknown_label": unknown}


def _compared(
    subject: Subject,
    measured: Mapping[tuple[str, str], Mapping[str, Any]],
    drawn: Mapping[tuple[str, str], Replicates],
) -> list[dict[str, Any]]:
    """Compare the ensemble with its best member, and events with frames, on the same draws of events.

    The best member is that of these very photographs, which favours it.
    """
    ensemble = f"ensemble:{DEFAULT}"
    rows: list[dict[str, Any]] = []

    def compare(a: tuple[str, str], b: tuple[str, str], level: str, figure: str) -> None:
        if measured[a][figure] is None or measured[b][figure] is None:
            return
        interval = difference(drawn[a], drawn[b], figure)
        rows.append(
            {
                "a": a[0],
                "b": b[0],
                "level": level,
                "figure": figure,
                "difference": rounded(measured[a][figure] - measured[b][figure]),
                "ci": interval,
                "clear": interval is not None and not interval[0] <= 0 <= interval[1],
            }
        )

    for figure in ("accuracy", "macro_recall"):
        for level in ("image", "event"):
            if len(subject.members) > 1:
                best = max(
                    (info.name for info in subject.members), key=lambda name: measured[name, level][figure] or 0.0
                )
                compare((ensemble, level), (best, level), level, figure)
        compare((ensemble, "event"), (ensemble, "image"), "event - image", figure)
    return rows
