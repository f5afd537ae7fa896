"""Files for occupancy packages: their bytes, what csvToUMF and spOccupancy ask of them, and that models fit them."""

import csv
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from occupancy_likelihood import Likelihood
from shared_data import SHARED, needs_shared
from surveys import place, survey

from ctwatch.export.occupancy import OccupancyFiles, SiteCovariates, Written, site_covariates, write
from ctwatch.export.occupancy_tables import plain_names
from ctwatch.occupancy import (
    CameraPeriod,
    DetectionHistory,
    Effort,
    FirstDay,
    Rules,
    camera_operation,
    detection_histories,
    detections,
    effort,
)

GOLDEN = Path(__file__).parent / "golden" / "occupancy"
FITTED = SHARED / "golden" / "occupancy"
DAY = timedelta(days=1)
HOSTILE = '=HYPERLINK("x"),\n../ä'
RULES = Rules(count=True)
Matrix = NDArray[np.float64]


def small() -> tuple[Effort, list[DetectionHistory], SiteCovariates]:
    """Three places in two seasons; at the third the camera was out from the first day to the last."""
    start = datetime(2025, 5, 1)
    periods = [
        CameraPeriod("L01", start + DAY / 2, start + 20 * DAY, session="2025"),
        CameraPeriod("L01", start + 365 * DAY, start + 379 * DAY, session="2026"),
        CameraPeriod('L02, "b"', start + 9 * DAY, start + 15.25 * DAY, session="2025"),
        CameraPeriod("L03", start, start + 14 * DAY, session="2025", outages=((start, start + 14 * DAY),)),
    ]
    rules = replace(RULES, first_day=FirstDay.LOCATION)
    surveyed = effort(camera_operation(periods), rules)
    seen = [("L01", 1.5), ("L01", 1.6), ("L01", 8), ("L01", 366), ('L02, "b"', 10), ("L03", 3), ("nowhere", 3)]
    found = detections(
        [where for where, _ in seen],
        ["Panthera pardus"] * len(seen),
        np.array([start + when * DAY for _, when in seen], dtype="datetime64[us]"),
    )
    histories = detection_histories(found, surveyed, rules, ["Panthera pardus", HOSTILE])
    known = site_covariates(
        survey(
            [
                place("d1", "L01", latitude=-1.5, longitude=30.25, columns=(("plot.1", "3"), ("cover", "forest"))),
                place("d2", 'L02, "b"', latitude=-1.25, longitude=30.5, columns=(("plot.1", "4.5"), ("effort", "2"))),
                place("d3", "L03", columns=(("cover", "-open"),)),
            ]
        )
    )[0]
    return surveyed, histories, known


def plain(y: Matrix, camera_days: Matrix, known: Mapping[str, Any] | None = None, **more: Any) -> Any:
    """Effort, one history and covariates of matrices, sites named ST01 and on, occasions of a week."""
    sites, count = y.shape
    names = tuple(f"ST{number:02}" for number in range(1, sites + 1))
    start = datetime(2024, 1, 1)
    worked = camera_operation([CameraPeriod(name, start, start + count * 7 * DAY) for name in names])
    surveyed = replace(effort(worked, RULES), camera_days=camera_days)
    columns = tuple((name, tuple(values)) for name, values in (known or {}).items())
    nowhere = np.full(sites, np.nan)
    return surveyed, [DetectionHistory("Vulpes vulpes", y, 0, {})], SiteCovariates(names, nowhere, nowhere, columns)


def export(folder: Path, made: Any, **more: Any) -> Written:
    surveyed, histories, known = made
    return write(folder, surveyed, histories, covariates=known, **more)


