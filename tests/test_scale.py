"""What a survey's size may cost, counted: statements a derivation, frames decided about at once, files held unpacked."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import DERIVED_TABLES, Store
from hypothesis import given
from hypothesis import strategies as st

from ctwatch import accounts, derive
from ctwatch.accounts import Packed, Placed
from ctwatch.config import Config
from ctwatch.decoding import ReadFile
from ctwatch.domain import (
    NO_TIMESTAMP,
    CameraFacts,
    CaptureMethod,
    Deployment,
    DeploymentSource,
    Failure,
    FileStat,
    Ignored,
    Location,
    Media,
    Timestamp,
    TimestampSource,
)
from ctwatch.events import Grouping


@given(st.lists(st.integers(1, 5), max_size=30), st.integers(0, 9), st.integers(1, 12))
def test_parts_are_whole_events_and_hold_every_frame_once(sizes: list[int], alone: int, size: int) -> None:
    starts = np.cumsum([0, *sizes])[:-1]
    grouping = Grouping(np.arange(sum(sizes)), starts)
    count = sum(sizes) + alone
    parts = grouping.parts(count, size)
    assert [place for first, last in parts for place in range(first, last)] == list(range(count))
    assert all(last - first < size + 5 for first, last in parts)
    begins = {*starts.tolist(), *range(sum(sizes), count)}
    assert all(first in begins for first, _ in parts)
    inside = [first + start for first, last in parts for start in grouping.between(first, last).starts.tolist()]
    assert inside == starts.tolist()


class Counted:
    """A connection that keeps what it is asked."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.statements: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: str, *rest: Any) -> Any:
        self.statements.append(sql)
        return self._connection.execute(sql, *rest)


@pytest.mark.parametrize(("at_once", "parts"), [(3, 4), (6, 2), (1000, 1)])
def test_frames_decided_about_in_parts_give_the_same_rows_and_predictions_are_looked_through_once(
    at_once: int,
    parts: int,
    tiny_models: Path,
    make_card: Callable[..., Path],
    config: Callable[..., Config],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Store(config(tiny_models))
    store.process(make_card("L01_CAM1", 12))
    before = store.dump(*DERIVED_TABLES)
    monkeypatch.setattr(derive, "FRAMES_AT_ONCE", at_once)
    models = derive.Models(store.pipeline._models.empty, store.pipeline._models.species)
    with store.database.writing() as connection:
        counted = Counted(connection)
        derive.derive(counted, "L01_CAM1", store.config, models, datetime(2030, 1, 1))
    assert store.dump(*DERIVED_TABLES) == before
    assert sum("raw.prediction" in sql for sql in counted.statements) == 1
    assert sum("raw.human_label" in sql for sql in counted.statements) == parts
    # Two inserts, two questions about predictions and two about labels for each part.
    assert len(counted.statements) == 14 + 6 * parts


def test_files_that_were_read_are_packed_in_blocks_and_come_back_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "FILES_AT_ONCE", 4)
    moment = datetime(2026, 5, 1, 7, 0, 1, 5)
    stamps = [NO_TIMESTAMP, Timestamp(moment, TimestampSource.XMP, trusted=True, issue="none better")]
    places: list[tuple[Deployment | None, Location | None]] = [
        (None, None),
        (Deployment("L01", "L01", DeploymentSource.TABLE, deployment_start=moment), Location("L01", None, 0.1, -1e-9)),
        (Deployment("L01", "L01", DeploymentSource.TABLE, flag="look at it"), Location("L01")),
    ]
    failures = [None, Failure.TRUNCATED]
    files = []
    for number in range(10):
        path, even, failure = f"IMG_{number}\udcff.JPG", number % 2, failures[number % 2]
        camera = CameraFacts("Reconyx", serial=f"\u00e9{number}", temperature_c=number / 7)
        media = Media(
            f"{number:032x}",
            path,
            number,
            "image/jpeg",
            stamps[even],
            list(CaptureMethod)[even],
            camera,
            640,
            None,
            failure,
            "cut",
        )
        ignored = Ignored.LINK if number == 9 else None
        read = ReadFile(
            FileStat(path, number, 2**62 + number, ignored=ignored), media if number % 3 else None, failure, "why"
        )
        files.append(Placed(read, *places[number % 3]))
    packed = Packed()
    for number, item in enumerate(files):
        assert len(packed) == number
        packed.append(item)
        assert len(packed._open) < 4
    for _ in range(2):
        assert [len(block) for block in packed.blocks()] == [4, 4, 2]
        assert [item for block in packed.blocks() for item in block] == files


@pytest.mark.parametrize("files_at_once", [1, 2, 1000])
def test_a_card_written_in_blocks_is_the_same_card(
    files_at_once: int, make_card: Callable[..., Path], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "FILES_AT_ONCE", files_at_once)
    card = make_card("L01_CAM1", 5)
    (card / "copy.JPG").write_bytes((card / "IMG_0001.JPG").read_bytes())
    (card / "broken.JPG").write_bytes(b"no photograph")
    (card / "notes.txt").write_text("seen")
    counts = store.process(card).counts
    assert (counts.files_seen, counts.media, counts.duplicates, counts.failed, counts.ignored) == (8, 5, 1, 1, 1)
    assert store.files()["copy.JPG"] == ("duplicate", "twice_on_card")
