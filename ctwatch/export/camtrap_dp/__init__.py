"""Camtrap DP 1.0.2: a folder with datapackage.json and its tables of deployments, media and observations."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctwatch.errors import ConfigError
from ctwatch.export import frames
from ctwatch.export.camtrap_dp import deployments, media, observations, package, schema
from ctwatch.export.files import Cell, csv_text, write_bytes
from ctwatch.export.written import Written, counted, listed
from ctwatch.survey import Publication, Survey

__all__ = ["write"]


def write(folder: Path, survey: Survey, publication: Publication) -> Written:
    """Write a survey as a Camtrap DP package (tdwg/camtrap-dp 1.0.2) into a folder; the same survey, the same bytes.

    Deployments without coordinates or any dates cannot be in a valid package: they are left out with their photographs
    and observations; so are photographs of events with people unless they are asked for, while their events stay. What was
    left out, assumed or rounded is in the sentences. Raises ConfigError if no deployment is left, or if the sampling design
    or the offset from UTC is none. OSError passes.
    """
    package.check(publication)
    said: list[str] = []
    zone = publication.utc_offset or "Z"
    times = media.times_of(survey.media)
    of_media = _deployment_of(survey)
    placed = deployments.placed(survey.deployments)
    can_be = media.writable(survey.media, times, said) & (of_media >= 0)
    kept = np.flatnonzero(can_be & np.append(placed, False)[of_media])
    spans = deployments.spans(survey.deployments, times, kept, of_media)
    chosen = np.flatnonzero(placed & ~np.isnat(spans.start) & ~np.isnat(spans.end))
    _tell_left_out(survey, placed, chosen, of_media, said)
    if not len(chosen):
        raise ConfigError(
            [
                "Camtrap DP requires coordinates and dates, and no deployment has both: write latitude, longitude,"
                " deploymentStart and deploymentEnd in the deployments table (deployments.table) and run rederive"
            ]
        )
    there = [survey.deployments[row] for row in chosen]
    rows = deployments.rows(there, spans.of(chosen), survey.media, kept, publication, zone, said)
    ids = {item.deployment.deployment_id: str(row["deploymentID"]) for item, row in zip(there, rows, strict=True)}
    shown = np.intersect1d(kept, frames.shown(survey, publication, said), assume_unique=True)
    photographs = media.rows(survey.media, times, shown, ids, zone, said)
    spoken = observations.rows(survey, times, shown, ids, publication.taxa, zone, said)
    tables = {
        "deployments": _csv(schema.DEPLOYMENTS, [list(row.values()) for row in rows]),
        "media": _csv(schema.MEDIA, photographs),
        "observations": _csv(schema.OBSERVATIONS, spoken.rows),
    }
    about = package.descriptor(
        publication,
        rows,
        {survey.media.capture_method[row] for row in shown.tolist()},
        spoken.levels,
        spoken.taxa,
        tables,
        survey.ctwatch_version,
        said,
    )
    paths = [folder / f"{name}.csv" for name in schema.TABLES]
    for path, name in zip(paths, schema.TABLES, strict=True):
        write_bytes(path, tables[name])
    write_bytes(folder / "datapackage.json", about)
    return Written((folder / "datapackage.json", *paths), tuple(said))


def _deployment_of(survey: Survey) -> NDArray[np.intp]:
    """Row of the deployment of each photograph, (N,); -1 for one that is not there."""
    numbers = {item.deployment.deployment_id: row for row, item in enumerate(survey.deployments)}
    return np.array([numbers.get(name, -1) for name in survey.media.deployment_id], dtype=np.intp)


def _tell_left_out(
    survey: Survey, placed: NDArray[np.bool_], chosen: NDArray[np.intp], of_media: NDArray[np.intp], said: list[str]
) -> None:
    """Say which deployments cannot be in the package, and what goes with them."""
    dated = np.zeros(len(placed), dtype=bool)
    dated[chosen] = True
    for which, lack, remedy in (
        (~placed, "without coordinates", "latitude and longitude"),
        (
            placed & ~dated,
            "with neither dates nor photographs to take them from",
            "deploymentStart and deploymentEnd",
        ),
    ):
        if which.any():
            names = [survey.deployments[row].deployment.deployment_id for row in np.flatnonzero(which)]
            gone = set(names)
            shots = int(np.append(which, False)[of_media].sum())
            seen = sum(name in gone for name in survey.observations.deployment_id)
            said.append(
                f"{counted(len(names), 'deployment')} {lack} left out ({listed(names)}), with"
                f" {counted(shots, 'photograph')} and {counted(seen, 'observation')}: write {remedy} in the deployments table"
            )
    if strays := int((of_media < 0).sum()):
        said.append(f"{counted(strays, 'photograph')} of deployments that are not in the survey left out")


def _csv(header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> bytes:
    return csv_text(header, rows).encode("utf-8")
