"""Sweeps: what rests is not read again, and nothing that changes is missed; counted in listings and looks at files."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lookout import Lookout, until

from ctwatch import card, sweep
from ctwatch.settle import SettleTracker, fingerprint
from ctwatch.sweep import FULL_LOOK_S, FULL_LOOK_UNHEARD_S, GRANULARITY_S, Sweep

SETTLE_S = 20.0


class Counted:
    """What is asked of the file system: folders listed, folders looked at, files looked at."""

    def __init__(self) -> None:
        self.counts = Counter[str]()

    def take(self) -> tuple[int, int, int]:
        """The counts since the last call."""
        counts, self.counts = self.counts, Counter()
        return counts["listed"], counts["folders"], counts["files"]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counted:
    counted = Counted()

    def counting(what: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            counted.counts[what] += 1
            return real(*arguments)

        return call

    monkeypatch.setattr(card.os, "scandir", counting("listed", os.scandir))
    monkeypatch.setattr(card, "_state_of", counting("folders", card._state_of))
    monkeypatch.setattr(card, "_stat", counting("files", card._stat))
    return counted


class Station:
    """An inbox, looked at again and again by a clock of its own; every card that is handed out is in at once."""

    def __init__(self, inbox: Path) -> None:
        self.inbox, self.now = inbox, 0.0
        self.sweep = Sweep(lambda: self.now)
        self.tracker = SettleTracker(SETTLE_S)
        self.known = set[str]()
        inbox.mkdir()

    def look(self, after_s: float, *touched: Path, unheard: bool = False, missed: bool = False) -> list[str]:
        """Look once more, and return the names of the cards that were looked into."""
        self.now += after_s
        news = None if missed else {str(folder) for folder in touched}
        into = []
        for look in self.sweep.look(self.inbox, self.tracker.rests, news, unheard=unheard):
            if look.card is None:
                self.tracker.see_unchanged(look.root, self.now)
            else:
                into.append(look.card.name)
                self.tracker.see(look.card, self.now, self.known)
        self.known |= {fingerprint(item) for item in self.tracker.hand_out()}
        return into

    def rest(self) -> None:
        """Look until nothing is looked into any more."""
        for _ in range(5):
            self.look(SETTLE_S)
        assert self.look(1) == []


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    yield Station(tmp_path / "inbox")


def fill(root: Path, folders: int = 2, files: int = 5) -> None:
    for number in range(folders):
        place = root / "DCIM" / f"{100 + number}MEDIA"
        place.mkdir(parents=True)
        for index in range(files):
            (place / f"{index}.JPG").write_bytes(b"x")


def test_a_sweep_over_cards_that_rest_lists_the_inbox_alone(station: Station, asked: Counted) -> None:
    """However many files they hold: one question per folder, none per file."""
    for number in range(3):
        fill(station.inbox / f"L{number}", files=10 * number + 1)
    station.rest()
    asked.take()
    station.look(300)
    assert asked.take() == (1, 1 + 3 * 4, 0)


def test_everything_is_listed_until_a_folder_was_seen_twice_with_the_same_times(
    station: Station, asked: Counted
) -> None:
    """A change within the granularity of a file system's times leaves no trace in them; so none is trusted before."""
    fill(station.inbox / "L0")
    root = station.inbox / "L0"
    station.known.add(fingerprint(card.snapshot(root, station.inbox)))
    assert station.look(0) == ["L0"]
    assert station.look(GRANULARITY_S / 2) == ["L0"]
    assert station.look(GRANULARITY_S / 2) == ["L0"]
    assert station.look(0.1) == []


