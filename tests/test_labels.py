"""Label readers: what each format says, how it is recognised, what is left out and told, and what is refused."""

import json
import shutil
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from ctwatch_train import labels
from ctwatch_train.labels import reading
from ctwatch_train.labels.annotation import Annotation, Labels
from ctwatch_train.sets.consensus import propagate
from hypothesis import given
from hypothesis import strategies as st
from shared_data import SHARED, needs_shared

from ctwatch.errors import ConfigError, StoreError
from ctwatch.store.database import LIVE_NAME, Database
from ctwatch.store.preparation import prepare
from ctwatch.store.publish import publish
from ctwatch.store.rows import insert


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


def read(path: Path | str, images: Path | None = None) -> Labels:
    return labels.read(str(path), images=images)


def problems(path: Path | str, images: Path | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        read(path, images)
    return "\n".join(caught.value.problems)


def names(found: Labels, base: Path) -> dict[str, tuple[str, ...]]:
    """Species by path below `base`, one answer per photograph."""
    return {each.path.relative_to(base).as_posix(): each.species for each in propagate(found.annotations).annotations}


# --- what is what


def test_a_source_is_a_path_or_a_name_and_a_path(tmp_path: Path) -> None:
    table = write(tmp_path / "mine.csv", "path,label", "a.jpg,zebra")
    assert read(table).source == "mine"
    assert read(f"real={table}").source == "real"
    odd = write(tmp_path / "real=odd.csv", "path,label", "a.jpg,zebra")
    assert labels.parse(str(odd)) == ("real=odd", odd)
    assert labels.parse("a/b=c/labels.csv") == ("labels", Path("a/b=c/labels.csv"))
    assert labels.parse(str(tmp_path))[0] == tmp_path.name
    assert labels.parse(".")[0] == Path.cwd().name


def test_what_is_no_labels_is_told_with_what_it_has_and_what_is_needed(tmp_path: Path) -> None:
    said = problems(write(tmp_path / "y.csv", "site,o1,o2", "a,0,1"))
    assert "its columns are site, o1, o2" in said
    assert all(f"the trainer reads {needs}" in said for needs in labels.NEEDS)
    said = problems(tmp_path)
    assert "it holds y.csv; name the file itself: y.csv" in said
    (tmp_path / "void").mkdir()
    assert "it is empty" in problems(tmp_path / "void")
    assert "is not there" in problems(tmp_path / "gone.csv")
    assert "unpack it" in problems(write(tmp_path / "a.zip", "PK"))
    assert "save it as CSV" in problems(write(tmp_path / "a.xlsx", "PK"))
    assert "no columns" in problems(write(tmp_path / "none.csv"))
    assert "not UTF-8" in problems(_bytes(tmp_path / "latin.csv", b"path,label\na.jpg,K\xf6nig\n"))
    assert "name the folder of the package" in problems(
        write(tmp_path / "o.csv", "observationID,mediaID,species", "1,2,3")
    )


def _bytes(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


# --- the trainer's own table


def test_a_table_needs_path_and_label_only(tmp_path: Path) -> None:
    table = write(tmp_path / "t.csv", "path,label", "a.jpg,zebra", "sub/b.jpg,Blank", "c.jpg,empty", "d.jpg,none", "")
    found = read(table)
    assert found.kind == "table"
    assert found.annotations == [
        Annotation(tmp_path / "a.jpg", ("zebra",)),
        Annotation(tmp_path / "sub/b.jpg", ()),
        Annotation(tmp_path / "c.jpg", ()),
        Annotation(tmp_path / "d.jpg", ()),
    ]
    assert read(table, tmp_path / "other").annotations[0].path == tmp_path / "other" / "a.jpg"


def test_every_column_of_a_table_is_read(tmp_path: Path) -> None:
    table = write(
        tmp_path / "t.csv",
        "\ufeffLabel;Path;location;event;count;annotator;split;captured_at",
        "zebra;/far/a.jpg;L1;e1;3;anna;train;2020-05-01 10:11:12",
        "topi|impala;b.jpg;L1;e2;11-50;ben;train;2020:05:01 10:11:12",
        "topi;c.jpg;L2;e1;;;test;2020-05-01T10:11:12+02:00",
    )
    moment = datetime(2020, 5, 1, 10, 11, 12)
    assert read(table).annotations == [
        Annotation(Path("/far/a.jpg"), ("zebra",), "L1", "e1", moment, 3, "anna", "train"),
        Annotation(tmp_path / "b.jpg", ("impala", "topi"), "L1", "e2", moment, 11, "ben", "train"),
        Annotation(tmp_path / "c.jpg", ("topi",), "L2", "e1", moment, None, None, "test"),
    ]


def test_several_species_in_several_rows_or_in_one_cell_are_the_same(tmp_path: Path) -> None:
    table = write(
        tmp_path / "t.csv", "path,label", "a.jpg,zebra", "a.jpg,topi", "b.jpg,topi | zebra", "c.jpg,zebra|zebra"
    )
    found = names(read(table), tmp_path)
    assert found == {"a.jpg": ("topi", "zebra"), "b.jpg": ("topi", "zebra"), "c.jpg": ("zebra",)}


def test_all_faults_of_a_table_are_told_with_their_lines(tmp_path: Path) -> None:
    said = problems(
        write(
            tmp_path / "t.csv",
            "path,label,location,event,count,split,captured_at",
            ",zebra,L1,e1,,,",
            "b.jpg,,L1,e1,,,",
            "c.jpg,zebra,L1,e1,-2,,",
            "d.jpg,zebra,L1,e1,,dev,",
            "e.jpg,zebra,L1,e1,,,yesterday",
            "f.jpg,blank|zebra,L1,e1,,,",
            "g.jpg,zebra|,L1,e1,,,",
            "h.jpg,zebra,L1,e1,,,,",
            "c.jpg,zebra,L2,e1,,,",
        )
    ).splitlines()
    assert [line.split(": ", 1)[0].rsplit(" ", 1)[1] for line in said] == ["2", "3", "4", "5", "6", "7", "8", "9", "10"]
    wanted = (
        "path is empty",
        "label is empty",
        "'-2'",
        "'dev'",
        "2026-05-01",
        "blank and a species",
        "empty name",
        "8 cells",
    )
    for line, word in zip(said, wanted, strict=False):
        assert word in line
    assert "has location L2 here and L1 on line 4" in said[-1]
    assert "has no rows" in problems(write(tmp_path / "e.csv", "path,label"))


def test_only_the_first_faults_are_written_out(tmp_path: Path) -> None:
    said = problems(write(tmp_path / "t.csv", "path,label", *["a.jpg,"] * 50)).splitlines()
    assert len(said) == 21
    assert said[-1] == "... and 30 more"


def test_unknown_columns_are_named_with_the_nearest_known_one(tmp_path: Path) -> None:
    said = problems(write(tmp_path / "t.csv", "path,label_eye,lokation,weather,path", "a.jpg,zebra,L1,dry,b"))
    assert "no column label; rename `label_eye` to it" in said
    assert "'lokation' is not known; rename it to location, or drop it" in said
    assert "'weather' is not known; drop it (known are path, label," in said
    assert "column path is there twice" in said
    assert said.count("label_eye") == 1


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (["a.jpg,L1,1,train", "b.jpg,L1,2,test"], "location 'L1' is in two splits (test, train)"),
        (["a.jpg,L1,1,train", "b.jpg,L1,2,"], "location 'L1' is in two splits (none, train)"),
        (["a.jpg,L1,1,train", "b.jpg,L1,2,test_seen", "c.jpg,L1,1,test_seen"], "event '1' is in two splits"),
        (["a.jpg,,1,train", "b.jpg,,1,test"], "event '1' is in two splits"),
        (["a.jpg,L1,1,train", "b.jpg,L1,2,test_seen", "c.jpg,L2,1,test"], ""),
        (["a.jpg,,,train", "b.jpg,,,test", "c.jpg,,,"], ""),
    ],
)
def test_what_belongs_together_is_in_one_split(tmp_path: Path, rows: list[str], told: str) -> None:
    """Other events of a location that is trained on may be tested by, as test_seen; the same event never."""
    table = write(tmp_path / "t.csv", "path,location,event,split,label", *(f"{row},zebra" for row in rows))
    if told:
        assert problems(table).count(told) == 1
    else:
        assert len(read(table).annotations) == len(rows)


