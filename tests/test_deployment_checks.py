"""Checks of deployments: faults that were put in are found with their correction, good deployments are left in peace; the draft."""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from surveys import place, survey

from ctwatch import clocks
from ctwatch.deployments import DEFAULT_PATTERN, Mapping, assign, compile_pattern, covers, offsets, parse_table
from ctwatch.deployments.changed import changed
from ctwatch.deployments.checks import check
from ctwatch.deployments.draft import draft
from ctwatch.deployments.findings import Finding, Kind, Severity, together
from ctwatch.domain import DeploymentSource, Outage
from ctwatch.survey import Survey, SurveyDeployment

GOLDEN = Path(__file__).parent / "golden" / "deployments"
SETUP, RETRIEVAL = datetime(2023, 3, 4, 10), datetime(2023, 6, 20, 15)
Photo = dict[str, Any]


def photographs(
    deployment_id: str = "d1", start: datetime = SETUP, end: datetime = RETRIEVAL, visits: int = 60, seed: int = 1
) -> list[Photo]:
    """Bursts of three as animals come by, the first and last at setup and retrieval; named as a Bushnell names them."""
    draw = random.Random(seed)
    times = sorted(start + (end - start) * draw.random() for _ in range(visits))
    times = [start + timedelta(minutes=5), *times, end - timedelta(minutes=5)]
    bursts = [time + timedelta(seconds=second) for time in times for second in range(3)]
    return [
        {
            "deployment_id": deployment_id,
            "timestamp": time,
            "card_name": deployment_id,
            "file_path": f"DCIM/{100 + number // 50}EK113/EK{number % 50 + 1:06d}.JPG",
        }
        for number, time in enumerate(bursts)
    ]


def deployment(deployment_id: str = "d1", photos: Sequence[Photo] = (), **more: Any) -> SurveyDeployment:
    """A deployment with both dates, unless `more` says otherwise, and what its photographs make of it."""
    times = [photo["timestamp"] for photo in photos if photo["timestamp"] and photo.get("trusted", True)]
    seen = {"first_media": min(times, default=None), "last_media": max(times, default=None), "media_count": len(photos)}
    dates = {"deployment_start": SETUP, "deployment_end": RETRIEVAL}
    return place(deployment_id, more.pop("location_id", "L1"), **{**seen, **dates, **more})


def found(photos: Sequence[Photo], **more: Any) -> list[Finding]:
    """What a check of one deployment with these photographs finds."""
    return check(survey([deployment(photos=photos, **more)], in_order(photos)), None)


def in_order(photos: Sequence[Photo]) -> list[Photo]:
    """Rows as the database hands them over: by deployment and time."""
    return sorted(photos, key=lambda photo: (photo["deployment_id"], photo["timestamp"] or datetime.max))


def shifted(photos: Sequence[Photo], first: int, last: int, change: Callable[[datetime], datetime]) -> list[Photo]:
    """The photographs with the times of some of them changed."""
    return [
        {**photo, "timestamp": change(photo["timestamp"])} if first <= number < last else photo
        for number, photo in enumerate(photos)
    ]


def proposed(finding: Finding) -> dict[str, str]:
    return dict(finding.proposal)


# --- good deployments ---------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(3, 200), st.booleans(), st.booleans())
def test_a_good_deployment_is_left_in_peace(seed: int, visits: int, with_dates: bool, renamed: bool) -> None:
    """Animals come when they come: no finding, with dates or without, whatever the files are called."""
    photos = photographs(visits=visits, seed=seed)
    if renamed:
        names = [f"{number:x}-{random.Random(number).random()}.jpg" for number in range(len(photos))]
        photos = [{**photo, "file_path": name} for photo, name in zip(photos, names, strict=True)]
    dates = {} if with_dates else {"deployment_start": None, "deployment_end": None}
    assert found(photos, **dates) == []


def test_files_named_after_the_day_run_on_over_new_year() -> None:
    """MMDDnnnn: 01010011.JPG is after 12310010.JPG though its name sorts before."""
    start = datetime(2023, 12, 20)
    photos = photographs(start=start, end=start + timedelta(days=30))
    for number, photo in enumerate(photos):
        photo["file_path"] = f"DCIM/100EK113/{photo['timestamp']:%m%d}{number + 1:04d}.JPG"
    assert found(photos, deployment_start=None, deployment_end=None) == []


