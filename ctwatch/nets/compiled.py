"""The engine for processors: OpenVINO's compiled graph, two to ten times as fast as PyTorch's single operations."""

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

# Its import alone would tell its maker over the network that somebody uses it, unasked; without this it cannot.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
import openvino as ov  # noqa: E402

from ctwatch.domain import ModelInfo  # noqa: E402
from ctwatch.nets.engine import BFLOAT16, FLOAT32, OPENVINO, Engine, Pixels, Probabilities, softmax  # noqa: E402

if TYPE_CHECKING:
    from torch import nn

VERSION: str = ov.__version__
_HINTS = {FLOAT32: "f32", BFLOAT16: "bf16"}
_core = ov.Core()


def precisions() -> tuple[str, ...]:
    """Return what this processor computes fast, float32 always among them.

    OpenVINO says bfloat16 only where there are units for it; elsewhere it would be slower than float32.
    """
    capable = "BF16" in _core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return (FLOAT32, BFLOAT16) if capable else (FLOAT32,)


class CompiledEngine(Engine):
    """A network compiled for this processor; a row of its answer is the same to the bit in any batch."""

    kind = OPENVINO

    def __init__(
        self, info: ModelInfo, graph: "Path | ov.Model", precision: str, *, threads: int, most_at_once: int = 16
    ) -> None:
        """Compile a graph that `convert` made; as many `threads` may look at the same time, each on a core of its own.

        Raises RuntimeError where the graph cannot be read, compiled or run.
        """
        self.info = info
        self.precision = precision
        self.most_at_once = most_at_once
        model = _core.read_model(graph) if isinstance(graph, Path) else graph
        options = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "NUM_STREAMS": str(threads),
            "INFERENCE_NUM_THREADS": str(threads),
        }
        self._compiled = _core.compile_model(model, "CPU", options)
        self._requests = threading.local()
        # OpenVINO's bindings set themselves up in the first call; where two threads make it at once, each holds what the
        # other waits for, and neither ever returns.
        canvas = info.preprocessing.canvas
        self(np.zeros((1, 3, canvas.height, canvas.width), np.uint8))

    def __call__(self, frames: Pixels) -> Probabilities:
        """Return probabilities as every engine does."""
        request = getattr(self._requests, "own", None)
        if request is None:
            request = self._requests.own = self._compiled.create_infer_request()
        logits: np.ndarray[Any, np.dtype[np.float32]] = request.infer([np.ascontiguousarray(frames)])[0]
        return softmax(logits)


def convert(info: ModelInfo, module: "nn.Module") -> ov.Model:
    """Return a network as OpenVINO's graph: uint8 (N, 3, H, W) canvases in, logits / temperature out.

    The preprocessing is part of it: the very function that the trainer and the eager engine use is traced along.

    Raises:
        Exception: Whatever PyTorch or OpenVINO raise for a network that they cannot trace or translate.
    """
    import torch
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder

    from ctwatch.nets.eager import folded
    from ctwatch.nets.preprocessing import prepare

    net = folded(info, module)

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.net(prepare(frames, info.preprocessing)) / info.temperature
            return logits

    canvas = info.preprocessing.canvas
    example = torch.zeros(2, 3, canvas.height, canvas.width, dtype=torch.uint8)
    number = torch.export.Dim("number", min=1, max=4096)
    exported = torch.export.export(Whole().eval(), (example,), dynamic_shapes=({0: number},))
    decoder = TorchFXPythonDecoder(exported.run_decompositions().module(), dynamic_shapes=True)
    front_end = FrontEndManager().load_by_framework("pytorch")
    graph: ov.Model = front_end.convert(front_end.load(decoder))
    graph.reshape([-1, 3, canvas.height, canvas.width])
    return graph


def save(graph: ov.Model, path: Path) -> None:
    """Write a graph to `path` (.xml) and its weights beside it (.bin), in full precision."""
    ov.save_model(graph, path, compress_to_fp16=False)
