"""Deployments tables of every dialect: read the same, nothing guessed, all problems with their remedy; and camtrapR's back."""

import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_data import SHARED, needs_shared
from surveys import place

from ctwatch.deployments import DeploymentTable, camtrap_dp_value, parse_table, site_covariates
from ctwatch.deployments.camtrapr import camera_names, station_table
from ctwatch.domain import ClockPoint, ClockReference, Deployment, Outage
from ctwatch.errors import ConfigError
from ctwatch.export.files import csv_text

GOLDEN = Path(__file__).parent / "golden" / "deployments"
START, END = datetime(2024, 3, 1, 14), datetime(2024, 5, 1, 9, 30)

CAMTRAP_DP = """\
deploymentID,locationID,locationName,latitude,longitude,coordinateUncertainty,deploymentStart,deploymentEnd,setupBy,\
cameraID,cameraModel,cameraDelay,cameraHeight,cameraDepth,cameraTilt,cameraHeading,detectionDistance,timestampIssues,\
baitUse,featureType,habitat,deploymentGroups,deploymentTags,deploymentComments
d1,L1,Ford,54.5,-1.25,30,2024-03-01T14:00:00+01:00,2024-05-01T09:30:00+01:00,Ann,H1,RECONYX-HF2X,0,0.5,,-5,180,3,\
false,true,trailGame,beech wood,area:north,bait:none,"wet, muddy"
"""
CAMTRAPR = """\
"Station","utm_y","utm_x","Setup_date","Retrieval_date","Problem1_from","Problem1_to","Problem2_from","Problem2_to"
"A",604000,526000,"02/04/2009","14/05/2009","","","",""
"B",606000,523000,"03/04/2009","16/05/2009","12/05/2009","16/05/2009","05/04/2009","05/04/2009"
"""
WILDLIFE_INSIGHTS = """\
project_id,deployment_id,placename,longitude,latitude,start_date,end_date,bait_type,feature_type,camera_id,quiet_period,\
camera_functioning,sensor_height,recorded_by
P,ALG1_2018,ALG1,-112.5,56.25,2018-04-11,2018-11-15,None,Trail game,,1,Camera Functioning,Knee height,Ann
P,ALG1_2019,ALG1,-112.5,56.25,2018-11-15,NA,Meat,HumanUse,,1,Wildlife Damage,0.4,Ann
"""
FOLDERS = "folder,site,notes\nALG1/2018,ALG1,wet\nALG1/2019,ALG1,\n"


def table(text: str) -> DeploymentTable:
    return parse_table(text, "deployments.csv")


def only(text: str) -> Deployment:
    (row,) = table(text).rows
    return row.deployment


def row(columns: str, *cells: str) -> Deployment:
    """The deployment of a table with one row that has both dates."""
    line = ",".join(f'"{cell}"' for cell in cells)
    return only(
        f"deploymentID,deploymentStart,deploymentEnd,{columns}\nd1,2024-03-01T14:00:00,2024-05-01T09:30:00,{line}\n"
    )


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        table(text)
    return caught.value.problems


# --- dialects -----------------------------------------------------------------------------------------------------


def test_camtrap_dp_keeps_all_its_columns() -> None:
    """What has no place of its own is carried word for word under Camtrap DP's name; nothing of it is a covariate."""
    read = table(CAMTRAP_DP)
    deployment = read.rows[0].deployment
    assert (deployment.deployment_start, deployment.deployment_end, deployment.start_is_date) == (START, END, False)
    assert (deployment.camera_id, deployment.camera_model) == ("H1", "RECONYX-HF2X")
    assert (read.locations[0].latitude, read.locations[0].location_name) == (54.5, "Ford")
    assert dict(deployment.columns) == {
        "coordinateUncertainty": "30", "setupBy": "Ann", "cameraDelay": "0", "cameraHeight": "0.5", "cameraTilt": "-5",
        "cameraHeading": "180", "detectionDistance": "3", "timestampIssues": "false", "baitUse": "true",
        "featureType": "trailGame", "habitat": "beech wood", "deploymentGroups": "area:north",
        "deploymentTags": "bait:none", "deploymentComments": "wet, muddy",
    }  # fmt: skip
    assert read.covariates == ()
    assert any("2 times have a zone" in note for note in read.notes)


