"""Length of a mask from its 2×2×2 neighbourhoods: the first intrinsic volume.

The first intrinsic volume V₁ of a solid is twice its mean breadth, and equals
(1/π)·∫H dA, H the mean curvature of its surface. A thin tube along a curve has the
length of the curve, whatever its radius; a branch adds its own length; a ball of radius
r has 4r. V₁ is additive, so it is a sum over neighbourhoods of 2×2×2 voxels that does not
depend on how a volume is cut into blocks.

By the formula of Crofton, mean breadth is the mean over all directions of the integral,
over the planes normal to a direction, of the Euler number of the mask in the plane. It is
taken here over the 13 directions between neighbouring voxels' lattice planes, each
weighted by the solid angle that is nearest to it (Legland, Kiêu and Devaux 2007, "Computation
of Minkowski measures on 2D and 3D binary images", Image Analysis & Stereology 26; Ohser
and Schladitz 2009, "3D Images of Materials Structures", chapter 5).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.space import Vector

QUANTUM = 2.0**-20
"""Unit of the whole numbers that lengths are summed in, in least edges of a voxel."""

CORNERS = tuple(product((0, 1), repeat=3))
"""Offsets (z, y, x) of the voxels of a neighbourhood; bit k of its code is voxel k."""


def neighbourhood_codes(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return which voxels of each 2×2×2 neighbourhood are foreground.

    Parameters
    ----------
    mask
        Axes (z, y, x), at least two voxels along each.

    Returns
    -------
    NDArray[np.uint8]
        A bit a voxel, in the order of :data:`CORNERS`; one voxel shorter on each axis.
    """
    codes = mask.view(np.uint8)
    codes = codes[:, :, :-1] | codes[:, :, 1:] << np.uint8(1)
    codes = codes[:, :-1] | codes[:, 1:] << np.uint8(2)
    return codes[:-1] | codes[1:] << np.uint8(4)


@lru_cache(maxsize=8)
def length_weights(voxel_size: Vector) -> NDArray[np.int64]:
    """Return the length that each code of a neighbourhood stands for.

    Parameters
    ----------
    voxel_size
        Edge lengths along (z, y, x), in any unit.

    Returns
    -------
    NDArray[np.int64]
        256 lengths, in :func:`length_unit`.
    """
    bits = (np.arange(256)[:, None] >> np.arange(8) & 1).astype(bool)
    corner = {offset: bits[:, k] for k, offset in enumerate(CORNERS)}
    spacing, weight = _directions(voxel_size)
    total = np.zeros(256)
    for normal, step, share in zip(_NORMALS, spacing, weight, strict=True):
        total += 2 * share * step * _euler(corner, normal)
    return np.rint(total / length_unit(voxel_size)).astype(np.int64)


def length_unit(voxel_size: Vector) -> float:
    """Return the unit of :func:`length_weights`, in that of the voxel size."""
    return min(voxel_size) * QUANTUM


_NORMALS = tuple(
    (z, y, x)
    for z, y, x in product((-1, 0, 1), repeat=3)
    if (z, y, x) > (0, 0, 0)  # one of each pair of opposite ones
)
"""Lattice planes: those through the voxels whose product with the normal is the same."""


def _directions(voxel_size: Vector) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return distance between neighbouring planes, and share of the sphere, by normal."""
    from scipy.spatial import SphericalVoronoi

    gradients = np.array(_NORMALS) / np.array(voxel_size)
    lengths = np.linalg.norm(gradients, axis=1)
    units = gradients / lengths[:, None]
    areas = SphericalVoronoi(np.concatenate([units, -units])).calculate_areas()
    shares = areas[: len(units)] / areas[: len(units)].sum()
    return 1 / lengths, shares


def _euler(
    corner: dict[tuple[int, ...], NDArray[np.bool_]], normal: tuple[int, int, int]
) -> NDArray[np.float64]:
    """Return the share of a neighbourhood in the Euler numbers of planes of a normal."""
    nonzero = [axis for axis in range(3) if normal[axis]]
    if len(nonzero) == 3:
        return sum(
            (_triangle(corner, normal, level) for level in (1, 2)), np.zeros(256)
        )
    if len(nonzero) == 2:
        return _quad(corner, _diagonal(normal, nonzero), 1.0)
    axis = nonzero[0]
    total = np.zeros(256)
    for side in (0, 1):  # each square lies in two neighbourhoods
        square = [offset for offset in CORNERS if offset[axis] == side]
        total += _quad(corner, square, 0.5)
    return total


def _diagonal(
    normal: tuple[int, int, int], nonzero: list[int]
) -> list[tuple[int, ...]]:
    """Return the rectangle of a neighbourhood that lies in a plane of the normal."""
    a, b = nonzero
    same = normal[a] != normal[b]
    return [offset for offset in CORNERS if (offset[a] == offset[b]) is same]


def _quad(
    corner: dict[tuple[int, ...], NDArray[np.bool_]],
    square: list[tuple[int, ...]],
    share: float,
) -> NDArray[np.float64]:
    """Return (Q₁ - Q₃ - 2·Q_D) / 4 of one rectangle, 8-connected (Gray 1971)."""
    points = [corner[offset] for offset in square]
    count = np.sum(points, axis=0)
    # In the order of CORNERS the first and the last lie across from each other.
    across = (count == 2) & (points[0] == points[3])
    value = (count == 1) * 1.0 - (count == 3) - 2.0 * across
    part: NDArray[np.float64] = share * value / 4
    return part


def _triangle(
    corner: dict[tuple[int, ...], NDArray[np.bool_]],
    normal: tuple[int, int, int],
    level: int,
) -> NDArray[np.float64]:
    """Return what one triangle of a plane adds: V/6 - E/2 + F."""
    points = [
        corner[offset]
        for offset in CORNERS
        if sum(o if n > 0 else 1 - o for o, n in zip(offset, normal, strict=True))
        == level
    ]
    count = np.sum(points, axis=0)
    value: NDArray[np.float64] = ((count == 1) * 1.0 - (count == 2)) / 6
    return value
