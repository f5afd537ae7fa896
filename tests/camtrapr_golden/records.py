"""recordTable and filterRecordTable."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctwatch import exif, occupancy
from ctwatch.domain import TimestampSource

from .calls import Call, DiffersError, InexpressibleError, flag, listed
from .comparing import ROUNDED, TOLERANCE, same_cell, same_name
from .operations import OUTPUT
from .times import Zone, moment
from .written import Table, number, table


def filter_record_table(call: Call) -> None:
    """filterRecordTable: independence of the rows of a table."""
    arguments = call.arguments
    call.check(
        {
            "recordTable", "minDeltaTime", "deltaTimeComparedTo", "speciesCol", "stationCol", "cameraCol",
            "camerasIndependent", "recordDateTimeCol", "recordDateTimeFormat", "removeDuplicateRecords", "exclude",
            "timeZone", "eventSummaryColumn", "eventSummaryFunction", "quiet", *OUTPUT,
        }
    )  # fmt: skip
    rows = call.rows("recordTable")
    column = arguments.get("recordDateTimeCol") or "DateTimeOriginal"
    layout = arguments.get("recordDateTimeFormat") or "ymd HMS"
    compare_records(call, rows, [read_or_none(row[column], layout) for row in rows], column, "filter")


def read_or_none(text: str, layout: str) -> datetime | None:
    """A time, None where it cannot be read: such records are left out with a warning."""
    try:
        return moment(text, layout)
    except ValueError:
        return None


def record_table(call: Call) -> None:
    """recordTable: photographs below a folder, species from folders or tags."""
    call.check(
        {
            "inDir", "IDfrom", "cameraID", "camerasIndependent", "exclude", "minDeltaTime", "deltaTimeComparedTo",
            "timeZone", "stationCol", "metadataHierarchyDelimitor", "metadataSpeciesTag", "additionalMetadataTags",
            "removeDuplicateRecords", "returnFileNamesMissingTags", "eventSummaryColumn", "eventSummaryFunction", *OUTPUT,
        }
    )  # fmt: skip
    rows = photographs(call)
    moments = [read_or_none(row["DateTimeOriginal"], "%Y:%m:%d %H:%M:%S") for row in rows]
    compare_records(call, rows, moments, "DateTimeOriginal", "read")


def photographs(call: Call) -> Table:
    """A row for each photograph and species below the folder that `inDir` names."""
    arguments = call.arguments
    root = image_folder(call)
    delimiter = arguments.get("metadataHierarchyDelimitor") or "|"
    tag = arguments.get("metadataSpeciesTag")
    by_tag = str(arguments.get("IDfrom")) == "metadata"
    rows = []
    for path in sorted(root.rglob("*")):
        header = exif.read(path.read_bytes()) if path.suffix.lower() in (".jpg", ".jpeg") else None
        if header is None or path.name.startswith((".", "_")) or not path.relative_to(root).parts[1:]:
            continue
        parts = path.relative_to(root).parts[:-1]
        row = {
            arguments.get("stationCol") or "Station": parts[0],
            "Directory": "/".join(parts),
            "FileName": path.name,
            "DateTimeOriginal": header.times.get(TimestampSource.DATE_TIME_ORIGINAL, ""),
            "EXIF.Make": header.camera.make or "",
            "EXIF.Model": header.camera.model or "",
        }
        if not row["DateTimeOriginal"]:
            continue
        row |= {"Make": row["EXIF.Make"], "Model": row["EXIF.Model"]}
        subjects = re.search(r"<lr:hierarchicalSubject>(.*?)</lr:hierarchicalSubject>", header.xmp, re.DOTALL)
        tags = [
            item.split(delimiter) for item in re.findall(r"<rdf:li>(.*?)</rdf:li>", subjects[1] if subjects else "")
        ]
        row["HierarchicalSubject"] = ", ".join(delimiter.join(item) for item in tags)
        groups: dict[str, list[str]] = {}
        for group, *values in tags:
            if values:
                groups.setdefault(group.replace(" ", ""), []).append(values[0])
        row |= {f"metadata_{group}": "_&_".join(values) for group, values in groups.items()}
        if arguments.get("cameraID") == "filename":
            row["Camera"] = path.name.split("__")[1]
        elif arguments.get("cameraID") == "directory":
            row["Camera"] = parts[-1] if by_tag else parts[-2]
        species = groups.get(str(tag), []) if by_tag else [parts[-1]]
        rows += [{**row, "Species": name} for name in species]
    return rows


def image_folder(call: Call) -> Path:
    """The folder of photographs: below the manifest's, or among the cards beside it, by its name."""
    given = Path(str(call.arguments.get("inDir")))
    if (call.folder / given).is_dir():
        return call.folder / given
    beside = [folder / "cards" / "camtrapR_samples" for folder in call.folder.resolve().parents]
    shared = Path(__file__).resolve().parents[3] / "shared" / "data" / "cards" / "camtrapR_samples"
    for root in [*beside, shared]:
        for path in sorted(root.rglob(given.name)) if root.is_dir() else ():
            if path.is_dir():
                return path
    raise InexpressibleError(f"the photographs of {given} are not here")


