"""What lies on a card: every file seen once, links never followed, nothing outside it reachable, handles given back."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ctwatch import card
from ctwatch.card import UnusableFile, read_bytes, scan_inbox, snapshot, walk
from ctwatch.domain import Failure, FileStat, Ignored
from ctwatch.errors import InboxMissing


def stat_of(root: Path, path: str) -> FileStat:
    return next(file for file in snapshot(root, root.parent).files if file.path == path)


def failure_of(root: Path, file: FileStat) -> Failure:
    with pytest.raises(UnusableFile) as caught:
        read_bytes(str(root), file)
    return caught.value.failure


def test_a_file_is_read_as_it_was_listed(tmp_path: Path) -> None:
    """Its bytes, whole."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.JPG").write_bytes(b"bytes")
    assert read_bytes(str(tmp_path), stat_of(tmp_path, "a/x.JPG")) == b"bytes"


def test_what_changed_since_the_listing_is_never_taken_for_the_card(tmp_path: Path) -> None:
    """Longer, shorter, emptied, rewritten at the same size, gone: all the same answer, look again."""
    path = tmp_path / "x.JPG"
    for change in (b"longer than", b"x", b"", b"other"):
        path.write_bytes(b"bytes")
        os.utime(path, ns=(1, 1))
        seen = stat_of(tmp_path, "x.JPG")
        path.write_bytes(change)
        assert failure_of(tmp_path, seen) is Failure.CHANGED_WHILE_READING, change
    seen = stat_of(tmp_path, "x.JPG")
    path.unlink()
    assert failure_of(tmp_path, seen) is Failure.CHANGED_WHILE_READING


def test_a_link_put_in_place_of_a_folder_or_file_leads_nowhere(tmp_path: Path) -> None:
    """Even when it comes between listing and reading."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.JPG").write_bytes(b"secret")
    root = tmp_path / "card"
    (root / "DCIM").mkdir(parents=True)
    (root / "DCIM" / "x.JPG").write_bytes(b"secret")
    seen = stat_of(root, "DCIM/x.JPG")
    (root / "DCIM" / "x.JPG").unlink()
    (root / "DCIM" / "x.JPG").symlink_to(outside / "x.JPG")
    assert failure_of(root, seen) is Failure.NO_ACCESS
    (root / "DCIM" / "x.JPG").unlink()
    (root / "DCIM").rmdir()
    (root / "DCIM").symlink_to(outside)
    assert failure_of(root, seen) is Failure.NO_ACCESS


def test_a_pipe_in_place_of_a_file_never_blocks(tmp_path: Path) -> None:
    """Opened without waiting for a writer, and refused."""
    os.mkfifo(tmp_path / "x.JPG")
    assert stat_of(tmp_path, "x.JPG").ignored is Ignored.SPECIAL
    assert failure_of(tmp_path, FileStat("x.JPG", 0, 5)) is Failure.NO_ACCESS


def test_a_path_with_dots_cannot_climb_out(tmp_path: Path) -> None:
    """A listing never holds such a path; made up, it finds no file of that listing."""
    (tmp_path / "secret.JPG").write_bytes(b"secret")
    (tmp_path / "card").mkdir()
    facts = os.stat(tmp_path / "secret.JPG")
    listed = [file.path for _, file in walk(tmp_path / "card") if file]
    assert listed == []
    assert not any(".." in part for part in listed)
    (tmp_path / "card" / "..hidden.JPG").write_bytes(b"x")
    (tmp_path / "card" / "a..b.JPG").write_bytes(b"x")
    assert [file.path for _, file in walk(tmp_path / "card") if file] == ["a..b.JPG"]
    assert facts.st_size == 6


def test_a_file_over_the_limit_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its size is enough to know."""
    monkeypatch.setattr(card, "LARGEST_FILE", 10)
    (tmp_path / "x.JPG").write_bytes(b"0123456789a")
    assert failure_of(tmp_path, stat_of(tmp_path, "x.JPG")) is Failure.TOO_LARGE


