"""The phases of a job: its task, then the coarse levels of what that wrote."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from blockseg.blockwise.task import OpenTask, Stored, report_of
from blockseg.io.decoded_cache import counting
from blockseg.io.output.writer import PyramidWriter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.blockwise.task import BlockTask
    from blockseg.core.blocks import BlockReport, Meter
    from blockseg.core.grid import Block, BlockGrid
    from blockseg.core.traversal import TraversalOrder
    from blockseg.io.output.pyramid import PyramidSpec

__all__ = ["CoarseLevel", "Phase", "coarse_phases", "phase_facts"]


@dataclass(frozen=True, slots=True)
class Phase:
    """One task over its grid; each can be resumed by itself.

    Called in a worker process, it opens the task there and returns what does one block,
    given its number.
    """

    task: BlockTask
    """What is done to a block."""

    traversal: TraversalOrder | None = None
    """In which order blocks are done; by number if None."""

    workers: int = 1
    """Number of workers expected to share the blocks."""

    cache_bytes: int = 0
    """Bytes of decoded chunks that a worker keeps."""

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


def phase_facts(phases: tuple[Phase, ...], main_blocks: int) -> list[dict[str, object]]:
    """Return what a reader of ``run.json`` needs to count blocks; the main pass first.

    ``main_blocks`` is how many blocks of the main pass mask and ROI leave.
    """
    return [
        {
            "name": phase.name,
            "blocks": len(phase.grid) if number else main_blocks,
            "grid": list(phase.grid.counts),
        }
        for number, phase in enumerate(phases)
    ]
