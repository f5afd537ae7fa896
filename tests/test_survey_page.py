"""The page of a survey: one file that opens anywhere, reaches nowhere, runs nothing and shows nobody."""

import os
import re
import xml.etree.ElementTree as ElementTree
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from hashlib import sha256
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from surveys import place, survey

from ctwatch.page import place_map, read_original, write
from ctwatch.page.effort_calendar import draw as draw_calendar
from ctwatch.page.html import clean, counted, element, number, share
from ctwatch.survey import Publication, Survey, Taxon
from ctwatch.survey_figures.tables import Calendar

HOSTILE = (
    "<script>alert(1)</script>", '" onload="x', "=cmd|' /C calc'!A0", "獅子\u202e\x1b[31m\udcff", "long" * 90, "&lt;b&gt;",
)  # fmt: skip
DAY = date(2026, 5, 1)
START = datetime(2026, 5, 1, 6)


class Reader(HTMLParser):
    """All start tags with their attributes, and whether every element is closed where it was opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def jpeg(colour: tuple[int, int, int] = (200, 60, 20), size: tuple[int, int] = (640, 480)) -> bytes:
    data = BytesIO()
    Image.new("RGB", size, colour).save(
        data, "JPEG", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00"
    )
    return data.getvalue()


def busy(names: tuple[str, ...] = ("fox", "hare"), places: tuple[str, ...] = ("A", "B")) -> Survey:
    """Twelve detections of each species at each place, a private event, something to review, an outage."""
    deployments, media, observations, effort = [], [], [], []
    for at, where in enumerate(places):
        deployments.append(
            place(
                f"D-{where}",
                where,
                latitude=46.123456 + at / 50,
                longitude=7.654321,
                media_count=1,
                flag=f"look at {where}",
            )
        )
        effort += [
            {"location_id": where, "day": DAY + timedelta(days=day), "camera_days": float(day != 3)}
            for day in range(14)
        ]
        for turn, name in enumerate(names):
            for day in range(12):
                event, when = f"{at}-{turn}-{day}", START + timedelta(days=day, minutes=17 * turn + day)
                row = {"deployment_id": f"D-{where}", "event_id": event}
                media.append({**row, "timestamp": when, "source_path": f"/cards/{event}.jpg", "private": day == 0})
                review = {"needs_review": True, "review_reason": "low_confidence"} if day == 1 else {}
                sure = 1.0 if day == 0 else 0.8
                observations.append(
                    {**row, "event_start": when, "scientific_name": name, "probability": sure, **review}
                )
    return survey(deployments, media, observations, effort)


def publication(**more: Any) -> Publication:
    return Publication(title="Waterholes", created_at=datetime(2026, 6, 1), **more)


def page_of(each: Survey, folder: Path, pictures: Mapping[str, bytes] | None = None, **more: Any) -> str:
    write(folder / "page.html", each, publication(**more), picture=(pictures or {}).get)
    return (folder / "page.html").read_text("utf-8")


def test_a_page_has_every_section_and_a_link_to_it(tmp_path: Path) -> None:
    """Headings in order, each table with a header cell in every row."""
    read = Reader(page_of(busy(), tmp_path))
    ids = [attributes["id"] for _, attributes in read.tags if "id" in attributes]
    assert ids == [
        "species", "frames", "effort", "places", "matrix", "activity", "accumulation", "quality", "review", "definitions",
    ]  # fmt: skip
    links = [attributes["href"] for tag, attributes in read.tags if tag == "a"]
    assert links == [f"#{key}" for key in ids]
    tags = [tag for tag, _ in read.tags]
    assert tags.count("h1") == 1
    assert all("scope" in attributes for tag, attributes in read.tags if tag == "th")
    assert ("html", {"lang": "en"}) in read.tags
    drawings = [attributes for tag, attributes in read.tags if tag == "svg" and attributes.get("role") == "img"]
    assert len(drawings) == 5 and all(attributes["aria-label"] for attributes in drawings)


def test_a_page_reaches_nowhere_and_runs_nothing(tmp_path: Path) -> None:
    """The policy forbids all but the one style sheet, known by its hash, and pictures inside the file."""
    text = page_of(busy(), tmp_path, {"/cards/0-0-2.jpg": jpeg()})
    read = Reader(text)
    assert not {"script", "link", "iframe", "object", "embed", "form", "base"} & {tag for tag, _ in read.tags}
    for tag, attributes in read.tags:
        assert not any(key.startswith("on") or key == "style" for key in attributes)
        for key in ("src", "href", "xlink:href", "action", "srcset"):
            assert (attributes.get(key) or "#").startswith(("#", "data:image/jpeg;base64,")), (tag, attributes)
    assert re.sub(r'xmlns="http://www.w3.org/2000/svg"', "", text).count("://") == 0
    assert "url(" not in text and "@import" not in text
    policy = next(
        attributes["content"]
        for tag, attributes in read.tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style and policy
    assert policy.startswith("default-src 'none'; ")
    assert f"style-src 'sha256-{b64encode(sha256(style[1].encode()).digest()).decode()}'" in policy


def test_names_of_strangers_stay_text(tmp_path: Path) -> None:
    """As species, as places, as flags, as title: nothing of them becomes markup, and the page stays well-formed."""
    taxa = {HOSTILE[0]: Taxon(HOSTILE[1], vernacular_name=HOSTILE[0])}
    text = page_of(busy(HOSTILE, HOSTILE), tmp_path, taxa=taxa, description=HOSTILE[0], contributors=HOSTILE[:2])
    read = Reader(text)
    assert "script" not in {tag for tag, _ in read.tags}
    assert not any("onload" in attributes for _, attributes in read.tags)
    assert any("<script>alert(1)</script>" in told for told in read.texts)
    assert not {"\u202e", "\x1b", "\udcff"} & set(text)
    for drawing in re.findall(r"<svg .*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(drawing)


def test_the_same_survey_is_the_same_bytes(tmp_path: Path) -> None:
    """Nothing of the hour, the machine or the order of a set is in it; another survey is another page."""
    pictures = {"/cards/0-0-2.jpg": jpeg()}
    one, again = page_of(busy(), tmp_path, pictures), page_of(busy(), tmp_path, pictures)
    assert one == again
    assert one != page_of(busy(("fox", "owl")), tmp_path, pictures)


def test_frames_with_people_are_never_shown_and_lost_originals_are_said(tmp_path: Path) -> None:
    """The private frame is the most probable one, its bytes are at hand, and it is asked for by nobody."""
    asked: list[str] = []

    def picture(path: str) -> bytes | None:
        asked.append(path)
        return jpeg() if path == "/cards/0-0-3.jpg" else None

    found = write(tmp_path / "page.html", busy(), publication(), picture=picture)
    assert (found.pictures, found.without_picture) == (1, 1)
    assert asked and not any(path.endswith("-0.jpg") for path in asked)
    text = (tmp_path / "page.html").read_text("utf-8")
    assert text.count("the original is no longer at its place") == 1
    assert "/cards/" not in text
    source = re.search(r'src="data:image/jpeg;base64,([^"]+)"', text)
    assert source
    with Image.open(BytesIO(b64decode(source[1]))) as small:
        assert small.size == (320, 240) and not small.getexif()


def test_a_broken_original_is_said_to_be_broken(tmp_path: Path) -> None:
    """And no words of the decoder's reach the page."""
    each = busy(("fox",), ("A",))
    assert "cannot be shown: not an image" in page_of(
        each, tmp_path, {f"/cards/0-0-{day}.jpg": b"no" for day in range(12)}
    )