def test_camtrapr_stations() -> None:
    """Ids are the stations', problems are outages of whole days in the order of time, coordinates in metres covariates."""
    read = table(CAMTRAPR)
    first, second = (item.deployment for item in read.rows)
    assert (first.deployment_id, first.location_id, first.outages) == ("A", "A", ())
    assert (second.deployment_start, second.start_is_date) == (datetime(2009, 4, 3), True)
    assert second.outages == (
        Outage(datetime(2009, 4, 5), datetime(2009, 4, 5), is_date=True),
        Outage(datetime(2009, 5, 12), datetime(2009, 5, 16), is_date=True),
    )
    assert read.covariates == ("utm_y", "utm_x")
    assert [location.latitude for location in read.locations] == [None, None]
    assert "deployments.csv: dates are read day first, then month, for some days are above 12" in read.notes
    assert "deployments.csv: read as a camtrapR table of stations" in read.notes


@pytest.mark.parametrize(
    ("columns", "cells", "ids"),
    [
        ("Station", ["A", "B"], ["A", "B"]),
        ("Station,Camera", ["A,c1", "A,c2", "B,NA"], ["A_c1", "A_c2", "B"]),
        ("Station,Camera,session", ["A,c1,2009", "A,c1,2010"], ["A_c1_2009", "A_c1_2010"]),
        ("Station,Setup_date", ["A,2024-01-01", "A,2024-02-01", "B,2024-01-01"], ["A_2024-01-01", "A_2024-02-01", "B"]),
        ("site,lat,lon,start,end", ["A,1,2,2024-01-01,2024-02-01"], ["A"]),
    ],
)
def test_rows_without_an_id_are_named_after_what_tells_them_apart(
    columns: str, cells: list[str], ids: list[str]
) -> None:
    """Station, camera, session, and the setup date only where a station has several rows."""
    rows = table("\n".join([columns, *cells])).rows
    assert [item.deployment.deployment_id for item in rows] == ids


def test_wildlife_insights() -> None:
    """Its values go where Camtrap DP has a place for them, and are kept as they are beside it."""
    read = table(WILDLIFE_INSIGHTS)
    first, second = (item.deployment for item in read.rows)
    assert (first.location_id, first.deployment_end, second.deployment_end) == ("ALG1", datetime(2018, 11, 15), None)
    said = dict(first.columns)
    assert (said["baitUse"], said["featureType"], said["cameraDelay"], said["setupBy"]) == (
        "false",
        "trailGame",
        "1",
        "Ann",
    )
    assert "cameraHeight" not in said
    said = dict(second.columns)
    assert (said["baitUse"], said["cameraHeight"], said["feature_type"]) == ("true", "0.4", "HumanUse")
    assert "featureType" not in said
    assert read.covariates == (
        "project_id", "bait_type", "feature_type", "quiet_period", "camera_functioning", "sensor_height",
    )  # fmt: skip


def test_folder_list() -> None:
    """The folder is the deployment, notes are comments."""
    read = table(FOLDERS)
    assert [(item.deployment.deployment_id, item.folder) for item in read.rows] == [
        ("ALG1_2018", "ALG1/2018"),
        ("ALG1_2019", "ALG1/2019"),
    ]
    assert read.rows[0].deployment.location_id == "ALG1"
    assert read.rows[0].deployment.columns == (("deploymentComments", "wet"),)


def test_european_spreadsheets() -> None:
    """Semicolons with decimal commas, tabs, Excel's first line: the same table, and what was assumed is noted."""
    plain = table("deploymentID,latitude,longitude,cover\nd1,54.5,-1.25,0.5\n")
    for text, separator in (
        ("deploymentID;latitude;longitude;cover\nd1;54,5;-1,25;0,5\n", "semicolons"),
        ("sep=;\ndeploymentID;latitude;longitude;cover\nd1;54,5;-1,25;0,5\n", "semicolons"),
        ("deploymentID\tlatitude\tlongitude\tcover\nd1\t54.5\t-1.25\t0.5\n", "tabs"),
    ):
        read = table(text)
        assert (read.rows, read.locations) == (plain.rows, plain.locations)
        assert any(separator in note for note in read.notes)
    assert problems("sep=;\ndeploymentID;latitude;longitude\nd1;1,2,3;1\n") == (
        "deployments.csv line 3: latitude '1,2,3' is not within -90 to 90 decimal degrees",
    )


def test_lines_may_end_in_more_separators_than_the_header() -> None:
    """Empty cells beyond the last column are nothing; what stands in one is a problem."""
    read = table("deploymentID;latitude;longitude;;\r\nd1;51,5;3,25;;;;\r\nd2\r\n;;;;;;;\r\n")
    assert [item.deployment.deployment_id for item in read.rows] == ["d1", "d2"]
    (problem,) = problems("deploymentID,latitude,longitude\nd1,51,5,3,25\n")
    assert "line 2: 5 cells for 3 columns; quote cells that have commas in them" in problem


def test_text_of_decimal_commas_is_left_alone() -> None:
    """A column that is not all numbers keeps its commas."""
    assert dict(only("deploymentID;cover\nd1;beech, oak\n").columns) == {"cover": "beech, oak"}


