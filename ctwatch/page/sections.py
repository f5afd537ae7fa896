"""The sections of the page about effort, places and species; each from its tables, each with what it means."""

from collections.abc import Callable, Mapping

import numpy as np

from ctwatch.page import clocks, effort_calendar, place_map
from ctwatch.page.html import (
    NOTHING,
    Column,
    Markup,
    bar,
    camera_days,
    counted,
    day,
    element,
    join,
    number,
    plain,
    scroll,
    share,
    shortened,
    table,
)
from ctwatch.page.thumbnails import Thumbnail
from ctwatch.survey_figures import FEWEST_FOR_ACTIVITY
from ctwatch.survey_figures.tables import SurveyFigures, rows

Named = Callable[[str], Markup]
"""A species' name as people read it."""
Short = Callable[[str], str]
"""The same where there is little room."""
_MOST_CLOCKS = 36
_MOST_COLUMNS = 40


def section(anchor: str, title: str, *content: str) -> Markup:
    """Return a section with its heading."""
    return element("section", element("h2", title), *content, id=anchor, aria_label=title)


def note(*texts: str) -> Markup:
    """Return what somebody should know beside a figure."""
    return element("p", *texts, css="note")


def places(found: SurveyFigures, decimals: int) -> Markup:
    """Return the map, and the table of locations beside it."""
    here = found.locations
    if not here.location_id:
        return Markup("")
    known = [
        at
        for at, (north, east) in enumerate(zip(here.latitude, here.longitude, strict=True))
        if north is not None and east is not None
    ]
    titles = [_place_name(name, here.location_name[at]) for at, name in enumerate(here.location_id)]
    if known:
        drawn, missing = place_map.draw(
            place_map.together(
                [here.location_id[at] for at in known],
                [float(here.latitude[at] or 0) for at in known],
                [float(here.longitude[at] or 0) for at in known],
                [here.camera_days[at] for at in known],
                decimals,
            )
        )
        says = ["Circles by camera-days; hollow: none."]
        if decimals < 6:
            says.append(f"Coordinates are rounded to {counted(decimals, 'decimal')}.")
        if missing:
            says.append(f"{counted(missing, 'label')} found no room.")
        without = [here.location_id[at] for at in range(len(titles)) if at not in set(known)]
        if without:
            says.append(f"Without coordinates: {', '.join(without[:20])}{' …' if len(without) > 20 else ''}.")
        figure = element("figure", drawn, element("figcaption", " ".join(says), css="note"))
    else:
        figure = note("No location has coordinates; write latitude and longitude into the deployments table for a map.")
    body = [
        (
            titles[at],
            number(row[7], 1),
            number(row[8]) if row[8] else NOTHING,
            number(row[10]),
            number(row[11]),
            number(row[13]),
        )
        for at, row in enumerate(rows(here))
    ]
    columns = [
        Column("Location", text=True), Column("Camera-days"), Column("Days not working"), Column("Photographs"),
        Column("Events"), Column("Species"),
    ]  # fmt: skip
    listed = element("div", table(columns, body, "Locations"), css="tall")
    return section("places", "Where", element("div", figure, listed, css="beside"))


def effort(found: SurveyFigures) -> Markup:
    """Return the effort calendar."""
    if not found.calendar.states.size:
        return section("effort", "When cameras worked", note("No day has effort: no photograph has a time to trust."))
    totals = found.totals
    text = (
        f"{camera_days(totals.camera_days)} camera-days at {counted(totals.locations_surveyed, 'location')}."
        + (f" On {counted(totals.days_not_working, 'location-day')} cameras were set up and did not work."
           if totals.days_not_working else "")
    )  # fmt: skip
    drawn = effort_calendar.draw(found.calendar, found.locations.camera_days)
    return section("effort", "When cameras worked", element("p", text), effort_calendar.legend(), drawn)


