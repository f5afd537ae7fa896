"""SpeciesNet's predictions: the ensemble's last word on each photograph, and what its detector saw: a machine's."""

from typing import Any

from ctwatch.domain import BLANK
from ctwatch.imports.boxes import answers_of, boxes_in, categories, detections_of, ranked
from ctwatch.imports.reading import UNKNOWN, Notes, Unusable, by_taxonomy, clean, file_path, is_video, probability
from ctwatch.survey import ImportedFile, ImportedLabel

DIALECT = "speciesnet"
ALTERNATIVES = 5
_DETECTED = {"1": ("animal",), "2": ("human",), "3": ("vehicle",)}


def fits(data: Any) -> bool:
    """Whether a JSON file's content is of this format."""
    return isinstance(data, dict) and isinstance(data.get("predictions"), list)


def read(data: dict[str, Any], by: str | None = None) -> ImportedFile:
    """Return a label for each photograph that was looked at, with the probability of blank wherever it is known.

    Answers of one photograph:

    * what the ensemble decided (`prediction`), with its score: the scientific name or the lowest rank that it gives,
      human, vehicle, animal, blank, or unknown for "no cv result".
    * animal, human, vehicle: the highest confidence of the detector's boxes.
    * blank, where the ensemble decided otherwise: 1 - the highest confidence of any box, but no more than
      1 - the ensemble's score. Nothing is said of it for "no cv result" without boxes.

    The classifier's own list does not count beside the ensemble's decision: what leads it may be what the ensemble ruled
    out for the country. It counts where there is no decision, in files of the classifier alone; there blank has the score
    that the list gives it, else the rest of what the list adds up to. Files of the detector alone are read as MegaDetector's.

    Args:
        data: The file's content, of which `fits` is true.
        by: The model's name, where the file does not tell its version.
    """
    notes = Notes()
    labels = []
    seen: set[str] = set()
    for number, each in enumerate(data["predictions"], 1):
        try:
            if not isinstance(each, dict):
                raise Unusable("is no object")
            path = file_path(each.get("filepath"))
            if path in seen:
                raise Unusable(f"names {clean(path)} a second time; the first is taken")
            if each.get("failures"):
                notes.skip("photographs that were not processed")
                continue
            if is_video(path):
                notes.skip("films")
                continue
            label = _label(each, path, number, by, notes)
        except Unusable as error:
            notes.problem(f"prediction {number}: {error}")
            continue
        seen.add(path)
        labels.append(label)
    return ImportedFile(DIALECT, tuple(labels), notes.problems, notes.skipped)


def _label(each: dict[str, Any], path: str, number: int, by: str | None, notes: Notes) -> ImportedLabel:
    with_boxes = each.get("detections") is not None
    detections = detections_of(each["detections"], _DETECTED, notes) if with_boxes else []
    found = categories(detections)
    empty = 1 - max(found.values(), default=0.0) if with_boxes else 1.0
    blank: float | None
    decided = each.get("prediction")
    if decided is not None:
        if not isinstance(decided, str):
            raise Unusable("has a prediction that is no text")
        names = by_taxonomy(decided) or (UNKNOWN,)
        score = probability(each.get("prediction_score"))
        if names == (BLANK,):
            blank = score
        elif names == (UNKNOWN,):
            blank = empty if detections else None
            found[UNKNOWN] = score
        else:
            blank = min(empty, 1 - score)
            found.update({name: max(found.get(name, 0.0), score) for name in names})
    elif each.get("classifications") is not None:
        classes = _classes(each["classifications"])
        rest = max(0.0, 1 - sum(classes.values()))
        blank = classes.pop(BLANK, rest)
        found.update({name: max(found.get(name, 0.0), score) for name, score in ranked(classes)[:ALTERNATIVES]})
    elif with_boxes:
        blank = empty
    else:
        raise Unusable("has neither a prediction nor classifications nor detections")
    answers = answers_of(blank, found)
    return ImportedLabel(path, answers, False, _model(each, by), number, boxes=boxes_in(detections))


def _classes(listed: Any) -> dict[str, float]:
    """Return labels and scores of the classifier's list, of classes that come to one label the sum."""
    names, scores = (listed.get("classes"), listed.get("scores")) if isinstance(listed, dict) else (None, None)
    if not isinstance(names, list) or not isinstance(scores, list) or len(names) != len(scores) or not names:
        raise Unusable("has classifications that are no classes with their scores")
    found: dict[str, float] = {}
    for name, score in zip(names, scores, strict=True):
        if not isinstance(name, str):
            raise Unusable("has a class that is no text")
        for label in by_taxonomy(name):
            found[label] = min(1.0, found.get(label, 0.0) + probability(score))
    return found


def _model(each: dict[str, Any], by: str | None) -> str:
    version, source = each.get("model_version"), each.get("prediction_source")
    name = f"SpeciesNet {clean(version)}" if isinstance(version, str) and clean(version) else by or "SpeciesNet"
    return clean(f"{name} ({clean(source)})" if isinstance(source, str) and clean(source) else name)
