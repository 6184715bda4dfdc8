"""Part of a region that can be looked at without decoding much more than it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from blockseg.core.geometry import Roi, ceil_to, floor_to, to_zyx

if TYPE_CHECKING:
    from blockseg.core.geometry import Zyx


def chunks_of(roi: Roi, chunk: Zyx) -> Roi:
    """Return the positions of the chunks that a region touches."""
    return Roi(
        to_zyx(a // c for a, c in zip(roi.start, chunk, strict=True)),
        to_zyx(-(-b // c) for b, c in zip(roi.stop, chunk, strict=True)),
    )


def affordable(roi: Roi, chunk: Zyx, most: int) -> Roi:
    """Return as much of a region as lies in chunks of at most ``most`` voxels together.

    Along the axes with the most chunks, only what lies in the middle one is left; at
    least that much is returned, however large one chunk is.

    Parameters
    ----------
    roi
        Not empty.
    chunk
        Voxels that storage decodes as a whole.
    most
        Voxels that may be decoded.
    """
    start, stop = list(roi.start), list(roi.stop)

    def decoded(axis: int) -> int:
        return ceil_to(stop[axis], chunk[axis]) - floor_to(start[axis], chunk[axis])

    for axis in sorted(range(3), key=lambda axis: chunk[axis]):
        if math.prod(map(decoded, range(3))) <= most:
            break
        first = floor_to((start[axis] + stop[axis]) // 2, chunk[axis])
        start[axis] = max(start[axis], first)
        stop[axis] = min(stop[axis], first + chunk[axis])
    return Roi(to_zyx(start), to_zyx(stop))
