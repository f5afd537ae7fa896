"""Writes a demo station: two locations, three SD cards with the habits of real ones, and one that is dropped twice."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path

import numpy as np
import piexif
from PIL import Image

from ctwatch.demo.scenes import RESERVED_LOCATIONS, burst

SIZE = (960, 1280)
FRAMES_PER_FOLDER = 30
"""Real cameras open 101RECNX after 9,999 files; ours sooner, so that it can be seen."""
_MAKE, _MODEL = "RECONYX", "PC900 PROFESSIONAL"
_QUALITY = 88


@dataclass(frozen=True, slots=True)
class Visit:
    """One trigger of the camera: what came by, when, and how many frames it took."""

    day: int
    clock: str
    """HH:MM:SS"""
    species: str | None
    frames: int = 3
    seconds_apart: int = 1
    time_lapse: bool = False

    @property
    def night(self) -> bool:
        """Whether the infrared flash was on."""
        return not 6 <= int(self.clock[:2]) < 19


@dataclass(frozen=True, slots=True)
class Card:
    """One SD card: which camera took what in which days."""

    folder: str
    location: int
    serial: str
    label: str
    first_day: datetime
    visits: tuple[Visit, ...]
    cut_short: int | None = None
    """Number of the file that the card's writing broke off in, from 1."""

    @property
    def files(self) -> int:
        """How many photographs it holds."""
        return sum(visit.frames for visit in self.visits)


def _noons(days: range) -> tuple[Visit, ...]:
    return tuple(Visit(day, "12:00:00", None, frames=1, time_lapse=True) for day in days)


def _in_order(*visits: Visit) -> tuple[Visit, ...]:
    return tuple(sorted(visits, key=lambda visit: (visit.day, visit.clock)))


CARDS = (
    Card(
        "WATERHOLE_CAM1_20260511", RESERVED_LOCATIONS + 1, "P900DEMO000001", "WATERHOLE", datetime(2026, 5, 1),
        _in_order(
            Visit(0, "10:05:12", "human"), *_noons(range(1, 10)),
            Visit(1, "06:41:30", "demo antelope"), Visit(1, "06:42:10", "demo antelope"),
            Visit(1, "21:14:02", "demo porcupine"), Visit(2, "14:20:55", None),
            Visit(3, "07:03:44", "demo zebra", frames=5), Visit(3, "22:48:19", "demo hare"),
            Visit(4, "15:31:08", None), Visit(5, "17:12:36", "demo elephant"),
            Visit(6, "08:27:51", "demo bird"), Visit(7, "23:55:58", "demo cat", seconds_apart=2),
            Visit(8, "16:44:20", "demo antelope"), Visit(9, "13:37:00", None),
        ),
        cut_short=17,
    ),
    Card(
        "WATERHOLE_CAM1_20260522", RESERVED_LOCATIONS + 1, "P900DEMO000001", "WATERHOLE", datetime(2026, 5, 11),
        _in_order(
            *_noons(range(1, 11)),
            Visit(1, "18:02:11", "demo boar"), Visit(2, "07:45:00", "demo antelope", frames=5),
            Visit(3, "02:10:43", "demo porcupine"), Visit(4, "11:20:05", None), Visit(6, "09:14:27", "demo zebra"),
            Visit(7, "20:31:50", "demo hare"), Visit(9, "16:05:33", "demo bird"), Visit(10, "15:00:29", None),
            Visit(11, "09:12:40", "human"),
        ),
    ),
    Card(
        "RIDGE_CAM2_20260520", RESERVED_LOCATIONS + 2, "P900DEMO000002", "RIDGE", datetime(2026, 5, 2),
        _in_order(
            Visit(0, "14:22:18", "human"), *_noons(range(1, 18)),
            Visit(1, "22:05:37", "demo cat"), Visit(2, "07:30:00", None), Visit(4, "17:48:52", "demo boar"),
            Visit(5, "03:19:14", "demo hare"), Visit(6, "10:11:12", None), Visit(8, "21:40:01", "demo porcupine"),
            Visit(10, "08:55:46", "demo boar", frames=5), Visit(12, "23:02:30", "demo cat"), Visit(14, "13:26:09", None),
            Visit(16, "16:37:21", "demo antelope"),
        ),
    ),
)  # fmt: skip
DEPLOYMENTS_CSV = """\
deploymentID,locationID,locationName,latitude,longitude,deploymentStart,deploymentEnd,cameraID
WATERHOLE-2026,WATERHOLE,Waterhole,-2.33300,34.83300,2026-05-01T10:00:00,2026-05-22T09:30:00,P900DEMO000001
RIDGE-2026,RIDGE,Ridge,-2.34100,34.85200,2026-05-02T14:00:00,2026-05-20T16:00:00,P900DEMO000002
"""
"""Where the cameras hung and when: what a technician keeps anyway."""


