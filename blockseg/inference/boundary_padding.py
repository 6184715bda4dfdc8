"""Boundary padding: where it does, at a volume's own end, for a mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from blockseg.core.geometry import Zyx
    from blockseg.inference.backends.protocol import AxisMasks

__all__ = ["BoundaryPadding", "boundary_padding"]


@dataclass(frozen=True, slots=True)
class BoundaryPadding:
    """The part of a window inside the volume, and which of its sides are the volume's.

    A convolution pads with zeros at a boundary, as in one pass over the whole volume, and
    uses up its margin on all other sides. So nothing beyond the volume is computed.
    """

    start: Zyx
    """First voxel inside the volume, in the window: 0, or its reach at a boundary."""

    stop: Zyx
    """First voxel after it: the window's length, or less at a boundary."""

    low: tuple[bool, bool, bool]
    """Whether there is a boundary at the start of z, y, x."""

    high: tuple[bool, bool, bool]
    """Whether there is a boundary at the stop."""

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Part of the window to infer."""
        z, y, x = map(slice, self.start, self.stop)
        return z, y, x

    @property
    def shape(self) -> Zyx:
        """Its voxels along (z, y, x)."""
        z, y, x = (b - a for a, b in zip(self.start, self.stop, strict=True))
        return z, y, x


def boundary_padding(
    inside: AxisMasks | None, core: Zyx, reach: int
) -> BoundaryPadding | None:
    """Return a window's padding; None if the volume ends in the margin around its core.

    Parameters
    ----------
    inside
        As :meth:`~blockseg.inference.backends.protocol.Backend.infer` takes it.
    core
        Voxels along (z, y, x) that the window writes.
    reach
        Voxels more that it sees on every side.
    """
    starts, stops = [], []
    for axis, n in enumerate(core):
        length = n + 2 * reach
        start, stop = 0, length
        if inside is not None:
            start = int(np.argmax(inside[axis] > 0))
            stop = start + int(np.count_nonzero(inside[axis]))
        if start not in (0, reach) or reach + n < stop < length:
            return None
        starts.append(start)
        stops.append(stop)
    low = [start > 0 for start in starts]
    high = [stop <= reach + n for stop, n in zip(stops, core, strict=True)]
    return BoundaryPadding(
        (starts[0], starts[1], starts[2]),
        (stops[0], stops[1], stops[2]),
        (low[0], low[1], low[2]),
        (high[0], high[1], high[2]),
    )