def test_the_way_there_and_back_is_no_finding() -> None:
    """Up to an hour around the dates the technician is at work; up to a day is worth a note."""
    photos = photographs(start=SETUP - timedelta(minutes=50), end=RETRIEVAL + timedelta(minutes=50))
    assert found(photos) == []
    (note,) = found(photographs(start=SETUP - timedelta(hours=5), end=RETRIEVAL))
    assert (note.kind, note.severity, note.media) == (Kind.OUTSIDE, Severity.NOTE, 3)


# --- clocks -------------------------------------------------------------------------------------------------------


def after_reset(epoch: datetime, at: datetime) -> Callable[[datetime], datetime]:
    return lambda time: epoch + (time - at)


@pytest.mark.parametrize("epoch", [datetime(2009, 1, 1), datetime(2013, 1, 1, 0, 0, 30), datetime(2022, 1, 1, 12)])
@pytest.mark.parametrize("with_dates", [True, False])
def test_a_reset_in_the_middle_is_found_with_an_offset(epoch: datetime, with_dates: bool) -> None:
    """The battery was changed: time begins at a New Year, and again right when somebody sets it."""
    photos = photographs()
    photos = shifted(photos, 60, 120, after_reset(epoch, photos[60]["timestamp"]))
    dates = {} if with_dates else {"deployment_start": None, "deployment_end": None}
    (finding,) = found(photos, **dates)
    assert (finding.kind, finding.severity, finding.media) == (Kind.CLOCK, Severity.ERROR, 60)
    assert "New Year" in finding.sentence
    assert set(proposed(finding)) == {"deploymentStart", "deploymentEnd", "clockOffset"}


def test_a_reset_to_the_end_is_found_and_silence_is_not_blamed() -> None:
    """What follows from the wrong clock is no finding of its own."""
    photos = photographs()
    (finding,) = found(shifted(photos, 100, 999, after_reset(datetime(2015, 1, 1), photos[100]["timestamp"])))
    assert (finding.kind, finding.media) == (Kind.CLOCK, len(photos) - 100)


def test_a_card_that_begins_with_a_clock_never_set() -> None:
    """A year that cannot be, untrusted: told with the span of offsets that fit."""
    photos = photographs()
    photos = shifted(photos, 0, len(photos), after_reset(datetime(2000, 1, 1), photos[0]["timestamp"]))
    untrusted = [{**photo, "trusted": False, "timestamp_issue": "before 2001"} for photo in photos]
    (finding,) = found(untrusted)
    assert (finding.kind, finding.media) == (Kind.CLOCK, len(photos))
    assert proposed(finding) == {"clockOffset": "8463d 10:00:00"}
    (without_dates,) = found(untrusted, deployment_start=None, deployment_end=None)
    assert (without_dates.kind, without_dates.proposal) == (Kind.CLOCK, ())


@pytest.mark.parametrize(
    ("change", "offset", "why"),
    [
        (lambda time: time.replace(year=2022), "365d 00:00:00", "the year was set wrong by 1"),
        (lambda time: time.replace(year=2024), "-366d 00:00:00", "the year was set wrong by 1"),
        (lambda time: time + timedelta(days=30), "-30d 00:00:00", "day and month were exchanged"),
        (lambda time: time - timedelta(hours=12), "12:00:00", "exactly 12 hours"),
        (lambda time: time + timedelta(hours=12), "-12:00:00", "exactly 12 hours"),
    ],
    ids=["year before", "year after", "day and month", "morning for evening", "evening for morning"],
)
def test_slips_in_setting_a_clock_are_named(change: Callable[[datetime], datetime], offset: str, why: str) -> None:
    """The whole card fits the dates after one plain slip: that is said, with the offset ready to paste."""
    photos = photographs()
    (finding,) = found(shifted(photos, 0, len(photos), change))
    assert (finding.kind, finding.severity, finding.media) == (Kind.CLOCK, Severity.ERROR, len(photos))
    assert why in finding.sentence
    assert proposed(finding) == {"clockOffset": offset}