def test_a_card_that_settles_is_listed_at_every_look(station: Station, asked: Counted) -> None:
    """Also where its folders are old and known; only what was handed out, or is in, rests."""
    fill(station.inbox / "L0")
    assert [station.look(6) for _ in range(5)] == [["L0"]] * 5
    assert station.look(6) == []
    station.tracker.retry(str(station.inbox / "L0"))
    assert station.look(6) == ["L0"], "what could not be processed is looked at before it is tried again"


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "DCIM" / "100MEDIA" / "late.JPG").write_bytes(b"x"),
        lambda root: (root / "DCIM" / "101MEDIA" / "0.JPG").unlink(),
        lambda root: (root / "DCIM" / "100MEDIA" / "0.JPG").rename(root / "DCIM" / "100MEDIA" / "other.JPG"),
        lambda root: (root / "DCIM" / "100MEDIA" / "0.JPG").rename(root / "moved.JPG"),
        lambda root: (root / "DCIM" / "102MEDIA").mkdir(),
        lambda root: (root / "DCIM" / "100MEDIA").rename(root / "DCIM" / "109MEDIA"),
        lambda root: (root / "DCIM" / "100MEDIA").chmod(0o700),
    ],
    ids=["late file", "removed", "renamed", "moved", "new folder", "renamed folder", "rights"],
)
def test_whatever_changes_a_listing_is_found_at_the_next_look_without_an_event(
    station: Station, change: Callable[[Path], object]
) -> None:
    """And only the card in which it happened is listed."""
    fill(station.inbox / "L0")
    fill(station.inbox / "L1")
    station.rest()
    change(station.inbox / "L1")
    assert station.look(300) == ["L1"]


def test_times_set_back_hide_nothing(station: Station) -> None:
    """As rsync and cp do with a folder's own time when they are through with it."""
    fill(station.inbox / "L0")
    place = station.inbox / "L0" / "DCIM" / "100MEDIA"
    station.rest()
    before = place.stat()
    (place / "late.JPG").write_bytes(b"x")
    os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert station.look(1) == ["L0"]


def test_another_folder_in_the_place_of_one_is_listed(station: Station) -> None:
    """With the same names and times, as a card that was dropped again."""
    fill(station.inbox / "L0")
    station.rest()
    place = station.inbox / "L0" / "DCIM" / "100MEDIA"
    before = place.stat()
    place.rename(station.inbox.parent / "away")
    place.mkdir()
    os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert station.look(1) == ["L0"]


def test_a_file_rewritten_in_place_is_found_by_its_event(station: Station) -> None:
    """A folder tells nothing of it; the card alone is listed, and what is new on it settles and is handed out."""
    fill(station.inbox / "L0")
    fill(station.inbox / "L1")
    station.rest()
    known = len(station.known)
    place = station.inbox / "L1" / "DCIM" / "100MEDIA"
    with open(place / "0.JPG", "r+b") as file:
        file.write(b"longer than it was")
    assert station.look(1) == []
    assert station.look(1, place, Path("/elsewhere")) == ["L1"]
    assert station.look(SETTLE_S) == ["L1"]
    assert len(station.known) == known + 1


@pytest.mark.parametrize(("unheard", "at_the_latest_s"), [(False, FULL_LOOK_S), (True, FULL_LOOK_UNHEARD_S)])
def test_a_file_rewritten_in_place_unheard_is_found_by_the_next_full_look(
    station: Station, unheard: bool, at_the_latest_s: float
) -> None:
    """Where no events tell of it, as on network shares, that comes sooner."""
    fill(station.inbox / "L0")
    station.rest()
    (station.inbox / "L0" / "DCIM" / "100MEDIA" / "0.JPG").write_bytes(b"more")
    started, looks = station.now, [station.look(10, unheard=unheard)]
    while not looks[-1]:
        looks.append(station.look(10, unheard=unheard))
    assert station.now - started <= at_the_latest_s + 10
    assert (len(looks) > 60) == (not unheard)


