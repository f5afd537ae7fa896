"""Single-season occupancy by maximum likelihood, to see that what is exported can be fitted (MacKenzie et al. 2002)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


class Likelihood:
    """Occupancy ~ intercept + site covariates, detection ~ intercept + visit covariates, both on the logit scale.

    Parameters are those of occupancy, then those of detection. A cell without `y` or without a covariate is left out,
    a site without any cell, or without a covariate, too.
    """

    def __init__(
        self, y: Values, site_covariates: Sequence[Values] = (), visit_covariates: Sequence[Values] = ()
    ) -> None:
        """Take (S, K) detections (1, 0, NaN), (S,) site covariates and (S, K) visit covariates."""
        sites = np.stack([np.ones(len(y)), *site_covariates], axis=1)
        visits = np.stack([np.ones_like(y), *visit_covariates], axis=2)
        asked = ~np.isnan(y) & ~np.isnan(visits).any(axis=2)
        kept = asked.any(axis=1) & ~np.isnan(sites).any(axis=1)
        self.sites, self.asked = sites[kept], asked[kept]
        self.visits = np.where(self.asked[..., None], visits[kept], 0.0)
        self.seen = np.where(self.asked, y[kept], 0.0)
        self.never = self.seen.sum(axis=1) == 0

    def negative_log(self, at: Values) -> float:
        """Return the negative log likelihood."""
        return -float(np.log(self._parts(at)[2]).sum())

    def _parts(self, at: Values) -> tuple[Values, Values, Values, Values]:
        occupied = 1 / (1 + np.exp(-self.sites @ at[: self.sites.shape[1]]))
        found = 1 / (1 + np.exp(-self.visits @ at[self.sites.shape[1] :]))
        of_history = np.where(self.asked, np.where(self.seen == 1, found, 1 - found), 1.0).prod(axis=1)
        likelihood = occupied * of_history + (1 - occupied) * self.never
        return occupied, found, likelihood, occupied * of_history / likelihood

    def slope(self, at: Values) -> Values:
        """Return the gradient of `negative_log`."""
        occupied, found, _, present = self._parts(at)
        by_visit = np.einsum("s,sk,skc->c", present, np.where(self.asked, self.seen - found, 0.0), self.visits)
        return -np.concatenate([(present - occupied) @ self.sites, by_visit])

    def information(self, at: Values) -> Values:
        """Return the second derivatives of `negative_log`, by differences of the gradient."""
        step = 1e-5
        rows = np.array(
            [(self.slope(at + axis) - self.slope(at - axis)) / (2 * step) for axis in np.eye(len(at)) * step]
        )
        return (rows + rows.T) / 2

    def standard_errors(self, at: Values) -> Values:
        """Return those of the observed information."""
        return np.sqrt(np.diag(np.linalg.inv(self.information(at))))

    def maximum(self) -> Values:
        """Return the estimates: Newton's method with halved steps from zero."""
        at = np.zeros(self.sites.shape[1] + self.visits.shape[2])
        for _ in range(100):
            bent = self.information(at)
            # Away from the optimum the surface need not be convex: lean towards the gradient until it is.
            bent += np.eye(len(at)) * max(0.0, 1e-3 - float(np.linalg.eigvalsh(bent)[0]))
            step = np.linalg.solve(bent, self.slope(at))
            while self.negative_log(at - step) > self.negative_log(at) and np.abs(step).max() > 1e-9:
                step = step / 2
            at = at - step
            if np.abs(step).max() < 1e-9:
                break
        return at
