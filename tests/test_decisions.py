"""Decisions: every branch, for frames and for events."""

import numpy as np
import pytest
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Row, columns

from ctwatch.decisions import Decision, Review, Scores, Thresholds, decide_events, decide_frames, observation_type
from ctwatch.domain import ObservationType
from ctwatch.ensemble import Averaging
from ctwatch.events import EventRule, Grouping, group

LABELS = ("fox", "deer", "human", "vehicle", "blank", "unknown")
NAN = float("nan")
MEAN = Averaging.PROBABILITY


def thresholds(labels: int = len(LABELS)) -> Thresholds:
    return Thresholds(blank=0.5, sure_blank=0.9, species=np.full(labels, 0.6), some_frame=0.9, agreement=0.5)


def sure(label: str, p: float = 0.95) -> list[float]:
    """A species vector that prefers a label."""
    return [p if item == label else (1 - p) / (len(LABELS) - 1) for item in LABELS]


def scores(
    *frames: tuple[float, list[float] | list[list[float]] | None], unreadable: tuple[int, ...] = (), members: int = 1
) -> Scores:
    """Frames as (probability of blank, species vector or one per member, None for none)."""
    species = np.full((len(frames), members, len(LABELS)), NAN, dtype=np.float32)
    for row, (_, vector) in enumerate(frames):
        if vector is not None:
            species[row] = np.array(vector)
    readable = np.array([row not in unreadable for row in range(len(frames))], dtype=bool)
    return Scores(readable, np.array([blank for blank, _ in frames], dtype=float), species, LABELS)


def one_event(frames: int) -> Grouping:
    return Grouping(np.arange(frames, dtype=np.int64), np.array([0], dtype=np.int64))


def event(said: Scores, limits: Thresholds | None = None, pooling: Averaging = MEAN) -> list[Decision]:
    """Decide about one event of all the frames."""
    return decide_events(said, one_event(len(said.readable)), limits or thresholds(), MEAN, pooling)


def brief(decision: Decision) -> tuple[str, str | None, tuple[str, ...]]:
    return str(decision.observation_type), decision.label, tuple(map(str, decision.review))


FRAMES = [
    ("sure blank", (0.95, None), ("blank", None, ())),
    ("blank at exactly the threshold", (0.5, None), ("blank", None, ("uncertain_blank",))),
    ("blank though a species is sure", (0.8, sure("fox")), ("blank", None, ("uncertain_blank",))),
    ("animal that no species model saw", (0.1, None), ("animal", None, ("not_classified",))),
    ("species above its threshold", (0.1, sure("fox")), ("animal", "fox", ())),
    ("species without an empty filter", (NAN, sure("deer")), ("animal", "deer", ())),
    ("species below its threshold", (0.1, sure("fox", 0.5)), ("unknown", None, ("low_confidence",))),
    ("human", (0.1, sure("human")), ("human", "human", ())),
    ("vehicle", (0.1, sure("vehicle")), ("vehicle", "vehicle", ())),
    ("a model that knows the unknown", (0.1, sure("unknown")), ("unknown", "unknown", ())),
    ("species says blank, filter does not", (0.1, sure("blank")), ("unknown", None, ("members_disagree",))),
    ("no predictions", (NAN, None), ("unclassified", None, ("not_classified",))),
]


@pytest.mark.parametrize(("frame", "expected"), [case[1:] for case in FRAMES], ids=[case[0] for case in FRAMES])
def test_frames_and_events_of_one_frame_decide_alike(
    frame: tuple[float, list[float] | None], expected: tuple[str, str | None, tuple[str, ...]]
) -> None:
    """Each branch for a frame by itself, and the same for an event that is one frame."""
    said = scores(frame)
    (alone,) = decide_frames(said, thresholds(), MEAN)
    (pooled,) = event(said)
    assert brief(alone) == expected
    assert brief(pooled) == expected
    assert alone.probability == pytest.approx(pooled.probability)


def test_unreadable_frame_is_unclassified_and_says_so() -> None:
    """What could not be decoded was not looked at, whatever stands in the scores."""
    said = scores((0.99, sure("fox")), unreadable=(0,))
    assert brief(decide_frames(said, thresholds(), MEAN)[0]) == ("unclassified", None, ("unreadable_frame",))
    assert [brief(item) for item in event(said)] == [("unclassified", None, ("unreadable_frame",))]


