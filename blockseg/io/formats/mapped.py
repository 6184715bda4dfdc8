"""Voxels that lie in one piece of a file, not encoded: mapped into memory."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import VolumeError
from blockseg.io.decoded_cache import count_decoded
from blockseg.io.protocol import check_roi

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from blockseg.core.geometry import Roi, Zyx
    from blockseg.core.space import Space
    from blockseg.core.specs import VolumeSpec
    from blockseg.io.axes import AxisSelection
    from blockseg.io.protocol import Volume


class MappedVolume:
    """A volume that lies in one piece in its file.

    Parameters
    ----------
    spec
        What the volume was opened from.
    dtype
        Type of a voxel, in the file's byte order.
    offset
        Bytes before the first voxel.
    shape
        Of all that is stored, C order.
    selection
        Which part of it the volume is.
    space
        Voxel size and place.
    reopen
        Called with ``spec`` where this volume is unpickled.

    Raises
    ------
    VolumeError
        If the file is too short, or gone.
    """

    chunk_shape: Zyx

    def __init__(
        self,
        spec: VolumeSpec,
        dtype: np.dtype[Any],
        offset: int,
        shape: tuple[int, ...],
        selection: AxisSelection,
        space: Space,
        reopen: Callable[[VolumeSpec], Volume],
    ) -> None:
        self._spec = spec
        self._reopen = reopen
        self._selection = selection
        self._needed = offset + math.prod(shape) * dtype.itemsize
        self._check_size()
        # Never tifffile's own default, which opens for writing and grows the file.
        self._array = np.memmap(spec.uri, dtype, "r", offset, shape)
        self.shape = selection.pick(shape)
        self.dtype: np.dtype[Any] = dtype.newbyteorder("=")
        self.chunk_shape = (1, 1, 1)
        self.space = space

    def read(self, roi: Roi) -> NDArray[Any]:
        """Return a region; see :meth:`Volume.read`."""
        check_roi(self.shape, roi)
        self._check_size()
        part = self._selection.to_zyx(
            np.asarray(self._array[self._selection.index(roi)])
        )
        count_decoded(part.nbytes)
        return part.astype(self.dtype)

    def _check_size(self) -> None:
        # Touching mapped bytes beyond the end of a file kills the process.
        try:
            size = Path(self._spec.uri).stat().st_size
        except OSError as error:
            message = f"{self._spec.uri} cannot be read: {error.strerror or error}"
            raise VolumeError(message, self._spec.uri) from error
        if size < self._needed:
            message = (
                f"{self._spec.uri} is truncated: its voxels need {self._needed} bytes, "
                f"the file has {size} ({self._needed - size} missing); copy it again"
            )
            raise VolumeError(message, self._spec.uri)

    def __reduce__(self) -> tuple[Callable[[VolumeSpec], Volume], tuple[VolumeSpec]]:
        return self._reopen, (self._spec,)
