"""Sets: from what sources say to a folder that can be opened, with everything that is left out told."""

import csv
import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from conftest import moment_of, photograph
from ctwatch_train.commands.data import data
from ctwatch_train.labels.annotation import Annotation, Labels
from ctwatch_train.progress import unseen
from ctwatch_train.sets import building, cache, coverage, dataset, gather
from ctwatch_train.sets.building import Report, SetOptions, build_set
from ctwatch_train.sets.coverage import majority_baseline
from ctwatch_train.sets.dataset import COLUMNS, TrainingSet, channel_statistics, open_set, write_manifest
from ctwatch_train.sets.split import SPLITS, Shares
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from shared_data import SHARED, needs_shared

from ctwatch.decode import decode
from ctwatch.domain import Canvas
from ctwatch.errors import ConfigError, CtwatchError
from ctwatch.identity import content_id

CANVAS = Canvas(12, 16)
OPTIONS = SetOptions(CANVAS, "event", Shares(0.2, 0.2, 0.2), workers=2)


def say(_text: str) -> None:
    """Say nothing."""


class Survey:
    """Photographs on disk and what is said about them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder / "pictures", folder / "set"
        self.said: list[Annotation] = []
        self.more: list[Labels] = []
        self._number = 0

    def add(
        self, *species: str, name: str | None = None, bytes_of: int | None = None, source: str = "mine", **facts: Any
    ) -> Path:
        """Write a photograph of its own, or one with the bytes of another, and say what is on it."""
        self._number += 1
        path = self.folder / (name or f"{self._number:03}.jpg")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photograph(self._number if bytes_of is None else bytes_of))
        facts = {"location": "here"} | facts
        self.said.append(Annotation(path, tuple(sorted(species)), **facts))
        return path

    def sources(self) -> list[Labels]:
        return [Labels("mine", "table", self.said), *self.more]

    def build(self, options: SetOptions = OPTIONS, **changes: Any) -> tuple[TrainingSet, Report]:
        report = build_set(self.sources(), self.out, replace(options, **changes), say=say, shown=unseen)
        return open_set(self.out), report


@pytest.fixture
def survey(tmp_path: Path) -> Survey:
    return Survey(tmp_path)


@pytest.fixture
def filled(survey: Survey) -> Survey:
    """Ten locations of four events of two frames; some blank, lions, and a rare zorilla."""
    for place in range(10):
        for event in range(4):
            species = [(), ("lion",), ("wildebeest",), ("zorilla",) if place < 3 else ()][event]
            for _ in range(2):
                survey.add(*species, location=f"site {place}", event=str(event))
    return survey


def label_of(found: TrainingSet, path: Path) -> str | None:
    """The label of one photograph; None where there are several species."""
    label = int(found.labels[found.paths.index(str(path))])
    return None if label < 0 else found.label_names[label]


# --- what is in a set


def test_a_set_says_what_its_sources_said(filled: Survey) -> None:
    found, report = filled.build(unit="location")
    assert len(found) == report.photographs == 80
    assert found.label_names == ("blank", "lion", "wildebeest", "zorilla")
    for each in filled.said:
        row = found.paths.index(str(each.path))
        assert label_of(found, each.path) == (each.species[0] if each.species else "blank")
        assert found.location_names[found.locations[row]] == each.location
        assert found.event_names[found.events[row]] == f"mine/{each.location}/{each.event}"
        assert found.source_names[found.sources[row]] == "mine"
        assert found.media_ids[row] == content_id(each.path.read_bytes())
        assert (found.pixels(np.array([row]))[0] == decode(each.path.read_bytes(), CANVAS)).all()
        assert found.path(row) == each.path
    assert sorted(np.concatenate([found.rows(split) for split in SPLITS]).tolist()) == list(range(80))
    for split in SPLITS:
        inside = found.balanced[found.rows(split)]
        blank = (found.labels[found.rows(split)] == 0)[inside]
        assert blank.sum() == (~blank).sum() > 0
    about = found.about
    assert (about.unit, about.leaky, about.seed, about.canvas, about.sources) == (
        "location",
        False,
        1,
        CANVAS,
        ("mine",),
    )
    assert about.name == "set"
    assert about.coverage == report.about.coverage
    with pytest.raises(ValueError, match="not in tuple"):
        found.rows("holdout")


def test_windows_are_cut_out_of_frames(filled: Survey) -> None:
    found, _ = filled.build()
    rows, tops, lefts = np.array([3, 70, 3]), np.array([0, 4, 2]), np.array([6, 0, 1])
    whole = found.pixels(rows)
    for window, frame, top, left in zip(found.windows(rows, tops, lefts, 8, 10), whole, tops, lefts, strict=True):
        assert (window == frame[:, top : top + 8, left : left + 10]).all()


def test_rows_in_any_order_and_any_number_of_threads_make_the_same_set(filled: Survey) -> None:
    _, first = filled.build(unit="location")
    manifest = (filled.out / "labels.csv").read_bytes()
    random.Random(1).shuffle(filled.said)
    shutil.rmtree(filled.out)
    _, second = filled.build(unit="location", workers=5)
    assert (filled.out / "labels.csv").read_bytes() == manifest
    assert first.about.fingerprint == second.about.fingerprint
    assert filled.build(unit="location", seed=2)[1].about.fingerprint != first.about.fingerprint
    filled.said[0] = replace(filled.said[0], species=("okapi",))
    assert filled.build(unit="location")[1].about.fingerprint != first.about.fingerprint


def test_several_species_are_no_label_but_stay_in_the_set(survey: Survey) -> None:
    for number in range(8):
        survey.add("lion", event=str(number))
    both = survey.add("lion", "zebra", event="9")
    found, report = survey.build()
    assert label_of(found, both) is None
    assert "zebra" not in found.label_names
    assert report.about.coverage["all"]["several"] == 1
    with (survey.out / "labels.csv").open() as file:
        assert [(row["label"], row["species"]) for row in csv.DictReader(file) if row["path"] == str(both)] == [
            ("", "lion|zebra")
        ]


def test_the_same_bytes_count_once_and_never_with_two_labels(survey: Survey) -> None:
    for number in range(8):
        survey.add("lion", event=str(number))
    zebra = survey.add("zebra", event="8", bytes_of=1)
    for event in ("10", "11"):
        survey.add("hare", event=event, bytes_of=500)
    found, report = survey.build()
    assert len(found) == 9
    assert label_of(found, survey.said[0].path) is None
    assert str(zebra) not in found.paths
    assert report.duplicates == 2
    assert any("1 photographs have copies with other species" in note for note in report.about.notes)


def test_the_same_bytes_called_blank_and_a_species_are_left_out(survey: Survey) -> None:
    for number in range(8):
        survey.add("lion", event=str(number))
    survey.add(event="9", bytes_of=3)
    found, report = survey.build()
    assert len(found) == 7
    assert report.about.left_out == {"contradiction": 2}
    assert {each.path for each in report.left_out} == {str(survey.said[2].path), str(survey.said[8].path)}


def test_copies_never_straddle_splits(survey: Survey) -> None:
    """A photograph of two locations ties these together."""
    for place in range(12):
        for frame in range(4):
            survey.add("lion", location=str(place), event="1", bytes_of=7000 + place // 2 if frame == 0 else None)
    found, report = survey.build(unit="location")
    named = np.array([int(found.location_names[each]) for each in found.locations])
    for pair in range(6):
        assert len({SPLITS[each] for each in found.splits[named // 2 == pair]} - {"test_seen"}) == 1
    assert any("12 locations share photographs" in warning for warning in report.warnings)


def test_an_event_passes_its_label_on(survey: Survey) -> None:
    """D4: {zebra, zebra, off-screen} are three photographs of zebra."""
    for number in range(8):
        survey.add(event=f"blank {number}")
    frames = [survey.add(*species, event="zebra") for species in (("zebra",), ("zebra",), ())]
    both = [survey.add(*species, event="both") for species in (("zebra",), ("lion",), ())]
    assert [label_of(survey.build()[0], path) for path in frames] == ["zebra", "zebra", "blank"]
    found, report = survey.build(propagate=True)
    assert [label_of(found, path) for path in frames] == ["zebra"] * 3
    assert [label_of(found, path) for path in both] == [None] * 3
    assert any("changed 4 of them" in note for note in report.about.notes)


def test_annotators_are_heard_and_their_ties_told(survey: Survey) -> None:
    for number in range(8):
        survey.add("lion", event=str(number))
    path = survey.add("zebra", event="e", annotator="a")
    for species, who in (("lion", "b"), ("zebra", "c"), ("lion", "d")):
        survey.said.append(replace(survey.said[-1], species=(species,), annotator=who))
    found, _ = survey.build()
    row = found.paths.index(str(path))
    assert label_of(found, path) == "lion"
    assert (found.support[row], found.evenness[row]) == (0.5, 1.0)
    assert np.isnan(found.support[: row - 1]).all()
    with (survey.out / "labels.csv").open() as file:
        assert {row["path"]: row["tie"] for row in csv.DictReader(file)}[str(path)] == "1"


def test_events_are_told_apart_by_source_location_and_name(survey: Survey) -> None:
    for place in ("a", "b"):
        for _ in range(4):
            survey.add("lion", location=place, event="1")
    survey.more = [Labels("yours", "table", [])]
    other = survey.add("lion", location="a", event="1")
    survey.more = [Labels("yours", "table", [survey.said.pop()])]
    survey.add("lion", location="a/1", event="2")
    survey.add("lion", location="a", event="1/2")
    found, _ = survey.build()
    assert len(found.event_names) == 5
    assert set(found.location_names) == {"a", "a/1", "b"}
    assert found.source_names == ("mine", "yours")
    row = found.paths.index(str(other))
    assert found.event_names[found.events[row]] == "yours/a/1"
    for event in range(5):
        assert len(set(found.locations[found.events == event].tolist())) == 1


def events_of(found: TrainingSet) -> list[int]:
    """Sizes of the events."""
    return sorted(np.bincount(found.events).tolist())


def test_photographs_without_an_event_are_grouped_by_time_within_a_folder(survey: Survey) -> None:
    start = datetime(2026, 5, 1, 10)
    for folder in ("100RECNX", "101RECNX"):
        for seconds in (0, 60, 120, 181, 1000):
            survey.add("lion", name=f"{folder}/{seconds}.jpg", captured_at=start + timedelta(seconds=seconds))
    survey.add("lion", name="100RECNX/untimed.jpg")
    found, report = survey.build()
    assert events_of(found) == [1, 1, 1, 1, 1, 3, 3]
    assert any("1 photographs have neither an event nor a time" in note for note in report.about.notes)
    assert events_of(survey.build(gap_s=61.0)[0]) == [1, 1, 1, 4, 4]
    survey.said = [replace(each, location=each.path.name) for each in survey.said]
    assert max(events_of(survey.build()[0])) == 1


def test_without_a_time_in_the_labels_that_of_the_photographs_header_counts(survey: Survey) -> None:
    survey.folder.mkdir()
    for number in range(12):
        path = survey.folder / f"{number:02}.jpg"
        path.write_bytes(photograph(number, moment_of(number)))
        survey.said.append(Annotation(path, ("lion",), "here"))
    assert events_of(survey.build()[0]) == [3, 3, 3, 3]


# --- what is left out


def test_every_file_that_cannot_be_used_is_told_and_none_is_called_blank(filled: Survey) -> None:
    broken = {"missing": "gone.jpg", "empty_file": "empty.jpg", "not_an_image": "text.jpg", "truncated": "cut.jpg"}
    whole = photograph(1, size=(480, 640))
    contents = {"empty.jpg": b"", "text.jpg": b"some text", "cut.jpg": whole[: len(whole) // 2]}
    for name in broken.values():
        filled.said.append(Annotation(filled.folder / name, (), "site 1", "0"))
        if name in contents:
            (filled.folder / name).write_bytes(contents[name])
    found, report = filled.build()
    assert len(found) == 80
    assert {each.reason: Path(each.path).name for each in report.left_out} == broken
    assert found.about.left_out == dict.fromkeys(sorted(broken), 1)
    listed = json.loads((filled.out / "set.json").read_text())["left_out_first"]
    assert sorted(reason for _, reason, _ in listed) == sorted(broken)


def test_blank_and_a_species_about_one_photograph_is_left_out(filled: Survey) -> None:
    filled.said.append(replace(filled.said[0], species=("lion",)))
    found, report = filled.build()
    assert len(found) == 79
    assert report.about.left_out == {"contradiction": 1}
    assert "is called blank and lion" in report.left_out[0].detail


def test_locations_that_are_not_known_cannot_be_divided_by(filled: Survey) -> None:
    filled.said[5] = replace(filled.said[5], location=None)
    found, report = filled.build(unit="location")
    assert (len(found), report.about.left_out) == (79, {"no_location": 1})
    found, report = filled.build(unit="event")
    assert (len(found), report.about.left_out) == (80, {})
    filled.said = [replace(each, location=None) for each in filled.said]
    with pytest.raises(ConfigError, match="no photograph has a location; divide --by event"):
        filled.build(unit="location")


def test_a_set_without_a_usable_photograph_is_refused(survey: Survey) -> None:
    for number in range(8):
        survey.add("lion", event=str(number)).unlink()
    with pytest.raises(ConfigError) as caught:
        survey.build()
    assert caught.value.problems[0] == "not one photograph can be used"
    assert "missing" in caught.value.problems[1]


def test_what_cannot_be_divided_is_refused_before_anything_is_decoded(
    filled: Survey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "opened", lambda *_, **__: pytest.fail("the cache was opened"))
    filled.said = [replace(each, location="one") for each in filled.said]
    with pytest.raises(ConfigError, match="1 location cannot be divided into 3 parts"):
        filled.build(unit="location")


def test_sources_of_one_name_and_endless_names_are_refused(filled: Survey) -> None:
    filled.more = [Labels("mine", "table", filled.said)]
    filled.said = [*filled.said, replace(filled.said[0], path=Path("x.jpg"), location="x" * 2000)]
    with pytest.raises(ConfigError) as caught:
        filled.build()
    assert ["two sources" in each or "2,000 characters" in each for each in caught.value.problems] == [True, True]


def test_splits_of_a_source_are_kept(filled: Survey) -> None:
    filled.said = [
        replace(each, split=None if each.location is None else ["train", "test"][int(each.location[-1]) % 2])
        for each in filled.said
    ]
    found, report = filled.build(unit="location")
    for each in filled.said:
        assert SPLITS[found.splits[found.paths.index(str(each.path))]] == each.split
    assert any("none validation" in warning for warning in report.warnings)


# --- names from strangers

HOSTILE = [
    "=1+1",
    'quo"te',
    "com,ma",
    "new\nline",
    "car\rriage",
    " blanks ",
    "ünï",
    "\udcff\udc80",
    "a\u2028b",
    "#",
    "\t",
    "\x00",
]
names = st.one_of(
    st.sampled_from(HOSTILE),
    st.binary(max_size=12).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
    st.text(max_size=8).map(gather.plain_name),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(names, min_size=len(COLUMNS), max_size=len(COLUMNS)), max_size=6))
def test_the_manifest_gives_back_every_name(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]) -> None:
    path = tmp_path_factory.mktemp("manifest") / "labels.csv"
    write_manifest(path, rows)
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        assert list(csv.reader(file)) == [list(COLUMNS), *rows]


def test_hostile_names_of_files_places_and_animals_survive(survey: Survey) -> None:
    for number, name in enumerate(HOSTILE):
        on_disk = name.replace("\x00", "-") + ".jpg"
        survey.add(name, name=on_disk, location=name, event=name)
        survey.add(name, name=f"{number}/{on_disk}", location="other", event=name)
    survey.add("\ud800", location="\ud800", event="\ud800")
    found, _ = survey.build()
    assert set(found.paths) == {str(each.path) for each in survey.said}
    assert set(found.label_names) == {*HOSTILE, "\\ud800"}
    assert set(found.location_names) == {*HOSTILE, "other", "\\ud800"}
    for each in survey.said[:-1]:
        assert label_of(found, each.path) == each.species[0]
    assert json.dumps(survey.build()[1].as_dict())
    head, lines = coverage.rows(found.about.coverage, wide=True)
    assert all("\t".join(line).encode() for line in [head, *lines])


# --- made again, interrupted, damaged


def test_other_labels_take_over_every_frame(filled: Survey) -> None:
    _, first = filled.build()
    filled.said = [replace(each, species=("hare",)) for each in filled.said]
    filled.add("new", location="site 1", event="1")
    found, second = filled.build(unit="location", seed=5)
    assert (first.decoded, second.decoded) == (80, 1)
    assert found.label_names == ("hare", "new")


def test_a_set_stays_whole_until_the_next_one_is(filled: Survey, monkeypatch: pytest.MonkeyPatch) -> None:
    before, _ = filled.build()
    filled.said = filled.said[:40]
    filled.add("new", location="site 1", event="1")

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(building, "write_manifest", dies)
        with pytest.raises(KeyboardInterrupt):
            filled.build()
    assert open_set(filled.out).about.fingerprint == before.about.fingerprint
    with monkeypatch.context() as patch:
        patch.setattr(building, "write_description", dies)
        with pytest.raises(KeyboardInterrupt):
            filled.build()
    with pytest.raises(ConfigError, match=r"is not what was written .*interrupted.*run `ctwatch train data` again"):
        open_set(filled.out)
    found, report = filled.build()
    assert (len(found), report.decoded) == (41, 0)


def test_an_interrupted_set_is_no_set(filled: Survey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "write_description", lambda *_: None)
    with pytest.raises(ConfigError, match="its making was interrupted"):
        filled.build()
    with pytest.raises(ConfigError, match="`ctwatch train data` makes sets"):
        open_set(filled.folder)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "pixels flipped": (
        "shard 00000 is damaged (its bytes have changed)",
        lambda at: flip(at / "cache" / "00000.pixels"),
    ),
    "pixels cut": ("bytes instead of", lambda at: os.truncate(at / "cache" / "00000.pixels", 9)),
    "pixels lost": ("No such file", lambda at: (at / "cache" / "00000.pixels").unlink()),
    "manifest edited": ("labels.csv: is not what was written", lambda at: flip(at / "labels.csv")),
    "manifest lost": ("labels.csv: cannot be read", lambda at: (at / "labels.csv").unlink()),
    "manifest emptied": ("labels.csv: cannot be read", lambda at: os.truncate(at / "labels.csv", 0)),
    "description cut": ("set.json: is damaged", lambda at: os.truncate(at / "set.json", 300)),
    "description lost": ("is not a whole set", lambda at: (at / "set.json").unlink()),
    "description of another kind": ("set.json: is damaged", lambda at: (at / "set.json").write_text("[]")),
    "newer": ("version 2, this ctwatch knows 1", lambda at: (at / "set.json").write_text('{"version": 2}')),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_set_is_refused_and_made_whole_by_the_same_command(what: str, filled: Survey) -> None:
    before, _ = filled.build()
    pixels = before.pixels(np.arange(80))
    sentence, harm = DAMAGES[what]
    harm(filled.out)
    with pytest.raises(ConfigError) as caught:
        open_set(filled.out)
    assert sentence in caught.value.problems[0]
    assert "run `ctwatch train data` again" in caught.value.problems[0]
    if what != "pixels flipped":
        with pytest.raises(ConfigError):
            open_set(filled.out, verify=False)
    after, report = filled.build()
    assert after.about.fingerprint == before.about.fingerprint
    assert report.decoded == (80 if what.startswith("pixels") else 0)
    assert (after.pixels(np.arange(80)) == pixels).all()


def test_a_folder_that_cannot_be_written_is_told(filled: Survey, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    filled.out = tmp_path / "file" / "set"
    with pytest.raises(CtwatchError, match="cannot be written"):
        filled.build()


# --- figures


def test_mean_and_deviation_are_over_all_pixels(tmp_path: Path) -> None:
    """P2: two constant frames, 0 and 1, have deviation 0.5; the mean of the frames' own deviations would be 0."""
    survey = Survey(tmp_path)
    for number, level in enumerate((0, 255)):
        path = survey.folder / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        file = BytesIO()
        Image.new("RGB", (16, 12), (level, 255, 51)).save(file, "PNG")
        path.write_bytes(file.getvalue())
        survey.said.append(Annotation(path, ("lion",), "here", str(number)))
    found, _ = survey.build(shares=Shares(0, 0, 0))
    mean, spread = channel_statistics(found, np.arange(2))
    assert mean == (0.5, 1.0, 0.2)
    assert spread == (0.5, 0.0, 0.0)
    with pytest.raises(ValueError, match="no photograph"):
        channel_statistics(found, np.arange(0))


