"""Cards through the whole pipeline into the database: what counts once, what joins, what a second look changes."""

import itertools
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import DERIVED_TABLES, Store, moment_of, photograph

from ctwatch.accounts import Packed, Placed
from ctwatch.card import snapshot
from ctwatch.config import Config
from ctwatch.decoding import Decoders, ReadFile
from ctwatch.domain import Failure
from ctwatch.errors import CardChanged, Interrupted
from ctwatch.pipeline import PREDICTIONS_PER_COMMIT, Pipeline

Make = Callable[..., Path]


def test_a_file_copied_twice_on_a_card_counts_once(store: Store, make_card: Make) -> None:
    """The second is a duplicate of the first, by content, whatever it is called."""
    card = make_card(files=3)
    (card / "copies").mkdir()
    shutil.copy(card / "IMG_0001.JPG", card / "copies" / "other name.jpeg")
    outcome = store.process(card)
    assert (outcome.counts.media, outcome.counts.duplicates) == (3, 1)
    assert store.files()["copies/other name.jpeg"] == ("duplicate", "twice_on_card")
    assert store.rows("SELECT media_count FROM events") == [(3,)]
    assert store.rows("SELECT first_card, first_path FROM duplicates") == [("L01_CAM1", "IMG_0001.JPG")]


def test_the_same_name_in_other_case_is_another_file(store: Store, make_card: Make) -> None:
    """IMG_0001.JPG and img_0001.jpg are two files, and two photographs unless their bytes are the same."""
    card = make_card(files=2)
    (card / "img_0001.jpg").write_bytes(photograph(77, moment_of(2)))
    assert store.process(card).counts.media == 3


def test_a_card_dropped_twice_under_other_names_counts_once(store: Store, make_card: Make) -> None:
    """A renamed card has no photograph of its own; media, events and effort stay as they were."""
    card = make_card(files=6)
    store.process(card)
    before = store.dump("media", "deployment", "location", *DERIVED_TABLES)
    shutil.copytree(card, card.with_name("L02_CAM9"))
    outcome = store.process(card.with_name("L02_CAM9"))
    assert (outcome.counts.media, outcome.counts.duplicates) == (0, 6)
    assert store.dump("media", "deployment", "location", *DERIVED_TABLES) == before


def test_mapping_again_leaves_a_renamed_card_without_a_deployment(store: Store, make_card: Make) -> None:
    """`rederive` with nothing changed changes nothing, whatever duplicates were dropped."""
    card = make_card(files=6)
    store.process(card)
    shutil.copytree(card, card.with_name("L02_CAM9"))
    store.process(card.with_name("L02_CAM9"))
    before = store.dump("media", "deployment", "location", *DERIVED_TABLES)
    store.pipeline.rederive()
    assert store.dump("media", "deployment", "location", *DERIVED_TABLES) == before


def test_processing_and_deriving_again_changes_no_row(
    config: Callable[..., Config], make_card: Make, tiny_models: Path
) -> None:
    """Run twice, the tables are the same, with models too."""
    store = Store(config(tiny_models))
    cards = [make_card("L01", 9), make_card("L02", 6, first=20)]
    for card in cards:
        store.process(card)
    before = store.dump()
    assert all(store.process(card).already_in for card in cards)
    store.pipeline.rederive()
    assert store.pipeline.catch_up() == 0
    assert store.dump() == before


def test_the_order_of_drops_does_not_matter(config: Callable[..., Config], make_card: Make, tiny_models: Path) -> None:
    """Overlapping cards of one deployment give the same media, events and observations in any order."""
    parts = [make_card("L01_CAM1", 6), make_card("L01_CAM1b", 6, first=3), make_card("L01_CAM1c", 5, first=7)]
    results = []
    for number, order in enumerate(itertools.permutations(parts)):
        text = f"[store]\nfolder = 'data{number}'\n[deployments]\nfolder_pattern = '(?P<location>L01)_CAM1[bc]?'\n"
        store = Store(config(tiny_models, text))
        for card in order:
            store.process(card)
        results.append(store.dump("media", "prediction", *DERIVED_TABLES))
    for result in results[1:]:
        assert {table: rows for table, rows in result.items() if rows != results[0][table]} == {}
    assert store.rows("SELECT count(*) FROM media") == [(12,)]
    assert store.rows("SELECT sum(media) FROM cards") == [(12,)]


