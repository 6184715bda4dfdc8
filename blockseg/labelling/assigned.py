"""Files that say of each piece which component it belongs to, and of each component all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import LedgerError
from blockseg.labelling.pieces import PIECE

if TYPE_CHECKING:
    from numpy.typing import NDArray

OBJECT = np.dtype([*PIECE.descr, ("clean", "u1")])
"""Row of a component: what a piece has, and whether it passes; that of id n is n - 1."""

OBJECTS, IDS, OFFSETS = "objects.npy", "ids.npy", "offsets.npy"

_HEADER = 512  # bytes, more than that of a file without rows

PASSES = np.uint64(1 << 63)
"""Bit of an id that says that the component passes."""


@dataclass(frozen=True, slots=True)
class Assigned:
    """Components of the pieces of all blocks, memory-mapped."""

    ids: NDArray[np.uint64]
    """Id of each piece's component, 0 for none, by block and label."""

    offsets: NDArray[np.int64]
    """Where the pieces of each block begin; one more at the end."""

    @classmethod
    def open(cls, folder: str) -> Assigned:
        """Open the files of a folder.

        Raises
        ------
        LedgerError
            If they are gone or damaged.
        """
        return cls(_mapped(Path(folder, IDS)), _mapped(Path(folder, OFFSETS)))

    def of(self, block: int) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
        """Return ids of the components of a block's pieces, and 1 where they pass."""
        first, last = self.offsets[block : block + 2]
        kept = np.asarray(self.ids[first:last])
        return kept & ~PASSES, (kept & PASSES != 0).astype(np.uint8)


def open_objects(folder: Path) -> NDArray[np.void]:
    """Return the rows of all components, of :data:`OBJECT`, memory-mapped.

    Raises
    ------
    LedgerError
        If the file is gone or damaged.
    """
    return _mapped(folder / OBJECTS)


def _mapped(path: Path) -> NDArray[Any]:
    try:
        if path.stat().st_size <= _HEADER:
            return np.asarray(np.load(path))  # nothing can be mapped
        return np.asarray(np.load(path, mmap_mode="r"))
    except (OSError, ValueError) as error:
        message = f"{path} cannot be read ({error}); start anew with --overwrite"
        raise LedgerError(message) from error