def test_what_a_spreadsheet_was_kept_from_running_is_read_back() -> None:
    """The quote before a sign goes again."""
    assert row("clockOffset,folder", "'-01:00:00", "'=a").clock == (ClockPoint(START + timedelta(hours=1), START),)


def test_a_column_that_exists_wins_over_its_other_name() -> None:
    """`site` beside locationID is a covariate, and noted; two other names for one thing are a problem."""
    read = table("deploymentID,locationID,site\nd1,L1,north\n")
    assert (read.rows[0].deployment.location_id, read.covariates) == ("L1", ("site",))
    assert any("site is kept as a covariate" in note for note in read.notes)
    (problem,) = problems("deploymentID,site,station\nd1,a,b\n")
    assert "columns site and station both mean locationID" in problem


@pytest.mark.parametrize(
    ("header", "meant"),
    [
        ("deploymentStrat", "deploymentStart"),
        ("Setup_dat", "deploymentStart"),
        ("longtitude", "longitude"),
        ("Retreival_date", "deploymentEnd"),
        ("clock_ofset", "clockOffset"),
        ("Problem1_form", "Problem1_from"),
        ("outage1", "outage1From"),
        ("referenceImage", "referencePhoto"),
        ("camera_modell", "cameraModel"),
    ],
)
def test_slips_of_the_pen_are_asked_about(header: str, meant: str) -> None:
    """A header that looks like a known one is a problem, or its column would silently be a covariate."""
    (problem,) = problems(f"deploymentID,{header}\nd1,1\n")
    assert f"no column {header}, did you mean {meant}" in problem


@pytest.mark.parametrize(
    "header",
    ["elevation", "canopy_cover", "utm_x", "habitat2", "camera_height_cm", "distance_to_road", "Problems", "treatment",
     "latitude_raw", "season", "height", "slope"],
)  # fmt: skip
def test_honest_covariates_are_no_slips(header: str) -> None:
    """Words of the field, and known words with more behind them, are covariates."""
    assert table(f"deploymentID,{header}\nd1,1\n").covariates == (header,)


# --- dates --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "is_date"),
    [
        ("2024-03-01T14:00:00", False), ("2024-03-01 14:00", False), ("2024/03/01 14:00:00", False),
        ("1-Mar-2024 14:00", False), ("01 March 2024 14:00:00", False), ("2024-03-01T14:00:00Z", False),
        ("2024-03-01", True), ("1-Mar-2024", True), ("2024.3.1", True),
    ],
)  # fmt: skip
def test_dates_that_can_mean_one_thing_only(text: str, is_date: bool) -> None:
    """The year first, or the month by name."""
    deployment = only(f"deploymentID,deploymentStart\nd1,{text}\n")
    assert (deployment.deployment_start, deployment.start_is_date) == (
        (datetime(2024, 3, 1), True) if is_date else (START, False)
    )


@pytest.mark.parametrize(
    ("cells", "read"),
    [
        (["01/03/2024", "13/03/2024"], datetime(2024, 3, 1)),
        (["03/01/2024", "03/13/2024"], datetime(2024, 3, 1)),
        (["1.3.2024", "31.12.2024 8:00"], datetime(2024, 3, 1)),
    ],
)
def test_the_order_of_day_and_month_is_what_the_table_proves(cells: list[str], read: datetime) -> None:
    """One day above 12 anywhere in the dates tells for all of them, and is noted."""
    told = table("\n".join(["Station,Setup_date,Retrieval_date", f"A,{cells[0]},", f"B,,{cells[1]}"]))
    assert told.rows[0].deployment.deployment_start == read
    assert any("dates are read" in note for note in told.notes)


def test_dates_that_can_mean_two_things_are_not_guessed() -> None:
    """No day above 12, or days above 12 at both places: every cell is a problem that names the way out."""
    for cells in (["01/03/2024", "12/03/2024"], ["13/03/2024", "03/14/2024"]):
        told = problems("\n".join(["Station,Setup_date", f"A,{cells[0]}", f"B,{cells[1]}"]))
        assert len(told) == 2
        assert all("write 2026-05-31" in problem for problem in told)
    (short,) = problems("Station,Setup_date\nA,13/03/24\n")
    assert "is not a time" in short


