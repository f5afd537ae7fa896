"""What runs a network: the contract that every engine keeps, and what they have in common."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from ctwatch.domain import ModelInfo

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Probabilities = np.ndarray[Any, np.dtype[np.float32]]

EAGER = "eager"
OPENVINO = "openvino"
FLOAT32 = "float32"
BFLOAT16 = "bfloat16"
"""Half the bits of a float32 and the same range; fast on processors and accelerators that have units for it."""


class Engine(ABC):
    """One network, ready to look; may be called by several threads at the same time."""

    info: ModelInfo
    kind: str
    """`EAGER` or `OPENVINO`."""
    precision: str
    """`FLOAT32` or `BFLOAT16`."""
    most_at_once: int
    """Frames of one call beyond which it gains no more speed."""

    @property
    def name(self) -> str:
        """What it is for people, such as "openvino bfloat16"."""
        return f"{self.kind} {self.precision}"

    @abstractmethod
    def __call__(self, frames: Pixels) -> Probabilities:
        """Return softmax(logits / temperature), float32 (N, labels), of uint8 (N, 3, H, W) frames.

        Raises RuntimeError or MemoryError where memory runs out.
        """


def softmax(logits: np.ndarray[Any, np.dtype[np.float32]]) -> Probabilities:
    """Return the probabilities of (N, labels) logits."""
    powers = np.exp(logits - logits.max(1, keepdims=True))
    out: Probabilities = powers / powers.sum(1, keepdims=True)
    return out
