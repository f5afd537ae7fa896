"""Run by torchrun, or alone: one step on a set with each loss, then the weights are written to a file of its name."""

import sys
from pathlib import Path

import torch
from ctwatch_train.fitting.checkpoint import save
from ctwatch_train.fitting.engine import Training
from ctwatch_train.fitting.networks import training_network
from ctwatch_train.fitting.preparation import prepare
from ctwatch_train.fitting.processes import Processes, joined
from ctwatch_train.fitting.recipe import parse_recipe
from ctwatch_train.sets.dataset import open_set

LOSSES = ("cross_entropy", "weighted")


def step(set_folder: Path, loss: str, out: Path, processes: Processes) -> None:
    """Learn from one batch; `out` becomes the weights and what was counted."""
    values = {
        "name": "two",
        "task": "empty",
        "crop": [32, 48],
        "batch_size": 8,
        "optimiser": {"name": "sgd", "momentum": 0.0, "clip": 0.0},
        # With a rate of 1 and no decay the change of a weight is its gradient.
        "schedule": {"kind": "constant", "learning_rate": 1.0, "weight_decay": 0.0},
        "loss": {"kind": loss, "clamp": 0.01},
        "augmentation": {"brightness": 0.2, "noise": 0.02},
        "member": [{"architecture": "thin_resnet10", "seed": 1}],
    }
    recipe = parse_recipe(values, "two")
    prepared = prepare(recipe, open_set(set_folder))
    module = training_network("thin_resnet10", 2, seed=1)
    training = Training(
        recipe, prepared, module, seed=1, name="two", folder=out.parent, fingerprint="", processes=processes
    )
    network = processes.wrap(training.module)
    # Batch norms of a part of a batch see other means than those of the whole: here they rest.
    network.eval()
    number, rows = next(training._remaining())
    training._learn(network, training._cutter.read(rows, number, 0), number, 0)
    training._settle()
    if processes.leads:
        save(
            out,
            training.module.state_dict(),
            {"loss": training.progress.loss, "seen": training.progress.seen},
        )
    processes.wait()


def main(set_folder: str, out: str) -> None:
    torch.set_num_threads(1)
    with joined(torch.device("cpu")) as processes:
        for loss in LOSSES:
            step(Path(set_folder), loss, Path(out) / loss / "weights.safetensors", processes)


if __name__ == "__main__":
    main(*sys.argv[1:])