def table(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as handle:
        return list(csv.reader(handle))


def numbers(rows: Sequence[Sequence[str]]) -> Matrix:
    return np.array([[np.nan if value == "NA" else float(value) for value in row] for row in rows], dtype=np.float64)


def matrix(path: Path) -> Matrix:
    """What read.csv(row.names = 1) makes a matrix of."""
    header, *rows = table(path)
    return numbers([row[1:] for row in rows]).reshape(len(rows), len(header) - 1)


def wide(path: Path) -> tuple[Matrix, dict[str, list[str]], dict[str, Matrix]]:
    """Read y, site covariates and observation covariates as unmarked's csvToUMF finds them, or say why it does not.

    Its rules, in our words: the first column is `site`; `y.1` to `y.J` follow; whatever ends in a dot and digits is an
    observation covariate, whose columns are all those that end in its name and such a number, J of them, side by side;
    without any it fails. `read.csv` has turned the header into names of R before.
    """
    header, *rows = table(path)
    assert header == [as_name_of_r(name) for name in header] and len(set(header)) == len(header)
    assert header[0] == "site"
    of_y = [place for place, name in enumerate(header) if re.match(r"y\.\d", name)]
    count = len(of_y)
    assert of_y == list(range(1, count + 1))
    sites, visits = {}, {}
    at = count + 1
    while at < len(header):
        if not re.search(r"\.\d+$", header[at]):
            sites[header[at]] = [row[at] for row in rows]
            at += 1
            continue
        name = re.sub(r"\.\d+$", "", header[at])
        of_name = [place for place, other in enumerate(header) if re.search(name + r"\.\d+$", other)]
        assert of_name == list(range(at, at + count)), name
        visits[name] = numbers([[row[place] for place in of_name] for row in rows])
        at += count
    assert visits
    return numbers([row[1 : count + 1] for row in rows]), sites, visits


def as_name_of_r(name: str) -> str:
    """What read.csv makes of a header cell (make.names)."""
    name = re.sub(r"[^A-Za-z0-9._]", ".", name)
    return name if re.match(r"[A-Za-z]|\.(?!\d)", name) else f"X{name}"


def long(path: Path, *names: str) -> list[Matrix]:
    """Read columns of a long file as sites by ranks of dates within site, as csvToUMF does."""
    header, *rows = table(path)
    assert header[:3] == ["site", "date", "y"]
    sites = sorted({row[0] for row in rows})
    of_site = [sorted(row for row in rows if row[0] == site) for site in sites]
    return [numbers([[row[header.index(name)] for row in found] for found in of_site]) for name in names]


def test_exports_are_these_bytes(tmp_path: Path) -> None:
    """Names of files and columns, order, NA, quoting, seasons, what the README says."""
    export(tmp_path, small(), options=OccupancyFiles(wiqid=True), sentences=("records are 60 minutes apart",))
    written = {str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    golden = {str(path.relative_to(GOLDEN)): path.read_bytes() for path in GOLDEN.rglob("*") if path.is_file()}
    assert written == golden, subprocess.run(
        ["diff", "-ru", str(GOLDEN), str(tmp_path)], capture_output=True, text=True, check=False
    ).stdout


def test_everything_that_is_lost_or_changed_is_said(tmp_path: Path) -> None:
    """Records outside, sites never surveyed, covariates with gaps, names that had to change."""
    written = export(tmp_path, small())
    said = "\n".join(written.sentences)
    for word in ("2 records in no occasion", "L03__SESS_2025", "'plot.1' is plot_1", "'effort' is effort_2", "cover"):
        assert word in said
    readme = " ".join((tmp_path / "README.txt").read_text("utf-8").split())
    assert all(sentence in readme for sentence in written.sentences)


def test_a_second_export_changes_nothing_and_takes_away_only_what_is_ours_and_gone(tmp_path: Path) -> None:
    """A folder of results never tells of a species that is no longer in the database."""
    made = small()
    first = export(tmp_path, made, options=OccupancyFiles(wiqid=True, scale=True))
    (tmp_path / "notes.csv").write_text("mine")
    (tmp_path / "PBE__detection_history__with_effort__7_days.csv").write_text("camtrapR's")
    second = export(tmp_path, (made[0], made[1][:1], made[2]))
    gone = set(first.paths) - set(second.paths)
    assert {"wiqid_data.csv", "effort_scaled.csv", "effort_scaling.csv"} < {path.name for path in gone}
    assert len(gone) == 3 + 4 + 1
    assert not [path for path in gone if path.exists()]
    left = {path for path in tmp_path.rglob("*") if path.is_file()} - set(second.paths)
    assert {path.name for path in left} == {"notes.csv", "PBE__detection_history__with_effort__7_days.csv"}


def test_species_that_differ_by_capitals_have_files_of_their_own(tmp_path: Path) -> None:
    """Some disks take both names for one."""
    surveyed, histories, known = small()
    twins = [replace(histories[0], scientific_name=name) for name in ("Felis Chaus", "felis chaus")]
    paths = export(tmp_path, (surveyed, twins, known)).paths
    assert len({str(path).lower() for path in paths}) == len(paths)


def test_without_any_effort_there_are_no_files_for_models(tmp_path: Path) -> None:
    """An empty survey is said to be one."""
    nothing = effort(camera_operation([]), RULES)
    known = SiteCovariates((), np.empty(0), np.empty(0))
    written = export(
        tmp_path, (nothing, [], known), options=OccupancyFiles(scale=True, wiqid=True, dates_as_names=True)
    )
    assert {path.name for path in written.paths} == {"effort.csv", "occasions.csv", "sites.csv", "README.txt"}
    assert "no location was surveyed" in written.sentences[-1]


names = st.lists(
    st.one_of(
        st.text(min_size=1, max_size=12),
        st.sampled_from(
            ["plot.1", "y.2", "y.2m", "log_effort", "effort", "effort3", "site", "2km", "elev", "_x", "NA", "if"]
        ),
    ),
    unique=True,
    max_size=6,
)


@settings(deadline=None, max_examples=60)
@given(names)
def test_unmarked_finds_every_covariate_whatever_its_name(
    tmp_path_factory: pytest.TempPathFactory, named: list[str]
) -> None:
    """No site covariate is taken for an observation covariate, none is lost, none hides the effort."""
    folder = tmp_path_factory.mktemp("names")
    y = np.array([[1.0, 0.0, np.nan], [0.0, 0.0, 1.0]])
    days = np.array([[7.0, 6.5, np.nan], [3.0, 7.0, 7.0]])
    known = {name: [float(number), number + 0.5] for number, name in enumerate(named)}
    export(folder, plain(y, days, known))
    detected, sites, visits = wide(folder / "Vulpes_vulpes__unmarked_wide.csv")
    np.testing.assert_array_equal(detected, y)
    assert list(visits) == ["effort"]
    np.testing.assert_array_equal(visits["effort"], days)
    assert [[float(value) for value in values] for values in sites.values()] == list(known.values())


def test_names_that_mean_something_to_wiqid_are_changed() -> None:
    """It takes a name that ends in the number of occasions for a survey covariate."""
    assert plain_names(["dist500", "plot12", "plot.12"], 12) == ["dist500", "plot12_2", "plot_12_2"]
    assert plain_names(["dist500", "plot12"]) == ["dist500", "plot12"]


cells = st.sampled_from([np.nan, 0.0, 1.0, 3.0])


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 4), st.integers(1, 4), st.data())
def test_spoccupancy_finds_nothing_to_refuse(
    tmp_path_factory: pytest.TempPathFactory, sites: int, count: int, data: st.DataObject
) -> None:
    """No site without any y, effort wherever y is, no NA among covariates, all species in one array."""
    folder = tmp_path_factory.mktemp("sp")
    days, seen, known = (
        np.array(data.draw(st.lists(cells, min_size=size, max_size=size)))
        for size in (sites * count, sites * count, sites)
    )
    days, y = days.reshape(sites, count), seen.reshape(sites, count)
    written = export(folder, plain(y, days, {"elev": known.tolist()}))
    place = folder / "spoccupancy"
    y_kept, effort_kept = matrix(place / "Vulpes_vulpes__y.csv"), matrix(place / "effort.csv")
    assert not np.isnan(y_kept).all(axis=1).any() or np.isnan(y[np.nan_to_num(days) > 0]).any()
    assert not (~np.isnan(y_kept) & np.isnan(effort_kept)).any()
    worked = np.nan_to_num(days) > 0
    kept = worked.any(axis=1)
    np.testing.assert_array_equal(y_kept, np.where(worked, np.minimum(y, 1), np.nan)[kept].reshape(-1, count))
    header, *covariates = table(place / "occ_covs.csv")
    assert ("elev" in header) == (not np.isnan(known[kept]).any())
    assert not [row for row in covariates if "NA" in row]
    rows = table(place / "y_long.csv")[1:]
    assert len(rows) == kept.sum() * count
    by_site = numbers([[row[3]] for row in rows]).reshape(count, kept.sum()).T
    np.testing.assert_array_equal(by_site, y_kept)
    if np.nansum(np.where(worked, 0, y)):
        assert any("without effort" in sentence for sentence in written.sentences)


