"""Chooses where networks run, and refuses clearly what this machine does not have."""

import os
import sys
from typing import TYPE_CHECKING

from ctwatch.errors import ConfigError

if TYPE_CHECKING:
    import torch

_ACCELERATORS = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg", "/dev/nvhost-ctrl-gpu", "/dev/nvgpu")
"""Device files of which one is there on every Linux with an accelerator for PyTorch: NVIDIA's, AMD's, WSL's, Jetson's."""


def _usable(name: str) -> str | None:
    """Return why a device cannot be computed on, None if it can: being listed is not being usable."""
    import torch

    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda", "mps"):
            return "ctwatch runs on cpu, cuda and mps"
        if device.type == "cuda" and not torch.cuda.is_available():
            return "PyTorch sees no CUDA device (driver missing, or PyTorch built without CUDA)"
        if device.type == "mps" and not torch.backends.mps.is_available():
            return "PyTorch sees no Apple GPU"
        (torch.ones(2, device=device) * 2).sum().item()
    except (RuntimeError, AssertionError) as error:
        return str(error).strip().splitlines()[0]
    return None


def choose(name: str) -> "torch.device":
    """Return the device of a name: "auto" is the first usable of cuda, mps and cpu.

    Args:
        name: "auto", "cpu", "cuda", "mps" or one of several, such as "cuda:1".

    Raises:
        ConfigError: The name is none of these, or this machine does not have it.
    """
    import torch

    if name == "auto":
        return torch.device(next(each for each in ("cuda", "mps", "cpu") if _usable(each) is None))
    reason = _usable(name)
    if reason is not None:
        raise ConfigError([f'device "{name}" cannot be used: {reason}; "auto" takes what is there, "cpu" always works'])
    return torch.device(name)


def resolve(name: str) -> str:
    """Return the name of what `choose` chooses; says "cpu" without the seconds that PyTorch takes to load where it can.

    Raises:
        ConfigError: As `choose` does.
    """
    plainly_without = sys.platform == "linux" and not any(map(os.path.exists, _ACCELERATORS))
    return "cpu" if name == "cpu" or (name == "auto" and plainly_without) else str(choose(name))


def set_threads(threads: int) -> None:
    """Let each operation of a network on the processor use so many threads, 1 or more."""
    import torch

    torch.set_num_threads(threads)
