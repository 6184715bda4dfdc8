"""A volume whose stored bits are of another type than its metadata state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import VolumeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Roi
    from blockseg.io.protocol import Volume


class Reinterpreted:
    """The same bits, read as another integer type of the same size.

    Parameters
    ----------
    volume
        As it is stored.
    name
        Of the integer type that its bits are.

    Raises
    ------
    VolumeError
        If the stored type is no integer of that size.
    """

    def __init__(self, volume: Volume, name: str) -> None:
        dtype = np.dtype(name)
        stored = volume.dtype
        if stored.kind not in "iu" or stored.itemsize != dtype.itemsize:
            message = (
                f"--as {name}: the source holds {stored.name}, whose bits cannot be "
                f"{name}; leave it out"
            )
            raise VolumeError(message)
        self.volume, self.dtype = volume, dtype
        self.shape, self.chunk_shape = volume.shape, volume.chunk_shape
        self.space = volume.space

    def read(self, roi: Roi) -> NDArray[Any]:
        """Return a region; see :meth:`Volume.read`."""
        return self.volume.read(roi).view(self.dtype)