def test_the_long_table_has_every_species_site_and_occasion_with_its_days(tmp_path: Path) -> None:
    """Left-aligned occasions have dates of their own at every site; records are counted."""
    surveyed, histories, known = small()
    export(tmp_path, (surveyed, histories, known))
    header, *rows = table(tmp_path / "occupancy_long.csv")
    assert header == ["species", "site", "occasion", "start", "end", "y", "n_records", "effort"]
    assert len(rows) == 2 * len(surveyed.location_ids) * len(surveyed.occasions)
    assert rows[0][1:] == ["L01__SESS_2025", "o1", "2025-05-01", "2025-05-08", "1", "2", "6.5"]
    second = [row for row in rows if row[1] == "L01__SESS_2026"]
    assert second[0][3:] == ["2026-05-01", "2026-05-08", "1", "1", "7"]
    assert {tuple(row[5:]) for row in rows if row[1] == "L03__SESS_2025"} == {("NA", "NA", "NA")}
    assert sum(int(row[6]) for row in rows if row[6] != "NA") == 5


def test_counts_dates_and_scaled_effort_are_written_when_asked_for(tmp_path: Path) -> None:
    """For N-mixture models, for eyes, for models that converge badly."""
    y = np.array([[2.0, 0.0], [0.0, 1.0]])
    days = np.array([[7.0, 6.5], [3.0, 7.0]])
    options = OccupancyFiles(counts=True, dates_as_names=True, scale=True)
    export(tmp_path, plain(y, days), options=options)
    header, *rows = table(tmp_path / "Vulpes_vulpes__detection_history.csv")
    assert header[1:] == ["2024-01-01_2024-01-07", "2024-01-08_2024-01-14"]
    np.testing.assert_array_equal(numbers([row[1:] for row in rows]), y)
    np.testing.assert_array_equal(matrix(tmp_path / "spoccupancy" / "Vulpes_vulpes__y.csv"), np.minimum(y, 1))
    ((centre, scale),) = numbers(table(tmp_path / "effort_scaling.csv")[1:])
    assert (centre, scale) == (days.mean(), days.std(ddof=1))
    for name in ("effort_scaled.csv", "spoccupancy/effort.csv"):
        np.testing.assert_allclose(matrix(tmp_path / name), (days - centre) / scale)
    np.testing.assert_allclose(
        wide(tmp_path / "Vulpes_vulpes__unmarked_wide.csv")[2]["effort"], (days - centre) / scale
    )
    np.testing.assert_array_equal(matrix(tmp_path / "effort.csv"), days)


