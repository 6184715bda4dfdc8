"""Lay windows of one shape over what is wanted of a region."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.geometry import Roi, floor_to, to_zyx

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

    from blockseg.core.geometry import Zyx

__all__ = ["cover", "tiles"]


def tiles(region: Roi, core: Zyx) -> Iterator[Roi]:
    """Yield boxes of shape ``core`` that tile a region; the last ones overhang it."""
    axes = [
        range(a, b, n) for a, b, n in zip(region.start, region.stop, core, strict=True)
    ]
    for start in product(*axes):
        yield _box(to_zyx(start), core)


def cover(
    wanted: NDArray[np.bool_], region: Roi, core: Zyx, step: int
) -> Iterator[Roi]:
    """Yield disjoint boxes of shape ``core`` that cover what is wanted.

    Slabs along z begin where something is wanted, in them rows along y, and in
    these boxes along x: never more boxes than tiles of the region, if it starts at a
    multiple of ``step``.

    Parameters
    ----------
    wanted
        What to cover, shape of ``region``.
    region
        Its place in the volume.
    core
        Voxels of a box along (z, y, x).
    step
        Boxes start at multiples of this many voxels of the volume.
    """
    for z in _starts(wanted.any(axis=(1, 2)), region.start[0], core[0], step):
        slab = wanted[_within(z, core[0], region, 0)]
        for y in _starts(slab.any(axis=(0, 2)), region.start[1], core[1], step):
            row = slab[:, _within(y, core[1], region, 1)]
            for x in _starts(row.any(axis=(0, 1)), region.start[2], core[2], step):
                yield _box((z, y, x), core)


def _starts(wanted: ArrayLike, first: int, length: int, step: int) -> Iterator[int]:
    places = np.flatnonzero(wanted) + first
    while len(places):
        start = floor_to(int(places[0]), step)
        yield start
        places = places[places >= start + length]


def _within(start: int, length: int, region: Roi, axis: int) -> slice:
    origin = region.start[axis]
    return slice(max(start - origin, 0), start + length - origin)


def _box(start: Zyx, core: Zyx) -> Roi:
    return Roi(start, to_zyx(a + n for a, n in zip(start, core, strict=True)))
