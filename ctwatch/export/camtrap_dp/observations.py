"""The table of observations: events that can be summed, and the same frame by frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctwatch.export.camtrap_dp.media import MediaTimes
from ctwatch.export.camtrap_dp.words import NO_TIME, Seconds, identifiers, seconds, written
from ctwatch.export.files import Cell
from ctwatch.export.written import counted, listed
from ctwatch.survey import BoxColumns, MediaColumns, ObservationColumns, Survey, Taxon
from ctwatch.taxonomy import not_scientific, resolve

HUMAN = "Homo sapiens"
_DECIMALS = 4
_BOX_DECIMALS = 6
_NO_ANIMALS = frozenset({"human", "person", "vehicle"})
_NO_BOX = (None, None, None, None)

BoxCells = tuple[Cell, Cell, Cell, Cell]


@dataclass(frozen=True, slots=True)
class Spoken:
    """Rows of observations.csv, and what they speak of."""

    rows: list[Sequence[Cell]]
    taxa: dict[str, Taxon]
    """By scientific name as written."""
    levels: tuple[str, ...]
    """Of those present, media before event."""


def rows(
    survey: Survey,
    times: MediaTimes,
    kept: NDArray[np.intp],
    deployment_ids: Mapping[str, str],
    known: Mapping[str, Taxon],
    zone: str,
    said: list[str],
) -> Spoken:
    """Return the rows of observations.csv in schema order and the survey's, for what the other two tables hold.

    Media-level rows start and end with their photograph. Both levels are written: event-level counts can be summed.
    """
    told, media = survey.observations, survey.media
    row_of_media = {media.media_id[row]: row for row in kept.tolist()}
    starts, ends = _times(told, media, times, kept, row_of_media)
    here = np.array([name in deployment_ids for name in told.deployment_id], dtype=bool)
    linked = np.array([name is None or name in row_of_media for name in told.media_id], dtype=bool)
    lost = int((here & ~(linked & ~np.isnat(starts))).sum())
    if lost:
        said.append(f"{counted(lost, 'observation')} without a photograph in the package or any time left out")
    chosen = np.flatnonzero(here & linked & ~np.isnat(starts))
    boxes = _boxes(survey.boxes, told, chosen, known)
    names = _Names(known)
    start_texts, end_texts = written(starts[chosen], zone), written(ends[chosen], zone)
    decided_at = written(seconds(told.classification_timestamp)[chosen], "Z")
    probability = np.round(np.clip(told.probability, 0, 1), _DECIMALS).tolist()
    ids = identifiers(told.observation_id[row] for row in chosen.tolist())
    found: list[Sequence[Cell]] = []
    for row, start, end, decided in zip(chosen.tolist(), start_texts, end_texts, decided_at, strict=True):
        kind = told.observation_type[row]
        looked = kind != "unclassified"
        number = told.count[row]
        found.append(
            (
                ids[told.observation_id[row]],
                deployment_ids[told.deployment_id[row]],
                told.media_id[row],
                told.event_id[row],
                start,
                end,
                told.level[row],
                kind,
                None,
                names.written(kind, told.scientific_name[row]),
                number if number is not None and number >= 1 and looked and kind != "blank" else None,
                None,
                None,
                None,
                None,
                None,
                None,
                None,
                *boxes.get(row, _NO_BOX),
                told.classification_method[row] if looked else None,
                told.classified_by[row] if looked else None,
                decided if looked else None,
                probability[row] if looked else None,
                _tags(told, row, names),
                None,
            )
        )
    names.tell(said)
    levels = {told.level[row] for row in chosen.tolist()}
    return Spoken(found, names.used, tuple(level for level in ("media", "event") if level in levels))


class _Names:
    """Scientific names of labels, each looked up once, and which of them came up."""

    def __init__(self, known: Mapping[str, Taxon]) -> None:
        self._known = known
        self._taxa: dict[str, Taxon] = {}
        self.used: dict[str, Taxon] = {}

    def of(self, label: str) -> str:
        """The scientific name of a label; empty if it names none."""
        taxon = self._taxa.get(label)
        if taxon is None:
            taxon = self._taxa[label] = resolve(label, self._known)
        return taxon.scientific_name

    def written(self, kind: str, label: str | None) -> str | None:
        """The cell of a row of a type; the name is remembered."""
        if kind == "human":
            self.used.setdefault(
                HUMAN, self._known.get(HUMAN) or self._known.get("human") or Taxon(HUMAN, taxon_rank="species")
            )
            return HUMAN
        if kind != "animal" or not label:
            return None
        name = self.of(label)
        if name:
            self.used.setdefault(name, self._taxa[label])
        return name or None

    def tell(self, said: list[str]) -> None:
        """Say which names have not the form of one."""
        odd = not_scientific(self.used)
        if odd:
            said.append(
                f"{counted(len(odd), 'name')} without the form of a scientific name written all the same:"
                f" {listed(odd, 10)}; give the scientific names of labels in the table of project.taxa"
            )


def _times(
    told: ObservationColumns,
    media: MediaColumns,
    times: MediaTimes,
    kept: NDArray[np.intp],
    row_of_media: Mapping[str, int],
) -> tuple[Seconds, Seconds]:
    """Start and end of each observation: its own, its photograph's, or its event's photographs'."""
    starts, ends = seconds(told.event_start), seconds(told.event_end)
    first: dict[str, np.datetime64] = {}
    last: dict[str, np.datetime64] = {}
    open_events = {
        told.event_id[row]
        for row in np.flatnonzero(np.isnat(starts) | np.isnat(ends)).tolist()
        if told.media_id[row] is None
    }
    if open_events:
        for row in kept.tolist():
            event = media.event_id[row]
            if event is not None and event in open_events:
                moment = times.time[row]
                first[event] = min(first.get(event, moment), moment)
                last[event] = max(last.get(event, moment), moment)
    for row, (media_id, event) in enumerate(zip(told.media_id, told.event_id, strict=True)):
        if media_id is not None:
            place = row_of_media.get(media_id)
            starts[row] = ends[row] = NO_TIME if place is None else times.time[place]
        elif event in open_events and event is not None:
            starts[row], ends[row] = first.get(event, NO_TIME), last.get(event, NO_TIME)
    return starts, np.fmax(starts, ends)


