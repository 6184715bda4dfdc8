"""Lookup of blocks of a brain in a coarser or finer volume."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from blockseg.core.geometry import Roi
from blockseg.io.masks.overlay import Overlay

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.core.space import Space
    from blockseg.io.protocol import Volume

Faces: TypeAlias = "tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]"
"""First voxels of a lattice's blocks along each axis, and at the end the voxel after the
last."""

_POINTS = 3  # along each axis of a block
_SLAB = 2**25  # voxels read at a time
_ROWS = 10_000  # blocks at a time


def sampled(
    volume: Volume,
    edges: Faces,
    shape: Zyx,
    space: Space,
) -> NDArray[np.generic]:
    """Return a volume's values at 27 places of each block of a lattice.

    Each place takes the voxel that lies over it, as :class:`Overlay` says; beyond the
    volume is 0.

    Parameters
    ----------
    volume
        Volume of any resolution.
    edges
        Faces of the lattice.
    shape, space
        Voxels and place of the brain.

    Returns
    -------
    NDArray
        Shape (blocks, 27), blocks in C order.
    """
    overlay = Overlay.of(volume, shape, space)
    places = [_places(overlay, axis, edge) for axis, edge in enumerate(edges)]
    counts = [len(edge) - 1 for edge in edges]
    found = np.zeros([len(place) for place in places], volume.dtype)
    inside = [np.flatnonzero(place >= 0) for place in places]
    if all(len(i) for i in inside):
        (y0, y1), (x0, x1) = (
            (int(p[i].min()), int(p[i].max()) + 1)
            for p, i in zip(places[1:], inside[1:], strict=True)
        )
        rows = max(_SLAB // ((y1 - y0) * (x1 - x0)), 1)
        planes = places[0][inside[0]]
        for first in range(int(planes.min()), int(planes.max()) + 1, rows):
            mine = inside[0][(planes >= first) & (planes < first + rows)]
            if not len(mine):
                continue
            last = int(places[0][mine].max()) + 1
            slab = volume.read(Roi((first, y0, x0), (last, y1, x1)))
            at = np.ix_(
                places[0][mine] - first,
                places[1][inside[1]] - y0,
                places[2][inside[2]] - x0,
            )
            found[np.ix_(mine, inside[1], inside[2])] = slab[at]
    z, y, x = counts
    n = _POINTS
    blocks = found.reshape(z, n, y, n, x, n).transpose(0, 2, 4, 1, 3, 5)
    return blocks.reshape(z * y * x, n**3)


def commonest(values: NDArray[np.generic]) -> NDArray[np.int64]:
    """Return the commonest value above 0 of each row, 0 where there is none.

    The least of those that are equally common.

    Parameters
    ----------
    values
        Shape (rows, k).
    """
    result = np.zeros(len(values), np.int64)
    for first in range(0, len(values), _ROWS):
        rows = np.sort(np.nan_to_num(values[first : first + _ROWS]).astype(np.int64))
        often = (rows[:, :, None] == rows[:, None, :]).sum(axis=2)
        best = np.argmax(np.where(rows > 0, often, 0), axis=1)
        found = rows[np.arange(len(rows)), best]
        result[first : first + _ROWS] = np.maximum(found, 0)
    return result


def _places(overlay: Overlay, axis: int, edge: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the index in the volume of each place along an axis, -1 outside."""
    share = (np.arange(_POINTS) + 0.5) / _POINTS
    voxel = (edge[:-1, None] + share * np.diff(edge)[:, None] - 0.5).ravel()
    return overlay.index(axis, voxel)
