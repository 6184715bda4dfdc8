"""Background level and noise SD of a volume, estimated once from samples of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from blockseg.normalization.centre import Chosen, centre, quantiles, stacked

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

TILE = 8
"""Edge, in voxels, of the squares whose variance tells filling from tissue."""

TWELVE_BIT = 4095
"""Where 12-bit cameras saturate, whatever integer holds their data."""

INTEGER_FLOOR = 1 / math.sqrt(12)
"""Least SD, in grey levels: the rounding noise of an integer."""

FLOAT_FLOOR = 1e-6
"""Least SD of floats, as a share of the absolute value of b."""

_ZEROS = 0.25  # share of the sample from which on 0 may be its background
_FULL_SQUARES = 0.5  # of the squares that hold anything, which would be tissue
_FEW = 4096  # voxels that are too few to judge by, where they are also
_FEW_SHARE = 0.01  # less than this share of the sample
_BROAD = 1.0  # SD over level, which photons hardly give and signal often does
_POINTS = (
    (3, 5),
    (5, 3),
    (7, 7),
    (1, 6),
    (6, 1),
)  # of a square, compared with its first


@dataclass(frozen=True, slots=True)
class Background:
    """Background of a volume and the evidence for it, in grey levels and voxels."""

    level: float
    """b: median of the background, in grey levels."""

    sd: float
    """s: SD of the background, in grey levels; above 0."""

    voxels: int
    """Sampled voxels that count; 0 if the volume is constant or empty."""

    constant: int = 0
    """Sampled voxels left out because their surroundings have no variance."""

    zero: int = 0
    """Sampled voxels left out because they are exactly 0."""

    saturated: int = 0
    """Sampled voxels left out because they are saturated."""

    nonfinite: int = 0
    """Sampled voxels left out because they are NaN or infinite."""

    clipped: bool = False
    """Whether 0 itself is the background, as in denoised, clipped or thresholded data:
    then b is 0 and s tells how bright the signal is, since no noise is left."""

    @property
    def doubt(self) -> str:
        """Reason to look at b and s twice, as the end of a sentence; empty if none."""
        if self.clipped:
            return (
                "most of what lies beside signal is exactly 0, so that no noise is left to "
                f"measure: 0 counts as background, and {self.sd:.4g} grey levels, a part of "
                "the signal's brightness, as one SD"
            )
        sampled = (
            self.voxels + self.constant + self.zero + self.saturated + self.nonfinite
        )
        if self.voxels and self.voxels < min(_FEW, _FEW_SHARE * sampled):
            return (
                f"only {self.voxels:,} of {sampled:,} sampled voxels can be background; the "
                "others are 0, constant, saturated or not finite"
            )
        if self.voxels and self.level > 0 and self.sd > _BROAD * self.level:
            return (
                f"what counts as background varies more ({self.sd:.4g}) than it is bright "
                f"({self.level:.4g}), like signal"
            )
        return ""


def estimate_background(
    patches: Iterable[npt.NDArray[Any]],
    dtype: npt.DTypeLike,
    limit: float | None = None,
) -> Background:
    """Estimate the background of a volume from samples of it.

    b and s are the median and SD of the sampled voxels that are at most their
    median + 2 MAD, MAD the median absolute deviation. s is at least
    ``INTEGER_FLOOR`` for integers, and for floats ``FLOAT_FLOOR`` times the absolute
    value of b (1 where b is 0).

    Not counted are exact zeros, voxels that are saturated or not finite, and
    regions filled with a constant: 8 × 8 squares of one value and the squares
    around them, which the filling's edge may cut. Where nothing is left, as in a
    constant volume, ``voxels`` is 0, b is that of all finite voxels and s the floor:
    every voxel of a constant volume is normalised to 0.

    Where zeros are frequent and most squares that hold anything hold zeros too, 0 is no
    filling but the background (``clipped``): b is 0, and s the lesser of 1/2 of the median
    and 1/8 of the 0.9 quantile of what is brighter, so that a neurite of usual
    brightness has some SDs.

    Parameters
    ----------
    patches
        Raw voxels ``(y, x)``, or any two axes.
    dtype
        Of the volume; its maximum counts as saturated if it is an integer type.
    limit
        Grey level from which a voxel is saturated, where the patches are a part of
        the sample only; else that of :func:`saturation`.
    """
    sample = [np.asarray(patch) for patch in patches if np.asarray(patch).size]
    if limit is None:
        limit = saturation(sample, dtype)
    if zero_is_background(sample):
        return _clipped(sample, limit, float(least_sd(0.0, dtype)))
    counts = {"nonfinite": 0, "zero": 0, "saturated": 0, "constant": 0}

    def countable(group: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        left = np.ones(group.shape, bool)
        known = np.isfinite(group)
        for reason, good in (
            ("nonfinite", known),
            ("zero", group != 0),
            ("saturated", group < limit),
            ("constant", varied(group)),
        ):
            counts[reason] += int(np.count_nonzero(left & ~good))
            left &= good
        return left

    chosen = Chosen.by(sample, countable)
    level, sd = centre(chosen if chosen.size else Chosen.by(sample, np.isfinite))
    floor = float(least_sd(level, dtype))
    sd = max(sd, floor) if chosen.size else floor
    return Background(
        level,
        sd,
        chosen.size,
        constant=counts["constant"],
        zero=counts["zero"],
        saturated=counts["saturated"],
        nonfinite=counts["nonfinite"],
    )


def least_sd(level: npt.ArrayLike, dtype: npt.DTypeLike) -> npt.NDArray[np.float64]:
    """Return the least s that voxels of a type have at a level, in grey levels.

    ``INTEGER_FLOOR`` for integers; for floats ``FLOAT_FLOOR`` times the absolute value of
    the level, 1 where that is 0.

    Parameters
    ----------
    level
        In grey levels, of any shape.
    dtype
        Of the voxels.
    """
    of = np.asarray(level, np.float64)
    if np.dtype(dtype).kind in "iu":
        return np.full(of.shape, INTEGER_FLOOR)
    return np.where(of == 0, 1.0, FLOAT_FLOOR * np.abs(of))


def zero_is_background(sample: Sequence[npt.NDArray[Any]]) -> bool:
    """Say whether zeros lie between the signal, and not around the tissue.

    Stitching fills what lies outside of a brain with 0 too; but inside no voxel is 0.
    """
    total = sum(patch.size for patch in sample)
    zeros = sum(patch.size - int(np.count_nonzero(patch)) for patch in sample)
    if zeros <= _ZEROS * total:
        return False
    holding = full = 0
    for group in stacked(sample):
        count, height, width = group.shape
        y, x = min(height, TILE), min(width, TILE)
        rows, columns = height // y, width // x
        inner = group[:, : rows * y, : columns * x] != 0
        squares = inner.reshape(count, rows, y, columns, x)
        holding += int(np.count_nonzero(squares.any(axis=(2, 4))))
        full += int(np.count_nonzero(squares.all(axis=(2, 4))))
    return holding > 0 and full < _FULL_SQUARES * holding


def _clipped(
    sample: Sequence[npt.NDArray[Any]], limit: float, floor: float
) -> Background:
    """Return 0 as the background, and an SD from the brightness of the signal."""
    voxels = saturated = nonfinite = 0
    for patch in sample:
        finite = np.isfinite(patch)
        voxels += int(np.count_nonzero(finite & (patch < limit)))
        saturated += int(np.count_nonzero(finite & (patch >= limit)))
        nonfinite += patch.size - int(np.count_nonzero(finite))
    signal = Chosen.by(sample, lambda group: np.isfinite(group) & (group > 0))
    sd = floor
    if signal.size:
        middle, high = quantiles(signal, (0.5, 0.9))
        sd = max(min(middle / 2, high / 8), floor)
    return Background(
        0.0, sd, voxels, saturated=saturated, nonfinite=nonfinite, clipped=True
    )


def saturation(sample: Sequence[npt.NDArray[Any]], dtype: npt.DTypeLike) -> float:
    """Return the grey level from which voxels of a volume are saturated.

    Infinite for floats; for integers their maximum, or that of a 12-bit camera where
    it is the highest in the sample.
    """
    kind = np.dtype(dtype)
    if kind.kind not in "iu":
        return math.inf
    highest = max((int(patch.max()) for patch in sample if patch.size), default=0)
    return TWELVE_BIT if highest == TWELVE_BIT else int(np.iinfo(kind).max)


def varied(patches: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Mark the voxels in squares that neither are constant nor touch one that is.

    A remainder of a patch joins the last whole square: a sliver of one voxel
    would always be constant. Shape (n, y, x).
    """
    # fmin and fmax pass over NaN; an infinity makes a square varied, which is true.
    height, width = patches.shape[1:]
    if _all_vary(patches):
        return np.ones(patches.shape, bool)
    rows, columns = (np.arange(0, max(n - TILE + 1, 1), TILE) for n in (height, width))
    low, high = (
        extreme.reduceat(extreme.reduceat(patches, rows, axis=1), columns, axis=2)
        for extreme in (np.fmin, np.fmax)
    )
    margin = ((0, 0), (1, 1), (1, 1))
    beside = sliding_window_view(np.pad(low == high, margin), (3, 3), axis=(1, 2))
    varied = ~beside.any(axis=(3, 4))
    varied = varied.repeat(np.diff(np.append(rows, height)), axis=1)
    return np.asarray(varied.repeat(np.diff(np.append(columns, width)), axis=2))


def _all_vary(patches: npt.NDArray[Any]) -> bool:
    """Say from a few voxels a square that none is constant; of noise they tell it."""
    if patches.dtype.kind not in "iu" or min(patches.shape[1:]) < TILE:
        return False
    rows, columns = (n // TILE for n in patches.shape[1:])

    def each(y: int, x: int) -> npt.NDArray[Any]:
        return patches[:, y::TILE, x::TILE][:, :rows, :columns]

    same = each(0, 0) == each(*_POINTS[0])
    for y, x in _POINTS[1:]:
        same &= each(0, 0) == each(y, x)
    return not same.any()
