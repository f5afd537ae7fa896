"""Settling: a card is handed out when it is whole, once for each state, and never while it is written to."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctwatch.domain import CardSnapshot, FileStat, Ignored
from ctwatch.settle import EMPTY_CARD, SettleTracker, final_name, fingerprint, incomplete, is_temporary, still_to_come

SETTLE_S = 20.0
quick = settings(deadline=None)


def card(
    *sizes: int, name: str = "A", ready: bool = False, copying: bool = False, inode: int = 1, ctime: int = 1
) -> CardSnapshot:
    """A snapshot of a card whose files have these sizes."""
    files = tuple(
        FileStat(f"IMG_{number}.JPG", size, 7, ctime_ns=ctime, inode=inode) for number, size in enumerate(sizes)
    )
    temporary = (FileStat("IMG_99.JPG.part", 3, 7),) if copying else ()
    return CardSnapshot(f"/inbox/{name}", name, "/inbox", files, ready=ready, temporary=temporary)


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


UNFINISHED_S = 300.0


class Question:
    """The last look's answer for card A, and how often it was asked for."""

    def __init__(self, *names: str) -> None:
        self.names, self.asked = names, 0

    def __call__(self, snapshot: CardSnapshot) -> tuple[str, ...]:
        self.asked += 1
        return self.names


def test_an_unfinished_file_holds_a_quiet_card_until_it_is_finished() -> None:
    """The question is put when the card has come to rest, and again once in settle_s; the answer may change on its own."""
    tracker, question = SettleTracker(SETTLE_S, UNFINISHED_S), Question("IMG_0.JPG")
    assert tracker.update([card(1)], 0, question) == []
    assert (question.asked, tracker.waits_for("/inbox/A")) == (0, ())
    assert tracker.update([card(1)], 20, question) == []
    assert (question.asked, tracker.waits_for("/inbox/A")) == (1, ("IMG_0.JPG",))
    assert tracker.next_due(25) == 15
    assert tracker.update([card(1)], 30, question) == []
    assert question.asked == 1
    question.names = ()
    assert [item.name for item in tracker.update([card(1)], 40, question)] == ["A"]
    assert (tracker.waits_for("/inbox/A"), tracker.next_due(41)) == ((), None)
    assert tracker.update([card(1)], 100, question) == []
    assert question.asked == 2


def test_an_unfinished_file_that_rests_for_long_counts_as_broken() -> None:
    """Quiet for unfinished_s since the last change, and what was waited for stays to be told."""
    tracker, question = SettleTracker(SETTLE_S, UNFINISHED_S), Question("IMG_0.JPG")
    for now in (0, 20, 299):
        assert tracker.update([card(1)], now, question) == []
    assert tracker.next_due(299) == 1
    assert tracker.update([card(2)], 299, question) == []  # it grows after all
    assert tracker.waits_for("/inbox/A") == ()
    assert tracker.update([card(2)], 598, question) == []
    assert tracker.next_due(598) == 1
    assert [item.name for item in tracker.update([card(2)], 599, question)] == ["A"]
    assert tracker.waits_for("/inbox/A") == ("IMG_0.JPG",)
    assert tracker.update([card(2)], 700, question) == []


def test_unfinished_may_wait_no_longer_than_settling() -> None:
    """An unfinished_s shorter than settle_s means: do not wait for anything more."""
    tracker, question = SettleTracker(SETTLE_S, 0.0), Question("IMG_0.JPG")
    assert tracker.update([card(1)], 0, question) == []
    assert [item.name for item in tracker.update([card(1)], 20, question)] == ["A"]


def test_ready_is_asked_for_what_is_being_written_only() -> None:
    """A listing's doubts and temporary names do not count, the last look's do; it looks at writers alone on such a card."""
    tracker, question = SettleTracker(SETTLE_S, UNFINISHED_S), Question("IMG_0.JPG")
    ready = card(0, ready=True, copying=True)
    assert tracker.update([ready], 0, question) == []
    assert (tracker.waits_for("/inbox/A"), tracker.next_due(0)) == (("IMG_0.JPG",), SETTLE_S)
    question.names = ()
    assert [item.name for item in tracker.update([ready], 20, question)] == ["A"]


def test_a_card_that_is_in_already_is_not_looked_at_again() -> None:
    """After a restart hundreds of cards lie there as they were processed, some of them with broken files for good."""
    tracker, question = SettleTracker(SETTLE_S, UNFINISHED_S), Question("IMG_0.JPG")
    known = {fingerprint(card(1, 0))}
    assert [tracker.update([card(1, 0)], now, question, known) for now in (0, 20)] == [[], []]
    assert (tracker.recognised, question.asked, tracker.waiting()) == (1, 0, [])
    assert tracker.update([card(1, 0)], 40, question, known) == []
    assert tracker.recognised == 0, "it is told once"


