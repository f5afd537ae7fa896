"""Reads a training recipe from TOML into frozen values, and lists everything that is wrong with it at once."""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from ctwatch.domain import BLANK, Task
from ctwatch.errors import ConfigError
from ctwatch.nets.architectures import names
from ctwatch.nets.model_info import MAX_LABELS, SIDES

SHIPPED = Path(__file__).parent.parent / "recipes"
Regime = tuple[int, float, float]
PAPER_REGIMES: tuple[Regime, ...] = (
    (1, 0.01, 5e-4),
    (19, 0.005, 5e-4),
    (30, 0.001, 0.0),
    (44, 0.0005, 0.0),
    (53, 0.0001, 0.0),
)
"""(first epoch, learning rate, weight decay): Norouzzadeh et al. 2017, Table S.2; epochs 54 and 55 are the last row's."""


def option(
    default: Any,
    about: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    kind: str = "",
) -> Any:
    """Declare one key of a recipe: default, what it is for, and what it may be."""
    return field(default=default, metadata={"about": about, "low": low, "high": high, "choices": choices, "kind": kind})


@dataclass(frozen=True, slots=True)
class Optimiser:
    """How weights follow their gradients."""

    name: str = option("adamw", "the optimiser", choices=("adamw", "sgd"))
    momentum: float = option(0.9, "of sgd; without Nesterov's and without dampening", low=0, high=0.999)
    decay_on: str = option(
        "weights", "weights: kernels and matrices only; all: biases and batch norms too", choices=("weights", "all")
    )
    clip: float = option(5.0, "largest norm of the whole gradient; 0 is off", low=0, high=1e6)


@dataclass(frozen=True, slots=True)
class Schedule:
    """How learning rate and weight decay change over the epochs."""

    kind: str = option("cosine", "the form", choices=("cosine", "regimes", "constant"))
    learning_rate: float = option(0.002, "the highest, for cosine and constant", low=1e-8, high=10)
    weight_decay: float = option(0.02, "for cosine and constant", low=0, high=1)
    warmup: float = option(0.05, "cosine: part of all steps in which the rate rises", low=0, high=0.5)
    regimes: tuple[Regime, ...] = option(PAPER_REGIMES, "[[first epoch, rate, decay], ...]", kind="regimes")
    regimes_for: int = option(55, "epochs that the regimes are written for; scaled to `epochs`", low=1, high=100_000)
    reset_momentum: bool = option(False, "forget the momentum at the start of each regime, as Torch's own loader did")


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which photographs a batch is drawn from."""

    kind: str = option(
        "shuffle",
        "shuffle: each once a pass; balanced: each label equally often (oversampling); emphasis: shuffle, and "
        "mistakes again (Norouzzadeh et al. 2017, S.4)",
        choices=("shuffle", "balanced", "emphasis"),
    )
    shares: Mapping[str, float] = field(
        default_factory=dict,
        metadata={
            "about": "weight of each source of labels among the draws; none: by its photographs",
            "kind": "shares",
        },
    )
    blank_share: float = option(
        0.0,
        "species: share of draws that are blank frames, for which the network learns to be undecided",
        low=0,
        high=0.9,
    )
    top1_chance: float = option(0.2, "emphasis: chance of a batch of near misses after each batch", low=0, high=1)
    top5_chance: float = option(0.35, "emphasis: the same for labels not even among the best five", low=0, high=1)
    queue_batches: int = option(50, "emphasis: most batches that wait in each queue; the oldest go", low=1, high=10_000)


@dataclass(frozen=True, slots=True)
class Loss:
    """What a network is punished for."""

    kind: str = option(
        "cross_entropy",
        "weighted: by Eq. 1 and 2 of Norouzzadeh et al. 2017, S.4; balanced_softmax: Ren et al. 2020",
        choices=("cross_entropy", "weighted", "balanced_softmax"),
    )
    clamp: float = option(
        0.0, "largest gradient of a logit at a batch of 128; 0 is off; the paper has 0.01", low=0, high=1
    )
    clamp_scaled: bool = option(True, "scale the clamp by 128 / batch size, as the size of the gradients goes")
    label_smoothing: float = option(0.0, "probability given to all labels alike", low=0, high=0.5)
    auxiliary: float = option(0.3, "weight of GoogLeNet's auxiliary losses", low=0, high=1)


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What is done to a training frame at random; mild, because animals stand at frame edges."""

    flip: bool = option(True, "mirror half of the frames")
    brightness: float = option(0.0, "largest relative change of brightness", low=0, high=0.9)
    contrast: float = option(0.0, "largest relative change of contrast", low=0, high=0.9)
    grey: float = option(0.0, "probability that colours are dropped", low=0, high=1)
    noise: float = option(0.0, "largest standard deviation of added noise, of the full range", low=0, high=0.2)


