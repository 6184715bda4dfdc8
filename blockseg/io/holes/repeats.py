"""Repeated planes: a camera's buffer that was stored twice.

A plane repeats in a tile of :data:`SQUARE` voxels, at multiples of it, if all voxels of the
tile equal those of the plane before, and most differ from each other. Noise does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.io.holes.flat import SQUARE, bits_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx

_POINTS = ((0, 0), (1, 2), (2, 1), (3, 3), (0, 3), (3, 0))  # of a tile
_AT_LEAST = 16  # voxels that a tile at the volume's end is judged by
_SLIVER = 4  # voxels across below which such a tile joins the one before it


def repeated_voxels(
    raw: NDArray[Any], start: Zyx = (0, 0, 0)
) -> NDArray[np.bool_] | None:
    """Mark the tiles of planes across z that repeat the plane before; None if none does.

    Parameters
    ----------
    raw
        Grey levels (z, y, x). Tiles that do not begin inside are not looked at.
    start
        Where the first voxel lies in the volume.
    """
    y, x = (-first % SQUARE for first in start[1:])
    bits = bits_of(raw[:, y:, x:])
    if len(raw) < 2 or min(bits.shape[1:]) < _SLIVER:
        return None
    rows, columns = (_borders(n) for n in bits.shape[1:])
    # A few voxels a tile first: of noise, next to no planes are left to be looked at.
    same = np.ones((len(raw) - 1, len(rows), len(columns)), bool)
    for a, b in _POINTS:
        few = bits[:, a::SQUARE, b::SQUARE][:, : len(rows), : len(columns)]
        same &= few[1:] == few[:-1]
    found = None
    for z in np.flatnonzero(same.any(axis=(1, 2))) + 1:
        repeats = _repeats(bits[z], bits[z - 1], rows, columns)
        if repeats.any():
            found = np.zeros(raw.shape, bool) if found is None else found
            found[z, y:, x:] = _enlarged(repeats, rows, columns, bits.shape[1:])
    return found


def _borders(length: int) -> NDArray[np.int64]:
    """Return the starts of the tiles along an axis; a sliver joins the one before."""
    borders = np.arange(0, length, SQUARE)
    if len(borders) > 1 and length - borders[-1] < _SLIVER:
        borders = borders[:-1]
    return borders


def _repeats(
    plane: NDArray[Any],
    before: NDArray[Any],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Return which tiles of a plane repeat those before and are not flat."""

    def counted(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        sums = np.add.reduceat(mask, rows, axis=0, dtype=np.int64)
        return np.asarray(np.add.reduceat(sums, columns, axis=1))

    heights = np.diff(np.append(rows, plane.shape[0]))
    widths = np.diff(np.append(columns, plane.shape[1]))
    size = np.outer(heights, widths)
    same: NDArray[np.bool_] = (counted(plane == before) == size) & (size >= _AT_LEAST)
    if not same.any():
        return same
    varied = np.zeros(plane.shape, bool)
    varied[:, 1:] = plane[:, 1:] != plane[:, :-1]
    varied[:, columns] = False
    pairs = np.outer(heights, widths - 1)
    return np.asarray(same & (pairs > 0) & (2 * counted(varied) >= pairs))


def _enlarged(
    tiles: NDArray[np.bool_],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    shape: tuple[int, ...],
) -> NDArray[np.bool_]:
    tall = tiles.repeat(np.diff(np.append(rows, shape[0])), axis=0)
    return np.asarray(tall.repeat(np.diff(np.append(columns, shape[1])), axis=1))
