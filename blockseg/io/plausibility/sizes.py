"""Sizes in the metadata that no memory holds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import psutil

from blockseg.core.errors import VolumeError
from blockseg.core.text import times
from blockseg.io.chunk_memory import chunk_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.core.choices import SourceChoices
    from blockseg.core.specs import VolumeSpec
    from blockseg.io.protocol import Volume

_MOST_VOXELS = 10**16
"""A human brain at half a micrometre; more is a slip of the pen."""

GIB = 2**30


def has_sizes_that_fit(
    spec: VolumeSpec, volume: Volume, choices: SourceChoices
) -> Iterator[str]:
    """Refuse shapes and chunks that no machine, or not this one, can read."""
    del choices
    shape = times(volume.shape)
    if math.prod(volume.shape) > _MOST_VOXELS:
        message = (
            f"{spec.uri} states {shape} voxels, more than {_MOST_VOXELS:.0e}: its metadata "
            "are damaged; write them anew"
        )
        raise VolumeError(message)
    memory, needed = psutil.virtual_memory().total, chunk_bytes(volume)
    if needed > memory:
        chunk = times(volume.chunk_shape)
        message = (
            f"{spec.uri} is stored in chunks of {chunk} voxels, each of which takes "
            f"{needed / GIB:.1f} GiB to decode, and this machine has {memory / GIB:.1f} GiB; "
            "write it anew in smaller chunks, on a larger machine"
        )
        raise VolumeError(message)
    yield from ()
