"""The commands of `ctwatch train`: make scenes, fit a recipe, measure an ensemble."""

import json
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table


@click.group()
def train() -> None:
    """Train, calibrate and measure models of your own."""


@train.command()
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder for the photographs and labels.csv."
)
@click.option("--locations", type=click.IntRange(1, 9000), default=120, show_default=True, help="Number of places.")
@click.option("--events", type=click.IntRange(1), default=40, show_default=True, help="Camera triggers per place.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Same seed, same photographs.")
@click.option(
    "--blanks", type=click.FloatRange(0, 1), default=0.42, show_default=True, help="Fraction of blank events."
)
@click.option("--first", type=click.IntRange(0), default=0, show_default=True, help="Number of the first place.")
def scenes(out: Path, locations: int, events: int, seed: int, blanks: float, first: int) -> None:
    """Draw camera-trap scenes of made-up animals, with labels."""
    from .generate import write_scenes
    from .progress import say, shown

    with shown("drawing events") as progress:
        count = write_scenes(
            out, locations=locations, events=events, seed=seed, blanks=blanks, first=first, progress=progress
        )
    say(f"{count} photographs of {locations} locations")
    click.echo(out / "labels.csv")


@train.command()
@click.argument("recipe")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the ensemble; models/TASK when not given.")
@click.option("--threads", type=click.IntRange(1), help="Processor threads; PyTorch's own choice when not given.")
def fit(recipe: str, out: Path | None, threads: int | None) -> None:
    """Train every network of RECIPE: a TOML file, or the name of a recipe that comes along."""
    import torch

    from .fit import fit as run
    from .model_card import describe, write
    from .recipe import load_recipe

    if threads:
        torch.set_num_threads(threads)
    parsed = load_recipe(recipe)
    folder = out or Path("models") / parsed.task
    infos = run(parsed, folder, write)
    head = ("model", "architecture", "tested on", "frames", "accuracy", "events", "accuracy of events")
    _table(head, describe(infos), left=3)


@train.command()
@click.argument("models_dir", type=click.Path(path_type=Path))
@click.option(
    "--on", "tables", type=click.Path(path_type=Path), multiple=True, required=True, help="Labels table; repeatable."
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, mps, cuda:1 ...")
@click.option("--json", "as_json", is_flag=True, help="All figures, per label too, as JSON.")
def evaluate(models_dir: Path, tables: tuple[Path, ...], device: str, as_json: bool) -> None:
    """Measure the ensemble in MODELS_DIR on labelled photographs."""
    from ctwatch.nets.device import choose

    from .evaluate import evaluate as run
    from .evaluate import rows

    result = run(models_dir, tables, choose(device))
    if as_json:
        click.echo(json.dumps(result, indent=1, sort_keys=True))
        return
    head = ("who", "level", "averaging", "pooling", "n", "accuracy", "macro recall", "NLL", "ECE")
    _table(head, rows(result), left=4)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]], left: int) -> None:
    """Print a table to stdout: drawn on a terminal, tab-separated in a pipe."""
    if not sys.stdout.isatty():
        for row in (head, *rows):
            click.echo("\t".join(row))
        return
    table = Table()
    for index, title in enumerate(head):
        table.add_column(title, justify="left" if index < left else "right")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
