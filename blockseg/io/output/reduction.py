"""Reduction of an image to half on each axis, by maximum or by mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.io.downsampled import cell_means

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.io.output.pyramid import Reduction

_CACHED = 2**20  # bytes of the source that are reduced at a time


def halve(data: NDArray[Any], reduce: Reduction) -> NDArray[Any]:
    """Return ``data`` at half the resolution, of the same type.

    Parameters
    ----------
    data
        Axes (z, y, x); its first voxel is the first of a 2×2×2 group.
    reduce
        ``max``, or ``mean``: integers rounded half to even, floats summed in float64.

    Returns
    -------
    ndarray
        Of ``ceil(n / 2)`` voxels an axis. Where an extent is odd, the groups at the
        far end have fewer voxels; nothing is padded.
    """
    if reduce == "mean":
        return cell_means(data, (2, 2, 2))
    z, y, x = (-(-n // 2) for n in data.shape)
    out = np.empty((z, y, x), data.dtype)
    # A few planes at a time: what lies between stays in the cache, and is no new memory.
    few = max(1, _CACHED // max(1, 8 * out[:1].nbytes))
    for start in range(0, z, few):
        part = data[2 * start : 2 * (start + few)]
        for axis in range(3):
            part = _pairwise(np.maximum, part, axis)
        out[start : start + few] = part
    return out


def _pairwise(combine: np.ufunc, data: NDArray[Any], axis: int) -> NDArray[Any]:
    even: list[slice] = [slice(None)] * 3
    odd, paired = even.copy(), even.copy()
    even[axis], odd[axis] = slice(0, None, 2), slice(1, None, 2)
    paired[axis] = slice(0, data.shape[axis] // 2)
    pairs = (data[tuple(even)][tuple(paired)], data[tuple(odd)])
    if data.shape[axis] % 2 == 0:
        return np.asarray(combine(*pairs))
    result = data[tuple(even)].copy()
    combine(*pairs, out=result[tuple(paired)])
    return result
