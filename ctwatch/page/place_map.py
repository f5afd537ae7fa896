"""The map: locations as circles by camera-days on a plain grid of degrees, labels that touch nothing."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ctwatch.page.html import Markup, counted, element, number, shortened, svg, text_width

_WIDTH, _LEAST, _MOST = 560.0, 260.0, 520.0
_MARGIN = 44.0
_FONT = 12.0
_KM_PER_DEGREE = 111.32
_SMALLEST_SPAN = 0.004
"""Degrees, about 450 m: a single location needs some land around it."""
Box = tuple[float, float, float, float]
"""Left, upper, right and lower edge, in pixels of the drawing."""


@dataclass(frozen=True, slots=True)
class Place:
    """A location, or several that the rounding of coordinates puts at one point."""

    names: tuple[str, ...]
    latitude: float
    longitude: float
    camera_days: float


@dataclass(frozen=True, slots=True)
class _View:
    """Degrees to pixels: equirectangular, true to scale at the middle latitude."""

    west: float
    north: float
    scale: float
    """Pixels per degree of latitude."""
    shrink: float
    """Cosine of the middle latitude."""
    height: float

    def at(self, latitude: float, longitude: float) -> tuple[float, float]:
        return (longitude - self.west) * self.shrink * self.scale, (self.north - latitude) * self.scale


def together(
    names: Sequence[str],
    latitudes: Sequence[float],
    longitudes: Sequence[float],
    camera_days: Sequence[float],
    decimals: int,
) -> list[Place]:
    """Return locations as places, coordinates rounded to `decimals`; those at one point are one place.

    Across the date line longitudes run on past 180, so that neighbours stay neighbours.
    """
    wraps = max(longitudes, default=0.0) - min(longitudes, default=0.0) > 180
    found: dict[tuple[float, float], list[int]] = {}
    for at, (latitude, longitude) in enumerate(zip(latitudes, longitudes, strict=True)):
        east = longitude + 360 if wraps and longitude < 0 else longitude
        found.setdefault((round(latitude, decimals) + 0.0, round(east, decimals) + 0.0), []).append(at)
    return [
        Place(tuple(names[at] for at in rows), *where, sum(camera_days[at] for at in rows))
        for where, rows in found.items()
    ]


def draw(places: Sequence[Place]) -> tuple[Markup, int]:
    """Draw places, at least one; returns the map and how many labels found no room."""
    view = _view(places)
    most = max(place.camera_days for place in places) or 1.0
    largest = min(13.0, max(5.5, 46 / math.sqrt(len(places))))
    circles: list[tuple[float, float, float]] = []
    for place in places:
        x, y = view.at(place.latitude, place.longitude)
        circles.append((x, y, 3 + (largest - 3) * math.sqrt(place.camera_days / most)))
    bar, taken = _scale_bar(view, circles)
    labels, missing = _labels(places, circles, taken, view.height)
    order = sorted(range(len(places)), key=lambda at: -circles[at][2])
    dots = [
        element(
            "circle", element("title", _told(places[at])), cx=circles[at][0], cy=circles[at][1], r=circles[at][2],
            css="place" if places[at].camera_days else "place unsurveyed",
        )
        for at in order
    ]  # fmt: skip
    says = f"{counted(sum(len(place.names) for place in places), 'location')}; the table beside it lists them."
    frame = element("rect", x=0.5, y=0.5, width=_WIDTH - 1, height=view.height - 1, css="frame")
    north = element("text", "N ↑", x=_WIDTH - 10, y=22, css="north")
    drawing = svg(
        "Map of the locations", says, frame, list(_grid(view)), dots, bar, north, labels,
        css="map", viewBox=f"0 0 {_WIDTH:g} {view.height:g}",
    )  # fmt: skip
    return drawing, missing


def _told(place: Place) -> str:
    return f"{', '.join(shortened(name, 60) for name in place.names[:12])}: {number(place.camera_days, 1)} camera-days"


def _view(places: Sequence[Place]) -> _View:
    south, north = min(item.latitude for item in places), max(item.latitude for item in places)
    west, east = min(item.longitude for item in places), max(item.longitude for item in places)
    shrink = max(0.05, math.cos(math.radians((south + north) / 2)))
    tall, wide = north - south, max((east - west) * shrink, _SMALLEST_SPAN)
    scale = min((_WIDTH - 2 * _MARGIN) / wide, (_MOST - 2 * _MARGIN) / max(tall, _SMALLEST_SPAN / 10))
    height = min(_MOST, max(_LEAST, tall * scale + 2 * _MARGIN))
    return _View(
        (west + east) / 2 - _WIDTH / scale / shrink / 2, (south + north) / 2 + height / scale / 2, scale, shrink,
        round(height),
    )  # fmt: skip


def _grid(view: _View) -> Iterator[Markup]:
    """Thin lines at round degrees with their numbers at the edge."""
    for name, first, length, per_degree in (
        ("meridian", view.west, _WIDTH, view.scale * view.shrink),
        ("parallel", view.north - view.height / view.scale, view.height, view.scale),
    ):
        step, decimals = _round_step(length / per_degree / 4)
        for count in range(math.ceil(first / step), math.floor((first + length / per_degree) / step) + 1):
            value = count * step
            along = (value - first) * per_degree
            told = f"{abs((value + 180) % 360 - 180 if name == 'meridian' else value):.{decimals}f}°"
            if name == "meridian":
                if not 30 < along < _WIDTH - 60:
                    continue
                side = "E" if (value + 180) % 360 >= 180 else "W"
                yield element("path", d=f"M{along:.1f} 0V{view.height:g}", css="degree")
                yield element("text", told + side, x=along + 3, y=view.height - 5, css="degree")
            else:
                if not 20 < along < view.height - 12:
                    continue
                y = view.height - along
                yield element("path", d=f"M0 {y:.1f}H{_WIDTH:g}", css="degree")
                yield element("text", told + ("N" if value >= 0 else "S"), x=4, y=y - 3, css="degree")


def _round_step(about: float) -> tuple[float, int]:
    """Return 1, 2 or 5 times a power of ten near a length, and the decimals that it needs."""
    power = math.floor(math.log10(about))
    step = next(part for part in (1, 2, 5, 10) if part * 10.0**power >= about)
    if step == 10:
        step, power = 1, power + 1
    return step * 10.0**power, max(0, -power)


def _scale_bar(view: _View, circles: Sequence[tuple[float, float, float]]) -> tuple[Markup, Box]:
    """Draw a bar of a round length in a corner that is free, if there is one; returns it and the room it takes."""
    kilometres = _WIDTH / 3.2 / view.scale * _KM_PER_DEGREE
    power = 10.0 ** math.floor(math.log10(kilometres))
    length = max(part * power for part in (1, 2, 5) if part * power <= kilometres)
    pixels = length / _KM_PER_DEGREE * view.scale
    told = f"{length:g} km" if length >= 1 else f"{length * 1000:g} m"
    corners = [
        (left, upper, left + pixels + 20, upper + 30)
        for upper in (view.height - 46, 8)
        for left in (_WIDTH - pixels - 28, 50)
        if upper > 8 or left == 50
    ]
    busy = [(x - r, y - r, x + r, y + r) for x, y, r in circles]
    box = next((corner for corner in corners if not any(_touch(corner, other) for other in busy)), corners[0])
    left, y = box[0] + 10, box[3] - 7
    drawn = element(
        "g",
        element("rect", x=box[0], y=box[1], width=box[2] - box[0], height=box[3] - box[1], css="under"),
        element("path", d=f"M{left:.1f} {y - 4:g}V{y:g}H{left + pixels:.1f}V{y - 4:g}", css="scale"),
        element("text", told, x=left + pixels / 2, y=y - 7, css="scale"),
    )
    return drawn, box


def _labels(
    places: Sequence[Place], circles: Sequence[tuple[float, float, float]], taken: Box, height: float
) -> tuple[list[Markup], int]:
    """Put each label where it touches no circle and no other label, the most surveyed first; count the others."""
    busy: list[Box] = [(x - r, y - r, x + r, y + r) for x, y, r in circles]
    busy += [taken, (_WIDTH - 40, 0, _WIDTH, 28)]
    drawn, missing = [], 0
    for at in sorted(range(len(places)), key=lambda at: (-places[at].camera_days, places[at].names)):
        others = len(places[at].names) - 1
        text = shortened(places[at].names[0], 22) + (f" +{others}" if others else "")
        x, y, r = circles[at]
        wide, near = text_width(text, _FONT), r + 3
        for left, middle in (
            (x + near, y), (x - near - wide, y), (x - wide / 2, y - near - 6), (x - wide / 2, y + near + 6),
            (x + near * 0.7, y - near * 0.7 - 5), (x + near * 0.7, y + near * 0.7 + 5),
            (x - near * 0.7 - wide, y - near * 0.7 - 5), (x - near * 0.7 - wide, y + near * 0.7 + 5),
        ):  # fmt: skip
            box = left - 1, middle - _FONT / 2 - 1, left + wide + 1, middle + _FONT / 2 + 1
            inside = box[0] > 2 and box[1] > 2 and box[2] < _WIDTH - 2 and box[3] < height - 18
            if inside and not any(_touch(box, other) for other in busy):
                busy.append(box)
                drawn.append(element("text", text, x=left, y=middle + _FONT * 0.36, css="label"))
                break
        else:
            missing += 1
    return drawn, missing


def _touch(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
