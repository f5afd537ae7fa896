"""Files for other programs, photograph by photograph: golden bytes, those programs' rules, and nothing lost in silence."""

import csv
import json
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from surveys import place, survey

from ctwatch.domain import Outage
from ctwatch.export import coco, geojson, megadetector, timelapse, wildlife_insights
from ctwatch.export.written import Written
from ctwatch.imports import megadetector as megadetector_import
from ctwatch.imports import timelapse as timelapse_import
from ctwatch.imports import wildlife_insights as wildlife_insights_import
from ctwatch.survey import FailedFile, Publication, Survey, Taxon

GOLDEN = Path(__file__).parent / "golden"
Write = Callable[[Path, Survey, Publication], Written]
WRITERS: dict[str, Write] = {
    "megadetector": megadetector.write,
    "coco": coco.write,
    "timelapse": timelapse.write,
    "wildlife_insights": wildlife_insights.write,
    "geojson": geojson.write,
}
LEOPARD, HYENA, DUIKER = "Panthera pardus", "Hyaena hyaena", "Sylvicapra grimmia"
TAXA = {
    LEOPARD: Taxon(
        LEOPARD, "2F194E9D-0A57-4F4D-9B54-000000000001", "species", "Animalia", "Mammalia", "Carnivora", "Felidae", "leopard"
    ),
    "guineafowl": Taxon("Numididae", "GBIF:9323", "family", "Animalia", "Aves", "Galliformes", "", "guineafowl"),
}  # fmt: skip
PUBLICATION = Publication(
    "Ridge 2026",
    datetime(2026, 6, 1, 12, 30),
    "Leopards, and what they eat",
    ("Wilma Bear <wilma@example.org>", "Fritz Quast <fritz@example.org> (contact)"),
    sampling_design="systematicRandom",
    data_licence="CC-BY-4.0",
    media_licence="GPL",
    country="TZA",
    taxa=TAXA,
    coordinate_decimals=2,
)
DAY = datetime(2026, 5, 1)


def at(hour: int, minute: int = 0, second: int = 0) -> datetime:
    return DAY.replace(hour=hour, minute=minute, second=second)


