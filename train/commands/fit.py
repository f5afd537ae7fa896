"""`ctwatch train fit`: train the networks of a recipe on a set."""

from pathlib import Path

import click

from ..tabular import table


@click.command()
@click.argument("recipe")
@click.option(
    "--on", "set_folder", type=click.Path(path_type=Path), help="Folder of the set; the recipe's when not given."
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the ensemble; models/TASK when not given.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, mps, cuda:1 ...")
@click.option(
    "--members", type=click.IntRange(1, 100), help="Networks in all: the architectures in turn, with new seeds."
)
@click.option("--architecture", "architectures", multiple=True, help="Instead of the recipe's; repeatable.")
@click.option(
    "--seed", "seeds", type=click.IntRange(0, 2**31), multiple=True, help="Instead of the recipe's; repeatable."
)
@click.option("--epochs", type=click.IntRange(1), help="Instead of the recipe's; the schedule is scaled.")
@click.option("--batch-size", type=click.IntRange(2), help="Instead of the recipe's, over all processes together.")
@click.option("--weights", type=click.Path(path_type=Path), help="Local weights file to start from.")
@click.option(
    "--transfer",
    type=click.Choice(["all", "head", "head-then-all"]),
    help="Which weights learn; head takes minutes on a laptop.",
)
@click.option(
    "--checkpoint-every",
    type=click.FloatRange(0),
    default=300.0,
    show_default=True,
    help="Seconds between checkpoints within an epoch; there is one after each epoch anyway.",
)
@click.option("--threads", type=click.IntRange(1), help="Processor threads; PyTorch's own choice when not given.")
def fit(
    recipe: str,
    set_folder: Path | None,
    out: Path | None,
    device: str,
    members: int | None,
    architectures: tuple[str, ...],
    seeds: tuple[int, ...],
    epochs: int | None,
    batch_size: int | None,
    weights: Path | None,
    transfer: str | None,
    checkpoint_every: float,
    threads: int | None,
) -> None:
    """Train every network of RECIPE: a TOML file, or the name of a recipe that comes along.

    What was interrupted goes on where it was, to the same result: give the same command again.
    """
    from ctwatch.nets.device import choose, set_threads

    from ..fitting.fit import adapted, describe
    from ..fitting.fit import fit as run
    from ..fitting.processes import is_first
    from ..fitting.recipe import load_recipe
    from ..sets.dataset import open_set

    if threads:
        set_threads(threads)
    parsed = adapted(
        load_recipe(recipe),
        architectures=architectures,
        seeds=seeds,
        members=members,
        epochs=epochs,
        batch_size=batch_size,
        weights=str(weights) if weights else None,
        transfer=transfer,
    )
    folder = out or Path("models") / parsed.task
    infos = run(
        parsed, open_set(set_folder or Path(parsed.set)), folder, device=choose(device), checkpoint_s=checkpoint_every
    )
    if not is_first():
        return
    head = ("model", "architecture", "validation", "accuracy", "macro recall", "test", "accuracy", "macro recall")
    table(head, describe(infos), left=2)
    click.echo(folder)
