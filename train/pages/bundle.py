"""Makes models ready for the daemon: thresholds chosen on validation go into the files, and a card lies beside them.

Everything is measured on the files as they are written, in half precision, before the first of them is put in place.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ctwatch.domain import BLANK, ModelInfo, Task
from ctwatch.ensemble import average, pool
from ctwatch.errors import ConfigError, ModelError
from ctwatch.nets.eager import EagerEngine
from ctwatch.nets.inference import Ensemble, model_paths
from ctwatch.nets.model_file import load, save
from ctwatch.nets.model_info import read_info

from ..figures.bootstrap import ROUNDS
from ..figures.calibrate import blank_threshold
from ..figures.confidence import species_thresholds
from ..figures.evaluate import TESTS, evaluate, predict
from ..figures.sections import DEFAULT
from ..sets.dataset import TrainingSet
from ..sets.shards import replacing
from ..sets.split import SPLITS
from ..sets.targets import Numbers, event_targets, grouped, targets
from .model_card import card

PRECISION, RECALL, LEAST = 0.95, 0.98, 20
"""Of a label's answers, of the animals that an empty filter keeps, and items for a threshold of a label's own."""

Probabilities = NDArray[np.float64]
Said = tuple[Probabilities, Numbers]
"""(n, K) averaged probabilities and (n,) truths."""


@dataclass(frozen=True, slots=True)
class Aim:
    """What thresholds are to reach on validation; exactly one of the two."""

    precision: float | None = None
    """Share of a label's answers that is right."""
    recall: float | None = None
    """Share of a label's photographs that is still answered rightly; of an empty filter, of the animals that it keeps."""

    def __post_init__(self) -> None:
        if (self.precision is None) == (self.recall is None):
            raise ValueError("give a precision or a recall, one of them")


def by_task(models: Sequence[Path]) -> dict[Task, tuple[Path, ...]]:
    """Return the model files among files and folders, by what they are for.

    A folder without model files may have the folders `empty` and `species`, as a bundle of both has.

    Raises:
        ModelError: A file is damaged, there is none, or one is named twice; all are listed.
    """
    found: dict[Task, list[Path]] = {}
    problems: list[str] = []
    known: dict[str, Path] = {}
    for path in (each for model in models for each in _files(model, problems)):
        try:
            info = read_info(path)
        except ModelError as error:
            problems.append(str(error))
            continue
        if info.model_id in known:
            problems.append(f"{path}: is the same model as {known[info.model_id]}; name it once")
            continue
        known[info.model_id] = path
        found.setdefault(info.task, []).append(path)
    if problems:
        raise ModelError(
            "\n".join([*problems[:20], *([f"... and {len(problems) - 20} more"] if problems[20:] else [])])
        )
    return {task: tuple(found[task]) for task in Task if task in found}


def _files(model: Path, problems: list[str]) -> tuple[Path, ...]:
    if model.is_file():
        return (model,)
    inside = [model / task for task in Task if (model / task).is_dir()]
    folders = inside if inside and not any(model.glob("*.safetensors")) else [model]
    try:
        return tuple(path for folder in folders for path in model_paths(folder))
    except ModelError as error:
        problems.append(str(error))
        return ()


