"""From what several people say to one answer per capture event, by the published plurality rule, and on to photographs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import log
from pathlib import Path
from typing import Literal

from ..labels.annotation import Annotation

Median = Literal["lower", "upper"]
Classification = Mapping[str, int | None]
"""What one person says: the number of individuals by species, None where it was not counted; empty: nothing here."""
Place = tuple[str | None, str | None]
"""Location and event."""

COUNT_BINS = (*(str(number) for number in range(1, 11)), "11-50", "51+")
"""Numbers of individuals as Snapshot Serengeti asks for them, in order."""
_LOWEST = (*range(1, 11), 11, 51)
_RANK = {name: rank for rank, name in enumerate(COUNT_BINS)}


class Fault(StrEnum):
    """Why answers about one thing cannot all be right."""

    BLANK_AND_SPECIES = "blank_and_species"
    TWO_EVENTS = "two_events"


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Answers that exclude each other and so are not counted; nobody's guess replaces them."""

    fault: Fault
    path: Path
    """The photograph, or the first one of the event."""
    location: str | None
    event: str | None
    species: tuple[str, ...]
    annotator: str | None

    def __str__(self) -> str:
        if self.fault is Fault.TWO_EVENTS:
            return f"{self.path} is said to belong to two events; name one"
        who = f" by {self.annotator}" if self.annotator else ""
        where = f"event {self.event}" if self.event is not None else str(self.path)
        return f"{where} is called blank and {', '.join(self.species)}{who}; correct one of them"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is to be seen, once everybody has been heard."""

    species: tuple[str, ...]
    """Those with the most votes first, by name where votes are equal; empty: blank."""
    n_species: int
    """Median number of species over the classifications that are not blank."""
    support: tuple[float, ...]
    """Per species, its votes by the classifications that are not blank, 0..1; of a blank answer the share that saw nothing.

    Empty where the votes are not known."""
    evenness: float | None
    """Pielou's, over the votes of all species, 0..1; None where the votes are not known."""
    tie: bool
    """Another species got as many votes as the last of these, and lost by its name."""
    classifications: int
    """How many were counted; 0 where a source tells its result only."""
    blanks: int
    """How many of them saw nothing; they have no say in what the others saw."""
    count: tuple[str | None, ...]
    """Per species, the median of `COUNT_BINS` over those who saw it; None where nobody counted."""


@dataclass(frozen=True, slots=True)
class EventAnswer:
    """The answer about a capture event, or about one photograph that people classified by itself."""

    location: str | None
    event: str | None
    photograph: Path | None
    """None: the answer is about all photographs of the event."""
    answer: Answer | None
    """None: there are only contradictions."""
    contradictions: tuple[Contradiction, ...] = ()


@dataclass(frozen=True, slots=True)
class Propagated:
    """One answer per photograph."""

    annotations: tuple[Annotation, ...]
    """In the order in which the photographs were first spoken of; photographs with contradictions only are not here."""
    contradictions: tuple[Contradiction, ...]


