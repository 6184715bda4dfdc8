"""The actor of a run: reads a block with its halo, infers it, writes it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Semaphore
from typing import TYPE_CHECKING

import numpy as np

from blockseg.blockwise.block_holes import holes_in
from blockseg.core.blocks import BlockReport
from blockseg.core.reads import note_read
from blockseg.dhpr.cube_bytes import cubes_to_bytes
from blockseg.dhpr.cube_counting import count_cubes
from blockseg.inference import devices
from blockseg.inference.skip_filter import SkipFilter, infer_filtered
from blockseg.inference.window_layout import InferenceMask, nonfinite_voxels
from blockseg.io.chunks.tensorstores import ReadLimits
from blockseg.io.decoded_cache import counting
from blockseg.io.holes.mended_volume import MendedVolume, Seen
from blockseg.io.masks.sampler import MaskSampler
from blockseg.io.open import open_volume
from blockseg.io.output.writer import PyramidWriter
from blockseg.segmentation.engines.trial import engine_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from blockseg.core.blocks import Meter
    from blockseg.core.cubes import SkipCriteria
    from blockseg.core.geometry import Roi
    from blockseg.core.grid import BlockGrid
    from blockseg.core.holes import Hole, HoleRule
    from blockseg.core.space import Space
    from blockseg.core.specs import BackendSpec, VolumeSpec
    from blockseg.dhpr.grey_scale import GreyScale
    from blockseg.io.output.pyramid import PyramidSpec
    from blockseg.segmentation.engines.trial import EngineCriteria

__all__ = ["SegmentBlock", "Segmentation"]

_MASK_CACHE = 32 * 2**20


@dataclass(frozen=True, slots=True)
class Segmentation:
    """All that a worker needs to make its actor; picklable."""

    source: VolumeSpec
    """Source."""

    space: Space
    """Space of the source, with the user's voxel size."""

    grid: BlockGrid
    """Which blocks there are."""

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

    mask: VolumeSpec | None = None
    """Nonzero voxels are segmented."""

    scale: GreyScale | None = None
    """Grey scale of the blocks' metrics; None to measure none."""

    criteria: SkipCriteria | None = None
    """Criteria of what else need not be inferred; None for nothing."""

    holes: HoleRule | None = None
    """Rule that tells voxels without data; None where nothing is a hole."""

    cache_bytes: int = 0
    """Size of decoded chunks of the source that a worker keeps."""

    def __call__(self) -> SegmentBlock:
        """Build the engine and open the volumes."""
        return SegmentBlock(self)


