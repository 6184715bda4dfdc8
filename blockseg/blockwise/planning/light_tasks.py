"""Grid, workers and order of a task that runs no network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.blockwise.planning.reading import plan_reading
from blockseg.blockwise.planning.resources import budget, check_count
from blockseg.blockwise.planning.tiling import block_shape
from blockseg.core.geometry import Roi
from blockseg.core.grid import BlockGrid
from blockseg.io.chunk_memory import bytes_to_decode, voxel_bytes
from blockseg.runtime.memory import Layout, Need, plan_layout

if TYPE_CHECKING:
    from blockseg.config.settings import RunSettings
    from blockseg.core.traversal import TraversalOrder
    from blockseg.io.protocol import Volume


def plain_grid(volume: Volume, settings: RunSettings) -> BlockGrid:
    """Return blocks without a halo over the region and of the size that the user wants.

    Raises
    ------
    ConfigError
        If there are too many.
    GeometryError
        If the region does not lie in the volume.
    """
    roi = settings.roi or Roi.whole(volume.shape)
    block = settings.block or block_shape(roi.shape)
    grid = BlockGrid(volume.shape, block, (0, 0, 0), roi)
    check_count(grid)
    return grid


def layout_for(settings: RunSettings, need: Need) -> Layout:
    """Return the number of workers that fit the machine, or what the user allows of it."""
    return plan_layout(budget(settings), need, workers=settings.workers)


def reading_layout(
    settings: RunSettings,
    grid: BlockGrid,
    volume: Volume,
    *,
    copies: int,
    held_bytes: int = 0,
) -> tuple[Layout, TraversalOrder]:
    """Return workers that read blocks of a volume, and an order in which little is decoded twice.

    Parameters
    ----------
    settings
        Of these, the number of workers and the memory.
    grid
        The blocks.
    volume
        What is read.
    copies
        How many times the bytes of a block its task holds.
    held_bytes
        Memory that a worker needs besides, whatever the size of blocks.

    Raises
    ------
    ConfigError
        If not even one worker fits.
    """
    itemsize = volume.dtype.itemsize
    voxels = grid.numbered(0).write_roi.size
    decoding = bytes_to_decode(volume)
    layout = layout_for(
        settings, Need(copies * voxels * itemsize, held_bytes, decoding)
    )
    reading = plan_reading(
        grid,
        volume.chunk_shape,
        voxel_bytes(volume),
        layout.spare_bytes,
        layout.workers,
    )
    return layout.with_cache(reading.cache_bytes), reading.traversal
