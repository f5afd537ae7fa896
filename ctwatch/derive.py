"""What follows from media and predictions: events and observations, recomputed whole per deployment."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ctwatch import events
from ctwatch.background import blank_evidence
from ctwatch.config import Config
from ctwatch.decisions import Decision, Scores, Thresholds, decide_events, decide_frames
from ctwatch.domain import BLANK, ModelInfo, ObservationType
from ctwatch.ensemble import Averaging, average_present, with_opinion
from ctwatch.identity import derived_id
from ctwatch.store import derived
from ctwatch.store.rows import Columns

if TYPE_CHECKING:
    import duckdb

_NAMES = {ObservationType.HUMAN: "Homo sapiens", ObservationType.VEHICLE: None, ObservationType.UNKNOWN: None}
"""Scientific names of what is no animal, whatever the models call it."""
_DEFAULT_BLANK_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class Models:
    """The members of both ensembles, as far as deciding needs them."""

    empty: tuple[ModelInfo, ...] = ()
    species: tuple[ModelInfo, ...] = ()

    @property
    def classified_by(self) -> str | None:
        """A name for the ensembles that decided, the same on every machine that has the same files."""
        members = self.empty + self.species
        if not members:
            return None
        mark = derived_id(*sorted(model.model_id for model in members))[:8]
        return f"ctwatch ensemble of {len(self.empty)} empty + {len(self.species)} species models {mark}"


def blank_threshold(config: Config, empty: Sequence[ModelInfo]) -> float:
    """Return the probability of blank from which a frame is blank: configured, else the mean of the models' own."""
    if config.decisions.blank_threshold > 0:
        return config.decisions.blank_threshold
    own = [model.thresholds[BLANK] for model in empty if BLANK in model.thresholds]
    return float(np.mean(own)) if own else _DEFAULT_BLANK_THRESHOLD


def thresholds(config: Config, models: Models) -> Thresholds:
    """Return where decisions turn: the models' own thresholds where they bring them, else the configured ones."""
    labels = models.species[0].labels if models.species else ()
    of_label = []
    for label in labels:
        own = [model.thresholds[label] for model in models.species if label in model.thresholds]
        of_label.append(float(np.mean(own)) if own else config.decisions.species_threshold)
    blank = blank_threshold(config, models.empty)
    return Thresholds(
        blank=blank,
        sure_blank=max(blank, config.decisions.sure_blank),
        species=np.array(of_label, dtype=np.float64),
        some_frame=config.decisions.some_frame_threshold,
        agreement=config.decisions.agreement,
    )


def derive(connection: "duckdb.DuckDBPyConnection", deployment_id: str, config: Config, models: Models) -> None:
    """Recompute and replace a deployment's events and observations; run twice, the rows are the same."""
    media = derived.media_columns(connection, deployment_id)
    frames = events.Frames(
        media_id=media["media_id"],
        timestamp=media["timestamp"],
        trusted=media["trusted"].astype(bool),
        time_lapse=media["time_lapse"].astype(bool),
        sequence_number=media["sequence_number"].astype(np.int64),
        event_number=media["event_number"].astype(np.int64),
        file_order=events.file_order(list(media["file_path"]), list(media["media_id"])),
    )
    grouping = events.group(frames, config.events.rule())
    ids = events.event_ids(frames, grouping)
    event_of_frame = np.full(len(frames), -1, dtype=np.int64)
    event_of_frame[grouping.order] = grouping.event_of_position()
    background = np.full(len(frames), np.nan)
    if config.decisions.background and models.empty:
        background = _background(connection, frames, grouping, event_of_frame)
    scores = _scores(connection, media, config, models, background)
    limits = thresholds(config, models)
    averaging, pooling = Averaging(config.decisions.averaging), Averaging(config.decisions.event_pooling)
    starts, ends = _spans(frames, grouping)
    by_event = decide_events(scores, grouping, limits, averaging, pooling)
    by_frame = decide_frames(scores, limits, averaging)
    rows = _Rows(deployment_id, models.classified_by)
    for decision in by_event:
        number = decision.unit
        rows.add(decision, ids[number], None, starts[number], ends[number])
    for decision in by_frame:
        row = decision.unit
        event_id = ids[event_of_frame[row]] if event_of_frame[row] >= 0 else None
        taken = frames.timestamp[row] if frames.trusted[row] else np.datetime64("NaT", "us")
        rows.add(decision, event_id, str(frames.media_id[row]), taken, taken)
    positions = np.arange(len(grouping.order)) - np.repeat(grouping.starts, grouping.sizes())
    derived.replace(
        connection,
        deployment_id,
        event={
            "event_id": ids,
            "deployment_id": [deployment_id] * len(ids),
            "event_start": starts,
            "event_end": ends,
            "media_count": grouping.sizes(),
            "timestamp_trusted": frames.trusted[grouping.order[grouping.starts]]
            if len(grouping)
            else np.empty(0, bool),
        },
        event_media={
            "event_id": [ids[number] for number in grouping.event_of_position()],
            "deployment_id": [deployment_id] * len(grouping.order),
            "media_id": frames.media_id[grouping.order],
            "position": positions,
        },
        observation=rows.columns(),
    )


