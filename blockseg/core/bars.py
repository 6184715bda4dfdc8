"""In which order to do blocks, so that what is read for one serves its neighbours.

A bar is a row of planes of a few blocks. Blocks are done plane after plane along the bar,
then bar after bar: whoever keeps what the last two planes read decodes each chunk of a
bar once, and only its sides again for the bars beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import GeometryError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx

__all__ = ["Bars"]


@dataclass(frozen=True, slots=True)
class Bars:
    """A grid of blocks cut into bars.

    Raises
    ------
    GeometryError
        If a plane is thicker than one block along the bar, or has no blocks.
    """

    counts: Zyx
    """Blocks of the grid along (z, y, x)."""

    axis: int
    """Along which bars run: 0, 1 or 2."""

    plane: Zyx
    """Blocks of a bar's plane along (z, y, x); one along ``axis``."""

    def __post_init__(self) -> None:
        if min(self.plane) < 1 or self.plane[self.axis] != 1:
            message = f"a plane of {self.plane} blocks is not across axis {self.axis}"
            raise GeometryError(message)

    def ordered(self, blocks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the same blocks, bar by bar.

        Parameters
        ----------
        blocks
            C-order numbers in the grid, in any order.
        """
        index = np.unravel_index(np.asarray(blocks, np.int64), self.counts)
        across = [axis for axis in range(3) if axis != self.axis]
        bar = [index[axis] // self.plane[axis] for axis in across]
        within = [index[axis] for axis in across]
        # lexsort takes the last key as the first to sort by
        keys = (within[1], within[0], index[self.axis], bar[1], bar[0])
        return np.asarray(blocks, np.int64)[np.lexsort(keys)]
