"""`ctwatch train evaluate`: measure models on the photographs of a set that they were not trained on."""

import json
from pathlib import Path
from typing import Any

import click

HEAD = (
    "task", "source", "split", "labels", "of", "n", "accuracy", "95 %", "macro recall", "macro F1", "top-5", "NLL", "ECE",
)  # fmt: skip


@click.command()
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--on", "set_folder", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the set."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("evaluation"),
    show_default=True,
    help="Folder for index.html, evaluation.json and the sheets of mistakes.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, mps, cuda:1 ...")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31),
    default=0,
    show_default=True,
    help="Of the intervals and of the mistakes that are drawn at random.",
)
@click.option(
    "--target",
    type=click.FloatRange(0.5, 1),
    default=0.966,
    show_default=True,
    help="Accuracy that automatic answers must reach; the default is that of Snapshot Serengeti's volunteers.",
)
@click.option(
    "--images",
    type=click.IntRange(0),
    help="Photographs to extrapolate the work saved to; the set's own number when not given.",
)
@click.option(
    "--show-people", is_flag=True, help="Show people on the sheets of mistakes; otherwise they are coarse blocks."
)
@click.option("--json", "as_json", is_flag=True, help="Print everything that was measured as JSON.")
def evaluate(
    models: tuple[Path, ...],
    set_folder: Path,
    out: Path,
    device: str,
    seed: int,
    target: float,
    images: int | None,
    show_people: bool,
    as_json: bool,
) -> None:
    """Measure MODELS, model files or folders of them, and write one page about it.

    Everything comes twice: at places that the models were trained at and at new ones, with labels as frequent as they
    come and all equally frequent. An empty filter and species models named together are measured together, too.
    """
    from ctwatch.nets.device import choose

    from ..figures.evaluate import evaluate as measure
    from ..pages.bundle import by_task
    from ..pages.mistakes import chosen, mistakes_in, sheet
    from ..pages.page import page
    from ..progress import say, shown
    from ..sets.dataset import open_set
    from ..sets.shards import replacing
    from ..tabular import table

    groups = by_task(models)
    with shown("verifying the set") as progress:
        training_set = open_set(set_folder, progress=progress)
    with shown("looking at photographs") as progress:
        evaluation = measure(
            list(groups.values()),
            training_set,
            device=choose(device),
            seed=seed,
            target=target,
            images=images,
            progress=progress,
        )
    out.mkdir(parents=True, exist_ok=True)
    sheets: dict[str, bytes] = {}
    files = {"evaluation.json": (json.dumps(evaluation, indent=1, allow_nan=False) + "\n").encode()}
    for each in _both(evaluation):
        part = chosen(each["mistakes"])
        if part:
            left_out = len(each["mistakes"]) - len(part)
            picture = sheet(list(mistakes_in(part, training_set)), left_out=left_out, show_people=show_people)
            sheets[each["task"]] = picture
            files["mistakes.jpg" if each is evaluation else f"mistakes-{each['task']}.jpg"] = picture
    files["index.html"] = page(evaluation, sheets).encode()
    for name, data in files.items():
        with replacing(out / name) as file:
            file.write(data)
    if as_json:
        click.echo(json.dumps(evaluation, indent=1, allow_nan=False))
        say(str(out / "index.html"))
    else:
        table(HEAD, rows(evaluation), left=5)
        click.echo(out / "index.html")


def rows(evaluation: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return one row per task, source, split, frequencies and level: how well the default ensemble answers."""
    from ..pages.findings import certain, default_of, interval, share
    from ..pages.page_sections import LEVELS
    from ..pages.plots import clean

    found: list[tuple[str, ...]] = []
    for each in _both(evaluation):
        for section in each["sections"]:
            for level, items in LEVELS.items():
                cell = section["who"][default_of(each)][level]
                known = (
                    each["task"],
                    clean(section["source"], 40),
                    section["split"],
                    section["prior"],
                    items,
                    str(cell["n"]),
                )
                if not cell["n"]:
                    found.append((*known, *[""] * 7))
                    continue
                shares = (share(cell[key]) for key in ("macro_recall", "macro_f1", "top5"))
                scores = (f"{cell[key]:.4f}" for key in ("nll", "ece"))
                found.append((*known, share(cell["accuracy"]), interval(certain(cell)), *shares, *scores))
    return found


def _both(evaluation: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the evaluation, and that of the empty filter inside it if there is one."""
    return [evaluation, *([evaluation["empty_filter"]] if evaluation["empty_filter"] else [])]
