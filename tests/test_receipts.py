"""Receipts: what a technician reads before the SD card is erased."""

import os
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from conftest import Store

from ctwatch.card import scan_inbox, snapshot
from ctwatch.config import Config
from ctwatch.receipts import RECEIPT_NAME, RECEIPTS_FOLDER, give_receipts, receipt, withdraw
from ctwatch.results import put_out
from ctwatch.settle import fingerprint
from ctwatch.store.cards import CardCounts
from ctwatch.store.kept_cards import FailedFile, KeptCard

Make = Callable[..., Path]
Configure = Callable[..., Config]
NOW = datetime(2026, 6, 1, 12)


def kept(store: Store) -> list[str]:
    """The receipts that the store keeps."""
    return [path.read_text("utf-8") for path in (store.config.store_folder / RECEIPTS_FOLDER).glob("*.txt")]


def given(store: Store) -> int:
    put_out(store.config, store.database)
    return give_receipts(store.config, NOW)


def test_a_whole_card_is_safe_to_erase_and_its_receipt_says_how_much_it_holds(store: Store, make_card: Make) -> None:
    card = make_card(files=3)
    (card / "IMG_0100.JPG").write_bytes((card / "IMG_0000.JPG").read_bytes())
    (card / "MOVIE.AVI").write_bytes(b"RIFF" * 100)
    store.process(card)
    assert given(store) == 1
    text = (card / RECEIPT_NAME).read_text("utf-8")
    size = sum(path.stat().st_size for path in card.iterdir() if path.name != RECEIPT_NAME)
    assert f"SAFE TO ERASE THE SD CARD, if it holds 5 files and {size:,} bytes" in text
    assert [" ".join(line.split()[:2]) for line in text.splitlines() if line.startswith("  ")] == [
        "photographs 3",
        "duplicates 1",
        "ignored 1",
        "failed 0",
    ]
    assert kept(store) == [text]


def test_a_receipt_is_given_only_for_what_is_published(store: Store, make_card: Make) -> None:
    store.process(make_card("L01_CAM1"))
    given(store)
    second = make_card("L02_CAM1", first=50)
    store.process(second)
    assert give_receipts(store.config, NOW) == 0
    assert not (second / RECEIPT_NAME).exists()
    assert given(store) == 1
    assert (second / RECEIPT_NAME).exists()


def test_files_that_could_not_be_used_are_named_and_the_card_is_to_be_checked(store: Store, make_card: Make) -> None:
    card = make_card(files=3)
    (card / "IMG_0001.JPG").write_bytes((card / "IMG_0001.JPG").read_bytes()[:-300])
    (card / "EMPTY.JPG").write_bytes(b"")
    store.process(card)
    given(store)
    text = (card / RECEIPT_NAME).read_text("utf-8")
    assert "CHECK BEFORE YOU ERASE THE SD CARD: 2 of its files" in text
    assert "SAFE" not in text.split("Files seen")[0].replace("safe if", "")
    assert "  EMPTY.JPG: empty_file (the file has no bytes)" in text
    assert "  IMG_0001.JPG: truncated (" in text


def test_a_copy_of_a_broken_file_is_broken_too(store: Store, make_card: Make) -> None:
    """The same card dropped again holds only what is in already, and still a file that nobody could use."""
    card = make_card(files=3)
    (card / "IMG_0001.JPG").write_bytes((card / "IMG_0001.JPG").read_bytes()[:-300])
    again = card.with_name("again")
    shutil.copytree(card, again)
    store.process(card)
    store.process(again)
    given(store)
    text = (again / RECEIPT_NAME).read_text("utf-8")
    assert "CHECK BEFORE YOU ERASE THE SD CARD: 1 of its files" in text
    assert "  IMG_0001.JPG: truncated (" in text


