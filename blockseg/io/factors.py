"""Factors between resolution levels, by their lengths alone."""

from __future__ import annotations


def factor_between(fine: float, coarse: float) -> float:
    """Return the number of fine voxels that one voxel of a coarse level covers on an axis.

    Lengths that are no multiple are rounded when a level is made: 1001 over 500 still
    means 2. Where no rounding explains them, as with 30 over 20, their ratio counts.

    Parameters
    ----------
    fine, coarse
        Length of the axis in both levels, in voxels.
    """
    whole = max(1, round(fine / coarse))
    rounded = abs(fine - whole * coarse) < whole
    return float(whole) if rounded else fine / coarse
