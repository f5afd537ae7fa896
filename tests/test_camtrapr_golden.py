"""The replay of camtrapR's own results: all of them agree, and a wrong one would be found."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from camtrapr_golden import main as command
from camtrapr_golden import moment, replay
from shared_data import SHARED, needs_shared

CT_TABLE = """Station,Camera,session,Setup,Retrieval,Problem1_from,Problem1_to
A,c1,1,01/03/2021,05/03/2021,03/03/2021,03/03/2021
A,c2,1,02/03/2021,05/03/2021,,
"""
BY_CAMERA = """"","2021-03-01","2021-03-02","2021-03-03","2021-03-04","2021-03-05"
"A__SESS_1__CAM_c1",0.5,1,0,1,0.5
"A__SESS_1__CAM_c2",NA,0.5,1,1,0.5
"""
OPERATION = """"","2021-03-01","2021-03-02","2021-03-03","2021-03-04"
"A",1,1,0,0.5
"B",NA,1,1,NA
"""
RECORDS = """Place,What,When,count
A,fox,2021-03-01 10:00:00,1
A,fox,2021-03-01 10:30:00,3
A,fox,2021-03-02 00:00:00,2
B,owl,2021-03-03 09:00:00,1
"""
HISTORY = '"","o1","o2"\n"A",1,0\n"B",0,0\n'
EFFORT = '"","o1","o2"\n"A",2,0.5\n"B",1,1\n'
SCALED = '"","o1","o2"\n"A",1.39076,-0.9934\n"B",-0.19868,-0.19868\n'
FILTERED = """Place,What,When,count,n_images,count_max,Date,Time,delta.time.secs,delta.time.mins,delta.time.hours,delta.time.days
A,fox,2021-03-01 10:00:00,1,2,3,2021-03-01,10:00:00,0,0,0,0
A,fox,2021-03-02 00:00:00,2,1,2,2021-03-02,00:00:00,48600,810,13.5,0.6
B,owl,2021-03-03 09:00:00,1,1,1,2021-03-03,09:00:00,0,0,0,0
"""
COLUMNS = {"stationCol": "Place", "speciesCol": "What", "recordDateTimeCol": "When"}
TABLE: dict[str, Any] = {
    "id": "cameras",
    "fun": "cameraOperation",
    "args": {
        "CTtable": "ct.csv", "setupCol": "Setup", "retrievalCol": "Retrieval", "cameraCol": "Camera",
        "sessionCol": "session", "hasProblems": "TRUE", "byCamera": True, "dateFormat": "%d/%m/%Y",
    },
    "files": "by_camera.csv",
}  # fmt: skip
DETECTIONS: dict[str, Any] = {
    "id": "weeks",
    "fun": "detectionHistory",
    "args": {
        **COLUMNS, "recordTable": "records.csv", "camOp": "operation.csv", "species": "fox", "occasionLength": "2",
        "timeZone": "Europe/Brussels",
    },
    "files": {"detection_history": "history.csv", "effort": "effort.csv"},
}  # fmt: skip
FILTER: dict[str, Any] = {
    "id": "hour",
    "fun": "filterRecordTable",
    "args": {
        **COLUMNS, "recordTable": "records.csv", "minDeltaTime": 60, "deltaTimeComparedTo": "lastRecord",
        "eventSummaryColumn": "count", "eventSummaryFunction": "max",
    },
    "files": ["filtered*.csv"],
}  # fmt: skip


def manifest(folder: Path, *calls: dict[str, Any], **texts: str) -> Path:
    """Write a folder with small tables made by hand, some of them changed, and a manifest of calls."""
    tables = {
        "ct": CT_TABLE, "by_camera": BY_CAMERA, "operation": OPERATION, "records": RECORDS, "history": HISTORY,
        "effort": EFFORT, "scaled": SCALED, "filtered": FILTERED, **texts,
    }  # fmt: skip
    for name, content in tables.items():
        (folder / f"{name}.csv").write_text(content, "utf-8")
    (folder / "manifest.json").write_text(
        json.dumps([{"error": None, "warnings": [], **call} for call in calls]), "utf-8"
    )
    return folder


def changed(call: dict[str, Any], files: Any = None, **arguments: Any) -> dict[str, Any]:
    return {**call, "files": call["files"] if files is None else files, "args": {**call["args"], **arguments}}


@needs_shared
def test_every_result_of_camtrapr_agrees() -> None:
    """Camera operation, histories, effort, scaling, records and reports, cell for cell."""
    verdicts = replay(SHARED / "golden" / "camtrapr")
    assert [item for item in verdicts if item.outcome != "agrees"] == []
    assert len(verdicts) == 715


def test_calls_made_by_hand_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By camera, by occasion with defaults left out, scaled, and filtered."""
    scaled = changed(
        DETECTIONS,
        {"effort": "scaled.csv"},
        scaleEffort=True,
    )
    folder = manifest(tmp_path, TABLE, DETECTIONS, scaled, FILTER)
    assert command([str(folder)]) == 0
    assert capsys.readouterr().out == (
        "4 calls: 4 agree in every cell, 0 refused by camtrapR are expressed, 0 differ, 0 cannot be expressed\n"
    )


