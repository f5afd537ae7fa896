"""A recorded call: its arguments, however they were written down, and the files that camtrapR returned."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .written import Table, table


class DiffersError(Exception):
    """A cell that is not the same."""


class InexpressibleError(Exception):
    """An argument or a column that our functions do not have."""


ABSENT: tuple[Any, ...] = (None, "", "NA", "NULL", [], {})
"""What stands for an argument that was not given."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one call."""

    call_id: str
    outcome: str
    """agrees, refused (by camtrapR, expressed by us), differs or inexpressible."""
    detail: str = ""


def flag(arguments: Mapping[str, Any], name: str, default: bool = False) -> bool:
    """A logical of R's, however it was written down."""
    value = arguments.get(name, default)
    return value if isinstance(value, bool) else str(value).strip().upper() in ("TRUE", "T", "1")


def single(value: Any) -> Any:
    """What a list of one holds: R's vectors of one are written down as either."""
    return value[0] if isinstance(value, list) and len(value) == 1 and not isinstance(value[0], dict) else value


def whole(arguments: Mapping[str, Any], name: str) -> int | None:
    """A number of R's as integer, None where it was not given."""
    value = arguments.get(name)
    return None if value is None else round(float(value))


def listed(value: Any) -> list[str]:
    """One or several texts."""
    if value in (None, ""):
        return []
    return [str(item) for item in value] if isinstance(value, list | tuple) else [str(value)]


class Call:
    """A recorded call with the folder its paths are relative to."""

    def __init__(self, entry: Mapping[str, Any], folder: Path) -> None:
        self.call_id = str(entry.get("id", "?"))
        self.function = str(entry.get("fun", "?"))
        given = {key: single(value) for key, value in dict(entry.get("args") or {}).items()}
        self.arguments: dict[str, Any] = {key: value for key, value in given.items() if value not in ABSENT}
        self.refused = single(entry.get("error")) not in ABSENT
        self.folder = folder
        self._files = entry.get("files")

    def check(self, known: Iterable[str]) -> None:
        """Refuse arguments that nobody looks at."""
        unknown = set(self.arguments) - set(known)
        if unknown:
            raise InexpressibleError(f"argument {', '.join(sorted(unknown))}")

    def rows(self, name: str) -> Table:
        """A table given as a file, or as rows or columns in the manifest itself."""
        value = self.arguments.get(name)
        if isinstance(value, str):
            return table(self.folder / value)
        if isinstance(value, dict):
            texts = {column: [text(item) for item in listed_any(items)] for column, items in value.items()}
            return [dict(zip(texts, row, strict=True)) for row in zip(*texts.values(), strict=True)]
        if isinstance(value, list):
            return [{column: text(item) for column, item in row.items()} for row in value]
        raise InexpressibleError(f"{name} is neither a file nor a table")

    def files(self) -> dict[str, Path]:
        """What camtrapR returned, by name where the manifest names it, else by file name."""
        given = self._files
        if isinstance(given, str):
            given = [given]
        pairs = named(given) if isinstance(given, Mapping) else [("", str(name)) for name in given or []]
        found: dict[str, Path] = {}
        for key, name in pairs:
            paths = sorted(self.folder.glob(name)) if "*" in name else [self.folder / name]
            if not paths:
                raise InexpressibleError(f"there is no {name}")
            for path in paths:
                found[key if key and len(paths) == 1 else path.stem] = path
        return found


def named(files: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    """File names with what they hold, those of several species `detection_history.PBE`."""
    pairs: list[tuple[str, str]] = []
    for key, value in files.items():
        name = f"{above}.{key}" if above else str(key)
        pairs += named(value, name) if isinstance(value, Mapping) else [(name, file) for file in listed(value)]
    return pairs


def listed_any(items: Any) -> list[Any]:
    """A column of a table, also of one row."""
    return list(items) if isinstance(items, list | tuple) else [items]


def text(value: Any) -> str:
    """A cell as R's write.csv has it."""
    return "NA" if value is None else str(value)
