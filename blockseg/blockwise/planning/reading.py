"""Order in which a volume is read, what is kept of it, and what that decodes.

A block reads its neighbours' voxels too, in whole chunks. Workers do blocks column by column
(:class:`~blockseg.core.traversal.TraversalOrder`) and keep the chunks of the last two planes: each column is
then decoded once. The thicker the columns, the less is decoded twice and the more is kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, TypeAlias

from blockseg.core.geometry import ceil_to, floor_to, to_zyx
from blockseg.core.traversal import TraversalOrder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.core.geometry import Zyx
    from blockseg.core.grid import BlockGrid

ENOUGH = 1.4
"""Decoded voxels over voxels in the region; below it more memory gains little."""

ENOUGH_OF_A_STORE = 1.15
"""The same where chunks come over a network, and cost more than their decoding."""

_MODEST = 2**30
"""Bytes that a worker keeps at most, unless it would decode everything many times."""

_MANY = 4.0
"""Number of times."""

_THICKEST = 8
"""Blocks along a side of a column's plane, at most."""

_FEW = 1024
"""Blocks; of more most are alike in whatever order."""

_Kinds: TypeAlias = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """Reading of blocks; no byte of the result depends on it."""

    traversal: TraversalOrder
    """The order."""

    cache_bytes: int
    """Decoded chunks that each worker keeps; 0 where none of use would fit."""

    column_voxels: float
    """Voxels decoded by one worker that does all blocks in order."""

    cut_voxels: float
    """Voxels decoded once more where one worker's range of blocks ends in the middle
    of a column and another's begins."""

    block_voxels: float
    """Voxels decoded where nothing is kept from one block to the next."""

    def decoded(self, workers: int) -> float:
        """Return the voxels that so many workers decode for all blocks together."""
        return min(
            self.column_voxels + (workers - 1) * self.cut_voxels, self.block_voxels
        )


def plan_reading(
    grid: BlockGrid,
    chunk: Zyx,
    itemsize: int,
    memory: int,
    workers: int = 1,
    *,
    kinds: bool = False,
    enough: float = ENOUGH,
) -> Reading:
    """Choose the columns that need least memory, of those with which little is read twice.

    With ``kinds``, of those the columns with which blocks change their kind least often.

    Parameters
    ----------
    grid
        The blocks.
    chunk
        Voxels that storage decodes as a whole. One voxel or one row: nothing is decoded,
        and nothing kept.
    itemsize
        Bytes that are decoded for a voxel.
    memory
        Bytes that a worker may keep.
    workers
        Each with its own memory, and its own range of blocks.
    kinds
        Whether it costs something to go from a block inside the volume to one at its
        ends: engines have a graph for each kind of window.
    enough
        Decoded voxels over voxels in the region, below which more memory gains little.
    """
    axes = [_Axis.of(grid, axis, chunk[axis]) for axis in range(3)]
    of_axes = tuple(axis.kinds for axis in axes) if kinds else ()
    best = _nothing_kept(grid, axes, of_axes)
    if chunk[0] == chunk[1] == 1:
        return best
    every = list(_columns(grid, axes, itemsize, of_axes))
    for limit in (min(memory, _MODEST), memory):
        small = [reading for reading in every if reading.cache_bytes <= limit]
        best = _best([best, *small], enough * grid.region.size, workers)
        if best.decoded(workers) <= _MANY * grid.region.size:
            break
    return best


def _best(readings: list[Reading], enough: float, workers: int) -> Reading:
    good = [reading for reading in readings if reading.decoded(workers) <= enough]
    if good:
        return min(good, key=lambda reading: _costs(reading, workers))
    return min(readings, key=lambda reading: reading.decoded(workers))


def _costs(reading: Reading, workers: int) -> tuple[int, int]:
    traversal = reading.traversal
    few = traversal.kinds and math.prod(traversal.counts) <= _FEW
    return (traversal.changes(workers) if few else 0), reading.cache_bytes


@dataclass(frozen=True, slots=True)
class _Axis:
    """Voxels that blocks read along one axis, in whole chunks."""

    starts: tuple[int, ...]
    stops: tuple[int, ...]
    kinds: tuple[int, ...]
    """The same number for blocks that have the same margins and lengths."""

    @classmethod
    def of(cls, grid: BlockGrid, axis: int, chunk: int) -> _Axis:
        spans = []
        shapes: dict[tuple[int, ...], int] = {}
        kinds = []
        for position in range(grid.counts[axis]):
            index = [0, 0, 0]
            index[axis] = position
            block = grid.block(to_zyx(index))
            roi, core = block.read_roi, block.write_roi
            first, last = roi.start[axis], roi.stop[axis]
            shape = core.start[axis] - first, core.shape[axis], last - core.stop[axis]
            kinds.append(shapes.setdefault(shape, len(shapes)))
            stop = min(ceil_to(last, chunk), grid.volume_shape[axis])
            spans.append((floor_to(first, chunk), stop))
        starts, stops = zip(*spans, strict=True)
        return cls(starts, stops, tuple(kinds))

    def groups(self, blocks: int) -> list[int]:
        """Return the number of voxels that each group of so many neighbours reads."""
        count = len(self.starts)
        return [
            self.stops[min(first + blocks, count) - 1] - self.starts[first]
            for first in range(0, count, blocks)
        ]

    @property
    def two(self) -> int:
        """Most voxels that a block and the one after it read."""
        after = (*self.stops[1:], self.stops[-1])
        return max(b - a for a, b in zip(self.starts, after, strict=True))

    @property
    def shared(self) -> float:
        """Voxels that a block and the one after it both read, on average."""
        pairs = list(zip(self.stops, self.starts[1:], strict=False))
        return sum(b - a for b, a in pairs) / len(pairs) if pairs else 0.0


def _nothing_kept(grid: BlockGrid, axes: list[_Axis], kinds: _Kinds) -> Reading:
    voxels = float(math.prod(sum(axis.groups(1)) for axis in axes))
    traversal = TraversalOrder(grid.counts, 0, (1, *grid.counts[1:]), kinds)
    return Reading(traversal, 0, voxels, 0.0, voxels)


def _columns(
    grid: BlockGrid, axes: list[_Axis], itemsize: int, kinds: _Kinds
) -> Iterator[Reading]:
    each_by_itself = _nothing_kept(grid, axes, kinds).block_voxels
    thickest = [range(1, min(n, _THICKEST) + 1) for n in grid.counts]
    # The longest axis first: ranges of blocks are then cut where least is cut.
    for along in sorted(range(3), key=lambda axis: -grid.region.shape[axis]):
        first, second = (axis for axis in range(3) if axis != along)
        (length,) = axes[along].groups(len(grid))
        for m, n in product(thickest[first], thickest[second]):
            sides = axes[first].groups(m), axes[second].groups(n)
            across = math.prod(map(sum, sides))
            plane = [1, 1, 1]
            plane[first], plane[second] = m, n
            yield Reading(
                traversal=TraversalOrder(grid.counts, along, to_zyx(plane), kinds),
                cache_bytes=math.prod(map(max, sides)) * axes[along].two * itemsize,
                column_voxels=float(across * length),
                cut_voxels=across / math.prod(map(len, sides)) * axes[along].shared,
                block_voxels=each_by_itself,
            )
