"""Pieces that no memory of this machine holds, refused before one is decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil

from blockseg.core.errors import VolumeError
from blockseg.core.text import times

if TYPE_CHECKING:
    from collections.abc import Sequence

_GIB = 2**30


def require_decodable(name: str, chunk: Sequence[int], nbytes: int) -> None:
    """Refuse a volume whose chunks, strips or tiles do not fit this machine.

    Parameters
    ----------
    name
        How to call the volume.
    chunk
        Voxels that are decoded as a whole.
    nbytes
        Bytes that they take, with all else that is decoded with them.

    Raises
    ------
    VolumeError
        If this machine has less memory than one of them takes.
    """
    memory = psutil.virtual_memory().total
    if nbytes > memory:
        message = (
            f"{name} is stored in chunks of {times(chunk)} voxels, each of which takes "
            f"{nbytes / _GIB:.1f} GiB to decode, and this machine has {memory / _GIB:.1f} "
            "GiB; rewrite it in smaller chunks, on a larger machine"
        )
        raise VolumeError(message)
