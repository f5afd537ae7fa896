"""The controls: labels dealt out at random, scenes without their animals, and species that nobody taught; pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from ctwatch_train.figures.measure import rounded
from ctwatch_train.sets.targets import grouped

from benchmarks.experiments.cells import (
    Cell,
    Estimate,
    Flags,
    Floats,
    Numbers,
    Run,
    auroc,
    estimate,
    images,
    over_worlds,
)
from benchmarks.experiments.questions import PLACES, Runs, table
from benchmarks.experiments.settings import EMPTY, EMPTY_ERASED, ERASED, PLAIN, SHUFFLED

SURE = 0.9
KEPT = 0.95
"""Share of known species' photographs on validation that a flag for unknown ones may not touch."""
UNKNOWN = -2


def against_majority(worlds: Sequence[Runs], kind: str, rounds: int) -> list[dict[str, Any]]:
    """Return how a control does, against always naming the label that is commonest in training."""
    rows = []
    for part, figure in (("natural", "accuracy"), ("natural", "macro_recall"), ("balanced", "macro_recall")):
        for split, _ in PLACES:
            own, base, n = [], [], 0
            for runs in worlds:
                run = runs[kind]
                cell = images(run, run.probabilities(0), part, split)
                n += len(cell.targets)
                own.append(estimate(cell, figure, rounds=rounds))
                base.append(estimate(_constant(cell, _commonest(run)), figure, rounds=rounds))
            difference = over_worlds(own).minus(over_worlds(base))
            rows.append(
                {
                    "part": part,
                    "figure": figure,
                    "split": split,
                    "n": n,
                    "found": table(own),
                    "majority": table(base),
                    "difference": difference.table(),
                    "clear": difference.clear(),
                    "even": rounded(1 / cell.probabilities.shape[1]),
                }
            )
    return rows


def _commonest(run: Run) -> int:
    if run.task == "species":
        return int(run.frames.training.argmax())
    # As in the training split: animal or blank, whichever there is more of.
    truth = run.truth()[run.frames.where("natural", "validation")]
    return int(np.bincount(truth).argmax())


def _constant(cell: Cell, label: int) -> Cell:
    said = np.zeros_like(cell.probabilities)
    said[:, label] = 1.0
    return replace(cell, probabilities=said)


def shuffled(worlds: Sequence[Runs], rounds: int) -> dict[str, Any]:
    """Return how networks do that learned from labels dealt out at random."""
    return {"rows": against_majority(worlds, SHUFFLED, rounds)}


def erased(worlds: Sequence[Runs], rounds: int) -> dict[str, Any]:
    """Return what backgrounds alone give away.

    Two kinds of networks: those that learned from erased scenes and are tested on such, and the plain ones, which
    learned from animals, when they are shown the same scenes without them.
    """
    result: dict[str, Any] = {
        "species": against_majority(worlds, ERASED, rounds),
        "empty": [row for row in against_majority(worlds, EMPTY_ERASED, rounds) if row["part"] == "natural"],
        "plain": [],
        "with animals": [],
    }
    for kind, name in ((PLAIN, "species"), (EMPTY, "empty")):
        for split, _ in PLACES:
            with_animals = [_first(runs[kind], split, rounds) for runs in worlds]
            result["with animals"].append({"task": name, "split": split, **table(with_animals)})
    for split, _ in PLACES:
        accuracy, base, sure, n = [], [], [], 0
        for runs in worlds:
            run = runs[f"{PLAIN}, on erased"]
            cell = images(run, run.probabilities(0), "natural", split)
            n += len(cell.targets)
            accuracy.append(estimate(cell, "accuracy", rounds=rounds))
            base.append(estimate(_constant(cell, _commonest(run)), "accuracy", rounds=rounds))
            sure.append(float((cell.probabilities.max(axis=1) >= SURE).mean()))
        difference = over_worlds(accuracy).minus(over_worlds(base))
        result["plain"].append(
            {"split": split, "n": n, "found": table(accuracy), "majority": table(base), "clear": difference.clear()}
            | {"difference": difference.table(), "sure": rounded(float(np.mean(sure))), "level": SURE}
        )
    return result


