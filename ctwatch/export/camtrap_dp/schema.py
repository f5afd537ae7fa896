"""Camtrap DP 1.0.2 as constants: columns in their order, vocabularies, what a cell may hold.

Source: the table schemas and the profile of tdwg/camtrap-dp 1.0.2.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from ctwatch.export.files import Cell

VERSION = "1.0.2"
BASE = f"https://raw.githubusercontent.com/tdwg/camtrap-dp/{VERSION}"
PROFILE = f"{BASE}/camtrap-dp-profile.json"
TABLES = ("deployments", "media", "observations")

DEPLOYMENTS = (
    "deploymentID",
    "locationID",
    "locationName",
    "latitude",
    "longitude",
    "coordinateUncertainty",
    "deploymentStart",
    "deploymentEnd",
    "setupBy",
    "cameraID",
    "cameraModel",
    "cameraDelay",
    "cameraHeight",
    "cameraDepth",
    "cameraTilt",
    "cameraHeading",
    "detectionDistance",
    "timestampIssues",
    "baitUse",
    "featureType",
    "habitat",
    "deploymentGroups",
    "deploymentTags",
    "deploymentComments",
)
MEDIA = (
    "mediaID",
    "deploymentID",
    "captureMethod",
    "timestamp",
    "filePath",
    "filePublic",
    "fileName",
    "fileMediatype",
    "exifData",
    "favorite",
    "mediaComments",
)
OBSERVATIONS = (
    "observationID",
    "deploymentID",
    "mediaID",
    "eventID",
    "eventStart",
    "eventEnd",
    "observationLevel",
    "observationType",
    "cameraSetupType",
    "scientificName",
    "count",
    "lifeStage",
    "sex",
    "behavior",
    "individualID",
    "individualPositionRadius",
    "individualPositionAngle",
    "individualSpeed",
    "bboxX",
    "bboxY",
    "bboxWidth",
    "bboxHeight",
    "classificationMethod",
    "classifiedBy",
    "classificationTimestamp",
    "classificationProbability",
    "observationTags",
    "observationComments",
)

MISSING = frozenset({"", "NA", "NaN", "nan"})
"""Cells that every reader takes as empty."""
PLAIN_DECIMALS = 6
"""From this many decimals of a degree on, rounding hides nothing: 0.1 m."""
CAPTURE_METHODS = ("activityDetection", "timeLapse")
SAMPLING_DESIGNS = (
    "simpleRandom",
    "systematicRandom",
    "clusteredRandom",
    "experimental",
    "targeted",
    "opportunistic",
)
ROLES = ("contact", "principalInvestigator", "rightsHolder", "publisher", "contributor")
FEATURE_TYPES = (
    "roadPaved",
    "roadDirt",
    "trailHiking",
    "trailGame",
    "roadUnderpass",
    "roadOverpass",
    "roadBridge",
    "culvert",
    "burrow",
    "nestSite",
    "carcass",
    "waterSource",
    "fruitingTree",
)

_NUMBER = re.compile(r"[+-]?\d{1,15}(?:\.\d{1,15})?", re.ASCII)
_TRUE = frozenset({"true", "yes", "1"})
_FALSE = frozenset({"false", "no", "0"})


@dataclass(frozen=True, slots=True)
class Carried:
    """A column of deployments that a table's text is carried into, if the text satisfies the standard."""

    read: Callable[[str], Cell]
    """None where it does not."""
    rule: str
    """What it must be, for messages."""


def _text(text: str) -> Cell:
    return None if text in MISSING else text


def _number(minimum: float, maximum: float, *, whole: bool) -> Carried:
    def read(text: str) -> Cell:
        if not _NUMBER.fullmatch(text.strip()):
            return None
        value = float(text)
        fits = minimum <= value <= maximum and (not whole or value.is_integer())
        return value if fits else None

    limits = f"from {minimum:g}" if maximum == float("inf") else f"{minimum:g} to {maximum:g}"
    return Carried(read, f"a {'whole ' if whole else ''}number {limits}")


def _truth(text: str) -> Cell:
    word = text.strip().lower()
    return True if word in _TRUE else False if word in _FALSE else None


def _feature(text: str) -> Cell:
    return next((name for name in FEATURE_TYPES if name.lower() == text.strip().lower()), None)


_ANY = Carried(_text, "text")
_BOOLEAN = Carried(_truth, "true or false")
_UNBOUNDED = float("inf")
CARRIED = {
    "coordinateUncertainty": _number(1, _UNBOUNDED, whole=True),
    "setupBy": _ANY,
    "cameraDelay": _number(0, _UNBOUNDED, whole=True),
    "cameraHeight": _number(0, _UNBOUNDED, whole=False),
    "cameraDepth": _number(0, _UNBOUNDED, whole=False),
    "cameraTilt": _number(-90, 90, whole=True),
    "cameraHeading": _number(0, 360, whole=True),
    "detectionDistance": _number(0, _UNBOUNDED, whole=False),
    "timestampIssues": _BOOLEAN,
    "baitUse": _BOOLEAN,
    "featureType": Carried(_feature, f"one of {', '.join(FEATURE_TYPES)}"),
    "habitat": _ANY,
    "deploymentGroups": _ANY,
    "deploymentTags": _ANY,
    "deploymentComments": _ANY,
}
"""Columns of a deployments table that ctwatch itself has no use for, with what the schema asks of them."""
