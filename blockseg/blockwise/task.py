"""Block tasks: one thing done to every block of a grid; a phase is a task at work."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from blockseg.core.blocks import BlockReport
from blockseg.io.decoded_cache import counting
from blockseg.io.output.writer import PyramidWriter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from blockseg.blockwise.sources.block_reading import BlockReading
    from blockseg.core.blocks import Meter
    from blockseg.core.grid import Block, BlockGrid
    from blockseg.core.traversal import TraversalOrder
    from blockseg.io.output.pyramid import PyramidSpec
    from blockseg.io.output.writer import BlockWritten


@dataclass(frozen=True, slots=True)
class Stored:
    """An image that the blocks of a task write."""

    pyramid: PyramidSpec
    """The image."""

    level: int = 0
    """Level that the task writes; with 0 come those written from the same block."""

    column: str | None = "nonzero"
    """Field of a block's report that is 0 where no file of the image is stored, by which
    lost files are missed; None where the report does not tell."""


class OpenTask(Protocol):
    """A task as it is open in a worker process.

    Called from several threads at once; it serialises its own device. It raises on
    failure, and need not catch anything.
    """

    def __call__(self, block: Block, meter: Meter) -> BlockReport:
        """Do one block.

        Parameters
        ----------
        block
            Which.
        meter
            Measures activities: ``with meter("read"): ...``.
        """
        ...

    def close(self) -> None:
        """Release what is held; nothing, unless a task says otherwise."""
        return


class BlockTask(Protocol):
    """One thing that is done to every block of a grid; a value that is sent to workers.

    Queue, workers, retries, ledger, resume, the watch over the source and the report
    come from :func:`blockseg.blockwise.run.run`.
    """

    @property
    def name(self) -> str:
        """Name in the ledger, and the first part of the names of Dask's tasks."""
        ...

    @property
    def grid(self) -> BlockGrid:
        """The blocks."""
        ...

    def open(self, cache_bytes: int) -> OpenTask:
        """Open in a worker what the task needs.

        Parameters
        ----------
        cache_bytes
            Bytes of decoded chunks to keep.
        """
        ...

    def stores(self) -> tuple[Stored, ...]:
        """Return the images that blocks write; their coarse levels are made after it."""
        ...

    def reads(self) -> BlockReading | None:
        """Return what blocks read, to notice where it changes; None for nothing."""
        ...


def report_of(
    block: Block, written: BlockWritten, *others: BlockWritten, **counts: Any
) -> BlockReport:
    """Return the report of a block that wrote images.

    Parameters
    ----------
    block
        Which.
    written
        What was written of the first image of the task: the report's voxels, checksum
        and voxels that are not 0 are those of it.
    *others
        What was written of the others, in the order of the task's images.
    **counts
        Other fields of the report.
    """
    return BlockReport(
        block.number,
        written=written.voxels,
        nonzero=written.nonzero,
        digest=written.crc32,
        files=tuple(file for one in (written, *others) for file in one.stored),
        **counts,
    )


@dataclass(frozen=True, slots=True)
class Phase:
    """One task over its grid; each can be resumed by itself.

    Called in a worker process, it opens the task there and returns what does one block,
    given its number.
    """

    task: BlockTask
    """Task that is done to each block."""

    traversal: TraversalOrder | None = None
    """Order of the blocks; by number if None."""

    workers: int = 1
    """Number of workers expected to share the blocks."""

    cache_bytes: int = 0
    """Bytes of decoded chunks that a worker keeps."""

    only: NDArray[np.int64] | None = field(default=None, compare=False)
    """Ids of the blocks to do, in order, of a pass that comes after the main one; all if
    None."""

    @property
    def blocks(self) -> NDArray[np.int64]:
        """Ids of the blocks to do, in order."""
        every = np.arange(len(self.grid), dtype=np.int64)
        return every if self.only is None else self.only

    @property
    def count(self) -> int:
        """Number of blocks to be done."""
        return len(self.grid) if self.only is None else len(self.only)

    @property
    def name(self) -> str:
        """Name of the task."""
        return self.task.name

    @property
    def grid(self) -> BlockGrid:
        """Units of the pass."""
        return self.task.grid

    @property
    def stored(self) -> tuple[Stored, ...]:
        """Images in which its blocks leave bytes on disk."""
        return self.task.stores()

    def __call__(self) -> _PhaseInWorker:
        """Open the task in this process."""
        return _PhaseInWorker(self.task.grid, self.task.open(self.cache_bytes))


@dataclass(frozen=True, slots=True)
class _PhaseInWorker:
    grid: BlockGrid
    task: OpenTask

    def __call__(self, block_id: int, meter: Meter) -> BlockReport:
        with counting() as decoded:
            report = self.task(self.grid.numbered(block_id), meter)
        return replace(report, decoded_bytes=decoded.total)

    def close(self) -> None:
        self.task.close()


@dataclass(frozen=True, slots=True)
class CoarseLevel:
    """Makes one level of an image from the level below it."""

    pyramid: PyramidSpec
    """The image."""

    level: int
    """Level to write."""

    @property
    def name(self) -> str:
        """Names of the image and of the level."""
        return f"pyramid-{self.pyramid.name}-{self.level}"

    @property
    def grid(self) -> BlockGrid:
        """Its shards."""
        return self.pyramid.levels[self.level].grid

    def open(self, cache_bytes: int) -> _CoarseShard:  # noqa: ARG002
        """Open the arrays."""
        return _CoarseShard(PyramidWriter(self.pyramid), self.level)

    def stores(self) -> tuple[Stored, ...]:
        """Return the image, at this level."""
        return (Stored(self.pyramid, self.level),)

    def reads(self) -> None:
        """Nothing of the source is read."""


@dataclass(frozen=True, slots=True)
class _CoarseShard(OpenTask):
    writer: PyramidWriter
    level: int

    def __call__(self, block: Block, meter: Meter) -> BlockReport:
        with meter("pyramid"):
            written = self.writer.write_level_block(self.level, block.index)
        return report_of(block, written)


def coarse_phases(task: BlockTask) -> Iterator[Phase]:
    """Yield the passes over coarse levels of what a task writes, finer levels first."""
    for stored in task.stores():
        for level, _ in stored.pyramid.second_pass_grids():
            yield Phase(CoarseLevel(stored.pyramid, level))
