"""Merging of pieces to components, by the driver.

No voxel is looked at. In memory are 4 bytes a piece and 28 a component, and while pieces
are joined about 60 a pair of them that touch; what is known of each component, 100 bytes,
lies in a memory-mapped file. 10⁸ components in as many pieces take about 10 GB.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from blockseg.core.untrusted.files import METADATA_BYTES, read_text
from blockseg.core.untrusted.json_text import parse_json
from blockseg.io.output.atomic_files import replace_file, replacing
from blockseg.io.output.provenance import Provenance
from blockseg.labelling.assigned import (
    CLEAN,
    IDS,
    OBJECT,
    OBJECTS,
    OFFSETS,
    open_objects,
)
from blockseg.labelling.pieces import PIECE
from blockseg.labelling.scratch import seam_from_bytes
from blockseg.labelling.task import LabelPieces, MatchPieces, blocks_before

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from blockseg.core.grid import BlockGrid
    from blockseg.labelling.scratch import Scratch

_DONE, _FILTERED = "merged.json", "clean.json"

MERGED = (OBJECTS, IDS, OFFSETS, _DONE)
"""Files of a merge."""
_AT_ONCE = 2**18  # rows
_ADDED = ("voxels", "places", "length", "probability", "contrast", "snr")


class Payloads(Protocol):
    """Payloads of blocks in a ledger: their results besides files."""

    def payloads(self, phase: str) -> Iterator[tuple[int, bytes]]:
        """Yield the payload of each block of a pass that has one, by ascending id."""
        ...


@dataclass(frozen=True, slots=True)
class Merging:
    """Pieces of all blocks, and the files for their components."""

    grid: BlockGrid
    """Blocks."""

    scratch: Scratch
    """Rows of the pieces."""

    folder: Path
    """Takes the result."""

    strong: int
    """Probability byte that some voxel of a component must reach; 0 for none."""

    def run(self, ledger: Payloads, provenance: Provenance) -> None:
        """Merge and write the files; the last one marks them as complete.

        Raises
        ------
        LedgerError, VolumeError
            If pieces cannot be read or files not written.
        """
        self.folder.mkdir(exist_ok=True)
        offsets = _offsets(ledger, len(self.grid))
        joined, count = _joined(ledger, self.grid, offsets)
        rank, kept = self._ranked(offsets, joined, count)
        with _mapped(self.folder / OBJECTS, OBJECT, kept) as objects:
            self._add_up(ledger, offsets, joined, rank, objects)
        with _mapped(self.folder / IDS, np.dtype("<u8"), len(joined)) as ids:
            for part in _parts(len(joined)):
                ids[part] = rank[joined[part]]
        with _mapped(self.folder / OFFSETS, np.dtype("<i8"), len(offsets)) as file:
            file[:] = offsets
        text = json.dumps({"pieces": len(joined), **provenance.to_plain()})
        replace_file(self.folder / _DONE, text.encode())

    def _ranked(
        self, offsets: NDArray[np.int64], joined: NDArray[np.int32], count: int
    ) -> tuple[NDArray[np.int64], int]:
        """Return the id of each component by its first voxel, 0 for none, and their count."""
        first = np.full(count, np.iinfo(np.int64).max)
        greatest = np.zeros(count, np.int32)
        for block, part in _blocks(offsets):
            rows = self.scratch.rows(block)
            np.minimum.at(first, joined[part], rows["first"])
            np.maximum.at(greatest, joined[part], rows["greatest"])
        first[greatest < self.strong] = np.iinfo(np.int64).max
        kept = int(np.count_nonzero(greatest >= self.strong))
        order = np.argsort(first)[:kept]
        rank = np.zeros(count, np.int64)
        rank[order] = np.arange(1, kept + 1)
        return rank, kept

    def _add_up(
        self,
        ledger: Payloads,
        offsets: NDArray[np.int64],
        joined: NDArray[np.int32],
        rank: NDArray[np.int64],
        objects: NDArray[np.void],
    ) -> None:
        """Add up the rows of the pieces of each component."""
        for name in ("first", "start"):
            objects[name] = np.iinfo(PIECE[name].base).max
        for block, part in _blocks(offsets):
            number = rank[joined[part]]
            inside = number > 0
            at, rows = number[inside] - 1, self.scratch.rows(block)[inside]
            for name in _ADDED:
                np.add.at(objects[name], at, rows[name])
            for name in ("first", "start"):
                np.minimum.at(objects[name], at, rows[name])
            for name in ("stop", "greatest"):
                np.maximum.at(objects[name], at, rows[name])
        for block, kept in ledger.payloads(MatchPieces.name):
            seam = seam_from_bytes(kept)
            base = _bases(self.grid, offsets, block)
            number = rank[joined[base[seam.owners[:, 0]] + seam.owners[:, 1] - 1]]
            inside = number > 0
            np.add.at(objects["length"], number[inside] - 1, seam.lengths[inside])


def is_merged(folder: Path, provenance: Provenance) -> bool:
    """Return whether the files of a merge exist, made from the same data in the same way."""
    there = all((folder / name).is_file() for name in (OBJECTS, IDS, OFFSETS))
    return there and _kept(folder / _DONE) == provenance


def write_clean(
    folder: Path,
    passing: Callable[[NDArray[np.void]], NDArray[np.bool_]],
    provenance: Provenance,
) -> None:
    """Write which components pass, unless the file is there.

    Parameters
    ----------
    folder
        With the result of a merge.
    passing
        Says of rows of components which pass.
    provenance
        State of the run, and the filters.

    Raises
    ------
    LedgerError, VolumeError
        If components cannot be read or the file not written.
    """
    done = folder / _FILTERED
    if (folder / CLEAN).is_file() and _kept(done) == provenance:
        return
    done.unlink(missing_ok=True)
    objects = open_objects(folder)
    with _mapped(folder / CLEAN, np.dtype("u1"), len(objects)) as clean:
        for part in _parts(len(objects)):
            clean[part] = passing(objects[part])
    replace_file(done, json.dumps(provenance.to_plain()).encode())


def _kept(path: Path) -> Provenance | None:
    try:
        return Provenance.from_plain(parse_json(read_text(path, METADATA_BYTES)))
    except (OSError, ValueError):
        return None


def _offsets(ledger: Payloads, blocks: int) -> NDArray[np.int64]:
    """Return where the pieces of each block begin; one more at the end."""
    offsets = np.zeros(blocks + 1, np.int64)
    for block, kept in ledger.payloads(LabelPieces.name):
        offsets[block + 1] = int.from_bytes(kept, "little")
    return np.cumsum(offsets)


def _joined(
    ledger: Payloads, grid: BlockGrid, offsets: NDArray[np.int64]
) -> tuple[NDArray[np.int32], int]:
    """Return a number from 0 for the component of each piece, and how many there are."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pieces = int(offsets[-1])
    pairs = [np.zeros((0, 2), np.int64)]
    for block, kept in ledger.payloads(MatchPieces.name):
        found = seam_from_bytes(kept).pairs
        base = _bases(grid, offsets, block)
        one = base[found[:, 0]] + found[:, 1] - 1
        other = base[found[:, 2]] + found[:, 3] - 1
        pairs.append(np.stack([one, other], axis=1))
    one, other = np.concatenate(pairs).T
    graph = coo_array(
        (np.ones(len(one), np.int8), (one, other)), shape=(pieces, pieces)
    )
    if not pieces:
        return np.zeros(0, np.int32), 0
    count, joined = connected_components(graph, directed=False)
    return joined, int(count)


