"""Labels from elsewhere on real cards: who wins, what stays, and that nothing a person said is ever lost or said twice."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import Store

from ctwatch.config import Config
from ctwatch.errors import ConfigError
from ctwatch.labelling import Taken, take_in

Make = Callable[..., Path]
Configure = Callable[..., Config]


def timelapse(folder: Path, *rows: str, name: str = "reviewed.csv") -> Path:
    """A table as Timelapse writes it back after a review of our own export."""
    path = folder / name
    path.write_text(
        "File,RelativePath,DateTime,Species,Count,Reviewed,ReviewedBy,MediaID,EventID\n"
        + "".join(f"{row}\n" for row in rows),
        "utf-8",
    )
    return path


def megadetector(folder: Path, *images: dict[str, Any], name: str = "md.json") -> Path:
    path = folder / name
    content = {
        "info": {"format_version": "1.4", "detector": "md_v5a.0.1"},
        "detection_categories": {"1": "animal", "2": "person", "3": "vehicle"},
        "images": list(images),
    }
    path.write_text(json.dumps(content), "utf-8")
    return path


def frame(file: str, conf: float | None, category: str = "1") -> dict[str, Any]:
    boxes = [] if conf is None else [{"category": category, "conf": conf, "bbox": [0.1, 0.2, 0.3, 0.4]}]
    return {"file": file, "detections": boxes}


def take(store: Store, path: Path, **options: Any) -> Taken:
    return take_in(store.database, store.pipeline, path, **options)


def shown(store: Store, level: str = "event") -> list[tuple[Any, ...]]:
    return store.rows(
        "SELECT scientific_name, observation_type, classification_method, classified_by, count FROM observations"
        f" WHERE observation_level = '{level}' ORDER BY event_start, scientific_name NULLS LAST"
    )


def said(store: Store) -> list[tuple[Any, ...]]:
    return store.rows("SELECT media_id, label, counts, scope, labelled_by FROM human_labels ORDER BY ALL")


@pytest.fixture
def reviewed(config: Configure, make_card: Make, tiny_models: Path, tmp_path: Path) -> Store:
    """Two bursts that the networks have seen, the first reviewed by Ann: two foxes and a boar on its second frame."""
    store = Store(config(tiny_models))
    store.process(make_card(files=6))
    ann = timelapse(tmp_path, "IMG_0001.JPG,L01_CAM1,2026-05-01 10:00:01,Vulpes vulpes|Sus scrofa,2|1,true,Ann,,")
    outcome = take(store, ann)
    assert (outcome.matched, outcome.unmatched, outcome.by_human) == (1, 0, True)
    return store


def test_a_person_wins_over_the_networks_which_stay_beside(reviewed: Store) -> None:
    """The event is what she saw, with her counts; what the machines decided is in a column of the same rows."""
    first, second = shown(reviewed)[:2]
    assert first == ("Sus scrofa", "animal", "human", "Ann", 1)
    assert second == ("Vulpes vulpes", "animal", "human", "Ann", 2)
    beside = reviewed.rows(
        "SELECT DISTINCT machine_labels, needs_review FROM observations"
        " WHERE observation_level = 'event' AND classification_method = 'human'"
    )
    assert len(beside) == 1
    assert beside[0][0] and beside[0][1] is False
    assert {row[2] for row in shown(reviewed)[2:]} == {"machine"}


def test_the_same_file_again_changes_nothing(reviewed: Store, tmp_path: Path) -> None:
    """Not a row, not a count."""
    before = reviewed.dump("human_label", "machine_label", "observation", "event")
    outcome = take(reviewed, tmp_path / "reviewed.csv")
    assert outcome.already_in
    assert reviewed.dump("human_label", "machine_label", "observation", "event") == before


def test_what_a_person_said_survives_processing_and_grouping_again(
    reviewed: Store, config: Configure, make_card: Make, tiny_models: Path, tmp_path: Path
) -> None:
    """A late card, the card dropped again, another event gap, other thresholds, another table: it is still there, once."""
    words = said(reviewed)
    reviewed.process(make_card("L01_CAM2", 3, first=30))
    reviewed.process(make_card("COPY_OF_L01", 6))
    (tmp_path / "deployments.csv").write_text(
        "deploymentID,locationID,folder\nD1,MARSH,L01_CAM1\nD2,MARSH,L01_CAM2\n", "utf-8"
    )
    other = Store(
        config(
            tiny_models,
            "species_threshold = 0.99\n[events]\nevent_gap_s = 86400\n[deployments]\ntable = 'deployments.csv'\n",
        )
    )
    other.pipeline.rederive()
    assert said(other) == words
    human = [row for row in shown(other) if row[2] == "human"]
    assert [row[0] for row in human] == ["Sus scrofa", "Vulpes vulpes"]
    assert [row[4] for row in human] == [1, 2]
    alone = Store(config(tiny_models, "[events]\nevent_gap_s = 0\n"))
    alone.pipeline.rederive()
    assert [row[0] for row in shown(alone) if row[2] == "human"] == ["Sus scrofa", "Vulpes vulpes"]


def test_a_later_import_of_a_machine_never_displaces_a_person(reviewed: Store, tmp_path: Path) -> None:
    """MegaDetector sees nothing anywhere: her event stays, the other becomes blank, her frame keeps the machine's word beside."""
    everywhere = [frame(f"cards/L01_CAM1/IMG_{number:04d}.JPG", None) for number in range(6)]
    outcome = take(reviewed, megadetector(tmp_path, *everywhere))
    assert (outcome.matched, outcome.by_human) == (6, False)
    assert [row[:3] for row in shown(reviewed)] == [
        ("Sus scrofa", "animal", "human"),
        ("Vulpes vulpes", "animal", "human"),
        (None, "blank", "machine"),
    ]
    assert shown(reviewed)[2][3] == "MegaDetector md_v5a.0.1" or "md_v5a" in shown(reviewed)[2][3]
    [beside] = reviewed.rows(
        "SELECT DISTINCT machine_labels FROM observations WHERE classified_by = 'Ann' AND observation_level = 'event'"
    )
    assert beside == (["blank"],)