def test_folders_too_deep_for_a_path_are_reported_not_passed_over(tmp_path: Path) -> None:
    """However deep, whatever lies there is a row."""
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(25):
            os.mkdir("d" * 200, dir_fd=here)
            inner = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = inner
            with open(os.open("x.JPG", os.O_CREAT | os.O_WRONLY, dir_fd=here), "wb") as file:
                file.write(b"bytes")
    finally:
        os.close(here)
    files = snapshot(tmp_path, tmp_path.parent).files
    read = []
    for file in files:
        try:
            read.append(read_bytes(str(tmp_path), file))
        except UnusableFile as error:
            assert error.failure is Failure.NO_ACCESS
    assert read == [b"bytes"] * len(read)
    assert 15 < len(read) < len(files) <= 25


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda root: (root / "x.JPG").symlink_to("/etc/passwd"), Ignored.LINK),
        (lambda root: (root / "x.JPG").symlink_to("nowhere"), Ignored.LINK),
        (lambda root: (root / "x.JPG").symlink_to("."), Ignored.LINK),
        (lambda root: (root / "x.mp4").touch(), Ignored.VIDEO),
        (lambda root: (root / "x.AVI").touch(), Ignored.VIDEO),
        (lambda root: (root / "x.txt").touch(), Ignored.NOT_MEDIA),
        (lambda root: (root / "x").touch(), Ignored.NOT_MEDIA),
        (lambda root: (root / "x.jpeg").touch(), None),
    ],
)
def test_files_that_are_not_looked_into_are_counted_with_a_reason(
    tmp_path: Path, make: Callable[[Path], None], expected: Ignored | None
) -> None:
    """By kind; a link is seen, never followed, even one that leads round in a circle."""
    make(tmp_path)
    (file,) = snapshot(tmp_path, tmp_path.parent).files
    assert file.ignored is expected


def test_signs_of_copying_and_of_being_ready_are_no_files_of_the_card(tmp_path: Path) -> None:
    """Temporary names make a card wait, READY ends the wait, system files and ctwatch's own are left out."""
    for name in ("a.JPG", "b.JPG.part", "Thumbs.db", ".hidden.JPG", "ctwatch-receipt.txt"):
        (tmp_path / name).touch()
    seen = snapshot(tmp_path, tmp_path.parent)
    assert ([file.path for file in seen.files], seen.copying, seen.ready) == (["a.JPG"], True, False)
    (tmp_path / "Ready").touch()
    assert snapshot(tmp_path, tmp_path.parent).ready


def test_an_inbox_lists_folders_and_loose_images_but_no_links_or_own_store(tmp_path: Path) -> None:
    """A linked folder is not a card; neither is the store if somebody puts it into the inbox."""
    (tmp_path / "elsewhere").mkdir()
    inbox = tmp_path / "inbox"
    (inbox / "L01").mkdir(parents=True)
    (inbox / "data").mkdir()
    (inbox / "data" / "ctwatch.duckdb").touch()
    (inbox / "linked").symlink_to(tmp_path / "elsewhere")
    (inbox / "loose.JPG").touch()
    found = scan_inbox(inbox)
    assert [(item.name, item.loose) for item in found] == [("L01", False), ("inbox", True)]
    assert [(file.path, file.ignored) for file in found[1].files] == [("linked", Ignored.LINK), ("loose.JPG", None)]
    with pytest.raises(InboxMissing, match="mount or create it"):
        scan_inbox(tmp_path / "nowhere")


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    """Whether a file is read, refused or gone."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "x.JPG").write_bytes(b"bytes")
    (tmp_path / "a" / "b" / "empty.JPG").touch()
    files = [*snapshot(tmp_path, tmp_path.parent).files, FileStat("a/b/gone.JPG", 1, 1), FileStat("a/b", 1, 1)]
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        for file in files:
            try:
                read_bytes(str(tmp_path), file)
            except UnusableFile:
                continue
    assert len(os.listdir("/proc/self/fd")) == before