def _bases(
    grid: BlockGrid, offsets: NDArray[np.int64], block: int
) -> NDArray[np.int64]:
    """Return where the pieces of a block and of those before it begin."""
    numbers = blocks_before(grid, grid.index_of(block))
    return np.array([0 if n is None else offsets[n] for n in numbers])


def _blocks(offsets: NDArray[np.int64]) -> Iterator[tuple[int, slice]]:
    """Yield the blocks that have pieces, and where theirs are."""
    for block in np.flatnonzero(np.diff(offsets)).tolist():
        yield block, slice(int(offsets[block]), int(offsets[block + 1]))


def _parts(length: int) -> Iterator[slice]:
    for start in range(0, length, _AT_ONCE):
        yield slice(start, min(start + _AT_ONCE, length))


@contextmanager
def _mapped(
    path: Path, dtype: np.dtype[np.generic], length: int
) -> Iterator[NDArray[Any]]:
    """Yield an array of zeros that becomes a file at the end."""
    with replacing(path) as part:
        if not length:  # nothing can be mapped
            with part.open("wb") as file:
                np.save(file, np.zeros(0, dtype))
            yield np.zeros(0, dtype)
            return
        array = np.lib.format.open_memmap(part, "w+", dtype, (length,))
        yield array
        array.flush()