class SegmentBlock:
    """One engine and its volumes, in one worker process.

    Blocks come on several threads: reading and writing overlap, the engine
    serialises itself.
    """

    def __init__(self, spec: Segmentation) -> None:
        self._spec = spec
        limits = ReadLimits(cache_bytes=spec.cache_bytes)
        source = open_volume(spec.source, limits)
        self._source = MendedVolume(source, spec.holes)
        self._engine = engine_for(spec.engines, spec.trial, source)
        self._turn = Semaphore(self._engine.depth)
        self._probability = PyramidWriter(spec.probability)
        self._foreground = PyramidWriter(spec.foreground)
        self._mask = None
        if spec.mask is not None:
            mask = open_volume(spec.mask, ReadLimits(cache_bytes=_MASK_CACHE))
            self._mask = MaskSampler(mask, spec.grid.volume_shape, spec.space)
        self._skip_filter = None
        if spec.criteria is not None:
            self._skip_filter = SkipFilter(
                spec.criteria, spec.grid.volume_shape, spec.trial.affine
            )

    def __call__(self, block_id: int, meter: Meter) -> BlockReport:
        """Segment one block.

        Raises
        ------
        VolumeError
            If the source cannot be read or the output not written.
        BackendError
            If the engine fails.
        """
        with counting() as decoded:
            report = self._segment(block_id, meter)
        used = 0 if self._spec.engines[0].device == "cpu" else devices.memory_in_use()
        return replace(report, decoded_bytes=decoded.total, device_bytes=used)

    def _segment(self, block_id: int, meter: Meter) -> BlockReport:
        grid = self._spec.grid
        block = grid.block(grid.index_of(block_id))
        inside = None
        if self._mask is not None:
            with meter("read"):
                inside = self._mask.inside(block.write_roi)
                note_read(inside)
        if inside is not None and not inside.any():
            nothing = np.zeros(block.write_roi.shape, np.uint8)
            return self._write(block_id, block.write_roi, nothing, meter)
        if self._skip_filter is not None:
            return self._sparse(
                block_id, block.write_roi, self._skip_filter, inside, meter
            )
        with meter("read"):
            seen = self._source.look(block.read_roi)
            note_read(seen.voxels)
        inner = seen.within(block.write_roi.slices(block.read_roi.start))
        raw, core, empty = seen.voxels, inner.voxels, self._spec.empty
        if empty is not None and bool((core == empty).all()):
            nothing = np.zeros(core.shape, np.uint8)
            return self._write(
                block_id,
                block.write_roi,
                nothing,
                meter,
                read_bytes=raw.nbytes,
                payload=self._cells(inner, nothing, block.write_roi, inside, meter),
            )
        with self._inferring(meter):
            segmented = self._engine.segment(
                raw,
                block.read_roi,
                block.write_roi,
                grid.volume_shape,
                None if inside is None else InferenceMask(inside),
            )
        probability = segmented.probability
        if empty is not None:
            probability[core == empty] = 0
        if inner.missing is not None:
            probability[inner.missing] = 0
        return self._write(
            block_id,
            block.write_roi,
            probability,
            meter,
            computed=segmented.computed,
            nonfinite=segmented.nonfinite + inner.nonfinite_voxels,
            read_bytes=raw.nbytes,
            payload=self._cells(inner, probability, block.write_roi, inside, meter),
            note=segmented.note,
            holes=holes_in(inner, block.write_roi, inside),
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

    def _cells(
        self,
        seen: Seen,
        probability: NDArray[np.uint8],
        roi: Roi,
        inside: NDArray[np.bool_] | None,
        meter: Meter,
    ) -> bytes:
        """Return the counts of a block's cells, as they are kept."""
        scale, threshold = self._spec.scale, self._spec.threshold
        if scale is None:
            return b""
        with meter("metrics"):
            seen = seen.measured()
            cells = count_cubes(
                seen.voxels,
                probability,
                roi,
                scale,
                threshold=threshold,
                inside=inside,
                missing=seen.missing,
            )
            return cubes_to_bytes(cells)

    def _sparse(
        self,
        block_id: int,
        roi: Roi,
        skip_filter: SkipFilter,
        inside: NDArray[np.bool_] | None,
        meter: Meter,
    ) -> BlockReport:
        """Segment what a skip filter leaves of a block."""
        done = infer_filtered(
            skip_filter,
            self._engine,
            self._source,
            roi,
            max(self._spec.grid.halo),
            inside,
            meter,
            lambda: self._inferring(meter),
        )
        return self._write(
            block_id,
            roi,
            done.probability,
            meter,
            computed=done.computed,
            skipped=done.skipped,
            nonfinite=nonfinite_voxels(done.seen.voxels) + done.seen.nonfinite_voxels,
            read_bytes=done.read_bytes,
            payload=self._cells(done.seen, done.probability, roi, inside, meter),
            note=done.note,
            holes=holes_in(done.seen, roi, inside),
        )

    def _write(
        self,
        block_id: int,
        write_roi: Roi,
        probability: np.ndarray,
        meter: Meter,
        computed: int = 0,
        skipped: int = 0,
        nonfinite: int = 0,
        read_bytes: int = 0,
        payload: bytes = b"",
        note: str = "",
        holes: tuple[Hole, ...] = (),
    ) -> BlockReport:
        roi = write_roi.shifted(-a for a in self._spec.grid.region.start)
        with meter("write"):
            foreground = (probability >= self._spec.threshold).view(np.uint8)
            written = self._probability.write_block(roi, probability)
            masked = self._foreground.write_block(roi, foreground)
        return BlockReport(
            block_id,
            written=roi.size,
            computed=computed,
            skipped=skipped,
            read_bytes=read_bytes,
            foreground=masked.nonzero,
            nonzero=written.nonzero,
            nonfinite=nonfinite,
            digest=written.crc32,
            payload=payload,
            note=note,
            files=(*written.stored, *masked.stored),
            holes=holes,
        )

    def close(self) -> None:
        """Release the engine."""
        self._engine.close()
