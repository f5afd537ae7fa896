"""A small station for one life: two inboxes, a configuration, a deployments table, models, and cards as they are dropped."""

import os
import shutil
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from conftest import moment_of, photograph

CONFIGURATION = """
[watch]
inboxes = ["inbox", "second"]
settle_s = 0.1
sweep_s = 1.0
retry_s = 1.0
unfinished_s = 0.3
[read]
workers = 1
[models]
empty = "models/empty"
species = "models/species"
device = "cpu"
engine = "eager"
threads = 1
batch_size = 4
[decisions]
blank_threshold = 0.497
[deployments]
table = "deployments.csv"
[store]
min_free_gb = 0
backups = {backups}
"""
TABLE = """deploymentID,locationID,deploymentStart,deploymentEnd
D1,L01,2026-05-01T08:00:00,2026-05-03T09:30:00
D2,L02,2026-05-01T08:00:00,2026-05-03T09:30:00
"""
COPIED_AT = 1_780_000_000
"""Seconds since 1970: when the files of every card were written, so that a card's id is the same in every life."""

Files = dict[str, bytes]
"""A card's files by their path in it."""


@cache
def _photograph(number: int) -> bytes:
    return photograph(number, moment_of(number))


def card(first: int = 0, photographs: int = 14) -> Files:
    """A card's files: events over two folders, a broken photograph, one that is there twice, a video and a text."""
    files = {
        f"DCIM/{100 + number % 2}MEDIA/IMG_{number:04d}.JPG": _photograph(number)
        for number in range(first, first + photographs)
    }
    files["DCIM/100MEDIA/TORN.JPG"] = _photograph(first + photographs)[:900]
    files["DCIM/101MEDIA/TWICE.JPG"] = _photograph(first)
    files["DCIM/100MEDIA/CLIP.MP4"] = b"no photograph" * 40
    files["README.TXT"] = b"camera 1\n"
    return files


class Station:
    """A folder that is made anew for each life, always at the same place."""

    def __init__(self, base: Path, models: Path) -> None:
        self.base, self._models = base, models
        self.power = base.with_name(f"{base.name}-power")
        """What the processes note that a power cut would take."""
        self.store = base / "data"
        self.archive = base / "archive"
        memory = Path("/dev/shm")
        self.far = (memory if memory.is_dir() else base.parent) / f"ctwatch-crash-{os.getpid()}-{base.name}"
        """A folder on another disk, where there is one."""
        self.inbox, self.second = base / "inbox", base / "second"

    def make(self, more: str = "", *, models: bool = True, backups: int = 0) -> None:
        """Make it, empty, with more lines of configuration."""
        for folder in (self.base, self.power, self.far):
            shutil.rmtree(folder, ignore_errors=True)
        for folder in (self.inbox, self.second, self.base / "models" / "empty", self.base / "models" / "species"):
            folder.mkdir(parents=True)
        (self.base / "config.toml").write_text(CONFIGURATION.format(backups=backups) + more, "utf-8")
        (self.base / "deployments.csv").write_text(TABLE, "utf-8")
        if models:
            self.install_models()

    def install_models(self) -> None:
        """Put the models into their folders."""
        shutil.copytree(self._models, self.base / "models", dirs_exist_ok=True)

    def drop(self, name: str, files: Files, *, only: Iterable[str] | None = None, inbox: str = "inbox") -> None:
        """Copy a card's files, or some of them, into an inbox; those that are there already are written anew."""
        for path in files if only is None else only:
            place = self.base / inbox / name / path
            place.parent.mkdir(parents=True, exist_ok=True)
            aside = place.with_name(f"{place.name}.part")
            aside.write_bytes(files[path])
            os.utime(aside, (COPIED_AT, COPIED_AT))
            aside.rename(place)

    def half_copy(self, name: str, files: Files, path: str) -> None:
        """Leave a file of a card half written under its final name, as a copy that broke off does."""
        place = self.inbox / name / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(files[path][: len(files[path]) // 2])

    def remove(self, name: str) -> None:
        """Delete a card."""
        shutil.rmtree(self.inbox / name)

    def rename(self, name: str, new: str, inbox: str = "inbox") -> None:
        """Rename a card, or move it to the other inbox."""
        (self.inbox / name).rename(self.base / inbox / new)

    def damage(self) -> None:
        """Leave a block of the live database half written, as a process killed within one write does."""
        path = self.store / "ctwatch.duckdb"
        data = bytearray(path.read_bytes())
        data[12288 + 4096 : 12288 + 8192] = bytes(4096)
        path.write_bytes(data)
