"""`ctwatch train data`: make a set to learn from and to measure on out of labels and photographs."""

import json
import re
import sys
from pathlib import Path
from typing import Literal

import click

from ctwatch.domain import Canvas
from ctwatch.errors import EXIT_MEDIA_FAILED, ConfigError

from ..labels.annotation import Labels

_SIDES = re.compile(r"(\d{1,4})x(\d{1,4})")
_SMALLEST, _LARGEST = 8, 4096


def _sides(_ctx: click.Context, _option: click.Parameter, text: str) -> tuple[int, int]:
    """Return (height, width) of a text like 256x256."""
    match = _SIDES.fullmatch(text)
    if match is None or not all(_SMALLEST <= int(side) <= _LARGEST for side in match.groups()):
        raise click.BadParameter(
            f"{text!r} is not HEIGHTxWIDTH with sides from {_SMALLEST} to {_LARGEST}, like 256x256"
        )
    return int(match[1]), int(match[2])


@click.command()
@click.argument("labels", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the set.")
@click.option(
    "--images", type=click.Path(path_type=Path), help="Folder that the photographs lie in, if not beside the labels."
)
@click.option(
    "--canvas",
    default="256x256",
    metavar="HEIGHTxWIDTH",
    callback=_sides,
    show_default=True,
    help="Size in pixels that frames are squashed to.",
)
@click.option(
    "--banner-top",
    type=click.FloatRange(0, 0.4),
    default=0.0,
    show_default=True,
    help="Part of the height cut off at the top: the camera's strip of text.",
)
@click.option(
    "--banner-bottom", type=click.FloatRange(0, 0.4), default=0.0, show_default=True, help="The same at the bottom."
)
@click.option(
    "--by",
    "unit",
    type=click.Choice(["location", "event", "image"]),
    default="location",
    show_default=True,
    help="What stays together in one split. With image, frames of one event do not, and figures are too good.",
)
@click.option(
    "--validation", type=click.FloatRange(0, 1), default=0.15, show_default=True, help="Part of the photographs."
)
@click.option("--test", type=click.FloatRange(0, 1), default=0.2, show_default=True, help="Part of the photographs.")
@click.option(
    "--seen",
    type=click.FloatRange(0, 0.9),
    default=0.1,
    show_default=True,
    help="Part of the training locations' events held out as test_seen (with --by location).",
)
@click.option("--seed", type=click.IntRange(0, 2**31), default=1, show_default=True, help="Same seed, same set.")
@click.option(
    "--median",
    type=click.Choice(["lower", "upper"]),
    default="lower",
    show_default=True,
    help="Number of species where annotators disagree; lower is what Snapshot Serengeti's released answers rest on.",
)
@click.option("--propagate", is_flag=True, help="Every photograph gets what is seen on any of its event.")
@click.option(
    "--gap",
    type=click.FloatRange(0, 86_400),
    default=60.0,
    show_default=True,
    help="Seconds; a longer pause begins a new event, where the labels name no events.",
)
@click.option(
    "--workers", type=click.IntRange(0, 256), default=0, help="Threads that decode; one a core when not given."
)
@click.option("--json", "as_json", is_flag=True, help="Print what the set holds as JSON.")
@click.pass_context
def data(
    ctx: click.Context,
    labels: tuple[str, ...],
    out: Path,
    images: Path | None,
    canvas: tuple[int, int],
    banner_top: float,
    banner_bottom: float,
    unit: str,
    validation: float,
    test: float,
    seen: float,
    seed: int,
    median: Literal["lower", "upper"],
    propagate: bool,
    gap: float,
    workers: int,
    as_json: bool,
) -> None:
    """Make a set out of LABELS: label files or folders, each PATH or NAME=PATH.

    Photographs are read once, checked, decoded and divided; the folder OUT then holds all that training needs. What was
    interrupted goes on where it was: give the same command again. With other labels or options, frames that are there
    are used again.
    """
    from ..labels import read
    from ..progress import say, shown
    from ..sets.building import SetOptions, build_set
    from ..sets.coverage import rows
    from ..sets.split import Shares
    from ..tabular import table

    options = SetOptions(
        Canvas(*canvas, banner_top, banner_bottom),
        unit,
        Shares(validation, test, seen),
        seed,
        median,
        propagate,
        gap,
        workers,
    )
    sources: list[Labels] = []
    problems: list[str] = []
    for spec in labels:
        try:
            sources.append(read(spec, images=images))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    report = build_set(sources, out, options, say=say, shown=shown)
    for note in report.about.notes:
        say(f"note: {note}")
    for reason, number in report.about.left_out.items():
        example = next(each for each in report.left_out if each.reason == reason)
        say(f"left out: {number:,} {reason.replace('_', ' ')}, such as {example.path} ({example.detail})")
    if as_json:
        click.echo(json.dumps(report.as_dict(), indent=1))
    else:
        head, lines = rows(report.about.coverage, wide=not sys.stdout.isatty())
        table(head, lines, left=1)
    if report.left_out:
        ctx.exit(EXIT_MEDIA_FAILED)
