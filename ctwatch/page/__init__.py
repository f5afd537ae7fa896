"""The survey as one HTML page: opens anywhere, asks no network, runs no program, prints."""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ctwatch.export.files import write_bytes
from ctwatch.page import sections
from ctwatch.page.html import Column, Markup, camera_days, counted, day, element, join, number, share, shortened, table
from ctwatch.page.style import STYLE
from ctwatch.page.thumbnails import Thumbnail, read_original, thumbnails
from ctwatch.survey import Publication, Survey, Taxon
from ctwatch.survey_figures import figures
from ctwatch.survey_figures.frames import best_frames
from ctwatch.survey_figures.tables import SurveyFigures, rows

__all__ = ["Written", "page", "read_original", "write"]

_MOST_ROWS = 40


@dataclass(frozen=True, slots=True)
class Written:
    """What became of the page."""

    path: Path
    size: int
    """Bytes."""
    pictures: int
    """Species with a picture."""
    without_picture: int
    """Species whose best frames are gone, broken or private."""


def write(
    path: Path,
    survey: Survey,
    publication: Publication,
    *,
    picture: Callable[[str], bytes | None] = read_original,
    independence_min: float = 30.0,
    duplicate_files: int | None = None,
) -> Written:
    """Write the page of a survey, the same bytes for the same survey; returns what is in it.

    Args:
        path: Of the file, replaced whole.
        survey: What it tells of.
        publication: Title, description, names of species, how far coordinates are rounded, whether people may be shown.
        picture: Returns the bytes of an original by its path; None where it is gone.
        independence_min: Minutes between independent detections.
        duplicate_files: Files whose bytes were in already, which the survey's rows do not tell.
    """
    found = figures(survey, independence_min=independence_min, duplicate_files=duplicate_files)
    pictures = thumbnails(best_frames(survey, with_private=publication.with_private), picture)
    data = page(found, publication, pictures).encode("utf-8")
    write_bytes(path, data)
    shown = sum(item.source is not None for item in pictures.values())
    return Written(path, len(data), shown, found.totals.species - shown)


def page(found: SurveyFigures, publication: Publication, pictures: dict[str, Thumbnail]) -> str:
    """Return the page's text."""

    def named(label: str) -> Markup:
        return _named(label, publication.taxa.get(label))

    def short(label: str) -> str:
        taxon = publication.taxa.get(label)
        return (taxon.vernacular_name or taxon.scientific_name) if taxon else label

    parts = [
        sections.species(found, named),
        sections.frames(found, pictures, named),
        sections.effort(found),
        sections.places(found, publication.coordinate_decimals),
        sections.matrix(found, short),
        sections.activity(found, named, short),
        sections.accumulation(found),
        _quality(found),
        _review(found),
    ]
    linked = [
        ("species", "Species"), ("frames", "What was seen"), ("effort", "When cameras worked"), ("places", "Where"),
        ("matrix", "Which species where"), ("activity", "Activity"), ("accumulation", "Completeness"),
        ("quality", "Quality"), ("review", "To review"), ("definitions", "Definitions"),
    ]  # fmt: skip
    there = {anchor for (anchor, _), part in zip(linked, parts, strict=False) if part} | {"definitions"}
    links = [element("li", element("a", text, href=f"#{key}")) for key, text in linked if key in there]
    header = element(
        "header", element("h1", publication.title), _lead(found, publication), _tiles(found),
        element("nav", element("ul", links), aria_label="Contents"),
    )  # fmt: skip
    style = Markup(STYLE)
    policy = (
        f"default-src 'none'; style-src 'sha256-{_digest(STYLE)}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    head = element(
        "head", element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="generator", content=f"ctwatch {found.ctwatch_version}"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", publication.title), element("style", style),
    )  # fmt: skip
    body = element("body", header, element("main", parts), _footer(found, publication))
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _named(label: str, taxon: Taxon | None) -> Markup:
    """A species by its common name where one is known, its scientific name beneath."""
    if taxon is None:
        return element("span", shortened(label, 80))
    scientific = element("i", taxon.scientific_name, css="name")
    if not taxon.vernacular_name:
        return scientific
    return join(element("span", shortened(taxon.vernacular_name, 80)), " ", element("span", scientific, css="also"))


def _lead(found: SurveyFigures, publication: Publication) -> Markup:
    totals = found.totals
    if totals.photographs:
        first, last = (element("span", day(moment), css="when") for moment in (totals.first_day, totals.last_day))
        when = (
            Markup("") if totals.first_day is None
            else join(" on ", first) if totals.first_day == totals.last_day
            else join(" from ", first, " to ", last)
        )  # fmt: skip
        text = join(
            f"{counted(totals.locations_surveyed, 'location')} surveyed", when,
            f": {counted(totals.photographs, 'photograph')} in {counted(totals.events, 'event')},"
            f" {counted(totals.species, 'species', 'species')}.",
        )  # fmt: skip
    else:
        text = join("No photograph has been processed yet.")
    said = element("p", publication.description) if publication.description else Markup("")
    return join(element("p", text, css="lead"), said)


