"""What lies on a card: every file seen once, links never followed, nothing outside it reachable, handles given back."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import moment_of, photograph
from shared_data import SHARED, needs_shared

from ctwatch import card
from ctwatch.card import UnusableFile, look_again, read_bytes, scan_inbox, snapshot, unfinished
from ctwatch.domain import Failure, FileStat, Ignored
from ctwatch.errors import InboxMissing
from ctwatch.settle import MOST_NAMES, incomplete, still_to_come


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
    listed = [file.path for file in snapshot(tmp_path / "card", tmp_path).files]
    assert listed == []
    assert not any(".." in part for part in listed)
    (tmp_path / "card" / "..hidden.JPG").write_bytes(b"x")
    (tmp_path / "card" / "a..b.JPG").write_bytes(b"x")
    assert [file.path for file in snapshot(tmp_path / "card", tmp_path).files] == ["a..b.JPG"]
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


def test_a_folder_is_never_a_sign_and_what_lies_in_it_is_seen(tmp_path: Path) -> None:
    """A folder called Ready says nothing; what lies in a temporary folder is temporary; an empty camera folder is told."""
    for path in ("Ready/a.JPG", "100MEDIA.part/b.JPG", "DCIM/.rsync-partial/c.JPG", ".hidden/d.JPG"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_bytes(b"x")
    for path in ("DCIM/101MEDIA", "MISC"):
        (tmp_path / path).mkdir()
    seen = snapshot(tmp_path, tmp_path.parent)
    assert ([file.path for file in seen.files], seen.ready) == (["Ready/a.JPG"], False)
    assert [file.path for file in seen.temporary] == ["100MEDIA.part/b.JPG", "DCIM/.rsync-partial/c.JPG"]
    assert seen.hollow == ("DCIM/101MEDIA",)


def test_a_folder_under_a_temporary_name_is_a_card_still_to_come(tmp_path: Path) -> None:
    """Copied whole under another name and renamed at the end."""
    (tmp_path / "L01.part").mkdir()
    (tmp_path / "L01.part" / "a.JPG").write_bytes(b"x")
    [seen] = scan_inbox(tmp_path)
    assert still_to_come(seen.card) == ("L01.part",)


def test_another_look_at_a_card_sees_what_the_first_would_see_now(tmp_path: Path) -> None:
    """Folders and loose photographs alike, and those that are gone."""
    inbox = tmp_path / "inbox"
    (inbox / "L01").mkdir(parents=True)
    for path in (inbox / "L01" / "a.JPG", inbox / "b.JPG"):
        path.write_bytes(b"x")
    for before in [look.card for look in scan_inbox(inbox)]:
        assert look_again(before) == before
        (Path(before.root) / "c.JPG").write_bytes(b"x")
        assert len(look_again(before).files) == 2
        (Path(before.root) / "c.JPG").unlink()
    folder, loose = (look.card for look in scan_inbox(inbox))
    inbox.rename(tmp_path / "away")
    assert look_again(folder) != folder
    assert look_again(loose).files == ()


def test_a_file_open_for_writing_is_seen_whoever_reads_it(tmp_path: Path) -> None:
    """By whomever, before and after a byte is written; not once it is closed, and not where leases are not asked for."""
    whole = photograph(1, moment_of(1))
    (tmp_path / "x.JPG").write_bytes(whole)
    (tmp_path / "v.mp4").write_bytes(b"video")
    seen = snapshot(tmp_path, tmp_path.parent)
    with open(tmp_path / "x.JPG", "rb"):
        assert unfinished(seen, leases=True) == ()
    with open(tmp_path / "x.JPG", "ab"), open(tmp_path / "v.mp4", "r+b"):
        assert unfinished(seen, leases=True) == ("v.mp4", "x.JPG")
        assert unfinished(seen, leases=False) == ()
    assert unfinished(seen, leases=True) == ()


def test_a_writer_that_comes_while_the_lease_is_held_waits_and_nobody_is_killed(tmp_path: Path) -> None:
    """Linux tells the holder by a signal that ends a process unless it is another one; asked in a process of its own."""
    (tmp_path / "x.JPG").write_bytes(b"whole")
    program = f"""
import fcntl, os, subprocess, sys, time
from ctwatch import card
real = fcntl.fcntl
def slowly(descriptor, command, argument):
    answer = real(descriptor, command, argument)
    if (command, argument) == (fcntl.F_SETLEASE, fcntl.F_RDLCK):
        writer = subprocess.Popen(["sh", "-c", "echo more >> {tmp_path}/x.JPG; echo opened > {tmp_path}/told"])
        until = time.monotonic() + 30
        while "BREAKING" not in (locks := open("/proc/locks").read()):
            assert time.monotonic() < until, locks
            time.sleep(0.02)
        assert not os.path.exists("{tmp_path}/told")
        slowly.writer = writer
    return answer
fcntl.fcntl = slowly
descriptor = os.open("{tmp_path}/x.JPG", os.O_RDONLY | os.O_NONBLOCK)
assert card._is_being_written(descriptor) is False
assert slowly.writer.wait(30) == 0
print("alive")
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode, run.stdout) == (0, "alive\n"), run.stderr
    assert (tmp_path / "x.JPG").read_bytes() == b"wholemore\n"


