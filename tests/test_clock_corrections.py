"""Wrong clocks put right by the deployments table: events and effort follow, no network looks again, it can be undone."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from conftest import START, Store, moment_of, photograph

from ctwatch.config import Config

Make = Callable[..., Path]
Configure = Callable[..., Config]
TABLE = "[deployments]\ntable = 'deployments.csv'\n"
HEADER = "deploymentID,locationID,deploymentStart,deploymentEnd,folder,clockOffset,clockOffsetEnd,referencePhoto,referenceTime\n"
FACTORY = datetime(2000, 1, 1)


def reset_card(inbox: Path, name: str = "L01_CAM1") -> Path:
    """Six photographs in two bursts by a camera whose clock began on 1 January 2000 at noon of `START`'s day."""
    folder = inbox / name / "DCIM" / "100RECNX"
    folder.mkdir(parents=True)
    for number in range(6):
        moment = FACTORY + timedelta(hours=number // 3, seconds=number % 3)
        (folder / f"IMG_{number:04d}.JPG").write_bytes(photograph(100 + number, moment))
    return inbox / name


def sheet(base: Path, *rows: str) -> None:
    (base / "deployments.csv").write_text(HEADER + "".join(f"{row}\n" for row in rows), "utf-8")


def events(store: Store) -> list[tuple[datetime | None, int]]:
    return store.rows("SELECT event_start, media_count FROM events ORDER BY event_start, event_id")  # type: ignore[return-value]


def test_a_reset_clock_is_put_right_by_an_offset_and_undone(
    config: Configure, tmp_path: Path, tiny_models: Path
) -> None:
    """Untrusted times become events with effort; taking the offset out again leaves no trace; nothing is predicted anew."""
    settings = config(tiny_models, TABLE)
    plain = "L01_A,L01,2026-05-01T09:00:00,2026-05-08T12:00:00,L01_CAM1"
    sheet(settings.base, f"{plain},,,,")
    store = Store(settings)
    store.process(reset_card(tmp_path / "inbox"))
    assert events(store) == [(None, 1)] * 6
    before, predictions = store.dump(), store.dump("prediction")
    offset = START - FACTORY
    sheet(settings.base, f"{plain},{offset.days}d {timedelta(seconds=offset.seconds)},,,")
    store.pipeline.rederive()
    assert events(store) == [(START, 3), (START + timedelta(hours=1), 3)]
    assert store.rows("SELECT least, most, media_count FROM clock_corrections") == [(offset, offset, 6)]
    assert store.rows("SELECT min(recorded_timestamp), min(timestamp) FROM media") == [(FACTORY, START)]
    assert store.dump("prediction") == predictions
    sheet(settings.base, f"{plain},,,,")
    store.pipeline.rederive()
    assert store.dump() == before


def test_a_reference_photograph_tells_the_offset(config: Configure, tmp_path: Path) -> None:
    """This frame was really taken at ...; one that is not there is said in the deployment's flag, and nothing moves."""
    settings = config(text=TABLE)
    row = "L01_A,L01,2026-05-01T09:00:00,2026-05-08T12:00:00,L01_CAM1,,"
    sheet(settings.base, f"{row},100RECNX/IMG_0003.JPG,2026-05-02T08:00:00")
    store = Store(settings)
    store.process(reset_card(tmp_path / "inbox"))
    assert events(store) == [(datetime(2026, 5, 2, 7), 3), (datetime(2026, 5, 2, 8), 3)]
    sheet(settings.base, f"{row},IMG_0009.JPG,2026-05-02T08:00:00")
    store.pipeline.rederive()
    assert events(store) == [(None, 1)] * 6
    [(flag,)] = store.rows("SELECT flag FROM deployments")
    assert "IMG_0009.JPG" in flag
    store.pipeline.rederive()
    assert store.rows("SELECT flag FROM deployments") == [(flag,)]


def test_a_reference_photograph_that_comes_with_a_later_card_is_missed_no_more(
    config: Configure, make_card: Make
) -> None:
    """Its absence is in the flag as long as it lasts; deriving everything again finds nothing else to say."""
    settings = config(text=TABLE)
    sheet(settings.base, "L01_A,L01,2026-05-01,2026-05-31,L01_CAM1,,,IMG_0005.JPG,2026-05-02T08:00:00")
    store = Store(settings)
    store.process(make_card(files=3))
    [(flag,)] = store.rows("SELECT flag FROM deployments")
    assert "IMG_0005.JPG" in flag
    store.process(make_card(files=3, first=5))
    assert store.rows("SELECT flag, last_media FROM deployments") == [
        (None, datetime(2026, 5, 2, 8) + (moment_of(7) - moment_of(5)))
    ]
    before = store.dump()
    store.pipeline.rederive()
    assert store.dump() == before


def test_a_drift_bends_times_between_setup_and_retrieval(config: Configure, make_card: Make) -> None:
    """Right at setup, an hour late at retrieval: halfway through it is half an hour."""
    settings = config(text=TABLE)
    sheet(
        settings.base,
        f"L01_A,L01,{START:%Y-%m-%dT%H:%M:%S},{START + timedelta(hours=2):%Y-%m-%dT%H:%M:%S},L01_CAM1,0,01:00:00,,",
    )
    store = Store(settings)
    store.process(make_card(files=9))
    recorded, actual = zip(*store.rows("SELECT recorded_timestamp, timestamp FROM media ORDER BY 1"), strict=True)
    assert list(actual) == sorted(actual)
    shift = [late - early for early, late in zip(recorded, actual, strict=True)]
    assert shift[0] == timedelta(0)
    assert timedelta(minutes=19) < shift[-1] < timedelta(minutes=21)


def test_the_clock_of_each_deployment_chooses_between_two_of_one_place(config: Configure, tmp_path: Path) -> None:
    """A card of the second season whose clock was reset belongs there, for its own offset brings it there."""
    settings = config(text=TABLE)
    offset = datetime(2026, 9, 1, 12) - FACTORY
    sheet(
        settings.base,
        "L01_spring,L01,2026-05-01,2026-05-31,,,,,",
        f"L01_autumn,L01,2026-08-31,2026-09-30,,{offset.days}d {timedelta(seconds=offset.seconds)},,,",
    )
    store = Store(settings)
    store.process(reset_card(tmp_path / "inbox", "L01"))
    assert store.rows("SELECT DISTINCT deployment_id FROM media") == [("L01_autumn",)]


def test_what_a_lying_computer_called_the_future_is_judged_again(config: Configure, make_card: Make) -> None:
    """Photographs that came in while the computer's clock was years behind count once it is right."""
    behind = datetime(2020, 1, 1)
    clock = [behind.astimezone()]
    store = Store(config(), now=lambda: clock[0])
    store.process(make_card())
    assert store.rows("SELECT DISTINCT timestamp_trusted, timestamp_issue LIKE '%future%' FROM media") == [
        (False, True)
    ]
    clock[0] = datetime(2026, 11, 1).astimezone()
    store.pipeline.rederive()
    assert store.rows("SELECT DISTINCT timestamp_trusted FROM media") == [(True,)]
    assert len(events(store)) == 1
