"""COCO Camera Traps: the JSON that LILA publishes and trainers of classifiers and detectors read."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ctwatch.domain import BLANK
from ctwatch.export import frames
from ctwatch.export.frames import ANIMAL, HUMAN, UNKNOWN, VEHICLE, Told, by_human, label, probability
from ctwatch.export.json_files import write_json
from ctwatch.export.written import Written, counted
from ctwatch.identity import derived_id
from ctwatch.survey import Publication, Survey

FILE_NAME = "coco_camera_traps.json"
EMPTY = "empty"
"""Category 0, COCO Camera Traps' word for blank."""


def write(folder: Path, survey: Survey, publication: Publication) -> Written:
    """Write `coco_camera_traps.json` (COCO Camera Traps, lila.science/coco-camera-traps).

    Every photograph has an annotation for each thing that is on it; photographs nobody looked at have none. Category 0
    is `empty`, the others follow by name; `unknown` is a category of its own, animals without a name are `animal`.
    Boxes are pixels from the upper left, and only drawn around what was decided on.
    """
    said: list[str] = []
    rows = frames.shown(survey, publication, said).tolist()
    paths = frames.frame_paths(survey.media, said)
    made = _Annotations(survey)
    annotations = [each for row in rows for each in made.of(row)]
    names = sorted({each["category_id"] for each in annotations} - {EMPTY})
    ids = {EMPTY: 0, **{name: number for number, name in enumerate(names, 1)}}
    for each in annotations:
        each["category_id"] = ids[each["category_id"]]
    images = [*_images(survey, rows, paths), *_failed(survey, paths, said)]
    created = publication.created_at
    document: dict[str, Any] = {
        "info": {
            "version": f"{created:%Y-%m-%d}",
            "description": ": ".join(filter(None, (publication.title, publication.description))),
            "year": created.year,
            "contributor": "; ".join(publication.contributors),
            "date_created": f"{created:%Y-%m-%d %H:%M:%S}",
            "ctwatch_version": survey.ctwatch_version,
        },
        "categories": [{"id": number, "name": name} for name, number in ids.items()],
        "annotations": annotations,
        "images": images,
    }
    path = folder / FILE_NAME
    write_json(path, document)
    return Written((path,), (*said, *made.sentences()))


def _images(survey: Survey, rows: Sequence[int], paths: Sequence[str]) -> list[dict[str, Any]]:
    media = survey.media
    times = frames.clock_texts(media.timestamp)
    places = {item.deployment.deployment_id: item.location.location_id for item in survey.deployments}
    of_event = Counter(media.event_id[row] for row in rows)
    number: Counter[str | None] = Counter()
    images = []
    for row in rows:
        deployment_id, event_id = media.deployment_id[row], media.event_id[row]
        image: dict[str, Any] = {"id": media.media_id[row], "file_name": paths[row]}
        if media.width[row] and media.height[row]:
            image |= {"width": media.width[row], "height": media.height[row]}
        if times[row] is not None:
            image["datetime"] = times[row]
        image |= {"location": places.get(deployment_id, deployment_id), "deployment": deployment_id}
        if event_id is not None:
            image |= {"seq_id": event_id, "seq_num_frames": of_event[event_id], "frame_num": number[event_id]}
            number[event_id] += 1
        image["corrupt"] = media.failure[row] is not None
        images.append(image)
    return images


def _failed(survey: Survey, paths: Sequence[str], said: list[str]) -> list[dict[str, Any]]:
    """Return files that never became photographs: marked corrupt, at no known place."""
    known = set(paths)
    failed = [file for file in survey.failed if not {f"{file.card_name}/{file.file_path}", file.file_path} & known]
    if failed:
        said.append(
            f"{counted(len(failed), 'further file')} of the cards that could not be used: corrupt, location 'unknown'"
        )
    return [
        {
            "id": derived_id("failed", file.card_name, file.file_path),
            "file_name": f"{file.card_name}/{file.file_path}",
            "location": "unknown",
            "corrupt": True,
        }
        for file in failed
    ]


