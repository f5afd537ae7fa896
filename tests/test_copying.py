"""A card is never half-seen: copied in every way that programs copy, it is handed out once, when all of it is there."""

import os
import random
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest
from conftest import moment_of, photograph
from lookout import Lookout, until, whole

PAUSE_S = 1.5
"""Several times as long as a card has to be quiet here: a pause of minutes, scaled."""
YEAR_1980 = 315_532_800

Copier = Callable[[Path, Path], None]
COPIERS: dict[str, Copier] = {}


def copier(function: Copier) -> Copier:
    """Let a way of copying take part."""
    COPIERS[function.__name__] = function
    return function


def pause() -> None:
    time.sleep(PAUSE_S)


def pause_at(number: int) -> None:
    """Pause at the first file of each camera folder: a pause at each would show no more and take long."""
    if number in (0, 3):
        pause()


def files_of(source: Path) -> list[Path]:
    return sorted(path for path in source.rglob("*") if path.is_file())


def pairs(source: Path, target: Path) -> list[tuple[Path, Path]]:
    """Each file with the place that it goes to, whose folder is made."""
    made = [(path, target / path.relative_to(source)) for path in files_of(source)]
    for _, place in made:
        place.parent.mkdir(parents=True, exist_ok=True)
    return made


def in_two_halves(data: bytes, handle: IO[bytes], number: int = 0) -> None:
    """Write with a long pause in the middle; the first half is on the disk by then. Most numbers go without."""
    handle.write(data[: len(data) // 2])
    handle.flush()
    pause_at(number)
    handle.write(data[len(data) // 2 :])


@copier
def cp(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-r", source, target], check=True)


@copier
def cp_with_the_times_of_the_originals(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-rp", source, target], check=True)


@copier
def hard_links(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-rl", source, target], check=True)


@copier
def a_move_within_the_file_system(source: Path, target: Path) -> None:
    ready = source.with_name(f"{target.name} to be moved")
    shutil.copytree(source, ready)
    ready.rename(target)


@copier
def unzip(source: Path, target: Path) -> None:
    archive = shutil.make_archive(str(source.with_name(target.name)), "zip", source)
    subprocess.run(["unzip", "-q", archive, "-d", target], check=True)


@copier
def tar_from_a_line_that_stalls(source: Path, target: Path) -> None:
    """As over ssh: tar waits for the rest of a photograph with its file open."""
    archive = Path(shutil.make_archive(str(source.with_name(target.name)), "tar", source)).read_bytes()
    target.mkdir()
    with subprocess.Popen(["tar", "-x", "-C", target], stdin=subprocess.PIPE) as tar:
        assert tar.stdin is not None
        tar.stdin.write(archive[: len(archive) // 2])
        tar.stdin.flush()
        pause()
        tar.stdin.write(archive[len(archive) // 2 :])
        tar.stdin.close()
    assert tar.returncode == 0


@copier
def scp_that_stalls(source: Path, target: Path) -> None:
    for number, (path, place) in enumerate(pairs(source, target)):
        with open(place, "wb") as handle:
            if number == 1:
                in_two_halves(path.read_bytes(), handle)
            else:
                handle.write(path.read_bytes())


@copier
def rsync(source: Path, target: Path) -> None:
    """Hidden temporary names beside the places, times set, then renamed; nothing else changes meanwhile."""
    for number, (path, place) in enumerate(pairs(source, target)):
        aside = place.with_name(f".{place.name}.Xa3d9f")
        with open(aside, "wb") as handle:
            in_two_halves(path.read_bytes(), handle, number)
        os.utime(aside, ns=(path.stat().st_mtime_ns,) * 2)
        pause_at(number - 1)
        aside.rename(place)


@copier
def rsync_with_a_partial_folder(source: Path, target: Path) -> None:
    """Interrupted, what is there is kept in a hidden folder, and taken up from there by the next run."""
    for number, (path, place) in enumerate(pairs(source, target)):
        aside = place.with_name(f".{place.name}.q7Zb0C")
        data = path.read_bytes()
        if number == 1:
            aside.write_bytes(data[: len(data) // 2])
            partial = place.parent / ".rsync-partial"
            partial.mkdir()
            aside.rename(partial / place.name)
            pause()
            (partial / place.name).rename(aside)
            partial.rmdir()
        aside.write_bytes(data)
        aside.rename(place)


@copier
def rsync_with_delayed_updates(source: Path, target: Path) -> None:
    """All files in a hidden folder first, then renamed into place in one go."""
    waiting = []
    for path, place in pairs(source, target):
        aside = place.parent / ".~tmp~" / place.name
        aside.parent.mkdir(exist_ok=True)
        shutil.copy2(path, aside)
        waiting.append((aside, place))
    pause()
    for aside, place in waiting:
        aside.rename(place)
    for folder in {aside.parent for aside, _ in waiting}:
        folder.rmdir()


@copier
def robocopy(source: Path, target: Path) -> None:
    """Full size first, a time of 1980 while it is written, two files at a time, the true time at the end of each."""

    def one(path: Path, place: Path, *, slowly: bool) -> None:
        data = path.read_bytes()
        with open(place, "wb") as handle:
            handle.truncate(len(data))
            os.utime(handle.fileno(), (YEAR_1980, YEAR_1980))
            if slowly:
                in_two_halves(data, handle)
            else:
                handle.write(data)
        os.utime(place, ns=(path.stat().st_mtime_ns,) * 2)

    threads = [
        threading.Thread(target=one, args=pair, kwargs={"slowly": number % 2 == 0})
        for number, pair in enumerate(pairs(source, target))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@copier
def explorer_over_a_share(source: Path, target: Path) -> None:
    """Full size first, zeros where nothing is written yet; from here nobody has the file open, the server does."""
    for number, (path, place) in enumerate(pairs(source, target)):
        data = path.read_bytes()
        place.write_bytes(bytes(len(data)))
        half = len(data) // 2
        for start, end in ((0, half), (half, len(data))):
            pause_at(number)
            with open(place, "r+b") as handle:
                handle.seek(start)
                handle.write(data[start:end])
        os.utime(place, ns=(path.stat().st_mtime_ns,) * 2)


@copier
def room_made_for_all_files_before_any_is_filled(source: Path, target: Path) -> None:
    """Sizes and names are right from the start, and modification times are set back after every piece, FAT's two seconds."""
    made = pairs(source, target)
    for path, place in made:
        place.write_bytes(bytes(path.stat().st_size))
        os.utime(place, (YEAR_1980, YEAR_1980))
    for number, (path, place) in enumerate(made):
        pause_at(number)
        with open(place, "r+b") as handle:
            handle.write(path.read_bytes())
        os.utime(place, (YEAR_1980, YEAR_1980))


@copier
def mtp_that_makes_empty_files_first(source: Path, target: Path) -> None:
    """gvfs and some cameras: all names with nothing in them, then one after the other, each slowly."""
    made = pairs(source, target)
    for _, place in made:
        place.touch()
    for number, (path, place) in enumerate(made):
        pause_at(number)
        place.write_bytes(path.read_bytes())


@copier
def finder(source: Path, target: Path) -> None:
    """Its own files beside each photograph, any order, times at the end."""
    made = pairs(source, target)
    random.Random(1).shuffle(made)
    (target / ".DS_Store").write_bytes(b"Bud1")
    for number, (path, place) in enumerate(made):
        place.with_name(f"._{place.name}").write_bytes(b"\x00\x05\x16\x07")
        with open(place, "wb") as handle:
            in_two_halves(path.read_bytes(), handle, number)
        os.utime(place, ns=(path.stat().st_mtime_ns,) * 2)


@copier
def backwards_with_pauses_in_each_file_and_its_end_at_last(source: Path, target: Path) -> None:
    for number, (path, place) in enumerate(reversed(pairs(source, target))):
        data = path.read_bytes()
        place.write_bytes(data[:-3])
        pause_at(number)
        with open(place, "ab") as handle:
            handle.write(data[-3:])


@copier
def folders_first_and_filled_later(source: Path, target: Path) -> None:
    made = pairs(source, target)
    pause()
    for folder in sorted({place.parent for _, place in made}):
        pause()
        for path, place in made:
            if place.parent == folder:
                shutil.copy(path, place)


@copier
def an_empty_folder_that_is_filled_later(source: Path, target: Path) -> None:
    target.mkdir()
    pause()
    shutil.copytree(source, target, dirs_exist_ok=True)


def _under_temporary_names(pattern: str) -> Copier:
    def copy(source: Path, target: Path) -> None:
        for number, (path, place) in enumerate(pairs(source, target)):
            aside = place.with_name(pattern.format(place.name))
            aside.write_bytes(path.read_bytes()[:1000])
            pause_at(number)
            aside.write_bytes(path.read_bytes())
            aside.rename(place)

    return copy


for program, pattern in {
    "chrome": "{}.crdownload",
    "firefox": "{}.part",
    "winscp": "{}.filepart",
    "rclone": "{}.0a1b2c3d.partial",
    "syncthing": ".syncthing.{}.tmp",
    "syncthing_on_windows": "~syncthing~{}.tmp",
    "nextcloud": ".{}.~3f2a91",
    "android": ".pending-1779000000-{}",
    "gnome": ".goutputstream-AB12C3",
}.items():
    COPIERS[program] = _under_temporary_names(pattern)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A card with photographs in two camera folders, as it comes out of a camera."""
    card = tmp_path_factory.mktemp("sd")
    for number in range(5):
        place = card / "DCIM" / ("100MEDIA" if number < 3 else "101MEDIA") / f"IMG_{number:04d}.JPG"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(photograph(number, moment_of(number), size=(240, 320)))
        os.utime(place, (1_746_000_000 + number, 1_746_000_000 + number))
    return card


@pytest.fixture(scope="module")
def everything_copied(original: Path) -> Iterator[Lookout]:
    """All ways of copying at once, each into its card, under one watcher that takes nothing for broken."""
    inbox = original.with_name("inbox")
    inbox.mkdir()
    with Lookout(inbox) as lookout:
        errors = []

        def run(name: str, copy: Copier) -> None:
            try:
                copy(original, inbox / name)
            except BaseException as error:
                errors.append((name, error))

        threads = [threading.Thread(target=run, args=item) for item in COPIERS.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors
        lookout.until_handed(*COPIERS)
        lookout.let_two_looks_pass()
        yield lookout


@pytest.mark.parametrize("name", COPIERS)
def test_a_card_is_handed_out_once_and_whole(name: str, original: Path, everything_copied: Lookout) -> None:
    """However the program goes about it, and though it pauses for several times the quiet that a card needs."""
    assert [sorted(files) for files in everything_copied.of(name)] == [sorted(whole(original))]
    assert everything_copied.of(name) == [whole(original)]


def test_a_card_renamed_while_it_is_copied_comes_under_its_new_name_only(tmp_path: Path, original: Path) -> None:
    """The copying program's open file follows the folder."""
    inbox = tmp_path / "inbox"
    (inbox / "New folder").mkdir(parents=True)
    with Lookout(inbox) as lookout:
        places = pairs(original, inbox / "New folder")
        for path, place in places[:-1]:
            shutil.copy(path, place)
        path, place = places[-1]
        with open(place, "wb") as handle:
            in_two_halves(path.read_bytes(), handle)
            handle.flush()
            (inbox / "New folder").rename(inbox / "L01")
            pause()
        lookout.until_handed("L01")
        lookout.let_two_looks_pass()
        assert [item.name for item in lookout.handed] == ["L01"]
        assert lookout.of("L01") == [whole(original)]


def test_a_video_that_stalls_one_level_down_is_waited_for_while_it_is_open(tmp_path: Path, original: Path) -> None:
    """Nothing in a video tells its end; who has it open for writing does. inbox/SITE/CARD is a part of the card SITE."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    with Lookout(inbox) as lookout:
        shutil.copytree(original, inbox / "SITE" / "CARD")
        with open(inbox / "SITE" / "CARD" / "VID_0005.MP4", "wb") as handle:
            in_two_halves(bytes(200_000), handle)
        lookout.until_handed("SITE")
        lookout.let_two_looks_pass()
        expected = {f"CARD/{name}": data for name, data in whole(original).items()}
        assert lookout.of("SITE") == [expected | {"CARD/VID_0005.MP4": bytes(200_000)}]


def test_what_stays_unfinished_is_taken_as_broken_in_the_end(
    tmp_path: Path, original: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A camera whose battery died leaves such files: the card must come in, later than a whole one, and the log says why."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    photographs = [path.read_bytes() for path in files_of(original)]
    broken = {
        "cut": photographs[0][:-1000],
        "zeros": photographs[1][:5000] + bytes(200_000),
        "nothing written": bytes(30_000),
        "empty": b"",
    }
    caplog.set_level("INFO", "ctwatch")
    with Lookout(inbox, unfinished_s=4.0) as lookout:
        for name, data in {**broken, "whole": photographs[2]}.items():
            (inbox / name).mkdir()
            (inbox / name / "IMG_0042.JPG").write_bytes(data)
        (inbox / "no file").mkdir()
        dropped = time.monotonic()
        lookout.until_handed("whole")
        until(lambda: all(lookout.waits_for(inbox, name) for name in broken), "the cards waiting")
        assert {lookout.waits_for(inbox, name) for name in broken} == {("IMG_0042.JPG",)}
        assert [item.name for item in lookout.handed] == ["whole"]
        lookout.until_handed("whole", "no file", *broken)
        assert time.monotonic() - dropped >= 4.0
        lookout.let_two_looks_pass()
        assert sorted(item.name for item in lookout.handed) == sorted(["whole", "no file", *broken])
    assert "card cut waits for the end of IMG_0042.JPG" in caplog.text
    assert "card cut: quiet for so long that it is taken as it is, without the end of IMG_0042.JPG" in caplog.text
    assert "card no file waits for the end of (the folder is empty)" in caplog.text
    assert "card whole" not in caplog.text


def test_ready_skips_the_wait_but_not_a_file_that_is_being_written(tmp_path: Path, original: Path) -> None:
    """A READY that came along from an earlier copy says nothing of this one; of what is in the files it has the last word."""
    inbox = tmp_path / "inbox"
    data = files_of(original)[0].read_bytes()
    for name in ("word given", "came along"):
        (inbox / name).mkdir(parents=True)
        (inbox / name / "IMG_0042.JPG").write_bytes(data[:-1000])
    with open(inbox / "came along" / "IMG_0042.JPG", "ab") as handle:
        for name in ("word given", "came along"):
            (inbox / name / "READY").touch()
        with Lookout(inbox, settle_s=2.0) as lookout:
            lookout.until_handed("word given")
            assert lookout.waits_for(inbox, "came along") == ("IMG_0042.JPG",)
            handle.write(data[-1000:])
            handle.close()
            lookout.until_handed("came along")
            lookout.let_two_looks_pass()
    assert lookout.of("word given") == [{"IMG_0042.JPG": data[:-1000]}]
    assert lookout.of("came along") == [{"IMG_0042.JPG": data}]


def test_a_leftover_of_a_copy_that_was_made_again_does_not_hold_the_card_for_ever(
    tmp_path: Path, original: Path
) -> None:
    """rsync killed and run again leaves its first temporary file; one whose photograph never came is waited for."""
    inbox = tmp_path / "inbox"
    for name in ("made again", "never came"):
        shutil.copytree(original, inbox / name)
    (inbox / "made again" / "DCIM" / "100MEDIA" / ".IMG_0001.JPG.Xa3d9f").write_bytes(b"half")
    (inbox / "never came" / "DCIM" / "100MEDIA" / ".IMG_0007.JPG.Xa3d9f").write_bytes(b"half")
    with Lookout(inbox, unfinished_s=1.5) as lookout:
        lookout.until_handed("made again")
        pause()
        lookout.let_two_looks_pass()
        assert lookout.of("made again") == [whole(original)]
        assert lookout.of("never came") == []
        assert lookout.waits_for(inbox, "never came") == ("DCIM/100MEDIA/.IMG_0007.JPG.Xa3d9f",)
        assert lookout.tracker.next_due(time.monotonic()) is None


def test_a_card_that_changes_while_others_are_processed_is_looked_at_anew(tmp_path: Path, original: Path) -> None:
    """Two cards settle in one look; a photograph joins the second while the first is worked on."""
    from ctwatch.settle import SettleTracker
    from ctwatch.watch import Alarm, settled

    inbox = tmp_path / "inbox"
    for name in ("A", "B"):
        shutil.copytree(original, inbox / name)
    handed = []
    deadline = time.monotonic() + 30
    for card in settled(
        [inbox],
        SettleTracker(0.2),
        Alarm(),
        sweep_s=0.1,
        stop=lambda: len(handed) == 2 or time.monotonic() > deadline,
    ):
        if card is not None:
            handed.append((card.name, len(card.files)))
            if card.name == "A":
                shutil.copy(files_of(original)[0], inbox / "B" / "late.JPG")
    assert handed == [("A", 5), ("B", 6)]
