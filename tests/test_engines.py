"""What runs a network: every engine gives eager PyTorch's answers, and the fastest is found once and kept."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ctwatch.domain import BLANK, Canvas, ModelInfo, Preprocessing, Task
from ctwatch.errors import Interrupted, ModelError
from ctwatch.nets import choice, compiled, model_file, shelf
from ctwatch.nets.architectures import build
from ctwatch.nets.choice import engine_for, known, trial_frames
from ctwatch.nets.eager import EagerEngine
from ctwatch.nets.engine import BFLOAT16, FLOAT32, Engine
from ctwatch.nets.inference import Ensemble
from ctwatch.nets.model_info import read_info
from ctwatch.nets.shelf import MOST_DIFFERENCE, Rules

CPU = torch.device("cpu")
CANVAS = Canvas(80, 96)
BUNDLED = Path(model_file.__file__).parents[1] / "models"


def described(architecture: str = "thin_resnet10", crop: tuple[int, int] = (64, 80)) -> ModelInfo:
    preprocessing = Preprocessing(CANVAS, crop, (0.4, 0.45, 0.5), (0.2, 0.21, 0.22))
    return ModelInfo("0" * 32, architecture, Task.EMPTY, architecture, (BLANK, "animal"), preprocessing, 1.7)


def network(architecture: str = "thin_resnet10") -> nn.Module:
    torch.manual_seed(1)
    net = build(architecture, 2)
    with torch.no_grad():
        for _ in range(3):  # batch norms that hold something
            net.train()(torch.rand(8, 3, 64, 80))
    return net.eval()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file of a small network."""
    made = tmp_path_factory.mktemp("model") / "model.safetensors"
    model_file.save(made, network(), described())
    return made


def found(path: Path, rules: Rules, threads: int = 1) -> Engine:
    """The engine as a start finds it, tried in this process where the cache knows none."""
    info = read_info(path)
    chosen = known(info, device="cpu", rules=rules)
    if chosen is None:
        return choice.find(info, path, device="cpu", threads=threads, rules=rules)
    return engine_for(info, path, chosen, device="cpu", threads=threads, rules=rules)


