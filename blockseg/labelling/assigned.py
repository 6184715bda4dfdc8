"""Files of a merge: the component of each piece, and the rows of components."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import LedgerError
from blockseg.labelling.pieces import PIECE

if TYPE_CHECKING:
    from numpy.typing import NDArray

OBJECT = PIECE
"""Row of a component: what a piece has, added up; that of id n is n - 1."""

OBJECTS, IDS, OFFSETS = "objects.npy", "ids.npy", "offsets.npy"

CLEAN = "clean.npy"
"""File with 1 for each component that passes, by ascending id, and 0 for the others."""

_HEADER = 512  # bytes, more than that of a file without rows


@dataclass(frozen=True, slots=True)
class Assigned:
    """Components of the pieces of all blocks, memory-mapped."""

    ids: NDArray[np.uint64]
    """Id of each piece's component, 0 for none, by block and label."""

    offsets: NDArray[np.int64]
    """Where the pieces of each block begin; one more at the end."""

    clean: NDArray[np.uint8]
    """1 for each component that passes, by ascending id from 1."""

    @classmethod
    def open(cls, folder: str) -> Assigned:
        """Open the files of a folder.

        Raises
        ------
        LedgerError
            If they are gone or damaged.
        """
        return cls(*(_mapped(Path(folder, name)) for name in (IDS, OFFSETS, CLEAN)))

    def of(self, block: int) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
        """Return ids of the components of a block's pieces, and 1 where they pass."""
        first, last = self.offsets[block : block + 2]
        ids = np.asarray(self.ids[first:last])
        return ids, self.passing(ids)

    def passing(self, ids: NDArray[np.uint64]) -> NDArray[np.uint8]:
        """Return 1 for each id whose component passes, 0 for others and for id 0."""
        if not len(self.clean):
            return np.zeros(ids.shape, np.uint8)
        # The one before the first stands for none, and is looked at in vain.
        passes = self.clean[np.maximum(ids, 1).astype(np.int64) - 1]
        passing: NDArray[np.uint8] = np.where(ids > 0, passes, np.uint8(0))
        return passing


def open_objects(folder: Path) -> NDArray[np.void]:
    """Return the rows of all components, of :data:`OBJECT`, memory-mapped.

    Raises
    ------
    LedgerError
        If the file is gone or damaged.
    """
    return _mapped(folder / OBJECTS)


def open_clean(folder: Path) -> NDArray[np.uint8]:
    """Return 1 for each component that passes, by ascending id, memory-mapped.

    Raises
    ------
    LedgerError
        If the file is gone or damaged.
    """
    return _mapped(folder / CLEAN)


def _mapped(path: Path) -> NDArray[Any]:
    try:
        if path.stat().st_size <= _HEADER:
            return np.asarray(np.load(path))  # nothing can be mapped
        return np.asarray(np.load(path, mmap_mode="r"))
    except (OSError, ValueError) as error:
        message = f"{path} cannot be read ({error}); start over with --overwrite"
        raise LedgerError(message) from error
