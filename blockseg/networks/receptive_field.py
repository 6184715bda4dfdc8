"""Receptive field of each network, derived from its layers; free of torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from blockseg.core.geometry import ceil_to

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KERNEL = 3
"""Edge of a convolution where nothing else is said, in voxels of its level."""

STRIDE = 2
"""Factor between levels, on each axis."""

SLOPE = 0.2
"""Slope of the leaky activations, below zero."""

DEEPEST_PATH = ((2, "pool"), (3, "pool"), (3, "up"), (2, "up"), (2, "end"))
"""SDASN's x00, x10, x20, x11, x02: the convolutions in each, and what follows them."""

_VOXRESNET_PATH = ((3, "stride"), (4, "stride"), (4, "stride"), (4, "end"))
# The first convolution has 5×5×5 voxels and counts twice.

_UNET3D_PATH = (
    *((2, "pool"), (2, "pool"), (2, "pool"), (2, "up")),
    *((2, "up"), (2, "up"), (2, "end")),
)


def alignment(path: Sequence[tuple[int, str]] = DEEPEST_PATH) -> int:
    """Return the shift, in voxels, under which the network is equivariant."""
    return int(STRIDE ** sum(step in ("pool", "stride") for _, step in path))


def reach(path: Sequence[tuple[int, str]] = DEEPEST_PATH) -> int:
    """Return the distance that an aligned core sees beyond its faces, in voxels.

    Walks from the output back to the input with the margin that a core needs,
    in voxels of the current level. A convolution uses up one voxel a side. A
    transposed convolution doubles the margin, but its outermost ``STRIDE`` voxels
    lack some of their inputs. Pooling halves it; a convolution of stride 2 does so
    after it used up its one voxel.
    """
    margin = 0
    for convolutions, step in reversed(path):
        if step == "up":
            margin = -(-(margin + STRIDE) // STRIDE)
        elif step == "pool":
            margin *= STRIDE
        elif step == "stride":
            margin = margin * STRIDE + KERNEL // 2
        margin += convolutions * (KERNEL // 2)
    return margin


@dataclass(frozen=True, slots=True)
class Field:
    """Field of a network: what a window needs around its core."""

    reach: int
    """Halo, in voxels, with which an aligned core is exact; a multiple of ``alignment``."""

    alignment: int
    """Windows start at multiples of this many voxels of the volume."""

    margin: int
    """Voxels a side by which a core's cost exceeds its own, all layers weighed."""

    width: int
    """Channels at full resolution where nothing else is said."""


def _field(path: Sequence[tuple[int, str]], margin: int, width: int) -> Field:
    step = alignment(path)
    return Field(ceil_to(reach(path), step), step, margin, width)


FIELDS: Mapping[str, Field] = {
    "sdasn": _field(DEEPEST_PATH, margin=11, width=8),
    "voxresnet": _field(_VOXRESNET_PATH, margin=58, width=32),
    "unet3d": _field(_UNET3D_PATH, margin=21, width=32),
}
"""The networks there are.

Computed over written multiply-adds are about ``prod((n + 2 · margin) / n)``. For
SDASN that is 2.4 for 64³ (counted: 2.6), 1.61 for 128³ (1.58), 1.28 for 256³ (1.25).
"""

ARCHITECTURES = tuple(FIELDS)
"""Their names."""

ALIGNMENT = FIELDS["sdasn"].alignment
"""SDASN's windows start at multiples of this many voxels of the volume."""

REACH = FIELDS["sdasn"].reach
"""Halo, in voxels, with which an aligned window's core of SDASN is exact."""
