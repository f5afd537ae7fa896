"""Camtrap DP packages: golden bytes, frictionless without a network, and the standard's rules on any survey."""

import csv
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shared_data import SHARED, needs_shared
from strategies import names_from_disk
from surveys import place, survey

from ctwatch.domain import ClockPoint, ClockReference, Outage
from ctwatch.errors import ConfigError
from ctwatch.export import camtrap_dp
from ctwatch.export.camtrap_dp import deployments, schema
from ctwatch.export.camtrap_dp.words import identifiers, relative_path
from ctwatch.names import storable
from ctwatch.survey import Publication, Survey, Taxon

GOLDEN = Path(__file__).parent / "golden" / "camtrap_dp"
UUID = "1f689929-883d-4dae-958c-3d57ab5b6c16"
DUIKER = f"{UUID};mammalia;artiodactyla;bovidae;cephalophus;natalensis;red forest duiker"
PUBLICATION = Publication(
    title="Leopards of the lower ridge",
    created_at=datetime(2026, 6, 1, 12),
    description="Two cameras, one month.",
    contributors=("Ada Field <ada@example.org> (contact)", "Wild Trust (rightsHolder)"),
    sampling_design="targeted",
    data_licence="CC0-1.0",
    media_licence="https://creativecommons.org/licenses/by/4.0/",
    taxa={
        "leopard": Taxon(
            "Panthera pardus", "https://www.gbif.org/species/5219436", "species", "Animalia", "Mammalia", "Carnivora", "Felidae",
            "leopard",
        )
    },
    coordinate_decimals=3,
    utc_offset="+03:00",
)  # fmt: skip
PATH = re.compile(r"^(?=^[^./~])(^((?!\.{2}).)*$).*$")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)", re.ASCII)


