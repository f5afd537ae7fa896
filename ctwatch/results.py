"""What is put out after a commit: the published database, and the CSV files made from it."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ctwatch import occupancy
from ctwatch.config import Config
from ctwatch.disk import refuses
from ctwatch.errors import StoreError, StoreFull
from ctwatch.store import queries, surveys
from ctwatch.store.database import Database
from ctwatch.store.publish import open_published, publish
from ctwatch.survey_histories import operation_of

if TYPE_CHECKING:
    import duckdb

logger = logging.getLogger(__name__)

RESULTS_FOLDER = "results"
TABLES = ("observations", "history")
RETRY_S = 30.0
"""A publication that failed is tried again after this long."""
SHARE_OF_TIME = 0.1
"""Publishing may take at most this share of the time, however large the survey grows."""


@dataclass(frozen=True, slots=True)
class Histories:
    """The occupancy tables of a survey."""

    effort: occupancy.Effort
    of_species: list[occupancy.DetectionHistory]

    def as_dict(self) -> dict[str, Any]:
        """The tables for machines; null where nothing was surveyed."""
        return {
            "occasions": [
                {"occasion": item.name, "start": item.start.isoformat(), "end": item.end.isoformat()}
                for item in self.effort.occasions
            ],
            "effort": _matrix(self.effort.names, self.effort.camera_days),
            "detection_histories": {
                history.scientific_name: _matrix(self.effort.names, history.y) for history in self.of_species
            },
            "dropped": {history.scientific_name: history.dropped for history in self.of_species if history.dropped},
        }


def histories_of(config: Config, connection: "duckdb.DuckDBPyConnection") -> Histories:
    """Compute effort and the history of every species from the published database.

    Where histories count, they count independent records; whether a species was seen does not hang on that.
    """
    rules = config.occupancy.rules()
    worked = operation_of(surveys.effort(connection), surveys.deployments(connection))
    surveyed = occupancy.effort(worked, rules)
    found = queries.detections(connection)
    places, names, times = found.location_id, found.scientific_name, found.event_start
    if rules.count:
        records = occupancy.record_table(
            places,
            names,
            times,
            independence_min=config.occupancy.independence_min,
            compared=occupancy.Compared(config.occupancy.independence_from),
        )
        places, names, times = list(records.location_id), list(records.scientific_name), records.times
    seen = occupancy.detections(places, names, times)
    return Histories(surveyed, occupancy.detection_histories(seen, surveyed, rules))


def export(config: Config, folder: Path, names: Sequence[str] = TABLES) -> list[Path]:
    """Write the named tables into a folder from the published database; returns the paths."""
    from ctwatch.export import histories, observations

    written = []
    try:
        with open_published(config.store_folder) as connection:
            if "observations" in names:
                columns, rows = queries.event_observations(connection)
                written.append(observations.write(folder, columns, rows, config.deployments.utc_offset))
            if "history" in names:
                tables = histories_of(config, connection)
                _say_dropped(tables.of_species)
                written += histories.write(folder, tables.effort, tables.of_species)
    except OSError as error:
        raise not_written(folder, error) from error
    return written


def not_written(folder: Path, error: OSError) -> StoreError:
    """Return the error for a folder that could not be written into: StoreFull if its disk takes nothing more."""
    kind = StoreFull if refuses(error) else StoreError
    return kind(f"{folder}: cannot be written to ({error.strerror}); make room, or mend its rights")


def put_out(config: Config, database: Database, now: datetime | None = None) -> None:
    """Publish the database and write the tables of its results folder; raises StoreFull, StoreError.

    `now` is UTC and is told in the copy; None: the present time.
    """
    publish(database, now or utc_now(), with_people=config.store.publish_people)
    export(config, config.store_folder / RESULTS_FOLDER)


def utc_now() -> datetime:
    """Return the time in UTC as the database holds it, without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


class Publisher:
    """Publishes after commits, but never more than a tenth of the time."""

    def __init__(
        self,
        config: Config,
        database: Database,
        monotonic: Callable[[], float],
        utc_now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._config, self._database, self._monotonic, self._utc_now = config, database, monotonic, utc_now
        self._earliest_next = float("-inf")
        self.pending = False

    def publish(self, *, at_once: bool = False) -> bool:
        """Publish and export if something is pending and it is time, or `at_once`; returns whether it did."""
        started = self._monotonic()
        if not at_once and (not self.pending or started < self._earliest_next):
            return False
        self._earliest_next = started + RETRY_S
        put_out(self._config, self._database, self._utc_now())
        ended = self._monotonic()
        self._earliest_next = ended + (ended - started) * (1 / SHARE_OF_TIME - 1)
        self.pending = False
        return True

    def wait_s(self) -> float | None:
        """Seconds until something pending may be published; None if nothing is."""
        return max(0.0, self._earliest_next - self._monotonic()) if self.pending else None


def _say_dropped(histories: Sequence[occupancy.DetectionHistory]) -> None:
    because = Counter[str]()
    for history in histories:
        because.update(history.dropped_because)
    if because:
        reasons = ", ".join(f"{number} {reason}" for reason, number in sorted(because.items()))
        logger.warning("%d detections are in no cell of the histories: %s", because.total(), reasons)


def _matrix(names: Sequence[str], values: NDArray[np.float64]) -> dict[str, list[float | None]]:
    return {
        name: [None if np.isnan(value) else float(value) for value in row]
        for name, row in zip(names, values, strict=True)
    }
