"""README.txt beside the occupancy files: what each is, and the lines of R and Python that load them."""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import dedent, indent, wrap

_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Contents:
    """What was written, as far as the text speaks of it."""

    species: Sequence[tuple[str, str, str]]
    """Name, file name part and what became of its records, in the order of the histories."""
    example: str | None
    """File name part of the species that the examples load; None without any species."""
    sites: int
    occasions: int
    site_covariates: Sequence[str]
    """As the files call them."""
    occupancy_covariates: Sequence[str]
    """Those without NA, for spOccupancy."""
    seasons: Sequence[str] = ()
    multi_season: bool = False
    relative: bool = False
    """Occasions begin with each site's own first day."""
    wiqid: bool = False
    scaling: tuple[float, float] | None = None
    """Centre and scale of the effort in the files for models; None where it is in camera-days."""
    counts: bool = False
    sentences: Sequence[str] = ()
    """What was dropped, assumed and renamed."""


def text(contents: Contents) -> str:
    """Return README.txt."""
    parts = [_opening(contents), _files(contents), _cautions(contents)]
    if contents.example is not None and contents.sites and contents.occasions:
        parts += [_r(contents, contents.example), _python(contents, contents.example)]
    parts.append(_told(contents))
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _opening(contents: Contents) -> str:
    seasons = f", seasons {', '.join(contents.seasons)}" if contents.seasons else ""
    return _lines(
        "Detection histories for occupancy models, written by ctwatch",
        "============================================================",
        "",
        f"{contents.sites} sites x {contents.occasions} occasions x {len(contents.species)} species{seasons}.",
        "",
    )


def _files(contents: Contents) -> str:
    effort = "effort" if contents.scaling is None else "scaled effort"
    seen = "number of records" if contents.counts else "1 detected, 0 not detected"
    told = [
        ("effort.csv", "camera-days of each site (row) in each occasion (column)"),
        ("occasions.csv", "first day of each occasion, the day after its last, and its length in days"),
        ("sites.csv", "coordinates and covariates of each site, rows as in effort.csv"),
        ("<species>__detection_history.csv", f"{seen}; rows and columns as in effort.csv"),
        (
            "<species>__unmarked_wide.csv",
            f"the same with site covariates and {effort} in one table: csvToUMF, long = FALSE",
        ),
        ("<species>__unmarked_long.csv", "the same with a row for each site and occasion: csvToUMF, long = TRUE"),
        ("occupancy_long.csv", "all species, sites and occasions; y is 1 or 0, n_records the number of records"),
        (
            "spoccupancy/",
            f"for spOccupancy, without sites that were never surveyed: <species>__y.csv, effort.csv ({effort}), "
            "occ_covs.csv (covariates without NA), y_long.csv (all species, species changing fastest)",
        ),
    ]
    if contents.multi_season:
        told.append(
            (
                "<species>__unmarked_multiseason.csv",
                f"a row for each location, its {len(contents.seasons)} seasons side by side",
            )
        )
    if contents.wiqid:
        told.append(("wiqid_data.csv", f"site covariates and {effort} as effort1, effort2, ... for wiqid"))
    if contents.scaling is not None:
        told.append(("effort_scaled.csv", "(camera-days - centre) / scale; effort_scaling.csv has centre and scale"))
    names = [f"  {' '.join(name.split())}: {part}__..., {records}" for name, part, records in contents.species]
    lines = ["Files", "-----", ""]
    for name, meaning in told:
        lines += [f"  {name}", *wrap(meaning, _WIDTH, initial_indent="      ", subsequent_indent="      ")]
    lines += ["", "Species and their files", "", *names] if names else []
    return _lines(*lines, "")


def _cautions(contents: Contents) -> str:
    told = [
        "NA means not surveyed: no camera worked there then. It is never 0, and 0 is never NA.",
        "All days and times are the cameras' own clocks, corrected but without a time zone. In camtrapR leave"
        ' timeZone = "UTC": a zone with summer time moves records to other days.',
        "Effort is in camera-days; two cameras that work all day at one site count two.",
    ]
    if contents.scaling is not None:
        centre, scale = contents.scaling
        told[-1] += f" The files for models have it scaled: (camera-days - {centre:.10g}) / {scale:.10g}."
    else:
        told[-1] += " Models may converge better with it scaled (ctwatch writes it so if asked)."
    told.append(
        "unmarked leaves out sites that were never surveyed, and cells whose covariate is NA, with a warning."
        " In the long form an effort that is the same in all occasions of each site becomes a site covariate of that name."
    )
    if contents.relative:
        told.append(
            "o1 begins with each site's own first day, or with that of its season; occupancy_long.csv has the dates of every"
            " cell."
        )
    if contents.seasons:
        told.append(
            "A site is a location in one season (location__SESS_season) everywhere but in the multi-season files:"
            " models of a single season should then have an effect of the season and of the location."
        )
    return _lines("Mind", "----", "", *points(told), "")


