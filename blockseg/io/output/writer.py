"""Writer of a multiscale image, block by block, on any number of processes.

One writer owns a shard, so no two processes ever touch one file. A shard appears
whole or not at all (a temporary file, then a rename), a shard of zeros has no file,
and writing a block again gives the same bytes.
"""

from __future__ import annotations

import json
import os
import threading
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorstore as ts

from blockseg.core.errors import GeometryError, OutputGoneError, VolumeError
from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.io.chunks.read_again import read_again
from blockseg.io.output.checksum import crc32_of
from blockseg.io.output.metadata import array_file, array_text
from blockseg.io.output.objects import ObjectWriter
from blockseg.io.output.reduction import halve
from blockseg.io.output.write_errors import is_corrupt, write_error
from blockseg.io.output.written_files import stored_file
from blockseg.io.stores.address import is_remote
from blockseg.io.stores.kvstores import REMOTE_CONTEXT, has_driver, kvstore
from blockseg.io.stores.location import inner_of, location

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from blockseg.core.stored_file import StoredFile
    from blockseg.io.output.pyramid import PyramidLevel, PyramidSpec

_LAYER = 16  # planes of a coarse shard that are made at a time, or more
_WAITING = 8  # threads that only wait for the disk, and burn nothing


@dataclass(frozen=True, slots=True)
class BlockWritten:
    """One write, as it was put on disk."""

    voxels: int
    """Voxels of the finest level written."""

    nonzero: int
    """Voxels of that level that are not 0."""

    bytes: int
    """Bytes of that level, before compression."""

    crc32: int
    """CRC-32 of those bytes, C order, little-endian."""

    files: int
    """Files that hold them and the inline levels; 0 if all voxels are 0."""

    stored: tuple[StoredFile, ...] = field(default=(), compare=False, repr=False)
    """These files, by which damage is found later."""


