"""CRC-32 of voxels, by the instructions that a CPU has for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def crc32_of(voxels: NDArray[Any], before: int = 0) -> int:
    """Return the CRC-32 of voxels in C order: that of :func:`zlib.crc32`, but faster.

    Parameters
    ----------
    voxels
        Of any shape and type.
    before
        CRC-32 of what comes before them.
    """
    # libdeflate's. What zlib goes through tables for takes ten times as long.
    from imagecodecs import deflate_crc32

    flat: Any = np.ascontiguousarray(voxels).reshape(-1).view(np.uint8).data
    return int(deflate_crc32(flat, before))
