"""Deployments: the table with all its problems at once, folder names, and nothing guessed in silence."""

import re
from datetime import datetime, timedelta

import pytest
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st

from ctwatch.deployments import (
    DEFAULT_PATTERN,
    DeploymentTable,
    Mapping,
    assign,
    compile_pattern,
    is_generic,
    parse_table,
)
from ctwatch.domain import Deployment, DeploymentSource, Location
from ctwatch.errors import ConfigError

PATTERN = re.compile(DEFAULT_PATTERN)
TAKEN = datetime(2024, 2, 1, 12)
TABLE = """\
deploymentID,locationID,locationName,latitude,longitude,cameraID,deploymentStart,deploymentEnd,folder
d1,L01,Old bridge,54.5,-1.25,H1,2024-01-05,2024-03-01,
d2,L01,,54.5,-1.25,H2,2024-03-01,2024-05-01,
d3,L02,"Ford, upper",,,H3,2024-01-05T14:00:00,2024-03-01T09:30:00,survey1/Ford
d4,L03,,,,,,,cards\\L03b
"""


def table(text: str = TABLE) -> DeploymentTable:
    return parse_table(text, "deployments.csv")


def placed(
    *folders: str,
    inbox: str = "inbox",
    serial: str | None = None,
    taken: datetime | None = TAKEN,
    known: DeploymentTable | None = None,
    pattern: re.Pattern[str] = PATTERN,
) -> tuple[Deployment, Location]:
    """Map a file that lies in these folders."""
    mapping = Mapping(known or DeploymentTable(), pattern)
    return assign(mapping, inbox_name=inbox, folders=folders, serial=serial, taken=taken)


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        table(text)
    return caught.value.problems


# --- the table ----------------------------------------------------------------------------------------------------


def test_table_is_read() -> None:
    """Dates and times, quoted commas, open ends, places given once or twice."""
    read = table()
    first, _, third, last = (row.deployment for row in read.rows)
    assert first == Deployment(
        "d1",
        "L01",
        DeploymentSource.TABLE,
        "H1",
        None,
        datetime(2024, 1, 5),
        datetime(2024, 3, 1),
        start_is_date=True,
        end_is_date=True,
    )
    assert (third.deployment_start, third.start_is_date) == (datetime(2024, 1, 5, 14), False)
    assert (last.deployment_start, last.deployment_end) == (None, None)
    assert [row.folder for row in read.rows] == [None, None, "survey1/Ford", "cards/L03b"]
    assert read.locations == (
        Location("L01", "Old bridge", 54.5, -1.25),
        Location("L02", "Ford, upper"),
        Location("L03"),
    )


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + TABLE,
        TABLE.replace("\n", "\r\n"),
        TABLE.replace("\n", "\r"),
        TABLE.replace("deploymentID", " Deployment_ID "),
        TABLE + "\n,,,,,,,,\n\n",
    ],
    ids=["byte order mark", "CRLF", "CR", "spelling", "empty lines"],
)
def test_table_as_spreadsheets_write_it(text: str) -> None:
    """The same table, whoever saved it."""
    assert table(text) == table()


def test_columns_in_any_order_and_shorter_lines() -> None:
    """Column names count, not their places; cells left off at the end are empty."""
    assert table("folder,locationID,deploymentID\n,L1,d1\nf,L2,d2\n").rows[1].folder == "f"
    assert table("deploymentID,locationID,folder\nd1\n").rows[0].deployment.location_id == "d1"