def test_what_is_proposed_takes_the_place_of_the_offset_that_is_there() -> None:
    """Corrected by an hour already, still a year wrong: the proposal is both."""
    photos = photographs()
    wrong = shifted(photos, 0, len(photos), lambda time: time.replace(year=2022))
    for photo in wrong:
        photo["recorded"] = photo["timestamp"] - timedelta(hours=1)
    (finding,) = found(wrong)
    assert proposed(finding) == {"clockOffset": "365d 01:00:00"}


def test_ahead_and_back_again_is_found_without_dates() -> None:
    """The clock jumped ahead for a while, by more than a month."""
    photos = shifted(photographs(), 60, 90, lambda time: time + timedelta(days=400))
    (finding,) = found(photos, deployment_start=None, deployment_end=None)
    assert (finding.kind, finding.media) == (Kind.CLOCK, 30)
    least, most = (offsets.read(text, "", None)[0] for text in re.findall(r"-\d+d [\d:.]+", finding.sentence))
    assert least is not None
    assert most is not None
    assert least <= timedelta(days=-400) <= most
    assert proposed(finding)["clockOffset"] == offsets.written(least)


def test_a_clock_that_was_set_back_by_hours_is_a_note() -> None:
    """Nobody knows which of the two was right."""
    photos = shifted(photographs(visits=400), 600, 9999, lambda time: time - timedelta(hours=20))
    (finding,) = [item for item in found(photos) if item.kind is Kind.CLOCK_SET_BACK]
    assert finding.severity is Severity.NOTE
    assert finding.proposal == ()


def test_names_that_do_not_tell_the_order_tell_nothing() -> None:
    """Two cameras in one folder, or renamed files: no clock is blamed for it."""
    photos = photographs()
    mixed = [photo["file_path"] for photo in photos]
    random.Random(3).shuffle(mixed)
    assert found([{**photo, "file_path": name} for photo, name in zip(photos, mixed, strict=True)]) == []