def the_survey() -> Survey:
    """Two places, one without coordinates; every kind of photograph once."""
    ridge = {"deployment_id": "ridge-1", "card_name": "RIDGE A", "source_path": None}
    pictures: list[dict[str, Any]] = [
        {**ridge, "event_id": "e1", "timestamp": at(6, 0, 0)},  # 1 blank
        {
            **ridge,
            "event_id": "e2",
            "timestamp": at(7, 0, 0),
            "camera_make": "RECONYX",
            "camera_serial": "H5",
        },  # 2 person
        {**ridge, "event_id": "e2", "timestamp": at(7, 0, 1)},  # 3 the same event, machine alone
        {**ridge, "event_id": "e3", "timestamp": at(8)},  # 4 two species, person
        {**ridge, "event_id": "e4", "timestamp": at(9)},  # 5 boxes
        {**ridge, "event_id": "e5", "timestamp": at(10), "failure": "truncated", "width": None, "height": None},  # 6
        {**ridge, "event_id": "e6", "timestamp": at(11)},  # 7 nobody looked
        {**ridge, "event_id": "e7", "timestamp": at(12), "private": True},  # 8 people
        {**ridge, "event_id": None, "timestamp": at(13), "capture_method": "timeLapse"},  # 9 unknown
        {
            "deployment_id": "stream-1",
            "card_name": "STREAM",
            "event_id": "e8",
            "file_path": "DCIM/100/con.JPG",
        },  # 10 no time
        {
            "deployment_id": "stream-1",
            "card_name": "STREAM",
            "event_id": "e9",
            "timestamp": at(14),
            "file_path": "=1 ä.JPG",
        },
    ]
    machine = {"classified_by": "ensemble a1", "deployment_id": "ridge-1"}
    person = {"classification_method": "human", "classified_by": "Wilma", "deployment_id": "ridge-1"}
    leopard = {"scientific_name": LEOPARD, "count": 2, "machine_labels": (HYENA,), "machine_probabilities": (0.6,)}
    seen = {"top_labels": (HYENA, LEOPARD, "blank"), "top_probabilities": (0.6, 0.3, 0.05)}
    blank = {"observation_type": "blank", "top_labels": ("blank", "animal"), "top_probabilities": (0.98765, 0.01235)}
    rows: list[dict[str, Any]] = [
        {**machine, **blank, "event_id": "e1", "probability": 0.98765, "event_start": at(6)},
        {**machine, **blank, "media": 1, "event_id": "e1", "probability": 0.98765, "event_start": at(6)},
        {**person, **leopard, "event_id": "e2", "event_start": at(7)},
        {**person, **leopard, **seen, "media": 2, "event_id": "e2"},
        {**machine, **seen, "media": 3, "event_id": "e2", "observation_type": "unknown", "probability": 0.6,
         "needs_review": True, "review_reason": "low_confidence"},
        *({**person, **more, "event_id": "e3", "event_start": at(8), "scientific_name": name, "count": count}
          for name, count in ((HYENA, None), (LEOPARD, 3)) for more in ({}, {"media": 4})),
        *({**machine, **more, "event_id": "e4", "event_start": at(9), "scientific_name": "guineafowl", "probability": 0.8,
           "top_labels": ("guineafowl", "vehicle"), "top_probabilities": (0.8, 0.2), "needs_review": True,
           "review_reason": "several_species;low_confidence"} for more in ({}, {"media": 5})),
        {**machine, "media": 6, "event_id": "e5", "observation_type": "unclassified", "classification_method": None},
        {**machine, "media": 7, "event_id": "e6", "observation_type": "unclassified", "classification_method": None},
        *({**machine, **more, "event_id": "e7", "event_start": at(12), "observation_type": "human", "probability": 0.9,
           "scientific_name": "Homo sapiens", "top_labels": ("human",), "top_probabilities": (0.9,)}
          for more in ({}, {"media": 8})),
        {**machine, **seen, "media": 9, "observation_type": "unknown", "probability": 0.4, "event_start": at(13)},
        *({**machine, **more, "deployment_id": "stream-1", "event_id": "e8", "probability": 0.96,
           "top_labels": ("animal", "blank"), "top_probabilities": (0.96, 0.04)} for more in ({}, {"media": 10})),
        *({**machine, **more, "deployment_id": "stream-1", "event_id": "e9", "event_start": at(14), "probability": 1.0,
           "scientific_name": DUIKER, "top_labels": (DUIKER,), "top_probabilities": (0.99999,)}
          for more in ({}, {"media": 11})),
    ]  # fmt: skip
    observations = [
        {**row, "level": "media", "media_id": f"{row['media']:032x}"} if "media" in row else row for row in rows
    ]
    boxes = [
        {"media_id": f"{5:032x}", "probability": 0.9, "x": 0.25, "y": 0.5, "width": 0.125, "height": 0.25},
        {
            "media_id": f"{5:032x}",
            "probability": 0.07,
            "x": 0.0,
            "y": 0.0,
            "width": 0.1,
            "height": 0.1,
            "label": "human",
        },
    ]
    places = [
        place("ridge-1", "Ridge", location_name="Ridge, north", latitude=-2.333333, longitude=34.833333,
              deployment_start=DAY, deployment_end=DAY, start_is_date=True, end_is_date=True, session="wet",
              media_count=9, first_media=at(6), last_media=at(13),
              columns=(("featureType", "trailGame"), ("baitUse", "false"), ("bait_description", "none"))),
        place("stream-1", "Stream", media_count=2, first_media=at(14), last_media=at(14), camera_id="C9",
              outages=(Outage(at(1), at(2)),)),
    ]  # fmt: skip
    effort = [
        {"location_id": "Ridge", "day": "2026-05-01"},
        {"location_id": "Stream", "day": "2026-05-01", "assumed": True},
    ]
    failed = (
        FailedFile("RIDGE A", "IMG_0006.JPG", "truncated", None),
        FailedFile("RIDGE A", "IMG_0099.JPG", "empty_file", None),
    )
    return survey(places, pictures, observations, effort, boxes, failed)