def test_all_problems_at_once_each_with_line_and_column() -> None:
    """One look at the messages corrects the whole file."""
    text = "\n".join(
        [
            "deploymentID,locationID,latitude,longitude,deploymentStart,deploymentEnd,folder",
            "d1,L1,95,1,,,",
            "d1,L1,,,,,",
            ",L1,,,,,",
            "d2,L1,,,2024-02-30,2024-03-01 2 PM,",
            "d3,L1,,,2024-03-02,2024-03-01,",
            "d4,L1,,,2024-03-01T10:00:00,2024-03-01T10:00:00,",
            'd5,"L1",1,,,,"a",b',
            "d6,L1,1.5,,,,",
            "d7,L2,1,1,,,",
            "d8,L2,1,2,,,DCIM/100RECNX",
            "d9,L2,,,2024-01-01,9999-12-31,",
            "d10,L2,,,2002-01-01,2024-12-31,",
        ]
    )
    expected = [
        r"line 2: latitude '95' is not within -90 to 90",
        r"line 3: deploymentID 'd1' is on line 2 already",
        r"line 4: deploymentID is empty; give",
        r"line 5: deploymentStart '2024-02-30' is not a time; write 2026-05-31",
        r"line 5: deploymentEnd '2024-03-01 2 PM' is not a time; write",
        r"line 6: deploymentEnd is not after deploymentStart; swap",
        r"line 7: deploymentEnd is not after deploymentStart",
        r"line 8: 8 cells for 7 columns; quote",
        r"line 9: latitude and longitude go together",
        r"line 11: locationID 'L2' has other latitude and longitude than on line 10, 111.2 km away",
        r"line 11: folder 'DCIM/100RECNX' is one that cameras make themselves; name",
        r"line 12: deploymentEnd '9999-12-31' has no possible year; .* empty",
        r"line 13: deploymentEnd is more than ten years after deploymentStart",
    ]
    told = problems(text)
    assert len(told) == len(expected)
    for problem, beginning in zip(told, expected, strict=True):
        assert re.match(f"deployments.csv {beginning}", problem)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "line 1: no column deploymentID"),
        ("name,begin\nL1,2024-01-01\n", "line 1: no column deploymentID"),
        ("deploymentID|locationID\nd1|L1\n", "line 1: no column deploymentID"),
        ("deploymentID,locationID,locationid\nd1,a,b\n", "column locationid is there twice"),
        ('deploymentID,locationID\nd1,"L1\nd2,L2\n', "not CSV"),
        ("deploymentID,latitude,longitude\nd1,nan,1\n", "line 2: latitude 'nan'"),
        ('deploymentID,latitude,longitude\nd1,"54,5",1\n', "line 2: latitude '54,5'"),
        ("deploymentID,deploymentStart\nd1,01/05/2024\n", "line 2: deploymentStart '01/05/2024'"),
        ("deploymentID,locationID\n" + "d1," + "x" * 200_000, "not CSV"),
    ],
)
def test_tables_that_are_none(text: str, told: str) -> None:
    """Empty, of another program, with other separators, with an open quote: named, never half read."""
    assert any(told in problem for problem in problems(text))


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2024-03-01", "2024-03-01"),
        ("2024-03-01T14:00:00", "2024-03-01"),
        ("2024-03-01", "2024-03-01T08:00:00"),
        ("2024-03-01T14:00:00+02:00", "2024-03-02 08:00"),
        ("", "2024-03-01"),
    ],
)
def test_short_and_open_deployments_are_no_mistake(start: str, end: str) -> None:
    """A date stands for its whole day when it is compared with a time."""
    assert len(table(f"deploymentID,deploymentStart,deploymentEnd\nd1,{start},{end}\n").rows) == 1


@settings(deadline=None)
@given(st.text(st.sampled_from('deploymentID,locationfr2024-01 "\n\r;\ufeff\t٣²'), max_size=80))
def test_no_text_breaks_the_table(text: str) -> None:
    """Any text is a table or a list of problems that name the file."""
    for content in (text, "deploymentID,locationID,deploymentStart,latitude,longitude\n" + text):
        try:
            table(content)
        except ConfigError as error:
            assert error.problems
            assert all(problem.startswith("deployments.csv line ") for problem in error.problems)