def test_what_nobody_could_decide_is_left_out_and_told(tmp_path: Path) -> None:
    table = write(
        tmp_path / "t.csv", "path,label", "a.jpg,zebra", "b.jpg,Unknown", "c.jpg,unsure", "d.jpg,zebra", "d.jpg,unknown"
    )
    found = read(table)
    assert [each.path.name for each in found.annotations] == ["a.jpg"]
    assert found.notes == ("3 answers left out that nobody could decide (Unknown, unknown, unsure)",)


_word = st.text(st.characters(codec="utf-8", exclude_characters='|\0\r\n"', exclude_categories=("Cs",)), min_size=1)


@given(st.lists(st.tuples(_word, _word), min_size=1, max_size=8))
def test_whatever_is_written_as_a_table_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    import csv

    rows = [(f"{number}{path.strip()}", label.strip()) for number, (path, label) in enumerate(rows)]
    path = tmp_path_factory.mktemp("round") / "t.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label"), *rows])
    usable = [row for row in rows if row[1] and not reading.is_undecided(row[1])]
    if len(usable) == len(rows):
        found = read(path).annotations
        assert [(each.path, each.species) for each in found] == [
            (path.parent / name, () if label.lower() in reading.BLANKS else (label,)) for name, label in rows
        ]


# --- folders


def test_folders_are_labels_and_the_next_ones_locations_if_all_have_them(tmp_path: Path) -> None:
    for name in ("zebra/L1/a.JPG", "zebra/L2/DCIM/b.jpeg", "blank/L1/c.png", "Empty/L3/d.tif"):
        write(tmp_path / name)
    found = read(tmp_path)
    assert found.kind == "folders"
    assert [(each.path.name, each.species, each.location) for each in found.annotations] == [
        ("d.tif", (), "L3"),
        ("c.png", (), "L1"),
        ("a.JPG", ("zebra",), "L1"),
        ("b.jpeg", ("zebra",), "L2"),
    ]
    assert found.notes == ("folder names are taken as label/location: Empty, blank, zebra / L1, L2, L3",)
    write(tmp_path / "topi" / "e.bmp")
    flat = read(tmp_path)
    assert {each.location for each in flat.annotations} == {None}
    assert "where the cameras hung is not known" in flat.notes[0]


