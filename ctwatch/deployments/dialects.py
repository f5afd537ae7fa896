"""Column names of deployments tables: whose they are, what they mean, and what looks like a slip of the pen."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

CAMTRAP_DP = (
    "deploymentID", "locationID", "locationName", "latitude", "longitude", "coordinateUncertainty", "deploymentStart",
    "deploymentEnd", "setupBy", "cameraID", "cameraModel", "cameraDelay", "cameraHeight", "cameraDepth", "cameraTilt",
    "cameraHeading", "detectionDistance", "timestampIssues", "baitUse", "featureType", "habitat", "deploymentGroups",
    "deploymentTags", "deploymentComments",
)  # fmt: skip
"""Columns of Camtrap DP 1.0.2's deployments table."""
FEATURE_TYPES = (
    "roadPaved", "roadDirt", "trailHiking", "trailGame", "roadUnderpass", "roadOverpass", "roadBridge", "culvert",
    "burrow", "nestSite", "carcass", "waterSource", "fruitingTree",
)  # fmt: skip
_RANGES: Mapping[str, tuple[float, float, bool]] = {
    "coordinateUncertainty": (1, float("inf"), True),
    "cameraDelay": (0, float("inf"), True),
    "cameraHeight": (0, float("inf"), False),
    "cameraDepth": (0, float("inf"), False),
    "cameraTilt": (-90, 90, True),
    "cameraHeading": (0, 360, True),
    "detectionDistance": (0, float("inf"), False),
}
"""Least, most, whole numbers only (Camtrap DP 1.0.2 deployments-table-schema.json)."""
_OWN = ("folder", "session", "clockOffset", "clockOffsetEnd", "sign")
_ALIASES: Mapping[str, tuple[str, ...]] = {
    "deploymentID": ("deployment", "deploymentname"),
    "locationID": ("station", "stationid", "site", "siteid", "location"),
    "locationName": ("placename", "sitename", "stationname"),
    "latitude": ("lat", "decimallatitude", "gpsy"),
    "longitude": ("lon", "long", "lng", "decimallongitude", "gpsx"),
    "deploymentStart": (
        "start", "setupdate", "setup", "startdate", "deploymentstartdate", "deploymentstartdatetime",
    ),
    "deploymentEnd": (
        "end", "retrievaldate", "retrieval", "enddate", "deploymentenddate", "deploymentenddatetime",
    ),
    "setupBy": ("recordedby",),
    "cameraID": ("camera",),
    "deploymentTags": ("tags",),
    "deploymentComments": ("comments", "notes"),
    "session": ("sessionid",),
    "clockOffset": ("timeshift",),
}  # fmt: skip
"""What other programs call them: camtrapR (Station, Setup_date ...; timeShiftTable), Wildlife Insights (placename,
start_date ...), Camtrap DP before 1.0 (start, tags ...), Camelot (gps_x), AddaxAI (folder, site, notes), RCSC."""
_FROM_WILDLIFE_INSIGHTS = {"baittype", "featuretype", "sensorheight", "quietperiod"}
"""Columns of Wildlife Insights whose values another column of Camtrap DP takes; kept word for word beside it."""
_PLAIN = {
    "projectid", "placename", "baitdescription", "featuretypemethodology", "cameraname", "camerafunctioning",
    "heightother", "sensororientation", "orientationother", "plottreatment", "plottreatmentdescription",
    "subprojectname", "subprojectdesign", "eventname", "eventdescription", "eventtype", "cameras", "camerainterval",
    "utmx", "utmy", "altitude", "elevation", "coordinates",
} | _FROM_WILDLIFE_INSIGHTS  # fmt: skip
"""Words of the field that are columns of nobody's deployment but no slips of the pen either: covariates."""
_OF_OTHER_TABLES: Mapping[str, str] = {
    "datetimeoriginal": "camtrapR's table of records",
    "mediaid": "Camtrap DP's table of media or observations",
    "observationid": "Camtrap DP's table of observations",
    "imageid": "Wildlife Insights' table of images",
    "relativepath": "Timelapse's table of photographs",
}
"""Columns that no table of deployments has, and whose they are."""
_NUMBERED = re.compile(r"(outage|problem)(\d*)(from|start|to|end|note)")
_REFERENCE = re.compile(r"reference(photo|time)(\d*)")
_NEARLY_NUMBERED = re.compile(
    r"(outage|problem)s?\d*(f[a-z]*|t[a-z]{0,2}|date[a-z]*)|(outage|problem)\d+.*|referen[a-z]*(photo|time|image).*"
)
_ALIKE = 0.87
_LEAST_LENGTH = 6

