"""The engine that always works: PyTorch, operation by operation, on any device."""

import logging

import numpy as np
import torch
from torch import nn
from torch.fx.experimental.optimization import fuse

from ctwatch.domain import ModelInfo
from ctwatch.nets.engine import BFLOAT16, EAGER, FLOAT32, Engine, Pixels, Probabilities
from ctwatch.nets.preprocessing import prepare

logger = logging.getLogger(__name__)


class EagerEngine(Engine):
    """A network as PyTorch runs it, batch norms folded and channels last."""

    kind = EAGER

    def __init__(self, info: ModelInfo, module: nn.Module, device: torch.device, precision: str = FLOAT32) -> None:
        """Take the network as `model_file.load` gives it; `precision` float32 or bfloat16."""
        self.info = info
        self.precision = precision
        self.most_at_once = 4096
        self._device = device
        self._type = torch.bfloat16 if precision == BFLOAT16 else torch.float32
        net = folded(info, module).to(device, self._type)
        self._net = net.to(memory_format=torch.channels_last)

    def __call__(self, frames: Pixels) -> Probabilities:
        """Return probabilities as every engine does."""
        try:
            with torch.inference_mode():
                batch = torch.from_numpy(np.ascontiguousarray(frames)).to(self._device)
                batch = prepare(batch, self.info.preprocessing).to(self._type)
                logits = self._net(batch.contiguous(memory_format=torch.channels_last)).to(torch.float32)
                out: Probabilities = torch.softmax(logits / self.info.temperature, 1).cpu().numpy()
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()  # what is kept in pieces is given back before a smaller batch is tried
            raise
        return out


def folded(info: ModelInfo, module: nn.Module) -> nn.Module:
    """Return a network with batch norms folded into its convolutions, where that changes nothing but rounding."""
    module = module.eval()
    example = torch.zeros(2, 3, *info.preprocessing.crop)
    try:
        net: nn.Module = fuse(module).eval()
        with torch.inference_mode():
            example[1].normal_(generator=torch.Generator().manual_seed(0))
            before, after = module(example), net(example)
        if before.shape == after.shape and torch.allclose(before, after, rtol=1e-3, atol=1e-3):
            return net
    except Exception as error:  # folding is an extra: what cannot be traced runs as it is
        logger.debug("%s cannot be traced: %s", type(module).__name__, error)
    return module
