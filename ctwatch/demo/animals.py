"""Draws the demo's animals: made-up species that differ in shape and in pattern, as cut-out figures."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ctwatch.demo.pen import Colour, Figure, Pen, Point, Pose, shade


@dataclass(frozen=True, slots=True)
class Build:
    """Proportions of a four-legged species in shoulder heights."""

    stature: tuple[float, float]
    """Least and greatest shoulder height as a fraction of the frame's height."""
    coat: Colour
    length: float
    depth: float
    leg: float
    neck: tuple[float, float, float]
    """Length, angle above the horizontal in radians, width."""
    head: tuple[float, float, float]
    """Length, skull width, muzzle width."""
    tail: tuple[float, float, float]
    """Length, angle below the horizontal in radians, width."""
    ear: Point = (0.1, 0.05)
    dark: Colour = (50, 40, 32)
    back: float = 0.0
    """How much the back is arched."""


def _legs(pen: Pen, build: Build, pose: Pose, hip: float, near: bool) -> None:
    colour = shade(build.coat, 0.92 if near else 0.62)
    for index, x in enumerate((-build.length / 2 + 0.06, build.length / 2 - 0.04)):
        phase = pose.stride + (0.0 if near else math.pi) + index * 2.2
        swing = pose.reach * math.sin(phase)
        lift = max(0.0, pose.reach * 0.35 * math.cos(phase))
        knee = (x + swing * 0.4 + (0.04 if index else -0.05), hip * 0.52)
        pen.stroke(
            [(x, hip), knee, (x + swing, lift + 0.03), (x + swing + 0.05, lift + 0.02)],
            [build.leg * 2.1, build.leg * 1.15, build.leg * 0.8, build.leg * 0.8],
            colour,
        )


def _beast(
    scale: float,
    build: Build,
    pose: Pose,
    pattern: Callable[[Pen, np.random.Generator], None] | None = None,
    finish: Callable[[Pen, Point, Point, np.random.Generator], None] | None = None,
) -> Figure:
    """Draw a four-legged animal: legs, tail, trunk, neck, head, then its own pattern and ornaments."""
    rng = np.random.default_rng([pose.individual, 11])
    pen = Pen(scale, build.coat)
    coat = build.coat
    middle = 1 - build.depth / 2
    half = build.length / 2
    _legs(pen, build, pose, middle, near=False)
    tail, angle, width = build.tail
    root = (-half - build.depth * 0.28, middle + build.depth * 0.25)
    tip = (root[0] - tail * math.cos(angle), root[1] - tail * math.sin(angle))
    bend = ((root[0] + tip[0]) / 2 - 0.08, (root[1] + tip[1]) / 2 - 0.05)
    pen.stroke([root, bend, tip], [width, width, width * 1.1], shade(coat, 0.85))
    pen.stroke(
        [(-half, middle - 0.02), (-half * 0.3, middle + build.back), (half, middle)],
        [build.depth * 0.94, build.depth * 1.02, build.depth],
        coat,
    )
    _legs(pen, build, pose, middle - build.depth * 0.15, near=True)
    reach, lifted, thick = build.neck
    turn = lifted * (1 - pose.head) - 0.75 * pose.head
    base = (half + build.depth * 0.12, middle + build.depth * 0.18)
    poll = (base[0] + reach * math.cos(turn), base[1] + reach * math.sin(turn))
    pen.stroke([base, poll], [thick * 1.5, thick], coat)
    long, skull, muzzle = build.head
    drop = 0.35 + 0.55 * pose.head
    nose = (poll[0] + long * math.cos(drop), poll[1] - long * math.sin(drop))
    pen.stroke([poll, nose], [skull, muzzle], coat)
    if pattern:
        pattern(pen, rng)
    for side, tone in ((-0.05, 0.7), (0.02, 1.05)):
        pen.blob((poll[0] - 0.04 + side, poll[1] + skull * 0.45), build.ear, shade(coat, tone), angle=1.9)
    if finish:
        finish(pen, poll, nose, rng)
    eye = (poll[0] + long * 0.28 * math.cos(drop), poll[1] - long * 0.28 * math.sin(drop) + skull * 0.16)
    pen.blob(eye, (0.025, 0.025), (15, 12, 10))
    return Figure(pen.picture, eye)