def _tiles(found: SurveyFigures) -> Markup:
    totals = found.totals
    blank = totals.blank / totals.events if totals.events else None
    review = totals.to_review / totals.events if totals.events else None
    tiles = [
        (camera_days(totals.camera_days), "camera-days", ""),
        (number(totals.locations_surveyed), "locations surveyed", ""),
        (number(totals.photographs), "photographs", ""),
        (number(totals.events), "events", ""),
        (share(blank), "of events blank", ""),
        (number(totals.species), "species", ""),
        (number(totals.confirmed), "events decided by people", ""),
        (number(totals.to_review), f"events to review ({share(review)})" if totals.to_review else "events to review",
         "warn" if totals.to_review else ""),
    ]  # fmt: skip
    return element(
        "dl",
        [element("div", element("dt", text), element("dd", value), css=css or None) for value, text, css in tiles],
        css="tiles",
    )


def _quality(found: SurveyFigures) -> Markup:
    if not found.totals.photographs and not found.totals.deployments:
        return Markup("")
    listed = [row for row in rows(found.quality) if row[2]]
    clear = [row[1] for row in rows(found.quality) if not row[2]]
    parts = []
    if listed:
        columns = [Column("What", text=True), Column("How often"), Column("Of"), Column("What it means", text=True)]
        body = [(what, number(count), number(of), note) for _, what, count, of, note in listed]
        parts.append(table(columns, body, "Found in the data"))
    else:
        parts.append(element("p", "Nothing was found wrong with the data."))
    if clear:
        parts.append(sections.note(f"Looked for and not found: {', '.join(clear)}."))
    if found.flagged.deployment_id:
        pairs = list(rows(found.flagged))
        columns = [Column("Deployment", text=True), Column("Why somebody should look", text=True)]
        said = (
            f"Deployments to look at ({len(pairs)})"
            if len(pairs) <= _MOST_ROWS
            else f"The first {_MOST_ROWS} of {len(pairs)} deployments to look at"
        )
        parts.append(element("h3", "Deployments to look at"))
        parts.append(table(columns, pairs[:_MOST_ROWS], said))
    return sections.section("quality", "Quality of the data", *parts)


def _review(found: SurveyFigures) -> Markup:
    if not found.reasons.reason:
        return sections.section("review", "What waits for people", element("p", "Nothing waits for review."))
    reasons = [(reason, number(events), number(frames)) for reason, events, frames in rows(found.reasons)]
    of_reason = table(
        [Column("Why", text=True), Column("Events"), Column("Time-lapse frames")], reasons,
        "By reason; an event may have several",
    )  # fmt: skip
    listed = list(rows(found.backlog))
    body = [
        (deployment, location, number(waiting), number(events), number(frames))
        for deployment, location, waiting, events, frames in listed[:_MOST_ROWS]
    ]
    left = f"; {len(listed) - _MOST_ROWS} more deployments have less" if len(listed) > _MOST_ROWS else ""
    of_deployment = table(
        [Column("Deployment", text=True), Column("Location", text=True), Column("To review"), Column("Of events"),
         Column("Time-lapse frames")], body, f"By deployment{left}",
    )  # fmt: skip
    tall = element("div", of_deployment, css="tall")
    return sections.section(
        "review", "What waits for people", element("div", element("div", of_reason), tall, css="checks")
    )


def _footer(found: SurveyFigures, publication: Publication) -> Markup:
    minutes = f"{found.independence_min:g}"
    terms = (
        ("Event", "Photographs of one camera that follow each other closely; what was decided, was decided of it as a whole."),
        ("Independent detection", f"An event of a species that begins at least {minutes} minutes after the last independent"
         " one of that species at that location (camtrapR, lastIndependentRecord), on a day with effort."),
        ("Camera-day", "One camera working for one day; setup and retrieval days count in part. Days that are assumed lie"
         " between the first and the last photograph of a deployment without dates."),
        ("Relative abundance index (RAI)", "Independent detections per 100 camera-days. It mixes abundance with how easily a"
         " species is photographed; compare it within a species, with care."),
        ("Naive occupancy", "Locations with a detection by locations surveyed, 95 % Wilson interval. A lower bound: animals"
         " that passed unseen are not in it; occupancy models estimate them from the detection histories."),
        ("Activity", "Von Mises kernel density of the times of independent detections (Ridout & Linkie 2009), overlap as"
         " Dhat1 or Dhat4."),
        ("Species accumulation", "Expected species in a random part of the location-days (Mao Tau; Colwell et al. 2004), with"
         " Chao2 (Chao 1987)."),
    )  # fmt: skip
    published = f" from the state published {found.published_at:%Y-%m-%d %H:%M} UTC" if found.published_at else ""
    made = [f"Made by ctwatch {found.ctwatch_version}{published}."]
    if found.models:
        made.append(f"Classified by {', '.join(found.models[:8])}{' …' if len(found.models) > 8 else ''}.")
    if publication.contributors:
        made.append(f"Survey: {', '.join(name.split('<')[0].strip() for name in publication.contributors)}.")
    if publication.data_licence:
        made.append(f"Data: {publication.data_licence}.")
    if publication.media_licence:
        made.append(f"Photographs: {publication.media_licence}.")
    listed = element("dl", [join(element("dt", term), element("dd", said)) for term, said in terms])
    return element("footer", element("h2", "Definitions"), listed, element("p", " ".join(made)), id="definitions")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode()
