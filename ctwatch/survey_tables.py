"""Reports on a survey as a whole: its figures, and what does not fit in its deployments, as readable tables."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from ctwatch.deployments.findings import Finding, Severity
from ctwatch.report import readable, said
from ctwatch.survey_figures.tables import DayState, SurveyFigures, as_dict, rows

_MOST_DEPLOYMENTS = 12
_COLOUR_OF = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}


def show_survey(console: Console, found: SurveyFigures) -> None:
    """Print a survey: what there is, species, effort by location, activity, completeness, quality and backlog."""
    totals = found.totals
    when = f", {totals.first_day} to {totals.last_day}" if totals.first_day else ""
    blank = f" ({totals.blank / totals.events:.0%} blank)" if totals.events else ""
    console.print(
        f"[bold]{totals.camera_days:,.1f} camera-days[/bold] at {totals.locations_surveyed} locations{when}\n"
        f"{totals.photographs:,} photographs, {totals.events:,} events{blank}, {totals.species} species;"
        f" {totals.confirmed:,} events decided by people, {totals.to_review:,} to review\n",
        highlight=False,
    )
    show_species(console, found)
    show_effort(console, found)
    show_activity(console, found)
    show_accumulation(console, found)
    show_quality(console, found)


def show_species(console: Console, found: SurveyFigures) -> None:
    """Print events, independent detections, RAI and naive occupancy of every species."""
    roomy = console.width >= 100
    grid = _grid(
        f"Species: independent ({found.independence_min:g} min), RAI per 100 camera-days, naive occupancy %",
        ("species", "events", "indep.", "RAI", "places", "occupancy", "review"),
        ("first", "last", "confirmed") if roomy else (),
    )
    for name, events, independent, _, places, naive, low, high, rai, first, last, confirmed, review in rows(
        found.species
    ):
        occupancy = "" if naive is None else f"{100 * naive:.0f} ({100 * low:.0f}–{100 * high:.0f})"
        more = (str(first or ""), str(last or ""), f"{confirmed:.0%}") if roomy else ()
        index = "" if rai is None else f"{rai:.2f}"
        grid.add_row(
            said(name), f"{events:,}", f"{independent:,}", index, str(places), occupancy, str(review or ""), *more
        )
    _print(console, grid, "Species: none")


def show_effort(console: Console, found: SurveyFigures) -> None:
    """Print camera-days of every location, with a line of blocks for how much of the time it worked."""
    states, here = found.calendar.states, found.locations
    roomy = console.width >= 100
    names = min(24, max((len(name) for name in here.location_id), default=0))
    width = max(12, min(states.shape[1], console.width - names - (46 if roomy else 36)))
    grid = _grid(
        "Effort, camera-days: █ worked, ▄ in part, × did not, ░ assumed, · not set up",
        ("location", "days", "×", "events"),
        ("species",) if roomy else (),
    )
    grid.add_column(f"{found.calendar.first_day or ''}", no_wrap=True)
    for at, location_id in enumerate(here.location_id):
        more = (str(here.species[at]),) if roomy else ()
        days = f"{here.camera_days[at]:,.1f}"
        line = _line(states[at], width)
        grid.add_row(said(location_id), days, str(here.days_not_working[at] or ""), f"{here.events[at]:,}", *more, line)
    _print(console, grid, "Effort: none")


def show_activity(console: Console, found: SurveyFigures) -> None:
    """Print when of the day every species was detected: its density by hour, to its own greatest."""
    wide = 2 if console.width >= 100 else 1
    ruler = "".join(f"{hour:<{6 * wide}}" for hour in ("0 h", "6", "12", "18"))
    grid = _grid("Activity: density of detections around the day", ("species", "n"), ())
    grid.add_column(ruler, no_wrap=True)
    grid.add_column("peak")
    for name, n, hours, density in rows(found.activity):
        if density is not None:
            points = np.array(density)
            middles = (np.arange(24 * wide) + 0.5) / (24 * wide) * len(points)
            levels = np.interp(middles, np.arange(len(points) + 1), np.append(points, points[0]))
            blocks = _blocks(levels / levels.max())
            peak = int(points.argmax()) * 24 / len(points)
            grid.add_row(said(name), f"{n:,}", Text(blocks, style="green"), f"{int(peak):02}:{int(peak % 1 * 60):02}")
        elif n:
            seen = {int(hour * wide) for hour in hours}
            marks = "".join("•" if at in seen else "·" for at in range(24 * wide))
            grid.add_row(said(name), f"{n:,}", Text(marks, style="dim"), Text("too few", style="dim"))
    _print(console, grid, "Activity: no detection has a time to trust")


def show_accumulation(console: Console, found: SurveyFigures) -> None:
    """Print how many species parts of the sampling would have found, and how many there may be."""
    curve = found.accumulation
    if not curve.observed:
        console.print("[bold]Accumulation[/bold]: none\n", highlight=False)
        return
    grid = _grid("Accumulation: species expected in part of the sampling", ("location-days", "species", "± sd"), ())
    for at in sorted({round(part * (len(curve.units) - 1)) for part in (0, 0.1, 0.25, 0.5, 0.75, 1)}):
        grid.add_row(f"{curve.units[at]:,}", f"{curve.species[at]:.1f}", f"{curve.sd[at]:.1f}")
    _print(console, grid, "")
    console.print(
        f"{curve.observed} species seen; Chao2 {curve.chao2:.1f} (95 % interval {curve.chao2_low:.1f} to"
        f" {curve.chao2_high:.1f}); {curve.uniques} on one location-day only, {curve.duplicates} on two\n",
        highlight=False,
    )


def show_quality(console: Console, found: SurveyFigures) -> None:
    """Print what is wrong with the data, which deployments to look at, and what waits for people."""
    grid = _grid("Quality: found in the data", ("what",), ())
    grid.add_column("count", justify="right", no_wrap=True)
    grid.add_column("of", justify="right", no_wrap=True)
    grid.add_column("what it means", overflow="fold")
    for _, what, count, of, note in rows(found.quality):
        if count:
            grid.add_row(said(what), f"{count:,}", "" if of is None else f"{of:,}", Text(note, style="dim"))
    _print(console, grid, "Quality: nothing found wrong")
    flags = _grid("Deployments to look at", ("deployment",), ())
    flags.add_column("why", overflow="fold")
    for deployment, flag in rows(found.flagged):
        flags.add_row(said(deployment), said(flag))
    _print(console, flags, "")
    reasons = _grid("To review, by reason", ("reason", "events", "time-lapse frames"), ())
    for reason, events, frames in rows(found.reasons):
        reasons.add_row(said(reason), f"{events:,}", f"{frames:,}")
    _print(console, reasons, "To review: nothing")
    listed = list(rows(found.backlog))
    more = f" (first {_MOST_DEPLOYMENTS} of {len(listed)})" if len(listed) > _MOST_DEPLOYMENTS else ""
    backlog = _grid(f"To review, by deployment{more}", ("deployment", "events", "of", "time-lapse frames"), ())
    for deployment, _, waiting, events, frames in listed[:_MOST_DEPLOYMENTS]:
        backlog.add_row(said(deployment), f"{waiting:,}", f"{events:,}", f"{frames:,}")
    _print(console, backlog, "")


@dataclass(frozen=True, slots=True)
class SurveyReport:
    """A report that is made of the figures of a survey."""

    title: str
    show: Callable[[Console, SurveyFigures], None]
    parts: tuple[str, ...]
    """The tables of `SurveyFigures` that machines are given; all where there are none."""

    def as_dict(self, found: SurveyFigures) -> dict[str, Any]:
        """The tables for machines, columns as lists."""
        return {name: as_dict(getattr(found, name)) for name in self.parts} if self.parts else as_dict(found)


SURVEY_REPORTS: dict[str, SurveyReport] = {
    "survey": SurveyReport("The whole survey in figures", show_survey, ()),
    "activity": SurveyReport("When of the day species were detected", show_activity, ("activity", "overlaps")),
    "accumulation": SurveyReport("Species accumulation curve and Chao2", show_accumulation, ("accumulation",)),
    "quality": SurveyReport(
        "What is wrong with the data, and what waits for people", show_quality,
        ("quality", "flagged", "reasons", "backlog"),
    ),
}  # fmt: skip


def _grid(title: str, first: Sequence[str], more: Sequence[str]) -> Grid:
    """A table whose first column is text and whose others are numbers."""
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False, title=title)
    for at, name in enumerate((*first, *more)):
        grid.add_column(name, justify="right" if at else "left", overflow="fold", no_wrap=bool(at))
    return grid


def _print(console: Console, grid: Grid, empty: str) -> None:
    if grid.row_count:
        # As a title of the table it would be broken at the table's width.
        console.print(Text(str(grid.title), style="bold"))
        grid.title = None
        console.print(grid)
    elif empty:
        console.print(f"[bold]{empty}[/bold]\n", highlight=False)


def _line(states: "np.ndarray[Any, Any]", width: int) -> Text:
    """The days of a location in so many marks, or one each if they are fewer."""
    line = Text()
    worth = np.array([0.0, 0.0, 0.5, 1.0, 1.0])
    for days in np.array_split(states, min(width, max(1, len(states)))):
        if not (days != DayState.NONE).any():
            line.append("·", "dim")
        elif not (worked := float(worth[days].mean())):
            line.append("×", "red")
        elif (days == DayState.ASSUMED).sum() * 2 > len(days):
            line.append("░", "blue")
        else:
            line.append(_blocks(np.array([max(worked, 0.125)])), "green")
    return line


def _blocks(shares: "np.ndarray[Any, Any]") -> str:
    return "".join(" ▁▂▃▄▅▆▇█"[round(8 * float(share))] for share in shares)


def show_findings(console: Console, findings: Sequence[Finding]) -> None:
    """Print what does not fit in the deployments, the gravest first, each with its remedy and what to paste."""
    if not findings:
        console.print("Nothing that contradicts the deployments", highlight=False)
        return
    ranks = list(Severity)
    for item in sorted(findings, key=lambda each: (ranks.index(each.severity), each.deployment_id or "")):
        head = Text(f"{item.severity:8}", style=_COLOUR_OF[item.severity])
        place = f"{item.deployment_id}: " if item.deployment_id else ""
        console.print(Text.assemble(head, (readable(place), "bold"), readable(item.sentence)), soft_wrap=True)
        console.print(Text(f"{'':8}{readable(item.remedy)}"), soft_wrap=True)
        for name, cell in item.proposal:
            console.print(Text.assemble(f"{'':8}", (f"{readable(name)} ", "dim"), readable(cell)), soft_wrap=True)
        if item.examples:
            such = ", ".join(map(readable, item.examples[:3]))
            console.print(Text(f"{'':8}such as {such}", style="dim"), soft_wrap=True)
