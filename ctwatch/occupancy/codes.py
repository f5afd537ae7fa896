"""Names as numbers: what all columns of names are turned into before anything is counted."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Names = Sequence[str | None] | NDArray[np.object_]


def coded(values: Names) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """Return the different names, sorted, and the number of each value in them, shape (N,); -1 for None.

    One look-up a value: sorting millions of Python strings, as `np.unique` does, takes many times as long.
    """
    found: dict[str | None, int] = {}
    plain = values.tolist() if isinstance(values, np.ndarray) else values
    first_seen = np.fromiter((found.setdefault(value, len(found)) for value in plain), dtype=np.int32, count=len(plain))
    names = tuple(sorted(value for value in found if value is not None))
    place = np.full(len(found), -1, dtype=np.int32)
    for number, name in enumerate(names):
        place[found[name]] = number
    return names, place[first_seen]


def places(names: Sequence[str], known: Sequence[str]) -> NDArray[np.int64]:
    """Return where each name stands in `known`, -1 where it does not."""
    where = {name: number for number, name in enumerate(known)}
    return np.array([where.get(name, -1) for name in names], dtype=np.int64)
