"""Activity clocks: a species' detections around 24 hours, the von Mises kernel density over them; and two curves."""

import math
from collections.abc import Sequence

from ctwatch.activity import GRID, Accumulation
from ctwatch.page.html import Markup, element, number, plain, svg

_SIZE, _INNER, _OUTER, _RING = 216.0, 13.0, 80.0, 84.0
_CENTRE = _SIZE / 2
_TICK_MINUTES = 5


def clock(name: str, hours: Sequence[float], density: Sequence[float] | None) -> Markup:
    """Draw the clock of a species, midnight at the top; without a density only what was seen and that it is too few.

    `hours` are 0..24 from midnight, `density` is given at `GRID` times evenly from midnight; radius is density, each
    clock to its own greatest.
    """
    parts = [element("circle", cx=_CENTRE, cy=_CENTRE, r=radius, css="guide") for radius in (_INNER, _OUTER)]
    for hour in range(24):
        long = hour % 6 == 0
        (x1, y1), (x2, y2) = _at(hour, _INNER if long else _OUTER - 3), _at(hour, _OUTER)
        parts.append(element("path", d=f"M{plain(x1)} {plain(y1)}L{plain(x2)} {plain(y2)}", css="hour"))
    for hour in (0, 6, 12, 18):
        x, y = _at(hour, _RING + 14)
        parts.append(element("text", f"{hour} h" if hour == 0 else str(hour), x=x, y=y + 4, css="hour"))
    told = f"n = {number(len(hours))}"
    if density is not None:
        most = max(density)
        points = [_at(24 * at / GRID, _INNER + (_OUTER - _INNER) * value / most) for at, value in enumerate(density)]
        outline = "L".join(f"{plain(x)} {plain(y)}" for x, y in points)
        hole = f"a{_INNER:g} {_INNER:g} 0 1 0"
        inner = f"M{_CENTRE - _INNER:g} {_CENTRE:g}{hole} {2 * _INNER:g} 0{hole} {-2 * _INNER:g} 0Z"
        parts.append(element("path", d=f"M{outline}Z{inner}", css="density", fill_rule="evenodd"))
        peak = 24 * max(range(GRID), key=lambda at: (density[at], -at)) / GRID
        says = f"{told} independent detections; most active around {_hour(peak)}."
    else:
        says = f"{told} independent detections: too few for a curve."
    parts.append(element("path", d=_seen(hours), css="seen" if density is not None else "seen rare"))
    return svg(f"Activity of {name}", says, parts, css="clock", viewBox=f"0 0 {_SIZE:g} {_SIZE:g}")


def accumulation(curve: Accumulation) -> Markup:
    """Draw the species accumulation curve with its 95 % band; it needs at least one sampling unit."""
    wide, tall, left, right, top, bottom = 520.0, 280.0, 40.0, 14.0, 14.0, 42.0
    most = float(curve.units[-1])
    highest = max(1.0, float((curve.species + 1.96 * curve.sd).max()), float(curve.chao2 or 0))
    step = next(size for size in (1, 2, 5, 10, 20, 50, 100, 200, 500, 10**9) if highest / size <= 6)
    ceiling = math.ceil(highest / step) * step

    def at(units: float, species: float) -> str:
        x = left + (wide - left - right) * (units / most)
        y = tall - bottom - (tall - top - bottom) * max(0.0, species) / ceiling
        return f"{plain(x)} {plain(y)}"

    parts = []
    for level in range(0, ceiling + 1, step):
        y = float(at(0, level).split()[1])
        parts.append(element("path", d=f"M{left:g} {plain(y)}H{wide - right:g}", css="guide"))
        parts.append(element("text", str(level), x=left - 7, y=y + 4, css="level"))
    for part in _round_parts(most):
        x = float(at(part, 0).split()[0])
        parts.append(element("text", number(part), x=x, y=tall - bottom + 18, css="units"))
    parts.append(element("text", "location-days with effort", x=(left + wide - right) / 2, y=tall - 6, css="axis"))
    units, mean, band = curve.units.tolist(), curve.species.tolist(), (1.96 * curve.sd).tolist()
    upper = [at(unit, value + half) for unit, value, half in zip(units, mean, band, strict=True)]
    lower = [at(unit, value - half) for unit, value, half in zip(units, mean, band, strict=True)]
    parts.append(element("path", d=f"M{'L'.join(upper + lower[::-1])}Z", css="band"))
    if curve.chao2 is not None and curve.observed:
        height = at(0, curve.chao2).split()[1]
        parts.append(element("path", d=f"M{left:g} {height}H{wide - right:g}", css="chao"))
    line = [at(0, 0), *(at(unit, value) for unit, value in zip(units, mean, strict=True))]
    parts.append(element("path", d=f"M{'L'.join(line)}", css="mean"))
    says = f"{curve.observed} species in {number(most)} location-days."
    return svg("Species accumulation curve", says, parts, css="curve", viewBox=f"0 0 {wide:g} {tall:g}")


def _round_parts(most: float) -> list[int]:
    """Round numbers from 0 to at most `most`, four to seven of them where there are so many."""
    power = 10 ** max(0, math.floor(math.log10(max(1.0, most))) - 1)
    step = next(part * power for part in (1, 2, 5, 10, 20, 50, 100) if most / (part * power) <= 6)
    return list(range(0, int(most) + 1, step))


def _at(hour: float, radius: float) -> tuple[float, float]:
    angle = hour / 24 * 2 * math.pi
    return _CENTRE + radius * math.sin(angle), _CENTRE - radius * math.cos(angle)


def _seen(hours: Sequence[float]) -> str:
    """Ticks of the times seen, to five minutes: more could not be told apart."""
    path = ""
    for slot in sorted({round(hour * 60 / _TICK_MINUTES) for hour in hours}):
        (x1, y1), (x2, y2) = _at(slot * _TICK_MINUTES / 60, _RING - 2), _at(slot * _TICK_MINUTES / 60, _RING + 4)
        path += f"M{plain(x1)} {plain(y1)}L{plain(x2)} {plain(y2)}"
    return path


def _hour(hour: float) -> str:
    minutes = round(hour * 60) % 1440
    return f"{minutes // 60:02}:{minutes % 60:02}"
