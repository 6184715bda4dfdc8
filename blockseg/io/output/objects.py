"""Blocks written as objects of a store: encoded in memory, sent whole."""

from __future__ import annotations

import json
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import tensorstore as ts

from blockseg.core.stored_file import StoredFile
from blockseg.io.output.metadata import array_text
from blockseg.io.stores import clients
from blockseg.io.stores.location import RemotePath, inner_of, location
from blockseg.io.stores.problems import store_error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Roi
    from blockseg.io.output.pyramid import PyramidLevel, PyramidSpec
    from blockseg.io.stores.location import Location

_AT_ONCE = 8  # objects of a block that are sent side by side: in Zarr v2 it has many


class ObjectWriter:
    """Writes the shards of one image; several threads may write different blocks.

    A store has no rename and needs none: an object is there when all of it has arrived.
    What is sent is what is remembered, so that nothing is read back.

    Parameters
    ----------
    spec
        The image, whose ``uri`` is an address.
    threads
        How many threads compress.
    """

    def __init__(self, spec: PyramidSpec, threads: int) -> None:
        self._spec = spec
        self._threads = threads

    def write(
        self, level: PyramidLevel, roi: Roi, data: NDArray[Any]
    ) -> tuple[StoredFile, ...]:
        """Write a region that whole files hold.

        Parameters
        ----------
        level
            Of the image.
        roi
            In voxels of that level.
        data
            Its voxels, of which one at least is not 0.

        Returns
        -------
        tuple of StoredFile
            The objects.

        Raises
        ------
        OSError
            If the store does not take them.
        """
        folder = location(self._spec.uri) / str(level.index)
        held = self._encoded(level, roi, data)
        places = [
            place
            for place in self._spec.stored_files(level, roi)
            if inner_of(place, folder) in held
        ]

        def send(place: RemotePath) -> StoredFile:
            content = held[inner_of(place, folder)]
            place.write_bytes(content)
            return self._remembered(place, content)

        remote = [place for place in places if isinstance(place, RemotePath)]
        if len(remote) == 1:
            return (send(remote[0]),)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return tuple(pool.map(send, remote))

    def remove(self, level: PyramidLevel, roi: Roi) -> None:
        """Delete what a region's files hold, in one request or a few."""
        files = self._spec.stored_files(level, roi)
        remote = [file for file in files if isinstance(file, RemotePath)]
        if not remote:
            return
        address = remote[0].address
        try:
            clients.delete(address.root, [file.address.key for file in remote])
        except clients.errors() as error:
            raise store_error(error, address) from error

    def read(self, level: PyramidLevel, roi: Roi) -> NDArray[Any]:
        """Return the voxels of a region; whole objects are fetched.

        Raises
        ------
        OSError, ValueError
            If one cannot be read, or decoded.
        """
        folder = location(self._spec.uri) / str(level.index)
        store, memory = self._in_memory(level)

        def fetch(place: Location) -> None:
            with suppress(FileNotFoundError):
                memory[inner_of(place, folder)] = place.read_bytes()

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(fetch, self._spec.stored_files(level, roi)))
        found: NDArray[Any] = store[roi.slices()].read().result()
        return found

    def _in_memory(self, level: PyramidLevel) -> tuple[ts.TensorStore, ts.KvStore]:
        """Return an empty level in memory, and where it keeps its files."""
        context = ts.Context(
            {
                "cache_pool": {"total_bytes_limit": 0},
                "data_copy_concurrency": {"limit": self._threads},
            }
        )
        kept = {"driver": "memory", "path": ""}
        store = ts.open(
            {
                "driver": "zarr3" if self._spec.zarr_format == 3 else "zarr",
                "kvstore": kept,
                "metadata": json.loads(array_text(self._spec, level)),
            },
            create=True,
            context=context,
        ).result()
        return store, ts.KvStore.open(kept, context=context).result()

    def _encoded(
        self, level: PyramidLevel, roi: Roi, data: NDArray[Any]
    ) -> dict[str, bytes]:
        """Return the files of a region by their keys in the level's folder."""
        store, memory = self._in_memory(level)
        store[roi.slices()].write(data).result()
        return {
            key.decode(): memory.read(key).result().value
            for key in memory.list().result()
        }

    def _remembered(self, place: RemotePath, content: bytes) -> StoredFile:
        within = self._spec.within and f"{self._spec.within}/"
        name = inner_of(place, location(self._spec.uri))
        return StoredFile(f"{within}{name}", len(content), zlib.crc32(content))