def example() -> Survey:
    """Of everything something: every type, both capture methods, odd names, people, wrong clocks, a place unknown."""
    places = [
        place(
            "=A+1_2026", "NA", location_name="Ridge, \"lower\"", latitude=-1.23456, longitude=36.98765, camera_id="H600",
            camera_model="RECONYX-HYPERFIRE 2", deployment_start=datetime(2026, 5, 1), deployment_end=datetime(2026, 5, 31),
            start_is_date=True, end_is_date=True, session="2026 dry",
            outages=(
                Outage(datetime(2026, 5, 10), datetime(2026, 5, 12), is_date=True, note="battery"),
                Outage(datetime(2026, 5, 20, 6), datetime(2026, 5, 20, 18, 30)),
            ),
            columns=(
                ("setupBy", "Ada"), ("cameraHeight", "0.50"), ("cameraDepth", "2"), ("cameraHeading", "400"), ("baitUse", "no"),
                ("featureType", "trailgame"), ("coordinateUncertainty", "10"), ("deploymentGroups", "area:north"),
                ("elevation", "1800"), ("deploymentComments", "moss on the lens; -1"),
            ),
        ),
        place(
            "B", "L2", latitude=-1.3, longitude=37.0, clock=(ClockPoint(datetime(2026, 5, 2), datetime(2026, 5, 2, 1)),),
            clock_references=(ClockReference("gone.JPG", datetime(2026, 5, 3)),), deployment_start=datetime(2026, 5, 2, 8),
        ),
        place("C nowhere", "L3", deployment_start=datetime(2026, 5, 1), deployment_end=datetime(2026, 5, 31)),
        place("D quiet", "L2", latitude=-1.3, longitude=37.0, flag="not in the deployments table"),
        place(
            "E empty", "L4", latitude=-1.31, longitude=37.0, deployment_start=datetime(2026, 5, 1),
            deployment_end=datetime(2026, 5, 15, 9),
        ),
    ]  # fmt: skip
    a, b = {"deployment_id": "=A+1_2026"}, {"deployment_id": "B", "card_name": "B"}
    reconyx = {"camera_make": "RECONYX", "camera_model": "PC900", "camera_serial": "S1"}
    media = [
        {**a, "timestamp": "2026-05-01T06:00:00.750000", "event_id": "e1"},
        {**a, "timestamp": "2026-05-01T06:00:02.100000", "event_id": "e1"},
        {**a, "timestamp": "2026-05-02T09:00:00", "event_id": "e2", "private": True},
        {**a, "timestamp": "2026-05-02T10:00:00", "event_id": "e3", "file_path": "DCIM/100RECNX/IMG, 1.JPG"},
        {**a, "timestamp": "2026-05-03T12:00:00", "capture_method": "timeLapse", "file_path": "DCIM/100RECNX/..x\n.JPG"},
        {**a, "timestamp": "2026-05-04T12:00:00", "event_id": "e4", "card_name": "~old card", "failure": "truncated"},
        {**b, **reconyx, "timestamp": "2026-05-02T07:30:00", "recorded": "2026-05-02T06:30:00", "event_id": "e5"},
        {**b, **reconyx, "timestamp": "2026-05-06T07:30:00", "recorded": "2026-05-06T06:30:00", "event_id": "e6"},
        {
            **b, **reconyx, "timestamp": "1970-01-01T01:00:00", "recorded": "1970-01-01T00:00:00", "trusted": False,
            "timestamp_issue": "1970-01-01 01:00:00 is before 2001", "event_id": "e7",
        },
        {**b, **reconyx, "timestamp": None, "trusted": False, "timestamp_issue": "no_timestamp", "event_id": "e8"},
        {"deployment_id": "C nowhere", "timestamp": "2026-05-06T00:00:00", "event_id": "e9", "card_name": "C"},
        {**b, **reconyx, "timestamp": "2026-05-07T00:00:00", "event_id": "e10", "source_path": "/inbox/B/IMG_0012.JPG"},
        {
            **b, **reconyx, "timestamp": "2026-05-08T00:00:00", "event_id": "e11", "file_path": "IMG_0012.JPG",
            "source_path": "/other/B/IMG_0012.JPG",
        },
    ]  # fmt: skip
    number = [f"{row:032x}" for row in range(1, len(media) + 1)]
    sheet = {
        "classification_method": "human",
        "classified_by": "Ada",
        "classification_timestamp": "2026-05-31T20:00:00",
    }
    told = [
        {**a, "event_id": "e1", "event_start": "2026-05-01T06:00:00.75", "event_end": "2026-05-01T06:00:02.1",
         "scientific_name": "leopard", "count": 2, "probability": np.nan, **sheet,
         "machine_labels": ("leopard", "blank"), "machine_probabilities": (0.98765, None)},
        {**a, "event_id": "e1", "event_start": "2026-05-01T06:00:00.75", "event_end": "2026-05-01T06:00:02.1",
         "scientific_name": DUIKER, "probability": 0.87654321, "needs_review": True,
         "review_reason": "low_confidence;several_species"},
        {**a, "event_id": "e2", "event_start": "2026-05-02T09:00:00", "observation_type": "human", "probability": 0.9,
         "scientific_name": "Homo sapiens"},
        {**a, "event_id": "e2", "event_start": "2026-05-02T09:00:00", "observation_type": "vehicle", "probability": 1.0},
        {**a, "event_id": "e3", "event_start": "2026-05-02T10:00:00", "observation_type": "blank", "count": 0,
         "probability": 0.99995},
        {**a, "event_id": "e4", "event_start": "2026-05-04T12:00:00", "observation_type": "unclassified",
         "classification_method": None, "classified_by": None, "needs_review": True, "review_reason": "unreadable_frame"},
        {**b, "event_id": "e5", "event_start": "2026-05-02T07:30:00", "observation_type": "unknown", "probability": 0.31},
        {**b, "event_id": "e6", "event_start": "2026-05-06T07:30:00", "scientific_name": "=cmd|' /C calc'!A0"},
        {**b, "event_id": "e7", "event_start": None, "scientific_name": None, "probability": 0.6},
        {**b, "event_id": "e8", "event_start": None, "scientific_name": "leopard"},
        {"deployment_id": "C nowhere", "event_id": "e9", "event_start": "2026-05-06T00:00:00", "scientific_name": "leopard"},
        {**a, "event_id": "e1", "media_id": number[0], "event_start": "2026-05-01T06:00:00.75", "scientific_name": "leopard",
         "probability": 0.5, "level": "media"},
        {**a, "event_id": "e1", "media_id": number[1], "event_start": "2026-05-01T06:00:02.1", "scientific_name": "leopard",
         "probability": 0.6, "level": "media"},
        {**a, "event_id": "e1", "media_id": number[1], "event_start": "2026-05-01T06:00:02.1", "scientific_name": DUIKER,
         "probability": 0.7, "level": "media"},
        {**a, "media_id": number[4], "event_start": "2026-05-03T12:00:00", "observation_type": "blank", "level": "media"},
    ]  # fmt: skip
    boxes = [
        {"media_id": number[0], "probability": 0.9, "x": 0.25, "y": -0.1, "width": 0.5, "height": 0.3},
        {"media_id": number[0], "probability": 0.9, "label": "human", "x": 0, "y": 0, "width": 0.1, "height": 0.1},
        {"media_id": number[1], "probability": 0.9, "x": 0.25, "y": 0.1, "width": 0.5, "height": 0.3},
        {"media_id": number[4], "probability": 0.1, "x": 0.25, "y": 0.1, "width": 0.5, "height": 0.3},
    ]
    return survey(places, media, told, boxes=boxes)


def large(photographs: int) -> Survey:
    """A survey of so many photographs in bursts of three, at a place per thousand."""
    start = np.datetime64("2026-01-01T00:00:01", "us")
    each = [
        {
            "deployment_id": f"L{row // 1000:03}", "card_name": f"CARD_{row // 1000}", "event_id": f"e{row // 3}",
            "timestamp": start + np.timedelta64(row % 1000 // 3 * 600 + row % 3, "s"),
        }
        for row in range(photographs)
    ]  # fmt: skip
    names = ("leopard", DUIKER, None)
    told = [
        {**row, "event_start": row["timestamp"], "scientific_name": names[number % 3], "probability": 0.9}
        for number, row in enumerate(each[::3])
    ] + [
        {
            **row,
            "event_start": row["timestamp"],
            "level": "media",
            "media_id": f"{number:032x}",
            "probability": 0.123456,
        }
        for number, row in enumerate(each, 1)
    ]
    places = [
        place(f"L{number:03}", f"L{number:03}", latitude=-3 + number / 100, longitude=36.5 + number / 50)
        for number in range((photographs + 999) // 1000)
    ]
    return survey(places, each, told)


def read(folder: Path, table: str) -> list[dict[str, str]]:
    with (folder / f"{table}.csv").open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle, strict=True))


def about(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "datapackage.json").read_text("utf-8"))  # type: ignore[no-any-return]