def test_effort_that_is_the_same_everywhere_is_not_scaled_but_said(tmp_path: Path) -> None:
    """Its deviation is nothing to divide by."""
    y = np.zeros((2, 2))
    written = export(tmp_path, plain(y, y + 7), options=OccupancyFiles(scale=True))
    assert "cannot be scaled" in written.sentences[0]
    assert not (tmp_path / "effort_scaled.csv").exists()


def test_seasons_lie_side_by_side_for_dynamic_models(tmp_path: Path) -> None:
    """One row for each location, its seasons in order, NA for a season without it."""
    export(tmp_path, small())
    y, sites, visits = wide(tmp_path / "Panthera_pardus__unmarked_multiseason.csv")
    nan = np.nan
    np.testing.assert_array_equal(y, [[1, 1, 0, 1, 0, nan], [1, nan, nan, nan, nan, nan], [nan] * 6])
    np.testing.assert_array_equal(visits["effort"][0], [6.5, 7, 6, 7, 7, nan])
    assert sites["cover"] == ["forest", "NA", "'-open"]


def test_sites_that_r_would_take_for_another_are_said(tmp_path: Path) -> None:
    """A site called NA stops read.csv; 1 and 01 are one number."""
    surveyed, histories, known = plain(np.zeros((2, 2)), np.ones((2, 2)))
    for names_, word in ((("NA", "x"), "missing"), (("01", "1"), "twice")):
        written = export(tmp_path, (replace(surveyed, location_ids=names_), histories, known))
        assert any(word in sentence for sentence in written.sentences)