# --- with a table -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (["survey1", "Ford", "DCIM", "100RECNX"], "d3"),
        (["SURVEY1", "ford"], "d3"),
        (["cards", "L03b", "100RECNX"], "d4"),
        (["d2"], "d2"),
        (["season", "north", "d2"], "d2"),
        (["L01"], "d1"),
        (["L01_20240105"], "d1"),
        (["Old bridge"], "d1"),
        (["L02"], "d3"),
        (["L01_H2"], "d2"),
        (["L01", "H2"], "d2"),
    ],
)
def test_table_by_folder_by_id_by_place(folders: list[str], expected: str) -> None:
    """A folder column, else a deploymentID, else a location, where the time chooses; without a flag."""
    deployment, location = placed(*folders, known=table())
    assert deployment.deployment_id == expected
    assert deployment.source is DeploymentSource.TABLE
    outside = deployment.deployment_id == "d2"  # the photograph is of the day that d2 does not cover
    assert (deployment.flag is not None and "lie outside its dates" in deployment.flag) == outside
    assert location.location_id == deployment.location_id


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        (datetime(2024, 1, 5, 0, 0), "d1"),
        (datetime(2024, 3, 1, 11, 59, 59), "d1"),
        (datetime(2024, 3, 1, 12), "d2"),
        (datetime(2024, 5, 1, 23, 59, 59), "d2"),
        (datetime(2024, 5, 2), "L01 unassigned"),
        (datetime(2024, 1, 4, 23, 59), "L01 unassigned"),
        (None, "L01 unassigned"),
    ],
)
def test_time_chooses_between_deployments_of_a_place(taken: datetime | None, expected: str) -> None:
    """On the day of a swap noon divides, as it does for effort; outside all of them it is flagged, not guessed."""
    deployment, location = placed("L01", known=table(), taken=taken)
    assert deployment.deployment_id == expected
    assert location.location_id == "L01"
    assert (deployment.flag is not None) == expected.endswith("unassigned")


def test_overlapping_deployments_are_flagged() -> None:
    """Two cameras at one place at one time: the table cannot say which."""
    both = "deploymentID,locationID,deploymentStart,deploymentEnd\na,L1,2024-01-01,2024-03-01\nb,L1,2024-01-15,2024-04-01\n"
    deployment, _ = placed("L1", known=table(both))
    assert deployment.deployment_id == "L1 unassigned"
    assert deployment.flag is not None
    assert "several" in deployment.flag


def test_one_row_alone_is_it_whatever_the_clock_says() -> None:
    """A wrong clock does not lose a card that only one deployment can be."""
    deployment, _ = placed("L02", known=table(), taken=datetime(2013, 1, 1))
    assert deployment.deployment_id == "d3"


def test_serial_where_no_folder_speaks() -> None:
    """A bare DCIM is mapped by the camera that wrote it, and says so."""
    deployment, location = placed("DCIM", "100RECNX", serial="H3", known=table())
    assert (deployment.deployment_id, deployment.source) == ("d3", DeploymentSource.SERIAL)
    assert location.location_id == "L02"


def test_card_that_the_table_does_not_know_is_flagged() -> None:
    """Processed all the same, under its folder's name."""
    deployment, location = placed("L99_20240105", known=table())
    assert (deployment.deployment_id, location.location_id) == ("L99_20240105", "L99")
    assert deployment.flag == "not in the deployments table"
    bare, _ = placed("DCIM", known=table(), inbox="north")
    assert bare.flag is not None
    assert bare.flag.startswith("not in the deployments table; ")


CLOCKS = """\
deploymentID,locationID,folder,deploymentStart,deploymentEnd,clockOffset
right,L1,card,2024-01-01,2024-02-01,
reset,L1,card,2024-02-01,2024-03-01,4000d
"""


@pytest.mark.parametrize(
    ("taken", "trusted", "expected"),
    [
        (datetime(2024, 1, 15), True, "right"),
        (datetime(2024, 2, 15) - timedelta(days=4000), True, "reset"),
        (datetime(2024, 2, 15) - timedelta(days=4000), False, "reset"),
        (datetime(2024, 2, 15), True, "L1 unassigned"),
        (datetime(2024, 1, 15), False, "L1 unassigned"),
    ],
)
def test_each_candidate_is_asked_with_its_own_clock(taken: datetime, trusted: bool, expected: str) -> None:
    """One card, whose clock was reset half way: two rows, and each photograph finds its own.

    A time that does not count as it is counts only where a clock is known to have been wrong.
    """
    mapping = Mapping(table(CLOCKS), PATTERN)
    deployment, _ = assign(
        mapping, inbox_name="inbox", folders=["card", "DCIM"], serial=None, taken=taken, trusted=trusted
    )
    assert deployment.deployment_id == expected