def faults(folder: Path) -> Iterator[str]:
    """What breaks a rule of the table schemas, by our own reading of them."""
    tables = {name: read(folder, name) for name in schema.TABLES}
    keys: dict[str, set[str]] = {}
    required = {
        "deployments": ("deploymentID", "latitude", "longitude", "deploymentStart", "deploymentEnd"),
        "media": ("mediaID", "deploymentID", "timestamp", "filePath", "filePublic", "fileMediatype"),
        "observations": (
            "observationID", "deploymentID", "eventStart", "eventEnd", "observationLevel", "observationType",
        ),
    }  # fmt: skip
    limits = {
        "latitude": (-90, 90), "longitude": (-180, 180), "coordinateUncertainty": (1, 1e9), "cameraHeight": (0, 1e9),
        "cameraHeading": (0, 360), "count": (1, 1e9), "bboxX": (0, 1), "bboxY": (0, 1), "bboxWidth": (1e-15, 1),
        "bboxHeight": (1e-15, 1), "classificationProbability": (0, 1),
    }  # fmt: skip
    words = {
        "filePublic": {"true", "false"}, "timestampIssues": {"true", "false"}, "observationLevel": {"media", "event"},
        "captureMethod": set(schema.CAPTURE_METHODS), "classificationMethod": {"human", "machine"},
        "observationType": {"animal", "human", "vehicle", "blank", "unknown", "unclassified"},
    }  # fmt: skip
    for name, rows in tables.items():
        key = required[name][0]
        keys[key] = {row[key] for row in rows}
        if len(keys[key]) < len(rows):
            yield f"{name}: {key} twice"
        for row in rows:
            yield from (f"{name}: {column} empty" for column in required[name] if row[column] in schema.MISSING)
            for column, cell in row.items():
                if column in limits and cell and not limits[column][0] <= float(cell) <= limits[column][1]:
                    yield f"{column} {cell} out of range"
                if column in words and cell and cell not in words[column]:
                    yield f"{column} {cell} is no word of its vocabulary"
                if column.endswith(("Start", "End", "imestamp")) and cell and not TIME.fullmatch(cell):
                    yield f"{column} {cell} is no time"
                if cell.startswith(("=", "+", "@", "\t", "\r")):
                    yield f"{column} {cell} is a formula"
            if name == "media" and not PATH.match(row["filePath"]):
                yield f"filePath {row['filePath']!r}"
            if name != "deployments" and row["deploymentID"] not in keys["deploymentID"]:
                yield f"{name}: deploymentID {row['deploymentID']!r} is not there"
            if row.get("observationLevel") and (row["observationLevel"] == "media") != (row["mediaID"] != ""):
                yield "an event with a photograph, or a photograph without"
            if row.get("observationLevel") and row["mediaID"] and row["mediaID"] not in keys["mediaID"]:
                yield f"mediaID {row['mediaID']!r} is not there"
            if row.get("eventEnd", "") < row.get("eventStart", ""):
                yield "an event ends before it starts"
    paths = [row["filePath"] for row in tables["media"]]
    if len(set(paths)) < len(paths):
        yield "two photographs in one file"
    names = {row["scientificName"] for row in tables["observations"]} - schema.MISSING
    if [taxon["scientificName"] for taxon in about(folder)["taxonomic"]] != sorted(names):
        yield "taxonomic is not what was seen"


def by_frictionless(folder: Path) -> tuple[list[str], dict[str, int]]:
    # Takes a second to load, which most tests here need not wait for.
    from frictionless_offline import validated

    return validated(folder)


def test_a_package_is_these_bytes(tmp_path: Path) -> None:
    """Columns, order, times, comments, descriptor; and what is said beside."""
    written = camtrap_dp.write(tmp_path, example(), PUBLICATION)
    (tmp_path / "sentences.txt").write_text("\n".join(written.sentences) + "\n", "utf-8")
    assert sorted(path.name for path in written.paths) == [
        "datapackage.json", "deployments.csv", "media.csv", "observations.csv",
    ]  # fmt: skip
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        path.name: path.read_bytes() for path in GOLDEN.iterdir()
    }, subprocess.run(["diff", "-ru", str(GOLDEN), str(tmp_path)], capture_output=True, text=True, check=False).stdout


def test_the_example_breaks_no_rule(tmp_path: Path) -> None:
    """By our own reading of the schemas."""
    camtrap_dp.write(tmp_path, example(), PUBLICATION)
    assert list(faults(tmp_path)) == []


@needs_shared
@pytest.mark.parametrize(
    "publication",
    [
        PUBLICATION,
        replace(PUBLICATION, utc_offset="", contributors=(), data_licence="", title=" ", with_private=True),
        replace(PUBLICATION, coordinate_decimals=6, taxa={}, media_licence="ask us", description=""),
        replace(PUBLICATION, coordinate_decimals=0, contributors=("a <b>", "(boss)", "x <y@z.org> (Contact)", "((")),
    ],
    ids=["all said", "nothing said", "odd licence", "odd contributors"],
)
def test_frictionless_finds_a_package_valid(publication: Publication, tmp_path: Path) -> None:
    """Against the standard's own profile and schemas, and it reads as many rows as were written."""
    camtrap_dp.write(tmp_path, example(), publication)
    problems, rows = by_frictionless(tmp_path)
    assert problems == []
    assert rows == {name: len(read(tmp_path, name)) for name in schema.TABLES} == {
        "deployments": 3, "media": 10 + publication.with_private, "observations": 13,
    }  # fmt: skip


