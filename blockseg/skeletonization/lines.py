"""First pass: the lines of each block, stored until they are joined."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from blockseg.blockwise.task import OpenTask
from blockseg.core.blocks import BlockReport
from blockseg.io.output.written_files import write_block_file
from blockseg.skeletons.block_lines import BlockLines, block_lines

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.blockwise.derived.image import RunImage
    from blockseg.core.blocks import Meter
    from blockseg.core.geometry import Roi
    from blockseg.core.grid import Block, BlockGrid
    from blockseg.core.stored_file import StoredFile
    from blockseg.io.protocol import Volume

LINES = "lines"
"""Name of the pass, and of the folder that holds its files."""


@dataclass(frozen=True, slots=True)
class LinesTask:
    """Finds the lines of each block, reading a margin as wide as they depend on."""

    name: ClassVar[str] = LINES

    components: RunImage
    """Ids of objects."""

    clean: RunImage
    """Objects that are traced."""

    grid: BlockGrid
    """Blocks of the image."""

    voxel_size: tuple[float, float, float]
    """Along (z, y, x), in µm."""

    out: str
    """The output."""

    within: str
    """Folder below it where the lines go, '/'-separated."""

    def open(self, cache_bytes: int) -> _Lines:
        """Open both images."""
        # Ids are eight times the mask.
        ids = self.components.open(8 * cache_bytes // 9)
        return _Lines(self, ids, self.clean.open(cache_bytes // 9))

    def stores(self) -> tuple[()]:
        """No image: its files are told by name."""
        return ()

    def reads(self) -> None:
        """Nothing of the source is read."""


@dataclass(frozen=True, slots=True)
class _Lines(OpenTask):
    task: LinesTask
    components: Volume
    clean: Volume

    def __call__(self, block: Block, meter: Meter) -> BlockReport:
        task = self.task
        read = 0

        def labels(roi: Roi) -> NDArray[Any]:
            nonlocal read
            with meter("read"):
                mask = np.asarray(self.clean.read(roi))
                if not mask.any():
                    return np.zeros(roi.shape, np.uint8)
                ids = np.array(self.components.read(roi))
                ids[mask == 0] = 0
                read += ids.nbytes + mask.nbytes
                # Half the memory of all that follows.
                small = int(ids.max()) < 2**32
                return ids.astype(np.uint32) if small else ids

        with meter("read"):
            empty = not np.any(self.clean.read(block.write_roi))
        if empty:
            return BlockReport(block.number, written=block.write_roi.size)
        shape = task.grid.volume_shape
        lines = block_lines(labels, block.write_roi, shape, task.voxel_size)
        files: tuple[StoredFile, ...] = ()
        if len(lines):
            with meter("write"):
                path = lines_file(task.within, block.number)
                files = (write_block_file(task.out, path, lines.to_bytes()),)
        return BlockReport(
            block.number,
            written=block.write_roi.size,
            foreground=len(lines),
            read_bytes=read,
            payload=contents_of(lines) if len(lines) else b"",
            files=files,
        )


def lines_file(within: str, number: int) -> str:
    """Return where the lines of a block are kept."""
    return f"{within}/{number:07d}.bin"


def contents_of(lines: BlockLines) -> bytes:
    """Return which objects a block has lines of, and of how many voxels, packed."""
    ids, count = np.unique(lines.component, return_counts=True)
    pairs = np.stack([np.diff(ids, prepend=np.uint64(0)), count.astype(np.uint64)])
    return zlib.compress(pairs.astype("<u8").tobytes())


def contents_from(packed: bytes) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return ids, rising, and numbers of voxels that :func:`contents_of` packed."""
    pairs = np.frombuffer(zlib.decompress(packed), "<u8").reshape(2, -1)
    return np.cumsum(pairs[0], dtype=np.uint64), pairs[1].astype(np.int64)
