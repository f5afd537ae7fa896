"""What follows from media and predictions: events and observations, recomputed whole per deployment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ctwatch import clocks, events
from ctwatch.background import blank_evidence
from ctwatch.config import Config
from ctwatch.decisions import Scores, Thresholds
from ctwatch.domain import BLANK, ModelInfo
from ctwatch.ensemble import Averaging, average_present, with_opinion
from ctwatch.identity import derived_id
from ctwatch.observation_rows import ObservationRows
from ctwatch.opinions import ImportLimits, decide, voices
from ctwatch.store import derived, labels

if TYPE_CHECKING:
    import duckdb

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
    names = models.species[0].labels if models.species else ()
    of_label = []
    for label in names:
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


def derive(
    connection: "duckdb.DuckDBPyConnection",
    deployment_id: str,
    config: Config,
    models: Models,
    now: datetime,
) -> None:
    """Recompute and replace a deployment's times, events and observations; run twice, the rows are the same.

    `now`, local time, judges which corrected times can be.
    """
    media = derived.media_columns(connection, deployment_id)
    times, trusted, issues = _times(connection, deployment_id, media, config, now)
    frames = events.Frames(
        media_id=media["media_id"],
        timestamp=times,
        trusted=trusted,
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
    verdict = decide(
        _scores(connection, media, config, models, background),
        grouping,
        thresholds(config, models),
        Averaging(config.decisions.averaging),
        Averaging(config.decisions.event_pooling),
        voices(labels.said_by_people(connection, frames.media_id), labels.said_by_imports(connection, frames.media_id)),
        import_limits(config),
    )
    starts, ends = _spans(frames, grouping)
    rows = ObservationRows(deployment_id, models.classified_by)
    for decision in verdict.events:
        number = decision.unit
        rows.add(decision, verdict.machine_events[number], ids[number], None, starts[number], ends[number])
    for decision in verdict.frames:
        row = decision.unit
        event_id = ids[event_of_frame[row]] if event_of_frame[row] >= 0 else None
        taken = frames.timestamp[row] if frames.trusted[row] else np.datetime64("NaT", "us")
        rows.add(decision, verdict.machine_frames[row], event_id, str(frames.media_id[row]), taken, taken)
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
        media_time={
            "media_id": frames.media_id,
            "deployment_id": [deployment_id] * len(frames),
            "timestamp": times,
            "timestamp_trusted": trusted,
            "timestamp_issue": issues,
        },
    )


def import_limits(config: Config) -> ImportLimits:
    """Return where imported answers turn into decisions, as configured."""
    decisions = config.decisions
    return ImportLimits(
        decisions.imported_blank_threshold,
        decisions.sure_blank,
        decisions.species_threshold,
        decisions.some_frame_threshold,
    )


def _times(
    connection: "duckdb.DuckDBPyConnection",
    deployment_id: str,
    media: dict[str, NDArray[Any]],
    config: Config,
    now: datetime,
) -> tuple[NDArray[np.datetime64], NDArray[np.bool_], list[str | None]]:
    """Correct the recorded times as the deployments table says, and judge anew which of them count."""
    recorded = media["timestamp"]
    clock = derived.clock_of(connection, deployment_id)
    points, sentences = clocks.points_of(clock.points, clock.references, list(media["file_path"]), recorded)
    before = derived.flag_of(connection, deployment_id)
    flag = "; ".join(filter(None, (clocks.without_sentences(before), *dict.fromkeys(sentences)))) or None
    if flag != before:
        derived.put_flag(connection, deployment_id, flag)
    times = clocks.correct(recorded, points)
    trusted, problems = clocks.judge(times, now, config.read.earliest_year)
    issues = [
        (before if good else problem or before)
        for before, good, problem in zip(media["issue"], trusted.tolist(), problems, strict=True)
    ]
    return times, trusted, [issue if isinstance(issue, str) else None for issue in issues]


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
        names = models.empty[0].labels
        p = derived.predictions(connection, media["media_id"], [model.model_id for model in models.empty], len(names))
        p = with_opinion(p, names.index(BLANK), background)
        blank = average_present(p, averaging)[:, names.index(BLANK)]
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
