"""Curves as SVG, drawn by hand: a report needs nothing but a browser."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_WIDTH, _HEIGHT = 560, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 30, 36
_TICKS = 5
_POINTS = 600  # more are thinned out


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a chart."""

    name: str
    """In the legend."""

    points: tuple[tuple[float, float], ...]
    """Step and value."""

    colour: str
    """As CSS has it."""

    dots: bool = False
    """Mark every point."""


def chart(
    title: str,
    curves: Sequence[Curve],
    *,
    logarithmic: bool = False,
    low: float | None = None,
    high: float | None = None,
) -> str:
    """Return a chart of values over steps as an ``svg`` element.

    Parameters
    ----------
    title
        Above it.
    curves
        At least one; those without points are left out.
    logarithmic
        Draw the logarithm of the values; those that have none are left out.
    low, high
        Ends of the vertical axis; those of the values if not given.
    """
    kept = [(c, _kept(c.points, logarithmic=logarithmic)) for c in curves]
    kept = [(curve, points) for curve, points in kept if points]
    values = [y for _, points in kept for _, y in points]
    steps = [x for _, points in kept for x, _ in points]
    if not values:
        return _frame(title, ["<text x='20' y='60'>nothing yet</text>"])
    bottom, top = _ends(values, low, high, logarithmic=logarithmic)
    right = max(max(steps), 1.0)
    parts = _grid(bottom, top, right, logarithmic=logarithmic)
    for place, (curve, points) in enumerate(kept):
        spots = [(_x(x, right), _y(y, bottom, top)) for x, y in points]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        parts.append(
            f"<polyline points='{line}' fill='none' stroke='{curve.colour}' "
            "stroke-width='1.8' stroke-linejoin='round'/>"
        )
        if curve.dots:
            parts += [
                f"<circle cx='{x:.1f}' cy='{y:.1f}' r='2.6' fill='{curve.colour}'/>"
                for x, y in spots
            ]
        x = _WIDTH - _RIGHT - 130 * (len(kept) - place)
        parts.append(
            f"<line x1='{x}' x2='{x + 18}' y1='15' y2='15' stroke='{curve.colour}' "
            f"stroke-width='3'/><text x='{x + 23}' y='19'>{html.escape(curve.name)}</text>"
        )
    return _frame(title, parts)


def _kept(
    points: Sequence[tuple[float, float]], *, logarithmic: bool
) -> list[tuple[float, float]]:
    found = [(x, y) for x, y in points if math.isfinite(y)]
    if logarithmic:
        found = [(x, math.log10(y)) for x, y in found if y > 0]
    every = -(-len(found) // _POINTS)
    # The last one is always shown.
    return found[::-1][:: max(every, 1)][::-1]


def _ends(
    values: Sequence[float],
    low: float | None,
    high: float | None,
    *,
    logarithmic: bool,
) -> tuple[float, float]:
    bottom = min(values) if low is None else low
    top = max(values) if high is None else high
    if logarithmic or top - bottom < 1e-12:
        bottom, top = bottom - 0.05, top + 0.05
    return bottom, top


def _grid(bottom: float, top: float, right: float, *, logarithmic: bool) -> list[str]:
    parts = []
    ticks = _decades(bottom, top) if logarithmic else _ticks(bottom, top)
    for tick in ticks:
        y = _y(tick, bottom, top)
        label = f"{10**tick if logarithmic else tick:.3g}"
        parts.append(
            f"<line x1='{_LEFT}' x2='{_WIDTH - _RIGHT}' y1='{y:.1f}' y2='{y:.1f}' "
            f"stroke='#ddd'/><text x='{_LEFT - 6}' y='{y + 4:.1f}' "
            f"text-anchor='end'>{label}</text>"
        )
    for tick in _ticks(0, right):
        x = _x(tick, right)
        parts.append(
            f"<line x1='{x:.1f}' x2='{x:.1f}' y1='{_HEIGHT - _BOTTOM}' "
            f"y2='{_HEIGHT - _BOTTOM + 4}' stroke='#888'/><text x='{x:.1f}' "
            f"y='{_HEIGHT - _BOTTOM + 18}' text-anchor='middle'>{tick:,.6g}</text>"
        )
    parts.append(
        f"<line x1='{_LEFT}' x2='{_WIDTH - _RIGHT}' y1='{_HEIGHT - _BOTTOM}' "
        f"y2='{_HEIGHT - _BOTTOM}' stroke='#888'/>"
    )
    return parts


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two: 1, 2 or 5 times a power of ten apart."""
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    gap = next(n * power for n in (1, 2, 5, 10) if n * power >= rough)
    first = math.ceil(low / gap - 1e-9)
    last = math.floor(high / gap + 1e-9)
    return [n * gap for n in range(first, last + 1)]


def _decades(low: float, high: float) -> list[float]:
    """Return the logarithms of round numbers between two logarithms."""
    powers = range(math.floor(low), math.ceil(high) + 1)
    every = [math.log10(n) + p for p in powers for n in (1, 2, 5)]
    found = [tick for tick in every if low <= tick <= high]
    if len(found) > 2 * _TICKS:
        found = [tick for tick in found if abs(tick - round(tick)) < 1e-9]
    if len(found) < 2:
        found = [math.log10(n) for n in _ticks(10**low, 10**high) if n > 0]
    return found


def _x(step: float, right: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * step / right


def _y(value: float, bottom: float, top: float) -> float:
    share = (value - bottom) / (top - bottom)
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * min(max(share, 0), 1)


def _frame(title: str, parts: Sequence[str]) -> str:
    return (
        f"<svg viewBox='0 0 {_WIDTH} {_HEIGHT}' role='img' "
        f"aria-label='{html.escape(title, quote=True)}'>"
        f"<text x='{_LEFT - 44}' y='19' class='title'>{html.escape(title)}</text>"
        + "".join(parts)
        + "</svg>"
    )
