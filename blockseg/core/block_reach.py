"""Blocks of a grid that read a box of voxels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from blockseg.core.geometry import Roi, to_zyx

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from blockseg.core.grid import BlockGrid


@dataclass(frozen=True, slots=True, eq=False)
class BlockReach:
    """Reach of the blocks of a grid, axis by axis."""

    starts: tuple[NDArray[np.int64], ...]
    """First voxel that blocks read, by their position along each axis."""

    stops: tuple[NDArray[np.int64], ...]
    """Voxel after the last one."""

    @classmethod
    def of(cls, grid: BlockGrid, margin: int = 0) -> Self:
        """Return the reach of a grid's blocks.

        Parameters
        ----------
        grid
            The blocks.
        margin
            Voxels around its read region that a block may read too.
        """
        starts, stops = [], []
        for axis, count in enumerate(grid.counts):
            rois = []
            for position in range(count):
                index = [0, 0, 0]
                index[axis] = position
                rois.append(grid.block(to_zyx(index)).read_roi)
            starts.append(np.array([roi.start[axis] for roi in rois]) - margin)
            stops.append(np.array([roi.stop[axis] for roi in rois]) + margin)
        return cls(tuple(starts), tuple(stops))

    def touching(self, box: Roi) -> tuple[slice, slice, slice]:
        """Return the positions of the blocks that read a voxel of a box."""
        if not box.size:
            return (slice(0, 0),) * 3
        z, y, x = (
            slice(
                int(np.searchsorted(stops, a, "right")),
                int(np.searchsorted(starts, b, "left")),
            )
            for starts, stops, a, b in zip(
                self.starts, self.stops, box.start, box.stop, strict=True
            )
        )
        return z, y, x

    def any_of(self, boxes: Iterable[Roi]) -> NDArray[np.bool_]:
        """Return which blocks (z, y, x) read a voxel of any of the boxes."""
        counts = tuple(len(starts) for starts in self.starts)
        touched = np.zeros(counts, bool)
        for box in boxes:
            touched[self.touching(box)] = True
        return touched
