"""The commands of `ctwatch train`: make a set, fit a recipe on it, evaluate and bundle the models."""

import click

from .commands.bundle import bundle
from .commands.data import data
from .commands.evaluate import evaluate
from .commands.fit import fit
from .commands.scenes import scenes


@click.group()
def train() -> None:
    """Train, calibrate and measure models of your own."""


for _command in (data, fit, evaluate, bundle, scenes):
    train.add_command(_command)