def test_event_is_blank_only_if_every_frame_is() -> None:
    """One frame with an animal makes the event an animal's, and the blank frames do not dilute its species."""
    blank = (0.99, None)
    assert brief(event(scores(blank, blank))[0]) == ("blank", None, ())
    (decision,) = event(scores(blank, blank, (0.1, sure("fox"))))
    assert brief(decision) == ("animal", "fox", ())
    assert decision.probability == pytest.approx(0.95)


def test_blank_event_is_as_sure_as_its_least_sure_frame() -> None:
    """One doubtful frame sends a blank event to review, with that frame's probability."""
    (decision,) = event(scores((0.99, None), (0.7, None)))
    assert brief(decision) == ("blank", None, ("uncertain_blank",))
    assert decision.probability == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("said", "reasons"),
    [
        (scores((0.99, None), (0.99, None), unreadable=(1,)), ("unreadable_frame",)),
        (scores((0.99, None), (NAN, None)), ("not_classified",)),
        (scores((0.99, None), (NAN, None), (NAN, None), unreadable=(2,)), ("unreadable_frame", "not_classified")),
    ],
    ids=["unreadable", "not looked at", "both"],
)
def test_blank_event_with_an_unseen_frame_is_unclassified(said: Scores, reasons: tuple[str, ...]) -> None:
    """The animal may be on the frame that nobody saw: not blank, and every reason is named."""
    assert [brief(item) for item in event(said)] == [("unclassified", None, reasons)]


def test_animal_event_with_an_unreadable_frame_is_still_the_animals() -> None:
    """What was seen counts."""
    assert brief(event(scores((0.1, sure("fox")), (NAN, None), unreadable=(1,)))[0]) == ("animal", "fox", ())


def test_event_of_animals_without_species_takes_the_surest_frame() -> None:
    """Without a species model an event is as sure an animal as its best frame."""
    (decision,) = event(scores((0.3, None), (0.1, None)))
    assert brief(decision) == ("animal", None, ("not_classified",))
    assert decision.probability == pytest.approx(0.9)


def test_minority_species_keeps_an_observation_and_both_are_flagged() -> None:
    """A deer sure on one frame of three foxes stands beside the fox; a person sees both."""
    said = scores((0.1, sure("fox")), (0.1, sure("fox")), (0.1, sure("fox")), (0.1, sure("deer")))
    assert [brief(item) for item in event(said)] == [
        ("animal", "fox", ("several_species",)),
        ("animal", "deer", ("several_species",)),
    ]


def test_minority_species_below_its_thresholds_is_left_out() -> None:
    """A frame that is not sure enough founds no observation; a label's own threshold counts too."""
    said = scores((0.1, sure("fox")), (0.1, sure("fox")), (0.1, sure("deer", 0.85)))
    assert [item.label for item in event(said)] == ["fox"]
    strict = thresholds()
    strict.species[LABELS.index("deer")] = 0.97
    said = scores((0.1, sure("fox")), (0.1, sure("fox")), (0.1, sure("deer", 0.95)))
    assert [item.label for item in event(said, strict)] == ["fox"]


def test_unknown_event_gives_way_to_a_species_sure_on_a_frame() -> None:
    """Where the frames together are below the threshold, one sure frame names the event, flagged."""
    said = scores((0.1, sure("fox", 0.92)), (0.1, sure("deer", 0.5)), (0.1, sure("deer", 0.5)))
    assert [brief(item) for item in event(said)] == [("animal", "fox", ("confident_on_some_frames_only",))]


def test_unknown_event_with_two_sure_species_names_both() -> None:
    """Fox and deer, each sure on a frame, neither of them sure together."""
    said = scores((0.1, sure("fox", 0.92)), (0.1, sure("deer", 0.96)))
    assert [brief(item) for item in event(said)] == [
        ("animal", "deer", ("confident_on_some_frames_only", "several_species")),
        ("animal", "fox", ("confident_on_some_frames_only", "several_species")),
    ]


def test_blank_sure_on_a_frame_is_no_second_species() -> None:
    """The species model's blank never becomes an observation beside an animal."""
    said = scores((0.1, sure("fox")), (0.1, sure("fox")), (0.1, sure("blank")))
    assert [brief(item) for item in event(said)] == [("animal", "fox", ())]


