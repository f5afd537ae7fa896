"""MegaDetector batch results 1.6: what Timelapse, AddaxAI and MegaDetector's own tools show and sort by."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ctwatch.domain import BLANK
from ctwatch.export import frames
from ctwatch.export.frames import ANIMAL, HUMAN, UNKNOWN, VEHICLE, Told, by_human, label, probability
from ctwatch.export.json_files import write_json
from ctwatch.export.taxon_ranks import HUMAN as HUMAN_RANKS
from ctwatch.export.taxon_ranks import ranks_of
from ctwatch.export.written import Written, counted
from ctwatch.survey import BoxColumns, ObservationColumns, Publication, Survey

FILE_NAME = "megadetector.json"
DETECTION_CATEGORIES = {"1": "animal", "2": "person", "3": "vehicle"}
_CATEGORY = {HUMAN: "2", VEHICLE: "3"}
_WHOLE_FRAME = [0.0, 0.0, 1.0, 1.0]
_NO_CLASS = frozenset({ANIMAL, VEHICLE, "person"})
"""Labels that are detection categories; Timelapse takes a file that has them as classes for a broken one."""
_THRESHOLDS_OF_DETECTOR = {"typical_detection_threshold": 0.2, "conservative_detection_threshold": 0.05}
"""MegaDetector 5's own."""
_THRESHOLDS_OF_WHOLE_FRAMES = {"typical_detection_threshold": 0.05, "conservative_detection_threshold": 0.03}
"""Every whole frame that is written was decided to show something; Timelapse hides what is below 0.03 anyway."""
_DECIMALS = 4


def write(folder: Path, survey: Survey, publication: Publication) -> Written:
    """Write `megadetector.json` (MegaDetector batch output format 1.6, lila.science/megadetector-output-format).

    Photographs that are blank have no detections; those that show something have the boxes of an imported detector, or
    one box around the whole frame with the probability that it is not blank, so that Timelapse shows and sorts them.
    People's labels have confidence 1. Files that could not be used, and frames nobody looked at, have a failure.
    """
    said: list[str] = []
    rows = frames.shown(survey, publication, said)
    paths = frames.frame_paths(survey.media, said)
    frames.strange_to_windows([paths[row] for row in rows], said)
    batch = _Batch(survey)
    images = [batch.image(row, paths[row]) for row in rows.tolist()]
    images += _failed(survey, paths, said)
    images.sort(key=lambda image: image["file"])
    names = sorted(
        {name for image in images for box in image["detections"] or () for name, _ in box["classifications"]}
    )
    ids = {name: str(number) for number, name in enumerate(names, 1)}
    for image in images:
        for box in image["detections"] or ():
            box["classifications"] = [[ids[name], p] for name, p in box["classifications"]]
            if not box["classifications"]:
                del box["classifications"]
    document: dict[str, Any] = {
        "info": _info(survey, publication),
        "detection_categories": DETECTION_CATEGORIES,
        "classification_categories": {ids[name]: name for name in names},
        "classification_category_descriptions": {ids[name]: _description(name, publication) for name in names},
        "images": images,
    }
    path = folder / FILE_NAME
    write_json(path, document)
    return Written((path,), (*said, *batch.sentences()))