def test_only_waiting_for_a_file_to_come_makes_nothing_due() -> None:
    """No passing of time ends such a wait, so the loop need not look for it; another card's time counts as ever."""
    tracker = SettleTracker(SETTLE_S, UNFINISHED_S)
    for now in (0, 20):
        assert settled(tracker, now, card(1, copying=True)) == []
    assert tracker.waits_for("/inbox/A") == ("IMG_99.JPG.part",)
    assert tracker.next_due(20) is None
    assert settled(tracker, 25, card(1, copying=True), card(1, name="B")) == []
    assert tracker.next_due(25) == SETTLE_S
    assert tracker.waits_for("/inbox/never seen") == ()


def test_a_temporary_file_that_grows_is_a_change() -> None:
    """A long video that rsync writes under a hidden name keeps the card from being quiet."""
    tracker = SettleTracker(SETTLE_S, 100.0)
    leftover = replace(card(1), temporary=(FileStat(".IMG_0.JPG.Xa3d9f", 1, 1),))
    for now in (0, 20, 90):
        assert settled(tracker, now, leftover) == []
    grown = replace(card(1), temporary=(FileStat(".IMG_0.JPG.Xa3d9f", 2, 1),))
    for now in (95, 115, 194):
        assert settled(tracker, now, grown) == []
    assert settled(tracker, 195, grown) == ["A"]


def test_what_a_listing_shows_to_be_unfinished() -> None:
    """Empty photographs and videos, empty camera folders, leftovers, an empty card; not empty notes."""
    listing = CardSnapshot(
        "/inbox/A",
        "A",
        "/inbox",
        (
            FileStat("a/IMG_1.JPG", 5, 1),
            FileStat("b/IMG_2.JPG", 0, 1),
            FileStat("note.txt", 0, 1, ignored=Ignored.NOT_MEDIA),
            FileStat("v.mp4", 0, 1, ignored=Ignored.VIDEO),
        ),
        temporary=(
            FileStat("a/.IMG_1.JPG.Xa3d9f", 0, 1),
            FileStat("a/.rsync-partial/IMG_1.JPG", 3, 1),
            FileStat("b/.rsync-partial/IMG_1.JPG", 3, 1),
            FileStat("b/IMG_1.JPG.part", 3, 1),
            FileStat("b/~$notes.doc", 3, 1),
        ),
        hollow=("DCIM/101MEDIA",),
    )
    assert incomplete(listing) == (
        "b/IMG_2.JPG", "v.mp4", "DCIM/101MEDIA", "a/.IMG_1.JPG.Xa3d9f", "a/.rsync-partial/IMG_1.JPG"
    )  # fmt: skip
    assert still_to_come(listing) == ("b/.rsync-partial/IMG_1.JPG", "b/IMG_1.JPG.part", "b/~$notes.doc")
    assert incomplete(card()) == (EMPTY_CARD,)
    assert (incomplete(card(1)), still_to_come(card(1))) == ((), ())


@pytest.mark.parametrize(
    ("name", "final"),
    [
        ("IMG.JPG.part", "IMG.JPG"),
        ("x.TMP", "x"),
        ("IMG.JPG.crdownload", "IMG.JPG"),
        ("~$a", None),
        (".~lock", None),
        (".~tmp~", None),
        (".rsync-partial", None),
        (".IMG_0001.JPG.Xa3d9f", "IMG_0001.JPG"),
        ("._DSC0001.JPG.Xa3d9f", "_DSC0001.JPG"),
        (".syncthing.IMG.JPG.tmp", "IMG.JPG"),
        ("~syncthing~IMG.JPG.tmp", "IMG.JPG"),
        (".IMG.JPG.~3f2a91", "IMG.JPG"),
        (".pending-1779000000-IMG.JPG", "IMG.JPG"),
        (".goutputstream-AB12C3", None),
    ],
)
def test_temporary_names_and_what_they_become(name: str, final: str | None) -> None:
    """The names of copying programs', browsers', file managers' and office programs' unfinished files."""
    assert is_temporary(name)
    assert final_name(name) == final


@pytest.mark.parametrize(
    "name",
    [
        "IMG.JPG", "part", "IMG.part.JPG", "._IMG_0001.JPG", ".DS_Store", ".app.config", ".Trash-1000", ".fseventsd",
        ".nomedia", "IMG.JPG.Xa3d9f", ".com.apple.timemachine.donotpresent", "partial", "tmp",
    ],
)  # fmt: skip
def test_other_names_are_not_temporary(name: str) -> None:
    """AppleDouble files, programs' settings and photographs."""
    assert not is_temporary(name)
