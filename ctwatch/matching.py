"""Which photograph a label of another program speaks of: by id, else by the end of its path, never by a guess."""

import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ctwatch.domain import BLANK
from ctwatch.survey import Answer, ImportedLabel, MediaColumns

MAX_EXAMPLES = 5
_EPOCH = datetime(1970, 1, 1)
_DAY_S = 86_400
_BELOW, _BEHIND = "\0", "\1"
"""Between the folders of a key, and a mark that sorts right behind all keys that go on below a folder."""

Reason = Literal["missing", "elsewhere", "another_time", "another_deployment", "ambiguous"]
_IN_WORDS: Mapping[Reason, str] = {
    "missing": "name no photograph that is here",
    "elsewhere": "name a file that is here only in another folder, and neither its time nor its deployment confirms it",
    "another_time": "name a file like one that is here, but taken more than a day apart",
    "another_deployment": "name a file that is here only in another deployment",
    "ambiguous": "could speak of several photographs; name more of the path, or the time or deployment",
}


@dataclass(frozen=True, slots=True)
class Matched:
    """Which label speaks of which photograph, and what could not be said."""

    pairs: tuple[tuple[int, int], ...]
    """(place of the label, row of the photograph), in the order of the labels; a photograph may have several labels."""
    unmatched: int
    """Labels of photographs that are not here, as far as can be told."""
    ambiguous: int
    """Labels that fit several photographs; none was chosen."""
    sentences: tuple[str, ...]
    """For each kind of label without a photograph how many there are, and up to five of them."""


def match(
    labels: Sequence[ImportedLabel],
    media: MediaColumns,
    *,
    shift_tolerance_s: int = 0,
    places: Mapping[str, str] | None = None,
) -> Matched:
    """Find the photograph of each label; the same whatever the order of labels and photographs.

    A label that carries one of our media ids is that photograph's. Else the end of its path is compared, folder by
    folder and in any case, with card name and path of the photographs, and those with most in common stand for choice:

    * one whose whole path, card included, is the end of the label's, or the label's the end of its: taken if there is
      no other; below the card (a bare file name, `DCIM/100RECNX/IMG_0001.JPG`) only if its time is not known to be
      more than a day off;
    * several: that taken at the label's second by the camera's or the corrected clock, or that of its deployment;
    * none, since the folders above what they have in common differ: taken only if there is one at that second, or of
      that deployment.

    The deployment that a label names counts where it is a deployment, place, card or folder of these photographs; then
    photographs of others are not taken. Sorting takes N log N for N photographs, each label log N.

    Args:
        labels: What a file says.
        media: The photographs, N rows.
        shift_tolerance_s: How far times may differ to count as the same, seconds from 0.
        places: Place by deployment id, for labels that name places.

    Raises:
        ValueError: A negative tolerance.
    """
    if shift_tolerance_s < 0:
        raise ValueError("a tolerance is 0 seconds or more")
    matcher = _Matcher(media, places or {}, shift_tolerance_s)
    with_ids = any(label.media_id for label in labels)
    row_of = {media_id: row for row, media_id in enumerate(media.media_id)} if with_ids else {}
    pairs: list[tuple[int, int]] = []
    counts: dict[Reason, int] = {}
    examples: dict[Reason, list[str]] = {}
    for number, label in enumerate(labels):
        known = row_of.get(label.media_id) if label.media_id else None
        found = matcher.find(label) if known is None else known
        if isinstance(found, int):
            pairs.append((number, found))
            continue
        counts[found] = counts.get(found, 0) + 1
        if counts[found] <= MAX_EXAMPLES:
            examples.setdefault(found, []).append(f"{label.line}: {label.file_path}")
    ambiguous = counts.get("ambiguous", 0)
    sentences = [
        sentence
        for reason, words in _IN_WORDS.items()
        if reason in counts
        for sentence in (f"{counts[reason]} {'label' if counts[reason] == 1 else 'labels'}: {words}", *examples[reason])
    ]
    return Matched(tuple(pairs), sum(counts.values()) - ambiguous, ambiguous, tuple(sentences))