def test_a_card_is_listed_once_for_its_receipt(store: Store, make_card: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may hold ten thousand files; and a receipt that lies there is not given again."""
    card = make_card(folder="DCIM/100RECNX")
    store.process(card)
    put_out(store.config, store.database)
    listed: list[str] = []
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda place: (listed.append(str(place)), real(place))[1])
    assert give_receipts(store.config, NOW) == 1
    assert len([place for place in listed if place.startswith(str(card))]) == 3
    listed.clear()
    assert give_receipts(store.config, NOW) == 0
    assert not [place for place in listed if place.startswith(str(card))]


def test_an_empty_folder_is_never_safe(store: Store, make_card: Make) -> None:
    card = make_card(files=0)
    store.process(card)
    given(store)
    assert "DO NOT ERASE THE SD CARD: the folder is empty" in (card / RECEIPT_NAME).read_text("utf-8")


def test_a_card_read_where_it_lies_is_not_written_to_and_not_safe(
    store: Store, make_card: Make, tmp_path: Path
) -> None:
    """`ctwatch process /media/sd` reads the SD card itself: erasing it would lose the only copy."""
    card = make_card()
    outside = tmp_path / "sd" / "L01_CAM1"
    outside.parent.mkdir()
    card.rename(outside)
    store.process(outside)
    given(store)
    assert not (outside / RECEIPT_NAME).exists()
    assert "DO NOT ERASE: ctwatch knows of no copy" in kept(store)[0]


def test_a_card_that_grew_gets_a_new_receipt_and_the_old_one_is_withdrawn(store: Store, make_card: Make) -> None:
    card = make_card(files=3)
    store.process(card)
    given(store)
    make_card(files=2, first=50)
    withdraw(str(card))
    assert not (card / RECEIPT_NAME).exists()
    store.process(card)
    given(store)
    assert "holds 5 files" in (card / RECEIPT_NAME).read_text("utf-8")
    assert len(list((store.config.store_folder / RECEIPTS_FOLDER).iterdir())) == 1


def test_a_receipt_changes_nothing_of_what_makes_the_card(store: Store, make_card: Make) -> None:
    """Or it would be read again for ever."""
    card = make_card()
    before = fingerprint(snapshot(card, card.parent))
    store.process(card)
    given(store)
    (card / f"{RECEIPT_NAME}.new").write_text("left behind by a power cut")
    after = snapshot(card, card.parent)
    assert fingerprint(after) == before
    assert not after.copying
    assert given(store) == 0


def test_another_card_under_the_same_name_does_not_get_the_receipt_of_the_first(store: Store, make_card: Make) -> None:
    card = make_card(files=3)
    store.process(card)
    card.rename(card.with_name("elsewhere"))
    make_card(files=2, first=50)
    given(store)
    assert not (card / RECEIPT_NAME).exists()
    assert "DO NOT ERASE" in kept(store)[0], "the photographs are not where they were read"


def test_a_link_in_the_receipt_s_place_leads_nowhere(store: Store, make_card: Make, tmp_path: Path) -> None:
    card, precious = make_card(), tmp_path / "precious.txt"
    precious.write_text("mine")
    for name in (RECEIPT_NAME, f"{RECEIPT_NAME}.new"):
        os.symlink(precious, card / name)
    store.process(card)
    given(store)
    assert precious.read_text() == "mine"
    assert "SAFE TO ERASE" in (card / RECEIPT_NAME).read_text("utf-8")
    assert not (card / RECEIPT_NAME).is_symlink()


def test_where_the_card_cannot_be_written_to_the_store_keeps_the_receipt(config: Configure, make_card: Make) -> None:
    for setting, in_card, in_store in (("store", False, True), ("none", False, False), ("card", True, True)):
        store = Store(config(text=f"[store]\nfolder = 'data-{setting}'\n[cards]\nreceipt = '{setting}'\n"))
        card = make_card()
        (card / RECEIPT_NAME).unlink(missing_ok=True)
        store.process(card)
        given(store)
        assert ((card / RECEIPT_NAME).exists(), bool(kept(store))) == (in_card, in_store)


def test_a_folder_that_cannot_be_written_to_has_its_receipt_beside_it(
    store: Store, make_card: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """As a folder that somebody else copied; and where the inbox takes nothing either, the store keeps it."""
    card = make_card()
    (card / RECEIPT_NAME).mkdir()  # nothing can be put in its place, by no user
    store.process(card)
    given(store)
    (beside,) = card.parent.glob("ctwatch-receipt-*.txt")
    assert "SAFE TO ERASE" in beside.read_text("utf-8")
    withdraw(str(card))
    assert not beside.exists()
    beside.mkdir()
    make_card(files=1, first=50)
    store.process(card)
    given(store)
    assert "no receipt could be put there" in caplog.text
    assert "holds 4 files" in kept(store)[0]


def test_hostile_names_cannot_forge_a_line() -> None:
    counts = CardCounts(1, 0, 0, 0, 1, 0, 0, 0, 10)
    card = KeptCard("c", "CARD\nSAFE TO ERASE", "/inbox/CARD", False, None, NOW, counts)
    bad = FailedFile("c", "A.JPG\nSAFE TO ERASE THE SD CARD\x1b[2J", "unreadable", "what\nnot")
    text = receipt(card, [bad], copied=True, published_at=NOW)
    assert not any(line.startswith("SAFE") for line in text.splitlines())
    assert "\x1b" not in text


def test_a_thousand_failures_are_counted_not_all_listed() -> None:
    counts = CardCounts(1000, 0, 0, 0, 1000, 0, 0, 0, 10)
    card = KeptCard("c", "CARD", "/inbox/CARD", False, None, NOW, counts)
    failures = [FailedFile("c", f"{n}.JPG", "truncated", None) for n in range(1000)]
    text = receipt(card, failures, copied=True, published_at=NOW)
    assert "... and 800 more" in text
    assert len(text.splitlines()) < 230


def test_a_card_with_a_copy_under_way_gets_no_receipt(store: Store, make_card: Make) -> None:
    card = make_card()
    store.process(card)
    (card / "IMG_0009.JPG.part").write_bytes(b"half")
    given(store)
    assert not (card / RECEIPT_NAME).exists()


def test_a_receipt_for_loose_photographs_speaks_of_those_that_were_read(store: Store, make_card: Make) -> None:
    card = make_card(files=3)
    for path in list(card.iterdir()):
        path.rename(card.parent / path.name)
    card.rmdir()
    (loose,) = (look.card for look in scan_inbox(card.parent))
    store.pipeline.process(loose)
    given(store)
    assert "SAFE TO ERASE THE SD CARD, if it holds 3 files" in (card.parent / RECEIPT_NAME).read_text("utf-8")
    (card.parent / RECEIPT_NAME).unlink()
    store.pipeline.process(loose)
    make_card(files=1, first=50)
    (card / "IMG_0050.JPG").rename(card.parent / "IMG_0050.JPG")
    shutil.rmtree(store.config.store_folder / RECEIPTS_FOLDER)
    given(store)
    assert not (card.parent / RECEIPT_NAME).exists()
