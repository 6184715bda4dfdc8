"""Score of tiles: by a scout, or by the path opening."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from blockseg.inference.tile_scores.path_opening import path_opening_score
from blockseg.inference.tile_scores.scout import Scout

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from blockseg.core.geometry import Roi, Zyx
    from blockseg.core.specs import Affine, AffineField, ScoutSpec


class TileScore(Protocol):
    """Function of the voxels in and up to SEEN voxels around each tile, to the last bit."""

    def __call__(
        self, raw: NDArray[Any], read: Roi, roi: Roi, edge: int
    ) -> NDArray[np.float32]:
        """Return the score of each tile (z, y, x), from 0.

        Parameters
        ----------
        raw
            Grey levels (z, y, x) of ``read``.
        read
            At least ``roi`` and SEEN voxels around it, as far as the volume goes.
        roi
            Whole tiles, as far as the volume goes.
        edge
            Of a tile, in voxels; a multiple of 16.
        """
        ...


def tile_score(
    scout: ScoutSpec | None,
    affine: Affine | AffineField,
    volume_shape: Zyx,
    threads: int = 1,
) -> TileScore:
    """Return the scorer of the tiles of one volume. Threads may share it.

    Parameters
    ----------
    scout
        That gives it; None for the path opening.
    affine
        Normalisation of the run.
    volume_shape
        Voxels along (z, y, x).
    threads
        That a scout works with.

    Raises
    ------
    WeightsError
        If another scout is asked for than this blockseg has.
    MissingExtraError
        If its engine is not installed.
    """
    if scout is not None:
        return Scout(scout, affine, volume_shape, threads).score

    def opened(
        raw: NDArray[Any], read: Roi, roi: Roi, edge: int
    ) -> NDArray[np.float32]:
        return path_opening_score(raw, read, roi, affine, volume_shape, edge)

    return opened
