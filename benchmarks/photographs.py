"""A card of drawn photographs as a camera writes them, for benchmarks."""

from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path

import piexif

from ctwatch.demo.scenes import RESERVED_LOCATIONS, SPECIES, burst
from ctwatch.demo.station import CARDS, exif_block, maker_note, photograph

FRAMES = 3
"""Photographs of one event."""
_DRAWN = 300
"""Bursts after which pictures come again, at other times and so in other bytes: drawing takes longer than any measuring."""
MEGAPIXELS_3 = (1536, 2048)
MEGAPIXELS_12 = (3024, 4032)


def write_card(root: Path, images: int, *, size: tuple[int, int] = MEGAPIXELS_3) -> None:
    """Write bursts of three photographs into a folder, of which every fourth holds an animal, as on real cards.

    Args:
        root: The card's folder; made where it is missing.
        images: How many at least; made up to whole bursts.
        size: (height, width) in pixels.
    """
    folder = root / "DCIM" / "100RECNX"
    folder.mkdir(parents=True, exist_ok=True)

    def path(event: int, index: int) -> Path:
        return folder / f"RCNX{event * FRAMES + index + 1:05d}.JPG"

    for event in range(-(-images // FRAMES)):
        triggered = datetime(2026, 5, 1, 7) + timedelta(minutes=17 * event)
        moments = [triggered + timedelta(seconds=index + 1) for index in range(FRAMES)]
        notes = [maker_note(CARDS[0], "M", index + 1, FRAMES, event, 20) for index in range(FRAMES)]
        if event < _DRAWN:
            species = SPECIES[event // 4 % len(SPECIES)] if has_animal(event * FRAMES) else None
            place = RESERVED_LOCATIONS + 9
            frames = burst(location=place, species=species, night=event % 3 == 0, frames=FRAMES, seed=event, size=size)
            taken = [
                photograph(frame.pixels, moment, note)
                for frame, moment, note in zip(frames, moments, notes, strict=True)
            ]
        else:
            first = [path(event % _DRAWN, index).read_bytes() for index in range(FRAMES)]
            taken = [_again(*told) for told in zip(first, moments, notes, strict=True)]
        for index, data in enumerate(taken):
            path(event, index).write_bytes(data)


def _again(data: bytes, moment: datetime, note: bytes) -> bytes:
    """Return a photograph as if it had been taken at another moment."""
    written = BytesIO()
    piexif.insert(exif_block(moment, note), data, written)
    return written.getvalue()


def has_animal(number: int) -> bool:
    """Whether a photograph, counted from 0, belongs to a burst with an animal."""
    return number // FRAMES % 4 == 0
