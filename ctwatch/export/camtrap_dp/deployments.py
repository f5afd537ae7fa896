"""The table of deployments: those with a place and dates, stretched to their photographs, with what is known to be wrong."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from ctwatch.clocks import points_of
from ctwatch.domain import ClockPoint, Deployment, Outage
from ctwatch.export.camtrap_dp.media import MediaTimes
from ctwatch.export.camtrap_dp.schema import CARRIED, DEPLOYMENTS, PLAIN_DECIMALS
from ctwatch.export.camtrap_dp.words import NO_TIME, Seconds, identifiers, written
from ctwatch.export.files import Cell
from ctwatch.export.written import counted, listed
from ctwatch.survey import MediaColumns, Publication, SurveyDeployment

_LAST_SECOND = np.timedelta64(86_399, "s")
_STRETCH = np.timedelta64(1, "D")
"""Photographs further outside the dates than this speak of a wrong clock, not of a date written carelessly."""
_EQUATOR_M = 6_378_137.0
_ECCENTRICITY_2 = 0.00669437999014


@dataclass(frozen=True, slots=True)
class Spans:
    """From when to when each of D deployments is written, and what is behind it."""

    start: Seconds
    end: Seconds
    """NaT in one of both: no dates and no photographs to take them from."""
    drawn: NDArray[np.bool_]
    """A date was missing and comes from photographs."""
    stretched: NDArray[np.bool_]
    doubtful: NDArray[np.bool_]
    """Times that count for nothing, or lie far outside the dates."""

    def of(self, chosen: NDArray[np.intp]) -> "Spans":
        """Those of some deployments."""
        return Spans(
            self.start[chosen], self.end[chosen], self.drawn[chosen], self.stretched[chosen], self.doubtful[chosen]
        )


def placed(deployments: Sequence[SurveyDeployment]) -> NDArray[np.bool_]:
    """Which deployments have coordinates on the globe, (D,)."""
    return np.array([_on_globe(item.location.latitude, item.location.longitude) for item in deployments], dtype=bool)


def spans(
    deployments: Sequence[SurveyDeployment], times: MediaTimes, kept: NDArray[np.intp], of_media: NDArray[np.intp]
) -> Spans:
    """Return the time that each deployment is written with; `of_media` (N,) is the deployment of each photograph.

    Dates of the table hold; a missing one is the first or last photograph. A date that photographs pass by up to a day
    is stretched to them, so that a deployment contains its media.
    """
    start = _moments([item.deployment.deployment_start for item in deployments])
    end = _moments([item.deployment.deployment_end for item in deployments])
    whole_day = np.array([item.deployment.end_is_date for item in deployments], dtype=bool)
    end = np.where(whole_day, end.astype("datetime64[D]").astype("datetime64[s]") + _LAST_SECOND, end)
    trusted = kept[times.trusted[kept]]
    place, moment = of_media[trusted], times.time[trusted]
    doubtful = np.zeros(len(deployments), dtype=bool)
    doubtful[of_media[kept[~times.trusted[kept]]]] = True
    with np.errstate(invalid="ignore"):
        outside = (moment < start[place] - _STRETCH) | (moment > end[place] + _STRETCH)
    doubtful[place[outside]] = True
    first, last = _extent(place[~outside], moment[~outside], len(deployments))
    any_first, any_last = _extent(of_media[kept], times.time[kept], len(deployments))
    drawn = np.isnat(start) | np.isnat(end)
    starts = np.where(np.isnat(start), np.where(np.isnat(first), any_first, first), start)
    ends = np.where(np.isnat(end), np.where(np.isnat(last), any_last, last), end)
    # A date that no photograph with a time to trust tells cannot contradict the one that is known.
    starts = np.where(np.isnat(start) & ~np.isnat(end), np.fmin(starts, end), starts)
    ends = np.where(np.isnat(end) & ~np.isnat(start), np.fmax(ends, start), ends)
    gone = np.isnat(any_first)
    starts[gone & np.isnat(start)] = NO_TIME
    ends[gone & np.isnat(end)] = NO_TIME
    stretched = (first < starts) | (last > ends)
    return Spans(np.fmin(starts, first), np.fmax(ends, last), drawn, stretched, doubtful)


def rows(
    deployments: Sequence[SurveyDeployment],
    written_spans: Spans,
    media: MediaColumns,
    kept: NDArray[np.intp],
    publication: Publication,
    zone: str,
    said: list[str],
) -> list[dict[str, Cell]]:
    """Return the rows of deployments.csv by column; `deployments` and spans are those that are written."""
    names = identifiers(item.deployment.deployment_id for item in deployments)
    places = identifiers(item.location.location_id for item in deployments)
    cameras = _cameras(media, kept)
    clocks = _clocks(deployments, media)
    unresolved = {name for name, (_, open_questions) in clocks.items() if open_questions}
    starts, ends = written(written_spans.start, zone), written(written_spans.end, zone)
    dropped: list[str] = []
    found: list[dict[str, Cell]] = []
    for number, item in enumerate(deployments):
        deployment, location = item.deployment, item.location
        carried = _carried(deployment, dropped)
        latitude, longitude = rounded(location.latitude, location.longitude, publication.coordinate_decimals)
        issues = (
            not publication.utc_offset
            or bool(written_spans.doubtful[number])
            or deployment.deployment_id in unresolved
            or carried.get("timestampIssues") is True
        )
        model, serial = cameras.get(deployment.deployment_id, (None, None))
        own: dict[str, Cell] = {
            "deploymentID": names[deployment.deployment_id],
            "locationID": places[location.location_id],
            "locationName": location.location_name,
            "latitude": latitude,
            "longitude": longitude,
            "coordinateUncertainty": _uncertainty(
                latitude, publication.coordinate_decimals, carried.get("coordinateUncertainty")
            ),
            "deploymentStart": starts[number],
            "deploymentEnd": ends[number],
            "cameraID": deployment.camera_id or serial,
            "cameraModel": deployment.camera_model or model,
            "timestampIssues": issues,
            "deploymentGroups": _joined(
                " | ", carried.get("deploymentGroups"), deployment.session and f"session:{deployment.session}"
            ),
            "deploymentComments": _joined(
                "; ",
                carried.get("deploymentComments"),
                *_comments(item, written_spans, number, *clocks.get(deployment.deployment_id, ((), False))),
            ),
        }
        found.append({name: {**carried, **own}.get(name) for name in DEPLOYMENTS})
    _tell(deployments, written_spans, names, unresolved, dropped, publication, said)
    return found


def rounded(latitude: float | None, longitude: float | None, decimals: int) -> tuple[float, float]:
    """Return coordinates rounded for publication, degrees; never a negative zero."""
    return round(latitude or 0.0, decimals) + 0.0, round(longitude or 0.0, decimals) + 0.0


def rounding_m(latitude: float, decimals: int) -> float:
    """Return how far rounding can have moved a place, metres: half the diagonal of the cell of equal rounded values.

    Lengths of a degree on the WGS84 ellipsoid, at the edge of the cell that is nearest the equator, where it is widest.
    """
    half = 0.5 * 10.0**-decimals
    edge = math.radians(max(0.0, abs(latitude) - half))
    curve = 1 - _ECCENTRICITY_2 * math.sin(edge) ** 2
    east = _EQUATOR_M / math.sqrt(curve) * math.cos(edge)
    # The meridian's radius is greatest at the pole; its value there is a bound for the whole cell.
    north = _EQUATOR_M / math.sqrt(1 - _ECCENTRICITY_2)
    return math.radians(half) * math.hypot(east, north)


def _on_globe(latitude: float | None, longitude: float | None) -> bool:
    return latitude is not None and longitude is not None and -90 <= latitude <= 90 and -180 <= longitude <= 180


def _uncertainty(latitude: float, decimals: int, given: Cell) -> Cell:
    stated = float(given) if isinstance(given, (int, float)) else 0.0
    # What was uncertain stays so, and lies within a circle around a point that was moved.
    hidden = rounding_m(latitude, decimals) if decimals < PLAIN_DECIMALS else 0.0
    return math.ceil(stated + hidden) or None


def _moments(moments: Sequence[datetime | None]) -> Seconds:
    return np.array([NO_TIME if moment is None else np.datetime64(moment, "s") for moment in moments], "datetime64[s]")


def _extent(place: NDArray[np.intp], moment: Seconds, size: int) -> tuple[Seconds, Seconds]:
    """First and last moment of each place, (size,); NaT where there is none."""
    first, last = np.full(size, NO_TIME), np.full(size, NO_TIME)
    np.fmin.at(first, place, moment)
    np.fmax.at(last, place, moment)
    return first, last


def _cameras(media: MediaColumns, kept: NDArray[np.intp]) -> dict[str, tuple[str | None, str | None]]:
    """Return (make-model, serial number) of each deployment whose photographs agree about them."""
    seen: dict[str, set[tuple[str | None, str | None, str | None]]] = {}
    for row in kept.tolist():
        facts = (media.camera_make[row], media.camera_model[row], media.camera_serial[row])
        seen.setdefault(media.deployment_id[row], set()).add(facts)
    found: dict[str, tuple[str | None, str | None]] = {}
    for deployment_id, cameras in seen.items():
        models = {"-".join(filter(None, (make, model))) for make, model, _ in cameras}
        serials = {serial for _, _, serial in cameras}
        found[deployment_id] = (
            (models.pop() or None) if len(models) == 1 else None,
            serials.pop() if len(serials) == 1 else None,
        )
    return found


def _clocks(
    deployments: Sequence[SurveyDeployment], media: MediaColumns
) -> dict[str, tuple[tuple[ClockPoint, ...], bool]]:
    """Return the clock points that hold for each deployment with any, and whether some could not be found."""
    files: dict[str, list[int]] = {
        item.deployment.deployment_id: []
        for item in deployments
        if item.deployment.clock or item.deployment.clock_references
    }
    if files:
        for row, deployment_id in enumerate(media.deployment_id):
            if deployment_id in files:
                files[deployment_id].append(row)
    found: dict[str, tuple[tuple[ClockPoint, ...], bool]] = {}
    for item in deployments:
        deployment = item.deployment
        if deployment.deployment_id in files:
            rows = files[deployment.deployment_id]
            paths = [media.file_path[row] for row in rows]
            points, told = points_of(deployment.clock, deployment.clock_references, paths, media.recorded[rows])
            found[deployment.deployment_id] = points, bool(told)
    return found


def _carried(deployment: Deployment, dropped: list[str]) -> dict[str, Cell]:
    """Return what further columns of the table say, as far as it satisfies the standard."""
    found: dict[str, Cell] = {}
    for name, text in deployment.columns:
        if name not in CARRIED:
            continue
        value = CARRIED[name].read(text)
        if value is None:
            dropped.append(f"{deployment.deployment_id}: {name} {text!r} is not {CARRIED[name].rule}")
        else:
            found[name] = value
    if found.get("cameraHeight") is not None and found.pop("cameraDepth", None) is not None:
        dropped.append(f"{deployment.deployment_id}: cameraDepth goes not together with cameraHeight")
    return found


def _comments(
    item: SurveyDeployment, spans: Spans, number: int, points: Sequence[ClockPoint], unresolved: bool
) -> list[str]:
    deployment = item.deployment
    comments = [_outage(outage) for outage in deployment.outages]
    comments += [
        f"clock corrected: {point.recorded:%Y-%m-%d %H:%M:%S} on the camera was {point.actual:%Y-%m-%d %H:%M:%S}"
        for point in points
    ]
    if unresolved:
        comments.append("clock not corrected for every reference")
    if spans.drawn[number]:
        comments.append("dates from the first or last photograph")
    if spans.stretched[number]:
        comments.append("dates stretched to the photographs")
    if spans.doubtful[number]:
        comments.append("some photographs have times that are not to be trusted")
    if deployment.flag:
        comments.append(f"to check: {deployment.flag}")
    return comments


def _outage(outage: Outage) -> str:
    layout = "%Y-%m-%d" if outage.is_date else "%Y-%m-%d %H:%M:%S"
    note = f" ({outage.note})" if outage.note else ""
    return f"not working {outage.start:{layout}} to {outage.end:{layout}}{note}"


def _joined(separator: str, *parts: Cell) -> Cell:
    return separator.join(str(part) for part in parts if part) or None


def _tell(
    deployments: Sequence[SurveyDeployment],
    spans: Spans,
    names: Mapping[str, str],
    unresolved: set[str],
    dropped: Sequence[str],
    publication: Publication,
    said: list[str],
) -> None:
    """Say what was assumed, rounded and left out of the table."""
    ids = [item.deployment.deployment_id for item in deployments]

    def those(which: NDArray[np.bool_]) -> str:
        return f"{counted(int(which.sum()), 'deployment')} ({listed(ids[row] for row in np.flatnonzero(which))})"

    if spans.drawn.any():
        said.append(
            f"{those(spans.drawn)} without deploymentStart or deploymentEnd: taken from the first or last photograph"
        )
    if spans.stretched.any():
        said.append(f"{those(spans.stretched)} with dates stretched to contain their photographs")
    if spans.doubtful.any():
        said.append(f"{those(spans.doubtful)} with times that cannot be trusted: timestampIssues = true")
    if unresolved:
        said.append(
            f"{counted(len(unresolved), 'deployment')} ({listed(unresolved)}) with clock references"
            " that could not be used: timestampIssues = true"
        )
    if not publication.utc_offset:
        said.append(
            "the cameras' offset from UTC is not known: times are the cameras' own with Z behind them and timestampIssues ="
            " true everywhere; set deployments.utc_offset"
        )
    if publication.coordinate_decimals < PLAIN_DECIMALS:
        said.append(
            f"coordinates rounded to {counted(publication.coordinate_decimals, 'decimal')};"
            " coordinateUncertainty says what that hides"
        )
    days = np.array([item.deployment.start_is_date or item.deployment.end_is_date for item in deployments], dtype=bool)
    if days.any():
        said.append(f"{those(days)} with dates without a time: written from 00:00:00 to 23:59:59")
    renamed = sorted(text for text, name in names.items() if text != name)
    if renamed:
        said.append(
            f"{counted(len(renamed), 'deploymentID')} written with a mark"
            f" ({listed(names[text] for text in renamed)}), for readers would take them as missing or as a formula"
        )
    if dropped:
        said.append(f"{counted(len(dropped), 'cell')} of the deployments table left out: {listed(dropped)}")
    others = sorted({name for item in deployments for name, _ in item.deployment.columns if name not in CARRIED})
    if others:
        said.append(f"columns of the deployments table that Camtrap DP has no place for left out: {listed(others, 10)}")
