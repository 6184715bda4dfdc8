"""Probability that is predicted where it is viewed, and kept."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.geometry import Roi, tiles, to_zyx

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.core.space import Space
    from blockseg.segmentation.predictor import Predictor

_KEPT = 2**29  # bytes of blocks


class PredictedVolume:
    """Probability that a network gives a volume, block by block, as a volume.

    Parameters
    ----------
    predictor
        Engine; closed by its owner.
    space
        Of the volume.
    """

    def __init__(self, predictor: Predictor, space: Space) -> None:
        self._predictor, self._grid = predictor, predictor.grid
        self.shape: Zyx = self._grid.region.shape
        self.dtype: np.dtype[Any] = np.dtype(np.uint8)
        self.chunk_shape, self.space = self._grid.block_shape, space
        self._kept: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()
        self._lock = Lock()

    def read(self, roi: Roi) -> NDArray[np.uint8]:
        """Return round(255·p) of a region, predicted now where it was not before."""
        found = np.zeros(roi.shape, np.uint8)
        origin = self._grid.region.start
        # Tiles are counted from the volume's corner, blocks from the region's.
        for index in tiles(roi, self._grid.block_shape):
            block = self._grid.block(index)
            start, stop = (
                to_zyx(n - o for n, o in zip(end, origin, strict=True))
                for end in (block.write_roi.start, block.write_roi.stop)
            )
            part = Roi(start, stop).intersection(roi)
            voxels = self._block(block.number)[part.slices(start)]
            found[part.slices(roi.start)] = voxels
        return found

    def _block(self, number: int) -> NDArray[np.uint8]:
        with self._lock:  # the engine computes one block at a time
            known = self._kept.pop(number, None)
            if known is None:
                known = self._predictor.predict(self._grid.numbered(number))
            self._kept[number] = known
            while sum(block.nbytes for block in self._kept.values()) > _KEPT:
                self._kept.popitem(last=False)
            return known
