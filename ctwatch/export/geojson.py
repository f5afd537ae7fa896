"""GeoJSON of the places: what a map shows of a survey."""

from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from ctwatch.export.camtrap_dp.deployments import rounded, rounding_m
from ctwatch.export.frames import ANIMAL
from ctwatch.export.json_files import write_json
from ctwatch.export.written import Written, counted, listed
from ctwatch.survey import Publication, Survey, SurveyDeployment

FILE_NAME = "survey.geojson"


def write(folder: Path, survey: Survey, publication: Publication) -> Written:
    """Write `survey.geojson` (RFC 7946): one point for each place, longitude first, WGS84, rounded as published.

    `species` gives the days with a detection, event by event and naive: nothing corrects for what was there and not
    seen, or for how long was looked. Places without coordinates have a geometry of null.
    """
    said: list[str] = []
    places: dict[str, list[SurveyDeployment]] = {}
    for item in survey.deployments:
        places.setdefault(item.location.location_id, []).append(item)
    days = _effort(survey)
    seen = _seen(survey)
    events = _events(survey)
    features: list[dict[str, Any]] = []
    nowhere: list[str] = []
    guessed: list[str] = []
    for location_id in sorted(places):
        items = places[location_id]
        geometry, uncertainty = _point(items, publication)
        if geometry is None:
            nowhere.append(location_id)
        worked, first, last, assumed = days.get(location_id, (None, None, None, False))
        if assumed:
            guessed.append(location_id)
        first, last = first or _first(items), last or _last(items)
        features.append(
            {
                "type": "Feature",
                "id": location_id,
                "geometry": geometry,
                "properties": {
                    "locationID": location_id,
                    "locationName": next(
                        (item.location.location_name for item in items if item.location.location_name), None
                    ),
                    "coordinateUncertaintyInMeters": uncertainty,
                    "deployments": sorted(item.deployment.deployment_id for item in items),
                    "media": sum(item.media_count for item in items),
                    "cameraDays": None if worked is None else round(worked, 2),
                    "effortAssumed": assumed,
                    "firstDate": first and first.isoformat(),
                    "lastDate": last and last.isoformat(),
                    "events": events[location_id],
                    "species": dict(sorted(seen.get(location_id, Counter()).items())),
                },
            }
        )
    if nowhere:
        said.append(f"{counted(len(nowhere), 'place')} without coordinates ({listed(nowhere)}): geometry is null")
    if publication.coordinate_decimals < 6:
        said.append(
            f"coordinates rounded to {counted(publication.coordinate_decimals, 'decimal')};"
            " coordinateUncertaintyInMeters says what that hides"
        )
    if guessed:
        said.append(
            f"{counted(len(guessed), 'place')} with camera-days from the first to the last photograph, for want of dates"
            f" ({listed(guessed)})"
        )
    said.append("species: days with a detection, naive; people, vehicles, unknown and unnamed animals are not in it")
    path = folder / FILE_NAME
    write_json(path, {"type": "FeatureCollection", "name": publication.title, "features": features})
    return Written((path,), tuple(said))


def _point(items: list[SurveyDeployment], publication: Publication) -> tuple[dict[str, Any] | None, float | None]:
    """Return the point of a place and how uncertain it is in metres; None twice where it has no coordinates."""
    for item in items:
        latitude, longitude = item.location.latitude, item.location.longitude
        if latitude is not None and longitude is not None and abs(latitude) <= 90 and abs(longitude) <= 180:
            north, east = rounded(latitude, longitude, publication.coordinate_decimals)
            uncertainty = float(np.ceil(rounding_m(north, publication.coordinate_decimals)))
            return {"type": "Point", "coordinates": [east, north]}, uncertainty
    return None, None


def _effort(survey: Survey) -> dict[str, tuple[float, date | None, date | None, bool]]:
    """Camera-days, first and last day with a camera set up, and whether any was assumed, by place."""
    effort = survey.effort
    found: dict[str, tuple[float, date | None, date | None, bool]] = {}
    days: list[date] = effort.day.astype("datetime64[D]").tolist()
    for location_id, day, worked, assumed in zip(
        effort.location_id, days, effort.camera_days.tolist(), effort.assumed.tolist(), strict=True
    ):
        total, first, last, guessed = found.get(location_id, (0.0, None, None, False))
        found[location_id] = (total + worked, min(first or day, day), max(last or day, day), guessed or assumed)
    return found


def _rows_that_count(survey: Survey) -> list[int]:
    """Return the rows of level event, and those of time-lapse frames, which have no event: nothing is seen twice."""
    observations = survey.observations
    return [
        row
        for row, (level, event_id) in enumerate(zip(observations.level, observations.event_id, strict=True))
        if level == "event" or event_id is None
    ]


def _seen(survey: Survey) -> dict[str, Counter[str]]:
    """Return days with a detection of each species, by place; events without a time to trust do not count."""
    observations = survey.observations
    places = {item.deployment.deployment_id: item.location.location_id for item in survey.deployments}
    days = observations.event_start.astype("datetime64[D]").tolist()
    found = {
        (places.get(observations.deployment_id[row]), observations.scientific_name[row], days[row])
        for row in _rows_that_count(survey)
        if observations.observation_type[row] == ANIMAL and observations.scientific_name[row] and days[row] is not None
    }
    counts: dict[str, Counter[str]] = {}
    for location_id, name, _ in found:
        if location_id is not None and name is not None:
            counts.setdefault(location_id, Counter())[name] += 1
    return counts


def _events(survey: Survey) -> Counter[str]:
    """Return the number of events by place, blank ones too."""
    places = {item.deployment.deployment_id: item.location.location_id for item in survey.deployments}
    media = survey.media
    pairs = {
        (places[deployment_id], event_id)
        for deployment_id, event_id in zip(media.deployment_id, media.event_id, strict=True)
        if event_id is not None and deployment_id in places
    }
    return Counter(location_id for location_id, _ in pairs)


def _first(items: list[SurveyDeployment]) -> date | None:
    return min((item.first_media.date() for item in items if item.first_media is not None), default=None)


def _last(items: list[SurveyDeployment]) -> date | None:
    return max((item.last_media.date() for item in items if item.last_media is not None), default=None)