def test_mean_and_deviation_agree_with_numpy(filled: Survey) -> None:
    found, _ = filled.build()
    rows = found.rows("train")
    values = found.pixels(rows).astype(np.float64) / 255
    mean, spread = channel_statistics(found, rows)
    assert mean == pytest.approx(values.mean((0, 2, 3)), abs=1e-12)
    assert spread == pytest.approx(values.std((0, 2, 3)), abs=1e-12)


def test_three_common_species_look_like_a_good_model() -> None:
    """D7: 63 % right while 45 of 48 species, 93.75 %, are never said."""
    found = majority_baseline([3000, 2000, 1300, *[90] * 30, *[67] * 14, 62], 3)
    assert found.accuracy == 0.63
    assert found.ignored == 0.9375
    assert majority_baseline([1, 3], 5).accuracy == 1
    for counts, k in (([], 1), ([0], 1), ([1], 0)):
        with pytest.raises(ValueError, match="commonest"):
            majority_baseline(counts, k)


def test_coverage_counts_photographs_events_and_locations(filled: Survey) -> None:
    filled.add("single", location="site 0", event="0")
    found, report = filled.build(unit="location")
    figures = report.about.coverage
    assert figures["all"] == {"photographs": 81, "events": 40, "locations": 10, "blank": 34, "several": 0}
    assert figures["labels"]["zorilla"]["all"] == {"photographs": 6, "events": 3, "locations": 3}
    assert figures["labels"]["lion"]["all"] == {"photographs": 20, "events": 10, "locations": 10}
    for split in SPLITS:
        rows = found.rows(split)
        assert figures["splits"][split]["photographs"] == len(rows)
        assert figures["splits"][split]["events"] == len(np.unique(found.events[rows]))
        assert figures["splits"][split]["locations"] == len(np.unique(found.locations[rows]))
        assert figures["sources"]["mine"][split] == figures["splits"][split]
        assert figures["balanced"][split] == found.balanced[rows].sum()
        for label, name in enumerate(found.label_names):
            inside = rows[found.labels[rows] == label]
            assert figures["labels"][name][split]["photographs"] == len(inside)
            assert figures["labels"][name][split]["events"] == len(np.unique(found.events[inside]))
            assert (name in figures["missing"][split]) == (len(inside) == 0)
    assert figures["single"] == ["single"]
    assert found.splits[found.labels == found.label_names.index("single")].tolist() == [0]
    assert any("a single photograph, all in one split: single" in warning for warning in report.warnings)
    assert any("label has no photograph in test" in warning for warning in report.warnings)
    assert figures["majority_baseline"][0] == {"k": 1, "accuracy": round(20 / 47, 4), "ignored": 0.75}


