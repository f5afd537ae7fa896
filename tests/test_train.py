"""The trainer: recipes, splits, calibration, figures, a small fit end to end, and the models that come along."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ctwatch_train import batches, calibrate, data, fit, generate, measure, model_card, recipe, split
from ctwatch_train.evaluate import evaluate, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from ctwatch.demo.scenes import RESERVED_LOCATIONS, SPECIES
from ctwatch.domain import BLANK, Canvas, Task
from ctwatch.ensemble import Averaging, average
from ctwatch.errors import ConfigError
from ctwatch.nets.inference import Ensemble, model_paths

MODELS = Path(__file__).parent.parent / "ctwatch" / "models"


def example(location: str, label: str, event: str = "e", fixed: str | None = None, source: str = "s") -> data.Example:
    return data.Example(Path("x.jpg"), label, location, f"{location}/{event}", source, fixed)


# --- recipes

GOOD: dict[str, Any] = {
    "name": "r",
    "task": "empty",
    "labels": ["animal", "blank"],
    "member": [{"architecture": "thin_resnet10", "seed": 1}],
    "data": [{"path": "labels.csv", "name": "all"}],
}


def test_shipped_recipes_are_recipes() -> None:
    assert recipe.shipped() == ("demo-empty", "demo-species")
    for name in recipe.shipped():
        parsed = recipe.load_recipe(name)
        assert len(parsed.members) >= 3
        assert parsed.as_table() == json.loads(json.dumps(parsed.as_table())) | {
            key: value for key, value in parsed.as_table().items() if isinstance(value, tuple)
        }
    assert recipe.load_recipe("demo-species").labels == SPECIES


def test_every_problem_of_a_recipe_is_listed_at_once() -> None:
    wrong = {
        **GOOD,
        "epoch": 3,
        "batch_size": 1,
        "crop": [300, 48],
        "labels": ["animal", "nothing"],
        "augmentation": {"flipp": True, "noise": 3},
        "member": [{"architecture": "resnet-18", "seed": "one"}],
        "data": [{"path": "a.csv"}],
    }
    with pytest.raises(ConfigError) as caught:
        recipe.parse_recipe(wrong, "my.toml")
    text = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 9
    for said in ("epoch: is not a key", "`epochs`", "batch_size: must be", "crop: [300, 48] is larger", "'blank'"):
        assert said in text
    for said in ("`flip`", "noise: must be", "'resnet18'", "seed: must be", "data 1: name: is missing"):
        assert said in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task": "detect"}, "task"),
        ({"task": "species", "labels": ["blank", "cat"]}, "must not contain"),
        ({"labels": ["a", "a"]}, "labels"),
        ({"member": []}, "member"),
        ({"member": [{"architecture": "thin_resnet10"}] * 2}, "the same"),
        ({"data": [{"path": "a", "name": "n"}, {"path": "b", "name": "n"}]}, "same name"),
        ({"balanced": 1}, "balanced"),
        ({"learning_rate": True}, "learning_rate"),
    ],
)
def test_a_wrong_recipe_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        recipe.parse_recipe({**GOOD, **change}, "my.toml")


def test_a_recipe_that_is_not_there_or_not_toml(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="demo-empty"):
        recipe.load_recipe(str(tmp_path / "missing.toml"))
    (tmp_path / "bad.toml").write_text("= 3")
    with pytest.raises(ConfigError, match="not TOML"):
        recipe.load_recipe(str(tmp_path / "bad.toml"))


# --- labels


def test_labels_tables_are_checked_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(
        "path,label,location,event,split\na.jpg,cat,1,1,\nb.jpg,,1,2,\nc.jpg,cat,1,3,dev\nd.jpg,cat,1,4,test\n"
    )
    with pytest.raises(ConfigError) as caught:
        data.read_labels(path, "s")
    assert [("line 3" in p, "line 4" in p, "two splits" in p) for p in caught.value.problems] == [
        (True, False, False),
        (False, True, False),
        (False, False, True),
    ]
    path.write_text("path,label\na.jpg,cat\n")
    with pytest.raises(ConfigError, match="location, event"):
        data.read_labels(path, "s")
    path.write_text("path,label,location,event\n")
    with pytest.raises(ConfigError, match="no rows"):
        data.read_labels(path, "s")
    with pytest.raises(ConfigError, match="cannot be read"):
        data.read_labels(tmp_path / "missing.csv", "s")


def test_targets_of_both_tasks() -> None:
    assert data.target("lion", Task.EMPTY, ("animal", BLANK)) == 0
    assert data.target(BLANK, Task.EMPTY, ("animal", BLANK)) == 1
    assert data.target("lion", Task.EMPTY, (BLANK, "animal")) == 1
    assert data.target("lion", Task.SPECIES, ("cat", "lion")) == 1
    assert data.target("wolf", Task.SPECIES, ("cat", "lion")) is None
    assert data.target(BLANK, Task.SPECIES, ("cat", "lion")) == -1


# --- split

surveys = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from(["blank", "cat", "lion", "rare"]), st.integers(0, 4)),
    min_size=1,
    max_size=120,
)


@settings(max_examples=150, deadline=None)
@given(surveys, st.integers(0, 50), st.randoms(use_true_random=False))
def test_split_keeps_locations_whole_and_every_label_in_train(
    survey: list[tuple[int, str, int]], seed: int, random: Any
) -> None:
    examples = [example(f"l{place}", label, str(event)) for place, label, event in survey]
    splits = split.assign(examples, validation=0.2, test=0.2, seed=seed)
    where: dict[str, set[str]] = {}
    for each, part in zip(examples, splits, strict=True):
        where.setdefault(each.location, set()).add(part)
    assert all(len(parts) == 1 for parts in where.values())
    assert {each.label for each in examples} == {e.label for e, s in zip(examples, splits, strict=True) if s == "train"}
    order = list(range(len(examples)))
    random.shuffle(order)
    again = split.assign([examples[row] for row in order], validation=0.2, test=0.2, seed=seed)
    assert [splits[row] for row in order] == again


def test_split_spreads_labels_and_keeps_what_the_table_says() -> None:
    rng = np.random.default_rng(0)
    examples = [
        example(f"l{place}", str(rng.choice(["blank", "cat", "lion", "rare"], p=(0.5, 0.3, 0.17, 0.03))))
        for place in range(60)
        for _ in range(40)
    ]
    examples += [example("mine", "cat", fixed="test")] * 5
    splits = split.assign(examples, validation=0.15, test=0.2, seed=1)
    assert set(splits[-5:]) == {"test"}
    for label in ("blank", "cat", "lion", "rare"):
        parts = [part for each, part in zip(examples, splits, strict=True) if each.label == label]
        assert 0.5 < parts.count("train") / len(parts) < 0.8
        assert 0.08 < parts.count("validation") / len(parts) < 0.25
        assert 0.12 < parts.count("test") / len(parts) < 0.3


# --- draws


def test_draws_are_balanced_and_sources_get_their_share() -> None:
    plan = recipe.parse_recipe(
        {
            **GOOD,
            "task": "species",
            "labels": ["cat", "lion"],
            "blank_share": 0.1,
            "data": [{"path": "a", "name": "a", "share": 3.0}, {"path": "b", "name": "b"}],
        },
        "r",
    )
    targets = np.array([0] * 90 + [1] * 10 + [0] * 5 + [-1] * 20)
    sources = ["a"] * 100 + ["b"] * 5 + ["a"] * 20
    chances = batches.weights(targets, sources, plan)
    assert chances.sum() == pytest.approx(1)
    assert chances[targets == -1].sum() == pytest.approx(0.1)
    assert chances[:90].sum() == pytest.approx(chances[90:100].sum()) == pytest.approx(0.9 * 0.75 / 2)
    drawn = np.concatenate(list(batches.draw_batches(chances, 1000, 32, np.random.default_rng(1))))
    assert abs((targets[drawn] == 1).sum() - 337.5) < 15
    assert len(drawn) == 1000


def test_channel_statistics_are_over_all_pixels() -> None:
    pixels = np.stack([np.zeros((3, 4, 4), np.uint8), np.full((3, 4, 4), 255, np.uint8)])
    mean, std = batches.channel_statistics(pixels)
    assert mean == pytest.approx((0.5, 0.5, 0.5))
    assert std == pytest.approx((0.5, 0.5, 0.5))


# --- calibration and figures


def test_temperature_by_hand() -> None:
    """Of logits (a, 0) right in three of four cases the best T has sigmoid(a / T) = 3/4."""
    logits = np.tile([[4.0, 0.0]], (400, 1))
    targets = np.array([0, 0, 0, 1] * 100)
    assert calibrate.temperature(logits, targets) == pytest.approx(4 / np.log(3), rel=1e-4)
    assert calibrate.temperature(logits[:99], targets[:99]) == 1.0
    assert calibrate.temperature(np.tile([[1e-3, 0.0]], (200, 1)), np.zeros(200, np.int64)) == 0.05
    assert calibrate.temperature(np.tile([[50.0, 0.0]], (200, 1)), np.array([0, 1] * 100)) == 20.0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 0.99), min_size=1, max_size=60), st.floats(0.5, 1.0))
def test_blank_threshold_keeps_its_recall(values: list[float], recall: float) -> None:
    blank = np.array(values)
    threshold = calibrate.blank_threshold(blank, np.ones(len(blank), bool), recall)
    assert (blank < threshold).mean() >= recall - 1e-9
    assert 0 <= threshold <= 1


def test_calibration_error_by_hand() -> None:
    probabilities = np.array([[0.8, 0.2]] * 10 + [[0.4, 0.6]] * 10)
    targets = np.array([0] * 6 + [1] * 4 + [1] * 6 + [0] * 4)
    assert measure.calibration_error(probabilities, targets) == pytest.approx(0.5 * 0.2 + 0.5 * 0.0)


def test_wilson_by_hand() -> None:
    assert measure.wilson(0, 0) == (0.0, 1.0)
    low, high = measure.wilson(9, 10)
    assert (low, high) == pytest.approx((0.5958, 0.9821), abs=1e-4)


def test_figures_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]])
    result = measure.figures(probabilities, np.array([0, 1, 1, 1]), ("a", "b", "c"))
    assert result["accuracy"] == 0.75
    assert result["macro_recall"] == pytest.approx((1 + 2 / 3) / 2, abs=1e-4)
    assert result["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2, abs=1e-4)
    assert result["recall"] == {"a": {"n": 1, "recall": 1.0}, "b": {"n": 3, "recall": 0.6667}}
    assert measure.figures(np.empty((0, 3)), np.empty(0, np.int64), ("a", "b", "c"))["accuracy"] is None


def test_an_event_with_an_animal_in_any_frame_is_an_animal_event() -> None:
    examples = [
        example("l", "cat", "1"), example("l", BLANK, "2"), example("l", BLANK, "1"), example("l", "dog", "3"),
        example("l", "cat", "4"), example("l", "lion", "4"),
    ]  # fmt: skip
    order, starts, targets = measure.events(examples, Task.EMPTY, ("animal", BLANK))
    assert order.tolist() == [0, 2, 1, 3, 4, 5]
    assert starts.tolist() == [0, 2, 3, 4]
    assert targets.tolist() == [0, 1, 0, 0]
    assert measure.events(examples, Task.SPECIES, ("cat", "lion"))[2].tolist() == [0, -2, -2, -2]


# --- end to end


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("scenes")
    count = generate.write_scenes(out, locations=9, events=7, seed=3, first=RESERVED_LOCATIONS + 500)
    assert count == sum(1 for _ in out.rglob("*.jpg"))
    return out


def test_generated_tables_are_read_back(scenes: Path) -> None:
    examples = data.read_labels(scenes / "labels.csv", "drawn")
    assert {each.label for each in examples} <= {*SPECIES, BLANK}
    assert len({each.location for each in examples}) == 9
    assert all(each.path.exists() for each in examples)
    with pytest.raises(ConfigError, match="already there"):
        generate.write_scenes(scenes, locations=1, events=1, seed=1)
    with pytest.raises(ConfigError, match="reserved"):
        generate.write_scenes(scenes / "x", locations=2, events=1, seed=1, first=RESERVED_LOCATIONS - 1)


def tiny(scenes: Path, **changes: Any) -> recipe.Recipe:
    labels = scenes / "with_a_broken_file.csv"
    rows_there = list(csv.reader((scenes / "labels.csv").read_text().splitlines()))
    place = rows_there[1][2]
    (scenes / "broken.jpg").write_bytes(b"\xff\xd8\xff no photograph")
    with labels.open("w", newline="") as file:
        csv.writer(file).writerows(
            [*rows_there, ("broken.jpg", "blank", place, "b"), ("gone.jpg", "blank", place, "c")]
        )
    return recipe.parse_recipe(
        {
            **GOOD,
            "canvas": [40, 56],
            "crop": [32, 48],
            "epochs": 1,
            "batch_size": 8,
            "validation_fraction": 0.25,
            "test_fraction": 0.25,
            "member": [{"architecture": "thin_resnet10", "seed": 1}, {"architecture": "thin_resnet10", "seed": 2}],
            "data": [
                {"path": str(labels), "name": "drawn"},
                {"path": str(scenes / "missing.csv"), "name": "missing", "optional": True},
            ],
            **changes,
        },
        "tiny",
    )


def test_a_tiny_fit_end_to_end(scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        plan = tiny(scenes)
        infos = fit.fit(plan, tmp_path, model_card.write)
        said = capsys.readouterr().err
        assert "broken.jpg" in said
        assert "gone.jpg" in said
        assert "2 photographs could not be used" in said
        assert "without missing" in said
        ensemble = Ensemble.load(tmp_path, Task.EMPTY, device=torch.device("cpu"))
        assert ensemble.members == tuple(infos)
        assert ensemble.members[0].recipe["epochs"] == 1
        assert ensemble.members[0].quality["test"]["drawn"]["image"]["n"] > 0
        assert 0 <= ensemble.members[0].thresholds[BLANK] <= 1
        figures = json.loads((tmp_path / "figures.json").read_text())
        assert set(figures["files"]) == {info.name for info in infos}
        card = (tmp_path / "README.md").read_text()
        assert card.startswith("# Empty filter: r\n")
        assert figures["data_fingerprint"] in card
        # The same again keeps what is there.
        before = [path.read_bytes() for path in model_paths(tmp_path)]
        fit.fit(plan, tmp_path)
        assert "already there" in capsys.readouterr().err
        assert [path.read_bytes() for path in model_paths(tmp_path)] == before
        result = evaluate(tmp_path, [scenes / "labels.csv"], torch.device("cpu"))
    finally:
        torch.set_num_threads(threads)
    assert set(result["ensemble"]) == {"top5", "prob", "logit"}
    assert result["ensemble"]["prob"]["image"] == result["ensemble"]["top5"]["image"]
    assert len(rows(result)) == 2 * 2 + 3 * (1 + 3)


def test_training_twice_gives_the_same_network(scenes: Path, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        plan = tiny(scenes, task="species", labels=list(SPECIES[:2]), blank_share=0.2, member=GOOD["member"])
        first, second = (fit.fit(plan, tmp_path / name)[0] for name in ("a", "b"))
    finally:
        torch.set_num_threads(threads)
    assert first.temperature == second.temperature
    assert first.quality == second.quality
    assert first.data_fingerprint == second.data_fingerprint


def test_a_loss_that_is_not_finite_stops_with_what_to_change(scenes: Path, tmp_path: Path) -> None:
    plan = tiny(scenes, optimiser="sgd", learning_rate=10.0, epochs=30)
    prepared = fit.prepare_data(plan)
    prepared.data.pixels[:] = 0

    def explode(*_: Any) -> torch.Tensor:
        return torch.tensor(float("nan"), requires_grad=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "_loss", explode)
        with pytest.raises(fit.TrainingError, match="learning_rate"):
            fit.fit_member(plan, plan.members[0], prepared, tmp_path)
    assert list(tmp_path.iterdir()) == []


# --- the models that come along


@pytest.mark.parametrize(("task", "least"), [(Task.EMPTY, 0.93), (Task.SPECIES, 0.88)])
def test_bundled_models_on_new_scenes_of_reserved_locations(task: Task, least: float) -> None:
    """Event accuracy of the ensemble on places and animals drawn just now."""
    folder = MODELS / task
    assert len(model_paths(folder)) >= 3
    ensemble = Ensemble.load(folder, task, device=torch.device("cpu"))
    if task is Task.SPECIES:
        assert ensemble.labels == SPECIES
    (canvas,) = ensemble.canvases
    examples, pixels = [], []
    for trigger in generate.plan(14, 9, 11, blanks=0.5 if task is Task.EMPTY else 0.0, first=RESERVED_LOCATIONS + 100):
        for number, frame in enumerate(generate.draw(trigger)):
            label = trigger.species if frame.visible and trigger.species else BLANK
            examples.append(
                data.Example(
                    Path(str(number)), label, str(trigger.location), f"{trigger.location}/{trigger.event}", "s"
                )
            )
            pixels.append(_decoded(frame.pixels, canvas))
    mean = average(ensemble.predict({canvas: np.stack(pixels)}), Averaging.LOGIT)
    result = measure.event_figures(mean, examples, task, ensemble.labels, Averaging.LOGIT)
    assert result["n"] > 100
    assert result["accuracy"] >= least


def _decoded(pixels: np.ndarray[Any, Any], canvas: Canvas) -> np.ndarray[Any, Any]:
    from io import BytesIO

    from PIL import Image

    from ctwatch.decode import decode

    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=85)
    return decode(file.getvalue(), canvas)


def test_bundled_models_are_small() -> None:
    total = sum(path.stat().st_size for task in Task for path in model_paths(MODELS / task))
    assert total <= 11_000_000
