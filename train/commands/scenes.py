"""`ctwatch train scenes`: draw camera-trap scenes of made-up animals, with labels."""

from pathlib import Path

import click
from click.core import ParameterSource

from ctwatch.errors import ConfigError

OF_WORLDS = ("validation", "unseen", "unseen_events", "unknown", "rarest", "bias", "leaving", "apart")
"""Options that mean something with --world only."""


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder for the photographs and labels.csv."
)
@click.option("--locations", type=click.IntRange(1, 9000), help="Number of places; 120, of a world 20 to train on.")
@click.option("--events", type=click.IntRange(1), help="Camera triggers per place; 40, of a world 240.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Same seed, same photographs.")
@click.option("--blanks", type=click.FloatRange(0, 1), help="Fraction of blank events; 0.42, of a world 0.5.")
@click.option("--first", type=click.IntRange(0), default=0, show_default=True, help="Number of the first place.")
@click.option("--size", type=click.IntRange(48), nargs=2, help="Height and width in pixels; 96 128 of a world.")
@click.option("--erased", is_flag=True, help="Leave the animals out and keep their labels: what backgrounds give away.")
@click.option(
    "--world",
    is_flag=True,
    help="Draw a world in which everything is known: tables natural, aside, balanced and unknown, with photographs of "
    "seen and of unseen places and of species that nothing is trained on.",
)
@click.option(
    "--validation", type=click.IntRange(0, 9000), default=10, show_default=True, help="World: places to validate on."
)
@click.option("--unseen", type=click.IntRange(0, 9000), default=20, show_default=True, help="World: places to test on.")
@click.option(
    "--unseen-events", type=click.IntRange(0), default=80, show_default=True, help="World: triggers per place of these."
)
@click.option(
    "--unknown", type=click.IntRange(0), default=2, show_default=True, help="World: species kept out of training."
)
@click.option(
    "--rarest",
    type=click.FloatRange(1),
    default=40.0,
    show_default=True,
    help="World: how many times commoner the commonest species is than the rarest.",
)
@click.option(
    "--bias",
    type=click.FloatRange(0, 10),
    default=1.5,
    show_default=True,
    help="World: how strongly species prefer places; 0 is not at all.",
)
@click.option(
    "--leaving",
    type=click.FloatRange(0, 0.99),
    default=0.15,
    show_default=True,
    help="World: chance at every frame but the first that the animal has left by then.",
)
@click.option(
    "--apart",
    type=click.IntRange(0),
    default=60,
    show_default=True,
    help="World: triggers of each species in the balanced and unknown tables, at seen and at unseen places.",
)
@click.pass_context
def scenes(
    context: click.Context,
    out: Path,
    locations: int | None,
    events: int | None,
    seed: int,
    blanks: float | None,
    first: int,
    size: tuple[int, int] | None,
    erased: bool,
    world: bool,
    validation: int,
    unseen: int,
    unseen_events: int,
    unknown: int,
    rarest: float,
    bias: float,
    leaving: float,
    apart: int,
) -> None:
    """Draw camera-trap scenes of made-up animals, with labels."""
    from ..generate import World, write_scenes, write_world
    from ..progress import say, shown

    if not world:
        given = [name for name in OF_WORLDS if context.get_parameter_source(name) is not ParameterSource.DEFAULT]
        if given:
            raise ConfigError([f"--{name.replace('_', '-')} needs --world" for name in given])
        places = locations or 120
        with shown("drawing events") as progress:
            count = write_scenes(
                out,
                locations=places,
                events=events or 40,
                seed=seed,
                blanks=0.42 if blanks is None else blanks,
                first=first,
                size=size,
                erased=erased,
                progress=progress,
            )
        say(f"{count} photographs of {places} locations")
        click.echo(out / "labels.csv")
        return
    drawn = World(
        seed=seed,
        seen=locations or 20,
        validation=validation,
        unseen=unseen,
        events=events or 240,
        unseen_events=unseen_events,
        blanks=0.5 if blanks is None else blanks,
        rarest=rarest,
        bias=bias,
        leaving=leaving,
        unknown=unknown,
        apart=apart,
        size=size or (96, 128),
        first=first,
        erased=erased,
    )
    with shown("drawing events") as progress:
        tables = write_world(drawn, out, progress)
    for path in tables.values():
        click.echo(path)
