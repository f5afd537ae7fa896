"""The command line: each command parses, calls one function and prints; stdout is data, stderr everything else."""

import json
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctwatch import __version__
from ctwatch.errors import EXIT_MEDIA_FAILED, CtwatchError, Interrupted

if TYPE_CHECKING:
    from rich.console import Console

    from ctwatch.config import Config

DEFAULT_CONFIG = Path("config.toml")
EXPORTS = ("observations", "history", "contact-sheet")
REPORT_NAMES = (
    "cards", "species", "decisions", "effort", "deployments", "review", "failures", "duplicates", "history"
)  # fmt: skip


class _Commands(click.Group):
    """The one place that turns errors into messages and exit codes."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CtwatchError as error:
            for line in str(error).splitlines():
                click.echo(f"ctwatch: {line}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("ctwatch: interrupted; what was finished is kept, run the same command to go on", err=True)
            ctx.exit(Interrupted.exit_code)
        except BrokenPipeError:
            sys.stderr.close()
            ctx.exit(0)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


def _json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "-c", "--config", "config_path", type=click.Path(path_type=Path), envvar="CTWATCH_CONFIG",
    help="Configuration file; config.toml here if there is one, else the defaults.",
)  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="Say more.")
@click.version_option(__version__, prog_name="ctwatch")
@click.pass_context
def main(ctx: click.Context, config_path: Path | None, verbose: bool) -> None:
    """Camera-trap cards in, occupancy tables out.

    Copy a card folder into the inbox of a running daemon, or process it at once; then report, query and export.
    Exit codes: 0 done, 2 usage or configuration, 3 done but some media could not be used, 4 model, 5 store,
    6 inbox missing, 130 interrupted.
    """
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S",
        stream=sys.stderr,
    )
    ctx.obj = config_path


def _config(ctx: click.Context) -> "Config":
    from ctwatch import config

    path: Path | None = ctx.obj
    if path is None and not DEFAULT_CONFIG.exists():
        return config.Config(base=Path().absolute())
    return config.load(path or DEFAULT_CONFIG)


def _console(*, err: bool = False) -> "Console":
    from rich.console import Console

    # A pipe has no width: give tables room instead of folding them at 80 columns.
    stream = sys.stderr if err else sys.stdout
    return Console(stderr=err, width=None if stream.isatty() else 160, soft_wrap=False)


@main.command()
@click.pass_context
def run(ctx: click.Context) -> None:
    """Watch the inboxes and process every card that is dropped, until stopped."""
    from ctwatch.daemon import serve

    serve(_config(ctx))


@main.command()
@click.argument("cards", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@_json_option
@click.pass_context
def process(ctx: click.Context, cards: Sequence[Path], as_json: bool) -> None:
    """Process card folders now, where they lie, as the daemon would."""
    from ctwatch.once import process_cards
    from ctwatch.report import as_json as to_json

    config = _config(ctx)
    outcomes = process_cards(config, cards, _console(err=True))
    if as_json:
        click.echo(to_json([outcome.as_dict() for outcome in outcomes]))
    else:
        for outcome in outcomes:
            click.echo(outcome.in_words())
    if any(outcome.failed for outcome in outcomes):
        ctx.exit(EXIT_MEDIA_FAILED)


@main.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path("demo"))
@_json_option
def demo(folder: Path, as_json: bool) -> None:
    """Make a demo station in FOLDER and run the whole job on it."""
    from ctwatch.demo.show import run_demo

    run_demo(folder.absolute(), _console(err=as_json))
    if as_json:
        click.echo((folder / "data" / "status.json").read_text("utf-8"))


@main.command()
@_json_option
@click.pass_context
def check(ctx: click.Context, as_json: bool) -> None:
    """Check configuration, deployments, inboxes, accelerator, models and database: every problem at once."""
    from ctwatch.check import look

    findings = look(_config(ctx))
    if as_json:
        click.echo(
            json.dumps(
                [
                    {"what": item.what, "state": item.state, "problem": item.error and str(item.error)}
                    for item in findings
                ],
                indent=1,
            )
        )
    else:
        for item in findings:
            click.echo(f"{'PROBLEM' if item.error else 'ok':8}{item.what}: {item.error or item.state}")
    ctx.exit(min((item.error.exit_code for item in findings if item.error), default=0))


@main.command()
@_json_option
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """What the daemon is doing: cards settling, in work, done, refused."""
    from ctwatch.state import state, state_in_words

    facts = state(_config(ctx))
    click.echo(json.dumps(facts, indent=1) if as_json else state_in_words(facts))


@main.command()
@click.argument("name", required=False, type=click.Choice(REPORT_NAMES))
@_json_option
@click.pass_context
def report(ctx: click.Context, name: str | None, as_json: bool) -> None:
    """Cards, species by location, effort, review, failures ... from the published database; all of them without NAME."""
    from ctwatch import report as reports
    from ctwatch.results import histories_of
    from ctwatch.store.publish import open_published

    config = _config(ctx)
    names = [name] if name else list(REPORT_NAMES)
    with open_published(config.store_folder) as connection:
        answers = {each: reports.answer(connection, each) for each in names if each != "history"}
        histories = histories_of(config, connection) if "history" in names else None
    if as_json:
        content: dict[str, Any] = {
            each: [dict(zip(rows.columns, row, strict=True)) for row in rows.rows] for each, rows in answers.items()
        }
        if histories is not None:
            content["history"] = histories.as_dict()
        click.echo(reports.as_json(content[name] if name else content))
        return
    console = _console()
    for each, rows in answers.items():
        reports.show(console, reports.REPORTS[each][0], rows)
    if histories is not None:
        reports.show_histories(console, histories)


@main.command()
@click.argument("sql")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@_json_option
@click.pass_context
def query(ctx: click.Context, sql: str, as_csv: bool, as_json: bool) -> None:
    """Ask the published database a question in SQL, such as "select * from detections"."""
    from ctwatch import report as reports
    from ctwatch.export.files import csv_text
    from ctwatch.store.publish import open_published
    from ctwatch.store.queries import ask

    with open_published(_config(ctx).store_folder) as connection:
        rows = ask(connection, sql)
    if as_json:
        click.echo(reports.as_json(rows))
    elif as_csv:
        click.echo(csv_text(rows.columns, ([reports.cell(value) for value in row] for row in rows.rows)), nl=False)
    else:
        reports.show(_console(), "Answer", rows)


@main.command()
@click.argument("names", nargs=-1, type=click.Choice(EXPORTS))
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder to write into.")
@click.pass_context
def export(ctx: click.Context, names: Sequence[str], out: Path) -> None:
    """Write files: observations, history (with effort and occasions), contact-sheet; all of them without NAMES."""
    from ctwatch.contact_sheet import write_sheet
    from ctwatch.results import export as export_tables

    config = _config(ctx)
    wanted = names or EXPORTS
    paths = export_tables(config, out, [name for name in wanted if name != "contact-sheet"])
    if "contact-sheet" in wanted:
        paths.append(write_sheet(config, out / "contact-sheet.png"))
    for path in paths:
        click.echo(path)


@main.command()
@click.option("--no-inference", is_flag=True, help="Do not look at photographs that no model has seen yet.")
@click.pass_context
def rederive(ctx: click.Context, no_inference: bool) -> None:
    """Compute events, observations and effort again: other thresholds, deployments, or newly installed models."""
    from ctwatch.once import derive_again

    click.echo(derive_again(_config(ctx), _console(err=True), inference=not no_inference))


@main.command(name="config")
def write_config() -> None:
    """Print a complete, commented configuration with every default."""
    from ctwatch.config import as_toml

    click.echo(as_toml(), nl=False)


@main.command(context_settings={"ignore_unknown_options": True, "help_option_names": []}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def train(arguments: Sequence[str]) -> None:
    """Train models from your own labelled images; see `ctwatch train --help`."""
    from importlib import import_module

    # The one line by which ctwatch knows its trainer.
    import_module("ctwatch_train.cli").train.main(list(arguments), prog_name="ctwatch train")
