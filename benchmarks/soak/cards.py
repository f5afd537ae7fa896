"""Generated cards of small photographs, with what each must come to."""

import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from ctwatch.demo.station import CARDS, maker_note, photograph

LOCATIONS = 10
EVENTS, FRAMES = 5, 3
_SIZE = (96, 128)
_FIRST = datetime(2026, 1, 1, 6)
_DAYS_A_CARD = 4
TABLE = "deploymentID,locationID,deploymentStart,deploymentEnd\n" + "".join(
    f"D{place:02d},L{place:02d},2026-01-01T00:00:00,2027-12-31T00:00:00\n" for place in range(LOCATIONS)
)


@dataclass(frozen=True, slots=True)
class Expected:
    """What a card must come to, as the database counts."""

    name: str
    files_seen: int
    media: int
    duplicates: int
    ignored: int
    failed: int


def name_of(number: int) -> str:
    """The folder of the `number`-th card: its location, the camera, and the day on which it was put in."""
    return f"L{number % LOCATIONS:02d}_CAM1_{_put_in(number):%Y%m%d}"


def write_card(number: int, inbox: Path, work: Path) -> Expected:
    """Make a card aside and put it into the inbox by one rename; some hold duplicates, broken files and videos."""
    name = name_of(number)
    files: dict[str, bytes] = {}
    for index in range(EVENTS * FRAMES):
        files[f"DCIM/100RECNX/RCNX{index:04d}.JPG"] = _photograph(number, index)
    media = len(files)
    duplicates = ignored = failed = 0
    if number % 5 == 4:
        files["DCIM/100RECNX/AGAIN1.JPG"] = _photograph(number, 0)
        files["DCIM/100RECNX/AGAIN2.JPG"] = _photograph(number - LOCATIONS if number >= LOCATIONS else number, 1)
        duplicates = 2
    if number % 7 == 3:
        files["DCIM/100RECNX/TORN.JPG"] = _photograph(number, EVENTS * FRAMES)[:1200]
        files["DCIM/100RECNX/EMPTY.JPG"] = b""
        failed = 2
    if number % 11 == 6:
        files["DCIM/100RECNX/CLIP.MP4"] = b"no photograph" * 100
        files["README.TXT"] = b"changed the batteries\n"
        ignored = 2
    aside = work / "aside" / name
    shutil.rmtree(aside, ignore_errors=True)
    for path, data in files.items():
        place = aside / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    aside.rename(inbox / name)
    return Expected(name, len(files), media, duplicates, ignored, failed)


def _photograph(number: int, index: int) -> bytes:
    """Bursts of three frames a second apart, five bursts spread over the days of a card."""
    coarse = np.random.default_rng([number, index]).integers(0, 255, (_SIZE[0] // 8, _SIZE[1] // 8, 3), dtype=np.uint8)
    pixels = np.kron(coarse, np.ones((8, 8, 1), dtype=np.uint8))
    moment = _put_in(number) + timedelta(hours=17 * (index // FRAMES), seconds=index % FRAMES)
    note = maker_note(CARDS[0], "M", index % FRAMES + 1, FRAMES, index // FRAMES, 20)
    return photograph(pixels, moment, note)


def _put_in(number: int) -> datetime:
    return _FIRST + timedelta(days=_DAYS_A_CARD * (number // LOCATIONS))
