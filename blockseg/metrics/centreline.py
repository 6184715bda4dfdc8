"""Centrelines of masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.metrics.scores import Agreement

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["SKELETON_HALO", "cl_dice_counts", "skeleton", "skeleton_length"]

_CALL = 2**15  # voxels whose thinning takes as long as a call

SKELETON_HALO = 16
"""Voxels that a block's skeleton needs around it.

Thinning peels a mask layer by layer, and a cut through a neurite looks like an end
of it: its skeleton is disturbed as far from the cut as the neurite is thick.
"""


def skeleton(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the centreline of a mask, one voxel thin.

    Parameters
    ----------
    mask
        Shape (z, y, x).

    Notes
    -----
    Thinning that keeps the topology and the ends: T.-C. Lee, R. L. Kashyap, C.-N. Chu,
    Building skeleton models via 3-D medial surface/axis thinning algorithms,
    CVGIP 56, 1994; scikit-image's.
    """
    out = np.zeros(mask.shape, dtype=bool)
    if not mask.any():
        return out
    from skimage.morphology import skeletonize

    others = ((1, 2), (0, 2), (0, 1))
    inside = [np.flatnonzero(mask.any(axis=axes)) for axes in others]
    box = tuple(slice(n[0], n[-1] + 1) for n in inside)
    thin: Callable[..., NDArray[Any]] = skeletonize
    out[box] = thin(mask[box].copy(), method="lee") != 0
    return out


def skeleton_length(labels: NDArray[np.integer], count: int) -> int:
    """Return how many voxels the centreline of a mask has; as :func:`skeleton`, sooner.

    Thinning goes over a whole box again and again, so components, which have nothing to
    do with each other, are thinned in boxes of their own where those are smaller.

    Parameters
    ----------
    labels
        Number of each voxel's component from 1, 26-connected, and 0; shape (z, y, x).
    count
        Of components.
    """
    from scipy.ndimage import find_objects

    boxes = find_objects(labels, count)
    volumes = [int(np.prod([axis.stop - axis.start for axis in box])) for box in boxes]
    apart = sum(volume + _CALL for volume in volumes if volume > 1)
    if apart >= labels.size + _CALL:
        return int(np.count_nonzero(skeleton(labels > 0)))
    return sum(
        int(np.count_nonzero(skeleton(labels[box] == number))) if volume > 1 else 1
        for number, (box, volume) in enumerate(zip(boxes, volumes, strict=True), 1)
    )


def cl_dice_counts(
    predicted: NDArray[np.bool_],
    true: NDArray[np.bool_],
    predicted_line: NDArray[np.bool_],
    true_line: NDArray[np.bool_],
) -> Agreement:
    """Count what clDice is made of; its value is the counts' ``f1``.

    Precision is the share of the predicted centreline inside the true mask
    (topology precision), recall the share of the true centreline inside the
    predicted mask (topology sensitivity): S. Shit et al., clDice, CVPR 2021.

    Parameters
    ----------
    predicted, true
        Masks of one shape.
    predicted_line, true_line
        Their centrelines, as far as they count.
    """
    return Agreement(
        predicted=int(np.count_nonzero(predicted_line)),
        right=int(np.count_nonzero(predicted_line & true)),
        true=int(np.count_nonzero(true_line)),
        found=int(np.count_nonzero(true_line & predicted)),
    )
