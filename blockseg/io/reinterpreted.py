"""A volume whose stored bits are of another type than its metadata state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from blockseg.core.errors import VolumeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Roi, Zyx
    from blockseg.core.space import Space
    from blockseg.io.protocol import Volume


@dataclass(frozen=True, slots=True)
class Reinterpreted:
    """The same bits, read as another integer type of the same size."""

    volume: Volume
    """Volume as it is stored."""

    dtype: np.dtype[Any]
    """Type that its bits are."""

    @classmethod
    def of(cls, volume: Volume, name: str) -> Self:
        """Return a volume read as the integer type ``name``.

        Raises
        ------
        VolumeError
            If the stored type is no integer of that size.
        """
        dtype = np.dtype(name)
        stored = volume.dtype
        if stored.kind not in "iu" or stored.itemsize != dtype.itemsize:
            message = (
                f"--as {name}: the source holds {stored.name}, whose bits cannot be "
                f"{name}; leave it out"
            )
            raise VolumeError(message)
        return cls(volume, dtype)

    @property
    def shape(self) -> Zyx:
        """Voxels along (z, y, x)."""
        return self.volume.shape

    @property
    def chunk_shape(self) -> Zyx:
        """Voxels that storage decodes as a whole."""
        return self.volume.chunk_shape

    @property
    def space(self) -> Space:
        """Voxel size and place."""
        return self.volume.space

    def read(self, roi: Roi) -> NDArray[Any]:
        """Return a region; see :meth:`Volume.read`."""
        return self.volume.read(roi).view(self.dtype)