def test_late_cards_merge_events_as_if_they_had_come_together(
    config: Callable[..., Config], make_card: Make, tiny_models: Path
) -> None:
    """A burst that is spread over two cards becomes one event; the derived tables equal those of one card."""
    split = Store(config(tiny_models, "[store]\nfolder = 'split'\n"))
    split.process(make_card("L01/A", 4).parent)
    assert split.rows("SELECT list_sort(list(media_count)) FROM events") == [([1, 3],)]
    split.process(make_card("L01/A", 5, first=4).parent)
    whole = Store(config(tiny_models, "[store]\nfolder = 'whole'\n"))
    whole.process(make_card("L01/A", 9).parent)
    assert split.rows("SELECT media_count FROM events") == [(3,), (3,), (3,)]
    assert split.dump("media", "prediction", *DERIVED_TABLES) == whole.dump("media", "prediction", *DERIVED_TABLES)


def test_a_card_that_grew_is_one_card(store: Store, make_card: Make) -> None:
    """The earlier state's row makes way; every photograph is there once, as media of the one card."""
    card = make_card(files=3)
    (card / "V.MP4").write_bytes(b"video")
    (card / "bad.JPG").write_bytes(b"text")
    store.process(card)
    make_card(files=3, first=3)
    store.process(card)
    assert store.rows("SELECT files_seen, media, ignored, failed FROM cards") == [(8, 6, 1, 1)]


def test_a_card_with_names_that_are_not_utf8_grows_too(store: Store, make_card: Make) -> None:
    """Such names are stored escaped, and known again all the same."""
    card = make_card(files=2)
    (card / os.fsdecode(b"\xe9t\xe9.JPG")).write_bytes(photograph(50, moment_of(50)))
    store.process(card)
    make_card(files=1, first=2)
    assert store.process(card).counts.media == 4
    assert store.rows("SELECT files_seen FROM cards") == [(4,)]


def test_a_truncated_copy_that_is_mended_leaves_no_failure_behind(store: Store, make_card: Make) -> None:
    """The whole file takes the place of the broken one under its name; nothing is counted twice."""
    card = make_card(files=3)
    whole = (card / "IMG_0001.JPG").read_bytes()
    (card / "IMG_0001.JPG").write_bytes(whole[:-200])
    assert store.process(card).counts.failed == 1
    (card / "IMG_0001.JPG").write_bytes(whole)
    assert store.process(card).counts.failed == 0
    assert store.rows("SELECT media, failed FROM cards") == [(3, 0)]
    assert store.rows("SELECT count(*), count(failure) FROM media") == [(3, 0)]
    assert store.rows("SELECT media_count FROM events") == [(3,)]
    assert store.rows("FROM failures") == []


def test_a_broken_file_that_another_card_holds_too_is_never_lost(store: Store, make_card: Make) -> None:
    """Where a duplicate rests on the broken sighting, that card's row stays."""
    first, second = make_card("L01", 2), make_card("L02", 2, first=30)
    whole = (first / "IMG_0001.JPG").read_bytes()
    (first / "IMG_0001.JPG").write_bytes(whole[:-200])
    (second / "broken.JPG").write_bytes(whole[:-200])
    store.process(first)
    store.process(second)
    (first / "IMG_0001.JPG").write_bytes(whole)
    store.process(first)
    assert store.rows("SELECT count(*) FROM duplicates WHERE first_path IS NULL") == [(0,)]
    assert store.rows("SELECT count(*) FROM media") == [(5,)]


def test_a_folder_that_is_used_for_another_card_stays_two_cards(store: Store, make_card: Make) -> None:
    """Same folder and file names, other photographs: the first card's rows are not touched."""
    card = make_card(files=3)
    store.process(card)
    shutil.rmtree(card)
    card.mkdir()
    for number in range(3):
        (card / f"IMG_{number:04d}.JPG").write_bytes(photograph(100 + number, moment_of(100 + number)))
    store.process(card)
    assert store.rows("SELECT card_name, media FROM cards") == [("L01_CAM1", 3), ("L01_CAM1", 3)]
    assert store.rows("SELECT count(*) FROM media") == [(6,)]


