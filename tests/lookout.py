"""A watcher of inboxes as the daemon has it, without what comes after: notes what every hand-out held when it was made."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ctwatch.card import UnusableFile, read_bytes
from ctwatch.settle import SettleTracker
from ctwatch.watch import Alarm, InboxObserver, settled

DEADLINE_S = 150.0


def until(truth: Callable[[], bool], what: str) -> None:
    """Wait for something to become true; fail when the deadline has passed."""
    deadline = time.monotonic() + DEADLINE_S
    while not truth():
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        time.sleep(0.02)


@dataclass(frozen=True)
class HandOut:
    """A card as it was when it was handed out: its files' bytes; None for one that could not be read as listed."""

    name: str
    files: dict[str, bytes | None]


class Lookout:
    """The daemon's loop over real inboxes in a thread; only events wake it, the sweep is an hour away unless told."""

    def __init__(
        self,
        *inboxes: Path,
        settle_s: float = 0.3,
        unfinished_s: float = 3600.0,
        sweep_s: float = 3600.0,
        mode: str = "auto",
        **more: Any,
    ) -> None:
        self.inboxes, self.sweep_s, self.more = inboxes, sweep_s, more
        self.alarm = Alarm()
        self.observer = InboxObserver(inboxes, self.alarm, mode=mode)
        self.tracker = SettleTracker(settle_s, unfinished_s)
        self.handed: list[HandOut] = []
        self.looks = 0
        self.errors: list[BaseException] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            for card in settled(
                self.inboxes,
                self.tracker,
                self.alarm,
                sweep_s=self.sweep_s,
                refresh=self.observer.refresh,
                deaf=self.observer.deaf,
                moved=self.observer.moved,
                stop=self._stopping.is_set,
                until_next=lambda: 0.5 if self.observer.deaf else None,
                **self.more,
            ):
                if card is None:
                    self.looks += 1
                else:
                    files: dict[str, bytes | None] = {}
                    for file in card.files:
                        try:
                            files[file.path] = read_bytes(card.root, file)
                        except UnusableFile:
                            files[file.path] = None
                    self.handed.append(HandOut(card.name, files))
        except BaseException as error:
            self.errors.append(error)
            raise
        finally:
            self.observer.stop()

    def __enter__(self) -> Self:
        self._thread.start()
        until(lambda: self.looks > 0 or bool(self.errors), "the first look")
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self.alarm.ring()
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()
        assert not self.errors

    def of(self, name: str) -> list[dict[str, bytes | None]]:
        """What the hand-outs of one card held."""
        return [hand_out.files for hand_out in self.handed if hand_out.name == name]

    def until_handed(self, *names: str) -> None:
        """Wait until each card has been handed out, however often."""
        until(lambda: bool(self.errors) or {item.name for item in self.handed} >= set(names), f"{names} handed out")

    def let_two_looks_pass(self) -> None:
        """Look twice more, so that a card that were to be handed out again would have been."""
        for _ in range(2):
            before = self.looks
            self.alarm.ring()
            until(lambda before=before: self.looks > before or bool(self.errors), "another look")  # type: ignore[misc]

    def waits_for(self, inbox: Path, name: str) -> tuple[str, ...]:
        """What a card waits for."""
        return self.tracker.waits_for(str(inbox / name))


def whole(folder: Path, suffixes: Sequence[str] = (".JPG",)) -> dict[str, bytes | None]:
    """The photographs below a folder as a hand-out holds them."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.suffix in suffixes and not path.name.startswith(".")
    }
