"""Draws the fixed background of a location: sky, ground, trees, rocks and grass, by day and under infrared light."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
Pixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
Floats = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


@dataclass(frozen=True, slots=True)
class Biome:
    """The colours and the density of one kind of country."""

    sky: Colour
    far: Colour
    ground: Colour
    grass: Colour
    leaf: Colour
    trees: tuple[int, int]
    rocks: tuple[int, int]
    horizon: tuple[float, float]


BIOMES = (
    Biome(
        (178, 204, 226), (140, 142, 112), (176, 150, 104), (190, 164, 92), (104, 108, 60), (2, 6), (0, 4), (0.26, 0.42)
    ),
    Biome((196, 212, 200), (64, 82, 54), (96, 88, 62), (84, 112, 58), (52, 82, 44), (8, 16), (0, 3), (0.16, 0.34)),
    Biome(
        (206, 216, 226), (150, 128, 104), (188, 146, 112), (156, 148, 88), (112, 116, 76), (1, 4), (4, 10), (0.3, 0.46)
    ),
    Biome((170, 200, 232), (88, 116, 84), (106, 128, 66), (120, 152, 64), (58, 96, 48), (2, 7), (1, 4), (0.25, 0.45)),
    Biome(
        (214, 220, 226), (118, 112, 108), (132, 112, 92), (146, 120, 84), (126, 92, 60), (6, 12), (1, 5), (0.2, 0.36)
    ),
)


@dataclass(frozen=True, slots=True)
class Blade:
    """One blade of grass or twig in the foreground, in fractions of the frame's width and height."""

    x: float
    foot: float
    height: float
    lean: float
    phase: float
    tone: float
    width: float


@dataclass(frozen=True, slots=True)
class Landscape:
    """What a camera at one location always sees."""

    day: Pixels
    """(H, W, 3)."""
    night: Pixels
    """(H, W): what the infrared flash lights, dark with distance and towards the corners."""
    horizon: float
    """Fraction of the frame's height."""
    blades: tuple[Blade, ...]
    grass: Colour
    branch: bool
    """A leafy branch hangs into the frame."""
    strip: int
    """0 no information strip, else the camera make that burns one in."""


def cloud(rng: np.random.Generator, height: int, width: int, grids: tuple[tuple[int, int, float], ...]) -> Floats:
    """Return smooth noise (height, width) around 0: a weighted sum of grids (rows, columns, weight) blown up."""
    total = np.zeros((height, width), np.float32)
    for rows, columns, weight in grids:
        grid = rng.standard_normal((rows, columns)).astype(np.float32)
        blown = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
        total += weight * np.asarray(blown, np.float32)
    return total


class _Painter:
    """Paints the same shape into a colour picture and into a picture of nearness."""

    def __init__(self, day: Image.Image, near: Image.Image) -> None:
        self._day, self._near = ImageDraw.Draw(day), ImageDraw.Draw(near)
        self._size = day.size

    def polygon(self, points: list[tuple[float, float]], fill: Colour, nearness: float) -> None:
        placed = [(x * self._size[0], y * self._size[1]) for x, y in points]
        self._day.polygon(placed, fill=fill)
        self._near.polygon(placed, fill=round(255 * nearness))

    def ellipse(self, centre: tuple[float, float], radii: tuple[float, float], fill: Colour, nearness: float) -> None:
        x, y = centre[0] * self._size[0], centre[1] * self._size[1]
        rx, ry = radii[0] * self._size[0], radii[1] * self._size[1]
        self._day.ellipse((x - rx, y - ry, x + rx, y + ry), fill=fill)
        self._near.ellipse((x - rx, y - ry, x + rx, y + ry), fill=round(255 * nearness))


def _tone(colour: Colour, factor: float) -> Colour:
    red, green, blue = (int(max(0, min(255, value * factor))) for value in colour)
    return red, green, blue


def nearness(foot: float, horizon: float) -> float:
    """Return 0 (horizon and beyond) .. 1 (bottom edge) for something that stands at a height of the frame."""
    return max(0.0, min(1.0, (foot - horizon) / (1 - horizon)))