def test_links_hidden_files_and_what_is_no_image_are_passed_over(tmp_path: Path) -> None:
    root, far = tmp_path / "root", tmp_path / "far"
    for name in (
        "root/zebra/a.jpg",
        "root/zebra/._a.jpg",
        "root/.trash/x.jpg",
        "root/zebra/notes.txt",
        "far/secret.jpg",
    ):
        write(tmp_path / name)
    for name in ("root/unknown/u.jpg", "root/none yet/.keep", "root/loose.jpg"):
        write(tmp_path / name)
    (root / "lion").symlink_to(far)
    (root / "zebra" / "link.jpg").symlink_to(far / "secret.jpg")
    (root / "zebra" / "round").symlink_to(root)
    found = read(root)
    assert [each.path for each in found.annotations] == [root / "zebra" / "a.jpg"]
    told = "\n".join(found.notes)
    for word in (
        "1 image directly in",
        "1 photograph left out",
        "1 folder without an image: none yet",
        "2 links",
        "1 file passed",
    ):
        assert word in told


# --- COCO Camera Traps


def coco(path: Path, **change: Any) -> Path:
    data: dict[str, Any] = {
        "info": {"version": "1.0"},
        "categories": [{"id": 0, "name": "empty"}, {"id": 3, "name": "deer"}, {"id": 9, "name": "unknown"}],
        "images": [
            {"id": "a", "file_name": "L/a.jpg", "location": 4, "seq_id": "s1", "datetime": "2013-12-11 10:32:23"},
            {"id": "b", "file_name": "L\\b.jpg", "location": 4, "seq_id": "s1", "datetime": "broken"},
            {"id": "c", "file_name": "c.jpg"},
            {"id": "d", "file_name": "d.jpg"},
            {"id": "e", "file_name": "e.jpg", "corrupt": True},
        ],
        "annotations": [
            {"id": 1, "image_id": "a", "category_id": 3, "count": 2, "sequence_level_annotation": True},
            {"id": 2, "image_id": "c", "category_id": 0},
            {"id": 3, "image_id": "d", "category_id": 9},
            {"id": 4, "image_id": "e", "category_id": 3},
        ],
    }
    path.write_text(json.dumps({**data, **change}), "utf-8")
    return path


def test_coco_says_what_is_on_images_and_on_sequences(tmp_path: Path) -> None:
    found = read(coco(tmp_path / "cct.json"))
    assert found.kind == "coco"
    taken = datetime(2013, 12, 11, 10, 32, 23)
    assert list(found.annotations) == [
        Annotation(tmp_path / "L/a.jpg", ("deer",), "4", "s1", taken, 2, of_event=True),
        Annotation(tmp_path / "L/b.jpg", ("deer",), "4", "s1", None, 2, of_event=True),
        Annotation(tmp_path / "c.jpg", ()),
    ]
    assert found.notes == (
        "1 photograph without an answer of its own got its sequence's",
        "1 photograph left out that nobody could decide (unknown)",
        "1 photograph left out that the file itself calls corrupt",
    )


def test_two_categories_on_one_image_are_two_species_and_boxes_are_none(tmp_path: Path) -> None:
    said = [{"id": n, "image_id": "c", "category_id": c, "bbox": [1, 2, 3, 4]} for n, c in enumerate((3, 3, 4))]
    path = coco(tmp_path / "c.json", annotations=said, categories=[{"id": 3, "name": "deer"}, {"id": 4, "name": "fox"}])
    assert names(read(path), tmp_path) == {"c.jpg": ("deer", "fox")}


def test_ids_that_do_not_fit_are_told_all_at_once(tmp_path: Path) -> None:
    images = [{"id": "a", "file_name": "a.jpg"}, {"id": "a", "file_name": "b.jpg"}, {"file_name": "c.jpg"}, 7]
    images += [{"id": "x", "file_name": "../../etc/passwd"}, {"id": "y", "file_name": "/etc/passwd"}, {"id": ["z"]}]
    said = problems(
        coco(
            tmp_path / "c.json",
            images=images,
            categories=[{"id": 0, "name": "empty"}, {"id": 0, "name": "deer"}, {"name": "fox"}],
            annotations=[
                {"id": 1, "image_id": "a", "category_id": 5},
                {"id": 2, "image_id": "q", "category_id": 0},
                {"id": 3, "image_id": [], "category_id": {}},
                None,
            ],
        )
    )
    for word in (
        "category id 0 is there twice", "no id or no name", "image id 'a' is there twice", "an image has no id",
        "'../../etc/passwd' is no path", "'/etc/passwd' is no path", "annotation 1: category_id 5",
        "annotation 2: image_id 'q'", "annotation 3: image_id []", "annotation 3 is no object",
    ):  # fmt: skip
        assert word in said, word


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{}", "holds no object"),
        ("[1]", "holds no object"),
        ('{"images": 3, "annotations": [], "categories": []}', "has the keys annotations, categories, images"),
        ('{"images": [], "detection_categories": {}}', "what a model said"),
        ("{", "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
    ],
)
def test_other_json_is_refused_by_what_it_holds(tmp_path: Path, text: str, told: str) -> None:
    assert told in problems(write(tmp_path / "o.json", text))


# --- Snapshot Serengeti

IMAGES = (
    "CaptureEventID,URL_Info",
    "A1,S1/B04/B04_R1/S1_B04_R1_PICT0001.JPG",
    "A1,S1/B04/B04_R1/S1_B04_R1_PICT0002.JPG",
    "A1,S1/B04/B04_R1/S1_B04_R1_PICT0003.JPG",
    "A2,S1/C05/C05_R1/S1_C05_R1_PICT0001.JPG",
    "A3,S1/C05/C05_R1/S1_C05_R1_PICT0002.JPG",
)
CONSENSUS = (
    "CaptureEventID,NumImages,DateTime,SiteID,LocationX,LocationY,NumSpecies,Species,Count,Standing,Resting,Moving,"
    "Eating,Interacting,Babies,NumClassifications,NumVotes,NumBlanks,Evenness"
)


