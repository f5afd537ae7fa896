"""Quarantine and `ctwatch retry`: what killed a decoder is told of, left alone, and put right in place when it is good."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import Store, dump, moment_of, photograph
from workers import slow_photograph, strike_the_busy, wait_for

from ctwatch.card import snapshot
from ctwatch.cli import main
from ctwatch.config import Config
from ctwatch.errors import CardChanged, ConfigError
from ctwatch.pipeline import CardOutcome
from ctwatch.retrying import retry_within
from ctwatch.store.quarantine import lift, quarantined

Make = Callable[..., Path]
Configure = Callable[..., Config]


def deadly_card(make_card: Make, name: str = "L01_CAM1", first: int = 0) -> Path:
    """Three photographs and one that can be struck while it is decoded."""
    card = make_card(name, 3, first=first)
    (card / "deadly.JPG").write_bytes(slow_photograph())
    return card


def process_and_strike(store: Store, card: Path) -> CardOutcome:
    with ThreadPoolExecutor(1) as pool:
        processing = pool.submit(store.process, card)
        strike_the_busy(signal.SIGSEGV)
        return processing.result(timeout=120)


def waiting(store: Store) -> list[tuple[str, str, str]]:
    with store.database.reading() as connection:
        return [(item.card_name, item.file_path, item.reason) for item in quarantined(connection)]


def test_a_crash_is_a_failed_file_and_a_row_in_quarantine(store: Store, make_card: Make) -> None:
    """The card is in, every file accounted for, the frame counts as one that no model saw."""
    outcome = process_and_strike(store, deadly_card(make_card))
    assert (outcome.counts.media, outcome.counts.failed) == (3, 1)
    assert store.files()["deadly.JPG"] == ("failed", "decoder_crashed")
    assert waiting(store) == [("L01_CAM1", "deadly.JPG", "decoder_crashed")]
    assert store.rows("SELECT failure, width FROM media WHERE failure IS NOT NULL") == [("decoder_crashed", 3000)]


def test_what_is_in_quarantine_kills_nothing_on_later_cards(store: Store, make_card: Make) -> None:
    """Dropped again it is a duplicate; the card grown, its row is what it was; nothing is decoded."""
    card = deadly_card(make_card)
    process_and_strike(store, card)
    store.process(shutil.copytree(card, card.with_name("again")))
    assert store.rows("SELECT status, reason FROM raw.card_file WHERE file_path = 'deadly.JPG' ORDER BY status") == [
        ("duplicate", "already_in"),
        ("failed", "decoder_crashed"),
    ]
    shutil.rmtree(card.with_name("again"))
    (card / "late.JPG").write_bytes(photograph(50, moment_of(50)))
    assert store.process(card).counts.files_seen == 5
    assert store.rows("SELECT count(*) FROM cards WHERE card_name = 'L01_CAM1'") == [(1,)]
    assert waiting(store) == [("L01_CAM1", "deadly.JPG", "decoder_crashed")]


def test_a_content_whose_card_never_came_in_is_not_tried_on_another(store: Store, make_card: Make) -> None:
    """The daemon was killed after the death and before the commit: no loop, and the row says where it died first."""
    card = deadly_card(make_card)

    def strike(at: str) -> None:
        if at == "predicted":
            raise KeyboardInterrupt

    doomed = Store(store.config, at=strike)
    with ThreadPoolExecutor(1) as pool:
        processing = pool.submit(doomed.pipeline.process, snapshot(card, card.parent))
        strike_the_busy(signal.SIGSEGV)
        with pytest.raises(KeyboardInterrupt):
            processing.result(timeout=120)
    assert store.rows("SELECT count(*) FROM raw.card") == [(0,)]
    assert waiting(store) == [("L01_CAM1", "deadly.JPG", "decoder_crashed")]
    other = card.rename(card.with_name("L02"))
    store.process(other)
    assert store.files()["deadly.JPG"] == ("failed", "quarantined")
    (detail,) = store.rows("SELECT detail FROM raw.card_file WHERE status = 'failed'")[0]
    assert "decoder_crashed on card L01_CAM1, deadly.JPG" in detail
    assert "ctwatch retry" in detail


def test_a_card_interrupted_behind_a_death_ends_as_an_undisturbed_one(config: Configure, make_card: Make) -> None:
    """Killed at the very moment at which the death was recorded, and run again: the same tables."""
    card = deadly_card(make_card)
    undisturbed = Store(config(text="[store]\nfolder = 'undisturbed'\n"))
    process_and_strike(undisturbed, card)
    store = Store(config())

    def strike(at: str) -> None:
        if at == "quarantined":
            raise KeyboardInterrupt

    doomed = Store(store.config, at=strike)
    with ThreadPoolExecutor(1) as pool:
        processing = pool.submit(doomed.pipeline.process, snapshot(card, card.parent))
        strike_the_busy(signal.SIGSEGV)
        with pytest.raises(KeyboardInterrupt):
            processing.result(timeout=120)
    store.process(card)
    assert store.dump() == undisturbed.dump()


def test_retry_puts_right_in_place_what_is_good_now(config: Configure, make_card: Make, tiny_models: Path) -> None:
    """Tables as if nothing had ever died; run twice, nothing changes."""
    card = deadly_card(make_card)
    undisturbed = Store(config(tiny_models, "[store]\nfolder = 'undisturbed'\n"))
    undisturbed.process(card)
    store = Store(config(tiny_models))
    process_and_strike(store, card)
    assert store.dump("prediction") != undisturbed.dump("prediction")
    (told,) = retry_within(store.database, store.pipeline, ["L01_CAM1"])
    assert (told.failed_before, told.failed) == (1, 0)
    store.check_sums()
    assert store.dump() == undisturbed.dump()
    assert waiting(store) == []
    assert retry_within(store.database, store.pipeline, []) == []
    assert store.dump() == undisturbed.dump()


def test_retry_that_meets_the_same_death_leaves_all_as_it_was(store: Store, make_card: Make) -> None:
    """In quarantine again, counted once."""
    process_and_strike(store, deadly_card(make_card))
    before = store.dump()
    with ThreadPoolExecutor(1) as pool:
        trying = pool.submit(retry_within, store.database, store.pipeline, [])
        strike_the_busy(signal.SIGSEGV)
        (told,) = trying.result(timeout=120)
    assert (told.failed_before, told.failed) == (1, 1)
    assert store.dump() == before
    assert waiting(store) == [("L01_CAM1", "deadly.JPG", "decoder_crashed")]


def test_retry_through_the_command(config: Configure, make_card: Make) -> None:
    """A broken copy replaced by a whole one, a card that is gone, a name that no card has: told of, published, exit codes."""
    settings = config()

    def ctwatch(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["--config", str(settings.base / "config.toml"), *arguments])
        return result.exit_code, result.stdout

    card, gone = make_card("L01", 3), make_card("L02", 3, first=10)
    whole = (card / "IMG_0001.JPG").read_bytes()
    (card / "IMG_0001.JPG").write_bytes(whole[:-20])
    (gone / "IMG_0011.JPG").write_bytes(b"text")
    assert ctwatch("process", str(card), str(gone))[0] == 3
    shutil.rmtree(gone)
    (card / "IMG_0001.JPG").write_bytes(whole)
    assert ctwatch("retry", "nowhere")[0] == 2
    code, text = ctwatch("retry", "--json")
    assert code == 3
    first, second = json.loads(text)
    assert (first["card"], first["failed_before"], first["failed"], first["problem"]) == ("L01", 1, 0, None)
    assert (second["card"], second["failed"]) == ("L02", 1)
    assert "not there any more" in second["problem"]
    rows = json.loads(ctwatch("query", "select card_name, media, failed from cards order by 1", "--json")[1])
    assert rows == [{"card_name": "L01", "media": 3, "failed": 0}, {"card_name": "L02", "media": 2, "failed": 1}]
    assert json.loads(ctwatch("query", "select count(*) as n from media where failure is null", "--json")[1]) == [
        {"n": 5}
    ]
    assert ctwatch("retry", str(card))[0] == 0
    assert "L02: 1 failed files stay so" in ctwatch("retry")[1]
    Store(settings).check_sums()


def test_retry_makes_a_copy_of_what_is_in_a_duplicate(store: Store, make_card: Make) -> None:
    """The broken file's whole twin came with another card meanwhile: nothing is counted twice."""
    card = make_card("L01", 3)
    whole = (card / "IMG_0001.JPG").read_bytes()
    (card / "IMG_0001.JPG").write_bytes(whole[:-20])
    store.process(card)
    store.process(make_card("L02", 3))
    (card / "IMG_0001.JPG").write_bytes(whole)
    (told,) = retry_within(store.database, store.pipeline, ["L01"])
    assert told.failed == 0
    store.check_sums()
    assert store.rows("SELECT card_name, media, duplicates, failed FROM cards ORDER BY 1") == [
        ("L01", 2, 1, 0),
        ("L02", 1, 2, 0),
    ]