@pytest.mark.parametrize(
    ("call", "table", "right", "wrong", "told"),
    [
        (TABLE, "by_camera", "NA,0.5,1", "0,0.5,1", "operation [A__SESS_1__CAM_c2, 2021-03-01]: nan, camtrapR has 0"),
        (TABLE, "by_camera", "CAM_c2", "CAM_c3", "rows"),
        (TABLE, "by_camera", "2021-03-02", "2021-03-09", "column '2021-03-02', camtrapR has '2021-03-09'"),
        (DETECTIONS, "history", '"B",0', '"B",1', "history [B, o1]: 0, camtrapR has 1"),
        (DETECTIONS, "effort", "0.5", "0.5003", "effort [A, o2]: 0.5, camtrapR has 0.5003"),
        (FILTER, "filtered", "48600", "48601", "delta.time.secs of A fox 2021-03-02 00:00:00: 48600.0"),
        (FILTER, "filtered", ",2,3,", ",2,4,", "count_max of A fox 2021-03-01 10:00:00: 3.0, camtrapR has 4"),
        (FILTER, "records", "B,owl,2021-03-03 09:00:00,1\n", "", "2 records, camtrapR has 3"),
    ],
)
def test_a_wrong_cell_is_found(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    call: dict[str, Any],
    table: str,
    right: str,
    wrong: str,
    told: str,
) -> None:
    """And named; the exit code says so."""
    texts = {"by_camera": BY_CAMERA, "history": HISTORY, "effort": EFFORT, "filtered": FILTERED, "records": RECORDS}
    assert right in texts[table]
    folder = manifest(tmp_path, call, **{table: texts[table].replace(right, wrong, 1)})
    assert command([str(folder)]) == 1
    said = capsys.readouterr().out
    assert f"differs       {call['id']}: " in said
    assert told in said
    assert "1 differ" in said


def test_what_cannot_be_expressed_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the reason, and does not count as different."""
    folder = manifest(
        tmp_path,
        changed(TABLE, sparkle=True),
        {**TABLE, "fun": "imageRename"},
        changed(DETECTIONS, files={}),
        changed(FILTER, eventSummaryFunction="system"),
    )
    assert command([str(folder)]) == 0
    said = capsys.readouterr().out
    for reason in ("argument sparkle", "function imageRename", "names no file", "'system' is none of sum"):
        assert reason in said
    assert "4 cannot be expressed" in said


def test_vectors_of_one_and_missing_arguments_are_read_however_they_were_written(tmp_path: Path) -> None:
    """R's writers of JSON put single values into lists, or not; what was not given is null, NA or empty."""
    lists = {name: [value] for name, value in TABLE["args"].items()}
    listed = {**TABLE, "args": {**lists, "occasionStartTime": None, "allCamsOn": "NULL"}, "error": [], "warnings": {}}
    several = changed(
        DETECTIONS,
        {"detection_history": {"fox": "history.csv", "owl": "owls.csv"}, "effort": ["effort.csv"]},
        species=["fox", "owl"],
        buffer="NA",
        maxNumberDays={},
    )
    owls = '"","o1","o2"\n"A",0,0\n"B",0,1\n'
    verdicts = replay(manifest(tmp_path, listed, several, owls=owls))
    assert [item.outcome for item in verdicts] == ["agrees", "agrees"], verdicts


def test_by_camera_it_does_not_matter_whether_all_were_on(tmp_path: Path) -> None:
    """camtrapR says that the arguments have no effect; the default layout is a date of year, month and day."""
    dated = "Station,Camera,session,Setup,Retrieval,Problem1_from,Problem1_to,Problem10_from,Problem10_to\n" + "".join(
        f"A,{camera},1,2021-03-0{first},2021-03-05,,,{problem}\n"
        for camera, first, problem in (("c1", 1, "2021-03-03,2021-03-03"), ("c2", 2, ","))
    )
    arguments = {name: value for name, value in TABLE["args"].items() if name != "dateFormat"}
    call = {**TABLE, "args": {**arguments, "allCamsOn": True, "camerasIndependent": False}}
    assert [(item.outcome, item.detail) for item in replay(manifest(tmp_path, call, ct=dated))] == [("agrees", "")]


SEASONS = """"","2021-03-01","2021-03-02","2021-03-03","2021-03-04"
"A__SESS_1",1,1,NA,NA
"A__SESS_2",NA,NA,NA,1
"""