FAULTS: dict[str, Callable[[list[Photo]], list[Photo]]] = {
    "reset": lambda photos: shifted(photos, 60, 120, after_reset(datetime(2015, 1, 1), photos[60]["timestamp"])),
    "reset to the end": lambda photos: shifted(
        photos, 60, 999, after_reset(datetime(2015, 1, 1), photos[60]["timestamp"])
    ),
    "reset from the start": lambda photos: shifted(
        photos, 0, 60, after_reset(datetime(2015, 1, 1), photos[0]["timestamp"])
    ),
    "year": lambda photos: shifted(photos, 0, 999, lambda time: time.replace(year=2022)),
    "never set": lambda photos: shifted(photos, 0, 999, after_reset(datetime(2015, 1, 1), photos[0]["timestamp"])),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_pasted_proposal_mends_the_clock(fault: str) -> None:
    """Taken into the table as the remedy says, every photograph finds its row again and lies within its dates."""
    truth = photographs()
    photos = FAULTS[fault](truth)
    (finding,) = found(photos)
    cells = proposed(finding)
    lines = ["deploymentID,locationID,folder,deploymentStart,deploymentEnd,clockOffset"]
    whole = ("2023-03-04T10:00:00", "2023-06-20T15:00:00")
    if "deploymentStart" not in cells:
        lines.append(f"d1,L1,d1,{whole[0]},{whole[1]},{cells['clockOffset']}")
    else:
        start, end = cells["deploymentStart"], cells["deploymentEnd"]
        lines.append(f"b,L1,d1,{start},{end},{cells['clockOffset']}")
        lines += [f"a,L1,d1,{whole[0]},{start},"] if whole[0] < start else []
        lines += [f"c,L1,d1,{end},{whole[1]},"] if end < whole[1] else []
    mapping = Mapping(parse_table("\n".join(lines), "deployments.csv"), compile_pattern(DEFAULT_PATTERN))
    for photo, true in zip(photos, truth, strict=True):
        mine, _ = assign(mapping, inbox_name="inbox", folders=["d1", "DCIM"], serial=None, taken=photo["timestamp"])
        assert mine.flag is None
        corrected = clocks.correct_one(photo["timestamp"], mine.clock)
        assert corrected is not None
        assert covers(mine, corrected)
        assert abs(corrected - true["timestamp"]) < timedelta(days=8)


# --- silence ------------------------------------------------------------------------------------------------------


def test_a_camera_that_died_is_found_with_its_outage() -> None:
    """Long before retrieval and five times any silence before it."""
    photos = [photo for photo in photographs(visits=200) if photo["timestamp"] < datetime(2023, 4, 10)]
    (finding,) = found(photos)
    assert (finding.kind, finding.severity) == (Kind.SILENT_END, Severity.WARNING)
    cells = proposed(finding)
    assert cells["outage1To"] == "2023-06-20T15:00:00"
    assert datetime.fromisoformat(cells["outage1From"]) >= max(photo["timestamp"] for photo in photos)
    known = Outage(datetime(2023, 4, 10), RETRIEVAL)
    assert found(photos, outages=(known,)) == []
    dates = {"start_is_date": True, "end_is_date": True, "deployment_start": datetime(2023, 3, 4),
             "deployment_end": datetime(2023, 6, 20)}  # fmt: skip
    (finding,) = found(photos, **dates)
    assert proposed(finding) == {"outage1From": "2023-04-10", "outage1To": "2023-06-20"}


def test_a_camera_that_began_late_is_found() -> None:
    """Likewise after setup."""
    photos = [photo for photo in photographs(visits=200) if photo["timestamp"] > datetime(2023, 5, 1)]
    (finding,) = found(photos)
    assert finding.kind is Kind.SILENT_START
    assert proposed(finding)["outage1From"] == "2023-03-04T10:00:00"


def test_a_rare_visitor_is_no_failure() -> None:
    """Two visits tell nothing; all photographs of the setup only, and then nothing for months, is worth a note."""
    assert found(photographs(visits=0)[-3:] + photographs(visits=0)[:3]) == []
    (finding,) = found(photographs(visits=0)[:3])
    assert (finding.kind, finding.severity) == (Kind.SILENT_END, Severity.NOTE)


def heartbeat(days: Sequence[int]) -> list[Photo]:
    noon = SETUP.replace(hour=12)
    return [
        {
            "deployment_id": "d1", "timestamp": noon + timedelta(days=day), "card_name": "d1",
            "file_path": f"DCIM/101RECNX/RCNX{number + 1:04d}.JPG", "capture_method": "timeLapse",
        }
        for number, day in enumerate(days)
    ]  # fmt: skip


def numbered(photos: Sequence[Photo]) -> list[Photo]:
    """All photographs in one series of files, as most cameras keep them."""
    ordered = sorted(photos, key=lambda photo: photo["timestamp"])
    return [{**photo, "file_path": f"DCIM/100EK113/EK{number:06d}.JPG"} for number, photo in enumerate(ordered)]


def test_a_heartbeat_to_the_end_shows_that_the_camera_worked() -> None:
    """However quiet the place was."""
    quiet = photographs(visits=200)[:30]
    assert Kind.SILENT_END in {finding.kind for finding in found(quiet)}
    assert found([*quiet, *heartbeat(range(108))]) == []
    assert found(numbered([*quiet, *heartbeat(range(108))])) == []


def test_days_without_a_heartbeat_are_outages() -> None:
    """From the first silent day to the last, several spells at once; an animal that passed by shows the camera too."""
    days = [day for day in range(108) if day not in (10, *range(40, 47))]
    (finding,) = found(heartbeat(days))
    assert finding.kind is Kind.SILENT_DAYS
    assert finding.sentence.startswith("8 days without any photograph")
    assert proposed(finding) == {
        "outage1From": "2023-03-14", "outage1To": "2023-03-14", "outage2From": "2023-04-13", "outage2To": "2023-04-19",
    }  # fmt: skip
    passed = {**heartbeat([10])[0], "capture_method": "activityDetection"}
    (finding,) = found(numbered([*heartbeat(days), passed]))
    assert "outage2From" not in proposed(finding)


def test_a_heartbeat_that_stops_is_a_failure_at_once() -> None:
    """Four days without a daily photograph are no chance."""
    (finding,) = found(heartbeat(range(104)))
    assert (finding.kind, finding.severity) == (Kind.SILENT_END, Severity.WARNING)
    assert found(heartbeat(range(107))) == []


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 1000), st.integers(5, 107), st.sets(st.integers(1, 100), max_size=20), st.booleans(), st.booleans()
)
def test_every_proposed_outage_is_one_that_the_table_takes(
    seed: int, until: int, missing: set[int], start_is_date: bool, end_is_date: bool
) -> None:
    """Pasted into the row, the table is read without a problem, and the same silence is not told again."""
    days = [day for day in range(until) if day not in missing]
    photos = heartbeat(days) if seed % 2 else photographs(visits=100, seed=seed)[: 3 * until]
    start = SETUP.replace(hour=0) if start_is_date else SETUP
    end = RETRIEVAL.replace(hour=0) if end_is_date else RETRIEVAL
    more = {
        "deployment_start": start,
        "deployment_end": end,
        "start_is_date": start_is_date,
        "end_is_date": end_is_date,
    }
    silent = [item for item in found(photos, **more) if item.kind.startswith("silent")]
    cells = [pair for item in silent for pair in _renumbered(silent, item)]
    header = ["deploymentID", "deploymentStart", "deploymentEnd", *(name for name, _ in cells)]
    dates = [
        f"{start:%Y-%m-%d}" if start_is_date else start.isoformat(),
        f"{end:%Y-%m-%d}" if end_is_date else end.isoformat(),
    ]
    text = ",".join(header) + "\n" + ",".join(["d1", *dates, *(value for _, value in cells)]) + "\n"
    (row,) = parse_table(text, "deployments.csv").rows
    again = found(photos, **more, outages=row.deployment.outages)
    assert not [item for item in again if item.kind.startswith("silent")] or len(cells) >= 20


