"""Commands that do the work: the daemon, single cards, the demo, checks, deriving again."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from ctwatch.cli.shared import config_of, console, json_option
from ctwatch.errors import EXIT_MEDIA_FAILED


@click.command()
@click.pass_context
def run(ctx: click.Context) -> None:
    """Watch the inboxes and process every card that is dropped, until stopped."""
    from ctwatch.daemon import serve

    serve(config_of(ctx), renew=lambda: config_of(ctx))


@click.command()
@click.argument("cards", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@json_option
@click.pass_context
def process(ctx: click.Context, cards: Sequence[Path], as_json: bool) -> None:
    """Process card folders now, where they lie, as the daemon would."""
    from ctwatch.once import process_cards
    from ctwatch.report import as_json as to_json

    config = config_of(ctx)
    outcomes = process_cards(config, cards, console(err=True))
    if as_json:
        click.echo(to_json([outcome.as_dict() for outcome in outcomes]))
    else:
        for outcome in outcomes:
            click.echo(outcome.in_words())
    if any(outcome.failed for outcome in outcomes):
        ctx.exit(EXIT_MEDIA_FAILED)


@click.command()
@click.argument("cards", nargs=-1)
@json_option
@click.pass_context
def retry(ctx: click.Context, cards: Sequence[str], as_json: bool) -> None:
    """Read failed files again, and what is in quarantine.

    Of cards named by folder name or path, or of all. After a cause was removed: rights corrected, a file replaced, memory
    or time raised, another version installed. Results are put right in place.
    """
    from ctwatch.report import as_json as to_json
    from ctwatch.retrying import retry as retry_cards

    outcomes = retry_cards(config_of(ctx), cards, console(err=True))
    if as_json:
        click.echo(to_json([outcome.as_dict() for outcome in outcomes]))
    else:
        for outcome in outcomes:
            click.echo(outcome.in_words())
        if not outcomes:
            click.echo("no file has failed")
    if any(outcome.failed for outcome in outcomes):
        ctx.exit(EXIT_MEDIA_FAILED)


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path("demo"))
@json_option
def demo(folder: Path, as_json: bool) -> None:
    """Make a demo station in FOLDER and run the whole job on it."""
    from ctwatch.demo.show import run_demo

    run_demo(folder.absolute(), console(err=as_json))
    if as_json:
        click.echo((folder / "data" / "status.json").read_text("utf-8"))


@click.command()
@json_option
@click.pass_context
def check(ctx: click.Context, as_json: bool) -> None:
    """Whether all is ready: every problem at once.

    Looks at configuration, deployments table, inboxes, accelerator, models and database.
    """
    from ctwatch.check import look

    findings = look(config_of(ctx))
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
            for line in str(item.error or item.state).splitlines():
                click.echo(f"{'PROBLEM' if item.error else 'ok':8}{item.what}: {line}")
    ctx.exit(min((item.error.exit_code for item in findings if item.error), default=0))


@click.command()
@click.option("--no-inference", is_flag=True, help="Do not look at photographs that no model has seen yet.")
@click.pass_context
def rederive(ctx: click.Context, no_inference: bool) -> None:
    """Compute events, observations and effort again.

    After a change of the deployments table or of thresholds, and for newly installed models.
    """
    from ctwatch.once import derive_again

    click.echo(derive_again(config_of(ctx), console(err=True), inference=not no_inference))


@click.command(name="config")
def write_config() -> None:
    """Print a complete, commented configuration with every default."""
    from ctwatch.config import as_toml

    click.echo(as_toml(), nl=False)


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def train(arguments: Sequence[str]) -> None:
    """Train models from your own labelled images; see `ctwatch train --help`."""
    from importlib import import_module

    # The one line by which ctwatch knows its trainer.
    import_module("ctwatch_train.cli").train.main(list(arguments), prog_name="ctwatch train")
