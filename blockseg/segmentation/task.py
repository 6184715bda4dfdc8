"""The task of a run: reads a block with its halo, infers it, writes it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Semaphore
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from blockseg.blockwise.block_holes import holes_in
from blockseg.blockwise.task import OpenTask, Stored, report_of
from blockseg.core.reads import seen_once
from blockseg.dhpr.block_metrics import block_metrics
from blockseg.dhpr.cube_bytes import cubes_to_bytes
from blockseg.dhpr.cube_counting import count_cubes
from blockseg.inference import devices
from blockseg.inference.block_input import (
    BlockInput,
    InferenceMask,
    nonfinite_voxels,
)
from blockseg.inference.skip_filter import infer_filtered
from blockseg.io.output.proven import StoredProbability
from blockseg.io.output.writer import PyramidWriter
from blockseg.segmentation.engines.trial import engine_for
from blockseg.segmentation.restored import StoredFirst

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from blockseg.blockwise.sources.block_reading import BlockReading
    from blockseg.core.blocks import BlockReport, Meter
    from blockseg.core.grid import Block, BlockGrid
    from blockseg.core.holes import Hole
    from blockseg.core.specs import BackendSpec
    from blockseg.dhpr.grey_scale import GreyScale
    from blockseg.inference.skip_filter import SkipFilter
    from blockseg.io.holes.mended_volume import Seen
    from blockseg.io.output.pyramid import PyramidSpec
    from blockseg.segmentation.engines.trial import EngineCriteria


@dataclass(frozen=True, slots=True)
class Segmentation:
    """Segments the blocks of a volume, and measures their cubes."""

    name: ClassVar[str] = "segment"

    reading: BlockReading
    """Source and mask that are segmented, and criteria of what may be skipped."""

    engines: tuple[BackendSpec, ...]
    """Engine to build, and on a device what may take its place."""

    trial: EngineCriteria
    """One normalisation for the run, and what a device is judged by."""

    threshold: int
    """Smallest probability byte that is foreground."""

    probability: PyramidSpec
    """Output, uint8 = round(255·p)."""

    foreground: PyramidSpec
    """Output, 0 or 1."""

    empty: float | None = None
    """Voxels of exactly this grey level are empty; see ``Decisions.empty``."""

    scale: GreyScale | None = None
    """Grey scale of the blocks' metrics; None to measure none."""

    restored: bool = False
    """Whether the probability that OUT holds of a block is taken where its checksums
    prove it, instead of inferring it again."""

    @property
    def grid(self) -> BlockGrid:
        """The blocks."""
        return self.reading.grid

    def open(self, cache_bytes: int) -> Segmenting:
        """Build the engine and open the volumes."""
        return Segmenting(self, cache_bytes)

    def stores(self) -> tuple[Stored, ...]:
        """Return probability and foreground."""
        return Stored(self.probability), Stored(self.foreground, column="foreground")

    def reads(self) -> BlockReading:
        """Return what is segmented."""
        return self.reading


@dataclass(frozen=True, slots=True, eq=False)
class InferredBlock:
    """A block before it is written."""

    probability: NDArray[np.uint8]
    """255 p (z, y, x) of the write ROI."""

    computed: int = 0
    """As of :class:`~blockseg.core.blocks.BlockReport`, as all that follow."""

    skipped: int = 0
    nonfinite: int = 0
    read_bytes: int = 0
    payload: bytes = b""
    shown: tuple[float, ...] = ()
    note: str = ""
    holes: tuple[Hole, ...] = ()


