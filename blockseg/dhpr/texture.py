"""Roughness and unevenness of a cube: sums that add up over cubes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.dhpr.grey_scale import CODES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx

__all__ = ["SQUARE", "squares_of", "texture"]

SQUARE = 8
"""Edge in voxels of the cubes by which unevenness is measured."""


def texture(codes: NDArray[np.uint8], start: Zyx, *, gaps: bool) -> dict[str, int]:
    """Return the sums of a cell that have to do with texture, by name.

    Neighbours along an axis are compared on every other line of the other two axes, and
    cubes of 8 voxels lie at multiples of 8, both in the volume's coordinates.

    Parameters
    ----------
    codes
        Of a cell, shape (z, y, x).
    start
        First voxel of the cell in the volume's coordinates.
    gaps
        Whether there are voxels without a grey level; they are left out.
    """
    sums = {}
    for axis, name in enumerate("zyx"):
        lines = tuple(
            slice(None) if other == axis else slice(at % 2, None, 2)
            for other, at in enumerate(start)
        )
        line = np.moveaxis(codes[lines], axis, 0)
        step = np.abs(np.diff(line.astype(np.int16), axis=0))
        if gaps:
            known = line < CODES
            step = step[known[1:] & known[:-1]]
        sums[f"pairs_{name}"] = step.size
        sums[f"steps_{name}"] = int(step.sum(dtype=np.int64))
    square = squares_of(codes, start)[0].ravel().astype(np.int64)
    if gaps:
        square = square[squares_of(codes >= CODES, start)[0].ravel() == 0]
    sums["squares"] = square.size
    sums["square_sum"] = int(square.sum())
    sums["square_square"] = int((square**2).sum())
    return sums


def squares_of(
    values: NDArray[Any], start: Zyx
) -> tuple[NDArray[Any], tuple[NDArray[np.int64], ...]]:
    """Return the sum over each whole cube, and the nearest cube of each voxel.

    Parameters
    ----------
    values
        Of a cell, shape (z, y, x); at most 8 bits, or floats.
    start
        First voxel of the cell in the volume's coordinates.

    Returns
    -------
    sums
        Shape (z, y, x) in cubes; of float32 for floats, else whole numbers.
    places
        Along each axis, the cube that each voxel lies in or nearest to.
    """
    first = [-a % SQUARE for a in start]
    counts = [max(n - a, 0) // SQUARE for n, a in zip(values.shape, first, strict=True)]
    z, y, x = (slice(a, a + SQUARE * n) for a, n in zip(first, counts, strict=True))
    nz, ny, nx = counts
    wide = np.float32 if values.dtype.kind == "f" else np.uint32
    narrow = np.float32 if values.dtype.kind == "f" else np.uint16
    # Along the slowest axis first: whole rows are added, and little is left.
    inner = values[z, y, x]
    planes = inner.reshape(nz, SQUARE, *inner.shape[1:]).sum(axis=1, dtype=narrow)
    rows = planes.reshape(nz, ny, SQUARE, inner.shape[2]).sum(axis=2, dtype=narrow)
    sums = rows.reshape(nz, ny, nx, SQUARE).sum(axis=3, dtype=wide)
    places = tuple(
        np.clip((np.arange(n) - a) // SQUARE, 0, max(m - 1, 0))
        for n, a, m in zip(values.shape, first, counts, strict=True)
    )
    return sums, places
