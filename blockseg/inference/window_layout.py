"""Layout of windows in a block, and what of each lies inside the volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import GeometryError
from blockseg.core.geometry import Roi, ceil_to
from blockseg.inference.cover import cover, tiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from blockseg.core.geometry import Zyx
    from blockseg.inference.backends.protocol import AxisMasks
    from blockseg.networks.receptive_field import Field

__all__ = ["InferenceMask", "Window", "check_regions", "nonfinite_voxels", "windows"]


@dataclass(frozen=True, slots=True, eq=False)
class InferenceMask:
    """Which voxels of a write ROI are to be inferred; all others are 0."""

    voxels: npt.NDArray[np.bool_]
    """``(z, y, x)``, shape of the write ROI."""

    step: int | None = None
    """Windows start at multiples of this many voxels of the volume, wherever something
    is wanted; None keeps them where they are when everything is."""


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """One call of an engine."""

    core: Roi
    """Box that it writes, in the volume's voxels; may overhang the block."""

    whole: Roi
    """Box that it sees: the core and the network's reach around it."""

    inside: AxisMasks | None
    """Along each axis 1 inside the volume, grown to the network's alignment, and 0
    beyond; None where all of it lies inside."""


def windows(
    write_roi: Roi,
    volume_shape: Zyx,
    field: Field,
    core: Zyx,
    wanted: InferenceMask | None = None,
    dtype: np.dtype[Any] | None = None,
) -> Iterator[Window]:
    """Yield the windows that make up a block, in order.

    Parameters
    ----------
    write_roi
        The block.
    volume_shape
        Voxels along (z, y, x).
    field
        What a window of the network needs around its core.
    core
        Voxels along (z, y, x) that a window writes.
    wanted
        What of the block; windows without a wanted voxel are left out.
    dtype
        Of the masks; float32 if not given.
    """
    padded = Roi.whole(ceil_to(n, field.alignment) for n in volume_shape)
    for part in _cores(write_roi, field, core, wanted):
        whole = part.grown((field.reach,) * 3)
        inside = None
        if not padded.contains(whole):
            inside = _inside(whole, padded, dtype or np.dtype(np.float32))
        yield Window(part, whole, inside)


def check_regions(
    raw: npt.NDArray[Any], read_roi: Roi, write_roi: Roi, volume_shape: Zyx
) -> None:
    """Refuse regions that do not lie inside each other.

    Raises
    ------
    GeometryError
        With the regions.
    """
    if raw.shape != read_roi.shape:
        message = f"voxels of shape {raw.shape} cannot be those of ROI {read_roi}"
        raise GeometryError(message)
    if not (
        read_roi.contains(write_roi) and Roi.whole(volume_shape).contains(read_roi)
    ):
        message = (
            f"ROI {write_roi} must lie inside what was read ({read_roi}), and that "
            f"inside the volume of {volume_shape} voxels"
        )
        raise GeometryError(message)


def nonfinite_voxels(raw: npt.NDArray[Any]) -> int:
    """Count NaN and infinite voxels."""
    if raw.dtype.kind != "f":
        return 0
    return raw.size - int(np.count_nonzero(np.isfinite(raw)))


def _cores(
    write_roi: Roi, field: Field, core: Zyx, wanted: InferenceMask | None
) -> Iterator[Roi]:
    every = tiles(write_roi.aligned(field.alignment), core)
    if wanted is None:
        return every
    if wanted.step is not None:
        return cover(wanted.voxels, write_roi, core, wanted.step)
    inside = ((part, part.intersection(write_roi)) for part in every)
    return (
        part
        for part, common in inside
        if wanted.voxels[common.slices(write_roi.start)].any()
    )


def _inside(window: Roi, volume: Roi, dtype: np.dtype[Any]) -> AxisMasks:
    common = window.intersection(volume)
    z, y, x = (
        _indicator(a - w, b - w, n, dtype)
        for a, b, w, n in zip(
            common.start, common.stop, window.start, window.shape, strict=True
        )
    )
    return z, y, x


def _indicator(
    start: int, stop: int, length: int, dtype: np.dtype[Any]
) -> npt.NDArray[Any]:
    vector = np.zeros(length, dtype)
    vector[start:stop] = 1
    return vector
