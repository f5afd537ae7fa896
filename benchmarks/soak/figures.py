"""From samples to figures: is it flat, does the database grow by the same with every card, is every card in once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from benchmarks.soak.cards import Expected
from benchmarks.soak.sampling import Sample

WARM_UP = 0.2
"""Share of the last process's samples that count as warming up."""
FLAT = 0.05
"""How much memory, handles and threads may have grown over the others."""
WINDOWS = 10
ENOUGH_TO_GROW, MORE = 300, 1.5
"""Cards from which growth is held to be constant, for a database grows in steps; and how much more it may be later."""
RULE = (
    f"the last process's samples without the first {WARM_UP:.0%}, in {WINDOWS} windows of equal length; a line through the"
    f" windows' medians; growth, the line's rise over its beginning, at most {FLAT:.0%}"
)


def flatness(samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """Return the growth of what the last process took, by a straight line after warming up, as `RULE` says.

    Medians of windows, because memory, handles and threads come and go with each card: it is their level that counts.
    """
    last = [sample for sample in samples if sample.daemon == samples[-1].daemon]
    windows = [part for part in np.array_split(np.arange(int(len(last) * WARM_UP), len(last)), WINDOWS) if len(part)]
    at = np.array([np.mean([last[index].at for index in part]) for part in windows])
    found = {}
    for name in ("pss", "rss", "handles", "threads"):
        values = np.array([np.median([getattr(last[index], name) for index in part]) for part in windows])
        slope, start = np.polyfit(at - at[0], values, 1)
        rise = float(slope * (at[-1] - at[0]))
        found[name] = {
            "at_first": float(start),
            "at_last": float(start) + rise,
            "growth": rise / float(start),
            "highest": float(max(getattr(sample, name) for sample in last)),
        }
    return found


def growth_per_card(samples: Sequence[Sample]) -> dict[str, float]:
    """Return by how many bytes the databases grow with a card, in both halves of the cards after warming up."""
    cards = np.array([sample.cards for sample in samples], dtype=np.float64)
    most = cards.max()
    found = {}
    for name in ("live", "published"):
        sizes = np.array([getattr(sample, name) for sample in samples], dtype=np.float64)
        for part, (low, high) in {"first_half": (0.2, 0.6), "second_half": (0.6, 1.0)}.items():
            within = (cards >= low * most) & (cards <= high * most)
            found[f"{name}_{part}"] = float(np.polyfit(cards[within], sizes[within], 1)[0])
    return found


def accounts(reports: Path, expected: Sequence[Expected]) -> list[str]:
    """Return in words every card that is not in exactly once with the counts that it must have."""
    with duckdb.connect(str(reports), read_only=True) as connection:
        rows = connection.execute(
            "SELECT card_name, files_seen, media, duplicates, ignored, failed FROM cards"
        ).fetchall()
        twice = connection.execute("SELECT media_id FROM media GROUP BY 1 HAVING count(*) > 1").fetchall()
        media = connection.execute("SELECT count(*) FROM media WHERE failure IS NULL").fetchall()[0][0]
    said = [f"{len(twice)} photographs are in twice"] if twice else []
    found: dict[str, list[tuple[Any, ...]]] = {}
    for name, *counts in rows:
        found.setdefault(name, []).append(tuple(counts))
    for card in expected:
        wanted = (card.files_seen, card.media, card.duplicates, card.ignored, card.failed)
        if found.get(card.name) != [wanted]:
            said.append(f"{card.name}: in as {found.get(card.name)}, should be {wanted}")
    said += [f"{name}: in, but never dropped" for name in found.keys() - {card.name for card in expected}]
    total = sum(card.media for card in expected)
    return [*said, f"{media} photographs, should be {total}"] if media != total else said
