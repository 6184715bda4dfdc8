"""Arrays of zeros that are painted, used and cleared: new memory costs more than paint."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx


class Canvases:
    """Arrays for the blocks of a grid, as many as threads use at once.

    Parameters
    ----------
    dtype
        Of a voxel.
    largest
        Voxels of the largest block along each axis.
    """

    def __init__(self, dtype: str, largest: Zyx) -> None:
        self._dtype = np.dtype(dtype)
        self._size = largest[0] * largest[1] * largest[2]
        self._clear: list[NDArray[Any]] = []

    @contextmanager
    def painted(
        self, shape: Zyx, places: NDArray[np.int64], values: NDArray[Any]
    ) -> Iterator[NDArray[Any]]:
        """Give a block that is 0 but in some voxels, inside the context alone.

        Parameters
        ----------
        shape
            Of the block.
        places
            C-order numbers of its voxels that get a value.
        values
            Their values.
        """
        try:
            flat = self._clear.pop()
        except IndexError:
            flat = np.zeros(self._size, self._dtype)
        flat[places] = values
        yield flat[: shape[0] * shape[1] * shape[2]].reshape(shape)
        flat[places] = 0
        self._clear.append(flat)  # not after an error: whatever happened, it is dropped
