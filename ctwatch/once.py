"""The pipeline without the daemon: cards processed once, with a progress bar."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ctwatch import check, labelling
from ctwatch.card import snapshot
from ctwatch.config import Config
from ctwatch.disk import shortage
from ctwatch.errors import CardChanged, CtwatchError, InboxMissing, StoreBusy, StoreError, StoreFull
from ctwatch.export.files import clear_unfinished
from ctwatch.names import storable
from ctwatch.pipeline import CardOutcome, Pipeline
from ctwatch.pipeline import Progress as Listener
from ctwatch.receipts import give_receipts
from ctwatch.results import put_out, utc_now
from ctwatch.store.database import Database
from ctwatch.store.lock import only_one
from ctwatch.store.preparation import prepare
from ctwatch.store.recovery import restore_if_damaged

logger = logging.getLogger(__name__)


def process_cards(config: Config, cards: Sequence[Path], console: Console) -> list[CardOutcome]:
    """Process card folders where they lie, then publish and export.

    A card that changes under the reading is passed over, and the error raised when the others are done.
    """
    outcomes = []
    unfinished: list[CtwatchError] = []
    with at_work(config, models_when_needed=False) as (_, pipeline), progress_bars(console) as bar:
        for card in cards:
            short = shortage(config.store_folder, config.store.min_free_gb)
            if short is not None:
                unfinished.append(StoreFull(short))
                break
            root = card.resolve()
            try:
                with bar(storable(root.name)) as listener:
                    outcomes.append(pipeline.process(snapshot(root, root.parent), listener))
            except (CardChanged, InboxMissing) as error:
                unfinished.append(error)  # the other cards have done nothing wrong
    if unfinished:
        raise type(unfinished[-1])("\n".join(str(error) for error in unfinished))
    return outcomes


def derive_again(config: Config, console: Console, *, inference: bool) -> str:
    """Map, derive and, with `inference`, look at what no model has seen; then publish. Returns a line about it."""
    looked_at = 0
    with at_work(config) as (_, pipeline):
        pipeline.rederive()
        if inference:
            with progress_bars(console) as bar, bar("looking at earlier cards") as listener:
                looked_at = pipeline.catch_up(progress=listener)
    told = f"events, observations and effort derived again; models looked at {looked_at} photographs"
    if pipeline.out_of_reach:
        told += f"; {pipeline.out_of_reach} more that they should see are gone: drop their cards again"
    return told


def take_in_labels(
    config: Config,
    files: Sequence[Path],
    *,
    as_human: bool | None,
    by: str | None,
    species_column: str | None,
    dry_run: bool,
) -> list[labelling.Taken]:
    """Take in files of labels, one after the other, then publish and export, also where one of them is refused."""
    outcomes: list[labelling.Taken] = []
    with at_work(config, publish=lambda: not dry_run and any(outcome.matched for outcome in outcomes)) as (
        database,
        pipeline,
    ):
        for file in files:
            outcome = labelling.take_in(
                database, pipeline, file, as_human=as_human, by=by, species_column=species_column, dry_run=dry_run
            )
            outcomes.append(outcome)
    return outcomes


@contextmanager
def at_work(
    config: Config, *, publish: Callable[[], bool] = lambda: True, models_when_needed: bool = True
) -> Iterator[tuple[Database, Pipeline]]:
    """A database and a pipeline in good order while a block runs; then, also where it failed, what is in is put out.

    `publish` may say at the end that there is nothing new. Networks are loaded when they are first asked, or at once.
    Raises ConfigError, ModelError or StoreError.
    """
    database = Database(config.store_folder, busy_timeout_s=config.store.busy_timeout_s)
    if config.store_folder.is_dir():
        _restore_unless_a_daemon_is_at_work(config, database)
    loaded = check.demand(config, inboxes=False, when_needed=models_when_needed)
    prepare(database)
    clear_unfinished(config.store_folder)
    pipeline = Pipeline(config, database, loaded)
    try:
        yield database, pipeline
    finally:
        pipeline.close()
        if publish():
            put_out(config, database)
            _give_receipts(config)


def _restore_unless_a_daemon_is_at_work(config: Config, database: Database) -> None:
    with suppress(StoreBusy), only_one(config.store_folder):  # a daemon sees to its file itself
        restore_if_damaged(database, utc_now())


def _give_receipts(config: Config) -> None:
    try:
        give_receipts(config, utc_now())
    except (OSError, StoreError) as error:
        logger.warning("receipts could not be written: %s", error)


class Bars:
    """Progress bars, one a card."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    @contextmanager
    def __call__(self, name: str) -> Iterator[Listener]:
        """A bar while a block runs, moved by the listener that it is given."""
        task = self._progress.add_task(name, total=None)
        yield lambda done, total: self._progress.update(task, completed=done, total=total)


@contextmanager
def progress_bars(console: Console) -> Iterator[Bars]:
    """Progress on a terminal, nothing elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield Bars(progress)
