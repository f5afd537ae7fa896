"""What an exporter hands back: the files it wrote, and sentences on what it assumed, rounded or left out."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Written:
    """The files of one dialect, and what somebody must know who uses them."""

    paths: tuple[Path, ...]
    sentences: tuple[str, ...]


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, in the plural where it is not one: `1 photograph`, `1,204 photographs`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}{'es' if noun.endswith('x') else 's'}"


def listed(names: Iterable[str], most: int = 5) -> str:
    """Return names in a row, sorted; from `most` on only how many more there are."""
    known = sorted(set(names))
    more = [f"and {len(known) - most} more"] if len(known) > most else []
    return ", ".join([*known[:most], *more])
