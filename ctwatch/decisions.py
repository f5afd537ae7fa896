"""What each frame and each event is, and what a person must see: every branch of the decision in one place."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ctwatch.domain import BLANK, ObservationType
from ctwatch.ensemble import Averaging, average_present, describe_all, pool
from ctwatch.events import Grouping

_TYPE_OF_LABEL = {
    BLANK: ObservationType.BLANK,
    "human": ObservationType.HUMAN,
    "humans": ObservationType.HUMAN,
    "person": ObservationType.HUMAN,
    "persons": ObservationType.HUMAN,
    "people": ObservationType.HUMAN,
    "homo": ObservationType.HUMAN,
    "homo sapiens": ObservationType.HUMAN,
    "vehicle": ObservationType.VEHICLE,
    "unknown": ObservationType.UNKNOWN,
}


UNNAMED_ANIMAL = "animal"
"""The label of an animal that nobody named."""


class Review(StrEnum):
    """Why a person must see it."""

    UNREADABLE = "unreadable_frame"
    NOT_CLASSIFIED = "not_classified"
    UNCERTAIN_BLANK = "uncertain_blank"
    NO_SPECIES_MODEL = "no_species_model"
    LOW_CONFIDENCE = "low_confidence"
    MEMBERS_DISAGREE = "members_disagree"
    SEVERAL_SPECIES = "several_species"
    ON_SOME_FRAMES = "confident_on_some_frames_only"
    PEOPLE_DISAGREE = "people_disagree"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where decisions turn; all 0..1 and inclusive."""

    blank: float
    """A frame is blank from this probability of blank."""
    sure_blank: float
    """A blank event goes to review if any frame's probability of blank is below this."""
    species: NDArray[np.float64]
    """Per label (K,): an event or frame is the species from this probability."""
    some_frame: float
    """A species that reaches this on one frame keeps an observation of its own beside the event's."""
    agreement: float
    """An event goes to review if a smaller share of the members prefers its species."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What the ensembles said about N frames of a deployment; NaN where a frame was not looked at."""

    readable: NDArray[np.bool_]
    blank: NDArray[np.float64]
    """Averaged probability of blank, (N,)."""
    members: NDArray[np.float32]
    """The species models' probabilities, (N, M, K)."""
    labels: tuple[str, ...]
    """The K labels of the species models."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One observation-to-be: of a frame or of an event."""

    unit: int
    """Row of the frame, or number of the event."""
    observation_type: ObservationType
    label: str | None
    probability: float | None
    top: tuple[tuple[str, float], ...]
    review: tuple[Review, ...]
    by_human: bool = False
    classified_by: str | None = None
    """Person or imported model; None: the ensembles."""
    classified_at: datetime | None = None
    count: int | None = None


def observation_type(label: str) -> ObservationType:
    """Return the Camtrap DP type that a species model's label stands for."""
    return _TYPE_OF_LABEL.get(label.lower(), ObservationType.ANIMAL)


def species_of(label: str) -> str | None:
    """Return the name that a label gives; None for what is no animal, and for an animal without a name."""
    named = observation_type(label) is ObservationType.ANIMAL and label.lower() != UNNAMED_ANIMAL
    return label if named else None


def is_blank(scores: Scores, thresholds: Thresholds) -> NDArray[np.bool_]:
    """Which frames were looked at and are blank, (N,)."""
    with np.errstate(invalid="ignore"):
        return np.asarray(scores.readable & (scores.blank >= thresholds.blank))


