"""Filling of holes with a mirror image of what borders on them.

A network that has only ever seen noise answers to a flat region, at its rim most of all. A
mirror image has the noise, the texture and the light of the place, and neurites go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEPTH = 32
"""Voxels up to which a hole is filled from its rim; deeper, it stays as it is."""

_FOLD = 16  # voxels beyond the rim that are seen, to and fro

REACH = DEPTH + _FOLD
"""Voxels around a region that have a say in how it is filled."""

_TOO_DEEP = DEPTH + 1


def mirrored(
    raw: NDArray[Any],
    missing: NDArray[np.bool_],
    inner: tuple[slice, slice, slice],
) -> NDArray[Any]:
    """Return a part of a region with its holes filled.

    Each voxel takes the one that lies as far beyond the nearest face of the hole along an
    axis, or the first one there if that is missing too.

    Parameters
    ----------
    raw
        Grey levels (z, y, x) of the part and :data:`REACH` voxels around it, as far as the
        volume goes.
    missing
        Its voxels without data, same shape.
    inner
        The part.
    """
    filled = raw[inner].copy()
    holes = missing[inner]
    if not holes.any():
        return filled
    depth = np.full(holes.shape, _TOO_DEEP, np.uint8)
    direction = np.zeros(holes.shape, np.uint8)
    for axis in range(3):
        for side in (0, 1):
            found = _depths(missing, inner, axis, back=bool(side))
            nearer = found < depth
            depth[nearer] = found[nearer]
            direction[nearer] = 2 * axis + side
    at = np.nonzero(holes)
    depths, directions = depth[at].astype(np.int64), direction[at]
    whole = np.stack(at)
    whole += np.array([[part.start] for part in inner])
    for axis in range(3):
        for side in (0, 1):
            some = (directions == 2 * axis + side) & (depths < _TOO_DEEP)
            if some.any():
                values = _beyond(raw, missing, whole[:, some], depths[some], axis, side)
                filled[tuple(index[some] for index in at)] = values
    return filled


def _depths(
    missing: NDArray[np.bool_],
    inner: tuple[slice, slice, slice],
    axis: int,
    *,
    back: bool,
) -> NDArray[np.uint8]:
    """Return the distance from each voxel to the beginning, or the end, of the hole."""
    lines = tuple(slice(None) if k == axis else part for k, part in enumerate(inner))
    planes = np.moveaxis(missing[lines], axis, 0)
    first, last = inner[axis].start, inner[axis].stop
    out = np.empty((last - first, *planes.shape[1:]), np.uint8)
    depth = np.full(planes.shape[1:], _TOO_DEEP, np.uint8)
    order = range(len(planes) - 1, first - 1, -1) if back else range(last)
    for k in order:
        depth = np.where(planes[k], np.minimum(depth + 1, _TOO_DEEP), 0)
        depth = depth.astype(np.uint8)
        if first <= k < last:
            out[k - first] = depth
    return np.moveaxis(out, 0, axis)


def _beyond(
    raw: NDArray[Any],
    missing: NDArray[np.bool_],
    places: NDArray[np.int64],
    depths: NDArray[np.int64],
    axis: int,
    side: int,
) -> NDArray[Any]:
    """Return the mirrored values of the voxels at ``places``."""
    sign = 1 if side else -1
    folded = (depths - 1) % (2 * _FOLD)
    folded = np.minimum(folded, 2 * _FOLD - 1 - folded)
    near = places.copy()
    near[axis] += sign * depths
    far = near.copy()
    far[axis] += sign * folded
    inside = (far[axis] >= 0) & (far[axis] < raw.shape[axis])
    far = np.where(inside, far, near)
    lost = missing[tuple(far)]
    return np.asarray(raw[tuple(np.where(lost, near, far))])
