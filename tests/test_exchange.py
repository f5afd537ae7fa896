"""From cards to other programs' files and back, through the commands that people type."""

import csv
import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner, Result
from conftest import START, Store, photograph

from ctwatch.cli import main
from ctwatch.config import Config

Make = Callable[..., Path]
Configure = Callable[..., Config]
DEPLOYMENTS = """\
deploymentID,locationID,latitude,longitude,deploymentStart,deploymentEnd,folder,habitat,elevation
A,MARSH,-2.31,34.81,2026-05-01T08:00:00,2026-05-15T10:00:00,L01_CAM1,reeds,912
B,RIDGE,-2.35,34.85,2026-05-01T09:00:00,2026-05-15T12:00:00,L02_CAM1,rock,1204
"""
SETTINGS = """
[deployments]
table = "deployments.csv"
utc_offset = "+03:00"
[project]
title = "Two places"
contributors = ["Ann <ann@example.org> (contact)"]
"""
PACKAGES = ("occupancy", "camtrapr", "camtrap-dp", "megadetector", "coco", "timelapse", "wildlife-insights", "geojson")


def ctwatch(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def said(*arguments: str) -> str:
    result = ctwatch(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def ask(sql: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(said("query", sql, "--json"))
    return found


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(path.read_text("utf-8"))))


@pytest.fixture
def survey(config: Configure, make_card: Make, tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two places with a card each, seen by small random networks, with a deployments table."""
    settings = config(tiny_models, SETTINGS)
    (settings.base / "deployments.csv").write_text(DEPLOYMENTS, "utf-8")
    make_card("L01_CAM1", 6)
    make_card("L02_CAM1", 6, first=30)
    monkeypatch.chdir(settings.base)
    assert ctwatch("process", "inbox/L01_CAM1", "inbox/L02_CAM1").exit_code == 0
    return settings.base


def test_every_dialect_is_written_into_a_folder_of_its_own(survey: Path) -> None:
    """One command; the files it names are there, and what was assumed is said beside them, not among them."""
    result = ctwatch("export", *PACKAGES, "--out", "out")
    assert result.exit_code == 0, result.output
    paths = [Path(line) for line in result.stdout.splitlines()]
    assert all(path.is_file() for path in paths)
    assert {path.parts[1] for path in paths} == set(PACKAGES)
    assert all(line.startswith("ctwatch: ") for line in result.stderr.splitlines())
    again = ctwatch("export", *PACKAGES, "--out", "again")
    assert again.exit_code == 0
    for path in paths:
        assert path.read_bytes() == Path("again", *path.parts[1:]).read_bytes(), path


def test_covariates_of_the_deployments_table_reach_the_models_files(survey: Path) -> None:
    """Site covariates are carried through; effort and histories have one row a place."""
    said("export", "occupancy", "--out", "out")
    sites = {row["locationID"]: row for row in rows(Path("out/occupancy/sites.csv"))}
    assert sites["MARSH"]["habitat"] == "reeds"
    assert float(sites["RIDGE"]["elevation"]) == 1204
    assert [row["locationID"] for row in rows(Path("out/occupancy/effort.csv"))] == ["MARSH", "RIDGE"]


def test_a_review_in_timelapse_goes_out_and_comes_back(survey: Path) -> None:
    """Two frames are corrected in the table; the events are what the person saw, everything else stays the machine's."""
    said("export", "timelapse", "--out", "out", "--with-people")
    path = Path("out/timelapse/timelapse.csv")
    table = rows(path)
    assert len(table) == 12
    seen = {row["MediaID"]: row for row in table}
    first = next(row for row in table if row["File"] == "IMG_0000.JPG")
    other = next(row for row in table if row["File"] == "IMG_0030.JPG")
    for row, label in ((first, "Vulpes vulpes"), (other, "blank")):
        row.update(Species=label, Count="2" if label != "blank" else "", Reviewed="true", ReviewedBy="Ann")
    with Path("reviewed.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(seen.values())
    outcome = json.loads(said("import", "reviewed.csv", "--json"))[0]
    assert (outcome["labels"], outcome["matched"], outcome["people"]) == (2, 2, 2)
    human = ask("select * from observations where classification_method = 'human' and observation_level = 'event'")
    assert [(row["scientific_name"], row["count"], row["classified_by"]) for row in human] == [
        ("Vulpes vulpes", 2, "Ann")
    ]
    assert human[0]["machine_labels"]
    frames = ask(
        "select file_name, o.observation_type as kind from observations o join media using (media_id)"
        " where classification_method = 'human' order by 1"
    )
    assert frames == [{"file_name": "IMG_0000.JPG", "kind": "animal"}, {"file_name": "IMG_0030.JPG", "kind": "blank"}]
    said("export", "timelapse", "--out", "out", "--with-people")
    back = {row["MediaID"]: row for row in rows(path)}
    assert back[first["MediaID"]]["Reviewed"] == "true"
    assert "in already" in said("import", "reviewed.csv")


def test_our_own_packages_read_back_as_what_they_say(survey: Path) -> None:
    """A person's labels come back to their photographs; what our own models said does not return as another's word."""
    rows_ = "".join(f"IMG_{number:04}.JPG,L01_CAM1,Vulpes vulpes,true,Ann\n" for number in range(2))
    Path("ann.csv").write_text("File,RelativePath,Species,Reviewed,ReviewedBy\n" + rows_, "utf-8")
    said("import", "ann.csv", "--as", "human")
    said("export", "camtrap-dp", "timelapse", "megadetector", "wildlife-insights", "--out", "out", "--with-people")
    people = {}
    for name in (
        "camtrap-dp",
        "timelapse/timelapse.csv",
        "wildlife-insights/images.csv",
        "megadetector/megadetector.json",
    ):
        outcome = json.loads(said("import", f"out/{name}", "--dry-run", "--json"))[0]
        assert (outcome["unmatched"], outcome["ambiguous"]) == (0, 0), outcome
        assert outcome["labels"] == outcome["people"] == outcome["matched"], name
        people[name.split("/", 1)[0]] = outcome["people"]
    # The package also says so of the event, once for each of its three frames; Wildlife Insights' rows are frames alone.
    assert people == {"camtrap-dp": 5, "timelapse": 2, "wildlife-insights": 3, "megadetector": 0}
    assert ask("select count(*) as n from imports") == [{"n": 1}]


def test_a_packages_deployments_become_a_table(survey: Path) -> None:
    """What we wrote as Camtrap DP maps the same cards to the same places."""
    said("export", "camtrap-dp", "--out", "out")
    said("deployments", "from-package", "out/camtrap-dp", "--out", "theirs.csv")
    assert [row["locationID"] for row in rows(Path("theirs.csv"))] == ["MARSH", "RIDGE"]
    refused = ctwatch("deployments", "from-package", "out/camtrap-dp", "--out", "theirs.csv")
    assert refused.exit_code == 2
    assert "is there already" in refused.stderr


def test_what_does_not_fit_is_found_and_drafted(
    config: Configure, make_card: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A card of the year 2000 at a place of 2026: the check proposes the offset, and with it the check is silent of it."""
    settings = config(text=SETTINGS)
    (settings.base / "deployments.csv").write_text(DEPLOYMENTS, "utf-8")
    make_card("L01_CAM1", 6)
    folder = tmp_path / "inbox" / "L02_CAM1"
    folder.mkdir()
    for number in range(40):
        moment = START.replace(year=2000, month=1, day=1 + number // 3) + timedelta(hours=number % 3)
        (folder / f"IMG_{number:04d}.JPG").write_bytes(photograph(300 + number, moment))
    monkeypatch.chdir(settings.base)
    ctwatch("process", "inbox/L01_CAM1", "inbox/L02_CAM1")
    found = json.loads(said("deployments", "check", "--json"))
    clock = [item for item in found if item["deployment_id"] == "B" and item["kind"] == "clock"]
    assert clock, found
    assert "L02_CAM1" in said("deployments", "check")
    draft = said("deployments", "draft")
    assert draft.startswith("deploymentID,locationID,")
    assert "PROPOSED" in draft
    [proposal] = [dict(item["proposal"]) for item in clock if item["proposal"]]
    assert set(proposal) <= {"clockOffset", "clockOffsetEnd"}
    header, first, second = DEPLOYMENTS.splitlines()
    table = f"{header},clockOffset\n{first},\n{second},{proposal['clockOffset']}\n"
    (settings.base / "deployments.csv").write_text(table, "utf-8")
    said("rederive", "--no-inference")
    assert [
        row["n"] for row in ask("select count(*) as n from media where location_id = 'RIDGE' and timestamp_trusted")
    ] == [40]
    left = json.loads(said("deployments", "check", "--json"))
    assert not [item for item in left if item["kind"] == "clock"], left


def test_the_survey_is_one_page_and_its_tables_are_in_the_terminal(survey: Path) -> None:
    """HTML for people, rich for terminals, JSON for machines; one state, the same figures."""
    assert "survey.html" in said("report", "--html", "survey.html")
    text = Path("survey.html").read_text("utf-8")
    assert "Two places" in text and "MARSH" in text and "<svg" in text
    for name in ("survey", "activity", "accumulation", "quality"):
        assert said("report", name)
        assert isinstance(json.loads(said("report", name, "--json")), dict)


def test_answers_come_as_parquet_and_reach_no_other_file(survey: Path) -> None:
    """Types are kept; the file named is the only one that a question may write."""
    assert "12 rows" in said("query", "select media_id, timestamp, trigger from media", "--parquet", "media.parquet")
    found = duckdb.sql("select count(*), min(timestamp) from 'media.parquet'").fetchall()
    assert found == [(12, START)]
    for sql in ("copy (select 1) to 'other.csv'", "select * from read_text('deployments.csv')"):
        refused = ctwatch("query", sql, "--parquet", "media.parquet")
        assert refused.exit_code == 2, sql
    assert not Path("other.csv").exists()


def test_the_schema_can_be_asked_for(survey: Path) -> None:
    """Every view with its columns and their meaning; a name that is not there lists those that are."""
    assert "scientific_name" in said("schema", "detections")
    whole = json.loads(said("schema", "--json"))
    assert {"media", "observations", "human_labels", "clock_corrections"} <= set(whole)
    assert all(column["meaning"] for view in whole.values() for column in view["columns"])
    refused = ctwatch("schema", "nothing")
    assert refused.exit_code == 2
    assert "detections" in refused.stderr


def test_people_stay_out_of_what_is_derived_unless_asked(survey: Path, config: Configure, tiny_models: Path) -> None:
    """A person on a frame hides its event from files that cannot mark it, and from the page for good."""
    Path("people.csv").write_text(
        "File,RelativePath,Species,Reviewed,ReviewedBy\nIMG_0001.JPG,L01_CAM1,human,true,Ann\n", "utf-8"
    )
    # A template of somebody else's: it has no MediaID, and is matched by its path.
    result = ctwatch("import", "people.csv", "--as", "human")
    assert result.exit_code == 0, result.output
    assert [
        row["n"]
        for row in ask("select count(distinct event_id) as n from observations where observation_type = 'human'")
    ] == [1]
    said("export", "coco", "--out", "out")
    without = json.loads(Path("out/coco/coco_camera_traps.json").read_text("utf-8"))
    assert not [
        image
        for image in without["images"]
        if image["file_name"].endswith("IMG_0002.JPG") and "L01" in image["file_name"]
    ]
    said("export", "coco", "--out", "out", "--with-people")
    whole = json.loads(Path("out/coco/coco_camera_traps.json").read_text("utf-8"))
    assert len(whole["images"]) - len(without["images"]) == 3


def test_histories_of_seasons_stand_side_by_side(
    config: Configure, make_card: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deployments that name a session give a row for each, and the file of several seasons one row a place."""
    settings = config(text='[deployments]\ntable = "deployments.csv"\n[occupancy]\nfirst_day = "location"\n')
    (settings.base / "deployments.csv").write_text(
        "deploymentID,locationID,session,deploymentStart,deploymentEnd,folder\n"
        "A1,MARSH,2025,2025-05-01,2025-05-20,none\nA2,MARSH,2026,2026-05-01,2026-05-20,L01\nB2,RIDGE,2026,2026-05-01,2026-05-20,L02\n",
        "utf-8",
    )
    make_card("L01", 3)
    make_card("L02", 3, first=30)
    monkeypatch.chdir(settings.base)
    ctwatch("process", "inbox/L01", "inbox/L02")
    Path("seen.csv").write_text("File,RelativePath,Species,Reviewed\nIMG_0000.JPG,L01,Vulpes vulpes,true\n", "utf-8")
    said("import", "seen.csv", "--as", "human")
    said("export", "occupancy", "--out", "out")
    [season] = Path("out/occupancy").glob("Vulpes_vulpes__unmarked_multiseason.csv")
    assert len(rows(season)) == 2
    assert Store(settings).rows("SELECT DISTINCT session FROM deployments ORDER BY 1") == [("2025",), ("2026",)]


def test_the_same_survey_has_the_same_numbers_in_every_dialect(survey: Path) -> None:
    """Events of each species in Camtrap DP, histories and the database; photographs of each in three formats."""
    with (survey / "config.toml").open("a", encoding="utf-8") as file:
        file.write("[occupancy]\nindependence_min = 0\n")
    lines = [
        f"IMG_{number:04}.JPG,{card},{label},true,Ann\n"
        for card, first, labels in (
            (
                "L01_CAM1",
                0,
                ("Vulpes vulpes", "blank", "Sus scrofa|Vulpes vulpes", "Sus scrofa", "Sus scrofa", "human"),
            ),
            ("L02_CAM1", 30, ("blank", "blank", "blank", "Vulpes vulpes", "Vulpes vulpes", "unknown")),
        )
        for number, label in enumerate(labels, first)
    ]
    Path("ann.csv").write_text("File,RelativePath,Species,Reviewed,ReviewedBy\n" + "".join(lines), "utf-8")
    said("import", "ann.csv", "--as", "human")
    said("export", "occupancy", "camtrap-dp", "coco", "wildlife-insights", "--out", "out", "--with-people")
    observed = [row for row in rows(Path("out/camtrap-dp/observations.csv")) if row["scientificName"]]
    of_events = Counter(row["scientificName"] for row in observed if row["observationLevel"] == "event")
    assert of_events == {"Vulpes vulpes": 2, "Sus scrofa": 2, "Homo sapiens": 1}
    records: Counter[str] = Counter()
    for row in rows(Path("out/occupancy/occupancy_long.csv")):
        records[row["species"]] += 0 if row["n_records"] == "NA" else int(row["n_records"])
    assert records == of_events
    counted = ask("select scientific_name as name, sum(events)::int as n from detections group by all")
    assert {row["name"]: row["n"] for row in counted} == of_events
    of_frames = Counter(row["scientificName"] for row in observed if row["observationLevel"] == "media")
    assert of_frames == {"Vulpes vulpes": 4, "Sus scrofa": 3, "Homo sapiens": 1}
    coco = json.loads(Path("out/coco/coco_camera_traps.json").read_text("utf-8"))
    names = {category["id"]: category["name"].replace("human", "Homo sapiens") for category in coco["categories"]}
    annotated = Counter(names[annotation["category_id"]] for annotation in coco["annotations"])
    assert {name: annotated[name] for name in of_frames} == of_frames
    images = rows(Path("out/wildlife-insights/images.csv"))
    uploaded = Counter(f"{row['genus']} {row['species']}".strip() for row in images)
    assert {name: uploaded[name] for name in of_frames} == of_frames
    assert annotated["empty"] == sum(row["common_name"] == "Blank" for row in images) == 4
