"""How far SDASN sees, derived from its layers; free of torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "ALIGNMENT",
    "DEEPEST_PATH",
    "KERNEL",
    "REACH",
    "STRIDE",
    "alignment",
    "reach",
]

KERNEL = 3
"""Edge of every convolution, in voxels of its level."""

STRIDE = 2
"""Factor between levels, on each axis."""

DEEPEST_PATH = ((2, "pool"), (3, "pool"), (3, "up"), (2, "up"), (2, "end"))
"""x00, x10, x20, x11, x02: the convolutions in each, and what follows them."""


def alignment(path: Sequence[tuple[int, str]] = DEEPEST_PATH) -> int:
    """Return the shift, in voxels, under which the network is equivariant."""
    return int(STRIDE ** sum(step == "pool" for _, step in path))


def reach(path: Sequence[tuple[int, str]] = DEEPEST_PATH) -> int:
    """Return how far an aligned core sees beyond its faces, in voxels.

    Walks from the output back to the input with the margin that a core needs,
    in voxels of the current level. A convolution uses up one voxel a side. A
    transposed convolution doubles the margin, but its outermost ``STRIDE`` voxels
    lack some of their inputs. Pooling halves it.
    """
    margin = 0
    for convolutions, step in reversed(path):
        if step == "up":
            margin = -(-(margin + STRIDE) // STRIDE)
        elif step == "pool":
            margin *= STRIDE
        margin += convolutions * (KERNEL // 2)
    return margin


ALIGNMENT = alignment()
"""Windows start at multiples of this many voxels of the volume."""

REACH = reach()
"""Halo, in voxels, with which an aligned window's core is exact."""