def _tags(told: ObservationColumns, row: int, names: _Names) -> str | None:
    """Return what else was decided or is doubtful, as `key:value` tags."""
    tags = []
    if told.classification_method[row] == "human":
        for label, probability in zip(told.machine_labels[row], told.machine_probabilities[row], strict=True):
            sure = "" if probability is None or probability != probability else f" ({round(probability, _DECIMALS):g})"
            tags.append(f"machine:{(names.of(label) or label).replace('|', '/')}{sure}")
    if told.needs_review[row]:
        tags += [f"review:{reason}" for reason in (told.review_reason[row] or "yes").split(";")]
    return " | ".join(tags) or None


def _boxes(
    boxes: BoxColumns, told: ObservationColumns, chosen: NDArray[np.intp], known: Mapping[str, Taxon]
) -> dict[int, BoxCells]:
    """Return a box per row for frames on which one animal was seen and one animal's box drawn: which is whose is plain."""
    if not len(boxes.media_id):
        return {}
    of_frame: dict[str, list[int]] = {}
    for box, (media_id, label) in enumerate(zip(boxes.media_id, boxes.label, strict=True)):
        if label not in _NO_ANIMALS:
            of_frame.setdefault(media_id, []).append(box)
    rows_of_frame: dict[str, list[int]] = {}
    for row in chosen.tolist():
        media_id = told.media_id[row]
        if media_id in of_frame:
            rows_of_frame.setdefault(media_id, []).append(row)
    found: dict[int, BoxCells] = {}
    for media_id, rows_here in rows_of_frame.items():
        row, box = rows_here[0], of_frame[media_id][0]
        alone = len(rows_here) == 1 and len(of_frame[media_id]) == 1 and told.observation_type[row] == "animal"
        label, seen = boxes.label[box], told.scientific_name[row]
        same = label in ("animal", seen) or _name(label, known) == _name(seen or "", known)
        cells = _clipped(boxes, box) if alone and same else None
        if cells:
            found[row] = cells
    return found


def _name(label: str, known: Mapping[str, Taxon]) -> str:
    return resolve(label, known).scientific_name


def _clipped(boxes: BoxColumns, box: int) -> BoxCells | None:
    """Return a box's part within the frame; None if nothing of it is."""
    left, top = float(boxes.x[box]), float(boxes.y[box])
    edges = (left, top, left + float(boxes.width[box]), top + float(boxes.height[box]))
    if any(edge != edge for edge in edges):
        return None
    x, y, right, bottom = (round(min(1.0, max(0.0, edge)), _BOX_DECIMALS) for edge in edges)
    width, height = round(right - x, _BOX_DECIMALS), round(bottom - y, _BOX_DECIMALS)
    return (x, y, width, height) if width > 0 and height > 0 else None
