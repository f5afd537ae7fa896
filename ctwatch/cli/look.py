"""Commands that read: status, reports, questions in SQL, the schema."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctwatch.cli.shared import config_of, console, json_option

if TYPE_CHECKING:
    from ctwatch.config import Config

TABLE_NAMES = (
    "cards", "species", "decisions", "effort", "deployments", "review", "failures", "duplicates", "history"
)  # fmt: skip
SURVEY_NAMES = ("survey", "activity", "accumulation", "quality")
REPORT_NAMES = (*TABLE_NAMES, *SURVEY_NAMES)


@click.command()
@click.option("--check", "only_check", is_flag=True, help="Exit with 1 and the reasons if somebody should see to it.")
@json_option
@click.pass_context
def status(ctx: click.Context, only_check: bool, as_json: bool) -> None:
    """What the daemon is doing, what is in, what failed, and what somebody should see to.

    With --check, for monitoring: 0 if the daemon runs, is not paused and no card or inbox waits for somebody, else 1.
    """
    from datetime import UTC, datetime

    from ctwatch.state import state, state_in_words

    now = datetime.now(UTC)
    facts = state(config_of(ctx), now)
    if as_json:
        click.echo(json.dumps(facts, indent=1))
    elif only_check:
        click.echo("\n".join(facts["problems"]) or "healthy")
    else:
        click.echo(state_in_words(facts, now))
    if only_check and facts["problems"]:
        ctx.exit(1)


@click.command()
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="File to replace whole instead of printing."
)
@click.pass_context
def metrics(ctx: click.Context, out: Path | None) -> None:
    """Print figures for Prometheus, in its text format.

    Nothing listens on a port: run it from a timer with --out into the folder of node_exporter's textfile collector.
    """
    from datetime import UTC, datetime

    from ctwatch.export.files import write_bytes
    from ctwatch.metrics import exposition, metrics_of

    text = exposition(metrics_of(config_of(ctx), datetime.now(UTC)))
    if out is None:
        click.echo(text, nl=False)
    else:
        write_bytes(out, text.encode("utf-8"))


@click.command()
@click.argument("name", required=False, type=click.Choice(REPORT_NAMES), metavar="[NAME]")
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Write the survey as one page to read and print."
)
@click.option("--with-people", is_flag=True, help="--html: pictures of events with people may be on the page.")
@json_option
@click.pass_context
def report(ctx: click.Context, name: str | None, html: Path | None, with_people: bool, as_json: bool) -> None:
    """Tables of what was found, or the survey in figures.

    Without NAME: cards, species, decisions, effort, deployments, review, failures, duplicates and history.

    survey, activity, accumulation and quality look at the survey as a whole: species with naive occupancy and detections
    per 100 camera-days, effort, hours of activity, completeness, and what is wrong with the data. With --html all of it
    is on one page, with a map and the best picture of each species; people are not on it unless asked for.
    """
    from ctwatch import report as reports

    if html is not None and name is not None:
        raise click.UsageError(f"--html writes the whole survey; leave {name} out")
    if with_people and html is None:
        raise click.UsageError("--with-people goes with --html: the other reports show no pictures")
    config = config_of(ctx)
    if html is not None:
        from ctwatch.exchange import people_left_out
        from ctwatch.surveying import write_page

        written = write_page(config, html, with_people=with_people)
        if with_people and (missing := people_left_out(config)) is not None:
            click.echo(f"ctwatch: {missing}", err=True)
        facts = {"file": str(written.path), "bytes": written.size, "pictures": written.pictures}
        words = f"{written.path}: {written.size // 1024} KiB, {written.pictures} pictures"
        click.echo(reports.as_json(facts) if as_json else words)
        return
    if name in SURVEY_NAMES:
        from ctwatch.survey_tables import SURVEY_REPORTS
        from ctwatch.surveying import survey_figures_of

        found = survey_figures_of(config)
        shown = SURVEY_REPORTS[name]
        if as_json:
            click.echo(reports.as_json(shown.as_dict(found)))
        else:
            shown.show(console(), found)
        return
    _tables(config, name, as_json=as_json)


def _tables(config: "Config", name: str | None, *, as_json: bool) -> None:
    from ctwatch import report as reports
    from ctwatch.store.publish import open_published

    names = [name] if name else list(TABLE_NAMES)
    histories = None
    with open_published(config.store_folder) as connection:
        answers = {each: reports.answer(connection, each) for each in names if each != "history"}
        if "history" in names:
            from ctwatch.results import histories_of

            histories = histories_of(config, connection)
    if as_json:
        content: dict[str, Any] = {
            each: [dict(zip(rows.columns, row, strict=True)) for row in rows.rows] for each, rows in answers.items()
        }
        if histories is not None:
            content["history"] = histories.as_dict()
        click.echo(reports.as_json(content[name] if name else content))
        return
    shown = console()
    for each, rows in answers.items():
        reports.show(shown, reports.REPORTS[each][0], rows)
    if histories is not None:
        reports.show_histories(shown, histories)


@click.command()
@click.argument("sql")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--parquet", type=click.Path(dir_okay=False, path_type=Path), help="Write a Parquet file.")
@json_option
@click.pass_context
def query(ctx: click.Context, sql: str, as_csv: bool, parquet: Path | None, as_json: bool) -> None:
    """Ask the published database a question in SQL, such as "select * from detections".

    `ctwatch schema` says what can be asked for.
    """
    if as_csv + as_json + (parquet is not None) > 1:
        raise click.UsageError("--csv, --json and --parquet exclude each other; leave one")
    if not sql.strip():
        raise click.UsageError('the question is empty; ask one, such as "select * from detections"')
    from ctwatch import report as reports
    from ctwatch.export.files import csv_text
    from ctwatch.store.publish import open_published
    from ctwatch.store.queries import ask

    folder = config_of(ctx).store_folder
    if parquet is not None:
        count = _into_parquet(folder, sql, parquet)
        click.echo(f"{parquet}: {count} rows")
        return
    with open_published(folder) as connection:
        rows = ask(connection, sql)
    if as_json:
        click.echo(reports.as_json(rows))
    elif as_csv:
        click.echo(csv_text(rows.columns, ([reports.cell(value) for value in row] for row in rows.rows)), nl=False)
    else:
        reports.show(console(), "Answer", rows)


def _into_parquet(folder: Path, sql: str, path: Path) -> int:
    """Write the answer beside its place and put it there whole, in place of what is there; returns its rows."""
    from ctwatch.store.publish import open_published
    from ctwatch.store.queries import ask_into_parquet

    if not path.absolute().parent.is_dir():
        raise click.UsageError(f"{path.parent} is no folder; make it, or name another file")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open_published(folder, may_write=part) as connection:
            count = ask_into_parquet(connection, sql, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return count


@click.command()
@click.argument("view", required=False)
@json_option
@click.pass_context
def schema(ctx: click.Context, view: str | None, as_json: bool) -> None:
    """What can be asked for: the views and their columns, or the columns of one VIEW."""
    from ctwatch import report as reports
    from ctwatch.store.publish import open_published
    from ctwatch.store.queries import columns_of_views

    with open_published(config_of(ctx).store_folder) as connection:
        views = columns_of_views(connection, view)
    if as_json:
        click.echo(
            reports.as_json(
                {
                    name: {
                        "meaning": meaning,
                        "columns": [dict(zip(rows.columns, row, strict=True)) for row in rows.rows],
                    }
                    for name, meaning, rows in views
                }
            )
        )
        return
    for name, meaning, rows in views:
        reports.show(console(), f"{name}: {meaning}", rows)