def decide_frames(scores: Scores, thresholds: Thresholds, averaging: Averaging) -> list[Decision]:
    """Decide about each frame by itself, N decisions in row order."""
    blank = is_blank(scores, thresholds)
    looked = scores.readable & (~np.isnan(scores.blank) | _has_species(scores))
    species = _averaged(scores, averaging)
    named = np.flatnonzero(looked & ~blank & _has_species(scores))
    top = dict(zip(named.tolist(), describe_all(species[named], scores.labels), strict=True))
    decisions = []
    for row in range(len(scores.readable)):
        if not scores.readable[row]:
            decision = _unclassified(row, (Review.UNREADABLE,))
        elif not looked[row]:
            decision = _unclassified(row, (Review.NOT_CLASSIFIED,))
        elif blank[row]:
            decision = _blank(row, float(scores.blank[row]), thresholds)
        elif row not in top:
            decision = _animal_without_species(row, float(scores.blank[row]), scores.labels)
        else:
            decision = _species(row, top[row], scores.labels, thresholds)
        decisions.append(decision)
    return decisions


def decide_events(
    scores: Scores, grouping: Grouping, thresholds: Thresholds, averaging: Averaging, pooling: Averaging
) -> list[Decision]:
    """Decide about each event; one decision an event, and one more for each further species confident on some frame.

    An event is blank only if every frame of it is. Species are pooled over its frames that are not blank.
    """
    if not len(grouping):
        return []
    rows, event = grouping.order, grouping.event_of_position()
    readable = scores.readable[rows]
    blank = is_blank(scores, thresholds)[rows]
    with_species = _has_species(scores)[rows] & readable & ~blank
    looked = readable & (~np.isnan(scores.blank[rows]) | _has_species(scores)[rows])
    animal = looked & ~blank
    counts = {name: np.bincount(event, mask, len(grouping)) for name, mask in (("animal", animal), ("looked", looked))}
    blanks, readables = np.bincount(event, blank, len(grouping)), np.bincount(event, readable, len(grouping))
    least_blank = np.full(len(grouping), np.inf)
    np.fmin.at(least_blank, event, scores.blank[rows])

    positions = np.flatnonzero(with_species)
    species_event, starts = np.unique(event[positions], return_index=True)
    frames = _averaged(scores, averaging)[rows[positions]]
    pooled = pool(frames, starts, pooling)
    top = describe_all(pooled, scores.labels)
    agreed = _agreement(scores.members[rows[positions]], starts, pooled, pooling)
    index_of = {int(number): index for index, number in enumerate(species_event)}
    also = _confident_on_some_frame(frames, event[positions], thresholds)

    decisions: list[Decision] = []
    for number, size in enumerate(grouping.sizes()):
        if counts["animal"][number] == 0:
            if blanks[number] == size:
                decisions.append(_blank(number, float(least_blank[number]), thresholds))
            else:
                cut, waiting = readables[number] < size, counts["looked"][number] < readables[number]
                reasons = [Review.UNREADABLE] * bool(cut) + [Review.NOT_CLASSIFIED] * bool(waiting)
                decisions.append(_unclassified(number, tuple(reasons)))
        elif number not in index_of:
            decisions.append(_animal_without_species(number, float(least_blank[number]), scores.labels))
        else:
            index = index_of[number]
            main = _species(number, top[index], scores.labels, thresholds)
            if agreed[index] < thresholds.agreement and main.label is not None:
                main = _with_review(main, Review.MEMBERS_DISAGREE)
            decisions.extend(_with_others(main, also.get(number, {}), scores.labels))
    return decisions


def _with_others(main: Decision, on_frames: dict[int, float], labels: Sequence[str]) -> list[Decision]:
    """Add the species that are confident on some frame; they replace a main decision that is below its threshold."""
    others = {labels[index]: p for index, p in on_frames.items() if labels[index] != main.label}
    others = {label: p for label, p in others.items() if observation_type(label) is not ObservationType.BLANK}
    if not others:
        return [main]
    if main.label is None:
        reasons: tuple[Review, ...] = (Review.ON_SOME_FRAMES,)
        if len(others) > 1:
            reasons += (Review.SEVERAL_SPECIES,)
        kept = []
    else:
        reasons = (Review.SEVERAL_SPECIES,)
        kept = [_with_review(main, Review.SEVERAL_SPECIES)]
    for label, p in sorted(others.items(), key=lambda item: (-item[1], item[0])):
        kept.append(Decision(main.unit, observation_type(label), label, p, main.top, reasons))
    return kept


