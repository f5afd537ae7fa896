"""Training: one seed one model, kill -9 at any point, two processes as one, and what stops it."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import two_processes
from ctwatch_train.fitting import checkpoint, journal
from ctwatch_train.fitting.engine import TrainingError
from ctwatch_train.fitting.fit import adapted, describe, fit
from ctwatch_train.fitting.preparation import prepare
from ctwatch_train.fitting.recipe import Recipe, load_recipe, parse_recipe
from ctwatch_train.pages.plots import training_curve
from ctwatch_train.sets.dataset import TrainingSet, open_set
from forked import Forked

from ctwatch.domain import BLANK, Task
from ctwatch.errors import ConfigError
from ctwatch.nets.inference import Ensemble
from ctwatch.nets.model_file import load

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tiny(**changes: Any) -> Recipe:
    return parse_recipe({**TINY, **changes}, "tiny")


TINY: dict[str, Any] = {
    "name": "tiny",
    "task": "empty",
    "crop": [32, 48],
    "epochs": 2,
    "batch_size": 8,
    "augmentation": {"brightness": 0.2, "grey": 0.2, "noise": 0.02},
    "member": [{"architecture": "thin_resnet10", "seed": 1}],
}


def without_times(path: Path) -> list[dict[str, float]]:
    return [{k: v for k, v in row.items() if k not in journal.TIMING} for row in journal.read(path)]


def weights(path: Path) -> dict[str, torch.Tensor]:
    return dict(load(path)[1].state_dict())


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_a_fit_leaves_models_that_the_daemon_loads_and_a_log_that_people_read(tiny_set: Path, tmp_path: Path) -> None:
    recipe = tiny(notes="Only a test.", member=[{"architecture": "thin_resnet10", "seed": n} for n in (1, 2)])
    infos = fit(recipe, open_set(tiny_set), tmp_path, device=CPU, draw=training_curve)
    ensemble = Ensemble.load(tmp_path, Task.EMPTY)
    assert ensemble.members == infos
    info = infos[0]
    assert info.labels == ("animal", BLANK)
    assert info.notes == "Only a test."
    assert 0 <= info.thresholds[BLANK] <= 1
    assert info.data_fingerprint == open_set(tiny_set).about.fingerprint
    assert info.recipe["versions"]["torch"] == torch.__version__
    assert sum(info.recipe["priors"]["natural"].values()) == pytest.approx(1, abs=1e-3)
    assert info.recipe["weights"]["kind"] == "scratch"
    log = journal.read(tmp_path / "training" / info.name / "log.csv")
    assert [row["epoch"] for row in log] == [1, 2]
    assert (tmp_path / "training" / info.name / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in (tmp_path / "training" / info.name).iterdir()} == {
        "best.safetensors", "last.safetensors", "checkpoint.safetensors", "log.csv", "curve.png",
    }  # fmt: skip
    assert len(describe(infos)) == 2
    # The same again keeps what is there.
    before = [path.stat().st_mtime_ns for path in sorted(tmp_path.glob("*.safetensors"))]
    assert fit(recipe, open_set(tiny_set), tmp_path, device=CPU) == infos
    assert [path.stat().st_mtime_ns for path in sorted(tmp_path.glob("*.safetensors"))] == before


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"sampling": {"kind": "emphasis", "top1_chance": 1.0}, "average": 0.9},
        {"sampling": {"kind": "balanced"}, "loss": {"kind": "weighted", "clamp": 0.01}, "keep": "last"},
        {"schedule": {"kind": "regimes", "reset_momentum": True}, "optimiser": {"name": "sgd"}, "balanced_set": True},
        {"compute": {"precision": "bfloat16", "channels_last": False}, "loss": {"kind": "balanced_softmax"}},
    ],
    ids=["plain", "emphasis", "weighted", "paper", "bfloat16"],
)
def test_one_seed_gives_one_model_and_another_another(how: dict[str, Any], tiny_set: Path, tmp_path: Path) -> None:
    source, recipe = open_set(tiny_set), tiny(**how)
    first, second = (fit(recipe, source, tmp_path / name, device=CPU)[0] for name in ("a", "b"))
    (third,) = fit(adapted(recipe, seeds=[2]), source, tmp_path / "c", device=CPU)
    one, two = (weights(tmp_path / name / f"{first.name}.safetensors") for name in ("a", "b"))
    assert same(one, two)
    assert first.temperature == second.temperature
    assert not same(one, weights(tmp_path / "c" / f"{third.name}.safetensors"))
    logs = [without_times(tmp_path / name / "training" / first.name / "log.csv") for name in ("a", "b")]
    assert logs[0] == logs[1]


def test_a_training_that_is_killed_anywhere_ends_as_if_it_had_not_been(tiny_set: Path, tmp_path: Path) -> None:
    """Real kill -9, again and again at random moments; weights, optimiser, queues and curve go on as they were."""
    (tmp_path / "r.toml").write_text(
        'name = "killed"\ntask = "empty"\ncrop = [32, 48]\nepochs = 6\nbatch_size = 8\naverage = 0.9\n'
        '[sampling]\nkind = "emphasis"\n[[member]]\narchitecture = "thin_resnet10"\nseed = 3\n'
    )

    def start(out: str) -> Forked:
        return Forked(
            tmp_path, "train", "fit", "r.toml", "--on", str(tiny_set), "--out", out,
            "--threads", "1", "--checkpoint-every", "0", "--device", "cpu",
        )  # fmt: skip

    undisturbed = start("undisturbed")
    assert undisturbed.wait() == 0, undisturbed.stderr
    chance, kills, resumed = random.Random(7), 0, 0
    work = tmp_path / "killed" / "training" / "empty-thin_resnet10-3"
    for _ in range(40):
        there = (work / "checkpoint.safetensors").exists()
        process = start("killed")
        try:
            before = (work / "checkpoint.safetensors").stat().st_mtime_ns if there else 0
            # Wait for a checkpoint that this run has written, so that every kill is after some progress.
            while process.returncode is None:
                path = work / "checkpoint.safetensors"
                if path.exists() and path.stat().st_mtime_ns != before:
                    time.sleep(chance.uniform(0, 0.15))
                    break
                time.sleep(0.005)
            if process.returncode is None and kills < 4:
                process.kill()
                kills += 1
        finally:
            process.wait()
        resumed += "goes on at step" in process.stderr
        if process.returncode == 0:
            break
    assert process.returncode == 0, process.stderr
    assert kills >= 2
    assert resumed >= 2
    logs = [
        without_times(tmp_path / name / "training" / "empty-thin_resnet10-3" / "log.csv")
        for name in ("undisturbed", "killed")
    ]
    assert logs[0] == logs[1]
    assert same(*(weights(tmp_path / name / "empty-thin_resnet10-3.safetensors") for name in ("undisturbed", "killed")))
    assert not [
        path for path in (tmp_path / "killed").rglob("*") if path.name.endswith(".safetensors.tmp") and kills == 0
    ]


@pytest.mark.parametrize("damage", ["cut", "flipped", "other recipe", "not ours"])
def test_a_checkpoint_that_cannot_be_trusted_is_never_trained_on(damage: str, tiny_set: Path, tmp_path: Path) -> None:
    source = open_set(tiny_set)
    (info,) = fit(tiny(), source, tmp_path, device=CPU)
    (tmp_path / f"{info.name}.safetensors").unlink()
    path = tmp_path / "training" / info.name / "checkpoint.safetensors"
    data = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "flipped":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif damage == "not ours":
        path.write_bytes((path.parent / "log.csv").read_bytes())
    recipe = tiny(epochs=3) if damage == "other recipe" else tiny()
    with pytest.raises(checkpoint.DamagedCheckpoint, match=r"remove|another --out") as caught:
        fit(recipe, source, tmp_path, device=CPU)
    assert str(path) in str(caught.value)
    assert not (tmp_path / f"{info.name}.safetensors").exists()


def test_a_loss_that_is_not_finite_stops_with_the_step_and_what_to_lower(tiny_set: Path, tmp_path: Path) -> None:
    wild = tiny(
        optimiser={"name": "sgd", "clip": 0.0}, epochs=50, schedule={"kind": "constant", "learning_rate": 10.0},
        member=[{"architecture": "squeezenet1_1", "seed": 1}],
    )  # fmt: skip
    with pytest.raises(TrainingError, match=r"not finite in epoch \d+, step \d+ .*schedule.learning_rate"):
        fit(wild, open_set(tiny_set), tmp_path, device=CPU)
    assert not list(tmp_path.glob("*.safetensors"))


@pytest.fixture(scope="module")
def steps_of_one_and_two(tiny_set: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """One step with each loss, by one process and by two."""
    folders = {}
    for count in (1, 2):
        folders[count] = tmp_path_factory.mktemp(f"processes{count}")
        command = [sys.executable, two_processes.__file__, str(tiny_set), str(folders[count])]
        if count == 2:
            command[1:1] = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=170, check=False)
        assert run.returncode == 0, run.stderr[-2000:]
    return folders


@pytest.mark.parametrize("loss", two_processes.LOSSES)
def test_two_gloo_processes_give_the_gradients_of_one(loss: str, steps_of_one_and_two: dict[int, Path]) -> None:
    """The same eight photographs, changed in the same way, in halves; the weighted loss is of the whole batch."""
    results = {n: checkpoint.load(at / loss / "weights.safetensors") for n, at in steps_of_one_and_two.items()}
    (one, alone), (two, together) = results[1], results[2]
    assert alone["loss"] == pytest.approx(together["loss"], rel=1e-6)
    assert alone["seen"] == together["seen"] == 8
    start = dict(checkpoint_of_start())
    moved = max(float((one[name] - start[name]).abs().max()) for name in one if one[name].is_floating_point())
    assert moved > 1e-3
    for name, tensor in one.items():
        assert float((tensor - two[name]).abs().max()) < 1e-6, name


def checkpoint_of_start() -> Iterator[tuple[str, torch.Tensor]]:
    from ctwatch_train.fitting.networks import training_network

    yield from training_network("thin_resnet10", 2, seed=1).state_dict().items()


def test_weights_are_kept_of_the_best_epoch_or_the_last(tiny_set: Path, tmp_path: Path) -> None:
    for keep in ("best", "last"):
        (info,) = fit(tiny(keep=keep, epochs=4), open_set(tiny_set), tmp_path / keep, device=CPU)
        log = journal.read(tmp_path / keep / "training" / info.name / "log.csv")
        recalls = [row["validation_macro_recall"] for row in log]
        kept = info.recipe["kept_epoch"]
        assert kept == 4 if keep == "last" else recalls[kept - 1] == max(recalls)


def test_an_ensemble_of_five_is_one_line() -> None:
    five = adapted(load_recipe("field-species"), members=5)
    assert [(each.architecture, each.seed) for each in five.members] == [
        ("regnet_y_400mf", 1), ("resnet18", 1), ("mobilenet_v3_large", 1), ("regnet_y_400mf", 2), ("resnet18", 2),
    ]  # fmt: skip
    grid = adapted(five, architectures=["resnet18", "resnet34"], seeds=[4, 5])
    assert [(each.architecture, each.seed) for each in grid.members] == [
        ("resnet18", 4), ("resnet34", 4), ("resnet18", 5), ("resnet34", 5),
    ]  # fmt: skip
    assert adapted(five) is not None
    with pytest.raises(ConfigError, match=r"start\.weights"):
        adapted(five, transfer="head")


def test_the_head_alone_is_trained_on_features_that_are_computed_once(tiny_set: Path, tmp_path: Path) -> None:
    source = open_set(tiny_set)
    (first,) = fit(tiny(), source, tmp_path / "a", device=CPU)
    file = tmp_path / "a" / f"{first.name}.safetensors"
    recipe = adapted(tiny(normalise="auto"), weights=str(file), transfer="head")
    (second,) = fit(recipe, source, tmp_path / "b", device=CPU)
    old, new = weights(file), weights(tmp_path / "b" / f"{second.name}.safetensors")
    changed = {name for name in old if not torch.equal(old[name], new[name])}
    assert changed
    assert changed <= {"classifier.weight", "classifier.bias"}
    assert second.recipe["weights"]["model_id"] == first.model_id
    assert second.preprocessing == first.preprocessing
    (third,) = fit(adapted(recipe, transfer="head-then-all"), source, tmp_path / "c", device=CPU)
    assert third.recipe["start"]["transfer"] == "head-then-all"
    # Another way to transfer is another model, though its file has the same name.
    (again,) = fit(adapted(recipe, transfer="head-then-all"), source, tmp_path / "b", device=CPU)
    assert again.model_id != second.model_id
    assert (
        len(
            {
                name
                for name in old
                if not torch.equal(old[name], weights(tmp_path / "c" / f"{third.name}.safetensors")[name])
            }
        )
        > 2
    )


# --- what does not fit together


def test_preparation_says_what_is_missing_and_what_to_do(tiny_set: Path) -> None:
    source = open_set(tiny_set)
    with pytest.raises(ConfigError, match="larger than the set's frames"):
        prepare(tiny(crop=[64, 64]), source)
    with pytest.raises(ConfigError, match="lower least_images"):
        prepare(tiny(task="species", least_images=10_000), source)
    with pytest.raises(ConfigError, match="'unicorn' has no photograph to train on"):
        prepare(tiny(task="species", labels=["unicorn", "demo antelope"]), source)


def test_rare_labels_are_left_out_by_name_and_blank_frames_are_undecided(tiny_set: Path) -> None:
    source = open_set(tiny_set)
    plain = prepare(tiny(task="species", least_images=1), source)
    counts = dict(zip(plain.labels, plain.counts().tolist(), strict=True))
    least = sorted(counts.values())[-2]
    fewer = prepare(tiny(task="species", least_images=least), source)
    assert set(fewer.labels) == {label for label, number in counts.items() if number >= least}
    assert all(label in fewer.notes[0] for label in set(plain.labels) - set(fewer.labels))
    undecided = prepare(tiny(task="species", least_images=1, sampling={"blank_share": 0.2}), source)
    blank = source.label_names.index(BLANK)
    assert (undecided.train_targets == -1).sum() == (source.labels[source.rows("train")] == blank).sum()
    assert (plain.train_targets >= 0).all()
    assert (undecided.validation_targets >= 0).all()


def test_statistics_are_of_the_training_photographs_only(tiny_set: Path) -> None:
    source: TrainingSet = open_set(tiny_set)
    prepared = prepare(tiny(), source)
    pixels = source.pixels(prepared.train).astype(np.float64) / 255
    assert prepared.preprocessing.mean == pytest.approx(pixels.mean((0, 2, 3)), abs=1e-9)
    assert prepared.preprocessing.std == pytest.approx(pixels.std((0, 2, 3)), abs=1e-9)