@given(
    st.lists(st.dates(datetime(1995, 1, 1).date(), datetime(2095, 1, 1).date()), min_size=1, max_size=6), st.booleans()
)
def test_proven_dates_are_right_and_unproven_ones_refused(days: list[object], day_first: bool) -> None:
    """Whatever the dates: read as they were meant, or not at all."""
    layout = "%d/%m/%Y" if day_first else "%m/%d/%Y"
    lines = [f"S{number},{day:{layout}}" for number, day in enumerate(days)]  # type: ignore[str-bytes-safe]
    try:
        read = table("\n".join(["Station,Setup_date", *lines]))
    except ConfigError as error:
        assert all(day.day <= 12 for day in days)  # type: ignore[attr-defined]
        assert len(error.problems) == len(days)
    else:
        starts = [item.deployment.deployment_start for item in read.rows]
        assert [start.date() for start in starts if start] == days


# --- outages ------------------------------------------------------------------------------------------------------


def test_outages_of_both_names() -> None:
    """Numbered from one or not at all; a date beside a time stands for its whole day; notes are kept."""
    deployment = row(
        "outage1From,outage1To,outage1Note,Problem1_from,Problem1_to",
        "2024-03-05T10:00:00", "2024-03-06", "bear", "2024-04-01", "2024-04-02",
    )  # fmt: skip
    assert deployment.outages == (
        Outage(datetime(2024, 3, 5, 10), datetime(2024, 3, 7), note="bear"),
        Outage(datetime(2024, 4, 1), datetime(2024, 4, 2), is_date=True),
    )
    assert row("outageFrom,outageTo", "2024-03-01", "2024-05-01").outages == (
        Outage(datetime(2024, 3, 1), datetime(2024, 5, 1), is_date=True),
    )


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        (["2024-03-05", "", "", ""], "outage1From stands alone"),
        (["", "2024-03-05", "", ""], "outage1To stands alone"),
        (["2024-03-06", "2024-03-05", "", ""], "outage1To is before outage1From; swap"),
        (["2024-03-06T10:00:00", "2024-03-06T10:00:00", "", ""], "outage1To is before"),
        (["2024-02-28", "2024-03-05", "", ""], "not within the deployment's dates"),
        (["2024-04-05", "2024-05-02", "", ""], "not within the deployment's dates"),
        (["2024-04-05T00:00:00", "2024-05-01T10:00:00", "", ""], "not within the deployment's dates"),
        (
            ["2024-04-05", "2024-04-07", "2024-04-07", "2024-04-09"],
            "the outages of outage1From and outage2From overlap",
        ),
        (["2024-04-05", "2024-04-40", "", ""], "'2024-04-40' is not a time"),
    ],
)
def test_outages_that_cannot_be(cells: list[str], why: str) -> None:
    """Half, reversed, outside, overlapping: told with line and column."""
    with pytest.raises(ConfigError, match=re.escape(why)) as caught:
        row("outage1From,outage1To,outage2From,outage2To", *cells)
    assert all(problem.startswith("deployments.csv line 2: ") for problem in caught.value.problems)


# --- clocks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("+01:00:00", timedelta(hours=1)),
        ("01:00", timedelta(hours=1)),
        ("-1d 02:00:00", -timedelta(days=1, hours=2)),
        ("3716d 11:19:53", timedelta(days=3716, hours=11, minutes=19, seconds=53)),
        ("-3d", -timedelta(days=3)),
        ("3600", timedelta(hours=1)),
        ("-7.5", -timedelta(seconds=7.5)),
        ("0", timedelta(0)),
        ("0:0:1 12:0:0", timedelta(days=1, hours=12)),
        ("-1:0:0 0:0:0", -timedelta(days=365)),
        ("0:1:0 0:0:0", timedelta(days=29)),
    ],
)
def test_offsets_as_people_write_them(text: str, offset: timedelta) -> None:
    """Added to the camera's time; years and months are as long as they were before the setup (2024 is a leap year)."""
    (point,) = row("clockOffset", text).clock
    assert point.actual - point.recorded == offset
    assert point.actual == START


def test_time_shift_table_of_camtrapr() -> None:
    """`timeshift` with its sign in a column of its own."""
    (point,) = row("timeshift,sign", "0:0:0 12:0:0", "-").clock
    assert point.actual - point.recorded == -timedelta(hours=12)


def test_drift_bends_from_setup_to_retrieval() -> None:
    """Right at the start, ten minutes slow at the end."""
    assert row("clockOffset,clockOffsetEnd", "0", "00:10:00").clock == (
        ClockPoint(START, START),
        ClockPoint(END - timedelta(minutes=10), END),
    )


def test_reference_photographs_wait_for_the_card() -> None:
    """Their recorded time is looked up when the photographs are there."""
    deployment = row(
        "referencePhoto,referenceTime,referencePhoto2,referenceTime2",
        "IMG_0001.JPG", "2024-03-01T14:05:00", "IMG_0900.JPG", "2024-05-01 09:20",
    )  # fmt: skip
    assert deployment.clock == ()
    assert deployment.clock_references == (
        ClockReference("IMG_0001.JPG", datetime(2024, 3, 1, 14, 5)),
        ClockReference("IMG_0900.JPG", datetime(2024, 5, 1, 9, 20)),
    )


