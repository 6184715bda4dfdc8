"""Grey levels under a background field, as codes that one offset and scale decode.

A device normalises with one offset and scale. Where these vary over the volume, the host
normalises instead and hands on 16-bit codes of what the network shall see; the device
takes them for grey levels. A step of a code is finer than half precision is where
neurites lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.specs import Affine
from blockseg.normalization.affine import normalize

if TYPE_CHECKING:
    import numpy.typing as npt

    from blockseg.core.geometry import Zyx
    from blockseg.core.specs import AffineField

_MOST = 65_535
_LOWEST, _HIGHEST = -32.0, 480.0  # of weights that state no ends of their input


@dataclass(frozen=True, slots=True)
class GreyCodes:
    """Codes of a volume's grey levels."""

    field: AffineField
    """Normalisation of the run."""

    @property
    def affine(self) -> Affine:
        """Normalisation that makes of a code what the network shall see."""
        low, high = self._ends
        scale = _MOST / (high - low)
        return Affine(-low * scale, scale, low, high)

    def encode(self, voxels: npt.NDArray[Any], start: Zyx) -> npt.NDArray[np.uint16]:
        """Return the codes of a box of voxels, shape (z, y, x).

        Parameters
        ----------
        voxels
            Grey levels, axes (z, y, x).
        start
            First voxel of the box in the volume.
        """
        decode = self.affine
        seen = np.empty(voxels.shape, np.float32)
        normalize(voxels, self.field, seen, start)
        np.clip(seen, decode.low, decode.high, out=seen)
        seen *= np.float32(decode.scale)
        seen += np.float32(decode.offset)
        return np.rint(seen, out=seen).astype(np.uint16)

    @property
    def _ends(self) -> tuple[float, float]:
        return max(self.field.low, _LOWEST), min(self.field.high, _HIGHEST)
