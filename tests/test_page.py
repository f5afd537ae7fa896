"""What people look at: pictures that are the same each time, sentences that follow from figures, a page without a way out."""

import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ctwatch_train.figures import operating
from ctwatch_train.figures.evaluate import figures_of
from ctwatch_train.figures.view import Subject, View
from ctwatch_train.fitting.journal import COLUMNS
from ctwatch_train.pages import findings, mistakes, plots
from ctwatch_train.pages.page import PAPER_COLUMN, page
from ctwatch_train.pages.page_parts import Markup, element
from ctwatch_train.pages.plots import Series
from ctwatch_train.sets.dataset import open_set
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ctwatch.domain import BLANK, Canvas, ModelInfo, Preprocessing, Task

HOSTILE = (
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    '$x_{1}$ " onload="x',
    "獅子\u202e\x1b[31m\ud800",
    "long" * 60,
)
PREPROCESSING = Preprocessing(Canvas(32, 32), (32, 32), (0.5,) * 3, (0.25,) * 3)
VOID = {"meta", "img", "br"}


def info(task: Task, labels: tuple[str, ...], number: int) -> ModelInfo:
    stated = dict.fromkeys(labels, 1 / len(labels))
    return ModelInfo(
        f"{number:032x}", f"<b>{task} {number}", task, "thin_resnet10", labels, PREPROCESSING, 1.3,
        {BLANK: 0.6} if task is Task.EMPTY else {}, recipe={"priors": {"training": stated, "natural": stated}},
    )  # fmt: skip


def view(splits: tuple[int, ...] = (1, 2, 3), events: int = 60, seed: int = 0) -> View:
    """Two photographs an event, five places, species with names that nobody wants to see run."""
    rng = np.random.default_rng(seed)
    names = tuple(sorted((BLANK, *HOSTILE, "zebra")))
    of_event = np.arange(events).repeat(2)
    labels = rng.integers(0, len(names), events)[of_event]
    labels[rng.random(len(labels)) < 0.1] = -1
    n = len(labels)
    return View(
        media_ids=tuple(f"{at:032x}" for at in range(n)),
        paths=tuple(f"<i>/{HOSTILE[at % len(HOSTILE)]}.jpg" for at in range(n)),
        label_names=names,
        labels=labels,
        location_names=tuple(f"</td>place {at}" for at in range(5)),
        locations=(of_event % 5).astype(np.int64),
        event_names=tuple(f"&event {at}" for at in range(events)),
        events=of_event,
        source_names=("<u>source",),
        sources=np.zeros(n, np.int64),
        splits=np.array(splits)[of_event % len(splits)],
        balanced=np.zeros(n, bool),
        training=np.ones((1, len(names)), np.int64),
    )


def said(seen: View, labels: tuple[str, ...], members: int, seed: int = 1) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1, (len(seen.labels), members, len(labels)))
    for at, label in enumerate(labels):
        match = np.array([number >= 0 and seen.label_names[number] == label for number in seen.labels])
        logits[:, :, at] += 2 * match[:, None]
    values = np.exp(logits)
    return values / values.sum(-1, keepdims=True)


def about(leaky: bool = False) -> dict[str, Any]:
    cell = {"photographs": 40, "events": 20, "locations": 5, "blank": 6, "several": 2}
    return {
        "name": "<set>", "fingerprint": "f" * 32, "unit": "image" if leaky else "location", "leaky": leaky,
        "canvas": [32, 32], "counts": {"train": cell}, "sources": {"<u>source": {"train": cell}},
        "test_locations_in_training": 0,
    }  # fmt: skip


