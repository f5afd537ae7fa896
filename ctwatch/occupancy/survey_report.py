"""What a survey did and saw in five tables (camtrapR's surveyReport)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from ctwatch.occupancy.codes import Names, coded, places
from ctwatch.occupancy.operation import CameraPeriod, Operation


@dataclass(frozen=True, slots=True)
class SurveyDates:
    """One row for each location, as columns."""

    location_id: tuple[str, ...]
    setup: tuple[date | None, ...]
    retrieval: tuple[date | None, ...]
    first_record: tuple[date | None, ...]
    last_record: tuple[date | None, ...]
    n_cameras: NDArray[np.int64]
    calendar_days: NDArray[np.int64]
    """Days on which something was set up."""
    calendar_days_active: NDArray[np.int64]
    calendar_days_inactive: NDArray[np.int64]
    trap_nights: NDArray[np.float64]
    """Camera-days worked."""


@dataclass(frozen=True, slots=True)
class SurveyReport:
    """The five tables; P locations, M species."""

    dates: SurveyDates
    location_ids: tuple[str, ...]
    """Of `events`, sorted."""
    species: tuple[str, ...]
    """Of `events`, sorted."""
    events: NDArray[np.int64]
    """Number of records, shape (P, M), zeros where there are none (events_by_station2)."""
    dropped: Mapping[str, int]
    """Records that are counted nowhere, by reason."""

    def species_by_location(self) -> list[tuple[str, int]]:
        """Return (location, number of species) of all that had a record."""
        counted = (self.events > 0).sum(axis=1).tolist()
        return [(place, number) for place, number in zip(self.location_ids, counted, strict=True) if number]

    def events_by_species(self) -> list[tuple[str, int, int]]:
        """Return (species, number of records, number of locations)."""
        events, seen = self.events.sum(axis=0).tolist(), (self.events > 0).sum(axis=0).tolist()
        return list(zip(self.species, events, seen, strict=True))

    def events_by_location(self, *, with_zeros: bool = False) -> list[tuple[str, str, int]]:
        """Return (location, species, number of records), those that occur or, `with_zeros`, all."""
        return [
            (place, name, number)
            for place, row in zip(self.location_ids, self.events.tolist(), strict=True)
            for name, number in zip(self.species, row, strict=True)
            if number or with_zeros
        ]


def survey_report(
    periods: Sequence[CameraPeriod],
    worked: Operation,
    location_id: Names,
    scientific_name: Names,
    times: NDArray[np.datetime64],
    *,
    camtrapr_compatible: bool = False,
) -> SurveyReport:
    """Tabulate a survey from its camera periods, their operation by location, and N independent records.

    Locations are those of the periods and of the operation, sorted; records of others, or without a time, are counted
    as dropped. A camera without a name counts as one of its own. With `camtrapr_compatible` (R/surveyReport.R) the events
    are those of locations with records alone, the dates those of locations with both periods and operation, and every
    period counts as a camera.
    """
    moments = np.asarray(times, dtype="datetime64[us]")
    found, place = coded(location_id)
    species, name = coded(scientific_name)
    location_ids = tuple(sorted({item.location_id for item in periods} | set(worked.location_ids)))
    row = np.append(places(found, location_ids), -1)[place]
    timed = ~np.isnat(moments)
    known = timed & (row >= 0) & (name >= 0)
    events = np.zeros((len(location_ids), len(species)), dtype=np.int64)
    np.add.at(events, (row[known], name[known]), 1)
    first, last = _ends(row[known], moments[known].astype("datetime64[D]"), len(location_ids))
    of_place: dict[str, list[CameraPeriod]] = {}
    for item in periods:
        of_place.setdefault(item.location_id, []).append(item)
    shown = np.arange(len(location_ids))
    with_events = shown
    if camtrapr_compatible:
        both = of_place.keys() & set(worked.location_ids)
        shown = np.flatnonzero([location in both for location in location_ids])
        with_events = np.flatnonzero(events.sum(axis=1) > 0)
    shown_ids = tuple(location_ids[at] for at in shown)
    cameras = [_cameras(of_place.get(location, []), camtrapr_compatible) for location in shown_ids]
    operated = places(worked.location_ids, shown_ids)
    totals = np.zeros((4, len(shown_ids) + 1))
    for measure, values in enumerate(
        (~np.isnan(worked.days), worked.days > 0, worked.days == 0, np.nan_to_num(worked.days))
    ):
        np.add.at(totals[measure], operated, values.sum(axis=1))
    set_up, active, inactive = totals[:3, :-1].astype(np.int64)
    dates = SurveyDates(
        shown_ids,
        tuple(min((item.start.date() for item in of_place.get(location, [])), default=None) for location in shown_ids),
        tuple(max((item.end.date() for item in of_place.get(location, [])), default=None) for location in shown_ids),
        tuple(first[at] for at in shown),
        tuple(last[at] for at in shown),
        np.array(cameras, dtype=np.int64),
        set_up,
        active,
        inactive,
        totals[3, :-1],
    )
    dropped = {"no time": int((~timed).sum()), "unknown location": int((timed & (row < 0)).sum())}
    return SurveyReport(
        dates,
        tuple(location_ids[at] for at in with_events),
        species,
        events[with_events],
        {reason: number for reason, number in dropped.items() if number},
    )


def _cameras(periods: Sequence[CameraPeriod], each: bool) -> int:
    if each:
        return len(periods)
    return len({item.camera_id or number for number, item in enumerate(periods)})


def _ends(
    row: NDArray[np.int64], days: NDArray[np.datetime64], count: int
) -> tuple[list[date | None], list[date | None]]:
    """Return the first and the last day of each row, None where there is none."""
    first, last = np.full(count, np.iinfo(np.int64).max), np.full(count, np.iinfo(np.int64).min)
    number = days.astype(np.int64)
    np.minimum.at(first, row, number)
    np.maximum.at(last, row, number)
    seen = first <= last
    return tuple(  # type: ignore[return-value]
        [np.datetime64(int(day), "D").astype(object) if there else None for day, there in zip(found, seen, strict=True)]
        for found in (first, last)
    )
