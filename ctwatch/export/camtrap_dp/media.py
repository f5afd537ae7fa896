"""The table of media: which photographs can be in a Camtrap DP package, under which path and time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctwatch.export.camtrap_dp.words import Seconds, marked, relative_path, seconds, written
from ctwatch.export.files import Cell
from ctwatch.export.written import counted
from ctwatch.survey import MediaColumns

_KINDS = ("image/", "video/", "audio/")


@dataclass(frozen=True, slots=True)
class MediaTimes:
    """When photographs were taken, N rows as in the survey."""

    time: Seconds
    trusted: NDArray[np.bool_]
    """Whether dates of a deployment may be drawn from it."""
    as_recorded: NDArray[np.bool_]
    """The camera's own word, for want of a corrected time."""


def times_of(media: MediaColumns) -> MediaTimes:
    """Return each photograph's time: the corrected one, else what the camera recorded, marked as not trusted."""
    corrected, recorded = seconds(media.timestamp), seconds(media.recorded)
    none = np.isnat(corrected)
    return MediaTimes(
        np.where(none, recorded, corrected),
        np.asarray(media.trusted, dtype=bool) & ~none,
        none & ~np.isnat(recorded),
    )


def writable(media: MediaColumns, times: MediaTimes, said: list[str]) -> NDArray[np.bool_]:
    """Which photographs the table can hold at all, (N,): it requires a time and a media type."""
    known = np.array([kind.startswith(_KINDS) and "\n" not in kind for kind in media.file_mediatype], dtype=bool)
    timed = ~np.isnat(times.time)
    if untimed := int((known & ~timed).sum()):
        said.append(
            f"{counted(untimed, 'photograph')} without any time left out, with what was seen on them:"
            " Camtrap DP requires a timestamp"
        )
    if other := int((~known).sum()):
        said.append(
            f"{counted(other, 'file')} left out that are neither image, video nor audio by their media type, as Camtrap DP requires"
        )
    return known & timed


def rows(
    media: MediaColumns,
    times: MediaTimes,
    kept: NDArray[np.intp],
    deployment_ids: Mapping[str, str],
    zone: str,
    said: list[str],
) -> list[Sequence[Cell]]:
    """Return the rows of media.csv for the kept photographs, in schema order and the survey's."""
    paths = _paths(media, kept, said)
    texts = written(times.time[kept], zone)
    recorded = seconds(media.recorded)
    moved = (recorded != times.time) & ~np.isnat(recorded)
    as_recorded = dict(zip(np.flatnonzero(moved).tolist(), written(recorded[moved], ""), strict=True))
    found: list[Sequence[Cell]] = []
    for row, path, text in zip(kept.tolist(), paths, texts, strict=True):
        comments = [
            f"camera wrote {as_recorded[row]}" if row in as_recorded else None,
            media.timestamp_issue[row],
            f"picture not usable: {media.failure[row]}" if media.failure[row] else None,
        ]
        found.append(
            (
                media.media_id[row],
                deployment_ids[media.deployment_id[row]],
                media.capture_method[row],
                text,
                path,
                True,
                path.rpartition("/")[2],
                media.file_mediatype[row],
                None,
                None,
                "; ".join(comment for comment in comments if comment) or None,
            )
        )
    return found


def _paths(media: MediaColumns, kept: NDArray[np.intp], said: list[str]) -> list[str]:
    """Return a path of its own for each kept photograph: the card's name, then its path on the card."""
    rows = kept.tolist()
    roots = [_root(media.source_path[row], media.file_path[row]) for row in rows]
    cards: dict[str, set[str]] = {}
    for row, root in zip(rows, roots, strict=True):
        if root:
            cards.setdefault(media.card_name[row], set()).add(root)
    several = {name for name, places in cards.items() if len(places) > 1}
    paths, changed, taken = [], 0, set()
    for row, root in zip(rows, roots, strict=True):
        name = media.card_name[row]
        # Two cards that were given one name are two folders.
        folder = marked(name, root) if root and name in several else name
        path = relative_path((folder, media.file_path[row]))
        if path in taken:
            path = marked(path, media.media_id[row])
        taken.add(path)
        paths.append(path)
        changed += path != f"{name}/{media.file_path[row]}"
    if changed:
        said.append(
            f"{counted(changed, 'file path')} written otherwise than on the card, for two cards had one name or Camtrap DP"
            " does not take the name as it is"
        )
    return paths


def _root(source_path: str | None, file_path: str) -> str:
    """Return where a card lay; empty if that is not known."""
    return source_path.removesuffix(file_path) if source_path and source_path.endswith(file_path) else ""
