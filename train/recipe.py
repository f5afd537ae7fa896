"""Reads a training recipe from TOML into frozen values, and lists everything that is wrong with it at once."""

import difflib
import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ctwatch.domain import BLANK, Canvas, Task
from ctwatch.errors import ConfigError
from ctwatch.nets.architectures import names
from ctwatch.nets.model_file import MAX_LABELS, SIDES

SHIPPED = Path(__file__).parent / "recipes"
OPTIMISERS = ("adamw", "sgd")


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What is done to a training frame at random; mild, because animals stand at frame edges."""

    flip: bool = True
    brightness: float = 0.3
    """Largest relative change of brightness, 0..0.9."""
    contrast: float = 0.25
    """Largest relative change of contrast, 0..0.9."""
    grey: float = 0.1
    """Probability that colours are dropped, 0..1."""
    noise: float = 0.02
    """Largest standard deviation of added noise, in units of the full range, 0..0.2."""


@dataclass(frozen=True, slots=True)
class Source:
    """One labels table to learn from."""

    path: str
    """Of the CSV, from the folder that the trainer is started in."""
    name: str
    share: float = 1.0
    """Weight of its frames among the draws of an epoch; the weights of all tables are scaled to sum to 1."""
    optional: bool = False
    """Go on without it when the file is not there, and say so."""
    about: str = ""
    """For the model card: what it is and whose."""


@dataclass(frozen=True, slots=True)
class Member:
    """One network of the ensemble."""

    architecture: str
    seed: int


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides how an ensemble is trained."""

    name: str
    task: Task
    labels: tuple[str, ...]
    members: tuple[Member, ...]
    data: tuple[Source, ...]
    notes: str = ""
    split_seed: int = 1
    canvas: tuple[int, int] = (200, 264)
    """(height, width) in pixels."""
    crop: tuple[int, int] = (192, 256)
    banner_top: float = 0.0
    banner_bottom: float = 0.0
    epochs: int = 12
    draws_per_epoch: int = 0
    """Frames shown in an epoch; 0 as many as the training split has."""
    batch_size: int = 32
    optimiser: str = "adamw"
    learning_rate: float = 0.002
    weight_decay: float = 0.02
    label_smoothing: float = 0.0
    bfloat16: bool = False
    """Compute forward passes in bfloat16 while training: twice as fast on processors that have it."""
    balanced: bool = True
    """Draw every label equally often (class-balanced sampling)."""
    blank_share: float = 0.0
    """Species task: share of draws that are blank frames, for which the network learns to be undecided."""
    validation_fraction: float = 0.15
    test_fraction: float = 0.2
    target_recall: float = 0.98
    """Empty filter: share of animal frames that the blank threshold must keep on validation."""
    augmentation: Augmentation = Augmentation()

    @property
    def decoded(self) -> Canvas:
        """The canvas that photographs are decoded to."""
        return Canvas(self.canvas[0], self.canvas[1], self.banner_top, self.banner_bottom)

    def as_table(self) -> dict[str, Any]:
        """Return plain values, as they are stored in the model file."""
        return asdict(self)


