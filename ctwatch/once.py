"""The pipeline without the daemon: cards processed once, with a progress bar."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ctwatch import check, labelling, panel
from ctwatch.card import snapshot
from ctwatch.config import Config
from ctwatch.errors import CardChanged, CtwatchError, InboxMissing
from ctwatch.names import storable
from ctwatch.pipeline import CardOutcome, Pipeline
from ctwatch.pipeline import Progress as Listener
from ctwatch.results import put_out, utc_now
from ctwatch.store.database import Database
from ctwatch.store.recovery import restore_if_damaged


def process_cards(config: Config, cards: Sequence[Path], console: Console) -> list[CardOutcome]:
    """Process card folders where they lie, then publish and export.

    A card that changes under the reading is passed over, and the error raised when the others are done.
    """
    database, pipeline = _ready(config)
    outcomes = []
    unfinished: list[CtwatchError] = []
    try:
        with _bar(console) as bar:
            for card in cards:
                root = card.resolve()
                try:
                    with bar(storable(root.name)) as listener:
                        outcomes.append(pipeline.process(snapshot(root, root.parent), listener))
                except (CardChanged, InboxMissing) as error:
                    unfinished.append(error)  # the other cards have done nothing wrong
    except KeyboardInterrupt:
        put_out(config, database)
        raise
    put_out(config, database)
    if unfinished:
        raise type(unfinished[0])("\n".join(str(error) for error in unfinished))
    return outcomes


def derive_again(config: Config, console: Console, *, inference: bool) -> str:
    """Map, derive and, with `inference`, look at what no model has seen; then publish. Returns a line about it."""
    database, pipeline = _ready(config)
    pipeline.rederive()
    looked_at = 0
    if inference:
        with _bar(console) as bar, bar("looking at earlier cards") as listener:
            looked_at = pipeline.catch_up(progress=listener)
    put_out(config, database)
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
    database, pipeline = _ready(config)
    outcomes = []
    try:
        for file in files:
            outcome = labelling.take_in(
                database, pipeline, file, as_human=as_human, by=by, species_column=species_column, dry_run=dry_run
            )
            outcomes.append(outcome)
    finally:
        # Also what is in already: a run that was cut off behind its commit has not published it.
        if not dry_run and any(outcome.matched for outcome in outcomes):
            put_out(config, database)
    return outcomes


def _ready(config: Config) -> tuple[Database, Pipeline]:
    database = Database(config.store_folder, busy_timeout_s=config.store.busy_timeout_s)
    restore_if_damaged(database, utc_now())
    check.demand(config, inboxes=False)
    database.prepare()
    return database, Pipeline(config, database, panel.load(config))


class _Bars:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    @contextmanager
    def __call__(self, name: str) -> Iterator[Listener]:
        task = self._progress.add_task(name, total=None)
        yield lambda done, total: self._progress.update(task, completed=done, total=total)


@contextmanager
def _bar(console: Console) -> Iterator[_Bars]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield _Bars(progress)
