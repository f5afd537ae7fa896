"""Names from strangers made fit for the database, for file names and for spreadsheets."""

import re

from ctwatch.identity import derived_id

_UNSAFE_IN_FILES = re.compile(r"[^A-Za-z0-9.-]+")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def storable(text: str) -> str:
    r"""Return text that UTF-8 can hold: bytes of a file name that are not UTF-8 become \xNN."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def raw_bytes(text: str) -> bytes | None:
    """Return the bytes of a file name that `storable` had to rewrite; None where it did not."""
    raw = text.encode("utf-8", "surrogateescape")
    return None if storable(text) == text else raw


def file_name_part(text: str) -> str:
    """Return a name that any file system takes, no path in it; different texts stay different."""
    plain = _UNSAFE_IN_FILES.sub("_", text).strip("._")[:80]
    if plain.replace("_", " ") == text or plain == text:
        return plain
    return f"{plain or 'unnamed'}-{derived_id('name', text)[:6]}"


def spreadsheet_safe(text: str) -> str:
    """Return a CSV cell that no spreadsheet runs as a formula: a quote goes before a leading = + - @ tab or return.

    Numbers are cells of their own type and do not pass through here.
    """
    return "'" + text if text.startswith(_FORMULA_STARTS) else text
