"""Sites, occasions, effort and covariates as cells: what all files for occupancy models have in common."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ctwatch import deployments
from ctwatch.export.files import NOT_AVAILABLE, Cell, csv_text
from ctwatch.occupancy import Effort, occasion_names, scaled
from ctwatch.survey import Survey

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})?", re.ASCII)
_RESERVED = frozenset(
    {
        "site", "locationID", "session", "latitude", "longitude", "y", "date", "Date", "JulianDate", "obsNum", "occasion",
        "species",
        "if", "else", "repeat", "while", "function", "for", "next", "break", "in", "TRUE", "FALSE", "NULL", "Inf", "NaN", "NA",
        "NA_integer_", "NA_real_", "NA_character_",
    }
)  # fmt: skip
"""Column names of ours and words of R."""

Values = Sequence[str | float | None]
Texts = NDArray[Any]
"""Cells as text, dtype object."""


@dataclass(frozen=True, slots=True)
class SiteCovariates:
    """What is known of L locations."""

    location_ids: tuple[str, ...]
    latitude: NDArray[np.float64]
    """Degrees WGS84, shape (L,); NaN where it is not known."""
    longitude: NDArray[np.float64]
    columns: tuple[tuple[str, Values], ...] = ()
    """(name, L values), all numbers or all texts; None or NaN where it is not known."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """S sites by K occasions, and what is known of the sites."""

    key: str
    """Header of the column of sites: locationID, or site where a location has several, one a season or camera."""
    sites: tuple[str, ...]
    site_cells: tuple[str, ...]
    """The same as cells of CSV."""
    occasions: tuple[str, ...]
    starts: Texts
    """First day of each cell, shape (S, K)."""
    ends: Texts
    """The day after its last."""
    effort: NDArray[np.float64]
    """Camera-days, shape (S, K)."""
    scaling: tuple[float, float] | None
    """Centre and scale, where models get scaled effort."""
    covariates: tuple[tuple[str, Values], ...]
    """Name in the files and S values: coordinates and session, where there are any, and the others."""
    seasons: tuple[str, ...]

    @property
    def worked(self) -> NDArray[np.bool_]:
        """Whether anything was active, shape (S, K)."""
        return np.nan_to_num(self.effort) > 0

    @property
    def model_effort(self) -> NDArray[np.float64]:
        """Effort as models get it, NaN where nothing was active."""
        effort = np.where(self.worked, self.effort, np.nan)
        return effort if self.scaling is None else (effort - self.scaling[0]) / self.scaling[1]


def site_covariates(survey: Survey) -> tuple[SiteCovariates, tuple[str, ...]]:
    """Gather coordinates and the covariates of the deployments table by location; returns them and sentences."""
    places = {item.location.location_id: item.location for item in survey.deployments}
    location_ids = tuple(sorted(places))
    known, sentences = deployments.site_covariates([item.deployment for item in survey.deployments])
    columns = tuple((name, [of.get(place) for place in location_ids]) for name, of in known.items())
    latitude, longitude = (
        np.array([np.nan if value is None else value for value in found], dtype=np.float64)
        for found in ([places[p].latitude for p in location_ids], [places[p].longitude for p in location_ids])
    )
    return SiteCovariates(location_ids, latitude, longitude, columns), sentences


def sheet(
    surveyed: Effort, known: SiteCovariates, *, scale: bool, dates_as_names: bool, wiqid: bool
) -> tuple[Sheet, tuple[str, ...]]:
    """Lay out what all files share; returns it and sentences on names that had to be changed or will not do."""
    sites = surveyed.names
    rows = {location_id: row for row, location_id in enumerate(known.location_ids)}
    place = np.array([rows.get(location_id, -1) for location_id in surveyed.location_ids], dtype=np.int64)
    sentences = list(_odd_sites(sites))
    covariates: list[tuple[str, Values]] = []
    seasons = tuple(sorted({name for name in surveyed.sessions if name}))
    if seasons:
        covariates.append(("session", surveyed.sessions))
        if not surveyed.relative and len(seasons) > 1:
            sentences.append(
                "occasions run on from the first season through the last, with NA between them; with the first day of each"
                " location as the first of its occasions, every season begins with o1, as multi-season models want"
            )
    for name, degrees in (("latitude", known.latitude), ("longitude", known.longitude)):
        if not np.isnan(degrees).all():
            covariates.append((name, _taken(degrees.tolist(), place)))
    names = plain_names([name for name, _ in known.columns], len(surveyed.occasions) if wiqid else None)
    for (_, values), plain in zip(known.columns, names, strict=True):
        covariates.append((plain, _taken(values, place)))
    renamed = [f"{name!r} is {plain}" for (name, _), plain in zip(known.columns, names, strict=True) if plain != name]
    if renamed:
        sentences.append(
            f"covariates are called otherwise in these files, for R or unmarked would misread their names: {', '.join(renamed)}"
        )
    starts, ends = _days(surveyed)
    return Sheet(
        "locationID" if sites == surveyed.location_ids else "site",
        sites,
        tuple(cell(name) for name in sites),
        tuple(occasion_names(surveyed, dates_as_names)),
        starts,
        ends,
        surveyed.camera_days,
        _scaling(surveyed.camera_days, sentences) if scale else None,
        tuple(covariates),
        seasons,
    ), tuple(sentences)


def _scaling(camera_days: NDArray[np.float64], sentences: list[str]) -> tuple[float, float] | None:
    try:
        _, centre, scale = scaled(np.where(camera_days > 0, camera_days, np.nan))
    except ValueError as problem:
        sentences.append(f"{problem}: the files for models have it in camera-days")
        return None
    return centre, scale


def _taken(values: Values, place: NDArray[np.int64]) -> Values:
    return [values[row] if row >= 0 else None for row in place.tolist()]


def _odd_sites(sites: Sequence[str]) -> Sequence[str]:
    """Say which names R reads as something else."""
    told = []
    if "NA" in sites:
        told.append(
            'R reads the site "NA" as a missing name and refuses the tables: rename it in the deployments table'
        )
    if sites and all(_NUMBER.fullmatch(name) for name in sites) and len({float(name) for name in sites}) < len(sites):
        told.append(
            "R reads sites that are all numbers as such and finds some of them twice: write a letter before them"
        )
    return told


def plain_names(names: Sequence[str], occasions: int | None = None) -> list[str]:
    """Return names of covariates that R and unmarked's csvToUMF read as they are, different ones for different names.

    R keeps letters, digits, dots and underscores behind a letter. csvToUMF takes `.1` at the end for an observation
    covariate and finds the columns of `effort` by the end of their names, `y.1` by its beginning (R/utils.R). With
    `occasions`, none ends in their number, which wiqid takes for a survey covariate (R/utils.R stddata).
    """
    taken: set[str] = set()
    result = []
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9._]+", "_", name)
        plain = re.sub(r"\.(?=\d+$)|(?<=^y)\.(?=\d)", "_", plain)
        if not plain[:1].isalpha():
            plain = f"x{plain}"
        candidate, number = plain, 1
        while (
            candidate in taken | _RESERVED
            or re.search(r"effort\d*$", candidate)
            or (occasions is not None and candidate.endswith(str(occasions)))
        ):
            number += 1
            candidate = f"{plain}_{number}"
        taken.add(candidate)
        result.append(candidate)
    return result


def _days(surveyed: Effort) -> tuple[Texts, Texts]:
    """Return the first day of each cell and the day after its last, as text, shape (S, K) each."""
    if not surveyed.camera_days.size:
        return np.empty((0, 0), object), np.empty((0, 0), object)
    first = surveyed.occasions[0].start
    moments = [
        surveyed.origins[:, None] + np.array([moment - first for moment in found], dtype="timedelta64[us]")
        for found in ([item.start for item in surveyed.occasions], [item.end for item in surveyed.occasions])
    ]
    # Days, unless they begin at another hour than midnight.
    unit: Literal["D", "s"] = "s" if surveyed.start_hour else "D"
    starts, ends = (
        np.char.replace(np.datetime_as_string(found, unit=unit), "T", " ").astype(object) for found in moments
    )
    return starts, ends


def cell(value: Cell) -> str:
    """Return one value as a cell of CSV, NA where there is none."""
    return csv_text(("",), [(value,)], missing=NOT_AVAILABLE)[1:-1]


def texts(values: NDArray[np.float64]) -> Texts:
    """Return numbers as cells of CSV, the same shape."""
    kinds, place = np.unique(values.ravel(), return_inverse=True)
    return np.array([cell(float(kind)) for kind in kinds] or [""], dtype=object)[place].reshape(values.shape)
