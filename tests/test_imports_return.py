"""What ctwatch writes for other programs comes back to the photographs that it was written about."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ctwatch import exif, timeline
from ctwatch.export import camtrap_dp, megadetector, timelapse, wildlife_insights
from ctwatch.imports import recognise
from ctwatch.matching import Matched, match
from ctwatch.survey import ImportedFile, Publication, Scope, Survey
from tests.shared_data import SHARED, needs_shared
from tests.surveys import place, survey

START = datetime(2024, 5, 1, 8)
DECIDED = ["Panthera pardus", None, "Crocuta crocuta", None]
ABOUT = Publication("A survey", START, contributors=("Anna <anna@example.org> (contact)",), utc_offset="+02:00")


@pytest.fixture
def whole() -> Survey:
    """Two cards with the same file names and seconds; a person decided on leopards, the models on the rest."""
    kinds = ["animal", "blank", "animal", "vehicle"]
    media, seen = [], []
    for number in range(8):
        card, which = ("A", number) if number < 4 else ("B", number - 4)
        deployment, taken = f"{card}-1", START + timedelta(hours=which)
        media.append(
            {
                "media_id": f"{number:032x}",
                "card_name": card,
                "file_path": f"DCIM/100RECNX/IMG_000{which}.JPG",
                "timestamp": taken,
                "deployment_id": deployment,
                "event_id": f"{deployment}-{which}",
            }
        )
        human = which == 0
        row = {
            "deployment_id": deployment,
            "event_id": f"{deployment}-{which}",
            "event_start": taken,
            "observation_type": kinds[which],
            "scientific_name": DECIDED[which],
            "count": 2 if human else None,
            "classification_method": "human" if human else "machine",
            "classified_by": "anna" if human else "models",
            "probability": float("nan") if human else 0.9,
        }
        seen += [
            {**row, "level": "media", "media_id": f"{number:032x}", "observation_id": f"m{number}"},
            {**row, "level": "event", "observation_id": f"e{number}"},
        ]
    places = [
        place(
            f"{card}-1",
            card,
            latitude=-1.5,
            longitude=30.5,
            deployment_start=START,
            deployment_end=START + timedelta(days=2),
        )
        for card in "AB"
    ]
    return survey(places, media, seen)


def own(said: ImportedFile, matched: Matched) -> None:
    """Every label has its photograph, by the end of its path."""
    assert said.problems == ()
    assert (matched.unmatched, matched.ambiguous, len(matched.pairs)) == (0, 0, len(said.labels))
    for number, row in matched.pairs:
        card, name = "AB"[row // 4], f"IMG_000{row % 4}.JPG"
        assert said.labels[number].file_path.endswith(f"{card}/DCIM/100RECNX/{name}")


def test_a_camtrap_dp_package_comes_back_whole(whole: Survey, tmp_path: Path) -> None:
    """Photographs and events, people's and machines', by id."""
    camtrap_dp.write(tmp_path, whole, ABOUT)
    said = recognise.read(tmp_path)
    own(said, match(said.labels, whole.media))
    assert (
        sum(label.scope is Scope.EVENT for label in said.labels)
        == sum(label.scope is Scope.MEDIA for label in said.labels)
        == 8
    )
    for label in said.labels:
        which = int(label.file_path[-5])
        expected = DECIDED[which] or ["", "blank", "", "vehicle"][which]
        assert [answer.label for answer in label.answers] == [expected]
        assert (label.by_human, label.answers[0].count) == ((True, 2) if which == 0 else (False, None))
        assert label.media_id == f"{whole.media.media_id.index(label.media_id or ''):032x}"


def test_megadetector_s_file_comes_back_by_path_alone(whole: Survey, tmp_path: Path) -> None:
    """Blank stays blank; what is not keeps its name."""
    megadetector.write(tmp_path, whole, ABOUT)
    said = recognise.read(next(tmp_path.glob("*.json")))
    own(said, match(said.labels, whole.media))
    assert len(said.labels) == 8
    for label in said.labels:
        which = int(label.file_path[-5])
        known = {answer.label: answer.probability or 0.0 for answer in label.answers}
        assert (known["blank"] > 0.5) == (which == 1)
        assert DECIDED[which] is None or known[DECIDED[which] or ""] >= 0.9


def test_a_review_in_timelapse_comes_back_as_a_person_s(whole: Survey, tmp_path: Path) -> None:
    """What was reviewed counts, corrected; what was not does not."""
    timelapse.write(tmp_path, whole, ABOUT)
    path = tmp_path / timelapse.CSV_NAME
    said = recognise.read(path)
    own(said, match(said.labels, whole.media))
    assert [label.answers[0].label for label in said.labels] == ["Panthera pardus"] * 2
    assert said.skipped == (("rows that nobody reviewed", 6),)
    lines = path.read_text("utf-8").splitlines()
    columns = lines[0].split(",")
    reviewed = []
    for line in lines[1:]:
        cells = dict(zip(columns, line.split(","), strict=True))
        reviewed.append(
            ",".join({**cells, "Species": "blank", "Count": "", "Reviewed": "true", "ReviewedBy": "ben"}.values())
        )
    path.write_text("\n".join([lines[0], *reviewed]), "utf-8")
    said = recognise.read(path)
    own(said, match(said.labels, whole.media))
    assert {(label.classified_by, label.answers[0].label) for label in said.labels} == {("ben", "blank")}
    assert len(said.labels) == 8


def test_wildlife_insights_tables_come_back(whole: Survey, tmp_path: Path) -> None:
    """People by name, the models as computer vision."""
    wildlife_insights.write(tmp_path, whole, ABOUT)
    said = recognise.read(tmp_path)
    own(said, match(said.labels, whole.media))
    assert [label.by_human for label in said.labels] == [True, False, False, False] * 2
    assert [label.answers[0].label for label in said.labels] == [
        "Panthera pardus",
        "blank",
        "Crocuta crocuta",
        "vehicle",
    ] * 2


def card(root: Path) -> Survey:
    """The photographs of a card folder, with the times in their headers."""
    rows = []
    for path in sorted(root.rglob("*.JPG")):
        header = exif.read(path.read_bytes())
        assert header is not None
        taken = timeline.timestamp(
            header.times,
            header.sub_seconds,
            xmp=header.xmp,
            file_name="",
            file_time=None,
            earliest_year=2000,
            now=datetime(2026, 1, 1),
        ).value
        rows.append(
            {
                "card_name": root.name,
                "file_path": path.relative_to(root).as_posix(),
                "timestamp": taken,
                "deployment_id": root.name,
            }
        )
    return survey(media=rows)


@needs_shared
def test_another_tool_s_package_finds_the_card_that_it_was_made_of(tmp_path: Path) -> None:
    """The card was called otherwise then: name and second agree. Nobody had looked; here everything counts as blank."""
    root = SHARED / "cards" / "spypoint_beaver"
    (source,) = (root / "expected_camtrap_dp").glob("sample-camtrap-dp-*/")
    assert recognise.read(source).skipped == (("observations that are unclassified", 11),)
    for name in ("datapackage.json", "media.csv", "observations.csv"):
        text = (source / name).read_text("utf-8").replace(",media,unclassified,", ",media,blank,")
        (tmp_path / name).write_text(text, "utf-8")
    said = recognise.read(tmp_path)
    photographs = card(root)
    matched = match(said.labels, photographs.media)
    assert (len(matched.pairs), matched.unmatched, matched.ambiguous) == (11, 0, 0)
    for number, row in matched.pairs:
        assert photographs.media.file_path[row].endswith(said.labels[number].file_path.rpartition("/")[2])


@needs_shared
def test_the_standard_s_example_finds_the_ten_photographs_that_come_with_it() -> None:
    """Each has a label of its own and one of its event; the other 773 labels are of photographs that are not here."""
    root = SHARED / "cards" / "camtrapdp_reconyx"
    matched = match(recognise.read(root / "example").labels, card(root).media)
    assert (len(matched.pairs), matched.unmatched, matched.ambiguous) == (20, 773, 0)
