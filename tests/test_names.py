"""Names from strangers: fit for the database, for file names and for spreadsheets."""

import os

import pytest
import strategies
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ctwatch.names import file_name_part, raw_bytes, spreadsheet_safe, storable

quick = settings(deadline=None)
names = st.one_of(strategies.names_from_disk, st.text("aA b_-.", max_size=5))


@quick
@given(strategies.names_from_disk)
def test_storable_is_utf8_and_loses_nothing(name: str) -> None:
    """The database takes every name; where it had to be rewritten the bytes are kept beside."""
    kept = storable(name)
    kept.encode("utf-8")
    assert (raw_bytes(name) is None) == (kept == name)
    assert os.fsdecode(raw_bytes(name) or kept.encode("utf-8")) == name


def test_storable_shows_the_bytes() -> None:
    r"""Undecodable bytes are written \xNN; all other text stays."""
    assert storable("Ñandú \udcf1") == "Ñandú \\xf1"


@quick
@given(names, names)
@example("a b", "a_b")
@example("a/b", "a_b")
@example("", "unnamed")
@example("a", "a ")
@example("x" * 80, "x" * 81)
def test_different_texts_have_different_file_names(one: str, other: str) -> None:
    """Two species never write into one file, where the file system tells capitals apart."""
    if one != other:
        assert file_name_part(one) != file_name_part(other)


@quick
@given(names)
@example("../../etc/passwd")
@example("CON")
@example("nul.txt")
@example(".")
@example("")
@example(" ")
def test_file_names_are_tame(name: str) -> None:
    """No path, no dot at either end, nothing that a device owns, never empty, never long."""
    part = file_name_part(name)
    assert part
    assert len(part) <= 90
    assert part.isascii()
    assert not set(part) & set('/\\:*?"<>| \0')
    assert not part.startswith(".")
    assert not part.endswith(".")
    assert part.split(".")[0].lower() not in {"con", "prn", "aux", "nul", "com1", "lpt1"}


@pytest.mark.parametrize(
    ("text", "expected"), [("Vulpes vulpes", "Vulpes_vulpes"), ("red-fox 2", "red-fox_2"), ("SDZG 1", "SDZG_1")]
)
def test_plain_names_stay_readable(text: str, expected: str) -> None:
    """A species' file is named as anybody would name it."""
    assert file_name_part(text) == expected


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_formulas_are_quoted(text: str) -> None:
    """No cell begins as a formula does."""
    assert spreadsheet_safe(text) == "'" + text


@pytest.mark.parametrize("text", ["", "fox", "a=b", "1", "'=1", "ñ"])
def test_plain_cells_stay(text: str) -> None:
    """Other text is left as it is."""
    assert spreadsheet_safe(text) == text
