"""kill -9 at any moment: what comes out after a restart is what would have come out without it."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

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

# Predictions are saved every few frames, so that there is something to be killed in the middle of.
_CHILD = (
    "import sys, ctwatch.pipeline as p, ctwatch.cli as c; p.PREDICTIONS_PER_COMMIT = 60;"
    " sys.argv = ['ctwatch', *sys.argv[1:]]; c.main()"
)


def start(config: Config, *arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", _CHILD, "--config", str(config.base / "config.toml"), *arguments],
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def kill(child: "subprocess.Popen[bytes]") -> None:
    """Kill the child's whole process group, as the kernel kills when memory is short."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.communicate()


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


def test_a_killed_command_goes_on_to_the_same_tables(config: Configure, card: Path, tiny_models: Path) -> None:
    """Killed a dozen times, after each few writes to the store or at random moments, then run to the end."""
    undisturbed = Store(config(tiny_models, "[store]\nfolder = 'undisturbed'\n"))
    undisturbed.process(card)
    expected = undisturbed.dump()
    settings = config(tiny_models)
    rng = random.Random(3)
    killed = 0
    for number in range(KILLS):
        child = start(settings, "process", str(card))
        seen, writes, until = footprint(settings), 0, time.monotonic() + DEADLINE_S
        after = 1 + number % 6
        while child.poll() is None and writes < after:
            assert time.monotonic() < until
            now = footprint(settings)
            writes += now != seen
            seen = now
        time.sleep(rng.random() * 0.02)
        killed += child.poll() is None
        kill(child)
        if (settings.store_folder / LIVE_NAME).exists():
            with Database(settings.store_folder).reading() as connection:
                in_already = connection.execute("SELECT count(*) FROM raw.card").fetchall() == [(1,)]
                files = connection.execute("SELECT count(*) FROM raw.card_file").fetchall()
            assert files == [(FILES if in_already else 0,)], "a card is absent or complete"
            if in_already and number % 3:
                shutil.rmtree(settings.store_folder)
    assert killed >= KILLS // 2
    last = start(settings, "process", str(card))
    output, _ = last.communicate(timeout=DEADLINE_S)
    assert last.returncode == 0, output
    assert dump(Database(settings.store_folder)) == expected
    reader = open_published(settings.store_folder)
    assert reader.execute("SELECT count(*) FROM media").fetchall() == [(FILES,)]
    reader.close()
    assert not list(settings.store_folder.glob("*.wal"))


def test_a_killed_daemon_ends_the_card_after_its_restart(
    config: Configure, card: Path, make_card: Make, tiny_models: Path
) -> None:
    """Killed in the middle of a card, started again: both cards are in, once, and published."""
    undisturbed = Store(config(tiny_models, "[store]\nfolder = 'undisturbed'\n"))
    second = make_card("L02_CAM2", 12, first=500)
    for each in (card, second):
        undisturbed.process(each)
    settings = config(tiny_models, "[watch]\nsettle_s = 0.2\n")
    for _ in range(3):
        daemon = start(settings, "run")
        until = time.monotonic() + DEADLINE_S
        seen = predictions(settings)
        while predictions(settings) in (seen, -1) and daemon.poll() is None:
            assert time.monotonic() < until
        kill(daemon)
    daemon = start(settings, "run")
    try:
        until = time.monotonic() + DEADLINE_S
        while published_cards(settings) != 2:
            assert daemon.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
    finally:
        daemon.send_signal(signal.SIGTERM)
        output, _ = daemon.communicate(timeout=DEADLINE_S)
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
