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

SMALLEST = 32
"""Shortest edge of a core: below it most of the work is margin."""

MEMORY = {
    "openvino": (100 * 2**20, 140),
    "torch": (50 * 2**20, 160),
    "fake": (0, 12),
}
"""Bytes in all, and bytes a float32 voxel of the window."""


def window_shapes(block: Zyx) -> tuple[Zyx, ...]:
    """Return the cores that tile a block without overhang, the cheapest first.

    Parameters
    ----------
    block
        Voxels along (z, y, x); rounded up to multiples of ``ALIGNMENT``.

    Returns
    -------
    tuple
        Cores whose edges divide the block's, of ``SMALLEST`` to ``LARGEST`` voxels
        where the block has such divisors; sorted by multiply-adds a written voxel.
    """
    z, y, x = (_divisors(ceil_to(n, ALIGNMENT)) for n in block)
    return tuple(sorted(product(z, y, x), key=lambda core: (_overhead(core), core)))


def window_memory(core: Zyx, backend: str, itemsize: int = 4) -> int:
    """Return the memory of an engine with this core, in bytes.

    Fitted to peak resident memory with one thread, above the 400 MiB of a
    process with its libraries, over cores of 32³ to 192³: per float32
    voxel of the window (the core and ``REACH`` more on every side) OpenVINO took
    66 to 136 bytes, torch 120 to 157.

    Parameters
    ----------
    core
        Voxels along (z, y, x).
    backend
        ``openvino``, ``torch`` or ``fake``.
    itemsize
        Bytes of a number: 4, or 8 for float64.
    """
    fixed, per_voxel = MEMORY.get(backend, MEMORY["torch"])
    voxels = math.prod(n + 2 * REACH for n in core)
    return fixed + per_voxel * voxels * itemsize // 4


def _divisors(length: int) -> list[int]:
    every = [n for n in range(ALIGNMENT, length + 1, ALIGNMENT) if length % n == 0]
    usable = [n for n in every if SMALLEST <= n <= LARGEST]
    return usable or [max(n for n in every if n <= LARGEST)]


def _overhead(core: Zyx) -> float:
    return math.prod((n + 2 * EFFECTIVE_MARGIN) / n for n in core)
