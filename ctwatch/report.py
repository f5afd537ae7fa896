"""Reports: questions to the published database as readable tables, or as JSON for machines."""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from ctwatch.export.files import Cell
from ctwatch.store.queries import Table, table

if TYPE_CHECKING:
    import duckdb

    from ctwatch.results import Histories

REPORTS: dict[str, tuple[str, str]] = {
    "cards": (
        "Cards: files seen = media + duplicates + ignored + failed",
        "SELECT card_name AS card, files_seen, media, duplicates, ignored, failed, time_lapse, without_time, processed_at"
        " FROM cards ORDER BY processed_at",
    ),
    "species": (
        "Species by location: events (of these to review)",
        "SELECT scientific_name AS species, location_id AS location, sum(events) AS events,"
        " sum(events_to_review) AS to_review, min(day) AS first_day, max(day) AS last_day, count(*) AS days"
        " FROM detections GROUP BY ALL ORDER BY species, location",
    ),
    "decisions": (
        "Events by what was decided",
        "SELECT location_id AS location, observation_type AS decided, count(DISTINCT event_id) AS events,"
        " count(DISTINCT event_id) FILTER (needs_review) AS to_review FROM observations WHERE observation_level = 'event'"
        " GROUP BY ALL ORDER BY location, events DESC, decided",
    ),
    "effort": (
        "Effort: camera-days per location",
        "SELECT location_id AS location, min(day) AS first_day, max(day) AS last_day, round(sum(camera_days), 2) AS camera_days,"
        " CASE WHEN bool_or(assumed) THEN 'assumed: first to last photograph' ELSE 'from the deployments table' END AS source"
        " FROM effort GROUP BY location_id ORDER BY location",
    ),
    "deployments": (
        "Deployments and how their folders were understood",
        "SELECT deployment_id AS deployment, location_id AS location, media_count AS media, first_media, last_media, source, flag"
        " FROM deployments ORDER BY deployment",
    ),
    "review": (
        "To review: why, and how many events (and time-lapse frames)",
        "SELECT reason, count(DISTINCT event_id) AS events, count(*) FILTER (event_id IS NULL) AS time_lapse_frames"
        " FROM (SELECT event_id, unnest(string_split(review_reason, ';')) AS reason FROM review_queue)"
        " GROUP BY reason ORDER BY events DESC, reason",
    ),
    "failures": (
        "Files that could not be used",
        # That there is one must be seen to be mended; what it is called is not shown where people are about.
        "SELECT card_name AS card, CASE WHEN private THEN '(of an event with people)' ELSE file_path END AS file, reason,"
        " detail FROM failures ORDER BY card, file",
    ),
    "duplicates": (
        "Files whose bytes were in already",
        "SELECT card_name AS card, first_card AS in_with_card, count(*) AS files FROM duplicates GROUP BY ALL ORDER BY card",
    ),
}


def answer(connection: "duckdb.DuckDBPyConnection", name: str) -> Table:
    """Return the rows of a report by its name."""
    return table(connection, REPORTS[name][1])


def show(console: Console, title: str, rows: Table) -> None:
    """Print rows as a table; an empty one as a line."""
    if not rows.rows:
        console.print(f"[bold]{title}[/bold]: none\n", highlight=False)
        return
    console.print(f"[bold]{title}[/bold]", highlight=False)
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False)
    for position, name in enumerate(rows.columns):
        number = all(
            isinstance(row[position], int | float | None) and not isinstance(row[position], bool) for row in rows.rows
        )
        grid.add_column(name.replace("_", " "), justify="right" if number else "left", overflow="fold")
    for row in rows.rows:
        grid.add_row(*(said(value) for value in row))
    widest = sum(
        max(len(name), *(len(in_text(row[at])) for row in rows.rows)) + 3 for at, name in enumerate(rows.columns)
    )
    if widest > 1.5 * console.width:
        _show_records(console, rows)
    else:
        console.print(grid)


def _show_records(console: Console, rows: Table) -> None:
    """Print rows beneath each other, a line per value, where columns beside each other would be folded to shreds."""
    width = max(map(len, rows.columns))
    for row in rows.rows:
        for name, value in zip(rows.columns, row, strict=True):
            console.print(Text.assemble((f"{name:{width}}  ", "dim"), said(value)), soft_wrap=True)
        console.print()


def show_histories(console: Console, histories: "Histories") -> None:
    """Print each species' detection history: a row per location, a mark per occasion, effort beneath."""
    effort = histories.effort
    if not effort.location_ids:
        console.print(
            "[bold]Detection histories[/bold]: none; no location has a day with a time to trust\n", highlight=False
        )
        return
    surveyed = [number for number, days in enumerate(effort.camera_days.T) if not all(map(math.isnan, days))]
    shown = surveyed[:24]
    title = f"Detection histories: 1 seen, 0 not seen, · not surveyed ({effort.occasions[0].start:%Y-%m-%d} on)"
    console.print(f"[bold]{title}[/bold]", highlight=False)
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False)
    grid.add_column("species")
    grid.add_column("location")
    for number in shown:
        grid.add_column(effort.occasions[number].name, justify="right")
    for history in histories.of_species:
        for row, name in enumerate(effort.names):
            marks = (Text(_mark(value), style="green" if value == 1 else "") for value in history.y[row][shown])
            grid.add_row(said(history.scientific_name if row == 0 else ""), said(name), *marks)
    for row, name in enumerate(effort.names):
        days = (Text(_days(value), style="dim") for value in effort.camera_days[row][shown])
        grid.add_row(Text("camera-days" if row == 0 else "", style="dim"), said(name, style="dim"), *days)
    console.print(grid)
    if len(surveyed) > len(shown):
        console.print(f"{len(surveyed) - len(shown)} more surveyed occasions are in the CSV files\n", highlight=False)
    dropped = sum(history.dropped for history in histories.of_species)
    if dropped:
        console.print(
            f"[yellow]{dropped} detections fall outside the effort and are in no cell[/yellow]\n", highlight=False
        )


def as_json(content: Table | Mapping[str, Any] | Sequence[Any]) -> str:
    """Return rows as JSON, an object each, or anything else as it is."""
    if isinstance(content, Table):
        content = [dict(zip(content.columns, row, strict=True)) for row in content.rows]
    return json.dumps(content, default=_plain, indent=1, ensure_ascii=False)


def in_text(value: object) -> str:
    """Return a value as people read it."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(in_text, value))
    if isinstance(value, timedelta):
        from ctwatch.deployments import offsets

        return offsets.written(value)
    return str(value)


def readable(value: object) -> str:
    """Return a value for the terminal; control characters, which names may hold, would be obeyed by it."""
    return "".join(mark if mark.isprintable() or mark == "\n" else "\ufffd" for mark in in_text(value))


def said(value: object, style: str = "") -> Text:
    """Return a value for the terminal in a style."""
    return Text(readable(value), style=style)


def cell(value: object) -> Cell:
    """Return a value as a CSV cell."""
    return value if isinstance(value, str | float | int | bool | None) else in_text(value)


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return in_text(value) if isinstance(value, timedelta) else str(value)


def _mark(value: float) -> str:
    return "·" if math.isnan(value) else str(int(value))


def _days(value: float) -> str:
    return "·" if math.isnan(value) else f"{value:g}"
