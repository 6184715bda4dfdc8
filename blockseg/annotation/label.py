"""An open pick: its voxels, and strokes that are saved one by one."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import VolumeError
from blockseg.core.geometry import Roi
from blockseg.core.labels import IGNORE
from blockseg.core.text import times
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.io.output.atomic_files import replacing
from blockseg.io.tiff.write import write_tiff

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from blockseg.annotation.strokes import Stroke
    from blockseg.core.geometry import Zyx
    from blockseg.core.space import Space

_CODES = 2**16 - 1
_SHOWN = 5


@dataclass(frozen=True, slots=True, eq=False)
class GreyLevels:
    """Image of a pick as the page displays it."""

    codes: NDArray[np.uint8] | NDArray[np.uint16]
    """Shape (z, y, x), C order; integers as they are, others evenly between their
    extremes."""

    low: float
    """Grey level of code 0."""

    step: float
    """Grey levels from one code to the next."""

    space: Space
    """Voxel size."""


@dataclass(slots=True, eq=False)
class OpenLabel:
    """A label under correction, which takes one stroke at a time.

    A stroke is safe when :meth:`draw` returns: the file was written beside the old one,
    brought to the disk, and put in its place. The first stroke copies the label that was
    there to ``backup``, where it stays.
    """

    path: Path
    """Its file."""

    backup: Path
    """Copy of it as it was before the first stroke."""

    voxels: NDArray[np.uint8]
    """Shape (z, y, x), C order."""

    space: Space
    """Voxel size, kept in the file."""

    revision: int = 0
    """Number of strokes so far; a page with a different number has stale voxels."""

    _lock: Lock = field(default_factory=Lock)

    @classmethod
    def open(cls, path: Path, backup: Path, shape: Zyx, space: Space) -> OpenLabel:
        """Open the label of an image.

        One that is not there begins as 255 everywhere: nothing is said of any voxel.

        Parameters
        ----------
        path, backup
            Its file, and where it is kept as it was.
        shape, space
            Voxels and voxel size of the image.

        Raises
        ------
        VolumeError
            If it has another shape, values that mean nothing, or cannot be read.
        """
        if not path.exists():
            return cls(path, backup, np.full(shape, IGNORE, np.uint8), space)
        volume = open_volume(find(str(path), mask=True))
        if volume.shape != shape:
            message = (
                f"{path} has {times(volume.shape)} voxels, its image {times(shape)}; "
                "correct or remove it"
            )
            raise VolumeError(message)
        stored = volume.read(Roi.whole(shape))
        known = _known(stored)
        if not known.all():
            strange = np.unique(stored[~known])
            values = ", ".join(f"{value:g}" for value in strange[:_SHOWN])
            message = (
                f"{path} holds the values {values}{', …' * (len(strange) > _SHOWN)}, which "
                "cannot be corrected here: a label is 0 background, 1 neurite, 255 ignored"
            )
            raise VolumeError(message)
        return cls(path, backup, np.ascontiguousarray(stored, np.uint8), space)

    def draw(self, stroke: Stroke, revision: int) -> int:
        """Apply a stroke, save the label, and return the new revision.

        Raises
        ------
        VolumeError
            If the page did not know the last stroke, or the file cannot be written; then
            nothing has changed.
        """
        with self._lock:
            if revision != self.revision:
                message = (
                    f"{self.path.name} was changed in another window since this one was "
                    "loaded; reload the page"
                )
                raise VolumeError(message)
            changed = self.voxels.copy()
            stroke.apply(changed)
            self._keep()
            write_tiff(self.path, changed, self.space)
            self.voxels = changed
            self.revision += 1
            return self.revision

    def _keep(self) -> None:
        if self.backup.exists() or not self.path.exists():
            return
        self.backup.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.backup) as part:
            shutil.copyfile(self.path, part)


def _known(stored: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which voxels have a value that a label may have."""
    if stored.dtype != np.uint8:
        return np.isin(stored, (0, 1, IGNORE))
    table = np.zeros(256, bool)
    table[[0, 1, IGNORE]] = True
    return np.asarray(table[stored])


def grey_levels(path: Path) -> GreyLevels:
    """Read the image of a pick.

    Raises
    ------
    VolumeError
        If it cannot be read.
    """
    volume = open_volume(find(str(path)))
    stored = volume.read(Roi.whole(volume.shape))
    if stored.dtype in (np.uint8, np.uint16):
        codes = np.ascontiguousarray(stored)
        return GreyLevels(codes, 0.0, 1.0, volume.space)
    values = stored.astype(np.float64)
    finite = values[np.isfinite(values)]
    low = float(finite.min()) if finite.size else 0.0
    step = (float(finite.max()) - low) / _CODES if finite.size else 0.0
    scaled = np.nan_to_num((values - low) / (step or 1.0), nan=0.0, posinf=_CODES)
    codes = np.clip(np.rint(scaled), 0, _CODES).astype(np.uint16)
    return GreyLevels(np.ascontiguousarray(codes), low, step or 1.0, volume.space)
