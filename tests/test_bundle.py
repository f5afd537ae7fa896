"""Models made ready for the daemon: thresholds chosen on validation, files that carry them, a card that hides nothing."""

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from ctwatch_train.cli import train
from ctwatch_train.figures.evaluate import predict
from ctwatch_train.fitting.recipe import load_recipe, parse_recipe, shipped
from ctwatch_train.pages.bundle import Aim, applied, blank_choice, bundle, by_task, species_choice
from ctwatch_train.pages.model_card import card, code, recipe_text, table, text
from ctwatch_train.sets.dataset import TrainingSet, open_set

from ctwatch.config import Config
from ctwatch.derive import Models, blank_threshold, thresholds
from ctwatch.domain import BLANK, Canvas, ModelInfo, Preprocessing, Task
from ctwatch.ensemble import Averaging, average
from ctwatch.errors import ConfigError, ModelError
from ctwatch.nets.architectures import build
from ctwatch.nets.inference import Ensemble, model_paths
from ctwatch.nets.model_file import load, save
from ctwatch.nets.model_info import read_info

CPU = torch.device("cpu")
PREPROCESSING = Preprocessing(Canvas(40, 56), (32, 48), (0.45, 0.45, 0.45), (0.25, 0.25, 0.25))


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Threads of small networks wait for each other longer than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def training_set(tiny_set: Path) -> TrainingSet:
    return open_set(tiny_set, verify=False)


