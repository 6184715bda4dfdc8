"""Width and contrast of what stands out of a volume's background, from a sample of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from blockseg.normalization.background import Background

_STANDS_OUT = 5.0  # noise SDs above the background
_BRIGHT, _SHARE = 0.99, 0.25  # quantile, and share of it, where 0 is the background
_SMOOTHING = 1.0  # SD in voxels, so that noise leaves no holes in what is thick
_SMOOTH_STANDS_OUT = 4.0
_NEAR = (
    31  # voxels: a structure ends where it has half the height of the greatest near it
)
_SPECK = 20  # voxels of a patch below which a piece counts for nothing
_RIM = 12  # voxels around what was not imaged: the edge of tissue glows
_HIGH = 0.9  # quantile of the contrast of the brightest tenth
_WIDE = 0.75  # quantile of the half-widths of the widest quarter
_BRIGHTEST = 0.98  # quantile of a plane from which on its voxels are followed along z
_SOMA = 5.0  # voxels, radius from which on what is round is a soma
_ROUND = 2.0  # times the area of the circle that fits inside: what is longer is no soma
_FEW = 20  # voxels of middle lines that are too few for a median


@dataclass(frozen=True, slots=True)
class Structures:
    """Structures that stand out of the background in a sample of planes."""

    share: float
    """Share of the sample that is brighter than the background near it by 5 noise SDs; where
    the background is exactly 0, than a quarter of the 0.99 quantile."""

    half_width: float | None
    """Distance from the middle of a structure to where it has half its height, in voxels of
    y and x: 1 to 2 for a line of one voxel, the median over all middle lines; None where
    there are too few."""

    half_width_high: float | None
    """Half-width that the widest quarter exceeds; None likewise."""

    contrast: float | None
    """Median height above the background, in noise SDs; None where there is no noise."""

    contrast_high: float | None
    """Height that the brightest tenth exceeds, in noise SDs; None likewise."""

    neurite_width: float | None = None
    """As ``half_width_high``, of what is not round and wide; None where that is too little."""

    somata: float = 0.0
    """Share of what has a width that is round and 5 voxels or more in radius."""


@dataclass(frozen=True, slots=True, eq=False)
class _Widths:
    """Half-widths in one patch."""

    widths: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    round: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, bool))
    area: int = 0
    area_of_round: int = 0


def measure_structures(
    patches: Sequence[NDArray[Any]],
    background: Background,
    heights: Sequence[NDArray[np.float32]] | None = None,
) -> Structures:
    """Measure what stands out of a sample.

    Parameters
    ----------
    patches
        Grey levels, 2-D arrays, axes (y, x), of one volume.
    background
        Background of the volume.
    heights
        Patches in noise SDs above the background near each voxel; above the background of
        the whole volume if not given. Not needed where the background is exactly 0.
    """
    limit = smooth_limit = _STANDS_OUT
    if background.clipped:
        limit = smooth_limit = _bright(patches) / background.sd
        heights = None
    else:
        smooth_limit = _SMOOTH_STANDS_OUT
    if heights is None:
        heights = [_heights(patch, background) for patch in patches]
    above = np.concatenate([np.empty(0), *(h[h > limit] for h in heights)])
    above = above[np.isfinite(above)]
    total = sum(patch.size for patch in patches)
    nowhere = [np.zeros(patch.shape, bool) for patch in patches]
    if not background.clipped:
        nowhere = [patch == 0 for patch in patches]
    measured = [
        _half_widths(h, off, smooth_limit)
        for h, off in zip(heights, nowhere, strict=True)
    ]
    widths = np.concatenate([np.empty(0), *(one.widths for one in measured)])
    long = np.concatenate([np.empty(0), *(one.widths[~one.round] for one in measured)])
    area = sum(one.area for one in measured)
    known = not background.clipped and len(above) > 0
    enough = len(widths) >= _FEW
    return Structures(
        share=len(above) / max(total, 1),
        half_width=float(np.median(widths)) if enough else None,
        half_width_high=float(np.quantile(widths, _WIDE)) if enough else None,
        contrast=float(np.median(above)) if known else None,
        contrast_high=float(np.quantile(above, _HIGH)) if known else None,
        neurite_width=float(np.quantile(long, _WIDE)) if len(long) >= _FEW else None,
        somata=sum(one.area_of_round for one in measured) / max(area, 1),
    )


def _heights(patch: NDArray[Any], background: Background) -> NDArray[np.float32]:
    """Return a patch in noise SDs above the background of the whole volume."""
    above = (patch.astype(np.float32) - background.level) / background.sd
    return np.asarray(above, np.float32)


def _bright(patches: Sequence[NDArray[Any]]) -> float:
    """Return what is bright where 0 is the background."""
    values = [patch.ravel() for patch in patches if patch.any()]
    if not values:
        return 0.0
    grey = np.concatenate(values)
    return _SHARE * float(np.quantile(grey[np.isfinite(grey)], _BRIGHT))


def _half_widths(
    heights: NDArray[np.float32], nowhere: NDArray[np.bool_], limit: float
) -> _Widths:
    """Return the distance to the outside at each voxel of the middle lines of a patch.

    A structure is where the smoothed patch has at least half of its greatest height near
    by, so that neither a soma's glow nor a blurred outline counts.
    """
    from scipy import ndimage  # takes a quarter of a second, for info alone

    known = np.isfinite(heights) & ~nowhere
    smooth = ndimage.gaussian_filter(np.where(known, heights, 0.0), _SMOOTHING)
    mask = (smooth > limit) & (2 * smooth > ndimage.maximum_filter(smooth, _NEAR))
    if nowhere.any():
        mask &= ndimage.distance_transform_edt(~nowhere) > _RIM
    pieces, _ = ndimage.label(mask, np.ones((3, 3), bool))
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    mask = (sizes >= _SPECK)[pieces]
    if not mask.any() or mask.all():
        return _Widths()
    distance = ndimage.distance_transform_edt(mask)
    middle = mask & (distance >= ndimage.maximum_filter(distance, 3))
    # What lies beyond the patch is unknown, and may be nearer than what is seen.
    y, x = (np.minimum(np.arange(n), np.arange(n)[::-1]) + 1 for n in mask.shape)
    middle &= distance <= np.minimum(y[:, None], x)
    round_ = _round(distance)
    return _Widths(
        np.asarray(distance[middle], np.float64),
        round_[middle],
        int(np.count_nonzero(mask)),
        int(np.count_nonzero(round_)),
    )


def _round(distance: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return the voxels of a patch in round pieces, given how deep each lies."""
    from scipy import ndimage

    core = distance >= _SOMA
    if not core.any():
        return core
    wide = (ndimage.distance_transform_edt(~core) < _SOMA) & (distance > 0)
    pieces, count = ndimage.label(wide)
    areas = np.bincount(pieces.ravel(), minlength=count + 1)
    radii = ndimage.maximum(distance, pieces, np.arange(count + 1))
    found = areas < _ROUND * np.pi * np.asarray(radii) ** 2
    found[0] = False
    return np.asarray(found[pieces], bool)


def half_depth(boxes: Sequence[NDArray[np.float32]]) -> float | None:
    """Return how far structures reach along z, as :class:`Structures` has it in a plane.

    Parameters
    ----------
    boxes
        Heights above the background in any unit, axes (z, y, x), the middle plane of each
        being the one in which something bright was seen.

    Returns
    -------
    float | None
        Planes from the brightest one to where a structure has half its height, 1 where it
        is in a single plane: the median over the brightest voxels of a box, and of these the
        lower quartile over the boxes, as somata are deep. None where there are no boxes.
    """
    medians = []
    for box in boxes:
        middle = box[len(box) // 2]
        bright = np.argwhere(middle >= np.quantile(middle, _BRIGHTEST))
        depths = []
        for y, x in bright:
            line = box[:, y, x]
            high = line >= line[len(line) // 2] / 2
            up, down = high[len(line) // 2 :], high[len(line) // 2 :: -1]
            steps = [len(s) if s.all() else int(s.argmin()) for s in (up, down)]
            depths.append(sum(steps) / 2)
        medians.append(np.median(depths))
    return float(np.quantile(medians, 0.25)) if medians else None
