"""COCO Camera Traps JSON, as LILA BC publishes it: images, annotations and categories."""

import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from ctwatch.errors import ConfigError

from .annotation import Annotation, Labels
from .reading import Problems, amount, individuals, inside, is_undecided, one_species, some, wall_clock

KEYS = ("images", "annotations", "categories")
NEEDS = f"COCO Camera Traps: a .json with the keys {', '.join(KEYS)}"

Record = dict[str, Any]
Key = str | int


def read(path: Path, source: str, images: Path | None) -> Labels:
    """Return what a COCO Camera Traps file says; `file_name` is relative to `images`, else to the file.

    Fields used (microsoft/CameraTraps, data_management/README): of images id, file_name, location, seq_id, datetime and
    corrupt; of annotations image_id, category_id, count and sequence_level_annotation; of categories id and name, where
    `empty` is a blank photograph. What is said of a sequence holds for all its images that have no answer of their own.

    Raises:
        ConfigError: It is no such file, or ids do not fit together; all problems are told at once.
    """
    data = _load(path)
    problems = Problems()
    names = _categories(path, data["categories"], problems)
    known = _images(path, data["images"], problems)
    said: dict[Any, list[Annotation]] = {}
    of_sequence: dict[str, list[tuple[tuple[str, ...], int | None]]] = {}
    undecided: set[Any] = set()
    undecided_sequences: set[str] = set()
    undecided_names: set[str] = set()
    base = path.parent if images is None else images
    for number, entry in enumerate(data["annotations"]):
        image = known.get(_key(entry, "image_id"))
        name = names.get(_key(entry, "category_id"))
        if image is None or name is None:
            problems.add(f"{path}: {_fault(entry, number, image is None)}; correct the ids")
            continue
        sequence = _text(image.get("seq_id"))
        of_event = bool(entry.get("sequence_level_annotation"))
        if is_undecided(name):
            undecided_names.add(name)
            undecided.add(image["id"])
            if of_event and sequence is not None:
                undecided_sequences.add(sequence)
            continue
        count = individuals(str(entry.get("count", "")))
        answer = Annotation(
            _place(base, image),
            one_species(name),
            _text(image.get("location")),
            sequence,
            _taken(image),
            count,
            of_event=of_event,
        )
        said.setdefault(image["id"], []).append(answer)
        if of_event and sequence is not None:
            of_sequence.setdefault(sequence, []).append((answer.species, count))
    problems.tell()
    kept: list[Annotation] = []
    notes: Counter[str] = Counter()
    for key, image in known.items():
        sequence = _text(image.get("seq_id"))
        if image.get("corrupt"):
            notes["left out that the file itself calls corrupt"] += 1
        elif key in undecided or (sequence in undecided_sequences and key not in said):
            notes[f"left out that nobody could decide ({some(undecided_names)})"] += 1
        elif key in said:
            kept += said[key]
        elif sequence in of_sequence:
            notes["without an answer of its own got its sequence's"] += 1
            kept += _passed_on(base, image, of_sequence[sequence])
        else:
            notes["left out without any answer"] += 1
    return Labels(source, "coco", kept, tuple(f"{amount(n, 'photograph')} {what}" for what, n in notes.items()))


def _load(path: Path) -> dict[str, list[Any]]:
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError([f"{path}: cannot be read as JSON ({error}); unpack or fetch it again"]) from error
    keys = sorted(map(str, data)) if isinstance(data, dict) else []
    if not isinstance(data, dict) or not all(isinstance(data.get(key), list) for key in KEYS):
        held = f"has the keys {some(keys, 12)}" if keys else "holds no object"
        problem = f"{path}: is JSON, but {held}; the trainer reads {NEEDS}"
        if "detection_categories" in keys or "predictions" in keys:
            problem += ". This is what a model said, not what people said: it cannot be trained on"
        raise ConfigError([problem])
    return data


def _categories(path: Path, entries: list[Any], problems: Problems) -> dict[Key | None, str]:
    names: dict[Key | None, str] = {}
    for entry in entries:
        key, name = _key(entry, "id"), str(entry.get("name") or "").strip() if isinstance(entry, dict) else ""
        if not name or key is None:
            problems.add(f"{path}: a category has no id or no name ({str(entry)[:80]}); complete it")
        elif key in names:
            problems.add(f"{path}: category id {key!r} is there twice; leave one")
        else:
            names[key] = name
    return names


def _images(path: Path, entries: list[Any], problems: Problems) -> dict[Key | None, Record]:
    known: dict[Key | None, Record] = {}
    for entry in entries:
        key = _key(entry, "id")
        if key is None:
            problems.add(f"{path}: an image has no id ({str(entry)[:80]}); complete it")
        elif key in known:
            problems.add(f"{path}: image id {key!r} is there twice; leave one")
        elif inside(str(entry.get("file_name") or "")) is None:
            name = entry.get("file_name")
            problems.add(f"{path}: image {key!r}: file_name {name!r} is no path within a folder; correct it")
        else:
            known[key] = entry
    return known


def _fault(entry: Any, number: int, no_image: bool) -> str:
    if not isinstance(entry, dict):
        return f"annotation {number} is no object"
    which = f"annotation {entry.get('id', number)!r}"
    if no_image:
        return f"{which}: image_id {entry.get('image_id')!r} is no image"
    return f"{which}: category_id {entry.get('category_id')!r} is no category"


def _key(entry: Any, name: str) -> Key | None:
    """Return an id of a record, None if it has none that could be one."""
    value = entry.get(name) if isinstance(entry, dict) else None
    return value if isinstance(value, str | int) else None


def _place(base: Path, image: Record) -> Path:
    return base / (inside(str(image["file_name"])) or "")


def _passed_on(base: Path, image: Record, answers: list[tuple[tuple[str, ...], int | None]]) -> list[Annotation]:
    """Return a sequence's answers, each once, as those of one of its images."""
    path, location, taken = _place(base, image), _text(image.get("location")), _taken(image)
    return [
        Annotation(path, species, location, _text(image["seq_id"]), taken, count, of_event=True)
        for species, count in dict.fromkeys(answers)
    ]


def _taken(image: Record) -> datetime | None:
    return wall_clock(str(image.get("datetime") or image.get("date_captured") or ""))


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)
