"""Files in which blocks keep their pieces until these are merged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from blockseg.io.output.atomic_files import replacing
from blockseg.io.output.write_errors import write_error
from blockseg.labelling.pieces import PIECE
from blockseg.labelling.seams import Faces, Seam

if TYPE_CHECKING:
    from numpy.typing import NDArray

_A_FOLDER = 4096  # files
_FACES = 6
_HEAD = 1 + 3 + _FACES  # count of rows, shape, lengths of faces


@dataclass(frozen=True, slots=True)
class Scratch:
    """A folder with a file for each block that has foreground."""

    folder: str
    """Absolute path."""

    def write(self, number: int, rows: NDArray[np.void], faces: Faces) -> None:
        """Write the pieces of a block.

        Raises
        ------
        NoSpaceError, OutputGoneError, VolumeError
            As :func:`~blockseg.io.output.atomic_files.replacing`.
        """
        path = self._path(number)
        try:
            path.parent.parent.mkdir(exist_ok=True)
            path.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise write_error(error, str(path.parent)) from error
        head = [len(rows), *faces.shape, *(len(place) for place in faces.places)]
        with replacing(path, shared=True) as part, part.open("wb") as file:
            file.write(np.array(head, "<i8").tobytes())
            file.write(rows.tobytes())
            for column in (*faces.places, *faces.labels):
                file.write(column.astype("<u4").tobytes())

    def rows(self, number: int) -> NDArray[np.void]:
        """Return the rows of a block's pieces; none where it has no file.

        Raises
        ------
        VolumeError
            If the file cannot be read.
        """
        path = self._path(number)
        try:
            with path.open("rb") as file:
                head = np.fromfile(file, "<i8", _HEAD)
                return np.fromfile(file, PIECE, int(head[0]))
        except FileNotFoundError:
            return np.zeros(0, PIECE)
        except (OSError, ValueError, IndexError) as error:
            raise write_error(OSError(str(error)), str(path)) from error

    def faces(self, number: int) -> Faces | None:
        """Return the faces of a block; None where it has no file.

        Raises
        ------
        VolumeError
            If the file cannot be read.
        """
        path = self._path(number)
        try:
            with path.open("rb") as file:
                count, z, y, x, *sizes = np.fromfile(file, "<i8", _HEAD).tolist()
                file.seek(count * PIECE.itemsize, 1)
                columns = [np.fromfile(file, "<u4", size) for size in sizes * 2]
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise write_error(OSError(str(error)), str(path)) from error
        return Faces((z, y, x), tuple(columns[:_FACES]), tuple(columns[_FACES:]))

    def _path(self, number: int) -> Path:
        return Path(self.folder, str(number // _A_FOLDER), f"{number}.pieces")


def seam_to_bytes(found: Seam) -> bytes:
    """Return the seam of a block as the ledger keeps it; empty if there is nothing."""
    if not len(found.pairs) and not len(found.owners):
        return b""
    head = np.array([len(found.pairs), len(found.owners)], "<i8")
    parts = (
        head,
        found.pairs.astype("<i4"),
        found.owners.astype("<i4"),
        found.lengths.astype("<i8"),
    )
    return b"".join(part.tobytes() for part in parts)


def seam_from_bytes(kept: bytes) -> Seam:
    """Return what :func:`seam_to_bytes` was given."""
    pairs, owners = np.frombuffer(kept, "<i8", 2).tolist()
    at = 16
    pair = np.frombuffer(kept, "<i4", 4 * pairs, at).reshape(-1, 4)
    at += pair.nbytes
    owner = np.frombuffer(kept, "<i4", 2 * owners, at).reshape(-1, 2)
    at += owner.nbytes
    return Seam(pair, owner, np.frombuffer(kept, "<i8", owners, at))
