"""Quotas: the number of picks that each region of a brain gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def quotas(
    foreground: NDArray[np.float64], most: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    """Share picks out in proportion to the square root of each region's foreground.

    By largest remainders; equals go by their number. What a region cannot take, as it
    has too few blocks, the others share in the same way.

    Parameters
    ----------
    foreground
        Foreground of each region, in voxels, shape (r,).
    most
        Blocks that each region has, shape (r,).
    count
        Picks; those beyond the sum of ``most`` are not given.
    """
    weight = np.sqrt(np.maximum(foreground, 0).astype(np.float64))
    given = np.zeros(len(most), np.int64)
    left = min(count, int(most.sum()))
    while left:
        open_ = given < most
        share = np.where(open_, weight, 0)
        if not share.any():
            share = open_.astype(np.float64)  # regions without foreground: evenly
        exact = left * share / share.sum()
        whole = np.floor(exact + 1e-9).astype(np.int64)
        rest = left - int(whole.sum())
        order = np.lexsort((np.arange(len(most)), -np.round(exact - whole, 9)))
        order = order[share[order] > 0]
        whole[order[:rest]] += 1
        whole = np.minimum(whole, most - given)
        given += whole
        left -= int(whole.sum())
    return given