def combined(labels: Sequence[ImportedLabel], matched: Matched) -> tuple[tuple[int, ImportedLabel], ...]:
    """Return (row of the photograph, label), with what one author says of one photograph in several labels united."""
    found: dict[tuple[object, ...], tuple[int, ImportedLabel]] = {}
    for number, row in matched.pairs:
        label = labels[number]
        key = (row, label.by_human, label.classified_by, label.scope, label.group)
        before = found.get(key)
        if before is not None:
            answers = united((*before[1].answers, *label.answers))
            boxes = tuple(dict.fromkeys((*before[1].boxes, *label.boxes)))
            label = replace(before[1], answers=answers, boxes=boxes)
        found[key] = (row, label)
    return tuple(found.values())


def united(answers: Iterable[Answer], *, add_counts: bool = False) -> tuple[Answer, ...]:
    """Return each label once, in the order in which they first come.

    Of one label's probabilities the highest counts, of blank's the lowest; of its counts the largest, or with
    `add_counts` their sum, for rows that count adults and young apart. A blank that is said without a probability
    falls away beside anything else.
    """
    found: dict[str, Answer] = {}
    for answer in answers:
        before = found.get(answer.label)
        found[answer.label] = answer if before is None else _one(before, answer, add_counts)
    if len(found) > 1 and BLANK in found and found[BLANK].probability is None:
        del found[BLANK]
    return tuple(found.values())


def _one(first: Answer, second: Answer, add_counts: bool) -> Answer:
    counts = [each.count for each in (first, second) if each.count is not None]
    said = [each.probability for each in (first, second) if each.probability is not None]
    surest = min if first.label == BLANK else max
    count = (sum(counts) if add_counts else max(counts)) if counts else None
    return Answer(first.label, count, surest(said) if said else None)


