"""Frames in file order -> predictions: the empty filter on all, the species models on whole events that are not blank."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from ctwatch.background import Miniature
from ctwatch.domain import BLANK
from ctwatch.ensemble import Averaging, average
from ctwatch.nets.inference import Ensemble
from ctwatch.panel import Panel, Pixels, stack

Prediction = tuple[str, str, NDArray[np.float32]]
"""(media_id, model_id, probabilities in the order of the model's labels)"""


@dataclass(frozen=True, slots=True)
class Frame:
    """One photograph on its way through the networks."""

    media_id: str
    deployment_id: str
    taken: datetime | None
    """None where the time cannot be trusted or the frame is time-lapse: it then stands alone."""
    pixels: Pixels
    miniature: Miniature | None = None


class Classifier:
    """Looks at a stream of frames once.

    The files of a card come nearly in the order of time, so the events to be are seen forming: pixels of blank frames
    are held until their event turns out to hold an animal or ends. What this foresight misses (a later card, files out
    of order, a blank event longer than the hold) lacks species predictions after the commit and is made up for there.
    """

    def __init__(
        self,
        panel: Panel,
        *,
        batch_size: int,
        gap_s: float,
        averaging: Averaging,
        blank_threshold: float,
        most_held: int = 256,
    ) -> None:
        self._panel = panel
        self._batch_size = batch_size
        self._gap_s = gap_s
        self._averaging = averaging
        self._blank_threshold = blank_threshold
        self._most_held = most_held
        self._for_empty: list[Frame] = []
        self._for_species: list[Frame] = []
        self._held: list[Frame] = []
        self._event_has_animal = False
        self._previous: Frame | None = None
        self._predictions: list[Prediction] = []
        self._miniatures: dict[str, Miniature] = {}

    def push(self, frame: Frame) -> None:
        """Take the next frame; networks run when a batch is full."""
        self._for_empty.append(frame)
        if len(self._for_empty) >= self._batch_size:
            self._filter()

    def push_for_species(self, frame: Frame) -> None:
        """Take a frame that is known to belong to an event that is not blank."""
        self._for_species.append(frame)
        self._name(force=False)

    def finish(self) -> None:
        """Run what is waiting and end the last event."""
        self._filter()
        self._end_event()
        self._name(force=True)

    def waiting(self) -> int:
        """How many predictions `take` would hand over."""
        return len(self._predictions)

    def take(self) -> list[Prediction]:
        """Hand over the predictions made so far."""
        taken, self._predictions = self._predictions, []
        return taken

    def take_miniatures(self) -> dict[str, Miniature]:
        """Hand over the miniatures of the frames that the empty filter has seen since, by media id.

        They belong into one transaction with the predictions of `take`: what has predictions is not read again.
        """
        taken, self._miniatures = self._miniatures, {}
        return taken

    def _filter(self) -> None:
        batch, self._for_empty = self._for_empty, []
        if not batch:
            return
        blank = np.zeros(len(batch), dtype=bool)
        if self._panel.empty is not None:
            p = self._look(self._panel.empty, batch)
            averaged = average(p, self._averaging)[:, self._panel.empty.labels.index(BLANK)]
            blank = averaged >= self._blank_threshold
            self._miniatures |= {frame.media_id: frame.miniature for frame in batch if frame.miniature is not None}
        if self._panel.species is None:
            return
        for frame, is_blank in zip(batch, blank, strict=True):
            self._place(frame, bool(is_blank))
        self._name(force=False)

    def _place(self, frame: Frame, is_blank: bool) -> None:
        if frame.taken is None:
            if not is_blank:
                self._for_species.append(frame)
            return
        if self._starts_event(frame):
            self._end_event()
        self._previous = frame
        if is_blank and not self._event_has_animal:
            self._held.append(frame)
            del self._held[: -self._most_held]
            return
        self._event_has_animal = True
        self._for_species += [*self._held, frame]
        self._held = []

    def _starts_event(self, frame: Frame) -> bool:
        before = self._previous
        if before is None or before.taken is None or frame.taken is None:
            return True
        apart = abs((frame.taken - before.taken).total_seconds())
        return before.deployment_id != frame.deployment_id or apart > self._gap_s

    def _end_event(self) -> None:
        self._held, self._event_has_animal = [], False

    def _name(self, *, force: bool) -> None:
        species = self._panel.species
        while species is not None and (len(self._for_species) >= self._batch_size or (force and self._for_species)):
            batch, self._for_species = self._for_species[: self._batch_size], self._for_species[self._batch_size :]
            self._look(species, batch)

    def _look(self, ensemble: Ensemble, batch: Sequence[Frame]) -> NDArray[np.float32]:
        p = ensemble.predict(stack([frame.pixels for frame in batch], ensemble.canvases))
        for frame, rows in zip(batch, p, strict=True):
            self._predictions += [
                (frame.media_id, model.model_id, row) for model, row in zip(ensemble.members, rows, strict=True)
            ]
        return p