# --- the command


@pytest.fixture
def table(filled: Survey, tmp_path: Path) -> Path:
    """A labels table of the survey."""
    path = tmp_path / "labels.csv"
    lines = [
        f"pictures/{each.path.name},{'|'.join(each.species) or 'blank'},{each.location},{each.event}"
        for each in filled.said
    ]
    path.write_text("path,label,location,event\n" + "\n".join(lines) + "\n")
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(data, [str(each) for each in arguments])


def test_the_command_prints_what_the_set_holds(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "a" / "set"
    result = run(table, "--out", out, "--canvas", "12x16")
    assert result.exit_code == 0, result.output
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert lines[0][:4] == ["label", "all photographs", "all events", "all locations"]
    assert [line[:4] for line in lines[1:]] == [
        ["blank", "34", "17", "10"], ["lion", "20", "10", "10"], ["wildebeest", "20", "10", "10"], ["zorilla", "6", "3", "3"],
        ["(all)", "80", "40", "10"],
    ]  # fmt: skip
    assert open_set(out).about.canvas == CANVAS
    assert open_set(out).source_names == ("labels",)
    told = json.loads(run(f"other={table}", "--out", out, "--canvas", "12x16", "--by", "event", "--json").stdout)
    assert (told["photographs"], told["decoded"], told["unit"]) == (80, 0, "event")
    assert open_set(out).source_names == ("other",)


def test_the_command_ends_with_3_when_photographs_are_left_out(table: Path, tmp_path: Path) -> None:
    (tmp_path / "pictures" / "001.jpg").unlink()
    result = run(table, "--out", tmp_path / "set", "--canvas", "12x16")
    assert result.exit_code == 3
    assert "left out: 1 missing, such as" in result.stderr


def test_relative_paths_lead_to_the_photographs_from_anywhere(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(table.name, "--out", "set", "--canvas", "12x16").exit_code == 0
    monkeypatch.chdir("/")
    found = open_set(tmp_path / "set")
    assert content_id(found.path(0).read_bytes()) == found.media_ids[0]


@pytest.mark.parametrize(
    "arguments",
    [("--canvas", "256"), ("--canvas", "0x9999"), ("--by", "card"), ("--banner-top", "0.9"), ("--seen", "1")],
)
def test_options_that_make_no_sense_are_refused(arguments: tuple[str, str], table: Path, tmp_path: Path) -> None:
    result = run(table, "--out", tmp_path / "set", *arguments)
    assert result.exit_code == 2
    assert not (tmp_path / "set").exists()


def test_problems_of_all_sources_are_told_at_once(table: Path, tmp_path: Path) -> None:
    result = run("gone.csv", "lost.csv", table, "--out", tmp_path / "set")
    assert isinstance(result.exception, ConfigError)
    assert len(result.exception.problems) == 2


@needs_shared
def test_real_photographs_in_folders_become_a_set(tmp_path: Path) -> None:
    root = SHARED / "labelled/gorongosa_guide/public/assets/fieldguide-content/mammals"
    result = run(root, "--out", tmp_path / "set", "--canvas", "24x32", "--by", "event")
    assert result.exit_code in (0, 3), result.output
    found = open_set(tmp_path / "set")
    assert len(found) > 50
    assert {"leopard", "warthog"} <= set(found.label_names)
    assert dataset.fingerprint([]) != found.about.fingerprint
