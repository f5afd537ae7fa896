"""Model files, preprocessing, devices and ensembles of networks."""

import json
import logging
import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ctwatch.domain import Canvas, ModelInfo, Preprocessing, Task
from ctwatch.errors import ConfigError, ModelError
from ctwatch.identity import content_id
from ctwatch.nets import architectures, device, eager, model_file, model_info
from ctwatch.nets.eager import EagerEngine
from ctwatch.nets.engine import Pixels, Probabilities, softmax
from ctwatch.nets.inference import Ensemble
from ctwatch.nets.preprocessing import prepare

CANVAS = Canvas(40, 56)
CPU = torch.device("cpu")
ARCHITECTURE = "thin_resnet10"


def info(**changes: Any) -> ModelInfo:
    plain = ModelInfo(
        model_id="",
        name="a model",
        task=Task.EMPTY,
        architecture=ARCHITECTURE,
        labels=("animal", "blank"),
        preprocessing=Preprocessing(CANVAS, (32, 48), (0.4, 0.45, 0.5), (0.2, 0.21, 0.22)),
        temperature=1.3,
        thresholds={"blank": 0.9},
        quality={"test": {"accuracy": 0.9}},
        recipe={"epochs": 3},
        data_fingerprint="f" * 32,
        trained_at="2024-05-01T00:00:00+00:00",
        notes="for tests",
    )
    return replace(plain, **changes)


def write(path: Path, seed: int = 0, **changes: Any) -> ModelInfo:
    torch.manual_seed(seed)
    described = info(**changes)
    return model_file.save(path, architectures.build(described.architecture, len(described.labels)), described)


def frames(n: int, canvas: Canvas = CANVAS) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(n).integers(0, 256, (n, 3, canvas.height, canvas.width), dtype=np.uint8)


def rewrite(path: Path, change: Any) -> None:
    """Write a model file again with other metadata, past all checks."""
    weights = load_file(path)
    header = path.read_bytes()
    length = int.from_bytes(header[:8], "little")
    fields = json.loads(json.loads(header[8 : 8 + length])["__metadata__"]["ctwatch"])
    text = change(fields)
    save_file(weights, path, metadata={"ctwatch": text if isinstance(text, str) else json.dumps(fields)})


# --- architectures


def test_names_hold_torchvision_and_our_own() -> None:
    assert {"resnet18", "mobilenet_v3_small", "thin_resnet18"} <= set(architectures.names())


@pytest.mark.parametrize("name", ["thin_resnet18", "wide_stem_resnet10", "shufflenet_v2_x0_5", "googlenet"])
def test_build_gives_one_logit_per_label(name: str) -> None:
    net = architectures.build(name, 5).eval()
    with torch.inference_mode():
        assert net(torch.zeros(2, 3, 64, 96)).shape == (2, 5)


def test_unknown_architecture_names_the_nearest() -> None:
    with pytest.raises(ModelError, match="'resnet18'"):
        architectures.build("resnet-18", 2)


def test_weights_are_never_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a download")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    architectures.build("squeezenet1_1", 2)


# --- preprocessing


def test_prepare_by_hand() -> None:
    pixels = torch.arange(3 * 4 * 4, dtype=torch.uint8).reshape(1, 3, 4, 4)
    out = prepare(pixels, Preprocessing(Canvas(16, 16), (2, 2), (0.0, 0.5, 0.1), (1.0, 0.25, 0.5)))
    assert out.shape == (1, 3, 2, 2)
    assert out.dtype == torch.float32
    assert out[0, 0, 0, 0].item() == pytest.approx(5 / 255)
    assert out[0, 1, 1, 1].item() == pytest.approx((26 / 255 - 0.5) / 0.25)
    assert out[0, 2, 0, 1].item() == pytest.approx((38 / 255 - 0.1) / 0.5)


# --- device


def test_auto_is_usable_and_absent_devices_are_refused_clearly() -> None:
    assert device.choose("auto").type in ("cuda", "mps", "cpu")
    assert device.choose("cpu") == CPU
    for name in ("cuda:93", "quantum", "meta"):
        with pytest.raises(ConfigError, match=name):
            device.choose(name)


