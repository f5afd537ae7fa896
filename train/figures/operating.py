"""Operating points: chosen on validation, reported on the test splits, for the two stages and for every label."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctwatch.domain import BLANK
from ctwatch.ensemble import average, pool

from ..sets.split import SEVERAL
from ..sets.targets import NONE, Grouped, Numbers, event_targets, grouped, targets
from .bootstrap import bootstrap
from .confidence import (
    HUMAN,
    OTHER_TRUTH,
    PAPER_POINT,
    Stages,
    match_human,
    species_thresholds,
    stages,
    two_stage,
    two_stage_grid,
)
from .labour import Effort, labour
from .measure import Flags, Floats, rounded
from .sections import DEFAULT
from .view import Subject, View

LEVELS = ("image", "event")
SHOWN_FIRST = np.array([0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.97, 0.99])
SHOWN_SECOND = np.array([0.0, 0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99])
PRECISION, LEAST = 0.95, 20


def staged(
    species: Subject, empty: Subject | None, view: View, rows: Numbers
) -> dict[str, tuple[Stages, Numbers, int]]:
    """Return frames and events of some rows on their way through the stages, for each of `LEVELS`.

    With an empty filter: an event is blank if every frame of it is, and its species is pooled from the frames that are
    not, as the daemon does. Without one only frames and events with exactly one species that the models know are there.

    Returns:
        For each level the items, the event of each (numbered over `rows`), and how many photographs or events of
        several species were left out, since no single answer is right for them (Norouzzadeh et al. 2018: only N = 1).
    """
    groups = grouped(view.events[rows])
    labels = view.labels[rows]
    named = average(species.probabilities[rows], DEFAULT)
    truth = targets(labels, view.label_names, species.task, species.labels)
    event_truth = event_targets(groups, labels, view.label_names, species.task, species.labels)
    several = labels == SEVERAL
    if empty is None:
        keep, keep_events = truth >= 0, event_truth >= 0
        blank = blank_events = None
        pooled = _pooled(named, groups, np.ones(len(rows), bool))
    else:
        mean = average(empty.probabilities[rows], DEFAULT)
        blank = mean[:, empty.labels.index(BLANK)]
        blank_events = _least(blank, groups)
        pooled = _pooled(named, groups, blank <= 0.5)
        name = view.label_names.index(BLANK) if BLANK in view.label_names else len(view.label_names)
        truth = np.where((truth == NONE) & (labels != name), OTHER_TRUTH, truth)
        mixed, any_animal = _mixed(labels, name, groups)
        event_truth = np.where((event_truth == NONE) & any_animal, OTHER_TRUTH, event_truth)
        keep, keep_events = ~several, ~mixed
    return {
        "image": (
            stages(None if blank is None else blank[keep], named[keep], truth[keep]),
            groups.event[keep],
            int(several.sum()),
        ),
        "event": (
            stages(
                None if blank_events is None else blank_events[keep_events],
                pooled[keep_events],
                event_truth[keep_events],
            ),
            np.flatnonzero(keep_events),
            int((~keep_events).sum()) if empty is not None else 0,
        ),
    }


def pipeline_of(species: Subject, empty: Subject, view: View, splits: tuple[str, ...]) -> dict[str, Any]:
    """Return the two stages at the paper's thresholds and over a grid, for every source, split and level."""
    results = []
    for source in view.source_names:
        for split in splits:
            rows = view.rows(source, split)
            if not len(rows):
                continue
            for level, (items, events, several) in staged(species, empty, view, rows).items():
                auto, right = two_stage_grid(items, SHOWN_FIRST, SHOWN_SECOND)
                number = max(1, len(items.truth))
                results.append(
                    {
                        "source": source,
                        "split": split,
                        "level": level,
                        "left_out_several": several,
                        "paper_point": _point(items, events, *PAPER_POINT, seed=0),
                        "grid": {
                            "t1": SHOWN_FIRST.tolist(),
                            "t2": SHOWN_SECOND.tolist(),
                            "coverage": [[rounded(x / number) for x in row] for row in auto.tolist()],
                            "accuracy": [
                                [rounded(r / a) if a else None for r, a in zip(*pair, strict=True)]
                                for pair in zip(right.tolist(), auto.tolist(), strict=True)
                            ],
                        },
                    }
                )
    return {
        "stages": 2,
        "empty_models": [info.name for info in empty.members],
        "species_models": [info.name for info in species.members],
        "results": results,
    }


def match_of(
    species: Subject,
    empty: Subject | None,
    view: View,
    splits: tuple[str, ...],
    *,
    target: float = HUMAN,
    seed: int = 0,
) -> dict[str, Any] | None:
    """Return thresholds that reach the target on validation, and what they give on the splits, for every source.

    None without validation photographs. That the target is reached at seen locations does not mean that it is at
    others: read the results of each split.
    """
    found: dict[str, Any] = {"target": target, "stages": 1 if empty is None else 2}
    cells: dict[str, list[dict[str, Any]]] = {level: [] for level in LEVELS}
    for source in view.source_names:
        validation = view.rows(source, "validation")
        if not len(validation):
            continue
        tested = [
            (split, staged(species, empty, view, rows)) for split in splits if len(rows := view.rows(source, split))
        ]
        for level, (items, events, _) in staged(species, empty, view, validation).items():
            chosen = match_human(items, target, one_stage=empty is None)
            results = []
            point = None
            if chosen:
                point = _point(items, events, *chosen, seed=seed)
                for split, parts in tested:
                    there = _point(*parts[level][:2], *chosen, seed=seed)
                    reached = None if there["accuracy"] is None else there["accuracy"] >= target
                    results.append({"source": source, "split": split, **there, "reached": reached})
            cells[level].append({"source": source, "chosen": point, "results": results})
    return {**found, **cells} if cells["image"] else None


