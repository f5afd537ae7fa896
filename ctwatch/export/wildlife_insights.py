"""Wildlife Insights: the four tables of its bulk upload, as far as a survey can fill them."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from ctwatch.domain import BLANK, CaptureMethod
from ctwatch.export import frames
from ctwatch.export.camtrap_dp.deployments import rounded
from ctwatch.export.files import Cell, write_csv
from ctwatch.export.frames import ANIMAL, HUMAN, UNKNOWN, VEHICLE, label
from ctwatch.export.taxon_ranks import HUMAN as HUMAN_RANKS
from ctwatch.export.taxon_ranks import Ranks, ranks_of
from ctwatch.export.written import Written, counted, listed
from ctwatch.names import file_name_part
from ctwatch.survey import ObservationColumns, Publication, Survey, SurveyDeployment

PROJECTS = (
    "project_name", "project_id", "project_short_name", "project_objectives", "project_species",
    "project_species_individual", "project_sensor_layout", "project_sensor_layout_targeted_type", "project_bait_use",
    "project_bait_type", "project_stratification", "project_stratification_type", "project_sensor_method",
    "project_individual_animals", "project_blank_images", "project_sensor_cluster", "project_admin",
    "project_admin_email", "country_code", "embargo", "initiative_id", "metadata_license", "image_license",
)  # fmt: skip
CAMERAS = ("project_id", "camera_id", "make", "model", "serial_number", "year_purchased")
DEPLOYMENTS = (
    "project_id", "deployment_id", "subproject_name", "subproject_design", "placename", "longitude", "latitude",
    "start_date", "end_date", "event_name", "event_description", "event_type", "bait_type", "bait_description",
    "feature_type", "feature_type_methodology", "camera_id", "quiet_period", "camera_functioning", "sensor_height",
    "height_other", "sensor_orientation", "orientation_other", "recorded_by",
)  # fmt: skip
IMAGES = (
    "project_id", "deployment_id", "image_id", "location", "identified_by", "wi_taxon_id", "class", "order", "family",
    "genus", "species", "common_name", "uncertainty", "timestamp", "number_of_objects", "highlighted", "age", "sex",
    "animal_recognizable", "individual_id", "individual_animal_notes", "markings",
)  # fmt: skip
_LAYOUTS = {
    "simpleRandom": "Randomized",
    "systematicRandom": "Systematic",
    "clusteredRandom": "Randomized",
    "targeted": "Targeted",
    "opportunistic": "Convenience",
}
"""Camtrap DP samplingDesign to project_sensor_layout; an experiment has no counterpart."""
_FEATURES = {
    "roadPaved": "Road paved", "roadDirt": "Road dirt", "trailHiking": "Trail hiking", "trailGame": "Trail game",
    "roadUnderpass": "Road underpass", "roadOverpass": "Road overpass", "roadBridge": "Road bridge", "culvert": "Culvert",
    "burrow": "Burrow", "nestSite": "Nest site", "carcass": "Carcass", "waterSource": "Water source",
    "fruitingTree": "Fruiting tree",
}  # fmt: skip
"""Camtrap DP featureType to Wildlife Insights'."""
_METADATA_LICENCES, _IMAGE_LICENCES = ("CC0", "CC-BY"), ("CC0", "CC-BY", "CC-BY-NC")
_CONTRIBUTOR = re.compile(r"\s*(?P<name>[^<(]*?)\s*(?:<(?P<mail>[^>]*)>)?\s*(?:\((?P<role>[^)]*)\))?\s*")
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_MACHINE = "Computer vision"
_BY_HAND = (
    "project_bait_use", "project_stratification", "project_individual_animals", "project_sensor_cluster", "embargo",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Kind:
    """What Wildlife Insights calls something that is no named animal."""

    taxon_id: str
    common_name: str
    ranks: Ranks = Ranks()


_KINDS = {
    BLANK: _Kind("f1856211-cfb7-4a5b-9158-c0f72fd09ee6", "Blank"),
    ANIMAL: _Kind("1f689929-883d-4dae-958c-3d57ab5b6c16", "Animal"),
    HUMAN: _Kind("990ae9dd-7a59-4344-afcb-1b7b21368000", "Human", HUMAN_RANKS),
    VEHICLE: _Kind("e2895ed5-780b-48f6-8a11-9e27cb594511", "Vehicle"),
    UNKNOWN: _Kind("f2efdae9-efb8-48fb-8a91-eccf79ab4ffb", "No CV Result"),
}
"""Identifiers of Wildlife Insights' taxonomy, as SpeciesNet carries them."""


def write(folder: Path, survey: Survey, publication: Publication) -> Written:
    """Write `projects.csv`, `cameras.csv`, `deployments.csv` and `images.csv` (Wildlife Insights batch upload).

    An image has a row for each thing that is on it. What is not known is empty, as the upload has it; cells that it
    requires and a survey cannot tell are named in the sentences. Times are the camera's own, corrected.
    """
    said: list[str] = []
    project_id = file_name_part(publication.title)
    cameras = _Cameras(survey)
    images = list(_images(survey, publication, project_id, said))
    deployments = survey.deployments
    project = _project(survey, publication, project_id, said)
    tables: dict[str, tuple[Sequence[str], list[Sequence[Cell]]]] = {
        "projects.csv": (PROJECTS, [[project.get(name) for name in PROJECTS]]),
        "cameras.csv": (CAMERAS, cameras.rows(project_id, deployments)),
        "deployments.csv": (DEPLOYMENTS, [_deployment(item, publication, project_id, cameras) for item in deployments]),
        "images.csv": (IMAGES, images),
    }
    _tell(deployments, publication, cameras, said)
    paths = []
    for name, (header, rows) in tables.items():
        write_csv(folder / name, header, rows)
        paths.append(folder / name)
    return Written(tuple(paths), tuple(said))


class _Cameras:
    """Which camera each deployment used: the table's, else the serial number in the photographs, else one of its own."""

    def __init__(self, survey: Survey) -> None:
        media = survey.media
        seen: dict[str, Counter[tuple[str | None, str | None, str | None]]] = {}
        for facts in zip(media.deployment_id, media.camera_make, media.camera_model, media.camera_serial, strict=True):
            if any(facts[1:]):
                seen.setdefault(facts[0], Counter())[facts[1:]] += 1
        self._facts = {key: max(found, key=lambda facts: (found[facts], str(facts))) for key, found in seen.items()}
        self.made_up: list[str] = []

    def name(self, item: SurveyDeployment) -> str:
        """Return the camera's id."""
        deployment = item.deployment
        return deployment.camera_id or self._of(deployment.deployment_id)[2] or f"camera of {deployment.deployment_id}"

    def rows(self, project_id: str, deployments: Sequence[SurveyDeployment]) -> list[Sequence[Cell]]:
        """Return a row for each camera, sorted by id."""
        found: dict[str, Sequence[Cell]] = {}
        for item in deployments:
            make, model, serial = self._of(item.deployment.deployment_id)
            name = self.name(item)
            if not item.deployment.camera_id and not serial:
                self.made_up.append(name)
            found.setdefault(name, (project_id, name, make, item.deployment.camera_model or model, serial, None))
        return [found[name] for name in sorted(found)]

    def _of(self, deployment_id: str) -> tuple[str | None, str | None, str | None]:
        return self._facts.get(deployment_id, (None, None, None))


def _project(survey: Survey, publication: Publication, project_id: str, said: list[str]) -> dict[str, Cell]:
    name, mail = _admin(publication.contributors)
    data, media = publication.data_licence, publication.media_licence
    methods = set(survey.media.capture_method)
    found: dict[str, Cell] = {
        "project_name": publication.title,
        "project_id": project_id,
        "project_short_name": project_id,
        "project_objectives": publication.description,
        "project_species": "Multiple",
        "project_sensor_layout": _LAYOUTS.get(publication.sampling_design),
        "project_sensor_method": {
            frozenset({str(CaptureMethod.ACTIVITY_DETECTION)}): "Sensor Detection",
            frozenset({str(CaptureMethod.TIME_LAPSE)}): "Time Lapse",
        }.get(frozenset(methods), "Both" if methods else None),
        "project_blank_images": "No",  # none were removed
        "project_admin": name,
        "project_admin_email": mail,
        "country_code": publication.country,
        "metadata_license": _licence(data, _METADATA_LICENCES),
        "image_license": _licence(media, _IMAGE_LICENCES),
    }
    asked = ("project_objectives", "project_sensor_layout", "project_sensor_method", "project_admin", "project_admin_email",
             "country_code", "metadata_license", "image_license")  # fmt: skip
    empty = [*(column for column in asked if not found[column]), *_BY_HAND]
    said.append(f"projects.csv: to be filled in by hand before the upload: {', '.join(empty)}")
    for given, written in ((data, found["metadata_license"]), (media, found["image_license"])):
        if given and not written:
            said.append(f"licence {given!r} is none that Wildlife Insights takes there; left empty")
    return found


def _deployment(item: SurveyDeployment, publication: Publication, project_id: str, cameras: _Cameras) -> Sequence[Cell]:
    deployment, location = item.deployment, item.location
    columns = dict(deployment.columns)
    start, end = _span(item)
    north: float | None = None
    east: float | None = None
    if location.latitude is not None and location.longitude is not None:
        north, east = rounded(location.latitude, location.longitude, publication.coordinate_decimals)
    bait = columns.get("baitUse", "").lower()
    feature = columns.get("featureType", "")
    height = columns.get("cameraHeight", "")
    own: dict[str, Cell] = {
        "project_id": project_id,
        "deployment_id": deployment.deployment_id,
        "placename": location.location_name or location.location_id,
        "longitude": east,
        "latitude": north,
        "start_date": _text(start),
        "end_date": _text(end),
        "event_name": deployment.session,
        "camera_id": cameras.name(item),
        "camera_functioning": "Unknown Failure" if deployment.outages else "Camera Functioning",
    }
    from_columns: dict[str, Cell] = {
        "bait_type": "None" if bait == "false" else None,
        "feature_type": _FEATURES.get(feature, "Other" if feature else None),
        "sensor_height": "Other" if height else None,
        "height_other": f"{height} m" if height else None,
        "recorded_by": columns.get("setupBy"),
        # Columns of the table that have Wildlife Insights' own names hold.
        **{name: columns[name] for name in DEPLOYMENTS if name in columns},
    }
    return [own.get(name) if own.get(name) is not None else from_columns.get(name) for name in DEPLOYMENTS]


def _images(survey: Survey, publication: Publication, project_id: str, said: list[str]) -> Iterator[Sequence[Cell]]:
    media, observations = survey.media, survey.observations
    kept = frames.shown(survey, publication, said).tolist()
    paths = frames.frame_paths(media, said)
    told = frames.told(survey, frames.levels(observations))
    times = frames.clock_texts(media.timestamp)
    names: dict[str, tuple[Cell, ...]] = {}
    counts: Counter[str] = Counter()
    for row in kept:
        if media.failure[row] is not None or times[row] is None:
            counts["unusable" if media.failure[row] is not None else "untimed"] += 1
            continue
        counts["of_event"] += told[row].of_event
        counts["unidentified"] += not told[row].rows
        for number in told[row].rows or (None,):
            name = UNKNOWN if number is None else label(observations, number)
            if name not in names:
                names[name] = _taxon(name, publication)
            count = None if number is None else observations.count[number]
            if name not in (BLANK, UNKNOWN) and count is None:
                counts["counted"] += 1
                count = 1
            yield (
                project_id,
                media.deployment_id[row],
                media.media_id[row],
                paths[row],
                _identified_by(observations, number),
                *names[name],
                None,
                times[row],
                0 if name == BLANK else count,
                *(None,) * 7,
            )
    unusable = counts["unusable"] + len({(file.card_name, file.file_path) for file in survey.failed} - _keys(survey))
    sentences = {
        f"{counted(unusable, 'file')} that could not be used left out": unusable,
        f"{counted(counts['untimed'], 'photograph')} without a time left out: the upload requires a timestamp": counts[
            "untimed"
        ],
        f"{counted(counts['unidentified'], 'photograph')} that nobody and nothing looked at, as 'No CV Result'": counts[
            "unidentified"
        ],
        f"{counted(counts['of_event'], 'photograph')} with what was said of their event": counts["of_event"],
        f"{counted(counts['counted'], 'row')} without a count, written with number_of_objects 1": counts["counted"],
    }
    said += [sentence for sentence, count in sentences.items() if count]
    without = sorted(name for name, cells in names.items() if not cells[0])
    if without:
        said.append(
            f"{counted(len(without), 'name')} without wi_taxon_id ({listed(without)}): put Wildlife Insights' identifier as"
            " taxonID into the taxa table, or match them at the upload"
        )
    said.append(
        "images.csv: location is the path below the inbox; Wildlife Insights asks for the image's address in a cloud bucket"
    )


def _identified_by(observations: ObservationColumns, number: int | None) -> str | None:
    """Return the person, or a model's name behind the word that Wildlife Insights knows a machine by."""
    if number is None:
        return _MACHINE
    name = observations.classified_by[number]
    return name if observations.classification_method[number] == "human" else f"{_MACHINE}: {name}"


def _keys(survey: Survey) -> set[tuple[str, str]]:
    return set(zip(survey.media.card_name, survey.media.file_path, strict=True))


def _taxon(name: str, publication: Publication) -> tuple[Cell, ...]:
    """Return wi_taxon_id, class, order, family, genus, species and common_name."""
    kind = _KINDS.get(name)
    if kind is not None:
        ranks = kind.ranks
        return (
            kind.taxon_id, ranks.class_name, ranks.order, ranks.family, ranks.genus, ranks.epithet, kind.common_name,
        )  # fmt: skip
    taxon, ranks = ranks_of(name, publication.taxa)
    identifier = taxon.taxon_id.lower() if _UUID.fullmatch(taxon.taxon_id) else ""
    # A name that gave no ranks must not be lost.
    common = taxon.vernacular_name or ("" if any((ranks.genus, ranks.family, ranks.order, ranks.class_name)) else name)
    return (identifier, ranks.class_name, ranks.order, ranks.family, ranks.genus, ranks.epithet, common)


def _span(item: SurveyDeployment) -> tuple[datetime | None, datetime | None]:
    """Return when a deployment began and ended; days are whole, and missing ones its first and last photograph."""
    deployment = item.deployment
    start, end = deployment.deployment_start, deployment.deployment_end
    if end is not None and deployment.end_is_date:
        end = end.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1, seconds=-1)
    return start or item.first_media, end or item.last_media


