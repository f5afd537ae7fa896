"""datapackage.json: who, where, when and which species, around the three tables."""

import json
import re
import unicodedata
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from ctwatch.errors import ConfigError
from ctwatch.export.camtrap_dp.schema import (
    BASE,
    CAPTURE_METHODS,
    MISSING,
    PLAIN_DECIMALS,
    PROFILE,
    ROLES,
    SAMPLING_DESIGNS,
    TABLES,
)
from ctwatch.export.files import Cell
from ctwatch.export.written import listed
from ctwatch.identity import content_id
from ctwatch.names import spreadsheet_safe
from ctwatch.survey import Publication, Taxon
from ctwatch.taxonomy import RANKS

_CONTRIBUTOR = re.compile(r"(?P<title>[^<>()]*?)\s*(?:<(?P<email>[^<>]*)>)?\s*(?:\((?P<role>[^()]*)\))?")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_LICENCE = re.compile(r"[-a-zA-Z0-9._]+")
_URL = re.compile(r"https?://[^\s]+")
_OFFSET = re.compile(r"[+-](?:0\d|1[0-4]):[0-5]\d", re.ASCII)
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, PROFILE)
_UNKNOWN = "unknown"
_DIALECT = {
    "delimiter": ",",
    "lineTerminator": "\n",
    "quoteChar": '"',
    "doubleQuote": True,
    "skipInitialSpace": False,
    "header": True,
}
"""CSV as `export.files` writes it (Frictionless CSV Dialect 1.2)."""


def check(publication: Publication) -> None:
    """Raise ConfigError with every setting that no valid package can be written with."""
    problems = []
    if publication.sampling_design not in SAMPLING_DESIGNS:
        problems.append(
            f"project.sampling_design {publication.sampling_design!r} is none of Camtrap DP's:"
            f" write one of {', '.join(SAMPLING_DESIGNS)}"
        )
    if publication.utc_offset and not _OFFSET.fullmatch(publication.utc_offset):
        problems.append(f"deployments.utc_offset {publication.utc_offset!r} is no offset: write it as +02:00")
    if problems:
        raise ConfigError(problems)


def descriptor(
    publication: Publication,
    deployments: Sequence[Mapping[str, Cell]],
    capture_methods: set[str],
    levels: Sequence[str],
    taxa: Mapping[str, Taxon],
    tables: Mapping[str, bytes],
    ctwatch_version: str,
    said: list[str],
) -> bytes:
    """Return the bytes of datapackage.json for tables that are written: their rows of deployments, and all their bytes.

    The id follows from the content alone: the same package has the same id whenever it is written.
    """
    title = publication.title.strip()
    methods = [name for name in CAPTURE_METHODS if name in capture_methods]
    if not methods:
        said.append("no photographs: captureMethod is taken to be activityDetection")
    about: dict[str, Any] = {
        "title": title or _UNKNOWN,
        "samplingDesign": publication.sampling_design,
        "captureMethod": methods or CAPTURE_METHODS[:1],
        "individualAnimals": False,
        "observationLevel": list(levels),
    }
    content: dict[str, Any] = {
        "resources": [_resource(name) for name in TABLES],
        "profile": PROFILE,
        "name": _name(title),
        "title": title or _UNKNOWN,
        **({"description": publication.description} if publication.description.strip() else {}),
        "contributors": _contributors(publication.contributors, said),
        "sources": [{"title": "ctwatch", "version": ctwatch_version}],
        **_licences(publication, said),
        "project": about,
        **_precision(publication.coordinate_decimals),
        "spatial": _spatial(deployments),
        "temporal": _temporal(deployments),
        "taxonomic": [_taxon(name, taxa[name]) for name in sorted(taxa) if name not in MISSING],
    }
    if any("vernacularNames" in taxon for taxon in content["taxonomic"]):
        said.append("vernacular names are taken to be English (eng)")
    whole = content_id(b"".join([*(tables[name] for name in TABLES), _bytes(content)]))
    first = {name: content.pop(name) for name in ("resources", "profile", "name")}
    created = f"{publication.created_at:%Y-%m-%dT%H:%M:%SZ}"
    return _bytes({**first, "id": str(uuid.uuid5(_NAMESPACE, whole)), "created": created, **content})


