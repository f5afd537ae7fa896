"""Settling: a card is handed out when it is whole, once for each state, and never while it is written to."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctwatch.domain import CardSnapshot, FileStat
from ctwatch.settle import SettleTracker, fingerprint, is_temporary

SETTLE_S = 20.0
quick = settings(deadline=None)


def card(
    *sizes: int, name: str = "A", ready: bool = False, copying: bool = False, inode: int = 1, ctime: int = 1
) -> CardSnapshot:
    """A snapshot of a card whose files have these sizes."""
    files = tuple(
        FileStat(f"IMG_{number}.JPG", size, 7, ctime_ns=ctime, inode=inode) for number, size in enumerate(sizes)
    )
    return CardSnapshot(f"/inbox/{name}", name, "/inbox", files, ready=ready, copying=copying)


def settled(tracker: SettleTracker, now: float, *cards: CardSnapshot) -> list[str]:
    """Names of the cards that one look hands out."""
    return [snapshot.name for snapshot in tracker.update(cards, now)]


@dataclass(slots=True)
class Seen:
    """What the looks at one card have shown so far, newest last; and the states handed out since it is there."""

    looks: list[tuple[float, CardSnapshot]] = field(default_factory=list)
    handed: list[str] = field(default_factory=list)


looks = st.lists(
    st.tuples(
        st.sampled_from([0.5, 5.0, 10.0, 20.0, 25.0]),
        st.dictionaries(
            st.sampled_from("AB"),
            st.tuples(st.integers(0, 2), st.sampled_from([False, False, False, True]), st.booleans()),
        ),
    ),
    max_size=25,
)


@quick
@given(looks)
def test_only_what_was_quiet_is_handed_out_and_once(
    sequence: list[tuple[float, dict[str, tuple[int, bool, bool]]]],
) -> None:
    """Whatever is seen: quiet for settle_s in two looks and no temporary name, or READY; each state once in a row."""
    tracker = SettleTracker(SETTLE_S)
    seen: dict[str, Seen] = {}
    now = 0.0
    for pause, present in sequence:
        now += pause
        snapshots = {
            name: card(*range(1, 2 + files), name=name, copying=copying, ready=ready and files == 2)
            for name, (files, copying, ready) in present.items()
        }
        handed = tracker.update(snapshots.values(), now)
        seen = {name: seen.get(name, Seen()) for name in snapshots}
        for name, snapshot in snapshots.items():
            seen[name].looks.append((now, snapshot))
        for snapshot in handed:
            history = seen[snapshot.name]
            if not snapshot.ready:
                assert not snapshot.copying
                same = [moment for moment, look in history.looks if moment >= now - SETTLE_S]
                assert all(look == snapshot for moment, look in history.looks if moment >= now - SETTLE_S)
                assert len(history.looks) >= 2
                assert now - history.looks[0][0] >= SETTLE_S or len(same) < len(history.looks)
            assert history.handed[-1:] != [fingerprint(snapshot)]
            history.handed.append(fingerprint(snapshot))
        for name, snapshot in snapshots.items():
            waiting = name in {item.name for item in tracker.waiting()}
            assert waiting == (seen[name].handed[-1:] != [fingerprint(snapshot)])


@quick
@given(looks)
def test_a_card_left_alone_is_always_handed_out_in_the_end(
    sequence: list[tuple[float, dict[str, tuple[int, bool, bool]]]],
) -> None:
    """After any history, two quiet looks settle_s apart hand out what still waits, and then nothing is due."""
    tracker = SettleTracker(SETTLE_S)
    now = 0.0
    for pause, present in sequence:
        now += pause
        tracker.update([card(*range(1, 2 + n), name=name, copying=c) for name, (n, c, _) in present.items()], now)
    last = card(1, 2, 3, 4)
    handed = settled(tracker, now + 1, last) + settled(tracker, now + 1 + SETTLE_S, last)
    assert handed == ["A"]
    assert tracker.next_due(now + 100) is None
    assert settled(tracker, now + 1000, last) == []


def test_one_look_is_never_enough() -> None:
    """Even without a waiting time a second look must agree."""
    tracker = SettleTracker(0.0)
    assert settled(tracker, 0, card(1)) == []
    assert settled(tracker, 0, card(1)) == ["A"]


def test_a_growing_card_waits_and_its_clock_starts_again() -> None:
    """Each change starts the quiet time anew."""
    tracker = SettleTracker(SETTLE_S)
    assert settled(tracker, 0, card(1)) == []
    assert settled(tracker, 19, card(1, 2)) == []
    assert tracker.next_due(19) == SETTLE_S
    assert settled(tracker, 38, card(1, 2)) == []
    assert settled(tracker, 39, card(1, 2)) == ["A"]


def test_a_card_that_grows_later_comes_again() -> None:
    """A second visit with the same folder is a new state."""
    tracker = SettleTracker(SETTLE_S)
    for now in (0, 20):
        handed = settled(tracker, now, card(1))
    assert handed == ["A"]
    assert settled(tracker, 40, card(1, 2)) == []
    assert settled(tracker, 60, card(1, 2)) == ["A"]
    assert settled(tracker, 80, card(1, 2)) == []


def test_a_temporary_name_holds_the_card_back() -> None:
    """A copying program's unfinished file is waited for, however long it rests."""
    tracker = SettleTracker(SETTLE_S)
    assert [settled(tracker, now, card(1, copying=True)) for now in (0, 20, 4000)] == [[], [], []]
    assert settled(tracker, 4001, card(1)) == []
    assert settled(tracker, 4021, card(1)) == ["A"]


