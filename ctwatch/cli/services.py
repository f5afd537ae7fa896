"""Commands that put the daemon on a machine as a service: service install, uninstall, status."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctwatch.cli.shared import json_option

if TYPE_CHECKING:
    from ctwatch.installation import Step


def _root_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--root", type=click.Path(file_okay=False, path_type=Path), default=Path("/"),
        help="A folder that stands for /: to try it without being root, or for the image of a machine.",
    )(command)  # fmt: skip


def _dry_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--dry-run", is_flag=True, help="Only say what would be done.")(command)


@click.group()
def service() -> None:
    """The daemon as a service of this machine (systemd)."""


@service.command()
@click.option("--gpu", is_flag=True, help="Let the service use an NVIDIA GPU.")
@click.option("--card-reader", is_flag=True, help="Copy each camera card that is put into a reader into the inbox.")
@_root_option
@_dry_option
@click.pass_context
def install(ctx: click.Context, gpu: bool, card_reader: bool, root: Path, dry_run: bool) -> None:
    """Put the service in place, to start at boot; as often as you like.

    Writes the unit for this installation of ctwatch, its user, its inbox and /etc/ctwatch/config.toml, unless that is
    there. Afterwards: edit the configuration, run this again if paths changed, and start it with systemctl start ctwatch.
    """
    from ctwatch import installation

    _demand_rights(root, dry_run)
    wish = installation.Wish(root.absolute(), gpu=gpu, card_reader=card_reader)
    _show(installation.install(wish, dry=dry_run))
    if root == Path("/") and not dry_run:
        click.echo(
            "next: edit /etc/ctwatch/config.toml; ctwatch -c /etc/ctwatch/config.toml check; systemctl start ctwatch"
        )


@service.command()
@_root_option
@_dry_option
def uninstall(root: Path, dry_run: bool) -> None:
    """Stop the service and remove what install put there; configuration, data and inbox stay."""
    from ctwatch import installation

    _demand_rights(root, dry_run)
    _show(installation.uninstall(installation.Wish(root.absolute()), dry=dry_run))


@service.command(name="status")
@_root_option
@json_option
def service_status(root: Path, as_json: bool) -> None:
    """Whether the service is installed, of this version, and running."""
    from ctwatch import installation

    facts = installation.status(installation.Wish(root.absolute()))
    if as_json:
        click.echo(json.dumps(facts, indent=1))
        return
    click.echo(f"installed: {'yes' if facts['installed'] else 'no; run: ctwatch service install'}")
    click.echo(f"starts at boot: {'yes' if facts['starts_at_boot'] else 'no'}")
    click.echo(f"configuration: {facts['config'] or 'none'}")
    for path, said in facts["files"].items():
        click.echo(f"{path}: {said}")
    for name, value in (facts["manager"] or {"systemd": "does not run here"}).items():
        click.echo(f"{name}: {value}")


def _show(steps: "Sequence[Step]") -> None:
    for step in steps:
        click.echo(str(step))


def _demand_rights(root: Path, dry_run: bool) -> None:
    if root == Path("/") and not dry_run and os.geteuid() != 0:
        raise click.UsageError("this changes the machine: run it as root (sudo), or see --dry-run and --root")
