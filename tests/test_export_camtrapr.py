"""Tables for camtrapR: their bytes, and camtrapR's own results from the same cameras and photographs."""

import csv
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from shared_data import SHARED, needs_shared
from surveys import place, survey

from ctwatch.domain import Outage
from ctwatch.export.camtrapr import write
from ctwatch.occupancy import Compared, camera_operation, period
from ctwatch.survey import Survey, SurveyDeployment

GOLDEN = Path(__file__).parent / "golden" / "camtrapr"
OF_CAMTRAPR = SHARED / "golden" / "camtrapr"
HOSTILE = '=HYPERLINK("x"),\n../ä'


def made(
    deployments: Sequence[SurveyDeployment],
    photographs: Iterable[dict[str, Any]],
    effort: Iterable[dict[str, Any]] = (),
) -> Survey:
    """A survey whose effort is that of the deployments with dates, and whose photographs each show one thing."""
    photographs = list(photographs)
    dated = [item.deployment for item in deployments if item.deployment.deployment_end]
    worked = camera_operation(
        [
            period(
                item.location_id,
                item.deployment_start or datetime.min,
                item.deployment_end or datetime.min,
                start_is_date=item.start_is_date,
                end_is_date=item.end_is_date,
                outages=item.outages,
            )
            for item in dated
        ]
    )
    days = [
        {"location_id": where, "day": worked.first_day + timedelta(days=column), "camera_days": value}
        for where, row in zip(worked.location_ids, worked.days.tolist(), strict=True)
        for column, value in enumerate(row)
        if value == value
    ]
    return survey(
        deployments,
        media=[
            {
                "media_id": f"m{number}",
                "deployment_id": item["where"],
                "timestamp": item["when"],
                "card_name": item.get("card", "CARD"),
                "file_path": item.get("file", f"DCIM/100/IMG_{number:04}.JPG"),
                "source_path": item.get("source"),
            }
            for number, item in enumerate(photographs)
        ],
        observations=[
            {
                "level": level,
                "deployment_id": item["where"],
                "media_id": f"m{number}" if level == "media" else None,
                "event_start": item["when"],
                "scientific_name": name,
                "observation_type": "animal" if name != "human" else "human",
                "count": item.get("count"),
            }
            for number, item in enumerate(photographs)
            for name in item["seen"]
            for level in ("event", "media")
        ],
        effort=[*days, *effort],
    )


def small() -> Survey:
    """Three stations: dates only with an outage, date-times, and one without dates."""
    day = datetime(2026, 5, 1)
    return made(
        [
            place(
                "d1", "L01", latitude=-1.5, longitude=30.25, deployment_start=day, deployment_end=datetime(2026, 5, 9),
                start_is_date=True, end_is_date=True, camera_id="c1",
                outages=(Outage(datetime(2026, 5, 4), datetime(2026, 5, 5), is_date=True),),
            ),
            place(
                "d2", "L02, \"b\"", latitude=-1.25, longitude=30.5, deployment_start=datetime(2026, 5, 3, 9, 30),
                deployment_end=datetime(2026, 5, 7, 7), camera_id="c2",
            ),
            place("d3", "L__03"),
        ],
        [
            {"where": "d1", "when": datetime(2026, 5, 2, 3), "seen": ["Panthera pardus"], "source": "/in/C/100/A.JPG"},
            {"where": "d1", "when": datetime(2026, 5, 2, 3), "seen": ["Panthera pardus"]},
            {"where": "d1", "when": datetime(2026, 5, 2, 3, 0, 9), "seen": ["Panthera pardus", HOSTILE], "count": 2},
            {"where": "d1", "when": datetime(2026, 5, 2, 4), "seen": ["Panthera pardus"], "count": 1},
            {"where": "d1", "when": None, "seen": ["Panthera pardus"]},
            {"where": "d2", "when": datetime(2026, 5, 6, 23, 59, 59), "seen": ["Papio ursinus", None]},
            {"where": "d2", "when": datetime(2026, 5, 6, 23), "seen": ["human"]},
            {"where": "d3", "when": datetime(2026, 5, 6, 7), "seen": ["Papio ursinus"]},
        ],
        [{"location_id": "L__03", "day": date(2026, 5, 6), "assumed": True}],
    )  # fmt: skip


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def test_exports_are_these_bytes(tmp_path: Path) -> None:
    """Names of files and columns, order, times, NA, quoting."""
    write(tmp_path, small(), exclude=("HUMAN",))
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    golden = {path.name: path.read_bytes() for path in GOLDEN.iterdir()}
    assert written == golden, subprocess.run(
        ["diff", "-ru", str(GOLDEN), str(tmp_path)], capture_output=True, text=True, check=False
    ).stdout