def fitted() -> tuple[Matrix, Matrix, list[float]]:
    y, days = matrix(FITTED / "y.csv"), matrix(FITTED / "effort.csv")
    return y, days, [float(row[1]) for row in table(FITTED / "sites.csv")[1:]]


def of_periods(y: Matrix, camera_days: Matrix) -> tuple[Effort, list[DetectionHistory]]:
    """Cameras that stood as long in every week as the effort says, and a fox whenever y is 1."""
    start = datetime(2024, 1, 1)
    periods, where, when = [], [], []
    for row, column in np.ndindex(y.shape):
        name, week, worked = f"ST{row + 1:02}", start + column * 7 * DAY, camera_days[row, column]
        begin = week + (7 - np.nan_to_num(worked)) / 2 * DAY
        if np.isnan(worked):
            periods.append(CameraPeriod(name, week, week + DAY, outages=((week, week + DAY),)))
        else:
            periods.append(CameraPeriod(name, begin, begin + worked * DAY))
        if y[row, column] == 1:
            where += [name, name]
            when += [begin, begin + timedelta(minutes=90)]
    surveyed = effort(camera_operation(periods), replace(RULES, first_day=date(2024, 1, 1)))
    found = detections(where, ["Vulpes vulpes"] * len(where), np.array(when, dtype="datetime64[us]"))
    return surveyed, detection_histories(found, surveyed, RULES)


@needs_shared
def test_the_whole_way_from_cameras_to_files_gives_the_survey_that_unmarked_fitted(tmp_path: Path) -> None:
    """Effort and histories of our own functions, written and read back, are the matrices that it was given."""
    y, days, elev = fitted()
    surveyed, histories = of_periods(y, days)
    _, _, known = plain(y, days, {"elev": elev})
    export(tmp_path, (surveyed, histories, known))
    np.testing.assert_array_equal(matrix(tmp_path / "effort.csv"), days)
    np.testing.assert_array_equal(matrix(tmp_path / "Vulpes_vulpes__detection_history.csv"), y)


def of_matrices(folder: Path) -> tuple[Matrix, Matrix, Matrix]:
    header, *rows = table(folder / "sites.csv")
    elev = numbers([[row[header.index("elev")]] for row in rows])[:, 0]
    return matrix(folder / "Vulpes_vulpes__detection_history.csv"), elev, matrix(folder / "effort.csv")


def of_wide(folder: Path) -> tuple[Matrix, Matrix, Matrix]:
    y, sites, visits = wide(folder / "Vulpes_vulpes__unmarked_wide.csv")
    return y, numbers([sites["elev"]])[0], visits["effort"]


def of_long(folder: Path) -> tuple[Matrix, Matrix, Matrix]:
    y, elev, visits = long(folder / "Vulpes_vulpes__unmarked_long.csv", "y", "elev", "effort")
    return y, elev[:, 0], visits


def of_spoccupancy(folder: Path) -> tuple[Matrix, Matrix, Matrix]:
    place = folder / "spoccupancy"
    header, *rows = table(place / "occ_covs.csv")
    elev = numbers([[row[header.index("elev")]] for row in rows])[:, 0]
    return matrix(place / "Vulpes_vulpes__y.csv"), elev, matrix(place / "effort.csv")


