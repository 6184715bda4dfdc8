"""Filters of HDF5, undone outside of its library and within stated bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import imagecodecs
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

_DEFLATE, _SHUFFLE, _FLETCHER, _LZ4, _ZSTD = 1, 2, 3, 32004, 32015
FILTER_NAMES = {
    _DEFLATE: "gzip", _SHUFFLE: "shuffle", _FLETCHER: "fletcher32", 4: "szip",
    32000: "lzf", 32001: "blosc", _LZ4: "lz4", 32008: "bitshuffle", _ZSTD: "zstd",
    32026: "blosc2",
}  # fmt: skip
OWN_FILTERS = frozenset({_DEFLATE, _SHUFFLE, _FLETCHER, _LZ4, _ZSTD})
"""Filters that :func:`unpacked` undoes."""

_CHECKSUM = 4  # bytes


def unpacked(
    data: bytes, filters: Sequence[tuple[int, tuple[int, ...]]], mask: int, nbytes: int
) -> bytes:
    """Return the elements of a chunk as they are in memory.

    Parameters
    ----------
    data
        As it is stored.
    filters
        Number and settings of each filter, in the order of writing.
    mask
        Bits of the filters that this chunk was written without.
    nbytes
        Bytes of the elements; no more are unpacked.

    Raises
    ------
    ValueError, RuntimeError
        If they cannot be unpacked.
    """
    most = nbytes + _CHECKSUM * len(filters)
    for place, (number, settings) in reversed(list(enumerate(filters))):
        if mask & (1 << place):
            continue
        if number == _FLETCHER:
            data = _checked(data)
        elif number == _SHUFFLE:
            data = _unshuffled(data, settings[0] if settings else 1)
        elif number == _DEFLATE:
            data = bytes(imagecodecs.zlib_decode(data, out=most))
        elif number == _LZ4:
            data = bytes(imagecodecs.lz4h5_decode(data, out=most))
        else:
            data = bytes(imagecodecs.zstd_decode(data, out=most))
    return data


def _checked(data: bytes) -> bytes:
    content, stated = data[:-_CHECKSUM], int.from_bytes(data[-_CHECKSUM:], "little")
    if int(imagecodecs.h5checksum_fletcher32(content)) != stated:
        message = "its checksum is wrong"
        raise ValueError(message)
    return content


def _unshuffled(data: bytes, size: int) -> bytes:
    count = len(data) // size
    if size < 2 or count < 2:
        return data
    whole = np.frombuffer(data, np.uint8, count * size)
    return whole.reshape(size, count).T.tobytes() + data[count * size :]
