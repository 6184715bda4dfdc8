"""The next smaller window, where a device has too little memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.core.geometry import ceil_to, to_zyx

if TYPE_CHECKING:
    from blockseg.core.geometry import Zyx

__all__ = ["SMALLEST", "halved"]

SMALLEST = 32
"""Edge, in voxels, below which a window is not halved: most of it would be margin."""


def halved(core: Zyx, alignment: int) -> Zyx | None:
    """Return a core with half the longest edge; None if it is the smallest.

    Parameters
    ----------
    core
        Voxels along (z, y, x).
    alignment
        Of the network: edges are multiples of it.
    """
    longest = max(range(3), key=lambda axis: core[axis])
    length = ceil_to(max(-(-core[longest] // 2), SMALLEST), alignment)
    if length >= core[longest]:
        return None
    return to_zyx(length if axis == longest else n for axis, n in enumerate(core))