def _r(contents: Contents, species: str) -> str:
    spare = "siteCovs = sites, " if contents.site_covariates else ""
    effort = "effort.csv" if contents.scaling is None else "effort_scaled.csv"
    occ = (
        'covs <- read.csv("spoccupancy/occ_covs.csv", row.names = 1)'
        if contents.occupancy_covariates
        else "# no covariate is known at every site: occ.covs is left out"
    )
    occ_part = "occ.covs = covs, " if contents.occupancy_covariates else ""
    # Models of occupancy want 1 where the files hold numbers of records.
    seen = "1 * ({} > 0)" if contents.counts else "{}"
    reader = "function(file) 1 * (matrix_of(file) > 0)" if contents.counts else "matrix_of"
    blocks = [
        (
            "R: read the matrices (base R; the others build on these lines)",
            f"""\
            matrix_of <- function(file) as.matrix(read.csv(file, row.names = 1, check.names = FALSE))
            y <- {seen.format(f'matrix_of("{species}__detection_history.csv")')}
            effort <- matrix_of("{effort}")
            sites <- read.csv("sites.csv", row.names = 1)
            stopifnot(identical(dimnames(y), dimnames(effort)), identical(rownames(y), rownames(sites)))
            """,
        ),
        (
            "R: unmarked",
            f"""\
            library(unmarked)
            data <- unmarkedFrameOccu(y = y, {spare}obsCovs = list(effort = effort))
            # the same from one file: csvToUMF("{species}__unmarked_wide.csv", long = FALSE, type = "unmarkedFrameOccu")
            # or: csvToUMF("{species}__unmarked_long.csv", long = TRUE, type = "unmarkedFrameOccu")
            summary(occu(~ effort ~ 1, data))
            """,
        ),
        (
            "R: ubms",
            """\
            library(ubms)  # data as for unmarked
            summary(stan_occu(~ effort ~ 1, data, chains = 3), "state")
            """,
        ),
        (
            "R: spOccupancy, one species",
            f"""\
            library(spOccupancy)
            {occ}
            det <- list(effort = matrix_of("spoccupancy/effort.csv"))
            data <- list(y = matrix_of("spoccupancy/{species}__y.csv"), {occ_part}det.covs = det)
            summary(PGOcc(~ 1, ~ effort, data, n.samples = 5000))
            """,
        ),
        (
            "R: spOccupancy, all species",
            """\
            long <- read.csv("spoccupancy/y_long.csv")
            of <- lapply(long[c("species", "site", "occasion")], unique)
            data$y <- array(long$y, unname(lengths(of)), of)
            summary(msPGOcc(~ 1, ~ effort, data, n.samples = 5000))
            """,
        ),
        (
            "R: camtrapR, community model",
            f"""\
            library(camtrapR)
            files <- list.files(pattern = "__detection_history.csv$")
            ylist <- lapply(setNames(files, sub("__detection_history.csv", "", files)), {reader})
            data <- list(ylist = ylist, {spare}obsCovs = list(effort = effort))
            model <- communityModel(data, detCovsObservation = list(fixed = "effort"), modelFile = "model.txt")
            """,
        ),
        (
            "R: wiqid",
            """\
            library(wiqid)
            visits <- setNames(as.data.frame(effort), paste0("effort", seq_len(ncol(effort))))
            done <- rowSums(!is.na(y)) > 0
            occSS(y[done, ], list(psi ~ 1, p ~ effort), data = visits[done, ])
            """
            if not contents.wiqid
            else """\
            library(wiqid)
            data <- read.csv("wiqid_data.csv", row.names = 1)
            done <- rowSums(!is.na(y)) > 0
            occSS(y[done, ], list(psi ~ 1, p ~ effort), data = data[done, ])
            """,
        ),
    ]
    if contents.multi_season:
        blocks.append(
            (
                "R: unmarked, dynamic occupancy over the seasons",
                f"""\
                data <- csvToUMF("{species}__unmarked_multiseason.csv", long = FALSE, type = "unmarkedMultFrame",
                                 numPrimary = {len(contents.seasons)})
                summary(colext(~ 1, ~ 1, ~ 1, ~ effort, data))
                """,
            )
        )
    return "\n".join(_block(title, code).rstrip("\n") + "\n" for title, code in blocks)


def _python(contents: Contents, species: str) -> str:
    one = "y = np.minimum(y, 1)\n            " if contents.counts else ""
    effort = "effort.csv" if contents.scaling is None else "effort_scaled.csv"
    blocks = [
        (
            "Python: read the matrices (numpy)",
            f"""\
            import csv
            import numpy as np
            def matrix_of(name):
                with open(name, newline="", encoding="utf-8") as file:
                    rows = list(csv.reader(file))[1:]
                return np.array([[np.nan if cell == "NA" else float(cell) for cell in row[1:]] for row in rows])
            y, effort = matrix_of("{species}__detection_history.csv"), matrix_of("{effort}")
            {one}""",
        ),
        (
            "Python: biolith",
            """\
            from biolith.models import occu
            from biolith.utils import fit
            scaled = (effort - np.nanmean(effort)) / (np.nanstd(effort) or 1.0)
            none = np.zeros((len(y), 1))  # biolith wants a column at least; put site covariates here
            result = fit(occu, site_covs=none, obs_covs=scaled[:, None, :, None], obs=y[None, :, None, :])
            print({name: np.mean(values) for name, values in result.samples.items()})
            """,
        ),
    ]
    return "\n".join(_block(title, code).rstrip("\n") + "\n" for title, code in blocks)


def _told(contents: Contents) -> str:
    told = contents.sentences or ("Nothing was dropped, renamed or assumed.",)
    return _lines("What was dropped, assumed or renamed", "------------------------------------", "", *points(told))


def _block(title: str, code: str) -> str:
    return _lines(title, "-" * len(title), "", indent(dedent(code), "    "))


def points(sentences: Sequence[str]) -> list[str]:
    """Return sentences as the lines of a list."""
    return [
        line
        for sentence in sentences
        for line in wrap(
            " ".join(sentence.split()),
            _WIDTH,
            initial_indent="  * ",
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    ]


def _lines(*lines: str) -> str:
    return "\n".join(lines) + "\n"
