"""The frames that show a species best, for people to look at: confirmed before sure before doubtful, nobody on them."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from ctwatch.survey import Survey

CANDIDATES = 3
"""Frames kept per species: if the first original is gone, the next may be there."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A photograph that shows a species."""

    scientific_name: str
    media_id: str
    source_path: str | None
    location_id: str
    timestamp: datetime | None
    """None without a time to trust."""
    confirmed: bool
    """A person said so."""
    to_review: bool
    probability: float | None


def best_frames(survey: Survey, *, with_private: bool = False) -> dict[str, tuple[Frame, ...]]:
    """Return the best frames of every species, best first, at most `CANDIDATES`; by name.

    First what people confirmed, then what needs no review, then the rest; within these the most probable. Unusable
    photographs are never among them, private ones only `with_private`. An event whose frames name no species of their own
    lends all of them.
    """
    rows, media = survey.observations, survey.media
    place_of = {item.deployment.deployment_id: item.location.location_id for item in survey.deployments}
    at_of = {media_id: at for at, media_id in enumerate(media.media_id)}
    frames_of: dict[str, list[str]] = {}
    for frame, event_id in zip(media.media_id, media.event_id, strict=True):
        if event_id is not None:
            frames_of.setdefault(event_id, []).append(frame)
    whole: dict[tuple[str, str], tuple[int, float]] = {}
    single: dict[tuple[str, str], tuple[int, float]] = {}
    for at, (name, kind) in enumerate(zip(rows.scientific_name, rows.observation_type, strict=True)):
        if not name or kind != "animal":
            continue
        rank = 0 if rows.classification_method[at] == "human" else 2 if rows.needs_review[at] else 1
        value = rank, _probability(survey, at, name)
        of_event, media_id = rows.event_id[at], rows.media_id[at]
        if rows.level[at] == "event" and of_event is not None:
            whole[name, of_event] = value
        elif media_id is not None:
            single[name, media_id] = value
    chosen: dict[str, dict[str, tuple[int, float]]] = {}
    told = set()
    for (name, media_id), (rank, probability) in single.items():
        event = media.event_id[at_of[media_id]] if media_id in at_of else None
        if event is not None:
            if (name, event) not in whole:
                continue  # the event was decided otherwise, by people perhaps
            rank = whole[name, event][0]
            told.add((name, event))
        chosen.setdefault(name, {})[media_id] = rank, probability
    for (name, of_event), value in whole.items():
        if (name, of_event) not in told:
            for media_id in frames_of.get(of_event, ()):
                chosen.setdefault(name, {})[media_id] = value
    best = {}
    for name in sorted(chosen):
        usable = [
            (rank, -probability, at_of[media_id])
            for media_id, (rank, probability) in chosen[name].items()
            if media_id in at_of
            and (with_private or not media.private[at_of[media_id]])
            and media.failure[at_of[media_id]] is None
            and media.source_path[at_of[media_id]] is not None
        ]
        best[name] = tuple(
            Frame(
                name,
                media.media_id[at],
                media.source_path[at],
                place_of.get(media.deployment_id[at], media.deployment_id[at]),
                media.timestamp[at].astype("datetime64[us]").astype(object) if media.trusted[at] else None,
                rank == 0,
                rank == 2,
                -minus if minus < 0 else None,
            )
            for rank, minus, at in sorted(usable)[:CANDIDATES]
        )
    return best


def _probability(survey: Survey, at: int, name: str) -> float:
    """How sure the machines were of this species here; 0 where they say nothing of it."""
    own = float(survey.observations.probability[at])
    if not np.isnan(own):
        return own
    labels, values = survey.observations.machine_labels[at], survey.observations.machine_probabilities[at]
    return max((value or 0.0 for label, value in zip(labels, values, strict=True) if label == name), default=0.0)
