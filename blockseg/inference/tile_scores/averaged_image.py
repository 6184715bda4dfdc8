"""Normalised image at half resolution: what tells whether a tile may hold a neurite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.cubes import voxels_of
from blockseg.core.geometry import Roi
from blockseg.normalization.affine import normalize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.core.specs import Affine, AffineField

SEEN = 16
"""Voxels around a cube that its score depends on."""

# Of two bytes, which all that follows passes twice as fast as four:
STEPS = 256
"""Steps of averaged intensities in one of what normalised images are in."""

_MOST = 60.0  # either way the same, beyond which more makes no difference
_PLANES = 32  # normalised at once


def averaged_image(
    raw: NDArray[Any],
    read: Roi,
    cubes: Roi,
    affine: Affine | AffineField,
    volume_shape: Zyx,
    edge: int,
) -> NDArray[np.int16]:
    """Return cubes and SEEN voxels around, normalised, averaged over 2×2×2 voxels.

    Parameters
    ----------
    raw
        Grey levels (z, y, x) of ``read``, in the source's dtype; NaN and infinities
        count as background.
    read
        At least the cubes and SEEN voxels around them, as far as the volume goes.
        Beyond the volume its outermost voxels go on.
    cubes
        Their positions, in cubes.
    affine
        Normalisation of the run.
    volume_shape
        Voxels along (z, y, x).
    edge
        Of a cube, in voxels; a multiple of 16.

    Returns
    -------
    int16 array (z, y, x), in 1/STEPS of what normalised images are in
    """
    seen = voxels_of(cubes, volume_shape, edge).grown((SEEN,) * 3)
    known = seen.intersection(Roi.whole(volume_shape))
    z, y, x = (-(-n // 2) for n in known.shape)
    out = np.empty((z, y, x), np.int16)
    for first in range(known.start[0], known.stop[0], _PLANES):
        last = min(first + _PLANES, known.stop[0])
        slab = Roi((first, *known.start[1:]), (last, *known.stop[1:]))
        part = np.empty(slab.shape, np.float32)
        normalize(raw[slab.slices(read.start)], affine, part, slab.start)
        for axis in range(3):  # whole planes first: faster
            part = _halved(part, axis)
        start = (first - known.start[0]) // 2
        part *= np.float32(STEPS / 8)
        np.clip(part, -_MOST * STEPS, _MOST * STEPS, out=part)
        np.rint(part, out=part)
        out[start : start + len(part)] = part
    before = [
        (a * edge - SEEN) // -2 + k // 2
        for a, k in zip(cubes.start, known.start, strict=True)
    ]
    missing = [
        (first, n * edge // 2 + SEEN - first - have)
        for first, n, have in zip(before, cubes.shape, out.shape, strict=True)
    ]
    return np.pad(out, missing, mode="edge") if any(map(max, missing)) else out


def _halved(values: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Add up pairs of neighbours along an axis; the last of an odd number counts twice."""
    even, odd = (values[_between(axis, start, None, 2)] for start in (0, 1))
    if even.shape != odd.shape:
        odd = np.concatenate([odd, even[_between(axis, -1, None)]], axis)
    added: NDArray[np.float32] = even + odd
    return added


def _between(
    axis: int, start: int | None, stop: int | None, step: int | None = None
) -> tuple[slice, ...]:
    return (slice(None),) * axis + (slice(start, stop, step),)
