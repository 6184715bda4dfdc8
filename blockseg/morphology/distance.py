"""Voxels near a mask."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.geometry import Zyx, to_zyx

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_SLACK = 1e-5
"""Relative; distances come in single precision and lie on either side of the truth."""


_SPARSE = 1 / 32
"""Share of foreground below which a search tree of it beats a distance transform."""


def near(
    at: NDArray[np.bool_],
    of: NDArray[np.bool_],
    tolerance: float,
    voxel_size: Sequence[float] | None = None,
) -> NDArray[np.bool_]:
    """Return those voxels of a mask whose distance to another is at most ``tolerance``.

    Parameters
    ----------
    at, of
        Masks of one shape, one to three axes.
    tolerance, voxel_size
        As for :func:`within`.
    """
    number, others = np.count_nonzero(at), np.count_nonzero(of)
    if not number or not others:
        return np.zeros(at.shape, dtype=bool)
    if number + others > _SPARSE * at.size:
        return at & within(of, tolerance, voxel_size)
    # A third of a second that no run of blocks needs.
    from scipy.spatial import cKDTree

    size = np.ones(at.ndim) if voxel_size is None else np.asarray(voxel_size)
    places = np.argwhere(at)
    # The bound itself is out of reach of the search: 0 would find nothing.
    bound = max(tolerance * (1 + _SLACK), size.min() / 2)
    distance, _ = cKDTree(np.argwhere(of) * size).query(
        places * size, distance_upper_bound=bound
    )
    out = np.zeros(at.shape, dtype=bool)
    out[tuple(places[np.isfinite(distance)].T)] = True
    return out


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


def squared_distances(
    at: NDArray[np.bool_], of: NDArray[np.bool_], most: int
) -> NDArray[np.int64]:
    """Return the squared distance of each voxel of a mask to another mask, in voxels.

    Parameters
    ----------
    at, of
        Masks of one shape, one to three axes.
    most
        Greatest distance; farther voxels get this.
    """
    number, others = np.count_nonzero(at), np.count_nonzero(of)
    if not number or not others:
        return np.full(number, most**2, np.int64)
    if number + others > _SPARSE * at.size:
        import edt

        squared: NDArray[Any] = edt.edtsq(
            np.ascontiguousarray(~of), black_border=False, parallel=1
        )[at]
    else:
        from scipy.spatial import cKDTree

        distance, _ = cKDTree(np.argwhere(of)).query(
            np.argwhere(at), distance_upper_bound=most + 0.5
        )
        squared = np.minimum(distance, most) ** 2
    whole: NDArray[np.int64] = np.rint(np.minimum(squared, most**2)).astype(np.int64)
    return whole


def reach_of(tolerance: float, voxel_size: Sequence[float] = (1.0, 1.0, 1.0)) -> Zyx:
    """Return how many voxels along (z, y, x) a tolerance reaches."""
    return to_zyx(math.floor(tolerance * (1 + _SLACK) / size) for size in voxel_size)
