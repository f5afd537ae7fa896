"""People before imports before networks: whose word counts for a frame and for an event, and what stays beside it."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctwatch.decisions import Decision, Review, Scores, Thresholds
from ctwatch.domain import ObservationType
from ctwatch.ensemble import Averaging
from ctwatch.events import Grouping
from ctwatch.opinions import NOBODY, ImportLimits, Said, Verdict, Voices, decide, voices
from ctwatch.survey import Answer, Scope

LABELS = ("fox", "boar", "deer")
LIMITS = Thresholds(0.5, 0.9, np.full(3, 0.65), 0.9, 0.5)
IMPORTS = ImportLimits(0.8, 0.9, 0.65, 0.9)
T0 = datetime(2026, 5, 1, 12)


def scores(*frames: str | None) -> Scores:
    """A frame each: `blank`, a species that one network is sure of, or None for not looked at."""
    blank = np.array([np.nan if name is None else float(name == "blank") for name in frames])
    members = np.full((len(frames), 1, 3), np.nan, dtype=np.float32)
    for row, name in enumerate(frames):
        if name in LABELS:
            members[row, 0] = 0.01
            members[row, 0, LABELS.index(name)] = 0.98
    return Scores(np.ones(len(frames), bool), blank, members, LABELS)


def events(*sizes: int) -> Grouping:
    return Grouping(np.arange(sum(sizes)), np.cumsum([0, *sizes[:-1]]))


def person(
    row: int, *labels: str, by: str = "Ann", day: int = 0, scope: Scope = Scope.MEDIA, count: int | None = None
) -> Said:
    return Said(row, tuple(Answer(label, count) for label in labels), by, T0 + timedelta(days=day), scope)


def model(row: int, **p: float) -> Said:
    return Said(row, tuple(Answer(label, None, value) for label, value in p.items()), "MegaDetector", T0)


def decided(seen: Scores, grouping: Grouping, heard: Voices = NOBODY) -> Verdict:
    return decide(seen, grouping, LIMITS, Averaging.LOGIT, Averaging.LOGIT, heard, IMPORTS)


def told(decisions: list[Decision], unit: int = 0) -> list[tuple[str, bool]]:
    """What was decided of one unit: label or type, and whether a person did."""
    return [(d.label or str(d.observation_type), d.by_human) for d in decisions if d.unit == unit]


def test_without_other_voices_the_ensembles_decide() -> None:
    """And what the machines decided is what was decided."""
    verdict = decided(scores("fox", "fox", "blank"), events(2, 1))
    assert told(verdict.events) == [("fox", False)]
    assert told(verdict.events, 1) == [("blank", False)]
    assert verdict.machine_events[0] == [d for d in verdict.events if d.unit == 0]


def test_a_person_on_one_frame_names_the_event_and_the_machine_stays_beside() -> None:
    """One look at a burst is enough; other frames' machine answers count no more for it."""
    verdict = decided(scores("fox", "fox", "fox"), events(3), voices([person(1, "boar", count=2)], []))
    assert told(verdict.events) == [("boar", True)]
    assert verdict.events[0].count == 2
    assert verdict.events[0].classified_by == "Ann"
    assert verdict.events[0].probability is None
    assert [d.label for d in verdict.machine_events[0]] == ["fox"]
    assert [told(verdict.frames, row) for row in range(3)] == [[("fox", False)], [("boar", True)], [("fox", False)]]


def test_blank_by_a_person_takes_only_that_frame_from_the_machine() -> None:
    """The rest of the event is still the machine's; all frames blank make a blank event."""
    some = decided(scores("fox", "boar"), events(2), voices([person(0, "blank")], []))
    assert told(some.events) == [("boar", False)]
    assert sorted(d.label or "" for d in some.machine_events[0]) == ["boar", "fox"]
    every = decided(scores("fox", "boar"), events(2), voices([person(0, "blank"), person(1, "blank")], []))
    assert told(every.events) == [("blank", True)]


def test_what_a_person_says_of_an_event_does_not_name_its_frames() -> None:
    """Nobody said which photographs show the animal; that the event is blank speaks of each."""
    seen = scores("fox", "blank")
    event = decided(
        seen, events(2), voices([person(0, "boar", scope=Scope.EVENT), person(1, "boar", scope=Scope.EVENT)], [])
    )
    assert told(event.events) == [("boar", True)]
    assert [told(event.frames, row) for row in range(2)] == [[("fox", False)], [("blank", False)]]
    blank = decided(seen, events(2), voices([person(row, "blank", scope=Scope.EVENT) for row in range(2)], []))
    assert told(blank.frames, 0) == [("blank", True)]


def test_a_label_of_an_event_survives_another_grouping() -> None:
    """Split, every part keeps it; joined, the animals of both are there, and a count is never added up."""
    said = voices(
        [person(row, "boar", scope=Scope.EVENT, count=3) for row in range(2)] + [person(2, "fox", scope=Scope.EVENT)],
        [],
    )
    split = decided(scores("fox", "fox", "fox"), events(1, 1, 1), said)
    assert [told(split.events, number) for number in range(3)] == [[("boar", True)], [("boar", True)], [("fox", True)]]
    joined = decided(scores("fox", "fox", "fox"), events(3), said)
    assert told(joined.events) == [("boar", True), ("fox", True)]
    assert [d.count for d in joined.events] == [3, None]