@needs_shared
def test_frictionless_finds_thousands_of_photographs_valid(tmp_path: Path) -> None:
    """Keys are unique and meet beyond the first rows that readers guess from."""
    camtrap_dp.write(tmp_path, large(2000), PUBLICATION)
    assert by_frictionless(tmp_path) == ([], {"deployments": 2, "media": 2000, "observations": 2667})
    assert list(faults(tmp_path)) == []


@needs_shared
def test_frictionless_would_find_a_fault(tmp_path: Path) -> None:
    """The judge is awake: the standard's own example is valid, one wrong word in it is not."""
    shutil.copytree(SHARED / "golden" / "camtrap_dp" / "example", tmp_path / "dp", copy_function=shutil.copyfile)
    (tmp_path / "dp").chmod(0o755)
    assert by_frictionless(tmp_path / "dp")[0] == []
    table = tmp_path / "dp" / "observations.csv"
    table.write_text(table.read_text("utf-8").replace(",event,animal,", ",event,beast,", 1), "utf-8")
    assert "beast" in by_frictionless(tmp_path / "dp")[0][0]


@needs_shared
def test_columns_and_words_are_the_standards() -> None:
    """Every column of the three schemas in its order, and the vocabularies that are checked here."""
    folder = SHARED / "golden" / "camtrap_dp"
    fields = {
        name: json.loads((folder / f"{name}-table-schema.json").read_text("utf-8"))["fields"] for name in schema.TABLES
    }
    assert [field["name"] for field in fields["deployments"]] == list(schema.DEPLOYMENTS)
    assert [field["name"] for field in fields["media"]] == list(schema.MEDIA)
    assert [field["name"] for field in fields["observations"]] == list(schema.OBSERVATIONS)
    rules = {field["name"]: field["constraints"] for field in fields["deployments"]}
    assert rules["featureType"]["enum"] == list(schema.FEATURE_TYPES)
    profile = (folder / "camtrap-dp-profile.json").read_text("utf-8")
    for words in (schema.SAMPLING_DESIGNS, schema.ROLES, schema.CAPTURE_METHODS):
        assert re.search(r"\[\s*" + r",\s*".join(f'"{word}"' for word in words) + r"\s*\]", profile), words


# -- any survey ---------------------------------------------------------------------------------------------------------

TEXTS = st.one_of(
    names_from_disk.map(storable), st.sampled_from(["NA", "nan", "", "=1+1", "a,b", 'a"b', "'x'", ";", "|"])
)
MOMENTS = st.one_of(
    st.none(),
    st.datetimes(datetime(2026, 4, 30), datetime(2026, 5, 20)),
    st.sampled_from([datetime(1, 1, 1), datetime(1970, 1, 1), datetime(9999, 12, 31, 23, 59, 59)]),
)
MOSTLY_A_NUMBER = st.one_of(
    st.floats(-90, 90), st.floats(-90, 90), st.sampled_from([None, 90.0, -90.0, 179.9999999, 0.0])
)
TYPES = ("animal", "human", "vehicle", "blank", "unknown", "unclassified")


@st.composite
def surveys(draw: st.DrawFn) -> Survey:
    """Few rows of anything that columns can hold."""
    ids = draw(st.lists(TEXTS, min_size=1, max_size=3, unique=True))
    places = [
        place(
            name, draw(TEXTS), location_name=draw(st.none() | TEXTS), camera_id=draw(st.none() | TEXTS),
            latitude=draw(MOSTLY_A_NUMBER), longitude=draw(MOSTLY_A_NUMBER),
            deployment_start=draw(MOMENTS), deployment_end=draw(MOMENTS), end_is_date=draw(st.booleans()),
            columns=tuple(draw(st.dictionaries(st.sampled_from([*schema.CARRIED, "elevation"]), TEXTS | st.just("1"))).items()),
        )
        for name in ids
    ]  # fmt: skip
    media = [
        {
            "deployment_id": draw(st.sampled_from(ids)), "card_name": draw(TEXTS), "file_path": draw(TEXTS),
            "timestamp": draw(MOMENTS), "recorded": draw(MOMENTS), "trusted": draw(st.booleans()),
            "private": draw(st.booleans()), "event_id": draw(st.sampled_from([None, "e1", "e2"])),
            "source_path": draw(st.none() | TEXTS), "camera_make": draw(st.none() | TEXTS),
            "file_mediatype": draw(st.sampled_from(["image/jpeg", "text/plain"])),
        }
        for _ in range(draw(st.integers(0, 4)))
    ]  # fmt: skip
    told = []
    for number in range(draw(st.integers(0, 5))):
        level = draw(st.sampled_from(["event", "media"])) if media else "event"
        row = draw(st.integers(1, len(media))) if level == "media" else 0
        told.append(
            {
                "deployment_id": media[row - 1]["deployment_id"] if row else draw(st.sampled_from(ids)),
                "level": level, "media_id": f"{row:032x}" if row else None, "event_id": f"e{number % 3}",
                "event_start": draw(MOMENTS), "event_end": draw(MOMENTS), "count": draw(st.none() | st.integers(0, 99)),
                "observation_type": draw(st.sampled_from(TYPES)), "scientific_name": draw(st.none() | TEXTS),
                "probability": draw(st.floats(0, 1) | st.just(np.nan)), "classified_by": draw(TEXTS),
                "classification_method": draw(st.sampled_from(["human", "machine"])),
                "machine_labels": ["a|b"], "machine_probabilities": [draw(st.none() | st.floats(0, 1))],
                "needs_review": draw(st.booleans()), "review_reason": draw(st.none() | TEXTS),
            }
        )  # fmt: skip
    corner = st.floats(-1, 2) | st.just(np.nan)
    boxes = [
        {
            "media_id": f"{row:032x}",
            "probability": 1.0,
            **{side: draw(corner) for side in ("x", "y", "width", "height")},
        }
        for row in range(1, len(media) + 1)
    ]
    return survey(places, media, told, boxes=boxes)


