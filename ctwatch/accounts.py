"""The account of a card: what became of each file, what is new with it, which deployments it speaks of."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ctwatch import deployments
from ctwatch.decoding import ReadFile
from ctwatch.domain import CardSnapshot, Deployment, Failure, FileStatus, Location, Media
from ctwatch.store.cards import CardFile


@dataclass(frozen=True, slots=True)
class Placed:
    """A file that was read, and where it belongs; no place for what is no photograph."""

    read: ReadFile
    deployment: Deployment | None = None
    location: Location | None = None


def placed_of(mapping: deployments.Mapping, snapshot: CardSnapshot, read: ReadFile) -> Placed:
    """Return a file that was read with the place that it belongs to, without its pixels."""
    told = replace(read, pixels=None, miniature=None)
    return Placed(told) if read.media is None else Placed(told, *place(mapping, snapshot, read.media))


def place(mapping: deployments.Mapping, snapshot: CardSnapshot, media: Media) -> tuple[Deployment, Location]:
    """Return the deployment and the location that a photograph of a card belongs to."""
    return deployments.assign(
        mapping,
        inbox_name=os.path.basename(snapshot.inbox),
        folders=_folders(snapshot, media.file_path),
        serial=media.camera.serial,
        taken=media.timestamp.value,
        trusted=media.timestamp.trusted,
    )


def _folders(snapshot: CardSnapshot, path: str) -> list[str]:
    """Return the folders that may name a file's deployment: the card and those below it."""
    inside = path.split("/")[:-1]
    return inside if snapshot.loose else [snapshot.name, *inside]


def statuses(
    snapshot: CardSnapshot, placed: Sequence[Placed], elsewhere: set[str]
) -> tuple[list[CardFile], list[Media]]:
    """Give every file of the card exactly one status; also return the photographs that are new with it.

    `elsewhere` are the photographs that another card brought first.
    """
    files = [
        CardFile(file, FileStatus.IGNORED, str(file.ignored)) for file in snapshot.files if file.ignored is not None
    ]
    new: list[Media] = []
    here: set[str] = set()
    for item in placed:
        read, media = item.read, item.read.media
        deployment_id = item.deployment.deployment_id if item.deployment else None
        if media is None:
            files.append(CardFile(read.file, FileStatus.FAILED, _name(read.failure), read.detail))
            continue
        if media.media_id in elsewhere or media.media_id in here:
            reason = "already_in" if media.media_id in elsewhere else "twice_on_card"
            files.append(CardFile(read.file, FileStatus.DUPLICATE, reason, None, media.media_id, deployment_id))
            continue
        here.add(media.media_id)
        new.append(media)
        status = FileStatus.FAILED if read.failure else FileStatus.MEDIA
        files.append(CardFile(read.file, status, _name(read.failure), read.detail, media.media_id, deployment_id))
    return sorted(files, key=lambda item: item.file.path), new


def each_once(pairs: Sequence[tuple[Deployment, Location]]) -> list[tuple[Deployment, Location]]:
    """Return each deployment once; of several readings of it the first that carries a flag."""
    chosen: dict[str, tuple[Deployment, Location]] = {}
    for pair in pairs:
        known = chosen.get(pair[0].deployment_id)
        if known is None or (known[0].flag is None and pair[0].flag is not None):
            chosen[pair[0].deployment_id] = pair
    return list(chosen.values())


def _name(failure: Failure | None) -> str | None:
    return None if failure is None else str(failure)
