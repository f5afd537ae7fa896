"""The cache of frames: each photograph decoded once, through kill -9, full disks and damaged shards."""

import errno
import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import photograph
from ctwatch_train.sets import cache, shards
from ctwatch_train.sets.cache import File, FrameCache
from ctwatch_train.sets.shards import CachedFrames, ahead, pixels_name, read_record, record_name
from hypothesis import given, settings
from hypothesis import strategies as st

from ctwatch.decode import decode
from ctwatch.domain import Canvas
from ctwatch.errors import ConfigError, CtwatchError
from ctwatch.identity import content_id

CANVAS = Canvas(12, 16)
PER_SHARD = 5

Fill = Callable[..., tuple[FrameCache, list[File]]]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "FRAMES_PER_SHARD", PER_SHARD)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the bytes of each content id were decoded."""
    counts: Counter[str] = Counter()
    lock = threading.Lock()

    def counting(data: bytes, canvas: Canvas) -> Any:
        with lock:
            counts[content_id(data)] += 1
        return decode(data, canvas)

    monkeypatch.setattr(cache, "decode", counting)
    return counts


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    """Paths of 23 photographs: four whole shards and three more."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(23):
        (folder / f"{number:02}.jpg").write_bytes(photograph(number, datetime(2026, 5, 1, 10, number)))
    return sorted(map(str, folder.iterdir()))


@pytest.fixture
def fill(tmp_path: Path) -> Fill:
    """Bring files into the cache in a folder of its own."""

    def run(
        paths: list[str], *, workers: int = 2, canvas: Canvas = CANVAS, said: list[str] | None = None
    ) -> tuple[FrameCache, list[File]]:
        say = (said if said is not None else []).append
        with cache.opened(tmp_path / "cache", canvas, say=say, workers=workers) as store:
            return store, store.add(paths, workers=workers)

    return run


def check(store: FrameCache, files: list[File], paths: list[str]) -> None:
    """Every frame is what the decoder makes of its photograph, read back from disk."""
    counts = {number: count for number, (count, _) in store.shards.items()}
    frames = CachedFrames(store.folder, store.canvas, counts)
    for path, file in zip(paths, files, strict=True):
        data = Path(path).read_bytes()
        assert file.media_id == content_id(data)
        place = store.places[file.media_id]
        at, corner = np.array([place.shard]), np.zeros(1, np.int64)
        frame = frames.windows(at, np.array([place.slot]), corner, corner, CANVAS.height, CANVAS.width)
        assert (frame[0] == decode(data, CANVAS)).all()
    assert not shards.damage(store.folder, store.canvas, store.shards, workers=1)


def test_frames_are_what_the_decoder_makes_in_the_order_of_the_paths(
    pictures: list[str], fill: Fill, tmp_path: Path, decoded: Counter[str]
) -> None:
    store, files = fill(pictures)
    check(store, files, pictures)
    assert [(place.shard, place.slot) for place in store.places.values()] == [divmod(n, PER_SHARD) for n in range(23)]
    assert (tmp_path / "cache" / pixels_name(0)).stat().st_size == PER_SHARD * 3 * 12 * 16
    assert files[7].taken == "2026-05-01T10:07:00"
    assert store.decoded == store.read == 23
    assert set(decoded.values()) == {1}
    before = {path.name: path.read_bytes() for path in (tmp_path / "cache").glob("*.pixels")}
    for path in (tmp_path / "cache").iterdir():
        path.unlink()
    fill(pictures, workers=7)
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "cache").glob("*.pixels")}