class Segmenting(OpenTask):
    """One engine and its volumes, in one worker process.

    Blocks come on several threads: reading and writing overlap, the engine
    serialises itself.
    """

    def __init__(self, spec: Segmentation, cache_bytes: int) -> None:
        self._spec = spec
        self._reading = spec.reading.open(cache_bytes)
        self._engine = engine_for(spec.engines, spec.trial, self._reading.volume)
        if spec.restored:
            stored = StoredProbability(spec.probability, spec.grid.region.start)
            self._engine = StoredFirst(stored, self._engine)
        self._turn = Semaphore(self._engine.depth)
        self._probability = PyramidWriter(spec.probability)
        self._foreground = PyramidWriter(spec.foreground)

    def __call__(self, block: Block, meter: Meter) -> BlockReport:
        """Segment one block.

        Raises
        ------
        VolumeError
            If the source cannot be read or the output not written.
        BackendError
            If the engine fails.
        """
        report = self._write(block, self.infer(block, meter), meter)
        if self._spec.engines[0].device == "cpu":
            return report
        return replace(report, device_bytes=devices.memory_in_use())

    def infer(self, block: Block, meter: Meter) -> InferredBlock:
        """Return what is to be written of one block.

        Parameters
        ----------
        block
            Of the grid, or any other that reads as much around it.
        meter
            Measures activities.

        Raises
        ------
        VolumeError
            If the source cannot be read.
        BackendError
            If the engine fails.
        """
        # 1. What the mask leaves of the block.
        inside = None
        if self._reading.mask is not None:
            with meter("read"):
                inside = self._reading.inside(block.write_roi)
        if inside is not None and not inside.any():
            return InferredBlock(_zeros(block))
        if self._reading.skip_filter is not None:
            return self._sparse(block, self._reading.skip_filter, inside, meter)
        # 2. Its voxels with the halo, holes filled.
        with meter("read"):
            seen = self._reading.look(block.read_roi)
        inner = seen.within(block.write_roi.slices(block.read_roi.start))
        read_bytes, empty = seen.voxels.nbytes, self._spec.empty
        if empty is not None and bool((seen_once(inner.voxels) == empty).all()):
            nothing = _zeros(block)
            payload, shown = self._cubes(inner, nothing, block, inside, meter)
            return InferredBlock(
                nothing, read_bytes=read_bytes, payload=payload, shown=shown
            )
        # 3. Probability from the engine; none where nothing was recorded.
        with self._inferring(meter):
            segmented = self._engine.segment(
                BlockInput(
                    seen.voxels,
                    block.read_roi,
                    block.write_roi,
                    self._spec.grid.volume_shape,
                    None if inside is None else InferenceMask(inside),
                )
            )
        probability = segmented.probability
        if empty is not None:
            probability[inner.voxels == empty] = 0
        if inner.missing is not None:
            probability[inner.missing] = 0
        # 4. Metrics of its cubes; then go probability and mask to disk.
        payload, shown = self._cubes(inner, probability, block, inside, meter)
        return InferredBlock(
            probability,
            computed=segmented.computed,
            nonfinite=segmented.nonfinite + inner.nonfinite_voxels,
            read_bytes=read_bytes,
            payload=payload,
            shown=shown,
            note=segmented.note,
            holes=holes_in(inner, block.write_roi, inside),
        )

    def _sparse(
        self,
        block: Block,
        skip_filter: SkipFilter,
        inside: NDArray[np.bool_] | None,
        meter: Meter,
    ) -> InferredBlock:
        """Segment what a skip filter leaves of a block."""
        done = infer_filtered(
            skip_filter,
            self._engine,
            self._reading.mended,
            block.write_roi,
            max(self._spec.grid.halo),
            inside,
            meter,
            lambda: self._inferring(meter),
        )
        payload, shown = self._cubes(done.seen, done.probability, block, inside, meter)
        return InferredBlock(
            done.probability,
            computed=done.computed,
            skipped=done.skipped,
            nonfinite=nonfinite_voxels(done.seen.voxels) + done.seen.nonfinite_voxels,
            read_bytes=done.read_bytes,
            payload=payload,
            shown=shown,
            note=done.note,
            holes=holes_in(done.seen, block.write_roi, inside),
        )

    @contextmanager
    def _inferring(self, meter: Meter) -> Iterator[None]:
        """Wait for the engine, and count that apart from what the engine takes."""
        with meter("wait"):
            self._turn.acquire()
        try:
            with meter("infer"):
                yield
        finally:
            self._turn.release()

    def _cubes(
        self,
        seen: Seen,
        probability: NDArray[np.uint8],
        block: Block,
        inside: NDArray[np.bool_] | None,
        meter: Meter,
    ) -> tuple[bytes, tuple[float, ...]]:
        """Return the counts of a block's cubes, as they are kept, and its metrics."""
        scale, threshold = self._spec.scale, self._spec.threshold
        if scale is None:
            return b"", ()
        with meter("metrics"):
            seen = seen.measured()
            cubes = count_cubes(
                seen.voxels,
                probability,
                block.write_roi,
                scale,
                threshold=threshold,
                inside=inside,
                missing=seen.missing,
            )
            return cubes_to_bytes(cubes), block_metrics(cubes)

    def _write(
        self, block: Block, inferred: InferredBlock, meter: Meter
    ) -> BlockReport:
        roi = block.write_roi.shifted(-a for a in self._spec.grid.region.start)
        probability = inferred.probability
        with meter("write"):
            foreground = probability  # most blocks of a brain are empty
            if probability.any():
                foreground = (probability >= self._spec.threshold).view(np.uint8)
            written = self._probability.write_block(roi, probability)
            masked = self._foreground.write_block(roi, foreground)
        return report_of(
            block,
            written,
            masked,
            foreground=masked.nonzero,
            computed=inferred.computed,
            skipped=inferred.skipped,
            nonfinite=inferred.nonfinite,
            read_bytes=inferred.read_bytes,
            payload=inferred.payload,
            shown=inferred.shown,
            note=inferred.note,
            holes=inferred.holes,
        )

    def close(self) -> None:
        """Release the engine."""
        self._engine.close()


def _zeros(block: Block) -> NDArray[np.uint8]:
    return np.zeros(block.write_roi.shape, np.uint8)
