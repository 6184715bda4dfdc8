"""Map of a brain from above, coarse enough to show where a pick lies."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import BlocksegError
from blockseg.core.geometry import Roi
from blockseg.dhpr.cubes import CUBE
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.io.output.picture import png

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.dhpr.selection.table import BlockTable
    from blockseg.io.stores.location import Location

_DARK, _WHITE = 60, 230
_SIDE = 256  # pixels at most


@dataclass(frozen=True, slots=True)
class BrainMap:
    """A picture of a region, seen along z."""

    png: bytes
    """Grey levels."""

    start: tuple[int, int]
    """First voxel along (y, x)."""

    extent: tuple[int, int]
    """Voxels along (y, x)."""


def brain_map(out: Location, region: Roi, table: BlockTable) -> BrainMap:
    """Draw the background's level, which is that of the tissue; black where none is.

    From the images of cubes in ``OUT/blocks`` if they are there, else from the blocks.

    Parameters
    ----------
    out
        Output of ``run`` or ``metrics``.
    region
        Region that was measured, in voxels.
    table
        Blocks of the region.
    """
    around = region.aligned(CUBE)
    plane = None
    with contextlib.suppress(BlocksegError):
        level = open_volume(find(str(out / "blocks" / "level")))
        cubes = level.read(Roi.whole(level.shape)).astype(np.float64)
        plane = np.fmax.reduce(cubes, axis=0)
    if plane is None:
        around, plane = region, _from_blocks(region, table)
    step = -(-max(plane.shape) // _SIDE)
    (_, *start), (_, *extent) = around.start, around.shape
    grey = _grey(plane[::step, ::step])
    return BrainMap(png(grey), (start[0], start[1]), (extent[0], extent[1]))


def _from_blocks(region: Roi, table: BlockTable) -> NDArray[np.float64]:
    (_, y0, x0), (_, high, wide) = region.start, region.shape
    plane = np.full((-(-high // CUBE), -(-wide // CUBE)), np.nan)
    for row in np.flatnonzero(np.isfinite(table.level)):
        (_, a, b), (_, c, d) = table.start[row], table.stop[row]
        part = plane[
            (a - y0) // CUBE : -(-(c - y0) // CUBE),
            (b - x0) // CUBE : -(-(d - x0) // CUBE),
        ]
        np.fmax(part, table.level[row], out=part)
    return plane


def _grey(plane: NDArray[np.float64]) -> NDArray[np.uint8]:
    known = np.isfinite(plane)
    if not known.any():
        return np.zeros(plane.shape, np.uint8)
    low, high = np.percentile(plane[known], [2, 98])
    share = np.clip((plane - low) / max(float(high - low), 1e-9), 0, 1)
    grey = np.where(known, _DARK + (_WHITE - _DARK) * np.nan_to_num(share), 0)
    return grey.astype(np.uint8)
