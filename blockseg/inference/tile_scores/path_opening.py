"""Path-opening score: a cheap measure of how much a cube looks like it holds a neurite.

The image is normalised and averaged over 2×2×2 voxels, and its opening by a cube of 10×10×10
voxels is taken from it: what is thin in any direction stays. Sheets such as rims of tissue
do too, since networks find parts of them. The path-opening score of a cube is the highest level that a
path of 10 voxels nowhere falls below (a path opening: H. Heijmans, M. Buckley and H. Talbot,
*J. Math. Imaging Vis.* 22, 2005, 107), so that a spot as bright as a neurite is not taken for
one. The middle of the path lies within 4 voxels of the cube, as what the network finds of a
neurite is wider than its bright core.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.cubes import EDGE, cube_box
from blockseg.inference.tile_scores.averaged_image import STEPS, averaged_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from blockseg.core.geometry import Roi, Zyx
    from blockseg.core.specs import Affine, AffineField

# All in averaged voxels:
_PATCH = 5
_HALF = 2  # steps of a path, to either side of its voxel that has to be near
_NEAR = 2
_KEPT = 4  # of SEEN, once the opening took what it needs


def path_opening_score(
    raw: NDArray[Any],
    read: Roi,
    roi: Roi,
    affine: Affine | AffineField,
    volume_shape: Zyx,
    edge: int = EDGE,
) -> NDArray[np.float32]:
    """Return the path-opening score of each cube that ``roi`` is made of.

    A function of the voxels in and around a cube and of their places, to the last bit. A
    cube inside of another never has more. Beyond the volume its outermost voxels go on.

    Parameters
    ----------
    raw
        Grey levels (z, y, x) of ``read``, in the source's dtype; NaN and infinities
        count as background.
    read
        At least ``roi`` and SEEN voxels around it, as far as the volume goes.
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
    float32 array, one value a cube (z, y, x), in the units of the normalised image; from 0
    """
    cubes = cube_box(roi, edge)
    averaged = averaged_image(raw, read, cubes, affine, volume_shape, edge)
    best = _paths(_lines(averaged))
    for axis, count in enumerate(cubes.shape):
        best = _near(best, axis, count, edge)
    return best.astype(np.float32) / np.float32(STEPS)


def _near(
    best: NDArray[np.int16], axis: int, count: int, edge: int
) -> NDArray[np.int16]:
    """Return the best of what lies near each of ``count`` cubes along an axis."""
    part = 2 * _NEAR  # cubes are whole numbers of these, and see half of one more
    parts = edge // 2 // part
    start = _KEPT - _NEAR
    near = best[_between(axis, start, start + (count * parts + 1) * part)]
    near = _blocks(near, axis, part)
    inner = _blocks(near[_between(axis, None, -1)], axis, parts)
    last = near[_between(axis, parts, None, parts)]
    return np.maximum(inner, last)


def _blocks(values: NDArray[np.int16], axis: int, length: int) -> NDArray[np.int16]:
    """Return the most of each ``length`` values along an axis."""
    z, y, x = values.shape
    shape = [z, y, x]
    shape[axis : axis + 1] = [shape[axis] // length, length]
    most: NDArray[np.int16] = values.reshape(shape).max(axis + 1)
    return most


def _lines(averaged: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return averaged voxels less their opening; _PATCH - 1 fewer at each face."""
    opened = averaged
    for pick in (np.minimum, np.maximum):
        for axis in (2, 1, 0):
            opened = _running(pick, opened, axis)
    inner = (slice(_PATCH - 1, 1 - _PATCH),) * 3
    return np.asarray(averaged[inner] - opened)


def _paths(lines: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return the level that the best path through each voxel nowhere falls below.

    A path goes on along one axis, by one voxel a step, and to any of 9 neighbours. Where
    it would leave the array the result is 0.
    """
    best = np.zeros_like(lines)
    for axis in range(3):
        values = np.moveaxis(lines, axis, 0)
        before = _walked(values)[:-_HALF]
        after = _walked(values[::-1])[::-1][_HALF:]
        inner = np.moveaxis(best, axis, 0)[_HALF:-_HALF]
        np.maximum(inner, np.minimum(before, after), out=inner)
    return best


def _walked(values: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return the level that the best half path up to each voxel nowhere falls below."""
    reached = values
    for _ in range(_HALF):
        across = reached[:-1]
        for axis in (1, 2):
            low, high = _between(axis, None, -1), _between(axis, 1, None)
            aside = across.copy("K")
            np.maximum(aside[low], across[high], out=aside[low])
            np.maximum(aside[high], across[low], out=aside[high])
            across = aside
        reached = np.minimum(across, values[len(values) - len(across) :])
    return reached


def _running(
    pick: Callable[..., NDArray[np.int16]], values: NDArray[np.int16], axis: int
) -> NDArray[np.int16]:
    """Return the least or the most of each run of _PATCH values along an axis."""
    found = pick(values[_between(axis, None, -1)], values[_between(axis, 1, None)])
    found = pick(found[_between(axis, None, -2)], found[_between(axis, 2, None)])
    last = values[_between(axis, _PATCH - 1, None)]
    return pick(found[_between(axis, None, -1)], last)


def _between(
    axis: int, start: int | None, stop: int | None, step: int | None = None
) -> tuple[slice, ...]:
    return (slice(None),) * axis + (slice(start, stop, step),)
