"""Recognising other programs' files by their content, and surviving whatever else is given."""

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctwatch.errors import ConfigError
from ctwatch.imports import reading, recognise
from ctwatch.imports.packages import deployments_text
from ctwatch.imports.reading import by_taxonomy, clean, file_path, individuals, labels_in, moment, utc, wall_clock
from ctwatch.survey import Answer, ImportedFile

MEGADETECTOR = {
    "info": {"format_version": "1.6", "detector": "md_v5a.0.0.pt"},
    "detection_categories": {"1": "animal", "2": "person", "3": "vehicle"},
    "images": [{"file": "A/I.JPG", "detections": [{"category": "1", "conf": 0.9, "bbox": [0.1, 0.2, 0.3, 0.4]}]}],
}
SPECIESNET = {"predictions": [{"filepath": "A/I.JPG", "prediction": "x;;;;;;blank", "prediction_score": 0.9}]}
TIMELAPSE = "File,RelativePath,Species\nI.JPG,A,fox\n"
WILDLIFE_INSIGHTS = "deployment_id,filename,genus,species\nd1,I.JPG,Vulpes,vulpes\n"
PACKAGE = {
    "datapackage.json": json.dumps(
        {"resources": [{"name": name, "path": f"{name}.csv"} for name in ("deployments", "media", "observations")]}
    ),
    "deployments.csv": "deploymentID,latitude\nd1,1.5\n",
    "media.csv": "mediaID,deploymentID,timestamp,filePath\nm1,d1,2024-05-01T08:00:00+02:00,A/I.JPG\n",
    "observations.csv": "observationID,deploymentID,mediaID,observationType,scientificName\no1,d1,m1,animal,Vulpes vulpes\n",
}


def put(folder: Path, content: Any, name: str = "labels") -> Path:
    """Write a text, bytes, a JSON value, or a package of several texts."""
    if isinstance(content, dict) and content.keys() >= {"datapackage.json"}:
        for each, text in content.items():
            (folder / each).write_text(text, "utf-8")
        return folder
    path = folder / name
    data = content if isinstance(content, str | bytes) else json.dumps(content)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def refused(path: Path, **more: Any) -> str:
    """What ConfigError says."""
    with pytest.raises(ConfigError) as caught:
        recognise.read(path, **more)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "dialect"),
    [
        (MEGADETECTOR, "megadetector"),
        (SPECIESNET, "speciesnet"),
        (TIMELAPSE, "timelapse"),
        (WILDLIFE_INSIGHTS, "wildlife_insights"),
        (PACKAGE, "camtrap_dp"),
    ],
)
def test_a_file_is_recognised_by_its_content_whatever_it_is_called(content: Any, dialect: str, tmp_path: Path) -> None:
    """One label of I.JPG each, the same each time."""
    path = put(tmp_path, content, "no_suffix")
    said = recognise.read(path)
    assert said == recognise.read(path)
    assert said.dialect == dialect
    assert [label.file_path.rpartition("/")[2] for label in said.labels] == ["I.JPG"]
    assert not said.problems and not said.skipped


@pytest.mark.parametrize("text", [TIMELAPSE, WILDLIFE_INSIGHTS])
@pytest.mark.parametrize("mark", [";", "\t"])
def test_a_byte_order_mark_and_other_separators_do_no_harm(text: str, mark: str, tmp_path: Path) -> None:
    """As spreadsheets write them."""
    plain = recognise.read(put(tmp_path, text))
    assert recognise.read(put(tmp_path, "\ufeff" + text.replace(",", mark).replace("\n", "\r\n"))) == plain


def test_json_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    """As Windows programs write it, in UTF-8 or UTF-16."""
    plain = recognise.read(put(tmp_path, MEGADETECTOR))
    for encoding in ("utf-8-sig", "utf-16"):
        assert recognise.read(put(tmp_path, json.dumps(MEGADETECTOR).encode(encoding))) == plain


def test_a_package_is_named_by_its_folder_or_by_its_description(tmp_path: Path) -> None:
    """Both are what people type."""
    folder = put(tmp_path, PACKAGE)
    assert recognise.read(folder) == recognise.read(folder / "datapackage.json")
    assert deployments_text(folder) == deployments_text(folder / "datapackage.json") == PACKAGE["deployments.csv"]


