"""Arrays opened with tensorstore, read-only and within stated bounds of memory."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import tensorstore as ts

from blockseg.io.chunks.read_again import read_again
from blockseg.io.formats.zipped import ZipPath
from blockseg.io.stores.kvstores import REMOTE_CONTEXT, KvStoreSpec, kvstore

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from blockseg.io.axes import Index
    from blockseg.io.stores.location import Location

BeginRead: TypeAlias = "Callable[[Index], Callable[[], NDArray[Any]]]"
"""Begins to read the part of a stored array (C order) under a tuple of slices, and
returns what waits for it."""

_INDEX_BYTES = 4 * 2**20  # tensorstore's own cache: indices of shards, no more

LARGE_CHUNK = 32 * 2**20
"""Bytes of a decoded chunk beyond which no two are decoded side by side."""

OPENING_ERRORS = (ValueError, NotImplementedError, OSError, RuntimeError, LookupError)
"""Errors of tensorstore, by kind, where it cannot open an array."""


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Limits for one open volume."""

    cache_bytes: int = 256 * 2**20
    """Decoded chunks kept, in bytes; none if not even one fits."""

    copy_threads: int = 2
    """Threads that decode at the same time."""

    io_threads: int = 8
    """Files read at the same time."""

    def for_chunks(self, nbytes: int) -> ReadLimits:
        """Return the limits for chunks of so many decoded bytes: of large ones, one."""
        if nbytes <= LARGE_CHUNK:
            return self
        return replace(self, copy_threads=1, io_threads=1)


def open_read_only(
    driver: str,
    folder: Location,
    limits: ReadLimits,
    *,
    reverse_axes: bool = False,
    metadata: str = "",
) -> BeginRead:
    """Open a stored array, axes in C order.

    Parameters
    ----------
    driver
        ``zarr``, ``zarr3`` or ``n5``.
    folder
        Of the array.
    limits
        Memory and threads.
    reverse_axes
        Whether the driver counts the fastest axis first.
    metadata
        JSON that tensorstore takes the array's metadata to be; empty to read its own.

    Raises
    ------
    One of ``OPENING_ERRORS``
        If tensorstore cannot read the array; mostly ValueError.
    """
    assumed = {"metadata": json.loads(metadata)} if metadata else {}
    store = ts.open(
        {
            "driver": driver,
            "kvstore": _kvstore(folder),
            "recheck_cached_data": False,
            "recheck_cached_metadata": False,
            **assumed,
        },
        open=True,
        read=True,
        write=False,
        assume_metadata=bool(assumed),
        context=context_of(limits),
    ).result()
    if reverse_axes:
        store = store[ts.d[:].transpose[::-1]]
    return begin_reads(store)


def context_of(limits: ReadLimits) -> ts.Context:
    """Return the context that bounds memory and threads of one open array."""
    return ts.Context(
        {
            "cache_pool": {"total_bytes_limit": _INDEX_BYTES},
            "data_copy_concurrency": {"limit": limits.copy_threads},
            "file_io_concurrency": {"limit": limits.io_threads},
            **REMOTE_CONTEXT,
        }
    )


def begin_reads(store: ts.TensorStore) -> BeginRead:
    """Return a function that begins to read parts of an open array, by indices from 0."""

    def begin(index: Index) -> Callable[[], NDArray[Any]]:
        begun = [store[index].read()]

        def wait() -> NDArray[Any]:
            future = begun.pop() if begun else store[index].read()
            return np.asarray(future.result())

        return lambda: read_again(wait)

    return begin


def _kvstore(folder: Location) -> KvStoreSpec:
    if isinstance(folder, ZipPath):
        base = {"driver": "file", "path": str(folder.archive)}
        inner = f"{folder.member}/" if folder.member else ""
        return {"driver": "zip", "base": base, "path": inner}
    return kvstore(folder)