@pytest.fixture(scope="module")
def models(training_set: TrainingSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two random networks for each task, on the canvas of the tiny set."""
    root = tmp_path_factory.mktemp("trained")
    species = tuple(name for name in training_set.label_names if name != BLANK)
    for task, labels in ((Task.EMPTY, ("animal", BLANK)), (Task.SPECIES, species)):
        for seed in (1, 2):
            torch.manual_seed(seed)
            net = build("thin_resnet10", len(labels)).eval()
            with torch.no_grad():
                for name, weight in net.named_parameters():
                    if weight.dim() > 1 and ("fc" in name or "head" in name):
                        weight.mul_(20)
            recipe = {
                **json.loads(json.dumps(load_recipe("demo-empty").as_table())), "task": str(task), "labels": list(labels),
                "member": {"architecture": "thin_resnet10", "seed": seed}, "versions": {"torch": "2.0", "<b>": "|"},
                "weights": {"kind": "weights", "file": "a|b`c.pth", "sha256": "f" * 64},
            }  # fmt: skip
            info = ModelInfo(
                "", f"{task}-{seed}", task, "thin_resnet10", labels, PREPROCESSING, 1.2, {labels[0]: 0.123},
                recipe=recipe, data_fingerprint=training_set.about.fingerprint, notes="For a <test>.",
            )  # fmt: skip
            save(root / str(task) / f"{task}-{seed}.safetensors", net, info)
    return root


@pytest.fixture(scope="module")
def both(models: Path, training_set: TrainingSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundle") / "out"
    folders = bundle(
        [models / "species", models / "empty"], training_set, out, aim=Aim(recall=0.9), device=CPU, rounds=20
    )
    assert folders == {Task.EMPTY: out / "empty", Task.SPECIES: out / "species"}
    return out


def figures(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "figures.json").read_text("utf-8"))
    return found


def test_the_thresholds_are_those_that_the_daemon_uses(both: Path, config: Callable[..., Config]) -> None:
    """Every member carries the ensemble's, so the daemon's mean over the members is the ensemble's."""
    loaded = {task: Ensemble.load(both / task, task).members for task in Task}
    found = Models(loaded[Task.EMPTY], loaded[Task.SPECIES])
    settings = config(blank_threshold=0)
    for task in Task:
        chosen = {label: each["threshold"] for label, each in figures(both / task)["thresholds"]["labels"].items()}
        assert all(dict(info.thresholds) == chosen for info in loaded[task])
        if task is Task.EMPTY:
            assert blank_threshold(settings, found.empty) == pytest.approx(chosen[BLANK])
        else:
            assert thresholds(settings, found).species.tolist() == pytest.approx(
                [chosen[x] for x in loaded[task][0].labels]
            )


def test_the_filter_keeps_its_share_of_the_animals_of_validation(both: Path, training_set: TrainingSet) -> None:
    """As seen by the files that were written, not by those that they were made from."""
    ensemble = Ensemble.load(both / "empty", Task.EMPTY)
    rows = training_set.rows("validation")
    blank = average(predict([ensemble], training_set, rows)[0], Averaging.LOGIT)[:, ensemble.labels.index(BLANK)]
    animal = training_set.labels[rows] != training_set.label_names.index(BLANK)
    threshold = ensemble.members[0].thresholds[BLANK]
    assert (blank[animal] < threshold).mean() >= 0.9
    lower = np.nextafter(np.sort(blank[animal])[::-1][int(0.1 * animal.sum())], 0)
    assert (blank[animal] < lower).mean() < 0.9


def test_files_say_how_they_were_bundled_and_hold_the_same_network(
    both: Path, models: Path, training_set: TrainingSet
) -> None:
    for task in Task:
        found = figures(both / task)
        for path, said, model in zip(
            model_paths(both / task), found["files"], found["evaluation"]["models"], strict=True
        ):
            info, module = load(path)
            before, old = load(models / task / path.name)
            assert info.model_id == said["model_id"] == model["model_id"] != before.model_id
            assert (info.labels, info.temperature, info.notes) == (before.labels, before.temperature, before.notes)
            assert all(torch.equal(mine, old.state_dict()[name]) for name, mine in module.state_dict().items())
            assert info.recipe["thresholds"]["recall"] == 0.9
            assert info.quality["evaluation"]["set"]["fingerprint"] == training_set.about.fingerprint
            parts = info.quality["evaluation"]["sections"]
            assert [(each["split"], each["prior"]) for each in parts] == [
                (each["split"], each["prior"]) for each in found["evaluation"]["sections"]
            ]
            assert parts[0]["image"] == found["evaluation"]["sections"][0]["who"][info.name]["image"]


def test_a_card_follows_from_its_figures_alone(both: Path, training_set: TrainingSet) -> None:
    for task in Task:
        found, shown = figures(both / task), (both / task / "README.md").read_text("utf-8")
        assert card(found) == shown
        assert training_set.about.fingerprint in shown
        assert r"For a \<test\>." in shown
        for info in Ensemble.load(both / task, task).members:
            assert f"`{info.name}.safetensors`" in shown
            assert info.model_id in shown
        for label, each in found["thresholds"]["labels"].items():
            assert f"| {label} | {each['threshold']:.3f} | {each['n']:,} |" in shown
        assert "Trained on another set" not in shown
        assert "ctwatch train bundle" in shown and "--recall 0.9" in shown
        assert found["evaluation"]["mistakes"] == []
    assert "Together with the empty filter" in (both / "species" / "README.md").read_text("utf-8")


def test_a_card_warns_in_words_where_figures_are_poor(both: Path) -> None:
    found = figures(both / "empty")
    part = found["evaluation"]["sections"][0]
    cell = part["who"]["ensemble:logit"]["image"]
    blanks = cell["recall"][BLANK]
    cell["accuracy"], blanks["recall"], blanks["n"] = 0.1, 0.0, 18
    shown = card(found)
    assert "**Of 18 photographs of blank it recognised none.**" in shown
    assert "is no better than that.**" in shown
    assert "These are only" in shown
    assert "too good to be true" not in shown
    found["evaluation"]["set"]["leaky"] = True
    assert "too good to be true" in card(found).split("\n\n")[1]


def test_a_model_of_another_set_may_be_bundled_and_the_card_says_so(
    models: Path, training_set: TrainingSet, tmp_path: Path
) -> None:
    """One task goes into the folder itself; thresholds for a precision that nothing reaches let nothing through."""
    path = models / "species" / "species-1.safetensors"
    info, module = load(path)
    save(tmp_path / "one.safetensors", module, replace(info, data_fingerprint="another"))
    out = tmp_path / "out"
    made = bundle([tmp_path / "one.safetensors"], training_set, out, aim=Aim(precision=1.0), device=CPU, rounds=5)
    assert made == {Task.SPECIES: out}
    shown = (out / "README.md").read_text("utf-8")
    assert "**Trained on another set than it was measured on:** species-1, on `another`" in shown
    assert sorted(each.name for each in out.iterdir()) == ["README.md", "figures.json", "one.safetensors"]
    again = bundle([out], training_set, out, aim=Aim(precision=1.0), device=CPU, rounds=5)
    assert again == made
    assert read_info(out / "one.safetensors").model_id == figures(out)["files"][0]["model_id"]


def test_nothing_is_written_where_something_is_wrong(models: Path, training_set: TrainingSet, tmp_path: Path) -> None:
    """Other models in the folder, two of one name, and no validation photographs: all said at once."""
    out = tmp_path / "out"
    info, module = load(models / "empty" / "empty-1.safetensors")
    save(out / "old.safetensors", module, info)
    save(tmp_path / "copy" / "empty-2.safetensors", module, replace(info, notes="another file"))
    nothing = replace(training_set, splits=np.zeros(len(training_set), np.int8))
    with pytest.raises(ConfigError) as error:
        bundle([models / "empty", tmp_path / "copy"], nothing, out, device=CPU)
    said = "\n".join(error.value.problems)
    assert "old.safetensors), which would join the ensemble" in said
    assert "two empty models have the file name empty-2.safetensors" in said
    assert "two empty models have the name empty-1" in said
    assert "has no validation photographs" in said
    assert [each.name for each in out.iterdir()] == ["old.safetensors"]


def test_models_of_another_canvas_are_refused_and_leave_nothing_behind(
    tiny_models: Path, training_set: TrainingSet, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="build a set with the models' canvas"):
        bundle([tiny_models / "empty" / "member0.safetensors"], training_set, tmp_path / "out", device=CPU)
    assert list((tmp_path / "out").iterdir()) == []


def test_models_are_told_apart_by_what_they_are_for(models: Path, both: Path, tmp_path: Path) -> None:
    """Files, folders of one task, folders of both, and a bundle that has a folder for each."""
    found = by_task([models / "species", models / "empty" / "empty-1.safetensors"])
    assert {task: len(paths) for task, paths in found.items()} == {Task.EMPTY: 1, Task.SPECIES: 2}
    assert {task: len(paths) for task, paths in by_task([both]).items()} == {Task.EMPTY: 2, Task.SPECIES: 2}
    (tmp_path / "torn.safetensors").write_bytes(b"no model")
    with pytest.raises(ModelError) as error:
        by_task([models / "empty", models / "empty" / "empty-1.safetensors", tmp_path, tmp_path / "none"])
    for said in ("is the same model as", "torn.safetensors", "no such folder"):
        assert said in str(error.value)


def test_thresholds_of_species_on_a_case_worked_by_hand() -> None:
    """25 answers `a` of which the five least sure are wrong; 4 of `b` are too few, so all together decide."""
    sure = np.linspace(0.99, 0.51, 29)
    said = np.stack([sure, 1 - sure], axis=1)
    said[25:] = said[25:, ::-1]
    truth = np.array([0] * 20 + [1] * 5 + [1] * 4)
    found = species_choice(said, truth, ("a", "b"), Aim(precision=0.95))
    assert found["labels"]["a"] == {"threshold": sure[20], "n": 20, "reached": True, "pooled": False}
    assert found["labels"]["b"] == {"threshold": sure[20], "n": 9, "reached": True, "pooled": True}
    assert (found["photographs"], found["precision"], found["recall"]) == (29, 0.95, None)
    assert applied(said, truth, ("a", "b"), found["labels"]) == {"n": 29, "coverage": 21 / 29, "accuracy": 20 / 21}


def test_thresholds_of_blank_on_a_case_worked_by_hand() -> None:
    """Ten animals and ten blanks: one animal lost at most, or three of four that are called blank are blank."""
    blank = np.concatenate([np.arange(10) / 20, [0.9], np.arange(9) / 100 + 0.8])
    is_blank = np.array([False] * 9 + [True, False] + [True] * 9)
    said = np.stack([blank, 1 - blank], axis=1)
    truth = np.where(is_blank, 0, 1)
    kept = blank_choice(said, truth, (BLANK, "animal"), Aim(recall=0.9))
    assert list(kept["labels"]) == [BLANK]
    assert kept["labels"][BLANK]["threshold"] == pytest.approx(0.4001)
    precise = blank_choice(said, truth, (BLANK, "animal"), Aim(precision=0.75))
    assert precise["labels"][BLANK]["threshold"] == pytest.approx(0.8)
    assert precise["labels"][BLANK]["n"] == 10
    unreached = blank_choice(said, truth, (BLANK, "animal"), Aim(precision=0.99))
    assert (unreached["labels"][BLANK]["threshold"], unreached["labels"][BLANK]["reached"]) == (1.0, False)


def test_an_aim_is_one_of_the_two() -> None:
    for both in ({}, {"precision": 0.9, "recall": 0.9}):
        with pytest.raises(ValueError, match="one of them"):
            Aim(**both)


@pytest.mark.parametrize("name", shipped())
def test_a_recipe_can_be_had_back_from_a_card(name: str) -> None:
    """Every key, and every member; what a training adds about itself is not part of it."""
    recipe = load_recipe(name)
    plain = json.loads(json.dumps(recipe.as_table()))
    said = [
        {**plain, "member": member, "versions": {"torch": "2"}, "priors": {"natural": {}}, "steps": 5}
        for member in plain.pop("members")
    ]
    assert parse_recipe(tomllib.loads(recipe_text(said)), "card") == recipe


def test_names_of_strangers_stay_names_in_a_card(both: Path) -> None:
    """No markup, no link, no broken table out of a label, a source or a note."""
    names = ("<script>x</script>", "a|b", "[x](http://y)", "*bold*", "new\nline", "`tick`")
    found = figures(both / "species")
    found["files"][0]["notes"] = " ".join(names)
    chosen = found["thresholds"]["labels"]
    found["thresholds"]["labels"] = {name: next(iter(chosen.values())) for name in names}
    shown = card(found)
    assert "```toml" in shown
    shown = re.sub(r"^```.*?^```$", "", shown, flags=re.MULTILINE | re.DOTALL)
    assert "<script>" not in shown and "](http" not in shown.replace("\\](", "")
    tables = [block for block in shown.split("\n\n") if block.startswith("| ")]
    for block in tables:
        cells = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(cells) == 1, block
    assert text("thin_resnet10") == "thin_resnet10"
    assert code("a`b") == "`a'b`"
    assert table(["a", "b"], []) == ""


def test_the_command_writes_a_page_and_prints_a_table(models: Path, tiny_set: Path, tmp_path: Path) -> None:
    """Tab separated in a pipe, the page's path last; with --json nothing else than JSON on stdout."""
    (tmp_path / "one").mkdir()
    named = [str(models / "species" / "species-1.safetensors"), "--on", str(tiny_set), "--device", "cpu"]
    shown = CliRunner().invoke(train, ["evaluate", *named, "--out", str(tmp_path / "one"), "--images", "1000"])
    assert shown.exit_code == 0, shown.output
    head, *rows, last = shown.stdout.splitlines()
    assert head.split("\t")[:4] == ["task", "source", "split", "labels"]
    assert {tuple(row.split("\t")[2:5]) for row in rows} >= {
        (split, prior, level)
        for split in ("test", "test_seen")
        for prior in ("natural", "balanced")
        for level in ("photographs", "events")
    }
    assert last == str(tmp_path / "one" / "index.html")
    page = Path(last).read_text("utf-8")
    assert page.startswith("<!DOCTYPE html>") and "data:image/jpeg;base64," in page
    values = json.loads((tmp_path / "one" / "evaluation.json").read_text("utf-8"))
    assert values["models"][0]["name"] == "species-1"
    assert (tmp_path / "one" / "mistakes.jpg").read_bytes()[:3] == b"\xff\xd8\xff"
    wide = {row.count("\t") for row in (head, *rows)}
    assert len(wide) == 1


def test_the_command_takes_one_aim() -> None:
    shown = CliRunner().invoke(
        train, ["bundle", "x", "--on", "y", "--out", "z", "--recall", "0.9", "--precision", "0.9"]
    )
    assert shown.exit_code == 2
    assert "one of them" in shown.stderr
