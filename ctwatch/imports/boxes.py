"""What a detector drew on one photograph, as MegaDetector and SpeciesNet both write it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ctwatch.domain import BLANK
from ctwatch.imports.reading import Notes, Unusable, labels_in, probability
from ctwatch.survey import Answer, Box

_SLACK = 0.01
"""Boxes are rounded; so far they may reach over the edge of the frame."""


@dataclass(frozen=True, slots=True)
class Detection:
    """One box and what a classifier said of what is in it."""

    labels: tuple[str, ...]
    """animal, human, vehicle or what else the detector knows."""
    confidence: float
    box: Box | None
    """None where its corners say nothing."""
    classifications: Sequence[Any] = ()
    """As the file has them, still to be checked."""


def detections_of(listed: Any, names: Mapping[str, tuple[str, ...]], notes: Notes) -> list[Detection]:
    """Return the detections of one photograph, in their order.

    A category without a name is no detection, as the format's description has it. Nor is one that a repeat detection
    elimination found to be a stone or a branch: its confidence is below 0. Both are counted in `notes`, as are boxes
    that are not within the frame; their detection still counts.

    Args:
        listed: A list of objects with category, conf and bbox [left, upper, width, height] in fractions of the frame.
        names: Labels of the categories; SpeciesNet's `label` beside a category counts before.
        notes: Where what is left out is counted.

    Raises:
        Unusable: It is no such list, or a confidence is no number up to 1.
    """
    if not isinstance(listed, list):
        raise Unusable("has no list of detections")
    found = []
    for each in listed:
        if not isinstance(each, dict):
            raise Unusable("has a detection that is no object")
        named = each.get("label")
        labels = labels_in(named) if isinstance(named, str) else names.get(str(each.get("category")), ())
        confidence = each.get("conf")
        if not labels:
            notes.skip("boxes of a category without a name")
            continue
        if isinstance(confidence, float) and -1 <= confidence < 0:
            notes.skip("boxes that were struck out as repeated")
            continue
        confidence = probability(confidence)
        box = _box(labels[0], confidence, each.get("bbox"))
        if box is None:
            notes.skip("boxes that are not within the frame; their detection counts")
        classifications = each.get("classifications") or ()
        if not isinstance(classifications, list | tuple):
            raise Unusable("has classifications that are no list")
        found.append(Detection(labels, confidence, box, classifications))
    return found


def boxes_in(detections: Sequence[Detection]) -> tuple[Box, ...]:
    """Return the boxes of what was detected."""
    return tuple(each.box for each in detections if each.box is not None and each.labels != (BLANK,))


def categories(detections: Sequence[Detection]) -> dict[str, float]:
    """Return the highest confidence of each label, in the order in which they first come; blank is no label of a box."""
    best: dict[str, float] = {}
    for each in detections:
        for label in each.labels:
            if label != BLANK:
                best[label] = max(best.get(label, 0.0), each.confidence)
    return best


def answers_of(blank: float | None, found: Mapping[str, float]) -> tuple[Answer, ...]:
    """Return answers: blank with its probability, if there is one, then the others, the most probable first."""
    others = tuple([Answer(label, None, value) for label, value in ranked(found)])
    return others if blank is None else (Answer(BLANK, None, round(blank, 6)), *others)


def ranked(found: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return labels with their probabilities, the most probable first, equal ones by name."""
    pairs = list(found.items())
    if len(pairs) > 1:
        pairs.sort(key=_surest)
    return pairs


def _surest(pair: tuple[str, float]) -> tuple[float, str]:
    return -pair[1], pair[0]


def _box(label: str, confidence: float, corners: Any) -> Box | None:
    """Return a box within the frame, None if it is none."""
    try:
        left, upper, width, height = corners
        within = -_SLACK <= left < 1 and -_SLACK <= upper < 1 and 0 < width <= 1 + _SLACK and 0 < height <= 1 + _SLACK
    except (TypeError, ValueError):
        return None
    if not within:  # nor is NaN
        return None
    left, upper = max(0.0, float(left)), max(0.0, float(upper))
    return Box(label, confidence, left, upper, min(float(width), 1 - left), min(float(height), 1 - upper))
