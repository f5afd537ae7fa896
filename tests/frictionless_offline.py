"""Validates a Camtrap DP folder with frictionless and without a network: schemas and profiles come from a folder."""

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import frictionless
import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from shared_data import SHARED
from urllib3.response import HTTPResponse

_SCHEMAS = SHARED / "golden" / "camtrap_dp"
_BASE = "https://raw.githubusercontent.com/tdwg/camtrap-dp/1.0.2"
_KNOWN = {
    **{
        f"{_BASE}/{name}.json": _SCHEMAS / f"{name}.json"
        for name in (
            "camtrap-dp-profile",
            "deployments-table-schema",
            "media-table-schema",
            "observations-table-schema",
        )
    },
    "https://specs.frictionlessdata.io/schemas/data-package.json": _SCHEMAS / "offline" / "data-package.json",
    "http://json.schemastore.org/geojson.json": _SCHEMAS / "offline" / "geojson.json",
    "https://json.schemastore.org/geojson.json": _SCHEMAS / "offline" / "geojson.json",
}


class _Shelf(BaseAdapter):
    """Answers the addresses that a package names from files, and no other."""

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        file = _KNOWN.get(str(request.url))
        if file is None:
            raise requests.ConnectionError(f"a package asked for {request.url}")
        body = HTTPResponse(body=io.BytesIO(file.read_bytes()), status=200, preload_content=False)
        return HTTPAdapter().build_response(request, body)

    def close(self) -> None:
        """Nothing is held open."""


def validated(folder: Path) -> tuple[list[str], dict[str, int]]:
    """What frictionless has against a package, a line each, nothing if it is valid; and the rows it read per table."""
    before, limit = Path.cwd(), csv.field_size_limit()
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Shelf())
        os.chdir(folder)  # a descriptor handed over as a dictionary has its paths from here
        try:
            with frictionless.system.use_context(http_session=session):
                report = frictionless.validate(json.loads(Path("datapackage.json").read_text("utf-8")))
        finally:
            os.chdir(before)
            csv.field_size_limit(limit)  # frictionless lifts it for the whole process
    found = [": ".join(map(str, row)) for row in report.flatten(["title", "rowNumber", "fieldName", "message"])]
    assert report.valid == (not found)
    return found, {task.name: task.stats.get("rows", 0) for task in report.tasks}