def test_no_flag_before_reference_photographs_are_looked_up() -> None:
    """How wrong the clock was is not known yet, so nothing lies outside."""
    dated = "deploymentID,locationID,deploymentStart,deploymentEnd,referencePhoto,referenceTime\n"
    known = table(dated + "d1,L1,2024-01-01,2024-03-01,IMG_1.JPG,2024-01-01 12:00\n")
    assert placed("L1", known=known, taken=datetime(2015, 1, 1))[0].flag is None
    known = table(dated + "d1,L1,2024-01-01,2024-03-01,,\n")
    assert "2015-01-01 lie outside its dates" in str(placed("L1", known=known, taken=datetime(2015, 1, 1))[0].flag)


def test_accents_of_macos_are_the_same_accents() -> None:
    """A folder name with composed or decomposed accents is one place, in the table and without."""
    known = table("deploymentID,locationID\nd1,Ca\u00f1ada\n")
    assert placed("Can\u0303ada", known=known)[0].flag is None
    assert placed("Can\u0303ada")[1] == placed("Ca\u00f1ada")[1]


# --- without a table ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folders", "deployment_id", "location_id", "camera"),
    [
        (["L01"], "L01", "L01", None),
        (["L01_CAM2"], "L01_CAM2", "L01", "CAM2"),
        (["L01_CAM2_20240105"], "L01_CAM2_20240105", "L01", "CAM2"),
        (["L01_20240105"], "L01_20240105", "L01", None),
        (["L01_20240105-20240301"], "L01_20240105-20240301", "L01", None),
        (["L01_123456789"], "L01_123456789", "L01", "123456789"),
        (["L01", "CAM2"], "L01_CAM2", "L01", "CAM2"),
        (["L01", "CAM2_2024-01-05"], "L01_CAM2_2024-01-05", "L01", "CAM2"),
        (["L01", "DCIM", "101RECNX"], "L01", "L01", None),
        (["ALGAR01", "2024_01_03-2024_07_03"], "ALGAR01_2024_01_03-2024_07_03", "ALGAR01", None),
        (["bh1_17-Jul-2023_21-Feb-2024"], "bh1_17-Jul-2023_21-Feb-2024", "bh1", None),
        (["SDZG 1"], "SDZG 1", "SDZG 1", None),
        ([" L01 "], "L01", "L01", None),
        (["ca\udcf1on"], "ca\\xf1on", "ca\\xf1on", None),
    ],
)
def test_default_pattern(folders: list[str], deployment_id: str, location_id: str, camera: str | None) -> None:
    """LOCATION[_CAMERA][_DATE[-DATE]] in one folder or two, without a flag."""
    deployment, location = placed(*folders)
    assert (deployment.deployment_id, location.location_id, deployment.camera_id) == (
        deployment_id,
        location_id,
        camera,
    )
    assert (deployment.source, deployment.flag) == (DeploymentSource.PATTERN, None)


@pytest.mark.parametrize(
    ("folders", "deployment_id"),
    [
        (["L01", "CAM2", "more"], "L01_CAM2"),
        (["L01_CAM2", "extra", "100RECNX"], "L01_CAM2"),
        (["season_2024", "L01", "L02"], "season_2024"),
    ],
)
def test_folders_that_are_not_understood_are_pooled_and_flagged(folders: list[str], deployment_id: str) -> None:
    """Several stations in one dropped folder would be one location: that is said, not done in silence."""
    deployment, _ = placed(*folders)
    assert deployment.deployment_id == deployment_id
    assert deployment.flag is not None
    assert "not told apart" in deployment.flag


@pytest.mark.parametrize(
    ("folder", "taken", "fits"),
    [
        ("2019_07_03-2019_09_03", datetime(2019, 4, 7), False),
        ("2019_01_03-2019_07_03", datetime(2019, 4, 7), True),
        ("2019_01_03-2019_07_03", datetime(2019, 7, 4, 23), True),
        ("2019_01_03-2019_07_03", datetime(2019, 7, 5), False),
        ("2019_01_03", datetime(2019, 12, 1), True),
        ("2019_01_03", datetime(2019, 1, 1), False),
        ("0001_01_01", datetime(2019, 1, 1), True),
        ("2019_01_03-9999_12_31", datetime(2019, 2, 1), True),
        ("2019_13_45", datetime(2019, 1, 1), True),
        ("2019_01_03", None, True),
    ],
)
def test_folder_date_that_contradicts_the_photographs_is_flagged(
    folder: str, taken: datetime | None, fits: bool
) -> None:
    """Before the first date or after the span, with a day's grace; impossible dates contradict nobody."""
    deployment, _ = placed("ALGAR01", folder, taken=taken)
    assert deployment.deployment_id == f"ALGAR01_{folder}"
    assert (deployment.flag is None) == fits
    assert fits or "check the camera's clock" in str(deployment.flag)


