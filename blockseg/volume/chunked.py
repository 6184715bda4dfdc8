"""Read regions of chunked stores, and find out which chunk is to blame."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, TypeAlias

from blockseg.core.errors import CorruptDataError, VolumeError
from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.volume.protocol import check_roi

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from blockseg.core.space import Space
    from blockseg.core.specs import VolumeSpec
    from blockseg.volume.axes import AxisSelection, Index
    from blockseg.volume.layout import ArrayLayout

    Opener: TypeAlias = Callable[[VolumeSpec], "ChunkedVolume"]
    ReadIndex: TypeAlias = Callable[[Index], NDArray[Any]]

__all__ = ["ChunkedVolume", "one_line"]


class ChunkedVolume:
    """A volume in a Zarr or N5 array.

    Parameters
    ----------
    spec
        What the volume was opened from.
    layout
        The stored array.
    selection
        Which of its axes are z, y and x.
    read_index
        Return the part of the stored array (C order) under a tuple of slices.
    reopen
        Called with ``spec`` where this volume is unpickled.
    """

    def __init__(
        self,
        spec: VolumeSpec,
        layout: ArrayLayout,
        selection: AxisSelection,
        read_index: ReadIndex,
        reopen: Opener,
    ) -> None:
        if layout.dtype is None:
            message = f"{layout.name} is of type {layout.stored_dtype}, not of numbers"
            raise VolumeError(message)
        self._spec = spec
        self._layout = layout
        self._selection = selection
        self._read_index = read_index
        self._reopen = reopen
        self._dtype = layout.dtype

    @property
    def shape(self) -> Zyx:
        """Voxels along (z, y, x)."""
        return self._selection.pick(self._layout.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a voxel, in native byte order."""
        return self._dtype

    @property
    def chunk_shape(self) -> Zyx:
        """Voxels of one chunk; of an inner chunk where the array has shards."""
        return self._selection.pick(self._layout.chunks)

    @property
    def space(self) -> Space:
        """Voxel size and place."""
        return self._layout.space

    def read(self, roi: Roi) -> NDArray[Any]:
        """Return a region; see :meth:`Volume.read`."""
        check_roi(self.shape, roi)
        try:
            stored = self._read_index(self._selection.index(roi))
        except Exception as error:  # noqa: BLE001 - each codec raises its own kinds
            self._blame(roi)
            stored = self._once_more(roi, error)
        return self._selection.to_zyx(stored).astype(self._dtype, copy=False)

    def __reduce__(self) -> tuple[Opener, tuple[VolumeSpec]]:
        return self._reopen, (self._spec,)

    def _blame(self, roi: Roi) -> None:
        """Read the chunks under a region one by one; raise for the first bad one."""
        for chunk, box in self._chunks(roi):
            try:
                self._read_index(self._selection.index(box))
            except Exception as error:
                place = self._selection.position(chunk, self._layout.chunks)
                file = self._layout.file_of_chunk(place)
                what = f"chunk {place} of {self._layout.name}"
                _check_readable(file, what)
                message = (
                    f"{what} cannot be decoded ({one_line(error)}); restore its file "
                    f"{file} from a copy"
                )
                raise CorruptDataError(message) from error

    def _once_more(self, roi: Roi, error: Exception) -> NDArray[Any]:
        try:
            return self._read_index(self._selection.index(roi))
        except Exception:  # noqa: BLE001 - each codec raises its own kinds
            message = (
                f"{self._layout.name} cannot be read at {roi}, though each of its "
                f"chunks there can ({one_line(error)})"
            )
            raise VolumeError(message) from error

    def _chunks(self, roi: Roi) -> Iterator[tuple[Zyx, Roi]]:
        whole = Roi.whole(self.shape)
        ranges = [
            range(a // c, -(-b // c))
            for a, b, c in zip(roi.start, roi.stop, self.chunk_shape, strict=True)
        ]
        for place in itertools.product(*ranges):
            chunk = to_zyx(place)
            start = to_zyx(n * c for n, c in zip(chunk, self.chunk_shape, strict=True))
            box = Roi((0, 0, 0), self.chunk_shape).shifted(start)
            yield chunk, box.intersection(whole)


def one_line(error: Exception) -> str:
    """Return the first part of a storage library's message, on one line."""
    text = str(error).split(" [tensorstore_spec=")[0].split(" [source locations")[0]
    return " ".join(text.split())[:300] or type(error).__name__


def _check_readable(file: Path, what: str) -> None:
    """Tell a failing disk from damaged content: read the file's bytes."""
    try:
        with file.open("rb") as stream:
            while stream.read(1 << 24):
                pass
    except OSError as error:
        message = f"{what} cannot be read from {file}: {error.strerror or error}"
        raise VolumeError(message) from error
