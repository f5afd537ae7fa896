"""The cache of engines: networks converted for a machine, and which engine was found to be the best for each."""

import json
import logging
import os
import platform
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from ctwatch.domain import ModelInfo
from ctwatch.identity import content_id
from ctwatch.nets.engine import OPENVINO

logger = logging.getLogger(__name__)

AUTO = "auto"
MOST_DIFFERENCE = 0.03
"""No probability of a trial frame may differ by more from eager float32; measured for bfloat16: 0.01 with trained nets."""
MEAN_DIFFERENCE = 0.003
_MAKERS = ("openvino", "torch", "torchvision")
_LAYOUT = 2
"""Of the files in the cache; goes up when they or the way of choosing change."""
_UNUSED_S = 180 * 24 * 3600.0
"""What no start has asked for in half a year is thrown away when something is added; it can be found again."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a configuration allows.

    Attributes:
        engine: auto, eager or openvino.
        precision: auto, or float32 for answers that are the same on every machine but for rounding.
        cache: Where converted networks and findings are kept; None: nowhere, each start tries anew.
    """

    engine: str = AUTO
    precision: str = AUTO
    cache: Path | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """How a candidate did: its milliseconds a frame on one core, and how far it is from eager float32."""

    engine: str
    precision: str
    most_at_once: int
    milliseconds: float
    largest_difference: float = 0.0
    mean_difference: float = 0.0

    @property
    def agrees(self) -> bool:
        """Whether its probabilities are near enough to count as the same answer."""
        return self.largest_difference <= MOST_DIFFERENCE and self.mean_difference <= MEAN_DIFFERENCE

    def __str__(self) -> str:
        return (
            f"{self.engine} {self.precision}: {self.milliseconds:.1f} ms a frame,"
            f" largest difference {self.largest_difference:.4f}"
        )


@dataclass(frozen=True, slots=True)
class Shelf:
    """The place of one model in the cache: its graph, and what was found on each kind of machine."""

    folder: Path
    machine: str

    @classmethod
    def of(cls, info: ModelInfo, device: str, rules: Rules) -> "Shelf | None":
        """Return the place of a model on this machine and under these rules; None without a cache."""
        if rules.cache is None:
            return None
        made_by = content_id(json.dumps([_LAYOUT, _sources(), *map(_version, _MAKERS)]).encode())[:16]
        facts = [device, rules.engine, rules.precision, processor()]
        machine = content_id(json.dumps(facts).encode())[:16]
        return cls(rules.cache / "engines" / f"{info.model_id}-{made_by}", machine)

    @property
    def graph(self) -> Path:
        """The converted network's file; its weights lie beside it."""
        return self.folder / "network.xml"

    def choice(self) -> Trial | None:
        """What was found; None where nothing was, or where the graph is not the one that was tried."""
        try:
            told = json.loads((self.folder / f"{self.machine}.json").read_text("utf-8"))
            found = Trial(**told["choice"])
            whole = found.engine != OPENVINO or told["graph"] == self._digest()
        except (OSError, ValueError, TypeError, KeyError):
            return None
        with suppress(OSError):
            os.utime(self.folder)  # somebody else's cache that can only be read is as good
        return found if whole and found.most_at_once > 0 else None

    def keep(self, choice: Trial, trials: Sequence[Trial]) -> None:
        """Keep what was found, and throw away what was found for nobody: of other code, or not asked for in half a year."""
        self._tidy()
        graph = self._digest() if choice.engine == OPENVINO else ""
        found = {"choice": asdict(choice), "graph": graph, "trials": [asdict(trial) for trial in trials]}
        self._written(f"{self.machine}.json", lambda path: path.write_text(json.dumps(found, indent=1), "utf-8"))

    def _digest(self) -> str:
        """Of the graph and its weights: what computes is to be what was tried, to the bit."""
        return " ".join(content_id(self.graph.with_suffix(ending).read_bytes()) for ending in (".xml", ".bin"))

    def put(self, write: Callable[[Path], object]) -> bool:
        """Put the graph there, its weights first, so that a graph is never without; returns whether that was possible."""
        return self._written("network.xml", write, also=".bin")

    def _tidy(self) -> None:
        model_id, _, _ = self.folder.name.partition("-")
        with suppress(OSError):
            for other in self.folder.parent.iterdir():
                outdated = other.name.startswith(f"{model_id}-") and other != self.folder
                if outdated or time.time() - other.stat().st_mtime > _UNUSED_S:
                    shutil.rmtree(other, ignore_errors=True)

    def _written(self, name: str, write: Callable[[Path], object], also: str = "") -> bool:
        path = self.folder / name
        beside = path.with_name(f".{os.getpid()}.{name}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write(beside)
            if also:
                os.replace(beside.with_suffix(also), path.with_suffix(also))
            os.replace(beside, path)
        except (OSError, RuntimeError) as error:
            logger.warning("%s cannot be kept (%s); networks are tried again at the next start", path, error)
            return False
        finally:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
                beside.with_suffix(also or beside.suffix).unlink(missing_ok=True)
        return True


@cache
def _sources() -> str:
    """Of the code that makes a graph: another preprocessing makes another one."""
    names = ("architectures", "compiled", "eager", "model_file", "preprocessing")
    return content_id(b"".join(Path(__file__).with_name(f"{name}.py").read_bytes() for name in names))


@cache
def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"


@cache
def processor() -> tuple[str, tuple[str, ...]]:
    """Return the processor's name and the names of what it can do, sorted; what is found on one machine holds for its like."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return platform.processor() or platform.machine(), ()
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
    name = told.get("model name") or platform.machine()
    return name, tuple(sorted((told.get("flags") or told.get("Features") or "").split()))
