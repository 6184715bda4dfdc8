"""Reading of a task's blocks: by its workers, and again to notice a changed source."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blockseg.core.block_reach import BlockReach
from blockseg.core.errors import VolumeError
from blockseg.core.reads import note_read, noting_reads
from blockseg.inference.skip_filter import SkipFilter, infer_filtered
from blockseg.inference.tile_scores.averaged_image import SEEN
from blockseg.io.chunks.tensorstores import ReadLimits
from blockseg.io.holes.mended_volume import AROUND_HOLES, MendedVolume
from blockseg.io.masks.sampler import MaskSampler
from blockseg.io.open import open_volume

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from blockseg.blockwise.planning.decisions import Decisions
    from blockseg.blockwise.sources.inputs import Source
    from blockseg.core.cubes import SkipCriteria
    from blockseg.core.geometry import Roi
    from blockseg.core.grid import Block, BlockGrid
    from blockseg.core.holes import HoleRule
    from blockseg.core.space import Space
    from blockseg.core.specs import Affine, AffineField, VolumeSpec
    from blockseg.inference.block_input import BlockInput
    from blockseg.inference.engine import Segmented
    from blockseg.io.holes.mended_volume import Seen
    from blockseg.io.protocol import Volume

_READERS = 4
_MASK_CACHE = 32 * 2**20


@dataclass(frozen=True, slots=True)
class BlockReading:
    """Parts of a source and its mask that blocks read."""

    grid: BlockGrid
    """The blocks."""

    source: VolumeSpec
    """Source."""

    space: Space | None = None
    """Space of the source, with the user's voxel size, where there is a mask."""

    mask: VolumeSpec | None = None
    """Mask, which is read first; its nonzero voxels count."""

    outside: bool = False
    """Whether blocks wholly outside the mask are read as well, and none with a margin: they
    are measured and not inferred."""

    criteria: SkipCriteria | None = None
    """Criteria by which tiles are skipped; None if none is."""

    affine: Affine | AffineField | None = None
    """Normalisation of the run, by which tiles are judged; None if none is skipped."""

    holes: HoleRule | None = None
    """Rule that recognises voxels without data; None if there can be none."""

    @classmethod
    def of_run(
        cls,
        grid: BlockGrid,
        decisions: Decisions,
        source: Source,
        mask: Source | None,
    ) -> BlockReading:
        """Return how the blocks of a ``blockseg run`` read its source and its mask."""
        return cls(
            grid,
            source.spec,
            source.space,
            None if mask is None else mask.spec,
            criteria=decisions.criteria,
            affine=decisions.affine,
            holes=decisions.holes,
        )

    @property
    def reach(self) -> BlockReach:
        """Largest region that blocks read."""
        margin = 0 if self.criteria is None else self.criteria.tile + SEEN
        if self.holes is not None:
            margin += AROUND_HOLES
        return BlockReach.of(self.grid, margin)

    def open(self, cache_bytes: int | None = None) -> OpenReading:
        """Open source and mask in this process.

        Parameters
        ----------
        cache_bytes
            Bytes of decoded chunks of the source to keep; a default if not given.

        Raises
        ------
        VolumeError
            If one cannot be opened.
        """
        limits = ReadLimits() if cache_bytes is None else ReadLimits(cache_bytes)
        return OpenReading(self, open_volume(self.source, limits))

    def changed(
        self, blocks: Iterable[int], before: Mapping[int, Sequence[int]]
    ) -> list[int]:
        """Return those of some blocks, in order, that would read something else now.

        Parameters
        ----------
        blocks
            Blocks that were read before.
        before
            Checksums of what each of them read; a block without any counts as changed.
        """
        reading = self.open()

        def differs(block: int) -> bool:
            known = before.get(block)
            if known is None:
                return True
            with noting_reads() as sums:
                try:
                    reading.read(block)
                except VolumeError:
                    return True
            return list(known) != sums

        every = list(blocks)
        with ThreadPoolExecutor(_READERS) as pool:
            found = list(pool.map(differs, every))
        return [block for block, is_other in zip(every, found, strict=True) if is_other]


class OpenReading:
    """Source and mask of a task, open in a process.

    Parameters
    ----------
    spec
        What is read.
    volume
        The source.
    """

    def __init__(self, spec: BlockReading, volume: Volume) -> None:
        self._spec = spec
        self.volume = volume
        self.mended = MendedVolume(volume, spec.holes)
        shape = spec.grid.volume_shape
        self.mask = None
        if spec.mask is not None and spec.space is not None:
            mask = open_volume(spec.mask, ReadLimits(_MASK_CACHE))
            self.mask = MaskSampler(mask, shape, spec.space)
        self.skip_filter = None
        if spec.criteria is not None and spec.affine is not None:
            self.skip_filter = SkipFilter(spec.criteria, shape, spec.affine)

    def block(self, number: int) -> Block:
        """Return a block in the source's coordinates."""
        return self._spec.grid.numbered(number)

    def inside(self, roi: Roi) -> NDArray[np.bool_] | None:
        """Return which voxels of a region the mask holds; None if there is no mask.

        Raises
        ------
        VolumeError
            If the mask cannot be read.
        """
        if self.mask is None:
            return None
        inside = self.mask.inside(roi)
        note_read(inside)
        return inside

    def look(self, roi: Roi, *, closely: bool = True) -> Seen:
        """Return a region of the source, its holes filled, and note what was read.

        Parameters
        ----------
        roi
            Region, in the source's voxels.
        closely
            Whether to read around the region for holes that begin in it.

        Raises
        ------
        VolumeError
            If it cannot be read.
        """
        seen = self.mended.look(roi) if closely else self.mended.glance(roi)
        note_read(seen.voxels)
        return seen

    def read(self, number: int) -> None:
        """Read a block as a task does, and do nothing with it."""
        grid = self._spec.grid
        block = grid.numbered(number)
        inside = self.inside(block.write_roi)
        if not self._spec.outside and inside is not None and not inside.any():
            return
        if self.skip_filter is None:
            self.look(block.read_roi, closely=not self._spec.outside)
            return
        with suppress(_HasReadError):
            infer_filtered(
                self.skip_filter,
                _NoEngine(),
                self.mended,
                block.write_roi,
                max(grid.halo),
                inside,
            )


class _HasReadError(Exception):
    """The block has been read."""


class _NoEngine:
    """Takes the place of an engine, and ends a block before it is inferred."""

    depth = 1

    def segment(self, block: BlockInput) -> Segmented:  # noqa: ARG002
        raise _HasReadError

    def close(self) -> None:
        """Nothing is held."""