def test_members_that_disagree_send_the_event_to_review() -> None:
    """One of three members carries the mean; the other two prefer another animal."""
    vectors = [sure("fox", 0.99), sure("deer", 0.45), sure("deer", 0.45)]
    limits = thresholds()
    limits.species[:] = 0.3
    assert brief(event(scores((0.1, vectors), members=3), limits)[0]) == ("animal", "fox", ("members_disagree",))
    same = [sure("fox"), sure("fox"), sure("deer")]
    assert brief(event(scores((0.1, same), members=3))[0]) == ("animal", "fox", ())


def test_exactly_the_agreed_share_is_enough() -> None:
    """Thresholds are inclusive: half of the members is not fewer than half."""
    said = scores((0.1, [sure("fox", 0.98), sure("deer", 0.5)]), members=2)
    limits = thresholds()
    limits.species[:] = 0.5
    assert brief(event(said, limits)[0]) == ("animal", "fox", ())


def test_no_events_no_decisions() -> None:
    """Nothing but time-lapse, or nothing at all."""
    nothing = Grouping(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
    assert decide_events(scores((0.1, sure("fox"))), nothing, thresholds(), MEAN, MEAN) == []
    assert decide_frames(scores(), thresholds(), MEAN) == []


def test_without_any_models_everything_is_unclassified() -> None:
    """No empty filter, no species model: arrays without members and labels."""
    said = Scores(np.ones(2, dtype=bool), np.full(2, NAN), np.empty((2, 0, 0), dtype=np.float32), ())
    limits = thresholds(0)
    expected = ("unclassified", None, ("not_classified",))
    assert [brief(item) for item in decide_frames(said, limits, MEAN)] == [expected, expected]
    assert [brief(item) for item in decide_events(said, one_event(2), limits, MEAN, MEAN)] == [expected]


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("Homo sapiens", ObservationType.HUMAN),
        ("person", ObservationType.HUMAN),
        ("VEHICLE", ObservationType.VEHICLE),
        ("blank", ObservationType.BLANK),
        ("unknown", ObservationType.UNKNOWN),
        ("Vulpes vulpes", ObservationType.ANIMAL),
    ],
)
def test_labels_stand_for_types(label: str, kind: ObservationType) -> None:
    """Capitals do not matter; what is no special word is an animal."""
    assert observation_type(label) is kind


frame_scores = st.tuples(
    st.sampled_from([NAN, 0.0, 0.3, 0.5, 0.8, 1.0]),
    st.one_of(st.none(), st.builds(sure, st.sampled_from(LABELS), st.sampled_from([0.3, 0.55, 0.7, 0.9, 0.95, 0.99]))),
    st.booleans(),
)


@settings(deadline=None)
@given(strategies.frames(12), st.lists(frame_scores, min_size=12, max_size=12), st.sampled_from(Averaging))
def test_every_event_and_every_frame_is_decided(
    rows: list[Row], drawn: list[tuple[float, list[float] | None, bool]], pooling: Averaging
) -> None:
    """Whatever was said: each event has a decision, no label twice in one, blank only over blank frames alone."""
    drawn = drawn[: len(rows)]
    said = scores(
        *[(blank, vector) for blank, vector, _ in drawn],
        unreadable=tuple(row for row, (_, _, cut) in enumerate(drawn) if cut),
    )
    grouping = group(columns(rows), EventRule())
    frames = decide_frames(said, thresholds(), MEAN)
    assert [item.unit for item in frames] == list(range(len(rows)))
    events = decide_events(said, grouping, thresholds(), MEAN, pooling)
    assert sorted({item.unit for item in events}) == list(range(len(grouping)))
    keys = [(item.unit, item.label) for item in events]
    assert len(set(keys)) == len(keys)
    members: dict[int, list[Decision]] = {}
    for number, row in zip(grouping.event_of_position(), grouping.order, strict=True):
        members.setdefault(int(number), []).append(frames[row])
    for item in events:
        kinds = {frame.observation_type for frame in members[item.unit]}
        assert (item.observation_type is ObservationType.BLANK) == (kinds == {ObservationType.BLANK})
        assert item.review or item.observation_type is not ObservationType.UNCLASSIFIED
        if item.probability is not None:
            assert 0 <= item.probability <= 1 + 1e-9
        assert Review.UNREADABLE not in item.review or ObservationType.UNCLASSIFIED in kinds
