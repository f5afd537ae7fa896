"""The account of a card: what became of each file, what is new with it, which deployments it speaks of."""

import json
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ctwatch import deployments
from ctwatch.decoding import ReadFile
from ctwatch.decoding.messages import media_head, media_told
from ctwatch.domain import CardSnapshot, Deployment, Failure, FileStat, FileStatus, Ignored, Location, Media
from ctwatch.store.cards import CardFile

FILES_AT_ONCE = 2048
"""Files of a card that are packed together, and written together."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A file that was read, and where it belongs; no place for what is no photograph."""

    read: ReadFile
    deployment: Deployment | None = None
    location: Location | None = None


class Packed:
    """Files that were read, in order, kept in a tenth of the memory to be gone through as often as one likes.

    They come back equal, not the same, and without pixels.
    """

    def __init__(self) -> None:
        self._packed: list[bytes] = []
        self._open: list[Placed] = []
        self._count = 0
        self._places: dict[tuple[Deployment | None, Location | None], int] = {}
        """Each once, in the order of their coming: there are few, and many files of each."""

    def __len__(self) -> int:
        return self._count

    def append(self, item: Placed) -> None:
        """Add one file."""
        self._open.append(item)
        self._count += 1
        if len(self._open) == FILES_AT_ONCE:
            rows = [self._row(placed) for placed in self._open]
            self._packed.append(zlib.compress(json.dumps(rows).encode("ascii"), 1))
            self._open = []

    def blocks(self) -> Iterator[Sequence[Placed]]:
        """Yield all files, at most `FILES_AT_ONCE` together."""
        places = list(self._places)
        for packed in self._packed:
            yield [_placed(*places[place], *row) for place, *row in json.loads(zlib.decompress(packed))]
        if self._open:
            yield self._open

    def _row(self, placed: Placed) -> list[Any]:
        read = placed.read
        place = self._places.setdefault((placed.deployment, placed.location), len(self._places))
        file = [getattr(read.file, name) for name in FileStat.__dataclass_fields__]
        return [place, file, read.failure, read.detail, None if read.media is None else media_head(read.media)]


def _placed(
    deployment: Deployment | None,
    location: Location | None,
    file: list[Any],
    failure: str | None,
    detail: str | None,
    media: dict[str, Any] | None,
) -> Placed:
    path, size, mtime_ns, ctime_ns, inode, ignored = file
    read = ReadFile(
        FileStat(path, size, mtime_ns, ctime_ns, inode, None if ignored is None else Ignored(ignored)),
        None if media is None else media_told(media),
        None if failure is None else Failure(failure),
        detail,
    )
    return Placed(read, deployment, location)


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


def ignored(snapshot: CardSnapshot) -> list[CardFile]:
    """Return the files of a card that are not looked into."""
    return [
        CardFile(file, FileStatus.IGNORED, str(file.ignored)) for file in snapshot.files if file.ignored is not None
    ]


def statuses(placed: Sequence[Placed], elsewhere: set[str], here: set[str]) -> tuple[list[CardFile], list[Media]]:
    """Give every file that was read exactly one status; also return the photographs that are new with them.

    `elsewhere` are the photographs that another card brought first; `here` those of the card's files so far, to which these
    are added.
    """
    files: list[CardFile] = []
    new: list[Media] = []
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
    return files, new


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
