"""Cut what is validated on to a size that a validation has time for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.training.data import ValidationVolume
from blockseg.training.labels import ringed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from blockseg.training.scan import CellIndex

__all__ = ["capped_shape", "validation_box", "validation_volume"]

_PLACES = 32  # boxes that are compared


def capped_shape(shape: Zyx, voxels: int) -> Zyx:
    """Return the largest box in a shape, as cubic as can be, of at most some voxels."""
    edge = max(shape)
    while math.prod(min(n, edge) for n in shape) > voxels:
        edge -= 1
    return to_zyx(min(n, edge) for n in shape)


def validation_box(
    index: CellIndex, region: Roi, voxels: int, rng: np.random.Generator
) -> Roi:
    """Return the best annotated box of a region, of those that are looked at.

    Parameters
    ----------
    index
        Of the annotation in the region.
    region
        That is held out.
    voxels
        Of the largest box.
    rng
        Draws 32 places around annotated cells.
    """
    shape = capped_shape(region.shape, voxels)
    if shape == region.shape:
        return region
    chance = index.labelled / index.labelled.sum()
    corners = index.cells * index.edge
    best, best_score = region, (-1, -1)
    for number in rng.choice(len(corners), _PLACES, p=chance):
        start = to_zyx(
            max(a, min(int(c) + index.edge // 2 - n // 2, b - n))
            for c, n, a, b in zip(
                corners[number], shape, region.start, region.stop, strict=True
            )
        )
        stop = to_zyx(a + n for a, n in zip(start, shape, strict=True))
        inside = ((corners >= start) & (corners < stop)).all(axis=1)
        score = (
            int(index.labelled[inside].sum()),
            int(index.foreground[inside].sum()),
        )
        if score > best_score:
            best, best_score = Roi(start, stop), score
    return best


def validation_volume(
    name: str,
    image: NDArray[np.float32],
    target: NDArray[np.uint8],
    weight: float,
    *,
    ring: bool,
) -> ValidationVolume:
    """Return a volume to validate on.

    Parameters
    ----------
    name
        For people.
    image, target
        Of one shape (z, y, x).
    weight
        In a mean over volumes.
    ring
        Whether background that touches a neurite becomes ``RING``.
    """
    return ValidationVolume(name, image, ringed(target) if ring else target, weight)
