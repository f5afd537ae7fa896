"""Model files of large architectures whose answers mean something, made in seconds: random features, fitted heads."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from ctwatch.demo.scenes import RESERVED_LOCATIONS, SPECIES, burst
from ctwatch.domain import BLANK, Canvas, ModelInfo, Preprocessing, Task
from ctwatch.nets.architectures import build
from ctwatch.nets.model_file import save
from ctwatch.nets.preprocessing import prepare

CANVAS = Canvas(256, 256, 0.0, 0.05)
PREPROCESSING = Preprocessing(CANVAS, (224, 224), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_SCENES = 32
_RIDGE = 0.3


def fitted(folder: Path, architecture: str, *, members: int = 1) -> None:
    """Write an empty filter to `folder/empty` and species models to `folder/species`.

    Their convolutions are random; batch norms hold the statistics of drawn scenes and the last layer is fitted to them
    by least squares, so that probabilities are spread and decisions can differ.

    Args:
        folder: Where to.
        architecture: One whose last linear layer gives the logits, such as "resnet18".
        members: Models of each task, differing in their seed.
    """
    pixels, truth = _scenes()
    for task, labels in ((Task.EMPTY, (BLANK, "animal")), (Task.SPECIES, tuple(SPECIES))):
        wanted = [min(index, 1) for index in truth] if task is Task.EMPTY else [max(0, index - 1) for index in truth]
        kept = [number for number, index in enumerate(truth) if task is Task.EMPTY or index > 0]
        for member in range(members):
            torch.manual_seed(member)
            net = build(architecture, len(labels))
            _fit(net, prepare(pixels[kept], PREPROCESSING), torch.tensor(wanted)[kept], len(labels))
            name = f"{architecture}-{task}-{member}"
            info = ModelInfo("", name, task, architecture, labels, PREPROCESSING, 1.0)
            save(folder / str(task) / f"{name}.safetensors", net, info)


def _scenes() -> tuple[torch.Tensor, list[int]]:
    """Return drawn frames, uint8 (N, 3, H, W), and for each 0 (blank) or 1 + the number of its species."""
    frames, truth = [], []
    for seed in range(_SCENES):
        which = 1 + seed // 2 % len(SPECIES) if seed % 2 else 0
        size = (CANVAS.height, CANVAS.width)
        species = SPECIES[which - 1] if which else None
        place = RESERVED_LOCATIONS + 9  # that of the cards that the benchmarks draw
        for frame in burst(location=place, species=species, night=seed % 3 == 0, frames=3, seed=seed, size=size):
            frames.append(np.asarray(frame.pixels).transpose(2, 0, 1))
            truth.append(which)
    return torch.from_numpy(np.ascontiguousarray(np.stack(frames))), truth


def _fit(net: nn.Module, batch: torch.Tensor, truth: torch.Tensor, n_labels: int) -> None:
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # a plain average over what it is shown
    head = [module for module in net.modules() if isinstance(module, nn.Linear)][-1]
    features: list[torch.Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, inputs: features.append(inputs[0]))
    with torch.no_grad():
        net.train()(batch)
        net.eval()
        features.clear()
        net(batch)
        hook.remove()
        x = torch.cat([features[0], torch.ones(len(batch), 1)], 1).double()
        y = nn.functional.one_hot(truth, n_labels).double() * 6 - 3
        gram = x @ x.T + _RIDGE * x.square().sum(1).mean() * torch.eye(len(x))
        weights = (x.T @ torch.linalg.solve(gram, y)).float()
        head.weight.copy_(weights[:-1].T)
        head.bias.copy_(weights[-1])
