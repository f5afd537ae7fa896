"""The command line: each command parses, calls one function and prints; stdout is data, stderr everything else."""

import logging
import os
import sys
from pathlib import Path
from typing import Any

import click

from ctwatch import __version__, logs
from ctwatch.cli import files, keeping, look, services, work
from ctwatch.errors import CtwatchError, Interrupted, StoreError


class _Commands(click.Group):
    """The one place that turns errors into messages and exit codes."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CtwatchError as error:
            if logs.is_json():
                # A plain line between the objects could not be read.
                logging.error("%s", "; ".join(str(error).splitlines()))
            else:
                for line in str(error).splitlines():
                    click.echo(f"ctwatch: {logs.printable(line)}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("ctwatch: interrupted; what was finished is kept, run the same command to go on", err=True)
            ctx.exit(Interrupted.exit_code)
        except BrokenPipeError:
            sys.stderr.close()
            ctx.exit(0)
        except OSError as error:
            logging.debug("what the operating system refused", exc_info=True)
            click.echo(f"ctwatch: {error.filename or 'the output'}: {error.strerror or error}", err=True)
            ctx.exit(StoreError.exit_code)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    "ctwatch", cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "-c", "--config", "config_path", type=click.Path(path_type=Path), envvar="CTWATCH_CONFIG",
    help="Configuration file; config.toml here if there is one, else the defaults.",
)  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="Say more.")
@click.option(
    "--log", "log_form", type=click.Choice(logs.FORMS), default="auto", envvar="CTWATCH_LOG",
    help="Form of the log on stderr: text, json, or auto: json for the journal, else text.",
)  # fmt: skip
@click.version_option(__version__, prog_name="ctwatch")
@click.pass_context
def main(ctx: click.Context, config_path: Path | None, verbose: bool, log_form: str) -> None:
    """Camera-trap cards in, occupancy tables out.

    Copy a card folder into the inbox of a running daemon, or process it at once; then report, query and export.
    Exit codes: 0 done, 2 usage or configuration, 3 done but some media could not be used, 4 model, 5 store,
    6 inbox missing, 130 interrupted.
    """
    # numpy's threads for linear algebra, of which there is next to none here, cost a light command a fifth of its time.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    logs.set_up(log_form, verbose=verbose)
    ctx.obj = config_path


for command in (
    work.run, work.process, work.retry, work.demo, work.check, look.status, look.metrics, look.report, look.query, look.schema,
    files.export, files.take_in, files.deployments, work.rederive, keeping.backup, keeping.restore, services.service,
    work.write_config, work.train,
):  # fmt: skip
    main.add_command(command)
