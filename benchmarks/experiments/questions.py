"""The questions about events, ensembles, confidence and rare species, answered from what networks said; pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from ctwatch_train.figures.calibrate import prior_of_counts, reprior, temperature
from ctwatch_train.figures.confidence import AIMS, match_human, risk_coverage, stages, threshold_table
from ctwatch_train.figures.measure import figures, reliability, rounded

from benchmarks.experiments.cells import (
    Cell,
    Estimate,
    Floats,
    Run,
    estimate,
    events,
    images,
    mean,
    over_worlds,
    spearman,
)
from benchmarks.experiments.settings import ADJUSTED, PLAIN
from ctwatch.ensemble import Averaging

Runs = Mapping[str, Run]
"""What the networks of one world said, by kind."""

PLACES = (("test_seen", "seen places"), ("test", "unseen places"))
LEVELS = (("image", images), ("event", events))
CHOSEN = {"seen": ("aside", "test_seen"), "validation": ("natural", "validation")}
"""Where thresholds and temperatures are chosen: further events of the training places, or places of validation."""
WAYS = ("none", *CHOSEN)
TAIL, HEAD = 3, 2
"""How many of the rarest and of the commonest species count as rare and as common."""


def table(estimates: Sequence[Estimate]) -> dict[str, Any]:
    """Return one figure of all worlds as plain values."""
    return over_worlds(estimates).table()


def events_against_images(worlds: Sequence[Runs], kinds: Sequence[str], rounds: int) -> dict[str, Any]:
    """Return, network by network, how photographs do and how their events do.

    Two fair comparisons: the event against its photographs that show the animal, and - as the paper counts, whose labels
    are of events - the event against all of its photographs under the event's name.
    """
    rows, networks = [], []
    for kind in kinds:
        for split, _ in PLACES:
            found: dict[str, list[Estimate]] = {}
            counts = {"images": 0, "images_of_events": 0, "events": 0}
            signs: dict[str, list[tuple[float, int]]] = {"gain": [], "gain_paper": []}
            for number, runs in enumerate(worlds):
                run = runs[kind]
                own: dict[str, list[Estimate]] = {}
                for member in range(len(run.logits)):
                    said = run.probabilities(member)
                    cells = {
                        "images": images(run, said, "natural", split),
                        "images_of_events": images(run, said, "natural", split, of_events=True),
                        "events": events(run, said, "natural", split),
                        "events_seen": events(run, said, "natural", split, only_seen=True),
                    }
                    each = {name: estimate(cell, "accuracy", rounds=rounds) for name, cell in cells.items()}
                    each["gain"] = each["events_seen"].minus(each["images"])
                    each["gain_paper"] = each["events"].minus(each["images_of_events"])
                    for name, value in each.items():
                        own.setdefault(name, []).append(value)
                    for name, sign in signs.items():
                        sign.append((each[name].value, each[name].clear()))
                    values = {name: rounded(each[name].value) for name in cells}
                    networks.append({"kind": kind, "split": split, "world": number, "network": member, **values})
                for name in counts:
                    counts[name] += len(cells[name].targets)
                for name, several in own.items():
                    found.setdefault(name, []).append(mean(several))
            rows.append(
                {
                    "kind": kind,
                    "split": split,
                    "n": counts,
                    "networks": len(signs["gain"]),
                    **{name: table(values) for name, values in found.items()},
                    **{f"{name}_signs": _signs(values) for name, values in signs.items()},
                }
            )
    return {"rows": rows, "networks": networks}


def _signs(values: Sequence[tuple[float, int]]) -> dict[str, int]:
    return {
        "up": sum(value > 0 for value, _ in values),
        "clear_up": sum(clear > 0 for _, clear in values),
        "clear_down": sum(clear < 0 for _, clear in values),
    }


def ensemble_against_members(worlds: Sequence[Runs], rounds: int) -> dict[str, Any]:
    """Return what averaging over networks gains against their mean and against the best of them.

    The best is named twice: by validation, as somebody would have to choose, and in hindsight on the same items, as the
    paper's table does, which favours it.
    """
    rows = []
    for split, _ in PLACES:
        for level, cut in LEVELS:
            found: dict[str, list[Estimate]] = {}
            n = 0
            for runs in worlds:
                run = runs[PLAIN]
                every = range(len(run.logits))
                members = [
                    estimate(cut(run, run.probabilities(m), "natural", split), "accuracy", rounds=rounds) for m in every
                ]
                chosen = [
                    estimate(cut(run, run.probabilities(m), "natural", "validation"), "accuracy", rounds=0).value
                    for m in every
                ]
                cells = {how: cut(run, run.ensemble(how), "natural", split) for how in Averaging}
                n += len(cells[Averaging.LOGIT].targets)
                own = {f"ensemble:{how}": estimate(cell, "accuracy", rounds=rounds) for how, cell in cells.items()}
                own["mean"] = mean(members)
                own["best"] = max(members, key=lambda each: each.value)
                own["chosen"] = members[int(np.argmax(chosen))]
                for name in ("mean", "best", "chosen"):
                    own[f"against {name}"] = own["ensemble:logit"].minus(own[name])
                for name, value in own.items():
                    found.setdefault(name, []).append(value)
            rows.append(
                {"split": split, "level": level, "n": n, "members": len(members)}
                | {name: table(values) for name, values in found.items()}
                | {
                    "clear": {
                        name: over_worlds(found[f"against {name}"]).clear() for name in ("mean", "best", "chosen")
                    }
                }
            )
    return {"rows": rows}


def coverage_against_accuracy(worlds: Sequence[Runs]) -> dict[str, Any]:
    """Return what answering only when sure gives: threshold tables over all worlds together, and rank correlations."""
    rows = []
    for split, _ in PLACES:
        for level, cut in LEVELS:
            cells = [cut(runs[PLAIN], runs[PLAIN].ensemble(), "natural", split) for runs in worlds]
            said, truth = _together(cells)
            steps = threshold_table(said, truth)
            kept = [step for step in steps if step["n_kept"]]
            curve = risk_coverage(said, truth) or {}
            rows.append(
                {
                    "split": split,
                    "level": level,
                    "n": len(truth),
                    "steps": steps,
                    "falls": sum(step["falls"] for step in kept),
                    "spearman": rounded(
                        spearman([-step["coverage"] for step in kept], [step["top1"] for step in kept])
                    ),
                    "spearman_by_world": [_trend(cell) for cell in cells],
                    "aurc": curve.get("aurc"),
                    "curve": {key: curve.get(key) for key in ("coverage", "risk")},
                }
            )
    return {"rows": rows}


def _together(cells: Sequence[Cell]) -> tuple[Floats, Any]:
    return np.concatenate([cell.probabilities for cell in cells]), np.concatenate([cell.targets for cell in cells])


def _trend(cell: Cell) -> float | None:
    kept = [step for step in threshold_table(cell.probabilities, cell.targets) if step["n_kept"]]
    trend: float | None = rounded(spearman([-step["coverage"] for step in kept], [step["top1"] for step in kept]))
    return trend


def imbalance(worlds: Sequence[Runs], methods: Sequence[str], networks: int, rounds: int) -> dict[str, Any]:
    """Return what each method does for rare and for common species, and what it costs, against plain cross entropy.

    Rare, common and macro recall are of the balanced part, in which there are as many events of every species; accuracy
    (micro) is of the natural one. The plain networks are those with the same seeds; differences are paired.
    """
    names = [PLAIN, ADJUSTED, *methods]
    result: dict[str, Any] = {"rows": [], "species": []}
    values: dict[tuple[str, str, str], list[Estimate]] = {}
    shown: dict[str, list[float]] = {}
    for runs in worlds:
        frames = runs[PLAIN].frames
        order = frames.by_frequency()
        result["species"].append([[frames.labels[index], int(frames.training[index])] for index in order])
        for name in names:
            run = runs[PLAIN] if name == ADJUSTED else runs[name]
            used = range(min(networks, len(run.logits)))
            plain = runs[PLAIN]
            shown.setdefault(name, []).extend(run.shown[m] / plain.shown[m] for m in used)
            said = [run.probabilities(m) for m in used]
            if name == ADJUSTED:
                said = [reprior(each, prior_of_counts(frames.training)) for each in said]
            for split, _ in PLACES:
                balanced = [images(run, each, "balanced", split) for each in said]
                natural = [images(run, each, "natural", split) for each in said]
                measured = {
                    "tail": [estimate(cell.only(order[-TAIL:]), "macro_recall", rounds=rounds) for cell in balanced],
                    "head": [estimate(cell.only(order[:HEAD]), "macro_recall", rounds=rounds) for cell in balanced],
                    "macro": [estimate(cell, "macro_recall", rounds=rounds) for cell in balanced],
                    "micro": [estimate(cell, "accuracy", rounds=rounds) for cell in natural],
                }
                for figure, each in measured.items():
                    values.setdefault((name, split, figure), []).append(mean(each))
    for split, _ in PLACES:
        for name in names:
            own = {figure: over_worlds(values[name, split, figure]) for figure in ("tail", "head", "macro", "micro")}
            base = {figure: over_worlds(values[PLAIN, split, figure]) for figure in own}
            against = {figure: own[figure].minus(base[figure]) for figure in own}
            result["rows"].append(
                {
                    "method": name,
                    "split": split,
                    "networks": len(shown[name]),
                    "shown": rounded(float(np.mean(shown[name]))),
                    **{figure: each.table() for figure, each in own.items()},
                    "against": {figure: each.table() | {"clear": each.clear()} for figure, each in against.items()},
                }
            )
    result["n"] = {
        split: {part: sum(len(images(runs[PLAIN], runs[PLAIN].probabilities(0), part, split).targets) for runs in worlds)
                for part in ("natural", "balanced")}
        for split, _ in PLACES
    }  # fmt: skip
    return result


def thresholds_at_places(worlds: Sequence[Runs], rounds: int) -> dict[str, Any]:
    """Return what thresholds give at seen and at unseen places that were chosen at either kind.

    Chosen at the training places, on events set aside, as by a split by event; or on validation at places of its own, as
    ctwatch divides sets by default.
    """
    rows = []
    for level, cut in LEVELS:
        for aim in AIMS:
            for chosen_on, at in CHOSEN.items():
                chosen = []
                for runs in worlds:
                    cell = cut(runs[PLAIN], runs[PLAIN].ensemble(), *at)
                    found = match_human(stages(None, cell.probabilities, cell.targets), aim, one_stage=True)
                    chosen.append(None if found is None else found[1])
                rows += [
                    {"level": level, "target": aim, "chosen": chosen_on, "split": split}
                    | _kept(worlds, cut, chosen, split, rounds)
                    for split, _ in PLACES
                ]
    return {"rows": rows, **_gap(worlds, rounds)}


def _kept(
    worlds: Sequence[Runs], cut: Callable[..., Cell], chosen: Sequence[float | None], split: str, rounds: int
) -> dict[str, Any]:
    """Return how much of a split reaches each world's threshold, and how right that is."""
    accuracy, coverage, n, kept = [], [], 0, 0
    for runs, threshold in zip(worlds, chosen, strict=True):
        if threshold is None:
            continue
        cell = cut(runs[PLAIN], runs[PLAIN].ensemble(), "natural", split)
        sure = cell.those(cell.probabilities.max(axis=1) >= threshold)
        n, kept = n + len(cell.targets), kept + len(sure.targets)
        coverage.append(len(sure.targets) / len(cell.targets))
        if len(sure.targets):
            accuracy.append(estimate(sure, "accuracy", rounds=rounds))
    return {
        "thresholds": [rounded(value) for value in chosen],
        "n": n,
        "kept": kept,
        "coverage": rounded(float(np.mean(coverage))) if coverage else None,
        "accuracy": table(accuracy) if accuracy else None,
    }


