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