def test_everything_that_is_in_no_table_is_said(tmp_path: Path) -> None:
    """Photographs without time or name, left out on purpose, of the same second; stations camtrapR will not take."""
    said = "\n".join(write(tmp_path, small(), exclude=("HUMAN",)).sentences)
    for words in (
        "1 photograph of animals without a name", "1 photograph without a time", "1 photograph of species that are left out",
        "1 photograph of the same station, species and second", "assumed", "two underscores, which L__03 has", "lack",
    ):  # fmt: skip
        assert words in said
    readme = " ".join((tmp_path / "README.txt").read_text("utf-8").split())
    assert all(sentence in readme for sentence in said.splitlines())


def test_records_at_stations_that_were_never_set_up_are_said(tmp_path: Path) -> None:
    """camtrapR stops at them."""
    lone = made([place("d1", "L01")], [{"where": "d1", "when": datetime(2026, 5, 2), "seen": ["Lynx lynx"]}])
    assert any("1 record at stations without a row" in sentence for sentence in write(tmp_path, lone).sentences)


def test_cameras_side_by_side_have_their_names_in_both_tables(tmp_path: Path) -> None:
    """camtrapR looks records up by station and camera."""
    start, end = datetime(2026, 5, 1), datetime(2026, 5, 9)
    pair = [place(name, "L01", deployment_start=start, deployment_end=end, camera_id=name) for name in ("c1", "c2")]
    when = datetime(2026, 5, 2)
    write(tmp_path, made(pair, [{"where": "c2", "when": when, "seen": ["Lynx lynx"]}]))
    (record,) = table(tmp_path / "record_table.csv")
    assert list(record)[:3] == ["Station", "Camera", "Species"]
    assert record["Camera"] in {row["Camera"] for row in table(tmp_path / "stations.csv")}


def test_an_empty_survey_has_empty_tables(tmp_path: Path) -> None:
    """Headers, and nothing below."""
    written = write(tmp_path, survey())
    assert (tmp_path / "camera_operation.csv").read_text() == '""\n'
    assert all(len(path.read_text().splitlines()) == 1 for path in written.paths if path.suffix == ".csv")


def test_the_interval_and_what_it_is_counted_from_are_the_callers(tmp_path: Path) -> None:
    """camtrapR has no default for the latter."""
    start = datetime(2026, 5, 1)
    every = [{"where": "d1", "when": start + timedelta(minutes=20 * n), "seen": ["Lynx lynx"]} for n in range(16)]
    stay = made([place("d1", "L01", deployment_start=start, deployment_end=start + timedelta(days=2))], every)
    lengths = []
    for compared in Compared:
        write(tmp_path, stay, compared=compared)
        lengths.append(len(table(tmp_path / "record_table.csv")))
    write(tmp_path, stay, independence_min=0)
    assert [*lengths, len(table(tmp_path / "record_table.csv"))] == [6, 1, 16]


