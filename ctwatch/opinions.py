"""What people and other programs said, over what our ensembles say: a person first, then an import, then the networks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from ctwatch.decisions import (
    UNNAMED_ANIMAL,
    Decision,
    Review,
    Scores,
    Thresholds,
    decide_events,
    decide_frames,
    observation_type,
    species_of,
)
from ctwatch.domain import BLANK, ObservationType
from ctwatch.ensemble import TOP, Averaging
from ctwatch.events import Grouping
from ctwatch.survey import Answer, Scope

_ORDER = [BLANK, "unknown", UNNAMED_ANIMAL]


@dataclass(frozen=True, slots=True)
class Said:
    """What one person, or one imported model, said of one frame or of the event that it is part of."""

    row: int
    """Of the frame."""
    answers: tuple[Answer, ...]
    by: str | None
    at: datetime | None
    scope: Scope = Scope.MEDIA

    @property
    def labels(self) -> frozenset[str]:
        """The labels without case."""
        return frozenset(answer.label.lower() for answer in self.answers)

    @property
    def is_blank(self) -> bool:
        """Whether it says that nothing is there."""
        return all(answer.label.lower() == BLANK for answer in self.answers)


@dataclass(frozen=True, slots=True)
class ImportLimits:
    """Where an imported model's answers turn into decisions; 0..1, inclusive."""

    blank: float
    """A frame is blank from this probability of blank."""
    sure_blank: float
    species: float
    some_frame: float


@dataclass(frozen=True, slots=True)
class Voices:
    """Who said what of the frames of a deployment beside our own ensembles."""

    of_event: Mapping[int, Said]
    """By row of the frame, the last word of a person about the event that it is part of."""
    of_frame: Mapping[int, Said]
    """By row, the last word of a person about the frame itself."""
    disputed: frozenset[int]
    """Rows of which several people last said different things."""
    imported: Mapping[int, Said]
    """By row, the last imported answer."""


NOBODY = Voices({}, {}, frozenset(), {})


@dataclass(frozen=True, slots=True)
class Verdict:
    """All decisions about a deployment, and beside them what the machines alone would have decided."""

    events: list[Decision]
    frames: list[Decision]
    machine_events: Mapping[int, list[Decision]]
    machine_frames: Mapping[int, list[Decision]]


def voices(people: Iterable[Said], imported: Iterable[Said]) -> Voices:
    """Choose the last word: both are in the order in which they were said, oldest first.

    Of an event speaks whatever was said last of a frame or its event; of a frame what was said of it itself, or that
    its whole event is blank. Another person who last said something else makes a dispute, never a change.
    """
    of_event: dict[int, Said] = {}
    of_frame: dict[int, Said] = {}
    last_of: dict[tuple[int, Scope], dict[str, frozenset[str]]] = {}
    for said in people:
        last_of.setdefault((said.row, said.scope), {})[said.by or ""] = said.labels
        of_event[said.row] = said
        if said.scope is Scope.MEDIA or said.is_blank:
            of_frame[said.row] = said
    disputed = frozenset(row for (row, _), by_person in last_of.items() if len(set(by_person.values())) > 1)
    return Voices(of_event, of_frame, disputed, {said.row: said for said in imported})


