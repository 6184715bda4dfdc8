"""Images of a run's output, as the tasks of derived jobs open them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.geometry import Roi, tiles, to_zyx
from blockseg.io.chunks.tensorstores import ReadLimits
from blockseg.io.open import open_volume

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.core.grid import BlockGrid
    from blockseg.core.space import Space
    from blockseg.core.specs import VolumeSpec
    from blockseg.io.protocol import Volume


@dataclass(frozen=True, slots=True)
class RunImage:
    """An image of a run's output: a picklable value that any worker opens."""

    spec: VolumeSpec
    """Image and level."""

    grid: BlockGrid
    """Blocks of the run at its finest level, in the output's coordinates."""

    absent: frozenset[int] = frozenset()
    """Numbers of blocks that are 0 whatever lies on disk."""

    def open(self, cache_bytes: int | None = None) -> Volume:
        """Open the image in this process.

        Parameters
        ----------
        cache_bytes
            Bytes of decoded chunks to keep; a default if not given.

        Raises
        ------
        VolumeError
            If it is gone or damaged.
        """
        limits = ReadLimits() if cache_bytes is None else ReadLimits(cache_bytes)
        volume = open_volume(self.spec, limits)
        if not self.absent:
            return volume
        return WithoutBlocks(volume, self.grid, self.absent, self.spec.level)


@dataclass(frozen=True, slots=True)
class WithoutBlocks:
    """A volume in which some blocks of a grid are 0 whatever is stored there."""

    volume: Volume
    """Voxels as they are stored."""

    grid: BlockGrid
    """Blocks, over the whole of the finest level."""

    absent: frozenset[int]
    """Their numbers."""

    level: int = 0
    """Resolution level of the volume."""

    @property
    def shape(self) -> Zyx:
        """Voxels along (z, y, x)."""
        return self.volume.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a voxel."""
        return self.volume.dtype

    @property
    def chunk_shape(self) -> Zyx:
        """Voxels that storage decodes as a whole."""
        return self.volume.chunk_shape

    @property
    def space(self) -> Space:
        """Voxel size and place."""
        return self.volume.space

    def read(self, roi: Roi) -> NDArray[Any]:
        """Return the voxels of a region, 0 in what is absent."""
        voxels = np.array(self.volume.read(roi))
        fine = Roi(
            to_zyx(a << self.level for a in roi.start),
            to_zyx(b << self.level for b in roi.stop),
        ).intersection(self.grid.region)
        for index in tiles(fine, self.grid.block_shape):
            block = self.grid.block(index)
            if block.number not in self.absent:
                continue
            covered = Roi(
                to_zyx(a >> self.level for a in block.write_roi.start),
                to_zyx(-(-b >> self.level) for b in block.write_roi.stop),
            )
            voxels[covered.intersection(roi).slices(roi.start)] = 0
        return voxels
