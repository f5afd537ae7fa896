"""Everything a card may hold that is no whole photograph, through the real command: the rest goes in, each file is told of."""

import csv
import json
import os
import resource
import shutil
import struct
import threading
import time
import zlib
from collections.abc import Callable
from datetime import datetime
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from conftest import Store, moment_of, photograph
from PIL import Image
from test_exif import png

from ctwatch.card import UnusableFile, read_bytes, snapshot
from ctwatch.cli import main
from ctwatch.config import Config

Make = Callable[..., Path]
Configure = Callable[..., Config]


def ctwatch(config: Config, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--config", str(config.base / "config.toml"), *arguments])


def answer(config: Config, *arguments: str) -> Any:
    result = ctwatch(config, *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def everything_still_answers(config: Config) -> None:
    """Every way out of the database works on what came in."""
    assert ctwatch(config, "report").exit_code == 0
    assert ctwatch(config, "status").exit_code == 0
    assert answer(config, "report", "--json")
    for view in ("media", "events", "observations", "failures", "duplicates", "cards", "review_queue", "deployments"):
        rows = answer(config, "query", f"from {view}", "--json")
        text = ctwatch(config, "query", f"from {view}", "--csv").stdout
        assert len(list(csv.reader(StringIO(text, newline="")))) == len(rows) + 1
    out = config.base / "out"
    result = ctwatch(config, "export", "--out", str(out))
    assert result.exit_code == 0, result.output
    for path in out.glob("*.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            assert len({len(row) for row in csv.reader(file)}) == 1, path


def sums(config: Config) -> None:
    for card in answer(config, "query", "from cards", "--json"):
        assert card["files_seen"] == card["media"] + card["duplicates"] + card["ignored"] + card["failed"]
    rows = answer(config, "query", "select status, reason from raw.card_file where status <> 'media'", "--json")
    assert all(row["reason"] for row in rows)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def odd_files() -> dict[str, tuple[bytes, str]]:
    """Name -> (bytes, what must become of it: `media`, or the reason of failing)."""
    whole = photograph(900, moment_of(900), size=(96, 128))
    grey = Image.fromarray(np.random.default_rng(1).integers(0, 255, (40, 60), dtype=np.uint8))
    deep = Image.fromarray(np.random.default_rng(2).integers(0, 65535, (40, 60), dtype=np.uint16))
    return {
        "cut-in-header.JPG": (whole[:100], "truncated unreadable"),
        "cut-early.JPG": (whole[: len(whole) // 3], "truncated"),
        "cut-late.JPG": (whole[:-2], "truncated"),
        "zeros-at-the-end.JPG": (whole[: len(whole) // 2] + bytes(len(whole) // 2), "truncated"),
        "only-zeros.JPG": (bytes(5000), "not_an_image"),
        "empty.JPG": (b"", "empty_file"),
        "text.JPG": (b"Dear diary, ...", "not_an_image"),
        "gif.JPG": (saved(grey, "GIF"), "not_an_image"),
        "bomb.png": (png(60000, 60000, zlib.compress(bytes(1_000_000))), "too_large"),
        "wide.png": (png(2**32 - 1, 1, b"x"), "too_large"),
        "nothing.png": (b"\x89PNG\r\n\x1a\n", "unreadable truncated"),
        "cmyk.JPG": (saved(Image.new("CMYK", (60, 40), (10, 90, 40, 0)), "JPEG"), "media"),
        "grey.JPG": (saved(grey, "JPEG"), "media"),
        "sixteen.png": (saved(deep, "PNG"), "media"),
        "sixteen.tif": (saved(deep, "TIFF"), "media"),
        "png-named.JPG": (saved(grey.convert("RGB"), "PNG"), "media"),
        "rotated.JPG": (photograph(901, moment_of(901), orientation=6), "media"),
        "year-0.JPG": (photograph(902, "0000:00:00 00:00:00"), "media"),
        "month-13.JPG": (photograph(903, "2026:13:45 25:61:61"), "media"),
        "epoch.JPG": (photograph(904, "1970:01:01 00:00:00"), "media"),
        "future.JPG": (photograph(905, "9999:12:31 23:59:59"), "media"),
        "no-words.JPG": (photograph(906, "\x00\x01garbage"), "media"),
        "blank-date.JPG": (photograph(907, "    :  :     :  :  "), "media"),
        "no-exif.JPG": (saved(grey, "JPEG", quality=70), "media"),
        "broken-exif.JPG": (
            b"\xff\xd8\xff\xe1" + struct.pack(">H", 40) + b"Exif\x00\x00II*\x00" + b"\xff" * 28 + photograph(908)[2:],
            "media",
        ),
    }  # fmt: skip


def test_a_card_of_odd_files_goes_in_and_each_file_is_accounted_for(config: Configure, make_card: Make) -> None:
    """Two dozen broken and odd files between whole ones: one row each, with its reason; exit code 3."""
    settings = config()
    card = make_card(files=3)
    expected = {f"IMG_{number:04d}.JPG": "media" for number in range(3)}
    for name, (data, becomes) in odd_files().items():
        (card / name).write_bytes(data)
        expected[name] = becomes
    (card / "clip.AVI").write_bytes(b"RIFF")
    (card / "notes.txt").write_text("L01")
    os.mkfifo(card / "pipe.JPG")
    (card / "link.JPG").symlink_to("/etc/hostname")
    (card / "folder.JPG").mkdir()
    (card / "folder-link").symlink_to(card)
    expected |= {
        "clip.AVI": "video", "notes.txt": "not_media", "pipe.JPG": "special_file", "link.JPG": "link",
        "folder-link": "link",
    }  # fmt: skip
    result = ctwatch(settings, "process", str(card))
    assert result.exit_code == 3, result.output
    rows = answer(settings, "query", "select file_path, status, reason from raw.card_file", "--json")
    became = {row["file_path"]: row["reason"] or row["status"] for row in rows}
    assert became.keys() == expected.keys()
    assert {name: what for name, what in became.items() if what not in expected[name].split()} == {}
    sums(settings)
    without_time = {
        row["file_name"]
        for row in answer(settings, "query", "from media where not timestamp_trusted and failure is null", "--json")
    }
    assert without_time == {
        "cmyk.JPG", "grey.JPG", "sixteen.png", "sixteen.tif", "png-named.JPG", "year-0.JPG", "month-13.JPG",
        "epoch.JPG", "future.JPG", "no-words.JPG", "blank-date.JPG", "no-exif.JPG", "broken-exif.JPG",
    }  # fmt: skip
    everything_still_answers(settings)
    assert ctwatch(settings, "process", str(card)).exit_code == 3, "in already, and still not whole"
    assert ctwatch(settings, "rederive").exit_code == 0
    sums(settings)


def test_odd_files_do_not_change_what_models_say_of_the_others(
    config: Configure, make_card: Make, tiny_models: Path
) -> None:
    """With models at work, the whole photographs have the predictions that they have without the odd ones."""
    card = make_card(files=9)
    Store(alone := config(tiny_models, "[store]\nfolder = 'alone'\n")).process(card)
    for name, (data, _) in odd_files().items():
        (card / name).write_bytes(data)
    store = Store(config(tiny_models))
    store.process(card)
    mine = set(store.dump("prediction")["prediction"])
    assert set(Store(alone).dump("prediction")["prediction"]) <= mine
    read = store.rows("SELECT count(*) FROM media WHERE failure IS NULL")[0][0]
    assert store.rows("SELECT count(DISTINCT media_id) FROM raw.prediction") == [(read,)]


@pytest.mark.parametrize("content", [[], ["a.MP4", "b.AVI"], ["a.txt"]])
def test_a_card_without_photographs_is_in_and_done(config: Configure, make_card: Make, content: list[str]) -> None:
    """Empty, only videos, only text: a row that says so, exit code 0."""
    settings = config()
    card = make_card(files=0)
    for name in content:
        (card / name).write_bytes(b"x")
    assert ctwatch(settings, "process", str(card)).exit_code == 0
    (row,) = answer(settings, "query", "from cards", "--json")
    assert (row["files_seen"], row["ignored"]) == (len(content), len(content))
    everything_still_answers(settings)


def test_a_card_of_nothing_but_broken_files_is_in(config: Configure, make_card: Make) -> None:
    """All failed is no crash: exit code 3, and every table answers."""
    settings = config()
    card = make_card(files=3)
    for path in card.iterdir():
        path.write_bytes(path.read_bytes()[:-9])
    assert ctwatch(settings, "process", str(card)).exit_code == 3
    (row,) = answer(settings, "query", "from cards", "--json")
    assert (row["media"], row["failed"]) == (0, 3)
    everything_still_answers(settings)


NAMES = (
    "with space.JPG", "comma, and more.JPG", 'quote".JPG', "apostrophe'.JPG", "new\nline.JPG", "tab\t.JPG",
    "=cmd|' C calc'!A0.JPG", "-rf.JPG", "+1.JPG", "@SUM(1).JPG", "a..JPG", "%s{}.JPG", "semi;colon.JPG",
    "back\\slash.JPG", "Ünï-日本.JPG", "e\u0301.JPG", "\x07bell.JPG", "$(id).JPG", "x" * 200 + ".JPG",
)  # fmt: skip


def test_hostile_names_are_kept_and_come_out_as_cells(config: Configure, make_card: Make) -> None:
    """Spaces, quotes, line ends, formulas, escapes, bytes that are not UTF-8; in file and in folder names."""
    settings = config()
    card = make_card('=L01, "x"\n_CAM\'1', 1)
    for number, name in enumerate(NAMES, 10):
        (card / name).write_bytes(photograph(number, moment_of(number)))
    raw = [b"\xff\xfe.JPG", b"caf\xe9.JPG", b"\\xff\\xfe.JPG"]
    for number, name in enumerate(raw, 100):
        (card / os.fsdecode(name)).write_bytes(photograph(number, moment_of(number)))
    (card / os.fsdecode(b"folder\xe4") / "-- drop").mkdir(parents=True)
    (card / os.fsdecode(b"folder\xe4") / "-- drop" / "x.JPG").write_bytes(photograph(200, moment_of(200)))
    result = ctwatch(settings, "process", str(card), "--json")
    assert result.exit_code == 0, result.output
    count = 1 + len(NAMES) + len(raw) + 1
    assert json.loads(result.stdout)[0]["media"] == count
    names = {row["file_name"] for row in answer(settings, "query", "select file_name from media", "--json")}
    assert set(NAMES) <= names
    assert {"\\xff\\xfe.JPG", "caf\\xe9.JPG", "x.JPG"} <= names
    everything_still_answers(settings)
    for path in (settings.base / "out").glob("*.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            assert not any(cell.startswith(("=", "+", "@", "\t")) for row in csv.reader(file) for cell in row)


def test_a_card_of_a_hundred_thousand_entries_costs_what_it_holds(config: Configure, make_card: Make) -> None:
    """All in one folder: listed in time that grows as they do, every one accounted for, in bounded memory."""
    card = make_card(files=3)
    pictures = sorted(card.iterdir())
    notes = [card / f"note{number}.txt" for number in range(4)]
    for note in notes:
        note.write_text(note.name)
    seconds, made = {}, 7
    for entries in (20_000, 100_000):
        for number in range(made, entries):
            source = pictures[number % 3] if number % 100 == 0 else notes[number % 4]
            os.link(source, card / f"{number:06d}{source.suffix}")
        made = entries
        started = time.process_time()
        assert len(snapshot(card, card.parent).files) == entries
        seconds[entries] = time.process_time() - started
    assert seconds[100_000] < 15 * max(seconds[20_000], 0.05), seconds
    store = Store(config())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    counts = store.process(card).counts
    assert (counts.files_seen, counts.media, counts.failed) == (100_000, 3, 0)
    assert counts.ignored + counts.duplicates == 99_997
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600_000, "kilobytes"


def test_a_link_that_comes_and_goes_during_the_reading_leads_nowhere(make_card: Make, tmp_path: Path) -> None:
    """Folder and file change into links and back as fast as they can: what lies outside is never read."""
    card = make_card(files=1, folder="DCIM")
    secret = photograph(666, size=(24, 32))
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "IMG_0000.JPG").write_bytes(secret)
    own = (card / "DCIM" / "IMG_0000.JPG").read_bytes()
    (tmp_path / "outside" / "IMG_0000.JPG").write_bytes(secret.ljust(len(own), b"\0")[: len(own)])
    facts = os.stat(card / "DCIM" / "IMG_0000.JPG")
    os.utime(tmp_path / "outside" / "IMG_0000.JPG", ns=(facts.st_mtime_ns, facts.st_mtime_ns))
    (file,) = snapshot(card, card.parent).files
    (card / "folder-link").symlink_to(tmp_path / "outside")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for real, link in (("DCIM", "folder-link"),):
                os.rename(card / real, card / "aside")
                os.rename(card / link, card / real)
                os.rename(card / real, card / link)
                os.rename(card / "aside", card / real)

    swapping = threading.Thread(target=swap)
    swapping.start()
    read, refused = 0, 0
    try:
        end = time.monotonic() + 30
        while (read < 200 or refused < 20) and time.monotonic() < end:
            try:
                assert read_bytes(str(card), file) == own
                read += 1
            except UnusableFile:
                refused += 1
    finally:
        stop.set()
        swapping.join()
    assert read >= 200
    assert refused >= 20


def test_labels_that_are_formulas_come_out_as_cells(config: Configure, make_card: Make, tmp_path: Path) -> None:
    """What people or other programs name an animal reaches every table as text."""
    settings = config()
    make_card("L01", 6)
    assert ctwatch(settings, "process", str(tmp_path / "inbox" / "L01")).exit_code == 0
    labels = ('=HYPERLINK("http://x";"y")', "+1+cmd|' /C calc'!A0", "@SUM(1+1)", "-2+3", "\t=1", "=1+1")
    with (tmp_path / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("File", "RelativePath", "Species"))
        writer.writerows((f"IMG_{number:04d}.JPG", "L01", label) for number, label in enumerate(labels))
    result = ctwatch(settings, "import", "--as", "human", "--by", "=me", str(tmp_path / "labels.csv"))
    assert result.exit_code == 0, result.output
    named = {row["scientific_name"] for row in answer(settings, "query", "from observations", "--json")}
    assert '=HYPERLINK("http://x";"y")' in named
    everything_still_answers(settings)
    written = [*(settings.base / "out").rglob("*.csv"), *(settings.store_folder / "results").rglob("*.csv")]
    assert len(written) >= 4
    for path in written:
        with path.open(newline="", encoding="utf-8") as table:
            for row in csv.reader(table):
                for cell in row:
                    number = cell.lstrip("-").replace(".", "", 1).replace("e-", "", 1).isdigit()
                    assert number or not cell.startswith(("=", "+", "-", "@", "\t", "\r")), (path, cell)


def test_very_deep_folders_are_read_to_their_end(config: Configure, make_card: Make) -> None:
    """Down to what a path may be."""
    settings = config()
    card = make_card(files=1)
    deep = card / "/".join(["d" * 60] * 50)
    deep.mkdir(parents=True)
    (deep / "x.JPG").write_bytes(photograph(7, moment_of(7)))
    assert ctwatch(settings, "process", str(card)).exit_code == 0
    assert answer(settings, "query", "select count(*) as n from media", "--json") == [{"n": 2}]


def test_a_file_that_may_not_be_read_is_told_of(config: Configure, make_card: Make) -> None:
    """No access is a reason, not an end."""
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    settings = config()
    card = make_card(files=3)
    (card / "IMG_0001.JPG").chmod(0)
    assert ctwatch(settings, "process", str(card)).exit_code == 3
    assert answer(settings, "report", "failures", "--json")[0]["reason"] == "no_access"


def test_a_bad_deployments_table_lists_every_problem_and_writes_nothing(
    config: Configure, make_card: Make, tmp_path: Path
) -> None:
    """File, line and remedy of each; exit code 2."""
    settings = config(text="[deployments]\ntable = 'deployments.csv'\n")
    (tmp_path / "deployments.csv").write_text(
        "deploymentID,deploymentStart,deploymentEnd,latitude,longitude\nD1,2026-05-03,2026-05-01,95,1\nD1,x,,,\n,,,,\n,2026-05-01,,,\n"
    )
    result = ctwatch(settings, "process", str(make_card()))
    assert result.exit_code == 2
    for words in (
        "line 2: deploymentEnd is not after",
        "line 2: latitude '95'",
        "line 3: deploymentID 'D1'",
        "line 5: deploymentID is empty",
    ):
        assert words in result.stderr, result.stderr
    assert not settings.store_folder.exists()


@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
def test_a_bad_model_file_is_refused_by_name(
    config: Configure, make_card: Make, tiny_models: Path, tmp_path: Path, damage: str
) -> None:
    """Exit code 4 with the file's name, for each of several; nothing is written."""
    models = tmp_path / "models"
    shutil.copytree(tiny_models, models)
    for path in (models / "empty" / "member1.safetensors", models / "species" / "member2.safetensors"):
        data = path.read_bytes()
        path.write_bytes({"truncated": data[: len(data) // 2], "text": b"no model", "empty": b""}[damage])
    result = ctwatch(settings := config(models), "process", str(make_card()))
    assert result.exit_code == 4
    assert "member1.safetensors" in result.stderr
    assert "member2.safetensors" in result.stderr
    assert not settings.store_folder.exists()


def test_a_card_that_is_not_there_is_a_usage_error(config: Configure) -> None:
    """Exit code 2, before anything is made."""
    settings = config()
    assert ctwatch(settings, "process", str(settings.base / "inbox" / "nowhere")).exit_code == 2
    assert not settings.store_folder.exists()


def test_sub_second_times_keep_their_order(config: Configure, make_card: Make) -> None:
    """Microseconds survive the database."""
    card = make_card(files=0)
    import piexif

    for number, fraction in enumerate((b"250000", b"75", b"000001")):
        exif = piexif.dump({"Exif": {0x9003: b"2026:05:01 10:00:00", 0x9291: fraction}})
        (card / f"{number}.JPG").write_bytes(saved(Image.new("RGB", (20, 20), (number, 0, 0)), "JPEG", exif=exif))
    store = Store(config())
    store.process(card)
    moments = [row[0] for row in store.rows("SELECT timestamp FROM media ORDER BY file_name")]
    assert [moment.microsecond for moment in moments] == [250000, 750000, 1]
    assert store.rows("SELECT event_start FROM events") == [(datetime(2026, 5, 1, 10, 0, 0, 1),)]