_KNOWN: dict[str, str] = {name.lower(): name for name in (*CAMTRAP_DP, *_OWN)}
_KNOWN |= {alias: name for name, aliases in _ALIASES.items() for alias in aliases}


@dataclass(frozen=True, slots=True)
class Column:
    """What a column of the table is."""

    header: str
    """As the table has it."""
    name: str | None = None
    """Camtrap DP's or our own name; None for a covariate."""
    series: str | None = None
    """outage, problem, referencephoto or referencetime: columns that come numbered; `number` and `part` say which."""
    number: int = 0
    part: str = ""


@dataclass(frozen=True, slots=True)
class Dialect:
    """Whose names a table uses, for people."""

    words: str
    has_ids: bool
    """Rows carry a deployment id."""
    is_folder_list: bool = False
    """Rows are folders, and named after them."""


def plain(header: str) -> str:
    """Return a header without what spelling varies in: capitals, underscores, spaces, dots and hyphens."""
    return re.sub(r"[\s_.\-]+", "", header.strip().lower())


def columns(header: Sequence[str], place: str) -> tuple[list[Column], Dialect, list[str], list[str]]:
    """Recognise each column of a header: (columns, dialect, problems, notes); `place` is file and line for sentences."""
    problems: list[str] = []
    notes: list[str] = []
    keys = [plain(cell) for cell in header]
    if other := next((_OF_OTHER_TABLES[key] for key in keys if key in _OF_OTHER_TABLES), None):
        told = f"{place}: this is {other}; give the one with a line for each camera from setup to retrieval"
        return [], _dialect(set(keys), {}), [told], []
    problems += [
        f"{place}: column {header[at].strip()} is there twice; leave one"
        for at, key in enumerate(keys)
        if key and key in keys[:at]
    ]
    # Wildlife Insights writes feature_type where Camtrap DP has featureType, with other values.
    insights = "placename" in keys and "deploymentid" in keys
    own = {_KNOWN[key] for key in keys if key in _KNOWN and _KNOWN[key].lower() == key}
    taken: dict[str, str] = {}
    found: list[Column] = []
    for cell, key in zip(header, keys, strict=True):
        text = cell.strip()
        column = Column(text)
        if match := _NUMBERED.fullmatch(key):
            part = {"start": "from", "end": "to"}.get(match[3], match[3])
            column = Column(text, None, match[1], int(match[2] or 1), part)
        elif match := _REFERENCE.fullmatch(key):
            column = Column(text, None, f"reference{match[1]}", int(match[2] or 1))
        elif insights and key in _FROM_WILDLIFE_INSIGHTS:
            pass
        elif name := _KNOWN.get(key):
            if key != name.lower() and name in own:
                notes.append(f"{place}: column {text} is kept as a covariate, for there is a column {name}")
            elif key != name.lower() and name in taken and plain(taken[name]) != key:
                problems.append(
                    f"{place}: columns {taken[name]} and {text} both mean {name}; leave one, or name that one {name}"
                )
            else:
                taken[name] = text
                column = Column(text, name)
        elif key and (meant := _meant(text, key)):
            problems.append(
                f"{place}: there is no column {text}, did you mean {meant}? For a covariate take a name less like it"
            )
        found.append(column)
    dialect = _dialect(set(keys), taken)
    if not taken.keys() & {"deploymentID", "locationID", "locationName", "folder"}:
        problems.append(
            f"{place}: no column deploymentID (Camtrap DP, Wildlife Insights), Station (camtrapR) or folder;"
            " the first line must name the columns, with commas, semicolons or tabs between them"
        )
    return found, dialect, problems, notes


