"""What may happen to a card on its way in, each as a life that must come to the same tables however it is interrupted."""

from collections.abc import Callable
from dataclasses import dataclass

from .life import Life
from .station import Station, card

NAME, OTHER, THIRD = "L01_CAM1", "L02_CAM1", "L01_CAM1_2026-05-03"
CARD, SECOND = card(), card(100, 6)
ALL = len(CARD)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A way by which cards come in."""

    name: str
    live: Callable[[Station, Life], None]
    commands: tuple[str, ...] = ("run",)
    """With which commands it can be lived: the daemon, `process`."""
    plain: str | None = "dropped"
    """The scenario after which people must see the same; None: it has its own contents."""


def _dropped(station: Station, life: Life) -> None:
    station.make(backups=7)
    station.drop(NAME, CARD)
    life.work({f"inbox/{NAME}": ALL})


def _dropped_again(station: Station, life: Life) -> None:
    station.make()
    station.drop(NAME, CARD)
    life.work({f"inbox/{NAME}": ALL})
    station.drop(THIRD, CARD)
    life.work({f"inbox/{NAME}": ALL, f"inbox/{THIRD}": ALL})


def _moved(station: Station, life: Life) -> None:
    station.make()
    station.drop(NAME, CARD)
    life.work({f"inbox/{NAME}": ALL})
    station.rename(NAME, THIRD)
    life.work({f"inbox/{NAME}": ALL, f"inbox/{THIRD}": ALL})
    station.rename(THIRD, NAME, "second")
    life.work({f"inbox/{NAME}": ALL, f"inbox/{THIRD}": ALL, f"second/{NAME}": ALL})


def _renamed_while_processed(station: Station, life: Life) -> None:
    station.make()
    station.drop(NAME, CARD)
    life.work({f"inbox/{THIRD}": ALL}, meanwhile=lambda: station.rename(NAME, THIRD))


def _grown(station: Station, life: Life) -> None:
    station.make()
    early = sorted(CARD)[: ALL // 2]
    station.drop(NAME, CARD, only=early)
    life.work({f"inbox/{NAME}": len(early)})
    station.drop(NAME, CARD, only=sorted(CARD)[ALL // 2 :])
    life.work({f"inbox/{NAME}": ALL})


def _grown_while_processed(station: Station, life: Life) -> None:
    station.make()
    *early, late = sorted(CARD)
    station.drop(NAME, CARD, only=early)
    life.work({f"inbox/{NAME}": ALL}, meanwhile=lambda: station.drop(NAME, CARD, only=[late]))


def _half_copied(station: Station, life: Life) -> None:
    station.make()
    early = sorted(CARD)[: ALL // 2]
    broken = sorted(CARD)[ALL // 2]
    station.drop(NAME, CARD, only=early)
    station.half_copy(NAME, CARD, broken)
    life.work({f"inbox/{NAME}": len(early) + 1})
    station.drop(NAME, CARD, only=sorted(CARD)[ALL // 2 :])
    life.work({f"inbox/{NAME}": ALL})


def _in_two_inboxes(station: Station, life: Life) -> None:
    station.make()
    station.drop(NAME, CARD)
    station.drop(NAME, CARD, inbox="second")
    life.work({f"inbox/{NAME}": ALL, f"second/{NAME}": ALL})


def _deleted_while_processed(station: Station, life: Life) -> None:
    station.make()
    station.drop(NAME, CARD)
    station.drop(OTHER, SECOND)
    life.work({f"inbox/{OTHER}": len(SECOND)}, meanwhile=lambda: station.remove(NAME))
    station.drop(NAME, CARD)
    life.work({f"inbox/{OTHER}": len(SECOND), f"inbox/{NAME}": ALL})


def _two_cards(station: Station, life: Life) -> None:
    station.make()
    station.drop(NAME, CARD)
    station.drop(OTHER, SECOND)
    life.work({f"inbox/{OTHER}": len(SECOND), f"inbox/{NAME}": ALL})


def _labels_between(station: Station, life: Life) -> None:
    station.make()
    station.drop(NAME, CARD)
    life.work({f"inbox/{NAME}": ALL})
    (station.base / "reviewed.csv").write_text(
        "File,RelativePath,DateTime,Species,Count,Reviewed,ReviewedBy,MediaID,EventID\n"
        f"IMG_0001.JPG,{NAME}/DCIM/101MEDIA,2026-05-01 10:00:01,Vulpes vulpes|Sus scrofa,2|1,true,Ann,,\n"
        f"IMG_0004.JPG,{NAME}/DCIM/100MEDIA,2026-05-01 10:10:01,blank,,true,Ann,,\n",
        "utf-8",
    )
    life.once("import", str(station.base / "reviewed.csv"))
    station.drop(OTHER, SECOND)
    life.work({f"inbox/{OTHER}": len(SECOND), f"inbox/{NAME}": ALL})


def _models_later(station: Station, life: Life) -> None:
    station.make(models=False)
    station.drop(NAME, CARD)
    life.work({f"inbox/{NAME}": ALL})
    station.install_models()
    life.work({f"inbox/{NAME}": ALL}, also=lambda: life.count("raw.prediction") > 0)


def _models_later_card_gone(station: Station, life: Life) -> None:
    station.make(models=False)
    station.drop(NAME, CARD)
    life.work({f"inbox/{NAME}": ALL})
    station.remove(NAME)
    station.install_models()
    station.drop(THIRD, CARD)
    life.work({f"inbox/{NAME}": ALL, f"inbox/{THIRD}": ALL}, also=lambda: life.count("raw.prediction") > 0)


def _damaged(station: Station, life: Life) -> None:
    station.make()
    station.drop(NAME, CARD)
    life.work({f"inbox/{NAME}": ALL})
    station.drop(OTHER, SECOND)
    station.damage()
    life.work({f"inbox/{OTHER}": len(SECOND), f"inbox/{NAME}": ALL})


def _archived(station: Station, life: Life) -> None:
    _archived_at(station, life, "archive")


def _archived_far(station: Station, life: Life) -> None:
    _archived_at(station, life, str(station.far))


def _archived_at(station: Station, life: Life, archive: str) -> None:
    station.make(f"[cards]\nafter = 'archive'\narchive = '{archive}'\n", backups=7)
    station.drop(NAME, CARD)
    station.drop(OTHER, SECOND)
    life.work({f"inbox/{OTHER}": len(SECOND), f"inbox/{NAME}": ALL}, also=lambda: not any(station.inbox.iterdir()))


SCENARIOS = (
    Scenario("dropped", _dropped, ("run", "process"), plain=None),
    Scenario("dropped again under another name", _dropped_again, ("run", "process")),
    Scenario("moved within and between inboxes", _moved),
    Scenario("renamed while it is processed", _renamed_while_processed, ("run", "process")),
    Scenario("grown by late files", _grown, ("run", "process")),
    Scenario("grown while it is processed", _grown_while_processed),
    Scenario("half-copied, then completed", _half_copied),
    Scenario("the same card in two inboxes", _in_two_inboxes, ("run", "process")),
    Scenario("two cards", _two_cards, plain=None),
    Scenario("deleted while it is processed, then dropped again", _deleted_while_processed, plain="two cards"),
    Scenario("labels imported between two cards", _labels_between, ("run", "process"), plain=None),
    Scenario("models installed later", _models_later, ("run", "process")),
    Scenario("models installed later, the card dropped again", _models_later_card_gone),
    Scenario("the live database damaged", _damaged, ("run", "process"), plain="two cards"),
    Scenario("moved into the archive", _archived, plain="two cards"),
    Scenario("moved into an archive on another disk", _archived_far, plain="two cards"),
)
