"""surveyReport."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ctwatch import occupancy

from .calls import Call, DiffersError, InexpressibleError
from .comparing import same_cell
from .histories import camop
from .operations import periods
from .times import guessed
from .written import table


def survey_report(call: Call) -> None:
    """surveyReport: its five tables."""
    arguments = call.arguments
    call.check(
        {
            "recordTable", "CTtable", "camOp", "speciesCol", "stationCol", "cameraCol", "setupCol", "retrievalCol",
            "CTDateFormat", "CTHasProblems", "recordDateTimeCol", "recordDateTimeFormat", "Xcol", "Ycol", "sinkpath",
            "makezip",
        }
    )  # fmt: skip
    station, species = arguments.get("stationCol") or "Station", arguments.get("speciesCol") or "Species"
    rows = call.rows("recordTable")
    moments = guessed(
        [row[arguments.get("recordDateTimeCol") or "DateTimeOriginal"] for row in rows],
        arguments.get("recordDateTimeFormat") or "ymd HMS",
    )
    report = occupancy.survey_report(
        periods(call, "CTDateFormat", None),
        camop(call),
        [row[station] for row in rows],
        [row[species] for row in rows],
        np.array(moments, dtype="datetime64[us]"),
        camtrapr_compatible=True,
    )
    dates = report.dates
    days = zip(
        dates.location_id, dates.setup, dates.retrieval, dates.first_record, dates.last_record, dates.n_cameras,
        dates.calendar_days, dates.calendar_days_active, dates.calendar_days_inactive, dates.trap_nights, strict=True,
    )  # fmt: skip
    tables: dict[str, tuple[Sequence[str], list[tuple[Any, ...]]]] = {
        "survey_dates": (
            (
                station, "setup", "retrieval", "image_first", "image_last", "n_cameras", "n_calendar_days_total",
                "n_calendar_days_active", "n_calendar_days_inactive", "n_trap_nights_active",
            ),
            list(days),
        ),
        "species_by_station": ((station, "n_species"), list(report.species_by_location())),
        "events_by_species": (("species", "n_events", "n_stations"), list(report.events_by_species())),
        "events_by_station": ((station, species, "n_events"), list(report.events_by_location())),
        "events_by_station2": ((station, species, "n_events"), list(report.events_by_location(with_zeros=True))),
    }  # fmt: skip
    for key, path in call.files().items():
        what = next((name for name in sorted(tables, key=len, reverse=True) if key.endswith(name)), None)
        if what is None:
            raise InexpressibleError(f"table {key}")
        header, ours = tables[what]
        expected = table(path)
        if len(ours) != len(expected):
            raise DiffersError(f"{what}: {len(ours)} rows, camtrapR has {len(expected)}")
        keys = 2 if what.startswith("events_by_station") else 1
        theirs = {tuple(row[name] for name in header[:keys]): row for row in expected}
        for line in ours:
            row = theirs.get(tuple(str(cell) for cell in line[:keys]))
            if row is None:
                raise DiffersError(f"{what}: camtrapR has no row {line[:keys]}")
            for name, value in zip(header[keys:], line[keys:], strict=True):
                if name in row:
                    same_cell(f"{what} [{line[0]}, {name}]", value, row[name])
            unknown = set(row) - set(header)
            if unknown:
                raise InexpressibleError(f"{what}: column {sorted(unknown)[0]}")
