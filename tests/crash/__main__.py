"""`python -m tests.crash --kills 1000`: kill the real commands so often, and compare what comes out with undisturbed runs."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from .campaign import Campaign, Findings
from .nursery import Nursery
from .scenarios import SCENARIOS


def main() -> int:
    """Run a campaign, print its table; 1 if anything differed."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="how many kills that meet a process at work")
    parser.add_argument("--seed", type=int, default=1, help="the same seed plans the same lives")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="lives side by side")
    parser.add_argument("--scenario", action="append", help="only scenarios whose name begins so; several times")
    arguments = parser.parse_args()
    chosen = [each for each in SCENARIOS if not arguments.scenario or each.name.startswith(tuple(arguments.scenario))]
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    folder = Path(tempfile.mkdtemp(prefix="ctwatch-crash-"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("kills", total=arguments.kills)

        def progress(findings: Findings) -> None:
            words = f"kills ({findings.lives} lives, {len(findings.differences)} differences)"
            bar.update(task, completed=findings.kills, description=words)

        nursery = Nursery()
        campaign = Campaign(
            folder,
            nursery,
            kills=arguments.kills,
            seed=arguments.seed,
            jobs=arguments.jobs,
            scenarios=chosen,
            progress=progress,
        )
        try:
            findings = campaign.run()
        finally:
            nursery.close()
    _show(console, findings)
    return 1 if findings.differences else 0


def _show(console: Console, findings: Findings) -> None:
    for title, counts in (("point", findings.by_point), ("scenario", findings.by_scenario)):
        table = Table(title, "kills")
        for name, number in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
            table.add_row(name, str(number))
        console.print(table)
    missed = sorted(findings.points - findings.by_point.keys())
    console.print(
        f"{findings.kills} kills in {findings.lives} lives, {findings.restarts} restarts,"
        f" {findings.power_cuts} of them power cuts that took {findings.lost} renames or files, {findings.seconds:.0f} s;"
        f" {len(findings.points) - len(missed)} of {len(findings.points)} points of undisturbed runs hit;"
        f" {findings.recoveries} damaged databases replaced; seed {findings.seed};"
        f" {len(findings.differences)} differences"
    )
    for difference in findings.differences:
        console.print(f"\nDIFFERENCE: {difference.sentence}", markup=False, highlight=False)
        console.print(f"killed at: {', '.join(difference.killed) or 'nothing'}", markup=False, highlight=False)
        for line in difference.found:
            console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
