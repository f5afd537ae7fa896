"""Labels from elsewhere on real cards: who wins, what stays, and that nothing a person said is ever lost or said twice."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
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
    assert (outcome.matched, outcome.unmatched, outcome.people) == (1, 0, 1)
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
    assert (outcome.matched, outcome.people) == (6, 0)
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


def test_a_review_that_comes_in_bit_by_bit_is_said_once(reviewed: Store, tmp_path: Path) -> None:
    """Next week's table holds last week's rows too: only what is new or was changed is added."""
    first = "IMG_0001.JPG,L01_CAM1,2026-05-01 10:00:01"
    rows = [
        f"{first},Vulpes vulpes|Sus scrofa,2|1,true,Ann,,",
        "IMG_0003.JPG,L01_CAM1,2026-05-01 10:10:00,blank,,true,Ann,,",
    ]
    take(reviewed, timelapse(tmp_path, *rows, name="week2.csv"))
    assert len(said(reviewed)) == 2
    take(reviewed, timelapse(tmp_path, f"{first},Vulpes vulpes,2,true,Ann,,", rows[1], name="week3.csv"))
    assert len(said(reviewed)) == 3
    assert [row[0] for row in shown(reviewed) if row[2] == "human"] == ["Vulpes vulpes"]
    assert take(reviewed, timelapse(tmp_path, f"{first},Vulpes vulpes,2,true,Ann,,", name="week4.csv")).already_in


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


def test_labels_and_what_follows_from_them_are_in_together_or_not_at_all(
    store: Store, config: Configure, make_card: Make, tmp_path: Path
) -> None:
    """An import that dies while events are derived has said nothing; the next one says it once."""

    def looks() -> Iterator[datetime]:
        yield datetime(2026, 11, 1, tzinfo=UTC)
        raise KeyboardInterrupt  # when the clock is asked again, for deriving

    store.process(make_card(files=3))
    path = timelapse(tmp_path, "IMG_0001.JPG,L01_CAM1,2026-05-01 10:00:01,Vulpes vulpes,,true,Ann,,")
    with pytest.raises(KeyboardInterrupt):
        take(Store(config(), now=looks().__next__), path)
    assert said(store) == []
    assert take(store, path).matched == 1
    assert len(said(store)) == 1
    assert shown(store) == [("Vulpes vulpes", "animal", "human", "Ann", None)]


def test_a_file_that_is_refused_keeps_no_other_from_being_published(
    config: Configure, store: Store, make_card: Make, tmp_path: Path
) -> None:
    """And one that is in already is published all the same: the run before may have been cut off."""
    from ctwatch.once import take_in_labels
    from ctwatch.store.publish import open_published

    store.process(make_card(files=3))
    path = timelapse(tmp_path, "IMG_0001.JPG,L01_CAM1,2026-05-01 10:00:01,Vulpes vulpes,,true,Ann,,")
    take(store, path)  # committed, but cut off before it was published
    (tmp_path / "none.csv").write_text("a,b\n1,2\n", "utf-8")
    with pytest.raises(ConfigError):
        take_in_labels(
            config(), [path, tmp_path / "none.csv"], as_human=None, by=None, species_column=None, dry_run=False
        )
    with open_published(config().store_folder) as connection:
        assert connection.execute("SELECT count(*) FROM detections").fetchall() == [(1,)]


def test_the_same_words_of_the_same_people_are_one_import_however_it_was_asked_for(
    reviewed: Store, tmp_path: Path
) -> None:
    """Its name, its place, and options that change nothing make no second file of it."""
    before = reviewed.dump("human_label", "observation")
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    (copy / "other.csv").write_bytes((tmp_path / "reviewed.csv").read_bytes())
    assert take(reviewed, copy / "other.csv", as_human=True).already_in
    assert take(reviewed, tmp_path / "reviewed.csv", by="Ben").already_in
    assert reviewed.dump("human_label", "observation") == before


def camtrap_dp(folder: Path, name: str, *observations: str) -> Path:
    """A package of one burst of three; observations from eventStart on."""
    package = folder / name
    package.mkdir()
    resources = [{"name": kind, "path": f"{kind}.csv"} for kind in ("deployments", "media", "observations")]
    (package / "datapackage.json").write_text(json.dumps({"resources": resources}), "utf-8")
    (package / "deployments.csv").write_text("deploymentID\nL01_CAM1\n", "utf-8")
    media = [f"m{n},L01_CAM1,2026-05-01T10:00:0{n}Z,L01_CAM1/IMG_000{n}.JPG,image/jpeg" for n in range(3)]
    (package / "media.csv").write_text(
        "mediaID,deploymentID,timestamp,filePath,fileMediatype\n" + "".join(f"{row}\n" for row in media), "utf-8"
    )
    header = (
        "observationID,deploymentID,mediaID,eventID,eventStart,eventEnd,observationType,scientificName,"
        "classificationMethod,classifiedBy,classificationTimestamp,classificationProbability\n"
    )
    rows = [f"o{number},L01_CAM1,{row}\n" for number, row in enumerate(observations)]
    (package / "observations.csv").write_text(header + "".join(rows), "utf-8")
    return package


EVENT = "e,2026-05-01T10:00:00Z,2026-05-01T10:00:02Z"


def test_a_time_that_is_still_to_come_does_not_silence_who_speaks_later(
    store: Store, make_card: Make, tmp_path: Path
) -> None:
    """A classification of the year 2099 counts as said when it came in; what is said after it is the last word."""
    store.process(make_card(files=3))
    future = "2099-01-01T00:00:00Z"
    take(store, camtrap_dp(tmp_path, "dp", f"m1,{EVENT},animal,Vulpes vulpes,human,Ann,{future},"))
    take(store, timelapse(tmp_path, "IMG_0001.JPG,L01_CAM1,2026-05-01 10:00:01,Sus scrofa,,true,Ann,,"))
    assert shown(store) == [("Sus scrofa", "animal", "human", "Ann", None)]
    take(store, camtrap_dp(tmp_path, "old", f"m1,{EVENT},animal,Meles meles,human,Ann,2020-01-01T00:00:00+12:00,"))
    assert shown(store) == [("Sus scrofa", "animal", "human", "Ann", None)]


def test_what_finds_its_photograph_late_stays_behind_what_was_said_since(
    store: Store, make_card: Make, tmp_path: Path
) -> None:
    """The first table, imported again for a new card, does not undo the corrections of the second."""
    store.process(make_card("L01", 3))
    row = "IMG_0030.JPG,L02,2026-05-01 11:40:00,{},,true,Ann,,"
    here = "IMG_0000.JPG,L01,2026-05-01 10:00:00,Vulpes vulpes,,true,Ann,,"
    first = timelapse(tmp_path, here, row.format("Vulpes vulpes"), name="first.csv")
    second = timelapse(tmp_path, here, row.format("Sus scrofa"), name="second.csv")
    for path in (first, second):
        take(store, path)
    store.process(make_card("L02", 3, first=30))
    for path in (second, first):
        take(store, path)
    assert [row[0] for row in shown(store)] == ["Vulpes vulpes", "Sus scrofa"]


def test_a_models_answers_that_become_a_persons_are_said_when_they_came_in(
    store: Store, make_card: Make, tmp_path: Path
) -> None:
    """The model's time is not the person's, who looked at them since."""
    store.process(make_card(files=3))
    take(store, timelapse(tmp_path, "IMG_0001.JPG,L01_CAM1,2026-05-01 10:00:01,Sus scrofa,,true,Ann,,"))
    path = megadetector(tmp_path, frame("L01_CAM1/IMG_0001.JPG", 0.9, "2"))
    content = json.loads(path.read_text("utf-8"))
    content["info"]["detection_completion_time"] = "2026-05-02 00:00:00"
    path.write_text(json.dumps(content), "utf-8")
    take(store, path, as_human=True, by="Ann")
    assert shown(store) == [("Homo sapiens", "human", "human", "Ann", None)]


def test_a_models_answer_about_an_event_names_none_of_its_frames(store: Store, make_card: Make, tmp_path: Path) -> None:
    """As with people: nobody said which of the photographs shows the animal."""
    store.process(make_card(files=3))
    take(store, camtrap_dp(tmp_path, "dp", f",{EVENT},animal,Vulpes vulpes,machine,Net,2026-05-02T00:00:00Z,0.9"))
    assert shown(store) == [("Vulpes vulpes", "animal", "machine", "Net", None)]
    assert {row[1] for row in shown(store, "media")} == {"unclassified"}


def test_words_written_into_the_table_by_hand_may_be_in_any_case(store: Store, make_card: Make) -> None:
    """`Blank` is blank, beside an animal it falls away, and one species spelled in two cases is one."""
    store.process(make_card(files=6))
    ids = [row[0] for row in store.rows("SELECT media_id FROM media ORDER BY timestamp")]
    words = ["Blank", "Zebra|BLANK", "zebra", "Blank", "BLANK", " blank "]
    with store.database.writing() as connection:
        for media_id, word in zip(ids, words, strict=True):
            connection.execute(
                "INSERT INTO raw.human_label (media_id, label, count, labelled_by) VALUES (?, ?, 2, 'Ann')",
                [media_id, word],
            )
    store.pipeline.rederive()
    assert [row[0] or row[1] for row in shown(store)] == ["Zebra", "blank"]
    assert {row[4] for row in shown(store, "media") if row[1] == "blank"} == {None}


def test_a_name_is_one_however_its_accents_are_written(store: Store, make_card: Make, tmp_path: Path) -> None:
    """macOS writes them in two parts."""
    store.process(make_card(files=6))
    take(
        store,
        timelapse(
            tmp_path,
            "IMG_0001.JPG,L01_CAM1,2026-05-01 10:00:01,Aguti\u0301,,true,Rene\u0301,,",
            "IMG_0004.JPG,L01_CAM1,2026-05-01 10:10:01,Agut\u00ed,,true,Ren\u00e9,,",
        ),
    )
    assert {(row[0], row[3]) for row in shown(store)} == {("Agut\u00ed", "Ren\u00e9")}


def test_an_event_is_hidden_if_a_person_is_on_any_of_its_frames(store: Store, make_card: Make, tmp_path: Path) -> None:
    """Also where somebody named the event after the animal that is on another frame."""
    from ctwatch.store.queries import event_pictures

    store.process(make_card("L01", 6))
    take(store, timelapse(tmp_path, "IMG_0000.JPG,L01,2026-05-01 10:00:00,Vulpes vulpes,,true,Ann,,"))
    take(store, megadetector(tmp_path, frame("L01/IMG_0001.JPG", 0.9, "2")))
    with store.database.reading() as connection:
        pictures = event_pictures(connection, 10)
    assert [(picture.decided, picture.private) for picture in pictures] == [
        ("Vulpes vulpes", True),
        ("unclassified", False),
    ]