ANTELOPE = Build((0.17, 0.36), (176, 128, 78), 0.85, 0.36, 0.055, (0.5, 1.0, 0.16), (0.3, 0.16, 0.08), (0.2, 1.2, 0.04))
BOAR = Build(
    (0.13, 0.28),
    (78, 66, 58),
    0.95,
    0.58,
    0.07,
    (0.16, 0.1, 0.42),
    (0.46, 0.36, 0.13),
    (0.22, 1.0, 0.03),
    ear=(0.12, 0.06),
    back=0.05,
)
CAT = Build(
    (0.12, 0.26),
    (204, 160, 92),
    1.15,
    0.4,
    0.075,
    (0.26, 0.35, 0.24),
    (0.18, 0.25, 0.15),
    (0.95, 0.35, 0.08),
    ear=(0.07, 0.06),
)
ELEPHANT = Build(
    (0.3, 0.5),
    (124, 120, 118),
    0.78,
    0.6,
    0.13,
    (0.16, 0.35, 0.4),
    (0.26, 0.42, 0.26),
    (0.42, 1.3, 0.035),
    ear=(0.01, 0.01),
)
HARE = Build(
    (0.085, 0.15),
    (150, 124, 92),
    0.62,
    0.66,
    0.07,
    (0.12, 0.7, 0.26),
    (0.24, 0.3, 0.17),
    (0.1, -0.3, 0.14),
    ear=(0.02, 0.02),
    back=0.1,
)
PORCUPINE = Build(
    (0.09, 0.17),
    (62, 54, 50),
    0.85,
    0.62,
    0.07,
    (0.1, -0.1, 0.3),
    (0.3, 0.28, 0.16),
    (0.12, 0.4, 0.1),
    ear=(0.05, 0.04),
)
ZEBRA = Build(
    (0.22, 0.42), (226, 222, 212), 0.95, 0.46, 0.07, (0.46, 0.75, 0.26), (0.38, 0.22, 0.14), (0.45, 1.25, 0.05)
)


def antelope(scale: float, pose: Pose) -> Figure:
    """Slim, tan with a pale belly and a dark flank band, two long curved horns."""

    def pattern(pen: Pen, _: np.random.Generator) -> None:
        pen.pattern(lambda p: p.stroke([(-0.5, 0.66), (0.5, 0.66)], [0.12, 0.12], (0, 0, 0)), (236, 226, 206))
        pen.pattern(lambda p: p.stroke([(-0.45, 0.75), (0.48, 0.77)], [0.07, 0.07], (0, 0, 0)), (74, 48, 30))

    def finish(pen: Pen, poll: Point, _nose: Point, _: np.random.Generator) -> None:
        for shift, tone in ((-0.06, 0.6), (0.0, 1.0)):
            x, y = poll[0] + shift, poll[1] + 0.06
            curve = [(x, y), (x - 0.12, y + 0.2), (x - 0.08, y + 0.38), (x + 0.04, y + 0.5)]
            pen.stroke(curve, [0.07, 0.055, 0.045, 0.02], shade((60, 50, 42), tone))

    return _beast(scale, ANTELOPE, pose, pattern, finish)


def boar(scale: float, pose: Pose) -> Figure:
    """Stocky and dark, with a bristled crest, a long snout and small tusks."""

    def finish(pen: Pen, _poll: Point, nose: Point, rng: np.random.Generator) -> None:
        for step in range(26):
            x = -0.55 + step * 0.047
            y = 1.03 - 0.12 * abs(x)
            pen.stroke([(x, y - 0.08), (x - 0.07, y + 0.06 + 0.07 * float(rng.random()))], [0.03, 0.012], (36, 30, 28))
        pen.blob(nose, (0.055, 0.075), (120, 92, 86))
        pen.stroke([(nose[0] - 0.1, nose[1] - 0.03), (nose[0] - 0.08, nose[1] + 0.09)], [0.035, 0.015], (236, 230, 214))

    return _beast(scale, BOAR, pose, None, finish)


