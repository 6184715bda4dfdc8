"""Files in which blocks keep their pieces until these are merged."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from blockseg.io.output.atomic_files import replacing
from blockseg.io.output.write_errors import write_error
from blockseg.labelling.pieces import PIECE, Runs
from blockseg.labelling.seams import Faces, Seam

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx

_A_FOLDER = 4096  # files
_FACES = 6
_HEAD = 1 + 3 + _FACES  # count of rows, shape, lengths of faces
_RUNS = 4  # count of runs, bytes of each of their three numbers
_SIZES = ((1, "<u1"), (2, "<u2"), (4, "<u4"))


@dataclass(frozen=True, slots=True)
class Scratch:
    """A folder with a file for each block that has foreground."""

    folder: str
    """Absolute path."""

    def write(
        self,
        number: int,
        rows: NDArray[np.void],
        faces: Faces,
        runs: Runs | None = None,
    ) -> None:
        """Write the pieces of a block.

        Parameters
        ----------
        number
            Of the block.
        rows
            From :func:`~blockseg.labelling.pieces.measure`.
        faces
            Labels of its faces.
        runs
            All of its voxels, which are kept where they take no more than a bit for each
            voxel of the block.

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
            file.write(b"" if runs is None else _packed(runs))

    def rows(self, number: int) -> NDArray[np.void]:
        """Return the rows of a block's pieces; none where it has no file.

        Raises
        ------
        VolumeError
            If the file cannot be read.
        """
        with self._opened(number) as file:
            if file is None:
                return np.zeros(0, PIECE)
            head = np.fromfile(file, "<i8", _HEAD)
            return np.fromfile(file, PIECE, int(head[0]))

    def faces(self, number: int) -> Faces | None:
        """Return the faces of a block; None where it has no file.

        Raises
        ------
        VolumeError
            If the file cannot be read.
        """
        with self._opened(number) as file:
            if file is None:
                return None
            count, z, y, x, *sizes = np.fromfile(file, "<i8", _HEAD).tolist()
            file.seek(count * PIECE.itemsize, 1)
            kept = np.fromfile(file, "<u4", 2 * sum(sizes))
            columns = np.split(kept, np.cumsum(sizes * 2)[:-1])
        return Faces((z, y, x), tuple(columns[:_FACES]), tuple(columns[_FACES:]))

    def runs(self, number: int) -> Runs | None:
        """Return the voxels of a block's pieces; None where they are not kept.

        Raises
        ------
        VolumeError
            If the file cannot be read.
        """
        with self._opened(number) as file:
            if file is None:
                return None
            count, z, y, x, *sizes = np.fromfile(file, "<i8", _HEAD).tolist()
            faces = 2 * sum(sizes) * np.dtype("<u4").itemsize
            file.seek(count * PIECE.itemsize + faces, 1)
            return _unpacked(file.read(), (z, y, x), count)

    @contextmanager
    def _opened(self, number: int) -> Iterator[BinaryIO | None]:
        """Open the file of a block to read, None where there is none.

        A file that cannot be read, or is damaged, is named in the error.
        """
        path = self._path(number)
        try:
            with ExitStack() as stack:
                file = None
                with suppress(FileNotFoundError):
                    file = stack.enter_context(path.open("rb"))
                yield file
        except (OSError, ValueError, LookupError) as error:
            raise write_error(OSError(str(error)), str(path)) from error

    def _path(self, number: int) -> Path:
        return Path(self.folder, str(number // _A_FOLDER), f"{number}.pieces")


def _packed(runs: Runs) -> bytes:
    """Return the runs of a block in as few bytes as their largest numbers take.

    Empty where that is more than a bit a voxel of the block.
    """
    gaps = np.diff(runs.start, prepend=0)
    columns = (gaps, runs.length, runs.label)
    sizes = [
        next(size for size, _ in _SIZES if int(column.max()) < 256**size)
        for column in columns
    ]
    voxels = runs.shape[0] * runs.shape[1] * runs.shape[2]
    if 8 * len(gaps) * sum(sizes) > voxels:
        return b""
    parts = [np.array([len(gaps), *sizes], "<i8").tobytes()]
    types = dict(_SIZES)
    parts += [
        column.astype(types[size]).tobytes()
        for column, size in zip(columns, sizes, strict=True)
    ]
    return b"".join(parts)


def _unpacked(kept: bytes, shape: Zyx, pieces: int) -> Runs | None:
    """Return what :func:`_packed` was given; None where it kept nothing."""
    if not kept:
        return None
    count, *sizes = np.frombuffer(kept, "<i8", _RUNS).tolist()
    at, columns, types = 8 * _RUNS, [], dict(_SIZES)
    for size in sizes:
        columns.append(np.frombuffer(kept, types[size], count, at).astype(np.int64))
        at += size * count
    gaps, length, label = columns
    return Runs(shape, pieces, np.cumsum(gaps), length, label)


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