def _tree(painter: _Painter, rng: np.random.Generator, biome: Biome, horizon: float, foot: float) -> None:
    near = nearness(foot, horizon)
    x, size = float(rng.random()), (0.12 + 0.75 * near) * (0.7 + 0.6 * float(rng.random()))
    trunk = _tone((92, 74, 58), 0.6 + 0.5 * float(rng.random()))
    half, top = 0.016 * size + 0.003, foot - size
    lean = 0.05 * size * float(rng.standard_normal())
    painter.polygon(
        [(x - half * 1.3, foot), (x + lean - half * 0.6, top), (x + lean + half * 0.6, top), (x + half * 1.3, foot)],
        trunk,
        near,
    )
    painter.polygon(
        [(x - half * 1.3, foot), (x + lean - half * 0.6, top), (x + lean - half * 0.2, top), (x - half * 0.5, foot)],
        _tone(trunk, 0.75),
        near * 0.85,
    )
    for _ in range(int(rng.integers(70, 130))):
        dx, dy = 0.15 * size * float(rng.standard_normal()), 0.1 * size * float(rng.standard_normal())
        radius = size * (0.012 + 0.03 * float(rng.random()))
        tone = 0.65 + 0.5 * float(rng.random()) - 1.6 * dy
        painter.ellipse(
            (x + lean + dx, top + dy), (radius * 0.9, radius), _tone(biome.leaf, tone), near * (0.7 + 0.3 * tone)
        )


def _rock(painter: _Painter, rng: np.random.Generator, horizon: float, foot: float) -> None:
    near = nearness(foot, horizon)
    x, width = float(rng.random()), (0.015 + 0.09 * near) * (0.5 + float(rng.random()))
    height = width * (0.6 + 0.5 * float(rng.random()))
    grey = 0.75 + 0.4 * float(rng.random())
    outline = [
        (x + width * np.cos(a) * (0.85 + 0.2 * float(rng.random())), foot - height * np.sin(a))
        for a in np.linspace(0, np.pi, 9)
    ]
    painter.polygon(outline, _tone((128, 122, 114), grey), near)
    lit = [(px - width * 0.1, py - (foot - py) * 0.05) for px, py in outline[2:7]]
    painter.polygon(lit, _tone((150, 144, 134), grey), near)


def _tuft(painter: _Painter, rng: np.random.Generator, biome: Biome, horizon: float, foot: float) -> None:
    near = nearness(foot, horizon)
    x, height = float(rng.random()), (0.008 + 0.05 * near) * (0.6 + 0.9 * float(rng.random()))
    base = 0.7 + 0.6 * float(rng.random())
    for _ in range(7):
        lean, root = 0.5 * height * float(rng.standard_normal()), x + 0.35 * height * float(rng.standard_normal())
        thick = 0.0011 + 0.0016 * near
        painter.polygon(
            [
                (root - thick, foot),
                (root + lean, foot - height * (0.6 + 0.5 * float(rng.random()))),
                (root + thick, foot),
            ],
            _tone(biome.grass, base * (0.8 + 0.4 * float(rng.random()))),
            min(1.0, near * 1.1),
        )


def _infrared(day: Image.Image, near: Image.Image, rng: np.random.Generator) -> Pixels:
    height, width = day.height, day.width
    grey = np.asarray(day.convert("L"), np.float32) / 255
    lit = np.asarray(near, np.float32) / 255
    across = np.linspace(-1, 1, width, dtype=np.float32)[None, :] - 0.2 * float(rng.standard_normal())
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    vignette = np.clip(1.12 - 0.42 * across**2 - 0.3 * down**2, 0.12, 1.0)
    flash = 235 * (0.25 + 0.75 * grey) * (0.03 + 0.85 * lit**0.75) * vignette
    return np.asarray(np.clip(flash, 0, 255), np.uint8)