def _confident_on_some_frame(
    frames: NDArray[np.float64], event: NDArray[np.int64], thresholds: Thresholds
) -> dict[int, dict[int, float]]:
    """Return for each event the labels that a frame of it is sure of, with the highest probability."""
    found: dict[int, dict[int, float]] = {}
    if not len(frames):
        return found
    best = frames.argmax(axis=1)
    p = frames[np.arange(len(frames)), best]
    for position in np.flatnonzero(p >= np.maximum(thresholds.some_frame, thresholds.species[best])):
        labels = found.setdefault(int(event[position]), {})
        label = int(best[position])
        labels[label] = max(labels.get(label, 0.0), float(p[position]))
    return found


def _agreement(
    members: NDArray[np.float32], starts: NDArray[np.int64], pooled: NDArray[np.float64], pooling: Averaging
) -> NDArray[np.float64]:
    """Share of members whose own pooled best label is the ensemble's, per event."""
    if not len(starts):
        return np.empty(0)
    best = pooled.argmax(axis=1)
    votes, voters = np.zeros(len(starts)), np.zeros(len(starts))
    for member in range(members.shape[1]):
        own = pool(members[:, member].astype(np.float64), starts, pooling)
        saw_all = ~np.isnan(own).any(axis=1)
        votes += saw_all & (own.argmax(axis=1) == best)
        voters += saw_all
    # Where no member saw every frame of the event there is nobody to disagree.
    return np.where(voters > 0, votes / np.maximum(voters, 1), 1.0)


def _averaged(scores: Scores, averaging: Averaging) -> NDArray[np.float64]:
    if scores.members.shape[1] == 0:
        return np.full((len(scores.readable), len(scores.labels)), np.nan)
    return average_present(scores.members, averaging)


def _has_species(scores: Scores) -> NDArray[np.bool_]:
    if scores.members.shape[1] == 0 or scores.members.shape[2] == 0:
        return np.zeros(len(scores.readable), dtype=bool)
    return np.asarray(~np.isnan(scores.members[:, :, 0]).all(axis=1))


def _species(unit: int, best: Sequence[tuple[str, float]], labels: Sequence[str], thresholds: Thresholds) -> Decision:
    top = tuple(best)
    label, probability = top[0]
    if probability < thresholds.species[labels.index(label)]:
        return Decision(unit, ObservationType.UNKNOWN, None, probability, top, (Review.LOW_CONFIDENCE,))
    kind = observation_type(label)
    if kind is ObservationType.BLANK:
        # The filter saw something, the species models did not: neither is believed.
        return Decision(unit, ObservationType.UNKNOWN, None, probability, top, (Review.MEMBERS_DISAGREE,))
    return Decision(unit, kind, label, probability, top, ())


def _blank(unit: int, probability: float, thresholds: Thresholds) -> Decision:
    review = () if probability >= thresholds.sure_blank else (Review.UNCERTAIN_BLANK,)
    top = ((BLANK, probability), ("animal", 1.0 - probability))
    return Decision(unit, ObservationType.BLANK, None, probability, top, review)


def _animal_without_species(unit: int, blank: float, labels: Sequence[str]) -> Decision:
    probability = None if np.isnan(blank) or np.isinf(blank) else 1.0 - blank
    top = (("animal", probability), (BLANK, 1.0 - probability)) if probability is not None else ()
    # With species models installed it is the photograph that is missing, not the model.
    reason = Review.NOT_CLASSIFIED if labels else Review.NO_SPECIES_MODEL
    return Decision(unit, ObservationType.ANIMAL, None, probability, top, (reason,))


def _unclassified(unit: int, review: tuple[Review, ...]) -> Decision:
    return Decision(unit, ObservationType.UNCLASSIFIED, None, None, (), review)


def _with_review(decision: Decision, reason: Review) -> Decision:
    return replace(decision, review=(*decision.review, reason))