def test_a_folder_with_one_table_of_images_is_a_download(tmp_path: Path) -> None:
    """With two it must be said which."""
    put(tmp_path, WILDLIFE_INSIGHTS, "images.csv")
    assert recognise.read(tmp_path).dialect == "wildlife_insights"
    put(tmp_path, WILDLIFE_INSIGHTS, "images_2.csv")
    assert "images.csv, images_2.csv" in refused(tmp_path)


@pytest.mark.parametrize(
    ("content", "name", "told"),
    [
        (b"PK\x03\x04....", "package.zip", "packed (zip); unpack it"),
        (b"\x1f\x8b....", "x.json.gz", "packed (gzip); unpack it"),
        (b"PK\x03\x04....", "labels.xlsx", "spreadsheet; save it as CSV"),
        (b"", "empty.csv", "it has no columns"),
        ("a,b\n1,2\n", "x.csv", "its columns are a, b"),
        ("deployment_id,sequence_id,genus\nd,s,g\n", "sequences.csv", "download images instead"),
        (PACKAGE["observations.csv"], "observations.csv", "name the package's folder"),
        (PACKAGE["media.csv"], "media.csv", "name the package's folder"),
        (
            {"images": [], "annotations": [], "categories": []},
            "coco.json",
            "COCO Camera Traps, which the trainer reads",
        ),
        ({"resources": []}, "x.json", "in which it is called datapackage.json"),
        ({"a": 1}, "x.json", "its keys are a"),
        ([1, 2], "x.json", "it is a list"),
        (b"{" * 10, "x.json", "cannot be read as JSON"),
        (b'{"images": ' + b"[" * 200_000, "x.json", "nested deeper"),
        (b"File,RelativePath,Species\nI.JPG,A,f\xe9lin\n", "x.csv", "not UTF-8 text"),
        (b'File,RelativePath,Species\nI.JPG,A,"fox\n', "x.csv", "cannot be read as CSV"),
    ],
)
def test_what_is_not_read_is_told_with_a_remedy(content: Any, name: str, told: str, tmp_path: Path) -> None:
    """And with the file's name."""
    path = put(tmp_path, content, name)
    assert told in refused(path)
    assert str(path) in refused(path)


def test_all_that_is_read_is_listed_for_a_stranger_s_file(tmp_path: Path) -> None:
    """Nobody has to look it up."""
    told = refused(put(tmp_path, "a,b\n"))
    for program in ("MegaDetector", "SpeciesNet", "Timelapse", "Wildlife Insights", "Camtrap DP"):
        assert program in told


def test_no_file_no_device_and_no_endless_pipe_is_opened(tmp_path: Path) -> None:
    """Nothing hangs."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "missing", tmp_path / "pipe", Path("/dev/zero"), Path("a\0b"), tmp_path / ("x" * 5000)):
        refused(path)


def test_a_file_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    """A hole in a file costs nothing to make."""
    path = put(tmp_path, "{")
    with path.open("r+b") as file:
        file.truncate(reading.MAX_BYTES + 1)
    assert "2,000,000,001 bytes" in refused(path)


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        ({"media": "../media.csv"}, "resource media is not one CSV file within"),
        ({"media": "/etc/hostname.csv"}, "resource media is not one CSV file within"),
        ({"media": "https://example.org/media.csv"}, "cannot be read|is not there"),
        ({"observations": "observations.csv.gz"}, "unpack it"),
        ({"observations": ["a.csv", "b.csv"]}, "resource observations is not one CSV file"),
        ({"observations": 7}, "resource observations is not one CSV file"),
        ({"observations": "gone.csv"}, "is not there"),
        ({"media": None, "observations": None}, "has no resource media"),
    ],
)
def test_a_package_reads_nothing_outside_its_folder(paths: dict[str, Any], told: str, tmp_path: Path) -> None:
    """Whatever its description says."""
    put(tmp_path, PACKAGE)
    listed = {name: f"{name}.csv" for name in ("deployments", "media", "observations")} | paths
    resources = [{"name": name, "path": path} for name, path in listed.items() if path is not None]
    put(tmp_path, {"resources": resources}, "datapackage.json")
    message = refused(tmp_path)
    assert any(part in message for part in told.split("|"))


def test_a_link_out_of_the_package_is_not_followed(tmp_path: Path) -> None:
    """A stranger's package cannot show a file of ours."""
    package, secret = tmp_path / "package", tmp_path / "secret.csv"
    package.mkdir()
    put(package, PACKAGE)
    secret.write_text("secret", "utf-8")
    (package / "deployments.csv").unlink()
    (package / "deployments.csv").symlink_to(secret)
    with pytest.raises(ConfigError, match="within the package"):
        deployments_text(package)