def _renumbered(findings: Sequence[Finding], one: Finding) -> list[tuple[str, str]]:
    """The cells of one finding, numbered on after those of the findings before it."""
    before = sum(len(item.proposal) // 2 for item in findings[: findings.index(one)])
    return [
        (f"outage{before + place // 2 + 1}{'To' if place % 2 else 'From'}", value)
        for place, (_, value) in enumerate(one.proposal)
    ]


# --- what belongs to what -----------------------------------------------------------------------------------------


def test_photographs_without_a_time_are_counted() -> None:
    """With the reasons, and examples to look at."""
    photos = photographs()
    photos += [
        {**photos[0], "timestamp": None, "trusted": False, "timestamp_issue": None, "file_path": f"x{n}.jpg"}
        for n in range(5)
    ]
    (finding,) = found(photos)
    assert (finding.kind, finding.media, len(finding.examples)) == (Kind.NO_TIME, 5, 3)
    assert "5 of 191 photographs have no time that counts (no_timestamp: 5)" in finding.sentence


def test_mapping_is_looked_into() -> None:
    """Deployments without photographs, those that are not in the table, and flags, each once."""
    photos = photographs()
    table = parse_table("deploymentID\nd2\n", "deployments.csv")
    named = deployment(photos=photos, source=DeploymentSource.PATTERN, flag="not in the deployments table")
    findings = check(survey([named, deployment("d2")], photos), table)
    assert {(item.kind, item.deployment_id) for item in findings} == {
        (Kind.NOT_IN_TABLE, "d1"),
        (Kind.NO_PHOTOGRAPHS, "d2"),
    }
    (finding,) = found(photos, flag="the folder says 2019, photographs say 2023")
    assert (finding.kind, finding.sentence) == (Kind.FLAGGED, "the folder says 2019, photographs say 2023")


def test_a_card_over_two_deployments() -> None:
    """A note where the card stayed in over a visit, a warning where it cannot have been at both places."""
    middle = SETUP + (RETRIEVAL - SETUP) / 2
    photos = [
        {**photo, "deployment_id": "d1" if photo["timestamp"] < middle else "d2", "card_name": "L1"}
        for photo in photographs()
    ]
    for location_id, severity in (("L1", Severity.NOTE), ("L2", Severity.WARNING)):
        items = [
            deployment("d1", [photo for photo in photos if photo["deployment_id"] == "d1"], deployment_end=middle),
            deployment(
                "d2",
                [photo for photo in photos if photo["deployment_id"] == "d2"],
                deployment_start=middle,
                location_id=location_id,
            ),
        ]
        (finding,) = check(survey(items, in_order(photos)), None)
        assert (finding.kind, finding.severity, finding.media) == (Kind.SHARED_CARD, severity, len(photos))


def test_a_camera_cannot_be_at_two_places() -> None:
    """By the table's cameraID, unless that only counts cameras within a station, or by the serial number on the photographs."""
    one, two = photographs("d1"), photographs("d2", seed=2)
    for camera_id, number in (("H123456", 1), ("cam1", 0), ("2", 0)):
        items = [
            deployment("d1", one, camera_id=camera_id),
            deployment("d2", two, camera_id=camera_id, location_id="L2"),
        ]
        findings = check(survey(items, one + two), None)
        assert [item.kind for item in findings] == [Kind.CAMERA_TWICE] * number
    with_serial = [{**photo, "camera_serial": "P900"} for photo in one + two]
    (finding,) = check(survey([deployment("d1", one), deployment("d2", two, location_id="L2")], with_serial), None)
    assert "serial number P900" in finding.sentence


def test_a_failure_that_the_table_tells_without_dates() -> None:
    """Wildlife Insights' camera_functioning."""
    (finding,) = found(photographs(), columns=(("camera_functioning", "Wildlife Damage"),))
    assert finding.kind is Kind.SAID_TO_FAIL
    assert found(photographs(), columns=(("camera_functioning", "Camera Functioning"),)) == []


def test_worst_comes_first() -> None:
    """Errors before warnings before notes."""
    photos = FAULTS["reset"](photographs())
    findings = check(survey([deployment(photos=photos, flag="look"), deployment("d0")], in_order(photos)), None)
    order = [Severity.ERROR, Severity.WARNING, Severity.NOTE]
    ranks = [order.index(item.severity) for item in findings]
    assert ranks == sorted(ranks)
    assert len(findings) == 3


POOLED = "folders below are not told apart (L1/a); drop them one by one, or name them in a deployments table"


def test_folders_that_are_not_told_apart_are_listed_and_one_alone_is_no_finding() -> None:
    """A card's only folder needs no telling apart; of several, all are named."""
    photos = photographs(visits=4)
    alone = [{**photo, "card_name": "L1", "file_path": f"a/{photo['file_path']}"} for photo in photos]
    assert found(alone, flag=POOLED) == []
    two = [{**photo, "file_path": f"{'ab'[at // 9]}{photo['file_path'][1:]}"} for at, photo in enumerate(alone)]
    (finding,) = [item for item in found(two, flag=f"look; {POOLED}") if item.sentence != "look"]
    assert "lie in 2 folders, which are not told apart: L1/a, L1/b" in finding.sentence


def test_a_flag_brings_its_own_remedy() -> None:
    """And what single photographs outside the dates say is left to the look at all of them."""
    flag = "reference photograph 'x.JPG' is not among this deployment's photographs; correct its name"
    (finding,) = found(photographs(), flag=flag)
    assert (finding.sentence, finding.remedy) == (flag.removesuffix("; correct its name"), "correct its name")
    assert not found(photographs(), flag="photographs of 2023-03-04 lie outside its dates; correct these, or the clock")


def test_many_that_say_the_same_are_one_for_people() -> None:
    """The sum of their photographs, the first of their names; what differs stays apart."""
    items = [deployment(f"d{number}") for number in range(8)]
    findings = check(survey(items), None)
    assert len(findings) == 8
    (finding,) = together(findings)
    assert finding.deployment_id == "d0, d1, d2, d3, d4 and 3 more"
    photos = photographs("d9")
    mixed = check(survey([*items, deployment("d9", photos, flag="look")], photos), None)
    assert [item.deployment_id for item in together(mixed)] == [finding.deployment_id, "d9"]


# --- a table that was changed ---------------------------------------------------------------------------------------

WHOLE = (
    "deploymentID,locationID,locationName,latitude,longitude,deploymentStart,deploymentEnd,outage1From,outage1To,"
    "clockOffset,clockOffsetEnd,elevation,folder\n"
    "d1,L1,Ford,54.5,-1.25,2023-03-04,2023-06-20,2023-05-01,2023-05-02,0,-00:10:00,120,d1\n"
    "d2,L2,,,,,,,,,,,\n"
)


def mapped_with(text: str, photos: Sequence[Photo] = ()) -> Survey:
    """A survey whose deployments are those of a table."""
    read = parse_table(text, "deployments.csv")
    places = {location.location_id: location for location in read.locations}
    items = [SurveyDeployment(row.deployment, places[row.deployment.location_id], None, None, 0) for row in read.rows]
    return survey(items, photos)


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        ("", "", None),
        ("2023-06-20", "2023-06-21", "(d1)"),
        ("2023-05-02", "2023-05-03", "(d1)"),
        ("-00:10:00", "-00:11:00", "(d1)"),
        ("54.5", "54.6", "(d1)"),
        (",120,", ",130,", "(d1)"),
        ("d2,", "d3,", "(d2, d3)"),
        ("d2,L2,,,,,,,,,,,\n", "", "(d2)"),
    ],
)
def test_a_table_that_was_changed_since_is_told(before: str, after: str, names: str | None) -> None:
    """Whatever was changed in it; what follows from it is not in the results yet."""
    now = parse_table(WHOLE.replace(before, after), "deployments.csv")
    finding = changed(mapped_with(WHOLE), now)
    if names is None:
        assert finding is None
    else:
        assert finding is not None
        assert names in finding.sentence
        assert "ctwatch rederive" in finding.remedy


