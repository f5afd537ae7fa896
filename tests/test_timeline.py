"""The ladder of time sources: the first that can be believed is taken, and what was passed over is told."""

from datetime import datetime, timedelta

import pytest
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st

from ctwatch.domain import NO_TIMESTAMP, Timestamp, TimestampSource
from ctwatch.timeline import from_file_name, from_xmp, parse, timestamp

NOW = datetime(2024, 6, 1, 12)
ORIGINAL, DIGITIZED, MODIFIED = (
    TimestampSource.DATE_TIME_ORIGINAL,
    TimestampSource.DATE_TIME_DIGITIZED,
    TimestampSource.DATE_TIME,
)
XMP = '<rdf:Description photoshop:DateCreated="2024-05-04T10:00:00.5+02:00"/>'
FILE_NAME = "2024-05-05__10-00-00.JPG"
FILE_TIME = datetime(2024, 5, 6, 10)


def climbed(
    tags: dict[TimestampSource, str] | None = None,
    *,
    sub_seconds: dict[TimestampSource, str] | None = None,
    xmp: str = "",
    file_name: str = "IMG_0001.JPG",
    file_time: datetime | None = None,
) -> Timestamp:
    return timestamp(
        tags or {},
        sub_seconds or {},
        xmp=xmp,
        file_name=file_name,
        file_time=file_time,
        earliest_year=2001,
        now=NOW,
    )


def test_ladder_order() -> None:
    """Take away the best source each time: the next one is taken."""
    tags = {ORIGINAL: "2024:05:01 10:00:00", DIGITIZED: "2024:05:02 10:00:00", MODIFIED: "2024:05:03 10:00:00"}
    xmp, name, file_time = XMP, FILE_NAME, FILE_TIME
    taken = []
    for gone in (None, ORIGINAL, DIGITIZED, MODIFIED, "xmp", "name", "time"):
        tags = {source: text for source, text in tags.items() if source != gone}
        xmp = "" if gone == "xmp" else xmp
        name = "IMG_0001.JPG" if gone == "name" else name
        stamp = climbed(tags, xmp=xmp, file_name=name, file_time=None if gone == "time" else file_time)
        taken.append((stamp.source, stamp.value.day if stamp.value else None, stamp.trusted))
    assert taken == [
        (ORIGINAL, 1, True),
        (DIGITIZED, 2, True),
        (MODIFIED, 3, True),
        (TimestampSource.XMP, 4, True),
        (TimestampSource.FILE_NAME, 5, True),
        (TimestampSource.FILE_TIME, 6, True),
        (None, None, False),
    ]


def test_nothing_known_is_no_timestamp() -> None:
    """Without any source there is no time, and a file's own time is not taken unless it is given."""
    assert climbed() == NO_TIMESTAMP
    assert climbed({ORIGINAL: "    :  :     :  :  "}) == NO_TIMESTAMP


@pytest.mark.parametrize("text", ["0000:00:00 00:00:00", "2024:02:30 10:00:00", "2024:13:01 10:00:00", "yesterday"])
def test_impossible_time_passes_over_to_the_next_rung_and_is_told(text: str) -> None:
    """A broken better source does not hide a good one."""
    stamp = climbed({ORIGINAL: text, DIGITIZED: "2024:05:02 10:00:00"})
    assert (stamp.source, stamp.trusted) == (DIGITIZED, True)
    assert stamp.issue is not None
    assert text in stamp.issue
    assert "DateTimeOriginal" in stamp.issue


@pytest.mark.parametrize(
    ("text", "why"), [("1970:01:01 00:00:10", "before 2001"), ("2024:06:02 12:00:01", "in the future")]
)
def test_clock_never_set_or_ahead_is_kept_but_not_trusted(text: str, why: str) -> None:
    """The value stays for a person to correct; grouping does not use it; a good source further down wins."""
    stamp = climbed({ORIGINAL: text})
    assert (stamp.value, stamp.source, stamp.trusted) == (parse(text), ORIGINAL, False)
    assert stamp.issue is not None
    assert why in stamp.issue
    better = climbed({ORIGINAL: text}, file_name=FILE_NAME)
    assert (better.source, better.trusted) == (TimestampSource.FILE_NAME, True)


def test_a_day_ahead_is_another_time_zone() -> None:
    """Up to a day after now is no clock error."""
    assert climbed({ORIGINAL: "2024:06:02 12:00:00"}).trusted