def images_of(folder: Path, data: Survey, publication: Publication = PUBLICATION) -> dict[str, Any]:
    megadetector.write(folder, data, publication)
    images = json.loads((folder / "megadetector.json").read_text("utf-8"))["images"]
    return {image["file"].rpartition("/")[2]: image for image in images}


def table(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.parametrize("name", WRITERS)
def test_files_are_these_bytes_and_sentences(name: str, tmp_path: Path) -> None:
    """A changed byte is a changed contract; the template's database is compared as the SQL that makes it."""
    written = WRITERS[name](tmp_path / name, the_survey(), PUBLICATION)
    assert set(written.paths) == set((tmp_path / name).iterdir())
    (tmp_path / name / "sentences.txt").write_text("\n".join(written.sentences) + "\n", "utf-8")
    for template in (tmp_path / name).glob("*.tdb"):
        with closing(sqlite3.connect(template)) as connection:
            template.with_suffix(".sql").write_text("\n".join(connection.iterdump()) + "\n", "utf-8")
        template.unlink()
    found = {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
    golden = {path.name: path.read_bytes() for path in (GOLDEN / name).iterdir()}
    assert found == golden, subprocess.run(
        ["diff", "-ru", str(GOLDEN / name), str(tmp_path / name)], capture_output=True, text=True, check=False
    ).stdout


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_survey_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    """Nothing in a file depends on when or how often it is written."""
    paths = [WRITERS[name](tmp_path / folder, the_survey(), PUBLICATION).paths for folder in ("a", "b")]
    assert [path.read_bytes() for path in paths[0]] == [path.read_bytes() for path in paths[1]]


@pytest.mark.parametrize("name", WRITERS)
def test_a_survey_without_photographs_gives_files_all_the_same(name: str, tmp_path: Path) -> None:
    """Headers and empty lists, no traceback."""
    for path in WRITERS[name](tmp_path, survey(), PUBLICATION).paths:
        assert path.stat().st_size


@pytest.mark.parametrize("name", ["megadetector", "coco", "timelapse", "wildlife_insights"])
def test_people_are_left_out_unless_asked_for(name: str, tmp_path: Path) -> None:
    """The photograph of people is in no file, and counted; asked for, it is there."""
    without = WRITERS[name](tmp_path / "a", the_survey(), PUBLICATION)
    everything = WRITERS[name](tmp_path / "b", the_survey(), replace(PUBLICATION, with_private=True))
    assert "1 photograph of events with people left out" in without.sentences
    assert "1 photograph of events with people among them, as asked for" in everything.sentences
    assert not any(b"IMG_0008" in path.read_bytes() for path in without.paths)
    assert any(b"IMG_0008" in path.read_bytes() for path in everything.paths)


def test_megadetector_has_boxes_or_the_whole_frame_and_nothing_for_blanks(tmp_path: Path) -> None:
    """Timelapse shows and sorts by them: confidence is the probability that it is not blank, 1 for a person's word."""
    images = images_of(tmp_path, the_survey())
    assert images["IMG_0001.JPG"]["detections"] == []
    whole = images["IMG_0009.JPG"]["detections"]
    assert [(box["bbox"], box["conf"]) for box in whole] == [([0.0, 0.0, 1.0, 1.0], 0.9)]
    assert [p for _, p in whole[0]["classifications"]] == [0.6, 0.3, 0.05]
    assert [box["conf"] for box in images["IMG_0005.JPG"]["detections"]] == [0.9, 0.07]
    assert [box["category"] for box in images["IMG_0005.JPG"]["detections"]] == ["1", "2"]
    assert [box["conf"] for box in images["IMG_0004.JPG"]["detections"]] == [1.0, 1.0]
    assert (
        images["IMG_0003.JPG"]["detections"][0]["classifications"]
        == images["IMG_0002.JPG"]["detections"][0]["classifications"]
    )


def test_megadetector_says_why_a_file_has_no_detections(tmp_path: Path) -> None:
    """Null and a reason, never an empty list, which would mean blank; each failed file once."""
    images = images_of(tmp_path, the_survey())
    failures = {name: image["failure"] for name, image in images.items() if "failure" in image}
    assert failures == {"IMG_0006.JPG": "truncated", "IMG_0007.JPG": "not classified", "IMG_0099.JPG": "empty_file"}
    assert all(images[name]["detections"] is None for name in failures)


def test_megadetector_classes_are_no_detection_categories(tmp_path: Path) -> None:
    """Timelapse takes a file with an animal, person or vehicle among the classes, or the same one twice, for broken."""
    megadetector.write(tmp_path, the_survey(), PUBLICATION)
    document = json.loads((tmp_path / "megadetector.json").read_text("utf-8"))
    names = list(document["classification_categories"].values())
    assert not {"animal", "person", "vehicle"} & set(names) and len(names) == len(set(names))
    assert document["classification_categories"].keys() == document["classification_category_descriptions"].keys()
    assert all(text.count(";") == 4 for text in document["classification_category_descriptions"].values())
    assert document["detection_categories"] == {"1": "animal", "2": "person", "3": "vehicle"}


def test_a_person_strikes_out_the_detectors_boxes(tmp_path: Path) -> None:
    """Blank by a person is blank, whatever a detector drew."""
    row = {"deployment_id": "a", "media_id": f"{1:032x}", "level": "media", "observation_type": "blank"}
    box = {"media_id": f"{1:032x}", "probability": 0.9, "x": 0.1, "y": 0.1, "width": 0.1, "height": 0.1}
    machine = survey([place("a", "A")], [{"deployment_id": "a"}], [row], boxes=[box])
    person = survey(
        [place("a", "A")], [{"deployment_id": "a"}], [{**row, "classification_method": "human"}], boxes=[box]
    )
    assert len(images_of(tmp_path, machine)["IMG_0001.JPG"]["detections"]) == 1
    assert images_of(tmp_path, person)["IMG_0001.JPG"]["detections"] == []


def test_images_that_lay_loose_have_no_folder(tmp_path: Path) -> None:
    """Paths begin at the folder that a technician opens: the inbox, for cards and for what lay loose beside them."""
    pictures = [
        {"deployment_id": "a", "card_name": "inbox", "file_path": "1.JPG", "source_path": "/in/inbox/1.JPG"},
        {"deployment_id": "a", "card_name": "CARD", "file_path": "D/2.JPG", "source_path": "/in/inbox/CARD/D/2.JPG"},
    ]
    megadetector.write(tmp_path, survey([place("a", "A")], pictures), PUBLICATION)
    images = json.loads((tmp_path / "megadetector.json").read_text("utf-8"))["images"]
    assert [image["file"] for image in images] == ["1.JPG", "CARD/D/2.JPG"]


def test_coco_refers_only_to_what_is_there(tmp_path: Path) -> None:
    """Ids are unique, references hold, frames of a sequence are numbered from 0, boxes are pixels within the image."""
    coco.write(tmp_path, the_survey(), replace(PUBLICATION, with_private=True))
    document = json.loads((tmp_path / "coco_camera_traps.json").read_text("utf-8"))
    images = {image["id"]: image for image in document["images"]}
    categories = {category["id"]: category["name"] for category in document["categories"]}
    assert len(images) == len(document["images"]) and categories[0] == "empty"
    assert list(categories.values())[1:] == sorted(list(categories.values())[1:])
    assert len({each["id"] for each in document["annotations"]}) == len(document["annotations"])
    for each in document["annotations"]:
        assert each["image_id"] in images and each["category_id"] in categories
    drawn = [each for each in document["annotations"] if "bbox" in each]
    assert [(categories[each["category_id"]], each["bbox"]) for each in drawn] == [("guineafowl", [512, 768, 256, 384])]
    sequence = [image for image in document["images"] if image.get("seq_id") == "e2"]
    assert [(image["frame_num"], image["seq_num_frames"]) for image in sequence] == [(0, 2), (1, 2)]
    assert [each["image_id"][-1] for each in document["annotations"] if each["sequence_level_annotation"]] == ["3"]


def test_the_template_has_the_columns_of_the_csv_and_all_its_choices(tmp_path: Path) -> None:
    """Timelapse refuses a file with another column, or with a species that is no choice of the template."""
    timelapse.write(tmp_path, the_survey(), PUBLICATION)
    with closing(sqlite3.connect(tmp_path / "TimelapseTemplate.tdb")) as connection:
        controls = dict(connection.execute("SELECT DataLabel, Type FROM TemplateTable").fetchall())
        listed = connection.execute("SELECT List FROM TemplateTable WHERE DataLabel = 'Species'").fetchone()[0]
    choices = json.loads(listed)["ChoiceListNonEmpty"]
    rows = table(tmp_path / "timelapse.csv")
    assert set(rows[0]) == set(controls) - {"DeleteFlag"}
    assert {row["Species"] for row in rows} - {""} <= set(choices) and len(choices) == len(set(choices))
    for row in rows:
        assert {row[name] for name, kind in controls.items() if kind == "Flag" and name in row} <= {"true", "false"}
        datetime.strptime(row["DateTime"], "%Y-%m-%d %H:%M:%S")
        assert not row["Probability"] or 0 <= float(row["Probability"]) <= 1


def test_photographs_without_a_time_are_in_a_file_without_that_column(tmp_path: Path) -> None:
    """An empty DateTime would make Timelapse refuse all rows; an old such file does not stay."""
    timelapse.write(tmp_path, the_survey(), PUBLICATION)
    assert [row["File"] for row in table(tmp_path / "timelapse_without_time.csv")] == ["con.JPG"]
    assert table(tmp_path / "timelapse_without_time.csv")[0]["RelativePath"] == "STREAM\\DCIM\\100"
    assert not any(row["File"] == "con.JPG" for row in table(tmp_path / "timelapse.csv"))
    timelapse.write(tmp_path, survey(), PUBLICATION)
    assert not (tmp_path / "timelapse_without_time.csv").exists()


def test_what_comes_back_from_timelapse_is_what_people_said_of_the_photograph_itself(tmp_path: Path) -> None:
    """Nothing that a machine said, or a person said of another frame of the event, returns as a person's word."""
    timelapse.write(tmp_path, the_survey(), PUBLICATION)
    said = timelapse_import.read(tmp_path / "timelapse.csv")
    assert not said.problems
    found = {
        label.media_id: {answer.label: answer.count for answer in label.answers}
        for label in said.labels
        if label.classified_by == "Wilma"
    }
    assert found == {f"{2:032x}": {LEOPARD: 2}, f"{4:032x}": {LEOPARD: 3, HYENA: None}}
    assert len(said.labels) == len(found)


@given(st.lists(st.text(max_size=12), min_size=1, max_size=3))
def test_a_choice_survives_timelapses_reading_of_the_csv(labels: list[str]) -> None:
    """Timelapse trims cells and splits choices at line ends: the cell and the choice stay one text."""
    cell = timelapse.choice(labels)
    assert cell.strip() in (cell, cell.rstrip()) and len(cell.splitlines()) <= 1
    assert cell.count("|") == len(labels) - 1
    assert not cell.startswith(("=", "+", "-", "@"))


def test_wildlife_insights_knows_machines_from_people(tmp_path: Path) -> None:
    """Machines are `Computer vision`; blanks, people and animals have its own identifiers, counts are never above theirs."""
    wildlife_insights.write(tmp_path, the_survey(), replace(PUBLICATION, with_private=True))
    rows = table(tmp_path / "images.csv")
    by = {row["identified_by"] for row in rows}
    assert by == {"Wilma", "Computer vision", "Computer vision: ensemble a1"}
    blank = next(row for row in rows if row["common_name"] == "Blank")
    assert (blank["wi_taxon_id"], blank["number_of_objects"]) == ("f1856211-cfb7-4a5b-9158-c0f72fd09ee6", "0")
    leopard = next(row for row in rows if row["genus"] == "Panthera")
    assert leopard["wi_taxon_id"] == TAXA[LEOPARD].taxon_id.lower() and leopard["species"] == "pardus"
    birds = next(row for row in rows if row["common_name"] == "guineafowl")
    assert (birds["family"], birds["genus"], birds["wi_taxon_id"]) == ("Numididae", "", "")
    cameras = {row["camera_id"] for row in table(tmp_path / "cameras.csv")}
    assert {row["camera_id"] for row in table(tmp_path / "deployments.csv")} == cameras == {"C9", "H5"}
    said = wildlife_insights_import.read(tmp_path / "images.csv")
    assert not said.problems and {label.classified_by for label in said.labels if label.by_human} == {"Wilma"}


def test_our_own_megadetector_file_is_read_back(tmp_path: Path) -> None:
    """The importer finds the format, and every photograph that was looked at."""
    megadetector.write(tmp_path, the_survey(), PUBLICATION)
    said = megadetector_import.read(json.loads((tmp_path / "megadetector.json").read_text("utf-8")))
    assert not said.problems and len(said.labels) == 8


def test_geojson_puts_longitude_first_and_says_how_far_it_was_rounded(tmp_path: Path) -> None:
    """RFC 7946; a place without coordinates is there with a geometry of null."""
    written = geojson.write(tmp_path, the_survey(), PUBLICATION)
    ridge, stream = json.loads((tmp_path / "survey.geojson").read_text("utf-8"))["features"]
    assert ridge["geometry"] == {"type": "Point", "coordinates": [34.83, -2.33]}
    assert 500 < ridge["properties"]["coordinateUncertaintyInMeters"] < 1000
    assert ridge["properties"]["species"] == {LEOPARD: 1, HYENA: 1, "guineafowl": 1}
    assert stream["geometry"] is None and any("(Stream): geometry is null" in text for text in written.sentences)


def test_names_from_strangers_break_no_file(tmp_path: Path) -> None:
    """Quotes, markup, line ends, controls and half characters are text in every dialect."""
    evil = "x\"'</script>\n\u2028\x07\udcff|=1"
    data = survey(
        [place(evil, evil, location_name=evil)],
        [{"deployment_id": evil, "card_name": "C", "file_path": "a\\b<.JPG"}],
        [{"deployment_id": evil, "media_id": f"{1:032x}", "level": "media", "scientific_name": evil, "probability": 1.0,
          "top_labels": (evil,), "top_probabilities": (1.0,)}],
    )  # fmt: skip
    for name in ("megadetector", "coco", "geojson"):
        for path in WRITERS[name](tmp_path / name, data, PUBLICATION).paths:
            assert json.loads(path.read_text("utf-8"))
    said = timelapse.write(tmp_path / "t", replace_text(data, evil), PUBLICATION).sentences
    assert any("that Windows cannot hold" in text for text in said)
    assert len(table(tmp_path / "t" / "timelapse_without_time.csv")) == 1


def replace_text(data: Survey, evil: str) -> Survey:
    """The same without half characters, which the database cannot hold and CSV cannot write."""
    whole = evil.replace("\udcff", "")
    observations = replace(data.observations, scientific_name=[whole], top_labels=[(whole,)], deployment_id=[whole])
    return replace(data, deployments=(), media=replace(data.media, deployment_id=[whole]), observations=observations)