class _Matcher:
    """The photographs, sorted by the reverse of their paths: those that end alike lie beside each other."""

    def __init__(self, media: MediaColumns, places: Mapping[str, str], tolerance_s: int) -> None:
        self._media = media
        self._places = places
        self._tolerance = tolerance_s
        keys = [_key(f"{card}/{path}") for card, path in zip(media.card_name, media.file_path, strict=True)]
        self._rows = sorted(range(len(keys)), key=keys.__getitem__)
        self._keys = [keys[row] for row in self._rows]
        self._clocks = [_seconds(media.recorded), _seconds(media.timestamp)]
        self._at: dict[tuple[int, int], dict[int, list[int]]] = {}
        self._of: dict[tuple[int, int], dict[str, list[int]]] = {}
        self._hints: dict[tuple[str, str, str], frozenset[str]] = {}
        self._all_hints: frozenset[str] | None = None

    def find(self, label: ImportedLabel) -> int | Reason:
        """Return the row of a label's photograph, or why there is none."""
        key = _key(label.file_path)
        depth = self._most_in_common(key)
        if depth == 0:
            return "missing"
        parts = key.split(_BELOW)
        common = key if depth == len(parts) else _BELOW.join(parts[:depth])
        first, last = bisect_left(self._keys, common), bisect_left(self._keys, common + _BEHIND)
        whole = bisect_right(self._keys, common, first, last)
        # Photographs with nothing above what is in common come first; no folder of theirs can differ.
        if whole > first:
            last = whole
        differs = depth < len(parts) and whole == first
        hint = self._hint(label)
        if last - first == 1:
            return self._only(first, label, hint, differs=differs, below_card=whole == first)
        return self._among(first, last, label, hint, differs=differs)

    def _most_in_common(self, key: str) -> int:
        """Return how many parts, from the file name up, the key has in common with the photograph nearest to it."""
        place = bisect_left(self._keys, key)
        return max((_common(key, other) for other in self._keys[max(0, place - 1) : place + 1]), default=0)

    def _only(
        self, place: int, label: ImportedLabel, hint: str | None, *, differs: bool, below_card: bool
    ) -> int | Reason:
        row = self._rows[place]
        if hint is not None:
            return row if hint in self._hints_of(row) else "another_deployment"
        apart = self._seconds_apart(row, label)
        if differs:
            return row if apart is not None and apart <= self._tolerance else "elsewhere"
        return "another_time" if below_card and apart is not None and apart > _DAY_S else row

    def _among(self, first: int, last: int, label: ImportedLabel, hint: str | None, *, differs: bool) -> int | Reason:
        """Choose between photographs whose paths fit alike."""
        of_deployment: Sequence[int] | None = None
        if hint is not None:
            of_deployment = self._by_hint(first, last).get(hint, ())
            if len(of_deployment) == 1:
                return of_deployment[0]
            if not of_deployment:
                return "another_deployment"
        if label.taken is None:
            return "elsewhere" if differs and hint is None else "ambiguous"
        second = _second(label.taken)
        at = self._by_second(first, last)
        near = {row for shift in range(-self._tolerance, self._tolerance + 1) for row in at.get(second + shift, ())}
        if of_deployment is not None and hint is not None:
            near = {row for row in near if hint in self._hints_of(row)}
        if len(near) == 1:
            return near.pop()
        return "elsewhere" if differs and hint is None and not near else "ambiguous"

    def _by_second(self, first: int, last: int) -> dict[int, list[int]]:
        # Ranges nest at most as deep as folders do, so that all of these together stay linear.
        found = self._at.get((first, last))
        if found is None:
            found = self._at[first, last] = {}
            for row in self._rows[first:last]:
                for second in {clock[row] for clock in self._clocks}:
                    found.setdefault(second, []).append(row)
        return found

    def _by_hint(self, first: int, last: int) -> dict[str, list[int]]:
        found = self._of.get((first, last))
        if found is None:
            found = self._of[first, last] = {}
            for row in self._rows[first:last]:
                for hint in self._hints_of(row):
                    found.setdefault(hint, []).append(row)
        return found

    def _seconds_apart(self, row: int, label: ImportedLabel) -> int | None:
        known = [clock[row] for clock in self._clocks if clock[row] != _NO_TIME]
        if label.taken is None or not known:
            return None
        second = _second(label.taken)
        return min(abs(second - time) for time in known)

    def _hint(self, label: ImportedLabel) -> str | None:
        """Return the deployment that a label names, if these photographs know it."""
        if not label.deployment:
            return None
        if self._all_hints is None:
            self._all_hints = frozenset().union(*(self._hints_of(row) for row in self._rows))
        name = _plain(label.deployment)
        return name if name in self._all_hints else None

    def _hints_of(self, row: int) -> frozenset[str]:
        media = self._media
        deployment, card = media.deployment_id[row], media.card_name[row]
        where = (deployment, card, media.file_path[row].rpartition("/")[0])
        found = self._hints.get(where)
        if found is None:
            names = (deployment, self._places.get(deployment, ""), card, *where[2].split("/"))
            found = self._hints[where] = frozenset(_plain(name) for name in names if name)
        return found


_NO_TIME = int(np.datetime64("NaT").astype(np.int64))


def _seconds(times: NDArray[np.datetime64]) -> list[int]:
    return [int(value) for value in times.astype("datetime64[s]").astype(np.int64).tolist()]


def _second(time: datetime) -> int:
    return int((time - _EPOCH).total_seconds() // 1)


def _plain(text: str) -> str:
    """Return a name without case, and with accents written one way (macOS writes them in two parts)."""
    return text.casefold() if text.isascii() else unicodedata.normalize("NFC", text).casefold()


def _key(path: str) -> str:
    """Return the parts of a path from the last to the first, in lower case."""
    parts = _plain(path).replace("\\", "/").replace(_BELOW, " ").replace(_BEHIND, " ").split("/")
    return _BELOW.join([part for part in reversed(parts) if part and part != "."])


def _common(key: str, other: str) -> int:
    if key == other:
        return key.count(_BELOW) + 1 if key else 0
    number = 0
    for one, two in zip(key.split(_BELOW), other.split(_BELOW), strict=False):
        if one != two:
            break
        number += bool(one)
    return number
