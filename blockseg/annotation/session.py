"""A folder of picks during annotation."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from blockseg.annotation.label import OpenLabel, grey_levels
from blockseg.core.errors import ConfigError, VolumeError
from blockseg.core.geometry import Roi
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.proposals.folder import PicksFolder
from blockseg.training.annotations.drafts import DONE, SKIPPED

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from blockseg.annotation.label import GreyLevels
    from blockseg.core.geometry import Zyx
    from blockseg.core.space import Space
    from blockseg.proposals.manifest import ManifestRow

_STATES = ("", DONE, SKIPPED)
_LONGEST = 120.0  # seconds between two messages of a page that is looked at
_KEPT = ".blockseg"  # folder of what is not for training


@dataclass(frozen=True, slots=True, eq=False)
class OpenPick:
    """A pick with its voxels."""

    row: ManifestRow
    """The pick."""

    grey: GreyLevels
    """Its image."""

    label: OpenLabel
    """Its label."""

    probability: NDArray[np.uint8] | None
    """Probability in 1/255, shape of the image; None if no network has seen the pick."""

    @property
    def shape(self) -> Zyx:
        """Voxels along (z, y, x)."""
        z, y, x = self.grey.codes.shape
        return z, y, x

    @property
    def box(self) -> Roi:
        """The pick in its image; the rest is context."""
        corner = self.row.image_start or self.row.box.start
        return self.row.box.shifted(-n for n in corner)


@dataclass(slots=True, eq=False)
class Session:
    """Picks by name; the one opened last is held in memory.

    Parameters
    ----------
    folder
        Existing folder, which nobody else writes to.
    """

    folder: PicksFolder
    """The folder and its manifest."""

    _opened: OpenPick | None = None
    _lock: Lock = field(default_factory=Lock)

    @classmethod
    def open(cls, root: Path) -> Session:
        """Open a folder.

        Raises
        ------
        VolumeError
            If it holds no picks, or an image of them is gone.
        """
        folder = PicksFolder.existing(root)
        if not folder.rows:
            message = f"the manifest of {root} names no pick"
            raise VolumeError(message)
        for row in folder.rows:
            if not folder.image(row.name).is_file():
                message = f"{folder.image(row.name)} is gone, which the manifest names"
                raise VolumeError(message)
        return cls(folder)

    @property
    def rows(self) -> tuple[ManifestRow, ...]:
        """The picks, in the order of the manifest."""
        return tuple(self.folder.rows)

    def row(self, name: str) -> ManifestRow:
        """Return a pick.

        Raises
        ------
        VolumeError
            If there is none of this name.
        """
        for row in self.folder.rows:
            if row.name == name:
                return row
        message = f"there is no pick {name!r}"
        raise VolumeError(message)

    def pick(self, name: str) -> OpenPick:
        """Open a pick, or return the open one.

        Raises
        ------
        VolumeError
            If there is none of this name, or its files cannot be read.
        """
        with self._lock:
            row = self.row(name)
            if self._opened is not None and self._opened.row.name == name:
                return self._opened
            self._opened = None  # two picks of 300³ need not fit
            self._opened = self._read(row)
            return self._opened

    def extent(self, name: str) -> tuple[Zyx, Space]:
        """Return shape and voxel size of a pick's image, without reading its voxels."""
        volume = open_volume(find(str(self.folder.image(self.row(name).name))))
        return volume.shape, volume.space

    def draft(self, name: str) -> NDArray[np.uint8]:
        """Return a label as it was before the first stroke, shape (z, y, x)."""
        pick = self.pick(name)
        if not pick.label.backup.exists():
            return pick.label.voxels
        path, space = pick.label.backup, pick.grey.space
        return OpenLabel.open(path, path, pick.shape, space).voxels

    def mark(self, name: str, state: str) -> ManifestRow:
        """Mark a pick as done, skipped or neither in the manifest.

        Raises
        ------
        ConfigError
            If the state is none of these.
        VolumeError
            If there is no such pick, or the manifest cannot be written.
        """
        if state not in _STATES:
            message = f"a pick is {DONE}, {SKIPPED} or neither, not {state!r}"
            raise ConfigError(message)
        return self._note(replace(self.row(name), state=state))

    def spend(self, name: str, seconds: float) -> ManifestRow:
        """Add time spent on a pick to the manifest."""
        if not 0 <= seconds <= _LONGEST:
            message = f"{seconds} s of work at a time; 0 to {_LONGEST:g}"
            raise ConfigError(message)
        row = self.row(name)
        return self._note(replace(row, minutes=round(row.minutes + seconds / 60, 3)))

    def _note(self, row: ManifestRow) -> ManifestRow:
        with self._lock:
            self.folder.note(row)
        return row

    def _read(self, row: ManifestRow) -> OpenPick:
        shape, space = self.extent(row.name)
        path = self.folder.label(row.name)
        backup = self.folder.root / _KEPT / "drafts" / path.name
        with ThreadPoolExecutor(2) as beside:  # decoding lets go of the interpreter
            label = beside.submit(OpenLabel.open, path, backup, shape, space)
            seen = beside.submit(self._probability, row.name, shape)
            grey = grey_levels(self.folder.image(row.name))
            return OpenPick(row, grey, label.result(), seen.result())

    def _probability(self, name: str, shape: Zyx) -> NDArray[np.uint8] | None:
        path = self.folder.probability(name)
        if not path.exists():
            return None
        volume = open_volume(find(str(path), mask=True))
        if volume.shape != shape or volume.dtype != np.uint8:
            message = f"{path} is not the probability of its image; remove it"
            raise VolumeError(message)
        return np.ascontiguousarray(volume.read(Roi.whole(shape)))
