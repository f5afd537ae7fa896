"""How it is: the daemon's own words and the published database's counts, as one answer."""

from typing import Any

from ctwatch.config import Config
from ctwatch.names import storable
from ctwatch.service import read_status
from ctwatch.store.database import PUBLISHED_NAME
from ctwatch.store.publish import open_published
from ctwatch.store.queries import table


def state(config: Config) -> dict[str, Any]:
    """Return what the daemon is doing and what is in; keys without an answer are None."""
    facts: dict[str, Any] = {
        "daemon": read_status(config.store_folder),
        "store": storable(str(config.store_folder)),
        "in": None,
    }
    if (config.store_folder / PUBLISHED_NAME).exists():
        with open_published(config.store_folder) as connection:
            cards = table(
                connection,
                "SELECT count(*) AS cards, sum(files_seen)::BIGINT AS files, sum(failed)::BIGINT AS failed,"
                " sum(duplicates)::BIGINT AS duplicates, max(processed_at)::VARCHAR AS last_card FROM cards",
            )
            more = table(
                connection,
                "SELECT (SELECT count(*) FROM media) AS media, (SELECT count(*) FROM events) AS events,"
                " (SELECT count(DISTINCT event_id) FROM review_queue) AS to_review",
            )
        facts["in"] = dict(zip((*cards.columns, *more.columns), (*cards.rows[0], *more.rows[0]), strict=True))
    return facts


def state_in_words(facts: dict[str, Any]) -> str:
    """The same for people, a few lines."""
    daemon, inside = facts["daemon"], facts["in"]
    lines = []
    if daemon is None:
        lines.append("daemon: never ran here")
    elif not daemon["running"]:
        lines.append("daemon: not running")
    elif daemon.get("card"):
        card = daemon["card"]
        lines.append(
            f"daemon: working on {card['name']}, {card['done']} of {card['total']} files (process {daemon['pid']})"
        )
    else:
        lines.append(f"daemon: waiting for cards (process {daemon['pid']})")
    if daemon is not None and daemon["running"]:
        lines += [f"inbox is not there: {inbox}" for inbox in daemon.get("missing_inboxes", [])]
        lines += [f"settling: {card['name']}, {card['files']} files" for card in daemon.get("settling", [])]
        lines += [f"refused: {item['card']}: {item['reason']}" for item in daemon.get("refused", [])]
    if inside is None:
        lines.append("in: nothing yet")
    else:
        lines.append(
            f"in: {inside['cards']} cards, {inside['media']} photographs, {inside['events']} events,"
            f" {inside['to_review']} of them to review, {inside['failed'] or 0} files failed"
        )
    return "\n".join(lines)
