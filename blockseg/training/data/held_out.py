"""Validation parts, cut to a size that can be scored quickly."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.core.labels import IGNORE

if TYPE_CHECKING:
    from blockseg.training.data.scan import AnnotationIndex, Codes

_PLACES = 32  # boxes that are compared
_SOME = 4096  # voxels of which the middle one is sought


def capped_shape(shape: Zyx, voxels: int) -> Zyx:
    """Return the largest box in a shape, as cubic as can be, of at most some voxels."""
    edge = max(shape)
    while math.prod(min(n, edge) for n in shape) > voxels:
        edge -= 1
    return to_zyx(min(n, edge) for n in shape)


def validation_box(
    index: AnnotationIndex,
    region: Roi,
    voxels: int,
    rng: np.random.Generator,
    codes: Codes,
) -> Roi:
    """Return the best annotated box of a region among those that are examined.

    Parameters
    ----------
    index
        Of the annotation in the region.
    region
        That is held out.
    voxels
        Of the largest box.
    rng
        Draws 32 places around annotated tiles.
    codes
        Reads the annotation: where a tile is larger than the box, which must not miss
        what is annotated in it.
    """
    shape = capped_shape(region.shape, voxels)
    if shape == region.shape:
        return region
    chance = index.labelled / index.labelled.sum()
    corners = index.tiles * index.edge
    drawn = rng.choice(len(corners), _PLACES, p=chance)
    if index.edge > min(shape):
        most = max(drawn, key=lambda n: (index.labelled[n], index.foreground[n]))
        tile = index.roi(int(most)).intersection(region)
        return _around(_annotated(tile, codes), shape, region)
    best, best_score = region, (-1, -1)
    for number in drawn:
        middle = to_zyx(int(c) + index.edge // 2 for c in corners[number])
        box = _around(middle, shape, region)
        inside = ((corners >= box.start) & (corners < box.stop)).all(axis=1)
        score = (
            int(index.labelled[inside].sum()),
            int(index.foreground[inside].sum()),
        )
        if score > best_score:
            best, best_score = box, score
    return best


def _around(middle: Zyx, shape: Zyx, region: Roi) -> Roi:
    start = to_zyx(
        max(a, min(m - n // 2, b - n))
        for m, n, a, b in zip(middle, shape, region.start, region.stop, strict=True)
    )
    return Roi(start, to_zyx(a + n for a, n in zip(start, shape, strict=True)))


def _annotated(tile: Roi, codes: Codes) -> Zyx:
    """Return the voxel nearest the centre of a tile's neurites, else of its annotation."""
    target = codes(tile)
    found = np.flatnonzero(target == 1)
    if not found.size:
        found = np.flatnonzero(target != IGNORE)
    if not found.size:  # the annotation changed on disk since it was indexed
        return tile.start
    some = found[:: -(-found.size // _SOME)]
    places = np.stack(np.unravel_index(some, target.shape), axis=1)
    away = ((places - places.mean(axis=0)) ** 2).sum(axis=1)
    return to_zyx(
        a + int(b) for a, b in zip(tile.start, places[away.argmin()], strict=True)
    )
