"""Generates camera-trap bursts: fixed places, made-up species, day and infrared night, wind, light and empties."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from ctwatch.demo.animals import DRAWERS
from ctwatch.demo.landscape import Blade, Floats, Landscape, Pixels, cloud, landscape
from ctwatch.demo.pen import BOTTOM, LEFT, RIGHT, TOP, Figure, Pose

SPECIES: tuple[str, ...] = tuple(DRAWERS)
"""Labels that the generator can draw; none is a real taxon but "human"."""

RESERVED_LOCATIONS = 10_000
"""Locations from this number on are for the demo and the tests and are never trained on."""

_LEAST_SHARE = 0.3
"""An animal of which less than this share of its outline is in the frame is not drawn, so that labels stay true."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One photograph of a burst."""

    pixels: Pixels
    """RGB (H, W, 3); the three channels are equal at night."""
    visible: bool
    """An animal (or a person) can be seen."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """How one animal moves through a burst."""

    species: str
    stature: float
    foot: float
    start: float
    """Where it is at the anchor frame, fraction of the width."""
    anchor: int
    speed: float
    facing: int
    squeeze: float
    head: float
    walk: float
    tint: float
    individual: int


@dataclass(frozen=True, slots=True)
class _Air:
    """Wind and light of one burst."""

    wind: float
    light: float
    warmth: float
    shade: float
    haze: float
    noise: float
    seed: int


def burst(
    *,
    location: int,
    species: str | None,
    night: bool,
    frames: int,
    seed: int,
    size: tuple[int, int],
    stamps: Sequence[str] | None = None,
    erased: bool = False,
) -> list[Frame]:
    """Return the frames of one camera trigger, the same for the same arguments.

    Args:
        location: Number of the place, 0 or more; it fixes the background and the camera make.
        species: One of `SPECIES`, or None for a trigger without an animal (wind, shadow, light).
        night: Taken under infrared flash: grey, dark with distance, with shining eyes.
        frames: Number of frames, 1 or more; the animal is in at least one of them and may leave.
        seed: Number of the burst, 0 or more.
        size: (height, width) in pixels, at least 48 x 64.
        stamps: Text for the information strip of each frame; made up from the seed when not given.
        erased: Leave the animal and its shadow out and everything else as it is, to the pixel; `visible` still says
            where the animal would be seen.

    Raises:
        ValueError: An argument is outside of these ranges.
    """
    height, width = size
    if species is not None and species not in DRAWERS:
        raise ValueError(f"no such species: {species!r}; there are {', '.join(SPECIES)}")
    if location < 0 or seed < 0 or frames < 1 or height < 48 or width < 64:
        raise ValueError("location and seed must be 0 or more, frames 1 or more, size at least 48 x 64")
    if stamps is not None and len(stamps) != frames:
        raise ValueError(f"{frames} frames need {frames} stamps, not {len(stamps)}")
    place = landscape(location, height, width)
    rng = np.random.default_rng([location, seed, 0 if species is None else 1 + SPECIES.index(species), int(night)])
    air = _Air(
        wind=float(rng.gamma(1.2, 0.6)) * (1.6 if species is None else 1.0),
        light=float(rng.uniform(0.62, 1.18)),
        warmth=float(rng.normal(0, 0.05)),
        shade=float(rng.uniform(0.0, 0.32)) * (1.5 if species is None else 1.0),
        haze=float(rng.uniform(0.05, 0.25)) if rng.random() < 0.12 else 0.0,
        noise=float(rng.uniform(2.5, 8.0)) if night else float(rng.uniform(1.0, 3.5)),
        seed=int(rng.integers(2**31)),
    )
    plan = None if species is None else _plan(rng, species, place, frames, width / height)
    texts = stamps if stamps is not None else _stamps(rng, location, night, frames)
    return [_frame(place, plan, air, index, night, texts[index], erased) for index in range(frames)]


def _plan(rng: np.random.Generator, species: str, place: Landscape, frames: int, aspect: float) -> _Plan:
    least, greatest = DRAWERS[species][1]
    closeness = float(rng.beta(1.6, 1.6))
    stature = least + (greatest - least) * closeness
    # Nearer animals are larger and stand lower in the frame.
    foot = place.horizon + (1 - place.horizon) * (0.34 + 0.5 * closeness + 0.1 * float(rng.random()))
    foot = max(foot, min(0.97, stature * 1.55 + 0.05))
    moving = rng.random() < 0.65
    edge = stature > 0.12 and rng.random() < 0.2
    start = float(rng.choice((-0.02, 1.02))) if edge else float(rng.uniform(0.12, 0.88))
    facing = int(rng.choice((-1, 1)))
    return _Plan(
        species,
        stature,
        min(foot, 0.96),
        start,
        int(rng.integers(frames)),
        speed=facing * float(rng.gamma(2.0, 0.055)) if moving else 0.0,
        facing=facing,
        squeeze=float(rng.uniform(0.72, 1.05)) / aspect,
        head=float(rng.random() * 0.25) if moving or species == "human" else float(rng.choice((0.1, 0.6, 1.0))),
        walk=6.28 * float(rng.random()),
        tint=float(rng.uniform(0.86, 1.12)),
        individual=int(rng.integers(2**31)),
    )


def _stamps(rng: np.random.Generator, location: int, night: bool, frames: int) -> list[str]:
    hour = (20 + int(rng.integers(9))) % 24 if night else 7 + int(rng.integers(11))
    month, day, minute, second = (int(rng.integers(1, top)) for top in (13, 29, 60, 50))
    celsius = int(rng.integers(4, 20)) + (0 if night else 10)
    return [
        f"2024-{month:02d}-{day:02d} {hour:02d}:{minute:02d}:{second + index:02d}  {celsius}C  CAM{location % 1000:03d}"
        for index in range(frames)
    ]


def _frame(place: Landscape, plan: _Plan | None, air: _Air, index: int, night: bool, text: str, erased: bool) -> Frame:
    background = place.night if night else place.day
    height, width = background.shape[:2]
    rng = np.random.default_rng([air.seed, index])
    picture = Image.fromarray(background)
    # An erased animal is drawn on a sheet that is thrown away: whether it is in the frame shows in the drawing only.
    visible = plan is not None and _draw_animal(picture.copy() if erased else picture, plan, place, index, night)
    _draw_vegetation(picture, place, air, index, night)
    picture = picture.filter(ImageFilter.BoxBlur(0.0011 * width))
    values = np.asarray(picture, np.float32)
    light = air.light * (1 + 0.04 * float(rng.standard_normal()))
    if night:
        values = values * (0.75 + 0.4 * light)
    else:
        drift = np.random.default_rng([air.seed, 77])
        below = np.clip((np.linspace(0, 1, height, dtype=np.float32)[:, None] - place.horizon + 0.22) / 0.25, 0, 1)
        clouds = cloud(drift, height, width, ((5, 6, 1.0),)) + 0.25 * index - 0.2
        shadow = 1 - air.shade * below * np.clip(clouds, 0, 1.4)
        tone = light * np.array([1 + air.warmth, 1.0, 1 - air.warmth], np.float32)
        values = values * (shadow[:, :, None] * tone)
        if air.haze:
            values = values * (1 - air.haze) + 205 * air.haze
    grain = air.noise * _grain(height, width, rng)
    values = values + (grain if night else grain[:, :, None])
    pixels = np.clip(values, 0, 255).astype(np.uint8)
    if night:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    return Frame(_strip(pixels, place.strip, text), visible)


@lru_cache(maxsize=4)
def _noise(height: int, width: int) -> Floats:
    return np.random.default_rng(5).standard_normal((height + 64, width + 64), np.float32)


def _grain(height: int, width: int, rng: np.random.Generator) -> Floats:
    """Sensor noise cut from one sheet at a random place; new noise for every frame costs more than the scene."""
    top, left = (int(value) for value in rng.integers(0, 64, 2))
    sheet: Floats = _noise(height, width)[top : top + height, left : left + width]
    return sheet


def _draw_animal(picture: Image.Image, plan: _Plan, place: Landscape, index: int, night: bool) -> bool:
    width, height = picture.size
    steps = index - plan.anchor
    centre = plan.start + plan.speed * steps
    scale = plan.stature * height
    figure = DRAWERS[plan.species][0](
        min(2.0 * scale, 300.0),
        Pose(plan.walk + 2.1 * steps, 0.2 if plan.speed else 0.03, plan.head, plan.individual),
    )
    # `squeeze` is in units in which 1 / aspect is an animal seen from the side.
    broad = max(4, round((RIGHT - LEFT) * scale * plan.squeeze * width / height))
    tall = max(4, round((TOP - BOTTOM) * scale))
    cut = figure.picture.resize((broad, tall), Image.Resampling.BOX if scale < 150 else Image.Resampling.BICUBIC)
    if plan.facing < 0:
        cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    left = round(centre * width - broad / 2)
    top = round(plan.foot * height - TOP / (TOP - BOTTOM) * tall)
    if index == plan.anchor:
        left = _pull_in(cut, left, width)
    else:
        left += _pull_in(cut, round(plan.start * width - broad / 2), width) - round(plan.start * width - broad / 2)
    if _share(cut, left, width) < _LEAST_SHARE:
        return False
    near = (plan.foot - place.horizon) / (1 - place.horizon)
    alpha = cut.getchannel("A")
    if not night:
        ground = Image.new("L", picture.size, 0)
        rx = 0.62 * scale * plan.squeeze * width / height
        x, y = left + broad / 2 - rx * 0.1, plan.foot * height - 0.01 * scale
        ImageDraw.Draw(ground).ellipse((x - rx, y - 0.09 * scale, x + rx, y + 0.09 * scale), fill=95)
        box = (
            max(0, int(x - rx - 9)),
            max(0, int(y - 0.2 * scale)),
            min(width, int(x + rx + 9)),
            min(height, int(y + 0.2 * scale)),
        )
        if box[2] > box[0] and box[3] > box[1]:
            soft = ground.crop(box).filter(ImageFilter.GaussianBlur(max(1.0, 0.03 * scale)))
            picture.paste((40, 36, 30), box, soft)
        picture.paste(_lit(cut, plan.tint), (left, top), alpha)
    else:
        level = (0.3 + 0.85 * near) * plan.tint
        grey = (
            cut.convert("RGB")
            .convert("L")
            .point([min(255, round((38 + 0.85 * value) * level)) for value in range(256)])
        )
        picture.paste(grey, (left, top), alpha)
        _eyeshine(picture, figure, plan, (left, top, broad, tall))
    return True


def _lit(cut: Image.Image, tint: float) -> Image.Image:
    """Light from above: a brighter back, a darker belly, and a tint of the individual."""
    values = np.asarray(cut.convert("RGB"), np.float32)
    down = np.linspace(1.12, 0.82, values.shape[0], dtype=np.float32)[:, None, None] * tint
    return Image.fromarray(np.clip(values * down, 0, 255).astype(np.uint8))


def _share(cut: Image.Image, left: int, width: int) -> float:
    """Return which share of the outline lies inside of the frame's width."""
    columns = np.asarray(cut.getchannel("A").resize((cut.width, 1), Image.Resampling.BOX), np.float64)[0]
    first, last = max(0, -left), max(0, min(cut.width, width - left))
    return float(columns[first:last].sum() / max(1.0, columns.sum()))


