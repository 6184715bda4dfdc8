"""Cover of an inference mask with windows of one shape."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.cubes import by_cube
from blockseg.core.geometry import Roi, floor_to, to_zyx

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

    from blockseg.core.geometry import Zyx


def tiling(region: Roi, core: Zyx) -> Iterator[Roi]:
    """Yield boxes of shape ``core`` that tile a region; the last ones overhang it."""
    axes = [
        range(a, b, n) for a, b, n in zip(region.start, region.stop, core, strict=True)
    ]
    for start in product(*axes):
        yield _box(to_zyx(start), core)


def cover(mask: NDArray[np.bool_], region: Roi, core: Zyx, step: int) -> Iterator[Roi]:
    """Yield boxes of shape ``core`` that cover a mask, which may overlap.

    The fewer of two covers, never more boxes than tiles of the region, if it starts at a
    multiple of ``step``. In one, slabs along z begin where the mask does, in them rows
    along y, and in these boxes along x. In the other each box holds the first place
    that is not yet covered, and as much besides as it can.

    Parameters
    ----------
    mask
        What to cover, shape of ``region``.
    region
        Its place in the volume.
    core
        Voxels of a box along (z, y, x).
    step
        Boxes start at multiples of this many voxels of the volume, or where others end.
    """
    tiles = by_cube(mask, region, step)
    first = [floor_to(a, step) for a in region.start]
    spans = [n // step for n in core]
    starts = list(_in_rows(mask, region, core, step))
    if min(spans) > 0:
        greedy = _greedy(tiles, to_zyx(spans))
        if len(greedy) < len(starts):
            starts = [to_zyx(np.multiply(place, step) + first) for place in greedy]
    for start in starts:
        yield _box(start, core)


def _in_rows(
    mask: NDArray[np.bool_], region: Roi, core: Zyx, step: int
) -> Iterator[Zyx]:
    for z in _starts(mask.any(axis=(1, 2)), region.start[0], core[0], step):
        slab = mask[_within(z, core[0], region, 0)]
        for y in _starts(slab.any(axis=(0, 2)), region.start[1], core[1], step):
            row = slab[:, _within(y, core[1], region, 1)]
            for x in _starts(row.any(axis=(0, 1)), region.start[2], core[2], step):
                yield z, y, x


def _greedy(tiles: NDArray[np.bool_], spans: Zyx) -> list[Zyx]:
    """Return the starts of boxes of ``spans`` tiles, each covering the most that it can."""
    left, found = tiles.copy(), []
    (depth, height, width), (_, rows, columns) = spans, tiles.shape
    for z in range(len(left)):
        while left[z].any():
            y, x = (int(i) for i in np.argwhere(left[z])[0])
            column = left[z : z + depth].sum(0)
            low_y, low_x = max(0, y - height + 1), max(0, x - width + 1)
            stop_y, stop_x = min(y + height, rows), min(x + width, columns)
            # Sums of all boxes that hold the place, from sums up to each corner.
            near = np.zeros((y + height - low_y + 1, x + width - low_x + 1), np.int64)
            near[1 : stop_y - low_y + 1, 1 : stop_x - low_x + 1] = column[
                low_y:stop_y, low_x:stop_x
            ]
            upto = near.cumsum(0).cumsum(1)
            held = (
                upto[height:, width:]
                - upto[:-height, width:]
                - upto[height:, :-width]
                + upto[:-height, :-width]
            )
            best = np.unravel_index(held.argmax(), held.shape)
            start = (z, low_y + int(best[0]), low_x + int(best[1]))
            left[tuple(slice(a, a + n) for a, n in zip(start, spans, strict=True))] = 0
            found.append(start)
    return found


def _starts(mask: ArrayLike, first: int, length: int, step: int) -> Iterator[int]:
    places = np.flatnonzero(mask) + first
    stop = floor_to(first, step)
    while len(places):
        start = max(
            floor_to(int(places[0]), step), stop
        )  # boxes may be thinner than steps
        yield start
        stop = start + length
        places = places[places >= stop]


def _within(start: int, length: int, region: Roi, axis: int) -> slice:
    origin = region.start[axis]
    return slice(max(start - origin, 0), start + length - origin)


def _box(start: Zyx, core: Zyx) -> Roi:
    return Roi(start, to_zyx(a + n for a, n in zip(start, core, strict=True)))
