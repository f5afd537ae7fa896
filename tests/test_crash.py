"""kill -9 at any moment: what comes out after a restart is what would have come out without it."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Store, dump

from ctwatch.config import Config
from ctwatch.store.database import LIVE_NAME, PUBLISHED_NAME, Database
from ctwatch.store.publish import open_published

FILES = 150
KILLS = 12
DEADLINE_S = 90.0
Make = Callable[..., Path]
Configure = Callable[..., Config]

# Loads what a command needs and then makes one process of each line that it is told, for loading takes seconds.
# Predictions are saved every few frames, so that there is something to be killed in the middle of.
_NURSERY = """
import json, os, sys
import ctwatch.cli, ctwatch.daemon, ctwatch.once, ctwatch.pipeline, ctwatch.report, torch
ctwatch.pipeline.PREDICTIONS_PER_COMMIT = 60
for line in sys.stdin:
    order = json.loads(line)
    if isinstance(order, int):
        pid, status = os.waitpid(order, os.WNOHANG)
        print(json.dumps(os.waitstatus_to_exitcode(status) if pid else None), flush=True)
        continue
    child = os.fork()
    if child == 0:
        os.setsid()
        os.dup2(os.open(order[0], os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
        os.dup2(1, 2)
        sys.argv = ["ctwatch", *order[1:]]
        ctwatch.cli.main()
    print(child, flush=True)
"""


class Nursery:
    """Starts real commands in processes of their own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _NURSERY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    def ask(self, order: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def start(self, config: Config, *arguments: str) -> "Child":
        log = config.base / "log.txt"
        return Child(self, self.ask([str(log), "--config", str(config.base / "config.toml"), *arguments]), log)

    def close(self) -> None:
        self._process.communicate()


class Child:
    """One command at work."""

    def __init__(self, nursery: Nursery, pid: int, log: Path) -> None:
        self._nursery, self.pid, self._log = nursery, pid, log
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._nursery.ask(self.pid)
        return self.returncode

    def wait(self) -> str:
        """Wait for its end and return what it said."""
        until = time.monotonic() + DEADLINE_S
        while self.poll() is None:
            assert time.monotonic() < until, self._log.read_text()
            time.sleep(0.005)
        return self._log.read_text()

    def kill(self) -> None:
        """Kill it and its children, as the kernel does when memory is short."""
        if self.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
            self.wait()


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()


def footprint(config: Config) -> tuple[tuple[str, int, int], ...]:
    """Names, sizes and times of the store's files: changes whenever something was written."""
    found = []
    for path in config.store_folder.glob(".*"), config.store_folder.glob("*"):
        for item in path:
            try:
                facts = item.stat()
            except FileNotFoundError:
                continue
            found.append((item.name, facts.st_size, facts.st_mtime_ns))
    return tuple(sorted(found))


@pytest.fixture
def card(make_card: Make) -> Path:
    """150 small photographs over two folders, with events that are spread over both."""
    card = make_card("L01_CAM1", FILES, folder="100MEDIA")
    (card / "101MEDIA").mkdir()
    for path in sorted((card / "100MEDIA").iterdir())[::5]:
        path.rename(card / "101MEDIA" / path.name)
    return card


def test_a_killed_command_goes_on_to_the_same_tables(
    config: Configure, card: Path, tiny_models: Path, nursery: Nursery
) -> None:
    """Killed a dozen times, after each few writes to the store or at random moments, then run to the end."""
    undisturbed = Store(config(tiny_models, "[store]\nfolder = 'undisturbed'\n"))
    undisturbed.process(card)
    expected = undisturbed.dump()
    settings = config(tiny_models)
    rng = random.Random(3)
    killed = 0
    for number in range(KILLS):
        child = nursery.start(settings, "process", str(card))
        seen, writes, until = footprint(settings), 0, time.monotonic() + DEADLINE_S
        after = 1 + number % 6
        while child.poll() is None and writes < after:
            assert time.monotonic() < until
            now = footprint(settings)
            writes += now != seen
            seen = now
            time.sleep(0.001)
        time.sleep(rng.random() * 0.02)
        killed += child.poll() is None
        child.kill()
        if (settings.store_folder / LIVE_NAME).exists():
            with Database(settings.store_folder).reading() as connection:
                in_already = connection.execute("SELECT count(*) FROM raw.card").fetchall() == [(1,)]
                files = connection.execute("SELECT count(*) FROM raw.card_file").fetchall()
            assert files == [(FILES if in_already else 0,)], "a card is absent or complete"
            if in_already and number % 3:
                shutil.rmtree(settings.store_folder)
    assert killed >= KILLS // 2
    last = nursery.start(settings, "process", str(card))
    output = last.wait()
    assert last.returncode == 0, output
    assert dump(Database(settings.store_folder)) == expected
    reader = open_published(settings.store_folder)
    assert reader.execute("SELECT count(*) FROM media").fetchall() == [(FILES,)]
    reader.close()
    assert not [path.name for path in settings.store_folder.iterdir() if path.suffix in (".wal", ".new")]


def test_a_killed_daemon_ends_the_card_after_its_restart(
    config: Configure, card: Path, make_card: Make, tiny_models: Path, nursery: Nursery
) -> None:
    """Killed in the middle of a card, started again: both cards are in, once, and published."""
    undisturbed = Store(config(tiny_models, "[store]\nfolder = 'undisturbed'\n"))
    second = make_card("L02_CAM2", 12, first=500)
    for each in (card, second):
        undisturbed.process(each)
    settings = config(tiny_models, "[watch]\nsettle_s = 0.2\n")
    for _ in range(3):
        daemon = nursery.start(settings, "run")
        until = time.monotonic() + DEADLINE_S
        seen = predictions(settings)
        while predictions(settings) in (seen, -1) and daemon.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.001)
        daemon.kill()
    daemon = nursery.start(settings, "run")
    try:
        until = time.monotonic() + DEADLINE_S
        while published_cards(settings) != 2:
            assert daemon.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
    finally:
        os.kill(daemon.pid, signal.SIGTERM)
        output = daemon.wait()
    assert daemon.returncode == 0, output
    assert dump(Database(settings.store_folder)) == undisturbed.dump()


def predictions(config: Config) -> int:
    """How much the daemon has predicted, seen from outside without holding its file: the live file's size."""
    try:
        return (config.store_folder / LIVE_NAME).stat().st_size
    except FileNotFoundError:
        return -1


def published_cards(config: Config) -> int:
    if not (config.store_folder / PUBLISHED_NAME).exists():
        return 0
    reader = open_published(config.store_folder)
    try:
        return int(reader.execute("SELECT count(*) FROM cards").fetchall()[0][0])
    finally:
        reader.close()
