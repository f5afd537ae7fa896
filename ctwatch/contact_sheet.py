"""A contact sheet: one row per event with its frames, what was decided and how sure; a PNG to look through."""

from collections.abc import Sequence
from datetime import datetime
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ctwatch.config import Config
from ctwatch.decode import UnusableImage, decode_for_people
from ctwatch.export.files import write_bytes
from ctwatch.page import read_original
from ctwatch.results import not_written
from ctwatch.store.publish import open_published
from ctwatch.store.queries import EventPicture, event_pictures, table

_FRAME = (208, 156)
_GAP, _TEXT_WIDTH, _HEAD = 8, 300, 46
_PAPER, _INK, _FAINT, _RULE = (250, 249, 246), (34, 40, 36), (120, 126, 120), (224, 222, 214)
_COLOURS = {"blank": (168, 172, 166), "unknown": (214, 137, 16), "unclassified": (190, 60, 50), "human": (90, 90, 160)}
_ANIMAL = (38, 124, 82)


def write_sheet(config: Config, path: Path, *, most_events: int = 60, with_people: bool = False) -> Path:
    """Draw the events of the published database, in the order of location and time; returns the path.

    Raises StoreFull or StoreError where it cannot be written.
    """
    with open_published(config.store_folder) as connection:
        events = event_pictures(connection, most_events, with_people=with_people)
        total = table(connection, "SELECT count(*) FROM events").rows[0][0]
    title = f"ctwatch: {total} events"
    try:
        write(path, events, left_out=total - len(events), title=title, with_people=with_people)
    except OSError as error:
        raise not_written(path.parent, error) from error
    return path


def write(
    path: Path,
    events: Sequence[EventPicture],
    *,
    most_frames: int = 5,
    left_out: int = 0,
    title: str = "ctwatch",
    with_people: bool = False,
) -> None:
    """Draw events, each with up to `most_frames` of its frames; people are not shown unless asked for.

    `left_out` events are named at the foot. A frame whose file is gone or broken is an empty box that says so.
    """
    columns = min(most_frames, max((len(event.frames) for event in events), default=1))
    width = _GAP + _TEXT_WIDTH + columns * (_FRAME[0] + _GAP)
    row_height = _FRAME[1] + _GAP
    sheet = Image.new("RGB", (width, _HEAD + max(1, len(events)) * row_height + _HEAD), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP * 2, 14), title, fill=_INK, font=_font(20))
    for number, event in enumerate(events):
        top = _HEAD + number * row_height
        draw.line((_GAP, top - _GAP // 2, width - _GAP, top - _GAP // 2), fill=_RULE)
        _caption(draw, event, top)
        for column, source in enumerate(_chosen(event.frames, most_frames)):
            left = _GAP + _TEXT_WIDTH + column * (_FRAME[0] + _GAP)
            sheet.paste(_thumbnail(source, hidden=event.private and not (with_people and source)), (left, top))
    if left_out:
        draw.text(
            (_GAP * 2, sheet.height - 32), f"{left_out} more events are not shown here", fill=_FAINT, font=_font(15)
        )
    data = BytesIO()
    sheet.save(data, "PNG", optimize=True)
    write_bytes(path, data.getvalue())


def _caption(draw: ImageDraw.ImageDraw, event: EventPicture, top: int) -> None:
    colour = _COLOURS.get(event.decided, _ANIMAL)
    left = _GAP * 2
    draw.rectangle((left - _GAP, top, left - _GAP + 4, top + _FRAME[1]), fill=colour)
    draw.text((left + 4, top + 2), _shortened(event.decided, 26), fill=colour, font=_font(19))
    when = _moment(event.event_start)
    draw.text((left + 4, top + 30), f"{_shortened(event.location_id, 14)}  {when}", fill=_INK, font=_font(14))
    draw.text(
        (left + 4, top + 52), f"{len(event.frames)} frame{'s' * (len(event.frames) != 1)}", fill=_FAINT, font=_font(14)
    )
    if event.probability is not None:
        full = _TEXT_WIDTH - 90
        draw.rectangle((left + 4, top + 82, left + 4 + full, top + 90), fill=_RULE)
        draw.rectangle(
            (left + 4, top + 82, left + 4 + round(full * min(1.0, event.probability)), top + 90), fill=colour
        )
        draw.text((left + 12 + full, top + 76), f"{event.probability:.0%}", fill=_INK, font=_font(14))
    if event.review:
        draw.text((left + 4, top + 104), "to review:", fill=(190, 60, 50), font=_font(14))
        draw.text(
            (left + 4, top + 122), _shortened(event.review.replace(";", ", "), 40), fill=(190, 60, 50), font=_font(13)
        )


def _thumbnail(source: str | None, *, hidden: bool) -> Image.Image:
    box = Image.new("RGB", _FRAME, _RULE)
    message = None
    if hidden:
        message = "a person; not shown"
    else:
        data = read_original(source) if source is not None else None
        try:
            if data is None:
                message = "file no longer there"
            else:
                picture = Image.fromarray(np.asarray(decode_for_people(data, *_FRAME)))
                box.paste(picture, ((_FRAME[0] - picture.width) // 2, (_FRAME[1] - picture.height) // 2))
        except UnusableImage as error:
            message = str(error.failure)
    if message:
        ImageDraw.Draw(box).text((14, _FRAME[1] // 2 - 8), message, fill=_FAINT, font=_font(14))
    return box


def _chosen(frames: Sequence[str | None], most: int) -> list[str | None]:
    """First, last and evenly between."""
    if len(frames) <= most:
        return list(frames)
    return [frames[round(step * (len(frames) - 1) / (most - 1))] for step in range(most)]


def _moment(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else "no time to trust"


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)
