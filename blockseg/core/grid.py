"""Grid of blocks with halos, into which a volume or a region of one is cut.

Blocks are laid out from the region's lower corner, so that each one is a whole
number of the output's shards. What a block reads is laid out from the volume's
own corner: a network with poolings gives the same answer only on windows that
start at multiples of its alignment.

One block in a plane of the volume, ``#`` around what it alone writes::

    volume
    +---------------------------------------------------------------+
    |     read ROI: write ROI, grown to the alignment and by the    |
    |     halo, clipped to the volume                               |
    |     +-----------------------------------------------+         |
    |     |  halo, 32 voxels                              |         |
    |     |       write ROI                               |         |
    |     |       #################################       |         |
    |     |       # core of       : core of       #       |         |
    |     |  32   # a window,     : the next      #  32   |         |
    |     |       # 32 more       : one           #       |         |
    |     |       # are seen      :               #       |         |
    |     |       # . . . . . . . : . . . . . . . #       |         |
    |     |       #               :               #       |         |
    |     |       #################################       |         |
    |     |  32                                           |         |
    |     +-----------------------------------------------+         |
    +---------------------------------------------------------------+

Write ROIs tile the region; read ROIs of neighbours overlap. What a window sees beyond
the volume is the zero padding of the network; beyond the block it is the halo.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import GeometryError
from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.core.text import times

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Block:
    """One unit of work: read ``read_roi``, write ``write_roi``.

    Geometry only: whether a block is done stands in the ledger.
    """

    number: int
    """Number in the grid, in C order."""

    index: Zyx
    """Position in the grid."""

    write_roi: Roi
    """Voxels this block alone owns, in the volume's coordinates."""

    read_roi: Roi
    """``write_roi`` grown to the alignment and by the halo, clipped to the volume."""


@dataclass(frozen=True, slots=True)
class BlockGrid:
    """A region of a volume cut into blocks of equal shape; far ones are smaller.

    Parameters
    ----------
    volume_shape, block_shape
        Voxels along (z, y, x).
    halo
        Voxels added on both sides of each axis; at least the receptive-field
        radius of the network for an exact result.
    roi
        Region to write, inside the volume; the whole volume if not given.
    alignment
        Read regions start at multiples of this many voxels before the halo is
        added; 4 for SDASN. Block shapes must be multiples of it.

    Raises
    ------
    GeometryError
        If a shape is not positive, a block is no multiple of the alignment, the
        halo is negative or the region does not lie inside the volume.
    """

    volume_shape: Zyx
    block_shape: Zyx
    halo: Zyx = (0, 0, 0)
    roi: Roi | None = None
    alignment: int = 1

    def __post_init__(self) -> None:
        if min(*self.volume_shape, *self.block_shape, self.alignment) < 1:
            message = f"a grid needs shapes of at least one voxel: {self}"
            raise GeometryError(message)
        if min(self.halo) < 0:
            message = f"a halo cannot be negative: {self.halo}"
            raise GeometryError(message)
        if any(b % self.alignment for b in self.block_shape):
            message = (
                f"block {times(self.block_shape)} is no multiple of {self.alignment} "
                "voxels on each axis, which the network needs; choose one that is"
            )
            raise GeometryError(message)
        inside = Roi.whole(self.volume_shape).contains(self.region)
        if not inside or min(self.region.shape) < 1:
            message = (
                f"ROI {self.region} does not lie inside the volume of "
                f"{times(self.volume_shape)} voxels"
            )
            raise GeometryError(message)

    @property
    def region(self) -> Roi:
        """Region that the blocks tile, in the volume's coordinates."""
        return Roi.whole(self.volume_shape) if self.roi is None else self.roi

    @property
    def counts(self) -> Zyx:
        """Blocks along (z, y, x)."""
        (z, y, x), (a, b, c) = self.region.shape, self.block_shape
        return (-(-z // a), -(-y // b), -(-x // c))

    def __len__(self) -> int:
        return math.prod(self.counts)

    def __iter__(self) -> Iterator[Block]:
        return (self.block(to_zyx(index)) for index in np.ndindex(self.counts))

    def index_of(self, block_id: int) -> Zyx:
        """Return the position of the block with the C-order number ``block_id``.

        Raises
        ------
        GeometryError
            If the grid has no such block.
        """
        planes, rows, columns = self.counts
        row, x = divmod(int(block_id), columns)
        z, y = divmod(row, rows)
        if not 0 <= z < planes:
            message = f"a grid of {times(self.counts)} blocks has no block {block_id}"
            raise GeometryError(message)
        return (z, y, x)

    def id_of(self, index: Zyx) -> int:
        """Return the C-order number of the block at ``index``."""
        return int(np.ravel_multi_index(index, self.counts))

    def block(self, index: Zyx) -> Block:
        """Return the block at ``index``."""
        # Spelled out: each of a million blocks is computed many times.
        region, (z, y, x) = self.region, index
        (dz, dy, dx), (az, ay, ax) = self.block_shape, region.start
        z0, y0, x0 = az + z * dz, ay + y * dy, ax + x * dx
        (bz, by, bx) = region.stop
        write = Roi(
            (z0, y0, x0), (min(z0 + dz, bz), min(y0 + dy, by), min(x0 + dx, bx))
        )
        read = write.aligned(self.alignment).grown(self.halo)
        read = read.intersection(Roi((0, 0, 0), self.volume_shape))
        _, rows, columns = self.counts
        return Block((z * rows + y) * columns + x, index, write, read)

    def numbered(self, number: int) -> Block:
        """Return the block with the C-order number ``number``."""
        return self.block(self.index_of(number))