class _Rows:
    """Observation rows as columns."""

    def __init__(self, deployment_id: str, classified_by: str | None) -> None:
        self._deployment_id, self._classified_by = deployment_id, classified_by
        self._columns: dict[str, list[Any]] = {name: [] for name in _OBSERVATION}

    def add(
        self,
        decision: Decision,
        event_id: str | None,
        media_id: str | None,
        start: np.datetime64,
        end: np.datetime64,
    ) -> None:
        """Add one decision; event level if it has no media."""
        level = "event" if media_id is None else "media"
        unclassified = decision.observation_type is ObservationType.UNCLASSIFIED
        name = _NAMES.get(decision.observation_type, decision.label)
        values = (
            derived_id(level, media_id or event_id or "", decision.label or str(decision.observation_type)),
            self._deployment_id,
            event_id,
            media_id,
            start,
            end,
            level,
            str(decision.observation_type),
            name,
            None if unclassified else self._classified_by,
            decision.probability,
            [label for label, _ in decision.top],
            [p for _, p in decision.top],
            bool(decision.review),
            ";".join(decision.review) or None,
        )
        for column, value in zip(self._columns.values(), values, strict=True):
            column.append(value)

    def columns(self) -> Columns:
        """The columns, times as arrays."""
        times = {name: np.array(self._columns[name], dtype="datetime64[us]") for name in ("event_start", "event_end")}
        return {**self._columns, **times}


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
)


def _background(
    connection: "duckdb.DuckDBPyConnection",
    frames: events.Frames,
    grouping: events.Grouping,
    event_of_frame: NDArray[np.int64],
) -> NDArray[np.float64]:
    """What the deployment's own background says of blank, (N,); NaN where it says nothing or there is no miniature."""
    evidence = np.full(len(frames), np.nan)
    rows, pixels, colour = derived.miniatures(connection, frames.media_id)
    # In capture order, so that frames of one second stay as the camera took them; each time-lapse frame is its own event.
    lapsed = np.flatnonzero(frames.time_lapse)
    place = np.empty(len(frames), dtype=np.int64)
    place[np.concatenate([grouping.order, lapsed[np.argsort(frames.file_order[lapsed])]])] = np.arange(len(frames))
    own = np.where(event_of_frame >= 0, event_of_frame, len(grouping) + place)
    seconds = frames.timestamp.astype("datetime64[us]").astype(np.int64) / 1e6
    times = np.where(frames.trusted & ~np.isnat(frames.timestamp), seconds, np.nan)
    order = np.argsort(place[rows])
    taken = rows[order]
    evidence[taken] = blank_evidence(pixels[order], colour[order], times[taken], own[taken])
    return evidence


def _scores(
    connection: "duckdb.DuckDBPyConnection",
    media: dict[str, NDArray[Any]],
    config: Config,
    models: Models,
    background: NDArray[np.float64],
) -> Scores:
    averaging = Averaging(config.decisions.averaging)
    readable = media["readable"].astype(bool)
    blank = np.full(len(readable), np.nan)
    if models.empty:
        labels = models.empty[0].labels
        p = derived.predictions(connection, media["media_id"], [model.model_id for model in models.empty], len(labels))
        p = with_opinion(p, labels.index(BLANK), background)
        blank = average_present(p, averaging)[:, labels.index(BLANK)]
    species_labels = models.species[0].labels if models.species else ()
    members = derived.predictions(
        connection, media["media_id"], [model.model_id for model in models.species], len(species_labels)
    )
    if not models.empty and BLANK in species_labels:
        blank = average_present(members, averaging)[:, species_labels.index(BLANK)]
    return Scores(readable, blank, members, species_labels)


def _spans(frames: events.Frames, grouping: events.Grouping) -> tuple[NDArray[np.datetime64], NDArray[np.datetime64]]:
    """First and last time of each event; NaT where its time cannot be trusted."""
    if not len(grouping):
        empty = np.empty(0, dtype="datetime64[us]")
        return empty, empty
    times = np.where(frames.trusted, frames.timestamp, np.datetime64("NaT", "us"))[grouping.order]
    last = grouping.starts + grouping.sizes() - 1
    return times[grouping.starts], times[last]