def decide(
    scores: Scores,
    grouping: Grouping,
    thresholds: Thresholds,
    averaging: Averaging,
    pooling: Averaging,
    heard: Voices = NOBODY,
    limits: ImportLimits | None = None,
) -> Verdict:
    """Decide about every event and frame of a deployment.

    A frame that a person called blank counts as blank; what a person saw on some frame of an event, or said of the
    event, is what the event shows; other frames' machine answers then count no more. Imported answers stand before the
    ensembles' in the same way. `limits` is needed where there are imported answers.
    """
    machine = _machine_events(scores, grouping, thresholds, averaging, pooling, heard.imported, limits)
    frames = _machine_frames(scores, thresholds, averaging, heard.imported, limits)
    beside = _by_unit(machine), {decision.unit: [decision] for decision in frames}
    if not heard.of_event:
        return Verdict(machine, frames, *beside)
    rows_of = _rows_of_events(grouping)
    blank_rows = sorted(row for row, said in heard.of_event.items() if said.is_blank)
    left = {row: said for row, said in heard.imported.items() if row not in heard.of_event}
    if blank_rows:
        known_blank = _as_blank(scores, blank_rows)
        machine = _machine_events(known_blank, grouping, thresholds, averaging, pooling, left, limits)
    by_machine = _by_unit(machine)
    events: list[Decision] = []
    for number, rows in enumerate(rows_of):
        said = [heard.of_event[row] for row in rows if row in heard.of_event]
        seen = [item for item in said if not item.is_blank]
        top = beside[0][number][0].top
        if seen:
            events += _persons(number, seen, top, any(row in heard.disputed for row in rows))
        elif said and all(row in heard.of_event or not scores.readable[row] for row in rows):
            events += _persons(number, said, top, any(row in heard.disputed for row in rows))
        else:
            events += by_machine[number]
    decided: list[Decision] = []
    for decision in frames:
        spoken = heard.of_frame.get(decision.unit)
        if spoken is None:
            decided.append(decision)
        else:
            decided += _persons(decision.unit, [spoken], decision.top, decision.unit in heard.disputed)
    return Verdict(events, decided, *beside)


def _machine_frames(
    scores: Scores,
    thresholds: Thresholds,
    averaging: Averaging,
    imported: Mapping[int, Said],
    limits: ImportLimits | None,
) -> list[Decision]:
    decisions = decide_frames(scores, thresholds, averaging)
    if limits is None:
        return decisions
    return [
        _imported(decision.unit, [said], limits)[0]
        if (said := imported.get(decision.unit)) is not None and _of_frame(said, limits)
        else decision
        for decision in decisions
    ]


def _of_frame(said: Said, limits: ImportLimits) -> bool:
    """Whether it speaks of the frame itself; an event's answer does only where nothing was seen in all of it."""
    return said.scope is Scope.MEDIA or _probability(said, BLANK) >= limits.blank


def _machine_events(
    scores: Scores,
    grouping: Grouping,
    thresholds: Thresholds,
    averaging: Averaging,
    pooling: Averaging,
    imported: Mapping[int, Said],
    limits: ImportLimits | None,
) -> list[Decision]:
    """Decide by imported answers where an event has some that see something, else by the ensembles over what is left."""
    if not imported or limits is None:
        return decide_events(scores, grouping, thresholds, averaging, pooling)
    blank_rows = [row for row, said in imported.items() if _probability(said, BLANK) >= limits.blank]
    without = _as_blank(scores, blank_rows)
    by_ensembles = _by_unit(decide_events(without, grouping, thresholds, averaging, pooling))
    blank = set(blank_rows)
    decisions: list[Decision] = []
    for number, rows in enumerate(_rows_of_events(grouping)):
        said = [imported[row] for row in rows if row in imported]
        seen = [item for item in said if item.row not in blank]
        if seen or (said and len(said) == len(rows)):
            decisions += _imported(number, seen or said, limits)
        else:
            decisions += by_ensembles[number]
    return decisions


