"""Counts in each cube of a volume; any box of cubes has the sum of its counts.

A cube has :data:`CUBE` voxels along each axis and begins at multiples of that in the
volume's own coordinates. All counts are whole numbers and those of different cubes have
nothing to do with each other, so a box of cubes has, to the last bit, the metrics that
:func:`blockseg.dhpr.metrics.dhpr_metrics` would find if it were counted at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import GeometryError
from blockseg.core.geometry import Zyx, to_zyx

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from blockseg.dhpr.grey_scale import GreyScale

CUBE = 64
"""Edge of a cube in voxels."""

HISTOGRAMS = ("background", "near", "doubtful", "foreground")
"""Histograms over the codes of a :class:`GreyScale`, of which each voxel that has a grey
level is in one: ``foreground`` is F, ``doubtful`` what F⁺ has beyond F, ``near`` what lies
within 3 voxels of F⁺, and ``background`` the rest."""

SUMS = (
    "extent",  # voxels that blocks have looked at, inside the mask or not
    "voxels",  # of these, inside the mask and no hole
    "nonfinite",  # of these, NaN or infinite
    "filled",  # of these, exactly 0 where that is no tissue; see GreyScale.filling
    "saturated",  # of these, at the camera's limit
    "foreground",  # |F|
    "plus",  # |F⁺|
    "entropy",  # over F⁺, in 1/65535 bit
    "components",  # of F, 26-connected, cut at the faces of cubes
    "skeleton",  # voxels of the centreline of F, by half the resolution
    "pairs_z",  # neighbours along z that were compared
    "steps_z",  # sum of their absolute differences, in codes
    "pairs_y",
    "steps_y",
    "pairs_x",
    "steps_x",
    "squares",  # subcubes of 8³ voxels that all count
    "square_sum",  # sum over them of the sum of their codes
    "square_square",  # sum over them of the square of that sum
    "nodata",  # voxels inside the mask that are a hole, and count for nothing else
)
"""Whole numbers that add up over cubes, by name."""

_COLUMNS = ("index", "start", "stop", "sums", "histograms")  # of a table


@dataclass(frozen=True, slots=True)
class CubeTable:
    """Counts of cubes, or of boxes of cubes: one row each.

    Rows are sorted by index, each index once. Cubes that nobody counted have no row.
    """

    scale: GreyScale
    """Meaning of the histograms' codes; one a run."""

    predicted: bool
    """Whether F and F⁺ come from a network; False for a rule on grey levels, which has
    no entropy."""

    edge: Zyx
    """Voxels of a row's box along (z, y, x), where nothing cuts it: of a cube, or of a
    box of whole cubes."""

    origin: Zyx
    """First voxel of the box with the index (0, 0, 0), in the volume's coordinates."""

    index: NDArray[np.int64]
    """Which box, shape (n, 3), along (z, y, x)."""

    start: NDArray[np.int64]
    """First voxel that was counted, shape (n, 3), in the volume's coordinates: ROI and
    volume cut boxes at their borders, and cubes that were never counted are missing."""

    stop: NDArray[np.int64]
    """One past the last voxel that was counted, shape (n, 3)."""

    sums: NDArray[np.int64]
    """Shape (n, len(SUMS)), in the order of :data:`SUMS`."""

    histograms: NDArray[Any]
    """Voxels by grey level, shape (n, len(HISTOGRAMS), CODES), in the order of
    :data:`HISTOGRAMS`; of an unsigned or signed whole-number type."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.index)

    def sum(self, name: str) -> NDArray[np.int64]:
        """Return one of :data:`SUMS`, shape (n,)."""
        return self.sums[:, SUMS.index(name)]

    def histogram(self, *names: str) -> NDArray[np.int64]:
        """Return the sum of the named histograms, shape (n, CODES)."""
        parts = [HISTOGRAMS.index(name) for name in names]
        total: NDArray[np.int64] = self.histograms[:, parts].sum(axis=1, dtype=np.int64)
        return total

    def select(self, rows: NDArray[Any] | slice) -> CubeTable:
        """Return some rows: rising numbers, a slice, or a mask of shape (n,)."""
        return replace(self, **{name: getattr(self, name)[rows] for name in _COLUMNS})

    def boxes(self, cubes: Zyx, origin: Zyx = (0, 0, 0)) -> CubeTable:
        """Return the boxes of a grid that have at least one row.

        Parameters
        ----------
        cubes
            Rows of this table that a box has along (z, y, x).
        origin
            Index of the first row of the box with the index (0, 0, 0).

        Raises
        ------
        GeometryError
            If a box would have no rows.
        """
        if min(cubes) < 1:
            message = f"a box needs at least one cell on each axis, not {cubes}"
            raise GeometryError(message)
        to = np.array(cubes)
        index = (self.index - np.array(origin)) // to
        edge = np.array(self.edge)
        first = np.array(self.origin) + np.array(origin) * edge
        return _grouped(
            replace(self, edge=to_zyx(edge * to), origin=to_zyx(first)), index
        )


def joined(tables: Sequence[CubeTable]) -> CubeTable:
    """Return all rows of some tables; parts of one cube become one row.

    Parameters
    ----------
    tables
        Tables of one run, at least one.

    Raises
    ------
    GeometryError
        If they do not belong together, or there is none.
    """
    if not tables:
        message = "no table of cells to join; give at least one"
        raise GeometryError(message)
    first = tables[0]
    for other in tables:
        same = (first.scale, first.predicted, first.edge, first.origin)
        if (other.scale, other.predicted, other.edge, other.origin) != same:
            message = "tables of cells of two runs, or of two sizes, cannot be joined"
            raise GeometryError(message)
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(table, name) for table in tables])
        for name in _COLUMNS
    }
    return _grouped(replace(first, **columns), columns["index"])


def _grouped(table: CubeTable, index: NDArray[np.int64]) -> CubeTable:
    """Add up the rows that have the same index among those given."""
    order = np.lexsort(index.T[::-1])
    index = index[order]
    new = np.ones(len(index), bool)
    new[1:] = (index[1:] != index[:-1]).any(axis=1)
    heads = np.flatnonzero(new)
    if len(heads) == len(index):
        return replace(table.select(order), index=index)
    wide = table.histograms[order].astype(np.int64, copy=False)
    return replace(
        table,
        index=index[heads],
        start=np.minimum.reduceat(table.start[order], heads),
        stop=np.maximum.reduceat(table.stop[order], heads),
        sums=np.add.reduceat(table.sums[order], heads),
        histograms=np.add.reduceat(wide, heads),
    )
