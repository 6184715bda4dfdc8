"""The task of another threshold: reads stored probability, writes mask and counts."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from blockseg.blockwise.task import OpenTask, Stored
from blockseg.core.blocks import BlockReport
from blockseg.core.reads import noting_reads
from blockseg.dhpr.cube_bytes import cubes_to_bytes
from blockseg.dhpr.cube_counting import count_cubes
from blockseg.io.output.writer import PyramidWriter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.blockwise.sources.block_reading import BlockReading, OpenReading
    from blockseg.core.blocks import Meter
    from blockseg.core.geometry import Roi
    from blockseg.core.grid import Block, BlockGrid
    from blockseg.dhpr.grey_scale import GreyScale
    from blockseg.io.output.pyramid import PyramidSpec


@dataclass(frozen=True, slots=True)
class Counting:
    """Source and grey scale of the metrics, as the run had them."""

    reading: BlockReading
    """Source and mask, with the blocks of the run."""

    scale: GreyScale
    """Grey scale of its cubes."""


@dataclass(frozen=True, slots=True)
class Thresholding:
    """Makes the mask of each block of a run from its stored probability."""

    name: ClassVar[str] = "segment"  # whose blocks these are

    grid: BlockGrid
    """The blocks of the run."""

    threshold: int
    """Smallest probability byte that is foreground."""

    probability: PyramidSpec
    """Image that is read; it stays as it is."""

    foreground: PyramidSpec
    """Image that is written, 0 or 1."""

    counting: Counting | None
    """How metrics are counted; None to count none."""

    def open(self, cache_bytes: int) -> _OpenThresholding:
        """Open the images, and the source where metrics are counted."""
        counting = self.counting
        return _OpenThresholding(
            self,
            PyramidWriter(self.probability),
            PyramidWriter(self.foreground),
            None if counting is None else counting.reading.open(cache_bytes),
        )

    def stores(self) -> tuple[Stored, ...]:
        """Return the images of the run."""
        return Stored(self.probability), Stored(self.foreground, column="foreground")

    def reads(self) -> BlockReading | None:
        """Return what is read of the source, if anything."""
        return None if self.counting is None else self.counting.reading


@dataclass(frozen=True, slots=True)
class _OpenThresholding(OpenTask):
    spec: Thresholding
    probability: PyramidWriter
    foreground: PyramidWriter
    source: OpenReading | None

    def __call__(self, block: Block, meter: Meter) -> BlockReport:
        roi = block.write_roi.shifted(-a for a in self.spec.grid.region.start)
        with meter("read"):
            probability = self._stored(roi)
        payload = self._counts(block, probability, meter)
        with meter("write"):
            mask = (probability >= self.spec.threshold).view(np.uint8)
            written = self.foreground.write_block(roi, mask)
        # What else the run knew of the block is joined to this in the ledger.
        return BlockReport(
            block.number,
            written=probability.size,
            nonzero=int(np.count_nonzero(probability)),
            digest=zlib.crc32(probability.data),
            foreground=written.nonzero,
            files=written.stored,
            payload=payload,
        )

    def _stored(self, roi: Roi) -> NDArray[np.uint8]:
        return np.ascontiguousarray(self.probability.read_level(0, roi), np.uint8)

    def _counts(
        self, block: Block, probability: NDArray[np.uint8], meter: Meter
    ) -> bytes:
        """Return the counts of a block's cubes as the run would find them."""
        counting, source = self.spec.counting, self.source
        if counting is None or source is None:
            return b""
        with meter("read"):
            with noting_reads():  # the ledger keeps what the run read of the block
                inside = source.inside(block.write_roi)
            seen = source.mended.look(block.write_roi).measured()
        with meter("metrics"):
            cubes = count_cubes(
                seen.voxels,
                probability,
                block.write_roi,
                counting.scale,
                threshold=self.spec.threshold,
                inside=inside,
                missing=seen.missing,
            )
            return cubes_to_bytes(cubes)
