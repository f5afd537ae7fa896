"""The log: lines for people on a terminal, one JSON object a line for the journal; no name in it can forge a record."""

import json
import logging
import os
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO

FORMS = ("auto", "text", "json")
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
"""The journal's priorities (syslog's) from each level upwards; what is below is 7, for finding faults."""


class TextLines(logging.Formatter):
    """Time, level and text on one line; what follows an exception is indented, so that it cannot pass for a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's lines."""
        moment = datetime.fromtimestamp(record.created).astimezone()
        lines = [f"{moment:%Y-%m-%d %H:%M:%S} {record.levelname} {printable(record.getMessage())}"]
        lines += [f"    {printable(line)}" for line in _exception(record).splitlines()]
        return "\n".join(lines)


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, and where there are any facts and exception."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line, ASCII only."""
        moment = datetime.fromtimestamp(record.created, UTC)
        content: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": printable(record.getMessage()),
        }
        facts = getattr(record, "facts", None)
        if facts is not None:
            content["facts"] = facts
        exception = _exception(record)
        if exception:
            content["exception"] = [printable(line) for line in exception.splitlines()]
        # ASCII: what a terminal or a viewer would obey, and halves of characters, are \u escapes.
        return json.dumps(content, default=str, skipkeys=True)


class JournalLines(logging.Formatter):
    """Another formatter's lines, each with the priority that the journal reads from its start (sd-daemon(3))."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self.inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's lines with their priority."""
        priority = next((number for level, number in _PRIORITIES if record.levelno >= level), 7)
        return "\n".join(f"<{priority}>{line}" for line in self.inner.format(record).split("\n"))


def printable(text: str) -> str:
    r"""Return text without anything that moves a cursor, ends a line or turns the writing round: \n, \x1b, \u202e ..."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def is_journal(stream: TextIO) -> bool:
    """Whether a stream goes to the journal: the service manager names its device and inode in JOURNAL_STREAM."""
    try:
        facts = os.fstat(stream.fileno())
    except (OSError, ValueError):  # no file behind it, or closed
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{facts.st_dev}:{facts.st_ino}"


def set_up(form: str = "auto", *, verbose: bool = False) -> None:
    """Send the log to stderr as text or JSON; auto: JSON for the journal, else text.

    Python's warnings and what ends the process or a thread unexpectedly go into it too. Where a log is set up already
    nothing changes.
    """
    if logging.getLogger().handlers:
        return
    journal = is_journal(sys.stderr)
    formatter: logging.Formatter = JsonLines() if form == "json" or (form == "auto" and journal) else TextLines()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JournalLines(formatter) if journal else formatter)
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler])
    logging.captureWarnings(True)
    sys.excepthook = _end_of_process
    threading.excepthook = _end_of_thread


def is_json() -> bool:
    """Whether the log has been set up as JSON, so that plain lines beside it would be in the way."""
    formatters = [handler.formatter for handler in logging.getLogger().handlers]
    inner = [item.inner if isinstance(item, JournalLines) else item for item in formatters]
    return any(isinstance(item, JsonLines) for item in inner)


def _exception(record: logging.LogRecord) -> str:
    return logging.Formatter().formatException(record.exc_info) if record.exc_info else record.exc_text or ""


def _end_of_process(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger("ctwatch").critical("a fault in ctwatch: %s", error, exc_info=(kind, error, trace))


def _end_of_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None:
        logging.getLogger("ctwatch").critical(
            "a fault in a thread of ctwatch: %s",
            ended.exc_value,
            exc_info=(ended.exc_type, ended.exc_value, ended.exc_traceback),
        )
