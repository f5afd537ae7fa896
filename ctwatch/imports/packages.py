"""The tables of a Camtrap DP package: where its datapackage.json says, never outside its folder."""

from pathlib import Path
from typing import Any

from ctwatch.errors import ConfigError
from ctwatch.imports.reading import MAX_BYTES, checked, load_json

DESCRIPTION = "datapackage.json"
TABLES = ("deployments", "media", "observations")


def table_paths(folder: Path, names: tuple[str, ...] = TABLES) -> dict[str, Path]:
    """Return where these tables of a package are; raises ConfigError with all that is wrong."""
    description = folder / DESCRIPTION
    data = load_json(description)
    listed = data.get("resources") if isinstance(data, dict) else None
    if not isinstance(listed, list):
        raise ConfigError([f"{description}: lists no resources; a Camtrap DP package has {', '.join(TABLES)}"])
    named = {
        each["name"]: each.get("path")
        for each in reversed(listed)
        if isinstance(each, dict) and isinstance(each.get("name"), str)
    }
    problems: list[str] = []
    found = {}
    for name in names:
        path = _within(folder, named.get(name))
        if name not in named:
            problems.append(f"{description}: has no resource {name}; a Camtrap DP package needs it")
        elif path is None:
            problems.append(
                f"{description}: resource {name} is not one CSV file within the package's folder; "
                "fetch or unpack it there and correct its path"
            )
        else:
            found[name] = path
    if problems:
        raise ConfigError(problems)
    return found


def deployments_text(folder: Path) -> str:
    """Return the text of a package's deployments table, for use as a table of deployments.

    Args:
        folder: The package's folder, or its datapackage.json.

    Raises:
        ConfigError: There is none within the package, or it is not UTF-8 text.
    """
    path = table_paths(package_folder(folder), ("deployments",))["deployments"]
    try:
        with checked(path).open(encoding="utf-8-sig", newline="") as file:
            return file.read(MAX_BYTES)
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: is not UTF-8 text ({error.reason}); save it as CSV in UTF-8"]) from error
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read ({error.strerror or error}); check its mode"]) from error


def package_folder(path: Path) -> Path:
    """Return the folder of a package that is named by itself or by its datapackage.json."""
    return path.parent if path.name == DESCRIPTION and not path.is_dir() else path


def _within(folder: Path, path: Any) -> Path | None:
    """Return a CSV file that lies in the folder, links followed; None for anything else."""
    if isinstance(path, list) and len(path) == 1:
        path = path[0]
    if not isinstance(path, str) or "\0" in path or not path.lower().endswith((".csv", ".tsv", ".txt")):
        return None
    try:
        whole = (folder / path).resolve()
        return whole if whole.is_relative_to(folder.resolve()) else None
    except (OSError, RuntimeError, ValueError):
        return None