def compare_records(call: Call, rows: Table, moments: Sequence[datetime | None], time_column: str, how: str) -> None:
    """Filter rows for independence and compare every column of the result."""
    arguments = call.arguments
    station = arguments.get("stationCol") or "Station"
    species = arguments.get("speciesCol") or "Species"
    camera = arguments.get("cameraCol") or ("Camera" if arguments.get("cameraID") else None)
    independent = camera is not None and flag(arguments, "camerasIndependent")
    zone = Zone(
        arguments.get("timeZone"), min((item for item in moments if item is not None), default=datetime(2000, 1, 1))
    )
    summaries = list(
        zip(listed(arguments.get("eventSummaryColumn")), listed(arguments.get("eventSummaryFunction")), strict=True)
    )
    summarise = {}
    for number_, (column, function) in enumerate(summaries):
        held = column if column in (rows[0] if rows else {}) else column.replace(":", ".")
        if rows and held in rows[0]:
            summarise[f"{number_} {column}"] = (column_values([row[held] for row in rows]), function)
    compared = arguments.get("deltaTimeComparedTo") or "lastRecord"
    result = occupancy.record_table(
        [row[station] for row in rows],
        [row[species] for row in rows],
        zone.steady(moments),
        camera_id=[row[camera] for row in rows] if camera else None,
        independence_min=int(float(arguments.get("minDeltaTime") or 0)),
        compared=occupancy.Compared(compared),
        cameras_independent=independent,
        exclude=listed(arguments.get("exclude")),
        remove_duplicates=flag(arguments, "removeDuplicateRecords", True),
        summarise=summarise,
        camtrapr_compatible=True,
    )
    since = occupancy.deltas(result)
    ours: list[dict[str, Any]] = []
    for place, at in enumerate(result.row.tolist()):
        row: dict[str, Any] = {name: rows[at][name] for name in rows[at] if not name.startswith("delta.time")}
        row[time_column] = f"{moments[at]:%Y-%m-%d %H:%M:%S}"
        row |= {"Date": f"{moments[at]:%Y-%m-%d}", "Time": f"{moments[at]:%H:%M:%S}"}
        row |= {f"delta.time.{name}": float(getattr(since, name)[place]) for name in ("secs", "mins", "hours", "days")}
        row["n_images"] = int(result.n_images[place])
        for name, values in result.summaries.items():
            row[re.sub(r"[^A-Za-z0-9._]", ".", name.split(" ", 1)[1])] = values[place]
        ours.append(row)
    key_columns = [station, species, *([camera] if camera and independent else []), time_column]
    for path in call.files().values():
        minutes = int(float(arguments.get("minDeltaTime") or 0))
        same_name(path, f"record_table_{minutes}min_deltaT_DATE.csv")
        same_records(path, ours, key_columns, rows, how)


def column_values(texts: Sequence[str]) -> NDArray[Any]:
    """A column as numbers if all are, else as text."""
    try:
        return np.array([number(item) for item in texts], dtype=np.float64)
    except ValueError:
        return np.array(["" if item == "NA" else item for item in texts], dtype=object)


def same_records(path: Path, ours: list[dict[str, Any]], key: Sequence[str], given: Table, how: str) -> None:
    """Compare record tables row by row in the order of place, species, camera, time and file."""
    expected = table(path)
    if len(ours) != len(expected):
        raise DiffersError(f"{len(ours)} records, camtrapR has {len(expected)}")

    def order(row: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(str(row.get(name, "")) for name in (*key, "n_images", "FileName"))

    for mine, theirs in zip(sorted(ours, key=order), sorted(expected, key=order), strict=True):
        where = " ".join(theirs.get(name, "?") for name in key)
        for name, wanted in theirs.items():
            if name not in mine:
                if wanted in ("", "NA"):
                    continue
                raise InexpressibleError(f"column {name}")
            value = mine[name]
            if name == "Directory":
                value = wanted if wanted == value or wanted.endswith("/" + value) else value
            elif name == "FileName" and value != wanted:
                # Of photographs of one second camtrapR keeps the one that the disk listed first.
                twins = [row for row in given if all(row[column] == mine_of(row, mine, column) for column in key[:-1])]
                value = wanted if any(row["FileName"] == wanted for row in twins) and how == "read" else value
            tolerance = 0.0 if name == "delta.time.secs" else ROUNDED if name.startswith("delta.time") else TOLERANCE
            same_cell(f"{name} of {where}", value, wanted, tolerance)


def mine_of(row: Mapping[str, str], mine: Mapping[str, Any], column: str) -> str:
    """The value that a twin must share."""
    return str(mine.get(column, row[column]))
