"""`ctwatch train bundle`: model files with thresholds and a card, ready for the daemon."""

from pathlib import Path

import click


@click.command()
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--on", "set_folder", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the set."
)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of what config.toml names."
)
@click.option(
    "--precision",
    type=click.FloatRange(0, 1, min_open=True),
    help="Share of a label's answers that must be right; 0.95 for species when nothing is given.",
)
@click.option(
    "--recall",
    type=click.FloatRange(0, 1, min_open=True),
    help="Share of a label's photographs still answered, of an empty filter of the animals kept; 0.98 for that one when "
    "nothing is given.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, mps, cuda:1 ...")
@click.option("--seed", type=click.IntRange(0, 2**31), default=0, show_default=True, help="Of the intervals.")
def bundle(
    models: tuple[Path, ...],
    set_folder: Path,
    out: Path,
    precision: float | None,
    recall: float | None,
    device: str,
    seed: int,
) -> None:
    """Copy MODELS, model files or folders of them, with thresholds that validation photographs choose.

    A card (README.md, figures.json) says what they are worth on test photographs. Models of both tasks go into OUT/empty
    and OUT/species. What is printed are the folders for [models] of config.toml.
    """
    if precision is not None and recall is not None:
        raise click.UsageError("give --precision or --recall, one of them")
    from ctwatch.nets.device import choose

    from ..pages.bundle import Aim
    from ..pages.bundle import bundle as run
    from ..progress import shown
    from ..sets.dataset import open_set

    aim = None if precision is None and recall is None else Aim(precision, recall)
    with shown("verifying the set") as progress:
        training_set = open_set(set_folder, progress=progress)
    with shown("looking at photographs") as progress:
        folders = run(models, training_set, out, aim=aim, device=choose(device), seed=seed, progress=progress)
    for folder in folders.values():
        click.echo(folder)
