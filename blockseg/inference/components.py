"""Connected components of foreground, and which of them are long enough to be a neurite's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Roi, Zyx

LENGTH = 8
"""Voxels along its longest axis that a component of a neurite has at least.

A point seen through a microscope is a spot of about two widths of the point spread,
which is up to 4 voxels for volumes that show thin neurites; a neurite is longer.
"""


def spans(mask: NDArray[np.bool_]) -> tuple[NDArray[np.integer], NDArray[np.int64]]:
    """Label the components of a mask, with 26 neighbours, and measure them.

    Parameters
    ----------
    mask
        (z, y, x).

    Returns
    -------
    labels
        Component of each voxel, from 1; 0 outside of the mask.
    lengths
        Of the box around each component along its longest axis; 0 for label 0.
    """
    import cc3d

    # It fails on some arrays that are one voxel thin along an axis.
    padded = np.pad(mask, 1)
    labels = cc3d.connected_components(padded, connectivity=26)
    boxes = cc3d.statistics(labels, no_slice_conversion=True)["bounding_boxes"]
    boxes = boxes.astype(np.int64)
    lengths = (boxes[:, 1::2] - boxes[:, 0::2]).max(axis=1) + 1
    lengths[0] = 0
    return labels[1:-1, 1:-1, 1:-1], lengths


def long_components(
    foreground: NDArray[np.bool_], roi: Roi, volume_shape: Zyx
) -> tuple[NDArray[np.integer], NDArray[np.bool_]]:
    """Tell components of neurites from specks, in a part of a volume.

    A component of LENGTH voxels may be a neurite, a shorter one is a speck. What a face of
    the part cuts off shorter than that is neither: it may go on beyond.

    Parameters
    ----------
    foreground
        Of the part (z, y, x).
    roi
        The part.
    volume_shape
        Voxels along (z, y, x): where the volume ends, nothing goes on.

    Returns
    -------
    neurites
        Number of each voxel's component, from 1, in the shape of ``foreground``; 0 where
        there is none, or one that is too short.
    specks
        Voxels of components that are too short.
    """
    labels, lengths = spans(foreground)
    cut = np.zeros(len(lengths), bool)
    for axis, (a, b, n) in enumerate(
        zip(roi.start, roi.stop, volume_shape, strict=True)
    ):
        if a > 0:
            cut[labels.take(0, axis)] = True
        if b < n:
            cut[labels.take(-1, axis)] = True
    long = lengths >= LENGTH
    specks = ~long & ~cut
    specks[0] = False
    return np.where(long, np.arange(len(long)), 0)[labels], specks[labels]
