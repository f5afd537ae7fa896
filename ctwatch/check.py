"""Everything that must be right before cards are processed, looked at all at once."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ctwatch import panel
from ctwatch.config import BUNDLED, Config
from ctwatch.disk import shortage
from ctwatch.domain import Task
from ctwatch.errors import ConfigError, CtwatchError, InboxMissing, StoreError
from ctwatch.nets import device as devices
from ctwatch.nets.inference import Ensemble
from ctwatch.panel import Panel
from ctwatch.store.database import LIVE_NAME, Database
from ctwatch.tables import load_mapping

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what it is, how it stands and, where it is wrong, the error with its remedy."""

    what: str
    state: str
    error: CtwatchError | None = None


def look(
    config: Config,
    loaded: dict[Task, Ensemble | None] | None = None,
    waiting: Callable[[], None] = lambda: None,
    *,
    when_needed: bool = False,
) -> list[Finding]:
    """Look at configuration, deployments table, inboxes, accelerator, models, database, its room and the archive.

    What is loaded to see that it can be is put into `loaded`; `waiting` is called about every second while that takes long.
    `when_needed`: of the models only what their files say of themselves.
    """
    loaded = {} if loaded is None else loaded
    findings = [_deployments(config), *_inboxes(config), _device(config)]
    findings += [_models(config, task, loaded, waiting, when_needed) for task in Task]
    return [*findings, _store(config), *_archive(config)]


def demand(
    config: Config,
    *,
    inboxes: bool = True,
    waiting: Callable[[], None] = lambda: None,
    when_needed: bool = False,
) -> Panel:
    """Return the models, loaded, or raise one error with every problem; its class, and so the exit code, is the gravest's.

    Configuration comes before models, models before the store, the store before an inbox that may yet be mounted;
    without `inboxes` these are not asked for, and `when_needed` leaves the networks to be loaded when they are first asked.
    """
    loaded: dict[Task, Ensemble | None] = {}
    findings = look(config, loaded, waiting, when_needed=when_needed)
    errors = [finding.error for finding in findings if finding.error is not None]
    errors = [error for error in errors if inboxes or not isinstance(error, InboxMissing)]
    if not errors:
        for task in Task:
            if loaded[task] is None and panel.folder(config, task) is not None:
                logger.warning("no %s models yet; frames stay unclassified until there are", task)
        return Panel(loaded[Task.EMPTY], loaded[Task.SPECIES])
    gravest = min(errors, key=lambda error: error.exit_code)
    text = "\n".join(str(error) for error in errors)
    raise ConfigError(text.splitlines()) if isinstance(gravest, ConfigError) else type(gravest)(text)


def _deployments(config: Config) -> Finding:
    if not config.deployments.table:
        return Finding("deployments", "no table; folder names tell location, camera and date")
    try:
        table = load_mapping(config).table
    except ConfigError as error:
        return Finding("deployments", "has problems", error)
    return Finding("deployments", f"{len(table.rows)} deployments at {len(table.locations)} locations")


def _inboxes(config: Config) -> list[Finding]:
    findings = []
    for inbox in config.inboxes:
        error: CtwatchError | None = None
        if not os.path.isdir(inbox):
            error = InboxMissing(f"inbox {inbox} is not there; mount or create it, or correct watch.inboxes")
        elif not os.access(inbox, os.R_OK | os.X_OK):
            error = InboxMissing(f"inbox {inbox} may not be read by this user; change its owner or mode")
        findings.append(Finding("inbox", str(inbox), error))
    return findings


def _device(config: Config) -> Finding:
    try:
        return Finding("device", devices.resolve(config.models.device))
    except ConfigError as error:
        return Finding("device", config.models.device, error)


def _models(
    config: Config,
    task: Task,
    loaded: dict[Task, Ensemble | None],
    waiting: Callable[[], None],
    when_needed: bool,
) -> Finding:
    folder = panel.folder(config, task)
    what = f"{task} models"
    try:
        ensemble = loaded[task] = panel.load(config, task, waiting, when_needed=when_needed)
    except CtwatchError as error:
        return Finding(what, str(folder), error)
    if ensemble is None:
        return Finding(what, "none: " + ("nothing is classified" if task is Task.EMPTY else "animals stay unnamed"))
    named = config.models.empty if task is Task.EMPTY else config.models.species
    source = "bundled" if named == BUNDLED else str(folder)
    return Finding(what, source if when_needed else _in_words(ensemble, source))


def _store(config: Config) -> Finding:
    path = config.store_folder / LIVE_NAME
    if not os.path.exists(path):
        parent = _existing(config.store_folder)
        if not os.access(parent, os.W_OK):
            return Finding("database", str(path), StoreError(f"{parent} may not be written to; correct store.folder"))
        return Finding("database", f"{path} (not there yet; made when first needed)")
    try:
        Database(config.store_folder, busy_timeout_s=0).look()
    except StoreError as error:
        return Finding("database", str(path), error)
    short = shortage(config.store_folder, config.store.min_free_gb)
    return Finding("database", str(path) if short is None else f"{path}; NO ROOM, cards will wait: {short}")


def _archive(config: Config) -> list[Finding]:
    if config.cards.after != "archive":
        return []
    folder = config.path(config.cards.archive)
    parent = _existing(folder)
    error = None
    if not os.access(parent, os.W_OK):
        error = StoreError(f"{parent} may not be written to; correct cards.archive or its owner")
    return [Finding("archive", str(folder), error)]


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if os.path.exists(place))


def _in_words(ensemble: Ensemble, source: str) -> str:
    members = ensemble.members
    names = ", ".join(model.architecture for model in members)
    said = f". {members[0].notes}" if members[0].notes else ""
    run_by = " and ".join(sorted(set(ensemble.engines)))
    return f"{len(members)} ({names}), {len(members[0].labels)} labels, {source}, run by {run_by}{said}"
