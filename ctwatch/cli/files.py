"""Commands that exchange files with other programs: export, import, deployments."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from ctwatch.cli.shared import config_of, console, json_option

RESULTS = ("observations", "history", "contact-sheet")
"""What is written where nothing is named."""
EXPORTS = (
    *RESULTS, "occupancy", "camtrapr", "camtrap-dp", "megadetector", "coco", "timelapse", "wildlife-insights", "geojson",
)  # fmt: skip


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(EXPORTS), metavar="[NAMES]...")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder to write into.")
@click.option(
    "--with-people", is_flag=True, help="Also photographs of events with people; left out otherwise, or not shown."
)
@click.option("--wiqid", is_flag=True, help="occupancy: name covariates effort1, effort2 ... as wiqid wants them.")
@click.option("--scale-effort", is_flag=True, help="occupancy: effort as (x - mean) / sd; both are written beside it.")
@click.option("--dates-as-names", is_flag=True, help="occupancy: columns 2026-05-01_2026-05-07 instead of o1, o2 ...")
@json_option
@click.pass_context
def export(
    ctx: click.Context,
    names: Sequence[str],
    out: Path,
    with_people: bool,
    wiqid: bool,
    scale_effort: bool,
    dates_as_names: bool,
    as_json: bool,
) -> None:
    """Write files for other programs.

    Without NAMES: observations, history and contact-sheet.

    occupancy: detection histories, effort and covariates for unmarked, spOccupancy, ubms, wiqid and Python, with a
    README.txt. camtrapr: stations, record table, camera operation, survey report. camtrap-dp: a Camtrap DP 1.0.2 package.
    megadetector, coco, timelapse, wildlife-insights, geojson: their formats. Each of these has a folder of its own in OUT.
    """
    from ctwatch import exchange
    from ctwatch.contact_sheet import write_sheet
    from ctwatch.export.occupancy import OccupancyFiles
    from ctwatch.report import as_json as to_json
    from ctwatch.results import export as export_tables

    config = config_of(ctx)
    wanted = tuple(dict.fromkeys(names)) or RESULTS
    if (wiqid or scale_effort or dates_as_names) and "occupancy" not in wanted:
        raise click.UsageError("--wiqid, --scale-effort and --dates-as-names go with: ctwatch export occupancy")
    paths: list[Path] = []
    sentences: list[str] = []
    tables = [name for name in wanted if name in ("observations", "history")]
    if tables:
        paths += export_tables(config, out, tables)
    if "contact-sheet" in wanted:
        paths.append(write_sheet(config, out / "contact-sheet.png", with_people=with_people))
    others = [name for name in wanted if name not in RESULTS]
    if others:
        options = OccupancyFiles(wiqid, scale_effort, dates_as_names)
        written = exchange.export(config, others, out, with_private=with_people, occupancy=options)
        paths += written.paths
        sentences += written.sentences
    if with_people and (missing := exchange.people_left_out(config)) is not None:
        sentences.append(missing)
    if as_json:
        click.echo(to_json({"files": [str(path) for path in paths], "sentences": sentences}))
        return
    for path in paths:
        click.echo(path)
    for sentence in sentences:
        click.echo(f"ctwatch: {sentence}", err=True)


@click.command(name="import")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--as", "kind", type=click.Choice(("human", "machine")), help="Who speaks; otherwise as the file says.")
@click.option("--by", help="Name of the person or model, where the file does not say.")
@click.option("--species-column", help="Timelapse CSV of another template: the column that holds the species.")
@click.option("--dry-run", is_flag=True, help="Only say what would be taken in.")
@json_option
@click.pass_context
def take_in(
    ctx: click.Context,
    files: Sequence[Path],
    kind: str | None,
    by: str | None,
    species_column: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Take in labels of people, or of other models.

    MegaDetector or SpeciesNet JSON, Timelapse or Wildlife Insights CSV, a Camtrap DP folder. Labels find their photographs
    by the end of the path, the time or ctwatch's own id. A person's label always wins and is never lost; what the machines
    say stays beside it. The same file a second time changes nothing.
    """
    from ctwatch.once import take_in_labels
    from ctwatch.report import as_json as to_json

    as_human = None if kind is None else kind == "human"
    outcomes = take_in_labels(
        config_of(ctx), files, as_human=as_human, by=by, species_column=species_column, dry_run=dry_run
    )
    if as_json:
        click.echo(to_json([outcome.as_dict() for outcome in outcomes]))
        return
    for outcome in outcomes:
        click.echo(outcome.in_words())


@click.group()
def deployments() -> None:
    """Check the deployments table against the photographs, or draft one from them."""


@deployments.command()
@json_option
@click.pass_context
def check(ctx: click.Context, as_json: bool) -> None:
    """What does not fit between the table and the photographs.

    Photographs outside their deployment, reset clocks, silent cameras, cards in two deployments ... Nothing is changed:
    what could be pasted into the table is said.
    """
    from ctwatch.deployments.findings import together
    from ctwatch.field_sheet import findings
    from ctwatch.report import as_json as to_json
    from ctwatch.survey_tables import show_findings

    found, notes = findings(config_of(ctx))
    for note in notes:
        click.echo(f"ctwatch: {note}", err=True)
    if as_json:
        click.echo(to_json([asdict(item) for item in found]))
    else:
        show_findings(console(), together(found))


@deployments.command()
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="File to write; never one that is there.")
@click.pass_context
def draft(ctx: click.Context, out: Path | None) -> None:
    """Write a deployments.csv from what was seen, to be completed by hand; proposals are comments in it."""
    from ctwatch.field_sheet import draft_text

    _put(draft_text(config_of(ctx)), out)


@deployments.command(name="from-package")
@click.argument("package", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="File to write; never one that is there.")
def from_package(package: Path, out: Path | None) -> None:
    """Take the deployments of a Camtrap DP PACKAGE as a deployments table."""
    from ctwatch.field_sheet import table_of_package

    _put(table_of_package(package), out)


def _put(text: str, out: Path | None) -> None:
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        with out.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
    except FileExistsError:
        raise click.UsageError(f"{out} is there already; name another file, or move it away") from None
    except OSError as error:
        raise click.UsageError(f"{out}: cannot be written ({error.strerror}); name another file") from None
    click.echo(out)