def test_the_published_consensus_names_no_blank_event(tmp_path: Path) -> None:
    write(tmp_path / "all_images.csv", *IMAGES)
    table = write(
        tmp_path / "consensus_data.csv",
        CONSENSUS,
        "A1,3,2010-07-18 16:26:14,B04,1,2,1,gazelleThomsons,11-50,1,0,0,0,0,0,20,20,1,0.25",
        "A3,1,2010-07-18 17:26:14,C05,1,2,2,zebra,2,1,0,0,0,0,0,20,20,0,0.9",
        "A3,1,2010-07-18 17:26:14,C05,1,2,2,topi,1,1,0,0,0,0,0,20,20,0,0.9",
        "A9,1,2010-07-18 17:26:14,C05,1,2,1,topi,1,1,0,0,0,0,0,20,20,0,0",
    )
    found = read(table)
    assert found.kind == "serengeti"
    assert found.annotations[0] == Annotation(
        tmp_path / "S1/B04/B04_R1/S1_B04_R1_PICT0001.JPG", ("gazelleThomsons",), "B04", "A1",
        datetime(2010, 7, 18, 16, 26, 14), 11, of_event=True, evenness=0.25,
    )  # fmt: skip
    got = propagate(found.annotations).annotations
    assert [(each.event, each.species) for each in got] == [
        *[("A1", ("gazelleThomsons",))] * 3,
        ("A3", ("topi", "zebra")),
        ("A2", ()),
    ]
    assert {each.location for each in got if each.event == "A2"} == {"C05"}
    assert found.notes == (
        "1 event left out that the table of images does not name",
        "1 event taken as blank: the consensus does not name them",
    )


def test_expert_answers_say_nothing_of_events_that_they_do_not_name(tmp_path: Path) -> None:
    write(tmp_path / "all_images.csv", *IMAGES)
    table = write(tmp_path / "gold.csv", "captureeventid,NumSpecies,species,COUNT", "A1,1,zebra,1", "A2,1,impossible,1")
    found = read(table)
    assert [each.species for each in found.annotations] == [("zebra",)] * 3
    assert found.notes == (
        "1 event left out that nobody could decide",
        "1 event left out that the table does not name",
    )


def test_a_snapshot_safari_report_names_its_blanks(tmp_path: Path) -> None:
    write(
        tmp_path / "KRU_S1_report_lila_image_inventory.csv",
        "capture_id,image_rank_in_capture,image_path_rel",
        "KRU_S1#1#1#2,1,KRU_S1/1/1_R1/KRU_S1_1_R1_IMAG0003.JPG",
        "KRU_S1#1#1#3,1,KRU_S1/1/1_R1/KRU_S1_1_R1_IMAG0004.JPG",
    )
    table = write(
        tmp_path / "KRU_S1_report_lila.csv",
        "capture_id,season,site,roll,capture,capture_date_local,capture_time_local,subject_id,question__species,"
        "question__count_max,question__count_median,question__count_min,p_users_identified_this_species,pielous_evenness_index",
        "KRU_S1#1#1#2,KRU_S1,1,1,2,2018-03-09,11:20:21,7,blank,,,,1.0,0.0",
        "KRU_S1#1#1#3,KRU_S1,1,1,3,2018-03-09,11:21:21,8,impala,4,3,1,0.8,0.5",
    )
    first, second = read(table).annotations
    assert (first.species, first.support) == ((), 1.0)
    assert second == Annotation(
        tmp_path / "KRU_S1/1/1_R1/KRU_S1_1_R1_IMAG0004.JPG", ("impala",), "1", "KRU_S1#1#1#3",
        datetime(2018, 3, 9, 11, 21, 21), 3, of_event=True, support=0.8, evenness=0.5,
    )  # fmt: skip


def test_raw_classifications_are_annotators_and_settle_as_published(tmp_path: Path) -> None:
    """Every classification is there once at least, every photograph too; the event has one answer."""
    write(tmp_path / "tables" / "all_images.csv", *IMAGES)
    rows = [
        f"A1,c{n},u{n % 2},{species},{count}"
        for n, (species, count) in enumerate([("zebra", 1), ("", ""), ("topi", 2)])
    ]
    rows += ["A1,c3,u9,zebra,2", "A1,c3,u9,topi,51+", "A2,c4,u1,blank,", "A2,c5,u2,unknown,"]
    table = write(tmp_path / "tables" / "raw.csv", "CaptureEventID,ClassificationID,UserHash,Species,Count", *rows)
    found = read(table, tmp_path / "photographs")
    mine = [each for each in found.annotations if each.event == "A1"]
    assert {each.annotator for each in mine} == {"c0", "c1", "c2", "c3"}
    assert {each.path.name[-8:] for each in mine} == {"0001.JPG", "0002.JPG", "0003.JPG"}
    assert all(
        each.of_event and each.path.is_relative_to(tmp_path / "photographs" / "S1") for each in found.annotations
    )
    got = propagate(found.annotations).annotations
    assert [(each.event, each.species) for each in got] == [*[("A1", ("topi",))] * 3, ("A2", ())]
    assert got[0].support == pytest.approx(2 / 3)
    assert got[0].count == 2
    assert found.notes == (
        "1 answer left out of people who could not decide",
        "1 event left out that nobody classified",
    )
    few = write(tmp_path / "tables" / "few.csv", "CaptureEventID,UserHash,Species", "A1,anna,zebra")
    assert len(propagate(read(few).annotations).annotations) == 3