@pytest.mark.parametrize(
    ("columns", "cells", "why"),
    [
        ("clockOffset", ["an hour"], "clockOffset 'an hour' is not an offset; write +01:00:00"),
        ("clockOffset", ["01:75"], "is not an offset"),
        ("clockOffset", ["99999999999"], "is not an offset"),
        ("clockOffset", ["40000d"], "is more than a hundred years"),
        ("clockOffset,sign", ["+01:00:00", "-"], "has a sign of its own beside the column sign"),
        ("clockOffset,sign", ["01:00:00", "minus"], "has the sign 'minus'"),
        ("sign", ["-"], "sign without clockOffset"),
        ("clockOffsetEnd", ["00:10:00"], "clockOffsetEnd without clockOffset; write 0 there"),
        ("clockOffset,clockOffsetEnd", ["0", "90d"], "the clock would run backwards"),
        ("clockOffset,referencePhoto,referenceTime", ["0", "a.jpg", "2024-03-02 10:00"], "exclude each other"),
        ("referencePhoto", ["a.jpg"], "referencePhoto without referenceTime"),
        ("referencePhoto2,referenceTime2", ["", "2024-03-02 10:00"], "referenceTime2 without referencePhoto2"),
        ("referencePhoto,referenceTime", ["a.jpg", "2024-03-02"], "lacks the time of day"),
    ],
)  # fmt: skip
def test_clocks_that_cannot_be_read(columns: str, cells: list[str], why: str) -> None:
    """Half, twice, unreadable or impossible: told with its column, never taken for a right clock."""
    with pytest.raises(ConfigError, match=re.escape(why)):
        row(columns, *cells)


def test_drift_and_calendar_shifts_need_dates() -> None:
    """Without setup and retrieval nobody knows between which moments."""
    (problem,) = problems("deploymentID,clockOffset,clockOffsetEnd\nd1,0,00:10:00\n")
    assert "clockOffsetEnd needs both dates" in problem
    (problem,) = problems("deploymentID,clockOffset\nd1,1:0:0 0:0:0\n")
    assert "need deploymentStart; write days" in problem


# --- rows against each other --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Station\nA\nA\n", "line 3: 'A' is on line 2 already; tell the rows apart by Camera, session or Setup_date"),
        ("Station,Setup_date\nA,2024-01-01\nA,2024-01-01\n", "line 3: 'A_2024-01-01' is on line 2 already"),
        ("Station,Setup_date\nA,2024-01-01\n,2024-01-01\n", "line 3: Station is empty"),
        ("folder,site\na,A\na,B\n", "line 3: 'a' is on line 2 already"),
        (
            "Station,Setup_date,Retrieval_date\nA,2024-01-01,2024-02-01\nA,2024-01-20,2024-03-01\n",
            "line 3: the camera at 'A' is deployed on line 2 at the same time",
        ),
        (
            "deploymentID,locationID,cameraID,deploymentStart,deploymentEnd\n"
            "a,A,H1,2024-01-01,2024-02-01\nb,A,H1,2024-01-20,2024-03-01\n",
            "line 3: camera 'H1' at 'A' is deployed on line 2 at the same time",
        ),
        ("deploymentID,locationID\nd1,north__1\n", "'north__1' has two underscores in a row"),
        ("Station,Camera\nA,c__1\n", "'c__1' has two underscores in a row"),
        ("deploymentID," + ",".join(f"c{number}" for number in range(1000)), "1001 columns"),
    ],
)
def test_rows_that_cannot_stand_beside_each_other(text: str, why: str) -> None:
    """Named with both lines and what to do."""
    assert any(why in problem for problem in problems(text))


def test_readings_of_a_gps_receiver_are_one_place_and_a_slip_is_not() -> None:
    """Metres apart, the first line counts and that is said; further apart, both lines and the distance are told."""
    header = "deploymentID,locationID,latitude,longitude\n"
    read = table(header + "d1,A,56.36,-112.47\nd2,A,56.3602,-112.4703\nd3,B,,\nd4,B,1,179.9999\nd5,B,1,-179.9999\n")
    assert [(item.latitude, item.longitude) for item in read.locations] == [(56.36, -112.47), (1.0, 179.9999)]
    (note,) = [note for note in read.notes if "earlier line" in note]
    assert "2 rows have their place up to 29 m from where an earlier line" in note
    (problem,) = problems(header + "d1,A,56.36,-112.47\nd2,A,,\nd3,A,56.36,-113.47\n")
    assert "line 4: locationID 'A' has other latitude and longitude than on line 2, 61.6 km away" in problem
    (problem,) = problems("Station,Camera,lat,lon\nA,1,1,1\nA,2,1,1.005\n")
    assert "Station 'A' has" in problem
    assert "556 m away; correct one, or give the place another Station" in problem


