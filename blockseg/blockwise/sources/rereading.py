"""Second reading of what blocks read, which tells whether it is still the same."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from blockseg.core.block_reach import BlockReach
from blockseg.core.errors import VolumeError
from blockseg.core.reads import note_read, noting_reads
from blockseg.inference.path_opening import SEEN
from blockseg.inference.skip_filter import SkipFilter, infer_filtered
from blockseg.io.holes.mended_volume import AROUND_HOLES, MendedVolume
from blockseg.io.masks.sampler import MaskSampler
from blockseg.io.open import open_volume

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from blockseg.core.cubes import SkipCriteria
    from blockseg.core.grid import BlockGrid
    from blockseg.core.holes import HoleRule
    from blockseg.core.space import Space
    from blockseg.core.specs import Affine, AffineField, VolumeSpec
    from blockseg.inference.engine import Segmented

__all__ = ["BlockReading"]

_READERS = 4


@dataclass(frozen=True, slots=True)
class BlockReading:
    """Reading of a job's blocks: what, and in which order."""

    grid: BlockGrid
    """The blocks."""

    source: VolumeSpec
    """Source."""

    space: Space | None = None
    """Space of the source, where there is a mask."""

    mask: VolumeSpec | None = None
    """Mask, which is read before."""

    outside: bool = False
    """Whether blocks wholly outside of the mask are read as well, and no block more than
    is needed to measure it."""

    criteria: SkipCriteria | None = None
    """Criteria of what need not be read."""

    affine: Affine | AffineField | None = None
    """Normalisation of the run, where something is skipped."""

    holes: HoleRule | None = None
    """Rule that tells voxels without data; None where nothing is a hole."""

    @property
    def reach(self) -> BlockReach:
        """Largest region that blocks read."""
        margin = 0 if self.criteria is None else self.criteria.tile + SEEN
        if self.holes is not None:
            margin += AROUND_HOLES
        return BlockReach.of(self.grid, margin)

    def changed(
        self, blocks: Iterable[int], before: Mapping[int, Sequence[int]]
    ) -> list[int]:
        """Return those blocks, in order, that would read something else now.

        Parameters
        ----------
        blocks
            That were read.
        before
            Checksums of what each read; one that is missing counts as changed.
        """
        reader = _Reader(self)

        def differs(block: int) -> bool:
            known = before.get(block)
            if known is None:
                return True
            with noting_reads() as sums:
                try:
                    reader.read(block)
                except VolumeError:
                    return True
            return list(known) != sums

        every = list(blocks)
        with ThreadPoolExecutor(_READERS) as pool:
            found = list(pool.map(differs, every))
        return [block for block, is_other in zip(every, found, strict=True) if is_other]


class _Reader:
    """Reads blocks as their actors do, and does nothing with them."""

    def __init__(self, spec: BlockReading) -> None:
        self._spec = spec
        self._source = MendedVolume(open_volume(spec.source), spec.holes)
        shape = spec.grid.volume_shape
        self._mask = None
        if spec.mask is not None and spec.space is not None:
            self._mask = MaskSampler(open_volume(spec.mask), shape, spec.space)
        self._skip_filter = None
        if spec.criteria is not None and spec.affine is not None:
            self._skip_filter = SkipFilter(spec.criteria, shape, spec.affine)

    def read(self, number: int) -> None:
        grid = self._spec.grid
        block = grid.block(grid.index_of(number))
        inside = None
        if self._mask is not None:
            inside = self._mask.inside(block.write_roi)
            note_read(inside)
            if not self._spec.outside and not inside.any():
                return
        if self._skip_filter is None:
            look = self._source.glance if self._spec.outside else self._source.look
            note_read(look(block.read_roi).voxels)
            return
        with suppress(_HasReadError):
            infer_filtered(
                self._skip_filter,
                _Nobody(),
                self._source,
                block.write_roi,
                max(grid.halo),
                inside,
            )


class _HasReadError(Exception):
    """All that a block reads is read."""


class _Nobody:
    """Stands where an engine does, and ends a block before it is inferred."""

    depth = 1

    def segment(self, *_: Any, **__: Any) -> Segmented:
        raise _HasReadError

    def close(self) -> None:
        """Nothing is held."""