def test_a_card_that_was_emptied_keeps_its_account(store: Store, make_card: Make) -> None:
    """Its photographs and the row that counted them stay, videos and all; the empty folder is a card of no files."""
    card = make_card(files=3)
    shutil.copytree(card, card.with_name("V01"))
    videos = card.with_name("V01")
    for path in videos.iterdir():
        path.rename(path.with_suffix(".MP4"))
    for root in (card, videos):
        store.process(root)
        for path in root.iterdir():
            path.unlink()
        store.process(root)
    assert store.rows("SELECT count(*) FROM media") == [(3,)]
    assert store.rows("SELECT card_name, files_seen FROM cards WHERE files_seen > 0 ORDER BY 1") == [
        ("L01_CAM1", 3),
        ("V01", 3),
    ]


def test_a_grown_card_whose_deployment_changed_leaves_nothing_behind(
    config: Callable[..., Config], make_card: Make, tmp_path: Path
) -> None:
    """The table was corrected between two drops: no event, observation or effort of the old deployment remains."""
    table = tmp_path / "deployments.csv"
    store = Store(config(text="[deployments]\ntable = 'deployments.csv'\n"))
    table.write_text(
        "deploymentID,locationID,deploymentStart,deploymentEnd,folder\nOLD,L01,2026-05-01,2026-05-03,L01_CAM1\n"
    )
    card = make_card(files=3)
    store.process(card)
    table.write_text(
        "deploymentID,locationID,deploymentStart,deploymentEnd,folder\nNEW,L09,2026-05-01,2026-05-03,L01_CAM1\n"
    )
    make_card(files=3, first=3)
    store.process(card)
    assert store.rows("SELECT deployment_id, media_count FROM events") == [("NEW", 3), ("NEW", 3)]
    assert store.rows("SELECT DISTINCT deployment_id FROM raw.observation") == [("NEW",)]
    assert store.rows("SELECT DISTINCT location_id FROM effort") == [("L09",)]
    assert store.rows("SELECT deployment_id FROM deployments") == [("NEW",)]


def test_what_a_late_frame_makes_interesting_is_looked_at_again(
    config: Callable[..., Config], make_card: Make, tiny_models: Path
) -> None:
    """Every frame of an event that is not blank has been seen by all species models, in whatever order it came."""
    store = Store(config(tiny_models))
    store.process(make_card("L01/A", 15, first=0).parent)
    store.process(make_card("L01/A", 15, first=13).parent)
    assert store.pipeline.catch_up() == 0
    lacking = store.rows(
        "SELECT e.event_id FROM raw.event_media e JOIN raw.observation o ON o.event_id = e.event_id"
        " AND o.observation_level = 'media' AND o.observation_type NOT IN ('blank', 'unclassified')"
        " WHERE (SELECT count(*) FROM raw.prediction p WHERE p.media_id = e.media_id) < 6"
    )
    assert lacking == []


class Killed(BaseException):
    """Stands for a power cut between two steps."""


# `committed` fails until pipeline.process looks again at a card that is in already.
@pytest.mark.parametrize("point", ["saved", "predicted", "committed"])
def test_stopped_between_any_two_steps_the_next_run_ends_the_same(
    config: Callable[..., Config], make_card: Make, tiny_models: Path, point: str
) -> None:
    """A card is absent or complete, and what was still to be done after its commit is done by the next run."""
    card = make_card("L01_CAM1", 30, folder="100MEDIA")
    (card / "101MEDIA").mkdir()
    for path in sorted((card / "100MEDIA").iterdir())[::3]:
        path.rename(card / "101MEDIA" / path.name)  # events that no look in file order foresees
    undisturbed = Store(config(tiny_models, "[store]\nfolder = 'undisturbed'\n"))
    assert undisturbed.process(card).made_up_for > 0
    store = Store(config(tiny_models))

    def strike(at: str) -> None:
        if at == point:
            raise Killed

    from ctwatch import check

    doomed = Pipeline(store.config, store.database, check.demand(store.config, inboxes=False), at=strike)
    with pytest.raises(Killed):
        doomed.process(snapshot(card, card.parent))
    store.process(card)
    assert store.dump() == undisturbed.dump()


