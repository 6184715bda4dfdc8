"""The fixed lattice in which everything is computed: what makes any two regions agree."""

from __future__ import annotations

from blockseg.core.geometry import Roi, Zyx, to_zyx

TILE = 64
"""Edge length of a tile, in voxels."""


def tile_roi(tile: Zyx) -> Roi:
    """Return the voxels of the tile at a place of the lattice."""
    start = to_zyx(i * TILE for i in tile)
    return Roi(start, to_zyx(a + TILE for a in start))