def write_card(card: Card, folder: Path, progress: Callable[[int], None] = lambda files: None) -> None:
    """Write a card as a Reconyx HyperFire would: DCIM/100RECNX, 101RECNX ..., names that begin anew on each card."""
    number = 0
    for event, visit in enumerate(card.visits, 1):
        start = datetime.combine(card.first_day.date(), datetime.strptime(visit.clock, "%H:%M:%S").time())
        times = [
            start + timedelta(days=visit.day, seconds=index * visit.seconds_apart) for index in range(visit.frames)
        ]
        celsius = 9 if visit.night else 24
        frames = burst(
            location=card.location,
            species=visit.species,
            night=visit.night,
            frames=visit.frames,
            seed=1000 * visit.day + event,
            size=SIZE,
            stamps=[f"{moment:%Y-%m-%d %H:%M:%S}  {celsius}C  {card.label}" for moment in times],
        )
        for index, (moment, frame) in enumerate(zip(times, frames, strict=True), 1):
            number += 1
            target = folder / "DCIM" / f"{100 + (number - 1) // FRAMES_PER_FOLDER}RECNX" / f"RCNX{number:04d}.JPG"
            target.parent.mkdir(parents=True, exist_ok=True)
            note = maker_note(card, "T" if visit.time_lapse else "M", index, visit.frames, event, celsius)
            data = photograph(frame.pixels, moment, note)
            target.write_bytes(data[: len(data) * 3 // 5] if number == card.cut_short else data)
            progress(number)


def photograph(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], moment: datetime, note: bytes) -> bytes:
    """Return a JPEG with the EXIF block of a Reconyx HyperFire."""
    data = BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=_QUALITY, exif=exif_block(moment, note))
    return data.getvalue()


def exif_block(moment: datetime, note: bytes) -> bytes:
    """Return the EXIF block of a Reconyx HyperFire: maker, times, maker note."""
    when = f"{moment:%Y:%m:%d %H:%M:%S}"
    block: bytes = piexif.dump(
        {
            "0th": {piexif.ImageIFD.Make: _MAKE, piexif.ImageIFD.Model: _MODEL, piexif.ImageIFD.DateTime: when},
            "Exif": {
                piexif.ExifIFD.DateTimeOriginal: when,
                piexif.ExifIFD.DateTimeDigitized: when,
                piexif.ExifIFD.MakerNote: note,
            },
        }
    )
    return block


def maker_note(card: Card, trigger: str, number: int, total: int, event: int, celsius: int) -> bytes:
    """Return a HyperFire maker note as the firmware lays it out; time-lapse frames carry no sequence."""
    note = bytearray(0x70)
    struct.pack_into("<H", note, 0x00, 0xF101)
    struct.pack_into("<3H", note, 0x02, 4, 0, 0)
    struct.pack_into("<2s", note, 0x0C, trigger.encode("ascii"))
    struct.pack_into("<2H", note, 0x0E, *((0, 0) if trigger == "T" else (number, total)))
    struct.pack_into("<2H", note, 0x12, 0, event)
    struct.pack_into("<2h", note, 0x26, round(celsius * 9 / 5 + 32), celsius)
    struct.pack_into("<30s", note, 0x2A, card.serial.encode("utf-16-le"))
    struct.pack_into("<22s", note, 0x56, card.label.encode("ascii"))
    return bytes(note)