def bundle(
    models: Sequence[Path],
    training_set: TrainingSet,
    out: Path,
    *,
    aim: Aim | None = None,
    device: torch.device,
    seed: int = 0,
    rounds: int = ROUNDS,
    progress: Callable[[int, int], None] | None = None,
) -> dict[Task, Path]:
    """Write models with thresholds and a card into a folder, or into `empty` and `species` below it for both tasks.

    Thresholds are those of the ensemble, and every member carries the same: the daemon takes the mean over the members.

    Args:
        models: Model files and folders of them; all of one task become one ensemble.
        training_set: Thresholds are chosen on its validation photographs, and everything is measured on its test ones.
        out: Folder; made if it is not there.
        aim: What thresholds are to reach; a precision of 0.95 for species and 0.98 of the animals for an empty filter
            if None.
        device: Where the models run.
        seed: Of the bootstrap.
        rounds: Of the bootstrap.
        progress: Called with photographs looked at and all of them, twice.

    Returns:
        The folder of each task.

    Raises:
        ConfigError: The folder has other models, models have the same name, or models and set do not fit.
        ModelError: A model file is damaged.
    """
    groups = by_task(models)
    folders = {task: out / task if len(groups) > 1 else out for task in groups}
    validation = training_set.rows("validation")
    problems = _problems(groups, folders)
    if not len(validation):
        problems.append(
            f"{training_set.folder}: has no validation photographs, so there is nothing to choose thresholds on; build it "
            "again with `ctwatch train data --validation 0.15`"
        )
    if problems:
        raise ConfigError(problems[:20])
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".bundle-", dir=out) as name:
        staged = {task: Path(name, task) for task in groups}
        for task, paths in groups.items():
            for path in paths:
                info, module = load(path)
                save(staged[task] / path.name, module, replace(info, thresholds={}))
        chosen = _chosen(staged, training_set, aim, device, progress)
        for task, paths in groups.items():
            for path in paths:
                info, module = load(staged[task] / path.name)
                save(staged[task] / path.name, module, replace(info, thresholds=_values(chosen[task])))
        evaluation = evaluate(
            list(staged.values()), training_set, device=device, seed=seed, rounds=rounds, progress=progress
        )
        for task, folder in folders.items():
            own = evaluation if evaluation["task"] == task else evaluation["empty_filter"]
            files = [
                _put(path, folder / path.name, cells, chosen[task], training_set)
                for path, cells in zip(model_paths(staged[task]), _quality(own), strict=True)
            ]
            for model, file in zip(own["models"], files, strict=True):
                model.update(model_id=file["model_id"], ms_per_frame=file["ms_per_frame"])
            figures = {"evaluation": slim(own), "files": files, "thresholds": chosen[task], "set": _about(training_set)}
            with replacing(folder / "figures.json") as target:
                target.write((json.dumps(figures, indent=1, allow_nan=False) + "\n").encode())
            with replacing(folder / "README.md") as target:
                target.write(card(figures).encode("utf-8", "replace"))
    return folders


def _problems(groups: Mapping[Task, Sequence[Path]], folders: Mapping[Task, Path]) -> list[str]:
    problems = [] if groups else ["no model file is named"]
    for task, paths in groups.items():
        names = [path.name for path in paths]
        titles = [read_info(path).name for path in paths]
        for what, each in (("file name", names), ("name", titles)):
            twice = sorted({one for one in each if each.count(one) > 1})
            problems += [f"two {task} models have the {what} {one}; rename or train one of them anew" for one in twice]
        strange = sorted(path.name for path in folders[task].glob("*.safetensors") if path.name not in names)
        if strange:
            problems.append(
                f"{folders[task]}: holds other models ({', '.join(strange[:5])}), which would join the ensemble; remove them "
                "or name another --out"
            )
    return problems


