"""Layout of windows in a block, and what of each lies inside the volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.geometry import Roi, ceil_to
from blockseg.inference.cover import cover, tiling

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from blockseg.core.geometry import Zyx
    from blockseg.inference.backends.protocol import AxisMasks
    from blockseg.inference.block_input import BlockInput
    from blockseg.networks.receptive_field import Field


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
    block: BlockInput,
    field: Field,
    core: Zyx,
    dtype: np.dtype[Any] | None = None,
) -> Iterator[Window]:
    """Yield the windows that make up a block, in order.

    Parameters
    ----------
    block
        The block; windows without a voxel of its mask are left out.
    field
        What a window of the network needs around its core.
    core
        Voxels along (z, y, x) that a window writes.
    dtype
        Of the masks; float32 if not given.
    """
    padded = Roi.whole(ceil_to(n, field.alignment) for n in block.volume_shape)
    for part in _cores(block, field, core):
        whole = part.grown((field.reach,) * 3)
        inside = None
        if not padded.contains(whole):
            inside = _inside(whole, padded, dtype or np.dtype(np.float32))
        yield Window(part, whole, inside)


def _cores(block: BlockInput, field: Field, core: Zyx) -> Iterator[Roi]:
    write_roi, mask = block.write_roi, block.mask
    every = tiling(write_roi.aligned(field.alignment), core)
    if mask is None:
        return every
    if mask.step is not None:
        return cover(mask.voxels, write_roi, core, mask.step)
    inside = ((part, part.intersection(write_roi)) for part in every)
    return (
        part
        for part, common in inside
        if mask.voxels[common.slices(write_roi.start)].any()
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
