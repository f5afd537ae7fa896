"""What all commands share: the configuration, the console, the option --json."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from ctwatch.config import Config

DEFAULT_CONFIG = Path("config.toml")


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def config_of(ctx: click.Context) -> "Config":
    """Return the configuration that was named, or config.toml here, or the defaults."""
    from ctwatch import config

    path: Path | None = ctx.obj
    if path is None and not DEFAULT_CONFIG.exists():
        return config.Config(base=Path().absolute())
    return config.load(path or DEFAULT_CONFIG)


def console(*, err: bool = False) -> "Console":
    """Return a console for tables, or with `err` for what is said beside them."""
    from rich.console import Console

    class Piped(Console):
        """One whose reader may go away, as `head` does, without that being an error."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    # A pipe has no width: give tables room instead of folding them at 80 columns.
    stream = sys.stderr if err else sys.stdout
    return Piped(stderr=err, width=None if stream.isatty() else 160, soft_wrap=False)
