"""A card of drawn photographs as a camera writes them, for benchmarks."""

from datetime import datetime, timedelta
from pathlib import Path

from ctwatch.demo.scenes import RESERVED_LOCATIONS, SPECIES, burst
from ctwatch.demo.station import CARDS, maker_note, photograph

FRAMES = 3
"""Photographs of one event."""
MEGAPIXELS_3 = (1536, 2048)
MEGAPIXELS_12 = (3024, 4032)


def write_card(root: Path, images: int, *, size: tuple[int, int] = MEGAPIXELS_3) -> None:
    """Write bursts of three photographs into a folder, of which every fourth holds an animal, as on real cards.

    Args:
        root: The card's folder; made where it is missing.
        images: How many at least; made up to whole bursts.
        size: (height, width) in pixels.
    """
    moment = datetime(2026, 5, 1, 7)
    for event in range(-(-images // FRAMES)):
        species = SPECIES[event // 4 % len(SPECIES)] if has_animal(event * FRAMES) else None
        frames = burst(
            location=RESERVED_LOCATIONS + 9,
            species=species,
            night=event % 3 == 0,
            frames=FRAMES,
            seed=event,
            size=size,
        )
        for index, frame in enumerate(frames, 1):
            note = maker_note(CARDS[0], "M", index, FRAMES, event, 20)
            path = root / "DCIM" / "100RECNX" / f"RCNX{event * FRAMES + index:04d}.JPG"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(photograph(frame.pixels, moment + timedelta(seconds=index), note))
        moment += timedelta(minutes=17)


def has_animal(number: int) -> bool:
    """Whether a photograph, counted from 0, belongs to a burst with an animal."""
    return number // FRAMES % 4 == 0