def _imported(unit: int, said: Sequence[Said], limits: ImportLimits) -> list[Decision]:
    """Decide by what an imported model said of one frame, or of those frames of an event that show something."""
    blank = min(_probability(item, BLANK) for item in said)
    best: dict[str, list[float]] = {}
    for item in said:
        for answer in item.answers:
            if answer.label != BLANK:
                best.setdefault(answer.label, []).append(1.0 if answer.probability is None else answer.probability)
    named = {label: values for label, values in best.items() if label.lower() not in _ORDER}
    # Over the frames that name something: a detector's bare "animal" on the others speaks neither for nor against.
    naming = max(1, sum(any(answer.label in named for answer in item.answers) for item in said))
    mean = {label: sum(values) / naming for label, values in named.items()}
    top = tuple(sorted(mean.items(), key=lambda pair: (-pair[1], pair[0])))[:TOP]
    by, at = said[-1].by, said[-1].at
    if blank >= limits.blank:
        review = () if blank >= limits.sure_blank else (Review.UNCERTAIN_BLANK,)
        shown = ((BLANK, blank), *((label, p) for label, p in top if label != BLANK))
        return [Decision(unit, ObservationType.BLANK, None, blank, shown, review, False, by, at)]
    sure = [(label, p) for label, p in top if p >= limits.species]
    also = [
        (label, max(values))
        for label, values in named.items()
        if max(values) >= max(limits.some_frame, limits.species) and label not in [name for name, _ in sure[:1]]
    ]
    chosen = [*sure[:1], *sorted(also, key=lambda pair: (-pair[1], pair[0]))]
    if chosen:
        reasons = (Review.SEVERAL_SPECIES,) if len(chosen) > 1 else ()
        return [Decision(unit, observation_type(label), label, p, top, reasons, False, by, at) for label, p in chosen]
    kinds = {label: max(values) for label, values in best.items() if species_of(label) is None and label != "unknown"}
    kind = max(kinds, key=lambda label: (kinds[label], label), default=None)
    if kind is not None and 1 - kinds[kind] < limits.blank:
        unnamed = kind == UNNAMED_ANIMAL and not any(species_of(label) for label in named)
        reason = Review.NO_SPECIES_MODEL if unnamed else Review.LOW_CONFIDENCE
        shown = (*top, *([(kind, kinds[kind])] if kind not in named else []))[:TOP]
        return [Decision(unit, observation_type(kind), None, kinds[kind], shown, (reason,), False, by, at)]
    highest = top[0][1] if top else None
    return [Decision(unit, ObservationType.UNKNOWN, None, highest, top, (Review.LOW_CONFIDENCE,), False, by, at)]


def _persons(unit: int, said: Sequence[Said], top: tuple[tuple[str, float], ...], disputed: bool) -> list[Decision]:
    """Take what people saw: every label once, in any case, with the largest count of it."""
    counts: dict[str, int | None] = {}
    spelled: dict[str, str] = {}
    for item in said:
        for answer in item.answers:
            label = spelled.setdefault(answer.label.lower(), answer.label)
            known = counts.get(label)
            counts[label] = answer.count if known is None else max(known, answer.count or 0)
    real = {label: count for label, count in counts.items() if label != BLANK} or counts
    by = "|".join(sorted({item.by for item in said if item.by})) or None
    at = max((item.at for item in said if item.at is not None), default=None)
    review = (Review.PEOPLE_DISAGREE,) if disputed else ()
    return [
        Decision(unit, observation_type(label), species_of(label), None, top, review, True, by, at, count or None)
        for label, count in sorted(real.items())
    ]


def _as_blank(scores: Scores, rows: Sequence[int]) -> Scores:
    """Return scores in which these frames were looked at and are blank."""
    blank, members, readable = scores.blank.copy(), scores.members.copy(), scores.readable.copy()
    blank[rows], members[rows], readable[rows] = 1.0, np.nan, True
    return replace(scores, blank=blank, members=members, readable=readable)


def _probability(said: Said, label: str) -> float:
    found = [
        1.0 if answer.probability is None else answer.probability for answer in said.answers if answer.label == label
    ]
    return max(found, default=0.0)


def _by_unit(decisions: Iterable[Decision]) -> dict[int, list[Decision]]:
    found: dict[int, list[Decision]] = {}
    for decision in decisions:
        found.setdefault(decision.unit, []).append(decision)
    return found


def _rows_of_events(grouping: Grouping) -> list[list[int]]:
    ends = grouping.starts + grouping.sizes()
    rows = grouping.order.tolist()
    return [rows[start:end] for start, end in zip(grouping.starts.tolist(), ends.tolist(), strict=True)]