@dataclass(frozen=True, slots=True)
class Start:
    """Where the weights come from, and which of them learn."""

    weights: str = option(
        "", "a local weights file (torchvision's .pth, .safetensors, or a ctwatch model); empty: scratch"
    )
    transfer: str = option(
        "all", "which weights learn: all, the head only, or first the head and then all",
        choices=("all", "head", "head-then-all"),
    )  # fmt: skip
    head_epochs: int = option(20, "passes over the cached features for the head", low=1, high=10_000)
    head_learning_rate: float = option(0.001, "of the head on cached features", low=1e-8, high=10)
    backbone_rate: float = option(1.0, "learning rate of all but the head, as a part of the head's", low=0, high=1)


@dataclass(frozen=True, slots=True)
class Compute:
    """How the arithmetic is done."""

    precision: str = option("float32", "of the forward passes in training", choices=("float32", "bfloat16"))
    channels_last: bool = option(True, "lay pixels out channel by channel: faster on new processors and GPUs")
    compile: bool = option(False, "torch.compile: slower to start, faster afterwards on GPUs")
    sync_batch_norm: bool = option(False, "batch norm over all processes instead of each one's part of the batch")


@dataclass(frozen=True, slots=True)
class Member:
    """One network of the ensemble."""

    architecture: str
    seed: int


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides how an ensemble is trained."""

    name: str = option("", "for people", kind="required")
    task: Task = option(Task.EMPTY, "empty or species", kind="task")
    notes: str = option("", "what the models are for, in a sentence or two; goes into files and cards")
    set: str = option("set", "folder of `ctwatch train data`; --on goes before it")
    labels: tuple[str, ...] = option((), "in the order that the models keep; none: what the set has", kind="labels")
    least_images: int = option(
        1, "species: labels with fewer training photographs are dropped, and named", low=1, high=10**9
    )
    balanced_set: bool = option(False, "empty: learn from the set's balanced part only, as many blank as animal frames")
    crop: tuple[int, int] = option(
        (224, 224), "[height, width] of what a network sees of the cached frame", kind="sides"
    )
    normalise: str = option(
        "auto",
        "mean and deviation of the training photographs (dataset), ImageNet's, or auto: what the starting weights were "
        "trained with, and the training photographs' from scratch",
        choices=("auto", "dataset", "imagenet"),
    )
    epochs: int = option(12, "how often the log is written and the schedule moves on", low=1, high=100_000)
    batches_per_epoch: int = option(0, "0: one pass over the training photographs", low=0, high=10**9)
    batch_size: int = option(64, "over all processes together", low=2, high=65_536)
    keep: str = option(
        "best", "which weights become the model: of the best epoch, or the last", choices=("best", "last")
    )
    average: float = option(
        0.0, "decay of a running mean of the weights, which is then the model; 0 is off", low=0, high=0.99999
    )
    target_recall: float = option(
        0.98, "empty: part of the animal frames that the threshold must keep", low=0.5, high=1
    )
    optimiser: Optimiser = field(default=Optimiser())
    schedule: Schedule = field(default=Schedule())
    sampling: Sampling = field(default=Sampling())
    loss: Loss = field(default=Loss())
    augmentation: Augmentation = field(default=Augmentation())
    start: Start = field(default=Start())
    compute: Compute = field(default=Compute())
    members: tuple[Member, ...] = option((), "[[member]] tables: architecture and seed", kind="members")

    def as_table(self) -> dict[str, Any]:
        """Return plain values, as they are stored in the model file."""
        return asdict(self)


def shipped() -> tuple[str, ...]:
    """Return the names of the recipes that come with the trainer."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.toml")))


def load_recipe(name_or_path: str) -> Recipe:
    """Return the recipe of a TOML file, or of a shipped recipe's name.

    Raises:
        ConfigError: The file cannot be read or is no recipe; every problem is listed.
    """
    path = SHIPPED / f"{name_or_path}.toml" if name_or_path in shipped() else Path(name_or_path)
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        known = ", ".join(shipped())
        raise ConfigError([f"{path}: cannot be read ({error.strerror}); recipes that come along: {known}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: is not TOML ({error})"]) from error
    return parse_recipe(values, str(path))


def parse_recipe(values: dict[str, Any], where: str) -> Recipe:
    """Return the recipe of parsed TOML; `where` names it in messages.

    Raises:
        ConfigError: It is no recipe; every problem is listed.
    """
    problems: list[str] = []
    given = dict(values)
    if "member" in given:
        given["members"] = given.pop("member")
    found: Recipe = _section(Recipe, given, f"{where}: ", problems)
    labels = found.labels
    if found.task is Task.EMPTY and labels and set(labels) != {"animal", BLANK}:
        problems.append(f"{where}: labels: of an empty filter must be 'animal' and {BLANK!r}")
    if found.task is Task.SPECIES and BLANK in labels:
        problems.append(
            f"{where}: labels: of a species model must not contain {BLANK!r}; the empty filter decides that"
        )
    if len(set(found.members)) != len(found.members):
        problems.append(f"{where}: member: two members are the same; give them different seeds")
    if not found.members:
        problems.append(f"{where}: member: is missing; it must be one or more [[member]] tables")
    if found.sampling.blank_share and found.task is Task.EMPTY:
        problems.append(
            f"{where}: sampling.blank_share: is for species models; an empty filter has blank frames anyway"
        )
    if found.start.transfer != "all" and not found.start.weights:
        problems.append(
            f"{where}: start.transfer: {found.start.transfer!r} needs start.weights: scratch has no features yet"
        )
    if problems:
        raise ConfigError(problems)
    return found


