"""Foreground in a cube, and what is too close to it to be background."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blockseg.dhpr.grey_scale import CODES
from blockseg.dhpr.texture import SUBCUBE, subcubes_of
from blockseg.morphology.topology import labelled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.dhpr.grey_scale import GreyScale

AROUND = 3
"""Voxels around F⁺ that are no background."""

_BRIGHT = 4.0  # noise SDs over the surroundings
_SMALLEST = 32  # voxels of a piece; less is noise


def linked(weak: NDArray[np.bool_], strong: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the components of ``weak``, 26-connected, that touch ``strong``.

    Hysteresis: J. Canny, A computational approach to edge detection, IEEE PAMI 8, 1986.

    Parameters
    ----------
    weak, strong
        Masks of one shape (z, y, x); what is strong is weak too.
    """
    if not strong.any():
        return np.zeros_like(strong)
    if np.array_equal(weak, strong):
        return strong
    labels, count = labelled(weak)
    # Few voxels of a cube are weak: a look at each of them is less than one at all.
    places = np.flatnonzero(weak)
    of_weak = labels.ravel()[places]
    touched = np.zeros(count + 1, bool)
    touched[of_weak[strong.ravel()[places]]] = True
    found = np.zeros_like(weak)
    found.ravel()[places[touched[of_weak]]] = True
    return found


def surroundings(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return what lies within 3 voxels of a mask along each axis, and not in it.

    Parameters
    ----------
    mask
        Shape (z, y, x).
    """
    padded = np.pad(mask, AROUND)
    grown = padded.ravel()
    # In one dimension, where the padding keeps rows apart: whole arrays are joined
    # at once. Three voxels are one and then two.
    for stride in (padded.shape[1] * padded.shape[2], padded.shape[2], 1):
        for by in (stride, (AROUND - 1) * stride):
            before = grown
            grown = before.copy()
            grown[by:] |= before[:-by]
            grown[:-by] |= before[by:]
    inner = (slice(AROUND, -AROUND),) * 3
    found: NDArray[np.bool_] = grown.reshape(padded.shape)[inner] & ~mask
    return found


def bright_foreground(
    codes: NDArray[np.uint8], start: Zyx, scale: GreyScale
) -> NDArray[np.bool_]:
    """Return what is 4 s brighter than its surroundings, in pieces of 32 voxels or more.

    The surroundings of a voxel are the median over 3³ subcubes of 8³ voxels of their mean
    grey levels, within the cube: a neurite fills a part of a few of them. Of parts of
    cubes without a whole subcube, the median of all voxels.

    Parameters
    ----------
    codes
        Codes of a cube, shape (z, y, x); those without a grey level are no foreground.
    start
        First voxel of the cube in the volume's coordinates.
    scale
        Grey scale of the run.
    """
    from scipy.ndimage import median_filter

    grey = np.full(256, scale.level, np.float32)
    grey[:CODES] = scale.levels()
    voxels = grey.take(codes)
    means, places = subcubes_of(voxels, start)
    known = codes < CODES
    around = np.float32(np.median(voxels[known]) if known.any() else scale.level)
    if means.size:
        smooth = median_filter(means / SUBCUBE**3, size=3, mode="nearest")
        around = smooth[np.ix_(*places)]
    bright = (voxels - around > _BRIGHT * scale.sd) & known
    if not bright.any():
        return bright
    labels, count = labelled(bright)
    large = np.bincount(labels.ravel(), minlength=count + 1) >= _SMALLEST
    large[0] = False
    found: NDArray[np.bool_] = large[labels]
    return found
