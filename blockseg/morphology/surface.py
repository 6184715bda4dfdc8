"""Distances between the surfaces of two masks."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from blockseg.morphology.distance import squared_distances

if TYPE_CHECKING:
    from numpy.typing import NDArray

SURFACE_REACH = 10
"""Voxels of the greatest distance that is told apart; farther ones count as this."""

SURFACE_BINS = SURFACE_REACH**2 + 1
"""Squared distances that occur, 0 to the square of the reach."""

NO_SURFACE = (0,) * SURFACE_BINS
"""Counts of a region without surfaces."""


def surface(
    mask: NDArray[np.bool_], outside: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Return the voxels of a mask with a face to what is outside of it.

    Parameters
    ----------
    mask
        Shape (z, y, x). Beyond its ends nothing is outside.
    outside
        What is outside, same shape; all that is not in the mask if not given.
    """
    free = ~mask if outside is None else outside
    touched = np.zeros(mask.shape, dtype=bool)
    for axis, ahead in product(range(mask.ndim), (True, False)):
        low = [slice(None)] * mask.ndim
        high = [slice(None)] * mask.ndim
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        here, there = (low, high) if ahead else (high, low)
        touched[tuple(here)] |= free[tuple(there)]
    return mask & touched


def surface_counts(
    predicted: NDArray[np.bool_],
    true: NDArray[np.bool_],
    counts: NDArray[np.bool_],
    mine: NDArray[np.bool_],
) -> tuple[int, ...]:
    """Count surface voxels of each mask by their squared distance to the other's surface.

    Parameters
    ----------
    predicted, true
        Masks of one shape (z, y, x), with :data:`SURFACE_REACH` voxels and one more around
        what counts, as far as the volume goes.
    counts
        Where the truth is known; the truth has a surface where it borders on background
        that is known.
    mine
        Surface voxels that are counted, same shape.

    Returns
    -------
    Number of voxels at each squared distance in voxels, those of both masks together.
    """
    drawn, real = surface(predicted), surface(true & counts, counts & ~true)
    squared = [
        squared_distances(drawn & mine, real, SURFACE_REACH),
        squared_distances(real & mine, drawn, SURFACE_REACH),
    ]
    found = np.bincount(np.concatenate(squared), minlength=SURFACE_BINS)
    return tuple(int(n) for n in found)
