"""Width and contrast of what stands out of a volume's background, from a sample of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from blockseg.normalization.background import Background

_STANDS_OUT = 5.0  # noise SDs above the background
_BRIGHT, _SHARE = 0.99, 0.25  # quantile, and share of it, where 0 is the background
_SPECK = 12  # voxels of a patch below which a piece counts for nothing
_HIGH = 0.9  # quantile of the contrast of the brightest tenth
_FEW = 20  # voxels of middle lines that are too few for a median


@dataclass(frozen=True, slots=True)
class Structures:
    """Structures that stand out of the background in a sample of planes."""

    share: float
    """Share of the sample that is brighter than the background by 5 noise SDs; where the
    background is exactly 0, than a quarter of the 0.99 quantile."""

    half_width: float | None
    """Distance from the middle of a structure to its outside, in voxels of y and x: 1 for a
    line of one voxel, the median over all middle lines; None where there are too few."""

    contrast: float | None
    """Median height above the background, in noise SDs; None where there is no noise."""

    contrast_high: float | None
    """Height that the brightest tenth exceeds, in noise SDs; None likewise."""


def measure_structures(
    patches: Sequence[NDArray[Any]], background: Background
) -> Structures:
    """Measure what stands out of a sample.

    Parameters
    ----------
    patches
        2-D arrays, axes (y, x), of one volume.
    background
        Background of the volume.
    """
    limit = background.level + _STANDS_OUT * background.sd
    if background.clipped:
        limit = _bright(patches)
    masks = [np.asarray(patch > limit) for patch in patches]
    above = np.concatenate(
        [patch[mask] for patch, mask in zip(patches, masks, strict=True)]
        or [np.empty(0)]
    )
    total = sum(mask.size for mask in masks)
    widths = np.concatenate([*map(_half_widths, masks), np.empty(0)])
    heights = (above[np.isfinite(above)] - background.level) / background.sd
    known = not background.clipped and len(heights) > 0
    return Structures(
        share=len(above) / max(total, 1),
        half_width=float(np.median(widths)) if len(widths) >= _FEW else None,
        contrast=float(np.median(heights)) if known else None,
        contrast_high=float(np.quantile(heights, _HIGH)) if known else None,
    )


def _bright(patches: Sequence[NDArray[Any]]) -> float:
    """Return what is bright where 0 is the background."""
    values = np.concatenate([patch.ravel() for patch in patches if patch.any()])
    return _SHARE * float(np.quantile(values[np.isfinite(values)], _BRIGHT))


def _half_widths(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the distance to the outside at each voxel of the middle lines of a patch."""
    if np.count_nonzero(mask) < _SPECK or mask.all():
        return np.empty(0)
    from scipy import ndimage  # takes a quarter of a second, for info alone

    pieces, _ = ndimage.label(mask, np.ones((3, 3), bool))
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    mask = (sizes >= _SPECK)[pieces]
    distance = ndimage.distance_transform_edt(mask)
    middle = mask & (distance >= ndimage.maximum_filter(distance, 3))
    # What lies beyond the patch is unknown, and may be nearer than what is seen.
    y, x = (np.minimum(np.arange(n), np.arange(n)[::-1]) + 1 for n in mask.shape)
    middle &= distance <= np.minimum(y[:, None], x)
    return np.asarray(distance[middle], np.float64)