@pytest.mark.parametrize("text", ["1_0", "nan", "inf", "\u0661\u0660", "0x10", "51 30", ""])
def test_degrees_are_plain_numbers(text: str) -> None:
    """What Python, not people, takes for a number is none."""
    (problem,) = problems(f'deploymentID,latitude,longitude\nd1,"{text}",2\n')
    assert "line 2: latitude" in problem


def test_what_looks_like_a_slip_but_may_be_right_is_said() -> None:
    """Names that differ in capitals, a place in the Gulf of Guinea, offsets that could be minutes; taken as they are."""
    read = table("deploymentID,locationID,latitude,longitude,clockOffset\nd1,North,0,0,-5:00\nd2,north,,,01:00:00\n")
    said = "\n".join(read.notes)
    assert "'North' and 'north' differ in capitals only, and are different places" in said
    assert "of 'North' are 0, in the sea" in said
    assert "1 clock offsets such as '-5:00' are read as hours and minutes" in said
    assert "no line below the header" in "\n".join(table("deploymentID\n").notes)


@pytest.mark.parametrize("name", ["a\x00b", "a\nb", "a\u2028b"])
def test_names_with_characters_that_nobody_sees_are_refused(name: str) -> None:
    """They would never be found again."""
    (problem,) = problems(f'deploymentID,locationID\nd1,"{name}"\n')
    assert "locationID" in problem
    assert "a character that nobody sees" in problem


@pytest.mark.parametrize(
    ("header", "whose"),
    [
        ("Station,Species,DateTimeOriginal", "camtrapR's table of records"),
        ("mediaID,deploymentID,timestamp", "Camtrap DP's table of media"),
        ("observationID,deploymentID,eventID", "Camtrap DP's table of observations"),
        ("project_id,deployment_id,image_id,filename", "Wildlife Insights' table of images"),
        ("File,RelativePath,deploymentID", "Timelapse's table of photographs"),
    ],
)
def test_another_table_is_recognised_in_one_sentence(header: str, whose: str) -> None:
    """Not in one for every line that names a station again."""
    (problem,) = problems(f"{header}\n" + f"A{header.count(',') * ',b'}\n" * 30)
    assert f"line 1: this is {whose}" in problem


def test_problems_end_somewhere() -> None:
    """Fifty are told, the others counted."""
    told = problems("deploymentID,deploymentStart\n" + "".join(f"d{number},soon\n" for number in range(60)))
    assert len(told) == 51
    assert told[-1] == "deployments.csv: 10 more problems"


def test_cameras_that_are_changed_on_one_day_do_not_overlap() -> None:
    """The day of a change belongs to both, as it does for effort."""
    text = "Station,Setup_date,Retrieval_date\nA,2024-01-01,2024-02-01\nA,2024-02-01,2024-03-01\n"
    assert len(table(text).rows) == 2


def test_all_problems_come_in_the_order_of_lines() -> None:
    """One look from top to bottom mends the file, whatever kind each is."""
    told = problems(
        "Station,Setup_date,Retrieval_date,Problem1_from,Problem1_to,clockOffset\n"
        "A,2024-13-01,,,,x\n"
        "B,2024-02-01,2024-01-01,,,\n"
        "C__1,2024-02-01,2024-03-01,2024-02-05,2024-02-04,y\n"
    )
    lines = [int(re.search(r"line (\d+)", problem)[1]) for problem in told]  # type: ignore[index]
    assert lines == sorted(lines)
    assert lines == [2, 2, 3, 4, 4, 4]


_LETTERS = "Station,Camera;Setup_date\t outage1From clockOffset reference 2024-01-05 12:00/\"'\n\r=+-__NA٣²"


@settings(deadline=None, max_examples=200)
@given(
    st.text(
        st.sampled_from(_LETTERS),
        max_size=160,
    ),
    st.sampled_from(["", "Station,Setup_date,Problem1_from,Problem1_to\n", "folder;site;clockOffset;sign\n",
                     "deploymentID\tplacename\tfeature_type\treferencePhoto\treferenceTime\n"]),
)  # fmt: skip
def test_no_text_breaks_any_dialect(text: str, header: str) -> None:
    """Any text is a table or a list of problems that name the file."""
    try:
        table(header + text)
    except ConfigError as error:
        assert error.problems
        assert all(problem.startswith("deployments.csv") for problem in error.problems)