def cat(scale: float, pose: Pose) -> Figure:
    """Long and low, ochre with dark spots, round ears and a long ringed tail."""

    def pattern(pen: Pen, rng: np.random.Generator) -> None:
        spots = rng.random((70, 3))

        def marks(stencil: Pen) -> None:
            for u, v, w in spots:
                radius = 0.028 + 0.022 * float(w)
                centre = (-1.0 + 2.1 * float(u), 0.35 + 0.75 * float(v))
                stencil.blob(centre, (radius * 1.25, radius), (0, 0, 0), angle=0.4)
            for ring in range(6):
                x = -1.0 - 0.13 * ring
                stencil.stroke([(x, 0.4), (x - 0.1, 0.95)], [0.045, 0.045], (0, 0, 0))

        pen.pattern(marks, (58, 40, 26))
        pen.pattern(lambda p: p.stroke([(-0.5, 0.57), (0.55, 0.57)], [0.07, 0.07], (0, 0, 0)), (240, 226, 196))

    return _beast(scale, CAT, pose, pattern)


def elephant(scale: float, pose: Pose) -> Figure:
    """Huge and grey on pillar legs, with a trunk, fan ears and tusks."""

    def finish(pen: Pen, poll: Point, nose: Point, rng: np.random.Generator) -> None:
        sway = 0.12 * math.sin(pose.stride) + 0.05 * float(rng.random())
        trunk = [
            (nose[0] - 0.02, nose[1] + 0.05),
            (nose[0] + 0.08, nose[1] - 0.2),
            (nose[0] + 0.06 + sway, 0.28),
            (nose[0] + 0.16 + sway, 0.14),
        ]
        pen.stroke(trunk, [0.26, 0.17, 0.11, 0.09], shade(ELEPHANT.coat, 0.95))
        tusk = [(nose[0] - 0.02, nose[1] - 0.05), (nose[0] + 0.12, nose[1] - 0.2), (nose[0] + 0.3, nose[1] - 0.2)]
        pen.stroke(tusk, [0.065, 0.055, 0.02], (240, 234, 216))
        pen.blob((poll[0] - 0.16, poll[1] - 0.08), (0.2, 0.3), shade(ELEPHANT.coat, 0.72), angle=-0.15)
        pen.blob((poll[0] - 0.15, poll[1] - 0.06), (0.17, 0.26), shade(ELEPHANT.coat, 0.86), angle=-0.15)

    return _beast(scale, ELEPHANT, pose, None, finish)


def hare(scale: float, pose: Pose) -> Figure:
    """Small and hunched, brown with very long ears and a white tail."""

    def finish(pen: Pen, poll: Point, _nose: Point, _: np.random.Generator) -> None:
        for shift, tone in ((-0.1, 0.75), (0.0, 1.08)):
            root = (poll[0] - 0.05 + shift, poll[1] + 0.08)
            pen.stroke(
                [root, (root[0] - 0.1, root[1] + 0.32), (root[0] - 0.14, root[1] + 0.6)],
                [0.1, 0.13, 0.05],
                shade(HARE.coat, tone),
            )
            pen.blob((root[0] - 0.14, root[1] + 0.57), (0.035, 0.05), (40, 34, 30))
        pen.blob((-0.56, 0.72), (0.12, 0.1), (242, 238, 230))
        pen.blob((-0.28, 0.38), (0.26, 0.3), shade(HARE.coat, 0.9))
        pen.stroke([(-0.4, 0.06), (-0.05, 0.04)], [0.11, 0.08], shade(HARE.coat, 0.85))

    return _beast(scale, HARE, pose, None, finish)


