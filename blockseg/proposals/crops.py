"""Crops of a pick: its image, and a first draft of its label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.geometry import Roi, to_zyx
from blockseg.core.labels import IGNORE
from blockseg.dhpr.cubes import CUBE
from blockseg.dhpr.foreground import bright_foreground
from blockseg.io.output.picture import as_grey
from blockseg.reports.page import address, jpeg_address

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.proposals.brain import Brain

_SURE = (51, 204)  # in 1/255: 0.2 and 0.8; between them a network is not sure
_GREY = 90  # of what does not count
_EDGE = 128  # pixels of a picture at most
_QUALITIES = (70, 50, 30, 15)  # of JPEG; the first that is small enough
_ALL_BYTES = 1_050_000  # of the JPEGs of a page: one of 300 picks stays below 3 MB


def context(brain: Brain, box: Roi, margin: int) -> Roi:
    """Return a pick with its margin, as far as the volume goes."""
    grown = box.grown((margin, margin, margin))
    return grown.intersection(Roi.whole(brain.source.shape))


def image_of(brain: Brain, roi: Roi) -> NDArray[np.generic]:
    """Return the grey levels of a region, in a type that TIFF of ImageJ has.

    uint8, uint16 and float32 stay as they are; others become float32.
    """
    raw = brain.source.read(roi)
    return raw if raw.dtype in (np.uint8, np.uint16) else raw.astype(np.float32)


def draft(
    brain: Brain,
    image: NDArray[np.generic],
    box: Roi,
    roi: Roi,
    *,
    ignore_uncertain: bool,
) -> NDArray[np.uint8]:
    """Return the first draft of a label: 1 neurite, 0 background, 255 does not count.

    The network's mask; where no network has seen the brain, what is 4 noise SDs brighter
    than its surroundings. Voxels without a grey level do not count.

    Parameters
    ----------
    brain
        Brain that it is cut from.
    image
        Grey levels of ``roi``.
    box
        The pick; around it nothing counts.
    roi
        The pick with its margin.
    ignore_uncertain
        Whether probabilities from 0.2 to 0.8 do not count.
    """
    label = np.full(roi.shape, IGNORE, np.uint8)
    inner = box.slices(roi.start)
    if brain.probability is None:
        guess = _bright(brain, image[inner], box)
    else:
        corner = brain.grid.region.start
        p = brain.probability.read(box.shifted(-n for n in corner))
        guess = (p >= brain.threshold).astype(np.uint8)
        if ignore_uncertain:
            guess[(p >= _SURE[0]) & (p < _SURE[1])] = IGNORE
    guess[~np.isfinite(image[inner])] = IGNORE
    label[inner] = guess
    return label


def probability_of(brain: Brain, box: Roi, roi: Roi) -> NDArray[np.uint8] | None:
    """Return the probability of a pick in 1/255, 0 in its margin; None without a network.

    Parameters
    ----------
    brain
        Brain that it is cut from.
    box, roi
        The pick, and the pick with its margin.
    """
    if brain.probability is None:
        return None
    seen = np.zeros(roi.shape, np.uint8)
    corner = brain.grid.region.start
    inner = brain.probability.read(box.shifted(-n for n in corner))
    seen[box.slices(roi.start)] = inner
    return seen


def thumbnails(
    image: NDArray[np.generic], label: NDArray[Any], among: int
) -> tuple[str, str]:
    """Return maximum projections along z for a page: of the image, and of its label.

    Parameters
    ----------
    image
        Grey levels, axes (z, y, x).
    label
        White where any voxel is a neurite, grey where nothing counts.
    among
        Picks of the page: the more, the fewer bytes each may take.
    """
    neurite = ((label > 0) & (label != IGNORE)).any(axis=0)
    ignored = (label == IGNORE).all(axis=0)
    shown = np.where(neurite, 255, np.where(ignored, _GREY, 0)).astype(np.uint8)
    # The greatest of what has a grey level, as NaN is greater than nothing.
    grey = as_grey(np.fmax.reduce(image, axis=0))
    seen = jpeg_address(_small(grey), _QUALITIES, _ALL_BYTES / among)
    return seen, address(_small(shown))


def _bright(brain: Brain, image: NDArray[np.generic], box: Roi) -> NDArray[np.uint8]:
    """Apply the rule by which ``blockseg metrics`` finds foreground, cube by cube."""
    codes = brain.cubes.scale.codes(image)
    found = np.zeros(box.shape, np.uint8)
    steps = [
        sorted({a, b, *range(-(-a // CUBE) * CUBE, b, CUBE)})
        for a, b in zip(box.start, box.stop, strict=True)
    ]
    for corner in np.ndindex(*(len(step) - 1 for step in steps)):
        start, stop = (
            to_zyx(step[i + far] for step, i in zip(steps, corner, strict=True))
            for far in (0, 1)
        )
        at = Roi(start, stop).slices(box.start)
        found[at] = bright_foreground(codes[at], start, brain.cubes.scale)
    return found


def _small(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    step = -(-max(plane.shape) // _EDGE)
    for axis, n in enumerate(plane.shape):
        plane = np.maximum.reduceat(plane, np.arange(0, n, step), axis=axis)
    return plane
