"""The archive: a card that is in and published moves there, whole, whatever happens on the way."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import Store

from ctwatch import card_folder
from ctwatch.archive import Archive
from ctwatch.config import Config, parse
from ctwatch.contact_sheet import write_sheet
from ctwatch.errors import ConfigError
from ctwatch.results import put_out
from ctwatch.store import kept_cards
from ctwatch.store.kept_cards import set_archive

Make = Callable[..., Path]
Configure = Callable[..., Config]
NOW = datetime(2026, 6, 1, 12)


class Cut(BaseException):
    """The power goes."""


@pytest.fixture(params=["same disk", "other disk"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """An archive folder that cards are renamed into, or must be copied to."""
    if request.param == "same disk":
        yield tmp_path / "archive"
        return
    made = Path(tempfile.mkdtemp(dir="/dev/shm", prefix="ctwatch-test-"))
    assert made.stat().st_dev != tmp_path.stat().st_dev, "needs two file systems"
    yield made
    shutil.rmtree(made)


@pytest.fixture
def station(config: Configure, folder: Path) -> Store:
    text = f"[store]\nmin_free_gb = 0\n[cards]\nafter = 'archive'\narchive = '{folder}'\n"
    return Store(config(text=text))


def tree(root: Path) -> dict[str, tuple[bytes, int]]:
    """Every file below a folder, with its bytes and time."""
    return {
        str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def move(station: Store) -> int:
    put_out(station.config, station.database)
    return Archive(station.config, station.database).move_published(NOW)


def test_a_published_card_moves_with_all_its_files_and_is_still_found(
    station: Store, make_card: Make, folder: Path
) -> None:
    card = make_card(files=4, folder="DCIM/100RECNX")
    (card / "MOVIE.AVI").write_bytes(b"RIFF" * 99)
    (card / ".hidden").write_bytes(b"system")
    os.utime(card / "MOVIE.AVI", ns=(1, 1_000_000_000_123))
    before = tree(card)
    station.process(card)
    assert move(station) == 1
    assert list(card.parent.iterdir()) == []
    assert tree(folder / "L01_CAM1") == before
    assert [path.name for path in folder.iterdir()] == ["L01_CAM1"]
    put_out(station.config, station.database)
    sources = {row[0] for row in station.rows("SELECT source_path FROM media")}
    assert sources == {str(folder / "L01_CAM1" / "DCIM" / "100RECNX" / f"IMG_{n:04d}.JPG") for n in range(4)}
    assert write_sheet(station.config, folder / "sheet.png").exists()
    assert move(station) == 0


def test_what_is_not_published_or_has_grown_or_lies_elsewhere_stays(
    station: Store, make_card: Make, tmp_path: Path
) -> None:
    grown, outside = make_card("L01_CAM1"), tmp_path / "sd" / "L03_CAM1"
    make_card("L03_CAM1", first=90)
    outside.parent.mkdir()
    (tmp_path / "inbox" / "L03_CAM1").rename(outside)
    station.process(grown)
    station.process(outside)
    make_card("L01_CAM1", files=1, first=20)
    put_out(station.config, station.database)
    unpublished = make_card("L02_CAM1", first=50)
    station.process(unpublished)
    assert Archive(station.config, station.database).move_published(NOW) == 0
    assert all(place.is_dir() for place in (grown, outside, unpublished))


def test_a_name_that_is_taken_gets_a_number(station: Store, make_card: Make, folder: Path) -> None:
    station.process(make_card("L01_CAM1"))
    move(station)
    station.process(make_card("L01_CAM1", first=50))
    assert move(station) == 1
    assert sorted(path.name for path in folder.iterdir()) == ["L01_CAM1", "L01_CAM1-2"]


def test_a_card_with_a_link_in_it_stays_and_nothing_is_followed(
    station: Store, make_card: Make, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    card = make_card()
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "IMG.JPG").write_bytes(b"mine")
    os.symlink(tmp_path / "precious", card / "link")
    station.process(card)
    assert move(station) == 0
    assert "links or special files" in caplog.text
    assert (tmp_path / "precious" / "IMG.JPG").read_bytes() == b"mine"
    assert (card / "link").is_symlink()


POINTS = (("rename", 1), ("rename", 2), ("copy", 1), ("empty", 1), ("set_archive", 1))


@pytest.mark.parametrize("after", [False, True], ids=["before", "behind"])
@pytest.mark.parametrize(("point", "number"), POINTS)
def test_a_move_that_is_cut_off_anywhere_is_finished_and_loses_nothing(
    station: Store,
    make_card: Make,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
    number: int,
    after: bool,
) -> None:
    """Cut before or behind the n-th call of each step; what follows is what the next start does."""
    card = make_card(files=3, folder="DCIM")
    before = tree(card)
    station.process(card)
    put_out(station.config, station.database)
    owner: Any = kept_cards if point == "set_archive" else card_folder
    real, calls = getattr(owner, point), 0

    def cut(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number and not after:
            raise Cut
        answer = real(*arguments)
        if calls == number:
            raise Cut
        return answer

    with monkeypatch.context() as patch:
        patch.setattr("ctwatch.archive.set_archive" if point == "set_archive" else f"ctwatch.card_folder.{point}", cut)
        with contextlib.suppress(Cut):
            Archive(station.config, station.database).move_published(NOW)
    assert tree(folder / "L01_CAM1") == before if (folder / "L01_CAM1").exists() else tree(card) == before
    archive = Archive(station.config, station.database)
    archive.settle()
    archive.move_published(NOW)
    assert tree(folder / "L01_CAM1") == before
    assert list(card.parent.iterdir()) == []
    assert [path.name for path in folder.iterdir()] == ["L01_CAM1"]
    assert station.rows("SELECT archive_path FROM raw.card") == [(str(folder / "L01_CAM1"),)]


def test_a_copy_that_differs_is_never_trusted(
    config: Configure, make_card: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A disk that writes something else than it was given."""
    made = Path(tempfile.mkdtemp(dir="/dev/shm", prefix="ctwatch-test-"))
    try:
        text = f"[store]\nmin_free_gb = 0\n[cards]\nafter = 'archive'\narchive = '{made}'\n"
        station = Store(config(text=text))
        card = make_card()
        before = tree(card)
        station.process(card)
        real = os.utime

        def spoil(path: Any, **times: Any) -> None:
            with open(path, "r+b") as handle:
                handle.seek(5)
                handle.write(b"\x00\x01")
            real(path, **times)

        monkeypatch.setattr("os.utime", spoil)
        assert move(station) == 0
        assert "the copy is not what" in caplog.text
        assert tree(card) == before
        assert list(made.iterdir()) == []
    finally:
        shutil.rmtree(made)