def test_labels_find_their_photographs_once_the_card_is_in(store: Store, make_card: Make, tmp_path: Path) -> None:
    """A file imported too early says what is not here, and imported again adds just that."""
    store.process(make_card("L01", 3))
    path = timelapse(
        tmp_path,
        "IMG_0000.JPG,L01,2026-05-01 10:00:00,Vulpes vulpes,,true,Ann,,",
        "IMG_0030.JPG,L02,2026-05-01 11:40:00,blank,,true,Ann,,",
    )
    first = take(store, path)
    assert (first.matched, first.unmatched) == (1, 1)
    store.process(make_card("L02", 3, first=30))
    again = take(store, path)
    assert (again.matched, again.unmatched, again.already_in) == (2, 0, False)
    assert len(said(store)) == 2
    assert take(store, path).already_in


def test_a_record_that_was_duplicated_for_a_second_species_shows_both(
    store: Store, make_card: Make, tmp_path: Path
) -> None:
    """Timelapse's own way to two species on one photograph."""
    store.process(make_card("L01", 3))
    row = "IMG_0000.JPG,L01,2026-05-01 10:00:00"
    outcome = take(store, timelapse(tmp_path, f"{row},Vulpes vulpes,2,true,Ann,,", f"{row},Sus scrofa,1,true,Ann,,"))
    assert (outcome.labels, outcome.matched) == (2, 2)
    assert [(row[0], row[4]) for row in shown(store)] == [("Sus scrofa", 1), ("Vulpes vulpes", 2)]
    assert len(said(store)) == 1


def test_a_dry_run_says_all_and_writes_nothing(store: Store, make_card: Make, tmp_path: Path) -> None:
    """Also not that there was an import."""
    store.process(make_card("L01", 3))
    before = store.dump("human_label", "observation", "import")
    path = timelapse(tmp_path, "IMG_0000.JPG,L01,2026-05-01 10:00:00,Vulpes vulpes,,true,Ann,,")
    assert take(store, path, dry_run=True).matched == 1
    assert store.dump("human_label", "observation", "import") == before


def test_two_people_who_differ_are_put_on_the_review_list(store: Store, make_card: Make, tmp_path: Path) -> None:
    """The last word counts, and somebody is asked."""
    store.process(make_card("L01", 3))
    row = "IMG_0000.JPG,L01,2026-05-01 10:00:00"
    take(store, timelapse(tmp_path, f"{row},Vulpes vulpes,,true,Ann,,", name="ann.csv"))
    take(store, timelapse(tmp_path, f"{row},Canis aureus,,true,Ben,,", name="ben.csv"))
    assert shown(store) == [("Canis aureus", "animal", "human", "Ben", None)]
    assert store.rows("SELECT DISTINCT review_reason FROM review_queue") == [("people_disagree",)]