def known_columns(header: Sequence[str]) -> int:
    """Count the columns of a header that mean something here, to tell separators apart."""
    keys = [plain(cell) for cell in header]
    return sum(key in _KNOWN or key in _PLAIN or bool(_NUMBERED.fullmatch(key)) for key in keys)


def camtrap_dp_value(name: str, text: str) -> str | None:
    """Return a cell as Camtrap DP 1.0.2 wants it for a column of this name, or None if it cannot be said there.

    Booleans become true or false, features and numbers are checked, all other text is what it was.
    """
    value = text.strip()
    if name in ("baitUse", "timestampIssues"):
        return {"true": "true", "yes": "true", "1": "true", "false": "false", "no": "false", "0": "false"}.get(
            value.lower()
        )
    if name == "featureType":
        return next((item for item in FEATURE_TYPES if item.lower() == plain(value)), None)
    if name in _RANGES:
        least, most, whole = _RANGES[name]
        if not re.fullmatch(r"[+-]?\d{1,9}(\.\d{1,9})?", value, re.ASCII):
            return None
        number = float(value)
        if not least <= number <= most or (whole and not number.is_integer()):
            return None
        return str(int(number)) if number.is_integer() else repr(number)
    return value or None


def from_wildlife_insights(key: str, text: str) -> tuple[str, str] | None:
    """Return (Camtrap DP column, value) for a cell of Wildlife Insights that Camtrap DP has a place for, else None.

    `bait_type` None means that none was used; `feature_type` where the words agree; `sensor_height` if it is a number
    that can be metres; `quiet_period` in seconds.
    """
    if key == "baittype":
        return "baitUse", "false" if text.lower() in ("none", "no", "no bait") else "true"
    name = {"featuretype": "featureType", "sensorheight": "cameraHeight", "quietperiod": "cameraDelay"}.get(key)
    value = camtrap_dp_value(name, text) if name else None
    if name is None or value is None or (name == "cameraHeight" and float(value) > 20):
        return None
    return name, value


def _dialect(keys: set[str], taken: Mapping[str, str]) -> Dialect:
    if "deploymentID" in taken:
        if "placename" in keys:
            return Dialect("a Wildlife Insights table of deployments", True)
        return Dialect("a Camtrap DP table of deployments", True)
    if "folder" in taken and not keys & {"setupdate", "retrievaldate"}:
        return Dialect("a list of folders", False, True)
    return Dialect("a camtrapR table of stations", False)


def _meant(header: str, key: str) -> str | None:
    """Return the known column that an unknown one seems to be a slip of, or None."""
    if key in _PLAIN or len(key) < _LEAST_LENGTH:
        return None
    if _NEARLY_NUMBERED.fullmatch(key):
        return {"o": "outage1From, outage1To", "p": "Problem1_from, Problem1_to"}.get(
            key[0], "referencePhoto, referenceTime"
        )
    best: tuple[float, str] | None = None
    for known, name in _KNOWN.items():
        if len(known) < _LEAST_LENGTH or _extends(header, key, known):
            continue
        likeness = SequenceMatcher(None, key, known, autojunk=False).ratio()
        if likeness >= _ALIKE and (best is None or likeness > best[0]):
            best = (likeness, name)
    return best[1] if best else None


def _extends(header: str, key: str, known: str) -> bool:
    """Whether a header is a known word and more (`camera_height_cm`, `habitat2`), which nobody writes by mistake."""
    rest = key[len(known) :]
    if not key.startswith(known) or not rest:
        return False
    words = re.split(r"[\s_.\-]+", header.strip().lower())
    return rest.isdigit() or (len(words) > 1 and rest.endswith(words[-1]) and len(words[-1]) <= len(rest))
