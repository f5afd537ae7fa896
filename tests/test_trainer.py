"""The trainer as people use it: four commands from labels to models with a card, its help, and its documents."""

import json
import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from ctwatch_train.cli import train
from forked import Forked

from ctwatch.domain import Task
from ctwatch.nets.inference import Ensemble, model_paths
from ctwatch.nets.model_info import read_info

ROOT = Path(__file__).resolve().parents[1]
HELP = ROOT / "tests" / "golden" / "help"


def ctwatch(folder: Path, *arguments: str) -> Forked:
    """Run a command of the trainer to its end."""
    command = Forked(folder, "train", *arguments)
    command.wait()
    return command


def test_from_labels_to_models_with_a_card_in_four_commands(tiny_scenes: Path, tmp_path: Path) -> None:
    """Both tasks from one set, a broken file among the photographs, and a page with every figure twice."""
    lines = (tiny_scenes / "labels.csv").read_text("utf-8").splitlines()
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff no photograph")
    place = lines[1].split(",")[2]
    scenes = [
        ",".join((str(tiny_scenes / line.split(",")[0]), *line.split(",")[1:])) for line in lines[1:]
    ]  # fmt: skip
    (tmp_path / "labels.csv").write_text("\n".join([lines[0], *scenes, f"broken.jpg,blank,{place},b"]) + "\n", "utf-8")

    made = ctwatch(
        tmp_path, "data", "drawn=labels.csv", "--out", "set", "--canvas", "40x56", "--validation", "0.25", "--test", "0.25",
    )  # fmt: skip
    assert made.returncode == 3, made.stderr
    assert "broken.jpg" in made.stderr
    assert made.stdout.splitlines()[0].startswith("label\t")

    for task in Task:
        (tmp_path / f"{task}.toml").write_text(
            f'name = "{task}"\ntask = "{task}"\nnotes = "For a test."\ncrop = [32, 48]\nepochs = 1\nbatch_size = 16\n'
            '[[member]]\narchitecture = "thin_resnet10"\nseed = 1\n'
        )
        fitted = ctwatch(
            tmp_path, "fit", f"{task}.toml", "--on", "set", "--out", f"models/{task}", "--members", "2", "--threads", "1",
            "--device", "cpu",
        )  # fmt: skip
        assert fitted.returncode == 0, fitted.stderr
        assert fitted.stdout.splitlines()[-1] == f"models/{task}"
        assert len(model_paths(tmp_path / "models" / task)) == 2

    evaluated = ctwatch(
        tmp_path, "evaluate", "models/empty", "models/species", "--on", "set", "--out", "evaluation", "--device", "cpu"
    )
    assert evaluated.returncode == 0, evaluated.stderr
    values = json.loads((tmp_path / "evaluation" / "evaluation.json").read_text("utf-8"))
    assert values["task"] == "species"
    assert {section["split"] for section in values["sections"]} >= {"test", "test_seen"}
    page = (tmp_path / "evaluation" / "index.html").read_text("utf-8")
    assert "<script" not in page
    assert evaluated.stdout.rstrip().endswith("index.html")

    bundled = ctwatch(
        tmp_path, "bundle", "models/empty", "models/species", "--on", "set", "--out", "bundle", "--recall", "0.9",
    )  # fmt: skip
    assert bundled.returncode == 0, bundled.stderr
    for task in Task:
        ensemble = Ensemble.load(tmp_path / "bundle" / task, task)
        assert len(ensemble.members) == 2
        assert ensemble.members[0].thresholds
        card = (tmp_path / "bundle" / task / "README.md").read_text("utf-8")
        assert "For a test." in card
        assert ensemble.members[0].data_fingerprint in card
        assert read_info(model_paths(tmp_path / "models" / task)[0]).model_id not in ("", ensemble.members[0].model_id)


@pytest.mark.parametrize("name", ["", *train.commands])
def test_the_trainers_help_is_as_it_was_agreed(name: str) -> None:
    shown = CliRunner().invoke(
        train,
        [*([name] if name else []), "--help"],
        terminal_width=100,
        max_content_width=100,
        prog_name="ctwatch train",
    )
    assert shown.exit_code == 0, shown.output
    golden = HELP / f"train{f'-{name}' if name else ''}.txt"
    assert golden.exists(), f"write it: ctwatch train {name} --help > {golden}"
    assert golden.read_text("utf-8") == shown.output


def test_every_option_of_the_trainer_has_help() -> None:
    for name, command in train.commands.items():
        assert command.help, name
        for parameter in command.params:
            assert not isinstance(parameter, click.Option) or parameter.help, f"{name} {parameter.name}"


@pytest.mark.parametrize("page", ["train/README.md", "docs/labels.md", "docs/experiments.md", "docs/errata.md"])
def test_commands_of_the_trainers_documents_exist(page: str) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text("utf-8"), flags=re.DOTALL)
    for line in (line for block in blocks for line in block.splitlines() if "ctwatch train " in line):
        words = shlex.split(line, comments=True)
        at = words.index("train")
        command = train.commands.get(words[at + 1])
        assert command is not None, line
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words[at + 2 :] if word.startswith("--")} <= options, line


@pytest.mark.parametrize("page", ["docs/labels.md", "docs/experiments.md", "docs/errata.md"])
def test_links_of_the_trainers_documents_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text("utf-8")):
        assert target.startswith("http") or ((ROOT / page).parent / target).exists(), target