def of_sample() -> tuple[list[SurveyDeployment], list[dict[str, Any]]]:
    """camtrapR's sample survey: dates of its stations, and all the photographs that its recordTable found."""
    deployments = []
    for row in table(OF_CAMTRAPR / "inputs" / "camtraps.csv"):
        start, end, first, last = (
            datetime.strptime(row[name], "%d/%m/%Y") if row[name] else None
            for name in ("Setup_date", "Retrieval_date", "Problem1_from", "Problem1_to")
        )
        outages = (Outage(first, last, is_date=True),) if first and last else ()
        dates = {"deployment_start": start, "deployment_end": end, "start_is_date": True, "end_is_date": True}
        deployments.append(place(row["Station"], row["Station"], **dates, outages=outages))
    photographs = [
        {
            "where": row["Station"],
            "when": datetime.fromisoformat(row["DateTimeOriginal"]),
            "seen": [row["Species"]],
            "source": f"{row['Directory']}/{row['FileName']}",
        }
        for row in table(OF_CAMTRAPR / "records" / "rt_all.csv")
    ]
    return deployments, photographs


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="Rscript is not installed")
def test_the_r_of_the_readme_reads_these_files(tmp_path: Path) -> None:
    """The lines of base R run as they stand there: rows, names, NA and species arrive as detectionHistory wants them."""
    write(tmp_path, small())
    lines = (tmp_path / "README.txt").read_text("utf-8").splitlines()
    reading = [line for line in lines if "read.csv(" in line]
    checks = """
    stopifnot(identical(rownames(operation), c("L01", 'L02, "b"', "L__03")), ncol(operation) == 9, is.numeric(operation))
    stopifnot(identical(colnames(operation), as.character(seq(as.Date("2026-05-01"), by = 1, length.out = 9))))
    stopifnot(sum(is.na(operation)) == 12, all(records$Station %in% rownames(operation)), "Panthera pardus" %in% records$Species)
    times <- as.POSIXct(records$DateTimeOriginal, tz = "UTC")
    stopifnot(!anyNA(times), identical(format(times, "%H:%M:%S"), records$Time), is.numeric(records$count))
    setup <- as.POSIXct(stations$Setup_date, tz = "UTC")
    stopifnot(!anyNA(setup), all(setup < as.POSIXct(stations$Retrieval_date, tz = "UTC")), is.na(stations$Problem1_to[2]))
    cat("fine")
    """
    script = tmp_path / "read.R"
    script.write_text("\n".join([*reading, checks]), "utf-8")
    ran = subprocess.run(["Rscript", "--vanilla", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.stdout == "fine", ran.stderr


@needs_shared
def test_the_operation_of_camtraprs_sample_is_its_own_file_byte_for_byte(tmp_path: Path) -> None:
    """What cameraOperation(writecsv = TRUE) wrote for the same stations, problems included."""
    write(tmp_path, made(*of_sample()))
    (theirs,) = (OF_CAMTRAPR / "writecsv").glob("CameraOperationMatrix*.csv")
    assert (tmp_path / "camera_operation.csv").read_bytes() == theirs.read_bytes()


@needs_shared
@pytest.mark.parametrize("compared", list(Compared))
def test_the_records_of_camtraprs_sample_are_its_own(tmp_path: Path, compared: Compared) -> None:
    """Every column of recordTable(minDeltaTime = 60, exclude = "UNID"), seconds to the digit, the rest as roundly as R rounds."""
    write(tmp_path, made(*of_sample()), compared=compared, exclude=("unid",))
    ours, theirs = table(tmp_path / "record_table.csv"), table(OF_CAMTRAPR / "records" / f"rt_60_{compared}.csv")
    assert list(ours[0])[:-2] == list(theirs[0])
    rounded = [f"delta.time.{unit}" for unit in ("mins", "hours", "days")]
    for mine, other in zip(ours, theirs, strict=True):
        for name, value in other.items():
            if name in rounded:
                assert float(mine[name]) == pytest.approx(float(value), abs=0.11)
            else:
                assert mine[name] == value


@needs_shared
def test_the_report_of_camtraprs_sample_is_its_own(tmp_path: Path) -> None:
    """surveyReport without problems, cell for cell."""
    deployments, _ = of_sample()
    whole = [
        place(
            item.location.location_id, item.location.location_id, start_is_date=True, end_is_date=True,
            deployment_start=item.deployment.deployment_start, deployment_end=item.deployment.deployment_end,
        )
        for item in deployments
    ]  # fmt: skip
    sample = [
        {"where": row["Station"], "when": datetime.fromisoformat(row["DateTimeOriginal"]), "seen": [row["Species"]]}
        for row in table(OF_CAMTRAPR / "inputs" / "recordTableSample.csv")
    ]
    write(tmp_path, made(whole, sample), independence_min=0)
    for name in ("survey_dates", "species_by_station", "events_by_species", "events_by_station", "events_by_station2"):
        theirs = table(OF_CAMTRAPR / "report" / f"camtraps_noproblem__{name}.csv")
        assert table(tmp_path / f"{name}.csv") == theirs
