"""A volume on a coarser grid than it is stored on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.geometry import Roi, Zyx, ceil_to, floor_to, tiles, to_zyx
from blockseg.io.protocol import check_roi

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.io.protocol import Volume

_AT_ONCE = 2**23
"""Stored voxels that one reading averages at a time, unless a single chunk has more."""

_MOST_IN_INT32 = 2**15
"""Voxels of a cell from which on sums of 16 bits may not fit."""


class Downsampled:
    """Means over cells of so many voxels each, as a volume.

    Integers are rounded half to even, and the type stays. A cell at the far end that
    the stored volume does not fill is the mean over what is there; one that holds a NaN
    is NaN.

    Parameters
    ----------
    volume
        As it is stored.
    factors
        Voxels of a cell along (z, y, x), each at least 1.
    """

    def __init__(self, volume: Volume, factors: Zyx) -> None:
        self.volume, self.factors, self.dtype = volume, factors, volume.dtype
        self.shape = _divided(volume.shape, factors)
        self.chunk_shape = _divided(volume.chunk_shape, factors)
        self.space = volume.space.binned(factors)

    @property
    def reading_bytes(self) -> int:
        """Bytes that one reading takes beside what it returns."""
        voxels = max(_AT_ONCE, math.prod(self.volume.chunk_shape))
        return voxels * (self.dtype.itemsize + _wide(self.dtype, self.factors).itemsize)

    def read(self, roi: Roi) -> NDArray[Any]:
        """Return a region; see :meth:`Volume.read`."""
        check_roi(self.shape, roi)
        out = np.empty(roi.shape, self.dtype)
        for place in tiles(roi, piece := self._piece(roi.shape)):
            start = to_zyx(n * p for n, p in zip(place, piece, strict=True))
            part = Roi.whole(piece).shifted(start).intersection(roi)
            stored = self.volume.read(self.stored(part))
            out[part.slices(roi.start)] = cell_means(stored, self.factors)
        return out

    def stored(self, roi: Roi) -> Roi:
        """Return the voxels of the stored volume that a region covers."""
        start, stop = (
            to_zyx(n * f for n, f in zip(corner, self.factors, strict=True))
            for corner in (roi.start, roi.stop)
        )
        return Roi(start, stop).intersection(Roi.whole(self.volume.shape))

    def _piece(self, shape: Zyx) -> Zyx:
        """Return the shape that is averaged at a time, in whole chunks."""
        piece = list(self.chunk_shape)
        for axis in (2, 1, 0):
            one = math.prod(piece) // piece[axis] * math.prod(self.factors)
            chunk = self.chunk_shape[axis]
            most = min(floor_to(_AT_ONCE // one, chunk), ceil_to(shape[axis], chunk))
            piece[axis] = max(chunk, most)
        return to_zyx(piece)


def covering(roi: Roi, factors: Zyx) -> Roi:
    """Return the cells that hold any voxel of a region of the stored volume."""
    return Roi(
        to_zyx(a // f for a, f in zip(roi.start, factors, strict=True)),
        _divided(roi.stop, factors),
    )


def cell_means(data: NDArray[Any], factors: Zyx) -> NDArray[Any]:
    """Return the mean of each cell, of the same type.

    Parameters
    ----------
    data
        Axes (z, y, x); its first voxel is the first of a cell.
    factors
        Voxels of a cell along each axis. Integers are rounded half to even, floats
        summed in float64.

    Returns
    -------
    ndarray
        Of ``ceil(n / f)`` voxels an axis. Where an extent is no multiple, the cells at
        the far end have fewer voxels; nothing is padded.
    """
    wide = _wide(data.dtype, factors)
    total: NDArray[Any] = data
    # inf - inf is a matter of the data, and NaN is its right mean
    with np.errstate(invalid="ignore"):
        for axis, factor in enumerate(factors):
            total = _summed(total, factor, axis, wide)
        mean: NDArray[np.float64] = total / _cell_sizes(data.shape, factors)
    if data.dtype.kind in "iu":
        np.rint(mean, out=mean)
    return mean.astype(data.dtype)


def _summed(
    data: NDArray[Any], factor: int, axis: int, wide: np.dtype[Any]
) -> NDArray[Any]:
    """Add up groups of neighbours along an axis, one after the other."""
    if factor == 1:
        return data
    every = [slice(None)] * 3
    every[axis] = slice(0, None, factor)
    total = data[tuple(every)].astype(wide)
    for first in range(1, min(factor, data.shape[axis])):
        every[axis] = slice(first, None, factor)
        added = data[tuple(every)]
        part = [slice(None)] * 3
        part[axis] = slice(0, added.shape[axis])
        target = total[tuple(part)]
        np.add(target, added, out=target)
    return total


def _wide(dtype: np.dtype[Any], factors: Zyx) -> np.dtype[Any]:
    """Return a type in which no sum over a cell overflows."""
    if dtype.kind not in "iu":
        return np.dtype(np.float64)
    narrow = dtype.itemsize < 4 and math.prod(factors) < _MOST_IN_INT32
    return np.dtype(np.int32 if narrow else np.int64)


def _cell_sizes(shape: tuple[int, ...], factors: Zyx) -> NDArray[np.float64]:
    z, y, x = (
        np.minimum(n - np.arange(0.0, n, f), f)
        for n, f in zip(shape, factors, strict=True)
    )
    return np.asarray(z[:, None, None] * y[:, None] * x)


def _divided(shape: Zyx, factors: Zyx) -> Zyx:
    return to_zyx(-(-n // f) for n, f in zip(shape, factors, strict=True))
