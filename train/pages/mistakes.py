"""A contact sheet of mistakes: each photograph with the truth and bars of the five best answers; people are not shown.

After the figures of misclassified photographs in Norouzzadeh et al. 2018 (SI, Fig. S.5 and S.6).
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ctwatch.decode import UnusableImage, decode_for_people

from ..sets.dataset import TrainingSet
from ..sets.split import SEVERAL
from .findings import share
from .plots import clean

Pixels = NDArray[np.uint8]

LEAST_PERSON = 0.01
"""From this probability of a person among the five best answers on, a photograph is not shown."""
MOST = 48
_PHOTOGRAPH, _GAP, _LINE, _COLUMNS = (300, 225), 16, 17, 4
_CELL = (_PHOTOGRAPH[0], _PHOTOGRAPH[1] + 26 + 5 * _LINE + 24)
_PAPER, _INK, _FAINT, _RULE = (253, 253, 251), (27, 31, 35), (106, 113, 120), (226, 229, 230)
_RIGHT, _WRONG, _OTHER = (43, 140, 196), (217, 102, 31), (178, 183, 188)
_BLOCKS = 12
"""Blocks across a photograph with a person, of which nobody is recognised."""
_PERSON = re.compile(r"\b(?:humans?|persons?|people|homo)\b")


@dataclass(frozen=True, slots=True)
class Mistake:
    """One cell of the sheet."""

    truth: str
    answers: tuple[tuple[str, float], ...]
    """The best, most probable first."""
    caption: str
    person: bool
    """Somebody may be seen on it."""
    photograph: Callable[[], Pixels]
    """Gives the photograph, (height, width, 3); called when it is drawn."""


def says_person(label: str) -> bool:
    """Return whether a label stands for people, in whatever case and with whatever words beside it."""
    return _PERSON.search(unicodedata.normalize("NFKC", label).casefold().replace("_", " ")) is not None


def chosen(found: Sequence[Mapping[str, Any]], most: int = MOST) -> list[Mapping[str, Any]]:
    """Return a part of an evaluation's mistakes: of every source as many, two thirds of them its most confident ones.

    Args:
        found: With `source` and `kind`, `worst` or `random`.
        most: No more are returned.
    """
    sources = list(dict.fromkeys(each["source"] for each in found))
    part: list[Mapping[str, Any]] = []
    for at, source in enumerate(sources):
        worst = [each for each in found if each["source"] == source and each["kind"] == "worst"]
        others = [each for each in found if each["source"] == source and each["kind"] != "worst"]
        room = (most - len(part)) // (len(sources) - at)
        drawn = others[: max(room // 3, room - len(worst))]
        part += [*worst[: room - len(drawn)], *drawn]
    return part


def mistakes_in(found: Sequence[Mapping[str, Any]], training_set: TrainingSet) -> Iterator[Mistake]:
    """Yield mistakes of an evaluation, with photographs from their files and, where these are gone, from the set.

    The truth of an empty filter says only that there is something: what it is, the set knows, so that people are found
    there too. Where several species are on a photograph, a person may be one of them if the set has people at all.
    """
    wanted = {each["media_id"] for each in found}
    row_of = {media: row for row, media in enumerate(training_set.media_ids) if media in wanted}
    people = any(says_person(name) for name in training_set.label_names)
    for each in found:
        row = row_of[each["media_id"]]
        label = int(training_set.labels[row])
        hidden = people if label == SEVERAL else says_person(training_set.label_names[label])
        answers = tuple((name, p) for name, p in each["answers"])
        hidden |= says_person(each["truth"])
        hidden |= any(says_person(name) and p >= LEAST_PERSON for name, p in answers)
        caption = " ".join(part for part in (each["source"], each["location"]) if part)
        yield Mistake(each["truth"], answers, caption, hidden, _photograph(training_set, row))


def sheet(mistakes: Sequence[Mistake], *, left_out: int = 0, show_people: bool = False) -> bytes:
    """Draw mistakes as a JPEG, the same bytes for the same mistakes.

    Args:
        mistakes: In the order of the sheet.
        left_out: How many more there are; the foot says so.
        show_people: Show photographs with people as they are; otherwise they are coarse blocks.
    """
    columns = max(1, min(_COLUMNS, len(mistakes)))
    rows = max(1, -(-len(mistakes) // columns))
    foot = 34 if left_out and mistakes else 0
    size = (_GAP + columns * (_CELL[0] + _GAP), _GAP + rows * (_CELL[1] + _GAP) + foot)
    image = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(image)
    for number, mistake in enumerate(mistakes):
        row, column = divmod(number, columns)
        left, top = _GAP + column * (_CELL[0] + _GAP), _GAP + row * (_CELL[1] + _GAP)
        _draw_photograph(image, mistake, left, top, hidden=mistake.person and not show_people)
        _draw_answers(draw, mistake, left, top + _PHOTOGRAPH[1] + 6)
    if not mistakes:
        draw.text((_GAP, _GAP), "no mistakes", fill=_FAINT, font=_font(15))
    elif foot:
        text = f"{left_out:,} more are not shown here"
        draw.text((_GAP, size[1] - foot), text, fill=_FAINT, font=_font(15))
    data = BytesIO()
    image.save(data, "JPEG", quality=82, optimize=True)
    return data.getvalue()


def _photograph(training_set: TrainingSet, row: int) -> Callable[[], Pixels]:
    def read() -> Pixels:
        try:
            data = Path(training_set.path(row)).read_bytes()
            return decode_for_people(data, *_PHOTOGRAPH)
        except (OSError, ValueError, UnusableImage):
            # Moved, changed or on a disk that is not there: the frame that the networks saw is in the set.
            frame = training_set.pixels(np.array([row]))[0].transpose(1, 2, 0)
            return np.ascontiguousarray(frame)

    return read


def _draw_photograph(image: Image.Image, mistake: Mistake, left: int, top: int, *, hidden: bool) -> None:
    draw = ImageDraw.Draw(image)
    draw.rectangle((left, top, left + _PHOTOGRAPH[0] - 1, top + _PHOTOGRAPH[1] - 1), fill=_RULE)
    picture = Image.fromarray(np.asarray(mistake.photograph(), np.uint8))
    scale = min(_PHOTOGRAPH[0] / picture.width, _PHOTOGRAPH[1] / picture.height)
    wide, tall = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    if hidden:
        blocks = (_BLOCKS, max(1, round(_BLOCKS * tall / wide)))
        picture = picture.resize(blocks, Image.Resampling.BOX).resize((wide, tall), Image.Resampling.NEAREST)
    else:
        picture = picture.resize((wide, tall), Image.Resampling.BICUBIC)
    image.paste(picture, (left + (_PHOTOGRAPH[0] - wide) // 2, top + (_PHOTOGRAPH[1] - tall) // 2))
    if hidden:
        draw.rectangle((left, top, left + 196, top + 21), fill=_PAPER)
        draw.text((left + 6, top + 3), "perhaps a person; not shown", fill=_INK, font=_font(13))


def _draw_answers(draw: ImageDraw.ImageDraw, mistake: Mistake, left: int, top: int) -> None:
    width = _PHOTOGRAPH[0]
    draw.text((left, top), _fitted(draw, mistake.truth, 17, width), fill=_INK, font=_font(17))
    name, bar = 128, width - 128 - 52
    for number, (label, p) in enumerate(mistake.answers):
        y = top + 25 + number * _LINE
        colour = _RIGHT if label == mistake.truth else _WRONG if number == 0 else _OTHER
        draw.text((left, y), _fitted(draw, label, 13, name - 8), fill=_INK, font=_font(13))
        draw.rectangle((left + name, y + 2, left + name + bar, y + 13), fill=_RULE)
        filled = round(bar * min(1.0, max(0.0, p)))
        if filled:
            draw.rectangle((left + name, y + 2, left + name + filled, y + 13), fill=colour)
        draw.text((left + width, y), share(p), fill=_INK, font=_font(13), anchor="ra")
    y = top + 25 + 5 * _LINE
    draw.text((left, y), _fitted(draw, mistake.caption, 12, width), fill=_FAINT, font=_font(12))


def _fitted(draw: ImageDraw.ImageDraw, text: str, size: int, width: int) -> str:
    """Return a text that is no wider than some pixels, cut where it is."""
    shown = clean(text, 120)
    if draw.textlength(shown, font=_font(size)) <= width:
        return shown
    while shown and draw.textlength(shown + "…", font=_font(size)) > width:
        shown = shown[:-1]
    return shown + "…"


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)
