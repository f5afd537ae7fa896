"""Every error that ctwatch raises on purpose, each with the exit code that a command ends with.

    CtwatchError                1
      ConfigError               2   configuration, recipe or deployments table; lists every problem
      ModelError                4   a model file that does not fit, by name
      StoreError                5   the database cannot be used
        StoreBusy                   somebody holds it open; names who
        StoreTooNew                 written by a newer ctwatch; nothing is touched
        StoreDamaged                cannot be read as a database
        StoreFull                   the disk takes nothing more: full, over quota or read-only; passes by itself
      InboxMissing              6   an inbox is not there (unmounted?); never "cards deleted"
      CardChanged               1   a card was written to while it was read; it is read again
      Interrupted             130   asked to stop; what was finished is kept

An unusable photograph is not an error: it is a value on its row (`domain.Failure`).
"""

from collections.abc import Iterable

EXIT_DONE = 0
EXIT_MEDIA_FAILED = 3
"""Finished, but some media could not be used."""


class CtwatchError(Exception):
    """Anything that stops a command, with a message that says what, where and what to do."""

    exit_code = 1


class ConfigError(CtwatchError):
    """One or more problems in what the user wrote; `problems` holds each with its remedy."""

    exit_code = 2

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class ModelError(CtwatchError):
    """A model file that cannot be used."""

    exit_code = 4


class StoreError(CtwatchError):
    """The database cannot be used; nothing was overwritten."""

    exit_code = 5


class StoreBusy(StoreError):
    """Another process holds the database open."""


class StoreTooNew(StoreError):
    """The database was written by a newer ctwatch."""


class StoreDamaged(StoreError):
    """The file cannot be read as a database."""


class StoreFull(StoreError):
    """The disk takes nothing more for now: full, over quota, or read-only."""


class InboxMissing(CtwatchError):
    """An inbox folder is not there."""

    exit_code = 6


class CardChanged(CtwatchError):
    """A card was not whole after all: it was written to while it was read."""


class Interrupted(CtwatchError):
    """A stop was asked for between two batches; finished work is kept."""

    exit_code = 130
