"""What a source of labels says about one photograph, before anything is decided about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Annotation:
    """One answer about one photograph; several of them may speak of the same photograph or event."""

    path: Path
    """Of the photograph; need not exist yet."""
    species: tuple[str, ...]
    """What is to be seen, sorted, each once; empty for a blank photograph. `human` and `vehicle` count as species."""
    location: str | None = None
    event: str | None = None
    """As the source names it; None where events are to be grouped by time."""
    captured_at: datetime | None = None
    """The camera's wall clock."""
    count: int | None = None
    """Individuals, where the source says so."""
    annotator: str | None = None
    """Who says so; with several of them on an event a consensus is formed."""
    split: str | None = None
    """The part that the source itself puts it in: train, validation, test or test_seen."""
    of_event: bool = False
    """The answer is about the whole event and only passed on to its photographs."""
    support: float | None = None
    """Share of the votes that the source itself reports for its answer, 0..1."""
    evenness: float | None = None
    """Pielou's evenness of the votes, where the source reports it, 0..1."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Everything that one source says."""

    source: str
    """A short name: of the user's choice, else of the file or folder."""
    kind: str
    """Which reader it was."""
    annotations: Sequence[Annotation]
    notes: tuple[str, ...] = ()
    """What was assumed or passed over, as sentences with numbers."""