# --- model files


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    torch.manual_seed(1)
    net = architectures.build(ARCHITECTURE, 2).eval()
    written = model_file.save(path, net, info())
    again, loaded = model_file.load(path)
    assert again == written == replace(info(), model_id=content_id(path.read_bytes()))
    assert model_info.read_info(path) == again
    assert not loaded.training
    assert all(p.dtype == torch.float32 for p in loaded.parameters())
    with torch.inference_mode():
        x = torch.randn(2, 3, 32, 48)
        assert torch.allclose(net(x), loaded(x), atol=2e-2)
    assert [each.name for each in tmp_path.iterdir()] == ["a.safetensors"]


def test_kernels_are_stored_in_half_and_statistics_in_full_precision(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write(path)
    stored = load_file(path)
    assert stored["classifier.weight"].dtype == torch.float16
    assert stored["classifier.bias"].dtype == torch.float32
    assert stored["stem.1.running_var"].dtype == torch.float32


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.safetensors"
    write(path)
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write(path, seed=4)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["a.safetensors"]


def test_save_refuses_what_load_would_refuse(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="temperature"):
        write(tmp_path / "a.safetensors", temperature=50.0)
    net = architectures.build(ARCHITECTURE, 2)
    with torch.no_grad():
        next(net.parameters()).fill_(float("nan"))
    with pytest.raises(ModelError, match="not finite"):
        model_file.save(tmp_path / "a.safetensors", net, info())
    assert list(tmp_path.iterdir()) == []


def at(*keys: str | int, to: Any) -> Any:
    """Return a change of metadata at a place."""

    def change(fields: Any) -> None:
        for key in keys[:-1]:
            fields = fields[key]
        fields[keys[-1]] = to

    return change


REFUSED = [
    (at("format_version", to=99), "format version 99"),
    (at("format_version", to=True), "format version True"),
    (lambda fields: fields.pop("labels"), "`labels` must be a list"),
    (lambda _: "{not json", "not JSON"),
    (lambda _: "[1]", "not an object"),
    (lambda _: "[" * 100_000, "not JSON"),
    (at("task", to="detect"), "`task` is 'detect'"),
    (at("architecture", to="resnet_9000"), "`architecture`"),
    (at("labels", to=[]), "has 0 entries"),
    (at("labels", to=["animal"] * 2), "twice"),
    (at("labels", to=["animal", " "]), "not empty"),
    (at("labels", to=[f"l{n}" for n in range(10_001)]), "10001 entries"),
    (at("labels", to=["animal", "nothing"]), "must contain 'blank'"),
    (at("name", to=""), "`name`"),
    (at("temperature", to=0.0), "`temperature`"),
    (at("temperature", to="warm"), "`temperature`"),
    (at("temperature", to=float("nan")), "`temperature`"),
    (at("thresholds", to={"blank": 1.5}), "`thresholds.blank`"),
    (at("thresholds", to={"lion": 0.5}), "'lion'"),
    (at("thresholds", to=[0.5]), "`thresholds`"),
    (at("preprocessing", to=None), "`preprocessing`"),
    (at("preprocessing", "crop", to=[64, 48]), "larger than the canvas"),
    (at("preprocessing", "crop", to=[8, 48]), "`preprocessing.crop`"),
    (at("preprocessing", "crop", to=[32.0, 48]), "`preprocessing.crop`"),
    (at("preprocessing", "canvas", "height", to=100_000), "`preprocessing.canvas.height`"),
    (at("preprocessing", "canvas", "banner_top", to=0.9), "`preprocessing.canvas.banner_top`"),
    (at("preprocessing", "std", to=[0.2, 0.0, 0.2]), "`preprocessing.std`"),
    (at("preprocessing", "mean", to=[0.2, 0.2]), "`preprocessing.mean`"),
    (at("quality", to="good"), "`quality`"),
    (at("notes", to=3), "`notes`"),
    (at("architecture", to="thin_resnet18"), "do not fit thin_resnet18"),
    (at("labels", to=["animal", "blank", "more"]), "shape"),
]


@pytest.mark.parametrize(("change", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_what_a_stranger_could_put_there_is_refused_by_name(tmp_path: Path, change: Any, said: str) -> None:
    path = tmp_path / "strange.safetensors"
    write(path)
    rewrite(path, change)
    with pytest.raises(ModelError) as caught:
        model_file.load(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    good = tmp_path / "good.safetensors"
    write(good)
    data = good.read_bytes()
    length = int.from_bytes(data[:8], "little")
    cases = {
        "empty": b"",
        "short": data[:5],
        "cut in the header": data[: 8 + length // 2],
        "cut in the weights": data[:-100],
        "too long": data + b"x" * 100,
        "huge header": (2**40).to_bytes(8, "little") + data[8:],
        "no json": (20).to_bytes(8, "little") + b"\x00" * 200,
        "a list": (2).to_bytes(8, "little") + b"[]",
        "jpeg": b"\xff\xd8\xff\xe0" + bytes(range(256)) * 4,
        "pickle": pickle.dumps({"weight": [1.0, 2.0]}, protocol=2),
    }
    for name, content in cases.items():
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(content)
        with pytest.raises(ModelError, match=name):
            model_file.load(path)
    with pytest.raises(ModelError, match="cannot be read"):
        model_file.load(tmp_path / "missing.safetensors")


def test_a_safetensors_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"w": torch.zeros(3)}, path)
    with pytest.raises(ModelError, match="not one of ctwatch"):
        model_info.read_info(path)


def test_weights_that_are_not_finite_or_of_another_kind_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write(path)
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + length])["__metadata__"]
    weights = load_file(path)
    for bad, said in ((torch.full((2,), float("inf")), "not finite"), (torch.zeros(2, dtype=torch.int32), "type")):
        save_file({**weights, "classifier.bias": bad}, path, metadata=metadata)
        with pytest.raises(ModelError, match=said):
            model_file.load(path)
    save_file({**weights, "extra": torch.zeros(1)}, path, metadata=metadata)
    with pytest.raises(ModelError, match="1 too many"):
        model_file.load(path)


def test_a_crop_that_the_architecture_cannot_take_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot take a crop"):
        write(tmp_path / "a.safetensors", architecture="vit_b_32")


# --- ensembles


def test_members_are_in_the_order_of_their_file_names(tmp_path: Path) -> None:
    for seed, name in enumerate(("b", "c", "a")):
        write(tmp_path / f"{name}.safetensors", seed=seed, name=name)
    (tmp_path / "README.md").write_text("not a model")
    (tmp_path / ".c.safetensors.1.tmp").write_bytes(b"half written")
    ensemble = Ensemble.load(tmp_path, Task.EMPTY)
    assert [member.name for member in ensemble.members] == ["a", "b", "c"]
    result = ensemble.predict({CANVAS: frames(3)})
    assert result.shape == (3, 3, 2)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result.sum(-1), 1, atol=1e-6)
    only_b = Ensemble([EagerEngine(*model_file.load(tmp_path / "b.safetensors"), CPU)])
    np.testing.assert_allclose(only_b.predict({CANVAS: frames(3)})[:, 0], result[:, 1], atol=1e-6)