@lru_cache(maxsize=6)
def landscape(location: int, height: int, width: int) -> Landscape:
    """Return the background of a location at a size; every size shows the same place."""
    rng = np.random.default_rng([location, 7919])
    biome = BIOMES[int(rng.integers(len(BIOMES)))]
    tint = rng.uniform(0.8, 1.15) * rng.uniform(0.95, 1.05, 3)
    ground = (int(biome.ground[0] * tint[0]), int(biome.ground[1] * tint[1]), int(biome.ground[2] * tint[2]))
    low, high = biome.horizon
    horizon = low + (high - low) * float(rng.random())
    factor = 2 if height <= 800 else 1
    tall, wide = height * factor, width * factor
    # Layout and texture come from generators of their own, so that no size shifts the other's random numbers.
    layout, texture = np.random.default_rng([location, 1]), np.random.default_rng([location, 2])
    canvas = np.empty((tall, wide, 3), np.float32)
    edge = round(horizon * tall)
    down = np.linspace(0, 1, edge, dtype=np.float32)[:, None, None]
    canvas[:edge] = np.array(biome.sky, np.float32) * (0.86 + 0.14 * down)
    down = np.linspace(0, 1, tall - edge, dtype=np.float32)[:, None, None]
    canvas[edge:] = np.array(ground, np.float32) * (1.08 - 0.2 * down)
    patches = cloud(texture, tall - edge, wide, ((8, 5, 0.09), (40, 24, 0.05), (110, 90, 0.06), (190, 260, 0.05)))
    canvas[edge:] *= 1 + patches[:, :, None]
    canvas[:edge] *= 1 + 0.5 * cloud(texture, edge, wide, ((4, 6, 0.03), (9, 14, 0.02)))[:, :, None]
    day = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    slope = np.zeros((tall, wide), np.float32)
    slope[edge:] = np.linspace(0, 255, tall - edge, dtype=np.float32)[:, None]
    near = Image.fromarray(slope.astype(np.uint8))
    painter = _Painter(day, near)
    for ridge in range(3):
        crest = np.cumsum(layout.standard_normal(26)) * 0.012 + 0.02 * (2 - ridge)
        line = [(i / 25, horizon - 0.02 - max(-0.015, float(crest[i]))) for i in range(26)]
        fade = 0.45 + 0.25 * ridge
        mixed = tuple(round(fade * f + (1 - fade) * s) for f, s in zip(biome.far, biome.sky, strict=True))
        painter.polygon(
            [(0.0, horizon + 0.02), *line, (1.0, horizon + 0.02)], (mixed[0], mixed[1], mixed[2]), 0.02 * ridge
        )
    feet = np.sort(horizon + (1 - horizon) * layout.random(int(layout.integers(*biome.trees))) ** 2.2 * 0.7)
    rocks = np.sort(horizon + (1 - horizon) * layout.random(int(layout.integers(*biome.rocks))))
    tufts = np.sort(horizon + (1 - horizon) * layout.random(int(layout.integers(90, 320))) ** 0.8)
    things = sorted([(f, "tree") for f in feet] + [(f, "rock") for f in rocks] + [(f, "tuft") for f in tufts])
    for foot, kind in things:
        if kind == "tree":
            _tree(painter, layout, biome, horizon, float(foot))
        elif kind == "rock":
            _rock(painter, layout, horizon, float(foot))
        else:
            _tuft(painter, layout, biome, horizon, float(foot))
    if factor > 1:
        day, near = (picture.resize((width, height), Image.Resampling.BOX) for picture in (day, near))
    day = day.filter(ImageFilter.GaussianBlur(0.0006 * width))
    blades = tuple(
        Blade(
            x=float(layout.random()),
            foot=0.86 + 0.2 * float(layout.random()),
            height=(0.05 + 0.16 * float(layout.random()) ** 2),
            lean=0.05 * float(layout.standard_normal()),
            phase=6.28 * float(layout.random()),
            tone=0.6 + 0.7 * float(layout.random()),
            width=0.0022 + 0.003 * float(layout.random()),
        )
        for _ in range(int(layout.choice((12, 40, 90))))
    )
    return Landscape(
        np.asarray(day),
        _infrared(day, near, layout),
        horizon,
        blades,
        biome.grass,
        branch=bool(layout.random() < 0.25),
        strip=int(layout.choice((0, 1, 1, 2, 3))),
    )