def test_retry_reads_a_card_where_it_was_moved_to(store: Store, make_card: Make, tmp_path: Path) -> None:
    """The archive is as good as the inbox."""
    card = make_card("L01", 3)
    whole = (card / "IMG_0001.JPG").read_bytes()
    (card / "IMG_0001.JPG").write_bytes(whole[:-20])
    store.process(card)
    archive = tmp_path / "archive" / "L01"
    shutil.copytree(card, archive)
    shutil.rmtree(card)
    with store.database.writing() as connection:
        connection.execute("UPDATE raw.card SET archive_path = ?", [str(archive)])
    (archive / "IMG_0001.JPG").write_bytes(whole)
    (told,) = retry_within(store.database, store.pipeline, [str(archive)])
    assert (told.card_path, told.failed) == (str(archive), 0)
    store.check_sums()


def test_a_card_that_was_read_anew_meanwhile_is_left_as_it_is(store: Store, make_card: Make) -> None:
    """Retry and the daemon at the same card: whoever commits second changes nothing that the first has put right."""
    card = make_card("L01", 3)
    whole = (card / "IMG_0001.JPG").read_bytes()
    (card / "IMG_0001.JPG").write_bytes(whole[:-20])
    store.process(card)
    other = Store(store.config)
    reading = store.pipeline.read_again

    def meanwhile(*arguments: object) -> object:
        results = reading(*arguments)  # type: ignore[arg-type]
        other.process(card)  # the daemon: the card's new state replaces the one that retry works on
        return results

    (card / "IMG_0001.JPG").write_bytes(whole)
    store.pipeline.read_again = meanwhile  # type: ignore[method-assign,assignment]
    retry_within(store.database, store.pipeline, [])
    store.check_sums()
    assert store.rows("SELECT media, failed FROM cards") == [(3, 0)]


