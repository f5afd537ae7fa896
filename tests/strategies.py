"""What the property tests draw: names as a file system gives them, and the columns of a deployment's frames."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from ctwatch import events

EPOCH = np.datetime64("2024-05-01T00:00:00", "us")

names_from_disk = st.one_of(
    st.binary(max_size=40).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.text("0123456789²③٣ßİIMG_. -/\\", max_size=20),
)
"""File and folder names: any bytes, any text, and digits of every kind."""


@dataclass(frozen=True, slots=True)
class Row:
    """One frame, in plain Python."""

    media_id: str
    path: str
    seconds: float | None
    trusted: bool = True
    time_lapse: bool = False
    sequence: int = 0
    event: int = -1


def columns(rows: Sequence[Row]) -> events.Frames:
    """The columns of the rows, in their order."""
    times = [
        np.datetime64("NaT", "us") if row.seconds is None else EPOCH + np.timedelta64(round(row.seconds * 1e6), "us")
        for row in rows
    ]
    return events.Frames(
        media_id=np.array([row.media_id for row in rows], dtype=object),
        timestamp=np.array(times, dtype="datetime64[us]"),
        trusted=np.array([row.trusted for row in rows], dtype=bool),
        time_lapse=np.array([row.time_lapse for row in rows], dtype=bool),
        sequence_number=np.array([row.sequence for row in rows], dtype=np.int64),
        event_number=np.array([row.event for row in rows], dtype=np.int64),
        file_order=events.file_order([row.path for row in rows], [row.media_id for row in rows]),
    )


def grouped(rows: Sequence[Row], rule: events.EventRule) -> list[list[str]]:
    """Group the rows; media ids of each event, in order."""
    frames = columns(rows)
    grouping = events.group(frames, rule)
    ends = grouping.starts + grouping.sizes()
    return [list(frames.media_id[grouping.order[i:j]]) for i, j in zip(grouping.starts, ends, strict=True)]


@st.composite
def frames(draw: st.DrawFn, max_size: int = 25) -> list[Row]:
    """Draw the frames of a deployment: bursts, same seconds, time-lapse, frames without a usable time."""
    number = draw(st.integers(0, max_size))
    rows = []
    for index in range(number):
        sequence = draw(st.sampled_from([0, 0, 1, 2, 3]))
        rows.append(
            Row(
                media_id=f"m{index:02d}",
                path=f"DCIM/10{draw(st.integers(0, 1))}RECNX/IMG_{draw(st.integers(1, 12))}.JPG",
                seconds=draw(
                    st.one_of(
                        st.integers(0, 9), st.integers(0, 400), st.integers(0, 1600).map(lambda n: n / 4), st.none()
                    )
                ),
                trusted=draw(st.sampled_from([True] * 9 + [False])),
                time_lapse=draw(st.sampled_from([False] * 9 + [True])),
                sequence=sequence,
                event=draw(st.sampled_from([-1, 1, 2])) if sequence else -1,
            )
        )
    return rows
