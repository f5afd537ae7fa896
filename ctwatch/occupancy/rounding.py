"""Rounding as R does it."""

import numpy as np
from numpy.typing import NDArray


def rounded_as_r(values: NDArray[np.float64], places: int) -> NDArray[np.float64]:
    """Round as R 4 does: to the nearer of the two neighbours as they are stored, halves to the even one; NaN stays."""
    power = 10.0**places
    low, high = np.floor(values * power), np.ceil(values * power)
    below, above = values - low / power, high / power - values
    return np.where((below < above) | ((below == above) & (low % 2 == 0)), low, high) / power