def test_a_quarantine_lifted_while_a_card_is_read_has_it_read_again(store: Store, make_card: Make) -> None:
    """Else the card would say failed of what is good by now."""
    card = deadly_card(make_card)
    process_and_strike(store, card)
    (card / "late.JPG").write_bytes(photograph(50, moment_of(50)))

    def liberate(at: str) -> None:
        if at == "predicted":
            with store.database.writing() as connection:
                lift(connection, None)

    with pytest.raises(CardChanged, match="lifted"):
        Store(store.config, at=liberate).process(card)
    assert store.process(card).counts.failed == 0


def test_a_name_that_no_card_has_lifts_nothing(store: Store, make_card: Make) -> None:
    """Told before anything is changed."""
    process_and_strike(store, deadly_card(make_card))
    with pytest.raises(ConfigError, match="nowhere"):
        retry_within(store.database, store.pipeline, ["nowhere", "L01_CAM1"])
    assert len(waiting(store)) == 1


def test_the_command_survives_a_decoder_that_is_killed(config: Configure, make_card: Make) -> None:
    """`ctwatch process`, for real: the worker gets SIGSEGV, the command ends with 3 and tells the file."""
    settings = config()
    card = deadly_card(make_card)
    command = [sys.executable, "-m", "ctwatch", "--config", str(settings.base / "config.toml"), "process", str(card)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        strike_the_busy(signal.SIGSEGV, process.pid)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 3, err
    assert "1 FAILED" in out
    assert "SIGSEGV" in err
    assert dump(Store(settings).database, "card_file")["card_file"]


def test_a_decoder_that_hangs_stops_no_card(config: Configure, make_card: Make) -> None:
    """`read.longest_s` from the configuration: the card is in after it."""
    store = Store(config(text="[read]\nlongest_s = 2\nworkers = 1\n"))
    with ThreadPoolExecutor(1) as pool:
        processing = pool.submit(store.process, deadly_card(make_card))
        pid = strike_the_busy(signal.SIGSTOP)
        outcome = processing.result(timeout=120)
    assert (outcome.counts.media, outcome.counts.failed) == (3, 1)
    assert store.files()["deadly.JPG"] == ("failed", "took_too_long")
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        wait_for(lambda: not Path(f"/proc/{pid}").exists())
