"""Keeps a training's state on disk so that it survives kill -9: one safetensors file, replaced in one rename, no pickle."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise
from torch import Tensor, nn

from ctwatch.errors import CtwatchError

from ..sets.shards import replacing

ENTRY = "ctwatch_training"


class DamagedCheckpoint(CtwatchError):
    """A checkpoint that is not what was written."""


def save(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write tensors and plain values; the file that was there is replaced once the new one is safely on disk."""
    kept = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    text = json.dumps(state, sort_keys=True)
    data = serialise(kept, metadata={ENTRY: text, "digest": _digest(kept, text)})
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(data)


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return what `save` wrote.

    Raises:
        DamagedCheckpoint: The file is cut short, changed, or none of ours.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        text = metadata[ENTRY]
        if metadata.get("digest") != _digest(tensors, text):
            raise DamagedCheckpoint(_refusal(path, "its contents have changed since it was written"))
        state = json.loads(text)
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise DamagedCheckpoint(_refusal(path, str(error))) from error
    return tensors, state


def _refusal(path: Path, why: str) -> str:
    return f"{path}: is damaged ({why}); remove it to train this network from its beginning"


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    digest = hashlib.blake2b(text.encode(), digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def of_optimiser(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimiser's running values by the number of the parameter; rates are not kept, the schedule sets them."""
    return {
        f"optimiser.{number}.{name}": value if isinstance(value, Tensor) else torch.tensor(value)
        for number, values in optimiser.state_dict()["state"].items()
        for name, value in values.items()
        if value is not None
    }


def into_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `of_optimiser` took out."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith("optimiser."):
            _, number, name = key.split(".", 2)
            state.setdefault(int(number), {})[name] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def of_module(module: nn.Module, prefix: str) -> dict[str, Tensor]:
    """Return a network's weights and running statistics under a prefix."""
    return {f"{prefix}.{name}": tensor for name, tensor in module.state_dict().items()}


def into_module(module: nn.Module, tensors: Mapping[str, Tensor], prefix: str) -> None:
    """Put back what `of_module` took out."""
    module.load_state_dict(
        {key.removeprefix(f"{prefix}."): tensor for key, tensor in tensors.items() if key.startswith(f"{prefix}.")}
    )
