"""Curves over the steps of a training, and points among others, as SVG by matplotlib."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.reports.charts import BLUE, GREY, ORANGE, drawn, plain_decades

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

_WIDE = 4.9  # inches of a chart beside another
_HIGH = 2.5
_POINTS = 600  # of a curve; more are thinned out
_DOTS = 1500  # of what picks are among
_TAIL = 0.5  # percent of them on either side that may lie beyond the frame


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a chart."""

    name: str
    """In the legend."""

    points: tuple[tuple[float, float], ...]
    """Step and value; values that are no number are left out."""

    colour: str = BLUE
    """As CSS has it."""

    dots: bool = False
    """Whether every point is marked."""


def curves(
    title: str,
    shown: Sequence[Curve],
    *,
    logarithmic: bool = False,
    low: float | None = None,
    high: float | None = None,
) -> str:
    """Return a chart of values over steps; empty where there is no value.

    Parameters
    ----------
    title
        Label of the vertical axis.
    shown
        Curves; those without points are left out.
    logarithmic
        Whether the vertical axis is; values that have no logarithm are left out then.
    low, high
        Ends of the vertical axis; those of the values if not given.
    """
    least = 0.0 if logarithmic else -math.inf
    kept = [
        (curve, _thinned([(x, y) for x, y in curve.points if _within(y, least)]))
        for curve in shown
    ]
    kept = [(curve, points) for curve, points in kept if points]
    if not kept:
        return ""

    def draw(axes: Axes) -> None:
        for curve, points in kept:
            steps, values = zip(*points, strict=True)
            axes.plot(
                steps,
                values,
                color=curve.colour,
                linewidth=1.4,
                marker="o" if curve.dots else None,
                markersize=3,
                label=curve.name,
            )
        if logarithmic:
            axes.set_yscale("log")
            plain_decades(axes.yaxis)
        axes.set_xlim(left=0)
        axes.set_ylim(low, high)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.6g}")
        axes.set_xlabel("step")
        axes.set_ylabel(title)
        axes.grid(axis="y", alpha=0.25)
        if len(kept) > 1:
            axes.legend(
                ncols=len(kept), frameon=False, loc="lower left", bbox_to_anchor=(0, 1)
            )

    return drawn(draw, _HIGH, width=_WIDE, left=0.15, above=0.3)


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """Axis of a chart of points."""

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
        return bool(self._shown(self.blocks).any())

    def _shown(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        least = 0.0 if self.logarithmic else -np.inf
        return np.isfinite(values) & (values > least)

    def ends(self) -> tuple[float, float]:
        """Return the least and the greatest value that the chart shows."""
        blocks = self.blocks[self._shown(self.blocks)]
        picks = self.picks[self._shown(self.picks)]
        low, high = np.percentile(blocks, [_TAIL, 100 - _TAIL])
        low, high = min(low, *picks, high), max(high, *picks, low)
        if self.logarithmic:
            room = (high / low) ** 0.04 if high > low else 1.5
            return float(low / room), float(high * room)
        room = 0.04 * (high - low) or 0.5
        return float(low - room), float(high + room)


def scatter(across: Axis, up: Axis, names: Sequence[str]) -> str:
    """Return a chart of all blocks (grey) and the picks (orange).

    Parameters
    ----------
    across, up
        Axes of the chart.
    names
        Names of the picks; each dot leads to the element of the page with that id.
    """
    every = -(-len(across.blocks) // _DOTS) or 1

    def draw(axes: Axes) -> None:
        axes.plot(
            across.blocks[::every],
            up.blocks[::every],
            linestyle="none",
            marker="o",
            markersize=4,
            markeredgewidth=0,
            color=GREY,
            alpha=0.8,
        )
        dots = axes.scatter(
            across.picks, up.picks, s=18, color=ORANGE, linewidths=0.5, zorder=3
        )
        dots.set_urls([f"#{name}" for name in names])
        sides = ((across, axes.xaxis, "x"), (up, axes.yaxis, "y"))
        for axis, drawn_axis, side in sides:
            if axis.logarithmic:
                axes.set(**{f"{side}scale": "log"})
            axes.set(**{f"{side}lim": axis.ends(), f"{side}label": axis.title})
            if axis.logarithmic:
                plain_decades(drawn_axis)

    return drawn(draw, 3.0, width=_WIDE, left=0.15)


def _within(value: float, least: float) -> bool:
    return math.isfinite(value) and value > least


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return at most so many points; the last one always."""
    return points[::-1][:: -(-len(points) // _POINTS) or 1][::-1]