class _Batch:
    """Photographs turned into images of the batch, one by one; counts what somebody must know."""

    def __init__(self, survey: Survey) -> None:
        self._survey = survey
        levels = frames.levels(survey.observations)
        self._own = levels.of_media
        self._told = frames.told(survey, levels)
        self._boxes = _boxes_by_media(survey.boxes)
        self._times = frames.clock_texts(survey.media.timestamp)
        self._counts: Counter[str] = Counter()

    def image(self, row: int, path: str) -> dict[str, Any]:
        """Return one image; classifications are still names."""
        media, told = self._survey.media, self._told[row]
        image: dict[str, Any] = {"file": path, "detections": None}
        taken = self._times[row]
        if taken is not None:
            image["datetime"] = taken.replace("-", ":")  # as EXIF has it, which MegaDetector copies here
        if media.failure[row] is not None:
            self._counts["unusable"] += 1
            return {**image, "failure": str(media.failure[row])}
        if not told.rows:
            self._counts["unclassified"] += 1
            return {**image, "failure": "not classified"}
        image["detections"] = self._detections(media.media_id[row], told)
        return image

    def sentences(self) -> list[str]:
        """Say what was assumed, with counts."""
        counts = self._counts
        sentences = {
            "unusable": "that could not be used, written as failures",
            "unclassified": "that nobody and nothing looked at yet, written as failures ('not classified')",
            "whole": "without a box of a detector, with one around the whole frame: confidence is the probability that it"
            " is not blank",
            "sure": "without a probability, written with confidence 1",
            "of_event": "with what a person said of their event",
            "struck": "with boxes of a detector that a person called blank: boxes left out",
            "unknown": "with something on it that has no name ('unknown'), written as animal without a decided class",
        }
        return [f"{counted(counts[key], 'photograph')} {text}" for key, text in sentences.items() if counts[key]]

    def _detections(self, media_id: str, told: Told) -> list[dict[str, Any]]:
        observations = self._survey.observations
        human = by_human(observations, told.rows)
        labels = [label(observations, row) for row in told.rows]
        boxes = self._boxes.get(media_id, [])
        if labels == [BLANK]:
            # A detector's faint boxes stay with its own blank; a person's blank strikes them out.
            self._counts["struck"] += bool(boxes) and human
            return [] if human else [self._drawn(box, []) for box in boxes]
        self._counts["of_event"] += told.of_event and human
        self._counts["unknown"] += UNKNOWN in labels
        if not human:
            classes = self._classes(told.rows[0])
            if boxes:
                return [self._drawn(box, classes) for box in boxes]
            self._counts["whole"] += 1
            category = _CATEGORY.get(labels[0], "1")
            return [_detection(category, self._presence(told.rows[0]), _WHOLE_FRAME, classes)]
        return self._of_person(media_id, told, labels, boxes)

    def _of_person(self, media_id: str, told: Told, labels: list[str], boxes: list[int]) -> list[dict[str, Any]]:
        """A person's labels: in the box where there is no doubt which, else around the whole frame."""
        animals = [name for name in labels if name not in _CATEGORY and name != BLANK]
        classes: list[tuple[str, float]] = (
            [(animals[0], 1.0)] if len(animals) == 1 and animals[0] not in (ANIMAL, UNKNOWN) else []
        )
        detections = [self._drawn(box, classes) for box in boxes]
        drawn = {detection["category"] for detection in detections}
        missing = [
            name for name in labels if _CATEGORY.get(name, "1") not in drawn or (name in animals and len(animals) > 1)
        ]
        conf = 1.0
        if told.of_event:
            own = [row for row in self._own.get(media_id, []) if self._survey.observations.top_labels[row]]
            conf = self._presence(own[0]) if own else 1.0
        for name in missing:
            named = [(name, 1.0)] if name in animals and name not in (ANIMAL, UNKNOWN) else []
            detections.append(_detection(_CATEGORY.get(name, "1"), conf, _WHOLE_FRAME, named))
        self._counts["whole"] += bool(missing)
        return sorted(detections, key=lambda detection: -detection["conf"])

    def _drawn(self, box: int, classes: list[tuple[str, float]]) -> dict[str, Any]:
        columns = self._survey.boxes
        corners = [columns.x[box], columns.y[box], columns.width[box], columns.height[box]]
        name = columns.label[box]
        category = _CATEGORY.get(name, "1")
        own = [] if name in (ANIMAL, HUMAN, VEHICLE) else [(name, 1.0)]
        p = float(columns.probability[box])
        return _detection(
            category,
            1.0 if np.isnan(p) else p,
            [round(float(value), _DECIMALS) for value in corners],
            (classes or own) if category == "1" else [],
        )

    def _presence(self, row: int) -> float:
        """Probability that it is not blank: all labels but blank, or that of what was decided."""
        observations = self._survey.observations
        top = zip(observations.top_labels[row], observations.top_probabilities[row], strict=True)
        seen = sum(p for name, p in top if name != BLANK)
        decided = probability(observations, row)
        if decided is None and not observations.top_labels[row]:
            self._counts["sure"] += 1
            return 1.0
        return min(1.0, max(seen, decided or 0.0))

    def _classes(self, row: int) -> list[tuple[str, float]]:
        """The ensemble's best labels; none where only the filter spoke."""
        observations: ObservationColumns = self._survey.observations
        top = list(zip(observations.top_labels[row], observations.top_probabilities[row], strict=True))
        name, p = label(observations, row), probability(observations, row)
        if not top and p is not None:
            top = [(name, p)]
        if all(known in _NO_CLASS or known == BLANK for known, _ in top):
            return []
        best: dict[str, float] = {}
        for known, value in top:
            if known.lower() not in _NO_CLASS:
                best[known] = max(value, best.get(known, 0.0))
        return sorted(best.items(), key=lambda pair: (-pair[1], pair[0]))


def _detection(
    category: str, conf: float, corners: Sequence[float], classes: list[tuple[str, float]]
) -> dict[str, Any]:
    return {
        "category": category,
        "conf": round(float(conf), _DECIMALS),
        "bbox": list(corners),
        "classifications": [(name, round(float(p), _DECIMALS)) for name, p in classes],
    }


def _boxes_by_media(boxes: BoxColumns) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for box, media_id in enumerate(boxes.media_id):
        found.setdefault(media_id, []).append(box)
    return found


def _failed(survey: Survey, paths: Sequence[str], said: list[str]) -> list[dict[str, Any]]:
    """Return files that never became photographs; those that did are among the images already, or kept private."""
    known = set(paths)
    failed = [
        {"file": f"{file.card_name}/{file.file_path}", "detections": None, "failure": file.reason}
        for file in survey.failed
        if f"{file.card_name}/{file.file_path}" not in known and file.file_path not in known
    ]
    if failed:
        said.append(f"{counted(len(failed), 'further file')} of the cards that could not be used, written as failures")
    return failed


def _info(survey: Survey, publication: Publication) -> dict[str, Any]:
    observations = survey.observations
    deciders = sorted(
        {
            name
            for name, method in zip(observations.classified_by, observations.classification_method, strict=True)
            if name and method == "machine"
        }
    )
    detectors = sorted({name for name in survey.boxes.classified_by if name})
    made = f"{publication.created_at:%Y-%m-%d %H:%M:%S}"
    return {
        "format_version": "1.6",
        "detector": " | ".join(detectors) or " | ".join(deciders) or f"ctwatch {survey.ctwatch_version}",
        "detection_completion_time": made,
        "classifier": " | ".join(deciders) or f"ctwatch {survey.ctwatch_version}",
        "classification_completion_time": made,
        "detector_metadata": _THRESHOLDS_OF_DETECTOR if len(survey.boxes.media_id) else _THRESHOLDS_OF_WHOLE_FRAMES,
        "ctwatch_version": survey.ctwatch_version,
    }


def _description(name: str, publication: Publication) -> str:
    ranks = HUMAN_RANKS if name.lower() in (HUMAN, "homo sapiens") else ranks_of(name, publication.taxa)[1]
    return ranks.in_lower_case()