def test_it_can_be_said_that_a_person_or_a_machine_speaks(tmp_path: Path) -> None:
    """`by` names who, where the file does not."""
    path = put(tmp_path, TIMELAPSE)
    assert [(each.by_human, each.classified_by) for each in recognise.read(path, by="anna").labels] == [(True, "anna")]
    machine = recognise.read(path, as_human=False, by="mymodel").labels[0]
    assert (machine.by_human, machine.classified_by, machine.answers) == (False, "mymodel", (Answer("fox"),))
    model = put(tmp_path, MEGADETECTOR)
    assert recognise.read(model, by="anna").labels[0].classified_by == "md_v5a.0.0.pt"
    person = recognise.read(model, as_human=True, by="anna").labels[0]
    assert (person.by_human, person.classified_by, person.answers) == (True, "anna", (Answer("animal"),))


def test_a_machine_s_answers_as_a_person_s_keep_what_is_likely(tmp_path: Path) -> None:
    """The named before the bare animal; nothing likely is unknown, not blank."""
    names = {**MEGADETECTOR, "classification_categories": {"1": "fox", "2": "elk"}}

    def as_person(*boxes: dict[str, Any]) -> tuple[Answer, ...]:
        content = {**names, "images": [{"file": "I.JPG", "detections": list(boxes)}]}
        return recognise.read(put(tmp_path, content), as_human=True).labels[0].answers

    animal = {"category": "1", "conf": 0.9, "bbox": [0, 0, 1, 1]}
    assert as_person() == as_person({**animal, "conf": 0.2}) == (Answer("blank"),)
    assert as_person({**animal, "classifications": [["1", 0.8], ["2", 0.1]]}) == (Answer("fox"),)
    assert as_person({**animal, "classifications": [["1", 0.3], ["2", 0.1]]}) == (Answer("animal"),)
    assert as_person(animal, {**animal, "category": "2"}) == (Answer("human"),)


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        ("Vulpes vulpes", ("Vulpes vulpes",)),
        ("  fox |Lynx  lynx|fox", ("fox", "Lynx lynx")),
        ("Blank|EMPTY|none|Nothing here", ("blank",)),
        ("Homo sapiens|person|Human", ("human",)),
        ("Vehicle", ("vehicle",)),
        ("ANIMAL", ("animal",)),
        ("Unidentified|unknown", ("unknown",)),
        ("", ()),
        ("NA|unclassified| |n/a", ()),
        ("fox\x00\x1b[31m\u202e\ud800x\nx", ("fox [31m x x",)),
    ],
)
def test_names_from_strangers_become_labels(cell: str, labels: tuple[str, ...]) -> None:
    """One line, no controls, the usual words for nothing, people and vehicles."""
    assert labels_in(cell) == labels


def test_a_label_longer_than_any_name_is_refused() -> None:
    """Two hundred letters are a sentence."""
    assert labels_in("x" * 200) == ("x" * 200,)
    with pytest.raises(reading.Unusable, match="more than 200 letters"):
        labels_in("x" * 201)
    with pytest.raises(reading.Unusable, match="more than 100 things"):
        labels_in("|".join(map(str, range(101))))