# --- covariates ---------------------------------------------------------------------------------------------------


def test_covariates_of_sites() -> None:
    """One value at a location is the site's, as a number where all are; several are left out there and told."""
    read = table(
        "deploymentID,locationID,elevation,cover,treatment,habitat\n"
        "a,L1,100,0.5,burnt,wood\nb,L1,100.0,0.5,open,wood\nc,L2,250,dense,open,field\nd,L3,,,,\n"
    )
    columns, told = site_covariates(read)
    assert columns == {
        "elevation": {"L1": 100.0, "L2": 250.0},
        "cover": {"L1": "0.5", "L2": "dense"},
        "treatment": {"L2": "open"},
        "habitat": {"L1": "wood", "L2": "field"},
    }
    assert told == (
        "treatment has several values at L1 (burnt, open); it is left empty there as a covariate of the site",
    )
    assert site_covariates([item.deployment for item in read.rows]) == (columns, told)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("baitUse", "YES", "true"), ("timestampIssues", "0", "false"), ("baitUse", "meat", None),
        ("featureType", "Trail game", "trailGame"), ("featureType", "NatRegen", None), ("cameraHeight", "0.50", "0.5"),
        ("cameraTilt", "12.5", None), ("cameraHeading", "361", None), ("cameraDelay", "-1", None),
        ("habitat", " wood ", "wood"), ("detectionDistance", "1e400", None),
    ],
)  # fmt: skip
def test_values_as_camtrap_dp_takes_them(name: str, text: str, value: str | None) -> None:
    """What its schema allows, or nothing."""
    assert camtrap_dp_value(name, text) == value


def test_values_that_camtrap_dp_does_not_take_are_noted() -> None:
    """Kept, and said that its files leave them out."""
    read = table("deploymentID,featureType\nd1,NatRegen\n")
    assert dict(read.rows[0].deployment.columns) == {"featureType": "NatRegen"}
    assert any("1 cells of featureType, such as 'NatRegen'" in note for note in read.notes)


# --- camtrapR's station table -------------------------------------------------------------------------------------


def day(month: int, number: int, hour: int = 0) -> datetime:
    return datetime(2024, month, number, hour)


STATIONS = [
    place("a1", "A", deployment_start=day(1, 5), deployment_end=day(2, 1), start_is_date=True, end_is_date=True,
          latitude=54.5, longitude=-1.25, camera_id="H1", outages=(Outage(day(1, 5), day(1, 6), is_date=True),)),
    place("a2", "A", deployment_start=day(2, 3, 10), deployment_end=day(3, 1, 9), latitude=54.5, longitude=-1.25,
          camera_id="H2", outages=(Outage(day(2, 20), day(3, 1, 9)),)),
    place("b1", "B", deployment_start=day(1, 7), deployment_end=day(1, 7), start_is_date=True, end_is_date=True),
    place("c1", "C", deployment_start=day(1, 7)),
]  # fmt: skip
SIDE_BY_SIDE = [
    place("a", "A", deployment_start=day(1, 5), deployment_end=day(3, 1), camera_id="H1", session="2024"),
    place("b", "A", deployment_start=day(1, 5), deployment_end=day(2, 1), camera_id="H2", session="2024"),
    place("c", "A", deployment_start=day(2, 5), deployment_end=day(3, 1), camera_id="H2", session="2024"),
    place("d", "B", deployment_start=day(1, 5), deployment_end=day(3, 1), session="2024"),
    place("e", "B", deployment_start=day(1, 9), deployment_end=day(3, 1), session="2024"),
]


@pytest.mark.parametrize(("name", "items"), [("stations", STATIONS), ("side_by_side", SIDE_BY_SIDE)])
def test_station_table_is_the_golden_one(name: str, items: list[object]) -> None:
    """Byte for byte; reviewed by eye."""
    header, rows, _ = station_table(items)  # type: ignore[arg-type]
    assert csv_text(header, rows, missing="NA") == (GOLDEN / f"{name}.csv").read_text("utf-8")


def test_what_the_station_table_cannot_hold_is_told() -> None:
    """Deployments without dates, names with two underscores, sessions that are no number."""
    _, rows, (sentence,) = station_table(STATIONS)
    assert [cells[0] for cells in rows] == ["A", "B"]
    assert sentence.startswith("1 of 4 deployments are not in the station table")
    assert "c1" in sentence
    odd = place("x", "N__1", deployment_start=day(1, 5), deployment_end=day(3, 1), session="spring")
    _, _, told = station_table([odd, STATIONS[0]])
    assert ["__1" in told[0], "without a session" in told[1], "spring" in told[2]] == [True, True, True]
    assert station_table([]) == (("Station", "latitude", "longitude", "Setup_date", "Retrieval_date"), [], ())


