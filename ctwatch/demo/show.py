"""`ctwatch demo`: makes a station, starts the real daemon on it, drops the cards and shows what came out."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from ctwatch import config as configuration
from ctwatch import exchange, report
from ctwatch.contact_sheet import write_sheet
from ctwatch.demo.station import CARDS, DEPLOYMENTS_CSV, write_card
from ctwatch.errors import CtwatchError
from ctwatch.results import RESULTS_FOLDER, histories_of
from ctwatch.service import STATUS_NAME, read_status
from ctwatch.store.database import PUBLISHED_NAME
from ctwatch.store.publish import open_published
from ctwatch.surveying import write_page

CONFIG = """\
# The demo's configuration; `ctwatch config` prints every option.
[watch]
inboxes = ["inbox"]
settle_s = 3
unfinished_s = 6

[deployments]
table = "deployments.csv"
utc_offset = "+03:00"

[models]
# Both ensembles that come along. The species one knows drawn animals and nothing else.
empty = "bundled"
species = "bundled"

[store]
folder = "data"

[project]
title = "The demo station"
"""
AGAIN = f"{CARDS[0].folder} copied again"
_LONGEST_S = 240.0


def run_demo(folder: Path, console: Console) -> None:
    """Make the station in `folder` and run the daemon on it until every card is in; prints report and paths.

    A folder that holds an earlier demo is made anew; one that holds anything else is refused with CtwatchError.
    """
    _clear(folder)
    staging, inbox = folder / "sd-cards", folder / "inbox"
    for each in (staging, inbox):
        each.mkdir(parents=True)
    (folder / "deployments.csv").write_text(DEPLOYMENTS_CSV, "utf-8")
    path = folder / "config.toml"
    path.write_text(CONFIG, "utf-8")
    config = configuration.load(path)
    log = folder / "daemon.log"
    with (
        Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=console) as bar,
        log.open("wb") as log_handle,
    ):
        daemon = subprocess.Popen(  # noqa: S603 - our own program, our own arguments
            [sys.executable, "-m", "ctwatch", "--config", str(path), "run"], stdout=log_handle, stderr=log_handle
        )
        try:
            for card in CARDS:
                task = bar.add_task(f"taking photographs: {card.folder}", total=card.files)
                write_card(card, staging / card.folder, partial(_advance, bar, task))
                shutil.copytree(staging / card.folder, inbox / card.folder)
            shutil.copytree(staging / CARDS[0].folder, inbox / AGAIN)
            task = bar.add_task("ctwatch processes the inbox: cards", total=len(CARDS) + 1)
            _wait(config, daemon, len(CARDS) + 1, log, partial(_advance, bar, task))
        finally:
            daemon.send_signal(signal.SIGTERM)
            code = daemon.wait(60)
    if code != 0:
        raise CtwatchError(f"the daemon ended with exit code {code}; see {log}")
    _show(config, folder, console)


def _advance(bar: Progress, task: TaskID, done: int) -> None:
    bar.update(task, completed=done)


def _clear(folder: Path) -> None:
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / "sd-cards").is_dir() or not (folder / "config.toml").is_file():
        raise CtwatchError(f"{folder} holds something that is no demo; name another folder: ctwatch demo FOLDER")
    shutil.rmtree(folder)


def _wait(
    config: configuration.Config,
    daemon: "subprocess.Popen[bytes]",
    cards: int,
    log: Path,
    progress: Callable[[int], None],
) -> None:
    """Wait until the daemon has that many cards in and published."""
    deadline = time.monotonic() + _LONGEST_S
    while time.monotonic() < deadline:
        facts = read_status(config.store_folder) or {}
        progress(facts.get("cards_done", 0))
        if facts.get("cards_done", 0) >= cards and not facts.get("unpublished", True):
            return
        if daemon.poll() is not None:
            raise CtwatchError(f"the daemon ended early; see {log}\n{log.read_text('utf-8')[-2000:]}")
        time.sleep(0.2)
    raise CtwatchError(
        f"the daemon did not finish in {_LONGEST_S:.0f} s; see {log} and {config.store_folder / STATUS_NAME}"
    )


def _show(config: configuration.Config, folder: Path, console: Console) -> None:
    sheet = write_sheet(config, folder / "contact-sheet.png")
    with open_published(config.store_folder) as connection:
        for name in ("cards", "species", "decisions", "effort", "review", "failures", "duplicates"):
            report.show(console, report.REPORTS[name][0], report.answer(connection, name))
        report.show_histories(console, histories_of(config, connection))
    written = write_page(config, folder / "survey.html")
    ready = exchange.export(config, ["occupancy"], folder)
    results = config.store_folder / RESULTS_FOLDER
    for what, where in (
        ("Database to open", config.store_folder / PUBLISHED_NAME),
        ("CSV files", results),
        ("For R and Python", next(path for path in ready.paths if path.name == "README.txt")),
        ("Contact sheet", sheet),
        ("The survey's page", written.path),
        ("The daemon's log", folder / "daemon.log"),
    ):
        console.print(f"[bold]{what:19}[/bold]{where}", soft_wrap=True, highlight=False)
    console.print("\nThe animals are drawn, and the bundled species models know drawn animals only.", highlight=False)
    console.print(
        f'Try: ctwatch -c {folder / "config.toml"} query "select * from detections"', soft_wrap=True, highlight=False
    )
