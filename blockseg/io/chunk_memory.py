"""Memory that it takes to decode what storage keeps together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from blockseg.io.chunks.tensorstores import LARGE_CHUNK, ReadLimits
from blockseg.io.chunks.volume import ChunkedVolume
from blockseg.io.downsampled import Downsampled
from blockseg.io.open import open_volume
from blockseg.io.reinterpreted import Reinterpreted

if TYPE_CHECKING:
    from blockseg.core.specs import VolumeSpec
    from blockseg.io.protocol import Volume

_SMALL = 8 * 2**20  # bytes of a chunk up to which decoding hardly shows beside a block
_COPIES = 2  # of a chunk: stored and decoded, then decoded and returned
_COPIES_OF_STRIPS = 3  # stored, decoded and cast
_AT_ONCE = 2**28  # bytes of chunks that several readers decode, all of them


def chunk_bytes(volume: Volume) -> int:
    """Return the bytes that one chunk takes once it is decoded.

    Other channels and times that it holds are decoded too.
    """
    if isinstance(volume, Reinterpreted | Downsampled):
        return chunk_bytes(volume.volume)
    if isinstance(volume, ChunkedVolume):
        return volume.decoded_bytes
    return math.prod(volume.chunk_shape) * volume.dtype.itemsize


def bytes_to_decode(volume: Volume) -> int:
    """Return the memory of one reading thread besides what it returns and what is cached."""
    if isinstance(volume, Downsampled):
        return bytes_to_decode(volume.volume) + volume.reading_bytes
    chunk = chunk_bytes(volume)
    if chunk <= _SMALL:
        return 0
    stored = volume.volume if isinstance(volume, Reinterpreted) else volume
    if not isinstance(stored, ChunkedVolume):
        return _COPIES_OF_STRIPS * chunk
    return _COPIES * chunk * (1 if chunk > LARGE_CHUNK else 2)


def voxel_bytes(volume: Volume) -> int:
    """Return the bytes that are decoded for a voxel that is read."""
    if isinstance(volume, Downsampled):
        return math.prod(volume.factors) * voxel_bytes(volume.volume)
    return volume.dtype.itemsize


def readers(volume: Volume, most: int) -> int:
    """Return the number of threads that may read at once, ``most`` for chunks of usual size."""
    return max(1, min(most, _AT_ONCE // max(1, bytes_to_decode(volume))))


def open_for_samples(spec: VolumeSpec) -> Volume:
    """Open a volume of which a little is read here and there: a chunk or two are kept.

    Raises
    ------
    VolumeError
        As for :func:`~blockseg.io.open.open_volume`.
    """
    volume = open_volume(spec)
    needed = chunk_bytes(volume)
    if needed <= ReadLimits().cache_bytes:
        return volume
    return open_volume(spec, ReadLimits(cache_bytes=needed))
