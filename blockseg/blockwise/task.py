"""The block task: one thing done to every block of a grid, whatever it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from blockseg.core.blocks import BlockReport

if TYPE_CHECKING:
    from blockseg.blockwise.sources.block_reading import BlockReading
    from blockseg.core.blocks import Meter
    from blockseg.core.grid import Block, BlockGrid
    from blockseg.io.output.pyramid import PyramidSpec
    from blockseg.io.output.writer import BlockWritten

__all__ = ["BlockTask", "OpenTask", "Stored", "report_of"]


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
