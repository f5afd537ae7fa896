"""Detection histories in the forms that occupancy packages of R and Python read, with a README that loads them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctwatch.export import occupancy_readme
from ctwatch.export.files import NOT_AVAILABLE, Cell, csv_text, write_bytes, write_csv
from ctwatch.export.occupancy_tables import (
    Sheet,
    SiteCovariates,
    Texts,
    Values,
    cell,
    sheet,
    site_covariates,
    texts,
)
from ctwatch.export.written import Written, counted, listed
from ctwatch.identity import derived_id
from ctwatch.names import file_name_part
from ctwatch.occupancy import DetectionHistory, Effort, multi_season

__all__ = ["OccupancyFiles", "SiteCovariates", "Written", "site_covariates", "write"]

PER_SPECIES = ("detection_history", "unmarked_wide", "unmarked_long", "unmarked_multiseason")
"""A file of a species is `<species>__<one of these>.csv`."""
SPOCCUPANCY = "spoccupancy"
_OPTIONAL = ("effort_scaled.csv", "effort_scaling.csv", "wiqid_data.csv", "occupancy_long.csv")
_OPTIONAL_SPOCCUPANCY = ("effort.csv", "occ_covs.csv", "y_long.csv")


@dataclass(frozen=True, slots=True)
class OccupancyFiles:
    """What to write beside, or in place of, what is always there."""

    wiqid: bool = False
    """Also `wiqid_data.csv` with `effort1` to `effortK`."""
    scale: bool = False
    """Effort in the files for models as (camera-days - centre) / scale."""
    dates_as_names: bool = False
    """Occasions as `first_last` day in place of o1, o2, ... (camtrapR datesAsOccasionNames)."""
    counts: bool = False
    """Numbers of records in place of 1 (camtrapR output = "count"), for N-mixture models."""


def write(
    folder: Path,
    surveyed: Effort,
    histories: Sequence[DetectionHistory],
    *,
    covariates: SiteCovariates,
    options: OccupancyFiles = OccupancyFiles(),
    sentences: Sequence[str] = (),
) -> Written:
    """Write the files that `README.txt` names into a folder; such of ours that are no longer wanted are removed.

    `histories` hold numbers of records per cell (`Rules.count`), NaN where nothing worked. `sentences` tell the README
    how they came about. Returns the paths, and what there is to say besides.
    """
    laid, odd = sheet(
        surveyed, covariates, scale=options.scale, dates_as_names=options.dates_as_names, wiqid=options.wiqid
    )
    told = [*odd, *_dropped(histories)]
    counts = [_surveyed_only(history, laid, told) for history in histories]
    parts = _file_parts([history.scientific_name for history in histories])
    paths = _common(folder, surveyed, laid, options)
    complete: Sequence[tuple[str, Values]] = ()
    if laid.effort.size:
        kept = np.flatnonzero(laid.worked.any(axis=1))
        complete = _complete(laid, kept, told)
        values = counts if options.counts else [np.minimum(found, 1.0) for found in counts]
        paths += _per_species(folder, laid, surveyed, parts, values)
        paths.append(_long(folder, laid, histories, counts))
        paths += _spoccupancy(folder, laid, kept, complete, parts, histories, counts)
    else:
        told.append(
            "no location was surveyed on any day, so there are no files for models: complete the deployments table"
        )
    if len(laid.occasions) == 1:
        told.append("there is one occasion only: models that tell detection from occupancy need two; make them shorter")
    readme = folder / "README.txt"
    contents = occupancy_readme.Contents(
        species=[
            (history.scientific_name, part, _records(history, found))
            for history, part, found in zip(histories, parts, counts, strict=True)
        ],
        example=max(zip(parts, counts, strict=True), key=lambda item: np.nansum(item[1] > 0), default=(None, None))[0],
        sites=len(laid.sites),
        occasions=len(laid.occasions),
        site_covariates=[name for name, _ in laid.covariates],
        occupancy_covariates=[name for name, _ in complete],
        seasons=laid.seasons,
        multi_season=_side_by_side(laid, surveyed),
        relative=surveyed.relative,
        wiqid=options.wiqid,
        scaling=laid.scaling,
        counts=options.counts,
        sentences=(*sentences, *told),
    )
    write_bytes(readme, occupancy_readme.text(contents).encode("utf-8"))
    paths.append(readme)
    _remove_stale(folder, paths)
    return Written(tuple(paths), tuple(told))


def _surveyed_only(history: DetectionHistory, laid: Sheet, told: list[str]) -> NDArray[np.float64]:
    """Return a history that is NaN wherever nothing worked, which spOccupancy demands, and say what that took away."""
    lost = np.nansum(np.where(laid.worked, 0.0, history.y))
    if lost:
        told.append(f"{history.scientific_name}: {lost:.0f} records lie in occasions without effort and are left out")
    return np.where(laid.worked, history.y, np.nan)


def _dropped(histories: Sequence[DetectionHistory]) -> list[str]:
    """Say how many records are in no occasion and why, all species together."""
    lost: Counter[str] = Counter()
    for history in histories:
        lost.update(history.dropped_because)
    if not (total := sum(history.dropped for history in histories)):
        return []
    why = ", ".join(f"{reason} {number:,}" for reason, number in sorted(lost.items()))
    return [f"{counted(total, 'record')} in no occasion and so in no history ({why})"]


def _records(history: DetectionHistory, found: NDArray[np.float64]) -> str:
    """Say what became of the records of one species."""
    why = ", ".join(f"{reason} {number:,}" for reason, number in sorted(history.dropped_because.items()))
    lost = f", {history.dropped:,} in none ({why})" if history.dropped else ""
    return f"{counted(int(np.nansum(found)), 'record')} in {counted(int(np.nansum(found > 0)), 'occasion')}{lost}"


def _file_parts(names: Sequence[str]) -> list[str]:
    parts: list[str] = []
    for name in names:
        part = file_name_part(name)
        if part.lower() in {taken.lower() for taken in parts}:  # one file on disks that do not tell capitals
            part = f"{part}-{derived_id('name', name)[:6]}"
        parts.append(part)
    return parts


def _common(folder: Path, surveyed: Effort, laid: Sheet, options: OccupancyFiles) -> list[Path]:
    """Write effort, occasions, sites and what was asked for beside them."""
    paths = [_matrix(folder / "effort.csv", laid, laid.effort)]
    if laid.scaling is not None:
        paths.append(_matrix(folder / "effort_scaled.csv", laid, laid.model_effort))
        paths.append(folder / "effort_scaling.csv")
        write_csv(paths[-1], ("effort.scaled.center", "effort.scaled.scale"), [laid.scaling])
    paths.append(folder / "occasions.csv")
    write_csv(
        paths[-1],
        ("occasion", "start", "end", "days"),
        [
            (name, _day(item.start), _day(item.end), item.length.days)
            for name, item in zip(laid.occasions, surveyed.occasions, strict=True)
        ],
    )
    paths.append(folder / "sites.csv")
    about: list[tuple[str, Values]] = [(laid.key, laid.sites)]
    about += [("locationID", surveyed.location_ids)] if laid.key == "site" else []
    _columns(paths[-1], [*about, *laid.covariates])
    if options.wiqid and laid.effort.size:
        paths.append(folder / "wiqid_data.csv")
        visits = [(f"effort{number}", column.tolist()) for number, column in enumerate(laid.model_effort.T, 1)]
        _columns(paths[-1], [(laid.key, laid.sites), *laid.covariates, *visits])
    return paths


def _per_species(
    folder: Path, laid: Sheet, surveyed: Effort, parts: Sequence[str], values: Sequence[NDArray[np.float64]]
) -> list[Path]:
    """Write the history of each species by itself, wide and long for csvToUMF, and its seasons side by side."""
    sites, count = laid.effort.shape
    known = _rows(laid.covariates, sites)
    head = _line([laid.key, *laid.occasions])
    wide = _Wide(laid.site_cells, laid.covariates, laid.model_effort)
    beside = _seasons_beside(laid, surveyed) if _side_by_side(laid, surveyed) else None
    long_head = _line(["site", "date", "y", "effort", *(name for name, _ in laid.covariates)])
    # Everything but y is the same for all species: y goes between texts that are made once.
    long = np.empty((sites, count, 3), dtype=object)
    long[..., 0] = _beside(laid.site_cells, laid.starts)
    long[..., 2] = _around(texts(laid.model_effort), known)
    paths = []
    for part, y in zip(parts, values, strict=True):
        of_species = [folder / f"{part}__{kind}.csv" for kind in PER_SPECIES]
        cells = texts(y)
        rows = zip(laid.site_cells, cells.tolist(), strict=True)
        _text(of_species[0], head, [f"{site},{','.join(row)}\n" for site, row in rows])
        wide.write(of_species[1], cells)
        long[..., 1] = cells
        _text(of_species[2], long_head, long.ravel().tolist())
        if beside is None:
            of_species.pop()
        else:
            beside.write(of_species[3], texts(multi_season(surveyed, y).values[0]))
        paths += of_species
    return paths


class _Wide:
    """A table as csvToUMF reads it wide; all of it but y is made once."""

    def __init__(
        self, site_cells: Sequence[str], covariates: Sequence[tuple[str, Values]], effort: NDArray[np.float64]
    ) -> None:
        numbers = range(1, effort.shape[1] + 1)
        names = [name for name, _ in covariates]
        self._head = _line(["site", *(f"y.{n}" for n in numbers), *names, *(f"effort.{n}" for n in numbers)])
        self._sites = site_cells
        known = _rows(covariates, len(effort))
        self._ends = [",".join([*row, *visits]) for row, visits in zip(known, texts(effort).tolist(), strict=True)]

    def write(self, path: Path, cells: Texts) -> None:
        """Write the file of one species."""
        rows = zip(self._sites, cells.tolist(), self._ends, strict=True)
        _text(path, self._head, [f"{site},{','.join(row)},{end}\n" for site, row, end in rows])


def _side_by_side(laid: Sheet, surveyed: Effort) -> bool:
    return len(laid.seasons) > 1 and not any(surveyed.camera_ids)


def _seasons_beside(laid: Sheet, surveyed: Effort) -> _Wide:
    """Lay out a row for each location, its seasons side by side (unmarkedMultFrame), NA where it was not surveyed."""
    beside = multi_season(surveyed, laid.model_effort)
    row_of = {location_id: row for row, location_id in enumerate(surveyed.location_ids)}
    rows = [row_of[location_id] for location_id in beside.location_ids]
    covariates = [(name, [values[row] for row in rows]) for name, values in laid.covariates if name != "session"]
    return _Wide([cell(name) for name in beside.location_ids], covariates, beside.values[0])


def _long(
    folder: Path, laid: Sheet, histories: Sequence[DetectionHistory], counts: Sequence[NDArray[np.float64]]
) -> Path:
    """Write a row for each species, site and occasion."""
    table = np.empty((*laid.effort.shape, 4), dtype=object)
    table[..., 1] = _beside(laid.site_cells, np.array([cell(name) for name in laid.occasions], dtype=object)[None, :])
    table[..., 1] += laid.starts + "," + laid.ends + ","
    table[..., 3] = "," + texts(np.where(laid.worked, laid.effort, np.nan)) + "\n"
    pieces: list[str] = []
    for history, found in zip(histories, counts, strict=True):
        table[..., 0] = cell(history.scientific_name) + ","
        table[..., 2] = texts(np.minimum(found, 1.0)) + "," + texts(found)
        pieces.append("".join(table.ravel().tolist()))
    path = folder / "occupancy_long.csv"
    _text(path, _line(["species", "site", "occasion", "start", "end", "y", "n_records", "effort"]), pieces)
    return path


def _complete(laid: Sheet, kept: NDArray[np.intp], told: list[str]) -> Sequence[tuple[str, Values]]:
    """Return the covariates that every surveyed site has, and say which sites and covariates spOccupancy goes without."""
    if len(kept) < len(laid.sites):
        never = sorted(set(laid.sites) - {laid.sites[row] for row in kept})
        told.append(
            f"{len(never)} of {len(laid.sites)} sites were never surveyed ({listed(never)}): rows of NA, which unmarked leaves"
            " out; not in spoccupancy/, for spOccupancy refuses them"
        )
    complete = []
    missing: dict[tuple[str, ...], list[str]] = {}
    for name, values in laid.covariates:
        lacking = tuple(laid.sites[row] for row in kept if (value := values[row]) is None or value != value)
        if lacking:
            missing.setdefault(lacking, []).append(name)
        else:
            complete.append((name, [values[row] for row in kept]))
    for lacking, names in missing.items():
        told.append(
            f"{', '.join(names)}: not known for {len(lacking)} of {len(kept)} surveyed sites ({listed(lacking)}), which unmarked"
            " leaves out of models with it; not in spoccupancy/occ_covs.csv, for spOccupancy refuses NA"
        )
    return complete


def _spoccupancy(
    folder: Path,
    laid: Sheet,
    kept: NDArray[np.intp],
    complete: Sequence[tuple[str, Values]],
    parts: Sequence[str],
    histories: Sequence[DetectionHistory],
    counts: Sequence[NDArray[np.float64]],
) -> list[Path]:
    """Write what spOccupancy takes: sites with effort, effort wherever y is, covariates without NA (PGOcc.Rd)."""
    place = folder / SPOCCUPANCY
    sites = [laid.site_cells[row] for row in kept]
    head = _line([laid.key, *laid.occasions])
    paths = [place / "effort.csv", place / "occ_covs.csv", place / "y_long.csv"]
    rows = texts(laid.model_effort[kept]).tolist()
    _text(paths[0], head, [f"{site},{','.join(row)}\n" for site, row in zip(sites, rows, strict=True)])
    _columns(paths[1], [(laid.key, [laid.sites[row] for row in kept]), *complete])
    all_species = np.empty((len(laid.occasions), len(kept), len(counts), 4), dtype=object)
    all_species[..., 0] = np.array([cell(history.scientific_name) for history in histories], dtype=object)
    occasions = np.array([cell(name) for name in laid.occasions], dtype=object)
    all_species[..., 1] = (_beside(sites, occasions[None, :], before=",")).T[..., None]
    for number, (part, found) in enumerate(zip(parts, counts, strict=True)):
        cells = texts(np.minimum(found[kept], 1.0))
        paths.append(place / f"{part}__y.csv")
        lines = zip(sites, cells.tolist(), strict=True)
        _text(paths[-1], head, [f"{site},{','.join(row)}\n" for site, row in lines])
        all_species[:, :, number, 2] = cells.T
    all_species[..., 3] = "\n"
    _text(paths[2], _line(["species", "site", "occasion", "y"]), all_species.ravel().tolist())
    return paths


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment.hour else f"{moment:%Y-%m-%d}"


def _matrix(path: Path, laid: Sheet, values: NDArray[np.float64]) -> Path:
    lines = zip(laid.site_cells, texts(values).tolist(), strict=True)
    _text(path, _line([laid.key, *laid.occasions]), [",".join([site, *row]) + "\n" for site, row in lines])
    return path


def _columns(path: Path, columns: Sequence[tuple[str, Values]]) -> None:
    """Write a table of columns."""
    rows: list[tuple[Cell, ...]] = list(zip(*(values for _, values in columns), strict=True))
    write_csv(path, [name for name, _ in columns], rows, missing=NOT_AVAILABLE)


def _rows(columns: Sequence[tuple[str, Values]], count: int) -> list[list[str]]:
    """Return the cells of columns by row."""
    cells = [[cell(value) for value in values] for _, values in columns]
    return [[column[row] for column in cells] for row in range(count)]


def _beside(sites: Sequence[str], of_cells: Texts, *, before: str = "") -> Texts:
    """Return `site,cell,` of every cell, shape (S, K)."""
    named: Texts = np.array([f"{before}{site}," for site in sites], dtype=object)[:, None]
    return named + of_cells + ","


def _around(of_cells: Texts, known: Sequence[Sequence[str]]) -> Texts:
    """Return `,cell,known...` and the end of the line of every cell, shape (S, K)."""
    ends: Texts = np.array(["".join(f",{value}" for value in row) + "\n" for row in known], dtype=object)[:, None]
    return "," + of_cells + ends


def _line(names: Sequence[str]) -> str:
    return csv_text(names, ())


def _text(path: Path, head: str, pieces: Sequence[str]) -> None:
    write_bytes(path, (head + "".join(pieces)).encode("utf-8"))


def _remove_stale(folder: Path, written: Sequence[Path]) -> None:
    """Remove files with names of ours that this survey no longer has; nobody else's."""
    place = folder / SPOCCUPANCY
    ours = {found for kind in PER_SPECIES for found in folder.glob(f"*__{kind}.csv")}
    ours |= set(place.glob("*__y.csv"))
    ours |= {folder / name for name in _OPTIONAL} | {place / name for name in _OPTIONAL_SPOCCUPANCY}
    for path in sorted(ours - set(written)):
        path.unlink(missing_ok=True)