publications = st.builds(
    Publication, title=TEXTS, created_at=st.just(datetime(2026, 6, 1)), description=TEXTS,
    contributors=st.lists(TEXTS, max_size=2).map(tuple), data_licence=TEXTS, media_licence=TEXTS,
    utc_offset=st.sampled_from(["", "-03:30"]), coordinate_decimals=st.integers(0, 8), with_private=st.booleans(),
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(surveys(), publications)
def test_any_survey_makes_a_package_that_breaks_no_rule(tmp_path: Path, some: Survey, asked: Publication) -> None:
    """Whatever the rows hold: valid tables and nothing lost in silence, or a sentence on what is missing."""
    try:
        written = camtrap_dp.write(tmp_path, some, asked)
    except ConfigError as error:
        assert "latitude" in error.problems[0]
        return
    assert list(faults(tmp_path)) == []
    lost = len(some.media.media_id) - len(read(tmp_path, "media"))
    lost += len(some.observations.observation_id) - len(read(tmp_path, "observations"))
    assert bool(lost) <= any("left out" in sentence for sentence in written.sentences)


@needs_shared
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None, max_examples=15
)
@given(surveys(), publications)
def test_frictionless_finds_any_package_valid(tmp_path: Path, some: Survey, asked: Publication) -> None:
    """Also with names that lead readers astray who guess quotes and separators."""
    try:
        camtrap_dp.write(tmp_path, some, asked)
    except ConfigError:
        return
    assert by_frictionless(tmp_path)[0] == []


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1))
def test_paths_are_those_that_the_standard_takes(names: list[tuple[str, str]]) -> None:
    """Relative, forward slashes, nothing that leads out; what was fit is not touched."""
    for parts in names:
        path = relative_path(parts)
        assert PATH.match(path) and "\\" not in path and not path.startswith(("/", "=", "+", "-", "@"))
        assert path not in schema.MISSING
        assert relative_path(path.split("/")) == path
    assert relative_path(("CARD 1", "DCIM/100RECNX/IMG_0001.JPG")) == "CARD 1/DCIM/100RECNX/IMG_0001.JPG"


@given(st.lists(TEXTS, unique=True))
def test_different_names_stay_different(names: list[str]) -> None:
    """Also those that readers take as missing, and formulas beside texts that look like formulas made safe."""
    written = identifiers([*names, "=a", "'=a", "NA", "NA_"])
    assert len(set(written.values())) == len(written)
    assert not set(written.values()) & schema.MISSING


# -- places ------------------------------------------------------------------------------------------------------------


