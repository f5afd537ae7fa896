"""Networks while they are trained: auxiliary heads, weights to start from, and which of the weights learn."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
import torchvision
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from ctwatch.errors import ConfigError
from ctwatch.nets.architectures import build
from ctwatch.nets.model_file import load

AUXILIARY = ("aux1", "aux2", "AuxLogits")
"""torchvision's names for the classifiers on half-way features: two of GoogLeNet, one of Inception v3."""
INCEPTION_SIDE = 299
"""The auxiliary classifier of Inception v3 needs frames of this size."""
HALF = (0.5, 0.5, 0.5)

Normalisation = tuple[tuple[float, float, float], tuple[float, float, float]]
_RESTLESS = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd, StochasticDepth)
"""Layers that do in training what they do not do afterwards."""


def training_network(
    architecture: str, n_labels: int, *, seed: int | None = None, crop: tuple[int, int] | None = None
) -> nn.Module:
    """Return an untrained network in training mode, with auxiliary heads where the architecture has them.

    GoogLeNet has two (Szegedy et al. 2015), started as torchvision starts it. Inception v3 has one if the frames are
    large enough for it. Read its results with `outputs`, and take the heads off with `deployable`.

    Args:
        architecture: One of `ctwatch.nets.architectures.names()`.
        n_labels: 2 or more.
        seed: Of the initial weights: the same number, the same weights, whatever was drawn before; the random numbers
            of the process stay as they are. None draws from them.
        crop: Height and width of the frames; without it, Inception v3 gets no auxiliary head.

    Raises:
        ModelError: The architecture is unknown.
    """
    if seed is not None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return training_network(architecture, n_labels, crop=crop)
    large = crop is not None and min(crop) >= INCEPTION_SIDE
    if architecture == "googlenet" or (architecture == "inception_v3" and large):
        module: nn.Module = torchvision.models.get_model(
            architecture, weights=None, num_classes=n_labels, aux_logits=True, init_weights=True
        )
        return module.train()
    return build(architecture, n_labels).train()


