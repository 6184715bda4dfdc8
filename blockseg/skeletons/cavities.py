"""Cavities inside objects, which would leave a shell where a line belongs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

EDGE = 8
"""Voxels along each axis that a cavity has at most to be filled."""

_Label = TypeVar("_Label", bound=np.generic)


def filled(labels: NDArray[_Label]) -> NDArray[_Label]:
    """Return objects without their small cavities.

    A cavity is background that no path through faces leads out of; it takes the value of
    what lies around it. One that touches the side of the window is left: only voxels
    within :data:`EDGE` of that side can differ from what a larger window gives.

    Parameters
    ----------
    labels
        Shape (z, y, x), 0 in the background.
    """
    import cc3d

    foreground = np.flatnonzero((labels != 0).any(axis=(1, 2)))
    if not len(foreground):
        return labels
    # Air outside of what holds objects is no cavity.
    first, last = foreground[0], foreground[-1] + 1
    part = labels[first:last]
    connected: Any = cc3d.connected_components
    holes, count = connected(part == 0, connectivity=6, return_N=True)
    if count < 2:
        return labels
    told: Any = cc3d.statistics(holes, no_slice_conversion=True)["bounding_boxes"]
    boxes = np.asarray(told, np.int64).reshape(-1, 3, 2)
    low, high = boxes[:, :, 0], boxes[:, :, 1] + 1
    apart = (high - low <= EDGE) & (low > 0) & (high < np.array(part.shape))
    small = np.asarray(apart.all(axis=1))
    small[0] = False
    if not small.any():
        return labels
    out = labels.copy()
    inside = out[first:last]
    voxels = np.flatnonzero(small[holes])
    hole = holes.reshape(-1)[voxels]
    # The voxel before the first of a cavity along x is what surrounds it.
    names, at = np.unique(hole, return_index=True)
    around = inside.reshape(-1)[voxels[at] - 1]
    inside.reshape(-1)[voxels] = around[np.searchsorted(names, hole)]
    return out