def test_a_label_of_an_event_speaks_of_the_event(store: Store, make_card: Make, tmp_path: Path) -> None:
    """From a Camtrap DP package: the event is named, its frames are not."""
    store.process(make_card("L01", 3))
    package = tmp_path / "package"
    package.mkdir()
    tables = {name: f"{name}.csv" for name in ("deployments", "media", "observations")}
    resources = [{"name": name, "path": path} for name, path in tables.items()]
    (package / "datapackage.json").write_text(
        json.dumps({"profile": "https://example.org/camtrap-dp/1.0.2/camtrap-dp-profile.json", "resources": resources}),
        "utf-8",
    )
    (package / "deployments.csv").write_text(
        "deploymentID,latitude,longitude,deploymentStart,deploymentEnd\nd1,1,2,2026-05-01T00:00:00Z,2026-05-02T00:00:00Z\n"
    )
    media = [f"m{n},d1,2026-05-01T10:00:0{n}Z,L01/IMG_000{n}.JPG,false,image/jpeg" for n in range(3)]
    (package / "media.csv").write_text(
        "mediaID,deploymentID,timestamp,filePath,filePublic,fileMediatype\n" + "\n".join(media) + "\n"
    )
    (package / "observations.csv").write_text(
        "observationID,deploymentID,mediaID,eventID,eventStart,eventEnd,observationLevel,observationType,scientificName,count,classificationMethod,classifiedBy\n"
        "o1,d1,,e1,2026-05-01T10:00:00Z,2026-05-01T10:00:02Z,event,animal,Vulpes vulpes,2,human,Ann\n"
    )
    outcome = take(store, package)
    assert outcome.matched == 3
    assert shown(store) == [("Vulpes vulpes", "animal", "human", "Ann", 2)]
    assert {row[2] for row in shown(store, "media")} == {None}
    assert store.rows("SELECT DISTINCT scope FROM human_labels") == [("event",)]


def test_boxes_are_kept_with_the_last_import_of_each_photograph(store: Store, make_card: Make, tmp_path: Path) -> None:
    """A second run of the detector replaces the first one's boxes in what is exported, and both stay on record."""
    from ctwatch.store import surveys

    store.process(make_card("L01", 2))
    take(store, megadetector(tmp_path, frame("L01/IMG_0000.JPG", 0.9), frame("L01/IMG_0001.JPG", 0.8)))
    take(store, megadetector(tmp_path, frame("L01/IMG_0000.JPG", 0.4), name="second.json"))
    with store.database.reading() as connection:
        boxes = surveys.load(connection, "0").boxes
    assert sorted(boxes.probability.tolist()) == [0.4, 0.8]
    assert store.rows("SELECT count(*) FROM raw.machine_box") == [(3,)]
    assert store.rows("SELECT observation_type, needs_review FROM observations WHERE observation_level = 'event'") == [
        ("animal", True)
    ]


def test_a_file_of_no_dialect_is_refused_with_what_is_accepted(store: Store, make_card: Make, tmp_path: Path) -> None:
    """And nothing is written."""
    store.process(make_card("L01", 2))
    path = tmp_path / "notes.csv"
    path.write_text("a,b\n1,2\n", "utf-8")
    with pytest.raises(ConfigError, match="Timelapse"):
        take(store, path)
    assert store.rows("SELECT count(*) FROM imports") == [(0,)]


def test_people_make_their_event_private(store: Store, make_card: Make, tmp_path: Path) -> None:
    """One frame with a person, and no frame of that event is for publication."""
    from ctwatch.store import surveys

    store.process(make_card("L01", 6))
    take(store, megadetector(tmp_path, frame("L01/IMG_0001.JPG", 0.9, "2")))
    with store.database.reading() as connection:
        media = surveys.load(connection, "0").media
    hidden = {path for path, private in zip(media.file_path, media.private.tolist(), strict=True) if private}
    assert hidden == {"IMG_0000.JPG", "IMG_0001.JPG", "IMG_0002.JPG"}
    assert datetime(2026, 5, 1, 10) == media.timestamp.min().item()
