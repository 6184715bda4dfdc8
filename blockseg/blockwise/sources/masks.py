"""Parts that masks leave out, and warnings about them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Protocol

from blockseg.core.errors import SourceWarning
from blockseg.io.masks.overlay import Overlay, overlay_doubts
from blockseg.io.masks.sampler import MaskSampler

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from blockseg.core.geometry import Roi, Zyx
    from blockseg.core.grid import BlockGrid
    from blockseg.core.space import Space
    from blockseg.core.specs import VolumeSpec
    from blockseg.io.protocol import Volume


def warn_of_mask(name: str, mask: Volume, shape: Zyx, space: Space, roi: Roi) -> None:
    """Warn of what may be wrong with a mask.

    Parameters
    ----------
    name
        How to call the mask: option and path.
    mask
        Of any resolution.
    shape, space
        Of the volume that it restricts.
    roi
        Region of that volume that is asked for.

    Raises
    ------
    VolumeError
        If it cannot be a mask of this volume.
    """
    overlay = Overlay.of(mask, shape, space)
    for doubt in overlay_doubts(name, mask, overlay, roi):
        warnings.warn(doubt, SourceWarning, stacklevel=2)


def outside_of(mask: Volume, shape: Zyx, space: Space, roi: Roi) -> float:
    """Return the share of a region of a volume that a mask does not reach."""
    return Overlay.of(mask, shape, space).beyond(roi)


class OpenedMask(Protocol):
    """An opened volume that restricts a run."""

    @property
    def spec(self) -> VolumeSpec:
        """Specification by which it is opened again."""
        ...

    @property
    def volume(self) -> Volume:
        """Its voxels."""
        ...


def blocks_in_mask(
    mask: OpenedMask, space: Space, grid: BlockGrid
) -> NDArray[np.bool_]:
    """Return which blocks write a voxel inside a mask; warn if none does.

    Parameters
    ----------
    mask
        What restricts a run.
    space, grid
        Of the volume.
    """
    sampler = MaskSampler(mask.volume, grid.volume_shape, space)
    inside = sampler.occupied(grid)
    if not inside.any():
        doubt = (
            f"the mask {mask.spec.uri} is 0 in the whole region: nothing is done; give "
            "another --mask or --roi"
        )
        warnings.warn(doubt, SourceWarning, stacklevel=2)
    return inside
