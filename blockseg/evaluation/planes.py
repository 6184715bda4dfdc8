"""Planes of a truth that is annotated in single planes only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.geometry import Roi
from blockseg.core.grid import BlockGrid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.evaluation.truth import Truth

_FEW = 3
"""Most consecutive planes that still count as single planes."""


def single_planes(
    truth: Truth, shape: Zyx, block: Zyx, roi: Roi
) -> NDArray[np.bool_] | None:
    """Return which planes of a volume are annotated; None for a truth known in 3-D.

    A truth is known in 3-D if more than three planes in a row hold known voxels, or if
    every plane does. All of it is read only if it is not.

    Parameters
    ----------
    truth
        An annotation, or traced neurons.
    shape
        Voxels of the volume along (z, y, x).
    block
        Voxels that are read at a time.
    roi
        Region that is scored.
    """
    if truth.traced:
        return None
    whole = Roi.whole(shape)
    # A plane that is scored alone is a single one if those beside it are unknown.
    region = roi.grown((1, 0, 0)).intersection(whole)
    annotated = np.zeros(shape[0], dtype=bool)
    for part in BlockGrid(shape, block, roi=region):
        known = truth.read(part.write_roi).counts
        annotated[part.write_roi.slices()[0]] |= known.any(axis=(1, 2))
        if _longest(annotated) > _FEW:
            return None
    return None if annotated[region.slices()[0]].all() else annotated


def _longest(annotated: NDArray[np.bool_]) -> int:
    """Return how many planes in a row are annotated, at most."""
    ends = np.flatnonzero(np.diff(annotated, prepend=False, append=False))
    return int((ends[1::2] - ends[::2]).max(initial=0))
