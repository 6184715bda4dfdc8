"""How much a cube looks as if it held a neurite: a number much cheaper than the network.

The image is normalised, averaged over 2×2×2 voxels, and in each tile of 16×16×16 voxels
the tile's median is subtracted. The evidence of a cube is the fourth largest value of it:
a thin neurite of a few voxels' length suffices, while a single hot voxel, a slope of light or
a step between stitched tiles do not. It needs nothing from outside of the cube.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from blockseg.core.cubes import EDGE, cube_box, voxels_of
from blockseg.core.geometry import Roi, to_zyx
from blockseg.model.normalization import normalize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.core.specs import Affine, AffineField

__all__ = ["TILE", "evidence", "surroundings"]

TILE = 16
"""Edge of a tile, in voxels: above a neurite's width, below that of background."""

_POOLED = np.float32(8)  # voxels added up
_RANK = 4  # of the value taken, the largest being the first


def evidence(
    raw: NDArray[Any],
    roi: Roi,
    affine: Affine | AffineField,
    volume_shape: Zyx,
    edge: int = EDGE,
) -> NDArray[np.float32]:
    """Return the evidence of each cube that ``roi`` is made of.

    A function of a cube's own voxels and of their places, to the last bit. Cubes at the
    volume's far ends are filled up with their outermost voxels.

    Parameters
    ----------
    raw
        Grey levels (z, y, x) of ``roi``, in the source's dtype; NaN and infinities
        count as background.
    roi
        Whole cubes, as far as the volume goes.
    affine
        Normalisation of the run.
    volume_shape
        Voxels along (z, y, x).
    edge
        Of a cube, in voxels; a multiple of 16.

    Returns
    -------
    float32 array, one value a cube (z, y, x), in the units of the normalised image
    """
    cubes = cube_box(roi, edge)
    found = np.empty(cubes.shape, np.float32)
    for index in np.ndindex(cubes.shape):
        place = to_zyx(i + a for i, a in zip(index, cubes.start, strict=True))
        box = Roi(place, to_zyx(n + 1 for n in place))
        cube = voxels_of(box, volume_shape, edge)
        part = raw[cube.slices(roi.start)]
        above = _above(_filled(part, cube, affine, edge)).ravel()
        found[index] = np.partition(above, above.size - _RANK)[-_RANK] / _POOLED
    return found


def surroundings(
    raw: NDArray[Any],
    cube: Roi,
    affine: Affine | AffineField,
    edge: int = EDGE,
) -> NDArray[np.float32]:
    """Return the evidence of each tile of a cube with the tiles beside it in the cube.

    Never more than that of the cube as a whole.

    Parameters
    ----------
    raw, affine, edge
        As for :func:`evidence`.
    cube
        One cube, as far as the volume goes.

    Returns
    -------
    float32 array, one value for each 16×16×16 voxels of the cube (z, y, x)
    """
    tiles = _above(_filled(raw, cube, affine, edge))
    n = edge // TILE
    found = np.partition(tiles, tiles.shape[1] - _RANK, axis=1)[:, -_RANK] / _POOLED
    padded = np.pad(found.reshape(n, n, n), 1, constant_values=-np.inf)
    return np.asarray(sliding_window_view(padded, (3, 3, 3)).max(axis=(3, 4, 5)))


def _filled(
    raw: NDArray[Any], cube: Roi, affine: Affine | AffineField, edge: int
) -> NDArray[np.float32]:
    """Normalise a cube, and fill it up where the volume ends."""
    part = np.empty(cube.shape, np.float32)
    normalize(raw, affine, part, cube.start)
    missing = [(0, edge - n) for n in cube.shape]
    return np.pad(part, missing, mode="edge") if any(map(max, missing)) else part


def _above(cube: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the sums of 2×2×2 voxels above their median, a row a tile."""
    halves = _halved(_halved(_halved(cube, 0), 1), 2)  # whole planes first: faster
    n, t = len(cube) // TILE, TILE // 2
    tiles = halves.reshape(n, t, n, t, n, t).transpose(0, 2, 4, 1, 3, 5)
    tiles = tiles.reshape(n**3, t**3)
    level = np.partition(tiles, t**3 // 2, axis=1)[:, t**3 // 2]
    above: NDArray[np.float32] = tiles - level[:, None]
    return above


def _halved(values: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Add up pairs of neighbours along an axis."""
    even, odd = [slice(None)] * 3, [slice(None)] * 3
    even[axis], odd[axis] = slice(0, None, 2), slice(1, None, 2)
    added: NDArray[np.float32] = values[tuple(even)] + values[tuple(odd)]
    return added