def test_ready_hands_out_at_once_and_once() -> None:
    """A READY file is the technician's word, even beside a temporary name."""
    tracker = SettleTracker(SETTLE_S)
    assert settled(tracker, 0, card(1, ready=True, copying=True)) == ["A"]
    assert settled(tracker, 1, card(1, ready=True)) == []
    assert settled(tracker, 2, card(1, 2, ready=True)) == ["A"]


def test_a_remount_is_no_news() -> None:
    """Other inodes and change times of the same files do not hand a card out again."""
    tracker = SettleTracker(SETTLE_S)
    for now in (0, 20):
        handed = settled(tracker, now, card(1))
    assert handed == ["A"]
    assert [settled(tracker, now, card(1, inode=9, ctime=9)) for now in (40, 60, 80)] == [[], [], []]


def test_a_vanished_inbox_breaks_nothing() -> None:
    """A card that is gone is forgotten and watched afresh when it is back."""
    tracker = SettleTracker(SETTLE_S)
    assert settled(tracker, 0, card(1), card(1, name="B")) == []
    assert settled(tracker, 10) == []
    assert tracker.waiting() == []
    assert tracker.next_due(10) is None
    assert settled(tracker, 20, card(1)) == []
    assert settled(tracker, 40, card(1)) == ["A"]


def test_retry_hands_the_same_state_out_again() -> None:
    """A card whose processing failed comes again at the next look; an unknown one is nobody's error."""
    tracker = SettleTracker(SETTLE_S)
    for now in (0, 20):
        handed = settled(tracker, now, card(1))
    assert handed == ["A"]
    tracker.retry("/inbox/A")
    tracker.retry("/inbox/never seen")
    assert [snapshot.name for snapshot in tracker.waiting()] == ["A"]
    assert settled(tracker, 21, card(1)) == ["A"]
    assert settled(tracker, 22, card(1)) == []


def test_fingerprint_tells_sizes_and_times_and_names_apart() -> None:
    """Anything that a copy changes makes another state; undecodable names have one too."""
    base = card(1)
    grown = replace(base, files=(replace(base.files[0], size=2),))
    touched = replace(base, files=(replace(base.files[0], mtime_ns=8),))
    renamed = replace(base, files=(replace(base.files[0], path="IMG_\udcff.JPG"),))
    assert len({fingerprint(item) for item in (base, grown, touched, renamed)}) == 4


@pytest.mark.parametrize(
    ("name", "expected"),
    [("IMG.JPG.part", True), ("x.TMP", True), ("~$a", True), (".~lock", True), ("IMG.JPG", False), ("part", False)],
)
def test_temporary_names(name: str, expected: bool) -> None:
    """The names of browsers', file managers' and office programs' unfinished files."""
    assert is_temporary(name) is expected
