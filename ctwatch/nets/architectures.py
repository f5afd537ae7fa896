"""Builds a network from its name: torchvision's classifiers and ctwatch's own, always without downloaded weights."""

import difflib
from collections.abc import Callable
from functools import cache

import torch
import torchvision
from torch import Tensor, nn

from ctwatch.errors import ModelError


class _Block(nn.Module):
    """Two 3 x 3 convolutions around a shortcut (He et al. 2016, basic block)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = (
            nn.Identity()
            if stride == 1 and inputs == outputs
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        inner = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(inner)) + self.shortcut(x))


class ThinResNet(nn.Module):
    """A residual net of few channels: small sets from scratch, small files, fast on a processor.

    The average and the maximum over all positions go to the classifier together: an animal of a few per cent of the
    frame would drown in the average alone.
    """

    def __init__(self, n_labels: int, widths: tuple[int, ...], blocks: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 5, 2, 2, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        )
        stages: list[nn.Module] = []
        inputs = widths[0]
        for stage, width in enumerate(widths):
            for block in range(blocks):
                stages.append(_Block(inputs, width, 2 if block == 0 and stage > 0 else 1))
                inputs = width
        self.stages = nn.Sequential(*stages)
        self.dropout = nn.Dropout(0.1)
        self.classifier = nn.Linear(2 * inputs, n_labels)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, n_labels) logits of (N, 3, H, W) frames."""
        maps: Tensor = self.stages(self.stem(x))
        pooled = torch.cat((maps.mean((2, 3)), maps.amax((2, 3))), 1)
        logits: Tensor = self.classifier(self.dropout(pooled))
        return logits


class NetworkInNetwork(nn.Module):
    """Four blocks of a convolution and two of 1 x 1, batch norm and ReLU after each of the twelve (Lin et al. 2014).

    Sizes are those of the network "NiN" of Norouzzadeh et al. 2018, which torchvision does not have: 96, 256, 384 and
    1024 channels, a pooling of 3 x 3 by 2 between the blocks, the average over all positions and one linear layer. At
    224 x 224 the blocks' maps are 56, 28, 14 and 7 wide; there are 7.68 million parameters at 48 labels.
    """

    def __init__(self, n_labels: int) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        for inputs, outputs, kernel, stride, padding in (
            (3, 96, 11, 4, 5),
            (96, 256, 5, 1, 2),
            (256, 384, 3, 1, 1),
            (384, 1024, 3, 1, 1),
        ):
            if stages:
                stages.append(nn.MaxPool2d(3, 2, 1))
            for convolution in (
                nn.Conv2d(inputs, outputs, kernel, stride, padding),
                nn.Conv2d(outputs, outputs, 1),
                nn.Conv2d(outputs, outputs, 1),
            ):
                stages += [convolution, nn.BatchNorm2d(outputs, eps=1e-3), nn.ReLU(inplace=True)]
        self.features = nn.Sequential(*stages)
        self.classifier = nn.Linear(1024, n_labels)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, n_labels) logits of (N, 3, H, W) frames."""
        maps: Tensor = self.features(x)
        logits: Tensor = self.classifier(maps.mean((2, 3)))
        return logits


_OWN: dict[str, Callable[[int], nn.Module]] = {
    "nin": NetworkInNetwork,
    "thin_resnet10": lambda n_labels: ThinResNet(n_labels, (16, 32, 64, 96), 1),
    "thin_resnet18": lambda n_labels: ThinResNet(n_labels, (16, 32, 64, 128), 2),
    "wide_stem_resnet10": lambda n_labels: ThinResNet(n_labels, (24, 40, 72, 128), 1),
    "wide_stem_resnet18": lambda n_labels: ThinResNet(n_labels, (24, 40, 72, 128), 2),
}
"""A place for our own: name -> function of the number of labels."""


@cache
def names() -> tuple[str, ...]:
    """Return every name that `build` knows, sorted."""
    return tuple(sorted({*torchvision.models.list_models(module=torchvision.models), *_OWN}))


def build(name: str, n_labels: int) -> nn.Module:
    """Return an untrained network whose forward takes (N, 3, H, W) floats and returns (N, n_labels) logits.

    Nothing is ever downloaded: torchvision's builders are called without weights.

    Args:
        name: One of `names()`.
        n_labels: 2 or more.

    Raises:
        ModelError: The name is unknown; the message has the nearest known one.
    """
    if name in _OWN:
        return _OWN[name](n_labels)
    if name not in names():
        near = difflib.get_close_matches(name, names(), 1, 0.0)[0]
        raise ModelError(f"unknown architecture {name!r}; the nearest that ctwatch can build is {near!r}")
    # Without auxiliary heads these two return a plain tensor, in training too.
    extra = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
    net: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=n_labels, **extra)
    return net