@given(st.text(max_size=300))
def test_cleaned_text_is_one_line_that_any_file_can_hold(text: str) -> None:
    """And cleaning it again changes nothing."""
    got = clean(text)
    assert got == clean(got) and len(got) <= 200
    assert got.encode("utf-8") is not None
    assert len(got.splitlines()) <= 1 and not any(ord(letter) < 32 or 0x7F <= ord(letter) < 0xA0 for letter in got)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("55631055;mammalia;proboscidea;elephantidae;loxodonta;africana;african elephant", "Loxodonta africana"),
        ("u;mammalia;carnivora;canidae;canis;lupus familiaris;domestic dog", "Canis lupus familiaris"),
        ("u;mammalia;carnivora;canidae;canis;;canis species", "Canis"),
        ("u;mammalia;carnivora;felidae;;;cat family", "Felidae"),
        ("u;mammalia;primates;hominidae;homo;sapiens;human", "human"),
        ("u;;;;;;blank", "blank"),
        ("u;;;;;;animal", "animal"),
        ("u;;;;;;vehicle", "vehicle"),
        ("u;no cv result;no cv result;no cv result;no cv result;no cv result;no cv result", "unknown"),
        ("red fox", "red fox"),
    ],
)
def test_a_taxonomy_gives_the_scientific_name_of_the_lowest_rank(text: str, label: str) -> None:
    """SpeciesNet's seven parts."""
    assert by_taxonomy(text) == (label,)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("A\\100RECNX\\I.JPG", "A/100RECNX/I.JPG"),
        ("gs://bucket/deployment/7/I.JPG", "deployment/7/I.JPG"),
        ("https://h/a/I.JPG?x=1/2#y", "a/I.JPG"),
        ("C:\\x\\Ä 1.JPG", "C:/x/Ä 1.JPG"),
    ],
)
def test_paths_come_with_forward_slashes(text: str, path: str) -> None:
    """Of web addresses what follows the host."""
    assert file_path(text) == path


@pytest.mark.parametrize("text", ["", "A/", "  ", None, 7, "x" * 5000, "https://h/"])
def test_what_names_no_file_is_refused(text: Any) -> None:
    """A row without a photograph says nothing."""
    with pytest.raises(reading.Unusable):
        file_path(text)


@pytest.mark.parametrize(
    "text",
    [
        "2024-05-01 08:00:00", "2024-05-01T08:00:00", "2024:05:01 08:00:00", "2024-05-01T08:00:00Z",
        "2024-05-01T08:00:00-0600", "2024-05-01T08:00:00+02:00", "01-May-2024 08:00:00", "1-may-2024 8:00:00",
    ],
)  # fmt: skip
def test_the_wall_clock_is_read_without_its_zone(text: str) -> None:
    """Cameras know no zone."""
    value = wall_clock(text)
    assert value is not None and value.isoformat() == "2024-05-01T08:00:00"


def test_moments_of_classification_are_in_utc() -> None:
    """With a zone they are converted, without one taken as they are."""
    assert str(utc("2024-05-01T08:00:00+02:00")) == "2024-05-01 06:00:00"
    assert str(utc("2024-05-01 08:00:00")) == "2024-05-01 08:00:00"
    assert utc("0001-01-01T00:00:00+14:00") is None
    assert moment("2024-05-01") is None and moment("yesterday at noon") is None


@pytest.mark.parametrize(("text", "number"), [("3", 3), ("2.0", 2), ("0", None), ("", None), ("NA", None)])
def test_counts_are_whole_numbers_from_one(text: str, number: int | None) -> None:
    """None counted is not told."""
    assert individuals(text) == number


@pytest.mark.parametrize("text", ["-1", "2.5", "many", "inf", "99999999999"])
def test_a_count_that_is_no_number_is_refused(text: str) -> None:
    """It is not passed over in silence."""
    with pytest.raises(reading.Unusable, match="count"):
        individuals(text)


def survives(path: Path) -> ImportedFile | None:
    """What is read, if anything is; any error but ConfigError is a failure."""
    try:
        said = recognise.read(path)
    except ConfigError:
        return None
    assert said == recognise.read(path)
    assert all(label.answers and label.file_path for label in said.labels)
    assert all(0 <= (answer.probability or 0) <= 1 for label in said.labels for answer in label.answers)
    assert not any("\n" in problem for problem in said.problems)
    return said


@given(st.binary(max_size=200), st.sampled_from(["x", "x.csv", "x.json"]))
def test_any_bytes_are_read_or_refused(data: bytes, name: str) -> None:
    """Never a traceback."""
    with TemporaryDirectory() as folder:
        survives(put(Path(folder), data, name))