def _chosen(
    staged: Mapping[Task, Path],
    training_set: TrainingSet,
    aim: Aim | None,
    device: torch.device,
    progress: Callable[[int, int], None] | None,
) -> dict[Task, dict[str, Any]]:
    """Choose every task's thresholds on validation, and see on test what the species' give; the filter's, `evaluate` sees."""
    splits = ("validation", *TESTS)
    rows = np.flatnonzero(np.isin(training_set.splits, [SPLITS.index(split) for split in splits]))
    ensembles = [Ensemble.load(folder, task, device=str(device)) for task, folder in staged.items()]
    canvas = training_set.about.canvas
    if any(ensemble.canvases != (canvas,) for ensemble in ensembles):
        # `evaluate` says for every model what does not fit.
        evaluate(list(staged.values()), training_set, device=device)
    looked = predict(ensembles, training_set, rows, progress)
    codes = training_set.splits[rows]
    found: dict[Task, dict[str, Any]] = {}
    for (task, ensemble), values in zip(zip(staged, ensembles, strict=True), looked, strict=True):
        mean = average(values, DEFAULT)
        frames = {split: rows[codes == SPLITS.index(split)] for split in splits}
        said = {split: mean[codes == SPLITS.index(split)] for split in splits}
        known = {split: _answers(said[split], training_set, frames[split], task, ensemble.labels) for split in splits}
        if not len(known["validation"][0][1]):
            raise ConfigError(
                [
                    f"{training_set.folder}: no validation photograph has one of the labels of the {task} models, so there is "
                    "nothing to choose thresholds on; name a set with their labels"
                ]
            )
        if task is Task.EMPTY:
            found[task] = blank_choice(*known["validation"][0], ensemble.labels, aim or Aim(recall=RECALL))
        else:
            found[task] = species_choice(*known["validation"][0], ensemble.labels, aim or Aim(precision=PRECISION))
            found[task]["results"] = [
                {"split": split, "level": level, **applied(*pair, ensemble.labels, found[task]["labels"])}
                for split in TESTS
                for level, pair in zip(("image", "event"), known[split], strict=True)
                if len(pair[1])
            ]
    return found


def _answers(
    said: Probabilities, training_set: TrainingSet, rows: Numbers, task: Task, labels: tuple[str, ...]
) -> tuple[Said, Said]:
    """Return what was said of photographs and of events that have an answer, and the answers."""
    own, names = training_set.labels[rows], training_set.label_names
    truth = targets(own, names, task, labels)
    groups = grouped(training_set.events[rows])
    of_events = event_targets(groups, own, names, task, labels)
    pooled = pool(said[groups.order], groups.starts, DEFAULT)
    return (said[truth >= 0], truth[truth >= 0]), (pooled[of_events >= 0], of_events[of_events >= 0])


def species_choice(said: Probabilities, truth: Numbers, labels: Sequence[str], aim: Aim) -> dict[str, Any]:
    """Return a threshold for every label, as `confidence.species_thresholds` chooses it.

    Args:
        said: (n, K) averaged probabilities of validation photographs.
        truth: (n,) their labels.
        labels: K names.
        aim: To reach; a label with less than `LEAST` photographs or answers gets the threshold of all together.

    Returns:
        `labels` with `threshold`, `n`, `reached`, `pooled` of each; the aim, and from how many photographs.
    """
    chosen = species_thresholds(said, truth, **asdict(aim), least=LEAST)
    keys = ("thresholds", "counts", "own", "reached")
    columns = zip(labels, *(chosen[key].tolist() for key in keys), strict=True)
    return {
        **asdict(aim),
        "least": LEAST,
        "photographs": len(truth),
        "labels": {
            label: {"threshold": min(1.0, threshold), "n": n, "reached": reached, "pooled": not own}
            for label, threshold, n, own, reached in columns
        },
    }


def blank_choice(said: Probabilities, truth: Numbers, labels: Sequence[str], aim: Aim) -> dict[str, Any]:
    """Return the threshold of an empty filter.

    For a recall, the smallest probability of blank at which that share of the animals is kept. For a precision, the
    smallest at which that share of what is called blank is blank, at the validation's own share of blanks.
    """
    column = list(labels).index(BLANK)
    blank, is_blank = said[:, column], truth == column
    if aim.recall is not None:
        threshold = blank_threshold(blank, ~is_blank, aim.recall)
        reached = bool((~is_blank).any())
    else:
        own = species_thresholds(said, truth, precision=aim.precision, least=1)
        threshold, reached = float(own["thresholds"][column]), bool(own["reached"][column])
    cell = {"threshold": min(1.0, threshold), "n": int(is_blank.sum()), "reached": reached, "pooled": False}
    return {**asdict(aim), "least": 1, "photographs": len(truth), "labels": {BLANK: cell}}


