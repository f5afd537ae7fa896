"""Answers of networks to photographs and events of a world, and how sure a difference between two of them is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ctwatch_train.figures.bootstrap import Answered, replicates
from ctwatch_train.figures.calibrate import softmax
from ctwatch_train.figures.measure import confusion, rounded
from ctwatch_train.sets.targets import grouped
from numpy.typing import NDArray

from ctwatch.ensemble import Averaging, average, pool

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """The photographs of one world that nothing was learned from; row i of everything is the same one."""

    labels: tuple[str, ...]
    """Known species, sorted, as the networks answer them."""
    unknown: tuple[str, ...]
    training: Numbers
    """(K,) training photographs of each label."""
    seen: Numbers
    """(N,) what is to be seen: number in `labels`, -1 nothing, -2 a species that is not known."""
    of_event: Numbers
    """(N,) the same of the photograph's event, also where the animal has left already."""
    event: Numbers
    place: Numbers
    part: NDArray[np.str_]
    """(N,) natural, aside, balanced or unknown."""
    split: NDArray[np.str_]
    """(N,) validation, test_seen or test."""

    def where(self, part: str, split: str) -> Flags:
        """Return which photographs are of a part and split."""
        return np.asarray((self.part == part) & (self.split == split))

    def by_frequency(self) -> list[int]:
        """Return the labels' numbers, commonest in training first."""
        return [int(index) for index in np.argsort(-self.training, kind="stable")]


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Networks of one kind in one world, and what they answered to its frames."""

    frames: Frames
    task: str
    logits: NDArray[np.float32]
    """(M, N, K)."""
    temperatures: Floats
    """(M,) fitted on validation, at places that were not trained on."""
    shown: Floats
    """(M,) photographs that each network learned from, those shown again included."""
    seconds: Floats
    """(M,) of training."""

    def probabilities(self, member: int, divisors: Floats | None = None) -> Floats:
        """Return softmax(logits / temperature) of a network, (N, K).

        Args:
            member: Its number.
            divisors: (M,) other temperatures than the networks' own.
        """
        calibrated: Floats = softmax(
            self.logits[member], float((self.temperatures if divisors is None else divisors)[member])
        )
        return calibrated

    def ensemble(self, how: Averaging = Averaging.LOGIT, divisors: Floats | None = None) -> Floats:
        """Return the average of all networks, (N, K); arguments as of `probabilities`."""
        members = [self.probabilities(member, divisors) for member in range(len(self.logits))]
        return average(np.stack(members, axis=1), how)

    def truth(self, *, of_events: bool = False) -> Numbers:
        """Return the number of the right answer to each photograph, below 0 where there is none, (N,).

        Args:
            of_events: The answer to the photograph's event, as volunteers who see whole events give it.
        """
        seen = self.frames.of_event if of_events else self.frames.seen
        # The empty filter's labels are animal and blank.
        return seen if self.task == "species" else np.where(seen == -1, 1, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """Answers to n photographs or events; cells of the same world, part and split number events and places alike."""

    probabilities: Floats
    """(n, K)."""
    targets: Numbers
    events: Numbers
    """(n,) 0..`n_events`-1; numbers that do not occur are of events without a right answer."""
    places: Numbers
    n_events: int
    n_places: int

    def only(self, labels: Sequence[int]) -> "Cell":
        """Return the items of some labels."""
        return self.those(np.isin(self.targets, labels))

    def those(self, chosen: Flags) -> "Cell":
        """Return some of the items."""
        return Cell(
            self.probabilities[chosen], self.targets[chosen], self.events[chosen], self.places[chosen],
            self.n_events, self.n_places,
        )  # fmt: skip


def images(run: Run, said: Floats, part: str, split: str, *, of_events: bool = False) -> Cell:
    """Return the photographs of a part and split with a right answer.

    Args:
        run: Whose task decides what is right.
        said: (N, K) probabilities.
        part: natural or balanced.
        split: validation, test_seen or test.
        of_events: Take the event's answer as right on each of its photographs, also where the animal has left.
    """
    rows = np.flatnonzero(run.frames.where(part, split))
    truth = run.truth(of_events=of_events)[rows]
    events, places, sizes = _numbered(run.frames, rows)
    known = truth >= 0
    return Cell(said[rows[known]], truth[known], events[known], places[known], *sizes)


def events(run: Run, said: Floats, part: str, split: str, *, only_seen: bool = False) -> Cell:
    """Return the events of a part and split with a right answer, their photographs' answers averaged by logit.

    Args:
        run: Whose task decides what is right.
        said: (N, K) probabilities.
        part: natural or balanced.
        split: validation, test_seen or test.
        only_seen: Leave photographs out on which the animal is not to be seen.
    """
    rows = np.flatnonzero(run.frames.where(part, split))
    events_, places, sizes = _numbered(run.frames, rows)
    truth = run.truth(of_events=True)[rows]
    used = truth >= 0
    if only_seen:
        used &= run.truth()[rows] >= 0
    rows, events_, places, truth = rows[used], events_[used], places[used], truth[used]
    groups = grouped(events_)
    pooled = pool(said[rows[groups.order]], groups.starts, Averaging.LOGIT)
    first = groups.order[groups.starts]
    return Cell(pooled, truth[first], events_[first], places[first], *sizes)


def _numbered(frames: Frames, rows: Numbers) -> tuple[Numbers, Numbers, tuple[int, int]]:
    names, events_ = np.unique(frames.event[rows], return_inverse=True)
    where, places = np.unique(frames.place[rows], return_inverse=True)
    return events_.astype(np.int64), places.astype(np.int64), (len(names), len(where))


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """A figure with what it was in every round of the bootstrap; of the same draws for all cells of a part and split."""

    value: float
    draws: Floats
    by_world: tuple[float, ...]
    """One value per world once worlds are averaged, else the value alone."""

    def clear(self) -> int:
        """Return 1 or -1 if the whole 95 % interval is above or below 0, else 0."""
        ends = self.table()["ci"]
        return 0 if ends is None else int(ends[0] > 0) - int(ends[1] < 0)

    def minus(self, other: "Estimate") -> "Estimate":
        """Return the difference, paired round by round and world by world."""
        pairs = zip(self.by_world, other.by_world, strict=True)
        return Estimate(self.value - other.value, self.draws - other.draws, tuple(a - b for a, b in pairs))

    def table(self) -> dict[str, Any]:
        """Return value, 95 % interval and the value of each world, rounded."""
        known = self.draws[~np.isnan(self.draws)]
        ends = [rounded(float(end)) for end in np.quantile(known, (0.025, 0.975))] if len(known) else None
        return {"value": rounded(self.value), "ci": ends, "by_world": [rounded(each) for each in self.by_world]}


def estimate(cell: Cell, figure: str, *, rounds: int, by: str = "event") -> Estimate:
    """Return accuracy, macro_recall or macro_f1 of a cell with its bootstrap over whole events (or places).

    Args:
        cell: With at least one item.
        figure: Its name.
        rounds: Of the bootstrap.
        by: event or place.
    """
    answers = cell.probabilities.argmax(axis=1)
    clusters, number = (cell.events, cell.n_events) if by == "event" else (cell.places, cell.n_places)
    drawn = replicates([Answered(answers, cell.targets, clusters)], number, rounds=rounds, seed=0)[0]
    value = _point(answers, cell.targets, cell.probabilities.shape[1], figure)
    return Estimate(value, np.asarray(drawn[figure]), (value,))


def _point(answers: Numbers, targets: Numbers, labels: int, figure: str) -> float:
    if not len(targets):
        return float("nan")
    table = confusion(answers, targets, labels)
    hit, true, said = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    there = true > 0
    values = {
        "accuracy": hit.sum() / true.sum(),
        "macro_recall": (hit[there] / true[there]).mean(),
        "macro_f1": (2 * hit[there] / (true[there] + said[there])).mean(),
    }
    return float(values[figure])


def mean(estimates: Sequence[Estimate]) -> Estimate:
    """Return the mean of several networks on the same items."""
    return Estimate(
        float(np.mean([each.value for each in estimates])),
        np.asarray(np.mean([each.draws for each in estimates], axis=0)),
        tuple(float(np.mean(values)) for values in zip(*(each.by_world for each in estimates), strict=True)),
    )


def over_worlds(estimates: Sequence[Estimate]) -> Estimate:
    """Return the mean of worlds, each drawn for itself, with the value of each."""
    rng = np.random.default_rng(11)
    # Worlds are independent: rounds of one must not meet the same-numbered rounds of another by their common seed.
    order = [rng.permutation(len(each.draws)) for each in estimates]
    return Estimate(
        float(np.mean([each.value for each in estimates])),
        np.asarray(np.mean([each.draws[turn] for each, turn in zip(estimates, order, strict=True)], axis=0)),
        tuple(each.value for each in estimates),
    )


def ranks(values: Floats) -> Floats:
    """Return ranks from 1, ties sharing their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[inverse], np.float64)


