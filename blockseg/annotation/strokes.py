"""Strokes: runs of voxels and the value that each gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from blockseg.core.errors import VolumeError
from blockseg.core.labels import IGNORE

if TYPE_CHECKING:
    from numpy.typing import NDArray

_VALUES = (0, 1, IGNORE)
_WORDS = 3  # of a run: start, length, value


@dataclass(frozen=True, slots=True, eq=False)
class Stroke:
    """Voxels that a stroke changes, as runs along x in C order."""

    start: NDArray[np.int64]
    """First voxel of each run, in C order, shape (n,)."""

    length: NDArray[np.int64]
    """Voxels of each run, shape (n,)."""

    value: NDArray[np.uint8]
    """Value that they get: 0 background, 1 neurite, 255 does not count; shape (n,)."""

    @classmethod
    def from_bytes(cls, body: bytes, voxels: int) -> Self:
        """Return the stroke that a page sent: three little-endian uint32 a run.

        Parameters
        ----------
        body
            Start, length, value of each run.
        voxels
            Voxels of the label.

        Raises
        ------
        VolumeError
            If it is none, or lies outside of the label.
        """
        if len(body) % (4 * _WORDS):
            message = f"a stroke of {len(body)} bytes is cut off; reload the page"
            raise VolumeError(message)
        start, length, value = np.frombuffer(body, "<u4").reshape(-1, _WORDS).T
        stop = start.astype(np.int64) + length
        if len(start) and (int(stop.max()) > voxels or not length.all()):
            message = (
                f"a stroke beyond the {voxels} voxels of its label; reload the page"
            )
            raise VolumeError(message)
        if not np.isin(value, _VALUES).all():
            message = "a stroke with a value that is none of 0, 1 and 255"
            raise VolumeError(message)
        return cls(
            start.astype(np.int64), length.astype(np.int64), value.astype(np.uint8)
        )

    def apply(self, label: NDArray[np.uint8]) -> None:
        """Change a label in place; of runs that overlap the later counts."""
        flat = label.reshape(-1)
        runs = zip(
            self.start.tolist(), self.length.tolist(), self.value.tolist(), strict=True
        )
        for start, length, value in runs:
            flat[start : start + length] = value