def porcupine(scale: float, pose: Pose) -> Figure:
    """Low and dark under a fan of banded black-and-white spines."""

    def finish(pen: Pen, _poll: Point, _nose: Point, rng: np.random.Generator) -> None:
        for _ in range(90):
            along = float(rng.random())
            x = 0.3 - 1.0 * along
            y = 0.72 + 0.22 * math.sin(math.pi * (0.25 + 0.6 * (1 - along))) - 0.2 * float(rng.random())
            angle = 1.75 + 1.1 * along + 0.35 * (float(rng.random()) - 0.5)
            length = 0.42 + 0.4 * along * float(rng.random()) + 0.1
            dx, dy = math.cos(angle) * length, math.sin(angle) * length
            for start, end, fill in (
                (0.0, 0.4, (44, 38, 36)),
                (0.4, 0.65, (238, 234, 222)),
                (0.65, 0.82, (40, 34, 32)),
                (0.82, 1.0, (240, 236, 226)),
            ):
                pen.stroke([(x + dx * start, y + dy * start), (x + dx * end, y + dy * end)], [0.03, 0.02], fill)

    return _beast(scale, PORCUPINE, pose, None, finish)


def zebra(scale: float, pose: Pose) -> Figure:
    """White with black stripes, upright mane, no horns."""

    def pattern(pen: Pen, rng: np.random.Generator) -> None:
        jitter = rng.random(40)

        def marks(stencil: Pen) -> None:
            for index in range(22):
                x = -0.85 + index * 0.13 + 0.03 * float(jitter[index])
                slant = 0.25 * (x - 0.1)
                stencil.stroke(
                    [(x - slant, 0.48), (x + 0.03, 0.8), (x + slant * 0.6, 2.0)], [0.035, 0.06, 0.055], (0, 0, 0)
                )
            for index in range(8):
                y = 0.04 + index * 0.07
                stencil.stroke([(-1.0, y), (1.0, y + 0.02)], [0.025, 0.025], (0, 0, 0))

        pen.pattern(marks, (34, 30, 30))

    def finish(pen: Pen, poll: Point, nose: Point, _: np.random.Generator) -> None:
        base = (0.52, 1.02)
        for step in range(9):
            t = step / 8
            x, y = base[0] + (poll[0] - base[0]) * t - 0.1, base[1] + (poll[1] - base[1]) * t + 0.06
            pen.stroke([(x + 0.04, y - 0.05), (x - 0.05, y + 0.07)], [0.06, 0.03], (30, 26, 26))
        pen.blob(nose, (0.075, 0.07), (44, 40, 40))

    return _beast(scale, ZEBRA, pose, pattern, finish)


def bird(scale: float, pose: Pose) -> Figure:
    """A tall ground bird: two thin red legs, slate back, white breast, long bill."""
    slate, white, red = (62, 74, 92), (238, 236, 230), (186, 62, 40)
    pen = Pen(scale, slate)
    for phase in (0.0, math.pi):
        swing = pose.reach * 0.8 * math.sin(pose.stride + phase)
        foot = (swing, 0.03)
        pen.stroke([(0.02, 0.6), (-0.04 + swing * 0.5, 0.32), foot], [0.08, 0.05, 0.045], red)
        pen.stroke([(foot[0] - 0.06, 0.02), (foot[0] + 0.14, 0.02)], [0.03, 0.02], red)
    pen.polygon([(-0.25, 0.85), (-0.85, 0.68), (-0.8, 0.56), (-0.2, 0.6)], shade(slate, 0.7))
    pen.blob((0.0, 0.76), (0.42, 0.24), slate, angle=0.25)
    pen.blob((0.2, 0.74), (0.2, 0.2), white)
    pen.blob((-0.12, 0.78), (0.34, 0.14), shade(slate, 0.62), angle=0.15)
    lower = pose.head * 0.75
    crown = (0.55 + 0.12 * pose.head, 1.42 - lower)
    pen.stroke([(0.28, 0.86), (0.36, 1.12 - lower * 0.55), crown], [0.2, 0.12, 0.11], white)
    pen.blob(crown, (0.11, 0.095), slate)
    pen.stroke([(crown[0] + 0.06, crown[1] - 0.01), (crown[0] + 0.42, crown[1] - 0.1)], [0.08, 0.015], red)
    eye = (crown[0] + 0.03, crown[1] + 0.02)
    pen.blob(eye, (0.022, 0.022), (250, 220, 90))
    return Figure(pen.picture, eye)