def species(found: SurveyFigures, named: Named) -> Markup:
    """Return the species table with bars and intervals."""
    if not found.species.scientific_name:
        return section("species", "Species", note("No event has been given a species yet."))
    most = max((value for value in found.species.rai if value), default=None)
    body = []
    for row in rows(found.species):
        name, events, independent, _, at, naive, low, high, rai, first, last, confirmed, review = row
        body.append((
            named(name), number(events), number(independent),
            join("<0.01" if rai and rai < 0.005 else number(rai, 2), bar(rai / most if rai is not None and most else None)),
            number(at), join(share(naive), _interval(naive, low, high)), day(first), day(last),
            share(confirmed), number(review) if review else NOTHING,
        ))  # fmt: skip
    columns = [
        Column("Species", text=True), Column("Events"), Column("Independent"), Column("RAI"), Column("Locations"),
        Column("Naive occupancy"), Column("First"), Column("Last"), Column("Confirmed"), Column("To review"),
    ]  # fmt: skip
    said = (
        f"Independent: at least {found.independence_min:g} minutes apart. RAI: independent detections per 100"
        " camera-days. Naive occupancy: share of surveyed locations, with its 95 % interval; animals that were there"
        " and not seen are not accounted for."
    )
    return section("species", "Species", table(columns, body, said))


def frames(found: SurveyFigures, pictures: Mapping[str, Thumbnail], named: Named) -> Markup:
    """Return the best frame of every species."""
    drawn = []
    for name in found.species.scientific_name:
        picture = pictures.get(name)
        if picture is None:
            drawn.append(_frame(named(name), element("p", "no photograph that may be shown"), []))
            continue
        frame = picture.frame
        when = f"{frame.timestamp:%Y-%m-%d %H:%M}" if frame.timestamp else "no time to trust"
        said = f"{share(frame.probability)} sure" if frame.probability is not None else "no probability"
        state = (
            element("span", "confirmed by a person", css="said") if frame.confirmed
            else element("span", f"{said}, to be reviewed", css="doubt") if frame.to_review
            else element("span", said)
        )  # fmt: skip
        image = (
            element("img", src=picture.source, alt=f"{name} at {frame.location_id}", width=picture.width, height=picture.height)
            if picture.source else element("p", picture.why)
        )  # fmt: skip
        drawn.append(
            _frame(
                named(name),
                image,
                [shortened(frame.location_id, 40), ", ", element("span", when, css="when"), element("br"), state],
            )
        )
    if not drawn:
        return Markup("")
    said = "The best frame of each species: confirmed before sure before doubtful. Frames with people are never shown."
    return section("frames", "What was seen", note(said), element("div", drawn, css="frames"))


def matrix(found: SurveyFigures, short: Short) -> Markup:
    """Return detections by location and species, shaded."""
    seen = found.detections
    if not seen.scientific_names or not seen.location_ids:
        return Markup("")
    names = seen.scientific_names[:_MOST_COLUMNS]
    values = seen.detections[:, : len(names)]
    most = max(1, int(values.max(initial=0)))
    head = element(
        "tr",
        element("td", ""),
        [element("th", element("span", shortened(short(name), 28)), scope="col") for name in names],
    )
    lines = []
    for row, location_id in enumerate(seen.location_ids):
        cells = []
        for value in values[row].tolist():
            # By square root, for a few common species would leave all others white.
            shade = 0 if not value else 1 + min(5, int(np.sqrt(value / most) * 6))
            text = number(value) if value else "·" if seen.surveyed[row] else NOTHING
            cells.append(element("td", text, css=f"h{shade}"))
        lines.append(element("tr", element("th", shortened(location_id, 24), scope="row"), cells))
    told = "Independent detections by location and species; a dot: surveyed and not seen; a dash: not surveyed."
    if len(names) < len(seen.scientific_names):
        told += f" The {len(names)} most detected of {len(seen.scientific_names)} species."
    return section("matrix", "Which species where", note(told), _matrix(head, lines, "Species by location"))


