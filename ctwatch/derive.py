"""What follows from media and predictions: events and observations, recomputed whole per deployment."""

import functools
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
from ctwatch.observation_rows import observation_columns
from ctwatch.opinions import ImportLimits, decide, voices
from ctwatch.store import derived, labels

if TYPE_CHECKING:
    import duckdb

_DEFAULT_BLANK_THRESHOLD = 0.5
FRAMES_AT_ONCE = 4096
"""Frames that are decided about at once, so that a deployment of any length takes as much memory as one of these."""


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
        file_order=events.file_order(media.pop("file_path").tolist(), media["media_id"].tolist()),
    )
    grouping = events.group(frames, config.events.rule())
    ids = events.event_ids(frames, grouping)
    starts, ends = _spans(frames, grouping)
    event_of_position = grouping.event_of_position()
    derived.replace(
        connection,
        deployment_id,
        event={
            "event_id": ids,
            "deployment_id": [deployment_id] * len(ids),
            "event_start": starts,
            "event_end": ends,
            "media_count": grouping.sizes(),
            "timestamp_trusted": frames.trusted[grouping.order[grouping.starts]],
        },
        event_media={
            "event_id": [ids[number] for number in event_of_position.tolist()],
            "deployment_id": [deployment_id] * len(grouping.order),
            "media_id": frames.media_id[grouping.order],
            "position": np.arange(len(grouping.order)) - grouping.starts[event_of_position],
        },
        media_time={
            "media_id": frames.media_id,
            "deployment_id": [deployment_id] * len(frames),
            "timestamp": times,
            "timestamp_trusted": trusted,
            "timestamp_issue": issues,
        },
    )
    # Frames as they were taken, event after event; those of time-lapse, each its own, come last.
    lapsed = np.flatnonzero(frames.time_lapse)
    order = np.concatenate([grouping.order, lapsed[np.argsort(frames.file_order[lapsed])]])
    taken = np.where(trusted, times, np.datetime64("NaT", "us"))[order]
    members = [model.model_id for model in (*models.empty, *models.species)]
    with derived.in_order(connection, frames.media_id[order], members):
        background = np.full(len(order), np.nan)
        if config.decisions.background and models.empty:
            own = np.concatenate([event_of_position, len(grouping) + np.arange(len(event_of_position), len(order))])
            background = _background(connection, taken, own)
        for first, last in grouping.parts(len(order), FRAMES_AT_ONCE):
            part, rows = grouping.between(first, last), order[first:last]
            readable = media["readable"][rows].astype(bool)
            verdict = decide(
                _scores(connection, first, last, readable, config, models, background[first:last]),
                part,
                thresholds(config, models),
                Averaging(config.decisions.averaging),
                Averaging(config.decisions.event_pooling),
                voices(labels.said_by_people(connection, first, last), labels.said_by_imports(connection, first, last)),
                import_limits(config),
            )
            number = int(np.searchsorted(grouping.starts, first))
            here = ids[number : number + len(part)]
            of_frames = [here[event] for event in part.event_of_position().tolist()]
            about = functools.partial(observation_columns, deployment_id, models.classified_by)
            spans = starts[number : number + len(part)], ends[number : number + len(part)]
            for columns in (
                about("event", verdict.events, verdict.machine_events, here, None, spans),
                about(
                    "media",
                    verdict.frames,
                    verdict.machine_frames,
                    [*of_frames, *[None] * (len(rows) - len(of_frames))],
                    frames.media_id[rows].tolist(),
                    (taken[first:last], taken[first:last]),
                ),
            ):
                derived.add_observations(connection, columns)


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
    connection: "duckdb.DuckDBPyConnection", taken: NDArray[np.datetime64], own: NDArray[np.int64]
) -> NDArray[np.float64]:
    """What the deployment's own background says of blank, (N,); NaN where it says nothing or there is no miniature.

    Of frames in the order of `derived.in_order`, with their times, NaT where they cannot be trusted, and their events.
    """
    evidence = np.full(len(taken), np.nan)
    places, pixels, colour = derived.miniatures(connection)
    seconds = np.where(np.isnat(taken), np.nan, taken.astype("datetime64[us]").astype(np.int64) / 1e6)
    evidence[places] = blank_evidence(pixels, colour, seconds[places], own[places])
    return evidence


def _scores(
    connection: "duckdb.DuckDBPyConnection",
    first: int,
    last: int,
    readable: NDArray[np.bool_],
    config: Config,
    models: Models,
    background: NDArray[np.float64],
) -> Scores:
    """What the ensembles said about the frames at some places of `derived.in_order`."""
    averaging = Averaging(config.decisions.averaging)

    def said(members: Sequence[ModelInfo]) -> NDArray[np.float32]:
        names = members[0].labels if members else ()
        return derived.predictions(connection, first, last, [model.model_id for model in members], len(names))

    blank = np.full(len(readable), np.nan)
    if models.empty:
        names = models.empty[0].labels
        p = with_opinion(said(models.empty), names.index(BLANK), background)
        blank = average_present(p, averaging)[:, names.index(BLANK)]
    species_labels = models.species[0].labels if models.species else ()
    members = said(models.species)
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
