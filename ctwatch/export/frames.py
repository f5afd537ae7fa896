"""What is told of every photograph, and under which path: shared by the dialects that go photograph by photograph."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctwatch.domain import BLANK, ObservationType
from ctwatch.export.written import counted
from ctwatch.survey import MediaColumns, ObservationColumns, Publication, Survey

ANIMAL = str(ObservationType.ANIMAL)
HUMAN = str(ObservationType.HUMAN)
VEHICLE = str(ObservationType.VEHICLE)
UNKNOWN = str(ObservationType.UNKNOWN)
UNCLASSIFIED = str(ObservationType.UNCLASSIFIED)
_WINDOWS_CANNOT = re.compile(
    r'[<>:"\\|?*\x00-\x1f]|[ .](?:/|$)|(?:^|/)(?:con|prn|aux|nul|com\d|lpt\d)(?:\.[^/]*)?(?:/|$)', re.I
)
"""Characters, ends and names that Windows keeps to itself (Naming Files, Paths, and Namespaces)."""
_WINDOWS_LONGEST = 259
"""Characters of a whole path that most Windows programs take."""


@dataclass(frozen=True, slots=True)
class Told:
    """Rows of the observations that speak of one photograph; none where nobody looked."""

    rows: tuple[int, ...]
    of_event: bool = False
    """Said of the event; on this very photograph it may be otherwise."""


@dataclass(frozen=True, slots=True)
class Levels:
    """Observations by photograph and by event."""

    of_media: dict[str, list[int]]
    """Rows of level media by media id."""
    of_event: dict[str, list[int]]
    """Rows of level event by event id."""


def levels(observations: ObservationColumns) -> Levels:
    """Gather the rows of the observations by what they speak of."""
    of_media: dict[str, list[int]] = {}
    of_event: dict[str, list[int]] = {}
    for row, (level, media_id, event_id) in enumerate(
        zip(observations.level, observations.media_id, observations.event_id, strict=True)
    ):
        if level == "media" and media_id is not None:
            of_media.setdefault(media_id, []).append(row)
        elif level == "event" and event_id is not None:
            of_event.setdefault(event_id, []).append(row)
    return Levels(of_media, of_event)


def told(survey: Survey, found: Levels) -> list[Told]:
    """Return what is told of each photograph, N in the survey's order.

    A person's word about the photograph comes first; then a person's word about its event, unless the machines called
    the photograph blank; then the machines about the photograph; last, where nothing speaks of it, its event.
    """
    observations, media = survey.observations, survey.media
    kinds, methods = observations.observation_type, observations.classification_method
    answers: list[Told] = []
    for media_id, event_id in zip(media.media_id, media.event_id, strict=True):
        own = found.of_media.get(media_id, [])
        event = found.of_event.get(event_id, []) if event_id is not None else []
        said = tuple(row for row in own if kinds[row] != UNCLASSIFIED)
        event_said = tuple(row for row in event if kinds[row] != UNCLASSIFIED)
        if any(methods[row] == "human" for row in said):
            answers.append(Told(tuple(row for row in said if methods[row] == "human")))
        elif any(methods[row] == "human" for row in event_said) and [kinds[row] for row in said] != [BLANK]:
            answers.append(Told(tuple(row for row in event_said if methods[row] == "human"), of_event=True))
        elif said or own:
            answers.append(Told(said))
        else:
            answers.append(Told(event_said, of_event=True))
    return answers


def label(observations: ObservationColumns, row: int) -> str:
    """Return a row's label: the species, or animal, human, vehicle, blank, unknown or unclassified."""
    kind = observations.observation_type[row]
    return (observations.scientific_name[row] or kind) if kind == ANIMAL else kind


def probability(observations: ObservationColumns, row: int) -> float | None:
    """Return a row's probability, None for people's and where it is not known."""
    value = float(observations.probability[row])
    return None if np.isnan(value) else value


def by_human(observations: ObservationColumns, rows: Sequence[int]) -> bool:
    """Whether a person said it."""
    return any(observations.classification_method[row] == "human" for row in rows)


def shown(survey: Survey, publication: Publication, said: list[str]) -> NDArray[np.intp]:
    """Return the rows of the photographs that may be given away, and say how many may not.

    Photographs of events with people are left out where a format cannot mark them, unless they were asked for.
    """
    private = np.asarray(survey.media.private, dtype=bool)
    if publication.with_private:
        if private.any():
            said.append(f"{counted(int(private.sum()), 'photograph')} of events with people among them, as asked for")
        return np.arange(len(private))
    if private.any():
        said.append(f"{counted(int(private.sum()), 'photograph')} of events with people left out")
    return np.flatnonzero(~private)


def clock_texts(moments: NDArray[np.datetime64]) -> list[str | None]:
    """Return camera-local times as `2026-05-01 06:41:30`, (N,); None for NaT."""
    texts: list[str] = np.datetime_as_string(moments.astype("datetime64[s]"), unit="s").tolist()
    return [None if text == "NaT" else text.replace("T", " ") for text in texts]


def frame_paths(media: MediaColumns, said: list[str]) -> list[str]:
    """Return every photograph's path below its inbox, forward slashes, (N,): the card's folder, then its path on the card.

    Images that lay loose in an inbox have no folder. Says where cards lie in several inboxes, or share a name.
    """
    roots = [_root(source, path) for source, path in zip(media.source_path, media.file_path, strict=True)]
    inboxes = {root.rpartition("/")[0] for root in set(roots) if root}
    paths = [
        path if root and root in inboxes else f"{card}/{path}"
        for card, path, root in zip(media.card_name, media.file_path, roots, strict=True)
    ]
    real = {root if root in inboxes else root.rpartition("/")[0] for root in set(roots) if root}
    if len(real) > 1:
        said.append(f"the cards lie in {len(real)} folders; file paths begin at the folder that each card lies in")
    if same := len(paths) - len(set(paths)):
        said.append(f"{counted(same, 'photograph')} with the path of another: cards share a name")
    return paths


def strange_to_windows(paths: Sequence[str], said: list[str]) -> None:
    """Say which of these paths Windows cannot hold or most of its programs cannot open."""
    strange = [path for path in paths if _WINDOWS_CANNOT.search(path)]
    long = [path for path in paths if len(path) > _WINDOWS_LONGEST]
    if strange:
        said.append(
            f"{counted(len(strange), 'file')} with a name that Windows cannot hold, such as {strange[0]!r}: not found there"
        )
    if long:
        said.append(
            f"{counted(len(long), 'file')} with a path longer than {_WINDOWS_LONGEST} characters: not found on Windows"
        )


def _root(source: str | None, path: str) -> str:
    """Return the folder that a card's paths begin at; empty where it is not known."""
    end = f"/{path}"
    return source[: -len(end)] if source is not None and source.endswith(end) else ""
