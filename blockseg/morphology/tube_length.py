"""Length of a mask from its 2×2×2 neighbourhoods: the first intrinsic volume.

The first intrinsic volume V₁ of a solid is twice its mean breadth, and (1/π)·∫H dA, with H
the mean curvature of its surface. A thin tube along a curve has the length of the curve,
whatever its radius; a branch adds its own length; a ball of radius r has 4r. V₁ is additive,
so it is a sum over neighbourhoods of 2×2×2 voxels that does not depend on how a volume is
cut into blocks.

The solid is here the union of the convex hulls of the foreground's voxel centres in each
neighbourhood: what 26-connectivity joins is joined, a straight chain of voxels is a line
of exactly its length. Hulls of adjacent neighbourhoods share what lies in the face between
them, so each face counts against them, and each edge for them again (inclusion and
exclusion). V₁ of a convex polyhedron is Σ l·θ / 2π over its edges, with their lengths l and
exterior angles θ (Schneider and Weil 2008, "Stochastic and Integral Geometry", chapter 14).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations, product
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
    # NumPy has vector instructions to multiply bytes, and none to shift them.
    codes = mask.view(np.uint8)
    codes = codes[:, :, :-1] | codes[:, :, 1:] * np.uint8(2)
    codes = codes[:, :-1] | codes[:, 1:] * np.uint8(4)
    return codes[:-1] | codes[1:] * np.uint8(16)


def flat_codes(
    mask: NDArray[np.bool_], beyond: tuple[bool, bool, bool]
) -> NDArray[np.uint8]:
    """Return the same by the number of the first voxel, also of those that overhang.

    Parameters
    ----------
    mask
        Axes (z, y, x).
    beyond
        Whether a neighbourhood may overhang the mask along each axis, where it is then
        empty; if not, its code is 0.

    Returns
    -------
    NDArray[np.uint8]
        (voxels,), in C order.
    """
    codes = mask.astype(np.uint8)
    codes[:, :, :-1] |= codes[:, :, 1:] * np.uint8(2)
    codes[:, :-1] |= codes[:, 1:] * np.uint8(4)
    codes[:-1] |= codes[1:] * np.uint8(16)
    for axis, overhangs in enumerate(beyond):
        if not overhangs:
            np.moveaxis(codes, axis, 0)[-1] = 0
    return codes.ravel()


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
    corners = np.array(CORNERS)
    codes = np.arange(256)
    breadth = np.array(
        [
            _breadth(corners[[bool(code >> k & 1) for k in range(8)]] * voxel_size)
            for code in codes
        ]
    )

    weights = breadth.copy()
    for axis, side in product(range(3), (0, 1)):  # a face has two neighbourhoods
        face = _bits(corners[:, axis] == side)
        weights -= breadth[codes & face] / 2
    for (a, b), sides in product(combinations(range(3), 2), product((0, 1), (0, 1))):
        edge = _bits((corners[:, a] == sides[0]) & (corners[:, b] == sides[1]))
        weights += breadth[codes & edge] / 4  # and an edge four
    whole: NDArray[np.int64] = np.rint(weights / length_unit(voxel_size)).astype(
        np.int64
    )
    return whole


def _bits(chosen: NDArray[np.bool_]) -> int:
    return sum(1 << k for k in np.flatnonzero(chosen).tolist())


def length_unit(voxel_size: Vector) -> float:
    """Return the unit of :func:`length_weights`, in that of the voxel size."""
    return min(voxel_size) * QUANTUM


def _breadth(points: NDArray[np.float64]) -> float:
    """Return V₁ of the convex hull of some points of a box's corners."""
    if len(points) < 2:
        return 0.0
    from scipy.spatial import ConvexHull

    steps = points[1:] - points[0]
    flat = np.linalg.matrix_rank(steps)
    if flat == 1:  # corners of a box: two points
        return float(np.linalg.norm(steps[0]))
    if flat == 2:  # half the perimeter
        axes = np.linalg.svd(steps)[2][:2]
        return float(ConvexHull(points @ axes.T).area) / 2
    hull = ConvexHull(points)
    total = 0.0
    facets = [set(facet) for facet in hull.simplices.tolist()]
    for one, other in combinations(range(len(facets)), 2):
        shared = sorted(facets[one] & facets[other])
        if len(shared) == 2:
            length = np.linalg.norm(points[shared[0]] - points[shared[1]])
            turn = hull.equations[one, :3] @ hull.equations[other, :3]
            total += float(length * np.arccos(np.clip(turn, -1, 1)))
    return total / (2 * np.pi)