def test_records_are_of_the_session_of_their_day_in_utc(tmp_path: Path) -> None:
    """Those of days without a camera are of none, whatever occasion is there; the last date is told in UTC, too."""
    times = ("2021-03-02 06:30", "2021-03-03 10:00:00", "2021-03-04 03:00:00", "2021-03-04 20:00:00")
    records = "Place,What,When\n" + "".join(f"A,fox,{time}\n" for time in times)
    names = '"","2021-03-01_2021-03-02","2021-03-03_2021-03-04"\n'
    call = changed(
        DETECTIONS,
        {"detection_history": "history.csv"},
        timeZone="Asia/Kuala_Lumpur",
        output="count",
        datesAsOccasionNames=True,
        unmarkedMultFrameInput=False,
    )
    folder = manifest(
        tmp_path, call, operation=SEASONS, records=records, history=names + '"A__SESS_1",1,NA\n"A__SESS_2",NA,1\n'
    )
    assert [(item.outcome, item.detail) for item in replay(folder)] == [("agrees", "")]
    west = names.replace("2021-03-04", "2021-03-05")
    call["args"]["timeZone"] = "America/Bogota"
    (tmp_path / "west").mkdir()
    folder = manifest(
        tmp_path / "west",
        call,
        operation=SEASONS,
        records=records,
        history=west + '"A__SESS_1",1,NA\n"A__SESS_2",NA,1\n',
    )
    assert [(item.outcome, item.detail) for item in replay(folder)] == [("agrees", "")]


def test_the_survey_report_has_dates_of_stations_without_records(tmp_path: Path) -> None:
    """And no rows of zeros of them; a record whose time cannot be read is in no filtered table."""
    table = "Place,Setup,Retrieval\nA,2021-03-01,2021-03-04\nB,2021-03-02,2021-03-03\n"
    records = RECORDS.replace("B,owl,2021-03-03 09:00:00,1\n", "")
    dates = (
        "Place,setup,retrieval,image_first,image_last,n_cameras,n_calendar_days_total,n_calendar_days_active,"
        "n_calendar_days_inactive,n_trap_nights_active\n"
        "A,2021-03-01,2021-03-04,2021-03-01,2021-03-02,1,4,3,1,2.5\nB,2021-03-02,2021-03-03,NA,NA,1,2,2,0,2\n"
    )
    report = {
        "id": "report",
        "fun": "surveyReport",
        "args": {
            **COLUMNS, "recordTable": "records.csv", "CTtable": "ct.csv", "camOp": "operation.csv", "setupCol": "Setup",
            "retrievalCol": "Retrieval", "CTDateFormat": "ymd",
        },
        "files": ["report__survey_dates.csv", "report__events_by_station2.csv"],
    }  # fmt: skip
    unreadable = RECORDS + "B,owl,2021-03-03,1\n"
    texts = {"report__survey_dates": dates, "report__events_by_station2": "Place,What,n_events\nA,fox,3\n"}
    calls = replay(manifest(tmp_path, report, ct=table, records=records, **texts))
    (tmp_path / "filter").mkdir()
    calls += replay(manifest(tmp_path / "filter", FILTER, records=unreadable))
    assert [item for item in calls if item.outcome != "agrees"] == []


def test_a_call_that_camtrapr_refused_is_expressed(tmp_path: Path) -> None:
    """A species without records is zeros to us, cameras without a column are refused by us, too."""
    nobody = {**changed(DETECTIONS, files={}, species="lynx"), "error": "species lynx not found"}
    nowhere = {**changed(TABLE, files={}, cameraCol="Kamera"), "error": "not a column name"}
    verdicts = replay(manifest(tmp_path, nobody, nowhere))
    assert Counter(item.outcome for item in verdicts) == {"refused": 2}


def test_a_folder_without_a_manifest_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and how to call it."""
    assert command([str(tmp_path)]) == command([]) == 2
    assert "manifest.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        ("2021-03-04 05:06:07", "ymd HMS"), ("2021-03-04T05:06:07Z", "ymd_HMS"), ("04.03.2021 05:06:07", "dmy HMS"),
        ("03/04/2021 05:06:07", "mdy HMS"), ("04/03/21 05:06:07", "dmy HMS"), ("2021-03-04 05:06:07", "%Y-%m-%d %H:%M:%S"),
        ("2021-03-04 05:06:07", "%F %T"), ("4 Mar 2021 05:06:07", "%d %b %Y %H:%M:%S"),
    ],
)  # fmt: skip
def test_times_are_read_in_the_layouts_of_r(text: str, layout: str) -> None:
    """lubridate's orders and strptime's formats."""
    assert f"{moment(text, layout)}" == "2021-03-04 05:06:07"
    with pytest.raises(ValueError, match="is not"):
        moment("yesterday", layout)
