"""What a set holds: photographs, events and locations of every label in every split, and what is missing; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctwatch.domain import BLANK
from ctwatch.names import storable

from .split import SEVERAL, SPLITS

Numbers = NDArray[np.int64]
Counts = dict[str, Any]
SEVERAL_NAME = "(several species)"
MAX_NAMED = 20


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The photographs of a set, (N,) each."""

    labels: Numbers
    """Index into `label_names`, `SEVERAL` for several species."""
    splits: NDArray[np.int8]
    sources: Numbers
    locations: Numbers
    events: Numbers
    balanced: NDArray[np.bool_]
    label_names: Sequence[str]
    source_names: Sequence[str]


@dataclass(frozen=True, slots=True)
class Majority:
    """What a model gets that knows the k commonest labels and nothing else."""

    k: int
    accuracy: float
    """Share of the photographs that are of these labels, 0..1."""
    ignored: float
    """Share of the labels that it never says, 0..1."""


def majority_baseline(counts: Sequence[int], k: int) -> Majority:
    """Return how good it looks to know the k commonest labels only.

    In Snapshot Serengeti the three commonest of 48 species are 63 % of the events: such a model would be right in 63 % of
    them and never say 45 of 48 species (Norouzzadeh et al. 2018).

    Args:
        counts: Photographs, or events, of each label.
        k: 1 or more.

    Raises:
        ValueError: There is nothing to count, or k is below 1.
    """
    if k < 1 or sum(counts) <= 0 or min(counts) < 0:
        raise ValueError(f"the {k} commonest of {len(counts)} labels with {sum(counts)} photographs")
    present = sorted(counts, reverse=True)
    return Majority(k, sum(present[:k]) / sum(present), max(0, len(present) - k) / len(present))


def coverage(columns: Columns) -> Counts:
    """Return the figures of a set, JSON-able: for all of it, by split, by source and split, and by label and split."""
    blank = columns.label_names.index(BLANK) if BLANK in columns.label_names else -2
    splits, labels = columns.splits.astype(np.int64), columns.labels.astype(np.int64)
    number = len(SPLITS)

    def table(groups: Numbers, count: int) -> list[Counts]:
        return [
            {
                "photographs": photographs,
                "events": events,
                "locations": locations,
                "blank": blanks,
                "several": several,
            }
            for photographs, events, locations, blanks, several in zip(
                np.bincount(groups, minlength=count).tolist(),
                _distinct(groups, columns.events, count),
                _distinct(groups, columns.locations, count),
                np.bincount(groups[labels == blank], minlength=count).tolist(),
                np.bincount(groups[labels == SEVERAL], minlength=count).tolist(),
                strict=True,
            )
        ]

    by_source = table(columns.sources * number + splits, len(columns.source_names) * number)
    by_label = table((labels + 1) * number + splits, (len(columns.label_names) + 1) * number)
    all_of_label = table(labels + 1, len(columns.label_names) + 1)

    def short(cell: Counts) -> Counts:
        return {key: cell[key] for key in ("photographs", "events", "locations")}

    def line(of_label: int) -> Counts:
        cells = by_label[of_label * number : (of_label + 1) * number]
        return {"all": short(all_of_label[of_label])} | dict(zip(SPLITS, map(short, cells), strict=True))

    in_label = {name: line(index) for index, name in enumerate(columns.label_names, 1)}
    present = [split for index, split in enumerate(SPLITS) if (splits == index).any()]
    species = [line["all"]["photographs"] for name, line in in_label.items() if name != BLANK]
    return {
        "all": table(np.zeros(len(labels), np.int64), 1)[0],
        "splits": dict(zip(SPLITS, table(splits, number), strict=True)),
        "sources": {
            name: dict(zip(SPLITS, by_source[index * number : (index + 1) * number], strict=True))
            for index, name in enumerate(columns.source_names)
        },
        "labels": in_label,
        "several": line(0),
        "missing": {
            split: [name for name, line in in_label.items() if not line[split]["photographs"]] for split in present
        },
        "single": [name for name, line in in_label.items() if line["all"]["photographs"] == 1],
        "balanced": dict(zip(SPLITS, np.bincount(splits[columns.balanced], minlength=number).tolist(), strict=True)),
        "majority_baseline": [
            {"k": k, "accuracy": round(found.accuracy, 4), "ignored": round(found.ignored, 4)}
            for k in (1, 3)
            if k < len(species)
            for found in [majority_baseline(species, k)]
        ],
    }


def warnings(figures: Mapping[str, Any]) -> list[str]:
    """Return what somebody should know before training on a set with these figures, as sentences."""
    found = []
    if figures["single"]:
        found.append(f"labels with a single photograph, all in one split: {_named(figures['single'])}")
    for split, names in figures["missing"].items():
        if names:
            some = "label has" if len(names) == 1 else "labels have"
            found.append(f"{len(names)} {some} no photograph in {split}: {_named(names)}")
    for source, cells in figures["sources"].items():
        blank = sum(cell["blank"] for cell in cells.values())
        other = sum(cell["photographs"] for cell in cells.values()) - blank
        if (blank == 0) != (other == 0):
            found.append(f"{source} has no {'animal' if blank else 'blank'} photographs, so none in the balanced part")
    return found


def rows(figures: Mapping[str, Any], *, wide: bool) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return head and lines of a table: the commonest label first, then several species, then everything.

    Args:
        figures: Of `coverage`.
        wide: A column for each number, for machines; otherwise one for each split: photographs / events / locations.
    """
    kinds = ("photographs", "events", "locations")
    present = [split for split in SPLITS if figures["splits"][split]["photographs"]]
    ordered = sorted(figures["labels"].items(), key=lambda item: (-item[1]["all"]["photographs"], item[0]))
    lines = [*ordered, (SEVERAL_NAME, figures["several"])] if figures["several"]["all"]["photographs"] else ordered
    lines = [*lines, ("(all)", {"all": figures["all"], **figures["splits"]})]

    def cells(line: Mapping[str, Any]) -> tuple[str, ...]:
        told = [[line[part][kind] for kind in kinds] for part in ("all", *present)]
        if wide:
            return tuple(str(value) for part in told for value in part)
        return tuple(" / ".join(f"{value:,}" for value in part) if part[0] else "-" for part in told)

    if wide:
        head = ("label", *(f"{part} {kind}" for part in ("all", *present) for kind in kinds))
    else:
        head = ("label (photographs / events / locations)", "all", *present)
    return head, [(storable(name), *cells(line)) for name, line in lines]


def _distinct(groups: Numbers, values: Numbers, count: int) -> list[int]:
    """Return how many different values each group holds."""
    wide = int(values.max(initial=0)) + 1
    return [int(number) for number in np.bincount(np.unique(groups * wide + values) // wide, minlength=count)]


def _named(names: Sequence[str]) -> str:
    rest = len(names) - MAX_NAMED
    return ", ".join(names[:MAX_NAMED]) + (f" and {rest} more" if rest > 0 else "")