def test_probabilities_are_those_of_the_network(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write(path)
    described, net = model_file.load(path)
    pixels = frames(4)
    with torch.inference_mode():
        logits = net(prepare(torch.from_numpy(pixels), described.preprocessing))
        expected = torch.softmax(logits / described.temperature, 1).numpy()
    ensemble = Ensemble.load(tmp_path, Task.EMPTY)
    np.testing.assert_allclose(ensemble.predict({CANVAS: pixels})[:, 0], expected, atol=1e-4)


def test_each_member_gets_its_own_canvas(tmp_path: Path) -> None:
    other = Canvas(48, 64, banner_bottom=0.1)
    write(tmp_path / "a.safetensors")
    write(tmp_path / "b.safetensors", preprocessing=replace(info().preprocessing, canvas=other))
    ensemble = Ensemble.load(tmp_path, Task.EMPTY)
    assert ensemble.canvases == (CANVAS, other)
    assert ensemble.predict({CANVAS: frames(2), other: frames(2, other)}).shape == (2, 2, 2)
    for wrong in (
        {CANVAS: frames(2)},
        {CANVAS: frames(2), other: frames(2)},
        {CANVAS: frames(2), other: frames(3, other)},
    ):
        with pytest.raises(ValueError):
            ensemble.predict(wrong)


def test_files_that_do_not_fit_are_all_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path / "a.safetensors")
    write(tmp_path / "b.safetensors", labels=("blank", "animal"), thresholds={})
    write(tmp_path / "c.safetensors", task=Task.SPECIES, labels=("x", "y"), thresholds={})
    (tmp_path / "d.safetensors").write_bytes(b"damaged")
    with pytest.raises(ModelError) as caught:
        Ensemble.load(tmp_path, Task.EMPTY)
    message = str(caught.value)
    assert "a.safetensors" not in message
    assert all(f"{name}.safetensors" in message for name in "bcd")