def test_full_looks_take_a_small_share_of_the_time_however_large_the_inbox(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that takes ten minutes comes every thirty hours where events are heard, every three where not."""
    fill(station.inbox / "L0")
    real = sweep.scan_inbox

    def slowly(*arguments: Any) -> Iterator[Any]:
        for look in real(*arguments):
            station.now += 600 if look.card is not None else 0
            yield look

    monkeypatch.setattr(sweep, "scan_inbox", slowly)
    station.rest()
    for unheard, pause_s in ((False, 119_000), (True, 11_000)):
        station.look(0, missed=True)
        assert station.look(pause_s, unheard=unheard) == []
        assert station.look(2000, unheard=unheard) == ["L0"]


def test_where_events_may_be_missing_everything_is_listed_once(station: Station) -> None:
    """After an overflow, or when an inbox is listened to anew."""
    fill(station.inbox / "L0")
    station.rest()
    assert station.look(1, missed=True) == ["L0"]
    assert station.look(1) == []


def test_a_card_with_something_that_cannot_be_looked_at_is_listed_again_and_again(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk's error leaves no trace in the times of a folder, neither when it comes nor when it goes."""
    fill(station.inbox / "L0")
    real = os.scandir

    def failing(path: Any) -> Any:
        if str(path).endswith("101MEDIA"):
            raise OSError(5, "Input/output error")
        return real(path)

    monkeypatch.setattr(card.os, "scandir", failing)
    assert [station.look(SETTLE_S) for _ in range(6)] == [["L0"]] * 6
    monkeypatch.setattr(card.os, "scandir", real)
    station.rest()


def test_loose_photographs_rest_as_a_card_does(station: Station, asked: Counted) -> None:
    """Unless something happens to the inbox itself."""
    for number in range(5):
        (station.inbox / f"{number}.JPG").write_bytes(b"x")
    (station.inbox / "notes.txt").write_text("x")
    station.rest()
    asked.take()
    assert station.look(300) == []
    assert asked.take() == (1, 2, 0)
    (station.inbox / "5.JPG").write_bytes(b"x")
    assert station.look(300) == ["inbox"]
    station.rest()
    (station.inbox / "5.JPG").write_bytes(b"more")
    assert station.look(1, station.inbox) == ["inbox"]


def test_an_inbox_that_comes_back_is_listed_whole(station: Station) -> None:
    """It may have been to another machine meanwhile."""
    fill(station.inbox / "L0")
    station.rest()
    station.inbox.rename(station.inbox.parent / "away")
    with pytest.raises(card.InboxMissing):
        station.look(1)
    station.tracker.hand_out()
    (station.inbox.parent / "away").rename(station.inbox)
    assert station.look(1) == ["L0"]


def test_what_is_remembered_of_a_card_that_rests_does_not_grow_with_its_files(station: Station) -> None:
    """A thousand cards of ten thousand files are ten million files."""
    fill(station.inbox / "L0", files=50)
    station.rest()
    (remembered,) = station.sweep._listed[station.inbox].values()
    assert len(remembered.folders) == 4
    (watched,) = station.tracker._watched.values()
    assert watched.snapshot.files == ()


def test_the_cards_that_are_in_are_never_all_held_in_memory_at_once(station: Station) -> None:
    """At the start of a daemon each is looked at, recognised and let go before the next."""
    for number in range(4):
        fill(station.inbox / f"L{number}")
    station.known = {fingerprint(card.snapshot(root, station.inbox)) for root in station.inbox.iterdir()}
    station.look(0)
    assert [watched.snapshot.files for watched in station.tracker._watched.values()] == [()] * 4
    station.look(SETTLE_S)
    assert station.tracker.recognised == 4


def test_a_daemon_that_listens_finds_a_file_rewritten_in_place(tmp_path: Path) -> None:
    """Long after its card was handed out, and lists no other card for it."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for name in ("L0", "L1"):
        fill(inbox / name)
    with Lookout(inbox, unfinished_s=0.0) as lookout:
        lookout.until_handed("L0", "L1")
        place = inbox / "L1" / "DCIM" / "100MEDIA" / "0.JPG"
        with open(place, "r+b") as file:
            file.write(b"longer than it was")
        until(lambda: len(lookout.of("L1")) == 2, "the changed card")
        lookout.let_two_looks_pass()
        assert lookout.of("L1")[-1]["DCIM/100MEDIA/0.JPG"] == b"longer than it was"
        assert len(lookout.of("L0")) == 1


def test_a_daemon_that_has_lost_events_looks_at_everything(tmp_path: Path) -> None:
    """The library says so in its log alone."""
    import logging

    inbox = tmp_path / "inbox"
    inbox.mkdir()
    with Lookout(inbox) as lookout:
        looks = lookout.looks
        logging.getLogger("watchdog.observers.inotify_c").warning("Inotify queue overflowed; events were lost")
        until(lambda: lookout.looks > looks, "a look")
        assert lookout.alarm.news() == set()
    lookout.alarm.news()
    logging.getLogger("watchdog.observers.inotify_c").warning("Inotify queue overflowed; events were lost")
    assert lookout.alarm.news() == set(), "nobody listens any more"
