"""Covariates of sites: what the further columns of a deployments table say of each location."""

import re
from collections.abc import Mapping, Sequence

from ctwatch.deployments.dialects import CAMTRAP_DP
from ctwatch.deployments.table import DeploymentTable
from ctwatch.domain import Deployment

OF_THE_SITE = frozenset(
    (
        "habitat",
        "baitUse",
        "featureType",
        "cameraHeight",
        "cameraDepth",
        "cameraTilt",
        "cameraHeading",
        "detectionDistance",
    )
)
"""Columns of Camtrap DP that say something of the place, or of how it was watched, that a model may want."""
_NUMBER = re.compile(r"[+-]?(?:\d{1,15}(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)


def site_covariates(
    table: DeploymentTable | Sequence[Deployment],
) -> tuple[Mapping[str, Mapping[str, float | str]], tuple[str, ...]]:
    """Return {covariate: {location: value}} and a sentence for each covariate that is not one value at a location.

    A value is taken where all deployments of a location that give one give the same; a location without one is not
    among a covariate's keys. Covariates that are numbers at every location are floats. Order is the table's.
    """
    deployments = [row.deployment for row in table.rows] if isinstance(table, DeploymentTable) else table
    seen: dict[str, dict[str, dict[str, str]]] = {}
    for deployment in deployments:
        for name, text in deployment.columns:
            if name not in CAMTRAP_DP or name in OF_THE_SITE:
                values = seen.setdefault(name, {}).setdefault(deployment.location_id, {})
                values.setdefault(str(_number(text)) if _NUMBER.fullmatch(text) else text, text)
    columns: dict[str, dict[str, float | str]] = {}
    told = []
    for name, places in seen.items():
        changing = [place for place, values in places.items() if len(values) > 1]
        if changing:
            some = ", ".join(changing[:3]) + (f" and {len(changing) - 3} more" if len(changing) > 3 else "")
            told.append(
                f"{name} has several values at {some} ({', '.join(list(places[changing[0]].values())[:3])}); it is left"
                " empty there as a covariate of the site"
            )
        texts = {place: next(iter(values.values())) for place, values in places.items() if len(values) == 1}
        numeric = all(_NUMBER.fullmatch(text) for text in texts.values())
        columns[name] = {place: _number(text) if numeric else text for place, text in texts.items()}
    return columns, tuple(told)


def _number(text: str) -> float:
    return float(text)
