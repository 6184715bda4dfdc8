"""Values of a coarser or finer mask at the voxels of a volume."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.io.masks.overlay import Overlay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from blockseg.core.grid import BlockGrid
    from blockseg.core.space import Space
    from blockseg.io.protocol import Volume

_LARGEST = 2**31  # voxels of a mask that is read before a run
_SLAB = 2**25  # mask voxels held at once


class MaskSampler:
    """Says which voxels of a volume lie inside a mask of any resolution.

    Each voxel takes the mask voxel that lies over it, axis by axis, as
    :class:`Overlay` says, and depends on nothing but its own place. What lies beyond
    the mask is outside.

    Parameters
    ----------
    mask
        Non-zero where inside; NaN counts as outside.
    target_shape
        Voxels of the volume along (z, y, x).
    target_space
        Of the volume.
    """

    def __init__(self, mask: Volume, target_shape: Zyx, target_space: Space) -> None:
        self._mask = mask
        overlay = Overlay.of(mask, target_shape, target_space)
        self._places = [
            overlay.index(axis, np.arange(length, dtype=np.int64))
            for axis, length in enumerate(target_shape)
        ]

    def inside(self, roi: Roi) -> NDArray[np.bool_]:
        """Return which voxels of a region lie inside the mask.

        Parameters
        ----------
        roi
            In the volume's voxels, inside the volume.

        Returns
        -------
        bool array of ``roi.shape``

        Raises
        ------
        VolumeError
            If the mask cannot be read.
        """
        out = np.zeros(roi.shape, bool)
        self._fill(roi, roi, out)
        return out

    def occupied(self, grid: BlockGrid) -> NDArray[np.bool_]:
        """Return which blocks write at least one voxel inside the mask.

        A mask of more than 2³¹ voxels is not read: all blocks count as occupied,
        and each finds out by itself.

        Parameters
        ----------
        grid
            Of the volume.

        Returns
        -------
        bool array of ``grid.counts``

        Raises
        ------
        VolumeError
            If the mask cannot be read.
        """
        if math.prod(self._mask.shape) > _LARGEST:
            return np.ones(grid.counts, bool)
        out = np.zeros(grid.counts, bool)
        self._occupy(grid, Roi.whole(grid.counts), out)
        return out

    def _fill(self, roi: Roi, whole: Roi, out: NDArray[np.bool_]) -> None:
        places = [p[s] for p, s in zip(self._places, roi.slices(), strict=True)]
        inside = [np.flatnonzero(p >= 0) for p in places]
        if any(not len(i) for i in inside):
            return
        wanted = [p[i] for p, i in zip(places, inside, strict=True)]
        box = _bounding(wanted)
        if box.size > _SLAB and roi.size > 1:
            for half in _halves(roi, box.shape):
                self._fill(half, whole, out)
            return
        values = _nonzero(self._mask.read(box))
        local = [w - a for w, a in zip(wanted, box.start, strict=True)]
        target = [
            i + a - b for i, a, b in zip(inside, roi.start, whole.start, strict=True)
        ]
        out[np.ix_(*target)] = values[np.ix_(*local)]

    def _occupy(self, grid: BlockGrid, blocks: Roi, out: NDArray[np.bool_]) -> None:
        """Fill in the box ``blocks`` of the grid, in parts that fit in memory."""
        lower = grid.block(blocks.start).write_roi.start
        upper = grid.block(to_zyx(n - 1 for n in blocks.stop)).write_roi.stop
        region = Roi(lower, upper)
        axes = [
            _per_block(places[part], block)
            for places, part, block in zip(
                self._places, region.slices(), grid.block_shape, strict=True
            )
        ]
        if any(not len(hit) for _, _, hit in axes):
            return
        box = _bounding([wanted for wanted, _, _ in axes])
        if box.size > _SLAB:
            if blocks.size > 1:
                for half in _halves(blocks, box.shape):
                    self._occupy(grid, half, out)
            else:
                out[blocks.slices()] = self.inside(region).any()
            return
        values = _nonzero(self._mask.read(box))
        for k, (wanted, starts, _) in enumerate(axes):
            values = values.take(wanted - box.start[k], axis=k)
            values = np.logical_or.reduceat(values, starts, axis=k)
        hits = [hit + a for (_, _, hit), a in zip(axes, blocks.start, strict=True)]
        out[np.ix_(*hits)] = values


def _bounding(places: Sequence[NDArray[np.int64]]) -> Roi:
    return Roi(to_zyx(p.min() for p in places), to_zyx(p.max() + 1 for p in places))


def _halves(box: Roi, weights: Zyx) -> tuple[Roi, Roi]:
    """Cut a box in two along the axis of most weight that can be cut."""
    axes = [k for k in range(3) if box.shape[k] > 1]
    axis = max(axes, key=lambda k: weights[k])
    middle = (box.start[axis] + box.stop[axis]) // 2
    stop, start = list(box.stop), list(box.start)
    stop[axis] = start[axis] = middle
    return Roi(box.start, to_zyx(stop)), Roi(to_zyx(start), box.stop)


def _per_block(
    places: NDArray[np.int64], block: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return which mask indices each block of an axis looks at.

    Returns
    -------
    wanted
        Mask indices, block after block, each one once a block.
    starts
        Where in ``wanted`` each block begins, blocks without any left out.
    hit
        Numbers of the blocks that have any.
    """
    cuts = range(0, len(places), block)
    parts = [np.unique(places[a : a + block]) for a in cuts]
    parts = [part[part >= 0] for part in parts]
    lengths = np.array([len(part) for part in parts])
    hit = np.flatnonzero(lengths)
    starts = np.concatenate([[0], np.cumsum(lengths[hit])[:-1]]) if len(hit) else hit
    return np.concatenate(parts), starts.astype(np.int64), hit


def _nonzero(values: NDArray[Any]) -> NDArray[np.bool_]:
    if values.dtype.kind == "f":
        values = np.nan_to_num(values, nan=0.0)
    return np.asarray(values != 0)