def test_the_last_word_counts_and_a_dispute_is_shown() -> None:
    """A person may correct herself in silence; two people who differ are put before a third."""
    herself = decided(scores("fox"), events(1), voices([person(0, "boar"), person(0, "deer", day=1)], []))
    assert told(herself.events) == [("deer", True)]
    assert herself.events[0].review == ()
    others = decided(scores("fox"), events(1), voices([person(0, "boar"), person(0, "deer", by="Ben", day=1)], []))
    assert told(others.events) == [("deer", True)]
    assert others.events[0].review == (Review.PEOPLE_DISAGREE,)
    assert others.frames[0].review == (Review.PEOPLE_DISAGREE,)


def test_people_can_say_that_nobody_can_tell() -> None:
    """Unknown and unnamed animals are answers, and need no second look."""
    verdict = decided(scores("fox", "fox"), events(1, 1), voices([person(0, "unknown"), person(1, "animal")], []))
    assert [d.observation_type for d in verdict.events] == [ObservationType.UNKNOWN, ObservationType.ANIMAL]
    assert [d.label for d in verdict.events] == [None, None]
    assert not any(d.review for d in verdict.events)


def test_an_import_stands_before_the_ensembles_and_behind_a_person() -> None:
    """Each layer over the next."""
    seen = scores("fox", "fox", "fox")
    imported = [model(0, boar=0.9, blank=0.02), model(1, boar=0.8, blank=0.02)]
    verdict = decided(seen, events(3), voices([], imported))
    assert told(verdict.events) == [("boar", False)]
    assert verdict.events[0].classified_by == "MegaDetector"
    assert verdict.events[0].probability == pytest.approx(0.85)
    assert told(verdict.frames, 2) == [("fox", False)]
    with_person = decided(seen, events(3), voices([person(0, "deer")], imported))
    assert told(with_person.events) == [("deer", True)]
    assert [d.label for d in with_person.machine_events[0]] == ["boar"]


def test_a_detector_decides_blank_and_leaves_the_naming_to_the_review() -> None:
    """MegaDetector's 0.2 is blank at 0.8; people and vehicles are told from any box above it."""
    empty = decided(scores(None), events(1), voices([], [model(0, blank=0.85, animal=0.15)]))
    assert told(empty.events) == [("blank", False)]
    assert empty.events[0].review == (Review.UNCERTAIN_BLANK,)
    animal = decided(scores(None), events(1), voices([], [model(0, blank=0.4, animal=0.6)]))
    assert animal.events[0].observation_type is ObservationType.ANIMAL
    assert animal.events[0].review == (Review.NO_SPECIES_MODEL,)
    human = decided(scores(None), events(1), voices([], [model(0, blank=0.6, human=0.4, animal=0.1)]))
    assert human.events[0].observation_type is ObservationType.HUMAN
    assert human.events[0].review == (Review.LOW_CONFIDENCE,)


def test_imported_blanks_take_frames_from_the_ensembles() -> None:
    """Where an import saw nothing on some frames, our own models decide about the others."""
    verdict = decided(scores("fox", "boar"), events(2), voices([], [model(0, blank=0.95)]))
    assert told(verdict.events) == [("boar", False)]
    assert verdict.events[0].classified_by is None


def test_an_import_below_its_threshold_is_unknown_and_reviewed() -> None:
    """As our own would be."""
    verdict = decided(scores("fox"), events(1), voices([], [model(0, boar=0.5, blank=0.1)]))
    assert verdict.events[0].observation_type is ObservationType.UNKNOWN
    assert verdict.events[0].review == (Review.LOW_CONFIDENCE,)
    assert verdict.events[0].top == (("boar", 0.5),)


FRAMES = st.lists(st.sampled_from(["fox", "boar", "blank", None]), min_size=1, max_size=7)
WORDS = st.sampled_from(["fox", "deer", "blank", "human", "unknown"])


@given(FRAMES, st.data())
def test_a_person_always_wins_and_the_machine_stays_beside(frames: list[str | None], data: st.DataObject) -> None:
    """Whatever is said of whichever frames, in whatever events."""
    size = len(frames)
    cuts = sorted(data.draw(st.sets(st.integers(1, size - 1)))) if size > 1 else []
    bounds = [0, *cuts, size]
    grouping = events(*np.diff(bounds).tolist())
    said = data.draw(st.lists(st.builds(person, st.integers(0, size - 1), WORDS, day=st.integers(0, 3)), max_size=6))
    said.sort(key=lambda item: item.at or T0)
    alone, heard = decided(scores(*frames), grouping), decided(scores(*frames), grouping, voices(said, []))
    last = {item.row: item for item in said}
    for row in last:
        assert {d.by_human for d in heard.frames if d.unit == row} == {True}
        event = int(np.searchsorted(bounds, row, side="right")) - 1
        spoken = {other.answers[0].label for key, other in last.items() if bounds[event] <= key < bounds[event + 1]}
        if spoken != {"blank"}:
            assert all(d.by_human for d in heard.events if d.unit == event)
            assert len([d for d in heard.events if d.unit == event]) == len(spoken - {"blank"})
    assert heard.machine_events == alone.machine_events
    assert heard.machine_frames == alone.machine_frames
    untouched = set(range(len(bounds) - 1)) - {int(np.searchsorted(bounds, row, side="right")) - 1 for row in last}
    for event in untouched:
        assert told(heard.events, event) == told(alone.events, event)
    assert {d.unit for d in heard.events} == set(range(len(bounds) - 1))
