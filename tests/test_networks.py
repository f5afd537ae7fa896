"""Networks for training: sizes, auxiliary heads, weights to start from, what learns, and heads on stored features."""

import copy
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from ctwatch_train.fitting import features as stored
from ctwatch_train.fitting import networks
from ctwatch_train.fitting.features import cached_features, head_logits, train_head
from ctwatch_train.fitting.networks import (
    deployable,
    freeze_backbone,
    head,
    outputs,
    parameter_groups,
    start,
    training_network,
    unfreeze,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from ctwatch.domain import Canvas, ModelInfo, Preprocessing, Task
from ctwatch.errors import ConfigError, ModelError
from ctwatch.nets import model_file
from ctwatch.nets.architectures import build, names
from ctwatch.nets.preprocessing import prepare

MODERN = (
    "regnet_y_400mf", "regnet_y_800mf", "regnet_y_1_6gf", "mobilenet_v3_small", "mobilenet_v3_large",
    "efficientnet_b0", "efficientnet_v2_s", "convnext_tiny", "swin_t",
)  # fmt: skip
PAPER = {
    "alexnet": 57.20, "nin": 7.68, "vgg11_bn": 128.97, "googlenet": 10.08, "resnet18": 11.20, "resnet34": 21.31,
    "resnet50": 23.61, "resnet101": 42.60, "resnet152": 58.24,
}  # fmt: skip
"""Millions of parameters at 48 labels; GoogLeNet with its auxiliary heads."""
SMALL = "shufflenet_v2_x0_5"
PREPROCESSING = Preprocessing(Canvas(40, 48), (32, 32), (0.4, 0.45, 0.5), (0.2, 0.21, 0.22))
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def empty(make: Callable[[], nn.Module]) -> nn.Module:
    """A network without memory behind it, where torchvision's builder allows that."""
    try:
        with torch.device("meta"):
            return make()
    except NotImplementedError:
        return make()


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def frames(count: int, side: int = 32, seed: int = 0) -> torch.Tensor:
    return torch.randn((count, 3, side, side), generator=torch.Generator().manual_seed(seed))


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def lived_in(module: nn.Module, side: int = 64) -> nn.Module:
    """The network, its batch norms used to what comes to them; as built, deep features vanish in evaluation mode."""
    norms = [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 1.0
    with torch.no_grad():
        module.train()(frames(8, side, seed=77))
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
    return module


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


# --- architectures


@pytest.mark.parametrize(("name", "millions"), PAPER.items())
def test_the_nine_networks_of_the_paper_have_their_sizes(name: str, millions: float) -> None:
    assert round(size(empty(lambda: training_network(name, 48))) / 1e6, 2) == millions


@pytest.mark.parametrize("name", MODERN)
def test_newer_networks_have_the_published_size_but_for_the_labels(name: str) -> None:
    module = empty(lambda: build(name, 48))
    published = torchvision.models.get_model_weights(name).DEFAULT.meta["num_params"]
    _, layer = head(module)
    assert isinstance(layer, nn.Linear)
    assert size(module) == published - (1000 - 48) * (layer.in_features + 1)


def test_network_in_network_is_twelve_convolutions_each_normalised_and_rectified() -> None:
    with torch.device("meta"):
        module = build("nin", 48)
        maps, widths, kinds = torch.zeros(1, 3, 224, 224), [], []
        for layer in module.get_submodule("features").children():
            maps = layer(maps)
            kinds.append(type(layer))
            if isinstance(layer, nn.Conv2d):
                widths.append((maps.shape[1], maps.shape[2], layer.kernel_size[0]))
            if isinstance(layer, nn.BatchNorm2d):
                assert layer.eps == 1e-3
        assert module(torch.zeros(2, 3, 224, 224)).shape == (2, 48)
    assert widths == [
        (96, 56, 11), (96, 56, 1), (96, 56, 1), (256, 28, 5), (256, 28, 1), (256, 28, 1),
        (384, 14, 3), (384, 14, 1), (384, 14, 1), (1024, 7, 3), (1024, 7, 1), (1024, 7, 1),
    ]  # fmt: skip
    block = [nn.Conv2d, nn.BatchNorm2d, nn.ReLU] * 3
    assert kinds == block + [nn.MaxPool2d, *block] * 3
    assert size(module) == 7_679_536


def test_network_in_network_averages_over_all_positions() -> None:
    module = build("nin", 3).eval()
    with torch.inference_mode():
        maps = module.get_submodule("features")(frames(2, 64))
        expected = module.get_submodule("classifier")(maps.mean((2, 3)))
        torch.testing.assert_close(module(frames(2, 64)), expected)


# --- the head


@pytest.mark.parametrize(
    "name",
    [
        *PAPER, *MODERN, "vgg16", "vgg19_bn", "densenet121", "inception_v3", "mnasnet0_5", "mobilenet_v2", "maxvit_t",
        "resnext50_32x4d", "wide_resnet50_2", "shufflenet_v2_x1_0", "squeezenet1_0", "swin_v2_t", "vit_b_16",
        "efficientnet_b3", "regnet_x_400mf", "thin_resnet10", "wide_stem_resnet18",
    ],
)  # fmt: skip
def test_the_head_is_the_layer_whose_results_are_the_labels(name: str) -> None:
    module = empty(lambda: training_network(name, 7))
    found, layer = head(module)
    assert module.get_submodule(found) is layer
    assert (layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels) == 7
    assert not found.startswith(networks.AUXILIARY)


@pytest.mark.parametrize("name", [SMALL, "nin", "mobilenet_v3_small", "squeezenet1_1", "thin_resnet10", "googlenet"])
def test_what_the_head_gives_is_what_the_network_gives(name: str) -> None:
    module = training_network(name, 3, seed=1).eval()
    _, layer = head(module)
    with torch.inference_mode():
        layer.weight.zero_()
        assert layer.bias is not None
        layer.bias.copy_(torch.tensor([1.0, 2.0, 3.0]))
        torch.testing.assert_close(module(frames(2, 64)), torch.tensor([[1.0, 2.0, 3.0]] * 2))


# --- initial weights and auxiliary heads


def test_the_seed_alone_decides_the_initial_weights() -> None:
    torch.manual_seed(5)
    first = training_network(SMALL, 4, seed=1)
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(1)), "random numbers of the process were used up"
    assert first.training
    assert same(state(first), state(training_network(SMALL, 4, seed=1)))
    assert not same(state(first), state(training_network(SMALL, 4, seed=2)))
    torch.manual_seed(1)
    assert same(state(first), state(training_network(SMALL, 4)))
    with pytest.raises(ModelError, match="nearest"):
        training_network("resnet-18", 2)


def test_googlenet_gives_auxiliary_logits_in_training_only_the_first_head_first() -> None:
    module = training_network("googlenet", 5, seed=1)
    given: list[torch.Tensor] = []
    for name in ("aux1", "aux2"):
        module.get_submodule(name).register_forward_hook(lambda _m, _i, result: given.append(result))
    logits, auxiliary = outputs(module, frames(2, 64))
    assert logits.shape == (2, 5)
    assert len(auxiliary) == 2
    assert all(mine is seen for mine, seen in zip(auxiliary, given, strict=True))
    sum(each.sum() for each in (logits, *auxiliary)).backward()
    assert all(parameter.grad is not None for parameter in module.parameters())
    logits, auxiliary = outputs(module.eval(), frames(2, 64))
    assert logits.shape == (2, 5)
    assert auxiliary == ()


def test_other_networks_have_no_auxiliary_logits() -> None:
    logits, auxiliary = outputs(training_network("thin_resnet10", 5), frames(2))
    assert logits.shape == (2, 5)
    assert auxiliary == ()


def test_inception_has_an_auxiliary_head_only_for_frames_that_are_large_enough() -> None:
    for crop, number in ((None, 0), ((224, 299), 0), ((299, 299), 1)):
        with torch.device("meta"):
            module = training_network("inception_v3", 5, crop=crop)
            logits, auxiliary = outputs(module, torch.zeros(2, 3, *(crop or (224, 224))))
        assert logits.shape == (2, 5)
        assert [each.shape for each in auxiliary] == [(2, 5)] * number


class Wrapper(nn.Module):
    """As several processes have it around a network."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module


@pytest.mark.parametrize("name", ["googlenet", SMALL, "thin_resnet10"])
def test_the_deployable_network_gives_what_the_trained_one_gives(name: str) -> None:
    module = lived_in(training_network(name, 5, seed=1))
    with torch.no_grad():
        plain = deployable(Wrapper(module), name, 5)
        assert not plain.training
        assert plain.state_dict().keys() == build(name, 5).state_dict().keys()
        result = plain(frames(2, 64, seed=9))
        assert not torch.equal(result[0], result[1])
        assert torch.equal(result, module.eval()(frames(2, 64, seed=9)))
        for parameter in module.parameters():
            parameter.zero_()
        assert torch.equal(result, plain(frames(2, 64, seed=9))), "the two must not share memory"


# --- starting from other weights


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """Of torchvision's format and number of classes."""
    return state(training_network(SMALL, 1000, seed=3))


LABELS = ("ant", "bee", "cat")


def begin(path: Path | str | None, name: str = SMALL, labels: tuple[str, ...] = LABELS) -> tuple[nn.Module, Any]:
    module = training_network(name, len(labels), seed=1)
    return module, start(module, name, path, labels)


def refused(path: Path, name: str = SMALL) -> str:
    """Return why a file is refused, and see that the network is as it was."""
    module = training_network(name, 3, seed=1)
    before = state(module)
    with pytest.raises(ConfigError) as caught:
        start(module, name, path, LABELS)
    assert same(before, state(module))
    assert len(caught.value.problems) == 1
    return str(caught.value)


def test_scratch_is_the_random_weights() -> None:
    for nothing in (None, ""):
        module, report = begin(nothing)
        assert report.kind == "scratch"
        assert same(state(module), state(training_network(SMALL, 3, seed=1)))
        assert report.as_table()["sha256"] == ""


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_published_weights_fit_but_for_the_classifier(
    ending: str, weights: dict[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no(*_: object, **__: object) -> None:
        raise AssertionError("a download")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", no)
    path = tmp_path / f"weights.{ending}"
    torch.save(weights, path) if ending == "pth" else save_file(weights, path)
    module, report = begin(path)
    fresh = state(training_network(SMALL, 3, seed=1))
    for name, tensor in state(module).items():
        assert torch.equal(tensor, fresh[name] if name.startswith("fc.") else weights[name])
    assert (report.kind, report.file, report.head) == ("weights", path.name, "new")
    assert report.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert report.left_out == ("fc.bias", "fc.weight")
    assert report.tensors == len(weights) - 2
    assert report.normalisation == (MEAN, STD)
    assert report.sha256[:16] in str(report)


def test_a_classifier_of_the_same_shape_is_kept(tmp_path: Path) -> None:
    other = training_network(SMALL, 3, seed=8)
    # As a wrapper of several processes names them.
    torch.save({f"module.{name}": tensor for name, tensor in other.state_dict().items()}, tmp_path / "w.pth")
    module, report = begin(tmp_path / "w.pth")
    assert same(state(module), state(other))
    assert report.head == "kept"
    assert report.left_out == ()


def test_half_precision_weights_become_single_precision(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    save_file({k: v.half() if v.is_floating_point() else v for k, v in weights.items()}, tmp_path / "w.safetensors")
    module, _ = begin(tmp_path / "w.safetensors")
    assert module.get_parameter("conv1.0.weight").dtype is torch.float32
    assert torch.equal(module.get_parameter("conv1.0.weight"), weights["conv1.0.weight"].half().float())


def test_weights_of_another_architecture_are_recognised(tmp_path: Path) -> None:
    torch.save(training_network("mobilenet_v3_small", 1000).state_dict(), tmp_path / "w.pth")
    said = refused(tmp_path / "w.pth")
    assert f"do not fit {SMALL}" in said
    assert "it is a mobilenet_v3_small" in said
    missing = len([key for key in build(SMALL, 3).state_dict() if not key.startswith("fc.") and "num_b" not in key])
    assert f"{missing} tensors are missing (first: conv1.0.weight)" in said


def test_everything_that_does_not_fit_is_counted_and_named(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    changed = dict(weights)
    del changed["conv5.1.weight"]
    changed["conv1.0.weight"] = torch.zeros(24, 3, 5, 5)
    changed["somebody.else"] = torch.zeros(1)
    changed["conv5.0.weight"] = torch.full_like(weights["conv5.0.weight"], torch.nan)
    changed["conv5.1.bias"] = torch.zeros(1024, dtype=torch.int32)
    torch.save(changed, tmp_path / "w.pth")
    said = refused(tmp_path / "w.pth")
    assert "1 tensors are missing (first: conv5.1.weight)" in said
    assert "1 do not belong to it (first: somebody.else)" in said
    assert "1 have another shape (first: conv1.0.weight is 24 x 3 x 5 x 5 and must be 24 x 3 x 3 x 3)" in said
    assert "2 hold values that are not finite or not of the right kind (first: conv5.0.weight)" in said
    assert "take a file of the same architecture" in said


class Program:
    """What runs something when it is read by pickle."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_a_file_that_holds_a_program_is_refused_and_does_not_run(tmp_path: Path) -> None:
    torch.save({"conv1.0.weight": Program(tmp_path / "ran")}, tmp_path / "w.pth")
    assert "could run as a program" in refused(tmp_path / "w.pth")
    torch.save(nn.Linear(2, 2), tmp_path / "v.pth")
    assert "state_dict()" in refused(tmp_path / "v.pth")
    assert not (tmp_path / "ran").exists()


def test_a_checkpoint_with_more_than_tensors_is_refused_with_what_to_save(
    weights: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    torch.save({"state_dict": weights, "epoch": 3}, tmp_path / "w.pth")
    said = refused(tmp_path / "w.pth")
    assert "2 of its 2 entries are not tensors ('state_dict', 'epoch')" in said
    assert "save its `state_dict` alone" in said
    for other, expected in (([1, 2], "holds a list"), ({}, "holds a dict"), (torch.zeros(2), "holds a Tensor")):
        torch.save(other, tmp_path / "v.pth")
        assert expected in refused(tmp_path / "v.pth")


def test_files_that_are_no_weights_are_refused_by_name(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    assert "must be a local file" in refused(tmp_path / "missing.pth")
    assert "cannot be read" in refused(tmp_path)
    torch.save(weights, tmp_path / "cut.pth")
    with (tmp_path / "cut.pth").open("r+b") as file:
        file.truncate(100_000)
    (tmp_path / "empty.pth").touch()
    (tmp_path / "text.pth").write_text("weights")
    for name in ("cut", "empty", "text"):
        assert "is damaged" in refused(tmp_path / f"{name}.pth")
    (tmp_path / "w.safetensors").write_bytes(b"nonsense" * 9)
    assert "not a safetensors file" in refused(tmp_path / "w.safetensors")


def test_files_from_before_batch_norms_counted_are_read(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save({k: v for k, v in weights.items() if "num_batches_tracked" not in k}, tmp_path / "w.pth")
    module, _ = begin(tmp_path / "w.pth")
    assert torch.equal(module.get_parameter("conv1.0.weight"), weights["conv1.0.weight"])


def test_a_file_without_a_classifier_gets_a_new_one(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save({k: v for k, v in weights.items() if not k.startswith("fc.")}, tmp_path / "w.pth")
    assert begin(tmp_path / "w.pth")[1].head == "new"


def test_names_of_files_published_long_ago_are_understood() -> None:
    old = {
        "features.denseblock1.denselayer12.norm.1.running_mean": "features.denseblock1.denselayer12.norm1.running_mean",
        "features.denseblock4.denselayer3.conv.2.weight": "features.denseblock4.denselayer3.conv2.weight",
        "encoder.layers.encoder_layer_0.mlp.linear_1.weight": "encoder.layers.encoder_layer_0.mlp.0.weight",
        "encoder.layers.encoder_layer_0.mlp.linear_2.bias": "encoder.layers.encoder_layer_0.mlp.3.bias",
    }
    assert list(networks._renamed(dict.fromkeys(old, torch.zeros(1)))) == list(old.values())
    for name in ("densenet121", "vit_b_32"):
        now = empty(lambda name=name: build(name, 2)).state_dict()
        assert set(old.values()) & now.keys()
        assert list(networks._renamed(now)) == list(now)


def test_auxiliary_heads_are_taken_where_they_fit(tmp_path: Path) -> None:
    other = training_network("googlenet", 5, seed=4)
    torch.save(other.state_dict(), tmp_path / "w.pth")
    module, report = begin(tmp_path / "w.pth", "googlenet")
    assert report.left_out == (
        "aux1.fc2.bias", "aux1.fc2.weight", "aux2.fc2.bias", "aux2.fc2.weight", "fc.bias", "fc.weight"
    )  # fmt: skip
    assert torch.equal(module.get_parameter("aux1.fc1.weight"), other.get_parameter("aux1.fc1.weight"))
    assert report.normalisation == ((0.5,) * 3, (0.5,) * 3)
    torch.save(deployable(other, "googlenet", 5).state_dict(), tmp_path / "v.pth")
    module, report = begin(tmp_path / "v.pth", "googlenet", tuple("abcde"))
    assert report.head == "kept"
    assert not torch.equal(module.get_parameter("aux1.fc1.weight"), other.get_parameter("aux1.fc1.weight"))


# --- starting from a model of ctwatch


def write(path: Path, labels: tuple[str, ...], name: str = "thin_resnet10") -> tuple[ModelInfo, nn.Module]:
    module = training_network(name, len(labels), seed=7)
    info = ModelInfo("", "a model", Task.SPECIES, name, labels, PREPROCESSING, 1.0)
    saved = model_file.save(path, module, info, half=False)
    return saved, module


def test_a_model_with_other_labels_lends_what_both_know(tmp_path: Path) -> None:
    info, other = write(tmp_path / "m.safetensors", ("dog", "cat", "ant"))
    module, report = begin(tmp_path / "m.safetensors", "thin_resnet10", LABELS)
    fresh = training_network("thin_resnet10", 3, seed=1)
    for kind in ("weight", "bias"):
        now, old, new = (each.get_parameter(f"classifier.{kind}") for each in (module, other, fresh))
        assert torch.equal(now[0], old[2])
        assert torch.equal(now[1], new[1])
        assert torch.equal(now[2], old[1])
    assert torch.equal(module.get_parameter("stem.0.weight"), other.get_parameter("stem.0.weight"))
    assert (report.kind, report.head, report.labels_kept) == ("model", "in part", ("ant", "cat"))
    assert report.model_id == info.model_id
    assert report.normalisation == (PREPROCESSING.mean, PREPROCESSING.std)
    assert "ant, cat" in str(report)


@pytest.mark.parametrize(
    ("labels", "expected"), [(LABELS, "kept"), (("cat", "ant"), "kept"), (("x", "y", "z", "w"), "new")]
)
def test_the_head_of_a_model_is_kept_as_far_as_its_labels_are(
    labels: tuple[str, ...], expected: str, tmp_path: Path
) -> None:
    _, other = write(tmp_path / "m.safetensors", LABELS)
    module, report = begin(tmp_path / "m.safetensors", "thin_resnet10", labels)
    assert report.head == expected
    source = other if expected == "kept" else training_network("thin_resnet10", 4, seed=1)
    rows = [LABELS.index(label) for label in labels] if expected == "kept" else list(range(4))
    now, old = (each.get_parameter("classifier.weight") for each in (module, source))
    assert torch.equal(now, old[rows])


def test_a_model_of_another_architecture_says_which(tmp_path: Path) -> None:
    write(tmp_path / "m.safetensors", LABELS)
    assert f"is a thin_resnet10, not a {SMALL}" in refused(tmp_path / "m.safetensors")


# --- which weights learn


@pytest.mark.parametrize("name", ["thin_resnet10", "mobilenet_v3_small", "efficientnet_b0", "squeezenet1_1"])
def test_a_frozen_backbone_stays_as_it_is_to_the_last_bit(name: str) -> None:
    module = lived_in(training_network(name, 3, seed=1))
    freeze_backbone(module)
    module.train()
    before, (last, _) = state(module), head(module)
    optimiser = torch.optim.SGD(parameter_groups(module), lr=0.1)
    for step in range(2):
        optimiser.zero_grad()
        logits, _ = outputs(module, frames(4, 48, seed=step))
        logits.square().sum().backward()
        optimiser.step()
    changed = {key for key, value in state(module).items() if not torch.equal(value, before[key])}
    assert changed == {f"{last}.weight", f"{last}.bias"}
    with torch.no_grad():
        assert torch.equal(module(frames(2, 48)), module(frames(2, 48))), "dropout and stochastic depth are off"
        assert torch.equal(copy.deepcopy(module).train()(frames(2, 48)), module.eval()(frames(2, 48)))


def test_unfreezing_takes_freezing_back() -> None:
    module = training_network("mobilenet_v3_small", 3, seed=1)
    kinds = [type(layer) for layer in module.modules()]
    freeze_backbone(module)
    freeze_backbone(module)
    module.train()
    unfreeze(module)
    assert [type(layer) for layer in module.modules()] == kinds
    assert all(parameter.requires_grad for parameter in module.parameters())
    assert all(layer.training for layer in module.modules())
    before = state(module)
    module(frames(4))
    assert not torch.equal(before["features.0.1.running_mean"], state(module)["features.0.1.running_mean"])


def test_frozen_auxiliary_heads_have_no_part_in_the_loss() -> None:
    module = training_network("googlenet", 3, seed=1)
    freeze_backbone(module)
    assert outputs(module.train(), frames(2, 64))[1] == ()


@pytest.mark.parametrize("name", ["googlenet", "vit_b_32", "swin_v2_t", "convnext_tiny", "regnet_y_400mf"])
@pytest.mark.parametrize("decay_on", ["weights", "all"])
def test_every_parameter_that_learns_is_in_one_group(name: str, decay_on: str) -> None:
    module = empty(lambda: training_network(name, 3))
    groups = parameter_groups(module, decay_on, 0.1)
    inside = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(inside) == sorted(id(parameter) for parameter in module.parameters())
    last, _ = head(module)
    kinds = {id(parameter): group for group in groups for parameter in group["params"]}
    layers = (nn.Linear, nn.Conv2d)
    matrices = {id(layer.weight) for layer in module.modules() if isinstance(layer, layers)}
    matrices |= {id(m.in_proj_weight) for m in module.modules() if isinstance(m, nn.MultiheadAttention)}
    for parameter_name, parameter in module.named_parameters():
        group = kinds[id(parameter)]
        at_end = parameter_name.startswith((f"{last}.", "aux"))
        assert group["scale"] == (1.0 if at_end else 0.1), parameter_name
        assert group["decayed"] == (decay_on == "all" or id(parameter) in matrices), parameter_name


def test_parameters_that_do_not_learn_are_in_no_group() -> None:
    module = training_network("thin_resnet10", 3)
    freeze_backbone(module)
    assert [len(group["params"]) for group in parameter_groups(module)] == [1, 1]


# --- heads on stored features


PIXELS = np.random.default_rng(0).integers(0, 256, (11, 3, 40, 48), dtype=np.uint8)
ROWS = np.array([9, 2, 5, 0, 10, 3, 7], np.int64)
OPTIONS: dict[str, Any] = {"set_fingerprint": "f" * 32, "batch_size": 3}


class Counted:
    """Pixels, and which rows were asked for."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.rows: list[int] = []
        self.fail_at = fail_at

    def __call__(self, rows: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, np.dtype[np.uint8]]:
        if self.fail_at is not None and len(self.rows) >= self.fail_at:
            raise KeyboardInterrupt
        self.rows += rows.tolist()
        return PIXELS[rows]


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "BLOCK", 3)


@pytest.mark.parametrize("name", ["thin_resnet10", SMALL, "mobilenet_v3_small", "nin", "googlenet"])
def test_head_on_stored_features_is_the_whole_network(name: str, tmp_path: Path) -> None:
    module = lived_in(training_network(name, 4, seed=1), 32)
    kept = cached_features(module, PIXELS.__getitem__, ROWS, PREPROCESSING, tmp_path / "f", **OPTIONS)
    assert module.training
    assert (kept.values.std((0, 1)) > 0).mean() > 0.3
    pixels = torch.from_numpy(PIXELS[ROWS])
    module.eval()
    for variant in (0, 1):
        looked = prepare(pixels, PREPROCESSING)
        with torch.inference_mode():
            expected = module(looked.flip(-1) if variant else looked).numpy()
        np.testing.assert_allclose(head_logits(module, kept, variant), expected, rtol=1e-4, atol=1e-4)
    assert kept.computed == len(ROWS)
    assert kept.values.dtype == np.float32
    assert not kept.values.flags.writeable


def test_half_precision_takes_half_the_disk_and_hardly_differs(tmp_path: Path) -> None:
    module = training_network("thin_resnet10", 4, seed=1)
    whole = cached_features(module, PIXELS.__getitem__, ROWS, PREPROCESSING, tmp_path / "a", **OPTIONS)
    half = cached_features(module, PIXELS.__getitem__, ROWS, PREPROCESSING, tmp_path / "b", half=True, **OPTIONS)
    assert half.path.stat().st_size * 2 == whole.path.stat().st_size
    np.testing.assert_allclose(half.values, whole.values, rtol=1e-3, atol=1e-3)


def test_features_are_computed_once_until_what_they_depend_on_changes(tmp_path: Path) -> None:
    module = training_network("thin_resnet10", 4, seed=1)
    other = Preprocessing(PREPROCESSING.canvas, (30, 32), PREPROCESSING.mean, PREPROCESSING.std)
    wider = training_network("thin_resnet10", 4, seed=2)

    def computed(network: nn.Module = module, rows: Any = ROWS, how: Preprocessing = PREPROCESSING, **more: Any) -> int:
        done: list[tuple[int, int]] = []
        kept = cached_features(
            network, Counted(), rows, how, tmp_path / "f", **{**OPTIONS, **more}, progress=lambda *n: done.append(n)
        )
        assert done == [(3, 7), (6, 7), (7, 7)]
        return kept.computed

    assert computed() == 7
    assert computed() == 0
    with torch.no_grad():
        head(module)[1].weight.add_(1)
    assert computed() == 0, "features do not depend on the head"
    for change in ({"network": wider}, {"rows": ROWS[::-1]}, {"how": other}, {"set_fingerprint": "g"}, {"half": True}):
        assert computed(**change) == 7
        assert computed() == 7


def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path) -> None:
    module = training_network("thin_resnet10", 4, seed=1)
    whole = cached_features(module, Counted(), ROWS, PREPROCESSING, tmp_path / "whole", **OPTIONS)
    with pytest.raises(KeyboardInterrupt):
        cached_features(module, Counted(fail_at=6), ROWS, PREPROCESSING, tmp_path / "f", **OPTIONS)
    assert module.training
    pixels = Counted()
    again = cached_features(module, pixels, ROWS, PREPROCESSING, tmp_path / "f", **OPTIONS)
    assert pixels.rows == ROWS[6:].tolist()
    np.testing.assert_array_equal(again.values, whole.values)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), flipped=st.integers(1, 255), cut=st.booleans())
def test_damage_anywhere_is_found_and_only_its_block_is_computed_again(
    place: float, flipped: int, cut: bool, tmp_path: Path
) -> None:
    module = training_network("thin_resnet10", 4, seed=1)
    kept = cached_features(module, Counted(), ROWS, PREPROCESSING, tmp_path / "f", **OPTIONS)
    expected = kept.values.copy()
    data = bytearray(kept.path.read_bytes())
    at = int(place * len(data))
    # A cut that takes zeros away is no damage: the file is filled up with zeros.
    lost = any(data[at:])
    data = data[:at] if cut else data[:at] + bytes([data[at] ^ flipped]) + data[at + 1 :]
    kept.path.write_bytes(data)
    again = cached_features(module, Counted(), ROWS, PREPROCESSING, tmp_path / "f", **OPTIONS)
    np.testing.assert_array_equal(again.values, expected)
    if cut:
        assert (again.computed > 0) == lost
    else:
        assert again.computed == (1 if at * 7 // len(data) == 6 else 3)


def test_a_damaged_description_costs_a_new_computation(tmp_path: Path) -> None:
    module = training_network("thin_resnet10", 4, seed=1)
    cached_features(module, Counted(), ROWS, PREPROCESSING, tmp_path / "f", **OPTIONS)
    for content in ("{", "[]", '{"key": 3}', ""):
        (tmp_path / "f.json").write_text(content)
        assert cached_features(module, Counted(), ROWS, PREPROCESSING, tmp_path / "f", **OPTIONS).computed == 7


def test_a_head_that_is_a_convolution_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="SqueezeNet"):
        cached_features(build("squeezenet1_1", 3), Counted(), ROWS, PREPROCESSING, tmp_path / "f", **OPTIONS)


def made_up(tmp_path: Path, module: nn.Module, counts: tuple[int, ...]) -> tuple[stored.Features, Any]:
    """Features of labels that a line can tell apart."""
    random = np.random.default_rng(1)
    targets = np.repeat(np.arange(len(counts)), counts)
    values = random.normal(0, 1, (len(targets), 2, 192)).astype(np.float32)
    values[np.arange(len(targets)), :, targets] += 6
    return stored.Features(tmp_path / "f.bin", values, 0), targets


def test_a_head_learns_and_nothing_else_changes(tmp_path: Path) -> None:
    module = training_network("thin_resnet10", 3, seed=1)
    kept, targets = made_up(tmp_path, module, (40, 30, 20))
    before = state(module)
    for optimiser in ("adamw", "sgd"):
        module.load_state_dict(before)
        losses = train_head(
            module, kept, targets, epochs=20, learning_rate=0.01, seed=1, batch_size=16, optimiser=optimiser
        )
        assert len(losses) == 20
        assert losses[-1] < 0.2 * losses[0]
        for variant in (0, 1):
            assert (head_logits(module, kept, variant).argmax(1) == targets).mean() > 0.97
        changed = {key for key, value in state(module).items() if not torch.equal(value, before[key])}
        assert changed == {"classifier.weight", "classifier.bias"}
        assert all(parameter.requires_grad for parameter in module.parameters())


def test_the_same_seed_gives_the_same_head(tmp_path: Path) -> None:
    found = []
    for seed in (1, 1, 2):
        module = training_network("thin_resnet10", 3, seed=1)
        kept, targets = made_up(tmp_path, module, (9, 8, 7))
        train_head(module, kept, targets, epochs=2, learning_rate=0.01, seed=seed, batch_size=8)
        found.append(state(module)["classifier.weight"])
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_balanced_draws_show_every_label_equally_often(tmp_path: Path) -> None:
    module = training_network("thin_resnet10", 2, seed=1)
    kept, targets = made_up(tmp_path, module, (90, 10))
    for balanced, share in ((True, 0.5), (False, 0.1)):
        seen: list[torch.Tensor] = []

        def loss(logits: torch.Tensor, wanted: torch.Tensor, seen: list[torch.Tensor] = seen) -> torch.Tensor:
            seen.append(wanted)
            return logits.sum()

        train_head(
            module, kept, targets, epochs=3, learning_rate=0.001, seed=1, batch_size=20, balanced=balanced, loss=loss
        )
        assert float(torch.cat(seen).float().mean()) == pytest.approx(share, abs=0.02)
        assert sum(len(each) for each in seen) == 300


def test_frames_without_a_label_teach_the_head_to_be_undecided(tmp_path: Path) -> None:
    module = training_network("thin_resnet10", 2, seed=1)
    kept, groups = made_up(tmp_path, module, (40, 40, 40))
    targets = np.where(groups == 2, -1, groups)
    train_head(module, kept, targets, epochs=60, learning_rate=0.02, seed=1, batch_size=40, weight_decay=0.1)
    chances = torch.softmax(torch.from_numpy(head_logits(module, kept)), 1).numpy()
    assert np.abs(chances[targets == -1, 0] - 0.5).mean() < 0.2
    assert (chances.argmax(1) == targets)[targets >= 0].mean() > 0.95


def test_what_a_head_cannot_learn_from_is_refused(tmp_path: Path) -> None:
    module = training_network("thin_resnet10", 3, seed=1)
    kept, targets = made_up(tmp_path, module, (4, 4, 4))
    before = state(module)
    for wrong in (targets[:-1], targets + 1, targets - 2):
        with pytest.raises(ValueError, match="targets"):
            train_head(module, kept, wrong, epochs=1, learning_rate=0.1, seed=1)
    with pytest.raises(ConfigError, match="head_learning_rate"):
        train_head(module, kept, targets, epochs=9, learning_rate=1e38, seed=1, batch_size=4, optimiser="sgd")
    assert same(before, state(module))


def test_every_name_that_recipes_may_use_is_one_that_can_be_built() -> None:
    assert {*PAPER, *MODERN} <= set(names())
