"""Voxels of an output that their own checksums prove, where no ledger tells of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import VolumeError
from blockseg.io.output.writer import PyramidWriter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Roi, Zyx
    from blockseg.io.output.pyramid import PyramidSpec


class StoredProbability:
    """Finest level of an image, as far as each chunk ends in a CRC32C that fits.

    Parameters
    ----------
    spec
        The image.
    origin
        First voxel of the image in the coordinates of the source.
    """

    def __init__(self, spec: PyramidSpec, origin: Zyx) -> None:
        self._spec = spec
        self._origin = origin
        self._writer = PyramidWriter(spec)

    def proven(self, roi: Roi) -> NDArray[np.uint8] | None:
        """Return the voxels of a region, or None where nothing proves them.

        Nothing does where a file is missing, for a block of zeros and one that was never
        written look the same; nor in Zarr v2, whose chunks have no checksum.

        Parameters
        ----------
        roi
            Region inside of one block, in the coordinates of the source.
        """
        spec = self._spec
        if not (spec.checked and spec.zarr_format == 3):
            return None
        inside = roi.shifted(-a for a in self._origin)
        level = spec.levels[0]
        if not all(file.is_file() for file in spec.stored_files(level, inside)):
            return None
        try:
            return np.ascontiguousarray(self._writer.read_level(0, inside), np.uint8)
        except VolumeError:
            return None
