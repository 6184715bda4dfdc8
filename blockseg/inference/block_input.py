"""Input of an engine: a block's voxels, where they lie, what of it to infer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import GeometryError
from blockseg.core.geometry import Roi

if TYPE_CHECKING:
    import numpy.typing as npt

    from blockseg.core.geometry import Zyx


@dataclass(frozen=True, slots=True, eq=False)
class InferenceMask:
    """Voxels of a write ROI that are to be inferred; all others are 0."""

    voxels: npt.NDArray[np.bool_]
    """``(z, y, x)``, shape of the write ROI."""

    step: int | None = None
    """Windows start at multiples of this many voxels of the volume, wherever something
    is to be inferred; None keeps them where they are when everything is."""


@dataclass(frozen=True, slots=True, eq=False)
class BlockInput:
    """All that an engine needs to know of a block.

    Raises
    ------
    GeometryError
        If the regions do not lie inside each other, or the voxels have another shape.
    """

    voxels: npt.NDArray[Any]
    """Grey levels ``(z, y, x)`` of the read ROI, in the source's dtype."""

    read_roi: Roi
    """Region that was read. Results are exact where it contains the write ROI grown
    outward to multiples of the network's alignment and by its reach, as far as the
    volume goes; what a smaller one lacks counts as background."""

    write_roi: Roi
    """Region to infer, inside the read ROI."""

    volume_shape: Zyx
    """Voxels of the volume along (z, y, x)."""

    mask: InferenceMask | None = None
    """Voxels of the write ROI to infer, None for all of them. Windows without such a voxel are
    left out, and all others are as they would be without a mask."""

    def __post_init__(self) -> None:
        shape, read, write = self.voxels.shape, self.read_roi, self.write_roi
        if shape != read.shape:
            message = f"voxels of shape {shape} cannot be those of ROI {read}"
            raise GeometryError(message)
        if not (read.contains(write) and Roi.whole(self.volume_shape).contains(read)):
            message = (
                f"ROI {write} must lie inside what was read ({read}), and that "
                f"inside the volume of {self.volume_shape} voxels"
            )
            raise GeometryError(message)

    def masked(self, result: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the result of the write ROI, set to 0 outside of the mask."""
        if self.mask is not None:
            result[~self.mask.voxels] = 0
        return result


def nonfinite_voxels(voxels: npt.NDArray[Any]) -> int:
    """Count NaN and infinite voxels."""
    if voxels.dtype.kind != "f":
        return 0
    return voxels.size - int(np.count_nonzero(np.isfinite(voxels)))
