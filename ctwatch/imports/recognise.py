"""What a file or folder of another program is, told by its content, and what it says."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ctwatch.domain import BLANK
from ctwatch.errors import ConfigError
from ctwatch.imports import camtrap_dp, megadetector, speciesnet, timelapse, wildlife_insights
from ctwatch.imports.packages import DESCRIPTION
from ctwatch.imports.reading import ANIMAL, MAX_LABEL, UNKNOWN, Table, checked, clean, load_json, open_table
from ctwatch.survey import Answer, ImportedFile, ImportedLabel

ACCEPTED = (
    "MegaDetector's batch results: JSON with images and detection_categories",
    "SpeciesNet's predictions: JSON with predictions",
    "Timelapse's data: CSV with RelativePath and File",
    "Wildlife Insights: images.csv, or the folder that holds it",
    "Camtrap DP: a folder with datapackage.json, media.csv and observations.csv",
)
"""What is read, a phrase each."""
_EVEN = 0.5
"""A machine's answer counts as a person's from this probability, where a file is to count as a person's."""
_PACKED = {b"PK": "zip", b"\x1f\x8b": "gzip", b"BZ": "bzip2", b"7z": "7z", b"\xfd7": "xz", b"Ra": "rar"}
_SHEETS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")


def read(
    path: Path, *, as_human: bool | None = None, by: str | None = None, species_column: str | None = None
) -> ImportedFile:
    """Return what a file or package says of photographs; the same file says the same each time.

    Args:
        path: A file, or a folder for packages of several tables.
        as_human: Whether its rows count as a person's; None: as the file says. Made a person's, a machine's answers keep
            what is at least as likely as not, named species before a bare "animal", without a probability; none such
            leaves `unknown`.
        by: The person or model, where the file does not name one; for rows that become a person's it counts before the
            file's model.
        species_column: Which column of a Timelapse table names the species, where its name does not tell.

    Raises:
        ConfigError: It is none of these, too large, or cannot be read; what is read, and the remedy, are told.
    """
    by = clean(by or "", MAX_LABEL) or None
    with _without_sweeps():
        said = _read(path, by, species_column)
        if as_human is not None:
            said = replace(said, labels=tuple([_turned(label, as_human, by) for label in said.labels]))
        return said


@contextmanager
def _without_sweeps() -> Iterator[None]:
    """Keep the collector of cyclic garbage from sweeping millions of new values again and again; it doubles the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _read(path: Path, by: str | None, species_column: str | None) -> ImportedFile:
    if _is_folder(path):
        return _read_folder(path, by)
    if path.name == DESCRIPTION:
        return camtrap_dp.read(path, by)
    first = _first_bytes(path)
    packed = next((name for mark, name in _PACKED.items() if first.startswith(mark)), None)
    if path.suffix.lower() in _SHEETS:
        raise ConfigError([f"{path}: is a spreadsheet; save it as CSV in UTF-8"])
    if packed is not None:
        raise ConfigError([f"{path}: is packed ({packed}); unpack it and name the file or folder that was in it"])
    if first.lstrip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n")[:1] in (b"{", b"["):
        return _read_json(path, by)
    with open_table(path) as table:
        kind = _kind(table)
    if kind == timelapse.DIALECT:
        return timelapse.read(path, by, species_column)
    if kind == wildlife_insights.DIALECT:
        return wildlife_insights.read(path, by)
    raise _unknown(path, _hint(table))


def _read_json(path: Path, by: str | None) -> ImportedFile:
    data = load_json(path)
    if megadetector.fits(data):
        return megadetector.read(data, by)
    if speciesnet.fits(data):
        return speciesnet.read(data, by)
    if isinstance(data, dict):
        if "resources" in data:
            raise _unknown(path, f"it describes a data package; name its folder, in which it is called {DESCRIPTION}")
        if {"images", "annotations"} <= data.keys():
            raise _unknown(path, "it is COCO Camera Traps, which the trainer reads")
        raise _unknown(path, f"its keys are {clean(', '.join(list(data)[:20])) or 'none'}")
    raise _unknown(path, "it is a list, not an object")


def _read_folder(path: Path, by: str | None) -> ImportedFile:
    try:
        names = sorted(clean(name) for name in os.listdir(path))
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read ({error.strerror or error}); check its mode"]) from error
    if DESCRIPTION in names:
        return camtrap_dp.read(path, by)
    images = [name for name in names if name.lower().startswith("images") and name.lower().endswith(".csv")]
    if len(images) == 1:
        return _read(path / images[0], by, None)
    if images:
        raise ConfigError([f"{path}: has several tables of images ({clean(', '.join(images))}); name one at a time"])
    tables = [name for name in names if name.lower().endswith((".csv", ".json"))]
    raise _unknown(path, f"name the file itself: {clean(', '.join(tables))}" if tables else "it holds no CSV or JSON")


def _kind(table: Table) -> str | None:
    if timelapse.fits(table.columns):
        return timelapse.DIALECT
    return wildlife_insights.DIALECT if wildlife_insights.fits(table.columns) else None


def _hint(table: Table) -> str:
    if wildlife_insights.is_sequences(table.columns):
        return "it is Wildlife Insights' table of sequences, which names no photographs; download images instead"
    if table.columns.keys() >= {"observationid"} or table.columns.keys() >= {"mediaid", "filepath"}:
        return "it looks like a table of a Camtrap DP package; name the package's folder"
    names = clean(", ".join(name for name in table.header[:20] if name))
    return f"its columns are {names}" if names else "it has no columns"


def _unknown(path: Path, hint: str) -> ConfigError:
    return ConfigError([f"{path}: is not known as labels; {hint}", *(f"taken in is {phrase}" for phrase in ACCEPTED)])


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError) as error:
        raise ConfigError([f"{path!s:.200}: cannot be read ({error}); correct the path of the labels"]) from error


def _first_bytes(path: Path) -> bytes:
    try:
        with checked(path).open("rb") as file:
            return file.read(64)
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read ({error.strerror or error}); check its mode"]) from error


def _turned(label: ImportedLabel, as_human: bool, by: str | None) -> ImportedLabel:
    """Return a label as a person's, or as a machine's."""
    if label.by_human == as_human:
        return label
    who = by or label.classified_by
    if not as_human:
        return replace(label, by_human=False, classified_by=who)
    likely = [each for each in label.answers if each.probability is None or each.probability >= _EVEN]
    if any(each.label not in (BLANK, ANIMAL, UNKNOWN) for each in likely):
        likely = [each for each in likely if each.label not in (BLANK, ANIMAL, UNKNOWN)]
    elif any(each.label != BLANK for each in likely):
        likely = [each for each in likely if each.label != BLANK]
    answers = tuple(Answer(each.label, each.count) for each in likely) or (Answer(UNKNOWN),)
    # When the model spoke is not when the person did, who may have said something else since.
    return replace(label, by_human=True, classified_by=who, classified_at=None, answers=answers)
