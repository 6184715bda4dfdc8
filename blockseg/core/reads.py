"""Sums over what a block read, by which a source that changed under a run is found out.

Whoever reads says so (:func:`note_read`), whoever tries a block keeps the sums:
``with noting_reads() as reads: process(block)``.
"""

from __future__ import annotations

import zlib
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_WORDS = 128
"""Words of 8 bytes that are added up before they enter the CRC: it takes a tenth of the
time of a CRC over all bytes, a few ms for each 100 MB."""

_noted: ContextVar[list[int] | None] = ContextVar("_noted", default=None)


@contextmanager
def noting_reads() -> Iterator[list[int]]:
    """Collect a sum for each read of this thread inside the context, in their order."""
    sums: list[int] = []
    token = _noted.set(sums)
    try:
        yield sums
    finally:
        _noted.reset(token)


def note_read(voxels: NDArray[Any]) -> None:
    """Report a read to the attempt at the block that needs it."""
    sums = _noted.get()
    if sums is not None:
        sums.append(read_sum(voxels))


def read_sum(voxels: NDArray[Any]) -> int:
    """Return a checksum of an array's values in C order; equal for equal values.

    A CRC-32 of the sums of each KiB. Only words of 8 bytes that change their places
    within one KiB would go unnoticed.
    """
    if voxels.size and not any(voxels.strides):
        voxels = seen_once(voxels).reshape(-1)
    flat = np.ascontiguousarray(voxels).reshape(-1).view(np.uint8)
    whole = flat.size // (8 * _WORDS) * (8 * _WORDS)
    words = flat[:whole].view(np.uint64).reshape(-1, _WORDS)
    sums = np.add.reduce(words, axis=1)
    return zlib.crc32(flat[whole:].data, zlib.crc32(sums.data))


def seen_once(voxels: NDArray[Any]) -> NDArray[Any]:
    """Return an array without repetitions along axes of which all places are one.

    For questions that a single voxel answers as well as many equal ones.
    """
    repeated = [
        stride == 0 and n > 1
        for stride, n in zip(voxels.strides, voxels.shape, strict=True)
    ]
    if not any(repeated):
        return voxels
    return voxels[tuple(slice(1) if same else slice(None) for same in repeated)]