def test_a_folder_that_was_written_into_the_table_since_is_told() -> None:
    """If there are photographs in it that do not count for its row."""
    photos = photographs("elsewhere", visits=1)
    seen = mapped_with(WHOLE, photos)
    stray = deployment("elsewhere", photos, source=DeploymentSource.PATTERN)
    seen = replace(seen, deployments=(*seen.deployments, stray))
    assert changed(seen, parse_table(WHOLE, "deployments.csv")) is None
    finding = changed(seen, parse_table(WHOLE.replace(",120,d1", ",120,Elsewhere"), "deployments.csv"))
    assert finding is not None
    assert "(d1)" in finding.sentence


# --- the draft ----------------------------------------------------------------------------------------------------


def small() -> Survey:
    """A survey as it is before anybody wrote a table, and one row of a table with everything in it."""
    named = photographs("L01_CAM2", end=datetime(2023, 4, 1), visits=2)
    facts = {"camera_make": "RECONYX", "camera_model": "HF2X", "camera_serial": "H9"}
    named = [{**photo, **facts, "card_name": "L01", "file_path": f"CAM2/{photo['file_path']}"} for photo in named]
    reset = photographs("L02", visits=3)
    reset = [{**photo, "timestamp": photo["timestamp"].replace(microsecond=0)} for photo in reset]
    reset = shifted(reset, 3, 9, after_reset(datetime(2015, 1, 1), reset[3]["timestamp"]))
    pattern = {"source": DeploymentSource.PATTERN, "deployment_start": None, "deployment_end": None}
    kept = parse_table(
        "deploymentID,locationID,locationName,latitude,longitude,cameraID,cameraModel,deploymentStart,deploymentEnd,"
        "outage1From,outage1To,outage1Note,clockOffset,clockOffsetEnd,featureType,deploymentComments,elevation\n"
        'd1,L03,"Ford, upper",54.5,-1.25,H3,HC500,2023-03-04,2023-06-20,2023-05-01,2023-05-02,bear,0,-00:10:00,trailGame,wet,120\n',
        "deployments.csv",
    )
    (row,) = kept.rows
    old = SurveyDeployment(row.deployment, kept.locations[0], None, None, 0)
    items = [
        replace(old),
        deployment("L01_CAM2", named, location_id="L01", camera_id="CAM2", **pattern),
        deployment("L02", reset, location_id="L02", **pattern),
        deployment("L04 unassigned", (), location_id="L04", **pattern),
    ]
    return survey(items, in_order(named + reset))