@pytest.fixture
def nothing_is_built(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def must_not(path: Path, info: ModelInfo) -> nn.Module:
        raise AssertionError("the network was built although it was not needed")

    return lambda: monkeypatch.setattr(choice, "_network", must_not)


@pytest.mark.parametrize("architecture", ["thin_resnet10", "nin", "mobilenet_v3_small"])
def test_a_compiled_network_answers_as_eager_pytorch(architecture: str) -> None:
    info, net = described(architecture), network(architecture)
    frames = trial_frames(CANVAS)[:8]
    engine = compiled.CompiledEngine(info, compiled.convert(info, net), FLOAT32, threads=1)
    np.testing.assert_allclose(engine(frames), EagerEngine(info, net, CPU)(frames), atol=1e-4)


def test_a_row_of_a_compiled_network_is_the_same_to_the_bit_in_any_batch_and_thread() -> None:
    info = described()
    frames = trial_frames(CANVAS)[:13]
    graph = compiled.convert(info, network())
    for precision in compiled.precisions():
        engine = compiled.CompiledEngine(info, graph, precision, threads=3)
        answers = [Ensemble([engine], batch_size=size, threads=threads).predict({CANVAS: frames}) for size, threads in
                   ((1, 1), (4, 3), (13, 1), (5, 2))]  # fmt: skip
        assert len({answer.tobytes() for answer in answers}) == 1


def test_a_compiled_network_has_looked_once_before_any_threads_ask_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads that make OpenVINO's first call at once can wait for each other for ever."""
    real, asked = compiled._core, []

    class Core:
        def compile_model(self, *arguments: Any) -> Any:
            made = real.compile_model(*arguments)
            make_request = made.create_infer_request

            class Compiled:
                def create_infer_request(self) -> Any:
                    request = make_request()

                    class Request:
                        def infer(self, inputs: Any) -> Any:
                            asked.append(threading.current_thread())
                            return request.infer(inputs)

                    return Request()

            return Compiled()

    graph = compiled.convert(described(), network())
    monkeypatch.setattr(compiled, "_core", Core())
    engine = compiled.CompiledEngine(described(), graph, FLOAT32, threads=2)
    assert asked == [threading.current_thread()]
    Ensemble([engine], threads=2).predict({CANVAS: trial_frames(CANVAS)[:4]})
    assert len(asked) == 3  # and then each of the threads


@pytest.mark.parametrize("path", sorted(BUNDLED.glob("*/*.safetensors")), ids=lambda path: path.stem)
def test_bfloat16_leaves_the_bundled_models_decisions_as_they_are(path: Path) -> None:
    """On drawn scenes that nothing was trained on; where the processor has no units for it, it is emulated or skipped."""
    if BFLOAT16 not in compiled.precisions():
        pytest.skip("this processor has no units for bfloat16; ctwatch computes in float32 here")
    from PIL import Image

    from ctwatch.demo.scenes import RESERVED_LOCATIONS, SPECIES, burst

    info, net = model_file.load(path)
    canvas = info.preprocessing.canvas
    drawn = [
        frame.pixels
        for seed in range(16)
        for frame in burst(location=RESERVED_LOCATIONS + 77, species=[None, *SPECIES][seed % (1 + len(SPECIES))],
                           night=seed % 2 == 0, frames=3, seed=seed, size=(384, 512))
    ]  # fmt: skip
    frames = np.stack([
        np.asarray(Image.fromarray(pixels).resize((canvas.width, canvas.height))).transpose(2, 0, 1) for pixels in drawn
    ])  # fmt: skip
    truth = EagerEngine(info, net, CPU)(frames)
    answers = compiled.CompiledEngine(info, compiled.convert(info, net), BFLOAT16, threads=1)(frames)
    assert np.abs(answers - truth).max() < MOST_DIFFERENCE
    assert np.abs(answers - truth).mean() < 0.001
    assert (answers.argmax(1) == truth.argmax(1)).all()


def kept(cache: Path) -> dict[str, Any]:
    (found,) = cache.rglob("*.json")
    told: dict[str, Any] = json.loads(found.read_text("utf-8"))
    return told


def test_the_fastest_that_agrees_is_kept_and_the_next_start_builds_nothing(
    path: Path, tmp_path: Path, nothing_is_built: Callable[[], None]
) -> None:
    rules = Rules(cache=tmp_path)
    first = found(path, rules)
    told = kept(tmp_path)
    tried = {(trial["engine"], trial["precision"]): trial["milliseconds"] for trial in told["trials"]}
    assert set(tried) == {("eager", FLOAT32), *(("openvino", precision) for precision in compiled.precisions())}
    assert tried[told["choice"]["engine"], told["choice"]["precision"]] == min(tried.values())
    assert first.name == f"{told['choice']['engine']} {told['choice']['precision']}"
    if told["choice"]["engine"] == "openvino":
        nothing_is_built()
        frames = trial_frames(CANVAS)[:5]
        np.testing.assert_array_equal(found(path, rules, threads=2)(frames), first(frames))


def test_a_candidate_that_answers_otherwise_is_not_taken(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(compiled.CompiledEngine):
        def __call__(self, frames: Any) -> Any:
            answers = super().__call__(frames)
            return answers + np.float32([0.04, -0.04]) * (np.arange(len(frames)) % 2)[:, None]

    monkeypatch.setattr(compiled, "CompiledEngine", Wrong)
    for engine in ("auto", "openvino"):
        assert found(path, Rules(engine)).name == "eager float32"


def test_float32_is_kept_to_where_it_is_asked_for(path: Path) -> None:
    assert found(path, Rules("openvino", FLOAT32)).name == "openvino float32"
    assert found(path, Rules("eager")).name == "eager float32"


def spoil_graph(folder: Path) -> None:
    next(folder.rglob("*.xml")).write_text("no graph", "utf-8")


def lose_weights(folder: Path) -> None:
    next(folder.rglob("*.bin")).unlink()


def rot_weights(folder: Path) -> None:
    weights = next(folder.rglob("*.bin"))
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 0x40
    weights.write_bytes(data)


def spoil_choice(folder: Path) -> None:
    next(folder.rglob("*.json")).write_text('{"choice": {"engine": "openvino"}}', "utf-8")


@pytest.mark.parametrize("damage", [spoil_graph, lose_weights, rot_weights, spoil_choice])
def test_a_damaged_cache_is_made_anew(
    damage: Callable[[Path], None], path: Path, tmp_path: Path, nothing_is_built: Callable[[], None]
) -> None:
    rules = Rules("openvino", FLOAT32, tmp_path)
    first = found(path, rules)
    damage(tmp_path)
    assert found(path, rules).name == first.name == "openvino float32"
    nothing_is_built()
    found(path, rules)


def test_a_cache_that_cannot_be_written_costs_time_and_nothing_else(
    path: Path, tmp_path: Path, nothing_is_built: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    nothing_is_built()
    for cache in (tmp_path / "cache", None):
        assert loaded(path, Rules("openvino", FLOAT32, cache)).engines == ("openvino float32",)
    assert "tried again at the next start" in caplog.text


def test_what_the_code_makes_of_a_network_belongs_to_what_is_kept(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another preprocessing makes another graph: the old one must not run on."""
    rules = Rules("openvino", FLOAT32, tmp_path)
    found(path, rules)
    assert known(read_info(path), device="cpu", rules=rules)
    monkeypatch.setattr(shelf, "_sources", lambda: "of tomorrow")
    assert known(read_info(path), device="cpu", rules=rules) is None
    found(path, rules)
    assert len(list(tmp_path.glob("engines/*"))) == 1  # what the old code made is of no use to anybody


def test_what_no_start_has_asked_for_in_half_a_year_is_thrown_away(path: Path, tmp_path: Path) -> None:
    for name, days in (("of-a-model-that-is-gone", 190), ("of-one-that-is-not", 170)):
        other = tmp_path / "engines" / name
        other.mkdir(parents=True)
        (other / "network.bin").write_bytes(b"weights")
        os.utime(other, times=(time.time() - 86400 * days,) * 2)
    rules = Rules("openvino", FLOAT32, tmp_path)
    found(path, rules)
    (own,) = (tmp_path / "engines").glob(f"{read_info(path).model_id}-*")
    assert sorted(each.name for each in own.parent.iterdir()) == sorted([own.name, "of-one-that-is-not"])
    os.utime(own, times=(0, 0))
    found(path, rules)
    assert time.time() - own.stat().st_mtime < 3600  # a start has asked for it


def test_a_model_that_is_replaced_while_it_is_read_is_refused(path: Path, tmp_path: Path) -> None:
    info = read_info(path)
    other = tmp_path / "model.safetensors"
    model_file.save(other, network("thin_resnet18"), described("thin_resnet18"))
    with pytest.raises(ModelError, match="replaced while it was read"):
        choice.find(info, other, device="cpu", threads=1, rules=Rules())


def test_without_openvino_and_for_networks_that_cannot_be_compiled_pytorch_runs_them(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("an operation that nobody knows")

    with monkeypatch.context() as patched:
        patched.setattr(compiled, "convert", fails)
        assert found(path, Rules()).name == "eager float32"
    monkeypatch.setitem(sys.modules, "ctwatch.nets.compiled", None)
    monkeypatch.delattr("ctwatch.nets.compiled")
    assert found(path, Rules()).name == "eager float32"


def test_a_candidate_that_fails_when_it_looks_is_left_out(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(compiled.CompiledEngine):
        def __call__(self, frames: Any) -> Any:
            raise RuntimeError("std::bad_alloc")

    monkeypatch.setattr(compiled, "CompiledEngine", Failing)
    assert found(path, Rules()).name == "eager float32"


def loaded(path: Path, rules: Rules, waiting: Callable[[], None] = lambda: None) -> Ensemble:
    return Ensemble.load(path.parent, Task.EMPTY, rules=rules, waiting=waiting)


def test_engines_are_tried_in_a_process_whose_memory_is_given_back(
    path: Path, tmp_path: Path, nothing_is_built: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    nothing_is_built()
    caplog.set_level("INFO")
    assert loaded(path, Rules("openvino", FLOAT32, tmp_path)).engines == ("openvino float32",)
    assert "runs on openvino float32" in caplog.text


def test_a_trial_that_dies_costs_its_process_and_no_more(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What was too much for that process is not tried in the daemon itself: PyTorch runs the models for now."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert loaded(path, Rules(cache=tmp_path)).engines == ("eager float32",)
    assert "ended with 1" in caplog.text
    assert not list(tmp_path.rglob("*.json"))  # the next start tries again


def test_a_stop_ends_the_trial_within_seconds(path: Path, tmp_path: Path) -> None:
    def stopped() -> None:
        raise Interrupted("stopped")

    with pytest.raises(Interrupted):
        loaded(path, Rules(cache=tmp_path), stopped)
    assert not list(tmp_path.rglob("*.json"))


def test_a_start_never_loads_pytorch(tmp_path: Path) -> None:
    """It takes seconds to load, and half a gigabyte."""
    program = (
        "import sys; from pathlib import Path; from ctwatch.domain import Task; "
        "from ctwatch.nets.shelf import Rules; from ctwatch.nets.inference import Ensemble\n"
        f"rules = Rules('openvino', cache=Path({str(tmp_path)!r}))\n"
        f"ensemble = Ensemble.load(Path({str(BUNDLED / 'empty')!r}), Task.EMPTY, rules=rules)\n"
        "import numpy as np; canvas = ensemble.canvases[0]\n"
        "ensemble.predict({canvas: np.zeros((2, 3, canvas.height, canvas.width), np.uint8)})\n"
        "print(any(name.split('.')[0] == 'torch' for name in sys.modules))"
    )
    told = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
        for _ in range(2)
    ]
    assert told == ["False", "False"]


def test_work_is_shared_out_so_that_no_thread_is_without() -> None:
    class Counting:
        info, name, most_at_once = described(), "counting", 16

        def __init__(self) -> None:
            self.sizes: list[int] = []

        def __call__(self, frames: Any) -> Any:
            self.sizes.append(len(frames))
            return np.full((len(frames), 2), 0.5, np.float32)

    one = Counting()
    alone = Ensemble([one], batch_size=16, threads=4)
    assert alone.frames_at_once == 64
    alone.predict({CANVAS: np.zeros((8, 3, 80, 96), np.uint8)})
    assert sorted(one.sizes) == [2, 2, 2, 2]
    members = [Counting() for _ in range(3)]
    Ensemble(members, batch_size=16, threads=2).predict({CANVAS: np.zeros((40, 3, 80, 96), np.uint8)})
    assert [sorted(each.sizes) for each in members] == [[8, 16, 16]] * 3


def test_trial_frames_are_the_same_everywhere_and_not_plain() -> None:
    frames = trial_frames(CANVAS)
    np.testing.assert_array_equal(frames, trial_frames(CANVAS))
    assert frames.std((1, 2, 3)).min() > 20
    assert (frames[1, 0] == frames[1, 1]).all() and (frames[0, 0] != frames[0, 1]).any()


def test_two_processes_may_fill_one_cache_at_the_same_time(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path; from ctwatch.domain import Task; from ctwatch.nets.shelf import Rules; "
        "from ctwatch.nets.inference import Ensemble\n"
        f"print(Ensemble.load(Path({str(BUNDLED / 'empty')!r}), Task.EMPTY, "
        f"rules=Rules('openvino', 'float32', Path({str(tmp_path)!r}))).engines)"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env={**os.environ})
        for _ in range(2)
    ]
    told = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert told[0] == told[1] == f"{('openvino float32',) * 3}\n"
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


def test_nobody_is_told_that_a_network_was_run(tmp_path: Path) -> None:
    """OpenVINO reports its use over the network when it is imported, unless it is kept from it."""
    program = (
        "import sys\n"
        "def heard(event, arguments):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.sendto'): print(event, arguments)\n"
        "sys.addaudithook(heard)\n"
        "from ctwatch.nets import compiled; from ctwatch.nets.model_file import load; from pathlib import Path\n"
        f"info, net = load(Path({str(sorted(BUNDLED.glob('*/*.safetensors'))[0])!r}))\n"
        "compiled.CompiledEngine(info, compiled.convert(info, net), 'float32', threads=1)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert run.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == []
