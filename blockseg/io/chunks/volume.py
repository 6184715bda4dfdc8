"""Regions of chunked stores, read, and the chunk to blame where one fails.

Chunks are decoded whole and the latest kept, so that a block's halo costs nothing where
its neighbour was read just before. With no memory to keep them, regions are read at once.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import CorruptDataError, VolumeError
from blockseg.core.geometry import Roi, Zyx, tiles, to_zyx
from blockseg.io.chunks.decodable import require_decodable
from blockseg.io.chunks.read_again import system_error
from blockseg.io.chunks.stored_files import MISSING, why_no_file
from blockseg.io.chunks.tensorstores import LARGE_CHUNK
from blockseg.io.decoded_cache import DecodedCache, count_decoded
from blockseg.io.layout import LABEL_MULTISET
from blockseg.io.n5.blocks import why_no_voxels
from blockseg.io.protocol import check_roi

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from blockseg.core.specs import VolumeSpec
    from blockseg.io.chunks.tensorstores import BeginRead, ReadLimits
    from blockseg.io.layout import ArrayLayout

_SIDE_BY_SIDE = 32 * 2**20  # bytes of chunks that one read decodes at a time


class ChunkedVolume:
    """A volume in a Zarr or N5 array.

    Parameters
    ----------
    spec
        What the volume was opened from.
    layout
        The stored array.
    open_array
        Opens it, within limits.
    reopen
        Called with ``spec`` where this volume is unpickled.
    limits
        Memory and threads.

    Attributes
    ----------
    shape, dtype, chunk_shape, space
        See :class:`~blockseg.io.protocol.Volume`; of shards, the inner chunks count.
    decoded_bytes
        Size of a decoded chunk, with the other channels and times that it holds.

    Raises
    ------
    VolumeError
        If it has not the axes that are asked for, holds no numbers, or does not open.
    """

    def __init__(
        self,
        spec: VolumeSpec,
        layout: ArrayLayout,
        open_array: Callable[[ArrayLayout, ReadLimits], BeginRead],
        reopen: Callable[[VolumeSpec], ChunkedVolume],
        limits: ReadLimits,
    ) -> None:
        self._spec = spec
        self._layout = layout.renamed(spec.axes)
        self._selection = layout.selection(spec)
        self.shape = self._selection.pick(layout.shape)
        self.dtype = _number_type(layout)
        self.chunk_shape = self._selection.pick(layout.chunks)
        self.decoded_bytes = layout.chunk_bytes
        require_decodable(layout.name, self.chunk_shape, layout.chunk_bytes)
        self.space = self._layout.space
        self._begin_read = open_array(layout, limits.for_chunks(layout.chunk_bytes))
        self._reopen = reopen
        self._cache = DecodedCache(limits.cache_bytes)
        self._chunk_bytes = math.prod(self.chunk_shape) * self.dtype.itemsize
        self._side_by_side = max(2, _SIDE_BY_SIDE // layout.chunk_bytes)
        if layout.chunk_bytes > LARGE_CHUNK:
            self._side_by_side = 1

    def read(self, roi: Roi) -> NDArray[Any]:
        """Return a region; see :meth:`Volume.read`."""
        check_roi(self.shape, roi)
        try:
            if self._cache.limit < self._chunk_bytes:
                return self._read_at_once(roi)
            return self._read_chunks(roi)
        except Exception as error:  # noqa: BLE001 - each codec raises its own kinds
            self._blame(roi)
            return self._once_more(roi, error)

    def __reduce__(
        self,
    ) -> tuple[Callable[[VolumeSpec], ChunkedVolume], tuple[VolumeSpec]]:
        return self._reopen, (self._spec,)

    def _read_chunks(self, roi: Roi) -> NDArray[Any]:
        out = np.empty(roi.shape, self.dtype)
        # Plain slices: a block may have thousands of chunks.
        places = list(
            itertools.product(*map(_overlaps, roi.start, roi.stop, self.chunk_shape))
        )
        few = self._side_by_side
        for first in range(0, len(places), few):
            some = places[first : first + few]
            keys = [(z[0], y[0], x[0]) for z, y, x in some]
            pieces = self._cache.get_all(keys, lambda at: self._begin(self._box(at)))
            for (z, y, x), piece in zip(some, pieces, strict=True):
                out[z[1], y[1], x[1]] = piece[z[2], y[2], x[2]]
        return out

    def _read_at_once(self, roi: Roi) -> NDArray[Any]:
        voxels = sum(self._box(at).size for at in tiles(roi, self.chunk_shape))
        count_decoded(voxels * self.dtype.itemsize)
        return self._begin(roi)()

    def _begin(self, roi: Roi) -> Callable[[], NDArray[Any]]:
        self._check_files(roi)
        wait = self._begin_read(self._selection.index(roi))
        return lambda: self._selection.to_zyx(wait()).astype(self.dtype, copy=False)

    def _check_files(self, roi: Roi) -> None:
        """Refuse to open what is no file: the libraries read a folder as missing."""
        files = self._selection.pick(self._layout.files)
        for place in tiles(roi, files):
            position = self._selection.position(place, self._layout.files)
            file = self._layout.chunk_file(position)
            what = why_no_file(file)
            if what and what != MISSING:
                message = (
                    f"chunk {file} of {self._layout.name} is {what}, not a file; restore "
                    "it from a copy"
                )
                raise CorruptDataError(message, str(file))

    def _blame(self, roi: Roi) -> None:
        """Read the chunks under a region one by one; raise for the first bad one."""
        for chunk in tiles(roi, self.chunk_shape):
            try:
                self._begin(self._box(chunk))()
            except CorruptDataError:
                raise
            except Exception as error:
                place = self._selection.position(chunk, self._layout.chunks)
                file = self._layout.file_of_chunk(place)
                what = f"chunk {place} of {self._layout.name}"
                if system_error(error) is not None:
                    message = f"{what} cannot be read from {file}: {one_line(error)}"
                    raise VolumeError(message, str(file)) from error
                if not self._layout.together:  # which may be a file of terabytes
                    _check_readable(file, what)
                message = (
                    f"{what} cannot be decoded ({one_line(error)}); restore its file "
                    f"{file} from a copy"
                )
                if self._layout.format == "n5":
                    message = why_no_voxels(file) or message
                raise CorruptDataError(message, str(file)) from error

    def _once_more(self, roi: Roi, error: Exception) -> NDArray[Any]:
        try:
            return self._begin(roi)()
        except Exception:  # noqa: BLE001 - each codec raises its own kinds
            message = (
                f"{self._layout.name} cannot be read at {roi}, though each of its "
                f"chunks there can ({one_line(error)})"
            )
            raise VolumeError(message) from error

    def _box(self, chunk: Zyx) -> Roi:
        """Return the voxels of a chunk inside the volume."""
        start = to_zyx(n * c for n, c in zip(chunk, self.chunk_shape, strict=True))
        box = Roi((0, 0, 0), self.chunk_shape).shifted(start)
        return box.intersection(Roi.whole(self.shape))


def _number_type(layout: ArrayLayout) -> np.dtype[Any]:
    """Return the type of an array's voxels.

    Raises
    ------
    VolumeError
        If they are no numbers.
    """
    if layout.dtype is not None:
        return layout.dtype
    remedy = ""
    if layout.stored_dtype == LABEL_MULTISET:
        remedy = "; export its scalar labels (paintera-convert to-scalar)"
    message = f"{layout.name} is of type {layout.stored_dtype}, not of numbers{remedy}"
    raise VolumeError(message)


def _overlaps(start: int, stop: int, chunk: int) -> list[tuple[int, slice, slice]]:
    """Return the chunks along one axis: number, where in the region, where in it."""
    found = []
    for number in range(start // chunk, -(-stop // chunk)):
        first = number * chunk
        a, b = max(start, first), min(stop, first + chunk)
        found.append((number, slice(a - start, b - start), slice(a - first, b - first)))
    return found


def one_line(error: Exception) -> str:
    """Return a storage library's message on one line, its cause at the end included."""
    text = str(error).split(" [tensorstore_spec=")[0].split(" [source locations")[0]
    text = " ".join(text.split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:100]} … {text[-197:]}"


def _check_readable(file: Path, what: str) -> None:
    """Tell a failing disk from damaged content: read the file's bytes."""
    try:
        with file.open("rb") as stream:
            while stream.read(1 << 24):
                pass
    except OSError as error:
        message = f"{what} cannot be read from {file}: {error.strerror or error}"
        raise VolumeError(message, str(file)) from error
