"""Names from strangers made fit for the database, for file names and for spreadsheets."""

import re

from ctwatch.identity import derived_id

_UNSAFE_IN_FILES = re.compile(r"[^A-Za-z0-9.-]+")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)
"""Names that Windows keeps for devices."""
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def storable(text: str) -> str:
    r"""Return text that UTF-8 can hold: bytes of a file name that are not UTF-8 become \xNN."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def raw_bytes(text: str) -> bytes | None:
    """Return the bytes of a file name that `storable` had to rewrite; None where it did not."""
    raw = text.encode("utf-8", "surrogateescape")
    return None if storable(text) == text else raw


def on_disk(text: str, raw: bytes | None) -> str:
    """Return a name as the file system knows it, from what `storable` and `raw_bytes` made of it."""
    return text if raw is None else raw.decode("utf-8", "surrogateescape")


def file_name_part(text: str) -> str:
    """Return a name that any file system takes, no path in it; different texts stay different.

    Letters, digits, dots, hyphens and single spaces (as underscores) are kept; a text with anything else gets a mark
    behind. Texts that differ by capitals alone have names that differ by capitals alone.
    """
    plain = _UNSAFE_IN_FILES.sub("_", text).strip("._")[:80]
    if _RESERVED.fullmatch(plain):
        plain = f"name_{plain}"
    if plain and plain.replace("_", " ") == text:
        return plain
    return f"{plain or 'unnamed'}-{derived_id('name', text)[:6]}"


def spreadsheet_safe(text: str) -> str:
    """Return a CSV cell that no spreadsheet runs as a formula: a quote goes before a leading = + - @ or control.

    Numbers are cells of their own type and do not pass through here.
    """
    return "'" + text if text.startswith(_FORMULA_STARTS) else text
