"""Scores of a volume, several blocks at a time, in bounded memory."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from blockseg.morphology.block_scores import BlockScores, score_block
from blockseg.morphology.topology import (
    ComponentCounter,
    ComponentPiece,
    component_piece,
)
from blockseg.runtime.memory import machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from blockseg.core.geometry import Roi, Zyx
    from blockseg.core.grid import Block, BlockGrid
    from blockseg.core.space import Vector
    from blockseg.evaluation.prediction import PredictedBlock, Prediction
    from blockseg.evaluation.truth import Truth

_MOST_WORKERS = 8


@dataclass(frozen=True, slots=True)
class ScoredBlock:
    """A block with anything in it."""

    index: Zyx
    """Position in the grid."""

    roi: Roi
    """Its place, in voxels of PRED."""

    scores: BlockScores
    """Its counts."""


@dataclass(slots=True)
class Tally:
    """Counts of the blocks so far."""

    blocks: list[ScoredBlock] = field(default_factory=list)
    """Those with anything in either mask, in the order of the grid."""

    counted: int = 0
    """Voxels with a known truth."""

    components: tuple[int, int] = (0, 0)
    """Predicted and true components of the whole region."""

    nonfinite: int = 0
    """NaN or infinite voxels of PRED."""

    greatest: float = 0.0
    """Greatest value of PRED."""

    levels: bool = False
    """Whether a block of PRED holds several values above 0."""

    labels: bool = False
    """Whether a block of TRUTH holds several labels in a byte."""

    unsure: int = 0
    """Largest label of TRUTH, where 255 might mean unknown and might be a neuron."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Prediction and truth to compare, and how to compare them."""

    prediction: Prediction
    """Prediction that is scored."""

    truth: Truth
    """Truth that it is compared with."""

    grid: BlockGrid
    """Blocks with halos; voxels of PRED."""

    tolerance: float
    """In the unit of ``voxel_size``."""

    voxel_size: Vector
    """Edge lengths along (z, y, x) by which distances are measured."""

    snr_edges: tuple[float, ...]
    """Where SNR bins meet; empty where no SNR is known."""

    planes: bool = False
    """Whether the truth is known in single planes only."""

    def score(self, block: Block) -> _Outcome:
        """Read and compare one block."""
        read, own = block.read_roi, block.write_roi
        predicted, true = self.prediction.read(read, own), self.truth.read(read)
        scores = score_block(
            predicted.mask,
            true.mask,
            true.counts,
            own.slices(read.start),
            self.tolerance,
            voxel_size=self.voxel_size,
            traced=self.truth.traced,
            snr=true.snr,
            snr_edges=self.snr_edges,
            planes=self.planes,
        )
        grown = own.grown((1, 1, 1)).intersection(self.grid.region)
        there = grown.slices(read.start)
        shape = self.grid.volume_shape
        pieces = [
            component_piece((mask & true.counts)[there], grown, own, shape)
            for mask in (predicted.mask, true.mask)
        ]
        return _Outcome(
            block, scores, predicted, pieces[0], pieces[1], true.levels, true.unsure
        )


@dataclass(frozen=True, slots=True)
class _Outcome:
    block: Block
    scores: BlockScores
    predicted: PredictedBlock
    predicted_piece: ComponentPiece
    true_piece: ComponentPiece
    labels: bool
    unsure: int


def score_blocks(
    comparison: Comparison,
    workers: int | None = None,
    on_block: Callable[[int, int], None] | None = None,
) -> Tally:
    """Score every block.

    Parameters
    ----------
    comparison
        Prediction, truth and how they are compared.
    workers
        Blocks at a time; one a core, at most 8, if not given.
    on_block
        Told how many blocks are done, and how many there are.

    Raises
    ------
    VolumeError
        If a volume cannot be read.
    """
    tally, counters = Tally(), (ComponentCounter(), ComponentCounter())
    grid, layer = comparison.grid, 0
    plane = grid.volume_shape[1] * grid.volume_shape[2]
    for done, outcome in enumerate(
        _in_order(comparison, workers or min(_MOST_WORKERS, machine().cores)), 1
    ):
        block = outcome.block
        if block.index[0] > layer:
            layer = block.index[0]
            for counter in counters:
                # Blocks to come know of voxels from one plane before their own.
                counter.join((block.write_roi.start[0] - 1) * plane)
        counters[0].add(outcome.predicted_piece)
        counters[1].add(outcome.true_piece)
        tally.counted += outcome.scores.counted
        tally.nonfinite += outcome.predicted.nonfinite
        tally.greatest = max(tally.greatest, outcome.predicted.greatest)
        tally.levels |= outcome.predicted.levels
        tally.labels |= outcome.labels
        tally.unsure = max(tally.unsure, outcome.unsure)
        if outcome.scores.blocks:
            found = ScoredBlock(block.index, block.write_roi, outcome.scores)
            tally.blocks.append(found)
        if on_block is not None:
            on_block(done, len(grid))
    tally.components = (counters[0].join(), counters[1].join())
    return tally


def _in_order(comparison: Comparison, workers: int) -> Iterator[_Outcome]:
    """Yield blocks in the order of the grid while further ones are being scored."""
    if workers == 1:
        yield from map(comparison.score, comparison.grid)
        return
    waiting: deque[Future[_Outcome]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for block in comparison.grid:
                waiting.append(pool.submit(comparison.score, block))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
