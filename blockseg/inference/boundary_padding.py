"""Boundary padding: where it does, at a volume's own end, for a mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.geometry import Roi, to_zyx

if TYPE_CHECKING:
    from blockseg.core.geometry import Zyx
    from blockseg.inference.backends.protocol import AxisMasks


@dataclass(frozen=True, slots=True)
class BoundaryPadding:
    """The part of a window inside the volume, and which of its sides are the volume's.

    A convolution pads with zeros at a boundary, as in one pass over the whole volume, and
    uses up its margin on all other sides. So nothing beyond the volume is computed.
    """

    roi: Roi
    """The part, in the window."""

    low: tuple[bool, bool, bool]
    """Whether there is a boundary at its start along z, y, x."""

    high: tuple[bool, bool, bool]
    """Whether there is one at its stop."""


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
    low_z, low_y, low_x = (start > 0 for start in starts)
    z, y, x = (stop <= reach + n for stop, n in zip(stops, core, strict=True))
    roi = Roi(to_zyx(starts), to_zyx(stops))
    return BoundaryPadding(roi, (low_z, low_y, low_x), (z, y, x))
