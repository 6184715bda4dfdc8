"""Background level and noise SD of a volume, estimated once from samples of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

TILE = 8
"""Edge, in voxels, of the squares whose variance tells filling from tissue."""

TWELVE_BIT = 4095
"""Where 12-bit cameras saturate, whatever integer holds their data."""

INTEGER_FLOOR = 1 / math.sqrt(12)
"""Least SD, in grey levels: the rounding noise of an integer."""

FLOAT_FLOOR = 1e-6
"""Least SD of floats, as a share of the absolute value of b."""

_AT_ONCE = (
    2**18
)  # voxels of patches that are looked at together: they stay in the cache
_POINTS = (
    (3, 5),
    (5, 3),
    (7, 7),
    (1, 6),
    (6, 1),
)  # of a square, compared with its first
_TABLED = 2  # bytes of the integers whose values are counted one by one


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
    integer = np.dtype(dtype).kind in "iu"
    if limit is None:
        limit = saturation(sample, dtype)
    counts = {"nonfinite": 0, "zero": 0, "saturated": 0, "constant": 0}
    kept, finite = [], []
    for group in _stacked(sample):
        left = np.ones(group.shape, bool)
        known = np.isfinite(group)
        for reason, good in (
            ("nonfinite", known),
            ("zero", group != 0),
            ("saturated", group < limit),
            ("constant", _varied(group)),
        ):
            counts[reason] += int(np.count_nonzero(left & ~good))
            left &= good
        finite.append(group[known])
        kept.append(group[left])
    voxels = _joined(kept)
    level, sd = _centre(voxels if voxels.size else _joined(finite))
    floor = INTEGER_FLOOR if integer else FLOAT_FLOOR * abs(level) or 1.0
    sd = max(sd, floor) if voxels.size else floor
    return Background(level, sd, int(voxels.size), **counts)


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


def _stacked(
    sample: Sequence[npt.NDArray[Any]],
) -> Iterator[npt.NDArray[Any]]:
    """Yield the patches in their order, runs of one shape and type stacked: (n, y, x)."""
    runs = groupby(sample, key=lambda patch: (patch.shape, patch.dtype))
    for _, run in runs:
        alike = list(run)
        step = max(1, _AT_ONCE // alike[0].size)
        for first in range(0, len(alike), step):
            yield np.stack(alike[first : first + step])


def _varied(patches: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
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


def _joined(parts: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return np.concatenate(parts) if parts else np.empty(0)


def _centre(voxels: npt.NDArray[Any]) -> tuple[float, float]:
    if not voxels.size:
        return 0.0, 0.0
    if voxels.dtype.kind in "iu" and voxels.dtype.itemsize <= _TABLED:
        return _counted_centre(voxels)
    voxels = voxels.astype(np.float64)
    median = float(np.median(voxels))
    deviation = float(np.median(np.abs(voxels - median)))
    background = voxels[voxels <= median + 2 * deviation]
    return float(np.median(background)), float(background.std())


def _counted_centre(voxels: npt.NDArray[Any]) -> tuple[float, float]:
    """Return the same of integers with few values: medians from how often each comes."""
    voxels = voxels.astype(voxels.dtype.newbyteorder("="), copy=False)
    first = int(voxels.min())
    # Their distance to the lowest, unsigned, of whatever sign they are.
    unsigned = np.dtype(f"u{voxels.dtype.itemsize}")
    above = voxels.view(unsigned) - np.array(first, voxels.dtype).view(unsigned)
    counts = np.bincount(above)
    levels = first + np.arange(len(counts), dtype=np.float64)
    median = _median(levels, counts)
    away = np.abs(levels - median)
    order = np.argsort(away, kind="stable")
    deviation = _median(away[order], counts[order])
    limit = median + 2 * deviation
    low = levels <= limit
    # The SD is that of the voxels one by one: their order decides its last bit.
    background = voxels[voxels <= math.floor(limit)].astype(np.float64)
    return _median(levels[low], counts[low]), float(background.std())


def _median(levels: npt.NDArray[np.float64], counts: npt.NDArray[np.intp]) -> float:
    """Return the median of rising levels, of which each comes so often."""
    ends = np.cumsum(counts)
    total = int(ends[-1])
    middle = ((total - 1) // 2, total // 2)
    low, high = levels[np.searchsorted(ends, middle, side="right")]
    return float((low + high) / 2)