@pytest.mark.parametrize(
    ("text", "beside", "microsecond"),
    [
        ("2024:05:01 10:00:00", "25", 250_000),
        ("2024:05:01 10:00:00", " 007 ", 7_000),
        ("2024:05:01 10:00:00", "123456789", 123_456),
        ("2024:05:01 10:00:00.5", "25", 500_000),
        ("2024:05:01 10:00:00", "12\x00", 120_000),
        ("2024:05:01 10:00:00", "²", 0),
        ("2024:05:01 10:00:00", "-5", 0),
        ("2024:05:01 10:00:00", "", 0),
    ],
)
def test_sub_seconds(text: str, beside: str, microsecond: int) -> None:
    """A fraction in the text, else the one beside it; what is no number is none."""
    value = parse(text, beside)
    assert value is not None
    assert value.microsecond == microsecond


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2024:05:01 10:02:03", datetime(2024, 5, 1, 10, 2, 3)),
        ("2024-05-01T10:02:03Z", datetime(2024, 5, 1, 10, 2, 3)),
        ("2024-05-01T10:02:03+02:00", datetime(2024, 5, 1, 10, 2, 3)),
        ("2024/05/01 10:02", datetime(2024, 5, 1, 10, 2)),
        (" 2024:5:1 1:2:3\x00", datetime(2024, 5, 1, 1, 2, 3)),
        ("2024:05:01 24:00:00", None),
        ("2024:05:01", None),
        ("٢٠٢٤:05:01 10:02:03", None),
        ("", None),
    ],
)
def test_parse(text: str, value: datetime | None) -> None:
    """EXIF and ISO 8601, without the zone; the impossible is None."""
    assert parse(text) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("StationA__2009-04-10__05-07-00(1).JPG", datetime(2009, 4, 10, 5, 7, 0)),
        ("20210531082538-RCNX0031.JPG", datetime(2021, 5, 31, 8, 25, 38)),
        ("PIC_2024.05.01_10.02.03.jpg", datetime(2024, 5, 1, 10, 2, 3)),
        ("20240501T100203.JPG", datetime(2024, 5, 1, 10, 2, 3)),
        ("IMG_0001.JPG", None),
        ("20240501.JPG", None),
        ("2024-02-30__05-07-00.JPG", None),
        ("120240501100203.JPG", None),
        ("2024050110020345.JPG", None),
        ("58d2eb8d-23d2-11e8-a6a3-ec086b02610b.jpg", None),
        ("ab201805-1212-3456-8899-ec086b02610b.jpg", None),
        ("aabbccdd-2018-0512-1234-56aabbccddee.jpg", None),
        ("", None),
    ],
)
def test_file_names(name: str, value: datetime | None) -> None:
    """Dates that renaming tools and cameras write; random identifiers are none, whatever digits they have."""
    assert from_file_name(name) == value


@pytest.mark.parametrize(
    ("packet", "text"),
    [
        (XMP, "2024-05-04T10:00:00.5+02:00"),
        ("<exif:DateTimeOriginal>2024-05-04T10:00:00</exif:DateTimeOriginal>", "2024-05-04T10:00:00"),
        ("xmp:CreateDate = '2024-05-04T10:00:00Z'", "2024-05-04T10:00:00Z"),
        ("<x:xmpmeta/>", None),
        ("exif:DateTimeOriginal", None),
    ],
)
def test_xmp(packet: str, text: str | None) -> None:
    """As attribute and as element; searched for, so that broken XML does no harm."""
    assert from_xmp(packet) == text


some_text = st.one_of(strategies.names_from_disk, st.from_regex(r"[ ]?[0-9²٣:./T \-+]{4,24}", fullmatch=True))


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(st.sampled_from([ORIGINAL, DIGITIZED, MODIFIED]), some_text), some_text, some_text, some_text)
def test_no_text_breaks_the_ladder(tags: dict[TimestampSource, str], fraction: str, packet: str, name: str) -> None:
    """Whatever stands in the file, there is an answer; trusted exactly within the years that can be."""
    stamp = climbed(tags, sub_seconds=dict.fromkeys(tags, fraction), xmp=f"xmp:CreateDate='{packet}'", file_name=name)
    possible = stamp.value is not None and stamp.value.year >= 2001 and stamp.value <= NOW + timedelta(days=1)
    assert stamp.trusted == possible
    assert (stamp.value is None) == (stamp.source is None)
    assert stamp.trusted or stamp.issue


@settings(deadline=None)
@given(st.datetimes(datetime(2001, 1, 1), NOW))
def test_a_written_time_reads_back(value: datetime) -> None:
    """Any time written as EXIF does comes back, with its microseconds."""
    text = {ORIGINAL: f"{value:%Y:%m:%d %H:%M:%S}"}
    stamp = climbed(text, sub_seconds={ORIGINAL: f"{value.microsecond:06d}"})
    assert stamp == Timestamp(value, ORIGINAL, trusted=True)
    assert from_file_name(f"S1__{value:%Y-%m-%d__%H-%M-%S}(1).JPG") == value.replace(microsecond=0)
