"""Cubes of 64 voxels, and tiles of 16 in them, that are inferred whole or not at all.

They start at multiples of their edge in the volume's coordinates, so that what becomes of
a voxel does not depend on how the volume is cut into blocks.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.geometry import Roi, Zyx, ceil_to, floor_to, to_zyx

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.specs import ScoutSpec

EDGE = 64
"""Edge of a cube, in voxels: what is tissue or not, and what a sample is made of."""

TILE = 16
"""Edge of a tile, in voxels: what is inferred or not; a multiple of every network's
alignment."""


def cube_counts(shape: Zyx, edge: int = EDGE) -> Zyx:
    """Return the number of cubes of a volume of ``shape`` voxels along (z, y, x)."""
    return to_zyx(ceil_to(n, edge) // edge for n in shape)


def cube_box(roi: Roi, edge: int = EDGE) -> Roi:
    """Return the positions of all cubes that a region of voxels touches."""
    around = roi.aligned(edge)
    return Roi(
        to_zyx(a // edge for a in around.start), to_zyx(b // edge for b in around.stop)
    )


def voxels_of(cubes: Roi, shape: Zyx, edge: int = EDGE) -> Roi:
    """Return the voxels of a box of cubes, as far as the volume goes."""
    box = Roi(
        to_zyx(a * edge for a in cubes.start), to_zyx(b * edge for b in cubes.stop)
    )
    return box.intersection(Roi.whole(shape))


def spread(
    mask: NDArray[np.bool_], cubes: Roi, roi: Roi, edge: int = EDGE
) -> NDArray[np.bool_]:
    """Return the values of a mask of cubes at each voxel of a region.

    Parameters
    ----------
    mask
        One value a cube, shape ``cubes.shape``.
    cubes
        Their positions; what lies beyond counts as False.
    roi
        Region of voxels.

    Returns
    -------
    bool array of ``roi.shape``
    """
    out = mask
    for axis, (a, b, first, count) in enumerate(
        zip(roi.start, roi.stop, cubes.start, cubes.shape, strict=True)
    ):
        place = np.arange(a, b) // edge - first
        inside = (place >= 0) & (place < count)
        out = out.take(np.where(inside, place, 0), axis=axis)
        if not inside.all():
            shape = [1, 1, 1]
            shape[axis] = b - a
            out = out & inside.reshape(shape)
    return out


def by_cube(
    values: NDArray[Any], roi: Roi, edge: int = EDGE, add: np.ufunc = np.logical_or
) -> NDArray[Any]:
    """Return the sums of the voxels of a region in each cube that it touches.

    Parameters
    ----------
    values
        One a voxel, shape ``roi.shape``.
    roi
        Region of voxels.
    edge
        Of a cube.
    add
        How values add up.
    """
    for axis, (a, b) in enumerate(zip(roi.start, roi.stop, strict=True)):
        cuts = np.arange(floor_to(a, edge), b, edge) - a
        values = add.reduceat(values, np.maximum(cuts, 0), axis)
    return values


def box_around(mask: NDArray[np.bool_], start: Zyx) -> Roi:
    """Return the box around the voxels of a mask that begins at ``start``."""
    ends = []
    for axes in ((1, 2), (0, 2), (0, 1)):
        found = np.flatnonzero(mask.any(axis=axes))
        ends.append((found[0], found[-1] + 1))
    box = Roi(to_zyx(a for a, _ in ends), to_zyx(b for _, b in ends))
    return box.shifted(start)


@dataclass(frozen=True, slots=True)
class CubeMask:
    """One bit a cube of a volume, small enough for ``run.json`` and for the network."""

    counts: Zyx
    """Cubes along (z, y, x)."""

    bits: str
    """In C order, packed, compressed, as base64."""

    @classmethod
    def of(cls, mask: NDArray[np.bool_]) -> CubeMask:
        """Pack an array (z, y, x)."""
        packed = zlib.compress(np.packbits(mask).tobytes(), 9)
        return cls(to_zyx(mask.shape), base64.b64encode(packed).decode())

    def array(self) -> NDArray[np.bool_]:
        """Return the mask as an array (z, y, x)."""
        packed = np.frombuffer(zlib.decompress(base64.b64decode(self.bits)), np.uint8)
        count = int(np.prod(self.counts))
        return np.unpackbits(packed, count=count).astype(bool).reshape(self.counts)


@dataclass(frozen=True, slots=True)
class SkipCriteria:
    """Criteria of what need not be inferred under ``--sparse``; picklable."""

    edge: int = EDGE
    """Edge of a cube, in voxels."""

    threshold: float | None = None
    """Tiles whose score is at most this are empty; None keeps them all."""

    tissue: CubeMask | None = None
    """Cubes that are, or may be, tissue; None if that is not known."""

    tile: int = TILE
    """Edge of a tile, in voxels; divides that of a cube."""

    scout: ScoutSpec | None = None
    """Network that gives tiles their score; None where the path opening does."""
