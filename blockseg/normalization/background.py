"""Background level and noise SD of a volume, estimated once from samples of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

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
    kept = []
    for group in _stacked(sample):
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
        kept.append(left)
    voxels = _chosen(sample, kept)
    del kept
    if voxels.size:
        level, sd = _centre(voxels)
    else:
        finite = [np.isfinite(group) for group in _stacked(sample)]
        level, sd = _centre(_chosen(sample, finite))
    floor = float(least_sd(level, dtype))
    sd = max(sd, floor) if voxels.size else floor
    return Background(
        level,
        sd,
        int(voxels.size),
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
    for group in _stacked(sample):
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
    bright = []
    voxels = saturated = nonfinite = 0
    for patch in sample:
        finite = np.isfinite(patch)
        bright.append(patch[finite & (patch > 0)])
        voxels += int(np.count_nonzero(finite & (patch < limit)))
        saturated += int(np.count_nonzero(finite & (patch >= limit)))
        nonfinite += patch.size - int(np.count_nonzero(finite))
    signal = _joined(bright)
    sd = floor
    if signal.size:
        middle, high = np.quantile(signal.astype(np.float64), (0.5, 0.9))
        sd = max(float(min(middle / 2, high / 8)), floor)
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


def _chosen(
    sample: Sequence[npt.NDArray[Any]], masks: Sequence[npt.NDArray[np.bool_]]
) -> npt.NDArray[Any]:
    """Return the voxels of the stacked sample that masks choose, joined.

    A sample of a large brain is 75 MB. Its masks take half of that, and copies of what
    they choose as much again.
    """
    kind = np.result_type(*{patch.dtype for patch in sample}) if sample else float
    chosen = np.empty(sum(int(np.count_nonzero(mask)) for mask in masks), kind)
    first = 0
    for group, mask in zip(_stacked(sample), masks, strict=True):
        part = group[mask]
        chosen[first : first + part.size] = part
        first += part.size
    return chosen


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
    lowest = np.array(first, voxels.dtype).view(unsigned)
    counts = np.zeros(int(voxels.max()) - first + 1, np.intp)
    for start in range(0, voxels.size, _AT_ONCE):  # bincount makes 8 bytes of each
        above = voxels[start : start + _AT_ONCE].view(unsigned) - lowest
        counts += np.bincount(above, minlength=len(counts))
    levels = first + np.arange(len(counts), dtype=np.float64)
    median = _median(levels, counts)
    away = np.abs(levels - median)
    order = np.argsort(away, kind="stable")
    deviation = _median(away[order], counts[order])
    limit = median + 2 * deviation
    low = levels <= limit
    # The SD is that of the voxels one by one: their order decides its last bit.
    background = voxels[voxels <= math.floor(limit)]
    return _median(levels[low], counts[low]), _sd(background)


def _sd(values: npt.NDArray[Any]) -> float:
    """Return what ``values.std(dtype=float64)`` is, to the last bit, part by part."""
    mean = _pairwise(values, lambda part: part) / len(values)
    return math.sqrt(_pairwise(values, lambda part: (part - mean) ** 2) / len(values))


def _pairwise(
    values: npt.NDArray[Any],
    of: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]],
) -> np.float64:
    """Return what NumPy's sum of float64 values is, in whose halves it adds them."""
    if len(values) <= _AT_ONCE:
        return np.float64(np.add.reduce(of(values.astype(np.float64))))
    half = len(values) // 2
    half -= half % 8
    return np.float64(_pairwise(values[:half], of) + _pairwise(values[half:], of))


def _median(levels: npt.NDArray[np.float64], counts: npt.NDArray[np.intp]) -> float:
    """Return the median of rising levels, of which each comes so often."""
    ends = np.cumsum(counts)
    total = int(ends[-1])
    middle = ((total - 1) // 2, total // 2)
    low, high = levels[np.searchsorted(ends, middle, side="right")]
    return float((low + high) / 2)
