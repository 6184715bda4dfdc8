"""The phases of a run: the blocks themselves, then the coarse levels they leave open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from blockseg.core.blocks import BlockReport
from blockseg.io.output.writer import PyramidWriter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.core.blocks import Meter, ProcessorFactory
    from blockseg.core.grid import BlockGrid
    from blockseg.core.traversal import TraversalOrder
    from blockseg.io.output.pyramid import PyramidSpec

__all__ = ["CoarseLevel", "Phase", "Stored", "coarse_phases", "phase_facts"]


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes that a block of a phase leaves on disk, by which the ledger is checked."""

    pyramid: PyramidSpec
    """The image."""

    level: int = 0
    """Level that the phase writes; with 0 come those written from the same block."""

    column: str = "nonzero"
    """Field of the block's report that is 0 where no file is stored."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One pass over a grid; each can be resumed by itself."""

    name: str
    """Readable; also the first part of the task names."""

    grid: BlockGrid
    """Units of the pass."""

    factory: ProcessorFactory
    """Makes each worker's actor."""

    stored: tuple[Stored, ...]
    """Arrays in which its blocks leave bytes on disk."""

    traversal: TraversalOrder | None = None
    """In which order blocks are done; by number if None."""

    workers: int = 1
    """Number of workers expected to share the blocks."""


@dataclass(frozen=True, slots=True)
class CoarseLevel:
    """Makes one level of a pyramid from the level below it; picklable."""

    pyramid: PyramidSpec
    """The image."""

    level: int
    """Level to write."""

    grid: BlockGrid
    """Its shards."""

    def __call__(self) -> _CoarseBlock:
        """Open the arrays."""
        return _CoarseBlock(self)


class _CoarseBlock:
    def __init__(self, spec: CoarseLevel) -> None:
        self._spec = spec
        self._writer = PyramidWriter(spec.pyramid)

    def __call__(self, block_id: int, meter: Meter) -> BlockReport:
        grid = self._spec.grid
        with meter("pyramid"):
            written = self._writer.write_level_block(
                self._spec.level, grid.index_of(block_id)
            )
        size = grid.block(grid.index_of(block_id)).write_roi.size
        return BlockReport(
            block_id,
            written=size,
            nonzero=written.nonzero,
            digest=written.crc32,
            files=written.stored,
        )

    def close(self) -> None:
        """Nothing is held."""


def coarse_phases(*pyramids: tuple[str, PyramidSpec]) -> Iterator[Phase]:
    """Yield the second passes of named pyramids, finer levels first."""
    for name, pyramid in pyramids:
        for level, grid in pyramid.second_pass_grids():
            factory = CoarseLevel(pyramid, level, grid)
            stored = (Stored(pyramid, level),)
            yield Phase(f"pyramid-{name}-{level}", grid, factory, stored)


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
