"""Roughness and unevenness of a cube: sums that add up over cubes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.dhpr.grey_scale import CODES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx

SUBCUBE = 8
"""Edge in voxels of the subcubes by which unevenness is measured."""


def texture(codes: NDArray[np.uint8], start: Zyx, *, gaps: bool) -> dict[str, int]:
    """Return the sums of a cube that have to do with texture, by name.

    Neighbours along an axis are compared on every other line of the other two axes, and
    subcubes lie at multiples of 8, both in the volume's coordinates.

    Parameters
    ----------
    codes
        Codes of a cube, shape (z, y, x).
    start
        First voxel of the cube in the volume's coordinates.
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
    subcubes = subcubes_of(codes, start)[0].ravel().astype(np.int64)
    if gaps:
        subcubes = subcubes[subcubes_of(codes >= CODES, start)[0].ravel() == 0]
    sums["squares"] = subcubes.size
    sums["square_sum"] = int(subcubes.sum())
    sums["square_square"] = int((subcubes**2).sum())
    return sums


def subcubes_of(
    values: NDArray[Any], start: Zyx
) -> tuple[NDArray[Any], tuple[NDArray[np.int64], ...]]:
    """Return the sum over each whole subcube, and the subcube nearest to each voxel.

    Parameters
    ----------
    values
        Values of a cube, shape (z, y, x); at most 8 bits, or floats.
    start
        First voxel of the cube in the volume's coordinates.

    Returns
    -------
    sums
        Shape (z, y, x) in subcubes; of float32 for floats, else whole numbers.
    places
        Along each axis, the subcube that each voxel lies in or nearest to.
    """
    first = [-a % SUBCUBE for a in start]
    counts = [
        max(n - a, 0) // SUBCUBE for n, a in zip(values.shape, first, strict=True)
    ]
    z, y, x = (slice(a, a + SUBCUBE * n) for a, n in zip(first, counts, strict=True))
    nz, ny, nx = counts
    wide = np.float32 if values.dtype.kind == "f" else np.uint32
    narrow = np.float32 if values.dtype.kind == "f" else np.uint16
    # Along the slowest axis first: whole rows are added, and little is left.
    inner = values[z, y, x]
    planes = inner.reshape(nz, SUBCUBE, *inner.shape[1:]).sum(axis=1, dtype=narrow)
    rows = planes.reshape(nz, ny, SUBCUBE, inner.shape[2]).sum(axis=2, dtype=narrow)
    sums = rows.reshape(nz, ny, nx, SUBCUBE).sum(axis=3, dtype=wide)
    places = tuple(
        np.clip((np.arange(n) - a) // SUBCUBE, 0, max(m - 1, 0))
        for n, a, m in zip(values.shape, first, counts, strict=True)
    )
    return sums, places
