"""Prints a table to stdout: drawn on a terminal, tab-separated in a pipe."""

import sys
from collections.abc import Sequence

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> None:
    """Print rows under a head; the first `left` columns are text, the others numbers."""
    if not sys.stdout.isatty():
        for row in (head, *rows):
            click.echo("\t".join(row))
        return
    drawn = Table()
    for index, title in enumerate(head):
        drawn.add_column(title, justify="left" if index < left else "right")
    for row in rows:
        # Labels come from strangers: no markup is read out of them.
        drawn.add_row(*(Text(cell) for cell in row))
    Console().print(drawn)