JPEG = photograph(1, moment_of(1), size=(240, 320))


@pytest.mark.parametrize(
    ("data", "is_whole"),
    [
        (JPEG, True),
        (JPEG[:-1], False),
        (JPEG[:700], False),
        (JPEG + b"what a camera writes behind the end", True),
        (JPEG + bytes(4096), True),
        (JPEG + bytes(100_000), False),
        (bytes(100_000), False),
        (JPEG[:5000] + bytes(3_000_000), False),
        (JPEG[:-2] + b"\x55" * 3_000_000, False),
        (JPEG + b"\x55" * 3_000_000, True),
        (b"\x55" * 100, True),
        (b"\x89PNG\r\n\x1a\n" + b"\x55" * 100 + b"\x00\x00\x00\x00IEND\xaeB`\x82", True),
        (b"\x89PNG\r\n\x1a\n" + b"\x55" * 100, False),
        (b"BM" + b"\x55" * 100, True),
    ],
)
def test_a_photograph_without_its_end_is_not_whole(tmp_path: Path, data: bytes, is_whole: bool) -> None:
    """Cut, preallocated, filled half; what cameras append is no fault, nor are formats that mark no end."""
    (tmp_path / "x.JPG").write_bytes(data)
    assert unfinished(snapshot(tmp_path, tmp_path.parent), leases=True) == (() if is_whole else ("x.JPG",))


@pytest.mark.parametrize(("cut", "is_told"), [(0, True), (7, True), (8, False), (43, False), (44, True), (59, True)])
def test_of_a_large_card_the_first_and_the_last_changed_are_looked_into(
    tmp_path: Path, cut: int, is_told: bool
) -> None:
    """Whichever order a program fills its files in, one of these is not whole yet."""
    for number in range(60):
        (tmp_path / f"{number:02d}.JPG").write_bytes(JPEG[:-10] if number == cut else JPEG)
    seen = snapshot(tmp_path, tmp_path.parent)
    in_turn = tuple(replace(file, ctime_ns=number) for number, file in enumerate(seen.files))
    assert unfinished(replace(seen, files=in_turn), leases=False) == ((f"{cut:02d}.JPG",) if is_told else ())


def test_no_more_names_are_told_than_somebody_reads(tmp_path: Path) -> None:
    """However many are cut."""
    for number in range(20):
        (tmp_path / f"{number:02d}.JPG").write_bytes(JPEG[:-10])
    assert len(unfinished(snapshot(tmp_path, tmp_path.parent), leases=True)) == MOST_NAMES


def test_the_last_look_follows_no_link_waits_for_nobody_and_leaves_nothing_open(tmp_path: Path) -> None:
    """What stands there now in place of a listed file is not looked into; what changed is not whole."""
    for name in ("link", "pipe", "gone", "grown"):
        (tmp_path / f"{name}.JPG").write_bytes(b"\xff\xd8\xff cut")
    seen = snapshot(tmp_path, tmp_path.parent)
    (tmp_path / "elsewhere").write_bytes(b"x")
    for name in ("link", "pipe", "gone"):
        (tmp_path / f"{name}.JPG").unlink()
    (tmp_path / "link.JPG").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "pipe.JPG")
    (tmp_path / "grown.JPG").write_bytes(JPEG)
    before = len(os.listdir("/proc/self/fd"))
    assert unfinished(seen, leases=True) == ("grown.JPG",)
    assert len(os.listdir("/proc/self/fd")) == before


@needs_shared
def test_no_real_card_is_taken_for_unfinished() -> None:
    """Every photograph of 988 on its own, many with data behind their end; only the truly cut and the empty one are told."""
    told = []
    for top in ("cards", "labelled", "odd_images"):
        for folder in sorted({path.parent for path in (SHARED / top).rglob("*") if path.is_file()}):
            seen = snapshot(folder, folder.parent)
            assert (seen.temporary, seen.hollow) == ((), ())
            for file in seen.files:
                alone = card.CardSnapshot(seen.root, seen.name, seen.inbox, (file,))
                told += incomplete(alone) or unfinished(alone, leases=True) if "/" not in file.path else ()
    assert told == ["notjpeg.jpg", "african_elephants_truncated_file.jpg"]


def test_an_inbox_lists_folders_and_loose_images_but_no_links_or_own_store(tmp_path: Path) -> None:
    """A linked folder is not a card; neither is the store if somebody puts it into the inbox."""
    (tmp_path / "elsewhere").mkdir()
    inbox = tmp_path / "inbox"
    (inbox / "L01").mkdir(parents=True)
    (inbox / "data").mkdir()
    (inbox / "data" / "ctwatch.duckdb").touch()
    (inbox / "linked").symlink_to(tmp_path / "elsewhere")
    (inbox / "loose.JPG").touch()
    found = [look.card for look in scan_inbox(inbox)]
    assert [(item.name, item.loose) for item in found] == [("L01", False), ("inbox", True)]
    assert [(file.path, file.ignored) for file in found[1].files] == [("linked", Ignored.LINK), ("loose.JPG", None)]
    with pytest.raises(InboxMissing, match="mount or create it"):
        list(scan_inbox(tmp_path / "nowhere"))


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