def thresholds_of(
    subject: Subject, view: View, splits: tuple[str, ...], *, precision: float = PRECISION, least: int = LEAST
) -> dict[str, Any] | None:
    """Return a threshold for every label that keeps a precision on validation, and what they give on the splits.

    One threshold per label is what a configuration of the daemon holds, so validation photographs of all sources choose
    it together. None without any.
    """
    rows = np.concatenate([view.rows(source, "validation") for source in view.source_names])
    said, truth = _known(subject, view, rows)
    if not len(truth):
        return None
    chosen = species_thresholds(said, truth, precision=precision, least=least)
    results = []
    for source in view.source_names:
        for split in splits:
            said, truth = _known(subject, view, view.rows(source, split))
            if not len(truth):
                continue
            answers = said.argmax(axis=1)
            kept = said.max(axis=1) >= chosen["thresholds"][answers]
            right = float((answers == truth)[kept].mean()) if kept.any() else None
            results.append(
                {
                    "source": source,
                    "split": split,
                    "n": len(truth),
                    "coverage": rounded(float(kept.mean())),
                    "accuracy": rounded(right),
                }
            )
    columns = zip(
        subject.labels, *(chosen[key].tolist() for key in ("thresholds", "counts", "own", "reached")), strict=True
    )
    labels = {
        label: {"threshold": rounded(threshold, 5), "n": n, "reached": reached, "pooled": not own}
        for label, threshold, n, own, reached in columns
    }
    return {
        "precision": precision,
        "least": least,
        "pooled": rounded(chosen["pooled"], 5),
        "labels": labels,
        "too_few": [label for label, cell in labels.items() if cell["pooled"]],
        "results": results,
    }


def labour_of(
    match: dict[str, Any] | None, pipeline: dict[str, Any] | None, images: dict[str, int], effort: Effort | None
) -> list[dict[str, Any]]:
    """Return the work saved on each source's photographs at its own coverage, of the unseen split if there is one.

    Args:
        match: As from `match_of`.
        pipeline: As from `pipeline_of`; its paper's thresholds are used where none reached the target.
        images: Photographs to extrapolate to, by source.
        effort: As in `labour.labour`.
    """
    rows = []
    for source, number in images.items():
        matched = [
            cell for part in (match or {}).get("image", ()) for cell in part["results"] if cell["source"] == source
        ]
        fixed = [
            {"split": cell["split"], **cell["paper_point"]}
            for cell in (pipeline or {}).get("results", ())
            if cell["source"] == source and cell["level"] == "image"
        ]
        for how, cells in (("thresholds chosen on validation", matched), ("the paper's thresholds", fixed)):
            usable = [cell for cell in cells if cell["coverage"] is not None]
            if usable:
                cell = next((each for each in usable if each["split"] == "test"), usable[0])
                stage = "of all photographs" if pipeline else "of photographs with one known species"
                text = f"{how}, split {cell['split']}: {cell['coverage']:.4f} {stage} at accuracy {_said(cell)}"
                rows.append({"source": source, "from": text, **labour(number, cell["coverage"], effort)})
                break
    return rows


def _said(cell: dict[str, Any]) -> str:
    return "unknown" if cell["accuracy"] is None else f"{cell['accuracy']:.4f}"


def _point(items: Stages, events: Numbers, t1: float | None, t2: float, *, seed: int) -> dict[str, Any]:
    """Return `two_stage` with an interval of accuracy that takes photographs of one event together."""
    sure = items.first >= (0.0 if t1 is None else t1)
    auto = sure & (items.blank | (items.second >= t2))
    right = items.right[auto].astype(np.int64)
    interval = bootstrap(right, np.ones(len(right), np.int64), events[auto], seed=seed)["accuracy"]
    return {**two_stage(items, t1, t2), "ci": interval}


def _known(subject: Subject, view: View, rows: Numbers) -> tuple[Floats, Numbers]:
    truth = targets(view.labels[rows], view.label_names, subject.task, subject.labels)
    return average(subject.probabilities[rows[truth >= 0]], DEFAULT), truth[truth >= 0]


def _least(values: Floats, groups: Grouped) -> Floats:
    return np.minimum.reduceat(values[groups.order], groups.starts) if len(groups) else np.empty(0)


def _mixed(labels: NDArray[np.integer[Any]], blank: int, groups: Grouped) -> tuple[Flags, Flags]:
    """Return which events show several species, and which show any."""
    own = np.asarray(labels, np.int64)[groups.order]
    seen = (own != blank) & (own != SEVERAL)
    top = np.iinfo(np.int64).max
    low = np.minimum.reduceat(np.where(seen, own, top), groups.starts)
    high = np.maximum.reduceat(np.where(seen, own, -1), groups.starts)
    several = np.logical_or.reduceat(own == SEVERAL, groups.starts)
    return several | ((high >= 0) & (low != high)), several | (high >= 0)


def _pooled(frames: Floats, groups: Grouped, counts: Flags) -> Floats:
    """Pool the species of events over the frames that count; over all of them where none does."""
    ordered = counts[groups.order]
    some = np.logical_or.reduceat(ordered, groups.starts)
    used = ordered | ~some[groups.event[groups.order]]
    starts: Numbers = np.asarray(np.cumsum(used)[groups.starts] - used[groups.starts], np.int64)
    return pool(np.asarray(frames, np.float64)[groups.order][used], starts, DEFAULT)