def human(scale: float, pose: Pose) -> Figure:
    """A person as at camera setup: upright, jacket, hat, sometimes a backpack."""
    rng = np.random.default_rng([pose.individual, 13])
    jackets = ((176, 52, 40), (52, 86, 140), (96, 108, 62), (212, 168, 60))
    jacket = jackets[int(rng.integers(len(jackets)))]
    trousers = ((62, 66, 78), (92, 78, 58), (44, 50, 48))[int(rng.integers(3))]
    skin = ((226, 184, 150), (150, 104, 74), (104, 70, 50))[int(rng.integers(3))]
    pen = Pen(scale, jacket)
    for phase in (0.0, math.pi):
        swing = 0.06 * (1 if phase else -1) + pose.reach * 0.5 * math.sin(pose.stride + phase)
        tone = 1.0 if phase else 0.75
        pen.stroke([(0.0, 0.8), (swing * 0.6 + 0.03, 0.42), (swing, 0.05)], [0.22, 0.16, 0.11], shade(trousers, tone))
        pen.stroke([(swing, 0.04), (swing + 0.12, 0.03)], [0.1, 0.07], (48, 38, 32))
    if rng.random() < 0.5:
        pen.blob((-0.2, 1.15), (0.16, 0.25), (70, 74, 58))
    pen.stroke([(0.0, 0.82), (0.0, 1.1), (0.02, 1.32)], [0.3, 0.32, 0.36], jacket)
    lifted = 0.55 * pose.head
    for side, tone in ((-0.06, 0.7), (0.08, 0.85)):
        swing = 0.2 * math.sin(pose.stride + side * 20)
        hand = (0.12 + side + swing + lifted * 0.6, 0.78 + lifted)
        pen.stroke([(side, 1.32), (0.1 + side, 1.05), hand], [0.15, 0.12, 0.09], shade(jacket, tone))
        pen.blob(hand, (0.055, 0.055), skin)
    pen.stroke([(0.03, 1.42), (0.04, 1.55)], [0.12, 0.12], skin)
    pen.blob((0.05, 1.66), (0.125, 0.15), skin)
    if rng.random() < 0.7:
        pen.blob((0.05, 1.77), (0.14, 0.09), shade(trousers, 1.2))
        pen.stroke([(-0.12, 1.74), (0.24, 1.74)], [0.03, 0.03], shade(trousers, 1.1))
    else:
        pen.blob((0.02, 1.74), (0.14, 0.1), (52, 38, 28))
    return Figure(pen.picture, (0.12, 1.67))


DRAWERS: dict[str, tuple[Callable[[float, Pose], Figure], tuple[float, float]]] = {
    "demo antelope": (antelope, ANTELOPE.stature),
    "demo boar": (boar, BOAR.stature),
    "demo cat": (cat, CAT.stature),
    "demo elephant": (elephant, ELEPHANT.stature),
    "demo hare": (hare, HARE.stature),
    "demo porcupine": (porcupine, PORCUPINE.stature),
    "demo bird": (bird, (0.1, 0.24)),
    "demo zebra": (zebra, ZEBRA.stature),
    "human": (human, (0.22, 0.33)),
}
"""Per species: the function that draws it and its least and greatest shoulder height as a fraction of the frame's."""