def test_the_table_of_images_is_looked_for_and_asked_for(tmp_path: Path) -> None:
    table = write(tmp_path / "a" / "gold.csv", "CaptureEventID,Species", "A1,zebra")
    assert "put all_images.csv there" in problems(table)
    inventory = write(tmp_path / "b" / "all_images.csv", *IMAGES)
    assert read(table, inventory).annotations[0].path == tmp_path / "b/S1/B04/B04_R1/S1_B04_R1_PICT0001.JPG"
    assert "name the table with the species" in problems(inventory)
    for name in ("one.csv", "two.csv"):
        write(tmp_path / "a" / name, *IMAGES)
    assert "several tables of images" in problems(table)
    bad = write(tmp_path / "c" / "all_images.csv", *IMAGES, "A4,../../x.jpg", "A5,")
    write(tmp_path / "c" / "gold.csv", "CaptureEventID,Species", "A1,zebra")
    assert problems(bad.with_name("gold.csv")).splitlines() == [
        f"{bad} line 7: '../../x.jpg' is no path within a folder; correct it",
        f"{bad} line 8: '' is no path within a folder; correct it",
    ]


# --- Wildlife Insights

WI = (
    "project_id,deployment_id,image_id,filename,is_blank,identified_by,class,order,family,genus,species,common_name,"
    "timestamp,number_of_objects"
)


def test_a_wildlife_insights_download_is_read_with_its_places(tmp_path: Path) -> None:
    write(
        tmp_path / "images.csv",
        WI,
        "p,D1,1,a.jpg,0,Anna,Mammalia,Carnivora,Felidae,Lynx,canadensis,Canada Lynx,2018-04-13 13:51:01,2",
        "p,D1,2,b.jpg,1,Anna,,,,,,,2018-04-13 13:52:01,",
        "p,D2,3,c.jpg,0,Anna,Mammalia,Primates,Hominidae,Homo,sapiens,Human,2018-04-13 13:51:01,1",
        "p,D2,4,d.jpg,0,Anna,Mammalia,Artiodactyla,Cervidae,,,Deer Family,2018-04-13 13:51:01,1",
        "p,D2,5,e.jpg,0,Anna,,,,Unknown,unknown,,2018-04-13 13:51:01,1",
        "p,D2,6,f.jpg,0,Computer vision,Mammalia,Carnivora,Felidae,Lynx,canadensis,,2018-04-13 13:51:01,1",
        "p,D1,1,a.jpg,0,Ben,Mammalia,Carnivora,Canidae,Vulpes,vulpes,Red Fox,2018-04-13 13:51:01,1",
        "p,D2,7,g.jpg,0,Anna,,,,,,Vehicle,2018-04-13 13:51:01,1",
        "p,D2,8,h.jpg,0,Anna,,,,,blank,Blank,2018-04-13 13:51:01,1",
    )
    write(tmp_path / "deployments.csv", "project_id,deployment_id,placename", "p,D1,North,", "p,D9,South")
    (tmp_path / "D1").mkdir()
    found = read(tmp_path)
    assert found.kind == "wildlife_insights"
    assert found.annotations[0] == Annotation(
        tmp_path / "D1" / "a.jpg", ("Lynx canadensis",), "North", None, datetime(2018, 4, 13, 13, 51, 1), 2
    )
    assert names(found, tmp_path) == {
        "D1/a.jpg": ("Lynx canadensis", "Vulpes vulpes"), "D1/b.jpg": (), "c.jpg": ("human",), "d.jpg": ("Cervidae",),
        "g.jpg": ("Vehicle",), "h.jpg": (),
    }  # fmt: skip
    assert found.notes == (
        "1 answer of computer vision left out",
        "1 photograph left out that nobody could decide",
        "1 answer with no more than a family as the label",
        "1 answer with no more than a common name as the label",
        "1 deployment not in deployments.csv: taken as the location itself",
    )
    assert read(tmp_path / "images.csv").annotations == found.annotations


def test_a_download_without_places_or_with_strange_names(tmp_path: Path) -> None:
    table = write(tmp_path / "images_1.csv", "deployment_id,location,genus,species", "D1,gs://b/D1/a.jpg,Lynx,lynx")
    found = read(table)
    assert [(each.path, each.location) for each in found.annotations] == [(tmp_path / "a.jpg", "D1")]
    assert "no deployments.csv" in found.notes[0]
    write(
        table,
        "deployment_id,filename,genus,species",
        "D1,../a.jpg,Lynx,lynx",
        ",b.jpg,Lynx,lynx",
        "../D,c.jpg,Lynx,lynx",
    )
    assert [line.split(":")[0][-1] for line in problems(table).splitlines()] == ["2", "3", "4"]
    shutil.copyfile(table, tmp_path / "images_2.csv")
    assert "several tables of images" in problems(tmp_path)


# --- Camtrap DP


def package(folder: Path, media_rows: list[str], observations_rows: list[str], **paths: Any) -> Path:
    resources = [
        {"name": name, "path": paths.get(name, f"{name}.csv")} for name in ("deployments", "media", "observations")
    ]
    write(folder / "datapackage.json", json.dumps({"resources": resources}))
    write(folder / "deployments.csv", "deploymentID,locationID,locationName", "d1,L1,North", "d2,,South", "d3,,")
    write(folder / "media.csv", "mediaID,deploymentID,timestamp,filePath,fileName,fileMediatype", *media_rows)
    write(
        folder / "observations.csv",
        "observationID,deploymentID,mediaID,eventID,eventStart,eventEnd,observationLevel,observationType,"
        "scientificName,count,classificationMethod",
        *observations_rows,
    )
    return folder