def activity(found: SurveyFigures, named: Named, short: Short) -> Markup:
    """Return a clock per species, and how much they overlap."""
    table_ = found.activity
    dated = [row for row in rows(table_) if row[1]]
    if not dated:
        return Markup("")
    drawn = [
        element(
            "figure",
            clocks.clock(name, hours, density),
            element("figcaption", named(name), _enough(len(hours), density is not None)),
        )
        for name, _, hours, density in dated[:_MOST_CLOCKS]
    ]
    told = (
        "Around the clock, midnight at the top: ticks are independent detections, the shape their von Mises kernel density,"
        f" each to its own greatest. Below {FEWEST_FOR_ACTIVITY} detections no curve is drawn. Times are the camera's,"
        " corrected where its clock was wrong; there is no allowance for sunrise."
    )
    if len(dated) > _MOST_CLOCKS:
        told += f" The {_MOST_CLOCKS} most detected of {len(dated)} species."
    return section(
        "activity", "When they are active", note(told), element("div", drawn, css="clocks"), _overlaps(found, short)
    )


def accumulation(found: SurveyFigures) -> Markup:
    """Return the species accumulation curve and what it says of species not yet seen."""
    curve = found.accumulation
    if not curve.observed or curve.units[-1] < 2:
        return Markup("")
    text = f"{counted(curve.observed, 'species', 'species')} in {number(int(curve.units[-1]))} location-days; "
    if curve.chao2 is not None and curve.chao2 - curve.observed >= 0.05:
        text += (
            f"Chao2 estimates at least {curve.chao2:.1f} (95 % interval {curve.chao2_low:.1f} to {curve.chao2_high:.1f}),"
            f" from {curve.uniques} seen on one location-day only and {curve.duplicates} on two."
        )
    else:
        text += f"Chao2 expects no more: {curve.uniques} seen on one location-day only, {curve.duplicates} on two."
    said = (
        "The line is the number of species that part of the sampling would have found on average, the band its 95 %"
        " interval, dashed the Chao2 estimate."
    )
    drawn = element("figure", clocks.accumulation(curve))
    told = element("div", element("p", text), note(said))
    return section("accumulation", "How complete the list is", element("div", drawn, told, css="beside"))  # fmt: skip


def _overlaps(found: SurveyFigures, short: Short) -> Markup:
    shared = found.overlaps
    if len(shared.scientific_names) < 2:
        return Markup("")
    names = shared.scientific_names
    head = element(
        "tr",
        element("td", ""),
        [element("th", element("span", shortened(short(name), 28)), scope="col") for name in names[:-1]],
    )
    lines = []
    for row in range(1, len(names)):
        cells = [
            element("td", f"{shared.overlap[row, at]:.2f}", css=f"h{1 + min(5, int(shared.overlap[row, at] * 6))}")
            if at < row else element("td", "")
            for at in range(len(names) - 1)
        ]  # fmt: skip
        lines.append(element("tr", element("th", shortened(short(names[row]), 28), scope="row"), cells))
    told = (
        "Overlap of activity, 0 (never at the same time) to 1 (the same pattern): Dhat4 from 75 detections, else Dhat1."
    )
    return join(element("h3", "Overlap in time"), note(told), _matrix(head, lines, "Overlap of activity"))


def _matrix(head: Markup, lines: list[Markup], says: str) -> Markup:
    return scroll(
        element("table", element("thead", head), element("tbody", lines), css="matrix", aria_label=says), says
    )


def _enough(n: int, drawn: bool) -> Markup:
    told = element("span", f"n = {number(n)}", "" if drawn else ", too few")
    return element("span", told, css="n" if drawn else "n few")


def _interval(naive: float | None, low: float | None, high: float | None) -> Markup:
    """Draw a share with its interval on a band from nothing to all."""
    if naive is None or low is None or high is None:
        return Markup("")
    return element(
        "svg", element("rect", y="42%", width="100%", height="16%", css="rest"),
        element("rect", x=f"{plain(100 * low)}%", y="22%", width=f"{plain(100 * (high - low))}%", height="56%", css="between"),
        element("circle", cx=f"{plain(100 * naive)}%", cy="50%", r=3), element("title", f"{share(low)} to {share(high)}"),
        css="interval", aria_hidden="true",
    )  # fmt: skip


def _frame(name: Markup, picture: Markup, said: list[str]) -> Markup:
    return element("figure", element("div", picture, css="picture"), element("figcaption", element("b", name), said))


def _place_name(location_id: str, name: str | None) -> str:
    return shortened(f"{location_id} ({name})" if name and name != location_id else location_id, 80)
