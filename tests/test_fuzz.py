"""Malformed files by the thousand through the real command: all accounted for, in bounded memory and time.

`CTWATCH_FUZZ_FILES=10000 pytest tests/test_fuzz.py -s -k real_command` runs as many as one likes, `CTWATCH_FUZZ_SEED` others.
"""

import json
import os
import random
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import fuzzing
import pytest
from conftest import Store
from hypothesis import given, settings
from hypothesis import strategies as st
from workers import descendants

from ctwatch import exif, maker_notes, timeline
from ctwatch.card import snapshot
from ctwatch.config import Config
from ctwatch.decoding import Decoders, ReadingRules, Verdicts, Wanted
from ctwatch.decoding.photograph import DEATHS, media_of
from ctwatch.domain import FileStat

FILES = int(os.environ.get("CTWATCH_FUZZ_FILES", "400"))
SEED = int(os.environ.get("CTWATCH_FUZZ_SEED", "1"))
MEMORY_GB, LONGEST_S = 1.0, 30.0
quick = settings(deadline=2000, max_examples=200)


def peak_mb(pid: int) -> float:
    """The most memory that a process has ever held, MB; 0 where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1e3 for line in lines if line.startswith("VmHWM")), 0.0)


@pytest.mark.timeout(180 + FILES)
def test_malformed_files_through_the_real_command(config: Callable[..., Config], tmp_path: Path) -> None:
    """Every file has one status; no process takes more than its limit; the command ends by itself with exit code 3."""
    settings_ = config(text=f"[read]\nmemory_gb = {MEMORY_GB}\nlongest_s = {LONGEST_S}\n")
    card = tmp_path / "inbox" / "FUZZY"
    fuzzing.write_card(card, FILES, SEED)
    command = [
        sys.executable,
        "-m",
        "ctwatch",
        "--config",
        str(settings_.base / "config.toml"),
        "process",
        str(card),
        "--json",
    ]
    started, peaks = time.monotonic(), Counter[str]()
    with (tmp_path / "err").open("w") as err, (tmp_path / "out").open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=err)
        try:
            while process.poll() is None:
                peaks["command"] = max(peaks["command"], round(peak_mb(process.pid)))
                for pid in descendants(process.pid):
                    peaks["decoder"] = max(peaks["decoder"], round(peak_mb(pid)))
                time.sleep(0.2)
        finally:
            process.kill()
            process.wait()
    seconds = time.monotonic() - started
    assert process.returncode == 3, (tmp_path / "err").read_text()[-3000:]
    (told,) = json.loads((tmp_path / "out").read_text())
    store = Store(settings_)
    store.check_sums()
    became = Counter(reason or status for status, reason in store.files().values())
    dead = store.rows("SELECT file_path, reason, detail FROM raw.quarantine ORDER BY 1")
    sys.stdout.write(f"\n{FILES} files (seed {SEED}) in {seconds:.0f} s; peak MB {dict(peaks)}; {dict(became)}\n")
    sys.stdout.writelines(f"{row}\n" for row in dead)
    assert told["files_seen"] == FILES == told["media"] + told["duplicates"] + told["ignored"] + told["failed"]
    assert told["ignored"] == 0
    assert peaks["decoder"] < MEMORY_GB * 1000 + 100
    assert peaks["command"] < 1200  # of which torch and DuckDB take 900 for a card of one file
    assert not [row for row in dead if row[1] == "decoder_crashed"], "a decoder crashed: find out why"
    assert seconds < 60 + 0.5 * FILES


@pytest.mark.timeout(180 + FILES)
def test_no_malformed_file_takes_long(tmp_path: Path) -> None:
    """One by one, other ones than above: each is read, decoded or refused well within the limit of time."""
    card = tmp_path / "card"
    fuzzing.write_card(card, FILES // 4, SEED + 1)
    wanted = Wanted(ReadingRules(2001, False, fuzzing.moment_of(0)))
    decoders = Decoders(longest_s=LONGEST_S, memory_bytes=int(MEMORY_GB * 1e9))
    verdicts, slowest = Verdicts("card", lambda media_id: False), (0.0, "")
    for file in snapshot(card, tmp_path).files:
        started = time.monotonic()
        read = decoders.read(str(card), file, wanted, verdicts)
        slowest = max(slowest, (time.monotonic() - started, file.path))
        assert read.failure is None or read.detail
        assert read.failure not in DEATHS or read.failure == "too_much_memory", (file.path, read.detail)
    sys.stdout.write(f"\nslowest of {FILES // 4}: {slowest[0]:.2f} s, {slowest[1]}\n")
    assert slowest[0] < LONGEST_S / 2, slowest
    decoders.close()


entries = st.tuples(
    st.sampled_from(
        (0x010F, 0x0110, 0x0112, 0x0132, 0x8769, 0x8825, 0xA005, 0x9003, 0x9004, 0x9291, 0x927C, 0xA431, 0x014A)
    ),
    st.integers(0, 20),
    st.one_of(st.integers(0, 70), st.sampled_from((0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF))),
    st.one_of(st.integers(0, 600), st.sampled_from((0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF))),
)
directories = st.lists(st.tuples(st.lists(entries, max_size=14), st.integers(0, 600)), min_size=1, max_size=4)


def block_of(order: str, found: list[tuple[list[tuple[int, int, int, int]], int]], rest: bytes) -> bytes:
    body = b"".join(
        struct.pack(order + "H", len(fields))
        + b"".join(struct.pack(order + "HHLL", *field) for field in fields)
        + struct.pack(order + "L", following)
        for fields, following in found
    )
    return (b"II*\x00" if order == "<" else b"MM\x00*") + struct.pack(order + "L", 8) + body + rest


@quick
@given(st.sampled_from("<>"), directories, st.binary(max_size=400), st.sampled_from(("jpg", "tif", "png")))
def test_any_directories_give_a_header(
    order: str, found: list[tuple[list[tuple[int, int, int, int]], int]], rest: bytes, kind: str
) -> None:
    """Structured EXIF, not noise: tags that are looked for, with every kind, count and offset, in three formats."""
    block = block_of(order, found, rest)
    if kind == "jpg":
        data = b"\xff\xd8" + fuzzing.segment(0xE1, b"Exif\x00\x00" + block) + b"\xff\xd9"
    elif kind == "png":
        data = fuzzing.sources()["png"][0][:33] + fuzzing.chunk(b"eXIf", block) + fuzzing.sources()["png"][0][33:]
    else:
        data = block
    header = exif.read(data)
    assert header is not None
    for text in (*header.times.values(), header.camera.make, header.camera.model, header.camera.serial):
        assert text is None or len(text) <= 200
    rules = ReadingRules(2001, False, fuzzing.moment_of(0))
    assert media_of(data, "0" * 32, FileStat("x.JPG", len(data), 0), rules).timestamp is not None


@quick
@given(st.binary(max_size=4000), st.one_of(st.none(), st.text(max_size=20)))
def test_any_bytes_are_a_maker_note_or_none(data: bytes, make: str | None) -> None:
    """Nothing raises."""
    maker_notes.read(data, make)


@quick
@given(
    st.dictionaries(st.sampled_from(list(exif._TIME_TAGS)), st.text(max_size=60)),
    st.dictionaries(st.sampled_from(list(exif._TIME_TAGS)), st.text(max_size=20)),
    st.text(max_size=300),
    st.text(max_size=60),
)
def test_any_texts_give_a_timestamp(times: dict, parts: dict, xmp: str, name: str) -> None:  # type: ignore[type-arg]
    """Whatever stands where a time should."""
    stamp = timeline.timestamp(
        times, parts, xmp=xmp, file_name=name, file_time=None, earliest_year=2001, now=fuzzing.moment_of(0)
    )
    assert stamp.trusted is False or stamp.value is not None


def test_the_fuzzer_makes_the_same_file_twice_and_uses_every_attack() -> None:
    """What failed yesterday can be looked at today."""
    assert fuzzing.malformed(3, 77) == fuzzing.malformed(3, 77)
    assert fuzzing.malformed(3, 77) != fuzzing.malformed(4, 77)
    names = {fuzzing.malformed(5, number)[0].split("-")[2].split(".")[0] for number in range(400)}
    assert {attack.__name__ for attacks in fuzzing.ATTACKS.values() for attack in attacks} <= names
    assert random.Random(1).random() != random.Random(2).random()
