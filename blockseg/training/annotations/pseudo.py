"""Pseudo-annotation of a volume without an annotator: only what is beyond doubt.

Long bright structures are neurites, quiet places and compact spots are background, and
whatever lies between does not count. A network that learns it with synthetic brains
gets to know real texture, spots and edges, and no more than that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from blockseg.core.labels import IGNORE
from blockseg.normalization.background import estimate_background

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EVERYWHERE = np.ones((3, 3, 3), dtype=bool)
_HATS = (
    (7, 1.0),
    (11, 0.9),
)  # edge in voxels, weight: of thin neurites, and of wide ones
_SIGMA = 0.6  # voxels


@dataclass(frozen=True, slots=True)
class PseudoRules:
    """Rules for what is beyond doubt; contrasts are top-hats in background SDs."""

    sure: float = 4.0
    """Contrast that a neurite reaches somewhere."""

    part: float = 2.5
    """Contrast of whatever belongs to it."""

    unsure: float = 1.5
    """Contrast from which on an elongated structure may be a neurite."""

    long: float = 24.0
    """Least diagonal of a neurite's bounding box, in voxels."""

    short: float = 9.0
    """Greatest diagonal of a spot's bounding box, in voxels."""

    voxels: int = 60
    """Fewest voxels of a neurite."""

    core: float = 0.4
    """Share of the brightest voxel within 2 from which on a neurite's voxel counts."""

    soma: int = 0
    """Voxels that somata are thicker than to each side, which do not count; 0: none."""


def pseudo_labels(
    image: NDArray[np.generic], rules: PseudoRules | None = None
) -> NDArray[np.uint8]:
    """Return 0 on background, 1 on neurites and 255 elsewhere, shape (z, y, x).

    Parameters
    ----------
    image
        Grey levels, shape (z, y, x).
    rules
        What is beyond doubt.
    """
    rules = rules or PseudoRules()
    background = estimate_background(image, image.dtype)
    grey = (image.astype(np.float32) - background.level) / background.sd
    smooth = ndimage.gaussian_filter(grey, _SIGMA)
    contrast = np.maximum.reduce(
        [ndimage.white_tophat(smooth, size=(n,) * 3) * w for n, w in _HATS]
    )
    parts, diagonal, voxels, peak = _components(contrast > rules.part, contrast)
    neurite = (peak >= rules.sure) & (diagonal >= rules.long) & (voxels >= rules.voxels)
    mask = neurite[parts] & (parts > 0)
    spots = (diagonal < rules.short)[parts] & (parts > 0)
    unsure, length, _, _ = _components(contrast > rules.unsure, contrast)
    doubtful = (length >= rules.short + 1)[unsure] & (unsure > 0) & ~mask
    labels = np.full(image.shape, IGNORE, np.uint8)
    labels[(contrast < rules.part) | spots] = 0
    labels[doubtful] = IGNORE
    if rules.soma:
        solid = ndimage.binary_erosion(smooth > rules.part, iterations=rules.soma)
        around = ndimage.binary_dilation(solid, iterations=rules.soma + 2)
        labels[around] = IGNORE
        mask &= ~around
    # The flanks of a bright neurite are above any fixed bound.
    labels[ndimage.binary_dilation(mask, _EVERYWHERE)] = IGNORE
    labels[mask & (smooth > rules.core * ndimage.maximum_filter(smooth, 5))] = 1
    return labels


def _components(
    mask: NDArray[np.bool_], contrast: NDArray[np.float32]
) -> tuple[
    NDArray[np.int32], NDArray[np.float64], NDArray[np.int64], NDArray[np.float32]
]:
    """Return components, and by number their bounding diagonal, voxels and peak."""
    parts, count = ndimage.label(mask, _EVERYWHERE)
    diagonal = np.zeros(count + 1)
    for number, box in enumerate(ndimage.find_objects(parts), 1):
        diagonal[number] = np.linalg.norm([side.stop - side.start for side in box])
    voxels = np.bincount(parts.ravel(), minlength=count + 1)
    peak = np.zeros(count + 1, np.float32)
    if count:
        peak[1:] = ndimage.maximum(contrast, parts, np.arange(1, count + 1))
    return parts, diagonal, voxels, peak
