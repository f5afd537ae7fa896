"""MegaDetector's batch results, format 1.0 to 1.6, with or without a classifier's say: what a machine said."""

from collections.abc import Sequence
from typing import Any

from ctwatch.domain import BLANK
from ctwatch.imports.boxes import Detection, answers_of, boxes_in, categories, detections_of, ranked
from ctwatch.imports.reading import (
    Notes,
    Unusable,
    by_taxonomy,
    clean,
    file_path,
    is_video,
    labels_in,
    probability,
    utc,
    wall_clock,
)
from ctwatch.survey import ImportedFile, ImportedLabel

DIALECT = "megadetector"
ALTERNATIVES = 5
"""So many species are kept for one photograph, the best."""
_Names = dict[str, tuple[str, ...]]


def fits(data: Any) -> bool:
    """Whether a JSON file's content is of this format."""
    return isinstance(data, dict) and isinstance(data.get("images"), list) and "detection_categories" in data


def read(data: dict[str, Any], by: str | None = None) -> ImportedFile:
    """Return a label for each photograph that was looked at; every label says how probable blank is.

    Answers of one photograph, all with a probability, none left out for a low one:

    * blank: 1 - the highest confidence of any box; 1 without boxes. A file that was written with a threshold lacks the
      boxes below it, and 1 then stands for "nothing above the threshold".
    * animal, human, vehicle (and what else a detector knows): the highest confidence of its boxes.
    * species, where there was a classifier: its score, which takes for granted that the box holds something. Of the
      surest box it counts in full, of others in proportion to their confidence to the surest one's; the five best are
      kept. A classifier's "blank" is no species and is left to the detector.

    So a photograph is blank by its answer blank, and else what its best named answer says, or an animal without a name.
    Names are the scientific ones where the file describes its classes by SpeciesNet's taxonomy, else as the file has them.

    Args:
        data: The file's content, of which `fits` is true.
        by: The model's name, where the file does not tell it.
    """
    notes = Notes()
    info = data.get("info")
    info = info if isinstance(info, dict) else {}
    detected = _names(data.get("detection_categories"), {}, notes, "detection_categories")
    described = data.get("classification_category_descriptions")
    classified = _names(data.get("classification_categories"), described, notes, "classification_categories")
    model = _model(info) or by or "MegaDetector"
    when = next(filter(None, (_text(info, f"{step}_completion_time") for step in ("classification", "detection"))), "")
    labels = []
    seen: set[str] = set()
    for number, image in enumerate(data["images"], 1):
        try:
            if not isinstance(image, dict):
                raise Unusable("is no object")
            path = file_path(image.get("file"))
            if path in seen:
                raise Unusable(f"names {clean(path)} a second time; the first is taken")
            if image.get("failure") is not None or ("detections" in image and image["detections"] is None):
                notes.skip("photographs that were not processed")
                continue
            if is_video(path):
                notes.skip("films")
                continue
            detections = detections_of(image.get("detections"), detected, notes)
            found = categories(detections)
            surest = max(found.values(), default=0.0)
            if classified:
                for label, score in _species(detections, surest, classified):
                    found[label] = max(found.get(label, 0.0), score)
        except Unusable as error:
            notes.problem(f"image {number}: {error}")
            continue
        seen.add(path)
        answers = answers_of(1 - surest, found)
        labels.append(
            ImportedLabel(
                path,
                answers,
                False,
                model,
                number,
                classified_at=utc(when),
                taken=wall_clock(_text(image, "datetime")),
                boxes=boxes_in(detections),
            )
        )
    return ImportedFile(DIALECT, tuple(labels), notes.problems, notes.skipped)


def _species(detections: Sequence[Detection], surest: float, names: _Names) -> list[tuple[str, float]]:
    """Return the best species and their probabilities."""
    best: dict[str, float] = {}
    for detection in detections:
        weight = detection.confidence / surest if surest else 0.0
        for pair in detection.classifications:
            if not isinstance(pair, list) or len(pair) != 2:
                raise Unusable("has a classification that is no pair of class and score")
            score = probability(pair[1])
            if str(pair[0]) not in names:
                raise Unusable(f"has a class {clean(str(pair[0]))[:40]!r} that classification_categories does not name")
            for label in names[str(pair[0])]:
                if label != BLANK and score * weight >= best.get(label, 0.0):
                    best[label] = score * weight
    return ranked(best)[:ALTERNATIVES]


def _names(categories_: Any, descriptions: Any, notes: Notes, where: str) -> _Names:
    """Return the labels of numbered categories."""
    if categories_ is None:
        return {}
    if not isinstance(categories_, dict):
        notes.problem(f"{where}: is no object; its categories have no names")
        return {}
    descriptions = descriptions if isinstance(descriptions, dict) else {}
    names: _Names = {}
    for number, name in categories_.items():
        described = descriptions.get(number)
        try:
            if isinstance(described, str) and described.count(";") == 6:
                names[number] = by_taxonomy(described)
            elif isinstance(name, str):
                names[number] = labels_in(name)
            else:
                raise Unusable("is no text")
        except Unusable as error:
            notes.problem(f"{where} {clean(str(number))[:40]}: {error}")
    return names


def _text(data: dict[str, Any], key: str) -> str:
    value = data.get(key)
    return value if isinstance(value, str) else ""


def _model(info: dict[str, Any]) -> str:
    """Return detector and classifier as the file names them; empty if it does not."""
    return clean(" + ".join(filter(None, (clean(_text(info, "detector")), clean(_text(info, "classifier"))))))