def test_a_package_s_events_and_photographs(tmp_path: Path) -> None:
    folder = package(
        tmp_path / "p",
        [
            "m1,d1,2020-05-30T04:57:37+02:00,media/1.jpg,1.jpg,image/jpeg",
            "m2,d1,2020-05-30T04:57:40+02:00,media/2.jpg,2.jpg,image/jpeg",
            "m3,d1,2020-05-30T04:59:00+02:00,media/3.jpg,3.jpg,image/jpeg",
            "m4,d2,2020-05-30T04:57:38+02:00,media,4.JPG,image/jpeg",
            "m5,d3,2020-05-30T04:57:38+02:00,media/5.mp4,5.mp4,video/mp4",
            "m6,d3,2020-05-30T04:57:38+02:00,media/6.jpg,,image/jpeg",
        ],
        [
            "1,d1,,e1,2020-05-30T02:57:37Z,2020-05-30T02:57:44Z,event,animal,Anas strepera,3,human",
            "2,d1,m2,e1,2020-05-30T02:57:40Z,2020-05-30T02:57:40Z,media,blank,,,human",
            "3,d1,m3,e2,2020-05-30T02:59:00Z,2020-05-30T02:59:00Z,media,human,Homo sapiens,1,",
            "4,d1,m3,e2,2020-05-30T02:59:00Z,2020-05-30T02:59:00Z,media,vehicle,,1,human",
            "5,d2,m4,,2020-05-30T02:57:38Z,2020-05-30T02:57:38Z,media,animal,Homo sapiens,1,human",
            "6,d3,m5,,2020-05-30T02:57:38Z,2020-05-30T02:57:38Z,media,animal,Anas strepera,1,human",
            "7,d3,m6,,2020-05-30T02:57:38Z,2020-05-30T02:57:38Z,media,animal,Anas strepera,1,machine",
        ],
    )
    found = read(folder)
    assert (found.kind, found.source) == ("camtrap_dp", "p")
    assert found.annotations[0] == Annotation(
        folder / "media/1.jpg", ("Anas strepera",), "L1", "e1", datetime(2020, 5, 30, 4, 57, 37), 3, of_event=True
    )
    assert [(each.path.name, each.species, each.location, each.of_event) for each in found.annotations[1:]] == [
        ("2.jpg", (), "L1", False),
        ("3.jpg", ("human",), "L1", False),
        ("3.jpg", ("vehicle",), "L1", False),
        ("4.JPG", ("human",), "South", False),
    ]
    assert set(found.notes) == {
        "1 file passed over that are no images",
        "1 observation of a machine left out",
        "1 photograph left out without any answer of a person",
    }
    assert read(folder / "datapackage.json").annotations == found.annotations
    assert read(folder / "datapackage.json").source == "p"


def test_what_is_unknown_leaves_its_photographs_out_and_what_nobody_looked_at_says_nothing(tmp_path: Path) -> None:
    folder = package(
        tmp_path,
        [f"m{n},d1,2020-05-30T00:00:0{n}Z,{n}.jpg,{n}.jpg,image/jpeg" for n in range(5)],
        [
            "1,d1,,e1,2020-05-30T00:00:00Z,2020-05-30T00:00:01Z,event,animal,Anas strepera,,human",
            "2,d1,m0,e1,2020-05-30T00:00:00Z,2020-05-30T00:00:00Z,media,unknown,,,human",
            "3,d1,m1,e1,2020-05-30T00:00:01Z,2020-05-30T00:00:01Z,media,unclassified,Anas strepera,,human",
            "4,d1,,e2,2020-05-30T00:00:02Z,2020-05-30T00:00:03Z,event,animal,,,human",
        ],
    )
    found = read(folder)
    assert [each.path.name for each in found.annotations] == ["1.jpg"]
    assert set(found.notes) == {
        "1 observation left out as unknown",
        "1 observation left out as unclassified, though they name a species",
        "1 observation left out as an animal without a name",
        "3 photographs left out that nobody could decide",
        "1 photograph left out without any answer of a person",
    }


def test_media_at_web_addresses_are_never_fetched(tmp_path: Path) -> None:
    folder = package(tmp_path, ["m1,d1,,https://a.example/1/file,1.jpg,image/jpeg"], ["1,d1,m1,,,,media,blank,,,human"])
    assert "1 photograph left out at web addresses; fetch them into a folder" in problems(folder)
    assert [each.path for each in read(folder, tmp_path / "mine").annotations] == [tmp_path / "mine" / "1.jpg"]


def test_nothing_leads_out_of_a_package(tmp_path: Path) -> None:
    media = [
        f"m{n},d1,,{path},,image/jpeg" for n, path in enumerate(("../x.jpg", "/x.jpg", "a/../../x.jpg", "C:\\x.jpg"))
    ]
    folder = package(tmp_path / "p", [*media, ",d1,,y.jpg,,image/jpeg"], ["1,d1,m9,,,,media,blank,,,human"])
    said = problems(folder)
    assert said.count("leads out of the package") == 4
    assert "mediaID is empty" in said
    assert "mediaID 'm9' is no medium" in said
    write(tmp_path / "media.csv", "mediaID,deploymentID,filePath")
    for path in ("../media.csv", "/etc/passwd", "https://a.example/media.csv", ["a.csv", "b.csv"], 7):
        assert "not at one path in the package" in problems(package(folder, [], [], media=path))
    (folder / "link.csv").symlink_to(tmp_path / "media.csv")
    assert "not at one path in the package" in problems(package(folder, [], [], media="link.csv"))
    assert "no CSV" in problems(package(folder, [], [], media="media.csv.gz"))