@pytest.fixture(scope="module")
def evaluation() -> dict[str, Any]:
    """Both tasks, two models each, as `evaluate` puts them together."""
    seen, splits = view(), ("test", "test_seen")
    species = Subject(tuple(info(Task.SPECIES, HOSTILE, at) for at in range(2)), said(seen, HOSTILE, 2))
    labels = ("animal", BLANK)
    empty = Subject(tuple(info(Task.EMPTY, labels, at) for at in range(2)), said(seen, labels, 2))
    both = [figures_of(each.probabilities, each.members, seen, about=about(), rounds=20) for each in (species, empty)]
    pipeline = operating.pipeline_of(species, empty, seen, splits)
    match = operating.match_of(species, empty, seen, splits, target=0.5)
    work = operating.labour_of(match, pipeline, {"<u>source": 3_200_000}, None)
    return {**both[0], "pipeline": pipeline, "match_human": match, "labour": work, "empty_filter": both[1]}


class Read(HTMLParser):
    """Reads a page strictly: every element closed in turn, every attribute kept."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def shown(evaluation: dict[str, Any]) -> str:
    return page(evaluation)


def test_a_page_asks_for_nothing_outside_of_it(shown: str) -> None:
    read = Read(shown)
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & set(read.names)
    for tag, name, value in read.attributes:
        assert not name.startswith("on"), (tag, name)
        if name in ("src", "href", "xlink:href", "action", "data", "srcset"):
            assert value.startswith(("#", "data:image/")), (tag, name, value[:80])
    assert "@import" not in shown
    assert all(address.startswith("#") for address in re.findall(r"url\(([^)]*)\)", shown))
    assert "default-src 'none'" in shown


def test_what_strangers_wrote_stays_text(shown: str) -> None:
    read = Read(shown)
    text = " ".join(read.texts)
    for name in (*HOSTILE[:3], "<u>source", "<set>", "<b>species 0", "</td>place 1"):
        assert name in text
    assert "u" not in read.names and "i" not in read.names
    assert "\u202e" not in shown and "\x1b" not in shown
    shown.encode("utf-8")


def test_seen_stands_beside_unseen_and_balanced_beside_natural(shown: str, evaluation: dict[str, Any]) -> None:
    """Every accuracy of the default ensemble is there with its number of items, before any chapter begins."""
    start = shown[: shown.index("<h2")]
    for each in (evaluation, evaluation["empty_filter"]):
        for section in each["sections"]:
            for level in ("image", "event"):
                cell = section["who"]["ensemble:logit"][level]
                assert f"<strong>{findings.share(cell['accuracy'])}</strong>" in start
                assert f"n {cell['n']:,}</small>" in start
    assert {section["split"] for section in evaluation["sections"]} == {"test", "test_seen"}
    assert start.count("unseen places") >= 2 and start.count(">seen places") >= 2


def test_a_page_is_the_same_each_time_and_a_leak_is_shouted_before_anything_else(shown: str) -> None:
    seen = view()
    alone = figures_of(
        said(seen, HOSTILE, 1), [info(Task.SPECIES, HOSTILE, 0)], seen, about=about(leaky=True), rounds=5
    )
    text = page(alone)
    assert page(json.loads(json.dumps(alone))) == text
    assert 0 < text.index('class="shout"') < text.index('class="answer"')
    assert "too good to be true" in text
    assert 'class="shout"' not in shown


def test_published_figures_stand_only_in_a_column_that_says_so(shown: str) -> None:
    before, paper = shown.split("What was published elsewhere</h2>")
    assert PAPER_COLUMN in paper
    assert "97.8 %" in paper
    assert before.count("Norouzzadeh") == before.count("Norouzzadeh et al. 2018")
    assert PAPER_COLUMN not in before


def test_work_saved_is_called_an_estimate_and_shows_its_constants(shown: str, evaluation: dict[str, Any]) -> None:
    assert "Estimate, linear extrapolation" in shown
    assert "14.6 x images / 5,500,000" in shown
    assert f"{evaluation['labour'][0]['years']:.3f}" in shown


def test_where_nothing_could_be_measured_the_page_says_why() -> None:
    """No photograph of a label that the model knows, no validation, no second task, no seen places."""
    seen = replace(view(splits=(2,)), labels=np.zeros(120, np.int64))
    labels = ("giraffe", "lion")
    empty_handed = figures_of(said(seen, labels, 1), [info(Task.SPECIES, labels, 0)], seen, about=about(), rounds=5)
    text = " ".join(Read(page(empty_handed)).texts)
    for reason in (
        "No photograph has an answer that the models know",
        "no photograph is in test_seen",
        "name the folders of both",
        "no validation photographs",
        "No estimate",
    ):
        assert reason in text, reason


def points(number: int) -> list[dict[str, Any]]:
    return [{"threshold": 0.5, "animals_lost": at / number, "blanks_removed": at / number} for at in range(number)]


BINS = [{"low": at / 15, "high": (at + 1) / 15, "n": 0, "confidence": None, "accuracy": None} for at in range(14)]
RELIABILITY = {
    "bins": [*BINS, {"low": 14 / 15, "high": 1.0, "n": 5, "confidence": 0.97, "accuracy": 0.8}],
    "ece": 0.17,
}
ROWS = [
    {"threshold": 0.0, "n_kept": 9, "coverage": 1.0, "top1": 0.5, "top1_95": [0.2, 0.8]},
    {"threshold": 0.99, "n_kept": 0, "coverage": 0.0, "top1": None, "top1_95": None},
]
DRAWN = {
    "confusion": lambda form: plots.confusion(HOSTILE, np.arange(25).reshape(5, 5).tolist(), form),
    "confusion of nothing": lambda form: plots.confusion(["a", "b"], [[0, 0], [0, 0]], form),
    "reliability": lambda form: plots.reliability(RELIABILITY, {"bins": BINS, "ece": None}, form),
    "risk": lambda form: plots.risk_coverage(
        [Series(HOSTILE[0], {"coverage": [0.5, 1.0], "risk": [0.0, 0.25], "aurc": 0.1})], form
    ),
    "thresholds": lambda form: plots.thresholds([Series(HOSTILE[2], ROWS, dashed=True), Series("b", ROWS)], form),
    "empties": lambda form: plots.empties([Series("a", points(5))], form),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_picture_is_a_picture_and_the_same_each_time(name: str) -> None:
    """PNG that decodes, SVG that parses, no date in it, no address outside, and no markup out of a label."""
    png = DRAWN[name]("png")
    with Image.open(BytesIO(png)) as image:
        image.load()
        assert image.format == "PNG" and min(image.size) > 100
        assert not image.info.keys() & {"Software", "Creation Time", "date"}
    svg = DRAWN[name]("svg")
    assert DRAWN[name]("svg") == svg
    root = ElementTree.fromstring(svg)
    assert root.tag.endswith("svg")
    assert not [each for each in root.iter() if each.tag.endswith(("script", "metadata", "a"))]
    addresses = [value for each in root.iter() for key, value in each.attrib.items() if key.endswith("href")]
    assert all(value.startswith(("#", "data:image/png")) for value in addresses)
    assert b"currentColor" in svg and b"DOCTYPE" not in svg
    known = set(re.findall(rb'id="([^"]+)"', svg))
    assert set(re.findall(rb'(?:url\(#|href="#)([^")]+)', svg)) <= known


@settings(max_examples=6, deadline=None)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_a_confusion_matrix_takes_any_names(labels: list[str], seed: int) -> None:
    counts = np.random.default_rng(seed).integers(0, 9, (len(labels), len(labels)))
    ElementTree.fromstring(plots.confusion(labels, counts.tolist()))


def test_rows_without_items_are_left_out_and_columns_are_not() -> None:
    texts = [
        each.text
        for each in ElementTree.fromstring(plots.confusion(["ape", "bat"], [[3, 1], [0, 0]])).iter()
        if each.text
    ]
    assert "ape  4" in texts and "75" in texts and "25" in texts
    assert "bat" in texts and not any(text.startswith("bat  ") for text in texts)


def test_a_training_curve_is_drawn_from_the_log(tmp_path: Path) -> None:
    """A loss that was no number leaves a gap; the same log gives the same bytes."""
    rows = [[epoch, epoch * 10, *([0.5] * (len(COLUMNS) - 2))] for epoch in (1, 2, 3)]
    rows[1][3] = float("nan")
    lines = [",".join(COLUMNS), *(",".join(map(str, row)) for row in rows)]
    (tmp_path / "log.csv").write_text("\n".join(lines) + "\n", "utf-8")
    drawn = plots.training_curve(tmp_path / "log.csv")
    assert drawn == plots.training_curve(tmp_path / "log.csv")
    with Image.open(BytesIO(drawn)) as image:
        image.load()
        assert image.width > image.height > 300


@given(st.text(st.characters(exclude_categories=())))
def test_cleaned_text_can_be_stored_and_hides_nothing(text: str) -> None:
    cleaned = plots.clean(text)
    cleaned.encode("utf-8")
    assert len(cleaned) <= 200
    assert not re.search(r"[\x00-\x1f\x7f\u202a-\u202e]", cleaned)
    assert plots.clean("Panthera pardus ♀ 獅") == "Panthera pardus ♀ 獅"


@given(st.text(max_size=50), st.text(max_size=50))
def test_an_element_gives_back_the_text_that_went_in(text: str, title: str) -> None:
    read = Read(element("p", text, title=title))
    assert "".join(read.texts) == plots.clean(text)
    assert read.attributes == [("p", "title", plots.clean(title))]
    assert Read(element("p", Markup("<b>x</b>"))).names == ["p", "b"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.0, "0.0 %"), (0.00001, "0.1 %"), (0.5561, "55.6 %"), (0.99999, "99.9 %"), (1.0, "100.0 %")],
)
def test_shares_are_never_rounded_to_all_or_to_nothing(value: float | None, text: str) -> None:
    assert findings.share(value) == text


def section(recall: dict[str, tuple[int, float]], accuracy: float, ci: list[float]) -> dict[str, Any]:
    figures = {
        "n": sum(n for n, _ in recall.values()),
        "accuracy": accuracy,
        "accuracy_95": [0.31, 0.62],
        "recall": {label: {"n": n, "recall": share} for label, (n, share) in recall.items()},
        "ci": {"accuracy": ci},
    }
    return {
        "source": "real", "split": "test", "prior": "natural", "used": {"locations": 4, "event_targets": 45},
        "who": {"ensemble:logit": {"image": figures, "event": figures}}, "ensemble": {},
    }  # fmt: skip


def test_cautions_follow_from_the_figures() -> None:
    """47 photographs of 4 places, 29 animals of which 28 are found and 18 blanks of which none is."""
    parts = [section({"animal": (29, 28 / 29), "blank": (18, 0.0)}, 28 / 47, [0.45, 0.72])]
    found = findings.cautions(
        {
            "sections": parts,
            "labels": ["animal", "blank", "ghost"],
            "default": "logit",
            "set": None,
            "notes": ["A note."],
        }
    )
    grave = [each.text for each in found if each.grave]
    plain = [each.text for each in found if not each.grave]
    assert grave == [
        "Always answering animal would be right in 61.7 % of these photographs. The ensemble, with 59.6 %, is no better than that.",
        "Of 18 photographs of blank it recognised none.",
        "Never tested, because no test photograph shows them: ghost.",
    ]
    assert plain == [
        "These are only 45 events of 4 places; others may do quite differently.",
        "The interval of accuracy is 27 points wide.",
        "Fewer than 20 photographs each: blank. What is said of these is a guess.",
        "A note.",
    ]


def test_an_interval_of_events_that_are_all_alike_is_wilsons() -> None:
    """Drawing right answers again and again gives right answers: no width, and no certainty."""
    figures = section({"animal": (9, 1.0)}, 1.0, [1.0, 1.0])["who"]["ensemble:logit"]["image"]
    assert findings.certain(figures) == [0.31, 0.62]
    assert findings.certain({**figures, "ci": {"accuracy": [0.4, 0.5]}}) == [0.4, 0.5]


@pytest.mark.parametrize(
    ("label", "person"),
    [
        ("human", True), ("Homo sapiens", True), ("HOMO SAPIENS sapiens", True), ("person_with_dog", True), ("People", True),
        ("ｈｕｍａｎ", True), ("humane society", False), ("homoptera", False), ("salesperson", False), ("demo zebra", False),
    ],
)  # fmt: skip
def test_people_are_known_by_their_label(label: str, person: bool) -> None:
    assert mistakes.says_person(label) is person


def noise(seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 255, (225, 300, 3), np.uint8)


def cell(person: bool) -> mistakes.Mistake:
    answers = (("zebra", 0.7), (HOSTILE[0], 0.2), (HOSTILE[3], 0.1))
    return mistakes.Mistake(HOSTILE[0], answers, "place", person, noise)


def opened(data: bytes) -> np.ndarray[Any, Any]:
    with Image.open(BytesIO(data)) as image:
        assert image.format == "JPEG"
        return np.asarray(image.convert("RGB"), np.float64)


def test_people_are_not_shown_unless_asked_for() -> None:
    """What is left of a person is a dozen blocks across: within one nothing can be told."""
    hidden, asked = opened(mistakes.sheet([cell(True)])), opened(mistakes.sheet([cell(True)], show_people=True))
    block = (slice(16 + 104, 16 + 120), slice(16 + 104, 16 + 121))
    assert hidden[block].std(axis=(0, 1)).max() < 4
    assert asked[block].std(axis=(0, 1)).max() > 25
    assert mistakes.sheet([cell(True)], show_people=True) == mistakes.sheet([cell(False)])


def test_a_sheet_has_a_cell_for_each_mistake_and_says_what_is_left_out() -> None:
    one, five = (opened(mistakes.sheet([cell(False)] * number)) for number in (1, 5))
    assert five.shape[1] > 3 * one.shape[1] and five.shape[0] > 1.8 * one.shape[0]
    assert opened(mistakes.sheet([cell(False)], left_out=3)).shape[0] > one.shape[0]
    assert opened(mistakes.sheet([])).size


def test_every_source_has_its_share_of_the_sheet() -> None:
    found = [{"source": source, "kind": kind} for source in "ab" for kind in ("worst", "random") for _ in range(40)]
    part = mistakes.chosen(found, 24)
    assert [(each["source"], each["kind"]) for each in part] == (
        [("a", "worst")] * 8 + [("a", "random")] * 4 + [("b", "worst")] * 8 + [("b", "random")] * 4
    )
    assert len(mistakes.chosen(found[:3], 24)) == 3


def test_photographs_come_from_their_files_and_else_from_the_set(tiny_set: Path) -> None:
    """And who may be on them, the set knows: to an empty filter a person is an animal."""
    training_set = open_set(tiny_set, verify=False)
    people = training_set.label_names.index("human")
    rows = [
        int(np.flatnonzero(training_set.labels == people)[0]),
        int(np.flatnonzero(training_set.labels != people)[0]),
    ]
    found = [
        {
            "media_id": training_set.media_ids[row], "truth": "animal", "answers": [["blank", 0.9], ["animal", 0.1]],
            "source": "drawn", "location": "", "kind": "worst",
        }
        for row in rows
    ]  # fmt: skip
    first, second = mistakes.mistakes_in(found, training_set)
    assert first.person and not second.person
    assert max(second.photograph().shape[:2]) > 56
    gone = replace(training_set, paths=tuple(f"{path}.gone" for path in training_set.paths))
    _, second = mistakes.mistakes_in(found, gone)
    assert (second.photograph() == gone.pixels(np.array([rows[1]]))[0].transpose(1, 2, 0)).all()
    unsure = [{**found[1], "answers": [["zebra", 0.98], ["Homo sapiens", 0.02]]}]
    assert next(mistakes.mistakes_in(unsure, training_set)).person