class PyramidWriter:
    """Writes the blocks of one multiscale image; picklable, opens its arrays lazily.

    Several threads may write different blocks at once.

    Parameters
    ----------
    spec
        The image, made by :func:`blockseg.io.output.create.create_output`.
    threads
        How many threads compress.
    """

    def __init__(self, spec: PyramidSpec, threads: int = 2) -> None:
        self.spec = spec
        self._threads = threads
        self._levels = spec.levels
        self._grid = spec.grid
        self._stores: dict[int, ts.TensorStore] = {}
        self._lock = threading.Lock()
        self._context = ts.Context(
            {
                "cache_pool": {"total_bytes_limit": 0},
                "data_copy_concurrency": {"limit": threads},
                "file_io_concurrency": {"limit": _WAITING},
                **REMOTE_CONTEXT,
            }
        )
        remote = is_remote(spec.uri)
        self._objects = ObjectWriter(spec, threads) if remote else None

    def __reduce__(self) -> tuple[Any, ...]:
        return (PyramidWriter, (self.spec, self._threads))

    def write_block(self, roi: Roi, data: NDArray[Any]) -> BlockWritten:
        """Write one block at level 0 and at every inline level.

        Parameters
        ----------
        roi
            One block of the grid, in the output's coordinates.
        data
            Its voxels, axes (z, y, x).

        Raises
        ------
        GeometryError
            If ``roi`` is not a block, or the data are of another shape or type.
        NoSpaceError
            If the disk is full.
        OutputGoneError
            If the output is not there any more.
        VolumeError
            If a shard cannot be written.
        """
        return self.begin_block(roi, data)()

    def begin_block(self, roi: Roi, data: NDArray[Any]) -> Callable[[], BlockWritten]:
        """Begin to write one block; return what waits for its end.

        The disk is waited for once, however many files there are.

        Parameters
        ----------
        roi, data
            As of :meth:`write_block`; the data must stay as they are until the end.

        Raises
        ------
        GeometryError, NoSpaceError, OutputGoneError, VolumeError
            As of :meth:`write_block`, now or at the end.
        """
        self._check_block(roi, data)
        coarse, region = data, roi
        nonzero = int(np.count_nonzero(data))
        with ExitStack() as begun:
            files: list[Callable[[], tuple[StoredFile, ...]]] = []
            for level in self._levels:
                if not level.inline:
                    break
                if level.index:
                    # a block of zeros stays one; most blocks of a brain are
                    coarse = halve(coarse, self.spec.reduce) if nonzero else coarse
                    region = Roi(
                        to_zyx(a // 2 for a in region.start),
                        to_zyx(-(-b // 2) for b in region.stop),
                    )
                files.append(
                    self._begin(begun, level, region, coarse, empty=not nonzero)
                )
            waiting = begun.pop_all()

        def wait() -> BlockWritten:
            with waiting:  # after an error too, none is left behind
                stored = tuple(file for end in files for file in end())
            return _written(data, stored, nonzero)

        return wait

    def write_level_block(self, level: int, index: Zyx) -> BlockWritten:
        """Write one shard of a second-pass level from the level below it.

        Parameters
        ----------
        level
            One of ``spec.second_pass_grids()``; the level below must be complete.
        index
            Position of the shard in the level's grid.

        Raises
        ------
        GeometryError
            If the level is not one of the second pass, or has no such shard.
        CorruptDataError
            If the level below cannot be decoded.
        NoSpaceError, OutputGoneError, VolumeError
            As in :meth:`write_block`.
        """
        if not 0 < level < len(self._levels) or self._levels[level].inline:
            message = f"level {level} of {self.spec.uri} has no second pass"
            raise GeometryError(message)
        target, finer = self._levels[level], self._levels[level - 1]
        grid = target.grid
        if any(not 0 <= i < n for i, n in zip(index, grid.counts, strict=True)):
            message = (
                f"level {level} has {grid.counts} shards; there is none at {index}"
            )
            raise GeometryError(message)
        roi = grid.block(index).write_roi
        data = np.empty(roi.shape, self.spec.dtype)
        # A layer of chunks at a time: the whole source is eight times the shard.
        layer = max(_LAYER, finer.chunk[0] // 2)
        for z in range(roi.start[0], roi.stop[0], layer):
            stop = min(z + layer, roi.stop[0])
            slab = Roi((z, *roi.start[1:]), (stop, *roi.stop[1:]))
            source = Roi(
                to_zyx(2 * a for a in slab.start),
                to_zyx(
                    min(2 * b, n) for b, n in zip(slab.stop, finer.shape, strict=True)
                ),
            )
            data[slab.slices(roi.start)] = halve(
                self._read(finer, source), self.spec.reduce
            )
        nonzero = int(np.count_nonzero(data))
        files = self._write(target, roi, data, empty=not nonzero)
        return _written(data, files, nonzero)

    def read_level(self, level: int, roi: Roi) -> NDArray[Any]:
        """Return the stored voxels of a region, given in voxels of its level.

        Raises
        ------
        CorruptDataError
            If it cannot be decoded, or a chunk's checksum does not fit.
        OutputGoneError, VolumeError
            If the output is not there any more, or cannot be read.
        """
        return self._read(self._levels[level], roi)

    def _check_block(self, roi: Roi, data: NDArray[Any]) -> None:
        index = to_zyx(
            a // b for a, b in zip(roi.start, self._grid.block_shape, strict=True)
        )
        inside = Roi.whole(self.spec.shape).contains(roi) and roi.size > 0
        if not inside or self._grid.block(index).write_roi != roi:
            message = f"{roi} is not one block of {self.spec.block} of {self.spec.uri}"
            raise GeometryError(message)
        if data.shape != roi.shape or data.dtype != np.dtype(self.spec.dtype):
            message = (
                f"block {roi} of {self.spec.uri} takes {roi.shape} voxels of type "
                f"{self.spec.dtype}, not {data.shape} of {data.dtype}"
            )
            raise GeometryError(message)

    def _write(
        self, level: PyramidLevel, roi: Roi, data: NDArray[Any], *, empty: bool
    ) -> tuple[StoredFile, ...]:
        with ExitStack() as begun:
            return self._begin(begun, level, roi, data, empty=empty)()

    def _begin(
        self,
        begun: ExitStack,
        level: PyramidLevel,
        roi: Roi,
        data: NDArray[Any],
        *,
        empty: bool,
    ) -> Callable[[], tuple[StoredFile, ...]]:
        """Begin to write a region; return what gives its files at the end.

        ``begun`` waits where nobody asks for that, because something else failed.
        """
        self._check_there(level)
        what = f"level {level.index}, voxels {roi}, of {self.spec.uri}"
        with _told(what):
            # A mean may round to nothing, and so may the maximum of what is negative.
            if empty or (level.index and not data.any()):
                # tensorstore would leave an empty folder for every empty shard
                self._remove(level, roi)
                return tuple
            if self._objects is not None:
                sent = self._objects.write(level, roi, data)
                return lambda: sent
            target = self._store(level)[roi.slices()]
            future = target.write(data)
            begun.callback(future.exception)

        def end() -> tuple[StoredFile, ...]:
            with _told(what):
                self._ended(future, target, level, roi, data)
                return tuple(self._stored(level, roi))

        return end

    def _check_there(self, level: PyramidLevel) -> None:
        """Make no new folders where the output was taken away."""
        if self._objects is not None:
            return  # an object needs no folder, and its write tells of a lost bucket
        array = f"{self.spec.uri}/{level.index}"
        document = f"{array}/{array_file(self.spec.zarr_format)}"
        if not os.path.exists(document):  # noqa: PTH110  for each block and level
            message = (
                f"{array} is not the array that this run made: the output was "
                "removed or unmounted while it was written; bring it back and run the "
                "same command again"
            )
            raise OutputGoneError(message)

    def _ended(
        self,
        future: Any,
        target: ts.TensorStore,
        level: PyramidLevel,
        roi: Roi,
        data: NDArray[Any],
    ) -> None:
        try:
            future.result()
        except ValueError as error:
            if not is_corrupt(error):
                raise
            # a shard that overhangs the array is merged with what lies there
            self._remove(level, roi)
            target.write(data).result()

    def _remove(self, level: PyramidLevel, roi: Roi) -> None:
        if self._objects is not None:
            self._objects.remove(level, roi)
            return
        for name in self.spec.stored_names(level, roi):
            with suppress(FileNotFoundError):
                os.unlink(name)  # noqa: PTH108  as above

    def _stored(self, level: PyramidLevel, roi: Roi) -> Iterator[StoredFile]:
        """Read back what was written: what lies on disk is what is remembered."""
        root, prefix = Path(self.spec.uri), self.spec.within and f"{self.spec.within}/"
        for file in self.spec.stored_files(level, roi):
            # In Zarr v2 a chunk of zeros in a block of others has no file.
            if self.spec.zarr_format == 2 and not file.exists():
                continue
            found = stored_file(root, inner_of(file, root))
            yield replace(found, path=prefix + found.path)

    def _read(self, level: PyramidLevel, roi: Roi) -> NDArray[Any]:
        try:
            if self._objects is not None and not has_driver(self.spec.uri):
                return self._objects.read(level, roi)
            part = self._store(level)[roi.slices()]
            data: NDArray[Any] = read_again(lambda: part.read().result())
        except (OSError, ValueError) as error:
            what = f"level {level.index}, voxels {roi}, of {self.spec.uri}"
            raise write_error(error, what) from error
        return data

    def _store(self, level: PyramidLevel) -> ts.TensorStore:
        self._check_there(level)
        with self._lock:
            if level.index not in self._stores:
                self._stores[level.index] = self._open(level)
            return self._stores[level.index]

    def _open(self, level: PyramidLevel) -> ts.TensorStore:
        path = location(self.spec.uri) / str(level.index)
        spec = {
            "driver": "zarr3" if self.spec.zarr_format == 3 else "zarr",
            "kvstore": kvstore(path),
            "metadata": json.loads(array_text(self.spec, level)),
        }
        try:
            return ts.open(spec, open=True, context=self._context).result()
        except (OSError, ValueError) as error:
            message = f"{path} is not the array that this run made: {error}"
            raise VolumeError(message) from error


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Say of an error what was being written."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise write_error(error, what, midway=True) from error


def _written(
    data: NDArray[Any], files: tuple[StoredFile, ...], nonzero: int
) -> BlockWritten:
    if nonzero:
        digest = crc32_of(data)
    else:
        digest = _crc32_of_zeros(data.nbytes)
    return BlockWritten(
        data.size, nonzero, data.nbytes, digest, len(files), stored=files
    )


@lru_cache(maxsize=64)
def _crc32_of_zeros(count: int) -> int:
    """Most blocks of a brain are empty, and of a few shapes."""
    return crc32_of(np.zeros(count, np.uint8))