def _tell(
    deployments: Sequence[SurveyDeployment], publication: Publication, cameras: _Cameras, said: list[str]
) -> None:
    nowhere = [
        item.deployment.deployment_id
        for item in deployments
        if item.location.latitude is None or item.location.longitude is None
    ]
    drawn: list[str] = []
    undated: list[str] = []
    for item in deployments:
        if item.deployment.deployment_start is None or item.deployment.deployment_end is None:
            (undated if None in _span(item) else drawn).append(item.deployment.deployment_id)
    failing = [item.deployment.deployment_id for item in deployments if item.deployment.outages]
    if nowhere:
        said.append(
            f"{counted(len(nowhere), 'deployment')} without coordinates ({listed(nowhere)}); the upload requires them"
        )
    if drawn:
        said.append(
            f"{counted(len(drawn), 'deployment')} with dates from the first or last photograph ({listed(drawn)})"
        )
    if undated:
        said.append(
            f"{counted(len(undated), 'deployment')} without a start or end ({listed(undated)}); the upload requires them"
        )
    if failing:
        said.append(
            f"{counted(len(failing), 'deployment')} with times in which the camera did not work ({listed(failing)}):"
            " camera_functioning is 'Unknown Failure', and its days between are lost here"
        )
    if cameras.made_up:
        said.append(f"{counted(len(cameras.made_up), 'camera')} without an id, named after the deployment")
    if publication.coordinate_decimals < 6:
        said.append(f"coordinates rounded to {counted(publication.coordinate_decimals, 'decimal')}")


def _admin(contributors: Sequence[str]) -> tuple[str | None, str | None]:
    """Return name and mail of the contact, else of the first contributor."""
    people = [found for text in contributors if (found := _CONTRIBUTOR.fullmatch(text)) and found["name"]]
    chosen = next(
        (found for found in people if (found["role"] or "").strip() == "contact"), people[0] if people else None
    )
    return (None, None) if chosen is None else (chosen["name"], chosen["mail"])


def _licence(text: str, allowed: Sequence[str]) -> str | None:
    """Return Wildlife Insights' name of a licence, whatever its version; None where it takes no such."""
    plain = re.sub(r"-\d+(\.\d+)*$", "", text.strip().upper().replace(" ", "-"))
    return plain if plain in allowed else None


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"
