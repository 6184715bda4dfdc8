"""Picks among all blocks, as SVG drawn by hand: a report needs nothing but a browser."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_WIDTH, _HEIGHT = 420, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 12, 42
_TICKS = 5
_POINTS = 1500  # blocks drawn at most
_TAIL = 0.5  # percent of the blocks on either side that may lie beyond the frame


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """Axis of a chart."""

    title: str
    """Name of the axis, for people."""

    blocks: NDArray[np.float64]
    """Value of each block, shape (n,)."""

    picks: NDArray[np.float64]
    """Value of each pick, shape (k,)."""

    logarithmic: bool = False
    """Whether its logarithm is drawn; what has none is left out."""

    @property
    def known(self) -> bool:
        """Whether any block has a value."""
        return bool(np.isfinite(self.drawn(self.blocks)).any())

    def drawn(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values as they are drawn."""
        if not self.logarithmic:
            return values
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(values > 0, np.log10(values), np.nan)

    def ends(self) -> tuple[float, float]:
        """Return the least and the greatest value that the chart shows."""
        blocks, picks = self.drawn(self.blocks), self.drawn(self.picks)
        blocks = blocks[np.isfinite(blocks)]
        picks = picks[np.isfinite(picks)]
        low, high = np.percentile(blocks, [_TAIL, 100 - _TAIL])
        low, high = min(low, *picks, high), max(high, *picks, low)
        room = 0.03 * (high - low) or 0.5
        return float(low - room), float(high + room)


def scatter(across: Axis, up: Axis, names: Sequence[str]) -> str:
    """Return a chart of all blocks (grey) and the picks (orange) as an ``svg`` element.

    Parameters
    ----------
    across, up
        Axes of the chart.
    names
        Names of the picks; each dot leads to the row of that name.
    """
    (left, right), (bottom, top) = across.ends(), up.ends()

    def place(
        x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        px = _LEFT + (across.drawn(x) - left) / (right - left) * (
            _WIDTH - _LEFT - _RIGHT
        )
        py = (
            _HEIGHT
            - _BOTTOM
            - (up.drawn(y) - bottom) / (top - bottom) * (_HEIGHT - _TOP - _BOTTOM)
        )
        inside = (px >= _LEFT) & (px <= _WIDTH - _RIGHT)
        inside &= (py >= _TOP) & (py <= _HEIGHT - _BOTTOM)
        return px, py, inside

    parts = _frame(across, up, (left, right), (bottom, top))
    every = -(-len(across.blocks) // _POINTS)
    x, y, shown = place(across.blocks[::every], up.blocks[::every])
    dots = "".join(
        f"M{a:.1f} {b:.1f}h0" for a, b in zip(x[shown], y[shown], strict=True)
    )
    parts.append(f"<path class='all' d='{dots}'/>")
    x, y, shown = place(across.picks, up.picks)
    for number in np.flatnonzero(shown).tolist():
        name = html.escape(names[number], quote=True)
        parts.append(
            f"<a href='#{name}'><circle cx='{x[number]:.1f}' cy='{y[number]:.1f}' r='3.4'>"
            f"<title>{number + 1}: {name}</title></circle></a>"
        )
    return (
        f"<svg viewBox='0 0 {_WIDTH} {_HEIGHT}' role='img' "
        f"aria-label='{html.escape(up.title)} against {html.escape(across.title)}'>"
        f"{''.join(parts)}</svg>"
    )


def _frame(
    across: Axis, up: Axis, x_ends: tuple[float, float], y_ends: tuple[float, float]
) -> list[str]:
    parts = [
        f"<path class='axis' d='M{_LEFT} {_TOP}V{_HEIGHT - _BOTTOM}H{_WIDTH - _RIGHT}'/>"
    ]
    for tick in _ticks(*x_ends, across):
        x = _LEFT + (tick - x_ends[0]) / (x_ends[1] - x_ends[0]) * (
            _WIDTH - _LEFT - _RIGHT
        )
        parts.append(
            f"<text x='{x:.1f}' y='{_HEIGHT - _BOTTOM + 15}' text-anchor='middle'>"
            f"{_label(tick, across)}</text>"
        )
    for tick in _ticks(*y_ends, up):
        y = (
            _HEIGHT
            - _BOTTOM
            - (tick - y_ends[0]) / (y_ends[1] - y_ends[0]) * (_HEIGHT - _TOP - _BOTTOM)
        )
        parts.append(
            f"<text x='{_LEFT - 6}' y='{y + 4:.1f}' text-anchor='end'>"
            f"{_label(tick, up)}</text>"
        )
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    parts += [
        (
            f"<text class='title' x='{(_LEFT + _WIDTH - _RIGHT) / 2}' y='{_HEIGHT - 8}' "
            f"text-anchor='middle'>{html.escape(across.title)}</text>"
        ),
        (
            f"<text class='title' x='14' y='{middle}' text-anchor='middle' "
            f"transform='rotate(-90 14 {middle})'>{html.escape(up.title)}</text>"
        ),
    ]
    return parts


def _ticks(low: float, high: float, axis: Axis) -> list[float]:
    """Return round values between two ends; of a logarithm, those of round numbers."""
    if axis.logarithmic:
        decades = range(math.floor(low), math.ceil(high) + 1)
        round_ = [
            math.log10(first) + decade for decade in decades for first in (1, 2, 5)
        ]
        inside = [value for value in round_ if low <= value <= high]
        return inside[:: -(-len(inside) // _TICKS)] if inside else []
    step = 10 ** math.floor(math.log10((high - low) / _TICKS))
    while (high - low) / step > _TICKS + 1:
        step *= 2 if round(step / 10 ** math.floor(math.log10(step))) != 2 else 2.5
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _label(value: float, axis: Axis) -> str:
    return f"{10**value if axis.logarithmic else round(value, 9):.4g}"