def outputs(module: nn.Module, frames: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return the logits (N, K) of frames (N, 3, H, W), and those of the auxiliary heads, the first in the network first.

    There are auxiliary logits in training mode only, and only of heads that learn. The loss of Norouzzadeh et al. 2018
    and Szegedy et al. 2015 is that of the logits + 0.3 x the sum of the others'.
    """
    result = module(frames)
    if isinstance(result, Tensor):
        return result, ()
    # torchvision names the last head first.
    heads = [each for each in reversed(result[1:]) if each is not None]
    return result[0], tuple(each for each in heads if each.requires_grad or not torch.is_grad_enabled())


def deployable(module: nn.Module, architecture: str, n_labels: int) -> nn.Module:
    """Return the plain network of `ctwatch.nets.architectures.build` with a trained network's weights.

    It is on the processor, in evaluation mode, without auxiliary heads, and gives what the trained one gives in
    evaluation mode. Wrappers of several processes and of torch.compile are taken off.
    """
    for wrapper in ("_orig_mod", "module"):
        module = getattr(module, wrapper, module)
    plain = build(architecture, n_labels)
    state = plain.state_dict()
    for name, tensor in module.state_dict().items():
        if not _is_auxiliary(name):
            state[name] = tensor.detach().to("cpu", copy=True)
    plain.load_state_dict(state)
    return plain.eval()


def head(module: nn.Module) -> tuple[str, nn.Linear | nn.Conv2d]:
    """Return name and layer of the classifier: the last layer with weights, whose results are the labels.

    Holds for every architecture that ctwatch builds. It is linear but for SqueezeNet, which classifies each position by
    a convolution of 1 x 1.
    """
    name, layer = [(n, m) for n, m in module.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1]
    return name, layer


@dataclass(frozen=True, slots=True)
class StartReport:
    """Where a network's weights came from."""

    kind: Literal["scratch", "weights", "model"]
    """Random numbers; a state dict in torchvision's format; or another model file of ctwatch."""
    file: str = ""
    """Its name, without folder."""
    sha256: str = ""
    """Of the file's bytes, 64 hexadecimal digits."""
    model_id: str = ""
    """Of a ctwatch model."""
    tensors: int = 0
    """That were taken over."""
    left_out: tuple[str, ...] = ()
    """Names of tensors of the file that were not: of the classifier, of auxiliary heads."""
    head: Literal["new", "kept", "in part"] = "new"
    """in part: labels that both know have their old weights, the others new ones."""
    labels_kept: tuple[str, ...] = ()
    normalisation: Normalisation | None = None
    """Mean and standard deviation per channel that the weights were trained with, of values in 0..1: the model's own, or
    what torchvision's published weights of this architecture have (half for GoogLeNet and Inception v3)."""

    def as_table(self) -> dict[str, Any]:
        """Return plain values for the model file and its card."""
        return asdict(self)

    def __str__(self) -> str:
        if self.kind == "scratch":
            return "starts from random weights"
        heads = {"new": "with a new classifier", "kept": "with its classifier"}
        of_head = heads.get(self.head, f"with the classifier's weights for {', '.join(self.labels_kept)}")
        return f"starts from {self.file} ({self.tensors} tensors, SHA-256 {self.sha256[:16]}), {of_head}"


def start(module: nn.Module, architecture: str, source: str | Path | None, labels: Sequence[str]) -> StartReport:
    """Put the weights of a local file into a network; nothing is ever downloaded.

    The file is a state dict in torchvision's own format (`.pth` read with `weights_only`, or `.safetensors`), or a model
    file of ctwatch. The classifier of a state dict is left out when its shape differs; that of a ctwatch model with other
    labels is new, but for labels that both have. Auxiliary heads are taken if they fit. All else must fit.

    Args:
        module: From `training_network(architecture, len(labels))`; its own classifier stays where none is taken over.
            Nothing is changed if the file is refused.
        architecture: Its name, for messages.
        source: The file; empty or None leaves the random weights.
        labels: In the order of the network's results.

    Raises:
        ConfigError: The file is not there, holds anything but tensors, or does not fit; all problems are listed.
        ModelError: It is a damaged model file of ctwatch.
    """
    if source is None or not str(source):
        return StartReport("scratch")
    path = Path(source)
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        wrong = f"{path}: cannot be read ({error.strerror or error}); start.weights must be a local file"
        raise ConfigError([wrong]) from error
    report = StartReport("weights", path.name, digest)
    if _is_model(path):
        return _from_model(module, architecture, path, labels, report)
    tensors = _renamed(_tensors(path))
    wanted = module.state_dict()
    name, _ = head(module)
    own = {key for key in wanted if key.rpartition(".")[0] == name}
    fits = all(key in tensors and tensors[key].shape == wanted[key].shape for key in own)
    taken, left_out = _fitting(path, architecture, tensors, wanted, set() if fits else own)
    _fill(module, taken)
    kept: Literal["kept", "new"] = "kept" if fits else "new"
    return replace(report, tensors=len(taken), left_out=left_out, head=kept, normalisation=_published(architecture))


def _from_model(
    module: nn.Module, architecture: str, path: Path, labels: Sequence[str], report: StartReport
) -> StartReport:
    info, net = load(path)
    if info.architecture != architecture:
        remedy = f"train a {info.architecture}, or start from the weights of a {architecture}"
        raise ConfigError([f"{path}: is a {info.architecture}, not a {architecture}; {remedy}"])
    tensors, wanted = net.state_dict(), module.state_dict()
    name, _ = head(module)
    own = {key for key in wanted if key.rpartition(".")[0] == name}
    taken, _ = _fitting(path, architecture, tensors, wanted, own)
    common = [label for label in labels if label in info.labels]
    here = [list(labels).index(label) for label in common]
    there = [info.labels.index(label) for label in common]
    for key in own:
        rows = wanted[key].detach().clone()
        rows[here] = tensors[key][there].to(rows)
        taken[key] = rows
    _fill(module, taken)
    return replace(
        report,
        kind="model",
        model_id=info.model_id,
        tensors=len(taken) if common else len(taken) - len(own),
        left_out=() if common else tuple(sorted(own)),
        head="kept" if len(common) == len(labels) else "in part" if common else "new",
        labels_kept=tuple(common),
        normalisation=(info.preprocessing.mean, info.preprocessing.std),
    )


def _is_auxiliary(name: str) -> bool:
    return name.split(".", 1)[0] in AUXILIARY


def _is_model(path: Path) -> bool:
    if path.suffix != ".safetensors":
        return False
    try:
        with safe_open(path, framework="pt") as file:
            return "ctwatch" in (file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise ConfigError([f"{path}: is not a safetensors file ({error}); copy it again from where it came"]) from error


def _tensors(path: Path) -> dict[str, Tensor]:
    """Return a state dict of a file, or refuse what else it may hold."""
    if path.suffix == ".safetensors":
        return load_file(path)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a reader of foreign formats raises whatever its parts raise
        said = next(iter(str(error).strip().splitlines()), type(error).__name__)
        wrong = f"{path}: is damaged, or holds more than tensors, which could run as a program ({said})"
        raise ConfigError([f"{wrong}; save only the network's state_dict(), best as .safetensors"]) from error
    if not isinstance(found, Mapping) or not found:
        raise ConfigError([f"{path}: holds a {type(found).__name__}, not the tensors of a network by name"])
    others = [str(key) for key, value in found.items() if not isinstance(value, Tensor) or not isinstance(key, str)]
    if others:
        inside = [key for key in ("state_dict", "model", "model_state_dict", "model_ema") if key in others]
        remedy = f"save its `{inside[0]}` alone" if inside else "save only the network's state_dict()"
        named = ", ".join(repr(key) for key in others[:3]) + (", ..." if len(others) > 3 else "")
        raise ConfigError([f"{path}: {len(others)} of its {len(found)} entries are not tensors ({named}); {remedy}"])
    return dict(found)


_DENSE = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")
_PERCEPTRON = re.compile(r"\.mlp\.linear_([12])\.")


def _renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors by today's names: files published long ago have others for DenseNet and the vision transformers."""
    result = {}
    parallel = all(name.startswith("module.") for name in tensors)
    for old, tensor in tensors.items():
        name = old.removeprefix("module.") if parallel else old
        name = _DENSE.sub(r"\1\2", name)
        name = _PERCEPTRON.sub(lambda found: f".mlp.{3 * (int(found[1]) - 1)}.", name)
        result[name] = tensor
    return result


def _fitting(
    path: Path, architecture: str, tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], skipped: set[str]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return the tensors to take over and the names of those left out."""
    taken, left_out = {}, []
    missing = [
        key
        for key in wanted
        # Files from before batch norms counted have no counters.
        if key not in tensors and key not in skipped and not _is_auxiliary(key) and "num_batches_tracked" not in key
    ]
    extra, misshapen, unusable = [], [], []
    for key, tensor in tensors.items():
        here = wanted.get(key)
        if key in skipped or (_is_auxiliary(key) and (here is None or here.shape != tensor.shape)):
            left_out.append(key)
        elif here is None:
            extra.append(key)
        elif here.shape != tensor.shape:
            misshapen.append(f"{key} is {_size(tensor)} and must be {_size(here)}")
        elif here.is_floating_point() != tensor.is_floating_point() or not _finite(tensor):
            unusable.append(key)
        else:
            taken[key] = tensor
    kinds = {
        "tensors are missing": missing,
        "do not belong to it": extra,
        "have another shape": misshapen,
        "hold values that are not finite or not of the right kind": unusable,
    }
    problems = [f"{len(found)} {what} (first: {found[0]})" for what, found in kinds.items() if found]
    if problems:
        other = _recognised(tensors)
        remedy = f"it is a {other}" if other else "take a file of the same architecture"
        raise ConfigError([f"{path}: its weights do not fit {architecture}: {', '.join(problems)}; {remedy}"])
    return taken, tuple(sorted(left_out))


def _fill(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy tensors into a network, each as the type and on the device that it has there."""
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if name in tensors:
                tensor.copy_(tensors[name])


def _size(tensor: Tensor) -> str:
    return " x ".join(str(side) for side in tensor.shape) or "a single number"


def _finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


def _recognised(tensors: Mapping[str, Tensor]) -> str | None:
    """Return which architecture a file with torchvision's 1,000 classes is of, by its number of parameters."""
    sizes = {
        name: tensor.numel()
        for name, tensor in tensors.items()
        if tensor.is_floating_point() and not name.endswith(("running_mean", "running_var", "relative_coords_table"))
    }
    counts = {sum(sizes.values()), sum(size for name, size in sizes.items() if not _is_auxiliary(name))}
    for name in torchvision.models.list_models(module=torchvision.models):
        if torchvision.models.get_model_weights(name).DEFAULT.meta["num_params"] in counts:
            return str(name)
    return None


def _published(architecture: str) -> Normalisation | None:
    """Return what torchvision's weights of an architecture expect of a frame."""
    if architecture in ("googlenet", "inception_v3"):
        # Their published networks move ImageNet's normalisation to this one themselves; those built here do not.
        return HALF, HALF
    if architecture not in torchvision.models.list_models(module=torchvision.models):
        return None
    transforms = torchvision.models.get_model_weights(architecture).DEFAULT.transforms()
    mean, std = ((float(r), float(g), float(b)) for r, g, b in (transforms.mean, transforms.std))
    return mean, std


class _Still(nn.Module):
    """Comes before the class of a layer that stays in evaluation mode whatever its network is told."""

    before: type[nn.Module]

    def train(self, mode: bool = True) -> "_Still":
        return super().train(False)


def freeze_backbone(module: nn.Module) -> None:
    """Let only the head learn, from now on.

    All other parameters no longer ask for gradients. Batch norms keep their running statistics, and dropouts and
    stochastic depth are off, also after `module.train()`: what comes to the head is what comes in evaluation mode.
    Make batch norms synchronous before, not afterwards.
    """
    _, last = head(module)
    module.requires_grad_(False)
    last.requires_grad_(True)
    for layer in module.modules():
        if isinstance(layer, _RESTLESS) and not isinstance(layer, _Still):
            kind: type[nn.Module] = type(layer)
            layer.__class__ = type(f"Still{kind.__name__}", (_Still, kind), {"before": kind})
            layer.eval()


def unfreeze(module: nn.Module) -> None:
    """Let all weights learn again; takes back what `freeze_backbone` did."""
    module.requires_grad_(True)
    for layer in module.modules():
        if isinstance(layer, _Still):
            layer.__class__ = layer.before  # type: ignore[assignment]
            layer.train(module.training)


def parameter_groups(
    module: nn.Module, decay_on: str = "weights", backbone_scale: float = 1.0, head_scale: float = 1.0
) -> list[dict[str, Any]]:
    """Return the parameters that learn in groups for an optimiser of torch.

    Each group has `params`, `scale` (what the learning rate is multiplied by) and `decayed` (whether weight decay is for
    it); the schedule sets `lr` and `weight_decay` by them at every step.

    Args:
        module: Parameters that do not ask for gradients are in no group.
        decay_on: "weights": kernels and matrices only; biases, batch norms, embeddings and scales have nothing to shrink
            for. "all": every parameter, as Torch did for Norouzzadeh et al. 2017.
        backbone_scale: Of all but the head.
        head_scale: Of the head, and of auxiliary heads, which begin anew like it.
    """
    last, _ = head(module)
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            at_end = name.rpartition(".")[0] == last or _is_auxiliary(name)
            decayed = decay_on == "all" or (parameter.dim() > 1 and name.endswith("weight"))
            groups.setdefault((head_scale if at_end else backbone_scale, decayed), []).append(parameter)
    return [{"params": params, "scale": scale, "decayed": decayed} for (scale, decayed), params in groups.items()]
