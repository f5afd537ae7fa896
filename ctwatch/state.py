"""How it is: the daemon's own words, the published database's counts and the disk, as one answer; and what is wrong."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ctwatch.config import Config
from ctwatch.disk import GB, free_bytes
from ctwatch.errors import StoreError
from ctwatch.names import storable
from ctwatch.service import STALE_S, heartbeat_age_s, read_status
from ctwatch.store.backups import backups
from ctwatch.store.database import PUBLISHED_NAME
from ctwatch.store.publish import open_published
from ctwatch.store.queries import publication, table

if TYPE_CHECKING:
    import duckdb

_SHOWN = 10
"""Cards with failures that are told by name to people."""


def state(config: Config, now: datetime) -> dict[str, Any]:
    """Return what the daemon is doing, what is in and what is wrong, at `now` (aware); docs/status.schema.json.

    A published database that cannot be read is a problem among the others, not an error.
    """
    daemon = read_status(config.store_folder)
    facts: dict[str, Any] = {
        "daemon": daemon,
        "heartbeat_age_s": None if daemon is None else heartbeat_age_s(daemon, now),
        "store": storable(str(config.store_folder)),
        "free_gb": round(free_bytes(config.store_folder) / GB, 3),
        "in": None,
        "published_at": None,
        "failed_cards": [],
        "quarantine": 0,
        "backups": _backups(config),
        "store_problem": None,
    }
    if (config.store_folder / PUBLISHED_NAME).exists():
        try:
            with open_published(config.store_folder) as connection:
                facts |= _published(connection)
        except StoreError as error:
            facts["store_problem"] = str(error)
    return facts | {"problems": problems(facts)}


def problems(facts: dict[str, Any]) -> list[str]:
    """Return what somebody should see to, in sentences; none: it is healthy.

    Failed files are none: they stay visible in the status, but a broken photograph must not ring an alarm for ever.
    """
    daemon, age = facts["daemon"], facts["heartbeat_age_s"]
    found = []
    if daemon is None:
        found.append("the daemon never ran here; start it: ctwatch run, or systemctl start ctwatch")
    elif not daemon["running"]:
        found.append("the daemon is not running; start it: ctwatch run, or systemctl start ctwatch")
    else:
        if age is None or age > STALE_S:
            silent = "ever" if age is None else f"{timedelta(seconds=round(age))}"
            found.append(
                f"the daemon gave no sign of life for {silent}: it hangs, or cannot write into {facts['store']}"
            )
        if daemon.get("paused"):
            found.append(f"the daemon is paused: {daemon['paused']}")
        found += [f"inbox is not there: {inbox}" for inbox in daemon.get("missing_inboxes", [])]
        found += [f"card waits: {item['card']}: {item['reason']}" for item in daemon.get("refused", [])]
    if facts["store_problem"]:
        found.append(facts["store_problem"])
    return found


def state_in_words(facts: dict[str, Any], now: datetime) -> str:
    """The same for people, a few lines; moments as they were `now` (aware) ago."""
    daemon, inside = facts["daemon"], facts["in"]
    lines = [f"daemon: {_doing(daemon)}"]
    if daemon is not None and daemon["running"]:
        lines += [_settling(card) for card in daemon.get("settling", [])]
    # A daemon that is not there is said in the first line already.
    lines += [f"PROBLEM: {problem}" for problem in facts["problems"] if not problem.startswith(_DAEMON_IS_NOT)]
    if inside is None:
        lines.append("in: nothing yet")
    else:
        lines.append(
            f"in: {inside['cards']} cards, {inside['media']} photographs, {inside['events']} events,"
            f" {inside['to_review']} of them to review, {inside['failed'] or 0} files failed"
        )
    lines += _failures(facts)
    if facts["published_at"]:
        lines.append(f"published: {_ago(facts['published_at'], now)}")
    kept = facts["backups"]
    if kept["count"]:
        lines.append(f"backups: {kept['count']}, the newest {_ago(kept['newest_at'], now)}")
    lines.append(f"free: {facts['free_gb']:.1f} GB on the disk of {facts['store']}")
    return "\n".join(lines)


_DAEMON_IS_NOT = ("the daemon never ran", "the daemon is not running")


def _settling(card: dict[str, Any]) -> str:
    waits = card.get("waits_for", [])
    return f"settling: {card['name']}, {card['files']} files" + (
        f"; waits for the end of {', '.join(waits)}" if waits else ""
    )


def _doing(daemon: dict[str, Any] | None) -> str:
    if daemon is None:
        return "never ran here"
    if not daemon["running"]:
        return "not running"
    process = f"(process {daemon['pid']})"
    card = daemon.get("card")
    if card:
        return f"working on {card['name']}, {card['done']} of {card['total']} files {process}"
    if daemon.get("state") == "paused":
        return f"PAUSED {process}"
    return f"{'starting' if daemon.get('state') == 'starting' else 'waiting for cards'} {process}"


def _failures(facts: dict[str, Any]) -> list[str]:
    cards = facts["failed_cards"]
    lines = [
        f"failed: {card['card']}, {card['failed']} of {card['files']} files: "
        + ", ".join(f"{number} {reason}" for reason, number in card["reasons"].items())
        for card in cards[:_SHOWN]
    ]
    if len(cards) > _SHOWN:
        lines.append(f"failed: {len(cards) - _SHOWN} more cards")
    if facts["quarantine"]:
        lines.append(f"quarantine: {facts['quarantine']} files that no decoder survived")
    if lines:
        lines.append("        by name: ctwatch report failures; to try them again: ctwatch retry")
    return lines


def _published(connection: "duckdb.DuckDBPyConnection") -> dict[str, Any]:
    """Return what the published copy tells."""
    totals = table(
        connection,
        "SELECT count(*) AS cards, sum(files_seen)::BIGINT AS files, sum(failed)::BIGINT AS failed,"
        " sum(duplicates)::BIGINT AS duplicates, max(processed_at)::VARCHAR AS last_card,"
        " (SELECT count(*) FROM media) AS media, (SELECT count(*) FROM events) AS events,"
        " (SELECT count(DISTINCT event_id) FROM review_queue) AS to_review FROM cards",
    )
    failed = table(
        connection,
        "SELECT card_id, any_value(card_name), any_value(card_path), any_value(files_seen), reason, count(*)"
        " FROM raw.card_file JOIN raw.card USING (card_id) WHERE status = 'failed'"
        " GROUP BY card_id, reason ORDER BY max(processed_at) DESC, card_id, reason",
    )
    cards: dict[str, dict[str, Any]] = {}
    for card_id, name, path, files, reason, number in failed.rows:
        card = cards.setdefault(card_id, {"card": name, "path": path, "files": files, "failed": 0, "reasons": {}})
        card["failed"] += number
        card["reasons"][reason] = number
    published_at = publication(connection).published_at
    return {
        "in": dict(zip(totals.columns, totals.rows[0], strict=True)),
        "published_at": None
        if published_at is None
        else published_at.replace(tzinfo=UTC).isoformat(timespec="seconds"),
        "failed_cards": list(cards.values()),
        "quarantine": table(connection, "SELECT count(*) FROM raw.quarantine").rows[0][0],
    }


def _backups(config: Config) -> dict[str, Any]:
    found = backups(config.store_folder)
    newest = found[0].made_at.replace(tzinfo=UTC).isoformat(timespec="seconds") if found else None
    return {"count": len(found), "newest_at": newest}


def _ago(moment: str, now: datetime) -> str:
    then = datetime.fromisoformat(moment)
    seconds = max(0.0, (now - then).total_seconds())
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{then:%Y-%m-%d %H:%M} UTC, {seconds / length:.0f} {unit} ago"
    return f"{then:%Y-%m-%d %H:%M} UTC, {seconds:.0f} s ago"
