"""What a network should answer for each photograph and each event, as numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctwatch.domain import BLANK, Task

from .split import SEVERAL

NONE = -1
"""The target of what a task does not use."""

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Grouped:
    """N photographs put in the order of their events."""

    order: Numbers
    """(N,) rows, event after event; within one in the order that they came in."""
    starts: Numbers
    """(E,) positions in `order` at which events begin."""
    event: Numbers
    """(N,) number 0..E-1 of each row's event, in the order of the rows, not of `order`."""

    def __len__(self) -> int:
        return len(self.starts)


def targets(
    labels: NDArray[np.integer[Any]], label_names: Sequence[str], task: Task, model_labels: Sequence[str]
) -> Numbers:
    """Return the number in `model_labels` that a network should answer for each photograph, -1 where there is none.

    Species: blank photographs, those of several species (methods of Norouzzadeh et al. 2018: only N = 1 is used) and
    those of a species that the model does not know have none. Empty filter: `blank` against everything else; several
    species are an animal, and so are people and vehicles.

    Args:
        labels: (N,) index into `label_names`, -1 for several species on one photograph.
        label_names: What a set calls its labels.
        task: What the model decides.
        model_labels: What the model answers, in its order; of the empty filter two, one of them `blank`.

    Raises:
        ValueError: A label is out of range, or an empty filter's labels are not two with `blank` among them.
    """
    table = _table(label_names, task, model_labels)
    values = np.asarray(labels, np.int64)
    if len(values) and not -1 <= values.min() <= values.max() < len(label_names):
        raise ValueError(f"labels from {values.min()} to {values.max()} with {len(label_names)} names")
    return np.asarray(table[values], np.int64)


def grouped(events: NDArray[np.integer[Any]]) -> Grouped:
    """Return how photographs form events, from the event number (N,) of each; events come in ascending order of it."""
    numbers, event = np.unique(events, return_inverse=True)
    order = np.argsort(event, kind="stable")
    starts = np.searchsorted(event[order], np.arange(len(numbers)))
    return Grouped(order.astype(np.int64), starts.astype(np.int64), event.astype(np.int64))


def event_targets(
    groups: Grouped,
    labels: NDArray[np.integer[Any]],
    label_names: Sequence[str],
    task: Task,
    model_labels: Sequence[str],
) -> Numbers:
    """Return the number (E,) that a network should answer for each event, -1 where there is none.

    An event with an animal on any photograph is an animal event, with all of its photographs, the blank ones too. For
    species it must show exactly one, and one that the model knows.

    Args:
        groups: The events of the photographs.
        labels: As in `targets`.
        label_names: As in `targets`.
        task: As in `targets`.
        model_labels: As in `targets`.
    """
    if not len(groups):
        return np.empty(0, np.int64)
    values = np.asarray(labels, np.int64)[groups.order]
    blank = label_names.index(BLANK) if BLANK in label_names else len(label_names)
    table = _table(label_names, task, model_labels)
    several = np.logical_or.reduceat(values == SEVERAL, groups.starts)
    seen = (values != SEVERAL) & (values != blank)
    lowest = np.minimum.reduceat(np.where(seen, values, len(label_names)), groups.starts)
    highest = np.maximum.reduceat(np.where(seen, values, -1), groups.starts)
    if task is Task.EMPTY:
        animal = several | (highest >= 0)
        return np.asarray(np.where(animal, table[SEVERAL], 1 - table[SEVERAL]), np.int64)
    single = ~several & (lowest == highest)
    return np.asarray(np.where(single, table[np.where(single, lowest, 0)], NONE), np.int64)


def _table(label_names: Sequence[str], task: Task, model_labels: Sequence[str]) -> Numbers:
    """Return the answer for each label; the last entry, which index -1 reads, is for several species."""
    if task is Task.EMPTY:
        if len(model_labels) != 2 or BLANK not in model_labels:
            raise ValueError(f"an empty filter has two labels, one of them {BLANK!r}, not {list(model_labels)}")
        blank = list(model_labels).index(BLANK)
        return np.array([blank if name == BLANK else 1 - blank for name in label_names] + [1 - blank], np.int64)
    known = {name: index for index, name in enumerate(model_labels) if name != BLANK}
    return np.array([known.get(name, NONE) for name in label_names] + [NONE], np.int64)
