"""The processes that train one network together, as `torchrun` starts them; alone, there is one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

from ctwatch.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Processes:
    """This process among those that share every batch."""

    device: torch.device
    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    def part(self, batch_size: int) -> slice:
        """Return which rows of a batch are this process's.

        Raises:
            ConfigError: The batch cannot be divided evenly; unequal parts would weigh photographs unequally.
        """
        if batch_size % self.count:
            raise ConfigError(
                [
                    f"batch_size {batch_size} cannot be divided among {self.count} processes; "
                    f"{batch_size // self.count * self.count or self.count} and "
                    f"{(batch_size // self.count + 1) * self.count} can"
                ]
            )
        own = batch_size // self.count
        return slice(self.rank * own, (self.rank + 1) * own)

    def sum(self, value: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes."""
        if self.count > 1:
            value = value.clone()
            distributed.all_reduce(value)
        return value

    def gather(self, value: Tensor) -> Tensor:
        """Return the tensors of all processes, each of the same shape, one after the other."""
        if self.count == 1:
            return value
        parts = [torch.empty_like(value) for _ in range(self.count)]
        distributed.all_gather(parts, value.contiguous())
        return torch.cat(parts)

    def wrap(self, module: nn.Module) -> nn.Module:
        """Return a network whose gradients are averaged over all processes."""
        if self.count == 1:
            return module
        ids = [self.device.index] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(module, device_ids=ids)

    def wait(self) -> None:
        """Let all processes come to the same point."""
        if self.count > 1:
            distributed.barrier()


def is_first() -> bool:
    """Return whether this is the process that speaks for all, among those that `torchrun` started."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """Join the processes that `torchrun` started (its RANK, LOCAL_RANK and WORLD_SIZE), or stand alone.

    NCCL on CUDA devices, one each; gloo on processors.

    Args:
        device: Where to compute; with several CUDA processes each takes the device of its local rank.

    Raises:
        ConfigError: There are more processes on this machine than CUDA devices.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes(device)
        return
    rank, local = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", "0"))
    if device.type == "cuda":
        if local >= torch.cuda.device_count():
            raise ConfigError(
                [f"process {local + 1} of this machine has no CUDA device: there are {torch.cuda.device_count()}"]
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(device, rank, count)
    finally:
        distributed.destroy_process_group()
