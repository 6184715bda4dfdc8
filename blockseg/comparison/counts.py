"""Counts of the voxels in which two masks differ, cube by cube."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.geometry import Roi, to_zyx
from blockseg.dhpr.cubes import CUBE
from blockseg.morphology.topology import labelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.evaluation.prediction import Prediction

_AT_ONCE = 4 * CUBE
"""Edge of what is read at a time."""

_THREADS = 4


@dataclass(frozen=True, slots=True, eq=False)
class CubeCounts:
    """Voxels of two masks in cubes of 64³, which lie as those of the metrics do."""

    both: NDArray[np.int64]
    """In both masks, ``(z, y, x)`` with an entry a cube."""

    first: NDArray[np.int64]
    """Only in the first."""

    second: NDArray[np.int64]
    """Only in the second."""

    pieces: tuple[int, int] = (0, 0)
    """Connected pieces of each mask, cut where the cubes of four by four by four meet."""

    @property
    def changed(self) -> NDArray[np.int64]:
        """Voxels that differ."""
        return self.first + self.second

    @property
    def dice(self) -> float:
        """Twice the common voxels over those of either; 1 where both are empty."""
        both, differ = int(self.both.sum()), int(self.changed.sum())
        return 2 * both / (2 * both + differ) if both + differ else 1.0


def count_cubes(
    first: Prediction,
    second: Prediction,
    origin: Zyx,
    is_empty: Callable[[Roi], bool],
    on_part: Callable[[int, int], None] | None = None,
    on_masks: Callable[[Roi, NDArray[np.bool_], NDArray[np.bool_]], None] | None = None,
) -> CubeCounts:
    """Count voxels of two masks of one shape.

    Parameters
    ----------
    first, second
        The masks.
    origin
        First voxel of both in the source, whose multiples of 64 are where cubes meet.
    is_empty
        Whether both masks are known to hold nothing in a region, which is not read then.
    on_part
        Told how many parts are done, and how many there are.
    on_masks
        Given each part of both masks that is read, by several threads.

    Returns
    -------
    CubeCounts
        In memory: 24 bytes a cube, and 256³ voxels of each mask for each of four threads.
    """
    shape = first.volume.shape
    cubes = to_zyx(
        -(-(o + n) // CUBE) - o // CUBE for o, n in zip(origin, shape, strict=True)
    )
    counts = np.zeros((3, *cubes), np.int64)
    pieces = (0, 0)

    def count(roi: Roi) -> tuple[Roi, NDArray[np.int64], tuple[int, int]]:
        a, b = first.read(roi, roi).mask, second.read(roi, roi).mask
        if on_masks is not None:
            on_masks(roi, a, b)
        masks = (a & b, a & ~b, b & ~a)
        found = np.stack([_in_cubes(mask, roi, origin) for mask in masks])
        return roi, found, (labelled(a)[1], labelled(b)[1])

    parts = list(_parts(origin, shape))
    wanted = [roi for roi in parts if not is_empty(roi)]
    done = len(parts) - len(wanted)
    with ThreadPoolExecutor(_THREADS) as pool:
        for roi, found, (of_first, of_second) in pool.map(count, wanted):
            pieces = pieces[0] + of_first, pieces[1] + of_second
            z, y, x = (
                slice((o + a) // CUBE - o // CUBE, (o + b - 1) // CUBE - o // CUBE + 1)
                for o, a, b in zip(origin, roi.start, roi.stop, strict=True)
            )
            counts[:, z, y, x] += found
            done += 1
            if on_part is not None:
                on_part(done, len(parts))
    both, only_first, only_second = counts
    return CubeCounts(both, only_first, only_second, pieces)


def _parts(origin: Zyx, shape: Zyx) -> Iterator[Roi]:
    """Yield boxes that cover all, cut where cubes meet."""
    edges = []
    for first, length in zip(origin, shape, strict=True):
        inner = range(_AT_ONCE - first % _AT_ONCE, length, _AT_ONCE)
        edges.append([0, *inner, length])
    for z in range(len(edges[0]) - 1):
        for y in range(len(edges[1]) - 1):
            for x in range(len(edges[2]) - 1):
                index = (z, y, x)
                yield Roi(
                    to_zyx(e[i] for e, i in zip(edges, index, strict=True)),
                    to_zyx(e[i + 1] for e, i in zip(edges, index, strict=True)),
                )


def _in_cubes(mask: NDArray[np.bool_], roi: Roi, origin: Zyx) -> NDArray[np.int64]:
    """Return the voxels of a mask in each of the cubes that it touches."""
    counted: NDArray[np.int64] = mask.astype(np.int64)
    for axis, (first, start, stop) in enumerate(
        zip(origin, roi.start, roi.stop, strict=True)
    ):
        begin = first + start
        inner = range(CUBE - begin % CUBE, stop - start, CUBE)
        counted = np.add.reduceat(counted, [0, *inner], axis=axis)
    return counted