def test_a_stopped_card_keeps_its_predictions(
    config: Callable[..., Config], make_card: Make, tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted after some files, the card is absent, its predictions are kept, and none is made twice."""
    card = make_card(files=40)
    asked = itertools.count()
    store = Store(config(tiny_models))
    stopping = Store(store.config, stop=lambda: next(asked) >= 30)
    with pytest.raises(Interrupted, match=r"30 of 40 files"):
        stopping.process(card)
    assert store.rows("SELECT count(*) FROM raw.card") == [(0,)]
    kept = store.dump("prediction")["prediction"]
    assert 0 < len(kept) < 40 * 6 <= PREDICTIONS_PER_COMMIT
    store.process(card)
    assert set(kept) <= set(store.dump("prediction")["prediction"])


def test_a_card_that_changes_while_it_is_read_is_left_for_later(store: Store, make_card: Make) -> None:
    """Nothing of it is in until it holds still."""
    card = make_card(files=3)
    seen = snapshot(card, card.parent)
    (card / "IMG_0002.JPG").write_bytes(photograph(9, moment_of(9), size=(96, 64)))
    with pytest.raises(CardChanged, match=r"IMG_0002\.JPG"):
        store.pipeline.process(seen)
    (card / "IMG_0002.JPG").unlink()
    with pytest.raises(CardChanged, match=r"IMG_0002\.JPG"):
        store.pipeline.process(seen)
    assert store.rows("SELECT count(*) FROM raw.card_file") == [(0,)]
    assert store.process(card).counts.media == 2


def test_a_card_folder_with_a_name_that_is_not_utf8_is_looked_at_by_later_models(
    config: Callable[..., Config], make_card: Make, tiny_models: Path
) -> None:
    """The folder is found again by its bytes when models come."""
    card = make_card(os.fsdecode(b"L\xe901"), 3)
    Store(config()).process(card)
    later = Store(config(tiny_models))
    assert later.pipeline.catch_up() == 3
    assert later.rows("SELECT count(*) >= 9 FROM raw.prediction") == [(True,)]


def test_photographs_that_are_looked_at_again_are_decoded_side_by_side(
    config: Callable[..., Config], make_card: Make, tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No reading ends before another one has begun; one after the other they would wait for each other for ever."""
    Store(config()).process(make_card(files=8))
    later = Store(config(tiny_models, text="[read]\nworkers = 2\n"))
    two, read = threading.Barrier(2, timeout=60), Decoders.read

    def with_another(*given: Any) -> ReadFile:
        two.wait()
        return read(*given)

    monkeypatch.setattr(Decoders, "read", with_another)
    assert later.pipeline.catch_up() == 8


def test_what_one_card_has_lost_is_looked_at_on_another(
    config: Callable[..., Config], make_card: Make, tiny_models: Path
) -> None:
    """The last card that brought a content is asked first; a copy that changed or is gone sends to the one before."""
    first, second = make_card("L01_CAM1", 6), make_card("L02_CAM1", 6)
    whole = Store(config(tiny_models, text="[store]\nfolder = 'whole'\n"))
    store = Store(config())
    for card in (first, second):
        whole.process(card)
        store.process(card)
    (second / "IMG_0000.JPG").unlink()
    (second / "IMG_0003.JPG").write_bytes(photograph(40))
    (first / "IMG_0001.JPG").unlink()
    (first / "IMG_0005.JPG").unlink()
    (second / "IMG_0005.JPG").unlink()
    later = Store(config(tiny_models))
    assert later.pipeline.catch_up() == 5
    assert later.pipeline.out_of_reach == 1
    gone = later.rows("SELECT media_id FROM raw.card_file WHERE file_path = 'IMG_0005.JPG' AND status = 'media'")[0][0]
    seen = {row[0] for row in later.rows("SELECT media_id FROM raw.prediction")}
    assert seen == {row[0] for row in whole.rows("SELECT media_id FROM raw.media")} - {gone}
    assert set(later.dump("prediction")["prediction"]) <= set(whole.dump("prediction")["prediction"])


def test_files_far_in_the_future_do_not_stop_a_card(config: Callable[..., Config], make_card: Make) -> None:
    """A modification time that no 64-bit count of nanoseconds reaches, permitted as a source of time or not."""
    card = make_card(files=2)
    (card / "bare.JPG").write_bytes(photograph(5))
    for moment in (12_000_000_000, -2_000_000_000):
        os.utime(card / "bare.JPG", (moment, moment))
        store = Store(config(text=f"[store]\nfolder = 'at{moment}'\n[read]\nuse_file_times = true\n"))
        assert store.process(card).counts.without_time == 1


def test_handles_and_memory_stay_flat_over_many_cards(store: Store, make_card: Make) -> None:
    """No descriptor is left open, good files or bad."""
    store.process(make_card("L00", 2))
    before = len(os.listdir("/proc/self/fd"))
    for number in range(1, 6):
        card = make_card(f"L{number:02d}", 4, first=10 * number)
        (card / "cut.JPG").write_bytes(photograph(number)[:-50])
        (card / "empty.JPG").touch()
        (card / "text.JPG").write_bytes(b"text")
        store.process(card)
    assert len(os.listdir("/proc/self/fd")) <= before


def test_a_model_that_joins_takes_nothing_from_photographs_that_are_gone(
    config: Callable[..., Config], make_card: Make, tiny_models: Path, tmp_path: Path
) -> None:
    """What the earlier members said still counts; only what can be looked at again is."""
    models = tmp_path / "models"
    shutil.copytree(tiny_models, models)
    joining = {task: models / task / "member2.safetensors" for task in ("empty", "species")}
    for task, path in joining.items():
        path.rename(tmp_path / f"{task}.safetensors")
    settings = config(models)
    store = Store(settings)
    card = make_card(files=9)
    store.process(card)
    columns = "event_id, observation_level, observation_type, scientific_name, review_reason"
    question = f"SELECT {columns} FROM observations ORDER BY observation_id"
    before = store.rows(question)
    shutil.rmtree(card)
    for task, path in joining.items():
        (tmp_path / f"{task}.safetensors").rename(path)
    later = Store(settings)
    later.pipeline.rederive()
    assert later.pipeline.catch_up() == 0
    assert later.pipeline.out_of_reach == 9
    assert later.rows(question) == before


def test_rederive_stopped_midway_changes_nothing(
    config: Callable[..., Config], make_card: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mapping and derived tables change together or not at all."""
    import ctwatch.pipeline

    store = Store(config())
    for number, name in enumerate(("L01", "L02", "L03")):
        store.process(make_card(name, 3, first=10 * number))
    before = store.dump()
    (store.config.base / "deployments.csv").write_text(
        "deploymentID,locationID,folder\nD1,X,L01\nD2,X,L02\nD3,Y,L03\n", "utf-8"
    )
    told = config(text="[deployments]\ntable = 'deployments.csv'\n")
    real, calls = ctwatch.pipeline.derive, itertools.count()

    def cut(*arguments: object) -> None:
        if next(calls) == 1:
            raise KeyboardInterrupt
        real(*arguments)  # type: ignore[arg-type]

    later = Store(told)
    monkeypatch.setattr(ctwatch.pipeline, "derive", cut)
    with pytest.raises(KeyboardInterrupt):
        later.pipeline.rederive()
    assert later.dump() == before
    monkeypatch.setattr(ctwatch.pipeline, "derive", real)
    later.pipeline.rederive()
    assert later.rows("SELECT DISTINCT location_id FROM media ORDER BY 1") == [("X",), ("Y",)]


def test_a_card_that_two_processes_read_at_once_counts_once(
    store: Store, make_card: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where one of them could not read a file that the other could."""
    card = make_card(files=4)
    reading, others = Pipeline._read, []

    def read_while_another_commits(pipeline: Pipeline, *given: Any) -> Packed:
        results = reading(pipeline, *given)
        if others:
            return results
        others.append(None)
        others[0] = pipeline.process(given[0])
        seen = Packed()
        for placed in (item for block in results.blocks() for item in block):
            lost = replace(placed.read, media=None, failure=Failure.NO_ACCESS, detail="the card reader stumbled")
            seen.append(Placed(lost) if placed.read.file.path.endswith("0002.JPG") else placed)
        return seen

    monkeypatch.setattr(Pipeline, "_read", read_while_another_commits)
    outcome = store.pipeline.process(snapshot(card, card.parent))
    assert outcome.counts == others[0].counts
    assert store.rows("SELECT count(*), sum(media), sum(failed) FROM raw.card") == [(1, 4, 0)]
    assert store.rows("SELECT count(*), count(DISTINCT media_id) FROM media") == [(4, 4)]
    store.check_sums()
