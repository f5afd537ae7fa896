"""Times, identifiers, file paths and counts as a Camtrap DP package writes them."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctwatch.export.camtrap_dp.schema import MISSING
from ctwatch.identity import derived_id
from ctwatch.names import spreadsheet_safe

Seconds = NDArray[np.datetime64]
"""datetime64[s]; NaT where there is none."""
NO_TIME = np.datetime64("NaT", "s")
_EARLIEST = np.datetime64("1000-01-01T00:00:00", "s")
_LATEST = np.datetime64("9999-12-30T00:00:00", "s")
_NOT_IN_PATHS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\\]")
_SEVERAL_DOTS = re.compile(r"\.{2,}")
_NOT_FIRST = tuple("./~=+-@'")
"""Camtrap DP's `.`, `/`, `~`; and what a spreadsheet would run, which the CSV writer would put a quote before."""


def seconds(times: Any) -> Seconds:
    """Return times cut to whole seconds, NaT for those whose year has not four digits; any array of datetimes."""
    whole = np.asarray(times, dtype="datetime64[us]").astype("datetime64[s]")
    with np.errstate(invalid="ignore"):
        return np.where((whole >= _EARLIEST) & (whole <= _LATEST), whole, NO_TIME)


def written(times: Seconds, zone: str) -> list[str]:
    """Return times as `2026-05-01T06:41:30+02:00`, empty text for NaT."""
    texts = np.datetime_as_string(times, unit="s").tolist()
    return [text + zone if text != "NaT" else "" for text in texts]


def identifiers(texts: Iterable[str]) -> dict[str, str]:
    """Return the identifier that each text is written as: itself, unless a reader would take it as missing.

    Formulas are made safe here already, so that two texts never become one.
    """
    chosen: dict[str, str] = {}
    taken: set[str] = set()
    for text in sorted(set(texts)):
        name = f"{text}_" if text in MISSING else spreadsheet_safe(text)
        while name in taken:
            name += "_"
        taken.add(name)
        chosen[text] = name
    return chosen


def relative_path(parts: Sequence[str]) -> str:
    """Return folder and file names joined by `/`, as Camtrap DP takes a path: nothing that leads out, no control marks.

    A name that has to be changed gets a mark, so that different names stay different.
    """
    names = [part for part in "/".join(parts).split("/") if part]
    safe = []
    for place, name in enumerate(names):
        plain = _SEVERAL_DOTS.sub(lambda dots: "_" * len(dots[0]), _NOT_IN_PATHS.sub("_", name))
        if place == 0 and plain.startswith(_NOT_FIRST):
            plain = "_" + plain[1:]
        safe.append(plain if plain == name else marked(plain, name))
    path = "/".join(safe)
    return f"_{path}" if path in MISSING else path


def marked(path: str, *told_apart_by: str) -> str:
    """Return a path with a mark of six digits before its suffix."""
    mark = derived_id("path", *told_apart_by)[:6]
    folder, slash, name = path.rpartition("/")
    stem, dot, suffix = name.rpartition(".")
    return folder + slash + (f"{stem}-{mark}.{suffix}" if dot and stem else f"{name}-{mark}")