def _pull_in(cut: Image.Image, left: int, width: int) -> int:
    """Move an animal at the edge so far into the frame that about half of it is seen."""
    step = max(1, cut.width // 16)
    while _share(cut, left, width) < 0.5:
        left += step if left < width / 2 - cut.width / 2 else -step
    return left


def _eyeshine(picture: Image.Image, figure: Figure, plan: _Plan, box: tuple[int, int, int, int]) -> None:
    if plan.species == "human":
        return
    left, top, broad, tall = box
    across = (figure.eye[0] - LEFT) / (RIGHT - LEFT)
    x = left + broad * (across if plan.facing > 0 else 1 - across)
    y = top + tall * (TOP - figure.eye[1]) / (TOP - BOTTOM)
    radius = max(0.9, 0.022 * tall)
    draw = ImageDraw.Draw(picture)
    draw.ellipse((x - radius * 1.5, y - radius * 1.5, x + radius * 1.5, y + radius * 1.5), fill=175)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)


def _draw_vegetation(picture: Image.Image, place: Landscape, air: _Air, index: int, night: bool) -> None:
    width, height = picture.size
    draw = ImageDraw.Draw(picture)
    for blade in place.blades:
        draw.polygon(_blade(blade, air, index, width, height), fill=_ink(place, blade.tone, night))
    if place.branch:
        sway = 0.014 * air.wind * math.sin(1.9 * index)
        twig = ((1.02 * width, 0.02 * height), ((0.62 + sway) * width, (0.2 + sway) * height))
        draw.line(twig, fill=_ink(place, 0.4, night), width=max(1, round(0.008 * height)))
        for blade in place.blades * (1 + 48 // len(place.blades)):
            x = 0.6 + 0.42 * blade.x + sway + 0.004 * air.wind * math.sin(blade.phase + 1.9 * index)
            y = 0.02 + 0.45 * (1.02 - x) + 0.55 * (blade.foot - 0.96) + 0.3 * blade.lean
            radius = (0.006 + 2 * blade.width) * height
            x, y = x * width, y * height
            draw.ellipse(
                (x - 1.8 * radius, y - radius, x + radius, y + radius), fill=_ink(place, blade.tone * 0.6, night)
            )


def _blade(blade: Blade, air: _Air, index: int, width: int, height: int) -> list[tuple[float, float]]:
    sway = 0.016 * air.wind * math.sin(blade.phase + 1.9 * index)
    tip = ((blade.x + blade.lean + sway) * width, (blade.foot - blade.height) * height)
    half, foot = blade.width * width, blade.foot * height
    return [(blade.x * width - half, foot), tip, (blade.x * width + half, foot)]


def _ink(place: Landscape, tone: float, night: bool) -> int | tuple[int, int, int]:
    red, green, blue = (min(255, round(value * tone)) for value in place.grass)
    return min(255, round(0.3 * red + 0.59 * green + 0.11 * blue + 60)) if night else (red, green, blue)


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size=size)


def _strip(pixels: Pixels, make: int, text: str) -> Pixels:
    """Burn in the information strip of a camera make: black, light or a line of text on the photograph."""
    if not make:
        return pixels
    height, width = pixels.shape[:2]
    tall = max(8, round(height * (0.055, 0.065, 0.05)[make - 1]))
    paper, ink = (((12, 12, 14), (236, 236, 236)), ((214, 216, 218), (20, 20, 24)), ((0, 0, 0), (250, 250, 250)))[
        make - 1
    ]
    bar = Image.new("RGB", (width, tall), paper)
    draw = ImageDraw.Draw(bar)
    draw.text((round(0.02 * width), tall // 2), text, fill=ink, font=_font(max(6, round(tall * 0.62))), anchor="lm")
    if make == 2:
        draw.ellipse((width - 1.6 * tall, 0.15 * tall, width - 0.9 * tall, 0.85 * tall), fill=(190, 60, 40))
    out = pixels.copy()
    out[height - tall :] = np.asarray(bar)
    return out
