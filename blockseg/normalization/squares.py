"""Small squares of a volume's sample, each judged by itself: b, s and how many voxels count."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from blockseg.normalization.background import least_sd, saturation, varied

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from blockseg.core.geometry import Roi
    from blockseg.core.space import Vector

_Square: TypeAlias = "tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]"
"""Voxels of a square, and which of them may be background."""

SQUARE = 32
"""Edge of a square in voxels: a slope of light across it would count as noise."""


_AT_ONCE = 64  # squares whose voxels are sorted together: they stay in the cache


@dataclass(frozen=True, slots=True, eq=False)
class Squares:
    """Squares of the sample, each judged by itself."""

    centre: npt.NDArray[np.float64]
    """Where they lie, shape (n, 3), in voxels."""

    voxels: npt.NDArray[np.int64]
    """Voxels that may be background, shape (n,)."""

    level: npt.NDArray[np.float64]
    """b, shape (n,), in grey levels."""

    sd: npt.NDArray[np.float64]
    """s, shape (n,), in grey levels."""


def judged_squares(
    patches: Sequence[npt.NDArray[Any]], rois: Sequence[Roi], dtype: npt.DTypeLike
) -> Squares:
    """Judge every square of a sample by itself.

    Parameters
    ----------
    patches
        Raw voxels ``(y, x)``.
    rois
        Where each lies, one plane thick.
    dtype
        Of the volume.

    Returns
    -------
    Squares
        Those of one shape together, in the order of the patches.
    """
    limit = saturation(patches, dtype)
    waiting: dict[tuple[int, ...], list[_Square]] = defaultdict(list)
    centres: dict[tuple[int, ...], list[Vector]] = defaultdict(list)
    rows: dict[tuple[int, ...], list[npt.NDArray[np.float64]]] = defaultdict(list)

    def judge(shape: tuple[int, ...]) -> None:
        some = waiting.pop(shape)
        voxels, good = (np.stack([one[k] for one in some]) for k in (0, 1))
        rows[shape].append(_centres(voxels, good, dtype))

    for patch, roi in zip(patches, rois, strict=True):
        good = np.isfinite(patch) & (patch != 0) & (patch < limit)
        good &= varied(patch[None])[0]
        for part, centre in _parts(patch.shape, roi):
            shape = patch[part].shape
            waiting[shape].append((patch[part], good[part]))
            centres[shape].append(centre)
            if len(waiting[shape]) == _AT_ONCE:  # of all, masks are half of the sample
                judge(shape)
    for shape in tuple(waiting):
        judge(shape)
    # By shape, as they first came.
    every = [centre for shape in centres for centre in centres[shape]]
    found = [row for shape in centres for row in rows[shape]]
    counted, level, sd = np.concatenate(found).T
    return Squares(np.array(every), counted.astype(np.int64), level, sd)


def _centres(
    voxels: npt.NDArray[Any], good: npt.NDArray[np.bool_], dtype: npt.DTypeLike
) -> npt.NDArray[np.float64]:
    """Return counted voxels, b and s of each square, shape (n, 3)."""
    number = len(voxels)
    grey = voxels.reshape(number, -1).astype(np.float64)
    grey[~good.reshape(number, -1)] = np.inf
    grey.sort(axis=1)
    count = np.count_nonzero(np.isfinite(grey), axis=1)
    some = np.maximum(count, 1)
    with np.errstate(invalid="ignore"):  # rows without a voxel that counts
        away = np.abs(grey - _middle(grey, some)[:, None])
        away[np.isnan(away)] = np.inf
        away.sort(axis=1)
        bound = _middle(grey, some) + 2 * _middle(away, some)
        kept = np.count_nonzero(grey <= bound[:, None], axis=1)
        kept = np.clip(kept, 1, some)
        level = np.where(count > 0, _middle(grey, kept), 0.0)
        inner = np.arange(grey.shape[1]) < np.where(count > 0, kept, 0)[:, None]
        centred = np.where(inner, grey - level[:, None], 0.0)
    mean = centred.sum(axis=1) / kept
    variance = np.square(centred).sum(axis=1) / kept - mean**2
    sd = np.sqrt(np.maximum(variance, 0.0))
    return np.stack([count, level, np.maximum(sd, least_sd(level, dtype))], axis=1)


def _middle(
    rising: npt.NDArray[np.float64], count: npt.NDArray[np.intp]
) -> npt.NDArray[np.float64]:
    """Return the median of the first values of each row, which rise."""
    row = np.arange(len(rising))
    middle: npt.NDArray[np.float64] = rising[row, (count - 1) // 2]
    return (middle + rising[row, count // 2]) / 2


def _parts(
    shape: tuple[int, ...], roi: Roi
) -> Iterator[tuple[tuple[slice, slice], Vector]]:
    """Yield the squares of a patch and their centres; a remainder joins the last."""
    z, y, x = roi.start
    edges = [[*range(0, max(n - SQUARE + 1, 1), SQUARE), n] for n in shape]
    for a, b in pairwise(edges[0]):
        for c, d in pairwise(edges[1]):
            centre = (float(z), y + (a + b - 1) / 2, x + (c + d - 1) / 2)
            yield (slice(a, b), slice(c, d)), centre
