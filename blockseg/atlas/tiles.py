"""Values of a volume at scattered places, read tile by tile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.geometry import Roi, Zyx, to_zyx

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from blockseg.io.protocol import Volume

_TILE: Zyx = (64, 64, 64)
_FLAT: Zyx = (1, 512, 2048)  # where storage decodes planes or strips of them


def by_tile(
    volume: Volume, voxels: NDArray[np.int64], *, beyond: int = 0
) -> Iterator[tuple[NDArray[np.int64], NDArray[Any], Zyx]]:
    """Yield the voxels that lie in one tile of a volume, tile after tile.

    Parameters
    ----------
    volume
        What is read.
    voxels
        Inside the volume, (n, 3), (z, y, x).
    beyond
        Voxels that are read beyond the last one of a tile, as far as there are any.

    Yields
    ------
    rows : (k,) int
        Which of ``voxels`` lie in the tile.
    values : (z, y, x)
        The tile, no larger than these need.
    corner : (z, y, x)
        Its first voxel.
    """
    if not len(voxels):
        return
    depth, *_, width = volume.chunk_shape
    edges = _FLAT if depth == 1 and width > 1 else _TILE
    counts = tuple(-(-n // e) for n, e in zip(volume.shape, edges, strict=True))
    tile = np.ravel_multi_index(tuple((voxels // edges).T), counts)
    order = np.argsort(tile, kind="stable")
    starts = np.flatnonzero(np.diff(tile[order], prepend=-1))
    for rows in np.split(order, starts[1:]):
        inside = voxels[rows]
        start = to_zyx(inside.min(axis=0))
        stop = to_zyx(
            min(a + 1 + beyond, n)
            for a, n in zip(inside.max(axis=0).tolist(), volume.shape, strict=True)
        )
        yield rows, volume.read(Roi(start, stop)), start


def values_at(volume: Volume, voxels: NDArray[np.int64]) -> NDArray[Any]:
    """Return a volume's values at voxels, 0 at those that lie beyond it.

    Parameters
    ----------
    volume
        What is read.
    voxels
        (n, 3), (z, y, x).

    Returns
    -------
    (n,) array of the volume's type

    Raises
    ------
    VolumeError
        If the volume cannot be read.
    """
    out = np.zeros(len(voxels), volume.dtype)
    inside = np.flatnonzero(((voxels >= 0) & (voxels < volume.shape)).all(axis=1))
    for rows, values, corner in by_tile(volume, voxels[inside]):
        z, y, x = (voxels[inside[rows]] - corner).T
        out[inside[rows]] = values[z, y, x]
    return out