def middle(numbers: Iterable[int], median: Median = "lower") -> int:
    """Return the median of at least one number, of an even amount the lower or the upper of the two in the middle.

    The released Snapshot Serengeti answers rest on the lower one: ceil((n + 1) / 2) - 1 with the integer division of
    Python 2 (plurality_consensus.py of Kosmala), although it says "rounded up"; that would be the upper one.
    """
    ordered = sorted(numbers)
    return ordered[(len(ordered) + 1) // 2 - 1 if median == "lower" else len(ordered) // 2]


def pielou(votes: Iterable[int]) -> float:
    """Return Pielou's evenness of votes, 0 (all alike) to 1 (spread evenly): -sum(p ln p) / ln S, 0 for S < 2 species."""
    given = sorted(number for number in votes if number)  # sums of floats depend on their order
    if len(given) < 2:
        return 0.0
    total = sum(given)
    return min(1.0, -sum(number / total * log(number / total) for number in given) / log(len(given)))


def count_bin(individuals: int) -> str:
    """Return the bin of a number of individuals from 1: `1` to `10`, `11-50` or `51+`."""
    return str(individuals) if individuals <= 10 else "11-50" if individuals <= 50 else "51+"


def decide(classifications: Sequence[Classification], median: Median = "lower") -> Answer:
    """Return the plurality answer of at least one classification (Swanson et al. 2015; plurality_consensus.py).

    Blank classifications are counted and then have no say. The median of the others' numbers of species is how many
    species there are; those with the most votes are taken. The original draws lots among equals and may draw the same
    species twice; here the name decides, and `tie` tells. All blank: no species.
    """
    lively = [each for each in classifications if each]
    votes: dict[str, int] = {}
    for each in lively:
        for name in each:
            votes[name] = votes.get(name, 0) + 1
    number = middle((len(each) for each in lively), median) if lively else 0
    ranked = sorted(votes, key=lambda name: (-votes[name], name))
    species = tuple(ranked[:number])
    tie = 0 < number < len(ranked) and votes[ranked[number]] == votes[ranked[number - 1]]
    counted = [[_RANK[count_bin(seen)] for each in lively if (seen := each.get(name)) is not None] for name in species]
    return Answer(
        species,
        number,
        tuple(votes[name] / len(lively) for name in species) if lively else (1.0,),
        pielou(votes.values()),
        tie,
        len(classifications),
        len(classifications) - len(lively),
        tuple(COUNT_BINS[middle(ranks, median)] if ranks else None for ranks in counted),
    )


def consensus(annotations: Iterable[Annotation], median: Median = "lower") -> list[EventAnswer]:
    """Return the answer about every event that answers speak of as a whole, and every photograph with named annotators.

    Answers with `of_event` are grouped by location and event, the others by photograph: what somebody said of one
    photograph is never taken for the whole event. Within a group every annotator has one classification, over all their
    rows. Where no annotator is named it is a source's own result: its rows are joined as they are. Groups come in the
    order in which they are first spoken of; the answers do not depend on the order of the rows.
    """
    return list(_heard(annotations, median)[1].values())


def propagate(annotations: Iterable[Annotation], median: Median = "lower") -> Propagated:
    """Return one annotation per photograph, events' answers passed on to all their photographs with `of_event`.

    A photograph keeps what was said of itself (without annotators as it stands, with them by their consensus); only
    where nothing was, it gets its event's answer, whether or not the animal is on it (Norouzzadeh et al. 2018). Two
    different labels from one source are two species. `support` is that of the species with the least, `count` the lower
    end of the bin, for one species only.
    """
    photographs, answers = _heard(annotations, median)
    settled: list[Annotation] = []
    contradictions = [each for answer in answers.values() for each in answer.contradictions]
    for path, said in photographs.items():
        own = [each for each in said if not _is_of_event(each)]
        if len(said) == len(own) == 1 and said[0].annotator is None:
            settled.append(said[0])
            continue
        places = {(each.location, each.event) for each in said}
        if len({event for event in places if event[1] is not None}) > 1:
            contradictions.append(Contradiction(Fault.TWO_EVENTS, path, None, None, (), None))
            continue
        key: Place | Path = path if own else (said[0].location, said[0].event)
        decided = answers[key] if key in answers else _settle(path, own, median)
        if key not in answers:
            contradictions += decided.contradictions
        if decided.answer is not None:
            settled.append(_passed_on(path, said, own, decided.answer))
    return Propagated(tuple(settled), tuple(contradictions))


def _is_of_event(annotation: Annotation) -> bool:
    return annotation.of_event and annotation.event is not None


def _heard(
    annotations: Iterable[Annotation], median: Median
) -> tuple[dict[Path, list[Annotation]], dict[Place | Path, EventAnswer]]:
    """Return what was said of every photograph, and the answers of the groups that need a decision."""
    photographs: dict[Path, list[Annotation]] = {}
    groups: dict[Place | Path, list[Annotation]] = {}
    for each in annotations:
        photographs.setdefault(each.path, []).append(each)
        if _is_of_event(each):
            groups.setdefault((each.location, each.event), []).append(each)
        elif each.annotator is not None:
            groups.setdefault(each.path, [])
    for path in [key for key in groups if isinstance(key, Path)]:
        groups[path] = [each for each in photographs[path] if not _is_of_event(each)]
    answers = {key: _settle(key if isinstance(key, Path) else None, said, median) for key, said in groups.items()}
    return photographs, answers


def _settle(photograph: Path | None, said: Sequence[Annotation], median: Median) -> EventAnswer:
    """Return the answer of one group."""
    first = min(said, key=lambda each: (str(each.path), each.annotator or ""))
    location = next((each.location for each in said if each.location is not None), None)
    event = next((each.event for each in said if each.event is not None), None)
    seen: dict[str | None, dict[str, int | None]] = {}
    blank: set[str | None] = set()
    for each in said:
        mine = seen.setdefault(each.annotator, {})
        if not each.species:
            blank.add(each.annotator)
        for name in each.species:
            before = mine.get(name)
            mine[name] = each.count if before is None or (each.count or 0) > before else before
    wrong = sorted((who for who in blank if seen[who]), key=str)
    contradictions = tuple(
        Contradiction(Fault.BLANK_AND_SPECIES, first.path, location, event, tuple(sorted(seen[who])), who)
        for who in wrong
    )
    counted = {who: mine for who, mine in seen.items() if who not in wrong}
    answer = None
    if counted.keys() == {None}:
        answer = _own_result(said, counted[None])
    elif counted:
        answer = decide(list(counted.values()), median)
    return EventAnswer(location, event, photograph, answer, contradictions)


def _own_result(said: Sequence[Annotation], seen: Classification) -> Answer:
    """Return a source's own result, with the certainty that it reports."""
    species = tuple(sorted(seen))
    support: dict[str, float] = {}
    for each in said:
        for name in each.species or ("",):
            if each.support is not None:
                support[name] = min(each.support, support.get(name, 1.0))
    wanted = species or ("",)
    known = tuple(support[name] for name in wanted) if support.keys() >= set(wanted) else ()
    evenness = min((each.evenness for each in said if each.evenness is not None), default=None)
    counts = tuple(None if (number := seen[name]) is None else count_bin(number) for name in species)
    return Answer(species, len(species), known, evenness, False, 0, 0, counts)


def _passed_on(path: Path, said: Sequence[Annotation], own: Sequence[Annotation], answer: Answer) -> Annotation:
    """Return a photograph's one annotation."""
    exact = {each.count for each in own if each.annotator is None and each.count is not None}
    bins = answer.count if answer.n_species == 1 else ()
    count = max(exact) if exact and bins else _LOWEST[_RANK[bins[0]]] if bins and bins[0] is not None else None
    return Annotation(
        path,
        tuple(sorted(answer.species)),
        next((each.location for each in said if each.location is not None), None),
        next((each.event for each in said if each.event is not None), None),
        next((each.captured_at for each in said if each.captured_at is not None), None),
        count,
        None,
        next((each.split for each in said if each.split is not None), None),
        all(each.of_event for each in own or said),
        min(answer.support, default=None),
        answer.evenness,
    )