GENERIC = ["DCIM", "dcim", "100RECNX", "101RCNX", "100MEDIA", "100_BTCF", "100EK113", "100DSCIM", "999APPLE", "Images"]


@pytest.mark.parametrize("folder", GENERIC)
def test_folders_that_cameras_make_neither_name_nor_split(folder: str) -> None:
    """Alone the inbox names the place, flagged; below a card they change nothing."""
    assert is_generic(folder)
    bare, location = placed(folder, inbox="north ridge")
    assert (bare.source, location.location_id) == (DeploymentSource.INBOX, "north ridge")
    assert bare.flag is not None
    assert placed("L01_CAM2", folder) == placed("L01_CAM2")
    assert placed("L01", "DCIM", folder) == placed("L01")


@pytest.mark.parametrize("folder", ["100media", "20240105", "CAM2"])
def test_nothing_below_a_dcim_splits(folder: str) -> None:
    """A camera that starts a folder a day still makes one deployment."""
    assert placed("L01", "DCIM", folder) == placed("L01")


@pytest.mark.parametrize("folder", ["L01", "100", "10RECNX", "100RECNXYZ", "north", "DCIM2", "R0003-DONA_01"])
def test_folders_of_people_are_not_generic(folder: str) -> None:
    """Names that only resemble a camera's."""
    assert not is_generic(folder)


def test_folder_that_does_not_fit_is_taken_whole_and_flagged() -> None:
    """Too many parts for the pattern: the name is the place."""
    deployment, location = placed("a_b_c_d_e")
    assert (deployment.source, location.location_id) == (DeploymentSource.FOLDER, "a_b_c_d_e")
    assert deployment.flag is not None


def test_own_pattern_whose_location_is_not_there_falls_back() -> None:
    """An optional group that did not take part names nothing."""
    pattern = compile_pattern(r"(?P<location>L\d+)?.*")
    assert placed("L7 north", pattern=pattern)[1].location_id == "L7"
    deployment, location = placed("north", pattern=pattern)
    assert (deployment.source, location.location_id) == (DeploymentSource.FOLDER, "north")
    assert placed("north", pattern=pattern, known=table())[1].location_id == "north"


@pytest.mark.parametrize("pattern", ["(", "(?P<place>.*)", ""])
def test_patterns_that_are_none(pattern: str) -> None:
    """Not a regular expression, or without the group that matters."""
    with pytest.raises(ConfigError, match="folder_pattern"):
        compile_pattern(pattern)


folders = st.one_of(strategies.names_from_disk, st.sampled_from([*GENERIC, "L01", "d1", "L01_0001-01-01", " ", "Ford"]))


@settings(deadline=None, max_examples=200)
@given(
    st.lists(folders, max_size=4),
    folders,
    st.sampled_from([None, "H1", ""]),
    st.none() | st.datetimes(datetime(2001, 1, 1), datetime(2030, 1, 1)),
    st.booleans(),
)
def test_every_file_has_a_place(
    names: list[str], inbox: str, serial: str | None, taken: datetime | None, with_table: bool
) -> None:
    """Whatever the folders are called: one answer, the same each time, with a name that the database takes."""
    known = table() if with_table else None
    deployment, location = placed(*names, inbox=inbox, serial=serial, taken=taken, known=known)
    assert (deployment, location) == placed(*names, inbox=inbox, serial=serial, taken=taken, known=known)
    assert location.location_id.strip()
    assert deployment.deployment_id.strip()
    assert deployment.location_id == location.location_id
    for text in (deployment.deployment_id, location.location_id, deployment.flag or ""):
        text.encode("utf-8")
    if deployment.source in (DeploymentSource.FOLDER, DeploymentSource.INBOX):
        assert deployment.flag
