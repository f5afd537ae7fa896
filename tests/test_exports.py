"""Files that others rely on: their bytes are the contract, held by golden files."""

import csv
import io
import subprocess
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctwatch.export import histories, observations
from ctwatch.export.files import csv_text, write_bytes, write_csv
from ctwatch.occupancy import CameraPeriod, Rules, camera_operation, detection_histories, detections, effort
from ctwatch.store import queries
from ctwatch.store.database import Database
from ctwatch.store.preparation import prepare

GOLDEN = Path(__file__).parent / "golden" / "export"
COLUMNS = (
    "observation_id", "deployment_id", "event_id", "event_start", "event_end", "observation_type", "scientific_name",
    "classified_by", "classification_probability", "location_id", "needs_review", "review_reason", "top_labels",
    "top_probabilities",
)  # fmt: skip
ROWS = [
    (
        "o1", "L01-2026", "e1", datetime(2026, 5, 1, 6, 41, 30), datetime(2026, 5, 1, 6, 42, 11, 500000), "animal",
        "Panthera pardus", "ctwatch ensemble", 0.98765432, "L01", False, None, ["Panthera pardus", "blank"], [0.98765432, 0.01],
    ),
    (
        "o2", "=cmd|' /C calc'!A0", "e2", datetime(2026, 5, 2), datetime(2026, 5, 2), "unknown", None, "ctwatch ensemble",
        0.5, "L, \"the\" 2\nnd", True, "low_confidence;members_disagree", ["-rf", "b"], [0.5, 0.25],
    ),
    ("o3", "L01-2026", "e3", None, None, "unclassified", None, None, None, "L01", True, "unreadable_frame", [], []),
    (
        "o4", "L01-2026", "e4", datetime(2026, 5, 3), datetime(2026, 5, 3), "blank", None, "ctwatch ensemble", 1.0, "L01",
        False, None, ["blank"], [1.0],
    ),
]  # fmt: skip


def survey() -> tuple[object, list[object]]:
    periods = [
        CameraPeriod("L01", datetime(2026, 5, 1, 12), datetime(2026, 5, 20, 12)),
        CameraPeriod("L02 =x", datetime(2026, 5, 9), datetime(2026, 5, 15, 6)),
    ]
    surveyed = effort(camera_operation(periods), Rules())
    times = np.array(["2026-05-02T03:00", "2026-05-08T00:00", "2026-05-10T10:00"], dtype="datetime64[us]")
    found = detections(["L01", "L01", "L02 =x"], ["Panthera pardus"] * 3, times)
    return surveyed, detection_histories(found, surveyed, Rules(), ["Panthera pardus", "cat/../etc: ä"])


def same_as_golden(folder: Path) -> None:
    """Compare every file with its golden twin; a missing or changed one is shown as a diff."""
    written = {path.name: path.read_bytes() for path in folder.iterdir()}
    golden = {path.name: path.read_bytes() for path in GOLDEN.iterdir()}
    assert written == golden, subprocess.run(
        ["diff", "-ru", str(GOLDEN), str(folder)], capture_output=True, text=True, check=False
    ).stdout


def test_exports_are_these_bytes(tmp_path: Path) -> None:
    """Column order, float format, NA, quoting and file names."""
    observations.write(tmp_path, COLUMNS, ROWS, "+03:00")
    surveyed, of_species = survey()
    histories.write(tmp_path, surveyed, of_species)  # type: ignore[arg-type]
    same_as_golden(tmp_path)


def test_a_history_whose_species_is_gone_is_removed_and_nothing_else(tmp_path: Path) -> None:
    """A folder of results never tells of a species that is no longer in the database."""
    (tmp_path / "detection_history__ghost.csv").write_text("old")
    (tmp_path / "notes.csv").write_text("mine")
    surveyed, of_species = survey()
    histories.write(tmp_path, surveyed, of_species[:1])  # type: ignore[arg-type]
    assert not (tmp_path / "detection_history__ghost.csv").exists()
    assert (tmp_path / "notes.csv").read_text() == "mine"


def test_no_cell_is_a_formula(tmp_path: Path) -> None:
    """Names from strangers are opened in spreadsheets."""
    path = observations.write(tmp_path, COLUMNS, ROWS, "")
    with path.open(newline="") as handle:
        cells = [cell for row in csv.reader(handle) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


@given(
    st.lists(
        st.lists(
            st.one_of(st.none(), st.text(), st.integers(), st.floats(allow_infinity=False)), min_size=2, max_size=2
        )
    )
)
def test_any_table_can_be_read_back(rows: list[list[str | int | float | None]]) -> None:
    """As many rows and cells as were written, whatever is in them."""
    text = csv_text(("a", "b"), rows, missing="NA")
    back = list(csv.reader(io.StringIO(text, newline="")))
    assert len(back) == 1 + len(rows)
    assert all(len(row) == 2 for row in back)


def test_a_file_with_these_bytes_already_is_left_alone(tmp_path: Path) -> None:
    """An unchanged export does not look changed to those who sync the folder."""
    path = tmp_path / "a.csv"
    write_csv(path, ("x",), [(1.5,)])
    before = path.stat()
    write_csv(path, ("x",), [(1.5,)])
    after = path.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    """A failing write leaves the old file and no leavings."""
    path = tmp_path / "a.csv"
    write_bytes(path, b"old")
    with pytest.raises(TypeError):
        write_bytes(path, "not bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_event_with_a_person_on_one_frame_is_private_on_the_contact_sheet(tmp_path: Path) -> None:
    """Whatever was decided of the event as a whole; and only as many events are read as were asked for."""
    database = Database(tmp_path)
    prepare(database)
    with database.writing() as connection:
        connection.execute(
            """
            INSERT INTO raw.deployment (deployment_id, location_id) VALUES ('d', 'L');
            INSERT INTO raw.event
                SELECT 'e' || n, 'd', TIMESTAMP '2026-05-01' + INTERVAL 1 HOUR * n, NULL, 1, true FROM range(3) t(n);
            INSERT INTO raw.observation (observation_id, event_id, media_id, observation_level, observation_type, scientific_name)
            VALUES ('1', 'e0', NULL, 'event', 'animal', 'fox'), ('2', 'e0', 'm', 'media', 'human', NULL),
                   ('3', 'e1', NULL, 'event', 'blank', NULL)
            """
        )
    with database.reading() as connection:
        first, second = queries.event_pictures(connection, 2)
    assert (first.event_id, first.decided, first.private) == ("e0", "fox", True)
    assert (second.event_id, second.decided, second.private, second.frames) == ("e1", "blank", False, [])
