"""JSON files with bytes that do not vary: UTF-8, a line for every item of a long list, no NaN."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ctwatch.export.files import write_bytes


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON object in the order of its keys; lists at its top level have a line for every item.

    The file is replaced by one rename. Raises ValueError for NaN and infinities, which JSON has not.
    """
    fields = [f"{_text(name)}: {_field(value)}" for name, value in document.items()]
    # A lone surrogate becomes the escape \udcNN, which JSON can hold and UTF-8 cannot.
    write_bytes(path, ("{\n" + ",\n".join(fields) + "\n}\n").encode("utf-8", "backslashreplace"))


def _field(value: Any) -> str:
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(map(_text, value)) + "\n]"
    return _text(value)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