def spearman(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation; None with fewer than three pairs or where one side never changes."""
    if len(a) < 3 or len(set(a)) < 2 or len(set(b)) < 2:
        return None
    return float(np.corrcoef(ranks(np.asarray(a, np.float64)), ranks(np.asarray(b, np.float64)))[0, 1])


def auroc(scores: Floats, positive: Flags, clusters: Numbers, *, rounds: int) -> Estimate:
    """Return the chance that a positive item scores higher than a negative one, ties counting half.

    Args:
        scores: (n,).
        positive: (n,) with some of either kind.
        clusters: (n,) events; drawn whole, the positive and the negative ones apart, so that each draw has both.
        rounds: Of the bootstrap.
    """
    _, place = np.unique(scores, return_inverse=True)
    steps = int(place.max()) + 1
    rng = np.random.default_rng([len(scores), 3])

    def spread(kind: Flags) -> tuple[Floats, Floats]:
        """Items per distinct score, as they are (steps,) and in every round (rounds, steps)."""
        names, number = np.unique(clusters[kind], return_inverse=True)
        table = np.zeros((len(names), steps), np.float32)
        np.add.at(table, (number, place[kind]), 1)
        times = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=rounds).astype(np.float32)
        return table.sum(axis=0, dtype=np.float64)[None], np.asarray(times @ table, np.float64)

    def chance(high: Floats, low: Floats) -> Floats:
        below = np.cumsum(low, axis=1) - low / 2
        return np.asarray((high * below).sum(axis=1) / (high.sum(axis=1) * low.sum(axis=1)), np.float64)

    (yes, yes_drawn), (no, no_drawn) = spread(positive), spread(~positive)
    value = float(chance(yes, no)[0])
    return Estimate(value, chance(yes_drawn, no_drawn), (value,))