def test_a_folder_without_models_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model file"):
        Ensemble.load(tmp_path, Task.EMPTY)
    with pytest.raises(ModelError, match="no such folder"):
        Ensemble.load(tmp_path / "missing", Task.EMPTY)


def test_no_frames_give_an_empty_result(tmp_path: Path) -> None:
    write(tmp_path / "a.safetensors")
    assert Ensemble.load(tmp_path, Task.EMPTY).predict({CANVAS: frames(0)}).shape == (0, 1, 2)


def test_a_row_does_not_depend_on_its_batch(tmp_path: Path) -> None:
    write(tmp_path / "a.safetensors")
    pixels = frames(11)
    results = [Ensemble.load(tmp_path, Task.EMPTY, batch_size=size).predict({CANVAS: pixels}) for size in (1, 4, 11)]
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], atol=1e-5)


class Hungry:
    """An engine that runs out of memory above a number of frames."""

    name, most_at_once = "hungry", 100

    def __init__(self, most: int, error: type[Exception] = torch.OutOfMemoryError, text: str = "out of memory") -> None:
        self.most, self.error, self.text = most, error, text
        self.info = info()
        self.sizes: list[int] = []

    def __call__(self, pixels: Pixels) -> Probabilities:
        self.sizes.append(len(pixels))
        if len(pixels) > self.most:
            raise self.error(self.text)
        return softmax(pixels.mean((2, 3))[:, :2].astype(np.float32))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (torch.OutOfMemoryError, "CUDA out of memory. Tried to allocate 2 GiB"),
        (RuntimeError, "MPS backend out of memory"),
        (RuntimeError, "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried"),
        (MemoryError, "std::bad_alloc"),
        (RuntimeError, "Exception from src/core/src/runtime/tensor.cpp:89: allocator.cpp:79: std::bad_alloc"),
    ],
)
def test_out_of_memory_halves_the_batch_for_good(
    error: type[Exception], text: str, caplog: pytest.LogCaptureFixture
) -> None:
    hungry = Hungry(5, error, text)
    ensemble = Ensemble([hungry], batch_size=16)
    with caplog.at_level(logging.WARNING):
        result = ensemble.predict({CANVAS: frames(20)})
    assert hungry.sizes == [16, 8, 4, 4, 4, 4, 4]
    assert ensemble.batch_size == 4
    assert sum("out of memory" in record.message for record in caplog.records) == 2
    hungry.most = 100
    np.testing.assert_allclose(ensemble.predict({CANVAS: frames(20)}), result, atol=1e-6)
    assert max(hungry.sizes[7:]) == 4


def test_one_frame_too_many_is_a_model_error_and_other_errors_pass() -> None:
    with pytest.raises(ModelError, match="not enough memory"):
        Ensemble([Hungry(0)]).predict({CANVAS: frames(3)})
    with pytest.raises(RuntimeError, match="shapes differ"):
        Ensemble([Hungry(0, RuntimeError, "shapes differ")]).predict({CANVAS: frames(3)})


def test_folding_keeps_the_answers() -> None:
    torch.manual_seed(0)
    net = architectures.build("thin_resnet18", 3).eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2.0)  # type: ignore[arg-type]
    small = eager.folded(info(), net)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in small.modules())
    with torch.inference_mode():
        x = torch.randn(2, 3, 64, 64)
        torch.testing.assert_close(net(x), small(x), rtol=1e-3, atol=1e-3)


def test_nothing_in_the_package_unpickles() -> None:
    for path in Path(model_file.__file__).parent.glob("*.py"):
        text = path.read_text("utf-8")
        assert "pickle" not in text.replace("no pickle", "")
        assert "torch.load(" not in text


def test_the_same_model_twice_in_a_folder_is_refused(tmp_path: Path) -> None:
    """A copy would vote twice."""
    import shutil

    source = Path(eager.__file__).parents[1] / "models" / "empty"
    first = sorted(source.glob("*.safetensors"))[0]
    shutil.copy(first, tmp_path / "a.safetensors")
    shutil.copy(first, tmp_path / "b.safetensors")
    with pytest.raises(ModelError, match=r"b\.safetensors: is another copy"):
        Ensemble.load(tmp_path, Task.EMPTY)
