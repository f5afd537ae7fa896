"""Recipes: every problem at once, shipped ones are the paper's and today's, and the schedule's every breakpoint."""

import json
import tomllib
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from ctwatch_train.fitting import schedule
from ctwatch_train.fitting.recipe import PAPER_REGIMES, SHIPPED, Recipe, load_recipe, parse_recipe, shipped
from hypothesis import given
from hypothesis import strategies as st

from ctwatch.demo.scenes import SPECIES
from ctwatch.domain import Task
from ctwatch.errors import ConfigError

GOOD: dict[str, Any] = {
    "name": "r",
    "task": "species",
    "member": [{"architecture": "thin_resnet10", "seed": 1}],
}
NINE = ("alexnet", "nin", "vgg11_bn", "googlenet", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152")


def test_shipped_recipes_are_recipes_and_survive_their_own_table() -> None:
    assert shipped() == (
        "demo-empty", "demo-species", "field-empty", "field-empty-gpu", "field-species", "field-species-gpu",
        "paper-empty", "paper-species",
    )  # fmt: skip
    for name in shipped():
        parsed = load_recipe(name)
        assert parsed.name == name
        assert len(parsed.members) >= 3
        assert parse_recipe(json.loads(json.dumps(parsed.as_table())), name) == parsed
    assert set(load_recipe("demo-species").labels) == set(SPECIES)


def test_paper_recipes_are_tables_s1_and_s2() -> None:
    for name, task in (("paper-empty", Task.EMPTY), ("paper-species", Task.SPECIES)):
        paper = load_recipe(name)
        assert paper.task is task
        assert tuple(each.architecture for each in paper.members) == NINE
        assert (paper.optimiser.name, paper.optimiser.momentum, paper.batch_size) == ("sgd", 0.9, 128)
        assert (paper.epochs, paper.batches_per_epoch, paper.crop) == (55, 7000, (224, 224))
        assert paper.epochs * paper.batches_per_epoch * paper.batch_size == 49_280_000
        assert paper.schedule.regimes == PAPER_REGIMES
        changes = paper.augmentation
        assert (changes.flip, changes.brightness, changes.contrast, changes.grey, changes.noise) == (True, 0, 0, 0, 0)
        assert paper.balanced_set == (task is Task.EMPTY)


def test_every_key_of_a_recipe_is_in_a_shipped_one_or_has_a_sentence() -> None:
    """What can be set is said somewhere: in the comments of a recipe, or in the declaration."""

    def walk(kind: type[Any]) -> None:
        for each in fields(kind):
            if is_dataclass(each.default):
                walk(type(each.default))
            elif kind.__name__ != "Member":
                assert each.metadata["about"], each.name

    walk(Recipe)
    for path in SHIPPED.glob("*.toml"):
        assert path.read_text("utf-8").startswith("#")
        assert tomllib.loads(path.read_text("utf-8"))["name"] == path.stem


def test_every_problem_of_a_recipe_is_listed_at_once() -> None:
    wrong = {
        **GOOD,
        "epoch": 3,
        "batch_size": 1,
        "crop": [300],
        "labels": ["lion", "lion"],
        "augmentation": {"flipp": True, "noise": 3},
        "schedule": {"regimes": [[2, 0.1, 0]]},
        "member": [{"architecture": "resnet-18", "seed": "one"}, {"architecture": "resnet18", "seed": "one"}],
    }
    with pytest.raises(ConfigError) as caught:
        parse_recipe(wrong, "my.toml")
    text = "\n".join(caught.value.problems)
    for said in ("epoch: is not a key", "`epochs`", "batch_size: must be", "crop: must be", "different labels"):
        assert said in text
    for said in ("`flip`", "augmentation.noise: must be", "'resnet18'", "seed must be", "from epoch 1"):
        assert said in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task": "detect"}, "task"),
        ({"labels": ["blank", "cat"]}, "must not contain"),
        ({"task": "empty", "labels": ["animal", "nothing"]}, "animal"),
        ({"member": []}, "member"),
        ({"member": [{"architecture": "thin_resnet10"}] * 2}, "the same"),
        ({"member": [{"architecture": "thin_resnet10", "sed": 1}]}, "sed is not a key"),
        ({"optimiser": {"name": "adam"}}, "adamw"),
        ({"schedule": {"learning_rate": True}}, "learning_rate"),
        ({"schedule": 3}, "must be a table"),
        ({"start": {"transfer": "head"}}, "start.weights"),
        ({"task": "empty", "sampling": {"blank_share": 0.1}}, "blank_share"),
        ({"sampling": {"shares": {"real": -1}}}, "shares"),
    ],
)
def test_a_wrong_recipe_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_recipe({**GOOD, **change}, "my.toml")


def test_a_recipe_that_is_not_there_or_not_toml(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="paper-species"):
        load_recipe(str(tmp_path / "missing.toml"))
    (tmp_path / "bad.toml").write_text("= 3")
    with pytest.raises(ConfigError, match="not TOML"):
        load_recipe(str(tmp_path / "bad.toml"))


# --- the schedule


@pytest.mark.parametrize(
    ("epoch", "rate", "decay"),
    [
        (1, 0.01, 5e-4), (18, 0.01, 5e-4), (19, 0.005, 5e-4), (29, 0.005, 5e-4), (30, 0.001, 0.0), (43, 0.001, 0.0),
        (44, 0.0005, 0.0), (52, 0.0005, 0.0), (53, 0.0001, 0.0), (55, 0.0001, 0.0), (56, 0.0001, 0.0),
    ],
)  # fmt: skip
def test_the_papers_regimes(epoch: int, rate: float, decay: float) -> None:
    """Table S.2, not the published code, whose every step is one epoch later."""
    assert schedule.regime(epoch, PAPER_REGIMES)[1:] == (rate, decay)


def test_a_short_run_moves_the_breakpoints_in_proportion() -> None:
    assert [row[0] for row in schedule.scaled(PAPER_REGIMES, 55, 11)] == [1, 5, 7, 10, 11]
    assert schedule.scaled(PAPER_REGIMES, 55, 55) == PAPER_REGIMES
    one = schedule.scaled(PAPER_REGIMES, 55, 1)
    assert one[0][0] == 1
    assert schedule.regime(1, one)[1] <= 0.01


def test_momentum_is_forgotten_at_the_first_step_of_each_regime_only_if_asked() -> None:
    paper = load_recipe("paper-species")
    resetting = replace(paper, schedule=replace(paper.schedule, reset_momentum=True))
    at = [step for step in range(0, 55 * 4) if schedule.rates(resetting, step, 4)[2]]
    assert at == [4 * (epoch - 1) for epoch in (1, 19, 30, 44, 53)]
    assert not any(schedule.rates(paper, step, 4)[2] for step in range(55 * 4))


@given(st.integers(1, 30), st.integers(1, 50), st.floats(0, 0.5))
def test_a_cosine_rises_then_falls_and_stays_positive(epochs: int, steps: int, warmup: float) -> None:
    plain = parse_recipe({**GOOD, "epochs": epochs, "schedule": {"warmup": warmup, "learning_rate": 0.1}}, "r")
    values = [schedule.rates(plain, step, steps)[0] for step in range(epochs * steps)]
    assert all(0 < value <= 0.1 + 1e-12 for value in values)
    top = values.index(max(values))
    assert values[:top] == sorted(values[:top])
    assert values[top:] == sorted(values[top:], reverse=True)
