"""Worlds as sets to train on, and what of them nothing was learned from."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from ctwatch_train.labels import read
from ctwatch_train.progress import say, shown
from ctwatch_train.sets.building import SetOptions, build_set
from ctwatch_train.sets.dataset import TrainingSet, open_set
from ctwatch_train.sets.targets import event_targets, grouped
from numpy.typing import NDArray

from benchmarks.experiments.cells import Frames, Numbers
from ctwatch.domain import BLANK, Canvas, Task
from ctwatch.nets.model_file import load
from ctwatch.nets.preprocessing import prepare

SHUFFLE_SEED = 1000
_BATCH = 128


def build(tables: Mapping[str, Path], out: Path, canvas: tuple[int, int]) -> None:
    """Make one set of the parts of a world, as `ctwatch train data` does; each part is a source of its own."""
    sources = [read(f"{part}={path}") for part, path in tables.items()]
    build_set(sources, out, SetOptions(canvas=Canvas(*canvas), workers=1), say=say, shown=shown)


def held_out(source: TrainingSet) -> Numbers:
    """Return the rows of a set that nothing is learned from: validation, test_seen and test."""
    return np.sort(np.concatenate([source.rows(split) for split in ("validation", "test_seen", "test")]))


def frames_of(folder: Path) -> Frames:
    """Return what is known about the held-out photographs of a world's set."""
    source = open_set(folder, verify=False)
    rows = held_out(source)
    animals = [name for name in source.label_names if name != BLANK]
    learned = np.bincount(source.labels[source.rows("train")], minlength=len(source.label_names))
    known = tuple(name for name in animals if learned[source.label_names.index(name)])
    unknown = tuple(name for name in animals if name not in known)
    groups = grouped(source.events[rows])
    of_event = event_targets(groups, source.labels[rows], source.label_names, Task.SPECIES, animals)[groups.event]
    number = {name: known.index(name) if name in known else -2 for name in animals} | {BLANK: -1}
    of_label = np.array([number[name] for name in source.label_names], np.int64)
    of_animal = np.array([*(number[name] for name in animals), -1], np.int64)
    return Frames(
        labels=known,
        unknown=unknown,
        training=np.array([learned[source.label_names.index(name)] for name in known], np.int64),
        seen=of_label[source.labels[rows]],
        of_event=of_animal[of_event],
        event=source.events[rows].astype(np.int64),
        place=source.locations[rows].astype(np.int64),
        part=np.array(source.source_names)[source.sources[rows]],
        split=np.array(("train", "validation", "test", "test_seen"))[source.splits[rows]],
    )


def same_rows(one: TrainingSet, other: TrainingSet) -> bool:
    """Return whether row i is the same event, with the same label and split, in both sets."""
    return (
        (one.event_names, one.label_names) == (other.event_names, other.label_names)
        and np.array_equal(one.events, other.events)
        and np.array_equal(one.labels, other.labels)
        and np.array_equal(one.splits, other.splits)
    )


def logits(model: Path, source: TrainingSet, rows: Numbers) -> NDArray[np.float32]:
    """Return the logits (N, K) of rows of a set by a model file, through the daemon's preprocessing."""
    info, net = load(model)
    net = net.eval().to(memory_format=torch.channels_last)
    parts = []
    with torch.inference_mode():
        for start in range(0, len(rows), _BATCH):
            pixels = torch.from_numpy(source.pixels(rows[start : start + _BATCH]))
            batch = prepare(pixels, info.preprocessing).contiguous(memory_format=torch.channels_last)
            parts.append(net(batch).float().numpy())
    return np.concatenate(parts)


def shuffled(source: TrainingSet, seed: int) -> TrainingSet:
    """Return a set whose animals got each other's labels in training and validation; blanks and the test stay.

    How frequent labels are stays as it is, and so does everything but the tie between photograph and label.
    """
    labels = source.labels.copy()
    blank = source.label_names.index(BLANK) if BLANK in source.label_names else -1
    rng = np.random.default_rng([seed, 29])
    for split in ("train", "validation"):
        rows = source.rows(split)
        animals = rows[(labels[rows] >= 0) & (labels[rows] != blank)]
        labels[animals] = labels[rng.permutation(animals)]
    about = replace(source.about, fingerprint=f"{source.about.fingerprint}-shuffled-{seed}")
    return replace(source, labels=labels, about=about)