class _Annotations:
    """Annotations photograph by photograph, categories still by name; counts what somebody must know."""

    def __init__(self, survey: Survey) -> None:
        self._survey = survey
        self._told = frames.told(survey, frames.levels(survey.observations))
        self._boxes: dict[str, list[int]] = {}
        for box, media_id in enumerate(survey.boxes.media_id):
            self._boxes.setdefault(media_id, []).append(box)
        self._counts: Counter[str] = Counter()

    def of(self, row: int) -> list[dict[str, Any]]:
        """Return the annotations of one photograph."""
        media, observations, told = self._survey.media, self._survey.observations, self._told[row]
        media_id = media.media_id[row]
        if not told.rows:
            self._counts["unclassified"] += 1
            return []
        labels = {label(observations, number): number for number in told.rows}
        self._counts["of_event"] += told.of_event
        self._counts["unknown"] += UNKNOWN in labels
        self._counts["human"] += by_human(observations, told.rows)
        drawn = self._around(media_id, list(labels))
        found = []
        for name, number in labels.items():
            said = self._plain(told, name, number)
            boxes = drawn.get(name, [])
            # With boxes each is one individual, and a count would count every one of them so often.
            count = observations.count[number] if name != BLANK else 0
            found += [{**said, **self._corners(row, box)} for box in boxes] or [
                said if count is None else {**said, "count": count}
            ]
        return [{"id": f"{media_id}-{number}", "image_id": media_id, **each} for number, each in enumerate(found)]

    def sentences(self) -> list[str]:
        """Say what was assumed or left out, with counts."""
        counts = self._counts
        sentences = {
            "human": (
                "photograph",
                "labelled by people; the other annotations are machines' (classification_method, score)",
            ),
            "unclassified": ("photograph", "that nobody and nothing looked at, without an annotation"),
            "of_event": ("photograph", "whose label is only known for the event (sequence_level_annotation)"),
            "unknown": ("photograph", "with something on it that has no name, in the category 'unknown'"),
            "stray": ("box", "around what was not decided on left out"),
        }
        return [f"{counted(counts[key], noun)} {text}" for key, (noun, text) in sentences.items() if counts[key]]

    def _plain(self, told: Told, name: str, number: int) -> dict[str, Any]:
        observations = self._survey.observations
        said: dict[str, Any] = {"category_id": EMPTY if name == BLANK else name}
        said["sequence_level_annotation"] = told.of_event
        said["classification_method"] = observations.classification_method[number] or "machine"
        p = probability(observations, number)
        return said if p is None else {**said, "score": round(p, 4)}

    def _around(self, media_id: str, labels: Sequence[str]) -> dict[str, list[int]]:
        """Return the boxes that belong to each label; a bare animal's to the only animal that there is."""
        boxes = self._survey.boxes
        animals = [name for name in labels if name not in (HUMAN, VEHICLE, BLANK)]
        found: dict[str, list[int]] = {}
        for box in self._boxes.get(media_id, []):
            name = boxes.label[box]
            if name == ANIMAL and len(animals) == 1:
                name = animals[0]
            real = boxes.width[box] > 0 and boxes.height[box] > 0
            if name in labels and name != BLANK and real:
                found.setdefault(name, []).append(box)
            else:
                self._counts["stray"] += 1
        return found

    def _corners(self, row: int, box: int) -> dict[str, Any]:
        """Return a box in pixels; in fractions of the frame where its size is not known."""
        boxes, media = self._survey.boxes, self._survey.media
        corners = np.array([boxes.x[box], boxes.y[box], boxes.width[box], boxes.height[box]])
        width, height = media.width[row], media.height[row]
        p = float(boxes.probability[box])
        sure = {} if np.isnan(p) else {"box_score": round(p, 4)}
        if width and height:
            pixels = corners * np.array([width, height, width, height])
            return {"bbox": [round(float(value), 2) for value in pixels], **sure}
        return {"bbox_relative": [round(float(value), 6) for value in corners], **sure}