cells = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "", "1", "-3", "nan", "1e400", "true", "blank", "fox|elk", "a/b.jpg", "..", "2024-05-01T08:00:00Z",
            "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "e1", "d1", "m1", "event", "animal", "machine", "x" * 300,
            "'=1+1", "|", ";",
        ]
    ),
)  # fmt: skip
HEADERS = {
    "timelapse": (
        "File,RelativePath,RootFolder,DateTime,Species,Species2,Count,Count2,Empty,Dark,People,Reviewed,ReviewedBy,MediaID,"
        "MachineSpecies"
    ),
    "wildlife_insights": (
        "deployment_id,image_id,filename,location,is_blank,identified_by,class,order,family,genus,species,common_name,"
        "timestamp,number_of_objects,cv_confidence"
    ),
    "media": "mediaID,deploymentID,timestamp,filePath,fileName,fileMediatype,sequenceID",
    "observations": (
        "observationID,deploymentID,mediaID,eventID,eventStart,eventEnd,observationType,cameraSetupType,scientificName,count,"
        "classificationMethod,classifiedBy,classificationTimestamp,classificationProbability,bboxX,bboxY,bboxWidth,bboxHeight"
    ),
}


def tables(kind: str) -> st.SearchStrategy[str]:
    """A table of this kind with any cells, some rows too long or too short."""
    header = HEADERS[kind]

    def text(rows: list[list[str]]) -> str:
        quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
        return "\n".join([header, *quoted])

    width = header.count(",") + 1
    return st.lists(st.lists(cells, min_size=1, max_size=width + 1), max_size=5).map(text)


@pytest.mark.parametrize("kind", ["timelapse", "wildlife_insights"])
@given(data=st.data())
@settings(max_examples=60)
def test_any_cells_in_a_table_are_read_or_told(kind: str, data: st.DataObject) -> None:
    """A bad row costs no other."""
    with TemporaryDirectory() as folder:
        survives(put(Path(folder), data.draw(tables(kind)).encode("utf-8", "surrogatepass"), "x.csv"))


@given(tables("media"), tables("observations"))
@settings(max_examples=60)
def test_any_cells_in_a_package_are_read_or_told(media: str, observations: str) -> None:
    """Nor here."""
    with TemporaryDirectory() as folder:
        package = {**PACKAGE, "media.csv": media, "observations.csv": observations}
        for name, text in package.items():
            (Path(folder) / name).write_bytes(text.encode("utf-8", "surrogatepass"))
        survives(Path(folder))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["1", "x;;;;;;blank", 0.5, 1]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            [
                "file", "filepath", "detections", "category", "conf", "bbox", "classifications", "classes", "scores",
                "prediction", "prediction_score", "failure", "failures", "label", "1", "info", "detector",
            ]
        ),
        inner,
        max_size=6,
    ),
    max_leaves=12,
)  # fmt: skip
numbers = st.floats() | st.integers() | st.sampled_from([0.5, -0.5, 1, 0, "0.5", None])
boxes = st.fixed_dictionaries(
    {},
    optional={
        "category": values,
        "conf": numbers,
        "bbox": st.lists(numbers, max_size=5),
        "classifications": values,
    },
)
drawn = st.lists(boxes | values, max_size=3)
images = st.fixed_dictionaries({}, optional={"file": st.just("I.JPG") | values, "detections": drawn, "failure": values})
predictions = st.fixed_dictionaries(
    {},
    optional={
        "filepath": st.just("I.JPG") | values,
        "detections": drawn,
        "prediction": values,
        "prediction_score": numbers,
        "classifications": values,
        "failures": values,
    },
)


@given(
    st.fixed_dictionaries(
        {"detection_categories": values, "images": st.lists(images | values, max_size=3)},
        optional={"info": values, "classification_categories": values, "classification_category_descriptions": values},
    )
    | st.fixed_dictionaries({"predictions": st.lists(predictions | values, max_size=3)})
)
@settings(max_examples=150)
def test_any_json_in_place_of_a_machine_s_is_read_or_told(content: Any) -> None:
    """Wrong types, missing keys, NaN and Infinity included."""
    with TemporaryDirectory() as folder:
        said = survives(put(Path(folder), content, "x.json"))
        assert said is not None
        listed = content["images"] if "images" in content else content["predictions"]
        skipped = dict(said.skipped)
        left_out = skipped.get("photographs that were not processed", 0) + skipped.get("films", 0)
        of_images = [problem for problem in said.problems if problem.startswith(("image ", "prediction "))]
        assert len(said.labels) + len(of_images) + left_out == len(listed)
