"""Decisions as rows of the table of observations: names, ids, who decided, and what the machines said beside it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ctwatch.decisions import Decision
from ctwatch.domain import ObservationType
from ctwatch.identity import derived_id
from ctwatch.store.rows import Columns

_NAMES = {ObservationType.HUMAN: "Homo sapiens", ObservationType.VEHICLE: None, ObservationType.UNKNOWN: None}
"""Scientific names of what is no animal, whatever the models call it."""


class ObservationRows:
    """Observations of one deployment, gathered row by row."""

    def __init__(self, deployment_id: str, classified_by: str | None) -> None:
        """Take the deployment and the name of the ensembles that decided."""
        self._deployment_id, self._classified_by = deployment_id, classified_by
        self._rows: list[tuple[Any, ...]] = []

    def add(
        self,
        decision: Decision,
        by_machine: Sequence[Decision],
        event_id: str | None,
        media_id: str | None,
        start: np.datetime64,
        end: np.datetime64,
    ) -> None:
        """Add one decision, beside it what the machines decided of the same; event level if it has no media."""
        spoken = [item for item in by_machine if item.observation_type is not ObservationType.UNCLASSIFIED]
        level = "event" if media_id is None else "media"
        unclassified = decision.observation_type is ObservationType.UNCLASSIFIED
        name = _NAMES.get(decision.observation_type, decision.label)
        row = (
            derived_id(level, media_id or event_id or "", _label(decision)),
            self._deployment_id,
            event_id,
            media_id,
            start,
            end,
            level,
            str(decision.observation_type),
            name,
            None if unclassified else _who(decision, self._classified_by),
            decision.probability,
            [label for label, _ in decision.top],
            [p for _, p in decision.top],
            bool(decision.review),
            ";".join(decision.review) or None,
            decision.count,
            None if unclassified else ("human" if decision.by_human else "machine"),
            decision.classified_at,
            [_label(item) for item in spoken],
            [item.probability for item in spoken],
        )
        self._rows.append(row)

    def columns(self) -> Columns:
        """The columns, times as arrays."""
        values = zip(*self._rows, strict=True) if self._rows else ([] for _ in _OBSERVATION)
        columns = dict(zip(_OBSERVATION, values, strict=True))
        times = {name: np.array(columns[name], dtype="datetime64[us]") for name in ("event_start", "event_end")}
        return {**columns, **times}


_OBSERVATION = (
    "observation_id",
    "deployment_id",
    "event_id",
    "media_id",
    "event_start",
    "event_end",
    "observation_level",
    "observation_type",
    "scientific_name",
    "classified_by",
    "classification_probability",
    "top_labels",
    "top_probabilities",
    "needs_review",
    "review_reason",
    "count",
    "classification_method",
    "classification_timestamp",
    "machine_labels",
    "machine_probabilities",
)


def _label(decision: Decision) -> str:
    return decision.label or str(decision.observation_type)


def _who(decision: Decision, ensembles: str | None) -> str | None:
    return decision.classified_by if decision.by_human or decision.classified_by else ensembles