def applied(
    said: Probabilities, truth: Numbers, labels: Sequence[str], chosen: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return how many items keep their answer at thresholds, and how many of these answers are right.

    Args:
        said: (n, K), n > 0.
        truth: (n,).
        labels: K names.
        chosen: Of every label the `threshold`, inclusive.
    """
    limits = np.array([chosen[label]["threshold"] for label in labels])
    answers = said.argmax(axis=1)
    kept = said.max(axis=1) >= limits[answers]
    right = float((answers == truth)[kept].mean()) if kept.any() else None
    return {"n": len(truth), "coverage": float(kept.mean()), "accuracy": right}


def slim(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Return an evaluation without single photographs, without the other task and without the points of curves."""
    result = {**evaluation, "mistakes": [], "empty_filter": None}
    result["sections"] = [
        {**section, "ensemble": {key: _without_points(key, value) for key, value in section["ensemble"].items()}}
        for section in evaluation["sections"]
    ]
    if evaluation["pipeline"]:
        cells = [
            {key: value for key, value in each.items() if key != "grid"} for each in evaluation["pipeline"]["results"]
        ]
        result["pipeline"] = {**evaluation["pipeline"], "results": cells}
    return result


def _without_points(key: str, value: Any) -> Any:
    if key == "empty_curve":
        return {level: [] for level in value}
    if key == "risk_coverage":
        return {level: curve and {**curve, "coverage": [], "risk": []} for level, curve in value.items()}
    return value


def _values(chosen: Mapping[str, Any]) -> dict[str, float]:
    return {label: cell["threshold"] for label, cell in chosen["labels"].items()}


def _quality(evaluation: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
    """Return for every model its own figures in every section."""
    keys = ("source", "split", "prior")
    return [
        [{**{key: part[key] for key in keys}, **part["who"][model["name"]]} for part in evaluation["sections"]]
        for model in evaluation["models"]
    ]


def _put(
    staged: Path, path: Path, cells: list[dict[str, Any]], chosen: Mapping[str, Any], training_set: TrainingSet
) -> dict[str, Any]:
    """Write one model file in its place and return what the card says of it."""
    info, module = load(staged)
    about = {"name": training_set.about.name, "fingerprint": training_set.about.fingerprint}
    recipe = {**info.recipe, "thresholds": {"set": about, "precision": chosen["precision"], "recall": chosen["recall"]}}
    quality = {**info.quality, "evaluation": {"set": about, "sections": cells}}
    written = save(path, module, replace(info, quality=quality, recipe=recipe))
    return {
        **_described(written),
        "file": path.name,
        "bytes": path.stat().st_size,
        "ms_per_frame": round(speed(path), 1),
    }


def _described(info: ModelInfo) -> dict[str, Any]:
    recipe = {key: value for key, value in info.recipe.items() if key != "thresholds"}
    crop = list(info.preprocessing.crop)
    keys = ("name", "architecture", "model_id", "temperature", "trained_at", "data_fingerprint", "notes")
    return {
        **{key: getattr(info, key) for key in keys},
        "crop": crop,
        "thresholds": dict(info.thresholds),
        "recipe": recipe,
    }


def _about(training_set: TrainingSet) -> dict[str, Any]:
    about = training_set.about
    canvas = asdict(about.canvas)
    return {
        "options": dict(about.options),
        "canvas": canvas,
        "left_out": dict(about.left_out),
        "sources": list(about.sources),
    }


def speed(path: Path) -> float:
    """Return milliseconds per frame of one model file on one thread, the best of three batches of 16."""
    info, module = load(path)
    one = Ensemble([EagerEngine(info, module, torch.device("cpu"))])
    canvas = one.canvases[0]
    pixels = {canvas: np.full((16, 3, canvas.height, canvas.width), 127, np.uint8)}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times = []
        for _ in range(4):
            start = time.perf_counter()
            one.predict(pixels)
            times.append(time.perf_counter() - start)
    finally:
        torch.set_num_threads(threads)
    return min(times[1:]) / 16 * 1000