def test_the_draft_is_the_golden_one() -> None:
    """Byte for byte; reviewed by eye. What is proposed stands in a comment, the table's own row is as it was."""
    seen = small()
    assert draft(seen, check(seen, None)) == (GOLDEN / "draft.csv").read_text("utf-8")


def test_the_draft_is_read_as_what_was_there() -> None:
    """The row of the table comes back whole; photographs map to the rows drafted for them."""
    seen = small()
    read = parse_table(draft(seen, ()), "draft.csv")
    by_id = {row.deployment.deployment_id: row for row in read.rows}
    assert set(by_id) == {"d1", "L01_CAM2", "L02"}
    assert by_id["d1"].deployment == seen.deployments[0].deployment
    assert read.locations[0] == seen.deployments[0].location
    assert by_id["L01_CAM2"].folder == "L01/CAM2"
    assert by_id["L01_CAM2"].deployment.camera_model == "RECONYX-HF2X"
    mapping = Mapping(read, compile_pattern(DEFAULT_PATTERN))
    mine, _ = assign(mapping, inbox_name="inbox", folders=["L01", "CAM2", "DCIM"], serial=None, taken=SETUP)
    assert mine.deployment_id == "L01_CAM2"


def test_the_draft_names_the_folder_above_all_photographs_where_it_is_theirs_alone() -> None:
    """So that the row still finds them when it gets another name; the folders below are listed."""
    photos = photographs(visits=3)
    sites = [
        {**photo, "card_name": "CARD", "file_path": f"{'ab'[at % 2]}/x{at:04d}.JPG"} for at, photo in enumerate(photos)
    ]
    other = [{**photo, "deployment_id": "d2", "file_path": f"c/{photo['file_path'][2:]}"} for photo in sites]
    items = [deployment(photos=sites, source=DeploymentSource.PATTERN)]
    (row,) = parse_table(draft(survey(items, in_order(sites)), ()), "draft.csv").rows
    assert row.folder == "CARD"
    comments = dict(row.deployment.columns)["deploymentComments"]
    assert "photographs of 2 folders: CARD/a, CARD/b: a row for each" in comments
    items.append(deployment("d2", other, source=DeploymentSource.PATTERN))
    both = parse_table(draft(survey(items, in_order(sites + other)), ()), "draft.csv").rows
    assert [row.folder for row in both] == ["CARD", "CARD/c"]
    spread = [{**photo, "file_path": f"{'ac'[at % 2]}/y{at:04d}.JPG"} for at, photo in enumerate(other)]
    items[1] = deployment("d2", spread, source=DeploymentSource.PATTERN)
    both = parse_table(draft(survey(items, in_order(sites + spread)), ()), "draft.csv").rows
    assert [row.folder for row in both] == [None, None]


