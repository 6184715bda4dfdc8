"""Background level and noise SD of a volume, estimated once from samples of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

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
    for patch in sample:
        left = np.ones(patch.shape, bool)
        for reason, good in (
            ("nonfinite", np.isfinite(patch)),
            ("zero", patch != 0),
            ("saturated", patch < limit),
            ("constant", _varied(patch)),
        ):
            counts[reason] += int(np.count_nonzero(left & ~good))
            left &= good
        finite.append(patch[np.isfinite(patch)])
        kept.append(patch[left])
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


def _varied(patch: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Mark the voxels in squares that neither are constant nor touch one that is.

    A remainder of a patch joins the last whole square: a sliver of one voxel
    would always be constant.
    """
    # fmin and fmax pass over NaN; an infinity makes a square varied, which is true.
    rows, columns = (np.arange(0, max(n - TILE + 1, 1), TILE) for n in patch.shape)
    low, high = (
        extreme.reduceat(extreme.reduceat(patch, rows, axis=0), columns, axis=1)
        for extreme in (np.fmin, np.fmax)
    )
    beside = sliding_window_view(np.pad(low == high, 1), (3, 3))
    varied = ~beside.any(axis=(2, 3))
    height, width = patch.shape
    varied = varied.repeat(np.diff(np.append(rows, height)), axis=0)
    return np.asarray(varied.repeat(np.diff(np.append(columns, width)), axis=1))


def _joined(parts: list[npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
    if not parts:
        return np.empty(0)
    return np.concatenate(parts).astype(np.float64)


def _centre(voxels: npt.NDArray[np.float64]) -> tuple[float, float]:
    if not voxels.size:
        return 0.0, 0.0
    median = float(np.median(voxels))
    deviation = float(np.median(np.abs(voxels - median)))
    background = voxels[voxels <= median + 2 * deviation]
    return float(np.median(background)), float(background.std())