def _bytes(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode("utf-8")


def _resource(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "path": f"{name}.csv",
        "profile": "tabular-data-resource",
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        # Readers that are not told guess from the first rows, and names from strangers lead them astray.
        "dialect": _DIALECT,
        "schema": f"{BASE}/{name}-table-schema.json",
    }


def _name(title: str) -> str:
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:100] or "camera-trap-survey"


def _contributors(texts: Sequence[str], said: list[str]) -> list[dict[str, str]]:
    """Read `Name <mail@example.org> (role)`; what does not fit the standard is left out and said."""
    found = []
    for text in texts:
        match = _CONTRIBUTOR.fullmatch(text.strip())
        if match is None:
            found.append({"title": text.strip()})
            said.append(f"contributor {text!r} is not 'Name <mail@example.org> (role)': taken whole as a name")
            continue
        email, role = (match["email"] or "").strip(), (match["role"] or "").strip()
        contributor = {"title": match["title"].strip() or email}
        if _EMAIL.fullmatch(email):
            contributor["email"] = email
        elif email:
            said.append(f"contributor {text!r}: {email!r} is no mail address and left out")
        fitting = next((name for name in ROLES if name.lower() == role.lower()), None)
        if fitting:
            contributor["role"] = fitting
        elif role:
            said.append(f"contributor {text!r}: role {role!r} is none of {', '.join(ROLES)} and left out")
        if contributor["title"]:
            found.append(contributor)
    if not found:
        said.append(
            "no contributors are given, and Camtrap DP requires one: 'unknown' is written; set project.contributors"
        )
    return found or [{"title": _UNKNOWN}]


def _licences(publication: Publication, said: list[str]) -> dict[str, list[dict[str, str]]]:
    """Return licences of data and media; Camtrap DP takes both or none, each an identifier or an address."""
    texts = {"data": publication.data_licence.strip(), "media": publication.media_licence.strip()}
    found, problems = [], []
    for scope, text in texts.items():
        if _URL.fullmatch(text) and ".." not in text:
            found.append({"path": text, "scope": scope})
        elif _LICENCE.fullmatch(text):
            found.append({"name": text, "scope": scope})
        elif text:
            problems.append(f"project.{scope}_licence {text!r} is neither an identifier (CC-BY-4.0) nor an address")
        else:
            problems.append(f"project.{scope}_licence is empty")
    if problems and any(texts.values()):
        said.append(f"licences left out, for Camtrap DP takes both or none: {listed(problems)}")
    return {} if problems else {"licenses": found}


def _precision(decimals: int) -> dict[str, float]:
    return {"coordinatePrecision": 10.0**-decimals} if decimals < PLAIN_DECIMALS else {}


def _spatial(deployments: Sequence[Mapping[str, Cell]]) -> dict[str, Any]:
    """Return the box around all places as they are written, or the point where all are one (GeoJSON, RFC 7946)."""
    longitudes = [float(row["longitude"] or 0) for row in deployments]
    latitudes = [float(row["latitude"] or 0) for row in deployments]
    west, south, east, north = min(longitudes), min(latitudes), max(longitudes), max(latitudes)
    if (west, south) == (east, north):
        return {"type": "Point", "coordinates": [west, south]}
    corners = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "bbox": [west, south, east, north], "coordinates": [corners]}


def _temporal(deployments: Sequence[Mapping[str, Cell]]) -> dict[str, str]:
    starts = [str(row["deploymentStart"])[:10] for row in deployments]
    ends = [str(row["deploymentEnd"])[:10] for row in deployments]
    return {"start": min(starts), "end": max(ends)}


def _taxon(name: str, taxon: Taxon) -> dict[str, Any]:
    told = {
        "scientificName": spreadsheet_safe(name),  # as the table has it
        "taxonID": taxon.taxon_id,
        "taxonRank": taxon.taxon_rank if taxon.taxon_rank in RANKS else "",
        "kingdom": taxon.kingdom,
        "class": taxon.class_name,
        "order": taxon.order,
        "family": taxon.family,
        "vernacularNames": {"eng": taxon.vernacular_name} if taxon.vernacular_name else "",
    }
    return {key: value for key, value in told.items() if value}