def _gap(worlds: Sequence[Runs], rounds: int) -> dict[str, Any]:
    """How well the ensemble does at seen and unseen places, with intervals over events and over whole places."""
    rows, gaps = [], []
    for part, figure in (("natural", "accuracy"), ("balanced", "macro_recall")):
        for level, cut in LEVELS:
            of_places = {}
            for split, _ in PLACES:
                cells = [cut(runs[PLAIN], runs[PLAIN].ensemble(), part, split) for runs in worlds]
                of_places[split], of_events = (
                    over_worlds([estimate(cell, figure, rounds=rounds, by=by) for cell in cells])
                    for by in ("place", "event")
                )
                by_event, by_place = of_events.table(), of_places[split].table()
                rows.append(
                    {"part": part, "figure": figure, "level": level, "split": split, **by_event}
                    | {"ci_places": by_place["ci"], "n": sum(len(cell.targets) for cell in cells)}
                    | {"places": sum(cell.n_places for cell in cells)}
                )
            gap = of_places["test"].minus(of_places["test_seen"])
            gaps.append({"part": part, "figure": figure, "level": level, **gap.table()})
    return {"places": rows, "gaps": gaps}


def calibration(worlds: Sequence[Runs]) -> dict[str, Any]:
    """Return how far confidence is from accuracy without temperatures and with those that either kind of places asks for."""
    divisors = {way: [_divisors(runs[PLAIN], way) for runs in worlds] for way in WAYS}
    rows = []
    for who in ("networks", "ensemble"):
        for level, cut in LEVELS:
            for split, _ in PLACES:
                row: dict[str, Any] = {"who": who, "level": level, "split": split, "ways": {}}
                for way, several in divisors.items():
                    measured, cells = [], []
                    for runs, own in zip(worlds, several, strict=True):
                        run = runs[PLAIN]
                        said = (
                            [run.ensemble(divisors=own)]
                            if who == "ensemble"
                            else [run.probabilities(member, own) for member in range(len(run.logits))]
                        )
                        of_world = [cut(run, each, "natural", split) for each in said]
                        cells += of_world
                        found = [figures(cell.probabilities, cell.targets, run.frames.labels) for cell in of_world]
                        measured.append({key: float(np.mean([each[key] for each in found])) for key in ("ece", "nll")})
                    row["ways"][way] = {
                        key: {
                            "value": rounded(float(np.mean([each[key] for each in measured]))),
                            "by_world": [rounded(each[key]) for each in measured],
                        }
                        for key in ("ece", "nll")
                    }
                    if who == "ensemble":
                        row["ways"][way]["bins"] = reliability(*_together(cells))["bins"]
                rows.append(row)
    return {
        "rows": rows,
        "temperatures": {
            way: [[rounded(float(value), 3) for value in own] for own in several]
            for way, several in divisors.items()
            if way != "none"
        },
    }


def _divisors(run: Run, way: str) -> Floats:
    """Return a temperature for each network: 1, or as fitted on events aside at seen places, or on validation."""
    if way == "none":
        return np.ones(len(run.logits))
    if way == "validation":
        return run.temperatures
    rows = np.flatnonzero(run.frames.where("aside", "test_seen") & (run.frames.seen >= 0))
    return np.array([temperature(logits[rows], run.frames.seen[rows]) for logits in run.logits])
