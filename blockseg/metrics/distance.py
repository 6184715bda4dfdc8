"""Which voxels lie near a mask."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.geometry import Zyx, to_zyx

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["reach_of", "within"]

_SLACK = 1e-5
"""Relative; distances come in single precision and lie on either side of the truth."""


def within(
    mask: NDArray[np.bool_],
    tolerance: float,
    voxel_size: Sequence[float] | None = None,
) -> NDArray[np.bool_]:
    """Return the voxels whose distance to a mask is at most ``tolerance``.

    Parameters
    ----------
    mask
        Of one to three axes.
    tolerance
        Euclidean distance between voxel centres, in voxels, or in the unit of
        ``voxel_size``.
    voxel_size
        Edge lengths along the axes; 1 if not given.
    """
    if not mask.any():
        # The distance transform of a mask without background is undefined.
        return np.zeros(mask.shape, dtype=bool)
    import edt

    squared: NDArray[Any] = edt.edtsq(
        np.ascontiguousarray(~mask),
        anisotropy=tuple(voxel_size) if voxel_size else (1.0,) * mask.ndim,
        black_border=False,
        parallel=1,
    )
    return np.asarray(squared <= (tolerance * (1 + _SLACK)) ** 2)


def reach_of(tolerance: float, voxel_size: Sequence[float] = (1.0, 1.0, 1.0)) -> Zyx:
    """Return how many voxels along (z, y, x) a tolerance reaches."""
    return to_zyx(math.floor(tolerance * (1 + _SLACK) / size) for size in voxel_size)
