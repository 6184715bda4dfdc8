"""Reduction of an image to half on each axis, by maximum or by mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.io.output.pyramid import Reduction


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
    if reduce == "max":
        for axis in range(3):
            data = _pairwise(np.maximum, data, axis)
        return data
    return _halved_mean(data)


def _halved_mean(data: NDArray[Any]) -> NDArray[Any]:
    integer = np.issubdtype(data.dtype, np.integer)
    wide = np.int64 if data.dtype.itemsize >= 4 else np.int32
    total: NDArray[Any] = data.astype(wide if integer else np.float64)
    # inf - inf is a matter of the data, and NaN is its right mean
    with np.errstate(invalid="ignore"):
        for axis in range(3):
            total = _pairwise(np.add, total, axis)
        mean: NDArray[np.float64] = total / _group_sizes(data.shape)
    if integer:
        np.rint(mean, out=mean)
    return mean.astype(data.dtype)


def _pairwise(combine: np.ufunc, data: NDArray[Any], axis: int) -> NDArray[Any]:
    even: list[slice] = [slice(None)] * 3
    odd, paired = even.copy(), even.copy()
    even[axis], odd[axis] = slice(0, None, 2), slice(1, None, 2)
    paired[axis] = slice(0, data.shape[axis] // 2)
    result = data[tuple(even)].copy()
    target = result[tuple(paired)]
    combine(target, data[tuple(odd)], out=target)
    return result


def _group_sizes(shape: tuple[int, ...]) -> NDArray[np.float64]:
    z, y, x = (np.minimum(n - np.arange(0.0, n, 2), 2) for n in shape)
    return np.asarray(z[:, None, None] * y[:, None] * x)