names = st.one_of(
    st.sampled_from(["L01", "L01__a", "L01_a", "-x", "=1", "NA", "a,b", 'q"', "a;b", "'=x", "DCIM", "10", "-5"]),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).map(str.strip).filter(bool),
)
moments = st.none() | st.datetimes(datetime(1995, 1, 1), datetime(2099, 1, 1))


@st.composite
def surveys(draw: st.DrawFn) -> Survey:
    """Deployments as folder names make them, with photographs at any time."""
    items, photos = [], []
    for deployment_id in draw(st.lists(names, max_size=5, unique=True)):
        times = draw(st.lists(moments, max_size=4))
        mine = [
            {"deployment_id": deployment_id, "timestamp": time, "trusted": time is not None, "card_name": draw(names),
             "file_path": f"{draw(names)}/IMG_{number}.JPG", "camera_serial": draw(st.sampled_from([None, "S1"]))}
            for number, time in enumerate(times)
        ]  # fmt: skip
        columns = draw(st.lists(st.tuples(names, names), max_size=2, unique_by=lambda pair: pair[0]))
        items.append(
            deployment(
                deployment_id,
                mine,
                location_id=draw(names),
                location_name=draw(st.none() | names),
                camera_id=draw(st.none() | names),
                source=DeploymentSource.FOLDER,
                deployment_start=None,
                deployment_end=None,
                columns=tuple(columns),
            )
        )
        photos += mine
    return survey(items, in_order(photos))


@settings(deadline=None, max_examples=200)
@given(surveys())
def test_every_draft_is_a_table_without_problems(seen: Survey) -> None:
    """Whatever the folders are called and the clocks showed; with a row for each deployment, nothing but strings lost."""
    findings = check(seen, None)
    read = parse_table(draft(seen, findings), "draft.csv")
    assert len(read.rows) == len(seen.deployments)
    assert len({row.deployment.location_id for row in read.rows}) <= len(
        {item.deployment.location_id for item in seen.deployments}
    )


def test_checks_take_an_empty_survey() -> None:
    """Nothing there, nothing found, a table of a header alone."""
    assert check(survey(), None) == []
    assert draft(survey(), ()).startswith("deploymentID,locationID,locationName,latitude,longitude,")
    assert np.size(survey().media.timestamp) == 0