def _section(kind: type[Any], values: dict[str, Any], where: str, problems: list[str]) -> Any:
    """Return a dataclass from a TOML table; wrong and unknown keys are added to the problems."""
    taken: dict[str, Any] = {}
    known = {each.name: each for each in fields(kind)}
    for key, value in values.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, 1, 0.0)[0]
            problems.append(f"{where}{key}: is not a key of a recipe; the nearest is `{near}`")
            continue
        default = known[key].default
        if is_dataclass(default):
            if isinstance(value, dict):
                taken[key] = _section(type(default), value, f"{where}{key}.", problems)
            else:
                problems.append(f"{where}{key}: must be a table")
            continue
        result, wrong = _value(known[key], value, f"{where}{key}", problems)
        if wrong:
            problems.append(f"{where}{key}: must be {wrong}, not {value!r}")
        elif result is not MISSING:
            taken[key] = result
    problems += [
        f"{where}{each.name}: is missing"
        for each in known.values()
        if each.metadata.get("kind") in ("required", "task") and each.name not in values
    ]
    return kind(**taken)


def _value(key: Field[Any], value: Any, where: str, problems: list[str]) -> tuple[Any, str]:
    """Return (value, "") or (anything, what it must be)."""
    meta, special = key.metadata, key.metadata["kind"]
    if special:
        return _SPECIAL[special](value, where, problems)
    if meta["choices"]:
        return value, "" if value in meta["choices"] else f"one of {', '.join(meta['choices'])}"
    if isinstance(key.default, bool):
        return value, "" if isinstance(value, bool) else "true or false"
    if isinstance(key.default, str):
        return value, "" if isinstance(value, str) else "a text"
    whole = isinstance(key.default, int)
    low, high = meta["low"], meta["high"]
    right = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not right or not low <= value <= high:
        return None, f"a {'whole ' if whole else ''}number from {low:g} to {high:g}"
    return (value if whole else float(value)), ""


def _text(value: Any, _where: str, _problems: list[str]) -> tuple[Any, str]:
    return value, "" if isinstance(value, str) and value.strip() else "a text that is not empty"


def _task(value: Any, _where: str, _problems: list[str]) -> tuple[Any, str]:
    return (Task(value), "") if value in tuple(Task) else (None, f"one of {', '.join(Task)}")


def _labels(value: Any, _where: str, _problems: list[str]) -> tuple[Any, str]:
    right = isinstance(value, list) and all(isinstance(each, str) and each.strip() for each in value)
    if not right or len(value) == 1 or len(value) > MAX_LABELS or len(set(value)) != len(value):
        return None, "a list of two or more different labels, or empty"
    return tuple(value), ""


def _sides(value: Any, _where: str, _problems: list[str]) -> tuple[Any, str]:
    low, high = SIDES
    right = isinstance(value, list) and len(value) == 2 and all(type(v) is int and low <= v <= high for v in value)
    return (tuple(value), "") if right else (None, f"[height, width] in pixels, each {low} to {high}")


def _shares(value: Any, _where: str, _problems: list[str]) -> tuple[Any, str]:
    right = isinstance(value, dict) and all(isinstance(v, int | float) and 0 <= v <= 1e6 for v in value.values())
    return ({k: float(v) for k, v in value.items()}, "") if right else (None, "a table of sources and their weights")


def _regimes(value: Any, _where: str, _problems: list[str]) -> tuple[Any, str]:
    wanted = "[[first epoch, learning rate, weight decay], ...] from epoch 1, in order"
    try:
        rows = tuple((int(first), float(rate), float(decay)) for first, rate, decay in value)
    except (TypeError, ValueError):
        return None, wanted
    starts = [row[0] for row in rows]
    right = starts[:1] == [1] and starts == sorted(set(starts)) and all(row[1] > 0 and row[2] >= 0 for row in rows)
    return (rows, "") if right else (None, wanted)


def _members(value: Any, where: str, problems: list[str]) -> tuple[Any, str]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        return None, "one or more [[member]] tables"
    members = []
    for number, each in enumerate(value, 1):
        architecture, seed = each.get("architecture"), each.get("seed", 1)
        if architecture not in names():
            near = difflib.get_close_matches(str(architecture), names(), 1, 0.0)[0]
            problems.append(f"{where} {number}: architecture {architecture!r} is unknown; the nearest is {near!r}")
        elif type(seed) is not int or not 0 <= seed <= 2**31:
            problems.append(f"{where} {number}: seed must be a whole number from 0, not {seed!r}")
        elif extra := sorted(each.keys() - {"architecture", "seed"}):
            problems.append(f"{where} {number}: {extra[0]} is not a key of a member; it has architecture and seed")
        else:
            members.append(Member(architecture, seed))
    return tuple(members), ""


_SPECIAL = {
    "required": _text,
    "task": _task,
    "labels": _labels,
    "sides": _sides,
    "shares": _shares,
    "regimes": _regimes,
    "members": _members,
}