def test_a_broken_package_is_told_of(tmp_path: Path) -> None:
    assert "cannot be read as JSON" in problems(write(tmp_path / "a" / "datapackage.json", "{").parent)
    said = problems(write(tmp_path / "b" / "datapackage.json", '{"resources": [{"name": "media"}, 3]}').parent)
    assert "has no resource deployments" in said
    assert "has no resource observations" in said
    folder = package(tmp_path / "c", [], [])
    write(folder / "media.csv", "mediaID", "m1")
    assert "has no column deploymentID, filePath" in problems(folder)
    (folder / "media.csv").unlink()
    assert "cannot be read" in problems(folder)


# --- ctwatch's own database


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """Two cards; the second holds a copy of m1 and a photograph whose name is no UTF-8."""
    made = Database(tmp_path / "store")
    prepare(made)
    with made.writing() as connection:
        insert(connection, "raw.location", {"location_id": ["L1"]})
        insert(connection, "raw.deployment", {"deployment_id": ["d1"], "location_id": ["L1"]})
        insert(
            connection,
            "raw.card",
            {
                "card_id": ["c1", "c2"],
                "card_path": ["/cards/one", "/cards/two"],
                "card_name": ["one", "two"],
                "processed_at": [datetime(2026, 1, 1), datetime(2026, 1, 2)],
            },
        )
        insert(
            connection,
            "raw.card_file",
            {
                "card_id": ["c1", "c1", "c2", "c2"],
                "file_path": ["DCIM/1.jpg", "DCIM/2.jpg", "copy.jpg", "b?d.jpg"],
                "raw_path": [None, None, None, b"b\xe4d.jpg"],
                "status": ["media", "media", "duplicate", "media"],
                "media_id": ["m1", "m2", "m1", "m3"],
                "deployment_id": ["d1", "d1", None, "d1"],
            },
        )
        insert(
            connection,
            "raw.media",
            {
                "media_id": ["m1", "m2", "m3"],
                "timestamp": [datetime(2026, 1, 1, 10), datetime(2026, 1, 1, 11), None],
                "timestamp_trusted": [True, False, False],
            },
        )
        insert(
            connection,
            "raw.event_media",
            {"event_id": ["e1"], "deployment_id": ["d1"], "media_id": ["m1"], "position": [0]},
        )
    return made


def label(database: Database, *rows: tuple[str, str, int | None, str | None, int]) -> None:
    with database.writing() as connection:
        for media, said, count, who, minute in rows:
            connection.execute(
                "INSERT INTO raw.human_label (media_id, label, count, labelled_by, labelled_at) VALUES (?, ?, ?, ?, ?)",
                [media, said, count, who, datetime(2026, 2, 1, 0, minute)],
            )


def test_the_last_word_of_each_person_counts(database: Database) -> None:
    label(
        database,
        ("m1", "topi", 1, "anna", 2),
        ("m1", "zebra", 2, "anna", 3),
        ("m1", "blank", None, "anna", 1),
        ("m1", "zebra", 1, "ben", 1),
        ("m2", "topi|zebra", None, None, 1),
        ("m3", "Empty", None, "anna", 1),
        ("m3", "unknown", None, "ben", 1),
        ("m9", "zebra", 1, "ben", 1),
    )
    found = read(database.path)
    assert found.kind == "database"
    first = Path("/cards/one/DCIM/1.jpg")
    assert found.annotations == [
        Annotation(first, ("zebra",), "L1", "e1", datetime(2026, 1, 1, 10), 2, "anna"),
        Annotation(first, ("zebra",), "L1", "e1", datetime(2026, 1, 1, 10), 1, "ben"),
        Annotation(Path("/cards/one/DCIM/2.jpg"), ("topi",), "L1"),
        Annotation(Path("/cards/one/DCIM/2.jpg"), ("zebra",), "L1"),
        Annotation(Path("/cards/two/b\udce4d.jpg"), (), "L1", annotator="anna"),
    ]
    assert found.notes == (
        "1 label left out of photographs that no card holds",
        "1 label left out that nobody could decide (unknown)",
    )
    assert names(found, Path("/cards"))["one/DCIM/1.jpg"] == ("zebra",)
    moved = read(database.path, Path("/new"))
    assert {each.path for each in moved.annotations if each.event} == {Path("/new/one/DCIM/1.jpg")}


def test_what_was_said_of_an_event_teaches_nothing_about_its_frames(database: Database) -> None:
    """Unless the event is blank: then each of its frames is."""
    label(database, ("m1", "zebra", 1, "anna", 1))
    with database.writing() as connection:
        for media, said, minute in (("m1", "lion", 2), ("m2", "lion", 2), ("m3", "blank", 2)):
            connection.execute(
                "INSERT INTO raw.human_label (media_id, label, labelled_by, labelled_at, scope) VALUES (?, ?, 'anna', ?, 'event')",
                [media, said, datetime(2026, 2, 1, 0, minute)],
            )
    assert sorted(each.species for each in read(database.path).annotations) == [(), ("zebra",)]


def test_the_published_copy_holds_the_labels_too(database: Database) -> None:
    label(database, ("m1", "zebra", 1, "anna", 1))
    assert (
        read(publish(database, datetime(2026, 5, 1), with_people=True)).annotations == read(database.path).annotations
    )


