"""Receipts: for each card that is in and published, a page that tells the technician whether the SD card may be erased."""

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from ctwatch import __version__, card_folder
from ctwatch.card import look_again, snapshot
from ctwatch.config import Config
from ctwatch.domain import CardSnapshot
from ctwatch.export.files import write_bytes
from ctwatch.identity import derived_id
from ctwatch.names import file_name_part, storable
from ctwatch.settle import fingerprint, still_to_come
from ctwatch.store.kept_cards import FailedFile, KeptCard, failed_files, kept_cards
from ctwatch.store.publish import open_published

logger = logging.getLogger(__name__)

RECEIPT_NAME = "ctwatch-receipt.txt"
RECEIPTS_FOLDER = "receipts"
MOST_NAMES = 200


def give_receipts(config: Config, now: datetime) -> int:
    """Give a receipt for every card of the published copy that has none for its present state; returns how many.

    One is kept in `receipts/` of the store, and one is put into the card's folder where that lies in an inbox, or beside it
    where the folder cannot be written to. Receipts of states that are no longer in are withdrawn. `now` is UTC. Raises
    OSError if the store's folder takes nothing more.
    """
    if config.cards.receipt == "none":
        return 0
    folder = config.store_folder / RECEIPTS_FOLDER
    with open_published(config.store_folder) as connection:
        wanted = {_file_name(card): card for card in kept_cards(connection)}
        there = {path.name for path in folder.glob("*.txt")}
        new = {name: card for name, card in wanted.items() if name not in there}
        failures: dict[str, list[FailedFile]] = {}
        for failure in failed_files(connection, [card.card_id for card in new.values()]):
            failures.setdefault(failure.card_id, []).append(failure)
    for name, card in new.items():
        archived = card.archive is not None and os.path.isdir(card.archive)
        # Listed once: a card may hold ten thousand files. Gone, or another card by now under the same name: no copy.
        here = not archived and _in_an_inbox(config, card) and lies_at(card, card.root)
        mounted = not card.loose and os.path.ismount(card.root)  # the SD card itself, as far as can be told
        copied = (archived and _in_an_inbox(config, card)) or (here and not mounted)
        text = receipt(card, failures.get(card.card_id, []), copied=copied, published_at=now)
        if config.cards.receipt == "card" and card.archive is None and here:
            _put(card, text)
        # Last, because what lies here is taken for given.
        write_bytes(folder / name, text.encode("utf-8"))
    for name in there - wanted.keys():
        (folder / name).unlink(missing_ok=True)
    return len(new)


def withdraw(root: str) -> None:
    """Take a receipt out of a folder that is to be read anew: what it says no longer holds."""
    for folder, name in ((root, RECEIPT_NAME), (os.path.dirname(root), beside(root))):
        try:
            card_folder.take_back(folder, name)
        except OSError as error:
            logger.debug("the receipt %s in %s could not be withdrawn: %s", name, storable(folder), error)


def lies_at(card: KeptCard, folder: str) -> bool:
    """Whether a folder holds exactly the files that the card had when it was read, with their sizes and times."""
    if os.path.islink(folder) or not os.path.isdir(folder):
        return False
    if card.loose:
        here = look_again(CardSnapshot(folder, os.path.basename(folder), folder, (), loose=True))
    else:
        here = snapshot(Path(folder), Path(folder).parent)
    return not still_to_come(here) and fingerprint(replace(here, root=card.root)) == card.card_id


def receipt(card: KeptCard, failures: Sequence[FailedFile], *, copied: bool, published_at: datetime) -> str:
    """Return the text of a receipt.

    `copied`: the folder is a copy that lies in an inbox or in the archive; without that it is gone, or may be the SD card
    itself, which must then not be erased.
    """
    counts = card.counts
    rows = [
        ("photographs", counts.media, "in the database"),
        ("duplicates", counts.duplicates, "their bytes were in already"),
        ("ignored", counts.ignored, f"no photographs, not looked into; {counts.videos} of them videos"),
        ("failed", counts.failed, "could not be used, see below" if counts.failed else ""),
    ]
    lines = [
        "ctwatch receipt",
        "===============",
        "",
        f"Card       {_one_line(storable(card.card_name))}",
        f"Folder     {_one_line(storable(card.archive or card.root))}",
        f"Read       {card.processed_at:%Y-%m-%d %H:%M} UTC",
        f"Published  {published_at:%Y-%m-%d %H:%M} UTC, ctwatch {__version__}",
        "",
        *_verdict(card, len(failures), copied),
        "",
        f"{'Files seen':<12}{counts.files_seen:>9,}   {counts.bytes:,} bytes",
        *(f"  {what:<10}{number:>9,}   {meaning}".rstrip() for what, number, meaning in rows),
    ]
    if failures:
        lines += ["", "Files that could not be used", ""]
        for failure in failures[:MOST_NAMES]:
            lines.append(f"  {_one_line(failure.file_path)}: {failure.reason}" + _detail(failure.detail))
        if len(failures) > MOST_NAMES:
            lines.append(f"  ... and {len(failures) - MOST_NAMES:,} more: ctwatch report failures")
    return "\n".join(lines) + "\n"


def _verdict(card: KeptCard, failed: int, copied: bool) -> list[str]:
    counts = card.counts
    if counts.files_seen == 0:
        return ["DO NOT ERASE THE SD CARD: the folder is empty. Was the copy made?"]
    held = f"{counts.files_seen:,} files and {counts.bytes:,} bytes"
    if not copied:
        return [
            "DO NOT ERASE: ctwatch knows of no copy. The photographs were read where they lay, outside of every inbox",
            "or on a card that is mounted there, or their folder has gone or changed since. Make a copy first.",
        ]
    if failed:
        return [
            f"CHECK BEFORE YOU ERASE THE SD CARD: {failed:,} of its files could not be used.",
            "Open them on the SD card; if they open there, copy the card again into the same folder.",
            f"The rest is safe if the SD card holds {held}.",
        ]
    return [
        f"SAFE TO ERASE THE SD CARD, if it holds {held}, hidden files not counted.",
        "Everything that is counted here was read, is in the database and has been published.",
    ]


def _put(card: KeptCard, text: str) -> None:
    for folder, name in ((card.root, RECEIPT_NAME), (card.inbox, beside(card.root))):
        try:
            card_folder.put_text(folder, name, text)
        except OSError as error:
            # A folder that somebody else copied is often not ours to write into; the inbox is.
            logger.debug("no receipt in %s: %s", storable(folder), error)
        else:
            return
    logger.warning(
        "%s: no receipt could be put there; it lies in %s/ of the store", storable(card.root), RECEIPTS_FOLDER
    )


def beside(root: str) -> str:
    """Return the name of a receipt in the inbox, for a card whose folder cannot be written to."""
    return f"ctwatch-receipt-{file_name_part(storable(os.path.basename(root)))}.txt"


def _in_an_inbox(config: Config, card: KeptCard) -> bool:
    return card.inbox in {str(inbox) for inbox in config.inboxes}


def _file_name(card: KeptCard) -> str:
    """Return a name that changes with anything that the receipt says of the card."""
    state = derived_id(card.card_id, str(card.processed_at), repr(card.counts), card.archive or "")
    return f"{file_name_part(storable(card.card_name))}-{state[:16]}.txt"


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)


def _detail(detail: str | None) -> str:
    return f" ({_one_line(detail)})" if detail else ""