@needs_shared
@pytest.mark.parametrize("read", [of_matrices, of_wide, of_long, of_spoccupancy])
def test_a_model_fitted_to_what_is_written_is_the_one_that_unmarked_fitted(tmp_path: Path, read: Any) -> None:
    """Likelihood and standard errors at unmarked's estimates are its own; the maximum lies there.

    unmarked's optimiser stopped 4e-5 in log likelihood short of the maximum of the model with covariates.
    """
    y, days, elev = fitted()
    surveyed, histories = of_periods(y, days)
    _, _, known = plain(y, days, {"elev": elev})
    export(tmp_path, (surveyed, histories, known))
    detected, covariate, visits = read(tmp_path)
    reference = table(FITTED / "unmarked_fit.csv")[1:]
    models = {"occu(~effort ~elev)": Likelihood(detected, [covariate], [visits]), "occu(~1 ~1)": Likelihood(detected)}
    for name, model in models.items():
        theirs = np.array([[float(value) for value in row[2:]] for row in reference if row[0] == name])
        estimates, errors, likelihood = theirs[:, 0], theirs[:, 1], theirs[0, 2]
        assert model.negative_log(estimates) == pytest.approx(likelihood, abs=1e-9)
        np.testing.assert_allclose(model.standard_errors(estimates), errors, atol=1e-4)
        ours = model.maximum()
        assert likelihood - 1e-4 < model.negative_log(ours) < likelihood + 1e-9
        np.testing.assert_allclose(ours, estimates, atol=1e-4 if name == "occu(~1 ~1)" else 0.01 * errors.max())


def blocks(readme: Path, language: str) -> str:
    """The code of a README, without what stands around it."""
    parts = re.split(r"^(\S.*)\n-+\n", readme.read_text("utf-8"), flags=re.MULTILINE)[1:]
    of = zip(parts[::2], parts[1::2], strict=True)
    return "\n".join(re.sub(r"^    ", "", body, flags=re.MULTILINE) for title, body in of if title.startswith(language))


def test_the_python_of_the_readme_reads_these_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run as it stands there, up to the package that is not installed."""
    surveyed, histories, known = small()
    export(tmp_path, (surveyed, histories, known))
    monkeypatch.chdir(tmp_path)
    code = blocks(tmp_path / "README.txt", "Python: read")
    seen: dict[str, Any] = {}
    exec(compile(code, "README.txt", "exec"), seen)
    np.testing.assert_array_equal(seen["effort"], surveyed.camera_days)
    np.testing.assert_array_equal(seen["y"], np.minimum(histories[0].y, 1))


OF_PACKAGES = re.compile(
    r"library\(|unmarkedFrameOccu|csvToUMF|numPrimary|occu\(|colext|PGOcc|communityModel|occSS|setup"
)
CHECKS = """
stopifnot(identical(dim(y), dim(effort)), is.numeric(y), is.numeric(effort), any(is.na(y)), identical(is.na(y), is.na(effort)))
stopifnot(nrow(sites) == nrow(y), all(y %in% c(0, 1, NA)), sum(y, na.rm = TRUE) == 4)
kept <- rowSums(!is.na(y)) > 0
stopifnot(identical(data0$y, y[kept, ]), identical(data0$det.covs$effort, effort[kept, ]), !anyNA(covs))
stopifnot(identical(rownames(covs), rownames(y)[kept]), is.numeric(covs$latitude))
stopifnot(identical(dim(data1$y), c(2L, sum(kept), ncol(y))), all.equal(unname(data1$y[1, , ]), unname(y[kept, ])))
stopifnot(length(ylist) == 2, identical(ylist[["Panthera_pardus"]], y), all(sapply(ylist, function(m) identical(dim(m), dim(y)))))
stopifnot(identical(names(data)[-(1:4)], names(read.csv("wiqid_data.csv"))[-(1:5)]), sum(done) == sum(kept))
cat("fine\\n")
"""


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="Rscript is not installed")
def test_the_r_of_the_readme_reads_these_files(tmp_path: Path) -> None:
    """The lines of base R run as they stand there: dimensions, names and NA arrive; no package is needed for that."""
    export(tmp_path, small(), options=OccupancyFiles(wiqid=True))
    lines = []
    for line in blocks(tmp_path / "README.txt", "R: ").splitlines():
        if not OF_PACKAGES.search(line):
            lines.append(line)
        if line.startswith("data <- list(y ="):
            lines.append("data0 <- data")
        if line.startswith("data$y"):
            lines.append("data1 <- data")
    script = tmp_path / "read.R"
    script.write_text("\n".join(lines) + CHECKS, "utf-8")
    ran = subprocess.run(["Rscript", "--vanilla", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.stdout.endswith("fine\n"), ran.stderr + script.read_text("utf-8")