def test_originals_are_read_only_where_they_are_files(tmp_path: Path) -> None:
    """No folder, no pipe that waits for a writer, no name that no file can have."""
    (tmp_path / "a.jpg").write_bytes(b"bytes")
    assert read_original(str(tmp_path / "a.jpg")) == b"bytes"
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "gone.jpg", ".", "a\0b"):
        assert read_original(str(tmp_path / name)) is None


def test_coordinates_are_rounded_before_anything_is_drawn(tmp_path: Path) -> None:
    """With one decimal both places are one point of the map, and no digit more is in the file."""
    text = page_of(busy(), tmp_path, coordinate_decimals=1)
    assert "rounded to 1 decimal" in text and ">A +1</text>" in text
    assert "46.12" not in text and "7.65" not in text
    assert ">A</text>" in page_of(busy(), tmp_path)


def test_an_empty_survey_and_one_photograph_make_a_page(tmp_path: Path) -> None:
    """With what there is, and sentences for what there is not."""
    assert "No photograph has been processed yet." in page_of(survey(), tmp_path)
    row = {"deployment_id": "D", "event_id": "e"}
    each = survey([place("D", "A")], [{**row, "timestamp": START}], [{**row, "event_start": START, "scientific_name": "fox"}],
                  [{"location_id": "A", "day": DAY}])  # fmt: skip
    text = page_of(each, tmp_path)
    assert '1 location surveyed on <span class="when">2026-05-01</span>: 1 photograph in 1 event, 1 species.' in text
    assert "No location has coordinates" in text and "n = 1, too few" in text
    Reader(text)


