"""How time and bytes grow with a survey: grouping, deriving, histories and the database, at three sizes each.

Photographs come as from the field: bursts of three, a quarter of them with an animal, which alone the species models have
seen: three of 48 labels, behind an empty filter of three. Ratios are the time at the largest size over four times that
at a quarter of it, so 1 is linear.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import histories
from ctwatch import events
from ctwatch.config import Config
from ctwatch.derive import Models, derive
from ctwatch.domain import (
    BLANK,
    CameraFacts,
    Canvas,
    CardSnapshot,
    Deployment,
    DeploymentSource,
    FileStat,
    FileStatus,
    Location,
    Media,
    ModelInfo,
    Preprocessing,
    Task,
    Timestamp,
    TimestampSource,
)
from ctwatch.identity import derived_id
from ctwatch.store import cards
from ctwatch.store.cards import CardFile
from ctwatch.store.database import Database
from ctwatch.store.preparation import prepare
from ctwatch.store.rows import insert

DERIVED = (25_000, 50_000, 100_000)
"""Photographs of the deployments that are derived anew."""
LABELS = tuple(f"Genus species{number:02d}" for number in range(48))
_FIRST = np.datetime64("2026-01-01T00:00:00", "us")
_NOW = datetime(2030, 1, 1)
_DEPLOYMENT = "L01_BENCH"


def measure(frames: int, rounds: int) -> dict[str, float | int | str]:
    """Return seconds of each stage, wall and of all cores together, medians over interleaved rounds, and their ratios.

    Grouping and histories take a quarter, a half and all of the frames; deriving takes deployments of `DERIVED`.
    """
    sizes = (frames // 4, frames // 2, frames)
    models = _models()
    wall: dict[str, list[float]] = {}
    core: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        alone = {size: _store(Path(folder) / f"alone{size}", size, models) for size in DERIVED}
        labelled = {size: _store(Path(folder) / f"labelled{size}", size, models, labelled=True) for size in DERIVED}
        stages: dict[str, Callable[[], object]] = {}
        stages |= {f"grouping_{size}": partial(events.group, _frames(size), events.EventRule()) for size in sizes}
        stages |= {f"deriving_{size}": partial(_derive, store, models) for size, store in alone.items()}
        stages |= {f"deriving_labelled_{size}": partial(_derive, store, models) for size, store in labelled.items()}
        for _ in range(rounds):
            for name, stage in stages.items():
                wall_s, core_s = _timed(stage)
                wall.setdefault(f"{name}_s", []).append(wall_s)
                core.setdefault(f"{name}_core_s", []).append(core_s)
        stored = {f"bytes_per_image_{size}": store.path.stat().st_size / size for size, store in alone.items()}
    counted = histories.measure(frames, rounds)
    medians = {name: statistics.median(values) for name, values in (wall | core).items()}
    ratios = {
        f"{stage}_ratio": medians[f"{stage}_{most}_core_s"] / (4 * medians[f"{stage}_{least}_core_s"])
        for stage, least, most in (
            ("grouping", sizes[0], sizes[-1]),
            ("deriving", DERIVED[0], DERIVED[-1]),
            ("deriving_labelled", DERIVED[0], DERIVED[-1]),
        )
    }
    ratios["histories_ratio"] = float(counted[f"histories_{frames}_s"]) / (
        4 * float(counted[f"histories_{sizes[0]}_s"])
    )
    ratios["bytes_ratio"] = stored[f"bytes_per_image_{DERIVED[-1]}"] / stored[f"bytes_per_image_{DERIVED[0]}"]
    return {
        "frames": frames,
        "cores": len(os.sched_getaffinity(0)),
        **medians,
        **{f"histories_{size}_s": counted[f"histories_{size}_s"] for size in sizes},
        **stored,
        **ratios,
        "ratio": max(ratios.values()),
    }


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    wall, core = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - core


def _times(number: NDArray[np.int64]) -> NDArray[np.datetime64]:
    """Bursts of three a second apart, ten minutes between bursts."""
    times: NDArray[np.datetime64] = _FIRST + (number // 3 * 600 + number % 3) * np.timedelta64(1_000_000, "us")
    return times


def _frames(count: int) -> events.Frames:
    """Frames of one deployment in the order of their ids, which is none in time."""
    number = np.random.default_rng(count).permutation(count)
    return events.Frames(
        media_id=np.broadcast_to(np.array("", dtype=object), count),
        timestamp=_times(number),
        trusted=np.ones(count, dtype=bool),
        time_lapse=np.zeros(count, dtype=bool),
        sequence_number=number % 3 + 1,
        event_number=number // 3,
        file_order=number,
    )


def _models() -> Models:
    preprocessing = Preprocessing(Canvas(64, 64), (64, 64), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))

    def members(task: Task, labels: tuple[str, ...]) -> tuple[ModelInfo, ...]:
        return tuple(ModelInfo(f"{task}{n}", f"{task}{n}", task, "none", labels, preprocessing, 1.0) for n in range(3))

    return Models(members(Task.EMPTY, (BLANK, "animal")), members(Task.SPECIES, LABELS))


def _store(folder: Path, count: int, models: Models, *, labelled: bool = False) -> Database:
    """Make a database of one deployment; `labelled`: a person has said something of every tenth photograph."""
    rng = np.random.default_rng(count)
    number = np.arange(count)
    media_ids = [derived_id(f"{count} {item}").ljust(32, "0") for item in range(count)]
    moments = _times(number).tolist()
    camera = CameraFacts("make", "model", "serial", sequence_total=3)
    media = [
        Media(
            media_id,
            f"DCIM/{100 + item // 1000}RECNX/RCNX{item % 10_000:04d}.JPG",
            500_000 + item,
            "image/jpeg",
            Timestamp(moment, TimestampSource.DATE_TIME_ORIGINAL, trusted=True),
            camera=replace(camera, sequence_number=item % 3 + 1, event_number=item // 3),
            width=2048,
            height=1536,
        )
        for item, (media_id, moment) in enumerate(zip(media_ids, moments, strict=True))
    ]
    files = [
        CardFile(FileStat(item.file_path, item.file_size, 0), FileStatus.MEDIA, None, None, item.media_id, _DEPLOYMENT)
        for item in media
    ]
    lively = number // 3 % 4 == 0
    predictions = [
        (media_ids[row], model.model_id, p)
        for members, rows, sharpness in ((models.empty, number, 4.0), (models.species, number[lively], 3.0))
        for model in members
        for row, p in zip(rows.tolist(), _probabilities(rng, lively[rows], len(model.labels), sharpness), strict=True)
    ]
    database = Database(folder)
    prepare(database)
    with database.writing() as connection:
        cards.add_models(connection, [*models.empty, *models.species])
        cards.add_predictions(connection, predictions)
        cards.add_media(connection, media)
        deployment = Deployment(_DEPLOYMENT, "L01", DeploymentSource.FOLDER)
        cards.put_deployments(connection, [(deployment, Location("L01"))])
        snapshot = CardSnapshot("/card", "card", "/", ())
        cards.add_files(connection, "card", files)
        cards.put_card(connection, "card", snapshot, cards.count(files, media), processed_at=_NOW)
        if labelled:
            said = media_ids[::10]
            people = {"media_id": said, "label": [LABELS[0]] * len(said), "labelled_by": ["somebody"] * len(said)}
            insert(connection, "raw.human_label", {**people, "labelled_at": [_NOW] * len(said)})
        derive(connection, _DEPLOYMENT, Config(), models, _NOW)
    return database


def _probabilities(
    rng: np.random.Generator, lively: NDArray[np.bool_], labels: int, sharpness: float
) -> NDArray[np.float32]:
    """Draw what a model says of N photographs, (N, labels); of two labels the first is for what is not lively."""
    logits = sharpness * rng.standard_normal((len(lively), labels))
    if labels == 2:
        logits[:, 0] = sharpness * np.where(lively, -1.0, 1.0) + rng.standard_normal(len(lively))
        logits[:, 1] = 0.0
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float32] = (p / p.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


def _derive(database: Database, models: Models) -> None:
    with database.writing() as connection:
        derive(connection, _DEPLOYMENT, Config(), models, _NOW)