class _Table:
    """Takes checked values out of one TOML table and collects what is wrong."""

    def __init__(self, values: dict[str, Any], where: str, problems: list[str]) -> None:
        self._values, self._where, self._problems = dict(values), where, problems

    def problem(self, key: str, wrong: str) -> None:
        self._problems.append(f"{self._where}{key}: {wrong}")

    def take(self, key: str, kind: str, fits: Callable[[Any], bool], wanted: str, default: Any = None) -> Any:
        if key not in self._values:
            if default is None:
                self.problem(key, f"is missing; it must be {wanted}")
            return default
        value = self._values.pop(key)
        right = {
            "text": isinstance(value, str),
            "flag": isinstance(value, bool),
            "whole": isinstance(value, int) and not isinstance(value, bool),
            "number": isinstance(value, int | float) and not isinstance(value, bool),
            "list": isinstance(value, list),
            "table": isinstance(value, dict),
        }[kind]
        if not right or not fits(value):
            self.problem(key, f"must be {wanted}, not {value!r}")
            return default
        return value

    def number(self, key: str, low: float, high: float, default: float) -> float:
        return float(
            self.take(key, "number", lambda v: low <= v <= high, f"a number from {low:g} to {high:g}", default)
        )

    def whole(self, key: str, low: int, high: int, default: int | None) -> int:
        value = self.take(key, "whole", lambda v: low <= v <= high, f"a whole number from {low} to {high}", default)
        return low if value is None else int(value)

    def flag(self, key: str, default: bool) -> bool:
        return bool(self.take(key, "flag", lambda _: True, "true or false", default))

    def text(self, key: str, default: str | None = None) -> str:
        value = self.take(key, "text", lambda v: bool(v.strip()) or default == "", "a text", default)
        return "" if value is None else str(value)

    def tables(self, key: str) -> list[dict[str, Any]]:
        wanted = f"one or more [[{key}]] tables"
        value = self.take(key, "list", lambda v: bool(v) and all(isinstance(each, dict) for each in v), wanted)
        return value or []

    def sides(self, key: str, default: tuple[int, int]) -> tuple[int, int]:
        low, high = SIDES

        def fits(value: list[Any]) -> bool:
            return len(value) == 2 and all(type(each) is int and low <= each <= high for each in value)

        value = self.take(key, "list", fits, f"[height, width] in pixels, each {low} to {high}", list(default))
        return int(value[0]), int(value[1])

    def done(self, known: tuple[str, ...]) -> None:
        for key in self._values:
            near = difflib.get_close_matches(key, known, 1, 0.0)[0]
            self.problem(key, f"is not a key of a recipe; the nearest is `{near}`")


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
    table = _Table(values, f"{where}: ", problems)
    task = table.take("task", "text", lambda v: v in tuple(Task), f"one of {', '.join(Task)}")
    labels = table.take(
        "labels",
        "list",
        lambda v: 2 <= len(v) <= MAX_LABELS and all(isinstance(e, str) and e for e in v) and len(set(v)) == len(v),
        "two or more different labels",
    )
    if task == Task.EMPTY and labels is not None and (BLANK not in labels or len(labels) != 2):
        table.problem("labels", f"of an empty filter must be two, one of them {BLANK!r}")
    if task == Task.SPECIES and labels is not None and BLANK in labels:
        table.problem("labels", f"of a species model must not contain {BLANK!r}; the empty filter decides that")
    base = Recipe("", Task.EMPTY, (), (), ())
    recipe = Recipe(
        name=table.text("name"),
        task=Task(task or "empty"),
        labels=tuple(labels or ()),
        members=tuple(
            _member(each, f"{where}: member {n}: ", problems) for n, each in enumerate(table.tables("member"), 1)
        ),
        data=tuple(_source(each, f"{where}: data {n}: ", problems) for n, each in enumerate(table.tables("data"), 1)),
        notes=table.text("notes", ""),
        split_seed=table.whole("split_seed", 0, 2**31, base.split_seed),
        canvas=table.sides("canvas", base.canvas),
        crop=table.sides("crop", base.crop),
        banner_top=table.number("banner_top", 0, 0.4, base.banner_top),
        banner_bottom=table.number("banner_bottom", 0, 0.4, base.banner_bottom),
        epochs=table.whole("epochs", 1, 10_000, base.epochs),
        draws_per_epoch=table.whole("draws_per_epoch", 0, 10**9, base.draws_per_epoch),
        batch_size=table.whole("batch_size", 2, 4096, base.batch_size),
        optimiser=str(
            table.take("optimiser", "text", lambda v: v in OPTIMISERS, " or ".join(OPTIMISERS), base.optimiser)
        ),
        learning_rate=table.number("learning_rate", 1e-7, 10, base.learning_rate),
        weight_decay=table.number("weight_decay", 0, 1, base.weight_decay),
        label_smoothing=table.number("label_smoothing", 0, 0.5, base.label_smoothing),
        bfloat16=table.flag("bfloat16", base.bfloat16),
        balanced=table.flag("balanced", base.balanced),
        blank_share=table.number("blank_share", 0, 0.9, base.blank_share),
        validation_fraction=table.number("validation_fraction", 0.01, 0.5, base.validation_fraction),
        test_fraction=table.number("test_fraction", 0.01, 0.5, base.test_fraction),
        target_recall=table.number("target_recall", 0.5, 1, base.target_recall),
        augmentation=_augmentation(table, where, problems),
    )
    if recipe.crop[0] > recipe.canvas[0] or recipe.crop[1] > recipe.canvas[1]:
        table.problem("crop", f"{list(recipe.crop)} is larger than the canvas {list(recipe.canvas)}")
    if len(set(recipe.members)) != len(recipe.members):
        table.problem("member", "two members are the same; give them different seeds")
    if len({source.name for source in recipe.data}) != len(recipe.data):
        table.problem("data", "two tables have the same name")
    known = {each.name for each in fields(Recipe)} - {"members"} | {"member"}
    table.done(tuple(sorted(known)))
    if problems:
        raise ConfigError(problems)
    return recipe


def _member(values: dict[str, Any], where: str, problems: list[str]) -> Member:
    table = _Table(values, where, problems)
    name = table.text("architecture")
    if name and name not in names():
        near = difflib.get_close_matches(name, names(), 1, 0.0)[0]
        table.problem("architecture", f"{name!r} is unknown; the nearest is {near!r}")
    member = Member(name, table.whole("seed", 0, 2**31, 1))
    table.done(("architecture", "seed"))
    return member


def _source(values: dict[str, Any], where: str, problems: list[str]) -> Source:
    table = _Table(values, where, problems)
    source = Source(
        path=table.text("path"),
        name=table.text("name"),
        share=table.number("share", 0.0, 1e6, 1.0),
        optional=table.flag("optional", False),
        about=table.text("about", ""),
    )
    table.done(tuple(each.name for each in fields(Source)))
    return source


def _augmentation(outer: _Table, where: str, problems: list[str]) -> Augmentation:
    base = Augmentation()
    table = _Table(
        outer.take("augmentation", "table", lambda _: True, "a table", {}), f"{where}: augmentation.", problems
    )
    augmentation = Augmentation(
        flip=table.flag("flip", base.flip),
        brightness=table.number("brightness", 0, 0.9, base.brightness),
        contrast=table.number("contrast", 0, 0.9, base.contrast),
        grey=table.number("grey", 0, 1, base.grey),
        noise=table.number("noise", 0, 0.2, base.noise),
    )
    table.done(tuple(each.name for each in fields(Augmentation)))
    return augmentation
