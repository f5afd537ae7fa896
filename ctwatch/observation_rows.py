"""Decisions as rows of the table of observations: names, ids, who decided, and what the machines said beside it."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ctwatch.decisions import Decision
from ctwatch.domain import ObservationType
from ctwatch.identity import derived_id
from ctwatch.store.rows import Columns

_NAMES = {ObservationType.HUMAN: "Homo sapiens", ObservationType.VEHICLE: None, ObservationType.UNKNOWN: None}
"""Scientific names of what is no animal, whatever the models call it."""


def observation_columns(
    deployment_id: str,
    classified_by: str | None,
    level: str,
    decisions: Sequence[Decision],
    beside: Mapping[int, Sequence[Decision]],
    event_ids: Sequence[str | None],
    media_ids: Sequence[str] | None,
    spans: tuple[NDArray[np.datetime64], NDArray[np.datetime64]],
) -> Columns:
    """Return decisions about events or about photographs of one deployment as columns, in their order.

    Args:
        deployment_id: The deployment.
        classified_by: The name of the ensembles that decided where nobody else did.
        level: "event" or "media".
        decisions: What was decided; the units are numbers of what follows.
        beside: By unit, what the machines decided of the same.
        event_ids: Of each unit the event.
        media_ids: Of each unit the photograph; None at the level of events.
        spans: Starts and ends of each unit, NaT where its time cannot be trusted.
    """
    units = [decision.unit for decision in decisions]
    events = [event_ids[unit] for unit in units]
    media = [None if media_ids is None else media_ids[unit] for unit in units]
    looked = [decision.observation_type is not ObservationType.UNCLASSIFIED for decision in decisions]
    spoken = [
        [item for item in beside[unit] if item.observation_type is not ObservationType.UNCLASSIFIED] for unit in units
    ]
    return {
        "observation_id": [
            derived_id(level, media_id or event_id or "", _label(decision))
            for decision, event_id, media_id in zip(decisions, events, media, strict=True)
        ],
        "deployment_id": [deployment_id] * len(units),
        "event_id": events,
        "media_id": media,
        "event_start": spans[0][units],
        "event_end": spans[1][units],
        "observation_level": [level] * len(units),
        "observation_type": [str(decision.observation_type) for decision in decisions],
        "scientific_name": [_NAMES.get(decision.observation_type, decision.label) for decision in decisions],
        "classified_by": [
            _who(decision, classified_by) if seen else None for decision, seen in zip(decisions, looked, strict=True)
        ],
        "classification_probability": [decision.probability for decision in decisions],
        "top_labels": [[label for label, _ in decision.top] for decision in decisions],
        "top_probabilities": [[p for _, p in decision.top] for decision in decisions],
        "needs_review": np.array([bool(decision.review) for decision in decisions], dtype=bool),
        "review_reason": [";".join(decision.review) or None for decision in decisions],
        "count": [decision.count for decision in decisions],
        "classification_method": [
            ("human" if decision.by_human else "machine") if seen else None
            for decision, seen in zip(decisions, looked, strict=True)
        ],
        "classification_timestamp": [decision.classified_at for decision in decisions],
        "machine_labels": [[_label(item) for item in items] for items in spoken],
        "machine_probabilities": [[item.probability for item in items] for items in spoken],
    }


def _label(decision: Decision) -> str:
    return decision.label or str(decision.observation_type)


def _who(decision: Decision, ensembles: str | None) -> str | None:
    return decision.classified_by if decision.by_human or decision.classified_by else ensembles
