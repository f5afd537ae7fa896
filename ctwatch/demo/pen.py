"""The drawing tool of the demo's animals: round strokes, blobs and outlines in body units."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from PIL import Image, ImageChops, ImageDraw

Point = tuple[float, float]
Colour = tuple[int, int, int]

LEFT, RIGHT, TOP, BOTTOM = -2.1, 2.1, 2.05, -0.15
"""What a figure's picture spans, in shoulder heights around the point on the ground below its middle."""


@dataclass(frozen=True, slots=True)
class Pose:
    """How one individual stands in one frame."""

    stride: float
    """Phase of the walk in radians."""
    reach: float
    """Length of a step in shoulder heights, 0 when standing."""
    head: float
    """0 raised .. 1 at the ground."""
    individual: int
    """Seed of what stays the same for one animal: spots, tint, build."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A cut-out animal that looks to the right."""

    picture: Image.Image
    """RGBA; spans LEFT..RIGHT by TOP..BOTTOM."""
    eye: Point
    """In shoulder heights."""


class Pen:
    """Draws round strokes and blobs in body units: x forwards, y upwards from the ground, shoulder at 1."""

    def __init__(self, scale: float, coat: Colour) -> None:
        self.scale = scale
        size = (max(8, round((RIGHT - LEFT) * scale)), max(8, round((TOP - BOTTOM) * scale)))
        # Transparent in the coat's own colour: no dark fringe when the picture is made smaller.
        self.picture = Image.new("RGBA", size, (*coat, 0))
        self._draw = ImageDraw.Draw(self.picture)

    def place(self, point: Point) -> Point:
        """Return the pixel of a body point."""
        return (point[0] - LEFT) * self.scale, (TOP - point[1]) * self.scale

    def stroke(self, points: Sequence[Point], widths: Sequence[float], fill: Colour) -> None:
        """Draw a chain of joints whose width changes from joint to joint."""
        placed = [self.place(point) for point in points]
        radii = [max(0.5, width * self.scale / 2) for width in widths]
        for (x, y), radius in zip(placed, radii, strict=True):
            self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)
        for (start, end), (r0, r1) in zip(pairwise(placed), pairwise(radii), strict=True):
            length = math.hypot(end[0] - start[0], end[1] - start[1])
            if length < 1e-6:
                continue
            nx, ny = (start[1] - end[1]) / length, (end[0] - start[0]) / length
            self._draw.polygon(
                [
                    (start[0] + nx * r0, start[1] + ny * r0),
                    (end[0] + nx * r1, end[1] + ny * r1),
                    (end[0] - nx * r1, end[1] - ny * r1),
                    (start[0] - nx * r0, start[1] - ny * r0),
                ],
                fill=fill,
            )

    def blob(self, centre: Point, radii: Point, fill: Colour, angle: float = 0.0) -> None:
        """Draw an ellipse turned by an angle in radians."""
        cos, sin = math.cos(angle), math.sin(angle)
        turns = (2 * math.pi * step / 20 for step in range(20))
        outline = []
        for turn in turns:
            x, y = radii[0] * math.cos(turn), radii[1] * math.sin(turn)
            outline.append((centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos))
        self.polygon(outline, fill)

    def polygon(self, points: Sequence[Point], fill: Colour) -> None:
        """Draw a filled outline."""
        self._draw.polygon([self.place(point) for point in points], fill=fill)

    def pattern(self, marks: Callable[["Pen"], None], fill: Colour) -> None:
        """Colour what `marks` draws, but only on what is already there."""
        stencil = Pen(self.scale, (0, 0, 0))
        marks(stencil)
        mask = ImageChops.multiply(stencil.picture.getchannel("A"), self.picture.getchannel("A"))
        self.picture.paste((*fill, 255), mask=mask)


def shade(colour: Colour, factor: float) -> Colour:
    """Return the colour made darker (below 1) or lighter."""
    red, green, blue = (max(0, min(255, round(value * factor))) for value in colour)
    return red, green, blue
