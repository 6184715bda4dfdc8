"""Means of a volume over larger voxels, whose faces need not lie between its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.geometry import Roi, to_zyx

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.core.space import Vector
    from blockseg.io.protocol import Volume

_AT_ONCE = 2**25  # voxels that are read at a time, unless one plane of means needs more


@dataclass(frozen=True, slots=True)
class MeanGrid:
    """A grid of large voxels over a region of a volume.

    Voxel k reaches along an axis from ``start + k · size`` to ``start + (k + 1) · size``,
    in voxels of the volume, where its first one reaches from 0 to 1; of the last one only
    what lies before ``stop`` counts.
    """

    start: Vector
    """Lower corner of the region (z, y, x), in voxels of the volume."""

    stop: Vector
    """Upper corner."""

    size: Vector
    """Edge lengths of a large voxel, in voxels of the volume."""

    @property
    def shape(self) -> Zyx:
        """Large voxels along each axis."""
        return to_zyx(
            max(1, int(np.ceil((b - a) / s - 1e-6)))
            for a, b, s in zip(self.start, self.stop, self.size, strict=True)
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Weights:
    first: int
    """First voxel of the volume that is needed."""

    stop: int
    """The voxel after the last one."""

    index: NDArray[np.int64]
    """Voxels that each mean has, from ``first``: (terms, means)."""

    weight: NDArray[np.float64]
    """Length of each of these that counts, (terms, means)."""


def means(volume: Volume, grid: MeanGrid, part: Roi) -> NDArray[np.float64]:
    """Return means over large voxels.

    Parameters
    ----------
    volume
        What is averaged; NaN anywhere in a large voxel makes its mean NaN.
    grid
        The large voxels.
    part
        Those of these that are wanted.

    Returns
    -------
    array of ``part.shape``
        The same to the last bit, however the grid is cut into parts.

    Raises
    ------
    VolumeError
        If the volume cannot be read.
    """
    z, y, x = (_weights(axis, grid, part, volume.shape[axis]) for axis in range(3))
    out = np.empty(part.shape)
    across = (y.stop - y.first) * (x.stop - x.first)
    planes = max(1, int(_AT_ONCE / across / max(grid.size[0], 1)))
    for low in range(0, part.shape[0], planes):
        some = slice(low, min(low + planes, part.shape[0]))
        out[some] = _read_means(volume, z, y, x, some)
    return out


def _read_means(
    volume: Volume, z: _Weights, y: _Weights, x: _Weights, some: slice
) -> NDArray[np.float64]:
    index = z.index[:, some]
    needed = index[z.weight[:, some] > 0]
    first, stop = int(needed.min()), int(needed.max()) + 1
    box = Roi((z.first + first, y.first, x.first), (z.first + stop, y.stop, x.stop))
    data = volume.read(box)
    rows = _reduced(data, np.clip(index - first, 0, stop - first - 1),
                    z.weight[:, some], 0)  # fmt: skip
    rows = _reduced(rows, y.index, y.weight, 1)
    return _reduced(rows, x.index, x.weight, 2)


def _reduced(
    data: NDArray[np.generic],
    index: NDArray[np.int64],
    weight: NDArray[np.float64],
    axis: int,
) -> NDArray[np.float64]:
    """Return weighted means along an axis, term after term in a fixed order."""
    shape = [1, 1, 1]
    shape[axis] = -1
    total: NDArray[np.float64] | None = None
    # inf - inf is a matter of the data, and NaN is its right mean
    with np.errstate(invalid="ignore"):
        for places, lengths in zip(index, weight, strict=True):
            term = np.where(
                lengths.reshape(shape) > 0,
                data.take(places, axis=axis) * lengths.reshape(shape),
                0.0,
            )
            total = term if total is None else np.add(total, term, out=total)
        return np.asarray(total / weight.sum(axis=0).reshape(shape))


def _weights(axis: int, grid: MeanGrid, part: Roi, length: int) -> _Weights:
    start, stop, size = grid.start[axis], grid.stop[axis], grid.size[axis]
    number = np.arange(part.start[axis], part.stop[axis])
    low = start + number * size
    high = np.minimum(low + size, stop)
    terms = int(np.ceil(size)) + 1
    voxel = np.floor(low + 1e-9).astype(np.int64) + np.arange(terms)[:, None]
    weight = np.minimum(voxel + 1, high) - np.maximum(voxel, low)
    # What rounding leaves of a voxel is none of it.
    weight = np.where((weight > 1e-9) & (voxel < length), weight, 0.0)
    voxel = np.clip(voxel, 0, length - 1)
    first = int(voxel[weight > 0].min())
    last = int(voxel[weight > 0].max())
    index = np.clip(voxel - first, 0, last - first)
    return _Weights(first, last + 1, index, weight)