def test_taxa_give_species_their_names(tmp_path: Path) -> None:
    """The common name first, the scientific one in italics."""
    text = page_of(busy(), tmp_path, taxa={"fox": Taxon("Vulpes vulpes", vernacular_name="Red fox")})
    assert '<span>Red fox</span> <span class="also"><i class="name">Vulpes vulpes</i></span>' in text


@given(st.lists(st.tuples(st.floats(-85, 85), st.floats(-180, 180), st.floats(0, 400)), min_size=1, max_size=25))
@settings(deadline=None, max_examples=60)
def test_labels_of_the_map_touch_nothing(found: list[tuple[float, float, float]]) -> None:
    """Circles lie on the drawing, and no two labels share a pixel, wherever on earth."""
    names = [f"place {at}" for at in range(len(found))]
    rows = place_map.together(names, *([float(row[at]) for row in found] for at in range(3)), 4)
    assert sum(len(row.names) for row in rows) == len(found)
    drawn, missing = place_map.draw(rows)
    root = ElementTree.fromstring(drawn)
    width, height = (float(value) for value in root.attrib["viewBox"].split()[2:])
    space = "{http://www.w3.org/2000/svg}"
    for circle in root.iter(f"{space}circle"):
        assert 0 <= float(circle.attrib["cx"]) <= width and 0 <= float(circle.attrib["cy"]) <= height
    boxes = [
        (float(text.attrib["x"]), float(text.attrib["y"]), len(text.text or "") * 7.68)
        for text in root.iter(f"{space}text")
        if text.attrib.get("class") == "label"
    ]
    assert len(boxes) + missing == len(rows)
    for at, (x, y, wide) in enumerate(boxes):
        for other_x, other_y, other_wide in boxes[:at]:
            assert x + wide <= other_x or other_x + other_wide <= x or abs(y - other_y) >= 12


@pytest.mark.parametrize("days", [1, 40, 400, 1500, 5000])
def test_the_calendar_has_every_day_whatever_their_number(days: int) -> None:
    """Marks of a row lie side by side and are as long as the days they stand for."""
    states = np.random.default_rng(days).integers(0, 5, (3, days)).astype(np.uint8)
    drawn = draw_calendar(Calendar(("A", "B", "C"), date(2024, 2, 20), states), (1.0, 2.0, 3.0))
    drawing = re.search(r'<svg role="img".*?</svg>', drawn, re.DOTALL) or re.search(
        r"<svg [^>]*role=.*?</svg>", drawn, re.DOTALL
    )
    assert drawing
    groups = list(ElementTree.fromstring(drawing[0]).iter("{http://www.w3.org/2000/svg}g"))
    assert len(groups) == 3
    for group, row in zip(groups, states, strict=True):
        marks = [mark.attrib for mark in group if mark.tag.endswith("rect") and mark.attrib["class"] != "none"]
        long = sum(float(mark["width"].rstrip("%")) for mark in marks)
        assert long == pytest.approx(100 * (row != 0).mean(), abs=0.005 * len(marks) + 0.01)


def test_pieces_say_what_they_mean() -> None:
    """Small shares are not rounded to nothing, thousands are parted, text is escaped once."""
    assert [share(part) for part in (None, 0, 0.004, 0.5, 0.999, 1)] == [
        "–",
        "0\u202f%",
        "<1\u202f%",
        "50\u202f%",
        ">99\u202f%",
        "100\u202f%",
    ]
    assert (number(12345), number(1.25, 1), number(None)) == ("12\u202f345", "1.2", "–")
    assert (counted(1, "event"), counted(2, "event")) == ("1 event", "2 events")
    assert element("p", "a<b", element("b", "&"), css='x"') == '<p class="x&quot;">a&lt;b<b>&amp;</b></p>'
    assert clean("a\x07b\u202ec") == "a\ufffdb\ufffdc"