def test_unchanged_files_are_not_opened_again(
    pictures: list[str], fill: Fill, decoded: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(pictures[:9])
    store, _ = fill(pictures)
    assert (store.decoded, store.read) == (14, 14)
    monkeypatch.setattr(cache, "_read", lambda *_: pytest.fail("a file was read again"))
    store, files = fill(pictures[::-1])
    assert (store.decoded, store.read) == (0, 0)
    check(store, files, pictures[::-1])
    assert set(decoded.values()) == {1}


def test_touched_moved_and_copied_files_are_read_but_not_decoded(
    pictures: list[str], fill: Fill, decoded: Counter[str], tmp_path: Path
) -> None:
    fill(pictures)
    os.utime(pictures[0], ns=(1, 1))
    moved = str(tmp_path / "elsewhere.jpg")
    os.rename(pictures[1], moved)
    twin = tmp_path / "twin.jpg"
    twin.write_bytes(Path(pictures[2]).read_bytes())
    store, files = fill([pictures[0], moved, pictures[2], str(twin)])
    assert (store.decoded, store.read) == (0, 3)
    assert files[2].media_id == files[3].media_id
    assert set(decoded.values()) == {1}


def test_a_file_with_new_bytes_is_a_new_photograph(pictures: list[str], fill: Fill) -> None:
    _, before = fill(pictures)
    Path(pictures[3]).write_bytes(photograph(99))
    store, after = fill(pictures)
    assert store.decoded == 1
    assert before[3].media_id != after[3].media_id
    check(store, after, pictures)


def test_the_same_bytes_in_many_files_at_once_are_decoded_once(
    fill: Fill, decoded: Counter[str], tmp_path: Path
) -> None:
    paths = []
    for number in range(40):
        path = tmp_path / f"{number:02}.jpg"
        path.write_bytes(photograph(number % 3))
        paths.append(str(path))
    store, files = fill(paths, workers=8)
    assert len(store.places) == 3
    assert [file.media_id for file in files] == [files[number % 3].media_id for number in range(40)]
    assert set(decoded.values()) == {1}


def test_what_is_no_photograph_is_told_and_never_a_frame(
    fill: Fill, decoded: Counter[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = photograph(1, size=(480, 640))
    contents = {"empty.jpg": b"", "text.jpg": b"not an image", "cut.jpg": whole[: len(whole) // 2], "whole.jpg": whole}
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "huge.jpg").write_bytes(b"\0" * 2_000_000)
    monkeypatch.setattr(cache, "LARGEST_FILE", 1_000_000)
    (tmp_path / "twice.jpg").write_bytes(contents["cut.jpg"])
    (tmp_path / "link.jpg").symlink_to(tmp_path / "whole.jpg")
    names = [*contents, "folder.jpg", "pipe.jpg", "huge.jpg", "twice.jpg", "link.jpg", "gone.jpg", "empty.jpg/in.jpg"]
    paths = [str(tmp_path / name) for name in names] + [str(tmp_path / "nul\0.jpg"), "/\ud800.jpg"]
    _, files = fill(paths)
    assert [file.failure for file in files] == [
        "empty_file", "not_an_image", "truncated", "", "not_a_file", "not_a_file", "too_large", "truncated", "", "missing",
        "missing", "missing", "missing",
    ]  # fmt: skip
    assert all((file.media_id is None) == bool(file.failure) == bool(file.detail) for file in files)
    store, again = fill(paths)
    assert again == files
    assert (store.decoded, store.read) == (0, 0)
    assert set(decoded.values()) == {1}


def test_a_file_that_is_written_to_meanwhile_is_told(
    pictures: list[str], fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def growing(path: Any, *arguments: Any, **more: Any) -> int:
        if path == pictures[4]:
            with Path(path).open("ab") as file:
                file.write(b"more")
        return opened(path, *arguments, **more)

    monkeypatch.setattr(cache.os, "open", growing)
    _, files = fill(pictures)
    assert [number for number, file in enumerate(files) if file.failure == "changed_while_reading"] == [4]


# --- interruptions


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("after", range(11))
@pytest.mark.parametrize("renamed", [False, True])
def test_a_crash_at_any_write_costs_only_the_shard_that_was_being_written(
    after: int, renamed: bool, pictures: list[str], fill: Fill, decoded: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five shards are ten renames; the process ends right before or right behind one of them."""
    replace, left = os.replace, [after]

    def until(source: Any, target: Any) -> None:
        if left[0] == 0 and not renamed:
            raise Killed
        replace(source, target)
        if left[0] == 0:
            raise Killed
        left[0] -= 1

    with monkeypatch.context() as patch:
        patch.setattr(shards.os, "replace", until)
        try:
            fill(pictures)
        except Killed:
            assert after < 10
    finished = (after + renamed) // 2 * PER_SHARD
    store, files = fill(pictures)
    check(store, files, pictures)
    kept = {file.media_id for file in files[:finished]}
    assert all(count == 1 for media_id, count in decoded.items() if media_id in kept)
    assert store.decoded == max(0, 23 - finished)
    assert not list(store.folder.glob(".*.tmp"))


_BUILDING = """
import os, sys, time
from ctwatch.domain import Canvas
from ctwatch.identity import content_id
from ctwatch_train.sets import cache
folder, log, *paths = sys.argv[1:]
cache.FRAMES_PER_SHARD = 5
original, file = cache.decode, os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def counting(data, canvas):
    os.write(file, (content_id(data) + "\\n").encode())
    time.sleep(0.002)
    return original(data, canvas)
cache.decode = counting
from pathlib import Path
with cache.opened(Path(folder), Canvas(12, 16), say=print, workers=2) as store:
    store.add(paths, workers=2)
"""


def test_killed_again_and_again_it_ends_with_every_frame_and_decodes_no_finished_shard_twice(tmp_path: Path) -> None:
    paths = []
    for number in range(120):
        path = tmp_path / f"{number:03}.jpg"
        path.write_bytes(photograph(number))
        paths.append(str(path))
    folder, log = tmp_path / "cache", tmp_path / "log"
    command = [sys.executable, "-c", _BUILDING, str(folder), str(log), *paths]
    chance = random.Random(3)
    counts: Counter[str] = Counter()
    settled: dict[str, int] = {}
    killed = 0
    for _ in range(60):
        before = set(_finished(folder))
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        while process.poll() is None and len(set(_finished(folder)) - before) < 4:
            time.sleep(0.001)
        time.sleep(chance.random() * 0.02)
        process.send_signal(signal.SIGKILL)
        _, error = process.communicate()
        counts = Counter(log.read_text().split())
        for name in _finished(folder):
            record = read_record(folder / name)
            assert record is not None
            settled = {media_id: counts[media_id] for media_id in record.media_ids} | settled
        if process.returncode == 0:
            break
        killed += 1
        assert process.returncode == -signal.SIGKILL, error
    assert process.returncode == 0
    assert killed >= 3
    said: list[str] = []
    with cache.opened(folder, CANVAS, say=said.append, workers=2) as store:
        check(store, store.add(paths, workers=2), paths)
        assert (store.decoded, said) == (0, [])
    # A process that is killed loses what is in no finished shard: up to one shard and what is read ahead.
    assert sum(counts.values()) - 120 <= killed * (PER_SHARD + 9)
    assert settled == {media_id: counts[media_id] for media_id in settled}
    assert len(settled) == 120


def _finished(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("*.json")] if folder.exists() else []


def test_a_full_disk_is_told_and_finished_shards_are_kept(
    pictures: list[str], fill: Fill, decoded: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, left = os.fsync, [5]

    def full(descriptor: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(shards.os, "fsync", full)
        with pytest.raises(
            CtwatchError, match=r"cannot be written \(No space left on device\); finished shards are kept"
        ):
            fill(pictures)
    store, files = fill(pictures)
    assert store.decoded == 23 - PER_SHARD
    check(store, files, pictures)


# --- damage


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a flipped bit": lambda folder: flip(folder / pixels_name(1)),
    "a truncated shard": lambda folder: os.truncate(folder / pixels_name(1), 100),
    "an empty shard": lambda folder: os.truncate(folder / pixels_name(1), 0),
    "a lost shard": lambda folder: (folder / pixels_name(1)).unlink(),
    "a lost record": lambda folder: (folder / record_name(1)).unlink(),
    "a flipped bit in the record": lambda folder: flip(folder / record_name(1)),
    "a truncated record": lambda folder: os.truncate(folder / record_name(1), 50),
    "a record that is no record": lambda folder: (folder / record_name(1)).write_bytes(b"[1]"),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_shard_is_made_anew_and_no_other(
    what: str, pictures: list[str], fill: Fill, decoded: Counter[str], tmp_path: Path
) -> None:
    fill(pictures)
    decoded.clear()
    DAMAGES[what](tmp_path / "cache")
    said: list[str] = []
    store, files = fill(pictures, said=said)
    check(store, files, pictures)
    assert store.decoded == PER_SHARD
    assert set(decoded) == {file.media_id for file in files[PER_SHARD : 2 * PER_SHARD]}
    assert what == "a lost record" or ["00001.pixels: is damaged" in line for line in said] == [True]
    said.clear()
    fill(pictures, said=said)
    assert not said


def test_a_cache_of_another_canvas_is_left_alone(pictures: list[str], fill: Fill, tmp_path: Path) -> None:
    fill(pictures)
    before = sorted(path.name for path in (tmp_path / "cache").iterdir())
    with pytest.raises(ConfigError, match=r"frames of 12 x 16, not 12 x 16, 0\.1 of the height cut off at the top"):
        fill(pictures, canvas=Canvas(12, 16, banner_top=0.1))
    assert before == sorted(path.name for path in (tmp_path / "cache").iterdir())


def test_a_cache_of_a_newer_version_is_left_alone(pictures: list[str], fill: Fill, tmp_path: Path) -> None:
    fill(pictures)
    record = tmp_path / "cache" / record_name(0)
    record.write_text(json.dumps(json.loads(record.read_text()) | {"version": 2}))
    with pytest.raises(ConfigError, match="version 2, this ctwatch knows 1"):
        fill(pictures)


def test_two_processes_never_write_one_cache(tmp_path: Path, fill: Fill, pictures: list[str]) -> None:
    with (
        cache.opened(tmp_path / "cache", CANVAS, say=print, workers=1),
        pytest.raises(CtwatchError, match="another process"),
    ):
        fill(pictures)
    fill(pictures)


# --- reading


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> tuple[CachedFrames, Any]:
    """Thirty shards of two frames, more than may be mapped at once."""
    folder = tmp_path_factory.mktemp("frames")
    pixels = np.random.default_rng(1).integers(0, 256, (30, 2, 3, 12, 16), np.uint8)
    for number, shard in enumerate(pixels):
        (folder / pixels_name(number)).write_bytes(shard.tobytes())
    limit = pytest.MonkeyPatch()
    limit.setattr(resource, "getrlimit", lambda _: (64, 64))
    reader = CachedFrames(folder, CANVAS, dict.fromkeys(range(30), 2))
    limit.undo()
    return reader, pixels.reshape(60, 3, 12, 16)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 59), st.integers(0, 4), st.integers(0, 6)), max_size=40))
def test_windows_are_parts_of_the_frames(frames: tuple[CachedFrames, Any], places: list[tuple[int, int, int]]) -> None:
    reader, pixels = frames
    rows, tops, lefts = np.array(places, np.int64).reshape(-1, 3).T
    found = reader.windows(rows // 2, rows % 2, tops, lefts, 8, 10)
    assert found.shape == (len(places), 3, 8, 10)
    for window, (row, top, left) in zip(found, places, strict=True):
        assert (window == pixels[row, :, top : top + 8, left : left + 10]).all()


def test_threads_share_a_reader(frames: tuple[CachedFrames, Any]) -> None:
    reader, pixels = frames
    corner = np.zeros(200, np.int64)

    def read(seed: int) -> bool:
        rows = np.random.default_rng(seed).integers(0, 60, 200)
        return bool((reader.windows(rows // 2, rows % 2, corner, corner, 12, 16) == pixels[rows]).all())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(40)))


@pytest.mark.parametrize(("top", "left"), [(-1, 0), (5, 0), (0, 7), (0, -1)])
def test_a_window_outside_of_the_canvas_is_refused(frames: tuple[CachedFrames, Any], top: int, left: int) -> None:
    place = np.zeros(1, np.int64)
    with pytest.raises(ValueError, match="reaches out of the canvas of 12 x 16"):
        frames[0].windows(place, place, np.array([top]), np.array([left]), 8, 10)


def test_never_more_than_asked_for_is_under_way() -> None:
    started, lock = [0], threading.Lock()

    def work(item: int) -> int:
        with lock:
            started[0] += 1
        return item

    def consumed() -> Iterator[int]:
        with ThreadPoolExecutor(4) as pool:
            yield from ahead(pool, work, range(200), 6)

    for number, item in enumerate(consumed()):
        assert item == number
        assert started[0] <= number + 6