def test_cameras_are_named_where_some_stood_side_by_side_and_only_there() -> None:
    """The record table's Camera is that of the station table."""
    assert camera_names(STATIONS) == {}
    assert camera_names(SIDE_BY_SIDE) == {"a": "H1", "b": "H2", "c": "H2", "d": "camera", "e": "camera-2"}


spans = st.tuples(st.integers(0, 100), st.integers(1, 60), st.booleans(), st.booleans())


@st.composite
def stations(draw: st.DrawFn) -> list[object]:
    """Deployments of two stations, with cameras, sessions, outages and dates as they come."""
    items = []
    session = draw(st.sampled_from([None, "2023"]))
    for number in range(draw(st.integers(0, 6))):
        first, length, start_is_date, end_is_date = draw(spans)
        start = day(1, 1) + timedelta(days=first, hours=0 if start_is_date else draw(st.integers(0, 23)))
        end = day(1, 1) + timedelta(days=first + length, hours=0 if end_is_date else draw(st.integers(0, 23)))
        begins = start + timedelta(days=draw(st.integers(0, length)))
        finish = begins + timedelta(days=draw(st.integers(1, 5)))
        outages = (Outage(begins, finish, is_date=draw(st.booleans())),) if draw(st.booleans()) else ()
        items.append(
            place(
                f"d{number}",
                draw(st.sampled_from(["A", "B"])),
                camera_id=draw(st.sampled_from([None, "H1", "H2", "camera"])),
                session=session,
                deployment_start=start,
                deployment_end=end,
                start_is_date=start_is_date,
                end_is_date=end_is_date,
                outages=outages,
            )
        )
    return items


@settings(deadline=None)
@given(stations())
def test_station_table_is_one_that_camtrapr_takes(items: list[object]) -> None:
    """No empty pair, no row twice, setup before retrieval, problems in order within; and it reads back as it is."""
    header, rows, _ = station_table(items)  # type: ignore[arg-type]
    keys = [
        tuple(cells[header.index(name)] for name in ("Station", "Camera", "session") if name in header)
        for cells in rows
    ]
    assert len(keys) == len(set(keys))
    for at in range(header.index("Setup_date"), len(header)):
        assert not rows or any(cells[at] for cells in rows)
    for cells in rows:
        times = [datetime.fromisoformat(str(cell)) for cell in cells[header.index("Setup_date") :] if cell]
        setup, retrieval, *pairs = times
        assert setup < retrieval
        assert len(pairs) % 2 == 0
        assert all(setup <= moment <= retrieval for moment in pairs)
        assert pairs == sorted(set(pairs))
    named = camera_names(items)  # type: ignore[arg-type]
    assert bool(named) == ("Camera" in header)
    read = table(csv_text(header, rows, missing="NA"))
    assert len(read.rows) == len(rows)


# --- real tables --------------------------------------------------------------------------------------------------


@needs_shared
@pytest.mark.parametrize(
    ("path", "rows", "covariates"),
    [
        ("golden/camtrapr/inputs/camtraps.csv", 3, ("utm_y", "utm_x")),
        ("golden/camtrapr/inputs/camtrapsMultiSeason.csv", 7, ("utm_y", "utm_x")),
        ("golden/camtrapr/inputs/syn_ct.csv", 6, ("utm_x", "utm_y")),
        ("golden/camtrapr/inputs/syn_ct2.csv", 5, ()),
        ("golden/camtrapr/inputs/syn_ct_dt.csv", 6, ("utm_x", "utm_y")),
        ("golden/camtrap_dp/example/deployments.csv", 4, ()),
        ("tables/camtrapdp_fieldmuseum_beaver/deployments.csv", 1, ()),
        ("tables/camtrapdp_mica_0.1/deployments.csv", 4, ("cameraInterval",)),
    ],
)
def test_tables_of_other_programs(path: str, rows: int, covariates: tuple[str, ...]) -> None:
    """Read as they are."""
    read = table((SHARED / path).read_text("utf-8-sig"))
    assert (len(read.rows), read.covariates) == (rows, covariates)


@needs_shared
def test_a_published_table_has_a_slip_that_is_found() -> None:
    """One of 38 stations is a degree of longitude away from itself; mended, all 114 rows are read."""
    text = (SHARED / "tables/algar_wi_deployments.csv").read_text("utf-8-sig")
    told = problems(text)
    assert len(told) == 2
    assert all("'ALG069' has other latitude and longitude" in problem for problem in told)
    assert len(table(text.replace("-113.5075", "-112.5074726")).rows) == 114