def on_earth(latitude: float, longitude: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Metres from the centre of the WGS84 ellipsoid."""
    a, f = 6_378_137.0, 1 / 298.257223563
    phi, lam = np.radians([latitude, longitude])
    radius = a / np.sqrt(1 - f * (2 - f) * np.sin(phi) ** 2)
    across = radius * np.cos(phi)
    return np.array([across * np.cos(lam), across * np.sin(lam), (1 - f) ** 2 * radius * np.sin(phi)])


@given(st.floats(-90, 90), st.floats(-180, 180), st.integers(0, 5))
def test_a_rounded_place_lies_within_its_uncertainty(latitude: float, longitude: float, decimals: int) -> None:
    """As the ellipsoid has it, and no more than it takes."""
    near = deployments.rounded(latitude, longitude, decimals)
    bound = deployments.rounding_m(near[0], decimals)
    assert np.linalg.norm(on_earth(latitude, longitude) - on_earth(*near)) <= bound * (1 + 1e-9) + 1e-6
    assert bound <= 0.5 * np.sqrt(2) * 10.0**-decimals * 111_700


def written(folder: Path, some: Survey, publication: Publication = PUBLICATION) -> dict[str, list[dict[str, str]]]:
    """The tables of a survey's package, and `said`: its sentences."""
    told = camtrap_dp.write(folder, some, publication)
    return {**{name: read(folder, name) for name in schema.TABLES}, "said": [{"": text} for text in told.sentences]}


def says(tables: dict[str, list[dict[str, str]]], text: str) -> bool:
    return any(text in row[""] for row in tables["said"])


def here(deployment_id: str = "A", **more: Any) -> Any:
    return place(deployment_id, "L", **{"latitude": 1.0, "longitude": 2.0, **more})


MAY = {"deployment_start": datetime(2026, 5, 1), "deployment_end": datetime(2026, 5, 31)}


@pytest.mark.parametrize(
    ("given_m", "decimals", "stated"),
    [(None, 6, ""), ("30", 6, "30"), (None, 3, "79"), ("30", 3, "109"), ("0", 6, ""), ("about 5", 6, "")],
)
def test_the_uncertainty_is_the_tables_and_that_of_rounding(
    given_m: str | None, decimals: int, stated: str, tmp_path: Path
) -> None:
    """Six decimals hide nothing and state nothing; fewer add half the diagonal of a cell."""
    columns = (("coordinateUncertainty", given_m),) if given_m else ()
    tables = written(
        tmp_path, survey([here(**MAY, columns=columns)]), replace(PUBLICATION, coordinate_decimals=decimals)
    )
    assert tables["deployments"][0]["coordinateUncertainty"] == stated


def test_no_place_leaves_the_package_unrounded(tmp_path: Path) -> None:
    """Neither the tables nor the descriptor tell what rounding hides."""
    exact = survey(
        [
            here(latitude=-1.234567, longitude=36.987654, **MAY),
            place("B", "M", latitude=2.7182, longitude=3.1415, **MAY),
        ]
    )
    camtrap_dp.write(tmp_path, exact, replace(PUBLICATION, coordinate_decimals=2))
    text = "".join(path.read_text("utf-8") for path in tmp_path.iterdir())
    assert not [digits for digits in ("1.234", "36.987", "2.718", "3.141") if digits in text]
    assert about(tmp_path)["spatial"]["bbox"] == [3.14, -1.23, 36.99, 2.72]
    assert about(tmp_path)["coordinatePrecision"] == 0.01


def test_one_place_is_a_point(tmp_path: Path) -> None:
    """Two deployments at it too."""
    camtrap_dp.write(tmp_path, survey([here(**MAY), here("B", **MAY)]), PUBLICATION)
    assert about(tmp_path)["spatial"] == {"type": "Point", "coordinates": [2.0, 1.0]}


@pytest.mark.parametrize(
    "lack", [{"latitude": None}, {"longitude": 181.0}, {"latitude": float("nan")}, {"deployment_end": None}]
)
def test_without_any_place_and_dates_there_is_no_package(lack: dict[str, Any], tmp_path: Path) -> None:
    """Nothing is written, and the remedy is told."""
    with pytest.raises(ConfigError, match="write latitude, longitude, deploymentStart and deploymentEnd"):
        camtrap_dp.write(tmp_path, survey([here(**{**MAY, **lack})]), PUBLICATION)
    assert not list(tmp_path.iterdir())


def test_an_empty_survey_has_no_package(tmp_path: Path) -> None:
    """The same sentence."""
    with pytest.raises(ConfigError):
        camtrap_dp.write(tmp_path, survey(), PUBLICATION)


@pytest.mark.parametrize("change", [{"sampling_design": "haphazard"}, {"utc_offset": "CET"}])
def test_settings_that_the_standard_has_no_word_for_are_refused(change: dict[str, str], tmp_path: Path) -> None:
    """Before anything is written."""
    with pytest.raises(ConfigError, match=re.escape(repr(next(iter(change.values()))))):
        camtrap_dp.write(tmp_path, example(), replace(PUBLICATION, **change))
    assert not list(tmp_path.iterdir())


# -- times -------------------------------------------------------------------------------------------------------------


def shot(moment: str | None, **more: Any) -> dict[str, Any]:
    return {"deployment_id": "A", "timestamp": moment, **more}


DATES = {
    "dates of the table hold": (MAY, ["2026-05-10T10:00:00"], "2026-05-01T00:00:00", "2026-05-31T00:00:00", False),
    "a date is its whole day": (
        {**MAY, "end_is_date": True}, ["2026-05-31T22:00:00"], "2026-05-01T00:00:00", "2026-05-31T23:59:59", False,
    ),
    "stretched by hours": (
        MAY, ["2026-04-30T20:00:00.9", "2026-05-31T06:00:00"], "2026-04-30T20:00:00", "2026-05-31T06:00:00", False,
    ),
    "not by weeks": (MAY, ["2026-03-01T00:00:00"], "2026-05-01T00:00:00", "2026-05-31T00:00:00", True),
    "drawn from photographs": (
        {}, ["2026-05-03T01:00:00", "2026-05-02T01:00:00"], "2026-05-02T01:00:00", "2026-05-03T01:00:00", False,
    ),
    "end drawn from the last": (
        {"deployment_start": datetime(2026, 5, 1)}, ["2026-05-03T01:00:00"], "2026-05-01T00:00:00", "2026-05-03T01:00:00", False,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("dates", "moments", "start", "end", "issues"), DATES.values(), ids=DATES.keys())
def test_a_deployment_contains_its_photographs(
    dates: dict[str, Any], moments: list[str], start: str, end: str, issues: bool, tmp_path: Path
) -> None:
    """Its dates, stretched by a day at most; beyond that the clock is at fault, and the package says so."""
    tables = written(tmp_path, survey([here(**dates)], [shot(moment) for moment in moments]))
    row = tables["deployments"][0]
    assert (row["deploymentStart"], row["deploymentEnd"]) == (f"{start}+03:00", f"{end}+03:00")
    assert row["timestampIssues"] == str(issues).lower()
    kept = (start, end) == ("2026-05-01T00:00:00", "2026-05-31T00:00:00") and not issues
    assert says(tables, "1 deployment (A) with") == (not kept)


def test_times_that_do_not_count_draw_no_dates_where_others_do(tmp_path: Path) -> None:
    """A clock that was never set makes no deployment of decades."""
    media = [shot("1970-01-01T00:00:00", trusted=False), shot("2026-05-03T01:00:00"), shot("2026-05-04T01:00:00")]
    row = written(tmp_path, survey([here()], media))["deployments"][0]
    assert (row["deploymentStart"][:10], row["deploymentEnd"][:10]) == ("2026-05-03", "2026-05-04")
    assert row["timestampIssues"] == "true"


def test_without_a_corrected_time_a_photograph_has_the_recorded_one(tmp_path: Path) -> None:
    """Marked as doubtful; one without either is left out with what was seen on it, and counted."""
    media = [shot(None, recorded="2026-05-03T01:00:00", event_id="e1"), shot(None, recorded=None, event_id="e2")]
    told = [{"deployment_id": "A", "event_id": event, "scientific_name": "Lynx lynx"} for event in ("e1", "e2")]
    told += [{**told[1], "level": "media", "media_id": f"{2:032x}"}]
    tables = written(tmp_path, survey([here(**MAY)], media, told))
    assert [row["timestamp"] for row in tables["media"]] == ["2026-05-03T01:00:00+03:00"]
    assert [row["eventStart"] for row in tables["observations"]] == ["2026-05-03T01:00:00+03:00"]
    assert tables["deployments"][0]["timestampIssues"] == "true"
    assert says(tables, "1 photograph without any time left out")
    assert says(tables, "2 observations without a photograph in the package or any time left out")


def test_without_an_offset_times_are_marked_as_doubtful(tmp_path: Path) -> None:
    """The standard knows no time without a zone."""
    tables = written(tmp_path, example(), replace(PUBLICATION, utc_offset=""))
    assert {row["timestampIssues"] for row in tables["deployments"]} == {"true"}
    assert all(row["timestamp"].endswith("Z") for row in tables["media"])
    assert says(tables, "set deployments.utc_offset")


# -- photographs and observations -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_private", [False, True])
def test_photographs_of_people_are_left_out_unless_asked_for(with_private: bool, tmp_path: Path) -> None:
    """Neither path nor id is in the package; asked for, they are public as all the others are."""
    tables = written(tmp_path, example(), replace(PUBLICATION, with_private=with_private))
    public = {row["mediaID"]: row["filePublic"] for row in tables["media"]}
    assert set(public.values()) == {"true"}
    assert (f"{3:032x}" in public) == with_private
    assert any(f"{3:032x}".encode() in path.read_bytes() for path in tmp_path.rglob("*.csv")) == with_private
    assert says(
        tables, f"1 photograph of events with people {'among them, as asked for' if with_private else 'left out'}"
    )


def test_cards_of_one_name_are_folders_of_two_names(tmp_path: Path) -> None:
    """A photograph's path never leads to another's."""
    media = [
        shot(f"2026-05-0{day}T00:00:00", file_path="DCIM/IMG_1.JPG", source_path=f"/in/{day}/CARD/DCIM/IMG_1.JPG")
        for day in (1, 2, 3)
    ]
    tables = written(tmp_path, survey([here(**MAY)], media))
    paths = [row["filePath"] for row in tables["media"]]
    assert len(set(paths)) == 3
    assert all(re.fullmatch(r"CARD-[0-9a-f]{6}/DCIM/IMG_1\.JPG", path) for path in paths)
    assert says(tables, "3 file paths written otherwise")


def test_counts_of_events_can_be_summed(tmp_path: Path) -> None:
    """Every event-level row of the survey once; media-level rows start and end with their photograph."""
    tables = written(tmp_path, large(30))
    events = [row for row in tables["observations"] if row["observationLevel"] == "event"]
    assert len({row["eventID"] for row in events}) == len(events) == 10
    times = {row["mediaID"]: row["timestamp"] for row in tables["media"]}
    frames = [row for row in tables["observations"] if row["observationLevel"] == "media"]
    assert len(frames) == 30
    assert all(row["eventStart"] == row["eventEnd"] == times[row["mediaID"]] for row in frames)


def test_a_box_stands_only_where_it_is_plain_whose_it_is(tmp_path: Path) -> None:
    """One animal seen, one animal's box; never on two, on blanks, of another species or outside the frame."""
    box = {"probability": 0.9, "x": 0.5, "y": 0.25, "width": 0.75, "height": 0.5}
    inside, frame = ["0.5", "0.25", "0.5", "0.5"], [f"{row:032x}" for row in range(1, 7)]
    media = [shot("2026-05-03T00:00:00") for _ in frame]
    told = [
        {"deployment_id": "A", "level": "media", "media_id": frame[row], "scientific_name": name, "observation_type": kind}
        for row, name, kind in (
            (0, "leopard", "animal"), (1, "leopard", "animal"), (1, "Lynx lynx", "animal"), (2, None, "blank"),
            (3, "leopard", "animal"), (4, "leopard", "animal"), (5, "leopard", "animal"),
        )
    ]  # fmt: skip
    boxes = [
        {**box, "media_id": frame[0], "label": "Panthera pardus"}, {**box, "media_id": frame[1]},
        {**box, "media_id": frame[2]}, {**box, "media_id": frame[3], "label": "Lynx lynx"},
        {**box, "media_id": frame[4], "x": 1.25}, {**box, "media_id": frame[5]}, {**box, "media_id": frame[5]},
    ]  # fmt: skip
    rows = written(tmp_path, survey([here(**MAY)], media, told, boxes=boxes))["observations"]
    cells = [[row[name] for name in ("bboxX", "bboxY", "bboxWidth", "bboxHeight")] for row in rows]
    assert cells == [inside] + [[""] * 4] * 6


def test_a_persons_word_stands_with_the_machines_beside_it(tmp_path: Path) -> None:
    """Who decided, when, without a probability; what the machine had said is a tag."""
    row = written(tmp_path, example())["observations"][0]
    assert (row["classificationMethod"], row["classifiedBy"]) == ("human", "Ada")
    assert (row["classificationTimestamp"], row["classificationProbability"]) == ("2026-05-31T20:00:00Z", "")
    assert row["observationTags"] == "machine:Panthera pardus (0.9877) | machine:blank"


def test_what_nobody_looked_at_has_no_classification(tmp_path: Path) -> None:
    """Unclassified is no decision."""
    rows = written(tmp_path, example())["observations"]
    cells = [row for row in rows if row["observationType"] == "unclassified"]
    assert cells and not any(row[name] for row in cells for name in schema.OBSERVATIONS if name.startswith("classif"))


# -- what the deployments table and the configuration say ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "cell"),
    [
        ("cameraDelay", "30", "30"), ("cameraDelay", "30.0", "30"), ("cameraDelay", "0.5", None), ("cameraDelay", "-1", None),
        ("cameraHeight", "0.50", "0.5"), ("cameraHeight", "1,5", None), ("cameraTilt", "-15", "-15"), ("cameraTilt", "-91", None),
        ("cameraHeading", "360", "360"), ("cameraHeading", "NNE", None), ("detectionDistance", "1e3", None),
        ("baitUse", "Yes", "true"),
        ("baitUse", "0", "false"), ("baitUse", "fish", None), ("featureType", "Culvert", "culvert"), ("featureType", "road", None),
        ("timestampIssues", "TRUE", "true"), ("habitat", "NA", None), ("setupBy", "Ada, Bo", "Ada, Bo"),
        ("cameraHeight", "٣", None),
        ("deploymentTags", "a | b", "a | b"), ("coordinateUncertainty", "12", "12"),
    ],
)  # fmt: skip
def test_the_tables_own_columns_are_carried_as_the_standard_takes_them(
    name: str, text: str, cell: str | None, tmp_path: Path
) -> None:
    """What does not satisfy the schema is left out with a sentence, never written."""
    some = survey([here(**MAY, columns=((name, text),))])
    tables = written(tmp_path, some, replace(PUBLICATION, coordinate_decimals=6))
    default = "false" if name == "timestampIssues" else ""
    assert tables["deployments"][0][name] == (default if cell is None else cell)
    assert says(tables, f"A: {name} {text!r} is not") == (cell is None)


def test_no_licence_is_half_given(tmp_path: Path) -> None:
    """Camtrap DP takes both or none."""
    tables = written(tmp_path, example(), replace(PUBLICATION, media_licence=""))
    assert "licenses" not in about(tmp_path)
    assert says(tables, "project.media_licence is empty")
    camtrap_dp.write(tmp_path, example(), PUBLICATION)
    assert about(tmp_path)["licenses"] == [
        {"name": "CC0-1.0", "scope": "data"},
        {"path": "https://creativecommons.org/licenses/by/4.0/", "scope": "media"},
    ]


@pytest.mark.parametrize(
    ("text", "contributor", "said"),
    [
        ("Ada Field", {"title": "Ada Field"}, ""),
        ("Ada <a@b.org> (contact)", {"title": "Ada", "email": "a@b.org", "role": "contact"}, ""),
        ("<a@b.org>", {"title": "a@b.org", "email": "a@b.org"}, ""),
        ("Ada (PublishER)", {"title": "Ada", "role": "publisher"}, ""),
        ("Ada (boss)", {"title": "Ada"}, "role 'boss' is none of contact"),
        ("Ada <nowhere>", {"title": "Ada"}, "'nowhere' is no mail address"),
        ("Ada >> Bo", {"title": "Ada >> Bo"}, "taken whole as a name"),
        (" ", {"title": "unknown"}, "no contributors are given"),
    ],
)
def test_contributors_are_read(text: str, contributor: dict[str, str], said: str, tmp_path: Path) -> None:
    """Name, mail and role; what the standard does not take is told."""
    tables = written(tmp_path, example(), replace(PUBLICATION, contributors=(text,)))
    assert about(tmp_path)["contributors"] == [contributor]
    assert says(tables, said)


def test_the_id_follows_from_the_content(tmp_path: Path) -> None:
    """The same content written later is the same package; another title or row is another."""
    ids = []
    for change in ({}, {"created_at": datetime(2027, 1, 1)}, {"title": "Another"}, {"utc_offset": "+02:00"}):
        camtrap_dp.write(tmp_path, example(), replace(PUBLICATION, **change))  # type: ignore[arg-type]
        ids.append(about(tmp_path)["id"])
    assert [one == two for one, two in pairwise(ids)] == [True, False, False]
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", ids[0])


def test_labels_that_are_no_scientific_names_are_told(tmp_path: Path) -> None:
    """They are written as they are, for nothing better is known."""
    some = survey([here(**MAY)], (), [
        {"deployment_id": "A", "event_id": f"e{row}", "event_start": "2026-05-03T00:00:00", "scientific_name": name}
        for row, name in enumerate(["zebra", "Lynx lynx", "leopard", DUIKER])
    ])  # fmt: skip
    tables = written(tmp_path, some)
    assert [row["scientificName"] for row in tables["observations"]] == [
        "zebra", "Lynx lynx", "Panthera pardus", "Cephalophus natalensis",
    ]  # fmt: skip
    assert says(tables, "1 name without the form of a scientific name written all the same: zebra")
