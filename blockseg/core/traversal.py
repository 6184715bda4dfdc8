"""Traversal order of blocks, so that what is read for one serves its neighbours.

A column is a row of planes of a few blocks. Blocks are done plane after plane along the
column, then column after column: whoever keeps what the last two planes read decodes each
chunk of a column once, and only its sides again for the columns beside it. In which order the blocks of a
plane are done is all one to the reader, so those that are alike follow each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import GeometryError
from blockseg.core.work_ranges import cuts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx

_AT_ONCE = 2**16  # blocks: of a million, what tells their order takes 100 MB


@dataclass(frozen=True, slots=True)
class TraversalOrder:
    """A grid of blocks cut into columns.

    Raises
    ------
    GeometryError
        If a plane is thicker than one block along the column, or has no blocks.
    """

    counts: Zyx
    """Blocks of the grid along (z, y, x)."""

    axis: int
    """Along which columns run: 0, 1 or 2."""

    plane: Zyx
    """Blocks of a column's plane along (z, y, x); one along ``axis``."""

    kinds: tuple[tuple[int, ...], ...] = ()
    """For each axis the kind of each of its blocks. Blocks of the same three kinds need
    the same windows; () where that does not matter."""

    def __post_init__(self) -> None:
        if min(self.plane) < 1 or self.plane[self.axis] != 1:
            message = f"a plane of {self.plane} blocks is not across axis {self.axis}"
            raise GeometryError(message)

    def ordered(self, blocks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the same blocks, column by column.

        Parameters
        ----------
        blocks
            C-order numbers in the grid, in any order.
        """
        numbers = np.asarray(blocks, np.int64)
        keys = np.empty_like(numbers)
        for first in range(0, len(numbers), _AT_ONCE):
            some = slice(first, first + _AT_ONCE)
            keys[some] = self._keys(numbers[some])
        return numbers[np.argsort(keys, kind="stable")]

    def _keys(self, blocks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return numbers that rise in the order of the blocks."""
        index = np.unravel_index(blocks, self.counts)
        along = index[self.axis]
        across = [axis for axis in range(3) if axis != self.axis]
        keys = np.zeros(len(blocks), np.int64)
        for axis in across:
            keys *= -(-self.counts[axis] // self.plane[axis])
            keys += index[axis] // self.plane[axis]
        keys *= self.counts[self.axis]
        keys += along
        if self.kinds:
            kinds = [np.asarray(self.kinds[axis])[index[axis]] for axis in across]
            rows, many = (max(self.kinds[axis]) + 1 for axis in across)
            kind = kinds[0] * many + kinds[1]
            # To and fro: a plane begins with the kind that the one before ended with.
            keys *= rows * many
            keys += np.where(along % 2, rows * many - 1 - kind, kind)
        for axis in across:
            keys *= self.plane[axis]
            keys += index[axis] % self.plane[axis]
        return keys

    def changes(self, workers: int) -> int:
        """Return how many blocks, the first included, are of another kind than the one before.

        Parameters
        ----------
        workers
            Each does its own work range of the order, as
            :class:`~blockseg.core.work_ranges.WorkRanges` gives them out at first.
        """
        order = self.ordered(np.arange(math.prod(self.counts), dtype=np.int64))
        index = np.unravel_index(order, self.counts)
        of_axes = [np.asarray(of)[at] for of, at in zip(self.kinds, index, strict=True)]
        kinds = np.stack(of_axes, axis=1)
        new = np.any(kinds[1:] != kinds[:-1], axis=1)
        new[[cut - 1 for cut in cuts(len(order), workers)[1:-1]]] = True
        return 1 + int(new.sum())