def _first(run: Run, split: str, rounds: int) -> Estimate:
    return estimate(images(run, run.probabilities(0), "natural", split), "accuracy", rounds=rounds)


def _msp(run: Run) -> Floats:
    return np.asarray(1 - run.ensemble().max(axis=1), np.float64)


def _entropy(run: Run) -> Floats:
    said = run.ensemble()
    return np.asarray(-(said * np.log(np.maximum(said, 1e-12))).sum(axis=1), np.float64)


def _max_logit(run: Run) -> Floats:
    return np.asarray(-run.logits.max(axis=2).mean(axis=0), np.float64)


def _energy(run: Run) -> Floats:
    logits = np.asarray(run.logits, np.float64)
    highest = logits.max(axis=2)
    return np.asarray(-(highest + np.log(np.exp(logits - highest[..., None]).sum(axis=2))).mean(axis=0), np.float64)


SCORES: Mapping[str, Callable[[Run], Floats]] = {
    "1 - highest probability": _msp,
    "entropy": _entropy,
    "- highest logit": _max_logit,
    "energy": _energy,
}
"""Strangeness of each photograph to an ensemble, (N,): higher is stranger (Hendrycks and Gimpel 2017, Liu et al. 2020)."""


def unknown_species(worlds: Sequence[Runs], rounds: int) -> dict[str, Any]:
    """Return how well scores tell species that were in no training photograph from known ones, at the same places."""
    rows, flags = [], []
    for score, function in SCORES.items():
        scores = [function(runs[PLAIN]) for runs in worlds]
        for level in ("image", "event"):
            for split, _ in PLACES:
                found, n = [], [0, 0]
                for runs, values in zip(worlds, scores, strict=True):
                    strange, positive, clusters = _strangeness(runs[PLAIN], values, split, level)
                    n = [n[0] + int((~positive).sum()), n[1] + int(positive.sum())]
                    found.append(auroc(strange, positive, clusters, rounds=rounds))
                rows.append(
                    {"score": score, "level": level, "split": split, "known": n[0], "unknown": n[1], **table(found)}
                )
        for split, _ in PLACES:
            shares = []
            for runs, values in zip(worlds, scores, strict=True):
                frames = runs[PLAIN].frames
                usual = values[frames.where("natural", "validation") & (frames.seen >= 0)]
                limit = np.quantile(usual, KEPT)
                strange, positive, _ = _strangeness(runs[PLAIN], values, split, "image")
                shares.append((float((strange > limit)[~positive].mean()), float((strange > limit)[positive].mean())))
            known, unknown = np.mean(shares, axis=0)
            flags.append(
                {"score": score, "split": split, "known": rounded(float(known)), "unknown": rounded(float(unknown))}
                | {"by_world": [[rounded(value) for value in each] for each in shares]}
            )
    names = [list(runs[PLAIN].frames.unknown) for runs in worlds]
    return {"rows": rows, "flags": flags, "kept": KEPT, "species": names}


def _strangeness(run: Run, values: Floats, split: str, level: str) -> tuple[Floats, Flags, Numbers]:
    """Return scores, whether the species is unknown, and events, of known and unknown animals at one kind of place."""
    frames = run.frames
    known = frames.where("natural", split) & (frames.seen >= 0)
    strange = frames.where("unknown", split) & (frames.seen == UNKNOWN)
    rows = np.flatnonzero(known | strange)
    if level == "image":
        return values[rows], strange[rows], frames.event[rows]
    groups = grouped(frames.event[rows])
    ordered = rows[groups.order]
    ends = np.append(groups.starts[1:], len(ordered))
    pooled = np.add.reduceat(values[ordered], groups.starts) / (ends - groups.starts)
    first = ordered[groups.starts]
    return pooled, strange[first], frames.event[first]
