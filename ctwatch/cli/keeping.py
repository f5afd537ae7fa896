"""Commands that keep the database: backup, restore."""

from pathlib import Path
from typing import Any

import click

from ctwatch.cli.shared import config_of, json_option


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path), help="File or folder to write to; never over what is there already."
)
@json_option
@click.pass_context
def backup(ctx: click.Context, out: Path | None, as_json: bool) -> None:
    """Copy the database now, whole and verified, also while the daemon runs.

    Without --out into backups/ in the store's folder, where the daemon puts one every day (store.backups says how many
    are kept). Keep some on another disk: --out /media/disk.
    """
    from ctwatch.keeping import back_up_now
    from ctwatch.report import as_json as to_json
    from ctwatch.results import utc_now

    made = back_up_now(config_of(ctx), utc_now(), out)
    size = made.stat().st_size
    click.echo(to_json({"file": str(made), "bytes": size}) if as_json else f"{made}: {size / 1e6:.1f} MB")


@click.command()
@click.argument("backup", required=False)
@click.option("--list", "only_list", is_flag=True, help="Only say what there is to restore.")
@json_option
@click.pass_context
def restore(ctx: click.Context, backup: str | None, only_list: bool, as_json: bool) -> None:
    """Put a backup in the place of the database: the newest good one, or BACKUP.

    The daemon must be stopped. The present database is set aside, never deleted; cards that came in since the backup are
    read again from the inbox when the daemon starts, labels imported since must be imported again.
    """
    from ctwatch import keeping
    from ctwatch.report import as_json as to_json
    from ctwatch.results import utc_now

    config = config_of(ctx)
    if only_list:
        if backup is not None:
            raise click.UsageError(f"--list says what there is; leave {backup} out")
        found = [_facts(item) for item in keeping.restorable(config)]
        if as_json:
            click.echo(to_json(found))
            return
        for facts in found:
            said = facts["problem"] or (
                f"{facts['saved_at']} UTC, {facts['cards']} cards, {facts['media']} photographs, ctwatch {facts['version']}"
            )
            click.echo(f"{facts['file']}: {said}")
        if not found:
            click.echo("ctwatch: nothing to restore: no backup and no published copy", err=True)
        return
    done = keeping.restore(config, utc_now(), backup)
    if as_json:
        click.echo(to_json({"restored": str(done.backup), "set_aside": done.set_aside and str(done.set_aside)}))
        return
    click.echo(
        f"{done.backup} of {done.state.saved_at} UTC is the database now: {done.state.cards} cards,"
        f" {done.state.media} photographs"
    )
    if done.set_aside is not None:
        click.echo(f"what was there lies at {done.set_aside}")


def _facts(item: Any) -> dict[str, Any]:
    state = item.state
    return {
        "file": str(item.path),
        "saved_at": state and str(state.saved_at),
        "cards": state and state.cards,
        "media": state and state.media,
        "version": state and state.ctwatch_version,
        "problem": item.problem,
    }