def test_a_full_archive_disk_leaves_the_card_where_it_is(
    config: Configure, make_card: Make, small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = f"[store]\nmin_free_gb = 0\n[cards]\nafter = 'archive'\narchive = '{small_disk / 'archive'}'\n"
    station = Store(config(text=text))
    card = make_card(files=6)
    before = tree(card)
    ballast = small_disk / "ballast"
    facts = os.statvfs(small_disk)
    size = sum(len(data) for data, _ in before.values())
    ballast.write_bytes(b"\0" * (facts.f_bavail * facts.f_frsize - size // 2))
    station.process(card)
    assert move(station) == 0
    assert "No space left" in caplog.text
    assert tree(card) == before
    assert list((small_disk / "archive").iterdir()) == []
    ballast.unlink()
    assert move(station) == 1
    assert tree(small_disk / "archive" / "L01_CAM1") == before


def test_the_same_card_dropped_again_goes_only_if_the_archive_holds_it_byte_for_byte(
    station: Store, make_card: Make, folder: Path
) -> None:
    card = make_card(files=3)
    staged = card.parent.parent / "staged"
    shutil.copytree(card, staged)
    station.process(card)
    move(station)
    shutil.copytree(staged, card)
    spoilt = folder / "L01_CAM1" / "IMG_0001.JPG"
    whole, facts = spoilt.read_bytes(), spoilt.stat()
    spoilt.write_bytes(whole[:-1] + b"\x00")
    os.utime(spoilt, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    Archive(station.config, station.database).settle()
    left = {path.name: path.read_bytes() for path in card.parent.rglob("*.JPG")}
    assert left == {"IMG_0001.JPG": whole}
    assert card.is_dir(), "where it is seen and read as a card again"
    shutil.rmtree(card)
    spoilt.write_bytes(whole)
    shutil.copytree(staged, card)
    Archive(station.config, station.database).settle()
    assert not list(card.parent.iterdir())


def test_an_archive_that_is_not_mounted_is_waited_for(station: Store, make_card: Make, folder: Path) -> None:
    card = make_card()
    station.process(card)
    put_out(station.config, station.database)
    card_id = station.rows("SELECT card_id FROM raw.card")[0][0]
    with station.database.writing() as connection:
        set_archive(connection, card_id, str(folder / "away" / "L01_CAM1"), NOW)
    shutil.rmtree(card)
    Archive(station.config, station.database).settle()
    assert station.rows("SELECT archive_path FROM raw.card") == [(str(folder / "away" / "L01_CAM1"),)]


@pytest.mark.parametrize("place", ["''", "'inbox'", "'inbox/kept'", "'.'"])
def test_an_archive_in_an_inbox_is_refused(place: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cards\.archive"):
        parse(f"[cards]\nafter = 'archive'\narchive = {place}\n", "config.toml", tmp_path)


def test_between_two_mounts_of_one_disk_a_card_is_copied(
    config: Configure, make_card: Make, small_disk: Path, tmp_path: Path
) -> None:
    """As a hardened service sees its folders: each its own mount, and no rename between them."""
    archive = tmp_path / "archive"
    kept = tmp_path / "kept"
    archive.mkdir()
    kept.mkdir()
    subprocess.run(["mount", "--bind", str(kept), str(archive)], check=True)
    try:
        text = f"[store]\nmin_free_gb = 0\n[cards]\nafter = 'archive'\narchive = '{archive}'\n"
        station = Store(config(text=text))
        card = make_card()
        before = tree(card)
        station.process(card)
        assert move(station) == 1
        assert tree(archive / "L01_CAM1") == before
        assert not card.exists()
    finally:
        subprocess.run(["umount", str(archive)], check=True)


def test_a_card_that_cannot_leave_its_folder_is_not_said_to_lie_in_the_archive(
    station: Store, make_card: Make, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    """And it goes as soon as it can."""
    card = make_card()
    before = tree(card)
    station.process(card)

    def refuse(source: str, target: str) -> None:
        raise PermissionError(1, "Operation not permitted", source)

    with monkeypatch.context() as patch:
        patch.setattr("ctwatch.card_folder.rename", refuse)
        move(station)
    if not (folder / "L01_CAM1").exists():
        Archive(station.config, station.database).settle()
    assert move(station) in (0, 1)
    Archive(station.config, station.database).settle()
    assert tree(folder / "L01_CAM1") == before
    assert station.rows("SELECT archive_path FROM raw.card") == [(str(folder / "L01_CAM1"),)]
    assert not card.exists()