def test_databases_without_labels_are_told_apart(database: Database, tmp_path: Path) -> None:
    assert "nobody has labelled" in problems(database.path)
    with database.writing() as connection:
        connection.execute("DROP TABLE raw.human_label")
    assert "kept no labels of people" in problems(database.path)
    other = tmp_path / "other.duckdb"
    duckdb.connect(str(other)).close()
    assert "not ctwatch's" in problems(other)
    damaged = _bytes(tmp_path / "damaged.duckdb", database.path.read_bytes()[:9000])
    with pytest.raises(StoreError, match=r"damaged\.duckdb"):
        read(damaged)


def test_an_older_database_gets_the_table_when_it_is_opened(tmp_path: Path) -> None:
    """What was there stays; the new table is empty."""
    database = Database(tmp_path)
    prepare(database)
    with database.writing() as connection:
        connection.execute("DROP TABLE raw.human_label")
        connection.execute("DELETE FROM raw.migration WHERE name = '0002_human_label'")
        connection.execute("INSERT INTO raw.location (location_id) VALUES ('L1')")
    prepare(database)
    with database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM raw.human_label").fetchall() == [(0,)]
        assert connection.execute("SELECT location_id FROM raw.location").fetchall() == [("L1",)]
    assert database.path.name == LIVE_NAME


# --- cells


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        ("12", 12),
        ("2.0", 2),
        ("11-50", 11),
        ("51+", 51),
        ("0", None),
        ("-3", None),
        ("2.5", None),
        ("", None),
        ("inf", None),
        ("nan", None),
        ("many", None),
    ],
)
def test_numbers_of_individuals(text: str, number: int | None) -> None:
    assert reading.individuals(text) == number


@given(st.text(max_size=30))
def test_a_relative_path_stays_within_its_folder_or_is_refused(name: str) -> None:
    found = reading.inside(name)
    if found is not None:
        import os

        assert os.path.normpath(f"/base/{found}").startswith("/base")
        assert "\0" not in found


@pytest.mark.parametrize(
    "name", ["../a", "a/../b", "..\\a", "/a", "\\\\server\\a", "C:\\a", "http://x/a", "", "a\0b", ".."]
)
def test_paths_that_could_lead_out_are_refused(name: str) -> None:
    assert reading.inside(name) is None


def test_times_are_the_camera_s_wall_clock() -> None:
    ten = datetime(2024, 1, 30, 5, 47, 8)
    for text in ("2024-01-30T05:47:08-0600", "2024-01-30 05:47:08", "2024:01:30 05:47:08", "2024-01-30T05:47:08Z"):
        assert reading.wall_clock(text) == ten
    for text in ("", "2024-01-30", "6/10/18 8:58 AM", "2024-13-30 05:47:08", "not a date at all"):
        assert reading.wall_clock(text) is None


# --- real data


@needs_shared
def test_real_packages_of_two_versions(tmp_path: Path) -> None:
    draft = read(SHARED / "tables" / "camtrapdp_mica_0.1", tmp_path)
    counts = Counter("|".join(each.species) for each in propagate(draft.annotations).annotations)
    assert counts == {
        "Anas platyrhynchos": 60, "Anas strepera": 30, "Mustela putorius": 30, "": 13, "Castor fiber": 10,
        "Vulpes vulpes": 10, "Martes foina": 10, "Ardea cinerea": 10, "human": 10,
    }  # fmt: skip
    assert all(each.of_event and each.event for each in draft.annotations)
    first = read(SHARED / "golden" / "camtrap_dp" / "example", tmp_path)
    counts = Counter("|".join(each.species) for each in propagate(first.annotations).annotations)
    assert counts[""] == 112
    assert counts["human"] == 33
    assert counts["Anas platyrhynchos|Ardea cinerea"] == 30
    assert "22 observations of a machine left out" in first.notes


@needs_shared
def test_a_real_wildlife_insights_download(tmp_path: Path) -> None:
    images = SHARED / "tables" / "algar_wi_images.parquet"
    duckdb.sql(f"COPY (FROM '{images}') TO '{tmp_path / 'images.csv'}' (HEADER)")
    shutil.copyfile(SHARED / "tables" / "algar_wi_deployments.csv", tmp_path / "deployments.csv")
    found = read(tmp_path)
    counts = Counter("|".join(each.species) for each in found.annotations)
    assert counts.most_common(3) == [("Odocoileus virginianus", 4790), ("", 2633), ("Alces alces", 2038)]
    assert counts["human"] == 105
    assert len({each.location for each in found.annotations}) == 38
    assert "340 photographs left out that nobody could decide" in found.notes


@needs_shared
def test_real_sorted_folders_and_a_table_made_of_real_labels(tmp_path: Path) -> None:
    guide = SHARED / "labelled" / "gorongosa_guide" / "public" / "assets" / "fieldguide-content" / "mammals"
    found = read(guide)
    assert len(found.annotations) == 98
    assert all(each.path.is_file() for each in found.annotations)
    bursts = SHARED / "labelled" / "caltech_bursts"
    assert "rename `label_eye` to it" in problems(bursts / "labels.csv")
    query = f"SELECT path, label_eye AS label, meta_location AS location FROM read_csv('{bursts / 'labels.csv'}')"
    duckdb.sql(f"COPY ({query}) TO '{tmp_path / 'labels.csv'}' (HEADER)")
    table = read(tmp_path / "labels.csv", bursts)
    assert Counter("|".join(each.species) for each in table.annotations) == {"animal": 105, "": 36}
    assert all(each.path.is_file() for each in table.annotations)
    assert table.notes == ("57 answers left out that nobody could decide (unsure)",)
